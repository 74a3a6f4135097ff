//! What is to be learned? The labels, the sets of labels or the numbers that training rows have.

use std::sync::Arc;

use super::learner::bytes_of;
use crate::stage::{Derived, Parts, StageError};
use crate::table::target::{Labels, Target};

/// Labels and the rows that they are of.
pub(super) struct Labelled {
    pub(super) row_id: Vec<String>,
    pub(super) labels: Labels,
    /// How much each row counts, where the data says so.
    pub(super) weight: Option<Vec<f64>>,
}

impl Derived for Labelled {
    fn bytes(&self) -> usize {
        bytes_of(&self.row_id) + 4 * self.labels.index.len() + 8 * self.weight.as_ref().map_or(0, Vec::len)
    }
}

/// Sets of labels and the rows that they are of.
pub(super) struct Sets {
    pub(super) row_id: Vec<String>,
    /// Every label that a row has, in code-point order.
    pub(super) classes: Vec<String>,
    /// The labels of each row, as indices into `classes`.
    pub(super) sets: Vec<Vec<u32>>,
    /// How much each row counts, where the data says so.
    pub(super) weight: Option<Vec<f64>>,
}

impl Derived for Sets {
    fn bytes(&self) -> usize {
        let sets: usize = self.sets.iter().map(|set| size_of::<Vec<u32>>() + 4 * set.len()).sum();
        bytes_of(&self.row_id) + bytes_of(&self.classes) + sets + 8 * self.weight.as_ref().map_or(0, Vec::len)
    }
}

/// Numbers and the rows that they are of.
pub(super) struct Values {
    pub(super) row_id: Vec<String>,
    pub(super) values: Vec<f64>,
    /// How much each row counts, where the data says so.
    pub(super) weight: Option<Vec<f64>>,
}

impl Derived for Values {
    fn bytes(&self) -> usize {
        bytes_of(&self.row_id) + 8 * self.values.len() + 8 * self.weight.as_ref().map_or(0, Vec::len)
    }
}

fn target(parts: &Parts) -> Result<Target, StageError> {
    Target::from_table(&*parts.table("target")?).map_err(StageError::caused)
}

/// The one label of each row.
pub(super) fn labels(parts: &Parts) -> Result<Arc<Labelled>, StageError> {
    parts.derived("target", "labels", |parts| {
        let target = target(parts)?;
        if target.label_set.is_some() {
            return Err(StageError::failed("the rows have several labels each, and one label a row is to be learned"));
        }
        let labels = target.labels().map_err(|error| {
            let error = StageError::failed(error.to_string());
            error.help(no_labels(target.label.is_none() && target.value.is_some()))
        })?;
        Ok(Labelled { row_id: target.row_id, labels, weight: target.weight })
    })
}

/// The sets of labels; `None` where rows have one label each, or none.
pub(super) fn sets(parts: &Parts) -> Result<Option<Arc<Sets>>, StageError> {
    let table = parts.table("target")?;
    if table.column_by_name("label_set").is_none() {
        return Ok(None);
    }
    let sets = parts.derived("target", "sets", |parts| {
        let target = target(parts)?;
        let named = target.label_set.unwrap_or_default();
        let mut classes: Vec<String> = named.iter().flatten().cloned().collect();
        classes.sort_unstable();
        classes.dedup();
        let place = |class: &String| classes.binary_search(class).ok().map(|at| at as u32);
        let sets = named.iter().map(|set| set.iter().filter_map(place).collect()).collect();
        Ok(Sets { row_id: target.row_id, classes, sets, weight: target.weight })
    })?;
    Ok(Some(sets))
}

/// What to do about rows without labels, which may have numbers.
pub(super) fn no_labels(values: bool) -> &'static str {
    match values {
        true => {
            "the rows have a `value`: train a regressor, or make classes of it: `label: { column: COLUMN, cuts: [0.0], names: [low, high] }`"
        }
        false => {
            "name the label column in `ingest`, and leave out rows without a label: `label: { column: COLUMN, empty: drop }`"
        }
    }
}

/// What is wrong where `learner` is to learn numbers and the rows have none, and what to do.
pub(super) fn no_values(learner: &str) -> (String, &'static str) {
    (
        format!("`{learner}` learns numbers, and the rows have none"),
        "name their column in `ingest`: `value: COLUMN`; `logistic_regression` and others learn classes",
    )
}

/// What is wrong where rows have a weight that `learner` would pass over, and what to do.
pub(super) fn unweighed(learner: &str) -> (String, &'static str) {
    (
        format!("`{learner}` cannot weigh rows, and `ingest` reads a `weight`"),
        "leave `weight` out of `ingest`, or train another estimator, such as `logistic_regression` or `linear_svc`",
    )
}

/// The number of each row, for the regressor `learner`.
pub(super) fn values(parts: &Parts, learner: &str) -> Result<Arc<Values>, StageError> {
    let table = parts.table("target")?;
    if table.column_by_name("value").is_none() {
        let (message, help) = no_values(learner);
        return Err(StageError::failed(message).help(help));
    }
    parts.derived("target", "values", |parts| {
        let target = target(parts)?;
        Ok(Values { row_id: target.row_id, values: target.value.unwrap_or_default(), weight: target.weight })
    })
}
