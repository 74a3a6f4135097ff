//! Which losses can `lasso` minimise? The logistic and the squared hinge loss of one margin, and the softmax of several.

use super::columns::Column;
use super::lasso::Margins;

/// A loss of one signed margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Margin {
    /// `log(1 + exp(-z))`.
    Logistic,
    /// `max(0, 1 - z)²`.
    SquaredHinge,
}

/// `Σ cost_i · loss(sign_i · m_i)`.
pub(super) struct TwoSided<'a> {
    margin: Margin,
    sign: Vec<f64>,
    cost: &'a [f64],
    current: Vec<f64>,
    towards: Vec<f64>,
    slopes: Vec<f64>,
    curvature: Vec<f64>,
    /// Curvature times direction.
    bent: Vec<f64>,
}

impl<'a> TwoSided<'a> {
    /// `positive` says which rows are of the positive class; `cost` is C times each row's weight.
    pub(super) fn new(margin: Margin, positive: impl Iterator<Item = bool>, cost: &'a [f64]) -> TwoSided<'a> {
        let sign: Vec<f64> = positive.map(|positive| if positive { 1.0 } else { -1.0 }).collect();
        let zeros = || vec![0.0; sign.len()];
        let (current, towards, slopes, curvature, bent) = (zeros(), zeros(), zeros(), zeros(), zeros());
        TwoSided { margin, sign, cost, current, towards, slopes, curvature, bent }
    }
}

impl Margins for TwoSided<'_> {
    fn outputs(&self) -> usize {
        1
    }

    fn loss_at(&mut self, step: f64) -> f64 {
        let mut sum = 0.0;
        for (i, cost) in self.cost.iter().enumerate() {
            let z = self.sign[i] * (self.current[i] + step * self.towards[i]);
            sum += cost
                * match self.margin {
                    Margin::Logistic => (-z.abs()).exp().ln_1p() + (-z).max(0.0),
                    Margin::SquaredHinge => (1.0 - z).max(0.0).powi(2),
                };
        }
        sum
    }

    fn advance(&mut self, step: f64) {
        for (m, t) in self.current.iter_mut().zip(&self.towards) {
            *m += step * t;
        }
        self.towards.fill(0.0);
        self.bent.fill(0.0);
    }

    fn refresh(&mut self) {
        for (i, cost) in self.cost.iter().enumerate() {
            let z = self.sign[i] * self.current[i];
            let (first, second) = match self.margin {
                Margin::Logistic => {
                    let e = (-z.abs()).exp();
                    let wrong = if z > 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
                    (-wrong, e / ((1.0 + e) * (1.0 + e)))
                }
                Margin::SquaredHinge => (-2.0 * (1.0 - z).max(0.0), if z < 1.0 { 2.0 } else { 0.0 }),
            };
            self.slopes[i] = cost * self.sign[i] * first;
            self.curvature[i] = cost * second;
        }
    }

    fn slopes(&self, _: usize) -> &[f64] {
        &self.slopes
    }

    fn curvature(&self, _: usize, i: usize) -> f64 {
        self.curvature[i]
    }

    fn bend(&self, column: Column<'_>, _: usize) -> f64 {
        column.sum(self.bent.len(), |i| self.bent[i])
    }

    fn nudge(&mut self, column: Column<'_>, _: usize, by: f64) {
        let (towards, bent, curvature) = (&mut self.towards, &mut self.bent, &self.curvature);
        column.each(curvature.len(), |i, x| {
            towards[i] += by * x;
            bent[i] += by * x * curvature[i];
        });
    }
}

/// `Σ cost_i · (logsumexp(m_i) - m_i[y_i])`; vectors are output by output.
pub(super) struct ManySided<'a> {
    outputs: usize,
    target: &'a [u32],
    cost: &'a [f64],
    current: Vec<f64>,
    towards: Vec<f64>,
    /// Class probabilities.
    shares: Vec<f64>,
    slopes: Vec<f64>,
    /// `Σ share · direction` over a row's outputs.
    mean: Vec<f64>,
}

impl<'a> ManySided<'a> {
    /// `target` holds classes in `0..outputs`; `cost` is C times each row's weight.
    pub(super) fn new(outputs: usize, target: &'a [u32], cost: &'a [f64]) -> ManySided<'a> {
        let zeros = || vec![0.0; cost.len() * outputs];
        let (current, towards, shares, slopes) = (zeros(), zeros(), zeros(), zeros());
        ManySided { outputs, target, cost, current, towards, shares, slopes, mean: vec![0.0; cost.len()] }
    }

    fn margin(&self, output: usize, i: usize, step: f64) -> f64 {
        let at = output * self.cost.len() + i;
        self.current[at] + step * self.towards[at]
    }
}

impl Margins for ManySided<'_> {
    fn outputs(&self) -> usize {
        self.outputs
    }

    fn loss_at(&mut self, step: f64) -> f64 {
        let mut sum = 0.0;
        for (i, cost) in self.cost.iter().enumerate() {
            let margins = || (0..self.outputs).map(|output| self.margin(output, i, step));
            let top = margins().fold(f64::NEG_INFINITY, f64::max);
            let own = self.margin(self.target[i] as usize, i, step);
            sum += cost * (top - own + margins().map(|m| (m - top).exp()).sum::<f64>().ln());
        }
        sum
    }

    fn advance(&mut self, step: f64) {
        for (m, t) in self.current.iter_mut().zip(&self.towards) {
            *m += step * t;
        }
        self.towards.fill(0.0);
        self.mean.fill(0.0);
    }

    fn refresh(&mut self) {
        let rows = self.cost.len();
        for (i, cost) in self.cost.iter().enumerate() {
            let margins = || (0..self.outputs).map(|output| self.current[output * rows + i]);
            let top = margins().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = margins().map(|m| (m - top).exp()).sum();
            for output in 0..self.outputs {
                let at = output * rows + i;
                self.shares[at] = (self.current[at] - top).exp() / sum;
                let own = f64::from(u8::from(self.target[i] as usize == output));
                self.slopes[at] = cost * (self.shares[at] - own);
            }
        }
    }

    fn slopes(&self, output: usize) -> &[f64] {
        &self.slopes[output * self.cost.len()..][..self.cost.len()]
    }

    fn curvature(&self, output: usize, i: usize) -> f64 {
        let share = self.shares[output * self.cost.len() + i];
        self.cost[i] * share * (1.0 - share)
    }

    fn bend(&self, column: Column<'_>, output: usize) -> f64 {
        let (rows, from) = (self.cost.len(), output * self.cost.len());
        let (shares, towards) = (&self.shares[from..from + rows], &self.towards[from..from + rows]);
        column.sum(rows, |i| self.cost[i] * shares[i] * (towards[i] - self.mean[i]))
    }

    fn nudge(&mut self, column: Column<'_>, output: usize, by: f64) {
        let (rows, from) = (self.cost.len(), output * self.cost.len());
        let (towards, mean, shares) =
            (&mut self.towards[from..from + rows], &mut self.mean, &self.shares[from..from + rows]);
        column.each(rows, |i, x| {
            towards[i] += by * x;
            mean[i] += shares[i] * by * x;
        });
    }
}
