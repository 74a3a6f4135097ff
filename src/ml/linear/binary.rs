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
    /// The loss, and what its slopes will want to know again.
    fn loss(self, z: f64) -> (f64, f64) {
        match self {
            Margin::Logistic => {
                let e = (-z.abs()).exp();
                (e.ln_1p() + (-z).max(0.0), e)
            }
            Margin::SquaredHinge => ((1.0 - z).max(0.0).powi(2), 0.0),
        }
    }

    /// First and second derivative; `e` is what the loss at `z` said.
    fn slopes(self, z: f64, e: f64) -> (f64, f64) {
        match self {
            Margin::Logistic => {
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
    /// What the last losses said for the slopes.
    known: Vec<f64>,
    /// Margins of the last vector that the curvature was applied to, and of the direction so far.
    probe: Vec<f64>,
    gathered: Vec<f64>,
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
        let (current, towards, curvature, known) = (zeros(), zeros(), zeros(), zeros());
        let (probe, gathered) = match margin {
            Margin::Logistic => (zeros(), zeros()),
            Margin::SquaredHinge => (Vec::new(), Vec::new()),
        };
        Binary { design, margin, sign, cost, penalised, current, towards, curvature, known, probe, gathered }
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
        let margins = self.current.iter().zip(&self.towards).zip(&self.sign);
        for (((m, t), sign), (cost, known)) in margins.zip(self.cost.iter().zip(&mut self.known)) {
            let (loss, e) = self.margin.loss(sign * (m + step * t));
            *known = e;
            sum += cost * loss;
        }
        sum
    }

    fn advance(&mut self, step: f64) {
        super::design::axpy(step, &self.towards, &mut self.current);
    }

    fn set_direction(&mut self, direction: &[f64]) {
        if self.gathered.iter().any(|t| *t != 0.0) {
            std::mem::swap(&mut self.towards, &mut self.gathered);
            self.gathered.fill(0.0);
            return;
        }
        for (i, t) in self.towards.iter_mut().enumerate() {
            *t = self.design.dot(i, direction);
        }
    }

    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]) {
        for i in 0..self.design.rows {
            let (first, second) = self.margin.slopes(self.sign[i] * self.current[i], self.known[i]);
            let (u, c) = (self.cost[i] * self.sign[i] * first, self.cost[i] * second);
            self.curvature[i] = c;
            if u != 0.0 || c != 0.0 {
                self.design.add_with_squares(i, (u, c), gradient, diagonal);
            }
        }
    }

    fn add_curved(&mut self, v: &[f64], out: &mut [f64]) -> f64 {
        let mut curved = 0.0;
        match self.margin {
            Margin::Logistic => {
                for (i, (&c, probe)) in self.curvature.iter().zip(&mut self.probe).enumerate() {
                    *probe = self.design.dot(i, v);
                    curved += c * *probe * *probe;
                    self.design.add(i, c * *probe, out);
                }
            }
            // rows beyond the margin have no curvature: to pass them by gains more than their margins are worth
            Margin::SquaredHinge => {
                for (i, &c) in self.curvature.iter().enumerate().filter(|(_, c)| **c != 0.0) {
                    let probe = self.design.dot(i, v);
                    curved += c * probe * probe;
                    self.design.add(i, c * probe, out);
                }
            }
        }
        curved
    }

    fn gather(&mut self, along: f64) {
        super::design::axpy(along, &self.probe, &mut self.gathered);
    }
}
