//! How is the hinge loss minimised? By coordinate descent on its dual, with shrinking. For the squared hinge loss a few
//! passes of the same give Newton's method a start from which it has little left to do.
//!
//! The method of Hsieh, Chang, Lin, Keerthi and Sundararajan (ICML 2008), as in liblinear's `solve_l2r_l1l2_svc`:
//! one dual variable per row in `[0, cost_i]` (squared hinge: from 0 up, with `1/(2 cost_i)` on the diagonal), visited in a seeded order; `w = Σ alpha_i y_i x_i` is kept up to date.

use super::design::Design;
use super::newton::{Limits, dot};
use super::{Convergence, FitError, ShouldStop};
use crate::ml::Rng;

/// Seed of the order of visits. The optimum does not depend on it; the last bits do.
const SEED: u64 = 0;

/// Passes before Newton's method takes over. More of them gain less than they cost.
const APPROACH: usize = 20;

struct Dual<'a> {
    design: &'a Design<'a>,
    sign: Vec<f64>,
    cost: &'a [f64],
    alpha: Vec<f64>,
    /// Upper bound of each dual variable.
    top: Vec<f64>,
    /// What the loss adds to each row's place on the diagonal.
    ridge: Vec<f64>,
    /// The diagonal of the dual's Hessian.
    norms: Vec<f64>,
    w: Vec<f64>,
}

/// Minimises `½‖w‖² + Σ cost_i · max(0, 1 - sign_i · x_i·w)`, every weight penalised. Converged: over all rows, the
/// greatest and the least projected gradient of the dual differ by at most `tol`. Errors: interrupted.
pub(super) fn minimise(
    design: &Design<'_>,
    positive: impl Iterator<Item = bool>,
    cost: &[f64],
    limits: Limits,
    should_stop: ShouldStop<'_>,
) -> Result<(Vec<f64>, Convergence), FitError> {
    let (top, ridge) = (cost.to_vec(), vec![0.0; cost.len()]);
    let mut dual = Dual::new(design, positive, cost, top, ridge);
    let mut rng = Rng::seeded(SEED);
    let everything = dual.movable();
    let mut active = everything.clone();
    let (mut upper, mut lower) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut iterations, mut width, mut converged) = (0, f64::INFINITY, everything.is_empty());
    while !converged && iterations < limits.max_iter {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        rng.shuffle(&mut active);
        let all = active.len() == everything.len();
        let (greatest, least) = dual.pass(&mut active, upper, lower);
        iterations += 1;
        width = greatest - least;
        if width <= limits.tol {
            converged = all;
            // shrunk rows come back for a last look
            active.clone_from(&everything);
            (upper, lower) = (f64::INFINITY, f64::NEG_INFINITY);
        } else {
            upper = if greatest <= 0.0 { f64::INFINITY } else { greatest };
            lower = if least >= 0.0 { f64::NEG_INFINITY } else { least };
        }
    }
    if everything.is_empty() {
        width = 0.0;
    }
    let end = Convergence { objective: dual.primal(), gradient_norm: width, iterations, converged };
    Ok((dual.w, end))
}

/// Weights near the minimum of `½‖w‖² + Σ cost_i · max(0, 1 - sign_i · x_i·w)²`.
pub(super) fn approached(design: &Design<'_>, positive: impl Iterator<Item = bool>, cost: &[f64]) -> Vec<f64> {
    let ridge = cost.iter().map(|c| if *c > 0.0 { 0.5 / c } else { 0.0 }).collect();
    let top = cost.iter().map(|c| if *c > 0.0 { f64::INFINITY } else { 0.0 }).collect();
    let mut dual = Dual::new(design, positive, cost, top, ridge);
    let mut rng = Rng::seeded(SEED);
    let mut active = dual.movable();
    let (mut upper, mut lower) = (f64::INFINITY, f64::NEG_INFINITY);
    for _ in 0..APPROACH {
        rng.shuffle(&mut active);
        let (greatest, least) = dual.pass(&mut active, upper, lower);
        upper = if greatest <= 0.0 { f64::INFINITY } else { greatest };
        lower = if least >= 0.0 { f64::NEG_INFINITY } else { least };
    }
    dual.w
}

impl<'a> Dual<'a> {
    fn new(
        design: &'a Design<'a>,
        positive: impl Iterator<Item = bool>,
        cost: &'a [f64],
        top: Vec<f64>,
        ridge: Vec<f64>,
    ) -> Dual<'a> {
        let sign = positive.map(|positive| if positive { 1.0 } else { -1.0 }).collect();
        let norms = ridge.iter().enumerate().map(|(i, ridge)| design.norm_squared(i) + ridge).collect();
        Dual { design, sign, cost, alpha: vec![0.0; design.rows], top, ridge, norms, w: vec![0.0; design.width()] }
    }

    /// The rows whose variable can change anything.
    fn movable(&self) -> Vec<u32> {
        let can_move = |&i: &u32| self.norms[i as usize] > 0.0 && self.top[i as usize] > 0.0;
        (0..self.design.rows as u32).filter(can_move).collect()
    }

    /// One visit to every active row; rows that are settled at a bound leave `active`. Returns the greatest and the
    /// least projected gradient seen.
    fn pass(&mut self, active: &mut Vec<u32>, upper: f64, lower: f64) -> (f64, f64) {
        let (mut greatest, mut least) = (f64::NEG_INFINITY, f64::INFINITY);
        active.retain(|&i| {
            let i = i as usize;
            let (sign, top) = (self.sign[i], self.top[i]);
            let slope = sign * self.design.dot(i, &self.w) - 1.0 + self.alpha[i] * self.ridge[i];
            let mut projected = slope;
            if self.alpha[i] <= 0.0 {
                if slope > upper {
                    return false;
                }
                projected = slope.min(0.0);
            } else if self.alpha[i] >= top {
                if slope < lower {
                    return false;
                }
                projected = slope.max(0.0);
            }
            greatest = greatest.max(projected);
            least = least.min(projected);
            if projected.abs() > 1e-12 {
                let before = self.alpha[i];
                self.alpha[i] = (before - slope / self.norms[i]).clamp(0.0, top);
                self.design.add(i, (self.alpha[i] - before) * sign, &mut self.w);
            }
            true
        });
        if active.is_empty() { (0.0, 0.0) } else { (greatest, least) }
    }

    fn primal(&self) -> f64 {
        let losses: f64 = (0..self.design.rows)
            .map(|i| self.cost[i] * (1.0 - self.sign[i] * self.design.dot(i, &self.w)).max(0.0))
            .sum();
        0.5 * dot(&self.w, &self.w) + losses
    }
}
