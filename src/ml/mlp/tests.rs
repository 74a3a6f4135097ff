use std::sync::atomic::{AtomicUsize, Ordering};

use super::descent::Descent;
use super::truth::Truth;
use super::*;
use crate::ml::{Block, Csr, Dense};

const GO_ON: ShouldStop<'static> = &|| false;

fn dense(rows: &[Vec<f32>]) -> Features {
    let cols = rows.first().map_or(0, Vec::len);
    Features { blocks: vec![Block::Dense(Dense { rows: rows.len(), cols, values: rows.concat() })] }
}

fn csr(rows: &[Vec<f32>]) -> Block {
    let mut m = Csr { cols: rows.first().map_or(0, Vec::len), indptr: vec![0], ..Csr::default() };
    for row in rows {
        for (column, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            m.indices.push(column as u32);
            m.values.push(value);
        }
        m.indptr.push(m.indices.len());
    }
    Block::Sparse(m)
}

/// The rows dense, sparse, and as a sparse, an empty and a dense block side by side.
fn forms(rows: &[Vec<f32>]) -> [Features; 3] {
    let columns = |span: std::ops::Range<usize>| rows.iter().map(|row| row[span.clone()].to_vec()).collect::<Vec<_>>();
    let (cols, cut) = (rows[0].len(), rows[0].len() / 2);
    let mut mixed = vec![csr(&columns(0..cut))];
    mixed.extend(dense(&columns(cut..cut)).blocks);
    mixed.extend(dense(&columns(cut..cols)).blocks);
    [dense(rows), Features { blocks: vec![csr(rows)] }, Features { blocks: mixed }]
}

fn small_rows() -> Vec<Vec<f32>> {
    let value = |i: usize, j: usize| if (i + j).is_multiple_of(3) { 0.0 } else { ((i * 7 + j * 3) % 5) as f32 / 2.0 };
    (0..12).map(|i| (0..5).map(|j| value(i, j)).collect()).collect()
}

/// Layers that tests in another language can make too.
fn small_start(widths: &[usize]) -> Vec<Layer> {
    let layer = |(l, pair): (usize, &[usize])| {
        let weight = |at: usize| ((at / pair[1] * 7 + at % pair[1] * 3 + l) % 11) as f32 - 5.0;
        let bias = |j: usize| ((j * 5 + l) % 7) as f32 - 3.0;
        let weights = (0..pair[0] * pair[1]).map(|at| weight(at) / 16.0).collect();
        Layer { weights, bias: (0..pair[1]).map(|j| bias(j) / 16.0).collect() }
    };
    widths.windows(2).enumerate().map(layer).collect()
}

/// Rows of `cols` columns, most of them 0; those of a class have a column of their own.
fn many_rows(count: usize, cols: usize, classes: usize) -> (Vec<Vec<f32>>, Vec<u32>) {
    let mut rng = Rng::seeded(5);
    let class: Vec<u32> = (0..count).map(|row| (row % classes) as u32).collect();
    let row = |&class: &u32| {
        let mut value = |column: usize| {
            let own = column == class as usize && rng.below(10) > 0;
            if own || rng.below(10) == 0 { rng.uniform() as f32 + 0.1 } else { 0.0 }
        };
        (0..cols).map(&mut value).collect()
    };
    (class.iter().map(row).collect(), class)
}

fn quick() -> Mlp {
    Mlp { hidden_layer_sizes: vec![6], learning_rate_init: 0.02, max_iter: 30, batch_size: 20, ..Mlp::default() }
}

fn bits(model: &MlpModel) -> Vec<u32> {
    model.layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.bias)).map(|value| value.to_bits()).collect()
}

/// What is learned, with which activation, whether rows are weighed, hidden layers, loss, answers.
type Case = (&'static str, Activation, bool, Vec<usize>, f64, Vec<f64>);

/// `MLPClassifier` and `MLPRegressor` of scikit-learn 1.9.1 in double precision, with `warm_start`, the first layers of `small_start` put in
/// place by hand, and `shuffle=False`: the loss of the last of six passes, and what two rows are answered.
#[test]
fn steps_are_those_of_scikit_learn() {
    use Activation::{Identity, Logistic, Relu, Tanh};
    #[rustfmt::skip]
    let cases: [Case; 14] = [
        ("two", Identity, false, vec![4, 3], 0.70400946, vec![0.60562161, 0.39437839, 0.59364332, 0.40635668]),
        ("three", Identity, true, vec![4, 3], 0.58575178, vec![0.27265036, 0.00495402, 0.72239562, 0.82716505, 0.0104255, 0.16240945]),
        ("value", Identity, false, vec![4, 3], 0.33334252, vec![0.57748934, 0.79075451]),
        ("two", Logistic, false, vec![4, 3], 0.70859601, vec![0.59169067, 0.40830933, 0.59166175, 0.40833825]),
        ("three", Logistic, true, vec![4, 3], 1.08650997, vec![0.17784533, 0.46138659, 0.36076808, 0.1778469, 0.4613765, 0.36077659]),
        ("value", Logistic, false, vec![4, 3], 0.56634496, vec![0.50152299, 0.50165046]),
        ("two", Tanh, false, vec![4, 3], 0.70127173, vec![0.57341193, 0.42658807, 0.5705791, 0.4294209]),
        ("three", Tanh, true, vec![4, 3], 0.64282381, vec![0.21851137, 0.05782743, 0.7236612, 0.49528336, 0.07617084, 0.4285458]),
        ("value", Tanh, true, vec![4, 3], 0.31755427, vec![0.65286054, 0.68518075]),
        ("two", Relu, false, vec![4, 3], 0.69878660, vec![0.5657343, 0.4342657, 0.56294518, 0.43705482]),
        ("three", Relu, true, vec![4, 3], 0.81308143, vec![0.23568361, 0.27077457, 0.49354181, 0.23568361, 0.27077457, 0.49354181]),
        ("value", Relu, false, vec![4, 3], 0.32550228, vec![0.34084665, 0.36440501]),
        ("three", Relu, false, vec![], 0.58656351, vec![0.15898454, 0.20666592, 0.63434954, 0.68001586, 0.15383338, 0.16615076]),
        ("value", Relu, false, vec![], 0.33560324, vec![0.31545462, 0.5084843]),
    ];
    let (two, three): (Vec<u32>, Vec<u32>) = (0..12).map(|i| (u32::from(i % 4 < 2), i * 5 % 3)).unzip();
    let values: Vec<f64> = (0..12).map(|i| f64::from(i * 5 % 7) / 2.0 - 1.0).collect();
    for (kind, activation, weighed, hidden, loss, answers) in cases {
        let (truth, says, outputs) = match kind {
            "two" => (Truth::Classes { place: &two, count: 2 }, Says::Classes { count: 2, present: vec![0, 1] }, 1),
            "three" => {
                let says = Says::Classes { count: 3, present: vec![0, 1, 2] };
                (Truth::Classes { place: &three, count: 3 }, says, 3)
            }
            _ => (Truth::Values(&values), Says::Value, 1),
        };
        let weight: Vec<f64> = (0..12).map(|i| if weighed { 1.0 + f64::from(i % 3) / 2.0 } else { 1.0 }).collect();
        let widths: Vec<usize> = [5].into_iter().chain(hidden.clone()).chain([outputs]).collect();
        let mlp = Mlp {
            hidden_layer_sizes: hidden,
            activation,
            alpha: 0.1,
            batch_size: 5,
            learning_rate_init: 0.05,
            max_iter: 6,
            shuffle: false,
            beta_1: 0.8,
            beta_2: 0.99,
            epsilon: 1e-6,
            ..Mlp::default()
        };
        for x in forms(&small_rows()) {
            let (learned, kept_back) = ((0..12).collect(), Vec::new());
            let descent = Descent { mlp: &mlp, x: &x, truth, weight: &weight, learned, kept_back, should_stop: GO_ON };
            let (layers, end) = descent.run(small_start(&widths), &mut Rng::seeded(0)).unwrap();
            assert!((end.loss - loss).abs() < 2e-6, "{kind} {activation:?}: {} for {loss}", end.loss);
            assert_eq!((end.iterations, end.converged), (6, false));
            let model = MlpModel { says: says.clone(), activation, layers }.checked().unwrap();
            let found = model.predict(&x.take_rows(&[1, 6])).unwrap();
            assert_eq!(found.len(), answers.len());
            let far = found.iter().zip(&answers).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 1e-5, "{kind} {activation:?}: {found:?} for {answers:?}");
        }
    }
}

#[test]
fn the_bits_are_the_same_for_any_number_of_threads() {
    let (rows, class) = many_rows(230, 400, 3);
    // more weights than go together, and a last batch of one row and of many
    for (batch_size, hidden) in [(200, vec![50, 7]), (229, vec![50]), (1000, vec![50])] {
        let mlp = Mlp { hidden_layer_sizes: hidden, batch_size, max_iter: 3, ..Mlp::default() };
        for x in forms(&rows) {
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let (model, end) = mlp.fit_classes(&x, &class, 3, None, 7, GO_ON).unwrap();
                    let answers = model.predict(&x).unwrap();
                    (bits(&model), end.loss.to_bits(), answers.into_iter().map(f64::to_bits).collect::<Vec<_>>())
                })
            };
            assert_eq!(on(1), on(4));
        }
    }
}

#[test]
fn a_row_is_answered_alike_in_any_company_and_any_form() {
    let (rows, class) = many_rows(150, 9, 3);
    let (model, _) = quick().fit_classes(&dense(&rows), &class, 3, None, 1, GO_ON).unwrap();
    let [all, sparse, mixed] = forms(&rows).map(|x| model.predict(&x).unwrap());
    assert_eq!((&all, &all), (&sparse, &mixed));
    for row in [0, 63, 64, 149] {
        assert_eq!(model.predict(&dense(&rows[row..=row])).unwrap(), all[row * 3..row * 3 + 3]);
    }
    assert_eq!(model.predict(&dense(&[])), Err(FitError::Width { expected: 9, found: 0 }));
    let huge = model.predict(&dense(&[vec![f32::MAX; 9], vec![-f32::MAX; 9]])).unwrap();
    assert!(huge.iter().all(|share| (0.0..=1.0).contains(share)), "{huge:?}");
}

#[test]
fn seeds_decide() {
    let (rows, class) = many_rows(60, 6, 2);
    let of = |seed| bits(&quick().fit_classes(&dense(&rows), &class, 2, None, seed, GO_ON).unwrap().0);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn classes_without_rows_have_no_probability() {
    let (rows, class) = many_rows(60, 6, 3);
    let class: Vec<u32> = class.iter().map(|class| [2, 9_000, 9_999][*class as usize]).collect();
    for (classes, present) in [(10_000, 3), (10_001, 2)] {
        let class: Vec<u32> = class.iter().map(|&c| if present == 2 { c.max(9_000) } else { c }).collect();
        let (model, _) = quick().fit_classes(&dense(&rows), &class, classes, None, 1, GO_ON).unwrap();
        let answers = model.predict(&dense(&rows)).unwrap();
        for (row, own) in answers.chunks(classes).zip(&class) {
            assert_eq!(row.iter().filter(|share| **share > 0.0).count(), present);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(row[*own as usize] > 0.0);
        }
    }
}

#[test]
fn rows_of_no_weight_take_no_part() {
    let (rows, class) = many_rows(60, 6, 3);
    let weight: Vec<f64> = (0..60).map(|row| if row % 5 == 0 { 0.0 } else { 1.5 }).collect();
    let kept: Vec<usize> = (0..60).filter(|row| row % 5 != 0).collect();
    let (few, few_weights) = (dense(&rows).take_rows(&kept), vec![1.5; kept.len()]);
    let few_classes: Vec<u32> = kept.iter().map(|&row| class[row]).collect();
    for validation_fraction in [None, Some(0.2)] {
        let mlp = Mlp { validation_fraction, ..quick() };
        let all = mlp.fit_classes(&dense(&rows), &class, 3, Some(&weight), 1, GO_ON).unwrap();
        let other = mlp.fit_classes(&few, &few_classes, 3, Some(&few_weights), 1, GO_ON).unwrap();
        assert_eq!(all, other);
    }
}

#[test]
fn early_stopping_gives_the_weights_that_answered_best() {
    let (rows, class) = many_rows(90, 6, 3);
    let x = dense(&rows);
    let values: Vec<f64> = class.iter().map(|&class| f64::from(class)).collect();
    let mlp = Mlp { validation_fraction: Some(0.2), n_iter_no_change: 3, max_iter: 200, ..quick() };
    let kept_back = |truth: Truth<'_>, outputs| {
        let mut rng = Rng::seeded(4);
        mlp.start(6, outputs, &mut rng).unwrap();
        mlp.divided(truth, &[1.0; 90], &mut rng).unwrap().1
    };
    let (model, end) = mlp.fit_classes(&x, &class, 3, None, 4, GO_ON).unwrap();
    let back = kept_back(Truth::Classes { place: &class, count: 3 }, 3);
    let of_class = |wanted: u32| back.iter().filter(|&&row| class[row] == wanted).count();
    assert_eq!([of_class(0), of_class(1), of_class(2)], [6; 3]);
    let answers = model.predict(&x.take_rows(&back)).unwrap();
    let found = |row: &[f64]| super::super::linear::first_greatest(row) as u32;
    let right = answers.chunks(3).zip(&back).filter(|(row, at)| found(row) == class[**at]).count();
    let best = end.best_validation_score.unwrap();
    assert!((best - right as f64 / 18.0).abs() < 1e-9 && end.converged && end.iterations > 4, "{end:?} {right}");

    let (model, end) = mlp.fit_values(&x, &values, None, 4, GO_ON).unwrap();
    let back = kept_back(Truth::Values(&values), 1);
    assert_eq!(back.len(), 18);
    let (answers, truth): (Vec<f64>, Vec<f64>) =
        (model.predict(&x.take_rows(&back)).unwrap(), back.iter().map(|&row| values[row]).collect());
    let mean = truth.iter().sum::<f64>() / 18.0;
    let squares = |of: &dyn Fn(usize) -> f64| (0..18).map(|at| (truth[at] - of(at)).powi(2)).sum::<f64>();
    let score = 1.0 - squares(&|at| answers[at]) / squares(&|_| mean);
    assert!((end.best_validation_score.unwrap() - score).abs() < 1e-5 && end.converged, "{end:?} {score}");
}

#[test]
fn a_fit_ends_when_asked_and_says_when_it_did_not_converge() {
    let (rows, class) = many_rows(60, 6, 3);
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) == 7;
    assert_eq!(quick().fit_classes(&dense(&rows), &class, 3, None, 1, &stop), Err(FitError::Interrupted));
    assert_eq!(asked.into_inner(), 8);
    let end = |max_iter, tol| {
        let mlp = Mlp { max_iter, tol, ..quick() };
        mlp.fit_classes(&dense(&rows), &class, 3, None, 1, GO_ON).unwrap().1
    };
    assert_eq!((end(5, 0.0).iterations, end(5, 0.0).converged), (5, false));
    // the first pass counts as an improvement, eleven more do not
    assert_eq!((end(99, 1e9).iterations, end(99, 1e9).converged), (12, true));
}

#[test]
fn what_cannot_be_learned_is_said() {
    let (rows, class) = many_rows(40, 6, 2);
    let x = dense(&rows);
    let parameter = |mlp: Mlp| match mlp.fit_classes(&x, &class, 2, None, 1, GO_ON) {
        Err(FitError::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(parameter(Mlp { hidden_layer_sizes: vec![3, 0], ..quick() }), "hidden_layer_sizes");
    assert_eq!(parameter(Mlp { hidden_layer_sizes: vec![usize::MAX, 9], ..quick() }), "hidden_layer_sizes");
    assert_eq!(parameter(Mlp { alpha: -1.0, ..quick() }), "alpha");
    assert_eq!(parameter(Mlp { batch_size: 0, ..quick() }), "batch_size");
    assert_eq!(parameter(Mlp { learning_rate_init: 0.0, ..quick() }), "learning_rate_init");
    assert_eq!(parameter(Mlp { max_iter: 0, ..quick() }), "max_iter");
    assert_eq!(parameter(Mlp { tol: f64::NAN, ..quick() }), "tol");
    assert_eq!(parameter(Mlp { n_iter_no_change: 0, ..quick() }), "n_iter_no_change");
    assert_eq!(parameter(Mlp { beta_1: 1.0, ..quick() }), "beta_1");
    assert_eq!(parameter(Mlp { beta_2: -0.1, ..quick() }), "beta_2");
    assert_eq!(parameter(Mlp { epsilon: 0.0, ..quick() }), "epsilon");
    assert_eq!(parameter(Mlp { validation_fraction: Some(1.0), ..quick() }), "validation_fraction");
    // of 20 rows a class, none is kept back
    assert_eq!(parameter(Mlp { validation_fraction: Some(0.01), ..quick() }), "validation_fraction");
    // the weights fly apart
    assert_eq!(parameter(Mlp { learning_rate_init: 1e30, ..quick() }), "learning_rate_init");
    let alike = Mlp { validation_fraction: Some(0.2), ..quick() }.fit_values(&x, &[1.0; 40], None, 1, GO_ON);
    assert!(matches!(alike, Err(FitError::Parameter { name: "validation_fraction", .. })), "{alike:?}");
    assert_eq!(quick().fit_classes(&x, &[1; 40], 2, None, 1, GO_ON), Err(FitError::OneClass { class: 1 }));
    assert_eq!(quick().fit_values(&dense(&[]), &[], None, 1, GO_ON), Err(FitError::NoRows));
    assert_eq!(quick().fit_values(&dense(&[vec![]]), &[1.0], None, 1, GO_ON), Err(FitError::NoColumns));
}

#[test]
fn the_least_that_can_be_learned_is() {
    let x = dense(&[vec![0.0, 1.0], vec![1.0, 0.0]]);
    let mlp = Mlp { batch_size: 1, max_iter: 200, n_iter_no_change: 200, ..quick() };
    let (model, _) = mlp.fit_classes(&x, &[0, 1], 2, None, 1, GO_ON).unwrap();
    let answers = model.predict(&x).unwrap();
    assert!(answers[0] > 0.8 && answers[3] > 0.8, "{answers:?}");
    let (model, _) = mlp.fit_values(&x.take_rows(&[0]), &[1.0], None, 1, GO_ON).unwrap();
    assert!((model.predict(&x.take_rows(&[0])).unwrap()[0] - 1.0).abs() < 0.1);
}

#[test]
fn stored_networks_that_do_not_fit_together_are_refused() {
    let (rows, class) = many_rows(40, 6, 3);
    let (model, _) = quick().fit_classes(&dense(&rows), &class, 3, None, 1, GO_ON).unwrap();
    assert_eq!(model.clone().checked(), Ok(model.clone()));
    let refused = |change: &dyn Fn(&mut MlpModel)| {
        let mut other = model.clone();
        change(&mut other);
        assert!(matches!(other.checked(), Err(FitError::Stored { .. })));
    };
    refused(&|model| model.layers.clear());
    refused(&|model| model.layers[0].weights[1] = f32::NAN);
    refused(&|model| model.layers[1].weights.truncate(17));
    refused(&|model| model.layers[0].bias.push(0.0));
    refused(&|model| model.layers[1].bias.clear());
    refused(&|model| model.says = Says::Value);
    refused(&|model| model.says = Says::Classes { count: 3, present: vec![0, 2, 1] });
    refused(&|model| model.says = Says::Classes { count: 2, present: vec![0, 1, 2] });
    refused(&|model| model.says = Says::Classes { count: 3, present: vec![1] });
}
