//! `fuseline pack`: one archive of a run, which `fuseline verify` repeats on another machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::console::say;
use super::context::Context;
use super::diff::{read, unreadable};
use super::exit::Exit;
use super::limits;
use super::verify::{archive_failed, no_folder, pins, pipeline};
use crate::compare::{RunFolder, Whole};
use crate::fetch::Fetcher;
use crate::lock::{Coverage, Drift};
use crate::pack::{Content, Form, PackError, pack as write};
use crate::problem::{Problem, Problems};
use crate::run::{Listeners, Session};
use crate::store::Store;
use crate::ui::{Verbosity, bytes, count};

/// Files of a run folder that say when and where it ran, and nothing of what it is.
const LEFT_OUT: [&str; 3] = ["events.jsonl", "timeline.html", "trace.json"];

/// Whether the files that a run read go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// They do.
    With,
    /// They are had again where the archive is verified.
    Without,
}

/// Runs the command.
pub(super) fn pack(context: &Context, run: &Path, to: &Path, data: Data) -> Exit {
    match try_pack(context, run, to, data) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_pack(context: &Context, path: &Path, to: &Path, data: Data) -> Result<Exit, Exit> {
    if Form::of(to).is_none() {
        return Err(archive_failed(context, &PackError::Name(to.to_owned())));
    }
    let run = read(context, path)?;
    let whole = run.whole().map_err(|error| unreadable(context, &error))?;
    let mut entries = folder(context, &whole)?;
    if data == Data::With {
        entries.extend(files(context, &run, &whole)?);
    }
    let number = entries.len();
    let size = write(entries, to).map_err(|error| archive_failed(context, &error))?;
    if context.look.verbosity > Verbosity::Quiet {
        let what = if data == Data::With { "with the data and models that it read" } else { "without data" };
        say(&format!("{}: {} files, {}, {what}", to.display(), count(number as u64), bytes(size)));
        say(&format!("`fuseline verify {}` repeats the run anywhere", to.display()));
    }
    Ok(Exit::Success)
}

/// The run folder's own files; paths of this machine are left out.
fn folder(context: &Context, whole: &Whole<'_>) -> Result<Vec<(String, Content)>, Exit> {
    let failed = |error: std::io::Error| {
        archive_failed(context, &PackError::Io { path: whole.folder.to_path_buf(), source: error })
    };
    let mut manifest = whole.manifest.clone();
    manifest.base = None;
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.into()))?;
    let pipeline: String =
        whole.pipeline.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let mut entries = vec![
        ("run/manifest.json".to_owned(), Content::Bytes(manifest)),
        ("run/pipeline.yaml".to_owned(), Content::Bytes(pipeline.into_bytes())),
    ];
    for entry in std::fs::read_dir(whole.folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let plain = entry.file_type().map_err(failed)?.is_file() && !name.starts_with('.');
        let known = entries.iter().any(|(other, _)| *other == format!("run/{name}"));
        if plain && !known && !LEFT_OUT.contains(&name.as_str()) {
            entries.push((format!("run/{name}"), Content::File(entry.path())));
        }
    }
    Ok(entries)
}

/// Every file that the run read, each once, by its digest.
fn files(context: &Context, run: &RunFolder, whole: &Whole<'_>) -> Result<Vec<(String, Content)>, Exit> {
    let base = whole.manifest.base.clone().unwrap_or_else(|| whole.folder.to_path_buf());
    let pipeline = pipeline(context, whole, &run.summary, &base)?;
    let mut options = context.fetch_options();
    options.pins = pins(whole.lock);
    let fetcher = Fetcher::new(context.files_dir.clone(), options);
    let temporary = tempfile::tempdir().map_err(|error| no_folder(context, &error))?;
    let display = context.display();
    let session = Session {
        pipeline: &pipeline,
        store: Store::open(temporary.path()).map(Into::into).map_err(|error| context.store_failed(&error))?,
        fetcher: &fetcher,
        options: limits::plain(context),
        listener: &Listeners(display.listeners()),
        cancelled: &context.cancelled,
    };
    let found = session.fetch().and_then(|files| Ok((files, session.standing(crate::run::Missing::Fetched)?)));
    display.clear();
    let (found, standing) = found.map_err(|error| context.run_failed(&error))?;
    let drift: Vec<Drift> = whole.lock.drift(&standing.lock, Coverage::Whole);
    if !drift.is_empty() {
        let mut problems = Problems(drift.iter().map(|d| Problem::error("input-changed", d.said())).collect());
        if let Some(last) = problems.0.last_mut() {
            last.help
                .push("what the run read is not here any more: pack it without `--with-data`, or run it again".into());
        }
        context.tell(&problems);
        return Err(Exit::Integrity);
    }
    let mut by_digest: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in found {
        by_digest.entry(file.sha256.clone()).or_insert_with(|| file.on_disk().to_path_buf());
    }
    let entry = |(sha256, path): (String, PathBuf)| {
        let name = path.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned());
        let shard: String = sha256.chars().take(2).collect();
        (format!("files/sha256/{shard}/{sha256}/{name}"), Content::File(path))
    };
    Ok(by_digest.into_iter().map(entry).collect())
}
