//! Which key had each unit of a pipeline when it last ran? What `plan --why` compares with.
//!
//! A unit is remembered by its place (stage, phase, fold) in each variant, by the variant's label: a run with `--set`, of a
//! few variants, or of a shard replaces what it ran and leaves the rest. What a key was made from is with its artifact
//! ([`Store::fields`]), so that this record stays small: labels and keys are named once, places have numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::disk::{self, Existing, Lasting};
use super::seal::{seal, unseal};
use super::{Key, STORE_FORMAT, Store, StoreError};
use crate::table::Digest;

/// The key of each unit when it last ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LastRun {
    labels: Vec<String>,
    keys: Vec<Key>,
    /// Place → for each label (by number) the number of the key, if the variant had the unit.
    units: BTreeMap<String, Vec<Option<u32>>>,
    #[serde(skip)]
    label_numbers: FxHashMap<String, u32>,
    #[serde(skip)]
    key_numbers: FxHashMap<Key, u32>,
    /// True once something was remembered that was not known.
    #[serde(skip)]
    changed: bool,
}

impl LastRun {
    /// What a unit's key was in the variant with this label.
    pub fn of(&self, place: &str, label: &str) -> Option<&Key> {
        let label = *self.label_numbers.get(label)?;
        self.known(*self.units.get(place)?.get(label as usize)?)
    }

    /// Every key that the unit had in any variant, once, in the order in which they were remembered.
    pub fn everywhere(&self, place: &str) -> Vec<&Key> {
        let mut numbers: Vec<u32> = self.units.get(place).into_iter().flatten().copied().flatten().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| self.known(Some(number))).collect()
    }

    /// Remembers a unit.
    pub fn set(&mut self, place: &str, label: &str, key: Key) {
        if self.of(place, label) == Some(&key) {
            return;
        }
        let label = number(&mut self.labels, &mut self.label_numbers, label.to_owned()) as usize;
        let key = number(&mut self.keys, &mut self.key_numbers, key);
        let keys = self.units.entry(place.to_owned()).or_default();
        keys.resize(keys.len().max(label + 1), None);
        keys[label] = Some(key);
        self.changed = true;
    }

    fn known(&self, number: Option<u32>) -> Option<&Key> {
        self.keys.get(number? as usize)
    }

    /// As read: labels and keys get their numbers.
    fn numbered(mut self) -> Self {
        self.label_numbers = (0..).zip(&self.labels).map(|(number, label)| (label.clone(), number)).collect();
        self.key_numbers = (0..).zip(&self.keys).map(|(number, key)| (*key, number)).collect();
        self
    }

    /// Without the keys that no unit has any more.
    fn pruned(&self) -> Self {
        let (mut keys, mut numbers) = (Vec::new(), FxHashMap::default());
        let mut kept = |number: &Option<u32>| Some(self::number(&mut keys, &mut numbers, *self.known(*number)?));
        let units = self.units.iter().map(|(place, keys)| (place.clone(), keys.iter().map(&mut kept).collect()));
        let units = units.collect();
        LastRun { labels: self.labels.clone(), keys, units, ..LastRun::default() }
    }
}

/// The number of something that is listed once.
fn number<T: Clone + Eq + std::hash::Hash>(all: &mut Vec<T>, numbers: &mut FxHashMap<T, u32>, one: T) -> u32 {
    *numbers.entry(one).or_insert_with_key(|one| {
        all.push(one.clone());
        all.len() as u32 - 1
    })
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    pipeline: String,
    last: LastRun,
}

impl Store {
    /// What the last run of a pipeline remembered; `None` if there was none, or its record cannot be read.
    pub fn last(&self, pipeline: &str) -> Option<LastRun> {
        let path = self.last_path(pipeline);
        let bytes = fs::read(&path).ok()?;
        match unseal::<Record>(&bytes) {
            Ok(record) if record.format == STORE_FORMAT && record.pipeline == pipeline => Some(record.last.numbered()),
            _ => {
                // Only `plan --why` loses by it; the next run writes the record anew.
                drop(self.set_aside(&path));
                None
            }
        }
    }

    /// Remembers the units of a run, if there is anything new to say: a run that ran nothing may be one on a folder that cannot
    /// be written. Replaces what was remembered of the pipeline.
    pub fn remember(&self, pipeline: &str, last: &LastRun) -> Result<(), StoreError> {
        if !last.changed {
            return Ok(());
        }
        let record = Record { format: STORE_FORMAT, pipeline: pipeline.to_owned(), last: last.pruned() };
        let (path, sealed) = (self.last_path(pipeline), seal(&record)?);
        disk::write(&self.folder().join("tmp"), &path, &sealed, Existing::Replace, Lasting::Passing).map(|_| ())
    }

    pub(super) fn last_path(&self, pipeline: &str) -> PathBuf {
        self.folder().join("last").join(format!("{}.json", Digest::of(pipeline.as_bytes())))
    }
}
