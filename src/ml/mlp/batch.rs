//! How does the first layer take rows of several blocks? Dense blocks are multiplied; a sparse row gathers rows of the matrix.

use candle_core::Tensor;

use super::super::linear::FitError;
use super::super::{Block, Csr, Features};
use super::products::{matrix, product, turned};

/// Some rows, block by block.
pub(super) struct Batch {
    rows: usize,
    blocks: Vec<Piece>,
}

enum Piece {
    Sparse(Csr),
    Dense { cols: usize, values: Tensor },
}

/// The gradient of the first layer's matrix, block by block; sparse blocks have one for the columns that occur alone.
pub(super) struct FirstGradient(Vec<Part>);

enum Part {
    /// Place of each column's gradient in `rows`, or [`ABSENT`].
    Sparse {
        place: Vec<u32>,
        rows: Vec<f32>,
    },
    Dense {
        cols: usize,
        rows: Vec<f32>,
    },
}

const ABSENT: u32 = u32::MAX;

impl Batch {
    /// The rows `rows` of `x`.
    pub(super) fn of(x: &Features, rows: &[usize]) -> Result<Batch, FitError> {
        let piece = |block: &Block| match block {
            Block::Sparse(m) => Ok(Piece::Sparse(m.take_rows(rows))),
            Block::Dense(m) => Ok(Piece::Dense { cols: m.cols, values: matrix(m.take_rows(rows).values, m.cols)? }),
        };
        let blocks = x.blocks.iter().filter(|block| block.cols() > 0).map(piece);
        Ok(Batch { rows: rows.len(), blocks: blocks.collect::<Result<_, FitError>>()? })
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the rows' product with `weights` (columns × `width`, row-major) to `sums` (rows × `width`).
    pub(super) fn add_product(&self, weights: &[f32], width: usize, sums: &mut [f32]) -> Result<(), FitError> {
        let mut rest = weights;
        for block in &self.blocks {
            match block {
                Piece::Sparse(m) => {
                    let (own, others) = rest.split_at(m.cols * width);
                    rest = others;
                    for (i, sums) in sums.chunks_exact_mut(width).enumerate() {
                        let (columns, values) = m.row(i);
                        for (&column, &value) in columns.iter().zip(values) {
                            add_times(sums, value, &own[column as usize * width..][..width]);
                        }
                    }
                }
                Piece::Dense { cols, values } => {
                    let (own, others) = rest.split_at(cols * width);
                    rest = others;
                    let product = product(values, &matrix(own.to_vec(), width)?)?;
                    sums.iter_mut().zip(product).for_each(|(sum, value)| *sum += value);
                }
            }
        }
        Ok(())
    }

    /// The product of the rows, turned, with `slopes` (rows × `width`).
    pub(super) fn gradient(&self, slopes: &[f32], width: usize) -> Result<FirstGradient, FitError> {
        let part = |block: &Piece| match block {
            Piece::Sparse(m) => Ok(sparse_gradient(m, slopes, width)),
            Piece::Dense { cols, values } => {
                let rows = product(&turned(values)?, &matrix(slopes.to_vec(), width)?)?;
                Ok(Part::Dense { cols: *cols, rows })
            }
        };
        Ok(FirstGradient(self.blocks.iter().map(part).collect::<Result<_, FitError>>()?))
    }
}

fn sparse_gradient(m: &Csr, slopes: &[f32], width: usize) -> Part {
    let (mut place, mut rows) = (vec![ABSENT; m.cols], Vec::new());
    for (i, slopes) in slopes.chunks_exact(width).enumerate() {
        let (columns, values) = m.row(i);
        for (&column, &value) in columns.iter().zip(values) {
            let place = &mut place[column as usize];
            if *place == ABSENT {
                *place = (rows.len() / width) as u32;
                rows.resize(rows.len() + width, 0.0);
            }
            add_times(&mut rows[*place as usize * width..][..width], value, slopes);
        }
    }
    Part::Sparse { place, rows }
}

impl FirstGradient {
    /// The gradient of feature `column`'s `width` weights; `None`: zero.
    pub(super) fn row(&self, column: usize, width: usize) -> Option<&[f32]> {
        let mut column = column;
        for part in &self.0 {
            let (cols, place, rows) = match part {
                Part::Sparse { place, rows } => (place.len(), place.get(column).copied(), rows),
                Part::Dense { cols, rows } => (*cols, Some(column as u32), rows),
            };
            if column < cols {
                let place = place.filter(|place| *place != ABSENT)? as usize;
                return rows.get(place * width..(place + 1) * width);
            }
            column -= cols;
        }
        None
    }
}

/// `sums += factor · row`.
pub(super) fn add_times(sums: &mut [f32], factor: f32, row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
}
