//! Which combinations of the axes' values are to run?
//!
//! `include` and `exclude` mean what they mean in GitHub Actions. The combinations of all axes come first; an entry of
//! `exclude` takes away those that it agrees with on all of its keys. Then each entry of `include` is added to every
//! original combination of which it overwrites no axis value; an entry that fits none becomes a combination of its own.
//! Where a flag narrows an axis, entries about the values that it took out say nothing.

use serde_json::Value;

use super::axes::{Axis, Choice, Place, unknown_value, unlabelled};
use super::kinds::Kinds;
use super::outline::{seed_of, wires};
use super::overlay::Overlay;
use super::paths::Target;
use super::sets::Sets;
use crate::problem::{Problem, Problems, suggest};

/// More combinations than this are refused.
const MOST: usize = 10_000;

/// One setting of a combination.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// The axis, or the path that an `include` entry sets beside the axes.
    pub(super) axis: String,
    pub(super) target: Target,
    pub(super) choice: Choice,
}

/// The settings of one variant, in the order of the axes.
pub(super) type Combination = Vec<Cell>;

/// The combinations that are to run; one without settings where there is no matrix.
pub(super) fn read(
    axes: &[Axis],
    overlay: &Overlay,
    kinds: &Kinds,
    sets: &Sets,
    problems: &mut Problems,
) -> Vec<Combination> {
    let before = problems.0.len();
    let include = entries("include", overlay, problems);
    let exclude = entries("exclude", overlay, problems);
    if axes.is_empty() && include.is_empty() && exclude.is_empty() {
        return vec![Vec::new()];
    }
    let count = axes.iter().fold(1_usize, |count, axis| count.saturating_mul(axis.choices.len()));
    if count > MOST {
        problems.push(
            Problem::error("too-many-variants", format!("the matrix has {count} combinations, more than {MOST}"))
                .at(overlay.key_origin(&["matrix"]))
                .help("give the axes fewer values"),
        );
        return vec![Vec::new()];
    }
    let excluded: Vec<Vec<(usize, usize)>> =
        exclude.iter().filter_map(|entry| excluding(entry, axes, overlay, problems)).collect();
    let included: Vec<Combination> =
        include.iter().filter_map(|entry| including(entry, axes, overlay, kinds, sets, problems)).collect();
    let mut originals = product(axes);
    originals
        .retain(|picks| !excluded.iter().any(|entry| entry.iter().all(|(axis, pick)| picks.get(*axis) == Some(pick))));
    let combinations = extended(axes, &originals, included);
    if combinations.is_empty() && problems.0.len() == before {
        problems.push(
            Problem::error("no-variants", "`exclude` leaves no combination")
                .at(overlay.key_origin(&["matrix", "exclude"]))
                .help("take an entry out of `exclude`"),
        );
    }
    combinations
}

/// All combinations, the first axis slowest; none where there are no axes.
fn product(axes: &[Axis]) -> Vec<Vec<usize>> {
    if axes.is_empty() {
        return Vec::new();
    }
    axes.iter().fold(vec![Vec::new()], |rows, axis| {
        let longer = |row: Vec<usize>| {
            (0..axis.choices.len()).map(move |pick| row.iter().copied().chain([pick]).collect::<Vec<usize>>())
        };
        rows.into_iter().flat_map(longer).collect()
    })
}

fn extended(axes: &[Axis], originals: &[Vec<usize>], included: Vec<Combination>) -> Vec<Combination> {
    let cells = |picks: &Vec<usize>| -> Combination {
        let cell = |(axis, pick): (&Axis, &usize)| {
            let choice = axis.choices.get(*pick)?.clone();
            Some(Cell { axis: axis.name.clone(), target: axis.target.clone(), choice })
        };
        axes.iter().zip(picks).filter_map(cell).collect()
    };
    let mut rows: Vec<Combination> = originals.iter().map(cells).collect();
    let first = rows.len();
    for entry in included {
        let own = |cell: &&Cell| axes.iter().any(|axis| axis.name == cell.axis);
        let mut used = false;
        for row in rows.iter_mut().take(first) {
            let agrees = entry
                .iter()
                .filter(own)
                .all(|cell| row.iter().any(|other| other.axis == cell.axis && other.choice.label == cell.choice.label));
            if agrees {
                used = true;
                for cell in entry.iter().filter(|cell| !own(cell)) {
                    row.retain(|other| other.axis != cell.axis);
                    row.push(cell.clone());
                }
            }
        }
        if !used {
            let place = |cell: &Cell| axes.iter().position(|axis| axis.name == cell.axis).unwrap_or(axes.len());
            let mut row = entry;
            row.sort_by_key(place);
            rows.push(row);
        }
    }
    rows
}

/// An entry of `include` or `exclude`: where it stands, and its keys.
struct Entry {
    path: [String; 3],
    keys: Vec<(String, Value)>,
}

impl Entry {
    fn way<'a>(&'a self, key: &'a str) -> [&'a str; 4] {
        let [matrix, list, index] = &self.path;
        [matrix, list, index, key]
    }
}

fn entries(list: &str, overlay: &Overlay, problems: &mut Problems) -> Vec<Entry> {
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

/// Which axes an entry of `exclude` looks at, and at which of their values.
fn excluding(entry: &Entry, axes: &[Axis], overlay: &Overlay, problems: &mut Problems) -> Option<Vec<(usize, usize)>> {
    let mut picks = Vec::new();
    for (key, value) in &entry.keys {
        let way = entry.way(key);
        let Some((index, axis)) = axes.iter().enumerate().find(|(_, axis)| axis.name == *key) else {
            problems.push(unknown_axis(key, axes).at(overlay.key_origin(&way)));
            continue;
        };
        match axis.choices.iter().position(|choice| choice.is(value)) {
            Some(pick) => picks.push((index, pick)),
            None if axis.dropped.iter().any(|choice| choice.is(value)) => return None,
            None => problems.push(unknown_value(key, &axis.choices, value).at(overlay.origin(&way))),
        }
    }
    (picks.len() == entry.keys.len()).then_some(picks)
}

fn including(
    entry: &Entry,
    axes: &[Axis],
    overlay: &Overlay,
    kinds: &Kinds,
    sets: &Sets,
    problems: &mut Problems,
) -> Option<Combination> {
    let mut cells: Combination = Vec::new();
    for (key, value) in &entry.keys {
        let way = entry.way(key);
        let axis = axes.iter().find(|axis| axis.name == *key);
        if axis.is_some_and(|axis| axis.narrowed && !axis.choices.iter().any(|choice| choice.is(value))) {
            return None;
        }
        let cell = match axis {
            Some(axis) => {
                included_value(axis, value, &way).map_err(|problem| Box::new(problem.at(overlay.origin(&way))))
            }
            None => included_path(key, value, axes, overlay, kinds, sets, &way),
        };
        let clash = |cell: &Cell| cells.iter().any(|other| other.target.overlaps(&cell.target));
        match cell {
            Ok(cell) if clash(&cell) => {
                let message = format!("this entry sets `{}` twice", cell.target);
                problems.push(
                    Problem::error("axis-clash", message).at(overlay.key_origin(&way)).help("keep one of the two"),
                );
            }
            Ok(cell) => cells.push(cell),
            Err(problem) => problems.push(*problem),
        }
    }
    (cells.len() == entry.keys.len()).then_some(cells)
}

fn included_value(axis: &Axis, value: &Value, way: &[&str]) -> Result<Cell, Box<Problem>> {
    let place = Place::File(way.iter().map(|part| (*part).to_owned()).collect());
    let labelled = axis.choices.iter().any(|choice| choice.labelled);
    let choice = match axis.choices.iter().find(|choice| choice.is(value)) {
        Some(choice) => choice.clone(),
        None if labelled && value.is_string() => return Err(Box::new(unknown_value(&axis.name, &axis.choices, value))),
        None => unlabelled(value, place),
    };
    fits(&axis.target, &choice.value)?;
    Ok(Cell { axis: axis.name.clone(), target: axis.target.clone(), choice })
}

fn included_path(
    key: &str,
    value: &Value,
    axes: &[Axis],
    overlay: &Overlay,
    kinds: &Kinds,
    sets: &Sets,
    way: &[&str],
) -> Result<Cell, Box<Problem>> {
    let stage = key.split('.').next().unwrap_or_default();
    if key != "seed" && overlay.at(&["stages", stage]).is_none() {
        return Err(Box::new(
            unknown_axis(key, axes)
                .at(overlay.key_origin(way))
                .note("`include` takes axes, and paths such as `tfidf.min_df`"),
        ));
    }
    let target = Target::read(key, overlay, kinds).map_err(|problem| Box::new(problem.at(overlay.key_origin(way))))?;
    let clash = axes.iter().find(|axis| axis.target.overlaps(&target)).map(|axis| format!("the axis `{}`", axis.name));
    let flag = sets.targets.iter().find(|(set, _)| set.overlaps(&target)).map(|(_, flag)| format!("`{flag}`"));
    if let Some(other) = clash.or(flag) {
        let problem = Problem::error("axis-clash", format!("`{target}` is set by {other} already"));
        return Err(Box::new(problem.at(overlay.key_origin(way)).help("name the axis here, or leave the path out")));
    }
    fits(&target, value).map_err(|problem| Box::new(problem.at(overlay.origin(way))))?;
    let place = Place::File(way.iter().map(|part| (*part).to_owned()).collect());
    Ok(Cell { axis: key.to_owned(), target, choice: unlabelled(value, place) })
}

fn fits(target: &Target, value: &Value) -> Result<(), Box<Problem>> {
    match target {
        Target::Seed => seed_of(value).map(|_| ()),
        Target::From(_) => wires(value).map(|_| ()).map_err(|message| Box::new(Problem::error("wrong-type", message))),
        _ => Ok(()),
    }
}

fn unknown_axis(key: &str, axes: &[Axis]) -> Problem {
    let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
    let problem = Problem::error("unknown-axis", format!("the matrix has no axis `{key}`"));
    let problem = match suggest(key, names.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    };
    if names.is_empty() { problem } else { problem.note(format!("the axes are {}", names.join(", "))) }
}
