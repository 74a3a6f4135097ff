//! Which rising steps of a decision value are its probability? Isotonic regression.

use super::{CalibrateError, finite, weights};

/// A piecewise linear function that never falls: scikit-learn's `IsotonicRegression(out_of_bounds="clip")`, fitted by pooling
/// adjacent violators (Ayer et al., 1955).
#[derive(Debug, Clone, PartialEq)]
pub struct Isotonic {
    /// Decision values, rising.
    pub thresholds: Vec<f64>,
    /// The probability at each; in between it is interpolated, beyond the ends it stays.
    pub values: Vec<f64>,
}

impl Isotonic {
    /// Fits on one decision value a row; rows of equal decisions are joined first. Errors: lengths, no rows, values or
    /// weights that are not finite.
    pub fn fit(decisions: &[f64], positive: &[bool], weight: Option<&[f64]>) -> Result<Isotonic, CalibrateError> {
        let weight = weights(decisions.len(), positive.len(), weight)?;
        finite(decisions)?;
        let mut order: Vec<usize> = (0..decisions.len()).filter(|&i| weight[i] > 0.0).collect();
        order.sort_by(|&a, &b| decisions[a].total_cmp(&decisions[b]));
        let mut points: Vec<Point> = Vec::new();
        for i in order {
            let share = if positive[i] { weight[i] } else { 0.0 };
            match points.last_mut().filter(|last| last.at == decisions[i]) {
                Some(last) => {
                    last.positive += share;
                    last.weight += weight[i];
                }
                None => points.push(Point { at: decisions[i], positive: share, weight: weight[i] }),
            }
        }
        let values = pooled(&points);
        // of a level stretch its two ends say all
        let last = values.len() - 1;
        let turns = |&i: &usize| i == 0 || i == last || values[i] != values[i - 1] || values[i] != values[i + 1];
        let kept: Vec<usize> = (0..values.len()).filter(turns).collect();
        Ok(Isotonic {
            thresholds: kept.iter().map(|&i| points[i].at).collect(),
            values: kept.iter().map(|&i| values[i]).collect(),
        })
    }

    /// The probability of the positive class.
    pub fn apply(&self, decision: f64) -> f64 {
        let above = self.thresholds.partition_point(|t| *t <= decision);
        let (Some(first), Some(last)) = (self.values.first(), self.values.last()) else { return 0.5 };
        if above == 0 {
            return *first;
        }
        if above == self.thresholds.len() {
            return *last;
        }
        let (x0, x1) = (self.thresholds[above - 1], self.thresholds[above]);
        let (y0, y1) = (self.values[above - 1], self.values[above]);
        y0 + (y1 - y0) * ((decision - x0) / (x1 - x0))
    }
}

/// Rows of one decision value.
struct Point {
    at: f64,
    positive: f64,
    weight: f64,
}

/// The nearest values that never fall, in weighted squares.
fn pooled(points: &[Point]) -> Vec<f64> {
    // (positive weight, weight, number of points) of each level stretch
    let mut stretches: Vec<(f64, f64, usize)> = Vec::new();
    for point in points {
        let mut now = (point.positive, point.weight, 1);
        while let Some(&(positive, weight, count)) = stretches.last() {
            if positive / weight < now.0 / now.1 {
                break;
            }
            stretches.pop();
            now = (positive + now.0, weight + now.1, count + now.2);
        }
        stretches.push(now);
    }
    stretches.iter().flat_map(|(positive, weight, count)| std::iter::repeat_n(positive / weight, *count)).collect()
}
