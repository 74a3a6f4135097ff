//! What does a run leave behind? `summary.json`, `predictions.parquet`, `pipeline.yaml` and the reports' files; for
//! repeating it, `manifest.json` (the digest of every table) and `pipeline.lock` (what it read); and files about the run itself.
//!
//! Every file is written beside its place and moved there, so an older run's files stay whole until the new ones are.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::predictions::{self, Predictions};
use super::{Done, RunError, RunErrorKind};
use crate::pipeline::{Node, Pipeline};
use crate::problem::Problem;
use crate::record::RunManifest;
use crate::stage::Work;

/// The reports' files that were written, by name.
pub type ReportFiles = Vec<String>;

/// What a run leaves behind beside its `summary.json`; stages that write for people may add others that end like the last two.
pub const FILES: [&str; 9] = [
    "predictions.parquet",
    "manifest.json",
    "pipeline.lock",
    "pipeline.yaml",
    "events.jsonl",
    "trace.json",
    "timeline.html",
    "report.html",
    "report.md",
];

/// How the pipeline begins that a run leaves behind.
const AS_IT_WAS_RUN: &str = "# As it was run, from ";

/// True if a file in a run folder is called as one that a run writes.
pub fn is_of_a_run(name: &str) -> bool {
    name == "summary.json" || FILES.contains(&name) || name.ends_with("-report.html") || name.ends_with("-report.md")
}

/// True if the `pipeline.yaml` of a folder is one that somebody wrote: then its lock is theirs too.
pub fn has_a_pipeline_of_its_own(folder: &Path) -> bool {
    match fs::read(folder.join("pipeline.yaml")) {
        Ok(bytes) => !bytes.starts_with(AS_IT_WAS_RUN.as_bytes()),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The first file in a folder that a run would write over and that no run wrote, by its name.
pub fn foreign(folder: &Path) -> std::io::Result<Option<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| is_of_a_run(name));
    names.sort_unstable();
    if has_a_pipeline_of_its_own(folder) {
        return Ok(Some("pipeline.yaml".to_owned()));
    }
    let manifest = fs::read(folder.join("manifest.json")).ok();
    let ran = manifest.is_some_and(|bytes| serde_json::from_slice::<RunManifest>(&bytes).is_ok());
    let has = |name: &str| names.iter().any(|known| known == name);
    // a run that was cut off before it wrote anything else
    let began = || {
        let first =
            fs::File::open(folder.join("events.jsonl")).ok().and_then(|file| BufReader::new(file).lines().next());
        let line = first.and_then(Result::ok).unwrap_or_default();
        line.is_empty()
            || serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|event| event["event"].is_string())
    };
    Ok(match () {
        () if ran || has("pipeline.yaml") => None,
        () if names == ["events.jsonl"] && began() => None,
        () => names.into_iter().next(),
    })
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
    format!("{AS_IT_WAS_RUN}{file}; relative paths in it start at {base}.\n{some}{}", pipeline.resolved_yaml)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_run_wrote_is_told_from_what_one_did() {
        let all = tempfile::tempdir().unwrap();
        let of = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir_in(&all).unwrap();
            files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
            foreign(folder.path()).unwrap()
        };
        let manifest =
            r#"{"format":1,"file":"p.yaml","base":null,"predictions":null,"predictions_from":null,"units":[]}"#;
        assert_eq!(foreign(&all.path().join("nowhere")).unwrap(), None);
        assert_eq!(of(&[("notes.txt", "x"), ("data.csv", "x")]), None);
        assert_eq!(of(&[("manifest.json", manifest), ("report.html", "x"), ("summary.json", "x")]), None);
        assert_eq!(of(&[("events.jsonl", "{\"event\":\"planned\"}\n")]), None);
        assert_eq!(of(&[("events.jsonl", "")]), None);
        assert_eq!(of(&[("pipeline.yaml", "# As it was run, from p.yaml; …\n"), ("trace.json", "[]")]), None);
        assert_eq!(of(&[("events.jsonl", "{\"mine\":1}\n")]), Some("events.jsonl".to_owned()));
        assert_eq!(of(&[("report.md", "mine")]), Some("report.md".to_owned()));
        assert_eq!(of(&[("manifest.json", "{\"name\":\"web app\"}")]), Some("manifest.json".to_owned()));
        let own = of(&[("pipeline.yaml", "name: mine\n"), ("manifest.json", manifest), ("summary.json", "x")]);
        assert_eq!(own, Some("pipeline.yaml".to_owned()));
    }
}
