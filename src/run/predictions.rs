//! What does a run's `predictions.parquet` hold, and when may the one that is there stay?
//!
//! One row for each row × variant × fold, written variant by variant. It is a run's largest file, so `manifest.json` says,
//! besides its digest, from which tables it was made. If both are as they would be again, the file stays: what was made from
//! the same is compared by digests, and the file is read and held against its own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::Deserialize;
use tempfile::NamedTempFile;

use crate::record::{Evaluation, MANIFEST_FORMAT, Results};
use crate::stage::{Part, StageError};
use crate::table::predictions::{SCORE, sets, values};
use crate::table::{Digest, Packing, ParquetWriter, TableError};

/// The file's name in the run folder.
pub(super) const NAME: &str = "predictions.parquet";

/// Enters what a file was made from: one more when the same tables give another file.
const FORM: u32 = 1;

/// The predictions of a run, ready for its folder.
pub(super) struct Predictions {
    /// The digest of the file.
    pub(super) digest: Digest,
    /// What it was made from; `None` if that cannot be told.
    pub(super) source: Option<Digest>,
    /// The file, beside its place; `None` if the one that has the place stays.
    pub(super) file: Option<NamedTempFile>,
}

impl Predictions {
    /// Writes the predictions into a file that `begin` gives, unless those in `folder` are the same; `None` if there are none.
    pub(super) fn of(
        results: &Results<'_>,
        folder: &Path,
        begin: impl FnOnce() -> io::Result<NamedTempFile>,
    ) -> Result<Option<Predictions>, StageError> {
        if results.evaluations.is_empty() {
            return Ok(None);
        }
        let source = source(results);
        if let Some(digest) = source.and_then(|source| still_there(folder, source)) {
            return Ok(Some(Predictions { digest, source, file: None }));
        }
        let file = begin().map_err(StageError::caused)?;
        let Hashing { out, hasher } = write(results, Hashing { out: file, hasher: blake3::Hasher::new() })?;
        let digest = Digest::new(*hasher.finalize().as_bytes());
        Ok(Some(Predictions { digest, source, file: Some(out) }))
    }
}

/// The digest of all that decides the bytes: who writes, and whose tables in which order.
fn source(results: &Results<'_>) -> Option<Digest> {
    let mut tables = Vec::new();
    for evaluation in &results.evaluations {
        let variant = &results.summary.variants[evaluation.variant];
        let table = evaluation.scores.part("predictions").and_then(Part::digest)?;
        tables.push((&variant.id, &variant.evaluation, table));
    }
    let all = (FORM, &results.summary.fuseline_version, several(results), tables);
    serde_json::to_vec(&all).ok().map(|bytes| Digest::of(&bytes))
}

/// What `manifest.json` says of the predictions beside it.
#[derive(Deserialize)]
struct Said {
    format: u32,
    predictions: Option<Digest>,
    predictions_from: Option<Digest>,
}

/// The digest of the predictions in `folder`, if they were made from `source` and nobody has touched them since.
fn still_there(folder: &Path, source: Digest) -> Option<Digest> {
    let said: Said = serde_json::from_slice(&fs::read(folder.join("manifest.json")).ok()?).ok()?;
    let digest =
        said.predictions.filter(|_| said.format == MANIFEST_FORMAT && said.predictions_from == Some(source))?;
    let path = folder.join(NAME);
    // What a link leads to is not ours, and may change.
    if !fs::symlink_metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(&path).ok()?).ok()?;
    (Digest::new(*hasher.finalize().as_bytes()) == digest).then_some(digest)
}

/// Writes the predictions of all variants; one variant's are in memory at a time.
fn write<W: Write + Send>(results: &Results<'_>, out: W) -> Result<W, StageError> {
    let schema = schema(&classes(results)?, &further(results)?, several(results));
    let mut writer = ParquetWriter::new(out, &schema, Packing::default()).map_err(StageError::caused)?;
    for evaluation in &results.evaluations {
        let table = evaluation.scores.table("predictions")?;
        let rows = rows(results, evaluation, &table, &schema).map_err(StageError::caused)?;
        writer.write(&rows).map_err(StageError::caused)?;
    }
    writer.finish().map_err(StageError::caused)
}

/// True if variants were scored by several stages, so that the stage must be told.
fn several(results: &Results<'_>) -> bool {
    results.summary.variants.windows(2).any(|pair| pair[0].evaluation != pair[1].evaluation)
}

/// The score columns of all variants together, in order.
fn classes(results: &Results<'_>) -> Result<Vec<String>, StageError> {
    let mut all: Vec<String> = Vec::new();
    for evaluation in &results.evaluations {
        let table = evaluation.scores.table("predictions")?;
        let names = table.schema_ref().fields().iter().map(|field| field.name());
        all.extend(names.filter(|name| name.starts_with(SCORE)).cloned());
        all.sort_unstable();
        all.dedup();
    }
    Ok(all)
}

/// The columns that some variant has because it predicts numbers or sets of classes.
fn further(results: &Results<'_>) -> Result<Vec<Field>, StageError> {
    let mut all = Vec::new();
    for name in [values::TRUTH, values::PREDICTED, sets::TRUTH, sets::PREDICTED] {
        for evaluation in &results.evaluations {
            let table = evaluation.scores.table("predictions")?;
            if let Ok(field) = table.schema_ref().field_with_name(name) {
                all.push(field.clone().with_nullable(true));
                break;
            }
        }
    }
    Ok(all)
}

fn schema(classes: &[String], further: &[Field], several: bool) -> SchemaRef {
    let mut fields = vec![Field::new("row_id", DataType::Utf8, false), Field::new("variant", DataType::Utf8, false)];
    if several {
        fields.push(Field::new("evaluation", DataType::Utf8, false));
    }
    fields.push(Field::new("fold", DataType::UInt32, false));
    fields.push(Field::new("label", DataType::Utf8, true));
    fields.push(Field::new("predicted", DataType::Utf8, false));
    fields.extend_from_slice(further);
    fields.extend(classes.iter().map(|class| Field::new(class, DataType::Float64, true)));
    Arc::new(Schema::new(fields))
}

/// The rows of one variant; a class that it does not have has no scores.
fn rows(
    results: &Results<'_>,
    evaluation: &Evaluation,
    table: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, TableError> {
    let variant = &results.summary.variants[evaluation.variant];
    let same = |value: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, table.num_rows())))
    };
    let column = |field: &Field| match (field.name().as_str(), table.column_by_name(field.name())) {
        ("variant", _) => Ok(same(&variant.id)),
        ("evaluation", _) => Ok(same(&variant.evaluation)),
        (_, Some(column)) => Ok(Arc::clone(column)),
        (_, None) if field.is_nullable() => Ok(new_null_array(field.data_type(), table.num_rows())),
        (_, None) => Err(TableError::Schema),
    };
    let columns = schema.fields().iter().map(|field| column(field)).collect::<Result<Vec<ArrayRef>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Something to write to that knows the digest of what was written.
struct Hashing<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
