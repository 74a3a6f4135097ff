//! What shape do features have? Sparse rows (CSR), dense rows, and blocks of both side by side.

/// Sparse rows in compressed-row form; column indices ascend within a row and no index occurs twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Csr {
    /// Number of columns.
    pub cols: usize,
    /// `rows + 1` offsets into `indices` and `values`.
    pub indptr: Vec<usize>,
    /// Column of each stored value.
    pub indices: Vec<u32>,
    /// The stored values.
    pub values: Vec<f32>,
}

/// Dense rows, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dense {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// `rows * cols` values.
    pub values: Vec<f32>,
}

/// One group of columns, kept in the form it came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Sparse rows.
    Sparse(Csr),
    /// Dense rows.
    Dense(Dense),
}

/// Feature rows as blocks side by side: a mixed row never becomes one dense row.
/// Column `j` of block `b` is feature `offset(b) + j`. Every block has the same number of rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// The blocks, left to right.
    pub blocks: Vec<Block>,
}

impl Csr {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Columns and values of row `i`.
    pub fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let span = self.indptr[i]..self.indptr[i + 1];
        (&self.indices[span.clone()], &self.values[span])
    }

    /// The rows `rows`, in that order; each must be below `rows()`.
    pub fn take_rows(&self, rows: &[usize]) -> Csr {
        let stored = rows.iter().map(|&i| self.indptr[i + 1] - self.indptr[i]).sum();
        let mut taken = Csr {
            cols: self.cols,
            indptr: Vec::with_capacity(rows.len() + 1),
            indices: Vec::with_capacity(stored),
            values: Vec::with_capacity(stored),
        };
        taken.indptr.push(0);
        for &i in rows {
            let (indices, values) = self.row(i);
            taken.indices.extend_from_slice(indices);
            taken.values.extend_from_slice(values);
            taken.indptr.push(taken.indices.len());
        }
        taken
    }
}

impl Dense {
    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.cols..(i + 1) * self.cols]
    }

    /// The rows `rows`, in that order; each must be below `self.rows`.
    pub fn take_rows(&self, rows: &[usize]) -> Dense {
        let mut values = Vec::with_capacity(rows.len() * self.cols);
        rows.iter().for_each(|&i| values.extend_from_slice(self.row(i)));
        Dense { rows: rows.len(), cols: self.cols, values }
    }
}

impl Block {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Block::Sparse(m) => m.rows(),
            Block::Dense(m) => m.rows,
        }
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        match self {
            Block::Sparse(m) => m.cols,
            Block::Dense(m) => m.cols,
        }
    }
}

impl Features {
    /// Number of rows (0 without blocks).
    pub fn rows(&self) -> usize {
        self.blocks.first().map_or(0, Block::rows)
    }

    /// Number of columns over all blocks.
    pub fn cols(&self) -> usize {
        self.blocks.iter().map(Block::cols).sum()
    }

    /// The rows `rows` of every block, in that order; each must be below `rows()`.
    pub fn take_rows(&self, rows: &[usize]) -> Features {
        let taken = |block: &Block| match block {
            Block::Sparse(m) => Block::Sparse(m.take_rows(rows)),
            Block::Dense(m) => Block::Dense(m.take_rows(rows)),
        };
        Features { blocks: self.blocks.iter().map(taken).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_in_the_order_asked() {
        let sparse = Csr { cols: 3, indptr: vec![0, 1, 1, 3], indices: vec![2, 0, 1], values: vec![5.0, 6.0, 7.0] };
        let dense = Dense { rows: 3, cols: 1, values: vec![1.0, 2.0, 3.0] };
        let taken = Features { blocks: vec![Block::Sparse(sparse), Block::Dense(dense)] }.take_rows(&[2, 1, 2]);
        assert_eq!(taken.rows(), 3);
        let sparse =
            Csr { cols: 3, indptr: vec![0, 2, 2, 4], indices: vec![0, 1, 0, 1], values: vec![6.0, 7.0, 6.0, 7.0] };
        let dense = Dense { rows: 3, cols: 1, values: vec![3.0, 2.0, 3.0] };
        assert_eq!(taken.blocks, vec![Block::Sparse(sparse), Block::Dense(dense)]);
    }
}
