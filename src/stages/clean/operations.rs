//! Which operations are on, in which order, and what does each do to a text?

use std::borrow::Cow;

use regex::Regex;
use unicode_normalization::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use super::params::{Case, Control, Entities, Html, Mask, Mojibake, Params, Replace, Unicode, Whitespace, ZeroWidth};
use super::{characters, html};
use crate::problem::Problems;
use crate::stage::Scope;

/// An operation that is on.
pub(super) struct Operation {
    /// The parameter that turned it on.
    pub(super) name: &'static str,
    run: Run,
}

/// What a text becomes, and how many of its characters were touched, where the operation knows.
type Run = Box<dyn for<'t> Fn(&'t str) -> (Cow<'t, str>, Option<u64>) + Send + Sync>;

/// How far an operation changed a text: its place in the order, and the characters it touched.
pub(super) type Touched = (usize, u64);

/// What masks look for, in their order: parameter, name of the count, pattern, usual word.
const MASKS: [(&str, &str, &str, &str); 4] = [
    ("url", "mask_url", r#"(?i)\b(?:(?:https?|ftp)://|www\.)[^\s<>"]*[^\s<>"'.,;:!?)\]}…]"#, "<url>"),
    ("email", "mask_email", r"(?i)\b[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b", "<email>"),
    ("user", "mask_user", r"(?P<before>^|[^\w@])@\w+", "<user>"),
    ("number", "mask_number", r"\b\d+(?:[.,:/-]\d+)*\b", "<number>"),
];

/// The operations in their order; patterns that cannot be read are complained of.
pub(super) fn operations(params: &Params, at: &Scope<'_>) -> Result<Vec<Operation>, Problems> {
    let mut problems = Problems::default();
    let mut all: Vec<Operation> = Vec::new();
    let mut add = |name: &'static str, run: Run| all.push(Operation { name, run });
    if params.mojibake == Mojibake::Repair {
        add("mojibake", whole(characters::repaired));
    }
    if params.html == Html::Strip {
        add("html", whole(html::strip));
    }
    if params.entities == Entities::Unescape {
        add("entities", whole(html::unescape));
    }
    match params.unicode {
        Unicode::None => {}
        Unicode::Nfc => add("unicode", whole(|text| normal(text, is_nfc_quick(text.chars()), text.nfc()))),
        Unicode::Nfkc => add("unicode", whole(|text| normal(text, is_nfkc_quick(text.chars()), text.nfkc()))),
        Unicode::Nfd => add("unicode", whole(|text| normal(text, is_nfd_quick(text.chars()), text.nfd()))),
        Unicode::Nfkd => add("unicode", whole(|text| normal(text, is_nfkd_quick(text.chars()), text.nfkd()))),
    }
    match params.control {
        Control::Keep => {}
        Control::Remove => add("control", whole(characters::without_controls)),
        Control::Space => add("control", whole(characters::spaces_for_controls)),
    }
    if params.zero_width == ZeroWidth::Remove {
        add("zero_width", whole(characters::without_zero_width));
    }
    match params.case {
        Case::Keep => {}
        Case::Lower => add("case", whole(|text| Cow::Owned(text.to_lowercase()))),
        Case::Fold => add("case", whole(characters::folded)),
    }
    let given = [&params.mask.url, &params.mask.email, &params.mask.user, &params.mask.number];
    for ((param, name, pattern, usual), mask) in MASKS.into_iter().zip(given) {
        let with = match mask {
            None | Some(Mask::Usual(false)) => continue,
            Some(Mask::Usual(true)) => usual,
            Some(Mask::Text(text)) => text.as_str(),
        };
        match Regex::new(pattern) {
            Ok(regex) => add(name, masking(regex, with)),
            Err(error) => problems.push(at.problem("invalid-param", &["mask", param], error.to_string())),
        }
    }
    let mut replacements = Vec::new();
    for (place, replace) in params.replace.iter().enumerate() {
        match compiled(replace, place, at) {
            Ok(regex) => replacements.push((regex, replace.with.clone())),
            Err(more) => problems.0.extend(more.0),
        }
    }
    if !replacements.is_empty() {
        add("replace", Box::new(move |text| replaced(text, &replacements)));
    }
    match params.whitespace {
        Whitespace::Keep => {}
        Whitespace::Trim => add("whitespace", whole(|text| Cow::Owned(text.trim().to_owned()))),
        Whitespace::Collapse => {
            add("whitespace", whole(|text| Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "))));
        }
    }
    if problems.0.is_empty() { Ok(all) } else { Err(problems) }
}

/// Does all operations to a text, one after the other.
pub(super) fn apply(operations: &[Operation], text: &str) -> (String, Vec<Touched>) {
    let mut text = text.to_owned();
    let mut touched = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        let (new, characters) = (operation.run)(&text);
        if let Cow::Owned(new) = new
            && new != text
        {
            touched.push((place, characters.unwrap_or_else(|| changed(&text, &new)).max(1)));
            text = new;
        }
    }
    (text, touched)
}

/// How many characters of `before` are not as they were: where `after` is as long, those that differ; where it only lacks some,
/// those; else all from the first to the last that differs. At least one.
pub(super) fn changed(before: &str, after: &str) -> u64 {
    let (long, other) = (before.chars().count(), after.chars().count());
    let touched = match () {
        () if long == other => before.chars().zip(after.chars()).filter(|(a, b)| a != b).count(),
        () if long > other && is_within(after, before) => long - other,
        () => {
            let front = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
            let back = before.chars().rev().zip(after.chars().rev()).take_while(|(a, b)| a == b).count();
            long - (front + back).min(long).min(other)
        }
    };
    (touched as u64).max(1)
}

/// Are the characters of `part` in `whole`, in their order?
fn is_within(part: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    part.chars().all(|c| rest.any(|other| other == c))
}

fn whole(run: fn(&str) -> Cow<'_, str>) -> Run {
    Box::new(move |text| (run(text), None))
}

/// A text in a normal form, unless a look at its characters tells that it has it.
fn normal(text: &str, has_it: IsNormalized, form: impl Iterator<Item = char>) -> Cow<'_, str> {
    if has_it == IsNormalized::Yes { Cow::Borrowed(text) } else { Cow::Owned(form.collect()) }
}

/// Puts `with` where the pattern is found, after what its group `before` holds.
fn masking(regex: Regex, with: &str) -> Run {
    let with = with.to_owned();
    Box::new(move |text| {
        let mut characters = 0;
        let masked = regex.replace_all(text, |found: &regex::Captures<'_>| {
            let before = found.name("before").map_or("", |before| before.as_str());
            characters += (found[0].chars().count() - before.chars().count()) as u64;
            format!("{before}{with}")
        });
        (masked, Some(characters))
    })
}

fn replaced<'t>(text: &'t str, replacements: &[(Regex, String)]) -> (Cow<'t, str>, Option<u64>) {
    let mut text = Cow::Borrowed(text);
    let mut characters = 0;
    for (regex, with) in replacements {
        let new = regex.replace_all(&text, |found: &regex::Captures<'_>| {
            characters += found[0].chars().count() as u64;
            let mut new = String::new();
            found.expand(with, &mut new);
            new
        });
        if let Cow::Owned(new) = new {
            text = Cow::Owned(new);
        }
    }
    (text, Some(characters))
}

/// The pattern of a replacement, if it can be read and has the groups that the replacement names.
fn compiled(replace: &Replace, place: usize, at: &Scope<'_>) -> Result<Regex, Problems> {
    let place = place.to_string();
    let regex = Regex::new(&replace.pattern).map_err(|error| {
        let message = format!("`{}` is no regular expression", replace.pattern);
        let problem = at.problem("invalid-param", &["replace", &place, "pattern"], message);
        // the regex crate draws several lines; the last one says what is wrong
        match error.to_string().lines().last() {
            Some(line) => Problems::from(problem.because(line.trim().trim_start_matches("error: "))),
            None => problem.into(),
        }
    })?;
    match stranger(&replace.with, &regex) {
        None => Ok(regex),
        Some(group) => {
            let message = format!("`{}` has no group `{group}`", replace.pattern);
            let problem = at.problem("invalid-param", &["replace", &place, "with"], message);
            Err(problem.help("write `$$` for a dollar sign, and `${1}x` for a group before a letter").into())
        }
    }
}

/// A group that a replacement names and the pattern lacks.
fn stranger<'w>(with: &'w str, regex: &Regex) -> Option<&'w str> {
    let mut rest = with;
    while let Some(dollar) = rest.find('$') {
        rest = rest.get(dollar + 1..)?;
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let group = match rest.strip_prefix('{') {
            Some(braced) => braced.get(..braced.find('}')?)?,
            None => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                rest.get(..end)?
            }
        };
        let known = match group.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => group.is_empty() || regex.capture_names().flatten().any(|name| name == group),
        };
        if !known {
            return Some(group);
        }
    }
    None
}
