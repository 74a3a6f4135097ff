//! What did a run do, and what came out? The types of `summary.json`, and what a report is made from.

mod compared;
mod contribution;
mod data;
mod findings;
mod importance;
mod measures;
mod tables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stage::{Baseline, Parts};

pub use compared::*;
pub use contribution::*;
pub use data::*;
pub use findings::findings;
pub(crate) use findings::{number, share};
pub use importance::*;
pub use measures::{Bound, Count, Found, Looks, MEASURES, Measure, Op};
pub use tables::{DataTable, SameRows, caption, same_rows, tables};

/// `summary.json`: what ran, what came out, from what.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The pipeline's name.
    pub name: String,
    /// The version of Fuseline that ran it.
    pub fuseline_version: String,
    /// How the run ended.
    pub status: Status,
    /// The pipeline's seed.
    pub seed: u64,
    /// What the run was restricted to; absent if it was about all variants of the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// The metric that ranks the variants, where a report names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranked_by: Option<String>,
    /// The classes of the machine where bits depend on it: `libm`, `simd`.
    #[serde(default)]
    pub numeric: BTreeMap<String, String>,
    /// One entry for each variant and evaluation, in the file's order.
    pub variants: Vec<VariantSummary>,
    /// The best variant by each metric against each other that was scored on the same rows and folds.
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
    /// What the best of several is worth, by metric.
    #[serde(default)]
    pub best: Vec<BestOf>,
    /// Guesses that ran beside the variants, on the same rows and folds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<BaselineSummary>,
    /// The best variant by each metric against the strongest of the guesses beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against_baselines: Vec<AgainstBaseline>,
    /// Variants that are not compared with the first ones, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<NotCompared>,
    /// What each input of a stage with `ablate` adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<Contribution>,
    /// Scores over numbers of training rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning_curves: Vec<LearningCurve>,
    /// What the models look at, for each variant whose evaluation asks (`importance`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub importances: Vec<Importance>,
    /// Every unit of the plan.
    pub units: Vec<UnitSummary>,
    /// Counts over `units`.
    pub totals: Totals,
    /// The data files read.
    pub inputs: Vec<InputSummary>,
    /// The model files read.
    pub models: Vec<ModelSummary>,
    /// What the rows are like: one entry for each frame of texts and evaluation of it.
    #[serde(default)]
    pub data: Vec<DataSummary>,
    /// What the pipeline expects of its data, and whether it is so.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
    /// What a person should know about the numbers.
    pub warnings: Vec<String>,
}

/// Something that the pipeline expects of its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// As `expect` names it: `duplicates_across_splits`, `test.rows`.
    pub name: String,
    /// The bound: `<= 0`, `< 1%`.
    pub bound: String,
    /// True if it is so; `null` where the rows were not counted.
    pub held: Option<bool>,
    /// What is not so, the worst first.
    pub broken: Vec<String>,
    /// Keys of `examples` of the rows to look at.
    pub examples: Vec<String>,
}

/// A restriction to some of a pipeline's variants: `--variant`, `--partition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// Labels, ids or settings of axes, as they were asked for.
    pub variants: Vec<String>,
    /// One shard of several: `hash:2/4`.
    pub partition: Option<String>,
    /// How many variants were selected.
    pub selected: u64,
    /// How many the pipeline has.
    pub of: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was done.
    Complete,
    /// A unit failed; with `--keep-going`, what did not depend on it is done.
    Failed,
    /// Stopped by the user; the same command resumes.
    Interrupted,
}

impl Summary {
    /// True for a variant that trains on fewer rows than another point of its learning curve. It is no candidate for the best: what it
    /// would be chosen against is itself with more rows.
    pub fn has_fewer_rows(&self, variant: &VariantSummary) -> bool {
        let curves = || self.learning_curves.iter().filter(|curve| curve.evaluation == variant.evaluation);
        let of = |id: &str| self.variants.iter().find(|one| one.id == id && one.evaluation == variant.evaluation);
        let points = curves().flat_map(|curve| curve.points.iter().map(move |point| (curve, point)));
        let Some((curve, most)) = points.max_by_key(|(_, point)| point.train_rows) else { return false };
        let value = of(&most.variant).and_then(|most| most.params.get(&curve.axis));
        let on_curve = curves().flat_map(|curve| &curve.points).any(|point| point.variant == variant.id);
        on_curve && value.is_some() && variant.params.get(&curve.axis) != value
    }
}

/// One variant's scores.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VariantSummary {
    /// Hash of the resolved pipeline (12 hexadecimal digits).
    pub id: String,
    /// For people: `c=1,features=both`; empty for the only variant of a pipeline.
    pub label: String,
    /// The axes' values: axis name → value (or its label).
    pub params: BTreeMap<String, Value>,
    /// The stage that scored it.
    pub evaluation: String,
    /// Rows that were scored (over all folds of one repeat).
    pub rows: u64,
    /// What they were; `null` if the variant did not finish.
    #[serde(default)]
    pub scored_on: Option<ScoredOn>,
    /// By metric name; empty if the variant did not finish.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// What searches (`tune`) chose, fold by fold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<Chosen>,
    /// Per class, pooled over all folds.
    pub classes: Vec<ClassSummary>,
    /// Counts, pooled over all folds: rows are true classes, columns predicted ones, in the order of `classes`.
    pub confusion: Vec<Vec<u64>>,
}

/// What a search chose in one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chosen {
    /// The searching stage's id.
    pub stage: String,
    /// The fold, counted from 0 over all repeats.
    pub fold: u32,
    /// The values of the candidate that was taken, by path.
    pub params: BTreeMap<String, Value>,
    /// The metric that decided.
    pub metric: String,
    /// Its mean over the folds of the training rows.
    pub score: f64,
    /// Which candidate was taken.
    #[serde(default)]
    pub rule: ChoiceRule,
    /// The mean of the best candidate, where `rule` is not to take just that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_score: Option<f64>,
    /// The standard error of the best candidate's mean, where `rule` goes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std_error: Option<f64>,
}

/// Which of several candidates a search takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceRule {
    /// The best mean over the folds of the training rows.
    #[default]
    Best,
    /// The first whose mean is within one standard error of the best.
    OneStandardError,
}

/// One metric over the folds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MetricSummary {
    /// Mean over folds; `null` where the metric is undefined in every fold.
    pub mean: Option<f64>,
    /// Sample standard deviation over folds (ddof = 1); `null` for fewer than two.
    pub std: Option<f64>,
    /// The value in each fold, in order.
    pub folds: Vec<Option<f64>>,
    /// What `ci95` is about: the mean over repeated folds, else the score of all held-out rows together (areas under curves and correlations:
    /// the mean of the folds).
    #[serde(default)]
    pub estimate: Option<f64>,
    /// 95% interval of `estimate`; `null` where none can be told.
    pub ci95: Option<[f64; 2]>,
    /// How the interval was made.
    #[serde(default)]
    pub ci95_method: Option<IntervalMethod>,
    /// True if more is better.
    pub higher_is_better: bool,
}

impl MetricSummary {
    /// What ranks, is shown and is compared: what the interval is about, or the mean where the predictions tell none.
    pub fn score(&self) -> Option<f64> {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        finite(self.estimate).or(finite(self.mean))
    }
}

/// One class's scores, pooled over all folds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClassSummary {
    /// The class.
    pub class: String,
    /// Precision.
    pub precision: f64,
    /// Recall.
    pub recall: f64,
    /// F1.
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
}

/// What became of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran and its artifact was kept.
    Ran,
    /// Its artifact was in the store.
    Reused,
    /// It failed.
    Failed,
    /// It did not run, because something it needs failed or the run was stopped.
    Skipped,
}

/// One unit of the plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UnitSummary {
    /// The stage's id (of the first variant that needs the unit); `scores:majority` is a baseline beside the evaluation `scores`.
    pub stage: String,
    /// The stage's kind.
    pub kind: String,
    /// `run`, `split`, `fit`, `apply`, `score`, `shuffle`, `weigh`, `importance`, `survey`, `profile` or `ledger`.
    pub phase: String,
    /// The fold, counted from 0 over all repeats (repeat × folds + fold); `null` outside folds.
    pub fold: Option<u32>,
    /// The folds of that fold's training rows that it stands in, the outermost first, from 0; empty for most units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<u32>,
    /// Ids of the variants that share it.
    pub variants: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Seconds it took when it ran (for a reused unit: when it was made).
    pub seconds: f64,
    /// Rows made.
    pub rows: u64,
    /// Of these, rows that a unit which ran found remembered and did not compute.
    #[serde(default)]
    pub remembered: u64,
    /// Its identity; `null` if it never got as far.
    pub key: Option<String>,
    /// Counts and findings: rows dropped, tokens cut, iterations …
    pub facts: BTreeMap<String, Value>,
}

impl UnitSummary {
    /// True if it is of a baseline, and so no part of a variant.
    pub fn of_baseline(&self) -> bool {
        Baseline::is_stage(&self.stage)
    }
}

/// Counts over all units.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Units that ran.
    pub ran: u64,
    /// Units found in the store.
    pub reused: u64,
    /// Units that failed.
    pub failed: u64,
    /// Units that could not run.
    pub skipped: u64,
    /// Wall-clock seconds of the whole run.
    pub seconds: f64,
}

/// A data file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InputSummary {
    /// As the pipeline names it.
    pub source: String,
    /// `sha256:` and 64 hexadecimal digits, of the file (for a member of an archive: of the archive).
    pub digest: String,
    /// Rows read from it.
    pub rows: u64,
}

/// A model file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ModelSummary {
    /// Model and file: `all-minilm-l6-v2/model.safetensors`.
    pub id: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// The form of `manifest.json`.
pub const MANIFEST_FORMAT: u32 = 1;

/// `manifest.json`: what each unit of a run made, so that the run can be repeated and compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// The form of the file.
    pub format: u32,
    /// The pipeline file, as typed.
    pub file: String,
    /// The folder where the pipeline's relative paths start; `None` in an archive, which goes elsewhere.
    pub base: Option<PathBuf>,
    /// `--set` flags that `pipeline.yaml` does not show: those that gave axes of its matrix other values.
    #[serde(default)]
    pub sets: Vec<String>,
    /// The digest of `predictions.parquet`.
    pub predictions: Option<String>,
    /// The digest of all that decided its bytes; where a run would write it from the same, it stays.
    #[serde(default)]
    pub predictions_from: Option<String>,
    /// The units that were done, each after what it reads.
    pub units: Vec<RunUnit>,
}

/// What a unit made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunUnit {
    /// The stage's id.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// `run`, `split`, `fit`, `apply` or `score`.
    pub phase: String,
    /// The fold, counted from 0 over all repeats.
    pub fold: Option<u32>,
    /// The folds of that fold's training rows that it stands in, the outermost first, from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<u32>,
    /// Ids of the variants that share it.
    pub variants: Vec<String>,
    /// Its identity.
    pub key: String,
    /// The digest of each of its tables.
    pub parts: BTreeMap<String, String>,
}

impl RunUnit {
    /// `tfidf` fit fold 3.
    pub fn title(&self) -> String {
        let phase = if self.phase == "run" { String::new() } else { format!(" {}", self.phase) };
        let fold = self.fold.map_or_else(String::new, |fold| format!(" fold {}", fold + 1));
        let inner: String = self.inner.iter().map(|inner| format!(".{}", inner + 1)).collect();
        format!("`{}`{phase}{fold}{inner}", self.stage)
    }
}

/// What a report is made from.
pub struct Results<'a> {
    /// What goes into `summary.json`.
    pub summary: &'a Summary,
    /// The pipeline as it was run (YAML).
    pub pipeline: &'a str,
    /// Where the pipeline came from, as typed.
    pub file: &'a str,
    /// One for each entry of `summary.variants` that has scores.
    pub evaluations: Vec<Evaluation>,
}

/// One variant's rows and out-of-fold predictions.
pub struct Evaluation {
    /// Index into `summary.variants`.
    pub variant: usize,
    /// The scores artifact: `metrics`, `classes`, `confusion`, `predictions`.
    pub scores: Parts,
    /// The rows that were scored: `text` and `target`, and `together` where folds kept copies of a text together.
    pub rows: Parts,
}
