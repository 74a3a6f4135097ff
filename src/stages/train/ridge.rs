//! How are ridge models and linear support vector regression asked for?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written};
use super::linear::{Decided, fitted, fitted_values, linear_function, linear_model};
use crate::ml::linear::{LinearSvr, Ridge, TubeLoss};
use crate::stage::{Output, Parts};

/// scikit-learn's RidgeClassifier: minimises Σ (±1 − f)² + alpha · ‖w‖², each of more than two classes against the rest. The intercept is not penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RidgeClassifierParams {
    /// Strength of the penalty.
    #[schemars(range(min = 0))]
    alpha: f64,
    /// How much each class counts.
    class_weight: ClassWeight,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Most conjugate-gradient steps. (Dense rows of up to 1024 columns are solved exactly.)
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when the gradient is at most this share of alpha times the weights' norm, which bounds the relative error of the weights. Tighter than scikit-learn's 1e-4.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

/// scikit-learn's Ridge: minimises Σ (y − f)² + alpha · ‖w‖² for the rows' `value`. The intercept is not penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RidgeParams {
    /// Strength of the penalty.
    #[schemars(range(min = 0))]
    alpha: f64,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Most conjugate-gradient steps. (Dense rows of up to 1024 columns are solved exactly.)
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when the gradient is at most this share of alpha times the weights' norm, which bounds the relative error of the weights. Tighter than scikit-learn's 1e-4.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

/// scikit-learn's LinearSVR: minimises ½‖(w, b)‖² + c · Σ loss for the rows' `value`. The intercept is penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LinearSvrParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// Errors up to this cost nothing.
    #[schemars(range(min = 0))]
    epsilon: f64,
    /// The loss of an error.
    loss: TubeParam,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Value of the constant feature behind the intercept.
    #[schemars(extend("exclusiveMinimum" = 0))]
    intercept_scaling: f64,
    /// Most passes over the rows (squared loss: Newton steps).
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop by liblinear's rule (squared loss: when the gradient is at most this share of the weights' norm).
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TubeParam {
    /// max(0, |e| − epsilon).
    EpsilonInsensitive,
    /// max(0, |e| − epsilon)².
    SquaredEpsilonInsensitive,
}

impl Default for RidgeClassifierParams {
    fn default() -> Self {
        let Ridge { alpha, fit_intercept, max_iter, tol } = Ridge::default();
        RidgeClassifierParams { alpha, class_weight: ClassWeight::None, fit_intercept, max_iter, tol }
    }
}

impl Default for RidgeParams {
    fn default() -> Self {
        let Ridge { alpha, fit_intercept, max_iter, tol } = Ridge::default();
        RidgeParams { alpha, fit_intercept, max_iter, tol }
    }
}

impl Default for LinearSvrParams {
    fn default() -> Self {
        let LinearSvr { c, epsilon, fit_intercept, intercept_scaling, max_iter, tol, .. } = LinearSvr::default();
        let loss = TubeParam::EpsilonInsensitive;
        LinearSvrParams { c, epsilon, loss, fit_intercept, intercept_scaling, max_iter, tol }
    }
}

impl Written for RidgeClassifierParams {
    fn learner(&self) -> Box<dyn Learner> {
        let RidgeClassifierParams { alpha, class_weight, fit_intercept, max_iter, tol } = *self;
        Box::new(RidgeClasses { solver: Ridge { alpha, fit_intercept, max_iter, tol }, class_weight })
    }
}

impl Written for RidgeParams {
    fn learner(&self) -> Box<dyn Learner> {
        let RidgeParams { alpha, fit_intercept, max_iter, tol } = *self;
        Box::new(Regression::Ridge(Ridge { alpha, fit_intercept, max_iter, tol }))
    }
}

impl Written for LinearSvrParams {
    fn learner(&self) -> Box<dyn Learner> {
        let loss = match self.loss {
            TubeParam::EpsilonInsensitive => TubeLoss::EpsilonInsensitive,
            TubeParam::SquaredEpsilonInsensitive => TubeLoss::SquaredEpsilonInsensitive,
        };
        let LinearSvrParams { c, epsilon, fit_intercept, intercept_scaling, max_iter, tol, .. } = *self;
        Box::new(Regression::Svr(LinearSvr { c, epsilon, loss, fit_intercept, intercept_scaling, max_iter, tol }))
    }
}

struct RidgeClasses {
    solver: Ridge,
    class_weight: ClassWeight,
}

impl Learner for RidgeClasses {
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
        let weights = on.weights(self.class_weight)?;
        let (model, end) = self.solver.fit_classes(&on.laid()?.x, y, classes, weights.as_deref(), &on.stop())?;
        Ok(fitted(&model, end, on)?)
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        Ok(Box::new(Decided(linear_model(learned, classes)?)))
    }
}

enum Regression {
    Ridge(Ridge),
    Svr(LinearSvr),
}

impl Learner for Regression {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Values
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn linear(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, weights) = (on.values()?, on.weights(ClassWeight::None)?);
        let laid = on.laid()?;
        let (function, end) = match self {
            Regression::Ridge(solver) => solver.fit(&laid.x, y, weights.as_deref(), &on.stop())?,
            Regression::Svr(solver) => solver.fit(&laid.x, y, weights.as_deref(), &on.stop())?,
        };
        Ok(fitted_values(&function, end, on)?)
    }

    fn load(&self, learned: &Parts, _: usize) -> Result<Box<dyn Model>, Trouble> {
        Ok(Box::new(linear_function(learned)?))
    }
}
