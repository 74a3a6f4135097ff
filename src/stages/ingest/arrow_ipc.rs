//! How are rows read from Arrow's own files (`.arrow`, `.feather`) and streams (`.arrows`)?

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};

use super::arrow_sound::{check_file, check_stream};
use super::columnar;
use super::parquet::on_disk;
use super::rows::{Collector, Next, Seen};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// What a file begins with; a stream does not.
const MAGIC: &[u8] = b"ARROW1";
/// The first form of Feather, which was another format.
const OLD: &[u8] = b"FEA1";

/// What to know of a file that is none.
const NEITHER: &str = "an Arrow file begins with `ARROW1`, a stream with the length of its schema";

/// Reads a file's rows.
pub(super) fn read(file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let source = file.source.as_str();
    let damaged = |error: ArrowError| {
        StageError::failed(format!("`{source}` cannot be read as Arrow")).because(error.to_string())
    };
    let mut bytes = on_disk(file)?;
    let mut first = Vec::new();
    let looked = Read::by_ref(&mut bytes).take(MAGIC.len() as u64).read_to_end(&mut first);
    looked.map_err(|error| damaged(error.into())).and_then(|_| rewound(&mut bytes).map_err(damaged))?;
    if first.starts_with(OLD) {
        return Err(StageError::failed(format!("`{source}` is Feather of version 1, which is no Arrow"))
            .help("write the file anew as version 2, as `pyarrow.feather.write_feather` does"));
    }
    if first == MAGIC {
        check_file(again(&bytes, source)?).map_err(damaged)?;
        rewound(&mut bytes).map_err(damaged)?;
        let schema = FileReader::try_new(BufReader::new(again(&bytes, source)?), None).map_err(damaged)?.schema();
        let places = columns(source, &schema, rows)?;
        let reader = FileReader::try_new(BufReader::new(bytes), Some(places)).map_err(damaged)?;
        return take(source, reader, rows, &damaged);
    }
    check_stream(again(&bytes, source)?).map_err(|error| damaged(error).help(NEITHER))?;
    rewound(&mut bytes).map_err(damaged)?;
    let reader = StreamReader::try_new(BufReader::new(bytes), None).map_err(|error| damaged(error).help(NEITHER))?;
    columns(source, &reader.schema(), rows)?;
    take(source, reader, rows, &damaged)
}

/// The same file once more; both read on where either has got to.
fn again(bytes: &File, source: &str) -> Result<File, StageError> {
    bytes
        .try_clone()
        .map_err(|error| StageError::failed(format!("`{source}` cannot be read")).because(error.to_string()))
}

fn rewound(bytes: &mut File) -> Result<(), ArrowError> {
    Ok(bytes.seek(SeekFrom::Start(0)).map(drop)?)
}

fn columns(source: &str, schema: &Schema, rows: &mut Collector<'_>) -> Result<Vec<usize>, StageError> {
    let has: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    rows.find(source, &has)
}

fn take(
    source: &str,
    mut batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    rows: &mut Collector<'_>,
    damaged: &dyn Fn(ArrowError) -> StageError,
) -> Result<Seen, StageError> {
    let mut seen = Seen::default();
    while let Some(batch) = columnar::next(&mut batches) {
        columnar::push(source, &batch.map_err(damaged)?, rows, &mut seen)?;
        if seen.next == Next::Stop {
            break;
        }
    }
    Ok(seen)
}
