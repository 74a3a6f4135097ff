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

use serde::Serialize;
use serde_json::{Value, json};

use super::{Reads, Role, Unit};
use crate::machine::Machine;
use crate::store::{Key, PartEntry, STORE_FORMAT};
use crate::table::Digest;

/// The fields of an identity by name, as kept with an artifact for `plan --why`.
pub use crate::store::Fields;

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
        let Unit { kind, params, phase, seed, .. } = self.unit;
        let mut said = Said::default();
        said.say(&(STORE_FORMAT, kind.name, kind.version, params, phase.as_str(), seed));
        for (name, digest) in &self.inputs {
            said.say(&("input", name, digest));
        }
        self.say_surroundings(&mut said);
        Key::new(*said.digest().as_bytes())
    }

    /// What a row of a row-wise unit comes to depends on this and on the row's own content: everything in the key but the
    /// inputs. The same in every fold, variant, pipeline and process.
    pub fn circumstances(&self) -> Digest {
        let Unit { kind, params, phase, seed, .. } = self.unit;
        let mut said = Said::default();
        said.say(&("rows", STORE_FORMAT, kind.name, kind.version, params, phase.as_str(), seed));
        self.say_surroundings(&mut said);
        said.digest()
    }

    /// Files and machine.
    fn say_surroundings(&self, said: &mut Said) {
        for (role, identity) in &self.files {
            said.say(&("file", role, identity));
        }
        if let Some(class) = self.numeric {
            said.say(&("numeric", class));
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

/// What is digested: JSON lists, one after the other.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    fn say(&mut self, list: &impl Serialize) {
        serde_json::to_writer(&mut self.0, list).unwrap_or_else(|error| unreachable!("plain values: {error}"));
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.0)
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
        (Role::Shuffled(fold), _) => format!("shuffled.{}/{part}", fold.part()),
        (Role::Weighed(fold), _) => format!("weighed.{}/{part}", fold.part()),
        (Role::Candidate(number), _) => format!("candidate.{number}/{part}"),
        (Role::OutOfFold(model, fold), _) => format!("model.{model:02}.{}/{part}", fold.part()),
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
