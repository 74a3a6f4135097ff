//! How are rows read from Parquet?

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::lines::fetch_failed;
use super::rows::{At, Collector, Next};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Rows in memory at once.
const BATCH: usize = 8192;

/// Reads a file's rows.
pub(super) fn read(file: &Fetched, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let source = file.source.as_str();
    let damaged = |error: ParquetError| {
        StageError::failed(format!("`{source}` cannot be read as Parquet")).because(error.to_string())
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(on_disk(file)?).map_err(damaged)?;
    let has: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let places = rows.wanted.find(source, &has)?;
    let mask = ProjectionMask::roots(reader.parquet_schema(), places.iter().copied());
    let batches = reader.with_projection(mask).with_batch_size(BATCH).build().map_err(damaged)?;
    let mut before = 0_u64;
    for batch in batches {
        let batch = batch.map_err(|error| damaged(error.into()))?;
        if strings(source, &batch, rows, before)? == Next::Stop {
            return Ok(Next::Stop);
        }
        before += batch.num_rows() as u64;
    }
    Ok(Next::Read)
}

/// Parquet is read from its end, so a member of an archive is unpacked to a nameless file first.
fn on_disk(file: &Fetched) -> Result<File, StageError> {
    let failed =
        |error: io::Error| StageError::failed(format!("`{}` cannot be read", file.source)).because(error.to_string());
    match file.path() {
        Some(path) if !file.name.to_lowercase().ends_with(".gz") => File::open(path).map_err(failed),
        _ => {
            let mut spooled = tempfile::tempfile().map_err(failed)?;
            io::copy(&mut file.open().map_err(fetch_failed)?, &mut spooled).map_err(failed)?;
            spooled.seek(SeekFrom::Start(0)).map_err(failed)?;
            Ok(spooled)
        }
    }
}

fn strings(source: &str, batch: &RecordBatch, rows: &mut Collector<'_>, before: u64) -> Result<Next, StageError> {
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
            let named = rows_shown(&cells);
            format!("{{ {named} }}")
        };
        if rows.push(at, &cells, &show)? == Next::Stop {
            return Ok(Next::Stop);
        }
    }
    Ok(Next::Read)
}

fn rows_shown(cells: &[Option<&str>]) -> String {
    cells.iter().map(|cell| cell.unwrap_or("null")).collect::<Vec<_>>().join(" | ")
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
