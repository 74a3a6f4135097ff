//! `fuseline verify`: computes a run again, from the same files and in a cache of its own, and holds all of it against the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tempfile::TempDir;

use super::args::MessageFormat;
use super::console::{out, say};
use super::context::Context;
use super::diff::{predictions, read, unreadable};
use super::exit::Exit;
use super::limits;
use crate::compare::{MetricChange, PredictionChanges, RunFolder, Whole, changes, diff, matched};
use crate::fetch::{Fetcher, Spec};
use crate::lock::{Coverage, Lock};
use crate::pack::{Form, PackError, unpack};
use crate::pipeline::{Choosing, Pipeline};
use crate::problem::{Problem, Problems};
use crate::record::{RunManifest, RunUnit, Status, Summary};
use crate::run::{Done, Listeners, Missing, Session, Wanted, write_folder};
use crate::stages::STAGES;
use crate::store::Store;
use crate::table::Digest;
use crate::ui::{Verbosity, count};

/// Between machines of different numeric classes, metrics may differ by this.
const METRIC_TOLERANCE: f64 = 0.002;
/// And this share of predictions may be others.
const PREDICTION_TOLERANCE: f64 = 0.01;

/// How deep below its folder the base of an unpacked run lies, so that `../` in a source stays inside.
const DEEP: usize = 12;

/// What the second run came to, held against the first.
#[derive(Debug, Serialize)]
struct Verdict {
    /// True if all bits are the same.
    same: bool,
    /// True if the run counts as repeated: the same bits, or on a machine of another class within the tolerances.
    repeated: bool,
    /// Numeric classes that differ: what of, then, now.
    numeric: Vec<(String, String, String)>,
    /// How many units were compared.
    units: usize,
    /// Those that gave other bytes, each after what it reads.
    differing: Vec<Differing>,
    /// `predictions.parquet`, byte by byte; `None` where the run has none.
    predictions_same: Option<bool>,
    /// The predictions that are others.
    predictions: Vec<PredictionChanges>,
    /// The metrics that are others.
    metrics: Vec<MetricChange>,
}

/// A unit that gave other bytes.
#[derive(Debug, Serialize)]
struct Differing {
    unit: String,
    /// Its tables that are others, or are there once only.
    parts: Vec<String>,
    /// Units that it reads and that differ are to blame first.
    first: bool,
}

/// A run folder that may be a temporary one.
struct Opened {
    run: RunFolder,
    /// Where relative paths start, if an archive came without such a place.
    base: Option<PathBuf>,
    /// Where its files are, if it brought them.
    files: Option<PathBuf>,
    /// Goes when the command ends.
    _folder: Option<TempDir>,
}

/// Runs the command.
pub(super) fn verify(context: &Context, path: &Path, base: Option<&Path>) -> Exit {
    match try_verify(context, path, base) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_verify(context: &Context, path: &Path, base: Option<&Path>) -> Result<Exit, Exit> {
    let opened = open(context, path)?;
    let run = &opened.run;
    let whole = run.whole().map_err(|error| unreadable(context, &error))?;
    if run.summary.status != Status::Complete {
        let problem = Problem::error("not-a-run", format!("the run in `{}` did not end well", run.name));
        context.tell(&problem.help("a run can be verified once it is complete: run it again").into());
        return Err(Exit::Usage);
    }
    let recorded = whole.manifest.base.clone().filter(|folder| folder.is_dir());
    let base = base.map(Path::to_path_buf).or(recorded).or(opened.base.clone());
    let base = base.unwrap_or_else(|| whole.folder.to_path_buf());
    let pipeline = pipeline(context, &whole, &run.summary, &base)?;
    let mut options = context.fetch_options();
    options.pins = pins(whole.lock);
    let fetcher = Fetcher::new(opened.files.clone().unwrap_or_else(|| context.files_dir.clone()), options);
    let temporary = tempfile::tempdir().map_err(|error| no_folder(context, &error))?;
    let cache = context.asked_cache.clone().unwrap_or_else(|| temporary.path().join("cache"));
    let display = context.display();
    let session = Session {
        pipeline: &pipeline,
        store: Store::open(&cache).map(Arc::new).map_err(|error| context.store_failed(&error))?,
        fetcher: &fetcher,
        options: limits::plain(context),
        listener: &Listeners(display.listeners()),
        cancelled: &context.cancelled,
    };
    let standing = session.standing(Missing::Fetched);
    let standing = standing.inspect_err(|_| display.clear()).map_err(|error| context.run_failed(&error))?;
    same_inputs(context, &whole, &standing.lock).inspect_err(|_| display.clear())?;
    let done = session.run(&Wanted::Everything);
    display.clear();
    let done = done.map_err(|error| context.run_failed(&error))?;
    match done.summary.status {
        Status::Complete => {}
        Status::Failed => return Err(Exit::StageFailed),
        Status::Interrupted => return Err(Exit::Partial),
    }
    let again = temporary.path().join("again");
    write_folder(&pipeline, &done, &again, Vec::new()).map_err(|error| context.run_failed(&error))?;
    let verdict = verdict(context, run, &whole, &done, &again)?;
    tell(context, run, &verdict);
    Ok(if verdict.repeated { Exit::Success } else { Exit::Integrity })
}

/// A run folder, or an archive unpacked.
fn open(context: &Context, path: &Path) -> Result<Opened, Exit> {
    if path.is_dir() || Form::of(path).is_none() {
        return Ok(Opened { run: read(context, path)?, base: None, files: None, _folder: None });
    }
    let folder = tempfile::tempdir().map_err(|error| no_folder(context, &error))?;
    unpack(path, folder.path()).map_err(|error| archive_failed(context, &error))?;
    let mut run = read(context, &folder.path().join("run"))?;
    run.name = path.display().to_string();
    let base = (0..DEEP).fold(folder.path().join("base"), |base, level| base.join(level.to_string()));
    let made = std::fs::create_dir_all(&base).and_then(|()| scaffold(run.lock.as_ref(), &base, folder.path()));
    made.map_err(|error| no_folder(context, &error))?;
    let files = Some(folder.path().join("files")).filter(|files| files.is_dir());
    Ok(Opened { run, base: Some(base), files, _folder: Some(folder) })
}

/// The folders in which local files lay: a model may be named by its folder, which is looked for before any file is.
fn scaffold(lock: Option<&Lock>, base: &Path, within: &Path) -> std::io::Result<()> {
    for source in lock.iter().flat_map(|lock| lock.files.keys()) {
        let local = Spec::parse(source, base).is_ok_and(|spec| spec.is_local());
        let path = Path::new(source.split('!').next().unwrap_or(source));
        let Some(folder) = path.parent().filter(|_| local && path.is_relative()) else { continue };
        let mut at = base.to_path_buf();
        for part in folder.components() {
            match part {
                std::path::Component::ParentDir => drop(at.pop()),
                std::path::Component::Normal(name) => at.push(name),
                _ => {}
            }
        }
        if at.starts_with(within) {
            std::fs::create_dir_all(&at)?;
        }
    }
    Ok(())
}

pub(super) fn archive_failed(context: &Context, error: &PackError) -> Exit {
    let (code, exit) = match error {
        PackError::Name(_) => ("usage", Exit::Usage),
        PackError::Io { .. } => ("io", Exit::Usage),
        PackError::Refused { .. } => ("not-a-run", Exit::Usage),
    };
    context.tell(&Problem::error(code, error.to_string()).into());
    exit
}

pub(super) fn no_folder(context: &Context, error: &std::io::Error) -> Exit {
    context.tell(&Problem::error("io", "no temporary folder can be made").because(error.to_string()).into());
    Exit::Usage
}

/// The pipeline as it was run: those of its variants that were.
pub(super) fn pipeline(context: &Context, whole: &Whole<'_>, summary: &Summary, base: &Path) -> Result<Pipeline, Exit> {
    let file = whole.folder.join("pipeline.yaml");
    let all = Choosing { most: usize::MAX, ..Choosing::default() };
    let mut pipeline = Pipeline::load_at(&file, base, &whole.manifest.sets, STAGES, &all).map_err(|problems| {
        context.tell(&problems);
        Exit::Usage
    })?;
    let lacking = summary.variants.iter().find(|known| !pipeline.variants.iter().any(|v| v.id == known.id));
    if let Some(lacking) = lacking {
        let said = format!("`{}` does not give the variant `{}` that was run", file.display(), lacking.id);
        let problem = Problem::error("not-a-run", said).because(format!(
            "it was run by version {}, and this is version {}; or the file was edited",
            summary.fuseline_version,
            env!("CARGO_PKG_VERSION")
        ));
        context.tell(&problem.into());
        return Err(Exit::Usage);
    }
    pipeline.variants.retain(|variant| summary.variants.iter().any(|known| known.id == variant.id));
    Ok(pipeline)
}

/// What a lock pins: files by their bytes, wherever they lie now.
pub(super) fn pins(lock: &Lock) -> BTreeMap<String, Option<String>> {
    lock.files.iter().map(|(source, by)| (source.clone(), by.strip_prefix("sha256:").map(str::to_owned))).collect()
}

/// An error unless the files and kinds are those of the run.
fn same_inputs(context: &Context, whole: &Whole<'_>, now: &Lock) -> Result<(), Exit> {
    let drift = whole.lock.drift(now, Coverage::Whole);
    if drift.is_empty() {
        return Ok(());
    }
    let told = drift.iter().map(|drift| Problem::error("input-changed", drift.said())).collect();
    let mut problems = Problems(told);
    if let Some(last) = problems.0.last_mut() {
        last.notes
            .push(format!("`{}` was made from something else, so there is nothing to compare", whole.folder.display()));
        last.help.push("`fuseline pack RUN --with-data` keeps a run together with what it read".to_owned());
    }
    context.tell(&problems);
    Err(Exit::Integrity)
}

fn verdict(context: &Context, run: &RunFolder, whole: &Whole<'_>, done: &Done, again: &Path) -> Result<Verdict, Exit> {
    let second = read(context, again)?;
    let differing = differing(whole.manifest, &done.manifest);
    let (bytes, other) = (predictions_bytes(whole.folder), predictions_bytes(again));
    let recorded = whole.manifest.predictions.clone();
    let intact = bytes.as_ref().map(|bytes| Digest::of(bytes).to_string()) == recorded;
    let predictions_same = (bytes.is_some() || other.is_some() || !intact).then(|| bytes == other && intact);
    let mut predicted = Vec::new();
    if predictions_same == Some(false)
        && let (Some(one), Some(two)) = (predictions(context, run)?, predictions(context, &second)?)
    {
        let renamed = matched(&run.summary, &second.summary);
        predicted = changes(&one, &two, &renamed, &|_| None).unwrap_or_default();
        predicted.retain(|changes| !changes.is_same());
    }
    let metrics = diff(run, &second, &|_| None).metrics;
    let numeric: Vec<(String, String, String)> = whole
        .lock
        .numeric
        .iter()
        .filter_map(|(name, then)| {
            let now = done.standing.lock.numeric.get(name).filter(|now| *now != then)?;
            Some((name.clone(), then.clone(), now.clone()))
        })
        .collect();
    let same = differing.is_empty() && predictions_same != Some(false) && metrics.is_empty();
    let near = metrics.iter().all(|change| change.delta.is_some_and(|delta| delta.abs() <= METRIC_TOLERANCE))
        && predicted.iter().all(|changes| changes.gone + changes.new == 0 && changes.rate <= PREDICTION_TOLERANCE)
        && (intact && bytes.is_some() == other.is_some());
    Ok(Verdict {
        same,
        repeated: same || (!numeric.is_empty() && near),
        numeric,
        units: whole.manifest.units.len(),
        differing,
        predictions_same,
        predictions: predicted,
        metrics,
    })
}

fn predictions_bytes(folder: &Path) -> Option<Vec<u8>> {
    std::fs::read(folder.join("predictions.parquet")).ok()
}

/// The units that gave other bytes, in the order of the first run. The first that differs has nothing before it to blame.
fn differing(before: &RunManifest, after: &RunManifest) -> Vec<Differing> {
    let place = |unit: &RunUnit| (unit.stage.clone(), unit.phase.clone(), unit.fold, unit.variants.clone());
    let known: BTreeMap<_, &RunUnit> = after.units.iter().map(|unit| (place(unit), unit)).collect();
    let mut all: Vec<Differing> = Vec::new();
    for unit in &before.units {
        let other = known.get(&place(unit)).map(|other| &other.parts);
        let mut parts: Vec<String> = unit.parts.keys().cloned().collect();
        parts.extend(other.into_iter().flat_map(|parts| parts.keys().cloned()));
        parts.sort();
        parts.dedup();
        parts.retain(|part| unit.parts.get(part) != other.and_then(|parts| parts.get(part)));
        if !parts.is_empty() {
            all.push(Differing { unit: unit.title(), parts, first: all.is_empty() });
        }
    }
    all
}

fn tell(context: &Context, run: &RunFolder, verdict: &Verdict) {
    if context.format == MessageFormat::Json {
        out(format!("{}\n", serde_json::json!({ "event": "verified", "run": run.name, "verdict": verdict })).as_bytes());
        return;
    }
    let mut problems = Problems::default();
    for (name, then, now) in &verdict.numeric {
        let said = format!("this machine is of another numeric class ({name}): `{then}` then, `{now}` now");
        let note = format!(
            "last bits may differ; metrics may by {METRIC_TOLERANCE}, predictions in {}% of rows",
            PREDICTION_TOLERANCE * 100.0
        );
        problems.push(Problem::warning("not-repeated", said).note(note));
    }
    if !verdict.same {
        problems.push(difference(verdict));
    }
    if !problems.0.is_empty() {
        context.tell(&problems);
    }
    if verdict.repeated && context.look.verbosity > Verbosity::Quiet {
        let how = if verdict.same { "the same bits" } else { "the same within the tolerances" };
        let predictions = if verdict.predictions_same.is_some() { ", predictions and metrics" } else { "" };
        say(&format!("{}: repeated, {how}: {} units{predictions}", run.name, count(verdict.units as u64)));
    }
}

/// What differs first, and how far it reaches.
fn difference(verdict: &Verdict) -> Problem {
    let first = verdict.differing.first().map(|first| {
        let parts: Vec<String> = first.parts.iter().map(|part| format!("`{part}`")).collect();
        format!("{} gave other bytes in {}", first.unit, parts.join(", "))
    });
    let said = first.unwrap_or_else(|| match verdict.predictions_same {
        Some(false) => "every unit gave the same bytes, but `predictions.parquet` is not what it was".to_owned(),
        _ => "every unit gave the same bytes, but metrics in `summary.json` are not what they were".to_owned(),
    });
    let mut problem = match verdict.repeated {
        true => Problem::warning("not-repeated", said),
        false => Problem::error("not-repeated", said),
    };
    if verdict.differing.len() > 1 {
        let others = verdict.differing.iter().skip(1).take(3).map(|other| other.unit.clone());
        let more = verdict.differing.len().saturating_sub(4);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        problem = problem.note(format!("so did, after it, {}{more}", others.collect::<Vec<_>>().join(", ")));
    }
    for change in verdict.metrics.iter().take(5) {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
        let label = if change.label.is_empty() { String::new() } else { format!(" of `{}`", change.label) };
        problem = problem.note(format!("`{}`{label}: {} → {}", change.metric, number(change.old), number(change.new)));
    }
    for changes in &verdict.predictions {
        let (changed, rows) = (count(changes.changed), count(changes.rows));
        problem = problem.note(format!("{changed} of {rows} predictions of variant `{}` are others", changes.variant));
    }
    problem
}
