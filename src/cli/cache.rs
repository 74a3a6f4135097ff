//! `fuseline cache`: what is in the cache, is it whole, and what may go?

use indicatif::{ProgressBar, ProgressStyle};

use super::args::{CacheCommand, MessageFormat, PipelineArgs};
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::recompute::recompute;
use crate::settings::Progress;
use crate::store::{Cleared, Entry, Garbage, Keep, OtherFormat, STORE_FORMAT, Store};
use crate::ui::table::align;
use crate::ui::{Verbosity, bytes, count, counted, duration};

/// Runs the command.
pub(super) fn cache(context: &Context, command: &CacheCommand) -> Exit {
    let done = match command {
        CacheCommand::Stats => stats(context),
        CacheCommand::Ls => list(context),
        CacheCommand::Verify { recompute: Some(share), file: Some(file), sets, sample } => {
            let pipeline = PipelineArgs { file: file.clone(), sets: sets.clone(), ..PipelineArgs::default() };
            recompute(context, &pipeline, *share, *sample)
        }
        CacheCommand::Verify { .. } => verify(context),
        CacheCommand::Gc { max_size, keep_runs, old_formats, dry_run } => {
            let keep = Keep { runs: *keep_runs, bytes: *max_size };
            let older = if *old_formats { Older::Go } else { Older::Stay };
            match dry_run {
                true => preview(context, &keep, older),
                false => collect(context, &keep, older),
            }
        }
        CacheCommand::Clear => clear(context),
    };
    match done {
        Ok(exit) | Err(exit) => exit,
    }
}

fn stats(context: &Context) -> Result<Exit, Exit> {
    let store = context.store()?;
    let stats = store.stats().map_err(|error| context.store_failed(&error))?;
    let files = folder_size(&context.files_dir);
    if context.format == MessageFormat::Json {
        let line = serde_json::json!({ "artifacts": stats, "files": { "folder": context.files_dir, "bytes": files } });
        return Ok(out(format!("{line}\n").as_bytes()));
    }
    let mut rows = vec![["kind", "artifacts", "bytes"].map(str::to_owned).to_vec()];
    for (kind, of) in &stats.kinds {
        rows.push(vec![kind.clone(), count(of.artifacts), bytes(of.bytes)]);
    }
    let mut more = String::new();
    if stats.remembered.rows > 0 {
        let rows = counted(stats.remembered.rows, "row");
        more += &format!("{rows} remembered one by one, {}\n", bytes(stats.remembered.bytes));
    }
    if stats.damaged > 0 {
        more += &format!("set aside as damaged: {}\n", counted(stats.damaged, "file"));
    }
    for other in &stats.others {
        let (format, folder) = (other.format, other.folder.display());
        more += &format!("of another version of Fuseline (format {format}): {} in {folder}\n", bytes(other.bytes));
    }
    let text = format!(
        "{}\n{} artifacts in {} blobs, {}; {} recorded\n{more}fetched files: {} in {}\n\n{}",
        context.cache_dir.display(),
        count(stats.artifacts),
        count(stats.blobs),
        bytes(stats.bytes),
        counted(stats.runs, "run"),
        bytes(files),
        context.files_dir.display(),
        align(&rows)
    );
    Ok(out(text.as_bytes()))
}

fn list(context: &Context) -> Result<Exit, Exit> {
    let store = context.store()?;
    let entries = store.ls().map_err(|error| context.store_failed(&error))?;
    if context.format == MessageFormat::Json {
        let lines: String = entries.iter().map(|entry| format!("{}\n", serde_json::json!(entry))).collect();
        return Ok(out(lines.as_bytes()));
    }
    Ok(out(align(&listed(&entries)).as_bytes()))
}

/// Artifacts as a table.
fn listed(entries: &[Entry]) -> Vec<Vec<String>> {
    let mut rows = vec![["kind", "phase", "rows", "bytes", "took", "unused", "key"].map(str::to_owned).to_vec()];
    for entry in entries {
        rows.push(vec![
            entry.kind.clone(),
            entry.phase.clone(),
            count(entry.rows),
            bytes(entry.bytes),
            duration(entry.seconds),
            duration(entry.age),
            entry.key.to_string().chars().take(12).collect(),
        ]);
    }
    rows
}

fn verify(context: &Context) -> Result<Exit, Exit> {
    let store = context.store()?;
    let bar = reading(context);
    let found = store.audit(&|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let found = found.map_err(|error| context.store_failed(&error))?;
    let whole = found.damaged.is_empty();
    if context.format == MessageFormat::Json {
        out(format!("{}\n", serde_json::json!({ "verified": found })).as_bytes());
    } else {
        for what in &found.damaged {
            say(&format!("damaged: {what}"));
        }
        let files = counted(found.row_files, "file");
        let rows = if found.row_files > 0 { format!(", {files} of remembered rows") } else { String::new() };
        let read = format!("read {} in {}{rows}", counted(found.artifacts, "artifact"), counted(found.blobs, "blob"));
        let said = match whole {
            true => "all is whole".to_owned(),
            false => format!(
                "{} damaged and set aside; what is missing is made again when it is needed",
                counted(found.damaged.len() as u64, "file")
            ),
        };
        say(&format!("{read}, {}: {said}", bytes(found.bytes)));
    }
    Ok(if whole { Exit::Success } else { Exit::Integrity })
}

/// A bar of bytes, for people who watch.
fn reading(context: &Context) -> ProgressBar {
    let shown = matches!(context.settings.progress, Progress::Auto | Progress::Bar);
    if !shown || context.format == MessageFormat::Json || context.look.verbosity == Verbosity::Quiet {
        return ProgressBar::hidden();
    }
    // Draws nothing where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("reading [{bar:24}] {decimal_bytes} of {decimal_total_bytes}, {eta} left")
    {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

/// What becomes of what older versions keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Older {
    Stay,
    Go,
}

/// Shows what would go.
fn preview(context: &Context, keep: &Keep, older: Older) -> Result<Exit, Exit> {
    let store = context.store()?;
    let garbage = store.garbage(keep).map_err(|error| context.store_failed(&error))?;
    let old = older_formats(context, &store, older)?;
    if context.format == MessageFormat::Json {
        let mut lines: String =
            garbage.artifacts.iter().map(|entry| format!("{}\n", serde_json::json!(entry))).collect();
        let totals = serde_json::json!({
            "would_remove": {
                "artifacts": garbage.artifacts.len(), "blobs": garbage.tables, "runs": garbage.runs,
                "row_files": garbage.spaces.iter().map(|space| space.segments).sum::<u64>(),
                "leftovers": garbage.leftovers, "bytes": garbage.bytes, "formats": old,
            },
            "would_keep": { "bytes": garbage.kept },
        });
        lines += &format!("{totals}\n");
        return Ok(out(lines.as_bytes()));
    }
    if !garbage.artifacts.is_empty() {
        out(align(&listed(&garbage.artifacts)).as_bytes());
    }
    for old in &old {
        say(&format!("would remove {} of an older version, {}", old.folder.display(), bytes(old.bytes)));
    }
    say(&format!("would remove {}", totals(&garbage)));
    remaining(&garbage, keep);
    Ok(Exit::Success)
}

/// Removes what may go.
fn collect(context: &Context, keep: &Keep, older: Older) -> Result<Exit, Exit> {
    let store = context.store()?;
    let failed = |error| context.store_failed(&error);
    let garbage = store.garbage(keep).map_err(failed)?;
    let mut cleared = store.remove(&garbage).map_err(failed)?;
    if older == Older::Go {
        let old = store.remove_older_formats().map_err(failed)?;
        cleared = Cleared { files: cleared.files + old.files, bytes: cleared.bytes + old.bytes };
    }
    if context.format == MessageFormat::Json {
        let line = serde_json::json!({ "removed": cleared, "kept": { "bytes": garbage.kept } });
        return Ok(out(format!("{line}\n").as_bytes()));
    }
    say(&format!("removed {}, {}", counted(cleared.files, "file"), bytes(cleared.bytes)));
    remaining(&garbage, keep);
    Ok(Exit::Success)
}

fn older_formats(context: &Context, store: &Store, older: Older) -> Result<Vec<OtherFormat>, Exit> {
    if older == Older::Stay {
        return Ok(Vec::new());
    }
    let all = store.other_formats().map_err(|error| context.store_failed(&error))?;
    Ok(all.into_iter().filter(|other| other.format < STORE_FORMAT).collect())
}

/// `3 artifacts, 7 blobs, 2 records of runs, 1 leftover file; 83.5 MB`.
fn totals(garbage: &Garbage) -> String {
    let mut all = vec![counted(garbage.artifacts.len() as u64, "artifact"), counted(garbage.tables, "blob")];
    if !garbage.spaces.is_empty() {
        let files = garbage.spaces.iter().map(|space| space.segments).sum();
        all.push(format!("{} of remembered rows", counted(files, "file")));
    }
    if garbage.runs > 0 {
        all.push(format!("the record of {}", counted(garbage.runs, "older run")));
    }
    if garbage.leftovers > 0 {
        all.push(counted(garbage.leftovers, "leftover file"));
    }
    format!("{}; {}", all.join(", "), bytes(garbage.bytes))
}

/// Says how much stays, and if that is more than was asked for, why.
fn remaining(garbage: &Garbage, keep: &Keep) {
    let why = match keep.bytes {
        Some(most) if garbage.kept > most => {
            format!(", more than {}: runs that are kept, or go on, need it (see `--keep-runs`)", bytes(most))
        }
        _ => String::new(),
    };
    say(&format!("{} stay{why}", bytes(garbage.kept)));
}

fn clear(context: &Context) -> Result<Exit, Exit> {
    let store = context.store()?;
    let cleared = store.clear().map_err(|error| context.store_failed(&error))?;
    say(&format!("removed {} files, {}", count(cleared.files), bytes(cleared.bytes)));
    say(&format!("fetched data and models stay in {}", context.files_dir.display()));
    Ok(Exit::Success)
}

/// Bytes of all files in a folder and below.
fn folder_size(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => folder_size(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}
