//! What came out, in a few lines? The variants ranked, and what ran.

use unicode_width::UnicodeWidthStr;

use super::{count, duration};
use crate::record::{MetricSummary, Outcome, Summary, VariantSummary};

/// At most this many metrics stand side by side; `summary.json` has all.
const METRICS: usize = 6;

/// The table of variants, best first by the first metric, and a line on what ran.
pub fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    let metrics = metric_names(summary);
    if !metrics.is_empty() {
        text.push_str(&variants(summary, &metrics));
        text.push('\n');
    }
    let totals = &summary.totals;
    let mut parts = vec![format!("{} ran", count(totals.ran)), format!("{} reused", count(totals.reused))];
    for (number, what) in [(totals.failed, "failed"), (totals.skipped, "not run")] {
        if number > 0 {
            parts.push(format!("{} {what}", count(number)));
        }
    }
    text.push_str(&format!("{} in {}", parts.join(", "), duration(totals.seconds)));
    if let Some(longest) = longest(summary) {
        text.push_str(&format!(" ({longest})"));
    }
    text.push('\n');
    text
}

/// The stage that took most of the time, if it was most.
fn longest(summary: &Summary) -> Option<String> {
    let ran = |unit: &&crate::record::UnitSummary| unit.outcome == Outcome::Ran;
    let unit = summary.units.iter().filter(ran).max_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    (unit.seconds > 1.0).then(|| format!("longest: {}, {}", unit.stage, duration(unit.seconds)))
}

/// `accuracy` first, then the others by name.
fn metric_names(summary: &Summary) -> Vec<String> {
    let mut names: Vec<String> = summary.variants.iter().flat_map(|v| v.metrics.keys().cloned()).collect();
    names.sort_by_key(|name| (name != "accuracy", name.clone()));
    names.dedup();
    names
}

fn variants(summary: &Summary, metrics: &[String]) -> String {
    let shown = &metrics[..metrics.len().min(METRICS)];
    let mut ranked: Vec<&VariantSummary> = summary.variants.iter().collect();
    let rank = |variant: &VariantSummary| {
        let metric = variant.metrics.get(&metrics[0]);
        let value = metric.and_then(|m| m.mean.map(|mean| if m.higher_is_better { mean } else { -mean }));
        value.unwrap_or(f64::NEG_INFINITY)
    };
    ranked.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let several = summary.variants.iter().any(|v| v.evaluation != summary.variants[0].evaluation);
    let mut rows = vec![std::iter::once("variant".to_owned()).chain(shown.iter().cloned()).collect::<Vec<String>>()];
    for variant in ranked {
        let mut name = if variant.label.is_empty() { summary.name.clone() } else { variant.label.clone() };
        if several {
            name.push_str(&format!(" ({})", variant.evaluation));
        }
        let cells = shown.iter().map(|metric| variant.metrics.get(metric).map_or_else(|| "–".to_owned(), cell));
        rows.push(std::iter::once(name).chain(cells).collect());
    }
    let mut text = align(&rows);
    if metrics.len() > shown.len() {
        text.push_str(&format!("(and {} more metrics in summary.json)\n", metrics.len() - shown.len()));
    }
    text
}

fn cell(metric: &MetricSummary) -> String {
    match (metric.mean, metric.std) {
        (Some(mean), Some(std)) => format!("{mean:.4} ± {std:.4}"),
        (Some(mean), None) => format!("{mean:.4}"),
        (None, _) => "–".to_owned(),
    }
}

/// Columns side by side, the first to the left, the others to the right; the first row is the heading.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let room = " ".repeat(widths[column].saturating_sub(cell.width()));
            match column {
                0 => line.push_str(&format!("{cell}{room}")),
                _ => line.push_str(&format!("   {room}{cell}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
