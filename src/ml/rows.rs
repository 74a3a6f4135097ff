//! What does a learner of dense rows see? The rows of all blocks, joined.

use std::borrow::Cow;

use super::linear::{self, FitError};
use super::{Block, Features};

/// Dense rows; those of several blocks are joined.
pub(super) struct Rows<'a> {
    pub(super) count: usize,
    pub(super) cols: usize,
    /// Row-major.
    pub(super) values: Cow<'a, [f32]>,
}

impl<'a> Rows<'a> {
    /// Errors: sparse blocks, malformed blocks, values that are not finite.
    pub(super) fn of(x: &'a Features) -> Result<Rows<'a>, FitError> {
        if let Some(block) = x.blocks.iter().position(|block| matches!(block, Block::Sparse(_))) {
            return Err(FitError::NeedsDense { block });
        }
        linear::check_features(x)?;
        let (count, cols) = (x.rows(), x.cols());
        if let [Block::Dense(m)] = x.blocks.as_slice() {
            return Ok(Rows { count, cols, values: m.values.as_slice().into() });
        }
        let mut values = Vec::with_capacity(count * cols);
        for i in 0..count {
            for block in &x.blocks {
                if let Block::Dense(m) = block {
                    values.extend_from_slice(m.row(i));
                }
            }
        }
        Ok(Rows { count, cols, values: values.into() })
    }

    /// The same, for rows that a model of `cols` columns is applied to. Errors: those of `of`, another number of columns.
    pub(super) fn of_width(x: &'a Features, cols: usize) -> Result<Rows<'a>, FitError> {
        let rows = Rows::of(x)?;
        match rows.cols == cols {
            true => Ok(rows),
            false => Err(FitError::Width { expected: cols, found: rows.cols }),
        }
    }

    pub(super) fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.cols..(i + 1) * self.cols]
    }
}
