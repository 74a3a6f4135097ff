//! Which n-grams are there, and which has each place? By sorting the places of tokens, token by token, so that the n-grams come
//! in order and none is looked up.
//!
//! All n-grams that begin with the same token are worked on together: their places are sorted by the token after, each group
//! of equal ones by the token after that. A group is an n-gram. Groups are met in the order of their tokens, a shorter n-gram
//! before those that it begins, which is the order of their texts where no token has a character up to the space.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use super::spread::spread;
use super::{Terms, TfidfError};

/// What stands after the last token of each row.
pub(super) const GAP: u32 = u32::MAX;

/// Most places that are sorted at once on one thread.
const MOST_PLACES: usize = 1 << 24;

/// The n-grams of rows of tokens.
pub(super) struct Grams {
    /// Their texts, in order.
    pub(super) terms: Terms,
    /// The number of the first that begins with each token.
    firsts: Vec<u32>,
    /// For n = `from`, `from + 1` …, what is to be added to the first at each place.
    after: Vec<Vec<AtomicU32>>,
    range: (usize, usize),
}

impl Grams {
    /// Of `places`: the numbers of tokens, row after row, each row with a [`GAP`] after it. `tokens` are in order.
    ///
    /// # Errors
    /// More than numbers reach.
    pub(super) fn of(
        places: &[u32],
        tokens: &Terms,
        range: (usize, usize),
        threads: usize,
    ) -> Result<Grams, TfidfError> {
        let levels = range.0.max(2)..=range.1;
        let after: Vec<Vec<AtomicU32>> = levels.map(|_| places.iter().map(|_| AtomicU32::new(0)).collect()).collect();
        let jobs = shares(places, tokens.len(), threads);
        let (found, _) = spread(
            threads,
            jobs,
            |_| (),
            |(), share| {
                let mut sorter = Sorter {
                    places,
                    tokens,
                    range,
                    after: &after,
                    terms: Terms::default(),
                    text: String::new(),
                    next: 0,
                };
                let counts = sorter.share(share);
                (counts, sorter.terms)
            },
        );
        let (counts, terms): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let (mut firsts, mut next) = (Vec::with_capacity(tokens.len()), 0_u32);
        for count in counts.into_iter().flatten() {
            firsts.push(next);
            next = next.checked_add(count).ok_or(TfidfError::TooMany { what: "terms" })?;
        }
        let terms = Terms::joined(terms);
        Ok(Grams { terms, firsts, after, range })
    }

    /// Appends the numbers of the n-grams of the row whose places are `row`, without its gap; in no order.
    pub(super) fn row(&self, places: &[u32], row: Range<usize>, numbers: &mut Vec<u32>) {
        let first = |place: usize| self.firsts[places[place] as usize];
        if self.range.0 <= 1 {
            numbers.extend(row.clone().map(first));
        }
        for (n, after) in (self.range.0.max(2)..).zip(&self.after) {
            let last = (row.end + 1).saturating_sub(n);
            numbers.extend((row.start..last).map(|place| first(place) + after[place].load(Ordering::Relaxed)));
        }
    }
}

/// Tokens whose n-grams are worked on together: about the same number of places in each share.
fn shares(places: &[u32], tokens: usize, threads: usize) -> Vec<Range<u32>> {
    let mut counts = vec![0_u32; tokens];
    for &token in places.iter().filter(|&&token| token != GAP) {
        counts[token as usize] += 1;
    }
    let shares = threads * places.len().div_ceil(threads * MOST_PLACES).max(1);
    let most = places.len().div_ceil(shares).max(1);
    let (mut all, mut start, mut held) = (Vec::with_capacity(shares), 0, 0);
    for (token, &count) in (0..).zip(&counts) {
        held += count as usize;
        if held >= most {
            all.push(start..token + 1);
            (start, held) = (token + 1, 0);
        }
    }
    all.push(start..tokens as u32);
    all
}

struct Sorter<'a> {
    places: &'a [u32],
    tokens: &'a Terms,
    range: (usize, usize),
    after: &'a [Vec<AtomicU32>],
    terms: Terms,
    /// The n-gram at hand.
    text: String,
    /// How many n-grams there have been that begin with the token at hand.
    next: u32,
}

impl Sorter<'_> {
    /// For each token of the share, how many n-grams begin with it.
    fn share(&mut self, share: Range<u32>) -> Vec<u32> {
        let (mut followed, ends) = self.followed(&share);
        let mut start = 0;
        let mut counts = Vec::with_capacity(share.len());
        for (token, end) in share.zip(ends) {
            self.next = 0;
            self.text.clear();
            self.text.push_str(self.tokens.term(token as usize));
            if self.range.0 <= 1 {
                self.found();
            }
            self.longer(&mut followed[start..end], 2);
            counts.push(self.next);
            start = end;
        }
        counts
    }

    /// The places of each token of the share, with the token after in the upper half, and where those of each token end.
    fn followed(&self, share: &Range<u32>) -> (Vec<u64>, Vec<usize>) {
        let pairs = || {
            let pairs = self.places.windows(2).zip(0_u32..);
            pairs.filter(|(pair, _)| share.contains(&pair[0]) && pair[1] != GAP)
        };
        let mut ends = vec![0; share.len() + 1];
        pairs().for_each(|(pair, _)| ends[(pair[0] - share.start) as usize + 1] += 1);
        for token in 0..share.len() {
            ends[token + 1] += ends[token];
        }
        let mut followed = vec![0; ends[share.len()]];
        for (pair, place) in pairs() {
            let end = &mut ends[(pair[0] - share.start) as usize];
            followed[*end] = u64::from(pair[1]) << 32 | u64::from(place);
            *end += 1;
        }
        (followed, ends)
    }

    /// Goes through the n-grams that begin with the text at hand: the places have the `n`th token in the upper half.
    fn longer(&mut self, places: &mut [u64], n: usize) {
        places.sort_unstable();
        let end = self.text.len();
        for group in places.chunk_by_mut(|a, b| a >> 32 == b >> 32) {
            self.text.push(' ');
            self.text.push_str(self.tokens.term((group[0] >> 32) as usize));
            if let Some(after) = n.checked_sub(self.range.0.max(2)).and_then(|level| self.after.get(level)) {
                group.iter().for_each(|&place| after[place as u32 as usize].store(self.next, Ordering::Relaxed));
                self.found();
            }
            if n < self.range.1 {
                let kept = self.lengthened(group, n);
                self.longer(&mut group[..kept], n + 1);
            }
            self.text.truncate(end);
        }
    }

    /// Puts the next token in the upper half of places; those that have one are moved to the front, and counted.
    fn lengthened(&self, group: &mut [u64], n: usize) -> usize {
        let mut kept = 0;
        for at in 0..group.len() {
            let place = group[at] as u32;
            let token = self.places[place as usize + n];
            if token != GAP {
                group[kept] = u64::from(token) << 32 | u64::from(place);
                kept += 1;
            }
        }
        kept
    }

    fn found(&mut self) {
        self.terms.push(&self.text);
        self.next += 1;
    }
}
