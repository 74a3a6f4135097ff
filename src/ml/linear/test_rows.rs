//! Which rows are the solvers tried on? Their numbers from scikit-learn are of these.

use crate::ml::{Block, Csr, Dense, Features};

pub(super) fn value(i: usize, j: usize) -> f32 {
    ((i * 37 + j * 91 + i * i * (j + 3)) % 101) as f32 / 50.0 - 1.0
}

pub(super) fn dense(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Block {
    Block::Dense(Dense { rows, cols, values: (0..rows * cols).map(|at| value(at / cols, at % cols)).collect() })
}

pub(super) fn sparse(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Block {
    let mut m = Csr { cols, indptr: vec![0], ..Csr::default() };
    for i in 0..rows {
        for j in (0..cols).filter(|&j| value(i, j) != 0.0) {
            m.indices.push(j as u32);
            m.values.push(value(i, j));
        }
        m.indptr.push(m.indices.len());
    }
    Block::Sparse(m)
}

pub(super) fn points() -> Features {
    Features { blocks: vec![dense(40, 3, value)] }
}

pub(super) fn signal(i: usize) -> f64 {
    let [a, b, c] = [0, 1, 2].map(|j| f64::from(value(i, j)));
    a + 0.5 * b - c * a
}

pub(super) fn two() -> Vec<u32> {
    (0..40).map(|i| u32::from(signal(i) > 0.1)).collect()
}

pub(super) fn three() -> Vec<u32> {
    (0..40).map(|i| if signal(i) > 0.4 { 2 } else { u32::from(signal(i) > -0.3) }).collect()
}

pub(super) fn weights() -> Vec<f64> {
    (0..40).map(|i| 0.5 + (i % 4) as f64 * 0.5).collect()
}
