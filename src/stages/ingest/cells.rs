//! Which ids, numbers, folds and weights may stand in cells?

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::place::shown;

/// An id that no row has had; `row` is this row's number from 0.
pub(super) fn new_id<'c>(ids: &mut FxHashMap<u128, u64>, id: Option<&'c str>, row: u64) -> Result<&'c str, String> {
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| "the id is missing".to_owned())?;
    let mut first = [0; 16];
    first.iter_mut().zip(blake3::hash(id.as_bytes()).as_bytes()).for_each(|(to, from)| *to = *from);
    match ids.entry(u128::from_le_bytes(first)) {
        Entry::Vacant(free) => {
            free.insert(row);
            Ok(id)
        }
        Entry::Occupied(taken) => {
            Err(format!("the id `{}` stands in row {} of all rows already", shown(id), taken.get() + 1))
        }
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A whole number, also as other programs write a column with gaps: `3.0`.
pub(super) fn whole(value: &str) -> Option<i64> {
    let digits = value.trim();
    let digits =
        digits.split_once('.').filter(|(_, rest)| rest.chars().all(|c| c == '0')).map_or(digits, |(whole, _)| whole);
    digits.parse().ok()
}

/// A number to be predicted.
pub(super) fn value(text: &str) -> Result<f64, String> {
    number(text).ok_or_else(|| format!("`{}` is not a finite number", shown(text)))
}

/// A fold.
pub(super) fn fold(value: &str) -> Result<i64, String> {
    whole(value).ok_or_else(|| format!("`{}` is not a whole number", shown(value)))
}

/// A weight.
pub(super) fn weight(value: &str) -> Result<f64, String> {
    let weight = number(value).filter(|weight| *weight > 0.0);
    weight.ok_or_else(|| format!("`{}` is no weight: a number above 0 is wanted", shown(value)))
}
