//! Are the neighbours scikit-learn's? Reference numbers are of KNeighborsClassifier and KNeighborsRegressor(4, algorithm="brute") of
//! scikit-learn 1.9.1 on the rows below.

use super::*;
use crate::ml::{Block, Csr, Dense};

const ROWS: [[f32; 4]; 9] = [
    [0.0, 3.0, 1.0, 0.0],
    [2.0, 0.0, 0.0, 1.0],
    [4.0, 0.0, 0.0, 3.0],
    [0.0, 4.0, 2.0, 0.0],
    [3.0, 1.0, 0.0, 2.0],
    [0.0, 0.0, 1.0, 4.0],
    [0.0, 0.0, 3.0, 0.0],
    [4.0, 2.0, 0.0, 3.0],
    [1.0, 0.0, 2.0, 0.0],
];
const ASKED: [[f32; 4]; 3] = [[1.3, 0.1, 2.0, 0.2], [0.7, 2.9, 0.4, 0.3], [4.1, 3.2, 0.3, 1.4]];
const CLASSES: [u32; 9] = [0, 1, 2, 0, 1, 2, 0, 1, 2];
const VALUES: [f64; 9] = [1.0, 2.0, 1.0, 0.5, 1.0, 3.0, 1.0, 1.0, 2.0];

fn dense<const N: usize>(rows: &[[f32; N]]) -> Block {
    Block::Dense(Dense { rows: rows.len(), cols: N, values: rows.concat() })
}

fn sparse<const N: usize>(rows: &[[f32; N]]) -> Block {
    let mut m = Csr { cols: N, indptr: vec![0], ..Csr::default() };
    for row in rows {
        for (j, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            m.indices.push(j as u32);
            m.values.push(value);
        }
        m.indptr.push(m.indices.len());
    }
    Block::Sparse(m)
}

/// The same rows dense, sparse, and as a sparse block beside a dense one.
fn forms(rows: &[[f32; 4]]) -> [Features; 3] {
    let left: Vec<[f32; 2]> = rows.iter().map(|row| [row[0], row[1]]).collect();
    let right: Vec<[f32; 2]> = rows.iter().map(|row| [row[2], row[3]]).collect();
    [vec![dense(rows)], vec![sparse(rows)], vec![sparse(&left), dense(&right)]].map(|blocks| Features { blocks })
}

fn check(metric: Metric, weights: NeighborWeights, shares: [f64; 9], means: Option<[f64; 3]>) {
    let learner = KNeighbors { n_neighbors: 4, weights, metric };
    let near = |found: &[f64], expected: &[f64]| {
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(found.len() == expected.len() && near, "{metric:?} {weights:?}\n{found:?}\n{expected:?}");
    };
    for (x, asked) in forms(&ROWS).iter().zip(&forms(&ASKED)) {
        learner.check_classes(x, &CLASSES, 3).unwrap();
        near(&learner.among(x).shares(asked, &CLASSES, 3).unwrap(), &shares);
        if let Some(means) = &means {
            near(&learner.among(x).means(asked, &VALUES).unwrap(), means);
        }
    }
}

#[test]
fn neighbours_are_scikit_learns() {
    use Metric::{Cosine, Euclidean, Manhattan};
    use NeighborWeights::{Distance, Uniform};
    let alike = [0.25, 0.5, 0.25, 0.5, 0.25, 0.25, 0.0, 0.75, 0.25];
    check(Euclidean, Uniform, alike, Some([1.5, 1.375, 1.25]));
    let shares = [
        0.150_273_415_465,
        0.184_922_845_700,
        0.664_803_738_835,
        0.713_508_152_600,
        0.144_554_214_629,
        0.141_937_632_772,
        0.0,
        0.804_421_075_523,
        0.195_578_924_477,
    ];
    check(Euclidean, Distance, shares, Some([1.774_521_229_6, 1.172_870_381, 1.181_980_050_9]));
    let alike = [0.25, 0.5, 0.25, 0.5, 0.5, 0.0, 0.0, 0.75, 0.25];
    check(Cosine, Uniform, alike, Some([1.5, 0.875, 1.25]));
    let shares = [
        0.058_363_094_294,
        0.039_138_222_150,
        0.902_498_683_555,
        0.881_404_842_134,
        0.118_595_157_866,
        0.0,
        0.0,
        0.875_561_564_325,
        0.124_438_435_675,
    ];
    check(Cosine, Distance, shares, Some([1.922_699_108_3, 0.837_549_917_1, 1.144_016_347_6]));
    // rows 0 and 3 are equally far from the first query, but for rounding: they have one class, but two values
    let alike = [0.5, 0.25, 0.25, 0.5, 0.25, 0.25, 0.0, 0.75, 0.25];
    check(Manhattan, Uniform, alike, None);
    let shares = [
        0.226_628_887_139,
        0.110_481_579_516,
        0.662_889_533_345,
        0.690_525_992_151,
        0.151_761_292_549,
        0.157_712_715_300,
        0.0,
        0.788_572_867_282,
        0.211_427_132_718,
    ];
    check(Manhattan, Distance, shares, None);
}

#[test]
fn of_equally_near_rows_the_first_vote() {
    let x = Features { blocks: vec![dense(&[[1.0f32, 1.0]; 6])] };
    for metric in [Metric::Euclidean, Metric::Cosine, Metric::Manhattan] {
        for weights in [NeighborWeights::Uniform, NeighborWeights::Distance] {
            let learner = KNeighbors { n_neighbors: 3, weights, metric };
            let shares = learner.among(&x).shares(&x, &[1, 1, 0, 0, 0, 0], 2).unwrap();
            assert!(shares.chunks(2).all(|row| row == [1.0 / 3.0, 2.0 / 3.0]), "{metric:?} {shares:?}");
        }
    }
}

#[test]
fn a_neighbour_at_distance_nothing_votes_alone() {
    for x in forms(&ROWS) {
        let learner = KNeighbors { weights: NeighborWeights::Distance, ..KNeighbors::default() };
        let shares = learner.among(&x).shares(&x, &CLASSES, 3).unwrap();
        for (shares, class) in shares.chunks(3).zip(CLASSES) {
            assert_eq!(shares[class as usize], 1.0, "{shares:?}");
        }
    }
}

#[test]
fn great_values_and_rows_of_zeros_have_a_distance() {
    let x = Features { blocks: vec![dense(&[[3e38f32, -3e38], [-3e38, 3e38], [0.0, 0.0]])] };
    for metric in [Metric::Euclidean, Metric::Cosine, Metric::Manhattan] {
        let learner = KNeighbors { n_neighbors: 3, weights: NeighborWeights::Distance, metric };
        let shares = learner.among(&x).shares(&x, &[0, 1, 1], 2).unwrap();
        assert!(shares.iter().all(|share| share.is_finite()), "{metric:?} {shares:?}");
    }
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let [x, ..] = forms(&ROWS);
    let learner = KNeighbors::default();
    assert_eq!(learner.check_classes(&x, &[2; 9], 3), Err(FitError::OneClass { class: 2 }));
    assert_eq!(learner.check_rows(&Features::default()), Err(FitError::NoRows));
    let wrong = KNeighbors { n_neighbors: 10, ..KNeighbors::default() }.check_rows(&x);
    assert!(matches!(wrong, Err(FitError::Parameter { name: "n_neighbors", .. })));
    let [_, other, _] = forms(&ASKED);
    assert!(matches!(learner.among(&x).means(&other, &VALUES), Err(FitError::Block { block: 0, .. })));
    let narrow = Features { blocks: vec![dense(&[[1.0f32]])] };
    assert_eq!(learner.among(&x).means(&narrow, &VALUES), Err(FitError::Width { expected: 4, found: 1 }));
}

#[test]
fn bounds_pass_over_no_neighbour() {
    let value = |i: usize, j: usize| ((i * 37 + j * 91 + i * i * (j + 3)) % 101) as f32 / 50.0 - 1.0;
    let rows = |of: &dyn Fn(usize, usize) -> f32| -> Vec<[f32; 21]> {
        (0..70).map(|i| std::array::from_fn(|j| of(i, j))).collect()
    };
    let sets = [
        rows(&value),
        // far from 0, in few steps, many times the same, beyond what f32 multiplies, and next to nothing
        rows(&|i, j| 1000.0 + value(i, j)),
        rows(&|i, j| 3000.0 + (value(i, j) * 3.0).round() / 4096.0),
        rows(&|i, j| value(i % 6, j)),
        rows(&|i, j| value(i, j) * if i == 9 { 1e30 } else { 1.0 }),
        rows(&|i, j| value(i, j) * 1e-22),
        rows(&|i, j| if i % 3 == 0 { 0.0 } else { value(i, j) }),
    ];
    let classes: Vec<u32> = (0..70).map(|row| row * 31 % 7).collect();
    for (set, rows) in sets.iter().enumerate() {
        let wide: Vec<[f32; 4]> = rows.iter().map(|row| [row[0], row[1], row[2], row[3]]).collect();
        for x in [vec![dense(rows)], vec![dense(rows), dense(&wide)]].map(|blocks| Features { blocks }) {
            for metric in [Metric::Euclidean, Metric::Cosine, Metric::Manhattan] {
                let learner = KNeighbors { n_neighbors: 4, weights: NeighborWeights::Distance, metric };
                let near = learner.among(&x);
                let together = near.shares(&x, &classes, 7).unwrap();
                for (row, shares) in together.chunks(7).enumerate() {
                    let alone = near.shares(&x.take_rows(&[row]), &classes, 7).unwrap();
                    assert_eq!(shares, alone, "row {row} of set {set}, {metric:?}");
                }
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let rows: Vec<[f32; 4]> = (0..90).map(|row| ROWS[row % 9].map(|value| value + (row / 9) as f32 * 0.07)).collect();
    let classes: Vec<u32> = (0..90).map(|row| row % 7).collect();
    let learner = KNeighbors { weights: NeighborWeights::Distance, ..KNeighbors::default() };
    for x in forms(&rows) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| learner.among(&x).shares(&x, &classes, 7).unwrap())
        };
        assert_eq!(with(1), with(3));
    }
}
