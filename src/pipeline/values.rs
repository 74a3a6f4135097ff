//! Which values can an axis take, and where does the file, or a flag, say so?

use rustc_hash::FxHashSet;
use serde_json::Value;

use super::labels::{self, same};
use super::overlay::Overlay;
use super::paths::{Target, listed};
use super::sets::Sets;
use crate::problem::{Origin, Problem, suggest};

/// So many values are listed in a message.
const LISTED: usize = 12;

/// Where a value of the matrix is written: in a file (the way from the top), in a flag, or its items each in a place of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(Vec<String>),
    Flag(Origin),
    Pieces(Box<Place>, Vec<Place>),
}

impl Place {
    /// The place at `path` of a file.
    pub(super) fn file(path: &[&str]) -> Place {
        Place::File(path.iter().map(|part| (*part).to_owned()).collect())
    }

    /// The place of something inside the value.
    pub(super) fn origin(&self, inside: &[&str], overlay: &Overlay) -> Option<Origin> {
        match self {
            Place::Flag(origin) => Some(origin.clone()),
            Place::Pieces(whole, pieces) => {
                let piece = inside.first().and_then(|first| pieces.get(first.parse::<usize>().ok()?));
                match piece {
                    Some(piece) => piece.origin(inside.get(1..).unwrap_or_default(), overlay),
                    None => whole.origin(&[], overlay),
                }
            }
            Place::File(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).chain(inside.iter().copied()).collect();
                overlay.origin(&path)
            }
        }
    }

    /// The place of an item of the list that stands here.
    pub(super) fn item(&self, index: usize) -> Place {
        match self {
            Place::Flag(origin) => Place::Flag(origin.clone()),
            Place::Pieces(whole, pieces) => pieces.get(index).unwrap_or(whole).clone(),
            Place::File(path) => Place::File(path.iter().cloned().chain([index.to_string()]).collect()),
        }
    }
}

/// One value of an axis.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// How the variant's label names it.
    pub(super) text: String,
    /// The label that the file gives it; it stands for the value in `params` too.
    pub(super) label: Option<String>,
    pub(super) value: Value,
    pub(super) place: Place,
}

impl Choice {
    /// What the run's summary shows: the label if the file gave one, else the value.
    pub(super) fn shown(&self) -> Value {
        self.label.as_deref().map_or_else(|| self.value.clone(), Value::from)
    }

    /// True if an entry of `include` or `exclude`, or a flag, means this value: by its label, or by what it is. Of a map,
    /// what is named must agree.
    pub(super) fn is(&self, wanted: &Value) -> bool {
        let by_label = match (wanted, &self.label) {
            (Value::String(text), Some(label)) => text == label,
            (Value::String(text), None) => !self.value.is_string() && *text == self.text,
            (other, Some(label)) => labels::value(other) == *label,
            _ => false,
        };
        by_label || agrees(&self.value, wanted)
    }
}

/// For each of `choices`: is it meant by `wanted`? Where one is exactly that, those alone are: `1` may be a number of rows and
/// `1.0` a share of them.
pub(super) fn meant<'c>(choices: impl Iterator<Item = &'c Choice> + Clone, wanted: &Value) -> Vec<bool> {
    let exact: Vec<bool> = choices.clone().map(|choice| choice.label.is_none() && choice.value == *wanted).collect();
    if exact.contains(&true) { exact } else { choices.map(|choice| choice.is(wanted)).collect() }
}

/// Equality, where `wanted` may leave keys of maps out.
fn agrees(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(fields), Value::Object(wanted)) if !wanted.is_empty() => {
            wanted.iter().all(|(key, wanted)| fields.get(key).is_some_and(|value| agrees(value, wanted)))
        }
        _ => same(value, wanted),
    }
}

/// What an axis sets: one place, or several at once.
#[derive(Debug, Clone)]
pub(super) enum Targets {
    One(Target),
    Several(Vec<Target>),
}

impl Targets {
    /// All of them.
    pub(super) fn all(&self) -> &[Target] {
        match self {
            Targets::One(target) => std::slice::from_ref(target),
            Targets::Several(targets) => targets,
        }
    }

    /// A value without a label; an error (without a place) if it has not an entry for each place.
    pub(super) fn choice(&self, axis: &str, value: &Value, place: Place) -> Result<Choice, Box<Problem>> {
        let text = match self {
            Targets::One(_) => labels::value(value),
            Targets::Several(targets) => {
                let paths: Vec<String> = targets.iter().map(Target::to_string).collect();
                labels::together(&paths, self.entries(axis, value)?)
            }
        };
        Ok(Choice { text, label: None, value: value.clone(), place })
    }

    /// The values for each place; an error (without a place) if they are not one for each.
    pub(super) fn entries<'v>(&self, axis: &str, value: &'v Value) -> Result<&'v [Value], Box<Problem>> {
        let Targets::Several(targets) = self else {
            return Ok(std::slice::from_ref(value));
        };
        let wanted = targets.len();
        let paths: Vec<String> = targets.iter().map(|target| format!("`{target}`")).collect();
        let help = format!("write `[ … ]` with the values of {}, in this order", paths.join(", "));
        match value {
            Value::Array(items) if items.len() == wanted => Ok(items),
            Value::Array(items) => {
                let many = if items.len() == 1 { "1 entry".to_owned() } else { format!("{} entries", items.len()) };
                let message = format!("axis `{axis}` sets {wanted} paths, but this value has {many}");
                Err(Box::new(Problem::error("zip-length", message).help(help)))
            }
            other => {
                let described = super::choice::described(other);
                let message = format!("axis `{axis}` sets {wanted} paths, but this value is {described}");
                Err(Box::new(Problem::error("zip-length", message).help(help)))
            }
        }
    }
}

/// The values written at `path`: a list, or a map from labels to values.
pub(super) fn read(
    name: &str,
    path: &[&str],
    targets: &Targets,
    overlay: &Overlay,
) -> Result<Vec<Choice>, Box<Problem>> {
    let place = |key: &str| Place::File(path.iter().copied().chain([key]).map(str::to_owned).collect());
    let mut found: Vec<Choice> = Vec::new();
    match overlay.at(path) {
        Some(Value::Array(items)) => {
            for (index, value) in items.iter().enumerate() {
                let place = place(&index.to_string());
                let choice = targets.choice(name, value, place.clone());
                found.push(choice.map_err(|problem| Box::new(problem.at(place.origin(&[], overlay))))?);
            }
        }
        Some(Value::Object(fields)) => {
            for label in overlay.keys(path) {
                let value = fields.get(&label).cloned().unwrap_or(Value::Null);
                let place = place(&label);
                targets.entries(name, &value).map_err(|problem| Box::new(problem.at(place.origin(&[], overlay))))?;
                found.push(Choice { text: labels::name(&label), label: Some(label), value, place });
            }
        }
        _ => {
            return Err(Box::new(
                Problem::error(
                    "wrong-type",
                    format!("axis `{name}` needs a list of values, or a map from labels to values"),
                )
                .at(overlay.origin(path))
                .help(format!("write `{name}: [ … ]`, or `{name}: {{ set: STAGE.PARAM, values: [ … ] }}`")),
            ));
        }
    }
    if found.is_empty() {
        return Err(Box::new(
            Problem::error("empty-axis", format!("axis `{name}` has no values"))
                .at(overlay.origin(path))
                .help("give it at least one value, or leave the axis out"),
        ));
    }
    let mut seen: FxHashSet<&str> = FxHashSet::default();
    if let Some(again) = found.iter().find(|choice| !seen.insert(&choice.text)) {
        let problem = Problem::error("duplicate-value", format!("axis `{name}` has the value `{}` twice", again.text));
        return Err(Box::new(problem.at(again.place.origin(&[], overlay)).help("keep one of the two")));
    }
    Ok(found)
}

/// The values that `--set matrix.AXIS=[…]` leaves; labels pick labelled values, other values stand for themselves.
pub(super) fn narrowed(
    name: &str,
    choices: &[Choice],
    targets: &Targets,
    sets: &Sets,
) -> Result<Vec<Choice>, Box<Problem>> {
    let Some((_, wanted, flag)) = sets.axes.iter().rev().find(|(axis, _, _)| axis == name) else {
        return Ok(choices.to_vec());
    };
    let wanted: &[Value] = match wanted {
        // A list may be one of the values, or a list of them.
        Value::Array(items) if !choices.iter().any(|choice| same(&choice.value, wanted)) => items,
        one => std::slice::from_ref(one),
    };
    if wanted.is_empty() {
        return Err(Box::new(Problem::error("empty-axis", format!("axis `{name}` has no values")).at(flag.clone())));
    }
    let labelled = choices.iter().any(|choice| choice.label.is_some());
    let mut seen: FxHashSet<String> = FxHashSet::default();
    let mut kept: Vec<Choice> = Vec::new();
    for value in wanted {
        let found = meant(choices.iter(), value).into_iter().position(|meant| meant);
        let choice = match found.and_then(|index| choices.get(index)) {
            Some(choice) => choice.clone(),
            None if value.is_string() && (labelled || targets.all().len() > 1) => {
                return Err(Box::new(unknown_value(name, choices, value).at(flag.clone())));
            }
            None => {
                let new = targets.choice(name, value, Place::Flag(flag.clone()));
                let help = format!("to give one value, write `--set 'matrix.{name}=[[ … ]]'`");
                new.map_err(|problem| Box::new(problem.at(flag.clone()).help(help)))?
            }
        };
        if seen.insert(choice.text.clone()) {
            kept.push(choice);
        }
    }
    Ok(kept)
}

/// A complaint about a value that an axis does not have; it has no place yet.
pub(super) fn unknown_value(axis: &str, choices: &[Choice], value: &Value) -> Problem {
    let names: Vec<String> = choices.iter().map(|choice| choice.text.clone()).collect();
    let text = labels::value(value);
    let problem = Problem::error("unknown-value", format!("axis `{axis}` has no value `{text}`"));
    let problem = match suggest(&text, names.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    };
    let few = listed(names.get(..LISTED.min(names.len())).unwrap_or_default());
    problem.note(format!("its values are {few}{}", if names.len() > LISTED { ", …" } else { "" }))
}
