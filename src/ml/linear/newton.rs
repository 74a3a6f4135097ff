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
    /// Adds (loss Hessian) · `v` to `out`.
    fn add_curved(&mut self, v: &[f64], out: &mut [f64]);
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
    diagonal: Vec<f64>,
    residual: Vec<f64>,
    solved: Vec<f64>,
    direction: Vec<f64>,
    product: Vec<f64>,
}

impl Inner {
    fn new(n: usize) -> Inner {
        let zeros = || vec![0.0; n];
        Inner {
            step: zeros(),
            diagonal: zeros(),
            residual: zeros(),
            solved: zeros(),
            direction: zeros(),
            product: zeros(),
        }
    }

    /// Solves `H · step = -gradient` until the preconditioned residual falls to `accuracy` of its start; `diagonal` is that of
    /// `H`.
    fn solve(&mut self, problem: &mut impl Problem, gradient: &[f64], penalised: usize, accuracy: f64) {
        self.step.fill(0.0);
        for (r, g) in self.residual.iter_mut().zip(gradient) {
            *r = -g;
        }
        divide(&self.residual, &self.diagonal, &mut self.solved);
        self.direction.copy_from_slice(&self.solved);
        let mut rz = dot(&self.residual, &self.solved);
        let enough = accuracy * accuracy * rz;
        for _ in 0..MAX_INNER {
            self.product.fill(0.0);
            self.product[..penalised].copy_from_slice(&self.direction[..penalised]);
            problem.add_curved(&self.direction, &mut self.product);
            let curvature = dot(&self.direction, &self.product);
            if curvature.is_nan() || curvature <= 0.0 {
                break;
            }
            let along = rz / curvature;
            problem.gather(along);
            for (((s, d), r), p) in self.step.iter_mut().zip(&self.direction).zip(&mut self.residual).zip(&self.product)
            {
                *s += along * d;
                *r -= along * p;
            }
            divide(&self.residual, &self.diagonal, &mut self.solved);
            let next = dot(&self.residual, &self.solved);
            if next <= enough || next.is_nan() {
                return;
            }
            let turn = next / rz;
            rz = next;
            for (d, z) in self.direction.iter_mut().zip(&self.solved) {
                *d = z + turn * *d;
            }
        }
        if self.step.iter().all(|s| *s == 0.0) {
            self.step.copy_from_slice(&self.direction);
        }
    }
}

/// `out = a / b`, element by element.
fn divide(a: &[f64], b: &[f64], out: &mut [f64]) {
    for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
        *o = a / b;
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
