//! What does a pipeline expect of its data?

use super::overlay::Overlay;
use crate::problem::{Origin, Problem, Problems, suggest};
use crate::record::{Bound, MEASURES, Measure};

/// A bound on something that the data ledger counts.
#[derive(Debug, Clone)]
pub struct Expected {
    /// As written: `duplicates_across_splits`, `test.rows`.
    pub name: String,
    /// What is bounded.
    pub measure: &'static Measure,
    /// The split that it is bounded in, if the name says one.
    pub split: Option<String>,
    /// The bound.
    pub bound: Bound,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// Reads the bounds of the merged document.
pub(super) fn read(overlay: &Overlay, problems: &mut Problems) -> Vec<Expected> {
    match overlay.at(&["expect"]) {
        None | Some(serde_json::Value::Null | serde_json::Value::Object(_)) => {}
        Some(_) => {
            let problem = Problem::error("wrong-type", "`expect` must be a map from what is counted to bounds");
            problems
                .push(problem.at(overlay.origin(&["expect"])).help("write `expect: { duplicates_across_splits: 0 }`"));
        }
    }
    let mut all = Vec::new();
    for name in overlay.keys(&["expect"]) {
        let Some((measure, split)) = Measure::named(&name) else {
            problems.push(unknown(&name, overlay));
            continue;
        };
        let value = overlay.at(&["expect", &name]).cloned().unwrap_or_default();
        // A file that extends another takes a bound away with `null`.
        if value.is_null() {
            continue;
        }
        match Bound::read(&value, measure.bare) {
            Ok(bound) => {
                let (split, at) = (split.map(str::to_owned), overlay.origin(&["expect", &name]));
                all.push(Expected { name: name.clone(), measure, split, bound, at });
            }
            Err(right) => {
                let problem = Problem::error("bad-bound", format!("`{name}` cannot be held to {value}"));
                problems.push(problem.at(overlay.origin(&["expect", &name])).help(right));
            }
        }
    }
    all
}

fn unknown(name: &str, overlay: &Overlay) -> Problem {
    let problem = Problem::error("unknown-key", format!("nothing called `{name}` is counted"))
        .at(overlay.key_origin(&["expect", name]));
    let bare = name.rsplit_once('.').map_or(name, |(_, bare)| bare);
    match suggest(bare, MEASURES.iter().map(|measure| measure.name)) {
        Some(near) if near == bare => problem.help(format!("write `{bare}`: it is not about one split")),
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`fuseline explain expect` lists what is counted"),
    }
}
