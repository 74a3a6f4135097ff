//! How are rows read from lines of JSON objects?

use serde_json::{Map, Value};

use super::rows::{At, Collector, Next, Row, Seen};
use super::wanted::{Takes, no_column};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Reads a file's rows.
pub(super) fn read(file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let mut lines = rows.open(file)?;
    let mut seen = Seen { rows: 0, next: Next::Read };
    while lines.next()? {
        let text = lines.text();
        if text.trim().is_empty() {
            rows.counts.blank += 1;
            continue;
        }
        seen.rows += 1;
        if !lines.wrong.is_empty() {
            rows.looks_like(lines.looks());
        }
        let at = At { source: &file.source, unit: "line", number: lines.line };
        let show = || text.to_owned();
        seen.next = match cells(at, text, rows)? {
            Ok(cells) => {
                let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
                rows.take(&Row { at, cells: &cells, show: &show, wrong: &lines.wrong })?
            }
            Err(error) => rows.refuse(error)?,
        };
        if seen.next == Next::Stop {
            break;
        }
    }
    Ok(seen)
}

type Cells = Vec<Option<String>>;

/// The cells of a line's wanted columns; inside, what is wrong with the line.
fn cells(at: At<'_>, text: &str, rows: &mut Collector<'_>) -> Result<Result<Cells, StageError>, StageError> {
    let object: Map<String, Value> = match serde_json::from_str(text) {
        Ok(object) => object,
        Err(error) => {
            let message = format!("it is not a JSON object ({error})");
            let help = "each line must hold one whole object: `{\"text\": \"…\", \"label\": \"…\"}`";
            return Ok(Err(at.error(None, &message, text).help(help)));
        }
    };
    let has = || object.keys().cloned().collect::<Vec<String>>();
    if rows.wanted.all {
        rows.find(at.source, &has())?;
    }
    let mut cells: Cells = Vec::with_capacity(rows.wanted.columns.len());
    for (column, (name, param)) in rows.wanted.columns.iter().enumerate() {
        let value = match object.get(name) {
            Some(value) => value,
            None if rows.wanted.may_lack(column) => &Value::Null,
            None => return Ok(Err(no_column(&format!("{}`, line `{}", at.source, at.number), name, &has(), param))),
        };
        if let Some(is_text) = rows.is_text.get_mut(column) {
            *is_text = value.is_string();
        }
        match cell(value, rows.wanted.takes(column)) {
            Ok(cell) => cells.push(cell),
            Err(message) => return Ok(Err(at.error(Some(name), &message, text))),
        }
    }
    Ok(Ok(cells))
}

/// A cell as text, where its column takes it.
pub(super) fn cell(value: &Value, takes: Takes) -> Result<Option<String>, String> {
    let what = match (value, takes) {
        (Value::Null, _) => return Ok(None),
        (Value::String(text), _) => return Ok(Some(text.clone())),
        (Value::Number(_) | Value::Bool(_), Takes::Values | Takes::Lists) => return Ok(Some(value.to_string())),
        (Value::Array(_), Takes::Lists) => return Ok(Some(value.to_string())),
        (Value::Number(_), _) => "a number",
        (Value::Bool(_), _) => "true or false",
        (Value::Array(_), _) => "a list",
        (Value::Object(_), _) => "an object",
    };
    Err(format!("a text is wanted, but it holds {what}"))
}
