//! What do the entries of `include` and `exclude` say?
//!
//! An entry of `exclude` may name axes alone, since it is applied before `include`. An entry of `include` may name paths
//! too, which it adds. Where a flag narrows an axis, entries about the values that it took out say nothing.

use std::sync::Arc;

use serde_json::Value;

use super::axes::{self, Axis, fits};
use super::matrix::{Cell, Combination, Given};
use super::overlay::Overlay;
use super::values::{Choice, Place, Targets, meant, unknown_value};
use crate::problem::{Problem, Problems, suggest};

/// An entry of `include` or `exclude`: where it stands, and its keys.
pub(super) struct Entry {
    path: [String; 3],
    keys: Vec<(String, Value)>,
}

impl Entry {
    fn way<'a>(&'a self, key: &'a str) -> [&'a str; 4] {
        let [matrix, list, index] = &self.path;
        [matrix, list, index, key]
    }
}

/// An entry of `include`.
pub(super) struct Included {
    /// The axes that it names, and those of their values with which it agrees.
    filter: Vec<(usize, Vec<usize>)>,
    /// What it adds where it agrees.
    pub(super) extra: Vec<Arc<Cell>>,
    /// The entry as a combination of its own, axes first.
    pub(super) whole: Combination,
}

impl Included {
    /// True if it overwrites no value of this combination.
    pub(super) fn agrees(&self, picks: &[usize]) -> bool {
        self.filter.iter().all(|(axis, values)| picks.get(*axis).is_some_and(|pick| values.contains(pick)))
    }
}

/// The entries of a list.
pub(super) fn entries(list: &str, overlay: &Overlay, problems: &mut Problems) -> Vec<Entry> {
    let wrong = |path: &[&str]| {
        Problem::error("wrong-type", format!("`{list}` must be a list of maps from axes to values"))
            .at(overlay.origin(path))
            .help(format!("write `{list}: [ {{ AXIS: VALUE }} ]`"))
    };
    let items = match overlay.at(&["matrix", list]) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            problems.push(wrong(&["matrix", list]));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let index = index.to_string();
        let way = ["matrix", list, index.as_str()];
        match item {
            Value::Object(fields) if !fields.is_empty() => {
                let keys = overlay
                    .keys(&way)
                    .into_iter()
                    .filter_map(|key| fields.get(&key).map(|value| (key.clone(), value.clone())));
                found.push(Entry { keys: keys.collect(), path: way.map(str::to_owned) });
            }
            _ => problems.push(wrong(&way)),
        }
    }
    found
}

/// Which axes an entry of `exclude` looks at, and for each of their values whether it agrees.
pub(super) fn excluding(
    entry: &Entry,
    include: &[Entry],
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<Vec<(usize, Vec<bool>)>> {
    let mut found = Vec::new();
    for (key, value) in &entry.keys {
        let way = entry.way(key);
        let Some((index, axis)) = given.axes.iter().enumerate().find(|(_, axis)| axis.name == *key) else {
            let included = include.iter().any(|entry| entry.keys.iter().any(|(name, _)| name == key));
            let problem = if included { included_alone(key, given.axes) } else { unknown_axis(key, given.axes) };
            problems.push(problem.at(given.overlay.key_origin(&way)));
            continue;
        };
        let agrees = meant(axis.choices.iter(), value);
        if agrees.contains(&true) {
            found.push((index, agrees));
        } else if axis.dropped.iter().any(|choice| choice.is(value)) {
            return None;
        } else {
            problems.push(unknown_value(key, &axis.choices, value).at(given.overlay.origin(&way)));
        }
    }
    (found.len() == entry.keys.len()).then_some(found)
}

fn included_alone(key: &str, axes: &[Axis]) -> Problem {
    let problem =
        Problem::error("unknown-axis", format!("`exclude` cannot look at `{key}`, which is in `include` alone"))
            .help(format!("make an axis of `{key}`, or leave the entry out of `include`"))
            .note("`exclude` comes before `include`, as in GitHub Actions: it takes away combinations of the axes");
    with_names(problem, axes)
}

/// An entry of `include`; `cells` are those of the axes, `number` is the next free one.
pub(super) fn including(
    entry: &Entry,
    cells: &[Vec<Arc<Cell>>],
    given: &Given<'_>,
    number: &mut usize,
    problems: &mut Problems,
) -> Option<Included> {
    let mut found = Included { filter: Vec::new(), extra: Vec::new(), whole: Vec::new() };
    let mut places: Vec<usize> = Vec::new();
    for (key, value) in &entry.keys {
        let way = entry.way(key);
        let at = given.axes.iter().position(|axis| axis.name == *key);
        let cell = match at.and_then(|index| Some((index, given.axes.get(index)?, cells.get(index)?))) {
            Some((index, axis, cells)) => {
                let agrees = meant(cells.iter().map(|cell| &cell.choice), value).into_iter().enumerate();
                let agrees: Vec<usize> = agrees.filter(|(_, meant)| *meant).map(|(pick, _)| pick).collect();
                if axis.narrowed && agrees.is_empty() {
                    return None;
                }
                let cell = match agrees.first() {
                    Some(pick) => Ok(Arc::clone(&cells[*pick])),
                    None => {
                        new_value(axis, value, &way, given).map(|choice| Cell::new(*number, key, &axis.targets, choice))
                    }
                };
                found.filter.push((index, agrees));
                cell
            }
            None => new_path(key, value, &way, given)
                .map(|(targets, choice)| Cell::new(*number, key, &targets, choice))
                .inspect(|cell| found.extra.push(Arc::clone(cell))),
        };
        *number += 1;
        let twice = |cell: &Cell| {
            let mut set = found.whole.iter().flat_map(|other| &other.settings);
            let mut own = cell.settings.iter().map(|setting| &setting.target);
            own.find(|target| set.any(|other| other.target.overlaps(target))).cloned()
        };
        match cell {
            Ok(cell) => {
                if let Some(target) = twice(&cell) {
                    let problem = Problem::error("axis-clash", format!("this entry sets `{target}` twice"));
                    problems.push(problem.at(given.overlay.key_origin(&way)).help("keep one of the two"));
                    continue;
                }
                places.push(at.unwrap_or(given.axes.len()));
                found.whole.push(cell);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    if found.whole.len() != entry.keys.len() {
        return None;
    }
    let mut whole: Vec<(usize, Arc<Cell>)> = places.into_iter().zip(found.whole).collect();
    whole.sort_by_key(|(place, _)| *place);
    found.whole = whole.into_iter().map(|(_, cell)| cell).collect();
    Some(found)
}

/// A value that the axis has not.
fn new_value(axis: &Axis, value: &Value, way: &[&str], given: &Given<'_>) -> Result<Choice, Box<Problem>> {
    let at = || given.overlay.origin(way);
    let labelled = axis.choices.iter().any(|choice| choice.label.is_some());
    if value.is_string() && (labelled || matches!(axis.targets, Targets::Several(_))) {
        return Err(Box::new(unknown_value(&axis.name, &axis.choices, value).at(at())));
    }
    let choice = axis.targets.choice(&axis.name, value, Place::file(way));
    let choice = choice.map_err(|problem| Box::new(problem.at(at())))?;
    fits(&axis.name, &axis.targets, &choice, given.overlay)?;
    Ok(choice)
}

/// A path that is no axis.
fn new_path(key: &str, value: &Value, way: &[&str], given: &Given<'_>) -> Result<(Targets, Choice), Box<Problem>> {
    let at = || given.overlay.key_origin(way);
    let stage = key.split('.').next().unwrap_or_default();
    if key != "seed" && given.overlay.at(&["stages", stage]).is_none() {
        let problem = unknown_axis(key, given.axes).at(at());
        return Err(Box::new(problem.note("`include` takes axes, and paths such as `tfidf.min_df`")));
    }
    let target = axes::target(key, given.overlay, given.kinds).map_err(|problem| Box::new(problem.at(at())))?;
    let clash =
        given.axes.iter().find(|axis| axis.sets(&target).is_some()).map(|axis| format!("the axis `{}`", axis.name));
    let flag = given.sets.targets.iter().find(|(set, _)| set.overlaps(&target)).map(|(_, flag)| format!("`{flag}`"));
    if let Some(other) = clash.or(flag) {
        let problem = Problem::error("axis-clash", format!("`{target}` is set by {other} already")).at(at());
        return Err(Box::new(problem.help("name the axis here, or leave the path out")));
    }
    let targets = Targets::One(target);
    let choice = targets.choice(key, value, Place::file(way))?;
    fits(key, &targets, &choice, given.overlay)?;
    Ok((targets, choice))
}

fn unknown_axis(key: &str, axes: &[Axis]) -> Problem {
    let problem = Problem::error("unknown-axis", format!("the matrix has no axis `{key}`"));
    let problem = match suggest(key, axes.iter().map(|axis| axis.name.as_str())) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    };
    with_names(problem, axes)
}

fn with_names(problem: Problem, axes: &[Axis]) -> Problem {
    let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
    if names.is_empty() { problem } else { problem.note(format!("the axes are {}", names.join(", "))) }
}
