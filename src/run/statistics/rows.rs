//! Which predictions are about the same rows, and how do they become numbers?

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use rustc_hash::FxHashMap;

use crate::ml::stats::{Scored, Units};
use crate::ml::{ClassF1, Metric, Outcome, Places, Scores, SetOutcome, Task, ValueOutcome, Weighed};
use crate::record::{Evaluation, ScoredOn};
use crate::stage::{StageError, TOGETHER};
use crate::table::predictions::sets::ScoredSets;
use crate::table::predictions::values::ScoredValues;
use crate::table::predictions::{ScoredColumns, task};
use crate::table::target::Target;

/// Predicted rows in an order that hangs on nothing but themselves.
pub(super) struct Rows {
    /// What tells whether others were scored alike.
    pub(super) print: ScoredOn,
    /// What is predicted.
    pub(super) task: Task,
    /// What is drawn again: rows, or groups of rows. Not within classes: how many rows a class has is chance too, and an interval that
    /// takes it as given is too narrow where it is (see `docs/statistics.md`).
    pub(super) units: Units,
    /// Different rows.
    pub(super) count: usize,
    /// True if rows belong to groups.
    pub(super) grouped: bool,
    /// True if a row was held out more than once.
    pub(super) repeated: bool,
    /// How many repeats hold out the same rows in the same folds, and differ in the training rows that were drawn; 1 if there is
    /// one, or if each divides anew.
    pub(super) redrawn: usize,
    /// The table's rows by fold, then by row.
    order: Vec<usize>,
    unit: Vec<u32>,
    fold: Vec<u32>,
}

/// The rows of tables that were looked at; most variants are scored alike, row by row.
#[derive(Default)]
pub(super) struct Seen(Vec<(Arc<RecordBatch>, Arc<Rows>)>);

/// What a variant predicted, ready for statistics.
pub(super) struct Told {
    pub(super) weighed: Repeats,
    /// How wrong each prediction is: 0 or 1, or the distance of numbers.
    pub(super) errors: Vec<f32>,
}

/// The classes of a variant, ready for statistics.
pub(super) struct ClassesTold {
    /// In code-point order.
    pub(super) names: Vec<String>,
    /// The F1 of each.
    pub(super) scores: Repeats<ClassF1>,
}

/// Predictions that are scored repeat by repeat, where repeats hold out the same rows, else all together; a score is the mean of theirs.
pub(super) struct Repeats<S = Weighed>(Vec<S>);

impl<S: Scored> Repeats<S> {
    /// The scores of each repeat, of all rows as they are.
    pub(super) fn each(&self, units: &Units) -> Vec<Vec<f64>> {
        let once = vec![1; units.len()];
        let scores = |one: &S| {
            let mut scores = vec![f64::NAN; one.width()];
            one.score(&once, &mut scores);
            scores
        };
        self.0.iter().map(scores).collect()
    }
}

impl<S: Scored> Scored for Repeats<S> {
    fn width(&self) -> usize {
        self.0.first().map_or(0, Scored::width)
    }

    fn score(&self, weights: &[u32], into: &mut [f64]) {
        match self.0.as_slice() {
            [one] => one.score(weights, into),
            several => {
                into.fill(0.0);
                let mut own = vec![f64::NAN; into.len()];
                for one in several {
                    one.score(weights, &mut own);
                    into.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own / several.len() as f64);
                }
            }
        }
    }
}

fn caused(error: impl std::error::Error + Send + Sync + 'static) -> StageError {
    StageError::caused(error)
}

impl Seen {
    /// The rows of an evaluation's predictions.
    pub(super) fn rows(&mut self, evaluation: &Evaluation) -> Result<Arc<Rows>, StageError> {
        let table = evaluation.scores.table("predictions")?;
        let scored = ScoredColumns::of(&table).map_err(caused)?;
        for (known, rows) in self.0.iter().rev().take(8) {
            let known = ScoredColumns::of(known).map_err(caused)?;
            if known.fold == scored.fold && known.label == scored.label && known.row_id == scored.row_id {
                return Ok(Arc::clone(rows));
            }
        }
        let rows = Arc::new(Rows::of(&scored, task(&table), &groups_of(evaluation)?));
        self.0.push((table, Arc::clone(&rows)));
        Ok(rows)
    }
}

/// The group of each scored row that has one: what folds kept together where they say so, else what the data says.
pub fn groups_of(evaluation: &Evaluation) -> Result<FxHashMap<String, String>, StageError> {
    if let Some(part) = evaluation.rows.part(TOGETHER) {
        let table = part.table()?;
        let column = |name: &str| {
            let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<StringArray>());
            column.ok_or_else(|| StageError::failed(format!("the groups of rows have no column `{name}`")))
        };
        let (rows, groups) = (column("row_id")?, column("group")?);
        let pairs = rows.iter().flatten().zip(groups.iter().flatten());
        return Ok(pairs.map(|(row, group)| (row.to_owned(), group.to_owned())).collect());
    }
    let Some(part) = evaluation.rows.part("target") else { return Ok(FxHashMap::default()) };
    let target = Target::from_table(&*part.table()?).map_err(caused)?;
    let groups = target.group.unwrap_or_default();
    Ok(target.row_id.into_iter().zip(groups).filter_map(|(row, group)| Some((row, group?))).collect())
}

impl Rows {
    /// How many predictions there are.
    pub(super) fn predictions(&self) -> usize {
        self.order.len()
    }

    /// How many folds there are, over all repeats.
    pub(super) fn folds(&self) -> usize {
        self.fold.last().map_or(0, |last| *last as usize + 1)
    }

    /// Folds of each repeat; `None` where each row was held out once.
    pub(super) fn folds_per_repeat(&self) -> Option<usize> {
        let repeats = self.order.len() / self.count.max(1);
        let folds = self.folds();
        (self.repeated && folds.is_multiple_of(repeats)).then(|| folds / repeats)
    }

    fn of(scored: &ScoredColumns<'_>, task: Task, groups: &FxHashMap<String, String>) -> Rows {
        let id = |row: &usize| scored.row_id.value(*row);
        let label = |row: &usize| scored.label.is_valid(*row).then(|| scored.label.value(*row));
        let mut order: Vec<usize> = (0..scored.row_id.len()).collect();
        order.sort_by(|a, b| (scored.fold.value(*a), id(a)).cmp(&(scored.fold.value(*b), id(b))));
        let mut folds = blake3::Hasher::new();
        for row in &order {
            folds.update(&scored.fold.value(*row).to_le_bytes());
            enter(&mut folds, id(row));
        }
        let mut by_id = order.clone();
        by_id.sort_by_key(id);
        by_id.dedup_by(|a, b| id(a) == id(b));
        let mut rows = blake3::Hasher::new();
        for row in &by_id {
            enter(&mut rows, id(row));
            enter(&mut rows, label(row).unwrap_or_default());
        }
        // a group stands for its rows, a row without one for itself
        let mut names: Vec<(bool, &str)> = by_id.iter().map(|row| group(id(row), groups)).collect();
        names.sort_unstable();
        names.dedup();
        let place = |row: &usize| names.partition_point(|name| *name < group(id(row), groups)) as u32;
        Rows {
            print: ScoredOn { rows: short(&rows), folds: short(&folds) },
            task,
            units: Units::alike(names.len()),
            count: by_id.len(),
            grouped: !groups.is_empty(),
            repeated: order.len() > by_id.len(),
            redrawn: redrawn(&order, by_id.len(), |row| (scored.fold.value(*row), id(row))),
            unit: order.iter().map(place).collect(),
            fold: order.iter().map(|row| scored.fold.value(*row)).collect(),
            order,
        }
    }

    /// What a variant that was scored on these rows predicted; `None` where it is not known what is true of a row.
    pub(super) fn told(&self, evaluation: &Evaluation, metrics: &[Metric]) -> Result<Option<Told>, StageError> {
        let table = evaluation.scores.table("predictions")?;
        let (mut weighed, mut errors) = (Vec::with_capacity(self.redrawn), Vec::with_capacity(self.order.len()));
        for some in self.repeats() {
            let told = match self.task {
                Task::Classes => some.classes(&ScoredColumns::of(&table).map_err(caused)?, metrics)?,
                Task::Sets => Some(some.sets(&ScoredSets::from_table(&table).map_err(caused)?, metrics)?),
                Task::Values => Some(some.values(&ScoredValues::from_table(&table).map_err(caused)?, metrics)?),
            };
            let Some((one, more)) = told else { return Ok(None) };
            weighed.push(one);
            errors.extend(more);
        }
        Ok(Some(Told { weighed: Repeats(weighed), errors }))
    }

    /// The classes that a variant knows, and the F1 of each; `None` where there are none, or not all labels are known.
    pub(super) fn class_scores(&self, evaluation: &Evaluation) -> Result<Option<ClassesTold>, StageError> {
        let table = evaluation.scores.table("predictions")?;
        let (mut names, mut scores) = (Vec::new(), Vec::with_capacity(self.redrawn));
        for some in self.repeats() {
            match self.task {
                Task::Classes => {
                    let scored = ScoredColumns::of(&table).map_err(caused)?;
                    let classes = class_names(&scored);
                    let Some((y, p)) = some.indices(&scored, &classes) else { return Ok(None) };
                    let outcome = Outcome::new(&y, &p, classes.len(), None).map_err(caused)?;
                    scores.push(ClassF1::of_classes(&outcome, some.places.unit));
                    names = classes.into_iter().map(str::to_owned).collect();
                }
                Task::Sets => {
                    let scored = ScoredSets::from_table(&table).map_err(caused)?;
                    let (y, p) = some.marks(&scored);
                    let outcome = SetOutcome::new(&y, &p, scored.predictions.classes.len(), None).map_err(caused)?;
                    scores.push(ClassF1::of_sets(&outcome, some.places.unit));
                    names = scored.predictions.classes;
                }
                Task::Values => return Ok(None),
            }
        }
        Ok(Some(ClassesTold { names, scores: Repeats(scores) }))
    }

    /// The predictions that are scored together.
    fn repeats(&self) -> impl Iterator<Item = Together<'_>> {
        let size = self.order.len().div_ceil(self.redrawn).max(1);
        let places = self.unit.chunks(size).zip(self.fold.chunks(size));
        let places = places.map(|(unit, fold)| Places { unit, fold });
        self.order.chunks(size).zip(places).map(|(order, places)| Together { order, places })
    }
}

/// Predictions that are scored together.
struct Together<'a> {
    /// Rows of the table.
    order: &'a [usize],
    places: Places<'a>,
}

/// A score of some predictions that can be taken again, and how wrong each is.
type Ready = (Weighed, Vec<f32>);

impl Together<'_> {
    fn values(&self, scored: &ScoredValues, metrics: &[Metric]) -> Result<Ready, StageError> {
        let pick = |from: &[f64]| self.order.iter().map(|row| from[*row]).collect::<Vec<f64>>();
        let (y, p) = (pick(&scored.truth), pick(&scored.predictions.value));
        let outcome = ValueOutcome::new(&y, &p).map_err(caused)?;
        let errors = y.iter().zip(&p).map(|(y, p)| (y - p).abs() as f32).collect();
        Ok((Weighed::of_values(metrics, &outcome, self.places), errors))
    }

    fn classes(&self, scored: &ScoredColumns<'_>, metrics: &[Metric]) -> Result<Option<Ready>, StageError> {
        let classes = class_names(scored);
        let Some((y, p)) = self.indices(scored, &classes) else { return Ok(None) };
        let index = |class: &str| classes.partition_point(|known| *known < class);
        let absent = if scored.probabilities { 0.0 } else { f64::NEG_INFINITY };
        let mut scores = vec![absent; y.len() * classes.len()];
        for (class, values) in scored.classes.iter().zip(&scored.scores) {
            let column = index(class);
            for (at, row) in self.order.iter().enumerate() {
                scores[at * classes.len() + column] = values.value(*row);
            }
        }
        let scores = match (scored.classes.is_empty(), scored.probabilities) {
            (true, _) => None,
            (false, true) => Some(Scores::Probabilities(&scores)),
            (false, false) => Some(Scores::Decisions(&scores)),
        };
        let outcome = Outcome::new(&y, &p, classes.len(), scores).map_err(caused)?;
        let errors = y.iter().zip(&p).map(|(y, p)| f32::from(u8::from(y != p))).collect();
        Ok(Some((Weighed::of_classes(metrics, &outcome, self.places), errors)))
    }

    /// The true and the predicted class of each, as places among `classes`; `None` where a label is not known.
    fn indices(&self, scored: &ScoredColumns<'_>, classes: &[&str]) -> Option<(Vec<u32>, Vec<u32>)> {
        let index = |class: &str| classes.partition_point(|known| *known < class) as u32;
        let truth = |row: &usize| scored.label.is_valid(*row).then(|| index(scored.label.value(*row)));
        let y = self.order.iter().map(truth).collect::<Option<Vec<u32>>>()?;
        Some((y, self.order.iter().map(|row| index(scored.predicted.value(*row))).collect()))
    }

    fn sets(&self, scored: &ScoredSets, metrics: &[Metric]) -> Result<Ready, StageError> {
        let width = scored.predictions.classes.len();
        let (y, p) = self.marks(scored);
        let scores: Vec<f64> = self
            .order
            .iter()
            .flat_map(|row| &scored.predictions.scores[row * width..(row + 1) * width])
            .copied()
            .collect();
        let outcome = SetOutcome::new(&y, &p, width, Some(&scores)).map_err(caused)?;
        let rows = y.chunks(width.max(1)).zip(p.chunks(width.max(1)));
        let errors = rows.map(|(y, p)| f32::from(u8::from(y != p))).collect();
        Ok((Weighed::of_sets(metrics, &outcome, self.places), errors))
    }

    /// Whether each row has each class, and whether that is predicted, row-major.
    fn marks(&self, scored: &ScoredSets) -> (Vec<bool>, Vec<bool>) {
        let classes = &scored.predictions.classes;
        let width = classes.len();
        let has = |sets: &[Vec<String>]| {
            let mut has = vec![false; self.order.len() * width];
            for (at, row) in self.order.iter().enumerate() {
                let of_row = sets[*row].iter().filter_map(|class| classes.binary_search(class).ok());
                of_row.for_each(|class| has[at * width + class] = true);
            }
            has
        };
        (has(&scored.truth), has(&scored.predictions.sets))
    }
}

/// Every class that is true, predicted or known, in code-point order.
fn class_names<'a>(scored: &ScoredColumns<'a>) -> Vec<&'a str> {
    let mut classes: Vec<&str> = scored.label.iter().chain(scored.predicted).flatten().collect();
    classes.extend(&scored.classes);
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// How many repeats hold out the same rows in the same folds. `order` is by fold, then by row, and each row is held out once a repeat.
fn redrawn<'a>(order: &[usize], rows: usize, place: impl Fn(&usize) -> (u32, &'a str)) -> usize {
    let folds: Vec<&[usize]> = order.chunk_by(|a, b| place(a).0 == place(b).0).collect();
    let repeats = order.len() / rows.max(1);
    if repeats < 2 || !order.len().is_multiple_of(rows) || !folds.len().is_multiple_of(repeats) {
        return 1;
    }
    let alike = |(one, other): (&&[usize], &&[usize])| {
        one.len() == other.len() && one.iter().zip(*other).all(|(one, other)| place(one).1 == place(other).1)
    };
    if folds.iter().zip(&folds[folds.len() / repeats..]).all(alike) { repeats } else { 1 }
}

fn group<'a>(row: &'a str, groups: &'a FxHashMap<String, String>) -> (bool, &'a str) {
    groups.get(row).map_or((false, row), |group| (true, group.as_str()))
}

fn enter(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex().chars().take(16).collect()
}
