//! How is a linear support vector regression fitted? Squared errors beyond the tube by Newton's method, plain ones by coordinate descent
//! on the dual.

use super::design::Design;
use super::newton::{Limits, Problem, dot, minimise};
use super::passes::Curving;
use super::value::{LinearFunction, checked_values};
use super::wide::axpy;
use super::{Convergence, FitError, Laid, ShouldStop, check_positive};
use crate::ml::Rng;

/// The loss of an error `e`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TubeLoss {
    /// `max(0, |e| - epsilon)`.
    #[default]
    EpsilonInsensitive,
    /// `max(0, |e| - epsilon)²`.
    SquaredEpsilonInsensitive,
}

/// scikit-learn's `LinearSVR`. It minimises `½‖(w, b)‖² + C · Σ weight_i · loss_i`, where `b` is the weight of a constant feature of value
/// `intercept_scaling`: the intercept is penalised.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvr {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// Errors up to this cost nothing; 0 or more.
    pub epsilon: f64,
    /// The loss.
    pub loss: TubeLoss,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Value of the constant feature behind the intercept, above 0.
    pub intercept_scaling: f64,
    /// Most outer iterations (squared: Newton; else passes over the rows).
    pub max_iter: usize,
    /// Squared: stops when the gradient's norm is at most `tol` times the weights'. Else when the dual's violations sum to at most
    /// `tol` times those of the first pass (liblinear's rule).
    pub tol: f64,
}

impl Default for LinearSvr {
    fn default() -> Self {
        let (loss, max_iter) = (TubeLoss::EpsilonInsensitive, 1000);
        LinearSvr { c: 1.0, epsilon: 0.0, loss, fit_intercept: true, intercept_scaling: 1.0, max_iter, tol: 1e-4 }
    }
}

/// Seed of the order of visits. The optimum does not depend on it; the last bits do.
const SEED: u64 = 0;

impl LinearSvr {
    /// Learns a value a row. Single-threaded. Errors: see [`FitError`].
    pub fn fit(
        &self,
        x: &Laid,
        y: &[f64],
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearFunction, Convergence), FitError> {
        let weight = checked_values(x.rows(), y, sample_weight)?;
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        check_positive("intercept_scaling", self.intercept_scaling)?;
        if !self.epsilon.is_finite() || self.epsilon < 0.0 {
            let rule = "a finite number of 0 or more";
            return Err(FitError::Parameter { name: "epsilon", value: self.epsilon, rule });
        }
        let design = Design::new(x, if self.fit_intercept { self.intercept_scaling } else { 0.0 });
        let cost: Vec<f64> = weight.iter().map(|w| self.c * w).collect();
        let (w, end) = match self.loss {
            TubeLoss::SquaredEpsilonInsensitive => {
                let mut tube = Tube::new(&design, y, self.epsilon, &cost);
                minimise(&mut tube, None, Limits { tol: self.tol, max_iter: self.max_iter }, should_stop)?
            }
            TubeLoss::EpsilonInsensitive => self.dual(&design, y, &cost, should_stop)?,
        };
        let (coef, intercept) = design.restored(&w, 1, 0);
        Ok((LinearFunction { coef, intercept }, end))
    }

    /// The method of Ho and Lin (JMLR 2012), as in liblinear's `solve_l2r_l1l2_svr`: one dual variable per row within `±cost_i`.
    fn dual(
        &self,
        design: &Design<'_>,
        y: &[f64],
        cost: &[f64],
        should_stop: ShouldStop<'_>,
    ) -> Result<(Vec<f64>, Convergence), FitError> {
        let norms: Vec<f64> = (0..design.rows).map(|i| design.norm_squared(i)).collect();
        let everything: Vec<u32> =
            (0..design.rows as u32).filter(|&i| norms[i as usize] > 0.0 && cost[i as usize] > 0.0).collect();
        let mut duals = Duals {
            design,
            y,
            cost,
            epsilon: self.epsilon,
            norms,
            beta: vec![0.0; design.rows],
            w: vec![0.0; design.width()],
        };
        let mut rng = Rng::seeded(SEED);
        let mut active = everything.clone();
        let (mut widest, mut first, mut sum) = (f64::INFINITY, None, 0.0);
        let (mut iterations, mut converged) = (0, everything.is_empty());
        while !converged && iterations < self.max_iter {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let whole = active.len() == everything.len();
            rng.shuffle(&mut active);
            let most;
            (sum, most) = duals.pass(&mut active, widest);
            iterations += 1;
            if sum <= self.tol * *first.get_or_insert(sum) {
                converged = whole;
                // shrunk rows come back for a last look
                active.clone_from(&everything);
                widest = f64::INFINITY;
            } else {
                widest = most;
            }
        }
        let objective = duals.primal();
        Ok((duals.w, Convergence { objective, gradient_norm: sum, iterations, converged }))
    }
}

struct Duals<'a> {
    design: &'a Design<'a>,
    y: &'a [f64],
    cost: &'a [f64],
    epsilon: f64,
    norms: Vec<f64>,
    beta: Vec<f64>,
    w: Vec<f64>,
}

impl Duals<'_> {
    /// One visit to every active row; rows settled well within their bounds leave. Returns the sum of the violations seen and
    /// the greatest.
    fn pass(&mut self, active: &mut Vec<u32>, widest: f64) -> (f64, f64) {
        let (mut sum, mut most) = (0.0, 0.0f64);
        active.retain(|&i| {
            let i = i as usize;
            let (beta, top, h) = (self.beta[i], self.cost[i], self.norms[i]);
            let slope = self.design.dot(i, &self.w) - self.y[i];
            let (above, below) = (slope + self.epsilon, slope - self.epsilon);
            let (violation, settled) = if beta == 0.0 {
                ((-above).max(below).max(0.0), above > widest && below < -widest)
            } else if beta >= top {
                (above.max(0.0), above < -widest)
            } else if beta <= -top {
                ((-below).max(0.0), below > widest)
            } else if beta > 0.0 {
                (above.abs(), false)
            } else {
                (below.abs(), false)
            };
            if settled {
                return false;
            }
            sum += violation;
            most = most.max(violation);
            let by = if above < h * beta {
                -above / h
            } else if below > h * beta {
                -below / h
            } else {
                -beta
            };
            if by.abs() > 1e-12 {
                self.beta[i] = (beta + by).clamp(-top, top);
                self.design.add(i, self.beta[i] - beta, &mut self.w);
            }
            true
        });
        (sum, most)
    }

    fn primal(&self) -> f64 {
        let error = |i: usize| (self.y[i] - self.design.dot(i, &self.w)).abs();
        let losses: f64 = (0..self.design.rows).map(|i| self.cost[i] * (error(i) - self.epsilon).max(0.0)).sum();
        0.5 * dot(&self.w, &self.w) + losses
    }
}

/// `Σ cost_i · max(0, |y_i - m_i| - epsilon)²`.
struct Tube<'a> {
    design: &'a Design<'a>,
    y: &'a [f64],
    epsilon: f64,
    cost: &'a [f64],
    current: Vec<f64>,
    towards: Vec<f64>,
    curvature: Vec<f64>,
    slopes: Vec<f64>,
    /// `curvature` in f32.
    near: Vec<f32>,
    probe: Vec<f32>,
    /// The rows outside the tube.
    curving: Curving,
}

impl<'a> Tube<'a> {
    fn new(design: &'a Design<'a>, y: &'a [f64], epsilon: f64, cost: &'a [f64]) -> Self {
        let zeros = || vec![0.0; design.rows];
        let (current, towards, curvature, slopes) = (zeros(), zeros(), zeros(), zeros());
        let (near, probe, curving) = (vec![0.0; design.rows], vec![0.0; design.rows], Curving::new(design.rows));
        Tube { design, y, epsilon, cost, current, towards, curvature, slopes, near, probe, curving }
    }

    /// By how much `error` leaves the tube, with its sign.
    fn beyond(&self, error: f64) -> f64 {
        error.signum() * (error.abs() - self.epsilon).max(0.0)
    }
}

impl Problem for Tube<'_> {
    fn len(&self) -> usize {
        self.design.width()
    }

    fn penalised(&self) -> usize {
        self.design.width()
    }

    fn loss_at(&mut self, step: f64) -> (f64, f64) {
        let (mut sum, mut slope) = (0.0, 0.0);
        for (i, cost) in self.cost.iter().enumerate() {
            let beyond = self.beyond(self.current[i] + step * self.towards[i] - self.y[i]);
            sum += cost * beyond * beyond;
            slope += 2.0 * cost * beyond * self.towards[i];
        }
        (sum, slope)
    }

    fn advance(&mut self, step: f64) {
        axpy(step, &self.towards, &mut self.current);
    }

    fn set_direction(&mut self, direction: &[f64]) {
        self.design.margins(direction, &mut self.towards);
    }

    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]) {
        for i in 0..self.y.len() {
            let beyond = self.beyond(self.current[i] - self.y[i]);
            let c = if beyond == 0.0 { 0.0 } else { 2.0 * self.cost[i] };
            self.curvature[i] = c;
            self.slopes[i] = c * beyond;
        }
        self.near.iter_mut().zip(&self.curvature).for_each(|(near, c)| *near = *c as f32);
        self.probe.fill(0.0);
        self.curving.set(self.design, &self.near);
        self.design.add_with_squares(&self.slopes, &self.curvature, true, gradient, diagonal);
    }

    fn add_curved(&mut self, v: &[f32], out: &mut [f32]) -> f64 {
        self.design.curved(&self.curving, &self.near, v, &mut self.probe, out)
    }
}
