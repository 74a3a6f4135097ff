//! What was true of each row of an evaluation, and what was predicted?

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{Float64Type, UInt32Type};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ml::Task;
use crate::table::Digest;
use crate::table::predictions::{SCORE, task, values};

/// The rows of one variant's evaluation, by fold and then by id: whoever has the same rows and folds has them in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// What is predicted.
    pub task: Task,
    /// Which row.
    pub row_id: Vec<String>,
    /// The fold that held the row out, counted over all repeats.
    pub fold: Vec<u32>,
    /// What is true of it, as text.
    pub label: Vec<String>,
    /// What was predicted, as text.
    pub predicted: Vec<String>,
    /// True and predicted numbers, where numbers are predicted.
    pub values: Option<(Vec<f64>, Vec<f64>)>,
    /// The scores of each class; NaN where a row has none.
    pub scores: Vec<(String, Vec<f64>)>,
    /// The group of each row that has one, where groups are known: its rows do not speak for themselves.
    pub group: Option<Vec<Option<String>>>,
}

impl Rows {
    /// The rows of a table of predictions; of a run's `predictions.parquet`, those of one variant and evaluation. `None` if
    /// the table is another, or has no such rows.
    pub fn of(table: &RecordBatch, of: Option<(&str, &str)>) -> Option<Rows> {
        let text = |name: &str| -> Option<&StringArray> { table.column_by_name(name)?.as_string_opt::<i32>() };
        let number =
            |name: &str| -> Option<&Float64Array> { table.column_by_name(name)?.as_primitive_opt::<Float64Type>() };
        let fold: &UInt32Array = table.column_by_name("fold")?.as_primitive_opt::<UInt32Type>()?;
        let (ids, label, predicted) = (text("row_id")?, text("label")?, text("predicted")?);
        let wanted = |row: &usize| {
            of.is_none_or(|(variant, evaluation)| {
                let is = |name, value| text(name).is_none_or(|column| column.value(*row) == value);
                is("variant", variant) && is("evaluation", evaluation)
            })
        };
        let mut order: Vec<usize> = (0..table.num_rows()).filter(wanted).collect();
        if order.is_empty() {
            return None;
        }
        order.sort_by(|&a, &b| (fold.value(a), ids.value(a)).cmp(&(fold.value(b), ids.value(b))));
        let texts = |column: &StringArray| order.iter().map(|&row| column.value(row).to_owned()).collect::<Vec<_>>();
        let numbers = |column: &Float64Array| {
            let value = |&row: &usize| if column.is_null(row) { f64::NAN } else { column.value(row) };
            order.iter().map(value).collect::<Vec<f64>>()
        };
        let mut scores = Vec::new();
        for field in table.schema_ref().fields() {
            let Some(class) = field.name().strip_prefix(SCORE) else { continue };
            let column = numbers(number(field.name())?);
            // A class that another variant of the run has.
            if !column.iter().all(|score| score.is_nan()) {
                scores.push((class.to_owned(), column));
            }
        }
        // A run folder and a cached table have them in another order.
        scores.sort_by(|(one, _), (other, _)| one.cmp(other));
        let pairs = number(values::TRUTH).zip(number(values::PREDICTED));
        let values = pairs.map(|(truth, predicted)| (numbers(truth), numbers(predicted)));
        Some(Rows {
            task: task(table),
            fold: order.iter().map(|&row| fold.value(row)).collect(),
            label: texts(label),
            predicted: texts(predicted),
            row_id: texts(ids),
            values: values.filter(|(truth, _)| !truth.iter().any(|value| value.is_nan())),
            scores,
            group: None,
        })
    }

    /// The same with the group of each row that has one.
    #[must_use]
    pub fn in_groups(mut self, groups: &FxHashMap<String, String>) -> Rows {
        self.group = (!groups.is_empty()).then(|| self.row_id.iter().map(|row| groups.get(row).cloned()).collect());
        self
    }

    /// How many predictions there are: rows × repeats.
    pub fn len(&self) -> usize {
        self.row_id.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.row_id.is_empty()
    }

    /// True if a row was held out more than once.
    pub fn is_repeated(&self) -> bool {
        let mut seen = FxHashSet::default();
        !self.row_id.iter().all(|id| seen.insert(id))
    }

    /// How many rows each fold held out, and how many rows there are.
    pub fn fold_sizes(&self) -> (Vec<usize>, usize) {
        let mut sizes = Vec::new();
        let mut last = None;
        for &fold in &self.fold {
            if last != Some(fold) {
                sizes.push(0);
                last = Some(fold);
            }
            if let Some(size) = sizes.last_mut() {
                *size += 1;
            }
        }
        (sizes, self.row_id.iter().collect::<FxHashSet<_>>().len())
    }

    /// The classes that are true or predicted, in order.
    pub fn classes(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.label.iter().chain(&self.predicted).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The digest of which rows there are and what is true of them, whatever their folds.
    pub fn labels_digest(&self) -> Digest {
        let mut all: Vec<(&str, &str)> =
            self.row_id.iter().map(String::as_str).zip(self.label.iter().map(String::as_str)).collect();
        all.sort_unstable();
        all.dedup();
        let mut hasher = blake3::Hasher::new();
        for (row, label) in all {
            text(&mut hasher, row);
            text(&mut hasher, label);
        }
        Digest::new(*hasher.finalize().as_bytes())
    }

    /// The digest of which fold held out which row.
    pub fn folds_digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for (row, fold) in self.row_id.iter().zip(&self.fold) {
            text(&mut hasher, row);
            hasher.update(&fold.to_le_bytes());
        }
        Digest::new(*hasher.finalize().as_bytes())
    }

    /// The digest of all that was predicted, scores too.
    pub fn predictions_digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        self.predicted.iter().for_each(|predicted| text(&mut hasher, predicted));
        let numbers = self.scores.iter().map(|(class, scores)| (class.as_str(), scores));
        for (name, column) in numbers.chain(self.values.iter().map(|(_, predicted)| ("", predicted))) {
            text(&mut hasher, name);
            for number in column {
                hasher.update(&number.to_bits().to_le_bytes());
            }
        }
        Digest::new(*hasher.finalize().as_bytes())
    }
}

/// A text with its length before it, so that no two lists of texts look alike.
fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    /// Rows of two folds: `(row, label, predicted)`, row *n* in fold *n* mod 2.
    pub(crate) fn rows(all: &[(&str, &str)]) -> Rows {
        let id = |row: usize| format!("r{row:05}");
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|&row| (row % 2, row));
        Rows {
            task: Task::Classes,
            row_id: order.iter().map(|&row| id(row)).collect(),
            fold: order.iter().map(|&row| row as u32 % 2).collect(),
            label: order.iter().map(|&row| all[row].0.to_owned()).collect(),
            predicted: order.iter().map(|&row| all[row].1.to_owned()).collect(),
            values: None,
            scores: Vec::new(),
            group: None,
        }
    }

    fn table(order: &[usize]) -> RecordBatch {
        let column = |of: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(order.iter().map(|&row| Some(of(row))).collect::<StringArray>())
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("row_id", column(&|row| format!("r{}", row % 4))),
            ("variant", column(&|row| if row < 4 { "one" } else { "two" }.to_owned())),
            ("fold", Arc::new(order.iter().map(|&row| Some(row as u32 % 2)).collect::<UInt32Array>())),
            ("label", column(&|row| ["x", "y"][row % 2].to_owned())),
            ("predicted", column(&|row| ["x", "y"][row / 2 % 2].to_owned())),
            ("score:x", Arc::new(order.iter().map(|&row| Some(row as f64)).collect::<Float64Array>())),
            ("score:z", Arc::new(order.iter().map(|&row| (row >= 4).then_some(1.0)).collect::<Float64Array>())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn rows_are_read_in_one_order_whatever_the_tables() {
        let one = Rows::of(&table(&[0, 1, 2, 3, 4, 5, 6, 7]), Some(("one", "scores"))).unwrap();
        let other = Rows::of(&table(&[7, 3, 0, 2, 5, 1, 4, 6]), Some(("one", "scores"))).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.row_id, ["r0", "r2", "r1", "r3"]);
        assert_eq!(one.scores.len(), 1, "a class that only the other variant has");
        assert_eq!((one.fold_sizes(), one.is_repeated()), ((vec![2, 2], 4), false));
        assert!(Rows::of(&table(&[0]), Some(("three", "scores"))).is_none());
    }

    #[test]
    fn digests_tell_labels_folds_and_predictions_apart() {
        let all = [("x", "x"), ("y", "x"), ("x", "y"), ("y", "y")];
        let one = rows(&all);
        let digests = |rows: &Rows| (rows.labels_digest(), rows.folds_digest(), rows.predictions_digest());
        let mut changed = one.clone();
        changed.predicted[1] = "x".to_owned();
        assert_eq!((digests(&changed).0, digests(&changed).1), (digests(&one).0, digests(&one).1));
        assert_ne!(digests(&changed).2, digests(&one).2);
        let mut moved = one.clone();
        moved.fold[1] = 1;
        assert_eq!(digests(&moved).0, digests(&one).0);
        assert_ne!(digests(&moved).1, digests(&one).1);
        let mut relabelled = one.clone();
        relabelled.label[0] = "z".to_owned();
        assert_ne!(digests(&relabelled).0, digests(&one).0);
    }
}
