//! What are the parts of a pipeline file: its name, its seed, its stages as written?

use serde_json::Value;

use super::kinds::Kinds;
use super::overlay::Overlay;
use crate::problem::{Problem, Problems, suggest};
use crate::stage::Kind;

/// The keys of a pipeline file.
pub(super) const KEYS: [&str; 8] = ["name", "description", "seed", "extends", "stages", "matrix", "expect", "gates"];
/// The keys of a stage.
const STAGE_KEYS: [&str; 5] = ["use", "from", "with", "ablate", "curve"];
/// Seeds are below this, so that every program reads the same number.
pub(super) const SEEDS: u64 = 1 << 53;
/// The seed of a pipeline that names none.
pub(super) const SEED: u64 = 42;

/// The parts of a file.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) stages: Vec<Written>,
}

/// A stage as written, before any axis.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) id: String,
    /// `None` if the kind is unknown; then that has been said.
    pub(super) kind: Option<&'static Kind>,
    pub(super) from: Vec<String>,
    /// False if what it reads is not known, because a key is misspelled; then that has been said.
    pub(super) wired: bool,
    pub(super) with: Value,
}

/// Reads the merged document.
pub(super) fn read(overlay: &Overlay, kinds: &Kinds, problems: &mut Problems) -> Outline {
    for key in overlay.keys(&[]).iter().filter(|key| !KEYS.contains(&key.as_str())) {
        let problem =
            Problem::error("unknown-key", format!("a pipeline has no key `{key}`")).at(overlay.key_origin(&[key]));
        problems.push(nearest(problem, key, &KEYS).note(format!("the keys are {}", KEYS.join(", "))));
    }
    if overlay.at(&["description"]).is_some_and(|text| !text.is_string() && !text.is_null()) {
        problems
            .push(Problem::error("wrong-type", "`description` must be a string").at(overlay.origin(&["description"])));
    }
    Outline { name: name(overlay, problems), seed: seed(overlay, problems), stages: stages(overlay, kinds, problems) }
}

fn name(overlay: &Overlay, problems: &mut Problems) -> String {
    let at = || overlay.origin(&["name"]);
    match overlay.at(&["name"]) {
        Some(Value::String(name)) => {
            let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
            if !(starts && plain && name.len() <= 100 && !name.ends_with('.')) {
                problems.push(
                    Problem::error("bad-name", format!("`{name}` cannot name a folder"))
                        .at(at())
                        .help("use at most 100 letters, digits, `-`, `_` and `.`, beginning with a letter or digit"),
                );
            }
            name.clone()
        }
        None | Some(Value::Null) => {
            problems.push(
                Problem::error("missing-key", "the pipeline has no `name`")
                    .at(overlay.whole())
                    .help("add `name: …` at the top"),
            );
            String::new()
        }
        Some(_) => {
            problems.push(Problem::error("wrong-type", "`name` must be a string").at(at()).help("quote it"));
            String::new()
        }
    }
}

fn seed(overlay: &Overlay, problems: &mut Problems) -> u64 {
    match overlay.at(&["seed"]) {
        None => SEED,
        Some(value) => seed_of(value).unwrap_or_else(|problem| {
            problems.push(problem.at(overlay.origin(&["seed"])));
            SEED
        }),
    }
}

/// A seed: a whole number from 0 to 2^53 - 1. The problem has no place yet.
pub(super) fn seed_of(value: &Value) -> Result<u64, Box<Problem>> {
    match value.as_u64() {
        Some(seed) if seed < SEEDS => Ok(seed),
        _ if value.is_number() => Err(Box::new(Problem::error(
            "out-of-range",
            format!("`seed` must be a whole number from 0 to {}, but is {value}", SEEDS - 1),
        ))),
        _ => Err(Box::new(Problem::error("wrong-type", "`seed` must be a whole number"))),
    }
}

fn stages(overlay: &Overlay, kinds: &Kinds, problems: &mut Problems) -> Vec<Written> {
    match overlay.at(&["stages"]) {
        Some(Value::Object(fields)) if !fields.is_empty() => {}
        None | Some(Value::Null) => {
            let place = overlay.at(&["stages"]).map_or_else(|| overlay.whole(), |_| overlay.origin(&["stages"]));
            problems.push(
                Problem::error("missing-key", "the pipeline has no `stages`")
                    .at(place)
                    .help("add `stages:` and under it one line for each stage, as in `texts: { use: ingest, with: { source: texts.csv } }`"),
            );
        }
        Some(_) => problems.push(
            Problem::error("wrong-type", "`stages` must be a map from names to stages, and not empty")
                .at(overlay.origin(&["stages"])),
        ),
    }
    overlay.keys(&["stages"]).into_iter().map(|id| stage(id, overlay, kinds, problems)).collect()
}

fn stage(id: String, overlay: &Overlay, kinds: &Kinds, problems: &mut Problems) -> Written {
    let letters = id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !letters || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        problems.push(
            Problem::error("bad-name", format!("`{id}` cannot name a stage"))
                .at(overlay.key_origin(&["stages", &id]))
                .help("use letters, digits, `_` and `-`, beginning with a letter or `_`"),
        );
    }
    let mut written =
        Written { kind: None, from: Vec::new(), wired: true, with: Value::Object(serde_json::Map::new()), id };
    let id = written.id.as_str();
    let Some(Value::Object(fields)) = overlay.at(&["stages", id]) else {
        problems.push(
            Problem::error("wrong-type", format!("stage `{id}` must be a map"))
                .at(overlay.origin(&["stages", id]))
                .help(format!("write `{id}: {{ use: KIND, from: STAGE, with: {{ … }} }}`")),
        );
        return written;
    };
    written.kind = kind(id, fields.get("use"), overlay, kinds, problems);
    for key in overlay.keys(&["stages", id]).iter().filter(|key| !STAGE_KEYS.contains(&key.as_str())) {
        let problem = Problem::error("unknown-key", format!("stage `{id}` has no key `{key}`"))
            .at(overlay.key_origin(&["stages", id, key]));
        let belongs = written.kind.and_then(|kind| kinds.schema(kind.name)).is_some_and(|schema| schema.has(key));
        problems.push(if belongs {
            problem.help(format!("put it inside `with`: `with: {{ {key}: … }}`"))
        } else {
            written.wired = false;
            nearest(problem, key, &STAGE_KEYS).note(format!("a stage has {}", STAGE_KEYS.join(", ")))
        });
    }
    match fields.get("from").map(wires) {
        None => {}
        Some(Ok(from)) => written.from = from,
        Some(Err(message)) => {
            written.wired = false;
            problems.push(Problem::error("wrong-type", message).at(overlay.origin(&["stages", id, "from"])));
        }
    }
    match fields.get("with") {
        None | Some(Value::Null) => {}
        Some(with @ Value::Object(_)) => written.with = with.clone(),
        Some(_) => problems.push(
            Problem::error("wrong-type", format!("`with` of `{id}` must be a map of parameters"))
                .at(overlay.origin(&["stages", id, "with"]))
                .help("write `with: { PARAM: VALUE }`"),
        ),
    }
    written
}

fn kind(
    id: &str,
    word: Option<&Value>,
    overlay: &Overlay,
    kinds: &Kinds,
    problems: &mut Problems,
) -> Option<&'static Kind> {
    let names: Vec<&str> = kinds.names().collect();
    match word {
        Some(Value::String(word)) => {
            let kind = kinds.find(word);
            if kind.is_none() {
                let problem = Problem::error("unknown-kind", format!("there is no kind of stage `{word}`"))
                    .at(overlay.origin(&["stages", id, "use"]));
                problems.push(nearest(problem, word, &names).note(format!("the kinds are {}", names.join(", "))));
            }
            kind
        }
        None | Some(Value::Null) => {
            problems.push(
                Problem::error("missing-key", format!("stage `{id}` does not say what it is"))
                    .at(overlay.key_origin(&["stages", id]))
                    .help(format!("add `use: KIND`; the kinds are {}", names.join(", "))),
            );
            None
        }
        Some(_) => {
            let problem = Problem::error("wrong-type", format!("`use` of `{id}` must be the name of a kind"));
            problems.push(problem.at(overlay.origin(&["stages", id, "use"])));
            None
        }
    }
}

/// The stages that a `from` names.
pub(super) fn wires(from: &Value) -> Result<Vec<String>, &'static str> {
    let wrong = "`from` must be the name of a stage, or a list of names";
    match from {
        Value::Null => Ok(Vec::new()),
        Value::String(stage) => Ok(vec![stage.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(wrong)).collect(),
        _ => Err(wrong),
    }
}

/// Adds a "did you mean" where one of `known` is near.
fn nearest(problem: Problem, word: &str, known: &[&str]) -> Problem {
    match suggest(word, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}
