//! What is in the store, and how is it emptied?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::disk::{self, TMP_PREFIX};
use super::seal::unseal;
use super::{Key, Manifest, RowStats, STORE_FORMAT, Store, StoreError};
use crate::table::Digest;

/// After how long a file in `tmp` cannot belong to a living process.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// How much is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Artifacts.
    pub artifacts: u64,
    /// Stored tables.
    pub blobs: u64,
    /// Bytes of all stored tables.
    pub bytes: u64,
    /// By the kind of stage that made them.
    pub kinds: BTreeMap<String, KindStats>,
    /// Files that were found damaged and set aside.
    pub damaged: u64,
    /// Rows that are remembered one by one.
    pub remembered: RowStats,
    /// Runs that are recorded.
    pub runs: u64,
    /// What other versions of Fuseline keep in the same folder.
    pub others: Vec<OtherFormat>,
}

/// What a version of Fuseline with another format keeps beside this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherFormat {
    /// Its format.
    pub format: u32,
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes in it.
    pub bytes: u64,
}

/// How much stages of one kind made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct KindStats {
    /// Artifacts.
    pub artifacts: u64,
    /// Bytes of their tables; a table that one kind hands on to another counts for both.
    pub bytes: u64,
}

/// An artifact in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The unit's key.
    pub key: Key,
    /// The stage's kind.
    pub kind: String,
    /// The unit's phase.
    pub phase: String,
    /// Rows made.
    pub rows: u64,
    /// Its tables.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Seconds it took to make.
    pub seconds: f64,
    /// Seconds since it was made or last used.
    pub age: f64,
    /// The version of Fuseline that made it.
    pub made_by: String,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cleared {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// How much is in the store. Records that cannot be read are passed over.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        let mut blobs: BTreeMap<String, BTreeSet<(Digest, u64)>> = BTreeMap::new();
        for (_, manifest) in self.manifests()? {
            stats.artifacts += 1;
            stats.kinds.entry(manifest.kind.clone()).or_default().artifacts += 1;
            let parts = manifest.parts.iter().map(|part| (part.digest, part.bytes));
            blobs.entry(manifest.kind).or_default().extend(parts);
        }
        for (kind, blobs) in blobs {
            stats.kinds.entry(kind).or_default().bytes = blobs.iter().map(|(_, bytes)| bytes).sum();
        }
        for blob in disk::sharded_files(&self.folder().join("blobs"), "parquet")? {
            stats.blobs += 1;
            stats.bytes += disk::size(&blob).unwrap_or_default();
        }
        stats.damaged = disk::entries(&self.folder().join("damaged"))?.len() as u64;
        stats.remembered = self.row_memory_stats()?;
        stats.runs = self.recorded_runs()?.len() as u64;
        stats.others = self.other_formats()?;
        Ok(stats)
    }

    /// What versions of Fuseline with other formats keep in the same folder.
    pub fn other_formats(&self) -> Result<Vec<OtherFormat>, StoreError> {
        let format = |folder: PathBuf| {
            let format = folder.file_name()?.to_str()?.strip_prefix('v')?.parse().ok()?;
            let ours = format != STORE_FORMAT && folder.join("keys").is_dir() && folder.join("blobs").is_dir();
            ours.then(|| OtherFormat { format, bytes: disk::folder_size(&folder), folder })
        };
        let above = self.folder().parent().unwrap_or(self.folder());
        let mut others: Vec<OtherFormat> = disk::entries(above)?.into_iter().filter_map(format).collect();
        others.sort_by_key(|other| other.format);
        Ok(others)
    }

    /// Removes what older versions of Fuseline keep in the same folder: what only they can read.
    pub fn remove_older_formats(&self) -> Result<Cleared, StoreError> {
        let mut cleared = Cleared::default();
        for old in self.other_formats()?.into_iter().filter(|other| other.format < STORE_FORMAT) {
            cleared = Cleared {
                files: cleared.files + disk::files_below(&old.folder).len() as u64,
                bytes: cleared.bytes + old.bytes,
            };
            // Records first, as ever.
            for name in ["keys", "last", "blobs", "damaged", "tmp"].map(|name| old.folder.join(name)) {
                match fs::remove_dir_all(&name) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::remove(&name, error)),
                    _ => {}
                }
            }
            // Stays if somebody else has put something there.
            drop(fs::remove_dir(&old.folder));
        }
        Ok(cleared)
    }

    /// The artifacts in the store, the newest first. Records that cannot be read are passed over.
    pub fn ls(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<Entry> =
            self.manifests()?.into_iter().map(|(path, manifest)| entry(&path, manifest)).collect();
        entries.sort_by(|a, b| a.age.total_cmp(&b.age).then(a.key.cmp(&b.key)));
        Ok(entries)
    }

    /// Removes everything that a store put there, and nothing else: records first, so that no record outlives its tables.
    pub fn clear(&self) -> Result<Cleared, StoreError> {
        let within = |name: &str| self.folder().join(name);
        let mut files = disk::sharded_files(&within("keys"), "json")?;
        for name in ["last", "runs"] {
            files.extend(disk::entries(&within(name))?.into_iter().filter(|file| disk::is_ours(file, "json")));
        }
        files.extend(Some(within("timings.json")).filter(|file| file.is_file()));
        files.extend(disk::sharded_files(&within("blobs"), "parquet")?);
        files.extend(self.set_aside_files()?);
        files.extend(self.half_written()?);
        let mut cleared = self.clear_rows()?;
        for file in files {
            cleared.remove(&file)?;
        }
        self.leases.sweep()?;
        for shards in ["keys", "blobs"].map(within) {
            for shard in disk::entries(&shards)?.iter().filter(|shard| disk::is_shard(shard)) {
                // A folder that is not empty holds something that is not ours, or is being written.
                drop(fs::remove_dir(shard));
            }
        }
        self.decoded().clear();
        Ok(cleared)
    }

    /// Removes what processes that died left behind, as far as that is possible.
    pub(super) fn sweep(&self) {
        for file in self.half_written().unwrap_or_default() {
            if disk::age(&file) > STALE {
                drop(fs::remove_file(file));
            }
        }
        self.sweep_scratch();
        self.leases.beats.sweep();
    }

    pub(super) fn half_written(&self) -> Result<Vec<PathBuf>, StoreError> {
        let ours = |file: &PathBuf| {
            file.is_file() && file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TMP_PREFIX))
        };
        Ok(disk::entries(&self.folder().join("tmp"))?.into_iter().filter(ours).collect())
    }

    /// What was set aside as damaged.
    pub(super) fn set_aside_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let ours = |file: &PathBuf| disk::is_ours(file, "json") || disk::is_ours(file, "parquet");
        Ok(disk::entries(&self.folder().join("damaged"))?.into_iter().filter(ours).collect())
    }

    /// All manifests that can be read, by key, with their files.
    pub(super) fn manifests(&self) -> Result<Vec<(PathBuf, Manifest)>, StoreError> {
        let files = disk::sharded_files(&self.folder().join("keys"), "json")?;
        let read = |file: PathBuf| {
            let manifest = unseal::<Manifest>(&fs::read(&file).ok()?).ok()?;
            Some((file, manifest))
        };
        Ok(files.into_iter().filter_map(read).collect())
    }
}

pub(super) fn entry(path: &Path, manifest: Manifest) -> Entry {
    Entry {
        key: manifest.key,
        rows: manifest.rows,
        parts: manifest.parts.len() as u64,
        bytes: manifest.parts.iter().map(|part| part.bytes).sum(),
        seconds: manifest.seconds,
        age: disk::age(path).as_secs_f64(),
        kind: manifest.kind,
        phase: manifest.phase,
        made_by: manifest.made_by,
    }
}
