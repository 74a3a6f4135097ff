//! What do the report's own tests look at? Small runs built in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use crate::record::{
    ClassSummary, Comparison, ComparisonMethod, Evaluation, InputSummary, IntervalMethod, LEVEL, MetricSummary,
    ModelSummary, Outcome, Results, Rival, ScoredOn, Status, Summary, Totals, UnitSummary, VariantSummary, Verdict,
    WinShare,
};
use crate::stage::{Part, Parts};
use crate::table::predictions::{Predictions, Scored};
use crate::table::target::Target;

/// A metric from its folds, with an interval of one standard deviation.
pub(super) fn metric(folds: &[f64], higher_is_better: bool) -> MetricSummary {
    let n = folds.len() as f64;
    let mean = folds.iter().sum::<f64>() / n;
    let std = (folds.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let several = folds.len() > 1;
    MetricSummary {
        mean: Some(mean),
        std: several.then_some(std),
        folds: folds.iter().copied().map(Some).collect(),
        estimate: Some(mean),
        ci95: several.then_some([mean - std, mean + std]),
        ci95_method: several.then_some(IntervalMethod::Bootstrap),
        higher_is_better,
    }
}

/// A variant of two classes with an accuracy in each fold.
pub(super) fn variant(label: &str, folds: &[f64]) -> VariantSummary {
    let class = |class: &str| ClassSummary { class: class.into(), precision: 0.8, recall: 0.7, f1: 0.75, support: 10 };
    VariantSummary {
        id: format!("{:0>12}", label.len()),
        label: label.into(),
        params: BTreeMap::from([("features".to_owned(), label.into())]),
        evaluation: "scores".into(),
        rows: 20,
        scored_on: Some(ScoredOn { rows: "0123".into(), folds: "4567".into() }),
        metrics: BTreeMap::from([("accuracy".to_owned(), metric(folds, true))]),
        chosen: Vec::new(),
        classes: vec![class("negative"), class("positive")],
        confusion: vec![vec![8, 2], vec![3, 7]],
    }
}

/// Two variants of a run compared by accuracy: the interval reaches a point to either side.
pub(super) fn comparison(run: &Summary, a: usize, b: usize, difference: f64, p: f64) -> Comparison {
    let rival =
        |at: usize| Rival { variant: run.variants[at].id.clone(), evaluation: run.variants[at].evaluation.clone() };
    Comparison {
        metric: "accuracy".into(),
        a: rival(a),
        b: rival(b),
        rows: 200,
        difference,
        ci95: Some([difference - 0.01, difference + 0.01]),
        p: Some(p),
        p_adjusted: Some(p),
        family: 3,
        method: ComparisonMethod::McnemarMidP,
        widened: 1.5,
        wins: Some(WinShare { a: 30, b: 10, share: 0.75, ci95: [0.598, 0.858] }),
        verdict: if p <= LEVEL { Verdict::Better } else { Verdict::Level },
        sentence: String::new(),
    }
}

/// A unit of the phase `fit`.
pub(super) fn unit(stage: &str, fold: Option<u32>, outcome: Outcome, seconds: f64) -> UnitSummary {
    UnitSummary {
        stage: stage.into(),
        kind: "tfidf".into(),
        phase: "fit".into(),
        fold,
        inner: Vec::new(),
        variants: Vec::new(),
        outcome,
        seconds,
        rows: 20,
        remembered: 0,
        key: None,
        facts: BTreeMap::new(),
    }
}

/// A complete run of these variants.
pub(super) fn summary(variants: Vec<VariantSummary>) -> Summary {
    Summary {
        name: "film-sentiment".into(),
        fuseline_version: "0.1.0".into(),
        status: Status::Complete,
        numeric: BTreeMap::new(),
        seed: 42,
        selection: None,
        ranked_by: None,
        variants,
        comparisons: Vec::new(),
        best: Vec::new(),
        baselines: Vec::new(),
        against_baselines: Vec::new(),
        not_compared: Vec::new(),
        contributions: Vec::new(),
        learning_curves: Vec::new(),
        importances: Vec::new(),
        units: vec![unit("tfidf", Some(0), Outcome::Ran, 1.5), unit("tfidf", Some(1), Outcome::Reused, 1.25)],
        totals: Totals { ran: 1, reused: 1, failed: 0, skipped: 0, seconds: 1.75 },
        inputs: vec![InputSummary { source: "films.csv".into(), digest: "sha256:0123".into(), rows: 20 }],
        models: vec![ModelSummary { id: "tiny/model.safetensors".into(), digest: "sha256:4567".into() }],
        data: Vec::new(),
        expectations: Vec::new(),
        warnings: vec!["2 texts were cut at 256 tokens".into()],
    }
}

/// A row: id, fold, label, predicted, a score for each of two classes.
pub(super) type Row = (&'static str, u32, &'static str, &'static str, [f64; 2]);

/// Scored predictions.
pub(super) fn scored_rows(classes: &[&str], rows: &[Row], probabilities: bool) -> Scored {
    Scored {
        fold: rows.iter().map(|r| r.1).collect(),
        label: rows.iter().map(|r| Some(r.2.to_owned())).collect(),
        predictions: Predictions {
            row_id: rows.iter().map(|r| r.0.to_owned()).collect(),
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
            predicted: rows.iter().map(|r| r.3.to_owned()).collect(),
            scores: rows.iter().flat_map(|r| r.4).collect(),
            probabilities,
        },
    }
}

/// An evaluation whose texts are `text of <row id>`.
pub(super) fn evaluation(variant: usize, scored: Scored) -> Evaluation {
    let texts = scored.predictions.row_id.iter().map(|id| format!("text of {id}")).collect();
    evaluation_of(variant, &scored, texts)
}

/// An evaluation with its texts, in the order of the predictions.
pub(super) fn evaluation_of(variant: usize, scored: &Scored, texts: Vec<String>) -> Evaluation {
    with_texts(variant, scored.to_table().unwrap(), scored.predictions.row_id.clone(), texts)
}

/// An evaluation of any predictions, whose texts are `text of <row id>`.
pub(super) fn evaluation_of_table(variant: usize, predictions: RecordBatch, ids: &[&str]) -> Evaluation {
    let texts = ids.iter().map(|id| format!("text of {id}")).collect();
    with_texts(variant, predictions, ids.iter().map(|id| (*id).to_owned()).collect(), texts)
}

fn with_texts(variant: usize, predictions: RecordBatch, ids: Vec<String>, texts: Vec<String>) -> Evaluation {
    let ids: ArrayRef = Arc::new(StringArray::from(ids));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let table = RecordBatch::try_from_iter([("row_id", ids), ("text", texts)]).unwrap();
    let mut rows = Parts::default();
    rows.insert("text", Part::memory(table));
    let mut scores = Parts::default();
    scores.insert("predictions", Part::memory(predictions));
    Evaluation { variant, scores, rows }
}

/// What a report is made from.
pub(super) fn results(summary: &Summary, evaluations: Vec<Evaluation>) -> Results<'_> {
    Results { summary, pipeline: "name: film-sentiment\nstages: {}\n", file: "films.yaml", evaluations }
}

/// A run whose every name and text tries to be markup.
pub(super) fn hostile() -> (Summary, Vec<Evaluation>) {
    const EVIL: &str = "<script>alert('x')</script> | `b` **c** [d](e) \u{202e}f\"onload=\"g\0\n# h";
    let mut run = summary(vec![variant(EVIL, &[0.5, 0.6])]);
    run.name = EVIL.into();
    run.variants[0].evaluation = EVIL.into();
    run.variants[0].classes[0].class = EVIL.into();
    run.variants[0].metrics.insert(EVIL.into(), metric(&[0.1], true));
    run.units = vec![unit(EVIL, Some(0), Outcome::Failed, 1.0)];
    run.units[0].kind = EVIL.into();
    run.status = Status::Failed;
    run.inputs[0].source = EVIL.into();
    run.models[0].id = EVIL.into();
    run.warnings = vec![EVIL.into()];
    let rows = [(EVIL, 0, EVIL, "y", [0.1, 0.9]), ("near", 0, EVIL, EVIL, [0.9, 0.1])];
    let scored = scored_rows(&[EVIL, "y"], &rows, true);
    let mut evaluation = evaluation_of(0, &scored, vec![EVIL.repeat(20), EVIL.repeat(9)]);
    let target =
        Target { row_id: scored.predictions.row_id.clone(), label: Some(scored.label.clone()), ..Target::default() };
    evaluation.rows.insert("target", Part::memory(target.to_table().unwrap()));
    (run, vec![evaluation])
}
