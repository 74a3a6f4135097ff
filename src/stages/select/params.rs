//! By what are columns judged, and how many are kept? The parameters as written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::ml::linear::{ElasticLogistic, ElasticNet, LinearSvc, LogisticRegression, Ridge, SparseSvc};
use crate::ml::select::{Judge, Keep, Threshold};
use crate::problem::{Problem, Problems};
use crate::stage::Scope;

/// Keeps the columns that tell most, judged by training rows alone: by a score of each column (`score_func`), or by the weights of a
/// linear model (`estimator`). All blocks are judged together; each keeps its form, and columns keep their names. How many: `k`,
/// `percentile`, `fpr`, `fdr`, `fwe`, or `threshold` (with `k` as its limit); without any, scikit-learn's defaults: `k: 10` for
/// scores, `threshold: 0` for `variance`, `threshold: mean` for an estimator, `threshold: 1e-5` for one with the L1 penalty alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// The score of a column; f_classif if left out.
    score_func: Option<ScoreFunc>,
    /// Judge columns by the sum of their absolute weights in this model instead (SelectFromModel).
    estimator: Option<Estimator>,
    /// This many of the best; all where there are fewer (SelectKBest).
    #[schemars(range(min = 1))]
    k: Option<usize>,
    /// This share of the best, in percent (SelectPercentile).
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 100))]
    percentile: Option<f64>,
    /// Those with a p-value below it (SelectFpr).
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    fpr: Option<f64>,
    /// Those that keep the false discovery rate below it (SelectFdr).
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    fdr: Option<f64>,
    /// Those with a p-value below it, divided by the number of columns (SelectFwe).
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    fwe: Option<f64>,
    /// The least score: a number, `mean`, `median`, or a multiple such as `1.25*mean`. A variance must be above it.
    threshold: Option<ThresholdParam>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ScoreFunc {
    /// χ² of a column's sums and the class; for counts and other values of 0 or more.
    Chi2,
    /// F of an analysis of variance.
    FClassif,
    /// F of a regression of the rows' `value` on the column.
    FRegression,
    /// Mutual information of a column's distinct values and the class, in nats; for counts (discrete_features=True).
    MutualInfoClassif,
    /// Variance; labels play no part (VarianceThreshold).
    Variance,
}

/// A linear model by name, with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Estimator {
    /// Logistic regression.
    LogisticRegression(Classifies),
    /// Linear support vector machine.
    LinearSvc(Classifies),
    /// Ridge regression of the rows' `value`.
    Ridge(RidgeAlpha),
    /// Linear regression of the rows' `value` with the L1 penalty.
    Lasso(NetAlpha),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Classifies {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// What keeps the weights small.
    // not written where it is the usual one, so that it changes no key
    #[serde(skip_serializing_if = "Penalty::is_usual")]
    #[schemars(extend("default" = "l2"))]
    penalty: Penalty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Penalty {
    /// ½‖w‖².
    L2,
    /// ‖w‖₁: few weights differ from 0.
    L1,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RidgeAlpha {
    /// Strength of the penalty.
    #[schemars(range(min = 0))]
    alpha: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NetAlpha {
    /// Strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
}

impl Penalty {
    fn is_usual(&self) -> bool {
        *self == Penalty::L2
    }
}

impl Default for Classifies {
    fn default() -> Self {
        Classifies { c: 1.0, penalty: Penalty::L2 }
    }
}

impl Default for RidgeAlpha {
    fn default() -> Self {
        RidgeAlpha { alpha: Ridge::default().alpha }
    }
}

impl Default for NetAlpha {
    fn default() -> Self {
        NetAlpha { alpha: ElasticNet::default().alpha }
    }
}

/// What a stage judges columns by.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum By {
    Score(Judge),
    FRegression,
    Logistic(LogisticRegression),
    SparseLogistic(ElasticLogistic),
    LinearSvc(LinearSvc),
    SparseSvc(SparseSvc),
    Ridge(Ridge),
    Lasso(ElasticNet),
}

impl By {
    /// True if it asks for the rows' `value`, not for labels.
    pub(super) fn asks_numbers(&self) -> bool {
        matches!(self, By::FRegression | By::Ridge(_) | By::Lasso(_))
    }

    /// As in a pipeline.
    pub(super) fn name(&self) -> &'static str {
        match self {
            By::Score(Judge::Chi2) => "chi2",
            By::Score(Judge::FClassif) => "f_classif",
            By::Score(Judge::MutualInfo) => "mutual_info_classif",
            By::Score(Judge::Variance) => "variance",
            By::FRegression => "f_regression",
            By::Logistic(_) | By::SparseLogistic(_) => "logistic_regression",
            By::LinearSvc(_) | By::SparseSvc(_) => "linear_svc",
            By::Ridge(_) => "ridge",
            By::Lasso(_) => "lasso",
        }
    }

    /// What to do where its model did not converge.
    pub(super) fn easier(&self) -> &'static str {
        match self {
            By::Ridge(_) | By::Lasso(_) => "raise its `alpha`",
            _ => "lower its `c`",
        }
    }

    fn is_model(&self) -> bool {
        !matches!(self, By::Score(_) | By::FRegression)
    }

    /// The threshold where none is given. Without the L2 penalty, weights that are not 0 say by themselves which columns count.
    fn threshold(&self) -> Threshold {
        match self {
            By::SparseLogistic(_) | By::SparseSvc(_) | By::Lasso(_) => Threshold::Value(1e-5),
            _ => Threshold::Mean(1.0),
        }
    }
}

impl Params {
    /// What is judged by, and what is kept.
    pub(super) fn checked(&self, at: &Scope<'_>) -> Result<(By, Keep), Problems> {
        let mut problems = Problems::default();
        if self.score_func.is_some() && self.estimator.is_some() {
            let problem = at.problem(
                "invalid-param",
                &["estimator"],
                "`score_func` and `estimator` both say how columns are judged",
            );
            problems.push(problem.help("keep one of them"));
        }
        let by = self.by();
        problems.0.extend(self.rule_clash(at));
        let p_values = [("fpr", self.fpr), ("fdr", self.fdr), ("fwe", self.fwe)];
        let tells = matches!(by, By::Score(Judge::Chi2 | Judge::FClassif) | By::FRegression);
        for (name, _) in p_values.into_iter().filter(|(_, given)| given.is_some() && !tells) {
            let message = format!("`{name}` selects by p-values, and `{}` has none", by.name());
            problems.push(
                at.problem("invalid-param", &[name], message)
                    .help("choose `chi2`, `f_classif` or `f_regression`, or `k`"),
            );
        }
        for (name, share) in p_values {
            problems.0.extend(share.filter(|share| !(*share > 0.0 && *share <= 1.0)).map(|share| {
                at.problem("out-of-range", &[name], format!("`{name}` must be above 0 and at most 1, but is {share}"))
            }));
        }
        problems.0.extend(self.percentile.filter(|percent| !(*percent > 0.0 && *percent <= 100.0)).map(|percent| {
            let message = format!("`percentile` must be above 0 and at most 100, but is {percent}");
            at.problem("out-of-range", &["percentile"], message)
        }));
        if self.k == Some(0) {
            problems.push(at.problem("out-of-range", &["k"], "`k` must be above 0, but is 0"));
        }
        let keep = self.keep(&by);
        if problems.0.is_empty() { Ok((by, keep)) } else { Err(problems) }
    }

    fn by(&self) -> By {
        match &self.estimator {
            Some(Estimator::LogisticRegression(Classifies { c, penalty: Penalty::L2 })) => {
                By::Logistic(LogisticRegression { c: *c, ..LogisticRegression::default() })
            }
            Some(Estimator::LogisticRegression(Classifies { c, penalty: Penalty::L1 })) => {
                By::SparseLogistic(ElasticLogistic { c: *c, l1_ratio: 1.0, ..ElasticLogistic::default() })
            }
            Some(Estimator::LinearSvc(Classifies { c, penalty: Penalty::L2 })) => {
                By::LinearSvc(LinearSvc { c: *c, ..LinearSvc::default() })
            }
            Some(Estimator::LinearSvc(Classifies { c, penalty: Penalty::L1 })) => {
                By::SparseSvc(SparseSvc { c: *c, ..SparseSvc::default() })
            }
            Some(Estimator::Ridge(RidgeAlpha { alpha })) => By::Ridge(Ridge { alpha: *alpha, ..Ridge::default() }),
            Some(Estimator::Lasso(NetAlpha { alpha })) => {
                By::Lasso(ElasticNet { alpha: *alpha, l1_ratio: 1.0, ..ElasticNet::default() })
            }
            None => match self.score_func {
                Some(ScoreFunc::Chi2) => By::Score(Judge::Chi2),
                None | Some(ScoreFunc::FClassif) => By::Score(Judge::FClassif),
                Some(ScoreFunc::FRegression) => By::FRegression,
                Some(ScoreFunc::MutualInfoClassif) => By::Score(Judge::MutualInfo),
                Some(ScoreFunc::Variance) => By::Score(Judge::Variance),
            },
        }
    }

    fn rule_clash(&self, at: &Scope<'_>) -> Option<Problem> {
        let limit = if self.threshold.is_some() { "threshold" } else { "k" };
        let given: Vec<&str> = [
            (limit, self.k.is_some() || self.threshold.is_some()),
            ("percentile", self.percentile.is_some()),
            ("fpr", self.fpr.is_some()),
            ("fdr", self.fdr.is_some()),
            ("fwe", self.fwe.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
        let [first, second, ..] = given.as_slice() else { return None };
        let message = format!("`{first}` and `{second}` both say how many columns are kept");
        Some(at.problem("invalid-param", &[second], message).help("keep one of them"))
    }

    fn keep(&self, by: &By) -> Keep {
        let given = self.threshold.map(|threshold| threshold.0);
        match (self.percentile, self.fpr, self.fdr, self.fwe) {
            (Some(percent), ..) => return Keep::Percentile(percent),
            (_, Some(alpha), ..) => return Keep::Fpr(alpha),
            (_, _, Some(alpha), _) => return Keep::Fdr(alpha),
            (.., Some(alpha)) => return Keep::Fwe(alpha),
            _ => {}
        }
        match (by, given, self.k) {
            (by, None, Some(k)) if !by.is_model() => Keep::Best(k),
            (By::Score(Judge::Variance), threshold, None) => Keep::Above(threshold.unwrap_or(Threshold::Value(0.0))),
            (by, None, None) if !by.is_model() => Keep::Best(10),
            (by, None, None) => Keep::From(Some(by.threshold()), None),
            (_, threshold, most) => Keep::From(threshold, most),
        }
    }
}

/// A number, or a multiple of the mean or median.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ThresholdParam(Threshold);

impl Serialize for ThresholdParam {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let multiple = |times: f64, of: &str| if times == 1.0 { of.to_owned() } else { format!("{times}*{of}") };
        match self.0 {
            Threshold::Value(value) => to.serialize_f64(value),
            Threshold::Mean(times) => to.serialize_str(&multiple(times, "mean")),
            Threshold::Median(times) => to.serialize_str(&multiple(times, "median")),
        }
    }
}

impl<'de> Deserialize<'de> for ThresholdParam {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let threshold = match (&value, value.as_f64()) {
            (_, Some(number)) => Some(Threshold::Value(number)),
            (Value::String(text), _) => {
                let (times, of) = text.split_once('*').unwrap_or(("1", text));
                match (times.trim().parse::<f64>(), of.trim()) {
                    (Ok(times), "mean") if times.is_finite() => Some(Threshold::Mean(times)),
                    (Ok(times), "median") if times.is_finite() => Some(Threshold::Median(times)),
                    _ => None,
                }
            }
            _ => None,
        };
        let rule = || format!("must be a number, `mean`, `median`, or a multiple such as `1.25*mean`, but is {value}");
        threshold.map(ThresholdParam).ok_or_else(|| de::Error::custom(rule()))
    }
}

impl JsonSchema for ThresholdParam {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"] })
    }
}
