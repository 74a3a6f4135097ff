//! How are rows read from a JSON document?
//!
//! The document is read as a stream: one row of it is in memory at a time, whatever its size.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoding::{Decoder, Wrong};
use super::lines::{LONGEST, unreadable};
use super::pointer::{Cell, Pointer, Step, Strict, cell, column_of};
use super::rows::{At, Collector, Next, Row, Seen};
use super::wanted::{late_column, no_column};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Options of `json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Json {
    /// Where in the document the rows are: a JSON pointer in which `*` stands for each item of a list or each value of an object.
    /// `/*`: the document is a list of rows. `/data/items/*`: the list lies deeper. `/*/*`: lists of rows by split or by label.
    pub rows: Pointer,
    /// Names for what each `*` of `rows` passes, in order: the name of an object's value, or the number of a list's item. They are columns:
    /// with `rows: /*/*` and `keys: [split]`, the column `split` holds the name of the list that a row is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Names for the items of rows that are lists, as in `[text, label]`. Without them, the columns of a list are called `0`, `1`, …
    pub columns: Option<Vec<String>>,
}

impl Default for Json {
    fn default() -> Self {
        let rows = Pointer::parse("/*").unwrap_or_else(|| unreachable!("`/*` is a pointer"));
        Json { rows, keys: Vec::new(), columns: None }
    }
}

impl Json {
    /// What is wrong with the options, and what would be right.
    pub(super) fn fault(&self) -> Option<(String, &'static str)> {
        let stars = self.rows.steps.iter().filter(|step| matches!(step, Step::Each)).count();
        let (keys, rows) = (self.keys.len(), &self.rows);
        let message = format!("`keys` has {keys} names, but `rows: {rows}` has {stars} `*`");
        (keys > stars).then_some((message, "name what each `*` passes, in order"))
    }
}

/// Reads a file's rows.
pub(super) fn read(options: &Json, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let source = file.source.as_str();
    let (decoder, text) = rows.open(file)?.into_text();
    let cancelled = rows.cancelled();
    let feed = Rc::new(RefCell::new(Feed { decoder, text, taken: 0, before: 0, row: None, cancelled }));
    let mut document = Document {
        source,
        options,
        feed: Rc::clone(&feed),
        keys: Vec::new(),
        seen: Seen::default(),
        failed: None,
        rows,
    };
    let mut deserializer = serde_json::Deserializer::from_reader(Letters(feed));
    let whole = Level { steps: &options.rows.steps, document: &mut document }.deserialize(&mut deserializer);
    let whole = whole.and_then(|()| deserializer.end());
    match (document.failed, document.seen.next, whole) {
        (Some(error), ..) => Err(error),
        (None, Next::Stop, _) | (None, Next::Read, Ok(())) => Ok(document.seen),
        (None, Next::Read, Err(_)) if cancelled.load(Ordering::Relaxed) => Err(StageError::Interrupted),
        (None, Next::Read, Err(error)) => Err(wrong(source, &error)),
    }
}

/// The document's text as it is decoded.
struct Feed<'a> {
    decoder: Decoder,
    text: String,
    /// How much of `text` has been read.
    taken: usize,
    /// Text before it.
    before: u64,
    /// Where the row began that is being read.
    row: Option<u64>,
    /// Set when the run is to end.
    cancelled: &'a AtomicBool,
}

impl Feed<'_> {
    fn here(&self) -> u64 {
        self.before + self.taken as u64
    }

    /// Reads more text into `text`, which has been read.
    fn more(&mut self) -> io::Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        if self.row.is_some_and(|row| self.here() - row > LONGEST as u64) {
            return Err(io::Error::other(format!("the row is longer than {} MiB", LONGEST >> 20)));
        }
        self.before += self.text.len() as u64;
        self.text.clear();
        self.taken = 0;
        self.decoder.more(&mut self.text).map(drop)
    }

    /// Bytes that were no text, up to where the document has been read.
    fn wrong(&mut self) -> Vec<Wrong> {
        let here = self.here();
        let count = self.decoder.wrong.iter().take_while(|wrong| wrong.at < here).count();
        self.decoder.wrong.drain(..count).collect()
    }
}

/// The feed as the parser reads it: it asks for one byte at a time, so that it is known which bytes a row has.
struct Letters<'a>(Rc<RefCell<Feed<'a>>>);

impl Read for Letters<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let feed = &mut *self.0.borrow_mut();
        if feed.taken == feed.text.len() {
            feed.more()?;
        }
        let count = feed.text.as_bytes().get(feed.taken..).unwrap_or_default().read(buffer)?;
        feed.taken += count;
        Ok(count)
    }
}

/// An error about a document that is not one.
fn wrong(source: &str, error: &serde_json::Error) -> StageError {
    if let Some(kind) = error.io_error_kind() {
        return unreadable(source, error.line() as u64, &std::io::Error::new(kind, error.to_string()));
    }
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let place = if line == 0 { format!("`{source}`") } else { format!("`{source}`, line {line}, column {column}") };
    match error.classify() {
        serde_json::error::Category::Data => StageError::failed(format!("{place}: {text}")).at_param(&["format"]),
        _ => StageError::failed(format!("{place}: it is not JSON: {text}"))
            .help("a file with one JSON value on each line is `jsonl`"),
    }
}

/// The document as far as it was read.
struct Document<'a, 'r> {
    source: &'a str,
    options: &'a Json,
    feed: Rc<RefCell<Feed<'r>>>,
    /// What the stars on the way passed.
    keys: Vec<String>,
    seen: Seen,
    failed: Option<StageError>,
    rows: &'a mut Collector<'r>,
}

impl Document<'_, '_> {
    /// Takes a row; false if no more are wanted.
    fn take(&mut self, row: &Value) -> bool {
        self.seen.rows += 1;
        match self.push(row) {
            Ok(next) => self.seen.next = next,
            Err(error) => self.failed = Some(error),
        }
        self.failed.is_none() && self.seen.next == Next::Read
    }

    fn at(&self) -> At<'_> {
        At { source: self.source, unit: "row", number: self.seen.rows }
    }

    fn push(&mut self, row: &Value) -> Result<Next, StageError> {
        if self.rows.wanted.every {
            let has = self.columns(row);
            if self.rows.wanted.all {
                self.rows.find(self.source, &has)?;
            }
            if let Some(new) = self.rows.wanted.new_column(has.iter()) {
                return self.rows.refuse(late_column(self.at(), new, &row.to_string()));
            }
        }
        let (wrong, looks) = {
            let mut feed = self.feed.borrow_mut();
            (feed.wrong(), feed.decoder.looks)
        };
        if !wrong.is_empty() {
            self.rows.looks_like(looks);
        }
        match self.cells(row) {
            Err(error) => self.rows.refuse(error),
            Ok(cells) => {
                for (is_text, cell) in self.rows.is_text.iter_mut().zip(&cells) {
                    *is_text = cell.is_text;
                }
                let cells: Vec<Option<&str>> = cells.iter().map(|cell| cell.value.as_deref()).collect();
                let (at, show) = (At { source: self.source, unit: "row", number: self.seen.rows }, || row.to_string());
                self.rows.take(&Row { at, cells: &cells, show: &show, wrong: &wrong, sentence: None })
            }
        }
    }

    fn cells(&self, row: &Value) -> Result<Vec<Cell>, StageError> {
        if let (Some(columns), Value::Array(items)) = (&self.options.columns, row)
            && columns.len() != items.len()
        {
            let message = format!("`columns` names {}, but the row has {} items", columns.len(), items.len());
            return Err(self.at().error(None, &message, &row.to_string()).at_param(&["format"]));
        }
        let wanted = &self.rows.wanted;
        let one = |(column, (name, param)): (usize, &(String, Vec<&'static str>))| match self.cell(row, name, column) {
            Some(Ok(cell)) => Ok(cell),
            Some(Err(message)) => Err(self.at().error(Some(name), &message, &row.to_string()).at_param(param)),
            None if wanted.may_lack(column) => Ok(Cell::default()),
            None => Err(self.absent(row, name, param)),
        };
        wanted.columns.iter().enumerate().map(one).collect()
    }

    /// What a row holds in a column; nothing if it has no such column.
    fn cell(&self, row: &Value, name: &str, column: usize) -> Option<Result<Cell, String>> {
        if let Some(star) = self.options.keys.iter().position(|key| key == name) {
            return self.keys.get(star).map(|key| Ok(Cell { value: Some(key.clone()), is_text: true }));
        }
        let takes = self.rows.wanted.takes(column);
        match (row, self.item(name)) {
            (Value::Array(items), Some(at)) => Some(cell(items.get(at)?, takes)),
            (Value::Array(_) | Value::Object(_), _) => column_of(row, name, takes),
            (scalar, at) => at.filter(|&at| at == 0).map(|_| cell(scalar, takes)),
        }
    }

    /// The names of a row's columns.
    fn columns(&self, row: &Value) -> Vec<String> {
        let own: Vec<String> = match (row, &self.options.columns) {
            (Value::Object(fields), _) => fields.keys().cloned().collect(),
            (_, Some(columns)) => columns.clone(),
            (Value::Array(items), None) => (0..items.len()).map(|at| at.to_string()).collect(),
            (_, None) => vec!["0".to_owned()],
        };
        self.options.keys.iter().cloned().chain(own).collect()
    }

    /// The number of a list's item.
    fn item(&self, name: &str) -> Option<usize> {
        match &self.options.columns {
            Some(columns) => columns.iter().position(|column| column == name),
            None => name.parse().ok(),
        }
    }

    fn absent(&self, row: &Value, name: &str, param: &[&'static str]) -> StageError {
        let error = no_column(&format!("{}`, row `{}", self.source, self.seen.rows), name, &self.columns(row), param);
        let nested = match row {
            Value::Array(items) => items.iter().any(|item| item.is_array() || item.is_object()),
            Value::Object(fields) => fields.values().any(Value::is_array),
            _ => false,
        };
        if row.is_string() || row.is_number() {
            error.help("if each line of the file holds an object, set `format: jsonl`")
        } else if nested {
            error.help("if this is no row but holds rows, lead `rows` further: `{ json: { rows: /*/* } }`")
        } else {
            error
        }
    }
}

/// A value on the way to rows.
struct Level<'s, 'd, 'a, 'r> {
    steps: &'s [Step],
    document: &'d mut Document<'a, 'r>,
}

/// So many names are told where a pointer leads to nothing.
const NAMED: usize = 10;
/// Ends the reading; why stands in the document.
const ENOUGH: &str = "enough";

impl<'de> DeserializeSeed<'de> for Level<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let feed = Rc::clone(&self.document.feed);
        let began = feed.borrow().here();
        feed.borrow_mut().row = Some(began);
        let Strict(row) = Strict::deserialize(deserializer)?;
        feed.borrow_mut().row = None;
        if self.document.take(&row) { Ok(()) } else { Err(de::Error::custom(ENOUGH)) }
    }
}

impl<'de> Visitor<'de> for Level<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list or an object, since `rows: {}` leads through it", self.document.options.rows)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Level { steps, document } = self;
        let Some((step, rest)) = steps.split_first() else { return Ok(()) };
        let mut found = matches!(step, Step::Each);
        let mut number = 0_usize;
        loop {
            let text = number.to_string();
            let more = match step {
                Step::Each => {
                    document.keys.push(text);
                    let more = seq.next_element_seed(Level { steps: rest, document })?.is_some();
                    document.keys.pop();
                    more
                }
                Step::Name(name) if *name == text => {
                    let more = seq.next_element_seed(Level { steps: rest, document })?.is_some();
                    found |= more;
                    more
                }
                Step::Name(_) => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
            number += 1;
        }
        if found { Ok(()) } else { Err(nothing(document, step, &[])) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Level { steps, document } = self;
        let Some((step, rest)) = steps.split_first() else { return Ok(()) };
        let mut passed: Vec<String> = Vec::new();
        let mut found = matches!(step, Step::Each);
        while let Some(key) = map.next_key::<String>()? {
            match step {
                Step::Each => {
                    document.keys.push(key);
                    map.next_value_seed(Level { steps: rest, document })?;
                    document.keys.pop();
                }
                Step::Name(name) if *name == key => {
                    if found {
                        return Err(de::Error::custom(format!("the name `{key}` stands twice in one object")));
                    }
                    found = true;
                    map.next_value_seed(Level { steps: rest, document })?;
                }
                Step::Name(_) => {
                    map.next_value::<IgnoredAny>()?;
                    if passed.len() < NAMED {
                        passed.push(key);
                    }
                }
            }
        }
        if found { Ok(()) } else { Err(nothing(document, step, &passed)) }
    }
}

/// An error for a step that leads to nothing.
fn nothing<E: de::Error>(document: &Document<'_, '_>, step: &Step, passed: &[String]) -> E {
    let name = match step {
        Step::Name(name) => name.as_str(),
        Step::Each => "*",
    };
    let there = passed.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { String::new() } else { format!("; there are {there}") };
    E::custom(format!("`rows: {}` leads to nothing: there is no `{name}`{there}", document.options.rows))
}
