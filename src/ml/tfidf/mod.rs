//! What weight has a term in a text? scikit-learn's TfidfVectorizer and CountVectorizer on rows of tokens.
//!
//! Ported from `sklearn/feature_extraction/text.py` of scikit-learn 1.9.1. Counting is [`TfidfParams`] with `use_idf: false`
//! and `norm: None`. One difference is meant: where terms tie for the last places under `max_features`, scikit-learn keeps
//! whichever numpy's unstable `argsort` leaves first (which changes with the processor's vector width); here the terms that
//! come first in the sorted vocabulary are kept.

use rustc_hash::FxHashMap;

use super::matrix::Csr;

mod counts;
mod params;
mod terms;

pub use counts::{CountedRow, CountedRows, TermCounts, TokenRows};
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
        let tallies = Tallies::of(rows);
        let (terms, document_frequency): (Terms, Vec<usize>) = match &params.vocabulary {
            Some(given) => (given.iter().collect(), tallies.of_given(rows, given)),
            None => {
                let kept = tallies.kept(rows.rows(), params)?;
                let terms = rows.row(0).terms();
                let text = kept.iter().map(|&number| terms.term(number as usize)).collect();
                (text, kept.iter().map(|&number| tallies.documents[number as usize] as usize).collect())
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
        let mut out = Csr { cols: self.terms.len(), indptr: vec![0], ..Csr::default() };
        if rows.rows() == 0 {
            return Ok(out);
        }
        let columns = self.columns(rows.row(0).terms());
        let (mut found, mut weights) = (Vec::new(), Vec::new());
        for row in (0..rows.rows()).map(|row| rows.row(row)) {
            found.clear();
            let counted = row.numbers.iter().zip(row.counts);
            found.extend(counted.map(|(&n, &count)| (columns[n as usize], count)).filter(|(at, _)| *at != NO_COLUMN));
            // those of a learned vocabulary ascend already
            found.sort_unstable();
            weights.clear();
            weights.extend(found.iter().map(|&(column, count)| {
                let weight = self.idf.as_ref().map_or(1.0, |idf| idf[column as usize]);
                params.term_frequency(count) * weight
            }));
            params.normalise(&mut weights);
            out.indices.extend(found.iter().map(|&(column, _)| column));
            out.values.extend(weights.iter().map(|&weight| weight as f32));
            out.indptr.push(out.indices.len());
        }
        Ok(out)
    }

    /// For each of `all` terms (ascending), its column.
    fn columns(&self, all: &Terms) -> Vec<u32> {
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

/// In how many rows each term occurs, and how often in all; by number.
struct Tallies {
    documents: Vec<u32>,
    totals: Vec<u64>,
}

impl Tallies {
    fn of<C: CountedRows + ?Sized>(rows: &C) -> Tallies {
        let mut tallies = Tallies { documents: Vec::new(), totals: Vec::new() };
        for row in (0..rows.rows()).map(|row| rows.row(row)) {
            let most = row.numbers.last().map_or(0, |&last| last as usize + 1);
            if most > tallies.documents.len() {
                tallies.documents.resize(most, 0);
                tallies.totals.resize(most, 0);
            }
            for (&number, &count) in row.numbers.iter().zip(row.counts) {
                tallies.documents[number as usize] += 1;
                tallies.totals[number as usize] += u64::from(count);
            }
        }
        tallies
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

    fn of_given<C: CountedRows + ?Sized>(&self, rows: &C, given: &[String]) -> Vec<usize> {
        let mut documents = vec![0; given.len()];
        if rows.rows() > 0 {
            let places: FxHashMap<&str, usize> = given.iter().map(String::as_str).zip(0..).collect();
            for (term, &rows) in rows.row(0).terms().iter().zip(&self.documents) {
                if let Some(&at) = places.get(term) {
                    documents[at] = rows as usize;
                }
            }
        }
        documents
    }
}

/// `ln(rows / df) + 1`, with one more row and one more occurrence of each term where `smooth` (TfidfTransformer.fit).
fn inverse_frequencies(terms: &Terms, df: &[usize], rows: usize, smooth: bool) -> Result<Vec<f64>, TfidfError> {
    let more = if smooth { 1.0 } else { 0.0 };
    let idf = |(term, &documents): (&str, &usize)| match documents as f64 + more {
        0.0 => Err(TfidfError::UndefinedIdf { term: term.to_owned() }),
        documents => Ok(((rows as f64 + more) / documents).ln() + 1.0),
    };
    terms.iter().zip(df).map(idf).collect()
}

#[cfg(test)]
mod tests;
