//! What is known of an artifact without reading its tables?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::table::Digest;

/// The identity of a unit's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Key {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Key(Digest::new(bytes))
    }

    /// Its bytes.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kept table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its rows.
    pub rows: u64,
    /// Its bytes on disk.
    pub bytes: u64,
}

/// A table of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Its name in the artifact.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its rows.
    pub rows: u64,
    /// Its bytes on disk.
    pub bytes: u64,
}

/// What a key was made from, by name.
pub type Fields = BTreeMap<String, Value>;

/// What a unit made. Its record on disk has beside this what the key was made from: see [`Store::fields`](super::Store::fields).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The store's format.
    pub format: u32,
    /// The unit's key.
    pub key: Key,
    /// The stage's kind.
    pub kind: String,
    /// The kind's semantic version.
    pub version: u32,
    /// The unit's phase.
    pub phase: String,
    /// The tables.
    pub parts: Vec<PartEntry>,
    /// Rows made.
    pub rows: u64,
    /// Counts and findings.
    pub facts: BTreeMap<String, Value>,
    /// What a person should be told.
    pub warnings: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
    /// The version of Fuseline that made it.
    pub made_by: String,
}

/// The record of an artifact, as it is written.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    #[serde(flatten)]
    pub(super) manifest: &'a Manifest,
    pub(super) fields: &'a Fields,
}

/// Of the record of an artifact, what its key was made from.
#[derive(Deserialize)]
pub(super) struct MadeFrom {
    pub(super) format: u32,
    pub(super) key: Key,
    pub(super) fields: Fields,
}

/// What the store knows of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// The artifact is there.
    Hit(Manifest),
    /// It is not.
    Absent,
    /// It was there, but something of it is damaged or gone; its record has been set aside, so that it is absent now.
    Damaged {
        /// What is wrong, for a message.
        what: String,
    },
}

/// What became of an artifact that was published: whoever came first stays.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// It is the first of its key.
    First,
    /// There was one with the same tables, which stays.
    Same(Box<Manifest>),
    /// There was one with other tables, which stays, and whose tables readers go on with: equal work gave other bytes.
    Differs {
        /// The parts that differ, by name.
        parts: Vec<String>,
        /// What is in the store.
        kept: Box<Manifest>,
    },
}

impl Published {
    /// How `ours` stands beside what was there before.
    pub(super) fn beside(kept: Manifest, ours: &Manifest) -> Self {
        let of = |manifest: &Manifest| -> BTreeMap<String, Digest> {
            manifest.parts.iter().map(|part| (part.name.clone(), part.digest)).collect()
        };
        let (before, now) = (of(&kept), of(ours));
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let parts: Vec<String> =
            names.into_iter().filter(|name| before.get(*name) != now.get(*name)).cloned().collect();
        match parts.is_empty() {
            true => Published::Same(Box::new(kept)),
            false => Published::Differs { parts, kept: Box::new(kept) },
        }
    }
}
