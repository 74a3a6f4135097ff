//! What weight has a term in a text? scikit-learn's TfidfVectorizer, CountVectorizer and HashingVectorizer, on rows of tokens or
//! on texts.
//!
//! Ported from `sklearn/feature_extraction/text.py` of scikit-learn 1.9.1. Counting is [`TfidfParams`] with `use_idf: false`
//! and `norm: None`. One difference is meant: where terms tie for the last places under `max_features`, scikit-learn keeps
//! whichever numpy's unstable `argsort` leaves first (which changes with the processor's vector width); here the terms that
//! come first in the sorted vocabulary are kept.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::matrix::Csr;

mod counts;
mod grams;
mod hashed;
mod intern;
mod params;
mod spread;
mod terms;

pub use counts::{Analyzed, CountedRow, CountedRows, TermCounts, TokenRows};
pub use hashed::{HashedCounts, HashedWeights, Hashing};
pub use params::{DocumentFrequency, TfidfError, TfidfNorm, TfidfParams};
pub use terms::Terms;

/// What is learned from training rows: the terms and their weights, column by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    /// The terms in column order: sorted by code point, or as given.
    pub terms: Terms,
    /// In how many training rows each term occurs.
    pub document_frequency: Vec<usize>,
    /// Each term's inverse document frequency; `None` where `use_idf` is false.
    pub idf: Option<Vec<f64>>,
}

/// The column of a term that a vocabulary does not have.
const NO_COLUMN: u32 = u32::MAX;

impl Vocabulary {
    /// Learns the vocabulary and its weights from training rows, counted for the `ngram_range` of `params`.
    ///
    /// # Errors
    /// Parameters out of range, no term in the rows, no term left between `min_df` and `max_df`.
    pub fn fit<C: CountedRows + ?Sized>(rows: &C, params: &TfidfParams) -> Result<Self, TfidfError> {
        params.check()?;
        let tallies = Tallies::of(rows, params);
        let (terms, document_frequency): (Terms, Vec<usize>) = match &params.vocabulary {
            Some(given) => (given.iter().collect(), tallies.of_given(rows, given)),
            None => {
                let kept = tallies.kept(rows.rows(), params)?;
                let terms = rows.row(0).terms;
                let text = match kept.len() == terms.len() {
                    true => terms.clone(),
                    false => kept.iter().map(|&number| terms.term(number as usize)).collect(),
                };
                (text, kept.iter().map(|&number| tallies.documents[number as usize]).collect())
            }
        };
        let idf = match params.use_idf {
            true => Some(inverse_frequencies(&terms, &document_frequency, rows.rows(), params.smooth_idf)?),
            false => None,
        };
        Ok(Vocabulary { terms, document_frequency, idf })
    }

    /// Weighs rows by this vocabulary: one column per term, terms outside it ignored. Computed in f64, stored in f32.
    /// `binary`, `sublinear_tf` and `norm` are read from `params`, for whose `ngram_range` the rows are counted; idf is applied
    /// where the vocabulary has it.
    ///
    /// # Errors
    /// [`TfidfError::Malformed`].
    pub fn transform<C: CountedRows + ?Sized>(&self, rows: &C, params: &TfidfParams) -> Result<Csr, TfidfError> {
        if let Some(idf) = self.idf.as_ref().filter(|idf| idf.len() != self.terms.len()) {
            return Err(TfidfError::Malformed { terms: self.terms.len(), idf: idf.len() });
        }
        if rows.rows() == 0 {
            return Ok(Csr { cols: self.terms.len(), indptr: vec![0], ..Csr::default() });
        }
        let columns = self.columns(rows.row(0).terms);
        Ok(weighed(rows, self.terms.len(), self.idf.as_deref(), params, |row, found| {
            let counted = row.numbers.iter().zip(row.counts);
            found.extend(counted.map(|(&n, &count)| (columns[n as usize], count)).filter(|(at, _)| *at != NO_COLUMN));
            // those of a learned vocabulary ascend already
            if !found.is_sorted() {
                found.sort_unstable();
            }
        }))
    }

    /// For each of `all` terms (ascending), its column.
    fn columns(&self, all: &Terms) -> Vec<u32> {
        if self.terms == *all {
            return (0..all.len() as u32).collect();
        }
        let ascends = (1..self.terms.len()).all(|at| self.terms.term(at - 1) < self.terms.term(at));
        if !ascends {
            let columns: FxHashMap<&str, u32> = self.terms.iter().zip(0..).collect();
            return all.iter().map(|term| columns.get(term).copied().unwrap_or(NO_COLUMN)).collect();
        }
        let mut ours = self.terms.iter().zip(0..).peekable();
        let column = |term: &str| {
            while ours.next_if(|(own, _)| *own < term).is_some() {}
            ours.next_if(|(own, _)| *own == term).map_or(NO_COLUMN, |(_, column)| column)
        };
        all.iter().map(column).collect()
    }
}

/// Rows that are weighed together.
const CHUNK: usize = 1024;

/// Rows side by side, weighed: `columns_of` appends a row's columns, ascending, with their counts.
fn weighed<C: CountedRows + ?Sized>(
    rows: &C,
    cols: usize,
    idf: Option<&[f64]>,
    params: &TfidfParams,
    columns_of: impl Fn(CountedRow<'_>, &mut Vec<(u32, i32)>) + Sync,
) -> Csr {
    let some =
        |start: usize| {
            let mut some = Csr::default();
            let (mut found, mut weights) = (Vec::new(), Vec::new());
            for row in (start..rows.rows().min(start + CHUNK)).map(|row| rows.row(row)) {
                found.clear();
                columns_of(row, &mut found);
                weights.clear();
                weights.extend(found.iter().map(|&(column, count)| {
                    params.term_frequency(count) * idf.map_or(1.0, |idf| idf[column as usize])
                }));
                params.normalise(&mut weights);
                some.indices.extend(found.iter().map(|&(column, _)| column));
                some.values.extend(weights.iter().map(|&weight| weight as f32));
                some.indptr.push(some.indices.len());
            }
            some
        };
    let starts: Vec<usize> = (0..rows.rows()).step_by(CHUNK).collect();
    let all: Vec<Csr> = starts.into_par_iter().map(some).collect();
    let stored = all.iter().map(|some| some.indices.len()).sum();
    let mut out = Csr {
        cols,
        indptr: Vec::with_capacity(rows.rows() + 1),
        indices: Vec::with_capacity(stored),
        values: Vec::with_capacity(stored),
    };
    out.indptr.push(0);
    for some in all {
        let start = out.indices.len();
        out.indptr.extend(some.indptr.iter().map(|end| start + end));
        out.indices.extend_from_slice(&some.indices);
        out.values.extend_from_slice(&some.values);
    }
    out
}

/// In how many rows each term occurs, and, where it is asked for, how often in all; by number.
struct Tallies {
    documents: Vec<usize>,
    totals: Vec<u64>,
}

impl Tallies {
    fn of<C: CountedRows + ?Sized>(rows: &C, params: &TfidfParams) -> Tallies {
        let terms = if rows.rows() == 0 { 0 } else { rows.row(0).terms.len() };
        let documents = document_frequencies(rows, terms);
        let mut totals = Vec::new();
        if params.max_features.is_some() && !params.binary {
            totals.resize(terms, 0);
            for row in (0..rows.rows()).map(|row| rows.row(row)) {
                let counted = row.numbers.iter().zip(row.counts);
                counted.for_each(|(&number, count)| totals[number as usize] += u64::from(count.unsigned_abs()));
            }
        }
        Tallies { documents, totals }
    }

    /// The terms to keep, ascending: scikit-learn's `_limit_features`.
    fn kept(&self, rows: usize, params: &TfidfParams) -> Result<Vec<u32>, TfidfError> {
        let mut kept: Vec<u32> =
            (0..).zip(&self.documents).filter(|(_, n)| **n > 0).map(|(number, _)| number).collect();
        let terms = kept.len();
        if terms == 0 {
            return Err(TfidfError::EmptyVocabulary { rows });
        }
        let (min, max) = (params.min_df.in_rows(rows), params.max_df.in_rows(rows));
        if max < min {
            return Err(TfidfError::MinAboveMax { min, max, rows });
        }
        kept.retain(|&number| (min..=max).contains(&(self.documents[number as usize] as f64)));
        if kept.is_empty() {
            return Err(TfidfError::NothingLeft { min: min.ceil() as usize, max: max.floor() as usize, rows, terms });
        }
        if let Some(limit) = params.max_features.filter(|&limit| limit < kept.len()) {
            let weight = |number: u32| match params.binary {
                true => self.documents[number as usize] as u64,
                false => self.totals[number as usize],
            };
            kept.sort_by_key(|&number| std::cmp::Reverse(weight(number)));
            kept.truncate(limit);
            kept.sort_unstable();
        }
        Ok(kept)
    }

    fn of_given<C: CountedRows + ?Sized>(&self, rows: &C, given: &[String]) -> Vec<usize> {
        let mut documents = vec![0; given.len()];
        if rows.rows() > 0 {
            let places: FxHashMap<&str, usize> = given.iter().map(String::as_str).zip(0..).collect();
            for (term, &rows) in rows.row(0).terms.iter().zip(&self.documents) {
                if let Some(&at) = places.get(term) {
                    documents[at] = rows;
                }
            }
        }
        documents
    }
}

/// The idf of each term.
fn inverse_frequencies(terms: &Terms, df: &[usize], rows: usize, smooth: bool) -> Result<Vec<f64>, TfidfError> {
    let idf = |(term, &documents): (&str, &usize)| {
        inverse_frequency(documents, rows, smooth).ok_or_else(|| TfidfError::UndefinedIdf { term: term.to_owned() })
    };
    terms.iter().zip(df).map(idf).collect()
}

/// `ln(rows / documents) + 1`, with one more row and one more occurrence of each term where `smooth` (TfidfTransformer.fit);
/// `None` where that is infinite.
fn inverse_frequency(documents: usize, rows: usize, smooth: bool) -> Option<f64> {
    let more = if smooth { 1.0 } else { 0.0 };
    let documents = documents as f64 + more;
    (documents > 0.0).then(|| ((rows as f64 + more) / documents).ln() + 1.0)
}

/// In how many rows each of `numbers` numbers occurs.
fn document_frequencies<C: CountedRows + ?Sized>(rows: &C, numbers: usize) -> Vec<usize> {
    let mut documents = vec![0; numbers];
    for row in (0..rows.rows()).map(|row| rows.row(row)) {
        row.numbers.iter().for_each(|&number| documents[number as usize] += 1);
    }
    documents
}

#[cfg(test)]
mod tests;
