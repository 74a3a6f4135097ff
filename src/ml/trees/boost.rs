//! How is a boosted model learned? Tree after tree, each one Newton's step against the loss of those before it.
//!
//! scikit-learn's `HistGradientBoostingClassifier` and `-Regressor`: log loss of two classes with one tree a step,
//! multinomial log loss with one tree a class and step, squared error for values.

use rayon::prelude::*;

use super::bins::Bins;
use super::histogram::{Boosted, Limits};
use super::model::{Link, TreeModel, Trees};
use super::{Target, Training};
use crate::ml::linear::{FitError, ShouldStop};
use crate::ml::{Features, Rng};

/// Whether learning ends when rows that are held back are predicted no better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyStopping {
    /// Where there are more than 10,000 rows.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Gradient boosting over binned columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Boosting {
    /// What each tree's values are multiplied by, above 0.
    pub learning_rate: f64,
    /// Most steps, 1 or more.
    pub max_iter: usize,
    /// Most leaves of a tree, 2 or more.
    pub max_leaf_nodes: Option<usize>,
    /// Most levels of splits, 1 or more.
    pub max_depth: Option<usize>,
    /// Fewest training rows of a leaf, 1 or more.
    pub min_samples_leaf: usize,
    /// L2 penalty on the leaves' values, 0 or more.
    pub l2_regularization: f64,
    /// Most bins of a column, 2 to 255.
    pub max_bins: usize,
    /// Whether learning ends early.
    pub early_stopping: EarlyStopping,
    /// Share of the rows (of each class) held back for that, between 0 and 1.
    pub validation_fraction: f64,
    /// Steps without improvement after which it ends, 1 or more.
    pub n_iter_no_change: usize,
    /// What counts as improvement of the mean loss, 0 or more.
    pub tol: f64,
}

impl Default for Boosting {
    fn default() -> Self {
        Boosting {
            learning_rate: 0.1,
            max_iter: 100,
            max_leaf_nodes: Some(31),
            max_depth: None,
            min_samples_leaf: 20,
            l2_regularization: 0.0,
            max_bins: 255,
            early_stopping: EarlyStopping::Auto,
            validation_fraction: 0.1,
            n_iter_no_change: 10,
            tol: 1e-7,
        }
    }
}

/// Most classes: each step grows a tree of each.
const MOST_CLASSES: usize = 1000;

impl Boosting {
    /// Fits. The seed decides which rows are held back, and nothing where none are. Equal rows and seed give an equal
    /// model, whatever the number of threads. Errors: sparse blocks, no rows (of positive weight) or columns, one class
    /// only, more than 1,000, values or weights that are not finite, params out of range, interrupted (asked before each tree,
    /// and every few thousand rows).
    pub fn fit(
        &self,
        x: &Features,
        target: Target<'_>,
        weight: Option<&[f64]>,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<TreeModel, FitError> {
        self.check()?;
        let training = Training::checked(x, target, weight)?;
        if training.present.len() > MOST_CLASSES {
            return Err(FitError::ManyClasses { classes: training.present.len(), most: MOST_CLASSES });
        }
        let (kept, held) = self.divided(&training, seed);
        let loss = Loss::of(&training);
        let base = loss.base(&training, &kept);
        let bins = Bins::of(&training.rows, self.max_bins);
        let limits = Limits {
            max_leaves: self.max_leaf_nodes.unwrap_or(usize::MAX),
            max_depth: self.max_depth.unwrap_or(usize::MAX),
            min_samples_leaf: self.min_samples_leaf,
            l2: self.l2_regularization,
            learning_rate: self.learning_rate,
        };
        let boosted = Boosted::new(&bins, limits);
        let mut steps = Steps { loss, training: &training, kept, held, raw: Vec::new() };
        steps.raw = base.iter().flat_map(|&value| std::iter::repeat_n(value, training.rows.count)).collect();
        let mut trees = Trees::new(training.rows.cols, base.len());
        let mut losses = vec![steps.held_loss()];
        for _ in 0..self.max_iter {
            for tree in steps.next(&boosted, base.len(), should_stop)? {
                trees.append(tree)?;
            }
            if !steps.held.is_empty() {
                losses.push(steps.held_loss());
                if self.is_enough(&losses) {
                    break;
                }
            }
        }
        Ok(TreeModel { classes: training.classes, present: training.present, link: loss.link(), base, trees })
    }

    fn check(&self) -> Result<(), FitError> {
        let counts = [
            ("max_iter", self.max_iter, 1, usize::MAX, "1 or more"),
            ("max_leaf_nodes", self.max_leaf_nodes.unwrap_or(2), 2, usize::MAX, "2 or more"),
            ("max_depth", self.max_depth.unwrap_or(1), 1, usize::MAX, "1 or more"),
            ("min_samples_leaf", self.min_samples_leaf, 1, usize::MAX, "1 or more"),
            ("max_bins", self.max_bins, 2, 255, "from 2 to 255"),
            ("n_iter_no_change", self.n_iter_no_change, 1, usize::MAX, "1 or more"),
        ];
        if let Some(&(name, value, .., rule)) = counts.iter().find(|(_, n, least, most, _)| n < least || n > most) {
            return Err(FitError::Parameter { name, value: value as f64, rule });
        }
        let share = self.validation_fraction;
        let numbers = [
            ("learning_rate", self.learning_rate, self.learning_rate > 0.0, "a finite number above 0"),
            (
                "l2_regularization",
                self.l2_regularization,
                self.l2_regularization >= 0.0,
                "a finite number of 0 or more",
            ),
            ("validation_fraction", share, share > 0.0 && share < 1.0, "between 0 and 1"),
            ("tol", self.tol, self.tol >= 0.0, "a finite number of 0 or more"),
        ];
        match numbers.iter().find(|(_, value, holds, _)| !holds || !value.is_finite()) {
            Some(&(name, value, _, rule)) => Err(FitError::Parameter { name, value, rule }),
            None => Ok(()),
        }
    }

    /// The rows to learn from and those held back, of positive weight; a class keeps at least one row to learn from.
    fn divided(&self, training: &Training<'_>, seed: u64) -> (Vec<u32>, Vec<u32>) {
        let rows: Vec<u32> =
            (0..training.rows.count as u32).filter(|&row| training.weight[row as usize] > 0.0).collect();
        let stops = match self.early_stopping {
            EarlyStopping::Auto => rows.len() > 10_000,
            EarlyStopping::On => true,
            EarlyStopping::Off => false,
        };
        if !stops {
            return (rows, Vec::new());
        }
        let mut groups = vec![Vec::new(); training.outputs()];
        for row in rows {
            groups[training.place.get(row as usize).map_or(0, |&place| place as usize)].push(row);
        }
        let (mut rng, mut kept, mut held) = (Rng::seeded(seed), Vec::new(), Vec::new());
        for mut group in groups {
            rng.shuffle(&mut group);
            let share = (group.len() as f64 * self.validation_fraction).round() as usize;
            let (back, on) = group.split_at(share.min(group.len().saturating_sub(1)));
            held.extend_from_slice(back);
            kept.extend_from_slice(on);
        }
        kept.sort_unstable();
        held.sort_unstable();
        (kept, held)
    }

    /// scikit-learn's `_should_stop`: none of the last losses is below the one before them by more than `tol`.
    fn is_enough(&self, losses: &[f64]) -> bool {
        let Some(reference) = losses.len().checked_sub(self.n_iter_no_change + 1) else { return false };
        !losses[reference + 1..].iter().any(|loss| *loss < losses[reference] - self.tol)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    Binary,
    Multinomial,
    Squared,
}

impl Loss {
    fn of(training: &Training<'_>) -> Loss {
        match training.present.len() {
            0 => Loss::Squared,
            2 => Loss::Binary,
            _ => Loss::Multinomial,
        }
    }

    fn link(self) -> Link {
        match self {
            Loss::Binary => Link::Logistic,
            Loss::Multinomial => Link::Softmax,
            Loss::Squared => Link::Identity,
        }
    }

    /// The best constants: what each output begins with.
    fn base(self, training: &Training<'_>, rows: &[u32]) -> Vec<f64> {
        let weight = |&row: &u32| training.weight[row as usize];
        let total: f64 = rows.iter().map(weight).sum();
        if self == Loss::Squared {
            let sum: f64 = rows.iter().map(|row| weight(row) * training.values[*row as usize]).sum();
            return vec![sum / total];
        }
        let mut shares = vec![0.0; training.present.len()];
        rows.iter().for_each(|row| shares[training.place[*row as usize] as usize] += weight(row) / total);
        match self {
            Loss::Binary => vec![(shares[1] / shares[0]).ln()],
            _ => {
                let logs: Vec<f64> = shares.iter().map(|share| share.ln()).collect();
                let mean = logs.iter().sum::<f64>() / logs.len() as f64;
                logs.iter().map(|log| log - mean).collect()
            }
        }
    }
}

/// The state between steps.
struct Steps<'a> {
    loss: Loss,
    training: &'a Training<'a>,
    kept: Vec<u32>,
    held: Vec<u32>,
    /// What the trees say so far, by output, then by row.
    raw: Vec<f64>,
}

impl Steps<'_> {
    /// One tree of each output, in parallel.
    fn next(
        &mut self,
        boosted: &Boosted<'_>,
        outputs: usize,
        should_stop: ShouldStop<'_>,
    ) -> Result<Vec<Trees>, FitError> {
        let count = self.training.rows.count;
        let norms = match self.loss {
            Loss::Multinomial => log_sums(&self.raw, count, should_stop)?,
            _ => Vec::new(),
        };
        let (loss, training, kept, held) = (self.loss, self.training, &self.kept, &self.held);
        let grown = self.raw.par_chunks_mut(count).enumerate().map(|(output, raw)| {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let mut slopes = vec![[0.0; 2]; count];
            for &row in kept {
                let row = row as usize;
                let (gradient, hessian) = match loss {
                    Loss::Squared => (raw[row] - training.values[row], 1.0),
                    Loss::Binary => against(1.0 / (1.0 + (-raw[row]).exp()), training.place[row] == 1),
                    Loss::Multinomial => against((raw[row] - norms[row]).exp(), training.place[row] as usize == output),
                };
                let weight = training.weight[row];
                slopes[row] = [weight * gradient, weight * hessian];
            }
            let tree = boosted.grow(kept, &slopes, output as u32, outputs, raw);
            for &row in held {
                let mut says = vec![0.0; outputs];
                tree.add(0, training.rows.row(row as usize), &mut says);
                raw[row as usize] += says[output];
            }
            Ok(tree)
        });
        grown.collect()
    }

    /// The weighted mean loss of the rows held back; 0 without any.
    fn held_loss(&self) -> f64 {
        let (count, training) = (self.training.rows.count, self.training);
        let (mut sum, mut total) = (0.0, 0.0);
        for &row in &self.held {
            let row = row as usize;
            let loss = match self.loss {
                Loss::Squared => (self.raw[row] - training.values[row]).powi(2) / 2.0,
                Loss::Binary => {
                    let margin = if training.place[row] == 1 { self.raw[row] } else { -self.raw[row] };
                    (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
                }
                Loss::Multinomial => {
                    let raw = || self.raw.iter().skip(row).step_by(count).copied();
                    let top = raw().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = raw().map(|value| (value - top).exp()).sum();
                    sum.ln() + top - self.raw[training.place[row] as usize * count + row]
                }
            };
            sum += training.weight[row] * loss;
            total += training.weight[row];
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }
}

/// Gradient and hessian of the log loss where a class has the given share.
fn against(share: f64, is_it: bool) -> (f64, f64) {
    (share - f64::from(u8::from(is_it)), share * (1.0 - share))
}

/// Rows whose exponentials are summed together.
const STRETCH: usize = 4096;

/// The logarithm of the summed exponentials of each row.
fn log_sums(raw: &[f64], count: usize, should_stop: ShouldStop<'_>) -> Result<Vec<f64>, FitError> {
    let mut sums = vec![0.0; count];
    sums.par_chunks_mut(STRETCH).enumerate().try_for_each(|(stretch, sums)| {
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        let outputs = || raw.chunks_exact(count).map(|output| &output[stretch * STRETCH..][..sums.len()]);
        let mut tops = vec![f64::NEG_INFINITY; sums.len()];
        for output in outputs() {
            tops.iter_mut().zip(output).for_each(|(top, value)| *top = top.max(*value));
        }
        let mut all = vec![0.0; sums.len()];
        for output in outputs() {
            for ((sum, value), top) in all.iter_mut().zip(output).zip(&tops) {
                *sum += (value - top).exp();
            }
        }
        for ((to, sum), top) in sums.iter_mut().zip(all).zip(tops) {
            *to = sum.ln() + top;
        }
        Ok(())
    })?;
    Ok(sums)
}
