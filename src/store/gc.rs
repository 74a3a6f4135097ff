//! What may go from the store? Whatever no kept run came to and no run needs now, the longest unused first.
//!
//! A run that is kept keeps every artifact that it made or used. While a run goes on, nothing goes that was made or used
//! since the oldest one began. Records go before tables, and tables are held against the records that are then left, so that
//! whoever is stopped midway, or cleans up beside another, leaves a sound store: at worst an artifact is made again.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustc_hash::{FxHashMap, FxHashSet};

use super::beat::{Presence, SILENCE};
use super::census::{Entry, entry};
use super::disk;
use super::{Cleared, Key, Manifest, RowSpace, SpaceKind, Store, StoreError, USED_AFTER};
use crate::table::Digest;

/// What is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The last runs of each pipeline, so many, with all that they came to.
    pub runs: usize,
    /// Of everything else, the last used, until the store has this many bytes in all. `None`: nothing else.
    pub bytes: Option<u64>,
}

/// What may go.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Artifacts, the longest unused first.
    pub artifacts: Vec<Entry>,
    /// Rows that are remembered one by one, by what they are remembered for.
    pub spaces: Vec<RowSpace>,
    /// Bytes of all that goes, of whatever kind.
    pub bytes: u64,
    /// Tables that belong to no artifact that stays.
    pub tables: u64,
    /// Records of runs that are kept no longer.
    pub runs: u64,
    /// Files set aside as damaged, or left by processes that ended.
    pub leftovers: u64,
    /// Bytes that stay.
    pub kept: u64,
    began: Option<SystemTime>,
    records: Vec<PathBuf>,
    forgotten: Vec<PathBuf>,
    left: Vec<PathBuf>,
}

/// What may go, if room is wanted.
struct Candidate {
    used: SystemTime,
    bytes: u64,
    what: What,
}

enum What {
    Artifact(PathBuf, Box<Manifest>),
    Rows(RowSpace),
}

impl Store {
    /// What may go, if `keep` is to be kept. Removes nothing. Waits for some seconds if a run on another host may have ended
    /// without saying so.
    pub fn garbage(&self, keep: &Keep) -> Result<Garbage, StoreError> {
        self.watch_active()?;
        let began = disk::time(&self.folder().join("tmp"));
        let before = self.spared_since(began)?;
        let (kept_keys, forgotten) = self.kept_keys(keep.runs)?;
        let runs = forgotten.len() as u64;
        let mut garbage = Garbage { runs, forgotten, began: Some(began), ..Garbage::default() };
        let mut candidates = self.idle_rows(keep, before, &mut garbage)?;
        let mut blobs = Blobs::of(self)?;
        for (path, manifest) in self.manifests()? {
            let Some((used, bytes)) = used(&path) else { continue };
            blobs.add(&manifest);
            garbage.kept += bytes;
            if used < before && !kept_keys.contains(&manifest.key) {
                candidates.push(Candidate { used, bytes, what: What::Artifact(path, Box::new(manifest)) });
            }
        }
        garbage.kept += blobs.bytes();
        for (_, bytes) in blobs.orphans(before) {
            garbage.tables += 1;
            garbage.lose(bytes);
        }
        // Equally old ones stay in the order of their names.
        candidates.sort_by_key(|candidate| candidate.used);
        for Candidate { bytes, what, .. } in candidates {
            if keep.bytes.is_some_and(|most| garbage.kept <= most) {
                break;
            }
            garbage.lose(bytes);
            match what {
                What::Rows(space) => garbage.spaces.push(space),
                What::Artifact(path, manifest) => {
                    for freed in blobs.remove(&manifest, before) {
                        garbage.tables += 1;
                        garbage.lose(freed);
                    }
                    garbage.artifacts.push(entry(&path, *manifest));
                    garbage.records.push(path);
                }
            }
        }
        garbage.left = self.leftovers(before)?;
        garbage.leftovers = garbage.left.len() as u64;
        garbage.bytes += garbage.left.iter().chain(&garbage.forgotten).filter_map(|file| disk::size(file)).sum::<u64>();
        Ok(garbage)
    }

    /// Removes what may go, less what was used meanwhile.
    pub fn remove(&self, garbage: &Garbage) -> Result<Cleared, StoreError> {
        let began = garbage.began.unwrap_or(SystemTime::UNIX_EPOCH);
        let mut cleared = Cleared::default();
        for file in &garbage.forgotten {
            cleared.remove(file)?;
        }
        for record in &garbage.records {
            // Asked again each time: a run may have begun since, and have found this one.
            let before = self.spared_since(began)?;
            if used(record).is_some_and(|(used, _)| used < before) {
                cleared.remove(record)?;
            }
        }
        for space in &garbage.spaces {
            let before = self.spared_since(began)?;
            if used(&self.space_folder(&space.space)).is_some_and(|(used, _)| used < before) {
                let removed = self.remove_rows(&space.space)?;
                cleared = Cleared { files: cleared.files + removed.files, bytes: cleared.bytes + removed.bytes };
            }
        }
        let mut blobs = Blobs::of(self)?;
        for (_, manifest) in self.manifests()? {
            blobs.add(&manifest);
        }
        let before = self.spared_since(began)?;
        for (digest, _) in blobs.orphans(before) {
            let blob = self.blob_path(&digest);
            if used(&blob).is_some_and(|(used, _)| used < before) {
                cleared.remove(&blob)?;
            }
        }
        for file in &garbage.left {
            cleared.remove(file)?;
        }
        self.leases.sweep()?;
        self.leases.beats.sweep();
        self.decoded().clear();
        Ok(cleared)
    }

    /// The remembered rows that may go. Those of units that were stopped midway go in any case; the others are needed by no
    /// run that is kept, but would be costly to make again, and go only for room.
    fn idle_rows(&self, keep: &Keep, before: SystemTime, garbage: &mut Garbage) -> Result<Vec<Candidate>, StoreError> {
        let mut candidates = Vec::new();
        for space in self.row_spaces()? {
            garbage.kept += space.bytes;
            let Some((used, _)) = used(&self.space_folder(&space.space)).filter(|(used, _)| *used < before) else {
                continue;
            };
            match space.space.kind {
                SpaceKind::Checkpoint => {
                    garbage.lose(space.bytes);
                    garbage.spaces.push(space);
                }
                SpaceKind::Memory if keep.bytes.is_some() => {
                    candidates.push(Candidate { used, bytes: space.bytes, what: What::Rows(space) });
                }
                SpaceKind::Memory => {}
            }
        }
        Ok(candidates)
    }

    /// What was made or used since then is spared: since one `began` to clear up, or the oldest run began that goes on.
    fn spared_since(&self, began: SystemTime) -> Result<SystemTime, StoreError> {
        // A use is noted again only after a while, so a run may have used what was noted a while before it began.
        let noted = USED_AFTER + Duration::from_secs(2);
        let active = self.oldest_active()?.and_then(|active| active.checked_sub(noted));
        Ok(active.map_or(began, |active| active.min(began)))
    }

    /// Waits until the runs on other hosts have shown that they go on, or have not.
    fn watch_active(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let unknown = |(_, presence): &(PathBuf, Presence)| *presence == Presence::Elsewhere;
        while self.active_runs()?.iter().any(unknown) && started.elapsed() <= SILENCE + Duration::from_millis(200) {
            std::thread::sleep(SILENCE / 20);
        }
        Ok(())
    }

    /// The keys of the last `most` runs of each pipeline, and the records of all other runs.
    fn kept_keys(&self, most: usize) -> Result<(FxHashSet<Key>, Vec<PathBuf>), StoreError> {
        let mut counted: FxHashMap<String, usize> = FxHashMap::default();
        let (mut keys, mut forgotten) = (FxHashSet::default(), Vec::new());
        for (file, run) in self.recorded_runs()? {
            let count = counted.entry(run.pipeline).or_default();
            *count += 1;
            match *count <= most {
                true => keys.extend(run.keys),
                false => forgotten.push(file),
            }
        }
        Ok((keys, forgotten))
    }

    /// What was set aside as damaged, and what no living process is writing.
    fn leftovers(&self, before: SystemTime) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = self.set_aside_files()?;
        let over = |file: &PathBuf| used(file).is_some_and(|(at, _)| at < before) && disk::age(file) > LONG;
        files.extend(self.half_written()?.into_iter().filter(over));
        Ok(files)
    }
}

/// For how long no file is in the writing, whether a run says that it goes on or not.
const LONG: Duration = Duration::from_secs(60 * 60);

/// When a file was last made or used, and its size.
fn used(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The tables on disk, and how many records name each.
struct Blobs {
    blobs: FxHashMap<Digest, Blob>,
}

struct Blob {
    used: SystemTime,
    bytes: u64,
    named: u32,
}

impl Blobs {
    fn of(store: &Store) -> Result<Self, StoreError> {
        let mut blobs = FxHashMap::default();
        for path in disk::sharded_files(&store.folder().join("blobs"), "parquet")? {
            let digest = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let (Some(digest), Some((used, bytes))) = (digest, used(&path)) {
                blobs.insert(digest, Blob { used, bytes, named: 0 });
            }
        }
        Ok(Blobs { blobs })
    }

    fn add(&mut self, manifest: &Manifest) {
        for digest in digests(manifest) {
            if let Some(blob) = self.blobs.get_mut(&digest) {
                blob.named += 1;
            }
        }
    }

    /// The sizes of the tables that go with a record: those that no other names, and that nobody used lately.
    fn remove(&mut self, manifest: &Manifest, before: SystemTime) -> Vec<u64> {
        let mut freed = Vec::new();
        for digest in digests(manifest) {
            if let Some(blob) = self.blobs.get_mut(&digest) {
                blob.named -= 1;
                freed.extend((blob.named == 0 && blob.used < before).then_some(blob.bytes));
            }
        }
        freed
    }

    /// Tables that no record names, and that nobody used lately, in the order of their digests.
    fn orphans(&self, before: SystemTime) -> Vec<(Digest, u64)> {
        let orphan = |blob: &Blob| blob.named == 0 && blob.used < before;
        let mut all: Vec<(Digest, u64)> =
            self.blobs.iter().filter(|(_, blob)| orphan(blob)).map(|(digest, blob)| (*digest, blob.bytes)).collect();
        all.sort_unstable();
        all
    }

    fn bytes(&self) -> u64 {
        self.blobs.values().map(|blob| blob.bytes).sum()
    }
}

/// Each table once, though several parts may be the same.
fn digests(manifest: &Manifest) -> BTreeSet<Digest> {
    manifest.parts.iter().map(|part| part.digest).collect()
}

impl Garbage {
    fn lose(&mut self, bytes: u64) {
        (self.kept, self.bytes) = (self.kept - bytes, self.bytes + bytes);
    }
}

impl Cleared {
    /// Removes a file; one that is gone already was removed by another.
    pub(super) fn remove(&mut self, file: &Path) -> Result<(), StoreError> {
        let bytes = disk::size(file).unwrap_or_default();
        match fs::remove_file(file) {
            Ok(()) => (self.files, self.bytes) = (self.files + 1, self.bytes + bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::remove(file, error)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::tests::{artifact, fields, key, opened, published, reopened, table};
    use super::super::{Lookup, RunRecord};
    use super::*;

    const NOTHING: Keep = Keep { runs: 0, bytes: Some(0) };

    /// As if it had been used so many days ago.
    fn used_days_ago(path: &Path, days: u64) {
        let at = SystemTime::UNIX_EPOCH + disk::now() - Duration::from_secs(days * 24 * 60 * 60);
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    /// An artifact that was made so many days ago.
    fn old(store: &Store, byte: u8, texts: &[&str], days: u64) -> Manifest {
        let manifest = published(store, key(byte), "clean", &table(texts));
        used_days_ago(&store.manifest_path(&manifest.key), days);
        used_days_ago(&store.blob_path(&manifest.parts[0].digest), days);
        manifest
    }

    fn record(store: &Store, pipeline: &str, ended: u64, keys: &[u8]) {
        let keys = keys.iter().map(|byte| key(*byte)).collect();
        let run = RunRecord { pipeline: pipeline.to_owned(), folder: "/runs/p".into(), ended, keys };
        store.record_run(&run).unwrap();
    }

    fn gone(garbage: &Garbage) -> Vec<Key> {
        garbage.artifacts.iter().map(|entry| entry.key).collect()
    }

    fn there(store: &Store) -> Vec<u8> {
        let hit = |byte: &u8| matches!(reopened(store).lookup(&key(*byte)), Lookup::Hit(_));
        (0..10).filter(hit).collect()
    }

    #[test]
    fn what_the_last_runs_came_to_stays() {
        let (_folder, store) = opened();
        for byte in 1..=6 {
            old(&store, byte, &[&byte.to_string()], 1);
        }
        record(&store, "p", 1, &[1, 2]);
        record(&store, "p", 2, &[2, 3]);
        record(&store, "p", 3, &[3, 4]);
        record(&store, "q", 1, &[5]);
        let garbage = store.garbage(&Keep { runs: 2, bytes: None }).unwrap();
        assert_eq!((gone(&garbage), garbage.tables, garbage.runs), (vec![key(1), key(6)], 2, 1));
        assert_eq!(there(&store), [1, 2, 3, 4, 5, 6], "looking removes nothing");
        for byte in 1..=6 {
            used_days_ago(&store.manifest_path(&key(byte)), 1);
        }
        let cleared = store.remove(&garbage).unwrap();
        assert_eq!(cleared, Cleared { files: 5, bytes: garbage.bytes });
        assert_eq!(there(&store), [2, 3, 4, 5]);
        assert_eq!(store.recorded_runs().unwrap().len(), 3);
        let garbage = store.garbage(&Keep { runs: 0, bytes: None }).unwrap();
        // Used just now, when it was looked up; nothing goes on, so that is no reason to stay.
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(garbage.runs, 3);
        store.remove(&store.garbage(&NOTHING).unwrap()).unwrap();
        assert!(there(&store).is_empty());
        assert_eq!(store.stats().unwrap().blobs, 0);
    }

    #[test]
    fn the_longest_unused_goes_first_until_the_size_is_kept() {
        let (_folder, store) = opened();
        let all: Vec<Manifest> =
            [(1, 5), (2, 9), (3, 1), (4, 7)].map(|(byte, days)| old(&store, byte, &[&byte.to_string()], days)).into();
        let whole = store.garbage(&Keep { runs: 0, bytes: Some(u64::MAX) }).unwrap();
        assert!(gone(&whole).is_empty());
        let one = all[0].parts[0].bytes + disk::size(&store.manifest_path(&key(1))).unwrap();
        let most = whole.kept - one;
        let garbage = store.garbage(&Keep { runs: 0, bytes: Some(most) }).unwrap();
        assert_eq!(
            (gone(&garbage), garbage.kept <= most, garbage.kept + garbage.bytes),
            (vec![key(2)], true, whole.kept)
        );
        assert_eq!(gone(&store.garbage(&Keep { runs: 0, bytes: Some(most - 1) }).unwrap()), [key(2), key(4)]);
        record(&store, "p", 1, &[2]);
        assert_eq!(gone(&store.garbage(&Keep { runs: 1, bytes: Some(most - 1) }).unwrap()), [key(4), key(1)]);
        let too_much = store.garbage(&Keep { runs: 1, bytes: Some(0) }).unwrap();
        assert_eq!(gone(&too_much), [key(4), key(1), key(3)]);
        assert!(too_much.kept > 0, "the kept run stays whatever the size");
    }

    #[test]
    fn a_table_stays_as_long_as_any_record_names_it() {
        let (_folder, store) = opened();
        let shared = old(&store, 1, &["same"], 2);
        old(&store, 2, &["same"], 1);
        old(&store, 3, &["other"], 2);
        let orphan = store.put_table(&table(&["never published"])).unwrap();
        used_days_ago(&store.blob_path(&orphan.digest), 1);
        record(&store, "p", 1, &[2]);
        let garbage = store.garbage(&Keep { runs: 1, bytes: Some(0) }).unwrap();
        assert_eq!((gone(&garbage), garbage.tables), (vec![key(1), key(3)], 2));
        store.remove(&garbage).unwrap();
        assert_eq!(there(&store), [2]);
        assert!(store.load(&shared.parts[0].digest).is_ok());
        assert!(!store.blob_path(&orphan.digest).exists());
    }

    #[test]
    fn what_a_run_needs_that_goes_on_stays() {
        let (_folder, store) = opened();
        let unused = old(&store, 1, &["a"], 1);
        let looked_up = old(&store, 2, &["b"], 1);
        old(&store, 3, &["c"], 1);
        let handed_on = old(&store, 4, &["d"], 1);
        let run = store.begin_run().unwrap();
        let other = reopened(&store);
        let fresh = artifact(&store, key(5), "clean", &table(&["e"]));
        assert_eq!(store.lookup(&looked_up.key), Lookup::Hit(looked_up.clone()));
        let garbage = other.garbage(&NOTHING).unwrap();
        assert_eq!(gone(&garbage), [key(1), key(3), key(4)]);
        // Between the look and the removal the run finds one more, and makes another of a table that was to go.
        assert!(matches!(store.lookup(&key(3)), Lookup::Hit(_)));
        let same = artifact(&store, key(6), "clean", &table(&["d"]));
        other.remove(&garbage).unwrap();
        store.publish(&fresh, &fields()).unwrap();
        store.publish(&same, &fields()).unwrap();
        assert_eq!(there(&store), [2, 3, 5, 6]);
        assert!(!store.blob_path(&unused.parts[0].digest).exists());
        assert!(store.blob_path(&handed_on.parts[0].digest).exists());
        drop(run);
        std::thread::sleep(Duration::from_millis(20));
        other.remove(&other.garbage(&NOTHING).unwrap()).unwrap();
        assert!(there(&store).is_empty());
    }

    #[test]
    fn a_run_that_begins_after_the_look_is_spared() {
        let (_folder, store) = opened();
        old(&store, 1, &["a"], 1);
        old(&store, 2, &["b"], 1);
        let garbage = store.garbage(&NOTHING).unwrap();
        let _run = store.begin_run().unwrap();
        assert!(matches!(reopened(&store).lookup(&key(1)), Lookup::Hit(_)));
        store.remove(&garbage).unwrap();
        assert_eq!(there(&store), [1]);
    }

    #[test]
    fn whoever_is_stopped_midway_leaves_a_sound_store_and_two_may_clear_up_at_once() {
        let (_folder, store) = opened();
        for byte in 1..=9 {
            old(&store, byte, &[&(byte % 4).to_string()], 1);
        }
        let all = store.garbage(&NOTHING).unwrap();
        // Stopped after some records: the others are whole, and their tables are there.
        for record in &all.records[..5] {
            fs::remove_file(record).unwrap();
        }
        let other = reopened(&store);
        assert_eq!(other.audit(&|_, _| {}).unwrap().damaged, Vec::<String>::new());
        let again = other.garbage(&NOTHING).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| store.remove(&all).unwrap());
            scope.spawn(|| other.remove(&again).unwrap());
        });
        let stats = store.stats().unwrap();
        assert_eq!((stats.artifacts, stats.blobs), (0, 0));
        assert_eq!(store.audit(&|_, _| {}).unwrap().damaged, Vec::<String>::new());
    }

    #[test]
    fn what_was_set_aside_or_left_half_written_goes() {
        let (_folder, store) = opened();
        let damaged = store.folder().join("damaged").join(format!("{}.json", key(1)));
        let [half, writing] = ["put-half", "put-new"].map(|name| store.folder().join("tmp").join(name));
        for path in [&damaged, &half, &writing] {
            fs::write(path, "x").unwrap();
        }
        used_days_ago(&half, 1);
        let garbage = store.garbage(&Keep { runs: 3, bytes: Some(u64::MAX) }).unwrap();
        assert_eq!((garbage.leftovers, garbage.bytes), (2, 2));
        store.remove(&garbage).unwrap();
        assert_eq!([&damaged, &half, &writing].map(|path| path.exists()), [false, false, true]);
    }
}
