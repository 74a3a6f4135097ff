//! How do many texts become vectors? Window by window: while the texts of one are computed, those of the next are tokenized.
//! In a window equal texts count once, and batches of a bounded number of tokens run side by side.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::config::ModelConfig;
use super::cpu::Cpu;
use super::cutting::{Reading, Seen, Truncation};
use super::families::Model;
use super::families::head::Head;
use super::modules::Module;
use super::place::{Place, Precision};
use super::pooling::{Pooling, normalize};
use super::tensors::Tensors;
use super::wishes::SentenceConfig;
use super::words::{Place as WordPlace, Subtokens, Text, Words};
use super::{Backbone, Batch, ModelError, ModelFiles, PretrainedTokenizer};
use crate::ml::Dense;

/// A window ends before it would have more texts or bytes than these. They bound what is tokenized and not yet computed; no
/// result depends on them.
const WINDOW_TEXTS: usize = 1024;
const WINDOW_BYTES: usize = 512 * 1024;

/// So many windows are begun one inside the other: a bound on the depth of the stack.
const WINDOWS_AT_ONCE: usize = 32;

/// What may be chosen about a text's vector.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeOptions {
    /// Which hidden states are pooled: 0 is what goes into the first block, -1 what comes out of the last; of several, the mean.
    /// Empty: the last.
    pub layers: Vec<i64>,
    /// How to pool; `None`: as the model's own files say, else the last token of a model that reads from left to right, else
    /// the mean.
    pub pooling: Option<Pooling>,
    /// Scale each vector to length 1.
    pub normalize: bool,
    /// Put before each text; `None`: as `prompt` says.
    pub prefix: Option<String>,
    /// The name of a prompt in the model's own files, put before each text; `None`: the default that they name, else nothing.
    pub prompt: Option<String>,
    /// Cut texts to this many tokens, special ones included; `None`: the model's own `max_seq_length`, else all it can
    /// take.
    pub max_length: Option<usize>,
    /// What is read of a text that is too long.
    pub truncation: Truncation,
    /// How many tokens of a text neighbouring windows share, where it is read in windows.
    pub stride: usize,
    /// How the sub-tokens of a given token become its vector.
    pub subtokens: Subtokens,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        EncodeOptions {
            layers: Vec::new(),
            pooling: None,
            normalize: true,
            prefix: None,
            prompt: None,
            max_length: None,
            truncation: Truncation::Head,
            stride: 0,
            subtokens: Subtokens::Mean,
        }
    }
}

/// The vectors of some texts, and what was counted on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One row for each text, in the texts' order; where tokens were given, one for each of these.
    pub vectors: Dense,
    /// Tokens read of each text, special ones included; tokens that several windows read count for each.
    pub tokens: Vec<u64>,
    /// Tokens cut off each text.
    pub tokens_lost: Vec<u64>,
    /// In how many pieces each text was read: 1, or more where it is read in windows.
    pub windows: Vec<u64>,
    /// Given tokens of each text that were cut off as a whole: their vectors are zeros.
    pub given_cut: Vec<u64>,
    /// Given tokens of each text for which the model's tokenizer has no token: their vectors are zeros.
    pub given_blank: Vec<u64>,
}

/// What is told of classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassScores {
    /// Probabilities: they sum up to 1, or, where a text may have several labels, each is one by itself.
    #[default]
    Probabilities,
    /// What the head says before that.
    Logits,
}

/// A sentence encoder in memory.
pub struct SentenceEncoder {
    backbone: Box<dyn Backbone>,
    vocabulary: usize,
    tokenizer: PretrainedTokenizer,
    wishes: SentenceConfig,
    modules: Vec<Module>,
    /// What becomes of states, instead of pooling, where classes are asked for.
    head: Option<(Head, ClassScores)>,
}

impl std::fmt::Debug for SentenceEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentenceEncoder").field("wishes", &self.wishes).finish_non_exhaustive()
    }
}

impl SentenceEncoder {
    /// Reads a model, to be computed at `place`.
    ///
    /// # Errors
    /// A file is missing or cannot be read; the architecture or one of its settings is not built in; a tensor is
    /// missing or has another shape than `config.json` says.
    pub fn load(files: &ModelFiles, place: &Place) -> Result<Self, ModelError> {
        let config = ModelConfig::read(files)?;
        let wishes = SentenceConfig::read(files)?;
        let tokenizer = tokenizer(files, &wishes)?;
        let vocabulary = config.vocabulary();
        let modules = wishes.modules.iter().map(|named| Module::load(named, files)).collect::<Result<_, _>>()?;
        Ok(SentenceEncoder {
            backbone: backbone(&config, files, place)?,
            vocabulary,
            tokenizer,
            wishes,
            modules,
            head: None,
        })
    }

    /// Reads a fine-tuned model with its head for classes, to be computed at `place`: a text's vector is what the head says of it, a
    /// number for each class in the order of the model's own labels. Of the options, those for pooling and layers say nothing then.
    ///
    /// # Errors
    /// As of [`SentenceEncoder::load`]; the model has no such head.
    pub fn load_classifier(files: &ModelFiles, place: &Place, scores: ClassScores) -> Result<Self, ModelError> {
        let head = Head::read(files)?.ok_or(ModelError::NoHead)?;
        Ok(SentenceEncoder { modules: Vec::new(), head: Some((head, scores)), ..SentenceEncoder::load(files, place)? })
    }

    /// The vectors of `texts`: one row for each, in order. A text's vector is the same bits alone and among others, at any place,
    /// in a pool of any size; equal texts that stand near each other are computed once. Work is spread over the current rayon
    /// pool. `progress` hears how many more texts are done, and how many tokens that took, possibly from several threads; where
    /// `stop` answers true, the call ends soon with [`ModelError::Interrupted`].
    ///
    /// # Errors
    /// An option does not fit the model, the tokenizer refuses a text or does not belong to the weights, a text is too long and
    /// that is to be an error, a vector is not finite, or `stop` said so.
    pub fn encode(
        &self,
        texts: &[&str],
        options: &EncodeOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Encoded, ModelError> {
        let poolings = options.pooling.map_or_else(|| self.wishes.poolings.clone(), |pooling| vec![pooling]);
        let gives = match &self.head {
            Some((head, scores)) => Gives::Classes(head, *scores),
            None => Gives::Sentences(poolings),
        };
        let texts: Vec<Text<'_>> = texts.iter().map(|text| Text::Whole(text)).collect();
        self.read(&texts, gives, options, progress, stop)
    }

    /// The vectors of given tokens: for each of `rows`, one for each of its tokens, in order, all rows one after the other. The
    /// tokens of a row are read as one text, each tokenized by itself. A token's vector is the mean of its sub-tokens' states, or the
    /// first of these; in windows, the mean of what it is in each that holds some of it. Zeros, for a token that was cut off or has
    /// no sub-token. The rest is as of [`SentenceEncoder::encode`]. Of the options, `pooling`, `prefix` and `prompt` say nothing; nor
    /// do the model's own prompts, nor what its files have come after pooling.
    ///
    /// # Errors
    /// As there.
    pub fn encode_tokens(
        &self,
        rows: &[Vec<&str>],
        options: &EncodeOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Encoded, ModelError> {
        let texts: Vec<Text<'_>> = rows.iter().map(|row| Text::Words(row)).collect();
        self.read(&texts, Gives::Tokens(options.subtokens), &bare(options), progress, stop)
    }

    fn read(
        &self,
        texts: &[Text<'_>],
        gives: Gives<'_>,
        options: &EncodeOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Encoded, ModelError> {
        let reading = Reading::new((&self.tokenizer, self.vocabulary), &self.wishes, self.backbone.longest(), options)?;
        let failed = AtomicBool::new(false);
        let stop = &|| failed.load(Ordering::Relaxed) || stop();
        let (layers, width) = match &gives {
            Gives::Classes(head, _) => (vec![self.backbone.layers()], head.labels().len()),
            Gives::Tokens(_) => (layers(&options.layers, self.backbone.layers())?, self.backbone.width()),
            Gives::Sentences(poolings) => {
                let pooled = self.backbone.width() * poolings.len();
                let width = self.modules.iter().try_fold(pooled, |width, module| module.width(width))?;
                (layers(&options.layers, self.backbone.layers())?, width)
            }
        };
        let job = Job {
            layers,
            width,
            normalize: options.normalize && self.head.is_none(),
            gives,
            reading,
            progress,
            stop,
            failed: &failed,
        };
        if options.truncation == Truncation::Error {
            job.reading.refuse_long(texts, stop)?;
        }
        let mut encoded = Encoded::of(texts, width);
        for windows in windows(texts, &mut encoded).chunks_mut(WINDOWS_AT_ONCE) {
            if let Some(first) = windows.first() {
                let seen = job.reading.see(first.texts, first.first, stop)?;
                self.work(&job, seen, windows)?;
            }
        }
        Ok(encoded)
    }

    /// Computes the first of some windows, which was tokenized, beside tokenizing and then computing the others. A thread takes up
    /// a later window only while it has nothing to do for an earlier one.
    fn work(&self, job: &Job<'_>, seen: Vec<Seen>, windows: &mut [Window<'_>]) -> Result<(), ModelError> {
        let Some((now, later)) = windows.split_first_mut() else { return Ok(()) };
        let (now, later) = rayon::join(
            || job.watched(self.compute(job, &seen, now)),
            || match later.first() {
                Some(next) => {
                    let seen = job.watched(job.reading.see(next.texts, next.first, job.stop))?;
                    self.work(job, seen, later)
                }
                None => Ok(()),
            },
        );
        match (now, later) {
            // one of them failed, and so the other was stopped
            (Err(ModelError::Interrupted), Err(error)) | (Err(error), _) => Err(error),
            (Ok(()), later) => later,
        }
    }

    /// The vectors of a window.
    fn compute(&self, job: &Job<'_>, seen: &[Seen], window: &mut Window<'_>) -> Result<(), ModelError> {
        let (width, firsts) = (job.width, firsts(seen));
        // where the vectors of each text begin
        let begin = |before: &mut usize, seen: &Seen| Some(std::mem::replace(before, *before + seen.vectors()));
        let begins: Vec<usize> = seen.iter().scan(0, begin).collect();
        let mut copies = vec![0; seen.len()];
        firsts.iter().for_each(|first| copies[*first] += 1);
        let distinct = (0..seen.len()).filter(|row| firsts[*row] == *row);
        let mut pieces: Vec<Piece<'_>> = distinct.flat_map(|row| Piece::of(row, &seen[row])).collect();
        // longest first: what ends last is short
        pieces.sort_by_key(|piece| (Reverse(piece.ids.len()), piece.row, piece.at));
        let mut made = vec![0.0f32; pieces.iter().map(Piece::vectors).sum::<usize>() * width];
        batches(&pieces, &mut made, width, self.backbone.batch_tokens()).into_par_iter().try_for_each(
            |(batch, vectors)| {
                self.batch(job, batch, vectors, window.first)?;
                let texts = batch.iter().filter(|piece| piece.at == 0).map(|piece| copies[piece.row]).sum();
                (job.progress)(texts, batch.iter().map(|piece| piece.ids.len()).sum());
                Ok::<(), ModelError>(())
            },
        )?;
        let places = pieces.iter().flat_map(|piece| {
            let begin = begins[piece.row];
            piece.places().map(move |place| (begin + place, piece))
        });
        let parts = places.zip(made.chunks_exact(width));
        let mut parts: Vec<Part<'_>> =
            parts.map(|((at, piece), vector)| Part { at, piece: piece.at, row: piece.row, vector }).collect();
        parts.sort_unstable_by_key(|part| (part.at, part.piece));
        for parts in parts.chunk_by(|a, b| a.at == b.at) {
            let Some(Part { at, row, .. }) = parts.first() else { continue };
            let vector = &mut window.vectors[at * width..(at + 1) * width];
            mean(parts, vector);
            if job.normalize {
                normalize(vector);
            }
            if !vector.iter().all(|value| value.is_finite()) {
                return Err(ModelError::NotFinite { row: window.first + row });
            }
        }
        for (row, seen) in seen.iter().enumerate() {
            window.tokens[row] = seen.tokens() as u64;
            window.lost[row] = seen.lost as u64;
            window.windows[row] = seen.pieces.len() as u64;
            if let Some(Words { cut, blank, .. }) = &seen.words {
                (window.given_cut[row], window.given_blank[row]) = (*cut as u64, *blank as u64);
            }
            if firsts[row] != row {
                let from = begins[firsts[row]] * width;
                window.vectors.copy_within(from..from + seen.vectors() * width, begins[row] * width);
            }
        }
        Ok(())
    }

    /// The vectors of some pieces of texts.
    fn batch(&self, job: &Job<'_>, batch: &[Piece<'_>], vectors: &mut [f32], first: usize) -> Result<(), ModelError> {
        if (job.stop)() {
            return Err(ModelError::Interrupted);
        }
        let lengths: Vec<usize> = batch.iter().map(|piece| piece.ids.len()).collect();
        let ids: Vec<u32> = batch.iter().flat_map(|piece| piece.ids).copied().collect();
        let states = self.backbone.hidden(Batch { ids: &ids, lengths: &lengths }, &job.layers)?;
        let inner = self.backbone.width();
        let (mut states, mut vectors) = (states.as_slice(), vectors);
        for piece in batch {
            let (text, rest) = states.split_at(piece.ids.len() * inner);
            states = rest;
            let vectors = cut(&mut vectors, piece.vectors() * job.width);
            if text.is_empty() {
                // a tokenizer without special tokens gives an empty text no token, and so no state
                continue;
            }
            match &job.gives {
                Gives::Classes(head, ClassScores::Probabilities) => vectors.copy_from_slice(&head.probabilities(text)),
                Gives::Classes(head, ClassScores::Logits) => vectors.copy_from_slice(&head.scores(text)),
                Gives::Tokens(subtokens) => {
                    for (place, vector) in piece.words.iter().copied().flatten().zip(vectors.chunks_exact_mut(inner)) {
                        subtokens.pool(&text[place.states.start * inner..place.states.end * inner], vector);
                    }
                }
                Gives::Sentences(poolings) => {
                    let mut pooled = vec![0.0; inner * poolings.len()];
                    for (pooling, part) in poolings.iter().zip(pooled.chunks_exact_mut(inner)) {
                        pooling.pool(text, job.reading.skip, part);
                    }
                    if !pooled.iter().all(|value| value.is_finite()) {
                        // a module might hide it
                        return Err(ModelError::NotFinite { row: first + piece.row });
                    }
                    let after = self.modules.iter().fold(pooled, |vector, module| module.apply(vector));
                    vectors.copy_from_slice(&after);
                }
            }
        }
        Ok(())
    }
}

impl Encoded {
    /// Room for what `texts` come to.
    fn of(texts: &[Text<'_>], width: usize) -> Encoded {
        let rows = texts.iter().map(|text| text.vectors()).sum();
        let none = || vec![0; texts.len()];
        Encoded {
            vectors: Dense { rows, cols: width, values: vec![0.0; rows * width] },
            tokens: none(),
            tokens_lost: none(),
            windows: none(),
            given_cut: none(),
            given_blank: none(),
        }
    }
}

/// The same options, without what stands before a text: no given token is of it.
fn bare(options: &EncodeOptions) -> EncodeOptions {
    EncodeOptions { prefix: Some(String::new()), prompt: None, ..options.clone() }
}

/// What becomes of a text's hidden states.
enum Gives<'g> {
    /// One vector, of several poolings side by side.
    Sentences(Vec<Pooling>),
    /// A vector for each given token.
    Tokens(Subtokens),
    /// What a head says.
    Classes(&'g Head, ClassScores),
}

/// What is to be done with all texts of a call.
struct Job<'j> {
    reading: Reading<'j>,
    layers: Vec<usize>,
    gives: Gives<'j>,
    /// Of a vector.
    width: usize,
    normalize: bool,
    progress: &'j (dyn Fn(usize, usize) + Sync),
    stop: &'j (dyn Fn() -> bool + Sync),
    failed: &'j AtomicBool,
}

impl Job<'_> {
    /// After a failure everything else is stopped.
    fn watched<T>(&self, outcome: Result<T, ModelError>) -> Result<T, ModelError> {
        if outcome.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

/// Some texts that are worked on together, and where what they come to belongs.
struct Window<'w> {
    /// The place of its first text among all.
    first: usize,
    texts: &'w [Text<'w>],
    vectors: &'w mut [f32],
    tokens: &'w mut [u64],
    lost: &'w mut [u64],
    windows: &'w mut [u64],
    given_cut: &'w mut [u64],
    given_blank: &'w mut [u64],
}

/// Divides texts into windows.
fn windows<'w>(texts: &'w [Text<'w>], into: &'w mut Encoded) -> Vec<Window<'w>> {
    let width = into.vectors.cols;
    let (mut vectors, mut tokens) = (into.vectors.values.as_mut_slice(), into.tokens.as_mut_slice());
    let (mut lost, mut windows) = (into.tokens_lost.as_mut_slice(), into.windows.as_mut_slice());
    let (mut given_cut, mut given_blank) = (into.given_cut.as_mut_slice(), into.given_blank.as_mut_slice());
    let (mut all, mut first, mut left) = (Vec::new(), 0, texts);
    while !left.is_empty() {
        let mut bytes = 0;
        let fits = |text: &&Text<'_>| {
            bytes += text.bytes();
            bytes <= WINDOW_BYTES
        };
        let count = left.iter().take(WINDOW_TEXTS).take_while(fits).count().max(1);
        let (now, later) = left.split_at(count);
        all.push(Window {
            first,
            texts: now,
            vectors: cut(&mut vectors, now.iter().map(|text| text.vectors()).sum::<usize>() * width),
            tokens: cut(&mut tokens, count),
            lost: cut(&mut lost, count),
            windows: cut(&mut windows, count),
            given_cut: cut(&mut given_cut, count),
            given_blank: cut(&mut given_blank, count),
        });
        first += count;
        left = later;
    }
    all
}

/// Takes so many values from the front.
fn cut<'v, T>(values: &mut &'v mut [T], count: usize) -> &'v mut [T] {
    let (now, later) = std::mem::take(values).split_at_mut(count);
    *values = later;
    now
}

/// A piece of a text, which the model reads at once.
struct Piece<'p> {
    ids: &'p [u32],
    /// The text's place in its window.
    row: usize,
    /// The piece's place in its text.
    at: usize,
    /// The given tokens that stand in it; `None` for a whole text.
    words: Option<&'p [WordPlace]>,
}

impl<'p> Piece<'p> {
    fn of(row: usize, seen: &'p Seen) -> impl Iterator<Item = Piece<'p>> {
        seen.pieces.iter().enumerate().map(move |(at, ids)| Piece { ids, row, at, words: seen.places(at) })
    }

    /// How many vectors it comes to.
    fn vectors(&self) -> usize {
        self.words.map_or(1, <[WordPlace]>::len)
    }

    /// Which of its text's vectors these are parts of.
    fn places(&self) -> impl Iterator<Item = usize> + use<'p> {
        let whole = self.words.is_none().then_some(0);
        whole.into_iter().chain(self.words.into_iter().flatten().map(|place| place.word))
    }
}

/// What a piece says of a vector.
struct Part<'m> {
    /// Which of the window's vectors.
    at: usize,
    /// The piece's place in its text.
    piece: usize,
    /// The text's place in its window.
    row: usize,
    vector: &'m [f32],
}

/// The layers asked for, in rising order, as a backbone counts them.
fn layers(asked: &[i64], blocks: usize) -> Result<Vec<usize>, ModelError> {
    let states = blocks as i64 + 1;
    let layer = |asked: &i64| match *asked {
        layer if (0..states).contains(&layer) => Ok(layer as usize),
        layer if (-states..0).contains(&layer) => Ok((states + layer) as usize),
        asked => Err(ModelError::Layer { asked, layers: blocks }),
    };
    let mut layers: Vec<usize> = asked.iter().map(layer).collect::<Result<_, _>>()?;
    layers.sort_unstable();
    match layers.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ModelError::LayerTwice { layer: pair[0] }),
        None if layers.is_empty() => Ok(vec![blocks]),
        None => Ok(layers),
    }
}

fn tokenizer(files: &ModelFiles, wishes: &SentenceConfig) -> Result<PretrainedTokenizer, ModelError> {
    let tokenizer = PretrainedTokenizer::load(files)?;
    Ok(if wishes.plain { tokenizer.plain() } else { tokenizer })
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
        let wishes = SentenceConfig::read(files)?;
        Ok(TextCutter {
            longest: config.longest(),
            vocabulary: config.vocabulary(),
            tokenizer: tokenizer(files, &wishes)?,
            wishes,
        })
    }

    /// The tokens that [`SentenceEncoder::encode`] will cut off each text, or refuse it for.
    ///
    /// # Errors
    /// As there.
    pub fn tokens_lost(
        &self,
        texts: &[&str],
        options: &EncodeOptions,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u64>, ModelError> {
        let texts: Vec<Text<'_>> = texts.iter().map(|text| Text::Whole(text)).collect();
        self.lost(&texts, options, stop)
    }

    /// The tokens that [`SentenceEncoder::encode_tokens`] will cut off each row, or refuse it for.
    ///
    /// # Errors
    /// As there.
    pub fn tokens_lost_of_tokens(
        &self,
        rows: &[Vec<&str>],
        options: &EncodeOptions,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u64>, ModelError> {
        let texts: Vec<Text<'_>> = rows.iter().map(|row| Text::Words(row)).collect();
        self.lost(&texts, &bare(options), stop)
    }

    fn lost(
        &self,
        texts: &[Text<'_>],
        options: &EncodeOptions,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u64>, ModelError> {
        let reading = Reading::new((&self.tokenizer, self.vocabulary), &self.wishes, self.longest, options)?;
        let seen = reading.see(texts, 0, stop)?;
        Ok(seen.iter().map(|seen| seen.lost as u64).collect())
    }
}

/// The transformer that `config` asks for.
pub(super) fn backbone(
    config: &ModelConfig,
    files: &ModelFiles,
    place: &Place,
) -> Result<Box<dyn Backbone>, ModelError> {
    // Batches run side by side, one to a thread: a product inside of one must not call for threads of its own. The
    // result is the same bits either way.
    gemm::set_threading_threshold(usize::MAX);
    Ok(match config.model(files)? {
        Model::Described(architecture) => engine(*architecture, place)?,
        Model::Deberta(deberta) if place.is_cpu() && place.precision() == Precision::F32 => deberta,
        Model::Deberta(_) => {
            let message = "DeBERTa is computed there with `precision: f32` alone, on `cpu`".to_owned();
            return Err(ModelError::Device { name: place.to_string(), message });
        }
    })
}

/// What computes a description there.
pub(super) fn engine(architecture: Architecture, place: &Place) -> Result<Box<dyn Backbone>, ModelError> {
    Ok(if place.is_cpu() {
        Box::new(Cpu::new(architecture, place.precision()))
    } else {
        Box::new(Tensors::load(architecture, place)?)
    })
}

/// The mean of the vectors of a text's pieces, summed in their order in f64; of one, its very bits.
fn mean(parts: &[Part<'_>], vector: &mut [f32]) {
    match parts {
        [only] => vector.copy_from_slice(only.vector),
        several => {
            for (column, mean) in vector.iter_mut().enumerate() {
                let sum: f64 = several.iter().map(|part| f64::from(part.vector[column])).sum();
                *mean = (sum / several.len() as f64) as f32;
            }
        }
    }
}

/// For every text, the first that is seen alike.
fn firsts(seen: &[Seen]) -> Vec<usize> {
    let mut before: HashMap<(&[Vec<u32>], Option<&Words>), usize> = HashMap::with_capacity(seen.len());
    let known = seen.iter().map(|seen| (seen.pieces.as_slice(), seen.words.as_ref()));
    known.enumerate().map(|(row, known)| *before.entry(known).or_insert(row)).collect()
}

/// Divides pieces into batches, each with the place for its vectors.
fn batches<'b, 'p>(
    pieces: &'b [Piece<'p>],
    mut vectors: &'b mut [f32],
    width: usize,
    most: usize,
) -> Vec<(&'b [Piece<'p>], &'b mut [f32])> {
    let (mut all, mut left) = (Vec::new(), pieces);
    while !left.is_empty() {
        let mut tokens = 0;
        let fits = |piece: &&Piece<'_>| {
            tokens += piece.ids.len();
            tokens <= most
        };
        let (now, later) = left.split_at(left.iter().take_while(fits).count().max(1));
        all.push((now, cut(&mut vectors, now.iter().map(Piece::vectors).sum::<usize>() * width)));
        left = later;
    }
    all
}

#[cfg(test)]
mod tests;
