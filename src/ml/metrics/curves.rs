//! How far may probabilities be trusted, and what would another threshold give?

use super::Outcome;
use super::scores::ties;

/// Predictions of about equal probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Above this probability (in the first bin: from it on).
    pub low: f64,
    /// Up to this one.
    pub high: f64,
    /// How many rows.
    pub rows: u64,
    /// Their mean probability; 0 without rows.
    pub confidence: f64,
    /// The share of them that is right; 0 without rows.
    pub accuracy: f64,
}

/// What comes of calling rows positive from some score on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The score.
    pub threshold: f64,
    /// The share of rows called positive that are.
    pub precision: f64,
    /// The share of positive rows that are called so: the true positive rate.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// The share of negative rows that are called positive.
    pub false_positive_rate: f64,
}

/// Rows by the probability of the class that was predicted for them, in `bins` bins of equal width, `((i − 1) / bins, i / bins]`
/// as in Guo et al., "On Calibration of Modern Neural Networks" (2017), section 2. `None` without probabilities.
pub fn reliability(outcome: &Outcome<'_>, bins: u32) -> Option<Vec<Bin>> {
    let edge = |at: usize| at as f64 / f64::from(bins);
    let mut all: Vec<Bin> = (0..bins as usize)
        .map(|at| Bin { low: edge(at), high: edge(at + 1), rows: 0, confidence: 0.0, accuracy: 0.0 })
        .collect();
    for (at, confidence, right) in confidences(outcome, bins)? {
        let bin = all.get_mut(at)?;
        bin.rows += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(right));
    }
    for bin in all.iter_mut().filter(|bin| bin.rows > 0) {
        bin.confidence /= bin.rows as f64;
        bin.accuracy /= bin.rows as f64;
    }
    Some(all)
}

/// For each row the bin it belongs to, the probability of its predicted class, and whether that is right.
pub(super) fn confidences(outcome: &Outcome<'_>, bins: u32) -> Option<Vec<(usize, f64, bool)>> {
    let ends: Vec<f64> = (1..=bins).map(|at| f64::from(at) / f64::from(bins)).collect();
    let rows = outcome.probabilities()?.chunks_exact(outcome.classes().max(1));
    let of = |((row, truth), predicted): ((&[f64], &u32), &u32)| {
        let confidence = row[*predicted as usize];
        let at = ends.partition_point(|end| *end < confidence).min(ends.len().saturating_sub(1));
        (at, confidence, truth == predicted)
    };
    Some(rows.zip(outcome.y_true()).zip(outcome.y_pred()).map(of).collect())
}

/// The distance of each bin's accuracy from its confidence, averaged over rows: ECE as Guo et al. (2017), equation 3, define it.
pub(super) fn expected_calibration_error(outcome: &Outcome<'_>, bins: u32) -> Option<f64> {
    let bins = reliability(outcome, bins)?;
    let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
    let gaps: f64 = bins.iter().map(|bin| bin.rows as f64 * (bin.accuracy - bin.confidence).abs()).sum();
    (rows > 0).then(|| gaps / rows as f64)
}

/// What each threshold on the score of the second of two classes gives, by falling threshold: each score that occurs, or `most`
/// of them at equal distances in rows, the last always among them. `None` without scores, of other than two classes, and where
/// all rows have one class.
pub fn thresholds(outcome: &Outcome<'_>, most: usize) -> Option<Vec<Threshold>> {
    if outcome.classes() != 2 {
        return None;
    }
    let positives = outcome.y_true().iter().filter(|class| **class == 1).count() as u64;
    let negatives = outcome.rows() as u64 - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let ties = ties(outcome, 1)?;
    let thin = ties.len() > most;
    let (mut hits, mut alarms, mut kept) = (0, 0, Vec::new());
    for (at, tie) in ties.iter().enumerate() {
        (hits, alarms) = (hits + tie.positives, alarms + tie.negatives);
        // the first score at or after each of `most` equally distant rows
        let due = (hits + alarms) * most as u64 >= (kept.len() as u64 + 1) * (positives + negatives);
        if thin && !due && at + 1 < ties.len() {
            continue;
        }
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        kept.push(Threshold {
            threshold: tie.score,
            precision: share(hits, hits + alarms),
            recall: share(hits, positives),
            f1: share(2 * hits, hits + alarms + positives),
            false_positive_rate: share(alarms, negatives),
        });
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::super::{Metric, Scores, compute};
    use super::*;

    /// Twelve rows by numpy: `digitize(confidence, arange(bins + 1) / bins, right=True)`, then equation 3.
    #[test]
    fn calibration_agrees_with_numpy() {
        let p = [
            [0.5, 0.3, 0.2],
            [0.6, 0.4, 0.0],
            [1.0, 0.0, 0.0],
            [0.307, 0.335, 0.358],
            [0.059, 0.568, 0.373],
            [0.77, 0.198, 0.032],
            [0.14, 0.182, 0.678],
            [0.043, 0.124, 0.833],
            [0.158, 0.311, 0.531],
            [0.023, 0.976, 0.001],
            [0.635, 0.275, 0.09],
            [0.276, 0.519, 0.205],
        ];
        let flat: Vec<f64> = p.iter().flatten().copied().collect();
        let (y, predicted) = ([0, 0, 0, 2, 1, 1, 0, 2, 2, 0, 0, 0], [0, 0, 0, 2, 1, 0, 2, 2, 2, 1, 0, 1]);
        let outcome = Outcome::new(&y, &predicted, 3, Some(Scores::Probabilities(&flat))).unwrap();
        for (name, want) in
            [("expected_calibration_error", 0.3458333333333333), ("expected_calibration_error_15", 0.4066666666666666)]
        {
            let got = compute(Metric::named(name).unwrap(), &outcome).unwrap();
            assert!((got - want).abs() < 1e-12, "{name}: {got}");
        }
        let bins = reliability(&outcome, 10).unwrap();
        assert_eq!(bins.iter().map(|bin| bin.rows).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 4, 2, 1, 1, 2]);
        assert_eq!((bins[4].low, bins[4].high, bins[4].confidence, bins[4].accuracy), (0.4, 0.5, 0.5, 1.0));
        let decisions = Outcome::new(&y, &predicted, 3, Some(Scores::Decisions(&flat))).unwrap();
        assert_eq!(reliability(&decisions, 10), None);
        let none = Outcome::new(&[], &[], 2, Some(Scores::Probabilities(&[]))).unwrap();
        assert_eq!(compute(Metric::ExpectedCalibrationError(10), &none), None);
        // a probability of 0 lies in the first bin
        let least = Outcome::new(&[0], &[0], 2, Some(Scores::Probabilities(&[0.0, 1.0]))).unwrap();
        assert_eq!(reliability(&least, 10).unwrap()[0].rows, 1);
    }

    /// scikit-learn 1.9.1: `precision_recall_curve([0, 0, 1, 1], [.1, .4, .35, .8])` and `roc_curve`, last threshold first.
    #[test]
    fn thresholds_agree_with_scikit_learn() {
        let scores = [0.9, 0.1, 0.6, 0.4, 0.65, 0.35, 0.2, 0.8];
        let outcome = Outcome::new(&[0, 0, 1, 1], &[0; 4], 2, Some(Scores::Probabilities(&scores))).unwrap();
        let found = thresholds(&outcome, 200).unwrap();
        let rows: Vec<[f64; 4]> =
            found.iter().map(|t| [t.threshold, t.precision, t.recall, t.false_positive_rate]).collect();
        assert_eq!(
            rows,
            [[0.8, 1.0, 0.5, 0.0], [0.4, 0.5, 0.5, 0.5], [0.35, 2.0 / 3.0, 1.0, 0.5], [0.1, 0.5, 1.0, 1.0]]
        );
        assert_eq!(found[2].f1, 0.8);
        let one = Outcome::new(&[1, 1], &[1, 1], 2, Some(Scores::Decisions(&[0.0; 4]))).unwrap();
        assert_eq!(thresholds(&one, 9), None);
        assert_eq!(thresholds(&Outcome::new(&[0, 1], &[0, 1], 2, None).unwrap(), 9), None);
    }

    #[test]
    fn many_thresholds_are_thinned() {
        let rows = 10_001;
        let y: Vec<u32> = (0..rows).map(|row| u32::from(row % 3 == 0)).collect();
        let scores: Vec<f64> = (0..rows).flat_map(|row| [-f64::from(row), f64::from(row)]).collect();
        let outcome = Outcome::new(&y, &y, 2, Some(Scores::Decisions(&scores))).unwrap();
        let found = thresholds(&outcome, 200).unwrap();
        assert!((199..=200).contains(&found.len()), "{}", found.len());
        assert!(found.windows(2).all(|pair| pair[0].threshold > pair[1].threshold && pair[0].recall <= pair[1].recall));
        let last = found.last().unwrap();
        assert_eq!((last.threshold, last.recall, last.false_positive_rate), (0.0, 1.0, 1.0));
        assert!((found[99].recall - 0.5).abs() < 0.01);
    }
}
