//! What is the kernel of two rows, and of many at once?
//!
//! Products are f32 sums in the order of the columns, several rows and columns at a time: each has the same bits whatever
//! stands beside it, so a row that is predicted alone gets what it gets among others. Rows are measured from the mean of
//! the training rows where the kernel allows it (`rbf`), so that f32 suffices.

use rayon::prelude::*;

use super::{Kernel, Shape};

/// Rows beside each other in a panel.
const WIDE: usize = 8;
/// Rows that meet a panel together.
const HIGH: usize = 4;
/// Rows of one task.
const TASK: usize = 16;

/// Rows, laid out to be multiplied with others.
pub(super) struct Packed {
    rows: usize,
    cols: usize,
    /// Eight rows after eight rows, each eight column by column; the last is filled up with 0.
    panels: Vec<[f32; WIDE]>,
    /// `‖x‖²` of each.
    pub(super) squares: Vec<f64>,
}

impl Packed {
    /// Lays out rows of `cols` values.
    pub(super) fn of<'r>(rows: impl ExactSizeIterator<Item = &'r [f32]>, cols: usize) -> Packed {
        let count = rows.len();
        let mut panels = vec![[0.0; WIDE]; count.div_ceil(WIDE) * cols];
        let mut squares = Vec::with_capacity(count);
        for (at, row) in rows.enumerate() {
            let panel = &mut panels[at / WIDE * cols..][..cols];
            for (to, &value) in panel.iter_mut().zip(row) {
                to[at % WIDE] = value;
            }
            squares.push(square(row));
        }
        Packed { rows: count, cols, panels, squares }
    }

    /// The kernel of each of `rows` with every packed row, in parallel.
    pub(super) fn lines(&self, shape: Shape, rows: &[&[f32]]) -> Vec<Vec<f32>> {
        let tasks = rows.par_chunks(TASK).map(|rows| self.task(shape, rows));
        tasks.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn task(&self, shape: Shape, rows: &[&[f32]]) -> Vec<Vec<f32>> {
        let squares: Vec<f64> = rows.iter().map(|row| square(row)).collect();
        let groups: Vec<Vec<[f32; HIGH]>> = rows.chunks(HIGH).map(|group| self.group(group)).collect();
        let mut lines = vec![Vec::with_capacity(self.rows); rows.len()];
        for (at, panel) in self.panels.chunks_exact(self.cols).enumerate() {
            let wide = WIDE.min(self.rows - at * WIDE);
            let of_panel = &self.squares[at * WIDE..at * WIDE + wide];
            for (group, lines) in
                groups.iter().zip(lines.chunks_mut(HIGH)).enumerate().map(|(g, pair)| ((g, pair.0), pair.1))
            {
                let products = tile(panel, group.1);
                for (within, (line, products)) in lines.iter_mut().zip(&products).enumerate() {
                    let own = squares[group.0 * HIGH + within];
                    let entry = |(product, square): (&f32, &f64)| shape.of(f64::from(*product), own, *square) as f32;
                    line.extend(products.iter().zip(of_panel).map(entry));
                }
            }
        }
        lines
    }

    /// Four rows column by column; those that lack are 0.
    fn group(&self, rows: &[&[f32]]) -> Vec<[f32; HIGH]> {
        let mut group = vec![[0.0; HIGH]; self.cols];
        for (place, row) in rows.iter().enumerate() {
            for (to, &value) in group.iter_mut().zip(*row) {
                to[place] = value;
            }
        }
        group
    }
}

/// The products of four rows with eight.
fn tile(panel: &[[f32; WIDE]], group: &[[f32; HIGH]]) -> [[f32; WIDE]; HIGH] {
    let mut sums = [[0.0; WIDE]; HIGH];
    for (panel, group) in panel.iter().zip(group) {
        for (sums, &value) in sums.iter_mut().zip(group) {
            for (sum, &other) in sums.iter_mut().zip(panel) {
                *sum += value * other;
            }
        }
    }
    sums
}

/// `‖x‖²`.
pub(super) fn square(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
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
