//! Which learners grow trees? A decision tree, random forest and extra trees on exact values (`forest`), and gradient
//! boosting on binned ones (`boost`), for classes and for values, on dense rows.
//!
//! All are our own: why, and measured against what, is in `docs/learners.md`. They share one model (`model`): nodes and
//! leaves in flat tables.

mod bins;
mod boost;
mod columns;
mod criterion;
mod forest;
mod grow;
mod histogram;
mod model;

pub use boost::{Boosting, EarlyStopping};
pub use forest::{Forest, Growth, Impurity, MaxFeatures};
pub use model::{LEAF, Link, Node, TreeModel, Trees};

use super::Features;
use super::linear::{self, FitError};
use super::rows::Rows;

/// What is learned.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A class of each row, in `0..classes`.
    Classes {
        /// The class of each row.
        y: &'a [u32],
        /// Number of classes.
        classes: usize,
    },
    /// A value of each row.
    Values(&'a [f64]),
}

/// Rows to learn from, checked.
struct Training<'a> {
    rows: Rows<'a>,
    /// 0 for values.
    classes: usize,
    /// The classes of rows with positive weight.
    present: Vec<u32>,
    /// Place of each row's class in `present`.
    place: Vec<u32>,
    values: Vec<f64>,
    weight: Vec<f64>,
}

impl<'a> Training<'a> {
    fn checked(x: &'a Features, target: Target<'_>, weight: Option<&[f64]>) -> Result<Training<'a>, FitError> {
        let rows = Rows::of(x)?;
        let mut training =
            Training { classes: 0, present: vec![], place: vec![], values: vec![], weight: vec![], rows };
        let count = training.rows.count;
        match target {
            Target::Classes { y, classes } => {
                let targets = linear::Targets::checked(count, y, classes, weight)?;
                training.classes = classes;
                (training.present, training.place, training.weight) = (targets.present, targets.place, targets.weight);
            }
            Target::Values(values) => {
                training.weight = linear::checked_values(count, values, weight)?;
                training.values = values.to_vec();
            }
        }
        match training.rows.cols {
            0 => Err(FitError::NoColumns),
            _ => Ok(training),
        }
    }

    /// Numbers that a row gets from trees that say something of every class.
    fn outputs(&self) -> usize {
        self.present.len().max(1)
    }

    /// The weighted mean of the values.
    fn mean(&self) -> f64 {
        let sum: f64 = self.values.iter().zip(&self.weight).map(|(value, weight)| value * weight).sum();
        sum / self.weight.iter().sum::<f64>()
    }
}

#[cfg(test)]
mod tests;
