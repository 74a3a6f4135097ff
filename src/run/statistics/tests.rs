//! Do the right methods meet the right scores, and are verdicts what the predictions say?

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::*;
use crate::ml::Rng;
use crate::record::{BaselineSummary, CurvePoint, LearningCurve, Status, Totals};
use crate::stage::{Load, Part, Parts, TOGETHER};
use crate::store::Store;
use crate::table::predictions::values::{PredictedValues, ScoredValues};
use crate::table::predictions::{Predictions, Scored as ScoredTable};
use crate::table::target::Target;
use crate::table::{Digest, to_parquet};

const ROWS: usize = 200;

fn metric(folds: &[f64], higher_is_better: bool) -> MetricSummary {
    MetricSummary {
        mean: stats::mean(folds),
        std: None,
        folds: folds.iter().copied().map(Some).collect(),
        estimate: None,
        ci95: None,
        ci95_method: None,
        higher_is_better,
    }
}

fn variant(id: &str, metrics: Vec<(&str, MetricSummary)>) -> VariantSummary {
    VariantSummary {
        id: id.into(),
        label: id.to_uppercase(),
        params: BTreeMap::new(),
        evaluation: "scores".into(),
        rows: ROWS as u64,
        scored_on: None,
        metrics: metrics.into_iter().map(|(name, metric)| (name.to_owned(), metric)).collect(),
        chosen: Vec::new(),
        classes: Vec::new(),
        confusion: Vec::new(),
    }
}

fn summary(variants: Vec<VariantSummary>) -> Summary {
    Summary {
        name: "run".into(),
        fuseline_version: "0".into(),
        status: Status::Complete,
        seed: 1,
        selection: None,
        ranked_by: None,
        numeric: BTreeMap::new(),
        variants,
        comparisons: Vec::new(),
        best: Vec::new(),
        baselines: Vec::new(),
        against_baselines: Vec::new(),
        not_compared: Vec::new(),
        contributions: Vec::new(),
        learning_curves: Vec::new(),
        importances: Vec::new(),
        units: Vec::new(),
        totals: Totals::default(),
        inputs: Vec::new(),
        models: Vec::new(),
        data: Vec::new(),
        expectations: Vec::new(),
        warnings: Vec::new(),
    }
}

fn evaluation(variant: usize, predictions: RecordBatch, target: Option<Target>) -> Evaluation {
    let (mut scores, mut rows) = (Parts::default(), Parts::default());
    scores.insert("predictions", Part::memory(predictions));
    if let Some(target) = target {
        rows.insert("target", Part::memory(target.to_table().unwrap()));
    }
    Evaluation { variant, scores, rows }
}

/// Rows of two classes in five folds, of which a share is told right; each row once in every repeat.
struct Told {
    right: f64,
    repeats: u32,
    folds: u32,
    seed: u64,
}

const PLAIN: Told = Told { right: 0.8, repeats: 1, folds: 5, seed: 1 };

impl Told {
    fn scored(&self) -> ScoredTable {
        let mut rng = Rng::seeded(self.seed);
        let mut scored = ScoredTable::default();
        scored.predictions.classes = vec!["no".into(), "yes".into()];
        scored.predictions.probabilities = true;
        for repeat in 0..self.repeats {
            for row in 0..ROWS {
                let label = ["no", "yes"][row % 2];
                let right = rng.uniform() < self.right;
                let sure = 0.5 + rng.uniform() / 2.0;
                let yes = if (row % 2 == 1) == right { sure } else { 1.0 - sure };
                // dealt anew in each repeat
                let fold = (row as u32 / 2 + row as u32 / 10 * repeat) % self.folds;
                scored.fold.push(repeat * self.folds + fold);
                scored.label.push(Some(label.to_owned()));
                scored.predictions.row_id.push(format!("r{row}"));
                scored.predictions.predicted.push(if yes > 0.5 { "yes" } else { "no" }.to_owned());
                scored.predictions.scores.extend([1.0 - yes, yes]);
            }
        }
        scored
    }

    fn accuracy(&self) -> (&'static str, MetricSummary) {
        let scored = self.scored();
        let share = |fold: u32| {
            let of_fold = (0..scored.fold.len()).filter(|row| scored.fold[*row] == fold);
            let right = |row: usize| scored.label[row].as_ref() == Some(&scored.predictions.predicted[row]);
            stats::mean(&of_fold.map(|row| f64::from(u8::from(right(row)))).collect::<Vec<_>>()).unwrap()
        };
        ("accuracy", metric(&(0..self.repeats * self.folds).map(share).collect::<Vec<_>>(), true))
    }

    fn variant(&self, id: &str) -> VariantSummary {
        let others = ["f1_macro", "roc_auc"].map(|name| (name, metric(&[self.right], true)));
        variant(id, [self.accuracy()].into_iter().chain(others).collect())
    }

    fn evaluation(&self, at: usize) -> Evaluation {
        evaluation(at, self.scored().to_table().unwrap(), None)
    }
}

fn run(told: &[Told]) -> Summary {
    let names = ["a", "b", "c"];
    let mut summary = summary(told.iter().zip(names).map(|(told, name)| told.variant(name)).collect());
    let evaluations: Vec<Evaluation> = told.iter().enumerate().map(|(at, told)| told.evaluation(at)).collect();
    add(&mut summary, &evaluations, &[]).unwrap();
    summary
}

/// A guess beside the variants of `ids`.
fn guess(name: &str, ids: &[&str], told: &Told) -> BaselineSummary {
    BaselineSummary {
        name: name.into(),
        evaluation: "scores".into(),
        variants: ids.iter().map(|id| (*id).to_owned()).collect(),
        rows: ROWS as u64,
        scored_on: None,
        metrics: told.variant(name).metrics,
    }
}

#[test]
fn the_best_is_held_against_the_strongest_guess_beside_it() {
    let told = [Told { right: 0.9, ..PLAIN }, Told { right: 0.8, seed: 2, ..PLAIN }];
    let guesses = [
        Told { right: 0.5, seed: 3, ..PLAIN },
        Told { right: 0.7, seed: 4, ..PLAIN },
        // beside the other alone, so it is not asked
        Told { right: 0.89, seed: 5, ..PLAIN },
    ];
    let alone = run(&told);
    let of = |guesses: &[Told]| {
        let mut run = summary(told.iter().zip(["a", "b"]).map(|(told, name)| told.variant(name)).collect());
        let beside: [&[&str]; 3] = [&["a", "b"], &["a", "b"], &["b"]];
        let names = ["majority", "k_neighbors", "stratified"];
        run.baselines =
            guesses.iter().zip(beside).zip(names).map(|((told, ids), name)| guess(name, ids, told)).collect();
        let evaluations: Vec<Evaluation> = told.iter().enumerate().map(|(at, told)| told.evaluation(at)).collect();
        let baselines: Vec<Evaluation> = guesses.iter().enumerate().map(|(at, told)| told.evaluation(at)).collect();
        add(&mut run, &evaluations, &baselines).unwrap();
        run
    };
    let run = of(&guesses);
    // guesses are no candidates: all that is said of variants stays as it is
    assert_eq!((&run.comparisons, &run.best), (&alone.comparisons, &alone.best));
    let against = run.against_baselines.iter().find(|one| one.metric == "accuracy").unwrap();
    assert_eq!((against.baseline.as_str(), against.best.variant.as_str()), ("k_neighbors", "a"));
    let [variant, guess] = [&run.variants[0].metrics["accuracy"], &run.baselines[1].metrics["accuracy"]];
    assert!((against.difference - (variant.estimate.unwrap() - guess.estimate.unwrap())).abs() < 1e-12);
    let right = (guess.estimate.unwrap() * ROWS as f64).round() as usize;
    assert_eq!(guess.ci95, stats::wilson_interval(right, ROWS, 0.95));
    assert!(against.better && against.p.unwrap() < 0.001, "{against:?}");
    assert!(against.sentence.starts_with("A beats the strongest baseline, k_neighbors, by "), "{}", against.sentence);
    assert_eq!(run.baselines[0].scored_on, run.variants[0].scored_on);

    let level = of(&[Told { right: 0.9, seed: 6, ..PLAIN }]);
    let against = level.against_baselines.iter().find(|one| one.metric == "accuracy").unwrap();
    assert!(!against.better && against.sentence.contains("A is not told apart from the strongest baseline, majority"));
    let worse = of(&[Told { right: 0.99, seed: 6, ..PLAIN }]);
    let against = worse.against_baselines.iter().find(|one| one.metric == "accuracy").unwrap();
    assert!(!against.better && against.sentence.starts_with("A is worse than the strongest baseline, majority, by "));
}

#[test]
fn rows_held_out_once_have_wilsons_and_bootstrapped_intervals() {
    let run = run(&[PLAIN, Told { right: 0.95, seed: 2, ..PLAIN }]);
    for variant in &run.variants {
        let metrics = &variant.metrics;
        let accuracy = &metrics["accuracy"];
        assert_eq!(accuracy.ci95_method, Some(IntervalMethod::Wilson));
        assert!((accuracy.estimate.unwrap() - accuracy.mean.unwrap()).abs() < 1e-12);
        let right = (accuracy.estimate.unwrap() * ROWS as f64).round() as usize;
        assert_eq!(accuracy.ci95, stats::wilson_interval(right, ROWS, 0.95));
        for name in ["f1_macro", "roc_auc"] {
            let [low, high] = metrics[name].ci95.unwrap();
            assert_eq!(metrics[name].ci95_method, Some(IntervalMethod::Bootstrap));
            let estimate = metrics[name].estimate.unwrap();
            assert!(low < estimate && estimate < high && high - low < 0.2 && high <= 1.0, "{name}: {low} {high}");
        }
    }
    let of = |name: &str| run.comparisons.iter().find(|c| c.metric == name).unwrap();
    assert_eq!(run.comparisons.len(), 3);
    let accuracy = of("accuracy");
    assert_eq!((accuracy.a.variant.as_str(), accuracy.b.variant.as_str()), ("b", "a"));
    assert_eq!((accuracy.method, accuracy.verdict), (ComparisonMethod::McnemarMidP, Verdict::Better));
    let wins = accuracy.wins.unwrap();
    assert!((accuracy.difference - (wins.a as f64 - wins.b as f64) / ROWS as f64).abs() < 1e-12);
    assert_eq!(accuracy.p, Some(stats::tempered(stats::mcnemar(wins.a, wins.b).mid, 1.5)));
    assert_eq!(accuracy.widened, 1.5);
    assert!(accuracy.sentence.starts_with("B beats A by ") && accuracy.sentence.contains("points of accuracy"));
    let f1 = of("f1_macro");
    assert_eq!((f1.method, f1.verdict, f1.family), (ComparisonMethod::PairedBootstrap, Verdict::Better, 1));
    assert!(f1.ci95.unwrap()[0] > 0.0 && f1.p.unwrap() < 0.001);
    let best = run.best.iter().find(|best| best.metric == "accuracy").unwrap();
    assert_eq!((best.best.variant.as_str(), best.of, best.inside_noise), ("b", 2, false));
    assert!(best.chosen.unwrap() > 0.99 && best.optimism.unwrap() < 0.02);
    assert_eq!(best.within_one_standard_error, std::slice::from_ref(&best.best));
}

#[test]
fn what_chance_could_give_is_level() {
    let run = run(&[PLAIN, Told { seed: 3, ..PLAIN }, Told { seed: 4, ..PLAIN }]);
    assert_eq!(run.comparisons.len(), 6);
    for one in &run.comparisons {
        assert_eq!((one.verdict, one.family), (Verdict::Level, 3), "{one:?}");
        assert!(one.p_adjusted.unwrap() >= one.p.unwrap());
    }
    let best = run.best.iter().find(|best| best.metric == "accuracy").unwrap();
    assert!(best.inside_noise && best.level == 2 && best.sentence.contains("inside the noise"), "{best:?}");
    assert!(best.honest.unwrap() <= best.score);
}

#[test]
fn repeated_folds_have_the_corrected_t() {
    let ten = |right, seed| Told { right, seed, repeats: 4, folds: 5 };
    let run = run(&[ten(0.8, 1), ten(0.95, 2)]);
    let accuracy = &run.variants[0].metrics["accuracy"];
    assert_eq!((accuracy.ci95_method, accuracy.estimate), (Some(IntervalMethod::CorrectedT), accuracy.mean));
    let folds: Vec<f64> = accuracy.folds.iter().copied().flatten().collect();
    assert_eq!(accuracy.ci95, stats::corrected_t(&folds, 0.25).unwrap().interval(0.95));
    let one = run.comparisons.iter().find(|c| c.metric == "accuracy").unwrap();
    assert_eq!((one.method, one.wins, one.verdict), (ComparisonMethod::CorrectedT, None, Verdict::Better));
}

#[test]
fn repeats_of_the_same_rows_are_averaged_and_their_draws_add_an_error() {
    let draws = |right, seed| Told { right, seed, repeats: 4, folds: 1 };
    let mut told = [draws(0.8, 1).scored(), draws(0.9, 2).scored()];
    // the second draw of the first variant is much worse
    for row in ROWS..ROWS + 60 {
        let wrong = if told[0].label[row].as_deref() == Some("no") { "yes" } else { "no" };
        told[0].predictions.predicted[row] = wrong.to_owned();
    }
    let f1 = |scored: &ScoredTable, repeat: usize| {
        let class = |name: &str| {
            let rows = repeat * ROWS..(repeat + 1) * ROWS;
            let is = |row: &usize| scored.label[*row].as_deref() == Some(name);
            let said = |row: &usize| scored.predictions.predicted[*row] == name;
            let hits = rows.clone().filter(|row| is(row) && said(row)).count();
            2.0 * hits as f64 / (rows.clone().filter(is).count() + rows.filter(said).count()) as f64
        };
        (class("no") + class("yes")) / 2.0
    };
    let folds = told.each_ref().map(|scored| (0..4).map(|repeat| f1(scored, repeat)).collect::<Vec<f64>>());
    let [first, second] = ["a", "b"];
    let variants = [(first, &folds[0]), (second, &folds[1])];
    let mut run = summary(variants.map(|(id, folds)| variant(id, vec![("f1_macro", metric(folds, true))])).to_vec());
    let of = |at: usize| evaluation(at, told[at].to_table().unwrap(), None);
    add(&mut run, &[of(0), of(1)], &[]).unwrap();
    let of = |run: &Summary, at: usize| run.variants[at].metrics["f1_macro"].clone();
    for (at, folds) in folds.iter().enumerate() {
        let found = of(&run, at);
        assert_eq!(found.ci95_method, Some(IntervalMethod::BootstrapAndDraws));
        assert!((found.estimate.unwrap() - stats::mean(folds).unwrap()).abs() < 1e-12, "not the score of all together");
    }
    // the first variant's draws differ, so that its interval is at least as wide as t of its draws alone
    let [low, high] = of(&run, 0).ci95.unwrap();
    let error = stats::draw_error(&folds[0], 4).unwrap();
    assert!(high - low > 2.0 * 1.96 * error.std_error, "{low} {high} {error:?}");
    let one = &run.comparisons[0];
    assert_eq!((one.method, one.widened), (ComparisonMethod::PairedBootstrapAndDraws, 1.0));
    assert_eq!((one.a.variant.as_str(), one.wins), ("b", None));
    // draws that agree add nothing: the interval is that of the rows
    let once = Told { repeats: 1, ..draws(0.9, 2) }.scored();
    let mut again = ScoredTable::default();
    again.predictions.classes = once.predictions.classes.clone();
    again.predictions.probabilities = true;
    for repeat in 0..3 {
        again.fold.extend(vec![repeat; ROWS]);
        again.label.extend(once.label.clone());
        again.predictions.row_id.extend(once.predictions.row_id.clone());
        again.predictions.predicted.extend(once.predictions.predicted.clone());
        again.predictions.scores.extend(once.predictions.scores.clone());
    }
    let interval = |scored: &ScoredTable, folds: &[f64]| {
        let mut run = summary(vec![variant("a", vec![("f1_macro", metric(folds, true))])]);
        add(&mut run, &[evaluation(0, scored.to_table().unwrap(), None)], &[]).unwrap();
        of(&run, 0).ci95.unwrap()
    };
    let score = f1(&once, 0);
    let (single, thrice) = (interval(&once, &[score]), interval(&again, &[score; 3]));
    assert!(single.iter().zip(thrice).all(|(one, three)| (one - three).abs() < 1e-12), "{single:?} {thrice:?}");
}

#[test]
fn five_repeats_of_two_folds_have_their_own_test() {
    let five = |right, seed| Told { right, seed, repeats: 5, folds: 2 };
    let run = run(&[five(0.8, 1), five(0.95, 2)]);
    let one = run.comparisons.iter().find(|c| c.metric == "accuracy").unwrap();
    assert_eq!((one.method, one.verdict), (ComparisonMethod::FiveByTwoF, Verdict::Better));
}

#[test]
fn groups_are_drawn_whole() {
    let scored = PLAIN.scored();
    // all rows of a group are told alike, so there are but 20 to draw
    let mut alike = scored.clone();
    for row in 0..ROWS {
        let right = row / 2 % 10 != 3;
        let label = alike.label[row].clone().unwrap();
        let wrong = if label == "no" { "yes" } else { "no" };
        alike.predictions.predicted[row] = if right { label } else { wrong.to_owned() };
    }
    let group = |row: usize| format!("g{}", row / 2 % 20);
    let target = Target {
        row_id: scored.predictions.row_id.clone(),
        group: Some((0..ROWS).map(|row| Some(group(row))).collect()),
        ..Target::default()
    };
    let one = |target: Option<Target>| {
        let mut run = summary(vec![variant("a", vec![("accuracy", metric(&[0.9], true))])]);
        add(&mut run, &[evaluation(0, alike.to_table().unwrap(), target)], &[]).unwrap();
        run.variants.remove(0).metrics.remove("accuracy").unwrap()
    };
    let (grouped, plain) = (one(Some(target.clone())), one(None));
    assert_eq!(
        (grouped.ci95_method, plain.ci95_method),
        (Some(IntervalMethod::Bootstrap), Some(IntervalMethod::Wilson))
    );
    let width = |metric: &MetricSummary| metric.ci95.unwrap()[1] - metric.ci95.unwrap()[0];
    assert!(width(&grouped) > 2.0 * width(&plain), "{grouped:?} {plain:?}");
    // what the folds kept together counts, whatever the groups of the data; rows without company are alone
    let ids: ArrayRef = Arc::new(StringArray::from(scored.predictions.row_id.clone()));
    let groups: ArrayRef = Arc::new((0..ROWS).map(|row| Some(group(row))).collect::<StringArray>());
    let together = RecordBatch::try_from_iter([("row_id", ids), ("group", groups)]).unwrap();
    let kept = |together: RecordBatch, target: Option<Target>| {
        let mut run = summary(vec![variant("a", vec![("accuracy", metric(&[0.9], true))])]);
        let mut evaluation = evaluation(0, alike.to_table().unwrap(), target);
        evaluation.rows.insert(TOGETHER, Part::memory(together));
        add(&mut run, &[evaluation], &[]).unwrap();
        run.variants.remove(0).metrics.remove("accuracy").unwrap()
    };
    let single = Target { group: Some(vec![None; ROWS]), ..target };
    assert_eq!(kept(together.clone(), Some(single)).ci95, grouped.ci95);
    assert_eq!(kept(together.slice(0, 0), None).ci95, plain.ci95);
}

#[test]
fn what_was_scored_otherwise_is_not_compared() {
    let other_folds = Told { folds: 4, seed: 2, ..PLAIN };
    let run = run(&[PLAIN, Told { right: 0.9, seed: 5, ..PLAIN }, other_folds]);
    assert!(run.comparisons.iter().all(|c| [&c.a, &c.b].iter().all(|rival| rival.variant != "c")));
    let [apart] = run.not_compared.as_slice() else { panic!("{:?}", run.not_compared) };
    assert_eq!((apart.these.len(), apart.those[0].variant.as_str()), (2, "c"));
    assert_eq!(apart.why, "they were scored on the same rows in other folds");
    let on = |at: usize| run.variants[at].scored_on.clone().unwrap();
    assert!(on(0) == on(1) && on(0).rows == on(2).rows && on(0).folds != on(2).folds);
    // other labels are other data
    let mut turned = PLAIN.scored();
    turned.label[0] = Some("yes".into());
    let mut two = summary(vec![PLAIN.variant("a"), PLAIN.variant("b")]);
    add(&mut two, &[PLAIN.evaluation(0), evaluation(1, turned.to_table().unwrap(), None)], &[]).unwrap();
    assert!(two.comparisons.is_empty() && two.not_compared[0].why.starts_with("they were scored on other rows"));
}

#[test]
fn points_of_a_curve_with_fewer_rows_are_no_candidates() {
    let told =
        [Told { seed: 1, ..PLAIN }, Told { right: 0.99, seed: 2, ..PLAIN }, Told { right: 0.9, seed: 3, ..PLAIN }];
    let mut four =
        summary(["a", "b", "c", "d"].iter().zip([0, 1, 2, 0]).map(|(id, at)| told[at].variant(id)).collect());
    for (variant, rows) in four.variants.iter_mut().zip(["all", "50", "all", "50"]) {
        variant.params.insert("train_rows".into(), rows.into());
    }
    let curve = |label: &str, few: &str, all: &str| LearningCurve {
        evaluation: "scores".into(),
        axis: "train_rows".into(),
        label: label.into(),
        points: [(few, 50), (all, 160)].map(|(id, train_rows)| CurvePoint { variant: id.into(), train_rows }).to_vec(),
    };
    let evaluations =
        || [0, 1, 2, 0].iter().enumerate().map(|(at, of)| Evaluation { variant: at, ..told[*of].evaluation(at) });
    let evaluations: Vec<Evaluation> = evaluations().collect();
    let mut plain = four.clone();
    add(&mut plain, &evaluations, &[]).unwrap();
    assert_eq!((plain.best[0].of, plain.comparisons[0].family), (4, 6), "without a curve all are candidates");
    four.learning_curves = vec![curve("features=x", "d", "a"), curve("features=y", "b", "c")];
    add(&mut four, &evaluations, &[]).unwrap();
    let accuracy: Vec<&Comparison> = four.comparisons.iter().filter(|c| c.metric == "accuracy").collect();
    let [one] = accuracy.as_slice() else { panic!("{accuracy:?}") };
    // `b` has the best score, but from fewer rows than `a` and `c` have
    assert_eq!((one.a.variant.as_str(), one.b.variant.as_str(), one.family), ("c", "a", 1));
    let best = four.best.iter().find(|best| best.metric == "accuracy").unwrap();
    assert_eq!((best.best.variant.as_str(), best.of), ("c", 2));
    assert!(four.variants[1].metrics["accuracy"].ci95.is_some(), "an interval it has all the same");
    // where the point with all rows is missing, the other is no candidate either
    four.learning_curves[1].points.pop();
    (four.comparisons, four.best) = (Vec::new(), Vec::new());
    four.variants[2].metrics.clear();
    add(&mut four, &evaluations, &[]).unwrap();
    assert!(four.comparisons.is_empty() && four.best.is_empty());
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let scored = PLAIN.scored();
    let mut turned = ScoredTable {
        fold: scored.fold.iter().rev().copied().collect(),
        label: scored.label.iter().rev().cloned().collect(),
        predictions: Predictions {
            row_id: scored.predictions.row_id.iter().rev().cloned().collect(),
            predicted: scored.predictions.predicted.iter().rev().cloned().collect(),
            scores: scored.predictions.scores.chunks(2).rev().flatten().copied().collect(),
            ..scored.predictions.clone()
        },
    };
    let wrong = turned.predictions.predicted[5] == *turned.label[5].as_ref().unwrap();
    assert!(wrong, "the row is right before it is turned");
    turned.predictions.predicted[5] = if turned.predictions.predicted[5] == "no" { "yes" } else { "no" }.into();
    let mut two = summary(vec![PLAIN.variant("a"), PLAIN.variant("b")]);
    add(&mut two, &[PLAIN.evaluation(0), evaluation(1, turned.to_table().unwrap(), None)], &[]).unwrap();
    let one = two.comparisons.iter().find(|c| c.metric == "accuracy").unwrap();
    let wins = one.wins.unwrap();
    assert_eq!((wins.a, wins.b), (1, 0), "{one:?}");
}

#[test]
fn numbers_are_compared_by_their_errors() {
    let of = |spread: f64, seed: u64| {
        let mut rng = Rng::seeded(seed);
        let truth: Vec<f64> = (0..ROWS).map(|row| row as f64 / 10.0).collect();
        let value = truth.iter().map(|truth| truth + spread * (rng.uniform() - 0.5)).collect();
        let row_id = (0..ROWS).map(|row| format!("r{row}")).collect();
        let fold = (0..ROWS as u32).map(|row| row % 5).collect();
        ScoredValues { fold, truth, predictions: PredictedValues { row_id, value } }.to_table().unwrap()
    };
    let loss = || vec![("mean_absolute_error", metric(&[0.5], false)), ("max_error", metric(&[1.0], false))];
    let mut better = loss();
    better[0].1 = metric(&[0.25], false);
    let mut two = summary(vec![variant("a", loss()), variant("b", better)]);
    add(&mut two, &[evaluation(0, of(2.0, 1), None), evaluation(1, of(1.0, 2), None)], &[]).unwrap();
    let one = two.comparisons.iter().find(|c| c.metric == "mean_absolute_error").unwrap();
    assert_eq!((one.a.variant.as_str(), one.verdict), ("b", Verdict::Better));
    assert!(one.difference < 0.0 && one.wins.unwrap().share > 0.6);
    // the largest error of other samples cannot be told
    assert_eq!(two.variants[0].metrics["max_error"].ci95, None);
    assert!(two.comparisons.iter().all(|c| c.metric != "max_error"));
}

#[test]
fn rows_without_a_label_leave_the_scores_as_they_are() {
    let mut scored = PLAIN.scored();
    scored.label[7] = None;
    let mut one = summary(vec![PLAIN.variant("a")]);
    add(&mut one, &[evaluation(0, scored.to_table().unwrap(), None)], &[]).unwrap();
    assert_eq!(one.variants[0].metrics["accuracy"].ci95, None);
}

#[test]
fn what_was_found_is_not_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let told = [PLAIN, Told { right: 0.95, seed: 2, ..PLAIN }];
    let stored = |store: &Arc<Store>, at: usize| {
        let digest = Digest::of(&to_parquet(&told[at].scored().to_table().unwrap()).unwrap());
        let mut scores = Parts::default();
        scores.insert("predictions", Part::stored(digest, Arc::clone(store) as Arc<dyn Load>));
        Evaluation { variant: at, scores, rows: Parts::default() }
    };
    for told in &told {
        store.put_table(&told.scored().to_table().unwrap()).unwrap();
    }
    let fresh = || summary(told.iter().zip(["a", "b"]).map(|(told, name)| told.variant(name)).collect());
    let evaluations = [stored(&store, 0), stored(&store, 1)];
    let mut first = fresh();
    let key = add_kept(&mut first, &evaluations, &[], &store, &|what| panic!("{what}")).unwrap();
    assert!(key.is_some() && !first.comparisons.is_empty());
    // without the tables only what was kept can tell; another store has not decoded them either
    std::fs::remove_dir_all(store.folder().join("blobs")).unwrap();
    drop((evaluations, store));
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let evaluations = [stored(&store, 0), stored(&store, 1)];
    let mut again = fresh();
    assert_eq!(add_kept(&mut again, &evaluations, &[], &store, &|what| panic!("{what}")).unwrap(), key);
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&first).unwrap());
    // another name stands in other sentences
    let mut renamed = fresh();
    renamed.variants[0].label = "words".into();
    assert!(add_kept(&mut renamed, &evaluations, &[], &store, &|what| panic!("{what}")).is_err());
}
