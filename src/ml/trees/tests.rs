//! Do trees answer as scikit-learn's, whatever the number of threads, and refuse what they cannot learn? Reference numbers:
//! scikit-learn 1.9.1, fitted on the rows of `points` and asked for the first of them. Those of single trees are of models
//! that no `random_state` changes.

use super::*;
use crate::ml::linear::ShouldStop;
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

fn signal() -> Vec<f64> {
    let of = |i: usize| {
        let [a, b, c] = [0, 1, 2].map(|j| f64::from(value(i, j)));
        a + 0.5 * b - c * a
    };
    (0..40).map(of).collect()
}

fn two() -> Vec<u32> {
    signal().iter().map(|&s| u32::from(s > 0.1)).collect()
}

fn three() -> Vec<u32> {
    signal().iter().map(|&s| if s > 0.4 { 2 } else { u32::from(s > -0.3) }).collect()
}

fn weights() -> Vec<f64> {
    (0..40).map(|i| f64::from(1 + i % 3)).collect()
}

fn forest(n_estimators: usize, bootstrap: bool, random_cuts: bool, impurity: Impurity) -> Forest {
    let growth = Growth { random_cuts, impurity, max_features: MaxFeatures::Sqrt, ..Growth::default() };
    Forest { n_estimators, bootstrap, growth }
}

fn small() -> Boosting {
    Boosting {
        max_iter: 20,
        min_samples_leaf: 5,
        max_leaf_nodes: Some(5),
        early_stopping: EarlyStopping::Off,
        ..Boosting::default()
    }
}

type Fit =
    Box<dyn Fn(&Features, Target<'_>, Option<&[f64]>, u64, ShouldStop<'_>) -> Result<TreeModel, FitError> + Sync>;

/// A tree, forests, and boosting with rows held back and without.
fn every_kind() -> Vec<Fit> {
    let forests = [
        Forest::tree(Growth::default()),
        Forest::tree(Growth { impurity: Impurity::Entropy, ..Growth::default() }),
        forest(15, true, false, Impurity::Gini),
        forest(15, false, true, Impurity::Gini),
        forest(15, true, true, Impurity::Entropy),
    ];
    let held = Boosting { early_stopping: EarlyStopping::On, max_iter: 30, min_samples_leaf: 2, ..Boosting::default() };
    let mut kinds: Vec<Fit> = Vec::new();
    for forest in forests {
        kinds.push(Box::new(move |x, y, w, seed, stop| forest.fit(x, y, w, seed, stop)));
    }
    for boosting in [small(), held] {
        kinds.push(Box::new(move |x, y, w, seed, stop| boosting.fit(x, y, w, seed, stop)));
    }
    kinds
}

fn classes(y: &[u32], classes: usize) -> Target<'_> {
    Target::Classes { y, classes }
}

fn assert_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < tolerance, "{found} {wanted}");
    }
}

#[test]
fn trees_of_classes_equal_scikit_learns() {
    let scores = |growth: Growth, weight: Option<&[f64]>| {
        let model = Forest::tree(growth).fit(&points(), classes(&three(), 3), weight, 0, NEVER).unwrap();
        model.scores(&points()).unwrap()
    };
    let third = 1.0 / 3.0;
    let (first, last) = ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]);
    let gini = Growth { max_depth: Some(2), ..Growth::default() };
    let wanted = [[third, 2.0 * third, 0.0], first, [0.0, 0.75, 0.25], first, last, [0.0, 0.75, 0.25]];
    assert_close(&scores(gini, None), wanted.as_flattened(), 1e-12);
    let entropy = Growth { max_depth: Some(3), min_samples_leaf: 3, impurity: Impurity::Entropy, ..Growth::default() };
    let ninths = [0.0, 4.0 / 9.0, 5.0 / 9.0];
    let wanted = [[third, 2.0 * third, 0.0], first, ninths, first, last, ninths];
    assert_close(&scores(entropy, None), wanted.as_flattened(), 1e-12);
    let weighed = Growth { max_depth: Some(3), min_samples_leaf: 4, ..Growth::default() };
    let wanted = [[2.0 * third, third, 0.0], first, [0.0, 0.2, 0.8], first, last, [0.0, 0.875, 0.125]];
    assert_close(&scores(weighed, Some(&weights())), wanted.as_flattened(), 1e-12);
}

#[test]
fn a_tree_of_values_equals_scikit_learns() {
    let growth = Growth { max_depth: Some(3), min_samples_leaf: 4, ..Growth::default() };
    let model = Forest::tree(growth).fit(&points(), Target::Values(&signal()), Some(&weights()), 0, NEVER).unwrap();
    let wanted = [-0.382719997554, -0.644666655382, 0.799694111639, -0.644666655382, 0.799694111639, 0.308666676097];
    assert_close(&model.scores(&points()).unwrap(), &wanted, 1e-10);
}

#[test]
fn trees_of_few_leaves_equal_scikit_learns() {
    let tree = |most, impurity| Growth { max_leaf_nodes: Some(most), impurity, ..Growth::default() };
    let values = |most| {
        let forest = Forest::tree(tree(most, Impurity::Gini));
        let model = forest.fit(&points(), Target::Values(&signal()), None, 0, NEVER).unwrap();
        assert_eq!(model.trees.leaf_start.len() - 1, most);
        model.checked().unwrap().scores(&points()).unwrap()
    };
    let four = [-0.323866660484, -0.885450008231, 0.284236364985, -0.885450008231, 1.018199986446];
    assert_close(&values(4), &four, 1e-10);
    let seven = [-0.323866660484, -0.69567998702, 0.853866660086, -0.69567998702, 1.018199986446];
    assert_close(&values(7), &seven, 1e-10);
    let shares = |most, impurity| {
        let forest = Forest::tree(tree(most, impurity));
        let model = forest.fit(&points(), classes(&three(), 3), Some(&weights()), 0, NEVER).unwrap();
        model.scores(&points()).unwrap()
    };
    let (most, second) = ([12.0 / 13.0, 1.0 / 13.0, 0.0], [0.0, 1.0, 0.0]);
    assert_close(&shares(5, Impurity::Gini), [most, most, [0.0, 0.2, 0.8], most].as_flattened(), 1e-11);
    let pure = [0.96, 0.04, 0.0];
    assert_close(&shares(8, Impurity::Gini), [second, pure, [0.0, 0.0, 1.0], pure].as_flattened(), 1e-11);
    let ends = [most, most, [0.0, 0.0, 1.0], most];
    assert_close(&shares(5, Impurity::Entropy), ends.as_flattened(), 1e-11);
    // a limit that is never reached gives the tree without one
    let whole = |max_leaf_nodes| {
        let growth = Growth { max_leaf_nodes, ..Growth::default() };
        Forest::tree(growth).fit(&points(), classes(&three(), 3), None, 0, NEVER).unwrap().scores(&points()).unwrap()
    };
    assert_eq!(whole(Some(1000)), whole(None));
    let growth = Growth { max_leaf_nodes: Some(4), max_features: MaxFeatures::Count(2), ..Growth::default() };
    let some = Forest { n_estimators: 9, bootstrap: true, growth };
    let fit = || some.fit(&points(), classes(&three(), 3), None, 5, NEVER).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(fit(), pool.install(fit));
    for x in [dense(4, 2, |_, j| j as f32), dense(4, 1, |i, _| (i / 2) as f32)] {
        let model = some.fit(&x, classes(&[0, 1, 2, 2], 3), None, 0, NEVER).unwrap().checked().unwrap();
        assert!(model.scores(&x).unwrap().iter().all(|score| score.is_finite()));
    }
    assert_eq!(some.fit(&points(), classes(&two(), 2), None, 0, &|| true).unwrap_err(), FitError::Interrupted);
}

#[test]
fn boosting_equals_scikit_learns() {
    let second = |boosting: Boosting| {
        let model = boosting.fit(&points(), classes(&two(), 2), None, 0, NEVER).unwrap();
        model.scores(&points()).unwrap().chunks(2).map(|row| row[1]).collect::<Vec<f64>>()
    };
    let wanted = [0.060612873479, 0.079122187812, 0.935249926345, 0.060612873479, 0.863033770587, 0.882186588748];
    assert_close(&second(small()), &wanted, 1e-6);
    let wanted = [0.062387321684, 0.062387321684, 0.935811063489, 0.062387321684, 0.93336847759, 0.814092545105];
    assert_close(&second(Boosting { max_bins: 6, ..small() }), &wanted, 1e-6);
    let shallow = Boosting { l2_regularization: 0.5, max_depth: Some(2), ..small() };
    let model = shallow.fit(&points(), classes(&three(), 3), Some(&weights()), 0, NEVER).unwrap();
    let wanted = [
        [0.722055846232, 0.20974453365, 0.068199620118],
        [0.947413319536, 0.015130593588, 0.037456086876],
        [0.008600683689, 0.136362367722, 0.855036948589],
        [0.728318413374, 0.240099840722, 0.031581745904],
    ];
    assert_close(&model.scores(&points()).unwrap(), wanted.as_flattened(), 1e-6);
    let model = small().fit(&points(), Target::Values(&signal()), None, 0, NEVER).unwrap();
    let wanted = [-0.244660237075, -0.53904972736, 0.624390173329, -0.474265416837, 0.878333079568, 0.312446502231];
    assert_close(&model.scores(&points()).unwrap(), &wanted, 1e-6);
    let weighed = Boosting { l2_regularization: 0.5, ..small() };
    let model = weighed.fit(&points(), Target::Values(&signal()), Some(&weights()), 0, NEVER).unwrap();
    let wanted = [-0.403864718096, -0.507820853054, 0.624823710796, -0.489658053097, 0.809305625078];
    assert_close(&model.scores(&points()).unwrap(), &wanted, 1e-6);
}

#[test]
fn boosting_ends_where_rows_held_back_gain_nothing() {
    // labels that features do not tell
    let y: Vec<u32> = (0..40).map(|i| i / 3 % 2).collect();
    let early = Boosting { early_stopping: EarlyStopping::On, n_iter_no_change: 3, max_iter: 500, ..small() };
    let steps = |boosting: &Boosting| boosting.fit(&points(), classes(&y, 2), None, 4, NEVER).unwrap().size().1;
    assert!(steps(&early) < 500);
    assert_eq!(steps(&small()), 20);
}

#[test]
fn seeds_decide_and_threads_do_not() {
    let x = dense(700, 60, |i, j| value(i, j) + value(i / 7, 2 * j) / 3.0);
    let y: Vec<u32> =
        (0..700).map(|i| u32::from(value(i, 0) > 0.2) + u32::from(value(i, 1) * value(i, 2) > 0.0)).collect();
    for (at, fit) in every_kind().iter().enumerate() {
        let fitted = |seed| fit(&x, classes(&y, 4), None, seed, NEVER).unwrap();
        let model = fitted(1);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(model, pool.install(|| fitted(1)));
        }
        // a tree that looks at every column, and boosting that holds nothing back, leave nothing to chance
        assert_eq!(model == fitted(2), matches!(at, 0 | 1 | 5));
        let scores = model.scores(&x).unwrap();
        assert_eq!(model.scores(&x.take_rows(&[99])).unwrap(), scores[99 * 4..100 * 4]);
        assert!(scores.chunks(4).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9 && row[3] == 0.0));
        assert_eq!(model.clone().checked().unwrap(), model);
    }
}

#[test]
fn grown_trees_know_their_training_rows() {
    for (at, fit) in every_kind().iter().enumerate().take(5) {
        let model = fit(&points(), classes(&three(), 3), None, 5, NEVER).unwrap();
        let right = model.predict(&points()).unwrap().iter().zip(three()).filter(|(p, y)| **p == *y).count();
        assert!(right >= if at == 2 || at == 4 { 36 } else { 40 }, "{at}: {right}");
    }
}

#[test]
fn a_row_of_weight_two_is_as_good_as_two_and_one_of_weight_zero_as_none() {
    let mut rows: Vec<usize> = (0..40).collect();
    rows.push(7);
    rows.remove(3);
    let y: Vec<u32> = rows.iter().map(|&row| three()[row]).collect();
    let mut weight = vec![1.0; 40];
    (weight[7], weight[3]) = (2.0, 0.0);
    let tree = Forest::tree(Growth { max_depth: Some(3), ..Growth::default() });
    let twice = tree.fit(&points().take_rows(&rows), classes(&y, 3), None, 0, NEVER).unwrap();
    let weighed = tree.fit(&points(), classes(&three(), 3), Some(&weight), 0, NEVER).unwrap();
    assert_eq!(twice.scores(&points()).unwrap(), weighed.scores(&points()).unwrap());
    weight = vec![0.0; 40];
    (weight[0], weight[1]) = (1.0, 3.0);
    for fit in every_kind() {
        let model = fit(&points(), classes(&three(), 3), Some(&weight), 0, NEVER).unwrap();
        assert!(model.scores(&points()).unwrap().chunks(3).all(|row| row[2] == 0.0));
    }
}

#[test]
fn unsound_models_are_refused() {
    let model = || forest(3, true, false, Impurity::Gini).fit(&points(), classes(&three(), 3), None, 0, NEVER).unwrap();
    let spoil: [fn(&mut TreeModel); 12] = [
        |model| model.classes = 2,
        |model| model.classes = 0,
        |model| model.link = Link::Logistic,
        |model| model.base[0] = f64::NAN,
        |model| model.present[1] = 0,
        |model| model.trees.cols = 1,
        |model| model.trees.roots[0] = u32::MAX,
        |model| model.trees.nodes[0].below = 0,
        |model| {
            model.trees.nodes.pop();
        },
        |model| {
            model.trees.leaf_start.pop();
        },
        |model| model.trees.leaf_output[0] = 3,
        |model| model.trees.roots.clear(),
    ];
    for (at, spoil) in spoil.iter().enumerate() {
        let mut model = model();
        spoil(&mut model);
        assert!(matches!(model.checked(), Err(FitError::Stored { .. })), "{at}");
    }
}

#[test]
fn awkward_rows_get_an_answer() {
    let shapes = [
        dense(4, 3, |_, _| 0.0),
        dense(4, 2, |_, j| j as f32),
        dense(4, 9, value),
        dense(4, 1, |i, _| (i / 2) as f32),
        dense(4, 2, |i, _| if i == 0 { -3e38 } else { 3e38 }),
        dense(4, 1, |i, _| if i < 2 { 0.0 } else { -0.0 }),
    ];
    for x in &shapes {
        for fit in every_kind() {
            for (y, count) in [([0, 0, 1, 1], 2), ([0, 1, 1, 0], 2), ([0, 1, 2, 2], 3)] {
                let model = fit(x, classes(&y, count), None, 0, NEVER).unwrap().checked().unwrap();
                assert!(model.scores(x).unwrap().iter().all(|score| score.is_finite()));
                assert!(model.predict(x).unwrap().iter().all(|&class| (class as usize) < count));
            }
            let model = fit(x, Target::Values(&[1e9, 1e9 + 1.0, -4.0, 0.0]), None, 0, NEVER).unwrap();
            assert!(model.checked().unwrap().scores(x).unwrap().iter().all(|score| score.is_finite()));
        }
    }
    let one = dense(1, 2, value);
    for fit in every_kind() {
        assert_eq!(fit(&one, Target::Values(&[2.5]), None, 0, NEVER).unwrap().scores(&one).unwrap(), [2.5]);
    }
}

#[test]
fn ten_thousand_classes_are_learned_or_refused() {
    let (x, y) = (dense(10_000, 1, |i, _| i as f32), (0..10_000).collect::<Vec<u32>>());
    for forest in [Forest::tree(Growth::default()), forest(1, false, true, Impurity::Entropy)] {
        let model = forest.fit(&x, classes(&y, 10_000), None, 0, NEVER).unwrap();
        let some = [0, 5000, 9999];
        assert_eq!(model.predict(&x.take_rows(&some)).unwrap(), some.map(|row| row as u32));
    }
    let error = small().fit(&x, classes(&y, 10_000), None, 0, NEVER).unwrap_err();
    assert_eq!(error, FitError::ManyClasses { classes: 10_000, most: 1000 });
}

#[test]
fn what_cannot_be_learned_is_an_error() {
    let sparse = Csr { cols: 1, indptr: vec![0; 41], ..Csr::default() };
    let sparse = Features { blocks: vec![points().blocks[0].clone(), Block::Sparse(sparse)] };
    let nan = dense(40, 3, |i, j| if (i, j) == (9, 2) { f32::NAN } else { value(i, j) });
    for fit in every_kind() {
        let err = |x: &Features, y: &[u32], stop| fit(x, classes(y, 2), None, 0, stop).unwrap_err();
        assert_eq!(err(&sparse, &two(), NEVER), FitError::NeedsDense { block: 1 });
        assert_eq!(err(&nan, &two(), NEVER), FitError::NonFinite { row: 9, column: 2 });
        assert_eq!(err(&points(), &[1; 40], NEVER), FitError::OneClass { class: 1 });
        assert_eq!(err(&dense(1, 3, value), &[0], NEVER), FitError::OneClass { class: 0 });
        assert_eq!(err(&dense(0, 3, value), &[], NEVER), FitError::NoRows);
        assert_eq!(err(&dense(40, 0, value), &two(), NEVER), FitError::NoColumns);
        assert_eq!(err(&points(), &two(), &|| true), FitError::Interrupted);
        let values = fit(&points(), Target::Values(&[f64::NAN; 40]), None, 0, NEVER).unwrap_err();
        assert!(matches!(values, FitError::Value { row: 0, .. }));
        let none = fit(&points(), Target::Values(&signal()), Some(&[0.0; 40]), 0, NEVER).unwrap_err();
        assert_eq!(none, FitError::NoRows);
        let model = fit(&points(), classes(&two(), 2), None, 0, NEVER).unwrap();
        assert_eq!(model.predict(&dense(2, 2, value)).unwrap_err(), FitError::Width { expected: 3, found: 2 });
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let about = |fitted: Result<TreeModel, FitError>| match fitted.unwrap_err() {
        FitError::Parameter { name, .. } => name,
        other => panic!("{other}"),
    };
    let grown = |growth: Growth| about(Forest::tree(growth).fit(&points(), classes(&two(), 2), None, 0, NEVER));
    assert_eq!(grown(Growth { min_samples_leaf: 0, ..Growth::default() }), "min_samples_leaf");
    assert_eq!(grown(Growth { min_samples_split: 1, ..Growth::default() }), "min_samples_split");
    assert_eq!(grown(Growth { max_depth: Some(0), ..Growth::default() }), "max_depth");
    assert_eq!(grown(Growth { max_leaf_nodes: Some(1), ..Growth::default() }), "max_leaf_nodes");
    assert_eq!(grown(Growth { max_features: MaxFeatures::Share(1.5), ..Growth::default() }), "max_features");
    let none = forest(0, true, false, Impurity::Gini).fit(&points(), classes(&two(), 2), None, 0, NEVER);
    assert_eq!(about(none), "n_estimators");
    let boosted = |boosting: Boosting| about(boosting.fit(&points(), classes(&two(), 2), None, 0, NEVER));
    assert_eq!(boosted(Boosting { learning_rate: f64::NAN, ..small() }), "learning_rate");
    assert_eq!(boosted(Boosting { max_bins: 256, ..small() }), "max_bins");
    assert_eq!(boosted(Boosting { max_leaf_nodes: Some(1), ..small() }), "max_leaf_nodes");
    assert_eq!(boosted(Boosting { validation_fraction: 1.0, ..small() }), "validation_fraction");
}
