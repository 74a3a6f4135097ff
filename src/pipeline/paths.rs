//! What does a path such as `model.estimator.linear_svc.c` set?
//!
//! Matrix axes and `--set` share these paths: a stage, then the way into its `with`, or `from`; and `seed`.

use std::fmt;

use serde_json::Value;

use super::kinds::Kinds;
use super::overlay::Overlay;
use super::schema::Fault;
use crate::problem::{Problem, suggest};

/// What a path sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// The pipeline's name.
    Name,
    /// The pipeline's seed.
    Seed,
    /// A stage's inputs.
    From(String),
    /// A place inside a stage's `with`, or all of it.
    With(String, Vec<String>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Name => f.write_str("name"),
            Target::Seed => f.write_str("seed"),
            Target::From(stage) => write!(f, "{stage}.from"),
            Target::With(stage, way) if way.is_empty() => write!(f, "{stage}.with"),
            Target::With(stage, way) => write!(f, "{stage}.{}", way.join(".")),
        }
    }
}

impl Target {
    /// Reads a path and checks that it leads somewhere. The problem has no place yet.
    pub(super) fn read(text: &str, overlay: &Overlay, kinds: &Kinds) -> Result<Target, Box<Problem>> {
        let parts: Vec<&str> = text.split('.').collect();
        let stages = overlay.keys(&["stages"]);
        match parts.as_slice() {
            ["seed"] => return Ok(Target::Seed),
            ["name"] => return Ok(Target::Name),
            _ if parts.iter().any(|part| part.is_empty()) => {
                return Err(Box::new(Problem::error("bad-path", format!("`{text}` is not a path")).help(
                    "a path is a stage, then the way into its `with`, or `from`: `tfidf.min_df`, `fused.from`",
                )));
            }
            _ => {}
        }
        let (Some(stage), rest) = (parts.first(), parts.get(1..).unwrap_or_default()) else {
            return Err(Box::new(Problem::error("bad-path", format!("`{text}` is not a path"))));
        };
        if !stages.iter().any(|id| id == stage) {
            return Err(Box::new(unknown_stage(text, stage, &stages)));
        }
        match rest {
            [] => Err(Box::new(
                Problem::error("bad-path", format!("`{text}` names a stage, but nothing of it"))
                    .help(format!("name a parameter too, as in `{text}.PARAM`, or `{text}.from`")),
            )),
            ["from"] => Ok(Target::From((*stage).to_owned())),
            ["use"] => Err(Box::new(
                Problem::error("bad-path", "the kind of a stage cannot be set by a path")
                    .help("write a stage of each kind and set the `from` of what reads them"),
            )),
            way => {
                let way: &[&str] = match way {
                    ["with", inner @ ..] => inner,
                    way => way,
                };
                let way: Vec<String> = way.iter().map(|part| (*part).to_owned()).collect();
                checked(stage, &way, overlay, kinds)?;
                Ok(Target::With((*stage).to_owned(), way))
            }
        }
    }

    /// The way from the top of the document.
    pub(super) fn path(&self) -> Vec<String> {
        let own = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        match self {
            Target::Name => own(&["name"]),
            Target::Seed => own(&["seed"]),
            Target::From(stage) => own(&["stages", stage, "from"]),
            Target::With(stage, way) => {
                own(&["stages", stage, "with"]).into_iter().chain(way.iter().cloned()).collect()
            }
        }
    }

    /// True if setting both would set something twice.
    pub(super) fn overlaps(&self, other: &Target) -> bool {
        let (one, other) = (self.path(), other.path());
        one.iter().zip(&other).all(|(a, b)| a == b)
    }
}

fn checked(stage: &str, way: &[String], overlay: &Overlay, kinds: &Kinds) -> Result<(), Box<Problem>> {
    let kind = overlay.at(&["stages", stage, "use"]).and_then(Value::as_str);
    let Some(schema) = kind.and_then(|kind| kinds.schema(kind)) else {
        return Ok(());
    };
    let current = overlay.at(&["stages", stage, "with"]).unwrap_or(&Value::Null);
    schema.way(way, current).map_err(|fault| Box::new(problem(fault)))
}

/// A fault as a problem without a place.
pub(super) fn problem(fault: Fault) -> Problem {
    let mut problem = Problem::error(fault.code, fault.message);
    problem.help.extend(fault.help);
    problem.notes.extend(fault.note);
    problem
}

fn unknown_stage(text: &str, stage: &str, stages: &[String]) -> Problem {
    let problem = Problem::error("unknown-stage", format!("`{text}` begins with `{stage}`, but no stage is called so"));
    match suggest(stage, stages.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("the stages are {}", listed(stages))),
    }
}

/// Names in backticks with commas between them.
pub(super) fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
