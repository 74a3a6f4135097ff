//! Does every learner bear rows that are strange? All names of the schema are tried, so that a new one is too.
//!
//! The answer is right (finite scores, probabilities that sum to one, the same bits for any number of threads) or an error in words.

use std::sync::atomic::AtomicBool;

use arrow::array::{RecordBatch, StringArray};
use serde_json::{Value, json};

use super::*;
use crate::ml::{Block, Csr, Dense, Features, Rng};
use crate::stage::{Made, Part, Progress};
use crate::table::features;
use crate::table::target::Target;

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

/// Every learner of the schema, with few trees where it has some, and weights where the usual penalty leaves none of such rows.
fn learners() -> Vec<Classifier> {
    let schema = schemars::schema_for!(Estimator).to_value();
    let made = |one: &Value| {
        let name = one["required"][0].as_str().unwrap();
        let with = |params: Value| serde_json::from_value::<Estimator>(json!({ name: params }));
        let weak = matches!(name, "lasso" | "elastic_net");
        let params = if weak { json!({ "alpha": 0.01 }) } else { json!({ "n_estimators": 7 }) };
        let estimator = with(params).or_else(|_| with(json!({}))).unwrap();
        Classifier { chosen: estimator.learner(), name: estimator.name() }
    };
    schema["oneOf"].as_array().unwrap().iter().map(made).collect()
}

/// Rows of three columns, of 0 or more.
struct Rows {
    values: Vec<[f32; 3]>,
    class: Vec<usize>,
    weight: Option<Vec<f64>>,
}

impl Rows {
    /// `count` rows in `classes` classes, each class about a place of its own.
    fn new(count: usize, classes: usize) -> Self {
        let mut rng = Rng::seeded(3);
        let class: Vec<usize> = (0..count).map(|row| row % classes).collect();
        // the column of a class is there, the others seldom are
        let mut near =
            |own: bool| if own { 3.0 + rng.uniform() } else { (rng.uniform() - 0.95).max(0.0) * 20.0 } as f32;
        let values = class.iter().map(|&class| [0, 1, 2].map(|j| near(class % 3 == j))).collect();
        Rows { values, class, weight: None }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn ids(&self) -> Vec<String> {
        (0..self.values.len()).map(|row| format!("r{row}")).collect()
    }

    /// The rows dense, sparse, and as a sparse block beside a dense one.
    fn forms(&self) -> [Features; 3] {
        let dense = |columns: &[usize]| {
            let values = self.values.iter().flat_map(|row| columns.iter().map(|&j| row[j])).collect();
            Block::Dense(Dense { rows: self.values.len(), cols: columns.len(), values })
        };
        let sparse = |columns: &[usize]| {
            let mut m = Csr { cols: columns.len(), indptr: vec![0], ..Csr::default() };
            for row in &self.values {
                for (place, &j) in columns.iter().enumerate().filter(|(_, j)| row[**j] != 0.0) {
                    m.indices.push(place as u32);
                    m.values.push(row[j]);
                }
                m.indptr.push(m.indices.len());
            }
            Block::Sparse(m)
        };
        [vec![dense(&[0, 1, 2])], vec![sparse(&[0, 1, 2])], vec![sparse(&[0]), dense(&[1, 2])]]
            .map(|blocks| Features { blocks })
    }

    fn parts(&self, x: &Features) -> Parts {
        let ids = StringArray::from(self.ids());
        let mut parts = Parts::default();
        for (number, block) in x.blocks.iter().enumerate() {
            let table = features::to_table(&ids, "x", block).unwrap();
            parts.insert(features::block_part(number).as_str(), Part::memory(table));
        }
        parts
    }

    fn target(&self, of: &Classifier) -> Parts {
        let mut target = Target { row_id: self.ids(), weight: self.weight.clone(), ..Target::default() };
        match of.chosen.gives() {
            Gives::Values => target.value = Some(self.class.iter().map(|&class| class as f64).collect()),
            _ => target.label = Some(self.class.iter().map(|class| Some(format!("c{class:05}"))).collect()),
        }
        let mut parts = Parts::default();
        parts.insert("target", Part::memory(target.to_table().unwrap()));
        parts
    }
}

/// Fits on `rows` and predicts those of `asked`.
fn run(of: &Classifier, rows: &Rows, asked: &Rows, form: usize) -> Result<RecordBatch, StageError> {
    let cancelled = AtomicBool::new(false);
    let ctx = Ctx { seed: 7, cancelled: &cancelled, progress: &Quiet };
    let input = rows.parts(&rows.forms()[form]);
    let train = TrainRows::of_fold(None, &input, Some(&rows.target(of)))?;
    let fitted = of.fit(&train, &ctx)?;
    let mut learned = Parts::default();
    for (name, made) in &fitted.parts {
        let Made::Table(table) = made else { panic!("{name} is no table") };
        learned.insert(name.as_str(), Part::memory(table.clone()));
    }
    let applied = of.apply(&learned, &asked.parts(&asked.forms()[form]), &ctx)?;
    match applied.parts.into_iter().next() {
        Some((_, Made::Table(table))) => Ok(table),
        other => panic!("{other:?}"),
    }
}

/// Runs on one thread and on four: the answers must be the same. Checks what can be said of any answer.
fn answer(of: &Classifier, rows: &Rows, asked: &Rows, form: usize) -> Result<RecordBatch, String> {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(of, rows, asked, form)).map_err(|error| error.to_string())
    };
    let (one, four) = (on(1), on(4));
    assert_eq!(one, four, "`{}` depends on the number of threads", of.name);
    match &one {
        Ok(table) => check_table(of, table, asked.values.len()),
        Err(message) => assert!(message.len() > 20 && !message.contains("panic"), "`{}`: {message}", of.name),
    }
    one
}

fn check_table(of: &Classifier, table: &RecordBatch, rows: usize) {
    if of.chosen.gives() == Gives::Values {
        let predicted = PredictedValues::from_table(table).unwrap();
        assert_eq!(predicted.value.len(), rows);
        assert!(predicted.value.iter().all(|value| value.is_finite()), "`{}`: {:?}", of.name, predicted.value);
        return;
    }
    let predicted = Predictions::from_table(table).unwrap();
    assert_eq!((predicted.row_id.len(), predicted.scores.len()), (rows, rows * predicted.classes.len()));
    assert!(predicted.predicted.iter().all(|name| predicted.classes.contains(name)), "`{}`", of.name);
    for row in predicted.scores.chunks(predicted.classes.len()) {
        assert!(row.iter().all(|score| !score.is_nan()), "`{}`: {row:?}", of.name);
        if predicted.probabilities {
            let sum: f64 = row.iter().sum();
            let share = |score: &f64| (0.0..=1.0 + 1e-9).contains(score);
            assert!((sum - 1.0).abs() < 1e-6 && row.iter().all(share), "`{}`: {row:?}", of.name);
        }
    }
}

/// The forms that a learner takes.
fn forms(of: &Classifier) -> std::ops::Range<usize> {
    if of.chosen.takes() == Takes::Dense { 0..1 } else { 0..3 }
}

/// Share of rows whose class is found (a value: within half a class).
fn right(of: &Classifier, table: &RecordBatch, rows: &Rows) -> f64 {
    let found: Vec<bool> = match of.chosen.gives() {
        Gives::Values => {
            let values = PredictedValues::from_table(table).unwrap().value;
            values.iter().zip(&rows.class).map(|(value, &class)| (value - class as f64).abs() < 0.75).collect()
        }
        _ => {
            let names = Predictions::from_table(table).unwrap().predicted;
            names.iter().zip(&rows.class).map(|(name, class)| *name == format!("c{class:05}")).collect()
        }
    };
    found.iter().filter(|found| **found).count() as f64 / found.len() as f64
}

#[test]
fn what_is_plain_to_see_is_learned_in_every_form_of_rows() {
    for of in learners() {
        for classes in [2, 3] {
            let rows = Rows::new(60, classes);
            for form in forms(&of) {
                let table = answer(&of, &rows, &rows, form).unwrap_or_else(|error| panic!("`{}`: {error}", of.name));
                let share = right(&of, &table, &rows);
                assert!(share > 0.9, "`{}` finds {share} of {classes} classes in form {form}", of.name);
            }
        }
    }
}

#[test]
fn rows_without_anything_to_see_are_answered_or_refused() {
    let strange: [(&str, Rows); 6] = [
        ("a constant column", Rows::new(24, 2).with(|rows| rows.values.iter_mut().for_each(|row| row[1] = 2.5))),
        ("constant columns", Rows::new(24, 2).with(|rows| rows.values.fill([1.0, 2.0, 0.5]))),
        ("zeros alone", Rows::new(24, 3).with(|rows| rows.values.fill([0.0; 3]))),
        ("some rows of zeros", Rows::new(24, 3).with(|rows| rows.values[..9].fill([0.0; 3]))),
        ("copies of rows, of other classes", Rows::new(24, 2).with(|rows| rows.values[..8].fill([1.0, 0.0, 2.0]))),
        ("great values", Rows::new(24, 2).with(|rows| rows.values[5] = [1e30, 3e38, 0.0])),
    ];
    for of in learners() {
        for (what, rows) in &strange {
            for form in forms(&of) {
                // that some column tells the classes apart is enough
                let found = answer(&of, rows, rows, form);
                assert!(found.is_ok() || *what != "a constant column", "`{}`: {found:?}", of.name);
            }
        }
    }
}

#[test]
fn one_row_and_one_class_are_refused_in_words() {
    for of in learners() {
        for (rows, word) in [(Rows::new(1, 1), "one"), (Rows::new(12, 1), "one label")] {
            for form in forms(&of) {
                let found = answer(&of, &rows, &rows, form);
                match (of.chosen.gives(), found) {
                    (Gives::Values, _) => {}
                    (_, Ok(_)) => panic!("`{}` learned one class", of.name),
                    (_, Err(message)) => assert!(message.contains(word), "`{}`: {message}", of.name),
                }
            }
        }
    }
}

#[test]
fn values_that_are_not_finite_are_named_by_their_row() {
    let sound = Rows::new(24, 2);
    for of in learners() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let rows = Rows::new(24, 2).with(|rows| rows.values[7][1] = bad);
            for form in forms(&of) {
                for (fitted, asked) in [(&rows, &sound), (&sound, &rows)] {
                    let message = answer(&of, fitted, asked, form).unwrap_err();
                    assert!(message.contains("`r7`") && message.contains("finite"), "`{}`: {message}", of.name);
                }
            }
        }
    }
}

#[test]
fn rows_are_weighed_or_the_learner_says_that_it_cannot() {
    let plain = Rows::new(30, 3);
    let ones = Rows::new(30, 3).with(|rows| rows.weight = Some(vec![1.0; 30]));
    let uneven =
        Rows::new(30, 3).with(|rows| rows.weight = Some((0..30).map(|row| 0.25 + f64::from(row % 4)).collect()));
    for of in learners() {
        match of.chosen.weighs_rows() {
            true => {
                assert_eq!(answer(&of, &plain, &plain, 0), answer(&of, &ones, &plain, 0), "`{}`", of.name);
                answer(&of, &uneven, &plain, 0).unwrap_or_else(|error| panic!("`{}`: {error}", of.name));
            }
            false => {
                let message = answer(&of, &uneven, &plain, 0).unwrap_err();
                assert!(message.contains("cannot weigh rows"), "`{}`: {message}", of.name);
            }
        }
    }
}

#[test]
fn ten_thousand_classes_are_no_trouble_to_bayes_and_neighbours() {
    let rows = Rows::new(20_000, 10_000);
    let few = Rows::new(3, 3);
    for of in learners().into_iter().filter(|of| of.name.ends_with("_nb") || of.name.starts_with("k_neighbors")) {
        check_table(&of, &run(&of, &rows, &few, 0).unwrap(), 3);
    }
}

#[test]
fn ten_thousand_classes_are_refused_by_learners_that_would_take_hours() {
    let rows = Rows::new(20_000, 10_000);
    for of in learners().into_iter().filter(|of| ["svc", "hist_gradient_boosting"].contains(&of.name)) {
        let message = run(&of, &rows, &rows, 0).unwrap_err().to_string();
        assert!(message.starts_with("there are 10000 classes, and this learner takes 1000 at most"), "{message}");
    }
}
