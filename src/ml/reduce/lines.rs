//! How is the matrix of all blocks multiplied with its own transpose? Line by line, along its longer side.
//!
//! The lines are its rows, or its columns where they are more; each line is a sparse or dense vector over the shorter side. A
//! product with both sides, `Σ line · (line · Q)`, then touches `Q` alone, which is narrow and stays in the cache; nothing as
//! long as the longer side is made. Centring takes `a · bᵀ` from the matrix, implicitly: no sparse row is filled.

use rayon::prelude::*;

use super::tall::Matrix;
use crate::ml::columns::transposed;
use crate::ml::{Block, Features};

/// Columns of `Q` that are worked on together; fixed, and each panel is one task.
const PANEL: usize = 8;

/// Lines that are written out together.
const LINES: usize = 1024;

/// The matrix, by lines.
pub(super) struct Lines<'a> {
    /// Lines of the first group, then of the next; the pieces of a group lie side by side.
    groups: Vec<Vec<(usize, std::borrow::Cow<'a, Block>)>>,
    /// Length of a line: the shorter side.
    pub(super) side: usize,
    /// Whether the lines are the columns.
    pub(super) by_column: bool,
    /// What is taken away: `a` by line and `b` along it.
    shift: Option<(Vec<f64>, Vec<f64>)>,
}

impl<'a> Lines<'a> {
    /// The matrix `x`, of whose columns `means` are taken away.
    pub(super) fn of(x: &'a Features, means: Option<&[f64]>) -> Lines<'a> {
        use std::borrow::Cow;
        let (rows, cols) = (x.rows(), x.cols());
        let by_column = rows <= cols;
        let groups = if by_column {
            x.blocks.iter().map(|block| vec![(0, Cow::Owned(transposed(block)))]).collect()
        } else {
            let mut offset = 0;
            let piece = |block: &'a Block| {
                offset += block.cols();
                (offset - block.cols(), Cow::Borrowed(block))
            };
            vec![x.blocks.iter().map(piece).collect()]
        };
        let shift = means.map(|means| match by_column {
            true => (means.to_vec(), vec![1.0; rows]),
            false => (vec![1.0; rows], means.to_vec()),
        });
        Lines { groups, side: rows.min(cols), by_column, shift }
    }

    /// Σ line · (lineᵀ Q) for `q` of `side × ℓ`. Panels of columns run in parallel; the bits do not depend on it.
    pub(super) fn both_sides(&self, q: &Matrix) -> Matrix {
        let starts: Vec<usize> = (0..q.cols).step_by(PANEL).collect();
        let panels: Vec<Vec<[f64; PANEL]>> = starts.par_iter().map(|&from| self.panel(&cut(q, from))).collect();
        let mut out = Matrix::zeros(q.rows, q.cols);
        for (&from, panel) in starts.iter().zip(&panels) {
            for (row, values) in panel.iter().enumerate() {
                let width = PANEL.min(q.cols - from);
                out.values[row * q.cols + from..][..width].copy_from_slice(&values[..width]);
            }
        }
        out
    }

    fn panel(&self, q: &[[f64; PANEL]]) -> Vec<[f64; PANEL]> {
        let mut out = vec![[0.0; PANEL]; q.len()];
        let along = self.shift.as_ref().map(|(_, b)| weighed(b, q));
        let mut shifted = [0.0; PANEL];
        self.each(|line, pieces, at| {
            let mut t = [0.0; PANEL];
            pieces.iter().for_each(|(offset, piece)| gather(piece, at, &q[*offset..], &mut t));
            if let (Some((a, _)), Some(along)) = (&self.shift, &along) {
                add(&mut t, -a[line], along);
                add(&mut shifted, a[line], &t);
            }
            pieces.iter().for_each(|(offset, piece)| scatter(piece, at, &mut out[*offset..], &t));
        });
        if let Some((_, b)) = &self.shift {
            out.iter_mut().zip(b).for_each(|(out, b)| add(out, -b, &shifted));
        }
        out
    }

    /// Σ line · lineᵀ, each line written out: for dense blocks.
    pub(super) fn gram(&self) -> Matrix {
        let mut sum = Matrix::zeros(self.side, self.side);
        let mut chunk = Matrix::zeros(0, self.side);
        let mut add_chunk = |chunk: &mut Matrix| {
            sum.values.iter_mut().zip(&chunk.gram().values).for_each(|(sum, value)| *sum += value);
            (chunk.rows, chunk.values) = (0, std::mem::take(&mut chunk.values));
            chunk.values.clear();
        };
        self.each(|line, pieces, at| {
            let start = chunk.values.len();
            let shift = self.shift.as_ref().map(|(a, b)| (a[line], b));
            match shift {
                Some((a, b)) => chunk.values.extend(b.iter().map(|b| -a * b)),
                None => chunk.values.resize(start + self.side, 0.0),
            }
            let row = &mut chunk.values[start..];
            pieces.iter().for_each(|(offset, piece)| match piece.as_ref() {
                Block::Sparse(m) => {
                    let (js, xs) = m.row(at);
                    js.iter().zip(xs).for_each(|(&j, &x)| row[offset + j as usize] += f64::from(x));
                }
                Block::Dense(m) => row[*offset..].iter_mut().zip(m.row(at)).for_each(|(to, &x)| *to += f64::from(x)),
            });
            chunk.rows += 1;
            if chunk.rows == LINES {
                add_chunk(&mut chunk);
            }
        });
        add_chunk(&mut chunk);
        sum
    }

    /// The products of each line with `q` (`side × ℓ`): `lines × ℓ`.
    pub(super) fn times(&self, q: &Matrix) -> Matrix {
        let starts: Vec<usize> = (0..q.cols).step_by(PANEL).collect();
        let panels: Vec<Vec<[f64; PANEL]>> = starts
            .par_iter()
            .map(|&from| {
                let q = cut(q, from);
                let along = self.shift.as_ref().map(|(_, b)| weighed(b, &q));
                let mut out = Vec::new();
                self.each(|line, pieces, at| {
                    let mut t = [0.0; PANEL];
                    pieces.iter().for_each(|(offset, piece)| gather(piece, at, &q[*offset..], &mut t));
                    if let (Some((a, _)), Some(along)) = (&self.shift, &along) {
                        add(&mut t, -a[line], along);
                    }
                    out.push(t);
                });
                out
            })
            .collect();
        let rows = panels.first().map_or(0, Vec::len);
        let mut out = Matrix::zeros(rows, q.cols);
        for (row, values) in out.values.chunks_mut(q.cols.max(1)).enumerate() {
            for (values, panel) in values.chunks_mut(PANEL).zip(&panels) {
                values.iter_mut().zip(panel[row]).for_each(|(value, of)| *value = of);
            }
        }
        out
    }

    /// Each line: its number, the pieces of its group, and its place there.
    fn each(&self, mut visit: impl FnMut(usize, &[(usize, std::borrow::Cow<'a, Block>)], usize)) {
        let mut line = 0;
        for group in &self.groups {
            for at in 0..group.first().map_or(0, |(_, block)| block.rows()) {
                visit(line, group, at);
                line += 1;
            }
        }
    }
}

fn cut(q: &Matrix, from: usize) -> Vec<[f64; PANEL]> {
    let row = |row: usize| {
        let mut panel = [0.0; PANEL];
        panel.iter_mut().zip(&q.row(row)[from..]).for_each(|(to, value)| *to = *value);
        panel
    };
    (0..q.rows).map(row).collect()
}

fn weighed(weights: &[f64], q: &[[f64; PANEL]]) -> [f64; PANEL] {
    let mut sum = [0.0; PANEL];
    weights.iter().zip(q).for_each(|(weight, q)| add(&mut sum, *weight, q));
    sum
}

fn add(to: &mut [f64; PANEL], times: f64, what: &[f64; PANEL]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

fn gather(piece: &Block, at: usize, q: &[[f64; PANEL]], t: &mut [f64; PANEL]) {
    match piece {
        Block::Sparse(m) => {
            let (js, xs) = m.row(at);
            js.iter().zip(xs).for_each(|(&j, &x)| add(t, f64::from(x), &q[j as usize]));
        }
        Block::Dense(m) => m.row(at).iter().zip(q).for_each(|(&x, q)| add(t, f64::from(x), q)),
    }
}

fn scatter(piece: &Block, at: usize, out: &mut [[f64; PANEL]], t: &[f64; PANEL]) {
    match piece {
        Block::Sparse(m) => {
            let (js, xs) = m.row(at);
            js.iter().zip(xs).for_each(|(&j, &x)| add(&mut out[j as usize], f64::from(x), t));
        }
        Block::Dense(m) => m.row(at).iter().zip(out).for_each(|(&x, out)| add(out, f64::from(x), t)),
    }
}
