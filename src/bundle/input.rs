//! How do new rows come in? One by one, from lines, JSON lines, CSV or Parquet.
//!
//! Nothing is left out in silence: a row that cannot be read is an error that names its place. An empty line is a text like any
//! other; in JSON lines, lines with nothing on them are no rows.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::Value;

use super::{Bundle, BundleError, Row};
use crate::problem::suggest;
use crate::table::Batches;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One text a line.
    Lines,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
    /// Parquet.
    Parquet,
}

impl Format {
    /// What a file's name tells; lines where it tells nothing.
    pub fn of_name(path: &Path) -> Format {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson") => Format::Jsonl,
            Some("csv") => Format::Csv,
            Some("parquet") => Format::Parquet,
            _ => Format::Lines,
        }
    }
}

/// Which columns a row is made from.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those of the text, joined by a newline.
    pub text: Vec<String>,
    /// That of the id; without it, ids are empty.
    pub id: Option<String>,
    /// Those that stages read.
    pub columns: Vec<String>,
}

impl Wanted {
    /// What a bundle asks for; `text` and `id` as they were asked for.
    pub fn of(bundle: &Bundle, text: &[String], id: Option<&str>) -> Wanted {
        let text = if text.is_empty() { bundle.rows.text.clone() } else { text.to_vec() };
        let columns = bundle.rows.columns.iter().map(|column| column.name.clone()).collect();
        Wanted { text, id: id.map(str::to_owned), columns }
    }

    /// Every column by name.
    fn all(&self) -> impl Iterator<Item = &str> {
        self.text.iter().chain(&self.id).chain(&self.columns).map(String::as_str)
    }

    /// A row of what `cell` says of each column.
    fn row(&self, cell: &mut dyn FnMut(&str) -> Result<Option<String>, BundleError>) -> Result<Row, BundleError> {
        let mut texts = Vec::new();
        for column in &self.text {
            texts.push(cell(column)?.unwrap_or_default());
        }
        let id = self.id.as_ref().map(|column| cell(column)).transpose()?.flatten().unwrap_or_default();
        let cells = self.columns.iter().map(|column| cell(column)).collect::<Result<_, _>>()?;
        Ok(Row { id, text: texts.join("\n"), cells })
    }
}

/// The rows of something that is read, in order.
pub type Rows = Box<dyn Iterator<Item = Result<Row, BundleError>> + Send>;

/// The rows of `from`, which messages call `name`. Parquet is read by [`parquet`].
pub fn rows(format: Format, name: &str, from: Box<dyn BufRead + Send>, wanted: &Wanted) -> Result<Rows, BundleError> {
    match format {
        Format::Lines if !wanted.columns.is_empty() => {
            let columns = wanted.columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
            let why = format!("the pipeline reads the columns {columns} as well, and lines have none");
            Err(BundleError::row(name, why).with_help("give rows with columns: `--format jsonl` or `--format csv`"))
        }
        Format::Lines => Ok(Box::new(lines(name, from).map(|text| Ok(Row { text: text?, ..Row::default() })))),
        Format::Jsonl => Ok(jsonl(name, from, wanted.clone())),
        Format::Csv => csv(name, from, wanted.clone()),
        Format::Parquet => Err(BundleError::row(name, "Parquet cannot be read from a pipe").with_help("name the file")),
    }
}

/// The lines of a text; the end of a line may be `\n` or `\r\n`.
fn lines(
    name: &str,
    mut from: Box<dyn BufRead + Send>,
) -> impl Iterator<Item = Result<String, BundleError>> + Send + use<> {
    let (name, mut number) = (name.to_owned(), 0_u64);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match from.read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) => number += 1,
            Err(error) => return Some(Err(BundleError::io(Path::new(&name), error))),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        Some(String::from_utf8(line).map_err(|_| {
            BundleError::row(format!("{name}, line {number}"), "the line is not UTF-8")
                .with_help("convert it first, for instance with `iconv -t utf-8`")
        }))
    })
}

fn jsonl(name: &str, from: Box<dyn BufRead + Send>, wanted: Wanted) -> Rows {
    let name = name.to_owned();
    let numbered = lines(&name, from).zip(1_u64..);
    let filled = numbered.filter(|(line, _)| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    Box::new(filled.map(move |(line, number)| {
        let place = format!("{name}, line {number}");
        let value: Value = serde_json::from_str(&line?)
            .map_err(|error| BundleError::row(&place, format!("the line is no JSON: {error}")))?;
        let Some(fields) = value.as_object() else {
            return Err(BundleError::row(&place, "the line is no JSON object").with_help("write `{\"text\": …}`"));
        };
        wanted.row(&mut |column| match fields.get(column) {
            None => Err(missing(&place, column, fields.keys().map(String::as_str))),
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(BundleError::row(&place, format!("`{column}` is neither a text nor a number"))),
        })
    }))
}

fn csv(name: &str, from: Box<dyn BufRead + Send>, wanted: Wanted) -> Result<Rows, BundleError> {
    let mut from = from;
    skip_mark(&mut from).map_err(|error| BundleError::io(Path::new(name), error))?;
    let mut reader = ::csv::Reader::from_reader(from);
    let name = name.to_owned();
    let said = |name: &str, error: ::csv::Error| {
        let line = error.position().map_or_else(String::new, |position| format!(", line {}", position.line()));
        BundleError::row(format!("{name}{line}"), error.to_string())
    };
    let header = reader.headers().map_err(|error| said(&name, error))?.clone();
    for column in wanted.all() {
        if !header.iter().any(|known| known == column) {
            return Err(missing(&name, column, header.iter()));
        }
    }
    Ok(Box::new(reader.into_records().map(move |record| {
        let record = record.map_err(|error| said(&name, error))?;
        let at = |column: &str| header.iter().position(|known| known == column);
        wanted.row(&mut |column| Ok(at(column).and_then(|at| record.get(at)).map(str::to_owned)))
    })))
}

/// Steps over a byte order mark.
fn skip_mark(from: &mut dyn BufRead) -> std::io::Result<()> {
    if from.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        from.consume(3);
    }
    Ok(())
}

/// Rows of a Parquet batch at once.
const PARQUET_ROWS: usize = 4096;
const PARQUET_BYTES: usize = 16 << 20;

/// The rows of a Parquet file.
pub fn parquet(path: &Path, wanted: &Wanted) -> Result<Rows, BundleError> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|error| BundleError::io(path, error))?;
    let mut mark = [0; 4];
    if file.read_exact(&mut mark).is_err() || mark != *b"PAR1" {
        return Err(BundleError::row(&name, "the file is no Parquet"));
    }
    let batches = Batches::new(file, PARQUET_ROWS, PARQUET_BYTES)?;
    let schema = batches.schema().clone();
    for column in wanted.all() {
        if schema.column_with_name(column).is_none() {
            return Err(missing(&name, column, schema.fields().iter().map(|field| field.name().as_str())));
        }
    }
    let wanted = wanted.clone();
    Ok(Box::new(batches.flat_map(move |batch| {
        let rows = batch.map_err(BundleError::from).and_then(|batch| of_batch(&batch, &wanted, &name));
        rows.unwrap_or_else(|error| vec![Err(error)]).into_iter()
    })))
}

fn of_batch(batch: &RecordBatch, wanted: &Wanted, name: &str) -> Result<Vec<Result<Row, BundleError>>, BundleError> {
    let mut columns: Vec<(&str, StringArray)> = Vec::new();
    for column in wanted.all() {
        let Some(cells) = batch.column_by_name(column) else { continue };
        let texts = cast(cells, &DataType::Utf8).map_err(|_| {
            BundleError::row(name, format!("`{column}` holds {}, not texts or numbers", cells.data_type()))
        })?;
        columns.push((column, texts.as_string::<i32>().clone()));
    }
    let cell = |column: &str, row: usize| {
        let cells = columns.iter().find(|(name, _)| *name == column).map(|(_, cells)| cells);
        cells.filter(|cells| cells.is_valid(row)).map(|cells| cells.value(row).to_owned())
    };
    Ok((0..batch.num_rows()).map(|row| wanted.row(&mut |column| Ok(cell(column, row)))).collect())
}

fn missing<'a>(place: &str, column: &str, known: impl Iterator<Item = &'a str>) -> BundleError {
    let known: Vec<&str> = known.collect();
    let error = BundleError::row(place, format!("there is no column `{column}`"));
    if known.is_empty() {
        return error.with_help("there are no columns at all: is the file empty?");
    }
    match suggest(column, known.iter().copied()) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => {
            error.with_help(format!("the columns are {}; `--text COLUMN` names that of the text", known.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(format: Format, bytes: &'static [u8], wanted: &Wanted) -> Vec<Result<Row, String>> {
        let from: Box<dyn BufRead + Send> = Box::new(Cursor::new(bytes));
        match rows(format, "in", from, wanted) {
            Ok(rows) => rows.map(|row| row.map_err(|error| error.to_string())).collect(),
            Err(error) => vec![Err(error.to_string())],
        }
    }

    fn wanted(columns: &[&str]) -> Wanted {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Wanted { text: vec!["text".to_owned()], id: None, columns }
    }

    fn row(text: &str, cells: &[Option<&str>]) -> Result<Row, String> {
        let cells = cells.iter().map(|cell| cell.map(str::to_owned)).collect();
        Ok(Row { id: String::new(), text: text.to_owned(), cells })
    }

    #[test]
    fn every_line_is_a_text() {
        let got = read(Format::Lines, b"\xef\xbb\xbfone\r\n\n two\nb\xe9d\nlast", &wanted(&[]));
        let bad = Err("in, line 4: the line is not UTF-8".to_owned());
        assert_eq!(got, [row("one", &[]), row("", &[]), row(" two", &[]), bad, row("last", &[])]);
        assert_eq!(read(Format::Lines, b"", &wanted(&[])), []);
        let error = read(Format::Lines, b"one", &wanted(&["age"]))[0].clone().unwrap_err();
        assert_eq!(error, "in: the pipeline reads the columns `age` as well, and lines have none");
    }

    #[test]
    fn objects_and_records_have_their_cells() {
        let json = b"{\"text\": \"a\", \"age\": 3.5}\n\n{\"text\": null, \"age\": null}\n{\"age\": 1}\n[1]\n";
        let got = read(Format::Jsonl, json, &wanted(&["age"]));
        let missing = Err("in, line 4: there is no column `text`".to_owned());
        let array = Err("in, line 5: the line is no JSON object".to_owned());
        assert_eq!(got, [row("a", &[Some("3.5")]), row("", &[None]), missing, array]);
        let got = read(Format::Csv, b"age,text\n7,\"x, y\"\n,z\n", &wanted(&["age"]));
        assert_eq!(got, [row("x, y", &[Some("7")]), row("z", &[Some("")])]);
        let got = read(Format::Csv, b"age,texts\n7,x\n", &wanted(&["age"]));
        assert_eq!(got, [Err("in: there is no column `text`".to_owned())]);
    }
}
