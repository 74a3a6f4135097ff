//! Which terms has each row, and how often? Terms as numbers in code-point order: counted once, weighed many times.
//!
//! A row's counts depend on that row alone, and the numbers only stand for texts, so counting before rows are divided
//! into folds teaches nobody anything: a vocabulary is learned from the rows that it is shown ([`CountedRows`]).

use rustc_hash::FxHashMap;

use super::Terms;
use crate::ml::text::word_ngrams;

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

/// Rows of counted terms: some or all of a [`TermCounts`]. All rows are of the same one.
pub trait CountedRows {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Row `row`, which is below [`CountedRows::rows`].
    fn row(&self, row: usize) -> CountedRow<'_>;
}

/// The terms of rows, counted for one `ngram_range`.
#[derive(Debug, Clone, PartialEq)]
pub struct TermCounts {
    terms: Terms,
    indptr: Vec<usize>,
    numbers: Vec<u32>,
    counts: Vec<u32>,
}

/// One row of a [`TermCounts`].
#[derive(Debug, Clone, Copy)]
pub struct CountedRow<'a> {
    terms: &'a Terms,
    /// Its terms by number, ascending, each once.
    pub numbers: &'a [u32],
    /// How often each occurs.
    pub counts: &'a [u32],
}

impl<'a> CountedRow<'a> {
    /// What the numbers stand for; ascending by code point.
    pub(super) fn terms(&self) -> &'a Terms {
        self.terms
    }
}

impl CountedRows for TermCounts {
    fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        let span = self.indptr[row]..self.indptr[row + 1];
        CountedRow { terms: &self.terms, numbers: &self.numbers[span.clone()], counts: &self.counts[span] }
    }
}

impl TermCounts {
    /// Counts the n-grams of `rows`: `ngram_range` is the smallest and the largest n, both counted in.
    pub fn of<T: TokenRows + ?Sized>(rows: &T, ngram_range: (usize, usize)) -> TermCounts {
        let tokens = TokenNumbers::of(rows);
        match tokens.pack(ngram_range) {
            Some(pairs) => TermCounts::sorted(rows.rows(), pairs, |key, text| tokens.unpack(key, text)),
            None => {
                let (pairs, terms) = joined(rows, ngram_range);
                TermCounts::sorted(rows.rows(), pairs, |key, text| text.push_str(terms.term(key as usize)))
            }
        }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.terms.bytes() + 8 * (self.indptr.len() + self.numbers.len())
    }

    /// From one pair (term, row) for each time that a term occurs. The order of the pairs' terms is that of their texts, and
    /// two are equal if their texts are; `write` appends the text.
    fn sorted(rows: usize, mut pairs: Vec<(u64, u32)>, write: impl Fn(u64, &mut String)) -> TermCounts {
        pairs.sort_unstable();
        let mut indptr = vec![0; rows + 1];
        pairs.chunk_by(|a, b| a == b).for_each(|same| indptr[same[0].1 as usize + 1] += 1);
        for row in 0..rows {
            indptr[row + 1] += indptr[row];
        }
        let stored = indptr[rows];
        let (mut numbers, mut counts, mut next) = (vec![0; stored], vec![0; stored], indptr.clone());
        let (mut terms, mut text) = (Terms::default(), String::new());
        for (number, term) in (0..).zip(pairs.chunk_by(|a, b| a.0 == b.0)) {
            text.clear();
            write(term[0].0, &mut text);
            terms.push(&text);
            for same in term.chunk_by(|a, b| a.1 == b.1) {
                let at = &mut next[same[0].1 as usize];
                (numbers[*at], counts[*at]) = (number, same.len() as u32);
                *at += 1;
            }
        }
        TermCounts { terms, indptr, numbers, counts }
    }
}

/// How many bits a token's number may have in a packed term: three of them fit.
const TOKEN_BITS: u32 = 21;

/// Rows of tokens as numbers from 1 up, in code-point order.
struct TokenNumbers<'t> {
    tokens: Vec<&'t str>,
    rows: Vec<usize>,
    numbers: Vec<u32>,
}

impl<'t> TokenNumbers<'t> {
    fn of<T: TokenRows + ?Sized>(rows: &'t T) -> Self {
        let mut first: FxHashMap<&str, u32> = FxHashMap::default();
        let (mut tokens, mut numbers, mut ends) = (Vec::new(), Vec::new(), vec![0]);
        for row in 0..rows.rows() {
            for token in rows.row(row) {
                let number = *first.entry(token).or_insert_with(|| {
                    tokens.push(token);
                    tokens.len() as u32 - 1
                });
                numbers.push(number);
            }
            ends.push(numbers.len());
        }
        let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
        order.sort_unstable_by_key(|&at| tokens[at as usize]);
        let mut place = vec![0; tokens.len()];
        for (&at, number) in order.iter().zip(1..) {
            place[at as usize] = number;
        }
        numbers.iter_mut().for_each(|number| *number = place[*number as usize]);
        TokenNumbers { tokens: order.into_iter().map(|at| tokens[at as usize]).collect(), rows: ends, numbers }
    }

    /// Each n-gram as one number, the first token in the highest bits; `None` where such numbers would not fit or not have the
    /// order of the joined texts. They have it where nothing is joined, or every character of a token comes after the space that
    /// joins them.
    fn pack(&self, (min, max): (usize, usize)) -> Option<Vec<(u64, u32)>> {
        let plain = |token: &&str| token.bytes().all(|byte| byte > b' ');
        let ordered = max <= 1 || self.tokens.iter().all(plain);
        if max > 3 || self.tokens.len() >= 1 << TOKEN_BITS || !ordered {
            return None;
        }
        let mut pairs = Vec::with_capacity(self.numbers.len() * (max + 1 - min.min(max)));
        for (row, ends) in (0..).zip(self.rows.windows(2)) {
            let tokens = &self.numbers[ends[0]..ends[1]];
            for n in min.max(1)..=max {
                pairs.extend(tokens.windows(n).map(|gram| {
                    let key = gram.iter().fold(0, |key, &token| key << TOKEN_BITS | u64::from(token));
                    (key << (TOKEN_BITS * (3 - n as u32)), row)
                }));
            }
        }
        Some(pairs)
    }

    fn unpack(&self, key: u64, text: &mut String) {
        for place in (0..3).rev() {
            let number = key >> (TOKEN_BITS * place) & ((1 << TOKEN_BITS) - 1);
            if let Some(at) = number.checked_sub(1) {
                if place < 2 {
                    text.push(' ');
                }
                text.push_str(self.tokens[at as usize]);
            }
        }
    }
}

/// Each n-gram as the place of its text among all, and those texts in order.
fn joined<T: TokenRows + ?Sized>(rows: &T, ngram_range: (usize, usize)) -> (Vec<(u64, u32)>, Terms) {
    let mut first: FxHashMap<Box<str>, u64> = FxHashMap::default();
    let (mut pairs, mut scratch) = (Vec::new(), String::new());
    for row in 0..rows.rows() {
        let tokens: Vec<&str> = rows.row(row).collect();
        word_ngrams(&tokens, ngram_range, &mut scratch, &mut |term| {
            let next = first.len() as u64;
            let number = match first.get(term) {
                Some(&number) => number,
                None => *first.entry(term.into()).or_insert(next),
            };
            pairs.push((number, row as u32));
        });
    }
    let mut order: Vec<(Box<str>, u64)> = first.into_iter().collect();
    order.sort_unstable();
    let mut place = vec![0; order.len()];
    for ((_, number), at) in order.iter().zip(0..) {
        place[*number as usize] = at;
    }
    pairs.iter_mut().for_each(|(number, _)| *number = place[*number as usize]);
    (pairs, order.iter().map(|(term, _)| term).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            row.numbers.iter().zip(row.counts).map(|(&n, &c)| (row.terms().term(n as usize).to_owned(), c)).collect()
        };
        (0..rows.rows()).map(|row| of(rows.row(row))).collect()
    }

    #[test]
    fn terms_are_counted_in_code_point_order() {
        let rows = [vec!["b", "a", "b", "a"], vec![], vec!["a!"]];
        let counts = TermCounts::of(rows.as_slice(), (1, 2));
        let terms: Vec<&str> = counts.terms.iter().collect();
        assert_eq!(terms, ["a", "a b", "a!", "b", "b a"]);
        let first = [("a", 2), ("a b", 1), ("b", 2), ("b a", 2)].map(|(term, count)| (term.to_owned(), count));
        assert_eq!(told(&counts), [first.to_vec(), vec![], vec![("a!".to_owned(), 1)]]);
    }

    #[test]
    fn texts_that_joining_makes_equal_are_one_term() {
        let rows = [vec!["a b", "c"], vec!["a", "b c"]];
        let counts = TermCounts::of(rows.as_slice(), (2, 2));
        assert_eq!(counts.terms.iter().collect::<Vec<_>>(), ["a b c"]);
        assert_eq!(told(&counts)[0], told(&counts)[1]);
    }

    proptest! {
        #[test]
        fn packed_and_joined_terms_are_the_same(
            rows in prop::collection::vec(prop::collection::vec("[a-c !é]{0,3}", 0..9), 0..6), min in 1usize..4, more in 0usize..3,
        ) {
            let range = (min, (min + more).min(3));
            let rows = rows.as_slice();
            let (pairs, terms) = joined(rows, range);
            let slow = TermCounts::sorted(rows.len(), pairs, |key, text| text.push_str(terms.term(key as usize)));
            prop_assert_eq!(TermCounts::of(rows, range), slow);
        }

        #[test]
        fn rows_counted_together_are_counted_as_if_alone(
            rows in prop::collection::vec(prop::collection::vec("[a-d]{1,2}", 0..9), 0..9), chosen in any::<u16>(), most in 1usize..5,
        ) {
            let keep: Vec<usize> = (0..rows.len()).filter(|row| chosen >> row & 1 == 1).collect();
            let alone: Vec<Vec<String>> = keep.iter().map(|&row| rows[row].clone()).collect();
            let all = TermCounts::of(rows.as_slice(), (1, most));
            let alone = TermCounts::of(alone.as_slice(), (1, most));
            prop_assert_eq!(told(&Chosen(&all, keep)), told(&alone));
        }
    }
}
