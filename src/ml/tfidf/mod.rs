//! What weight has a term in a text? scikit-learn's TfidfVectorizer and CountVectorizer on rows of tokens.
//!
//! Ported from `sklearn/feature_extraction/text.py` of scikit-learn 1.9.1. Counting is [`TfidfParams`] with `use_idf: false`
//! and `norm: None`. One difference is meant: where terms tie for the last places under `max_features`, scikit-learn keeps
//! whichever numpy's unstable `argsort` leaves first (which changes with the processor's vector width); here the terms that
//! come first in the sorted vocabulary are kept.

use rustc_hash::FxHashMap;

use super::matrix::Csr;
use super::text::word_ngrams;

mod params;

pub use params::{DocumentFrequency, TfidfError, TfidfNorm, TfidfParams};

/// Rows of tokens, however they are stored.
pub trait TokenRows {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// The tokens of row `row`, which is below [`TokenRows::rows`].
    fn row(&self, row: usize) -> impl Iterator<Item = &str>;
}

impl<S: AsRef<str>> TokenRows for [Vec<S>] {
    fn rows(&self) -> usize {
        self.len()
    }

    fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        self[row].iter().map(AsRef::as_ref)
    }
}

impl<S: AsRef<str>> TokenRows for [&[S]] {
    fn rows(&self) -> usize {
        self.len()
    }

    fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        self[row].iter().map(AsRef::as_ref)
    }
}

/// What is learned from training rows: the terms and their weights, column by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    /// The terms in column order: sorted by code point, or as given.
    pub terms: Vec<String>,
    /// In how many training rows each term occurs.
    pub document_frequency: Vec<usize>,
    /// Each term's inverse document frequency; `None` where `use_idf` is false.
    pub idf: Option<Vec<f64>>,
}

impl Vocabulary {
    /// Learns the vocabulary and its weights from training rows.
    ///
    /// # Errors
    /// Parameters out of range, no term in the rows, no term left between `min_df` and `max_df`.
    pub fn fit<T: TokenRows + ?Sized>(rows: &T, params: &TfidfParams) -> Result<Self, TfidfError> {
        params.check()?;
        let (terms, document_frequency) = match &params.vocabulary {
            Some(given) => (given.clone(), given_frequencies(rows, given, params.ngram_range)),
            None => learned(rows, params)?,
        };
        let idf = match params.use_idf {
            true => Some(inverse_frequencies(&terms, &document_frequency, rows.rows(), params.smooth_idf)?),
            false => None,
        };
        Ok(Vocabulary { terms, document_frequency, idf })
    }

    /// Weighs rows by this vocabulary: one column per term, terms outside it ignored. Computed in f64, stored in f32.
    /// `ngram_range`, `binary`, `sublinear_tf` and `norm` are read from `params`; idf is applied where the vocabulary has it.
    ///
    /// # Errors
    /// [`TfidfError::Malformed`].
    pub fn transform<T: TokenRows + ?Sized>(&self, rows: &T, params: &TfidfParams) -> Result<Csr, TfidfError> {
        if let Some(idf) = self.idf.as_ref().filter(|idf| idf.len() != self.terms.len()) {
            return Err(TfidfError::Malformed { terms: self.terms.len(), idf: idf.len() });
        }
        let columns = columns(&self.terms);
        let mut out = Csr { cols: self.terms.len(), indptr: vec![0], ..Csr::default() };
        let (mut counts, mut touched, mut weights) = (vec![0u32; self.terms.len()], Vec::<u32>::new(), Vec::new());
        for_each_term(rows, params.ngram_range, &mut |event| match event {
            Event::Term(_, term) => {
                if let Some(&column) = columns.get(term) {
                    let count = &mut counts[column as usize];
                    if *count == 0 {
                        touched.push(column);
                    }
                    *count = count.saturating_add(1);
                }
            }
            Event::RowEnd => {
                touched.sort_unstable();
                weights.clear();
                weights.extend(touched.iter().map(|&column| {
                    let count = std::mem::take(&mut counts[column as usize]);
                    let weight = self.idf.as_ref().map_or(1.0, |idf| idf[column as usize]);
                    params.term_frequency(count) * weight
                }));
                params.normalise(&mut weights);
                out.indices.append(&mut touched);
                out.values.extend(weights.iter().map(|&weight| weight as f32));
                out.indptr.push(out.indices.len());
            }
        });
        Ok(out)
    }
}

enum Event<'a> {
    /// A term of this row, as often as it occurs.
    Term(usize, &'a str),
    RowEnd,
}

fn for_each_term<T: TokenRows + ?Sized>(rows: &T, ngram_range: (usize, usize), each: &mut dyn FnMut(Event<'_>)) {
    let mut joined = String::new();
    for row in 0..rows.rows() {
        if ngram_range == (1, 1) {
            rows.row(row).for_each(|token| each(Event::Term(row, token)));
        } else {
            let tokens: Vec<&str> = rows.row(row).collect();
            word_ngrams(&tokens, ngram_range, &mut joined, &mut |term| each(Event::Term(row, term)));
        }
        each(Event::RowEnd);
    }
}

/// How often a term occurred: in all, and in how many rows (`last_row` is one past the latest).
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    last_row: usize,
    documents: usize,
    total: u64,
}

impl Tally {
    fn count(&mut self, row: usize) {
        self.total += 1;
        if self.last_row != row + 1 {
            self.last_row = row + 1;
            self.documents += 1;
        }
    }
}

/// scikit-learn's `_count_vocab`, `_limit_features` and `_sort_features`: terms by code point, with their document frequency.
fn learned<T: TokenRows + ?Sized>(rows: &T, params: &TfidfParams) -> Result<(Vec<String>, Vec<usize>), TfidfError> {
    let mut tallies: FxHashMap<Box<str>, Tally> = FxHashMap::default();
    for_each_term(rows, params.ngram_range, &mut |event| {
        if let Event::Term(row, term) = event {
            match tallies.get_mut(term) {
                Some(tally) => tally.count(row),
                None => tallies.entry(term.into()).or_default().count(row),
            }
        }
    });
    let (rows, terms) = (rows.rows(), tallies.len());
    if terms == 0 {
        return Err(TfidfError::EmptyVocabulary { rows });
    }
    let (min, max) = (params.min_df.in_rows(rows), params.max_df.in_rows(rows));
    if max < min {
        return Err(TfidfError::MinAboveMax { min, max, rows });
    }
    let mut kept: Vec<(Box<str>, Tally)> =
        tallies.into_iter().filter(|(_, tally)| (min..=max).contains(&(tally.documents as f64))).collect();
    if kept.is_empty() {
        return Err(TfidfError::NothingLeft { min: min.ceil() as usize, max: max.floor() as usize, rows, terms });
    }
    kept.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(limit) = params.max_features.filter(|&limit| limit < kept.len()) {
        let weight = |tally: &Tally| {
            if params.binary { tally.documents as u64 } else { tally.total }
        };
        kept.sort_by_key(|(_, tally)| std::cmp::Reverse(weight(tally)));
        kept.truncate(limit);
        kept.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    }
    Ok(kept.into_iter().map(|(term, tally)| (term.into_string(), tally.documents)).unzip())
}

fn given_frequencies<T: TokenRows + ?Sized>(rows: &T, given: &[String], ngram_range: (usize, usize)) -> Vec<usize> {
    let columns = columns(given);
    let mut tallies = vec![Tally::default(); given.len()];
    for_each_term(rows, ngram_range, &mut |event| {
        if let Event::Term(row, term) = event
            && let Some(&column) = columns.get(term)
        {
            tallies[column as usize].count(row);
        }
    });
    tallies.iter().map(|tally| tally.documents).collect()
}

fn columns(terms: &[String]) -> FxHashMap<&str, u32> {
    terms.iter().zip(0..).map(|(term, column)| (term.as_str(), column)).collect()
}

/// `ln(rows / df) + 1`, with one more row and one more occurrence of each term where `smooth` (TfidfTransformer.fit).
fn inverse_frequencies(terms: &[String], df: &[usize], rows: usize, smooth: bool) -> Result<Vec<f64>, TfidfError> {
    let more = if smooth { 1.0 } else { 0.0 };
    let idf = |(term, &documents): (&String, &usize)| match documents as f64 + more {
        0.0 => Err(TfidfError::UndefinedIdf { term: term.clone() }),
        documents => Ok(((rows as f64 + more) / documents).ln() + 1.0),
    };
    terms.iter().zip(df).map(idf).collect()
}

#[cfg(test)]
mod tests;
