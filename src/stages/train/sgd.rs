//! How are linear models learned by stochastic gradient descent asked for?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written, both_sides};
use super::linear::{Decided, EachProbable, fitted, fitted_values, linear_function, linear_model};
use crate::ml::Features;
use crate::ml::calibrate::normalised;
use crate::ml::linear::{FitError, LearningRate, LinearModel, Sgd, SgdLoss};
use crate::stage::{Output, Parts};

/// scikit-learn's SGDClassifier: minimises mean loss + alpha · penalty by one step a row, for corpora that are too large for the others. More than two classes are learned one against the rest, side by side in the same passes. The intercept is not penalised. Features should be of like scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SgdClassifierParams {
    /// The loss of a margin.
    loss: ClassLoss,
    /// How much each class counts.
    class_weight: ClassWeight,
    /// What keeps the weights small.
    penalty: SgdPenalty,
    /// The share of ‖w‖₁ with `penalty: elastic_net`.
    #[schemars(range(min = 0, max = 1))]
    l1_ratio: f64,
    /// Strength of the penalty; the optimal learning rate depends on it too.
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// Learn an intercept. Its steps are a hundredth of the others' where rows are sparse, as in scikit-learn.
    fit_intercept: bool,
    /// Most passes over the rows.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when `n_iter_no_change` passes one after the other lowered the objective (with early stopping: the error on the rows kept back) by less than this; null: never.
    tol: Option<f64>,
    /// See `tol`.
    #[schemars(range(min = 1))]
    n_iter_no_change: usize,
    /// Shuffle the rows before each pass.
    shuffle: bool,
    /// How far a step goes.
    learning_rate: Rate,
    /// The (first) step's length; the optimal learning rate finds its own.
    #[schemars(extend("exclusiveMinimum" = 0))]
    eta0: f64,
    /// Exponent of the learning rate invscaling.
    power_t: f64,
    /// Give the mean of the weights after all steps.
    average: bool,
    /// Keep some training rows back and stop by them.
    early_stopping: bool,
    /// The share of training rows that early stopping keeps back, of each class.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    validation_fraction: f64,
}

/// scikit-learn's SGDRegressor: minimises mean loss + alpha · penalty by one step a row, for the rows' `value`. The intercept is not penalised. Features should be of like scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SgdRegressorParams {
    /// The loss of an error.
    loss: ValueLoss,
    /// Where huber becomes linear; errors up to which the losses epsilon_insensitive and squared_epsilon_insensitive cost nothing.
    #[schemars(range(min = 0))]
    epsilon: f64,
    /// What keeps the weights small.
    penalty: SgdPenalty,
    /// The share of ‖w‖₁ with `penalty: elastic_net`.
    #[schemars(range(min = 0, max = 1))]
    l1_ratio: f64,
    /// Strength of the penalty; the optimal learning rate depends on it too.
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// Learn an intercept. Its steps are a hundredth of the others' where rows are sparse, as in scikit-learn.
    fit_intercept: bool,
    /// Most passes over the rows.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Stop when `n_iter_no_change` passes one after the other lowered the objective (with early stopping: the error on the rows kept back) by less than this; null: never.
    tol: Option<f64>,
    /// See `tol`.
    #[schemars(range(min = 1))]
    n_iter_no_change: usize,
    /// Shuffle the rows before each pass.
    shuffle: bool,
    /// How far a step goes.
    learning_rate: Rate,
    /// The (first) step's length; the optimal learning rate finds its own.
    #[schemars(extend("exclusiveMinimum" = 0))]
    eta0: f64,
    /// Exponent of the learning rate invscaling.
    power_t: f64,
    /// Give the mean of the weights after all steps.
    average: bool,
    /// Keep some training rows back and stop by them.
    early_stopping: bool,
    /// The share of training rows that early stopping keeps back, of each class.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    validation_fraction: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ClassLoss {
    /// max(0, 1 − z): a linear SVM; decision values.
    Hinge,
    /// log(1 + exp(−z)): logistic regression; probabilities.
    LogLoss,
    /// max(0, 1 − z)², linear below z = −1; probabilities (z cut to ±1).
    ModifiedHuber,
    /// max(0, 1 − z)²; decision values.
    SquaredHinge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ValueLoss {
    /// ½ e².
    SquaredError,
    /// ½ e², linear beyond epsilon.
    Huber,
    /// max(0, |e| − epsilon).
    EpsilonInsensitive,
    /// max(0, |e| − epsilon)².
    SquaredEpsilonInsensitive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SgdPenalty {
    /// ½‖w‖².
    L2,
    /// ‖w‖₁: fewer weights differ from 0.
    L1,
    /// l1_ratio · ‖w‖₁ + ½ (1 − l1_ratio) ‖w‖².
    ElasticNet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rate {
    /// 1 / (alpha (t₀ + t)), t₀ by Bottou's heuristic.
    Optimal,
    /// eta0.
    Constant,
    /// eta0 / t^power_t.
    Invscaling,
}

impl SgdPenalty {
    /// The share of ‖w‖₁.
    fn l1_share(self, l1_ratio: f64) -> f64 {
        match self {
            SgdPenalty::L2 => 0.0,
            SgdPenalty::L1 => 1.0,
            SgdPenalty::ElasticNet => l1_ratio,
        }
    }

    fn advice(self, l1_ratio: f64, name: &str) -> Vec<String> {
        match self {
            SgdPenalty::L1 | SgdPenalty::L2 if l1_ratio != L1_RATIO => {
                vec![format!("`{name}` asks for its `l1_ratio` with `penalty: elastic_net` alone")]
            }
            _ => Vec::new(),
        }
    }
}

impl Rate {
    fn rate(self) -> LearningRate {
        match self {
            Rate::Optimal => LearningRate::Optimal,
            Rate::Constant => LearningRate::Constant,
            Rate::Invscaling => LearningRate::InvScaling,
        }
    }
}

/// scikit-learn's default.
const L1_RATIO: f64 = 0.15;
const VALIDATION_FRACTION: f64 = 0.1;

impl Default for SgdClassifierParams {
    fn default() -> Self {
        let Sgd { alpha, fit_intercept, max_iter, tol, n_iter_no_change, shuffle, eta0, power_t, .. } = Sgd::default();
        SgdClassifierParams {
            loss: ClassLoss::Hinge,
            class_weight: ClassWeight::None,
            penalty: SgdPenalty::L2,
            l1_ratio: L1_RATIO,
            alpha,
            fit_intercept,
            max_iter,
            tol,
            n_iter_no_change,
            shuffle,
            learning_rate: Rate::Optimal,
            eta0,
            power_t,
            average: false,
            early_stopping: false,
            validation_fraction: VALIDATION_FRACTION,
        }
    }
}

impl Default for SgdRegressorParams {
    fn default() -> Self {
        let Sgd { alpha, fit_intercept, max_iter, tol, n_iter_no_change, shuffle, eta0, .. } = Sgd::default();
        SgdRegressorParams {
            loss: ValueLoss::SquaredError,
            epsilon: 0.1,
            penalty: SgdPenalty::L2,
            l1_ratio: L1_RATIO,
            alpha,
            fit_intercept,
            max_iter,
            tol,
            n_iter_no_change,
            shuffle,
            learning_rate: Rate::Invscaling,
            eta0,
            power_t: 0.25,
            average: false,
            early_stopping: false,
            validation_fraction: VALIDATION_FRACTION,
        }
    }
}

impl Written for SgdClassifierParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Classes(self.clone()))
    }
}

impl Written for SgdRegressorParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Values(self.clone()))
    }
}

struct Classes(SgdClassifierParams);

impl Classes {
    fn sgd(&self, seed: u64) -> Sgd {
        let p = &self.0;
        Sgd {
            loss: match p.loss {
                ClassLoss::Hinge => SgdLoss::Hinge,
                ClassLoss::LogLoss => SgdLoss::LogLoss,
                ClassLoss::ModifiedHuber => SgdLoss::ModifiedHuber,
                ClassLoss::SquaredHinge => SgdLoss::SquaredHinge,
            },
            l1_ratio: p.penalty.l1_share(p.l1_ratio),
            alpha: p.alpha,
            fit_intercept: p.fit_intercept,
            max_iter: p.max_iter,
            tol: p.tol,
            n_iter_no_change: p.n_iter_no_change,
            shuffle: p.shuffle,
            learning_rate: p.learning_rate.rate(),
            eta0: p.eta0,
            power_t: p.power_t,
            average: usize::from(p.average),
            validation_fraction: p.early_stopping.then_some(p.validation_fraction),
            seed,
        }
    }
}

impl Learner for Classes {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        match self.0.loss {
            ClassLoss::LogLoss | ClassLoss::ModifiedHuber => Gives::Probabilities,
            ClassLoss::Hinge | ClassLoss::SquaredHinge => Gives::Decisions,
        }
    }

    fn seeded(&self) -> bool {
        true
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn advice(&self, name: &str) -> Vec<String> {
        self.0.penalty.advice(self.0.l1_ratio, name)
    }

    fn linear(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let weights = on.weights(self.0.class_weight)?;
        let blocks = on.blocks()?;
        let (model, end) = self.sgd(on.seed()).fit_classes(&blocks.x, y, classes, weights.as_deref(), &on.stop())?;
        Ok(fitted(&model, end, on)?)
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let model = linear_model(learned, classes)?;
        Ok(match self.0.loss {
            ClassLoss::LogLoss => Box::new(EachProbable(model)),
            ClassLoss::ModifiedHuber => Box::new(Cut(model)),
            ClassLoss::Hinge | ClassLoss::SquaredHinge => Box::new(Decided(model)),
        })
    }
}

/// Probabilities of the modified Huber loss: `(z + 1) / 2` with `z` cut to ±1, scaled to sum to 1 (Zhang and Elkan, 2002, as in scikit-learn).
struct Cut(LinearModel);

impl Model for Cut {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let mut scores = both_sides(self.0.decision_function(x)?, self.0.classes);
        scores.iter_mut().for_each(|z| *z = 0.5 * (z.clamp(-1.0, 1.0) + 1.0));
        normalised(&mut scores, &vec![true; self.0.classes]);
        Ok(scores)
    }

    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        self.0.predict(x)
    }
}

struct Values(SgdRegressorParams);

impl Values {
    fn sgd(&self, seed: u64) -> Sgd {
        let (p, epsilon) = (&self.0, self.0.epsilon);
        Sgd {
            loss: match p.loss {
                ValueLoss::SquaredError => SgdLoss::SquaredError,
                ValueLoss::Huber => SgdLoss::Huber { epsilon },
                ValueLoss::EpsilonInsensitive => SgdLoss::EpsilonInsensitive { epsilon },
                ValueLoss::SquaredEpsilonInsensitive => SgdLoss::SquaredEpsilonInsensitive { epsilon },
            },
            l1_ratio: p.penalty.l1_share(p.l1_ratio),
            alpha: p.alpha,
            fit_intercept: p.fit_intercept,
            max_iter: p.max_iter,
            tol: p.tol,
            n_iter_no_change: p.n_iter_no_change,
            shuffle: p.shuffle,
            learning_rate: p.learning_rate.rate(),
            eta0: p.eta0,
            power_t: p.power_t,
            average: usize::from(p.average),
            validation_fraction: p.early_stopping.then_some(p.validation_fraction),
            seed,
        }
    }
}

impl Learner for Values {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Values
    }

    fn seeded(&self) -> bool {
        true
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn advice(&self, name: &str) -> Vec<String> {
        self.0.penalty.advice(self.0.l1_ratio, name)
    }

    fn linear(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, weights) = (on.values()?, on.weights(ClassWeight::None)?);
        let blocks = on.blocks()?;
        let (function, end) = self.sgd(on.seed()).fit(&blocks.x, y, weights.as_deref(), &on.stop())?;
        Ok(fitted_values(&function, end, on)?)
    }

    fn load(&self, learned: &Parts, _: usize) -> Result<Box<dyn Model>, Trouble> {
        Ok(Box::new(linear_function(learned)?))
    }
}
