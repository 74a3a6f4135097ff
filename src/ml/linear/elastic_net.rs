//! How is a linear regression with few weights fitted? The squared error with the L1 or the elastic-net penalty, by coordinate descent
//! over the weights that can leave zero.
//!
//! Dense columns are centred as they are read; what sparse ones lack of that is one number for all rows, so they stay sparse. The working set (nonzero weights, and the zeros whose slopes
//! violate the optimality conditions most) grows with the number of nonzero weights, as in celer (Massias, Gramfort and Salmon, 2018).

use rayon::prelude::*;

use super::columns::{Column, Columns};
use super::sparse::check_share;
use super::value::{LinearFunction, checked_values};
use super::{Convergence, FitError, ShouldStop, check_positive};

/// scikit-learn's `ElasticNet`; with an `l1_ratio` of 1, its `Lasso`. It minimises
/// `Σ weight_i (y_i - x_i·w - b)² / (2 Σ weight_i) + alpha · l1_ratio · ‖w‖₁ + ½ alpha (1 - l1_ratio) ‖w‖²`; the intercept is not
/// penalised.
#[derive(Debug, Clone, PartialEq)]
pub struct ElasticNet {
    /// Strength of the penalty, above 0.
    pub alpha: f64,
    /// The L1 penalty's share, within `[0, 1]`.
    pub l1_ratio: f64,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Most passes over the working set.
    pub max_iter: usize,
    /// Stops when no slope violates the optimality conditions by more than `tol` times the L1 penalty's strength, or their norm is at
    /// most `tol` times the L2 penalty's strength times `‖w‖`.
    pub tol: f64,
}

impl Default for ElasticNet {
    fn default() -> Self {
        ElasticNet { alpha: 1.0, l1_ratio: 0.5, fit_intercept: true, max_iter: 1000, tol: 1e-5 }
    }
}

/// Share of the greatest violation that a descent over the working set leaves.
const INNER: f64 = 0.1;
/// A violation this much smaller than the first one is zero.
const FLAT: f64 = 1e-13;
/// Least number of weights that may leave zero together.
const LEAST: usize = 32;

impl ElasticNet {
    /// Learns a value a row. Columns' slopes are worked out in parallel on rayon's current pool; the bits do not depend on it.
    /// Constant columns have weight 0. Errors: see [`FitError`].
    pub fn fit(
        &self,
        x: &Columns,
        y: &[f64],
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearFunction, Convergence), FitError> {
        let weight = checked_values(x.rows(), y, sample_weight)?;
        check_positive("alpha", self.alpha)?;
        check_positive("tol", self.tol)?;
        check_share("l1_ratio", self.l1_ratio)?;
        let mut walk = Walk::new(x, y, &weight, self);
        let (mut passes, mut first) = (0, None);
        loop {
            let (most, norm) = walk.look();
            let size = walk.w.iter().map(|w| w * w).sum::<f64>().sqrt();
            let converged = most <= self.tol * walk.l1
                || norm <= self.tol * walk.l2 * size
                || most <= FLAT * *first.get_or_insert(most);
            if converged || passes >= self.max_iter {
                let objective = walk.objective();
                let end = Convergence { objective, gradient_norm: norm, iterations: passes, converged };
                return Ok((walk.function(), end));
            }
            walk.descend(INNER * most, &mut passes, self.max_iter, should_stop)?;
        }
    }
}

/// A column, as the solver needs it.
#[derive(Clone, Copy)]
struct Place {
    /// Its weighted mean; 0 without an intercept.
    mean: f64,
    /// The weighted mean square of its distance from there; 0 where it is constant.
    curvature: f64,
}

struct Walk<'a> {
    x: &'a Columns,
    weight: &'a [f64],
    total: f64,
    places: Vec<Place>,
    l1: f64,
    l2: f64,
    w: Vec<f64>,
    /// The mean of `y`; 0 without an intercept.
    level: f64,
    /// For each row, its weight times `y - level - x·w`, where `x` is centred in dense columns.
    pull: Vec<f64>,
    /// `Σ mean_j w_j` over the sparse columns, which `pull` lacks.
    shift: f64,
    /// For each column, minus the slope of what is differentiable.
    rise: Vec<f64>,
    working: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(x: &'a Columns, y: &[f64], weight: &'a [f64], net: &ElasticNet) -> Walk<'a> {
        let total: f64 = weight.iter().sum();
        let level = match net.fit_intercept {
            true => weight.iter().zip(y).map(|(w, y)| w * y).sum::<f64>() / total,
            false => 0.0,
        };
        let place = |j: usize| place(x.column(j), weight, total, net.fit_intercept);
        Walk {
            x,
            weight,
            total,
            places: (0..x.cols()).into_par_iter().map(place).collect(),
            l1: net.alpha * net.l1_ratio,
            l2: net.alpha * (1.0 - net.l1_ratio),
            w: vec![0.0; x.cols()],
            level,
            pull: weight.iter().zip(y).map(|(w, y)| w * (y - level)).collect(),
            shift: 0.0,
            rise: Vec::new(),
            working: Vec::new(),
        }
    }

    fn rise_of(&self, j: usize) -> f64 {
        let mean = self.places[j].mean;
        let sum = match self.x.column(j) {
            Column::Dense(x) => centred_dot(x, mean, &self.pull),
            column => column.sum(self.pull.len(), |i| self.pull[i]) + self.total * self.shift * mean,
        };
        sum / self.total - self.l2 * self.w[j]
    }

    /// How far weight `j` is from being best, if what is differentiable falls by `rise`.
    fn violation(&self, j: usize, rise: f64) -> f64 {
        match (self.places[j].curvature, self.w[j]) {
            (0.0, _) => 0.0,
            (_, 0.0) => (rise.abs() - self.l1).max(0.0),
            (_, w) => (rise - self.l1 * w.signum()).abs(),
        }
    }

    /// Works out all slopes and the working set. Returns the greatest violation and the violations' norm.
    fn look(&mut self) -> (f64, f64) {
        self.rise = (0..self.w.len()).into_par_iter().map(|j| self.rise_of(j)).collect();
        let violation: Vec<f64> = (0..self.w.len()).map(|j| self.violation(j, self.rise[j])).collect();
        let mut open: Vec<usize> = (0..self.w.len()).filter(|&j| self.w[j] == 0.0 && violation[j] > 0.0).collect();
        let nonzero = self.w.iter().filter(|w| **w != 0.0).count();
        let room = nonzero.max(LEAST);
        if open.len() > room {
            open.select_nth_unstable_by(room, |&a, &b| violation[b].total_cmp(&violation[a]).then(a.cmp(&b)));
            open.truncate(room);
        }
        self.working = (0..self.w.len()).filter(|&j| self.w[j] != 0.0).collect();
        self.working.extend(open);
        self.working.sort_unstable();
        (violation.iter().copied().fold(0.0, f64::max), violation.iter().map(|v| v * v).sum::<f64>().sqrt())
    }

    /// Coordinate descent until no violation in a pass over the working set is above `enough`.
    fn descend(
        &mut self,
        enough: f64,
        passes: &mut usize,
        most_passes: usize,
        should_stop: ShouldStop<'_>,
    ) -> Result<(), FitError> {
        let working = std::mem::take(&mut self.working);
        let mut active = working.clone();
        while *passes < most_passes {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            *passes += 1;
            let whole = active.len() == working.len();
            let mut most = 0.0f64;
            active.retain(|&j| {
                let violation = self.visit(j);
                most = most.max(violation);
                violation > 0.0 || self.w[j] != 0.0
            });
            match (most <= enough, whole) {
                (true, true) => break,
                (true, false) => active.clone_from(&working),
                (false, _) => {}
            }
        }
        Ok(())
    }

    /// Moves one weight to the minimum along it. Returns how much its slope violated before.
    fn visit(&mut self, j: usize) -> f64 {
        let Place { mean, curvature } = self.places[j];
        let (w, rise) = (self.w[j], self.rise_of(j));
        let violation = self.violation(j, rise);
        if violation == 0.0 {
            return 0.0;
        }
        let aim = rise + (curvature + self.l2) * w;
        let to = aim.signum() * (aim.abs() - self.l1).max(0.0) / (curvature + self.l2);
        let by = to - w;
        if by != 0.0 {
            let (pull, weight) = (&mut self.pull, self.weight);
            match self.x.column(j) {
                Column::Dense(x) => {
                    for ((pull, &x), weight) in pull.iter_mut().zip(x).zip(weight) {
                        *pull -= by * (f64::from(x) - mean) * weight;
                    }
                }
                column => {
                    column.each(weight.len(), |i, x| pull[i] -= by * x * weight[i]);
                    self.shift += by * mean;
                }
            }
            self.w[j] = to;
        }
        violation
    }

    fn objective(&self) -> f64 {
        let error = |(pull, weight): (&f64, &f64)| match *weight > 0.0 {
            true => weight * (pull / weight + self.shift).powi(2),
            false => 0.0,
        };
        let errors: f64 = self.pull.iter().zip(self.weight).map(error).sum();
        let penalty = |w: &f64| self.l1 * w.abs() + 0.5 * self.l2 * w * w;
        errors / (2.0 * self.total) + self.w.iter().map(penalty).sum::<f64>()
    }

    fn function(self) -> LinearFunction {
        let shift: f64 = self.places.iter().zip(&self.w).map(|(place, w)| place.mean * w).sum();
        LinearFunction { coef: self.w, intercept: self.level - shift }
    }
}

/// `Σ (x_i - mean) · of_i`.
fn centred_dot(x: &[f32], mean: f64, of: &[f64]) -> f64 {
    let mut sum = [0.0; 4];
    let ((quads, rest), (fours, others)) = (x.as_chunks::<4>(), of.as_chunks::<4>());
    for (x, of) in quads.iter().zip(fours) {
        for lane in 0..4 {
            sum[lane] += (f64::from(x[lane]) - mean) * of[lane];
        }
    }
    sum[0] += rest.iter().zip(others).map(|(&x, of)| (f64::from(x) - mean) * of).sum::<f64>();
    (sum[0] + sum[1]) + (sum[2] + sum[3])
}

fn place(column: Column<'_>, weight: &[f64], total: f64, centred: bool) -> Place {
    let mean = if centred { column.sum(weight.len(), |i| weight[i]) / total } else { 0.0 };
    let (mut squares, mut seen, mut count) = (0.0, 0.0, 0);
    let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
    column.each(weight.len(), |i, x| {
        squares += weight[i] * (x - mean) * (x - mean);
        seen += weight[i];
        count += 1;
        if weight[i] > 0.0 {
            (least, greatest) = (least.min(x), greatest.max(x));
        }
    });
    if count < weight.len() {
        (least, greatest) = (least.min(0.0), greatest.max(0.0));
        squares += (total - seen).max(0.0) * mean * mean;
    }
    let constant = least == greatest && (centred || least == 0.0);
    Place { mean, curvature: if constant { 0.0 } else { squares / total } }
}

#[cfg(test)]
#[path = "elastic_net_tests.rs"]
mod tests;
