//! Are equal tables equal bytes, and do they come back as they went?

use std::collections::HashMap;

use arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray, StringArray,
    UInt32Array,
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
        ("score:a.b", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| f64::from_bits(r.score)))), false),
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

fn streamed(whole: &RecordBatch, cuts: &[usize]) -> Vec<u8> {
    let mut writer = ParquetWriter::new(Vec::new(), &whole.schema(), Packing::default()).unwrap();
    let mut at = 0;
    for length in cuts.iter().copied().cycle() {
        let length = length.min(whole.num_rows() - at);
        writer.write(&whole.slice(at, length)).unwrap();
        at += length;
        if at == whole.num_rows() {
            break;
        }
    }
    assert_eq!(writer.rows(), whole.num_rows() as u64);
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn bytes_ignore_how_rows_came(
        seed in any::<u64>(),
        rows in 1usize..3000,
        cuts in prop::collection::vec(1usize..1500, 1..6),
    ) {
        let whole = table(&random_rows(seed, rows));
        prop_assert!(streamed(&whole, &cuts) == to_parquet(&whole).unwrap());
    }
}

#[test]
fn bytes_ignore_how_rows_came_across_groups_and_pages() {
    // Lists of many items end pages in the midst of pieces.
    let lengths: Vec<usize> = (0..ROW_GROUP_ROWS + 5000).map(|row| row % 7 * (row % 11)).collect();
    let items: u32 = lengths.iter().sum::<usize>() as u32;
    let values = Arc::new(UInt32Array::from_iter_values((0..items).map(|at| at.wrapping_mul(2_654_435_761))));
    let item = Arc::new(Field::new("item", DataType::UInt32, false));
    let lists: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), values, None));
    let whole = RecordBatch::try_from_iter([("indices", lists)]).unwrap();
    let expected = to_parquet(&whole).unwrap();
    for cuts in [&[PIECE_ROWS][..], &[1000], &[ROW_GROUP_ROWS + 1], &[1, 4095, 60_000]] {
        assert!(streamed(&whole, cuts) == expected, "{cuts:?}");
    }
    assert_eq!(ROW_GROUP_ROWS % PIECE_ROWS, 0);
}

#[test]
fn rows_of_many_vectors_end_groups_early_and_bytes_ignore_how_they_came() {
    let width = 256;
    let lengths: Vec<usize> = (0..5000).map(|row| row % 7 * (row % 11)).collect();
    let vectors: usize = lengths.iter().sum();
    let numbers = (0..vectors * width).map(|at| (at % 1013) as f32);
    let values = Arc::new(Float32Array::from_iter_values(numbers));
    let item = |kind: DataType| Arc::new(Field::new("item", kind, false));
    let vectors = FixedSizeListArray::new(item(DataType::Float32), width as i32, values, None);
    let kind = vectors.data_type().clone();
    let lists = ListArray::new(item(kind), OffsetBuffer::from_lengths(lengths.clone()), Arc::new(vectors), None);
    let whole = RecordBatch::try_from_iter([("vectors", Arc::new(lists) as ArrayRef)]).unwrap();
    let expected = to_parquet(&whole).unwrap();
    for cuts in [&[1000][..], &[1, 4095, 777]] {
        assert!(streamed(&whole, cuts) == expected, "{cuts:?}");
    }
    assert!(from_parquet(expected.as_slice()).unwrap() == whole);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&expected).unwrap();
    let groups: Vec<u64> = Groups::new(file).unwrap().rows().collect();
    // a group ends with the piece that fills it, and a piece with the row that fills it
    let full: usize = lengths[..groups[0] as usize].iter().sum::<usize>() * width;
    assert_eq!(groups.len(), 2);
    assert!((GROUP_NUMBERS..GROUP_NUMBERS + PIECE_NUMBERS + 60 * width).contains(&full), "{full}");
}

#[test]
fn a_file_is_read_some_rows_at_a_time() {
    let whole = table(&random_rows(3, 2500));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&to_parquet(&whole).unwrap()).unwrap();
    let batches = Batches::new(file.try_clone().unwrap(), 700, usize::MAX).unwrap();
    assert_eq!((batches.rows(), batches.schema()), (2500, &whole.schema()));
    let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [700, 700, 700, 400]);
    assert_eq!(concat_batches(&whole.schema(), &batches).unwrap(), whole);
    let narrow = Batches::new(file.try_clone().unwrap(), 700, 1000).unwrap();
    assert!(narrow.map(Result::unwrap).all(|batch| batch.num_rows() < 100));
    let groups = Groups::new(file).unwrap();
    assert_eq!(groups.rows().collect::<Vec<_>>(), [2500]);
    assert_eq!(groups.group(0).unwrap(), whole);
    assert_eq!(groups.first_column().unwrap()[0].column(0), whole.column(0));
}

#[test]
fn rows_with_other_columns_are_refused() {
    let whole = table(&random_rows(3, 2));
    let mut writer = ParquetWriter::new(Vec::new(), &whole.schema(), Packing::default()).unwrap();
    let other = whole.project(&[0, 1]).unwrap();
    assert!(matches!(writer.write(&other), Err(TableError::Schema)));
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
