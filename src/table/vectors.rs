//! What does the part `vectors` hold? One row for each text: `row_id`, and in `vectors` a vector for each of its tokens, in order.
//!
//! `vectors: List<FixedSizeList<Float32>[width]>`. The schema's one metadata entry, `fuseline`, says name and width.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::TableError;
use super::columns::{full, same_length};
use super::features::HEAD;
use super::text::row_ids;
use crate::ml::Dense;

/// The part's name.
pub const PART: &str = "vectors";

#[derive(Serialize, Deserialize)]
struct Head {
    name: String,
    width: usize,
}

/// The table of vectors called `name`: `lengths` says how many each row has, and `vectors` are all of them, row after row.
pub fn table(
    row_ids: &StringArray,
    name: &str,
    lengths: impl IntoIterator<Item = usize>,
    vectors: Dense,
) -> Result<RecordBatch, TableError> {
    let too_large = || TableError::TooLarge { what: PART };
    let mut ends: Vec<i32> = Vec::with_capacity(row_ids.len() + 1);
    ends.push(0);
    let mut end = 0usize;
    for length in lengths {
        end = end.checked_add(length).ok_or_else(too_large)?;
        ends.push(i32::try_from(end).map_err(|_| too_large())?);
    }
    same_length(PART, row_ids.len(), ends.len() - 1)?;
    same_length(PART, end, vectors.rows)?;
    let expected = vectors.rows.checked_mul(vectors.cols).ok_or_else(too_large)?;
    same_length(PART, expected, vectors.values.len())?;
    let width = i32::try_from(vectors.cols).map_err(|_| too_large())?;
    if width == 0 {
        return Err(TableError::Head { why: "vectors have no width".to_owned() });
    }
    let head = Head { name: name.to_owned(), width: vectors.cols };
    let head = serde_json::to_string(&head).map_err(|error| TableError::Head { why: error.to_string() })?;
    let item = |kind: DataType| Arc::new(Field::new("item", kind, false));
    let values = Arc::new(Float32Array::from(vectors.values));
    let vectors = FixedSizeListArray::try_new(item(DataType::Float32), width, values, None)?;
    let kind = vectors.data_type().clone();
    let lists = ListArray::try_new(item(kind), OffsetBuffer::new(ends.into()), Arc::new(vectors), None)?;
    let fields = vec![Field::new("row_id", DataType::Utf8, false), Field::new(PART, lists.data_type().clone(), false)];
    let schema = Schema::new(fields).with_metadata([(HEAD, head)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(row_ids.clone()), Arc::new(lists)];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// A table of vectors, read row by row.
#[derive(Debug, Clone)]
pub struct Vectors<'t> {
    /// What the vectors are called.
    pub name: String,
    /// How many numbers each has.
    pub width: usize,
    row_ids: &'t StringArray,
    lists: &'t ListArray,
    values: &'t [f32],
}

impl<'t> Vectors<'t> {
    /// The vectors of a table.
    pub fn of(table: &'t RecordBatch) -> Result<Self, TableError> {
        let said = table.schema_ref().metadata().get(HEAD).map(String::as_str).unwrap_or_default();
        let head: Head = serde_json::from_str(said).map_err(|error| TableError::Head { why: error.to_string() })?;
        let lists: &ListArray = full(table, PART)?;
        let wrong = TableError::Column { name: PART };
        let Some(vectors) = lists.values().as_any().downcast_ref::<FixedSizeListArray>() else { return Err(wrong) };
        let Some(numbers) = vectors.values().as_any().downcast_ref::<Float32Array>() else { return Err(wrong) };
        same_length(PART, head.width, vectors.value_length().max(0) as usize)?;
        if vectors.null_count() > 0 || numbers.null_count() > 0 {
            return Err(TableError::Nulls { name: PART });
        }
        let Head { name, width } = head;
        Ok(Vectors { name, width, row_ids: row_ids(table)?, lists, values: numbers.values() })
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

    /// The vectors of row `row`, in order; none past the last row.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = &'t [f32]> + use<'t> {
        let span = self.span(row);
        let numbers = self.values.get(span.start * self.width..span.end * self.width).unwrap_or_default();
        numbers.chunks_exact(self.width.max(1))
    }

    fn span(&self, row: usize) -> Range<usize> {
        let offsets = self.lists.value_offsets();
        match offsets.get(row..row + 2) {
            Some(&[begin, end]) => begin as usize..end as usize,
            _ => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{from_parquet, to_parquet};

    fn some() -> RecordBatch {
        let vectors = Dense { rows: 3, cols: 2, values: vec![1.0, -0.0, 3.0, f32::MIN_POSITIVE, 5.0, 6.0] };
        table(&StringArray::from(vec!["a", "b", "c"]), "embed", [1, 0, 2], vectors).unwrap()
    }

    fn rows(table: &RecordBatch) -> Vec<Vec<&[f32]>> {
        let vectors = Vectors::of(table).unwrap();
        (0..vectors.len()).map(|row| vectors.row(row).collect()).collect()
    }

    #[test]
    fn rows_come_back_as_they_went_and_from_parquet() {
        let wanted: [&[&[f32]]; 3] = [&[&[1.0, -0.0]], &[], &[&[3.0, f32::MIN_POSITIVE], &[5.0, 6.0]]];
        assert_eq!(rows(&some()), wanted);
        let again = from_parquet(to_parquet(&some()).unwrap()).unwrap();
        assert_eq!(again, some());
        let vectors = Vectors::of(&again).unwrap();
        assert_eq!((vectors.name.as_str(), vectors.width, vectors.row_ids().value(2)), ("embed", 2, "c"));
        assert_eq!(vectors.row(3).len(), 0);
    }

    #[test]
    fn a_slice_keeps_its_own_rows_and_none_is_a_table_too() {
        assert_eq!(rows(&some().slice(1, 2)), rows(&some())[1..]);
        let none = Dense { rows: 0, cols: 2, values: Vec::new() };
        let none = table(&StringArray::from(Vec::<&str>::new()), "embed", [], none).unwrap();
        assert_eq!(none.schema(), some().schema());
        assert_eq!(from_parquet(to_parquet(&none).unwrap()).unwrap(), none);
        assert!(Vectors::of(&none).unwrap().is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let of = |rows: usize, cols: usize, lengths: &[usize]| {
            let vectors = Dense { rows, cols, values: vec![0.0; rows * cols] };
            table(&StringArray::from(vec!["a"]), "embed", lengths.iter().copied(), vectors).unwrap_err().to_string()
        };
        assert_eq!(of(2, 3, &[1]), "`vectors` has 2 values where 1 are wanted");
        assert_eq!(of(2, 3, &[1, 1]), "`vectors` has 2 values where 1 are wanted");
        assert_eq!(of(0, 0, &[0]), "a table does not say what it holds: vectors have no width");
        let other = crate::table::text::table(["a"], ["b"]).unwrap();
        assert!(matches!(Vectors::of(&other).unwrap_err(), TableError::Head { .. }));
    }
}
