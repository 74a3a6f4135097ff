//! How are predicted sets of classes written? `row_id`, `predicted` (text), `predicted_set` (a list), `score:<class>` for each
//! class; held against the truth also `fold`, `label` (text) and `label_set` (a list).
//!
//! In text, the classes of a set stand with a comma and a space between them.

use arrow::array::{ListArray, RecordBatch, UInt32Array};

use super::super::TableError;
use super::super::columns::{full, owned, same_length, strings};
use super::super::target::{lists, owned_lists};
use super::super::text::row_ids;
use super::{Columns, finish, probabilities, push, push_scores, scores};

/// The column of predicted sets.
pub(crate) const PREDICTED: &str = "predicted_set";

/// The column of true sets.
pub(crate) const TRUTH: &str = "label_set";

/// The part that lists the labels of a model that learned each by itself: `class`, and `always` for those that all training rows
/// have (true) or none (false).
pub(crate) const LABELS: &str = "labels";

/// What the parts of a label's own model begin with; `label` is its place in [`LABELS`].
pub(crate) fn label_prefix(label: usize) -> String {
    format!("label.{label:05}.")
}

/// What a model says of some rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictedSets {
    /// Which row.
    pub row_id: Vec<String>,
    /// The classes, in the order of the scores.
    pub classes: Vec<String>,
    /// The predicted classes of each row, in the order of `classes`.
    pub sets: Vec<Vec<String>>,
    /// Row-major, rows × classes: how likely it is that the row has the class, or decision values.
    pub scores: Vec<f64>,
    /// True if the scores are probabilities.
    pub probabilities: bool,
}

/// Out-of-fold predictions with what they are held against.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScoredSets {
    /// The fold that held the row out, counted over all repeats: repeat × folds + fold.
    pub fold: Vec<u32>,
    /// The true classes.
    pub truth: Vec<Vec<String>>,
    /// The predictions.
    pub predictions: PredictedSets,
}

impl PredictedSets {
    /// The table.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let mut columns = Columns::new();
        push(&mut columns, "row_id", strings("row_id", self.row_id.iter().map(Some))?, false);
        self.add(&mut columns)?;
        finish(columns, self.probabilities)
    }

    /// What a table holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let (classes, columns) = scores(table)?;
        let sets: &ListArray = full(table, PREDICTED)?;
        let rows = 0..table.num_rows();
        Ok(PredictedSets {
            row_id: owned(row_ids(table)?),
            classes: classes.into_iter().map(str::to_owned).collect(),
            sets: owned_lists(PREDICTED, sets)?,
            scores: rows.flat_map(|row| columns.iter().map(move |values| values.value(row))).collect(),
            probabilities: probabilities(table)?,
        })
    }

    fn add(&self, columns: &mut Columns) -> Result<(), TableError> {
        let rows = self.row_id.len();
        same_length(PREDICTED, rows, self.sets.len())?;
        same_length("scores", rows * self.classes.len(), self.scores.len())?;
        push(columns, "predicted", strings("predicted", self.sets.iter().map(|set| Some(set.join(", "))))?, false);
        push(columns, PREDICTED, lists(&self.sets)?, false);
        push_scores(columns, &self.classes, &self.scores);
        Ok(())
    }
}

impl ScoredSets {
    /// The table: `row_id`, `fold`, `label`, `label_set`, `predicted`, `predicted_set`, `score:<class>` …
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let rows = self.predictions.row_id.len();
        same_length("fold", rows, self.fold.len())?;
        same_length(TRUTH, rows, self.truth.len())?;
        let mut columns = Columns::new();
        push(&mut columns, "row_id", strings("row_id", self.predictions.row_id.iter().map(Some))?, false);
        push(&mut columns, "fold", UInt32Array::from(self.fold.clone()), false);
        push(&mut columns, "label", strings("label", self.truth.iter().map(|set| Some(set.join(", "))))?, true);
        push(&mut columns, TRUTH, lists(&self.truth)?, false);
        self.predictions.add(&mut columns)?;
        finish(columns, self.predictions.probabilities)
    }

    /// What a table holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let (fold, truth): (&UInt32Array, &ListArray) = (full(table, "fold")?, full(table, TRUTH)?);
        Ok(ScoredSets {
            fold: fold.values().to_vec(),
            truth: owned_lists(TRUTH, truth)?,
            predictions: PredictedSets::from_table(table)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ScoredColumns, task};
    use super::*;
    use crate::ml::Task;
    use crate::table::{from_parquet, to_parquet};

    #[test]
    fn sets_come_back_and_read_well() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let predictions = PredictedSets {
            row_id: set(&["a", "b", "c"]),
            classes: set(&["joy", "x, y"]),
            sets: vec![set(&["joy", "x, y"]), set(&[]), set(&["joy"])],
            scores: vec![0.9, 0.8, 0.1, 0.2, 0.5, 0.4],
            probabilities: true,
        };
        let truth = vec![set(&[]), set(&["joy"]), set(&["joy"])];
        let scored = ScoredSets { fold: vec![0, 1, 1], truth, predictions };
        let table = from_parquet(to_parquet(&scored.to_table().unwrap()).unwrap()).unwrap();
        assert_eq!(ScoredSets::from_table(&table).unwrap(), scored);
        assert_eq!(task(&table), Task::Sets);
        let columns = ScoredColumns::of(&table).unwrap();
        assert_eq!(
            (columns.predicted.value(0), columns.label.value(1), columns.label.value(0)),
            ("joy, x, y", "joy", "")
        );
        let alone = scored.predictions.to_table().unwrap();
        assert_eq!(PredictedSets::from_table(&alone).unwrap(), scored.predictions);
        let none = PredictedSets::default();
        assert_eq!(PredictedSets::from_table(&none.to_table().unwrap()).unwrap(), none);
        let short = PredictedSets { scores: vec![], ..scored.predictions };
        assert!(short.to_table().is_err());
    }
}
