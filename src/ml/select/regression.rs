//! How much does a column tell of a number? F of a regression on that column alone.

use super::{Score, tail};
use crate::ml::Features;
use crate::ml::columns::{Column, map_columns};
use crate::ml::linear::{FitError, check_features, checked_values};

/// scikit-learn's `f_regression`: `F = r² / (1 - r²) · (rows - 2)` of each column's correlation `r` with the values `y`; NaN for a column
/// that is constant, and for all of them where the values are. Rows count alike. Columns run in parallel on rayon's current pool; the bits do not depend on it.
///
/// # Errors
/// No rows, no columns, another number of values than rows, malformed blocks, values that are not finite.
pub fn f_regression(x: &Features, y: &[f64]) -> Result<Vec<Score>, FitError> {
    check_features(x)?;
    checked_values(x.rows(), y, None)?;
    if x.cols() == 0 {
        return Err(FitError::NoColumns);
    }
    let constant = y.windows(2).all(|pair| pair[0] == pair[1]);
    let rows = y.len() as f64;
    let mean = y.iter().sum::<f64>() / rows;
    let apart: Vec<f64> = y.iter().map(|value| value - mean).collect();
    let spread: f64 = apart.iter().map(|value| value * value).sum();
    // what the values that are not stored would add: the sum over all rows without those that are
    let all: f64 = apart.iter().sum();
    let score = |column: Column<'_>| {
        let (mean, variance) = column.moments();
        let within = rows - 2.0;
        if constant || variance == 0.0 || within <= 0.0 {
            return Score { score: f64::NAN, p_value: Some(f64::NAN) };
        }
        let (mut both, mut stored) = (0.0, 0.0);
        for (row, value) in column.entries() {
            both += (value - mean) * apart[row];
            stored += apart[row];
        }
        if column.is_sparse() {
            both -= mean * (all - stored);
        }
        let share = (both / (variance * rows) * (both / spread)).min(1.0);
        let score = share / (1.0 - share) * within;
        Score { score, p_value: Some(tail::f_ratio(score, 1.0, within)) }
    };
    Ok(map_columns(x, score))
}
