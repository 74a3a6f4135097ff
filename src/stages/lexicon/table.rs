//! What stands in a lexicon's file? A word and its number on each line; or an emoji and the words that it is read as.

use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::Format;
use crate::ml::Valences;
use crate::stage::StageError;

/// A file's bytes as text; an error that names the first line that the encoding cannot read.
pub(super) fn decoded(bytes: &[u8], encoding: &'static Encoding) -> Result<String, StageError> {
    let (text, malformed) = encoding.decode_with_bom_removal(bytes);
    if !malformed {
        return Ok(text.into_owned());
    }
    let line = bytes.split(|&byte| byte == b'\n').position(|line| encoding.decode_without_bom_handling(line).1);
    let name = encoding.name();
    let place = line.map_or_else(String::new, |line| format!("line {} of ", line + 1));
    let error = StageError::failed(format!("{place}the lexicon is not {name}"));
    Err(error.help("say what it is, for instance `encoding: windows-1252`"))
}

/// The words and their numbers.
pub(super) fn valences(text: &str, format: Format) -> Result<Valences, StageError> {
    let mut entries = Vec::new();
    match format {
        Format::Tsv => {
            for (line, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
                let mut cells = row.trim().split('\t');
                entries.push(entry(line + 1, cells.next(), cells.next(), row)?);
            }
        }
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            for record in reader.records() {
                let record =
                    record.map_err(|error| StageError::failed("the lexicon is no CSV").because(error.to_string()))?;
                let line = record.position().map_or(0, |at| at.line() as usize);
                let shown = record.iter().collect::<Vec<_>>().join(",");
                entries.push(entry(line, record.get(0), record.get(1), &shown)?);
            }
        }
    }
    match entries.is_empty() {
        true => Err(StageError::failed("the lexicon is empty")),
        false => Ok(Valences::new(entries)),
    }
}

fn entry(line: usize, word: Option<&str>, number: Option<&str>, shown: &str) -> Result<(String, f64), StageError> {
    let word = word.unwrap_or_default();
    let number = number.map(str::trim).unwrap_or_default();
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() && !word.is_empty() => Ok((word.to_owned(), number)),
        _ => {
            let shown: String = shown.chars().take(80).collect();
            let error = StageError::failed(format!("line {line} of the lexicon is no word with a number: `{shown}`"));
            Err(error.help(match line {
                1 => "a lexicon has no header; take the line out, or choose the right `format`",
                _ => "each line must hold a word and a number; `format` says what divides them",
            }))
        }
    }
}

/// Emoji and their words. Longer sequences are left out: they are never found.
pub(super) fn emoji(text: &str) -> Result<BTreeMap<char, String>, StageError> {
    let mut all = BTreeMap::new();
    for (line, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let Some((emoji, rest)) = row.trim().split_once('\t') else {
            let error = StageError::failed(format!("line {} of the emoji has no tab", line + 1));
            return Err(error.help("each line must hold an emoji, a tab, and words"));
        };
        let words = rest.split('\t').next().unwrap_or_default();
        let mut chars = emoji.chars();
        if let (Some(only), None) = (chars.next(), chars.next()) {
            all.insert(only, words.to_owned());
        }
    }
    Ok(all)
}
