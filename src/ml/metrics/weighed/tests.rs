//! Are weighted scores those of rows that stand as often as they count?

use super::super::{METRICS, Metric, Outcome, Scores, SetOutcome, Task, ValueOutcome};
use super::super::{compute, compute_sets, compute_values};
use super::*;
use crate::ml::Rng;

fn all_of(task: Task) -> Vec<Metric> {
    METRICS.iter().map(|(_, metric, _)| *metric).filter(|metric| metric.measures(task)).collect()
}

fn fold_wise(metric: Metric) -> bool {
    use Metric as M;
    matches!(
        metric,
        M::RocAuc | M::RocAucOvr | M::RocAucOvrWeighted | M::AveragePrecision | M::AveragePrecisionMicro | M::Pearson
    ) || metric == M::Spearman
}

/// Rows as often as they count, fold by fold where the metric is taken so, else all together.
fn expected(metric: Metric, weights: &[u32], fold: &[u32], score: impl Fn(&[usize]) -> Option<f64>) -> Option<f64> {
    let copies = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..weights.len())
            .filter(|row| wanted(*row))
            .flat_map(|row| std::iter::repeat_n(row, weights[row] as usize))
            .collect()
    };
    if !fold_wise(metric) {
        return score(&copies(&|_| true));
    }
    let of_folds: Vec<f64> = (0..3).filter_map(|wanted| score(&copies(&|row| fold[row] == wanted))).collect();
    mean(&of_folds)
}

fn check(weighed: &Weighed, weights: &[u32], fold: &[u32], score: impl Fn(Metric, &[usize]) -> Option<f64>) {
    let mut got = vec![0.0; weighed.width()];
    weighed.score(weights, &mut got);
    for (metric, got) in weighed.metrics().iter().zip(got) {
        let want = expected(*metric, weights, fold, |rows| score(*metric, rows));
        match (want, got) {
            (Some(want), got) => assert!((want - got).abs() < 1e-9, "{}: {got} for {want}", metric.name()),
            (None, got) => assert!(got.is_nan(), "{}: {got} for nothing", metric.name()),
        }
    }
}

fn weights(rng: &mut Rng, rows: usize) -> Vec<Vec<u32>> {
    let mut all = vec![vec![1; rows]];
    all.extend((0..6).map(|_| (0..rows).map(|_| rng.below(4) as u32).collect()));
    all
}

#[test]
fn classes_are_scored_as_if_rows_were_copied() {
    for classes in [2, 3] {
        let mut rng = Rng::seeded(classes as u64);
        let rows = 60;
        let y: Vec<u32> = (0..rows).map(|_| rng.below(classes as u64) as u32).collect();
        let p: Vec<u32> = (0..rows).map(|_| rng.below(classes as u64) as u32).collect();
        // few different scores, so that some are equal
        let scores: Vec<f64> = (0..rows * classes).map(|_| rng.below(6) as f64 / 5.0).collect();
        let fold: Vec<u32> = (0..rows as u32).map(|row| row % 3).collect();
        let unit: Vec<u32> = (0..rows as u32).collect();
        let outcome = Outcome::new(&y, &p, classes, Some(Scores::Probabilities(&scores))).unwrap();
        let weighed = Weighed::of_classes(&all_of(Task::Classes), &outcome, Places { unit: &unit, fold: &fold });
        for weights in weights(&mut rng, rows) {
            check(&weighed, &weights, &fold, |metric, rows| {
                let pick = |from: &[u32]| rows.iter().map(|&row| from[row]).collect::<Vec<u32>>();
                let scores: Vec<f64> =
                    rows.iter().flat_map(|&row| scores[row * classes..(row + 1) * classes].to_vec()).collect();
                let (y, p) = (pick(&y), pick(&p));
                compute(metric, &Outcome::new(&y, &p, classes, Some(Scores::Probabilities(&scores))).unwrap())
            });
        }
    }
}

#[test]
fn sets_are_scored_as_if_rows_were_copied() {
    let (mut rng, rows, classes) = (Rng::seeded(4), 48, 4);
    let mut bits = |of: u64| (0..rows * classes).map(|_| rng.below(of) == 0).collect::<Vec<bool>>();
    let (y, p) = (bits(2), bits(3));
    let scores: Vec<f64> = (0..rows * classes).map(|_| rng.below(8) as f64 / 7.0).collect();
    let fold: Vec<u32> = (0..rows as u32).map(|row| row % 3).collect();
    let unit: Vec<u32> = (0..rows as u32).collect();
    let outcome = SetOutcome::new(&y, &p, classes, Some(&scores)).unwrap();
    let weighed = Weighed::of_sets(&all_of(Task::Sets), &outcome, Places { unit: &unit, fold: &fold });
    for weights in weights(&mut rng, rows) {
        check(&weighed, &weights, &fold, |metric, rows| {
            let pick = |from: &[bool]| -> Vec<bool> {
                rows.iter().flat_map(|&row| from[row * classes..(row + 1) * classes].to_vec()).collect()
            };
            let scores: Vec<f64> =
                rows.iter().flat_map(|&row| scores[row * classes..(row + 1) * classes].to_vec()).collect();
            let (y, p) = (pick(&y), pick(&p));
            compute_sets(metric, &SetOutcome::new(&y, &p, classes, Some(&scores)).unwrap())
        });
    }
}

#[test]
fn numbers_are_scored_as_if_rows_were_copied() {
    let (mut rng, rows) = (Rng::seeded(9), 45);
    let y: Vec<f64> = (0..rows).map(|_| 100.0 + rng.below(12) as f64).collect();
    let p: Vec<f64> = y.iter().map(|y| y + rng.below(9) as f64 - 4.0).collect();
    let fold: Vec<u32> = (0..rows as u32).map(|row| row % 3).collect();
    let unit: Vec<u32> = (0..rows as u32).collect();
    let metrics: Vec<Metric> = all_of(Task::Values).into_iter().filter(|m| *m != Metric::MaxError).collect();
    let outcome = ValueOutcome::new(&y, &p).unwrap();
    let weighed = Weighed::of_values(&metrics, &outcome, Places { unit: &unit, fold: &fold });
    for weights in weights(&mut rng, rows) {
        check(&weighed, &weights, &fold, |metric, rows| {
            let pick = |from: &[f64]| rows.iter().map(|&row| from[row]).collect::<Vec<f64>>();
            let (y, p) = (pick(&y), pick(&p));
            compute_values(metric, &ValueOutcome::new(&y, &p).unwrap())
        });
    }
    let largest = Weighed::of_values(&[Metric::MaxError], &outcome, Places { unit: &unit, fold: &fold });
    let mut got = [0.0];
    largest.score(&vec![1; rows], &mut got);
    assert!(got[0].is_nan());
}

#[test]
fn predictions_of_one_unit_count_together() {
    // row 0 was predicted in both repeats, once right and once wrong
    let (y, p, unit) = ([0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1]);
    let outcome = Outcome::new(&y, &p, 2, None).unwrap();
    let metrics = [Metric::Accuracy, Metric::RocAuc];
    let weighed = Weighed::of_classes(&metrics, &outcome, Places { unit: &unit, fold: &[0, 0, 1, 1] });
    let mut got = [0.0; 2];
    weighed.score(&[3, 1], &mut got);
    assert!(got[0] == 0.5 && got[1].is_nan(), "{got:?}");
    weighed.score(&[0, 0], &mut got);
    assert!(got[0].is_nan());
}
