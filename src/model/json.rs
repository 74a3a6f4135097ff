//! What does a JSON file of a model say? Values with their names, for messages.

use serde_json::Value;

use super::ModelError;

/// A JSON object and the name of its file, for messages.
pub(super) struct Json<'a> {
    /// The file's name in the model's folder.
    pub(super) file: &'a str,
    /// What it holds.
    pub(super) value: Value,
}

impl Json<'_> {
    /// A setting that is not built in, and what would be.
    pub(super) fn unsupported(&self, key: &str, value: impl ToString, wants: String) -> ModelError {
        ModelError::Unsupported { file: self.file.to_owned(), key: key.to_owned(), value: value.to_string(), wants }
    }

    /// The file is not what it should be.
    pub(super) fn unreadable(&self, message: String) -> ModelError {
        ModelError::Unreadable { file: self.file.to_owned(), message }
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &str) -> Result<String, ModelError> {
        let text = self.value.get(key).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.unreadable(format!("it has no text `{key}`")))
    }

    /// A whole number above 0 that must be there.
    pub(super) fn size(&self, key: &str) -> Result<usize, ModelError> {
        // 32 bits leave room for the sums and products of sizes
        let size = self.value.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let size = size.filter(|n| *n > 0).map(|n| n as usize);
        size.ok_or_else(|| self.unreadable(format!("it has no whole number above 0 `{key}`")))
    }

    /// The number of attention heads.
    pub(super) fn heads(&self, key: &str, width: usize) -> Result<usize, ModelError> {
        let heads = self.size(key)?;
        if width.is_multiple_of(heads) {
            return Ok(heads);
        }
        Err(self.unsupported(key, heads, format!("the number of heads must divide the width {width}")))
    }

    /// A whole number above 0 that may be there.
    pub(super) fn optional_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        if self.value.get(key).is_none_or(Value::is_null) { Ok(None) } else { self.size(key).map(Some) }
    }

    /// A whole number, 0 or more, that must be there.
    pub(super) fn whole(&self, key: &str) -> Result<usize, ModelError> {
        let whole = self.value.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        whole.ok_or_else(|| self.unreadable(format!("it has no whole number `{key}`")))
    }

    /// A number that may be there.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_f64();
                number.map(Some).ok_or_else(|| self.unreadable(format!("its `{key}` is not a number")))
            }
        }
    }

    /// Whether a setting is there and true.
    pub(super) fn flag(&self, key: &str) -> Result<bool, ModelError> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.unreadable(format!("its `{key}` is neither true nor false"))),
        }
    }

    /// Which entries of `layer_types` are the first of two kinds; there must be one for each layer.
    pub(super) fn kinds(&self, kinds: &[Value], layers: usize, two: [&str; 2]) -> Result<Vec<bool>, ModelError> {
        if kinds.len() != layers {
            let wants = format!("there are {layers} layers");
            return Err(self.unsupported("layer_types", format!("({} of them)", kinds.len()), wants));
        }
        let first = |kind: &Value| match two.iter().position(|known| kind == known) {
            Some(at) => Ok(at == 0),
            None => Err(self.unsupported("layer_types", kind, format!("{} and {} are built in", two[0], two[1]))),
        };
        kinds.iter().map(first).collect()
    }

    /// An error where a setting is there and not as it should be.
    pub(super) fn refuse(&self, key: &str, bad: impl Fn(&Value) -> bool, wants: &str) -> Result<(), ModelError> {
        match self.value.get(key) {
            Some(value) if !value.is_null() && bad(value) => Err(self.unsupported(key, value, wants.to_owned())),
            _ => Ok(()),
        }
    }
}
