//! What vector does a text have? Pretrained sentence encoders: their files, architectures, tokens, batches and pooling.
//!
//! The way in is [`SentenceEncoder`]. Inside, one seam matters: a [`Backbone`] turns token ids laid end to end into
//! hidden states, and everything else (reading files, cutting texts, batches, pooling) stands outside it. There are two,
//! both on candle: `encoder`, fast, for BERT and its kin; `transformers`, with the architectures of candle-transformers,
//! for what `encoder` lacks. `config` says which family belongs to which; another backbone, with its own kernels or on
//! another device, comes beside them without touching the rest.
//!
//! A text's vector is the same bits alone and in any batch: each backbone says why.

mod config;
mod encoder;
mod error;
mod files;
mod ops;
mod pooling;
pub mod probe;
mod sentence;
#[cfg(test)]
mod tests;
mod tokenizer;
mod transformers;
mod weights;

pub use error::ModelError;
pub use files::ModelFiles;
pub use pooling::Pooling;
pub use sentence::{EncodeOptions, Encoded, SentenceEncoder, TextCutter};
pub use tokenizer::PretrainedTokenizer;

/// Texts as token ids laid end to end: no padding, so no mask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// The ids of all texts.
    pub(crate) ids: &'a [u32],
    /// How many of them belong to each text; they sum up to the number of ids.
    pub(crate) lengths: &'a [usize],
}

/// The transformer itself.
pub(crate) trait Backbone: Send + Sync {
    /// Length of a hidden state.
    fn width(&self) -> usize;

    /// The longest text that it takes, in tokens.
    fn longest(&self) -> usize;

    /// The last hidden states, row-major: one row of [`Backbone::width`] numbers for each id.
    /// A text's rows are the same bits whatever stands beside it.
    fn hidden(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError>;
}
