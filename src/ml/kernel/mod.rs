//! Which kernel machines are there? Support vector classification, one class against one, and regression, on dense rows.
//!
//! Our own, after libsvm (`smo`); smartcore's and linfa's are slower by orders of magnitude, see `docs/learners.md`.

mod gram;
mod model;
mod smo;

use rayon::prelude::*;

use self::model::pairs;
use self::smo::Smo;
use super::Features;
use super::linear::{self, FitError, ShouldStop, check_positive};
use super::panels::{centred, means, square};
use super::rows::Rows;

pub use model::{Machine, SvmModel};

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

/// scikit-learn's `SVC` ([`Svm::fit_classes`]) and `SVR` ([`Svm::fit_values`]). More than two classes are learned one against one.
#[derive(Debug, Clone, PartialEq)]
pub struct Svm {
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

impl Default for Svm {
    fn default() -> Self {
        Svm { c: 1.0, kernel: Kernel::Rbf, gamma: Gamma::Scale, degree: 3, coef0: 0.0, tol: 1e-3 }
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

/// Most classes: a machine for each pair of more would be half a million.
const MOST_CLASSES: usize = 1000;

impl Svm {
    /// Fits on `y` in `0..classes`; pairs of classes run in parallel on rayon's current pool, and so do kernel rows. A row's
    /// weight multiplies `c`. Equal rows give an equal model, whatever the number of threads. Errors: sparse blocks, no
    /// rows (of positive weight) or columns, one class only, more than 1,000, values or weights that are not finite,
    /// params out of range, interrupted (asked every thousand steps of a machine).
    pub fn fit_classes(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<SvmModel, FitError> {
        self.check()?;
        let rows = Rows::of(x)?;
        let targets = linear::Targets::checked(rows.count, y, classes, weight)?;
        let present = targets.present;
        if present.len() > MOST_CLASSES {
            return Err(FitError::ManyClasses { classes: present.len(), most: MOST_CLASSES });
        }
        let ready = self.ready(&rows)?;
        let mut of_class = vec![Vec::new(); present.len()];
        for i in (0..rows.count).filter(|&i| targets.weight[i] > 0.0) {
            of_class[targets.place[i] as usize].push(i);
        }
        let one = |(first, second): (usize, usize)| {
            let mut chosen: Vec<usize> = of_class[first].iter().chain(&of_class[second]).copied().collect();
            chosen.sort_unstable();
            let side = |&i: &usize| if targets.place[i] as usize == second { 1.0 } else { -1.0 };
            let (sign, bound) = chosen.iter().map(|i| (side(i), self.c * targets.weight[*i])).unzip();
            let smo = Smo::of_classes(ready.rows(&chosen), sign, bound, ready.shape);
            Ok(machine(&chosen, smo.solve(self.tol, should_stop)?))
        };
        let machines = pairs(present.len()).collect::<Vec<_>>().into_par_iter().map(one);
        let machines = machines.collect::<Result<Vec<_>, FitError>>()?;
        Ok(ready.model(classes, present, machines))
    }

    /// Fits on a value a row; errors up to `epsilon` cost nothing. As [`Svm::fit_classes`], but for the classes.
    pub fn fit_values(
        &self,
        x: &Features,
        y: &[f64],
        epsilon: f64,
        weight: Option<&[f64]>,
        should_stop: ShouldStop<'_>,
    ) -> Result<SvmModel, FitError> {
        self.check()?;
        if !epsilon.is_finite() || epsilon < 0.0 {
            let rule = "a finite number of 0 or more";
            return Err(FitError::Parameter { name: "epsilon", value: epsilon, rule });
        }
        let rows = Rows::of(x)?;
        let weight = linear::checked_values(rows.count, y, weight)?;
        let ready = self.ready(&rows)?;
        let chosen: Vec<usize> = (0..rows.count).filter(|&i| weight[i] > 0.0).collect();
        let values: Vec<f64> = chosen.iter().map(|&i| y[i]).collect();
        let bound: Vec<f64> = chosen.iter().map(|&i| self.c * weight[i]).collect();
        let smo = Smo::of_values(ready.rows(&chosen), &values, epsilon, &bound, ready.shape);
        let machine = machine(&chosen, smo.solve(self.tol, should_stop)?);
        Ok(ready.model(0, Vec::new(), vec![machine]))
    }

    fn check(&self) -> Result<(), FitError> {
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)
    }

    /// Errors: no columns, kernel values out of range.
    fn ready(&self, rows: &Rows<'_>) -> Result<Ready, FitError> {
        if rows.cols == 0 {
            return Err(FitError::NoColumns);
        }
        let shape = self.shape(rows)?;
        let centre = if self.kernel == Kernel::Rbf { means(&rows.values, rows.cols) } else { vec![0.0; rows.cols] };
        let ready = Ready { shape, values: centred(&rows.values, &centre), centre };
        shape.check_range(ready.values.chunks_exact(rows.cols).map(square).fold(0.0, f64::max))?;
        Ok(ready)
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

/// Rows measured from their centre, and the kernel for them.
struct Ready {
    shape: Shape,
    centre: Vec<f32>,
    values: Vec<f32>,
}

impl Ready {
    fn rows(&self, chosen: &[usize]) -> Vec<&[f32]> {
        let cols = self.centre.len();
        chosen.iter().map(|&i| &self.values[i * cols..(i + 1) * cols]).collect()
    }

    /// The machines' rows are training rows.
    fn model(self, classes: usize, present: Vec<u32>, machines: Vec<Machine>) -> SvmModel {
        let Ready { shape, centre, values } = self;
        SvmModel { classes, present, shape, centre, support: Vec::new(), machines }.gathered(&values)
    }
}

fn machine(chosen: &[usize], (weights, rho): (Vec<f64>, f64)) -> Machine {
    let support = weights.iter().zip(chosen).filter(|(weight, _)| **weight != 0.0);
    let (coef, rows) = support.map(|(weight, i)| (*weight, *i as u32)).unzip();
    Machine { rows, coef, rho }
}

fn variance(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n
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

#[cfg(test)]
mod tests;
