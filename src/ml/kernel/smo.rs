//! How is the dual problem of a support vector machine solved? By sequential minimal optimisation.
//!
//! libsvm's C-SVC: `min ½ αᵀQα + pᵀα, 0 ≤ α ≤ C, yᵀα = 0` with `p = -1`, and its epsilon-SVR: two variables a row, of sign 1 with
//! `p = epsilon - value` and of sign -1 with `p = epsilon + value`. The working set is chosen by second-order information (Fan,
//! Chen and Lin, JMLR 2005); the stopping rule is libsvm's. Kernel rows are kept in f32 as libsvm does; they are made many at
//! a time, the one that is asked for and those that violate the conditions most.

use std::collections::VecDeque;

use super::Shape;
use super::gram::Packed;
use crate::ml::linear::{FitError, ShouldStop};

/// Most bytes of kernel rows kept: those of 11,000 rows (scikit-learn's `cache_size` is 200 MB).
const CACHE_BYTES: usize = 512 << 20;
/// Kernel rows that are made together.
const BLOCK: usize = 32;
const TINY: f64 = 1e-12;

/// A dual problem over some rows: one variable a row or, for values, a second one for each behind all the first ones.
pub(super) struct Smo<'a> {
    rows: Vec<&'a [f32]>,
    packed: Packed,
    shape: Shape,
    sign: Vec<f64>,
    /// The greatest value of each variable.
    c: Vec<f64>,
    alpha: Vec<f64>,
    gradient: Vec<f64>,
    diagonal: Vec<f64>,
    lines: Vec<Option<Vec<f32>>>,
    /// Kept lines, oldest first.
    kept: VecDeque<usize>,
    /// Lines that were asked for since they last were the oldest.
    asked: Vec<bool>,
}

impl<'a> Smo<'a> {
    /// The rows, the side (1 or -1) and the bound of each.
    pub(super) fn of_classes(rows: Vec<&'a [f32]>, sign: Vec<f64>, c: Vec<f64>, shape: Shape) -> Smo<'a> {
        let gradient = vec![-1.0; sign.len()];
        Smo::new(rows, sign, c, gradient, shape)
    }

    /// The rows, the value and the bound of each.
    pub(super) fn of_values(rows: Vec<&'a [f32]>, y: &[f64], epsilon: f64, c: &[f64], shape: Shape) -> Smo<'a> {
        let sign = [vec![1.0; y.len()], vec![-1.0; y.len()]].concat();
        let gradient = y.iter().map(|y| epsilon - y).chain(y.iter().map(|y| epsilon + y)).collect();
        Smo::new(rows, sign, c.repeat(2), gradient, shape)
    }

    fn new(rows: Vec<&'a [f32]>, sign: Vec<f64>, c: Vec<f64>, gradient: Vec<f64>, shape: Shape) -> Smo<'a> {
        let (n, variables) = (rows.len(), sign.len());
        let packed = Packed::of(rows.iter().copied(), rows.first().map_or(0, |row| row.len()));
        let diagonal = packed.squares.iter().map(|&own| shape.of(own, own, own)).collect();
        Smo {
            rows,
            packed,
            shape,
            sign,
            c,
            alpha: vec![0.0; variables],
            gradient,
            diagonal,
            lines: vec![None; n],
            kept: VecDeque::new(),
            asked: vec![false; n],
        }
    }

    /// Number of rows.
    fn count(&self) -> usize {
        self.rows.len()
    }

    /// The row that a variable is of.
    fn row(&self, t: usize) -> usize {
        if t < self.count() { t } else { t - self.count() }
    }

    /// Returns what each row weighs, `Σ y_i α_i` over its variables, and rho. Ends at `tol`, or after libsvm's limit of steps.
    pub(super) fn solve(mut self, tol: f64, should_stop: ShouldStop<'_>) -> Result<(Vec<f64>, f64), FitError> {
        let most = (100 * self.sign.len()).max(10_000_000);
        for step in 0..most {
            if step % 1000 == 0 && should_stop() {
                return Err(FitError::Interrupted);
            }
            let Some((i, j)) = self.working_set(tol) else { break };
            self.step(i, j);
        }
        let mut weights = vec![0.0; self.count()];
        for (t, (a, y)) in self.alpha.iter().zip(&self.sign).enumerate() {
            weights[self.row(t)] += a * y;
        }
        Ok((weights, self.rho()))
    }

    fn can_rise(&self, t: usize) -> bool {
        if self.sign[t] > 0.0 { self.alpha[t] < self.c[t] } else { self.alpha[t] > 0.0 }
    }

    fn can_fall(&self, t: usize) -> bool {
        if self.sign[t] > 0.0 { self.alpha[t] > 0.0 } else { self.alpha[t] < self.c[t] }
    }

    /// Makes sure that row `i` of the kernel is kept, and with it the rows that are likely to be asked for next. Of those
    /// kept, all but `spare` give way, first those that were not asked for lately.
    fn keep(&mut self, i: usize, spare: usize) {
        self.asked[i] = true;
        if self.lines[i].is_some() {
            return;
        }
        let most = (CACHE_BYTES / (4 * self.count())).max(4);
        let wanted = self.next_rows(i, BLOCK.min(most / 4));
        while self.kept.len() + wanted.len() > most {
            match self.kept.pop_front() {
                Some(oldest) if oldest == spare || self.asked[oldest] => {
                    self.asked[oldest] = false;
                    self.kept.push_back(oldest);
                }
                Some(oldest) => self.lines[oldest] = None,
                None => break,
            }
        }
        let rows: Vec<&[f32]> = wanted.iter().map(|&row| self.rows[row]).collect();
        for (&row, line) in wanted.iter().zip(self.packed.lines(self.shape, &rows)) {
            self.lines[row] = Some(line);
            self.kept.push_back(row);
        }
    }

    /// Row `i` and those that violate the conditions most, of the rows not kept; `count` at most.
    fn next_rows(&self, i: usize, count: usize) -> Vec<usize> {
        let of_variable = |t: usize| {
            let value = -self.sign[t] * self.gradient[t];
            let rise = if self.can_rise(t) { value } else { f64::NEG_INFINITY };
            let fall = if self.can_fall(t) { -value } else { f64::NEG_INFINITY };
            rise.max(fall)
        };
        let n = self.count();
        let violation =
            |row: usize| (row..self.sign.len()).step_by(n).map(of_variable).fold(f64::NEG_INFINITY, f64::max);
        let open = (0..n).filter(|&t| t != i && self.lines[t].is_none());
        let mut open: Vec<(f64, usize)> = open.map(|t| (violation(t), t)).collect();
        let more = count.saturating_sub(1).min(open.len());
        let greater = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if more > 0 && more < open.len() {
            open.select_nth_unstable_by(more - 1, greater);
        }
        std::iter::once(i).chain(open[..more].iter().map(|&(_, t)| t)).collect()
    }

    fn line(&self, i: usize) -> &[f32] {
        self.lines[i].as_deref().unwrap_or(&[])
    }

    /// The pair that promises the greatest decrease; none where no violation exceeds `tol`.
    fn working_set(&mut self, tol: f64) -> Option<(usize, usize)> {
        let (mut i, mut top) = (None, f64::NEG_INFINITY);
        for t in 0..self.sign.len() {
            let value = -self.sign[t] * self.gradient[t];
            if value > top && self.can_rise(t) {
                (i, top) = (Some(t), value);
            }
        }
        let i = i?;
        let row = self.row(i);
        self.keep(row, row);
        let line = self.line(row);
        let (mut j, mut best, mut bottom) = (None, 0.0, f64::INFINITY);
        for (t, &k) in line.iter().cycle().take(self.sign.len()).enumerate() {
            if !self.can_fall(t) {
                continue;
            }
            let value = -self.sign[t] * self.gradient[t];
            bottom = bottom.min(value);
            let gap = top - value;
            if gap > 0.0 {
                let curve = (self.diagonal[row] + self.diagonal[self.row(t)] - 2.0 * f64::from(k)).max(TINY);
                if gap * gap / curve > best {
                    (j, best) = (Some(t), gap * gap / curve);
                }
            }
        }
        if top - bottom < tol { None } else { j.map(|j| (i, j)) }
    }

    /// Moves the pair along its one free direction, to the optimum or the box's edge.
    fn step(&mut self, i: usize, j: usize) {
        let (row_i, row_j) = (self.row(i), self.row(j));
        self.keep(row_j, row_i);
        let (yi, yj) = (self.sign[i], self.sign[j]);
        let cross = f64::from(self.line(row_i)[row_j]);
        let curve = (self.diagonal[row_i] + self.diagonal[row_j] - 2.0 * cross).max(TINY);
        let gap = -yi * self.gradient[i] + yj * self.gradient[j];
        // y_i α_i rises and y_j α_j falls by the same amount
        let room_i = if yi > 0.0 { self.c[i] - self.alpha[i] } else { self.alpha[i] };
        let room_j = if yj > 0.0 { self.alpha[j] } else { self.c[j] - self.alpha[j] };
        let amount = (gap / curve).min(room_i).min(room_j);
        let (before_i, before_j) = (self.alpha[i], self.alpha[j]);
        self.alpha[i] = landed(before_i + yi * amount, amount == room_i, yi > 0.0, self.c[i]);
        self.alpha[j] = landed(before_j - yj * amount, amount == room_j, yj < 0.0, self.c[j]);
        let (di, dj) = (yi * (self.alpha[i] - before_i), yj * (self.alpha[j] - before_j));
        let (lines, sign) = (&self.lines, &self.sign);
        let (Some(line_i), Some(line_j)) = (&lines[row_i], &lines[row_j]) else { return };
        let n = self.rows.len();
        for (gradient, sign) in self.gradient.chunks_exact_mut(n).zip(sign.chunks_exact(n)) {
            for (((g, y), ki), kj) in gradient.iter_mut().zip(sign).zip(line_i).zip(line_j) {
                *g += y * (di * f64::from(*ki) + dj * f64::from(*kj));
            }
        }
    }

    /// libsvm's offset: the mean of `y·G` over free variables, else the middle of what the bounds allow.
    fn rho(&self) -> f64 {
        let (mut sum, mut free, mut upper, mut lower) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for t in 0..self.sign.len() {
            let value = self.sign[t] * self.gradient[t];
            match (self.can_rise(t), self.can_fall(t)) {
                (true, true) => {
                    sum += value;
                    free += 1.0;
                }
                (true, false) => upper = upper.min(value),
                (false, _) => lower = lower.max(value),
            }
        }
        if free > 0.0 { sum / free } else { 0.5 * (upper + lower) }
    }
}

/// Puts a variable that reached its bound exactly on it.
fn landed(value: f64, at_bound: bool, rose: bool, c: f64) -> f64 {
    match (at_bound, rose) {
        (true, true) => c,
        (true, false) => 0.0,
        (false, _) => value.clamp(0.0, c),
    }
}
