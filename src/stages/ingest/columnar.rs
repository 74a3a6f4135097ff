//! How do typed columns become cells?

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::rows::{At, Collector, Next};
use crate::stage::StageError;

/// Takes the rows of a batch, before which `before` rows were read.
pub(super) fn push(
    source: &str,
    batch: &RecordBatch,
    rows: &mut Collector<'_>,
    before: u64,
) -> Result<Next, StageError> {
    let mut columns: Vec<StringArray> = Vec::with_capacity(rows.wanted.columns.len());
    for (column, (name, param)) in rows.wanted.columns.iter().enumerate() {
        let array = batch
            .column_by_name(name)
            .ok_or_else(|| StageError::failed(format!("`{source}` lost its column `{name}`")))?;
        let is_text = rows.wanted.text.contains(&column);
        let cast = text_column(array.as_ref(), is_text)
            .map_err(|why| StageError::failed(format!("`{source}`, column `{name}`: {why}")).at_param(param))?;
        columns.push(cast);
    }
    for row in 0..batch.num_rows() {
        let cells: Vec<Option<&str>> =
            columns.iter().map(|column| column.is_valid(row).then(|| column.value(row))).collect();
        let at = At { source, unit: "row", number: before + row as u64 + 1 };
        let show = || {
            let named = cells.iter().map(|cell| cell.unwrap_or("null")).collect::<Vec<_>>().join(" | ");
            format!("{{ {named} }}")
        };
        if rows.push(at, &cells, &show)? == Next::Stop {
            return Ok(Next::Stop);
        }
    }
    Ok(Next::Read)
}

fn text_column(array: &dyn Array, is_text: bool) -> Result<StringArray, String> {
    let value_type = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let stringy = matches!(
        value_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    );
    if value_type.is_nested() || (is_text && !stringy) {
        return Err(format!("a text is wanted, but it holds {value_type}"));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(array, &DataType::Utf8, &strict).map_err(|error: ArrowError| error.to_string())?;
    cast.as_string_opt::<i32>().cloned().ok_or_else(|| format!("{value_type} cannot be read as text"))
}
