//! How do typed columns become cells?

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::rows::{At, Collector, Next, Seen};
use super::wanted::Takes;
use crate::stage::StageError;

/// The next batch. Readers check what they read nearly everywhere; a panic that they still come to is the file's fault.
pub(super) fn next<B>(batches: &mut impl Iterator<Item = Result<B, ArrowError>>) -> Option<Result<B, ArrowError>> {
    catch_unwind(AssertUnwindSafe(|| batches.next())).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let why = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned();
        Some(Err(ArrowError::ParseError(why)))
    })
}

/// Takes the rows of a batch.
pub(super) fn push(
    source: &str,
    batch: &RecordBatch,
    rows: &mut Collector<'_>,
    seen: &mut Seen,
) -> Result<(), StageError> {
    let mut columns: Vec<StringArray> = Vec::with_capacity(rows.wanted.columns.len());
    // in a column that is only kept, NaN is a number that is missing
    let mut gaps: Vec<bool> = Vec::with_capacity(rows.wanted.columns.len());
    for (column, (name, param)) in rows.wanted.columns.iter().enumerate() {
        let array = batch
            .column_by_name(name)
            .ok_or_else(|| StageError::failed(format!("`{source}` lost its column `{name}`")))?;
        if let Some(is_text) = rows.is_text.get_mut(column) {
            *is_text = is_stringy(array.data_type());
        }
        let cast = text_column(array.as_ref(), rows.wanted.takes(column))
            .map_err(|why| StageError::failed(format!("`{source}`, column `{name}`: {why}")).at_param(param))?;
        columns.push(cast);
        gaps.push(array.data_type().is_floating() && rows.wanted.may_lack(column));
    }
    for row in 0..batch.num_rows() {
        let cells = columns.iter().zip(&gaps).map(|(column, gaps)| {
            let cell = column.is_valid(row).then(|| column.value(row));
            cell.filter(|cell| !(*gaps && *cell == "NaN"))
        });
        let cells: Vec<Option<&str>> = cells.collect();
        seen.rows += 1;
        let at = At { source, unit: "row", number: seen.rows };
        let show = || format!("{{ {} }}", rows_shown(&cells));
        seen.next = rows.push(at, &cells, &show)?;
        if seen.next == Next::Stop {
            break;
        }
    }
    Ok(())
}

fn rows_shown(cells: &[Option<&str>]) -> String {
    cells.iter().map(|cell| cell.unwrap_or("null")).collect::<Vec<_>>().join(" | ")
}

fn is_stringy(kind: &DataType) -> bool {
    let value_type = match kind {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    matches!(
        value_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}

fn text_column(array: &dyn Array, takes: Takes) -> Result<StringArray, String> {
    let kind = array.data_type();
    if takes == Takes::Lists
        && let DataType::List(item) | DataType::LargeList(item) = kind
        && !item.data_type().is_nested()
    {
        return lists(array);
    }
    if kind.is_nested() || (takes == Takes::Texts && !is_stringy(kind)) {
        let wanted = if takes == Takes::Texts { "a text" } else { "a text or a number" };
        return Err(format!("{wanted} is wanted, but it holds {kind}"));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(array, &DataType::Utf8, &strict).map_err(|error: ArrowError| error.to_string())?;
    cast.as_string_opt::<i32>().cloned().ok_or_else(|| format!("{kind} cannot be read as text"))
}

/// Lists of labels as JSON lists.
fn lists(array: &dyn Array) -> Result<StringArray, String> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let cast = cast_with_options(array, &DataType::List(item), &strict).map_err(|error| error.to_string())?;
    let texts = |items: ArrayRef| {
        let items: Vec<Option<&str>> = items.as_string_opt::<i32>()?.iter().collect();
        serde_json::to_string(&items).ok()
    };
    let lists = cast.as_list_opt::<i32>().ok_or_else(|| "a list is wanted".to_owned())?;
    Ok(lists.iter().map(|items| items.and_then(texts)).collect())
}
