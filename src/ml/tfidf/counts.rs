//! Which terms has each row, and how often? Terms as numbers in code-point order: counted once, weighed many times.
//!
//! A row's counts depend on that row alone, and the numbers only stand for texts, so counting before rows are divided
//! into folds teaches nobody anything: a vocabulary is learned from the rows that it is shown ([`CountedRows`]).
//!
//! Rows are read once, some at a time, by as many threads as are given; each numbers the tokens that it meets. Then the tokens
//! of all are put in order. That order, and so the answer, is the same however the rows were shared out.

use std::cmp::Reverse;
use std::sync::Arc;

use super::grams::{GAP, Grams};
use super::intern::Interner;
use super::spread::spread;
use super::{Terms, TfidfError};
use crate::ml::text::Analyzer;

/// Rows that are read, and kept, together.
const CHUNK: usize = 1024;

/// Rows of tokens, however they are stored.
pub trait TokenRows: Sync {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Calls `each` with every token of row `row`, which is below [`TokenRows::rows`]. `scratch` is room that callers keep
    /// between rows.
    fn each_token(&self, row: usize, scratch: &mut String, each: &mut impl FnMut(&str));
}

impl<S: AsRef<str> + Sync> TokenRows for [Vec<S>] {
    fn rows(&self) -> usize {
        self.len()
    }

    fn each_token(&self, row: usize, _: &mut String, each: &mut impl FnMut(&str)) {
        self[row].iter().for_each(|token| each(token.as_ref()));
    }
}

/// Texts whose tokens are found as they are read.
#[derive(Debug, Clone, Copy)]
pub struct Analyzed<'a, S> {
    /// Who finds the tokens.
    pub analyzer: &'a Analyzer,
    /// The texts.
    pub texts: &'a [S],
}

impl<S: AsRef<str> + Sync> TokenRows for Analyzed<'_, S> {
    fn rows(&self) -> usize {
        self.texts.len()
    }

    fn each_token(&self, row: usize, scratch: &mut String, each: &mut impl FnMut(&str)) {
        self.analyzer.each_token(self.texts[row].as_ref(), scratch, each);
    }
}

/// Rows of counted terms: some or all of a [`TermCounts`] or a [`HashedCounts`](super::HashedCounts). All rows are of the same
/// one.
pub trait CountedRows: Sync {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Row `row`, which is below [`CountedRows::rows`].
    fn row(&self, row: usize) -> CountedRow<'_>;
}

/// The terms of rows, counted for one `ngram_range`.
#[derive(Debug, Clone, PartialEq)]
pub struct TermCounts {
    terms: Arc<Terms>,
    counts: Counts,
}

/// One row of counted terms.
#[derive(Debug, Clone, Copy)]
pub struct CountedRow<'a> {
    /// What the numbers stand for, ascending by code point; none where they are hashes.
    pub(super) terms: &'a Arc<Terms>,
    /// Its terms by number, ascending, each once.
    pub numbers: &'a [u32],
    /// How often each occurs; below zero where hashing says so.
    pub counts: &'a [i32],
}

impl CountedRows for TermCounts {
    fn rows(&self) -> usize {
        self.counts.rows
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        let (numbers, counts) = self.counts.row(row);
        CountedRow { terms: &self.terms, numbers, counts }
    }
}

impl TermCounts {
    /// Counts the n-grams of `rows`: `ngram_range` is the smallest and the largest n, both counted in. At most `threads` threads
    /// are started for it, which are not the pool's.
    ///
    /// # Errors
    /// More tokens or terms than numbers reach ([`TfidfError::TooMany`]).
    pub fn of<T: TokenRows + ?Sized>(
        rows: &T,
        ngram_range: (usize, usize),
        threads: usize,
    ) -> Result<TermCounts, TfidfError> {
        let spans = spans(rows.rows());
        let (chunks, interners) =
            spread(threads, spans, |number| Reader::new(number as u32), |reader, span| reader.read(rows, span));
        let known: Vec<Terms> = interners.into_iter().map(|reader| reader.interner.into_tokens()).collect();
        let (tokens, places) = in_order(&known, threads)?;
        drop(known);
        if ngram_range.1 <= 1 {
            let counts = spread(
                threads,
                chunks,
                |_| Vec::new(),
                |row, chunk| {
                    let places = &places[chunk.reader as usize];
                    let mut counts = Chunk::with_room(chunk.ends.len() - 1, chunk.tokens.len());
                    for span in chunk.ends.windows(2) {
                        row.clear();
                        row.extend(chunk.tokens[span[0]..span[1]].iter().map(|&token| places[token as usize]));
                        counts.push(row);
                    }
                    counts.fitted()
                },
            );
            return Ok(TermCounts { terms: Arc::new(tokens), counts: Counts::of(rows.rows(), counts.0) });
        }
        let plain = tokens.iter().all(|token| token.bytes().all(|byte| byte > b' '));
        let (flat, starts) = laid_out(chunks, &places)?;
        drop(places);
        let grams = Grams::of(&flat, &tokens, ngram_range, threads)?;
        let (counts, _) = spread(
            threads,
            starts,
            |_| Vec::new(),
            |row, span| {
                let mut counts = Chunk::with_room(CHUNK, span.len() * (ngram_range.1 + 1 - ngram_range.0));
                let mut start = span.start;
                for places in flat[span].split_inclusive(|&token| token == GAP) {
                    row.clear();
                    grams.row(&flat, start..start + places.len() - 1, row);
                    counts.push(row);
                    start += places.len();
                }
                counts.fitted()
            },
        );
        let mut counted = TermCounts { terms: Arc::new(grams.terms), counts: Counts::of(rows.rows(), counts) };
        if !plain {
            counted.reorder(threads);
        }
        Ok(counted)
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.terms.bytes() + self.counts.bytes()
    }

    /// Puts terms in the order of their texts, and makes one of those that joining tokens has made equal.
    fn reorder(&mut self, threads: usize) {
        let mut order: Vec<u32> = (0..self.terms.len() as u32).collect();
        order.sort_unstable_by_key(|&at| self.terms.term(at as usize));
        let (mut terms, mut places) = (Terms::default(), vec![0; order.len()]);
        for same in order.chunk_by(|&a, &b| self.terms.term(a as usize) == self.terms.term(b as usize)) {
            same.iter().for_each(|&at| places[at as usize] = terms.len() as u32);
            terms.push(self.terms.term(same[0] as usize));
        }
        self.terms = Arc::new(terms);
        let chunks = std::mem::take(&mut self.counts.chunks);
        let again = |row: &mut Vec<(u32, i32)>, chunk: Chunk| {
            let mut counts = Chunk::with_room(chunk.ends.len(), chunk.numbers.len());
            for at in 0..chunk.ends.len() {
                let (numbers, times) = chunk.row(at);
                row.clear();
                row.extend(numbers.iter().zip(times).map(|(&number, &count)| (places[number as usize], count)));
                counts.push_counted(row);
            }
            counts.fitted()
        };
        self.counts.chunks = spread(threads, chunks, |_| Vec::new(), again).0;
    }
}

/// The rows of each chunk.
pub(super) fn spans(rows: usize) -> Vec<std::ops::Range<usize>> {
    (0..rows).step_by(CHUNK).map(|start| start..rows.min(start + CHUNK)).collect()
}

/// How often each row has each number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counts {
    rows: usize,
    chunks: Vec<Chunk>,
}

/// Some rows; numbers ascend in each and occur once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Chunk {
    ends: Vec<usize>,
    numbers: Vec<u32>,
    counts: Vec<i32>,
}

impl Counts {
    /// Of the chunks of [`spans`].
    pub(super) fn of(rows: usize, chunks: Vec<Chunk>) -> Counts {
        Counts { rows, chunks }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn row(&self, row: usize) -> (&[u32], &[i32]) {
        self.chunks[row / CHUNK].row(row % CHUNK)
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| 8 * (chunk.ends.len() + chunk.numbers.len())).sum()
    }
}

impl Chunk {
    /// With room for so many rows, and for so many numbers in all.
    fn with_room(rows: usize, numbers: usize) -> Chunk {
        let (ends, numbers, counts) =
            (Vec::with_capacity(rows), Vec::with_capacity(numbers), Vec::with_capacity(numbers));
        Chunk { ends, numbers, counts }
    }

    /// Without room for more.
    pub(super) fn fitted(mut self) -> Chunk {
        self.numbers.shrink_to_fit();
        self.counts.shrink_to_fit();
        self
    }

    /// A row that has each of these numbers once for each time that it stands there.
    fn push(&mut self, numbers: &mut [u32]) {
        numbers.sort_unstable();
        for same in numbers.chunk_by(|a, b| a == b) {
            self.numbers.push(same[0]);
            self.counts.push(same.len() as i32);
        }
        self.ends.push(self.numbers.len());
    }

    /// A row that has each of these numbers so often; counts of equal numbers are added up.
    pub(super) fn push_counted(&mut self, row: &mut [(u32, i32)]) {
        row.sort_unstable();
        for same in row.chunk_by(|a, b| a.0 == b.0) {
            self.numbers.push(same[0].0);
            self.counts.push(same.iter().map(|&(_, count)| count).sum());
        }
        self.ends.push(self.numbers.len());
    }

    fn row(&self, row: usize) -> (&[u32], &[i32]) {
        let span = row.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[row];
        (&self.numbers[span.clone()], &self.counts[span])
    }
}

/// Reads rows and numbers their tokens.
struct Reader {
    number: u32,
    interner: Interner,
    scratch: String,
    tokens: Vec<u32>,
}

/// Rows that a reader has read, as its own numbers.
struct Read {
    reader: u32,
    ends: Vec<usize>,
    tokens: Vec<u32>,
}

impl Reader {
    fn new(number: u32) -> Reader {
        Reader { number, interner: Interner::new(), scratch: String::new(), tokens: Vec::new() }
    }

    fn read<T: TokenRows + ?Sized>(&mut self, rows: &T, span: std::ops::Range<usize>) -> Read {
        let mut ends = Vec::with_capacity(span.len() + 1);
        ends.push(0);
        self.tokens.clear();
        for row in span {
            let number = &mut |token: &str| self.tokens.push(self.interner.number(token));
            rows.each_token(row, &mut self.scratch, number);
            ends.push(self.tokens.len());
        }
        Read { reader: self.number, ends, tokens: self.tokens.clone() }
    }
}

/// All tokens in order, each once, and for each reader the places of its own among them.
fn in_order(known: &[Terms], threads: usize) -> Result<(Terms, Vec<Vec<u32>>), TfidfError> {
    let total: usize = known.iter().map(Terms::len).sum();
    if total >= GAP as usize {
        return Err(TfidfError::TooMany { what: "different tokens" });
    }
    let sorted = |tokens: &Terms| {
        let mut order: Vec<(u64, u32)> = tokens.iter().map(head).zip(0..).collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| tokens.term(a.1 as usize).cmp(tokens.term(b.1 as usize)))
        });
        order
    };
    let (orders, _) = spread(threads, known.iter().collect(), |_| (), |(), tokens| sorted(tokens));
    let mut places: Vec<Vec<u32>> = known.iter().map(|tokens| vec![0; tokens.len()]).collect();
    let mut all = Terms::default();
    let text = |reader: usize, at: usize| {
        orders[reader].get(at).map(|&(head, token)| (head, known[reader].term(token as usize)))
    };
    let mut next: std::collections::BinaryHeap<_> =
        (0..known.len()).filter_map(|reader| text(reader, 0).map(|first| Reverse((first, reader, 0)))).collect();
    let mut last = None;
    while let Some(Reverse(((_, token), reader, at))) = next.pop() {
        if last != Some(token) {
            all.push(token);
            last = Some(token);
        }
        places[reader][orders[reader][at].1 as usize] = all.len() as u32 - 1;
        next.extend(text(reader, at + 1).map(|after| Reverse((after, reader, at + 1))));
    }
    Ok((all, places))
}

/// The first eight bytes: where they differ, they have the order of the texts.
fn head(token: &str) -> u64 {
    let mut head = [0; 8];
    let bytes = token.as_bytes();
    let length = bytes.len().min(8);
    head[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(head)
}

/// The places of all tokens, row after row, with a gap after each row; and where those of each chunk stand.
fn laid_out(chunks: Vec<Read>, places: &[Vec<u32>]) -> Result<(Vec<u32>, Vec<std::ops::Range<usize>>), TfidfError> {
    let length: usize = chunks.iter().map(|chunk| chunk.tokens.len() + chunk.ends.len() - 1).sum();
    if length >= u32::MAX as usize {
        return Err(TfidfError::TooMany { what: "tokens" });
    }
    let (mut flat, mut spans) = (Vec::with_capacity(length), Vec::with_capacity(chunks.len()));
    for chunk in chunks {
        let (start, places) = (flat.len(), &places[chunk.reader as usize]);
        for span in chunk.ends.windows(2) {
            flat.extend(chunk.tokens[span[0]..span[1]].iter().map(|&token| places[token as usize]));
            flat.push(GAP);
        }
        spans.push(start..flat.len());
    }
    Ok((flat, spans))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::ml::text::{AnalyzerParams, word_ngrams};

    /// Rows of a [`TermCounts`].
    struct Chosen<'a>(&'a TermCounts, Vec<usize>);

    impl CountedRows for Chosen<'_> {
        fn rows(&self) -> usize {
            self.1.len()
        }

        fn row(&self, row: usize) -> CountedRow<'_> {
            self.0.row(self.1[row])
        }
    }

    fn told(rows: &impl CountedRows) -> Vec<Vec<(String, u32)>> {
        let of = |row: CountedRow<'_>| {
            row.numbers
                .iter()
                .zip(row.counts)
                .map(|(&n, &c)| (row.terms.term(n as usize).to_owned(), c as u32))
                .collect()
        };
        (0..rows.rows()).map(|row| of(rows.row(row))).collect()
    }

    fn counted<S: AsRef<str> + Sync>(rows: &[Vec<S>], range: (usize, usize), threads: usize) -> TermCounts {
        TermCounts::of(rows, range, threads).unwrap()
    }

    /// The same by a map of texts.
    fn plainly<S: AsRef<str>>(rows: &[Vec<S>], range: (usize, usize)) -> Vec<Vec<(String, u32)>> {
        let of = |row: &Vec<S>| {
            let tokens: Vec<&str> = row.iter().map(AsRef::as_ref).collect();
            let mut counts = BTreeMap::new();
            word_ngrams(&tokens, range, &mut String::new(), &mut |term| {
                *counts.entry(term.to_owned()).or_insert(0) += 1;
            });
            counts.into_iter().collect()
        };
        rows.iter().map(of).collect()
    }

    #[test]
    fn terms_are_counted_in_code_point_order() {
        let rows = [vec!["b", "a", "b", "a"], vec![], vec!["a!"]];
        let counts = counted(&rows, (1, 2), 1);
        let terms: Vec<&str> = counts.terms.iter().collect();
        assert_eq!(terms, ["a", "a b", "a!", "b", "b a"]);
        let first = [("a", 2), ("a b", 1), ("b", 2), ("b a", 2)].map(|(term, count)| (term.to_owned(), count));
        assert_eq!(told(&counts), [first.to_vec(), vec![], vec![("a!".to_owned(), 1)]]);
    }

    #[test]
    fn texts_that_joining_makes_equal_are_one_term() {
        let rows = [vec!["a b", "c"], vec!["a", "b c"]];
        let counts = counted(&rows, (2, 2), 1);
        assert_eq!(counts.terms.iter().collect::<Vec<_>>(), ["a b c"]);
        assert_eq!(told(&counts)[0], told(&counts)[1]);
    }

    #[test]
    fn many_rows_have_the_same_counts_on_any_number_of_threads() {
        let word = |at: usize| format!("w{}", at * at % 97);
        let rows: Vec<Vec<String>> = (0..3 * CHUNK + 7).map(|row| (row..row + row % 9).map(word).collect()).collect();
        let one = counted(&rows, (1, 3), 1);
        assert_eq!(told(&one), plainly(&rows, (1, 3)));
        for threads in [2, 3, 8] {
            assert_eq!(counted(&rows, (1, 3), threads), one);
        }
        let none = counted::<&str>(&[], (1, 2), 2);
        assert_eq!((none.rows(), none.terms.len()), (0, 0));
    }

    #[test]
    fn texts_are_counted_as_their_tokens_are() {
        let texts = ["The Film, the film!", "", "É x² naïve FILM", "a"];
        let analyzer = Analyzer::new(&AnalyzerParams::default()).unwrap();
        let tokens: Vec<Vec<String>> = texts.iter().map(|text| analyzer.tokens(text)).collect();
        let read = TermCounts::of(&Analyzed { analyzer: &analyzer, texts: &texts }, (1, 2), 2).unwrap();
        assert_eq!(read, counted(&tokens, (1, 2), 1));
        assert_eq!(read.terms.iter().next(), Some("film"));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_map(
            rows in prop::collection::vec(prop::collection::vec("[a-c !é]{0,3}", 0..9), 0..6),
            min in 1_usize..4, more in 0_usize..3, threads in 1_usize..4,
        ) {
            let range = (min, min + more);
            let counts = counted(&rows, range, threads);
            prop_assert!(counts.terms.iter().is_sorted_by(|a, b| a < b));
            prop_assert_eq!(told(&counts), plainly(&rows, range));
        }

        #[test]
        fn rows_counted_together_are_counted_as_if_alone(
            rows in prop::collection::vec(prop::collection::vec("[a-d]{1,2}", 0..9), 0..9), chosen in any::<u16>(), most in 1usize..5,
        ) {
            let keep: Vec<usize> = (0..rows.len()).filter(|row| chosen >> row & 1 == 1).collect();
            let alone: Vec<Vec<String>> = keep.iter().map(|&row| rows[row].clone()).collect();
            let all = counted(&rows, (1, most), 1);
            let alone = counted(&alone, (1, most), 2);
            prop_assert_eq!(told(&Chosen(&all, keep)), told(&alone));
        }
    }
}
