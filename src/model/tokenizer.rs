//! What are the tokens of a text, as a pretrained tokenizer sees them?

use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{Encoding, PostProcessor, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer, TruncationDirection};

use super::files::TOKENIZER;
use super::{ModelError, ModelFiles};

/// A tokenizer read from `tokenizer.json`. Padding and truncation that the file asks for are left out.
#[derive(Debug, Clone)]
pub struct PretrainedTokenizer(Tokenizer);

/// A text as a model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// The ids, special tokens included.
    pub(super) ids: Vec<u32>,
    /// How many tokens did not fit.
    pub(super) lost: usize,
}

impl PretrainedTokenizer {
    /// Reads the model's `tokenizer.json`.
    ///
    /// # Errors
    /// The file is missing or is not a tokenizer.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        let unreadable = |message: String| ModelError::Unreadable { file: TOKENIZER.to_owned(), message };
        let mut tokenizer =
            Tokenizer::from_bytes(files.bytes(TOKENIZER)?).map_err(|error| unreadable(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| unreadable(error.to_string()))?;
        Ok(PretrainedTokenizer(tokenizer))
    }

    /// The tokens of a text as strings, without special tokens. `row` is for messages.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn tokens(&self, text: &str, row: usize) -> Result<Vec<String>, ModelError> {
        // not `encode_fast`, which leaves the strings empty
        let encoding = self.0.encode(text, false).map_err(|error| refused(&error, row))?;
        Ok(encoding.get_tokens().to_vec())
    }

    /// How many special tokens the tokenizer adds to a text.
    pub(super) fn special(&self) -> usize {
        self.0.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
    }

    /// The same tokenizer without special tokens.
    pub(super) fn plain(mut self) -> Self {
        self.0.with_post_processor(None::<PostProcessorWrapper>);
        self
    }

    /// The ids of a text with special tokens, cut at its end so that at most `longest` stay; `longest` must be above
    /// [`PretrainedTokenizer::special`]. `row` is for messages.
    pub(super) fn ids(&self, text: &str, longest: usize, row: usize) -> Result<Cut, ModelError> {
        let mut own = self.0.encode_fast(text, false).map_err(|error| refused(&error, row))?;
        let count = own.len();
        own.truncate(longest.saturating_sub(self.special()).max(1), 0, TruncationDirection::Right);
        own.take_overflowing();
        let lost = count - own.len();
        let encoding = self.0.post_process(own, None, true).map_err(|error| refused(&error, row))?;
        Ok(Cut { ids: encoding.get_ids().to_vec(), lost })
    }

    /// The ids of a text without special tokens, and how many of the first belong to its first `prefix` bytes. A token that
    /// reaches beyond the prefix belongs to the text.
    pub(super) fn own_ids(&self, text: &str, prefix: usize, row: usize) -> Result<(Vec<u32>, usize), ModelError> {
        // only `encode` says where tokens stand
        let own = if prefix == 0 { self.0.encode_fast(text, false) } else { self.0.encode(text, false) };
        let own = own.map_err(|error| refused(&error, row))?;
        let inside = own.get_offsets().iter().take_while(|(_, end)| prefix > 0 && *end <= prefix).count();
        Ok((own.get_ids().to_vec(), inside))
    }

    /// How many of the first tokens are there because of a prefix: all that the prefix alone would have, but for a special token
    /// at its end (as sentence-transformers counts a prompt's length).
    pub(super) fn places_of(&self, prefix: &str) -> Result<usize, ModelError> {
        if prefix.is_empty() {
            return Ok(0);
        }
        let own = self.0.encode_fast(prefix, false).map_err(|error| refused(&error, 0))?;
        let whole = self.0.post_process(own, None, true).map_err(|error| refused(&error, 0))?;
        let ends = whole.get_special_tokens_mask().last() == Some(&1);
        Ok(whole.len() - usize::from(ends))
    }

    /// The ids of a word by itself, without special tokens, as it reads after a space: where the tokenizer takes the space for a
    /// part of the word (GPT-2, RoBERTa …), one stands before it, as with transformers' `add_prefix_space=True`.
    pub(super) fn word_ids(&self, word: &str, row: usize) -> Result<Vec<u32>, ModelError> {
        if word.is_empty() || word.starts_with(' ') || !self.spaced() {
            return Ok(self.own_ids(word, 0, row)?.0);
        }
        Ok(self.own_ids(&format!(" {word}"), 0, row)?.0)
    }

    /// True if a word after a space has other tokens than the same word at the beginning of a text.
    fn spaced(&self) -> bool {
        let normalized = self.0.get_normalizer().is_some();
        let spaced = |pre: &PreTokenizerWrapper| match pre {
            PreTokenizerWrapper::ByteLevel(bytes) => !bytes.add_prefix_space,
            PreTokenizerWrapper::Metaspace(marked) => {
                marked.get_prepend_scheme() == PrependScheme::Never && !normalized
            }
            _ => false,
        };
        match self.0.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::Sequence(several)) => several.as_ref().iter().any(spaced),
            Some(one) => spaced(one),
            None => false,
        }
    }

    /// Puts special tokens around ids.
    pub(super) fn dressed(&self, ids: Vec<u32>, row: usize) -> Result<Vec<u32>, ModelError> {
        Ok(self.around(ids, row)?.get_ids().to_vec())
    }

    /// The same, and where the first of the ids stands then.
    pub(super) fn placed(&self, ids: Vec<u32>, row: usize) -> Result<(Vec<u32>, usize), ModelError> {
        let whole = self.around(ids, row)?;
        let before = whole.get_special_tokens_mask().iter().take_while(|special| **special == 1).count();
        Ok((whole.get_ids().to_vec(), before))
    }

    fn around(&self, ids: Vec<u32>, row: usize) -> Result<Encoding, ModelError> {
        let count = ids.len();
        let own = Encoding::new(
            ids,
            vec![0; count],
            vec![String::new(); count],
            vec![None; count],
            vec![(0, 0); count],
            vec![0; count],
            vec![1; count],
            Vec::new(),
            Default::default(),
        );
        self.0.post_process(own, None, true).map_err(|error| refused(&error, row))
    }
}

fn refused(error: &tokenizers::Error, row: usize) -> ModelError {
    ModelError::Tokenize { row, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> PretrainedTokenizer {
        let json = r###"{ "version": "1.0", "truncation": { "max_length": 3, "strategy": "LongestFirst", "stride": 0 },
            "padding": { "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                "pad_type_id": 0, "pad_token": "[PAD]" },
            "added_tokens": [], "normalizer": { "type": "Lowercase" }, "pre_tokenizer": { "type": "Whitespace" },
            "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1] }, "decoder": null,
            "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": { "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "play": 4, "##ing": 5, "a": 6 } } }"###;
        let files = ModelFiles::from_iter([(TOKENIZER.to_owned(), json.as_bytes().to_vec())]);
        PretrainedTokenizer::load(&files).unwrap()
    }

    #[test]
    fn the_files_own_padding_and_truncation_are_left_out() {
        let cut = words().ids("Playing a game", 512, 0);
        assert_eq!(cut, Ok(Cut { ids: vec![1, 4, 5, 6, 3, 2], lost: 0 }));
        assert_eq!(words().tokens("Playing a", 0).unwrap(), ["play", "##ing", "a"]);
    }

    #[test]
    fn what_is_cut_is_counted() {
        assert_eq!(words().special(), 2);
        assert_eq!(words().ids("playing", 4, 0), Ok(Cut { ids: vec![1, 4, 5, 2], lost: 0 }));
        assert_eq!(words().ids("playing a a a a", 4, 0), Ok(Cut { ids: vec![1, 4, 5, 2], lost: 4 }));
        assert_eq!(words().ids("playing a a a", 3, 0), Ok(Cut { ids: vec![1, 4, 2], lost: 4 }));
        assert_eq!(words().ids("", 4, 0), Ok(Cut { ids: vec![1, 2], lost: 0 }));
    }

    #[test]
    fn ids_can_be_dressed_by_hand() {
        assert_eq!(words().own_ids("playing a", 0, 0), Ok((vec![4, 5, 6], 0)));
        assert_eq!(words().dressed(vec![5, 6], 0), Ok(vec![1, 5, 6, 2]));
        assert_eq!(words().dressed(Vec::new(), 0), Ok(vec![1, 2]));
        assert_eq!(words().placed(vec![5, 6], 0), Ok((vec![1, 5, 6, 2], 1)));
        assert_eq!(words().placed(Vec::new(), 0).map(|(ids, _)| ids), Ok(vec![1, 2]));
        assert_eq!(words().plain().placed(vec![5, 6], 0), Ok((vec![5, 6], 0)));
        let plain = words().plain();
        assert_eq!((plain.special(), plain.ids("a", 512, 0)), (0, Ok(Cut { ids: vec![6], lost: 0 })));
    }

    #[test]
    fn words_by_themselves_are_what_the_crate_makes_of_given_words() {
        let given = ["Playing", "a", "", "\u{200b}", "game a"];
        let whole = words().0.encode(&given[..], false).unwrap();
        for (word, text) in given.iter().enumerate() {
            let of_word = whole.get_word_ids().iter().zip(whole.get_ids()).filter(|(id, _)| **id == Some(word as u32));
            let ids: Vec<u32> = of_word.map(|(_, id)| *id).collect();
            assert_eq!(words().word_ids(text, 0).unwrap(), ids, "{text}");
        }
        assert_eq!(words().word_ids("playing", 0), Ok(vec![4, 5]));
    }

    #[test]
    fn a_word_reads_as_after_a_space() {
        let bytes = |pre: &str| {
            let json = format!(
                r#"{{ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                "post_processor": null, "decoder": null, "pre_tokenizer": {pre},
                "model": {{ "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": {{ "a": 0, "b": 1, "Ġ": 2, "Ġa": 3 }}, "merges": ["Ġ a"] }} }}"#
            );
            let files = ModelFiles::from_iter([(TOKENIZER.to_owned(), json.into_bytes())]);
            PretrainedTokenizer::load(&files).unwrap()
        };
        let level = |prefix: bool| {
            format!(
                r#"{{ "type": "ByteLevel", "add_prefix_space": {prefix}, "trim_offsets": true, "use_regex": true }}"#
            )
        };
        let after_split = format!(
            r#"{{ "type": "Sequence", "pretokenizers": [{{ "type": "Split", "pattern": {{ "Regex": " ?[a-z]+" }},
            "behavior": "Isolated", "invert": false }}, {}] }}"#,
            level(false).replace("\"use_regex\": true", "\"use_regex\": false")
        );
        for tokenizer in [bytes(&level(false)), bytes(&level(true)), bytes(&after_split)] {
            let ids = ["a", "ba", " a", ""].map(|word| tokenizer.word_ids(word, 0).unwrap());
            assert_eq!(ids, [vec![3], vec![2, 1, 0], vec![3], vec![]]);
        }
        assert_eq!(bytes(&level(false)).own_ids("a", 0, 0), Ok((vec![0], 0)));
    }

    #[test]
    fn tokens_of_a_prefix_are_told_from_those_of_the_text() {
        assert_eq!(words().own_ids("a a playing", 4, 0), Ok((vec![6, 6, 4, 5], 2)));
        // the prefix ends within a word
        assert_eq!(words().own_ids("a playing", 4, 0), Ok((vec![6, 4, 5], 1)));
        assert_eq!([words().places_of("a a "), words().places_of("")], [Ok(3), Ok(0)]);
        assert_eq!(words().plain().places_of("a a "), Ok(2));
    }

    #[test]
    fn a_broken_file_is_named() {
        let files = ModelFiles::from_iter([(TOKENIZER.to_owned(), b"{}".to_vec())]);
        let message = PretrainedTokenizer::load(&files).unwrap_err().to_string();
        assert!(message.starts_with("`tokenizer.json` of the model cannot be read: "), "{message}");
        let message = PretrainedTokenizer::load(&ModelFiles::default()).unwrap_err().to_string();
        assert_eq!(message, "the model has no file `tokenizer.json`");
    }
}
