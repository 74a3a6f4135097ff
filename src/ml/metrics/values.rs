//! How far are predicted numbers from the true ones? scikit-learn's regression metrics, and scipy's correlations.
//!
//! Ported from `sklearn/metrics/_regression.py` of scikit-learn 1.9.1 and from `pearsonr` and `spearmanr` of scipy 1.17. What
//! is not defined (no rows, a correlation with a constant, R² of one row) is `None`, never NaN.

use super::{Metric, OutcomeError};
use crate::ml::stats::mean;

/// True and predicted numbers of the same rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueOutcome<'a> {
    y_true: &'a [f64],
    y_pred: &'a [f64],
}

impl<'a> ValueOutcome<'a> {
    /// Puts truth and prediction side by side.
    ///
    /// # Errors
    /// Not one prediction for each row.
    pub fn new(y_true: &'a [f64], y_pred: &'a [f64]) -> Result<Self, OutcomeError> {
        match y_true.len() == y_pred.len() {
            true => Ok(ValueOutcome { y_true, y_pred }),
            false => Err(OutcomeError::Predictions { rows: y_true.len(), predicted: y_pred.len() }),
        }
    }

    /// True numbers.
    pub(super) fn y_true(&self) -> &'a [f64] {
        self.y_true
    }

    /// Predicted numbers.
    pub(super) fn y_pred(&self) -> &'a [f64] {
        self.y_pred
    }

    /// Truth less prediction, row by row.
    pub(super) fn errors(&self) -> impl Iterator<Item = f64> {
        self.y_true.iter().zip(self.y_pred).map(|(truth, predicted)| truth - predicted)
    }
}

/// The value of `metric`; `None` where it is not defined for these rows, or does not measure numbers.
pub fn compute_values(metric: Metric, outcome: &ValueOutcome<'_>) -> Option<f64> {
    let absolute = || outcome.errors().map(f64::abs);
    let squared = || mean(&outcome.errors().map(|error| error * error).collect::<Vec<_>>());
    let value = match metric {
        Metric::R2 => r2(outcome),
        Metric::RootMeanSquaredError => squared().map(f64::sqrt),
        Metric::MeanSquaredError => squared(),
        Metric::MeanAbsoluteError => mean(&absolute().collect::<Vec<_>>()),
        Metric::MedianAbsoluteError => median(absolute().collect()),
        Metric::MaxError => absolute().reduce(f64::max),
        Metric::Pearson => correlation(outcome.y_true, outcome.y_pred),
        Metric::Spearman => spearman(outcome),
        _ => None,
    };
    value.filter(|value| value.is_finite())
}

/// The share of the variance that is explained (`r2_score`). Where the truth is constant it is 1 for exact predictions, else 0
/// (`force_finite=True`); of fewer than two rows it is not defined.
fn r2(outcome: &ValueOutcome<'_>) -> Option<f64> {
    if outcome.y_true.len() < 2 {
        return None;
    }
    let center = mean(outcome.y_true)?;
    let left: f64 = outcome.errors().map(|error| error * error).sum();
    let constant = outcome.y_true.iter().all(|truth| *truth == outcome.y_true[0]);
    let all: f64 = outcome.y_true.iter().map(|truth| (truth - center) * (truth - center)).sum();
    Some(match (left == 0.0, constant) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => 1.0 - left / all,
    })
}

/// The middle value, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(low + (high - low) / 2.0)
}

/// Pearson's r of two equally long columns; `None` where one of them is constant, or there are fewer than two rows.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let (x, y) = (direction(x)?, direction(y)?);
    let r: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
    Some(r.clamp(-1.0, 1.0))
}

/// A column moved to mean 0 and scaled to length 1; `None` where it is constant or not finite.
fn direction(values: &[f64]) -> Option<Vec<f64>> {
    let first = *values.first()?;
    if values.iter().all(|value| *value == first) {
        return None;
    }
    let center = mean(values)?;
    let mut moved: Vec<f64> = values.iter().map(|value| value - center).collect();
    // by the largest first, so that no square overflows or vanishes
    let largest = moved.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    moved.iter_mut().for_each(|value| *value /= largest);
    let length = moved.iter().map(|value| value * value).sum::<f64>().sqrt();
    moved.iter_mut().for_each(|value| *value /= length);
    moved.iter().all(|value| value.is_finite()).then_some(moved)
}

/// Spearman's ρ: [`correlation`] of the ranks, of which equal values share the mean.
fn spearman(outcome: &ValueOutcome<'_>) -> Option<f64> {
    let finite = |values: &[f64]| values.iter().all(|value| !value.is_nan());
    if !finite(outcome.y_true) || !finite(outcome.y_pred) {
        return None;
    }
    correlation(&ranks(outcome.y_true), &ranks(outcome.y_pred))
}

/// The rank of each value, from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].partial_cmp(&values[b]).unwrap_or(std::cmp::Ordering::Equal));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tie in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (tie.len() as f64 + 1.0) / 2.0;
        tie.iter().for_each(|&row| ranks[row] = rank);
        before += tie.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::super::METRICS;
    use super::*;

    fn value(name: &str, y_true: &[f64], y_pred: &[f64]) -> Option<f64> {
        compute_values(Metric::named(name).unwrap(), &ValueOutcome::new(y_true, y_pred).unwrap())
    }

    /// scikit-learn 1.9.1 and scipy: each metric of
    /// `y = [3, -0.5, 2, 7, 4.25, 2, -1.5, 0]`, `p = [2.5, 0, 2, 8, 4, 2.5, -1.5, 1]`.
    #[test]
    fn eight_rows_agree_with_scikit_learn() {
        let (y, p) = ([3.0, -0.5, 2.0, 7.0, 4.25, 2.0, -1.5, 0.0], [2.5, 0.0, 2.0, 8.0, 4.0, 2.5, -1.5, 1.0]);
        let wanted = [
            ("r2", 0.9474835886214442),
            ("root_mean_squared_error", 0.5929270612815711),
            ("mean_squared_error", 0.3515625),
            ("mean_absolute_error", 0.46875),
            ("median_absolute_error", 0.5),
            ("max_error", 1.0),
            ("pearson", 0.9807465244634989),
            ("spearman", 0.9819277108433735),
        ];
        for (name, want) in wanted {
            let got = value(name, &y, &p).unwrap();
            assert!((got - want).abs() <= 1e-12, "{name}: {got} for {want}");
        }
    }

    #[test]
    fn what_is_not_defined_is_none() {
        for (name, metric, _) in METRICS {
            assert_eq!(value(name, &[], &[]), None, "{name}");
            if !metric.measures(super::super::Task::Values) {
                assert_eq!(value(name, &[1.0, 2.0], &[1.0, 2.0]), None, "{name}");
            }
        }
        let constant = [0.5; 3];
        assert_eq!(
            (value("pearson", &[1.0, 2.0, 3.0], &constant), value("spearman", &constant, &[1.0, 2.0, 3.0])),
            (None, None)
        );
        assert_eq!((value("r2", &[1.0], &[1.0]), value("pearson", &[1.0], &[2.0])), (None, None));
        // scikit-learn: r2_score([.5, .5, .5], [.5, .5, .5]) is 1, and of other predictions 0
        assert_eq!(
            (value("r2", &constant, &constant), value("r2", &constant, &[0.5, 0.5, 0.6])),
            (Some(1.0), Some(0.0))
        );
        assert_eq!(value("mean_absolute_error", &[1.0], &[3.0]), Some(2.0));
        for name in ["r2", "pearson", "spearman", "mean_squared_error", "median_absolute_error"] {
            assert_eq!(value(name, &[1.0, 2.0], &[f64::NAN, 1.0]), None, "{name}");
        }
        assert!(ValueOutcome::new(&[1.0], &[]).is_err());
    }

    #[test]
    fn correlations_stand_huge_and_tiny_numbers() {
        let (x, y) = ([1e300, -1e300, 0.0], [1e-300, -1e-300, 0.0]);
        assert!((value("pearson", &x, &y).unwrap() - 1.0).abs() < 1e-15);
        assert_eq!(value("spearman", &[1.0, 1.0, 2.0], &[5.0, 5.0, 4.0]), Some(-1.0));
    }
}
