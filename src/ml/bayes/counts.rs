//! Which naive Bayes models are of counts? Multinomial, its complement, and Bernoulli.

use super::{Classes, each, linear};
use crate::ml::linear::{FitError, LinearModel, check_positive};
use crate::ml::{Block, Features};

/// Counts of a class are drawn from one distribution over the columns: ln P(class) + Σ x_j · ln θ_j, where θ_j is the share of
/// column j in the class, each count raised by `alpha`.
#[derive(Debug, Clone, PartialEq)]
pub struct MultinomialNb {
    /// Added to every count.
    pub alpha: f64,
    /// Whether a class is as likely as it is frequent; else all are alike.
    pub fit_prior: bool,
}

/// Multinomial naive Bayes from what is *not* in a class (Rennie and others, 2003): the score of a class is −Σ x_j · ln θ̃_j, where
/// θ̃ is of all other classes. As in scikit-learn, how frequent a class is does not matter.
#[derive(Debug, Clone, PartialEq)]
pub struct ComplementNb {
    /// Added to every count.
    pub alpha: f64,
    /// Whether the weights of a class are divided by their sum.
    pub norm: bool,
}

/// Each column is there or not, by itself: ln P(class) + Σ ln p_j (there) + Σ ln(1 − p_j) (not there).
#[derive(Debug, Clone, PartialEq)]
pub struct BernoulliNb {
    /// Added to the number of rows that have a column, and to that of those that have not.
    pub alpha: f64,
    /// A value above this is there; 0 or more, so that the zeros of sparse rows are not.
    pub binarize: f64,
    /// Whether a class is as likely as it is frequent; else all are alike.
    pub fit_prior: bool,
}

impl Default for MultinomialNb {
    fn default() -> Self {
        MultinomialNb { alpha: 1.0, fit_prior: true }
    }
}

impl Default for ComplementNb {
    fn default() -> Self {
        ComplementNb { alpha: 1.0, norm: false }
    }
}

impl Default for BernoulliNb {
    fn default() -> Self {
        BernoulliNb { alpha: 1.0, binarize: 0.0, fit_prior: true }
    }
}

impl MultinomialNb {
    /// Fits on `y` in `0..classes`. Errors: values below 0 or not finite, an `alpha` that is not above 0, malformed rows, labels
    /// or weights, fewer than two classes.
    pub fn fit(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
    ) -> Result<LinearModel, FitError> {
        check_positive("alpha", self.alpha)?;
        let of = Classes::checked(x, y, classes, sample_weight)?;
        check_counts(x)?;
        let coef = of
            .sums(x, f64::from)
            .chunks_exact(x.cols())
            .map(|counts| {
                let all: f64 = counts.iter().map(|count| count + self.alpha).sum();
                counts.iter().map(|count| (count + self.alpha).ln() - all.ln()).collect()
            })
            .collect();
        let priors = of.log_priors(self.fit_prior);
        Ok(linear(classes, of.present, coef, priors))
    }
}

impl ComplementNb {
    /// As [`MultinomialNb::fit`].
    pub fn fit(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
    ) -> Result<LinearModel, FitError> {
        check_positive("alpha", self.alpha)?;
        let of = Classes::checked(x, y, classes, sample_weight)?;
        check_counts(x)?;
        let counts = of.sums(x, f64::from);
        let mut every = vec![0.0; x.cols()];
        for counts in counts.chunks_exact(x.cols()) {
            every.iter_mut().zip(counts).for_each(|(every, count)| *every += count);
        }
        let coef = counts.chunks_exact(x.cols()).map(|counts| self.weights(counts, &every)).collect();
        let none = vec![0.0; of.len()];
        Ok(linear(classes, of.present, coef, none))
    }

    /// Of one class, from its counts and those of all.
    fn weights(&self, counts: &[f64], every: &[f64]) -> Vec<f64> {
        // what rounding leaves of a column that is in no other class is not below 0
        let others: Vec<f64> = every.iter().zip(counts).map(|(all, own)| (all - own).max(0.0) + self.alpha).collect();
        let all: f64 = others.iter().sum();
        let logs: Vec<f64> = others.iter().map(|count| (count / all).ln()).collect();
        let sum: f64 = logs.iter().sum();
        match self.norm {
            // one column alone has the share 1 and the weight 0: nothing to divide
            true if sum < 0.0 => logs.iter().map(|log| log / sum).collect(),
            _ => logs.iter().map(|log| -log).collect(),
        }
    }
}

impl BernoulliNb {
    /// Fits on `y` in `0..classes`; the model is of [`binarized`] rows. Errors: as [`MultinomialNb::fit`], but values below 0 may
    /// be; a `binarize` below 0.
    pub fn fit(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        sample_weight: Option<&[f64]>,
    ) -> Result<LinearModel, FitError> {
        check_positive("alpha", self.alpha)?;
        if !self.binarize.is_finite() || self.binarize < 0.0 {
            let (name, value) = ("binarize", self.binarize);
            return Err(FitError::Parameter { name, value, rule: "a finite number of 0 or more" });
        }
        let of = Classes::checked(x, y, classes, sample_weight)?;
        let counts = of.sums(x, |value| f64::from(u8::from(f64::from(value) > self.binarize)));
        let mut intercept = of.log_priors(self.fit_prior);
        let mut coef = Vec::with_capacity(of.len());
        for ((counts, total), intercept) in counts.chunks_exact(x.cols()).zip(&of.total).zip(&mut intercept) {
            let rows = total + 2.0 * self.alpha;
            let mut weights = Vec::with_capacity(counts.len());
            for count in counts {
                let there = ((count + self.alpha) / rows).ln();
                let absent = ((total - count).max(0.0) + self.alpha) / rows;
                *intercept += absent.ln();
                weights.push(there - absent.ln());
            }
            coef.push(weights);
        }
        Ok(linear(classes, of.present, coef, intercept))
    }
}

/// 1 where a value is above `threshold` (0 or more), else 0.
pub fn binarized(x: &Features, threshold: f64) -> Features {
    let of = |value: &f32| if f64::from(*value) > threshold { 1.0 } else { 0.0 };
    let blocks = x.blocks.iter().cloned().map(|block| match block {
        Block::Sparse(mut m) => {
            m.values.iter_mut().for_each(|value| *value = of(value));
            Block::Sparse(m)
        }
        Block::Dense(mut m) => {
            m.values.iter_mut().for_each(|value| *value = of(value));
            Block::Dense(m)
        }
    });
    Features { blocks: blocks.collect() }
}

/// An error for the first value below 0.
fn check_counts(x: &Features) -> Result<(), FitError> {
    for row in 0..x.rows() {
        let mut below = None;
        each(x, row, |column, value| {
            if value < 0.0 && below.is_none() {
                below = Some((column, value));
            }
        });
        if let Some((column, value)) = below {
            return Err(FitError::Negative { row, column, value });
        }
    }
    Ok(())
}
