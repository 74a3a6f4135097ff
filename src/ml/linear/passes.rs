//! What do the solvers ask of all training rows at once? Products with one vector of weights, or with those of many classes.
//!
//! Sparse and dense columns are gone through one after the other, so that the vectors that the sparse ones gather from stay in the
//! cache while the dense ones stream by.

use super::design::Design;
use super::layout::Stored;
use super::tiles;
use super::wide::{Real, add_rows, add_squares, axpy, dense_dot, stored_dot, wide};

/// Rows whose products with many classes' weights are held at a time.
const HELD: usize = 32;

/// Rows with curvature are few where so many times as many are not more than all.
const FEW: usize = 4;
/// Running sums of a pass over rows.
const LANES: usize = 16;

/// The rows that have curvature.
pub(super) struct Curving {
    /// In the order in which sparse rows are stored.
    stored: Vec<u32>,
    /// Ascending; left empty where there are no dense columns.
    dense: Vec<u32>,
}

impl Curving {
    pub(super) fn new(rows: usize) -> Curving {
        Curving { stored: Vec::with_capacity(rows), dense: Vec::new() }
    }

    /// Makes it the rows for which `c` is not 0.
    pub(super) fn set<T: Real>(&mut self, design: &Design<'_>, c: &[T]) {
        let curves = |&i: &u32| c[i as usize] != T::default();
        self.stored.clear();
        self.stored.extend(design.order().iter().copied().filter(curves));
        self.dense.clear();
        if design.has_dense() {
            self.dense.extend((0..c.len() as u32).filter(curves));
        }
    }
}

impl Design<'_> {
    /// `t = X·v`, the constant column included.
    pub(super) fn margins(&self, v: &[f64], t: &mut [f64]) {
        wide(
            #[inline(always)]
            || {
                self.light_margins(self.order(), v, t);
                for (at, block) in self.dense_blocks() {
                    for (i, t) in t.iter_mut().enumerate() {
                        *t += dense_dot(block.row(i), &v[at..at + block.cols]);
                    }
                }
            },
        );
    }

    /// `X·W` for the weights of several classes, the constant column included.
    pub(super) fn margins_lanes<const L: usize>(&self, w: &[[f64; L]]) -> Vec<[f64; L]> {
        let mut t = vec![[0.0; L]; self.rows];
        wide(
            #[inline(always)]
            || {
                for &i in self.order() {
                    t[i as usize] = self.dot_lanes(i as usize, w);
                }
            },
        );
        t
    }

    /// `t_i = x_i·v` of all columns but the dense ones, for `rows` in the order in which they are stored.
    #[inline(always)]
    fn light_margins<T: Real>(&self, rows: &[u32], v: &[T], t: &mut [T]) {
        for &i in rows {
            t[i as usize] = self.light_dot(i as usize, v);
        }
    }

    /// `out += Xᵀ·u` and, in the dense columns too if `dense`, `squares_j += Σ_i c_i x_ij²`; the constant column included.
    pub(super) fn add_with_squares(&self, u: &[f64], c: &[f64], dense: bool, out: &mut [f64], squares: &mut [f64]) {
        wide(
            #[inline(always)]
            || {
                self.add_light_squares(u, c, out, squares);
                let (us, u_rest) = u.as_chunks::<4>();
                let (cs, c_rest) = c.as_chunks::<4>();
                for (at, block) in self.dense_blocks() {
                    let to = at + block.cols;
                    for (quad, (u, c)) in us.iter().zip(cs).enumerate() {
                        if *u != [0.0; 4] || *c != [0.0; 4] {
                            let rows = [0, 1, 2, 3].map(
                                #[inline(always)]
                                |r| block.row(4 * quad + r),
                            );
                            add_rows(*u, rows, &mut out[at..to]);
                            if dense {
                                add_squares(*c, rows, &mut squares[at..to]);
                            }
                        }
                    }
                    for (rest, (&u, &c)) in u_rest.iter().zip(c_rest).enumerate() {
                        let row = block.row(4 * us.len() + rest);
                        add_rows([u, 0.0, 0.0, 0.0], [row; 4], &mut out[at..to]);
                        if dense {
                            add_squares([c, 0.0, 0.0, 0.0], [row; 4], &mut squares[at..to]);
                        }
                    }
                }
            },
        );
    }

    /// `out += Xᵀ·u` and `squares_j += Σ_i c_i x_ij²` in all columns but the dense ones.
    #[inline(always)]
    fn add_light_squares(&self, u: &[f64], c: &[f64], out: &mut [f64], squares: &mut [f64]) {
        let counts = |&(_, (&u, &c)): &(usize, (&f64, &f64))| u != 0.0 || c != 0.0;
        if FEW * u.iter().zip(c).enumerate().filter(counts).count() < self.rows {
            for (i, (&u, &c)) in u.iter().zip(c).enumerate().filter(counts) {
                self.light_each(
                    i,
                    #[inline(always)]
                    |j, x: f64| {
                        out[j] += u * x;
                        squares[j] += c * x * x;
                    },
                );
            }
            return;
        }
        let lone = self.lones().iter().zip(u).zip(c).zip(out.iter_mut()).zip(squares.iter_mut());
        for ((((x, u), c), out), square) in lone {
            *out += u * x;
            *square += c * x * x;
        }
        let from = self.lones().len();
        for (column, (out, square)) in self.columns().zip(out[from..].iter_mut().zip(&mut squares[from..])) {
            let (sum, bent) = column_sums(column, u, c);
            *out += sum;
            *square += bent;
        }
        if self.bias() != 0.0 {
            let at = self.cols();
            out[at] += self.bias() * sum(u);
            squares[at] += self.bias() * self.bias() * sum(c);
        }
    }

    /// `out += Xᵀ·u`, the constant column included.
    pub(super) fn add_all(&self, u: &[f64], out: &mut [f64]) {
        wide(
            #[inline(always)]
            || {
                self.add_light_all(u, out);
                let (us, rest) = u.as_chunks::<4>();
                for (at, block) in self.dense_blocks() {
                    let out = &mut out[at..at + block.cols];
                    for (quad, u) in us.iter().enumerate().filter(
                        #[inline(always)]
                        |(_, u)| **u != [0.0; 4],
                    ) {
                        add_rows(
                            *u,
                            [0, 1, 2, 3].map(
                                #[inline(always)]
                                |r| block.row(4 * quad + r),
                            ),
                            out,
                        );
                    }
                    for (i, &u) in rest.iter().enumerate() {
                        add_rows([u, 0.0, 0.0, 0.0], [block.row(4 * us.len() + i); 4], out);
                    }
                }
            },
        );
    }

    /// `out += Xᵀ·u` in all columns but the dense ones.
    #[inline(always)]
    fn add_light_all<T: Real>(&self, u: &[T], out: &mut [T]) {
        for ((&x, &u), out) in self.lones().iter().zip(u).zip(out.iter_mut()) {
            *out += u * T::of(x);
        }
        for (column, out) in self.columns().zip(&mut out[self.lones().len()..]) {
            *out += stored_dot(column, u);
        }
        if self.bias() != 0.0 {
            out[self.cols()] += T::of(self.bias()) * sum(u);
        }
    }

    /// `out += Xᵀ·C·X·v`; `rows` are those whose curvatures `c` (by row) are not 0. `probe` becomes `X·v` there. Returns `v·XᵀCX·v`.
    pub(super) fn curved<T: Real>(&self, rows: &Curving, c: &[T], v: &[T], probe: &mut [T], out: &mut [T]) -> f64 {
        wide(
            #[inline(always)]
            || {
                self.light_margins(&rows.stored, v, probe);
                let (quads, rest) = rows.dense.as_chunks::<4>();
                for quad in quads {
                    self.curved_dense(
                        quad.map(
                            #[inline(always)]
                            |i| i as usize,
                        ),
                        4,
                        c,
                        v,
                        probe,
                        out,
                    );
                }
                for &i in rest {
                    self.curved_dense([i as usize; 4], 1, c, v, probe, out);
                }
                if FEW * rows.stored.len() < self.rows {
                    let mut curved = 0.0;
                    for &i in &rows.stored {
                        let (c, t) = (c[i as usize], probe[i as usize]);
                        let u = c * t;
                        curved += u.into() * t.into();
                        self.add_light(i as usize, u, out);
                    }
                    return curved;
                }
                let mut lanes = [0.0; LANES];
                for (c, t) in c.chunks(LANES).zip(probe.chunks_mut(LANES)) {
                    for ((&c, t), lane) in c.iter().zip(t).zip(&mut lanes) {
                        let u = c * *t;
                        *lane += u.into() * (*t).into();
                        *t = u;
                    }
                }
                self.add_light_all(probe, out);
                lanes.iter().sum()
            },
        )
    }

    /// The dense columns' part of `curved` for the first `count` of four rows.
    #[inline(always)]
    fn curved_dense<T: Real>(&self, rows: [usize; 4], count: usize, c: &[T], v: &[T], probe: &mut [T], out: &mut [T]) {
        let mut u = [T::default(); 4];
        for (&i, u) in rows.iter().zip(&mut u).take(count) {
            for (at, block) in self.dense_blocks() {
                probe[i] += dense_dot(block.row(i), &v[at..at + block.cols]);
            }
            *u = c[i] * probe[i];
        }
        for (at, block) in self.dense_blocks() {
            add_rows(
                u,
                rows.map(
                    #[inline(always)]
                    |i| block.row(i),
                ),
                &mut out[at..at + block.cols],
            );
        }
    }

    /// `T = X·V`: `V` is `width × k`, `T` `rows × k`, row-major.
    pub(super) fn margins_many(&self, v: &[f64], k: usize, t: &mut [f64]) {
        t.fill(0.0);
        let mut held = Held::new(self);
        for (block, t) in t.chunks_mut(HELD * k).enumerate() {
            held.fill(self, block * HELD, t.len() / k);
            held.times(self, block * HELD, v, k, t);
        }
    }

    /// `OUT += Xᵀ·U`: `row` puts down each row of `U`, which has `k` columns; `OUT` is `width × k`, row-major.
    pub(super) fn add_all_many(&self, k: usize, out: &mut [f64], mut row: impl FnMut(usize, &mut [f64])) {
        self.each_held(k, |held, first, u| {
            u.chunks_exact_mut(k).enumerate().for_each(|(r, u)| row(first + r, u));
            held.add_transposed(self, first, u, k, out);
        });
    }

    /// `OUT_j += Σ_i x_ij² C_i`, in the dense columns too if `dense`: `row` puts down each row of `C`, which has `k` columns; `OUT` is
    /// `width × k`, row-major.
    pub(super) fn add_squares_many(
        &self,
        k: usize,
        dense: bool,
        out: &mut [f64],
        mut row: impl FnMut(usize, &mut [f64]),
    ) {
        self.each_held(k, |held, first, c| {
            c.chunks_exact_mut(k).enumerate().for_each(|(r, c)| row(first + r, c));
            held.add_squares(self, first, c, k, dense, out);
        });
    }

    /// `OUT += Xᵀ·B(X·V)`: `bend` is given the number of each row and its products with `V`, to be changed.
    pub(super) fn through_many<T: Real>(
        &self,
        v: &[T],
        k: usize,
        out: &mut [T],
        mut bend: impl FnMut(usize, &mut [T]),
    ) {
        self.each_held(k, |held, first, t| {
            t.fill(T::default());
            held.times(self, first, v, k, t);
            t.chunks_exact_mut(k).enumerate().for_each(|(r, row)| bend(first + r, row));
            held.add_transposed(self, first, t, k, out);
        });
    }

    /// The mean of `x·xᵀ` over `count` rows, evenly taken, in the columns from `from` on, shared sparse ones and those behind them; row-major.
    pub(super) fn mean_square(&self, from: usize, count: usize) -> Vec<f32> {
        let width = self.width() - from;
        let mut sum = vec![0.0f32; width * width];
        let mut rows = vec![0.0f32; HELD * width];
        for first in (0..count).step_by(HELD) {
            let held = HELD.min(count - first);
            rows.fill(0.0);
            for (r, line) in rows.chunks_exact_mut(width).take(held).enumerate() {
                let i = (first + r) * self.rows / count;
                for stored in self.sparse_row(i).iter().filter(|stored| stored.at as usize >= from) {
                    line[stored.at as usize - from] = stored.value;
                }
                for (at, block) in self.dense_blocks() {
                    line[at - from..][..block.cols].copy_from_slice(block.row(i));
                }
                if self.bias() != 0.0 {
                    line[width - 1] = self.bias() as f32;
                }
            }
            tiles::add_transposed(&rows[..held * width], width, &rows[..held * width], width, &mut sum);
        }
        sum.iter_mut().for_each(|x| *x /= count as f32);
        sum
    }

    /// Goes over the rows some at a time, with room for `k` numbers a row.
    fn each_held<T: Real>(&self, k: usize, mut visit: impl FnMut(&mut Held<T>, usize, &mut [T])) {
        let mut held = Held::new(self);
        let mut room = vec![T::default(); HELD * k];
        for first in (0..self.rows).step_by(HELD) {
            let count = HELD.min(self.rows - first);
            held.fill(self, first, count);
            visit(&mut held, first, &mut room[..count * k]);
        }
    }
}

/// `Σ value · u[at]` and `Σ value² · c[at]`.
#[inline(always)]
fn column_sums(column: &[Stored], u: &[f64], c: &[f64]) -> (f64, f64) {
    let (pairs, rest) = column.as_chunks::<2>();
    let (mut sums, mut squares) = ([0.0; 2], [0.0; 2]);
    for pair in pairs {
        for lane in 0..2 {
            let (at, x) = (pair[lane].at as usize, f64::from(pair[lane].value));
            sums[lane] += u[at] * x;
            squares[lane] += c[at] * x * x;
        }
    }
    for stored in rest {
        let (at, x) = (stored.at as usize, f64::from(stored.value));
        sums[0] += u[at] * x;
        squares[0] += c[at] * x * x;
    }
    (sums[0] + sums[1], squares[0] + squares[1])
}

/// The sum of `u` in running sums.
#[inline(always)]
fn sum<T: Real>(u: &[T]) -> T {
    let mut lanes = [T::default(); LANES];
    for u in u.chunks(LANES) {
        for (lane, &u) in lanes.iter_mut().zip(u) {
            *lane += u;
        }
    }
    let mut sum = T::default();
    lanes.iter().for_each(|&lane| sum += lane);
    sum
}

/// The dense columns of some rows, joined.
struct Held<T> {
    width: usize,
    values: Vec<T>,
}

impl<T: Real> Held<T> {
    fn new(design: &Design<'_>) -> Self {
        let width = design.dense_blocks().map(|(_, block)| block.cols).sum();
        Held { width, values: vec![T::default(); HELD * width] }
    }

    fn fill(&mut self, design: &Design<'_>, first: usize, count: usize) {
        let mut at = 0;
        for (_, block) in design.dense_blocks() {
            for (r, line) in self.values.chunks_exact_mut(self.width.max(1)).take(count).enumerate() {
                for (to, &x) in line[at..].iter_mut().zip(block.row(first + r)) {
                    *to = T::from(x);
                }
            }
            at += block.cols;
        }
    }

    fn times(&self, design: &Design<'_>, first: usize, v: &[T], k: usize, t: &mut [T]) {
        wide(
            #[inline(always)]
            || {
                for (r, t) in t.chunks_exact_mut(k).enumerate() {
                    design.light_dot_many(first + r, v, t);
                }
            },
        );
        tiles::times(&self.values[..t.len() / k * self.width], self.width, &v[design.dense_from() * k..], k, t);
    }

    fn add_transposed(&self, design: &Design<'_>, first: usize, u: &[T], k: usize, out: &mut [T]) {
        wide(
            #[inline(always)]
            || {
                for (r, u) in u.chunks_exact(k).enumerate() {
                    design.light_each(
                        first + r,
                        #[inline(always)]
                        |j, x: T| axpy(x, u, &mut out[j * k..][..k]),
                    );
                }
            },
        );
        self.add_dense(design, u, k, out);
    }

    fn add_squares(&mut self, design: &Design<'_>, first: usize, c: &[T], k: usize, dense: bool, out: &mut [T]) {
        wide(
            #[inline(always)]
            || {
                for (r, c) in c.chunks_exact(k).enumerate() {
                    design.light_each(
                        first + r,
                        #[inline(always)]
                        |j, x: T| axpy(x * x, c, &mut out[j * k..][..k]),
                    );
                }
            },
        );
        if dense {
            self.values.iter_mut().for_each(|x| *x = *x * *x);
            self.add_dense(design, c, k, out);
        }
    }

    fn add_dense(&self, design: &Design<'_>, u: &[T], k: usize, out: &mut [T]) {
        let dense = design.dense_from() * k..(design.dense_from() + self.width) * k;
        tiles::add_transposed(&self.values, self.width, u, k, &mut out[dense]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::linear::Laid;
    use crate::ml::{Block, Csr, Features};

    /// Twelve rows of up to six values of nine columns, the last of which one row alone has.
    fn laid() -> Laid {
        let mut m = Csr { cols: 9, indptr: vec![0], ..Csr::default() };
        for i in 0..12 {
            for j in (0..8).filter(|j| (i * 5 + j * 3) % 7 < 3 + j % 2) {
                m.indices.push(j as u32);
                m.values.push(((i * 3 + j) % 5) as f32 - 2.0);
            }
            if i == 4 {
                m.indices.push(8);
                m.values.push(3.0);
            }
            m.indptr.push(m.indices.len());
        }
        Laid::of(Features { blocks: vec![Block::Sparse(m)] }).unwrap()
    }

    #[test]
    fn products_by_columns_equal_those_by_rows() {
        let laid = laid();
        let design = Design::new(&laid, 1.0);
        let (rows, width) = (design.rows, design.width());
        // all rows, and too few of them for going through the columns
        for some in [rows, 2] {
            let u: Vec<f64> = (0..rows).map(|i| if i < some { i as f64 - 4.5 } else { 0.0 }).collect();
            let c: Vec<f64> = (0..rows).map(|i| if i < some { 1.0 + (i % 3) as f64 } else { 0.0 }).collect();
            let v: Vec<f64> = (0..width).map(|j| (j % 4) as f64 - 1.0).collect();
            let (mut added, mut squares, mut bent) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
            let mut by_rows = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
            for i in 0..rows {
                let product = design.dot(i, &v);
                design.light_each(i, |j, x: f64| {
                    by_rows[0][j] += u[i] * x;
                    by_rows[1][j] += c[i] * x * x;
                    by_rows[2][j] += c[i] * product * x;
                });
            }
            design.add_with_squares(&u, &c, true, &mut added, &mut squares);
            assert_eq!([&added, &squares], [&by_rows[0], &by_rows[1]]);
            added.fill(0.0);
            design.add_all(&u, &mut added);
            assert_eq!(added, by_rows[0]);
            let mut curving = Curving::new(rows);
            curving.set(&design, &c);
            let curved = design.curved(&curving, &c, &v, &mut vec![0.0; rows], &mut bent);
            assert_eq!((&bent, curved), (&by_rows[2], by_rows[2].iter().zip(&v).map(|(b, v)| b * v).sum()));
        }
    }
}
