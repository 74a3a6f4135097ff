//! How is an objective with a penalty `‖w‖₁` minimised? Proximal Newton: coordinate descent on a quadratic model of the loss, over
//! the weights that can leave zero, then a line search.
//!
//! The scheme of newGLMNET (Yuan, Ho and Lin, JMLR 2012) with the working set taken from the gradient: a weight at zero whose
//! slope is within the penalty stays there until the next gradient.

use super::columns::{Column, Columns};
use super::{Convergence, FitError, ShouldStop};

/// A loss of margins `X·w + b`, `outputs` of them a row, with a direction to move along.
pub(super) trait Margins {
    /// Margins of a row.
    fn outputs(&self) -> usize;
    /// The loss at margins + `step` · direction.
    fn loss_at(&mut self, step: f64) -> f64;
    /// Moves by `step` · direction, and forgets the direction.
    fn advance(&mut self, step: f64);
    /// Works out slopes and curvature at the margins.
    fn refresh(&mut self);
    /// The loss's derivative in the margins of `output`, a value a row.
    fn slopes(&self, output: usize) -> &[f64];
    /// The diagonal of its second derivative, at row `i`.
    fn curvature(&self, output: usize, i: usize) -> f64;
    /// The quadratic model's slope along a column, without what `slopes` says.
    fn bend(&self, column: Column<'_>, output: usize) -> f64;
    /// Adds `by` · column to the direction of `output`.
    fn nudge(&mut self, column: Column<'_>, output: usize, by: f64);
}

/// `l1 · ‖w‖₁ + ½ · l2 · ‖w‖²`, and what of it the intercept bears.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strength {
    pub(super) l1: f64,
    pub(super) l2: f64,
    /// Value of the constant column; 0: none.
    pub(super) bias: f64,
    /// Whether the constant column's weight is penalised like the others.
    pub(super) bears: bool,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) tol: f64,
    pub(super) max_iter: usize,
}

const DECREASE: f64 = 0.01;
/// Changes of the objective below this share of it are rounding.
const ROUNDING: f64 = 1e-14;
/// A violation this much smaller than the first one is zero.
const FLAT: f64 = 1e-13;
/// Least curvature of a column.
const TINY: f64 = 1e-12;
/// Share of the violation that the inner descent leaves.
const INNER: f64 = 0.05;
const MOST_PASSES: usize = 200;

/// Minimises loss + penalty from zero. Weights are output by output, `cols` (+ 1 with a constant column) each.
/// Converged: no slope violates the optimality conditions by more than `tol · l1` (then the objective is within about
/// `2 · tol` of the least one, relatively), or their norm is at most `tol · l2 · ‖w‖`, or no step lowers the objective by
/// more than its rounding. Errors: interrupted.
pub(super) fn minimise(
    x: &Columns,
    problem: &mut impl Margins,
    strength: Strength,
    rule: Rule,
    should_stop: ShouldStop<'_>,
) -> Result<(Vec<f64>, Convergence), FitError> {
    let mut walk = Walk::new(x, problem.outputs(), strength);
    let mut objective = problem.loss_at(0.0);
    let (mut first, mut iterations, mut floor) = (0.0, 0, false);
    loop {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        problem.refresh();
        let (most, norm) = walk.look(problem);
        if iterations == 0 {
            first = most;
        }
        let size = walk.w.iter().map(|w| w * w).sum::<f64>().sqrt();
        let small = most <= rule.tol * strength.l1 || norm <= rule.tol * strength.l2 * size;
        let reached = small || most <= FLAT * first || floor;
        if reached || iterations >= rule.max_iter {
            return Ok((walk.w, Convergence { objective, gradient_norm: norm, iterations, converged: reached }));
        }
        walk.descend(problem, INNER * most, should_stop)?;
        let (step, value) = walk.search(problem, objective);
        floor = step == 0.0 || objective - value <= ROUNDING * objective.abs();
        problem.advance(step);
        walk.take(step);
        objective = value;
        iterations += 1;
    }
}

struct Walk<'a> {
    x: &'a Columns,
    strength: Strength,
    /// Weights of one output.
    width: usize,
    w: Vec<f64>,
    /// How far each weight has moved in the model.
    moved: Vec<f64>,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
    /// Weights that may move.
    working: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(x: &'a Columns, outputs: usize, strength: Strength) -> Walk<'a> {
        let width = x.cols() + usize::from(strength.bias != 0.0);
        let zeros = || vec![0.0; width * outputs];
        let (w, moved, gradient, curvature) = (zeros(), zeros(), zeros(), zeros());
        Walk { x, strength, width, w, moved, gradient, curvature, working: Vec::new() }
    }

    fn column(&self, at: usize) -> (Column<'a>, usize) {
        let (output, j) = (at / self.width, at % self.width);
        let column = if j < self.x.cols() { self.x.column(j) } else { Column::Constant(self.strength.bias) };
        (column, output)
    }

    /// The penalty's strengths on weight `at`.
    fn penalty(&self, at: usize) -> (f64, f64) {
        if at % self.width < self.x.cols() || self.strength.bears {
            (self.strength.l1, self.strength.l2)
        } else {
            (0.0, 0.0)
        }
    }

    /// Works out the gradient and the working set. Returns the greatest violation and the violations' norm.
    fn look(&mut self, problem: &impl Margins) -> (f64, f64) {
        self.working.clear();
        let (mut most, mut squares) = (0.0f64, 0.0);
        for at in 0..self.w.len() {
            let (column, output) = self.column(at);
            if column.is_empty() {
                continue;
            }
            let (l1, l2) = self.penalty(at);
            let slopes = problem.slopes(output);
            self.gradient[at] = column.sum(self.x.rows(), |i| slopes[i]) + l2 * self.w[at];
            let violation = violation(self.w[at], self.gradient[at], l1);
            if self.w[at] != 0.0 || violation > 0.0 {
                self.curvature[at] = column.squares(self.x.rows(), |i| problem.curvature(output, i)) + l2 + TINY;
                self.working.push(at);
            }
            most = most.max(violation);
            squares += violation * violation;
        }
        (most, squares.sqrt())
    }

    /// Coordinate descent on the model until no violation in a pass over the working set is above `enough`. Errors: interrupted.
    fn descend(
        &mut self,
        problem: &mut impl Margins,
        enough: f64,
        should_stop: ShouldStop<'_>,
    ) -> Result<(), FitError> {
        let everything = std::mem::take(&mut self.working);
        let mut active = everything.clone();
        let mut whole = true;
        for _ in 0..MOST_PASSES {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let mut most = 0.0f64;
            active.retain(|&at| {
                let violation = self.visit(problem, at);
                most = most.max(violation);
                violation > 0.0 || self.w[at] + self.moved[at] != 0.0
            });
            if most <= enough {
                if whole {
                    break;
                }
                active.clone_from(&everything);
            }
            whole = most <= enough;
        }
        self.working = everything;
        Ok(())
    }

    /// Moves one weight to the model's minimum along it. Returns how much its slope violated before.
    fn visit(&mut self, problem: &mut impl Margins, at: usize) -> f64 {
        let (column, output) = self.column(at);
        let (l1, l2) = self.penalty(at);
        let (w, h) = (self.w[at] + self.moved[at], self.curvature[at]);
        let slope = self.gradient[at] + problem.bend(column, output) + l2 * self.moved[at];
        let aim = w - slope / h;
        let to = aim.signum() * (aim.abs() - l1 / h).max(0.0);
        let by = to - w;
        if by != 0.0 {
            self.moved[at] = if to == 0.0 { -self.w[at] } else { self.moved[at] + by };
            problem.nudge(column, output, by);
        }
        violation(w, slope, l1)
    }

    fn penalty_at(&self, step: f64) -> f64 {
        let of = |at: usize| {
            let ((l1, l2), w) = (self.penalty(at), self.w[at] + step * self.moved[at]);
            l1 * w.abs() + 0.5 * l2 * w * w
        };
        self.working.iter().map(|&at| of(at)).sum()
    }

    /// Backtracks until the objective falls enough. Returns the step (0: none lowers it) and the objective there.
    fn search(&self, problem: &mut impl Margins, objective: f64) -> (f64, f64) {
        let mut promised = 0.0;
        for &at in &self.working {
            let l1 = self.penalty(at).0;
            promised +=
                self.gradient[at] * self.moved[at] + l1 * ((self.w[at] + self.moved[at]).abs() - self.w[at].abs());
        }
        let mut step = 1.0;
        if promised < 0.0 {
            for _ in 0..60 {
                let value = problem.loss_at(step) + self.penalty_at(step);
                if value - objective <= DECREASE * step * promised + ROUNDING * objective.abs() {
                    return (step, value);
                }
                step *= 0.5;
            }
        }
        (0.0, problem.loss_at(0.0) + self.penalty_at(0.0))
    }

    fn take(&mut self, step: f64) {
        for &at in &self.working {
            self.w[at] += step * self.moved[at];
            self.moved[at] = 0.0;
        }
    }
}

/// How far a slope is from allowing the weight `w` to be best.
fn violation(w: f64, slope: f64, l1: f64) -> f64 {
    if w == 0.0 { (slope.abs() - l1).max(0.0) } else { (slope + l1 * w.signum()).abs() }
}
