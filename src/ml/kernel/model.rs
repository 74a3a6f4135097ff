//! What is a fitted kernel machine, and what does it say of a row?

use super::gram::Packed;
use super::{MOST_CLASSES, Shape};
use crate::ml::Features;
use crate::ml::linear::{self, FitError};
use crate::ml::panels::centred;
use crate::ml::rows::Rows;

/// A fitted machine for each pair of classes, over the support vectors that they share; or one machine for values.
#[derive(Debug, Clone, PartialEq)]
pub struct SvmModel {
    /// Number of classes; 0 for a model of values.
    pub classes: usize,
    /// The classes that had training rows, ascending; none for a model of values.
    pub present: Vec<u32>,
    /// The kernel.
    pub shape: Shape,
    /// What rows are measured from, by column.
    pub centre: Vec<f32>,
    /// The support vectors, measured from there, row-major.
    pub support: Vec<f32>,
    /// The machines: the first class with each later one, then the second …
    pub machines: Vec<Machine>,
}

/// `f(x) = Σ coef_s K(support[rows_s], x) - rho`; above 0 for the later class of the pair, else the earlier; or a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its support vectors.
    pub rows: Vec<u32>,
    /// The weight of each.
    pub coef: Vec<f64>,
    /// What is subtracted.
    pub rho: f64,
}

impl SvmModel {
    /// Keeps the training rows that some machine uses, once each.
    pub(super) fn gathered(mut self, values: &[f32]) -> SvmModel {
        let cols = self.centre.len();
        let mut place = vec![u32::MAX; values.len() / cols];
        for machine in &self.machines {
            machine.rows.iter().for_each(|&i| place[i as usize] = 0);
        }
        for (i, place) in place.iter_mut().enumerate().filter(|(_, place)| **place == 0) {
            *place = (self.support.len() / cols) as u32;
            self.support.extend_from_slice(&values[i * cols..(i + 1) * cols]);
        }
        for machine in &mut self.machines {
            machine.rows.iter_mut().for_each(|i| *i = place[*i as usize]);
        }
        self
    }

    /// Checks that a model that was read can be applied to any row without fault. Errors: it cannot.
    pub fn checked(self) -> Result<SvmModel, FitError> {
        let (cols, kept) = (self.centre.len(), self.present.len());
        let vectors = self.support.len().checked_div(cols).unwrap_or_default();
        let ascending = self.present.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = self.present.last().is_none_or(|&class| (class as usize) < self.classes);
        let whole = vectors * cols == self.support.len() && cols > 0;
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let numbers = [self.shape.gamma, self.shape.coef0].iter().all(|value| value.is_finite());
        let sound = |machine: &Machine| {
            machine.rows.len() == machine.coef.len()
                && machine.rows.iter().all(|&row| (row as usize) < vectors)
                && machine.rho.is_finite()
                && machine.coef.iter().all(|value| value.is_finite())
        };
        let count = match self.classes {
            0 => kept == 0 && self.machines.len() == 1,
            _ => (2..=MOST_CLASSES).contains(&kept) && self.machines.len() == kept * (kept - 1) / 2,
        };
        let machines = count && self.machines.iter().all(sound);
        match ascending && in_range && whole && numbers && finite(&self.centre) && finite(&self.support) && machines {
            true => Ok(self),
            false => Err(FitError::Stored { message: "its parts do not fit together".to_owned() }),
        }
    }

    /// Values, one a row; or decision values, row-major, `rows × 1` where `classes` is 2 (above 0: class 1), else `rows × classes`: votes of the
    /// one-against-one machines, ties broken by their summed decision values (scikit-learn's
    /// `decision_function_shape="ovr"`), minus infinity for a class without training rows. Errors: sparse blocks,
    /// another number of columns, values that are not finite.
    pub fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let rows = Rows::of_width(x, self.centre.len())?;
        let values = self.values(&rows);
        if matches!(self.classes, 0 | 2) {
            return Ok(values);
        }
        let mut wide = vec![f64::NEG_INFINITY; rows.count * self.classes];
        for (to, values) in wide.chunks_exact_mut(self.classes).zip(values.chunks_exact(self.machines.len())) {
            for (&class, vote) in self.present.iter().zip(votes(values, self.present.len())) {
                to[class as usize] = vote;
            }
        }
        Ok(wide)
    }

    /// The class of each row: of the greatest score (the first of equals); of two classes, that of the decision value's
    /// side. A model of values has no classes and says 0. Errors: as `scores`.
    pub fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        let scores = self.scores(x)?;
        if self.classes == 2 {
            return Ok(scores.iter().map(|&score| u32::from(score > 0.0)).collect());
        }
        let rows = scores.chunks_exact(self.classes.max(1));
        Ok(rows.map(|row| linear::first_greatest(row) as u32).collect())
    }

    /// `rows × machines`.
    fn values(&self, rows: &Rows<'_>) -> Vec<f64> {
        let cols = self.centre.len();
        let packed = Packed::of(self.support.chunks_exact(cols), cols);
        let values = centred(&rows.values, &self.centre);
        let mut out = Vec::with_capacity(rows.count * self.machines.len());
        for some in values.chunks(cols * ROWS) {
            let some: Vec<&[f32]> = some.chunks_exact(cols).collect();
            for kernel in packed.lines(self.shape, &some) {
                out.extend(self.machines.iter().map(|machine| {
                    let terms = machine
                        .rows
                        .iter()
                        .zip(&machine.coef)
                        .map(|(&row, coef)| coef * f64::from(kernel[row as usize]));
                    terms.sum::<f64>() - machine.rho
                }));
            }
        }
        out
    }
}

/// Rows that are scored together.
const ROWS: usize = 256;

/// Votes plus summed decision values squeezed into ±1/3 (scikit-learn's `_ovr_decision_function`).
fn votes(values: &[f64], classes: usize) -> impl Iterator<Item = f64> {
    let (mut votes, mut sums) = (vec![0.0; classes], vec![0.0; classes]);
    for ((first, second), value) in pairs(classes).zip(values) {
        votes[if *value > 0.0 { second } else { first }] += 1.0;
        sums[second] += value;
        sums[first] -= value;
    }
    votes.into_iter().zip(sums).map(|(vote, sum)| vote + sum / (3.0 * (sum.abs() + 1.0)))
}

pub(super) fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |a| (a + 1..classes).map(move |b| (a, b)))
}
