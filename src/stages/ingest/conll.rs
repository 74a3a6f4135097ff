//! How are sentences read whose tokens stand one on a line, each with its tag?

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chunk::Sentence;
use super::encoding::Wrong;
use super::rows::{At, Collector, Next, Row, Seen};
use super::tags::{Scheme, entities};
use crate::fetch::Fetched;
use crate::stage::StageError;
use crate::table::spans::Span;

/// Options of `conll`. A row is a sentence; its only column is `text`, the tokens with a space between them. What the tags mark goes into the part `spans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Conll {
    /// The column of the token, from 0.
    pub token: usize,
    /// The column of the tag, from 0, or `last`.
    pub tag: TagColumn,
    /// What stands between columns.
    pub separator: Separator,
    /// Lines that begin so are comments; for instance `"# "`. Without it there are none.
    pub comment: Option<String>,
    /// How tags mark entities. `iob2`: `B-` begins every entity. `iob1`: `I-` does, and `B-` only where an entity of the same class
    /// ends just before. `bioes`: as `iob2`, and `E-` ends an entity, `S-` is one of a single token.
    pub scheme: Scheme,
}

impl Default for Conll {
    fn default() -> Self {
        Conll { token: 0, tag: TagColumn(None), separator: Separator::Whitespace, comment: None, scheme: Scheme::Iob2 }
    }
}

/// What stands between columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Separator {
    /// Any number of spaces and tabs.
    Whitespace,
    /// One tab; a column may hold spaces or nothing.
    Tab,
}

/// A column from 0; without a number the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stages) struct TagColumn(pub Option<usize>);

impl Serialize for TagColumn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(column) => serializer.serialize_u64(column as u64),
            None => serializer.serialize_str("last"),
        }
    }
}

impl<'de> Deserialize<'de> for TagColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "last" => Ok(TagColumn(None)),
            Value::Number(number) if number.is_u64() => Ok(TagColumn(number.as_u64().and_then(|n| n.try_into().ok()))),
            other => {
                Err(de::Error::custom(format!("a tag's column is `last` or a number from 0, but here is {other}")))
            }
        }
    }
}

impl JsonSchema for TagColumn {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TagColumn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "last" }, { "type": "integer", "minimum": 0 }] })
    }
}

/// What begins a line that says that a document begins.
const DOCUMENT: &str = "-DOCSTART-";

/// No sentence may have more tokens: beyond it a file is not what it is taken for.
const MOST_TOKENS: usize = 1 << 20;

/// The sentence that is being read.
#[derive(Default)]
struct Reading {
    /// The line of its first token.
    line: u64,
    tokens: Vec<String>,
    /// Each token's tag and line.
    tags: Vec<(String, u64)>,
    /// Its bytes that were no text.
    undecoded: Vec<Wrong>,
    /// The first thing that is wrong with it.
    wrong: Option<StageError>,
}

/// Reads a file's rows.
pub(super) fn read(options: &Conll, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let columns = rows.find(&file.source, &["text".to_owned()])?.len();
    let mut lines = rows.open(file)?;
    let mut reader = Reader { options, source: &file.source, columns, width: None, reading: Reading::default() };
    let mut seen = Seen::default();
    while seen.next == Next::Read && lines.next()? {
        let text = lines.text();
        let at = At { source: &file.source, unit: "line", number: lines.line };
        if options.comment.as_deref().is_some_and(|prefix| text.starts_with(prefix)) {
            rows.comment()?;
        } else if text.trim_ascii().is_empty() || text.starts_with(DOCUMENT) {
            reader.end(rows, &mut seen)?;
        } else {
            if !lines.wrong.is_empty() {
                rows.looks_like(lines.looks());
                reader.reading.undecoded.extend(&lines.wrong);
            }
            reader.take(text, at);
            if reader.reading.tokens.len() > MOST_TOKENS {
                let line = reader.reading.line;
                return Err(At { number: line, ..at }
                    .error(None, &format!("the sentence has more than {MOST_TOKENS} tokens"), text)
                    .help("a line with nothing on it ends a sentence; see whether the file is what `format` says"));
            }
        }
    }
    if seen.next == Next::Read {
        reader.end(rows, &mut seen)?;
    }
    Ok(seen)
}

struct Reader<'a> {
    options: &'a Conll,
    source: &'a str,
    /// How many columns are wanted of the rows: `text`, or nothing.
    columns: usize,
    /// How many columns the lines have.
    width: Option<usize>,
    reading: Reading,
}

impl Reader<'_> {
    /// Takes a line with a token.
    fn take(&mut self, text: &str, at: At<'_>) {
        if self.reading.tokens.is_empty() && self.reading.wrong.is_none() {
            self.reading.line = at.number;
        }
        match self.token(text, at) {
            Ok((token, tag)) => {
                self.reading.tokens.push(token);
                self.reading.tags.push((tag, at.number));
            }
            Err(error) => {
                self.reading.wrong.get_or_insert(error);
            }
        }
    }

    fn token(&mut self, text: &str, at: At<'_>) -> Result<(String, String), StageError> {
        let columns: Vec<&str> = match self.options.separator {
            Separator::Whitespace => text.split_ascii_whitespace().collect(),
            Separator::Tab => text.split('\t').collect(),
        };
        let width = *self.width.get_or_insert(columns.len());
        let other = match self.options.separator {
            Separator::Whitespace => "if only tabs stand between columns, set `separator: tab`",
            Separator::Tab => "if spaces stand between columns, leave `separator` out",
        };
        if columns.len() != width {
            let message =
                format!("{width} columns are expected, as on the lines before, but here {}", count(columns.len()));
            return Err(at.error(None, &message, text).help(other).at_param(&["format"]));
        }
        let (token, tag) = (self.options.token, self.options.tag.0.unwrap_or(width.saturating_sub(1)));
        if token == tag || token.max(tag) >= width {
            let message =
                format!("the token is in column {token} and the tag in column {tag}, but here {}", count(width));
            return Err(at.error(None, &message, text).help(other).at_param(&["format"]));
        }
        let column = |at: usize| columns.get(at).copied().unwrap_or_default().to_owned();
        Ok((column(token), column(tag)))
    }

    /// The sentence ends here, if there is one.
    fn end(&mut self, rows: &mut Collector<'_>, seen: &mut Seen) -> Result<(), StageError> {
        let reading = std::mem::take(&mut self.reading);
        if reading.tokens.is_empty() && reading.wrong.is_none() {
            return Ok(());
        }
        seen.rows += 1;
        seen.next = match self.spans(&reading) {
            _ if reading.wrong.is_some() => reading.wrong.map_or(Ok(Next::Read), |error| rows.refuse(error))?,
            Err(error) => rows.refuse(error)?,
            Ok(spans) => {
                let text = reading.tokens.join(" ");
                let cells = vec![Some(text.as_str()); self.columns];
                rows.take(&Row {
                    at: At { source: self.source, unit: "line", number: reading.line },
                    cells: &cells,
                    show: &|| text.clone(),
                    wrong: &reading.undecoded,
                    sentence: Some(Sentence { tokens: &reading.tokens, spans: &spans }),
                })?
            }
        };
        Ok(())
    }

    fn spans(&self, reading: &Reading) -> Result<Vec<Span>, StageError> {
        let tags: Vec<&str> = reading.tags.iter().map(|(tag, _)| tag.as_str()).collect();
        entities(&tags, self.options.scheme).map_err(|wrong| {
            let number = reading.tags.get(wrong.token).map_or(reading.line, |(_, line)| *line);
            let at = At { source: self.source, unit: "line", number };
            let error = at.error(None, &wrong.message, &reading.tokens.join(" ")).at_param(&["format"]);
            match wrong.fits {
                Some(scheme) => error.help(format!("`scheme: {scheme}` would read it")),
                None => error,
            }
        })
    }
}

fn count(columns: usize) -> String {
    if columns == 1 { "is 1".to_owned() } else { format!("are {columns}") }
}
