//! Are remembered rows found again, whatever becomes of their files?

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float32Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use tempfile::TempDir;

use super::*;
use crate::table::RowKey;

const SPACE: Space = Space { kind: SpaceKind::Memory, id: Digest::new([7; 32]) };

fn key(row: u64) -> RowKey {
    let digest = blake3::hash(&row.to_le_bytes());
    digest.as_bytes()[..16].try_into().unwrap()
}

fn keys(rows: impl IntoIterator<Item = u64>) -> Vec<RowKey> {
    rows.into_iter().map(key).collect()
}

/// What some rows come to: always the same for a row.
fn payload(rows: impl IntoIterator<Item = u64>) -> RecordBatch {
    let rows: Vec<u64> = rows.into_iter().collect();
    let values = Float32Array::from_iter_values(rows.iter().flat_map(|&row| [row as f32, -0.0, f32::NAN]));
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("block.00/values", Arc::new(FixedSizeListArray::new(item, 3, Arc::new(values), None)), false),
        ("text/text", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("ü {row}")))), false),
        ("#tokens", Arc::new(UInt64Array::from_iter_values(rows.iter().copied())), false),
    ];
    let table = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let schema = table.schema_ref().as_ref().clone().with_metadata([("fuseline", "{}")]);
    table.with_schema(Arc::new(schema)).unwrap()
}

fn opened() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

/// Remembers rows as a process of its own would.
fn remember(store: &Store, rows: std::ops::Range<u64>) {
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    memory.add(&keys(rows.clone()), payload(rows)).unwrap();
    memory.flush().unwrap();
}

fn files(store: &Store) -> Vec<PathBuf> {
    segments(&store.space_folder(&SPACE)).unwrap().into_iter().map(|(path, _)| path).collect()
}

#[test]
fn rows_are_found_in_any_order_by_whoever_looks() {
    let (_folder, store) = opened();
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    assert!(memory.is_empty() && memory.fetch(&keys([1])).unwrap().is_none());
    memory.add(&keys(0..20_000), payload(0..20_000)).unwrap();
    assert_eq!(memory.find(&key(3)), Some(Remembering::Here));
    assert!(files(&store).is_empty(), "nothing is written yet");
    let mixed = [19_999, 3, 3, 8191, 8192, 0];
    assert_eq!(memory.fetch(&keys(mixed)).unwrap(), Some(payload(mixed)));
    memory.flush().unwrap();
    memory.flush().unwrap();
    assert_eq!(memory.fetch(&keys(mixed)).unwrap(), Some(payload(mixed)));
    assert_eq!((memory.find(&key(3)), memory.find(&key(20_000))), (Some(Remembering::Here), None));
    let mut other = store.row_memory(SPACE, Recall::All).unwrap();
    assert_eq!(other.find(&key(3)), Some(Remembering::Before));
    for _ in 0..2 {
        assert_eq!(other.fetch(&keys(mixed)).unwrap(), Some(payload(mixed)));
    }
    assert_eq!(other.fetch(&[]).unwrap(), Some(payload([])));
    assert!(other.fetch(&keys([3, 20_000])).unwrap().is_none(), "one is not there");
    let elsewhere = Space { id: Digest::new([8; 32]), ..SPACE };
    assert!(store.row_memory(elsewhere, Recall::All).unwrap().is_empty());
    assert!(store.row_memory(Space { kind: SpaceKind::Checkpoint, ..SPACE }, Recall::All).unwrap().is_empty());
    assert!(other.troubles().is_empty());
}

#[test]
fn what_was_not_written_is_simply_not_remembered() {
    let (_folder, store) = opened();
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    memory.add(&keys(0..9), payload(0..9)).unwrap();
    drop(memory);
    assert!(store.row_memory(SPACE, Recall::All).unwrap().is_empty());
    assert_eq!(store.row_spaces().unwrap(), []);
}

#[test]
fn every_damaged_file_is_set_aside_and_its_rows_are_misses() {
    let (_folder, store) = opened();
    remember(&store, 0..50);
    let whole = fs::read(&files(&store)[0]).unwrap();
    for at in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let (_folder, store) = opened();
        remember(&store, 0..50);
        remember(&store, 50..60);
        let path = files(&store).into_iter().find(|path| fs::read(path).unwrap() == whole).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
        assert_eq!((memory.find(&key(3)), memory.find(&key(55))), (None, Some(Remembering::Before)), "byte {at}");
        let troubles = memory.troubles();
        assert!(troubles.len() == 1 && troubles[0].contains("damaged"), "{troubles:?}");
        assert!(!path.exists() && store.folder().join("damaged").join(path.file_name().unwrap()).exists());
        memory.add(&keys(0..50), payload(0..50)).unwrap();
        memory.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn verifying_finds_damage_and_says_how_much() {
    let (_folder, store) = opened();
    remember(&store, 0..50);
    remember(&store, 50..60);
    assert_eq!(store.verify_rows().unwrap(), RowsChecked { checked: 2, damaged: 0 });
    fs::write(&files(&store)[0], "PAR1").unwrap();
    assert_eq!(store.verify_rows().unwrap(), RowsChecked { checked: 2, damaged: 1 });
    assert_eq!(store.verify_rows().unwrap(), RowsChecked { checked: 1, damaged: 0 });
}

#[test]
fn a_segment_that_cannot_be_read_though_its_bytes_are_right_is_set_aside_too() {
    let (_folder, store) = opened();
    remember(&store, 0..3);
    let bytes = b"no Parquet at all";
    let path = store.space_folder(&SPACE).join(format!("{}.parquet", Digest::of(bytes)));
    fs::write(&path, bytes).unwrap();
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    assert_eq!((memory.find(&key(1)), memory.troubles().len(), path.exists()), (Some(Remembering::Before), 1, false));
}

#[test]
fn many_segments_become_few_and_repeated_rows_one() {
    let (_folder, store) = opened();
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    for round in 0..40 {
        // Each row comes twice.
        let rows = round * 50..round * 50 + 100;
        memory.add(&keys(rows.clone()), payload(rows)).unwrap();
        memory.flush().unwrap();
        assert!(files(&store).len() <= 8, "{} after {round}", files(&store).len());
    }
    let all = || (0..2050).rev().step_by(7);
    assert_eq!(memory.fetch(&keys(all())).unwrap(), Some(payload(all())));
    assert_eq!(memory.find(&key(9)), Some(Remembering::Here), "merging forgets not whose row it was");
    let mut other = store.row_memory(SPACE, Recall::All).unwrap();
    assert_eq!(other.fetch(&keys(all())).unwrap(), Some(payload(all())));
    let stats = store.row_memory_stats().unwrap();
    assert!(stats.rows < 40 * 100 && stats.segments <= 8, "{stats:?}");
    assert!(disk::entries(&store.folder().join("tmp")).unwrap().is_empty());
}

#[test]
fn a_segment_that_another_process_merged_away_is_read_on_or_looked_up_again() {
    let (_folder, store) = opened();
    remember(&store, 0..10);
    let mut reader = store.row_memory(SPACE, Recall::All).unwrap();
    for round in 1..10 {
        remember(&store, round * 10..round * 10 + 10);
    }
    assert!(files(&store).len() < 10);
    assert_eq!(reader.fetch(&keys(0..10)).unwrap(), Some(payload(0..10)));
    assert_eq!(reader.find(&key(50)), None, "not looked up yet");
    reader.look().unwrap();
    assert_eq!(reader.fetch(&keys(0..100)).unwrap(), Some(payload(0..100)));
    // Its own segments may be gone as well when it merges.
    store.remove_rows(&SPACE).unwrap();
    for round in 10..20 {
        reader.add(&keys(round * 10..round * 10 + 10), payload(round * 10..round * 10 + 10)).unwrap();
        reader.flush().unwrap();
    }
    assert_eq!(reader.fetch(&keys(0..200)).unwrap(), Some(payload(0..200)));
}

#[test]
fn several_processes_may_write_and_merge_at_once() {
    let (folder, store) = opened();
    let writer = |number: u64| {
        let folder = folder.path().to_owned();
        std::thread::spawn(move || {
            let store = Store::open(&folder).unwrap();
            for round in 0..25 {
                let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
                assert!(memory.troubles().is_empty());
                // A third of the rows is everybody's.
                let rows: Vec<u64> = (0..30)
                    .map(|at| if at < 10 { round * 10 + at } else { 10_000 * number + round * 30 + at })
                    .collect();
                memory.add(&keys(rows.iter().copied()), payload(rows.iter().copied())).unwrap();
                memory.flush().unwrap();
                assert_eq!(memory.fetch(&keys(rows.iter().copied())).unwrap(), Some(payload(rows)));
            }
        })
    };
    let writers: Vec<_> = (1..=4).map(writer).collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    let all: Vec<u64> = (0..250)
        .chain(
            (1..=4).flat_map(|n| (0..25).flat_map(move |round| (10..30).map(move |at| 10_000 * n + round * 30 + at))),
        )
        .collect();
    assert_eq!(memory.fetch(&keys(all.iter().copied())).unwrap(), Some(payload(all)));
    assert!(memory.troubles().is_empty());
    assert_eq!(store.verify_rows().unwrap().damaged, 0);
    assert!(files(&store).len() <= 8 + 4, "{}", files(&store).len());
    assert!(disk::entries(&store.folder().join("damaged")).unwrap().is_empty());
}

#[test]
fn spaces_are_listed_counted_and_removed() {
    let (_folder, store) = opened();
    remember(&store, 0..50);
    let unit = Space { kind: SpaceKind::Checkpoint, id: Digest::new([1; 32]) };
    let mut memory = store.row_memory(unit, Recall::All).unwrap();
    memory.add(&keys(0..3), payload(0..3)).unwrap();
    memory.flush().unwrap();
    let spaces = store.row_spaces().unwrap();
    assert_eq!(spaces.len(), 2);
    assert!(
        spaces.iter().all(|space| space.segments == 1 && space.bytes > 0 && space.unused < Duration::from_secs(60))
    );
    let stats = store.row_memory_stats().unwrap();
    assert_eq!((stats.spaces, stats.segments, stats.rows), (2, 2, 53));
    assert_eq!(stats.bytes, spaces.iter().map(|space| space.bytes).sum::<u64>());
    assert_eq!(store.remove_rows(&unit).unwrap().files, 1);
    assert_eq!(store.remove_rows(&unit).unwrap().files, 0);
    assert_eq!(store.row_spaces().unwrap().iter().map(|space| space.space).collect::<Vec<_>>(), [SPACE]);
    assert_eq!(store.clear().unwrap().files, 1);
    assert_eq!(store.row_memory_stats().unwrap(), RowStats::default());
}

#[test]
fn rows_that_look_otherwise_are_of_no_use_and_do_no_harm() {
    let (_folder, store) = opened();
    let other = payload(0..5).project(&[0]).unwrap();
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    memory.add(&keys(0..5), other).unwrap();
    memory.flush().unwrap();
    let mut memory = store.row_memory(SPACE, Recall::All).unwrap();
    memory.add(&keys(5..9), payload(5..9)).unwrap();
    assert_eq!((memory.find(&key(1)), memory.find(&key(6))), (None, Some(Remembering::Here)));
    memory.flush().unwrap();
    assert_eq!(memory.fetch(&keys(5..9)).unwrap(), Some(payload(5..9)));
}

#[test]
fn segments_are_ordinary_parquet() {
    let (_folder, store) = opened();
    remember(&store, 0..5);
    let table = crate::table::from_parquet(fs::read(&files(&store)[0]).unwrap()).unwrap();
    let names: Vec<&str> = table.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["key", "block.00/values", "text/text", "#tokens"]);
    assert_eq!(table.column(0).len(), 5);
}

#[test]
fn who_recalls_nothing_finds_only_what_it_adds_and_leaves_the_rest_in_place() {
    let (_folder, store) = opened();
    remember(&store, 0..50);
    let mut memory = store.row_memory(SPACE, Recall::Nothing).unwrap();
    assert!(memory.is_empty());
    for round in 0..20 {
        memory.add(&keys(round * 3..round * 3 + 3), payload(round * 3..round * 3 + 3)).unwrap();
        memory.flush().unwrap();
        memory.refresh().unwrap();
    }
    assert_eq!((memory.find(&key(3)), memory.find(&key(60))), (Some(Remembering::Here), None));
    assert_eq!(memory.fetch(&keys(0..60)).unwrap(), Some(payload(0..60)));
    remember(&store, 60..70);
    let mut all = store.row_memory(SPACE, Recall::All).unwrap();
    assert_eq!(all.fetch(&keys(0..70)).unwrap(), Some(payload(0..70)));
}
