//! How did a run go, at a glance? `timeline.html`: one page without anything to load, drawn on a canvas.

use std::collections::BTreeMap;

use serde_json::json;

use super::trace::{CameTo, Run};
use super::{bytes, count, counted, duration};

/// The page around the data.
const PAGE: &str = include_str!("timeline.html");

/// How many rows its tables have at most.
const ROWS: usize = 40;

/// The page about a run of the pipeline called `name`.
pub(super) fn page(run: &Run, name: &str) -> String {
    let path = run.critical();
    let mut kinds: Vec<&str> = run.spans.iter().map(|span| span.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kind = |name: &str| kinds.iter().position(|known| *known == name);
    let came_to = |what: CameTo| CameTo::ALL.iter().position(|known| *known == what);
    let round = |seconds: f64| (seconds * 1e6).round() / 1e6;
    let mut critical = vec![0; run.spans.len()];
    path.iter().for_each(|&at| critical[at] = 1);
    let spans: Vec<_> = run
        .spans
        .iter()
        .zip(&critical)
        .map(|(span, critical)| {
            json!([
                span.lane,
                round(span.begin),
                round(span.end),
                kind(span.kind),
                came_to(span.came_to),
                critical,
                span.title,
                span.rows,
                bytes(span.bytes)
            ])
        })
        .collect();
    let reused: Vec<_> = run.reused.iter().map(|(at, title)| json!([round(*at), title])).collect();
    let words: Vec<&str> = CameTo::ALL.iter().map(|what| what.word()).collect();
    let data = json!({
        "lanes": run.lanes, "kinds": kinds, "outcomes": words, "spans": spans, "reused": reused,
        "unmarked": run.hits - run.reused.len(), "path": path,
    });
    let end = run.spans.iter().map(|span| span.end).fold(0.0, f64::max);
    // Inside a script only `<` could end it.
    let data = data.to_string().replace('<', "\\u003c");
    let parts = [
        ("{{summary}}", escaped(&summary(run, end))),
        ("{{path}}", path_rows(run, &path)),
        ("{{stages}}", stage_rows(run, end)),
        ("{{data}}", data),
    ];
    parts
        .into_iter()
        .fold(PAGE.replace("{{name}}", &escaped(name)), |page, (place, text)| page.replacen(place, &text, 1))
}

/// `128 units ran on 2 lanes in 12.3 s, 40 reused; the lanes were at work for 93% of it`.
fn summary(run: &Run, end: f64) -> String {
    let number = |what: CameTo| run.spans.iter().filter(|span| span.came_to == what).count() as u64;
    let mut text = format!(
        "{} ran on {} in {}, {} reused",
        counted(number(CameTo::Ran), "unit"),
        counted(run.lanes as u64, "lane"),
        duration(end),
        count(run.hits as u64)
    );
    let others = [(number(CameTo::Failed), "failed"), (number(CameTo::Retried), "tried again")];
    let others = others.into_iter().chain([(number(CameTo::Stopped), "stopped"), (run.skipped as u64, "not run")]);
    for (number, what) in others.filter(|(number, _)| *number > 0) {
        text.push_str(&format!(", {} {what}", count(number)));
    }
    let work: f64 = run.spans.iter().map(|span| span.end - span.begin).sum();
    if end > 0.0 && run.lanes > 0 {
        text.push_str(&format!("; the lanes were at work for {:.0}% of it", 100.0 * work / end / run.lanes as f64));
    }
    text
}

fn path_rows(run: &Run, path: &[usize]) -> String {
    let mut longest: Vec<usize> = path.to_vec();
    longest.sort_by(|&a, &b| (run.spans[b].seconds()).total_cmp(&run.spans[a].seconds()));
    longest.truncate(ROWS);
    let shown = path.iter().filter(|at| longest.contains(at)).map(|&at| {
        let span = &run.spans[at];
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            escaped(&span.title),
            duration(span.begin),
            duration(span.seconds())
        )
    });
    let mut rows: String = shown.collect();
    if path.len() > longest.len() {
        rows.push_str(&format!("<tr><td colspan=\"3\">and {} shorter ones</td></tr>\n", path.len() - longest.len()));
    }
    rows
}

fn stage_rows(run: &Run, end: f64) -> String {
    let mut stages: BTreeMap<(&str, &str, &str), (u64, f64)> = BTreeMap::new();
    for span in &run.spans {
        let entry = stages.entry((&span.stage, span.kind, span.phase)).or_default();
        *entry = (entry.0 + 1, entry.1 + span.seconds());
    }
    let mut stages: Vec<_> = stages.into_iter().collect();
    stages.sort_by(|(_, (_, a)), (_, (_, b))| b.total_cmp(a));
    let whole = end * run.lanes as f64;
    let row = |((stage, kind, phase), (units, seconds)): &((&str, &str, &str), (u64, f64))| {
        let share = if whole > 0.0 { 100.0 * seconds / whole } else { 0.0 };
        format!(
            "<tr><td>{}</td><td>{kind} {phase}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{share:.0}%</td></tr>\n",
            escaped(stage),
            count(*units),
            duration(*seconds)
        )
    };
    stages.iter().take(ROWS).map(row).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
