//! What do the parts `predictions` hold? One row for each predicted row: `row_id`, `predicted`, `score:<class>` for each class.
//!
//! The schema's one metadata entry, `fuseline`, says whether scores are probabilities. The predictions of a scores artifact
//! also say `fold` and `label`. Where sets of classes or numbers are predicted, `predicted` and `label` are text for a person,
//! and columns of their own say the same to a program: see [`sets`] and [`values`].

pub mod sets;
pub mod values;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{Field, FieldRef, Schema};
use serde::{Deserialize, Serialize};

use super::TableError;
use super::columns::{column, full, owned, owned_options, same_length, strings};
use super::features::HEAD;
use super::text::row_ids;
use crate::ml::Task;

/// A column of scores is called so, and then as its class.
pub(crate) const SCORE: &str = "score:";

#[derive(Serialize, Deserialize)]
struct Head {
    probabilities: bool,
}

/// What a model says of some rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predictions {
    /// Which row.
    pub row_id: Vec<String>,
    /// The classes, in the order of the scores.
    pub classes: Vec<String>,
    /// The predicted class of each row.
    pub predicted: Vec<String>,
    /// Row-major, rows × classes: probabilities, or decision values where the learner has none.
    pub scores: Vec<f64>,
    /// True if the scores are probabilities.
    pub probabilities: bool,
}

/// Out-of-fold predictions with what they are held against.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// The fold that held the row out, counted over all repeats: repeat × folds + fold.
    pub fold: Vec<u32>,
    /// The true class, where known.
    pub label: Vec<Option<String>>,
    /// The predictions.
    pub predictions: Predictions,
}

/// The columns of out-of-fold predictions, where they lie in their table.
#[derive(Debug)]
pub struct ScoredColumns<'t> {
    /// Which row.
    pub row_id: &'t StringArray,
    /// The fold that held the row out, counted over all repeats.
    pub fold: &'t UInt32Array,
    /// The true class, where known.
    pub label: &'t StringArray,
    /// The predicted class.
    pub predicted: &'t StringArray,
    /// The classes, in the order of the scores.
    pub classes: Vec<&'t str>,
    /// The scores of each class.
    pub scores: Vec<&'t Float64Array>,
    /// True if the scores are probabilities.
    pub probabilities: bool,
}

type Columns = Vec<(FieldRef, ArrayRef)>;

/// What a table of predictions predicts.
pub fn task(table: &RecordBatch) -> Task {
    match () {
        () if table.column_by_name(values::PREDICTED).is_some() => Task::Values,
        () if table.column_by_name(sets::PREDICTED).is_some() => Task::Sets,
        () => Task::Classes,
    }
}

impl Predictions {
    /// The table.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let mut columns = Columns::new();
        push(&mut columns, "row_id", strings("row_id", self.row_id.iter().map(Some))?, false);
        self.add_scores(&mut columns)?;
        self.finish(columns)
    }

    /// What a table holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let (classes, columns) = scores(table)?;
        let predicted: &StringArray = full(table, "predicted")?;
        let rows = 0..table.num_rows();
        Ok(Predictions {
            row_id: owned(row_ids(table)?),
            classes: classes.into_iter().map(str::to_owned).collect(),
            predicted: owned(predicted),
            scores: rows.flat_map(|row| columns.iter().map(move |values| values.value(row))).collect(),
            probabilities: probabilities(table)?,
        })
    }

    fn add_scores(&self, columns: &mut Columns) -> Result<(), TableError> {
        let (rows, width) = (self.row_id.len(), self.classes.len());
        same_length("predicted", rows, self.predicted.len())?;
        same_length("scores", rows * width, self.scores.len())?;
        push(columns, "predicted", strings("predicted", self.predicted.iter().map(Some))?, false);
        push_scores(columns, &self.classes, &self.scores);
        Ok(())
    }

    fn finish(&self, columns: Columns) -> Result<RecordBatch, TableError> {
        finish(columns, self.probabilities)
    }
}

/// A column for each class; there is a score for each row and class.
fn push_scores(columns: &mut Columns, classes: &[String], scores: &[f64]) {
    for (at, class) in classes.iter().enumerate() {
        let scores = scores.iter().skip(at).step_by(classes.len()).copied();
        push(columns, &format!("{SCORE}{class}"), Float64Array::from_iter_values(scores), false);
    }
}

/// The table of these columns, with what it says of its scores.
fn finish(columns: Columns, probabilities: bool) -> Result<RecordBatch, TableError> {
    let head = serde_json::to_string(&Head { probabilities });
    let head = head.map_err(|error| TableError::Head { why: error.to_string() })?;
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields).with_metadata([(HEAD, head)])), columns)?)
}

impl Scored {
    /// The table: `row_id`, `fold`, `label`, `predicted`, `score:<class>` …
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let rows = self.predictions.row_id.len();
        same_length("fold", rows, self.fold.len())?;
        same_length("label", rows, self.label.len())?;
        let mut columns = Columns::new();
        push(&mut columns, "row_id", strings("row_id", self.predictions.row_id.iter().map(Some))?, false);
        push(&mut columns, "fold", UInt32Array::from(self.fold.clone()), false);
        push(&mut columns, "label", strings("label", self.label.iter().map(Option::as_ref))?, true);
        self.predictions.add_scores(&mut columns)?;
        self.predictions.finish(columns)
    }

    /// What a table holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let fold: &UInt32Array = full(table, "fold")?;
        let label: &StringArray = column(table, "label")?;
        Ok(Scored {
            fold: fold.values().to_vec(),
            label: owned_options(label),
            predictions: Predictions::from_table(table)?,
        })
    }
}

impl<'t> ScoredColumns<'t> {
    /// The columns of `table`.
    pub fn of(table: &'t RecordBatch) -> Result<Self, TableError> {
        let (classes, scores) = scores(table)?;
        Ok(ScoredColumns {
            row_id: row_ids(table)?,
            fold: full(table, "fold")?,
            label: column(table, "label")?,
            predicted: full(table, "predicted")?,
            classes,
            scores,
            probabilities: probabilities(table)?,
        })
    }
}

/// What a table says of its scores.
fn probabilities(table: &RecordBatch) -> Result<bool, TableError> {
    let said = table.schema_ref().metadata().get(HEAD).map(String::as_str).unwrap_or_default();
    let head: Head = serde_json::from_str(said).map_err(|error| TableError::Head { why: error.to_string() })?;
    Ok(head.probabilities)
}

/// The classes that have scores in a table, and their columns.
fn scores(table: &RecordBatch) -> Result<(Vec<&str>, Vec<&Float64Array>), TableError> {
    let (mut classes, mut columns): (Vec<&str>, Vec<&Float64Array>) = (Vec::new(), Vec::new());
    for (field, values) in table.schema_ref().fields().iter().zip(table.columns()) {
        let Some(class) = field.name().strip_prefix(SCORE) else { continue };
        let values = values.as_any().downcast_ref().ok_or(TableError::Column { name: "score:…" })?;
        classes.push(class);
        columns.push(values);
    }
    if columns.iter().any(|values| values.null_count() > 0) {
        return Err(TableError::Nulls { name: "score:…" });
    }
    Ok((classes, columns))
}

fn push(columns: &mut Columns, name: &str, column: impl Array + 'static, nullable: bool) {
    columns.push((Arc::new(Field::new(name, column.data_type().clone(), nullable)), Arc::new(column)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{from_parquet, to_parquet};

    const ODD: [&str; 6] = ["", "a.b.c", "score:x", "ö\n\0`", "a b", "predicted"];

    fn scored(classes: Vec<String>, rows: usize) -> Scored {
        let scores = (0..rows * classes.len()).map(|at| at as f64 / 7.0 - 3.0).collect();
        Scored {
            fold: (0..rows as u32).collect(),
            label: (0..rows).map(|row| (row % 2 == 0).then(|| "l".to_owned())).collect(),
            predictions: Predictions {
                row_id: (0..rows).map(|row| format!("r{row}")).collect(),
                predicted: vec!["p".to_owned(); rows],
                classes,
                scores,
                probabilities: rows > 1,
            },
        }
    }

    #[test]
    fn odd_and_many_classes_come_back() {
        let many: Vec<String> = (0..150).map(|class| format!("class.{class}")).collect();
        for classes in [Vec::new(), ODD.map(str::to_owned).to_vec(), many] {
            for rows in [0, 1, 3] {
                let scored = scored(classes.clone(), rows);
                let table = from_parquet(to_parquet(&scored.to_table().unwrap()).unwrap()).unwrap();
                assert_eq!(table, scored.to_table().unwrap());
                assert_eq!(Scored::from_table(&table).unwrap(), scored);
                let columns = ScoredColumns::of(&table).unwrap();
                assert_eq!((columns.row_id.len(), columns.probabilities), (rows, rows > 1));
                assert_eq!(columns.classes, classes);
                let row = |row| columns.scores.iter().map(move |values| values.value(row));
                assert_eq!((0..rows).flat_map(row).collect::<Vec<f64>>(), scored.predictions.scores);
                let table = scored.predictions.to_table().unwrap();
                let again = from_parquet(to_parquet(&table).unwrap()).unwrap();
                assert_eq!(Predictions::from_table(&again).unwrap(), scored.predictions);
            }
        }
    }

    #[test]
    fn lengths_must_agree() {
        let whole = scored(vec!["a".to_owned()], 2);
        let short = Predictions { scores: vec![1.0], ..whole.predictions.clone() };
        assert!(matches!(short.to_table().unwrap_err(), TableError::Shape { what: "scores", expected: 2, found: 1 }));
        let short = Scored { fold: vec![1], ..whole.clone() };
        assert!(matches!(short.to_table().unwrap_err(), TableError::Shape { what: "fold", expected: 2, found: 1 }));
        let short = Predictions { predicted: Vec::new(), ..whole.predictions };
        assert!(short.to_table().is_err());
    }
}
