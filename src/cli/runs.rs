//! `fuseline runs`: which runs are there, what did they come to, and which may go?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::args::{MessageFormat, RunsCommand};
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::{diff, theirs, usage};
use crate::compare::{RunFolder, RunFolderError};
use crate::problem::{Problem, Problems, visible};
use crate::record::{MetricSummary, Status, Summary};
use crate::run::is_run_file;
use crate::stages::report::{PastRun, Trend, trend_page};
use crate::store::Store;
use crate::ui::table::{self, align};
use crate::ui::{count, duration};

/// Folders are searched this deep for runs.
const DEPTH: usize = 3;

/// Heights of a trend.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Between runs that were about other data or splits.
const BREAK: char = '╎';

/// A run folder.
struct Found {
    folder: PathBuf,
    /// The folder, for people.
    name: String,
    /// In milliseconds since 1970.
    ended: u64,
    summary: Summary,
}

/// Runs the command.
pub(super) fn runs(context: &Context, command: &RunsCommand) -> Exit {
    let done = match command {
        RunsCommand::Ls { folder, metric, plot } => {
            list(context, folder.as_deref(), metric.as_deref(), plot.as_deref())
        }
        RunsCommand::Show { run } => show(context, run),
        RunsCommand::Rm { runs, dry_run: true } => preview(context, runs),
        RunsCommand::Rm { runs, .. } => remove(context, runs),
    };
    match done {
        Ok(exit) | Err(exit) => exit,
    }
}

fn list(context: &Context, folder: Option<&Path>, metric: Option<&str>, plot: Option<&Path>) -> Result<Exit, Exit> {
    let found = found(context, folder)?;
    if let Some(path) = plot {
        draw(context, &found, metric, path)?;
    }
    if context.format == MessageFormat::Json {
        let lines: String = found
            .iter()
            .map(|run| {
                let (name, status, totals) = (&run.summary.name, run.summary.status, &run.summary.totals);
                let best = best(&run.summary, metric).map(|(name, value, _)| json!({ "metric": name, "value": value }));
                let line = json!({ "folder": run.folder, "ended": run.ended, "name": name, "status": status,
                    "variants": run.summary.variants.len(), "totals": totals, "best": best });
                format!("{line}\n")
            })
            .collect();
        return Ok(out(lines.as_bytes()));
    }
    if found.is_empty() {
        say("no runs are here: `fuseline run FILE` makes one, `fuseline runs ls DIR` looks elsewhere");
        return Ok(Exit::Success);
    }
    let head = ["run", "ended", "pipeline", "status", "variants", "ran", "best"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(found.iter().map(|run| row(run, metric))).collect();
    out(align(&rows).as_bytes());
    Ok(out(trends(&found, metric).as_bytes()))
}

/// Run folders below a folder; without one, those of the working directory's `runs` and those that the cache remembers. The
/// latest first.
fn found(context: &Context, folder: Option<&Path>) -> Result<Vec<Found>, Exit> {
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let problem = Problem::error("not-a-run", format!("there is no folder `{}`", folder.display()));
        return Err(usage(context, problem, "runs ls"));
    }
    // The cache only helps to say more: it is not made for this.
    let store = context.cache_dir.is_dir().then(|| Store::open(&context.cache_dir).ok()).flatten();
    let records = store.and_then(|store| store.runs().ok()).unwrap_or_default();
    let mut ended: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for record in records {
        let last = ended.entry(record.folder).or_default();
        *last = record.ended.max(*last);
    }
    let mut folders = Vec::new();
    below(folder.unwrap_or(Path::new("runs")), DEPTH, &mut folders);
    let known: Vec<PathBuf> = folders.iter().map(|folder| absolute(folder)).collect();
    if folder.is_none() {
        folders.extend(ended.keys().filter(|folder| !known.contains(folder)).cloned());
    }
    let mut all: Vec<Found> = Vec::new();
    for folder in folders {
        // What is no whole run is none: a folder that was removed, or one that is being written.
        let run = match RunFolder::read(&folder) {
            Ok(run) => run,
            Err(error @ RunFolderError::Damaged { .. }) if theirs::is_run(&folder) => {
                let problem = Problem::warning("not-a-run", error.to_string());
                context.tell(&problem.help("`fuseline runs rm` removes the run").into());
                continue;
            }
            Err(_) => continue,
        };
        let ended = ended.get(&absolute(&folder)).copied().or_else(|| written(&folder)).unwrap_or(0);
        all.push(Found { name: folder.display().to_string(), folder, ended, summary: run.summary });
    }
    all.sort_by(|a, b| b.ended.cmp(&a.ended).then_with(|| a.folder.cmp(&b.folder)));
    Ok(all)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// When a run's summary was written, which comes last.
fn written(folder: &Path) -> Option<u64> {
    let time = fs::metadata(folder.join("summary.json")).ok()?.modified().ok()?;
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis() as u64)
}

fn below(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) {
    if folder.join("summary.json").is_file() {
        into.push(folder.to_owned());
        return;
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    // A link may lead round in a circle.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut inside: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    inside.sort();
    inside.iter().for_each(|folder| below(folder, depth, into));
}

fn row(run: &Found, metric: Option<&str>) -> Vec<String> {
    let summary = &run.summary;
    let age = (SystemTime::UNIX_EPOCH + Duration::from_millis(run.ended)).elapsed().unwrap_or_default();
    let status = match summary.status {
        Status::Complete => "complete",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
    };
    let best = best(summary, metric).map(|(name, value, label)| {
        let of = if label.is_empty() { String::new() } else { format!(" ({})", visible(label)) };
        format!("{} {value:.4}{of}", visible(name))
    });
    vec![
        visible(&run.folder.display().to_string()),
        format!("{} ago", duration(age.as_secs_f64())),
        visible(&summary.name),
        status.to_owned(),
        count(summary.variants.len() as u64),
        format!("{}/{}", count(summary.totals.ran), count(summary.units.len() as u64)),
        best.unwrap_or_else(|| "–".to_owned()),
    ]
}

/// A run's leading metric, or the one asked for: its name, its best value, and the label of the variant that has it.
fn best<'s>(summary: &'s Summary, metric: Option<&'s str>) -> Option<(&'s str, f64, &'s str)> {
    let names = || summary.variants.iter().flat_map(|variant| variant.metrics.keys().map(String::as_str));
    let name = match metric {
        Some(metric) => names().find(|name| *name == metric)?,
        None => names().min_by_key(|name| {
            (summary.ranked_by.as_deref() != Some(name), *name != "accuracy", *name != "r2", *name)
        })?,
    };
    let better = |metric: &MetricSummary, value: f64| if metric.higher_is_better { value } else { -value };
    let scored = summary.variants.iter().filter_map(|variant| {
        let metric = variant.metrics.get(name)?;
        let score = metric.score()?;
        Some((better(metric, score), score, variant.label.as_str()))
    });
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, value, label)| (name, value, label))
}

/// The metric of each pipeline's runs, the oldest first.
fn trends_of<'f>(found: &'f [Found], metric: Option<&'f str>) -> Vec<Trend<'f>> {
    let mut groups: BTreeMap<(&str, &str), Vec<PastRun<'_>>> = BTreeMap::new();
    for run in found.iter().rev() {
        if let Some((metric, ..)) = best(&run.summary, metric) {
            let past = PastRun { name: &run.name, ended: run.ended, summary: &run.summary };
            groups.entry((&run.summary.name, metric)).or_default().push(past);
        }
    }
    groups.into_iter().map(|((pipeline, metric), runs)| Trend { pipeline, metric, runs }).collect()
}

/// Writes the page that draws them.
fn draw(context: &Context, found: &[Found], metric: Option<&str>, path: &Path) -> Result<(), Exit> {
    let trends = trends_of(found, metric);
    if trends.is_empty() {
        let (code, message) = match metric {
            Some(metric) if !found.is_empty() => ("unknown-metric", format!("no run here has the metric `{metric}`")),
            _ => ("not-a-run", "there are no runs with scores to draw".to_owned()),
        };
        return Err(usage(context, Problem::error(code, message), &format!("--plot {}", path.display())));
    }
    let page = trend_page(&trends);
    theirs::spare_at_plot(context, path)?;
    crate::whole::write_with_folder(path, page.as_bytes()).map_err(|error| {
        let problem = Problem::error("io", format!("cannot write `{}`", path.display()));
        context.tell(&Problems::from(problem.because(error.to_string())));
        Exit::StageFailed
    })?;
    if context.format == MessageFormat::Human {
        say(&format!("drawn: {}", path.display()));
    }
    Ok(())
}

/// The best value in each run of each pipeline; one run alone has no trend.
fn trends(found: &[Found], metric: Option<&str>) -> String {
    let mut text = String::new();
    let mut broken = false;
    for trend in trends_of(found, metric).iter().filter(|trend| trend.runs.len() > 1) {
        let values: Vec<f64> =
            trend.runs.iter().filter_map(|run| Some(best(run.summary, Some(trend.metric))?.1)).collect();
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        let breaks = trend.breaks();
        broken |= !breaks.is_empty();
        text.push_str(&format!(
            "{} {}  {}  {low:.4} to {high:.4} over {} runs, the oldest first\n",
            visible(trend.pipeline),
            visible(trend.metric),
            bars(&values, low, high, &breaks),
            values.len()
        ));
    }
    if broken {
        text.push_str(&format!("{BREAK}: other data or splits from here on\n"));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// A bar for each value; equal values are of middle height. What stands on both sides of a break is not comparable.
fn bars(values: &[f64], low: f64, high: f64, breaks: &BTreeSet<usize>) -> String {
    let last = (BARS.len() - 1) as f64;
    let height = |value: f64| if high > low { (value - low) / (high - low) * last } else { last / 2.0 };
    let bar = |value: f64| BARS.get(height(value).round() as usize).copied();
    let broken = |at: usize| breaks.contains(&at).then_some(BREAK);
    values.iter().enumerate().flat_map(|(at, value)| broken(at).into_iter().chain(bar(*value))).collect()
}

fn show(context: &Context, run: &Path) -> Result<Exit, Exit> {
    let run = diff::read(context, run)?;
    if context.format == MessageFormat::Json {
        return Ok(out(format!("{}\n", json!(run.summary)).as_bytes()));
    }
    let summary = &run.summary;
    let mut text =
        format!("{} (seed {}, fuseline {})\n\n", visible(&summary.name), summary.seed, summary.fuseline_version);
    text.push_str(&table::summary(summary, None));
    let mut files = vec![["read", "digest", "rows"].map(str::to_owned).to_vec()];
    let short = |digest: &str| digest.chars().take(19).collect::<String>();
    for input in &summary.inputs {
        files.push(vec![visible(&input.source), short(&input.digest), count(input.rows)]);
    }
    for model in &summary.models {
        files.push(vec![visible(&model.id), short(&model.digest), String::new()]);
    }
    if files.len() > 1 {
        text.push_str(&format!("\n{}", align(&files)));
    }
    for warning in &summary.warnings {
        text.push_str(&format!("warning: {}\n", visible(warning)));
    }
    Ok(out(text.as_bytes()))
}

/// Each must be a run folder of its own: all are looked at before the first goes.
fn removable(context: &Context, runs: &[PathBuf]) -> Result<(), Exit> {
    for run in runs {
        let linked = fs::symlink_metadata(run).is_ok_and(|metadata| metadata.is_symlink());
        let folder = match RunFolder::read(run) {
            Ok(read) => read.folder.is_some(),
            // A damaged run is one all the same.
            Err(RunFolderError::Damaged { .. }) if theirs::is_run(run) => true,
            Err(error) => return Err(diff::unreadable(context, &error)),
        };
        if !folder || linked {
            let problem = Problem::error("not-a-run", format!("`{}` is no run folder of its own", run.display()));
            return Err(usage(context, problem.help("name the folder that `fuseline run` wrote"), "runs rm"));
        }
        if let Some(pipeline) = theirs::pipeline_in(run) {
            let message = format!("`{}` is a pipeline that no run wrote, and would be lost", pipeline.display());
            let help = "move the pipeline, and the lock beside it, to a folder of their own";
            return Err(usage(context, Problem::error("would-overwrite", message).help(help), "runs rm"));
        }
    }
    Ok(())
}

fn preview(context: &Context, runs: &[PathBuf]) -> Result<Exit, Exit> {
    removable(context, runs)?;
    runs.iter().for_each(|run| say(&format!("would go: {}", run.display())));
    Ok(Exit::Success)
}

fn remove(context: &Context, runs: &[PathBuf]) -> Result<Exit, Exit> {
    removable(context, runs)?;
    for run in runs {
        let left = take_away(run).map_err(|error| {
            let problem = Problem::error("io", format!("cannot remove `{}`", run.display()));
            context.tell(&Problems::from(problem.because(error.to_string())));
            Exit::StageFailed
        })?;
        match left {
            0 => say(&format!("gone: {}", run.display())),
            left => say(&format!("gone: the run in {}; {} that no run writes stay", run.display(), files(left))),
        }
    }
    Ok(Exit::Success)
}

fn files(left: usize) -> String {
    crate::ui::counted(left as u64, "file")
}

/// Removes what a run wrote, the summary first: without it the rest is no run. What else is in the folder stays, and is counted.
fn take_away(folder: &Path) -> std::io::Result<usize> {
    match fs::remove_file(folder.join("summary.json")) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut left = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_run_file(&name) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        } else {
            left += 1;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if left > 0 && error.kind() == ErrorKind::DirectoryNotEmpty => Ok(left),
        other => other.map(|()| left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_values() {
        assert_eq!(bars(&[0.1, 0.2, 0.8], 0.1, 0.8, &BTreeSet::new()), "▁▂█");
        assert_eq!(bars(&[0.5, 0.5], 0.5, 0.5, &BTreeSet::from([1])), "▅╎▅");
    }

    #[test]
    fn only_what_a_run_wrote_goes() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let write = |name: &str| fs::write(run.join(name), "x").unwrap();
        fs::create_dir(&run).unwrap();
        let ours =
            ["predictions.parquet", "pipeline.yaml", "events.jsonl", "report.md", "summary.json", "second-report.html"];
        ours.iter().chain(&["notes.txt", "my report.md"]).for_each(|name| write(name));
        assert_eq!(take_away(&run).unwrap(), 2);
        let left: BTreeSet<_> = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, BTreeSet::from(["my report.md".into(), "notes.txt".into()]));
        fs::remove_file(run.join("my report.md")).unwrap();
        fs::remove_file(run.join("notes.txt")).unwrap();
        write("summary.json");
        assert_eq!(take_away(&run).unwrap(), 0);
        assert!(!run.exists());
    }
}
