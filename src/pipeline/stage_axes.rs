//! Which axes do stages themselves ask for?
//!
//! `ablate: NAME` makes one over a stage's inputs: all of them, each alone, each left out. `curve: { train_rows: [ … ] }` makes
//! one over the training rows of an evaluation. Both are axes like those of `matrix`, after which they come.

use serde_json::{Value, json};

use super::axes::{Axis, RESERVED, narrowed};
use super::choice::described;
use super::kinds::Kinds;
use super::outline::wires;
use super::overlay::Overlay;
use super::paths::{Target, listed};
use super::sets::Sets;
use super::values::{self, Choice, Place, Targets};
use crate::problem::{Problem, suggest};

/// What of `curve` makes an axis, which bears its name: the parameter that it sets.
pub(super) const CURVES: [&str; 1] = ["train_rows"];

/// The inputs of a stage, left out in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ablation {
    /// The stage.
    pub stage: String,
    /// The axis.
    pub axis: String,
    /// Its inputs, in the order of `from`.
    pub inputs: Vec<String>,
}

impl Ablation {
    /// The value of the axis that has all inputs.
    pub const ALL: &str = "all";

    /// The value of the axis that has this input alone.
    pub fn only(input: &str) -> String {
        format!("{input} only")
    }

    /// The value of the axis that lacks this input.
    pub fn without(&self, input: &str) -> String {
        match self.inputs.as_slice() {
            // of two, one left out is the other alone
            [one, other] => Ablation::only(if input == one { other } else { one }),
            _ => format!("without {input}"),
        }
    }

    /// Each value of the axis by its label, as the places in `inputs` that it keeps.
    fn values(&self) -> Vec<(String, Vec<usize>)> {
        let count = self.inputs.len();
        let mut values = vec![(Ablation::ALL.to_owned(), (0..count).collect())];
        values.extend(self.inputs.iter().enumerate().map(|(at, input)| (Ablation::only(input), vec![at])));
        if count > 2 {
            let others = |at: usize| (0..count).filter(|other| *other != at).collect();
            values.extend(self.inputs.iter().enumerate().map(|(at, input)| (self.without(input), others(at))));
        }
        values
    }
}

/// An axis that a stage asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// What it is called.
    pub(super) name: String,
    stage: String,
    /// The way to what asks for it, from the top of the document.
    way: Vec<String>,
}

impl Asked {
    /// True for the inputs of a stage.
    fn of_inputs(&self) -> bool {
        self.way.last().is_some_and(|key| key == "ablate")
    }

    /// The way to what asks for it.
    pub(super) fn way(&self) -> Vec<&str> {
        self.way.iter().map(String::as_str).collect()
    }
}

/// What stages ask for, in the order of the file. What is of the wrong form is left out: [`read`] complains of it.
pub(super) fn asked(overlay: &Overlay) -> Vec<Asked> {
    let mut found = Vec::new();
    for stage in overlay.keys(&["stages"]) {
        let at = |way: &[&str]| -> Vec<String> {
            ["stages", &stage].iter().chain(way).map(|part| (*part).to_owned()).collect()
        };
        if let Some(Value::String(name)) = overlay.at(&["stages", &stage, "ablate"]) {
            found.push(Asked { name: name.clone(), stage: stage.clone(), way: at(&["ablate"]) });
        }
        for key in overlay.keys(&["stages", &stage, "curve"]) {
            let set = overlay.at(&["stages", &stage, "curve", &key]).is_some_and(|value| !value.is_null());
            if set && CURVES.contains(&key.as_str()) {
                found.push(Asked { name: key.clone(), stage: stage.clone(), way: at(&["curve", &key]) });
            }
        }
    }
    found
}

/// The stages of which an axis sets what a curve goes over, with its name.
pub(super) fn curves(axis: &Axis) -> Vec<(String, String)> {
    let of = |target: &Target| match target {
        Target::With(stage, way) if CURVES.iter().any(|name| way == &[*name]) => {
            Some((stage.clone(), axis.name.clone()))
        }
        _ => None,
    };
    axis.targets.all().iter().filter_map(of).collect()
}

/// Complaints about what is of the wrong form.
pub(super) fn complaints(overlay: &Overlay) -> Vec<Problem> {
    let mut found = Vec::new();
    for stage in overlay.keys(&["stages"]) {
        let ablate = ["stages", stage.as_str(), "ablate"];
        if let Some(other) = overlay.at(&ablate).filter(|value| !value.is_string() && !value.is_null()) {
            let message = format!("`ablate` of `{stage}` must be the name of an axis, but is {}", described(other));
            let problem = Problem::error("wrong-type", message).at(overlay.origin(&ablate));
            found.push(problem.help("write `ablate: NAME`; each input of the stage is then left out in turn"));
        }
        let curve = ["stages", stage.as_str(), "curve"];
        if let Some(other) = overlay.at(&curve).filter(|value| !value.is_object() && !value.is_null()) {
            let message = format!("`curve` of `{stage}` must be a map, but is {}", described(other));
            let problem = Problem::error("wrong-type", message).at(overlay.origin(&curve));
            found.push(problem.help("write `curve: { train_rows: [100, 300, 1000] }`"));
        }
        for key in overlay.keys(&curve).iter().filter(|key| !CURVES.contains(&key.as_str())) {
            let at = overlay.key_origin(&["stages", &stage, "curve", key]);
            let problem = Problem::error("unknown-key", format!("`curve` of `{stage}` has no key `{key}`")).at(at);
            found.push(match suggest(key, CURVES) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.note(format!("a curve goes over {}", CURVES.join(", "))),
            });
        }
    }
    found
}

/// The axis that a stage asks for; `None` where its inputs are broken, of which the stage itself complains.
pub(super) fn read(
    asked: &Asked,
    overlay: &Overlay,
    kinds: &Kinds,
    sets: &Sets,
) -> Result<Option<(Axis, Option<Ablation>)>, Box<Problem>> {
    let at = || overlay.origin(&asked.way());
    let name = &asked.name;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if name.is_empty() || !plain || RESERVED.contains(&name.as_str()) {
        let problem = Problem::error("bad-name", format!("`{name}` cannot name an axis")).at(at());
        let reserved = format!("{} have a meaning of their own in a matrix", listed(&RESERVED.map(str::to_owned)));
        return Err(Box::new(problem.help("use letters, digits, `_` and `-`").note(reserved)));
    }
    if asked.of_inputs() {
        return of_inputs(asked, overlay, sets);
    }
    let targets = Targets::One(parameter(asked, overlay, kinds)?);
    let all = values::read(name, &asked.way(), &targets, overlay)?;
    let axis = narrowed(name, all, targets, at(), sets)?;
    Ok(Some((axis, None)))
}

/// The parameter that a curve sets.
fn parameter(asked: &Asked, overlay: &Overlay, kinds: &Kinds) -> Result<Target, Box<Problem>> {
    let (stage, name) = (&asked.stage, &asked.name);
    let kind = overlay.at(&["stages", stage, "use"]).and_then(Value::as_str);
    if let Some(kind) = kind.filter(|kind| kinds.schema(kind).is_some_and(|schema| !schema.has(name))) {
        let having: Vec<String> = kinds
            .names()
            .filter(|kind| kinds.schema(kind).is_some_and(|schema| schema.has(name)))
            .map(str::to_owned)
            .collect();
        let message = format!("`{stage}` has no curve over `{name}`: `{kind}` has no such parameter");
        let problem = Problem::error("unknown-param", message).at(overlay.key_origin(&["stages", stage, "curve"]));
        return Err(Box::new(problem.help(format!("put it on a stage of the kind {}", listed(&having)))));
    }
    Ok(Target::With(stage.clone(), vec![name.clone()]))
}

fn of_inputs(asked: &Asked, overlay: &Overlay, sets: &Sets) -> Result<Option<(Axis, Option<Ablation>)>, Box<Problem>> {
    let (stage, from) = (&asked.stage, ["stages", asked.stage.as_str(), "from"]);
    let Ok(inputs) = wires(overlay.at(&from).unwrap_or(&Value::Null)) else {
        return Ok(None);
    };
    let known = overlay.keys(&["stages"]);
    let sound = |(at, input): (usize, &String)| known.contains(input) && !inputs.iter().take(at).any(|i| i == input);
    if !inputs.iter().enumerate().all(sound) {
        return Ok(None);
    }
    if inputs.len() < 2 {
        let many = if inputs.is_empty() { "none" } else { "one" };
        let message = format!("`ablate` leaves inputs out in turn, and `{stage}` has {many}");
        let at = if overlay.at(&from).is_some() { overlay.origin(&from) } else { overlay.origin(&asked.way()) };
        let help = "name two stages or more in `from`, or take `ablate` out";
        return Err(Box::new(Problem::error("arity", message).at(at).help(help)));
    }
    let ablation = Ablation { stage: stage.clone(), axis: asked.name.clone(), inputs };
    let weights = weights(stage, ablation.inputs.len(), overlay);
    let targets = match &weights {
        None => Targets::One(Target::From(stage.clone())),
        Some((way, _)) => Targets::Several(vec![Target::From(stage.clone()), Target::With(stage.clone(), way.clone())]),
    };
    let choice = |(label, kept): (String, Vec<usize>)| {
        let names: Vec<&String> = kept.iter().map(|at| &ablation.inputs[*at]).collect();
        let pieces = |way: &[&str]| -> Place {
            let item = |at: &usize| Place::file(way).item(*at);
            Place::Pieces(Box::new(Place::file(way)), kept.iter().map(item).collect())
        };
        let (value, place) = match &weights {
            None => (json!(names), pieces(&from)),
            Some((way, factors)) => {
                let factors: Vec<&Value> = kept.iter().map(|at| &factors[*at]).collect();
                let with: Vec<&str> =
                    ["stages", stage, "with"].into_iter().chain(way.iter().map(String::as_str)).collect();
                let whole = Box::new(Place::file(&asked.way()));
                (json!([names, factors]), Place::Pieces(whole, vec![pieces(&from), pieces(&with)]))
            }
        };
        Choice { text: super::labels::name(&label), label: Some(label), value, place }
    };
    let all = ablation.values().into_iter().map(choice).collect();
    let axis = narrowed(&asked.name, all, targets, overlay.origin(&asked.way()), sets)?;
    Ok(Some((axis, Some(ablation))))
}

/// Factors for each input, which go with it: the way into `with`, and what stands there.
fn weights<'o>(stage: &str, inputs: usize, overlay: &'o Overlay) -> Option<(Vec<String>, &'o [Value])> {
    let with = ["stages", stage, "with"];
    let fitting = |way: Vec<String>| {
        let path: Vec<&str> = with.into_iter().chain(way.iter().map(String::as_str)).collect();
        let factors = overlay.at(&path)?.as_array().filter(|factors| factors.len() == inputs)?;
        Some((way, factors.as_slice()))
    };
    let inner = overlay.keys(&with).into_iter().map(|key| vec![key, "weights".to_owned()]);
    std::iter::once(vec!["weights".to_owned()]).chain(inner).find_map(fitting)
}
