//! How do many columns become few that keep most of what the rows differ by? Truncated SVD, and PCA.
//!
//! Halko, Martinsson and Tropp 2011, as scikit-learn's `randomized_svd` (`utils/extmath.py`), with two differences: all sums are
//! f64, and the power iteration works on the shorter side alone (see [`lines`]): an orthonormal `Q` of `n_components + n_oversamples`
//! columns becomes `orth(X Xᵀ Q)`, `n_iter + 1` times; singular values and vectors are those of `Qᵀ X Xᵀ Q` (Rayleigh and Ritz).
//! Where `Q` would be square, and for dense rows of at most [`EXACT`] columns, `X Xᵀ` itself is decomposed: no chance, no iteration.
//! Signs are those of `svd_flip(u_based_decision=False)`: the greatest absolute weight of a component is positive.

mod eigen;
mod lines;
mod tall;

use rayon::prelude::*;

use self::lines::Lines;
use self::tall::Matrix;
use super::columns::map_columns;
use super::linear::{FitError, ShouldStop, check_features};
use super::matrix::{Block, Dense, Features};
use super::rng::Rng;

/// Up to this length of the shorter side, dense rows are decomposed exactly (scikit-learn's bound for `covariance_eigh`).
pub const EXACT: usize = 1000;
/// A squared singular value below this share of the greatest is rounding.
const NOISE: f64 = 1e-13;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    /// Take the mean of each column away first (PCA); sparse columns are centred without being filled.
    pub centre: bool,
    /// How many components, at least 1.
    pub n_components: usize,
    /// How many more are carried along while iterating.
    pub n_oversamples: usize,
    /// Power iterations.
    pub n_iter: usize,
}

/// The components that were found, the strongest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Weight of each feature (rows) in each component (columns).
    pub weights: Dense,
    /// What is taken from each feature; `None` where nothing is centred.
    pub means: Option<Vec<f64>>,
    /// Singular value of each component.
    pub singular_values: Vec<f64>,
    /// Variance of the training rows along each component: of a sample where centred (PCA), else of all (TruncatedSVD).
    pub explained_variance: Vec<f64>,
    /// Its share in the variance of all columns.
    pub explained_variance_ratio: Vec<f64>,
    /// Whether the decomposition was exact.
    pub exact: bool,
}

impl Reduction {
    /// Finds the components of training rows. There are fewer than asked for where the rows span fewer dimensions.
    /// Runs in parallel on rayon's current pool; the bits do not depend on it.
    ///
    /// # Errors
    /// No rows, no columns, malformed blocks, values that are not finite, [`FitError::Flat`], interrupted.
    pub fn fit(&self, x: &Features, seed: u64, should_stop: ShouldStop<'_>) -> Result<Components, FitError> {
        check_features(x)?;
        match (x.rows(), x.cols()) {
            (0, _) => return Err(FitError::NoRows),
            (_, 0) => return Err(FitError::NoColumns),
            _ => {}
        }
        let (means, variances): (Vec<f64>, Vec<f64>) = map_columns(x, |column| column.moments()).into_iter().unzip();
        if self.centre && variances.iter().all(|&variance| variance == 0.0) {
            return Err(FitError::Flat { what: "all rows are the same" });
        }
        let lines = Lines::of(x, self.centre.then_some(means.as_slice()));
        let (basis, exact) = self.basis(x, &lines, seed, should_stop)?;
        let (values, vectors) = match &basis {
            Some(basis) => eigen::symmetric(basis.transposed_times(&lines.both_sides(basis))),
            None => eigen::symmetric(lines.gram()),
        }
        .ok_or(FitError::Flat { what: "the values are too large or too small to be decomposed" })?;
        let greatest = values.first().copied().unwrap_or(0.0);
        let kept = values.iter().take(self.n_components).take_while(|&&v| v > 0.0 && v > NOISE * greatest).count();
        if kept == 0 {
            return Err(FitError::Flat { what: "all features are 0" });
        }
        let singular_values: Vec<f64> = values[..kept].iter().map(|value| value.sqrt()).collect();
        let mut turn = Matrix::zeros(vectors.cols, kept);
        for component in 0..kept {
            let column = vectors.row(component).iter().enumerate();
            column.for_each(|(at, value)| turn.values[at * kept + component] = *value);
        }
        let mut weights = basis.map_or_else(|| turn.clone(), |basis| basis.times(&turn));
        if lines.by_column {
            weights = lines.times(&weights);
            let row = |row: &mut [f64]| row.iter_mut().zip(&singular_values).for_each(|(w, s)| *w /= s);
            weights.values.chunks_mut(kept).for_each(row);
        }
        flip(&mut weights);
        let rows = x.rows() as f64;
        let (explained_variance, all): (Vec<f64>, f64) = if self.centre {
            let all = variances.iter().sum::<f64>() * rows / (rows - 1.0);
            (values[..kept].iter().map(|value| value / (rows - 1.0)).collect(), all)
        } else {
            let along = Matrix { rows: x.cols(), cols: 1, values: means.clone() }.transposed_times(&weights);
            let variance = |(value, mean): (&f64, &f64)| (value / rows - mean * mean).max(0.0);
            (values[..kept].iter().zip(&along.values).map(variance).collect(), variances.iter().sum())
        };
        let share = |variance: &f64| if all > 0.0 { variance / all } else { 0.0 };
        Ok(Components {
            explained_variance_ratio: explained_variance.iter().map(share).collect(),
            explained_variance,
            singular_values,
            means: self.centre.then_some(means),
            weights: Dense {
                rows: weights.rows,
                cols: weights.cols,
                values: weights.values.iter().map(|&weight| weight as f32).collect(),
            },
            exact,
        })
    }

    /// A basis to look for the components in, and whether it holds them exactly; `None` stands for all of the shorter side.
    fn basis(
        &self,
        x: &Features,
        lines: &Lines<'_>,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<(Option<Matrix>, bool), FitError> {
        let (side, wanted) = (lines.side, self.n_components.saturating_add(self.n_oversamples));
        if side <= EXACT && x.blocks.iter().all(|block| matches!(block, Block::Dense(_))) {
            return Ok((None, true));
        }
        if wanted >= side {
            let mut unit = Matrix::zeros(side, side);
            (0..side).for_each(|at| unit.values[at * side + at] = 1.0);
            return Ok((Some(unit), true));
        }
        let mut rng = Rng::seeded(seed);
        let values = (0..side * wanted).map(|_| 2.0 * rng.uniform() - 1.0).collect();
        let mut basis = Matrix { rows: side, cols: wanted, values };
        for _ in 0..=self.n_iter {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            basis = lines.both_sides(&basis).orthonormal();
        }
        Ok((Some(basis), false))
    }
}

/// Turns each column so that its greatest absolute weight, the first of equals, is positive.
fn flip(weights: &mut Matrix) {
    let cols = weights.cols;
    for column in 0..cols {
        let mut greatest: f64 = 0.0;
        for value in weights.values.iter().skip(column).step_by(cols) {
            if value.abs() > greatest.abs() {
                greatest = *value;
            }
        }
        if greatest < 0.0 {
            weights.values.iter_mut().skip(column).step_by(cols).for_each(|value| *value = -*value);
        }
    }
}

impl Components {
    /// The rows along the components: `rows × components`, each divided by its standard deviation where `whiten`ed (PCA's option).
    /// Rows run in parallel; a row's bits do not depend on the rows beside it.
    ///
    /// # Errors
    /// Another number of columns, malformed blocks, values that are not finite.
    pub fn transform(&self, x: &Features, whiten: Whiten) -> Result<Dense, FitError> {
        check_features(x)?;
        let (k, found) = (self.weights.cols, x.cols());
        if found != self.weights.rows {
            return Err(FitError::Width { expected: self.weights.rows, found });
        }
        let mut start = vec![0.0; k];
        for (at, mean) in self.means.iter().flatten().enumerate() {
            axpy(-mean, self.weights.row(at), &mut start);
        }
        let divisors: Vec<f64> = match whiten {
            Whiten::No => vec![1.0; k],
            Whiten::Yes => self.explained_variance.iter().map(|variance| variance.sqrt()).collect(),
        };
        let mut values = vec![0f32; x.rows() * k];
        values.par_chunks_mut(k.max(1)).with_min_len(64).enumerate().for_each(|(row, out)| {
            let mut sum = start.clone();
            let mut offset = 0;
            for block in &x.blocks {
                match block {
                    Block::Sparse(m) => {
                        let (js, xs) = m.row(row);
                        js.iter()
                            .zip(xs)
                            .for_each(|(&j, &x)| axpy(f64::from(x), self.weights.row(offset + j as usize), &mut sum));
                    }
                    Block::Dense(m) => {
                        for (j, &x) in m.row(row).iter().enumerate() {
                            axpy(f64::from(x), self.weights.row(offset + j), &mut sum);
                        }
                    }
                }
                offset += block.cols();
            }
            for ((out, sum), divisor) in out.iter_mut().zip(&sum).zip(&divisors) {
                *out = (sum / divisor) as f32;
            }
        });
        Ok(Dense { rows: x.rows(), cols: k, values })
    }
}

/// Whether components are brought to equal variance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiten {
    /// As they are.
    No,
    /// Each divided by its standard deviation in the training rows.
    Yes,
}

fn axpy(times: f64, what: &[f32], to: &mut [f64]) {
    to.iter_mut().zip(what).for_each(|(to, &what)| *to += times * f64::from(what));
}

#[cfg(test)]
mod tests;
