//! How does naive Bayes classify? Multinomial, complement and Bernoulli models of counts, and Gaussian models of numbers.
//!
//! Names, defaults and formulas are scikit-learn's (`sklearn/naive_bayes.py`, 1.9.1). The three models of counts are linear in
//! the features (or in whether a feature is above `binarize`), so what they learn is a [`LinearModel`]; the Gaussian one is its own.
//! All take sparse, dense and mixed rows and weights of rows, and touch no zero of a sparse block. Sums are f64, row after row:
//! equal input gives equal bits.

mod counts;
mod gaussian;

use super::linear::{FitError, LinearModel};
use super::{Block, Features};

pub use counts::{BernoulliNb, ComplementNb, MultinomialNb, binarized};
pub use gaussian::{GaussianModel, GaussianNb};

/// The classes that occur among rows of positive weight, and each row's place in that list.
struct Classes {
    present: Vec<u32>,
    place: Vec<usize>,
    /// Of each row.
    weight: Vec<f64>,
    /// Weight of all rows of each present class.
    total: Vec<f64>,
}

impl Classes {
    /// Errors: lengths, classes out of range, weights that are negative or not finite, no rows, one class.
    fn checked(x: &Features, y: &[u32], classes: usize, sample_weight: Option<&[f64]>) -> Result<Self, FitError> {
        let rows = x.rows();
        super::linear::check_labels(rows, y, classes)?;
        super::linear::check_features(x)?;
        if x.cols() == 0 {
            return Err(FitError::NoColumns);
        }
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
        let mut of_class = vec![0.0; classes];
        y.iter().zip(&weight).for_each(|(&class, w)| of_class[class as usize] += w);
        let present: Vec<u32> = (0..classes as u32).filter(|&class| of_class[class as usize] > 0.0).collect();
        match present.as_slice() {
            [] => return Err(FitError::NoRows),
            [class] => return Err(FitError::OneClass { class: *class }),
            _ => {}
        }
        // rows of a class without weight weigh nothing, wherever they are put
        let place = y.iter().map(|y| present.partition_point(|class| class < y).min(present.len() - 1)).collect();
        let total = present.iter().map(|&class| of_class[class as usize]).collect();
        Ok(Classes { present, place, weight, total })
    }

    fn len(&self) -> usize {
        self.present.len()
    }

    /// ln of each class's share of the rows, or of one over the number of classes.
    fn log_priors(&self, fitted: bool) -> Vec<f64> {
        let all: f64 = self.total.iter().sum();
        let uniform = -(self.len() as f64).ln();
        self.total.iter().map(|total| if fitted { (total / all).ln() } else { uniform }).collect()
    }

    /// Weighted sum of `of(x)` by class and column (classes × columns, row-major); `of(0)` must be 0.
    fn sums(&self, x: &Features, of: impl Fn(f32) -> f64) -> Vec<f64> {
        let cols = x.cols();
        let mut sums = vec![0.0; self.len() * cols];
        for (row, (&place, &w)) in self.place.iter().zip(&self.weight).enumerate() {
            let sums = &mut sums[place * cols..][..cols];
            each(x, row, |column, value| sums[column] += w * of(value));
        }
        sums
    }
}

/// An error for rows that are malformed or have values that are not finite.
pub fn check(x: &Features) -> Result<(), FitError> {
    super::linear::check_features(x)
}

/// Visits the values of a row that are stored: all of its dense blocks, and those of its sparse blocks that are not zero.
fn each(x: &Features, row: usize, mut visit: impl FnMut(usize, f32)) {
    let mut offset = 0;
    for block in &x.blocks {
        match block {
            Block::Sparse(m) => {
                let (columns, values) = m.row(row);
                columns.iter().zip(values).for_each(|(&column, &value)| visit(offset + column as usize, value));
            }
            Block::Dense(m) => m.row(row).iter().enumerate().for_each(|(column, &value)| visit(offset + column, value)),
        }
        offset += block.cols();
    }
}

/// A linear model of one score a class; two classes have one score, the second's less the first's.
fn linear(classes: usize, present: Vec<u32>, coef: Vec<Vec<f64>>, intercept: Vec<f64>) -> LinearModel {
    let (coef, intercept) = match (coef.as_slice(), intercept.as_slice()) {
        ([first, second], [a, b]) => (vec![second.iter().zip(first).map(|(s, f)| s - f).collect()], vec![b - a]),
        _ => (coef, intercept),
    };
    LinearModel { classes, present, coef, intercept }
}

#[cfg(test)]
mod tests;
