//! From which score on is a class predicted? Chosen on predictions for training rows that the model had not seen.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ensemble::models;
use super::learner::read_strings;
use super::stacked::{Stacked, applied, out_of_fold};
use super::truth::{labels, sets};
use crate::ml::Task;
use crate::problem::Problems;
use crate::stage::{
    Ctx, MetaLearner, OutOfFold, Outlook, Output, Parts, Port, Refusal, Says, Scope, Stage, StageError, StageKind,
    TrainRows, Unfit, Work,
};
use crate::table::predictions::sets::PredictedSets;
use crate::table::predictions::{Predictions, task};

/// The kind `threshold`.
pub(in crate::stages) struct Threshold;

/// Chooses the score from which on a class is predicted, where there are two classes (scikit-learn's TunedThresholdClassifierCV), or
/// for each label by itself where rows have several. The choice is made on predictions for folds of the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// What is to be as high as possible, for the second of two classes, or for each label.
    metric: Aim,
    /// Into how many folds the training rows are divided.
    #[schemars(range(min = 2, max = 100))]
    folds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Aim {
    /// F1.
    F1,
    /// The mean of the recalls of both sides.
    BalancedAccuracy,
    /// The share of rows that are right.
    Accuracy,
}

impl Default for Params {
    fn default() -> Self {
        Params { metric: Aim::F1, folds: 5 }
    }
}

impl StageKind for Threshold {
    const KIND: &'static str = "threshold";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "a model that predicts a class from a chosen score on";
    const EXAMPLE: &'static str = "{ use: threshold, from: train, with: { metric: f1 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        match params.folds {
            2..=100 => Ok(Work::Meta(Box::new(Choosing { params }))),
            folds => {
                let message = format!("`folds` must be from 2 to 100, but is {folds}");
                Err(at.problem("out-of-range", &["folds"], message).into())
            }
        }
    }
}

struct Choosing {
    params: Params,
}

impl Stage for Choosing {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        models(inputs)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["predictions"]
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        match of.first(|says| says.task == Task::Values) {
            Some((input, _)) => Err(Unfit::model(input, "a model that predicts classes", "predicts numbers")),
            None => Ok(of.model()),
        }
    }
}

impl MetaLearner for Choosing {
    fn inner_folds(&self) -> Option<u32> {
        Some(self.params.folds)
    }

    fn fit(&self, train: &TrainRows, predicted: &[OutOfFold], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        if let Some(target) = sets(train.target()?)? {
            let model = only(out_of_fold(predicted, 1, &target.row_id, &target.classes)?)?;
            let mut has = vec![vec![false; target.sets.len()]; target.classes.len()];
            for (row, set) in target.sets.iter().enumerate() {
                set.iter().for_each(|&class| has[class as usize][row] = true);
            }
            let chosen = has.iter().enumerate().map(|(class, has)| self.best(&model, class, has));
            return learned(&target.classes, &chosen.collect::<Vec<_>>(), target.sets.len());
        }
        let target = labels(train.target()?)?;
        let classes = &target.labels.classes;
        if classes.len() != 2 {
            let message = format!("the training rows have {} classes, and a threshold divides two", classes.len());
            return Err(
                StageError::failed(message).help("leave `threshold` out; `tune` and `calibrate` take any number")
            );
        }
        let model = only(out_of_fold(predicted, 1, &target.row_id, classes)?)?;
        let has: Vec<bool> = target.labels.index.iter().map(|&label| label == 1).collect();
        learned(classes, &[f64::NAN, self.best(&model, 1, &has)], has.len())
    }

    fn apply(&self, learned: &Parts, models: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let table = learned.table("thresholds")?;
        let classes = read_strings(&table, "class")?;
        let missing = || StageError::failed("a model's table lacks its thresholds");
        let thresholds = table.column_by_name("threshold").and_then(|one| one.as_any().downcast_ref::<Float64Array>());
        let thresholds = thresholds.ok_or_else(missing)?;
        let table = models.first().ok_or_else(missing)?.table("predictions")?;
        let (row_id, stacked) = applied(models, &classes)?;
        let Stacked { scores, probabilities } = only(stacked)?;
        let rows = scores.chunks_exact(classes.len().max(1));
        let above = |row: &[f64], class: usize| thresholds.is_valid(class) && row[class] > thresholds.value(class);
        let table = match task(&table) {
            Task::Sets => {
                let set = |row: &[f64]| {
                    (0..classes.len()).filter(|&class| above(row, class)).map(|class| classes[class].clone()).collect()
                };
                let sets = rows.map(set).collect();
                PredictedSets { row_id, classes: classes.clone(), sets, scores: scores.clone(), probabilities }
                    .to_table()
            }
            _ if classes.len() == 2 => {
                let predicted = rows.map(|row| classes[usize::from(above(row, 1))].clone()).collect();
                Predictions { row_id, classes: classes.clone(), predicted, scores: scores.clone(), probabilities }
                    .to_table()
            }
            _ => return Err(missing()),
        };
        Ok(Output::new().table("predictions", table.map_err(StageError::caused)?))
    }
}

fn only(stacked: Vec<Stacked>) -> Result<Stacked, StageError> {
    stacked.into_iter().next().ok_or_else(|| StageError::failed("there is no model to choose a threshold for"))
}

/// The part `thresholds`: class, threshold (of two classes the second's alone).
fn learned(classes: &[String], thresholds: &[f64], rows: usize) -> Result<Output, StageError> {
    let values = thresholds.iter().map(|&threshold| (!threshold.is_nan()).then_some(threshold));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("class", Arc::new(StringArray::from_iter_values(classes)), false),
        ("threshold", Arc::new(values.collect::<Float64Array>()), true),
    ];
    let table = RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)?;
    let mut output = Output::new().table("thresholds", table).rows(rows).fact("training_rows", rows);
    if let [_, threshold] = thresholds {
        output = output.fact("threshold", *threshold);
    }
    Ok(output)
}

impl Choosing {
    fn best(&self, model: &Stacked, class: usize, has: &[bool]) -> f64 {
        let width = model.scores.len() / has.len().max(1);
        let usual = if model.probabilities { 0.5 } else { 0.0 };
        let own: Vec<(f64, bool)> =
            model.scores.chunks_exact(width.max(1)).map(|row| row[class]).zip(has.iter().copied()).collect();
        best(own, usual, self.params.metric)
    }
}

/// The threshold with the best value of `aim` when the rows of a greater score are predicted to have the class; of equally good
/// ones that nearest to `usual`. `usual` itself where all rows, or none, have the class.
fn best(mut scored: Vec<(f64, bool)>, usual: f64, aim: Aim) -> f64 {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let with = scored.iter().filter(|(_, has)| *has).count();
    if with == 0 || with == scored.len() {
        return usual;
    }
    let without = (scored.len() - with) as f64;
    let value = |hits: usize, taken: usize| {
        let (hits, taken, with) = (hits as f64, taken as f64, with as f64);
        match aim {
            Aim::F1 => 2.0 * hits / (with + taken),
            Aim::BalancedAccuracy => 0.5 * (hits / with + (without - (taken - hits)) / without),
            Aim::Accuracy => (hits + without - (taken - hits)) / (with + without),
        }
    };
    let mut found = (f64::NEG_INFINITY, usual);
    let mut hits = 0;
    for taken in 0..=scored.len() {
        if taken > 0 {
            hits += usize::from(scored[taken - 1].1);
        }
        let (above, below) = (taken.checked_sub(1).map(|at| scored[at].0), scored.get(taken).map(|one| one.0));
        let threshold = match (above, below) {
            (Some(above), Some(below)) if above == below => continue,
            // every threshold from `below` up to `above` divides the rows so
            (above, below) => between(below, above, usual),
        };
        let value = value(hits, taken);
        let nearer = || (threshold - usual).abs() < (found.1 - usual).abs();
        if value > found.0 || (value == found.0 && nearer()) {
            found = (value, threshold);
        }
    }
    found.1
}

/// A number from `low` up to, but below, `high`: `usual` if it lies there, else the middle; beside an end that is not there, the other.
fn between(low: Option<f64>, high: Option<f64>, usual: f64) -> f64 {
    match (low, high) {
        _ if low.is_none_or(|low| usual >= low) && high.is_none_or(|high| usual < high) => usual,
        (Some(low), Some(high)) => {
            let middle = low + 0.5 * (high - low);
            if middle < high { middle } else { low }
        }
        (Some(low), None) => low,
        (None, Some(high)) => high.next_down(),
        (None, None) => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_threshold_divides_the_rows_best() {
        let scored = |rows: &[(f64, u8)]| rows.iter().map(|&(score, has)| (score, has == 1)).collect::<Vec<_>>();
        let rows = scored(&[(0.9, 1), (0.4, 1), (0.3, 0), (0.2, 1), (0.1, 0)]);
        // F1: 2·1/(3+1) = .5 above .4; 4/5 above .3; 4/6; 6/7 above .1; 6/8
        let f1 = best(rows.clone(), 0.5, Aim::F1);
        assert!((0.1..0.2).contains(&f1), "{f1}");
        // balanced accuracy: (2/3 + 1)/2 = 5/6 above .3; (1 + 1/2)/2 = 3/4 above .1
        let balanced = best(rows.clone(), 0.5, Aim::BalancedAccuracy);
        assert!((0.3..0.4).contains(&balanced), "{balanced}");
        // accuracy: 4/5 both above .3 and above .1: the nearer to one half
        let accuracy = best(rows, 0.5, Aim::Accuracy);
        assert!((0.3..0.4).contains(&accuracy), "{accuracy}");
    }

    #[test]
    fn the_usual_threshold_stays_where_it_is_as_good() {
        assert_eq!(best(vec![(0.9, true), (0.1, false)], 0.5, Aim::F1), 0.5);
        assert_eq!(best(vec![(0.9, true), (0.8, true)], 0.5, Aim::F1), 0.5);
        assert_eq!(best(vec![(0.2, false)], 0.5, Aim::Accuracy), 0.5);
        assert_eq!(best(Vec::new(), 0.0, Aim::F1), 0.0);
    }

    #[test]
    fn equal_scores_are_not_divided() {
        let rows = vec![(0.3, true), (0.3, false), (0.3, true)];
        let threshold = best(rows, 0.5, Aim::F1);
        assert!(threshold < 0.3);
    }
}
