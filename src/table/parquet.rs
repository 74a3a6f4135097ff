//! How does a table become Parquet bytes and come back?
//!
//! Equal tables give equal bytes, in any process, on any number of threads and however their rows came: nothing but the table
//! enters them (no time, no version), group and page sizes are fixed, and rows reach the encoders in pieces of a fixed number. Where
//! rows hold lists of vectors, and so may be large, their numbers are counted too: pieces and groups end by what stands in the rows.
//! Values come back as the same bits, NaNs and signed zeros included, and the schema comes back equal.

use std::fs::File;
use std::io::Write;
use std::panic::catch_unwind;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::arrow::arrow_writer::{InMemoryPageStore, PageStore};
use ::parquet::arrow::{ArrowWriter, ProjectionMask};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use ::parquet::schema::types::ColumnPath;
use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::TableError;

/// Written into every file; the crate's default would change bytes with its version.
const CREATED_BY: &str = "fuseline";
/// A group is held in memory until it is full: 64 Ki rows of 384 numbers are 100 MB.
const ROW_GROUP_ROWS: usize = 64 * 1024;
/// Rows reach the encoders so many at a time, since where a list's pages end depends on it. Groups are a multiple of it.
const PIECE_ROWS: usize = 1024;
/// With the row that makes these full, a piece, and with the piece that makes these full, a group ends: 4 and 64 MB.
const PIECE_NUMBERS: usize = 1024 * 1024;
const GROUP_NUMBERS: usize = 16 * PIECE_NUMBERS;
const PAGE_ROWS: usize = 20_000;
const PAGE_BYTES: usize = 1024 * 1024;
const DICTIONARY_BYTES: usize = 1024 * 1024;
const WRITE_ROWS: usize = 1024;
/// How many rows are decoded at once; only longer tables are put together from pieces.
const READ_ROWS: usize = 1024 * 1024;
const ZSTD_LEVEL: i32 = 1;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As small as is cheap; for what is kept.
    Small {
        /// Rows of a group.
        group: usize,
    },
    /// As fast as can be; for what is soon removed.
    Fast {
        /// Rows of a group.
        group: usize,
    },
}

impl Default for Packing {
    fn default() -> Self {
        Packing::Small { group: ROW_GROUP_ROWS }
    }
}

/// The Parquet bytes of a table.
pub fn to_parquet(table: &RecordBatch) -> Result<Vec<u8>, TableError> {
    let mut writer = ParquetWriter::new(Vec::new(), &table.schema(), Packing::default())?;
    writer.write(table)?;
    writer.finish()
}

/// Writes a table whose rows come bit by bit. The bytes are [`to_parquet`]'s, whatever the bits.
pub struct ParquetWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_numbers: usize,
    group_numbers: usize,
    rows: u64,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// Begins a file in `out`.
    pub fn new(out: W, schema: &SchemaRef, packing: Packing) -> Result<Self, TableError> {
        let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties(schema, packing)?))?;
        let (schema, held) = (Arc::clone(schema), Vec::new());
        Ok(ParquetWriter { writer, schema, held, held_rows: 0, held_numbers: 0, group_numbers: 0, rows: 0 })
    }

    /// Adds rows; they must have the file's columns.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), TableError> {
        if rows.schema_ref().fields() != self.schema.fields() {
            return Err(TableError::Schema);
        }
        self.rows += rows.num_rows() as u64;
        let mut at = 0;
        while at < rows.num_rows() {
            let most = (PIECE_ROWS - self.held_rows).min(rows.num_rows() - at);
            let (length, numbers) = within(rows, at, most, PIECE_NUMBERS - self.held_numbers);
            self.held.push(rows.slice(at, length));
            at += length;
            self.held_rows += length;
            self.held_numbers += numbers;
            if self.held_rows == PIECE_ROWS || self.held_numbers >= PIECE_NUMBERS {
                self.write_held()?;
            }
        }
        Ok(())
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<W, TableError> {
        self.write_held()?;
        Ok(self.writer.into_inner()?)
    }

    fn write_held(&mut self) -> Result<(), TableError> {
        let held = std::mem::take(&mut self.held);
        self.held_rows = 0;
        self.group_numbers += std::mem::take(&mut self.held_numbers);
        match held.as_slice() {
            [] => {}
            [one] => self.writer.write(one)?,
            several => self.writer.write(&concat_batches(&self.schema, several)?)?,
        }
        if self.group_numbers >= GROUP_NUMBERS {
            self.writer.flush()?;
            self.group_numbers = 0;
        }
        Ok(())
    }
}

/// How many rows from `at` on, of at most `most`, it takes until they have `numbers` numbers in lists of vectors, and how many they
/// have.
fn within(rows: &RecordBatch, at: usize, most: usize, numbers: usize) -> (usize, usize) {
    let vectors = rows.columns().iter().filter_map(|column| {
        let lists = column.as_list_opt::<i32>()?;
        let width = lists.values().as_fixed_size_list_opt()?.value_length().max(0) as usize;
        Some((lists.value_offsets(), width))
    });
    let vectors: Vec<(&[i32], usize)> = vectors.collect();
    if vectors.is_empty() {
        return (most, 0);
    }
    let of = |row: usize| -> usize {
        vectors.iter().map(|(ends, width)| (ends[row + 1] - ends[row]).max(0) as usize * width).sum()
    };
    let mut found = 0;
    for row in 0..most {
        found += of(at + row);
        if found >= numbers {
            return (row + 1, found);
        }
    }
    (most, found)
}

/// The rows of a Parquet file, some at a time. Only whole files may be read so: hold the bytes against their digest first.
pub struct Batches {
    schema: SchemaRef,
    reader: ParquetRecordBatchReader,
    rows: u64,
}

impl Batches {
    /// Reads `file` in batches of at most `most` rows and of about `bytes` bytes.
    pub fn new(file: File, most: usize, bytes: usize) -> Result<Self, TableError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let schema = Arc::clone(builder.schema());
        let rows = builder.metadata().file_metadata().num_rows().max(0) as u64;
        let widest = builder.metadata().row_groups().iter().map(|group| {
            let bytes = group.total_byte_size().max(0) as u64;
            bytes / (group.num_rows().max(1) as u64)
        });
        let fit = bytes as u64 / widest.max().unwrap_or(0).max(1);
        let reader = builder.with_batch_size(most.min(fit as usize).max(1)).build()?;
        Ok(Batches { schema, reader, rows })
    }

    /// The table's schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of the whole file.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(TableError::from).and_then(|batch| with_schema(&batch, &self.schema)))
    }
}

/// The reader's batches lack the schema's metadata.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, TableError> {
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &rows)?)
}

/// A file of which single groups of rows and single columns are read.
#[derive(Debug)]
pub struct Groups {
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Groups {
    /// Reads what `file` says of itself.
    pub fn new(file: File) -> Result<Self, TableError> {
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())?;
        Ok(Groups { file, metadata })
    }

    /// The table's schema.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The rows of each group.
    pub fn rows(&self) -> impl Iterator<Item = u64> + '_ {
        self.metadata.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as u64)
    }

    /// All rows of a group.
    pub fn group(&self, index: usize) -> Result<RecordBatch, TableError> {
        let builder = self.reader()?.with_row_groups(vec![index]).with_batch_size(READ_ROWS);
        let batches = builder.build()?.collect::<Result<Vec<RecordBatch>, _>>()?;
        match batches.as_slice() {
            [one] => with_schema(one, self.schema()),
            several => Ok(concat_batches(self.schema(), several)?),
        }
    }

    /// The first column alone, of all rows in order.
    pub fn first_column(&self) -> Result<Vec<RecordBatch>, TableError> {
        let builder = self.reader()?;
        let only = ProjectionMask::roots(builder.parquet_schema(), [0]);
        Ok(builder.with_projection(only).with_batch_size(READ_ROWS).build()?.collect::<Result<Vec<_>, _>>()?)
    }

    fn reader(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, TableError> {
        let file = self.file.try_clone().map_err(|error| TableError::Malformed { why: error.to_string() })?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone()))
    }
}

/// The table of Parquet bytes, as one batch. Bytes that are no whole Parquet file are an error.
pub fn from_parquet(bytes: impl Into<Vec<u8>>) -> Result<RecordBatch, TableError> {
    let bytes = bytes.into();
    // The reader checks what it reads nearly everywhere; a panic it still comes to must not end more than this read.
    catch_unwind(|| read(bytes)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let why = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned();
        Err(TableError::Malformed { why })
    })
}

fn read(bytes: Vec<u8>) -> Result<RecordBatch, TableError> {
    // `parquet` reads from a buffer type of its own, which its page store gives without a dependency more.
    let mut pages = InMemoryPageStore::default();
    let page = pages.put(bytes.into())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(pages.take(page)?)?;
    let schema = Arc::clone(builder.schema());
    let batches = builder.with_batch_size(READ_ROWS).build()?.collect::<Result<Vec<RecordBatch>, _>>()?;
    match <[RecordBatch; 1]>::try_from(batches) {
        Ok([only]) => with_schema(&only, &schema),
        Err(batches) => Ok(concat_batches(&schema, &batches)?),
    }
}

fn properties(schema: &Schema, packing: Packing) -> Result<WriterProperties, ParquetError> {
    let (group, compression) = match packing {
        Packing::Small { group } => (group, Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?)),
        Packing::Fast { group } => (group, Compression::UNCOMPRESSED),
    };
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_write_batch_size(WRITE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    if matches!(packing, Packing::Fast { .. }) {
        return Ok(properties.set_dictionary_enabled(false).build());
    }
    for field in schema.fields() {
        properties = encode(properties, field, Vec::new());
    }
    Ok(properties.build())
}

/// Chooses the encoding of a column, or of every column inside it. Floats: BYTE_STREAM_SPLIT. Integers:
/// DELTA_BINARY_PACKED. Strings keep the dictionary, except those that hardly repeat.
fn encode(properties: WriterPropertiesBuilder, field: &Field, mut path: Vec<String>) -> WriterPropertiesBuilder {
    path.push(field.name().clone());
    let kind = field.data_type();
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            path.push("list".to_owned());
            encode(properties, item, path)
        }
        DataType::Struct(fields) => {
            fields.iter().fold(properties, |properties, field| encode(properties, field, path.clone()))
        }
        DataType::Utf8 if path.len() == 1 && ["row_id", "text"].contains(&field.name().as_str()) => {
            properties.set_column_dictionary_enabled(ColumnPath::new(path), false)
        }
        DataType::Float32 | DataType::Float64 => plain(properties, path, Encoding::BYTE_STREAM_SPLIT),
        DataType::FixedSizeBinary(_) => properties.set_column_dictionary_enabled(ColumnPath::new(path), false),
        kind if kind.is_integer() => plain(properties, path, Encoding::DELTA_BINARY_PACKED),
        _ => properties,
    }
}

fn plain(properties: WriterPropertiesBuilder, path: Vec<String>, encoding: Encoding) -> WriterPropertiesBuilder {
    let path = ColumnPath::new(path);
    properties.set_column_encoding(path.clone(), encoding).set_column_dictionary_enabled(path, false)
}

#[cfg(test)]
mod tests;
