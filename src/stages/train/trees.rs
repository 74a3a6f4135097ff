//! Which trees are there? A decision tree and a random forest, grown by smartcore.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::learner::{Gives, Learner, Model, Takes, Training, Trouble, Written, read_strings, strings};
use crate::ml::Features;
use crate::ml::ensemble::{self, Criterion, DecisionTree, MaxFeatures, RandomForest, SmartModel, SmartParams};
use crate::ml::linear::FitError;
use crate::stage::{Output, Parts};

/// scikit-learn's DecisionTreeClassifier, grown by smartcore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TreeParams {
    /// What a split should lower.
    criterion: CriterionParam,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<u16>,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// Fewest training rows of a node that is split.
    #[schemars(range(min = 2))]
    min_samples_split: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CriterionParam {
    /// Gini impurity.
    Gini,
    /// Entropy in bits.
    Entropy,
}

/// scikit-learn's RandomForestClassifier, grown by smartcore: bootstrap samples are drawn within each class, and scores are shares of votes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ForestParams {
    /// Number of trees.
    #[schemars(range(min = 1))]
    n_estimators: usize,
    /// Columns that each split may choose from: sqrt, log2, all, a whole number, or a share of them (0.0 to 1.0).
    max_features: ForestFeatures,
    /// What a split should lower.
    criterion: CriterionParam,
    /// Most levels of splits; unlimited if left out.
    #[schemars(range(min = 1))]
    max_depth: Option<u16>,
    /// Fewest training rows of a leaf.
    #[schemars(range(min = 1))]
    min_samples_leaf: usize,
    /// Fewest training rows of a node that is split.
    #[schemars(range(min = 2))]
    min_samples_split: usize,
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
        let DecisionTree { max_depth, min_samples_leaf, min_samples_split, .. } = DecisionTree::default();
        TreeParams { criterion: CriterionParam::Gini, max_depth, min_samples_leaf, min_samples_split }
    }
}

impl Default for ForestParams {
    fn default() -> Self {
        let RandomForest { n_estimators, max_features, .. } = RandomForest::default();
        let TreeParams { criterion, max_depth, min_samples_leaf, min_samples_split } = TreeParams::default();
        let max_features = ForestFeatures(max_features);
        ForestParams { n_estimators, max_features, criterion, max_depth, min_samples_leaf, min_samples_split }
    }
}

impl Written for TreeParams {
    fn learner(&self) -> Box<dyn Learner> {
        let tree = tree(self.criterion, self.max_depth, self.min_samples_leaf, self.min_samples_split);
        Box::new(Stored { params: SmartParams::DecisionTree(tree), gives: Gives::Probabilities, seeded: true })
    }
}

impl Written for ForestParams {
    fn learner(&self) -> Box<dyn Learner> {
        let tree = tree(self.criterion, self.max_depth, self.min_samples_leaf, self.min_samples_split);
        let (n_estimators, max_features) = (self.n_estimators, self.max_features.0);
        let params = SmartParams::RandomForest(RandomForest { n_estimators, max_features, tree });
        Box::new(Stored { params, gives: Gives::Probabilities, seeded: true })
    }
}

fn tree(criterion: CriterionParam, max_depth: Option<u16>, leaf: usize, split: usize) -> DecisionTree {
    let criterion = match criterion {
        CriterionParam::Gini => Criterion::Gini,
        CriterionParam::Entropy => Criterion::Entropy,
    };
    DecisionTree { criterion, max_depth, min_samples_leaf: leaf, min_samples_split: split }
}

/// A learner whose model is stored as one JSON object.
pub(super) struct Stored {
    pub(super) params: SmartParams,
    pub(super) gives: Gives,
    pub(super) seeded: bool,
}

impl Learner for Stored {
    fn takes(&self) -> Takes {
        Takes::Dense
    }

    fn gives(&self) -> Gives {
        self.gives
    }

    fn seeded(&self) -> bool {
        self.seeded
    }

    fn advice(&self, name: &str) -> Vec<String> {
        let rows = ensemble::slow_beyond(&self.params);
        vec![format!("`{name}` is slow beyond about {rows} training rows of some hundred columns")]
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let model = ensemble::fit(&self.params, &on.blocks()?.x, y, classes, on.seed(), &on.stop())?;
        Ok(Output::new().table("estimator", strings("json", &[model.to_json()?])?))
    }

    fn load(&self, learned: &Parts, _: usize) -> Result<Box<dyn Model>, Trouble> {
        let json = read_strings(&*learned.table("estimator")?, "json")?;
        Ok(Box::new(SmartModel::from_json(json.first().map_or("", String::as_str))?))
    }
}

impl Model for SmartModel {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let scores = SmartModel::scores(self, x)?;
        // Shares of trees are of every class already.
        let classes = if self.gives_probabilities() { 0 } else { self.classes() };
        Ok(super::learner::both_sides(scores, classes))
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
