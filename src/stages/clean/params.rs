//! What may be done with texts?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::near;

/// What to do with texts. All operations are off unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// `repair` reads the control characters U+0080 to U+009F as windows-1252 has them (U+0092 becomes ’), where it has any: they
    /// come of text that was taken for Latin-1. U+0085, elsewhere a line end, becomes … then.
    pub mojibake: Mojibake,
    /// `strip` drops tags, comments and the contents of `script` and `style`, decodes entities once, and leaves a space where a
    /// block tag or a line break stood. A `<` that opens no tag stays.
    pub html: Html,
    /// `unescape` decodes HTML's entities, once (`&amp;lt;` becomes `&lt;`), and leaves tags. `html: strip` does so too.
    pub entities: Entities,
    /// The Unicode normal form to bring texts to.
    pub unicode: Unicode,
    /// Control characters (U+0000 to U+001F, U+007F to U+009F) but for those that are white space: tab, line feed, vertical tab, form
    /// feed, carriage return and U+0085 stay for `whitespace`.
    pub control: Control,
    /// `remove` drops characters without width: U+00AD (soft hyphen), U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060 to
    /// U+2064, U+2066 to U+206F and U+FEFF. The joiner U+200D stays between emoji and after letters and marks of scripts that join
    /// (Arabic and its neighbours, those of India and Sri Lanka, Tibetan, Burmese, Khmer, Mongolian), the non-joiner U+200C
    /// between two such.
    pub zero_width: ZeroWidth,
    /// The letter case to bring texts to.
    pub case: Case,
    /// What to put in the place of addresses and numbers.
    pub mask: Masks,
    /// Regular expressions and what to put in the place of their matches, one after the other.
    pub replace: Vec<Replace>,
    /// `trim` cuts white space at both ends; `collapse` also makes each run of white space one space.
    pub whitespace: Whitespace,
    /// Drop rows whose text has nothing but white space after cleaning.
    pub drop_empty: bool,
    /// Drop rows whose text is too short or too long after cleaning.
    pub length: Length,
    /// `drop` keeps only one of the rows whose cleaned texts are equal, within each split and fold that the data gives, so that no
    /// held-out row decides what is trained on: the first, unless `conflicts` says otherwise. Texts that had different labels are
    /// counted and warned of.
    pub duplicates: Duplicates,
    /// Keep only one of the rows whose cleaned texts are nearly the same (equal ones are), within each split and fold. Texts are
    /// compared in lower case by their words alone.
    pub near_duplicates: Option<NearDuplicates>,
    /// What becomes of equal, or nearly equal, texts that have different labels.
    pub conflicts: Conflicts,
}

/// What to do with wrongly read characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Mojibake {
    /// Leave them.
    #[default]
    Keep,
    /// Make them what was meant.
    Repair,
}

/// What to do with markup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Html {
    /// Leave it.
    #[default]
    Keep,
    /// Keep the text alone.
    Strip,
}

/// What to do with entities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Entities {
    /// Leave them.
    #[default]
    Keep,
    /// Make them the characters that they name.
    Unescape,
}

/// A Unicode normal form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Unicode {
    /// As it is.
    #[default]
    None,
    /// Composed.
    Nfc,
    /// Composed, with compatibility characters replaced.
    Nfkc,
    /// Decomposed.
    Nfd,
    /// Decomposed, with compatibility characters replaced.
    Nfkd,
}

/// What to do with control characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Control {
    /// Leave them.
    #[default]
    Keep,
    /// Drop them.
    Remove,
    /// Put a space in the place of each.
    Space,
}

/// What to do with characters without width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum ZeroWidth {
    /// Leave them.
    #[default]
    Keep,
    /// Drop them.
    Remove,
}

/// What to do with letter case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Case {
    /// Leave it.
    #[default]
    Keep,
    /// Lower-case, by Unicode's rules without a language.
    Lower,
    /// Unicode's full case folding: ß becomes ss, ς becomes σ.
    Fold,
}

/// What to put in the place of addresses and numbers: text of one's own, or `true` for the word that is named. They are looked for in
/// this order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Masks {
    /// Addresses of the web, `<url>`: `(?i)\b(?:(?:https?|ftp)://|www\.)[^\s<>"]*[^\s<>"'.,;:!?)\]}…]`.
    pub url: Option<Mask>,
    /// Addresses of mail, `<email>`: `(?i)\b[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b`.
    pub email: Option<Mask>,
    /// Names of users, `<user>`: `@\w+` that no letter, digit, `_` or `@` stands before.
    pub user: Option<Mask>,
    /// Numbers, `<number>`: `\b\d+(?:[.,:/-]\d+)*\b`, so also a price, a time or a date; not the digits of `3rd` or `b2b`.
    pub number: Option<Mask>,
}

/// What to put in a place: text, or the usual word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::stages) enum Mask {
    /// The usual word, or none.
    Usual(bool),
    /// This text.
    Text(String),
}

/// A regular expression and what to put in the place of its matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::stages) struct Replace {
    /// A regular expression of the regex crate: without look-around and back-references; `(?i)` at its start ignores case.
    #[schemars(length(min = 1))]
    pub pattern: String,
    /// What to put there; `$1` or `${name}` stands for a group, `$$` for a dollar.
    pub with: String,
}

/// What to do with white space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Whitespace {
    /// Leave it.
    #[default]
    Keep,
    /// One space for each run, none at the ends.
    Collapse,
    /// None at the ends.
    Trim,
}

/// How long a text may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Length {
    /// The least.
    pub min: Option<usize>,
    /// The most.
    pub max: Option<usize>,
    /// What is counted.
    pub unit: Measure,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Measure {
    /// Characters (Unicode scalar values).
    #[default]
    Characters,
    /// Words: what white space divides.
    Words,
}

/// What to do with rows of equal text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Duplicates {
    /// Leave them.
    #[default]
    Keep,
    /// Keep one.
    Drop,
}

/// When texts are nearly the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct NearDuplicates {
    /// The least share of common shingles, runs of four characters, in all shingles of two texts (Jaccard's similarity), above 0
    /// and at most 1. It is computed on the texts themselves, for pairs that MinHash finds (98 in 100 of those just at the
    /// threshold, nearly all above). Texts that are joined through others are one group.
    pub threshold: f64,
}

impl Default for NearDuplicates {
    fn default() -> Self {
        NearDuplicates { threshold: near::THRESHOLD }
    }
}

/// What becomes of one text with different labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Conflicts {
    /// The first row stays.
    #[default]
    KeepFirst,
    /// None stays.
    DropAll,
    /// The first row of the most common label stays; of equally common ones, that which came first.
    Majority,
    /// The stage fails, and names the rows.
    Fail,
}
