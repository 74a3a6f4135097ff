//! What is told of new rows? A prediction each, its score, and why there is none where there is none.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, ListArray, RecordBatch, StringArray};
use arrow::compute::nullif;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use super::{BundleError, Walked};
use crate::ml::Task;
use crate::table::TableError;
use crate::table::predictions::{SCORE, sets, task, values};

/// Which scores are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    /// That of the predicted class.
    OfPredicted,
    /// Those of all classes as well.
    All,
}

/// The answers to some rows: `row_id`, `predicted`, `score` (of the predicted class: a probability, or a decision value where
/// the model has none), `score:<class>` for each class if they are asked for, and `note` (why there is no prediction). Where
/// numbers or sets of classes are predicted, `predicted` is text, and `predicted_value` or `predicted_set` says the same.
pub fn table(walked: &Walked, scores: Scores) -> Result<RecordBatch, BundleError> {
    let said = walked.predictions()?;
    let none = BooleanArray::from_iter(walked.dropped.iter().map(|dropped| Some(dropped.is_some())));
    let column = |name: &'static str| said.column_by_name(name).ok_or(TableError::Column { name });
    let without = |column: &ArrayRef| nullif(column, &none).map_err(TableError::from);
    let predicted = without(column("predicted")?)?;
    let mut columns: Vec<(String, ArrayRef, bool)> = vec![
        ("row_id".to_owned(), Arc::new(StringArray::from_iter_values(&walked.row_id)), false),
        ("predicted".to_owned(), Arc::clone(&predicted), true),
    ];
    for name in [values::PREDICTED, sets::PREDICTED] {
        if let Some(column) = said.column_by_name(name) {
            columns.push((name.to_owned(), without(column)?, true));
        }
    }
    let of_class = |field: &str| field.strip_prefix(SCORE).map(str::to_owned);
    let by_class: Vec<(String, &ArrayRef)> = said
        .schema_ref()
        .fields()
        .iter()
        .zip(said.columns())
        .filter_map(|(field, column)| Some((of_class(field.name())?, column)))
        .collect();
    if task(&said) == Task::Classes {
        let winner = |row: usize| {
            let class = predicted.as_any().downcast_ref::<StringArray>().filter(|p| p.is_valid(row))?.value(row);
            let (_, scores) = by_class.iter().find(|(name, _)| name == class)?;
            Some(scores.as_any().downcast_ref::<Float64Array>()?.value(row))
        };
        let winners: Float64Array = (0..said.num_rows()).map(winner).collect();
        columns.push(("score".to_owned(), Arc::new(winners), true));
    }
    // Of a set of classes each has its own score.
    if scores == Scores::All || task(&said) == Task::Sets {
        for (class, column) in by_class {
            columns.push((format!("{SCORE}{class}"), without(column)?, true));
        }
    }
    let notes: StringArray = walked.dropped.iter().copied().collect();
    columns.push(("note".to_owned(), Arc::new(notes), true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns).map_err(TableError::from)?)
}

/// One JSON object a row; scores of classes are one object, and a note is there only where there is one.
pub fn jsonl(table: &RecordBatch) -> Vec<u8> {
    let mut lines = Vec::new();
    for row in 0..table.num_rows() {
        let (mut object, mut scores) = (Map::new(), Map::new());
        for (field, column) in table.schema_ref().fields().iter().zip(table.columns()) {
            let value = cell(column, row);
            match field.name().strip_prefix(SCORE) {
                Some(class) => drop(scores.insert(class.to_owned(), value)),
                None if field.name() == "note" && value.is_null() => {}
                None => drop(object.insert(field.name().clone(), value)),
            }
        }
        if !scores.is_empty() {
            object.insert("scores".to_owned(), Value::Object(scores));
        }
        lines.extend(Value::Object(object).to_string().into_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Comma-separated, after a header if `header` says so.
pub fn csv(table: &RecordBatch, header: Header) -> Result<Vec<u8>, BundleError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let failed = |error: ::csv::Error| BundleError::row("answers", error.to_string());
    if header == Header::First {
        writer.write_record(table.schema_ref().fields().iter().map(|field| field.name())).map_err(failed)?;
    }
    for row in 0..table.num_rows() {
        let cells = table.columns().iter().map(|column| match cell(column, row) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        });
        writer.write_record(cells).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| BundleError::row("answers", error.to_string()))
}

/// Whether a header comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// It does.
    First,
    /// It has come.
    Written,
}

/// A cell as JSON: a number with as many digits as it takes to read the same bits again.
fn cell(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    if let Some(numbers) = column.as_any().downcast_ref::<Float64Array>() {
        return Value::from(numbers.value(row));
    }
    if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
        return Value::from(texts.value(row));
    }
    if let Some(lists) = column.as_any().downcast_ref::<ListArray>() {
        let values = lists.value(row);
        return (0..values.len()).map(|at| cell(&*values, at)).collect();
    }
    let options = FormatOptions::default();
    let shown = ArrayFormatter::try_new(column, &options).ok().and_then(|f| f.value(row).try_to_string().ok());
    let shown = shown.unwrap_or_default();
    serde_json::from_str(&shown).unwrap_or(Value::String(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Part, Parts};
    use crate::table::predictions::Predictions;

    #[test]
    fn a_row_that_would_not_be_kept_has_no_prediction_and_says_why() {
        let said = Predictions {
            row_id: ["0", "1"].map(str::to_owned).to_vec(),
            classes: ["no", "yes"].map(str::to_owned).to_vec(),
            predicted: ["yes", "no"].map(str::to_owned).to_vec(),
            scores: vec![0.1, 0.9, 0.7, 1.0 - 0.7],
            probabilities: true,
        };
        let mut parts = Parts::default();
        parts.insert("predictions", Part::memory(said.to_table().unwrap()));
        let row_id = ["0", "1"].map(str::to_owned).to_vec();
        let walked = Walked { row_id, outputs: vec![parts], dropped: vec![None, Some("dropped_empty")] };
        let lines = |scores| String::from_utf8(jsonl(&table(&walked, scores).unwrap())).unwrap();
        assert_eq!(
            lines(Scores::OfPredicted),
            "{\"predicted\":\"yes\",\"row_id\":\"0\",\"score\":0.9}\n\
             {\"note\":\"dropped_empty\",\"predicted\":null,\"row_id\":\"1\",\"score\":null}\n"
        );
        assert!(lines(Scores::All).contains("\"scores\":{\"no\":0.1,\"yes\":0.9}"));
        let csv = csv(&table(&walked, Scores::All).unwrap(), Header::First).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "row_id,predicted,score,score:no,score:yes,note\n0,yes,0.9,0.1,0.9,\n1,,,,,dropped_empty\n"
        );
    }
}
