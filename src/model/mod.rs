//! What vector does a text have? Pretrained sentence encoders: their files, architectures, tokens, batches and pooling.
//!
//! The way in is [`SentenceEncoder`]. Inside, one seam matters: a [`Backbone`] turns token ids laid end to end into
//! hidden states, and everything else (reading files, cutting texts, given tokens, batches, pooling) stands outside it. `families` reads a
//! checkpoint into one description of a transformer (`architecture`), which two engines compute: `cpu`, with kernels of its own, and
//! `tensors`, with candle, on GPUs. `transformers` has, by candle-transformers, what the description has no words for. `place` says
//! where a model is computed and with which numbers.
//!
//! A text's vector is the same bits alone and in any batch: each backbone says why.

mod architecture;
mod config;
mod cpu;
mod cutting;
mod error;
mod families;
mod files;
mod json;
mod modules;
mod place;
mod pooling;
pub mod probe;
mod sample;
mod sentence;
mod tensors;
#[cfg(test)]
mod tests;
mod tokenizer;
mod transformers;
mod weights;
mod wishes;
mod words;

pub use cutting::Truncation;
pub use error::ModelError;
pub use families::head::Head;
pub use files::ModelFiles;
pub use place::{Place, Precision};
pub use pooling::Pooling;
pub use sentence::{ClassScores, EncodeOptions, Encoded, SentenceEncoder, TextCutter};
pub use tokenizer::PretrainedTokenizer;
pub use words::Subtokens;

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

    /// How many blocks it has.
    fn layers(&self) -> usize;

    /// Tokens that are worth computing together; a bound on the memory of one thread. No result depends on it.
    fn batch_tokens(&self) -> usize {
        1024
    }

    /// The longest text that it takes, in tokens.
    fn longest(&self) -> usize;

    /// Hidden states, row-major: one row of [`Backbone::width`] numbers for each id. `layers` says after how many blocks, in rising
    /// order: 0 is what goes into the first block, [`Backbone::layers`] what comes out at the end (with the last normalisation,
    /// where there is one); of several, the mean. A text's rows are the same bits whatever stands beside it.
    fn hidden(&self, batch: Batch<'_>, layers: &[usize]) -> Result<Vec<f32>, ModelError>;
}

/// The last of the layers that are asked for; an error unless there is one, of `blocks`.
fn last_of(layers: &[usize], blocks: usize) -> Result<usize, ModelError> {
    let asked = || ModelError::Compute(format!("layers {layers:?} of {blocks} are asked for"));
    layers.last().copied().filter(|last| *last <= blocks).ok_or_else(asked)
}
