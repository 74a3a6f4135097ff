//! How are rows read from lines of JSON objects?

use serde_json::Map;

use super::pointer::{Cell, Strict, column_of};
use super::rows::{At, Collector, Next, Row, Seen};
use super::wanted::{late_column, no_column};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Reads a file's rows.
pub(super) fn read(file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let mut lines = rows.open(file)?;
    let mut seen = Seen { rows: 0, next: Next::Read };
    while lines.next()? {
        let text = lines.text();
        if text.trim().is_empty() {
            rows.blank()?;
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
                rows.take(&Row { at, cells: &cells, show: &show, wrong: &lines.wrong, sentence: None })?
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
    let wrong = match serde_json::from_str(text) {
        Ok(Strict(row)) if row.is_object() => Ok(row),
        Ok(_) => Err("it is not a JSON object".to_owned()),
        Err(error) => Err(format!("it is not a JSON object ({error})")),
    };
    let row = match wrong {
        Ok(row) => row,
        Err(message) => {
            let help = "each line must hold one whole object: `{\"text\": \"…\", \"label\": \"…\"}`";
            return Ok(Err(at.error(None, &message, text).help(help)));
        }
    };
    let has = || row.as_object().into_iter().flat_map(Map::keys).cloned().collect::<Vec<String>>();
    if rows.wanted.all {
        rows.find(at.source, &has())?;
    }
    if let Some(new) = rows.wanted.new_column(row.as_object().into_iter().flat_map(Map::keys)) {
        return Ok(Err(late_column(at, new, text)));
    }
    let mut cells: Cells = Vec::with_capacity(rows.wanted.columns.len());
    for (column, (name, param)) in rows.wanted.columns.iter().enumerate() {
        let found = match column_of(&row, name, rows.wanted.takes(column)) {
            Some(found) => found,
            None if rows.wanted.may_lack(column) => Ok(Cell::default()),
            None => return Ok(Err(no_column(&format!("{}`, line `{}", at.source, at.number), name, &has(), param))),
        };
        match found {
            Ok(cell) => {
                if let Some(is_text) = rows.is_text.get_mut(column) {
                    *is_text = cell.is_text;
                }
                cells.push(cell.value);
            }
            Err(message) => return Ok(Err(at.error(Some(name), &message, text))),
        }
    }
    Ok(Ok(cells))
}
