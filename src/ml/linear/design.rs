//! What does a pass over the training rows work out? Products of rows in the solvers' column order ([`Layout`]), with one
//! constant column last for the intercept.
//!
//! A dense block is never copied; a mixed row is never one dense row.

use super::FitError;
use super::layout::{Laid, Layout};
use crate::ml::{Block, Dense, Features};

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

    /// Whether any row uses a sparse column.
    pub(super) fn has_sparse(&self) -> bool {
        self.layout.has_sparse()
    }

    /// Where the dense columns begin.
    fn dense_from(&self) -> usize {
        self.layout.shared + self.layout.lone.len()
    }

    /// The column of row `i`'s own, and its value there; 0 if it has none.
    fn lone(&self, i: usize) -> (usize, f64) {
        (self.layout.shared + i, self.layout.lone.get(i).copied().unwrap_or(0.0))
    }

    fn sparse_row(&self, i: usize) -> (&[u32], &[f32]) {
        let of = self.layout;
        let span = of.indptr[i]..of.indptr[i + 1];
        (&of.indices[span.clone()], &of.values[span])
    }

    /// `x_i · v`, the constant column included.
    pub(super) fn dot(&self, i: usize, v: &[f64]) -> f64 {
        let (indices, values) = self.sparse_row(i);
        let mut sum = sparse_dot(indices, values, v);
        let (own, x) = self.lone(i);
        if x != 0.0 {
            sum += x * v[own];
        }
        let mut at = self.dense_from();
        for block in self.dense {
            sum += dense_dot(block.row(i), &v[at..at + block.cols]);
            at += block.cols;
        }
        if self.bias != 0.0 { sum + self.bias * v[at] } else { sum }
    }

    /// `out += u · x_i`, the constant column included.
    pub(super) fn add(&self, i: usize, u: f64, out: &mut [f64]) {
        let (indices, values) = self.sparse_row(i);
        for (&j, &x) in indices.iter().zip(values) {
            out[j as usize] += u * f64::from(x);
        }
        let (own, x) = self.lone(i);
        if x != 0.0 {
            out[own] += u * x;
        }
        let mut at = self.dense_from();
        for block in self.dense {
            for (o, &x) in out[at..at + block.cols].iter_mut().zip(block.row(i)) {
                *o += u * f64::from(x);
            }
            at += block.cols;
        }
        if self.bias != 0.0 {
            out[at] += self.bias * u;
        }
    }

    /// `out_j += u · x_ij` and `squares_j += c · x_ij²`, the constant column included.
    pub(super) fn add_with_squares(&self, i: usize, (u, c): (f64, f64), out: &mut [f64], squares: &mut [f64]) {
        self.each(i, |j, x| {
            out[j] += u * x;
            squares[j] += c * x * x;
        });
    }

    /// `x_i · x_i`, the constant column included.
    pub(super) fn norm_squared(&self, i: usize) -> f64 {
        let mut sum = 0.0;
        self.each(i, |_, x| sum += x * x);
        sum
    }

    /// `t += x_i · V` for `V` of `width() × k`, row-major.
    pub(super) fn dot_many(&self, i: usize, v: &[f64], t: &mut [f64]) {
        let k = t.len();
        let (indices, values) = self.sparse_row(i);
        let (quads, rest) = indices.as_chunks::<4>();
        let (quad_values, rest_values) = values.as_chunks::<4>();
        for (j, x) in quads.iter().zip(quad_values) {
            add_four(j.map(|j| &v[j as usize * k..][..k]), x.map(f64::from), t);
        }
        for (&j, &x) in rest.iter().zip(rest_values) {
            axpy(f64::from(x), &v[j as usize * k..][..k], t);
        }
        let (own, x) = self.lone(i);
        if x != 0.0 {
            axpy(x, &v[own * k..][..k], t);
        }
        let mut at = self.dense_from() * k;
        for block in self.dense {
            let (quads, rest) = block.row(i).as_chunks::<4>();
            for x in quads {
                let rows = [0, 1, 2, 3].map(|r| &v[at + r * k..][..k]);
                add_four(rows, x.map(f64::from), t);
                at += 4 * k;
            }
            for &x in rest {
                axpy(f64::from(x), &v[at..][..k], t);
                at += k;
            }
        }
        if self.bias != 0.0 {
            axpy(self.bias, &v[at..][..k], t);
        }
    }

    /// `OUT_j += x_ij · u` for `OUT` of `width() × k`, row-major.
    pub(super) fn add_many(&self, i: usize, u: &[f64], out: &mut [f64]) {
        let k = u.len();
        self.each(i, |j, x| axpy(x, u, &mut out[j * k..][..k]));
    }

    /// `OUT_j += x_ij² · u` for `OUT` of `width() × k`, row-major.
    pub(super) fn add_squares_many(&self, i: usize, u: &[f64], out: &mut [f64]) {
        let k = u.len();
        self.each(i, |j, x| axpy(x * x, u, &mut out[j * k..][..k]));
    }

    fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        let (indices, values) = self.sparse_row(i);
        for (&j, &x) in indices.iter().zip(values) {
            visit(j as usize, f64::from(x));
        }
        let (own, x) = self.lone(i);
        if x != 0.0 {
            visit(own, x);
        }
        let mut at = self.dense_from();
        for block in self.dense {
            for (j, &x) in block.row(i).iter().enumerate() {
                visit(at + j, f64::from(x));
            }
            at += block.cols;
        }
        if self.bias != 0.0 {
            visit(at, self.bias);
        }
    }

    /// Splits the weights of output `which` of `k` (`w` is `width() × k`, row-major) into coefficients by feature
    /// column and the intercept (0 without a constant column).
    pub(super) fn restored(&self, w: &[f64], k: usize, which: usize) -> (Vec<f64>, f64) {
        let intercept = if self.bias != 0.0 { self.bias * w[self.cols() * k + which] } else { 0.0 };
        (self.layout.restored(w, k, which), intercept)
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

/// `Σ values_s · v[indices_s]` in four running sums.
pub(super) fn sparse_dot(indices: &[u32], values: &[f32], v: &[f64]) -> f64 {
    let (quads, rest) = indices.as_chunks::<4>();
    let (quad_values, rest_values) = values.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for (j, x) in quads.iter().zip(quad_values) {
        for lane in 0..4 {
            lanes[lane] += f64::from(x[lane]) * v[j[lane] as usize];
        }
    }
    let mut sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (&j, &x) in rest.iter().zip(rest_values) {
        sum += f64::from(x) * v[j as usize];
    }
    sum
}

/// `x · v` in eight running sums.
pub(super) fn dense_dot(x: &[f32], v: &[f64]) -> f64 {
    let (xs, x_rest) = x.as_chunks::<8>();
    let (vs, v_rest) = v.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (x, v) in xs.iter().zip(vs) {
        for lane in 0..8 {
            lanes[lane] += f64::from(x[lane]) * v[lane];
        }
    }
    let mut sum = lanes.iter().sum();
    for (&x, &v) in x_rest.iter().zip(v_rest) {
        sum += f64::from(x) * v;
    }
    sum
}

/// `y += a · x`.
pub(super) fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

fn add_four(rows: [&[f64]; 4], x: [f64; 4], t: &mut [f64]) {
    let [a, b, c, d] = rows;
    for ((((t, &a), &b), &c), &d) in t.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *t += (x[0] * a + x[1] * b) + (x[2] * c + x[3] * d);
    }
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
            [2.0, 1.0, 0.0, 0.0, 0.5, 1.5, 1.0],
            [0.0, 0.0, 0.0, 0.0, 2.5, 3.5, 1.0],
            [4.0, 0.0, 0.0, 3.0, 4.5, 5.5, 1.0],
        ];
        let v: Vec<f64> = (0..14).map(|i| f64::from(i) - 4.0).collect();
        for (i, row) in full.iter().enumerate() {
            let one: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
            assert_eq!(design.dot(i, &v), one);
            let mut t = [0.0; 2];
            design.dot_many(i, &v, &mut t);
            for (which, t) in t.iter().enumerate() {
                let many: f64 = row.iter().enumerate().map(|(j, a)| a * v[j * 2 + which]).sum();
                assert_eq!(*t, many);
            }
            let mut out = [0.0; 7];
            design.add(i, 2.0, &mut out);
            assert_eq!(out.to_vec(), row.iter().map(|a| 2.0 * a).collect::<Vec<_>>());
            let (mut again, mut squares) = ([0.0; 7], [0.0; 7]);
            design.add_with_squares(i, (2.0, 3.0), &mut again, &mut squares);
            assert_eq!(again, out);
            assert_eq!(squares.to_vec(), row.iter().map(|a| 3.0 * a * a).collect::<Vec<_>>());
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
