//! How is logistic regression fitted? L2-penalised, two-class by the logistic loss, many-class by softmax.

use super::binary::{Binary, Margin};
use super::design::Design;
use super::layout::Laid;
use super::newton::{Limits, minimise};
use super::softmax::Softmax;
use super::{Convergence, FitError, LinearModel, ShouldStop, Targets, check_positive};

/// scikit-learn's `LogisticRegression` with the L2 penalty. It minimises `½‖w‖² + C · Σ weight_i · loss_i`; the
/// intercept is not penalised. Two classes: the logistic loss of one weight vector; more: cross-entropy of the softmax.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Most outer (Newton) iterations.
    pub max_iter: usize,
    /// Stops when the gradient's Euclidean norm is at most `tol` times the weights' norm, which bounds the weights'
    /// relative error by `tol`; or when no step can lower the objective by more than its rounding. (scikit-learn's
    /// lbfgs stops at an absolute, per-element gradient that leaves the third digit of a probability open.)
    pub tol: f64,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        LogisticRegression { c: 1.0, fit_intercept: true, max_iter: 100, tol: 1e-4 }
    }
}

impl LogisticRegression {
    /// Fits on rows `x` with labels `y` in `0..classes`, with a weight per row if given. Classes without rows are learned as impossible.
    /// Single-threaded. Errors: see [`FitError`].
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
        if self.fit_intercept { 1.0 } else { 0.0 }
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
        let cost: Vec<f64> = targets.weight.iter().map(|w| self.c * w).collect();
        let limits = Limits { tol: self.tol, max_iter: self.max_iter };
        let outputs = if targets.present.len() == 2 { 1 } else { targets.present.len() };
        let (w, convergence) = if outputs == 1 {
            let positive = targets.place.iter().map(|&place| place == 1);
            let mut problem = Binary::new(design, Margin::Logistic, positive, &cost, design.cols());
            minimise(&mut problem, None, limits, should_stop)?
        } else {
            let mut problem = Softmax::new(design, outputs, &targets.place, &cost);
            minimise(&mut problem, None, limits, should_stop)?
        };
        let (coef, mut intercept): (Vec<_>, Vec<_>) =
            (0..outputs).map(|which| design.restored(&w, outputs, which)).unzip();
        if outputs > 1 {
            // the loss does not change when all intercepts shift together: the ones that sum to 0 are reported
            let mean = intercept.iter().sum::<f64>() / outputs as f64;
            intercept.iter_mut().for_each(|b| *b -= mean);
        }
        Ok((LinearModel { classes, present: targets.present, coef, intercept }, convergence))
    }
}
