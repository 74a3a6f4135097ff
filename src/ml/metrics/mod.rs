//! How good are predictions? scikit-learn's classification metrics, each by its name.
//!
//! Ported from `sklearn/metrics` of scikit-learn 1.9.1. Averages run over every class that the data has, as with
//! `labels=classes`, so a class that one fold lacks counts there too (with 0), and folds stay comparable. `zero_division` is 0.
//! What is not defined for some rows (no rows at all, ROC without a negative) is `None`, never NaN.

mod labels;
mod outcome;
mod scores;

pub use labels::{ClassScores, ConfusionMatrix};
pub use outcome::{Outcome, OutcomeError, Scores};

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
    TopKAccuracy(TopK),
    /// The mean of −ln of the true class's probability, kept within `[ε, 1 − ε]` of f64; rows are not made to sum to 1.
    LogLoss,
    /// The mean squared error of the probabilities: of the second of two classes, else summed over classes.
    BrierScoreLoss,
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
}

/// How many of the highest scores count as a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopK {
    /// Two.
    Two,
    /// Three.
    Three,
    /// Five.
    Five,
}

/// What a metric must be given beside the true classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricNeeds {
    /// Predicted classes.
    Labels,
    /// Scores that order rows: probabilities or decision values.
    Scores,
    /// Probabilities.
    Probabilities,
}

/// Every metric, with its name in pipelines and what it needs, in the order to list them in.
pub const METRICS: [(&str, Metric, MetricNeeds); 22] = [
    ("accuracy", Metric::Accuracy, MetricNeeds::Labels),
    ("balanced_accuracy", Metric::BalancedAccuracy, MetricNeeds::Labels),
    ("f1_macro", Metric::F1(Average::Macro), MetricNeeds::Labels),
    ("f1_micro", Metric::F1(Average::Micro), MetricNeeds::Labels),
    ("f1_weighted", Metric::F1(Average::Weighted), MetricNeeds::Labels),
    ("precision_macro", Metric::Precision(Average::Macro), MetricNeeds::Labels),
    ("precision_micro", Metric::Precision(Average::Micro), MetricNeeds::Labels),
    ("precision_weighted", Metric::Precision(Average::Weighted), MetricNeeds::Labels),
    ("recall_macro", Metric::Recall(Average::Macro), MetricNeeds::Labels),
    ("recall_micro", Metric::Recall(Average::Micro), MetricNeeds::Labels),
    ("recall_weighted", Metric::Recall(Average::Weighted), MetricNeeds::Labels),
    ("matthews_corrcoef", Metric::MatthewsCorrcoef, MetricNeeds::Labels),
    ("cohen_kappa", Metric::CohenKappa, MetricNeeds::Labels),
    ("roc_auc", Metric::RocAuc, MetricNeeds::Scores),
    ("roc_auc_ovr", Metric::RocAucOvr, MetricNeeds::Scores),
    ("roc_auc_ovr_weighted", Metric::RocAucOvrWeighted, MetricNeeds::Scores),
    ("average_precision", Metric::AveragePrecision, MetricNeeds::Scores),
    ("top_2_accuracy", Metric::TopKAccuracy(TopK::Two), MetricNeeds::Scores),
    ("top_3_accuracy", Metric::TopKAccuracy(TopK::Three), MetricNeeds::Scores),
    ("top_5_accuracy", Metric::TopKAccuracy(TopK::Five), MetricNeeds::Scores),
    ("log_loss", Metric::LogLoss, MetricNeeds::Probabilities),
    ("brier_score_loss", Metric::BrierScoreLoss, MetricNeeds::Probabilities),
];

impl Metric {
    /// The metric that pipelines call `name`.
    pub fn named(name: &str) -> Option<Metric> {
        METRICS.iter().find(|(known, ..)| *known == name).map(|&(_, metric, _)| metric)
    }

    /// Its name in pipelines.
    pub fn name(self) -> &'static str {
        METRICS.iter().find(|(_, metric, _)| *metric == self).map_or("", |&(name, ..)| name)
    }

    /// What it must be given beside the true classes.
    pub fn needs(self) -> MetricNeeds {
        METRICS.iter().find(|(_, metric, _)| *metric == self).map_or(MetricNeeds::Labels, |&(.., needs)| needs)
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Metric::LogLoss | Metric::BrierScoreLoss)
    }
}

/// The value of `metric`; `None` where it is not defined for these rows, or the scores it needs are not there (see
/// [`Metric::needs`]) or hold NaN.
pub fn compute(metric: Metric, outcome: &Outcome<'_>) -> Option<f64> {
    if outcome.rows() == 0 {
        return None;
    }
    let value = match metric {
        Metric::RocAuc if outcome.classes() == 2 => scores::roc_auc(outcome, 1),
        Metric::RocAuc | Metric::RocAucOvr => scores::macro_average(outcome, scores::roc_auc),
        Metric::RocAucOvrWeighted => scores::weighted_average(outcome, scores::roc_auc),
        Metric::AveragePrecision if outcome.classes() == 2 => scores::average_precision(outcome, 1),
        Metric::AveragePrecision => scores::macro_average(outcome, scores::average_precision),
        Metric::TopKAccuracy(k) => scores::top_k_accuracy(outcome, k.get()),
        Metric::LogLoss => scores::log_loss(outcome),
        Metric::BrierScoreLoss => scores::brier_score_loss(outcome),
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

impl TopK {
    /// As a number.
    pub fn get(self) -> usize {
        match self {
            TopK::Two => 2,
            TopK::Three => 3,
            TopK::Five => 5,
        }
    }
}

#[cfg(test)]
mod tests;
