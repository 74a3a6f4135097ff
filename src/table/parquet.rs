//! How does a table become Parquet bytes and come back?
//!
//! Equal tables give equal bytes, in any process and on any number of threads: nothing but the table enters them (no time,
//! no version), and group and page sizes are fixed. Values come back as the same bits, NaNs and signed zeros included, and
//! the schema comes back equal.

use std::panic::catch_unwind;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::arrow::arrow_writer::{InMemoryPageStore, PageStore};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use ::parquet::schema::types::ColumnPath;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};

use super::TableError;

/// Written into every file; the crate's default would change bytes with its version.
const CREATED_BY: &str = "fuseline";
const ROW_GROUP_ROWS: usize = 128 * 1024;
const PAGE_ROWS: usize = 20_000;
const PAGE_BYTES: usize = 1024 * 1024;
const DICTIONARY_BYTES: usize = 1024 * 1024;
const WRITE_ROWS: usize = 1024;
/// How many rows are decoded at once; only longer tables are put together from pieces.
const READ_ROWS: usize = 1024 * 1024;
const ZSTD_LEVEL: i32 = 1;

/// The Parquet bytes of a table.
pub fn to_parquet(table: &RecordBatch) -> Result<Vec<u8>, TableError> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties(table.schema_ref())?))?;
    writer.write(table)?;
    writer.close()?;
    Ok(bytes)
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
        Ok([only]) => {
            // The reader's batches lack the schema's metadata.
            let rows = RecordBatchOptions::new().with_row_count(Some(only.num_rows()));
            Ok(RecordBatch::try_new_with_options(schema, only.columns().to_vec(), &rows)?)
        }
        Err(batches) => Ok(concat_batches(&schema, &batches)?),
    }
}

fn properties(schema: &Schema) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_write_batch_size(WRITE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
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
        kind if kind.is_integer() => plain(properties, path, Encoding::DELTA_BINARY_PACKED),
        _ => properties,
    }
}

fn plain(properties: WriterPropertiesBuilder, path: Vec<String>, encoding: Encoding) -> WriterPropertiesBuilder {
    let path = ColumnPath::new(path);
    properties.set_column_encoding(path.clone(), encoding).set_column_dictionary_enabled(path, false)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::array::{
        Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray,
        StringArray, UInt32Array,
    };
    use arrow::buffer::OffsetBuffer;
    use proptest::prelude::*;

    use super::*;
    use crate::ml::Rng;
    use crate::table::Digest;

    /// One row of every kind of column that stages use.
    #[derive(Debug, Clone)]
    struct Row {
        text: String,
        label: Option<String>,
        fold: Option<i64>,
        train: bool,
        score: u64,
        vector: [u32; 3],
        sparse: Vec<(u32, u32)>,
        tokens: Vec<String>,
    }

    fn lists<T>(rows: &[Row], of: impl Fn(&Row) -> &[T], kind: DataType, values: ArrayRef) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| of(row).len()));
        Arc::new(ListArray::new(Arc::new(Field::new("item", kind, false)), offsets, values, None))
    }

    fn table(rows: &[Row]) -> RecordBatch {
        let pairs = || rows.iter().flat_map(|row| &row.sparse);
        let indices = Arc::new(UInt32Array::from_iter_values(pairs().map(|pair| pair.0)));
        let values = Arc::new(Float32Array::from_iter_values(pairs().map(|pair| f32::from_bits(pair.1))));
        let tokens = Arc::new(StringArray::from_iter_values(rows.iter().flat_map(|row| &row.tokens)));
        let vectors = rows.iter().flat_map(|row| row.vector).map(f32::from_bits);
        let vectors = Arc::new(Float32Array::from_iter_values(vectors));
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("row_id", Arc::new(StringArray::from_iter_values((0..rows.len()).map(|row| row.to_string()))), false),
            ("text", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.text))), false),
            ("label", Arc::new(rows.iter().map(|row| row.label.as_deref()).collect::<StringArray>()), true),
            ("fold", Arc::new(rows.iter().map(|row| row.fold).collect::<Int64Array>()), true),
            ("train", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.train)))), false),
            (
                "score:a.b",
                Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| f64::from_bits(r.score)))),
                false,
            ),
            ("vector", Arc::new(FixedSizeListArray::new(item, 3, vectors, None)), false),
            ("indices", lists(rows, |row| &row.sparse, DataType::UInt32, indices), false),
            ("values", lists(rows, |row| &row.sparse, DataType::Float32, values), false),
            ("tokens", lists(rows, |row| &row.tokens, DataType::Utf8, tokens), false),
        ];
        let table = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let schema = table.schema_ref().as_ref().clone().with_metadata([("fuseline", "{\"name\":\"ö\"}")]);
        table.with_schema(Arc::new(schema)).unwrap()
    }

    /// Rows whose floats are any bits at all.
    fn random_rows(seed: u64, count: usize) -> Vec<Row> {
        let mut rng = Rng::seeded(seed);
        let row = |rng: &mut Rng| Row {
            text: format!("text {} ü", rng.next_u64()),
            label: (rng.below(3) > 0).then(|| format!("class {}", rng.below(4))),
            fold: (rng.below(3) > 0).then(|| rng.next_u64() as i64),
            train: rng.below(2) == 0,
            score: rng.next_u64(),
            vector: [0; 3].map(|_| rng.next_u64() as u32),
            sparse: (0..rng.below(4)).map(|at| (at as u32 * 1000, rng.next_u64() as u32)).collect(),
            tokens: (0..rng.below(3)).map(|_| format!("t{}", rng.below(9))).collect(),
        };
        (0..count).map(|_| row(&mut rng)).collect()
    }

    fn any_row() -> impl Strategy<Value = Row> {
        let sparse = prop::collection::vec((any::<u32>(), any::<u32>()), 0..4);
        let tokens = prop::collection::vec(".{0,4}", 0..4);
        let label = prop::option::of("[ab.\u{0}]{0,2}");
        let columns =
            (".{0,8}", label, any::<Option<i64>>(), any::<bool>(), any::<u64>(), any::<[u32; 3]>(), sparse, tokens);
        columns.prop_map(|(text, label, fold, train, score, vector, sparse, tokens)| Row {
            text,
            label,
            fold,
            train,
            score,
            vector,
            sparse,
            tokens,
        })
    }

    proptest! {
        #[test]
        fn a_table_comes_back_as_it_went(rows in prop::collection::vec(any_row(), 0..20)) {
            let table = table(&rows);
            let bytes = to_parquet(&table).unwrap();
            let again = from_parquet(bytes.as_slice()).unwrap();
            prop_assert_eq!(again.schema(), table.schema());
            prop_assert_eq!(&again, &table);
            prop_assert_eq!(to_parquet(&again).unwrap(), bytes);
        }

        #[test]
        fn bytes_ignore_how_a_table_was_cut(rows in prop::collection::vec(any_row(), 1..20), cut in 0usize..20) {
            let whole = table(&rows);
            let cut = cut.min(rows.len());
            let pieces = [whole.slice(0, cut), whole.slice(cut, rows.len() - cut)];
            let joined = concat_batches(whole.schema_ref(), &pieces).unwrap();
            prop_assert_eq!(to_parquet(&joined).unwrap(), to_parquet(&whole).unwrap());
            prop_assert_eq!(to_parquet(&pieces[1]).unwrap(), to_parquet(&table(&rows)
                .slice(cut, rows.len() - cut)).unwrap());
        }
    }

    #[test]
    fn every_float_keeps_its_bits() {
        let bits = [0, 1 << 31, 0x7fc0_0000, 0x7f80_0001, 0xffc1_2345, 0x7f80_0000, 0xff80_0000, 1, 0x8000_0001];
        let values = Float32Array::from_iter_values(bits.map(f32::from_bits));
        let table = RecordBatch::try_from_iter([("v", Arc::new(values) as ArrayRef)]).unwrap();
        let again = from_parquet(to_parquet(&table).unwrap()).unwrap();
        let values: &Float32Array = again.column(0).as_any().downcast_ref().unwrap();
        assert_eq!(values.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
    }

    #[test]
    fn bytes_are_the_same_every_time_and_everywhere() {
        let rows = random_rows(7, 500);
        let of_a_thread = || {
            std::thread::spawn({
                let rows = rows.clone();
                move || to_parquet(&table(&rows)).unwrap()
            })
        };
        let threads: Vec<_> = (0..8).map(|_| of_a_thread()).collect();
        let first = to_parquet(&table(&rows)).unwrap();
        for thread in threads {
            assert!(thread.join().unwrap() == first);
        }
        // Other bytes for the same table, here or on another machine, only cost reuse; but they should be noticed.
        assert_eq!(Digest::of(&first).to_string(), "432f98e3f7cc4df1673dcd6cc34f3b561b3efc808e21127dee6d619d0ec4d480");
        for part in [CREATED_BY, "ARROW:schema"] {
            assert!(first.windows(part.len()).any(|bytes| bytes == part.as_bytes()), "{part}");
        }
        assert!(!first.windows(10).any(|bytes| bytes == b"parquet-rs"));
    }

    #[test]
    fn bytes_ignore_the_order_of_a_map() {
        let rows = random_rows(7, 3);
        let written = (0..50).map(|_| {
            let entries: HashMap<String, String> = (0..20).map(|at| (at.to_string(), "x".to_owned())).collect();
            let table = table(&rows);
            let schema = table.schema_ref().as_ref().clone().with_metadata(entries);
            to_parquet(&RecordBatch::try_new(Arc::new(schema), table.columns().to_vec()).unwrap()).unwrap()
        });
        let written: Vec<Vec<u8>> = written.collect();
        assert!(written.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn several_groups_and_pages_come_back_as_one_batch() {
        let rows = ROW_GROUP_ROWS + 2 * PAGE_ROWS + 1;
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows as u32));
        let table = RecordBatch::try_from_iter([("index", numbers)]).unwrap();
        let bytes = to_parquet(&table).unwrap();
        assert!(bytes.len() < rows / 8, "{} bytes: not packed", bytes.len());
        assert_eq!(from_parquet(bytes).unwrap(), table);
    }

    #[test]
    fn encodings_reach_the_columns_inside_lists() {
        let bytes = to_parquet(&table(&random_rows(1, 300))).unwrap();
        let mut pages = InMemoryPageStore::default();
        let page = pages.put(bytes.into()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(pages.take(page).unwrap()).unwrap();
        let encodings: HashMap<String, Vec<Encoding>> = reader
            .metadata()
            .row_group(0)
            .columns()
            .iter()
            .map(|column| (column.column_path().string(), column.encodings().collect()))
            .collect();
        let has = |column: &str, encoding| encodings[column].contains(&encoding);
        for column in ["score:a.b", "vector.list.item", "values.list.item"] {
            assert!(has(column, Encoding::BYTE_STREAM_SPLIT) && !has(column, Encoding::RLE_DICTIONARY), "{column}");
        }
        for column in ["fold", "indices.list.item"] {
            assert!(has(column, Encoding::DELTA_BINARY_PACKED) && !has(column, Encoding::RLE_DICTIONARY), "{column}");
        }
        for column in ["row_id", "text"] {
            assert!(!has(column, Encoding::RLE_DICTIONARY), "{column}");
        }
        assert!(has("label", Encoding::RLE_DICTIONARY) && has("tokens.list.item", Encoding::RLE_DICTIONARY));
    }

    #[test]
    fn cut_and_flipped_bytes_are_errors_at_worst() {
        let table = table(&random_rows(3, 12));
        let bytes = to_parquet(&table).unwrap();
        for length in 0..bytes.len() {
            assert!(from_parquet(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        let mut refused = 0;
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                refused += usize::from(from_parquet(flipped).is_err());
            }
        }
        assert!(refused > bytes.len(), "only {refused} of {} flips were noticed", 3 * bytes.len());
        let mut rng = Rng::seeded(5);
        for length in 0..200 {
            let garbage: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).chain(*b"PAR1").collect();
            assert!(from_parquet(garbage).is_err());
        }
    }
}
