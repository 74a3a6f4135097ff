//! How good are predicted sets of classes? scikit-learn's multi-label metrics.
//!
//! Averages over classes run over every class, with `zero_division` 0; a class without a true row counts there with 0. Scores
//! (`average_precision`, `roc_auc`) are averaged over the classes for which they are defined alone, since in a fold some class of
//! many has no row: there scikit-learn counts 0, or refuses.

use super::labels::ratio;
use super::outcome::without_nan;
use super::scores::{precision_of, roc_auc_of, tied};
use super::{Average, ClassScores, Metric, OutcomeError};
use crate::ml::stats::mean;

/// True and predicted sets of the same rows, and maybe a score per row and class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SetOutcome<'a> {
    y_true: &'a [bool],
    y_pred: &'a [bool],
    classes: usize,
    scores: Option<&'a [f64]>,
}

/// What of a set was true, predicted, both.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    hits: u64,
    predicted: u64,
    truths: u64,
}

impl<'a> SetOutcome<'a> {
    /// Puts truth and prediction side by side, each rows × classes, row-major: whether the row has the class. Scores likewise:
    /// the higher, the likelier.
    ///
    /// # Errors
    /// Lengths that do not fit together.
    pub fn new(
        y_true: &'a [bool],
        y_pred: &'a [bool],
        classes: usize,
        scores: Option<&'a [f64]>,
    ) -> Result<Self, OutcomeError> {
        let rows = y_true.len() / classes.max(1);
        if y_true.len() != rows * classes || y_pred.len() != y_true.len() {
            return Err(OutcomeError::Predictions { rows, predicted: y_pred.len() / classes.max(1) });
        }
        match scores {
            Some(scores) if scores.len() != y_true.len() => {
                Err(OutcomeError::Scores { rows, classes, scores: scores.len() })
            }
            _ => Ok(SetOutcome { y_true, y_pred, classes, scores }),
        }
    }

    /// Precision, recall, F1 and support of each class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        self.by_class().into_iter().map(Tally::scores).collect()
    }

    /// Number of classes.
    pub(super) fn classes(&self) -> usize {
        self.classes
    }

    /// Whether each row has each class, row-major.
    pub(super) fn truths(&self) -> &'a [bool] {
        self.y_true
    }

    /// Scores, row-major; `None` too where one of them is NaN.
    pub(super) fn scores(&self) -> Option<&'a [f64]> {
        without_nan(self.scores?)
    }

    /// Row, class, truth and prediction, for each class that a row has or was given.
    pub(super) fn marks(&self) -> impl Iterator<Item = (usize, usize, bool, bool)> {
        let pairs = self.y_true.iter().zip(self.y_pred).enumerate().filter(|(_, (t, p))| **t || **p);
        pairs.map(|(at, (&t, &p))| (at / self.classes, at % self.classes, t, p))
    }

    /// What each row adds to a metric that is a mean over rows; `None` for others.
    pub(super) fn row_scores(&self, metric: Metric) -> Option<Vec<f64>> {
        let of: fn(Tally) -> f64 = match metric {
            Metric::Accuracy => {
                return Some(self.rows().map(|(t, p)| f64::from(u8::from(t == p))).collect());
            }
            Metric::HammingLoss => {
                let wrong = |(t, p): (&[bool], &[bool])| t.iter().zip(p).filter(|(t, p)| t != p).count();
                return Some(self.rows().map(|row| wrong(row) as f64 / self.classes as f64).collect());
            }
            Metric::Precision(Average::Samples) => |tally| tally.scores().precision,
            Metric::Recall(Average::Samples) => |tally| tally.scores().recall,
            Metric::F1(Average::Samples) => |tally| tally.scores().f1,
            Metric::Jaccard(Average::Samples) => Tally::jaccard,
            _ => return None,
        };
        Some(self.by_row().map(of).collect())
    }

    fn rows(&self) -> impl Iterator<Item = (&'a [bool], &'a [bool])> {
        // `max(1)`: without classes there is nothing to chunk, but a chunk of 0 would panic
        self.y_true.chunks_exact(self.classes.max(1)).zip(self.y_pred.chunks_exact(self.classes.max(1)))
    }

    fn by_class(&self) -> Vec<Tally> {
        let mut all = vec![Tally::default(); self.classes];
        for (truths, predicted) in self.rows() {
            all.iter_mut().zip(truths.iter().zip(predicted)).for_each(|(tally, (t, p))| tally.count(*t, *p));
        }
        all
    }

    fn by_row(&self) -> impl Iterator<Item = Tally> {
        self.rows().map(|(truths, predicted)| {
            let mut tally = Tally::default();
            truths.iter().zip(predicted).for_each(|(t, p)| tally.count(*t, *p));
            tally
        })
    }

    /// The scores of a class with whether each row has it; of all classes if `None`.
    fn scored(&self, class: Option<usize>) -> Option<Vec<(f64, bool)>> {
        let (skip, step) = class.map_or((0, 1), |class| (class, self.classes));
        let scores = without_nan(self.scores?)?;
        Some(scores.iter().copied().zip(self.y_true.iter().copied()).skip(skip).step_by(step).collect())
    }

    /// The mean over the classes that have the measure.
    fn over_classes(&self, of: fn(Vec<super::scores::Tie>) -> Option<f64>) -> Option<f64> {
        let columns = (0..self.classes).map(|class| self.scored(Some(class)).map(tied));
        let columns = columns.collect::<Option<Vec<_>>>()?;
        mean(&columns.into_iter().filter_map(of).collect::<Vec<_>>())
    }
}

/// The value of `metric`; `None` where it is not defined for these rows, its scores are not there, or it does not measure sets.
pub fn compute_sets(metric: Metric, outcome: &SetOutcome<'_>) -> Option<f64> {
    if outcome.y_true.is_empty() {
        return None;
    }
    let pairs = || outcome.y_true.iter().zip(outcome.y_pred);
    let value = match metric {
        Metric::HammingLoss => Some(pairs().filter(|(t, p)| t != p).count() as f64 / outcome.y_true.len() as f64),
        Metric::Accuracy
        | Metric::Precision(Average::Samples)
        | Metric::Recall(Average::Samples)
        | Metric::F1(Average::Samples)
        | Metric::Jaccard(Average::Samples) => mean(&outcome.row_scores(metric)?),
        Metric::Precision(average) => averaged(outcome, average, |tally| tally.scores().precision),
        Metric::Recall(average) => averaged(outcome, average, |tally| tally.scores().recall),
        Metric::F1(average) => averaged(outcome, average, |tally| tally.scores().f1),
        Metric::Jaccard(average) => averaged(outcome, average, Tally::jaccard),
        Metric::RocAuc => outcome.over_classes(roc_auc_of),
        Metric::AveragePrecision => outcome.over_classes(precision_of),
        Metric::AveragePrecisionMicro => precision_of(tied(outcome.scored(None)?)),
        _ => None,
    };
    value.filter(|value| value.is_finite())
}

fn averaged(outcome: &SetOutcome<'_>, average: Average, of: fn(Tally) -> f64) -> Option<f64> {
    over_tallies(&outcome.by_class(), average, of)
}

/// One number from the tallies of all classes; `None` for the mean of rows, which they do not tell.
pub(super) fn over_tallies(classes: &[Tally], average: Average, of: fn(Tally) -> f64) -> Option<f64> {
    match average {
        Average::Macro => mean(&classes.iter().copied().map(of).collect::<Vec<_>>()),
        Average::Samples => None,
        Average::Micro => Some(of(classes.iter().copied().fold(Tally::default(), Tally::and))),
        Average::Weighted => {
            let truths: u64 = classes.iter().map(|tally| tally.truths).sum();
            let sum: f64 = classes.iter().map(|tally| of(*tally) * tally.truths as f64).sum();
            // scikit-learn gives 0 where no row has a class
            Some(if truths == 0 { 0.0 } else { sum / truths as f64 })
        }
    }
}

impl Tally {
    fn count(&mut self, truth: bool, predicted: bool) {
        self.add(truth, predicted, 1);
    }

    /// Counts a row, or a class of a row, so many times.
    pub(super) fn add(&mut self, truth: bool, predicted: bool, times: u64) {
        self.hits += u64::from(truth && predicted) * times;
        self.predicted += u64::from(predicted) * times;
        self.truths += u64::from(truth) * times;
    }

    fn and(self, other: Tally) -> Tally {
        Tally {
            hits: self.hits + other.hits,
            predicted: self.predicted + other.predicted,
            truths: self.truths + other.truths,
        }
    }

    pub(super) fn scores(self) -> ClassScores {
        ClassScores::new(self.hits, self.predicted, self.truths)
    }

    pub(super) fn jaccard(self) -> f64 {
        ratio(self.hits, self.truths + self.predicted - self.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{METRICS, Task};
    use super::*;

    const T: [u8; 24] = [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    const P: [u8; 24] = [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0];
    const S: [f64; 24] = [
        0.9, 0.2, 0.4, 0.1, 0.1, 0.3, 0.2, 0.0, 0.8, 0.7, 0.6, 0.3, 0.2, 0.4, 0.9, 0.6, 0.45, 0.1, 0.3, 0.2, 0.2, 0.55,
        0.1, 0.1,
    ];

    /// scikit-learn 1.9.1 with `zero_division=0` on the rows above, of which some have no class, and class 3 no row;
    /// `average_precision_score` and `roc_auc_score` with `average="macro"` over the first three classes.
    #[test]
    fn six_rows_agree_with_scikit_learn() {
        let (t, p) = (T.map(|x| x == 1), P.map(|x| x == 1));
        let outcome = SetOutcome::new(&t, &p, 4, Some(&S)).unwrap();
        let wanted = [
            ("accuracy", 0.16666666666666666),
            ("hamming_loss", 0.25),
            ("precision_micro", 0.5714285714285714),
            ("precision_macro", 0.5),
            ("precision_weighted", 0.7142857142857143),
            ("precision_samples", 0.3611111111111111),
            ("recall_micro", 0.5714285714285714),
            ("recall_macro", 0.41666666666666663),
            ("recall_weighted", 0.5714285714285714),
            ("recall_samples", 0.3333333333333333),
            ("f1_micro", 0.5714285714285714),
            ("f1_macro", 0.45),
            ("f1_weighted", 0.6285714285714287),
            ("f1_samples", 0.3277777777777778),
            ("jaccard_micro", 0.4),
            ("jaccard_macro", 0.3333333333333333),
            ("jaccard_weighted", 0.47619047619047616),
            ("jaccard_samples", 0.24999999999999997),
            ("average_precision", 0.8888888888888888),
            ("average_precision_micro", 0.8607142857142857),
            ("roc_auc", 0.9166666666666666),
        ];
        for (name, want) in wanted {
            let got = compute_sets(Metric::named(name).unwrap(), &outcome).unwrap();
            assert!((got - want).abs() <= 1e-12, "{name}: {got} for {want}");
        }
        let of_sets = METRICS.iter().filter(|(_, metric, _)| metric.measures(Task::Sets));
        assert_eq!(of_sets.count(), wanted.len());
        assert_eq!(outcome.per_class()[3], ClassScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 });
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let nothing = SetOutcome::new(&[], &[], 3, None).unwrap();
        let classless = SetOutcome::new(&[], &[], 0, Some(&[])).unwrap();
        let empty = SetOutcome::new(&[false, false], &[false, false], 2, Some(&[0.5, 0.5])).unwrap();
        for (name, metric, _) in METRICS {
            assert_eq!((compute_sets(metric, &nothing), compute_sets(metric, &classless)), (None, None), "{name}");
            let defined = metric.measures(Task::Sets) && metric.needs() == super::super::MetricNeeds::Labels;
            assert_eq!(compute_sets(metric, &empty).is_some(), defined, "{name}");
        }
        assert_eq!(compute_sets(Metric::Accuracy, &empty), Some(1.0));
        let nan = SetOutcome::new(&[true, false], &[true, true], 1, Some(&[f64::NAN, 0.5])).unwrap();
        assert_eq!(compute_sets(Metric::AveragePrecision, &nan), None);
        assert!(SetOutcome::new(&[true; 3], &[true; 3], 2, None).is_err());
        assert!(SetOutcome::new(&[true; 4], &[true; 2], 2, None).is_err());
        assert!(SetOutcome::new(&[true; 4], &[true; 4], 2, Some(&[0.0])).is_err());
    }
}
