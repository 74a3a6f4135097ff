//! What can go wrong with a model? One type for its files, its settings and its arithmetic.

use super::config::FAMILIES;

/// Why a model cannot be loaded or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A file that every model has is not there.
    #[error("the model has no file `{file}`")]
    MissingFile {
        /// Its name in the model's folder.
        file: String,
    },
    /// A file cannot be read as what it should be.
    #[error("`{file}` of the model cannot be read: {message}")]
    Unreadable {
        /// Its name in the model's folder.
        file: String,
        /// What the reader says.
        message: String,
    },
    /// An architecture that is not built in.
    #[error("`config.json` says `model_type: {found}`, but `embed` knows {}", FAMILIES.join(", "))]
    Family {
        /// The model's `model_type`.
        found: String,
    },
    /// A setting of the model that is not built in.
    #[error("`{file}` of the model says `{key}: {value}`, but {wants}")]
    Unsupported {
        /// The file's name in the model's folder.
        file: String,
        /// The setting.
        key: String,
        /// Its value.
        value: String,
        /// What would be taken.
        wants: String,
    },
    /// The weights lack a tensor.
    #[error("the model's weights have no tensor `{tensor}`")]
    MissingTensor {
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{tensor}` of the model has shape {found:?}, but `config.json` asks for {expected:?}")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// `max_length` does not fit the model.
    #[error("`max_length` must be between {least} and {most} for this model, but is {asked}")]
    MaxLength {
        /// As asked.
        asked: usize,
        /// One token more than the special ones.
        least: usize,
        /// The model's own limit.
        most: usize,
    },
    /// A text is longer than the model reads, and that was to be an error.
    #[error(
        "a text has {tokens} tokens, but the model reads {longest} of one; {count} of the {of} texts looked at are too long"
    )]
    TooLong {
        /// Which of the texts, from 0: the first.
        row: usize,
        /// Its length, special tokens and prefix included.
        tokens: usize,
        /// The most that is read.
        longest: usize,
        /// How many are too long.
        count: usize,
        /// Of how many.
        of: usize,
    },
    /// Neighbouring windows share too much.
    #[error("`stride` must be at most {most}, half of what a window holds of a text, but is {asked}")]
    Stride {
        /// As asked.
        asked: usize,
        /// What would be taken.
        most: usize,
    },
    /// A layer that the model does not have.
    #[error("`layers` counts from 0 to {layers}, or from -1 back to {}, for this model, but {asked} is asked for", -(*layers as i64) - 1)]
    Layer {
        /// As asked.
        asked: i64,
        /// How many blocks the model has.
        layers: usize,
    },
    /// The same layer twice.
    #[error("`layers` names layer {layer} twice")]
    LayerTwice {
        /// Counted from 0.
        layer: usize,
    },
    /// A prompt that the model's files do not have.
    #[error("the model has no prompt `{asked}`; it has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    Prompt {
        /// As asked.
        asked: String,
        /// The names that would be taken.
        known: Vec<String>,
    },
    /// A model without a head for classes.
    #[error("the model has no head for classes: its weights end with the encoder")]
    NoHead,
    /// A device that is not there.
    #[error("the device `{name}` cannot be used: {message}")]
    Device {
        /// As asked.
        name: String,
        /// Why.
        message: String,
    },
    /// The tokenizer refuses a text.
    #[error("the tokenizer cannot read a text: {message}")]
    Tokenize {
        /// Which of the texts, from 0.
        row: usize,
        /// What the tokenizer says.
        message: String,
    },
    /// A token id that the weights have no vector for.
    #[error("the tokenizer gives a text the token id {id}, but the weights have {vocabulary} tokens")]
    ForeignToken {
        /// Which of the texts, from 0.
        row: usize,
        /// The id.
        id: u32,
        /// How many token vectors the weights have.
        vocabulary: usize,
    },
    /// A vector holds NaN or infinity.
    #[error("the model gives a text a vector that is not finite")]
    NotFinite {
        /// Which of the texts, from 0.
        row: usize,
    },
    /// The tensor library failed.
    #[error("the model cannot be computed: {0}")]
    Compute(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        ModelError::Compute(error.to_string())
    }
}
