//! What may be said of tokens, and does it go together? For stages that find the tokens of texts: `tokenize`, and `tfidf` where it
//! reads texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ml::{
    self, Analyzer, AnalyzerError, AnalyzerParams, DEFAULT_TOKEN_PATTERN, LANGUAGES, Language, TextUnit, WordFilter,
};
use crate::problem::{Problem, Problems, suggest};
use crate::stage::{Scope, elided};

/// Cuts each text into tokens. Words are made in this order: lower case, accents, the tokenizer, stop words, lengths, stems.
/// With `tokenizer: { pretrained: MODEL }` tokens are the pieces of that model's tokenizer, without special tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// Who cuts.
    pub(super) tokenizer: Chosen,
    /// Turn texts to lower case first. Not for a pretrained tokenizer.
    pub(super) lowercase: bool,
    /// Remove accents, after lower-casing. Not for a pretrained tokenizer.
    pub(super) strip_accents: Option<StripAccents>,
    /// `tokenizer: words`: what a token is, as a regular expression; if it has a group, the group is the token.
    pub(super) token_pattern: String,
    /// Words to leave out, compared after lower-casing and accents: a language by its English name or ISO 639-1 code, or a list.
    /// English is scikit-learn's list, the others are those of Stopwords ISO, brought to the form that tokens have.
    pub(super) stop_words: Option<StopWords>,
    /// Leave out words of fewer characters.
    #[schemars(range(min = 1))]
    pub(super) min_length: Option<usize>,
    /// Leave out words of more characters.
    #[schemars(range(min = 1))]
    pub(super) max_length: Option<usize>,
    /// Take the stems of words, by the Snowball algorithm of this language: its English name or ISO 639-1 code. Needs
    /// `lowercase`.
    pub(super) stem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Chosen {
    /// Matches of `token_pattern`.
    Words,
    /// Whatever white space divides.
    Whitespace,
    /// Words by Unicode's rules (UAX 29); what has no letter and no digit is left out. Chinese and Japanese characters stand alone.
    UnicodeWords,
    /// The same, with words found in scripts that have no spaces: Chinese and Japanese by a dictionary, Thai, Lao, Khmer and
    /// Burmese by a small network (ICU4X). The script of the text decides; no language need be named.
    Segment,
    /// n-grams of characters, white space included, as scikit-learn's `analyzer="char"`.
    Char(Ngrams),
    /// n-grams of characters inside words, each word with a space at both ends, as scikit-learn's `analyzer="char_wb"`.
    CharWb(Ngrams),
    /// The tokenizer of a model, named as in `embed`: a known name, a folder, `hf:org/name@revision`.
    Pretrained(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ngrams {
    /// Smallest and largest number of characters: [2, 4] takes two, three and four.
    pub(super) ngram_range: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StripAccents {
    /// Decompose, then drop whatever is not ASCII.
    Ascii,
    /// Decompose, then drop combining marks.
    Unicode,
}

/// A language or a list of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum StopWords {
    /// The list of a language.
    Of(String),
    /// These words.
    List(Vec<String>),
}

impl Default for Params {
    fn default() -> Self {
        Params {
            tokenizer: Chosen::Words,
            lowercase: true,
            strip_accents: None,
            token_pattern: DEFAULT_TOKEN_PATTERN.to_owned(),
            stop_words: None,
            min_length: None,
            max_length: None,
            stem: None,
        }
    }
}

impl Params {
    /// The parameters as a key sees them: a language has one name.
    pub(super) fn canonical(&self) -> Value {
        elided(&self.named(), &Params::default())
    }

    /// The same with the names of languages spelled out.
    pub(super) fn named(&self) -> Params {
        let mut named = self.clone();
        let name = |given: &mut String| {
            if let Some(language) = Language::of(given) {
                *given = language.name.to_owned();
            }
        };
        named.stem.as_mut().map(name);
        if let Some(StopWords::Of(given)) = &mut named.stop_words {
            name(given);
        }
        named
    }

    /// Complains about parameters that the chosen tokenizer has not.
    pub(super) fn strangers(&self, at: &Scope<'_>) -> Problems {
        let default = Params::default();
        let (words, own) = match self.tokenizer {
            Chosen::Pretrained(_) => (false, false),
            Chosen::Char(_) | Chosen::CharWb(_) => (false, true),
            _ => (true, true),
        };
        let pattern = self.tokenizer == Chosen::Words;
        let all = [
            ("lowercase", own, self.lowercase != default.lowercase),
            ("strip_accents", own, self.strip_accents != default.strip_accents),
            ("token_pattern", pattern, self.token_pattern != default.token_pattern),
            ("stop_words", words, self.stop_words != default.stop_words),
            ("min_length", words, self.min_length != default.min_length),
            ("max_length", words, self.max_length != default.max_length),
            ("stem", words, self.stem != default.stem),
        ];
        let mut problems = Problems::default();
        for (name, _, _) in all.into_iter().filter(|(_, fits, set)| *set && !fits) {
            let message = format!("`{name}` does not go with `tokenizer: {}`", self.tokenizer.name());
            problems.push(at.problem("invalid-param", &[name], message).help(format!("remove `{name}`")));
        }
        problems
    }
}

impl Chosen {
    fn name(&self) -> &'static str {
        match self {
            Chosen::Words => "words",
            Chosen::Whitespace => "whitespace",
            Chosen::UnicodeWords => "unicode_words",
            Chosen::Segment => "segment",
            Chosen::Char(_) => "char",
            Chosen::CharWb(_) => "char_wb",
            Chosen::Pretrained(_) => "pretrained",
        }
    }
}

/// The analyser that the parameters of a tokenizer of one's own ask for.
pub(super) fn analyzer(params: &Params, at: &Scope<'_>) -> Result<Analyzer, Problems> {
    let mut problems = Problems::default();
    let mut kept = |found: Result<&'static Language, Problems>| match found {
        Ok(language) => Some(language),
        Err(more) => {
            problems.0.extend(more.0);
            None
        }
    };
    let stop_words = match &params.stop_words {
        None => ml::StopWords::Keep,
        Some(StopWords::List(words)) => ml::StopWords::List(words.clone()),
        Some(StopWords::Of(name)) => {
            let listed = |language: &Language| language.stop_words().is_some();
            kept(language(name, "stop_words", "list of stop words", listed, at))
                .map_or(ml::StopWords::Keep, ml::StopWords::Language)
        }
    };
    let stem = params.stem.as_ref().and_then(|name| {
        kept(language(name, "stem", "algorithm for stems", |language| language.stemmer.is_some(), at))
    });
    if params.stem.is_some() && !params.lowercase {
        let message = "stems are of words in lower case, but `lowercase` is false";
        problems.push(at.problem("invalid-param", &["stem"], message).help("remove `lowercase: false`"));
    }
    for (name, length) in [("min_length", params.min_length), ("max_length", params.max_length)] {
        if length == Some(0) {
            problems.push(at.problem("out-of-range", &[name], format!("`{name}` must be above 0, but is 0")));
        }
    }
    if let (Some(min), Some(max)) = (params.min_length, params.max_length)
        && min > max
    {
        let message = format!("`min_length` must not be above `max_length`, but is {min} above {max}");
        problems.push(at.problem("out-of-range", &["min_length"], message));
    }
    let built = Analyzer::new(&AnalyzerParams {
        lowercase: params.lowercase,
        strip_accents: params.strip_accents.map(|how| match how {
            StripAccents::Ascii => ml::StripAccents::Ascii,
            StripAccents::Unicode => ml::StripAccents::Unicode,
        }),
        unit: match &params.tokenizer {
            Chosen::Whitespace => TextUnit::Whitespace,
            Chosen::UnicodeWords => TextUnit::Unicode,
            Chosen::Segment => TextUnit::Segment,
            Chosen::Char(Ngrams { ngram_range }) => TextUnit::Char { ngram_range: *ngram_range },
            Chosen::CharWb(Ngrams { ngram_range }) => TextUnit::CharWb { ngram_range: *ngram_range },
            Chosen::Words | Chosen::Pretrained(_) => TextUnit::Word { token_pattern: params.token_pattern.clone() },
        },
        words: WordFilter {
            stop_words,
            min_length: params.min_length.unwrap_or(0),
            max_length: params.max_length,
            stem: stem.and_then(|language| language.stemmer),
        },
    });
    match built {
        Ok(analyzer) if problems.0.is_empty() => Ok(analyzer),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(unreadable(&error, &params.tokenizer, at));
            Err(problems)
        }
    }
}

/// The language called `name`, if it has what is wanted.
fn language(
    name: &str,
    param: &str,
    what: &str,
    has: fn(&Language) -> bool,
    at: &Scope<'_>,
) -> Result<&'static Language, Problems> {
    let known = Language::of(name);
    if let Some(language) = known.filter(|language| has(language)) {
        return Ok(language);
    }
    let names: Vec<&str> = LANGUAGES.iter().filter(|language| has(language)).map(|language| language.name).collect();
    let message = match known {
        Some(language) => format!("there is no {what} for `{}`", language.name),
        None => format!("`{param}` knows no language `{name}`"),
    };
    let near = suggest(name, names.iter().copied()).filter(|_| known.is_none());
    let problem = at.problem("unknown-choice", &[param], message);
    let problem = near.into_iter().fold(problem, |problem, near| problem.help(format!("did you mean `{near}`?")));
    Err(problem.note(format!("the languages are {}", names.join(", "))).into())
}

fn unreadable(error: &AnalyzerError, tokenizer: &Chosen, at: &Scope<'_>) -> Problem {
    if let AnalyzerError::NgramRange { .. } = error {
        return at.problem("out-of-range", &["tokenizer", tokenizer.name(), "ngram_range"], error.to_string());
    }
    let problem = at.problem("invalid-param", &["token_pattern"], error.to_string());
    match std::error::Error::source(error) {
        // the regex crate draws several lines; the last one says what is wrong
        Some(source) => match source.to_string().lines().last() {
            Some(line) => problem.because(line.trim().trim_start_matches("error: ")),
            None => problem,
        },
        None => problem,
    }
}
