//! Which learners grow trees by themselves? A decision tree, random forest and extra trees, for classes and for numbers.

use std::borrow::Cow;
use std::marker::PhantomData;

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
    /// Most leaves; unlimited if left out. With a limit, the nodes that lower the impurity most are split first.
    #[schemars(range(min = 2))]
    max_leaf_nodes: Option<usize>,
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

/// scikit-learn's DecisionTreeRegressor: means of the leaves' rows. Splits lower the squared error. Where every column is looked at, nothing is drawn: of equal splits, the one on the first column is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TreeRegressorParams {
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
    /// Most leaves; unlimited if left out. With a limit, the nodes that lower the impurity most are split first.
    #[schemars(range(min = 2))]
    max_leaf_nodes: Option<usize>,
}

/// The forests that differ in their defaults and their cuts alone.
pub(super) trait Sort: Clone + PartialEq + 'static {
    const BOOTSTRAP: bool;
    const RANDOM_CUTS: bool;
}

/// scikit-learn's RandomForestClassifier and -Regressor.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub(super) struct Random;

/// scikit-learn's ExtraTreesClassifier and -Regressor: each column that a split may choose from is cut at one value drawn between its least and its greatest.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub(super) struct Extra;

impl Sort for Random {
    const BOOTSTRAP: bool = true;
    const RANDOM_CUTS: bool = false;
}

impl Sort for Extra {
    const BOOTSTRAP: bool = false;
    const RANDOM_CUTS: bool = true;
}

/// A forest for classes: probabilities are means of the trees' leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ForestParams<K: Sort> {
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
    /// Most leaves; unlimited if left out. With a limit, the nodes that lower the impurity most are split first.
    #[schemars(range(min = 2))]
    max_leaf_nodes: Option<usize>,
    /// Each tree sees as many rows as there are, drawn with replacement (by weight, where rows have one); if not, each sees all.
    bootstrap: bool,
    /// How much each class counts.
    class_weight: ClassWeight,
    #[serde(skip)]
    sort: PhantomData<K>,
}

/// A forest for numbers: means of the trees' leaves, which are means of their rows. Splits lower the squared error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ForestRegressorParams<K: Sort> {
    /// Number of trees.
    #[schemars(range(min = 1))]
    n_estimators: usize,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<usize>,
    /// Fewest training rows of a node that is split.
    #[schemars(range(min = 2))]
    min_samples_split: usize,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// Columns that each split may choose from: all (scikit-learn's 1.0), sqrt, log2, a whole number, or a share of them (0.0 to 1.0).
    max_features: ForestFeatures,
    /// Most leaves; unlimited if left out. With a limit, the nodes that lower the impurity most are split first.
    #[schemars(range(min = 2))]
    max_leaf_nodes: Option<usize>,
    /// Each tree sees as many rows as there are, drawn with replacement (by weight, where rows have one); if not, each sees all.
    bootstrap: bool,
    #[serde(skip)]
    sort: PhantomData<K>,
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
        let TreeRegressorParams { max_depth, min_samples_split, min_samples_leaf, max_features, max_leaf_nodes } =
            TreeRegressorParams::default();
        TreeParams {
            criterion: CriterionParam::Gini,
            max_depth,
            min_samples_split,
            min_samples_leaf,
            max_features,
            max_leaf_nodes,
            class_weight: ClassWeight::None,
        }
    }
}

impl Default for TreeRegressorParams {
    fn default() -> Self {
        let Growth { max_depth, min_samples_split, min_samples_leaf, max_features, max_leaf_nodes, .. } =
            Growth::default();
        let max_features = ForestFeatures(max_features);
        TreeRegressorParams { max_depth, min_samples_split, min_samples_leaf, max_features, max_leaf_nodes }
    }
}

impl<K: Sort> Default for ForestParams<K> {
    fn default() -> Self {
        let TreeParams {
            criterion, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, class_weight, ..
        } = TreeParams::default();
        ForestParams {
            n_estimators: 100,
            criterion,
            max_depth,
            min_samples_split,
            min_samples_leaf,
            max_features: ForestFeatures(MaxFeatures::Sqrt),
            max_leaf_nodes,
            bootstrap: K::BOOTSTRAP,
            class_weight,
            sort: PhantomData,
        }
    }
}

impl<K: Sort> Default for ForestRegressorParams<K> {
    fn default() -> Self {
        let TreeRegressorParams { max_depth, min_samples_split, min_samples_leaf, max_features, max_leaf_nodes } =
            TreeRegressorParams::default();
        ForestRegressorParams {
            n_estimators: 100,
            max_depth,
            min_samples_split,
            min_samples_leaf,
            max_features,
            max_leaf_nodes,
            bootstrap: K::BOOTSTRAP,
            sort: PhantomData,
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

impl TreeRegressorParams {
    fn growth(&self) -> Growth {
        Growth {
            impurity: Impurity::default(),
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            max_features: self.max_features.0,
            max_leaf_nodes: self.max_leaf_nodes,
            random_cuts: false,
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
            max_leaf_nodes: self.max_leaf_nodes,
            random_cuts: false,
        };
        Box::new(Trees { kind: Kind::Forest(Forest::tree(growth)), of: Of::Classes(self.class_weight) })
    }
}

impl Written for TreeRegressorParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Trees { kind: Kind::Forest(Forest::tree(self.growth())), of: Of::Values })
    }
}

impl<K: Sort> Written for ForestParams<K> {
    fn learner(&self) -> Box<dyn Learner> {
        let growth = Growth {
            impurity: self.criterion.impurity(),
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            max_features: self.max_features.0,
            max_leaf_nodes: self.max_leaf_nodes,
            random_cuts: K::RANDOM_CUTS,
        };
        let forest = Forest { n_estimators: self.n_estimators, bootstrap: self.bootstrap, growth };
        Box::new(Trees { kind: Kind::Forest(forest), of: Of::Classes(self.class_weight) })
    }
}

impl<K: Sort> Written for ForestRegressorParams<K> {
    fn learner(&self) -> Box<dyn Learner> {
        let growth = Growth {
            impurity: Impurity::default(),
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            max_features: self.max_features.0,
            max_leaf_nodes: self.max_leaf_nodes,
            random_cuts: K::RANDOM_CUTS,
        };
        let forest = Forest { n_estimators: self.n_estimators, bootstrap: self.bootstrap, growth };
        Box::new(Trees { kind: Kind::Forest(forest), of: Of::Values })
    }
}

/// A learner that grows trees.
pub(super) struct Trees {
    pub(super) kind: Kind,
    pub(super) of: Of,
}

pub(super) enum Kind {
    Forest(Forest),
    Boosting(Boosting),
}

/// What is learned.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Classes(ClassWeight),
    Values,
}

impl Learner for Trees {
    fn takes(&self) -> Takes {
        Takes::Dense
    }

    fn gives(&self) -> Gives {
        match self.of {
            Of::Classes(_) => Gives::Probabilities,
            Of::Values => Gives::Values,
        }
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
        let (target, weights) = match self.of {
            Of::Classes(class_weight) => {
                let (y, classes) = on.classes()?;
                (Target::Classes { y, classes }, on.weights(class_weight)?)
            }
            Of::Values => (Target::Values(on.values()?), on.weights(ClassWeight::None)?),
        };
        let (blocks, weights, stop) = (on.blocks()?, weights.as_deref(), on.stop());
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
