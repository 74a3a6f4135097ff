//! What does a part `block.NN` hold? One group of feature columns: `row_id`, and its rows in sparse or dense form.
//!
//! Dense: `values: FixedSizeList<Float32>[width]` (left out at width 0). Sparse: `indices: List<UInt32>`, `values:
//! List<Float32>`. The schema's one metadata entry, `fuseline`, says name, width and form.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, RecordBatchOptions, StringArray,
    UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use serde::{Deserialize, Serialize};

use super::TableError;
use super::columns::{full, same_length, strings};
use super::text::row_ids;
use crate::ml::{Block, Csr, Dense};

/// The metadata entry under which a table says what it holds.
pub(super) const HEAD: &str = "fuseline";

#[derive(Serialize, Deserialize)]
struct Head {
    name: String,
    width: usize,
    form: Form,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Sparse,
    Dense,
}

/// The part that holds block `index`: `block.00`.
pub fn block_part(index: usize) -> String {
    format!("block.{index:02}")
}

/// The part that names the columns of block `index`: `names.00`.
pub fn names_part(index: usize) -> String {
    format!("names.{index:02}")
}

/// The table of a block called `name`; the block must have as many rows as there are row ids.
pub fn to_table(row_ids: &StringArray, name: &str, block: &Block) -> Result<RecordBatch, TableError> {
    into_table(row_ids, name, block.clone())
}

/// The same of a block that nobody needs any longer: its numbers become the table's.
pub fn into_table(row_ids: &StringArray, name: &str, block: Block) -> Result<RecordBatch, TableError> {
    same_length("features", row_ids.len(), block.rows())?;
    let mut columns: Vec<(FieldRef, ArrayRef)> =
        vec![(Arc::new(Field::new("row_id", DataType::Utf8, false)), Arc::new(row_ids.clone()))];
    let width = block.cols();
    let form = match block {
        Block::Dense(dense) => {
            columns.extend(dense_column(dense)?);
            Form::Dense
        }
        Block::Sparse(sparse) => {
            columns.extend(sparse_columns(sparse)?);
            Form::Sparse
        }
    };
    let head = Head { name: name.to_owned(), width, form };
    let head = serde_json::to_string(&head).map_err(|error| TableError::Head { why: error.to_string() })?;
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let schema = Schema::new(fields).with_metadata([(HEAD, head)]);
    let rows = RecordBatchOptions::new().with_row_count(Some(row_ids.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows)?)
}

/// The name and the block of a table.
pub fn from_table(table: &RecordBatch) -> Result<(String, Block), TableError> {
    let said = table.schema_ref().metadata().get(HEAD).map(String::as_str).unwrap_or_default();
    let head: Head = serde_json::from_str(said).map_err(|error| TableError::Head { why: error.to_string() })?;
    row_ids(table)?;
    let block = match head.form {
        Form::Dense => Block::Dense(dense_of(table, head.width)?),
        Form::Sparse => Block::Sparse(sparse_of(table, head.width)?),
    };
    Ok((head.name, block))
}

/// The table of a part `names.NN`: `index`, `name`.
pub fn names_table<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<RecordBatch, TableError> {
    let names = strings("name", names.into_iter().map(Some))?;
    let count = u32::try_from(names.len()).map_err(|_| TableError::TooLarge { what: "name" })?;
    let index = UInt32Array::from_iter_values(0..count);
    let columns: [(&str, ArrayRef, bool); 2] = [("index", Arc::new(index), false), ("name", Arc::new(names), false)];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The names of a part `names.NN`, in the order of the block's columns.
pub fn names(table: &RecordBatch) -> Result<&StringArray, TableError> {
    full(table, "name")
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, false))
}

fn dense_column(dense: Dense) -> Result<Option<(FieldRef, ArrayRef)>, TableError> {
    let too_large = TableError::TooLarge { what: "values" };
    let Some(expected) = dense.rows.checked_mul(dense.cols) else { return Err(too_large) };
    same_length("values", expected, dense.values.len())?;
    let Ok(width) = i32::try_from(dense.cols) else { return Err(too_large) };
    if width == 0 {
        return Ok(None);
    }
    let values = Arc::new(Float32Array::from(dense.values));
    let lists = FixedSizeListArray::try_new(item(DataType::Float32), width, values, None)?;
    let field = Field::new("values", lists.data_type().clone(), false);
    Ok(Some((Arc::new(field), Arc::new(lists))))
}

fn dense_of(table: &RecordBatch, width: usize) -> Result<Dense, TableError> {
    let rows = table.num_rows();
    if width == 0 {
        return Ok(Dense { rows, cols: 0, values: Vec::new() });
    }
    let lists: &FixedSizeListArray = full(table, "values")?;
    same_length("values", width, lists.value_length().max(0) as usize)?;
    let values: &Float32Array = items(lists.values(), "values")?;
    let span = values.values().get(..rows * width);
    let values =
        span.ok_or(TableError::Shape { what: "values", expected: rows * width, found: values.len() })?.to_vec();
    Ok(Dense { rows, cols: width, values })
}

fn sparse_columns(sparse: Csr) -> Result<[(FieldRef, ArrayRef); 2], TableError> {
    check(&sparse)?;
    let mut offsets = Vec::with_capacity(sparse.indptr.len().max(1));
    for &end in &sparse.indptr {
        offsets.push(i32::try_from(end).map_err(|_| TableError::TooLarge { what: "indices" })?);
    }
    if offsets.is_empty() {
        offsets.push(0);
    }
    let offsets = OffsetBuffer::new(offsets.into());
    let indices = Arc::new(UInt32Array::from(sparse.indices));
    let indices = ListArray::try_new(item(DataType::UInt32), offsets.clone(), indices, None)?;
    let values = Arc::new(Float32Array::from(sparse.values));
    let values = ListArray::try_new(item(DataType::Float32), offsets, values, None)?;
    let field = |name: &str, list: &ListArray| Arc::new(Field::new(name, list.data_type().clone(), false));
    Ok([
        (field("indices", &indices), Arc::new(indices) as ArrayRef),
        (field("values", &values), Arc::new(values) as ArrayRef),
    ])
}

fn sparse_of(table: &RecordBatch, width: usize) -> Result<Csr, TableError> {
    let indices: &ListArray = full(table, "indices")?;
    let values: &ListArray = full(table, "values")?;
    let indptr = offsets_from_zero(indices);
    if indptr != offsets_from_zero(values) {
        let row = indptr.iter().zip(offsets_from_zero(values)).take_while(|(a, b)| **a == *b).count();
        return Err(TableError::Sparse { row: row.saturating_sub(1), why: "indices and values are not equally many" });
    }
    let span = |list: &ListArray| {
        let offsets = list.value_offsets();
        offsets.first().map_or(0, |&at| at as usize)..offsets.last().map_or(0, |&at| at as usize)
    };
    let sparse = Csr {
        cols: width,
        indptr,
        indices: items::<UInt32Array>(indices.values(), "indices")?.values()[span(indices)].to_vec(),
        values: items::<Float32Array>(values.values(), "values")?.values()[span(values)].to_vec(),
    };
    check(&sparse)?;
    Ok(sparse)
}

/// The items of lists: of one type, none empty.
fn items<'t, T: Array + 'static>(values: &'t ArrayRef, name: &'static str) -> Result<&'t T, TableError> {
    let items = values.as_any().downcast_ref::<T>().ok_or(TableError::Column { name })?;
    if items.null_count() > 0 { Err(TableError::Nulls { name }) } else { Ok(items) }
}

fn offsets_from_zero(list: &ListArray) -> Vec<usize> {
    let offsets = list.value_offsets();
    let first = offsets.first().copied().unwrap_or_default();
    offsets.iter().map(|&offset| (offset - first) as usize).collect()
}

/// Holds sparse rows to what [`Csr`] promises.
fn check(sparse: &Csr) -> Result<(), TableError> {
    let wrong = |row, why| Err(TableError::Sparse { row, why });
    same_length("values", sparse.indices.len(), sparse.values.len())?;
    same_length("indices", sparse.indptr.last().copied().unwrap_or(0), sparse.indices.len())?;
    if sparse.indptr.first().is_some_and(|&first| first != 0) {
        return wrong(0, "offsets do not start at 0");
    }
    for (row, span) in sparse.indptr.windows(2).enumerate() {
        let Some(indices) = sparse.indices.get(span[0]..span[1]) else { return wrong(row, "offsets do not ascend") };
        if indices.windows(2).any(|pair| pair[0] >= pair[1]) {
            return wrong(row, "indices do not ascend");
        }
        if indices.last().is_some_and(|&last| last as usize >= sparse.cols) {
            return wrong(row, "an index is past the width");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{from_parquet, to_parquet};

    fn ids(rows: usize) -> StringArray {
        (0..rows).map(|row| Some(format!("r{row}"))).collect()
    }

    fn sparse() -> Csr {
        Csr { cols: 5, indptr: vec![0, 2, 2, 3], indices: vec![0, 4, 2], values: vec![1.0, -0.0, 0.5] }
    }

    #[test]
    fn a_slice_keeps_its_own_rows() {
        let table = to_table(&ids(3), "tfidf", &Block::Sparse(sparse())).unwrap().slice(1, 2);
        let rest = Csr { cols: 5, indptr: vec![0, 0, 1], indices: vec![2], values: vec![0.5] };
        assert_eq!(from_table(&table).unwrap(), ("tfidf".to_owned(), Block::Sparse(rest)));
        let dense = Dense { rows: 3, cols: 2, values: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
        let table = to_table(&ids(3), "v", &Block::Dense(dense)).unwrap().slice(1, 1);
        let rest = Dense { rows: 1, cols: 2, values: vec![2.0, 3.0] };
        assert_eq!(from_table(&table).unwrap().1, Block::Dense(rest));
    }

    #[test]
    fn a_filtered_table_says_what_it_holds() {
        let table = to_table(&ids(3), "tfidf", &Block::Sparse(sparse())).unwrap();
        let table = arrow::compute::filter_record_batch(&table, &vec![true, false, true].into()).unwrap();
        let left = Csr { cols: 5, indptr: vec![0, 2, 3], indices: vec![0, 4, 2], values: vec![1.0, -0.0, 0.5] };
        assert_eq!(from_table(&table).unwrap().1, Block::Sparse(left));
    }

    #[test]
    fn nothing_is_a_block_too() {
        let blocks = [
            Block::Dense(Dense { rows: 2, cols: 0, values: Vec::new() }),
            Block::Dense(Dense { rows: 0, cols: 3, values: Vec::new() }),
            Block::Dense(Dense { rows: 0, cols: 0, values: Vec::new() }),
            Block::Sparse(Csr { cols: 0, indptr: vec![0, 0, 0], ..Csr::default() }),
            Block::Sparse(Csr { cols: 9, indptr: vec![0], ..Csr::default() }),
        ];
        for block in blocks {
            let table = to_table(&ids(block.rows()), "a \"b\"", &block).unwrap();
            let again = from_parquet(to_parquet(&table).unwrap()).unwrap();
            assert_eq!(again, table);
            assert_eq!(from_table(&again).unwrap(), ("a \"b\"".to_owned(), block));
        }
    }

    #[test]
    fn malformed_rows_are_refused() {
        let refused = |sparse: Csr| to_table(&ids(sparse.rows()), "x", &Block::Sparse(sparse)).unwrap_err().to_string();
        let malformed = |row, why: &str| format!("sparse features are malformed at row {row}: {why}");
        assert_eq!(refused(Csr { indices: vec![4, 0, 2], ..sparse() }), malformed(0, "indices do not ascend"));
        assert_eq!(refused(Csr { indices: vec![0, 4, 5], ..sparse() }), malformed(2, "an index is past the width"));
        assert_eq!(refused(Csr { indptr: vec![0, 2, 1, 3], ..sparse() }), malformed(1, "offsets do not ascend"));
        assert_eq!(refused(Csr { indptr: vec![1, 2, 2, 3], ..sparse() }), malformed(0, "offsets do not start at 0"));
        let short = Csr { values: vec![1.0], ..sparse() };
        assert_eq!(refused(short), "`values` has 1 values where 3 are wanted");
        let dense = Block::Dense(Dense { rows: 1, cols: 2, values: vec![1.0] });
        assert!(to_table(&ids(1), "x", &dense).is_err());
        assert!(to_table(&ids(2), "x", &Block::Sparse(sparse())).is_err());
    }

    #[test]
    fn a_table_without_its_head_is_refused() {
        let table = names_table(["a", "b"]).unwrap();
        assert!(matches!(from_table(&table).unwrap_err(), TableError::Head { .. }));
        assert_eq!(names(&table).unwrap(), &StringArray::from(vec!["a", "b"]));
        assert_eq!((block_part(3), names_part(12)), ("block.03".to_owned(), "names.12".to_owned()));
    }
}
