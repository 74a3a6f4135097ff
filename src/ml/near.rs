//! Which texts are nearly the same? Shingles, MinHash signatures of 64 bytes, and groups by locality-sensitive hashing.
//!
//! A text is *folded* ([`fold`]: lower case, words alone) and cut into *shingles*: every run of [`SHINGLE`] characters. Two texts
//! are as alike as their sets of shingles: Jaccard's |A ∩ B| / |A ∪ B|. A [`Signature`] estimates it without the texts: one
//! hash sends each shingle to one of 64 bins and a bin keeps its least shingle (one-permutation hashing, Li, Owen and Zhang, NIPS
//! 2012); an empty bin borrows from another, chosen by hash (optimal densification, Shrivastava, ICML 2017); of each least hash
//! 8 bits are kept (b-bit minwise hashing, Li and König, WWW 2010). [`groups`] finds rows whose signatures agree in a whole band
//! (Broder, SEQUENCES 1997; Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4) and joins those that are alike.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

/// Characters in a shingle: few enough for a Chinese sentence, enough that unlike long texts share few.
pub const SHINGLE: usize = 4;

/// From which Jaccard similarity on two texts are nearly the same, unless something else is asked for.
pub const THRESHOLD: f64 = 0.8;

/// Bytes of a signature.
pub const SIGNATURE: usize = 64;

/// What stands for a text when similarity is estimated.
pub type Signature = [u8; SIGNATURE];

/// How many unlike rows of one bucket a further row is compared with: what keeps a bucket of *n* rows from costing *n*².
const LEADERS: usize = 64;

/// How many shingles [`Exact`] keeps: 128 MiB.
const KEPT_SHINGLES: usize = 1 << 24;

/// The share of pairs just at the threshold that shall meet in some band.
const RECALL: f64 = 0.98;

/// The words of a text in lower case, one space between two: letters, digits, marks on letters, and `_`; all else is dropped.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || c == '_' || is_mark(c) {
            if std::mem::take(&mut gap) && !folded.is_empty() {
                folded.push(' ');
            }
            folded.push(c);
        } else {
            gap = true;
        }
    }
    folded
}

/// Marks that are not alphabetic by themselves but part of a word: accents, viramas, tone marks.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && unicode_normalization::char::is_combining_mark(c)
}

/// The signature of a folded text; `None` where it has no character.
pub fn signature(folded: &str) -> Option<Signature> {
    let mut least = [u64::MAX; SIGNATURE];
    let mut filled = 0_u64;
    for_each_shingle(folded, |hash| {
        let bin = (hash >> 58) as usize;
        least[bin] = least[bin].min(hash << 6);
        filled |= 1 << bin;
    });
    if filled == 0 {
        return None;
    }
    Some(std::array::from_fn(|bin| {
        let mut from = bin as u64;
        let mut attempt = 0;
        while filled & (1 << from) == 0 {
            attempt += 1;
            from = mixed((bin as u64) << 32 | attempt) >> 58;
        }
        // another mix: the bits of a least hash are not even
        (mixed(least[from as usize]) >> 56) as u8
    }))
}

/// The estimated Jaccard similarity of the texts behind two signatures: standard error at most 0.07 for texts of 100
/// characters or more, up to 0.15 for shorter ones.
pub fn estimate(a: &Signature, b: &Signature) -> f64 {
    let same = a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / SIGNATURE as f64;
    // two unlike bytes are equal by chance once in 256
    ((same - 1.0 / 256.0) / (1.0 - 1.0 / 256.0)).max(0.0)
}

/// The Jaccard similarity of two folded texts; 1 for two texts without any character.
pub fn jaccard(a: &str, b: &str) -> f64 {
    similarity(&shingles(a), &shingles(b))
}

/// Holds folded texts against each other, exactly. The shingles of those seen last are kept, because [`groups`] holds one row
/// against many others: a pair of long texts that are almost near enough would cost a millisecond each time.
pub struct Exact<'a> {
    folded: &'a [String],
    kept: FxHashMap<usize, Vec<u64>>,
    shingles: usize,
}

impl<'a> Exact<'a> {
    /// For these texts.
    pub fn new(folded: &'a [String]) -> Self {
        Exact { folded, kept: FxHashMap::default(), shingles: 0 }
    }

    /// Whether two of them are as alike as `threshold`.
    pub fn alike(&mut self, a: usize, b: usize, threshold: f64) -> bool {
        if self.kept.len() > 2 * LEADERS || self.shingles > KEPT_SHINGLES {
            self.kept.clear();
            self.shingles = 0;
        }
        for row in [a, b] {
            if let (false, Some(text)) = (self.kept.contains_key(&row), self.folded.get(row)) {
                let found = shingles(text);
                self.shingles += found.len();
                self.kept.insert(row, found);
            }
        }
        let (Some(a), Some(b)) = (self.kept.get(&a), self.kept.get(&b)) else { return false };
        let (least, most) = (a.len().min(b.len()), a.len().max(b.len()));
        // unlike lengths alone may tell
        (most == 0 || least as f64 / most as f64 >= threshold) && similarity(a, b) >= threshold
    }
}

/// The share of common ones; both ascend.
fn similarity(a: &[u64], b: &[u64]) -> f64 {
    let (mut left, mut right, mut both) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(left), b.get(right)) {
        both += usize::from(x == y);
        left += usize::from(x <= y);
        right += usize::from(y <= x);
    }
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// Groups of rows that are nearly the same: for each row the first row of its group, itself where it is alone.
///
/// Rows whose signatures agree in a band are compared by `alike`, and joined if it says so; of a pair exactly at `threshold`, 98% meet.
/// Groups are joined through common members, so two rows of one group may be less alike than `threshold`. In a band's bucket a row is
/// compared with rows that are in no common group so far, at most 64 of them: cost grows with rows, not with their square.
/// Rows without a signature are alone. The answer depends on the order of rows alone.
pub fn groups(
    signatures: &[Option<&Signature>],
    threshold: f64,
    alike: &mut dyn FnMut(usize, usize) -> bool,
) -> Vec<usize> {
    let mut sets = Sets::new(signatures.len());
    let width = band_width(threshold);
    let mut bucketed: Vec<(u64, u32)> = Vec::with_capacity(signatures.len());
    let mut leaders = Vec::with_capacity(LEADERS);
    for band in 0..SIGNATURE / width {
        bucketed.clear();
        for (row, signature) in (0_u32..).zip(signatures) {
            if let Some(signature) = signature {
                let key = signature.iter().skip(band * width).take(width);
                bucketed.push((key.fold(0, |key, &byte| mixed(key ^ u64::from(byte))), row));
            }
        }
        bucketed.sort_unstable();
        for bucket in bucketed.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
            leaders.clear();
            for &(_, row) in bucket {
                let row = row as usize;
                let mut led = false;
                for &leader in &leaders {
                    let joined =
                        sets.first(leader) == sets.first(row) || (alike(leader, row) && sets.join(leader, row));
                    led |= joined;
                }
                if !led && leaders.len() < LEADERS {
                    leaders.push(row);
                }
            }
        }
    }
    (0..signatures.len()).map(|row| sets.first(row)).collect()
}

/// [`groups`] by the estimate alone, where the texts are not at hand.
pub fn estimated_groups(signatures: &[Option<&Signature>], threshold: f64) -> Vec<usize> {
    let of = |row: usize| signatures.get(row).copied().flatten();
    groups(
        signatures,
        threshold,
        &mut |a, b| matches!((of(a), of(b)), (Some(a), Some(b)) if estimate(a, b) >= threshold),
    )
}

/// Bytes in a band: as many as leave [`RECALL`] at the threshold.
fn band_width(threshold: f64) -> usize {
    let same = threshold + (1.0 - threshold) / 256.0;
    let recall = |width: usize| 1.0 - (1.0 - same.powi(width as i32)).powi((SIGNATURE / width) as i32);
    (1..=16).rev().find(|&width| recall(width) >= RECALL).unwrap_or(1)
}

/// The hashes of a text's shingles in order, each once.
fn shingles(folded: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for_each_shingle(folded, |hash| all.push(hash));
    all.sort_unstable();
    all.dedup();
    all
}

/// Calls `each` with the hash of every shingle; a text with fewer characters than a shingle is one.
fn for_each_shingle(folded: &str, mut each: impl FnMut(u64)) {
    /// An odd number; a shingle's hash is a polynomial in it, so it rolls.
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let leaving = (0..SHINGLE).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut window = [0_u64; SHINGLE];
    let (mut hash, mut seen) = (0_u64, 0_usize);
    for c in folded.chars() {
        let c = u64::from(u32::from(c)) + 1;
        let gone = std::mem::replace(&mut window[seen % SHINGLE], c);
        hash = hash.wrapping_mul(BASE).wrapping_add(c).wrapping_sub(gone.wrapping_mul(leaving));
        seen += 1;
        if seen >= SHINGLE {
            each(mixed(hash));
        }
    }
    if (1..SHINGLE).contains(&seen) {
        each(mixed(hash));
    }
}

/// The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Disjoint sets of rows; a set is called by its first row.
#[derive(Debug)]
pub struct Sets(Vec<usize>);

impl Sets {
    /// Every row by itself.
    pub fn new(rows: usize) -> Self {
        Sets((0..rows).collect())
    }

    /// The rows of equal value joined.
    pub fn of_equal<K: Ord>(values: impl Iterator<Item = K>) -> Self {
        let mut first = BTreeMap::new();
        Sets(values.enumerate().map(|(row, value)| *first.entry(value).or_insert(row)).collect())
    }

    /// The first row of the set that `row` is in.
    pub fn first(&mut self, row: usize) -> usize {
        let mut at = row;
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// Makes one set of two; true, so that it may end a condition.
    pub fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.first(a), self.first(b));
        self.0[a.max(b)] = a.min(b);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::rng::Rng;
    use proptest::prelude::*;

    #[test]
    fn folding_keeps_words() {
        assert_eq!(fold("  Hello, World!! "), "hello world");
        assert_eq!(fold("it's_ok … 3.5%"), "it s_ok 3 5");
        assert_eq!(fold("हिन्दी İstanbul"), "हिन्दी i\u{307}stanbul");
        assert_eq!((fold("!!! …"), fold("")), (String::new(), String::new()));
    }

    #[test]
    fn similarity_is_of_shingles() {
        assert_eq!(jaccard("abcde", "abcdx"), 1.0 / 3.0);
        assert_eq!(jaccard("abcdabcd", "abcdabcd"), 1.0);
        assert_eq!((jaccard("", ""), jaccard("a", ""), jaccard("ab", "ab"), jaccard("ab", "ba")), (1.0, 0.0, 1.0, 0.0));
        assert_eq!(signature(""), None);
        let (a, b) = (signature("ab").unwrap(), signature("ab").unwrap());
        assert_eq!(estimate(&a, &b), 1.0);
    }

    /// A text of random letters of which `changed` in a thousand differ from `seed`'s text.
    fn pair(length: usize, changed: u64, seed: u64) -> (String, String) {
        let mut rng = Rng::seeded(seed);
        let mut letter = || char::from(b'a' + (rng.next_u64() % 26) as u8);
        let a: String = (0..length).map(|_| letter()).collect();
        let mut rng = Rng::seeded(seed ^ 1);
        let b = a.chars().map(|c| if rng.next_u64() % 1000 < changed { '#' } else { c }).collect();
        (a, b)
    }

    #[test]
    fn estimates_are_near_and_without_bias() {
        for (length, most) in [(20, 0.15), (60, 0.1), (200, 0.07), (3000, 0.07)] {
            for changed in [10, 40, 120] {
                let (mut error, mut square) = (0.0, 0.0);
                let tries = 400;
                for seed in 0..tries {
                    let (a, b) = pair(length, changed, seed * 2 + 77);
                    let (one, other) = (signature(&a).unwrap(), signature(&b).unwrap());
                    let off = estimate(&one, &other) - jaccard(&a, &b);
                    error += off / tries as f64;
                    square += off * off / tries as f64;
                }
                assert!(error.abs() < 0.02, "length {length}, changed {changed}: bias {error}");
                assert!(square.sqrt() < most, "length {length}, changed {changed}: error {}", square.sqrt());
            }
        }
    }

    #[test]
    fn pairs_at_the_threshold_meet() {
        for threshold in [0.5, 0.7, 0.8, 0.9] {
            let (mut found, mut wanted) = (0, 0);
            for seed in 0..4000 {
                let (a, b) = pair(150, seed % 150, seed * 2 + 1);
                let true_similarity = jaccard(&a, &b);
                if true_similarity < threshold || true_similarity == 1.0 {
                    continue;
                }
                wanted += 1;
                let signatures = [signature(&a), signature(&b)];
                let of: Vec<_> = signatures.iter().map(Option::as_ref).collect();
                found += usize::from(groups(&of, threshold, &mut |_, _| true) == [0, 0]);
            }
            assert!(wanted > 200 && found as f64 >= 0.98 * wanted as f64, "{threshold}: {found} of {wanted}");
        }
    }

    #[test]
    fn a_huge_bucket_costs_little() {
        let one = signature(&fold("the very same text again and again")).unwrap();
        let signatures = vec![Some(&one); 50_000];
        let mut asked = 0;
        let same = groups(&signatures, 0.8, &mut |_, _| {
            asked += 1;
            true
        });
        assert!(same.iter().all(|&first| first == 0));
        assert!(asked < 50_000);
        let mut asked = 0;
        let apart = groups(&signatures, 0.8, &mut |_, _| {
            asked += 1;
            false
        });
        assert!(apart.iter().enumerate().all(|(row, &first)| row == first));
        assert!(asked <= 50_000 * LEADERS * (SIGNATURE / band_width(0.8)));
    }

    #[test]
    fn real_sentences_group_as_a_reader_would() {
        let texts = [
            "RT @user: the service at this hotel was really great, would come again :)",
            "The service at this hotel was really great - would come again!!",
            "the food at this hotel was really bad, would not come again",
            "这家酒店的服务真的很好,下次还会再来住的",
            "这家酒店的服务真的很好,下次还会再来住",
            "今天的天气很不好,我们不出去了",
            "",
            "",
        ];
        let signatures: Vec<_> = texts.map(fold).iter().map(|text| signature(text)).collect();
        let of: Vec<_> = signatures.iter().map(Option::as_ref).collect();
        assert_eq!(estimated_groups(&of, 0.7), [0, 0, 2, 3, 3, 5, 6, 7]);
    }

    #[test]
    fn kept_shingles_change_no_answer() {
        let texts: Vec<String> = (0..300).flat_map(|seed| <[String; 2]>::from(pair(40, seed % 90, seed))).collect();
        let mut exact = Exact::new(&texts);
        for a in (0..texts.len()).step_by(7) {
            for b in 0..texts.len() {
                assert_eq!(exact.alike(a, b, 0.6), jaccard(&texts[a], &texts[b]) >= 0.6, "{a}, {b}");
            }
        }
        assert!(!exact.alike(0, texts.len(), 0.1));
        assert!(Exact::new(&[String::new(), String::new()]).alike(0, 1, 1.0));
    }

    proptest! {
        #[test]
        fn sets_are_called_by_their_first_row(joins in prop::collection::vec((0usize..30, 0usize..30), 0..40)) {
            let mut sets = Sets::new(30);
            for &(a, b) in &joins {
                sets.join(a, b);
                prop_assert_eq!(sets.first(a), sets.first(b));
            }
            for row in 0..30 {
                let first = sets.first(row);
                prop_assert!(first <= row);
                prop_assert_eq!(sets.first(first), first);
            }
        }

        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
            prop_assert_eq!(once.trim(), once.as_str());
        }
    }
}
