//! How is a linear support vector machine fitted? One weight vector per class against the rest.

use rayon::prelude::*;

use super::binary::{Binary, Margin};
use super::design::Design;
use super::dual::{self, TOGETHER};
use super::layout::Laid;
use super::narrow::Guide;
use super::newton::{Limits, minimise};
use super::{Convergence, FitError, LinearModel, ShouldStop, Targets, check_positive};

/// The loss of a margin `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// `max(0, 1 - z)²`.
    #[default]
    SquaredHinge,
    /// `max(0, 1 - z)`.
    Hinge,
}

/// scikit-learn's `LinearSVC` with the L2 penalty. It minimises `½‖(w, b)‖² + C · Σ weight_i · loss_i`, where `b` is
/// the weight of a constant feature of value `intercept_scaling`: the intercept is penalised. More than two classes
/// are learned one against the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvc {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// The loss.
    pub loss: Loss,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Value of the constant feature behind the intercept, above 0.
    pub intercept_scaling: f64,
    /// Most outer iterations (squared hinge: Newton; hinge: passes over the rows).
    pub max_iter: usize,
    /// Squared hinge: stops when the gradient's Euclidean norm is at most `tol` times the weights' norm, which bounds
    /// the weights' relative error by `tol`; or when no step can lower the objective by more than its rounding.
    /// Hinge: stops when the dual's projected gradients lie within `tol` of each other (liblinear's rule).
    pub tol: f64,
}

impl Default for LinearSvc {
    fn default() -> Self {
        LinearSvc {
            c: 1.0,
            loss: Loss::SquaredHinge,
            fit_intercept: true,
            intercept_scaling: 1.0,
            max_iter: 1000,
            tol: 1e-4,
        }
    }
}

/// What all classes know of the rows.
struct Known<'a> {
    /// For coordinate descent on the dual.
    rows: Option<dual::Rows<'a>>,
    guide: Option<Guide>,
}

impl LinearSvc {
    /// Fits on rows `x` with labels `y` in `0..classes`, with a weight per row if given. Classes without rows are learned as impossible.
    /// Classes run in parallel on rayon's current pool; the bits do not depend on it. Errors: see [`FitError`].
    pub fn fit(
        &self,
        x: &Laid,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        let targets = Targets::checked(x.rows(), y, classes, sample_weight)?;
        self.solve(&Design::new(x, self.bias()), targets, classes, should_stop)
    }

    fn bias(&self) -> f64 {
        if self.fit_intercept { self.intercept_scaling } else { 0.0 }
    }

    fn solve(
        &self,
        design: &Design<'_>,
        targets: Targets,
        classes: usize,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        check_positive("intercept_scaling", self.intercept_scaling)?;
        let cost: Vec<f64> = targets.weight.iter().map(|w| self.c * w).collect();
        let outputs = targets.present.len() as u32;
        let rows = (self.loss == Loss::Hinge || design.has_sparse()).then(|| dual::Rows::of(design, &cost));
        let guide = match rows {
            // one against many curves along the rows of the one and those near it, which the mean of all says little of
            None if outputs == 2 => Guide::of(design, 1),
            // the dual comes so near that making a guide does not pay
            _ => None,
        };
        let known = Known { rows, guide };
        let fits = match outputs {
            2 => self.fit_lanes::<1>(design, &known, (&targets.place, 1, 1), &cost, should_stop)?,
            _ if known.rows.is_none() || (design.has_dense() && self.loss == Loss::Hinge) => {
                let one = |class| self.fit_lanes::<1>(design, &known, (&targets.place, class, 1), &cost, should_stop);
                (0..outputs).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?.concat()
            }
            _ => {
                let several = |group: u32| {
                    let from = group * TOGETHER as u32;
                    let count = (outputs - from).min(TOGETHER as u32);
                    self.fit_lanes::<TOGETHER>(design, &known, (&targets.place, from, count), &cost, should_stop)
                };
                let groups = outputs.div_ceil(TOGETHER as u32);
                (0..groups).into_par_iter().map(several).collect::<Result<Vec<_>, _>>()?.concat()
            }
        };
        let parts: Vec<Convergence> = fits.iter().map(|(_, end)| *end).collect();
        let (coef, intercept) = fits.iter().map(|(w, _)| design.restored(w, 1, 0)).unzip();
        Ok((LinearModel { classes, present: targets.present, coef, intercept }, Convergence::joined(&parts)))
    }

    /// Fits `count` classes from `from` on, each against the rest. Dense columns alone hang together: coordinate descent is slow on
    /// them (`known.rows` is none), and Newton's method is not.
    fn fit_lanes<const L: usize>(
        &self,
        design: &Design<'_>,
        known: &Known<'_>,
        (place, from, count): (&[u32], u32, u32),
        cost: &[f64],
        should_stop: ShouldStop<'_>,
    ) -> Result<Vec<(Vec<f64>, Convergence)>, FitError> {
        let limits = Limits { tol: self.tol, max_iter: self.max_iter };
        let own = place.iter().map(|place| place.wrapping_sub(from));
        let start = match (self.loss, &known.rows) {
            (Loss::Hinge, Some(rows)) => {
                let mut fits = dual::minimise::<L>(rows, own, limits, should_stop)?;
                fits.truncate(count as usize);
                return Ok(fits);
            }
            (_, Some(rows)) => Some(dual::approached::<L>(rows, own, self.tol, should_stop)?),
            (_, None) => None,
        };
        let start = start.map(|w| (design.margins_lanes(&w), w));
        let fits = (from..from + count).enumerate().map(|(lane, class)| {
            let positive = place.iter().map(|&place| place == class);
            let guide = known.guide.as_ref();
            let mut problem = Binary::new(design, guide, Margin::SquaredHinge, positive, cost, design.width());
            let lane_of = |all: &[[f64; L]]| all.iter().map(|lanes| lanes[lane]).collect::<Vec<f64>>();
            let mut w = None;
            if let Some((margins, weights)) = &start {
                (problem, w) = (problem.at(lane_of(margins)), Some(lane_of(weights)));
            }
            minimise(&mut problem, w, limits, should_stop)
        });
        fits.collect()
    }
}
