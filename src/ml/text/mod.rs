//! What are the tokens of a text? scikit-learn's analysers: lower case, accents, word pattern, stop words, character n-grams.
//!
//! Ported from `sklearn/feature_extraction/text.py` of scikit-learn 1.9.1 (`_VectorizerMixin.build_analyzer`). Word n-grams
//! are made from tokens later, by [`word_ngrams`], so that tokens can be kept and shared before their n-grams are.

use std::borrow::Cow;
use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

mod ngrams;
mod pattern;
mod stop_words;
mod vader;
mod valence;

pub use ngrams::word_ngrams;
pub use stop_words::ENGLISH_STOP_WORDS;
pub use vader::{VaderScores, vader};
pub use valence::{ValenceSummary, Valences};

use ngrams::{char_ngrams, char_wb_ngrams};
use pattern::TokenPattern;

/// scikit-learn's default `token_pattern`: two or more word characters.
pub const DEFAULT_TOKEN_PATTERN: &str = r"(?u)\b\w\w+\b";

/// How an [`Analyzer`] makes tokens. The default is scikit-learn's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyzerParams {
    /// Whether texts are lower-cased first (Python's `str.lower`).
    pub lowercase: bool,
    /// How accents are removed, after lower-casing; `None` keeps them.
    pub strip_accents: Option<StripAccents>,
    /// What a token is.
    pub unit: TextUnit,
}

/// How accents are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripAccents {
    /// NFKD, then every character outside ASCII is dropped.
    Ascii,
    /// NFKD, then every combining character is dropped; ASCII texts are left as they are.
    Unicode,
}

/// What a token is: scikit-learn's `analyzer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextUnit {
    /// Matches of a pattern, less stop words.
    Word {
        /// A regular expression in Python's reading (see [`AnalyzerError::Pattern`] for what cannot be read).
        token_pattern: String,
        /// Tokens to leave out; compared after lower-casing and accents.
        stop_words: StopWords,
    },
    /// n-grams of characters, white space included.
    Char {
        /// Smallest and largest n.
        ngram_range: (usize, usize),
    },
    /// n-grams of characters inside words, each word padded with a space at both ends.
    CharWb {
        /// Smallest and largest n.
        ngram_range: (usize, usize),
    },
}

/// Which tokens to leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StopWords {
    /// No token is left out.
    #[default]
    Keep,
    /// scikit-learn's [`ENGLISH_STOP_WORDS`].
    English,
    /// These words.
    List(Vec<String>),
}

/// Why an [`Analyzer`] cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzerError {
    /// The pattern is no regular expression, or uses what finite automata lack: look-around, back-references, atomic groups.
    #[error(
        "`token_pattern` `{pattern}` cannot be read as a regular expression (look-around and back-references are not supported)"
    )]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What the regex crate says; it shows the pattern as translated.
        #[source]
        source: Box<regex::Error>,
    },
    /// A pattern may capture one group (which is then the token), not more.
    #[error(
        "`token_pattern` `{pattern}` has {groups} capturing groups; keep at most one and write the others as `(?:…)`"
    )]
    Groups {
        /// The pattern as given.
        pattern: String,
        /// How many groups it captures.
        groups: usize,
    },
    /// The pattern matches the empty text, so it would find a token between any two characters.
    #[error("`token_pattern` `{pattern}` matches the empty text; use `+` where it says `*`")]
    MatchesEmpty {
        /// The pattern as given.
        pattern: String,
    },
    /// `ngram_range` is empty or starts at 0.
    #[error("`ngram_range` must be two numbers from 1 up, the smaller first, but is [{min}, {max}]")]
    NgramRange {
        /// The smallest n as given.
        min: usize,
        /// The largest n as given.
        max: usize,
    },
}

/// A compiled analyser: text in, tokens out.
#[derive(Debug, Clone)]
pub struct Analyzer {
    lowercase: bool,
    strip_accents: Option<StripAccents>,
    unit: Unit,
}

#[derive(Debug, Clone)]
enum Unit {
    Word { pattern: Box<TokenPattern>, stop: BTreeSet<String> },
    Char((usize, usize)),
    CharWb((usize, usize)),
}

impl Default for AnalyzerParams {
    fn default() -> Self {
        AnalyzerParams { lowercase: true, strip_accents: None, unit: TextUnit::default() }
    }
}

impl Default for TextUnit {
    fn default() -> Self {
        TextUnit::Word { token_pattern: DEFAULT_TOKEN_PATTERN.to_owned(), stop_words: StopWords::Keep }
    }
}

impl Analyzer {
    /// Compiles `params`.
    ///
    /// # Errors
    /// A pattern that cannot be read, captures two groups or matches the empty text; an n-gram range that is none.
    pub fn new(params: &AnalyzerParams) -> Result<Self, AnalyzerError> {
        let unit = match &params.unit {
            TextUnit::Word { token_pattern, stop_words } => {
                Unit::Word { pattern: Box::new(TokenPattern::new(token_pattern)?), stop: stop_words.set() }
            }
            TextUnit::Char { ngram_range } => Unit::Char(checked(*ngram_range)?),
            TextUnit::CharWb { ngram_range } => Unit::CharWb(checked(*ngram_range)?),
        };
        Ok(Analyzer { lowercase: params.lowercase, strip_accents: params.strip_accents, unit })
    }

    /// Calls `each` with every token of `text`, in scikit-learn's order.
    pub fn for_each_token(&self, text: &str, each: &mut dyn FnMut(&str)) {
        let text = self.preprocess(text);
        match &self.unit {
            Unit::Word { pattern, stop } => pattern.for_each(&text, &mut |token| {
                if stop.is_empty() || !stop.contains(token) {
                    each(token);
                }
            }),
            Unit::Char(range) => char_ngrams(&text, *range, each),
            Unit::CharWb(range) => char_wb_ngrams(&text, *range, each),
        }
    }

    /// The tokens of `text`, in scikit-learn's order.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        self.for_each_token(text, &mut |token| tokens.push(token.to_owned()));
        tokens
    }

    /// Lower case, then accents (scikit-learn's `_preprocess`).
    fn preprocess<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = if self.lowercase { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) };
        match self.strip_accents {
            Some(how) if !text.is_ascii() => Cow::Owned(stripped(&text, how)),
            _ => text,
        }
    }
}

impl StopWords {
    fn set(&self) -> BTreeSet<String> {
        match self {
            StopWords::Keep => BTreeSet::new(),
            StopWords::English => ENGLISH_STOP_WORDS.iter().map(|&word| word.to_owned()).collect(),
            StopWords::List(words) => words.iter().cloned().collect(),
        }
    }
}

fn stripped(text: &str, how: StripAccents) -> String {
    match how {
        StripAccents::Ascii => text.nfkd().filter(char::is_ascii).collect(),
        StripAccents::Unicode => text.nfkd().filter(|&c| canonical_combining_class(c) == 0).collect(),
    }
}

fn checked((min, max): (usize, usize)) -> Result<(usize, usize), AnalyzerError> {
    if min >= 1 && min <= max { Ok((min, max)) } else { Err(AnalyzerError::NgramRange { min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(params: &AnalyzerParams, text: &str) -> Vec<String> {
        Analyzer::new(params).unwrap().tokens(text)
    }

    fn pattern(token_pattern: &str) -> AnalyzerParams {
        let unit = TextUnit::Word { token_pattern: token_pattern.to_owned(), stop_words: StopWords::Keep };
        AnalyzerParams { unit, ..AnalyzerParams::default() }
    }

    #[test]
    fn default_words_are_scikit_learns() {
        let default = AnalyzerParams::default();
        assert_eq!(words(&default, "Don't a I x_y 3.14 2024"), ["don", "x_y", "14", "2024"]);
        // combining marks end a word (Python's \w), superscripts and circled digits continue it
        assert_eq!(words(&default, "cafe\u{301}s x² ①② Ⓐb"), ["cafe", "x²", "①②"]);
        assert_eq!(words(&default, "हिन्दी"), Vec::<String>::new());
        assert_eq!(words(&default, "İstanbul ΟΔΟΣ ΣΑΣ STRASSE"), ["stanbul", "οδος", "σας", "strasse"]);
        assert_eq!(words(&default, ""), Vec::<String>::new());
    }

    #[test]
    fn lower_case_can_be_kept_and_accents_removed() {
        let keep = AnalyzerParams { lowercase: false, ..AnalyzerParams::default() };
        assert_eq!(words(&keep, "Good FILM"), ["Good", "FILM"]);
        let unicode = AnalyzerParams { strip_accents: Some(StripAccents::Unicode), ..AnalyzerParams::default() };
        assert_eq!(words(&unicode, "Café ﬁne straße 東京"), ["cafe", "fine", "straße", "東京"]);
        let ascii = AnalyzerParams { strip_accents: Some(StripAccents::Ascii), ..AnalyzerParams::default() };
        assert_eq!(words(&ascii, "Café ﬁne straße 東京"), ["cafe", "fine", "strae"]);
    }

    #[test]
    fn stop_words_are_left_out() {
        let english = TextUnit::Word { token_pattern: DEFAULT_TOKEN_PATTERN.into(), stop_words: StopWords::English };
        let params = AnalyzerParams { unit: english, ..AnalyzerParams::default() };
        assert_eq!(words(&params, "The film is not a good one"), ["film", "good"]);
        let list = StopWords::List(vec!["film".into()]);
        let unit = TextUnit::Word { token_pattern: DEFAULT_TOKEN_PATTERN.into(), stop_words: list };
        assert_eq!(words(&AnalyzerParams { unit, ..AnalyzerParams::default() }, "The film is"), ["the", "is"]);
    }

    #[test]
    fn one_group_is_the_token_and_two_are_refused() {
        assert_eq!(words(&pattern(r"#(\w+)"), "a #tag and #b"), ["tag", "b"]);
        let two = Analyzer::new(&pattern(r"(\w)(\w+)")).unwrap_err();
        assert!(matches!(two, AnalyzerError::Groups { groups: 2, .. }));
        assert!(matches!(Analyzer::new(&pattern(r"\w*")), Err(AnalyzerError::MatchesEmpty { .. })));
        assert!(matches!(Analyzer::new(&pattern(r"(\w")), Err(AnalyzerError::Pattern { .. })));
        assert!(matches!(Analyzer::new(&pattern(r"(?<=a)b")), Err(AnalyzerError::Pattern { .. })));
    }

    #[test]
    fn a_bad_ngram_range_is_refused() {
        for ngram_range in [(0, 1), (3, 2)] {
            let params = AnalyzerParams { unit: TextUnit::Char { ngram_range }, ..AnalyzerParams::default() };
            assert!(matches!(Analyzer::new(&params), Err(AnalyzerError::NgramRange { .. })));
        }
    }
}
