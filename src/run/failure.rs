//! What is said of a unit that failed?

use super::limits::Limits;
use crate::pipeline::Pipeline;
use crate::plan::{Phase, Unit};
use crate::problem::{Origin, Problem};
use crate::stage::Failure;

/// The problem that a failure is, at its line.
pub(super) fn problem(pipeline: &Pipeline, unit: &Unit, failure: &Failure) -> Problem {
    let doing = match unit.phase {
        Phase::Fit => " while fitting",
        Phase::Apply => " while applying what it learned",
        Phase::Split => " while dividing the rows",
        Phase::Score => " while scoring",
        Phase::Survey => " while looking at what it will do",
        Phase::Profile => " while its texts were looked at",
        Phase::Ledger => " while its rows were counted",
        Phase::Shuffle => " while applying what it learned to shuffled features",
        Phase::Weigh => " while saying what its weights do",
        Phase::Importance => " while counting what features are worth",
        Phase::Run => "",
    };
    let fold = unit.fold.as_ref().map_or_else(String::new, |fold| format!(" in fold {}", fold.shown()));
    let param: Vec<&str> = failure.param.iter().flatten().map(String::as_str).collect();
    let code = failure.code.unwrap_or("stage-failed");
    let mut problem = Problem::error(code, format!("`{}` failed{doing}{fold}", unit.stage))
        .because(failure.message.clone())
        .at(pipeline.origin(&unit.stage, &param));
    if !unit.tried.is_empty() {
        let tried = unit.tried.iter().map(|(path, value)| format!("`{path}: {value}`")).collect::<Vec<_>>();
        problem = problem.note(format!("a search sets {}", tried.join(", ")));
    }
    problem.causes.extend(failure.causes.iter().cloned());
    problem.help.extend(failure.help.iter().cloned());
    problem
}

/// A unit took longer than it may.
pub(super) fn late(limits: &Limits, unit: &Unit) -> Failure {
    let timeout = limits.timeout(&unit.stage);
    let limit = timeout.map_or(0.0, |timeout| timeout.after.as_secs_f64());
    let set_by = match timeout.and_then(|timeout| timeout.set_by.as_ref()) {
        Some(Origin::Flag { text, .. }) => format!(" (`{text}`)"),
        Some(Origin::File { file, .. } | Origin::WholeFile { file }) => format!(" (set in {file})"),
        Some(Origin::Env { name }) => format!(" ({name})"),
        None => String::new(),
    };
    Failure {
        message: format!("it ran longer than its limit of {limit} s{set_by}"),
        help: vec![format!("raise the limit with `--timeout {}=DURATION`", unit.stage)],
        ..Failure::default()
    }
}

/// A stage panicked.
pub(super) fn panicked(said: &str) -> Failure {
    Failure {
        message: format!("panicked: {said}"),
        help: vec!["this is a bug in Fuseline: please report it".to_owned()],
        ..Failure::default()
    }
}
