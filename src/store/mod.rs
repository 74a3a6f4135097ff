//! What has been made before? Tables by the digest of their bytes, and for each unit's key a record of its tables.
//!
//! ```text
//! <folder>/v2/keys/ab/<key>.json        what a unit made: a Manifest
//! <folder>/v2/blobs/ab/<digest>.parquet the tables, each once
//! <folder>/v2/rows/<space>/<digest>.parquet  rows that are remembered one by one, see [`rows`]
//! <folder>/v2/last/<digest>.json        which key each unit of a pipeline had in its last run
//! <folder>/v2/timings.json              how long units took, on average
//! <folder>/v2/runs/<digest>.json        what a run came to
//! <folder>/v2/active/                   runs that go on
//! <folder>/v2/leases/<key>.json         who makes an artifact right now
//! <folder>/v2/leases/beats/             the processes that are at work
//! <folder>/v2/damaged/                  what was found damaged
//! <folder>/v2/tmp/                      what is being written
//! ```
//!
//! Every file is written to `tmp` and renamed, blobs first, the manifest last; what was costly to make is synced in that order.
//! So readers need no lock, several processes may write the same file, and a process that dies leaves nothing half done. Of two that publish
//! the same key the first stays. A blob is held against its digest whenever it is read, a record against the digest that it
//! ends with; damaged files are set aside and count as missing. Versions of the format stand beside each other.

mod audit;
mod beat;
mod census;
mod disk;
mod error;
mod gc;
mod last;
mod lease;
mod load;
mod manifest;
mod memory;
mod rows;
mod runs;
mod scratch;
mod seal;
mod stream;
mod timings;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;

use crate::stage::Derivations;
use crate::table::{Digest, from_parquet, to_parquet};
use disk::{Existing, Lasting};
use lease::Leases;
use manifest::{MadeFrom, Record};
use memory::Decoded;
use seal::{seal, unseal};

pub use audit::Audit;
pub use census::{Cleared, Entry, KindStats, OtherFormat, Stats};
pub use error::StoreError;
pub use gc::{Garbage, Keep};
pub use last::LastRun;
pub use lease::{Claim, Holder, Lease};
pub use manifest::{Blob, Fields, Key, Lookup, Manifest, PartEntry, Published};
pub use rows::{Recall, Remembering, RowMemory, RowSpace, RowStats, RowsChecked, Space, SpaceKind};
pub use runs::{ActiveRun, RunRecord};
pub use scratch::Scratch;
pub use stream::TableWriter;
pub use timings::{Timing, Timings};

/// The format of everything in the store; enters every key, and names the folder.
pub const STORE_FORMAT: u32 = 2;

/// The folders of a store.
const FOLDERS: [&str; 9] = ["keys", "blobs", "rows", "tmp", "damaged", "last", "runs", "active", "leases/beats"];

/// After how long a use of an artifact is worth noting again: what `cache gc` removes first is what was not used for long.
const USED_AFTER: Duration = Duration::from_secs(60);

/// From how many seconds of work on what was made is synced, tables before the record. Syncing takes about 10 ms a file, so
/// for less work it would cost more than it saves; should the machine stop within the half minute until the system writes
/// it out, what was cut is told by its size or digest, and made again.
const COSTLY: f64 = 1.0;

/// How often a file may be replaced by others while one puts it in its place.
const TRIES: u32 = 16;

/// How many bytes of decoded tables are kept for the next reader.
const DECODED_BYTES: usize = 256 * 1024 * 1024;

/// How many bytes of what was worked out from them are kept for the next unit.
const DERIVED_BYTES: usize = 256 * 1024 * 1024;

/// Artifacts on disk.
pub struct Store {
    root: PathBuf,
    decoded: Mutex<Decoded>,
    derivations: Derivations,
    leases: Arc<Leases>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("root", &self.root).finish()
    }
}

impl Store {
    /// The store in `folder`, which is made if it is not there. One that is there and cannot be written can be read.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        let root = folder.join(format!("v{STORE_FORMAT}"));
        for name in FOLDERS {
            let folder = root.join(name);
            match fs::create_dir_all(&folder).map_err(|error| StoreError::write(&folder, error)) {
                Err(error) if error.is_read_only() && root.is_dir() => break,
                made => made?,
            }
        }
        let leases = Arc::new(Leases::new(&root));
        let store = Store {
            root,
            decoded: Mutex::new(Decoded::new(DECODED_BYTES)),
            derivations: Derivations::new(DERIVED_BYTES),
            leases,
        };
        store.sweep();
        Ok(store)
    }

    /// The folder that holds everything of this format.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// What a unit with this key made, if all of it is there. Tables are measured, not read.
    pub fn lookup(&self, key: &Key) -> Lookup {
        let path = self.manifest_path(key);
        let found = match read_used(&path) {
            Ok(bytes) => self.check(key, &bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Lookup::Absent,
            Err(error) => Err(format!("the record {} cannot be read ({error})", short(key))),
        };
        found.map_or_else(
            |what| {
                // Without its record the unit is simply absent from now on. Where even this fails, so will publishing.
                drop(self.set_aside(&path));
                Lookup::Damaged { what }
            },
            Lookup::Hit,
        )
    }

    /// What a key was made from, as far as the record of its artifact is there and whole. Its tables are of no interest.
    pub fn fields(&self, key: &Key) -> Option<Fields> {
        let record = unseal::<MadeFrom>(&fs::read(self.manifest_path(key)).ok()?).ok()?;
        (record.key == *key && record.format == STORE_FORMAT).then_some(record.fields)
    }

    /// Keeps a table; the same table is kept once.
    pub fn put_table(&self, table: &RecordBatch) -> Result<Blob, StoreError> {
        let bytes = to_parquet(table)?;
        let digest = Digest::of(&bytes);
        let blob = Blob { digest, rows: table.num_rows() as u64, bytes: bytes.len() as u64 };
        let path = self.blob_path(&digest);
        if !disk::is_there(&path, blob.bytes) {
            disk::write(&self.root.join("tmp"), &path, &bytes, Existing::Replace, Lasting::Passing)?;
        }
        Ok(blob)
    }

    /// Keeps a table that has just been stored at hand for its readers.
    pub fn hold(&self, digest: Digest, table: &RecordBatch) {
        self.decoded().keep(digest, &Arc::new(table.clone()));
    }

    /// Makes an artifact known, with what its key was made from, once all its tables are kept; if a sound one is there, that
    /// one stays.
    pub fn publish(&self, manifest: &Manifest, fields: &Fields) -> Result<Published, StoreError> {
        let (bytes, path) = (seal(&Record { manifest, fields })?, self.manifest_path(&manifest.key));
        let lasting = if manifest.seconds < COSTLY { Lasting::Passing } else { Lasting::Synced };
        if lasting == Lasting::Synced {
            let blobs: Vec<PathBuf> = manifest.parts.iter().map(|part| self.blob_path(&part.digest)).collect();
            disk::sync(&blobs)?;
        }
        for _ in 0..TRIES {
            if disk::write(&self.root.join("tmp"), &path, &bytes, Existing::Keep, lasting)? {
                return Ok(Published::First);
            }
            // A damaged one is set aside by looking at it, and ours takes its place.
            if let Lookup::Hit(kept) = self.lookup(&manifest.key) {
                return Ok(Published::beside(kept, manifest));
            }
        }
        Err(StoreError::Stuck { path })
    }

    /// Reads every table of an artifact and holds it against its digest; damaged ones are set aside. True if all are whole.
    pub fn verify(&self, manifest: &Manifest) -> bool {
        let whole = |part: &PartEntry| {
            let path = self.blob_path(&part.digest);
            let same = fs::read(&path).is_ok_and(|bytes| Digest::of(&bytes) == part.digest);
            if !same {
                drop(self.set_aside(&path));
            }
            same
        };
        // All of them, so that one look finds all the damage.
        manifest.parts.iter().filter(|part| !whole(part)).count() == 0
    }

    /// The table with this digest: from memory, or read, held against the digest and decoded.
    pub fn load(&self, digest: &Digest) -> Result<Arc<RecordBatch>, StoreError> {
        if let Some(table) = self.decoded().find(digest) {
            return Ok(table);
        }
        let path = self.blob_path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Damaged { what: format!("the stored table {} is gone", short(digest)) });
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(StoreError::read(&path, error)),
            Err(error) => {
                self.set_aside(&path)?;
                return Err(StoreError::Damaged {
                    what: format!("the stored table {} cannot be read ({error})", short(digest)),
                });
            }
        };
        if Digest::of(&bytes) != *digest {
            self.set_aside(&path)?;
            return Err(StoreError::Damaged { what: format!("the stored table {} is damaged", short(digest)) });
        }
        let table = Arc::new(from_parquet(bytes)?);
        self.decoded().keep(*digest, &table);
        Ok(table)
    }

    /// The manifest in `bytes`, if it is whole, is about `key` and all its blobs are there; else what is wrong.
    fn check(&self, key: &Key, bytes: &[u8]) -> Result<Manifest, String> {
        let manifest =
            unseal::<Manifest>(bytes).map_err(|error| format!("the record {} is damaged ({error})", short(key)))?;
        if manifest.key != *key || manifest.format != STORE_FORMAT {
            return Err(format!("the record {} is about something else", short(key)));
        }
        for part in &manifest.parts {
            let path = self.blob_path(&part.digest);
            let said = || format!("the stored table {} (`{}` of {})", short(&part.digest), part.name, manifest.kind);
            match disk::size(&path) {
                Some(size) if size == part.bytes => {}
                Some(size) => {
                    drop(self.set_aside(&path));
                    return Err(format!("{} has {size} bytes instead of {}", said(), part.bytes));
                }
                None => return Err(format!("{} is gone", said())),
            }
        }
        Ok(manifest)
    }

    /// Moves a file out of the way; one that is gone already is no error.
    fn set_aside(&self, path: &Path) -> Result<(), StoreError> {
        let Some(name) = path.file_name() else { return Ok(()) };
        match fs::rename(path, self.root.join("damaged").join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::write(path, error)),
            _ => Ok(()),
        }
    }

    fn manifest_path(&self, key: &Key) -> PathBuf {
        disk::sharded(&self.root.join("keys"), &key.to_string(), "json")
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        disk::sharded(&self.root.join("blobs"), &digest.to_string(), "parquet")
    }

    fn decoded(&self) -> MutexGuard<'_, Decoded> {
        self.decoded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record's bytes. That it was used now is noted, as far as that is possible.
fn read_used(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    file.read_to_end(&mut bytes)?;
    disk::note_use(&file, &metadata);
    Ok(bytes)
}

/// The first digits, enough for people.
fn short(name: &impl fmt::Display) -> String {
    name.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests;
