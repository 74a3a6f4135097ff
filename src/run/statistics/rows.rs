//! Which predictions are about the same rows, and how do they become numbers?

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use rustc_hash::FxHashMap;

use crate::ml::stats::Units;
use crate::ml::{Metric, Outcome, Places, Scores, SetOutcome, Task, ValueOutcome, Weighed};
use crate::record::{Evaluation, ScoredOn};
use crate::stage::StageError;
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
    pub(super) weighed: Weighed,
    /// How wrong each prediction is: 0 or 1, or the distance of numbers.
    pub(super) errors: Vec<f32>,
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
        let rows = Arc::new(Rows::of(&scored, task(&table), &groups(evaluation)?));
        self.0.push((table, Arc::clone(&rows)));
        Ok(rows)
    }
}

/// The group of each row that has one.
fn groups(evaluation: &Evaluation) -> Result<FxHashMap<String, String>, StageError> {
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
            unit: order.iter().map(place).collect(),
            fold: order.iter().map(|row| scored.fold.value(*row)).collect(),
            order,
        }
    }

    /// What a variant that was scored on these rows predicted; `None` where it is not known what is true of a row.
    pub(super) fn told(&self, evaluation: &Evaluation, metrics: &[Metric]) -> Result<Option<Told>, StageError> {
        let table = evaluation.scores.table("predictions")?;
        let places = Places { unit: &self.unit, fold: &self.fold };
        match self.task {
            Task::Classes => self.classes(&ScoredColumns::of(&table).map_err(caused)?, metrics, places),
            Task::Sets => self.sets(&ScoredSets::from_table(&table).map_err(caused)?, metrics, places),
            Task::Values => {
                let scored = ScoredValues::from_table(&table).map_err(caused)?;
                let pick = |from: &[f64]| self.order.iter().map(|row| from[*row]).collect::<Vec<f64>>();
                let (y, p) = (pick(&scored.truth), pick(&scored.predictions.value));
                let outcome = ValueOutcome::new(&y, &p).map_err(caused)?;
                let errors = y.iter().zip(&p).map(|(y, p)| (y - p).abs() as f32).collect();
                Ok(Some(Told { weighed: Weighed::of_values(metrics, &outcome, places), errors }))
            }
        }
    }

    fn classes(
        &self,
        scored: &ScoredColumns<'_>,
        metrics: &[Metric],
        places: Places<'_>,
    ) -> Result<Option<Told>, StageError> {
        let mut classes: Vec<&str> = scored.label.iter().chain(scored.predicted).flatten().collect();
        classes.extend(&scored.classes);
        classes.sort_unstable();
        classes.dedup();
        if self.order.iter().any(|row| scored.label.is_null(*row)) {
            return Ok(None);
        }
        let index = |class: &str| classes.partition_point(|known| *known < class) as u32;
        let y: Vec<u32> = self.order.iter().map(|row| index(scored.label.value(*row))).collect();
        let p: Vec<u32> = self.order.iter().map(|row| index(scored.predicted.value(*row))).collect();
        let absent = if scored.probabilities { 0.0 } else { f64::NEG_INFINITY };
        let mut scores = vec![absent; y.len() * classes.len()];
        for (class, values) in scored.classes.iter().zip(&scored.scores) {
            let column = index(class) as usize;
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
        Ok(Some(Told { weighed: Weighed::of_classes(metrics, &outcome, places), errors }))
    }

    fn sets(&self, scored: &ScoredSets, metrics: &[Metric], places: Places<'_>) -> Result<Option<Told>, StageError> {
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
        let (y, p) = (has(&scored.truth), has(&scored.predictions.sets));
        let scores: Vec<f64> = self
            .order
            .iter()
            .flat_map(|row| &scored.predictions.scores[row * width..(row + 1) * width])
            .copied()
            .collect();
        let outcome = SetOutcome::new(&y, &p, width, Some(&scores)).map_err(caused)?;
        let rows = y.chunks(width.max(1)).zip(p.chunks(width.max(1)));
        let errors = rows.map(|(y, p)| f32::from(u8::from(y != p))).collect();
        Ok(Some(Told { weighed: Weighed::of_sets(metrics, &outcome, places), errors }))
    }
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
