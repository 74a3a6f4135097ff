//! How does Gaussian naive Bayes learn and score? A mean and a variance for each class and column.

use rayon::prelude::*;

use super::{Classes, each};
use crate::ml::linear::{FitError, check_features, check_positive};
use crate::ml::{Block, Features};

/// Values of a class are normal in each column by itself: ln P(class) − ½ Σ ln(2πσ²) − ½ Σ (x − μ)² / σ².
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianNb {
    /// This share of the greatest variance of a column is added to every variance; above 0.
    pub var_smoothing: f64,
}

/// A fitted one.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianModel {
    /// Number of classes that a row may have.
    pub classes: usize,
    /// The classes that training rows had, ascending; all below are one a present class.
    pub present: Vec<u32>,
    /// ln of the class's share of the rows.
    pub log_prior: Vec<f64>,
    /// By column.
    pub mean: Vec<Vec<f64>>,
    /// By column, smoothed; above 0.
    pub variance: Vec<Vec<f64>>,
}

impl Default for GaussianNb {
    fn default() -> Self {
        GaussianNb { var_smoothing: 1e-9 }
    }
}

impl GaussianNb {
    /// Fits on `y` in `0..classes`. Where no column varies at all, every variance is 1 (scikit-learn divides by 0). Errors:
    /// values that are not finite, a `var_smoothing` that is not above 0, malformed rows, labels or weights, fewer than two classes.
    pub fn fit(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
    ) -> Result<GaussianModel, FitError> {
        check_positive("var_smoothing", self.var_smoothing)?;
        let of = Classes::checked(x, y, classes, sample_weight)?;
        let smoothing = self.var_smoothing * greatest_variance(x);
        let smoothing = if smoothing > 0.0 { smoothing } else { 1.0 };
        let cols = x.cols();
        let mut mean = of.sums(x, f64::from);
        for (mean, total) in mean.chunks_exact_mut(cols).zip(&of.total) {
            mean.iter_mut().for_each(|mean| *mean /= total);
        }
        let mut variance = squares(x, &of, &mean);
        for (variance, total) in variance.chunks_exact_mut(cols).zip(&of.total) {
            variance.iter_mut().for_each(|variance| *variance = *variance / total + smoothing);
        }
        let by_class = |flat: &[f64]| flat.chunks_exact(cols).map(<[f64]>::to_vec).collect();
        Ok(GaussianModel {
            classes,
            log_prior: of.log_priors(true),
            mean: by_class(&mean),
            variance: by_class(&variance),
            present: of.present,
        })
    }
}

/// Weighted sums of (x − mean)² by class and column. What sparse rows do not store is 0.
fn squares(x: &Features, of: &Classes, mean: &[f64]) -> Vec<f64> {
    let cols = x.cols();
    let (mut squares, mut stored) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
    for (row, (&place, &w)) in of.place.iter().zip(&of.weight).enumerate() {
        let (mean, span) = (&mean[place * cols..][..cols], place * cols..(place + 1) * cols);
        let (squares, stored) = (&mut squares[span.clone()], &mut stored[span]);
        each(x, row, |column, value| {
            let from_mean = f64::from(value) - mean[column];
            squares[column] += w * from_mean * from_mean;
            stored[column] += w;
        });
    }
    for (at, square) in squares.iter_mut().enumerate() {
        *square += (of.total[at / cols] - stored[at]).max(0.0) * mean[at] * mean[at];
    }
    squares
}

/// The greatest variance of a column over all rows, without weights (as in scikit-learn).
fn greatest_variance(x: &Features) -> f64 {
    let one = Classes {
        present: vec![0],
        place: vec![0; x.rows()],
        weight: vec![1.0; x.rows()],
        total: vec![x.rows() as f64],
    };
    let mut mean = one.sums(x, f64::from);
    mean.iter_mut().for_each(|mean| *mean /= x.rows() as f64);
    let greatest = squares(x, &one, &mean).into_iter().fold(0.0, f64::max);
    greatest / x.rows() as f64
}

/// Rows that one task scores.
const CHUNK: usize = 256;

impl GaussianModel {
    /// Class probabilities, rows × classes, row-major; 0 for a class that no training row had. A row's bits do not depend on the
    /// rows beside it. Errors: another number of columns, malformed blocks, values that are not finite.
    pub fn predict_proba(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        check_features(x)?;
        let expected = self.mean.first().map_or(0, Vec::len);
        if x.cols() != expected {
            return Err(FitError::Width { expected, found: x.cols() });
        }
        let at_zero: Vec<f64> = (0..self.present.len()).map(|place| self.at_zero(x, place)).collect();
        let mut out = vec![0.0; x.rows() * self.classes];
        out.par_chunks_mut(CHUNK * self.classes.max(1)).enumerate().for_each(|(chunk, out)| {
            let mut scores = vec![0.0; self.present.len()];
            for (at, out) in out.chunks_exact_mut(self.classes).enumerate() {
                self.score(x, chunk * CHUNK + at, &at_zero, &mut scores);
                softmax(&mut scores);
                self.present.iter().zip(&scores).for_each(|(&class, score)| out[class as usize] = *score);
            }
        });
        Ok(out)
    }

    /// What class `place` scores for a row that stores nothing: zero in sparse blocks, nothing yet of dense ones.
    fn at_zero(&self, x: &Features, place: usize) -> f64 {
        let (mean, variance) = (&self.mean[place], &self.variance[place]);
        let logs: f64 = variance.iter().map(|v| (std::f64::consts::TAU * v).ln()).sum();
        let (mut zeros, mut offset) = (0.0, 0);
        for block in &x.blocks {
            let span = offset..offset + block.cols();
            if let Block::Sparse(_) = block {
                zeros += mean[span.clone()].iter().zip(&variance[span]).map(|(m, v)| m * m / v).sum::<f64>();
            }
            offset += block.cols();
        }
        self.log_prior[place] - 0.5 * (logs + zeros)
    }

    fn score(&self, x: &Features, row: usize, at_zero: &[f64], scores: &mut [f64]) {
        for (place, score) in scores.iter_mut().enumerate() {
            let (mean, variance) = (&self.mean[place], &self.variance[place]);
            let (mut sum, mut offset) = (0.0, 0);
            for block in &x.blocks {
                match block {
                    Block::Sparse(m) => {
                        let (columns, values) = m.row(row);
                        for (&column, &value) in columns.iter().zip(values) {
                            let (m, v) = (mean[offset + column as usize], variance[offset + column as usize]);
                            let value = f64::from(value);
                            // (x − μ)² − μ², as the zero's share is in `at_zero`
                            sum += value * (value - 2.0 * m) / v;
                        }
                    }
                    Block::Dense(d) => {
                        let span = offset..offset + d.cols;
                        for ((&value, m), v) in d.row(row).iter().zip(&mean[span.clone()]).zip(&variance[span]) {
                            let from_mean = f64::from(value) - m;
                            sum += from_mean * from_mean / v;
                        }
                    }
                }
                offset += block.cols();
            }
            *score = at_zero[place] - 0.5 * sum;
        }
    }
}

/// In place. Scores are finite: values and means are f32, and a variance is above 0.
fn softmax(scores: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - top).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}
