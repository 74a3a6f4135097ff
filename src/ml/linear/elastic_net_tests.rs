//! Do Lasso and elastic net reach the optimum? Numbers: `Lasso` and `ElasticNet` of scikit-learn 1.9.1, `tol=1e-14`, on the rows of
//! `points`; and smartcore's interior-point solver, which goes another way.

use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::elastic_net::{ElasticNet as TheirNet, ElasticNetParameters};

use super::super::test_rows::*;
use super::*;
use crate::ml::{Block, Features};

const NEVER: ShouldStop<'static> = &|| false;

fn columns(blocks: Vec<Block>) -> Columns {
    Columns::of(&Features { blocks }).unwrap()
}

fn numbers() -> Vec<f64> {
    let cell = |i: usize, j: usize| f64::from(value(i, j));
    let signal = |i: usize| cell(i, 0) + 0.5 * cell(i, 1) - cell(i, 2) * cell(i, 0);
    (0..40).map(|i| 2.0 * signal(i) + 0.3 * cell(i, 7)).collect()
}

fn net(alpha: f64, l1_ratio: f64) -> ElasticNet {
    ElasticNet { alpha, l1_ratio, tol: 1e-12, ..Default::default() }
}

fn assert_is(function: &LinearFunction, wanted: [f64; 4], tolerance: f64) {
    for (found, wanted) in function.coef.iter().chain([&function.intercept]).zip(wanted) {
        let same = (found - wanted).abs() <= tolerance && (wanted == 0.0) == (*found == 0.0);
        assert!(same, "{function:?} {wanted}");
    }
}

#[test]
fn weights_are_scikit_learns() {
    let y = numbers();
    let part = |from: usize| move |i: usize, j: usize| value(i, j + from);
    let mixed = vec![sparse(40, 1, part(0)), dense(40, 1, part(1)), sparse(40, 1, part(2))];
    for x in [columns(vec![dense(40, 3, value)]), columns(mixed)] {
        let fit = |net: ElasticNet, weight: Option<&[f64]>| {
            let (function, end) = net.fit(&x, &y, weight, NEVER).unwrap();
            assert!(end.converged && end.iterations < 100, "{end:?}");
            function
        };
        assert_is(&fit(net(0.1, 1.0), None), [1.627396881374, 0.454173016791, 0.0, -0.053237829274], 1e-9);
        assert_is(&fit(net(0.4, 1.0), None), [0.604298361197, 0.0, 0.0, -0.029382735968], 1e-9);
        assert_is(&fit(net(0.2, 0.3), None), [1.18948659441, 0.40438034849, -0.091039969716, -0.013156133873], 1e-9);
        let weighed = fit(net(0.2, 0.3), Some(&weights()));
        assert_is(&weighed, [1.160910546143, 0.415025106003, 0.0, -0.122873891618], 1e-9);
        let without = fit(ElasticNet { fit_intercept: false, ..net(0.2, 0.3) }, None);
        assert_is(&without, [1.186605374719, 0.409524035362, -0.092653010112, 0.0], 1e-9);
        // `Ridge(alpha=0.2 * 40)`
        let ridge = fit(net(0.2, 0.0), None);
        assert_is(&ridge, [1.161572714216, 0.486171619928, -0.199995112772, 0.009085600502], 1e-9);
    }
}

#[test]
fn zeros_that_are_not_stored_count_and_far_columns_lose_nothing() {
    let y = numbers();
    let holed = |i: usize, j: usize| if (i + j).is_multiple_of(3) { 0.0 } else { value(i, j) };
    for x in [columns(vec![sparse(40, 3, holed)]), columns(vec![dense(40, 3, holed)])] {
        let (function, _) = net(0.1, 0.7).fit(&x, &y, Some(&weights()), NEVER).unwrap();
        assert_is(&function, [1.388193714594, 0.062876023192, 0.0, -0.240846893126], 1e-9);
    }
    let far = |i: usize, j: usize| [1000.0 + value(i, 0), value(i, 1), 5.5][j];
    let (function, end) = net(0.1, 1.0).fit(&columns(vec![dense(40, 3, far)]), &y, None, NEVER).unwrap();
    assert!(end.converged, "{end:?}");
    assert_is(&function, [1.62739142048, 0.454176508283, 0.0, -1627.444651952251], 1e-7);
}

/// smartcore minimises `‖y - X w‖² + λ ‖w‖₁` (plus the L2 penalty) without an intercept, so its rows and values are centred here.
#[test]
fn an_interior_point_solver_finds_the_same_weights() {
    let (rows, cols) = (60, 12);
    let y: Vec<f64> = (0..rows).map(|i| f64::from(value(i, 0)) * 1.5 - f64::from(value(i, 5)) + 0.3).collect();
    let x = columns(vec![dense(rows, cols, value)]);
    let mean = |of: &dyn Fn(usize) -> f64| (0..rows).map(of).sum::<f64>() / rows as f64;
    let means: Vec<f64> = (0..cols).map(|j| mean(&|i| f64::from(value(i, j)))).collect();
    let centred = (0..rows * cols).map(|at| f64::from(value(at / cols, at % cols)) - means[at % cols]).collect();
    let centred = DenseMatrix::new(rows, cols, centred, false).unwrap();
    let level = mean(&|i| y[i]);
    let pulled: Vec<f64> = y.iter().map(|y| y - level).collect();
    for (alpha, l1_ratio) in [(0.02, 1.0), (0.1, 1.0), (0.05, 0.5)] {
        let (ours, _) = net(alpha, l1_ratio).fit(&x, &y, None, NEVER).unwrap();
        // their objective is ours times twice the rows, but for ½ in the L2 penalty
        let theirs = ElasticNetParameters::default()
            .with_alpha(alpha * (1.0 + l1_ratio))
            .with_l1_ratio(2.0 * l1_ratio / (1.0 + l1_ratio))
            .with_normalize(false)
            .with_tol(1e-10);
        let theirs = TheirNet::fit(&centred, &pulled, theirs).unwrap();
        for (ours, theirs) in ours.coef.iter().zip(theirs.coefficients().iterator(0)) {
            assert!((ours - theirs).abs() < 1e-5, "{alpha} {l1_ratio}: {ours} {theirs}");
        }
    }
}

#[test]
fn many_columns_are_few_weights_on_any_number_of_threads() {
    let x = columns(vec![sparse(200, 900, |i, j| if (i * 31 + j * 17) % 23 == 0 { value(i, j) } else { 0.0 })]);
    let y: Vec<f64> = (0..200).map(|i| f64::from(value(i, 0)) + (i % 5) as f64).collect();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            ElasticNet { alpha: 0.01, l1_ratio: 1.0, ..Default::default() }.fit(&x, &y, None, NEVER).unwrap()
        })
    };
    let (function, end) = on(1);
    assert_eq!((&function, &end), (&on(4).0, &on(4).1));
    let nonzero = function.coef.iter().filter(|w| **w != 0.0).count();
    assert!(end.converged && nonzero > 20 && nonzero < 200, "{nonzero} {end:?}");
    let none = net(1e6, 1.0).fit(&x, &y, None, NEVER).unwrap().0;
    assert_eq!((none.coef, none.intercept), (vec![0.0; 900], y.iter().sum::<f64>() / 200.0));
}

#[test]
fn strange_rows_are_answered_or_refused() {
    let y = numbers();
    for x in [dense(40, 2, |_, j| [7.25, 0.0][j]), sparse(40, 2, |_, _| 0.0), dense(40, 0, |_, _| 0.0)] {
        let (function, end) = net(0.1, 0.5).fit(&columns(vec![x]), &y, None, NEVER).unwrap();
        assert!(end.converged && function.coef.iter().all(|w| *w == 0.0));
        assert!((function.intercept - y.iter().sum::<f64>() / 40.0).abs() < 1e-12);
    }
    let one = columns(vec![dense(1, 2, value)]);
    assert_eq!(net(0.1, 0.5).fit(&one, &[3.5], None, NEVER).unwrap().0.intercept, 3.5);
    let twice = columns(vec![dense(40, 2, |i, _| value(i, 0))]);
    assert!(net(0.1, 0.5).fit(&twice, &y, None, NEVER).unwrap().1.converged);
    let x = columns(vec![dense(40, 3, value)]);
    let refused = |net: ElasticNet| net.fit(&x, &y, None, NEVER).unwrap_err();
    assert!(matches!(refused(net(0.0, 0.5)), FitError::Parameter { name: "alpha", .. }));
    assert!(matches!(refused(net(0.1, 1.5)), FitError::Parameter { name: "l1_ratio", .. }));
    assert_eq!(net(0.1, 0.5).fit(&x, &y, None, &|| true).unwrap_err(), FitError::Interrupted);
    let (_, end) = ElasticNet { max_iter: 1, ..net(0.001, 0.5) }.fit(&x, &y, None, NEVER).unwrap();
    assert_eq!((end.converged, end.iterations), (false, 1));
}
