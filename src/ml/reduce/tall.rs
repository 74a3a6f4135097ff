//! How are tall, narrow matrices multiplied and made orthonormal? Row-major f64, in tiles that stay in registers.

use rayon::prelude::*;

/// Rows of a tile, and its columns.
const TILE: usize = 4;
/// Rows that are worked on together; fixed, so that sums have one order.
const CHUNK: usize = 256;

/// A row-major matrix of f64.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) values: Vec<f64>,
}

impl Matrix {
    pub(super) fn zeros(rows: usize, cols: usize) -> Matrix {
        Matrix { rows, cols, values: vec![0.0; rows * cols] }
    }

    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.cols..(row + 1) * self.cols]
    }

    /// `selfᵀ · other`; both have the same rows. Tiles of rows run in parallel.
    pub(super) fn transposed_times(&self, other: &Matrix) -> Matrix {
        self.tiles(other, |_| 0)
    }

    /// `selfᵀ · self`.
    pub(super) fn gram(&self) -> Matrix {
        let mut gram = self.tiles(self, |first| first);
        let n = gram.cols;
        for i in 0..n {
            for j in 0..i {
                gram.values[i * n + j] = gram.values[j * n + i];
            }
        }
        gram
    }

    /// `selfᵀ · other`, each tile from a column on.
    fn tiles(&self, other: &Matrix, begin: impl Fn(usize) -> usize + Sync) -> Matrix {
        let (p, q) = (self.cols, other.cols);
        let mut out = Matrix::zeros(p, q);
        out.values.par_chunks_mut((TILE * q).max(1)).enumerate().for_each(|(tile, out)| {
            let (first, count) = (tile * TILE, out.len() / q);
            for from in (0..self.rows).step_by(CHUNK) {
                let rows = from..(from + CHUNK).min(self.rows);
                for at in (begin(first)..q).step_by(TILE) {
                    let width = TILE.min(q - at);
                    let mut sums = [[0.0; TILE]; TILE];
                    for row in rows.clone() {
                        let a = padded(&self.values[row * p + first..][..count]);
                        let b = padded(&other.values[row * q + at..][..width]);
                        for (sums, a) in sums.iter_mut().zip(a) {
                            sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
                        }
                    }
                    for (out, sums) in out.chunks_mut(q).zip(&sums) {
                        out[at..at + width].iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                    }
                }
            }
        });
        out
    }

    /// `self · other`. Rows run in parallel; a row's bits do not depend on the rows beside it.
    pub(super) fn times(&self, other: &Matrix) -> Matrix {
        let (p, q) = (self.cols, other.cols);
        let mut out = Matrix::zeros(self.rows, q);
        out.values.par_chunks_mut((TILE * q).max(1)).enumerate().for_each(|(tile, out)| {
            let (first, count) = (tile * TILE, out.len() / q);
            for at in (0..q).step_by(TILE) {
                let width = TILE.min(q - at);
                let mut sums = [[0.0; TILE]; TILE];
                for l in 0..p {
                    let b = padded(&other.values[l * q + at..][..width]);
                    for (row, sums) in sums.iter_mut().enumerate().take(count) {
                        let a = self.values[(first + row) * p + l];
                        sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
                    }
                }
                for (out, sums) in out.chunks_mut(q).zip(&sums) {
                    out[at..at + width].copy_from_slice(&sums[..width]);
                }
            }
        });
        out
    }

    /// A basis of what the columns span, orthonormal to rounding: Cholesky QR twice where the columns are far from dependent, else
    /// Gram–Schmidt twice, which leaves dependent columns out.
    pub(super) fn orthonormal(mut self) -> Matrix {
        for _ in 0..2 {
            match inverse_factor(&self.gram()) {
                Some(factor) => self = self.times(&factor),
                None => return self.orthonormal_by_column(),
            }
        }
        self
    }

    fn orthonormal_by_column(self) -> Matrix {
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(self.cols);
        for column in 0..self.cols {
            let mut vector: Vec<f64> = (0..self.rows).map(|row| self.values[row * self.cols + column]).collect();
            let before = norm(&vector);
            for _ in 0..2 {
                for known in &basis {
                    let along = dot(known, &vector);
                    vector.iter_mut().zip(known).for_each(|(value, known)| *value -= along * known);
                }
            }
            let after = norm(&vector);
            if after > 1e-12 * before {
                vector.iter_mut().for_each(|value| *value /= after);
                basis.push(vector);
            }
        }
        let mut out = Matrix::zeros(self.rows, basis.len());
        for (column, vector) in basis.iter().enumerate() {
            vector.iter().enumerate().for_each(|(row, value)| out.values[row * basis.len() + column] = *value);
        }
        out
    }
}

fn padded(values: &[f64]) -> [f64; TILE] {
    match values.first_chunk::<TILE>() {
        Some(whole) => *whole,
        None => {
            let mut padded = [0.0; TILE];
            padded.iter_mut().zip(values).for_each(|(padded, value)| *padded = *value);
            padded
        }
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (quads, rest) = a.as_chunks::<4>();
    let (others, other_rest) = b.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for (a, b) in quads.iter().zip(others) {
        for lane in 0..4 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// R⁻¹ of the Cholesky factor `gram = RᵀR`; `None` where a column lies too near to what the ones before it span.
fn inverse_factor(gram: &Matrix) -> Option<Matrix> {
    let n = gram.cols;
    // lower triangle, by rows
    let mut lower = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            let rest = gram.values[i * n + j] - dot(&lower.row(i)[..j], &lower.row(j)[..j]);
            let value = if i == j {
                // the part of the column's length that is its own
                if rest.is_nan() || rest <= 1e-8 * gram.values[i * n + i] {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / lower.values[j * n + j]
            };
            lower.values[i * n + j] = value;
        }
    }
    let mut inverse = Matrix::zeros(n, n);
    for column in 0..n {
        // row `column` of the inverse of Rᵀ, turned round
        let mut found = vec![0.0; n];
        for i in column..n {
            let unit = f64::from(u8::from(i == column));
            found[i] = (unit - dot(&lower.row(i)[column..i], &found[column..i])) / lower.values[i * n + i];
        }
        inverse.values[column * n..(column + 1) * n].copy_from_slice(&found);
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::Rng;

    fn random(rows: usize, cols: usize) -> Matrix {
        let mut rng = Rng::seeded(7);
        Matrix { rows, cols, values: (0..rows * cols).map(|_| rng.uniform() - 0.3).collect() }
    }

    fn is_identity(m: &Matrix) -> bool {
        m.values.iter().enumerate().all(|(at, v)| (v - f64::from(u8::from(at % (m.cols + 1) == 0))).abs() < 1e-12)
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let (a, b) = (random(300, 7), random(300, 5));
        let product = a.transposed_times(&b);
        let back = product.times(&random(5, 9));
        for i in 0..7 {
            for j in 0..5 {
                let sum: f64 = (0..300).map(|row| a.values[row * 7 + i] * b.values[row * 5 + j]).sum();
                assert!((product.values[i * 5 + j] - sum).abs() < 1e-10);
            }
            for j in 0..9 {
                let sum: f64 = (0..5).map(|l| product.values[i * 5 + l] * random(5, 9).values[l * 9 + j]).sum();
                assert!((back.values[i * 9 + j] - sum).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn a_gram_matrix_is_the_product_with_itself() {
        let a = random(300, 10);
        assert_eq!(a.gram(), a.transposed_times(&a));
    }

    #[test]
    fn dependent_columns_are_left_out() {
        let basis = random(50, 6).orthonormal();
        assert!(basis.cols == 6 && is_identity(&basis.transposed_times(&basis)));
        let mut twice = random(50, 6);
        for row in 0..50 {
            twice.values[row * 6 + 4] = 2.0 * twice.values[row * 6 + 1];
        }
        let basis = twice.orthonormal();
        assert!(basis.cols == 5 && is_identity(&basis.transposed_times(&basis)));
        assert_eq!(Matrix::zeros(4, 2).orthonormal().cols, 0);
    }

    #[test]
    fn lengths_far_apart_lose_no_column() {
        let mut graded = random(60, 4);
        for (at, value) in graded.values.iter_mut().enumerate() {
            *value *= [1.0, 1e-5, 1e-9, 1e-11][at % 4];
        }
        let basis = graded.orthonormal();
        assert!(basis.cols == 4 && is_identity(&basis.transposed_times(&basis)));
    }
}
