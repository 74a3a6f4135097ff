//! Scores and choices against scikit-learn 1.9.1, and rows that tell nothing.

use super::*;

fn close(got: impl Iterator<Item = f64>, want: &[f64]) {
    let got: Vec<f64> = got.collect();
    let same =
        |(got, want): (&f64, &f64)| (got - want).abs() <= 1e-9 * want.abs().max(1e-3) || got.is_nan() && want.is_nan();
    assert!(got.len() == want.len() && got.iter().zip(want).all(same), "{got:?} is not {want:?}");
}

/// scikit-learn: `chi2(X, y)`, `f_classif(X, y)`, `mutual_info_classif(X, y, discrete_features=True)`; numpy: `X.var(axis=0)`.
#[test]
fn scores_are_scikit_learns_in_every_form() {
    const NONE: f64 = f64::NAN;
    let expected: [(Judge, [f64; 6], Option<[f64; 6]>); 4] = [
        (
            Judge::Chi2,
            [27.695652173913043, 16.545454545454547, 25.000000000000004, 24.125, 22.372093023255815, 0.0],
            Some([
                9.682010383798518e-07,
                0.0002553878283445314,
                3.7266531720786633e-06,
                5.771953345416447e-06,
                1.3866336196561258e-05,
                1.0,
            ]),
        ),
        (
            Judge::FClassif,
            [12.094936708860757, 5.571428571428572, 7.15648854961832, 4.644385026737968, 2.9389002036659875, NONE],
            Some([
                0.002815568580580907,
                0.026640751135248355,
                0.013800711452961648,
                0.04113969282361932,
                0.10415185654569294,
                NONE,
            ]),
        ),
        (
            Judge::MutualInfo,
            [0.7745867487672071, 0.9830877585747855, 0.6365141682948129, 1.0986122886681098, 0.5057021323536757, 0.0],
            None,
        ),
        (
            Judge::Variance,
            [12.138888888888888, 6.854166666666667, 14.138888888888888, 15.833333333333334, 16.909722222222225, 0.0],
            None,
        ),
    ];
    for (judge, scores, p_values) in expected {
        for x in [small::dense(), small::sparse(), small::mixed()] {
            let found = judge.scores(&x, &small::Y, 3).unwrap();
            close(found.iter().map(|score| score.score), &scores);
            match p_values {
                Some(p_values) => close(found.iter().filter_map(|score| score.p_value), &p_values),
                None => assert!(found.iter().all(|score| score.p_value.is_none())),
            }
        }
    }
}

const F_SCORES: [f64; 6] =
    [2.382453334441121, 0.22608256466147447, 0.1393188477750845, 0.09975386253969676, 0.6951436189936504, f64::NAN];
const F_P_VALUES: [f64; 6] =
    [0.15373533030654943, 0.6446596375209307, 0.7167497051271065, 0.7586184666287076, 0.42388809287191553, f64::NAN];

/// scikit-learn: `f_regression(X, y)`, which says 0 where we say nothing.
#[test]
fn scores_of_values_are_scikit_learns_in_every_form() {
    let y = [0.5, -1.25, 3.0, 0.0, 2.5, 2.0, -0.5, 1.0, 4.0, 0.75, 1.5, -2.0];
    for x in [small::dense(), small::sparse(), small::mixed()] {
        let found = f_regression(&x, &y).unwrap();
        close(found.iter().map(|score| score.score), &F_SCORES);
        close(found.iter().filter_map(|score| score.p_value), &F_P_VALUES);
        assert!(f_regression(&x, &[1.5; 12]).unwrap().iter().all(|score| score.score.is_nan()));
    }
    let two = Features { blocks: vec![Block::Dense(Dense { rows: 2, cols: 1, values: vec![1.0, 2.0] })] };
    assert!(f_regression(&two, &[0.0, 1.0]).unwrap()[0].score.is_nan());
    let line = Features { blocks: vec![Block::Dense(Dense { rows: 4, cols: 1, values: vec![1.0, 2.0, 3.0, 4.0] })] };
    let found = f_regression(&line, &[2.0, 4.0, 6.0, 8.0]).unwrap()[0];
    assert!(found.score > 1e12 && found.p_value < Some(1e-12), "{found:?}");
    assert_eq!(f_regression(&Features::default(), &[]), Err(FitError::NoRows));
    assert!(matches!(f_regression(&line, &[1.0]), Err(FitError::Length { .. })));
    assert!(matches!(f_regression(&line, &[1.0, f64::NAN, 0.0, 0.0]), Err(FitError::Value { row: 1, .. })));
    let none = Features { blocks: vec![Block::Dense(Dense { rows: 2, cols: 0, values: vec![] })] };
    assert_eq!(f_regression(&none, &[0.0, 1.0]), Err(FitError::NoColumns));
}

#[test]
fn a_zero_that_is_stored_is_a_zero() {
    let stored = Csr { cols: 1, indptr: vec![0, 1, 2, 2, 3], indices: vec![0; 3], values: vec![0.0, 2.0, 2.0] };
    let without = Csr { cols: 1, indptr: vec![0, 0, 1, 1, 2], indices: vec![0; 2], values: vec![2.0, 2.0] };
    for judge in [Judge::Chi2, Judge::FClassif, Judge::MutualInfo, Judge::Variance] {
        let of =
            |m: &Csr| judge.scores(&Features { blocks: vec![Block::Sparse(m.clone())] }, &[0, 1, 0, 0], 2).unwrap();
        assert_eq!(of(&stored), of(&without), "{judge:?}");
    }
}

#[test]
fn classes_without_rows_change_nothing() {
    let moved: Vec<u32> = small::Y.iter().map(|class| class * 4000).collect();
    for judge in [Judge::Chi2, Judge::FClassif, Judge::MutualInfo] {
        let of = |y: &[u32], classes| {
            let found = judge.scores(&small::mixed(), y, classes).unwrap();
            found.iter().map(|score| score.score.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(of(&moved, 10_000), of(&small::Y, 3));
    }
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let dense = |rows, cols, values: Vec<f32>| Features { blocks: vec![Block::Dense(Dense { rows, cols, values })] };
    for judge in [Judge::Chi2, Judge::FClassif, Judge::MutualInfo] {
        assert_eq!(judge.scores(&dense(0, 2, vec![]), &[], 2), Err(FitError::NoRows));
        assert_eq!(judge.scores(&dense(2, 0, vec![]), &[0, 1], 2), Err(FitError::NoColumns));
        assert_eq!(judge.scores(&dense(1, 1, vec![1.0]), &[1], 2), Err(FitError::OneClass { class: 1 }));
        assert_eq!(judge.scores(&small::dense(), &[2; 12], 3), Err(FitError::OneClass { class: 2 }));
        let nan = dense(2, 1, vec![1.0, f32::NAN]);
        assert_eq!(judge.scores(&nan, &[0, 1], 2), Err(FitError::NonFinite { row: 1, column: 0 }));
    }
    let mut below = small::mixed();
    if let Block::Dense(m) = &mut below.blocks[1] {
        m.values[4] = -1.0;
    }
    let negative = Judge::Chi2.scores(&below, &small::Y, 3);
    assert!(matches!(negative, Err(FitError::Negative { row: 1, column: 4, .. })));
    // two rows of two classes leave no variance within; 0.1 has no exact form
    for x in [dense(2, 1, vec![1.0, 2.0]), dense(2, 1, vec![0.1; 2]), dense(2, 1, vec![0.0; 2])] {
        assert!(Judge::FClassif.scores(&x, &[0, 1], 2).unwrap()[0].score.is_nan());
    }
    assert_eq!(Judge::Variance.scores(&dense(7, 1, vec![0.1; 7]), &[], 0).unwrap()[0].score, 0.0);
}

fn chosen(keep: Keep, scores: &[Score]) -> Vec<u8> {
    keep.choose(scores).unwrap().iter().map(|&kept| u8::from(kept)).collect()
}

fn tied() -> Vec<Score> {
    let none = f64::NAN;
    let scores = [3.0, 1.0, 3.0, none, 2.0, 3.0, 1.0, 5.0];
    let p_values = [0.01, 0.2, 0.03, none, 0.04, 0.012, 0.5, 0.001];
    scores.into_iter().zip(p_values).map(|(score, p)| Score { score, p_value: Some(p) }).collect()
}

/// scikit-learn: `SelectKBest`, `SelectPercentile`, `SelectFpr`, `SelectFdr` and `SelectFwe` on the scores of [`tied`].
#[test]
fn the_columns_that_scikit_learn_keeps_are_kept() {
    for (keep, expected) in [
        (Keep::Best(1), [0, 0, 0, 0, 0, 0, 0, 1]),
        (Keep::Best(2), [0, 0, 0, 0, 0, 1, 0, 1]),
        (Keep::Best(3), [0, 0, 1, 0, 0, 1, 0, 1]),
        (Keep::Best(4), [1, 0, 1, 0, 0, 1, 0, 1]),
        (Keep::Best(6), [1, 0, 1, 0, 1, 1, 1, 1]),
        (Keep::Best(100), [1; 8]),
        (Keep::Percentile(13.0), [0, 0, 0, 0, 0, 0, 0, 1]),
        (Keep::Percentile(25.0), [1, 0, 0, 0, 0, 0, 0, 1]),
        (Keep::Percentile(40.0), [1, 0, 1, 0, 0, 0, 0, 1]),
        (Keep::Percentile(60.0), [1, 0, 1, 0, 1, 1, 0, 1]),
        (Keep::Percentile(90.0), [1, 1, 1, 0, 1, 1, 1, 1]),
        (Keep::Percentile(100.0), [1; 8]),
        (Keep::Fpr(0.03), [1, 0, 0, 0, 0, 1, 0, 1]),
        (Keep::Fdr(0.05), [1, 0, 0, 0, 0, 1, 0, 1]),
        (Keep::Fdr(0.09), [1, 0, 1, 0, 1, 1, 0, 1]),
        (Keep::Fwe(0.1), [1, 0, 0, 0, 0, 1, 0, 1]),
    ] {
        assert_eq!(chosen(keep, &tied()), expected, "{keep:?}");
    }
}

/// By the rule of `SelectFromModel`: at the threshold or above, of equals the first.
#[test]
fn weights_of_a_model_are_held_against_a_threshold() {
    let model = LinearModel {
        classes: 3,
        present: vec![0, 1, 2],
        coef: vec![vec![1.0, 0.0, -2.0, 0.5], vec![-1.0, 0.0, 0.0, 0.5], vec![0.0, 0.0, 0.0, 1.0]],
        intercept: vec![0.0; 3],
    };
    let scores = importances(&model);
    assert_eq!(scores.iter().map(|score| score.score).collect::<Vec<_>>(), [2.0, 0.0, 2.0, 2.0]);
    assert_eq!(chosen(Keep::From(Some(Threshold::Mean(1.0)), None), &scores), [1, 0, 1, 1]);
    assert_eq!(chosen(Keep::From(Some(Threshold::Median(1.0)), Some(2)), &scores), [1, 0, 1, 0]);
    assert_eq!(chosen(Keep::From(None, Some(1)), &scores), [1, 0, 0, 0]);
    assert_eq!(chosen(Keep::Above(Threshold::Value(0.0)), &scores), [1, 0, 1, 1]);
    let none = Keep::From(Some(Threshold::Value(2.5)), None).choose(&scores);
    assert_eq!(none, Err(KeepError::Nothing { columns: 4, best: 2.0 }));
    assert_eq!(Keep::Fpr(0.5).choose(&scores), Err(KeepError::NoPValues));
}

#[test]
fn columns_are_cut_out_of_each_block() {
    let kept = [true, false, true, false, false, true];
    let left = cut(&small::mixed(), &kept).unwrap();
    let [Block::Sparse(sparse), Block::Dense(dense)] = left.blocks.as_slice() else { panic!("two blocks") };
    assert_eq!((sparse.cols, sparse.row(1), dense.cols), (2, ([0, 1].as_slice(), [8.0, 2.0].as_slice()), 1));
    assert!(dense.values.iter().all(|&value| value == 4.0));
    let none = cut(&small::mixed(), &[true, true, true, false, false, false]).unwrap();
    assert_eq!((none.rows(), none.cols()), (12, 3));
    assert_eq!(cut(&small::mixed(), &kept[1..]), Err(FitError::Width { expected: 5, found: 6 }));
}
