//! Which tokens of a text does a model see? Prefix, special tokens, and what becomes of a text that is too long.

use std::borrow::Cow;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tokenizer::Cut;
use super::wishes::SentenceConfig;
use super::words::{self, Place, Text, Words};
use super::{EncodeOptions, ModelError, PretrainedTokenizer};

/// What is read of a text that is too long. Special tokens and the prefix always stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    /// Its first tokens.
    #[default]
    Head,
    /// Its last tokens.
    Tail,
    /// The first half of the room for the first tokens (of an odd number, one more), the second for the last.
    #[serde(rename = "head+tail")]
    HeadTail,
    /// None: it is an error.
    Error,
    /// All of it, in windows: the text's vector is the mean of the windows' vectors, each of the same weight; a given token's, of
    /// those that it has in the windows which hold it.
    Chunk,
}

/// A text as a model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The ids, special tokens included; several only where a text is read in windows.
    pub(super) pieces: Vec<Vec<u32>>,
    /// How many tokens did not fit.
    pub(super) lost: usize,
    /// Of given tokens: what stands where.
    pub(super) words: Option<Words>,
}

impl Seen {
    /// How many ids there are.
    pub(super) fn tokens(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// How many vectors the text comes to.
    pub(super) fn vectors(&self) -> usize {
        self.words.as_ref().map_or(1, |words| words.count)
    }

    /// The given tokens that stand in a piece; `None` for a whole text.
    pub(super) fn places(&self, piece: usize) -> Option<&[Place]> {
        self.words.as_ref().map(|words| words.places.get(piece).map_or(&[][..], Vec::as_slice))
    }
}

/// What decides the ids of a text.
pub(super) struct Reading<'m> {
    tokenizer: &'m PretrainedTokenizer,
    vocabulary: usize,
    lowercase: bool,
    prefix: String,
    longest: usize,
    truncation: Truncation,
    stride: usize,
    /// How many of the first tokens of a piece are not pooled.
    pub(super) skip: usize,
}

impl<'m> Reading<'m> {
    /// How a model that takes texts of up to `most` tokens reads them.
    pub(super) fn new(
        (tokenizer, vocabulary): (&'m PretrainedTokenizer, usize),
        wishes: &SentenceConfig,
        most: usize,
        options: &EncodeOptions,
    ) -> Result<Self, ModelError> {
        let prefix = wishes.prefix(options)?;
        let prefix = if wishes.lowercase { prefix.to_lowercase() } else { prefix.to_owned() };
        let around = tokenizer.special() + tokenizer.own_ids(&prefix, 0, 0)?.0.len();
        let length = options.max_length.unwrap_or_else(|| wishes.max_length.map_or(most, |wish| wish.min(most)));
        if length <= around || length > most {
            return Err(ModelError::MaxLength { asked: length, least: around + 1, most });
        }
        let half = (length - around) / 2;
        if options.truncation == Truncation::Chunk && options.stride > half {
            return Err(ModelError::Stride { asked: options.stride, most: half });
        }
        Ok(Reading {
            tokenizer,
            vocabulary,
            lowercase: wishes.lowercase,
            longest: length,
            truncation: options.truncation,
            stride: options.stride,
            skip: if wishes.without_prompt { tokenizer.places_of(&prefix)? } else { 0 },
            prefix,
        })
    }

    /// What is seen of each text; the first is number `first` in messages.
    pub(super) fn see(
        &self,
        texts: &[Text<'_>],
        first: usize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Seen>, ModelError> {
        let see = |(at, text): (usize, &Text<'_>)| {
            if stop() { Err(ModelError::Interrupted) } else { self.text(*text, first + at) }
        };
        texts.par_iter().enumerate().map(see).collect()
    }

    /// An error where a text is too long.
    pub(super) fn refuse_long(&self, texts: &[Text<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<(), ModelError> {
        let length = |(row, text): (usize, &Text<'_>)| match self.text(*text, row) {
            _ if stop() => Err(ModelError::Interrupted),
            Ok(seen) if seen.lost > 0 => Ok(Some((row, seen.tokens() + seen.lost))),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        let lengths: Vec<Option<(usize, usize)>> =
            texts.par_iter().enumerate().map(length).collect::<Result<_, _>>()?;
        let mut long = lengths.into_iter().flatten();
        let Some((row, tokens)) = long.next() else { return Ok(()) };
        let count = 1 + long.count();
        Err(ModelError::TooLong { row, tokens, longest: self.longest, count, of: texts.len() })
    }

    fn text(&self, text: Text<'_>, row: usize) -> Result<Seen, ModelError> {
        let seen = match text {
            Text::Whole(text) => self.whole(text, row)?,
            Text::Words(words) => self.words(words, row)?,
        };
        match seen.pieces.iter().flatten().find(|id| **id as usize >= self.vocabulary) {
            Some(id) => Err(ModelError::ForeignToken { row, id: *id, vocabulary: self.vocabulary }),
            None => Ok(seen),
        }
    }

    fn whole(&self, text: &str, row: usize) -> Result<Seen, ModelError> {
        let mut whole = match self.prefix.is_empty() {
            true => Cow::Borrowed(text),
            false => Cow::Owned(format!("{}{text}", self.prefix)),
        };
        if self.lowercase {
            whole = Cow::Owned(whole.to_lowercase());
        }
        match self.truncation {
            Truncation::Head | Truncation::Error => {
                let Cut { ids, lost } = self.tokenizer.ids(&whole, self.longest, row)?;
                Ok(Seen { pieces: vec![ids], lost, words: None })
            }
            Truncation::Tail | Truncation::HeadTail | Truncation::Chunk => self.parted(&whole, row),
        }
    }

    /// What is seen of given tokens: each is tokenized by itself, and they are read one after the other.
    fn words(&self, words: &[&str], row: usize) -> Result<Seen, ModelError> {
        let (mut ids, mut ends) = (Vec::new(), Vec::with_capacity(words.len()));
        for word in words {
            ids.extend(match self.lowercase {
                true => self.tokenizer.word_ids(&word.to_lowercase(), row)?,
                false => self.tokenizer.word_ids(word, row)?,
            });
            ends.push(ids.len());
        }
        let room = self.longest - self.tokenizer.special();
        let (mut pieces, mut befores) = (Vec::new(), Vec::new());
        let parts = words::parts(&ends, room, self.truncation, self.stride);
        for part in &parts {
            let read = part.iter().flat_map(|stretch| &ids[stretch.clone()]).copied().collect();
            let (piece, before) = self.tokenizer.placed(read, row)?;
            pieces.push(piece);
            befores.push(before);
        }
        let lost = match self.truncation {
            Truncation::Chunk => 0,
            _ => ids.len().saturating_sub(room),
        };
        Ok(Seen { pieces, lost, words: Some(Words::new(&ends, &parts, &befores)) })
    }

    /// The same where other than the first tokens are read.
    fn parted(&self, whole: &str, row: usize) -> Result<Seen, ModelError> {
        let (ids, prefix) = self.tokenizer.own_ids(whole, self.prefix.len(), row)?;
        let room = self.longest - self.tokenizer.special();
        if ids.len() <= room {
            return Ok(Seen { pieces: vec![self.tokenizer.dressed(ids, row)?], lost: 0, words: None });
        }
        // beside its text, a prefix might come to more tokens than alone
        let (prefix, text) = ids.split_at(prefix.min(room - 1));
        let room = room - prefix.len();
        let dressed = |parts: &[&[u32]]| self.tokenizer.dressed([&[prefix], parts].concat().concat(), row);
        let lost = text.len() - room;
        Ok(match self.truncation {
            Truncation::Chunk => {
                let step = room - self.stride.min(room / 2);
                let starts = (0..).step_by(step).take_while(|start| *start == 0 || start - step + room < text.len());
                let windows = starts.map(|start| dressed(&[&text[start..text.len().min(start + room)]]));
                Seen { pieces: windows.collect::<Result<_, _>>()?, lost: 0, words: None }
            }
            Truncation::Tail => Seen { pieces: vec![dressed(&[&text[lost..]])?], lost, words: None },
            _ => {
                let head = room.div_ceil(2);
                let pieces = vec![dressed(&[&text[..head], &text[text.len() - (room - head)..]])?];
                Seen { pieces, lost, words: None }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ModelFiles;
    use super::*;

    const ON: &(dyn Fn() -> bool + Sync) = &|| false;

    /// `[CLS]` is 1, `[SEP]` 2, an unknown word 3, the letters a to j are 4 to 13.
    fn letters() -> PretrainedTokenizer {
        let json = r###"{ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": { "type": "Whitespace" }, "decoder": null,
            "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1] },
            "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": { "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3,
                "a": 4, "b": 5, "c": 6, "d": 7, "e": 8, "f": 9, "g": 10, "h": 11, "i": 12, "j": 13 } } }"###;
        let files = ModelFiles::from_iter([("tokenizer.json".to_owned(), json.as_bytes().to_vec())]);
        PretrainedTokenizer::load(&files).unwrap()
    }

    fn options(max_length: usize, truncation: Truncation, stride: usize, prefix: &str) -> EncodeOptions {
        let prefix = Some(prefix.to_owned());
        EncodeOptions { max_length: Some(max_length), truncation, stride, prefix, ..EncodeOptions::default() }
    }

    fn seen(options: &EncodeOptions, text: &str) -> Result<Seen, ModelError> {
        let (tokenizer, wishes) = (letters(), SentenceConfig::default());
        let reading = Reading::new((&tokenizer, 14), &wishes, 100, options)?;
        Ok(reading.see(&[Text::Whole(text)], 0, ON)?.remove(0))
    }

    #[test]
    fn each_way_keeps_its_part_of_a_text() {
        let text = "a b c d e f g h i j";
        for (way, prefix, ids, lost) in [
            (Truncation::Head, "", vec![1, 4, 5, 6, 7, 8, 2], 5),
            (Truncation::Error, "", vec![1, 4, 5, 6, 7, 8, 2], 5),
            (Truncation::Tail, "", vec![1, 9, 10, 11, 12, 13, 2], 5),
            (Truncation::HeadTail, "", vec![1, 4, 5, 6, 12, 13, 2], 5),
            (Truncation::Head, "j ", vec![1, 13, 4, 5, 6, 7, 2], 6),
            (Truncation::Tail, "j ", vec![1, 13, 10, 11, 12, 13, 2], 6),
            (Truncation::HeadTail, "j ", vec![1, 13, 4, 5, 12, 13, 2], 6),
        ] {
            let found = seen(&options(7, way, 0, prefix), text).unwrap();
            assert_eq!(found, Seen { pieces: vec![ids], lost, words: None }, "{way:?}");
            // what fits is left whole
            let short = seen(&options(7, way, 0, prefix), "a").unwrap();
            assert_eq!(short, seen(&options(7, Truncation::Head, 0, prefix), "a").unwrap(), "{way:?}");
        }
    }

    #[test]
    fn windows_cover_a_text_and_share_what_is_asked() {
        let windows = |stride: usize, prefix: &str, text: &str| {
            let seen = seen(&options(6, Truncation::Chunk, stride, prefix), text).unwrap();
            assert_eq!(seen.lost, 0);
            seen.pieces
        };
        assert_eq!(windows(0, "", "a b c d e f g h"), [[1, 4, 5, 6, 7, 2], [1, 8, 9, 10, 11, 2]]);
        assert_eq!(windows(0, "", "a b c d e"), [vec![1, 4, 5, 6, 7, 2], vec![1, 8, 2]]);
        assert_eq!(windows(2, "", "a b c d e f"), [[1, 4, 5, 6, 7, 2], [1, 6, 7, 8, 9, 2]]);
        assert_eq!(
            windows(1, "j ", "a b c d e f"),
            [vec![1, 13, 4, 5, 6, 2], vec![1, 13, 6, 7, 8, 2], vec![1, 13, 8, 9, 2]]
        );
        assert_eq!(windows(2, "", "a b c d"), [[1, 4, 5, 6, 7, 2]]);
        assert_eq!(windows(2, "", ""), [[1, 2]]);
    }

    #[test]
    fn what_leaves_no_room_is_refused() {
        let refused = |options| seen(&options, "a").unwrap_err();
        let short = refused(options(3, Truncation::Head, 0, "j "));
        assert_eq!(short, ModelError::MaxLength { asked: 3, least: 4, most: 100 });
        let wide = refused(options(7, Truncation::Chunk, 3, ""));
        assert_eq!(wide, ModelError::Stride { asked: 3, most: 2 });
    }

    #[test]
    fn the_first_text_that_is_too_long_is_named_and_all_are_counted() {
        let (tokenizer, wishes) = (letters(), SentenceConfig::default());
        let reading = Reading::new((&tokenizer, 14), &wishes, 100, &options(4, Truncation::Error, 0, "")).unwrap();
        assert_eq!(reading.refuse_long(&["a b", ""].map(Text::Whole), ON), Ok(()));
        let refused = reading.refuse_long(&["a", "a b c d", "a b", "a b c"].map(Text::Whole), ON);
        assert_eq!(refused, Err(ModelError::TooLong { row: 1, tokens: 6, longest: 4, count: 2, of: 4 }));
    }
}
