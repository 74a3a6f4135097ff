//! How is a support vector machine with a kernel fitted? By sequential minimal optimisation, one class against one.
//!
//! libsvm's C-SVC: the dual `min ½ αᵀQα - Σα, 0 ≤ α ≤ C, yᵀα = 0`, with the working set chosen by second-order
//! information (Fan, Chen and Lin, JMLR 2005) and libsvm's stopping rule. Kernel rows are kept in f32 as libsvm does.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Rows;
use crate::ml::linear::{FitError, ShouldStop, check_positive};

/// The kernel of two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// `x·z`.
    Linear,
    /// `exp(-gamma ‖x - z‖²)`.
    #[default]
    Rbf,
    /// `(gamma x·z + coef0)^degree`.
    Poly,
}

/// The kernel's width.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Gamma {
    /// `1 / (columns · variance of all training values)` (1 where the variance is 0).
    #[default]
    Scale,
    /// `1 / columns`.
    Auto,
    /// A number above 0.
    Value(f64),
}

/// scikit-learn's `SVC`. More than two classes are learned one against one.
#[derive(Debug, Clone, PartialEq)]
pub struct Svc {
    /// Inverse strength of the penalty, above 0.
    pub c: f64,
    /// The kernel.
    pub kernel: Kernel,
    /// The kernel's width (`rbf`, `poly`).
    pub gamma: Gamma,
    /// Degree (`poly`).
    pub degree: u32,
    /// Independent term (`poly`), 0 or more.
    pub coef0: f64,
    /// The greatest violation of the optimality conditions that is left.
    pub tol: f64,
}

impl Default for Svc {
    fn default() -> Self {
        Svc { c: 1.0, kernel: Kernel::Rbf, gamma: Gamma::Scale, degree: 3, coef0: 0.0, tol: 1e-3 }
    }
}

/// The kernel with all its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    kernel: Kernel,
    gamma: f64,
    coef0: f64,
    degree: u32,
}

/// The machines of all pairs of classes, over the support vectors that they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machines {
    shape: Shape,
    cols: usize,
    support: Vec<f32>,
    machines: Vec<Machine>,
}

/// `f(x) = Σ coef_s K(support[rows_s], x) - rho`; above 0 for the class at place `second`, else `first`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    first: usize,
    second: usize,
    rows: Vec<usize>,
    coef: Vec<f64>,
    rho: f64,
}

impl Svc {
    pub(super) fn fit(
        &self,
        rows: &Rows<'_>,
        place: &[u32],
        k: usize,
        should_stop: ShouldStop<'_>,
    ) -> Result<Machines, FitError> {
        check_positive("c", self.c)?;
        check_positive("tol", self.tol)?;
        let shape = self.shape(rows)?;
        let squares: Vec<f64> = (0..rows.count).map(|i| square(rows.row(i))).collect();
        shape.check_range(&squares)?;
        let pairs: Vec<(usize, usize)> = (0..k).flat_map(|a| (a + 1..k).map(move |b| (a, b))).collect();
        let one = |&(first, second): &(usize, usize)| {
            let of_pair = |&i: &usize| place[i] as usize == first || place[i] as usize == second;
            let chosen: Vec<usize> = (0..rows.count).filter(of_pair).collect();
            let sign = chosen.iter().map(|&i| if place[i] as usize == second { 1.0 } else { -1.0 }).collect();
            let gram = Gram { rows, squares: &squares, chosen: &chosen, shape };
            let (alpha, rho) = Smo::new(gram, sign, self.c).solve(self.tol, should_stop)?;
            let support = alpha.iter().zip(&chosen).filter(|(a, _)| **a != 0.0);
            let (coef, rows) = support.map(|(a, i)| (*a, *i)).unzip();
            Ok(Machine { first, second, rows, coef, rho })
        };
        let machines = pairs.par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        Ok(Machines::gathered(shape, rows, machines))
    }

    fn shape(&self, rows: &Rows<'_>) -> Result<Shape, FitError> {
        let cols = rows.cols as f64;
        let gamma = match self.gamma {
            Gamma::Auto => 1.0 / cols,
            Gamma::Value(gamma) => gamma,
            Gamma::Scale => {
                let variance = variance(&rows.values);
                if variance > 0.0 { 1.0 / (cols * variance) } else { 1.0 }
            }
        };
        check_positive("gamma", gamma)?;
        if !self.coef0.is_finite() || self.coef0 < 0.0 {
            let rule = "a finite number of 0 or more";
            return Err(FitError::Parameter { name: "coef0", value: self.coef0, rule });
        }
        Ok(Shape { kernel: self.kernel, gamma, coef0: self.coef0, degree: self.degree })
    }
}

fn variance(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n
}

fn square(x: &[f32]) -> f64 {
    product(x, x)
}

/// `x · z` in eight running sums.
fn product(x: &[f32], z: &[f32]) -> f64 {
    let (xs, x_rest) = x.as_chunks::<8>();
    let (zs, z_rest) = z.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (x, z) in xs.iter().zip(zs) {
        for lane in 0..8 {
            lanes[lane] += f64::from(x[lane]) * f64::from(z[lane]);
        }
    }
    let rest: f64 = x_rest.iter().zip(z_rest).map(|(&x, &z)| f64::from(x) * f64::from(z)).sum();
    lanes.iter().sum::<f64>() + rest
}

impl Shape {
    /// The kernel from the rows' product and their squares.
    fn of(&self, product: f64, x_square: f64, z_square: f64) -> f64 {
        match self.kernel {
            Kernel::Linear => product,
            Kernel::Rbf => (-self.gamma * (x_square + z_square - 2.0 * product).max(0.0)).exp(),
            Kernel::Poly => (self.gamma * product + self.coef0).powf(f64::from(self.degree)),
        }
    }

    /// No kernel value of rows with these squares lies beyond that of the longest row with itself; it must fit the
    /// f32 that kernel rows are kept in.
    fn check_range(&self, squares: &[f64]) -> Result<(), FitError> {
        let longest = squares.iter().copied().fold(0.0, f64::max);
        let value = self.of(longest, longest, longest);
        if value < 1e30 {
            return Ok(());
        }
        Err(FitError::Parameter {
            name: "kernel",
            value,
            rule: "below 1e30 for every pair of rows (scale the features)",
        })
    }
}

/// Kernel rows over the chosen training rows.
struct Gram<'a> {
    rows: &'a Rows<'a>,
    squares: &'a [f64],
    chosen: &'a [usize],
    shape: Shape,
}

impl Gram<'_> {
    fn line(&self, of: usize) -> Vec<f32> {
        let i = self.chosen[of];
        let x = self.rows.row(i);
        let entry = |&j: &usize| self.shape.of(product(x, self.rows.row(j)), self.squares[i], self.squares[j]) as f32;
        self.chosen.iter().map(entry).collect()
    }
}

/// Most bytes of kernel rows kept (scikit-learn's `cache_size` of 200 MB).
const CACHE_BYTES: usize = 200 << 20;
const TINY: f64 = 1e-12;

struct Smo<'a> {
    gram: Gram<'a>,
    sign: Vec<f64>,
    c: f64,
    alpha: Vec<f64>,
    gradient: Vec<f64>,
    diagonal: Vec<f64>,
    lines: Vec<Option<Vec<f32>>>,
    /// Kept lines, oldest first.
    kept: std::collections::VecDeque<usize>,
}

impl<'a> Smo<'a> {
    fn new(gram: Gram<'a>, sign: Vec<f64>, c: f64) -> Smo<'a> {
        let n = sign.len();
        let own = |&i: &usize| gram.shape.of(gram.squares[i], gram.squares[i], gram.squares[i]);
        let diagonal = gram.chosen.iter().map(own).collect();
        Smo {
            gram,
            sign,
            c,
            alpha: vec![0.0; n],
            gradient: vec![-1.0; n],
            diagonal,
            lines: vec![None; n],
            kept: std::collections::VecDeque::new(),
        }
    }

    /// Returns `y_i α_i` and rho. Ends at `tol`, or after libsvm's limit of steps.
    fn solve(mut self, tol: f64, should_stop: ShouldStop<'_>) -> Result<(Vec<f64>, f64), FitError> {
        let most = (100 * self.sign.len()).max(10_000_000);
        for step in 0..most {
            if step % 1000 == 0 && should_stop() {
                return Err(FitError::Interrupted);
            }
            let Some((i, j)) = self.working_set(tol) else { break };
            self.step(i, j);
        }
        let rho = self.rho();
        Ok((self.alpha.iter().zip(&self.sign).map(|(a, y)| a * y).collect(), rho))
    }

    fn can_rise(&self, t: usize) -> bool {
        if self.sign[t] > 0.0 { self.alpha[t] < self.c } else { self.alpha[t] > 0.0 }
    }

    fn can_fall(&self, t: usize) -> bool {
        if self.sign[t] > 0.0 { self.alpha[t] > 0.0 } else { self.alpha[t] < self.c }
    }

    /// Makes sure that row `i` of the kernel is kept, dropping the oldest rows but `spare` beyond the limit.
    fn keep(&mut self, i: usize, spare: usize) {
        if self.lines[i].is_some() {
            return;
        }
        let most = (CACHE_BYTES / (4 * self.sign.len())).max(2);
        while self.kept.len() >= most {
            match self.kept.pop_front() {
                Some(oldest) if oldest == spare => self.kept.push_back(oldest),
                Some(oldest) => self.lines[oldest] = None,
                None => break,
            }
        }
        self.lines[i] = Some(self.gram.line(i));
        self.kept.push_back(i);
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
        self.keep(i, i);
        let line = self.line(i);
        let (mut j, mut best, mut bottom) = (None, 0.0, f64::INFINITY);
        for (t, &k) in line.iter().enumerate() {
            if !self.can_fall(t) {
                continue;
            }
            let value = -self.sign[t] * self.gradient[t];
            bottom = bottom.min(value);
            let gap = top - value;
            if gap > 0.0 {
                let curve = (self.diagonal[i] + self.diagonal[t] - 2.0 * f64::from(k)).max(TINY);
                if gap * gap / curve > best {
                    (j, best) = (Some(t), gap * gap / curve);
                }
            }
        }
        if top - bottom < tol { None } else { j.map(|j| (i, j)) }
    }

    /// Moves the pair along its one free direction, to the optimum or the box's edge.
    fn step(&mut self, i: usize, j: usize) {
        self.keep(j, i);
        let (yi, yj) = (self.sign[i], self.sign[j]);
        let cross = f64::from(self.line(i)[j]);
        let curve = (self.diagonal[i] + self.diagonal[j] - 2.0 * cross).max(TINY);
        let gap = -yi * self.gradient[i] + yj * self.gradient[j];
        // y_i α_i rises and y_j α_j falls by the same amount
        let room_i = if yi > 0.0 { self.c - self.alpha[i] } else { self.alpha[i] };
        let room_j = if yj > 0.0 { self.alpha[j] } else { self.c - self.alpha[j] };
        let amount = (gap / curve).min(room_i).min(room_j);
        let (before_i, before_j) = (self.alpha[i], self.alpha[j]);
        self.alpha[i] = landed(before_i + yi * amount, amount == room_i, yi > 0.0, self.c);
        self.alpha[j] = landed(before_j - yj * amount, amount == room_j, yj < 0.0, self.c);
        let (di, dj) = (yi * (self.alpha[i] - before_i), yj * (self.alpha[j] - before_j));
        let (lines, sign) = (&self.lines, &self.sign);
        let (Some(line_i), Some(line_j)) = (&lines[i], &lines[j]) else { return };
        for (((g, y), ki), kj) in self.gradient.iter_mut().zip(sign).zip(line_i).zip(line_j) {
            *g += y * (di * f64::from(*ki) + dj * f64::from(*kj));
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

impl Machines {
    /// Keeps the training rows that some machine uses, once each.
    fn gathered(shape: Shape, rows: &Rows<'_>, mut machines: Vec<Machine>) -> Machines {
        let mut place = vec![usize::MAX; rows.count];
        for machine in &machines {
            machine.rows.iter().for_each(|&i| place[i] = 0);
        }
        let mut support = Vec::new();
        for (i, place) in place.iter_mut().enumerate().filter(|(_, place)| **place == 0) {
            *place = support.len() / rows.cols;
            support.extend_from_slice(rows.row(i));
        }
        for machine in &mut machines {
            machine.rows.iter_mut().for_each(|i| *i = place[*i]);
        }
        Machines { shape, cols: rows.cols, support, machines }
    }

    pub(super) fn is_sound(&self, cols: usize, k: usize) -> bool {
        let mut pairs = (0..k).flat_map(|a| (a + 1..k).map(move |b| (a, b)));
        let vectors = self.support.len() / cols.max(1);
        cols > 0
            && self.cols == cols
            && self.support.len() == vectors * cols
            && self.machines.iter().all(|m| {
                pairs.next() == Some((m.first, m.second))
                    && m.rows.len() == m.coef.len()
                    && m.rows.iter().all(|&row| row < vectors)
            })
            && pairs.next().is_none()
    }

    /// `rows × machines`.
    fn values(&self, rows: &Rows<'_>) -> Vec<f64> {
        let vectors: Vec<&[f32]> = self.support.chunks_exact(self.cols).collect();
        let squares: Vec<f64> = vectors.iter().map(|v| square(v)).collect();
        let mut out = Vec::with_capacity(rows.count * self.machines.len());
        for i in 0..rows.count {
            let x = rows.row(i);
            let own = square(x);
            let with = |(v, square): (&&[f32], &f64)| self.shape.of(product(x, v), own, *square);
            let kernel: Vec<f64> = vectors.iter().zip(&squares).map(with).collect();
            out.extend(self.machines.iter().map(|machine| {
                let terms = machine.rows.iter().zip(&machine.coef).map(|(&row, coef)| coef * kernel[row]);
                terms.sum::<f64>() - machine.rho
            }));
        }
        out
    }

    /// The first machine's value of each row: the decision value of two classes.
    pub(super) fn decisions(&self, rows: &Rows<'_>) -> Vec<f64> {
        self.values(rows).chunks_exact(self.machines.len().max(1)).map(|row| row[0]).collect()
    }

    /// `rows × k`: votes plus summed decision values squeezed into ±1/3 (scikit-learn's `_ovr_decision_function`).
    pub(super) fn votes(&self, rows: &Rows<'_>, k: usize) -> Vec<f64> {
        let mut out = Vec::with_capacity(rows.count * k);
        for values in self.values(rows).chunks_exact(self.machines.len().max(1)) {
            let (mut votes, mut sums) = (vec![0.0; k], vec![0.0; k]);
            for (machine, value) in self.machines.iter().zip(values) {
                votes[if *value > 0.0 { machine.second } else { machine.first }] += 1.0;
                sums[machine.second] += value;
                sums[machine.first] -= value;
            }
            out.extend(votes.iter().zip(&sums).map(|(vote, sum)| vote + sum / (3.0 * (sum.abs() + 1.0))));
        }
        out
    }
}
