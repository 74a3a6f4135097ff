//! Scales against scikit-learn 1.9.1 (`fit(X)` on the rows of [`small`]), and rows that have no scale.

use super::*;
use crate::ml::select::small;
use crate::ml::{Csr, Dense};

fn fitted(scaler: Scaler, x: &Features) -> (Vec<f64>, Vec<f64>) {
    scaler.fit(x).unwrap().iter().map(|scale| (scale.centre, scale.scale)).unzip()
}

fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12), "{got:?} is not {want:?}");
}

const STANDARD: Scaler = Scaler::Standard { with_mean: true, with_std: true };
const ROBUST: Scaler = Scaler::Robust { with_centering: true, with_scaling: true, quantile_range: (25.0, 75.0) };
const DEVIATIONS: [f64; 6] =
    [3.4840908267278126, 2.6180463454008347, 3.760171390892826, 3.9791121287711073, 4.112143263825109, 1.0];

#[test]
fn scales_are_scikit_learns() {
    let (dense, sparse) = (small::dense(), small::sparse());
    let (centre, scale) = fitted(STANDARD, &dense);
    close(&centre, &[3.8333333333333335, 2.75, 4.166666666666667, 4.0, 3.5833333333333335, 4.0]);
    close(&scale, &DEVIATIONS);
    let (centre, scale) = fitted(STANDARD, &sparse);
    close(&centre, &[0.0; 6]);
    close(&scale, &DEVIATIONS);
    for x in [&dense, &sparse] {
        let (centre, scale) = fitted(Scaler::MaxAbs, x);
        close(&centre, &[0.0; 6]);
        close(&scale, &[9.0, 8.0, 10.0, 10.0, 9.0, 4.0]);
    }
    let (centre, scale) = fitted(Scaler::MinMax, &dense);
    close(&centre, &[0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    close(&scale, &[9.0, 8.0, 10.0, 10.0, 9.0, 1.0]);
    let (centre, scale) = fitted(ROBUST, &dense);
    close(&centre, &[4.5, 2.5, 4.0, 3.0, 0.5, 4.0]);
    close(&scale, &[6.5, 5.0, 7.0, 8.25, 8.25, 1.0]);
    let other = Scaler::Robust { with_centering: true, with_scaling: true, quantile_range: (10.0, 60.0) };
    let (centre, scale) = fitted(other, &sparse);
    close(&centre, &[0.0; 6]);
    close(&scale, &[5.6, 3.0, 6.0, 4.0, 4.599999999999998, 1.0]);
}

#[test]
fn scaled_columns_have_mean_0_and_variance_1() {
    let mut x = small::mixed();
    let scales = STANDARD.fit(&x).unwrap();
    rescale(&mut x, &scales).unwrap();
    let again = fitted(Scaler::Standard { with_mean: true, with_std: true }, &x);
    assert!(again.1[..5].iter().all(|scale| (scale - 1.0).abs() < 1e-6), "{again:?}");
    assert!(again.0.iter().all(|centre| centre.abs() < 1e-6));
    let Block::Dense(dense) = &x.blocks[1] else { panic!("dense") };
    assert!((0..12).all(|row| dense.row(row)[2] == 0.0), "the constant column is centred");
    assert!(matches!(rescale(&mut x, &scales[1..]), Err(FitError::Width { expected: 5, found: 6 })));
}

#[test]
fn rows_get_length_1_over_all_blocks() {
    let rows = || {
        let sparse = Csr { cols: 2, indptr: vec![0, 1, 1], indices: vec![1], values: vec![-3.0] };
        let dense = Dense { rows: 2, cols: 1, values: vec![4.0, 0.0] };
        Features { blocks: vec![Block::Sparse(sparse), Block::Dense(dense)] }
    };
    for (norm, length) in [(RowNorm::L1, 7.0), (RowNorm::L2, 5.0), (RowNorm::Max, 4.0)] {
        let mut x = rows();
        normalise(&mut x, norm).unwrap();
        let Block::Sparse(sparse) = &x.blocks[0] else { panic!("sparse") };
        let Block::Dense(dense) = &x.blocks[1] else { panic!("dense") };
        assert_eq!((sparse.values[0], dense.values.as_slice()), (-3.0 / length, [4.0 / length, 0.0].as_slice()));
    }
}

#[test]
fn rows_that_cannot_be_scaled_are_refused() {
    let dense = |rows, values: &[f32]| {
        let cols = if rows == 0 { 2 } else { values.len() / rows };
        Features { blocks: vec![Block::Dense(Dense { rows, cols, values: values.to_vec() })] }
    };
    for scaler in [STANDARD, Scaler::MaxAbs, Scaler::MinMax, ROBUST] {
        assert_eq!(scaler.fit(&dense(0, &[])), Err(FitError::NoRows));
        assert_eq!(scaler.fit(&Features::default()), Err(FitError::NoRows));
        assert_eq!(scaler.fit(&dense(2, &[1.0, f32::NAN])), Err(FitError::NonFinite { row: 1, column: 0 }));
        let (_, scale) = fitted(scaler, &dense(3, &[0.0; 6]));
        assert_eq!(scale, [1.0, 1.0], "columns of zeros are left at that");
        assert!(fitted(scaler, &dense(1, &[3.0, -2.0])).1.iter().all(|scale| *scale > 0.0), "one row");
    }
    assert_eq!(Scaler::MinMax.fit(&small::sparse()), Err(FitError::NeedsDense { block: 0 }));
    // 0.1 has no exact form: what rounding leaves of its variance is no variance
    assert_eq!(fitted(STANDARD, &dense(7, &[0.1; 7])).1, [1.0]);
}
