//! What is a run held against? A baseline's file, a run folder, a summary, or what git has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::context::Context;
use super::diff;
use super::exit::Exit;
use super::usage;
use crate::gate::{Baseline, BaselineError, Side};
use crate::pipeline::Pipeline;
use crate::problem::Problem;
use crate::record::{Status, Summary};

/// A baseline, and what to call it.
pub(super) struct Held {
    pub(super) name: String,
    pub(super) side: Side,
}

/// Where `--update` writes: the file that was named, or the one beside the pipeline.
pub(super) fn target(pipeline: &Pipeline, named: Option<&str>) -> PathBuf {
    match named.map(Path::new) {
        Some(path) if path.extension().is_some_and(|ending| ending == "json") && !path.ends_with("summary.json") => {
            path.to_owned()
        }
        _ => Baseline::path_of(&pipeline.file),
    }
}

/// What becomes of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The run is held against it.
    Judged,
    /// It is written anew: one that cannot be read is no obstacle.
    Replaced,
}

/// The baseline that is named, or the one beside the pipeline if there is one.
pub(super) fn held(context: &Context, pipeline: &Pipeline, named: Option<&str>, of: Use) -> Result<Option<Held>, Exit> {
    let path = target(pipeline, named);
    let replaced = named.is_none_or(|named| Path::new(named) == path) && path.exists();
    if of == Use::Replaced
        && replaced
        && let Err(error) = Baseline::read(&path)
    {
        let problem = Problem::warning("no-baseline", error.to_string());
        context.tell(&problem.note("it is written anew from this run").into());
        return Ok(None);
    }
    let Some(named) = named else {
        let path = Baseline::path_of(&pipeline.file);
        return match Baseline::read(&path) {
            Ok(baseline) => Ok(Some(Held { name: path.display().to_string(), side: baseline.into() })),
            Err(BaselineError::Missing(_)) => Ok(None),
            Err(error) => Err(unreadable(context, &error)),
        };
    };
    let path = Path::new(named);
    let side = if path.is_dir() {
        of_run(context, path)?
    } else if path.is_file() {
        of_file(context, path)?
    } else if path.extension().is_some_and(|ending| ending == "json") && !named.contains(':') {
        return Ok(None);
    } else {
        Side::from(of_git(context, pipeline, named)?)
    };
    Ok(Some(Held { name: named.to_owned(), side }))
}

fn of_run(context: &Context, folder: &Path) -> Result<Side, Exit> {
    let run = diff::read(context, folder)?;
    if run.summary.status != Status::Complete {
        let message = format!("the run in `{}` did not end: it says nothing of a whole one", folder.display());
        let problem = Problem::error("no-baseline", message);
        let flag = format!("--baseline {}", folder.display());
        return Err(usage(context, problem.help("run it again, to its end"), &flag));
    }
    let predictions = diff::predictions(context, &run)?;
    Ok(diff::of_tables(&run, predictions.as_ref()))
}

/// A baseline, or a summary.
fn of_file(context: &Context, path: &Path) -> Result<Side, Exit> {
    // A summary in its run folder has the rows beside it.
    if path.ends_with("summary.json") {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return of_run(context, folder);
    }
    // What cannot be read is told below, as a baseline.
    let summary = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Summary>(&bytes).ok());
    if let Some(summary) = summary {
        let rows = summary.variants.iter().map(|_| None).collect();
        return Ok(Side::of(&summary, rows));
    }
    Baseline::read(path).map(Side::from).map_err(|error| unreadable(context, &error))
}

/// What a revision has beside the pipeline: `main`, `HEAD~1`; or where it says: `main:baselines/spam.json`.
fn of_git(context: &Context, pipeline: &Pipeline, named: &str) -> Result<Baseline, Exit> {
    let flag = format!("--baseline {named}");
    let missing = |why: String| {
        let problem = Problem::error("no-baseline", format!("there is no baseline `{named}`")).because(why);
        usage(context, problem.help("name a baseline's file, a run folder, or a revision that git knows"), &flag)
    };
    let object = match named.contains(':') {
        true => named.to_owned(),
        false => {
            let file = Baseline::path_of(&pipeline.file);
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{named}:./{name}")
        }
    };
    // What begins with a dash would be a flag.
    if named.starts_with('-') {
        return Err(missing("no revision begins with `-`".to_owned()));
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(&pipeline.base).args(["cat-file", "blob"]).arg(&object).stdin(Stdio::null());
    let output = git.output().map_err(|error| missing(format!("`git` cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(missing(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Baseline::parse(&object, &output.stdout).map_err(|error| unreadable(context, &error))
}

fn unreadable(context: &Context, error: &BaselineError) -> Exit {
    let problem = Problem::error("no-baseline", error.to_string());
    context.tell(&problem.help("`fuseline gate FILE --update` writes it anew").into());
    Exit::Usage
}
