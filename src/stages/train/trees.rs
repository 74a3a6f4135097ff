//! Which learners grow trees? A decision tree, random forest, extra trees and gradient boosting.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::learner::{ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written};
use super::tree_tables;
use crate::ml::Features;
use crate::ml::linear::FitError;
use crate::ml::trees::{Boosting, EarlyStopping, Forest, Growth, Impurity, MaxFeatures, Target, TreeModel};
use crate::stage::{Output, Parts};

/// scikit-learn's DecisionTreeClassifier. Where every column is looked at, nothing is drawn: of equal splits, the one on the first column is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TreeParams {
    /// What a split should lower.
    criterion: CriterionParam,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<usize>,
    /// Fewest training rows of a node that is split.
    #[schemars(range(min = 2))]
    min_samples_split: usize,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// Columns that each split may choose from: all (scikit-learn's None), sqrt, log2, a whole number, or a share of them (0.0 to 1.0).
    max_features: ForestFeatures,
    /// How much each class counts.
    class_weight: ClassWeight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CriterionParam {
    /// Gini impurity.
    Gini,
    /// Entropy of the classes.
    Entropy,
    /// Another name for entropy.
    LogLoss,
}

/// scikit-learn's RandomForestClassifier: probabilities are means of the trees' leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ForestParams {
    /// Number of trees.
    #[schemars(range(min = 1))]
    n_estimators: usize,
    /// What a split should lower.
    criterion: CriterionParam,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<usize>,
    /// Fewest training rows of a node that is split.
    #[schemars(range(min = 2))]
    min_samples_split: usize,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// Columns that each split may choose from: sqrt, log2, all, a whole number, or a share of them (0.0 to 1.0).
    max_features: ForestFeatures,
    /// Each tree sees as many rows as there are, drawn with replacement (by weight, where rows have one); if not, each sees all.
    bootstrap: bool,
    /// How much each class counts.
    class_weight: ClassWeight,
}

/// scikit-learn's ExtraTreesClassifier: as a random forest, but each column that a split may choose from is cut at one value drawn between its least and its greatest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExtraTreesParams {
    /// Number of trees.
    #[schemars(range(min = 1))]
    n_estimators: usize,
    /// What a split should lower.
    criterion: CriterionParam,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<usize>,
    /// Fewest training rows of a node that is split.
    #[schemars(range(min = 2))]
    min_samples_split: usize,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// Columns that each split may choose from: sqrt, log2, all, a whole number, or a share of them (0.0 to 1.0).
    max_features: ForestFeatures,
    /// Each tree sees as many rows as there are, drawn with replacement (by weight, where rows have one); if not, each sees all.
    bootstrap: bool,
    /// How much each class counts.
    class_weight: ClassWeight,
}

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

/// A word, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ForestFeatures(MaxFeatures);

impl Serialize for ForestFeatures {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MaxFeatures::Sqrt => to.serialize_str("sqrt"),
            MaxFeatures::Log2 => to.serialize_str("log2"),
            MaxFeatures::All => to.serialize_str("all"),
            MaxFeatures::Count(number) => to.serialize_u64(number as u64),
            MaxFeatures::Share(share) => to.serialize_f64(share),
        }
    }
}

impl<'de> Deserialize<'de> for ForestFeatures {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let features = match (&value, value.as_u64(), value.as_f64()) {
            (Value::String(word), ..) if word == "sqrt" => MaxFeatures::Sqrt,
            (Value::String(word), ..) if word == "log2" => MaxFeatures::Log2,
            (Value::String(word), ..) if word == "all" => MaxFeatures::All,
            (_, Some(number @ 1..), _) => MaxFeatures::Count(number as usize),
            (_, None, Some(share)) if share > 0.0 && share <= 1.0 => MaxFeatures::Share(share),
            _ => {
                let rule = "must be `sqrt`, `log2`, `all`, a whole number from 1 up, or a share up to 1.0";
                return Err(de::Error::custom(format!("{rule}, but is {value}")));
            }
        };
        Ok(ForestFeatures(features))
    }
}

impl JsonSchema for ForestFeatures {
    fn schema_name() -> Cow<'static, str> {
        "MaxFeatures".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "enum": ["sqrt", "log2", "all"] }, { "type": "number", "exclusiveMinimum": 0 }] })
    }
}

impl Default for TreeParams {
    fn default() -> Self {
        let Growth { max_depth, min_samples_split, min_samples_leaf, max_features, .. } = Growth::default();
        TreeParams {
            criterion: CriterionParam::Gini,
            max_depth,
            min_samples_split,
            min_samples_leaf,
            max_features: ForestFeatures(max_features),
            class_weight: ClassWeight::None,
        }
    }
}

impl Default for ForestParams {
    fn default() -> Self {
        let TreeParams { criterion, max_depth, min_samples_split, min_samples_leaf, class_weight, .. } =
            TreeParams::default();
        ForestParams {
            n_estimators: 100,
            criterion,
            max_depth,
            min_samples_split,
            min_samples_leaf,
            max_features: ForestFeatures(MaxFeatures::Sqrt),
            bootstrap: true,
            class_weight,
        }
    }
}

impl Default for ExtraTreesParams {
    fn default() -> Self {
        let TreeParams { criterion, max_depth, min_samples_split, min_samples_leaf, class_weight, .. } =
            TreeParams::default();
        ExtraTreesParams {
            n_estimators: 100,
            criterion,
            max_depth,
            min_samples_split,
            min_samples_leaf,
            max_features: ForestFeatures(MaxFeatures::Sqrt),
            bootstrap: false,
            class_weight,
        }
    }
}

impl Default for BoostingParams {
    fn default() -> Self {
        let of = Boosting::default();
        BoostingParams {
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
            class_weight: ClassWeight::None,
        }
    }
}

impl CriterionParam {
    fn impurity(self) -> Impurity {
        match self {
            CriterionParam::Gini => Impurity::Gini,
            CriterionParam::Entropy | CriterionParam::LogLoss => Impurity::Entropy,
        }
    }
}

impl Written for TreeParams {
    fn learner(&self) -> Box<dyn Learner> {
        let growth = Growth {
            impurity: self.criterion.impurity(),
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            max_features: self.max_features.0,
            random_cuts: false,
        };
        Box::new(Trees { kind: Kind::Forest(Forest::tree(growth)), class_weight: self.class_weight })
    }
}

impl Written for ForestParams {
    fn learner(&self) -> Box<dyn Learner> {
        let growth = Growth {
            impurity: self.criterion.impurity(),
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            max_features: self.max_features.0,
            random_cuts: false,
        };
        let forest = Forest { n_estimators: self.n_estimators, bootstrap: self.bootstrap, growth };
        Box::new(Trees { kind: Kind::Forest(forest), class_weight: self.class_weight })
    }
}

impl Written for ExtraTreesParams {
    fn learner(&self) -> Box<dyn Learner> {
        let growth = Growth {
            impurity: self.criterion.impurity(),
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            max_features: self.max_features.0,
            random_cuts: true,
        };
        let forest = Forest { n_estimators: self.n_estimators, bootstrap: self.bootstrap, growth };
        Box::new(Trees { kind: Kind::Forest(forest), class_weight: self.class_weight })
    }
}

impl Written for BoostingParams {
    fn learner(&self) -> Box<dyn Learner> {
        let early_stopping = match self.early_stopping {
            EarlyStoppingParam::Auto => EarlyStopping::Auto,
            EarlyStoppingParam::On => EarlyStopping::On,
            EarlyStoppingParam::Off => EarlyStopping::Off,
        };
        let boosting = Boosting {
            learning_rate: self.learning_rate,
            max_iter: self.max_iter,
            max_leaf_nodes: Some(self.max_leaf_nodes),
            max_depth: self.max_depth,
            min_samples_leaf: self.min_samples_leaf,
            l2_regularization: self.l2_regularization,
            max_bins: self.max_bins,
            early_stopping,
            validation_fraction: self.validation_fraction,
            n_iter_no_change: self.n_iter_no_change,
            tol: self.tol,
        };
        Box::new(Trees { kind: Kind::Boosting(boosting), class_weight: self.class_weight })
    }
}

/// A learner that grows trees.
struct Trees {
    kind: Kind,
    class_weight: ClassWeight,
}

enum Kind {
    Forest(Forest),
    Boosting(Boosting),
}

impl Learner for Trees {
    fn takes(&self) -> Takes {
        Takes::Dense
    }

    fn gives(&self) -> Gives {
        Gives::Probabilities
    }

    fn seeded(&self) -> bool {
        match &self.kind {
            Kind::Forest(forest) => forest.is_random(),
            Kind::Boosting(boosting) => boosting.early_stopping != EarlyStopping::Off,
        }
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let (blocks, weights) = (on.blocks()?, on.weights(self.class_weight)?);
        let (target, weights, stop) = (Target::Classes { y, classes }, weights.as_deref(), on.stop());
        let seed = if self.seeded() { on.seed() } else { 0 };
        let model = match &self.kind {
            Kind::Forest(forest) => forest.fit(&blocks.x, target, weights, seed, &stop)?,
            Kind::Boosting(boosting) => boosting.fit(&blocks.x, target, weights, seed, &stop)?,
        };
        let (nodes, trees) = model.size();
        Ok(tree_tables::written(&model)?.fact("trees", trees).fact("nodes", nodes))
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let model = tree_tables::read(learned)?.checked()?;
        match model.classes == classes {
            true => Ok(Box::new(model)),
            false => Err(FitError::Stored { message: "it is of other classes".to_owned() }.into()),
        }
    }
}

impl Model for TreeModel {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        TreeModel::scores(self, x)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_numbers_are_told_apart() {
        let forest = |features: Value| serde_json::from_value::<ForestFeatures>(features);
        assert_eq!(forest(json!("log2")).unwrap().0, MaxFeatures::Log2);
        assert_eq!(forest(json!(3)).unwrap().0, MaxFeatures::Count(3));
        assert_eq!(forest(json!(0.5)).unwrap().0, MaxFeatures::Share(0.5));
        assert!(forest(json!(1.5)).is_err() && forest(json!(0)).is_err() && forest(json!("most")).is_err());
    }
}
