//! What may a pipeline say about the files that it reads?

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::format::Format;

/// Where rows come from and which columns mean what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// The files: a source, a list of sources, or a map from split names to sources (read in the order of the names). A source is a path or a glob relative to
    /// the pipeline file, `hf:…`, `pypi:…`, `npm:…`, `http(s)://…` or `dataset:NAME`, each with `!member` for a file in an archive.
    pub source: Sources,
    /// How the files are written: `csv`, `tsv`, `jsonl` or `parquet`, or one of these with options, for instance
    /// `{ tsv: { header: false, columns: [id, text] } }`. Left out, the file's name tells.
    pub format: Option<Format>,
    /// The column with the rows' ids, each once. Left out, a row's id is its number over all files, from 0, counted before any row is dropped.
    pub id: Option<String>,
    /// The column with the text; the texts of several columns are joined by a newline.
    pub text: Columns,
    /// The column with the label, or `{ column, cuts, names, drop }`. An empty cell is a missing label.
    pub label: Option<Label>,
    /// The column with the fold that holds a row out: a whole number.
    pub fold: Option<String>,
    /// The column with the split: `train`, `test`, …
    pub split: Option<String>,
    /// Stop after this many rows.
    pub limit: Option<u64>,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            source: Sources::List(Vec::new()),
            format: None,
            id: None,
            text: Columns(vec!["text".to_owned()]),
            label: None,
            fold: None,
            split: None,
            limit: None,
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
    /// A source for each split, in the order of the splits' names.
    Splits(Vec<(String, String)>),
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
            { "type": "object", "additionalProperties": { "type": "string" }, "minProperties": 1 },
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

/// The label's column, and how its values become classes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, transform = or_a_column)]
pub(in crate::stages) struct Label {
    /// The column.
    pub column: String,
    /// Rising numbers that divide a numeric column into classes. A value on a cut belongs to the class above it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub cuts: Vec<f64>,
    /// The classes between the cuts, lowest first: one more than there are cuts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub names: Vec<String>,
    /// Values whose rows are left out; with cuts compared as numbers, otherwise as text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub drop: Vec<Scalar>,
}

/// The schema of [`Label`] also takes the column alone.
fn or_a_column(schema: &mut Schema) {
    let fields = schema.clone();
    *schema = json_schema!({ "anyOf": [{ "type": "string" }, fields] });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelFields {
    column: String,
    #[serde(default)]
    cuts: Vec<f64>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    drop: Vec<Scalar>,
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column or `{ column, cuts, names, drop }`")
            }

            fn visit_str<E: de::Error>(self, column: &str) -> Result<Label, E> {
                Ok(Label { column: column.to_owned(), ..Label::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Label, A::Error> {
                let fields = LabelFields::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let LabelFields { column, cuts, names, drop } = fields;
                Ok(Label { column, cuts, names, drop })
            }
        }
        deserializer.deserialize_any(Read)
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
