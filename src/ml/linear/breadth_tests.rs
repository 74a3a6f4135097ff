//! Do the solvers beside Newton's L2 reach scikit-learn's optimum, and what do they answer to awkward input? Numbers: scikit-learn 1.9.1
//! (the class named at each), tol 1e-12 or less, on the rows of `points`.

use super::test_rows::*;
use super::*;
use crate::ml::Features;

const NEVER: ShouldStop<'static> = &|| false;

/// As `points`, every third cell empty.
fn holes() -> Features {
    let holed = |i: usize, j: usize| if (i + j).is_multiple_of(3) { 0.0 } else { value(i, j) };
    Features { blocks: vec![sparse(40, 3, holed)] }
}

/// The columns of `points`, in two sparse blocks around a dense one.
fn mixed() -> Features {
    let part = |from: usize| move |i: usize, j: usize| value(i, j + from);
    Features { blocks: vec![sparse(40, 1, part(0)), dense(40, 1, part(1)), sparse(40, 1, part(2))] }
}

fn numbers() -> Vec<f64> {
    (0..40).map(|i| 2.0 * signal(i) + 0.3 * f64::from(value(i, 7))).collect()
}

fn assert_near(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (f, w) in found.iter().zip(wanted) {
        assert!((f - w).abs() <= tolerance * (1.0 + w.abs()), "{found:?} {wanted:?}");
    }
}

fn assert_model(model: &LinearModel, coef: &[[f64; 3]], intercept: &[f64], tolerance: f64) {
    assert_eq!(model.coef.len(), coef.len());
    for (found, wanted) in model.coef.iter().zip(coef) {
        assert_near(found, wanted, tolerance);
    }
    assert_near(&model.intercept, intercept, tolerance);
}

fn assert_function(function: &LinearFunction, coef: [f64; 3], intercept: f64, tolerance: f64) {
    assert_near(&function.coef, &coef, tolerance);
    assert_near(&[function.intercept], &[intercept], tolerance);
}

fn columns(x: &Features) -> Columns {
    Columns::of(x).unwrap()
}

fn laid(x: Features) -> Laid {
    Laid::of(x).unwrap()
}

#[test]
fn l1_and_elastic_net_equal_sagas() {
    let tight = ElasticLogistic { c: 0.7, tol: 1e-11, ..Default::default() };
    for x in [points(), mixed()] {
        let (model, end) = tight.fit(&columns(&x), &two(), 2, None, NEVER).unwrap();
        assert!(end.converged && end.iterations < 30, "{end:?}");
        assert_model(&model, &[[2.919250879764, 1.44491888974, -0.582277730507]], &[-0.259378908076], 1e-8);
        let net = ElasticLogistic { c: 0.5, l1_ratio: 0.4, ..tight.clone() };
        let (model, _) = net.fit(&columns(&x), &two(), 2, Some(&weights()), NEVER).unwrap();
        assert_model(&model, &[[2.1468536252, 1.104436090655, -0.234856530386]], &[-0.166121130497], 1e-8);
    }
}

#[test]
fn many_class_elastic_net_equals_sagas() {
    let net = ElasticLogistic { c: 0.5, l1_ratio: 0.6, tol: 1e-11, ..Default::default() };
    let (model, end) = net.fit(&columns(&mixed()), &three(), 3, Some(&weights()), NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    let coef = [
        [-2.26742776603, -0.619068248068, 0.0],
        [0.0, 0.0, 0.933444475777],
        [1.19377374073, 0.684991757202, -0.448129122978],
    ];
    assert_model(&model, &coef, &[-0.023924182358, 0.423631267878, -0.39970708552], 1e-7);
    assert_eq!([model.coef[0][2], model.coef[1][0], model.coef[1][1]], [0.0; 3]);
}

#[test]
fn without_l1_the_elastic_net_is_the_l2_penalty() {
    let net = ElasticLogistic { c: 0.5, l1_ratio: 0.0, tol: 1e-11, ..Default::default() };
    let l2 = LogisticRegression { c: 0.5, tol: 1e-12, ..Default::default() };
    for (y, classes) in [(two(), 2), (three(), 3)] {
        let (sparse, end) = net.fit(&columns(&points()), &y, classes, None, NEVER).unwrap();
        let (dense, best) = l2.fit(&laid(points()), &y, classes, None, NEVER).unwrap();
        assert_near(&[end.objective], &[best.objective], 1e-12);
        for (a, b) in sparse.coef.iter().zip(&dense.coef) {
            assert_near(a, b, 1e-8);
        }
    }
}

#[test]
fn one_against_the_rest_equals_scikit_learns() {
    // OneVsRestClassifier(LogisticRegression(C=0.5))
    let coef = [
        [-1.716555036645, -0.774067639676, -0.231598437623],
        [0.429926068818, 0.050015672329, 0.968581934951],
        [1.352547273429, 0.67644028281, -0.936730389249],
    ];
    let intercept = [-0.985304180203, -0.403804071494, -1.14928944714];
    let lr = LogisticRegression { c: 0.5, tol: 1e-12, ..Default::default() };
    let how = (MultiClass::OneVsRest, Penalised::Yes);
    let (model, end) = lr.fit_as(how, &laid(points()), &three(), 3, None, NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    assert_model(&model, &coef, &intercept, 1e-8);
    let shares = model.predict_proba_one_vs_rest(&points()).unwrap();
    let wanted = [0.4813713851, 0.4457442357, 0.0728843792, 0.4717433094, 0.2741422236, 0.2541144669];
    assert_near(&shares[..6], &wanted, 1e-8);
    let net =
        ElasticLogistic { c: 0.5, l1_ratio: 0.0, multi_class: MultiClass::OneVsRest, tol: 1e-11, ..Default::default() };
    let (model, _) = net.fit(&columns(&points()), &three(), 3, None, NEVER).unwrap();
    assert_model(&model, &coef, &intercept, 1e-7);
}

#[test]
fn a_row_that_every_class_disowns_has_probabilities() {
    let coef = vec![vec![-2000.0], vec![-1000.0], vec![-3000.0]];
    let model = LinearModel { classes: 3, present: vec![0, 1, 2], coef, intercept: vec![0.0; 3] };
    let x = Features { blocks: vec![dense(1, 1, |_, _| 1.0)] };
    assert_eq!(model.predict_proba_one_vs_rest(&x).unwrap(), vec![0.0, 1.0, 0.0]);
}

#[test]
fn without_a_penalty_it_is_maximum_likelihood() {
    let lr = LogisticRegression { tol: 1e-12, ..Default::default() };
    let how = (MultiClass::Multinomial, Penalised::No);
    let (model, end) = lr.fit_as(how, &laid(points()), &two(), 2, Some(&weights()), NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    // LogisticRegression(C=np.inf)
    assert_model(&model, &[[48.68671250322, 34.97354320732, -21.938133547096]], &[-2.789510415756], 1e-6);
    // told apart without a mistake: there is no optimum, and the fit ends all the same
    let y: Vec<u32> = (0..40).map(|i| u32::from(value(i, 0) > 0.0)).collect();
    let (model, end) = LogisticRegression::default().fit_as(how, &laid(points()), &y, 2, None, NEVER).unwrap();
    assert!(end.converged && end.objective < 0.1, "{end:?}");
    assert_eq!(model.predict(&points()).unwrap(), y);
    let (model, _) = LogisticRegression::default().fit_as(how, &laid(points()), &three(), 3, None, NEVER).unwrap();
    for j in 0..3 {
        assert!(model.coef.iter().map(|coef| coef[j]).sum::<f64>().abs() < 1e-6);
    }
}

#[test]
fn linear_svm_with_l1_equals_scikit_learns() {
    // LinearSVC(penalty="l1", dual=False)
    let svc = SparseSvc { c: 0.3, intercept_scaling: 2.0, tol: 1e-11, ..Default::default() };
    let (model, end) = svc.fit(&columns(&mixed()), &two(), 2, None, NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    assert_model(&model, &[[1.285408216688, 0.752181782792, -0.357395927851]], &[-0.032024982154], 1e-7);
    let svc = SparseSvc { intercept_scaling: 1.0, ..svc };
    let (model, _) = svc.fit(&columns(&points()), &three(), 3, None, NEVER).unwrap();
    let coef = [
        [-1.298374903598, -0.497258867627, -0.093843401181],
        [0.200898028585, 0.0, 0.616535605533],
        [1.063862186357, 0.493063644298, -0.657406436373],
    ];
    assert_model(&model, &coef, &[-0.391981934354, -0.155536863917, -0.543915441369], 1e-7);
}

#[test]
fn ridge_equals_scikit_learns() {
    let ridge = Ridge { alpha: 2.0, tol: 1e-12, ..Default::default() };
    for x in [points(), mixed()] {
        let (function, end) = ridge.fit(&laid(x.clone()), &numbers(), Some(&weights()), NEVER).unwrap();
        assert!(end.converged, "{end:?}");
        assert_function(&function, [1.670488164246, 0.755435496097, -0.135718808723], -0.085510337406, 1e-9);
        let plain = Ridge { alpha: 0.5, fit_intercept: false, ..ridge.clone() };
        let (function, _) = plain.fit(&laid(x.clone()), &numbers(), None, NEVER).unwrap();
        assert_function(&function, [1.866296073673, 0.809990939938, -0.294078224749], 0.0, 1e-9);
        let classes = Ridge { alpha: 0.7, ..ridge.clone() };
        let (model, _) = classes.fit_classes(&laid(x.clone()), &two(), 2, Some(&weights()), NEVER).unwrap();
        assert_model(&model, &[[1.226192678698, 0.749515177225, -0.297617989545]], &[-0.004853494742], 1e-9);
        let balanced = balanced_weights(&three(), None);
        let (model, _) = classes.fit_classes(&laid(x), &three(), 3, Some(&balanced), NEVER).unwrap();
        let coef = [
            [-1.219383389139, -0.466193012357, -0.09395944346],
            [0.287893515465, -0.021512397457, 0.653901883913],
            [0.931489873674, 0.487705409814, -0.559942440452],
        ];
        assert_model(&model, &coef, &[-0.292666904879, -0.361728567005, -0.345604528116], 1e-9);
    }
}

#[test]
fn ridge_of_more_columns_than_rows_fits_as_dense_and_as_sparse_rows() {
    // most columns have one row's value alone, which the layout joins
    let wide = |i: usize, j: usize| if j % 12 == i || j < 4 { value(i, j) } else { 0.0 };
    let y: Vec<f64> = (0..12).map(|i| f64::from(value(i, 50))).collect();
    let ridge = Ridge { alpha: 0.1, tol: 1e-12, ..Default::default() };
    let fit = |block| ridge.fit(&laid(Features { blocks: vec![block] }), &y, None, NEVER).unwrap().0;
    let (a, b) = (fit(sparse(12, 40, wide)), fit(dense(12, 40, wide)));
    assert_near(&a.coef, &b.coef, 1e-9);
    assert_near(&[a.intercept], &[b.intercept], 1e-9);
    // without a penalty the Gram matrix is singular: the least squares are reached all the same
    let free = Ridge { alpha: 0.0, max_iter: 10_000, ..Default::default() };
    let (_, end) = free.fit(&laid(Features { blocks: vec![dense(12, 40, wide)] }), &y, None, NEVER).unwrap();
    assert!(end.objective < 1e-12, "{end:?}");
}

#[test]
fn linear_svr_equals_scikit_learns() {
    let svr = LinearSvr { c: 0.6, epsilon: 0.2, tol: 1e-11, max_iter: 1_000_000, ..Default::default() };
    let squared = LinearSvr { loss: TubeLoss::SquaredEpsilonInsensitive, intercept_scaling: 2.0, ..svr.clone() };
    for x in [points(), mixed()] {
        let (function, end) = svr.fit(&laid(x.clone()), &numbers(), Some(&weights()), NEVER).unwrap();
        assert!(end.converged, "{end:?}");
        assert_function(&function, [1.78989232262, 0.840613815512, -0.325071424064], -0.124256518393, 1e-6);
        let (function, end) = squared.fit(&laid(x), &numbers(), Some(&weights()), NEVER).unwrap();
        assert!(end.converged, "{end:?}");
        assert_function(&function, [1.751598892636, 0.756216091269, -0.103812559197], -0.066176285919, 1e-7);
    }
}

#[test]
fn unshuffled_gradient_descent_takes_scikit_learns_steps() {
    // SGDClassifier(shuffle=False, tol=None)
    let sgd = |loss, max_iter, alpha| Sgd { loss, max_iter, alpha, shuffle: false, tol: None, ..Default::default() };
    let log = sgd(SgdLoss::LogLoss, 7, 1e-4);
    let (model, end) = log.fit_classes(&points(), &two(), 2, Some(&weights()), NEVER).unwrap();
    assert!(!end.converged && end.iterations == 7);
    assert_model(&model, &[[42.712770941163, 20.06018750947, -1.222262458588]], &[-7.161043830264], 1e-9);
    let (model, _) = sgd(SgdLoss::Hinge, 5, 0.01).fit_classes(&points(), &three(), 3, None, NEVER).unwrap();
    let coef = [
        [-4.518200799349, -2.107337266464, -0.572363316023],
        [0.979955268673, -0.68510137107, 2.029288066405],
        [3.945837457481, 1.682400912166, -2.332813841769],
    ];
    assert_model(&model, &coef, &[-1.404847115293, -0.600867548406, -1.13606166715], 1e-9);
    let l1 = Sgd { l1_ratio: 1.0, ..sgd(SgdLoss::ModifiedHuber, 6, 0.01) };
    let (model, _) = l1.fit_classes(&holes(), &two(), 2, None, NEVER).unwrap();
    assert_model(&model, &[[2.170972597709, 0.686105181629, -1.0068509531]], &[-0.125995997974], 1e-9);
    let net = Sgd {
        l1_ratio: 0.3,
        learning_rate: LearningRate::InvScaling,
        eta0: 0.1,
        ..sgd(SgdLoss::SquaredHinge, 6, 0.01)
    };
    let (model, _) = net.fit_classes(&points(), &two(), 2, None, NEVER).unwrap();
    assert_model(&model, &[[1.083354068404, 0.579330298327, -0.353662758153]], &[-0.048829223907], 1e-9);
    let mean = Sgd { average: 10, learning_rate: LearningRate::Constant, eta0: 0.2, ..sgd(SgdLoss::LogLoss, 6, 0.01) };
    let (model, _) = mean.fit_classes(&holes(), &three(), 3, None, NEVER).unwrap();
    let coef = [
        [-2.004037840179, -0.141858011545, 0.019385462225],
        [0.500001744113, 0.115051470769, 1.044392245075],
        [0.907553281121, 0.837282469141, -1.174782477012],
    ];
    assert_model(&model, &coef, &[-0.041721396713, -0.017844139827, -0.055009862311], 1e-9);
}

#[test]
fn unshuffled_gradient_descent_on_values_takes_scikit_learns_steps() {
    // SGDRegressor(shuffle=False, tol=None)
    let sgd = |loss| Sgd {
        loss,
        max_iter: 8,
        learning_rate: LearningRate::InvScaling,
        power_t: 0.25,
        shuffle: false,
        tol: None,
        ..Default::default()
    };
    let fit = |sgd: Sgd| sgd.fit(&points(), &numbers(), None, NEVER).unwrap().0;
    let plain = fit(sgd(SgdLoss::SquaredError));
    assert_function(&plain, [0.50042505364, 0.193518722449, -0.097155702466], 0.016088144858, 1e-9);
    let huber = fit(Sgd { alpha: 0.01, l1_ratio: 1.0, ..sgd(SgdLoss::Huber { epsilon: 0.1 }) });
    assert_function(&huber, [0.031033343761, 0.005242412187, 0.0], 0.007515110417, 1e-9);
    let tube = fit(Sgd { average: 1, ..sgd(SgdLoss::SquaredEpsilonInsensitive { epsilon: 0.3 }) });
    assert_function(&tube, [0.437138005176, 0.147101453295, -0.081139103889], 0.014784654937, 1e-9);
}

#[test]
fn gradient_descent_repeats_to_the_bit_stops_by_itself_and_classifies() {
    let y: Vec<u32> = (0..400).map(|i| (i % 20) as u32).collect();
    let x =
        Features { blocks: vec![sparse(400, 20, |i, j| if i % 20 == j { 1.0 } else { 0.0 }), dense(400, 2, value)] };
    for validation_fraction in [None, Some(0.2)] {
        let sgd = Sgd { loss: SgdLoss::LogLoss, seed: 7, validation_fraction, ..Default::default() };
        let fit = || sgd.fit_classes(&x, &y, 20, None, NEVER).unwrap();
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(fit);
        assert_eq!(one_thread, fit());
        let (model, end) = one_thread;
        assert!(end.converged && end.iterations < 1000, "{end:?}");
        assert_eq!(model.predict(&x).unwrap(), y);
        let other = Sgd { seed: 8, ..sgd.clone() }.fit_classes(&x, &y, 20, None, NEVER).unwrap().0;
        assert_ne!(model, other);
    }
}

/// Every learner of this file on `x`, with the two-class labels or the values `y`.
fn all_fits(x: &Features, y: &[u32], classes: usize) -> Vec<Result<(LinearModel, Convergence), FitError>> {
    let (columns, laid) = match (Columns::of(x), Laid::of(x.clone())) {
        (Ok(columns), Ok(laid)) => (columns, laid),
        (Err(error), _) | (_, Err(error)) => return vec![Err(error)],
    };
    let values: Vec<f64> = y.iter().map(|&y| f64::from(y)).collect();
    let as_model = |(f, end): (LinearFunction, Convergence)| {
        (LinearModel { classes: 2, present: vec![0, 1], coef: vec![f.coef], intercept: vec![f.intercept] }, end)
    };
    let lr = LogisticRegression::default();
    let few = |loss| Sgd { loss, max_iter: 20, ..Default::default() };
    let squared = LinearSvr { loss: TubeLoss::SquaredEpsilonInsensitive, ..Default::default() };
    vec![
        ElasticLogistic::default().fit(&columns, y, classes, None, NEVER),
        ElasticLogistic { multi_class: MultiClass::OneVsRest, l1_ratio: 0.5, ..Default::default() }
            .fit(&columns, y, classes, None, NEVER),
        SparseSvc::default().fit(&columns, y, classes, None, NEVER),
        lr.fit_as((MultiClass::OneVsRest, Penalised::Yes), &laid, y, classes, None, NEVER),
        lr.fit_as((MultiClass::Multinomial, Penalised::No), &laid, y, classes, None, NEVER),
        Ridge::default().fit_classes(&laid, y, classes, None, NEVER),
        few(SgdLoss::LogLoss).fit_classes(x, y, classes, None, NEVER),
        few(SgdLoss::Hinge).fit_classes(x, y, classes, None, NEVER),
        Ridge::default().fit(&laid, &values, None, NEVER).map(as_model),
        LinearSvr::default().fit(&laid, &values, None, NEVER).map(as_model),
        squared.fit(&laid, &values, None, NEVER).map(as_model),
        few(SgdLoss::SquaredError).fit(x, &values, None, NEVER).map(as_model),
    ]
}

#[test]
fn awkward_rows_get_an_answer() {
    let zeros = Features { blocks: vec![sparse(4, 3, |_, _| 0.0)] };
    let constant = Features { blocks: vec![dense(4, 2, |_, j| [1.0, 0.0][j])] };
    let none = Features { blocks: vec![dense(4, 0, |_, _| 0.0)] };
    let twice = Features { blocks: vec![dense(4, 2, |i, _| value(i / 2, 0))] };
    for x in [&zeros, &constant, &none, &twice] {
        for y in [[0, 1, 1, 1], [0, 0, 1, 1], [0, 1, 2, 2]] {
            let classes = if y[3] == 2 { 3 } else { 2 };
            for (which, fit) in all_fits(x, &y, classes).into_iter().enumerate() {
                let (model, end) = fit.unwrap();
                assert!(end.objective.is_finite(), "{which} {end:?}");
                let finite = model.coef.iter().flatten().chain(&model.intercept).all(|w| w.is_finite());
                assert!(finite, "{which} {model:?}");
                assert_eq!(model.predict(x).unwrap().len(), 4);
            }
        }
    }
    // without information the intercept gives the class shares, or the mean
    let fits = all_fits(&zeros, &[0, 1, 1, 1], 2);
    let share = fits[0].as_ref().unwrap().0.predict_proba(&zeros).unwrap()[1];
    assert!((share - 0.75).abs() < 1e-5, "{share}");
    assert_near(&fits[8].as_ref().unwrap().0.intercept, &[0.75], 1e-12);
}

#[test]
fn what_cannot_be_fitted_is_an_error() {
    let nan = Features { blocks: vec![dense(4, 2, |i, j| if (i, j) == (2, 1) { f32::NAN } else { 1.0 })] };
    let errors = all_fits(&nan, &[0, 1, 0, 1], 2);
    assert!(errors.iter().all(|fit| fit == &Err(FitError::NonFinite { row: 2, column: 1 })));
    assert_eq!(
        Sgd::default().fit_classes(&nan, &[0, 1, 0, 1], 2, None, NEVER).unwrap_err(),
        FitError::NonFinite { row: 2, column: 1 }
    );
    let one = Features { blocks: vec![dense(1, 2, value)] };
    for (which, fit) in all_fits(&one, &[1], 2).into_iter().enumerate() {
        // a classifier needs two classes; a regression learns the one value
        match which < 8 {
            true => assert_eq!(fit.unwrap_err(), FitError::OneClass { class: 1 }, "{which}"),
            false => assert!(fit.unwrap().1.objective.is_finite()),
        }
    }
    let empty = Features { blocks: vec![dense(0, 2, value)] };
    assert!(all_fits(&empty, &[], 2).iter().all(|fit| fit == &Err(FitError::NoRows)));
    let far = Features { blocks: vec![dense(4, 1, |i, _| (i as f32 - 1.5) * 1e30)] };
    let (loss, learning_rate) = (SgdLoss::SquaredError, LearningRate::Constant);
    let constant = Sgd { loss, learning_rate, eta0: 1e250, ..Default::default() };
    assert!(matches!(constant.fit(&far, &[1.0, 2.0, 3.0, 4.0], None, NEVER), Err(FitError::Overflow { .. })));
    let bad = |error: FitError, name: &str| assert!(matches!(error, FitError::Parameter { name: n, .. } if n == name));
    bad(
        Ridge { alpha: -1.0, ..Default::default() }.fit(&laid(points()), &numbers(), None, NEVER).unwrap_err(),
        "alpha",
    );
    let net = ElasticLogistic { l1_ratio: 1.5, ..Default::default() };
    bad(net.fit(&columns(&points()), &two(), 2, None, NEVER).unwrap_err(), "l1_ratio");
    let mut y = numbers();
    y[3] = f64::NAN;
    let error = Ridge::default().fit(&laid(points()), &y, None, NEVER).unwrap_err();
    assert!(matches!(error, FitError::Value { row: 3, .. }));
    let stop: ShouldStop<'_> = &|| true;
    let net = ElasticLogistic::default();
    assert_eq!(net.fit(&columns(&points()), &two(), 2, None, stop).unwrap_err(), FitError::Interrupted);
    assert_eq!(Sgd::default().fit_classes(&points(), &two(), 2, None, stop).unwrap_err(), FitError::Interrupted);
    assert_eq!(Ridge::default().fit(&laid(mixed()), &numbers(), None, stop).unwrap_err(), FitError::Interrupted);
    assert_eq!(LinearSvr::default().fit(&laid(mixed()), &numbers(), None, stop).unwrap_err(), FitError::Interrupted);
}

#[test]
fn ten_thousand_classes_of_which_some_have_rows() {
    let y: Vec<u32> = (0..400).map(|i| (i % 200) * 50).collect();
    let x = Features { blocks: vec![dense(400, 1, value)] };
    let sgd = Sgd { max_iter: 1, ..Default::default() };
    let (model, end) = sgd.fit_classes(&x, &y, 10_000, None, NEVER).unwrap();
    assert_eq!((model.coef.len(), end.converged), (200, false));
    let scores = model.decision_function(&x).unwrap();
    assert_eq!(scores[..10_000].iter().filter(|score| score.is_finite()).count(), 200);
    let (model, _) = Ridge::default().fit_classes(&laid(x), &y, 10_000, None, NEVER).unwrap();
    assert_eq!(model.coef.len(), 200);
}
