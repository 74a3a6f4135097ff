//! How are features scaled? Column by column as learned from training rows, or each row by its own length.
//!
//! As in scikit-learn 1.9.1 (`preprocessing/_data.py`): `StandardScaler`, `MaxAbsScaler`, `MinMaxScaler`, `RobustScaler` and
//! `Normalizer`. Sums are f64. A sparse column is divided but never centred, since that would fill it.

use super::columns::{Column, map_columns};
use super::encode::{Scale, quantile};
use super::linear::{FitError, check_features};
use super::matrix::{Block, Features};

/// How columns are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaler {
    /// To mean 0 and variance 1 (of all values, not of a sample).
    Standard {
        /// Centre dense columns.
        with_mean: bool,
        /// Divide by the standard deviation.
        with_std: bool,
    },
    /// To a greatest absolute value of 1.
    MaxAbs,
    /// From the least to the greatest value: 0 to 1. Dense columns alone.
    MinMax,
    /// To median 0 and a distance of 1 between two quantiles.
    Robust {
        /// Take the median from dense columns.
        with_centering: bool,
        /// Divide by the distance.
        with_scaling: bool,
        /// The two quantiles, in percent.
        quantile_range: (f64, f64),
    },
}

/// The length of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowNorm {
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    L2,
    /// Greatest absolute value.
    Max,
}

impl Scaler {
    /// Learns what each column is scaled by. A constant column is not divided. Columns run in parallel on rayon's current pool.
    ///
    /// # Errors
    /// No rows, no columns, malformed blocks, values that are not finite; [`FitError::NeedsDense`] for `MinMax` on sparse blocks.
    pub fn fit(self, x: &Features) -> Result<Vec<Scale>, FitError> {
        check_features(x)?;
        match (x.rows(), x.cols()) {
            (0, _) => return Err(FitError::NoRows),
            (_, 0) => return Err(FitError::NoColumns),
            _ => {}
        }
        let sparse = x.blocks.iter().position(|block| matches!(block, Block::Sparse(_)));
        if let (Scaler::MinMax, Some(block)) = (self, sparse) {
            return Err(FitError::NeedsDense { block });
        }
        Ok(map_columns(x, |column| self.column(&column)))
    }

    fn column(self, column: &Column<'_>) -> Scale {
        let centred = |wanted: bool, centre: f64| if wanted && !column.is_sparse() { centre } else { 0.0 };
        match self {
            Scaler::Standard { with_mean, with_std } => {
                let (mean, variance) = column.moments();
                let scale = if with_std { divisor(variance.sqrt(), 0.0) } else { 1.0 };
                Scale { centre: centred(with_mean, mean), scale }
            }
            Scaler::MaxAbs => {
                let most = column.values.iter().fold(0.0, |most: f64, value| most.max(f64::from(value.abs())));
                Scale { centre: 0.0, scale: divisor(most, 10.0 * f64::EPSILON) }
            }
            Scaler::MinMax => {
                let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
                for (_, value) in column.entries() {
                    (least, greatest) = (least.min(value), greatest.max(value));
                }
                Scale { centre: least, scale: divisor(greatest - least, 10.0 * f64::EPSILON) }
            }
            Scaler::Robust { with_centering, with_scaling, quantile_range: (low, high) } => {
                let mut values: Vec<f64> = column.entries().map(|(_, value)| value).collect();
                values.resize(column.len, 0.0);
                values.sort_unstable_by(f64::total_cmp);
                let at = |percent: f64| quantile(&values, percent / 100.0);
                let scale = if with_scaling { divisor(at(high) - at(low), 10.0 * f64::EPSILON) } else { 1.0 };
                Scale { centre: centred(with_centering, at(50.0)), scale }
            }
        }
    }
}

/// What a column is divided by; 1 where its spread is below `least` or 0 (`_handle_zeros_in_scale`).
fn divisor(spread: f64, least: f64) -> f64 {
    if spread < least || spread == 0.0 { 1.0 } else { spread }
}

/// Scales every column; computed in f64. Sparse values that are not stored stay 0.
///
/// # Errors
/// Another number of columns, malformed blocks, values that are not finite before or after.
pub fn rescale(x: &mut Features, scales: &[Scale]) -> Result<(), FitError> {
    check_features(x)?;
    if scales.len() != x.cols() {
        return Err(FitError::Width { expected: scales.len(), found: x.cols() });
    }
    let mut rest = scales;
    for block in &mut x.blocks {
        let (own, others) = rest.split_at(block.cols());
        rest = others;
        match block {
            Block::Sparse(m) => {
                for (&j, value) in m.indices.iter().zip(&mut m.values) {
                    *value = own[j as usize].apply(f64::from(*value)) as f32;
                }
            }
            Block::Dense(m) => {
                for row in m.values.chunks_mut(own.len().max(1)) {
                    row.iter_mut().zip(own).for_each(|(value, scale)| *value = scale.apply(f64::from(*value)) as f32);
                }
            }
        }
    }
    check_features(x)
}

/// Divides each row by its length over all blocks; a row of zeros stays as it is. Computed in f64.
///
/// # Errors
/// Malformed blocks, values that are not finite.
pub fn normalise(x: &mut Features, norm: RowNorm) -> Result<(), FitError> {
    check_features(x)?;
    for row in 0..x.rows() {
        let length = x.blocks.iter_mut().fold(0.0, |so_far, block| {
            let values = row_of(block, row).iter().map(|value| f64::from(*value));
            match norm {
                RowNorm::L1 => values.fold(so_far, |sum, value| sum + value.abs()),
                RowNorm::L2 => values.fold(so_far, |sum, value| sum + value * value),
                RowNorm::Max => values.fold(so_far, |most: f64, value| most.max(value.abs())),
            }
        });
        let length = if norm == RowNorm::L2 { length.sqrt() } else { length };
        if length > 0.0 {
            for block in &mut x.blocks {
                row_of(block, row).iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
            }
        }
    }
    Ok(())
}

fn row_of(block: &mut Block, row: usize) -> &mut [f32] {
    match block {
        Block::Sparse(m) => &mut m.values[m.indptr[row]..m.indptr[row + 1]],
        Block::Dense(m) => &mut m.values[row * m.cols..(row + 1) * m.cols],
    }
}

#[cfg(test)]
#[path = "scale_tests.rs"]
mod tests;
