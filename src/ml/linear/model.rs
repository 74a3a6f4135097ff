//! What does a fitted linear model answer? Decision values and, for logistic regression, probabilities.

use super::FitError;
use super::design::check_features;
use super::softmax::softmax;
use super::wide::{axpy, dense_dot, sparse_dot};
use crate::ml::{Block, Features};

/// A fitted linear classifier over `classes` classes.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    /// Number of classes that a row may have; outputs have this many columns (see the methods).
    pub classes: usize,
    /// The classes that training rows had, ascending; at least two.
    pub present: Vec<u32>,
    /// `n_out × n_features`: one row where two classes are present (its positive side is the second), else one per
    /// present class.
    pub coef: Vec<Vec<f64>>,
    /// One per output.
    pub intercept: Vec<f64>,
}

impl LinearModel {
    /// Decision values, row-major: `rows × 1` where `classes` is 2 (above 0: class 1), else `rows × classes`. A
    /// class that no training row had gets minus infinity; where only two of several had rows, they get ∓ the one
    /// decision value. Errors: another number of columns, malformed blocks, values that are not finite.
    pub fn decision_function(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let scores = self.outputs(x)?;
        if self.classes == 2 {
            return Ok(scores);
        }
        let pairs: Vec<f64>;
        let (narrow, k) = match self.coef.len() {
            1 => {
                pairs = scores.iter().flat_map(|&s| [-s, s]).collect();
                (&pairs, 2)
            }
            k => (&scores, k),
        };
        Ok(self.widened(narrow, k, f64::NEG_INFINITY))
    }

    /// Class probabilities of logistic regression, `rows × classes`, row-major: the logistic function for two
    /// classes, softmax beyond; 0 for a class that no training row had. Errors: as `decision_function`.
    pub fn predict_proba(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let mut scores = self.outputs(x)?;
        let k = self.present.len();
        if self.coef.len() == 1 {
            scores = scores.iter().flat_map(|&s| [sigmoid(-s), sigmoid(s)]).collect();
        } else {
            scores.chunks_exact_mut(k).for_each(|row| {
                softmax(row);
            });
        }
        if k == self.classes { Ok(scores) } else { Ok(self.widened(&scores, k, 0.0)) }
    }

    /// The class of the greatest decision value of each row (the first of equals). Errors: as `decision_function`.
    pub fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        let scores = self.outputs(x)?;
        if self.coef.len() == 1 {
            return Ok(scores.iter().map(|&s| self.present[usize::from(s > 0.0)]).collect());
        }
        let rows = scores.chunks_exact(self.coef.len().max(1));
        Ok(rows.map(|row| self.present[first_greatest(row)]).collect())
    }

    /// `rows × n_out` scores. A row's bits do not depend on the rows beside it.
    fn outputs(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        check_features(x)?;
        let expected = self.coef.first().map_or(0, Vec::len);
        if x.cols() != expected {
            return Err(FitError::Width { expected, found: x.cols() });
        }
        match self.coef.as_slice() {
            [only] => Ok((0..x.rows()).map(|i| self.intercept[0] + row_dot(x, i, only)).collect()),
            many => Ok(self.many_outputs(x, many)),
        }
    }

    fn many_outputs(&self, x: &Features, coef: &[Vec<f64>]) -> Vec<f64> {
        let (k, cols) = (coef.len(), x.cols());
        let mut by_column = vec![0.0; cols * k];
        for (which, coef) in coef.iter().enumerate() {
            for (j, c) in coef.iter().enumerate() {
                by_column[j * k + which] = *c;
            }
        }
        let mut out = Vec::with_capacity(x.rows() * k);
        for i in 0..x.rows() {
            out.extend_from_slice(&self.intercept);
            let row = &mut out[i * k..];
            let mut offset = 0;
            for block in &x.blocks {
                match block {
                    Block::Sparse(m) => {
                        let (js, xs) = m.row(i);
                        for (&j, &v) in js.iter().zip(xs) {
                            axpy(f64::from(v), &by_column[(offset + j as usize) * k..][..k], row);
                        }
                    }
                    Block::Dense(m) => {
                        for (j, &v) in m.row(i).iter().enumerate() {
                            axpy(f64::from(v), &by_column[(offset + j) * k..][..k], row);
                        }
                    }
                }
                offset += block.cols();
            }
        }
        out
    }

    /// Spreads `rows × k` values of the present classes over all classes.
    fn widened(&self, narrow: &[f64], k: usize, absent: f64) -> Vec<f64> {
        let mut wide = vec![absent; narrow.len() / k * self.classes];
        for (to, from) in wide.chunks_exact_mut(self.classes).zip(narrow.chunks_exact(k)) {
            for (&class, &value) in self.present.iter().zip(from) {
                to[class as usize] = value;
            }
        }
        wide
    }
}

fn row_dot(x: &Features, i: usize, coef: &[f64]) -> f64 {
    let (mut sum, mut offset) = (0.0, 0);
    for block in &x.blocks {
        let part = &coef[offset..offset + block.cols()];
        sum += match block {
            Block::Sparse(m) => {
                let (js, xs) = m.row(i);
                sparse_dot(js, xs, part)
            }
            Block::Dense(m) => dense_dot(m.row(i), part),
        };
        offset += block.cols();
    }
    sum
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Place of the greatest value, the first of equals.
pub(crate) fn first_greatest(values: &[f64]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}
