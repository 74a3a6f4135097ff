//! What may a TF-IDF be asked for? scikit-learn's options, their defaults, and what cannot be fitted.

use rustc_hash::FxHashSet;

/// scikit-learn's options, with scikit-learn's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct TfidfParams {
    /// Smallest and largest number of tokens in a term.
    pub ngram_range: (usize, usize),
    /// In how many rows a term must occur.
    pub min_df: DocumentFrequency,
    /// In how many rows a term may occur.
    pub max_df: DocumentFrequency,
    /// How many terms to keep: those that occur most often in all.
    pub max_features: Option<usize>,
    /// Whether a term counts once per row, however often it occurs there.
    pub binary: bool,
    /// Whether counts are multiplied by the inverse document frequency.
    pub use_idf: bool,
    /// Whether the document frequencies count one more row that holds every term.
    pub smooth_idf: bool,
    /// Whether a count `n` becomes `1 + ln(n)`.
    pub sublinear_tf: bool,
    /// What every row is divided by.
    pub norm: Option<TfidfNorm>,
    /// The terms, in column order, instead of learning them; `min_df`, `max_df` and `max_features` are then without effect.
    pub vocabulary: Option<Vec<String>>,
}

/// A number of rows or a share of the rows: scikit-learn's `1` and `1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DocumentFrequency {
    /// This many rows, from 1 up.
    Count(usize),
    /// This share of the rows, from 0 to 1.
    Share(f64),
}

/// A length that rows are scaled to have 1 of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TfidfNorm {
    /// The sum of absolute values.
    L1,
    /// The root of the sum of squares.
    L2,
}

/// Why no vocabulary can be learned or used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TfidfError {
    /// `ngram_range` is empty or starts at 0.
    #[error("`ngram_range` must be two numbers from 1 up, the smaller first, but is [{min}, {max}]")]
    NgramRange {
        /// The smallest n as given.
        min: usize,
        /// The largest n as given.
        max: usize,
    },
    /// `min_df` or `max_df` is a count of 0 or a share outside 0 to 1.
    #[error("`{name}` must be a count from 1 up or a share from 0.0 to 1.0, but is {value}")]
    DocumentFrequency {
        /// `min_df` or `max_df`.
        name: &'static str,
        /// The value as given.
        value: f64,
    },
    /// `max_features` is 0.
    #[error("`max_features` must be 1 or more, but is 0")]
    MaxFeatures,
    /// `vocabulary` is an empty list.
    #[error("`vocabulary` is an empty list; name its terms, or leave it out to learn them")]
    NoVocabularyGiven,
    /// `vocabulary` names a term twice.
    #[error("`vocabulary` names `{term}` twice")]
    DuplicateTerm {
        /// The term.
        term: String,
    },
    /// The training rows hold no term at all.
    #[error(
        "the {rows} training rows hold no term; every token may be a stop word, or every text too short for `ngram_range`"
    )]
    EmptyVocabulary {
        /// How many training rows there are.
        rows: usize,
    },
    /// `min_df` asks for more rows than `max_df` allows.
    #[error(
        "`min_df` asks for {min} and `max_df` allows {max} of the {rows} training rows; lower `min_df` or raise `max_df`"
    )]
    MinAboveMax {
        /// `min_df` in rows, before rounding.
        min: f64,
        /// `max_df` in rows, before rounding.
        max: f64,
        /// How many training rows there are.
        rows: usize,
    },
    /// Every term is too rare or too common.
    #[error("no term occurs in {} of the {rows} training rows", span(*.min, *.max, *.rows))]
    NothingLeft {
        /// The fewest rows a term must occur in.
        min: usize,
        /// The most rows a term may occur in.
        max: usize,
        /// How many training rows there are.
        rows: usize,
        /// How many terms there were.
        terms: usize,
    },
    /// A given term occurs in no training row, so that its inverse document frequency is infinite.
    #[error("`{term}` of `vocabulary` occurs in no training row, so it has no idf; set `smooth_idf: true`")]
    UndefinedIdf {
        /// The term.
        term: String,
    },
    /// A column of hashed terms has no training row, so that its inverse document frequency is infinite.
    #[error("column {column} has no training row, so it has no idf; set `smooth_idf: true`")]
    UndefinedColumn {
        /// The column.
        column: usize,
    },
    /// There are more than can be numbered.
    #[error("there are more {what} than fit in 32 bits; use `hashing`, or fewer rows")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// A vocabulary whose parts have different lengths (read back damaged).
    #[error("the vocabulary has {terms} terms and {idf} idf values")]
    Malformed {
        /// How many terms.
        terms: usize,
        /// How many idf values.
        idf: usize,
    },
}

impl Default for TfidfParams {
    fn default() -> Self {
        TfidfParams {
            ngram_range: (1, 1),
            min_df: DocumentFrequency::Count(1),
            max_df: DocumentFrequency::Share(1.0),
            max_features: None,
            binary: false,
            use_idf: true,
            smooth_idf: true,
            sublinear_tf: false,
            norm: Some(TfidfNorm::L2),
            vocabulary: None,
        }
    }
}

impl TfidfParams {
    /// Finds the first value out of range, without looking at rows.
    ///
    /// # Errors
    /// `ngram_range`, `min_df`, `max_df`, `max_features` or `vocabulary` cannot mean anything.
    pub fn check(&self) -> Result<(), TfidfError> {
        let (min, max) = self.ngram_range;
        if min == 0 || min > max {
            return Err(TfidfError::NgramRange { min, max });
        }
        for (name, bound) in [("min_df", self.min_df), ("max_df", self.max_df)] {
            let value = match bound {
                DocumentFrequency::Count(0) => 0.0,
                DocumentFrequency::Share(share) if !(0.0..=1.0).contains(&share) => share,
                _ => continue,
            };
            return Err(TfidfError::DocumentFrequency { name, value });
        }
        if self.max_features == Some(0) {
            return Err(TfidfError::MaxFeatures);
        }
        let Some(given) = &self.vocabulary else {
            return Ok(());
        };
        if given.is_empty() {
            return Err(TfidfError::NoVocabularyGiven);
        }
        let mut seen = FxHashSet::default();
        match given.iter().find(|term| !seen.insert(term.as_str())) {
            Some(term) => Err(TfidfError::DuplicateTerm { term: term.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn term_frequency(&self, count: i32) -> f64 {
        let count = if self.binary { 1.0 } else { f64::from(count) };
        if self.sublinear_tf { count.ln() + 1.0 } else { count }
    }

    /// Divides `weights` by their norm; a row without weight stays as it is.
    pub(super) fn normalise(&self, weights: &mut [f64]) {
        let length = match self.norm {
            None => return,
            Some(TfidfNorm::L1) => weights.iter().map(|weight| weight.abs()).sum(),
            Some(TfidfNorm::L2) => weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt(),
        };
        if length > 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= length);
        }
    }
}

impl DocumentFrequency {
    pub(super) fn in_rows(self, rows: usize) -> f64 {
        match self {
            DocumentFrequency::Count(count) => count as f64,
            DocumentFrequency::Share(share) => share * rows as f64,
        }
    }
}

fn span(min: usize, max: usize, rows: usize) -> String {
    match (min, max) {
        (0 | 1, max) => format!("{max} or fewer"),
        (min, max) if max >= rows => format!("{min} or more"),
        (min, max) if min >= max => format!("just {min}"),
        (min, max) => format!("{min} to {max}"),
    }
}
