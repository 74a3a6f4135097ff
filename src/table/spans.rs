//! What does the part `spans` hold? For each text its tokens, and the stretches of them that are marked: `row_id`, `tokens`, `spans`.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};

use super::TableError;
use super::columns::{same_length, strings};

/// A stretch of tokens with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its first token.
    pub start: u32,
    /// The token after its last.
    pub end: u32,
    /// What it is.
    pub label: String,
}

/// Tokens and spans of each row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    /// Which row.
    pub row_id: Vec<String>,
    /// Its tokens.
    pub tokens: Vec<Vec<String>>,
    /// Its spans, in order.
    pub spans: Vec<Vec<Span>>,
}

impl Spans {
    /// The table.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let rows = self.row_id.len();
        same_length("tokens", rows, self.tokens.len())?;
        same_length("spans", rows, self.spans.len())?;
        let tokens = list(
            self.tokens.iter().map(Vec::len),
            Arc::new(strings("tokens", self.tokens.iter().flatten().map(Some))?),
        )?;
        let flat = || self.spans.iter().flatten();
        let fields = Fields::from(vec![
            Field::new("start", DataType::UInt32, false),
            Field::new("end", DataType::UInt32, false),
            Field::new("label", DataType::Utf8, false),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(flat().map(|span| span.start))),
            Arc::new(UInt32Array::from_iter_values(flat().map(|span| span.end))),
            Arc::new(strings("spans", flat().map(|span| Some(&span.label)))?),
        ];
        let spans = list(self.spans.iter().map(Vec::len), Arc::new(StructArray::try_new(fields, columns, None)?))?;
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("row_id", Arc::new(strings("row_id", self.row_id.iter().map(Some))?), false),
            ("tokens", Arc::new(tokens), false),
            ("spans", Arc::new(spans), false),
        ];
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }
}

fn list(lengths: impl IntoIterator<Item = usize>, values: ArrayRef) -> Result<ListArray, TableError> {
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    Ok(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, None)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn tokens_and_spans_stand_by_their_row() {
        let spans = Spans {
            row_id: vec!["a".to_owned(), "b".to_owned()],
            tokens: vec![vec!["New".to_owned(), "York".to_owned()], Vec::new()],
            spans: vec![vec![Span { start: 0, end: 2, label: "LOC".to_owned() }], Vec::new()],
        };
        let table = spans.to_table().unwrap();
        assert_eq!(table.num_rows(), 2);
        let column = table.column_by_name("tokens").unwrap().as_any().downcast_ref::<ListArray>().unwrap();
        let first = column.value(0);
        assert_eq!(first.as_any().downcast_ref::<StringArray>().unwrap().value(1), "York");
        let short = Spans { tokens: Vec::new(), ..spans };
        assert!(matches!(short.to_table().unwrap_err(), TableError::Shape { .. }));
    }
}
