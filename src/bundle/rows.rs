//! What does a new row have? An id, a text, and the further columns that stages read, typed as those they learned from.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BundleColumn, BundleError};
use crate::stage::{Part, Parts};
use crate::table::text;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// `true` and `false`.
    Boolean,
}

impl Kind {
    /// What a kept column of this type holds.
    pub fn of(kind: &DataType) -> Kind {
        match kind {
            DataType::Int64 => Kind::Integer,
            DataType::Float64 => Kind::Number,
            DataType::Boolean => Kind::Boolean,
            _ => Kind::Text,
        }
    }

    /// For a person.
    fn noun(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Integer => "a whole number",
            Kind::Number => "a number",
            Kind::Boolean => "`true` or `false`",
        }
    }
}

/// A new row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name in the answers.
    pub id: String,
    /// Its text.
    pub text: String,
    /// A cell for each column of the bundle; `None` where there is nothing.
    pub cells: Vec<Option<String>>,
}

/// The parts of some rows, as the stage that brings rows in would give them.
pub(super) fn parts(rows: &[Row], columns: &[BundleColumn]) -> Result<Parts, BundleError> {
    let ids = || rows.iter().map(|row| row.id.as_str());
    let mut parts = Parts::default();
    parts.insert("text", Part::memory(text::table(ids(), rows.iter().map(|row| row.text.as_str()))?));
    if columns.is_empty() {
        return Ok(parts);
    }
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(ids()));
    let mut table: Vec<(&str, ArrayRef, bool)> = vec![("row_id", ids, false)];
    for (at, column) in columns.iter().enumerate() {
        table.push((&column.name, typed(rows, at, column)?, true));
    }
    let table = RecordBatch::try_from_iter_with_nullable(table).map_err(crate::table::TableError::from)?;
    parts.insert("columns", Part::memory(table));
    Ok(parts)
}

/// A column's cells as its type has them. An empty cell is no number and no truth value, as in `ingest`.
fn typed(rows: &[Row], at: usize, column: &BundleColumn) -> Result<ArrayRef, BundleError> {
    let cells = || rows.iter().map(move |row| row.cells.get(at).and_then(Option::as_deref));
    let wrong = |row: &Row, cell: &str| {
        let why = format!("the column `{}` holds `{cell}`, and {} is wanted", column.name, column.kind.noun());
        BundleError::row(format!("row `{}`", row.id), why)
    };
    macro_rules! column {
        ($array:ty, $parse:expr) => {{
            let one = |(row, cell): (&Row, Option<&str>)| match cell {
                None | Some("") => Ok(None),
                Some(cell) => $parse(cell).map(Some).ok_or_else(|| wrong(row, cell)),
            };
            Arc::new(rows.iter().zip(cells()).map(one).collect::<Result<$array, BundleError>>()?) as ArrayRef
        }};
    }
    Ok(match column.kind {
        Kind::Text => Arc::new(cells().collect::<StringArray>()),
        Kind::Integer => column!(Int64Array, |cell: &str| cell.parse::<i64>().ok()),
        Kind::Number => {
            column!(Float64Array, |cell: &str| cell.parse::<f64>().ok().filter(|number| number.is_finite()))
        }
        Kind::Boolean => column!(BooleanArray, |cell: &str| match cell {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, cell: Option<&str>) -> Row {
        Row { id: id.to_owned(), text: "t".to_owned(), cells: vec![cell.map(str::to_owned)] }
    }

    #[test]
    fn cells_get_their_column_s_type_and_a_wrong_one_is_named() {
        let column = |kind| [BundleColumn { name: "age".to_owned(), kind }];
        let rows = [row("a", Some("7")), row("b", None), row("c", Some(""))];
        let table = |kind| parts(&rows, &column(kind)).unwrap().table("columns").unwrap();
        assert_eq!(**table(Kind::Integer).column(1), Int64Array::from(vec![Some(7), None, None]) as Int64Array);
        assert_eq!(**table(Kind::Number).column(1), Float64Array::from(vec![Some(7.0), None, None]) as Float64Array);
        assert_eq!(**table(Kind::Text).column(1), StringArray::from(vec![Some("7"), None, Some("")]) as StringArray);
        let error = parts(&rows, &column(Kind::Boolean)).unwrap_err();
        assert_eq!(error.to_string(), "row `a`: the column `age` holds `7`, and `true` or `false` is wanted");
        assert!(parts(&[row("d", Some("inf"))], &column(Kind::Number)).is_err());
    }
}
