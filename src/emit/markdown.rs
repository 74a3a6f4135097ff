//! What does a person read below a pull request, or in a step's summary? Markdown, as GitHub and GitLab show it.

use super::escape::{markdown, markdown_code, markdown_sentence};
use super::report::{GateCase, Report};
use crate::gate::Ruling;
use crate::record::{Outcome, Status};

/// So many variants are listed; JSON and JUnit have all.
const VARIANTS: usize = 50;

/// So many gates are listed, those that do not hold first.
const GATES: usize = 100;

/// So many metrics stand side by side.
const METRICS: usize = 6;

/// The Markdown. Its first line is a comment that a bot can find it by, to write it anew instead of once more.
pub(super) fn text(report: &Report) -> String {
    let name = markdown_code(&report.name);
    let head = match report.verdict {
        Some(verdict) => verdict.word(),
        None => match report.status {
            Status::Complete => "complete",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
        },
    };
    let mut text = format!("<!-- fuseline:{} -->\n### Fuseline {name}: {head}\n\n", comment(&report.name));
    if let Some(baseline) = &report.baseline {
        text.push_str(&format!("Held against {}.\n\n", markdown_code(baseline)));
    }
    text.push_str(&gates(report));
    text.push_str(&broken(report));
    text.push_str(&variants(report));
    let totals = &report.totals;
    text.push_str(&format!("{} units ran, {} were reused", totals.ran, totals.reused));
    if totals.failed + totals.skipped > 0 {
        text.push_str(&format!(", {} failed, {} did not run", totals.failed, totals.skipped));
    }
    text.push_str(&format!(", in {:.1} s.\n", totals.seconds));
    for warning in &report.warnings {
        text.push_str(&format!("\n- {}", markdown_sentence(warning)));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
    }
    text
}

/// A name in a comment: letters and digits alone, so that nothing in it ends the comment.
fn comment(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn gates(report: &Report) -> String {
    if report.gates.is_empty() {
        return String::new();
    }
    let mut text = "| verdict | gate | of | wanted | found | p | why |\n|---|---|---|---|---|---|---|\n".to_owned();
    let (held, others): (Vec<&GateCase>, Vec<&GateCase>) =
        report.gates.iter().partition(|gate| gate.judged.verdict == Ruling::Pass);
    for gate in others.into_iter().chain(held).take(GATES) {
        let judged = &gate.judged;
        let verdict = match judged.verdict {
            Ruling::Pass => "pass".to_owned(),
            other => format!("**{}**", other.word()),
        };
        let of = [judged.variant.as_str(), judged.evaluation.as_str()].map(markdown_code);
        let p =
            judged.p.map_or_else(String::new, |p| if p < 0.001 { "below 0.001".to_owned() } else { format!("{p:.3}") });
        text.push_str(&format!(
            "| {verdict} | {} {} | {} | {} | {} | {p} | {} |\n",
            markdown_code(&judged.gate),
            markdown(&judged.subject),
            of.join(" ").trim(),
            markdown(&judged.expected),
            markdown(&judged.actual),
            markdown_sentence(&judged.reason)
        ));
    }
    if report.gates.len() > GATES {
        text.push_str(&format!("\n… and {} more gates.\n", report.gates.len() - GATES));
    }
    text + "\n"
}

fn broken(report: &Report) -> String {
    let mut text = String::new();
    for expected in report.expectations.iter().filter(|expected| expected.held == Some(false)) {
        let broken = expected.broken.first().map_or("", String::as_str);
        text.push_str(&format!(
            "- {} must be {}, but is {}\n",
            markdown_code(&expected.name),
            markdown(&expected.bound),
            markdown(broken)
        ));
    }
    for unit in report.units.iter().filter(|unit| unit.outcome == Outcome::Failed) {
        let why = markdown_sentence(unit.problem.as_deref().unwrap_or("it failed"));
        text.push_str(&format!("- {} failed: {why}\n", markdown_code(&unit.title)));
    }
    if text.is_empty() { text } else { text + "\n" }
}

fn variants(report: &Report) -> String {
    let mut names: Vec<&String> = report.variants.iter().flat_map(|variant| variant.metrics.keys()).collect();
    names.sort_by_key(|name| (*name != "accuracy", *name));
    names.dedup();
    names.truncate(METRICS);
    if names.is_empty() {
        return String::new();
    }
    let heads: String = names.iter().map(|name| format!(" {} |", markdown(name))).collect();
    let mut text = format!("| variant |{heads}\n|---|{}\n", "---|".repeat(names.len()));
    for variant in report.variants.iter().take(VARIANTS) {
        text.push_str(&format!("| {} |", markdown_code(&variant.title())));
        for name in &names {
            let metric = variant.metrics.get(*name);
            let cell = metric.and_then(|metric| {
                let interval = metric.ci95.map(|[low, high]| format!(" &#91;{low:.4}, {high:.4}&#93;"));
                Some(format!("{:.4}{}", metric.estimate?, interval.unwrap_or_default()))
            });
            text.push_str(&format!(" {} |", cell.unwrap_or_else(|| "–".to_owned())));
        }
        text.push('\n');
    }
    if report.variants.len() > VARIANTS {
        text.push_str(&format!("\n… and {} more variants.\n", report.variants.len() - VARIANTS));
    }
    text + "\n"
}
