//! What are metrics of numbers when rows count more or less, where they are more than a mean?

use super::super::{Metric, ValueOutcome};
use super::ranks::by_fold;
use super::{Places, over_defined};

/// A metric of predicted numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    at: usize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Distances, ascending.
    Median { distance: Vec<f64>, unit: Vec<u32> },
    /// Squared errors, and the truth about its mean.
    Explained { square: Vec<f64>, truth: Vec<f64>, unit: Vec<u32> },
    /// Truth and prediction of each fold, about their means.
    Pearson(Vec<Pairs>),
    /// Truth and prediction of each fold in ascending order of each.
    Spearman(Vec<Orders>),
}

#[derive(Debug)]
struct Pairs {
    x: Vec<f64>,
    y: Vec<f64>,
    unit: Vec<u32>,
}

#[derive(Debug)]
struct Orders {
    unit: Vec<u32>,
    x: Ascending,
    y: Ascending,
}

/// Rows in ascending order, with whether each is the last of equal ones.
#[derive(Debug)]
struct Ascending {
    rows: Vec<u32>,
    last: Vec<bool>,
}

impl Numbers {
    pub(super) fn of(at: usize, metric: Metric, outcome: &ValueOutcome<'_>, places: Places<'_>) -> Option<Numbers> {
        let (x, y) = (outcome.y_true(), outcome.y_pred());
        if x.is_empty() || !x.iter().chain(y).all(|value| value.is_finite()) {
            return None;
        }
        let form = match metric {
            Metric::MedianAbsoluteError => {
                let mut rows: Vec<(f64, u32)> =
                    outcome.errors().map(f64::abs).zip(places.unit.iter().copied()).collect();
                rows.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (distance, unit) = rows.into_iter().unzip();
                Form::Median { distance, unit }
            }
            Metric::R2 => Form::Explained {
                square: outcome.errors().map(|error| error * error).collect(),
                truth: about_mean(x.iter().copied()),
                unit: places.unit.to_vec(),
            },
            Metric::Pearson => {
                let pairs = |rows: &Vec<usize>| Pairs {
                    x: about_mean(rows.iter().map(|&row| x[row])),
                    y: about_mean(rows.iter().map(|&row| y[row])),
                    unit: rows.iter().map(|&row| places.unit[row]).collect(),
                };
                Form::Pearson(by_fold(places.fold).iter().map(pairs).collect())
            }
            Metric::Spearman => {
                let orders = |rows: &Vec<usize>| Orders {
                    unit: rows.iter().map(|&row| places.unit[row]).collect(),
                    x: Ascending::of(rows.iter().map(|&row| x[row])),
                    y: Ascending::of(rows.iter().map(|&row| y[row])),
                };
                Form::Spearman(by_fold(places.fold).iter().map(orders).collect())
            }
            _ => return None,
        };
        Some(Numbers { at, form })
    }

    pub(super) fn score(&self, weights: &[u32], into: &mut [f64]) {
        let weight = |unit: &u32| f64::from(weights[*unit as usize]);
        into[self.at] = match &self.form {
            Form::Median { distance, unit } => median(distance, unit, weights),
            Form::Explained { square, truth, unit } => {
                let (mut left, mut sum, mut squares, mut all) = (0.0, 0.0, 0.0, 0.0);
                for ((unit, square), truth) in unit.iter().zip(square).zip(truth) {
                    let weight = weight(unit);
                    left += weight * square;
                    sum += weight * truth;
                    squares += weight * truth * truth;
                    all += weight;
                }
                let spread = squares - sum * sum / all;
                if spread > 0.0 { 1.0 - left / spread } else { f64::NAN }
            }
            Form::Pearson(folds) => over_defined(folds.iter().map(|fold| {
                let rows = fold.x.iter().zip(&fold.y).zip(&fold.unit);
                correlation(rows.map(|((x, y), unit)| (*x, *y, weight(unit))))
            })),
            Form::Spearman(folds) => over_defined(folds.iter().map(|fold| {
                let weight = |row: u32| f64::from(weights[fold.unit[row as usize] as usize]);
                let (x, y) = (fold.x.ranks(weight), fold.y.ranks(weight));
                let rows = x.iter().zip(&y).zip(&fold.unit);
                correlation(rows.map(|((x, y), unit)| (*x, *y, f64::from(weights[*unit as usize]))))
            })),
        };
    }
}

/// The middle one of as many distances as they count, or the mean of the middle two; NaN where none counts.
fn median(distance: &[f64], unit: &[u32], weights: &[u32]) -> f64 {
    let all: u64 = unit.iter().map(|unit| u64::from(weights[*unit as usize])).sum();
    if all == 0 {
        return f64::NAN;
    }
    let (low, high) = ((all - 1) / 2, all / 2);
    let (mut passed, mut first) = (0u64, None);
    for (distance, unit) in distance.iter().zip(unit) {
        passed += u64::from(weights[*unit as usize]);
        if passed > low && first.is_none() {
            first = Some(*distance);
        }
        if let Some(first) = first.filter(|_| passed > high) {
            return first + (distance - first) / 2.0;
        }
    }
    f64::NAN
}

/// Numbers less their mean, so that sums of squares keep their digits.
fn about_mean(values: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let (sum, count) = values.clone().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    values.map(|value| value - sum / count).collect()
}

/// Pearson's r of weighted pairs; `None` where one side is constant.
fn correlation(rows: impl Iterator<Item = (f64, f64, f64)>) -> Option<f64> {
    let (mut all, mut x, mut y, mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b, weight) in rows {
        all += weight;
        x += weight * a;
        y += weight * b;
        xx += weight * a * a;
        yy += weight * b * b;
        xy += weight * a * b;
    }
    let spread = (xx - x * x / all) * (yy - y * y / all);
    // rounding of about 1e-16 per row stands for no spread at all
    (spread > 1e-24 * xx * yy).then(|| ((xy - x * y / all) / spread.sqrt()).clamp(-1.0, 1.0))
}

impl Ascending {
    fn of(values: impl Iterator<Item = f64>) -> Ascending {
        let mut rows: Vec<(f64, u32)> = values.zip(0..).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = |at: usize| rows.get(at + 1).is_none_or(|next| next.0 != rows[at].0);
        Ascending { last: (0..rows.len()).map(last).collect(), rows: rows.into_iter().map(|(_, row)| row).collect() }
    }

    /// The rank of each row, equal ones sharing the mean of theirs, each standing as often as it counts; about the middle rank.
    fn ranks(&self, weight: impl Fn(u32) -> f64) -> Vec<f64> {
        let mut ranks = vec![0.0; self.rows.len()];
        let all: f64 = self.rows.iter().map(|row| weight(*row)).sum();
        let (mut before, mut tied, mut start) = (0.0, 0.0, 0);
        for (at, (row, last)) in self.rows.iter().zip(&self.last).enumerate() {
            tied += weight(*row);
            if *last {
                let rank = before + (tied + 1.0) / 2.0 - (all + 1.0) / 2.0;
                self.rows[start..=at].iter().for_each(|row| ranks[*row as usize] = rank);
                before += tied;
                (tied, start) = (0.0, at + 1);
            }
        }
        ranks
    }
}
