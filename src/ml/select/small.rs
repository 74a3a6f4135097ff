//! Twelve rows of three classes for the tests of scales, scores and components; scikit-learn saw the same.

use super::{Block, Csr, Dense, Features};

/// The rows; the last column is constant.
pub(in crate::ml) const X: [[f32; 6]; 12] = [
    [0.0, 5.0, 10.0, 0.0, 9.0, 4.0],
    [8.0, 0.0, 2.0, 10.0, 0.0, 4.0],
    [8.0, 8.0, 0.0, 8.0, 8.0, 4.0],
    [0.0, 3.0, 6.0, 0.0, 1.0, 4.0],
    [6.0, 0.0, 7.0, 2.0, 0.0, 4.0],
    [4.0, 2.0, 0.0, 9.0, 7.0, 4.0],
    [0.0, 6.0, 7.0, 0.0, 9.0, 4.0],
    [9.0, 0.0, 6.0, 10.0, 0.0, 4.0],
    [5.0, 1.0, 0.0, 4.0, 0.0, 4.0],
    [0.0, 3.0, 2.0, 0.0, 0.0, 4.0],
    [6.0, 0.0, 10.0, 1.0, 0.0, 4.0],
    [0.0, 5.0, 0.0, 4.0, 9.0, 4.0],
];

/// Their classes.
pub(in crate::ml) const Y: [u32; 12] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2];

/// As one dense block.
pub(in crate::ml) fn dense() -> Features {
    Features { blocks: vec![Block::Dense(Dense { rows: 12, cols: 6, values: X.concat() })] }
}

/// As one sparse block.
pub(in crate::ml) fn sparse() -> Features {
    Features { blocks: vec![Block::Sparse(csr(0..6))] }
}

/// The first three columns sparse, the others dense.
pub(in crate::ml) fn mixed() -> Features {
    let values = X.iter().flat_map(|row| row[3..].to_vec()).collect();
    Features { blocks: vec![Block::Sparse(csr(0..3)), Block::Dense(Dense { rows: 12, cols: 3, values })] }
}

fn csr(columns: std::ops::Range<usize>) -> Csr {
    let mut csr = Csr { cols: columns.len(), indptr: vec![0], ..Csr::default() };
    for row in X {
        for (j, &value) in row[columns.clone()].iter().enumerate().filter(|(_, value)| **value != 0.0) {
            csr.indices.push(j as u32);
            csr.values.push(value);
        }
        csr.indptr.push(csr.indices.len());
    }
    csr
}
