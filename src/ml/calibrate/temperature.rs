//! By which factor are all scores too bold or too shy? Temperature scaling.

use super::{CalibrateError, finite, weights};

/// `softmax(beta · scores)`, where `beta` makes the log loss least (Guo, Pleiss, Sun and Weinberger, 2017; scikit-learn's
/// `method="temperature"`). The order of a row's classes stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// One over the temperature, within `e^±10`.
    pub beta: f64,
}

const WIDEST: f64 = 10.0;

impl Temperature {
    /// Fits on `rows × classes` scores (two classes with one decision value `d`: `-d` and `d`) and the class of each row.
    /// Errors: lengths, no rows, labels out of range, values or weights that are not finite.
    pub fn fit(
        scores: &[f64],
        classes: usize,
        labels: &[u32],
        weight: Option<&[f64]>,
    ) -> Result<Temperature, CalibrateError> {
        let rows = scores.len() / classes.max(1);
        let weight = weights(rows, labels.len(), weight)?;
        if let Err(CalibrateError::NonFinite { row }) = finite(scores) {
            return Err(CalibrateError::NonFinite { row: row / classes });
        }
        if let Some(row) = labels.iter().position(|&class| class as usize >= classes) {
            return Err(CalibrateError::ClassRange { row, class: labels[row], classes });
        }
        // the loss is convex in `beta`: its slope changes its sign once, and bisection finds where
        let (mut low, mut high) = (-WIDEST, WIDEST);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            let slope = slope(scores, classes, labels, &weight, middle.exp());
            *(if slope > 0.0 { &mut high } else { &mut low }) = middle;
        }
        Ok(Temperature { beta: (0.5 * (low + high)).exp() })
    }

    /// Turns one row's scores into probabilities. A class of minus infinity gets 0.
    pub fn apply(&self, scores: &mut [f64]) {
        softmax(scores, self.beta);
    }
}

fn softmax(scores: &mut [f64], beta: f64) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = (beta * (*s - top)).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
}

/// Slope of the log loss in `beta`.
fn slope(scores: &[f64], classes: usize, labels: &[u32], weight: &[f64], beta: f64) -> f64 {
    let mut shares = vec![0.0; classes];
    let mut sum = 0.0;
    for ((row, &label), w) in scores.chunks_exact(classes).zip(labels).zip(weight) {
        shares.copy_from_slice(row);
        softmax(&mut shares, beta);
        let expected: f64 = shares.iter().zip(row).map(|(p, s)| p * s).sum();
        sum += w * (expected - row[label as usize]);
    }
    sum
}
