//! Which key had each unit of a pipeline when it last ran? What `plan --why` compares with.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk::{self, Existing, Lasting};
use super::seal::{seal, unseal};
use super::{Key, STORE_FORMAT, Store, StoreError};
use crate::table::Digest;

/// Key and key's fields of each unit, by the unit's address.
pub type LastRun = BTreeMap<String, (Key, BTreeMap<String, Value>)>;

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    pipeline: String,
    units: LastRun,
}

impl Store {
    /// What the last run of a pipeline remembered; `None` if there was none, or its record cannot be read.
    pub fn last(&self, pipeline: &str) -> Option<LastRun> {
        let path = self.last_path(pipeline);
        let bytes = fs::read(&path).ok()?;
        match unseal::<Record>(&bytes) {
            Ok(record) if record.format == STORE_FORMAT && record.pipeline == pipeline => Some(record.units),
            _ => {
                // Only `plan --why` loses by it; the next run writes the record anew.
                drop(self.set_aside(&path));
                None
            }
        }
    }

    /// Remembers the units of a run; replaces what was remembered of the pipeline.
    pub fn remember(&self, pipeline: &str, units: &LastRun) -> Result<(), StoreError> {
        let record = Record { format: STORE_FORMAT, pipeline: pipeline.to_owned(), units: units.clone() };
        let (path, sealed) = (self.last_path(pipeline), seal(&record)?);
        // A run that ran nothing has nothing new to say, and may say it to a folder that cannot be written.
        if fs::read(&path).is_ok_and(|before| before == sealed) {
            return Ok(());
        }
        disk::write(&self.folder().join("tmp"), &path, &sealed, Existing::Replace, Lasting::Passing).map(|_| ())
    }

    pub(super) fn last_path(&self, pipeline: &str) -> PathBuf {
        self.folder().join("last").join(format!("{}.json", Digest::of(pipeline.as_bytes())))
    }
}
