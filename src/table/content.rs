//! What is the identity of a row? A digest of what stands in it, whatever its name and place.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type, ToByteSlice, UInt32Type, UInt64Type};

use super::TableError;

/// The first 16 bytes of the BLAKE3 digest of a row's content.
pub type RowKey = [u8; 16];

/// The key of every row of tables that have the same rows: what stands in all columns except `row_id`. `head` says what the
/// rows depend on besides.
pub fn row_keys(head: &[u8], tables: &[(&str, &RecordBatch)]) -> Result<Vec<RowKey>, TableError> {
    let rows = tables.first().map_or(0, |(_, table)| table.num_rows());
    let mut columns: Vec<(Vec<u8>, &ArrayRef)> = Vec::new();
    for (part, table) in tables {
        super::columns::same_length("rows", rows, table.num_rows())?;
        for (field, column) in table.schema_ref().fields().iter().zip(table.columns()) {
            if field.name() != "row_id" {
                known(column.data_type())?;
                let kind = field.data_type().to_string();
                let said: Vec<u8> =
                    [part, field.name().as_str(), kind.as_str()].iter().flat_map(|s| framed(s)).collect();
                columns.push((said, column));
            }
        }
    }
    let key = |row: usize| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(head);
        for (said, column) in &columns {
            hasher.update(said);
            update(&mut hasher, column, row);
        }
        let mut key = RowKey::default();
        hasher.finalize_xof().fill(&mut key);
        key
    };
    Ok((0..rows).map(key).collect())
}

/// A text with its length, so that no two sequences of texts look alike.
fn framed(text: &str) -> impl Iterator<Item = u8> + '_ {
    (text.len() as u64).to_le_bytes().into_iter().chain(text.bytes())
}

/// An error for a type that [`update`] does not know.
fn known(kind: &DataType) -> Result<(), TableError> {
    match kind {
        DataType::Utf8
        | DataType::Boolean
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64 => Ok(()),
        DataType::List(item) | DataType::FixedSizeList(item, _) => known(item.data_type()),
        other => Err(TableError::Content { kind: other.to_string() }),
    }
}

fn update(hasher: &mut blake3::Hasher, column: &ArrayRef, row: usize) {
    if column.is_null(row) {
        hasher.update(&[0]);
        return;
    }
    hasher.update(&[1]);
    if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
        let text = texts.value(row);
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    } else if let Some(lists) = column.as_any().downcast_ref::<ListArray>() {
        items(hasher, &lists.value(row));
    } else if let Some(lists) = column.as_any().downcast_ref::<FixedSizeListArray>() {
        items(hasher, &lists.value(row));
    } else if let Some(flags) = column.as_boolean_opt() {
        hasher.update(&[u8::from(flags.value(row))]);
    } else {
        number::<UInt32Type>(hasher, column, row);
        number::<UInt64Type>(hasher, column, row);
        number::<Int32Type>(hasher, column, row);
        number::<Int64Type>(hasher, column, row);
        number::<Float32Type>(hasher, column, row);
        number::<Float64Type>(hasher, column, row);
    }
}

fn items(hasher: &mut blake3::Hasher, items: &ArrayRef) {
    hasher.update(&(items.len() as u64).to_le_bytes());
    (0..items.len()).for_each(|at| update(hasher, items, at));
}

fn number<T: ArrowPrimitiveType>(hasher: &mut blake3::Hasher, column: &ArrayRef, row: usize) {
    if let Some(numbers) = column.as_primitive_opt::<T>() {
        hasher.update(numbers.value(row).to_byte_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{text, tokens};

    #[test]
    fn rows_are_known_by_what_stands_in_them() {
        let first = text::table(["1", "2", "3"], ["a", "b", "a"]).unwrap();
        let keys = row_keys(b"", &[("text", &first)]).unwrap();
        assert!(keys[0] == keys[2] && keys[0] != keys[1]);
        let shuffled = text::table(["x", "y"], ["b", "a"]).unwrap();
        assert_eq!(row_keys(b"", &[("text", &shuffled)]).unwrap(), [keys[1], keys[0]]);
        assert_eq!(row_keys(b"", &[("text", &first.slice(1, 2))]).unwrap(), keys[1..]);
        assert_ne!(row_keys(b"other", &[("text", &first)]).unwrap()[0], keys[0]);
        assert_ne!(row_keys(b"", &[("other", &first)]).unwrap()[0], keys[0]);
    }

    #[test]
    fn where_one_item_ends_and_the_next_begins_counts() {
        let lists: [&[&str]; 4] = [&["ab", "c"], &["a", "bc"], &["abc"], &["ab", "c", ""]];
        let table = tokens::table(&StringArray::from(vec!["1", "2", "3", "4"]), lists).unwrap();
        let mut keys = row_keys(b"", &[("tokens", &table)]).unwrap();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 4);
    }

    #[test]
    fn a_column_of_another_kind_is_refused() {
        let column: ArrayRef = std::sync::Arc::new(arrow::array::LargeStringArray::from(vec!["a"]));
        let table = RecordBatch::try_from_iter([("text", column)]).unwrap();
        assert!(matches!(row_keys(b"", &[("text", &table)]), Err(TableError::Content { .. })));
    }
}
