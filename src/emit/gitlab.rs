//! What does GitLab show beside the lines of a merge request? Its code quality report.

use serde_json::{Value, json};

use super::escape::shown;
use super::report::{Place, Report};
use crate::gate::Ruling;
use crate::record::Outcome;
use crate::table::Digest;

/// The report: a list of findings.
pub(super) fn text(report: &Report) -> String {
    let mut all = Vec::new();
    for gate in report.gates.iter().filter(|gate| gate.judged.verdict != Ruling::Pass) {
        let judged = &gate.judged;
        let severity = match (judged.verdict, gate.blocks) {
            (Ruling::Fail, _) => "critical",
            (_, true) => "major",
            (_, false) => "minor",
        };
        let description = format!(
            "{} ({}): {}; wanted {}, found {}",
            judged.title(),
            judged.verdict.word(),
            judged.reason,
            judged.expected,
            judged.actual
        );
        // What is told of the same gate is the same finding, whatever the numbers: so GitLab knows what is new.
        let identity =
            ["gate", &judged.gate, &judged.subject, &judged.variant, &judged.evaluation, judged.verdict.word()];
        all.push(finding(report, "gate", &identity, severity, &description, gate.place.as_ref()));
    }
    for expected in report.expectations.iter().filter(|expected| expected.held == Some(false)) {
        let broken = expected.broken.first().map_or("", String::as_str);
        let description = format!("{} must be {}, but is {broken}", expected.name, expected.bound);
        let identity = ["expect", expected.name.as_str(), expected.bound.as_str()];
        all.push(finding(report, "expect", &identity, "major", &description, expected.place.as_ref()));
    }
    for unit in report.units.iter().filter(|unit| unit.outcome == Outcome::Failed) {
        let description = format!("{} failed: {}", unit.title, unit.problem.as_deref().unwrap_or("without a word"));
        let identity = ["unit", unit.title.as_str()];
        all.push(finding(report, "unit", &identity, "blocker", &description, unit.place.as_ref()));
    }
    serde_json::to_string_pretty(&all).map(|text| text + "\n").unwrap_or_default()
}

fn finding(
    report: &Report,
    check: &str,
    identity: &[&str],
    severity: &str,
    description: &str,
    place: Option<&Place>,
) -> Value {
    let fingerprint = Digest::of(json!([report.name, identity]).to_string().as_bytes()).to_string();
    let (path, line) = place.map_or((report.file.as_str(), 1), |place| (place.file.as_str(), place.line));
    json!({
        "description": shown(description),
        "check_name": format!("fuseline-{check}"),
        "fingerprint": fingerprint,
        "severity": severity,
        "location": { "path": shown(path), "lines": { "begin": line } },
    })
}
