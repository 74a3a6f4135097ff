//! How does a report read as Markdown, in a pull request or a terminal?

use crate::ml::Task;
use crate::record::VariantSummary;

use super::alike::standing;
use super::curves;
use super::data::{DETAILED, Detail, Note, classes, has_confusion, pairs};
use super::html::{CLIP, NEAR, company, named, shown, sure, taken_for, worst, wrong};
use super::mistakes::{Findings, Mistake};
use super::rank::{Ranking, over_all, with_interval};
use super::words::{
    Line, Span, clip, count, counted, html, markdown, markdown_code, message, percent, score, score_or_dash, seconds,
};

/// Classes whose confusion matrix fits a table; beyond, the most confused pairs are listed.
const TABLE: usize = 10;

/// Classes that stay in their own order; beyond, the hardest come first.
const FEW: usize = 30;

/// The whole document.
pub(super) fn page(note: &Note<'_>) -> String {
    let mut out = format!("# {}\n\n{}\n\n", markdown(&note.title), markdown(&note.scope));
    for (i, notice) in note.notices.iter().enumerate() {
        let first = if i == 0 { "> [!WARNING]\n" } else { "" };
        out.push_str(&format!("{first}> - {}\n", line(notice)));
    }
    if !note.notices.is_empty() {
        out.push('\n');
    }
    for sentence in &note.verdict {
        out.push_str(&format!("{}\n\n", line(sentence)));
    }
    if !note.summary.warnings.is_empty() {
        out.push_str("Warnings:\n\n");
        for warning in &note.summary.warnings {
            out.push_str(&format!("- {}\n", line(&message(warning))));
        }
        out.push('\n');
    }
    if !note.ranking.rows.is_empty() {
        variants(&mut out, note);
    }
    super::contribution::markdown_section(&mut out, note);
    super::importance::markdown_section(&mut out, note);
    super::ledger::markdown_section(&mut out, note.summary);
    details(&mut out, note);
    work(&mut out, note);
    super::provenance::markdown_section(&mut out, note);
    out
}

/// A sentence.
pub(super) fn line(line: &Line) -> String {
    line.iter()
        .map(|span| match span {
            Span::Text(words) => {
                // blanks at the ends part the words from what stands beside them
                let edge = |at_edge: bool| if at_edge { " " } else { "" };
                let (before, after) = (edge(words.starts_with(' ')), edge(words.ends_with(' ')));
                format!("{before}{}{after}", markdown(words))
            }
            Span::Strong(words) => format!("**{words}**"),
            Span::Name(words) => format!("**{}**", markdown(words)),
            Span::Code(words) => markdown_code(words),
        })
        .collect()
}

fn variants(out: &mut String, note: &Note<'_>) {
    out.push_str("## The variants\n\n");
    ranked(out, &note.ranking);
    for other in &note.apart {
        out.push_str(&format!("### {} {}\n\n", counted(other.rows.len() as u64, "variant"), other.apart));
        for sentence in other.verdict(&[]) {
            out.push_str(&format!("{}\n\n", line(&sentence)));
        }
        ranked(out, other);
    }
}

fn ranked(out: &mut String, ranking: &Ranking<'_>) {
    let how = over_all(ranking);
    out.push_str(&format!("By {}: {how}, with 95% intervals.", markdown_code(&ranking.metric)));
    if ranking.more_metrics > 0 {
        out.push_str(&format!(" {} in `summary.json`.", counted(ranking.more_metrics as u64, "more metric")));
    }
    out.push_str(&ranking.family());
    let compared = ranking.rows.len() > 1;
    out.push_str("\n\n| # | variant |");
    for (at, column) in ranking.columns.iter().enumerate() {
        let distance = if at == 0 && compared { " to the best |" } else { "" };
        out.push_str(&format!(" {} |{distance}", markdown(column)));
    }
    out.push_str(" folds |\n| ---: | --- |");
    for at in 0..ranking.columns.len() {
        out.push_str(if at == 0 && compared { " ---: | --- |" } else { " ---: |" });
    }
    out.push_str(" --- |\n");
    for row in &ranking.rows {
        let place = row.place.map_or_else(|| "–".to_owned(), |place| place.to_string());
        out.push_str(&format!("| {place} | {} |", markdown(&row.name)));
        for (at, column) in ranking.columns.iter().enumerate() {
            let cell = row.variant.metrics.get(column).map_or_else(|| "–".to_owned(), with_interval);
            let distance = if at == 0 && compared { format!(" {} |", ranking.distance(row)) } else { String::new() };
            out.push_str(&format!(" {cell} |{distance}"));
        }
        let folds: Vec<String> = row.metric.iter().flat_map(|m| &m.folds).map(|f| score_or_dash(*f)).collect();
        out.push_str(&format!(" {} |\n", folds.join(" ")));
    }
    for guess in &ranking.guesses {
        out.push_str(&format!("| – | baseline: {} |", markdown(&guess.name)));
        for (at, column) in ranking.columns.iter().enumerate() {
            let cell = guess.metrics.get(column).map_or_else(|| "–".to_owned(), with_interval);
            out.push_str(&format!(" {cell} |{}", if at == 0 && compared { "  |" } else { "" }));
        }
        let of_metric = guess.metrics.get(&ranking.metric);
        let folds: Vec<String> = of_metric.iter().flat_map(|m| &m.folds).map(|f| score_or_dash(*f)).collect();
        out.push_str(&format!(" {} |\n", folds.join(" ")));
    }
    out.push('\n');
}

/// The best variant in full, the others folded away.
fn details(out: &mut String, note: &Note<'_>) {
    let Some((best, others)) = note.details.split_first() else { return };
    match note.ranking.rows.len() {
        1 => out.push_str("## In detail\n\n"),
        _ => out.push_str(&format!("## The best variant in detail: {}\n\n", markdown(&best.name))),
    }
    detail(out, best);
    if others.is_empty() {
        return;
    }
    out.push_str("## The other variants in detail\n\n");
    for other in others {
        let wrong = other.findings.as_ref().map(|f| format!(": {}", wrong(f))).unwrap_or_default();
        // the summary of a <details> is HTML, also in Markdown
        let name = html(&other.name).replace('\n', " ");
        out.push_str(&format!("<details><summary>{name}{wrong}</summary>\n\n"));
        detail(out, other);
        out.push_str("</details>\n\n");
    }
    if note.without_detail() > 0 {
        out.push_str(&format!(
            "Only the first {DETAILED} are shown in detail; {} more in `summary.json` and `predictions.parquet`.\n\n",
            counted(note.without_detail() as u64, "variant")
        ));
    }
}

fn detail(out: &mut String, detail: &Detail<'_>) {
    super::chosen::markdown_section(out, detail);
    let task = detail.findings.as_ref().map_or(Task::Classes, |findings| findings.task);
    if task == Task::Classes {
        confusion(out, detail.variant);
    }
    class_table(out, detail.variant);
    super::importance::markdown_terms(out, detail);
    match &detail.findings {
        Some(findings) => {
            out.push_str(&curves::markdown_classes(findings));
            mistakes(out, findings);
        }
        None => out.push_str("Its predictions are not at hand.\n\n"),
    }
}

fn confusion(out: &mut String, variant: &VariantSummary) {
    if !has_confusion(variant) {
        out.push_str("There is no confusion matrix for these scores.\n\n");
        return;
    }
    if variant.classes.len() <= TABLE {
        out.push_str(
            "### Confusion matrix\n\nRows: what the texts are; columns: what they were taken for (counts, pooled over all folds).\n\n| label |",
        );
        for class in &variant.classes {
            out.push_str(&format!(" → {} |", markdown(&class.class)));
        }
        out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(variant.classes.len())));
        for (i, (class, row)) in variant.classes.iter().zip(&variant.confusion).enumerate() {
            out.push_str(&format!("| {} |", markdown(&class.class)));
            for (j, n) in row.iter().enumerate() {
                out.push_str(&if i == j { format!(" **{}** |", count(*n)) } else { format!(" {} |", count(*n)) });
            }
            out.push('\n');
        }
        out.push('\n');
        return;
    }
    let (pairs, more) = pairs(variant);
    if pairs.is_empty() {
        out.push_str("### Most confused pairs\n\nNothing is taken for anything else.\n\n");
        return;
    }
    let rest = if more > 0 { format!("; {} not shown", counted(more as u64, "rarer pair")) } else { String::new() };
    out.push_str(&format!(
        "### Most confused pairs\n\nThe most confused pairs of {} classes, pooled over all folds{rest}.\n\n| label | taken for | rows | of the label |\n\
         | --- | --- | ---: | ---: |\n",
        variant.classes.len()
    ));
    for pair in pairs {
        out.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            markdown(pair.label),
            markdown(pair.predicted),
            count(pair.count),
            percent(pair.count, pair.support)
        ));
    }
    out.push('\n');
}

fn class_table(out: &mut String, variant: &VariantSummary) {
    if variant.classes.is_empty() {
        return;
    }
    let order = if variant.classes.len() > FEW { ", hardest first" } else { "" };
    out.push_str(&format!(
        "### Per class\n\nEach class, pooled over all folds{order}.\n\n| class | precision | recall | F1 | support |\n\
         | --- | ---: | ---: | ---: | ---: |\n"
    ));
    for class in classes(variant, FEW) {
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            markdown(&class.class),
            score(class.precision),
            score(class.recall),
            score(class.f1),
            count(class.support)
        ));
    }
    out.push('\n');
}

fn mistakes(out: &mut String, findings: &Findings) {
    out.push_str(&format!("### {}\n\n{}.", worst(findings.task), wrong(findings)));
    if findings.mistakes.is_empty() {
        out.push_str("\n\n");
        return;
    }
    out.push_str(&format!(" {}\n\n", shown(findings)));
    for (i, mistake) in findings.mistakes.iter().enumerate() {
        out.push_str(&format!(
            "{}. **{}** {} **{}** · {} · fold {} · row {}{}\n   > {}\n{}",
            i + 1,
            markdown(named(&mistake.label, findings.task)),
            taken_for(findings.task),
            markdown(named(&mistake.predicted, findings.task)),
            sure(mistake, findings),
            mistake.fold + 1,
            markdown_code(&mistake.row_id),
            company(mistake),
            said(mistake),
            near(mistake, findings.task)
        ));
    }
    out.push('\n');
}

fn said(mistake: &Mistake) -> String {
    match mistake.text.as_deref() {
        None => "*its text is not among the rows*".to_owned(),
        Some(text) if text.trim().is_empty() => "*an empty text*".to_owned(),
        Some(text) => {
            let clipped = clip(text.trim(), CLIP);
            match clipped.cut {
                0 => markdown(&clipped.text),
                n => format!("{} *… {} cut*", markdown(&clipped.text), counted(n as u64, "character")),
            }
        }
    }
}

/// The row most like it.
fn near(mistake: &Mistake, task: Task) -> String {
    let Some(nearest) = &mistake.nearest else { return String::new() };
    let (standing, _) = standing(mistake, nearest, task);
    let label = nearest.label.as_deref().map(|label| format!(" **{}**", markdown(named(label, task))));
    let clipped = clip(nearest.text.trim(), NEAR);
    format!(
        "\n   Nearest in words ({}):{} {standing} · row {}\n   > {}{}\n",
        score(nearest.cosine),
        label.unwrap_or_default(),
        markdown_code(&nearest.row_id),
        markdown(&clipped.text),
        if clipped.cut > 0 { " …" } else { "" }
    )
}

/// What ran and what was reused.
fn work(out: &mut String, note: &Note<'_>) {
    if note.stages.is_empty() {
        return;
    }
    out.push_str(&format!(
        "## What ran, what was reused\n\n{}\n\n| stage | kind | ran | reused | failed | not run | worked | saved |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        super::provenance::work_sentence(note)
    ));
    for stage in &note.stages {
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            markdown(stage.stage),
            markdown(stage.kind),
            count(stage.ran),
            count(stage.reused),
            count(stage.failed),
            count(stage.skipped),
            seconds(stage.worked),
            seconds(stage.saved)
        ));
    }
    out.push('\n');
}
