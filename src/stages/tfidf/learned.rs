//! What does the part `vocabulary` hold? One row for each column: `index`, `document_frequency`, `idf`, and the term as `name`
//! where terms are not hashed. With `index` and `name` it is a names table as well.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};

use crate::ml::{HashedWeights, Vocabulary};
use crate::stage::StageError;

/// The table of a vocabulary.
pub(super) fn vocabulary_table(vocabulary: &Vocabulary) -> Result<RecordBatch, StageError> {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(vocabulary.terms.iter()));
    table(Some(names), &vocabulary.document_frequency, vocabulary.idf.as_deref())
}

/// The table of hashed columns; without rows where they have no weights.
pub(super) fn hashed_table(weights: &HashedWeights) -> Result<RecordBatch, StageError> {
    table(None, &weights.document_frequency, weights.idf.as_deref())
}

fn table(names: Option<ArrayRef>, documents: &[u32], idf: Option<&[f64]>) -> Result<RecordBatch, StageError> {
    let idf: Float64Array = match idf {
        Some(idf) => Float64Array::from(idf.to_vec()),
        None => Float64Array::new_null(documents.len()),
    };
    let index: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..documents.len() as u32));
    let documents = UInt64Array::from_iter_values(documents.iter().map(|&rows| u64::from(rows)));
    let mut columns = vec![("index", index, false)];
    columns.extend(names.map(|names| ("name", names, false)));
    columns.extend([("document_frequency", Arc::new(documents) as ArrayRef, false), ("idf", Arc::new(idf), true)]);
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

/// The vocabulary of a table.
pub(super) fn vocabulary_of(table: &RecordBatch) -> Result<Vocabulary, StageError> {
    let names: &StringArray = column(table, "name")?;
    let terms = Arc::new(names.iter().flatten().collect());
    Ok(Vocabulary { terms, document_frequency: documents(table)?, idf: idf(table)? })
}

/// The weights of hashed columns.
pub(super) fn hashed_of(table: &RecordBatch) -> Result<HashedWeights, StageError> {
    let idf = if table.num_rows() == 0 { None } else { idf(table)? };
    Ok(HashedWeights { document_frequency: documents(table)?, idf })
}

fn documents(table: &RecordBatch) -> Result<Vec<u32>, StageError> {
    let documents: &UInt64Array = column(table, "document_frequency")?;
    Ok(documents.values().iter().map(|&rows| u32::try_from(rows).unwrap_or(u32::MAX)).collect())
}

fn idf(table: &RecordBatch) -> Result<Option<Vec<f64>>, StageError> {
    let idf: &Float64Array = column(table, "idf")?;
    Ok((idf.null_count() == 0).then(|| idf.values().to_vec()))
}

fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t T, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
    column.ok_or_else(|| StageError::failed(format!("a vocabulary has no column `{name}`")))
}
