//! What is a fitted pipeline that stands alone, and what does it say of new texts?
//!
//! A *bundle* is a folder: `bundle.json` ([`Bundle`]) says which stages lead from texts to a model, in which order; what they
//! learned lies beside it as Parquet (`learned/STAGE/PART.parquet`), what they read as files (`files/STAGE/…`). Nothing in it
//! can execute code. [`write()`] makes one, [`Replay`] holds one against its digests and walks it, [`input`] brings new
//! rows in, [`answers`] what it says of them out, and [`explain`] tells what moved an answer.

pub mod answers;
mod error;
pub mod explain;
pub mod input;
mod linear;
mod replay;
mod rows;
mod seal;
mod write;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{InputSummary, MetricSummary};
use crate::table::Digest;

pub use error::BundleError;
pub use replay::{Replay, Running, Walked};
pub use rows::{Kind, Row};
pub use write::{Draft, Occupied, write};

/// The form of `bundle.json`.
pub const BUNDLE_FORMAT: u32 = 2;

/// The file that says what is in a bundle.
pub const BUNDLE_FILE: &str = "bundle.json";

/// `bundle.json`: a fitted pipeline, from texts to a model.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Bundle {
    /// The form of this file.
    pub format: u32,
    /// The version of Fuseline that wrote it.
    pub fuseline_version: String,
    /// The pipeline's name.
    pub name: String,
    /// The pipeline's seed, of this variant.
    pub seed: u64,
    /// Which variant was fitted; absent where the pipeline has one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<BundleVariant>,
    /// The stage that predicts.
    pub model: String,
    /// The classes that it tells apart, where it tells classes apart.
    pub classes: Vec<String>,
    /// What new rows must have.
    pub rows: BundleRows,
    /// Each stage after those that it reads; the first brings the rows in.
    pub stages: Vec<BundleStage>,
    /// What searches chose, by searching stage: the chosen values are those of `stages`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub searches: BTreeMap<String, BTreeMap<String, Value>>,
    /// The data files that it learned from.
    pub inputs: Vec<InputSummary>,
    /// Scores of this variant in the pipeline's own evaluations, by evaluating stage; empty where none was known.
    pub scores: BTreeMap<String, BTreeMap<String, MetricSummary>>,
    /// The classes of the machine that it was fitted on, where bits depend on it: `libm`, `simd`.
    pub numeric: BTreeMap<String, String>,
    /// The BLAKE3 digest of everything that stands before it in the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub check: String,
}

/// One way through the matrix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleVariant {
    /// Hash of the resolved pipeline (12 hexadecimal digits).
    pub id: String,
    /// For people: `c=1,features=both`.
    pub label: String,
    /// The axes' values.
    pub params: BTreeMap<String, Value>,
}

/// What new rows must have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRows {
    /// The column with the text, as the pipeline's own data calls it; several are joined by a newline.
    pub text: Vec<String>,
    /// Further columns that stages read.
    pub columns: Vec<BundleColumn>,
}

/// A further column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// A stage of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleStage {
    /// The stage's id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The kind's semantic version: another one answers otherwise.
    pub version: u32,
    /// Its parameters without defaults; paths are relative to the bundle.
    pub params: Value,
    /// The stages that it reads, as places in the list; empty for the one that brings the rows in.
    pub from: Vec<usize>,
    /// What it learned: one table for each part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learned: BTreeMap<String, BundleTable>,
    /// The files that it reads, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<BundleFile>,
    /// What is known of the fit: training rows, terms, iterations …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Value>,
    /// What a person should know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A table of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleTable {
    /// Its place in the bundle.
    pub path: String,
    /// The BLAKE3 digest of its bytes: as in the cache.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// Its rows.
    pub rows: u64,
}

/// A file that a stage reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleFile {
    /// What the stage calls it.
    pub role: String,
    /// Where it came from, as the pipeline names it.
    pub source: String,
    /// Its place in the bundle.
    pub path: String,
    /// The sha256 of its bytes.
    pub sha256: String,
}
