//! How is a column found in a table, and how is a column of strings made?

use arrow::array::{Array, RecordBatch, StringArray, StringBuilder};

use super::TableError;

/// The column called `name`; its cells may be empty.
pub(super) fn column<'t, T: Array + 'static>(table: &'t RecordBatch, name: &'static str) -> Result<&'t T, TableError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
    column.ok_or(TableError::Column { name })
}

/// The column called `name`, without empty cells.
pub(super) fn full<'t, T: Array + 'static>(table: &'t RecordBatch, name: &'static str) -> Result<&'t T, TableError> {
    let column: &T = column(table, name)?;
    if column.null_count() > 0 {
        return Err(TableError::Nulls { name });
    }
    Ok(column)
}

/// The column called `name` if there is one; an error if it has another type.
pub(super) fn optional<'t, T: Array + 'static>(
    table: &'t RecordBatch,
    name: &'static str,
) -> Result<Option<&'t T>, TableError> {
    if table.column_by_name(name).is_none() { Ok(None) } else { column(table, name).map(Some) }
}

/// How much text the 32-bit offsets of a column reach.
pub(super) const MOST_BYTES: usize = i32::MAX as usize;

/// A column of strings; an error past [`MOST_BYTES`].
pub(super) fn strings<S: AsRef<str>>(
    what: &'static str,
    values: impl IntoIterator<Item = Option<S>>,
) -> Result<StringArray, TableError> {
    strings_within(MOST_BYTES, what, values)
}

fn strings_within<S: AsRef<str>>(
    most: usize,
    what: &'static str,
    values: impl IntoIterator<Item = Option<S>>,
) -> Result<StringArray, TableError> {
    let values = values.into_iter();
    let mut column = StringBuilder::with_capacity(values.size_hint().0, 0);
    let mut bytes = 0;
    for value in values {
        let value = value.as_ref().map(AsRef::as_ref);
        bytes += value.map_or(0, str::len);
        if bytes > most {
            return Err(TableError::TooLarge { what });
        }
        column.append_option(value);
    }
    Ok(column.finish())
}

/// The strings of a column, owned; an empty cell is an empty string.
pub(super) fn owned(column: &StringArray) -> Vec<String> {
    column.iter().map(|value| value.unwrap_or_default().to_owned()).collect()
}

/// The strings of a column, owned.
pub(super) fn owned_options(column: &StringArray) -> Vec<Option<String>> {
    column.iter().map(|value| value.map(str::to_owned)).collect()
}

/// An error unless `found` is `expected`.
pub(super) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<(), TableError> {
    if expected == found { Ok(()) } else { Err(TableError::Shape { what, expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_past_the_limit_is_refused() {
        let values = [Some("äb"), None, Some("c")];
        assert_eq!(strings_within(4, "text", values).unwrap(), StringArray::from(values.to_vec()));
        let error = strings_within(3, "text", values).unwrap_err();
        assert!(matches!(error, TableError::TooLarge { what: "text" }), "{error}");
    }
}
