//! Which other text says most nearly the same in words? The cosine of TF-IDF vectors, for a few texts among many.
//!
//! A text's words are those of [`fold`]. A word that occurs tf times in a text, and in df of n texts, weighs tf × (ln((1 + n) / (1 + df)) + 1),
//! which is scikit-learn's TfidfVectorizer with its defaults. No vector is kept: texts are read twice, once to count words and once to
//! hold each against the few that are asked for, so that memory grows with the words and not with the texts.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;

use super::near::fold;

/// Texts that a thread takes at a time.
const CHUNK: usize = 2048;

/// The text nearest to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alike {
    /// Which text.
    pub row: usize,
    /// The cosine: above 0, at most 1.
    pub cosine: f64,
}

/// For each of `asked`, the text among all `rows` that is most like it and not itself, the first of equals; `None` where no other text
/// shares a word with it.
pub fn nearest<'t>(rows: usize, text: impl Fn(usize) -> &'t str + Sync, asked: &[usize]) -> Vec<Option<Alike>> {
    let chunks: Vec<usize> = (0..rows).step_by(CHUNK).collect();
    let span = |start: usize| start..rows.min(start + CHUNK);
    let counted = chunks.par_iter().map(|&start| {
        let mut found: FxHashMap<u64, u32> = FxHashMap::default();
        let mut words = Vec::new();
        for row in span(start) {
            count_words(text(row), &mut words);
            words.iter().for_each(|(word, _)| *found.entry(*word).or_default() += 1);
        }
        found
    });
    let known = counted.reduce(FxHashMap::default, |mut all, some| {
        if all.is_empty() {
            return some;
        }
        some.into_iter().for_each(|(word, rows)| *all.entry(word).or_default() += rows);
        all
    });
    let weight = |&(word, times): &(u64, u32)| {
        let holding = known.get(&word).copied().unwrap_or(0);
        f64::from(times) * (((1 + rows) as f64 / f64::from(1 + holding)).ln() + 1.0)
    };
    let mut readers: FxHashMap<u64, Vec<(u32, f64)>> = FxHashMap::default();
    let mut words = Vec::new();
    for (query, &row) in (0_u32..).zip(asked) {
        count_words(text(row), &mut words);
        let length = words.iter().map(|word| weight(word).powi(2)).sum::<f64>().sqrt();
        words.iter().for_each(|word| readers.entry(word.0).or_default().push((query, weight(word) / length)));
    }
    let held = chunks.par_iter().map(|&start| {
        let mut best: Vec<Option<Alike>> = vec![None; asked.len()];
        let mut dots = vec![0.0; asked.len()];
        let (mut touched, mut words): (Vec<u32>, Vec<(u64, u32)>) = (Vec::new(), Vec::new());
        for row in span(start) {
            count_words(text(row), &mut words);
            let mut square = 0.0;
            for word in &words {
                let weight = weight(word);
                square += weight * weight;
                for &(query, of_query) in readers.get(&word.0).into_iter().flatten() {
                    let dot = &mut dots[query as usize];
                    if *dot == 0.0 {
                        touched.push(query);
                    }
                    *dot += weight * of_query;
                }
            }
            for query in touched.drain(..).map(|query| query as usize) {
                let cosine = (std::mem::take(&mut dots[query]) / square.sqrt()).min(1.0);
                if row != asked[query] && best[query].is_none_or(|known| cosine > known.cosine) {
                    best[query] = Some(Alike { row, cosine });
                }
            }
        }
        best
    });
    held.reduce(
        || vec![None; asked.len()],
        |left, right| left.into_iter().zip(right).map(|(left, right)| nearer(left, right)).collect(),
    )
}

/// The nearer of two; of equals the one that stands first.
fn nearer(left: Option<Alike>, right: Option<Alike>) -> Option<Alike> {
    match (left, right) {
        (Some(left), Some(right)) if right.cosine > left.cosine => Some(right),
        (Some(left), _) => Some(left),
        (None, right) => right,
    }
}

/// The words of a text by their hashes, in the order of these, each with how often it occurs.
fn count_words(text: &str, into: &mut Vec<(u64, u32)>) {
    into.clear();
    let folded = fold(text);
    for word in folded.split(' ').filter(|word| !word.is_empty()) {
        let mut hasher = FxHasher::default();
        hasher.write(word.as_bytes());
        into.push((hasher.finish(), 1));
    }
    into.sort_unstable();
    into.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        kept.1 += if same { later.1 } else { 0 };
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(texts: &[&str], asked: &[usize]) -> Vec<Option<(usize, f64)>> {
        let found = nearest(texts.len(), |row| texts[row], asked);
        found.into_iter().map(|alike| alike.map(|alike| (alike.row, (alike.cosine * 1e9).round() / 1e9))).collect()
    }

    #[test]
    fn a_copy_is_nearest_whatever_its_case() {
        let texts = ["the film is good", "", "The FILM is good!", "the film is bad", "!!", "quite another"];
        assert_eq!(near(&texts, &[0, 2, 5, 1, 4]), [Some((2, 1.0)), Some((0, 1.0)), None, None, None]);
        assert_eq!(near(&texts, &[3]), [Some((0, near(&texts, &[3])[0].unwrap().1))], "the first of equals");
        assert!(near(&[], &[]).is_empty());
    }

    #[test]
    fn cosines_are_scikit_learns() {
        // cosine_similarity(TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts))[0]
        let texts = ["a good film a good night", "a bad film", "good good night", "no one"];
        let found = near(&texts, &[0])[0].unwrap();
        assert!(found.0 == 2 && (found.1 - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-9, "{found:?}");
        assert_eq!(near(&texts, &[1]), [Some((0, 0.499392043))]);
    }

    #[test]
    fn many_chunks_are_as_one() {
        let text = |row: usize| ["red apple", "green apple", "red pear", "yellow plum tree"][row % 4];
        let rows = 3 * CHUNK + 5;
        let found = nearest(rows, text, &[0, 1, 4 * CHUNK / 2, rows - 1]);
        let rows_of: Vec<usize> = found.iter().map(|alike| alike.unwrap().row).collect();
        assert_eq!(rows_of, [4, 5, 0, 0]);
        assert!(found.iter().all(|alike| (alike.unwrap().cosine - 1.0).abs() < 1e-12));
    }
}
