//! Which files make a model? A folder of a hub, in memory: name and bytes.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::ModelError;

/// The architecture and its sizes.
pub(super) const CONFIG: &str = "config.json";
/// The tokenizer with its vocabulary.
pub(super) const TOKENIZER: &str = "tokenizer.json";
/// Every file with this ending holds weights.
const WEIGHTS: &str = ".safetensors";

/// A model's files by their names in its folder: `config.json`, `tokenizer.json`, one or more `*.safetensors`, and,
/// where sentence-transformers made the folder, `modules.json`, `sentence_bert_config.json`,
/// `tokenizer_config.json`, `config_sentence_transformers.json`, and the files of its modules in folders of their own (`1_Pooling/config.json`,
/// `2_Dense/model.safetensors`).
#[derive(Debug, Clone, Default)]
pub struct ModelFiles(BTreeMap<String, Vec<u8>>);

impl ModelFiles {
    /// Adds a file.
    pub fn insert(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.0.insert(name.into(), bytes);
    }

    /// Reads a file to its end and adds it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self, name: &str, mut from: impl Read) -> Result<(), ModelError> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)
            .map_err(|error| ModelError::Unreadable { file: name.to_owned(), message: error.to_string() })?;
        self.insert(name, bytes);
        Ok(())
    }

    /// The bytes of a file that must be there.
    pub(super) fn bytes(&self, name: &str) -> Result<&[u8], ModelError> {
        self.0.get(name).map(Vec::as_slice).ok_or_else(|| ModelError::MissingFile { file: name.to_owned() })
    }

    /// A JSON file that must be there.
    pub(super) fn json(&self, name: &str) -> Result<Value, ModelError> {
        serde_json::from_slice(self.bytes(name)?)
            .map_err(|error| ModelError::Unreadable { file: name.to_owned(), message: error.to_string() })
    }

    /// A JSON file that may be there.
    pub(super) fn optional_json(&self, name: &str) -> Result<Option<Value>, ModelError> {
        if self.0.contains_key(name) { self.json(name).map(Some) } else { Ok(None) }
    }

    /// The files with the transformer's weights: name and bytes. Those of modules lie deeper.
    pub(super) fn weights(&self) -> Result<Vec<(&str, &[u8])>, ModelError> {
        let found: Vec<(&str, &[u8])> = self
            .0
            .iter()
            .filter(|(name, _)| name.ends_with(WEIGHTS) && !name.contains('/'))
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        if found.is_empty() { Err(ModelError::MissingFile { file: "model.safetensors".to_owned() }) } else { Ok(found) }
    }
}

impl FromIterator<(String, Vec<u8>)> for ModelFiles {
    fn from_iter<T: IntoIterator<Item = (String, Vec<u8>)>>(files: T) -> Self {
        ModelFiles(files.into_iter().collect())
    }
}
