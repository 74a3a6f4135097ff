//! `fuseline cache`: what is in the cache, and how to empty it.

use super::args::{CacheCommand, MessageFormat};
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use crate::ui::table::align;
use crate::ui::{bytes, count, duration};

/// Runs the command.
pub(super) fn cache(context: &Context, command: &CacheCommand) -> Exit {
    let done = match command {
        CacheCommand::Stats => stats(context),
        CacheCommand::Ls => list(context),
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
    let text = format!(
        "{}\n{} artifacts in {} blobs, {}\nfetched files: {} in {}\n\n{}",
        context.cache_dir.display(),
        count(stats.artifacts),
        count(stats.blobs),
        bytes(stats.bytes),
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
    let mut rows = vec![["kind", "phase", "rows", "bytes", "took", "age", "key"].map(str::to_owned).to_vec()];
    for entry in &entries {
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
    Ok(out(align(&rows).as_bytes()))
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
