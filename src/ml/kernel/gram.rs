//! What is the kernel of two rows, and of many at once?
//!
//! Rows are measured from the mean of the training rows where the kernel allows it (`rbf`), so that products in f32 suffice.

use rayon::prelude::*;

use super::{Kernel, Shape};
use crate::ml::panels::{Panels, square};

/// Rows of one task.
const TASK: usize = 16;

/// Rows, laid out to be multiplied with others.
pub(super) struct Packed {
    panels: Panels,
    /// `‖x‖²` of each.
    pub(super) squares: Vec<f64>,
}

impl Packed {
    /// Lays out rows of `cols` values.
    pub(super) fn of<'r>(rows: impl ExactSizeIterator<Item = &'r [f32]> + Clone, cols: usize) -> Packed {
        Packed { squares: rows.clone().map(square).collect(), panels: Panels::of(rows, cols) }
    }

    /// The kernel of each of `rows` with every packed row, in parallel.
    pub(super) fn lines(&self, shape: Shape, rows: &[&[f32]]) -> Vec<Vec<f32>> {
        let tasks = rows.par_chunks(TASK).map(|rows| self.task(shape, rows));
        tasks.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn task(&self, shape: Shape, rows: &[&[f32]]) -> Vec<Vec<f32>> {
        let squares: Vec<f64> = rows.iter().map(|row| square(row)).collect();
        let mut lines = vec![Vec::with_capacity(self.panels.rows()); rows.len()];
        self.panels.products(rows, |row, first, products| {
            let others = &self.squares[first..first + products.len()];
            let entry = |(product, other): (&f32, &f64)| shape.of(f64::from(*product), squares[row], *other) as f32;
            lines[row].extend(products.iter().zip(others).map(entry));
        });
        lines
    }
}

impl Shape {
    /// The kernel from the rows' product and their squares.
    pub(super) fn of(&self, product: f64, x_square: f64, z_square: f64) -> f64 {
        match self.kernel {
            Kernel::Linear => product,
            Kernel::Rbf => (-self.gamma * (x_square + z_square - 2.0 * product).max(0.0)).exp(),
            Kernel::Poly => (self.gamma * product + self.coef0).powi(self.degree as i32),
            Kernel::Sigmoid => (self.gamma * product + self.coef0).tanh(),
        }
    }
}
