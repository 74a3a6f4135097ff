//! How are feature columns seen one by one? Blocks turned round, so that each column lies in one piece.

use rayon::prelude::*;

use super::matrix::{Block, Csr, Dense, Features};

/// One column of a block: all its values, or those that are stored and the rows that they are in.
pub(super) struct Column<'a> {
    /// Number of rows, stored or not.
    pub(super) len: usize,
    /// The rows of the stored values, ascending; all rows if `None`.
    rows: Option<&'a [u32]>,
    /// The stored values.
    pub(super) values: &'a [f32],
}

impl Column<'_> {
    /// Whether it is of a sparse block.
    pub(super) fn is_sparse(&self) -> bool {
        self.rows.is_some()
    }

    /// How many values are not stored, and so 0.
    pub(super) fn unstored(&self) -> usize {
        self.len - self.values.len()
    }

    /// The stored values and the rows that they are in.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, f64)> {
        let row = |at: usize| self.rows.map_or(at, |rows| rows[at] as usize);
        self.values.iter().enumerate().map(move |(at, &value)| (row(at), f64::from(value)))
    }

    /// Mean and variance (of all values, not of a sample), from two passes; a variance that rounding alone makes of a constant
    /// is 0, by scikit-learn's bound (`_is_constant_feature` in `preprocessing/_data.py`).
    pub(super) fn moments(&self) -> (f64, f64) {
        let count = self.len as f64;
        let mean = self.entries().map(|(_, value)| value).sum::<f64>() / count;
        let squares: f64 = self.entries().map(|(_, value)| (value - mean).powi(2)).sum();
        let variance = (squares + self.unstored() as f64 * mean * mean) / count;
        let noise = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
        (mean, if variance <= noise { 0.0 } else { variance })
    }
}

/// What `of` makes of each column, in their order over all blocks. Columns run in parallel on rayon's current pool.
pub(super) fn map_columns<T: Send>(x: &Features, of: impl Fn(Column<'_>) -> T + Sync) -> Vec<T> {
    let mut all = Vec::with_capacity(x.cols());
    for block in &x.blocks {
        let len = block.rows();
        let turned = transposed(block);
        let column = |at: usize| match &turned {
            Block::Sparse(m) => {
                let (rows, values) = m.row(at);
                of(Column { len, rows: Some(rows), values })
            }
            Block::Dense(m) => of(Column { len, rows: None, values: m.row(at) }),
        };
        all.par_extend((0..block.cols()).into_par_iter().with_min_len(64).map(column));
    }
    all
}

/// The block with its columns as rows.
pub(super) fn transposed(block: &Block) -> Block {
    match block {
        Block::Sparse(m) => Block::Sparse(sparse_transposed(m)),
        Block::Dense(m) => Block::Dense(dense_transposed(m)),
    }
}

fn sparse_transposed(m: &Csr) -> Csr {
    let mut indptr = vec![0usize; m.cols + 1];
    m.indices.iter().for_each(|&j| indptr[j as usize + 1] += 1);
    for at in 1..indptr.len() {
        indptr[at] += indptr[at - 1];
    }
    let mut next = indptr.clone();
    let (mut indices, mut values) = (vec![0u32; m.indices.len()], vec![0f32; m.values.len()]);
    for row in 0..m.rows() {
        let (js, xs) = m.row(row);
        for (&j, &x) in js.iter().zip(xs) {
            let at = &mut next[j as usize];
            indices[*at] = row as u32;
            values[*at] = x;
            *at += 1;
        }
    }
    Csr { cols: m.rows(), indptr, indices, values }
}

fn dense_transposed(m: &Dense) -> Dense {
    let mut values = vec![0f32; m.values.len()];
    const TILE: usize = 16;
    for from in (0..m.rows).step_by(TILE) {
        for first in (0..m.cols).step_by(TILE) {
            for row in from..(from + TILE).min(m.rows) {
                for col in first..(first + TILE).min(m.cols) {
                    values[col * m.rows + row] = m.values[row * m.cols + col];
                }
            }
        }
    }
    Dense { rows: m.cols, cols: m.rows, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_rows_of_the_block_turned_round() {
        let sparse = Csr { cols: 3, indptr: vec![0, 2, 2, 3], indices: vec![0, 2, 2], values: vec![1.0, 2.0, 3.0] };
        let dense = Dense { rows: 3, cols: 2, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let x = Features { blocks: vec![Block::Sparse(sparse.clone()), Block::Dense(dense.clone())] };
        let entries = map_columns(&x, |column| column.entries().collect::<Vec<_>>());
        let expected = [
            vec![(0, 1.0)],
            vec![],
            vec![(0, 2.0), (2, 3.0)],
            vec![(0, 1.0), (1, 3.0), (2, 5.0)],
            vec![(0, 2.0), (1, 4.0), (2, 6.0)],
        ];
        assert_eq!(entries, expected);
        for block in [Block::Sparse(sparse), Block::Dense(dense)] {
            assert_eq!(transposed(&transposed(&block)), block);
        }
    }

    #[test]
    fn moments_count_what_is_not_stored() {
        let sparse = Csr { cols: 1, indptr: vec![0, 1, 1, 2, 2], indices: vec![0, 0], values: vec![2.0, 6.0] };
        let moments = map_columns(&Features { blocks: vec![Block::Sparse(sparse)] }, |column| column.moments());
        assert_eq!(moments, [(2.0, 6.0)]);
        let constant = Dense { rows: 7, cols: 1, values: vec![0.1; 7] };
        let moments = map_columns(&Features { blocks: vec![Block::Dense(constant)] }, |column| column.moments());
        assert_eq!(moments[0].1, 0.0);
    }
}
