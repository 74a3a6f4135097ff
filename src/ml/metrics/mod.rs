//! How good are predictions? scikit-learn's metrics, each by its name: of classes, of sets of classes, of numbers.
//!
//! Ported from `sklearn/metrics` of scikit-learn 1.9.1. Averages run over every class that the data has, as with
//! `labels=classes`, so a class that one fold lacks counts there too (with 0), and folds stay comparable. `zero_division` is 0.
//! What is not defined for some rows (no rows at all, ROC without a negative) is `None`, never NaN.

mod curves;
mod labels;
mod outcome;
mod scores;
mod sets;
mod values;
mod weighed;

pub use curves::{Bin, Threshold, reliability, thresholds};
pub use labels::{ClassScores, ConfusionMatrix};
pub use outcome::{Outcome, OutcomeError, Scores};
pub use sets::{SetOutcome, compute_sets};
pub use values::{ValueOutcome, compute_values};
pub use weighed::{ClassF1, Places, Weighed};

use std::borrow::Cow;

/// One number that says how good predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// The share of rows whose class was predicted.
    Accuracy,
    /// The mean recall of the classes that occur.
    BalancedAccuracy,
    /// The correlation of truth and prediction over all classes; 0 where either is constant.
    MatthewsCorrcoef,
    /// The agreement beyond chance.
    CohenKappa,
    /// Precision, averaged over classes.
    Precision(Average),
    /// Recall, averaged over classes.
    Recall(Average),
    /// The harmonic mean of precision and recall, averaged over classes.
    F1(Average),
    /// The area under the ROC curve of the second of two classes, or the mean of every class against the rest.
    RocAuc,
    /// The mean over classes of the area under the ROC curve, each class against the rest.
    RocAucOvr,
    /// [`Metric::RocAucOvr`] weighted by how often each class occurs; classes that do not occur have no part.
    RocAucOvrWeighted,
    /// The mean precision over recall of the second of two classes, or the mean of every class against the rest.
    AveragePrecision,
    /// The share of rows whose class is among the `k` highest scores (of equal scores the later class is the higher).
    TopKAccuracy(u32),
    /// The mean of −ln of the true class's probability, kept within `[ε, 1 − ε]` of f64; rows are not made to sum to 1.
    LogLoss,
    /// The mean squared error of the probabilities: of the second of two classes, else summed over classes.
    BrierScoreLoss,
    /// The mean distance of the predicted class's probability from the share of hits, over so many bins of equal width.
    ExpectedCalibrationError(u32),
    /// The share of (row, class) pairs that are wrong.
    HammingLoss,
    /// Classes that are both true and predicted, as a share of those that are either.
    Jaccard(Average),
    /// The mean precision over recall of all (row, class) pairs together.
    AveragePrecisionMicro,
    /// The share of the variance that is explained.
    R2,
    /// The root of the mean squared error.
    RootMeanSquaredError,
    /// The mean squared error.
    MeanSquaredError,
    /// The mean distance.
    MeanAbsoluteError,
    /// The middle distance.
    MedianAbsoluteError,
    /// The largest distance.
    MaxError,
    /// Pearson's correlation.
    Pearson,
    /// Spearman's correlation of ranks.
    Spearman,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// One class for each row.
    Classes,
    /// Several classes for each row, or none.
    Sets,
    /// A number for each row.
    Values,
}

impl Task {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Task::Classes => "classes",
            Task::Sets => "sets",
            Task::Values => "values",
        }
    }
}

/// How a metric per class becomes one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Average {
    /// The mean of the classes.
    Macro,
    /// From the counts of all classes together.
    Micro,
    /// The mean of the classes, weighted by how many rows each has.
    Weighted,
    /// The mean of the rows, each measured by its own set of classes.
    Samples,
}

/// What a metric must be given beside the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricNeeds {
    /// What was predicted: classes or numbers.
    Labels,
    /// Scores that order rows: probabilities or decision values.
    Scores,
    /// Probabilities.
    Probabilities,
}

/// Every metric, with its name in pipelines and what it needs, in the order to list them in.
pub const METRICS: [(&str, Metric, MetricNeeds); 41] = [
    ("accuracy", Metric::Accuracy, MetricNeeds::Labels),
    ("balanced_accuracy", Metric::BalancedAccuracy, MetricNeeds::Labels),
    ("f1_macro", Metric::F1(Average::Macro), MetricNeeds::Labels),
    ("f1_micro", Metric::F1(Average::Micro), MetricNeeds::Labels),
    ("f1_weighted", Metric::F1(Average::Weighted), MetricNeeds::Labels),
    ("f1_samples", Metric::F1(Average::Samples), MetricNeeds::Labels),
    ("precision_macro", Metric::Precision(Average::Macro), MetricNeeds::Labels),
    ("precision_micro", Metric::Precision(Average::Micro), MetricNeeds::Labels),
    ("precision_weighted", Metric::Precision(Average::Weighted), MetricNeeds::Labels),
    ("precision_samples", Metric::Precision(Average::Samples), MetricNeeds::Labels),
    ("recall_macro", Metric::Recall(Average::Macro), MetricNeeds::Labels),
    ("recall_micro", Metric::Recall(Average::Micro), MetricNeeds::Labels),
    ("recall_weighted", Metric::Recall(Average::Weighted), MetricNeeds::Labels),
    ("recall_samples", Metric::Recall(Average::Samples), MetricNeeds::Labels),
    ("hamming_loss", Metric::HammingLoss, MetricNeeds::Labels),
    ("jaccard_macro", Metric::Jaccard(Average::Macro), MetricNeeds::Labels),
    ("jaccard_micro", Metric::Jaccard(Average::Micro), MetricNeeds::Labels),
    ("jaccard_weighted", Metric::Jaccard(Average::Weighted), MetricNeeds::Labels),
    ("jaccard_samples", Metric::Jaccard(Average::Samples), MetricNeeds::Labels),
    ("matthews_corrcoef", Metric::MatthewsCorrcoef, MetricNeeds::Labels),
    ("cohen_kappa", Metric::CohenKappa, MetricNeeds::Labels),
    ("roc_auc", Metric::RocAuc, MetricNeeds::Scores),
    ("roc_auc_ovr", Metric::RocAucOvr, MetricNeeds::Scores),
    ("roc_auc_ovr_weighted", Metric::RocAucOvrWeighted, MetricNeeds::Scores),
    ("average_precision", Metric::AveragePrecision, MetricNeeds::Scores),
    ("average_precision_micro", Metric::AveragePrecisionMicro, MetricNeeds::Scores),
    ("top_2_accuracy", Metric::TopKAccuracy(2), MetricNeeds::Scores),
    ("top_3_accuracy", Metric::TopKAccuracy(3), MetricNeeds::Scores),
    ("top_5_accuracy", Metric::TopKAccuracy(5), MetricNeeds::Scores),
    ("log_loss", Metric::LogLoss, MetricNeeds::Probabilities),
    ("brier_score_loss", Metric::BrierScoreLoss, MetricNeeds::Probabilities),
    ("expected_calibration_error", Metric::ExpectedCalibrationError(BINS), MetricNeeds::Probabilities),
    ("expected_calibration_error_15", Metric::ExpectedCalibrationError(15), MetricNeeds::Probabilities),
    ("r2", Metric::R2, MetricNeeds::Labels),
    ("root_mean_squared_error", Metric::RootMeanSquaredError, MetricNeeds::Labels),
    ("mean_squared_error", Metric::MeanSquaredError, MetricNeeds::Labels),
    ("mean_absolute_error", Metric::MeanAbsoluteError, MetricNeeds::Labels),
    ("median_absolute_error", Metric::MedianAbsoluteError, MetricNeeds::Labels),
    ("max_error", Metric::MaxError, MetricNeeds::Labels),
    ("pearson", Metric::Pearson, MetricNeeds::Labels),
    ("spearman", Metric::Spearman, MetricNeeds::Labels),
];

/// Bins of `expected_calibration_error` and of reliability tables.
pub const BINS: u32 = 10;

/// Most bins, and the largest K, that a metric's name may say.
const MOST: u32 = 100_000;

/// What others call some metrics.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("mae", "mean_absolute_error"),
    ("mse", "mean_squared_error"),
    ("rmse", "root_mean_squared_error"),
    ("r2_score", "r2"),
    ("pearsonr", "pearson"),
    ("spearmanr", "spearman"),
    ("ece", "expected_calibration_error"),
    ("brier", "brier_score_loss"),
    ("mcc", "matthews_corrcoef"),
    ("f1", "f1_macro"),
    ("subset_accuracy", "accuracy"),
    ("auc", "roc_auc"),
];

impl Metric {
    /// True if rows that are drawn again tell how sure it is: not the largest error, of which other samples say nothing, nor the
    /// calibration error, which is larger in every resample than in the rows themselves.
    pub fn can_be_resampled(self) -> bool {
        !matches!(self, Metric::MaxError | Metric::ExpectedCalibrationError(_))
    }

    /// True if it is taken of the rows of all folds together; those that order rows are taken fold by fold and averaged (see [`Weighed`]).
    pub fn pooled(self) -> bool {
        !matches!(
            self,
            Metric::RocAuc
                | Metric::RocAucOvr
                | Metric::RocAucOvrWeighted
                | Metric::AveragePrecision
                | Metric::AveragePrecisionMicro
                | Metric::Pearson
                | Metric::Spearman
        )
    }

    /// The metric that pipelines call `name`; besides those of [`METRICS`], `top_K_accuracy` and
    /// `expected_calibration_error_BINS` for any number.
    pub fn named(name: &str) -> Option<Metric> {
        let listed = METRICS.iter().find(|(known, ..)| *known == name).map(|&(_, metric, _)| metric);
        listed.or_else(|| Metric::numbered(name).filter(|metric| metric.name() == name))
    }

    fn numbered(name: &str) -> Option<Metric> {
        let number = |digits: &str| digits.parse().ok().filter(|number| (1..=MOST).contains(number));
        match name.strip_prefix("top_").and_then(|rest| rest.strip_suffix("_accuracy")) {
            Some(digits) => number(digits).map(Metric::TopKAccuracy),
            None => number(name.strip_prefix("expected_calibration_error_")?).map(Metric::ExpectedCalibrationError),
        }
    }

    /// The name of the metric that others call `name`.
    pub fn meant_by(name: &str) -> Option<&'static str> {
        OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|&(_, ours)| ours)
    }

    /// Its name in pipelines.
    pub fn name(self) -> Cow<'static, str> {
        match (METRICS.iter().find(|(_, metric, _)| *metric == self), self) {
            (Some(&(name, ..)), _) => Cow::Borrowed(name),
            (None, Metric::TopKAccuracy(k)) => Cow::Owned(format!("top_{k}_accuracy")),
            (None, Metric::ExpectedCalibrationError(bins)) => Cow::Owned(format!("expected_calibration_error_{bins}")),
            (None, _) => Cow::Borrowed(""),
        }
    }

    /// What it must be given beside the truth.
    pub fn needs(self) -> MetricNeeds {
        match (METRICS.iter().find(|(_, metric, _)| *metric == self), self) {
            (Some(&(.., needs)), _) => needs,
            (None, Metric::TopKAccuracy(_)) => MetricNeeds::Scores,
            (None, Metric::ExpectedCalibrationError(_)) => MetricNeeds::Probabilities,
            (None, _) => MetricNeeds::Labels,
        }
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        use Metric as M;
        let losses = matches!(self, M::LogLoss | M::BrierScoreLoss | M::ExpectedCalibrationError(_) | M::HammingLoss);
        !losses
            && !matches!(
                self,
                M::RootMeanSquaredError
                    | M::MeanSquaredError
                    | M::MeanAbsoluteError
                    | M::MedianAbsoluteError
                    | M::MaxError
            )
    }

    /// Whether it says something of such predictions.
    pub fn measures(self, task: Task) -> bool {
        use Metric as M;
        match self {
            M::R2
            | M::RootMeanSquaredError
            | M::MeanSquaredError
            | M::MeanAbsoluteError
            | M::MedianAbsoluteError
            | M::MaxError
            | M::Pearson
            | M::Spearman => task == Task::Values,
            M::HammingLoss | M::Jaccard(_) | M::AveragePrecisionMicro => task == Task::Sets,
            M::Precision(Average::Samples) | M::Recall(Average::Samples) | M::F1(Average::Samples) => {
                task == Task::Sets
            }
            M::Accuracy | M::Precision(_) | M::Recall(_) | M::F1(_) | M::RocAuc | M::AveragePrecision => {
                task != Task::Values
            }
            M::BalancedAccuracy
            | M::MatthewsCorrcoef
            | M::CohenKappa
            | M::RocAucOvr
            | M::RocAucOvrWeighted
            | M::TopKAccuracy(_)
            | M::LogLoss
            | M::BrierScoreLoss
            | M::ExpectedCalibrationError(_) => task == Task::Classes,
        }
    }
}

/// The value of `metric` of classes; `None` where it is not defined for these rows, or the scores it needs are not there (see
/// [`Metric::needs`]) or hold NaN.
pub fn compute(metric: Metric, outcome: &Outcome<'_>) -> Option<f64> {
    if outcome.rows() == 0 || !metric.measures(Task::Classes) {
        return None;
    }
    let value = match metric {
        Metric::RocAuc if outcome.classes() == 2 => scores::roc_auc(outcome, 1),
        Metric::RocAuc | Metric::RocAucOvr => scores::macro_average(outcome, scores::roc_auc),
        Metric::RocAucOvrWeighted => scores::weighted_average(outcome, scores::roc_auc),
        Metric::AveragePrecision if outcome.classes() == 2 => scores::average_precision(outcome, 1),
        Metric::AveragePrecision => scores::macro_average(outcome, scores::average_precision),
        Metric::TopKAccuracy(k) => scores::top_k_accuracy(outcome, k as usize),
        Metric::LogLoss => scores::log_loss(outcome),
        Metric::BrierScoreLoss => scores::brier_score_loss(outcome),
        Metric::ExpectedCalibrationError(bins) => curves::expected_calibration_error(outcome, bins),
        _ => of_labels(metric, &ConfusionMatrix::of(outcome)),
    };
    value.filter(|value| value.is_finite())
}

fn of_labels(metric: Metric, matrix: &ConfusionMatrix) -> Option<f64> {
    match metric {
        Metric::Accuracy => matrix.accuracy(),
        Metric::BalancedAccuracy => matrix.balanced_accuracy(),
        Metric::MatthewsCorrcoef => matrix.matthews_corrcoef(),
        Metric::CohenKappa => matrix.cohen_kappa(),
        Metric::Precision(average) => matrix.average(average, |scores| scores.precision),
        Metric::Recall(average) => matrix.average(average, |scores| scores.recall),
        Metric::F1(average) => matrix.average(average, |scores| scores.f1),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
