//! Do the models answer as they should, survive JSON, and refuse what they cannot learn? Reference numbers:
//! scikit-learn 1.9.1 on the rows of `points` (SVC with tol 1e-9).

use super::*;
use crate::ml::{Csr, Dense};

const NEVER: ShouldStop<'static> = &|| false;

fn value(i: usize, j: usize) -> f32 {
    ((i * 37 + j * 91 + i * i * (j + 3)) % 101) as f32 / 50.0 - 1.0
}

fn dense(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Features {
    let value = &value;
    let values = (0..rows).flat_map(|i| (0..cols).map(move |j| value(i, j))).collect();
    Features { blocks: vec![Block::Dense(Dense { rows, cols, values })] }
}

fn points() -> Features {
    dense(40, 3, value)
}

fn signal(i: usize) -> f64 {
    let [a, b, c] = [0, 1, 2].map(|j| f64::from(value(i, j)));
    a + 0.5 * b - c * a
}

fn two() -> Vec<u32> {
    (0..40).map(|i| u32::from(signal(i) > 0.1)).collect()
}

fn three() -> Vec<u32> {
    (0..40).map(|i| if signal(i) > 0.4 { 2 } else { u32::from(signal(i) > -0.3) }).collect()
}

fn every_kind() -> [SmartParams; 3] {
    [
        SmartParams::DecisionTree(DecisionTree::default()),
        SmartParams::RandomForest(RandomForest { n_estimators: 15, ..Default::default() }),
        SmartParams::Svc(Svc::default()),
    ]
}

fn assert_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < tolerance, "{found} {wanted}");
    }
}

#[test]
fn svc_equals_scikit_learns() {
    let tight = Svc { tol: 1e-9, ..Default::default() };
    let scores = |svc: Svc, y: &[u32], classes| {
        fit(&SmartParams::Svc(svc), &points(), y, classes, 0, NEVER).unwrap().scores(&points()).unwrap()
    };
    let rbf = [-1.000000018966, -0.865013315441, 1.178781844261, -1.061564884923];
    assert_close(&scores(tight.clone(), &two(), 2), &rbf, 1e-5);
    let poly = Svc { kernel: Kernel::Poly, degree: 2, coef0: 1.0, gamma: Gamma::Auto, ..tight.clone() };
    assert_close(&scores(poly, &two(), 2), &[-1.000000029948, -0.65689111257, 2.136957692859, -0.789552204335], 1e-5);
    let linear = Svc { kernel: Kernel::Linear, c: 0.5, ..tight.clone() };
    assert_close(
        &scores(linear, &two(), 2),
        &[-1.116594557294, -0.360271415218, 1.590376337234, -0.507711224892],
        1e-5,
    );
    let many = Svc { c: 3.0, gamma: Gamma::Value(0.8), ..tight };
    let wanted = [
        [0.843948038165, 2.224671466924, -0.180943323034],
        [2.222222224148, 0.909333872388, -0.206415770607],
        [-0.247991138443, 1.145306971345, 2.226940507669],
        [2.225286763212, 1.115818313314, -0.241189956835],
    ];
    assert_close(&scores(many, &three(), 3), wanted.as_flattened(), 1e-5);
}

#[test]
fn a_shallow_tree_equals_scikit_learns() {
    let tree = DecisionTree { max_depth: Some(2), ..Default::default() };
    let model = fit(&SmartParams::DecisionTree(tree), &points(), &three(), 3, 0, NEVER).unwrap();
    let (third, all) = (1.0 / 3.0, 1.0);
    let wanted = [
        [third, 2.0 * third, 0.0],
        [all, 0.0, 0.0],
        [0.0, 0.75, 0.25],
        [all, 0.0, 0.0],
        [0.0, 0.0, all],
        [0.0, 0.75, 0.25],
    ];
    assert_close(&model.scores(&points()).unwrap(), wanted.as_flattened(), 1e-12);
}

#[test]
fn grown_trees_know_their_training_rows_and_forests_most_of_them() {
    let [tree, forest, _] = every_kind();
    let right = |params: &SmartParams| {
        let model = fit(params, &points(), &three(), 3, 5, NEVER).unwrap();
        let scores = model.scores(&points()).unwrap();
        assert!(scores.chunks(3).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        model.predict(&points()).unwrap().iter().zip(three()).filter(|(p, y)| **p == *y).count()
    };
    assert_eq!(right(&tree), 40);
    assert!(right(&forest) >= 37);
}

#[test]
fn json_keeps_every_bit_and_seeds_decide() {
    for params in every_kind() {
        for (y, classes) in [(two(), 2), (three(), 3), (three(), 5)] {
            let fitted = |seed| fit(&params, &points(), &y, classes, seed, NEVER).unwrap();
            let model = fitted(1);
            assert_eq!(model, fitted(1));
            let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            assert_eq!(model, one_thread.install(|| fitted(1)));
            let read = SmartModel::from_json(&model.to_json().unwrap()).unwrap();
            assert_eq!(read, model);
            assert_eq!(read.scores(&points()).unwrap(), model.scores(&points()).unwrap());
            if matches!(params, SmartParams::RandomForest(_)) {
                assert_ne!(model, fitted(2));
            }
        }
    }
}

#[test]
fn unsound_json_is_refused() {
    let [tree, _, svc] = every_kind();
    let text = |params| fit(params, &points(), &two(), 2, 0, NEVER).unwrap().to_json().unwrap();
    for json in ["", "{}", "[1]", &text(&tree).replacen("\"below\":1", "\"below\":0", 1)] {
        assert!(matches!(SmartModel::from_json(json), Err(FitError::Stored { .. })), "{json}");
    }
    let wider = text(&svc).replacen("\"cols\":3", "\"cols\":4", 1);
    assert!(matches!(SmartModel::from_json(&wider), Err(FitError::Stored { .. })));
}

#[test]
fn awkward_rows_get_an_answer() {
    let shapes = [
        dense(4, 3, |_, _| 0.0),
        dense(4, 2, |_, j| j as f32),
        dense(4, 9, value),
        dense(4, 1, |i, _| (i / 2) as f32),
        dense(4, 2, |i, _| if i == 0 { -1e14 } else { 1e14 }),
    ];
    for x in &shapes {
        for params in every_kind() {
            for (y, classes) in [([0, 0, 1, 1], 2), ([0, 1, 1, 0], 2), ([0, 1, 2, 2], 3)] {
                let model = fit(&params, x, &y, classes, 0, NEVER).unwrap();
                assert!(model.scores(x).unwrap().iter().all(|s| s.is_finite()));
                assert!(model.predict(x).unwrap().iter().all(|&class| (class as usize) < classes));
            }
        }
    }
    let two_rows = dense(2, 2, value);
    for params in every_kind() {
        let model = fit(&params, &two_rows, &[0, 1], 2, 0, NEVER).unwrap();
        assert_eq!(model.predict(&two_rows).unwrap().len(), 2);
    }
}

#[test]
fn a_class_without_rows_is_impossible() {
    for params in every_kind() {
        let y: Vec<u32> = two().iter().map(|y| y * 2).collect();
        let model = fit(&params, &points(), &y, 3, 0, NEVER).unwrap();
        let absent = if model.gives_probabilities() { 0.0 } else { f64::NEG_INFINITY };
        assert!(model.scores(&points()).unwrap().chunks(3).all(|row| row[1] == absent));
        assert!(model.predict(&points()).unwrap().iter().all(|&class| class != 1));
    }
}

#[test]
fn what_cannot_be_learned_is_an_error() {
    let sparse = Csr { cols: 1, indptr: vec![0; 41], ..Csr::default() };
    let sparse = Features { blocks: vec![points().blocks[0].clone(), Block::Sparse(sparse)] };
    let nan = dense(40, 3, |i, j| if (i, j) == (9, 2) { f32::NAN } else { value(i, j) });
    for params in every_kind() {
        let err = |x: &Features, y: &[u32], stop| fit(&params, x, y, 2, 0, stop).unwrap_err();
        assert_eq!(err(&sparse, &two(), NEVER), FitError::NeedsDense { block: 1 });
        assert_eq!(err(&nan, &two(), NEVER), FitError::NonFinite { row: 9, column: 2 });
        assert_eq!(err(&points(), &[1; 40], NEVER), FitError::OneClass { class: 1 });
        assert_eq!(err(&dense(1, 3, value), &[0], NEVER), FitError::OneClass { class: 0 });
        assert_eq!(err(&dense(0, 3, value), &[], NEVER), FitError::NoRows);
        assert_eq!(err(&dense(40, 0, value), &two(), NEVER), FitError::NoColumns);
        assert_eq!(err(&points(), &two(), &|| true), FitError::Interrupted);
        assert!(slow_beyond(&params) > 0);
    }
    let refused = |params| fit(&params, &points(), &two(), 2, 0, NEVER).unwrap_err();
    let is_about = |e: FitError, wanted| matches!(e, FitError::Parameter { name, .. } if name == wanted);
    assert!(is_about(refused(SmartParams::Svc(Svc { c: -1.0, ..Default::default() })), "c"));
    assert!(is_about(refused(SmartParams::Svc(Svc { gamma: Gamma::Value(0.0), ..Default::default() })), "gamma"));
    let leaf = DecisionTree { min_samples_leaf: 0, ..Default::default() };
    assert!(is_about(refused(SmartParams::DecisionTree(leaf)), "min_samples_leaf"));
    let none = RandomForest { n_estimators: 0, ..Default::default() };
    assert!(is_about(refused(SmartParams::RandomForest(none)), "n_estimators"));
    let steep = Svc { kernel: Kernel::Poly, degree: 90, gamma: Gamma::Value(1e9), ..Default::default() };
    assert!(is_about(refused(SmartParams::Svc(steep)), "kernel"));
    let model = fit(&every_kind()[0], &points(), &two(), 2, 0, NEVER).unwrap();
    assert_eq!(model.predict(&dense(2, 2, value)).unwrap_err(), FitError::Width { expected: 3, found: 2 });
}
