//! Which kernel machines are there? Support vector classification, one class against one, on dense rows.
//!
//! Our own, after libsvm (`smo`); smartcore's and linfa's are slower by orders of magnitude, see `docs/learners.md`.

mod gram;
mod smo;

use rayon::prelude::*;

use self::gram::{Packed, square};
use self::smo::Smo;
use super::Features;
use super::linear::{self, FitError, ShouldStop, check_positive};
use super::rows::Rows;

/// The kernel of two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernel {
    /// `x·z`.
    Linear,
    /// `exp(-gamma ‖x - z‖²)`.
    #[default]
    Rbf,
    /// `(gamma x·z + coef0)^degree`.
    Poly,
    /// `tanh(gamma x·z + coef0)`.
    Sigmoid,
}

/// The kernel's width.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Gamma {
    /// `1 / (columns · variance of all training values)` (1 where the variance is 0).
    #[default]
    Scale,
    /// `1 / columns`.
    Auto,
    /// A number above 0.
    Value(f64),
}

/// scikit-learn's `SVC`. More than two classes are learned one against one.
#[derive(Debug, Clone, PartialEq)]
pub struct Svc {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// The kernel.
    pub kernel: Kernel,
    /// The kernel's width (`rbf`, `poly`, `sigmoid`).
    pub gamma: Gamma,
    /// Degree (`poly`).
    pub degree: u32,
    /// Independent term (`poly`: 0 or more; `sigmoid`).
    pub coef0: f64,
    /// The greatest violation of the optimality conditions that is left.
    pub tol: f64,
}

impl Default for Svc {
    fn default() -> Self {
        Svc { c: 1.0, kernel: Kernel::Rbf, gamma: Gamma::Scale, degree: 3, coef0: 0.0, tol: 1e-3 }
    }
}

/// The kernel with all its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Which.
    pub kernel: Kernel,
    /// Its width, above 0.
    pub gamma: f64,
    /// Its independent term.
    pub coef0: f64,
    /// Its degree.
    pub degree: u32,
}

/// A fitted machine for each pair of classes, over the support vectors that they share.
#[derive(Debug, Clone, PartialEq)]
pub struct SvcModel {
    /// Number of classes.
    pub classes: usize,
    /// The classes that had training rows, ascending.
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

/// `f(x) = Σ coef_s K(support[rows_s], x) - rho`; above 0 for the later class of the pair, else the earlier.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its support vectors.
    pub rows: Vec<u32>,
    /// The weight of each.
    pub coef: Vec<f64>,
    /// What is subtracted.
    pub rho: f64,
}

/// Most classes: a machine for each pair of more would be half a million.
const MOST_CLASSES: usize = 1000;

impl Svc {
    /// Fits on `y` in `0..classes`; pairs of classes run in parallel on rayon's current pool, and so do kernel rows. A row's
    /// weight multiplies `c`. Equal rows give an equal model, whatever the number of threads. Errors: sparse blocks, no
    /// rows (of positive weight) or columns, one class only, more than 1,000, values or weights that are not finite,
    /// params out of range, interrupted (asked every thousand steps of a machine).
    pub fn fit(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<SvcModel, FitError> {
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        let rows = Rows::of(x)?;
        let targets = linear::Targets::checked(rows.count, y, classes, weight)?;
        if rows.cols == 0 {
            return Err(FitError::NoColumns);
        }
        let present = targets.present;
        if present.len() > MOST_CLASSES {
            return Err(FitError::ManyClasses { classes: present.len(), most: MOST_CLASSES });
        }
        let shape = self.shape(&rows)?;
        let centre = if self.kernel == Kernel::Rbf { means(&rows) } else { vec![0.0; rows.cols] };
        let values = centred(&rows, &centre);
        let row = |i: usize| &values[i * rows.cols..(i + 1) * rows.cols];
        shape.check_range((0..rows.count).map(|i| square(row(i))).fold(0.0, f64::max))?;
        let mut of_class = vec![Vec::new(); present.len()];
        for i in (0..rows.count).filter(|&i| targets.weight[i] > 0.0) {
            of_class[targets.place[i] as usize].push(i);
        }
        let one = |(first, second): (usize, usize)| {
            let mut chosen: Vec<usize> = of_class[first].iter().chain(&of_class[second]).copied().collect();
            chosen.sort_unstable();
            let side = |&i: &usize| if targets.place[i] as usize == second { 1.0 } else { -1.0 };
            let (sign, bound) = chosen.iter().map(|i| (side(i), self.c * targets.weight[*i])).unzip();
            let smo = Smo::new(chosen.iter().map(|&i| row(i)).collect(), sign, bound, shape);
            let (alpha, rho) = smo.solve(self.tol, should_stop)?;
            let support = alpha.iter().zip(&chosen).filter(|(a, _)| **a != 0.0);
            let (coef, rows) = support.map(|(a, i)| (*a, *i as u32)).unzip();
            Ok(Machine { rows, coef, rho })
        };
        let machines = pairs(present.len()).collect::<Vec<_>>().into_par_iter().map(one);
        let machines = machines.collect::<Result<Vec<_>, FitError>>()?;
        Ok(SvcModel { classes, present, shape, centre, support: Vec::new(), machines }.gathered(&values, rows.count))
    }

    fn shape(&self, rows: &Rows<'_>) -> Result<Shape, FitError> {
        let cols = rows.cols as f64;
        let gamma = match self.gamma {
            Gamma::Auto => 1.0 / cols,
            Gamma::Value(gamma) => gamma,
            Gamma::Scale => {
                let variance = variance(&rows.values);
                if variance > 0.0 { 1.0 / (cols * variance) } else { 1.0 }
            }
        };
        check_positive("gamma", gamma)?;
        if !self.coef0.is_finite() || (self.coef0 < 0.0 && self.kernel != Kernel::Sigmoid) {
            let rule = "a finite number of 0 or more";
            return Err(FitError::Parameter { name: "coef0", value: self.coef0, rule });
        }
        Ok(Shape { kernel: self.kernel, gamma, coef0: self.coef0, degree: self.degree })
    }
}

fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |a| (a + 1..classes).map(move |b| (a, b)))
}

fn variance(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n
}

fn means(rows: &Rows<'_>) -> Vec<f32> {
    let mut sums = vec![0.0; rows.cols];
    for row in rows.values.chunks_exact(rows.cols) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sums.iter().map(|sum| (sum / rows.count as f64) as f32).collect()
}

fn centred(rows: &Rows<'_>, centre: &[f32]) -> Vec<f32> {
    rows.values.iter().zip(centre.iter().cycle()).map(|(value, mean)| value - mean).collect()
}

impl Shape {
    /// No kernel value of rows with squares up to `longest` lies beyond that of the longest row with itself; it must fit
    /// the f32 that kernel rows are kept in.
    fn check_range(&self, longest: f64) -> Result<(), FitError> {
        let value = self.of(longest, longest, longest);
        if value < 1e30 && longest < 1e30 {
            return Ok(());
        }
        let rule = "below 1e30 for every pair of rows (scale the features)";
        Err(FitError::Parameter { name: "kernel", value: value.max(longest), rule })
    }
}

impl SvcModel {
    /// Keeps the training rows that some machine uses, once each.
    fn gathered(mut self, values: &[f32], rows: usize) -> SvcModel {
        let cols = self.centre.len();
        let mut place = vec![u32::MAX; rows];
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
    pub fn checked(self) -> Result<SvcModel, FitError> {
        let (cols, kept) = (self.centre.len(), self.present.len());
        let vectors = self.support.len().checked_div(cols).unwrap_or_default();
        let ascending = self.present.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = self.present.last().is_some_and(|&class| (class as usize) < self.classes);
        let whole = vectors * cols == self.support.len() && cols > 0;
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let numbers = [self.shape.gamma, self.shape.coef0].iter().all(|value| value.is_finite());
        let sound = |machine: &Machine| {
            machine.rows.len() == machine.coef.len()
                && machine.rows.iter().all(|&row| (row as usize) < vectors)
                && machine.rho.is_finite()
                && machine.coef.iter().all(|value| value.is_finite())
        };
        let machines = (2..=MOST_CLASSES).contains(&kept)
            && self.machines.len() == kept * (kept - 1) / 2
            && self.machines.iter().all(sound);
        match ascending && in_range && whole && numbers && finite(&self.centre) && finite(&self.support) && machines {
            true => Ok(self),
            false => Err(FitError::Stored { message: "its parts do not fit together".to_owned() }),
        }
    }

    /// Decision values, row-major, `rows × 1` where `classes` is 2 (above 0: class 1), else `rows × classes`: votes of the
    /// one-against-one machines, ties broken by their summed decision values (scikit-learn's
    /// `decision_function_shape="ovr"`), minus infinity for a class without training rows. Errors: sparse blocks,
    /// another number of columns, values that are not finite.
    pub fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let rows = Rows::of_width(x, self.centre.len())?;
        let values = self.values(&rows);
        if self.classes == 2 {
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
    /// side. Errors: as `scores`.
    pub fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        let scores = self.scores(x)?;
        if self.classes == 2 {
            return Ok(scores.iter().map(|&score| u32::from(score > 0.0)).collect());
        }
        let rows = scores.chunks_exact(self.classes);
        Ok(rows.map(|row| linear::first_greatest(row) as u32).collect())
    }

    /// `rows × machines`.
    fn values(&self, rows: &Rows<'_>) -> Vec<f64> {
        let cols = self.centre.len();
        let packed = Packed::of(self.support.chunks_exact(cols), cols);
        let values = centred(rows, &self.centre);
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

#[cfg(test)]
mod tests;
