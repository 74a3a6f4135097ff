//! Where does a row stand, and how is it shown?

use std::borrow::Cow;

use super::encoding::{Found, Wrong, name};
use crate::stage::StageError;

/// How many characters of a bad row are shown.
const SHOWN: usize = 160;
/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// The file, as the pipeline names it.
    pub(super) source: &'a str,
    /// `line` or `row`.
    pub(super) unit: &'static str,
    /// From 1.
    pub(super) number: u64,
}

impl At<'_> {
    /// An error about a row, which it shows.
    pub(super) fn error(&self, column: Option<&str>, message: &str, row: &str) -> StageError {
        let At { source, unit, number } = self;
        let place = match column {
            Some(column) => format!("`{source}`, {unit} {number}, column `{column}`"),
            None => format!("`{source}`, {unit} {number}"),
        };
        StageError::failed(format!("{place}: {message}")).because(format!("the row is: {}", shown(row)))
    }
}

/// A row for a message: cut, its control characters visible.
pub(super) fn shown(row: &str) -> String {
    let mut text: String = row
        .chars()
        .take(SHOWN)
        .flat_map(|c| {
            let visible = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            visible.chars().collect::<Vec<_>>()
        })
        .collect();
    if row.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// A text file that is being read.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) source: String,
    pub(super) found: Found,
    /// What its bytes that are no text look like.
    pub(super) looks: Option<&'static encoding_rs::Encoding>,
}

/// The part of a long row that its first replaced byte stands in.
fn around(row: &str) -> Cow<'_, str> {
    let before = row.split(char::REPLACEMENT_CHARACTER).next().map_or(0, |before| before.chars().count());
    match before.checked_sub(SHOWN / 2) {
        Some(cut) if cut > 0 => Cow::Owned(std::iter::once('…').chain(row.chars().skip(cut)).collect()),
        _ => Cow::Borrowed(row),
    }
}

/// An error about bytes that are no text.
pub(super) fn undecodable(at: At<'_>, wrong: &Wrong, row: &str, file: Option<&Opened>) -> StageError {
    let encoding = file.map_or("text".to_owned(), |file| name(file.found.encoding));
    let what = format!("{wrong} is not {encoding}");
    let at = At { unit: "line", number: wrong.line, ..at };
    let error = at.error(None, &format!("byte {}: {what}", wrong.column), &around(row));
    match file.and_then(|file| file.looks).filter(|looks| name(looks) != encoding) {
        Some(looks) => {
            let looks = name(looks);
            error.help(format!("the file looks like {looks}: set `encoding: {looks}`, or `encoding: auto`"))
        }
        None => error,
    }
    .help("to keep such rows, set `encoding_errors: replace`; to leave them out, `skip`")
}
