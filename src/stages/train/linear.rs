//! How are logistic regression and linear support vector machines asked for? And how is a linear model kept?

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{Clash, ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written};
use crate::ml::Features;
use crate::ml::linear::{
    Convergence, ElasticLogistic, FitError, LinearFunction, LinearModel, LinearSvc, LogisticRegression, Loss,
    MultiClass, Penalised, SparseSvc,
};
use crate::stage::{Output, Parts, StageError};

/// scikit-learn's LogisticRegression: minimises penalty + c · Σ loss. The intercept is not penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogisticParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// What keeps the weights small.
    penalty: LogisticPenalty,
    /// The share of ‖w‖₁ with `penalty: elastic_net`; scikit-learn has no default for it.
    #[schemars(range(min = 0, max = 1))]
    l1_ratio: f64,
    /// How more than two classes are learned.
    multi_class: ManyClasses,
    /// How much each class counts.
    pub(super) class_weight: ClassWeight,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Most Newton steps.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when the objective's gradient is at most this share of the weights' norm, which bounds the relative error of the weights; with l1 and elastic_net, when no slope violates the optimality conditions by more than this share of the penalty. scikit-learn's rule is absolute and looser.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LogisticPenalty {
    /// ½‖w‖².
    L2,
    /// ‖w‖₁: few weights differ from 0.
    L1,
    /// l1_ratio · ‖w‖₁ + ½ (1 − l1_ratio) ‖w‖².
    ElasticNet,
    /// None: maximum likelihood. Where a line divides the classes there is no optimum.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ManyClasses {
    /// All at once, by the softmax.
    Multinomial,
    /// Each against the rest; probabilities are scaled to sum to 1.
    OneVsRest,
}

/// scikit-learn's LinearSVC: minimises penalty(w, b) + c · Σ loss. The intercept is penalised; more than two classes are learned one against the rest.
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
    /// What keeps the weights small; l1 goes with the squared hinge loss alone, as in scikit-learn.
    penalty: SvcPenalty,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Value of the constant feature behind the intercept.
    #[schemars(extend("exclusiveMinimum" = 0))]
    intercept_scaling: f64,
    /// Most Newton steps (hinge: passes over the rows).
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when the objective's gradient is at most this share of the weights' norm (hinge: liblinear's rule).
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SvcPenalty {
    /// ½‖(w, b)‖².
    L2,
    /// ‖(w, b)‖₁: few weights differ from 0.
    L1,
}

impl Default for LogisticParams {
    fn default() -> Self {
        let LogisticRegression { c, fit_intercept, max_iter, tol } = LogisticRegression::default();
        LogisticParams {
            c,
            penalty: LogisticPenalty::L2,
            l1_ratio: 0.5,
            multi_class: ManyClasses::Multinomial,
            class_weight: ClassWeight::None,
            fit_intercept,
            max_iter,
            tol,
        }
    }
}

impl Default for LinearSvcParams {
    fn default() -> Self {
        let LinearSvc { c, fit_intercept, intercept_scaling, max_iter, tol, .. } = LinearSvc::default();
        let (class_weight, loss) = (ClassWeight::None, LossParam::SquaredHinge);
        let penalty = SvcPenalty::L2;
        LinearSvcParams { c, class_weight, loss, penalty, fit_intercept, intercept_scaling, max_iter, tol }
    }
}

impl Written for LogisticParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Logistic(self.clone()))
    }
}

impl Written for LinearSvcParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Svm(self.clone()))
    }

    fn clash(&self) -> Option<Clash> {
        (self.loss == LossParam::Hinge && self.penalty == SvcPenalty::L1).then_some(Clash {
            param: "penalty",
            message: "the penalty `l1` does not go with the loss `hinge`",
            help: "use `loss: squared_hinge`, or `penalty: l2`",
        })
    }
}

struct Logistic(LogisticParams);

impl Logistic {
    fn one_vs_rest(&self) -> bool {
        self.0.multi_class == ManyClasses::OneVsRest
    }
}

impl Learner for Logistic {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Probabilities
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn advice(&self, name: &str) -> Vec<String> {
        let mut advice = Vec::new();
        let LogisticParams { c, penalty, l1_ratio, .. } = self.0;
        let usual = LogisticParams::default();
        if penalty != LogisticPenalty::ElasticNet && l1_ratio != usual.l1_ratio {
            advice.push(format!("`{name}` asks for its `l1_ratio` with `penalty: elastic_net` alone"));
        }
        if penalty == LogisticPenalty::None && c != usual.c {
            advice.push(format!("`{name}` has no use for its `c` with `penalty: none`"));
        }
        advice
    }

    fn linear(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let weights = on.weights(self.0.class_weight)?;
        let LogisticParams { c, penalty, l1_ratio, fit_intercept, max_iter, tol, .. } = self.0;
        let multi_class = if self.one_vs_rest() { MultiClass::OneVsRest } else { MultiClass::Multinomial };
        let (smooth, l1_ratio) = match penalty {
            LogisticPenalty::L2 => (Some(Penalised::Yes), 0.0),
            LogisticPenalty::None => (Some(Penalised::No), 0.0),
            LogisticPenalty::L1 => (None, 1.0),
            LogisticPenalty::ElasticNet => (None, l1_ratio),
        };
        let (model, end) = match smooth {
            Some(penalised) => {
                // without a penalty `c` says nothing
                let c = if penalised == Penalised::No { 1.0 } else { c };
                let solver = LogisticRegression { c, fit_intercept, max_iter, tol };
                let how = (multi_class, penalised);
                solver.fit_as(how, &on.laid()?.x, y, classes, weights.as_deref(), &on.stop())?
            }
            None => {
                let solver = ElasticLogistic { c, l1_ratio, multi_class, fit_intercept, max_iter, tol };
                solver.fit(&on.by_column()?.x, y, classes, weights.as_deref(), &on.stop())?
            }
        };
        Ok(fitted(&model, end, on)?)
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let model = linear_model(learned, classes)?;
        Ok(if self.one_vs_rest() { Box::new(EachProbable(model)) } else { Box::new(Probable(model)) })
    }
}

struct Svm(LinearSvcParams);

impl Learner for Svm {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Decisions
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn linear(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let weights = on.weights(self.0.class_weight)?;
        let LinearSvcParams { c, fit_intercept, intercept_scaling, max_iter, tol, .. } = self.0;
        let loss = match (self.0.loss, self.0.penalty) {
            (_, SvcPenalty::L1) => {
                let solver = SparseSvc { c, fit_intercept, intercept_scaling, max_iter, tol };
                let (model, end) = solver.fit(&on.by_column()?.x, y, classes, weights.as_deref(), &on.stop())?;
                return Ok(fitted(&model, end, on)?);
            }
            (LossParam::SquaredHinge, SvcPenalty::L2) => Loss::SquaredHinge,
            (LossParam::Hinge, SvcPenalty::L2) => Loss::Hinge,
        };
        let solver = LinearSvc { c, loss, fit_intercept, intercept_scaling, max_iter, tol };
        let (model, end) = solver.fit(&on.laid()?.x, y, classes, weights.as_deref(), &on.stop())?;
        Ok(fitted(&model, end, on)?)
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        Ok(Box::new(Decided(linear_model(learned, classes)?)))
    }
}

/// A linear model that gives probabilities.
pub(super) struct Probable(pub(super) LinearModel);

impl Model for Probable {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.0.predict_proba(x)
    }

    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        self.0.predict(x)
    }
}

/// A linear model of each class against the rest, that gives probabilities.
pub(super) struct EachProbable(pub(super) LinearModel);

impl Model for EachProbable {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.0.predict_proba_one_vs_rest(x)
    }

    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        self.0.predict(x)
    }
}

/// A linear model that gives decision values.
pub(super) struct Decided(pub(super) LinearModel);

impl Model for Decided {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let scores = self.0.decision_function(x)?;
        Ok(super::learner::both_sides(scores, self.0.classes))
    }

    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        self.0.predict(x)
    }
}

/// A linear regression.
pub(super) struct Valued(LinearFunction);

impl Model for Valued {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.0.predict(x)
    }
}

/// A linear classifier's table and how the fit ended.
pub(super) fn fitted(model: &LinearModel, end: Convergence, on: &Training<'_>) -> Result<Output, StageError> {
    Ok(ended(classifier_table(model, on.names())?, end, on))
}

/// A linear classifier's table, for [`linear_model`].
pub(super) fn classifier_table(model: &LinearModel, names: &[String]) -> Result<RecordBatch, StageError> {
    let positive = |output: usize| {
        let place = if model.coef.len() == 1 { model.present.len() - 1 } else { output };
        names[model.present[place] as usize].as_str()
    };
    let classes: Vec<&str> = (0..model.coef.len()).map(positive).collect();
    coefficients(&classes, &model.coef, &model.intercept)
}

/// A linear regression's table and how the fit ended.
pub(super) fn fitted_values(
    function: &LinearFunction,
    end: Convergence,
    on: &Training<'_>,
) -> Result<Output, StageError> {
    Ok(ended(coefficients(&[""], std::slice::from_ref(&function.coef), &[function.intercept])?, end, on))
}

fn ended(coefficients: RecordBatch, end: Convergence, on: &Training<'_>) -> Output {
    let mut output = Output::new()
        .table("coefficients", coefficients)
        .fact("objective", end.objective)
        .fact("gradient_norm", end.gradient_norm)
        .fact("iterations", end.iterations)
        .fact("converged", end.converged);
    if !end.converged {
        output = output.warn(format!(
            "`{}` stopped after {} iterations before it had converged; raise `max_iter`",
            on.learner(),
            end.iterations
        ));
    }
    output
}

/// Columns: output, class (its positive side; empty for a regression), intercept, coef. One row where two classes are told apart,
/// else one a class.
fn coefficients(classes: &[&str], coef: &[Vec<f64>], intercept: &[f64]) -> Result<RecordBatch, StageError> {
    let width = coef.first().map_or(0, Vec::len);
    let flat: Vec<f64> = coef.iter().flatten().copied().collect();
    let outputs = coef.len() as u32;
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, coef.len()));
    let field = Arc::new(Field::new("item", DataType::Float64, false));
    let coef =
        ListArray::try_new(field, offsets, Arc::new(Float64Array::from(flat)), None).map_err(StageError::caused)?;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("output", Arc::new(UInt32Array::from_iter_values(0..outputs)), false),
        ("class", Arc::new(StringArray::from_iter_values(classes)), false),
        ("intercept", Arc::new(Float64Array::from(intercept.to_vec())), false),
        ("coef", Arc::new(coef), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

/// A stored linear classifier.
pub(super) fn linear_model(learned: &Parts, classes: usize) -> Result<LinearModel, StageError> {
    let (coef, intercept) = stored(learned)?;
    Ok(LinearModel { classes, present: (0..classes as u32).collect(), coef, intercept })
}

/// A stored linear regression.
pub(super) fn linear_function(learned: &Parts) -> Result<Valued, StageError> {
    let (coef, intercept) = stored(learned)?;
    match (coef.into_iter().next(), intercept.first()) {
        (Some(coef), Some(&intercept)) => Ok(Valued(LinearFunction { coef, intercept })),
        _ => Err(StageError::failed("a model's table lacks its coefficients")),
    }
}

/// The weights and the intercept of each output.
pub(super) fn stored(learned: &Parts) -> Result<(Vec<Vec<f64>>, Vec<f64>), StageError> {
    let table = learned.table("coefficients")?;
    let missing = || StageError::failed("a model's table lacks its coefficients");
    let column = |name: &str| table.column_by_name(name).ok_or_else(missing);
    let intercept = column("intercept")?.as_any().downcast_ref::<Float64Array>().ok_or_else(missing)?;
    let lists = column("coef")?.as_any().downcast_ref::<ListArray>().ok_or_else(missing)?;
    let mut coef = Vec::with_capacity(lists.len());
    for list in 0..lists.len() {
        let values = lists.value(list);
        coef.push(values.as_any().downcast_ref::<Float64Array>().ok_or_else(missing)?.values().to_vec());
    }
    Ok((coef, intercept.values().to_vec()))
}
