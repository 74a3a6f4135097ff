//! What does each block, and each column, of a linear model do to its answers on some rows?
//!
//! A decision value is f(x) = b + Σ g_B(x) over blocks B, with g_B(x) = Σ w_j x_j over the block's columns. Over rows,
//! Var(f) = Σ Cov(g_B, f): the covariances divide the variance among the blocks without rest (Pratt's product measure, 1987, of the
//! decision value instead of an outcome). The scale of a block's columns makes no difference, nor does a constant in them.

use crate::ml::{Block, Features};

/// What the blocks do to one sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Cov(g_B, f) for each block, over rows (divided by their number). A block that works against the others has less than 0.
    pub covariances: Vec<f64>,
    /// Var(f), the sum of the covariances.
    pub variance: f64,
}

/// How the sum with the weights `coef`, one for each column of `x`, divides among the blocks.
pub fn spread(x: &Features, coef: &[f64]) -> Spread {
    let rows = x.rows();
    let mut offset = 0;
    let mut parts: Vec<Vec<f64>> = Vec::with_capacity(x.blocks.len());
    for block in &x.blocks {
        let weights = &coef[offset..offset + block.cols()];
        let mut sums: Vec<f64> = (0..rows).map(|row| row_sum(block, row, weights)).collect();
        let mean = sums.iter().sum::<f64>() / rows.max(1) as f64;
        sums.iter_mut().for_each(|sum| *sum -= mean);
        parts.push(sums);
        offset += block.cols();
    }
    let whole: Vec<f64> = (0..rows).map(|row| parts.iter().map(|part| part[row]).sum()).collect();
    let with = |part: &[f64]| part.iter().zip(&whole).map(|(a, b)| a * b).sum::<f64>() / rows.max(1) as f64;
    Spread { covariances: parts.iter().map(|part| with(part)).collect(), variance: with(&whole) }
}

fn row_sum(block: &Block, row: usize, weights: &[f64]) -> f64 {
    match block {
        Block::Sparse(sparse) => {
            let (columns, values) = sparse.row(row);
            columns.iter().zip(values).map(|(&at, &value)| weights[at as usize] * f64::from(value)).sum()
        }
        Block::Dense(dense) => {
            dense.row(row).iter().zip(weights).map(|(&value, weight)| weight * f64::from(value)).sum()
        }
    }
}

/// The standard deviation of each column over the rows of a block (divided by their number).
pub fn deviations(block: &Block) -> Vec<f64> {
    #[derive(Clone, Default)]
    struct Column {
        stored: usize,
        first: f64,
        varies: bool,
        sum: f64,
        squares: f64,
    }
    let rows = block.rows().max(1) as f64;
    let mut columns = vec![Column::default(); block.cols()];
    each(block, |at, value| {
        let column = &mut columns[at];
        column.varies |= column.stored > 0 && value != column.first;
        column.first = value;
        column.stored += 1;
        column.sum += value;
    });
    each(block, |at, value| columns[at].squares += (value - columns[at].sum / rows).powi(2));
    let deviation = |column: Column| {
        let left = block.rows() - column.stored;
        // a rounded mean would make a little of a constant
        if !column.varies && (left == 0 || column.sum == 0.0) {
            return 0.0;
        }
        // what is not stored is 0, as far from the mean as the mean is from 0
        let mean = column.sum / rows;
        ((column.squares + left as f64 * mean * mean) / rows).sqrt()
    };
    columns.into_iter().map(deviation).collect()
}

fn each(block: &Block, mut see: impl FnMut(usize, f64)) {
    match block {
        Block::Sparse(sparse) => {
            sparse.indices.iter().zip(&sparse.values).for_each(|(&at, &value)| see(at as usize, f64::from(value)));
        }
        Block::Dense(dense) => {
            for row in dense.values.chunks_exact(dense.cols.max(1)) {
                row.iter().enumerate().for_each(|(at, &value)| see(at, f64::from(value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::{Csr, Dense};

    fn dense(cols: usize, values: &[f32]) -> Block {
        Block::Dense(Dense { rows: values.len() / cols, cols, values: values.to_vec() })
    }

    #[test]
    fn shares_divide_the_variance() {
        // g₁ = 0, 2, 0, 2; g₂ = 5, 5, 8, 8 (and a constant): independent, variances 1 and 2.25
        let first = Csr { cols: 2, indptr: vec![0, 0, 1, 1, 2], indices: vec![1, 1], values: vec![1.0, 1.0] };
        let x = Features { blocks: vec![Block::Sparse(first), dense(2, &[1.0, 5.0, 1.0, 5.0, 2.0, 5.0, 2.0, 5.0])] };
        let found = spread(&x, &[7.0, 2.0, 3.0, 0.4]);
        assert!((found.covariances[0] - 1.0).abs() < 1e-12 && (found.covariances[1] - 2.25).abs() < 1e-12, "{found:?}");
        assert!((found.variance - 3.25).abs() < 1e-12);
        // twice the values and half the weights are the same model
        let same = Features { blocks: vec![x.blocks[0].clone(), dense(2, &[2.0, 5.0, 2.0, 5.0, 4.0, 5.0, 4.0, 5.0])] };
        assert_eq!(spread(&same, &[7.0, 2.0, 1.5, 0.4]), found);
    }

    #[test]
    fn a_block_may_work_against_the_others() {
        let x = Features { blocks: vec![dense(1, &[0.0, 1.0]), dense(1, &[0.0, 1.0])] };
        let found = spread(&x, &[3.0, -1.0]);
        assert_eq!((found.covariances, found.variance), (vec![1.5, -0.5], 1.0));
        let none = spread(&Features { blocks: vec![dense(1, &[])] }, &[1.0]);
        assert_eq!((none.covariances, none.variance), (vec![0.0], 0.0));
    }

    #[test]
    fn deviations_count_what_is_not_stored() {
        let sparse = Csr { cols: 3, indptr: vec![0, 1, 1, 2, 3], indices: vec![0, 0, 2], values: vec![2.0, 2.0, 4.0] };
        let same = dense(3, &[2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
        assert_eq!(deviations(&Block::Sparse(sparse)), deviations(&same));
        assert_eq!(deviations(&same), [1.0, 0.0, 3.0_f64.sqrt()]);
        assert_eq!(deviations(&dense(1, &[0.1; 7])), [0.0], "a constant, whatever its mean is rounded to");
    }
}
