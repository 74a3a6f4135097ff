//! How is a linear support vector machine fitted row by row? By coordinate descent on its dual, with shrinking: the hinge loss to
//! its optimum, the squared hinge loss as near to it as that is the fastest way.
//!
//! The method of Hsieh, Chang, Lin, Keerthi and Sundararajan (ICML 2008), as in liblinear's `solve_l2r_l1l2_svc`:
//! one dual variable per row in `[0, cost_i]` (squared hinge: from 0 up, with `1/(2 cost_i)` on the diagonal), visited in a seeded
//! order that is another one in every pass; `w = Σ alpha_i y_i x_i` is kept up to date.

use super::design::Design;
use super::newton::{Limits, dot};
use super::wide::wide;
use super::{Convergence, FitError, ShouldStop};
use crate::ml::Rng;

/// Seed of the order of visits. The optimum does not depend on it; the last bits do.
const SEED: u64 = 0;

/// Rows whose values are asked for this many visits ahead: they lie all over the memory.
const AHEAD: usize = 4;

/// A row's part in the dual.
#[derive(Clone, Copy)]
struct Visit {
    row: u32,
    /// 1 or -1.
    sign: f64,
    /// The dual variable, from 0 to `top`.
    alpha: f64,
    top: f64,
    /// What the loss adds to the row's place on the diagonal of the dual's Hessian.
    ridge: f64,
    /// One over that place.
    inverse: f64,
}

struct Dual<'a> {
    design: &'a Design<'a>,
    /// The rows whose variable can change anything; those up to `active` in the order of the next pass.
    visits: Vec<Visit>,
    active: usize,
    rng: Rng,
    w: Vec<f64>,
    /// Rows at 0 whose slope is above this are settled, and rows at their top whose slope is below `lower`.
    upper: f64,
    lower: f64,
}

/// What a pass saw, before its moves.
struct Seen {
    /// Greatest and least projected gradient.
    greatest: f64,
    least: f64,
    /// `Σ (slope_i / ridge_i)² ‖x_i‖²` over the rows above 0 (0 without ridges).
    residual: f64,
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
    let signs: Vec<f64> = positive.map(sign).collect();
    let mut dual = Dual::new(design, signs.iter().zip(cost).map(|(sign, cost)| (*sign, *cost, 0.0)));
    let (mut iterations, mut width, mut converged) = (0, 0.0, dual.visits.is_empty());
    while !converged && iterations < limits.max_iter {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        let all = dual.active == dual.visits.len();
        let seen = dual.pass();
        iterations += 1;
        width = seen.greatest - seen.least;
        if width <= limits.tol {
            converged = all;
            // shrunk rows come back for a last look
            dual.unshrink();
        }
    }
    let losses: f64 =
        (0..design.rows).map(|i| cost[i] * (1.0 - signs[i] * design.dot(i, &dual.w)).max(0.0)).sum();
    let objective = 0.5 * dot(&dual.w, &dual.w) + losses;
    Ok((dual.w, Convergence { objective, gradient_norm: width, iterations, converged }))
}

/// Weights near the minimum of `½‖w‖² + Σ cost_i · max(0, 1 - sign_i · x_i·w)²`: where the objective's gradient is likely below `tol`
/// times the weights' norm, or where further passes gain less than they cost. Errors: interrupted.
pub(super) fn approached(
    design: &Design<'_>,
    positive: impl Iterator<Item = bool>,
    cost: &[f64],
    tol: f64,
    should_stop: ShouldStop<'_>,
) -> Result<Vec<f64>, FitError> {
    let rows = positive.zip(cost).map(|(positive, &cost)| match cost > 0.0 {
        true => (sign(positive), f64::INFINITY, 0.5 / cost),
        false => (1.0, 0.0, 0.0),
    });
    let mut dual = Dual::new(design, rows);
    for k in 0..std::env::var("APP").ok().and_then(|s| s.parse().ok()).unwrap_or(20) {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        let t0 = std::time::Instant::now();
        let seen = dual.pass();
        if std::env::var("DBG").is_ok() { eprintln!("{k} active {} width {:.2e} res {:.2e} {:.5}", dual.active, seen.greatest - seen.least, (seen.residual / dot(&dual.w, &dual.w)).sqrt(), t0.elapsed().as_secs_f64()); }
        if seen.residual <= tol * tol * dot(&dual.w, &dual.w) {
            break;
        }
    }
    Ok(dual.w)
}

fn sign(positive: bool) -> f64 {
    if positive { 1.0 } else { -1.0 }
}

impl<'a> Dual<'a> {
    /// `rows`: sign, top and ridge of each.
    fn new(design: &'a Design<'a>, rows: impl Iterator<Item = (f64, f64, f64)>) -> Dual<'a> {
        let mut visits = Vec::with_capacity(design.rows);
        for (row, (sign, top, ridge)) in rows.enumerate() {
            let norm = design.norm_squared(row) + ridge;
            if norm > 0.0 && top > 0.0 {
                visits.push(Visit { row: row as u32, sign, alpha: 0.0, top, ridge, inverse: 1.0 / norm });
            }
        }
        let (active, rng, w) = (visits.len(), Rng::seeded(SEED), vec![0.0; design.width()]);
        Dual { design, visits, active, rng, w, upper: f64::INFINITY, lower: f64::NEG_INFINITY }
    }

    fn unshrink(&mut self) {
        self.active = self.visits.len();
        (self.upper, self.lower) = (f64::INFINITY, f64::NEG_INFINITY);
    }

    /// One visit to every active row, in a new order; rows that are settled at a bound stop being active.
    fn pass(&mut self) -> Seen {
        self.shuffle();
        let mut seen = Seen { greatest: f64::NEG_INFINITY, least: f64::INFINITY, residual: 0.0 };
        let kept = wide(#[inline(always)] || self.visit_all(&mut seen));
        if kept == 0 {
            (seen.greatest, seen.least) = (0.0, 0.0);
        }
        self.active = kept;
        self.upper = if seen.greatest <= 0.0 { f64::INFINITY } else { seen.greatest };
        self.lower = if seen.least >= 0.0 { f64::NEG_INFINITY } else { seen.least };
        seen
    }

    #[inline(always)]
    fn visit_all(&mut self, seen: &mut Seen) -> usize {
        let (mut kept, mut touched) = (0, 0);
        for at in 0..self.active {
            if let Some(next) = self.visits.get(at + AHEAD) {
                touched ^= self.design.touch(next.row as usize);
            }
            let Visit { row, sign, alpha, top, ridge, inverse } = self.visits[at];
            let row = row as usize;
            let slope = sign * self.design.dot(row, &self.w) - 1.0 + alpha * ridge;
            let projected = if alpha <= 0.0 {
                if slope > self.upper {
                    continue;
                }
                slope.min(0.0)
            } else if alpha >= top {
                if slope < self.lower {
                    continue;
                }
                slope.max(0.0)
            } else {
                slope
            };
            seen.greatest = seen.greatest.max(projected);
            seen.least = seen.least.min(projected);
            if ridge > 0.0 {
                let off = projected / ridge;
                seen.residual += off * off * (1.0 / inverse - ridge);
            }
            if projected.abs() > 1e-12 {
                let moved = (alpha - slope * inverse).clamp(0.0, top);
                self.visits[at].alpha = moved;
                self.design.add(row, (moved - alpha) * sign, &mut self.w);
            }
            self.visits.swap(kept, at);
            kept += 1;
        }
        std::hint::black_box(touched);
        kept
    }

    /// Fisher–Yates; the draws may lean by a part in 2³² a row, which changes no optimum.
    fn shuffle(&mut self) {
        for at in (1..self.active).rev() {
            let to = ((self.rng.next_u64() >> 32) * (at as u64 + 1)) >> 32;
            self.visits.swap(at, to as usize);
        }
    }
}
