//! How are linear regressions with few weights asked for? Lasso and elastic net.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written};
use super::linear::{fitted_values, linear_function};
use crate::ml::linear::ElasticNet;
use crate::stage::{Output, Parts};

/// scikit-learn's Lasso: minimises the mean of ½ (y − f)² + alpha · ‖w‖₁ for the rows' `value`, so that few weights differ from 0. The intercept is not penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LassoParams {
    /// Strength of the penalty. (scikit-learn takes 0 too, and advises against it; take `ridge`.)
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Most passes over the weights that may leave 0.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when no weight's slope is further from what the optimum allows than this share of alpha. Tighter than scikit-learn's 1e-4 of the duality gap.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

/// scikit-learn's ElasticNet: minimises the mean of ½ (y − f)² + alpha · (l1_ratio · ‖w‖₁ + ½ (1 − l1_ratio) · ‖w‖²) for the rows' `value`. The intercept is not penalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ElasticNetParams {
    /// Strength of the penalty. (scikit-learn takes 0 too, and advises against it; take `ridge`.)
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// The share of ‖w‖₁.
    #[schemars(range(min = 0, max = 1))]
    l1_ratio: f64,
    /// Learn an intercept.
    fit_intercept: bool,
    /// Most passes over the weights that may leave 0.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when no weight's slope is further from what the optimum allows than this share of alpha · l1_ratio, or the gradient is at most this share of the L2 penalty's strength times the weights' norm. Tighter than scikit-learn's 1e-4 of the duality gap.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

impl Default for LassoParams {
    fn default() -> Self {
        let ElasticNet { alpha, fit_intercept, max_iter, tol, .. } = ElasticNet::default();
        LassoParams { alpha, fit_intercept, max_iter, tol }
    }
}

impl Default for ElasticNetParams {
    fn default() -> Self {
        let ElasticNet { alpha, l1_ratio, fit_intercept, max_iter, tol } = ElasticNet::default();
        ElasticNetParams { alpha, l1_ratio, fit_intercept, max_iter, tol }
    }
}

impl Written for LassoParams {
    fn learner(&self) -> Box<dyn Learner> {
        let LassoParams { alpha, fit_intercept, max_iter, tol } = *self;
        Box::new(FewWeights(ElasticNet { alpha, l1_ratio: 1.0, fit_intercept, max_iter, tol }))
    }
}

impl Written for ElasticNetParams {
    fn learner(&self) -> Box<dyn Learner> {
        let ElasticNetParams { alpha, l1_ratio, fit_intercept, max_iter, tol } = *self;
        Box::new(FewWeights(ElasticNet { alpha, l1_ratio, fit_intercept, max_iter, tol }))
    }
}

struct FewWeights(ElasticNet);

impl Learner for FewWeights {
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
        let (function, end) = self.0.fit(&on.by_column()?.x, y, weights.as_deref(), &on.stop())?;
        let nonzero = function.coef.iter().filter(|weight| **weight != 0.0).count();
        Ok(fitted_values(&function, end, on)?.fact("nonzero_weights", nonzero))
    }

    fn load(&self, learned: &Parts, _: usize) -> Result<Box<dyn Model>, Trouble> {
        Ok(Box::new(linear_function(learned)?))
    }
}
