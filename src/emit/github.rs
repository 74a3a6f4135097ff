//! What does GitHub show beside the lines of a pull request? Workflow commands, one a line.

use super::escape::{command_message, command_property};
use super::report::{Place, Report};
use crate::gate::Ruling;
use crate::record::Outcome;

/// Annotations for everything that is not as it must be.
pub fn annotations(report: &Report) -> String {
    let mut text = String::new();
    for gate in &report.gates {
        let judged = &gate.judged;
        let level = match (judged.verdict, gate.blocks) {
            (Ruling::Pass, _) => continue,
            (_, true) => "error",
            (_, false) => "warning",
        };
        let title = format!("{}: {}", judged.verdict.word(), judged.title());
        let message = format!("{}; wanted {}, found {}", judged.reason, judged.expected, judged.actual);
        text.push_str(&command(level, gate.place.as_ref(), &title, &message));
    }
    for expected in report.expectations.iter().filter(|expected| expected.held == Some(false)) {
        let broken = expected.broken.first().map_or("", String::as_str);
        let message = format!("{} must be {}, but is {broken}", expected.name, expected.bound);
        text.push_str(&command("error", expected.place.as_ref(), "the data is not as expected", &message));
    }
    for unit in report.units.iter().filter(|unit| unit.outcome == Outcome::Failed) {
        let message = unit.problem.as_deref().unwrap_or("it failed");
        text.push_str(&command("error", unit.place.as_ref(), &format!("{} failed", unit.title), message));
    }
    text
}

fn command(level: &str, place: Option<&Place>, title: &str, message: &str) -> String {
    let place =
        place.map(|place| format!("file={},line={},col={},", command_property(&place.file), place.line, place.column));
    let title = command_property(title);
    format!("::{level} {}title={title}::{}\n", place.unwrap_or_default(), command_message(message))
}
