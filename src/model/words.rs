//! Which tokens of a model does each given token become, and where do they stand in what the model reads?
//!
//! Given tokens (words, in the names here) come from elsewhere: a tokenizer of words, or people who annotated them. Each is
//! tokenized by itself; what that gives are its *sub-tokens*: none, one or several.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cutting::Truncation;
use super::pooling::Pooling;

/// How the states of a given token's sub-tokens become its vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subtokens {
    /// Their mean.
    #[default]
    Mean,
    /// The state of the first of them that is read.
    First,
}

impl Subtokens {
    /// Makes the vector of `states`, one row or more.
    pub(super) fn pool(self, states: &[f32], vector: &mut [f32]) {
        let pooling = match self {
            Subtokens::Mean => Pooling::Mean,
            Subtokens::First => Pooling::Cls,
        };
        pooling.pool(states, 0, vector);
    }
}

/// What a row has to be read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'t> {
    /// A text, which comes to one vector.
    Whole(&'t str),
    /// Given tokens, each of which comes to one.
    Words(&'t [&'t str]),
}

impl Text<'_> {
    /// How long it is.
    pub(super) fn bytes(self) -> usize {
        match self {
            Text::Whole(text) => text.len(),
            Text::Words(words) => words.iter().map(|word| word.len() + 1).sum(),
        }
    }

    /// How many vectors it comes to.
    pub(super) fn vectors(self) -> usize {
        match self {
            Text::Whole(_) => 1,
            Text::Words(words) => words.len(),
        }
    }
}

/// Where the given tokens of a row stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Words {
    /// How many there are.
    pub(super) count: usize,
    /// For each piece, those of which it holds something, in order.
    pub(super) places: Vec<Vec<Place>>,
    /// How many have sub-tokens, but none that is read.
    pub(super) cut: usize,
    /// How many have no sub-token.
    pub(super) blank: usize,
}

/// A given token in a piece.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Which of the row's.
    pub(super) word: usize,
    /// Where its sub-tokens stand in the piece, special tokens counted.
    pub(super) states: Range<usize>,
}

impl Words {
    /// Places words, whose sub-tokens end at `ends`, in pieces made of `parts`; `befores` says where these begin in each piece.
    pub(super) fn new(ends: &[usize], parts: &[Vec<Range<usize>>], befores: &[usize]) -> Words {
        let spans = || (0..).zip(ends).scan(0, |begin, (word, end)| Some((word, std::mem::replace(begin, *end)..*end)));
        let place = |part: &[Range<usize>], before: usize| {
            let read = |until: usize| -> usize {
                let stretch = |stretch: &Range<usize>| until.clamp(stretch.start, stretch.end) - stretch.start;
                before + part.iter().map(stretch).sum::<usize>()
            };
            let places = spans().map(|(word, span)| Place { word, states: read(span.start)..read(span.end) });
            places.filter(|place| !place.states.is_empty()).collect::<Vec<_>>()
        };
        let places: Vec<Vec<Place>> = parts.iter().zip(befores).map(|(part, before)| place(part, *before)).collect();
        let mut read = vec![false; ends.len()];
        places.iter().flatten().for_each(|place| read[place.word] = true);
        let blank = spans().filter(|(_, span)| span.is_empty()).count();
        let cut = read.iter().filter(|read| !**read).count() - blank;
        Words { count: ends.len(), places, cut, blank }
    }
}

/// What is read of words whose sub-tokens end at `ends`, where a piece has room for so many of them: the stretches of each piece.
pub(super) fn parts(ends: &[usize], room: usize, truncation: Truncation, stride: usize) -> Vec<Vec<Range<usize>>> {
    let all = ends.last().copied().unwrap_or(0);
    if all <= room {
        return vec![one(0..all)];
    }
    match truncation {
        Truncation::Head | Truncation::Error => vec![one(0..room)],
        Truncation::Tail => vec![one(all - room..all)],
        Truncation::HeadTail => {
            let head = room.div_ceil(2);
            vec![vec![0..head, all - (room - head)..all]]
        }
        Truncation::Chunk => windows(ends, room, stride).into_iter().map(one).collect(),
    }
}

fn one(stretch: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(stretch).collect()
}

/// Windows of whole words, each as full as can be; of neighbours, the second begins with as many words of the first as have at most
/// `stride` sub-tokens together. A word that is longer than a window is divided.
fn windows(ends: &[usize], room: usize, stride: usize) -> Vec<Range<usize>> {
    let all = ends.last().copied().unwrap_or(0);
    let (mut windows, mut begin) = (Vec::new(), 0);
    loop {
        let full = begin + room;
        if full >= all {
            windows.push(begin..all);
            return windows;
        }
        let whole = ends[..ends.partition_point(|end| *end <= full)].last().copied().unwrap_or(0);
        let end = if whole > begin { whole } else { full };
        windows.push(begin..end);
        // the first beginning of a word that shares no more than that, is further on, and has room for the word that comes next
        let next = ends.get(ends.partition_point(|word| *word <= end)).copied().unwrap_or(all);
        let least = end.saturating_sub(stride).max(begin + 1).max(next.saturating_sub(room));
        begin = ends.get(ends.partition_point(|word| *word < least)).copied().unwrap_or(end).min(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where words of so many sub-tokens end.
    fn ends(lengths: &[usize]) -> Vec<usize> {
        let mut end = 0;
        let add = |length: &usize| {
            end += length;
            end
        };
        lengths.iter().map(add).collect()
    }

    fn placed(lengths: &[usize], room: usize, truncation: Truncation) -> Words {
        let ends = ends(lengths);
        let parts = parts(&ends, room, truncation, 0);
        Words::new(&ends, &parts, &vec![1; parts.len()])
    }

    fn at(word: usize, states: Range<usize>) -> Place {
        Place { word, states }
    }

    #[test]
    fn words_stand_where_their_sub_tokens_do() {
        let words = placed(&[1, 2, 0, 3], 6, Truncation::Head);
        let places = vec![vec![at(0, 1..2), at(1, 2..4), at(3, 4..7)]];
        assert_eq!(words, Words { count: 4, places, cut: 0, blank: 1 });
        assert_eq!(placed(&[], 6, Truncation::Head), Words { count: 0, places: vec![vec![]], cut: 0, blank: 0 });
    }

    #[test]
    fn what_is_cut_has_no_place_and_what_is_half_read_has() {
        let head = placed(&[1, 2, 0, 3, 1], 4, Truncation::Head);
        assert_eq!(head.places, [[at(0, 1..2), at(1, 2..4), at(3, 4..5)]]);
        assert_eq!((head.cut, head.blank), (1, 1));
        let tail = placed(&[1, 2, 0, 3, 1], 4, Truncation::Tail);
        assert_eq!(tail.places, [[at(3, 1..4), at(4, 4..5)]]);
        assert_eq!(tail.cut, 2);
        // two sub-tokens of the first, one of the last, none of those between
        let both = placed(&[1, 2, 0, 3, 1], 3, Truncation::HeadTail);
        assert_eq!(both.places, [[at(0, 1..2), at(1, 2..3), at(4, 3..4)]]);
        assert_eq!(both.cut, 1);
        // one word on both sides of the gap
        assert_eq!(placed(&[9], 4, Truncation::HeadTail).places, [[at(0, 1..5)]]);
    }

    #[test]
    fn windows_hold_whole_words_and_share_whole_words() {
        assert_eq!(windows(&ends(&[1, 2, 2, 1, 1]), 4, 0), [0..3, 3..7]);
        assert_eq!(windows(&ends(&[1, 2, 2, 1, 1]), 4, 1), [0..3, 3..7]);
        assert_eq!(windows(&ends(&[1, 2, 2, 1, 1]), 4, 2), [0..3, 1..5, 3..7]);
        assert_eq!(windows(&ends(&[1; 6]), 4, 2), [0..4, 2..6]);
        // what is shared leaves room for the next word
        assert_eq!(windows(&ends(&[1, 2, 3]), 4, 2), [0..3, 3..6]);
        // a word of nine in a room of four
        assert_eq!(windows(&ends(&[1, 9, 1]), 4, 2), [0..1, 1..5, 5..9, 9..11]);
    }

    proptest! {
        #[test]
        fn windows_leave_nothing_out(
            lengths in prop::collection::vec(0usize..7, 1..60), room in 2usize..9, stride in 0usize..4,
        ) {
            let (ends, stride) = (ends(&lengths), stride.min(room / 2));
            let all = ends.last().copied().unwrap_or(0);
            prop_assume!(all > room);
            let windows = windows(&ends, room, stride);
            prop_assert_eq!((windows[0].start, windows[windows.len() - 1].end), (0, all));
            for window in &windows {
                prop_assert!(!window.is_empty() && window.len() <= room);
            }
            for pair in windows.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end && pair[1].start <= pair[0].end);
                prop_assert!(pair[0].end - pair[1].start <= stride);
            }
            let parts: Vec<_> = windows.into_iter().map(one).collect();
            let words = Words::new(&ends, &parts, &vec![0; parts.len()]);
            prop_assert_eq!(words.cut, 0);
            // a word that fits stands whole in some window
            for (word, length) in lengths.iter().enumerate().filter(|(_, length)| (1..=room).contains(*length)) {
                let whole = |place: &Place| place.word == word && place.states.len() == *length;
                prop_assert!(words.places.iter().flatten().any(whole));
            }
        }
    }
}
