//! How are rows read from a JSON document?
//!
//! The document is read as a stream: one row of it is in memory at a time, whatever its size.

use schemars::JsonSchema;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

use super::lines::{Lines, unreadable};
use super::pointer::{Pointer, Step, Strict, cell};
use super::rows::{At, Collector, Next, no_column};
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

/// Where a wanted column is found.
enum Place {
    /// What the star with this number passed.
    Key(usize),
    Name(String),
    Pointer(Pointer),
}

/// Reads a file's rows.
pub(super) fn read(options: &Json, lines: Lines, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let place = |name: &str| match options.keys.iter().position(|key| key == name) {
        Some(star) => Place::Key(star),
        None => Pointer::parse(name)
            .filter(|p| !p.steps.is_empty())
            .map_or_else(|| Place::Name(name.to_owned()), Place::Pointer),
    };
    let places = rows.wanted.columns.iter().map(|(name, _)| place(name)).collect();
    let source = lines.source.clone();
    let mut document = Document {
        source: &source,
        options,
        places,
        keys: Vec::new(),
        number: 0,
        next: Next::Read,
        failed: None,
        rows,
    };
    let mut deserializer = serde_json::Deserializer::from_reader(lines.reader);
    let whole = Level { steps: &options.rows.steps, document: &mut document }.deserialize(&mut deserializer);
    let whole = whole.and_then(|()| deserializer.end());
    match (document.failed, document.next, whole) {
        (Some(error), ..) => Err(error),
        (None, Next::Stop, _) | (None, Next::Read, Ok(())) => Ok(document.next),
        (None, Next::Read, Err(error)) => Err(wrong(&source, &error)),
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
    places: Vec<Place>,
    /// What the stars on the way passed.
    keys: Vec<String>,
    number: u64,
    next: Next,
    failed: Option<StageError>,
    rows: &'a mut Collector<'r>,
}

impl Document<'_, '_> {
    /// Takes a row; false if no more are wanted.
    fn take(&mut self, row: &Value) -> bool {
        self.number += 1;
        match self.push(row) {
            Ok(Next::Read) => true,
            Ok(Next::Stop) => {
                self.next = Next::Stop;
                false
            }
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }

    fn push(&mut self, row: &Value) -> Result<Next, StageError> {
        let at = At { source: self.source, unit: "row", number: self.number };
        if let (Some(columns), Value::Array(items)) = (&self.options.columns, row)
            && columns.len() != items.len()
        {
            let message = format!("`columns` names {}, but the row has {} items", columns.len(), items.len());
            return self.rows.refuse(at.error(None, &message, &row.to_string()).at_param(&["format"]));
        }
        let mut cells = Vec::with_capacity(self.places.len());
        for (column, place) in self.places.iter().enumerate() {
            match self.cell(row, column, place) {
                Ok(cell) => cells.push(cell),
                Err(error) => return self.rows.refuse(error),
            }
        }
        let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
        self.rows.push(at, &cells, &|| row.to_string())
    }

    fn cell(&self, row: &Value, column: usize, place: &Place) -> Result<Option<String>, StageError> {
        let at = At { source: self.source, unit: "row", number: self.number };
        let (name, param) =
            self.rows.wanted.columns.get(column).map(|(n, p)| (n.as_str(), p.as_slice())).unwrap_or_default();
        let is_text = self.rows.wanted.text.contains(&column);
        let wrong = |message: String| at.error(Some(name), &message, &row.to_string());
        let value = match place {
            Place::Key(star) => {
                let none = || wrong(format!("`rows` has no `*` with the number {}, which `keys` names", star + 1));
                return self.keys.get(*star).cloned().map(Some).ok_or_else(|| none().at_param(&["format"]));
            }
            Place::Pointer(pointer) => return pointer.cell(row, is_text).map_err(|m| wrong(m).at_param(param)),
            Place::Name(name) => match row {
                Value::Object(fields) => fields.get(name),
                Value::Array(items) => self.item(name).and_then(|at| items.get(at)),
                scalar => self.item(name).filter(|&at| at == 0).map(|_| scalar),
            },
        };
        match value {
            Some(value) => cell(value, is_text).map_err(wrong),
            None => Err(self.absent(row, name, param)),
        }
    }

    /// The number of a list's item.
    fn item(&self, name: &str) -> Option<usize> {
        match &self.options.columns {
            Some(columns) => columns.iter().position(|column| column == name),
            None => name.parse().ok(),
        }
    }

    fn absent(&self, row: &Value, name: &str, param: &[&'static str]) -> StageError {
        let own: Vec<String> = match (row, &self.options.columns) {
            (Value::Object(fields), _) => fields.keys().cloned().collect(),
            (_, Some(columns)) => columns.clone(),
            (Value::Array(items), None) => (0..items.len()).map(|at| at.to_string()).collect(),
            (_, None) => vec!["0".to_owned()],
        };
        let has: Vec<String> = self.options.keys.iter().cloned().chain(own).collect();
        let error = no_column(&format!("{}`, row `{}", self.source, self.number), name, &has, param);
        let nested = match row {
            Value::Array(items) => items.iter().any(|item| item.is_array() || item.is_object()),
            Value::Object(fields) => fields.values().any(Value::is_array),
            _ => false,
        };
        if nested {
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

/// Ends the reading; why stands in the document.
const ENOUGH: &str = "enough";

impl<'de> DeserializeSeed<'de> for Level<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let Strict(row) = Strict::deserialize(deserializer)?;
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
                    passed.push(key);
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
    let there = passed.iter().take(10).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { String::new() } else { format!("; there are {there}") };
    E::custom(format!("`rows: {}` leads to nothing: there is no `{name}`{there}", document.options.rows))
}
