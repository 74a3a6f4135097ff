//! How are linear models learned from corpora that no other solver can afford? Stochastic gradient descent, a row at a time.
//!
//! scikit-learn's `SGDClassifier` and `SGDRegressor`, step for step: without shuffling, equal epochs give equal weights. All classes
//! see the rows in one order and a row is read once for up to 64 of them.

mod loss;
mod walk;

pub use loss::SgdLoss;

use rayon::prelude::*;

use super::design::check_features;
use super::sparse::check_share;
use super::value::{LinearFunction, checked_values};
use super::{Convergence, FitError, LinearModel, ShouldStop, Targets, check_positive};
use crate::ml::{Features, Rng};
use walk::{Course, Fitted};

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LearningRate {
    /// `1 / (alpha (t₀ + t))`, `t₀` by Bottou's heuristic.
    Optimal,
    /// `eta0`.
    Constant,
    /// `eta0 / t^power_t`.
    InvScaling,
}

/// The descent's parameters, with scikit-learn's names, meanings and (for classes) defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Sgd {
    /// The loss of a margin, or of an error.
    pub loss: SgdLoss,
    /// The L1 penalty's share, within `[0, 1]`: 0 is `penalty="l2"`, 1 `"l1"`.
    pub l1_ratio: f64,
    /// Strength of the penalty, above 0: the objective is `mean(loss) + alpha (l1_ratio ‖w‖₁ + ½ (1 - l1_ratio) ‖w‖²)`; the
    /// intercept is not penalised.
    pub alpha: f64,
    /// Whether to learn an intercept. Its steps are a hundredth of the others' where a block is sparse (scikit-learn's).
    pub fit_intercept: bool,
    /// Most passes over the rows.
    pub max_iter: usize,
    /// Stops after `n_iter_no_change` passes that lowered the objective (with early stopping: raised the score) by less than this; none: never.
    pub tol: Option<f64>,
    /// See `tol`.
    pub n_iter_no_change: usize,
    /// Whether rows are shuffled before each pass.
    pub shuffle: bool,
    /// How far a step goes.
    pub learning_rate: LearningRate,
    /// See [`LearningRate`].
    pub eta0: f64,
    /// See [`LearningRate`].
    pub power_t: f64,
    /// The step from which weights are averaged; 0: they are not.
    pub average: usize,
    /// The share of the training rows that early stopping is scored on; none: the training loss decides.
    pub validation_fraction: Option<f64>,
    /// Where chance comes from.
    pub seed: u64,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd {
            loss: SgdLoss::Hinge,
            l1_ratio: 0.0,
            alpha: 1e-4,
            fit_intercept: true,
            max_iter: 1000,
            tol: Some(1e-3),
            n_iter_no_change: 5,
            shuffle: true,
            learning_rate: LearningRate::Optimal,
            eta0: 0.01,
            power_t: 0.5,
            average: 0,
            validation_fraction: None,
            seed: 0,
        }
    }
}

/// Most classes that go over the rows together. Each one's arithmetic is its own, so how many do changes no bit; but rows come in no
/// order, and so do their columns: what is fetched once for many classes is what saves time.
const TOGETHER: usize = 64;

/// Classes are laid out by so many.
const STEP: usize = 8;

impl Sgd {
    /// Learns classes in `0..classes`, more than two one against the rest, with a weight per row if given. Groups of classes run in
    /// parallel on rayon's current pool; the bits do not depend on it. In the [`Convergence`], `objective` is the sum of the last pass's mean
    /// losses and penalties, and `gradient_norm` by how much the last pass lowered that. Errors: see [`FitError`].
    pub fn fit_classes(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        self.check(x)?;
        let Targets { present, place, weight } = Targets::checked(x.rows(), y, classes, sample_weight)?;
        let held = self.held(&place, present.len())?;
        let course = Course { sgd: self, x, weight: &weight, held: &held, should_stop };
        let fits = if present.len() == 2 {
            let side = |i: usize, _: usize| if place[i] == 1 { 1.0 } else { -1.0 };
            course.walk::<1>(1, &side)?
        } else {
            let together = shared_out(present.len(), rayon::current_num_threads());
            let group = |from: usize| {
                let lanes = together.min(present.len() - from);
                let side = |i: usize, lane: usize| if place[i] as usize == from + lane { 1.0 } else { -1.0 };
                course.walk_beside(lanes, &side)
            };
            let groups: Vec<usize> = (0..present.len()).step_by(together).collect();
            let groups = groups.into_par_iter().map(group);
            groups.collect::<Result<Vec<_>, FitError>>()?.into_iter().flatten().collect()
        };
        let end = Convergence::joined(&fits.iter().map(|fit| fit.end).collect::<Vec<_>>());
        let (coef, intercept) = fits.into_iter().map(|Fitted { coef, intercept, .. }| (coef, intercept)).unzip();
        Ok((LinearModel { classes, present, coef, intercept }, end))
    }

    /// Learns a value a row. Errors: see [`FitError`].
    pub fn fit(
        &self,
        x: &Features,
        y: &[f64],
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearFunction, Convergence), FitError> {
        self.check(x)?;
        let weight = checked_values(x.rows(), y, sample_weight)?;
        let held = self.held(&vec![0; y.len()], 1)?;
        let course = Course { sgd: self, x, weight: &weight, held: &held, should_stop };
        let mut fits = course.walk::<1>(1, &|i, _| y[i])?;
        let Fitted { coef, intercept, end } = fits.swap_remove(0);
        Ok((LinearFunction { coef, intercept }, end))
    }

    fn check(&self, x: &Features) -> Result<(), FitError> {
        check_features(x)?;
        check_positive("alpha", self.alpha)?;
        check_positive("eta0", self.eta0)?;
        check_share("l1_ratio", self.l1_ratio)?;
        match self.validation_fraction {
            Some(value) if value <= 0.0 || value >= 1.0 || value.is_nan() => {
                Err(FitError::Parameter { name: "validation_fraction", value, rule: "a number between 0 and 1" })
            }
            _ => Ok(()),
        }
    }

    /// Which rows early stopping is scored on: of each class its share, rounded.
    fn held(&self, place: &[u32], classes: usize) -> Result<Vec<bool>, FitError> {
        let mut held = vec![false; place.len()];
        let Some(share) = self.validation_fraction else { return Ok(held) };
        let mut rng = Rng::seeded(self.seed ^ 0x6865_6c64);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
        place.iter().enumerate().for_each(|(i, &class)| members[class as usize].push(i));
        for rows in &mut members {
            rng.shuffle(rows);
            let taken = (share * rows.len() as f64).round() as usize;
            rows.iter().take(taken.min(rows.len().saturating_sub(1))).for_each(|&i| held[i] = true);
        }
        match held.contains(&true) {
            true => Ok(held),
            false => Err(FitError::Parameter {
                name: "validation_fraction",
                value: share,
                rule: "large enough that some class has a row to be scored on",
            }),
        }
    }
}

/// How many of `classes` go over the rows together: few groups, of equal size, and one for each thread where classes suffice.
fn shared_out(classes: usize, threads: usize) -> usize {
    let groups = classes.div_ceil(TOGETHER).next_multiple_of(threads.max(1)).min(classes.div_ceil(STEP)).max(1);
    classes.div_ceil(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_classes_are_few_and_equal() {
        assert_eq!(shared_out(97, 1), 49);
        assert_eq!(shared_out(97, 3), 33);
        assert_eq!(shared_out(77, 16), 8);
        assert_eq!(shared_out(3, 2), 3);
        for (classes, threads) in [(3, 1), (64, 1), (65, 2), (129, 2), (10_000, 7), (20, 0)] {
            let together = shared_out(classes, threads);
            assert!((1..=TOGETHER).contains(&together), "{classes} on {threads}: {together}");
        }
    }
}
