//! How are rows read from Parquet?

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::columnar;
use super::lines::fetch_failed;
use super::rows::{Collector, Next, Seen};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Rows in memory at once: so many, or fewer where they are long.
const ROWS: usize = 8192;
const BYTES: usize = 64 << 20;

/// Reads a file's rows.
pub(super) fn read(file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let source = file.source.as_str();
    let damaged = |error: ParquetError| {
        StageError::failed(format!("`{source}` cannot be read as Parquet")).because(error.to_string())
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(on_disk(file)?).map_err(damaged)?;
    let has: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let places = rows.find(source, &has)?;
    let mask = ProjectionMask::roots(reader.parquet_schema(), places.iter().copied());
    let at_once = BYTES.checked_div(longest_mean(reader.metadata())).unwrap_or(ROWS).clamp(1, ROWS);
    let mut batches = reader.with_projection(mask).with_batch_size(at_once).build().map_err(damaged)?;
    let mut seen = Seen { rows: 0, next: Next::Read };
    while let Some(batch) = columnar::next(&mut batches) {
        let batch = batch.map_err(|error| damaged(error.into()))?;
        columnar::push(source, &batch, rows, &mut seen)?;
        if seen.next == Next::Stop {
            break;
        }
    }
    Ok(seen)
}

/// How many bytes a row has on average, in the row group where they are longest.
fn longest_mean(metadata: &ParquetMetaData) -> usize {
    let mean = |group: &RowGroupMetaData| group.total_byte_size().checked_div(group.num_rows()).unwrap_or_default();
    metadata.row_groups().iter().filter_map(|group| usize::try_from(mean(group)).ok()).max().unwrap_or_default()
}

/// Parquet is read from its end, so a member of an archive is unpacked to a nameless file first.
pub(super) fn on_disk(file: &Fetched) -> Result<File, StageError> {
    let failed =
        |error: io::Error| StageError::failed(format!("`{}` cannot be read", file.source)).because(error.to_string());
    match file.path() {
        Some(path) if !file.is_packed() => File::open(path).map_err(failed),
        _ => {
            let mut spooled = tempfile::tempfile().map_err(failed)?;
            io::copy(&mut file.open().map_err(fetch_failed)?, &mut spooled).map_err(failed)?;
            spooled.seek(SeekFrom::Start(0)).map_err(failed)?;
            Ok(spooled)
        }
    }
}
