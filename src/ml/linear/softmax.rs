//! What is the many-class loss? Cross-entropy of the softmax over all classes at once, as a problem for `newton`.
//!
//! Weights are `width × k`, row-major: one row of k numbers per column, so that a pass over a sparse row touches
//! whole cache lines and works out all classes together.

use super::design::Design;
use super::newton::Problem;

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
    product: Vec<f64>,
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
            product: vec![0.0; k],
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

    fn loss_at(&mut self, step: f64) -> f64 {
        let mut sum = 0.0;
        for i in 0..self.design.rows {
            let span = i * self.k..(i + 1) * self.k;
            let shares = &mut self.shares[span.clone()];
            for ((p, m), t) in shares.iter_mut().zip(&self.current[span.clone()]).zip(&self.towards[span]) {
                *p = m + step * t;
            }
            let own = shares[self.target[i] as usize];
            sum += self.cost[i] * (softmax(shares) - own);
        }
        sum
    }

    fn advance(&mut self, step: f64) {
        super::design::axpy(step, &self.towards, &mut self.current);
    }

    fn set_direction(&mut self, direction: &[f64]) {
        self.towards.fill(0.0);
        for (i, t) in self.towards.chunks_exact_mut(self.k).enumerate() {
            self.design.dot_many(i, direction, t);
        }
    }

    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]) {
        let mut own = vec![0.0; self.k];
        for (i, shares) in self.shares.chunks_exact(self.k).enumerate() {
            let cost = self.cost[i];
            for (u, p) in self.product.iter_mut().zip(shares) {
                *u = cost * p;
            }
            self.product[self.target[i] as usize] -= cost;
            self.design.add_many(i, &self.product, gradient);
            for (o, p) in own.iter_mut().zip(shares) {
                *o = cost * p * (1.0 - p);
            }
            self.design.add_squares_many(i, &own, diagonal);
        }
    }

    fn add_curved(&mut self, v: &[f64], out: &mut [f64]) -> f64 {
        let mut curved = 0.0;
        for (i, shares) in self.shares.chunks_exact(self.k).enumerate() {
            let u = self.product.as_mut_slice();
            u.fill(0.0);
            self.design.dot_many(i, v, u);
            let mean: f64 = super::newton::dot(u, shares);
            for (u, p) in u.iter_mut().zip(shares) {
                let away = *u - mean;
                *u = self.cost[i] * p * away;
                // as the shares sum to 1, the mean takes nothing off Σ p (u - mean)²
                curved += *u * away;
            }
            self.design.add_many(i, u, out);
        }
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
