//! Which learners may a pipeline name, and with which parameters? The parameters as written, and what `ml` makes of them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};

use crate::ml::ensemble::{Criterion, DecisionTree, Gamma, Kernel, MaxFeatures, RandomForest, SmartParams, Svc};
use crate::ml::linear::{LinearSvc, LogisticRegression, Loss};
use crate::stage::elided;

/// A learner by name, with its parameters: `{ linear_svc: { c: 0.5 } }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Estimator {
    /// Logistic regression: probabilities; sparse and dense rows.
    LogisticRegression(LogisticParams),
    /// Linear support vector machine: decision values; sparse and dense rows.
    LinearSvc(LinearSvcParams),
    /// One decision tree: class shares of its leaves; dense rows.
    DecisionTree(TreeParams),
    /// Random forest: shares of votes; dense rows.
    RandomForest(ForestParams),
    /// Support vector machine with a kernel: decision values; dense rows.
    Svc(SvcParams),
}

/// How much each class counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClassWeight {
    /// Every row counts alike.
    #[default]
    None,
    /// Every class counts alike: rows of rare classes count more.
    Balanced,
}

/// scikit-learn's LogisticRegression with the L2 penalty: minimises ½‖w‖² + c · Σ loss. The intercept is not penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogisticParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// How much each class counts.
    pub(super) class_weight: ClassWeight,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Most Newton steps.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when the objective's gradient is at most this share of the weights' norm, which bounds the relative error of the weights. scikit-learn's rule is absolute and looser; here the optimum is reached to about 1e-5 of a probability.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

/// scikit-learn's LinearSVC with the L2 penalty: minimises ½‖(w, b)‖² + c · Σ loss. The intercept is penalised; more than two classes are learned one against the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LinearSvcParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// How much each class counts.
    pub(super) class_weight: ClassWeight,
    /// The loss of a margin.
    loss: LossParam,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Value of the constant feature behind the intercept.
    #[schemars(extend("exclusiveMinimum" = 0))]
    intercept_scaling: f64,
    /// Most Newton steps (hinge: passes over the rows).
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when the objective's gradient is at most this share of the weights' norm (hinge: liblinear's rule). Tighter than scikit-learn's 1e-4.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LossParam {
    /// max(0, 1 − z)².
    SquaredHinge,
    /// max(0, 1 − z).
    Hinge,
}

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

/// scikit-learn's SVC; more than two classes are learned one against one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SvcParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// The kernel.
    kernel: KernelParam,
    /// The kernel's width: scale, auto, or a number above 0.
    gamma: GammaParam,
    /// Degree of the kernel poly.
    #[schemars(range(min = 1, max = 32))]
    degree: u32,
    /// Independent term of the kernel poly.
    #[schemars(range(min = 0))]
    coef0: f64,
    /// The greatest violation of the optimality conditions that is left.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KernelParam {
    /// x·z.
    Linear,
    /// exp(−gamma ‖x − z‖²).
    Rbf,
    /// (gamma x·z + coef0)^degree.
    Poly,
}

/// A word, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ForestFeatures(MaxFeatures);

#[derive(Debug, Clone, Copy, PartialEq)]
struct GammaParam(Gamma);

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

impl Serialize for GammaParam {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Gamma::Scale => to.serialize_str("scale"),
            Gamma::Auto => to.serialize_str("auto"),
            Gamma::Value(gamma) => to.serialize_f64(gamma),
        }
    }
}

impl<'de> Deserialize<'de> for GammaParam {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        match (value.as_str(), value.as_f64()) {
            (Some("scale"), _) => Ok(GammaParam(Gamma::Scale)),
            (Some("auto"), _) => Ok(GammaParam(Gamma::Auto)),
            (_, Some(gamma)) if gamma > 0.0 => Ok(GammaParam(Gamma::Value(gamma))),
            _ => Err(de::Error::custom(format!("must be `scale`, `auto` or a number above 0, but is {value}"))),
        }
    }
}

impl JsonSchema for GammaParam {
    fn schema_name() -> Cow<'static, str> {
        "Gamma".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "enum": ["scale", "auto"] }, { "type": "number", "exclusiveMinimum": 0 }] })
    }
}

impl Default for LogisticParams {
    fn default() -> Self {
        let LogisticRegression { c, fit_intercept, max_iter, tol } = LogisticRegression::default();
        LogisticParams { c, class_weight: ClassWeight::None, fit_intercept, max_iter, tol }
    }
}

impl Default for LinearSvcParams {
    fn default() -> Self {
        let LinearSvc { c, fit_intercept, intercept_scaling, max_iter, tol, .. } = LinearSvc::default();
        let (class_weight, loss) = (ClassWeight::None, LossParam::SquaredHinge);
        LinearSvcParams { c, class_weight, loss, fit_intercept, intercept_scaling, max_iter, tol }
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

impl Default for SvcParams {
    fn default() -> Self {
        let Svc { c, gamma, degree, coef0, tol, .. } = Svc::default();
        SvcParams { c, kernel: KernelParam::Rbf, gamma: GammaParam(gamma), degree, coef0, tol }
    }
}

/// A learner as `ml` knows it.
pub(super) enum Learner {
    Logistic(LogisticRegression, ClassWeight),
    LinearSvc(LinearSvc, ClassWeight),
    Smart(SmartParams),
}

impl Estimator {
    /// The learner.
    pub(super) fn learner(&self) -> Learner {
        match self {
            Estimator::LogisticRegression(p) => {
                let (c, fit_intercept, max_iter, tol) = (p.c, p.fit_intercept, p.max_iter, p.tol);
                Learner::Logistic(LogisticRegression { c, fit_intercept, max_iter, tol }, p.class_weight)
            }
            Estimator::LinearSvc(p) => {
                let loss = match p.loss {
                    LossParam::SquaredHinge => Loss::SquaredHinge,
                    LossParam::Hinge => Loss::Hinge,
                };
                let (c, fit_intercept, intercept_scaling) = (p.c, p.fit_intercept, p.intercept_scaling);
                let (max_iter, tol) = (p.max_iter, p.tol);
                let svc = LinearSvc { c, loss, fit_intercept, intercept_scaling, max_iter, tol };
                Learner::LinearSvc(svc, p.class_weight)
            }
            Estimator::DecisionTree(p) => {
                let tree = tree(p.criterion, p.max_depth, p.min_samples_leaf, p.min_samples_split);
                Learner::Smart(SmartParams::DecisionTree(tree))
            }
            Estimator::RandomForest(p) => {
                let tree = tree(p.criterion, p.max_depth, p.min_samples_leaf, p.min_samples_split);
                let (n_estimators, max_features) = (p.n_estimators, p.max_features.0);
                Learner::Smart(SmartParams::RandomForest(RandomForest { n_estimators, max_features, tree }))
            }
            Estimator::Svc(p) => {
                let kernel = match p.kernel {
                    KernelParam::Linear => Kernel::Linear,
                    KernelParam::Rbf => Kernel::Rbf,
                    KernelParam::Poly => Kernel::Poly,
                };
                let (c, gamma, degree, coef0, tol) = (p.c, p.gamma.0, p.degree, p.coef0, p.tol);
                Learner::Smart(SmartParams::Svc(Svc { c, kernel, gamma, degree, coef0, tol }))
            }
        }
    }

    /// As in a pipeline.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Estimator::LogisticRegression(_) => "logistic_regression",
            Estimator::LinearSvc(_) => "linear_svc",
            Estimator::DecisionTree(_) => "decision_tree",
            Estimator::RandomForest(_) => "random_forest",
            Estimator::Svc(_) => "svc",
        }
    }

    /// Defaults elided.
    pub(super) fn canonical(&self) -> Value {
        let params = match self {
            Estimator::LogisticRegression(p) => elided(p, &LogisticParams::default()),
            Estimator::LinearSvc(p) => elided(p, &LinearSvcParams::default()),
            Estimator::DecisionTree(p) => elided(p, &TreeParams::default()),
            Estimator::RandomForest(p) => elided(p, &ForestParams::default()),
            Estimator::Svc(p) => elided(p, &SvcParams::default()),
        };
        json!({ self.name(): params })
    }
}

fn tree(criterion: CriterionParam, max_depth: Option<u16>, leaf: usize, split: usize) -> DecisionTree {
    let criterion = match criterion {
        CriterionParam::Gini => Criterion::Gini,
        CriterionParam::Entropy => Criterion::Entropy,
    };
    DecisionTree { criterion, max_depth, min_samples_leaf: leaf, min_samples_split: split }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_spelled_out_are_the_same_learner() {
        let short: Estimator = serde_json::from_value(json!({ "linear_svc": {} })).unwrap();
        let long: Estimator =
            serde_json::from_value(json!({ "linear_svc": { "c": 1.0, "loss": "squared_hinge" } })).unwrap();
        assert_eq!(short.canonical(), long.canonical());
        assert_eq!(short.canonical(), json!({ "linear_svc": {} }));
        let other: Estimator = serde_json::from_value(json!({ "linear_svc": { "c": 2 } })).unwrap();
        assert_eq!(other.canonical(), json!({ "linear_svc": { "c": 2.0 } }));
    }

    #[test]
    fn words_and_numbers_are_told_apart() {
        let forest = |features: Value| serde_json::from_value::<ForestFeatures>(features);
        assert_eq!(forest(json!("log2")).unwrap().0, MaxFeatures::Log2);
        assert_eq!(forest(json!(3)).unwrap().0, MaxFeatures::Count(3));
        assert_eq!(forest(json!(0.5)).unwrap().0, MaxFeatures::Share(0.5));
        assert!(forest(json!(1.5)).is_err() && forest(json!(0)).is_err() && forest(json!("most")).is_err());
        assert_eq!(serde_json::from_value::<GammaParam>(json!(2)).unwrap().0, Gamma::Value(2.0));
        assert!(serde_json::from_value::<GammaParam>(json!(0)).is_err());
    }
}
