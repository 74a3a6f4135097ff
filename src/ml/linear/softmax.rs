//! What is the many-class loss? Cross-entropy of the softmax over all classes at once, as a problem for `newton`.
//!
//! Weights are `width × k`, row-major: one row of k numbers per column, so that a pass over a sparse row touches
//! whole cache lines and works out all classes together.

use std::ops::Range;

use super::design::Design;
use super::narrow::Narrow;
use super::newton::Problem;
use super::wide::axpy;

/// `Σ cost_i · (logsumexp(m_i) - m_i[y_i])`, `m_i = x_i·W`.
pub(super) struct Softmax<'a> {
    design: &'a Design<'a>,
    k: usize,
    target: &'a [u32],
    cost: &'a [f64],
    penalised: usize,
    current: Vec<f64>,
    towards: Vec<f64>,
    /// Class probabilities at the last `loss_at`.
    shares: Vec<f64>,
    /// `shares` in f32, once the slopes are known.
    near: Vec<f32>,
    /// Slopes, then curvatures by row and class.
    bent: Vec<f64>,
    narrow: Option<Narrow>,
}

impl<'a> Softmax<'a> {
    /// `target` holds classes in `0..k`; `cost` is C times each row's weight; the constant column's weights carry
    /// no penalty.
    pub(super) fn new(design: &'a Design<'a>, k: usize, target: &'a [u32], cost: &'a [f64]) -> Self {
        let zeros = || vec![0.0; design.rows * k];
        let (current, towards, shares) = (zeros(), zeros(), zeros());
        Softmax {
            design,
            k,
            target,
            cost,
            penalised: design.cols() * k,
            current,
            towards,
            shares,
            near: vec![0.0; design.rows * k],
            bent: zeros(),
            narrow: Narrow::of(design, k),
        }
    }
}

impl Problem for Softmax<'_> {
    fn len(&self) -> usize {
        self.design.width() * self.k
    }

    fn penalised(&self) -> usize {
        self.penalised
    }

    fn loss_at(&mut self, step: f64) -> (f64, f64) {
        let (mut sum, mut slope) = (0.0, 0.0);
        let by_row = self.current.chunks_exact(self.k).zip(self.towards.chunks_exact(self.k));
        let by_row = by_row.zip(self.shares.chunks_exact_mut(self.k)).zip(self.target).zip(self.cost);
        for ((((current, towards), shares), &target), cost) in by_row {
            for ((p, m), t) in shares.iter_mut().zip(current).zip(towards) {
                *p = m + step * t;
            }
            let own = shares[target as usize];
            sum += cost * (softmax(shares) - own);
            slope += cost * (super::newton::dot(shares, towards) - towards[target as usize]);
        }
        (sum, slope)
    }

    fn advance(&mut self, step: f64) {
        axpy(step, &self.towards, &mut self.current);
    }

    fn set_direction(&mut self, direction: &[f64]) {
        self.design.margins_many(direction, self.k, &mut self.towards);
    }

    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]) {
        let k = self.k;
        self.near.iter_mut().zip(&self.shares).for_each(|(near, p)| *near = *p as f32);
        let by_row = self.shares.chunks_exact(k).zip(self.bent.chunks_exact_mut(k));
        for ((i, cost), (shares, slopes)) in self.cost.iter().enumerate().zip(by_row) {
            slopes.iter_mut().zip(shares).for_each(|(u, p)| *u = cost * p);
            slopes[self.target[i] as usize] -= cost;
        }
        self.design.add_all_many(&mut self.bent, k, gradient);
        let by_row = self.shares.chunks_exact(k).zip(self.bent.chunks_exact_mut(k));
        for (cost, (shares, curvature)) in self.cost.iter().zip(by_row) {
            curvature.iter_mut().zip(shares).for_each(|(c, p)| *c = cost * p * (1.0 - p));
        }
        match &mut self.narrow {
            Some(narrow) => {
                let mut sums = vec![0.0; k];
                self.bent.chunks_exact(k).for_each(|c| axpy(1.0, c, &mut sums));
                narrow.set(&sums);
                self.design.add_light_squares_many(&self.bent, k, diagonal);
            }
            None => self.design.add_squares_many(&mut self.bent, k, diagonal),
        }
    }

    fn narrow(&self) -> Range<usize> {
        self.narrow.as_ref().map_or(0..0, |narrow| narrow.from * self.k..(narrow.from + narrow.width) * self.k)
    }

    fn solve_narrow(&self, r: &[f32], z: &mut [f32]) {
        if let Some(narrow) = &self.narrow {
            narrow.solve(r, self.k, z);
        }
    }

    fn add_curved(&mut self, v: &[f32], out: &mut [f32]) -> f64 {
        let (mut curved, k) = (0.0, self.k);
        let (shares, cost) = (&self.near, self.cost);
        self.design.through_many(v, k, out, |i, u| {
            let (shares, cost) = (&shares[i * k..][..k], cost[i] as f32);
            let mean: f32 = u.iter().zip(shares).map(|(u, p)| u * p).sum();
            for (u, p) in u.iter_mut().zip(shares) {
                let away = *u - mean;
                *u = cost * p * away;
                // as the shares sum to 1, the mean takes nothing off Σ p (u - mean)²
                curved += f64::from(*u * away);
            }
        });
        curved
    }
}

/// Turns scores into probabilities in place and returns the log of the sum of their exponentials.
pub(super) fn softmax(scores: &mut [f64]) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for s in scores.iter_mut() {
        *s = (*s - top).exp();
        sum += *s;
    }
    for s in scores.iter_mut() {
        *s /= sum;
    }
    top + sum.ln()
}
