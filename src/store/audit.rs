//! Is everything in the store what it was when it was written? All of it is read and held against its digests.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::seal::unseal;
use super::{Key, Store, StoreError, disk, short};
use crate::table::Digest;

/// What a look at the whole store found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    /// Artifacts whose records were read.
    pub artifacts: u64,
    /// Tables that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of remembered rows that were read.
    pub row_files: u64,
    /// Other records that were read.
    pub records: u64,
    /// What was found damaged, and has been set aside.
    pub damaged: Vec<String>,
}

/// What became of one file.
enum Found {
    Whole(u64),
    Damaged(String),
    /// Another process removed it meanwhile.
    Gone,
}

impl Store {
    /// Reads everything in the store; what is damaged is set aside, and whatever made it runs again when it is needed. Tells
    /// how many bytes of how many have been read, from several threads.
    pub fn audit(&self, tell: &(dyn Fn(u64, u64) + Sync)) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        let blobs = disk::sharded_files(&self.folder().join("blobs"), "parquet")?;
        let sizes: Vec<u64> = blobs.iter().map(|blob| disk::size(blob).unwrap_or_default()).collect();
        let (total, read) = (sizes.iter().sum(), AtomicU64::new(0));
        let look = |(blob, size): (&PathBuf, &u64)| {
            let found = self.audit_blob(blob);
            tell(read.fetch_add(*size, Ordering::Relaxed) + size, total);
            found
        };
        // Collected in the order of the files, whoever was faster.
        let found: Vec<Result<Found, StoreError>> = blobs.par_iter().zip(&sizes).map(look).collect();
        for found in found {
            let bytes = audit.take(found?);
            (audit.blobs, audit.bytes) = (audit.blobs + 1, audit.bytes + bytes);
        }
        for record in disk::sharded_files(&self.folder().join("keys"), "json")? {
            audit.take(self.audit_artifact(&record)?);
            audit.artifacts += 1;
        }
        let rows = self.verify_rows()?;
        audit.row_files = rows.checked;
        audit.damaged.extend((0..rows.damaged).map(|_| "a file of remembered rows is damaged".to_owned()));
        for (folder, what) in [("runs", "the record of a run"), ("last", "the memory of a last run")] {
            let files = disk::entries(&self.folder().join(folder))?;
            for record in files.into_iter().filter(|file| disk::is_ours(file, "json")) {
                audit.take(self.audit_record::<Value>(&record, what)?);
                audit.records += 1;
            }
        }
        let timings = self.folder().join("timings.json");
        if timings.is_file() {
            audit.take(self.audit_record::<Value>(&timings, "the record of how long units took")?);
            audit.records += 1;
        }
        Ok(audit)
    }

    fn audit_blob(&self, blob: &PathBuf) -> Result<Found, StoreError> {
        let name = blob.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let what = match fs::read(blob) {
            Ok(bytes) if Digest::of(&bytes).to_string() == name => return Ok(Found::Whole(bytes.len() as u64)),
            Ok(_) => format!("the stored table {} is damaged", short(&name)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Gone),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(StoreError::read(blob, error)),
            Err(error) => format!("the stored table {} cannot be read ({error})", short(&name)),
        };
        self.set_aside(blob)?;
        Ok(Found::Damaged(what))
    }

    fn audit_artifact(&self, record: &PathBuf) -> Result<Found, StoreError> {
        let name = record.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(digest) = name.parse::<Digest>() else { return Ok(Found::Gone) };
        let key = Key::new(*digest.as_bytes());
        let checked = match fs::read(record) {
            Ok(bytes) => self.check(&key, &bytes).map(|_| bytes.len() as u64),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Gone),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(StoreError::read(record, error)),
            Err(error) => Err(format!("the record {} cannot be read ({error})", short(&key))),
        };
        match checked {
            Ok(bytes) => Ok(Found::Whole(bytes)),
            Err(what) => {
                self.set_aside(record)?;
                Ok(Found::Damaged(what))
            }
        }
    }

    fn audit_record<T: DeserializeOwned>(&self, record: &PathBuf, what: &str) -> Result<Found, StoreError> {
        match fs::read(record) {
            Ok(bytes) if unseal::<T>(&bytes).is_ok() => Ok(Found::Whole(bytes.len() as u64)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Gone),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(StoreError::read(record, error)),
            _ => {
                self.set_aside(record)?;
                Ok(Found::Damaged(format!("{what} is damaged")))
            }
        }
    }
}

impl Audit {
    /// Counts what was found; the bytes of a whole file.
    fn take(&mut self, found: Found) -> u64 {
        match found {
            Found::Whole(bytes) => return bytes,
            Found::Damaged(what) => self.damaged.push(what),
            Found::Gone => {}
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::tests::{damage, key, opened, published, ran, reopened, set_aside, table};
    use super::super::{Lookup, RunRecord};
    use super::*;

    #[test]
    fn all_damage_is_found_once() {
        let (_folder, store) = opened();
        let whole = published(&store, key(1), "clean", &table(&["a"]));
        let cut = published(&store, key(2), "clean", &table(&["b"]));
        published(&store, key(3), "clean", &table(&["c"]));
        store.remember("p", &ran(3)).unwrap();
        store
            .record_run(&RunRecord { pipeline: "p".into(), folder: "/".into(), ended: 1, keys: vec![key(1)] })
            .unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |done, total| told.lock().unwrap().push((done, total));
        let bytes = store.stats().unwrap().bytes;
        let clean = Audit { artifacts: 3, blobs: 3, bytes, row_files: 0, records: 2, damaged: Vec::new() };
        assert_eq!(store.audit(&tell).unwrap(), clean);
        assert_eq!(told.into_inner().unwrap().iter().max(), Some(&(bytes, bytes)));
        damage(&store.blob_path(&cut.parts[0].digest));
        damage(&store.manifest_path(&key(3)));
        for folder in ["last", "runs"] {
            damage(&disk::entries(&store.folder().join(folder)).unwrap()[0]);
        }
        let (blob, name) = (short(&cut.parts[0].digest), short(&key(3)));
        let expected = [
            format!("the stored table {blob} is damaged"),
            format!("the stored table {blob} (`text` of clean) is gone"),
            format!("the record {name} is damaged (its bytes have changed)"),
            "the record of a run is damaged".to_owned(),
            "the memory of a last run is damaged".to_owned(),
        ];
        let mut found = store.audit(&|_, _| {}).unwrap().damaged;
        let mut expected = Vec::from(expected);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(set_aside(&store).len(), 5);
        assert!(reopened(&store).audit(&|_, _| {}).unwrap().damaged.is_empty());
        assert_eq!(store.lookup(&key(1)), Lookup::Hit(whole));
        assert_eq!([key(2), key(3)].map(|key| store.lookup(&key)), [Lookup::Absent, Lookup::Absent]);
    }
}
