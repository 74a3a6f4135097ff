//! What does the part `text` hold? One row for each text: `row_id`, `text`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::TableError;
use super::columns::{full, same_length, strings};

/// Texts with their row ids, one each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts {
    /// Which row.
    pub row_id: Vec<String>,
    /// Its text.
    pub text: Vec<String>,
}

impl Texts {
    /// The table.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        table(&self.row_id, &self.text)
    }
}

/// The table of some texts; row ids and texts must be equally many.
pub fn table<R: AsRef<str>, T: AsRef<str>>(
    row_id: impl IntoIterator<Item = R>,
    text: impl IntoIterator<Item = T>,
) -> Result<RecordBatch, TableError> {
    of_columns(strings("row_id", row_id.into_iter().map(Some))?, strings("text", text.into_iter().map(Some))?)
}

/// The table of these two columns, equally long.
pub fn of_columns(row_ids: StringArray, texts: StringArray) -> Result<RecordBatch, TableError> {
    same_length("text", arrow::array::Array::len(&row_ids), arrow::array::Array::len(&texts))?;
    let columns: [(&str, ArrayRef, bool); 2] = [("row_id", Arc::new(row_ids), false), ("text", Arc::new(texts), false)];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The row ids of any row-level table.
pub fn row_ids(table: &RecordBatch) -> Result<&StringArray, TableError> {
    full(table, "row_id")
}

/// The texts.
pub fn texts(table: &RecordBatch) -> Result<&StringArray, TableError> {
    full(table, "text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_again() {
        let of = Texts { row_id: vec!["a".into(), "b".into()], text: vec!["über\0".into(), String::new()] };
        let table = of.to_table().unwrap();
        assert_eq!(row_ids(&table).unwrap(), &StringArray::from(vec!["a", "b"]));
        assert_eq!(texts(&table).unwrap(), &StringArray::from(vec!["über\0", ""]));
    }

    #[test]
    fn wrong_tables_are_errors() {
        assert!(matches!(
            table(["a"], ["x", "y"]).unwrap_err(),
            TableError::Shape { what: "text", expected: 1, found: 2 }
        ));
        let holes: ArrayRef = Arc::new(StringArray::from(vec![None, Some("x")]));
        let table = RecordBatch::try_from_iter([("text", holes)]).unwrap();
        assert!(matches!(texts(&table).unwrap_err(), TableError::Nulls { name: "text" }));
        assert!(matches!(row_ids(&table).unwrap_err(), TableError::Column { name: "row_id" }));
    }
}
