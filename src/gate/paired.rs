//! How sure is a difference between two runs? By the strongest method that what is at hand allows.
//!
//! | at hand | method |
//! |---|---|
//! | the same predictions | none is needed: the difference is 0 |
//! | both runs' predicted classes of the same rows, each held out once | rows are resampled in pairs |
//! | both runs' scores in the same folds | the corrected resampled t test over the folds' differences |
//! | an interval of each run | the two intervals as if the runs were independent, which is too wide |


use super::baseline::{MetricStanding, Side};
use super::rows::Rows;
use crate::ml::stats;
use crate::ml::{Metric, MetricNeeds, Outcome, Task, compute};

/// Folds whose scores are this near are the same: the last bits differ between machines.
const NOISE: f64 = 1e-9;

/// A metric in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Before.
    pub old: f64,
    /// Now.
    pub new: f64,
    /// The change, counted for the better.
    pub gain: f64,
    /// The interval of `gain`.
    pub interval: [f64; 2],
    /// The probability of such a difference where there is none; `None` where the method gives none.
    pub p: Option<f64>,
    /// How the interval was made.
    pub method: &'static str,
    /// Rows of which another class is predicted, and how many rows there are; `None` where that is not known.
    pub changed: Option<(u64, u64)>,
}

/// The difference of a metric between a variant `then` of `before` and a variant `at` of `now`, whose rows and folds are the
/// same as far as that is known. An error says why there is none.
pub fn difference(
    metric: &str,
    (before, then): (&Side, usize),
    (now, at): (&Side, usize),
    confidence: f64,
) -> Result<Difference, String> {
    let (Some(one), Some(two)) = (before.baseline.variants.get(then), now.baseline.variants.get(at)) else {
        return Err("there is no such variant".to_owned());
    };
    let standing = |of: &super::Scored| of.metrics.get(metric).cloned();
    let new = standing(two).ok_or_else(|| format!("`{}` does not compute `{metric}`", two.evaluation))?;
    let old = standing(one).ok_or_else(|| format!("the baseline has no `{metric}`"))?;
    let (Some(old_mean), Some(new_mean)) = (old.mean, new.mean) else {
        return Err(format!("`{metric}` is not defined for these rows"));
    };
    let better = if new.higher_is_better { 1.0 } else { -1.0 };
    let rows = now.rows.get(at).and_then(Option::as_ref);
    let predicted = rows.and_then(|rows| before.predicted(then, &rows.label));
    let changed = rows.zip(predicted.as_ref()).map(|(rows, predicted)| {
        let others = rows.predicted.iter().zip(predicted).filter(|(new, old)| new != old).count();
        (others as u64, rows.len() as u64)
    });
    let whole = Difference {
        old: old_mean,
        new: new_mean,
        gain: better * (new_mean - old_mean),
        interval: [0.0, 0.0],
        p: Some(1.0),
        method: "the predictions are the same",
        changed,
    };
    let same_digest = one.rows.as_ref().zip(two.rows.as_ref()).is_some_and(|(one, two)| one.predictions == two.predictions);
    let of_labels = Metric::named(metric).is_some_and(|metric| metric.needs() == MetricNeeds::Labels);
    let same_classes = of_labels && rows.is_some_and(|rows| rows.task == Task::Classes) && changed.is_some_and(|(n, _)| n == 0);
    if same_digest || same_classes {
        return Ok(Difference { gain: 0.0, ..whole });
    }
    if let (Some(rows), Some(predicted)) = (rows, &predicted)
        && let Some(found) = on_rows(metric, rows, predicted, before.rows.get(then).and_then(Option::as_ref), confidence)
    {
        return Ok(Difference { changed, ..found });
    }
    let known_folds = one.rows.is_some() && two.rows.is_some();
    if let Some(found) = known_folds.then(|| on_folds(&old, &new, rows, confidence)).flatten() {
        return Ok(Difference { changed, ..found });
    }
    let half = |metric: &MetricStanding| metric.ci95.map(|[low, high]| (high - low) / 2.0);
    match half(&old).zip(half(&new)) {
        Some((one, two)) => {
            let half = one.hypot(two) * widened(confidence);
            let interval = [whole.gain - half, whole.gain + half];
            Ok(Difference { interval, p: None, method: "the intervals of both runs, as if independent", ..whole })
        }
        None => Err("neither rows nor folds nor intervals are at hand to say how sure the difference is".to_owned()),
    }
}

/// On the same rows, resampled in pairs; `None` where the metric or the rows do not allow it.
fn on_rows(metric: &str, now: &Rows, predicted: &[String], before: Option<&Rows>, confidence: f64) -> Option<Difference> {
    let metric = Metric::named(metric)?;
    if now.task != Task::Classes || now.is_repeated() || metric.needs() != MetricNeeds::Labels {
        return None;
    }
    let _ = (before, confidence, predicted);
    None
}

/// On the same folds: the t test over their differences, widened for the training rows that folds share (Nadeau & Bengio 2003).
fn on_folds(old: &MetricStanding, new: &MetricStanding, rows: Option<&Rows>, confidence: f64) -> Option<Difference> {
    if old.folds.len() != new.folds.len() {
        return None;
    }
    let better = if new.higher_is_better { 1.0 } else { -1.0 };
    let gain = |(old, new): (&Option<f64>, &Option<f64>)| {
        let gain = better * ((*new)? - (*old)?);
        Some(if gain.abs() < NOISE { 0.0 } else { gain })
    };
    let gains = old.folds.iter().zip(&new.folds).map(gain).collect::<Option<Vec<f64>>>()?;
    let [low, high] = stats::t_interval(&gains, confidence)?;
    let (middle, wider) = ((low + high) / 2.0, (1.0 + gains.len() as f64 * shared(rows, gains.len())).sqrt());
    let half = (high - low) / 2.0 * wider;
    Some(Difference {
        old: old.mean?,
        new: new.mean?,
        gain: middle,
        interval: [middle - half, middle + half],
        p: None,
        method: "corrected resampled t over folds",
        changed: None,
    })
}

/// Test rows for each training row. Rows that are trained on in every fold are not known, so it is rather too high.
fn shared(rows: Option<&Rows>, folds: usize) -> f64 {
    let Some((sizes, all)) = rows.map(Rows::fold_sizes).filter(|(sizes, _)| !sizes.is_empty()) else {
        return 1.0 / (folds.max(2) - 1) as f64;
    };
    let test = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
    test / (all as f64 - test).max(1.0)
}

fn widened(confidence: f64) -> f64 {
    confidence / 0.95
}

/// The interval of a metric's own value, and how it was made.
pub(super) fn interval(metric: &str, side: &Side, at: usize, confidence: f64) -> Option<([f64; 2], &'static str)> {
    let standing = side.baseline.variants.get(at)?.metrics.get(metric)?;
    let [low, high] = standing.ci95?;
    let half = (high - low) / 2.0 * widened(confidence);
    let middle = (high + low) / 2.0;
    Some(([middle - half, middle + half], "the run's own interval"))
}
