//! What may `tfidf` be told, and does it go together?

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::super::analysis::{self, Chosen, Params as Tokens};
use crate::ml::{Analyzer, DocumentFrequency, Hashing, TfidfError, TfidfNorm, TfidfParams};
use crate::problem::Problems;
use crate::stage::Scope;

/// Weighs the terms of each text as scikit-learn's TfidfVectorizer does. The vocabulary and the inverse document frequencies
/// come from training rows alone. Its input is tokens, or texts, whose tokens it then finds itself as `tokenize` does, without a
/// table of them. Plain counts (CountVectorizer) are `use_idf: false, norm: none`; with `hashing` no vocabulary is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// Smallest and largest number of tokens in a term: [1, 2] takes single words and pairs.
    pub(super) ngram_range: (usize, usize),
    /// In how many training rows a term must occur: a whole number of rows, or a share of them (0.0 to 1.0).
    pub(super) min_df: Frequency,
    /// In how many training rows a term may occur: a whole number of rows, or a share of them (0.0 to 1.0).
    pub(super) max_df: Frequency,
    /// Keep only this many terms, those that occur most often in all training rows; of equals, the first in code-point order.
    #[schemars(range(min = 1))]
    pub(super) max_features: Option<usize>,
    /// Count a term once per text, however often it occurs there.
    pub(super) binary: bool,
    /// Multiply by the inverse document frequency.
    pub(super) use_idf: bool,
    /// Add one to every document frequency, as if one more text held every term.
    pub(super) smooth_idf: bool,
    /// Replace a count n by 1 + ln(n).
    pub(super) sublinear_tf: bool,
    /// Scale each row to length 1 by this norm.
    pub(super) norm: Norm,
    /// Use these terms, in this order, instead of learning them.
    pub(super) vocabulary: Option<Vec<String>>,
    /// Of texts: what tokens are. The parameters of `tokenize`, all tokenizers but the pretrained ones.
    pub(super) tokens: Tokens,
    /// Take the hash of a term for its column, as scikit-learn's HashingVectorizer does, instead of learning a vocabulary: room
    /// does not grow with the number of terms, which have no names then. HashingVectorizer itself is `use_idf: false`.
    pub(super) hashing: Option<Hashed>,
}

/// How terms become columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Hashed {
    /// Number of columns, up to 2147483647.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    n_features: u32,
    /// Count half of the terms below zero, so that those that meet in a column cancel out rather than add up.
    alternate_sign: bool,
}

impl Default for Hashed {
    fn default() -> Self {
        let Hashing { n_features, alternate_sign } = Hashing::default();
        Hashed { n_features, alternate_sign }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Norm {
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    L2,
    /// None.
    None,
}

/// Rows (a whole number) or a share of them (a number with a point).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frequency(DocumentFrequency);

impl Serialize for Frequency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            DocumentFrequency::Count(rows) => to.serialize_u64(rows as u64),
            DocumentFrequency::Share(share) => to.serialize_f64(share),
        }
    }
}

impl<'de> Deserialize<'de> for Frequency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(from)?;
        match (number.as_u64(), number.as_f64()) {
            (Some(rows), _) => Ok(Frequency(DocumentFrequency::Count(rows as usize))),
            (None, Some(share)) if share >= 0.0 => Ok(Frequency(DocumentFrequency::Share(share))),
            _ => Err(de::Error::custom("must be a whole number of rows, or a share between 0.0 and 1.0")),
        }
    }
}

impl JsonSchema for Frequency {
    fn schema_name() -> Cow<'static, str> {
        "DocumentFrequency".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

impl Default for Params {
    fn default() -> Self {
        let defaults = TfidfParams::default();
        Params {
            ngram_range: defaults.ngram_range,
            min_df: Frequency(defaults.min_df),
            max_df: Frequency(defaults.max_df),
            max_features: None,
            binary: false,
            use_idf: true,
            smooth_idf: true,
            sublinear_tf: false,
            norm: Norm::L2,
            vocabulary: None,
            tokens: Tokens::default(),
            hashing: None,
        }
    }
}

impl Params {
    /// What the arithmetic is asked for.
    pub(super) fn weighing(&self, at: &Scope<'_>) -> Result<TfidfParams, Problems> {
        let params = TfidfParams {
            ngram_range: self.ngram_range,
            min_df: self.min_df.0,
            max_df: self.max_df.0,
            max_features: self.max_features,
            binary: self.binary,
            use_idf: self.use_idf,
            smooth_idf: self.smooth_idf,
            sublinear_tf: self.sublinear_tf,
            norm: match self.norm {
                Norm::L1 => Some(TfidfNorm::L1),
                Norm::L2 => Some(TfidfNorm::L2),
                Norm::None => None,
            },
            vocabulary: self.vocabulary.clone(),
        };
        match params.check() {
            Ok(()) => Ok(params),
            Err(error) => Err(at.problem("out-of-range", &param_of(&error), error.to_string()).into()),
        }
    }

    /// Who finds the tokens of texts.
    pub(super) fn analyzer(&self, at: &Scope<'_>) -> Result<Analyzer, Problems> {
        let locate = |path: &[&str]| (at.locate)(&[&["tokens"], path].concat());
        let at = Scope { stage: at.stage, base: at.base, locate: &locate };
        if let Chosen::Pretrained(_) = self.tokens.tokenizer {
            let message = "`tfidf` does not know pretrained tokenizers";
            let problem = at.problem("invalid-param", &["tokenizer"], message);
            return Err(problem.help("put a stage `tokenize` before it").into());
        }
        let mut problems = self.tokens.strangers(&at);
        match analysis::analyzer(&self.tokens, &at) {
            Ok(analyzer) if problems.0.is_empty() => Ok(analyzer),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.0.extend(more.0);
                Err(problems)
            }
        }
    }

    /// How terms are hashed, if they are.
    pub(super) fn hashing(&self, at: &Scope<'_>) -> Result<Option<Hashing>, Problems> {
        let Some(Hashed { n_features, alternate_sign }) = self.hashing else { return Ok(None) };
        let default = Params::default();
        let mut problems = Problems::default();
        if !(1..=i32::MAX as u32).contains(&n_features) {
            let message = format!("`n_features` must be from 1 to {}, but is {n_features}", i32::MAX);
            problems.push(at.problem("out-of-range", &["hashing", "n_features"], message));
        }
        let learned = [
            ("min_df", self.min_df != default.min_df),
            ("max_df", self.max_df != default.max_df),
            ("max_features", self.max_features.is_some()),
            ("vocabulary", self.vocabulary.is_some()),
        ];
        for (name, _) in learned.into_iter().filter(|(_, set)| *set) {
            let message = format!("`{name}` chooses from a vocabulary, and there is none with `hashing`");
            problems.push(at.problem("invalid-param", &[name], message).help(format!("remove `{name}`")));
        }
        if self.sublinear_tf && alternate_sign {
            let message = "`sublinear_tf` takes the logarithm of counts, which `alternate_sign` puts below zero";
            let problem = at.problem("invalid-param", &["sublinear_tf"], message);
            problems.push(problem.help("set `alternate_sign: false` under `hashing`"));
        }
        if problems.0.is_empty() { Ok(Some(Hashing { n_features, alternate_sign })) } else { Err(problems) }
    }
}

/// The parameter at fault.
pub(super) fn param_of(error: &TfidfError) -> Vec<&'static str> {
    match error {
        TfidfError::NgramRange { .. } | TfidfError::EmptyVocabulary { .. } | TfidfError::TooMany { .. } => {
            vec!["ngram_range"]
        }
        TfidfError::DocumentFrequency { name, .. } => vec![name],
        TfidfError::MaxFeatures => vec!["max_features"],
        TfidfError::MinAboveMax { .. } | TfidfError::NothingLeft { .. } => vec!["min_df"],
        TfidfError::UndefinedColumn { .. } => vec!["smooth_idf"],
        _ => vec!["vocabulary"],
    }
}
