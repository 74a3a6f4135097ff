//! Are sets of labels learned label by label, and numbers by regressors?

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use serde_json::json;

use super::*;
use crate::ml::linear::FitError;
use crate::ml::{Block, Dense, Features};
use crate::stage::{Made, Part, Progress};
use crate::table::features;
use crate::table::predictions::sets::PredictedSets;
use crate::table::target::Target;

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

const ROWS: usize = 12;

fn ids() -> Vec<String> {
    (0..ROWS).map(|row| format!("r{row}")).collect()
}

/// Two columns in which no two rows are alike.
fn input() -> Parts {
    let values = (0..ROWS).flat_map(|row| [(row * 5 % ROWS) as f32 / 4.0, (row % 4) as f32 - 1.5]).collect();
    let block = Block::Dense(Dense { rows: ROWS, cols: 2, values });
    let mut parts = Parts::default();
    parts.insert("block.00", Part::memory(features::to_table(&StringArray::from(ids()), "x", &block).unwrap()));
    parts
}

fn parts(target: &Target) -> Parts {
    let mut parts = Parts::default();
    parts.insert("target", Part::memory(target.to_table().unwrap()));
    parts
}

/// Which rows have a label.
fn has(label: &str, row: usize) -> bool {
    match label {
        "joy" => row.is_multiple_of(3),
        "rage" => row * 5 % ROWS > 5,
        "all" => true,
        _ => false,
    }
}

fn sets() -> Target {
    let set = |row| ["all", "joy", "rage"].into_iter().filter(|l| has(l, row)).map(str::to_owned).collect();
    Target { row_id: ids(), label_set: Some((0..ROWS).map(set).collect()), ..Target::default() }
}

fn classifier(estimator: serde_json::Value) -> Classifier {
    let estimator: Estimator = serde_json::from_value(estimator).unwrap();
    Classifier { chosen: estimator.learner(), name: estimator.name() }
}

/// Fits on all rows and applies to them.
fn run(classifier: &Classifier, target: &Target) -> Result<(Output, RecordBatch), StageError> {
    let flag = AtomicBool::new(false);
    let ctx = Ctx { seed: 7, cancelled: &flag, progress: &Quiet };
    let train = TrainRows::of_fold(None, &input(), Some(&parts(target)))?;
    let fitted = classifier.fit(&train, &ctx)?;
    let mut learned = Parts::default();
    for (name, made) in &fitted.parts {
        let Made::Table(table) = made else { panic!("{name} is no table") };
        learned.insert(name.as_str(), Part::memory(table.clone()));
    }
    let applied = classifier.apply(&learned, &input(), &ctx)?;
    match applied.parts.into_iter().next() {
        Some((_, Made::Table(table))) => Ok((fitted, table)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_label_is_learned_as_if_it_were_alone() {
    for estimator in [
        json!({ "logistic_regression": {} }),
        json!({ "linear_svc": {} }),
        json!({ "random_forest": { "n_estimators": 9 } }),
        json!({ "mlp_classifier": { "hidden_layer_sizes": [3], "max_iter": 9 } }),
    ] {
        let classifier = classifier(estimator);
        let (fitted, table) = run(&classifier, &sets()).unwrap();
        let together = PredictedSets::from_table(&table).unwrap();
        assert_eq!(together.classes, ["all", "joy", "rage"]);
        assert_eq!((&fitted.facts["labels"], &fitted.facts["constant_labels"]), (&json!(3), &json!(1)));
        for (place, label) in [(1, "joy"), (2, "rage")] {
            let names = (0..ROWS).map(|row| Some(if has(label, row) { "yes" } else { "no" }.to_owned())).collect();
            let target = Target { row_id: ids(), label: Some(names), ..Target::default() };
            let alone = Predictions::from_table(&run(&classifier, &target).unwrap().1).unwrap();
            assert_eq!(alone.classes, ["no", "yes"]);
            for row in 0..ROWS {
                assert_eq!(together.scores[row * 3 + place], alone.scores[row * 2 + 1], "{label} {row}");
                let predicted = together.sets[row].iter().any(|name| name == label);
                assert_eq!(predicted, alone.predicted[row] == "yes", "{label} {row}");
            }
        }
        // the label that all rows have is no question
        assert!(together.sets.iter().all(|set| set[0] == "all") && together.scores[0] == 1.0);
    }
}

#[test]
fn rows_without_any_label_are_an_error() {
    let target = Target { label_set: Some(vec![Vec::new(); ROWS]), ..sets() };
    let error = run(&classifier(json!({ "linear_svc": {} })), &target).unwrap_err();
    assert_eq!(error.to_string(), "no training row has a label");
    let weighted = Target { weight: Some(vec![1.0; ROWS]), ..sets() };
    let error = run(&classifier(json!({ "k_neighbors": {} })), &weighted).unwrap_err();
    assert!(error.to_string().contains("cannot weigh rows"), "{error}");
}

/// Predicts the mean of the training rows, weighted.
struct Mean;

impl Chosen for Mean {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Values
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (values, weights) = (on.values()?, on.weights(learner::ClassWeight::None)?);
        let weights = weights.unwrap_or_else(|| vec![1.0; values.len()]);
        let sum: f64 = values.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
        let mean = Arc::new(Float64Array::from(vec![sum / weights.iter().sum::<f64>()]));
        Ok(Output::new().table("mean", RecordBatch::try_from_iter([("mean", mean as _)]).map_err(StageError::caused)?))
    }

    fn load(&self, learned: &Parts, _: usize) -> Result<Box<dyn learner::Model>, Trouble> {
        let table = learned.table("mean")?;
        let mean = table.column(0).as_any().downcast_ref::<Float64Array>().unwrap().value(0);
        Ok(Box::new(Constant(mean)))
    }
}

struct Constant(f64);

impl learner::Model for Constant {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        Ok(vec![self.0; x.rows()])
    }
}

#[test]
fn a_regressor_learns_values() {
    let classifier = Classifier { chosen: Box::new(Mean), name: "mean" };
    let values: Vec<f64> = (0..ROWS).map(|row| row as f64).collect();
    // labels beside the values are not looked at
    let label = Some(vec![None; ROWS]);
    let target = Target { row_id: ids(), label, value: Some(values), ..Target::default() };
    let (fitted, table) = run(&classifier, &target).unwrap();
    let predicted = PredictedValues::from_table(&table).unwrap();
    assert_eq!((predicted.row_id, predicted.value), (ids(), vec![5.5; ROWS]));
    assert_eq!((fitted.rows, &fitted.facts["training_rows"]), (ROWS as u64, &json!(ROWS)));
    let mut weight = vec![1e-9; ROWS];
    weight[3] = 1e9;
    let (_, table) = run(&classifier, &Target { weight: Some(weight), ..target.clone() }).unwrap();
    assert!((PredictedValues::from_table(&table).unwrap().value[0] - 3.0).abs() < 1e-9);
    let error = run(&classifier, &Target { value: None, ..target }).unwrap_err();
    assert_eq!(error.to_string(), "`mean` learns numbers, and the rows have none");
}

#[test]
fn a_classifier_of_values_alone_says_what_to_do() {
    let target = Target { row_id: ids(), value: Some(vec![0.0; ROWS]), ..Target::default() };
    let error = run(&classifier(json!({ "linear_svc": {} })), &target).unwrap_err();
    let StageError::Failed(failure) = &error else { panic!("{error}") };
    assert!(failure.help.iter().any(|help| help.contains("cuts")), "{failure:?}");
}

#[test]
fn a_network_says_how_it_ended() {
    let names = (0..ROWS).map(|row| Some(if row % 2 == 0 { "even" } else { "odd" }.to_owned())).collect();
    let labels = Target { row_id: ids(), label: Some(names), ..Target::default() };
    let values = Target { row_id: ids(), value: Some((0..ROWS).map(|row| row as f64).collect()), ..Target::default() };
    for (name, target) in [("mlp_classifier", labels), ("mlp_regressor", values)] {
        let network = |more: serde_json::Value| {
            let mut params = json!({ "hidden_layer_sizes": [4, 2], "batch_size": 4, "early_stopping": true });
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            run(&classifier(json!({ name: params })), &target)
        };
        let short = network(json!({ "max_iter": 2, "validation_fraction": 0.3 })).unwrap().0;
        assert_eq!((&short.facts["iterations"], &short.facts["converged"]), (&json!(2), &json!(false)));
        // 2 columns to 4 units, those to 2, those to 1 output
        assert_eq!((&short.facts["weights"], short.facts["loss"].is_f64()), (&json!(18), true));
        assert!(short.facts["best_validation_score"].is_f64(), "{:?}", short.facts);
        let warning =
            format!("`{name}` stopped after 2 passes over the rows before it had converged; raise `max_iter`");
        assert_eq!(short.warnings, [warning]);
        let long = network(json!({ "tol": 9.0, "validation_fraction": 0.3 })).unwrap().0;
        assert_eq!((&long.facts["iterations"], &long.facts["converged"]), (&json!(12), &json!(true)));
        assert!(long.warnings.is_empty());
        let error = network(json!({ "validation_fraction": 0.01 })).unwrap_err();
        assert!(error.to_string().contains("`validation_fraction` must be large enough"), "{error}");
    }
}
