//! Which linear classifiers are there? Logistic regression and linear support vector machines.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written};
use crate::ml::Features;
use crate::ml::linear::{Convergence, FitError, LinearModel, LinearSvc, LogisticRegression, Loss};
use crate::stage::{Output, Parts, StageError};

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

impl Written for LogisticParams {
    fn learner(&self) -> Box<dyn Learner> {
        let (c, fit_intercept, max_iter, tol) = (self.c, self.fit_intercept, self.max_iter, self.tol);
        Box::new(Logistic {
            solver: LogisticRegression { c, fit_intercept, max_iter, tol },
            class_weight: self.class_weight,
        })
    }
}

impl Written for LinearSvcParams {
    fn learner(&self) -> Box<dyn Learner> {
        let loss = match self.loss {
            LossParam::SquaredHinge => Loss::SquaredHinge,
            LossParam::Hinge => Loss::Hinge,
        };
        let (c, fit_intercept, intercept_scaling) = (self.c, self.fit_intercept, self.intercept_scaling);
        let (max_iter, tol) = (self.max_iter, self.tol);
        Box::new(Svm {
            solver: LinearSvc { c, loss, fit_intercept, intercept_scaling, max_iter, tol },
            class_weight: self.class_weight,
        })
    }
}

struct Logistic {
    solver: LogisticRegression,
    class_weight: ClassWeight,
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

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let weights = on.weights(self.class_weight)?;
        let (model, end) = self.solver.fit(&on.laid()?.x, y, classes, weights.as_deref(), &on.stop())?;
        Ok(fitted(&model, end, on)?)
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        Ok(Box::new(Probable(linear_model(learned, classes)?)))
    }
}

struct Svm {
    solver: LinearSvc,
    class_weight: ClassWeight,
}

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

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let weights = on.weights(self.class_weight)?;
        let (model, end) = self.solver.fit(&on.laid()?.x, y, classes, weights.as_deref(), &on.stop())?;
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

/// A linear model that gives decision values.
struct Decided(LinearModel);

impl Model for Decided {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let scores = self.0.decision_function(x)?;
        Ok(super::learner::both_sides(scores, self.0.classes))
    }

    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        self.0.predict(x)
    }
}

/// A linear model's table and how the fit ended.
fn fitted(model: &LinearModel, end: Convergence, on: &Training<'_>) -> Result<Output, StageError> {
    let mut output = Output::new()
        .table("coefficients", coefficients(model, on.names())?)
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
    Ok(output)
}

/// Columns: output, class (its positive side), intercept, coef. One row where two classes are told apart, else one a class.
pub(super) fn coefficients(model: &LinearModel, classes: &[String]) -> Result<RecordBatch, StageError> {
    let positive = |output: usize| {
        let place = if model.coef.len() == 1 { model.present.len() - 1 } else { output };
        &classes[model.present[place] as usize]
    };
    let width = model.coef.first().map_or(0, Vec::len);
    let flat: Vec<f64> = model.coef.iter().flatten().copied().collect();
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, model.coef.len()));
    let field = Arc::new(Field::new("item", DataType::Float64, false));
    let coef =
        ListArray::try_new(field, offsets, Arc::new(Float64Array::from(flat)), None).map_err(StageError::caused)?;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("output", Arc::new(UInt32Array::from_iter_values(0..model.coef.len() as u32)), false),
        ("class", Arc::new(StringArray::from_iter_values((0..model.coef.len()).map(positive))), false),
        ("intercept", Arc::new(Float64Array::from(model.intercept.clone())), false),
        ("coef", Arc::new(coef), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

pub(super) fn linear_model(learned: &Parts, classes: usize) -> Result<LinearModel, StageError> {
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
    Ok(LinearModel { classes, present: (0..classes as u32).collect(), coef, intercept: intercept.values().to_vec() })
}
