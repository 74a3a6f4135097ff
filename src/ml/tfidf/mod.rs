//! What weight has a term in a text? scikit-learn's TfidfVectorizer, CountVectorizer and HashingVectorizer, on rows of tokens or
//! on texts.
//!
//! Ported from `sklearn/feature_extraction/text.py` of scikit-learn 1.9.1. Counting is [`TfidfParams`] with `use_idf: false`
//! and `norm: None`. One difference is meant: where terms tie for the last places under `max_features`, scikit-learn keeps
//! whichever numpy's unstable `argsort` leaves first (which changes with the processor's vector width); here the terms that
//! come first in the sorted vocabulary are kept.

use std::sync::Arc;

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
    pub terms: Arc<Terms>,
    /// In how many training rows each term occurs.
    pub document_frequency: Vec<u32>,
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
        let (terms, document_frequency) = match &params.vocabulary {
            Some(given) => (Arc::new(given.iter().collect()), tallies.of_given(rows, given)),
            None => {
                let kept = tallies.kept(rows.rows(), params)?;
                let terms = rows.row(0).terms;
                match kept.len() == terms.len() {
                    true => (Arc::clone(terms), tallies.documents),
                    false => (
                        Arc::new(kept.iter().map(|&number| terms.term(number as usize)).collect()),
                        kept.iter().map(|&number| tallies.documents[number as usize]).collect(),
                    ),
                }
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
        Ok(weighed(rows, self.terms.len(), columns.as_deref(), self.idf.as_deref(), params))
    }

    /// For each of `all` terms (ascending), its column; none where each has its own number's.
    fn columns(&self, all: &Arc<Terms>) -> Option<Vec<u32>> {
        if self.terms == *all {
            return None;
        }
        let ascends = (1..self.terms.len()).all(|at| self.terms.term(at - 1) < self.terms.term(at));
        if !ascends {
            let columns: FxHashMap<&str, u32> = self.terms.iter().zip(0..).collect();
            return Some(all.iter().map(|term| columns.get(term).copied().unwrap_or(NO_COLUMN)).collect());
        }
        let mut ours = self.terms.iter().zip(0..).peekable();
        let column = |term: &str| {
            while ours.next_if(|(own, _)| *own < term).is_some() {}
            ours.next_if(|(own, _)| *own == term).map_or(NO_COLUMN, |(_, column)| column)
        };
        Some(all.iter().map(column).collect())
    }
}

/// Rows that are weighed together.
const CHUNK: usize = 1024;

/// Rows side by side, weighed. `columns` holds the column of each number, or [`NO_COLUMN`]; without it the number is the column.
/// Each row is written where it stays.
fn weighed<C: CountedRows + ?Sized>(
    rows: &C,
    cols: usize,
    columns: Option<&[u32]>,
    idf: Option<&[f64]>,
    params: &TfidfParams,
) -> Csr {
    let column = |number: u32| columns.map_or(number, |columns| columns[number as usize]);
    let stored = |row: usize| match (rows.row(row), columns) {
        (row, None) => row.numbers.len(),
        (row, Some(_)) => row.numbers.iter().filter(|&&number| column(number) != NO_COLUMN).count(),
    };
    let mut indptr = vec![0; rows.rows() + 1];
    indptr[1..].par_iter_mut().enumerate().with_min_len(CHUNK).for_each(|(row, end)| *end = stored(row));
    (0..rows.rows()).for_each(|row| indptr[row + 1] += indptr[row]);
    let (mut indices, mut values) = (vec![0; indptr[rows.rows()]], vec![0.0; indptr[rows.rows()]]);
    let weigh =
        |(chunk, (mut indices, mut values)): (usize, (&mut [u32], &mut [f32]))| {
            let (mut found, mut weights) = (Vec::new(), Vec::new());
            for row in (chunk * CHUNK..rows.rows().min((chunk + 1) * CHUNK)).map(|row| rows.row(row)) {
                let counted = row.numbers.iter().map(|&number| column(number)).zip(row.counts.iter().copied());
                found.clear();
                found.extend(counted.filter(|(column, _)| *column != NO_COLUMN));
                // those of a learned vocabulary ascend already
                if !found.is_sorted() {
                    found.sort_unstable();
                }
                weights.clear();
                weights.extend(found.iter().map(|&(column, count)| {
                    params.term_frequency(count) * idf.map_or(1.0, |idf| idf[column as usize])
                }));
                params.normalise(&mut weights);
                let own = (front(&mut indices, found.len()), front(&mut values, found.len()));
                own.0.iter_mut().zip(&found).for_each(|(index, &(column, _))| *index = column);
                own.1.iter_mut().zip(&weights).for_each(|(value, &weight)| *value = weight as f32);
            }
        };
    let (mut rest, mut chunks) = ((indices.as_mut_slice(), values.as_mut_slice()), Vec::new());
    for start in (0..rows.rows()).step_by(CHUNK) {
        let length = indptr[rows.rows().min(start + CHUNK)] - indptr[start];
        chunks.push((front(&mut rest.0, length), front(&mut rest.1, length)));
    }
    chunks.into_par_iter().enumerate().for_each(weigh);
    Csr { cols, indptr, indices, values }
}

/// Takes the first `length` items off a slice.
fn front<'a, T>(rest: &mut &'a mut [T], length: usize) -> &'a mut [T] {
    let (front, back) = std::mem::take(rest).split_at_mut(length);
    *rest = back;
    front
}

/// In how many rows each term occurs, and, where it is asked for, how often in all; by number.
struct Tallies {
    documents: Vec<u32>,
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
        kept.retain(|&number| (min..=max).contains(&f64::from(self.documents[number as usize])));
        if kept.is_empty() {
            return Err(TfidfError::NothingLeft { min: min.ceil() as usize, max: max.floor() as usize, rows, terms });
        }
        if let Some(limit) = params.max_features.filter(|&limit| limit < kept.len()) {
            let weight = |number: u32| match params.binary {
                true => u64::from(self.documents[number as usize]),
                false => self.totals[number as usize],
            };
            kept.sort_by_key(|&number| std::cmp::Reverse(weight(number)));
            kept.truncate(limit);
            kept.sort_unstable();
        }
        Ok(kept)
    }

    fn of_given<C: CountedRows + ?Sized>(&self, rows: &C, given: &[String]) -> Vec<u32> {
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
fn inverse_frequencies(terms: &Terms, df: &[u32], rows: usize, smooth: bool) -> Result<Vec<f64>, TfidfError> {
    let idf = inverse_frequency(rows, smooth);
    let of = |(term, &documents): (&str, &u32)| {
        idf(documents).ok_or_else(|| TfidfError::UndefinedIdf { term: term.to_owned() })
    };
    terms.iter().zip(df).map(of).collect()
}

/// Most terms occur in fewer rows than this: their logarithms are taken once.
const FEW: u32 = 256;

/// For a number of documents, `ln(rows / documents) + 1`, with one more row and one more occurrence of each term where `smooth`
/// (TfidfTransformer.fit); `None` where that is infinite.
fn inverse_frequency(rows: usize, smooth: bool) -> impl Fn(u32) -> Option<f64> {
    let more = if smooth { 1.0 } else { 0.0 };
    let of = move |documents: u32| {
        let documents = f64::from(documents) + more;
        (documents > 0.0).then(|| ((rows as f64 + more) / documents).ln() + 1.0)
    };
    let few: Vec<Option<f64>> = (0..FEW).map(of).collect();
    move |documents| few.get(documents as usize).copied().unwrap_or_else(|| of(documents))
}

/// In how many rows each of `numbers` numbers occurs. Threads count shares of the rows, so that the sums are the same for any.
fn document_frequencies<C: CountedRows + ?Sized>(rows: &C, numbers: usize) -> Vec<u32> {
    let share = rows.rows().div_ceil(rayon::current_num_threads()).max(CHUNK);
    let count = |start: usize| {
        let mut documents = vec![0; numbers];
        for row in (start..rows.rows().min(start + share)).map(|row| rows.row(row)) {
            row.numbers.iter().for_each(|&number| documents[number as usize] += 1);
        }
        documents
    };
    let starts: Vec<usize> = (0..rows.rows()).step_by(share).collect();
    let sum = |mut all: Vec<u32>, some: Vec<u32>| {
        all.iter_mut().zip(some).for_each(|(all, some)| *all += some);
        all
    };
    starts.into_par_iter().map(count).reduce_with(sum).unwrap_or_else(|| vec![0; numbers])
}

#[cfg(test)]
mod tests;
