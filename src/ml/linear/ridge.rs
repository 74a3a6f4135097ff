//! How are least squares with an L2 penalty solved? Dense and narrow rows through their Gram matrix, all others by conjugate gradients.

use rayon::prelude::*;

use super::cholesky;
use super::design::Design;
use super::value::{LinearFunction, checked_values};
use super::{Convergence, FitError, Laid, LinearModel, ShouldStop, Targets, check_positive};

/// scikit-learn's `Ridge` and `RidgeClassifier`. It minimises `Σ weight_i (y_i - x_i·w - b)² + alpha ‖w‖²`; the intercept is not
/// penalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge {
    /// Strength of the penalty, 0 or more.
    pub alpha: f64,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Most conjugate-gradient steps.
    pub max_iter: usize,
    /// Conjugate gradients stop when the gradient (half of it) is at most `tol · alpha` times the weights' norm, which bounds the
    /// weights' relative error by `tol`, or is rounding. The Gram matrix is solved exactly.
    pub tol: f64,
}

impl Default for Ridge {
    fn default() -> Self {
        Ridge { alpha: 1.0, fit_intercept: true, max_iter: 1000, tol: 1e-5 }
    }
}

/// Dense rows of at most so many columns are solved through their Gram matrix.
const NARROW: usize = 1024;
/// Rows after which it is asked whether to stop.
const ROWS_UNASKED: usize = 256;
/// Targets that go over the rows together; each one's sums are its own.
const TOGETHER: usize = 8;
/// A residual this much smaller than the first one is rounding.
const FLAT: f64 = 1e-13;

/// Coefficients and intercept of one target.
type Output = (Vec<f64>, f64);

impl Ridge {
    /// Learns a value a row. Errors: see [`FitError`].
    pub fn fit(
        &self,
        x: &Laid,
        y: &[f64],
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearFunction, Convergence), FitError> {
        let weight = checked_values(x.rows(), y, sample_weight)?;
        let (mut fits, end) = self.solve(x, &weight, 1, &|i, _| y[i], should_stop)?;
        let (coef, intercept) = fits.swap_remove(0);
        Ok((LinearFunction { coef, intercept }, end))
    }

    /// Learns classes: two by one function of targets -1 and 1, more by one function each against the rest
    /// (`RidgeClassifier`). Errors: see [`FitError`].
    pub fn fit_classes(
        &self,
        x: &Laid,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        let Targets { present, place, weight } = Targets::checked(x.rows(), y, classes, sample_weight)?;
        let outputs = if present.len() == 2 { 1 } else { present.len() };
        let first = if outputs == 1 { 1 } else { 0 };
        let side = |i: usize, which: usize| if place[i] as usize == which + first { 1.0 } else { -1.0 };
        let (fits, end) = self.solve(x, &weight, outputs, &side, should_stop)?;
        let (coef, intercept) = fits.into_iter().unzip();
        Ok((LinearModel { classes, present, coef, intercept }, end))
    }

    /// Coefficients and intercept of each of `outputs` targets.
    fn solve(
        &self,
        x: &Laid,
        weight: &[f64],
        outputs: usize,
        target: &(dyn Fn(usize, usize) -> f64 + Sync),
        should_stop: ShouldStop<'_>,
    ) -> Result<(Vec<Output>, Convergence), FitError> {
        if !self.alpha.is_finite() || self.alpha < 0.0 {
            return Err(FitError::Parameter { name: "alpha", value: self.alpha, rule: "a finite number of 0 or more" });
        }
        check_positive("tol", self.tol)?;
        let design = Design::new(x, 0.0);
        let centre = Centre::of(&design, weight, self.fit_intercept);
        let factor = match design.has_sparse() || design.cols() > NARROW || design.cols() == 0 {
            true => None,
            false => centre.factor(self.alpha, should_stop)?,
        };
        let chunks = outputs.div_ceil(TOGETHER);
        let one = |chunk: usize| {
            let from = chunk * TOGETHER;
            let k = TOGETHER.min(outputs - from);
            let y: Vec<f64> = (0..design.rows * k).map(|at| target(at / k, from + at % k)).collect();
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let means = centre.target_means(&y, k);
            let y: Vec<f64> = y.iter().enumerate().map(|(at, y)| y - means[at % k]).collect();
            let (w, mut end) = match &factor {
                Some(factor) => (centre.solved(factor, &y, k), Convergence { iterations: 1, ..NOWHERE }),
                None => self.descend(&centre, &y, k, should_stop)?,
            };
            end.objective = centre.objective(&w, &y, k, self.alpha);
            let fits = (0..k).map(|which| {
                let (coef, _) = design.restored(&w, k, which);
                let at_mean: f64 = centre.mean.iter().enumerate().map(|(j, m)| m * w[j * k + which]).sum();
                (coef, means[which] - at_mean)
            });
            Ok((fits.collect::<Vec<_>>(), end))
        };
        let parts: Vec<(Vec<_>, Convergence)> =
            (0..chunks).into_par_iter().map(one).collect::<Result<Vec<_>, FitError>>()?;
        let ends: Vec<Convergence> = parts.iter().map(|(_, end)| *end).collect();
        Ok((parts.into_iter().flat_map(|(fits, _)| fits).collect(), Convergence::joined(&ends)))
    }

    /// Conjugate gradients, preconditioned by the diagonal, for `k` targets at once; each has its own steps.
    fn descend(
        &self,
        centre: &Centre<'_, '_>,
        y: &[f64],
        k: usize,
        should_stop: ShouldStop<'_>,
    ) -> Result<(Vec<f64>, Convergence), FitError> {
        let n = centre.mean.len();
        let mut residual = centre.back(y, k);
        let inverse: Vec<f64> =
            centre.squares().iter().map(|d| 1.0 / (d + self.alpha).max(f64::MIN_POSITIVE)).collect();
        let preconditioned = |r: &[f64], at: usize| r[at] * inverse[at / k];
        let mut w = vec![0.0; n * k];
        let mut direction: Vec<f64> = (0..n * k).map(|at| preconditioned(&residual, at)).collect();
        let mut rz = lane_sums(k, n * k, |at| residual[at] * direction[at]);
        let first = lane_sums(k, n * k, |at| residual[at] * residual[at]);
        let (mut iterations, mut norm) = (0, first.clone());
        let mut open: Vec<bool> = first.iter().map(|f| *f > 0.0).collect();
        while open.contains(&true) && iterations < self.max_iter {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let mut product = centre.back(&centre.along(&direction, k), k);
            super::wide::axpy(self.alpha, &direction, &mut product);
            let curvature = lane_sums(k, n * k, |at| direction[at] * product[at]);
            let steps: Vec<f64> =
                (0..k).map(|c| if open[c] && curvature[c] > 0.0 { rz[c] / curvature[c] } else { 0.0 }).collect();
            for (at, (d, p)) in direction.iter().zip(&product).enumerate() {
                w[at] += steps[at % k] * d;
                residual[at] -= steps[at % k] * p;
            }
            let next = lane_sums(k, n * k, |at| residual[at] * preconditioned(&residual, at));
            norm = lane_sums(k, n * k, |at| residual[at] * residual[at]);
            let size = lane_sums(k, n * k, |at| w[at] * w[at]);
            for (at, direction) in direction.iter_mut().enumerate() {
                let c = at % k;
                if open[c] && steps[c] != 0.0 {
                    *direction = preconditioned(&residual, at) + next[c] / rz[c] * *direction;
                }
            }
            for (c, open) in open.iter_mut().enumerate() {
                let small = norm[c].sqrt() <= self.tol * self.alpha * size[c].sqrt();
                *open &= !(small || norm[c] <= FLAT * FLAT * first[c] || steps[c] == 0.0);
            }
            rz = next;
            iterations += 1;
        }
        let gradient_norm = 2.0 * norm.iter().fold(0.0f64, |most, n| most.max(*n)).sqrt();
        Ok((w, Convergence { objective: 0.0, gradient_norm, iterations, converged: !open.contains(&true) }))
    }
}

const NOWHERE: Convergence = Convergence { objective: 0.0, gradient_norm: 0.0, iterations: 0, converged: true };

/// Rows from which their weighted mean is taken away, without a row ever becoming dense.
struct Centre<'a, 'b> {
    design: &'a Design<'b>,
    weight: &'a [f64],
    total: f64,
    /// Mean of each of the solver's columns; 0 without an intercept.
    mean: Vec<f64>,
}

impl<'a, 'b> Centre<'a, 'b> {
    fn of(design: &'a Design<'b>, weight: &'a [f64], fit_intercept: bool) -> Centre<'a, 'b> {
        let total: f64 = weight.iter().sum();
        let mut mean = vec![0.0; design.width()];
        if fit_intercept {
            design.add_all(&weight.iter().map(|w| w / total).collect::<Vec<_>>(), &mut mean);
        }
        Centre { design, weight, total: if fit_intercept { total } else { 0.0 }, mean }
    }

    fn target_means(&self, y: &[f64], k: usize) -> Vec<f64> {
        match self.total > 0.0 {
            true => {
                lane_sums(k, y.len(), |at| self.weight[at / k] * y[at]).iter().map(|sum| sum / self.total).collect()
            }
            false => vec![0.0; k],
        }
    }

    /// `(X - 1·mean) · V`, `rows × k`.
    fn along(&self, v: &[f64], k: usize) -> Vec<f64> {
        let shift: Vec<f64> = lane_sums(k, v.len(), |at| self.mean[at / k] * v[at]).iter().map(|s| -s).collect();
        let mut out = vec![0.0; self.design.rows * k];
        match k {
            1 => self.design.margins(v, &mut out),
            _ => self.design.margins_many(v, k, &mut out),
        }
        out.iter_mut().enumerate().for_each(|(at, o)| *o += shift[at % k]);
        out
    }

    /// `(X - 1·mean)ᵀ · (weight ∘ U)`, `columns × k`.
    fn back(&self, u: &[f64], k: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.mean.len() * k];
        let weighed = |at: usize| self.weight[at / k] * u[at];
        let sums = lane_sums(k, u.len(), weighed);
        match k {
            1 => self.design.add_all(&(0..u.len()).map(weighed).collect::<Vec<_>>(), &mut out),
            _ => self.design.add_all_many(k, &mut out, |i, row| {
                row.iter_mut().enumerate().for_each(|(c, to)| *to = weighed(i * k + c));
            }),
        }
        for (at, o) in out.iter_mut().enumerate() {
            *o -= self.mean[at / k] * sums[at % k];
        }
        out
    }

    /// The diagonal of the centred rows' Gram matrix.
    fn squares(&self) -> Vec<f64> {
        let (mut unused, mut squares) = (vec![0.0; self.mean.len()], vec![0.0; self.mean.len()]);
        self.design.add_with_squares(&vec![0.0; self.design.rows], self.weight, true, &mut unused, &mut squares);
        squares.iter().zip(&self.mean).map(|(s, m)| (s - self.total * m * m).max(0.0)).collect()
    }

    fn objective(&self, w: &[f64], y: &[f64], k: usize, alpha: f64) -> f64 {
        let fitted = self.along(w, k);
        let missed = fitted.iter().zip(y).enumerate().map(|(at, (f, y))| self.weight[at / k] * (y - f) * (y - f));
        missed.sum::<f64>() + alpha * w.iter().map(|w| w * w).sum::<f64>()
    }

    /// The Cholesky factor of the Gram matrix plus `alpha`, lower, row-major; none if that is singular. Errors: interrupted.
    fn factor(&self, alpha: f64, should_stop: ShouldStop<'_>) -> Result<Option<Vec<f64>>, FitError> {
        let n = self.mean.len();
        let mut gram = vec![0.0; n * n];
        let mut row = vec![0.0; n];
        for (i, weight) in self.weight.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            if i % ROWS_UNASKED == 0 && should_stop() {
                return Err(FitError::Interrupted);
            }
            row.iter_mut().zip(&self.mean).for_each(|(x, m)| *x = -m);
            self.design.add(i, 1.0, &mut row);
            for (j, line) in gram.chunks_exact_mut(n).enumerate() {
                super::wide::axpy(weight * row[j], &row[..=j], &mut line[..=j]);
            }
        }
        (0..n).for_each(|j| gram[j * n + j] += alpha);
        Ok(cholesky::factor(&mut gram, n).then_some(gram))
    }

    /// Weights from the factor, `columns × k`.
    fn solved(&self, factor: &[f64], y: &[f64], k: usize) -> Vec<f64> {
        let n = self.mean.len();
        let mut w = self.back(y, k);
        for i in 0..n {
            for c in 0..k {
                let known: f64 = (0..i).map(|j| factor[i * n + j] * w[j * k + c]).sum();
                w[i * k + c] = (w[i * k + c] - known) / factor[i * n + i];
            }
        }
        for i in (0..n).rev() {
            for c in 0..k {
                let known: f64 = (i + 1..n).map(|j| factor[j * n + i] * w[j * k + c]).sum();
                w[i * k + c] = (w[i * k + c] - known) / factor[i * n + i];
            }
        }
        w
    }
}

/// Sums over `0..len`, one for each place modulo `k`.
fn lane_sums(k: usize, len: usize, of: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; k];
    for from in (0..len).step_by(k) {
        sums.iter_mut().enumerate().for_each(|(c, sum)| *sum += of(from + c));
    }
    sums
}
