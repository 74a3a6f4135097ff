//! Who makes an artifact right now? A lease on its key says so to all processes on all hosts that share the store.
//!
//! Leases only spare work: what is published is whole and the first stays, whoever held what. So a lease may be lost (its
//! process was stopped for long, or its disk was away), and the work is then done twice, but never wrongly.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::beat::{Beats, Owner};
use super::disk::{self, Existing, Lasting, TMP_PREFIX};
use super::seal::{seal, unseal};
use super::{Key, Store, StoreError, TRIES};

/// Whose work a key is.
#[derive(Debug)]
pub enum Claim {
    /// Ours, as long as the lease lives.
    Mine(Lease),
    /// Somebody else's: look the key up again soon, and claim again.
    Theirs(Holder),
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// The process.
    pub pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// The right to make what belongs to a key. Ends when dropped.
#[derive(Debug)]
pub struct Lease {
    key: Key,
    bytes: Vec<u8>,
    leases: Arc<Leases>,
}

impl Store {
    /// Asks for the right to make what belongs to `key`; does not wait. A lease whose process has ended, or has been silent
    /// for some seconds, is taken over. Whoever gets the lease must look the key up once more: another may just have
    /// published it.
    pub fn claim(&self, key: &Key) -> Result<Claim, StoreError> {
        self.leases.claim(key).map_err(|error| match error {
            // Which of its files could not be written first is of no interest.
            StoreError::ReadOnly { .. } => StoreError::ReadOnly { path: self.folder().to_owned() },
            error => error,
        })
    }
}

/// The leases of a store, as one process sees them.
#[derive(Debug)]
pub(super) struct Leases {
    folder: PathBuf,
    tmp: PathBuf,
    pub(super) beats: Beats,
    held: Mutex<FxHashSet<Key>>,
    serial: AtomicU64,
}

/// What a lease's file says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    key: Key,
    owner: Owner,
    serial: u64,
}

impl Leases {
    pub(super) fn new(root: &Path) -> Self {
        let folder = root.join("leases");
        let beats = Beats::new(folder.join("beats"));
        Leases { folder, tmp: root.join("tmp"), beats, held: Mutex::default(), serial: AtomicU64::new(0) }
    }

    /// A number that this process has not used yet.
    pub(super) fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn claim(self: &Arc<Self>, key: &Key) -> Result<Claim, StoreError> {
        if !self.held().insert(*key) {
            return Ok(Claim::Theirs(Holder::of(self.beats.own())));
        }
        let claimed = self.claim_of_others(key);
        if !matches!(claimed, Ok(Claim::Mine(_))) {
            self.held().remove(key);
        }
        claimed
    }

    fn claim_of_others(self: &Arc<Self>, key: &Key) -> Result<Claim, StoreError> {
        self.beats.start()?;
        let own = self.beats.own();
        let bytes = seal(&Note { key: *key, owner: own.clone(), serial: self.next() })?;
        let path = self.path(key);
        let mut holder = Holder { host: "unknown".to_owned(), pid: 0 };
        for _ in 0..TRIES {
            match fs::read(&path) {
                // So it is ours, even if the network lost the answer that said so.
                Ok(found) if found == bytes => return Ok(self.lease(key, bytes)),
                Ok(found) => {
                    let note = unseal::<Note>(&found).ok();
                    let owner = note.as_ref().map(|note| &note.owner);
                    holder = owner.map_or(holder, Holder::of);
                    // One of our own that is not held could not be removed when it ended.
                    let left = owner.is_some_and(|owner| owner.token == own.token);
                    if !left && !self.beats.is_over(owner, &found) {
                        return Ok(Claim::Theirs(holder));
                    }
                    self.take_away(&path, &found)?;
                }
                Err(error) if is_gone(&error) => {
                    if disk::write(&self.tmp, &path, &bytes, Existing::Keep, Lasting::Passing)? {
                        return Ok(self.lease(key, bytes));
                    }
                }
                Err(error) => return Err(StoreError::read(&path, error)),
            }
        }
        Ok(Claim::Theirs(holder))
    }

    fn lease(self: &Arc<Self>, key: &Key, bytes: Vec<u8>) -> Claim {
        Claim::Mine(Lease { key: *key, bytes, leases: Arc::clone(self) })
    }

    /// Takes away the lease that was judged to be over: moved aside first, since another may have taken it over meanwhile.
    fn take_away(&self, path: &Path, judged: &[u8]) -> Result<(), StoreError> {
        // Nearly always this already tells that another was faster, and then nothing is moved.
        if fs::read(path).map_or_else(|error| is_gone(&error), |found| found != judged) {
            return Ok(());
        }
        let aside = self.tmp.join(format!("{TMP_PREFIX}{}-{}", self.beats.own().token, self.next()));
        match fs::rename(path, &aside) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(StoreError::write(path, error)),
        }
        if fs::read(&aside).is_ok_and(|moved| moved != judged) {
            // Somebody's who is at work: it goes back, unless yet another has come, which costs that somebody the lease.
            drop(fs::hard_link(&aside, path));
        }
        drop(fs::remove_file(&aside));
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }

    /// Removes the leases of processes that are over.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        for file in disk::entries(&self.folder)?.into_iter().filter(|file| disk::is_ours(file, "json")) {
            let Ok(found) = fs::read(&file) else { continue };
            let note = unseal::<Note>(&found).ok();
            if self.beats.is_over(note.as_ref().map(|note| &note.owner), &found) {
                self.take_away(&file, &found)?;
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, FxHashSet<Key>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let path = self.leases.path(&self.key);
        // It may have been taken over: then it is no longer ours to remove.
        if fs::read(&path).is_ok_and(|found| found == self.bytes) {
            drop(fs::remove_file(&path));
        }
        self.leases.held().remove(&self.key);
    }
}

impl Holder {
    fn of(owner: &Owner) -> Self {
        Holder { host: owner.host.clone(), pid: owner.pid }
    }
}

/// True for a file that is not there, or that another host has just replaced.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tempfile::TempDir;

    use super::super::beat::SILENCE;
    use super::*;

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn opened() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn mine(store: &Store, key: Key) -> Lease {
        match store.claim(&key).unwrap() {
            Claim::Mine(lease) => lease,
            Claim::Theirs(holder) => panic!("held by {holder}"),
        }
    }

    fn theirs(store: &Store, key: Key) -> bool {
        matches!(store.claim(&key).unwrap(), Claim::Theirs(_))
    }

    /// Seconds until the key can be had.
    fn waited(store: &Store, key: Key) -> f64 {
        let started = Instant::now();
        while theirs(store, key) {
            assert!(started.elapsed() < 10 * SILENCE);
            std::thread::sleep(SILENCE / 50);
        }
        started.elapsed().as_secs_f64()
    }

    fn leave(store: &Store, key: Key, change: impl FnOnce(&mut Note)) {
        let mut note = Note { key, owner: store.leases.beats.own().clone(), serial: 7 };
        note.owner.token = "ab".repeat(16);
        change(&mut note);
        fs::write(store.leases.path(&key), seal(&note).unwrap()).unwrap();
    }

    fn files(store: &Store) -> usize {
        ["leases", "leases/beats", "tmp"]
            .map(|name| disk::entries(&store.folder().join(name)).unwrap().len())
            .iter()
            .sum()
    }

    #[test]
    fn a_key_is_one_processs_at_a_time() {
        let (folder, store) = opened();
        let other = Store::open(folder.path()).unwrap();
        let lease = mine(&store, key(1));
        assert!(theirs(&store, key(1)), "within a process as well");
        let Claim::Theirs(holder) = other.claim(&key(1)).unwrap() else { panic!("taken twice") };
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(holder.to_string(), format!("process {} on {}", holder.pid, holder.host));
        let second = mine(&other, key(2));
        assert!(theirs(&store, key(2)));
        drop(lease);
        drop(mine(&other, key(1)));
        drop((second, store, other));
        assert_eq!(files(&Store::open(folder.path()).unwrap()), 1, "only the folder of the beats");
    }

    #[test]
    fn of_many_who_ask_one_gets_it() {
        let (folder, _store) = opened();
        let stores: Vec<Store> = (0..8).map(|_| Store::open(folder.path()).unwrap()).collect();
        for round in 0..20u8 {
            if round % 2 == 1 {
                // One that was left by a process that has ended is taken over by one alone.
                leave(&stores[0], key(round), |note| (note.owner.pid, note.serial) = (u32::MAX, 0));
            }
            let claim = |store: &Store| match store.claim(&key(round)).unwrap() {
                Claim::Mine(lease) => Some(lease),
                Claim::Theirs(_) => None,
            };
            let leases: Vec<Option<Lease>> = std::thread::scope(|scope| {
                let asked: Vec<_> = stores.iter().map(|store| scope.spawn(move || claim(store))).collect();
                asked.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let held = leases.iter().flatten().count();
            // Off Linux, one that was left is taken over after some silence. Two at the same instant may both have it, rarely.
            let left = round % 2 == 1;
            let wanted = if left && !cfg!(target_os = "linux") { 0..=0 } else { 1..=(1 + usize::from(left)) };
            assert!(wanted.contains(&held), "round {round}: {held}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_lease_of_a_process_that_has_ended_holds_nobody_up() {
        let (_folder, store) = opened();
        leave(&store, key(1), |note| note.owner.pid = u32::MAX);
        mine(&store, key(1));
        assert_eq!(disk::entries(&store.folder().join("tmp")).unwrap().len(), 0);
    }

    #[test]
    fn a_lease_of_another_host_holds_as_long_as_its_beat_goes() {
        let (_folder, store) = opened();
        for (byte, change) in [
            (1, (|note: &mut Note| note.owner.host = "elsewhere".to_owned()) as fn(&mut Note)),
            // A name that would lead out of the folder is no name.
            (2, |note| (note.owner.host, note.owner.token) = ("elsewhere".to_owned(), "../../x".to_owned())),
        ] {
            leave(&store, key(byte), change);
            let waited = waited(&store, key(byte));
            assert!(waited > SILENCE.as_secs_f64() * 0.9, "{waited}");
        }
        fs::write(store.leases.path(&key(3)), "{\"key\"").unwrap();
        assert!(waited(&store, key(3)) > SILENCE.as_secs_f64() * 0.9);
        leave(&store, key(4), |note| note.owner.host = "elsewhere".to_owned());
        let beat = store.folder().join(format!("leases/beats/{}.json", "ab".repeat(16)));
        let started = Instant::now();
        let mut beats = 0;
        while started.elapsed() < 3 * SILENCE {
            beats += 1;
            fs::write(&beat, beats.to_string()).unwrap();
            assert!(theirs(&store, key(4)));
            std::thread::sleep(SILENCE / 10);
        }
        waited(&store, key(4));
    }

    #[test]
    fn a_lease_that_was_taken_over_is_not_ended_by_who_lost_it() {
        let (folder, store) = opened();
        let other = Store::open(folder.path()).unwrap();
        let lost = mine(&store, key(1));
        other.leases.take_away(&other.leases.path(&key(1)), &lost.bytes).unwrap();
        let lease = mine(&other, key(1));
        drop(lost);
        assert!(theirs(&store, key(1)));
        // Nor is one taken away that is not the one that was judged.
        store.leases.take_away(&store.leases.path(&key(1)), b"another").unwrap();
        assert!(theirs(&store, key(1)));
        drop(lease);
        mine(&store, key(1));
    }

    #[test]
    fn leases_of_the_dead_are_swept() {
        let (_folder, store) = opened();
        let lease = mine(&store, key(1));
        leave(&store, key(2), |note| note.owner.host = "elsewhere".to_owned());
        store.leases.sweep().unwrap();
        assert!(store.leases.path(&key(2)).exists());
        std::thread::sleep(SILENCE + SILENCE / 10);
        store.leases.sweep().unwrap();
        assert_eq!((store.leases.path(&key(1)).exists(), store.leases.path(&key(2)).exists()), (true, false));
        drop(lease);
    }
}
