//! What are areas under curves when rows count more or less? Rows stand in the order of their scores once and for all.

use super::super::sets::SetOutcome;
use super::super::{Metric, Outcome};
use super::{Places, over_defined};
use crate::ml::stats::mean;

/// A metric of the order of rows, fold by fold.
#[derive(Debug)]
pub(super) struct Ranks {
    at: usize,
    area: fn(&Order, &[u32]) -> Area,
    joined: Joined,
    /// For each fold, the orders by each class.
    folds: Vec<Vec<Order>>,
}

/// How the classes of a fold become one number.
#[derive(Debug, Clone, Copy)]
enum Joined {
    /// Their mean, if all are defined.
    All,
    /// The mean of those that are defined.
    Defined,
    /// The mean, weighted by rows, of those that occur; if these are all defined.
    Weighted,
}

/// Rows by falling score of a class.
#[derive(Debug)]
struct Order {
    unit: Vec<u32>,
    /// Whether the row has the class, and whether it is the last of those of equal score.
    marks: Vec<(bool, bool)>,
}

struct Area {
    value: Option<f64>,
    positives: f64,
}

impl Ranks {
    pub(super) fn of_classes(at: usize, metric: Metric, outcome: &Outcome<'_>, places: Places<'_>) -> Option<Ranks> {
        let (scores, classes) = (outcome.scores()?, outcome.classes());
        let binary = classes == 2 && matches!(metric, Metric::RocAuc | Metric::AveragePrecision);
        let wanted = if binary { 1..2 } else { 0..classes };
        let fold = |rows: &[usize]| {
            let order = |class: usize| {
                Order::of(rows.iter().map(|&row| {
                    let has = outcome.y_true()[row] as usize == class;
                    (scores[row * classes + class], has, places.unit[row])
                }))
            };
            wanted.clone().map(order).collect()
        };
        let joined = if metric == Metric::RocAucOvrWeighted { Joined::Weighted } else { Joined::All };
        let area = if metric == Metric::AveragePrecision { Order::precision } else { Order::roc };
        Some(Ranks { at, area, joined, folds: by_fold(places.fold).iter().map(|rows| fold(rows)).collect() })
    }

    pub(super) fn of_sets(at: usize, metric: Metric, outcome: &SetOutcome<'_>, places: Places<'_>) -> Option<Ranks> {
        let (scores, truths, classes) = (outcome.scores()?, outcome.truths(), outcome.classes());
        let pair = |row: usize, class: usize| {
            let cell = row * classes + class;
            (scores[cell], truths[cell], places.unit[row])
        };
        let fold = |rows: &[usize]| -> Vec<Order> {
            match metric {
                Metric::AveragePrecisionMicro => {
                    let pairs = rows.iter().flat_map(|&row| (0..classes).map(move |class| pair(row, class)));
                    vec![Order::of(pairs)]
                }
                _ => (0..classes).map(|class| Order::of(rows.iter().map(|&row| pair(row, class)))).collect(),
            }
        };
        let area = if metric == Metric::RocAuc { Order::roc } else { Order::precision };
        let folds = by_fold(places.fold).iter().map(|rows| fold(rows)).collect();
        Some(Ranks { at, area, joined: Joined::Defined, folds })
    }

    pub(super) fn score(&self, weights: &[u32], into: &mut [f64]) {
        into[self.at] = over_defined(self.folds.iter().map(|fold| self.of_fold(fold, weights)));
    }

    fn of_fold(&self, fold: &[Order], weights: &[u32]) -> Option<f64> {
        let areas = fold.iter().map(|order| (self.area)(order, weights));
        match self.joined {
            Joined::All => mean(&areas.map(|area| area.value).collect::<Option<Vec<f64>>>()?),
            Joined::Defined => mean(&areas.filter_map(|area| area.value).collect::<Vec<f64>>()),
            Joined::Weighted => {
                let (mut sum, mut rows) = (0.0, 0.0);
                for area in areas.filter(|area| area.positives > 0.0) {
                    sum += area.positives * area.value?;
                    rows += area.positives;
                }
                (rows > 0.0).then(|| sum / rows)
            }
        }
    }
}

/// The rows of each fold, folds in order.
pub(super) fn by_fold(fold: &[u32]) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..fold.len()).collect();
    rows.sort_by_key(|&row| fold[row]);
    rows.chunk_by(|&a, &b| fold[a] == fold[b]).map(<[usize]>::to_vec).collect()
}

impl Order {
    fn of(rows: impl Iterator<Item = (f64, bool, u32)>) -> Order {
        let mut rows: Vec<(f64, bool, u32)> = rows.collect();
        // no NaN gets here, so `total_cmp` differs from `==` in the sign of zero alone, and marks join zeros
        rows.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        let last = |at: usize| rows.get(at + 1).is_none_or(|next| next.0 != rows[at].0);
        let marks = (0..rows.len()).map(|at| (rows[at].1, last(at))).collect();
        Order { marks, unit: rows.into_iter().map(|(.., unit)| unit).collect() }
    }

    fn weighted<'a>(&'a self, weights: &'a [u32]) -> impl Iterator<Item = (u64, u64, bool)> + 'a {
        self.unit.iter().zip(&self.marks).map(|(unit, &(positive, last))| {
            let weight = u64::from(weights[*unit as usize]);
            if positive { (weight, 0, last) } else { (0, weight, last) }
        })
    }

    /// The area under the ROC curve, ties counted half.
    fn roc(&self, weights: &[u32]) -> Area {
        // twice the pairs in the right order; whole numbers, so that nothing is rounded
        let (mut pairs, mut positives, mut negatives) = (0u128, 0u64, 0u64);
        let (mut tied_positives, mut tied_negatives) = (0, 0);
        for (positive, negative, last) in self.weighted(weights) {
            tied_positives += positive;
            tied_negatives += negative;
            if last {
                pairs += u128::from(tied_negatives) * u128::from(2 * positives + tied_positives);
                positives += tied_positives;
                negatives += tied_negatives;
                (tied_positives, tied_negatives) = (0, 0);
            }
        }
        let all = 2.0 * positives as f64 * negatives as f64;
        Area { value: (all > 0.0).then(|| pairs as f64 / all), positives: positives as f64 }
    }

    /// The precision at each threshold, weighted by the recall gained there.
    fn precision(&self, weights: &[u32]) -> Area {
        let (mut sum, mut positives, mut seen, mut tied) = (0.0, 0u64, 0u64, 0u64);
        for (positive, negative, last) in self.weighted(weights) {
            tied += positive;
            seen += positive + negative;
            if last {
                positives += tied;
                if tied > 0 {
                    sum += tied as f64 * (positives as f64 / seen as f64);
                }
                tied = 0;
            }
        }
        Area { value: (positives > 0).then(|| sum / positives as f64), positives: positives as f64 }
    }
}
