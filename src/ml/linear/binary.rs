//! What are the two-class losses of a margin? The logistic and the squared hinge loss, as problems for `newton`.

use super::design::Design;
use super::newton::Problem;

/// A loss of `z = ± margin`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Margin {
    /// `log(1 + exp(-z))`.
    Logistic,
    /// `max(0, 1 - z)²`.
    SquaredHinge,
}

impl Margin {
    fn loss(self, z: f64) -> f64 {
        match self {
            Margin::Logistic => (-z.abs()).exp().ln_1p() + (-z).max(0.0),
            Margin::SquaredHinge => (1.0 - z).max(0.0).powi(2),
        }
    }

    /// First and second derivative.
    fn slopes(self, z: f64) -> (f64, f64) {
        match self {
            Margin::Logistic => {
                let e = (-z.abs()).exp();
                let wrong = if z > 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
                (-wrong, e / ((1.0 + e) * (1.0 + e)))
            }
            Margin::SquaredHinge => (-2.0 * (1.0 - z).max(0.0), if z < 1.0 { 2.0 } else { 0.0 }),
        }
    }
}

/// `Σ cost_i · loss(sign_i · x_i·w)`.
pub(super) struct Binary<'a> {
    design: &'a Design<'a>,
    margin: Margin,
    sign: Vec<f64>,
    cost: &'a [f64],
    penalised: usize,
    current: Vec<f64>,
    towards: Vec<f64>,
    curvature: Vec<f64>,
}

impl<'a> Binary<'a> {
    /// `positive` says which rows are of the positive class; `cost` is C times each row's weight; weights from
    /// `penalised` on carry no penalty.
    pub(super) fn new(
        design: &'a Design<'a>,
        margin: Margin,
        positive: impl Iterator<Item = bool>,
        cost: &'a [f64],
        penalised: usize,
    ) -> Self {
        let sign = positive.map(|positive| if positive { 1.0 } else { -1.0 }).collect();
        let zeros = || vec![0.0; design.rows];
        let (current, towards, curvature) = (zeros(), zeros(), zeros());
        Binary { design, margin, sign, cost, penalised, current, towards, curvature }
    }
}

impl Problem for Binary<'_> {
    fn len(&self) -> usize {
        self.design.width()
    }

    fn penalised(&self) -> usize {
        self.penalised
    }

    fn loss_at(&mut self, step: f64) -> f64 {
        let mut sum = 0.0;
        for (((m, t), sign), cost) in self.current.iter().zip(&self.towards).zip(&self.sign).zip(self.cost) {
            sum += cost * self.margin.loss(sign * (m + step * t));
        }
        sum
    }

    fn advance(&mut self, step: f64) {
        super::design::axpy(step, &self.towards, &mut self.current);
    }

    fn set_direction(&mut self, direction: &[f64]) {
        for (i, t) in self.towards.iter_mut().enumerate() {
            *t = self.design.dot(i, direction);
        }
    }

    fn add_gradient(&mut self, out: &mut [f64]) {
        for i in 0..self.design.rows {
            let (first, second) = self.margin.slopes(self.sign[i] * self.current[i]);
            self.curvature[i] = self.cost[i] * second;
            let u = self.cost[i] * self.sign[i] * first;
            if u != 0.0 {
                self.design.add(i, u, out);
            }
        }
    }

    fn add_curved(&mut self, v: &[f64], out: &mut [f64]) {
        for (i, &c) in self.curvature.iter().enumerate() {
            if c != 0.0 {
                self.design.add(i, c * self.design.dot(i, v), out);
            }
        }
    }

    fn add_diagonal(&self, out: &mut [f64]) {
        for (i, &c) in self.curvature.iter().enumerate() {
            if c != 0.0 {
                self.design.add_squares(i, c, out);
            }
        }
    }
}
