//! How good is a model on rows it has not seen? Divides the rows into folds and scores what the folds predicted.
//!
//! It calls no stage: the planner lifts everything that learns into the folds made here.

mod classes;
mod cut;
mod groups;
mod score;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};

use super::{idle_metric, said, unknown_metric};
use crate::ml::{Folds, FoldsError, Metric, MetricNeeds, Rng, group_k_fold, k_fold, predefined, stratified_k_fold};
use crate::problem::Problems;
use crate::stage::{
    Arity, Baseline, Ctx, Evaluate, FoldId, Numeric, Outlook, Output, Parts, Port, Refusal, Says, Scope, Stage, StageError,
    StageKind, Unfit, Work, elided,
};
use crate::table::target::Target;

use cut::{Like, TrainRows};
use groups::Copies;

/// The kind `cross_validate`.
pub(super) struct CrossValidate;

/// Scores a model on held-out rows: k folds (stratified, unless told otherwise), the folds of a column, or a hold-out split.
/// Everything that learns, wherever it stands in the file, learns inside each fold from its training rows alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// How many folds, 5 unless set; or `given`: the fold column that `ingest` read (rows without a fold, or in fold -1, are trained on in every fold).
    folds: Option<FoldCount>,
    /// Train on the rows of the split `train` and score on those of this split, instead of making folds.
    holdout: Option<String>,
    /// Keep each class's share equal in all folds: true unless set. Rows that have no class (a value alone, or a set of labels) are divided plainly.
    stratify: Option<bool>,
    /// Shuffle before dividing: true unless set.
    shuffle: Option<bool>,
    /// Keep copies of a text in one fold, so that none is tested by a model that has seen it: `exact` or `true` (byte for byte),
    /// `folded` (but for case and punctuation), `near` (nearly the same, by MinHash), or `false`.
    group_duplicates: Copies,
    /// Divide this many times, each time anew.
    #[schemars(range(min = 1, max = 100))]
    repeats: u32,
    /// Train on at most so many of a fold's training rows; `all` unless set. They are drawn by the seed for each fold, classes keep their
    /// shares (with `stratify`), groups stay whole, the rows of a smaller number are among those of a larger one, and what is held
    /// out is the same. `curve: { train_rows: [100, 300, all] }` beside `with` scores with each.
    train_rows: TrainRows,
    /// The metrics to compute, of those that measure what the model predicts: classes, sets of labels or numbers. Those that need probabilities are left out for learners that have none.
    metrics: Option<Vec<String>>,
    /// Guesses that run beside the model on the same rows and folds, so that its scores can be held against them; all that say what the
    /// model says, unless some are named. `[]`: none. They change nothing that the model makes.
    baselines: Option<Vec<Baseline>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FoldCount {
    Given,
    Made(u32),
}

const COUNT: &str = "must be a whole number from 2 to 1000, or `given`";

impl Serialize for FoldCount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            FoldCount::Given => to.serialize_str("given"),
            FoldCount::Made(folds) => to.serialize_u32(*folds),
        }
    }
}

impl<'de> Deserialize<'de> for FoldCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(from)? {
            serde_json::Value::String(word) if word == "given" => Ok(FoldCount::Given),
            serde_json::Value::Number(number) => match number.as_u64() {
                Some(folds @ 2..=1000) => Ok(FoldCount::Made(folds as u32)),
                _ => Err(de::Error::custom(format!("{COUNT}, but is {number}"))),
            },
            other => Err(de::Error::custom(format!("{COUNT}, but is {other}"))),
        }
    }
}

impl JsonSchema for FoldCount {
    fn schema_name() -> Cow<'static, str> {
        "FoldCount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "integer", "minimum": 2, "maximum": 1000 }, { "const": "given" }] })
    }
}

impl Default for Params {
    fn default() -> Self {
        Params {
            folds: None,
            holdout: None,
            stratify: None,
            shuffle: None,
            group_duplicates: Copies::Unlooked,
            repeats: 1,
            train_rows: TrainRows::All,
            metrics: None,
            baselines: None,
        }
    }
}

/// How many folds, unless set.
const USUAL_FOLDS: FoldCount = FoldCount::Made(5);

impl StageKind for CrossValidate {
    const KIND: &'static str = "cross_validate";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "scores on held-out rows, fold by fold";
    const EXAMPLE: &'static str =
        "{ use: cross_validate, from: train, with: { folds: 5, metrics: [accuracy, f1_macro] } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        let mut metrics = Vec::new();
        for (index, name) in params.metrics.iter().flatten().enumerate() {
            match Metric::named(name) {
                Some(metric) if metrics.contains(&metric) => {
                    let problem = at.problem(
                        "duplicate-value",
                        &["metrics", &index.to_string()],
                        format!("`{name}` is named twice"),
                    );
                    problems.push(problem.help("keep one of the two"));
                }
                Some(metric) => metrics.push(metric),
                None => problems.push(unknown_metric(name, &["metrics", &index.to_string()], at)),
            }
        }
        if params.metrics.as_ref().is_some_and(Vec::is_empty) {
            problems.push(at.problem("out-of-range", &["metrics"], "`metrics` names no metric"));
        }
        let divide = match (&params.holdout, params.folds.unwrap_or(USUAL_FOLDS)) {
            (Some(split), _) => Divide::Holdout(split.clone()),
            (None, FoldCount::Given) => Divide::Given,
            (None, FoldCount::Made(folds)) => Divide::Made {
                folds,
                stratify: params.stratify.unwrap_or(true),
                shuffle: params.shuffle.unwrap_or(true),
                copies: params.group_duplicates,
                repeats: params.repeats,
            },
        };
        let cut = match params.train_rows {
            TrainRows::All => None,
            TrainRows::Most(rows) => Some(Cut { rows, stratify: params.stratify.unwrap_or(true) }),
        };
        idle(&params, &divide, at, &mut problems);
        if problems.any_error() {
            return Err(problems);
        }
        Ok(Work::Evaluate(Box::new(Evaluation { divide, cut, metrics, baselines: params.baselines })))
    }

    fn canonical(params: &Params) -> Value {
        let mut canonical = elided(params, &Params::default());
        if let Some(fields) = canonical.as_object_mut() {
            let usual = [("folds", json!(USUAL_FOLDS)), ("stratify", json!(true)), ("shuffle", json!(true))];
            fields.retain(|name, value| !usual.iter().any(|(known, default)| name == known && value == default));
            // they are units of their own
            fields.remove("baselines");
        }
        canonical
    }
}

/// Complains about parameters that say nothing beside others.
fn idle(params: &Params, divide: &Divide, at: &Scope<'_>, problems: &mut Problems) {
    let beside = match divide {
        Divide::Holdout(_) => "holdout",
        Divide::Given => "folds: given",
        Divide::Made { .. } => "shuffle: false",
    };
    let made = matches!(divide, Divide::Made { .. });
    let said = [
        ("folds", params.folds.is_some() && matches!(divide, Divide::Holdout(_))),
        ("stratify", params.stratify.is_some() && !made && params.train_rows == TrainRows::All),
        ("shuffle", params.shuffle.is_some() && !made),
        ("group_duplicates", params.group_duplicates != Copies::Unlooked && !made),
        ("repeats", params.repeats > 1 && !matches!(divide, Divide::Made { shuffle: true, .. })),
    ];
    for (name, _) in said.into_iter().filter(|(_, idle)| *idle) {
        let problem = at.problem("invalid-param", &[name], format!("`{name}` says nothing beside `{beside}`"));
        problems.push(problem.help("leave one of the two out"));
    }
}

const CALIBRATED: &str =
    "name a metric that needs none, put `calibrate` between, or train a learner with probabilities";

enum Divide {
    Made { folds: u32, stratify: bool, shuffle: bool, copies: Copies, repeats: u32 },
    Given,
    Holdout(String),
}

/// How training rows are made fewer.
#[derive(Debug, Clone, Copy)]
struct Cut {
    rows: u32,
    stratify: bool,
}

struct Evaluation {
    divide: Divide,
    cut: Option<Cut>,
    /// Those that were asked for; the usual ones if none were.
    metrics: Vec<Metric>,
    baselines: Option<Vec<Baseline>>,
}

impl Stage for Evaluation {
    fn numeric(&self) -> Numeric {
        Numeric::Libm
    }

    fn arity(&self) -> Arity {
        Arity::One
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Model] => Ok(Port::Scores),
            _ => Err(Refusal { input: 0, wants: "a model", fits: |port| port == Port::Model, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["predictions"]
    }

    fn seeded(&self) -> bool {
        self.cut.is_some() || matches!(self.divide, Divide::Made { shuffle: true, .. })
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        let Some(model) = of.model() else { return Ok(None) };
        for (at, metric) in self.metrics.iter().enumerate() {
            if let Some((message, help)) = idle_metric(*metric, model.task) {
                return Err(Unfit::param(&["metrics", &at.to_string()], message).help(help));
            }
        }
        let idle = |baseline: &&Baseline| !baseline.fits(model.task);
        if let Some(idle) = self.baselines.iter().flatten().find(idle) {
            let at = self.baselines.iter().flatten().position(|one| one == idle).unwrap_or_default();
            let fitting: Vec<String> = Baseline::of(model.task).map(|one| format!("`{}`", one.name())).collect();
            let message = format!("the model predicts {}, which `{}` does not guess", said(model.task), idle.name());
            let help = format!("baselines of it are {}", fitting.join(", "));
            return Err(Unfit::param(&["baselines", &at.to_string()], message).help(help));
        }
        let uncertain = |metric: &Metric| metric.needs() == MetricNeeds::Probabilities;
        if model.probabilities == Some(false) && !self.metrics.is_empty() && self.metrics.iter().all(uncertain) {
            let message = "all metrics need probabilities, and the model gives decision values";
            return Err(Unfit::param(&["metrics"], message).help(CALIBRATED));
        }
        Ok(None)
    }
}

impl Evaluate for Evaluation {
    fn folds(&self) -> Option<Vec<FoldId>> {
        match self.divide {
            Divide::Made { folds, repeats, .. } => {
                let all = (0..repeats).flat_map(|repeat| (0..folds).map(move |fold| FoldId { repeat, fold }));
                Some(all.collect())
            }
            Divide::Given => None,
            Divide::Holdout(_) => Some(vec![FoldId { repeat: 0, fold: 0 }]),
        }
    }

    fn baselines(&self) -> Option<&[Baseline]> {
        self.baselines.as_deref()
    }

    fn looks_at(&self) -> &'static [&'static str] {
        match self.divide {
            Divide::Made { copies: Copies::Exact | Copies::Folded, .. } => &["profile"],
            Divide::Made { copies: Copies::Near, .. } => &["profile", "near"],
            _ => &[],
        }
    }

    fn split(&self, parts: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let target = Target::from_table(&*parts.table("target")?).map_err(StageError::caused)?;
        let (mut output, mut masks) = match &self.divide {
            Divide::Made { .. } => self.made(&target, parts, ctx)?,
            Divide::Given => groups::held(&target, given(&target)?),
            Divide::Holdout(split) => groups::held(&target, vec![holdout(&target, split)?]),
        };
        if let Some(Cut { rows, stratify }) = self.cut {
            let classes = if stratify && target.label.is_some() { Some(class_indices(&target)?.1) } else { None };
            let groups = groups::of(&target, self.copies(), parts)?;
            let like = Like { groups: groups.as_deref(), classes: classes.as_deref() };
            for said in cut::cut(&mut masks, rows, &like, ctx.seed)? {
                output = output.warn(said);
            }
        }
        let trained: usize = masks.iter().map(|mask| mask.train.iter().filter(|on| **on).count()).sum();
        let trained = trained / masks.len().max(1);
        let per_repeat = match self.divide {
            Divide::Made { folds, .. } => folds as usize,
            _ => masks.len(),
        };
        let mut output = output.fact("folds", masks.len()).fact("train_rows", trained);
        for (number, mask) in masks.into_iter().enumerate() {
            let id = FoldId { repeat: (number / per_repeat) as u32, fold: (number % per_repeat) as u32 };
            output = output.table(id.part(), mask.table(&target.row_id)?);
        }
        Ok(output)
    }

    fn score(&self, folds: &[(FoldId, Parts)], target: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let target = Target::from_table(&*target.table("target")?).map_err(StageError::caused)?;
        score::score(&self.metrics, folds, &target, ctx)
    }
}

impl Evaluation {
    /// Which texts are copies of each other.
    fn copies(&self) -> Copies {
        match self.divide {
            Divide::Made { copies, .. } => copies,
            Divide::Given | Divide::Holdout(_) => Copies::Unlooked,
        }
    }

    /// Folds made here, repeat after repeat.
    fn made(&self, target: &Target, parts: &Parts, ctx: &Ctx<'_>) -> Result<(Output, Vec<Mask>), StageError> {
        let Divide::Made { folds, stratify, shuffle, copies, repeats } = self.divide else {
            return Ok((Output::new(), Vec::new()));
        };
        let mut rng = Rng::seeded(ctx.seed);
        let rows = target.row_id.len();
        // numbers and sets are no classes
        let classless = target.label.is_none() && (target.value.is_some() || target.label_set.is_some());
        let classes = if stratify && !classless { Some(class_indices(target)?) } else { None };
        let groups = groups::of(target, copies, parts)?;
        let mut output = Output::new();
        let mut masks = Vec::new();
        for repeat in 0..repeats {
            let seed = rng.next_u64();
            let labels = classes.as_ref().map(|(_, labels)| labels.as_slice());
            let made = match (&groups, labels) {
                (Some(groups), labels) => group_k_fold(groups, labels, folds as usize, shuffle, seed),
                (None, Some(labels)) => stratified_k_fold(labels, folds as usize, shuffle, seed),
                (None, None) => k_fold(rows, folds as usize, shuffle, seed),
            };
            let made = made.map_err(|error| refused(&error))?;
            if let Some((names, _)) = classes.as_ref().filter(|_| repeat == 0 && !made.rare.is_empty()) {
                let first = &made.rare[0];
                output = output.warn(format!(
                    "{} of {} classes {} fewer rows than there are folds (`{}` has {} of {folds}): some folds do not test them",
                    made.rare.len(),
                    names.len(),
                    if made.rare.len() == 1 { "has" } else { "have" },
                    names[first.class as usize],
                    first.rows
                ));
            }
            masks.extend((0..made.test.len()).map(|fold| Mask::of(&made, fold)));
        }
        Ok((output, masks))
    }
}

/// Which rows a fold trains on and which it tests.
struct Mask {
    train: Vec<bool>,
    test: Vec<bool>,
}

impl Mask {
    fn of(folds: &Folds, fold: usize) -> Mask {
        let mut test = vec![false; folds.rows];
        folds.test[fold].iter().for_each(|&row| test[row] = true);
        Mask::of_test(test)
    }

    /// Trains on all that it does not test.
    fn of_test(test: Vec<bool>) -> Mask {
        Mask { train: test.iter().map(|tested| !tested).collect(), test }
    }

    fn table(self, row_id: &[String]) -> Result<RecordBatch, StageError> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("row_id", Arc::new(StringArray::from_iter_values(row_id))),
            ("train", Arc::new(BooleanArray::from(self.train))),
            ("test", Arc::new(BooleanArray::from(self.test))),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, false));
        RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
    }
}

fn refused(error: &FoldsError) -> StageError {
    let param = match error {
        FoldsError::NoLabel { .. } => "stratify",
        _ => "folds",
    };
    StageError::failed(error.to_string()).at_param(&[param])
}

fn given(target: &Target) -> Result<Vec<Mask>, StageError> {
    let Some(column) = &target.fold else {
        return Err(StageError::failed("the rows have no fold column")
            .at_param(&["folds"])
            .help("name it in `ingest` (`fold: COLUMN`), or give a number of folds"));
    };
    let folds = predefined(column).map_err(|error| refused(&error))?;
    Ok((0..folds.test.len()).map(|fold| Mask::of(&folds, fold)).collect())
}

fn holdout(target: &Target, split: &str) -> Result<Mask, StageError> {
    let failed = |message: String| StageError::failed(message).at_param(&["holdout"]);
    let Some(column) = &target.split else {
        return Err(failed("the rows have no splits".to_owned()).help(
            "name the split column in `ingest` (`split: COLUMN`), or give `source` as a map from split to source",
        ));
    };
    if split == "train" {
        return Err(failed("the rows of `train` are trained on and cannot be held out".to_owned()));
    }
    let of = |name: &str| -> Vec<bool> { column.iter().map(|value| value.as_deref() == Some(name)).collect() };
    let mask = Mask { train: of("train"), test: of(split) };
    for (name, rows) in [("train", &mask.train), (split, &mask.test)] {
        if !rows.contains(&true) {
            let mut names: Vec<&str> = column.iter().flatten().map(String::as_str).collect();
            names.sort_unstable();
            names.dedup();
            return Err(failed(format!("no row is in the split `{name}`; the splits are {}", names.join(", "))));
        }
    }
    Ok(mask)
}

/// The classes in code-point order, and each row's; a column without any labels is an error.
fn class_indices(target: &Target) -> Result<(Vec<String>, Vec<Option<u32>>), StageError> {
    let Some(labels) = &target.label else {
        return Err(
            StageError::failed("the rows have no labels").help("name the label column in `ingest` (`label: COLUMN`)")
        );
    };
    let mut classes: Vec<String> = labels.iter().flatten().cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    let of = |label: &String| classes.binary_search(label).ok().map(|at| at as u32);
    let indices = labels.iter().map(|label| label.as_ref().and_then(of)).collect();
    Ok((classes, indices))
}
