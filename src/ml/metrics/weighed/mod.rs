//! What are scores when some rows count more, or not at all? Metrics made ready to be taken again for thousands of resamples.
//!
//! Metrics of classes, sets and numbers are taken of all folds together: their counts and sums can be added up. Those that order
//! rows (areas under curves, correlations) are taken fold by fold and averaged, since scores of different folds come from different
//! models and share no scale (Forman and Scholz 2010, *Apples-to-apples in cross-validation studies*, recommend just that).

mod classes;
mod numbers;
mod ranks;

use super::labels::ConfusionMatrix;
use super::sets::Tally;
use super::{Average, Metric, Outcome, SetOutcome, Task, ValueOutcome, of_labels};
use crate::ml::stats::{Scored, mean};
pub use classes::ClassF1;
use numbers::Numbers;
use ranks::Ranks;

/// Whose predictions they are, one entry for each.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The unit that is drawn or not: a row, or a group of rows.
    pub unit: &'a [u32],
    /// The fold that held the row out.
    pub fold: &'a [u32],
}

/// Predictions, ready to be scored while units count more or less.
#[derive(Debug)]
pub struct Weighed {
    metrics: Vec<Metric>,
    forms: Vec<Form>,
}

/// What some of the scores are taken from. Numbers that stand beside a metric are its place among all.
#[derive(Debug)]
enum Form {
    Confusion { wanted: Vec<(usize, Metric)>, classes: usize, cells: Runs },
    Mean { at: usize, root: bool, unit: Vec<u32>, value: Vec<f64> },
    Calibration { at: usize, bins: usize, unit: Vec<u32>, bin: Vec<u32>, gap: Vec<f64> },
    Tallies { wanted: Vec<(usize, Metric)>, classes: usize, cells: Runs },
    Ranks(Ranks),
    Numbers(Numbers),
}

/// Units by cell of a table of counts: those of a cell stand together.
#[derive(Debug)]
struct Runs {
    units: Vec<u32>,
    /// A cell, and where its units end.
    ends: Vec<(u32, usize)>,
}

impl Runs {
    fn new(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        let mut ends: Vec<(u32, usize)> = Vec::new();
        for (at, (cell, _)) in pairs.iter().enumerate() {
            match ends.last_mut() {
                Some((last, end)) if last == cell => *end = at + 1,
                _ => ends.push((*cell, at + 1)),
            }
        }
        Runs { units: pairs.into_iter().map(|(_, unit)| unit).collect(), ends }
    }

    /// Cells with the weight of their units.
    fn sums(&self, weights: &[u32]) -> impl Iterator<Item = (usize, u64)> {
        let mut start = 0;
        self.ends.iter().map(move |&(cell, end)| {
            let units = &self.units[start..end];
            start = end;
            (cell as usize, units.iter().map(|unit| u64::from(weights[*unit as usize])).sum())
        })
    }
}

impl Weighed {
    /// Predicted classes; `metrics` that do not measure them, or that lack the scores they need, are not defined.
    pub fn of_classes(metrics: &[Metric], outcome: &Outcome<'_>, places: Places<'_>) -> Self {
        let classes = outcome.classes();
        let (mut labels, mut forms) = (Vec::new(), Vec::new());
        for (at, metric) in metrics.iter().copied().enumerate().filter(|(_, metric)| metric.measures(Task::Classes)) {
            match metric {
                Metric::TopKAccuracy(_) | Metric::LogLoss | Metric::BrierScoreLoss => {
                    forms.extend(row_scores(metric, outcome).map(|value| Form::mean(at, false, value, places)));
                }
                Metric::ExpectedCalibrationError(bins) => forms.extend(calibration(at, bins, outcome, places)),
                Metric::RocAuc | Metric::RocAucOvr | Metric::RocAucOvrWeighted | Metric::AveragePrecision => {
                    forms.extend(Ranks::of_classes(at, metric, outcome, places).map(Form::Ranks));
                }
                _ => labels.push((at, metric)),
            }
        }
        if !labels.is_empty() {
            let cells = outcome.y_true().iter().zip(outcome.y_pred()).map(|(t, p)| t * classes as u32 + p);
            let cells = Runs::new(cells.zip(places.unit.iter().copied()).collect());
            forms.push(Form::Confusion { wanted: labels, classes, cells });
        }
        Weighed { metrics: metrics.to_vec(), forms }
    }

    /// Predicted sets of classes.
    pub fn of_sets(metrics: &[Metric], outcome: &SetOutcome<'_>, places: Places<'_>) -> Self {
        let (mut tallied, mut forms) = (Vec::new(), Vec::new());
        for (at, metric) in metrics.iter().copied().enumerate().filter(|(_, metric)| metric.measures(Task::Sets)) {
            match metric {
                Metric::RocAuc | Metric::AveragePrecision | Metric::AveragePrecisionMicro => {
                    forms.extend(Ranks::of_sets(at, metric, outcome, places).map(Form::Ranks));
                }
                _ => match outcome.row_scores(metric) {
                    Some(value) => forms.push(Form::mean(at, false, value, places)),
                    None => tallied.push((at, metric)),
                },
            }
        }
        if !tallied.is_empty() {
            let cells = outcome.marks().map(|(row, class, truth, predicted)| {
                (4 * class as u32 + 2 * u32::from(truth) + u32::from(predicted), places.unit[row])
            });
            let cells = Runs::new(cells.collect());
            forms.push(Form::Tallies { wanted: tallied, classes: outcome.classes(), cells });
        }
        Weighed { metrics: metrics.to_vec(), forms }
    }

    /// Predicted numbers. The largest error has no other samples to speak of, and is not defined.
    pub fn of_values(metrics: &[Metric], outcome: &ValueOutcome<'_>, places: Places<'_>) -> Self {
        let of = |(at, metric): (usize, Metric)| match metric {
            Metric::MeanAbsoluteError => Some(Form::mean(at, false, outcome.errors().map(f64::abs).collect(), places)),
            Metric::MeanSquaredError | Metric::RootMeanSquaredError => {
                let squares = outcome.errors().map(|error| error * error).collect();
                Some(Form::mean(at, metric == Metric::RootMeanSquaredError, squares, places))
            }
            _ => Numbers::of(at, metric, outcome, places).map(Form::Numbers),
        };
        Weighed { metrics: metrics.to_vec(), forms: metrics.iter().copied().enumerate().filter_map(of).collect() }
    }

    /// The metrics, in the order of the scores.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }
}

impl Scored for Weighed {
    fn width(&self) -> usize {
        self.metrics.len()
    }

    fn score(&self, weights: &[u32], into: &mut [f64]) {
        into.fill(f64::NAN);
        self.forms.iter().for_each(|form| form.score(weights, into));
    }
}

impl Form {
    fn mean(at: usize, root: bool, value: Vec<f64>, places: Places<'_>) -> Self {
        Form::Mean { at, root, unit: places.unit.to_vec(), value }
    }

    fn score(&self, weights: &[u32], into: &mut [f64]) {
        let weight = |unit: &u32| f64::from(weights[*unit as usize]);
        match self {
            Form::Confusion { wanted, classes, cells } => {
                let mut counts = vec![0; classes * classes];
                cells.sums(weights).for_each(|(cell, sum)| counts[cell] = sum);
                let any = counts.iter().any(|count| *count > 0);
                let matrix = ConfusionMatrix::from_counts(*classes, counts);
                for (at, metric) in wanted.iter().filter(|_| any) {
                    into[*at] = of_labels(*metric, &matrix).unwrap_or(f64::NAN);
                }
            }
            Form::Mean { at, root, unit, value } => {
                let (mut sum, mut all) = (0.0, 0.0);
                for (unit, value) in unit.iter().zip(value) {
                    let weight = weight(unit);
                    sum += weight * value;
                    all += weight;
                }
                let mean: f64 = sum / all;
                into[*at] = if *root { mean.sqrt() } else { mean };
            }
            Form::Calibration { at, bins, unit, bin, gap } => {
                let (mut gaps, mut all) = (vec![0.0; *bins], 0.0);
                for ((unit, bin), gap) in unit.iter().zip(bin).zip(gap) {
                    gaps[*bin as usize] += weight(unit) * gap;
                    all += weight(unit);
                }
                into[*at] = gaps.into_iter().map(f64::abs).sum::<f64>() / all;
            }
            Form::Tallies { wanted, classes, cells } => {
                let mut tallies = vec![Tally::default(); *classes];
                for (cell, sum) in cells.sums(weights) {
                    tallies[cell / 4].add(cell & 2 != 0, cell & 1 != 0, sum);
                }
                for (at, metric) in wanted {
                    into[*at] = of_tallies(*metric, &tallies).unwrap_or(f64::NAN);
                }
            }
            Form::Ranks(ranks) => ranks.score(weights, into),
            Form::Numbers(numbers) => numbers.score(weights, into),
        }
    }
}

/// What each row adds to a metric that is a mean over rows.
fn row_scores(metric: Metric, outcome: &Outcome<'_>) -> Option<Vec<f64>> {
    match metric {
        Metric::TopKAccuracy(k) => super::scores::top_k_hits(outcome, k as usize),
        Metric::LogLoss => super::scores::log_losses(outcome),
        Metric::BrierScoreLoss => super::scores::squared_errors(outcome),
        _ => None,
    }
}

fn calibration(at: usize, bins: u32, outcome: &Outcome<'_>, places: Places<'_>) -> Option<Form> {
    let rows = super::curves::confidences(outcome, bins)?;
    let gap = |(_, confidence, right): &(usize, f64, bool)| f64::from(u8::from(*right)) - confidence;
    Some(Form::Calibration {
        at,
        bins: bins as usize,
        unit: places.unit.to_vec(),
        gap: rows.iter().map(gap).collect(),
        bin: rows.into_iter().map(|(bin, ..)| bin as u32).collect(),
    })
}

fn of_tallies(metric: Metric, tallies: &[Tally]) -> Option<f64> {
    let (average, of): (Average, fn(Tally) -> f64) = match metric {
        Metric::Precision(average) => (average, |tally| tally.scores().precision),
        Metric::Recall(average) => (average, |tally| tally.scores().recall),
        Metric::F1(average) => (average, |tally| tally.scores().f1),
        Metric::Jaccard(average) => (average, Tally::jaccard),
        _ => return None,
    };
    super::sets::over_tallies(tallies, average, of)
}

/// The mean of what is defined; NaN where nothing is.
fn over_defined(values: impl Iterator<Item = Option<f64>>) -> f64 {
    mean(&values.flatten().collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
