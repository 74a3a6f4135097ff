//! What feeling does an English text show by the rules of VADER?
//!
//! Ported from `vaderSentiment.py` of vaderSentiment 3.3.2 (MIT, © 2016 C.J. Hutto; Hutto & Gilbert, "VADER: A Parsimonious
//! Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014), quirks included: each rule below does what the
//! line there does, in its order. Only the rounding of the four scores is left out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ngrams::is_python_space;
use super::valence::Valences;

/// Four scores of a text.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VaderScores {
    /// Share of what is positive, 0 to 1.
    pub pos: f64,
    /// Share of what is negative, 0 to 1.
    pub neg: f64,
    /// Share of what is neither, 0 to 1.
    pub neu: f64,
    /// The whole, -1 to 1.
    pub compound: f64,
}

/// How much a booster adds.
const BOOST: f64 = 0.293;
/// How much capitals add.
const CAPITALS: f64 = 0.733;
/// What a negation multiplies by.
const NEGATION: f64 = -0.74;

/// Words that turn what follows.
const NEGATIONS: [&str; 59] = [
    "aint",
    "arent",
    "cannot",
    "cant",
    "couldnt",
    "darent",
    "didnt",
    "doesnt",
    "ain't",
    "aren't",
    "can't",
    "couldn't",
    "daren't",
    "didn't",
    "doesn't",
    "dont",
    "hadnt",
    "hasnt",
    "havent",
    "isnt",
    "mightnt",
    "mustnt",
    "neither",
    "don't",
    "hadn't",
    "hasn't",
    "haven't",
    "isn't",
    "mightn't",
    "mustn't",
    "neednt",
    "needn't",
    "never",
    "none",
    "nope",
    "nor",
    "not",
    "nothing",
    "nowhere",
    "oughtnt",
    "shant",
    "shouldnt",
    "uhuh",
    "wasnt",
    "werent",
    "oughtn't",
    "shan't",
    "shouldn't",
    "uh-uh",
    "wasn't",
    "weren't",
    "without",
    "wont",
    "wouldnt",
    "won't",
    "wouldn't",
    "rarely",
    "seldom",
    "despite",
];

/// Words and pairs that strengthen what follows.
const BOOSTERS: [&str; 60] = [
    "absolutely",
    "amazingly",
    "awfully",
    "completely",
    "considerable",
    "considerably",
    "decidedly",
    "deeply",
    "effing",
    "enormous",
    "enormously",
    "entirely",
    "especially",
    "exceptional",
    "exceptionally",
    "extreme",
    "extremely",
    "fabulously",
    "flipping",
    "flippin",
    "frackin",
    "fracking",
    "fricking",
    "frickin",
    "frigging",
    "friggin",
    "fully",
    "fuckin",
    "fucking",
    "fuggin",
    "fugging",
    "greatly",
    "hella",
    "highly",
    "hugely",
    "incredible",
    "incredibly",
    "intensely",
    "major",
    "majorly",
    "more",
    "most",
    "particularly",
    "purely",
    "quite",
    "really",
    "remarkably",
    "so",
    "substantially",
    "thoroughly",
    "total",
    "totally",
    "tremendous",
    "tremendously",
    "uber",
    "unbelievably",
    "unusually",
    "utter",
    "utterly",
    "very",
];

/// Words and pairs that weaken what follows.
const DAMPENERS: [&str; 24] = [
    "almost",
    "barely",
    "hardly",
    "just enough",
    "kind of",
    "kinda",
    "kindof",
    "kind-of",
    "less",
    "little",
    "marginal",
    "marginally",
    "occasional",
    "occasionally",
    "partly",
    "scarce",
    "scarcely",
    "slight",
    "slightly",
    "somewhat",
    "sort of",
    "sorta",
    "sortof",
    "sort-of",
];

/// Phrases with a valence of their own.
const PHRASES: [(&str, f64); 9] = [
    ("the shit", 3.0),
    ("the bomb", 3.0),
    ("bad ass", 1.5),
    ("badass", 1.5),
    ("bus stop", 0.0),
    ("yeah right", -2.0),
    ("kiss of death", -1.5),
    ("to die for", 3.0),
    ("beating heart", 3.5),
];

static NEGATION_SET: LazyLock<FxHashSet<&str>> = LazyLock::new(|| NEGATIONS.into_iter().collect());

static BOOSTER_MAP: LazyLock<FxHashMap<&str, f64>> = LazyLock::new(|| {
    BOOSTERS.into_iter().map(|word| (word, BOOST)).chain(DAMPENERS.into_iter().map(|word| (word, -BOOST))).collect()
});

/// The scores of a text (`polarity_scores`) whose emoji are [`spelled`].
pub fn vader(text: &str, valences: &Valences) -> VaderScores {
    let text = text.trim_matches(is_python_space);
    let words = Words::of(text);
    let mut sentiments: Vec<f64> = (0..words.lower.len()).map(|at| words.valence(at, valences)).collect();
    words.weigh_but(&mut sentiments);
    score(&sentiments, text)
}

/// VADER's words: what white space divides, without the punctuation around it, unless two or fewer characters were left.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_python_space).filter(|word| !word.is_empty()).map(|token| {
        let stripped = token.trim_matches(|c: char| c.is_ascii_punctuation());
        if stripped.chars().nth(2).is_none() { token } else { stripped }
    })
}

/// Puts words in the place of emoji, a space before them unless one is there.
pub fn spelled<'t>(text: &'t str, emoji: &BTreeMap<char, String>) -> Cow<'t, str> {
    if !text.contains(|c| emoji.contains_key(&c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut after_space = true;
    for c in text.chars() {
        match emoji.get(&c) {
            Some(words) => {
                if !after_space {
                    out.push(' ');
                }
                out.push_str(words);
                after_space = false;
            }
            None => {
                out.push(c);
                after_space = c == ' ';
            }
        }
    }
    Cow::Owned(out)
}

/// Python's `str.isupper`: some letter has case, and none with case is anything but upper.
fn is_upper(word: &str) -> bool {
    let mut upper = false;
    for c in word.chars() {
        let title = || !c.is_uppercase() && c.to_lowercase().next() != Some(c);
        if c.is_lowercase() || title() {
            return false;
        }
        upper |= c.is_uppercase();
    }
    upper
}

/// The words of a text.
struct Words {
    lower: Vec<String>,
    upper: Vec<bool>,
    /// Some words are in capitals, and some are not.
    differ: bool,
}

impl Words {
    fn of(text: &str) -> Self {
        let all: Vec<&str> = words(text).collect();
        let upper: Vec<bool> = all.iter().map(|word| is_upper(word)).collect();
        let capitals = upper.iter().filter(|&&upper| upper).count();
        let differ = capitals > 0 && capitals < all.len();
        Words { lower: all.iter().map(|word| word.to_lowercase()).collect(), upper, differ }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.lower.get(at).is_some_and(|other| other == word)
    }

    fn phrase(&self, words: std::ops::RangeInclusive<usize>) -> Option<String> {
        self.lower.get(words).map(|words| words.join(" "))
    }

    /// What the word at `at` counts (`sentiment_valence`).
    fn valence(&self, at: usize, valences: &Valences) -> f64 {
        let word = self.lower[at].as_str();
        if BOOSTER_MAP.contains_key(word) || (word == "kind" && self.is(at + 1, "of")) {
            return 0.0;
        }
        let Some(known) = valences.exact(word) else { return 0.0 };
        let in_lexicon = |at: usize| self.lower.get(at).is_some_and(|word| valences.exact(word).is_some());
        let mut valence = known;
        // "no" before a word of the lexicon negates it, and counts nothing itself
        if word == "no" && in_lexicon(at + 1) {
            valence = 0.0;
        }
        let no = |back: usize| at >= back && self.is(at - back, "no");
        if no(1) || no(2) || (no(3) && (self.is(at - 1, "or") || self.is(at - 1, "nor"))) {
            valence = known * NEGATION;
        }
        if self.upper[at] && self.differ {
            valence += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        for (back, distance) in [(1, 1.0), (2, 0.95), (3, 0.9)] {
            if at < back || in_lexicon(at - back) {
                continue;
            }
            valence += self.boost(at - back, valence) * distance;
            valence = self.negate(valence, at, back);
            if back == 3 {
                valence = self.phrases(valence, at);
            }
        }
        if at > 0 && !in_lexicon(at - 1) && self.is(at - 1, "least") {
            let at_least = at > 1 && (self.is(at - 2, "at") || self.is(at - 2, "very"));
            if !at_least {
                valence *= NEGATION;
            }
        }
        valence
    }

    /// What a word before another adds to it (`scalar_inc_dec`).
    fn boost(&self, at: usize, valence: f64) -> f64 {
        let Some(&boost) = BOOSTER_MAP.get(self.lower[at].as_str()) else { return 0.0 };
        let mut scalar = if valence < 0.0 { -boost } else { boost };
        if self.upper[at] && self.differ {
            scalar += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        scalar
    }

    /// `_negation_check`.
    fn negate(&self, valence: f64, at: usize, back: usize) -> f64 {
        let is = |back: usize, word: &str| self.is(at - back, word);
        let so_or_this = |back: usize| is(back, "so") || is(back, "this");
        let (never, doubt) = match back {
            1 => (false, false),
            2 => (is(2, "never") && so_or_this(1), is(2, "without") && is(1, "doubt")),
            // the precedence of the original: "so" or "this" right before is enough
            _ => (
                is(3, "never") && so_or_this(2) || so_or_this(1),
                is(3, "without") && (is(2, "doubt") || is(1, "doubt")),
            ),
        };
        let word = self.lower[at - back].as_str();
        match () {
            () if never => valence * 1.25,
            () if doubt => valence,
            () if NEGATION_SET.contains(word) || word.contains("n't") => valence * NEGATION,
            () => valence,
        }
    }

    /// `_special_idioms_check`; three words come before `at`.
    fn phrases(&self, valence: f64, at: usize) -> f64 {
        let known = |phrase: Option<String>| {
            let phrase = phrase?;
            PHRASES.iter().find(|(known, _)| *known == phrase).map(|&(_, valence)| valence)
        };
        let before = [at - 1..=at, at - 2..=at, at - 2..=at - 1, at - 3..=at - 1, at - 3..=at - 2];
        let mut valence = before.into_iter().find_map(|words| known(self.phrase(words))).unwrap_or(valence);
        for after in [at..=at + 1, at..=at + 2] {
            valence = known(self.phrase(after)).unwrap_or(valence);
        }
        for pair in [at - 3..=at - 1, at - 3..=at - 2, at - 2..=at - 1] {
            let boost = self.phrase(pair).and_then(|words| BOOSTER_MAP.get(words.as_str()));
            valence += boost.copied().unwrap_or(0.0);
        }
        valence
    }

    /// What stands before "but" counts half, what stands after it half more (`_but_check`). As there, a value is changed at
    /// the first place that holds its like.
    fn weigh_but(&self, sentiments: &mut [f64]) {
        let Some(but) = self.lower.iter().position(|word| word == "but") else { return };
        for at in 0..sentiments.len() {
            let value = sentiments[at];
            let Some(place) = sentiments.iter().position(|&other| other == value) else { continue };
            match place.cmp(&but) {
                std::cmp::Ordering::Less => sentiments[place] = value * 0.5,
                std::cmp::Ordering::Greater => sentiments[place] = value * 1.5,
                std::cmp::Ordering::Equal => {}
            }
        }
    }
}

/// `score_valence`.
fn score(sentiments: &[f64], text: &str) -> VaderScores {
    if sentiments.is_empty() {
        return VaderScores::default();
    }
    let emphasis = emphasis(text);
    let mut sum: f64 = sentiments.iter().fold(0.0, |sum, value| sum + value);
    if sum > 0.0 {
        sum += emphasis;
    } else if sum < 0.0 {
        sum -= emphasis;
    }
    let compound = (sum / (sum * sum + 15.0).sqrt()).clamp(-1.0, 1.0);
    let (mut pos, mut neg, mut neu) = (0.0, 0.0, 0.0);
    for &value in sentiments {
        match () {
            () if value > 0.0 => pos += value + 1.0,
            () if value < 0.0 => neg += value - 1.0,
            () => neu += 1.0,
        }
    }
    let turned = f64::abs(neg);
    if pos > turned {
        pos += emphasis;
    } else if pos < turned {
        neg -= emphasis;
    }
    let total = pos + neg.abs() + neu;
    VaderScores { pos: (pos / total).abs(), neg: (neg / total).abs(), neu: (neu / total).abs(), compound }
}

/// What exclamation and question marks add (`_punctuation_emphasis`).
fn emphasis(text: &str) -> f64 {
    let count = |mark: u8| text.bytes().filter(|&byte| byte == mark).count();
    let exclamations = count(b'!').min(4) as f64 * 0.292;
    let questions = match count(b'?') {
        0 | 1 => 0.0,
        some @ 2..=3 => some as f64 * 0.18,
        _ => 0.96,
    };
    exclamations + questions
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEXICON: [(&str, f64); 18] = [
        ("smart", 1.7),
        ("handsome", 2.2),
        ("funny", 1.9),
        ("good", 1.9),
        ("horrible", -2.5),
        ("sux", -1.5),
        ("lol", 1.8),
        (":)", 2.0),
        ("bad", -2.5),
        ("great", 3.1),
        ("no", -1.2),
        ("love", 3.2),
        ("shit", -2.6),
        ("ass", -2.5),
        ("kiss", 1.8),
        ("joy", 2.8),
        ("doubt", -1.5),
        ("well", 1.1),
    ];

    /// vaderSentiment 3.3.2 on Python 3.11 with this lexicon and its rounding taken out: pos, neg, neu, compound.
    const REFERENCE: [(&str, [f64; 4]); 13] = [
        ("VADER is smart, handsome, and funny.", [0.7457627118644068, 0.0, 0.2542372881355932, 0.8316320352807864]),
        (
            "VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!",
            [0.706032218868812, 0.0, 0.2939677811311881, 0.946938352138548],
        ),
        ("The book was only kind of good.", [0.30289299407459047, 0.0, 0.6971070059254096, 0.38324473176419577]),
        ("At least it isn't a horrible book.", [0.3220338983050848, 0.0, 0.6779661016949153, 0.43102002306105164]),
        (
            "Today only kinda sux! But I'll get by, lol",
            [0.31693858917867496, 0.12730737168036205, 0.5557540391409631, 0.5249142208642265],
        ),
        (
            "never so good, but this bad bad bad?? GOOD",
            [0.28230195573681194, 0.5634373147063502, 0.15426072955683784, -0.8515198466805093],
        ),
        ("without a doubt the shit", [0.6706915477497255, 0.0, 0.32930845225027444, 0.7277802457406257]),
        (
            "she is no good, no well or bad",
            [0.3656428461182281, 0.3256675412872357, 0.30868961259453626, 0.13256658725368922],
        ),
        ("least great :) ????", [0.3241841365895829, 0.4596931056840285, 0.2161227577263886, -0.3080373034998554]),
        ("ok😂😁!!!!!", [0.41510695187165775, 0.0, 0.5848930481283422, 0.7156229258728812]),
        ("good but bad but good", [0.46215139442231074, 0.3784860557768924, 0.1593625498007968, 0.012908868793110644]),
        ("", [0.0, 0.0, 0.0, 0.0]),
        ("x", [0.0, 0.0, 1.0, 0.0]),
    ];

    #[test]
    fn scores_are_vaders_to_the_last_bit() {
        let valences = Valences::new(LEXICON.map(|(word, valence)| (word.to_owned(), valence)));
        let emoji = BTreeMap::from([('😂', "face with tears of joy".to_owned()), ('😁', "beaming face".to_owned())]);
        for (text, expected) in REFERENCE {
            let VaderScores { pos, neg, neu, compound } = vader(&spelled(text, &emoji), &valences);
            assert_eq!([pos, neg, neu, compound], expected, "{text}");
        }
    }

    #[test]
    fn capitals_are_pythons() {
        assert!(is_upper("GOOD!") && is_upper("ΑΒ1"));
        assert!(!is_upper("123") && !is_upper("ǅA") && !is_upper("Good") && !is_upper(""));
    }
}
