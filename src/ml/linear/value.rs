//! What does a fitted linear regression answer? A value a row.

use super::design::check_features;
use super::wide::{dense_dot, sparse_dot};
use super::{FitError, checked_weights};
use crate::ml::{Block, Features};

/// A fitted linear function.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFunction {
    /// One a feature column.
    pub coef: Vec<f64>,
    /// The value where all features are 0.
    pub intercept: f64,
}

impl LinearFunction {
    /// A value a row; its bits do not depend on the rows beside it. Errors: another number of columns, malformed blocks,
    /// values that are not finite.
    pub fn predict(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        check_features(x)?;
        if x.cols() != self.coef.len() {
            return Err(FitError::Width { expected: self.coef.len(), found: x.cols() });
        }
        let mut values = vec![self.intercept; x.rows()];
        let mut offset = 0;
        for block in &x.blocks {
            let coef = &self.coef[offset..offset + block.cols()];
            for (i, value) in values.iter_mut().enumerate() {
                *value += match block {
                    Block::Sparse(m) => {
                        let (js, xs) = m.row(i);
                        sparse_dot(js, xs, coef)
                    }
                    Block::Dense(m) => dense_dot(m.row(i), coef),
                };
            }
            offset += block.cols();
        }
        Ok(values)
    }
}

/// Checks the values to learn and the rows' weights (all 1 if not given). Errors: lengths, no rows, values or weights that are not finite.
pub(in crate::ml) fn checked_values(
    rows: usize,
    y: &[f64],
    sample_weight: Option<&[f64]>,
) -> Result<Vec<f64>, FitError> {
    if y.len() != rows {
        return Err(FitError::Length { what: "values", found: y.len(), rows });
    }
    match y.iter().position(|y| !y.is_finite()) {
        Some(row) => Err(FitError::Value { row, value: y[row] }),
        None => checked_weights(rows, sample_weight),
    }
}
