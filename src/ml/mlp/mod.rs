//! How does a small neural network learn? A multi-layer perceptron, trained by Adam.
//!
//! Names, defaults and formulas are scikit-learn's (`sklearn/neural_network/_multilayer_perceptron.py`, 1.9.1, `solver="adam"`); weights
//! are single precision. Sparse rows stay sparse: they gather rows of the first matrix. Dense products are candle's, on one thread,
//! and chance comes from the seed, so equal input gives equal bits for any number of threads; which bits, the machine's kernels
//! decide (see `crate::model::probe`). A fitted network answers row by row without them, see [`MlpModel`].

mod adam;
mod batch;
mod descent;
mod model;
mod products;
mod truth;

use self::descent::Descent;
use self::truth::Truth;
use super::linear::{FitError, ShouldStop, Targets, check_features, check_positive, checked_values};
use super::{Features, Rng};

pub use model::{Layer, MlpModel, Says};

/// What a hidden unit makes of its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// z.
    Identity,
    /// 1 / (1 + e^−z).
    Logistic,
    /// tanh z.
    Tanh,
    /// max(0, z).
    Relu,
}

/// The network and how it learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    /// Units of each hidden layer.
    pub hidden_layer_sizes: Vec<usize>,
    /// Of hidden units.
    pub activation: Activation,
    /// Strength of the L2 penalty: ½ · alpha · Σ w² / weight of a batch's rows.
    pub alpha: f64,
    /// Rows of a batch, or all where there are fewer.
    pub batch_size: usize,
    /// Adam's step.
    pub learning_rate_init: f64,
    /// Most passes over the rows.
    pub max_iter: usize,
    /// Shuffle the rows before each pass.
    pub shuffle: bool,
    /// Improvement of the loss, or of the score of the rows kept back, that counts.
    pub tol: f64,
    /// Stops once more passes than this, one after the other, brought no such improvement.
    pub n_iter_no_change: usize,
    /// The share of training rows that early stopping keeps back, above 0 and below 1; `None`: no early stopping.
    pub validation_fraction: Option<f64>,
    /// Adam's memory of the gradient, 0 or more and below 1.
    pub beta_1: f64,
    /// Adam's memory of its square, 0 or more and below 1.
    pub beta_2: f64,
    /// Keeps Adam's divisor from 0.
    pub epsilon: f64,
}

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpEnd {
    /// Passes over the rows.
    pub iterations: usize,
    /// Mean loss over the last pass, with the penalty.
    pub loss: f64,
    /// With early stopping, the greatest score of the rows kept back: share of right classes, or R².
    pub best_validation_score: Option<f64>,
    /// Whether it stopped by itself.
    pub converged: bool,
}

impl Default for Mlp {
    fn default() -> Self {
        Mlp {
            hidden_layer_sizes: vec![100],
            activation: Activation::Relu,
            alpha: 1e-4,
            batch_size: 200,
            learning_rate_init: 1e-3,
            max_iter: 200,
            shuffle: true,
            tol: 1e-4,
            n_iter_no_change: 10,
            validation_fraction: None,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// Most weights: beyond, they and Adam's two means of each fill 3 GB.
const MOST_WEIGHTS: usize = 1 << 28;

impl Mlp {
    /// Learns classes in `0..classes`, with a weight per row if given; rows of weight 0 take no part. `seed` decides the first weights,
    /// which rows are kept back, and the order of rows. Asks `should_stop` before each
    /// batch. Errors: malformed rows or labels, no columns, values or weights that are not finite, fewer than two classes,
    /// parameters out of range, no row to keep back, too many weights, a loss that is not finite.
    pub fn fit_classes(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<(MlpModel, MlpEnd), FitError> {
        self.check(x)?;
        let Targets { present, place, weight } = Targets::checked(x.rows(), y, classes, sample_weight)?;
        let outputs = if present.len() == 2 { 1 } else { present.len() };
        let truth = Truth::Classes { place: &place, count: present.len() };
        let (layers, end) = self.descend(x, truth, &weight, outputs, seed, should_stop)?;
        Ok((MlpModel { says: Says::Classes { count: classes, present }, activation: self.activation, layers }, end))
    }

    /// Learns a value per row. The rest is as for classes.
    pub fn fit_values(
        &self,
        x: &Features,
        y: &[f64],
        sample_weight: Option<&[f64]>,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<(MlpModel, MlpEnd), FitError> {
        self.check(x)?;
        let weight = checked_values(x.rows(), y, sample_weight)?;
        let (layers, end) = self.descend(x, Truth::Values(y), &weight, 1, seed, should_stop)?;
        Ok((MlpModel { says: Says::Value, activation: self.activation, layers }, end))
    }

    fn descend(
        &self,
        x: &Features,
        truth: Truth<'_>,
        weight: &[f64],
        outputs: usize,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<(Vec<Layer>, MlpEnd), FitError> {
        let mut rng = Rng::seeded(seed);
        let layers = self.start(x.cols(), outputs, &mut rng)?;
        let (learned, kept_back) = self.divided(truth, weight, &mut rng)?;
        Descent { mlp: self, x, truth, weight, learned, kept_back, should_stop }.run(layers, &mut rng)
    }

    fn check(&self, x: &Features) -> Result<(), FitError> {
        check_features(x)?;
        if x.cols() == 0 && x.rows() > 0 {
            return Err(FitError::NoColumns);
        }
        for (name, value) in [("learning_rate_init", self.learning_rate_init), ("epsilon", self.epsilon)] {
            check_positive(name, value)?;
        }
        let from_zero = |value: f64| value.is_finite() && value >= 0.0;
        let memory = |value: f64| (0.0..1.0).contains(&value);
        let share = |value: f64| value > 0.0 && value < 1.0;
        let least = |value: usize| (value as f64, value > 0, "at least 1");
        let rules = [
            ("alpha", (self.alpha, from_zero(self.alpha), "a finite number of 0 or more")),
            ("tol", (self.tol, from_zero(self.tol), "a finite number of 0 or more")),
            ("beta_1", (self.beta_1, memory(self.beta_1), "0 or more and below 1")),
            ("beta_2", (self.beta_2, memory(self.beta_2), "0 or more and below 1")),
            ("batch_size", least(self.batch_size)),
            ("max_iter", least(self.max_iter)),
            ("n_iter_no_change", least(self.n_iter_no_change)),
            ("hidden_layer_sizes", (0.0, !self.hidden_layer_sizes.contains(&0), "numbers of 1 or more")),
        ];
        for (name, (value, holds, rule)) in rules {
            if !holds {
                return Err(FitError::Parameter { name, value, rule });
            }
        }
        match self.validation_fraction {
            Some(value) if !share(value) => {
                Err(FitError::Parameter { name: "validation_fraction", value, rule: "a number between 0 and 1" })
            }
            _ => Ok(()),
        }
    }

    /// The first weights and biases: uniform in a span that keeps signals and gradients alike in size (Glorot and Bengio, 2010).
    fn start(&self, cols: usize, outputs: usize, rng: &mut Rng) -> Result<Vec<Layer>, FitError> {
        let hidden = self.hidden_layer_sizes.iter().copied();
        let widths: Vec<usize> = [cols].into_iter().chain(hidden).chain([outputs]).collect();
        let count = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1])).fold(0, usize::saturating_add);
        if count > MOST_WEIGHTS {
            let rule = "such that there are at most 268435456 weights (`select` and `reduce` make columns fewer)";
            return Err(FitError::Parameter { name: "hidden_layer_sizes", value: count as f64, rule });
        }
        let factor = if self.activation == Activation::Logistic { 2.0 } else { 6.0 };
        let layer = |pair: &[usize]| {
            let bound = (factor / (pair[0] + pair[1]) as f64).sqrt();
            let mut draw = |count: usize| (0..count).map(|_| ((2.0 * rng.uniform() - 1.0) * bound) as f32).collect();
            Layer { weights: draw(pair[0] * pair[1]), bias: draw(pair[1]) }
        };
        Ok(widths.windows(2).map(layer).collect())
    }

    /// The rows to learn from, and those kept back: of each class its share, rounded, but never all; of values, of all rows.
    fn divided(&self, truth: Truth<'_>, weight: &[f64], rng: &mut Rng) -> Result<(Vec<usize>, Vec<usize>), FitError> {
        let counts = weight.iter().enumerate().filter(|(_, weight)| **weight > 0.0).map(|(row, _)| row);
        let Some(share) = self.validation_fraction else { return Ok((counts.collect(), Vec::new())) };
        let mut groups = vec![Vec::new(); truth.groups()];
        counts.for_each(|row| groups[truth.group(row)].push(row));
        let (mut learned, mut kept_back) = (Vec::new(), Vec::new());
        for mut rows in groups {
            rng.shuffle(&mut rows);
            let taken = (share * rows.len() as f64).round() as usize;
            let (back, on) = rows.split_at(taken.min(rows.len().saturating_sub(1)));
            kept_back.extend_from_slice(back);
            learned.extend_from_slice(on);
        }
        if !truth.can_score(&kept_back) {
            let rule = match truth {
                Truth::Classes { .. } => "large enough that some class has a row to be scored on",
                Truth::Values(_) => "large enough that the rows to be scored on differ in their values",
            };
            return Err(FitError::Parameter { name: "validation_fraction", value: share, rule });
        }
        learned.sort_unstable();
        kept_back.sort_unstable();
        Ok((learned, kept_back))
    }
}

#[cfg(test)]
mod tests;
