//! How may a file be written?

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conll::Conll;
use super::files::Named;
use super::json::Json;
use crate::stage::elided;

use super::delimited::Style;

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) enum Format {
    /// Comma-separated, with quotes.
    Csv(Csv),
    /// Tab-separated, without quotes.
    Tsv(Tsv),
    /// One JSON value on each line.
    Jsonl(NoOptions),
    /// One JSON document.
    Json(Json),
    /// Parquet.
    Parquet(NoOptions),
    /// Arrow's own files and streams.
    Arrow(NoOptions),
    /// A sentence over several lines, a token with its tag on each.
    Conll(Conll),
    /// Each line is the text of a row.
    Lines(Named),
    /// Each file is one row.
    Files(Named),
    /// Each file is one e-mail.
    Mail(Named),
}

/// The formats' names.
const FORMATS: &[&str] = &["csv", "tsv", "jsonl", "json", "parquet", "arrow", "conll", "lines", "files", "mail"];

/// The endings that are told from what they hold: how a file is packed.
const PACKED: [&str; 2] = [".gz", ".zst"];

impl Format {
    /// The format that a file's name tells, `.gz` and `.zst` aside.
    pub(super) fn of_name(name: &str) -> Option<Format> {
        let name = name.to_lowercase();
        let name = PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, ending)| ending)? {
            "csv" => Format::plain("csv"),
            "tsv" | "tab" => Format::plain("tsv"),
            "jsonl" | "ndjson" => Format::plain("jsonl"),
            "json" => Format::plain("json"),
            "parquet" | "pq" => Format::plain("parquet"),
            "arrow" | "arrows" | "feather" => Format::plain("arrow"),
            "conll" | "iob" | "iob2" => Format::plain("conll"),
            "eml" => Format::plain("mail"),
            _ => None,
        }
    }

    /// A format without options.
    fn plain(name: &str) -> Option<Format> {
        Some(match name {
            "csv" => Format::Csv(Csv::default()),
            "tsv" => Format::Tsv(Tsv::default()),
            "jsonl" => Format::Jsonl(NoOptions {}),
            "json" => Format::Json(Json::default()),
            "parquet" => Format::Parquet(NoOptions {}),
            "arrow" => Format::Arrow(NoOptions {}),
            "conll" => Format::Conll(Conll::default()),
            "lines" => Format::Lines(Named::default()),
            "files" => Format::Files(Named::default()),
            "mail" => Format::Mail(Named::default()),
            _ => return None,
        })
    }

    /// True if rows hold something of the names of their files.
    pub(super) fn reads_names(&self) -> bool {
        matches!(self, Format::Lines(_) | Format::Files(_) | Format::Mail(_))
    }

    /// The options as a key sees them: those at their defaults left out.
    pub(super) fn canonical(&self) -> Value {
        match self {
            Format::Csv(options) => json!({ "csv": elided(options, &Csv::default()) }),
            Format::Tsv(options) => json!({ "tsv": elided(options, &Tsv::default()) }),
            Format::Json(options) => json!({ "json": elided(options, &Json::default()) }),
            Format::Conll(options) => json!({ "conll": elided(options, &Conll::default()) }),
            Format::Lines(options) => json!({ "lines": elided(options, &Named::default()) }),
            Format::Files(options) => json!({ "files": elided(options, &Named::default()) }),
            Format::Mail(options) => json!({ "mail": elided(options, &Named::default()) }),
            other @ (Format::Jsonl(_) | Format::Parquet(_) | Format::Arrow(_)) => json!(other),
        }
    }
}

impl Format {
    /// What is wrong with its options, and what would be right.
    pub(super) fn fault(&self) -> Option<(String, &'static str)> {
        let no_comment = || Some(("`comment` is empty: every line begins so".to_owned(), "leave it out"));
        let style = match self {
            Format::Conll(conll) if conll.comment.as_deref() == Some("") => return no_comment(),
            Format::Json(json) => return json.fault(),
            Format::Csv(csv) => csv.style(),
            Format::Tsv(tsv) => tsv.style(),
            _ => return None,
        };
        if style.rest && style.quote.is_some() {
            let message = "`rest` takes a line as it stands, but its fields may be quoted".to_owned();
            return Some((message, "set `quote: none`"));
        }
        if style.quote == Some(style.delimiter) {
            let message = "`quote` and `delimiter` are the same character".to_owned();
            return Some((message, "set one of them to another"));
        }
        if style.comment.as_deref() == Some("") {
            return no_comment();
        }
        None
    }
}

impl Csv {
    /// How such a file is written.
    pub(super) fn style(&self) -> Style {
        Style {
            delimiter: self.delimiter.0,
            quote: self.quote.0,
            header: self.header,
            columns: self.columns.clone(),
            comment: self.comment.clone(),
            rest: self.rest,
        }
    }
}

impl Tsv {
    /// How such a file is written.
    pub(super) fn style(&self) -> Style {
        Style {
            delimiter: b'\t',
            quote: self.quote.0,
            header: self.header,
            columns: self.columns.clone(),
            comment: self.comment.clone(),
            rest: self.rest,
        }
    }
}

/// Options of `csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Csv {
    /// The first line names the columns.
    pub header: bool,
    /// What stands between fields: one ASCII character.
    pub delimiter: Delimiter,
    /// What encloses fields that hold delimiters or line ends (doubled inside): one ASCII character, or `none`.
    pub quote: Quote,
    /// The columns' names; with a header they replace it. Without either, columns are called `0`, `1`, …
    pub columns: Option<Vec<String>>,
    /// Lines that begin with this are no rows; they are counted. None do unless it is set.
    pub comment: Option<String>,
    /// The last column holds whatever is left of the line, delimiters too. Only where nothing is quoted.
    pub rest: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Csv {
            header: true,
            delimiter: Delimiter(b','),
            quote: Quote(Some(b'"')),
            columns: None,
            comment: None,
            rest: false,
        }
    }
}

/// Options of `tsv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Tsv {
    /// The first line names the columns.
    pub header: bool,
    /// What encloses fields that hold tabs or line ends (doubled inside): one ASCII character, or `none`.
    pub quote: Quote,
    /// The columns' names; with a header they replace it. Without either, columns are called `0`, `1`, …
    pub columns: Option<Vec<String>>,
    /// Lines that begin with this are no rows; they are counted. None do unless it is set.
    pub comment: Option<String>,
    /// The last column holds whatever is left of the line, delimiters too. Only where nothing is quoted.
    pub rest: bool,
}

impl Default for Tsv {
    fn default() -> Self {
        Tsv { header: true, quote: Quote(None), columns: None, comment: None, rest: false }
    }
}

/// No options yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::stages) struct NoOptions {}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Format::Csv(options) => map.serialize_entry("csv", options)?,
            Format::Tsv(options) => map.serialize_entry("tsv", options)?,
            Format::Jsonl(options) => map.serialize_entry("jsonl", options)?,
            Format::Json(options) => map.serialize_entry("json", options)?,
            Format::Parquet(options) => map.serialize_entry("parquet", options)?,
            Format::Arrow(options) => map.serialize_entry("arrow", options)?,
            Format::Conll(options) => map.serialize_entry("conll", options)?,
            Format::Lines(options) => map.serialize_entry("lines", options)?,
            Format::Files(options) => map.serialize_entry("files", options)?,
            Format::Mail(options) => map.serialize_entry("mail", options)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Format;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`csv`, `tsv`, `jsonl`, `json`, `parquet`, `arrow`, `conll`, `lines`, `files` or `mail`, or one of them with options")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Format, E> {
                Format::plain(name).ok_or_else(|| E::unknown_variant(name, FORMATS))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Format, A::Error> {
                let name: String = map.next_key()?.ok_or_else(|| de::Error::invalid_length(0, &"one format"))?;
                let format = match name.as_str() {
                    "csv" => Format::Csv(map.next_value()?),
                    "tsv" => Format::Tsv(map.next_value()?),
                    "jsonl" => Format::Jsonl(map.next_value()?),
                    "json" => Format::Json(map.next_value()?),
                    "parquet" => Format::Parquet(map.next_value()?),
                    "arrow" => Format::Arrow(map.next_value()?),
                    "conll" => Format::Conll(map.next_value()?),
                    "lines" => Format::Lines(map.next_value()?),
                    "files" => Format::Files(map.next_value()?),
                    "mail" => Format::Mail(map.next_value()?),
                    other => return Err(de::Error::unknown_variant(other, FORMATS)),
                };
                match map.next_key::<String>()? {
                    None => Ok(format),
                    Some(second) => {
                        Err(de::Error::custom(format!("one format is wanted, but `{name}` and `{second}` are given")))
                    }
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Format {
    fn schema_name() -> Cow<'static, str> {
        "Format".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |name: &str, options: Schema| {
            json_schema!({
                "type": "object", "properties": { name: options }, "required": [name], "additionalProperties": false
            })
        };
        let forms = [
            one("csv", generator.subschema_for::<Csv>()),
            one("tsv", generator.subschema_for::<Tsv>()),
            one("jsonl", generator.subschema_for::<NoOptions>()),
            one("json", generator.subschema_for::<Json>()),
            one("parquet", generator.subschema_for::<NoOptions>()),
            one("arrow", generator.subschema_for::<NoOptions>()),
            one("conll", generator.subschema_for::<Conll>()),
            one("lines", generator.subschema_for::<Named>()),
            one("files", generator.subschema_for::<Named>()),
            one("mail", generator.subschema_for::<Named>()),
        ];
        let names = json_schema!({ "enum": FORMATS });
        json_schema!({ "anyOf": std::iter::once(names).chain(forms).collect::<Vec<_>>() })
    }
}

/// What stands between fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stages) struct Delimiter(pub u8);

/// What encloses fields, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stages) struct Quote(pub Option<u8>);

fn one_ascii<E: de::Error>(text: &str, what: &str) -> Result<u8, E> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(E::custom(format!("{what} must be one ASCII character, but is {text:?}"))),
    }
}

impl Serialize for Delimiter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(char::from(self.0))
    }
}

impl<'de> Deserialize<'de> for Delimiter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        one_ascii(&text, "a delimiter").map(Delimiter)
    }
}

impl Serialize for Quote {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(quote) => serializer.serialize_char(char::from(quote)),
            None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Quote {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "none" { Ok(Quote(None)) } else { one_ascii(&text, "a quote").map(|quote| Quote(Some(quote))) }
    }
}

impl JsonSchema for Delimiter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Delimiter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1 })
    }
}

impl JsonSchema for Quote {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quote".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "none" }, { "type": "string", "minLength": 1, "maxLength": 1 }] })
    }
}
