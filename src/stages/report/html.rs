//! How does a report look as a single HTML file that needs nothing else?

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use unicode_width::UnicodeWidthStr;

use crate::fetch::base64;
use crate::ml::Task;
use crate::record::{MetricSummary, VariantSummary};

use super::alike::standing;
use super::curves::{self, ClassIntervals};
use super::data::{DETAILED, Detail, Note, classes, has_confusion, pairs};
use super::mistakes::{Findings, Mistake};
use super::rank::{Ranking, over_all, range};
use super::svg;
use super::words::{
    Line, Span, clip, count, counted, html, html_rich, message, percent, score, score_or_dash, seconds,
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Classes that a heat map can show; beyond, the most confused pairs are listed.
const HEAT_MAP: usize = 30;

/// Characters of a text that are shown.
pub(super) const CLIP: usize = 500;

/// Characters of the text nearest to it that are shown.
pub(super) const NEAR: usize = 200;

/// The whole page.
pub(super) fn page(note: &Note<'_>) -> String {
    let frame = Frame { title: &note.title, version: &note.summary.fuseline_version, more_style: "" };
    let mut out = frame.head();
    let title = html(&note.title);
    out.push_str(&format!(
        "<header>\n<h1 dir=\"auto\">{title}</h1>\n<p class=\"scope\">{}</p>\n</header>\n",
        html(&note.scope)
    ));
    if !note.notices.is_empty() {
        out.push_str("<div class=\"notice\" role=\"note\">\n");
        for notice in &note.notices {
            out.push_str(&format!("<p>{}</p>\n", line(notice)));
        }
        out.push_str("</div>\n");
    }
    for (i, sentence) in note.verdict.iter().enumerate() {
        let class = if i == 0 { " class=\"lead\"" } else { "" };
        out.push_str(&format!("<p{class}>{}</p>\n", line(sentence)));
    }
    warnings(&mut out, note);
    if !note.ranking.rows.is_empty() {
        variants(&mut out, note);
    }
    super::contribution::html_section(&mut out, note);
    super::importance::html_section(&mut out, note);
    super::ledger::html_section(&mut out, note.summary);
    details(&mut out, note);
    work(&mut out, note);
    super::provenance::html_section(&mut out, note);
    out + &Frame::foot()
}

/// What stands around a page: its style, its policy, its script.
pub(super) struct Frame<'a> {
    /// What a browser calls the page.
    pub(super) title: &'a str,
    /// The version that made it.
    pub(super) version: &'a str,
    /// Style of its own.
    pub(super) more_style: &'a str,
}

impl Frame<'_> {
    /// All that comes before the page's content.
    pub(super) fn head(&self) -> String {
        let mut out = String::with_capacity(64 * 1024);
        out.push_str(&format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src '{}'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"fuseline {}\">\n\
             <title>{}</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n",
            script_digest(),
            html(self.version),
            html(self.title),
            self.more_style
        ));
        out
    }

    /// All that comes after it.
    pub(super) fn foot() -> String {
        format!("</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
    }
}

/// The only script that the page may run: its own, by digest.
fn script_digest() -> String {
    format!("sha256-{}", base64(&Sha256::digest(SCRIPT)))
}

/// A sentence.
pub(super) fn line(line: &Line) -> String {
    line.iter()
        .map(|span| match span {
            Span::Text(words) => html(words),
            Span::Strong(words) => format!("<strong>{}</strong>", html(words)),
            Span::Name(words) => format!("<strong>{}</strong>", bdi(words)),
            Span::Code(words) => format!("<code>{}</code>", html(words)),
        })
        .collect()
}

/// A name from the pipeline or the data, which cannot reorder what stands around it.
pub(super) fn bdi(name: &str) -> String {
    format!("<bdi>{}</bdi>", breakable(name))
}

/// A name that may be broken after punctuation, but not within a number (`4,154`).
fn breakable(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 16);
    let escaped = html(name);
    let mut rest = escaped.as_str();
    while let Some(at) = rest.find([',', '_', '=', '/', '!']) {
        let (piece, after) = rest.split_at(at + 1);
        out.push_str(piece);
        let digit_before = piece.bytes().rev().nth(1).is_some_and(|byte| byte.is_ascii_digit());
        let digit_after = after.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        if !(piece.ends_with(',') && digit_before && digit_after) {
            out.push_str("<wbr>");
        }
        rest = after;
    }
    out + rest
}

fn warnings(out: &mut String, note: &Note<'_>) {
    let warnings = &note.summary.warnings;
    if warnings.is_empty() {
        return;
    }
    let few = warnings.len() <= 5;
    out.push_str(&match few {
        true => "<h3>Warnings</h3>\n<ul class=\"warnings\">\n".to_owned(),
        false => format!(
            "<details><summary>{}</summary>\n<ul class=\"warnings\">\n",
            counted(warnings.len() as u64, "warning")
        ),
    });
    for warning in warnings {
        out.push_str(&format!("<li>{}</li>\n", line(&message(warning))));
    }
    out.push_str(if few { "</ul>\n" } else { "</ul></details>\n" });
}

/// The ranking: drawn, then in figures.
fn variants(out: &mut String, note: &Note<'_>) {
    out.push_str("<section>\n<h2>The variants</h2>\n");
    ranked(out, &note.ranking);
    for other in &note.apart {
        out.push_str(&format!("<h3>{} {}</h3>\n", counted(other.rows.len() as u64, "variant"), html(&other.apart)));
        for sentence in other.verdict(&[]) {
            out.push_str(&format!("<p>{}</p>\n", line(&sentence)));
        }
        ranked(out, other);
    }
    out.push_str("</section>\n");
}

fn ranked(out: &mut String, ranking: &Ranking<'_>) {
    if let Some(scale) = svg::scale(&ranking.rows) {
        let best = ranking.rows.first().and_then(|row| row.score());
        let longest = ranking.rows.iter().map(|row| row.name.width()).max().unwrap_or_default();
        out.push_str(&format!("<figure>\n<div class=\"strips\" style=\"--who:{}ch\">\n", longest.min(99) + 1));
        for row in &ranking.rows {
            out.push_str(&format!(
                "<div class=\"row\"><div class=\"who\">{}</div><div class=\"figure\">{}</div>{}</div>\n",
                bdi(&row.name),
                score_or_dash(row.score()),
                svg::strip(row, &scale, best)
            ));
        }
        out.push_str(&format!("<div class=\"row\">{}</div>\n</div>\n", svg::axis(&scale)));
        let better = if ranking.higher_is_better { "more" } else { "less" };
        out.push_str(&format!(
            "<figcaption><code>{}</code> by variant; {better} is better. Large dot and bar: the score and its 95% interval; small \
             rings: the single folds; dotted line: the best score.</figcaption>\n</figure>\n",
            html(&ranking.metric)
        ));
    }
    ranked_table(out, ranking);
    out.push_str(&super::sweep::html_section(ranking));
}

fn ranked_table(out: &mut String, ranking: &Ranking<'_>) {
    let how = over_all(ranking);
    let mut caption = match ranking.rows.len() {
        1 => format!("All metrics: {how}, with 95% intervals."),
        _ => format!(
            "All variants by <code>{}</code>: {how}, with 95% intervals. The best of each column is bold.{}",
            html(&ranking.metric),
            ranking.family()
        ),
    };
    if ranking.rows.iter().any(|row| row.fewer_rows) {
        caption.push_str(" Variants on fewer training rows stand below, without a place.");
    }
    if ranking.more_metrics > 0 {
        let more = counted(ranking.more_metrics as u64, "more metric");
        caption.push_str(&format!(" {more} in <code>summary.json</code>."));
    }
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"variants\">\n<table class=\"wide\" data-sort data-filter>\n<caption><span>{caption}</span></caption>\n\
         <thead><tr><th scope=\"col\" class=\"n\" data-low>#</th><th scope=\"col\">variant</th>"
    ));
    let compared = ranking.rows.len() > 1;
    for (at, column) in ranking.columns.iter().enumerate() {
        out.push_str(&format!("<th scope=\"col\" class=\"n\">{}</th>", breakable(column)));
        if at == 0 && compared {
            out.push_str("<th scope=\"col\">to the best</th>");
        }
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    let best: Vec<Option<f64>> = ranking.columns.iter().map(|column| ranking.best_of(column)).collect();
    for row in &ranking.rows {
        let place = row.place.map_or_else(|| "–".to_owned(), |place| place.to_string());
        out.push_str(&format!("<tr><td class=\"n\">{place}</td><th scope=\"row\">{}</th>", bdi(&row.name)));
        for (at, (column, best)) in ranking.columns.iter().zip(&best).enumerate() {
            let metric = row.variant.metrics.get(column);
            let value = metric.and_then(MetricSummary::score);
            let class = if compared && value.is_some() && value == *best { "n best" } else { "n" };
            let interval = metric.and_then(|m| m.ci95);
            let interval = interval.map(|ci| format!("<small>{}</small>", range(ci))).unwrap_or_default();
            out.push_str(&format!("<td class=\"{class}\">{}{interval}</td>", score_or_dash(value)));
            if at == 0 && compared {
                out.push_str(&format!("<td>{}</td>", html(&ranking.distance(row))));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n");
    if !ranking.guesses.is_empty() {
        out.push_str("<tfoot>\n");
    }
    for guess in &ranking.guesses {
        out.push_str(&format!("<tr><td class=\"n\">–</td><th scope=\"row\">baseline: {}</th>", html(&guess.name)));
        for (at, column) in ranking.columns.iter().enumerate() {
            let metric = guess.metrics.get(column);
            let interval = metric.and_then(|m| m.ci95);
            let interval = interval.map(|ci| format!("<small>{}</small>", range(ci))).unwrap_or_default();
            out.push_str(&format!(
                "<td class=\"n\">{}{interval}</td>",
                score_or_dash(metric.and_then(MetricSummary::score))
            ));
            if at == 0 && compared {
                out.push_str("<td></td>");
            }
        }
        out.push_str("</tr>\n");
    }
    if !ranking.guesses.is_empty() {
        out.push_str("</tfoot>\n");
    }
    out.push_str("</table>\n</div>\n");
}

/// The best variant in full, the others folded away.
fn details(out: &mut String, note: &Note<'_>) {
    let Some((best, others)) = note.details.split_first() else { return };
    out.push_str(&match note.ranking.rows.len() {
        1 => "<section>\n<h2>In detail</h2>\n".to_owned(),
        _ => format!("<section>\n<h2>The best variant in detail: {}</h2>\n", bdi(&best.name)),
    });
    detail(out, best);
    out.push_str("</section>\n");
    if others.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>The other variants in detail</h2>\n");
    for other in others {
        let wrong =
            other.findings.as_ref().map(|f| format!(" <span class=\"quiet\">{}</span>", wrong(f))).unwrap_or_default();
        out.push_str(&format!("<details><summary>{}{wrong}</summary>\n", bdi(&other.name)));
        detail(out, other);
        out.push_str("</details>\n");
    }
    if note.without_detail() > 0 {
        out.push_str(&format!(
            "<p class=\"quiet\">Only the first {DETAILED} are shown in detail; {} more in <code>summary.json</code> and \
             <code>predictions.parquet</code>.</p>\n",
            counted(note.without_detail() as u64, "variant")
        ));
    }
    out.push_str("</section>\n");
}

/// How many rows are wrong.
pub(super) fn wrong(findings: &Findings) -> String {
    if findings.task == Task::Values {
        return counted(findings.scored, "prediction");
    }
    format!(
        "{} of {} wrong ({})",
        count(findings.wrong),
        counted(findings.scored, "prediction"),
        percent(findings.wrong, findings.scored)
    )
}

fn detail(out: &mut String, detail: &Detail<'_>) {
    super::chosen::html_section(out, detail);
    let task = detail.findings.as_ref().map_or(Task::Classes, |findings| findings.task);
    if task == Task::Classes {
        confusion(out, detail.variant);
    }
    class_table(out, detail.variant);
    super::importance::html_terms(out, detail);
    match &detail.findings {
        Some(findings) => {
            out.push_str(&curves::html_classes(findings));
            out.push_str(&curves::html_values(findings));
            mistakes(out, findings);
        }
        None => out.push_str("<p class=\"quiet\">Its predictions are not at hand.</p>\n"),
    }
}

fn confusion(out: &mut String, variant: &VariantSummary) {
    if !has_confusion(variant) {
        out.push_str("<p class=\"quiet\">There is no confusion matrix for these scores.</p>\n");
        return;
    }
    if variant.classes.len() <= HEAT_MAP {
        let names: Vec<&str> = variant.classes.iter().map(|c| c.class.as_str()).collect();
        out.push_str(&format!(
            "<h3>Confusion matrix</h3>\n<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"confusion \
             matrix\">{}</div>\n<figcaption>Counts pooled over all folds. Rows: what the texts are; columns: what they were taken \
             for. Blue is right, orange wrong; the stronger, the larger the share of the row.</figcaption>\n</figure>\n",
            svg::heat_map(&names, &variant.confusion)
        ));
        return;
    }
    let (pairs, more) = pairs(variant);
    out.push_str("<h3>Most confused pairs</h3>\n");
    if pairs.is_empty() {
        out.push_str("<p>Nothing is taken for anything else.</p>\n");
        return;
    }
    let rest = if more > 0 { format!("; {} not shown", counted(more as u64, "rarer pair")) } else { String::new() };
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"confused pairs\">\n<table class=\"wide\">\n<caption><span>The most \
         confused pairs of {} classes, pooled over all folds{rest}.</span></caption>\n<thead><tr><th scope=\"col\">label</th><th scope=\"col\">\
         taken for</th><th scope=\"col\" class=\"n\">rows</th><th scope=\"col\" class=\"n\">of the label</th></tr></thead>\n<tbody>\n",
        variant.classes.len()
    ));
    for pair in pairs {
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            bdi(pair.label),
            bdi(pair.predicted),
            count(pair.count),
            percent(pair.count, pair.support)
        ));
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn class_table(out: &mut String, variant: &VariantSummary) {
    if variant.classes.is_empty() {
        return;
    }
    let order = if variant.classes.len() > HEAT_MAP { ", hardest first" } else { "" };
    let intervals = curves::class_intervals(variant);
    let how = match intervals.iter().any(|one| one.recall.is_some()) {
        true => "; below precision and recall: 95% intervals (Wilson's, which take the rows as independent)",
        false => "",
    };
    let intervals: BTreeMap<&str, ClassIntervals> =
        variant.classes.iter().map(|class| class.class.as_str()).zip(intervals).collect();
    out.push_str(&format!(
        "<h3>Per class</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"classes\">\n<table class=\"wide\" data-sort>\n\
         <caption><span>Each class, pooled over all folds{order}{how}.</span></caption>\n<thead><tr><th scope=\"col\">class</th><th scope=\"col\" \
         class=\"n\">precision</th><th scope=\"col\" class=\"n\">recall</th><th scope=\"col\" class=\"n\">F1</th><th scope=\"col\" class=\"draw\">\
         <span class=\"quiet\">precision (blue) and recall (orange), 0 to 1</span></th><th scope=\"col\" class=\"n\">support</th></tr></thead>\n<tbody>\n"
    ));
    let small = |ends: Option<[f64; 2]>| ends.map(|ends| format!("<small>{}</small>", range(ends))).unwrap_or_default();
    for class in classes(variant, HEAT_MAP) {
        let of = intervals.get(class.class.as_str()).copied().unwrap_or_default();
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}{}</td><td class=\"n\">{}{}</td><td class=\"n\">{}</td><td class=\"draw\">{}</td>\
             <td class=\"n\">{}</td></tr>\n",
            bdi(&class.class),
            score(class.precision),
            small(of.precision),
            score(class.recall),
            small(of.recall),
            score(class.f1),
            curves::class_strip(class.precision, class.recall, of),
            count(class.support)
        ));
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn mistakes(out: &mut String, findings: &Findings) {
    out.push_str(&format!("<h3>{}</h3>\n<p>{}.", worst(findings.task), html(&wrong(findings))));
    if findings.mistakes.is_empty() {
        out.push_str("</p>\n");
        return;
    }
    out.push_str(&format!(
        " {}</p>\n<ol class=\"mistakes\" data-task=\"{}\" data-score=\"{}\">\n",
        shown(findings),
        if findings.task == Task::Classes { "classes" } else { "other" },
        figure(findings)
    ));
    let taken_for = taken_for(findings.task);
    for mistake in &findings.mistakes {
        out.push_str(&format!(
            "<li{}><p class=\"meta\"><b>{}</b> {taken_for} <b class=\"wrong\">{}</b> · {}</p>\n{}{}</li>\n",
            if mistake.score.is_finite() { format!(" data-score=\"{:.6}\"", mistake.score) } else { String::new() },
            bdi(named(&mistake.label, findings.task)),
            bdi(named(&mistake.predicted, findings.task)),
            circumstances(mistake, findings),
            said(mistake),
            near(mistake, findings.task)
        ));
    }
    out.push_str("</ol>\n");
}

/// What the score of a mistake is called.
fn figure(findings: &Findings) -> &'static str {
    match (findings.task, findings.probabilities) {
        (Task::Values, _) => "Off by",
        (Task::Sets, _) => "Wrong labels",
        (Task::Classes, true) => "Probability",
        (Task::Classes, false) => "Decision value",
    }
}

/// The heading of the list of mistakes.
pub(super) fn worst(task: Task) -> &'static str {
    match task {
        Task::Classes | Task::Sets => "Worst mistakes",
        Task::Values => "Largest errors",
    }
}

/// Which mistakes are shown.
pub(super) fn shown(findings: &Findings) -> &'static str {
    match (findings.task, findings.probabilities) {
        (Task::Classes, true) => "Shown are those it was surest of (by probability); some may be wrong labels.",
        (Task::Classes, false) => {
            "Shown are those it was surest of (by the lead of the decision value); some may be wrong labels."
        }
        (Task::Sets, _) => "Shown are those with the most wrong labels; some may be wrong in the data.",
        (Task::Values, _) => "Shown are those farthest off; some may be wrong in the data.",
    }
}

/// What stands between the truth and the prediction.
pub(super) fn taken_for(task: Task) -> &'static str {
    match task {
        Task::Classes | Task::Sets => "taken for",
        Task::Values => "predicted as",
    }
}

/// A label, or a word where a set is empty.
pub(super) fn named(label: &str, task: Task) -> &str {
    if label.is_empty() && task == Task::Sets { "(none)" } else { label }
}

fn circumstances(mistake: &Mistake, findings: &Findings) -> String {
    let mut out = sure(mistake, findings);
    out.push_str(&format!(" · fold {} · row <code>{}</code>", mistake.fold + 1, bdi(&mistake.row_id)));
    out.push_str(&html(&company(mistake)));
    out
}

/// How sure the prediction was, or how far off.
pub(super) fn sure(mistake: &Mistake, findings: &Findings) -> String {
    let figure = match (findings.task, findings.probabilities) {
        (Task::Values, _) => return format!("off by {}", score(mistake.score)),
        (Task::Sets, _) => return format!("{} wrong", counted(mistake.score as u64, "label")),
        (Task::Classes, true) => "probability",
        (Task::Classes, false) => "decision value",
    };
    let against = mistake.label_score.map(|s| format!(" against {}", score(s))).unwrap_or_default();
    format!("{figure} {}{against}", score(mistake.score))
}

/// Who else is wrong about it, and how often.
pub(super) fn company(mistake: &Mistake) -> String {
    let mut out = String::new();
    if mistake.times > 1 {
        out.push_str(&format!(" · wrong {} times", mistake.times));
    }
    if mistake.scored_in > 1 {
        out.push_str(&match (mistake.wrong_in, mistake.scored_in) {
            (1, all) => format!(" · wrong here alone of {all} variants"),
            (wrong, all) if wrong == all => format!(" · wrong in all {all} variants"),
            (wrong, all) => format!(" · wrong in {wrong} of {all} variants"),
        });
    }
    out
}

fn said(mistake: &Mistake) -> String {
    match mistake.text.as_deref() {
        None => "<p class=\"cut\">its text is not among the rows</p>".to_owned(),
        Some(text) if text.trim().is_empty() => "<p class=\"cut\">an empty text</p>".to_owned(),
        Some(text) => {
            let clipped = clip(text.trim(), CLIP);
            let cut = match clipped.cut {
                0 => String::new(),
                n => format!("<span class=\"cut\"> … {} cut</span>", counted(n as u64, "character")),
            };
            format!("<p class=\"said\" dir=\"auto\">{}{cut}</p>", html_rich(&clipped.text))
        }
    }
}

/// The row most like it.
fn near(mistake: &Mistake, task: Task) -> String {
    let Some(nearest) = &mistake.nearest else { return String::new() };
    let (standing, other) = standing(mistake, nearest, task);
    let label = nearest
        .label
        .as_deref()
        .map(|label| format!(" <b{}>{}</b>", if other { " class=\"wrong\"" } else { "" }, bdi(named(label, task))));
    let clipped = clip(nearest.text.trim(), NEAR);
    format!(
        "\n<p class=\"near\"><small>Nearest in words ({}):{} {standing} · row <code>{}</code></small> <span dir=\"auto\">{}{}</span></p>",
        score(nearest.cosine),
        label.unwrap_or_default(),
        bdi(&nearest.row_id),
        html_rich(&clipped.text),
        if clipped.cut > 0 { " …" } else { "" }
    )
}

/// What ran and what was reused.
fn work(out: &mut String, note: &Note<'_>) {
    if note.stages.is_empty() {
        return;
    }
    let totals = &note.summary.totals;
    out.push_str(&format!(
        "<section>\n<h2>What ran, what was reused</h2>\n<p>{}</p>\n",
        html(&super::provenance::work_sentence(note))
    ));
    out.push_str(&super::graph::html_section(note));
    let trouble = totals.failed + totals.skipped > 0;
    let longest = note.stages.iter().map(|s| s.worked + s.saved).fold(0.0, f64::max);
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"stages\">\n<table class=\"wide\">\n<caption><span>Units of work by \
         stage. Full bar: seconds in this run; pale bar: seconds that reuse saved.</span></caption>\n<thead><tr><th scope=\"col\">stage</th>\
         <th scope=\"col\">kind</th><th scope=\"col\" class=\"n\">ran</th><th scope=\"col\" class=\"n\">reused</th>",
    );
    if trouble {
        out.push_str("<th scope=\"col\" class=\"n\">failed</th><th scope=\"col\" class=\"n\">not run</th>");
    }
    out.push_str(
        "<th scope=\"col\" class=\"draw\"><span class=\"quiet\">time</span></th><th scope=\"col\" class=\"n\">worked</th><th scope=\"col\" \
         class=\"n\">saved</th></tr></thead>\n<tbody>\n",
    );
    for stage in &note.stages {
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
            bdi(stage.stage),
            html(stage.kind),
            count(stage.ran),
            count(stage.reused)
        ));
        if trouble {
            out.push_str(&format!(
                "<td class=\"n\">{}</td><td class=\"n\">{}</td>",
                count(stage.failed),
                count(stage.skipped)
            ));
        }
        out.push_str(&format!(
            "<td class=\"draw\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            svg::time_bar(stage.worked, stage.saved, longest),
            seconds(stage.worked),
            seconds(stage.saved)
        ));
    }
    out.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}
