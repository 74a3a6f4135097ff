//! How good are predicted classes? Everything that follows from the confusion matrix.

use super::{Average, Outcome};

/// How many rows of each true class were given each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

/// How good the predictions of one class are; what would divide by 0 is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// The share of rows given this class that have it.
    pub precision: f64,
    /// The share of rows that have this class and were given it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// How many rows have this class.
    pub support: u64,
}

impl ConfusionMatrix {
    /// Counts `outcome`.
    pub fn of(outcome: &Outcome<'_>) -> Self {
        let classes = outcome.classes();
        let mut counts = vec![0; classes * classes];
        for (&truth, &predicted) in outcome.y_true().iter().zip(outcome.y_pred()) {
            counts[truth as usize * classes + predicted as usize] += 1;
        }
        ConfusionMatrix { classes, counts }
    }

    /// Counts that are already there: a row for each true class, with one for each predicted one.
    pub(super) fn from_counts(classes: usize, counts: Vec<u64>) -> Self {
        ConfusionMatrix { classes, counts }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// One row per true class, each with one count per predicted class.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        // `max(1)`: without classes there is nothing to chunk, but a chunk of 0 would panic
        self.counts.chunks_exact(self.classes.max(1))
    }

    /// Precision, recall, F1 and support of each class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        let (truths, predictions) = (self.truths(), self.predictions());
        let classes = truths.iter().zip(&predictions).enumerate();
        classes.map(|(class, (&truth, &predicted))| ClassScores::new(self.hits_of(class), predicted, truth)).collect()
    }

    /// The share of all rows on the diagonal.
    pub(super) fn accuracy(&self) -> Option<f64> {
        let hits: u64 = (0..self.classes).map(|class| self.hits_of(class)).sum();
        Some(ratio(hits, self.counts.iter().sum()))
    }

    /// The mean recall of the classes that occur (`balanced_accuracy_score`).
    pub(super) fn balanced_accuracy(&self) -> Option<f64> {
        let occurring = self.per_class().into_iter().filter(|scores| scores.support > 0);
        crate::ml::stats::mean(&occurring.map(|scores| scores.recall).collect::<Vec<_>>())
    }

    /// Gorodkin's R_K, the multi-class Matthews correlation (`matthews_corrcoef`); 0 where truth or prediction is constant.
    pub(super) fn matthews_corrcoef(&self) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let (truths, predictions) = (self.truths(), self.predictions());
        let hits: u64 = (0..self.classes).map(|class| self.hits_of(class)).sum();
        // whole numbers below 2^127 for up to 2^63 rows: no rounding before the root
        let product =
            |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(&a, &b)| i128::from(a) * i128::from(b)).sum::<i128>();
        let all = i128::from(total) * i128::from(total);
        let both = i128::from(hits) * i128::from(total) - product(&truths, &predictions);
        let (of_truth, of_prediction) = (all - product(&truths, &truths), all - product(&predictions, &predictions));
        if of_truth == 0 || of_prediction == 0 {
            return Some(0.0);
        }
        let length = match of_truth == of_prediction {
            // so that all right is 1 to the bit
            true => of_truth as f64,
            false => (of_truth as f64).sqrt() * (of_prediction as f64).sqrt(),
        };
        Some((both as f64 / length).clamp(-1.0, 1.0))
    }

    /// Cohen's κ, unweighted (`cohen_kappa_score`); `None` where truth and prediction are one and the same class throughout.
    pub(super) fn cohen_kappa(&self) -> Option<f64> {
        let total = self.counts.iter().sum::<u64>() as f64;
        let by_chance = self.truths().into_iter().zip(self.predictions());
        let by_chance: f64 = by_chance.map(|(truth, predicted)| truth as f64 * predicted as f64).sum();
        let expected = by_chance / (total * total);
        let disagreement = 1.0 - self.accuracy()?;
        (expected < 1.0).then(|| 1.0 - disagreement / (1.0 - expected))
    }

    /// One number from the scores per class (`precision_recall_fscore_support` with `labels=classes, zero_division=0`).
    pub(super) fn average(&self, average: Average, part: impl Fn(&ClassScores) -> f64) -> Option<f64> {
        let classes = self.per_class();
        match average {
            Average::Macro => crate::ml::stats::mean(&classes.iter().map(part).collect::<Vec<_>>()),
            // every row has one class and is given one: all three are the accuracy
            Average::Micro => self.accuracy(),
            // a row of one class has nothing to be averaged over
            Average::Samples => None,
            Average::Weighted => {
                let rows: u64 = classes.iter().map(|scores| scores.support).sum();
                let sum: f64 = classes.iter().map(|scores| part(scores) * scores.support as f64).sum();
                (rows > 0).then(|| sum / rows as f64)
            }
        }
    }

    fn hits_of(&self, class: usize) -> u64 {
        self.counts[class * self.classes + class]
    }

    /// How many rows have each class.
    fn truths(&self) -> Vec<u64> {
        self.rows().map(|row| row.iter().sum()).collect()
    }

    /// How many rows were given each class.
    fn predictions(&self) -> Vec<u64> {
        let mut sums = vec![0; self.classes];
        for row in self.rows() {
            sums.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        }
        sums
    }
}

impl ClassScores {
    pub(super) fn new(hits: u64, predicted: u64, support: u64) -> Self {
        ClassScores {
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, predicted + support),
            support,
        }
    }
}

/// `part / whole`, and 0 where there is no whole.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
