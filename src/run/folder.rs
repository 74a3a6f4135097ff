//! What does a run leave behind? `summary.json`, `predictions.parquet`, `pipeline.yaml` and the reports' files; for
//! repeating it, `manifest.json` (the digest of every table) and `pipeline.lock` (what it read); and files about the run itself.
//!
//! Every file is written beside its place and moved there, so an older run's files stay whole until the new ones are.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};

use super::{Done, RunError, RunErrorKind};
use crate::pipeline::{Node, Pipeline};
use crate::problem::Problem;
use crate::record::Results;
use crate::stage::{StageError, Work};
use crate::table::predictions::Scored;
use crate::table::{Digest, to_parquet};

/// The reports' files that were written, by name.
pub type ReportFiles = Vec<String>;

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
    let mut files: Vec<(String, Vec<u8>)> = vec![("pipeline.yaml".to_owned(), resolved(pipeline).into_bytes())];
    files.extend(about);
    let mut manifest = done.manifest.clone();
    if let Some(table) = predictions(&results).map_err(|error| failed(folder, &error.to_string()))? {
        let bytes = to_parquet(&table).map_err(|e| failed(folder, &e.to_string()))?;
        manifest.predictions = Some(Digest::of(&bytes).to_string());
        files.push(("predictions.parquet".to_owned(), bytes));
    }
    let manifest = serde_json::to_string_pretty(&manifest).map_err(|error| failed(folder, &error.to_string()))?;
    files.push(("manifest.json".to_owned(), format!("{manifest}\n").into_bytes()));
    files.push(("pipeline.lock".to_owned(), done.standing.lock.text().into_bytes()));
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
            files.push((name, bytes));
        }
    }
    files.push(("summary.json".to_owned(), format!("{summary}\n").into_bytes()));
    replace(folder, &files).map_err(at)?;
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
    format!("# As it was run, from {file}; relative paths in it start at {base}.\n{some}{}", pipeline.resolved_yaml)
}

/// Files that an older run may have left and that would not belong to this one.
const OURS: [&str; 3] = ["predictions.parquet", "report.html", "report.md"];

/// Writes all files beside their places, and only when all are there moves them, the last one last.
fn replace(folder: &Path, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    let mut written = Vec::new();
    for (name, bytes) in files {
        let mut file = tempfile::Builder::new().prefix(".fuseline-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        written.push((folder.join(name), file));
    }
    for name in OURS.iter().filter(|name| !files.iter().any(|(known, _)| known == *name)) {
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

/// One row per row × variant × fold; the score columns are the union of all variants' classes.
fn predictions(results: &Results<'_>) -> Result<Option<RecordBatch>, StageError> {
    if results.evaluations.is_empty() {
        return Ok(None);
    }
    let mut scored = Vec::new();
    for evaluation in &results.evaluations {
        let table = evaluation.scores.table("predictions")?;
        scored.push((evaluation.variant, Scored::from_table(&table).map_err(StageError::caused)?));
    }
    let mut classes: Vec<&String> = scored.iter().flat_map(|(_, s)| &s.predictions.classes).collect();
    classes.sort();
    classes.dedup();
    let rows = || scored.iter().flat_map(|(variant, s)| (0..s.fold.len()).map(move |row| (*variant, s, row)));
    let mut columns: Vec<(String, ArrayRef, bool)> = vec![
        ("row_id".to_owned(), strings(rows().map(|(_, s, row)| Some(s.predictions.row_id[row].as_str()))), false),
        ("variant".to_owned(), strings(rows().map(|(v, ..)| Some(results.summary.variants[v].id.as_str()))), false),
        ("fold".to_owned(), Arc::new(UInt32Array::from_iter_values(rows().map(|(_, s, row)| s.fold[row]))), false),
        ("label".to_owned(), strings(rows().map(|(_, s, row)| s.label[row].as_deref())), true),
        ("predicted".to_owned(), strings(rows().map(|(_, s, row)| Some(s.predictions.predicted[row].as_str()))), false),
    ];
    let evaluation = |variant: usize| results.summary.variants[variant].evaluation.as_str();
    if results.summary.variants.iter().any(|v| v.evaluation != results.summary.variants[0].evaluation) {
        columns.insert(2, ("evaluation".to_owned(), strings(rows().map(|(v, ..)| Some(evaluation(v)))), false));
    }
    for class in classes {
        let mut values: Vec<Option<f64>> = Vec::new();
        for (_, Scored { predictions, .. }) in &scored {
            let width = predictions.classes.len();
            match predictions.classes.iter().position(|known| known == class) {
                Some(at) => values.extend(predictions.scores.iter().skip(at).step_by(width).map(|&score| Some(score))),
                None => values.extend(std::iter::repeat_n(None, predictions.row_id.len())),
            }
        }
        columns.push((format!("score:{class}"), Arc::new(Float64Array::from(values)), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).map(Some).map_err(StageError::caused)
}

fn strings<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}
