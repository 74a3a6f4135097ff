//! How good is what the folds predicted? Classes, sets of classes and numbers are held against what the rows have of each.

use std::sync::Arc;

use arrow::array::RecordBatch;
use rustc_hash::FxHashMap;
use serde_json::json;

use super::super::idle_metric;
use super::classes;
use crate::ml::{Metric, SetOutcome, Task, ValueOutcome, compute_sets, compute_values};
use crate::stage::{Ctx, FoldId, Output, Parts, StageError};
use crate::table::predictions::sets::{PredictedSets, ScoredSets};
use crate::table::predictions::task;
use crate::table::predictions::values::{PredictedValues, ScoredValues};
use crate::table::scores::{ClassScore, FoldMetric, classes_table, metrics_table};
use crate::table::target::Target;

/// What is computed where `metrics` is left out.
fn usual(task: Task) -> &'static [Metric] {
    use crate::ml::Average::{Macro, Micro, Samples};
    match task {
        Task::Classes => {
            &[Metric::Accuracy, Metric::F1(Macro), Metric::MatthewsCorrcoef, Metric::RocAuc, Metric::LogLoss]
        }
        Task::Sets => &[
            Metric::Accuracy,
            Metric::F1(Micro),
            Metric::F1(Macro),
            Metric::F1(Samples),
            Metric::HammingLoss,
            Metric::AveragePrecision,
        ],
        Task::Values => {
            &[Metric::R2, Metric::RootMeanSquaredError, Metric::MeanAbsoluteError, Metric::Pearson, Metric::Spearman]
        }
    }
}

/// The predictions of one fold.
pub(super) struct Predicted {
    pub(super) id: FoldId,
    /// The fold, counted over all repeats.
    pub(super) number: u32,
    pub(super) table: Arc<RecordBatch>,
}

impl Predicted {
    /// A metric's value in this fold.
    pub(super) fn metric(&self, metric: Metric, value: Option<f64>) -> FoldMetric {
        FoldMetric {
            repeat: self.id.repeat,
            fold: self.id.fold,
            metric: metric.name().into_owned(),
            value,
            higher_is_better: metric.higher_is_better(),
        }
    }
}

/// Scores all folds by `wanted` metrics, or by the usual ones if none are named.
pub(super) fn score(
    wanted: &[Metric],
    folds: &[(FoldId, Parts)],
    target: &Target,
    ctx: &Ctx<'_>,
) -> Result<Output, StageError> {
    let per_repeat = folds.iter().filter(|(id, _)| id.repeat == 0).count() as u32;
    let mut predicted = Vec::with_capacity(folds.len());
    for (id, parts) in folds {
        let table = parts.table("predictions")?;
        predicted.push(Predicted { id: *id, number: id.repeat * per_repeat + id.fold, table });
    }
    let task = predicted.first().map_or(Task::Classes, |fold| task(&fold.table));
    let metrics = chosen(wanted, task)?;
    let output = match task {
        Task::Classes => classes::score(metrics, &predicted, target, ctx)?,
        Task::Sets => sets(metrics, &predicted, target, ctx)?,
        Task::Values => values(metrics, &predicted, target, ctx)?,
    };
    let repeats = folds.iter().map(|(id, _)| id.repeat + 1).max().unwrap_or(1) as usize;
    let rows = predicted.iter().map(|fold| fold.table.num_rows()).sum::<usize>() / repeats;
    Ok(output.rows(rows))
}

/// The metrics to compute; an error for one that says nothing of what is predicted.
fn chosen(wanted: &[Metric], task: Task) -> Result<&[Metric], StageError> {
    if wanted.is_empty() {
        return Ok(usual(task));
    }
    match wanted.iter().find_map(|metric| idle_metric(*metric, task)) {
        None => Ok(wanted),
        Some((message, help)) => Err(StageError::failed(message).help(help).at_param(&["metrics"])),
    }
}

/// The metrics' table, and how many values are undefined.
pub(super) fn with_metrics(output: Output, metrics: &[FoldMetric]) -> Result<Output, StageError> {
    let undefined = metrics.iter().filter(|metric| metric.value.is_none()).count();
    Ok(output
        .table("metrics", metrics_table(metrics).map_err(StageError::caused)?)
        .fact("undefined_metrics", json!(undefined)))
}

/// An error for a predicted row of which the data does not say what is true.
pub(super) fn unknown(row: &str, what: &str) -> StageError {
    StageError::failed(format!("row `{row}` was predicted but has no {what}"))
}

fn values(metrics: &[Metric], folds: &[Predicted], target: &Target, ctx: &Ctx<'_>) -> Result<Output, StageError> {
    let values = target.value.as_ref().ok_or_else(|| {
        StageError::failed("the rows have no values").help("name their column in `ingest` (`value: COLUMN`)")
    })?;
    let known: FxHashMap<&str, f64> = target.row_id.iter().map(String::as_str).zip(values.iter().copied()).collect();
    let (mut computed, mut pooled) = (Vec::new(), ScoredValues::default());
    for fold in folds {
        ctx.check()?;
        let predictions = PredictedValues::from_table(&fold.table).map_err(StageError::caused)?;
        let truth =
            predictions.row_id.iter().map(|row| known.get(row.as_str()).copied().ok_or_else(|| unknown(row, "value")));
        let truth = truth.collect::<Result<Vec<f64>, _>>()?;
        let outcome = ValueOutcome::new(&truth, &predictions.value).map_err(StageError::caused)?;
        computed.extend(metrics.iter().map(|metric| fold.metric(*metric, compute_values(*metric, &outcome))));
        pooled.fold.extend(std::iter::repeat_n(fold.number, truth.len()));
        pooled.truth.extend(truth);
        pooled.predictions.row_id.extend(predictions.row_id);
        pooled.predictions.value.extend(predictions.value);
    }
    let output = Output::new().table("predictions", pooled.to_table().map_err(StageError::caused)?);
    with_metrics(output, &computed)
}

/// Sets over all classes that occur, were learned or were predicted.
struct SetFold {
    truth: Vec<bool>,
    predicted: Vec<bool>,
    scores: Vec<f64>,
}

impl SetFold {
    fn new(predictions: &PredictedSets, truth: &[Vec<String>], classes: &[String]) -> SetFold {
        let place = |class: &String| classes.binary_search(class).ok();
        let table = |sets: &[Vec<String>]| {
            let mut has = vec![false; sets.len() * classes.len()];
            for (row, set) in sets.iter().enumerate() {
                set.iter().filter_map(place).for_each(|at| has[row * classes.len() + at] = true);
            }
            has
        };
        // a class that the fold did not learn is no likelier than any that it did
        let absent = if predictions.probabilities { 0.0 } else { f64::NEG_INFINITY };
        let mut scores = vec![absent; truth.len() * classes.len()];
        let columns: Vec<Option<usize>> = predictions.classes.iter().map(place).collect();
        for (row, values) in predictions.scores.chunks(columns.len().max(1)).enumerate() {
            for (column, value) in columns.iter().zip(values) {
                column.iter().for_each(|at| scores[row * classes.len() + at] = *value);
            }
        }
        SetFold { truth: table(truth), predicted: table(&predictions.sets), scores }
    }

    fn outcome(&self, classes: usize) -> Result<SetOutcome<'_>, StageError> {
        SetOutcome::new(&self.truth, &self.predicted, classes, Some(&self.scores)).map_err(StageError::caused)
    }
}

fn sets(metrics: &[Metric], folds: &[Predicted], target: &Target, ctx: &Ctx<'_>) -> Result<Output, StageError> {
    let known = target.label_set.as_ref().ok_or_else(|| {
        StageError::failed("the rows have no sets of labels")
            .help("say in `ingest` how a cell holds several: `label: { column: COLUMN, multi: … }`")
    })?;
    let sets: FxHashMap<&str, &Vec<String>> = target.row_id.iter().map(String::as_str).zip(known).collect();
    let mut predicted = Vec::with_capacity(folds.len());
    for fold in folds {
        predicted.push(PredictedSets::from_table(&fold.table).map_err(StageError::caused)?);
    }
    let mut classes: Vec<String> =
        known.iter().flatten().chain(predicted.iter().flat_map(|p| &p.classes)).cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    let mut computed = Vec::new();
    let mut pooled = SetFold { truth: Vec::new(), predicted: Vec::new(), scores: Vec::new() };
    let mut scored = ScoredSets::default();
    scored.predictions.probabilities = predicted.iter().all(|predictions| predictions.probabilities);
    for (fold, predictions) in folds.iter().zip(predicted) {
        ctx.check()?;
        let truth = predictions
            .row_id
            .iter()
            .map(|row| sets.get(row.as_str()).map(|set| (*set).clone()).ok_or_else(|| unknown(row, "set of labels")));
        let truth = truth.collect::<Result<Vec<Vec<String>>, _>>()?;
        let one = SetFold::new(&predictions, &truth, &classes);
        let outcome = one.outcome(classes.len())?;
        computed.extend(metrics.iter().map(|metric| fold.metric(*metric, compute_sets(*metric, &outcome))));
        scored.fold.extend(std::iter::repeat_n(fold.number, truth.len()));
        scored.truth.extend(truth);
        scored.predictions.row_id.extend(predictions.row_id);
        scored.predictions.sets.extend(predictions.sets);
        pooled.truth.extend(one.truth);
        pooled.predicted.extend(one.predicted);
        pooled.scores.extend(one.scores);
    }
    let per_class = pooled.outcome(classes.len())?.per_class().into_iter().zip(&classes).map(|(of, class)| {
        ClassScore { class: class.clone(), precision: of.precision, recall: of.recall, f1: of.f1, support: of.support }
    });
    let per_class = classes_table(&per_class.collect::<Vec<_>>()).map_err(StageError::caused)?;
    scored.predictions.classes = classes;
    scored.predictions.scores = pooled.scores;
    let output =
        Output::new().table("classes", per_class).table("predictions", scored.to_table().map_err(StageError::caused)?);
    with_metrics(output, &computed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::stage::{Made, Part, Progress};
    use crate::table::scores;

    struct Quiet;

    impl Progress for Quiet {
        fn progress(&self, _: u64, _: u64, _: &'static str) {}
    }

    fn part(output: &Output, name: &str) -> RecordBatch {
        match output.parts.iter().find(|(part, _)| part == name) {
            Some((_, Made::Table(table))) => table.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn folds(tables: Vec<RecordBatch>) -> Vec<(FoldId, Parts)> {
        let of = |(fold, table): (usize, RecordBatch)| {
            let mut parts = Parts::default();
            parts.insert("predictions", Part::memory(table));
            (FoldId { repeat: 0, fold: fold as u32 }, parts)
        };
        tables.into_iter().enumerate().map(of).collect()
    }

    fn scored(wanted: &[Metric], tables: Vec<RecordBatch>, target: &Target) -> Result<Output, StageError> {
        let flag = AtomicBool::new(false);
        score(wanted, &folds(tables), target, &Ctx { seed: 0, cancelled: &flag, progress: &Quiet })
    }

    fn value(output: &Output, fold: u32, name: &str) -> Option<f64> {
        let metrics = scores::metrics(&part(output, "metrics")).unwrap();
        metrics.into_iter().find(|m| m.fold == fold && m.metric == name).unwrap().value
    }

    #[test]
    fn numbers_are_scored_fold_by_fold() {
        let target = Target {
            row_id: names(&["a", "b", "c", "d", "e"]),
            value: Some(vec![1.0, 2.0, 3.0, 4.0, 9.0]),
            ..Target::default()
        };
        let predicted = |ids: &[&str], value: &[f64]| {
            PredictedValues { row_id: names(ids), value: value.to_vec() }.to_table().unwrap()
        };
        let tables =
            vec![predicted(&["c", "a"], &[3.5, 1.0]), predicted(&["b", "d"], &[3.0, 3.0]), predicted(&["e"], &[8.0])];
        let output = scored(&[], tables.clone(), &target).unwrap();
        assert_eq!(value(&output, 0, "mean_absolute_error"), Some(0.25));
        assert!((value(&output, 0, "pearson").unwrap() - 1.0).abs() < 1e-12);
        // a constant has no correlation, and one row no R²
        assert_eq!(
            (value(&output, 1, "pearson"), value(&output, 1, "r2"), value(&output, 2, "r2")),
            (None, Some(0.0), None)
        );
        let pooled = ScoredValues::from_table(&part(&output, "predictions")).unwrap();
        assert_eq!((pooled.fold, pooled.truth), (vec![0, 0, 1, 1, 2], vec![3.0, 1.0, 2.0, 4.0, 9.0]));
        assert_eq!(output.rows, 5);
        assert!(!output.parts.iter().any(|(name, _)| name == "confusion" || name == "classes"));
        let error = scored(&[Metric::Accuracy], tables.clone(), &target).unwrap_err().to_string();
        assert_eq!(error, "the model predicts numbers, which `accuracy` does not measure");
        assert!(scored(&[], tables, &Target { value: None, ..target }).is_err());
    }

    #[test]
    fn sets_are_scored_over_all_classes() {
        let set = |set: &[&str]| names(set);
        let target = Target {
            row_id: names(&["a", "b", "c"]),
            label_set: Some(vec![set(&["joy", "rage"]), set(&[]), set(&["new"])]),
            ..Target::default()
        };
        let predicted = |ids: &[&str], sets: Vec<Vec<String>>, scores: &[f64]| PredictedSets {
            row_id: names(ids),
            classes: names(&["joy", "rage"]),
            sets,
            scores: scores.to_vec(),
            probabilities: true,
        };
        let tables = vec![
            predicted(&["a", "b"], vec![set(&["joy"]), set(&[])], &[0.9, 0.4, 0.1, 0.2]).to_table().unwrap(),
            predicted(&["c"], vec![set(&["rage"])], &[0.2, 0.7]).to_table().unwrap(),
        ];
        let output = scored(&[], tables, &target).unwrap();
        assert_eq!((value(&output, 0, "accuracy"), value(&output, 1, "accuracy")), (Some(0.5), Some(0.0)));
        assert_eq!(value(&output, 0, "hamming_loss"), Some(1.0 / 6.0));
        // `new`, which no fold learned, has no row in fold 0; in fold 1 it is the one class with a row, at the least score
        assert_eq!(
            (value(&output, 0, "average_precision"), value(&output, 1, "average_precision")),
            (Some(1.0), Some(1.0))
        );
        let classes = scores::classes(&part(&output, "classes")).unwrap();
        assert_eq!(
            classes.iter().map(|c| (c.class.as_str(), c.support)).collect::<Vec<_>>(),
            [("joy", 1), ("new", 1), ("rage", 1)]
        );
        let pooled = ScoredSets::from_table(&part(&output, "predictions")).unwrap();
        assert_eq!(pooled.predictions.scores[..3], [0.9, 0.0, 0.4]);
        assert_eq!(pooled.truth[2], names(&["new"]));
    }
}
