//! What are the tokens of a text? scikit-learn's analysers (lower case, accents, word pattern, stop words, character n-grams),
//! and other ways to find words; stems.
//!
//! Ported from `sklearn/feature_extraction/text.py` of scikit-learn 1.9.1 (`_VectorizerMixin.build_analyzer`). Word n-grams
//! are made from tokens later, by [`word_ngrams`], so that tokens can be kept and shared before their n-grams are.

use std::borrow::Cow;
use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};
use rust_stemmers::Algorithm;
use rustc_hash::FxHashSet;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

mod language;
mod ngrams;
mod pattern;
mod stop_words;
mod vader;
mod valence;

pub use language::{LANGUAGES, Language};
pub use ngrams::word_ngrams;
pub use stop_words::ENGLISH_STOP_WORDS;
pub use vader::{VaderScores, spelled, vader};
pub use valence::{ValenceSummary, Valences};

use language::stem;
use ngrams::{char_ngrams, char_wb_ngrams, is_python_space};
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
    /// Which words are kept, and in what form; n-grams of characters are not asked.
    pub words: WordFilter,
}

/// Which words are kept, and in what form: stop words go first, then those too short or too long, then stems are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WordFilter {
    /// Words to leave out; compared after lower-casing and accents.
    pub stop_words: StopWords,
    /// Leave out words of fewer characters.
    pub min_length: usize,
    /// Leave out words of more characters.
    pub max_length: Option<usize>,
    /// The Snowball algorithm of this language makes stems of words, which should be in lower case.
    pub stem: Option<Algorithm>,
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
    /// Matches of a pattern.
    Word {
        /// A regular expression in Python's reading (see [`AnalyzerError::Pattern`] for what cannot be read).
        token_pattern: String,
    },
    /// Whatever white space divides.
    Whitespace,
    /// Words by Unicode's rules (UAX 29) that have a letter or a digit.
    Unicode,
    /// The same, and words of scripts without spaces: by a dictionary in Chinese and Japanese, by a small network (an LSTM) in
    /// Thai, Lao, Khmer and Burmese.
    Segment,
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
    /// The list of a language (for English, scikit-learn's [`ENGLISH_STOP_WORDS`]), brought to the form that tokens have: lower
    /// case, accents, and the pieces of words that the tokens break up (`c'est`).
    Language(&'static Language),
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
    filter: Filter,
}

#[derive(Debug, Clone)]
enum Unit {
    Word(Box<TokenPattern>),
    Whitespace,
    Segments(&'static LazyLock<WordSegmenterBorrowed<'static>>),
    Char((usize, usize)),
    CharWb((usize, usize)),
}

static UNICODE: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_for_non_complex_scripts(WordBreakInvariantOptions::default()));

static EVERY_SCRIPT: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_auto(WordBreakInvariantOptions::default()));

/// A compiled [`WordFilter`].
#[derive(Debug, Clone)]
struct Filter {
    stop: FxHashSet<Box<str>>,
    length: std::ops::RangeInclusive<usize>,
    stem: Option<Algorithm>,
}

impl Default for AnalyzerParams {
    fn default() -> Self {
        AnalyzerParams { lowercase: true, strip_accents: None, unit: TextUnit::default(), words: WordFilter::default() }
    }
}

impl Default for TextUnit {
    fn default() -> Self {
        TextUnit::Word { token_pattern: DEFAULT_TOKEN_PATTERN.to_owned() }
    }
}

impl Analyzer {
    /// Compiles `params`.
    ///
    /// # Errors
    /// A pattern that cannot be read, captures two groups or matches the empty text; an n-gram range that is none.
    pub fn new(params: &AnalyzerParams) -> Result<Self, AnalyzerError> {
        let unit = match &params.unit {
            TextUnit::Word { token_pattern } => Unit::Word(Box::new(TokenPattern::new(token_pattern)?)),
            TextUnit::Whitespace => Unit::Whitespace,
            TextUnit::Unicode => Unit::Segments(&UNICODE),
            TextUnit::Segment => Unit::Segments(&EVERY_SCRIPT),
            TextUnit::Char { ngram_range } => Unit::Char(checked(*ngram_range)?),
            TextUnit::CharWb { ngram_range } => Unit::CharWb(checked(*ngram_range)?),
        };
        let WordFilter { stop_words, min_length, max_length, stem } = &params.words;
        let filter =
            Filter { stop: FxHashSet::default(), length: *min_length..=max_length.unwrap_or(usize::MAX), stem: *stem };
        let mut analyzer = Analyzer { lowercase: params.lowercase, strip_accents: params.strip_accents, unit, filter };
        analyzer.filter.stop = analyzer.stop_set(stop_words);
        Ok(analyzer)
    }

    /// Calls `each` with every token of `text`, in scikit-learn's order. `scratch` is room that callers keep between texts.
    pub fn each_token(&self, text: &str, scratch: &mut String, each: &mut impl FnMut(&str)) {
        let text = if self.lowercase && text.is_ascii() {
            scratch.clear();
            scratch.push_str(text);
            scratch.make_ascii_lowercase();
            Cow::Borrowed(scratch.as_str())
        } else {
            self.preprocess(text)
        };
        match &self.unit {
            Unit::Char(range) => char_ngrams(&text, *range, each),
            Unit::CharWb(range) => char_wb_ngrams(&text, *range, each),
            _ if self.filter.keeps_all() => self.each_word(&text, each),
            _ => self.each_word(&text, &mut |word| match self.filter.stem {
                _ if !self.filter.keeps(word) => {}
                Some(algorithm) => each(&stem(word, algorithm)),
                None => each(word),
            }),
        }
    }

    /// Calls `each` with every word, before any is left out.
    fn each_word(&self, text: &str, each: &mut impl FnMut(&str)) {
        match &self.unit {
            Unit::Word(pattern) => pattern.each_token(text, each),
            Unit::Whitespace => text.split(is_python_space).filter(|word| !word.is_empty()).for_each(each),
            Unit::Segments(segmenter) => {
                let mut start = 0;
                for end in segmenter.segment_str(text) {
                    // not the segmenter's own word type: to it a word that ends in a vowel sign is none
                    if let Some(word) = text.get(start..end).filter(|word| word.contains(char::is_alphanumeric)) {
                        each(word);
                    }
                    start = end;
                }
            }
            Unit::Char(_) | Unit::CharWb(_) => {}
        }
    }

    /// The words of a list in the form that tokens have.
    fn stop_set(&self, words: &StopWords) -> FxHashSet<Box<str>> {
        let mut set: FxHashSet<Box<str>> = FxHashSet::default();
        match words {
            StopWords::Keep => {}
            StopWords::List(words) => set.extend(words.iter().map(|word| word.as_str().into())),
            StopWords::Language(language) => {
                for word in language.stop_words().unwrap_or_default() {
                    let word = self.preprocess(word);
                    if word.contains(['\'', '’']) {
                        self.each_word(&word, &mut |piece| {
                            set.insert(piece.into());
                        });
                    }
                    set.insert(word.into());
                }
            }
        }
        set
    }

    /// The tokens of `text`, in scikit-learn's order.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        self.each_token(text, &mut String::new(), &mut |token| tokens.push(token.to_owned()));
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

impl Filter {
    /// Whether every word is kept as it is.
    fn keeps_all(&self) -> bool {
        self.stop.is_empty() && self.stem.is_none() && self.length == (0..=usize::MAX)
    }

    fn keeps(&self, word: &str) -> bool {
        let open = *self.length.start() == 0 && *self.length.end() == usize::MAX;
        (open || self.length.contains(&word.chars().count())) && (self.stop.is_empty() || !self.stop.contains(word))
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
        let unit = TextUnit::Word { token_pattern: token_pattern.to_owned() };
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

    fn filtered(unit: TextUnit, filter: WordFilter) -> AnalyzerParams {
        AnalyzerParams { unit, words: filter, ..AnalyzerParams::default() }
    }

    #[test]
    fn stop_words_are_left_out() {
        let without = |stop_words| WordFilter { stop_words, ..WordFilter::default() };
        let of = |name: &str| StopWords::Language(Language::of(name).unwrap());
        let english = filtered(TextUnit::default(), without(of("en")));
        assert_eq!(words(&english, "The film is not a good one"), ["film", "good"]);
        let list = filtered(TextUnit::default(), without(StopWords::List(vec!["film".into()])));
        assert_eq!(words(&list, "The film is"), ["the", "is"]);
        // `C'est` is two tokens, of which one has a single character and the other is in the list
        let mut french = filtered(TextUnit::default(), without(of("French")));
        assert_eq!(words(&french, "C'est aujourd'hui même l'automne"), ["automne"]);
        french.strip_accents = Some(StripAccents::Unicode);
        assert_eq!(words(&french, "C'est aujourd'hui même l'automne"), ["automne"]);
    }

    #[test]
    fn words_are_found_in_other_ways() {
        let of = |unit| filtered(unit, WordFilter::default());
        assert_eq!(words(&of(TextUnit::Whitespace), " A\tb-c  d\u{1c}e \u{3000}x"), ["a", "b-c", "d", "e", "x"]);
        assert_eq!(
            words(&of(TextUnit::Unicode), "Can't stop, 3.14 a_b 👍🏽 हिन्दी!"),
            ["can't", "stop", "3.14", "a_b", "हिन्दी"]
        );
        assert_eq!(
            words(&of(TextUnit::Segment), "我们在北京大学学习自然语言处理。"),
            ["我们", "在", "北京", "大学", "学习", "自然", "语言", "处理"]
        );
        assert_eq!(words(&of(TextUnit::Segment), "ภาษาไทยง่ายนิดเดียว"), ["ภาษา", "ไทย", "ง่าย", "นิดเดียว"]);
        assert_eq!(words(&of(TextUnit::Segment), ""), Vec::<String>::new());
    }

    #[test]
    fn stop_words_go_first_then_lengths_then_stems() {
        let filter = WordFilter {
            stop_words: StopWords::List(vec!["running".into()]),
            min_length: 3,
            max_length: Some(7),
            stem: Language::of("english").and_then(|language| language.stemmer),
        };
        let params = filtered(TextUnit::Unicode, filter);
        assert_eq!(words(&params, "Running runs an fruitlessly run connected ties"), ["run", "run", "tie"]);
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
