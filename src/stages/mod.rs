//! Which kinds of stage are there? One file each (a folder where it outgrows one), one line each in [`STAGES`].

mod analysis;
mod clean;
mod cross_validate;
mod embed;
mod encode;
mod fuse;
mod ingest;
pub mod ledger;
mod lexicon;
mod reduce;
pub mod report;
mod scale;
mod select;
mod tfidf;
mod tokenize;
mod train;

use crate::ml::{METRICS, Metric, Task};
use crate::problem::{Problem, suggest};
use crate::stage::{Kind, Scope};

pub use train::baseline;

/// Every kind, in the order in which a pipeline meets them.
pub static STAGES: &[Kind] = &[
    Kind::of::<ingest::Ingest>(),
    Kind::of::<clean::Clean>(),
    Kind::of::<tokenize::Tokenize>(),
    Kind::of::<tfidf::Tfidf>(),
    Kind::of::<embed::Embed>(),
    Kind::of::<embed::Classify>(),
    Kind::of::<lexicon::Lexicon>(),
    Kind::of::<encode::Encode>(),
    Kind::of::<fuse::Fuse>(),
    Kind::of::<scale::Scale>(),
    Kind::of::<select::Select>(),
    Kind::of::<reduce::Reduce>(),
    Kind::of::<train::Train>(),
    Kind::of::<train::Ensemble>(),
    Kind::of::<train::Calibrate>(),
    Kind::of::<train::Threshold>(),
    Kind::of::<train::Tune>(),
    Kind::of::<cross_validate::CrossValidate>(),
    Kind::of::<report::Report>(),
];

/// The kind called `name`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    STAGES.iter().find(|kind| kind.name == name)
}

/// What a model says of a row.
fn said(task: Task) -> &'static str {
    match task {
        Task::Classes => "classes",
        Task::Sets => "sets of classes",
        Task::Values => "numbers",
    }
}

/// Why `metric` says nothing of what a model predicts, if it does not: what is wrong, and what to do.
fn idle_metric(metric: Metric, task: Task) -> Option<(String, String)> {
    if metric.measures(task) {
        return None;
    }
    let what = said(task);
    let fitting = METRICS.iter().filter(|(_, metric, _)| metric.measures(task)).map(|(name, ..)| format!("`{name}`"));
    let message = format!("the model predicts {what}, which `{}` does not measure", metric.name());
    Some((message, format!("metrics of {what} are {}", fitting.collect::<Vec<_>>().join(", "))))
}

/// Complains about a metric that there is not, named by the parameter at `param`.
fn unknown_metric(name: &str, param: &[&str], at: &Scope<'_>) -> Problem {
    let names: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
    let mut problem = at.problem("unknown-metric", param, format!("there is no metric `{name}`"));
    if let Some(near) = Metric::meant_by(name).or_else(|| suggest(name, names.iter().copied())) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    problem.note(format!("the metrics are {}", names.join(", ")))
}
