//! What happens at each row? `N` linear functions take their steps side by side.
//!
//! As in scikit-learn's `_plain_sgd` (1.9.1): weights are kept as `scale · w` so that the L2 penalty costs one product a row
//! (Bottou), the L1 penalty is taken from the row's weights by what they owe (Tsuruoka, Tsujii and Ananiadou, 2009), and
//! averages are sums that only the row's weights enter (Xu, 2011).

use super::{LearningRate, STEP, Sgd, TOGETHER};
use crate::ml::linear::{Convergence, FitError, ShouldStop};
use crate::ml::{Block, Features, Rng};

/// The rows, and how they are walked.
pub(super) struct Course<'a> {
    pub(super) sgd: &'a Sgd,
    pub(super) x: &'a Features,
    pub(super) weight: &'a [f64],
    /// Rows that are scored on, not learned from.
    pub(super) held: &'a [bool],
    pub(super) should_stop: ShouldStop<'a>,
}

/// One learned function.
pub(super) struct Fitted {
    pub(super) coef: Vec<f64>,
    pub(super) intercept: f64,
    pub(super) end: Convergence,
}

/// Derivatives are cut to this (scikit-learn's bound).
const STEEPEST: f64 = 1e12;
/// A scale below this is multiplied out.
const FINEST: f64 = 1e-9;
const SPARSE_INTERCEPT_DECAY: f64 = 0.01;

impl Course<'_> {
    /// Learns up to 64 functions side by side, in the room that so many need: see [`Course::walk`].
    pub(super) fn walk_beside(
        &self,
        lanes: usize,
        target: &dyn Fn(usize, usize) -> f64,
    ) -> Result<Vec<Fitted>, FitError> {
        match lanes.div_ceil(STEP) {
            0 | 1 => self.walk::<STEP>(lanes, target),
            2 => self.walk::<{ 2 * STEP }>(lanes, target),
            3 => self.walk::<{ 3 * STEP }>(lanes, target),
            4 => self.walk::<{ 4 * STEP }>(lanes, target),
            5 => self.walk::<{ 5 * STEP }>(lanes, target),
            6 => self.walk::<{ 6 * STEP }>(lanes, target),
            7 => self.walk::<{ 7 * STEP }>(lanes, target),
            _ => self.walk::<TOGETHER>(lanes, target),
        }
    }

    /// Learns `lanes` functions (at most `N`); `target(i, lane)` is what the function should say of row `i`.
    pub(super) fn walk<const N: usize>(
        &self,
        lanes: usize,
        target: &dyn Fn(usize, usize) -> f64,
    ) -> Result<Vec<Fitted>, FitError> {
        let sgd = self.sgd;
        let mut order: Vec<u32> = (0..self.x.rows() as u32).filter(|&i| !self.held[i as usize]).collect();
        let mut rng = Rng::seeded(sgd.seed);
        let mut state = State::<N>::new(self, lanes);
        let mut done: Vec<Option<Fitted>> = (0..lanes).map(|_| None).collect();
        let mut watch = vec![Watch { best: f64::INFINITY, idle: 0, gained: f64::INFINITY }; lanes];
        let mut row = Vec::new();
        for pass in 1..=sgd.max_iter {
            if (self.should_stop)() {
                return Err(FitError::Interrupted);
            }
            if sgd.shuffle {
                rng.shuffle(&mut order);
            }
            state.losses = [0.0; N];
            for &i in &order {
                let i = i as usize;
                gather(self.x, i, &mut row);
                let mut y = [0.0; N];
                (0..lanes).for_each(|lane| y[lane] = target(i, lane));
                state.step(sgd, &row, y, self.weight[i]);
            }
            let objectives = state.objectives(sgd, order.len());
            if objectives[..lanes].iter().any(|objective| !objective.is_finite()) {
                return Err(FitError::Overflow { pass });
            }
            let scored = sgd.validation_fraction.map(|_| self.missed::<N>(&state, lanes, target));
            for lane in (0..lanes).filter(|&lane| done[lane].is_none()).collect::<Vec<_>>() {
                let value = scored.as_ref().map_or(objectives[lane], |missed| missed[lane]);
                let settled = watch[lane].sees(value, sgd);
                if settled || pass == sgd.max_iter {
                    let (objective, gradient_norm) = (objectives[lane], watch[lane].gained);
                    let end = Convergence { objective, gradient_norm, iterations: pass, converged: settled };
                    let (coef, intercept) = state.lane(lane);
                    done[lane] = Some(Fitted { coef, intercept, end });
                    state.open[lane] = 0.0;
                }
            }
            if done.iter().all(Option::is_some) {
                break;
            }
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// What early stopping lowers: the share of held rows that are wrong (classes), or `1 - R²` (values).
    fn missed<const N: usize>(&self, state: &State<N>, lanes: usize, target: &dyn Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut row = Vec::new();
        let (mut missed, mut sums, mut squares, mut all) = (vec![0.0; lanes], vec![0.0; lanes], vec![0.0; lanes], 0.0);
        for i in (0..self.x.rows()).filter(|&i| self.held[i]) {
            gather(self.x, i, &mut row);
            let (p, w) = (state.margins(&row), self.weight[i]);
            all += w;
            for lane in 0..lanes {
                let y = target(i, lane);
                sums[lane] += w * y;
                squares[lane] += w * y * y;
                missed[lane] += w * match self.sgd.loss.of_classes() {
                    true => f64::from(u8::from((p[lane] > 0.0) != (y > 0.0))),
                    false => (p[lane] - y) * (p[lane] - y),
                };
            }
        }
        let spread = |lane: usize| (squares[lane] - sums[lane] * sums[lane] / all).max(f64::MIN_POSITIVE);
        let by = |lane: usize| if self.sgd.loss.of_classes() { all } else { spread(lane) };
        (0..lanes).map(|lane| if all > 0.0 { missed[lane] / by(lane) } else { 0.0 }).collect()
    }
}

/// Whether a function still gets better.
#[derive(Clone, Copy)]
struct Watch {
    best: f64,
    idle: usize,
    gained: f64,
}

impl Watch {
    /// Takes the value that should fall; says whether it has not for long enough.
    fn sees(&mut self, value: f64, sgd: &Sgd) -> bool {
        let Some(tol) = sgd.tol else { return false };
        self.idle = if value > self.best - tol { self.idle + 1 } else { 0 };
        self.gained = (self.best - value).abs();
        self.best = self.best.min(value);
        self.idle >= sgd.n_iter_no_change
    }
}

/// Puts row `i`'s columns and values into `row`.
fn gather(x: &Features, i: usize, row: &mut Vec<(u32, f64)>) {
    row.clear();
    let mut offset = 0;
    for block in &x.blocks {
        match block {
            Block::Sparse(m) => {
                let (js, xs) = m.row(i);
                row.extend(js.iter().zip(xs).map(|(&j, &x)| (offset + j, f64::from(x))));
            }
            Block::Dense(m) => row.extend((offset..).zip(m.row(i)).map(|(j, &x)| (j, f64::from(x)))),
        }
        offset += block.cols() as u32;
    }
}

struct State<const N: usize> {
    /// Weights by column; the functions' are `scale` times these.
    w: Vec<[f64; N]>,
    scale: f64,
    intercept: [f64; N],
    /// What the L1 penalty has taken from each weight.
    paid: Vec<[f64; N]>,
    /// What it should have taken from any.
    due: f64,
    mean: Option<Mean<N>>,
    /// Number of the step, from 1.
    t: f64,
    /// Steps before the first, for the optimal rate.
    head: f64,
    decay: f64,
    losses: [f64; N],
    /// 1 for functions that still learn, 0 for the others.
    open: [f64; N],
}

/// Averaged weights: `(w_sum + a · w) / b`.
struct Mean<const N: usize> {
    w_sum: Vec<[f64; N]>,
    a: f64,
    b: f64,
    intercept: [f64; N],
}

impl<const N: usize> State<N> {
    fn new(course: &Course<'_>, lanes: usize) -> State<N> {
        let (sgd, cols) = (course.sgd, course.x.cols());
        let sparse = course.x.blocks.iter().any(|block| matches!(block, Block::Sparse(_)));
        let typical = (1.0 / sgd.alpha.sqrt()).sqrt();
        let first = typical / sgd.loss.at(-typical, 1.0).1.max(1.0);
        let zeros = || vec![[0.0; N]; cols];
        let mut open = [0.0; N];
        open[..lanes].fill(1.0);
        State {
            w: zeros(),
            scale: 1.0,
            intercept: [0.0; N],
            paid: if sgd.l1_ratio > 0.0 { zeros() } else { Vec::new() },
            due: 0.0,
            mean: (sgd.average > 0).then(|| Mean { w_sum: zeros(), a: 0.0, b: 1.0, intercept: [0.0; N] }),
            t: 1.0,
            head: 1.0 / (first * sgd.alpha),
            decay: if sparse { SPARSE_INTERCEPT_DECAY } else { 1.0 },
            losses: [0.0; N],
            open,
        }
    }

    #[inline(always)]
    fn margins(&self, row: &[(u32, f64)]) -> [f64; N] {
        let mut p = [0.0; N];
        for &(j, x) in row {
            let w = &self.w[j as usize];
            for lane in 0..N {
                p[lane] += x * w[lane];
            }
        }
        for (p, intercept) in p.iter_mut().zip(&self.intercept) {
            *p = self.scale * *p + intercept;
        }
        p
    }

    /// One row's step.
    fn step(&mut self, sgd: &Sgd, row: &[(u32, f64)], y: [f64; N], weight: f64) {
        let p = self.margins(row);
        let eta = match sgd.learning_rate {
            LearningRate::Optimal => 1.0 / (sgd.alpha * (self.head + self.t - 1.0)),
            LearningRate::Constant => sgd.eta0,
            LearningRate::InvScaling => sgd.eta0 / self.t.powf(sgd.power_t),
        };
        let mut update = [0.0; N];
        let mut moves = false;
        for lane in 0..N {
            if self.open[lane] == 0.0 {
                continue;
            }
            let (loss, slope) = sgd.loss.at(p[lane], y[lane]);
            self.losses[lane] += loss;
            update[lane] = -eta * slope.clamp(-STEEPEST, STEEPEST) * weight;
            moves |= update[lane] != 0.0;
        }
        if sgd.l1_ratio < 1.0 {
            self.scale *= (1.0 - (1.0 - sgd.l1_ratio) * eta * sgd.alpha).max(0.0);
            if self.scale < FINEST {
                self.multiply_out();
            }
        }
        if moves {
            self.add(row, update);
            if sgd.fit_intercept {
                (0..N).for_each(|lane| self.intercept[lane] += update[lane] * self.decay);
            }
        }
        if sgd.average > 0 && sgd.average as f64 <= self.t {
            self.average(row, update, self.t - sgd.average as f64 + 1.0);
        }
        if sgd.l1_ratio > 0.0 {
            self.due += sgd.l1_ratio * eta * sgd.alpha;
            self.pay(row);
        }
        self.t += 1.0;
    }

    fn add(&mut self, row: &[(u32, f64)], update: [f64; N]) {
        let by = update.map(|update| update / self.scale);
        for &(j, x) in row {
            let w = &mut self.w[j as usize];
            for lane in 0..N {
                w[lane] += x * by[lane];
            }
        }
    }

    fn average(&mut self, row: &[(u32, f64)], update: [f64; N], steps: f64) {
        let Some(mean) = &mut self.mean else { return };
        let by = update.map(|update| mean.a * (-update / self.scale));
        for &(j, x) in row {
            let sum = &mut mean.w_sum[j as usize];
            for lane in 0..N {
                sum[lane] += x * by[lane];
            }
        }
        let share = 1.0 / steps;
        if steps > 1.0 {
            mean.b /= 1.0 - share;
        }
        mean.a += share * mean.b * self.scale;
        for lane in 0..N {
            mean.intercept[lane] += (self.intercept[lane] - mean.intercept[lane]) / steps;
        }
    }

    /// Takes what the row's weights owe, never past zero.
    fn pay(&mut self, row: &[(u32, f64)]) {
        for &(j, _) in row {
            let (w, paid) = (&mut self.w[j as usize], &mut self.paid[j as usize]);
            for lane in 0..N {
                let before = w[lane];
                if before > 0.0 {
                    w[lane] = (before - (self.due + paid[lane]) / self.scale).max(0.0);
                } else if before < 0.0 {
                    w[lane] = (before + (self.due - paid[lane]) / self.scale).min(0.0);
                }
                paid[lane] += self.scale * (w[lane] - before);
            }
        }
    }

    fn multiply_out(&mut self) {
        if let Some(mean) = &mut self.mean {
            for (sum, w) in mean.w_sum.iter_mut().zip(&self.w) {
                (0..N).for_each(|lane| sum[lane] = (sum[lane] + mean.a * w[lane]) / mean.b);
            }
            (mean.a, mean.b) = (0.0, 1.0);
        }
        self.w.iter_mut().for_each(|w| *w = w.map(|w| w * self.scale));
        self.scale = 1.0;
    }

    /// Mean loss of the pass plus the penalty of the weights after it.
    fn objectives(&self, sgd: &Sgd, rows: usize) -> [f64; N] {
        let (mut ones, mut squares) = ([0.0; N], [0.0; N]);
        for w in &self.w {
            for lane in 0..N {
                ones[lane] += w[lane].abs();
                squares[lane] += w[lane] * w[lane];
            }
        }
        let mut objectives = self.losses.map(|loss| loss / rows.max(1) as f64);
        for lane in 0..N {
            let l2 = 0.5 * (1.0 - sgd.l1_ratio) * self.scale * self.scale * squares[lane];
            objectives[lane] += sgd.alpha * (sgd.l1_ratio * self.scale * ones[lane] + l2);
        }
        objectives
    }

    /// Weights and intercept of one function: averaged if averages are kept.
    fn lane(&self, lane: usize) -> (Vec<f64>, f64) {
        match &self.mean {
            Some(mean) if mean.a != 0.0 || mean.b != 1.0 => {
                let weights = mean.w_sum.iter().zip(&self.w).map(|(sum, w)| (sum[lane] + mean.a * w[lane]) / mean.b);
                (weights.collect(), mean.intercept[lane])
            }
            _ => (self.w.iter().map(|w| w[lane] * self.scale).collect(), self.intercept[lane]),
        }
    }
}
