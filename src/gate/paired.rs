//! How sure is a difference between two runs? By the strongest method that what is at hand allows.
//!
//! | at hand | method |
//! |---|---|
//! | the same predictions | none is needed: the difference is 0 |
//! | what both runs predicted of the same rows | rows are drawn again in pairs (bootstrap), groups of rows as one; of accuracy, p is McNemar's mid-p |
//! | both runs' scores in the same folds | the corrected resampled t test over the folds' differences |
//! | an interval of each run | the two intervals as if the runs were independent, which is too wide |
//!
//! What is judged is the `estimate` of the run's summary. Rows that were held out several times are judged by their folds, as in the run itself. The
//! largest error and the calibration error have no interval: a change of them cannot be judged.

use rustc_hash::FxHashMap;

use super::baseline::{MetricStanding, Scored, Side};
use super::rows::Rows;
use crate::ml::stats::{Replicates, Units, corrected_t, mcnemar, resample, resamples, wilson_interval};
use crate::ml::{Metric, MetricNeeds, Outcome, Places, Scores, Task, ValueOutcome, Weighed};

/// Folds whose scores are this near are the same: they have nine decimals, and the last bits differ between machines.
const NOISE: f64 = 2e-9;

/// The method where there is nothing to test.
pub(super) const SAME: &str = "the predictions are the same";

/// Verdicts are the same whenever they are made.
const SEED: u64 = 0;

/// A metric in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Before.
    pub old: f64,
    /// Now.
    pub new: f64,
    /// The change, counted for the better.
    pub gain: f64,
    /// The interval of `gain`.
    pub interval: [f64; 2],
    /// The probability of such a difference where there is none; `None` where the method gives none.
    pub p: Option<f64>,
    /// How the interval was made.
    pub method: &'static str,
    /// Rows of which another class is predicted, and how many rows there are; `None` where that is not known.
    pub changed: Option<(u64, u64)>,
}

/// Why there is no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoDifference {
    /// In a sentence.
    pub reason: String,
    /// True if it is the older run that does not fit: a newer one in its place would.
    pub old_baseline: bool,
}

impl NoDifference {
    fn of(reason: impl Into<String>) -> Self {
        NoDifference { reason: reason.into(), old_baseline: false }
    }

    fn of_baseline(reason: impl Into<String>) -> Self {
        NoDifference { reason: reason.into(), old_baseline: true }
    }
}

/// The difference of a metric between a variant `then` of `before` and a variant `at` of `now`, whose rows and folds are the
/// same as far as that is known. An error says why there is none.
pub fn difference(
    metric: &str,
    (before, then): (&Side, usize),
    (now, at): (&Side, usize),
    confidence: f64,
) -> Result<Difference, NoDifference> {
    let (Some(one), Some(two)) = (before.baseline.variants.get(then), now.baseline.variants.get(at)) else {
        return Err(NoDifference::of("there is no such variant"));
    };
    let standing = |of: &Scored| of.metrics.get(metric).cloned();
    let new =
        standing(two).ok_or_else(|| NoDifference::of(format!("`{}` does not compute `{metric}`", two.evaluation)))?;
    let old = standing(one).ok_or_else(|| NoDifference::of_baseline(format!("the baseline has no `{metric}`")))?;
    let (Some(old_score), Some(new_score)) = (old.score(), new.score()) else {
        return Err(NoDifference::of(format!("`{metric}` is not defined for these rows")));
    };
    let rows = now.rows.get(at).and_then(Option::as_ref);
    let others = before.rows.get(then).and_then(Option::as_ref);
    let predicted = rows.and_then(|rows| before.predicted(then, &rows.label));
    let changed = rows.zip(predicted.as_ref()).map(|(rows, predicted)| {
        let others = rows.predicted.iter().zip(predicted).filter(|(new, old)| new != old).count();
        (others as u64, rows.len() as u64)
    });
    let same = Difference {
        old: old_score,
        new: new_score,
        gain: 0.0,
        interval: [0.0, 0.0],
        p: Some(1.0),
        method: SAME,
        changed,
    };
    let known = Metric::named(metric);
    let of_classes = known.is_some_and(|metric| metric.needs() == MetricNeeds::Labels)
        && rows.is_some_and(|rows| rows.task == Task::Classes);
    let all_same =
        one.rows.as_ref().zip(two.rows.as_ref()).is_some_and(|(one, two)| one.predictions == two.predictions);
    if all_same || (of_classes && changed.is_some_and(|(changed, _)| changed == 0)) {
        return Ok(same);
    }
    if known.is_some_and(|metric| !metric.can_be_resampled()) {
        let reason = format!("`{metric}` has no interval: a bound on its value can be judged, a change cannot");
        return Err(NoDifference::of(reason));
    }
    if one.outcomes.is_some() && rows.is_some() && predicted.is_none() {
        let reason = "the baseline's `outcomes` are not those of its rows: it is damaged, or was changed by hand";
        return Err(NoDifference::of_baseline(reason));
    }
    if let (Some(known), Some(rows), Some(predicted)) = (known, rows.filter(|rows| !rows.is_repeated()), &predicted) {
        let old = Predicted { classes: predicted, of: others };
        if let Some(found) = on_rows(known, rows, &old, confidence) {
            return Ok(Difference { changed, ..found });
        }
    }
    let folds_known = one.rows.is_some() && two.rows.is_some();
    if let Some(found) = folds_known.then(|| on_folds(&old, &new, rows, confidence)).flatten() {
        return Ok(Difference { changed, ..found });
    }
    let half = |metric: &MetricStanding| metric.ci95.map(|[low, high]| (high - low) / 2.0);
    // A wider interval than was asked for decides nothing that it should not.
    match half(&old).zip(half(&new)).filter(|_| confidence <= 0.95) {
        Some((one, two)) => {
            let gain = better(&new) * (new_score - old_score);
            let half = one.hypot(two);
            let method = "the 95% intervals of both runs, as if independent";
            Ok(Difference { gain, interval: [gain - half, gain + half], p: None, method, ..same })
        }
        None => {
            Err(NoDifference::of("neither rows nor folds nor intervals are at hand to say how sure the difference is"))
        }
    }
}

fn better(metric: &MetricStanding) -> f64 {
    if metric.higher_is_better { 1.0 } else { -1.0 }
}

/// What the baseline predicted: classes, as text, and all else where it has its rows at hand.
struct Predicted<'a> {
    classes: &'a [String],
    of: Option<&'a Rows>,
}

/// On the same rows, drawn again in pairs; `None` where the metric or the rows do not allow it.
fn on_rows(metric: Metric, now: &Rows, before: &Predicted<'_>, confidence: f64) -> Option<Difference> {
    let places = Drawn::of(now);
    if !places.units.are_enough() {
        return None;
    }
    let new = weighed(metric, now, &now.predicted, Some(now), before, &places)?;
    let old = weighed(metric, now, before.classes, before.of, before, &places)?;
    let mut both = resample(&[&old, &new], &places.units, resamples(now.len()), SEED);
    let (new, old) = (both.pop()?.pop()?, both.pop()?.pop()?);
    let gains = if metric.higher_is_better() { new.minus(&old) } else { old.minus(&new) };
    let [low, high] = gains.interval(confidence)?;
    let of_hits = now.task == Task::Classes && metric == Metric::Accuracy && places.units.len() == now.len();
    let (p, method) = match of_hits {
        true => {
            let (mut lost, mut won) = (0, 0);
            for ((label, new), old) in now.label.iter().zip(&now.predicted).zip(before.classes) {
                lost += u64::from(label == old && label != new);
                won += u64::from(label == new && label != old);
            }
            (mcnemar(lost, won).mid, "bootstrap over rows in pairs; p by McNemar, mid-p")
        }
        false if now.group.is_some() => (gains.p_value(0.0)?, "bootstrap over groups of rows in pairs"),
        false => (gains.p_value(0.0)?, "bootstrap over rows in pairs"),
    };
    let changed = now.predicted.iter().zip(before.classes).filter(|(new, old)| new != old).count() as u64;
    // So few rows that all could have gone one way by chance cannot be drawn again with any use: then nothing is found.
    let too_few = now.task == Task::Classes
        && now.group.is_none()
        && metric.needs() == MetricNeeds::Labels
        && mcnemar(changed, 0).mid > 1.0 - confidence;
    let chance = too_few || (of_hits && p > 1.0 - confidence);
    let interval = if chance { [low.min(0.0), high.max(0.0)] } else { [low, high] };
    Some(Difference {
        old: old.estimate,
        new: new.estimate,
        gain: gains.estimate,
        interval,
        p: Some(p),
        method,
        changed: None,
    })
}

/// What is drawn: rows, or groups of rows, with all their predictions. Not within classes: how many rows a class has is chance too.
struct Drawn {
    units: Units,
    unit: Vec<u32>,
}

impl Drawn {
    fn of(rows: &Rows) -> Drawn {
        let mut numbers: FxHashMap<(bool, &str), u32> = FxHashMap::default();
        let group = |at: usize| rows.group.as_ref()?.get(at)?.as_deref();
        let mut unit = Vec::with_capacity(rows.len());
        for (at, row) in rows.row_id.iter().enumerate() {
            let name = group(at).map_or((false, row.as_str()), |group| (true, group));
            let next = numbers.len() as u32;
            unit.push(*numbers.entry(name).or_insert(next));
        }
        Drawn { units: Units::alike(numbers.len()), unit }
    }
}

/// Predictions made ready to be scored; `all` are those whose scores are at hand. `None` where something is missing that the
/// metric needs.
fn weighed(
    metric: Metric,
    now: &Rows,
    predicted: &[String],
    all: Option<&Rows>,
    before: &Predicted<'_>,
    drawn: &Drawn,
) -> Option<Weighed> {
    let places = Places { unit: &drawn.unit, fold: &now.fold };
    match now.task {
        Task::Classes => {
            let mut classes: Vec<&str> =
                now.label.iter().chain(&now.predicted).chain(before.classes).map(String::as_str).collect();
            classes.sort_unstable();
            classes.dedup();
            let place = |names: &[String]| -> Option<Vec<u32>> {
                names.iter().map(|name| Some(classes.binary_search(&name.as_str()).ok()? as u32)).collect()
            };
            let (y_true, y_pred) = (place(&now.label)?, place(predicted)?);
            let scores = match metric.needs() {
                MetricNeeds::Labels => None,
                // Both runs must have scored the same classes, of which none lacks scores.
                _ => Some(scores(all?, &classes)?),
            };
            let scores = scores.as_deref().map(|scores| match metric.needs() {
                MetricNeeds::Probabilities => Scores::Probabilities(scores),
                _ => Scores::Decisions(scores),
            });
            let outcome = Outcome::new(&y_true, &y_pred, classes.len(), scores).ok()?;
            Some(Weighed::of_classes(&[metric], &outcome, places))
        }
        Task::Values => {
            let (truth, predicted) = all?.values.as_ref()?;
            let outcome = ValueOutcome::new(truth, predicted).ok()?;
            Some(Weighed::of_values(&[metric], &outcome, places))
        }
        Task::Sets => None,
    }
}

/// Row-major scores of exactly these classes.
fn scores(rows: &Rows, classes: &[&str]) -> Option<Vec<f64>> {
    if rows.scores.len() != classes.len() {
        return None;
    }
    let column = |class: &&str| rows.scores.iter().find(|(name, _)| name == class).map(|(_, scores)| scores);
    let columns = classes.iter().map(column).collect::<Option<Vec<_>>>()?;
    Some((0..rows.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect())
}

/// On the same folds: the t test over their differences, widened for the training rows that folds share (Nadeau & Bengio 2003).
fn on_folds(old: &MetricStanding, new: &MetricStanding, rows: Option<&Rows>, confidence: f64) -> Option<Difference> {
    if old.folds.len() != new.folds.len() {
        return None;
    }
    let sign = better(new);
    let gain = |(old, new): (&Option<f64>, &Option<f64>)| {
        let gain = sign * ((*new)? - (*old)?);
        Some(if gain.abs() < NOISE { 0.0 } else { gain })
    };
    let gains = old.folds.iter().zip(&new.folds).map(gain).collect::<Option<Vec<f64>>>()?;
    let test = corrected_t(&gains, shared(rows, gains.len()))?;
    Some(Difference {
        old: old.mean?,
        new: new.mean?,
        gain: test.mean,
        interval: test.interval(confidence)?,
        p: Some(test.p),
        method: "corrected resampled t over folds",
        changed: None,
    })
}

/// Test rows for each training row. Rows that are trained on in every fold are not known, so it is rather too high.
fn shared(rows: Option<&Rows>, folds: usize) -> f64 {
    let Some((sizes, all)) = rows.map(Rows::fold_sizes).filter(|(sizes, _)| !sizes.is_empty()) else {
        return 1.0 / (folds.max(2) - 1) as f64;
    };
    let test = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
    test / (all as f64 - test).max(1.0)
}

/// A metric's own value with its interval.
pub(super) struct Value {
    pub(super) value: f64,
    pub(super) interval: [f64; 2],
    pub(super) method: &'static str,
}

/// The interval of a metric's own value; `None` where neither rows nor folds give one.
pub(super) fn value(metric: &str, side: &Side, at: usize, confidence: f64) -> Option<Value> {
    let standing = side.baseline.variants.get(at)?.metrics.get(metric)?;
    let known = Metric::named(metric).filter(|metric| metric.can_be_resampled())?;
    let rows = side.rows.get(at).and_then(Option::as_ref);
    let of_rows = |rows: &Rows| {
        let drawn = Drawn::of(rows);
        if known == Metric::Accuracy && rows.task == Task::Classes && drawn.units.len() == rows.len() {
            let hits = rows.label.iter().zip(&rows.predicted).filter(|(label, predicted)| label == predicted).count();
            let interval = wilson_interval(hits, rows.len(), confidence)?;
            return Some(Value { value: hits as f64 / rows.len() as f64, interval, method: "Wilson" });
        }
        if !drawn.units.are_enough() {
            return None;
        }
        let own = Predicted { classes: &rows.predicted, of: Some(rows) };
        let weighed = weighed(known, rows, &rows.predicted, Some(rows), &own, &drawn)?;
        let found: Replicates = resample(&[&weighed], &drawn.units, resamples(rows.len()), SEED).pop()?.pop()?;
        let interval = found.interval(confidence).filter(|_| found.std_error() != Some(0.0))?;
        Some(Value { value: found.estimate, interval, method: "bootstrap over rows, BCa" })
    };
    let of_folds = || {
        let folds = standing.folds.iter().copied().collect::<Option<Vec<f64>>>()?;
        let test = corrected_t(&folds, shared(rows, folds.len()))?;
        Some(Value {
            value: test.mean,
            interval: test.interval(confidence)?,
            method: "corrected resampled t over folds",
        })
    };
    // A wider interval than was asked for decides nothing that it should not.
    let of_run = || {
        let interval = standing.ci95.filter(|_| confidence <= 0.95)?;
        Some(Value { value: standing.score()?, interval, method: "the run's 95% interval" })
    };
    match rows {
        Some(rows) if rows.is_repeated() => of_folds(),
        Some(rows) => of_rows(rows).or_else(of_run),
        None => of_run().or_else(of_folds),
    }
}

#[cfg(test)]
mod tests {
    use super::super::baseline::tests::side;
    use super::super::rows::tests::rows;
    use super::*;
    use crate::ml::Rng;

    /// Runs of 600 rows, of which either predicts a share wrongly that the other does not, and both one of ten.
    fn pair(chance: &mut Rng, shares: [f64; 2]) -> [Side; 2] {
        let labels = ["x", "y"];
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for row in 0..600 {
            // both classes in both folds
            let (label, other) = (labels[row / 2 % 2], labels[(row / 2 + 1) % 2]);
            let draw = chance.uniform();
            let (first, second) = match draw {
                draw if draw < 0.1 => (other, other),
                draw if draw < 0.1 + shares[0] => (other, label),
                draw if draw < 0.1 + shares[0] + shares[1] => (label, other),
                _ => (label, label),
            };
            one.push((label, first));
            two.push((label, second));
        }
        [side(&rows(&one), &[0.9, 0.9]), side(&rows(&two), &[0.9, 0.9])]
    }

    #[test]
    #[ignore = "a simulation of some minutes; it prints its figures"]
    fn gates_seldom_fail_where_nothing_changed() {
        for shares in [[0.005, 0.005], [0.02, 0.02], [0.05, 0.05], [0.01, 0.06]] {
            let mut chance = Rng::seeded(3);
            let (experiments, truth) = (1000, shares[0] - shares[1]);
            let (mut worse, mut covered) = (0, 0);
            for _ in 0..experiments {
                let [before, now] = pair(&mut chance, shares);
                let found = difference("accuracy", (&before, 0), (&now, 0), 0.95).unwrap();
                worse += u32::from(found.interval[1] < 0.0);
                covered += u32::from(found.interval[0] <= truth && found.interval[1] >= truth);
            }
            println!("{shares:?}: {worse} of {experiments} fail, {covered} of the intervals cover {truth}");
            assert!((truth < 0.0 || worse <= 40) && covered >= 920);
        }
    }

    #[test]
    fn a_metric_of_scores_needs_them_on_both_sides() {
        let mut chance = Rng::seeded(5);
        let [mut before, mut now] = pair(&mut chance, [0.01, 0.05]);
        for side in [&mut before, &mut now] {
            let metric = side.baseline.variants[0].metrics["accuracy"].clone();
            side.baseline.variants[0].metrics.insert("roc_auc".to_owned(), metric);
        }
        let folds = difference("roc_auc", (&before, 0), (&now, 0), 0.95).unwrap();
        assert!(folds.method.contains("folds") && folds.gain == 0.0);
        for side in [&mut before, &mut now] {
            let rows = side.rows[0].as_mut().unwrap();
            let score =
                |(at, predicted): (usize, &String)| f64::from(u8::from(predicted == "y")) + (at % 7) as f64 / 10.0;
            let of_y: Vec<f64> = rows.predicted.iter().enumerate().map(score).collect();
            rows.scores = vec![("x".to_owned(), of_y.iter().map(|y| -y).collect()), ("y".to_owned(), of_y)];
        }
        let paired = difference("roc_auc", (&before, 0), (&now, 0), 0.95).unwrap();
        assert!(paired.method.contains("bootstrap") && paired.gain < 0.0 && paired.interval[1] < 0.0, "{paired:?}");
    }

    #[test]
    fn less_of_a_loss_is_a_gain_and_repeats_are_drawn_together() {
        let truth: Vec<f64> = (0..60).map(|row| f64::from(row) / 10.0).collect();
        let of = |error: f64| Rows {
            task: Task::Values,
            row_id: (0..120).map(|at| format!("r{:03}", at % 60)).collect(),
            fold: (0..120).map(|at| at / 60).collect(),
            label: truth.iter().chain(&truth).map(f64::to_string).collect(),
            predicted: truth.iter().chain(&truth).map(|value| (value + error).to_string()).collect(),
            values: Some((
                truth.iter().chain(&truth).copied().collect(),
                truth.iter().chain(&truth).map(|value| value + error).collect(),
            )),
            scores: Vec::new(),
            group: None,
        };
        let loss = |error: f64| {
            let mut side = side(&of(error), &[error, error]);
            let mut metric = side.baseline.variants[0].metrics["accuracy"].clone();
            metric.higher_is_better = false;
            side.baseline.variants[0].metrics.insert("mean_absolute_error".to_owned(), metric);
            side
        };
        assert_eq!(Drawn::of(&of(0.5)).units.len(), 60);
        let found = difference("mean_absolute_error", (&loss(0.5), 0), (&loss(0.25), 0), 0.95).unwrap();
        assert!((found.gain - 0.25).abs() < 1e-9 && found.interval[0] > 0.2, "{found:?}");
        assert!((found.old - 0.5).abs() < 1e-9 && (found.new - 0.25).abs() < 1e-9);
    }

    #[test]
    fn rows_of_a_group_are_drawn_as_one() {
        let mut chance = Rng::seeded(9);
        let [one, two] = pair(&mut chance, [0.0, 0.06]);
        // each changed row with all of its class in a group of ten
        let grouped = |side: &Side| {
            let rows = side.rows[0].clone().unwrap();
            let group = |row: &String| {
                (row.clone(), format!("g{}", row.trim_start_matches('r').parse::<usize>().unwrap() / 60))
            };
            let groups = rows.row_id.iter().map(group).collect();
            Side { rows: vec![Some(rows.in_groups(&groups))], ..side.clone() }
        };
        let plain = difference("accuracy", (&one, 0), (&two, 0), 0.95).unwrap();
        let told = difference("accuracy", (&one, 0), (&grouped(&two), 0), 0.95).unwrap();
        assert!(plain.method.contains("McNemar") && told.method.contains("groups"), "{}", told.method);
        assert_eq!((told.old, told.new), (plain.old, plain.new));
        assert!(told.interval != plain.interval);
        // so few groups tell nothing by rows
        let few = |side: &Side| {
            let rows = side.rows[0].clone().unwrap();
            let groups = rows.row_id.iter().map(|row| (row.clone(), format!("g{}", row.len()))).collect();
            Side { rows: vec![Some(rows.in_groups(&groups))], ..side.clone() }
        };
        let told = difference("accuracy", (&one, 0), (&few(&two), 0), 0.95).unwrap();
        assert!(told.method.contains("folds"), "{}", told.method);
    }

    #[test]
    fn a_value_has_the_interval_of_the_run() {
        let all: Vec<(&str, &str)> = (0..300).map(|row| ("ham", if row % 10 < 9 { "ham" } else { "spam" })).collect();
        let of = side(&rows(&all), &[0.9, 0.9]);
        let found = value("accuracy", &of, 0, 0.999).unwrap();
        let wilson = wilson_interval(270, 300, 0.999).unwrap();
        assert_eq!((found.value, found.interval, found.method), (0.9, wilson, "Wilson"));
        assert!(value("expected_calibration_error", &of, 0, 0.95).is_none());
    }
}
