//! What do words weigh? A table of words and their valence, and what the words of a text that stand in it come to.

use rustc_hash::FxHashMap;

/// Words (or phrases of several words) with a number each.
#[derive(Debug, Clone, Default)]
pub struct Valences {
    by_word: FxHashMap<Box<str>, f64>,
    /// Words in the longest phrase.
    longest: usize,
}

/// What the hits of a text come to; all 0 where nothing is hit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ValenceSummary {
    /// Words or phrases found.
    pub hits: usize,
    /// Words looked at.
    pub words: usize,
    /// The mean of what was found.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The sum of what is above 0.
    pub sum_positive: f64,
    /// The sum of what is below 0.
    pub sum_negative: f64,
}

impl Valences {
    /// A table; of a word that comes twice the last valence counts.
    pub fn new(entries: impl IntoIterator<Item = (String, f64)>) -> Self {
        let by_word: FxHashMap<Box<str>, f64> =
            entries.into_iter().map(|(word, valence)| (word.into_boxed_str(), valence)).collect();
        let longest = by_word.keys().map(|word| word.split_whitespace().count()).max().unwrap_or(1);
        Valences { by_word, longest }
    }

    /// How many words it has.
    pub fn len(&self) -> usize {
        self.by_word.len()
    }

    /// True without words.
    pub fn is_empty(&self) -> bool {
        self.by_word.is_empty()
    }

    /// The valence of a word as it is spelled.
    pub(super) fn exact(&self, word: &str) -> Option<f64> {
        self.by_word.get(word).copied()
    }

    /// The valence of a word as it is spelled, else in lower case.
    fn find(&self, word: &str) -> Option<f64> {
        self.exact(word).or_else(|| self.exact(&word.to_lowercase()))
    }

    /// What the words of a text come to: those that white space divides, as they are (`:)`), else without the punctuation
    /// around them.
    pub fn of_text(&self, text: &str) -> ValenceSummary {
        let words: Vec<&str> = text
            .split_whitespace()
            .map(|word| match word.trim_matches(|c: char| c.is_ascii_punctuation()) {
                "" => word,
                stripped if self.find(word).is_none() => stripped,
                _ => word,
            })
            .collect();
        self.of_words(&words)
    }

    /// What some words come to. Of phrases that begin at the same word the longest is found, and its words are not looked at
    /// again.
    pub fn of_words(&self, words: &[&str]) -> ValenceSummary {
        let mut found: Vec<f64> = Vec::new();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let phrase = (2..=self.longest.min(words.len() - at))
                .rev()
                .find_map(|many| self.find(&words[at..at + many].join(" ")).map(|valence| (valence, many)));
            let hit = phrase.or_else(|| self.find(word).map(|valence| (valence, 1)));
            found.extend(hit.map(|(valence, _)| valence));
            at += hit.map_or(1, |(_, many)| many);
        }
        summary(&found, words.len())
    }
}

fn summary(found: &[f64], words: usize) -> ValenceSummary {
    if found.is_empty() {
        return ValenceSummary { words, ..ValenceSummary::default() };
    }
    let sum = |of: fn(f64) -> bool| found.iter().filter(|&&value| of(value)).fold(0.0, |sum, value| sum + value);
    ValenceSummary {
        hits: found.len(),
        words,
        mean: sum(|_| true) / found.len() as f64,
        min: found.iter().copied().fold(f64::INFINITY, f64::min),
        max: found.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        sum_positive: sum(|value| value > 0.0),
        sum_negative: sum(|value| value < 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_phrase_is_found_once() {
        let table =
            Valences::new([("good", 2.0), ("fed up", -1.5), ("up", 1.0), (":)", 3.0)].map(|(w, v)| (w.to_owned(), v)));
        let found = table.of_text("Good, but FED UP. :) \"up\"");
        assert_eq!((found.hits, found.words), (4, 6));
        assert_eq!((found.sum_positive, found.sum_negative), (6.0, -1.5));
        assert_eq!((found.min, found.max, found.mean), (-1.5, 3.0, 1.125));
        assert_eq!(table.of_words(&[]), ValenceSummary::default());
        assert_eq!(table.of_words(&["none"]), ValenceSummary { words: 1, ..ValenceSummary::default() });
    }
}
