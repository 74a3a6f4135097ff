//! How is a smooth convex objective minimised? Truncated Newton: conjugate gradients, preconditioned by the Hessian's
//! diagonal, for the direction, a backtracking line search on cached margins for the step.
//!
//! The problem is `½‖w‖²` over the penalised weights plus a loss of the margins `X·w`. Each outer iteration costs
//! one pass for the slopes, one per conjugate-gradient step, and at most one for the margins of the direction; trial
//! steps cost no pass at all (the scheme of liblinear's line-search Newton method, Hsia, Zhu and Lin, 2017).

use std::ops::Range;

use super::wide::{axpy, wide};
use super::{Convergence, FitError, ShouldStop};

/// A loss over margins that the solver can walk on. The problem holds the margins `m` of the current weights and
/// the margins `t` of the current direction.
pub(super) trait Problem {
    /// Number of weights.
    fn len(&self) -> usize;
    /// Weights from here on carry no penalty.
    fn penalised(&self) -> usize;
    /// The loss at `m + step · t` and its derivative by `step`; what it works out there may be kept for the next slopes.
    fn loss_at(&mut self, step: f64) -> (f64, f64);
    /// Makes `m + step · t` the margins; `step` is the one of the last `loss_at`.
    fn advance(&mut self, step: f64);
    /// Sets `t` to the margins of `direction`.
    fn set_direction(&mut self, direction: &[f64]);
    /// Adds the loss's gradient and its Hessian's diagonal at `m`, and fixes the curvature for `add_curved`.
    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]);
    /// Adds (loss Hessian) · `v` to `out`; returns `v` · (loss Hessian) · `v`. A step is only looked for here, so f32 serves.
    fn add_curved(&mut self, v: &[f32], out: &mut [f32]) -> f64;
    /// Weights for which the Hessian is better known than by its diagonal.
    fn narrow(&self) -> Range<usize> {
        0..0
    }
    /// Solves for `z` what it is known to be there: Hessian · `z` = `r`, about.
    fn solve_narrow(&self, _r: &[f32], _z: &mut [f32]) {}
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
/// Where the objective no longer falls, a gradient goes on to fall while each step makes it smaller than this share.
const STILL_FALLS: f64 = 0.5;
/// A gradient this much smaller than the first one is zero: the optimum may lie at zero weights.
const FLAT: f64 = 1e-13;
/// Curvature along weights without penalty is at least this.
const TINY: f64 = 1e-12;
/// A step is long enough where the objective slopes by at most this share of what it did at first.
const FLATTENED: f64 = 0.5;
/// Trial steps after which any that lowers the objective serves, and after which none is found.
const FEW_TRIALS: usize = 5;
const MOST_TRIALS: usize = 60;
const MAX_INNER: usize = 500;
/// Running sums of a pass over vectors.
const LANES: usize = 16;

/// Minimises from `start` (none: zero weights), whose margins the problem has. Converged: `‖g(w)‖ ≤ tol · ‖w‖`, or no step can lower the objective by more than its
/// rounding, nor the gradient by much. As `½‖w‖²` makes the objective 1-strongly convex in the penalised weights, these are then within
/// `tol · ‖w‖` of the optimum's, whatever the scale of features and costs. Errors: interrupted.
pub(super) fn minimise(
    problem: &mut impl Problem,
    start: Option<Vec<f64>>,
    limits: Limits,
    should_stop: ShouldStop<'_>,
) -> Result<(Vec<f64>, Convergence), FitError> {
    let (n, penalised) = (problem.len(), problem.penalised());
    let mut w = start.unwrap_or_else(|| vec![0.0; n]);
    let mut objective = 0.5 * dot(&w[..penalised], &w[..penalised]) + problem.loss_at(0.0).0;
    let (mut gradient, mut diagonal, mut step_to) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut inner = Inner::new(n);
    let (mut first, mut last, mut iterations, mut floor) = (0.0, f64::INFINITY, 0, false);
    loop {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        gradient.fill(0.0);
        gradient[..penalised].copy_from_slice(&w[..penalised]);
        diagonal[..penalised].fill(1.0);
        diagonal[penalised..].fill(TINY);
        problem.add_slopes(&mut gradient, &mut diagonal);
        let norm = dot(&gradient, &gradient).sqrt();
        if iterations == 0 {
            first = norm;
        }
        let size = dot(&w, &w).sqrt();
        // below the objective's rounding the gradient may still fall
        let done = floor && norm > STILL_FALLS * last;
        let reached = norm <= limits.tol * size || norm <= FLAT * first || done;
        last = norm;
        if reached || iterations >= limits.max_iter {
            let end = Convergence { objective, gradient_norm: norm, iterations, converged: reached };
            return Ok((w, end));
        }
        let accuracy = forcing(norm / first, limits.tol * size / norm);
        inner.solve(problem, &gradient, &diagonal, penalised, accuracy, should_stop)?;
        step_to.iter_mut().zip(&inner.step).for_each(|(to, step)| *to = f64::from(*step));
        if !dot(&step_to, &step_to).is_normal() {
            // beyond what f32 holds: values of 1e20, say
            step_to.iter_mut().zip(gradient.iter().zip(&diagonal)).for_each(|(to, (g, d))| *to = -g / d);
        }
        problem.set_direction(&step_to);
        let (step, value) = search(problem, &w[..penalised], &step_to, dot(&gradient, &step_to), objective);
        floor = step == 0.0 || objective - value <= ROUNDING * objective.abs();
        axpy(step, &step_to, &mut w);
        problem.advance(step);
        objective = value;
        iterations += 1;
    }
}

/// Relative accuracy asked of the inner solve: loose far from the optimum, and no tighter than the gradient norm
/// that ends the fit (`wanted`, as a share of the present one) needs.
fn forcing(progress: f64, wanted: f64) -> f64 {
    progress.sqrt().min(0.1).max(0.5 * wanted).min(0.5)
}

/// A step along `direction` after which the objective is smaller and hardly slopes any more; trial steps cost no pass over the rows.
/// Returns the step (0: none lowers it) and the objective there.
fn search(problem: &mut impl Problem, w: &[f64], direction: &[f64], slope: f64, objective: f64) -> (f64, f64) {
    let direction = &direction[..w.len()];
    let (ww, ws, ss) = (dot(w, w), dot(w, direction), dot(direction, direction));
    let mut at = |step: f64| {
        let (loss, towards) = problem.loss_at(step);
        (0.5 * (ww + step * (2.0 * ws + step * ss)) + loss, ws + step * ss + towards)
    };
    if slope >= 0.0 || slope.is_nan() {
        return (0.0, at(0.0).0);
    }
    // the objective falls at `low` by `low_slope` and does not from `high` on
    let (mut low, mut low_slope, mut high) = (0.0, slope, f64::INFINITY);
    let (mut step, mut best) = (1.0, (0.0, objective));
    for trial in 0..MOST_TRIALS {
        let (value, towards) = at(step);
        let lower = value - objective <= DECREASE * step * slope + ROUNDING * objective.abs();
        if lower && (towards.abs() <= FLATTENED * slope.abs() || trial >= FEW_TRIALS) {
            return (step, value);
        }
        if lower && (best.0 == 0.0 || value < best.1) {
            best = (step, value);
        } else if best.0 > 0.0 && trial >= FEW_TRIALS {
            break;
        }
        let next = if lower && towards < 0.0 {
            // where the slope would be 0 if it went on as it does
            let reach = (step - low) * (towards / (low_slope - towards)).abs();
            (low, low_slope) = (step, towards);
            if high.is_finite() { 0.5 * (low + high) } else { step + reach.clamp(0.5 * step, 3.0 * step) }
        } else {
            high = step;
            let share = low_slope / (low_slope - towards);
            let share = if towards > 0.0 && share.is_finite() { share.clamp(0.1, 0.9) } else { 0.5 };
            low + share * (high - low)
        };
        step = next;
    }
    (best.0, at(best.0).0)
}

/// The vectors of the conjugate-gradient solve, kept between outer iterations.
struct Inner {
    step: Vec<f32>,
    /// One over the Hessian's diagonal.
    inverse: Vec<f32>,
    residual: Vec<f32>,
    /// The residual, preconditioned.
    z: Vec<f32>,
    direction: Vec<f32>,
    product: Vec<f32>,
}

impl Inner {
    fn new(n: usize) -> Inner {
        let zeros = || vec![0.0; n];
        let (step, inverse, residual, z, direction, product) = (zeros(), zeros(), zeros(), zeros(), zeros(), zeros());
        Inner { step, inverse, residual, z, direction, product }
    }

    /// Solves `H · step = -gradient` until the preconditioned residual falls to `accuracy` of its start; `diagonal` is that of
    /// `H`. The vectors may be longer than a cache is large, so each step goes over them just twice.
    fn solve(
        &mut self,
        problem: &mut impl Problem,
        gradient: &[f64],
        diagonal: &[f64],
        penalised: usize,
        accuracy: f64,
        should_stop: ShouldStop<'_>,
    ) -> Result<(), FitError> {
        self.step.fill(0.0);
        for (((r, inverse), g), d) in self.residual.iter_mut().zip(&mut self.inverse).zip(gradient).zip(diagonal) {
            (*r, *inverse) = (-g as f32, (1.0 / d) as f32);
        }
        let mut rz = self.walk(problem, 0.0);
        let enough = accuracy * accuracy * rz;
        let mut turn = 0.0;
        for _ in 0..MAX_INNER {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let squares = self.turn(turn as f32, penalised);
            let curvature = squares + problem.add_curved(&self.direction, &mut self.product);
            if curvature.is_nan() || curvature <= 0.0 {
                break;
            }
            let next = self.walk(problem, (rz / curvature) as f32);
            if next <= enough || next.is_nan() {
                return Ok(());
            }
            turn = next / rz;
            rz = next;
        }
        if self.step.iter().all(|s| *s == 0.0) {
            self.step.copy_from_slice(&self.direction);
        }
        Ok(())
    }

    /// `direction = z + turn · direction`, and `product` its penalised part, whose square is returned.
    fn turn(&mut self, turn: f32, penalised: usize) -> f64 {
        let Inner { z, direction, product, .. } = self;
        let (d, free) = direction.split_at_mut(penalised);
        let (p, free_p) = product.split_at_mut(penalised);
        free.iter_mut().zip(&z[penalised..]).for_each(|(d, z)| *d = z + turn * *d);
        free_p.fill(0.0);
        wide(
            #[inline(always)]
            || turned(turn, &z[..penalised], d, p),
        )
    }

    /// `step += along · direction`, `residual -= along · product`, and `z` the residual preconditioned; returns `residual · z`.
    fn walk(&mut self, problem: &impl Problem, along: f32) -> f64 {
        let narrow = problem.narrow();
        let mut rz = 0.0;
        for span in [0..narrow.start, narrow.clone(), narrow.end..self.step.len()] {
            let known = (&self.direction[span.clone()], &self.product[span.clone()], &self.inverse[span.clone()]);
            let changed = (&mut self.step[span.clone()], &mut self.residual[span.clone()], &mut self.z[span.clone()]);
            let square = wide(
                #[inline(always)]
                || walked(along, known, changed),
            );
            if span == narrow && !span.is_empty() {
                let (r, z) = (&self.residual[span.clone()], &mut self.z[span]);
                problem.solve_narrow(r, z);
                rz += r.iter().zip(z).map(|(r, z)| f64::from(*r) * f64::from(*z)).sum::<f64>();
            } else {
                rz += square;
            }
        }
        rz
    }
}

/// `d = z + turn · d` and `p = d`; returns `d · d`.
#[inline(always)]
fn turned(turn: f32, z: &[f32], d: &mut [f32], p: &mut [f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    for ((d, p), z) in d.chunks_mut(LANES).zip(p.chunks_mut(LANES)).zip(z.chunks(LANES)) {
        for (((d, p), z), lane) in d.iter_mut().zip(p).zip(z).zip(&mut lanes) {
            *d = z + turn * *d;
            *p = *d;
            *lane += f64::from(*d) * f64::from(*d);
        }
    }
    lanes.iter().sum()
}

/// `step += along · d`, `r -= along · p` and `z = inverse · r`; returns `r · z`.
#[inline(always)]
fn walked(
    along: f32,
    (d, p, inverse): (&[f32], &[f32], &[f32]),
    (step, r, z): (&mut [f32], &mut [f32], &mut [f32]),
) -> f64 {
    let mut lanes = [0.0; LANES];
    let changed = step.chunks_mut(LANES).zip(r.chunks_mut(LANES)).zip(z.chunks_mut(LANES));
    let known = d.chunks(LANES).zip(p.chunks(LANES)).zip(inverse.chunks(LANES));
    for (((step, r), z), ((d, p), inverse)) in changed.zip(known) {
        let all = step.iter_mut().zip(r).zip(z).zip(d).zip(p).zip(inverse).zip(&mut lanes);
        for ((((((step, r), z), d), p), inverse), lane) in all {
            *step += along * d;
            *r -= along * p;
            *z = *r * inverse;
            *lane += f64::from(*r) * f64::from(*z);
        }
    }
    lanes.iter().sum()
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
