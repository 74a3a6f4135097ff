//! How is gradient boosting asked for? For classes and for numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{ClassWeight, Learner, Written};
use super::trees::{Kind, Of, Trees};
use crate::ml::trees::{Boosting, EarlyStopping};

/// scikit-learn's HistGradientBoostingClassifier: trees one after another, each grown on binned columns against the loss of those before it; one tree a step for two classes, one a class and step for more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BoostingParams {
    /// What the values of each tree are multiplied by.
    #[schemars(extend("exclusiveMinimum" = 0))]
    learning_rate: f64,
    /// Most steps.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Most leaves of a tree.
    #[schemars(range(min = 2))]
    max_leaf_nodes: usize,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<usize>,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// L2 penalty on the values of leaves.
    #[schemars(range(min = 0))]
    l2_regularization: f64,
    /// Most bins that a column is cut into.
    #[schemars(range(min = 2, max = 255))]
    max_bins: usize,
    /// Whether training rows are held back, to stop when they are predicted no better.
    early_stopping: EarlyStoppingParam,
    /// Share of the rows of each class that is held back.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    validation_fraction: f64,
    /// Steps without improvement after which learning stops.
    #[schemars(range(min = 1))]
    n_iter_no_change: usize,
    /// By how much the loss must fall to be an improvement.
    #[schemars(range(min = 0))]
    tol: f64,
    /// How much each class counts.
    class_weight: ClassWeight,
}

/// scikit-learn's HistGradientBoostingRegressor with the squared error: trees one after another, each grown on binned columns against the errors of those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BoostingRegressorParams {
    /// What the values of each tree are multiplied by.
    #[schemars(extend("exclusiveMinimum" = 0))]
    learning_rate: f64,
    /// Most steps.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Most leaves of a tree.
    #[schemars(range(min = 2))]
    max_leaf_nodes: usize,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<usize>,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// L2 penalty on the values of leaves.
    #[schemars(range(min = 0))]
    l2_regularization: f64,
    /// Most bins that a column is cut into.
    #[schemars(range(min = 2, max = 255))]
    max_bins: usize,
    /// Whether training rows are held back, to stop when they are predicted no better.
    early_stopping: EarlyStoppingParam,
    /// Share of the rows that is held back.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    validation_fraction: f64,
    /// Steps without improvement after which learning stops.
    #[schemars(range(min = 1))]
    n_iter_no_change: usize,
    /// By how much the loss must fall to be an improvement.
    #[schemars(range(min = 0))]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EarlyStoppingParam {
    /// Above 10,000 training rows.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl EarlyStoppingParam {
    fn early_stopping(self) -> EarlyStopping {
        match self {
            EarlyStoppingParam::Auto => EarlyStopping::Auto,
            EarlyStoppingParam::On => EarlyStopping::On,
            EarlyStoppingParam::Off => EarlyStopping::Off,
        }
    }
}

impl Default for BoostingParams {
    fn default() -> Self {
        let of = BoostingRegressorParams::default();
        BoostingParams {
            learning_rate: of.learning_rate,
            max_iter: of.max_iter,
            max_leaf_nodes: of.max_leaf_nodes,
            max_depth: of.max_depth,
            min_samples_leaf: of.min_samples_leaf,
            l2_regularization: of.l2_regularization,
            max_bins: of.max_bins,
            early_stopping: of.early_stopping,
            validation_fraction: of.validation_fraction,
            n_iter_no_change: of.n_iter_no_change,
            tol: of.tol,
            class_weight: ClassWeight::None,
        }
    }
}

impl Default for BoostingRegressorParams {
    fn default() -> Self {
        let of = Boosting::default();
        BoostingRegressorParams {
            learning_rate: of.learning_rate,
            max_iter: of.max_iter,
            max_leaf_nodes: of.max_leaf_nodes.unwrap_or(31),
            max_depth: of.max_depth,
            min_samples_leaf: of.min_samples_leaf,
            l2_regularization: of.l2_regularization,
            max_bins: of.max_bins,
            early_stopping: EarlyStoppingParam::Auto,
            validation_fraction: of.validation_fraction,
            n_iter_no_change: of.n_iter_no_change,
            tol: of.tol,
        }
    }
}

impl Written for BoostingParams {
    fn learner(&self) -> Box<dyn Learner> {
        let boosting = Boosting {
            learning_rate: self.learning_rate,
            max_iter: self.max_iter,
            max_leaf_nodes: Some(self.max_leaf_nodes),
            max_depth: self.max_depth,
            min_samples_leaf: self.min_samples_leaf,
            l2_regularization: self.l2_regularization,
            max_bins: self.max_bins,
            early_stopping: self.early_stopping.early_stopping(),
            validation_fraction: self.validation_fraction,
            n_iter_no_change: self.n_iter_no_change,
            tol: self.tol,
        };
        Box::new(Trees { kind: Kind::Boosting(boosting), of: Of::Classes(self.class_weight) })
    }
}

impl Written for BoostingRegressorParams {
    fn learner(&self) -> Box<dyn Learner> {
        let boosting = Boosting {
            learning_rate: self.learning_rate,
            max_iter: self.max_iter,
            max_leaf_nodes: Some(self.max_leaf_nodes),
            max_depth: self.max_depth,
            min_samples_leaf: self.min_samples_leaf,
            l2_regularization: self.l2_regularization,
            max_bins: self.max_bins,
            early_stopping: self.early_stopping.early_stopping(),
            validation_fraction: self.validation_fraction,
            n_iter_no_change: self.n_iter_no_change,
            tol: self.tol,
        };
        Box::new(Trees { kind: Kind::Boosting(boosting), of: Of::Values })
    }
}
