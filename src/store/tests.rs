//! Does the store keep what it is given, and notice what it is not?

use std::fs::{self, File};
use std::time::SystemTime;

use arrow::array::{ArrayRef, StringArray};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::stage::{Load, StageError};

pub(super) fn table(texts: &[&str]) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    RecordBatch::try_from_iter([("row_id", texts.clone()), ("text", texts)]).unwrap()
}

pub(super) fn key(byte: u8) -> Key {
    Key::new([byte; 32])
}

/// What every key here is made from.
pub(super) fn fields() -> Fields {
    [("with.c".to_owned(), json!(0.1))].into()
}

/// An artifact of one part, put but not published.
pub(super) fn artifact(store: &Store, key: Key, kind: &str, table: &RecordBatch) -> Manifest {
    let Blob { digest, rows, bytes } = store.put_table(table).unwrap();
    Manifest {
        format: STORE_FORMAT,
        key,
        kind: kind.to_owned(),
        version: 1,
        phase: "run".to_owned(),
        parts: vec![PartEntry { name: "text".to_owned(), digest, rows, bytes }],
        rows,
        facts: [("dropped".to_owned(), json!(2))].into(),
        warnings: vec!["ü".to_owned()],
        seconds: 0.1 + 0.2,
        made_by: "0.0.0".to_owned(),
    }
}

pub(super) fn published(store: &Store, key: Key, kind: &str, table: &RecordBatch) -> Manifest {
    let manifest = artifact(store, key, kind, table);
    store.publish(&manifest, &fields()).unwrap();
    manifest
}

pub(super) fn opened() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("cache")).unwrap();
    (folder, store)
}

/// The same store as another process sees it.
pub(super) fn reopened(store: &Store) -> Store {
    Store::open(store.folder().parent().unwrap()).unwrap()
}

pub(super) fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

pub(super) fn set_aside(store: &Store) -> Vec<PathBuf> {
    disk::entries(&store.folder().join("damaged")).unwrap()
}

#[test]
fn an_artifact_is_found_once_it_is_published() {
    let (_folder, store) = opened();
    assert_eq!(store.lookup(&key(1)), Lookup::Absent);
    let manifest = artifact(&store, key(1), "clean", &table(&["a", "b"]));
    assert_eq!(store.lookup(&key(1)), Lookup::Absent);
    store.publish(&manifest, &fields()).unwrap();
    let other = reopened(&store);
    assert_eq!(other.lookup(&key(1)), Lookup::Hit(manifest.clone()));
    assert_eq!(other.lookup(&key(2)), Lookup::Absent);
    let loaded = other.load(&manifest.parts[0].digest).unwrap();
    assert_eq!(*loaded, table(&["a", "b"]));
    assert!(Arc::ptr_eq(&loaded, &other.load(&manifest.parts[0].digest).unwrap()));
    assert!(disk::entries(&store.folder().join("tmp")).unwrap().is_empty());
}

#[test]
fn the_same_table_is_written_once() {
    let (_folder, store) = opened();
    let blob = store.put_table(&table(&["a"])).unwrap();
    let path = store.blob_path(&blob.digest);
    let opened = File::open(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(reopened(&store).put_table(&table(&["a"])).unwrap(), blob);
    // Were it another file by now, the one that was opened would not see this.
    fs::write(&path, [&whole[..], b" "].concat()).unwrap();
    assert_eq!(opened.metadata().unwrap().len(), blob.bytes + 1);
    // One that is cut short is written again.
    fs::write(&path, "PAR1").unwrap();
    assert_eq!(store.put_table(&table(&["a"])).unwrap(), blob);
    assert_eq!(*store.load(&blob.digest).unwrap(), table(&["a"]));
}

#[test]
fn a_flipped_bit_is_a_miss_and_can_be_made_again() {
    let (_folder, store) = opened();
    let manifest = published(&store, key(1), "clean", &table(&["a", "b"]));
    let digest = manifest.parts[0].digest;
    damage(&store.blob_path(&digest));
    assert_eq!(store.lookup(&key(1)), Lookup::Hit(manifest.clone()), "a lookup reads no table");
    let StageError::Failed(failure) = Load::load(&store, &digest).unwrap_err() else { panic!("interrupted") };
    assert!(failure.damaged, "{failure:?}");
    assert_eq!(failure.message, format!("the stored table {} is damaged", short(&digest)));
    assert_eq!(set_aside(&store), [store.folder().join("damaged").join(format!("{digest}.parquet"))]);
    let Lookup::Damaged { what } = store.lookup(&key(1)) else { panic!("not damaged") };
    assert_eq!(what, format!("the stored table {} (`text` of clean) is gone", short(&digest)));
    assert_eq!(store.lookup(&key(1)), Lookup::Absent, "said once");
    assert!(store.load(&digest).unwrap_err().is_damage());
    assert_eq!(published(&store, key(1), "clean", &table(&["a", "b"])), manifest);
    assert_eq!(store.lookup(&key(1)), Lookup::Hit(manifest));
    assert_eq!(*store.load(&digest).unwrap(), table(&["a", "b"]));
}

#[test]
fn every_flipped_or_missing_byte_of_a_table_is_noticed() {
    let (_folder, store) = opened();
    let blob = store.put_table(&table(&["a"])).unwrap();
    let path = store.blob_path(&blob.digest);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        for bytes in [&flipped, &whole[..at]] {
            fs::write(&path, bytes).unwrap();
            assert!(store.load(&blob.digest).unwrap_err().is_damage(), "byte {at}");
        }
    }
    fs::write(&path, &whole).unwrap();
    assert!(store.load(&blob.digest).is_ok());
}

#[test]
fn a_damaged_record_is_a_miss_and_can_be_made_again() {
    let (_folder, store) = opened();
    let manifest = published(&store, key(1), "clean", &table(&["a"]));
    let path = store.manifest_path(&key(1));
    let whole = fs::read(&path).unwrap();
    let of_another =
        seal(&Record { manifest: &Manifest { key: key(2), ..manifest.clone() }, fields: &fields() }).unwrap();
    let of_the_future =
        seal(&Record { manifest: &Manifest { format: STORE_FORMAT + 1, ..manifest.clone() }, fields: &fields() })
            .unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    for bytes in [cut, Vec::new(), b"\xff\xfe{".to_vec(), of_another, of_the_future] {
        fs::write(&path, bytes).unwrap();
        let Lookup::Damaged { what } = store.lookup(&key(1)) else { panic!("not damaged") };
        assert!(what.starts_with("the record 010101010101 is "), "{what}");
        assert!(!path.exists() && set_aside(&store).len() == 1);
        assert_eq!(store.lookup(&key(1)), Lookup::Absent);
    }
    store.publish(&manifest, &fields()).unwrap();
    assert_eq!(store.lookup(&key(1)), Lookup::Hit(manifest));
}

#[test]
fn a_cut_table_is_noticed_without_reading_it() {
    let (_folder, store) = opened();
    let manifest = published(&store, key(1), "clean", &table(&["a"]));
    let path = store.blob_path(&manifest.parts[0].digest);
    File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    let Lookup::Damaged { what } = store.lookup(&key(1)) else { panic!("not damaged") };
    assert!(what.ends_with(&format!("has 10 bytes instead of {}", manifest.parts[0].bytes)), "{what}");
    assert_eq!(set_aside(&store).len(), 2);
}

#[test]
fn several_may_publish_the_same_at_once() {
    let (_folder, store) = opened();
    let stores: Vec<Store> = (0..4).map(|_| reopened(&store)).collect();
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(move || {
                for round in 0..20u8 {
                    let table = table(&["a", &round.to_string()]);
                    let manifest = published(store, key(round), "clean", &table);
                    assert_eq!(store.lookup(&key(round)), Lookup::Hit(manifest.clone()));
                    assert_eq!(*store.load(&manifest.parts[0].digest).unwrap(), table);
                }
            });
        }
    });
    let stats = store.stats().unwrap();
    assert_eq!((stats.artifacts, stats.blobs, stats.damaged), (20, 20, 0));
    assert!(disk::entries(&store.folder().join("tmp")).unwrap().is_empty());
}

#[test]
fn stats_and_ls_say_what_is_there() {
    let (_folder, store) = opened();
    assert_eq!(store.stats().unwrap(), Stats::default());
    let clean = published(&store, key(9), "clean", &table(&["a", "b"]));
    let shared = published(&store, key(8), "fuse", &table(&["a", "b"]));
    let other = published(&store, key(7), "fuse", &table(&["c"]));
    let (both, one) = (clean.parts[0].bytes, other.parts[0].bytes);
    let stats = store.stats().unwrap();
    assert_eq!((stats.artifacts, stats.blobs, stats.bytes, stats.damaged), (3, 2, both + one, 0));
    assert_eq!(stats.kinds["clean"], KindStats { artifacts: 1, bytes: both });
    assert_eq!(stats.kinds["fuse"], KindStats { artifacts: 2, bytes: both + one });
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    for (manifest, age) in [(&clean, 50), (&shared, 5000), (&other, 500)] {
        let file = File::options().write(true).open(store.manifest_path(&manifest.key)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + now - std::time::Duration::from_secs(age)).unwrap();
    }
    let entries = store.ls().unwrap();
    assert_eq!(entries.iter().map(|entry| entry.key).collect::<Vec<_>>(), [key(9), key(7), key(8)]);
    assert!((500.0..560.0).contains(&entries[1].age), "{}", entries[1].age);
    assert_eq!((entries[0].rows, entries[0].parts, entries[0].bytes), (2, 1, both));
    assert_eq!((entries[0].kind.as_str(), entries[0].phase.as_str()), ("clean", "run"));
    assert_eq!(serde_json::to_value(&entries[0]).unwrap()["key"], json!("09".repeat(32)));
}

#[test]
fn clear_removes_what_the_store_made_and_nothing_else() {
    let (folder, store) = opened();
    let manifest = published(&store, key(1), "clean", &table(&["a"]));
    let damaged = published(&store, key(2), "clean", &table(&["b"])).parts[0].digest;
    damage(&store.blob_path(&damaged));
    assert!(store.load(&damaged).unwrap_err().is_damage());
    store.remember("p", &ran(3)).unwrap();
    fs::write(store.folder().join("tmp/put-left"), "half").unwrap();
    let digest = manifest.parts[0].digest;
    store.load(&digest).unwrap();
    let shard = store.blob_path(&digest).parent().unwrap().to_owned();
    let foreign = [
        folder.path().join("cache/notes.txt"),
        folder.path().join("cache/v0"),
        store.folder().join("README"),
        store.folder().join("tmp/mine"),
        store.folder().join("last/mine.json"),
        store.folder().join("damaged/mine.parquet"),
        store.folder().join("keys/mine.json"),
        shard.join("mine.parquet"),
    ];
    for file in &foreign {
        fs::write(file, "mine").unwrap();
    }
    // Two records, one table, one table set aside, one memory, one file half written.
    let cleared = store.clear().unwrap();
    assert_eq!(cleared.files, 6);
    assert!(cleared.bytes > manifest.parts[0].bytes);
    assert!(foreign.iter().all(|file| file.exists()));
    assert_eq!(store.lookup(&key(1)), Lookup::Absent);
    assert!(store.load(&digest).unwrap_err().is_damage(), "memory is cleared as well");
    assert_eq!(store.clear().unwrap(), Cleared::default());
    published(&store, key(1), "clean", &table(&["a"]));
    assert_eq!(store.lookup(&key(1)), Lookup::Hit(manifest));
}

/// A run that had one unit.
pub(super) fn ran(byte: u8) -> LastRun {
    let mut last = LastRun::default();
    last.set("[\"tfidf\",\"fit\"]", "c=1", key(byte));
    last
}

#[test]
fn the_last_run_is_remembered_by_pipeline() {
    let (_folder, store) = opened();
    let place = "[\"tfidf\",\"fit\"]";
    assert!(store.last("p").is_none());
    store.remember("p", &LastRun::default()).unwrap();
    assert!(store.last("p").is_none(), "there was nothing to say");
    store.remember("p", &ran(3)).unwrap();
    store.remember("q", &ran(4)).unwrap();
    let mut last = reopened(&store).last("p").unwrap();
    assert_eq!((last.of(place, "c=1"), last.of(place, "c=2"), last.of("x", "c=1")), (Some(&key(3)), None, None));
    // Another variant has the same unit; then one changes. A key that no unit has any more goes.
    last.set(place, "c=2", key(3));
    last.set("x", "c=3", key(5));
    assert_eq!(last.everywhere(place), [&key(3)]);
    last.set(place, "c=1", key(6));
    last.set("x", "c=3", key(7));
    store.remember("p", &last).unwrap();
    let last = reopened(&store).last("p").unwrap();
    assert_eq!((last.of(place, "c=1"), last.of(place, "c=2")), (Some(&key(6)), Some(&key(3))));
    assert_eq!((last.of("x", "c=3"), last.of("x", "c=1")), (Some(&key(7)), None));
    assert!(!fs::read_to_string(store.last_path("p")).unwrap().contains(&key(5).to_string()));
    // A record that is damaged is nothing.
    fs::write(store.last_path("q"), "{").unwrap();
    assert!(store.last("q").is_none());
    assert_eq!(set_aside(&store).len(), 1);
    assert_eq!(store.last("p").unwrap().everywhere(place), [&key(6), &key(3)]);
}

#[test]
fn a_record_says_what_its_key_was_made_from() {
    let (_folder, store) = opened();
    assert_eq!(store.fields(&key(1)), None);
    let manifest = published(&store, key(1), "clean", &table(&["a"]));
    fs::remove_file(store.blob_path(&manifest.parts[0].digest)).unwrap();
    assert_eq!(store.fields(&key(1)), Some(fields()), "whether its tables are there or not");
    damage(&store.manifest_path(&key(1)));
    assert_eq!(store.fields(&key(1)), None);
}

#[test]
fn a_file_in_the_way_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file).unwrap_err();
    assert!(matches!(error, StoreError::NotAFolder { .. }), "{error}");
    assert!(error.help().unwrap().contains("--cache-dir"));
    let store = Store::open(&folder.path().join("other")).unwrap();
    let blob = store.put_table(&table(&["a"])).unwrap();
    let shard = store.blob_path(&blob.digest).parent().unwrap().to_owned();
    fs::remove_dir_all(&shard).unwrap();
    fs::write(&shard, "").unwrap();
    assert!(matches!(store.put_table(&table(&["a"])).unwrap_err(), StoreError::NotAFolder { .. }));
}

#[test]
fn what_dead_processes_left_is_swept() {
    let (_folder, store) = opened();
    let [old, new, foreign] = ["put-old", "put-new", "old"].map(|name| store.folder().join("tmp").join(name));
    for path in [&old, &new, &foreign] {
        fs::write(path, "half").unwrap();
    }
    for path in [&old, &foreign] {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    reopened(&store);
    assert_eq!([&old, &new, &foreign].map(|path| path.exists()), [false, true, true]);
}

#[test]
#[cfg(unix)]
fn others_may_read_a_shared_cache() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, store) = opened();
    let blob = store.put_table(&table(&["a"])).unwrap();
    let plain = store.folder().join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&store.blob_path(&blob.digest)), mode(&plain), "as the umask says");
}

#[test]
fn the_first_of_two_stays() {
    let (_folder, store) = opened();
    let first = artifact(&store, key(1), "clean", &table(&["a"]));
    assert_eq!(store.publish(&first, &fields()).unwrap(), Published::First);
    let slower = Manifest { seconds: 9.0, ..first.clone() };
    assert_eq!(store.publish(&slower, &fields()).unwrap(), Published::Same(Box::new(first.clone())));
    let mut other = artifact(&store, key(1), "clean", &table(&["b"]));
    other.parts.push(PartEntry { name: "more".to_owned(), ..other.parts[0].clone() });
    let parts = vec!["more".to_owned(), "text".to_owned()];
    assert_eq!(store.publish(&other, &fields()).unwrap(), Published::Differs { parts, kept: Box::new(first.clone()) });
    assert_eq!(reopened(&store).lookup(&key(1)), Lookup::Hit(first.clone()));
    // One that is damaged, or whose tables are gone, does not stay.
    damage(&store.manifest_path(&key(1)));
    assert_eq!(store.publish(&other, &fields()).unwrap(), Published::First);
    fs::remove_file(store.blob_path(&other.parts[0].digest)).unwrap();
    assert_eq!(store.publish(&first, &fields()).unwrap(), Published::First);
    assert_eq!(set_aside(&store).len(), 1, "the second one replaced the first");
    assert_eq!(store.lookup(&key(1)), Lookup::Hit(first));
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let (_folder, store) = opened();
    let manifest = published(&store, key(1), "clean", &table(&["a"]));
    let path = store.manifest_path(&key(1));
    let whole = fs::read(&path).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&whole).unwrap()["rows"], 1, "plain JSON");
    for at in (0..whole.len()).step_by(3) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        let Lookup::Damaged { what } = store.lookup(&key(1)) else { panic!("byte {at}") };
        assert_eq!(what, "the record 010101010101 is damaged (its bytes have changed)");
        assert_eq!(store.publish(&manifest, &fields()).unwrap(), Published::First);
    }
}

#[test]
fn a_use_is_noted_once_in_a_while() {
    let (_folder, store) = opened();
    let manifest = published(&store, key(1), "clean", &table(&["a"]));
    let (record, blob) = (store.manifest_path(&key(1)), store.blob_path(&manifest.parts[0].digest));
    for path in [&record, &blob] {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    store.lookup(&key(1));
    let used = modified(&record);
    assert!(used > SystemTime::UNIX_EPOCH);
    store.lookup(&key(1));
    assert_eq!((modified(&record), modified(&blob)), (used, SystemTime::UNIX_EPOCH));
    store.put_table(&table(&["a"])).unwrap();
    assert!(modified(&blob) >= used);
}
