//! How are further columns kept, and of which types are they?
//!
//! A column's type may be known only once its last cell has been read, so cells wait as text in a file without a name.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema as Columns};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::stage::{Emit, StageError};

/// Which further columns to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) enum Keep {
    /// All that nothing else uses.
    All,
    /// These.
    Some(Vec<(String, Option<Type>)>),
}

impl Default for Keep {
    fn default() -> Self {
        Keep::Some(Vec::new())
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Type {
    /// Text.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// `true` and `false`.
    Boolean,
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Keep::All => serializer.serialize_str("all"),
            Keep::Some(columns) if columns.iter().all(|(_, of)| of.is_none()) => {
                serializer.collect_seq(columns.iter().map(|(name, _)| name))
            }
            Keep::Some(columns) => serializer.collect_map(columns.iter().map(|(name, of)| (name, of))),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Keep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, a list of columns, or a map from columns to their types")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Keep, E> {
                match word {
                    "all" => Ok(Keep::All),
                    _ => {
                        Err(E::custom(format!("`columns` is `all`, a list or a map; for one column write `[{word}]`")))
                    }
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Keep, A::Error> {
                let names: Vec<String> = Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(Keep::Some(names.into_iter().map(|name| (name, None)).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keep, A::Error> {
                let mut columns = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    columns.push(entry);
                }
                Ok(Keep::Some(columns))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Keep {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let of = generator.subschema_for::<Type>();
        json_schema!({ "anyOf": [
            { "const": "all" },
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": { "anyOf": [of, { "type": "null" }] } },
        ] })
    }
}

impl Type {
    /// For a person.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Type::Text => "a text",
            Type::Integer => "a whole number",
            Type::Number => "a number",
            Type::Boolean => "`true` or `false`",
        }
    }

    /// True if a cell may stand in such a column. An empty one may stand in any.
    pub(super) fn fits(self, cell: &str) -> bool {
        cell.is_empty()
            || match self {
                Type::Text => true,
                Type::Integer => cell.parse::<i64>().is_ok(),
                Type::Number => cell.parse::<f64>().is_ok_and(f64::is_finite),
                Type::Boolean => truth(cell).is_some(),
            }
    }
}

fn truth(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Digits that say more than a number does: `007`, `+1`.
fn is_code(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    digits.starts_with('+') || (digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit))
}

/// Whole numbers of which a `Number` would lose digits.
fn is_cut(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole && !cell.parse::<i64>().is_ok_and(|whole| i128::from(whole) == whole as f64 as i128)
}

/// Cells that are kept.
pub(super) struct Kept {
    columns: Vec<Column>,
    row_id: StringBuilder,
    spool: StreamWriter<BufWriter<File>>,
    schema: Arc<Columns>,
}

struct Column {
    name: String,
    declared: Option<Type>,
    /// The types that all cells so far have, narrowest first.
    possible: Vec<Type>,
    /// Whether there is a cell, and whether there is one with something in it.
    some: bool,
    filled: bool,
    cells: StringBuilder,
}

impl Kept {
    /// Before any row.
    pub(super) fn new(columns: Vec<(String, Option<Type>)>) -> Result<Self, StageError> {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let fields: Vec<Field> =
            std::iter::once(text("row_id")).chain(columns.iter().map(|(name, _)| text(name))).collect();
        let schema = Arc::new(Columns::new(fields));
        let file = tempfile::tempfile().map_err(aside)?;
        let spool = StreamWriter::try_new_buffered(file, &schema).map_err(aside)?;
        let columns = columns.into_iter().map(|(name, declared)| Column {
            name,
            declared,
            possible: vec![Type::Boolean, Type::Integer, Type::Number],
            some: false,
            filled: false,
            cells: StringBuilder::new(),
        });
        Ok(Kept { columns: columns.collect(), row_id: StringBuilder::new(), spool, schema })
    }

    /// Adds a row. `is_text` says which cells are text in the file itself, whatever they look like.
    pub(super) fn push<'c>(&mut self, row_id: &str, cells: impl Iterator<Item = (Option<&'c str>, bool)>) {
        self.row_id.append_value(row_id);
        for (column, (cell, is_text)) in self.columns.iter_mut().zip(cells) {
            column.cells.append_option(cell);
            let Some(cell) = cell else { continue };
            column.some = true;
            column.filled |= !cell.is_empty();
            if is_text || (!column.possible.is_empty() && !cell.is_empty() && is_code(cell)) {
                column.possible.clear();
            }
            column.possible.retain(|of| of.fits(cell) && !(*of == Type::Number && is_cut(cell)));
        }
    }

    /// Puts the rows so far aside.
    pub(super) fn flush(&mut self) -> Result<(), StageError> {
        let row_ids: ArrayRef = Arc::new(self.row_id.finish());
        let cells = self.columns.iter_mut().map(|column| Arc::new(column.cells.finish()) as ArrayRef);
        let columns = std::iter::once(row_ids).chain(cells).collect();
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(StageError::caused)?;
        self.spool.write(&rows).map_err(aside)
    }

    /// The first column in which no row has a cell.
    pub(super) fn lacks(&self) -> Option<&str> {
        self.columns.iter().find(|column| !column.some).map(|column| column.name.as_str())
    }

    /// Hands the columns on with their types.
    pub(super) fn finish(self, to: &mut dyn Emit) -> Result<(), StageError> {
        let types: Vec<Type> = self.columns.iter().map(Column::of).collect();
        let mut file = self.spool.into_inner().map_err(aside)?.into_inner().map_err(|e| aside(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(aside)?;
        let batches = StreamReader::try_new(BufReader::new(file), None).map_err(StageError::caused)?;
        for batch in batches {
            let batch = batch.map_err(StageError::caused)?;
            let mut columns: Vec<(&str, ArrayRef, bool)> = Vec::with_capacity(batch.num_columns());
            for (at, (field, cells)) in batch.schema_ref().fields().iter().zip(batch.columns()).enumerate() {
                match at.checked_sub(1).and_then(|at| types.get(at)) {
                    None => columns.push(("row_id", Arc::clone(cells), false)),
                    Some(of) => columns.push((field.name(), typed(cells.as_string::<i32>(), *of), true)),
                }
            }
            to.emit("columns", RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)?)?;
        }
        Ok(())
    }
}

impl Column {
    fn of(&self) -> Type {
        let narrowest = self.possible.first().copied().filter(|_| self.filled);
        self.declared.or(narrowest).unwrap_or(Type::Text)
    }
}

fn typed(cells: &StringArray, of: Type) -> ArrayRef {
    match of {
        Type::Text => Arc::new(cells.clone()),
        Type::Integer => Arc::new(cells.iter().map(|cell| cell?.parse().ok()).collect::<Int64Array>()),
        Type::Number => Arc::new(cells.iter().map(|cell| cell?.parse().ok()).collect::<Float64Array>()),
        Type::Boolean => Arc::new(cells.iter().map(|cell| truth(cell?)).collect::<BooleanArray>()),
    }
}

fn aside(error: impl Into<ArrowError>) -> StageError {
    StageError::failed("columns cannot be put aside in the system's folder for passing files")
        .because(error.into().to_string())
        .help("make room there, or name another folder with the environment variable `TMPDIR`")
}
