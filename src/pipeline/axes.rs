//! What are the axes of a matrix, and which values can each take?

use serde_json::Value;

use super::kinds::Kinds;
use super::outline::{seed_of, wires};
use super::overlay::Overlay;
use super::paths::{Target, listed};
use super::sets::Sets;
use crate::problem::{Origin, Problem, Problems, suggest};

/// Where a value of the matrix is written: in a file (the way from the top), or in a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(Vec<String>),
    Flag(Origin),
}

impl Place {
    /// The place of something inside the value.
    pub(super) fn origin(&self, inside: &[&str], overlay: &Overlay) -> Option<Origin> {
        match self {
            Place::Flag(origin) => Some(origin.clone()),
            Place::File(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).chain(inside.iter().copied()).collect();
                overlay.origin(&path)
            }
        }
    }
}

/// One value of an axis.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// How the variant's label names it.
    pub(super) label: String,
    /// True if the file gave the label; then the label stands for the value in `params` too.
    pub(super) labelled: bool,
    pub(super) value: Value,
    pub(super) place: Place,
}

impl Choice {
    /// What the run's summary shows: the label if the file gave one, else the value.
    pub(super) fn shown(&self) -> Value {
        if self.labelled { Value::from(self.label.as_str()) } else { self.value.clone() }
    }

    /// True if an entry of `include` or `exclude` means this value.
    pub(super) fn is(&self, wanted: &Value) -> bool {
        let by_label = wanted.as_str().is_some_and(|text| text == self.label)
            || self.labelled && !wanted.is_string() && text_of(wanted) == self.label;
        by_label || same(&self.value, wanted)
    }
}

/// An axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) choices: Vec<Choice>,
    /// The values of the file that a flag took out.
    pub(super) dropped: Vec<Choice>,
    /// True if a flag chose the values.
    pub(super) narrowed: bool,
    pub(super) at: Option<Origin>,
}

/// All axes, in the order of the file.
pub(super) fn read(overlay: &Overlay, kinds: &Kinds, sets: &Sets, problems: &mut Problems) -> Vec<Axis> {
    if let Some(value) = overlay.at(&["matrix"]).filter(|value| !value.is_object() && !value.is_null()) {
        let message = format!("`matrix` must be a map of axes, but is {}", super::choice::described(value));
        problems.push(Problem::error("wrong-type", message).at(overlay.origin(&["matrix"])));
    }
    let mut axes: Vec<Axis> = Vec::new();
    for name in overlay.keys(&["matrix"]).into_iter().filter(|name| name != "include" && name != "exclude") {
        match axis(&name, overlay, kinds, sets) {
            Ok(Some(axis)) => {
                clashes(&axis, &axes, sets, problems);
                axes.push(axis);
            }
            Ok(None) => {}
            Err(problem) => problems.push(*problem),
        }
    }
    axes
}

/// Complains where an axis sets what another axis or a flag sets.
fn clashes(axis: &Axis, others: &[Axis], sets: &Sets, problems: &mut Problems) {
    if let Some(other) = others.iter().find(|other| other.target.overlaps(&axis.target)) {
        let message = format!("the axes `{}` and `{}` both set `{}`", other.name, axis.name, axis.target);
        let help = "make one axis of them, with labelled values";
        problems.push(Problem::error("axis-clash", message).at(axis.at.clone()).help(help));
    }
    for (target, flag) in sets.targets.iter().filter(|(target, _)| target.overlaps(&axis.target)) {
        let value = flag.split_once('=').map_or("VALUE", |(_, value)| value);
        let message = format!("`{target}` is set by the axis `{}`, so a flag cannot set it", axis.name);
        let overrides = axis.at.clone().map(Box::new);
        problems.push(
            Problem::error("axis-clash", message)
                .at(Origin::Flag { text: flag.clone(), overrides })
                .help(format!("narrow the axis instead: `--set 'matrix.{}=[{value}]'`", axis.name)),
        );
    }
}

fn axis(name: &str, overlay: &Overlay, kinds: &Kinds, sets: &Sets) -> Result<Option<Axis>, Box<Problem>> {
    let top = ["matrix", name];
    let at = overlay.key_origin(&top);
    let Some(written) = overlay.at(&top).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let fields = written.as_object();
    let named = fields.is_some_and(|fields| fields.contains_key("set"));
    let (path, path_at) = match fields.and_then(|fields| fields.get("set")) {
        None => (name, at.clone()),
        Some(Value::String(path)) => (path.as_str(), overlay.origin(&["matrix", name, "set"])),
        Some(_) => {
            let problem = Problem::error("wrong-type", format!("`set` of axis `{name}` must be a path"));
            return Err(Box::new(
                problem
                    .at(overlay.origin(&["matrix", name, "set"]))
                    .help("a path is a stage, then the way into its `with`, or `from`"),
            ));
        }
    };
    let values: Vec<&str> = match fields {
        Some(fields) if named || fields.keys().eq(["values"]) => {
            if let Some(key) = fields.keys().find(|key| *key != "set" && *key != "values") {
                let problem = Problem::error("unknown-key", format!("axis `{name}` has no key `{key}`"));
                return Err(Box::new(
                    problem.at(overlay.key_origin(&["matrix", name, key])).note("an axis has set, values"),
                ));
            }
            vec!["matrix", name, "values"]
        }
        _ => top.to_vec(),
    };
    if !named && !name.contains('.') && name != "seed" && overlay.at(&["stages", name]).is_none() {
        return Err(Box::new(
            Problem::error("bad-path", format!("axis `{name}` does not say what it sets"))
                .at(at)
                .help(format!("write `{name}: {{ set: STAGE.PARAM, values: [ … ] }}`, or name the axis by its path")),
        ));
    }
    let target = match Target::read(path, overlay, kinds) {
        Ok(Target::Name) => {
            return Err(Box::new(Problem::error("bad-path", "an axis cannot set the pipeline's name").at(path_at)));
        }
        Ok(target) => target,
        Err(problem) => return Err(Box::new(problem.at(path_at))),
    };
    let all = choices(name, &values, overlay)?;
    let choices = narrowed(name, &all, sets)?;
    let dropped = all.into_iter().filter(|one| !choices.iter().any(|kept| kept.label == one.label)).collect();
    let narrowed = sets.axes.iter().any(|(axis, _, _)| axis == name);
    fits(&target, &choices, overlay)?;
    Ok(Some(Axis { name: name.to_owned(), target, choices, dropped, narrowed, at }))
}

/// Complains about a seed or a `from` that is none; values inside `with` are checked where the stages are built.
fn fits(target: &Target, choices: &[Choice], overlay: &Overlay) -> Result<(), Box<Problem>> {
    for choice in choices {
        let wrong = match target {
            Target::Seed => seed_of(&choice.value).err(),
            Target::From(_) => {
                wires(&choice.value).err().map(|message| Box::new(Problem::error("wrong-type", message)))
            }
            _ => None,
        };
        if let Some(problem) = wrong {
            return Err(Box::new(problem.at(choice.place.origin(&[], overlay))));
        }
    }
    Ok(())
}

/// The values written at `path`: a list, or a map from labels to values.
fn choices(name: &str, path: &[&str], overlay: &Overlay) -> Result<Vec<Choice>, Box<Problem>> {
    let place = |key: &str| Place::File(path.iter().copied().chain([key]).map(str::to_owned).collect());
    let found: Vec<Choice> = match overlay.at(path) {
        Some(Value::Array(items)) => {
            let choice = |(index, value): (usize, &Value)| unlabelled(value, place(&index.to_string()));
            items.iter().enumerate().map(choice).collect()
        }
        Some(Value::Object(fields)) => {
            let labelled = |label: String| {
                let value = fields.get(&label).cloned().unwrap_or(Value::Null);
                Choice { place: place(&label), label, labelled: true, value }
            };
            overlay.keys(path).into_iter().map(labelled).collect()
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
    };
    if found.is_empty() {
        return Err(Box::new(
            Problem::error("empty-axis", format!("axis `{name}` has no values"))
                .at(overlay.origin(path))
                .help("give it at least one value, or leave the axis out"),
        ));
    }
    for (index, choice) in found.iter().enumerate() {
        if let Some(first) = found.iter().take(index).find(|first| first.label == choice.label) {
            let problem =
                Problem::error("duplicate-value", format!("axis `{name}` has the value `{}` twice", first.label));
            return Err(Box::new(problem.at(choice.place.origin(&[], overlay)).help("keep one of the two")));
        }
    }
    Ok(found)
}

/// A value whose label is its own text.
pub(super) fn unlabelled(value: &Value, place: Place) -> Choice {
    Choice { label: text_of(value), labelled: false, value: value.clone(), place }
}

/// The values that `--set matrix.AXIS=[…]` leaves; labels pick labelled values, other values stand for themselves.
fn narrowed(name: &str, choices: &[Choice], sets: &Sets) -> Result<Vec<Choice>, Box<Problem>> {
    let Some((_, wanted, flag)) = sets.axes.iter().rev().find(|(axis, _, _)| axis == name) else {
        return Ok(choices.to_vec());
    };
    let wanted: &[Value] = match wanted {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    };
    if wanted.is_empty() {
        return Err(Box::new(Problem::error("empty-axis", format!("axis `{name}` has no values")).at(flag.clone())));
    }
    let labelled = choices.iter().any(|choice| choice.labelled);
    let mut kept: Vec<Choice> = Vec::new();
    for value in wanted {
        let choice = match choices.iter().find(|choice| choice.is(value)) {
            Some(choice) => choice.clone(),
            None if labelled && value.is_string() => {
                return Err(Box::new(unknown_value(name, choices, value).at(flag.clone())));
            }
            None => unlabelled(value, Place::Flag(flag.clone())),
        };
        if !kept.iter().any(|other| other.label == choice.label) {
            kept.push(choice);
        }
    }
    Ok(kept)
}

/// A complaint about a value that an axis does not have; it has no place yet.
pub(super) fn unknown_value(axis: &str, choices: &[Choice], value: &Value) -> Problem {
    let labels: Vec<String> = choices.iter().map(|choice| choice.label.clone()).collect();
    let text = text_of(value);
    let problem = Problem::error("unknown-value", format!("axis `{axis}` has no value `{text}`"));
    let problem = match suggest(&text, labels.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    };
    problem.note(format!("its values are {}", listed(&labels)))
}

/// A value in one line: text as it is, the rest as flow YAML without spaces.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}:{}", text_of(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}

/// Equality that does not tell `1` from `1.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}
