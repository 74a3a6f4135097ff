//! Which predictions are others, row by row?

use std::collections::BTreeMap;

use arrow::array::{Array, Float64Array, RecordBatch, StringArray, UInt32Array};
use serde::Serialize;

/// So many rows are shown of each variant.
const EXAMPLES: usize = 10;

/// One variant's predictions, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictionChanges {
    /// The variant's id before.
    pub variant: String,
    /// The stage that scored it; empty where there is one alone.
    pub evaluation: String,
    /// Rows × folds that both have.
    pub rows: u64,
    /// Of those, where another class (set of classes, number) is predicted.
    pub changed: u64,
    /// `changed` / `rows`; 0 without rows.
    pub rate: f64,
    /// The largest difference of a score or a predicted number; `None` where the classes differ.
    pub largest_score_change: Option<f64>,
    /// Rows × folds that are gone.
    pub gone: u64,
    /// Rows × folds that are new.
    pub new: u64,
    /// Up to ten that changed, in the order of the table.
    pub examples: Vec<Example>,
}

/// A row whose predicted class changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Which row.
    pub row_id: String,
    /// The fold that held it out.
    pub fold: u32,
    /// Its true class.
    pub label: Option<String>,
    /// The class predicted before.
    pub old: String,
    /// The class predicted now.
    pub new: String,
    /// Its text, where it is still at hand.
    pub text: Option<String>,
}

/// The columns of a predictions table.
struct Columns<'t> {
    row_id: &'t StringArray,
    variant: &'t StringArray,
    evaluation: Option<&'t StringArray>,
    fold: &'t UInt32Array,
    label: &'t StringArray,
    predicted: &'t StringArray,
    /// Scores and predicted numbers, by the columns' names.
    scores: BTreeMap<&'t str, &'t Float64Array>,
}

/// Variant, evaluation, fold, row.
type Place<'t> = (&'t str, &'t str, u32, &'t str);

impl<'t> Columns<'t> {
    fn of(table: &'t RecordBatch) -> Option<Self> {
        let text = |name| table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<StringArray>());
        let fold = table.column_by_name("fold").and_then(|column| column.as_any().downcast_ref::<UInt32Array>());
        let scored = table.schema_ref().fields().iter().zip(table.columns()).filter_map(|(field, column)| {
            let name = field.name().as_str();
            let is_score = name.starts_with("score:") || name == "predicted_value";
            Some((name, column.as_any().downcast_ref::<Float64Array>().filter(|_| is_score)?))
        });
        Some(Columns {
            row_id: text("row_id")?,
            variant: text("variant")?,
            evaluation: text("evaluation"),
            fold: fold?,
            label: text("label")?,
            predicted: text("predicted")?,
            scores: scored.collect(),
        })
    }

    fn place(&self, row: usize) -> Place<'t> {
        let evaluation = self.evaluation.map_or("", |column| column.value(row));
        (self.variant.value(row), evaluation, self.fold.value(row), self.row_id.value(row))
    }

    fn score_change(&self, row: usize, other: &Columns<'_>, at: usize) -> Option<f64> {
        if !self.scores.keys().eq(other.scores.keys()) {
            return None;
        }
        let value = |column: &Float64Array, row: usize| if column.is_null(row) { 0.0 } else { column.value(row) };
        let pairs = self.scores.values().zip(other.scores.values());
        Some(pairs.map(|(one, two)| (value(one, row) - value(two, at)).abs()).fold(0.0, f64::max))
    }
}

/// Compares two tables; `renamed` gives the id that a variant of the first has in the second, `text_of` a row's text.
/// `None` if a table is not one of predictions.
pub fn changes(
    before: &RecordBatch,
    after: &RecordBatch,
    renamed: &BTreeMap<String, String>,
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Option<Vec<PredictionChanges>> {
    let (before, after) = (Columns::of(before)?, Columns::of(after)?);
    let mut places: BTreeMap<Place<'_>, usize> = (0..after.row_id.len()).map(|row| (after.place(row), row)).collect();
    let mut all: Vec<PredictionChanges> = Vec::new();
    for row in 0..before.row_id.len() {
        let (variant, evaluation, fold, row_id) = before.place(row);
        let Some(other) = renamed.get(variant) else { continue };
        let known = all.iter().rposition(|c| c.variant == variant && c.evaluation == evaluation);
        let entry = known.unwrap_or_else(|| {
            all.push(PredictionChanges::none(variant, evaluation));
            all.len() - 1
        });
        let Some(entry) = all.get_mut(entry) else { continue };
        let Some(at) = places.remove(&(other.as_str(), evaluation, fold, row_id)) else {
            entry.gone += 1;
            continue;
        };
        entry.rows += 1;
        entry.largest_score_change = match (entry.largest_score_change, before.score_change(row, &after, at)) {
            (Some(so_far), Some(here)) => Some(so_far.max(here)),
            _ => None,
        };
        let (old, new) = (before.predicted.value(row), after.predicted.value(at));
        if old != new {
            entry.changed += 1;
            if entry.examples.len() < EXAMPLES {
                entry.examples.push(Example {
                    row_id: row_id.to_owned(),
                    fold,
                    label: (!before.label.is_null(row)).then(|| before.label.value(row).to_owned()),
                    old: old.to_owned(),
                    new: new.to_owned(),
                    text: text_of(row_id),
                });
            }
        }
    }
    for (variant, evaluation, ..) in places.into_keys() {
        let of = |c: &&mut PredictionChanges| {
            renamed.get(&c.variant).is_some_and(|id| id == variant) && c.evaluation == evaluation
        };
        if let Some(entry) = all.iter_mut().find(of) {
            entry.new += 1;
        }
    }
    for entry in &mut all {
        entry.rate = if entry.rows == 0 { 0.0 } else { entry.changed as f64 / entry.rows as f64 };
    }
    Some(all)
}

impl PredictionChanges {
    fn none(variant: &str, evaluation: &str) -> Self {
        PredictionChanges {
            variant: variant.to_owned(),
            evaluation: evaluation.to_owned(),
            rows: 0,
            changed: 0,
            rate: 0.0,
            largest_score_change: Some(0.0),
            gone: 0,
            new: 0,
            examples: Vec::new(),
        }
    }

    /// True if nothing at all is other.
    pub fn is_same(&self) -> bool {
        self.changed + self.gone + self.new == 0 && self.largest_score_change == Some(0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    fn table(rows: &[(&str, &str, u32, &str, f64)]) -> RecordBatch {
        let text = |of: fn(&(&str, &str, u32, &str, f64)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("row_id", text(|row| row.0.to_owned())),
            ("variant", text(|row| row.1.to_owned())),
            ("fold", Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.2)))),
            ("label", text(|_| "yes".to_owned())),
            ("predicted", text(|row| row.3.to_owned())),
            ("score:yes", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.4)))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn rows_are_matched_by_row_variant_and_fold() {
        let before = table(&[("a", "v1", 0, "yes", 0.9), ("b", "v1", 1, "yes", 0.8), ("c", "v1", 1, "no", 0.1)]);
        let after = table(&[("b", "v2", 1, "no", 0.3), ("a", "v2", 0, "yes", 0.9), ("d", "v2", 1, "no", 0.2)]);
        let renamed = BTreeMap::from([("v1".to_owned(), "v2".to_owned())]);
        let found = changes(&before, &after, &renamed, &|row| Some(format!("text of {row}"))).unwrap();
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((only.rows, only.changed, only.gone, only.new), (2, 1, 1, 1));
        assert!((only.largest_score_change.unwrap() - 0.5).abs() < 1e-12 && only.rate == 0.5);
        assert_eq!(only.examples[0].row_id, "b");
        assert_eq!((only.examples[0].old.as_str(), only.examples[0].new.as_str()), ("yes", "no"));
        assert_eq!(only.examples[0].text.as_deref(), Some("text of b"));
        let same = changes(&before, &before, &BTreeMap::from([("v1".into(), "v1".into())]), &|_| None).unwrap();
        assert!(same[0].is_same());
    }
}
