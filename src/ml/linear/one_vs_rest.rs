//! How else may logistic regression see its classes and its penalty? One class against the rest, and no penalty at all.

use rayon::prelude::*;

use super::binary::{Binary, Margin};
use super::design::Design;
use super::newton::{Limits, Problem, minimise};
use super::softmax::Softmax;
use super::{Convergence, FitError, Laid, LinearModel, LogisticRegression, ShouldStop, Targets, check_positive};
use crate::ml::Features;

/// How more than two classes are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiClass {
    /// All classes at once, by the softmax.
    #[default]
    Multinomial,
    /// Each class by itself against all others (scikit-learn's `OneVsRestClassifier(LogisticRegression())`).
    OneVsRest,
}

/// Whether the weights are penalised by `½‖w‖²`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalised {
    /// They are.
    Yes,
    /// They are not (scikit-learn's `C=np.inf`). Where the classes can be told apart without a mistake there is no optimum:
    /// weights grow until the loss's gradient is small beside them.
    No,
}

impl LogisticRegression {
    /// Fits as [`LogisticRegression::fit`] does, with the classes seen as `multi_class` says and the penalty left out on demand
    /// (`c` then scales nothing but the objective). One against the rest, classes run in parallel on rayon's current pool; the
    /// bits do not depend on it. Errors: see [`FitError`].
    pub fn fit_as(
        &self,
        (multi_class, penalised): (MultiClass, Penalised),
        x: &Laid,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        if (multi_class, penalised) == (MultiClass::Multinomial, Penalised::Yes) {
            return self.fit(x, y, classes, sample_weight, should_stop);
        }
        let targets = Targets::checked(x.rows(), y, classes, sample_weight)?;
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        let design = Design::new(x, if self.fit_intercept { 1.0 } else { 0.0 });
        let cost: Vec<f64> = targets.weight.iter().map(|w| self.c * w).collect();
        let limits = Limits { tol: self.tol, max_iter: self.max_iter };
        let outputs = targets.present.len();
        if outputs > 2 && multi_class == MultiClass::Multinomial {
            let mut problem = Free(Softmax::new(&design, outputs, &targets.place, &cost));
            let (w, end) = minimise(&mut problem, None, limits, should_stop)?;
            let (mut coef, mut intercept): (Vec<_>, Vec<_>) =
                (0..outputs).map(|which| design.restored(&w, outputs, which)).unzip();
            centred(&mut coef, &mut intercept);
            return Ok((LinearModel { classes, present: targets.present, coef, intercept }, end));
        }
        let one = |class: u32| {
            let positive = targets.place.iter().map(|&place| place == class);
            let mut problem = Binary::new(&design, Margin::Logistic, positive, &cost, design.cols());
            match penalised {
                Penalised::Yes => minimise(&mut problem, None, limits, should_stop),
                Penalised::No => minimise(&mut Free(problem), None, limits, should_stop),
            }
        };
        let fits = match outputs {
            2 => vec![one(1)?],
            many => (0..many as u32).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?,
        };
        let parts: Vec<Convergence> = fits.iter().map(|(_, end)| *end).collect();
        let (coef, intercept) = fits.iter().map(|(w, _)| design.restored(w, 1, 0)).unzip();
        Ok((LinearModel { classes, present: targets.present, coef, intercept }, Convergence::joined(&parts)))
    }
}

/// Without a penalty the loss does not change when all outputs shift together: those that sum to 0 are reported.
fn centred(coef: &mut [Vec<f64>], intercept: &mut [f64]) {
    let share = 1.0 / coef.len() as f64;
    for j in 0..coef.first().map_or(0, Vec::len) {
        let mean = coef.iter().map(|coef| coef[j]).sum::<f64>() * share;
        coef.iter_mut().for_each(|coef| coef[j] -= mean);
    }
    let mean = intercept.iter().sum::<f64>() * share;
    intercept.iter_mut().for_each(|b| *b -= mean);
}

impl LinearModel {
    /// Probabilities of classes learned one against the rest, `rows × classes`, row-major: the logistic function of each decision
    /// value, scaled to sum to 1; 0 for a class that no training row had. Errors: as `decision_function`.
    pub fn predict_proba_one_vs_rest(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        if self.coef.len() == 1 {
            return self.predict_proba(x);
        }
        let mut scores = self.decision_function(x)?;
        for row in scores.chunks_exact_mut(self.classes) {
            // in logarithms, so that a row that every class disowns still has a sum
            row.iter_mut().for_each(|z| *z = z.min(0.0) - (-z.abs()).exp().ln_1p());
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|z| *z = (*z - top).exp());
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
        }
        Ok(scores)
    }
}

/// A problem without its penalty.
struct Free<P>(P);

impl<P: Problem> Problem for Free<P> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn penalised(&self) -> usize {
        0
    }
    fn loss_at(&mut self, step: f64) -> (f64, f64) {
        self.0.loss_at(step)
    }
    fn advance(&mut self, step: f64) {
        self.0.advance(step);
    }
    fn set_direction(&mut self, direction: &[f64]) {
        self.0.set_direction(direction);
    }
    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]) {
        self.0.add_slopes(gradient, diagonal);
    }
    fn add_curved(&mut self, v: &[f32], out: &mut [f32]) -> f64 {
        self.0.add_curved(v, out)
    }
}
