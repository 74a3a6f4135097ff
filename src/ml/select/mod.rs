//! Which feature columns are worth keeping? Scores of columns, and how many of the best are kept.
//!
//! As in scikit-learn 1.9.1: `chi2`, `f_classif`, `f_regression` (`feature_selection/_univariate_selection.py`), `mutual_info_classif` with
//! `discrete_features=True` (`_mutual_info.py`), `VarianceThreshold` and `SelectFromModel`. Blocks side by side are one matrix.

mod keep;
mod regression;
pub(in crate::ml) mod tail;

pub use keep::{Keep, KeepError, Threshold};
pub use regression::f_regression;

use super::columns::{Column, map_columns};
use super::linear::{FitError, LinearFunction, LinearModel, check_features, check_labels};
use super::matrix::{Block, Csr, Dense, Features};

/// What a column is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// χ² between the class and the column's sums; for counts and other values that are never negative.
    Chi2,
    /// F of an analysis of variance: how much of the variance lies between the classes.
    FClassif,
    /// Mutual information, in nats, between the class and the column's distinct values.
    MutualInfo,
    /// Variance of all values, not of a sample. The class plays no part.
    Variance,
}

/// What a column is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The greater the better; NaN where it is not defined (a constant column).
    pub score: f64,
    /// How likely such a score is by chance, where the judge can tell; NaN as `score`.
    pub p_value: Option<f64>,
}

impl Judge {
    /// Scores every column of `x` by the classes `y` in `0..classes`. Rows count alike. Columns run in parallel on rayon's current
    /// pool; the bits do not depend on it.
    ///
    /// # Errors
    /// No rows, no columns, fewer than two classes with rows (except for `Variance`), malformed blocks, values that are not finite;
    /// [`FitError::Negative`] for `Chi2`.
    pub fn scores(self, x: &Features, y: &[u32], classes: usize) -> Result<Vec<Score>, FitError> {
        check_features(x)?;
        match (x.rows(), x.cols()) {
            (0, _) => return Err(FitError::NoRows),
            (_, 0) => return Err(FitError::NoColumns),
            _ => {}
        }
        if self == Judge::Variance {
            return Ok(map_columns(x, variance));
        }
        check_labels(x.rows(), y, classes)?;
        let classes = Classes::of(y, classes)?;
        match self {
            Judge::Chi2 => {
                check_not_negative(x)?;
                Ok(map_columns(x, |column| classes.chi2(&column)))
            }
            Judge::FClassif => Ok(map_columns(x, |column| classes.f_ratio(&column))),
            _ => Ok(map_columns(x, |column| classes.mutual_info(&column))),
        }
    }
}

/// The weight of each column in a linear model: the sum of its absolute coefficients over all outputs (`norm_order=1`).
pub fn importances(model: &LinearModel) -> Vec<Score> {
    let width = model.coef.first().map_or(0, Vec::len);
    let weight = |at: usize| model.coef.iter().map(|coef| coef[at].abs()).sum();
    (0..width).map(|at| Score { score: weight(at), p_value: None }).collect()
}

/// The weight of each column in a linear regression: its absolute coefficient.
pub fn importances_of_values(function: &LinearFunction) -> Vec<Score> {
    function.coef.iter().map(|coef| Score { score: coef.abs(), p_value: None }).collect()
}

/// The features with those columns alone for which `kept` is true; `kept` has one entry for each column over all blocks.
///
/// # Errors
/// Another number of columns, malformed blocks, values that are not finite.
pub fn cut(x: &Features, kept: &[bool]) -> Result<Features, FitError> {
    check_features(x)?;
    if kept.len() != x.cols() {
        return Err(FitError::Width { expected: kept.len(), found: x.cols() });
    }
    let mut rest = kept;
    let mut blocks = Vec::with_capacity(x.blocks.len());
    for block in &x.blocks {
        let (own, others) = rest.split_at(block.cols());
        rest = others;
        let mut width = 0;
        let place = |kept: &bool| {
            kept.then(|| {
                width += 1;
                width - 1
            })
        };
        let places: Vec<Option<u32>> = own.iter().map(place).collect();
        blocks.push(match block {
            Block::Sparse(m) => Block::Sparse(cut_sparse(m, &places, width as usize)),
            Block::Dense(m) => {
                let places: Vec<usize> = (0..m.cols).filter(|&at| own[at]).collect();
                let values = (0..m.rows).flat_map(|row| places.iter().map(move |&at| m.values[row * m.cols + at]));
                Block::Dense(Dense { rows: m.rows, cols: places.len(), values: values.collect() })
            }
        });
    }
    Ok(Features { blocks })
}

fn cut_sparse(m: &Csr, places: &[Option<u32>], cols: usize) -> Csr {
    let mut kept = Csr { cols, indptr: vec![0], ..Csr::default() };
    for row in 0..m.rows() {
        let (js, xs) = m.row(row);
        for (&j, &x) in js.iter().zip(xs) {
            if let Some(at) = places[j as usize] {
                kept.indices.push(at);
                kept.values.push(x);
            }
        }
        kept.indptr.push(kept.indices.len());
    }
    kept
}

fn check_not_negative(x: &Features) -> Result<(), FitError> {
    let mut offset = 0;
    for block in &x.blocks {
        let (values, place): (&[f32], &dyn Fn(usize) -> (usize, usize)) = match block {
            Block::Sparse(m) => {
                (&m.values, &|at| (m.indptr.partition_point(|&start| start <= at) - 1, m.indices[at] as usize))
            }
            Block::Dense(m) => (&m.values, &|at| (at / m.cols, at % m.cols)),
        };
        if let Some(at) = values.iter().position(|&value| value < 0.0) {
            let (row, column) = place(at);
            return Err(FitError::Negative { row, column: offset + column, value: values[at] });
        }
        offset += block.cols();
    }
    Ok(())
}

/// `VarianceThreshold`'s: a column of equal values has variance 0, whatever rounding says.
fn variance(column: Column<'_>) -> Score {
    let (least, greatest) =
        column.values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    let constant = column.values.is_empty() || (least == greatest && (column.unstored() == 0 || least == 0.0));
    Score { score: if constant { 0.0 } else { column.moments().1 }, p_value: None }
}

/// The classes that have rows.
struct Classes {
    /// For each row, its class's place among those that have rows.
    place: Vec<u32>,
    /// Rows of each.
    counts: Vec<f64>,
    rows: f64,
}

impl Classes {
    fn of(y: &[u32], classes: usize) -> Result<Classes, FitError> {
        let mut rows = vec![0u32; classes];
        y.iter().for_each(|&class| rows[class as usize] += 1);
        let mut places = vec![0u32; classes];
        let mut counts = Vec::new();
        for (place, &rows) in places.iter_mut().zip(&rows).filter(|(_, rows)| **rows > 0) {
            *place = counts.len() as u32;
            counts.push(f64::from(rows));
        }
        if counts.len() < 2 {
            return Err(FitError::OneClass { class: y.first().copied().unwrap_or(0) });
        }
        let place = y.iter().map(|&class| places[class as usize]).collect();
        Ok(Classes { place, counts, rows: y.len() as f64 })
    }

    /// For each class, the sum of the column's values.
    fn sums(&self, column: &Column<'_>) -> Vec<f64> {
        let mut sums = vec![0.0; self.counts.len()];
        column.entries().for_each(|(row, value)| sums[self.place[row] as usize] += value);
        sums
    }

    /// Σ (observed − expected)² / expected over the classes; a column of zeros has none.
    fn chi2(&self, column: &Column<'_>) -> Score {
        let sums = self.sums(column);
        let all: f64 = sums.iter().sum();
        let term = |(sum, count): (&f64, &f64)| {
            let expected = all * count / self.rows;
            (sum - expected).powi(2) / expected
        };
        let score = if all > 0.0 { sums.iter().zip(&self.counts).map(term).sum() } else { f64::NAN };
        Score { score, p_value: Some(tail::chi_squared(score, self.counts.len() as f64 - 1.0)) }
    }

    /// Mean square between the classes over mean square within; deviations are taken from means, so that nothing cancels.
    fn f_ratio(&self, column: &Column<'_>) -> Score {
        let (mean, variance) = column.moments();
        let (between, within) = (self.counts.len() as f64 - 1.0, self.rows - self.counts.len() as f64);
        if variance == 0.0 || within == 0.0 {
            return Score { score: f64::NAN, p_value: Some(f64::NAN) };
        }
        let means: Vec<f64> = self.sums(column).iter().zip(&self.counts).map(|(sum, count)| sum / count).collect();
        let apart: f64 = means.iter().zip(&self.counts).map(|(own, count)| count * (own - mean).powi(2)).sum();
        let mut unstored = self.counts.clone();
        let mut left = 0.0;
        for (row, value) in column.entries() {
            let class = self.place[row] as usize;
            unstored[class] -= 1.0;
            left += (value - means[class]).powi(2);
        }
        left += unstored.iter().zip(&means).map(|(count, mean)| count * mean * mean).sum::<f64>();
        let score = (apart / between) / (left / within);
        Score { score, p_value: Some(tail::f_ratio(score, between, within)) }
    }

    /// Σ p(value, class) ln(p(value, class) / p(value) p(class)) over the values and classes that occur together.
    fn mutual_info(&self, column: &Column<'_>) -> Score {
        let one_zero = |value: f64| if value == 0.0 { 0.0 } else { value };
        let mut pairs: Vec<(f64, u32)> =
            column.entries().map(|(row, value)| (one_zero(value), self.place[row])).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut zeros = if column.unstored() > 0 { self.counts.clone() } else { vec![0.0; self.counts.len()] };
        if column.unstored() > 0 {
            column.entries().for_each(|(row, _)| zeros[self.place[row] as usize] -= 1.0);
        }
        let mut score = 0.0;
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let of_zero = group[0].0 == 0.0;
            if of_zero {
                group.iter().for_each(|(_, class)| zeros[*class as usize] += 1.0);
                continue;
            }
            for same in group.chunk_by(|a, b| a.1 == b.1) {
                score += self.information(same.len() as f64, group.len() as f64, same[0].1 as usize);
            }
        }
        let all: f64 = zeros.iter().sum();
        for (class, &rows) in zeros.iter().enumerate().filter(|(_, rows)| **rows > 0.0) {
            score += self.information(rows, all, class);
        }
        Score { score: score.max(0.0), p_value: None }
    }

    fn information(&self, both: f64, value: f64, class: usize) -> f64 {
        both / self.rows * (both * self.rows / (value * self.counts[class])).ln()
    }
}

#[cfg(test)]
pub(super) mod small;
#[cfg(test)]
mod tests;
