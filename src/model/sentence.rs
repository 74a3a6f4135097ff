//! How do many texts become vectors? Tokens first, equal texts once, then batches of a bounded number of tokens side by
//! side.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::config::{ModelConfig, SentenceConfig};
use super::encoder::Encoder;
use super::pooling::{Pooling, normalize};
use super::tokenizer::Cut;
use super::transformers::Transformers;
use super::weights::Weights;
use super::{Backbone, Batch, ModelError, ModelFiles, PretrainedTokenizer};
use crate::ml::Dense;

/// A batch ends before it would have more tokens than this (a longer text is a batch of its own). It bounds the memory
/// of one thread; no result depends on it.
const BATCH_TOKENS: usize = 1024;

/// What may be chosen about a text's vector.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeOptions {
    /// How to pool; `None`: as the model's own files say, else the mean.
    pub pooling: Option<Pooling>,
    /// Scale each vector to length 1.
    pub normalize: bool,
    /// Cut texts to this many tokens, special ones included; `None`: the model's own `max_seq_length`, else all it can
    /// take.
    pub max_length: Option<usize>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        EncodeOptions { pooling: None, normalize: true, max_length: None }
    }
}

/// The vectors of some texts, and what was counted on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One row for each text, in the texts' order.
    pub vectors: Dense,
    /// Tokens kept of each text, special ones included.
    pub tokens: Vec<u64>,
    /// Tokens cut off each text.
    pub tokens_lost: Vec<u64>,
}

/// A sentence encoder in memory.
pub struct SentenceEncoder {
    backbone: Box<dyn Backbone>,
    vocabulary: usize,
    tokenizer: PretrainedTokenizer,
    wishes: SentenceConfig,
}

impl std::fmt::Debug for SentenceEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentenceEncoder")
            .field("width", &self.width())
            .field("wishes", &self.wishes)
            .finish_non_exhaustive()
    }
}

impl SentenceEncoder {
    /// Reads a model.
    ///
    /// # Errors
    /// A file is missing or cannot be read; the architecture or one of its settings is not built in; a tensor is
    /// missing or has another shape than `config.json` says.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        let config = ModelConfig::read(files)?;
        let wishes = SentenceConfig::read(files)?;
        let tokenizer = PretrainedTokenizer::load(files)?;
        let vocabulary = config.vocabulary();
        Ok(SentenceEncoder { backbone: backbone(config, files)?, vocabulary, tokenizer, wishes })
    }

    /// Length of a vector.
    pub fn width(&self) -> usize {
        self.backbone.width()
    }

    /// The vectors of `texts`: `texts.len()` rows of [`SentenceEncoder::width`] numbers, in order. A text's vector is
    /// the same bits alone and among others, at any place, in a pool of any size; equal texts are computed once. Work
    /// is spread over the current rayon pool. `progress` hears how many of how many texts are done, possibly out of
    /// order and from several threads; where `stop` answers true, the call ends soon with [`ModelError::Interrupted`].
    ///
    /// # Errors
    /// `max_length` does not fit the model, the tokenizer refuses a text or does not belong to the weights, a vector is
    /// not finite, or `stop` said so.
    pub fn encode(
        &self,
        texts: &[&str],
        options: &EncodeOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Encoded, ModelError> {
        let cuts = self.tokenize(texts, options.max_length, stop)?;
        let firsts = firsts(&cuts);
        let width = self.width();
        let pooling = options.pooling.or(self.wishes.pooling).unwrap_or(Pooling::Mean);
        let mut vectors = vec![0.0; texts.len() * width];
        let total = firsts.iter().enumerate().filter(|(row, first)| row == *first).count();
        let done = AtomicUsize::new(0);
        batches(&cuts, &firsts, &mut vectors, width).into_par_iter().try_for_each(|batch| {
            if stop() {
                return Err(ModelError::Interrupted);
            }
            let lengths: Vec<usize> = batch.iter().map(|(row, _)| cuts[*row].ids.len()).collect();
            let ids: Vec<u32> = batch.iter().flat_map(|(row, _)| &cuts[*row].ids).copied().collect();
            let states = self.backbone.hidden(Batch { ids: &ids, lengths: &lengths })?;
            let mut states = states.as_slice();
            let texts = batch.len();
            for ((row, vector), length) in batch.into_iter().zip(&lengths) {
                let (text, rest) = states.split_at(length * width);
                states = rest;
                finish(text, pooling, options.normalize, vector).map_err(|()| ModelError::NotFinite { row })?;
            }
            progress(done.fetch_add(texts, Ordering::Relaxed) + texts, total);
            Ok(())
        })?;
        for (row, first) in firsts.iter().enumerate().filter(|(row, first)| row != *first) {
            vectors.copy_within(first * width..(first + 1) * width, row * width);
        }
        Ok(Encoded {
            vectors: Dense { rows: texts.len(), cols: width, values: vectors },
            tokens: cuts.iter().map(|cut| cut.ids.len() as u64).collect(),
            tokens_lost: cuts.iter().map(|cut| cut.lost as u64).collect(),
        })
    }

    /// The ids of every text.
    fn tokenize(
        &self,
        texts: &[&str],
        max_length: Option<usize>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Cut>, ModelError> {
        let reading = Reading { tokenizer: &self.tokenizer, wishes: &self.wishes, vocabulary: self.vocabulary };
        reading.cut(texts, max_length, self.backbone.longest(), stop)
    }
}

/// How long texts are for a model, without its weights.
#[derive(Debug)]
pub struct TextCutter {
    longest: usize,
    vocabulary: usize,
    tokenizer: PretrainedTokenizer,
    wishes: SentenceConfig,
}

impl TextCutter {
    /// Reads a model's configuration and tokenizer.
    ///
    /// # Errors
    /// As of [`SentenceEncoder::load`], but for weights.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        let config = ModelConfig::read(files)?;
        Ok(TextCutter {
            longest: config.longest(),
            vocabulary: config.vocabulary(),
            tokenizer: PretrainedTokenizer::load(files)?,
            wishes: SentenceConfig::read(files)?,
        })
    }

    /// The tokens that [`SentenceEncoder::encode`] will cut off each text.
    ///
    /// # Errors
    /// As there.
    pub fn tokens_lost(
        &self,
        texts: &[&str],
        max_length: Option<usize>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u64>, ModelError> {
        let reading = Reading { tokenizer: &self.tokenizer, wishes: &self.wishes, vocabulary: self.vocabulary };
        let cuts = reading.cut(texts, max_length, self.longest, stop)?;
        Ok(cuts.iter().map(|cut| cut.lost as u64).collect())
    }
}

/// What decides the ids of a text.
struct Reading<'m> {
    tokenizer: &'m PretrainedTokenizer,
    wishes: &'m SentenceConfig,
    vocabulary: usize,
}

impl Reading<'_> {
    /// The ids of every text, `most` of one at the most.
    fn cut(
        &self,
        texts: &[&str],
        max_length: Option<usize>,
        most: usize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Cut>, ModelError> {
        let least = self.tokenizer.special() + 1;
        let length = max_length.unwrap_or_else(|| self.wishes.max_length.map_or(most, |wish| wish.min(most)));
        if length < least || length > most {
            return Err(ModelError::MaxLength { asked: length, least, most });
        }
        let read = |row: usize, text: &str| {
            if stop() {
                return Err(ModelError::Interrupted);
            }
            let lower = if self.wishes.lowercase { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) };
            let cut = self.tokenizer.ids(&lower, length, row)?;
            match cut.ids.iter().find(|id| **id as usize >= self.vocabulary) {
                Some(id) => Err(ModelError::ForeignToken { row, id: *id, vocabulary: self.vocabulary }),
                None => Ok(cut),
            }
        };
        texts.par_iter().enumerate().map(|(row, text)| read(row, text)).collect()
    }
}

/// The transformer that `config` asks for.
pub(super) fn backbone(config: ModelConfig, files: &ModelFiles) -> Result<Box<dyn Backbone>, ModelError> {
    // Batches run side by side, one to a thread: a product inside of one must not call for threads of its own. The
    // result is the same bits either way.
    gemm::set_threading_threshold(usize::MAX);
    let weights = Weights::read(files, config.family())?;
    Ok(match config {
        ModelConfig::Encoder(config) => Box::new(Encoder::load(config, &weights)?),
        ModelConfig::ModernBert(config) => Box::new(Transformers::load(&config, &weights)?),
    })
}

/// The vector of one text; an error if it is not finite.
fn finish(states: &[f32], pooling: Pooling, unit: bool, vector: &mut [f32]) -> Result<(), ()> {
    if states.is_empty() {
        // a tokenizer without special tokens gives an empty text no token
        return Ok(());
    }
    pooling.pool(states, vector);
    if unit {
        normalize(vector);
    }
    if vector.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(()) }
}

/// For every row, the first row that has the same tokens.
fn firsts(cuts: &[Cut]) -> Vec<usize> {
    let mut seen: HashMap<&[u32], usize> = HashMap::with_capacity(cuts.len());
    cuts.iter().enumerate().map(|(row, cut)| *seen.entry(&cut.ids).or_insert(row)).collect()
}

/// Divides the distinct texts into batches, longest first: rows, each with the place for its vector.
fn batches<'v>(
    cuts: &[Cut],
    firsts: &[usize],
    vectors: &'v mut [f32],
    width: usize,
) -> Vec<Vec<(usize, &'v mut [f32])>> {
    let places = vectors.chunks_exact_mut(width).enumerate();
    let mut distinct: Vec<(usize, &mut [f32])> = places.filter(|(row, _)| firsts[*row] == *row).collect();
    distinct.sort_by_key(|(row, _)| (Reverse(cuts[*row].ids.len()), *row));
    let mut batches: Vec<Vec<(usize, &mut [f32])>> = Vec::new();
    let mut tokens = BATCH_TOKENS;
    for (row, place) in distinct {
        let length = cuts[row].ids.len();
        match batches.last_mut() {
            Some(batch) if tokens + length <= BATCH_TOKENS => {
                tokens += length;
                batch.push((row, place));
            }
            _ => {
                tokens = length;
                batches.push(vec![(row, place)]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &(dyn Fn(usize, usize) + Sync) = &|_, _| {};
    const ON: &(dyn Fn() -> bool + Sync) = &|| false;

    /// Adds up ids: the state of a token is (id, position, tokens in the text).
    struct Counting;

    impl Backbone for Counting {
        fn width(&self) -> usize {
            3
        }

        fn longest(&self) -> usize {
            2000
        }

        fn hidden(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
            let mut ids = batch.ids.iter();
            let mut states = Vec::new();
            for length in batch.lengths {
                for (at, id) in ids.by_ref().take(*length).enumerate() {
                    let id = if *id == 9 { f32::NAN } else { *id as f32 };
                    states.extend([id, at as f32, *length as f32]);
                }
            }
            Ok(states)
        }
    }

    /// `[CLS]` is 1, `[SEP]` 2, an unknown word 3, the letters a to e are 4 to 8, `x` is 9.
    fn encoder() -> SentenceEncoder {
        let json = r###"{ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": { "type": "Whitespace" }, "decoder": null,
            "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1] },
            "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": { "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3,
                "a": 4, "b": 5, "c": 6, "d": 7, "e": 8, "x": 9 } } }"###;
        let files = ModelFiles::from_iter([("tokenizer.json".to_owned(), json.as_bytes().to_vec())]);
        SentenceEncoder {
            backbone: Box::new(Counting),
            vocabulary: 10,
            tokenizer: PretrainedTokenizer::load(&files).unwrap(),
            wishes: SentenceConfig { max_length: Some(1000), ..SentenceConfig::default() },
        }
    }

    fn raw(max_length: Option<usize>) -> EncodeOptions {
        EncodeOptions { pooling: Some(Pooling::Max), normalize: false, max_length }
    }

    #[test]
    fn each_text_gets_its_own_vector_whatever_the_batches() {
        let texts: Vec<String> = (0..400).map(|i| "a b c d e".repeat(1 + i % 37)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let done = AtomicUsize::new(0);
        let heard = |now: usize, total: usize| {
            assert_eq!(total, 37);
            done.fetch_max(now, Ordering::Relaxed);
        };
        let encoded = encoder().encode(&texts, &raw(None), &heard, ON).unwrap();
        assert_eq!(done.into_inner(), 37);
        for (row, text) in texts.iter().enumerate() {
            let alone = encoder().encode(&[text], &raw(None), QUIET, ON).unwrap();
            assert_eq!(encoded.vectors.row(row), alone.vectors.row(0));
        }
        assert_eq!(encoded.vectors.rows, 400);
    }

    #[test]
    fn cut_texts_and_lost_tokens_are_counted() {
        let encoded = encoder().encode(&["a b c d", "a b", "a b c"], &raw(Some(4)), QUIET, ON).unwrap();
        assert_eq!((encoded.tokens, encoded.tokens_lost), (vec![4; 3], vec![2, 0, 1]));
        assert_eq!(encoded.vectors.values, [5.0, 3.0, 4.0].repeat(3));
    }

    #[test]
    fn what_will_be_cut_is_known_without_weights() {
        let SentenceEncoder { vocabulary, tokenizer, wishes, .. } = encoder();
        let cutter = TextCutter { longest: 2000, vocabulary, tokenizer, wishes };
        let texts = ["a b c d", "a b", "", "a b c"];
        for max_length in [Some(4), Some(3), None] {
            let encoded = encoder().encode(&texts, &raw(max_length), QUIET, ON).unwrap();
            assert_eq!(cutter.tokens_lost(&texts, max_length, ON).unwrap(), encoded.tokens_lost);
        }
        let refused = cutter.tokens_lost(&texts, Some(2001), ON);
        assert!(matches!(refused, Err(ModelError::MaxLength { asked: 2001, least: 3, most: 2000 })));
    }

    #[test]
    fn a_length_that_does_not_fit_is_refused() {
        for asked in [2, 2001] {
            let refused = encoder().encode(&["a"], &raw(Some(asked)), QUIET, ON);
            assert_eq!(refused, Err(ModelError::MaxLength { asked, least: 3, most: 2000 }));
        }
    }

    #[test]
    fn a_vector_that_is_not_finite_names_its_row() {
        let refused = encoder().encode(&["a", "b", "x"], &raw(None), QUIET, ON);
        assert_eq!(refused, Err(ModelError::NotFinite { row: 2 }));
    }

    #[test]
    fn a_tokenizer_of_another_model_is_found_out() {
        let foreign = SentenceEncoder { vocabulary: 6, ..encoder() };
        let refused = foreign.encode(&["a b", "a c"], &raw(None), QUIET, ON);
        assert_eq!(refused, Err(ModelError::ForeignToken { row: 1, id: 6, vocabulary: 6 }));
    }

    #[test]
    fn stopping_and_no_texts_at_all() {
        assert_eq!(encoder().encode(&["a"], &raw(None), QUIET, &|| true), Err(ModelError::Interrupted));
        let nothing = encoder().encode(&[], &raw(None), QUIET, ON).unwrap();
        assert_eq!((nothing.vectors.rows, nothing.vectors.cols, nothing.tokens), (0, 3, Vec::new()));
    }
}
