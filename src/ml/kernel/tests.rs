//! Do kernel machines answer as scikit-learn's, and refuse what they cannot learn? Reference numbers: `SVC` and `SVR` of
//! scikit-learn 1.9.1 with tol 1e-9, fitted on the rows of `points` and asked for the first of them.

use super::*;
use crate::ml::{Block, Csr, Dense};

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

fn assert_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < tolerance, "{found} {wanted}");
    }
}

#[test]
fn svc_equals_scikit_learns() {
    let tight = Svm { tol: 1e-9, ..Default::default() };
    let scores = |svc: Svm, y: &[u32], classes| {
        svc.fit_classes(&points(), y, classes, None, NEVER).unwrap().scores(&points()).unwrap()
    };
    let rbf = [-1.000000018966, -0.865013315441, 1.178781844261, -1.061564884923];
    assert_close(&scores(tight.clone(), &two(), 2), &rbf, 1e-5);
    let poly = Svm { kernel: Kernel::Poly, degree: 2, coef0: 1.0, gamma: Gamma::Auto, ..tight.clone() };
    assert_close(&scores(poly, &two(), 2), &[-1.000000029948, -0.65689111257, 2.136957692859, -0.789552204335], 1e-5);
    let linear = Svm { kernel: Kernel::Linear, c: 0.5, ..tight.clone() };
    assert_close(
        &scores(linear, &two(), 2),
        &[-1.116594557294, -0.360271415218, 1.590376337234, -0.507711224892],
        1e-5,
    );
    let many = Svm { c: 3.0, gamma: Gamma::Value(0.8), ..tight };
    let wanted = [
        [0.843948038165, 2.224671466924, -0.180943323034],
        [2.222222224148, 0.909333872388, -0.206415770607],
        [-0.247991138443, 1.145306971345, 2.226940507669],
        [2.225286763212, 1.115818313314, -0.241189956835],
    ];
    assert_close(&scores(many, &three(), 3), wanted.as_flattened(), 1e-5);
}

#[test]
fn weights_and_sigmoid_equal_scikit_learns() {
    let weight: Vec<f64> = (0..40).map(|i| f64::from(1 + i % 3)).collect();
    let tight = Svm { tol: 1e-9, ..Default::default() };
    let weighed = tight.fit_classes(&points(), &three(), 3, Some(&weight), NEVER).unwrap().scores(&points()).unwrap();
    let wanted = [
        [0.845380251039, 2.222222222866, -0.177192010427],
        [2.22222222287, 0.864549962926, -0.189376284876],
        [-0.229286605979, 1.041580895374, 2.224442421697],
        [2.225267577889, 1.035214901992, -0.229253365514],
        [-0.211237085646, 0.886819938528, 2.230585336778],
        [-0.226874436088, 2.236579996436, 0.92032800059],
    ];
    assert_close(&weighed, wanted.as_flattened(), 1e-5);
    let sigmoid = Svm { kernel: Kernel::Sigmoid, gamma: Gamma::Value(0.2), coef0: -0.3, c: 0.7, ..tight };
    let found = sigmoid.fit_classes(&points(), &two(), 2, None, NEVER).unwrap().scores(&points()).unwrap();
    let wanted = [-0.93988823283, -0.260246147141, 0.932823666684, -0.401055250296, 0.843320751647, 0.062965093189];
    assert_close(&found, &wanted, 1e-5);
}

#[test]
fn svr_equals_scikit_learns() {
    let values: Vec<f64> = (0..40).map(signal).collect();
    let tight = Svm { tol: 1e-10, ..Default::default() };
    let weight: Vec<f64> = (0..40).map(|i| f64::from(1 + i % 3)).collect();
    let check = |svm: &Svm, epsilon: f64, weight: Option<&[f64]>, wanted: [f64; 5]| {
        let model = svm.fit_values(&points(), &values, epsilon, weight, NEVER).unwrap();
        assert_close(&model.checked().unwrap().scores(&points()).unwrap(), &wanted, 1e-5);
    };
    let wanted = [0.00459016181, -0.547307503846, 0.708364710104, -0.577999949282, 1.014882612605];
    check(&tight, 0.1, None, wanted);
    let narrow = Svm { c: 3.0, gamma: Gamma::Value(0.8), ..tight.clone() };
    let wanted = [0.029999875627, -0.501999672835, 0.675926933893, -0.477448340861, 1.192000256339];
    check(&narrow, 0.0, Some(&weight), wanted);
    let poly = Svm { kernel: Kernel::Poly, degree: 2, coef0: 1.0, gamma: Gamma::Auto, ..tight.clone() };
    let wanted = [-0.019999968638, -0.48613413013, 0.637966384456, -0.470941379106, 1.141999947131];
    check(&poly, 0.05, None, wanted);
    let linear = Svm { kernel: Kernel::Linear, c: 0.5, ..tight.clone() };
    let wanted = [-0.633400081953, -0.243800009069, 0.813399939647, -0.289800003585, 0.527000001922];
    check(&linear, 0.2, None, wanted);
    let sigmoid = Svm { kernel: Kernel::Sigmoid, gamma: Gamma::Value(0.2), coef0: -0.3, c: 0.7, ..tight };
    let wanted = [-0.253075973397, -0.068603547196, 0.602085075197, -0.125231546676, 0.598853870916];
    check(&sigmoid, 0.1, None, wanted);
}

#[test]
fn svr_bears_strange_rows_and_refuses_what_it_cannot_learn() {
    let svm = Svm::default();
    let fit = |x: &Features, y: &[f64], epsilon| svm.fit_values(x, y, epsilon, None, NEVER);
    // within the tube, or alike: a constant
    let flat = fit(&points(), &[7.5; 40], 0.1).unwrap().checked().unwrap();
    assert!(flat.support.is_empty());
    let near = |found: &[f64], wanted: f64| found.iter().all(|value| (value - wanted).abs() <= 0.1 + 1e-9);
    assert!(near(&flat.scores(&points()).unwrap(), 7.5));
    assert!(near(&fit(&dense(1, 2, value), &[-3.0], 0.1).unwrap().scores(&dense(1, 2, value)).unwrap(), -3.0));
    let same = dense(6, 2, |_, _| 1.5);
    let halves = fit(&same, &[0.0, 1.0, 2.0, 0.0, 1.0, 2.0], 0.1).unwrap().scores(&same).unwrap();
    assert!(near(&halves, 1.0), "{halves:?}");
    assert_eq!(fit(&dense(0, 2, value), &[], 0.1).unwrap_err(), FitError::NoRows);
    assert_eq!(fit(&dense(3, 0, value), &[1.0; 3], 0.1).unwrap_err(), FitError::NoColumns);
    assert!(matches!(fit(&points(), &[f64::NAN; 40], 0.1), Err(FitError::Value { row: 0, .. })));
    assert!(matches!(fit(&points(), &[0.0; 40], -1.0), Err(FitError::Parameter { name: "epsilon", .. })));
    let y: Vec<f64> = (0..40).map(signal).collect();
    assert_eq!(svm.fit_values(&points(), &y, 0.0, None, &|| true).unwrap_err(), FitError::Interrupted);
    let mut strange = fit(&points(), &y, 0.1).unwrap();
    strange.present = vec![0];
    assert!(strange.checked().is_err());
}

#[test]
fn a_row_of_weight_two_is_as_good_as_two_and_one_of_weight_zero_as_none() {
    let mut rows: Vec<usize> = (0..40).collect();
    rows.push(7);
    rows.remove(3);
    let y: Vec<u32> = rows.iter().map(|&row| two()[row]).collect();
    let mut weight = vec![1.0; 40];
    (weight[7], weight[3]) = (2.0, 0.0);
    let svc = Svm { tol: 1e-9, gamma: Gamma::Value(0.5), ..Default::default() };
    let twice = svc.fit_classes(&points().take_rows(&rows), &y, 2, None, NEVER).unwrap().scores(&points()).unwrap();
    let weighed = svc.fit_classes(&points(), &two(), 2, Some(&weight), NEVER).unwrap().scores(&points()).unwrap();
    assert_close(&weighed, &twice, 1e-5);
}

/// More rows than one block of kernel rows, and more columns than one step of the products.
fn many() -> (Features, Vec<u32>) {
    let x = dense(150, 21, |i, j| value(i, j) + value(i + 1, 2 * j) / 3.0);
    let y =
        (0..150).map(|i| u32::from(value(i, 0) + value(i, 4) * value(i, 5) > 0.0) + u32::from(i % 5 == 0)).collect();
    (x, y)
}

#[test]
fn threads_change_no_bit_and_a_row_alone_gets_what_it_gets_among_others() {
    let (x, y) = many();
    for kernel in [Kernel::Linear, Kernel::Rbf, Kernel::Poly, Kernel::Sigmoid] {
        let svc = Svm { kernel, ..Default::default() };
        let fitted = || svc.fit_classes(&x, &y, 3, None, NEVER).unwrap();
        let model = fitted();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(model, pool.install(fitted));
        }
        let scores = model.scores(&x).unwrap();
        for row in [0, 77, 149] {
            assert_eq!(model.scores(&x.take_rows(&[row])).unwrap(), scores[row * 3..row * 3 + 3]);
        }
        assert_eq!(model.clone().checked().unwrap(), model);
    }
}

#[test]
fn unsound_models_are_refused() {
    let model = || Svm::default().fit_classes(&points(), &three(), 3, None, NEVER).unwrap();
    let spoil: [fn(&mut SvmModel); 8] = [
        |model| model.classes = 2,
        |model| model.present[1] = 0,
        |model| {
            model.centre.pop();
        },
        |model| {
            model.support.pop();
        },
        |model| model.support[0] = f32::NAN,
        |model| {
            model.machines.pop();
        },
        |model| model.machines[0].rows[0] = u32::MAX,
        |model| {
            model.machines[1].coef.pop();
        },
    ];
    for spoil in spoil {
        let mut model = model();
        spoil(&mut model);
        assert!(matches!(model.checked(), Err(FitError::Stored { .. })));
    }
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
        for kernel in [Kernel::Rbf, Kernel::Linear, Kernel::Sigmoid] {
            for (y, classes) in [([0, 0, 1, 1], 2), ([0, 1, 1, 0], 2), ([0, 1, 2, 2], 3)] {
                let model = Svm { kernel, ..Default::default() }.fit_classes(x, &y, classes, None, NEVER).unwrap();
                assert!(model.scores(x).unwrap().iter().all(|score| score.is_finite()));
                assert!(model.predict(x).unwrap().iter().all(|&class| (class as usize) < classes));
            }
        }
    }
    let two_rows = dense(2, 2, value);
    assert_eq!(
        Svm::default().fit_classes(&two_rows, &[0, 1], 2, None, NEVER).unwrap().predict(&two_rows).unwrap(),
        [0, 1]
    );
}

#[test]
fn a_class_without_rows_is_impossible() {
    let y: Vec<u32> = two().iter().map(|y| y * 2).collect();
    let model = Svm::default().fit_classes(&points(), &y, 3, None, NEVER).unwrap();
    assert!(model.scores(&points()).unwrap().chunks(3).all(|row| row[1] == f64::NEG_INFINITY));
    assert!(model.predict(&points()).unwrap().iter().all(|&class| class != 1));
}

#[test]
fn what_cannot_be_learned_is_an_error() {
    let sparse = Csr { cols: 1, indptr: vec![0; 41], ..Csr::default() };
    let sparse = Features { blocks: vec![points().blocks[0].clone(), Block::Sparse(sparse)] };
    let nan = dense(40, 3, |i, j| if (i, j) == (9, 2) { f32::NAN } else { value(i, j) });
    let err = |x: &Features, y: &[u32], stop| Svm::default().fit_classes(x, y, 2, None, stop).unwrap_err();
    assert_eq!(err(&sparse, &two(), NEVER), FitError::NeedsDense { block: 1 });
    assert_eq!(err(&nan, &two(), NEVER), FitError::NonFinite { row: 9, column: 2 });
    assert_eq!(err(&points(), &[1; 40], NEVER), FitError::OneClass { class: 1 });
    assert_eq!(err(&dense(1, 3, value), &[0], NEVER), FitError::OneClass { class: 0 });
    assert_eq!(err(&dense(0, 3, value), &[], NEVER), FitError::NoRows);
    assert_eq!(err(&dense(40, 0, value), &two(), NEVER), FitError::NoColumns);
    assert_eq!(err(&points(), &two(), &|| true), FitError::Interrupted);
    let refused = |svc: Svm| svc.fit_classes(&points(), &two(), 2, None, NEVER).unwrap_err();
    let is_about = |e: FitError, wanted| matches!(e, FitError::Parameter { name, .. } if name == wanted);
    assert!(is_about(refused(Svm { c: -1.0, ..Default::default() }), "c"));
    assert!(is_about(refused(Svm { gamma: Gamma::Value(0.0), ..Default::default() }), "gamma"));
    assert!(is_about(refused(Svm { coef0: -1.0, kernel: Kernel::Poly, ..Default::default() }), "coef0"));
    let steep = Svm { kernel: Kernel::Poly, degree: 90, gamma: Gamma::Value(1e9), ..Default::default() };
    assert!(is_about(refused(steep), "kernel"));
    let model = Svm::default().fit_classes(&points(), &two(), 2, None, NEVER).unwrap();
    assert_eq!(model.predict(&dense(2, 2, value)).unwrap_err(), FitError::Width { expected: 3, found: 2 });
    let y: Vec<u32> = (0..10_000).collect();
    let many = Svm::default().fit_classes(&dense(10_000, 1, value), &y, 10_000, None, NEVER).unwrap_err();
    assert_eq!(many, FitError::ManyClasses { classes: 10_000, most: 1000 });
}
