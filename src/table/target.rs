//! What does the part `target` hold? One row for each text: `row_id`, and where the data has them `label`, `value`, `fold`,
//! `split`, `group`, `weight`, `label_set`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Float64Builder, Int64Array, Int64Builder, ListArray, RecordBatch, StringArray,
    StringBuilder,
};
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
    /// The number to be predicted: finite.
    pub value: Option<Vec<f64>>,
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
        if let Some(value) = &self.value {
            same_length("value", rows, value.len())?;
            columns.push(("value", Arc::new(Float64Array::from(value.clone())), false));
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
        let value: Option<&Float64Array> = optional(table, "value")?;
        let fold: Option<&Int64Array> = optional(table, "fold")?;
        let split: Option<&StringArray> = optional(table, "split")?;
        let group: Option<&StringArray> = optional(table, "group")?;
        let weight: Option<&Float64Array> = optional(table, "weight")?;
        let sets: Option<&ListArray> = optional(table, "label_set")?;
        Ok(Target {
            row_id: owned(row_ids(table)?),
            label: label.map(owned_options),
            value: value.map(|value| value.values().to_vec()),
            fold: fold.map(|fold| fold.iter().collect()),
            split: split.map(owned_options),
            group: group.map(owned_options),
            weight: weight.map(|weight| weight.values().to_vec()),
            label_set: sets.map(|sets| owned_lists("label_set", sets)).transpose()?,
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

/// Which columns a [`TargetBuilder`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetColumns {
    /// `label`.
    pub label: bool,
    /// `value`.
    pub value: bool,
    /// `fold`.
    pub fold: bool,
    /// `split`.
    pub split: bool,
    /// `group`.
    pub group: bool,
    /// `weight`.
    pub weight: bool,
    /// `label_set`.
    pub label_set: bool,
}

/// One row of the part.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetRow<'r> {
    /// Its class.
    pub label: Option<&'r str>,
    /// Its number; must be there where the table has the column.
    pub value: Option<f64>,
    /// The fold that holds it out.
    pub fold: Option<i64>,
    /// Its split.
    pub split: Option<&'r str>,
    /// Its group.
    pub group: Option<&'r str>,
    /// Its weight; 1 if not said.
    pub weight: Option<f64>,
    /// Its classes, in code-point order, each once.
    pub label_set: Vec<String>,
}

/// Makes tables of rows that come one by one; they are [`Target::to_table`]'s.
#[derive(Debug, Default)]
pub struct TargetBuilder {
    has: TargetColumns,
    label: StringBuilder,
    value: Float64Builder,
    fold: Int64Builder,
    split: StringBuilder,
    group: StringBuilder,
    weight: Float64Builder,
    label_set: Vec<Vec<String>>,
}

impl TargetBuilder {
    /// Tables with these columns.
    pub fn new(has: TargetColumns) -> Self {
        TargetBuilder { has, ..TargetBuilder::default() }
    }

    /// Adds a row; what has no column is not kept.
    pub fn push(&mut self, row: TargetRow<'_>) {
        let has = self.has;
        if has.label {
            self.label.append_option(row.label);
        }
        if has.value {
            self.value.append_option(row.value);
        }
        if has.fold {
            self.fold.append_option(row.fold);
        }
        if has.split {
            self.split.append_option(row.split);
        }
        if has.group {
            self.group.append_option(row.group);
        }
        if has.weight {
            self.weight.append_value(row.weight.unwrap_or(1.0));
        }
        if has.label_set {
            self.label_set.push(row.label_set);
        }
    }

    /// The table of the rows added since the last one; there must be as many as row ids.
    pub fn finish(&mut self, row_ids: StringArray) -> Result<RecordBatch, TableError> {
        let (rows, has) = (row_ids.len(), self.has);
        let mut columns: Vec<(&'static str, ArrayRef, bool)> = vec![("row_id", Arc::new(row_ids), false)];
        let mut add = |is_there: bool, name: &'static str, column: ArrayRef, nullable: bool| {
            if is_there {
                same_length(name, rows, column.len())?;
                columns.push((name, column, nullable));
            }
            Ok::<(), TableError>(())
        };
        add(has.label, "label", Arc::new(self.label.finish()), true)?;
        add(has.value, "value", Arc::new(self.value.finish()), false)?;
        add(has.fold, "fold", Arc::new(self.fold.finish()), true)?;
        add(has.split, "split", Arc::new(self.split.finish()), true)?;
        add(has.group, "group", Arc::new(self.group.finish()), true)?;
        add(has.weight, "weight", Arc::new(self.weight.finish()), false)?;
        add(has.label_set, "label_set", Arc::new(lists(&std::mem::take(&mut self.label_set))?), false)?;
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }
}

/// A list of strings for each row.
pub(super) fn lists(sets: &[Vec<String>]) -> Result<ListArray, TableError> {
    let items = Arc::new(Field::new("item", DataType::Utf8, false));
    let values = strings("label_set", sets.iter().flatten().map(Some))?;
    let offsets = OffsetBuffer::from_lengths(sets.iter().map(Vec::len));
    Ok(ListArray::try_new(items, offsets, Arc::new(values), None)?)
}

pub(super) fn owned_lists(name: &'static str, column: &ListArray) -> Result<Vec<Vec<String>>, TableError> {
    let of = |values: ArrayRef| values.as_any().downcast_ref::<StringArray>().map(owned);
    column.iter().map(|values| values.map_or(Some(Vec::new()), of).ok_or(TableError::Column { name })).collect()
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
            value: Some(vec![-0.5, 0.0, 1e300]),
            group: Some(strings_of(&[Some("g"), None, Some("g")])),
            weight: Some(vec![0.5, 1.0, 2.0]),
            label_set: Some(vec![names(&["x", "y"]), names(&[]), names(&["y"])]),
            ..three_rows()
        };
        for target in [Target::default(), bare, three_rows(), split, more] {
            let table = target.to_table().unwrap();
            assert_eq!(Target::from_table(&table).unwrap(), target);
            assert_eq!(row_by_row(&target), table);
        }
    }

    fn row_by_row(target: &Target) -> RecordBatch {
        let Target { row_id, label, value, fold, split, group, weight, label_set } = target;
        let mut builder = TargetBuilder::new(TargetColumns {
            label: label.is_some(),
            value: value.is_some(),
            fold: fold.is_some(),
            split: split.is_some(),
            group: group.is_some(),
            weight: weight.is_some(),
            label_set: label_set.is_some(),
        });
        for row in 0..row_id.len() {
            builder.push(TargetRow {
                label: label.as_ref().and_then(|column| column[row].as_deref()),
                value: value.as_ref().map(|column| column[row]),
                fold: fold.as_ref().and_then(|column| column[row]),
                split: split.as_ref().and_then(|column| column[row].as_deref()),
                group: group.as_ref().and_then(|column| column[row].as_deref()),
                weight: weight.as_ref().map(|column| column[row]),
                label_set: label_set.as_ref().map(|column| column[row].clone()).unwrap_or_default(),
            });
        }
        builder.finish(StringArray::from(row_id.clone())).unwrap()
    }

    #[test]
    fn a_missing_number_is_no_table() {
        let mut builder = TargetBuilder::new(TargetColumns { value: true, ..TargetColumns::default() });
        builder.push(TargetRow { value: None, ..TargetRow::default() });
        assert!(builder.finish(StringArray::from(vec!["a"])).is_err());
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
