//! How is a linear support vector machine fitted row by row? By coordinate descent on its dual, with shrinking: the hinge loss to
//! its optimum, the squared hinge loss as near to it as that is the fastest way.
//!
//! The method of Hsieh, Chang, Lin, Keerthi and Sundararajan (ICML 2008), as in liblinear's `solve_l2r_l1l2_svc`:
//! one dual variable per row in `[0, cost_i]` (squared hinge: from 0 up, with `1/(2 cost_i)` on the diagonal), visited in a seeded
//! order that is another one in every pass; `w = Σ alpha_i y_i x_i` is kept up to date. Several classes, each against the rest, go
//! over the rows together: the memory is waited for once, and their weights lie side by side.

use super::design::Design;
use super::newton::{Limits, dot};
use super::wide::{Real, wide};
use super::{Convergence, FitError, ShouldStop};
use crate::ml::Rng;

/// Classes that go over sparse rows together.
pub(super) const TOGETHER: usize = 8;

/// Seed of the order of visits. The optimum does not depend on it; the last bits do.
const SEED: u64 = 0;

/// Rows whose values are asked for together, before they are visited: they lie all over the memory.
const AHEAD: usize = 8;

/// Passes after which Newton's method takes over at the latest.
const APPROACH: usize = 40;

/// The gradient that a pass saw is made smaller by this than the one asked for: it is only about the true one.
const SURE: f64 = 0.3;

/// Without tops, passes converge faster where variables move this much further than to their best places (over-relaxation).
const BEYOND: f64 = 1.2;

/// Moves of a projected gradient below this are rounding.
const STILL: f64 = 1e-12;

/// The rows, and what each class's dual knows of them.
pub(super) struct Rows<'a> {
    design: &'a Design<'a>,
    cost: &'a [f64],
    /// `x_i·x_i`.
    norms: Vec<f64>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(design: &'a Design<'a>, cost: &'a [f64]) -> Rows<'a> {
        Rows { design, cost, norms: (0..design.rows).map(|i| design.norm_squared(i)).collect() }
    }
}

/// A row's part in the duals of `L` classes.
#[derive(Clone, Copy)]
struct Visit<const L: usize> {
    row: u32,
    /// The class that the row is of; `L` or more: none of them.
    own: u32,
    /// The dual variables, from 0 to `top`.
    alpha: [f64; L],
    top: f64,
    /// What the loss adds to the row's place on the diagonal of the dual's Hessian.
    ridge: f64,
    /// One over that place.
    inverse: f64,
}

/// What a pass saw of each class before its moves.
#[derive(Clone, Copy)]
struct Seen<const L: usize> {
    /// Greatest and least projected gradient.
    greatest: [f64; L],
    least: [f64; L],
    /// `Σ (slope_i / ridge_i)² ‖x_i‖²` over the rows above 0 (0 without ridges).
    residual: [f64; L],
}

struct Dual<'a, T, const L: usize> {
    design: &'a Design<'a>,
    /// The rows whose variables can change anything; those up to `active` in the order of the next pass.
    visits: Vec<Visit<L>>,
    active: usize,
    rng: Rng,
    /// How far a variable moves, as a share of the way to its best place.
    pace: f64,
    w: Vec<[T; L]>,
    /// `w · w`, about.
    size: [f64; L],
    /// Rows at 0 whose slope is above this are settled, and rows at their top whose slope is below `lower`.
    upper: [f64; L],
    lower: [f64; L],
}

/// Minimises `½‖w‖² + Σ cost_i · max(0, 1 - sign_i · x_i·w)` for each of `L` classes, every weight penalised; `own` says of which of them
/// each row is (`L` or more: of none). Converged: over all rows, the greatest and the least projected gradient of each
/// dual differ by at most `tol`. Errors: interrupted.
pub(super) fn minimise<const L: usize>(
    rows: &Rows<'_>,
    own: impl Iterator<Item = u32> + Clone,
    limits: Limits,
    should_stop: ShouldStop<'_>,
) -> Result<Vec<(Vec<f64>, Convergence)>, FitError> {
    let mut dual = Dual::<f64, L>::new(rows, own.clone(), |cost| (cost, 0.0));
    let (mut iterations, mut width, mut converged) = (0, 0.0, dual.visits.is_empty());
    while !converged && iterations < limits.max_iter {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        let all = dual.active == dual.visits.len();
        let seen = dual.pass();
        iterations += 1;
        width = (0..L).map(|l| seen.greatest[l] - seen.least[l]).fold(0.0, f64::max);
        if width <= limits.tol {
            converged = all;
            // shrunk rows come back for a last look
            dual.unshrink();
        }
    }
    let fits = (0..L).map(|l| {
        let w = dual.weights(l);
        let hinge = |(i, own): (usize, u32)| {
            let sign = if own as usize == l { 1.0 } else { -1.0 };
            rows.cost[i] * (1.0 - sign * rows.design.dot(i, &w)).max(0.0)
        };
        let losses: f64 = own.clone().enumerate().map(hinge).sum();
        let objective = 0.5 * dot(&w, &w) + losses;
        (w, Convergence { objective, gradient_norm: width, iterations, converged })
    });
    Ok(fits.collect())
}

/// Weights near the minima of `½‖w‖² + Σ cost_i · max(0, 1 - sign_i · x_i·w)²`, for classes as in [`minimise`], by column: where the
/// objectives' gradients are likely below `tol` times the weights' norm, or where many passes have not sufficed. They are in
/// single precision: the passes wait for memory, and Newton's method goes on from there. Errors: interrupted.
pub(super) fn approached<const L: usize>(
    rows: &Rows<'_>,
    own: impl Iterator<Item = u32>,
    tol: f64,
    should_stop: ShouldStop<'_>,
) -> Result<Vec<[f64; L]>, FitError> {
    let bounds = |cost: f64| if cost > 0.0 { (f64::INFINITY, 0.5 / cost) } else { (0.0, 0.0) };
    let mut dual = Dual::<f32, L>::new(rows, own, bounds);
    dual.pace = BEYOND;
    for _ in 0..APPROACH {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        let seen = dual.pass();
        if (0..L).all(|l| seen.residual[l].sqrt() <= SURE * tol * dual.size[l].max(0.0).sqrt()) {
            break;
        }
    }
    Ok(dual.w.iter().map(|w| w.map(f64::from)).collect())
}

impl<'a, T: Real, const L: usize> Dual<'a, T, L> {
    /// `bounds` gives the top and the ridge for a row's cost.
    fn new(rows: &Rows<'a>, own: impl Iterator<Item = u32>, bounds: impl Fn(f64) -> (f64, f64)) -> Self {
        let design = rows.design;
        let mut visits = Vec::with_capacity(design.rows);
        for (row, (own, &cost)) in own.zip(rows.cost).enumerate() {
            let (top, ridge) = bounds(cost);
            let norm = rows.norms[row] + ridge;
            if norm > 0.0 && top > 0.0 {
                visits.push(Visit { row: row as u32, own, alpha: [0.0; L], top, ridge, inverse: 1.0 / norm });
            }
        }
        let (active, rng, w) = (visits.len(), Rng::seeded(SEED), vec![[T::default(); L]; design.width()]);
        let (upper, lower) = ([f64::INFINITY; L], [f64::NEG_INFINITY; L]);
        Dual { design, visits, active, rng, pace: 1.0, w, size: [0.0; L], upper, lower }
    }

    fn weights(&self, class: usize) -> Vec<f64> {
        self.w.iter().map(|w| w[class].into()).collect()
    }

    fn unshrink(&mut self) {
        self.active = self.visits.len();
        (self.upper, self.lower) = ([f64::INFINITY; L], [f64::NEG_INFINITY; L]);
    }

    /// One visit to every active row, in a new order; rows that are settled at their bounds stop being active.
    fn pass(&mut self) -> Seen<L> {
        self.shuffle();
        let nothing = Seen { greatest: [f64::NEG_INFINITY; L], least: [f64::INFINITY; L], residual: [0.0; L] };
        let (kept, mut seen) = wide(
            #[inline(always)]
            || self.visit_all(nothing),
        );
        if kept == 0 {
            (seen.greatest, seen.least) = ([0.0; L], [0.0; L]);
        }
        self.active = kept;
        self.upper = seen.greatest.map(|greatest| if greatest <= 0.0 { f64::INFINITY } else { greatest });
        self.lower = seen.least.map(|least| if least >= 0.0 { f64::NEG_INFINITY } else { least });
        seen
    }

    #[inline(always)]
    fn visit_all(&mut self, mut seen: Seen<L>) -> (usize, Seen<L>) {
        let (mut kept, mut touched) = (0, 0);
        for at in 0..self.active {
            if at % AHEAD == 0 {
                for next in self.visits.iter().take(self.active).skip(at + AHEAD).take(AHEAD) {
                    touched ^= self.design.touch(next.row as usize);
                }
            }
            let visit = self.visits[at];
            let (row, Visit { top, ridge, inverse, .. }) = (visit.row as usize, visit);
            let products = self.design.dot_lanes(row, &self.w);
            let mut sign = [-1.0; L];
            if let Some(own) = sign.get_mut(visit.own as usize) {
                *own = 1.0;
            }
            let norm = 1.0 / inverse - ridge;
            let square = if ridge > 0.0 { norm / (ridge * ridge) } else { 0.0 };
            let (mut moves, mut moved) = ([0.0; L], visit.alpha);
            let (mut open, mut still) = (0u32, 0u32);
            for l in 0..L {
                let alpha = visit.alpha[l];
                let slope = sign[l] * products[l].into() - 1.0 + alpha * ridge;
                let (bottom, full) = (alpha <= 0.0, alpha >= top);
                let projected = if bottom {
                    slope.min(0.0)
                } else if full {
                    slope.max(0.0)
                } else {
                    slope
                };
                let settled = (bottom & (slope > self.upper[l])) | (full & (slope < self.lower[l]));
                open += u32::from(!settled);
                seen.greatest[l] = if projected > seen.greatest[l] && !settled { projected } else { seen.greatest[l] };
                seen.least[l] = if projected < seen.least[l] && !settled { projected } else { seen.least[l] };
                seen.residual[l] += projected * projected * square;
                let to = (alpha - self.pace * slope * inverse).max(0.0).min(top);
                let to = if projected.abs() > STILL && !settled { to } else { alpha };
                still += u32::from(to == alpha);
                moved[l] = to;
                moves[l] = (to - alpha) * sign[l];
                self.size[l] += moves[l] * (2.0 * products[l].into() + moves[l] * norm);
            }
            if open == 0 {
                continue;
            }
            if still < L as u32 {
                self.visits[at].alpha = moved;
                self.design.add_lanes(row, moves.map(T::of), &mut self.w);
            }
            self.visits.swap(kept, at);
            kept += 1;
        }
        std::hint::black_box(touched);
        (kept, seen)
    }

    /// Fisher–Yates; the draws may lean by a part in 2³² a row, which changes no optimum.
    fn shuffle(&mut self) {
        for at in (1..self.active).rev() {
            let to = ((self.rng.next_u64() >> 32) * (at as u64 + 1)) >> 32;
            self.visits.swap(at, to as usize);
        }
    }
}
