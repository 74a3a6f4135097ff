//! Which files are the user's, and are not written over? What a pipeline is made of, and whatever no run wrote.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::args::ToArgs;
use super::context::Context;
use super::exit::Exit;
use super::usage;
use crate::gate::Baseline;
use crate::lock::Lock;
use crate::pipeline::Pipeline;
use crate::problem::Problem;
use crate::run::{RESOLVED, is_run_file};
use crate::stage::Stage;

/// How the log of a run begins.
const LOG: &[u8] = b"{\"t\":";

/// What the page of `runs ls --plot` says of itself.
const MADE_HERE: &str = "<meta name=\"generator\" content=\"fuseline ";
const TREND: &str = "<title>Scores over runs</title>";

/// Refuses a run folder in which a file would be lost that no run wrote. To be asked before anything is written there.
pub(super) fn spare_folder(context: &Context, pipeline: &Pipeline, folder: &Path) -> Result<(), Exit> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: BTreeSet<String> = names.filter(|name| is_run_file(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let inputs = inputs(pipeline);
    let used = names.iter().find_map(|name| Some((name, role(&inputs, &folder.join(name))?)));
    let message = match used {
        Some((name, what)) => {
            format!("a run in `{}` would write over `{name}`, which is {what}", folder.display())
        }
        None if is_run(folder) => return Ok(()),
        None => {
            // A run that was cut short leaves its log alone.
            let is_log = |path: &Path| begins(path, LOG) || path.metadata().is_ok_and(|log| log.len() == 0);
            let foreign = names.iter().find(|name| *name != "events.jsonl" || !is_log(&folder.join(name)));
            let Some(name) = foreign else { return Ok(()) };
            format!("a run in `{}` would write over `{name}`, which no run wrote", folder.display())
        }
    };
    let problem = Problem::error("would-overwrite", message);
    let help = "name a folder for the run alone with `--out DIR`, or move the file away";
    Err(usage(context, problem.help(help), &format!("--out {}", folder.display())))
}

/// Refuses reports that would be written over what the pipeline is made of, over the run's own files, or over each other.
pub(super) fn spare_reports(
    context: &Context,
    pipeline: &Pipeline,
    to: &ToArgs,
    folder: &Path,
    baseline: Option<&Path>,
) -> Result<(), Exit> {
    if to.emit.is_empty() {
        return Ok(());
    }
    let mut inputs = inputs(pipeline);
    inputs.extend(baseline.map(|path| (place(path), "the baseline")));
    let run = place(folder);
    let mut taken: BTreeSet<Option<PathBuf>> = BTreeSet::new();
    for emit in &to.emit {
        let Some(path) = &emit.path else {
            if !taken.insert(None) {
                let problem = Problem::error("would-overwrite", "two reports would be mixed on standard output");
                return Err(usage(context, problem.help("give all but one a file"), "--emit"));
            }
            continue;
        };
        // Pipes and devices lose nothing.
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            continue;
        }
        let at = place(path);
        let of_run = at.parent() == Some(run.as_path())
            && at.file_name().is_some_and(|name| is_run_file(&name.to_string_lossy()));
        let what = match role(&inputs, path) {
            Some(what) => what,
            None if of_run => "a file of the run itself",
            None if !taken.insert(Some(at)) => "where another report goes",
            None => continue,
        };
        let message = format!("a report cannot be written to `{}`, which is {what}", path.display());
        let problem = Problem::error("would-overwrite", message).help("name another file with `--emit`");
        return Err(usage(context, problem, &format!("--emit …={}", path.display())));
    }
    Ok(())
}

/// Refuses a baseline in the place of something else.
pub(super) fn spare_at_update(context: &Context, pipeline: &Pipeline, path: &Path) -> Result<(), Exit> {
    let own = place(&Baseline::path_of(&pipeline.file));
    let inputs: Vec<_> = inputs(pipeline).into_iter().filter(|(at, what)| *what != BASELINE || *at != own).collect();
    let what = match role(&inputs, path) {
        Some(what) => what,
        None if place(path) == own || !path.exists() || is_like_a_baseline(path) => return Ok(()),
        None => "no baseline",
    };
    let message = format!("the baseline cannot be written to `{}`, which is {what}", path.display());
    let problem = Problem::error("would-overwrite", message).help("name another file with `--baseline`");
    Err(usage(context, problem, &format!("--baseline {}", path.display())))
}

/// Refuses a drawing in the place of something that this program has not drawn.
pub(super) fn spare_at_plot(context: &Context, path: &Path) -> Result<(), Exit> {
    if !path.is_file() || fs::read_to_string(path).is_ok_and(|page| page.contains(MADE_HERE) && page.contains(TREND)) {
        return Ok(());
    }
    let message = format!("`{}` is there, and is no page that `fuseline` wrote", path.display());
    let problem = Problem::error("would-overwrite", message).help("name another file with `--plot`");
    Err(usage(context, problem, &format!("--plot {}", path.display())))
}

/// The file of a run folder that is the pipeline itself: what a run wrote there says so in its first line.
pub(super) fn pipeline_in(folder: &Path) -> Option<PathBuf> {
    let path = folder.join("pipeline.yaml");
    (path.exists() && !begins(&path, RESOLVED.as_bytes())).then_some(path)
}

const BASELINE: &str = "the baseline";

/// What a path is to a pipeline, if it is part of it.
fn role(inputs: &[(PathBuf, &'static str)], path: &Path) -> Option<&'static str> {
    let at = place(path);
    inputs.iter().find(|(input, _)| *input == at).map(|(_, what)| *what)
}

/// The files that a pipeline is made of, those that stand beside it, and those that it reads.
fn inputs(pipeline: &Pipeline) -> Vec<(PathBuf, &'static str)> {
    let mut all: Vec<(PathBuf, &'static str)> = vec![(place(&pipeline.file), "the pipeline")];
    all.extend(pipeline.files().map(|file| (place(file), "a file that the pipeline extends")));
    all.push((place(&Lock::path_of(&pipeline.file)), "the pipeline's lock"));
    all.push((place(&Baseline::path_of(&pipeline.file)), BASELINE));
    let mut sources: BTreeSet<String> = BTreeSet::new();
    for node in pipeline.variants.iter().flat_map(|variant| &variant.stages) {
        let stage: &dyn Stage = node.work.stage();
        for need in stage.files() {
            if sources.insert(need.spec.to_string()) {
                all.extend(need.spec.on_disk().iter().map(|file| (place(file), "a file that the pipeline reads")));
            }
        }
    }
    all
}

/// True if a run is in a folder, even if one of its files is damaged.
pub(super) fn is_run(folder: &Path) -> bool {
    let has = |name: &str, key: &str| {
        let value =
            fs::read(folder.join(name)).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        value.is_some_and(|value| value.get("units").is_some() && value.get(key).is_some())
    };
    begins(&folder.join("pipeline.yaml"), RESOLVED.as_bytes())
        || has("summary.json", "fuseline_version")
        || has("manifest.json", "format")
}

/// True if a file begins so.
fn begins(path: &Path, how: &[u8]) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(how.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == how
}

/// True if a baseline is there, or was before something damaged it.
fn is_like_a_baseline(path: &Path) -> bool {
    let named = path.to_string_lossy().ends_with(".baseline.json");
    named
        || fs::read(path)
            .is_ok_and(|bytes| bytes.is_empty() || String::from_utf8_lossy(&bytes).contains("\"fuseline_version\""))
}

/// Where a path leads, whether or not a file is there.
fn place(path: &Path) -> PathBuf {
    let beside = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize()
        .ok()
        .or_else(beside)
        .or_else(|| std::path::absolute(path).ok())
        .unwrap_or_else(|| path.to_owned())
}
