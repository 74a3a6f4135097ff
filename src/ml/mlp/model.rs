//! What does a fitted network say of a row?

use rayon::prelude::*;

use super::super::linear::{FitError, check_features};
use super::super::{Block, Features};
use super::Activation;

/// One layer: a weight for each input and output, and a bias for each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Inputs × outputs, row-major.
    pub weights: Vec<f32>,
    /// One an output, at least one.
    pub bias: Vec<f32>,
}

/// What the last layer's outputs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Where two classes are present, one output, for the second; else one for each.
    Classes {
        /// Number of classes.
        count: usize,
        /// The classes that had training rows, ascending.
        present: Vec<u32>,
    },
    /// A value.
    Value,
}

/// A fitted network. It answers row by row, in double precision and in the order of its columns: a row's bits depend neither on the rows
/// beside it nor on whether its blocks are sparse, and no finite row is too great.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpModel {
    /// What its outputs are.
    pub says: Says,
    /// Of hidden units.
    pub activation: Activation,
    /// From the columns to the outputs.
    pub layers: Vec<Layer>,
}

/// Rows that one task answers.
const ROWS: usize = 64;

impl Layer {
    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.weights.len().checked_div(self.bias.len()).unwrap_or_default()
    }
}

impl MlpModel {
    /// The same model if its parts fit together; for models that were stored.
    pub fn checked(self) -> Result<MlpModel, FitError> {
        let stored = |message: &str| Err(FitError::Stored { message: message.to_owned() });
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if !self.layers.iter().all(|layer| finite(&layer.weights) && finite(&layer.bias)) {
            return stored("a weight is not a finite number");
        }
        let whole = |layer: &Layer| !layer.bias.is_empty() && layer.weights.len().is_multiple_of(layer.bias.len());
        let joined = self.layers.windows(2).all(|pair| pair[0].bias.len() == pair[1].inputs());
        let Some(last) = self.layers.last().filter(|_| joined && self.layers.iter().all(whole)) else {
            return stored("its layers do not fit together");
        };
        let outputs = match &self.says {
            Says::Value => 1,
            Says::Classes { count, present } => {
                let ascending = present.windows(2).all(|pair| pair[0] < pair[1]);
                if !ascending || present.len() < 2 || present.last().is_some_and(|&class| class as usize >= *count) {
                    return stored("it names classes that it does not have");
                }
                if present.len() == 2 { 1 } else { present.len() }
            }
        };
        match last.bias.len() == outputs {
            true => Ok(self),
            false => stored("it has outputs for other classes"),
        }
    }

    /// Number of classes; 0 for values.
    pub fn classes(&self) -> usize {
        match &self.says {
            Says::Classes { count, .. } => *count,
            Says::Value => 0,
        }
    }

    /// Probabilities, rows × classes, or a value per row. Rows go in parallel on rayon's current pool. Errors: malformed rows, another
    /// number of columns, values that are not finite.
    pub fn predict(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        check_features(x)?;
        let expected = self.layers.first().map_or(0, Layer::inputs);
        if x.cols() != expected {
            return Err(FitError::Width { expected, found: x.cols() });
        }
        let width = self.classes().max(1);
        let mut answers = vec![0.0; x.rows() * width];
        answers.par_chunks_mut(ROWS * width).enumerate().for_each(|(chunk, answers)| {
            let (mut sums, mut inputs) = (Vec::new(), Vec::new());
            for (row, answer) in answers.chunks_exact_mut(width).enumerate() {
                self.answer(x, chunk * ROWS + row, &mut sums, &mut inputs);
                self.say(&sums, answer);
            }
        });
        Ok(answers)
    }

    /// The last layer's sums for a row, in `sums`.
    fn answer(&self, x: &Features, row: usize, sums: &mut Vec<f64>, inputs: &mut Vec<f64>) {
        for (depth, layer) in self.layers.iter().enumerate() {
            sums.clear();
            sums.extend(layer.bias.iter().copied().map(f64::from));
            if depth == 0 {
                add_row(layer, x, row, sums);
            } else {
                inputs.iter().enumerate().for_each(|(input, &value)| layer.add(input, value, sums));
            }
            if depth + 1 < self.layers.len() {
                self.activation.apply_wide(sums);
                std::mem::swap(sums, inputs);
            }
        }
    }

    fn say(&self, sums: &[f64], answer: &mut [f64]) {
        match &self.says {
            Says::Value => answer.copy_from_slice(sums),
            Says::Classes { present, .. } => {
                let own = if let [sum] = sums { &[0.0, *sum] } else { sums };
                let greatest = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = own.iter().map(|sum| (sum - greatest).exp()).sum();
                for (&class, sum) in present.iter().zip(own) {
                    answer[class as usize] = (sum - greatest).exp() / total;
                }
            }
        }
    }
}

impl Layer {
    /// `sums += value · weights of the input`; nothing for 0, which sparse rows do not store.
    fn add(&self, input: usize, value: f64, sums: &mut [f64]) {
        if value == 0.0 {
            return;
        }
        let weights = &self.weights[input * self.bias.len()..][..self.bias.len()];
        sums.iter_mut().zip(weights).for_each(|(sum, &weight)| *sum += value * f64::from(weight));
    }
}

fn add_row(layer: &Layer, x: &Features, row: usize, sums: &mut [f64]) {
    let mut offset = 0;
    for block in &x.blocks {
        match block {
            Block::Sparse(m) => {
                let (columns, values) = m.row(row);
                for (&column, &value) in columns.iter().zip(values) {
                    layer.add(offset + column as usize, f64::from(value), sums);
                }
            }
            Block::Dense(m) => {
                let values = m.row(row).iter().enumerate();
                values.for_each(|(column, &value)| layer.add(offset + column, f64::from(value), sums));
            }
        }
        offset += block.cols();
    }
}

impl Activation {
    fn apply_wide(self, sums: &mut [f64]) {
        match self {
            Activation::Identity => {}
            Activation::Logistic => sums.iter_mut().for_each(|z| *z = 1.0 / (1.0 + (-*z).exp())),
            Activation::Tanh => sums.iter_mut().for_each(|z| *z = z.tanh()),
            Activation::Relu => sums.iter_mut().for_each(|z| *z = z.max(0.0)),
        }
    }

    /// In place, in single precision.
    pub(super) fn apply(self, sums: &mut [f32]) {
        match self {
            Activation::Identity => {}
            Activation::Logistic => sums.iter_mut().for_each(|z| *z = 1.0 / (1.0 + (-*z).exp())),
            Activation::Tanh => sums.iter_mut().for_each(|z| *z = z.tanh()),
            Activation::Relu => sums.iter_mut().for_each(|z| *z = z.max(0.0)),
        }
    }

    /// Multiplies `slopes` by the activation's slope where it gave `states`.
    pub(super) fn backward(self, states: &[f32], slopes: &mut [f32]) {
        let pairs = slopes.iter_mut().zip(states);
        match self {
            Activation::Identity => {}
            Activation::Logistic => pairs.for_each(|(slope, &a)| *slope *= a * (1.0 - a)),
            Activation::Tanh => pairs.for_each(|(slope, &a)| *slope *= 1.0 - a * a),
            Activation::Relu => pairs.for_each(|(slope, &a)| *slope = if a == 0.0 { 0.0 } else { *slope }),
        }
    }
}
