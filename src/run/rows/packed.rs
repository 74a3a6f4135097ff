//! How does what rows came to fit into one table, to be remembered, and come back?
//!
//! `block.00/values` is the column `values` of the part `block.00`; `#tokens` is the count `tokens`. Row ids are left out:
//! they are whoever's row it is this time. The schema's entry `fuseline` says what the parts said of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use serde::{Deserialize, Serialize};

use crate::stage::{Mapped, StageError};

const HEAD: &str = "fuseline";

#[derive(Serialize, Deserialize)]
struct Head {
    parts: Vec<HeadPart>,
    counts: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct HeadPart {
    name: String,
    columns: usize,
    metadata: BTreeMap<String, String>,
}

/// What rows came to, wherever from.
pub(super) struct Unpacked {
    pub(super) tables: Vec<(String, RecordBatch)>,
    pub(super) counts: Vec<(String, Vec<u64>)>,
}

/// One table of what `rows` rows came to.
pub(super) fn pack(mapped: &Mapped, rows: usize) -> Result<RecordBatch, StageError> {
    let mut head = Head { parts: Vec::new(), counts: Vec::new() };
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (part, table) in &mapped.tables {
        let schema = table.schema_ref();
        for (field, column) in schema.fields().iter().zip(table.columns()).skip(1) {
            fields.push(Arc::new(field.as_ref().clone().with_name(format!("{part}/{}", field.name()))));
            columns.push(Arc::clone(column));
        }
        let metadata = schema.metadata().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        head.parts.push(HeadPart { name: part.clone(), columns: schema.fields().len() - 1, metadata });
    }
    for (name, of_rows) in &mapped.counts {
        fields.push(Arc::new(Field::new(format!("#{name}"), DataType::UInt64, false)));
        columns.push(Arc::new(UInt64Array::from(of_rows.clone())));
        head.counts.push((*name).to_owned());
    }
    let head = serde_json::to_string(&head).map_err(StageError::caused)?;
    let schema = Schema::new(fields).with_metadata([(HEAD, head)]);
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows).map_err(StageError::caused)
}

/// The tables and counts of a packed table, for the rows with these ids.
pub(super) fn unpack(packed: &RecordBatch, ids: &StringArray) -> Result<Unpacked, StageError> {
    let said = packed.schema_ref().metadata().get(HEAD).map(String::as_str).unwrap_or_default();
    let head: Head = serde_json::from_str(said).map_err(StageError::caused)?;
    let mut columns = packed.schema_ref().fields().iter().zip(packed.columns());
    let mut tables = Vec::new();
    for HeadPart { name, columns: count, metadata } in head.parts {
        let prefix = format!("{name}/");
        let mut fields: Vec<FieldRef> = vec![Arc::new(Field::new("row_id", DataType::Utf8, false))];
        let mut taken: Vec<ArrayRef> = vec![Arc::new(ids.clone())];
        for (field, column) in columns.by_ref().take(count) {
            let own = field.name().strip_prefix(&prefix).ok_or_else(malformed)?;
            fields.push(Arc::new(field.as_ref().clone().with_name(own)));
            taken.push(Arc::clone(column));
        }
        let schema = Schema::new(fields).with_metadata(metadata);
        tables.push((name, RecordBatch::try_new(Arc::new(schema), taken).map_err(StageError::caused)?));
    }
    let mut counts = Vec::new();
    for name in head.counts {
        let column = columns.next().and_then(|(_, column)| column.as_any().downcast_ref::<UInt64Array>());
        counts.push((name, column.ok_or_else(malformed)?.values().to_vec()));
    }
    match counts.iter().all(|(_, of_rows)| of_rows.len() == ids.len()) {
        true => Ok(Unpacked { tables, counts }),
        false => Err(malformed()),
    }
}

impl Unpacked {
    /// What was just mapped.
    pub(super) fn fresh(mapped: Mapped) -> Self {
        let counts = mapped.counts.into_iter().map(|(name, of_rows)| (name.to_owned(), of_rows)).collect();
        Unpacked { tables: mapped.tables, counts }
    }
}

fn malformed() -> StageError {
    StageError::failed("remembered rows are not what they say they are; this is a bug in Fuseline")
        .help("`fuseline cache clear` forgets them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::{Block, Dense};
    use crate::table::features;

    #[test]
    fn what_rows_came_to_comes_back_with_other_ids() {
        let ids = StringArray::from(vec!["a", "b"]);
        let dense = Dense { rows: 2, cols: 2, values: vec![1.0, -0.0, 3.0, 4.0] };
        let block = features::to_table(&ids, "embed", &Block::Dense(dense)).unwrap();
        let mapped = Mapped::table("block.00", block.clone()).count("tokens", vec![7, 0]);
        let packed = pack(&mapped, 2).unwrap();
        let names: Vec<&str> = packed.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["block.00/values", "#tokens"]);
        let again = unpack(&packed, &ids).unwrap();
        assert_eq!(again.tables, [("block.00".to_owned(), block.clone())]);
        assert_eq!(again.counts, [("tokens".to_owned(), vec![7, 0])]);
        let others = unpack(&packed, &StringArray::from(vec!["x", "y"])).unwrap();
        assert_eq!(others.tables[0].1.schema(), block.schema());
        assert_eq!(others.tables[0].1.column(1), block.column(1));
        assert!(unpack(&packed, &StringArray::from(vec!["x"])).is_err());
    }
}
