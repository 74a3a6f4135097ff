//! Which variants are the same?
//!
//! A variant's id covers what decides its results: kinds, canonical parameters, sources, wiring and seed. It does not cover the
//! names of stages, their order in the file, comments, the pipeline's name, or how a value came to be set.

use serde_json::Value;

use crate::stage::{Kind, Work};
use crate::table::Digest;

/// Hexadecimal digits of an id.
pub(super) const DIGITS: usize = 12;

/// What decides a stage's results besides its inputs: the two ends of the text that is hashed, inputs between them.
#[derive(Debug)]
pub(super) struct Own {
    head: String,
    tail: String,
}

impl Own {
    /// Of a built stage. Keys know files by their digests; before anything is read, two sources are two.
    pub(super) fn of(kind: &Kind, params: &Value, work: &Work) -> Own {
        let files: Vec<String> = work.stage().files().iter().map(|need| need.spec.to_string()).collect();
        let name = Value::from(kind.name);
        Own {
            head: format!("{{\"files\":{},\"from\":[", canonical(&files.into())),
            tail: format!("],\"kind\":{name},\"with\":{}}}", canonical(params)),
        }
    }

    /// The digest of the stage itself, without its inputs.
    pub(super) fn digest(&self, kind: &Kind) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&kind.version.to_le_bytes());
        hasher.update(self.head.as_bytes());
        hasher.update(self.tail.as_bytes());
        Digest::new(*hasher.finalize().as_bytes())
    }
}

/// The whole id of a variant, in 64 digits: each stage is hashed with the hashes of its inputs, then the hashes of the
/// stages that no stage reads.
pub(super) fn of(stages: &[(&Own, &[usize])], seed: u64) -> String {
    let mut hashes: Vec<blake3::Hash> = Vec::with_capacity(stages.len());
    let mut read = vec![false; stages.len()];
    for (own, inputs) in stages {
        let mut hasher = blake3::Hasher::new();
        hasher.update(own.head.as_bytes());
        for (place, input) in inputs.iter().enumerate() {
            let Some(hash) = hashes.get(*input) else { continue };
            hasher.update(if place > 0 { b",\"" } else { b"\"" });
            hasher.update(hash.to_hex().as_bytes());
            hasher.update(b"\"");
            read[*input] = true;
        }
        hasher.update(own.tail.as_bytes());
        hashes.push(hasher.finalize());
    }
    let ends = hashes.iter().zip(read).filter(|(_, read)| !read).map(|(hash, _)| hash.to_hex().to_string());
    let mut ends: Vec<String> = ends.collect();
    ends.sort();
    let whole = canonical(&serde_json::json!({ "seed": seed, "ends": ends }));
    blake3::hash(whole.as_bytes()).to_hex().to_string()
}

/// A number that spreads ids evenly.
pub(super) fn spread(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]))
}

/// JSON with sorted keys and no spaces.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        leaf => leaf.to_string(),
    }
}
