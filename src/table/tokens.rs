//! What does the part `tokens` hold? One row for each text: `row_id`, and its `tokens` as a list of strings.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, RecordBatch, StringArray, StringBuilder};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};

use super::TableError;
use super::columns::{MOST_BYTES, full, same_length};
use super::text::row_ids;

/// The table of some rows of tokens; there must be as many rows as row ids.
pub fn table<R, T>(row_ids: &StringArray, tokens: impl IntoIterator<Item = R>) -> Result<RecordBatch, TableError>
where
    R: IntoIterator<Item = T>,
    T: AsRef<str>,
{
    let mut values = StringBuilder::new();
    let (mut bytes, mut count) = (0, 0);
    let mut ends: Vec<i32> = Vec::with_capacity(row_ids.len() + 1);
    ends.push(0);
    for row in tokens {
        for token in row {
            bytes += token.as_ref().len();
            count += 1;
            if bytes > MOST_BYTES || count == i32::MAX {
                return Err(TableError::TooLarge { what: "tokens" });
            }
            values.append_value(token);
        }
        ends.push(count);
    }
    same_length("tokens", row_ids.len(), ends.len() - 1)?;
    let item = Arc::new(Field::new("item", DataType::Utf8, false));
    let lists = ListArray::try_new(item, OffsetBuffer::new(ends.into()), Arc::new(values.finish()), None)?;
    let columns: [(&str, ArrayRef, bool); 2] =
        [("row_id", Arc::new(row_ids.clone()), false), ("tokens", Arc::new(lists), false)];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// A table of tokens, read row by row.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'t> {
    row_ids: &'t StringArray,
    lists: &'t ListArray,
    values: &'t StringArray,
}

impl<'t> Tokens<'t> {
    /// The tokens of a table.
    pub fn of(table: &'t RecordBatch) -> Result<Self, TableError> {
        let lists: &ListArray = full(table, "tokens")?;
        let values =
            lists.values().as_any().downcast_ref::<StringArray>().ok_or(TableError::Column { name: "tokens" })?;
        if values.null_count() > 0 {
            return Err(TableError::Nulls { name: "tokens" });
        }
        Ok(Tokens { row_ids: row_ids(table)?, lists, values })
    }

    /// The row ids.
    pub fn row_ids(&self) -> &'t StringArray {
        self.row_ids
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The tokens of row `row`, in order; none past the last row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = &'t str> + use<'t> {
        let offsets = self.lists.value_offsets();
        let end = |at: usize| offsets.get(at).map_or(0, |&offset| offset as usize);
        let span = if row < self.len() { end(row)..end(row + 1) } else { 0..0 };
        let values = self.values;
        span.map(move |at| values.value(at))
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = &'t str> + use<'t>> {
        (0..self.len()).map(|row| self.row(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went() {
        let rows: [&[&str]; 4] = [&["to", "be", ""], &[], &["ör"], &[]];
        let table = table(&StringArray::from(vec!["a", "b", "c", "d"]), rows).unwrap();
        let tokens = Tokens::of(&table).unwrap();
        assert_eq!(tokens.rows().map(Iterator::collect::<Vec<_>>).collect::<Vec<_>>(), rows);
        assert_eq!((tokens.len(), tokens.row_ids().value(3)), (4, "d"));
        assert_eq!(tokens.row(4).count(), 0);
    }

    #[test]
    fn a_slice_keeps_its_own_rows() {
        let rows = [vec!["a", "b"], vec!["c"], vec!["d", "e"]];
        let table = table(&StringArray::from(vec!["1", "2", "3"]), &rows).unwrap().slice(1, 2);
        let tokens = Tokens::of(&table).unwrap();
        assert_eq!(tokens.rows().map(Iterator::collect::<Vec<_>>).collect::<Vec<_>>(), rows[1..]);
    }

    #[test]
    fn as_many_rows_as_row_ids() {
        let error = table(&StringArray::from(vec!["a"]), [["x"], ["y"]]).unwrap_err();
        assert!(matches!(error, TableError::Shape { what: "tokens", expected: 1, found: 2 }));
    }
}
