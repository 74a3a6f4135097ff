//! Which variants are the same?
//!
//! A variant's id covers what decides its results: kinds, canonical parameters, sources, wiring and seed. It does not cover the
//! names of stages, their order in the file, comments, the pipeline's name, or how a value came to be set.

use serde_json::Value;

use super::Node;

/// Hexadecimal digits of an id.
const DIGITS: usize = 12;

/// The id of a variant: each stage is hashed with the hashes of its inputs, then the hashes of the stages that no stage reads.
pub(super) fn of(stages: &[Node], seed: u64) -> String {
    let mut hashes: Vec<String> = Vec::new();
    for node in stages {
        let inputs: Vec<&String> = node.inputs.iter().filter_map(|input| hashes.get(*input)).collect();
        // Keys know files by their digests; before anything is read, two sources are two.
        let files: Vec<String> = node.work.stage().files().iter().map(|need| need.spec.to_string()).collect();
        let of = serde_json::json!({ "kind": node.kind.name, "with": node.params, "files": files, "from": inputs });
        let text = canonical(&of);
        hashes.push(blake3::hash(text.as_bytes()).to_hex().to_string());
    }
    let read: Vec<usize> = stages.iter().flat_map(|node| node.inputs.iter().copied()).collect();
    let ends = hashes.iter().enumerate().filter(|(index, _)| !read.contains(index)).map(|(_, hash)| hash);
    let mut ends: Vec<&String> = ends.collect();
    ends.sort();
    let whole = canonical(&serde_json::json!({ "seed": seed, "ends": ends }));
    blake3::hash(whole.as_bytes()).to_hex().chars().take(DIGITS).collect()
}

/// JSON with sorted keys and no spaces.
fn canonical(value: &Value) -> String {
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
