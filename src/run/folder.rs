//! What does a run leave behind? `summary.json`, `predictions.parquet`, `pipeline.yaml` and the reports' files; for
//! repeating it, `manifest.json` (the digest of every table) and `pipeline.lock` (what it read); and files about the run itself.
//!
//! Every file is written beside its place and moved there, so an older run's files stay whole until the new ones are.

use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::NamedTempFile;

use super::predictions::{self, Predictions};
use super::{Done, RunError, RunErrorKind};
use crate::pipeline::{Node, Pipeline};
use crate::problem::Problem;
use crate::stage::Work;

/// The reports' files that were written, by name.
pub type ReportFiles = Vec<String>;

/// How the `pipeline.yaml` of a run begins: nobody else's does.
pub const RESOLVED: &str = "# As it was run, from ";

/// What a run leaves behind, the reports left out.
const FILES: [&str; 8] = [
    "summary.json",
    predictions::NAME,
    "manifest.json",
    "pipeline.lock",
    "pipeline.yaml",
    "events.jsonl",
    "trace.json",
    "timeline.html",
];

/// True of the names of files that a run writes into its folder.
pub fn is_run_file(name: &str) -> bool {
    let report = ["report.html", "report.md"]
        .iter()
        .any(|of| name.strip_suffix(of).is_some_and(|stage| stage.is_empty() || stage.ends_with('-')));
    report || FILES.contains(&name)
}

/// Writes the run folder, with files about the run itself, and returns the names of the reports' files.
pub fn write_folder(
    pipeline: &Pipeline,
    done: &Done,
    folder: &Path,
    about: Vec<(String, Vec<u8>)>,
) -> Result<ReportFiles, RunError> {
    let at = |error: std::io::Error| failed(folder, &error.to_string());
    fs::create_dir_all(folder).map_err(at)?;
    let file = pipeline.file.display().to_string();
    let results = done.results(&done.summary, &pipeline.resolved_yaml, &file);
    let summary = serde_json::to_string_pretty(&done.summary).map_err(|error| failed(folder, &error.to_string()))?;
    let mut files = vec![("pipeline.yaml".to_owned(), Content::Bytes(resolved(pipeline).into_bytes()))];
    files.extend(about.into_iter().map(|(name, bytes)| (name, Content::Bytes(bytes))));
    let mut manifest = done.manifest.clone();
    let predictions = Predictions::of(&results, folder, || crate::whole::within(folder));
    if let Some(predictions) = predictions.map_err(|error| failed(folder, &error.to_string()))? {
        manifest.predictions = Some(predictions.digest.to_string());
        manifest.predictions_from = predictions.source.map(|source| source.to_string());
        files.push((predictions::NAME.to_owned(), predictions.file.map_or(Content::There, Content::Written)));
    }
    let manifest = serde_json::to_string_pretty(&manifest).map_err(|error| failed(folder, &error.to_string()))?;
    files.push(("manifest.json".to_owned(), Content::Bytes(format!("{manifest}\n").into_bytes())));
    files.push(("pipeline.lock".to_owned(), Content::Bytes(done.standing.lock.text().into_bytes())));
    let mut reports = ReportFiles::new();
    let sinks = sinks(pipeline);
    for (sink, evaluations) in &sinks {
        let Work::Sink(writer) = &*sink.work else { continue };
        let seen = done.seen_by(evaluations);
        let made = writer.write(&done.results(&seen, &pipeline.resolved_yaml, &file)).map_err(|error| {
            let problem = Problem::error("stage-failed", format!("`{}` cannot write its report", sink.id));
            RunError { problem: Box::new(problem.because(error.to_string())), kind: RunErrorKind::Storage }
        })?;
        for (name, bytes) in made {
            let name = if sinks.len() > 1 { format!("{}-{name}", sink.id) } else { name };
            reports.push(name.clone());
            files.push((name, Content::Bytes(bytes)));
        }
    }
    files.push(("summary.json".to_owned(), Content::Bytes(format!("{summary}\n").into_bytes())));
    replace(folder, files).map_err(at)?;
    Ok(reports)
}

/// The sinks of all variants, each id once, with the evaluating stages that they read.
fn sinks(pipeline: &Pipeline) -> Vec<(&Node, Vec<String>)> {
    let mut all: Vec<(&Node, Vec<String>)> = Vec::new();
    for variant in &pipeline.variants {
        for node in variant.stages.iter().filter(|node| matches!(*node.work, Work::Sink(_))) {
            let at = all.iter().position(|(known, _)| known.id == node.id).unwrap_or_else(|| {
                all.push((node, Vec::new()));
                all.len() - 1
            });
            for stage in node.inputs.iter().map(|&input| &variant.stages[input].id) {
                if !all[at].1.contains(stage) {
                    all[at].1.push(stage.clone());
                }
            }
        }
    }
    all
}

/// The pipeline as it was run, saying where its relative paths start.
fn resolved(pipeline: &Pipeline) -> String {
    let (file, base) = (pipeline.file.display(), pipeline.base.display());
    let some = pipeline.selection.as_ref().map_or_else(String::new, |selection| {
        format!("# Of its {} variants {} were selected; summary.json says how.\n", selection.of, selection.selected)
    });
    format!("{RESOLVED}{file}; relative paths in it start at {base}.\n{some}{}", pipeline.resolved_yaml)
}

/// A file of the run folder that has no place yet.
enum Content {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// Written already, beside its place.
    Written(NamedTempFile),
    /// None: the file in its place is the right one.
    There,
}

/// Files that an older run may have left and that would not belong to this one.
const OURS: [&str; 3] = [predictions::NAME, "report.html", "report.md"];

/// Writes all files beside their places, and only when all are there moves them, the last one last.
fn replace(folder: &Path, files: Vec<(String, Content)>) -> std::io::Result<()> {
    let foreign: Vec<&str> = OURS.into_iter().filter(|name| !files.iter().any(|(known, _)| known == name)).collect();
    let mut written = Vec::new();
    for (name, content) in files {
        let file = match content {
            Content::There => continue,
            Content::Written(file) => file,
            Content::Bytes(bytes) => {
                let mut file = crate::whole::within(folder)?;
                file.write_all(&bytes)?;
                file
            }
        };
        written.push((folder.join(name), file));
    }
    for name in foreign {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for (path, file) in written {
        file.persist(path)?;
    }
    Ok(())
}

fn failed(folder: &Path, cause: &str) -> RunError {
    let problem = Problem::error("io", format!("cannot write the run folder `{}`", folder.display()))
        .because(cause)
        .help("the results are in the cache: make room or name another folder with `--out`, and run again");
    RunError { problem: Box::new(problem), kind: RunErrorKind::Storage }
}
