//! What does the part `target` hold? One row for each text: `row_id`, and where the data has them `label`, `fold`, `split`,
//! `group`, `weight`, `label_set`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};

use super::TableError;
use super::columns::{optional, owned, owned_options, same_length, strings};
use super::text::row_ids;

/// What is known of each row besides its text. A column that the data does not have is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// Which row.
    pub row_id: Vec<String>,
    /// Its class.
    pub label: Option<Vec<Option<String>>>,
    /// The fold that holds it out.
    pub fold: Option<Vec<Option<i64>>>,
    /// The split it belongs to: `train`, `test`, …
    pub split: Option<Vec<Option<String>>>,
    /// What it belongs together with: rows of one group never stand on both sides of a fold.
    pub group: Option<Vec<Option<String>>>,
    /// How much it counts when a learner learns: above 0, 1 where nothing else is said.
    pub weight: Option<Vec<f64>>,
    /// Its classes, where a row may have several, in code-point order, each once.
    pub label_set: Option<Vec<Vec<String>>>,
}

/// Labels as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// The classes in code-point order, each once.
    pub classes: Vec<String>,
    /// For each row, its class: an index into `classes`.
    pub index: Vec<u32>,
}

impl Target {
    /// The table; columns that are there must have one value for each row.
    pub fn to_table(&self) -> Result<RecordBatch, TableError> {
        let rows = self.row_id.len();
        let mut columns: Vec<(&str, ArrayRef, bool)> =
            vec![("row_id", Arc::new(strings("row_id", self.row_id.iter().map(Some))?), false)];
        if let Some(label) = &self.label {
            same_length("label", rows, label.len())?;
            columns.push(("label", Arc::new(strings("label", label.iter().map(Option::as_ref))?), true));
        }
        if let Some(fold) = &self.fold {
            same_length("fold", rows, fold.len())?;
            columns.push(("fold", Arc::new(Int64Array::from(fold.clone())), true));
        }
        if let Some(split) = &self.split {
            same_length("split", rows, split.len())?;
            columns.push(("split", Arc::new(strings("split", split.iter().map(Option::as_ref))?), true));
        }
        if let Some(group) = &self.group {
            same_length("group", rows, group.len())?;
            columns.push(("group", Arc::new(strings("group", group.iter().map(Option::as_ref))?), true));
        }
        if let Some(weight) = &self.weight {
            same_length("weight", rows, weight.len())?;
            columns.push(("weight", Arc::new(Float64Array::from(weight.clone())), false));
        }
        if let Some(sets) = &self.label_set {
            same_length("label_set", rows, sets.len())?;
            columns.push(("label_set", Arc::new(lists(sets)?), false));
        }
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }

    /// What a table of this part holds.
    pub fn from_table(table: &RecordBatch) -> Result<Self, TableError> {
        let label: Option<&StringArray> = optional(table, "label")?;
        let fold: Option<&Int64Array> = optional(table, "fold")?;
        let split: Option<&StringArray> = optional(table, "split")?;
        let group: Option<&StringArray> = optional(table, "group")?;
        let weight: Option<&Float64Array> = optional(table, "weight")?;
        let sets: Option<&ListArray> = optional(table, "label_set")?;
        Ok(Target {
            row_id: owned(row_ids(table)?),
            label: label.map(owned_options),
            fold: fold.map(|fold| fold.iter().collect()),
            split: split.map(owned_options),
            group: group.map(owned_options),
            weight: weight.map(|weight| weight.values().to_vec()),
            label_set: sets.map(owned_lists).transpose()?,
        })
    }

    /// The labels as numbers; an error that names the first row without one.
    pub fn labels(&self) -> Result<Labels, TableError> {
        let labels = self.label.as_ref().ok_or(TableError::NoLabels)?;
        same_length("label", self.row_id.len(), labels.len())?;
        let mut present = Vec::with_capacity(labels.len());
        for (row_id, label) in self.row_id.iter().zip(labels) {
            present.push(label.as_deref().ok_or_else(|| TableError::NoLabel { row_id: row_id.clone() })?);
        }
        let classes: BTreeSet<&str> = present.iter().copied().collect();
        let numbers: BTreeMap<&str, u32> = classes.iter().copied().zip(0..).collect();
        Ok(Labels {
            index: present.iter().filter_map(|label| numbers.get(label).copied()).collect(),
            classes: classes.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// A list of strings for each row.
fn lists(sets: &[Vec<String>]) -> Result<ListArray, TableError> {
    let items = Arc::new(Field::new("item", DataType::Utf8, false));
    let values = strings("label_set", sets.iter().flatten().map(Some))?;
    let offsets = OffsetBuffer::from_lengths(sets.iter().map(Vec::len));
    Ok(ListArray::try_new(items, offsets, Arc::new(values), None)?)
}

fn owned_lists(column: &ListArray) -> Result<Vec<Vec<String>>, TableError> {
    let of = |values: ArrayRef| values.as_any().downcast_ref::<StringArray>().map(owned);
    column
        .iter()
        .map(|values| values.map_or(Some(Vec::new()), of).ok_or(TableError::Column { name: "label_set" }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings_of(values: &[Option<&str>]) -> Vec<Option<String>> {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    fn three_rows() -> Target {
        Target {
            row_id: ["a", "b", "c"].map(str::to_owned).to_vec(),
            label: Some(strings_of(&[Some("ö"), Some("Z"), Some("a")])),
            fold: Some(vec![Some(-1), None, Some(i64::MAX)]),
            ..Target::default()
        }
    }

    #[test]
    fn targets_come_back_as_they_went() {
        let bare = Target { row_id: vec!["a".to_owned()], ..Target::default() };
        let split = Target { split: Some(strings_of(&[Some("train"), None, Some("")])), fold: None, ..three_rows() };
        let names = |set: &[&str]| set.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let more = Target {
            group: Some(strings_of(&[Some("g"), None, Some("g")])),
            weight: Some(vec![0.5, 1.0, 2.0]),
            label_set: Some(vec![names(&["x", "y"]), names(&[]), names(&["y"])]),
            ..three_rows()
        };
        for target in [Target::default(), bare, three_rows(), split, more] {
            assert_eq!(Target::from_table(&target.to_table().unwrap()).unwrap(), target);
        }
    }

    #[test]
    fn classes_are_in_code_point_order() {
        let labels = three_rows().labels().unwrap();
        assert_eq!(labels.classes, ["Z", "a", "ö"]);
        assert_eq!(labels.index, [2, 0, 1]);
    }

    #[test]
    fn a_missing_label_is_named() {
        let none = Target { label: None, ..three_rows() };
        assert!(matches!(none.labels().unwrap_err(), TableError::NoLabels));
        let hole = Target { label: Some(strings_of(&[Some("x"), None, None])), ..three_rows() };
        assert_eq!(hole.labels().unwrap_err().to_string(), "row `b` has no label");
        let short = Target { label: Some(strings_of(&[Some("x")])), ..three_rows() };
        assert!(matches!(short.to_table().unwrap_err(), TableError::Shape { what: "label", expected: 3, found: 1 }));
    }
}
