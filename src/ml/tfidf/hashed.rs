//! Which column has a term whose text is not kept? That of its hash: scikit-learn's HashingVectorizer.
//!
//! Ported from `sklearn/feature_extraction/_hashing_fast.pyx` and `HashingVectorizer` of scikit-learn 1.9.1. Columns and signs are
//! the same, so weights learned there fit here. Room does not grow with the number of different terms.

use std::ops::Range;
use std::sync::Arc;

use super::counts::{Chunk, Counts, TokenRows, spans};
use super::spread::spread;
use super::{
    CountedRow, CountedRows, Terms, TfidfError, TfidfParams, document_frequencies, inverse_frequency, weighed,
};
use crate::ml::matrix::Csr;

/// How terms become columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    /// Number of columns, from 1 to 2³¹ − 1.
    pub n_features: u32,
    /// Whether half of the terms count −1, so that those that meet in a column cancel out rather than add up.
    pub alternate_sign: bool,
}

impl Default for Hashing {
    fn default() -> Self {
        Hashing { n_features: 1 << 20, alternate_sign: true }
    }
}

/// The terms of rows, counted by column.
#[derive(Debug, Clone, PartialEq)]
pub struct HashedCounts {
    nameless: Arc<Terms>,
    counts: Counts,
}

impl CountedRows for HashedCounts {
    fn rows(&self) -> usize {
        self.counts.rows()
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        let (numbers, counts) = self.counts.row(row);
        CountedRow { terms: &self.nameless, numbers, counts }
    }
}

impl HashedCounts {
    /// Counts the n-grams of `rows`: `ngram_range` is the smallest and the largest n, both counted in. At most `threads` threads
    /// are started for it, which are not the pool's.
    pub fn of<T: TokenRows + ?Sized>(
        rows: &T,
        ngram_range: (usize, usize),
        hashing: Hashing,
        threads: usize,
    ) -> HashedCounts {
        let read = |reader: &mut Reader, span: Range<usize>| {
            let mut chunk = Chunk::default();
            span.for_each(|row| chunk.push_counted(reader.read(rows, row, ngram_range, hashing)));
            chunk.fitted()
        };
        let (chunks, _) = spread(threads, spans(rows.rows()), |_| Reader::default(), read);
        HashedCounts { nameless: Arc::default(), counts: Counts::of(rows.rows(), chunks) }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.counts.bytes()
    }
}

/// What is learned from training rows: how much weight each column has.
#[derive(Debug, Clone, PartialEq)]
pub struct HashedWeights {
    /// In how many training rows each column has a term.
    pub document_frequency: Vec<u32>,
    /// Each column's inverse document frequency; `None` where `use_idf` is false.
    pub idf: Option<Vec<f64>>,
}

impl HashedWeights {
    /// Learns the weights of `n_features` columns from training rows (scikit-learn's TfidfTransformer behind its
    /// HashingVectorizer without norm). `smooth_idf` is read from `params`, and `use_idf`.
    ///
    /// # Errors
    /// Without `smooth_idf`, a column that no training row has.
    pub fn fit<C: CountedRows + ?Sized>(rows: &C, hashing: Hashing, params: &TfidfParams) -> Result<Self, TfidfError> {
        let document_frequency = document_frequencies(rows, hashing.n_features as usize);
        let idf = inverse_frequency(rows.rows(), params.smooth_idf);
        let idf = |(column, &documents): (usize, &u32)| idf(documents).ok_or(TfidfError::UndefinedColumn { column });
        let idf = match params.use_idf {
            true => Some(document_frequency.iter().enumerate().map(idf).collect::<Result<_, _>>()?),
            false => None,
        };
        Ok(HashedWeights { document_frequency, idf })
    }

    /// Weighs rows; `binary`, `sublinear_tf` and `norm` are read from `params`. Computed in f64, stored in f32.
    ///
    /// # Errors
    /// [`TfidfError::Malformed`].
    pub fn transform<C: CountedRows + ?Sized>(
        &self,
        rows: &C,
        hashing: Hashing,
        params: &TfidfParams,
    ) -> Result<Csr, TfidfError> {
        let cols = hashing.n_features as usize;
        if let Some(idf) = self.idf.as_ref().filter(|idf| idf.len() != cols) {
            return Err(TfidfError::Malformed { terms: cols, idf: idf.len() });
        }
        Ok(weighed(rows, cols, None, self.idf.as_deref(), params))
    }
}

/// Reads rows one after another.
#[derive(Default)]
struct Reader {
    scratch: String,
    /// The tokens of a row with a space between any two: the n-grams stand in it as they are.
    text: String,
    tokens: Vec<Range<usize>>,
    found: Vec<(u32, i32)>,
}

impl Reader {
    /// The columns of a row's n-grams with 1 or −1 each.
    fn read<T: TokenRows + ?Sized>(
        &mut self,
        rows: &T,
        row: usize,
        (min, max): (usize, usize),
        hashing: Hashing,
    ) -> &mut [(u32, i32)] {
        self.text.clear();
        self.tokens.clear();
        self.found.clear();
        rows.each_token(row, &mut self.scratch, &mut |token| {
            if !self.tokens.is_empty() {
                self.text.push(' ');
            }
            let start = self.text.len();
            self.text.push_str(token);
            self.tokens.push(start..self.text.len());
        });
        let text = self.text.as_bytes();
        for n in min.max(1)..=max.min(self.tokens.len()) {
            let column = |gram: &[Range<usize>]| hashing.column(&text[gram[0].start..gram[n - 1].end]);
            self.found.extend(self.tokens.windows(n).map(column));
        }
        &mut self.found
    }
}

impl Hashing {
    /// The column of a term, and 1 or −1.
    fn column(self, term: &[u8]) -> (u32, i32) {
        let hash = murmur3(term);
        let sign = if self.alternate_sign && hash < 0 { -1 } else { 1 };
        // scikit-learn takes the absolute value, of i32::MIN without overflow: the same remainder
        (hash.unsigned_abs() % self.n_features, sign)
    }
}

/// MurmurHash3 x86 32 with seed 0 (Austin Appleby, public domain; `sklearn/utils/src/MurmurHash3.cpp`).
fn murmur3(bytes: &[u8]) -> i32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0_u32, |hash, &block| {
        (hash ^ mix(u32::from_le_bytes(block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !tail.is_empty() {
        hash ^= mix(tail.iter().rev().fold(0, |block, &byte| block << 8 | u32::from(byte)));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::TfidfNorm;
    use crate::ml::text::{Analyzer, AnalyzerParams, TextUnit};
    use crate::ml::tfidf::Analyzed;

    const TEXTS: [&str; 4] = ["the cat sat on the mat", "a dog", "", "the dog the cat"];

    fn counted(texts: &[&str], n_features: u32, unit: TextUnit, range: (usize, usize), threads: usize) -> HashedCounts {
        let analyzer = Analyzer::new(&AnalyzerParams { unit, ..AnalyzerParams::default() }).unwrap();
        let hashing = Hashing { n_features, alternate_sign: true };
        HashedCounts::of(&Analyzed { analyzer: &analyzer, texts }, range, hashing, threads)
    }

    fn assert_rows(got: &Csr, want: &[(&[u32], &[f64])]) {
        assert_eq!(got.rows(), want.len());
        for (row, (columns, values)) in want.iter().enumerate() {
            assert_eq!(got.row(row).0, *columns);
            assert!(got.row(row).1.iter().zip(*values).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7), "{row}");
        }
    }

    /// `sklearn.utils.murmurhash3_32(text.encode(), 0)` of scikit-learn 1.9.1.
    #[test]
    fn hashes_are_scikit_learns() {
        let hashes =
            ["", "a", "ab", "abc", "abcd", "hello world", "naïve", "東京"].map(|text| murmur3(text.as_bytes()));
        let want = [0, 1009084850, -1681926305, -1277324294, 1139631978, 1586663183, 992511445, -1765863102];
        assert_eq!(hashes, want);
    }

    /// scikit-learn 1.9.1: `HashingVectorizer(n_features=8, ngram_range=(1, 2), …).transform(TEXTS)`, indices sorted; a zero that
    /// stays of terms that cancel out is stored there as well.
    #[test]
    fn rows_are_those_of_hashing_vectorizer() {
        let hashing = Hashing { n_features: 8, alternate_sign: true };
        let rows = counted(&TEXTS, 8, TextUnit::default(), (1, 2), 2);
        let weights = |params: &TfidfParams| {
            HashedWeights::fit(&rows, hashing, params).unwrap().transform(&rows, hashing, params).unwrap()
        };
        let plain = TfidfParams { use_idf: false, ..TfidfParams::default() };
        let (third, some) = (1.0 / 3.0, 0.30151134457776363);
        assert_rows(
            &weights(&plain),
            &[
                (&[0, 1, 2, 3, 4, 6, 7], &[-third, third, third, -third, third, -2.0 * third, 0.0]),
                (&[5], &[-1.0]),
                (&[], &[]),
                (&[1, 2, 5, 6, 7], &[-some, some, -some, -2.0 * some, 2.0 * some]),
            ],
        );
        let binary = TfidfParams { norm: Some(TfidfNorm::L1), binary: true, ..plain };
        let seventh = 1.0 / 7.0;
        assert_rows(
            &weights(&binary),
            &[(&[0, 1, 2, 3, 4, 6, 7], &[seventh; 7]), (&[5], &[1.0]), (&[], &[]), (&[1, 2, 5, 6, 7], &[0.2; 5])],
        );
    }

    /// scikit-learn 1.9.1: the same with `norm=None`, then `TfidfTransformer()`.
    #[test]
    fn idf_is_that_of_a_transformer_behind_it() {
        let hashing = Hashing { n_features: 8, alternate_sign: true };
        let rows = counted(&TEXTS, 8, TextUnit::default(), (1, 2), 1);
        let params = TfidfParams::default();
        let weights = HashedWeights::fit(&rows, hashing, &params).unwrap();
        let (rare, twice) = (1.916290731874155, 1.5108256237659907);
        assert_eq!(weights.idf.as_deref(), Some([rare, twice, twice, rare, rare, twice, twice, twice].as_slice()));
        let (r, t) = (0.38548438746245545, 0.3039203187975664);
        let weighed = weights.transform(&rows, hashing, &params).unwrap();
        assert_eq!(weighed.row(0).0, [0, 1, 2, 3, 4, 6, 7]);
        let want = [-r, t, t, -r, r, -2.0 * t, 0.0];
        assert!(weighed.row(0).1.iter().zip(want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7));
        let bare = TfidfParams { smooth_idf: false, ..params };
        let none = counted(&["a dog"], 8, TextUnit::default(), (1, 2), 1);
        assert_eq!(HashedWeights::fit(&none, hashing, &bare), Err(TfidfError::UndefinedColumn { column: 0 }));
        let damaged = HashedWeights { idf: Some(vec![1.0]), ..weights };
        assert!(matches!(damaged.transform(&rows, hashing, &bare), Err(TfidfError::Malformed { terms: 8, idf: 1 })));
    }

    /// scikit-learn 1.9.1: `HashingVectorizer(n_features=5, analyzer="char_wb", ngram_range=(2, 3), norm=None)`.
    #[test]
    fn characters_are_hashed_too_on_any_number_of_threads() {
        let unit = || TextUnit::CharWb { ngram_range: (2, 3) };
        let rows = counted(&["ab c"], 5, unit(), (1, 1), 1);
        assert_eq!((rows.row(0).numbers, rows.row(0).counts), ([0, 1, 3, 4].as_slice(), [-1, 1, -1, -1].as_slice()));
        let many: Vec<&str> = (0..3000).map(|row| TEXTS[row * row % 4]).collect();
        assert_eq!(counted(&many, 99, unit(), (1, 1), 1), counted(&many, 99, unit(), (1, 1), 3));
        assert_eq!(counted(&[], 5, unit(), (1, 1), 2).rows(), 0);
    }
}
