//! Which combinations of the axes' values are to run?
//!
//! `include` and `exclude` mean what they mean in GitHub Actions. The combinations of all axes come first; an entry of
//! `exclude` takes away those that it agrees with on all of its keys. Then each entry of `include` is added to every
//! original combination of which it overwrites no axis value; an entry that fits none becomes a combination of its own.
//! Last, `sample` draws some of what there is then. Combinations are counted and ranked one by one; only those that are
//! to run are kept.

use std::collections::BinaryHeap;
use std::sync::Arc;

use super::axes::Axis;
use super::kinds::Kinds;
use super::overlay::Overlay;
use super::paths::Target;
use super::rules::{self, Included};
use super::sample::Sample;
use super::sets::Sets;
use super::values::{Choice, Place, Targets};
use super::{Limit, identity};
use crate::problem::{Problem, Problems};

/// No more combinations than this are looked at, be it to draw from them.
const MOST_WALKED: u64 = 10_000_000;
/// No more combinations than this are resolved, whatever the limit: what is merged or selected afterwards must fit in memory.
const MOST_RESOLVED: u64 = 1_000_000;
/// So many combinations are resolved to see how many variants they are, although the limit is lower.
const RESOLVED_TO_COUNT: u64 = 20_000;

/// A value at a place.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) target: Target,
    pub(super) value: serde_json::Value,
    pub(super) place: Place,
}

/// A value of an axis, or of a path that an `include` entry sets beside the axes; shared by all combinations that have it.
#[derive(Debug)]
pub(super) struct Cell {
    /// No two cells of a matrix have the same.
    pub(super) number: usize,
    /// The axis, or the path.
    pub(super) axis: String,
    pub(super) choice: Choice,
    pub(super) settings: Vec<Setting>,
    /// Of the settings, whatever the axis is called: what a sample is drawn by.
    content: u128,
}

impl Cell {
    /// The cell of a choice, which has an entry for each target.
    pub(super) fn new(number: usize, axis: &str, targets: &Targets, choice: Choice) -> Arc<Cell> {
        let entries = targets.entries(axis, &choice.value).unwrap_or_default();
        let several = matches!(targets, Targets::Several(_));
        let place = |index: usize| if several { choice.place.item(index) } else { choice.place.clone() };
        let settings: Vec<Setting> = targets
            .all()
            .iter()
            .zip(entries)
            .enumerate()
            .map(|(index, (target, value))| Setting {
                target: target.clone(),
                value: value.clone(),
                place: place(index),
            })
            .collect();
        let content = settings.iter().fold(0_u128, |sum, setting| sum.wrapping_add(content(setting)));
        Arc::new(Cell { number, axis: axis.to_owned(), choice, settings, content })
    }
}

fn content(setting: &Setting) -> u128 {
    let text = format!("{}={}", setting.target, identity::canonical(&setting.value));
    let mut first = [0_u8; 16];
    first.copy_from_slice(blake3::hash(text.as_bytes()).as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
    u128::from_le_bytes(first)
}

/// The settings of one variant, in the order of the axes.
pub(super) type Combination = Vec<Arc<Cell>>;

/// What a matrix is read from.
pub(super) struct Given<'a> {
    pub(super) axes: &'a [Axis],
    pub(super) overlay: &'a Overlay,
    pub(super) kinds: &'a Kinds,
    pub(super) sets: &'a Sets,
    /// The pipeline's seed.
    pub(super) seed: u64,
}

/// The combinations that are to run; one without settings where there is no matrix.
pub(super) fn read(given: &Given<'_>, limit: &Limit, problems: &mut Problems) -> Vec<Combination> {
    let before = problems.0.len();
    let sample = Sample::read(given.overlay, given.seed, problems);
    let (include, exclude) =
        (rules::entries("include", given.overlay, problems), rules::entries("exclude", given.overlay, problems));
    if given.axes.is_empty() && include.is_empty() && exclude.is_empty() {
        return vec![Vec::new()];
    }
    let mut number = 0;
    let mut axes: Vec<Vec<Arc<Cell>>> = Vec::new();
    for axis in given.axes {
        let first = number;
        number += axis.choices.len();
        let cell = |(n, choice): (usize, &Choice)| Cell::new(first + n, &axis.name, &axis.targets, choice.clone());
        axes.push(axis.choices.iter().enumerate().map(cell).collect());
    }
    let excluded = exclude.iter().filter_map(|entry| rules::excluding(entry, &include, given, problems)).collect();
    let included =
        include.iter().filter_map(|entry| rules::including(entry, &axes, given, &mut number, problems)).collect();
    let matrix = Matrix { axes, excluded, included };
    let one = vec![Vec::new()];
    if matrix.product().is_none_or(|product| product > MOST_WALKED) {
        let all = matrix.product().map_or_else(|| "more than 10^19".to_owned(), |product| product.to_string());
        let problem = too_many(&format!("{all} combinations"), &MOST_WALKED.to_string(), given);
        problems.push(problem.help("give the axes fewer values"));
        return one;
    }
    let found = matrix.count();
    if found.total() == 0 && problems.0.len() == before {
        problems.push(
            Problem::error("no-variants", "`exclude` leaves no combination")
                .at(given.overlay.key_origin(&["matrix", "exclude"]))
                .help("take an entry out of `exclude`"),
        );
        return one;
    }
    let kept = sample.as_ref().map_or(found.total(), |sample| sample.size(found.total()));
    if kept > MOST_RESOLVED || (kept > limit.most && !limit.narrowed && kept > RESOLVED_TO_COUNT) {
        let most = limit.most.min(MOST_RESOLVED);
        problems.push(limit.refused(&format!("{kept} combinations"), kept, most, given.overlay, given.axes));
        return one;
    }
    match sample.filter(|_| kept < found.total()) {
        Some(sample) => matrix.drawn(&sample, kept, &found),
        None => matrix.all(&found),
    }
}

fn too_many(what: &str, most: &str, given: &Given<'_>) -> Problem {
    Problem::error("too-many-variants", format!("the matrix has {what}, more than {most}"))
        .at(given.overlay.key_origin(&["matrix"]))
        .note(super::limit::sizes(given.axes))
}

/// The axes' values and the rules about them.
struct Matrix {
    axes: Vec<Vec<Arc<Cell>>>,
    /// For each entry of `exclude`: axes, and for each of their values whether the entry agrees with it.
    excluded: Vec<Vec<(usize, Vec<bool>)>>,
    included: Vec<Included>,
}

/// What a look at all combinations found.
struct Found {
    /// Combinations of the axes that no entry of `exclude` takes away.
    originals: u64,
    /// Entries of `include` that fit none of them.
    added: Vec<usize>,
}

impl Found {
    fn total(&self) -> u64 {
        self.originals + self.added.len() as u64
    }
}

impl Matrix {
    /// How many combinations the axes have; `None` if that is beyond counting.
    fn product(&self) -> Option<u64> {
        if self.axes.is_empty() {
            return Some(0);
        }
        self.axes.iter().try_fold(1_u64, |count, axis| count.checked_mul(axis.len() as u64))
    }

    /// Calls `visit` with the number and the values of every combination that is not excluded, the first axis slowest.
    fn walk(&self, mut visit: impl FnMut(u64, &[usize])) {
        let mut picks = vec![0; self.axes.len()];
        for number in 0..self.product().unwrap_or(0) {
            self.pick(number, &mut picks);
            let agrees = |(axis, values): &(usize, Vec<bool>)| picks.get(*axis).is_some_and(|pick| values[*pick]);
            if !self.excluded.iter().any(|entry| entry.iter().all(agrees)) {
                visit(number, &picks);
            }
        }
    }

    /// The values of a combination by its number.
    fn pick(&self, number: u64, picks: &mut [usize]) {
        let mut rest = number;
        for (pick, axis) in picks.iter_mut().zip(&self.axes).rev() {
            let size = axis.len() as u64;
            *pick = usize::try_from(rest % size).unwrap_or(0);
            rest /= size;
        }
    }

    fn count(&self) -> Found {
        let mut used = vec![false; self.included.len()];
        let mut originals = 0;
        self.walk(|_, picks| {
            originals += 1;
            for (used, entry) in used.iter_mut().zip(&self.included) {
                *used |= entry.agrees(picks);
            }
        });
        let added = (0..self.included.len()).filter(|entry| !used[*entry]).collect();
        Found { originals, added }
    }

    /// The cells of an original combination, extended by what `include` adds to it.
    fn extended<'a>(&'a self, picks: &[usize], row: &mut Vec<&'a Arc<Cell>>) {
        row.clear();
        row.extend(self.axes.iter().zip(picks).map(|(axis, pick)| &axis[*pick]));
        for entry in self.included.iter().filter(|entry| entry.agrees(picks)) {
            for cell in &entry.extra {
                match row.iter_mut().find(|other| other.axis == cell.axis) {
                    Some(other) => *other = cell,
                    None => row.push(cell),
                }
            }
        }
    }

    fn all(&self, found: &Found) -> Vec<Combination> {
        let mut rows: Vec<Combination> = Vec::new();
        let mut row = Vec::new();
        self.walk(|_, picks| {
            self.extended(picks, &mut row);
            rows.push(row.iter().map(|cell| Arc::clone(cell)).collect());
        });
        rows.extend(found.added.iter().map(|entry| self.included[*entry].whole.clone()));
        rows
    }

    /// The `size` combinations of least rank, in the order of the matrix.
    fn drawn(&self, sample: &Sample, size: u64, found: &Found) -> Vec<Combination> {
        let sum = |cells: &mut dyn Iterator<Item = &Arc<Cell>>| {
            cells.fold(0_u128, |sum, cell| sum.wrapping_add(cell.content))
        };
        let mut least: BinaryHeap<(u64, u64)> = BinaryHeap::new();
        let mut offer = |rank: u64, number: u64| {
            if (least.len() as u64) < size {
                least.push((rank, number));
            } else if least.peek().is_some_and(|worst| (rank, number) < *worst) {
                least.pop();
                least.push((rank, number));
            }
        };
        let mut row = Vec::new();
        self.walk(|number, picks| {
            self.extended(picks, &mut row);
            offer(sample.rank(sum(&mut row.iter().copied())), number);
        });
        let product = self.product().unwrap_or(0);
        for (place, entry) in found.added.iter().enumerate() {
            offer(sample.rank(sum(&mut self.included[*entry].whole.iter())), product + place as u64);
        }
        let mut numbers: Vec<u64> = least.into_iter().map(|(_, number)| number).collect();
        numbers.sort_unstable();
        let mut picks = vec![0; self.axes.len()];
        let mut combination = |number: u64| -> Combination {
            if let Some(place) = number.checked_sub(product) {
                let entry = found.added.get(usize::try_from(place).unwrap_or(usize::MAX));
                return entry.map(|entry| self.included[*entry].whole.clone()).unwrap_or_default();
            }
            self.pick(number, &mut picks);
            let mut row = Vec::new();
            self.extended(&picks, &mut row);
            row.into_iter().map(Arc::clone).collect()
        };
        numbers.into_iter().map(&mut combination).collect()
    }
}
