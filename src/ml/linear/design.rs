//! What is one training row to the solvers? Products of rows in the solvers' column order ([`Layout`]), with one
//! constant column last for the intercept.
//!
//! A dense block is never copied; a mixed row is never one dense row.

use super::FitError;
use super::layout::{Laid, Layout, Stored};
use super::wide::{Real, axpy, dense_dot, stored_dot};
use crate::ml::{Block, Dense, Features};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Training rows in the solvers' column order.
pub(super) struct Design<'a> {
    /// Number of rows.
    pub(super) rows: usize,
    layout: &'a Layout,
    dense: &'a [Dense],
    /// Value of the constant column; 0 means that there is none.
    bias: f64,
}

impl<'a> Design<'a> {
    /// Rows laid out, with a constant column of value `bias` (0: none).
    pub(super) fn new(x: &'a Laid, bias: f64) -> Design<'a> {
        Design { rows: x.layout.rows, layout: &x.layout, dense: &x.dense, bias }
    }

    /// Columns without the constant one.
    pub(super) fn cols(&self) -> usize {
        self.layout.cols()
    }

    /// Columns with the constant one: the length of a weight vector.
    pub(super) fn width(&self) -> usize {
        self.cols() + usize::from(self.bias != 0.0)
    }

    /// Value of the constant column; 0 if there is none.
    pub(super) fn bias(&self) -> f64 {
        self.bias
    }

    /// Whether there are dense columns.
    pub(super) fn has_dense(&self) -> bool {
        self.layout.dense > 0
    }

    /// Whether any row uses a sparse column.
    pub(super) fn has_sparse(&self) -> bool {
        self.layout.has_sparse()
    }

    /// Where the dense columns begin.
    #[inline(always)]
    pub(super) fn dense_from(&self) -> usize {
        self.layout.dense_from()
    }

    /// How many columns more than one sparse row uses; they end where the dense ones begin.
    pub(super) fn shared(&self) -> usize {
        self.layout.shared
    }

    /// The column of row `i`'s own, and its value there; 0 if it has none.
    #[inline(always)]
    fn lone(&self, i: usize) -> (usize, f64) {
        (i, self.layout.lone.get(i).copied().unwrap_or(0.0))
    }

    /// The lengths of all rows in their own columns, which come first; empty if there are none.
    #[inline(always)]
    pub(super) fn lones(&self) -> &[f64] {
        &self.layout.lone
    }

    /// The rows, in the order in which their sparse values are stored.
    #[inline(always)]
    pub(super) fn order(&self) -> &[u32] {
        &self.layout.order
    }

    /// The rows' values in each shared sparse column.
    pub(super) fn columns(&self) -> impl Iterator<Item = &[Stored]> {
        self.layout.columns()
    }

    /// The shared sparse values of row `i`.
    #[inline(always)]
    pub(super) fn sparse_row(&self, i: usize) -> &[Stored] {
        self.layout.row(i)
    }

    /// The dense blocks that have columns, and the column at which each begins.
    #[inline(always)]
    pub(super) fn dense_blocks(&self) -> impl Iterator<Item = (usize, &'a Dense)> {
        let mut at = self.dense_from();
        self.dense.iter().filter(|block| block.cols > 0).map(move |block| {
            let from = at;
            at += block.cols;
            (from, block)
        })
    }

    /// Reads the first of a row's sparse values and one of each of its dense cache lines, so that they are near when the row is visited.
    #[inline(always)]
    pub(super) fn touch(&self, i: usize) -> u32 {
        let mut bits = self.sparse_row(i).first().map_or(0, |first| first.at);
        for (_, block) in self.dense_blocks() {
            for x in block.row(i).iter().step_by(LINE / size_of::<f32>()) {
                bits ^= x.to_bits();
            }
        }
        bits
    }

    /// `x_i · v`, the constant column included.
    #[inline(always)]
    pub(super) fn dot(&self, i: usize, v: &[f64]) -> f64 {
        let mut sum = self.light_dot(i, v);
        for (at, block) in self.dense_blocks() {
            sum += dense_dot(block.row(i), &v[at..at + block.cols]);
        }
        sum
    }

    /// `out += u · x_i`, the constant column included.
    #[inline(always)]
    pub(super) fn add(&self, i: usize, u: f64, out: &mut [f64]) {
        self.add_light(i, u, out);
        for (at, block) in self.dense_blocks() {
            for (o, &x) in out[at..at + block.cols].iter_mut().zip(block.row(i)) {
                *o += u * f64::from(x);
            }
        }
    }

    /// `x_i · W` for the weights of several classes, the constant column included.
    #[inline(always)]
    pub(super) fn dot_lanes<T: Real, const L: usize>(&self, i: usize, w: &[[T; L]]) -> [T; L] {
        let (quads, rest) = self.sparse_row(i).as_chunks::<4>();
        let mut lanes = [[T::default(); L]; 4];
        for quad in quads {
            for q in 0..4 {
                let (w, x) = (&w[quad[q].at as usize], T::from(quad[q].value));
                for l in 0..L {
                    lanes[q][l] += x * w[l];
                }
            }
        }
        let mut sums = [T::default(); L];
        for l in 0..L {
            sums[l] = (lanes[0][l] + lanes[1][l]) + (lanes[2][l] + lanes[3][l]);
        }
        for stored in rest {
            add_lanes(T::from(stored.value), &w[stored.at as usize], &mut sums);
        }
        let (own, x) = self.lone(i);
        if x != 0.0 {
            add_lanes(T::of(x), &w[own], &mut sums);
        }
        if self.bias != 0.0 {
            add_lanes(T::of(self.bias), &w[self.cols()], &mut sums);
        }
        for (at, block) in self.dense_blocks() {
            let w = &w[at..at + block.cols];
            if L == 1 {
                sums[0] += dense_dot(block.row(i), w.as_flattened());
                continue;
            }
            let (quads, rest) = block.row(i).as_chunks::<4>();
            let (quad_weights, rest_weights) = w.as_chunks::<4>();
            let mut lanes = [[T::default(); L]; 4];
            for (x, w) in quads.iter().zip(quad_weights) {
                for q in 0..4 {
                    add_lanes(T::from(x[q]), &w[q], &mut lanes[q]);
                }
            }
            for (&x, w) in rest.iter().zip(rest_weights) {
                add_lanes(T::from(x), w, &mut lanes[0]);
            }
            for l in 0..L {
                sums[l] += (lanes[0][l] + lanes[1][l]) + (lanes[2][l] + lanes[3][l]);
            }
        }
        sums
    }

    /// `W += x_i · u` for the weights of several classes, the constant column included.
    #[inline(always)]
    pub(super) fn add_lanes<T: Real, const L: usize>(&self, i: usize, u: [T; L], w: &mut [[T; L]]) {
        self.light_each(
            i,
            #[inline(always)]
            |j, x: T| add_lanes(x, &u, &mut w[j]),
        );
        for (at, block) in self.dense_blocks() {
            let w = &mut w[at..at + block.cols];
            w.iter_mut().zip(block.row(i)).for_each(
                #[inline(always)]
                |(w, &x)| add_lanes(T::from(x), &u, w),
            );
        }
    }

    /// `x_i · x_i`, the constant column included.
    #[inline(always)]
    pub(super) fn norm_squared(&self, i: usize) -> f64 {
        let mut sum = 0.0;
        self.light_each(i, |_, x: f64| sum += x * x);
        for (_, block) in self.dense_blocks() {
            sum += block.row(i).iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        }
        sum
    }

    /// The product of all columns but the dense ones.
    #[inline(always)]
    pub(super) fn light_dot<T: Real>(&self, i: usize, v: &[T]) -> T {
        let mut sum = stored_dot(self.sparse_row(i), v);
        let (own, x) = self.lone(i);
        if x != 0.0 {
            sum += T::of(x) * v[own];
        }
        if self.bias != 0.0 { sum + T::of(self.bias) * v[self.cols()] } else { sum }
    }

    /// `out += u · x_i` in all columns but the dense ones.
    #[inline(always)]
    pub(super) fn add_light<T: Real>(&self, i: usize, u: T, out: &mut [T]) {
        self.light_each(
            i,
            #[inline(always)]
            |j, x: T| out[j] += u * x,
        );
    }

    /// `t += x_i · V` in all columns but the dense ones, for `V` of `width() × k`, row-major.
    #[inline(always)]
    pub(super) fn light_dot_many<T: Real>(&self, i: usize, v: &[T], t: &mut [T]) {
        let k = t.len();
        let (quads, rest) = self.sparse_row(i).as_chunks::<4>();
        for quad in quads {
            let [a, b, c, d] = quad.map(
                #[inline(always)]
                |stored| &v[stored.at as usize * k..][..k],
            );
            let x = quad.map(
                #[inline(always)]
                |stored| T::from(stored.value),
            );
            for ((((t, &a), &b), &c), &d) in t.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *t += (x[0] * a + x[1] * b) + (x[2] * c + x[3] * d);
            }
        }
        for stored in rest {
            axpy(T::from(stored.value), &v[stored.at as usize * k..][..k], t);
        }
        let (own, x) = self.lone(i);
        if x != 0.0 {
            axpy(T::of(x), &v[own * k..][..k], t);
        }
        if self.bias != 0.0 {
            axpy(T::of(self.bias), &v[self.cols() * k..][..k], t);
        }
    }

    /// Every value of row `i` and its column, but those of the dense columns.
    #[inline(always)]
    pub(super) fn light_each<T: Real>(&self, i: usize, mut visit: impl FnMut(usize, T)) {
        for stored in self.sparse_row(i) {
            visit(stored.at as usize, T::from(stored.value));
        }
        let (own, x) = self.lone(i);
        if x != 0.0 {
            visit(own, T::of(x));
        }
        if self.bias != 0.0 {
            visit(self.cols(), T::of(self.bias));
        }
    }

    /// Splits the weights of output `which` of `k` (`w` is `width() × k`, row-major) into coefficients by feature
    /// column and the intercept (0 without a constant column).
    pub(super) fn restored(&self, w: &[f64], k: usize, which: usize) -> (Vec<f64>, f64) {
        let intercept = if self.bias != 0.0 { self.bias * w[self.cols() * k + which] } else { 0.0 };
        (self.layout.restored(w, k, which), intercept)
    }
}

#[inline(always)]
fn add_lanes<T: Real, const L: usize>(x: T, from: &[T; L], to: &mut [T; L]) {
    for l in 0..L {
        to[l] += x * from[l];
    }
}

/// Checks shapes and that every value is finite.
pub(in crate::ml) fn check_features(x: &Features) -> Result<(), FitError> {
    let rows = x.rows();
    let mut offset = 0;
    for (number, block) in x.blocks.iter().enumerate() {
        let malformed = |rule| Err(FitError::Block { block: number, rule });
        if block.rows() != rows {
            return malformed("it has another number of rows than the first block");
        }
        match block {
            Block::Sparse(m) => {
                let stored = m.indices.len();
                let ascends = m.indptr.windows(2).all(|pair| pair[0] <= pair[1]);
                if m.values.len() != stored || !ascends || m.indptr.last().is_some_and(|&end| end != stored) {
                    return malformed("its row offsets do not fit its values");
                }
                if m.indices.iter().any(|&j| j as usize >= m.cols) {
                    return malformed("a column index lies outside it");
                }
                if let Some(at) = m.values.iter().position(|v| !v.is_finite()) {
                    let row = m.indptr.partition_point(|&start| start <= at) - 1;
                    return Err(FitError::NonFinite { row, column: offset + m.indices[at] as usize });
                }
            }
            Block::Dense(m) => {
                if m.values.len() != m.rows * m.cols {
                    return malformed("it does not hold rows × columns values");
                }
                if let Some(at) = m.values.iter().position(|v| !v.is_finite()) {
                    return Err(FitError::NonFinite { row: at / m.cols, column: offset + at % m.cols });
                }
            }
        }
        offset += block.cols();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::Csr;

    fn mixed() -> Features {
        let sparse =
            Csr { cols: 4, indptr: vec![0, 2, 2, 4], indices: vec![1, 3, 0, 3], values: vec![1.0, 2.0, 3.0, 4.0] };
        let dense = Dense { rows: 3, cols: 2, values: vec![0.5, 1.5, 2.5, 3.5, 4.5, 5.5] };
        Features { blocks: vec![Block::Sparse(sparse), Block::Dense(dense)] }
    }

    #[test]
    fn products_equal_those_of_the_full_matrix() {
        let laid = Laid::of(mixed()).unwrap();
        let design = Design::new(&laid, 1.0);
        // column 2 is used by no row, column 3 by two, columns 0 and 1 by one row each
        let full = [
            [1.0, 0.0, 0.0, 2.0, 0.5, 1.5, 1.0],
            [0.0, 0.0, 0.0, 0.0, 2.5, 3.5, 1.0],
            [0.0, 0.0, 3.0, 4.0, 4.5, 5.5, 1.0],
        ];
        let v: Vec<f64> = (0..14).map(|i| f64::from(i) - 4.0).collect();
        for (i, row) in full.iter().enumerate() {
            let one: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
            assert_eq!(design.dot(i, &v), one);
            let mut out = [0.0; 7];
            design.add(i, 2.0, &mut out);
            assert_eq!(out.to_vec(), row.iter().map(|a| 2.0 * a).collect::<Vec<_>>());
        }
    }

    #[test]
    fn malformed_and_non_finite_input_is_named() {
        let mut x = mixed();
        if let Block::Dense(m) = &mut x.blocks[1] {
            m.values[3] = f32::NAN;
        }
        assert_eq!(check_features(&x), Err(FitError::NonFinite { row: 1, column: 5 }));
        if let Block::Sparse(m) = &mut x.blocks[0] {
            m.values[2] = f32::INFINITY;
        }
        assert_eq!(check_features(&x), Err(FitError::NonFinite { row: 2, column: 0 }));
        if let Block::Sparse(m) = &mut x.blocks[0] {
            m.indices[0] = 9;
        }
        assert!(matches!(check_features(&x), Err(FitError::Block { block: 0, .. })));
        x.blocks.push(Block::Dense(Dense { rows: 2, cols: 0, values: vec![] }));
        assert!(check_features(&x).is_err());
    }
}
