//! What are the axes of a matrix, and what does each set?
//!
//! An axis sets one path, or several together (`set: [PATH, PATH]`): then each of its values is a list with an entry for each.

use serde_json::Value;

use super::kinds::Kinds;
use super::outline::{seed_of, wires};
use super::overlay::Overlay;
use super::paths::Target;
use super::sets::Sets;
use super::stage_axes::{self, Ablation};
use super::values::{self, Choice, Targets};
use crate::problem::{Origin, Problem, Problems};

/// The keys of `matrix` that are no axes.
pub(super) const RESERVED: [&str; 3] = ["include", "exclude", "sample"];

/// An axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) targets: Targets,
    pub(super) choices: Vec<Choice>,
    /// The values of the file that a flag took out.
    pub(super) dropped: Vec<Choice>,
    /// True if a flag chose the values.
    pub(super) narrowed: bool,
    pub(super) at: Option<Origin>,
}

impl Axis {
    /// A place that this axis and `target` both set.
    pub(super) fn sets(&self, target: &Target) -> Option<&Target> {
        self.targets.all().iter().find(|own| own.overlaps(target))
    }
}

/// The names of the axes of `matrix`, in the order of the file.
fn written(overlay: &Overlay) -> Vec<String> {
    overlay.keys(&["matrix"]).into_iter().filter(|name| !RESERVED.contains(&name.as_str())).collect()
}

/// The names of all axes, those that stages ask for last, and the way to each from the top of the document.
pub(super) fn ways(overlay: &Overlay) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> =
        written(overlay).into_iter().map(|name| (name.clone(), vec!["matrix".to_owned(), name])).collect();
    for asked in stage_axes::asked(overlay) {
        all.push((asked.name.clone(), asked.way().into_iter().map(str::to_owned).collect()));
    }
    all
}

/// All axes, in the order of the file, those that stages ask for last; and which of them leave inputs out in turn.
pub(super) fn read(
    overlay: &Overlay,
    kinds: &Kinds,
    sets: &Sets,
    problems: &mut Problems,
) -> (Vec<Axis>, Vec<Ablation>) {
    if let Some(value) = overlay.at(&["matrix"]).filter(|value| !value.is_object() && !value.is_null()) {
        let message = format!("`matrix` must be a map of axes, but is {}", super::choice::described(value));
        problems.push(Problem::error("wrong-type", message).at(overlay.origin(&["matrix"])));
    }
    let mut axes: Vec<Axis> = Vec::new();
    for name in written(overlay) {
        match axis(&name, overlay, kinds, sets) {
            Ok(Some(axis)) => {
                clashes(&axis, &axes, problems);
                flagged(&axis, sets, problems);
                axes.push(axis);
            }
            Ok(None) => {}
            Err(problem) => problems.push(*problem),
        }
    }
    let ablations = of_stages(overlay, kinds, sets, &mut axes, problems);
    (axes, ablations)
}

/// Adds the axes that stages ask for.
fn of_stages(
    overlay: &Overlay,
    kinds: &Kinds,
    sets: &Sets,
    axes: &mut Vec<Axis>,
    problems: &mut Problems,
) -> Vec<Ablation> {
    let mut ablations = Vec::new();
    stage_axes::complaints(overlay).into_iter().for_each(|problem| problems.push(problem));
    let names = ways(overlay);
    for asked in stage_axes::asked(overlay) {
        let way = asked.way();
        if let Some((_, first)) = names.iter().find(|(name, other)| *name == asked.name && *other != way) {
            let first: Vec<&str> = first.iter().map(String::as_str).collect();
            // of two that stages ask for, the second is told
            if first.first() == Some(&"matrix") || axes.iter().any(|axis| axis.name == asked.name) {
                let message = format!("two axes are called `{}`", asked.name);
                let problem = Problem::error("axis-clash", message).at(overlay.origin(&way));
                let other = format!("the other stands at `{}`", first.join("."));
                problems.push(problem.help("give one of them another name, or take it out").note(other));
                continue;
            }
        }
        match stage_axes::read(&asked, overlay, kinds, sets) {
            Ok(Some((axis, ablation))) => {
                clashes(&axis, axes, problems);
                // which inputs there are is read after the flags: they and the axis agree
                if ablation.is_none() {
                    flagged(&axis, sets, problems);
                }
                ablations.extend(ablation);
                axes.push(axis);
            }
            Ok(None) => {}
            Err(problem) => problems.push(*problem),
        }
    }
    ablations
}

/// Complains where an axis sets what another axis sets.
fn clashes(axis: &Axis, others: &[Axis], problems: &mut Problems) {
    let shared = |other: &Axis| axis.targets.all().iter().find(|target| other.sets(target).is_some()).cloned();
    if let Some((other, target)) = others.iter().find_map(|other| Some((other, shared(other)?))) {
        let message = format!("the axes `{}` and `{}` both set `{target}`", other.name, axis.name);
        let help = "make one axis of them, with labelled values";
        problems.push(Problem::error("axis-clash", message).at(axis.at.clone()).help(help));
    }
}

/// Complains where an axis sets what a flag sets.
fn flagged(axis: &Axis, sets: &Sets, problems: &mut Problems) {
    for (target, flag) in sets.targets.iter().filter(|(target, _)| axis.sets(target).is_some()) {
        let value = flag.split_once('=').map_or("VALUE", |(_, value)| value);
        let value = if axis.targets.all().len() > 1 { "VALUE" } else { value };
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
    let set = fields.and_then(|fields| fields.get("set"));
    let path: Vec<&str> = match fields {
        Some(fields) if set.is_some() || fields.keys().eq(["values"]) => {
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
    let targets = match set {
        Some(set) => written_targets(name, set, overlay, kinds)?,
        None if !name.contains('.') && name != "seed" && overlay.at(&["stages", name]).is_none() => {
            return Err(Box::new(
                Problem::error("bad-path", format!("axis `{name}` does not say what it sets")).at(at).help(format!(
                    "write `{name}: {{ set: STAGE.PARAM, values: [ … ] }}`, or name the axis by its path"
                )),
            ));
        }
        None => Targets::One(target(name, overlay, kinds).map_err(|problem| Box::new(problem.at(at.clone())))?),
    };
    let all = values::read(name, &path, &targets, overlay)?;
    let axis = narrowed(name, all, targets, at, sets)?;
    for choice in &axis.choices {
        fits(name, &axis.targets, choice, overlay)?;
    }
    Ok(Some(axis))
}

/// The axis with those values that flags leave.
pub(super) fn narrowed(
    name: &str,
    all: Vec<Choice>,
    targets: Targets,
    at: Option<Origin>,
    sets: &Sets,
) -> Result<Axis, Box<Problem>> {
    let narrowed = sets.axes.iter().any(|(axis, _, _)| axis == name);
    let (choices, dropped) = if narrowed {
        let choices = values::narrowed(name, &all, &targets, sets)?;
        let dropped = all.into_iter().filter(|one| !choices.iter().any(|kept| kept.text == one.text)).collect();
        (choices, dropped)
    } else {
        (all, Vec::new())
    };
    Ok(Axis { name: name.to_owned(), targets, choices, dropped, narrowed, at })
}

/// What `set` says: a path, or a list of paths.
fn written_targets(name: &str, set: &Value, overlay: &Overlay, kinds: &Kinds) -> Result<Targets, Box<Problem>> {
    let top = ["matrix", name, "set"];
    let wrong = |at: Option<Origin>| {
        Problem::error("wrong-type", format!("`set` of axis `{name}` must be a path, or a list of paths"))
            .at(at)
            .help("a path is a stage, then the way into its `with`, or `from`")
    };
    let items = match set {
        Value::String(path) => {
            let target = target(path, overlay, kinds);
            return target.map(Targets::One).map_err(|problem| Box::new(problem.at(overlay.origin(&top))));
        }
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(Box::new(wrong(overlay.origin(&top)))),
    };
    let mut targets: Vec<Target> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let index = index.to_string();
        let at = || overlay.origin(&["matrix", name, "set", &index]);
        let path = item.as_str().ok_or_else(|| Box::new(wrong(at())))?;
        let target = target(path, overlay, kinds).map_err(|problem| Box::new(problem.at(at())))?;
        if let Some(other) = targets.iter().find(|other| other.overlaps(&target)) {
            let message = match *other == target {
                true => format!("axis `{name}` sets `{target}` twice"),
                false => format!("axis `{name}` sets `{other}` and `{target}`, of which one is in the other"),
            };
            return Err(Box::new(Problem::error("axis-clash", message).at(at()).help("keep one of the two")));
        }
        targets.push(target);
    }
    Ok(Targets::Several(targets))
}

/// What an axis may set. The problem has no place yet.
pub(super) fn target(path: &str, overlay: &Overlay, kinds: &Kinds) -> Result<Target, Box<Problem>> {
    match Target::read(path, overlay, kinds)? {
        Target::Name => Err(Box::new(Problem::error("bad-path", "an axis cannot set the pipeline's name"))),
        target => Ok(target),
    }
}

/// Complains about a seed or a `from` that is none; values inside `with` are checked where the stages are built.
pub(super) fn fits(name: &str, targets: &Targets, choice: &Choice, overlay: &Overlay) -> Result<(), Box<Problem>> {
    let several = matches!(targets, Targets::Several(_));
    for (index, (target, value)) in targets.all().iter().zip(targets.entries(name, &choice.value)?).enumerate() {
        let wrong = match target {
            Target::Seed => seed_of(value).err(),
            Target::From(_) => wires(value).err().map(|message| Box::new(Problem::error("wrong-type", message))),
            _ => None,
        };
        if let Some(problem) = wrong {
            let index = index.to_string();
            let inside: &[&str] = if several { &[&index] } else { &[] };
            return Err(Box::new(problem.at(choice.place.origin(inside, overlay))));
        }
    }
    Ok(())
}
