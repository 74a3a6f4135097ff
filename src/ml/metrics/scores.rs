//! How good are scores? Their order within a class (ROC, precision), among the classes (top k), and their values (log loss).

use super::Outcome;

/// The area under the ROC curve of `class` against the rest, ties counted half: the Mann–Whitney statistic, which equals
/// the trapezoids of `roc_auc_score`. `None` where every row has the class or none has.
pub(super) fn roc_auc(outcome: &Outcome<'_>, class: usize) -> Option<f64> {
    roc_auc_of(ties(outcome, class)?)
}

/// [`roc_auc`] of ties by falling score.
pub(super) fn roc_auc_of(ties: Vec<Tie>) -> Option<f64> {
    // twice the number of (positive, negative) pairs in the right order, a tie counting one
    let (mut pairs, mut positives, mut negatives) = (0u128, 0u128, 0u128);
    for tie in ties {
        pairs += u128::from(tie.negatives) * (2 * positives + u128::from(tie.positives));
        positives += u128::from(tie.positives);
        negatives += u128::from(tie.negatives);
    }
    (positives > 0 && negatives > 0).then(|| pairs as f64 / (2 * positives * negatives) as f64)
}

/// The precision at each threshold, weighted by the recall gained there, without interpolation
/// (`average_precision_score`). `None` where no row has the class.
pub(super) fn average_precision(outcome: &Outcome<'_>, class: usize) -> Option<f64> {
    precision_of(ties(outcome, class)?)
}

/// [`average_precision`] of ties by falling score.
pub(super) fn precision_of(ties: Vec<Tie>) -> Option<f64> {
    let (mut sum, mut positives, mut seen) = (0.0, 0u64, 0u64);
    for tie in ties {
        positives += tie.positives;
        seen += tie.positives + tie.negatives;
        sum += tie.positives as f64 * (positives as f64 / seen as f64);
    }
    (positives > 0).then(|| sum / positives as f64)
}

/// The mean of `score` over all classes; `None` where one class has none.
pub(super) fn macro_average(outcome: &Outcome<'_>, score: fn(&Outcome<'_>, usize) -> Option<f64>) -> Option<f64> {
    let scores = (0..outcome.classes()).map(|class| score(outcome, class));
    crate::ml::stats::mean(&scores.collect::<Option<Vec<f64>>>()?)
}

/// The mean of `score` over the classes that occur, weighted by how many rows have each.
pub(super) fn weighted_average(outcome: &Outcome<'_>, score: fn(&Outcome<'_>, usize) -> Option<f64>) -> Option<f64> {
    let mut support = vec![0u32; outcome.classes()];
    outcome.y_true().iter().for_each(|&class| support[class as usize] += 1);
    let mut sum = 0.0;
    for (class, &rows) in support.iter().enumerate().filter(|(_, rows)| **rows > 0) {
        sum += f64::from(rows) * score(outcome, class)?;
    }
    Some(sum / outcome.rows() as f64)
}

/// The share of rows whose class is among the `k` highest scores; of equal scores the later class ranks higher
/// (`top_k_accuracy_score` sorts stably and takes from the end).
pub(super) fn top_k_accuracy(outcome: &Outcome<'_>, k: usize) -> Option<f64> {
    crate::ml::stats::mean(&top_k_hits(outcome, k)?)
}

/// 1 for each row whose class is among the `k` highest scores, 0 for the others.
pub(super) fn top_k_hits(outcome: &Outcome<'_>, k: usize) -> Option<Vec<f64>> {
    let rows = outcome.scores()?.chunks_exact(outcome.classes()).zip(outcome.y_true());
    let hit = |(scores, truth): (&[f64], &u32)| {
        let truth = *truth as usize;
        let above =
            |(class, score): (usize, &f64)| *score > scores[truth] || (*score == scores[truth] && class > truth);
        f64::from(u8::from(scores.iter().enumerate().filter(|&score| above(score)).count() < k))
    };
    Some(rows.map(hit).collect())
}

/// The mean of −ln of the true class's probability, kept within `[ε, 1 − ε]` (`log_loss`, which since 1.5 no longer scales
/// rows to sum to 1).
pub(super) fn log_loss(outcome: &Outcome<'_>) -> Option<f64> {
    crate::ml::stats::mean(&log_losses(outcome)?)
}

/// [`log_loss`] of each row.
pub(super) fn log_losses(outcome: &Outcome<'_>) -> Option<Vec<f64>> {
    let rows = outcome.probabilities()?.chunks_exact(outcome.classes()).zip(outcome.y_true());
    Some(rows.map(|(row, &truth)| -row[truth as usize].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()).collect())
}

/// The squared error of a row's probabilities, summed over classes and averaged over rows; for two classes half of it,
/// which is the squared error of the second alone (`brier_score_loss` with `scale_by_half="auto"`).
pub(super) fn brier_score_loss(outcome: &Outcome<'_>) -> Option<f64> {
    let mut sum = 0.0;
    for (row, &truth) in outcome.probabilities()?.chunks_exact(outcome.classes()).zip(outcome.y_true()) {
        for (class, &p) in row.iter().enumerate() {
            let target = if class == truth as usize { 1.0 } else { 0.0 };
            sum += (target - p) * (target - p);
        }
    }
    let scale = if outcome.classes() <= 2 { 0.5 } else { 1.0 };
    Some(scale * sum / outcome.rows() as f64)
}

/// [`brier_score_loss`] of each row.
pub(super) fn squared_errors(outcome: &Outcome<'_>) -> Option<Vec<f64>> {
    let scale = if outcome.classes() <= 2 { 0.5 } else { 1.0 };
    let rows = outcome.probabilities()?.chunks_exact(outcome.classes()).zip(outcome.y_true());
    let error = |(row, &truth): (&[f64], &u32)| {
        let target = |class: usize| if class == truth as usize { 1.0 } else { 0.0 };
        scale * row.iter().enumerate().map(|(class, p)| (target(class) - p) * (target(class) - p)).sum::<f64>()
    };
    Some(rows.map(error).collect())
}

/// Rows that share one score.
pub(super) struct Tie {
    pub(super) score: f64,
    pub(super) positives: u64,
    pub(super) negatives: u64,
}

/// The rows by falling score of `class`, those of equal score together. `None` without usable scores.
pub(super) fn ties(outcome: &Outcome<'_>, class: usize) -> Option<Vec<Tie>> {
    let column = outcome.scores()?.iter().skip(class).step_by(outcome.classes());
    Some(tied(column.zip(outcome.y_true()).map(|(&score, &truth)| (score, truth as usize == class)).collect()))
}

/// Scores with whether they are of positives, by falling score, equal ones together.
pub(super) fn tied(mut rows: Vec<(f64, bool)>) -> Vec<Tie> {
    // no NaN gets here, so `total_cmp` differs from `==` in the sign of zero alone, and chunks below join zeros
    rows.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let tie = |rows: &[(f64, bool)]| {
        let positives = rows.iter().filter(|(_, positive)| *positive).count() as u64;
        Tie { score: rows[0].0, positives, negatives: rows.len() as u64 - positives }
    };
    rows.chunk_by(|(a, _), (b, _)| a == b).map(tie).collect()
}
