//! Which rows must stand on one side of every fold? Those of a group, and copies of a text where that is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, StringArray, UInt64Array};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Mask;
use crate::ml::near::{self, Sets, Signature};
use crate::stage::{Output, Parts, StageError};
use crate::table::target::Target;

/// Which texts are copies of each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Copies {
    /// Nobody looks.
    #[default]
    Unlooked,
    /// Byte for byte.
    Exact,
    /// But for case and punctuation.
    Folded,
    /// Nearly.
    Near,
}

const COPIES: [(&str, Copies); 3] = [("exact", Copies::Exact), ("folded", Copies::Folded), ("near", Copies::Near)];

impl Serialize for Copies {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match COPIES.iter().find(|(_, copies)| copies == self) {
            Some((name, _)) => to.serialize_str(name),
            None => to.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Copies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let named = |word: &str| COPIES.iter().find(|(name, _)| *name == word).map(|(_, copies)| *copies);
        match &value {
            serde_json::Value::Bool(false) => Some(Copies::Unlooked),
            serde_json::Value::Bool(true) => Some(Copies::Exact),
            serde_json::Value::String(word) => named(word),
            _ => None,
        }
        .ok_or_else(|| de::Error::custom(format!("must be true, false, `exact`, `folded` or `near`, but is {value}")))
    }
}

impl JsonSchema for Copies {
    fn schema_name() -> Cow<'static, str> {
        "Copies".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "boolean" }, { "enum": ["exact", "folded", "near"] }] })
    }
}

/// A number for each row, equal where rows belong together; `None` where nothing says so of any.
pub(super) fn of(target: &Target, copies: Copies, parts: &Parts) -> Result<Option<Vec<usize>>, StageError> {
    let rows = target.row_id.len();
    let by_copy = match copies {
        Copies::Unlooked => None,
        Copies::Exact => Some(equal("exact", parts)?),
        Copies::Folded => Some(equal("folded", parts)?),
        Copies::Near => Some(nearly(parts)?),
    };
    // A row without a group is one of its own.
    let by_group = target
        .group
        .as_ref()
        .map(|group| Sets::of_equal(group.iter().enumerate().map(|(row, group)| group.as_deref().ok_or(row))));
    let mut sets = match (by_group, by_copy) {
        (None, None) => return Ok(None),
        (Some(sets), None) => sets,
        (sets, Some(first)) => {
            if first.len() != rows {
                return Err(StageError::failed("the profile has not as many rows as the labels"));
            }
            let mut sets = sets.unwrap_or_else(|| Sets::new(rows));
            for (row, first) in first.into_iter().enumerate() {
                sets.join(row, first);
            }
            sets
        }
    };
    Ok(Some((0..rows).map(|row| sets.first(row)).collect()))
}

/// The rows that do not stand alone, each with the name of its group: the first row of it.
pub(super) fn together(groups: &[usize], row_id: &[String]) -> Result<RecordBatch, StageError> {
    let mut sizes = vec![0usize; groups.len()];
    groups.iter().for_each(|&first| sizes[first] += 1);
    let rows = || groups.iter().enumerate().filter(|(_, first)| sizes[**first] > 1);
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(rows().map(|(row, _)| &row_id[row])));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows().map(|(_, first)| &row_id[*first])));
    let columns = [("row_id", ids, false), ("group", names, false)];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

/// For each row the first with an equal value.
fn equal(column: &str, parts: &Parts) -> Result<Vec<usize>, StageError> {
    let table = parts.table("profile")?;
    let values = table.column_by_name(column).and_then(|values| values.as_any().downcast_ref::<UInt64Array>());
    let values = values.ok_or_else(|| StageError::failed(format!("the profile has no column `{column}`")))?;
    let mut sets = Sets::of_equal(values.values().iter());
    Ok((0..values.len()).map(|row| sets.first(row)).collect())
}

/// For each row the first that is nearly the same.
fn nearly(parts: &Parts) -> Result<Vec<usize>, StageError> {
    let table = parts.table("near")?;
    let values = table.column_by_name("signature").and_then(|v| v.as_any().downcast_ref::<FixedSizeBinaryArray>());
    let values = values.ok_or_else(|| StageError::failed("the profile has no column `signature`"))?;
    let signatures: Vec<Option<Signature>> =
        values.iter().map(|bytes| bytes.and_then(|bytes| bytes.try_into().ok())).collect();
    // Texts of equal words are compared once; those without words are equal to each other alone.
    let folded = equal("folded", parts)?;
    if folded.len() != signatures.len() {
        return Err(StageError::failed("the tables of a profile have not equally many rows"));
    }
    let first = |row: usize| folded[row] == row;
    let of: Vec<Option<&Signature>> =
        signatures.iter().enumerate().map(|(row, signature)| signature.as_ref().filter(|_| first(row))).collect();
    let groups = near::estimated_groups(&of, near::THRESHOLD);
    Ok(folded.into_iter().map(|row| groups[row]).collect())
}

/// Folds that were given: where groups stand on both sides, that is told.
pub(super) fn held(target: &Target, masks: Vec<Mask>) -> (Output, Vec<Mask>) {
    let Some(group) = &target.group else { return (Output::new(), masks) };
    let across = |mask: &Mask| {
        let on = |side: &[bool]| {
            let mut on: Vec<&str> =
                group.iter().zip(side).filter(|(_, on)| **on).filter_map(|(g, _)| g.as_deref()).collect();
            on.sort_unstable();
            on.dedup();
            on
        };
        let (train, test) = (on(&mask.train), on(&mask.test));
        test.iter().filter(|group| train.binary_search(group).is_ok()).count()
    };
    let counts: Vec<usize> = masks.iter().map(across).collect();
    let output = match counts.iter().max() {
        Some(most @ 1..) => {
            let groups = if *most == 1 { "1 group stands".to_owned() } else { format!("{most} groups stand") };
            let where_ = if masks.len() == 1 { String::new() } else { format!(" of fold {}", 1 + worst(&counts)) };
            Output::new().warn(format!(
                "{groups} on both sides{where_}: its rows are tested by a model that has seen others of it"
            ))
        }
        _ => Output::new(),
    };
    (output, masks)
}

/// The first fold with the most.
fn worst(counts: &[usize]) -> usize {
    let most = counts.iter().max();
    counts.iter().position(|count| Some(count) == most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(groups: &[Option<&str>]) -> Target {
        Target {
            row_id: (0..groups.len()).map(|row| row.to_string()).collect(),
            group: Some(groups.iter().map(|group| group.map(str::to_owned)).collect()),
            ..Target::default()
        }
    }

    #[test]
    fn rows_without_a_group_are_alone() {
        let target = target(&[Some("b"), None, Some("a"), None, Some("b")]);
        assert_eq!(of(&target, Copies::Unlooked, &Parts::default()).unwrap(), Some(vec![0, 1, 2, 3, 0]));
        let bare = Target { group: None, ..target };
        assert_eq!(of(&bare, Copies::Unlooked, &Parts::default()).unwrap(), None);
    }

    #[test]
    fn those_in_company_are_named() {
        let ids: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let table = together(&[0, 1, 0, 3, 1], &ids).unwrap();
        let column = |at: usize| -> Vec<String> {
            let column = table.column(at).as_any().downcast_ref::<StringArray>().unwrap();
            column.iter().flatten().map(str::to_owned).collect()
        };
        assert_eq!(column(0), ["a", "b", "c", "e"]);
        assert_eq!(column(1), ["a", "b", "a", "b"]);
    }

    #[test]
    fn groups_on_both_sides_are_told() {
        let target = target(&[Some("b"), Some("a"), Some("b"), None]);
        let mask = |test: [bool; 4]| Mask { train: test.map(|tested| !tested).to_vec(), test: test.to_vec() };
        let (output, _) = held(&target, vec![mask([false, true, false, true]), mask([true, false, false, false])]);
        assert_eq!(output.warnings.len(), 1);
        assert!(output.warnings[0].starts_with("1 group stands on both sides of fold 2"), "{:?}", output.warnings);
        let (output, masks) = held(&target, vec![mask([true, false, true, true])]);
        assert!(output.warnings.is_empty() && masks.len() == 1);
    }
}
