//! What may a pipeline say about the files that it reads?

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoding::{Encoding, EncodingErrors};
use super::format::Format;
use super::kept::Keep;
use super::label::Label;
use super::sample::Sample;

/// Where rows come from and which columns mean what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// The files: a source, a list of sources, or a map from split names to a source or a list of sources each (read in the order of the names). A source is a path or a glob relative to
    /// the pipeline file, `hf:…`, `pypi:…`, `npm:…`, `http(s)://…` or `dataset:NAME`, each with `!member` for a file in an archive.
    pub source: Sources,
    /// How the files are written: `csv`, `tsv`, `jsonl`, `json`, `parquet`, `arrow`, `conll`, `lines`, `files` or `mail`, or one of these with options, for instance
    /// `{ tsv: { header: false, columns: [id, text] } }`. Left out, the file's name tells.
    pub format: Option<Format>,
    /// The column with the rows' ids, each once. Left out, a row's id is its number over all files, from 0, counted before any row is dropped.
    pub id: Option<String>,
    /// The column with the text; the texts of several columns are joined by a newline.
    pub text: Columns,
    /// The column with the label, or `{ column, cuts, names, names_file, classes, multi, drop, empty }`.
    pub label: Option<Label>,
    /// The column with the number to be predicted, for `train` with a regressor. It may be the label's column too, whose `cuts` make classes of it.
    pub value: Option<String>,
    /// The column with the fold that holds a row out: a whole number.
    pub fold: Option<String>,
    /// The column with the split: `train`, `test`, …
    pub split: Option<String>,
    /// The column with the group: rows of one group never stand on both sides of a fold.
    pub group: Option<String>,
    /// The column with the weight: how much a row counts when a learner learns. A number above 0; an empty cell is 1.
    pub weight: Option<String>,
    /// Further columns to keep: a list, `all` (those that nothing else uses), or a map from columns to their types (`text`, `integer`,
    /// `number`, `boolean`). Without a type a column gets the narrowest that all its cells have.
    pub columns: Keep,
    /// Read at most this many rows of each split that `source` names, or of all sources if it names none.
    pub limit: Option<u64>,
    /// Keep a part of the rows: `{ rows: 1000 }` or `{ fraction: 0.1 }`. A smaller sample is a part of a larger one.
    pub sample: Option<Sample>,
    /// How text files are encoded: `utf-8`, `auto`, or a name of the WHATWG's Encoding Standard (`latin1`, `windows-1252`, `shift_jis`, `euc-kr`,
    /// `gb18030`, `utf-16le` …). `auto` looks at the first 16 MiB of each file and says what it found. A byte order mark decides by itself.
    pub encoding: Encoding,
    /// What becomes of bytes that are no text in that encoding: `fail`, `replace` (by U+FFFD, counted in each row) or `skip` (the row is left out and counted).
    pub encoding_errors: EncodingErrors,
    /// What becomes of a row that cannot be read rightly (too many fields, a null text, an empty or unknown label, a number that is none, an id twice …):
    /// `fail`, or `skip`: it is left out, counted, and the first ten are told.
    pub on_row_error: OnRowError,
}

/// What becomes of a row that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum OnRowError {
    /// An error that names its place.
    #[default]
    Fail,
    /// It is left out and counted.
    Skip,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            source: Sources::List(Vec::new()),
            format: None,
            id: None,
            text: Columns(vec!["text".to_owned()]),
            label: None,
            value: None,
            fold: None,
            split: None,
            group: None,
            weight: None,
            columns: Keep::default(),
            limit: None,
            sample: None,
            encoding: Encoding::default(),
            encoding_errors: EncodingErrors::default(),
            on_row_error: OnRowError::default(),
        }
    }
}

/// The sources as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) enum Sources {
    /// One source.
    One(String),
    /// Several, in order.
    List(Vec<String>),
    /// Sources for each split, in the order of the splits' names.
    Splits(Vec<(String, OneOrMore)>),
}

/// A source, or several in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Serialize for OneOrMore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OneOrMore::One(source) => serializer.serialize_str(source),
            OneOrMore::More(sources) => sources.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Sources::deserialize(deserializer)? {
            Sources::One(source) => Ok(OneOrMore::One(source)),
            Sources::List(sources) => Ok(OneOrMore::More(sources)),
            Sources::Splits(_) => {
                Err(de::Error::custom("a split has a source or a list of sources, but here is a map"))
            }
        }
    }
}

impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Sources::One(source) => serializer.serialize_str(source),
            Sources::List(sources) => sources.serialize(serializer),
            Sources::Splits(splits) => {
                let mut map = serializer.serialize_map(Some(splits.len()))?;
                for (split, source) in splits {
                    map.serialize_entry(split, source)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Sources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source, a list of sources, or a map from split names to sources")
            }

            fn visit_str<E: de::Error>(self, source: &str) -> Result<Sources, E> {
                Ok(Sources::One(source.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sources, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = seq.next_element()? {
                    sources.push(source);
                }
                Ok(Sources::List(sources))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sources, A::Error> {
                let mut splits = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    splits.push(entry);
                }
                Ok(Sources::Splits(splits))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Sources {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Sources".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            { "type": "object", "minProperties": 1, "additionalProperties": { "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ] } },
        ] })
    }
}

/// One or more columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::stages) struct Columns(pub Vec<String>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column or a list of names")
            }

            fn visit_str<E: de::Error>(self, column: &str) -> Result<Columns, E> {
                Ok(Columns(vec![column.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = seq.next_element()? {
                    columns.push(column);
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Columns {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Columns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] })
    }
}

/// A text, a number or a truth value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::stages) struct Scalar(pub Value);

impl Scalar {
    /// As it would stand in a cell.
    pub(in crate::stages) fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.into()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.into()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.into()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(number.into()))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
