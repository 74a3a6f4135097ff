//! Are parameters that clash refused, and are columns that are kept still named?

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::*;
use crate::ml::{Csr, Features};
use crate::stage::{Made, Part, Progress};

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

fn built(with: Value) -> Result<Box<dyn Learner>, Vec<String>> {
    let scope = Scope { stage: "select", base: Path::new("."), locate: &|_| None };
    match Select::build(serde_json::from_value(with).unwrap(), &scope) {
        Ok(Work::Learner(learner)) => Ok(learner),
        Ok(_) => panic!("it learns"),
        Err(problems) => Err(problems.0.into_iter().map(|problem| problem.message).collect()),
    }
}

/// Four rows: a sparse block of the words `a`, `b` and `c`, and a dense one without names.
fn rows() -> Parts {
    let sparse = Csr {
        cols: 3,
        indptr: vec![0, 2, 3, 5, 6],
        indices: vec![0, 1, 2, 0, 1, 2],
        values: vec![1.0, 2.0, 3.0, 1.0, 1.0, 2.0],
    };
    let dense = Dense { rows: 4, cols: 2, values: vec![0.1, 0.5, 0.2, -0.5, 0.3, 0.6, 0.1, -0.4] };
    let blocks = Blocks {
        row_ids: StringArray::from(vec!["r0", "r1", "r2", "r3"]),
        names: vec!["words".to_owned(), "vectors".to_owned()],
        x: Features { blocks: vec![Block::Sparse(sparse), Block::Dense(dense)] },
    };
    let mut parts = Parts::default();
    for (at, table) in blocks.to_tables().unwrap().into_iter().enumerate() {
        parts.insert(features::block_part(at), Part::memory(table));
    }
    parts.insert(features::names_part(0), Part::memory(features::names_table(["a", "b", "c"]).unwrap()));
    parts
}

fn labels(labels: [&str; 4]) -> Parts {
    let target = Target {
        row_id: (0..4).map(|row| format!("r{row}")).collect(),
        label: Some(labels.iter().map(|label| Some((*label).to_owned())).collect()),
        ..Target::default()
    };
    let mut parts = Parts::default();
    parts.insert("target", Part::memory(target.to_table().unwrap()));
    parts
}

fn values(value: [f64; 4]) -> Parts {
    let row_id = (0..4).map(|row| format!("r{row}")).collect();
    let target = Target { row_id, value: Some(value.to_vec()), ..Target::default() };
    let mut parts = Parts::default();
    parts.insert("target", Part::memory(target.to_table().unwrap()));
    parts
}

fn learned(with: Value, target: &Parts) -> Result<(Parts, Output, Box<dyn Learner>), String> {
    let learner = built(with).unwrap();
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    let train = TrainRows::of_fold(None, &rows(), Some(target)).unwrap();
    let output = learner.fit(&train, &ctx).map_err(|error| error.to_string())?;
    let mut learned = Parts::default();
    for (name, made) in &output.parts {
        let Made::Table(table) = made else { panic!("a new table") };
        learned.insert(name.clone(), Part::memory(table.clone()));
    }
    Ok((learned, output, learner))
}

#[test]
fn columns_that_are_kept_keep_their_names_and_forms() {
    let (learned, output, learner) = learned(json!({ "k": 3 }), &labels(["x", "y", "x", "y"])).unwrap();
    assert_eq!((&output.facts["features"], &output.facts["features_before"]), (&json!(3), &json!(5)));
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    let applied = learner.apply(&learned, &rows(), &ctx).unwrap();
    let part = |name: String| match applied.parts.iter().find(|(part, _)| *part == name).map(|(_, made)| made) {
        Some(Made::Table(table)) => table.clone(),
        Some(Made::Same(part)) => (*part.table().unwrap()).clone(),
        None => panic!("no {name}"),
    };
    // `a` tells the classes apart without a rest, `c` and the second dense column almost
    let names = part(features::names_part(0));
    assert_eq!(features::names(&names).unwrap().iter().flatten().collect::<Vec<_>>(), ["a", "c"]);
    let (_, Block::Sparse(sparse)) = features::from_table(&part(features::block_part(0))).unwrap() else { panic!() };
    assert_eq!((sparse.cols, sparse.row(2), sparse.row(3)), (2, (&[0][..], &[1.0][..]), (&[1][..], &[2.0][..])));
    let (_, Block::Dense(dense)) = features::from_table(&part(features::block_part(1))).unwrap() else { panic!() };
    assert_eq!(dense.values, [0.5, -0.5, 0.6, -0.4]);
}

#[test]
fn every_judge_learns_and_says_what_it_cannot() {
    let both = labels(["x", "y", "x", "y"]);
    for with in [
        json!({ "score_func": "mutual_info_classif", "k": 9 }),
        json!({ "score_func": "variance" }),
        json!({ "estimator": { "logistic_regression": {} } }),
        json!({ "estimator": { "logistic_regression": { "penalty": "l1", "c": 10 } } }),
        json!({ "estimator": { "linear_svc": { "penalty": "l1" } } }),
        json!({ "estimator": { "linear_svc": { "c": 10 } }, "threshold": "0.5*median", "k": 2 }),
        json!({ "percentile": 50 }),
        json!({ "fpr": 0.5 }),
    ] {
        let (_, output, _) = learned(with.clone(), &both).unwrap();
        let warned = with.get("k") == Some(&json!(9));
        assert_eq!(output.warnings.len(), if warned { 2 } else { 0 }, "{with}: {:?}", output.warnings);
    }
    let wrong = |with, target: &Parts| learned(with, target).err().unwrap();
    let one = labels(["x"; 4]);
    assert_eq!(wrong(json!({}), &one), "all training rows have the one label `x`; columns are judged by two or more");
    assert_eq!(wrong(json!({ "score_func": "chi2" }), &both), "row `r1` has -0.5 in column 1 of `vectors`, below 0");
    assert!(
        wrong(json!({ "score_func": "variance", "threshold": 100 }), &both)
            .starts_with("none of 5 feature columns passes")
    );
    assert!(learned(json!({ "score_func": "variance" }), &one).is_ok(), "labels play no part");
}

#[test]
fn numbers_judge_columns_too() {
    let signed = values([1.0, -1.0, 1.5, -0.5]);
    for with in [
        json!({ "score_func": "f_regression", "k": 2 }),
        json!({ "score_func": "f_regression", "fpr": 0.2 }),
        json!({ "estimator": { "ridge": {} } }),
        json!({ "estimator": { "lasso": { "alpha": 0.1 } } }),
    ] {
        let (_, output, _) = learned(with.clone(), &signed).unwrap();
        let kept = output.facts["features"].as_u64().unwrap();
        assert!(output.warnings.is_empty() && (1..5).contains(&kept), "{with}: {kept} {:?}", output.warnings);
    }
    // without the L2 penalty, the columns whose weights are not 0 are kept, were it one alone
    let (_, output, _) = learned(json!({ "estimator": { "lasso": { "alpha": 0.4 } } }), &signed).unwrap();
    assert_eq!(output.facts["features"], json!(1));
    let wrong = |with, target: &Parts| learned(with, target).err().unwrap();
    let regression = json!({ "score_func": "f_regression" });
    assert!(wrong(regression.clone(), &labels(["x", "y", "x", "y"])).contains("have none"));
    assert!(wrong(regression, &values([2.0; 4])).starts_with("all training rows have the one value 2"));
    let none = wrong(json!({ "estimator": { "lasso": { "alpha": 100 } } }), &signed);
    assert!(none.starts_with("none of 5 feature columns passes"), "{none}");
    assert!(wrong(json!({}), &signed).contains("label"));
}

#[test]
fn parameters_that_clash_are_refused() {
    let wrong = |with| built(with).err().unwrap();
    assert_eq!(wrong(json!({ "k": 3, "percentile": 5 })), ["`k` and `percentile` both say how many columns are kept"]);
    assert_eq!(
        wrong(json!({ "score_func": "variance", "fpr": 0.1 })),
        ["`fpr` selects by p-values, and `variance` has none"]
    );
    assert_eq!(
        wrong(json!({ "score_func": "chi2", "estimator": { "linear_svc": {} } })),
        ["`score_func` and `estimator` both say how columns are judged"]
    );
    assert_eq!(wrong(json!({ "k": 0 })), ["`k` must be above 0, but is 0"]);
    assert_eq!(wrong(json!({ "fdr": 2.0 })), ["`fdr` must be above 0 and at most 1, but is 2"]);
    let spelled: Params =
        serde_json::from_value(json!({ "estimator": { "linear_svc": { "penalty": "l2" } } })).unwrap();
    let estimator = serde_json::to_value(&spelled).unwrap()["estimator"].clone();
    assert_eq!(estimator, json!({ "linear_svc": { "c": 1.0 } }), "the key of before");
    let threshold = serde_json::from_value::<Params>(json!({ "threshold": "1.25*men" })).unwrap_err().to_string();
    assert!(threshold.contains("must be a number, `mean`, `median`"), "{threshold}");
    let params: Params = serde_json::from_value(json!({ "threshold": "1.25 * mean" })).unwrap();
    assert_eq!(serde_json::to_value(&params).unwrap()["threshold"], "1.25*mean");
}
