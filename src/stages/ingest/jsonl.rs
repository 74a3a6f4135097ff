//! How are rows read from lines of JSON objects?

use serde_json::{Map, Value};

use super::lines::Lines;
use super::rows::{At, Collector, Next, no_column};
use crate::stage::StageError;

/// Reads a file's rows.
pub(super) fn read(mut lines: Lines, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let source = lines.source.clone();
    let mut line = Vec::new();
    while lines.next(&mut line)? {
        let at = At { source: &source, unit: "line", number: lines.line };
        let text = std::str::from_utf8(&line).map_err(|error| {
            at.error(None, &format!("byte {} is not UTF-8", error.valid_up_to() + 1), &String::from_utf8_lossy(&line))
                .help("write the file anew as UTF-8, for instance with `iconv -f latin1 -t utf8`")
        })?;
        if text.trim().is_empty() {
            rows.blank += 1;
            continue;
        }
        let object: Map<String, Value> = match serde_json::from_str(text) {
            Ok(object) => object,
            Err(error) => {
                let message = format!("it is not a JSON object ({error})");
                let help = "each line must hold one whole object: `{\"text\": \"…\", \"label\": \"…\"}`";
                if rows.refuse(at.error(None, &message, text).help(help))? == Next::Stop {
                    return Ok(Next::Stop);
                }
                continue;
            }
        };
        let mut cells: Vec<Option<String>> = Vec::with_capacity(rows.wanted.columns.len());
        for (column, (name, param)) in rows.wanted.columns.iter().enumerate() {
            let Some(value) = object.get(name) else {
                let has: Vec<String> = object.keys().cloned().collect();
                return Err(no_column(&format!("{source}`, line `{}", lines.line), name, &has, param));
            };
            let is_text = rows.wanted.text.contains(&column);
            cells.push(cell(value, is_text).map_err(|message| at.error(Some(name), &message, text))?);
        }
        let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
        if rows.push(at, &cells, &|| text.to_owned())? == Next::Stop {
            return Ok(Next::Stop);
        }
    }
    Ok(Next::Read)
}

fn cell(value: &Value, is_text: bool) -> Result<Option<String>, String> {
    let what = match value {
        Value::Null => return Ok(None),
        Value::String(text) => return Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) if !is_text => return Ok(Some(value.to_string())),
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Err(format!("a text is wanted, but it holds {what}"))
}
