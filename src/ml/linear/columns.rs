//! How are training rows read column by column? For coordinate descent, which moves one weight at a time.

use super::FitError;
use super::design::check_features;
use crate::ml::{Block, Features};

/// Training rows by column, for any number of fits. Unlike in [`Laid`](super::Laid) every column stays by itself: under a penalty
/// `‖w‖₁` the best weights of columns of one row are no multiple of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    rows: usize,
    places: Vec<Place>,
    /// Rows and values of the sparse columns, one after the other.
    row: Vec<u32>,
    value: Vec<f32>,
    /// Values of the dense columns, one after the other.
    dense: Vec<f32>,
}

/// Where a column's values are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Sparse { from: usize, to: usize },
    Dense { from: usize },
}

/// One column.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    /// Rows, ascending, and values.
    Sparse(&'a [u32], &'a [f32]),
    /// A value a row.
    Dense(&'a [f32]),
    /// The same value in every row.
    Constant(f64),
}

impl Columns {
    /// Turns `x` round. Errors: malformed blocks, values that are not finite.
    pub fn of(x: &Features) -> Result<Columns, FitError> {
        check_features(x)?;
        let mut columns =
            Columns { rows: x.rows(), places: Vec::with_capacity(x.cols()), row: vec![], value: vec![], dense: vec![] };
        for block in &x.blocks {
            match block {
                Block::Sparse(m) => {
                    let mut next = vec![columns.row.len(); m.cols + 1];
                    m.indices.iter().for_each(|&j| next[j as usize + 1] += 1);
                    let base = columns.row.len();
                    for j in 0..m.cols {
                        next[j + 1] = next[j] + (next[j + 1] - base);
                        columns.places.push(Place::Sparse { from: next[j], to: next[j + 1] });
                    }
                    columns.row.resize(base + m.indices.len(), 0);
                    columns.value.resize(base + m.indices.len(), 0.0);
                    for i in 0..m.rows() {
                        let (js, xs) = m.row(i);
                        for (&j, &x) in js.iter().zip(xs) {
                            let at = &mut next[j as usize];
                            (columns.row[*at], columns.value[*at]) = (i as u32, x);
                            *at += 1;
                        }
                    }
                }
                Block::Dense(m) => {
                    for j in 0..m.cols {
                        columns.places.push(Place::Dense { from: columns.dense.len() });
                        columns.dense.extend((0..m.rows).map(|i| m.values[i * m.cols + j]));
                    }
                }
            }
        }
        Ok(columns)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of feature columns.
    pub fn cols(&self) -> usize {
        self.places.len()
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        size_of::<Place>() * self.places.len() + 8 * self.row.len() + 4 * self.dense.len()
    }

    pub(super) fn column(&self, j: usize) -> Column<'_> {
        match self.places[j] {
            Place::Sparse { from, to } => Column::Sparse(&self.row[from..to], &self.value[from..to]),
            Place::Dense { from } => Column::Dense(&self.dense[from..from + self.rows]),
        }
    }
}

impl Column<'_> {
    /// Whether no row has a value here.
    pub(super) fn is_empty(self) -> bool {
        matches!(self, Column::Sparse([], _))
    }

    /// `Σ x_i · of(i)`.
    #[inline(always)]
    pub(super) fn sum(self, rows: usize, of: impl Fn(usize) -> f64) -> f64 {
        let mut sum = [0.0; 4];
        match self {
            Column::Sparse(at, x) => {
                let (quads, rest) = at.as_chunks::<4>();
                let (quad_values, rest_values) = x.as_chunks::<4>();
                for (at, x) in quads.iter().zip(quad_values) {
                    for lane in 0..4 {
                        sum[lane] += f64::from(x[lane]) * of(at[lane] as usize);
                    }
                }
                for (&at, &x) in rest.iter().zip(rest_values) {
                    sum[0] += f64::from(x) * of(at as usize);
                }
            }
            Column::Dense(x) => {
                let (quads, rest) = x.as_chunks::<4>();
                for (quad, x) in quads.iter().enumerate() {
                    for lane in 0..4 {
                        sum[lane] += f64::from(x[lane]) * of(quad * 4 + lane);
                    }
                }
                for (at, &x) in rest.iter().enumerate() {
                    sum[0] += f64::from(x) * of(quads.len() * 4 + at);
                }
            }
            Column::Constant(value) => sum[0] = value * (0..rows).map(of).sum::<f64>(),
        }
        (sum[0] + sum[1]) + (sum[2] + sum[3])
    }

    /// `Σ x_i² · of(i)`.
    pub(super) fn squares(self, rows: usize, of: impl Fn(usize) -> f64) -> f64 {
        match self {
            Column::Sparse(at, x) => {
                at.iter().zip(x).map(|(&at, &x)| f64::from(x) * f64::from(x) * of(at as usize)).sum()
            }
            Column::Dense(x) => x.iter().enumerate().map(|(at, &x)| f64::from(x) * f64::from(x) * of(at)).sum(),
            Column::Constant(value) => value * value * (0..rows).map(of).sum::<f64>(),
        }
    }

    /// Calls `visit(i, x_i)` for every row with a value.
    #[inline(always)]
    pub(super) fn each(self, rows: usize, mut visit: impl FnMut(usize, f64)) {
        match self {
            Column::Sparse(at, x) => at.iter().zip(x).for_each(|(&at, &x)| visit(at as usize, f64::from(x))),
            Column::Dense(x) => x.iter().enumerate().for_each(|(at, &x)| visit(at, f64::from(x))),
            Column::Constant(value) => (0..rows).for_each(|at| visit(at, value)),
        }
    }
}
