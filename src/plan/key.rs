//! What is a unit's identity made of?
//!
//! | in the key | not in the key |
//! |---|---|
//! | store format | stage ids, comments, formatting |
//! | kind and its semantic version | threads, paths, cache folder, device |
//! | canonical params, defaults elided | times, verbosity, progress |
//! | phase | the variant's name and label |
//! | the unit's seed, where chance plays a part | the pipeline's seed, elsewhere |
//! | digests of the parts it reads (a fold's rows are such a part) | parts it does not read |
//! | digests of the files it reads, and the members taken from them | where the files lie |
//! | the machine's numeric class, where a stage's bits depend on it ([`crate::stage::Numeric`]) | the machine, elsewhere |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Reads, Role, Unit};
use crate::machine::Machine;
use crate::store::{Key, PartEntry, STORE_FORMAT};
use crate::table::Digest;

/// The fields of an identity by name, as kept in a manifest for `plan --why`.
pub type Fields = BTreeMap<String, Value>;

/// Everything that a unit's answer depends on.
#[derive(Debug)]
pub struct Fingerprint<'a> {
    unit: &'a Unit,
    inputs: Vec<(String, Digest)>,
    files: Vec<(String, String)>,
    numeric: Option<&'a str>,
}

impl<'a> Fingerprint<'a> {
    /// `parts_of` gives the parts of an input's artifact; `files` the digests of the files read, by role; `machine` the classes
    /// of the machine that is to run the unit.
    pub fn new<'p>(
        unit: &'a Unit,
        parts_of: impl Fn(super::UnitId) -> Option<&'p [PartEntry]>,
        files: Vec<(String, String)>,
        machine: &'a Machine,
    ) -> Option<Self> {
        let mut inputs = Vec::new();
        for input in &unit.inputs {
            for part in parts_of(input.unit)?.iter().filter(|part| input.reads.covers(&part.name)) {
                inputs.push((input_name(input.role, &input.reads, &part.name), part.digest));
            }
        }
        Some(Fingerprint { unit, inputs, files, numeric: machine.class(unit.numeric()) })
    }

    /// The identity.
    pub fn key(&self) -> Key {
        let mut hasher = blake3::Hasher::new();
        let head = json!([
            STORE_FORMAT,
            self.unit.kind.name,
            self.unit.kind.version,
            self.unit.params,
            self.unit.phase.as_str(),
            self.unit.seed
        ]);
        hasher.update(head.to_string().as_bytes());
        for (name, digest) in &self.inputs {
            hasher.update(json!(["input", name, digest]).to_string().as_bytes());
        }
        self.update_surroundings(&mut hasher);
        Key::new(*hasher.finalize().as_bytes())
    }

    /// What a row of a row-wise unit comes to depends on this and on the row's own content: everything in the key but the
    /// inputs. The same in every fold, variant, pipeline and process.
    pub fn circumstances(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let unit = self.unit;
        let head = json!([
            "rows",
            STORE_FORMAT,
            unit.kind.name,
            unit.kind.version,
            unit.params,
            unit.phase.as_str(),
            unit.seed
        ]);
        hasher.update(head.to_string().as_bytes());
        self.update_surroundings(&mut hasher);
        Digest::new(*hasher.finalize().as_bytes())
    }

    /// Files and machine.
    fn update_surroundings(&self, hasher: &mut blake3::Hasher) {
        for (role, identity) in &self.files {
            hasher.update(json!(["file", role, identity]).to_string().as_bytes());
        }
        if let Some(class) = self.numeric {
            hasher.update(json!(["numeric", class]).to_string().as_bytes());
        }
    }

    /// The identity, taken apart. Parameters are spelled as their way into `with`.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.insert("format".to_owned(), json!(STORE_FORMAT));
        fields.insert("kind".to_owned(), json!(self.unit.kind.name));
        fields.insert("version".to_owned(), json!(self.unit.kind.version));
        if let Some(seed) = self.unit.seed {
            fields.insert("seed".to_owned(), json!(seed));
        }
        flatten("with", &self.unit.params, &mut fields);
        for (name, digest) in &self.inputs {
            fields.insert(format!("input:{name}"), json!(digest));
        }
        let mut by_role: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (role, identity) in &self.files {
            by_role.entry(role).or_default().push(identity);
        }
        for (role, all) in by_role {
            let value = if let [one] = all.as_slice() { json!(one) } else { json!(all) };
            fields.insert(format!("file:{role}"), value);
        }
        if let Some(class) = self.numeric {
            fields.insert("numeric".to_owned(), json!(class));
        }
        fields
    }
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unit").field(&self.title()).finish()
    }
}

/// `0/text`, `target/target`, `fold`, `learned/vocabulary`, `predicted.00.03/predictions`.
fn input_name(role: Role, reads: &Reads, part: &str) -> String {
    match (role, reads) {
        (Role::Fold, _) => "fold".to_owned(),
        (Role::Input(index), _) => format!("{index}/{part}"),
        (Role::Target, _) => format!("target/{part}"),
        (Role::Learned, _) => format!("learned/{part}"),
        (Role::Predicted(fold), _) => format!("{}/{part}", fold.part()),
    }
}

fn flatten(prefix: &str, value: &Value, into: &mut Fields) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(&format!("{prefix}.{name}"), value, into);
            }
        }
        Value::Object(_) if prefix == "with" => {}
        other => {
            into.insert(prefix.to_owned(), other.clone());
        }
    }
}
