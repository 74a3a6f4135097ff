//! Are they scikit-learn's? Reference numbers are `predict_proba` of scikit-learn 1.9.1 on the rows below.

use super::*;
use crate::ml::{Csr, Dense};

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
const ASKED: [[f32; 4]; 3] = [[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0], [4.0, 3.0, 0.0, 1.0]];
const THREE: [u32; 9] = [0, 1, 2, 0, 1, 2, 0, 1, 2];
const TWO: [u32; 9] = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const WEIGHT: [f64; 9] = [1.0, 2.0, 1.0, 0.5, 1.0, 3.0, 1.0, 1.0, 2.0];

fn sparse(rows: &[Vec<f32>]) -> Block {
    let mut m = Csr { cols: rows[0].len(), indptr: vec![0], ..Csr::default() };
    for row in rows {
        for (j, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            m.indices.push(j as u32);
            m.values.push(value);
        }
        m.indptr.push(m.indices.len());
    }
    Block::Sparse(m)
}

fn dense(rows: &[Vec<f32>]) -> Block {
    Block::Dense(Dense { rows: rows.len(), cols: rows[0].len(), values: rows.concat() })
}

/// The same rows dense, sparse, and as a sparse block beside a dense one.
fn forms(rows: &[[f32; 4]]) -> [Features; 3] {
    let whole: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
    let left: Vec<Vec<f32>> = rows.iter().map(|row| row[..2].to_vec()).collect();
    let right: Vec<Vec<f32>> = rows.iter().map(|row| row[2..].to_vec()).collect();
    [vec![dense(&whole)], vec![sparse(&whole)], vec![sparse(&left), dense(&right)]].map(|blocks| Features { blocks })
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(near, "{found:?}\n{expected:?}");
}

/// What `fit` answers in each form is `expected`.
fn check(fit: impl Fn(&Features, &Features) -> Vec<f64>, expected: &[f64]) {
    for (x, asked) in forms(&ROWS).iter().zip(&forms(&ASKED)) {
        assert_near(&fit(x, asked), expected);
    }
}

#[test]
fn multinomial_is_scikit_learns() {
    let expected = [
        0.400_400_764_863,
        0.037_703_141_679_80,
        0.561_896_093_457_2,
        1.0 / 3.0,
        1.0 / 3.0,
        1.0 / 3.0,
        8.915_776_822_941e-4,
        0.991_692_814_053_5,
        7.415_608_264_219e-3,
    ];
    let fit = |x: &Features, asked: &Features| {
        MultinomialNb::default().fit(x, &THREE, 3, None).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
    let expected = [
        0.388_484_746_227_7,
        0.010_487_613_327_52,
        0.601_027_640_444_8,
        1.0 / 3.0,
        1.0 / 3.0,
        1.0 / 3.0,
        1.683_251_722_430e-4,
        0.999_758_293_418_9,
        7.338_140_888_918e-5,
    ];
    let weighed = MultinomialNb { alpha: 0.5, fit_prior: false };
    let fit = |x: &Features, asked: &Features| {
        weighed.fit(x, &THREE, 3, Some(&WEIGHT)).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
    let expected = [
        0.566_533_674_980,
        0.433_466_325_020,
        0.666_666_666_667,
        0.333_333_333_333,
        0.505_262_591_732,
        0.494_737_408_268,
    ];
    // the labels of the reference are 1 where the row is a multiple of 4
    let fit = |x: &Features, asked: &Features| {
        MultinomialNb::default().fit(x, &every_fourth(), 2, None).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
}

fn every_fourth() -> Vec<u32> {
    let labels: Vec<u32> = (0..9).map(|row| u32::from(row % 4 == 0)).collect();
    assert_eq!(labels, TWO);
    labels
}

#[test]
fn complement_is_scikit_learns() {
    let expected = [
        0.597_603_592_252,
        0.154_638_615_765,
        0.247_757_791_983,
        1.0 / 3.0,
        1.0 / 3.0,
        1.0 / 3.0,
        0.250_818_823_536,
        0.670_894_539_126,
        0.078_286_637_338,
    ];
    let fit = |x: &Features, asked: &Features| {
        ComplementNb::default().fit(x, &THREE, 3, None).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
    let expected = [
        0.331_911_308_792,
        0.314_238_208_153,
        0.353_850_483_055,
        1.0 / 3.0,
        1.0 / 3.0,
        1.0 / 3.0,
        0.313_969_111_012,
        0.457_348_121_356,
        0.228_682_767_632,
    ];
    let normed = ComplementNb { alpha: 0.3, norm: true };
    let fit =
        |x: &Features, asked: &Features| normed.fit(x, &THREE, 3, Some(&WEIGHT)).unwrap().predict_proba(asked).unwrap();
    check(fit, &expected);
    let expected = [0.395_219_381_922, 0.604_780_618_078, 0.5, 0.5, 0.338_027_662_208, 0.661_972_337_792];
    let fit = |x: &Features, asked: &Features| {
        ComplementNb::default().fit(x, &TWO, 2, None).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
}

#[test]
fn bernoulli_is_scikit_learns() {
    let answers = |nb: &BernoulliNb, y: &[u32], classes: usize, weight: Option<&[f64]>, expected: &[f64]| {
        let fit = |x: &Features, asked: &Features| {
            let model = nb.fit(x, y, classes, weight).unwrap();
            model.predict_proba(&binarized(asked, nb.binarize)).unwrap()
        };
        check(fit, expected);
    };
    let expected = [
        0.285_714_285_714,
        0.071_428_571_429,
        0.642_857_142_857,
        0.444_444_444_444,
        0.111_111_111_111,
        0.444_444_444_444,
        0.014_084_507_042,
        0.901_408_450_704,
        0.084_507_042_254,
    ];
    answers(&BernoulliNb::default(), &THREE, 3, None, &expected);
    let expected = [
        0.483_715_795_478,
        0.002_765_454_340,
        0.513_518_750_181,
        0.247_447_379_737,
        0.042_086_814_178,
        0.710_465_806_084,
        0.071_594_911_307,
        0.913_822_830_671,
        0.014_582_258_022,
    ];
    let above_one = BernoulliNb { alpha: 0.2, binarize: 1.0, fit_prior: true };
    answers(&above_one, &THREE, 3, Some(&WEIGHT), &expected);
    let expected = [
        0.404_112_246_218,
        0.595_887_753_782,
        0.604_098_202_204,
        0.395_901_797_796,
        0.504_276_262_708,
        0.495_723_737_292,
    ];
    answers(&BernoulliNb { fit_prior: false, ..BernoulliNb::default() }, &TWO, 2, None, &expected);
}

#[test]
fn gaussian_is_scikit_learns() {
    let expected = [0.0, 0.0, 1.0, 0.999_820_788_997_5, 1.876_700_658_258e-7, 1.790_233_324_580e-4, 0.0, 1.0, 0.0];
    let fit = |x: &Features, asked: &Features| {
        GaussianNb::default().fit(x, &THREE, 3, None).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
    let expected = [
        0.254_006_392_050_7,
        9.023_377_362_034e-5,
        0.745_903_374_175_7,
        0.387_600_812_973_8,
        0.022_406_185_029_94,
        0.589_993_001_996_3,
        6.701_547_855_064e-14,
        0.999_999_946_013_5,
        5.398_638_370_227e-8,
    ];
    let smooth = GaussianNb { var_smoothing: 0.1 };
    let fit =
        |x: &Features, asked: &Features| smooth.fit(x, &THREE, 3, Some(&WEIGHT)).unwrap().predict_proba(asked).unwrap();
    check(fit, &expected);
    let expected = [
        0.386_366_343_642,
        0.613_633_656_358,
        0.428_256_834_381,
        0.571_743_165_619,
        0.739_220_898_316,
        0.260_779_101_684,
    ];
    let fit = |x: &Features, asked: &Features| {
        GaussianNb::default().fit(x, &TWO, 2, None).unwrap().predict_proba(asked).unwrap()
    };
    check(fit, &expected);
}

#[test]
fn a_class_without_rows_has_no_probability() {
    let [x, ..] = forms(&ROWS);
    let y: Vec<u32> = THREE.iter().map(|&class| 2 * class).collect();
    let expected = GaussianNb::default().fit(&x, &THREE, 3, None).unwrap().predict_proba(&x).unwrap();
    let found = GaussianNb::default().fit(&x, &y, 6, None).unwrap().predict_proba(&x).unwrap();
    for (found, expected) in found.chunks(6).zip(expected.chunks(3)) {
        assert_eq!(found, [expected[0], 0.0, expected[1], 0.0, expected[2], 0.0]);
    }
    let weightless: Vec<f64> = THREE.iter().map(|&class| if class == 1 { 0.0 } else { 1.0 }).collect();
    let model = MultinomialNb::default().fit(&x, &THREE, 3, Some(&weightless)).unwrap();
    assert_eq!(model.present, [0, 2]);
    assert!(model.predict_proba(&x).unwrap().chunks(3).all(|row| row[1] == 0.0));
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let [x, ..] = forms(&ROWS);
    let multinomial = MultinomialNb::default();
    assert_eq!(multinomial.fit(&x, &[1; 9], 2, None), Err(FitError::OneClass { class: 1 }));
    assert_eq!(GaussianNb::default().fit(&x, &[1; 9], 2, None), Err(FitError::OneClass { class: 1 }));
    assert_eq!(multinomial.fit(&Features::default(), &[], 2, None), Err(FitError::NoRows));
    let mut below = x.clone();
    let Block::Dense(m) = &mut below.blocks[0] else { unreachable!() };
    m.values[6] = -0.5;
    let negative = FitError::Negative { row: 1, column: 2, value: -0.5 };
    assert_eq!(multinomial.fit(&below, &TWO, 2, None), Err(negative.clone()));
    assert_eq!(ComplementNb::default().fit(&below, &TWO, 2, None), Err(negative));
    assert!(BernoulliNb::default().fit(&below, &TWO, 2, None).is_ok());
    let wrong = BernoulliNb { binarize: -1.0, ..BernoulliNb::default() }.fit(&x, &TWO, 2, None);
    assert!(matches!(wrong, Err(FitError::Parameter { name: "binarize", .. })));
    let wrong = MultinomialNb { alpha: 0.0, fit_prior: true }.fit(&x, &TWO, 2, None);
    assert!(matches!(wrong, Err(FitError::Parameter { name: "alpha", .. })));
}

#[test]
fn rows_that_are_all_alike_are_told_apart_by_the_priors_alone() {
    let x = Features { blocks: vec![dense(&vec![vec![2.0, 0.0]; 4])] };
    let model = GaussianNb::default().fit(&x, &[0, 0, 0, 1], 2, None).unwrap();
    assert_near(&model.predict_proba(&x).unwrap()[..2], &[0.75, 0.25]);
    let model = ComplementNb { alpha: 1.0, norm: true }.fit(
        &Features { blocks: vec![dense(&vec![vec![2.0]; 4])] },
        &[0, 0, 0, 1],
        2,
        None,
    );
    assert!(model.unwrap().coef[0].iter().all(|weight| weight.is_finite()));
}
