//! Do intervals cover and tests keep their level where the truth is known? Simulated experiments, of which `docs/statistics.md` tells.
//!
//! `cargo test --release --lib simulation -- --ignored --nocapture` runs them.

use rayon::prelude::*;

use super::distributions::normal_below;
use super::tests::Mean;
use super::*;
use crate::ml::{Average, Metric, Outcome, Places, Rng, Scores, Weighed, stratified_k_fold};

const EXPERIMENTS: usize = 2000;
const RESAMPLES: usize = 1000;
const FOLDS: usize = 5;
const METRICS: [Metric; 3] = [Metric::Accuracy, Metric::F1(Average::Macro), Metric::RocAuc];

/// Two clouds of points at `−gap` and `gap` in each of `width` directions, with spread 1.
#[derive(Clone, Copy)]
struct World {
    rows: usize,
    /// The share of the second class; rows get it by chance where `drawn`, else in just this share.
    share: f64,
    drawn: bool,
    width: usize,
    gap: f64,
}

struct Data {
    y: Vec<u32>,
    x: Vec<f64>,
}

/// What a learner has come to: a row is of the second class where `slope · x + offset` is above 0.
struct Fitted {
    slope: Vec<f64>,
    offset: f64,
}

fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.uniform()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.uniform()).cos()
}

impl World {
    fn labels(&self, rng: &mut Rng) -> Vec<u32> {
        let second = (self.share * self.rows as f64).round() as usize;
        match self.drawn {
            true => (0..self.rows).map(|_| u32::from(rng.uniform() < self.share)).collect(),
            false => (0..self.rows).map(|row| u32::from(row < second)).collect(),
        }
    }

    fn data(&self, y: &[u32], rng: &mut Rng) -> Data {
        let sign = |class: u32| if class == 1 { self.gap } else { -self.gap };
        let x = y.iter().flat_map(|class| std::iter::repeat_n(sign(*class), self.width));
        Data { y: y.to_vec(), x: x.collect::<Vec<_>>().into_iter().map(|middle| middle + normal(rng)).collect() }
    }

    /// The true value of each of [`METRICS`] of a model.
    fn truth(&self, model: &Fitted) -> [f64; 3] {
        let length = model.slope.iter().map(|x| x * x).sum::<f64>().sqrt();
        let lead = self.gap * model.slope.iter().sum::<f64>();
        let (right, kept) =
            (normal_below((lead + model.offset) / length), normal_below((lead - model.offset) / length));
        let (second, first) = (self.share, 1.0 - self.share);
        let f1 = |hits: f64, missed: f64, alarms: f64| 2.0 * hits / (2.0 * hits + missed + alarms);
        let of_second = f1(second * right, second * (1.0 - right), first * (1.0 - kept));
        let of_first = f1(first * kept, first * (1.0 - kept), second * (1.0 - right));
        let area = normal_below(2.0 * lead / (length * std::f64::consts::SQRT_2));
        [second * right + first * kept, (of_first + of_second) / 2.0, area]
    }
}

impl Data {
    /// The nearest of the two means.
    fn fit(&self, rows: &[usize], width: usize) -> Fitted {
        let mut middle = [vec![0.0; width], vec![0.0; width]];
        let mut count = [0.0, 0.0];
        for &row in rows {
            let class = self.y[row] as usize;
            count[class] += 1.0;
            middle[class].iter_mut().zip(&self.x[row * width..]).for_each(|(sum, x)| *sum += x);
        }
        for (sum, count) in middle.iter_mut().zip(count) {
            sum.iter_mut().for_each(|value| *value /= f64::max(count, 1.0));
        }
        let [first, second] = middle;
        let slope: Vec<f64> = second.iter().zip(&first).map(|(b, a)| b - a).collect();
        let offset = slope.iter().zip(first.iter().zip(&second)).map(|(s, (a, b))| -s * (a + b) / 2.0).sum();
        Fitted { slope, offset }
    }
}

impl Fitted {
    fn score(&self, x: &[f64]) -> f64 {
        self.offset + self.slope.iter().zip(x).map(|(slope, x)| slope * x).sum::<f64>()
    }
}

/// A learner in repeated cross-validation.
struct Crossed {
    weighed: Weighed,
    /// Whether each row was told right, in the last repeat.
    right: Vec<bool>,
    /// The accuracy of each fold.
    folds: Vec<f64>,
    /// The true values of the models, averaged over folds.
    truth: [f64; 3],
}

fn cross(world: &World, data: &Data, repeats: u64, seed: u64) -> Crossed {
    let (rows, width) = (data.y.len(), world.width);
    let (mut unit, mut fold, mut y, mut p, mut scores) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut folds, mut truth) = (vec![], [0.0; 3]);
    let labels: Vec<Option<u32>> = data.y.iter().map(|class| Some(*class)).collect();
    for repeat in 0..repeats {
        let split = stratified_k_fold(&labels, FOLDS, true, seed + repeat).unwrap();
        for (number, test) in split.test.iter().enumerate() {
            let model = data.fit(&split.train(number), width);
            let before = y.len();
            for &row in test {
                let score = model.score(&data.x[row * width..(row + 1) * width]);
                unit.push(row as u32);
                fold.push(repeat as u32 * FOLDS as u32 + number as u32);
                y.push(data.y[row]);
                p.push(u32::from(score > 0.0));
                scores.extend([-score, score]);
            }
            let hits = (before..y.len()).filter(|&at| y[at] == p[at]).count();
            folds.push(hits as f64 / test.len() as f64);
            truth.iter_mut().zip(world.truth(&model)).for_each(|(sum, value)| *sum += value);
        }
    }
    truth.iter_mut().for_each(|sum| *sum /= folds.len() as f64);
    let outcome = Outcome::new(&y, &p, 2, Some(Scores::Decisions(&scores))).unwrap();
    let weighed = Weighed::of_classes(&METRICS, &outcome, Places { unit: &unit, fold: &fold });
    let mut right = vec![false; rows];
    for (at, row) in unit.iter().enumerate() {
        right[*row as usize] = y[at] == p[at];
    }
    Crossed { weighed, right, folds, truth }
}

/// A rule held, or not, in each experiment.
#[derive(Default, Clone)]
struct Tally(Vec<(&'static str, Vec<Option<bool>>)>);

impl Tally {
    fn note(&mut self, name: &'static str, held: impl Into<Option<bool>>) {
        let held = held.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.push(held),
            None => self.0.push((name, vec![held])),
        }
    }

    fn join(mut self, other: Tally) -> Tally {
        for (name, held) in other.0 {
            held.into_iter().for_each(|held| self.note(name, held));
        }
        self
    }

    fn rate(&self, name: &str) -> f64 {
        let (_, held) = self.0.iter().find(|(known, _)| *known == name).unwrap();
        held.iter().filter(|held| **held == Some(true)).count() as f64 / held.len() as f64
    }

    fn tell(&self, title: &str) {
        println!("{title}");
        self.0.iter().for_each(|(name, _)| println!("  {:6.2}%  {name}", 100.0 * self.rate(name)));
    }
}

fn simulate(experiments: usize, one: impl Fn(u64, &mut Tally) + Sync) -> Tally {
    let alone = |seed: usize| {
        let mut tally = Tally::default();
        one(seed as u64 * 1009, &mut tally);
        tally
    };
    (0..experiments).into_par_iter().map(alone).reduce(Tally::default, Tally::join)
}

fn holds(interval: Option<[f64; 2]>, truth: f64) -> Option<bool> {
    interval.map(|[low, high]| (low..=high).contains(&truth))
}

/// The mean of what the models of many experiments truly reach: what the learner is worth, whatever rows it was given.
fn worth(world: &World) -> [f64; 3] {
    let of = |seed: u64| {
        let mut rng = Rng::seeded(seed + 77);
        let y = world.labels(&mut rng);
        cross(world, &world.data(&y, &mut rng), 1, seed).truth
    };
    let all: Vec<[f64; 3]> = (0..4000).into_par_iter().map(of).collect();
    std::array::from_fn(|at| all.iter().map(|truth| truth[at]).sum::<f64>() / all.len() as f64)
}

/// What is noted of a metric whose rows are drawn again.
struct Names {
    fitted: &'static str,
    learner: &'static str,
    by_class: &'static str,
    difference: &'static str,
    equal: &'static str,
    finding: &'static str,
    rows_alone: &'static str,
}

const NAMES: [Names; 3] = [
    Names {
        fitted: "accuracy, bootstrap: the models as fitted",
        learner: "accuracy, bootstrap: the learner",
        by_class: "accuracy, bootstrap within classes: the models as fitted",
        difference: "difference of accuracy: the models as fitted",
        equal: "accuracy, bootstrap: models as fitted that are equal told apart",
        finding: "accuracy, bootstrap: equal learners told apart",
        rows_alone: "accuracy, bootstrap without the correction: equal learners told apart",
    },
    Names {
        fitted: "f1_macro, bootstrap: the models as fitted",
        learner: "f1_macro, bootstrap: the learner",
        by_class: "f1_macro, bootstrap within classes: the models as fitted",
        difference: "difference of f1_macro: the models as fitted",
        equal: "f1_macro, bootstrap: models as fitted that are equal told apart",
        finding: "f1_macro, bootstrap: equal learners told apart",
        rows_alone: "f1_macro, bootstrap without the correction: equal learners told apart",
    },
    Names {
        fitted: "roc_auc, bootstrap: the models as fitted",
        learner: "roc_auc, bootstrap: the learner",
        by_class: "roc_auc, bootstrap within classes: the models as fitted",
        difference: "difference of roc_auc: the models as fitted",
        equal: "roc_auc, bootstrap: models as fitted that are equal told apart",
        finding: "roc_auc, bootstrap: equal learners told apart",
        rows_alone: "roc_auc, bootstrap without the correction: equal learners told apart",
    },
];

/// Intervals of one learner, and of the difference of two that are equally good.
fn coverage(world: World, title: &str) -> Tally {
    let worth = worth(&world);
    let tally = simulate(EXPERIMENTS, |seed, tally| {
        let mut rng = Rng::seeded(seed);
        let y = world.labels(&mut rng);
        let (one, two) = (world.data(&y, &mut rng), world.data(&y, &mut rng));
        let (one, two) = (cross(&world, &one, 1, seed), cross(&world, &two, 1, seed));
        let both: [&dyn Scored; 2] = [&one.weighed, &two.weighed];
        let found = resample(&both, &Units::alike(y.len()), RESAMPLES, seed);
        let within = resample(&both[..1], &Units::stratified(&y), RESAMPLES, seed);
        let hits = one.right.iter().filter(|right| **right).count();
        let wilson = wilson_interval(hits, world.rows, 0.95);
        tally.note("accuracy, Wilson: the models as fitted", holds(wilson, one.truth[0]));
        tally.note("accuracy, Wilson: the learner", holds(wilson, worth[0]));
        for (at, names) in NAMES.iter().enumerate() {
            let interval = found[0][at].interval(0.95);
            tally.note(names.fitted, holds(interval, one.truth[at]));
            tally.note(names.learner, holds(interval, worth[at]));
            tally.note(names.by_class, holds(within[0][at].interval(0.95), one.truth[at]));
            let (rows, truth) = (found[0][at].minus(&found[1][at]), one.truth[at] - two.truth[at]);
            tally.note(names.rows_alone, rows.p_value(0.0).map(|p| p <= 0.05));
            let difference = rows.widened(shared_training(FOLDS));
            tally.note(names.difference, holds(difference.interval(0.95), truth));
            // a difference that is moved by the true one is that of equals
            tally.note(names.equal, difference.p_value(truth).map(|p| p <= 0.05));
            tally.note(names.finding, difference.p_value(0.0).map(|p| p <= 0.05));
        }
        let alone = |a: &Crossed, b: &Crossed| a.right.iter().zip(&b.right).filter(|(a, b)| **a && !**b).count() as u64;
        let mcnemar = mcnemar(alone(&one, &two), alone(&two, &one));
        let p = tempered(mcnemar.mid, shared_training(FOLDS));
        tally.note("accuracy, McNemar mid-p: equal learners told apart", p <= 0.05);
        tally.note("accuracy, McNemar mid-p without the correction: equal learners told apart", mcnemar.mid <= 0.05);
    });
    tally.tell(title);
    tally
}

/// Intervals over ten repeats of five folds, and the difference of two that are equally good.
fn repeated(world: World, title: &str) -> Tally {
    let worth = worth(&world);
    let tally = simulate(EXPERIMENTS, |seed, tally| {
        let mut rng = Rng::seeded(seed);
        let y = world.labels(&mut rng);
        let (one, two) = (world.data(&y, &mut rng), world.data(&y, &mut rng));
        let (one, two) = (cross(&world, &one, 10, seed), cross(&world, &two, 10, seed));
        let over = |folds: &[f64]| corrected_t(folds, 1.0 / (FOLDS - 1) as f64).unwrap();
        tally.note("accuracy, corrected t: the learner", holds(over(&one.folds).interval(0.95), worth[0]));
        let differences: Vec<f64> = one.folds.iter().zip(&two.folds).map(|(a, b)| a - b).collect();
        tally.note("accuracy, corrected t: equal learners told apart", over(&differences).p <= 0.05);
    });
    tally.tell(title);
    tally
}

const WORLD: World = World { rows: 200, share: 0.5, drawn: false, width: 5, gap: 0.4 };
const FEW: World = World { rows: 60, ..WORLD };
const MANY: World = World { rows: 1000, ..WORLD };
const UNEQUAL: World = World { share: 0.2, drawn: true, ..WORLD };
const WIDE: World = World { width: 50, gap: 0.12, ..WORLD };
const NOTHING: World = World { gap: 0.0, ..WORLD };

/// Whether a share of 2000 lies where it should, with two standard errors of its own to spare.
#[track_caller]
fn between(tally: &Tally, names: &[&str], low: f64, high: f64) {
    for name in names {
        let rate = tally.rate(name);
        assert!((low..=high).contains(&rate), "{name}: {rate}");
    }
}

#[test]
#[ignore = "minutes of simulations"]
fn simulation_of_one_run_of_folds() {
    for (world, title) in [
        (WORLD, "200 rows"),
        (FEW, "60 rows"),
        (MANY, "1000 rows"),
        (UNEQUAL, "200 rows, one class in five, by chance"),
    ] {
        let tally = coverage(world, title);
        between(&tally, &["accuracy, Wilson: the models as fitted"], 0.93, 0.97);
        for names in &NAMES {
            between(&tally, &[names.fitted], 0.93, 0.985);
            between(&tally, &[names.difference], 0.95, 1.0);
            no_more_findings(&tally, names);
        }
    }
    for (world, title) in [(WIDE, "200 rows, 50 weak columns"), (NOTHING, "200 rows, columns that say nothing")] {
        let tally = coverage(world, title);
        NAMES.iter().for_each(|names| no_more_findings(&tally, names));
    }
}

#[track_caller]
fn no_more_findings(tally: &Tally, names: &Names) {
    between(tally, &[names.equal, names.finding, "accuracy, McNemar mid-p: equal learners told apart"], 0.0, 0.06);
}

#[test]
#[ignore = "minutes of simulations"]
fn simulation_of_repeated_folds() {
    for (world, title) in [
        (WORLD, "200 rows"),
        (FEW, "60 rows"),
        (UNEQUAL, "200 rows, one class in five, by chance"),
        (WIDE, "200 rows, 50 weak columns"),
        (NOTHING, "200 rows, columns that say nothing"),
    ] {
        let tally = repeated(world, title);
        between(&tally, &["accuracy, corrected t: the learner"], 0.88, 0.98);
        between(&tally, &["accuracy, corrected t: equal learners told apart"], 0.0, 0.08);
    }
}

/// 36 learners of columns that say nothing, and of which the best is taken.
#[test]
#[ignore = "minutes of simulations"]
fn simulation_of_the_best_of_36_that_know_nothing() {
    const TRIED: usize = 36;
    let world = NOTHING;
    let sums = std::sync::Mutex::new([0.0; 2]);
    let tally = simulate(EXPERIMENTS, |seed, tally| {
        let mut rng = Rng::seeded(seed);
        let y = world.labels(&mut rng);
        let all: Vec<Crossed> = (0..TRIED).map(|_| cross(&world, &world.data(&y, &mut rng), 1, seed)).collect();
        let scored: Vec<&dyn Scored> = all.iter().map(|one| &one.weighed as &dyn Scored).collect();
        let accuracy = |one: &Crossed| one.right.iter().filter(|right| **right).count() as f64 / world.rows as f64;
        let best = (0..TRIED).reduce(|a, b| if accuracy(&all[b]) > accuracy(&all[a]) { b } else { a }).unwrap();
        let alone = |a: &Crossed, b: &Crossed| a.right.iter().zip(&b.right).filter(|(a, b)| **a && !**b).count() as u64;
        let others = (0..TRIED).filter(|other| *other != best).map(|other| &all[other]);
        let p = others.map(|other| mcnemar(alone(&all[best], other), alone(other, &all[best])).mid);
        let alone: Vec<f64> = p.collect();
        let p: Vec<f64> = alone.iter().map(|p| tempered(*p, shared_training(FOLDS))).collect();
        let found = |p: &[f64], family: usize| holm(p, family).iter().any(|p| *p <= 0.05);
        tally.note("the best beats another, Holm over all pairs", found(&p, TRIED * (TRIED - 1) / 2));
        tally.note("the best beats another, Holm over its own pairs", found(&p, TRIED - 1));
        tally.note("the best beats another, no Holm", p.iter().any(|p| *p <= 0.05));
        tally.note("the best beats another, rows alone, Holm over all pairs", found(&alone, TRIED * (TRIED - 1) / 2));
        let pairs: Vec<Vec<[f64; 2]>> = out_of_bag(&scored, &Units::alike(world.rows), 100, seed)
            .into_iter()
            .map(|mut scores| scores.swap_remove(0))
            .collect();
        let honest = optimism(&pairs, best, accuracy(&all[best]), true).unwrap().honest;
        let interval = wilson_interval((accuracy(&all[best]) * world.rows as f64).round() as usize, world.rows, 0.95);
        tally.note("the interval of the best, as it stands, holds", holds(interval, 0.5));
        let moved = interval.map(|bounds| bounds.map(|bound| bound - accuracy(&all[best]) + honest));
        tally.note("the interval of the best, less its optimism, holds", holds(moved, 0.5));
        let mut sums = sums.lock().unwrap();
        sums[0] += accuracy(&all[best]) / EXPERIMENTS as f64;
        sums[1] += honest / EXPERIMENTS as f64;
    });
    tally.tell("36 learners that know nothing, 200 rows");
    let [best, honest] = sums.into_inner().unwrap();
    println!("  mean accuracy of the best {best:.4}, less its optimism {honest:.4}");
    between(&tally, &["the best beats another, Holm over all pairs"], 0.0, 0.06);
    assert!(best > 0.56 && (honest - 0.5).abs() < 0.025, "{best} {honest}");
}

/// A difference of five points, so that tests that never find anything do not pass.
#[test]
#[ignore = "minutes of simulations"]
fn simulation_of_a_real_difference() {
    let (world, better) = (World { rows: 2000, ..WORLD }, World { rows: 2000, gap: 0.48, ..WORLD });
    let gap = worth(&better)[0] - worth(&world)[0];
    let tally = simulate(EXPERIMENTS, |seed, tally| {
        let mut rng = Rng::seeded(seed);
        let y = world.labels(&mut rng);
        let (one, two) = (better.data(&y, &mut rng), world.data(&y, &mut rng));
        let (one, two) = (cross(&better, &one, 1, seed), cross(&world, &two, 1, seed));
        let alone = |a: &Crossed, b: &Crossed| a.right.iter().zip(&b.right).filter(|(a, b)| **a && !**b).count() as u64;
        let p = mcnemar(alone(&one, &two), alone(&two, &one)).mid;
        tally.note("accuracy, McNemar mid-p: found", tempered(p, shared_training(FOLDS)) <= 0.05);
        let found = resample(&[&one.weighed, &two.weighed], &Units::alike(y.len()), RESAMPLES, seed);
        let difference = found[0][1].minus(&found[1][1]).widened(shared_training(FOLDS));
        tally.note("f1_macro, bootstrap: found", difference.p_value(0.0).map(|p| p <= 0.05));
    });
    tally.tell(&format!("2000 rows, {:.1} points between the two", 100.0 * gap));
    between(&tally, &["accuracy, McNemar mid-p: found", "f1_macro, bootstrap: found"], 0.6, 1.0);
}

/// A learner on draws of training rows, scored on the same rows each time.
struct Redrawn {
    /// By held-out row, in how many of the draws it was told right, as a share.
    rows: Mean,
    /// The accuracy of each draw.
    draws: Vec<f64>,
    /// The true accuracy over all draws.
    truth: f64,
}

/// `trained` of the first 200 rows, `draws` times; the others are held out.
fn redrawn(world: &World, data: &Data, trained: usize, draws: usize, seed: u64) -> Redrawn {
    const POOL: usize = 200;
    let mut rng = Rng::seeded(seed + 5);
    let mut fit = || {
        let mut pool: Vec<usize> = (0..POOL).collect();
        rng.shuffle(&mut pool);
        data.fit(&pool[..trained], world.width)
    };
    let models: Vec<Fitted> = (0..draws).map(|_| fit()).collect();
    let right = |model: &Fitted, row: usize| {
        let score = model.score(&data.x[row * world.width..(row + 1) * world.width]);
        f64::from(u8::from((score > 0.0) == (data.y[row] == 1)))
    };
    let held_out = || POOL..data.y.len();
    let share = |row: usize| models.iter().map(|model| right(model, row)).sum::<f64>() / draws as f64;
    let accuracy = |model: &Fitted| mean(&held_out().map(|row| right(model, row)).collect::<Vec<_>>()).unwrap();
    let rows = Mean(held_out().map(share).collect());
    let accuracies = models.iter().map(accuracy).collect();
    let truth = (0..300).map(|_| world.truth(&fit())[0]).sum::<f64>() / 300.0;
    Redrawn { rows, draws: accuracies, truth }
}

/// Repeats that hold out the same 200 rows and draw other training rows.
#[test]
#[ignore = "minutes of simulations"]
fn simulation_of_draws_of_training_rows() {
    let world = World { rows: 400, drawn: true, ..WORLD };
    for (trained, draws) in [(10, 2), (10, 5), (10, 20), (50, 5)] {
        let tally = simulate(EXPERIMENTS, |seed, tally| {
            let mut rng = Rng::seeded(seed);
            let y = world.labels(&mut rng);
            let (one, two) = (world.data(&y, &mut rng), world.data(&y, &mut rng));
            // the same seed, and so the same draws
            let (one, two) = (redrawn(&world, &one, trained, draws, seed), redrawn(&world, &two, trained, draws, seed));
            let units = Units::alike(one.rows.0.len());
            let found = resample(&[&one.rows, &two.rows], &units, RESAMPLES, seed);
            let with = |rows: &Replicates, values: &[f64]| rows.with_error(draw_error(values, draws).unwrap(), 0.95);
            tally.note("rows alone", holds(found[0][0].interval(0.95), one.truth));
            tally.note("rows and draws", holds(with(&found[0][0], &one.draws).interval(0.95), one.truth));
            let differences: Vec<f64> = one.draws.iter().zip(&two.draws).map(|(a, b)| a - b).collect();
            let (rows, truth) = (found[0][0].minus(&found[1][0]), one.truth - two.truth);
            tally.note("difference, rows alone", holds(rows.interval(0.95), truth));
            tally.note("difference, rows and draws", holds(with(&rows, &differences).interval(0.95), truth));
        });
        tally.tell(&format!("{trained} of 200 training rows, drawn {draws} times"));
        between(&tally, &["rows and draws", "difference, rows and draws"], 0.93, 1.0);
    }
}
