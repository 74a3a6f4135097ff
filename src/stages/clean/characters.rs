//! Which characters are not meant to be read, or are not those that were meant?

use std::borrow::Cow;

/// What windows-1252 has at 0x80 to 0x9F; `\0` where it has nothing.
const WINDOWS_1252: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// C1 controls become what windows-1252 has at their place: text that was read as Latin-1 and was not.
pub(super) fn repaired(text: &str) -> Cow<'_, str> {
    let meant = |c: char| {
        let place = u32::from(c).checked_sub(0x80)?;
        WINDOWS_1252.get(place as usize).copied().filter(|&meant| meant != '\0')
    };
    mapped(text, |c| meant(c).is_some(), |c, out| out.push(meant(c).unwrap_or(c)))
}

/// Without control characters; those that are white space (tab, line ends, U+0085) stay.
pub(super) fn without_controls(text: &str) -> Cow<'_, str> {
    mapped(text, is_control, |_, _| {})
}

/// With a space in the place of each control character that is not white space.
pub(super) fn spaces_for_controls(text: &str) -> Cow<'_, str> {
    mapped(text, is_control, |_, out| out.push(' '))
}

fn is_control(c: char) -> bool {
    c.is_control() && !c.is_whitespace()
}

/// Without characters that have no width, but for joiners that do something.
pub(super) fn without_zero_width(text: &str) -> Cow<'_, str> {
    if !text.contains(is_zero_width) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !is_zero_width(c) || joins(out.chars().next_back(), c, chars.peek().copied()) {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';

fn is_zero_width(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' // soft hyphen
        | '\u{61c}' // Arabic letter mark
        | '\u{180e}' // Mongolian vowel separator
        | '\u{200b}'..='\u{200f}' // zero-width space, the joiners, left-to-right and right-to-left marks
        | '\u{202a}'..='\u{202e}' // embeddings and overrides of direction
        | '\u{2060}'..='\u{2064}' // word joiner, invisible operators
        | '\u{2066}'..='\u{206f}' // isolates of direction, deprecated formats
        | '\u{feff}' // byte order mark
    )
}

/// Does a joiner do something between these two? The joiner does between emoji, and after a letter or mark of a script whose
/// letters join; the non-joiner between two of those.
fn joins(before: Option<char>, c: char, after: Option<char>) -> bool {
    let of = |neighbour: Option<char>, kind: fn(char) -> bool| neighbour.is_some_and(kind);
    match c {
        JOINER => (of(before, is_emoji) && of(after, is_emoji)) || of(before, is_joining),
        NON_JOINER => of(before, is_joining) && of(after, is_joining),
        _ => false,
    }
}

/// Emoji and what may stand at their end: a variation selector, a skin tone.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{21ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Scripts in which joiners choose the form of letters: Arabic and its neighbours, those of India and Sri Lanka, Tibetan, Burmese,
/// Khmer, Mongolian.
fn is_joining(c: char) -> bool {
    matches!(
        c,
        '\u{600}'..='\u{8ff}'
            | '\u{900}'..='\u{dff}'
            | '\u{f00}'..='\u{109f}'
            | '\u{1780}'..='\u{18af}'
            | '\u{a840}'..='\u{a8ff}'
            | '\u{fb50}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefe}'
            | '\u{11000}'..='\u{11fff}'
    )
}

/// Unicode's full case folding (CaseFolding.txt, C and F): what lower case makes of upper case, but for two exceptions.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // folds to itself, though its upper case is `I`
            'ı' => out.push(c),
            // Cherokee folds to upper case
            '\u{13a0}'..='\u{13fd}' | '\u{ab70}'..='\u{abbf}' => out.extend(c.to_uppercase()),
            _ => out.extend(c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)),
        }
    }
    Cow::Owned(out)
}

fn mapped(text: &str, wanted: impl Fn(char) -> bool, put: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&wanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if wanted(c) { put(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_what_was_meant() {
        assert_eq!(repaired("it\u{92}s \u{80}5 \u{81}"), "it’s €5 \u{81}");
        assert!(matches!(repaired("ü"), Cow::Borrowed(_)));
        assert_eq!(without_controls("a\0b\tc\u{85}\n\u{1f}\u{9d}d"), "ab\tc\u{85}\nd");
        assert_eq!(spaces_for_controls("a\0b\r\n"), "a b\r\n");
    }

    #[test]
    fn joiners_stay_where_they_join() {
        assert_eq!(without_zero_width("\u{feff}a\u{200b}b\u{ad}c\u{200d}d\u{200c}"), "abcd");
        for kept in [
            "👩\u{200d}🔬",
            "🏳\u{fe0f}\u{200d}🌈",
            "🤷🏽\u{200d}♀\u{fe0f}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ක්\u{200d}ය",
        ] {
            assert_eq!(without_zero_width(kept), kept);
        }
        assert_eq!(without_zero_width("می\u{200c} x\u{200d}🔬"), "می x🔬");
    }

    #[test]
    fn folding_is_unicodes() {
        assert_eq!(folded("Straße ΣΊΣΥΦΟΣ ﬁ ŉ İı ᏸꭰ ſ"), "strasse σίσυφοσ fi ʼn i\u{307}ı ᏰᎠ s");
        assert_eq!(folded("ABC"), "abc");
    }
}
