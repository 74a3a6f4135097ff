//! How does a fit go? Passes over shuffled batches, forward and backward, until nothing improves.

use candle_core::Tensor;

use super::super::linear::{FitError, ShouldStop};
use super::super::{Features, Rng};
use super::adam::{Moments, Pace};
use super::batch::Batch;
use super::model::Layer;
use super::products::{matrix, product, stay_on_one_thread, turned, values};
use super::truth::Truth;
use super::{Mlp, MlpEnd};

/// A fit.
pub(super) struct Descent<'a> {
    pub(super) mlp: &'a Mlp,
    pub(super) x: &'a Features,
    pub(super) truth: Truth<'a>,
    /// How much each row counts.
    pub(super) weight: &'a [f64],
    /// The rows to learn from.
    pub(super) learned: Vec<usize>,
    /// The rows of early stopping.
    pub(super) kept_back: Vec<usize>,
    pub(super) should_stop: ShouldStop<'a>,
}

/// A layer with Adam's memory of its weights and biases.
struct Learning {
    layer: Layer,
    weights: Moments,
    bias: Moments,
}

/// When to stop.
struct Watch {
    best: f64,
    stale: usize,
    kept: Option<Vec<Layer>>,
}

impl Descent<'_> {
    /// The layers as they end, from how they start.
    pub(super) fn run(self, start: Vec<Layer>, rng: &mut Rng) -> Result<(Vec<Layer>, MlpEnd), FitError> {
        stay_on_one_thread();
        let learning = |layer: Layer| {
            let (weights, bias) = (Moments::new(layer.weights.len()), Moments::new(layer.bias.len()));
            Learning { layer, weights, bias }
        };
        let mut layers: Vec<Learning> = start.into_iter().map(learning).collect();
        let mut order: Vec<usize> = (0..self.learned.len()).collect();
        let batch = self.mlp.batch_size;
        let (mut steps, mut watch) = (0, Watch { best: f64::NEG_INFINITY, stale: 0, kept: None });
        let mut end = MlpEnd { iterations: 0, loss: 0.0, best_validation_score: None, converged: false };
        while end.iterations < self.mlp.max_iter && !end.converged {
            if self.mlp.shuffle {
                rng.shuffle(&mut order);
            }
            let mut loss = 0.0;
            for chosen in order.chunks(batch) {
                self.ask()?;
                steps += 1;
                let rows: Vec<usize> = chosen.iter().map(|&at| self.learned[at]).collect();
                loss += self.step(&mut layers, &rows, Pace::of(self.mlp, steps))? * rows.len() as f64;
            }
            end.iterations += 1;
            end.loss = loss / order.len() as f64;
            self.check_loss(end.loss)?;
            // the loss falls, the score rises
            let score = if self.kept_back.is_empty() { -end.loss } else { self.score(&layers, batch)? };
            end.converged = self.watched(&mut watch, score, &layers);
        }
        if !self.kept_back.is_empty() {
            end.best_validation_score = Some(watch.best);
        }
        let layers = watch.kept.unwrap_or_else(|| layers.into_iter().map(|of| of.layer).collect());
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        match layers.iter().all(|layer| finite(&layer.weights) && finite(&layer.bias)) {
            true => Ok((layers, end)),
            false => Err(self.overflow()),
        }
    }

    fn ask(&self) -> Result<(), FitError> {
        if (self.should_stop)() { Err(FitError::Interrupted) } else { Ok(()) }
    }

    fn check_loss(&self, loss: f64) -> Result<(), FitError> {
        if loss.is_finite() { Ok(()) } else { Err(self.overflow()) }
    }

    fn overflow(&self) -> FitError {
        let rule = "smaller, or the features scaled (the loss grew beyond all numbers)";
        FitError::Parameter { name: "learning_rate_init", value: self.mlp.learning_rate_init, rule }
    }

    /// Notes a pass's score; true if the fit is to stop.
    fn watched(&self, watch: &mut Watch, score: f64, layers: &[Learning]) -> bool {
        watch.stale = if score >= watch.best + self.mlp.tol { 0 } else { watch.stale + 1 };
        if score > watch.best {
            watch.best = score;
            watch.kept = (!self.kept_back.is_empty()).then(|| layers.iter().map(|of| of.layer.clone()).collect());
        }
        watch.stale > self.mlp.n_iter_no_change
    }

    /// One step of Adam on some rows; their mean loss before it, with the penalty.
    fn step(&self, layers: &mut [Learning], rows: &[usize], pace: Pace) -> Result<f64, FitError> {
        let batch = Batch::of(self.x, rows)?;
        let (states, mut sums) = self.forward(layers, &batch)?;
        let total: f64 = rows.iter().map(|&row| self.weight[row]).sum();
        let width = sums.len() / rows.len();
        let mut loss = 0.0;
        for (&row, sums) in rows.iter().zip(sums.chunks_exact_mut(width)) {
            let share = self.weight[row] / total;
            loss += share * self.truth.loss(row, sums);
            sums.iter_mut().for_each(|slope| *slope *= share as f32);
        }
        let penalty = self.mlp.alpha / total;
        loss += 0.5 * penalty * self.backward(layers, &batch, &states, sums, penalty as f32, pace)?;
        Ok(loss)
    }

    /// What each hidden layer gives, rows × units, and the last layer's sums.
    fn forward(&self, layers: &[Learning], batch: &Batch) -> Result<(Vec<Tensor>, Vec<f32>), FitError> {
        let mut states: Vec<Tensor> = Vec::with_capacity(layers.len());
        let mut sums = Vec::new();
        for (depth, Learning { layer, .. }) in layers.iter().enumerate() {
            let width = layer.bias.len();
            if let Some(below) = states.last() {
                sums = product(below, &matrix(layer.weights.clone(), width)?)?;
                let rows = sums.chunks_exact_mut(width);
                rows.for_each(|row| row.iter_mut().zip(&layer.bias).for_each(|(sum, bias)| *sum += bias));
            } else {
                sums = layer.bias.repeat(batch.rows());
                batch.add_product(&layer.weights, width, &mut sums)?;
            }
            if depth + 1 < layers.len() {
                self.mlp.activation.apply(&mut sums);
                states.push(matrix(std::mem::take(&mut sums), width)?);
            }
        }
        Ok((states, sums))
    }

    /// Moves all layers by the last one's slopes (rows × outputs). Returns the sum of the squares of all weights before.
    fn backward(
        &self,
        layers: &mut [Learning],
        batch: &Batch,
        states: &[Tensor],
        mut slopes: Vec<f32>,
        penalty: f32,
        pace: Pace,
    ) -> Result<f64, FitError> {
        let mut squares = 0.0;
        for (depth, Learning { layer, weights, bias }) in layers.iter_mut().enumerate().rev() {
            let width = layer.bias.len();
            bias.follow_bias(&mut layer.bias, &column_sums(&slopes, width), pace);
            if depth == 0 {
                let gradient = batch.gradient(&slopes, width)?;
                let row = |column: usize| gradient.row(column, width);
                return Ok(squares + weights.follow(&mut layer.weights, width, row, penalty, pace));
            }
            let (state, own) = (&states[depth - 1], matrix(slopes, width)?);
            let gradient = product(&turned(state)?, &own)?;
            slopes = product(&own, &turned(&matrix(layer.weights.clone(), width)?)?)?;
            self.mlp.activation.backward(&values(state)?, &mut slopes);
            let row = |unit: usize| gradient.get(unit * width..(unit + 1) * width);
            squares += weights.follow(&mut layer.weights, width, row, penalty, pace);
        }
        Ok(squares)
    }

    /// How well the rows kept back are answered.
    fn score(&self, layers: &[Learning], batch: usize) -> Result<f64, FitError> {
        let mut sums = Vec::new();
        for rows in self.kept_back.chunks(batch) {
            self.ask()?;
            sums.extend(self.forward(layers, &Batch::of(self.x, rows)?)?.1);
        }
        Ok(self.truth.score(&self.kept_back, self.weight, &sums))
    }
}

fn column_sums(values: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    values.chunks_exact(width).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
    sums
}
