//! What does a scores artifact hold? Metrics by fold, classes and confusion pooled over the folds.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};

use super::TableError;
use super::columns::{column, full, same_length};
use crate::ml::{Bin, Threshold};

/// One metric in one fold; part `metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldMetric {
    /// Which repeat, from 0.
    pub repeat: u32,
    /// Which fold of it, from 0.
    pub fold: u32,
    /// The metric's name.
    pub metric: String,
    /// Its value, if defined there.
    pub value: Option<f64>,
    /// True if more is better.
    pub higher_is_better: bool,
}

/// One class, pooled over all folds; part `classes`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScore {
    /// The class.
    pub class: String,
    /// Precision; 0 where the class was never predicted.
    pub precision: f64,
    /// Recall; 0 where the class never occurred.
    pub recall: f64,
    /// F1.
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
}

/// The table of `metrics`.
pub fn metrics_table(metrics: &[FoldMetric]) -> Result<RecordBatch, TableError> {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("repeat", Arc::new(UInt32Array::from_iter_values(metrics.iter().map(|m| m.repeat))), false),
        ("fold", Arc::new(UInt32Array::from_iter_values(metrics.iter().map(|m| m.fold))), false),
        ("metric", Arc::new(StringArray::from_iter_values(metrics.iter().map(|m| &m.metric))), false),
        ("value", Arc::new(metrics.iter().map(|m| m.value).collect::<Float64Array>()), true),
        (
            "higher_is_better",
            Arc::new(BooleanArray::from_iter(metrics.iter().map(|m| Some(m.higher_is_better)))),
            false,
        ),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The metrics of a table.
pub fn metrics(table: &RecordBatch) -> Result<Vec<FoldMetric>, TableError> {
    let repeat: &UInt32Array = full(table, "repeat")?;
    let fold: &UInt32Array = full(table, "fold")?;
    let metric: &StringArray = full(table, "metric")?;
    let value: &Float64Array = column(table, "value")?;
    let higher: &BooleanArray = full(table, "higher_is_better")?;
    let rows = (0..table.num_rows()).map(|i| FoldMetric {
        repeat: repeat.value(i),
        fold: fold.value(i),
        metric: metric.value(i).to_owned(),
        value: value.is_valid(i).then(|| value.value(i)),
        higher_is_better: higher.value(i),
    });
    Ok(rows.collect())
}

/// The table of `classes`.
pub fn classes_table(classes: &[ClassScore]) -> Result<RecordBatch, TableError> {
    let number =
        |of: fn(&ClassScore) -> f64| Arc::new(Float64Array::from_iter_values(classes.iter().map(of))) as ArrayRef;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("class", Arc::new(StringArray::from_iter_values(classes.iter().map(|c| &c.class))), false),
        ("precision", number(|c| c.precision), false),
        ("recall", number(|c| c.recall), false),
        ("f1", number(|c| c.f1), false),
        ("support", Arc::new(UInt64Array::from_iter_values(classes.iter().map(|c| c.support))), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The classes of a table.
pub fn classes(table: &RecordBatch) -> Result<Vec<ClassScore>, TableError> {
    let class: &StringArray = full(table, "class")?;
    let precision: &Float64Array = full(table, "precision")?;
    let recall: &Float64Array = full(table, "recall")?;
    let f1: &Float64Array = full(table, "f1")?;
    let support: &UInt64Array = full(table, "support")?;
    let rows = (0..table.num_rows()).map(|i| ClassScore {
        class: class.value(i).to_owned(),
        precision: precision.value(i),
        recall: recall.value(i),
        f1: f1.value(i),
        support: support.value(i),
    });
    Ok(rows.collect())
}

/// The table of `reliability`: `low`, `high`, `rows`, `confidence`, `accuracy`; one row for each bin of probabilities.
pub fn reliability_table(bins: &[Bin]) -> Result<RecordBatch, TableError> {
    let number = |of: fn(&Bin) -> f64| Arc::new(Float64Array::from_iter_values(bins.iter().map(of))) as ArrayRef;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("low", number(|bin| bin.low), false),
        ("high", number(|bin| bin.high), false),
        ("rows", Arc::new(UInt64Array::from_iter_values(bins.iter().map(|bin| bin.rows))), false),
        ("confidence", number(|bin| bin.confidence), false),
        ("accuracy", number(|bin| bin.accuracy), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The bins of a table.
pub fn reliability(table: &RecordBatch) -> Result<Vec<Bin>, TableError> {
    let column = |name| full::<Float64Array>(table, name);
    let (low, high) = (column("low")?, column("high")?);
    let (confidence, accuracy) = (column("confidence")?, column("accuracy")?);
    let counts: &UInt64Array = full(table, "rows")?;
    let bins = (0..table.num_rows()).map(|i| Bin {
        low: low.value(i),
        high: high.value(i),
        rows: counts.value(i),
        confidence: confidence.value(i),
        accuracy: accuracy.value(i),
    });
    Ok(bins.collect())
}

/// The table of `thresholds`: `threshold`, `precision`, `recall`, `f1`, `false_positive_rate`, by falling threshold.
pub fn thresholds_table(thresholds: &[Threshold]) -> Result<RecordBatch, TableError> {
    let number =
        |of: fn(&Threshold) -> f64| Arc::new(Float64Array::from_iter_values(thresholds.iter().map(of))) as ArrayRef;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("threshold", number(|t| t.threshold), false),
        ("precision", number(|t| t.precision), false),
        ("recall", number(|t| t.recall), false),
        ("f1", number(|t| t.f1), false),
        ("false_positive_rate", number(|t| t.false_positive_rate), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The thresholds of a table.
pub fn thresholds(table: &RecordBatch) -> Result<Vec<Threshold>, TableError> {
    let column = |name| full::<Float64Array>(table, name);
    let (threshold, precision, recall) = (column("threshold")?, column("precision")?, column("recall")?);
    let (f1, alarms) = (column("f1")?, column("false_positive_rate")?);
    let all = (0..table.num_rows()).map(|i| Threshold {
        threshold: threshold.value(i),
        precision: precision.value(i),
        recall: recall.value(i),
        f1: f1.value(i),
        false_positive_rate: alarms.value(i),
    });
    Ok(all.collect())
}

/// The table of `confusion`: one row for each pair of classes, true class first, in the order of `classes`.
pub fn confusion_table(classes: &[String], counts: &[Vec<u64>]) -> Result<RecordBatch, TableError> {
    same_length("confusion", classes.len(), counts.len())?;
    for row in counts {
        same_length("confusion", classes.len(), row.len())?;
    }
    let pairs =
        || classes.iter().enumerate().flat_map(|(i, a)| classes.iter().enumerate().map(move |(j, b)| (i, j, a, b)));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("label", Arc::new(StringArray::from_iter_values(pairs().map(|(_, _, label, _)| label))), false),
        ("predicted", Arc::new(StringArray::from_iter_values(pairs().map(|(_, _, _, predicted)| predicted))), false),
        ("count", Arc::new(UInt64Array::from_iter_values(pairs().map(|(i, j, _, _)| counts[i][j]))), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The counts of a `confusion` table over `classes` classes.
pub fn confusion(table: &RecordBatch, classes: usize) -> Result<Vec<Vec<u64>>, TableError> {
    let count: &UInt64Array = full(table, "count")?;
    same_length("confusion", classes * classes, count.len())?;
    Ok(count.values().chunks(classes.max(1)).map(<[u64]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_come_back_as_they_went() {
        let metric =
            |fold, value| FoldMetric { repeat: 0, fold, metric: "roc_auc".to_owned(), value, higher_is_better: true };
        let all = vec![metric(0, Some(0.5)), metric(1, None)];
        assert_eq!(metrics(&metrics_table(&all).unwrap()).unwrap(), all);
        let class = ClassScore { class: "a|b".to_owned(), precision: 0.25, recall: 0.5, f1: 1.0 / 3.0, support: 4 };
        assert_eq!(classes(&classes_table(std::slice::from_ref(&class)).unwrap()).unwrap(), [class]);
        let bin = Bin { low: 0.4, high: 0.5, rows: 3, confidence: 0.45, accuracy: 1.0 / 3.0 };
        assert_eq!(reliability(&reliability_table(&[bin, bin]).unwrap()).unwrap(), [bin, bin]);
        let threshold =
            Threshold { threshold: -1.5, precision: 0.5, recall: 0.25, f1: 1.0 / 3.0, false_positive_rate: 0.1 };
        assert_eq!(thresholds(&thresholds_table(&[threshold]).unwrap()).unwrap(), [threshold]);
        let counts = vec![vec![1, 2], vec![3, 4]];
        let table = confusion_table(&["a".to_owned(), "b".to_owned()], &counts).unwrap();
        assert_eq!(confusion(&table, 2).unwrap(), counts);
        assert!(confusion(&table, 3).is_err());
        assert!(confusion_table(&["a".to_owned()], &counts).is_err());
    }
}
