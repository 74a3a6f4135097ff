//! What are the two-class losses of a margin? The logistic and the squared hinge loss, as problems for `newton`.

use std::ops::Range;

use super::design::Design;
use super::narrow::{Guide, Narrow};
use super::newton::Problem;
use super::passes::Curving;
use super::wide::axpy;

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
    #[inline(always)]
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
    /// `curvature` in f32.
    near: Vec<f32>,
    /// Margins of the last vector that the curvature was applied to.
    probe: Vec<f32>,
    /// The loss's slopes by row.
    slopes: Vec<f64>,
    /// The rows that have any curvature.
    curving: Curving,
    narrow: Option<Narrow<'a>>,
}

impl<'a> Binary<'a> {
    /// `positive` says which rows are of the positive class; `cost` is C times each row's weight; weights from
    /// `penalised` on carry no penalty.
    pub(super) fn new(
        design: &'a Design<'a>,
        guide: Option<&'a Guide>,
        margin: Margin,
        positive: impl Iterator<Item = bool>,
        cost: &'a [f64],
        penalised: usize,
    ) -> Self {
        let sign = positive.map(|positive| if positive { 1.0 } else { -1.0 }).collect();
        let zeros = || vec![0.0; design.rows];
        let (current, towards, curvature, known) = (zeros(), zeros(), zeros(), zeros());
        let (near, probe) = (vec![0.0; design.rows], vec![0.0; design.rows]);
        let (slopes, curving) = (zeros(), Curving::new(design.rows));
        Binary {
            design,
            margin,
            sign,
            cost,
            penalised,
            current,
            towards,
            curvature,
            known,
            near,
            probe,
            slopes,
            curving,
            narrow: guide.map(Narrow::new),
        }
    }

    /// The problem where the margins are these, and not 0.
    pub(super) fn at(self, margins: Vec<f64>) -> Self {
        Binary { current: margins, ..self }
    }
}

impl Problem for Binary<'_> {
    fn len(&self) -> usize {
        self.design.width()
    }

    fn penalised(&self) -> usize {
        self.penalised
    }

    fn loss_at(&mut self, step: f64) -> (f64, f64) {
        let (mut sum, mut slope) = (0.0, 0.0);
        let margins = self.current.iter().zip(&self.towards).zip(&self.sign);
        for (((m, t), sign), (cost, known)) in margins.zip(self.cost.iter().zip(&mut self.known)) {
            let z = sign * (m + step * t);
            let (loss, e) = self.margin.loss(z);
            *known = e;
            sum += cost * loss;
            slope += cost * self.margin.slopes(z, e).0 * sign * t;
        }
        (sum, slope)
    }

    fn advance(&mut self, step: f64) {
        axpy(step, &self.towards, &mut self.current);
    }

    fn set_direction(&mut self, direction: &[f64]) {
        self.design.margins(direction, &mut self.towards);
    }

    fn add_slopes(&mut self, gradient: &mut [f64], diagonal: &mut [f64]) {
        for i in 0..self.design.rows {
            let (first, second) = self.margin.slopes(self.sign[i] * self.current[i], self.known[i]);
            self.slopes[i] = self.cost[i] * self.sign[i] * first;
            self.curvature[i] = self.cost[i] * second;
        }
        self.near.iter_mut().zip(&self.curvature).for_each(|(near, c)| *near = *c as f32);
        self.probe.fill(0.0);
        self.curving.set(self.design, &self.near);
        if let Some(narrow) = &mut self.narrow {
            narrow.set(&[self.curvature.iter().sum()]);
        }
        let dense = self.narrow().is_empty();
        self.design.add_with_squares(&self.slopes, &self.curvature, dense, gradient, diagonal);
    }

    fn narrow(&self) -> Range<usize> {
        self.narrow.as_ref().map_or(0..0, |narrow| narrow.span(1))
    }

    fn solve_narrow(&self, r: &[f32], z: &mut [f32]) {
        if let Some(narrow) = &self.narrow {
            narrow.solve(r, 1, z);
        }
    }

    fn add_curved(&mut self, v: &[f32], out: &mut [f32]) -> f64 {
        self.design.curved(&self.curving, &self.near, v, &mut self.probe, out)
    }
}
