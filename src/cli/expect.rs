//! How is it told that data is not as a pipeline expects?

use super::context::Context;
use super::exit::Exit;
use crate::pipeline::Pipeline;
use crate::problem::{Problem, Problems};
use crate::record::{DataSummary, Summary};
use crate::ui::ledger::shown;

/// Examples of one broken expectation.
const EXAMPLES: usize = 3;

/// Tells what is broken, at its lines; how the command ends if anything is.
pub(super) fn hold(context: &Context, pipeline: &Pipeline, summary: &Summary) -> Result<(), Exit> {
    let problems = broken(pipeline, summary);
    if problems.0.is_empty() {
        return Ok(());
    }
    context.tell(&problems);
    Err(Exit::Differs)
}

fn broken(pipeline: &Pipeline, summary: &Summary) -> Problems {
    let mut problems = Problems::default();
    for (expected, found) in pipeline.expect.iter().zip(&summary.expectations) {
        let Some((worst, others)) = found.broken.split_first() else { continue };
        let verb = if worst.starts_with("cannot") { "and" } else { "but is" };
        let message = format!("`{}` must be `{}`, {verb} {worst}", found.name, found.bound);
        let mut problem = Problem::error("expectation-broken", message).at(expected.at.clone());
        if !others.is_empty() {
            problem = problem.note(format!("also {}", others.iter().take(5).cloned().collect::<Vec<_>>().join("; ")));
        }
        for line in examples(&summary.data, &found.examples) {
            problem = problem.note(line);
        }
        problems.push(problem);
    }
    problems
}

fn examples(data: &[DataSummary], keys: &[String]) -> Vec<String> {
    let of = |key: &String| data.iter().filter_map(|one| one.ledger.examples.get(key)).flatten().collect::<Vec<_>>();
    keys.iter().flat_map(of).take(EXAMPLES).map(shown).collect()
}
