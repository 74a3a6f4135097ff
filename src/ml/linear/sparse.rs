//! How are linear classifiers with few weights fitted? Logistic regression with the L1 and elastic-net penalties, and the linear SVM
//! with L1.

use rayon::prelude::*;

use super::columns::Columns;
use super::lasso::{Rule, Strength, minimise};
use super::margins::{ManySided, Margin, TwoSided};
use super::one_vs_rest::MultiClass;
use super::{Convergence, FitError, LinearModel, ShouldStop, Targets, check_positive};

/// scikit-learn's `LogisticRegression(penalty="elasticnet")` (saga). It minimises
/// `l1_ratio · ‖w‖₁ + ½ (1 - l1_ratio) ‖w‖² + C · Σ weight_i · loss_i`; the intercept is not penalised, as in saga (liblinear
/// penalises it).
#[derive(Debug, Clone, PartialEq)]
pub struct ElasticLogistic {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// The L1 penalty's share, within `[0, 1]`; 1 is `penalty="l1"`.
    pub l1_ratio: f64,
    /// How more than two classes are learned.
    pub multi_class: MultiClass,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Most outer (Newton) iterations.
    pub max_iter: usize,
    /// Stops when no slope violates the optimality conditions by more than `tol` times the L1 penalty's strength, which
    /// bounds the objective's relative distance to the least one by about `2 · tol`.
    pub tol: f64,
}

impl Default for ElasticLogistic {
    fn default() -> Self {
        let multi_class = MultiClass::Multinomial;
        ElasticLogistic { c: 1.0, l1_ratio: 1.0, multi_class, fit_intercept: true, max_iter: 1000, tol: 1e-4 }
    }
}

/// scikit-learn's `LinearSVC(penalty="l1", dual=False)`. It minimises `‖(w, b)‖₁ + C · Σ weight_i · max(0, 1 - z_i)²`, where `b` is the
/// weight of a constant feature of value `intercept_scaling`: the intercept is penalised. More than two classes are learned
/// one against the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseSvc {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// Whether to learn an intercept.
    pub fit_intercept: bool,
    /// Value of the constant feature behind the intercept, above 0.
    pub intercept_scaling: f64,
    /// Most outer (Newton) iterations.
    pub max_iter: usize,
    /// As in [`ElasticLogistic`].
    pub tol: f64,
}

impl Default for SparseSvc {
    fn default() -> Self {
        SparseSvc { c: 1.0, fit_intercept: true, intercept_scaling: 1.0, max_iter: 1000, tol: 1e-4 }
    }
}

impl ElasticLogistic {
    /// Fits on `x` with labels `y` in `0..classes`, with a weight per row if given. Classes without rows are learned as
    /// impossible. One against the rest, classes run in parallel on rayon's current pool; the bits do not depend on it.
    /// Errors: see [`FitError`].
    pub fn fit(
        &self,
        x: &Columns,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        let targets = Targets::checked(x.rows(), y, classes, sample_weight)?;
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        check_share("l1_ratio", self.l1_ratio)?;
        let cost: Vec<f64> = targets.weight.iter().map(|w| self.c * w).collect();
        let bias = if self.fit_intercept { 1.0 } else { 0.0 };
        let strength = Strength { l1: self.l1_ratio, l2: 1.0 - self.l1_ratio, bias, bears: false };
        let rule = Rule { tol: self.tol, max_iter: self.max_iter };
        if targets.present.len() == 2 || self.multi_class == MultiClass::OneVsRest {
            return fit_each(x, targets, classes, (Margin::Logistic, &cost), (strength, rule), should_stop);
        }
        let outputs = targets.present.len();
        let mut problem = ManySided::new(outputs, &targets.place, &cost);
        let (w, end) = minimise(x, &mut problem, strength, rule, should_stop)?;
        let (coef, mut intercept): (Vec<_>, Vec<_>) =
            w.chunks_exact(w.len() / outputs).map(|w| parted(w, x.cols(), bias)).unzip();
        // the loss does not change when all intercepts shift together: the ones that sum to 0 are reported
        let mean = intercept.iter().sum::<f64>() / outputs as f64;
        intercept.iter_mut().for_each(|b| *b -= mean);
        Ok((LinearModel { classes, present: targets.present, coef, intercept }, end))
    }
}

impl SparseSvc {
    /// Fits as [`ElasticLogistic::fit`] does.
    pub fn fit(
        &self,
        x: &Columns,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        let targets = Targets::checked(x.rows(), y, classes, sample_weight)?;
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        check_positive("intercept_scaling", self.intercept_scaling)?;
        let cost: Vec<f64> = targets.weight.iter().map(|w| self.c * w).collect();
        let bias = if self.fit_intercept { self.intercept_scaling } else { 0.0 };
        let strength = Strength { l1: 1.0, l2: 0.0, bias, bears: true };
        let rule = Rule { tol: self.tol, max_iter: self.max_iter };
        fit_each(x, targets, classes, (Margin::SquaredHinge, &cost), (strength, rule), should_stop)
    }
}

/// One class against the rest; two classes are told apart once.
fn fit_each(
    x: &Columns,
    targets: Targets,
    classes: usize,
    (margin, cost): (Margin, &[f64]),
    (strength, rule): (Strength, Rule),
    should_stop: ShouldStop<'_>,
) -> Result<(LinearModel, Convergence), FitError> {
    let one = |class: u32| {
        let mut problem = TwoSided::new(margin, targets.place.iter().map(|&place| place == class), cost);
        minimise(x, &mut problem, strength, rule, should_stop)
    };
    let fits = match targets.present.len() {
        2 => vec![one(1)?],
        many => (0..many as u32).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?,
    };
    let parts: Vec<Convergence> = fits.iter().map(|(_, end)| *end).collect();
    let (coef, intercept) = fits.iter().map(|(w, _)| parted(w, x.cols(), strength.bias)).unzip();
    Ok((LinearModel { classes, present: targets.present, coef, intercept }, Convergence::joined(&parts)))
}

fn parted(w: &[f64], cols: usize, bias: f64) -> (Vec<f64>, f64) {
    (w[..cols].to_vec(), w.get(cols).map_or(0.0, |b| b * bias))
}

/// Checks that a parameter is a number from 0 to 1.
pub(super) fn check_share(name: &'static str, value: f64) -> Result<(), FitError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(FitError::Parameter { name, value, rule: "a number from 0 to 1" }),
    }
}
