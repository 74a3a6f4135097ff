//! How does a classifier learn sets of labels? Each label by itself: the rows that have it against the rest
//! (scikit-learn's OneVsRestClassifier on an indicator matrix).
//!
//! Labels are fitted and applied in parallel. One that all training rows have, or none, is learned as a constant. A row gets
//! the labels whose probability is above ½, or whose decision value is above 0.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use rayon::prelude::*;

use super::learner::{Gives, Goal, Learner, Training, Trouble};
use super::truth::Sets;
use crate::ml::Features;
use crate::stage::{Made, Output, Parts, StageError};
use crate::table::predictions::sets::{LABELS, PredictedSets, label_prefix};

/// True if sets of labels were learned.
pub(super) fn is_learned(learned: &Parts) -> bool {
    learned.part(LABELS).is_some()
}

/// Learns each label of `of` on the rows of `on`.
pub(super) fn fit(learner: &dyn Learner, of: &Sets, on: &Training<'_>) -> Result<Output, Trouble> {
    let rows = of.sets.len();
    let mut has: Vec<Vec<u32>> = vec![Vec::new(); of.classes.len()];
    for (row, set) in of.sets.iter().enumerate() {
        set.iter().for_each(|&class| has[class as usize].push(row as u32));
    }
    if of.classes.is_empty() {
        return Err(StageError::failed("no training row has a label").into());
    }
    let always: Vec<Option<bool>> = has.iter().map(|of| (of.len() == rows).then_some(true)).collect();
    let names = ["rest".to_owned(), "label".to_owned()];
    let one = |label: usize| -> Option<Result<Output, Trouble>> {
        if always[label].is_some() {
            return None;
        }
        let mut index = vec![0; rows];
        has[label].iter().for_each(|&row| index[row as usize] = 1);
        Some(learner.fit(&on.with_goal(Goal::Classes { index: &index, names: &names })))
    };
    // laid out once, before any label asks
    on.count_columns()?;
    let fitted: Vec<Option<Result<Output, Trouble>>> = (0..of.classes.len()).into_par_iter().map(one).collect();
    let mut output = Output::new().table(LABELS, labels_table(&of.classes, &always)?);
    let (mut warned, mut first) = (0, None);
    for (label, fitted) in fitted.into_iter().enumerate() {
        let Some(fitted) = fitted.transpose()? else { continue };
        warned += usize::from(!fitted.warnings.is_empty());
        first = first.or_else(|| fitted.warnings.into_iter().next().map(|warning| (label, warning)));
        let of_label = label_prefix(label);
        for (name, made) in fitted.parts {
            match made {
                Made::Table(table) => output = output.table(format!("{of_label}{name}"), table),
                other => output.parts.push((format!("{of_label}{name}"), other)),
            }
        }
    }
    let constant = always.iter().flatten().count();
    if let Some((label, warning)) = first {
        let more = if warned > 1 { format!(", and the like of {} more labels", warned - 1) } else { String::new() };
        output = output.warn(format!("{warning} (label `{}`{more})", of.classes[label]));
    }
    Ok(output.fact("labels", of.classes.len()).fact("constant_labels", constant))
}

/// What the labels' models say of rows.
pub(super) fn apply(
    learner: &dyn Learner,
    learned: &Parts,
    row_id: &[String],
    x: &Features,
) -> Result<PredictedSets, Trouble> {
    let (classes, always) = labels(&*learned.table(LABELS)?)?;
    let probabilities = learner.gives() == Gives::Probabilities;
    let one = |label: usize| -> Result<Vec<f64>, Trouble> {
        if let Some(always) = always[label] {
            let least = if probabilities { 0.0 } else { -1.0 };
            return Ok(vec![if always { 1.0 } else { least }; row_id.len()]);
        }
        let of_label = label_prefix(label);
        let mut own = Parts::default();
        for (name, part) in learned.with_prefix(&of_label) {
            own.insert(name.strip_prefix(&of_label).unwrap_or(name), part.clone());
        }
        let scores = learner.load(&own, 2)?.scores(x)?;
        Ok(scores.chunks_exact(2).map(|row| row[1]).collect())
    };
    let columns: Vec<Result<Vec<f64>, Trouble>> = (0..classes.len()).into_par_iter().map(one).collect();
    let columns = columns.into_iter().collect::<Result<Vec<Vec<f64>>, Trouble>>()?;
    let threshold = if probabilities { 0.5 } else { 0.0 };
    let mut sets = vec![Vec::new(); row_id.len()];
    let mut scores = vec![0.0; row_id.len() * classes.len()];
    for (label, column) in columns.iter().enumerate() {
        for (row, &score) in column.iter().enumerate() {
            scores[row * classes.len() + label] = score;
            if score > threshold {
                sets[row].push(classes[label].clone());
            }
        }
    }
    Ok(PredictedSets { row_id: row_id.to_vec(), classes, sets, scores, probabilities })
}

fn labels_table(classes: &[String], always: &[Option<bool>]) -> Result<RecordBatch, StageError> {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("class", Arc::new(StringArray::from_iter_values(classes)), false),
        ("always", Arc::new(always.iter().copied().collect::<BooleanArray>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

fn labels(table: &RecordBatch) -> Result<(Vec<String>, Vec<Option<bool>>), StageError> {
    let missing = || StageError::failed("a model's table lacks its labels");
    let column = |name: &str| table.column_by_name(name).ok_or_else(missing);
    let classes = column("class")?.as_any().downcast_ref::<StringArray>().ok_or_else(missing)?;
    let always = column("always")?.as_any().downcast_ref::<BooleanArray>().ok_or_else(missing)?;
    Ok((classes.iter().flatten().map(str::to_owned).collect(), always.iter().collect()))
}
