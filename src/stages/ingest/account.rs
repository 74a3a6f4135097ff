//! What is said of the rows that were read?

use encoding_rs::UTF_8;
use serde_json::{Value, json};

use super::encoding::{Why, name};
use super::rows::{Collector, Seen};
use crate::stage::{Account, Conclusion, StageError};

/// What the readers met, file by file.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) files: Vec<(String, Seen)>,
    /// True if a limit ended the reading of some file.
    pub(super) stopped: bool,
}

/// The account of all rows; an error if none came out.
pub(super) fn account(rows: &Collector<'_>, reading: &Reading) -> Result<Account, StageError> {
    let counts = &rows.counts;
    if counts.kept == 0 {
        return Err(no_rows(rows, reading));
    }
    let read: u64 = reading.files.iter().map(|(_, seen)| seen.rows).sum();
    let left_out = [
        ("dropped by their label", counts.dropped),
        ("skipped", counts.skipped),
        ("not in the sample", counts.undrawn),
    ];
    let inputs: Vec<Value> =
        reading.files.iter().map(|(source, seen)| json!({ "source": source, "rows": seen.rows })).collect();
    let told = Conclusion::default()
        .fact("inputs", inputs)
        .fact("rows", counts.kept)
        .fact("rows_read", read)
        .fact("rows_dropped", counts.dropped)
        .fact("rows_skipped", counts.skipped)
        .fact("blank_lines", counts.blank)
        .fact("stopped_at_limit", reading.stopped);
    let conclusion = left_out_rows(texts(encodings(told, rows), rows, reading), rows);
    Ok(Account { read, left_out: left_out.into(), conclusion })
}

fn no_rows(rows: &Collector<'_>, reading: &Reading) -> StageError {
    let named = reading.files.iter().map(|(source, _)| format!("`{source}`")).collect::<Vec<_>>().join(", ");
    let counts = &rows.counts;
    match (counts.dropped, counts.skipped) {
        (0, 0) => StageError::failed(format!("{named} has no rows"))
            .help("a `csv` or `tsv` file with a header alone has none; without a header, set `header: false`"),
        (dropped, 0) => StageError::failed(format!("all {dropped} rows of {named} are dropped by `drop`")),
        (dropped, skipped) => {
            let all = dropped + skipped;
            let error = StageError::failed(format!("all {all} rows of {named} are left out: {skipped} cannot be read"));
            let first = rows.skipped.first().and_then(|row| row.get("what")).and_then(Value::as_str);
            first.into_iter().fold(error, |error, what| error.because(what))
        }
    }
}

fn texts(mut told: Conclusion, rows: &Collector<'_>, reading: &Reading) -> Conclusion {
    let counts = &rows.counts;
    for (source, _) in reading.files.iter().filter(|(_, seen)| seen.rows == 0 && !reading.stopped) {
        told = told.warn(format!("`{source}` has no rows"));
    }
    if counts.comments > 0 {
        told = told.fact("comment_lines", counts.comments);
    }
    if counts.unlabelled > 0 {
        let warning = format!("{} rows have no label", counts.unlabelled);
        told = told.fact("rows_without_label", counts.unlabelled).warn(warning);
    }
    if counts.empty > 0 {
        told = told.fact("empty_texts", counts.empty).warn(format!("{} texts are empty", counts.empty));
    }
    told
}

fn encodings(mut told: Conclusion, rows: &Collector<'_>) -> Conclusion {
    let mut others: Vec<Value> = Vec::new();
    for file in &rows.encodings {
        let (encoding, why) = (name(file.found.encoding), file.found.why);
        if why != Why::Declared || file.found.encoding != UTF_8 {
            others.push(json!({ "source": file.source, "encoding": encoding, "known_by": why.as_str() }));
        }
        if matches!(why, Why::Likely | Why::Guessed) {
            let source = &file.source;
            told = told.warn(format!("`{source}` is read as {encoding} ({}, by its bytes)", why.as_str()));
        }
    }
    if !others.is_empty() {
        told = told.fact("encodings", others);
    }
    if rows.counts.replaced > 0 {
        let replaced = rows.counts.replaced;
        told = told.fact("replaced_bytes", replaced).fact("replaced_first", rows.replaced.clone());
        told = told.warn(match replaced {
            1 => "1 byte is no text and was replaced by U+FFFD".to_owned(),
            _ => format!("{replaced} bytes are no text and were replaced by U+FFFD"),
        });
    }
    told
}

fn left_out_rows(mut told: Conclusion, rows: &Collector<'_>) -> Conclusion {
    let counts = &rows.counts;
    if counts.undrawn > 0 {
        told = told.fact("rows_not_in_sample", counts.undrawn);
    }
    if counts.skipped > 0 {
        let first = rows.skipped.first().and_then(|row| row.get("what")).and_then(Value::as_str).unwrap_or_default();
        let warning = format!("{} rows cannot be read and were left out; the first: {first}", counts.skipped);
        told = told.fact("skipped_first", rows.skipped.clone()).warn(warning);
    }
    told
}
