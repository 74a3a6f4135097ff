//! How are predicted numbers written? `row_id`, `predicted` (text), `predicted_value`; held against the truth also `fold`, `label`
//! (text) and `value`.

use arrow::array::{Float64Array, RecordBatch, UInt32Array};

use super::super::TableError;
use super::super::columns::{full, owned, same_length, strings};
use super::super::text::row_ids;
use super::{Columns, finish, push};

/// The column of predicted numbers.
pub(crate) const PREDICTED: &str = "predicted_value";

/// The column of true numbers.
pub(crate) const TRUTH: &str = "value";

/// What a model says of some rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictedValues {
    /// Which row.
    pub row_id: Vec<String>,
    /// Its predicted number.
    pub value: Vec<f64>,
}

/// Out-of-fold predictions with what they are held against.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScoredValues {
    /// The fold that held the row out, counted over all repeats: repeat × folds + fold.
    pub fold: Vec<u32>,
    /// The true number.
    pub truth: Vec<f64>,
    /// The predictions.
    pub predictions: PredictedValues,
}

impl PredictedValues {
    /// The table.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let mut columns = Columns::new();
        push(&mut columns, "row_id", strings("row_id", self.row_id.iter().map(Some))?, false);
        self.add(&mut columns)?;
        finish(columns, false)
    }

    /// What a table holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let value: &Float64Array = full(table, PREDICTED)?;
        Ok(PredictedValues { row_id: owned(row_ids(table)?), value: value.values().to_vec() })
    }

    fn add(&self, columns: &mut Columns) -> Result<(), TableError> {
        same_length(PREDICTED, self.row_id.len(), self.value.len())?;
        push(columns, "predicted", strings("predicted", self.value.iter().map(|v| Some(v.to_string())))?, false);
        push(columns, PREDICTED, Float64Array::from(self.value.clone()), false);
        Ok(())
    }
}

impl ScoredValues {
    /// The table: `row_id`, `fold`, `label`, `value`, `predicted`, `predicted_value`.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let rows = self.predictions.row_id.len();
        same_length("fold", rows, self.fold.len())?;
        same_length(TRUTH, rows, self.truth.len())?;
        let mut columns = Columns::new();
        push(&mut columns, "row_id", strings("row_id", self.predictions.row_id.iter().map(Some))?, false);
        push(&mut columns, "fold", UInt32Array::from(self.fold.clone()), false);
        push(&mut columns, "label", strings("label", self.truth.iter().map(|v| Some(v.to_string())))?, true);
        push(&mut columns, TRUTH, Float64Array::from(self.truth.clone()), false);
        self.predictions.add(&mut columns)?;
        finish(columns, false)
    }

    /// What a table holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let (fold, truth): (&UInt32Array, &Float64Array) = (full(table, "fold")?, full(table, TRUTH)?);
        Ok(ScoredValues {
            fold: fold.values().to_vec(),
            truth: truth.values().to_vec(),
            predictions: PredictedValues::from_table(table)?,
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
    fn numbers_come_back_and_read_well() {
        let predictions = PredictedValues { row_id: vec!["a".into(), "b".into()], value: vec![0.1 + 0.2, -1e-300] };
        let scored = ScoredValues { fold: vec![0, 4], truth: vec![0.5, -2.0], predictions };
        let table = from_parquet(to_parquet(&scored.to_table().unwrap()).unwrap()).unwrap();
        assert_eq!(ScoredValues::from_table(&table).unwrap(), scored);
        assert_eq!(task(&table), Task::Values);
        let columns = ScoredColumns::of(&table).unwrap();
        assert_eq!((columns.predicted.value(0), columns.label.value(1)), ("0.30000000000000004", "-2"));
        assert!(columns.classes.is_empty());
        let alone = scored.predictions.to_table().unwrap();
        assert_eq!(
            (PredictedValues::from_table(&alone).unwrap(), task(&alone)),
            (scored.predictions.clone(), Task::Values)
        );
        assert!(ScoredValues { fold: vec![], ..scored }.to_table().is_err());
    }
}
