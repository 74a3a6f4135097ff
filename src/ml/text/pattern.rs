//! How is a Python `token_pattern` read by the regex crate? By translating what the two spell alike and mean differently.
//!
//! | written | Python 3 `re` | regex crate | here |
//! |---|---|---|---|
//! | `\w` | `str.isalnum` or `_` = L, N, `_` | Alphabetic, M, Nd, Pc, joiners | `[\p{L}\p{N}_]` |
//! | `\s` | white space and U+001C–U+001F | white space | both |
//! | `\b`, `\B` | by its own `\w` | by its own `\w` | Python's, by stand-ins (below) |
//! | `[a[b]`, `&&`, `--`, `~~` in a class | literal | set operations | literal |
//! | `\<`, `\>`, `\Z`, `[\b]` | literal, literal, end, backspace | word edges, error, error | Python's |
//!
//! Stand-ins: the regex crate's `\b` cannot be redefined, so where a pattern has `\b` or `\B`, each character of the text on
//! which the two readings of `\w` differ is replaced, for matching only, by one of equal UTF-8 length on which they agree;
//! tokens are cut from the text itself. What remains different: a pattern with `\b` cannot name such a character (a combining
//! mark, `²`, a joiner) and find it; `$` does not match before a last newline; look-around, back-references and atomic groups are errors.
//!
//! `\b\w…\w+\b` around nothing but `\w` (scikit-learn's default) is read as "n or more word characters": the same tokens,
//! found without looking at boundaries, and without the regex crate.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::AnalyzerError;

const WORD: &str = r"[\p{L}\p{N}_]";

/// A compiled token pattern.
#[derive(Debug, Clone)]
pub(super) struct TokenPattern {
    regex: Regex,
    /// Where a token is nothing but so many or more word characters.
    least: Option<usize>,
    /// Whether the pattern's one group is the token.
    grouped: bool,
    /// Characters that are a word's for Python or for the regex crate, but not for both; only where boundaries matter.
    disputed: Option<Regex>,
}

impl TokenPattern {
    pub(super) fn new(pattern: &str) -> Result<Self, AnalyzerError> {
        let unreadable = |source| AnalyzerError::Pattern { pattern: pattern.to_owned(), source: Box::new(source) };
        let least = plain_words(pattern);
        let plain = least.map(|least| format!("{WORD}{{{least},}}"));
        let translated = plain.map_or_else(|| translate(pattern), Translated::without_boundaries);
        let regex = Regex::new(&translated.pattern).map_err(unreadable)?;
        let groups = regex.captures_len() - 1;
        if groups > 1 {
            return Err(AnalyzerError::Groups { pattern: pattern.to_owned(), groups });
        }
        if regex.is_match("") {
            return Err(AnalyzerError::MatchesEmpty { pattern: pattern.to_owned() });
        }
        let disputed = match translated.boundaries {
            true => Some(Regex::new(&format!(r"[\w~~{WORD}]")).map_err(unreadable)?),
            false => None,
        };
        Ok(TokenPattern { regex, least, grouped: groups == 1, disputed })
    }

    /// Calls `each` with every token of `text` (Python's `findall`).
    pub(super) fn each_token(&self, text: &str, each: &mut impl FnMut(&str)) {
        match self.least {
            Some(least) if text.is_ascii() => ascii_words(text, least, each),
            Some(least) => words(text, least, each),
            None => self.each_match(text, each),
        }
    }

    /// The same, whatever the pattern.
    fn each_match(&self, text: &str, each: &mut impl FnMut(&str)) {
        let seen = match &self.disputed {
            Some(disputed) if !text.is_ascii() => {
                disputed.replace_all(text, |found: &regex::Captures<'_>| stand_in(&found[0]))
            }
            _ => Cow::Borrowed(text),
        };
        if self.grouped {
            for found in self.regex.captures_iter(&seen) {
                each(found.get(1).and_then(|group| text.get(group.range())).unwrap_or_default());
            }
        } else {
            for found in self.regex.find_iter(&seen) {
                each(text.get(found.range()).unwrap_or_default());
            }
        }
    }
}

/// A character as long as `disputed` in UTF-8, on which Python and the regex crate agree: a letter for a number that is
/// no decimal digit (Python's word characters), a symbol for marks, joiners and enclosed letters (not Python's).
fn stand_in(disputed: &str) -> &'static str {
    let word = disputed.chars().all(char::is_numeric);
    match (disputed.len(), word) {
        (2, true) => "ª",
        (2, false) => "§",
        (3, true) => "あ",
        (3, false) => "‖",
        (_, true) => "𐀀",
        (_, false) => "😀",
    }
}

struct Translated {
    pattern: String,
    boundaries: bool,
}

impl Translated {
    fn without_boundaries(pattern: String) -> Self {
        Translated { pattern, boundaries: false }
    }
}

/// Which ASCII bytes are [`WORD`]s.
const ASCII: [bool; 256] = {
    let mut word = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        word[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    word
};

/// One bit for each character below [`WORDS_END`]: whether it is a [`WORD`]. Read off the class itself, since to match
/// all characters takes longer than to weigh ten thousand short texts.
static WORDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut bits = vec![0; WORDS_END as usize / 64];
    let class = regex_syntax::parse(WORD).map(Hir::into_kind);
    if let Ok(HirKind::Class(Class::Unicode(class))) = class {
        for range in class.ranges() {
            for c in range.start() as usize..=(range.end() as usize).min(WORDS_END as usize - 1) {
                bits[c / 64] |= 1 << (c % 64);
            }
        }
    }
    bits
});

/// Beyond there is no letter and no number.
const WORDS_END: u32 = 0x4_0000;

/// The runs of `least` or more word characters of an ASCII text.
fn ascii_words(text: &str, least: usize, each: &mut impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !ASCII[bytes[at] as usize] {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && ASCII[bytes[at] as usize] {
            at += 1;
        }
        if at - start >= least {
            each(text.get(start..at).unwrap_or_default());
        }
    }
}

/// The runs of `least` or more word characters.
fn words(text: &str, least: usize, each: &mut impl FnMut(&str)) {
    let bits = &*WORDS;
    let is_word = |c: char| match c.is_ascii() {
        true => ASCII[c as usize],
        false => bits.get(c as usize / 64).is_some_and(|bits| bits >> (c as usize % 64) & 1 == 1),
    };
    let (mut start, mut length) = (0, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if is_word(c) {
            if length == 0 {
                start = at;
            }
            length += 1;
        } else {
            if length >= least {
                each(text.get(start..at).unwrap_or_default());
            }
            length = 0;
        }
    }
}

/// For `\b\w\w+\b` and its like (any number of `\w`, the last with `+`): how many word characters a token has at least.
fn plain_words(pattern: &str) -> Option<usize> {
    let inner = pattern.strip_prefix("(?u)").unwrap_or(pattern).strip_prefix(r"\b")?.strip_suffix(r"+\b")?;
    let least = inner.len() / 2;
    (least > 0 && inner == r"\w".repeat(least)).then_some(least)
}

/// Rewrites Python's spelling into the regex crate's, escape by escape.
fn translate(pattern: &str) -> Translated {
    let mut out = Translated { pattern: String::with_capacity(pattern.len() * 2), boundaries: false };
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped) => escape(escaped, in_class, &mut out),
                None => out.pattern.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.pattern.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.pattern.push('^');
                }
                if let Some(first) = chars.next_if(|&first| first == ']' || first == '-') {
                    out.pattern.extend(['\\', first]);
                }
            }
            ']' if in_class => {
                in_class = false;
                out.pattern.push(']');
            }
            '[' | '&' | '~' if in_class => out.pattern.extend(['\\', c]),
            '-' if in_class && chars.next_if_eq(&'-').is_some() => out.pattern.push_str(r"-\-"),
            _ => out.pattern.push(c),
        }
    }
    out
}

fn escape(escaped: char, in_class: bool, out: &mut Translated) {
    match escaped {
        'w' => out.pattern.push_str(WORD),
        'W' => out.pattern.push_str(r"[^\p{L}\p{N}_]"),
        's' => out.pattern.push_str(r"[\s\x1c-\x1f]"),
        'S' => out.pattern.push_str(r"[^\s\x1c-\x1f]"),
        'Z' if !in_class => out.pattern.push_str(r"\z"),
        'b' if in_class => out.pattern.push_str(r"\x08"),
        '<' | '>' => out.pattern.push(escaped),
        ' ' => out.pattern.push_str(r"\x20"),
        other if !other.is_ascii() => out.pattern.push(other),
        other => {
            out.boundaries |= matches!(other, 'b' | 'B');
            out.pattern.extend(['\\', other]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pattern: &str, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        TokenPattern::new(pattern).unwrap().each_token(text, &mut |token| tokens.push(token.to_owned()));
        tokens
    }

    /// Answers of `re.findall` of Python 3.11 (Unicode 14).
    #[test]
    fn tokens_are_those_of_pythons_findall() {
        let text = "cafe\u{301}s x² a\u{200d}b Ⓐz हिन्दी ¼cup 𝟗a 東京 x_y don't";
        let words = ["cafe", "s", "x²", "a", "b", "z", "ह", "न", "द", "¼cup", "𝟗a", "東京", "x_y", "don", "t"];
        assert_eq!(found(r"\w+", text), words);
        assert_eq!(found(r"(?u)\b\w+\b", text), words);
        assert_eq!(found(r"\b(?:\w)+\b", text), words);
        assert_eq!(found(r"\b\w\w+\b", text), ["cafe", "x²", "¼cup", "𝟗a", "東京", "x_y", "don"]);
        assert_eq!(found(r"\b[a-z]+\b", text), ["cafe", "s", "a", "b", "z", "don", "t"]);
        assert_eq!(
            found(r"\b[^\d\W]+\b", text),
            ["cafe", "s", "x²", "a", "b", "z", "ह", "न", "द", "¼cup", "東京", "x_y", "don", "t"]
        );
        assert_eq!(found(r"\b\w[\w']+\b", text), ["cafe", "x²", "¼cup", "𝟗a", "東京", "x_y", "don't"]);
        assert_eq!(found(r"\b(\w)\w*\b", "ab² c"), ["a", "c"]);
        assert_eq!(found(r"\S+", "a\x1cb\u{a0}c"), ["a", "b", "c"]);
    }

    /// What the regex crate finds.
    fn matched(pattern: &TokenPattern, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        pattern.each_match(text, &mut |token| tokens.push(token.to_owned()));
        tokens
    }

    #[test]
    fn every_character_is_a_words_or_not_as_the_regex_crate_says() {
        let pattern = TokenPattern::new(r"\b\w+\b").unwrap();
        assert_eq!(pattern.least, Some(1));
        let all: String = ('\0'..=char::MAX).flat_map(|c| [c, ' ']).collect();
        let mut tokens = Vec::new();
        pattern.each_token(&all, &mut |token| tokens.push(token.to_owned()));
        assert!(tokens.len() > 100_000 && tokens == matched(&pattern, &all));
    }

    proptest! {
        #[test]
        fn plain_words_are_those_of_the_regex_crate(
            text in r"[ -~]{0,40}|([a-z_9 ]|[À-ʯ]|[\u{300}-\u{370}]|[٠-٩]|[①-Ⓩ]|[ก-๙]|[一-丁]|\PC|.){0,40}", least in 1_usize..4,
        ) {
            let pattern = TokenPattern::new(&format!(r"(?u)\b{}+\b", r"\w".repeat(least))).unwrap();
            let mut tokens = Vec::new();
            pattern.each_token(&text, &mut |token| tokens.push(token.to_owned()));
            prop_assert_eq!(tokens, matched(&pattern, &text));
        }
    }

    #[test]
    fn classes_are_read_literally() {
        assert_eq!(found(r"[[a]+", "[a]b"), ["[a"]);
        assert_eq!(found(r"[]x]+", "x]y"), ["x]"]);
        assert_eq!(found(r"[a&&b]+", "a&b c"), ["a&b"]);
        assert_eq!(found(r"[+--]+", "+,-."), ["+,-"]);
        assert_eq!(found(r"[--/]+", "-./0"), ["-./"]);
        assert_eq!(found(r"\<\w+\>", "<b> i"), ["<b>"]);
        assert_eq!(found(r"[\b]+|end\Z", "\u{8} end"), ["\u{8}", "end"]);
    }

    #[test]
    fn plain_words_need_no_boundaries() {
        assert_eq!(plain_words(r"(?u)\b\w\w+\b"), Some(2));
        assert_eq!(plain_words(r"\b\w+\b"), Some(1));
        for other in [r"\b+\b", r"\b\w+", r"\b\w\d+\b", r"\w+\b"] {
            assert_eq!(plain_words(other), None, "{other}");
        }
    }
}
