//! What is in one file of remembered rows?

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::SpaceKind;
use crate::store::StoreError;
use crate::store::stream::{TableWriter, Written};
use crate::table::{Digest, Groups, Packing, RowKey, TableError};

/// The column of keys.
const KEY: &str = "key";
const KEY_BYTES: i32 = size_of::<RowKey>() as i32;

/// Rows that are decoded together.
const GROUP_ROWS: usize = 8 * 1024;

/// A segment that has been held against its digest, open for reading whatever becomes of its name.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    groups: Groups,
    /// The first row of each group, and the number of all rows.
    starts: Vec<u32>,
    payload: SchemaRef,
}

impl Segment {
    /// A segment that has been verified.
    pub(super) fn open(file: File, digest: Digest) -> Result<Self, TableError> {
        let bytes = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        let groups = Groups::new(file)?;
        let malformed = |why: &str| TableError::Malformed { why: why.to_owned() };
        let mut starts = vec![0];
        for rows in groups.rows() {
            let end = u64::from(starts.last().copied().unwrap_or_default()) + rows;
            starts.push(u32::try_from(end).map_err(|_| malformed("a segment has too many rows"))?);
        }
        let schema = groups.schema();
        match schema.fields().first() {
            Some(field) if field.name() == KEY && *field.data_type() == DataType::FixedSizeBinary(KEY_BYTES) => {}
            _ => return Err(malformed("a segment has no keys")),
        }
        let fields: Vec<FieldRef> = schema.fields().iter().skip(1).cloned().collect();
        let payload = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Segment { digest, bytes, groups, starts, payload })
    }

    /// The columns that a row came to.
    pub(super) fn payload(&self) -> &SchemaRef {
        &self.payload
    }

    /// The keys of all rows, in order.
    pub(super) fn keys(&self) -> Result<Vec<RowKey>, TableError> {
        let mut keys = Vec::with_capacity(self.starts.last().copied().unwrap_or_default() as usize);
        for batch in self.groups.first_column()? {
            keys.extend(keys_of(batch.column(0))?);
        }
        Ok(keys)
    }

    /// How many groups it has.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The group that holds `row`, and the row's place in it.
    pub(super) fn place(&self, row: u32) -> (usize, u32) {
        let group = self.starts.partition_point(|&start| start <= row).saturating_sub(1);
        (group, row - self.starts.get(group).copied().unwrap_or_default())
    }

    /// All rows of a group, without their keys.
    pub(super) fn group(&self, index: usize) -> Result<RecordBatch, TableError> {
        let whole = self.groups.group(index)?;
        let rows = RecordBatchOptions::new().with_row_count(Some(whole.num_rows()));
        let columns = whole.columns().iter().skip(1).cloned().collect();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.payload), columns, &rows)?)
    }
}

/// Writes a segment.
pub(super) struct SegmentWriter {
    writer: TableWriter,
    schema: SchemaRef,
}

impl SegmentWriter {
    pub(super) fn begin(tmp: &Path, payload: &SchemaRef, kind: SpaceKind) -> Result<Self, StoreError> {
        let key = Arc::new(Field::new(KEY, DataType::FixedSizeBinary(KEY_BYTES), false));
        let fields: Vec<FieldRef> = std::iter::once(key).chain(payload.fields().iter().cloned()).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, payload.metadata().clone()));
        let packing = match kind {
            SpaceKind::Memory => Packing::Small { group: GROUP_ROWS },
            SpaceKind::Checkpoint => Packing::Fast { group: GROUP_ROWS },
        };
        Ok(SegmentWriter { writer: TableWriter::begin(tmp, &schema, packing)?, schema })
    }

    /// Adds rows with their keys.
    pub(super) fn write(&mut self, keys: &[RowKey], payload: &RecordBatch) -> Result<(), StoreError> {
        let table = || -> Result<RecordBatch, TableError> {
            let keys: ArrayRef = match keys {
                [] => Arc::new(FixedSizeBinaryArray::new_null(KEY_BYTES, 0)),
                keys => Arc::new(FixedSizeBinaryArray::try_from_iter(keys.iter())?),
            };
            let columns = std::iter::once(keys).chain(payload.columns().iter().cloned()).collect();
            Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
        };
        self.writer.write(&table()?)
    }

    pub(super) fn end(self) -> Result<Written, StoreError> {
        self.writer.end()
    }
}

fn keys_of(column: &ArrayRef) -> Result<impl Iterator<Item = RowKey> + '_, TableError> {
    let keys = column.as_any().downcast_ref::<FixedSizeBinaryArray>().ok_or(TableError::Column { name: KEY })?;
    if keys.value_length() != KEY_BYTES || keys.null_count() > 0 {
        return Err(TableError::Column { name: KEY });
    }
    Ok((0..keys.len()).map(|row| keys.value(row).try_into().unwrap_or_default()))
}
