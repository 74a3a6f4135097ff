//! Which kept columns are meant, and what stands in them?

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;

use crate::problem::suggest;
use crate::stage::StageError;
use crate::table::row_ids;

/// The parameter that names columns of numbers.
pub(super) const NUMERIC: &str = "numeric";
/// The parameter that names columns of categories.
pub(super) const CATEGORICAL: &str = "categorical";

/// The columns that are encoded.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) numeric: Vec<Column>,
    pub(super) categorical: Vec<Column>,
}

/// A column, and where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// The way into `with`; empty if it is not named.
    param: Vec<String>,
}

/// A category: as text, and as a number where the column is one of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Category {
    pub(super) text: String,
    pub(super) number: Option<f64>,
}

impl Column {
    /// An error about it.
    pub(super) fn error(&self, message: String) -> StageError {
        let param: Vec<&str> = self.param.iter().map(String::as_str).collect();
        let error = StageError::failed(message);
        if param.is_empty() { error } else { error.at_param(&param) }
    }

    /// The error that some of its numbers are missing.
    pub(super) fn missing(&self, numbers: &[Option<f64>], table: &RecordBatch) -> StageError {
        let first = numbers.iter().position(Option::is_none).unwrap_or_default();
        let many = numbers.iter().filter(|number| number.is_none()).count();
        let more = if many > 1 { format!(" and {} more", many - 1) } else { String::new() };
        self.error(format!("the column `{}` has no number in row `{}`{more}", self.name, id_of(table, first)))
            .help("say what stands in for it, for instance `impute: median`")
    }

    pub(super) fn too_large(&self, number: f64, row: usize, table: &RecordBatch) -> StageError {
        let message = format!("the column `{}` is too large in row `{}`: {number:e}", self.name, id_of(table, row));
        self.error(message)
    }

    pub(super) fn unknown(&self, value: Option<&str>, row: usize, table: &RecordBatch) -> StageError {
        let value = value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"));
        let message =
            format!("the column `{}` has {value} in row `{}`, which no training row has", self.name, id_of(table, row));
        self.error(message).help("choose `handle_unknown: ignore` or `infrequent_if_exist`")
    }
}

fn id_of(table: &RecordBatch, row: usize) -> String {
    row_ids(table).ok().filter(|ids| row < ids.len()).map_or_else(String::new, |ids| ids.value(row).to_owned())
}

/// The columns that are named; all by their types if none is.
pub(super) fn chosen(
    table: &RecordBatch,
    numeric: Option<&[String]>,
    categorical: Option<&[String]>,
) -> Result<Chosen, StageError> {
    if numeric.is_none() && categorical.is_none() {
        let mut chosen = Chosen::default();
        for field in table.schema_ref().fields().iter().filter(|field| field.name() != "row_id") {
            let column = Column { name: field.name().clone(), param: Vec::new() };
            match field.data_type() {
                DataType::Int64 | DataType::Float64 => chosen.numeric.push(column),
                _ => chosen.categorical.push(column),
            }
        }
        return Ok(chosen);
    }
    let of = |param: &str, names: Option<&[String]>| {
        let named = names.unwrap_or_default().iter().enumerate().map(|(place, name)| {
            let column = Column { name: name.clone(), param: vec![param.to_owned(), place.to_string()] };
            found(table, &column).map(|_| column)
        });
        named.collect::<Result<Vec<_>, _>>()
    };
    Ok(Chosen { numeric: of(NUMERIC, numeric)?, categorical: of(CATEGORICAL, categorical)? })
}

fn found<'t>(table: &'t RecordBatch, column: &Column) -> Result<&'t ArrayRef, StageError> {
    let name = column.name.as_str();
    if name != "row_id"
        && let Some(array) = table.column_by_name(name)
    {
        return Ok(array);
    }
    let schema = table.schema_ref();
    let known: Vec<&str> =
        schema.fields().iter().map(|field| field.name().as_str()).filter(|name| *name != "row_id").collect();
    let error = column.error(format!("the rows keep no column `{name}`; they keep {}", known.join(", ")));
    Err(match suggest(name, known.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("add it to the `columns` of `ingest`: `columns: [{name}, …]`")),
    })
}

/// The numbers of a column; missing is an empty cell or NaN.
pub(super) fn numbers(table: &RecordBatch, column: &Column) -> Result<Vec<Option<f64>>, StageError> {
    let array = found(table, column)?;
    let any = array.as_any();
    if let Some(whole) = any.downcast_ref::<Int64Array>() {
        return Ok(whole.iter().map(|value| value.map(|value| value as f64)).collect());
    }
    if let Some(truth) = any.downcast_ref::<BooleanArray>() {
        return Ok(truth.iter().map(|value| value.map(|value| f64::from(u8::from(value)))).collect());
    }
    let Some(real) = any.downcast_ref::<Float64Array>() else {
        let error = column.error(format!("the column `{}` holds text, not numbers", column.name));
        return Err(error.help(format!(
            "name it under `{CATEGORICAL}`, or keep it as numbers in `ingest`: `columns: {{ {}: number }}`",
            column.name
        )));
    };
    let numbers: Vec<Option<f64>> = real.iter().map(|value| value.filter(|value| !value.is_nan())).collect();
    match numbers.iter().position(|value| value.is_some_and(f64::is_infinite)) {
        Some(row) => {
            Err(column.error(format!("the column `{}` is infinite in row `{}`", column.name, id_of(table, row))))
        }
        None => Ok(numbers),
    }
}

/// The categories of a column; missing is an empty cell or NaN.
pub(super) fn categories(table: &RecordBatch, column: &Column) -> Result<Vec<Option<Category>>, StageError> {
    let any = found(table, column)?.as_any();
    let plain = |text: String| Category { text, number: None };
    if let Some(text) = any.downcast_ref::<StringArray>() {
        return Ok(text.iter().map(|value| value.map(|value| plain(value.to_owned()))).collect());
    }
    if let Some(truth) = any.downcast_ref::<BooleanArray>() {
        return Ok(truth.iter().map(|value| value.map(|value| plain(value.to_string()))).collect());
    }
    let number = |text: String, number: f64| Category { text, number: Some(number) };
    if let Some(whole) = any.downcast_ref::<Int64Array>() {
        return Ok(whole.iter().map(|value| value.map(|value| number(value.to_string(), value as f64))).collect());
    }
    let Some(real) = any.downcast_ref::<Float64Array>() else {
        return Err(column.error(format!("the column `{}` holds no categories", column.name)));
    };
    let of = |value: f64| {
        // one zero
        let value = if value == 0.0 { 0.0 } else { value };
        number(value.to_string(), value)
    };
    Ok(real.iter().map(|value| value.filter(|value| !value.is_nan()).map(of)).collect())
}
