//! How is a smooth convex objective minimised? Truncated Newton: conjugate gradients, preconditioned by the Hessian's
//! diagonal, for the direction, a backtracking line search on cached margins for the step.
//!
//! The problem is `½‖w‖²` over the penalised weights plus a loss of the margins `X·w`. Each outer iteration costs
//! one pass for the slopes, one per conjugate-gradient step, and at most one for the margins of the direction; trial
//! steps cost no pass at all (the scheme of liblinear's line-search Newton method, Hsia, Zhu and Lin, 2017).

use super::{Convergence, FitError, ShouldStop};

/// A loss over margins that the solver can walk on. The problem holds the margins `m` of the current weights and
/// the margins `t` of the current direction.
pub(super) trait Problem {
    /// Number of weights.
    fn len(&self) -> usize;
    /// Weights from here on carry no penalty.
    fn penalised(&self) -> usize;
    /// The loss at `m + step · t`; what it works out there may be kept for the next `gradient`.
    fn loss_at(&mut self, step: f64) -> f64;
    /// Makes `m + step · t` the margins; `step` is the one of the last `loss_at`.
    fn advance(&mut self, step: f64);
    /// Sets `t` to the margins of `direction`.
    fn set_direction(&mut self, direction: &[f64]);
    /// Adds the loss's gradient and its Hessian's diagonal at `m`, and fixes the curvature for `add_curved`.
    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]);
    /// Adds (loss Hessian) · `v` to `out`; returns `v` · (loss Hessian) · `v`.
    fn add_curved(&mut self, v: &[f64], out: &mut [f64]) -> f64;
    /// Tells that the direction set next holds `along` times the last `v` of `add_curved`, whose margins may be kept for it.
    fn gather(&mut self, _along: f64) {}
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Gradient norm to reach, relative to the weights' norm.
    pub(super) tol: f64,
    /// Most outer iterations.
    pub(super) max_iter: usize,
}

/// Share of the first-order decrease that a step must bring (Armijo).
const DECREASE: f64 = 1e-4;
/// Changes of the objective below this share of it are rounding.
const ROUNDING: f64 = 1e-14;
/// A gradient this much smaller than the first one is zero: the optimum may lie at zero weights.
const FLAT: f64 = 1e-13;
/// Curvature along weights without penalty is at least this.
const TINY: f64 = 1e-12;
const MAX_INNER: usize = 500;
/// Running sums of a pass over vectors.
const LANES: usize = 8;

/// Minimises from `start` (none: zero weights). Converged: `‖g(w)‖ ≤ tol · ‖w‖`, or no step can lower the objective by more than its
/// rounding. As `½‖w‖²` makes the objective 1-strongly convex in the penalised weights, these are then within
/// `tol · ‖w‖` of the optimum's, whatever the scale of features and costs. Errors: interrupted.
pub(super) fn minimise(
    problem: &mut impl Problem,
    start: Option<Vec<f64>>,
    limits: Limits,
    should_stop: ShouldStop<'_>,
) -> Result<(Vec<f64>, Convergence), FitError> {
    let (n, penalised) = (problem.len(), problem.penalised());
    let mut w = start.unwrap_or_else(|| vec![0.0; n]);
    problem.set_direction(&w);
    let mut objective = 0.5 * dot(&w[..penalised], &w[..penalised]) + problem.loss_at(1.0);
    problem.advance(1.0);
    let mut gradient = vec![0.0; n];
    let mut inner = Inner::new(n);
    let (mut first, mut iterations, mut floor) = (0.0, 0, false);
    loop {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        gradient.fill(0.0);
        gradient[..penalised].copy_from_slice(&w[..penalised]);
        inner.diagonal[..penalised].fill(1.0);
        inner.diagonal[penalised..].fill(TINY);
        problem.add_slopes(&mut gradient, &mut inner.diagonal);
        let norm = dot(&gradient, &gradient).sqrt();
        if iterations == 0 {
            first = norm;
        }
        let size = dot(&w, &w).sqrt();
        let reached = norm <= limits.tol * size || norm <= FLAT * first || floor;
        if reached || iterations >= limits.max_iter {
            let end = Convergence { objective, gradient_norm: norm, iterations, converged: reached };
            return Ok((w, end));
        }
        let accuracy = forcing(norm / first, limits.tol * size / norm);
        inner.solve(problem, &gradient, penalised, accuracy);
        problem.set_direction(&inner.step);
        let (step, value) = search(problem, &w[..penalised], &inner.step, dot(&gradient, &inner.step), objective);
        floor = step == 0.0 || objective - value <= ROUNDING * objective.abs();
        for (w, s) in w.iter_mut().zip(&inner.step) {
            *w += step * s;
        }
        problem.advance(step);
        objective = value;
        iterations += 1;
    }
}

/// Relative accuracy asked of the inner solve: loose far from the optimum, and no tighter than the gradient norm
/// that ends the fit (`wanted`, as a share of the present one) needs.
fn forcing(progress: f64, wanted: f64) -> f64 {
    progress.sqrt().min(0.3).max(0.5 * wanted).min(0.5)
}

/// Backtracks until the objective falls enough. Returns the step (0: none lowers it) and the objective there.
fn search(problem: &mut impl Problem, w: &[f64], direction: &[f64], slope: f64, objective: f64) -> (f64, f64) {
    let direction = &direction[..w.len()];
    let (ww, ws, ss) = (dot(w, w), dot(w, direction), dot(direction, direction));
    let mut step = 1.0;
    if slope < 0.0 {
        for _ in 0..60 {
            let value = 0.5 * (ww + step * (2.0 * ws + step * ss)) + problem.loss_at(step);
            if value - objective <= DECREASE * step * slope + ROUNDING * objective.abs() {
                return (step, value);
            }
            step *= 0.5;
        }
    }
    (0.0, 0.5 * ww + problem.loss_at(0.0))
}

/// The vectors of the conjugate-gradient solve, kept between outer iterations.
struct Inner {
    step: Vec<f64>,
    /// The Hessian's diagonal; one over it once solving begins.
    diagonal: Vec<f64>,
    residual: Vec<f64>,
    direction: Vec<f64>,
    product: Vec<f64>,
}

impl Inner {
    fn new(n: usize) -> Inner {
        let zeros = || vec![0.0; n];
        Inner { step: zeros(), diagonal: zeros(), residual: zeros(), direction: zeros(), product: zeros() }
    }

    /// Solves `H · step = -gradient` until the preconditioned residual falls to `accuracy` of its start; `diagonal` is that of
    /// `H`. The vectors may be longer than a cache is large, so each step goes over them just twice.
    fn solve(&mut self, problem: &mut impl Problem, gradient: &[f64], penalised: usize, accuracy: f64) {
        self.step.fill(0.0);
        self.diagonal.iter_mut().for_each(|d| *d = 1.0 / *d);
        let mut rz = 0.0;
        for ((r, g), inverse) in self.residual.iter_mut().zip(gradient).zip(&self.diagonal) {
            *r = -g;
            rz += *r * *r * inverse;
        }
        let enough = accuracy * accuracy * rz;
        let mut turn = 0.0;
        for _ in 0..MAX_INNER {
            let squares = self.turn(turn, penalised);
            let curvature = squares + problem.add_curved(&self.direction, &mut self.product);
            if curvature.is_nan() || curvature <= 0.0 {
                break;
            }
            let along = rz / curvature;
            problem.gather(along);
            let next = self.walk(along);
            if next <= enough || next.is_nan() {
                return;
            }
            turn = next / rz;
            rz = next;
        }
        if self.step.iter().all(|s| *s == 0.0) {
            self.step.copy_from_slice(&self.direction);
        }
    }

    /// `direction = residual / diagonal + turn · direction`, and `product` its penalised part, whose square is returned.
    fn turn(&mut self, turn: f64, penalised: usize) -> f64 {
        let (residual, free_residual) = self.residual.split_at(penalised);
        let (inverse, free_inverse) = self.diagonal.split_at(penalised);
        let (direction, free_direction) = self.direction.split_at_mut(penalised);
        let (product, free_product) = self.product.split_at_mut(penalised);
        for ((d, r), inverse) in free_direction.iter_mut().zip(free_residual).zip(free_inverse) {
            *d = r * inverse + turn * *d;
        }
        free_product.fill(0.0);
        let mut lanes = [0.0; LANES];
        let mut one = |lane: usize, d: &mut f64, p: &mut f64, r: f64, inverse: f64| {
            *d = r * inverse + turn * *d;
            *p = *d;
            lanes[lane] += *d * *d;
        };
        let (rs, r_rest) = residual.as_chunks::<LANES>();
        let (is, i_rest) = inverse.as_chunks::<LANES>();
        let (ds, d_rest) = direction.as_chunks_mut::<LANES>();
        let (ps, p_rest) = product.as_chunks_mut::<LANES>();
        for (((d, p), r), i) in ds.iter_mut().zip(ps).zip(rs).zip(is) {
            for lane in 0..LANES {
                one(lane, &mut d[lane], &mut p[lane], r[lane], i[lane]);
            }
        }
        for (((d, p), r), i) in d_rest.iter_mut().zip(p_rest).zip(r_rest).zip(i_rest) {
            one(0, d, p, *r, *i);
        }
        lanes.iter().sum()
    }

    /// `step += along · direction` and `residual -= along · product`; returns the residual's preconditioned square.
    fn walk(&mut self, along: f64) -> f64 {
        let mut lanes = [0.0; LANES];
        let mut one = |lane: usize, s: &mut f64, r: &mut f64, d: f64, p: f64, inverse: f64| {
            *s += along * d;
            *r -= along * p;
            lanes[lane] += *r * *r * inverse;
        };
        let (ss, s_rest) = self.step.as_chunks_mut::<LANES>();
        let (rs, r_rest) = self.residual.as_chunks_mut::<LANES>();
        let (ds, d_rest) = self.direction.as_chunks::<LANES>();
        let (ps, p_rest) = self.product.as_chunks::<LANES>();
        let (is, i_rest) = self.diagonal.as_chunks::<LANES>();
        for ((((s, r), d), p), i) in ss.iter_mut().zip(rs).zip(ds).zip(ps).zip(is) {
            for lane in 0..LANES {
                one(lane, &mut s[lane], &mut r[lane], d[lane], p[lane], i[lane]);
            }
        }
        for ((((s, r), d), p), i) in s_rest.iter_mut().zip(r_rest).zip(d_rest).zip(p_rest).zip(i_rest) {
            one(0, s, r, *d, *p, *i);
        }
        lanes.iter().sum()
    }
}

/// `a · b` in eight running sums.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (xs, x_rest) = a.as_chunks::<8>();
    let (ys, y_rest) = b.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f64>() + rest
}
