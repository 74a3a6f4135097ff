//! How is a linear classifier learned? Logistic regression and linear SVM on sparse, dense and mixed rows.
//!
//! Objectives and parameter names are scikit-learn's; the solvers are our own. Smooth losses go through one
//! preconditioned truncated Newton method (`newton`), the hinge loss through dual coordinate descent (`dual`).
//! Weights, margins and sums are f64 over f32 features. Every sum has a fixed order: equal input gives equal bits,
//! whatever the number of threads.

mod binary;
mod cholesky;
mod columns;
mod design;
mod dual;
mod elastic_net;
mod error;
mod lasso;
mod layout;
mod logistic;
mod margins;
mod model;
mod narrow;
mod newton;
mod one_vs_rest;
mod passes;
mod ridge;
mod sgd;
mod softmax;
mod sparse;
mod spread;
mod svm;
mod svr;
mod tiles;
mod value;
mod wide;

pub use columns::Columns;
pub(super) use design::check_features;
pub use elastic_net::ElasticNet;
pub use error::FitError;
pub use layout::Laid;
pub use logistic::LogisticRegression;
pub use model::LinearModel;
pub(crate) use model::first_greatest;
pub use one_vs_rest::{MultiClass, Penalised};
pub use ridge::Ridge;
pub use sgd::{LearningRate, Sgd, SgdLoss};
pub use sparse::{ElasticLogistic, SparseSvc};
pub use spread::{Spread, deviations, spread};
pub use svm::{LinearSvc, Loss};
pub use svr::{LinearSvr, TubeLoss};
pub use value::LinearFunction;
pub(super) use value::checked_values;

/// Asked once per outer iteration; `true` ends the fit with [`FitError::Interrupted`].
pub type ShouldStop<'a> = &'a (dyn Fn() -> bool + Sync);

/// How a fit ended. For one-vs-rest fits: the sum of the objectives, the largest gradient norm and the largest
/// number of iterations; converged if every class is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convergence {
    /// Value of the minimised objective at the returned weights.
    pub objective: f64,
    /// Euclidean norm of the objective's gradient there (hinge loss: the width of the dual violation).
    pub gradient_norm: f64,
    /// Outer iterations (hinge loss: passes over the rows).
    pub iterations: usize,
    /// Whether the stopping rule was met before `max_iter`.
    pub converged: bool,
}

impl Convergence {
    fn joined(parts: &[Convergence]) -> Convergence {
        let mut all = Convergence { objective: 0.0, gradient_norm: 0.0, iterations: 0, converged: true };
        for part in parts {
            all.objective += part.objective;
            all.gradient_norm = all.gradient_norm.max(part.gradient_norm);
            all.iterations = all.iterations.max(part.iterations);
            all.converged &= part.converged;
        }
        all
    }
}

/// Weights of `class_weight="balanced"` by row: `n / (k · count(class))`, where `k` counts the classes that occur
/// (scikit-learn's `compute_class_weight`). With `sample_weight`, rows count by it.
pub fn balanced_weights(y: &[u32], sample_weight: Option<&[f64]>) -> Vec<f64> {
    let classes = y.iter().max().map_or(0, |&top| top as usize + 1);
    let mut counts = vec![0.0f64; classes];
    for (row, &class) in y.iter().enumerate() {
        counts[class as usize] += sample_weight.map_or(1.0, |weight| weight[row]);
    }
    let present = counts.iter().filter(|&&count| count > 0.0).count();
    let all: f64 = counts.iter().sum();
    y.iter().map(|&class| all / (present as f64 * counts[class as usize])).collect()
}

/// The classes that occur among the rows of positive weight, and each row's place in that list.
pub(super) struct Targets {
    pub(super) present: Vec<u32>,
    pub(super) place: Vec<u32>,
    pub(super) weight: Vec<f64>,
}

impl Targets {
    /// Checks `y` and `sample_weight` against `rows`. Errors: lengths, classes out of range, weights that are
    /// negative or not finite, no rows, fewer than two classes.
    pub(super) fn checked(
        rows: usize,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
    ) -> Result<Targets, FitError> {
        check_labels(rows, y, classes)?;
        let weight = checked_weights(rows, sample_weight)?;
        let mut place_of = vec![u32::MAX; classes];
        for (&class, &w) in y.iter().zip(&weight) {
            if w > 0.0 {
                place_of[class as usize] = 0;
            }
        }
        let mut present = Vec::new();
        for (class, place) in place_of.iter_mut().enumerate().filter(|(_, place)| **place == 0) {
            *place = present.len() as u32;
            present.push(class as u32);
        }
        if let [class] = present.as_slice() {
            return Err(FitError::OneClass { class: *class });
        }
        // a class whose every row weighs nothing has no place; its rows add nothing wherever they are put
        let place = y.iter().map(|&class| place_of[class as usize].min(present.len() as u32 - 1)).collect();
        Ok(Targets { present, place, weight })
    }
}

/// The weight of each row: 1 without `sample_weight`. Errors: another number of them, weights that are negative or not
/// finite, no row of positive weight.
pub(super) fn checked_weights(rows: usize, sample_weight: Option<&[f64]>) -> Result<Vec<f64>, FitError> {
    let weight = match sample_weight {
        Some(weights) if weights.len() != rows => {
            return Err(FitError::Length { what: "sample weights", found: weights.len(), rows });
        }
        Some(weights) => weights.to_vec(),
        None => vec![1.0; rows],
    };
    if let Some(row) = weight.iter().position(|w| !w.is_finite() || *w < 0.0) {
        return Err(FitError::Weight { row, weight: weight[row] });
    }
    match weight.iter().any(|&w| w > 0.0) {
        true => Ok(weight),
        false => Err(FitError::NoRows),
    }
}

/// Checks class indices against `rows` and `classes`.
pub(super) fn check_labels(rows: usize, y: &[u32], classes: usize) -> Result<(), FitError> {
    if y.len() != rows {
        return Err(FitError::Length { what: "labels", found: y.len(), rows });
    }
    if rows == 0 {
        return Err(FitError::NoRows);
    }
    match y.iter().position(|&class| class as usize >= classes) {
        Some(row) => Err(FitError::ClassRange { row, class: y[row], classes }),
        None => Ok(()),
    }
}

/// Checks that a parameter is a finite number above zero.
pub(super) fn check_positive(name: &'static str, value: f64) -> Result<(), FitError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(FitError::Parameter { name, value, rule: "a finite number above 0" })
}

#[cfg(test)]
mod breadth_tests;
#[cfg(test)]
mod test_rows;
#[cfg(test)]
mod tests;
