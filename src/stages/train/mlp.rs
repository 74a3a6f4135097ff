//! How are small neural networks asked for, and how is one kept?

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written, read_strings, strings};
use super::tree_tables::{column, table};
use crate::ml::Features;
use crate::ml::linear::FitError;
use crate::ml::mlp::{Activation, Layer, Mlp, MlpEnd, MlpModel, Says};
use crate::stage::{Numeric, Output, Parts, StageError};

/// scikit-learn's MLPClassifier with its solver adam: a small neural network that minimises the mean cross-entropy of batches. Features should be of like scale. Sparse rows stay sparse, but each batch moves every weight: thousands of columns are well served, millions are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MlpClassifierParams {
    /// Units of each hidden layer.
    #[schemars(inner(range(min = 1)))]
    hidden_layer_sizes: Vec<usize>,
    /// What a hidden unit makes of its sum.
    activation: ActivationParam,
    /// Strength of the L2 penalty on the weights; a batch's share of it is divided by its rows' weight.
    #[schemars(range(min = 0))]
    alpha: f64,
    /// Rows of a batch, or all where there are fewer.
    #[schemars(range(min = 1))]
    batch_size: usize,
    /// Adam's step.
    #[schemars(extend("exclusiveMinimum" = 0))]
    learning_rate_init: f64,
    /// Most passes over the rows.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Shuffle the rows before each pass.
    shuffle: bool,
    /// Stop when more than `n_iter_no_change` passes one after the other lowered the loss (with early stopping: raised the share of right classes) by less than this.
    #[schemars(range(min = 0))]
    tol: f64,
    /// See `tol`.
    #[schemars(range(min = 1))]
    n_iter_no_change: usize,
    /// Keep some training rows back, stop by them, and give the weights that answered them best.
    early_stopping: bool,
    /// The share of training rows that early stopping keeps back, of each class.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    validation_fraction: f64,
    /// Adam's memory of the gradient.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    beta_1: f64,
    /// Adam's memory of the gradient's square.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    beta_2: f64,
    /// What keeps Adam's divisor from 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    epsilon: f64,
    /// How much each class counts.
    class_weight: ClassWeight,
}

/// scikit-learn's MLPRegressor with its solver adam: a small neural network that minimises half the mean squared error of batches, for the rows' `value`. Features should be of like scale. Sparse rows stay sparse, but each batch moves every weight: thousands of columns are well served, millions are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MlpRegressorParams {
    /// Units of each hidden layer.
    #[schemars(inner(range(min = 1)))]
    hidden_layer_sizes: Vec<usize>,
    /// What a hidden unit makes of its sum.
    activation: ActivationParam,
    /// Strength of the L2 penalty on the weights; a batch's share of it is divided by its rows' weight.
    #[schemars(range(min = 0))]
    alpha: f64,
    /// Rows of a batch, or all where there are fewer.
    #[schemars(range(min = 1))]
    batch_size: usize,
    /// Adam's step.
    #[schemars(extend("exclusiveMinimum" = 0))]
    learning_rate_init: f64,
    /// Most passes over the rows.
    #[schemars(range(min = 1))]
    max_iter: usize,
    /// Shuffle the rows before each pass.
    shuffle: bool,
    /// Stop when more than `n_iter_no_change` passes one after the other lowered the loss (with early stopping: raised R² on the rows kept back) by less than this.
    #[schemars(range(min = 0))]
    tol: f64,
    /// See `tol`.
    #[schemars(range(min = 1))]
    n_iter_no_change: usize,
    /// Keep some training rows back, stop by them, and give the weights that answered them best.
    early_stopping: bool,
    /// The share of training rows that early stopping keeps back.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    validation_fraction: f64,
    /// Adam's memory of the gradient.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    beta_1: f64,
    /// Adam's memory of the gradient's square.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    beta_2: f64,
    /// What keeps Adam's divisor from 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    epsilon: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ActivationParam {
    /// z.
    Identity,
    /// 1 / (1 + e^−z).
    Logistic,
    /// tanh z.
    Tanh,
    /// max(0, z).
    Relu,
}

impl ActivationParam {
    fn activation(self) -> Activation {
        match self {
            ActivationParam::Identity => Activation::Identity,
            ActivationParam::Logistic => Activation::Logistic,
            ActivationParam::Tanh => Activation::Tanh,
            ActivationParam::Relu => Activation::Relu,
        }
    }

    fn of(activation: Activation) -> ActivationParam {
        match activation {
            Activation::Identity => ActivationParam::Identity,
            Activation::Logistic => ActivationParam::Logistic,
            Activation::Tanh => ActivationParam::Tanh,
            Activation::Relu => ActivationParam::Relu,
        }
    }
}

/// scikit-learn's default.
const VALIDATION_FRACTION: f64 = 0.1;

impl Default for MlpClassifierParams {
    fn default() -> Self {
        let of = Mlp::default();
        MlpClassifierParams {
            hidden_layer_sizes: of.hidden_layer_sizes,
            activation: ActivationParam::of(of.activation),
            alpha: of.alpha,
            batch_size: of.batch_size,
            learning_rate_init: of.learning_rate_init,
            max_iter: of.max_iter,
            shuffle: of.shuffle,
            tol: of.tol,
            n_iter_no_change: of.n_iter_no_change,
            early_stopping: false,
            validation_fraction: VALIDATION_FRACTION,
            beta_1: of.beta_1,
            beta_2: of.beta_2,
            epsilon: of.epsilon,
            class_weight: ClassWeight::None,
        }
    }
}

impl Default for MlpRegressorParams {
    fn default() -> Self {
        let of = Mlp::default();
        MlpRegressorParams {
            hidden_layer_sizes: of.hidden_layer_sizes,
            activation: ActivationParam::of(of.activation),
            alpha: of.alpha,
            batch_size: of.batch_size,
            learning_rate_init: of.learning_rate_init,
            max_iter: of.max_iter,
            shuffle: of.shuffle,
            tol: of.tol,
            n_iter_no_change: of.n_iter_no_change,
            early_stopping: false,
            validation_fraction: VALIDATION_FRACTION,
            beta_1: of.beta_1,
            beta_2: of.beta_2,
            epsilon: of.epsilon,
        }
    }
}

impl Written for MlpClassifierParams {
    fn learner(&self) -> Box<dyn Learner> {
        let of = self.clone();
        let mlp = Mlp {
            hidden_layer_sizes: of.hidden_layer_sizes,
            activation: of.activation.activation(),
            alpha: of.alpha,
            batch_size: of.batch_size,
            learning_rate_init: of.learning_rate_init,
            max_iter: of.max_iter,
            shuffle: of.shuffle,
            tol: of.tol,
            n_iter_no_change: of.n_iter_no_change,
            validation_fraction: of.early_stopping.then_some(of.validation_fraction),
            beta_1: of.beta_1,
            beta_2: of.beta_2,
            epsilon: of.epsilon,
        };
        Box::new(Network { mlp, gives: Gives::Probabilities, class_weight: of.class_weight })
    }
}

impl Written for MlpRegressorParams {
    fn learner(&self) -> Box<dyn Learner> {
        let of = self.clone();
        let mlp = Mlp {
            hidden_layer_sizes: of.hidden_layer_sizes,
            activation: of.activation.activation(),
            alpha: of.alpha,
            batch_size: of.batch_size,
            learning_rate_init: of.learning_rate_init,
            max_iter: of.max_iter,
            shuffle: of.shuffle,
            tol: of.tol,
            n_iter_no_change: of.n_iter_no_change,
            validation_fraction: of.early_stopping.then_some(of.validation_fraction),
            beta_1: of.beta_1,
            beta_2: of.beta_2,
            epsilon: of.epsilon,
        };
        Box::new(Network { mlp, gives: Gives::Values, class_weight: ClassWeight::None })
    }
}

struct Network {
    mlp: Mlp,
    gives: Gives,
    class_weight: ClassWeight,
}

impl Learner for Network {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        self.gives
    }

    fn numeric(&self) -> Numeric {
        Numeric::Simd
    }

    fn seeded(&self) -> bool {
        true
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (blocks, weights) = (on.blocks()?, on.weights(self.class_weight)?);
        let (weights, stop) = (weights.as_deref(), on.stop());
        let (model, end) = if self.gives == Gives::Values {
            self.mlp.fit_values(&blocks.x, on.values()?, weights, on.seed(), &stop)?
        } else {
            let (y, classes) = on.classes()?;
            self.mlp.fit_classes(&blocks.x, y, classes, weights, on.seed(), &stop)?
        };
        Ok(ended(written(&model)?, &model, end, on))
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let model = read(learned)?.checked()?;
        let wanted = if self.gives == Gives::Values { 0 } else { classes };
        match model.classes() == wanted {
            true => Ok(Box::new(model)),
            false => Err(FitError::Stored { message: "it is of other classes".to_owned() }.into()),
        }
    }
}

impl Model for MlpModel {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.predict(x)
    }
}

/// Number of weights beyond which a batch takes more than about a tenth of a second on one core.
const SLOW_BEYOND: usize = 1 << 24;

fn ended(mut output: Output, model: &MlpModel, end: MlpEnd, on: &Training<'_>) -> Output {
    let (name, weights) = (on.learner(), model.layers.iter().map(|layer| layer.weights.len()).sum::<usize>());
    output = output
        .fact("weights", weights)
        .fact("loss", end.loss)
        .fact("iterations", end.iterations)
        .fact("converged", end.converged);
    if let Some(score) = end.best_validation_score {
        output = output.fact("best_validation_score", score);
    }
    if !end.converged {
        output = output.warn(format!(
            "`{name}` stopped after {} passes over the rows before it had converged; raise `max_iter`",
            end.iterations
        ));
    }
    if weights > SLOW_BEYOND {
        let message = format!("`{name}` has {weights} weights, and each batch moves every one of them");
        output = output.warn(format!("{message}; make the columns fewer by `select` or `reduce`"));
    }
    output
}

/// What is not a number of the network.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    activation: ActivationParam,
    /// Columns, units of each hidden layer, outputs.
    widths: Vec<usize>,
    /// A classifier's.
    classes: Option<Classes>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Classes {
    count: usize,
    present: Vec<u32>,
}

/// The parts `head` and `weights` (value: of each layer the weights, inputs × outputs and row-major, then the biases).
fn written(model: &MlpModel) -> Result<Output, StageError> {
    let classes = match &model.says {
        Says::Value => None,
        Says::Classes { count, present } => Some(Classes { count: *count, present: present.clone() }),
    };
    let columns = model.layers.first().map_or(0, Layer::inputs);
    let widths = [columns].into_iter().chain(model.layers.iter().map(|layer| layer.bias.len())).collect();
    let head = Head { activation: ActivationParam::of(model.activation), widths, classes };
    let head = serde_json::to_string(&head).map_err(StageError::caused)?;
    let values = model.layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.bias).copied());
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
    Ok(Output::new().table("head", strings("json", &[head])?).table("weights", table([("value", values)])?))
}

/// The model, as it stands there.
fn read(learned: &Parts) -> Result<MlpModel, StageError> {
    let head = read_strings(&*learned.table("head")?, "json")?;
    let head: Head = serde_json::from_str(head.first().map_or("", String::as_str)).map_err(StageError::caused)?;
    let weights = learned.table("weights")?;
    let mut rest: &[f32] = column::<Float32Array>(&weights, "value")?.values();
    let unfit = || StageError::failed("a model's weights do not fit its layers");
    let mut next = |count: Option<usize>| -> Result<Vec<f32>, StageError> {
        let (own, others) = count.and_then(|count| rest.split_at_checked(count)).ok_or_else(unfit)?;
        rest = others;
        Ok(own.to_vec())
    };
    let mut layers = Vec::new();
    for pair in head.widths.windows(2) {
        layers.push(Layer { weights: next(pair[0].checked_mul(pair[1]))?, bias: next(Some(pair[1]))? });
    }
    if !rest.is_empty() {
        return Err(unfit());
    }
    let says = match head.classes {
        None => Says::Value,
        Some(Classes { count, present }) => Says::Classes { count, present },
    };
    Ok(MlpModel { says, activation: head.activation.activation(), layers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Made, Part};

    fn model(says: Says) -> MlpModel {
        let layer = |inputs: u8, outputs: u8| {
            let numbers = |count: u8| (0..count).map(|i| f32::from(i) - 0.75).collect();
            Layer { weights: numbers(inputs * outputs), bias: numbers(outputs) }
        };
        let outputs = if says == Says::Value { 1 } else { 3 };
        MlpModel { says, activation: Activation::Tanh, layers: vec![layer(4, 2), layer(2, 5), layer(5, outputs)] }
    }

    fn parts(output: Output) -> Parts {
        let mut parts = Parts::default();
        for (name, made) in output.parts {
            let Made::Table(table) = made else { panic!("{name} is no table") };
            parts.insert(name.as_str(), Part::memory(table));
        }
        parts
    }

    #[test]
    fn a_network_is_read_as_it_was_written() {
        for says in [Says::Value, Says::Classes { count: 9, present: vec![0, 3, 8] }] {
            let model = model(says);
            let parts = parts(written(&model).unwrap());
            assert_eq!(read(&parts).unwrap().checked().unwrap(), model);
        }
    }

    #[test]
    fn weights_that_are_too_few_or_too_many_are_refused() {
        let written = |model: &MlpModel| parts(written(model).unwrap());
        let whole = model(Says::Value);
        for change in [-1isize, 1] {
            let mut other = whole.clone();
            let bias = &mut other.layers[2].bias;
            bias.resize((bias.len() as isize + change) as usize, 0.0);
            let mut mangled = written(&whole);
            mangled.insert("weights", Part::memory((*written(&other).table("weights").unwrap()).clone()));
            let error = read(&mangled).unwrap_err();
            assert_eq!(error.to_string(), "a model's weights do not fit its layers");
        }
    }
}
