//! `fuseline diff`: what differs between two runs.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::args::MessageFormat;
use super::console::out;
use super::context::Context;
use super::exit::Exit;
use super::gate::on_threads;
use crate::compare::{
    Change, Diff, MetricChange, Paired, PredictionChanges, RunFolder, RunFolderError, UnitChange, changes, diff,
    matched,
};
use crate::emit::escape::json;
use crate::gate::{Rows, Scored, Side, difference, other_data};
use crate::plan::words::{Nowhere, said};
use crate::problem::{Problem, Problems, visible};
use crate::store::{Key, Store};
use crate::table::{Digest, from_parquet, text};
use crate::ui::count;
use crate::ui::table::align;

/// So many changes of metrics are tested: each draws all rows some thousand times.
const TESTED: usize = 100;

/// So many reasons are told of one stage and phase.
const REASONS: usize = 6;

/// What a difference means for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfDifferent {
    /// Nothing: it was asked for.
    Fine,
    /// The command ends with 1.
    Fails,
}

/// Runs the command.
pub(super) fn compare(context: &Context, before: &Path, after: &Path, if_different: IfDifferent) -> Exit {
    match try_compare(context, before, after, if_different) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_compare(context: &Context, before: &Path, after: &Path, if_different: IfDifferent) -> Result<Exit, Exit> {
    let before = read(context, before)?;
    let after = read(context, after)?;
    // The cache only helps to say more: it is not made for this.
    let store = context.cache_dir.is_dir().then(|| Store::open(&context.cache_dir).ok()).flatten();
    let fields_of = |key: &str| {
        let key: Key = serde_json::from_value(Value::from(key)).ok()?;
        store.as_ref()?.fields(&key)
    };
    let mut found = diff(&before, &after, &fields_of);
    let (one, two) = (predictions(context, &before)?, predictions(context, &after)?);
    let renamed = matched(&before.summary, &after.summary);
    let (was, is) = (of_tables(&before, one.as_ref()), of_tables(&after, two.as_ref()));
    on_threads(context, || tested(&mut found, &was, &is, &renamed));
    if let (Some(one), Some(two)) = (one, two) {
        let texts = store.as_ref().and_then(|store| texts(store, &before)).unwrap_or_default();
        found.predictions = changes(&one, &two, &renamed, &|row| texts.get(row).cloned());
        found.same = found.is_same();
    }
    if context.format == MessageFormat::Json {
        out(format!("{}\n", json(&serde_json::json!(found).to_string())).as_bytes());
    } else {
        out(told(&before, &after, &found).as_bytes());
    }
    Ok(match (found.same, if_different) {
        (false, IfDifferent::Fails) => Exit::Differs,
        _ => Exit::Success,
    })
}

/// Reads a run, or tells why it cannot be read.
pub(super) fn read(context: &Context, path: &Path) -> Result<RunFolder, Exit> {
    RunFolder::read(path).map_err(|error| unreadable(context, &error))
}

/// Tells why a run cannot be read.
pub(super) fn unreadable(context: &Context, error: &RunFolderError) -> Exit {
    let problem = Problem::error("not-a-run", error.to_string());
    let help = match error {
        RunFolderError::Missing(_) | RunFolderError::Foreign(_) => "name a folder that `fuseline run` wrote",
        RunFolderError::Damaged { .. } | RunFolderError::Lacks { .. } => "run the pipeline again to have it whole",
    };
    context.tell(&problem.help(help).into());
    Exit::Usage
}

/// A run's predictions, where it has any.
pub(super) fn predictions(context: &Context, run: &RunFolder) -> Result<Option<RecordBatch>, Exit> {
    let Some(path) = run.folder.as_ref().map(|folder| folder.join("predictions.parquet")) else { return Ok(None) };
    if !path.exists() {
        return Ok(None);
    }
    let table = std::fs::read(&path).map_err(|error| error.to_string());
    let table = table.and_then(|bytes| from_parquet(bytes).map_err(|error| error.to_string()));
    table.map(Some).map_err(|why| {
        let problem = Problem::error("not-a-run", format!("`{}` cannot be read", path.display())).because(why);
        context.tell(&Problems::from(problem.help("run the pipeline again to have it whole")));
        Exit::Usage
    })
}

/// A run with its rows, as it is compared with another.
pub(super) fn of_tables(run: &RunFolder, predictions: Option<&RecordBatch>) -> Side {
    let rows = run
        .summary
        .variants
        .iter()
        .map(|variant| predictions.and_then(|table| Rows::of(table, Some((&variant.id, &variant.evaluation)))));
    Side::of(&run.summary, rows.collect())
}

/// Says of metrics that changed how sure that is, where both runs are about the same rows and folds.
fn tested(found: &mut Diff, one: &Side, two: &Side, renamed: &BTreeMap<String, String>) {
    for change in found.metrics.iter_mut().take(TESTED) {
        let place = |side: &Side, id: &str| {
            let is = |scored: &Scored| scored.id == id && scored.evaluation == change.evaluation;
            side.baseline.variants.iter().position(is)
        };
        let old = renamed.iter().find(|(_, new)| **new == change.variant).map(|(old, _)| old);
        let then = old.and_then(|old| place(one, old));
        let Some((then, at)) = then.zip(place(two, &change.variant)) else { continue };
        if other_data((one, then), (two, at)).is_some() {
            continue;
        }
        let Ok(test) = difference(&change.metric, (one, then), (two, at), 0.95) else { continue };
        let [low, high] = test.interval;
        let (delta, ci95) = match change.higher_is_better {
            true => (test.gain, [low, high]),
            false => (-test.gain, [-high, -low]),
        };
        change.paired = Some(Paired { delta, ci95, p: test.p, method: test.method.to_owned() });
    }
}

/// The texts that a run read, by row id, where the cache still has them.
fn texts(store: &Store, run: &RunFolder) -> Option<BTreeMap<String, String>> {
    let units = &run.manifest.as_ref()?.units;
    let digest: Digest = units.iter().find_map(|unit| unit.parts.get("text"))?.parse().ok()?;
    let table = store.load(&digest).ok()?;
    let (ids, texts) = (text::row_ids(&table).ok()?, text::texts(&table).ok()?);
    let pairs = ids.iter().zip(texts).filter_map(|(id, text)| Some((id?.to_owned(), text?.to_owned())));
    Some(pairs.collect())
}

fn told(before: &RunFolder, after: &RunFolder, diff: &Diff) -> String {
    let mut text = format!("{} → {}\n", visible(&before.name), visible(&after.name));
    if diff.same {
        text.push_str("nothing that decides a result differs, and no result does\n");
    }
    section(&mut text, "config", &diff.config, 60);
    section(&mut text, "variants", &diff.variants, 60);
    section(&mut text, "inputs", &diff.inputs, 19);
    section(&mut text, "models", &diff.models, 19);
    text.push_str(&units(diff));
    text.push_str(&metrics(&diff.metrics));
    for changes in diff.predictions.iter().flatten().filter(|changes| !changes.is_same()) {
        text.push_str(&rows(before, changes));
    }
    if diff.predictions.is_none() {
        text.push_str("\npredictions: not compared, since a run has none at hand\n");
    }
    text
}

fn section(text: &mut String, title: &str, changes: &[Change], width: usize) {
    if changes.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    let value = |value: &Option<Value>| match value {
        None => "–".to_owned(),
        Some(Value::String(word)) => visible(&clipped(word, width)),
        Some(other) => visible(&clipped(&other.to_string(), width)),
    };
    for change in changes {
        let what = if change.what.is_empty() { "(the only variant)" } else { &change.what };
        text.push_str(&format!("  {}: {} → {}\n", visible(what), value(&change.old), value(&change.new)));
    }
}

/// Stage by stage: how many units changed, and each reason once.
fn units(diff: &Diff) -> String {
    let units = &diff.units;
    let mut text = format!(
        "\nunits: {} the same, {} changed, {} added, {} removed\n",
        count(units.same),
        count(units.changed.len() as u64),
        count(units.added),
        count(units.removed)
    );
    let mut groups: Vec<(String, Vec<&UnitChange>)> = Vec::new();
    for change in &units.changed {
        let title =
            if change.phase == "run" { change.stage.clone() } else { format!("{} {}", change.stage, change.phase) };
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, all)) => all.push(change),
            None => groups.push((title, vec![change])),
        }
    }
    for (title, all) in groups {
        let mut reasons: Vec<String> = Vec::new();
        for reason in all.iter().flat_map(|change| change.why.iter().map(|why| reason(change, why))) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        let more = reasons.len().saturating_sub(REASONS);
        reasons.truncate(REASONS);
        if more > 0 {
            reasons.push(format!("and {more} more"));
        }
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        text.push_str(&format!("  {} ({}){}\n", visible(&title), all.len(), visible(&why)));
    }
    text
}

fn reason(change: &UnitChange, why: &crate::plan::why::Miss) -> String {
    match why {
        crate::plan::why::Miss::Input { name, .. } => format!("its input {name} changed"),
        other => said(&change.stage, &change.kind, other, &Nowhere),
    }
}

fn metrics(changes: &[MetricChange]) -> String {
    if changes.is_empty() {
        return "\nmetrics: the same\n".to_owned();
    }
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let signed = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.4}"));
    let several = changes.iter().any(|change| changes.iter().any(|other| other.evaluation != change.evaluation));
    let head = ["metric", "before", "after", "change", "95% interval", "p", "by fold"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for change in changes {
        let folds: Vec<String> = change.folds.iter().map(|fold| signed(*fold)).collect();
        let label = if change.label.is_empty() { String::new() } else { format!("{}: ", change.label) };
        let of = if several { format!(" ({})", change.evaluation) } else { String::new() };
        let tested = change.paired.as_ref();
        let interval = tested.map(|test| format!("{:+.4} {:+.4}", test.ci95[0], test.ci95[1])).unwrap_or_default();
        let p = tested.and_then(|test| test.p).map(said_p).unwrap_or_default();
        let cells = [number(change.old), number(change.new), signed(change.delta), interval, p, folds.join(" ")];
        rows.push(std::iter::once(visible(&format!("{label}{}{of}", change.metric))).chain(cells).collect());
    }
    let more = match changes.len().checked_sub(TESTED) {
        Some(more) if more > 0 => {
            format!("the last {} have no interval: `fuseline gate` tests what matters\n", count(more as u64))
        }
        _ => String::new(),
    };
    format!("\n{}{more}", align(&rows))
}

/// A p value in few digits.
pub(super) fn said_p(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

fn rows(before: &RunFolder, changes: &PredictionChanges) -> String {
    let variant = before.summary.variants.iter().find(|variant| variant.id == changes.variant);
    let label = variant.map_or("", |variant| variant.label.as_str());
    let of = if label.is_empty() { String::new() } else { format!(" of `{}`", visible(label)) };
    let by = &changes.evaluation;
    let of = if by.is_empty() { of } else { format!("{of} in `{}`", visible(by)) };
    let mut text = format!(
        "\npredictions{of}: {} of {} changed ({:.2}%)",
        count(changes.changed),
        count(changes.rows),
        changes.rate * 100.0
    );
    if changes.gone + changes.new > 0 {
        text.push_str(&format!(", {} gone, {} new", count(changes.gone), count(changes.new)));
    }
    match changes.largest_score_change {
        Some(largest) if largest > 0.0 => text.push_str(&format!(", scores by at most {largest:.2e}")),
        _ => {}
    }
    text.push('\n');
    for example in &changes.examples {
        let label = visible(example.label.as_deref().unwrap_or("–"));
        let shown = example
            .text
            .as_ref()
            .map(|text| format!("   {}", visible(&clipped(&text.replace(char::is_control, " "), 60))));
        text.push_str(&format!(
            "  {} (fold {}, {label}): {} → {}{}\n",
            visible(&example.row_id),
            example.fold + 1,
            visible(&example.old),
            visible(&example.new),
            shown.unwrap_or_default()
        ));
    }
    text
}

fn clipped(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => format!("{}…", text.chars().take(width).collect::<String>()),
        false => text.to_owned(),
    }
}
