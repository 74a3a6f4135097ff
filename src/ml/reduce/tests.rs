//! Components against scikit-learn 1.9.1, in every form; and rows that span little.

use super::*;
use crate::ml::Csr;
use crate::ml::select::small;

fn reduction(centre: bool, n_components: usize) -> Reduction {
    Reduction { centre, n_components, n_oversamples: 10, n_iter: 5 }
}

fn found(of: Reduction, x: &Features) -> Components {
    of.fit(x, 7, &|| false).unwrap()
}

fn close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < tolerance), "{got:?} is not {want:?}");
}

/// scikit-learn: `PCA(3, svd_solver="full")`, `TruncatedSVD(3, algorithm="arpack")`; singular values, explained variance and its
/// ratio, the first component, and the first row along all three.
type Reference = ([f64; 3], [f64; 3], [f64; 3], [f64; 6], [f64; 3]);
const PCA: Reference = (
    [19.208622051022598, 16.648766861847474, 10.412655449624152],
    [33.54283282718469, 25.198312547286413, 9.856672137507958],
    [0.4667566870322986, 0.35064065530695876, 0.13715799305830192],
    [0.5567143876246892, -0.2902234467297598, -0.2650696467287108, 0.5917198079457009, -0.4306334785496654, 0.0],
    [-9.032791420880905, -0.5350155276392048, 4.050879460988386],
);
const SVD: Reference = (
    [33.46243589916396, 19.099854880679022, 16.11537925496613],
    [9.414357640847813, 30.295140766641605, 21.348612872758764],
    [0.14291244995594402, 0.459888284882605, 0.32407761476673647],
    [
        0.4390999255241678,
        0.29266843301035594,
        0.4093252696682014,
        0.47698016030604046,
        0.41510223768351306,
        0.3926440197934402,
    ],
    [10.86309108005917, 9.62886704889255, 2.9121817214547585],
);

#[test]
fn components_are_scikit_learns_in_every_form() {
    for (centre, (singular, variance, ratio, first, row)) in [(true, PCA), (false, SVD)] {
        for x in [small::dense(), small::sparse(), small::mixed()] {
            let components = found(reduction(centre, 3), &x);
            assert!(components.exact);
            close(&components.singular_values, &singular, 1e-10);
            close(&components.explained_variance, &variance, 1e-10);
            close(&components.explained_variance_ratio, &ratio, 1e-10);
            let column: Vec<f64> = (0..6).map(|at| f64::from(components.weights.row(at)[0])).collect();
            close(&column, &first, 1e-6);
            let rows = components.transform(&x, Whiten::No).unwrap();
            close(&rows.row(0).iter().map(|&value| f64::from(value)).collect::<Vec<_>>(), &row, 1e-5);
        }
    }
}

/// Rows of falling singular values, with more columns than [`EXACT`] allows and than are asked for.
fn wide(rows: usize, cols: usize) -> Features {
    let mut rng = Rng::seeded(5);
    let mut csr = Csr { cols, indptr: vec![0], ..Csr::default() };
    for row in 0..rows {
        for j in 0..cols {
            // a few strong groups of columns, and noise
            let strong = j % 40 == row % 40 && row % 40 < 6;
            if strong || rng.uniform() < 0.01 {
                csr.indices.push(j as u32);
                csr.values.push(if strong { 3.0 - (row % 40) as f32 / 4.0 } else { 0.3 } + 0.1 * rng.uniform() as f32);
            }
        }
        csr.indptr.push(csr.indices.len());
    }
    Features { blocks: vec![Block::Sparse(csr)] }
}

#[test]
fn enough_iterations_come_to_the_exact_components() {
    for x in [wide(90, 400), wide(400, 90)] {
        for centre in [false, true] {
            let exact = found(Reduction { n_oversamples: 90, ..reduction(centre, 5) }, &x);
            let near = found(Reduction { n_iter: 12, ..reduction(centre, 5) }, &x);
            assert!(exact.exact && !near.exact);
            for (a, b) in exact.singular_values.iter().zip(&near.singular_values) {
                assert!((a - b).abs() < 1e-9 * a, "{a} {b}");
            }
            let worst = exact.weights.values.iter().zip(&near.weights.values).map(|(a, b)| (a - b).abs());
            assert!(worst.fold(0.0, f32::max) < 1e-5);
            let other_seed = reduction(centre, 5).fit(&x, 8, &|| false).unwrap();
            assert!(
                other_seed.singular_values != found(reduction(centre, 5), &x).singular_values,
                "chance plays a part"
            );
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_threads() {
    let x = Features { blocks: [wide(90, 400).blocks, wide(90, 200).blocks].concat() };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let components = found(reduction(true, 20), &x);
            let rows = components.transform(&x, Whiten::Yes).unwrap();
            (components, rows)
        })
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn a_row_is_the_same_alone() {
    let x = small::mixed();
    let components = found(reduction(true, 4), &x);
    let all = components.transform(&x, Whiten::No).unwrap();
    let one = components.transform(&x.take_rows(&[7]), Whiten::No).unwrap();
    assert_eq!(one.values, all.row(7));
}

#[test]
fn whitened_components_have_variance_1() {
    let x = small::sparse();
    let rows = found(reduction(true, 3), &x).transform(&x, Whiten::Yes).unwrap();
    for component in 0..3 {
        let values: Vec<f64> = (0..12).map(|row| f64::from(rows.row(row)[component])).collect();
        let (mean, squares) = (values.iter().sum::<f64>() / 12.0, values.iter().map(|v| v * v).sum::<f64>() / 11.0);
        assert!(mean.abs() < 1e-6 && (squares - 1.0).abs() < 1e-5);
    }
}

#[test]
fn rows_that_span_little_give_few_components() {
    let dense = |rows, cols, values: Vec<f32>| Features { blocks: vec![Block::Dense(Dense { rows, cols, values })] };
    let one = dense(1, 3, vec![3.0, 0.0, -4.0]);
    let components = found(reduction(false, 9), &one);
    assert_eq!(
        (components.singular_values.as_slice(), components.explained_variance_ratio.as_slice()),
        ([5.0].as_slice(), [0.0].as_slice())
    );
    assert_eq!(components.weights.values, [-0.6, 0.0, 0.8]);
    let twice = dense(4, 2, vec![1.0, 2.0, 1.0, 2.0, 2.0, 4.0, 3.0, 6.0]);
    assert_eq!(found(reduction(true, 2), &twice).weights.cols, 1);
    assert_eq!(found(reduction(false, 100), &small::sparse()).weights.cols, 6);
    assert_eq!(found(reduction(true, 100), &small::sparse()).weights.cols, 5, "a constant column has no variance");
    let refused = |of: Reduction, x: &Features| of.fit(x, 0, &|| false).unwrap_err();
    assert_eq!(refused(reduction(false, 2), &dense(0, 2, vec![])), FitError::NoRows);
    assert_eq!(refused(reduction(false, 2), &dense(2, 0, vec![])), FitError::NoColumns);
    assert!(matches!(refused(reduction(false, 2), &dense(3, 2, vec![0.0; 6])), FitError::Flat { .. }));
    assert!(matches!(refused(reduction(true, 2), &dense(3, 2, vec![0.1; 6])), FitError::Flat { .. }));
    assert!(matches!(refused(reduction(true, 2), &one), FitError::Flat { .. }));
    let nan = dense(2, 1, vec![1.0, f32::NAN]);
    assert_eq!(refused(reduction(true, 1), &nan), FitError::NonFinite { row: 1, column: 0 });
    assert_eq!(
        found(reduction(false, 1), &twice).transform(&one, Whiten::No),
        Err(FitError::Width { expected: 2, found: 3 })
    );
    let stopped = Reduction { n_oversamples: 0, ..reduction(false, 3) }.fit(&small::sparse(), 0, &|| true);
    assert_eq!(stopped.unwrap_err(), FitError::Interrupted);
}
