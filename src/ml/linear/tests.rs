//! Do the fits reach scikit-learn's optimum, and what do they answer to awkward input? Numbers: scikit-learn 1.9.1,
//! tol 1e-12 (hinge 1e-10), on the rows of `points`.

use proptest::prelude::*;

use super::test_rows::*;
use super::*;
use crate::ml::Features;

const NEVER: ShouldStop<'static> = &|| false;

/// Lays rows out and fits on them.
trait FitRows {
    fn fit_rows(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        weight: Option<&[f64]>,
        stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError>;
}

impl FitRows for LogisticRegression {
    fn fit_rows(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        weight: Option<&[f64]>,
        stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        self.fit(&Laid::of(x.clone())?, y, classes, weight, stop)
    }
}

impl FitRows for LinearSvc {
    fn fit_rows(
        &self,
        x: &Features,
        y: &[u32],
        classes: usize,
        weight: Option<&[f64]>,
        stop: ShouldStop<'_>,
    ) -> Result<(LinearModel, Convergence), FitError> {
        self.fit(&Laid::of(x.clone())?, y, classes, weight, stop)
    }
}

fn assert_close(model: &LinearModel, coef: &[[f64; 3]], intercept: &[f64], tolerance: f64) {
    assert_eq!(model.coef.len(), coef.len());
    for (found, wanted) in model.coef.iter().flatten().zip(coef.iter().flatten()) {
        assert!((found - wanted).abs() < tolerance, "coef {found} {wanted}");
    }
    for (found, wanted) in model.intercept.iter().zip(intercept) {
        assert!((found - wanted).abs() < tolerance, "intercept {found} {wanted}");
    }
}

#[test]
fn two_class_logistic_regression_equals_scikit_learns() {
    let tight = LogisticRegression { c: 2.0, tol: 1e-12, ..Default::default() };
    let (model, end) = tight.fit_rows(&points(), &two(), 2, None, NEVER).unwrap();
    assert!(end.converged && end.gradient_norm < 1e-9, "{end:?}");
    assert_close(&model, &[[3.041204023536, 1.893985925513, -1.125300511151]], &[-0.173342674337], 1e-7);
    let (model, _) =
        LogisticRegression { fit_intercept: false, ..tight }.fit_rows(&points(), &two(), 2, None, NEVER).unwrap();
    assert_close(&model, &[[2.96293933308, 1.966339640294, -1.149340605198]], &[0.0], 1e-7);
}

#[test]
fn many_class_logistic_regression_equals_scikit_learns() {
    let tight = LogisticRegression { c: 0.5, tol: 1e-12, ..Default::default() };
    let (model, end) = tight.fit_rows(&points(), &three(), 3, Some(&weights()), NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    let coef = [
        [-1.711947671839, -0.726936166634, -0.164511150881],
        [0.408531767273, -0.034505744915, 0.843279526718],
        [1.303415904566, 0.761441911549, -0.678768375837],
    ];
    assert_close(&model, &coef, &[-0.047598703296, 0.371643194014, -0.324044490718], 1e-7);
    let balanced = balanced_weights(&three(), None);
    let (model, _) = tight.fit_rows(&points(), &three(), 3, Some(&balanced), NEVER).unwrap();
    let coef = [
        [-1.493011719568, -0.673693371898, -0.069016388584],
        [0.231461120351, 0.026144110687, 0.745020962873],
        [1.261550599217, 0.647549261211, -0.676004574288],
    ];
    assert_close(&model, &coef, &[-0.044569371784, 0.153014946223, -0.108445574438], 1e-7);
}

#[test]
fn linear_svm_equals_scikit_learns() {
    let tight = LinearSvc { tol: 1e-12, ..Default::default() };
    let (model, _) = tight.fit_rows(&points(), &two(), 2, None, NEVER).unwrap();
    assert_close(&model, &[[1.896654823128, 1.191353415003, -0.663659642213]], &[-0.136736210372], 1e-7);
    let scaled = LinearSvc { c: 0.7, intercept_scaling: 2.0, ..tight };
    let (model, end) = scaled.fit_rows(&points(), &three(), 3, Some(&weights()), NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    let coef = [
        [-1.847473002166, -1.019984131954, -0.445594552703],
        [0.49638288313, -0.11454580962, 0.76776555509],
        [1.630839958879, 0.8929010655, -1.029837333021],
    ];
    assert_close(&model, &coef, &[-0.658375178232, -0.257621951672, -0.829502983507], 1e-7);
}

#[test]
fn hinge_svm_equals_scikit_learns() {
    let hinge = LinearSvc { c: 0.3, loss: Loss::Hinge, tol: 1e-9, max_iter: 1_000_000, ..Default::default() };
    let (model, end) = hinge.fit_rows(&points(), &two(), 2, None, NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    assert_close(&model, &[[1.506267860565, 0.90621618564, -0.52493640417]], &[0.088631113878], 1e-6);
    let (model, _) = hinge.fit_rows(&points(), &three(), 3, Some(&weights()), NEVER).unwrap();
    let coef = [
        [-1.862734042867, -0.520885086271, -0.274403402863],
        [0.80953875326, 0.188151448108, 1.357183886098],
        [1.027942796522, 0.810377825467, -0.88982737069],
    ];
    assert_close(&model, &coef, &[-0.477471619157, -0.247535587295, -0.862222878681], 1e-6);
}

/// The gradient of the softmax objective from its definition: zero at the optimum.
#[test]
fn mixed_blocks_reach_a_point_of_zero_gradient_and_equal_dense_ones() {
    let tight = LogisticRegression { tol: 1e-12, ..Default::default() };
    let part = |from: usize| move |i: usize, j: usize| if (i + j).is_multiple_of(3) { 0.0 } else { value(i, j + from) };
    let mixed = Features { blocks: vec![sparse(40, 4, part(0)), dense(40, 2, part(4)), sparse(40, 3, part(6))] };
    let whole = Features { blocks: vec![dense(40, 4, part(0)), dense(40, 2, part(4)), dense(40, 3, part(6))] };
    let (from_mixed, _) = tight.fit_rows(&mixed, &three(), 3, None, NEVER).unwrap();
    let (from_whole, _) = tight.fit_rows(&whole, &three(), 3, None, NEVER).unwrap();
    for (a, b) in from_mixed.coef.iter().flatten().zip(from_whole.coef.iter().flatten()) {
        assert!((a - b).abs() < 1e-8, "{a} {b}");
    }
    let shares = from_mixed.predict_proba(&mixed).unwrap();
    for class in 0..3 {
        for j in 0..9 {
            let x = |i: usize| match j {
                0..4 => part(0)(i, j),
                4..6 => part(4)(i, j - 4),
                _ => part(6)(i, j - 6),
            };
            let slope: f64 = (0..40)
                .map(|i| (shares[i * 3 + class] - f64::from(u8::from(three()[i] == class as u32))) * f64::from(x(i)))
                .sum();
            assert!((from_mixed.coef[class][j] + slope).abs() < 1e-8);
        }
    }
}

#[test]
fn fits_repeat_to_the_bit_and_rows_stand_alone() {
    let fit = || LogisticRegression::default().fit_rows(&points(), &three(), 3, None, NEVER).unwrap().0;
    let model = fit();
    assert_eq!(model, fit());
    let svm = || LinearSvc::default().fit_rows(&points(), &three(), 3, None, NEVER).unwrap().0;
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(svm);
    assert_eq!(one_thread, svm());
    let all = model.predict_proba(&points()).unwrap();
    let alone = Features { blocks: vec![dense(1, 3, |_, j| value(7, j))] };
    assert_eq!(model.predict_proba(&alone).unwrap(), all[21..24]);
}

#[test]
fn awkward_rows_get_an_answer() {
    let (lr, svm) = (LogisticRegression::default(), LinearSvc::default());
    let hinge = LinearSvc { loss: Loss::Hinge, ..Default::default() };
    let zeros = Features { blocks: vec![sparse(4, 3, |_, _| 0.0)] };
    let constant = Features { blocks: vec![dense(4, 2, |_, j| [1.0, 0.0][j])] };
    let huge = Features { blocks: vec![dense(4, 1, |i, _| (i as f32 - 1.5) * 1e30)] };
    let none = Features { blocks: vec![dense(4, 0, |_, _| 0.0)] };
    for x in [&zeros, &constant, &huge, &none] {
        for y in [[0, 1, 1, 1], [0, 0, 1, 1], [0, 1, 2, 2]] {
            let classes = if y[3] == 2 { 3 } else { 2 };
            let fits = [
                lr.fit_rows(x, &y, classes, None, NEVER).unwrap(),
                svm.fit_rows(x, &y, classes, None, NEVER).unwrap(),
                hinge.fit_rows(x, &y, classes, None, NEVER).unwrap(),
            ];
            for (model, end) in fits {
                assert!(end.objective.is_finite(), "{end:?}");
                assert!(model.coef.iter().flatten().chain(&model.intercept).all(|w| w.is_finite()), "{model:?}");
                assert_eq!(model.predict(x).unwrap().len(), 4);
            }
        }
    }
    // without information the intercept gives the class shares
    let tight = LogisticRegression { tol: 1e-9, ..lr };
    let (model, end) = tight.fit_rows(&zeros, &[0, 1, 1, 1], 2, None, NEVER).unwrap();
    assert!(end.converged && (model.predict_proba(&zeros).unwrap()[1] - 0.75).abs() < 1e-6);
    let (model, _) = tight.fit_rows(&zeros, &[0, 1, 2, 2], 3, None, NEVER).unwrap();
    assert!((model.predict_proba(&zeros).unwrap()[2] - 0.5).abs() < 1e-6);
}

#[test]
fn a_class_without_rows_is_impossible() {
    let (model, _) = LogisticRegression::default().fit_rows(&points(), &two(), 4, None, NEVER).unwrap();
    let shares = model.predict_proba(&points()).unwrap();
    assert_eq!((shares.len(), shares[2], shares[3]), (160, 0.0, 0.0));
    let shifted: Vec<u32> = three().iter().map(|y| y + 1).collect();
    let (model, _) = LinearSvc::default().fit_rows(&points(), &shifted, 4, None, NEVER).unwrap();
    let scores = model.decision_function(&points()).unwrap();
    assert!(scores.chunks(4).all(|row| row[0] == f64::NEG_INFINITY && row[1].is_finite()));
    assert!(model.predict(&points()).unwrap().iter().all(|&class| class > 0));
}

#[test]
fn what_cannot_be_fitted_or_applied_is_an_error() {
    let lr = LogisticRegression::default();
    let err = |lr: &LogisticRegression, x: &Features| lr.fit_rows(x, &two(), 2, None, NEVER).unwrap_err();
    let nan = Features { blocks: vec![dense(40, 3, |i, j| if (i, j) == (5, 1) { f32::NAN } else { value(i, j) })] };
    assert_eq!(err(&lr, &nan), FitError::NonFinite { row: 5, column: 1 });
    assert!(matches!(
        err(&LogisticRegression { c: 0.0, ..lr.clone() }, &points()),
        FitError::Parameter { name: "c", .. }
    ));
    assert_eq!(lr.fit_rows(&points(), &two(), 2, None, &|| true).unwrap_err(), FitError::Interrupted);
    let hinge = LinearSvc { loss: Loss::Hinge, ..Default::default() };
    assert_eq!(hinge.fit_rows(&points(), &two(), 2, None, &|| true).unwrap_err(), FitError::Interrupted);
    let (model, _) = lr.fit_rows(&points(), &two(), 2, None, NEVER).unwrap();
    let narrow = Features { blocks: vec![dense(2, 2, value)] };
    assert_eq!(model.predict(&narrow).unwrap_err(), FitError::Width { expected: 3, found: 2 });
    assert_eq!(model.predict(&nan).unwrap_err(), FitError::NonFinite { row: 5, column: 1 });
}

#[test]
fn too_few_iterations_are_reported() {
    let (_, end) =
        LogisticRegression { max_iter: 1, ..Default::default() }.fit_rows(&points(), &two(), 2, None, NEVER).unwrap();
    assert!(!end.converged && end.iterations == 1);
}

#[test]
fn repeated_rows_count_like_weights() {
    let twice = Features { blocks: vec![dense(80, 3, |i, j| value(i / 2, j))] };
    let labels: Vec<u32> = two().iter().flat_map(|&y| [y, y]).collect();
    let lr = LogisticRegression { tol: 1e-12, ..Default::default() };
    let (repeated, _) = lr.fit_rows(&twice, &labels, 2, None, NEVER).unwrap();
    let (weighted, _) = lr.fit_rows(&points(), &two(), 2, Some(&[2.0; 40]), NEVER).unwrap();
    for (a, b) in repeated.coef[0].iter().zip(&weighted.coef[0]) {
        assert!((a - b).abs() < 1e-9);
    }
}

#[test]
fn balanced_weights_follow_scikit_learn() {
    // scikit-learn 1.9.1: compute_class_weight("balanced", classes=[0, 2], y=[0, 0, 0, 2]) = [2/3, 2]
    let weights = balanced_weights(&[0, 0, 0, 2], None);
    let third = 2.0 / 3.0;
    assert_eq!(weights, vec![third, third, third, 2.0]);
    // with sample_weight=[1, 1, 2, 4]: [1, 1]
    assert_eq!(balanced_weights(&[0, 0, 0, 2], Some(&[1.0, 1.0, 2.0, 4.0])), vec![1.0; 4]);
    assert!(balanced_weights(&[], None).is_empty());
}

#[test]
fn targets_reject_what_cannot_be_learned() {
    let of = |y: &[u32], w: Option<&[f64]>| Targets::checked(3, y, 3, w).err();
    assert_eq!(of(&[1, 1, 1], None), Some(FitError::OneClass { class: 1 }));
    assert_eq!(of(&[1, 0], None), Some(FitError::Length { what: "labels", found: 2, rows: 3 }));
    assert_eq!(of(&[1, 0, 7], None), Some(FitError::ClassRange { row: 2, class: 7, classes: 3 }));
    assert_eq!(of(&[1, 0, 0], Some(&[1.0])), Some(FitError::Length { what: "sample weights", found: 1, rows: 3 }));
    assert_eq!(of(&[1, 0, 0], Some(&[1.0, -1.0, 1.0])), Some(FitError::Weight { row: 1, weight: -1.0 }));
    assert_eq!(of(&[1, 0, 0], Some(&[0.0, 1.0, 1.0])), Some(FitError::OneClass { class: 0 }));
    assert_eq!(of(&[1, 0, 0], Some(&[0.0; 3])), Some(FitError::NoRows));
    assert_eq!(Targets::checked(0, &[], 2, None).err(), Some(FitError::NoRows));
}

/// Sparse rows in which most columns belong to one row alone, as n-grams do.
fn lonely(rows: usize) -> impl Fn(usize, usize) -> f32 {
    move |i, j| match j {
        0..4 if !(i + j).is_multiple_of(3) => value(i, j),
        4.. if (j - 4) % rows == i => value(i, j) + 1.5,
        _ => 0.0,
    }
}

#[test]
fn columns_of_one_row_weigh_what_they_weigh_by_themselves() {
    // a dense block is taken as it is: no columns are joined there
    let (joined, plain) =
        (Features { blocks: vec![sparse(12, 40, lonely(12))] }, Features { blocks: vec![dense(12, 40, lonely(12))] });
    let close = |a: &LinearModel, b: &LinearModel, tolerance: f64| {
        let pairs = a.coef.iter().flatten().chain(&a.intercept).zip(b.coef.iter().flatten().chain(&b.intercept));
        pairs.for_each(|(a, b)| assert!((a - b).abs() < tolerance, "{a} {b}"));
        assert!(a.coef.iter().flatten().filter(|w| **w != 0.0).count() >= 30);
    };
    let weights: Vec<f64> = (0..12).map(|i| 0.5 + f64::from(i % 3)).collect();
    let (two, three): (Vec<u32>, Vec<u32>) = ((0..12).map(|i| i % 2).collect(), (0..12).map(|i| i % 3).collect());
    for (y, classes) in [(&two, 2), (&three, 3)] {
        for fit_intercept in [true, false] {
            let lr = LogisticRegression { c: 3.0, tol: 1e-12, fit_intercept, ..Default::default() };
            let fit = |x| lr.fit_rows(x, y, classes, Some(&weights), NEVER).unwrap().0;
            close(&fit(&joined), &fit(&plain), 1e-9);
            let svc = LinearSvc { tol: 1e-12, fit_intercept, ..Default::default() };
            let fit = |x| svc.fit_rows(x, y, classes, Some(&weights), NEVER).unwrap().0;
            close(&fit(&joined), &fit(&plain), 1e-9);
            let hinge = LinearSvc { loss: Loss::Hinge, tol: 1e-10, max_iter: 1_000_000, fit_intercept, ..svc };
            let fit = |x| hinge.fit_rows(x, y, classes, None, NEVER).unwrap().0;
            close(&fit(&joined), &fit(&plain), 1e-7);
        }
    }
}

#[test]
fn one_layout_serves_any_number_of_fits() {
    let x = Features { blocks: vec![sparse(40, 60, lonely(40)), dense(40, 3, value)] };
    let laid = Laid::of(x.clone()).unwrap();
    assert_eq!((laid.rows(), laid.cols()), (40, 63));
    let (lr, svc) = (LogisticRegression::default(), LinearSvc::default());
    let first = lr.fit(&laid, &three(), 3, None, NEVER);
    assert_eq!(svc.fit(&laid, &two(), 2, None, NEVER), svc.fit_rows(&x, &two(), 2, None, NEVER));
    assert_eq!(lr.fit(&laid, &three(), 3, None, NEVER), first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_sparse_rows_fit_as_dense_ones_do(
        cells in prop::collection::vec((0usize..8, 0usize..20, -2.0f32..2.0), 1..40), flips in any::<u8>(), c in 0.01f64..10.0,
    ) {
        let at = |i: usize, j: usize| cells.iter().find(|cell| (cell.0, cell.1) == (i, j)).map_or(0.0, |cell| cell.2);
        let y: Vec<u32> = (0..8).map(|i| if i < 2 { i } else { u32::from(flips >> i & 1) }).collect();
        let lr = LogisticRegression { c, tol: 1e-12, ..Default::default() };
        let fit = |block| lr.fit_rows(&Features { blocks: vec![block] }, &y, 2, None, NEVER).unwrap().0;
        let (a, b) = (fit(sparse(8, 20, at)), fit(dense(8, 20, at)));
        for (a, b) in a.coef[0].iter().chain(&a.intercept).zip(b.coef[0].iter().chain(&b.intercept)) {
            prop_assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{} {}", a, b);
        }
    }

    #[test]
    fn the_order_of_rows_changes_no_answer(turn in 1usize..40) {
        let moved = |i: usize| (i + turn) % 40;
        let x = Features { blocks: vec![sparse(40, 60, lonely(40)), dense(40, 3, value)] };
        let y = two();
        let rows: Vec<usize> = (0..40).map(moved).collect();
        let other: Vec<u32> = rows.iter().map(|&i| y[i]).collect();
        let lr = LogisticRegression { tol: 1e-12, ..Default::default() };
        let here = lr.fit_rows(&x, &y, 2, None, NEVER).unwrap().0.predict_proba(&x).unwrap();
        let there = lr.fit_rows(&x.take_rows(&rows), &other, 2, None, NEVER).unwrap().0;
        let there = there.predict_proba(&x).unwrap();
        for (a, b) in here.iter().zip(&there) {
            prop_assert!((a - b).abs() < 1e-9);
        }
    }
}

#[test]
fn great_values_do_no_harm() {
    for size in [1e15, 3e38] {
        let great = |i: usize, j: usize| if (i, j) == (5, 1) { size } else { value(i, j) };
        for block in [dense(40, 3, great), sparse(40, 3, great)] {
            let x = Features { blocks: vec![block] };
            for classes in [2, 3] {
                let y = if classes == 2 { two() } else { three() };
                let fits = [
                    LogisticRegression::default().fit_rows(&x, &y, classes, None, NEVER).unwrap(),
                    LinearSvc::default().fit_rows(&x, &y, classes, None, NEVER).unwrap(),
                ];
                for (model, end) in fits {
                    assert!(end.objective.is_finite(), "{end:?}");
                    assert!(model.coef.iter().flatten().chain(&model.intercept).all(|w| w.is_finite()), "{model:?}");
                    let right = model.predict(&x).unwrap().iter().zip(&y).filter(|(a, b)| a == b).count();
                    // the squares of 3e38 are beyond what steps are looked for in
                    assert!(right > 25 || size > 1e20, "{size} {right}");
                }
            }
        }
    }
}
