//! Do the calibrators equal scikit-learn's? Numbers: scikit-learn 1.9.1, `_SigmoidCalibration`, `IsotonicRegression(out_of_bounds="clip")`,
//! `_TemperatureScaling`, on the rows of `rows`.

use super::*;

fn value(i: usize, j: usize) -> f64 {
    f64::from(((i * 37 + j * 91 + i * i * (j + 3)) % 101) as f32 / 50.0 - 1.0)
}

/// Decision values to one decimal (so that some are equal), sides of which some are wrong, weights.
fn rows() -> (Vec<f64>, Vec<bool>, Vec<f64>) {
    let signal = |i: usize| value(i, 0) + 0.5 * value(i, 1) - value(i, 2) * value(i, 0);
    let decisions = (0..40).map(|i| (signal(i) * 10.0).round_ties_even() / 10.0).collect();
    let positive = (0..40).map(|i: usize| (signal(i) > 0.1) != i.is_multiple_of(7)).collect();
    (decisions, positive, (0..40).map(|i| 0.5 + f64::from(i % 4) * 0.5).collect())
}

fn assert_near(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for (f, w) in found.iter().zip(wanted) {
        assert!((f - w).abs() <= tolerance, "{found:?} {wanted:?}");
    }
}

#[test]
fn the_sigmoid_is_platts() {
    let (decisions, positive, weight) = rows();
    let fit = Sigmoid::fit(&decisions, &positive, Some(&weight)).unwrap();
    // scikit-learn's lbfgs stops at a gradient of 1e-6
    assert_near(&[fit.a, fit.b], &[-1.7974202062483886, -0.11091273590194346], 1e-6);
    let far: Vec<f64> = decisions.iter().map(|d| d * 100.0).collect();
    let fit = Sigmoid::fit(&far, &positive, None).unwrap();
    assert_near(&[fit.a, fit.b], &[-0.02057767599596998, -0.051369140131162574], 1e-5);
    assert!(fit.apply(100.0) > 0.5 && fit.apply(f64::INFINITY) == 1.0 && fit.apply(f64::NEG_INFINITY) == 0.0);
}

#[test]
fn isotonic_regression_is_scikit_learns() {
    let (decisions, positive, weight) = rows();
    let fit = Isotonic::fit(&decisions, &positive, Some(&weight)).unwrap();
    assert_near(&fit.thresholds, &[-1.4, -1.1, -0.1, -0.0, 0.2, 1.0, 1.2, 1.5], 1e-12);
    let (third, most) = (0.333333333333, 0.886363636364);
    assert_near(&fit.values, &[0.0, 0.18, 0.18, third, most, most, 1.0, 1.0], 1e-12);
    let answers = [-9.0, -0.33, 0.07, 0.44, 9.0].map(|d| fit.apply(d));
    assert_near(&answers, &[0.0, 0.18, 0.526893939394, most, 1.0], 1e-12);
}

#[test]
fn temperature_is_scikit_learns() {
    let (decisions, positive, weight) = rows();
    let both: Vec<f64> = decisions.iter().flat_map(|d| [-d, *d]).collect();
    let labels: Vec<u32> = positive.iter().map(|p| u32::from(*p)).collect();
    let fit = Temperature::fit(&both, 2, &labels, None).unwrap();
    assert_near(&[fit.beta], &[1.227658173908253], 1e-6);
    // scores that say nothing: as flat as it may be
    let wrong: Vec<u32> = labels.iter().map(|label| 1 - label).collect();
    let fit = Temperature::fit(&both, 2, &wrong, Some(&weight)).unwrap();
    assert_near(&[fit.beta], &[(-10.0f64).exp()], 1e-9);
    let mut row = [f64::NEG_INFINITY, 1.0, 1.0];
    fit.apply(&mut row);
    assert_eq!(row, [0.0, 0.5, 0.5]);
}

#[test]
fn rows_are_scaled_to_sum_to_one() {
    let mut rows = [0.2, 0.2, 0.4, 0.0, 0.0, 0.0];
    normalised(&mut rows, &[true, true, true]);
    let third = 1.0 / 3.0;
    assert_near(&rows, &[0.25, 0.25, 0.5, third, third, third], 1e-15);
    let mut rows = [0.0, 0.0, 0.0];
    normalised(&mut rows, &[true, false, true]);
    assert_eq!(rows, [0.5, 0.0, 0.5]);
}

#[test]
fn awkward_rows_get_an_answer_or_an_error() {
    // one class, one row, one decision for all
    for (decisions, positive) in
        [(vec![1.0, 2.0], vec![true, true]), (vec![3.0], vec![false]), (vec![1.0; 3], vec![true, false, true])]
    {
        let sigmoid = Sigmoid::fit(&decisions, &positive, None).unwrap();
        let isotonic = Isotonic::fit(&decisions, &positive, None).unwrap();
        for p in [sigmoid.apply(1.0), isotonic.apply(1.0)] {
            assert!((0.0..=1.0).contains(&p), "{sigmoid:?} {isotonic:?}");
        }
    }
    // (2 + 1) / (2 + 2) of two rows and 1 / (1 + 2) of one
    let p = Sigmoid::fit(&[1.0; 3], &[true, false, true], None).unwrap().apply(1.0);
    assert_near(&[p], &[(2.0 * 0.75 + 1.0 / 3.0) / 3.0], 1e-9);
    // told apart without a mistake: the corrected targets keep the slope finite
    let fit = Sigmoid::fit(&[-2.0, -1.0, 1.0, 2.0], &[false, false, true, true], None).unwrap();
    assert!(fit.a.is_finite() && fit.a < 0.0);
    assert_eq!(Sigmoid::fit(&[], &[], None), Err(CalibrateError::NoRows));
    assert_eq!(Isotonic::fit(&[1.0], &[true], Some(&[0.0])), Err(CalibrateError::NoRows));
    assert_eq!(Sigmoid::fit(&[1.0, f64::NAN], &[true, false], None), Err(CalibrateError::NonFinite { row: 1 }));
    assert_eq!(
        Temperature::fit(&[1.0, 2.0], 2, &[2], None),
        Err(CalibrateError::ClassRange { row: 0, class: 2, classes: 2 })
    );
    assert_eq!(Temperature::fit(&[], 0, &[], None), Err(CalibrateError::NoRows));
    let length = CalibrateError::Length { what: "labels", found: 1, rows: 2 };
    assert_eq!(Isotonic::fit(&[1.0, 2.0], &[true], None), Err(length));
}
