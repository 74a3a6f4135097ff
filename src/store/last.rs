//! Which key had each unit of a pipeline when it last ran? What `plan --why` compares with.
//!
//! A unit is remembered by its place (stage, phase, fold) in each variant, by the variant's label: a run with `--set`, of a
//! few variants, or of a shard replaces what it ran and leaves the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk::{self, Existing, Lasting};
use super::seal::{seal, unseal};
use super::{Key, STORE_FORMAT, Store, StoreError};
use crate::table::Digest;

/// What a key was made from, by name.
type Fields = BTreeMap<String, Value>;

/// Key and key's fields of each unit when it last ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Place → variant's label → key.
    units: BTreeMap<String, BTreeMap<String, Key>>,
    /// Each key's fields, once.
    fields: BTreeMap<Key, Fields>,
}

impl LastRun {
    /// What a unit's key was, and was made from, in the variant with this label.
    pub fn of(&self, place: &str, label: &str) -> Option<(&Key, &Fields)> {
        self.known(self.units.get(place)?.get(label)?)
    }

    /// The same in every variant that had the unit, in the order of the labels.
    pub fn everywhere<'l>(&'l self, place: &str) -> impl Iterator<Item = (&'l str, &'l Key, &'l Fields)> {
        let labels = self.units.get(place).into_iter().flatten();
        labels.filter_map(|(label, key)| self.known(key).map(|(key, fields)| (label.as_str(), key, fields)))
    }

    /// Remembers a unit.
    pub fn set(&mut self, place: String, label: &str, key: Key, fields: &Fields) {
        self.units.entry(place).or_default().insert(label.to_owned(), key);
        self.fields.entry(key).or_insert_with(|| fields.clone());
    }

    fn known(&self, key: &Key) -> Option<(&Key, &Fields)> {
        self.fields.get_key_value(key)
    }

    /// Without the fields of keys that no unit has any more.
    fn pruned(mut self) -> Self {
        let used: std::collections::BTreeSet<Key> = self.units.values().flat_map(BTreeMap::values).copied().collect();
        self.fields.retain(|key, _| used.contains(key));
        self
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    pipeline: String,
    #[serde(flatten)]
    last: LastRun,
}

impl Store {
    /// What the last run of a pipeline remembered; `None` if there was none, or its record cannot be read.
    pub fn last(&self, pipeline: &str) -> Option<LastRun> {
        let path = self.last_path(pipeline);
        let bytes = fs::read(&path).ok()?;
        match unseal::<Record>(&bytes) {
            Ok(record) if record.format == STORE_FORMAT && record.pipeline == pipeline => Some(record.last),
            _ => {
                // Only `plan --why` loses by it; the next run writes the record anew.
                drop(self.set_aside(&path));
                None
            }
        }
    }

    /// Remembers the units of a run; replaces what was remembered of the pipeline.
    pub fn remember(&self, pipeline: &str, last: LastRun) -> Result<(), StoreError> {
        let record = Record { format: STORE_FORMAT, pipeline: pipeline.to_owned(), last: last.pruned() };
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
