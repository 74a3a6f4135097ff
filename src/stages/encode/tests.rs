//! Are features scikit-learn's, learned from training rows alone, and is what does not fit said?

use std::path::Path;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use serde_json::{Value, json};

use super::*;
use crate::stage::{Made, Part, Progress};

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

fn built(with: Value) -> Result<Box<dyn Learner>, Vec<String>> {
    let scope = Scope { stage: "encode", base: Path::new("."), locate: &|_| None };
    match Encode::build(serde_json::from_value(with).unwrap(), &scope) {
        Ok(Work::Learner(learner)) => Ok(learner),
        Ok(_) => panic!("it learns"),
        Err(problems) => Err(problems.0.into_iter().map(|problem| problem.message).collect()),
    }
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Parts {
    let rows = columns[0].1.len();
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("r{row}"))));
    let columns = [("row_id", ids)].into_iter().chain(columns).map(|(name, column)| (name, column, name != "row_id"));
    let mut parts = Parts::default();
    parts.insert("columns", Part::memory(RecordBatch::try_from_iter_with_nullable(columns).unwrap()));
    parts
}

fn real(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn words(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The blocks, in dense form, and the names of their columns.
type Encoded = Vec<(Vec<Vec<f32>>, Vec<String>)>;

fn encode(with: Value, train: &Parts, rows: &Parts) -> Result<(Encoded, Output), String> {
    let learner = built(with).unwrap();
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    let said = |error: StageError| match error {
        StageError::Failed(failure) => {
            format!(
                "{} | {} | {}",
                failure.message,
                failure.help.join(", "),
                failure.param.unwrap_or_default().join(".")
            )
        }
        StageError::Interrupted => "interrupted".to_owned(),
    };
    let fitted = learner.fit(&TrainRows::of_fold(None, train, None).unwrap(), &ctx).map_err(said)?;
    let mut learned = Parts::default();
    for (name, made) in fitted.parts {
        let Made::Table(table) = made else { panic!("a new table") };
        learned.insert(name, Part::memory(table));
    }
    let output = learner.apply(&learned, rows, &ctx).map_err(said)?;
    let part = |name: String| {
        output.parts.iter().find(|(part, _)| *part == name).map(|(_, made)| match made {
            Made::Table(table) => Arc::new(table.clone()),
            Made::Same(part) => part.table().unwrap(),
        })
    };
    let blocks = (0..).map_while(|at| {
        let block = features::from_table(&*part(features::block_part(at))?).unwrap().1;
        let names =
            features::names(&*part(features::names_part(at))?).unwrap().iter().flatten().map(str::to_owned).collect();
        let rows = match block {
            Block::Dense(dense) => (0..dense.rows).map(|row| dense.row(row).to_vec()).collect(),
            Block::Sparse(sparse) => (0..sparse.rows())
                .map(|row| {
                    let mut values = vec![0.0; sparse.cols];
                    let (indices, found) = sparse.row(row);
                    indices.iter().zip(found).for_each(|(&at, &value)| values[at as usize] = value);
                    values
                })
                .collect(),
        };
        Some((rows, names))
    });
    Ok((blocks.collect(), output))
}

/// scikit-learn 1.9.1: `make_pipeline(SimpleImputer(strategy=…), scaler)`.
const SCALED: [(&str, &str, [f64; 3], f64); 6] = [
    ("mean", "standard", [0.0835638872450384, 0.0, -1.0402263205330633], 3.0),
    ("mean", "minmax", [0.35514018691588783, 0.3280373831775701, -0.009345794392523366], 3.0),
    ("mean", "robust", [0.4581589958158996, 0.33682008368200844, -1.1736401673640169], 3.0),
    ("median", "standard", [0.15853248607954018, -0.38095119789262655, -0.9488287599685916], 3.0),
    ("median", "minmax", [0.35514018691588783, 0.1775700934579439, -0.009345794392523366], 3.0),
    ("median", "robust", [0.9559748427672956, 0.0, -1.0062893081761006], 3.0),
];

#[test]
fn numbers_are_scaled_as_in_scikit_learn() {
    let constant: ArrayRef = Arc::new(Int64Array::from(vec![2; 6]));
    let train = table(vec![
        ("x", real(&[Some(31.0), None, Some(4.5), Some(-7.0), Some(12.0), Some(100.0)])),
        ("same", constant),
    ]);
    let other: ArrayRef = Arc::new(Int64Array::from(vec![2, 5, 2]));
    let rows = table(vec![("x", real(&[Some(31.0), Some(f64::NAN), Some(-8.0)])), ("same", other)]);
    for (impute, scale, expected, constant) in SCALED {
        let with = json!({ "numeric": ["x", "same"], "impute": impute, "scale": scale, "indicator": true });
        let (blocks, output) = encode(with, &train, &rows).unwrap();
        let [(values, names)] = blocks.as_slice() else { panic!("one block") };
        assert_eq!(*names, ["x", "same", "x=(missing)"]);
        for (row, expected) in values.iter().zip(expected) {
            assert!((f64::from(row[0]) - expected).abs() < 1e-6, "{impute} {scale}: {row:?} is not {expected}");
        }
        let rest: Vec<&[f32]> = values.iter().map(|row| &row[1..]).collect();
        assert_eq!(rest, [[0.0, 0.0], [constant as f32, 1.0], [0.0, 0.0]]);
        assert_eq!(output.facts["filled"], 1);
    }
}

/// scikit-learn 1.9.1: `OneHotEncoder(handle_unknown="infrequent_if_exist", …)`; names in our spelling, columns that are 1.
#[test]
fn categories_are_scikit_learns() {
    let train = table(vec![
        ("city", words(&["Seoul", "Paris", "Seoul", "Oslo", "Paris", "Rome", "Bern"].map(Some))),
        ("b", words(&[Some("b"), Some("b"), Some("a"), None, Some("b"), Some("c"), None])),
    ]);
    let rows = table(vec![
        ("city", words(&["Seoul", "Nowhere", "Oslo", "Paris"].map(Some))),
        ("b", words(&[Some("a"), Some("c"), None, Some("b")])),
    ]);
    let check = |more: Value, names: &[&str], expected: &[&[u8]]| {
        let mut with = json!({ "categorical": ["city", "b"], "handle_unknown": "infrequent_if_exist" });
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (blocks, output) = encode(with, &train, &rows).unwrap();
        let [(values, got)] = blocks.as_slice() else { panic!("one block") };
        assert_eq!(got, names);
        let expected: Vec<Vec<f32>> = expected.iter().map(|row| row.iter().map(|&v| f32::from(v)).collect()).collect();
        assert_eq!(*values, expected, "{more}");
        assert_eq!(output.facts["unknown"], 1);
    };
    let all = ["city=Bern", "city=Oslo", "city=Paris", "city=Rome", "city=Seoul", "b=a", "b=b", "b=c", "b=(missing)"];
    check(
        json!({}),
        &all,
        &[
            &[0, 0, 0, 0, 1, 1, 0, 0, 0],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 1, 0, 0, 0, 1, 0, 0],
        ],
    );
    let few = ["city=Paris", "city=Seoul", "city=(infrequent)", "b=b", "b=(missing)", "b=(infrequent)"];
    let rare: [&[u8]; 4] = [&[0, 1, 0, 0, 0, 1], &[0, 0, 1, 0, 0, 1], &[0, 0, 1, 0, 1, 0], &[1, 0, 0, 1, 0, 0]];
    check(json!({ "min_frequency": 2 }), &few, &rare);
    check(json!({ "min_frequency": 0.2 }), &few, &rare);
    check(json!({ "max_categories": 3 }), &few, &rare);
    let four =
        ["city=Paris", "city=Rome", "city=Seoul", "city=(infrequent)", "b=b", "b=c", "b=(missing)", "b=(infrequent)"];
    check(
        json!({ "max_categories": 4 }),
        &four,
        &[&[0, 0, 1, 0, 0, 0, 0, 1], &[0, 0, 0, 1, 0, 1, 0, 0], &[0, 0, 0, 1, 0, 0, 1, 0], &[1, 0, 0, 0, 1, 0, 0, 0]],
    );
    let two = ["city=Seoul", "city=(infrequent)", "b=b", "b=(infrequent)"];
    check(
        json!({ "min_frequency": 2, "max_categories": 2 }),
        &two,
        &[&[1, 0, 0, 1], &[0, 1, 0, 1], &[0, 1, 0, 1], &[0, 1, 1, 0]],
    );
    check(
        json!({ "max_categories": 1 }),
        &["city=(infrequent)", "b=(infrequent)"],
        &[&[1, 1], &[1, 1], &[1, 1], &[1, 1]],
    );
}

#[test]
fn columns_are_taken_by_their_types() {
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let year: ArrayRef = Arc::new(Int64Array::from(vec![10, 9, 10]));
    let train = table(vec![("year", year), ("paid", truth), ("x", real(&[Some(0.0), Some(1.0), Some(2.0)]))]);
    let (blocks, _) = encode(json!({}), &train, &train).unwrap();
    assert_eq!(blocks[0].1, ["year", "x"]);
    assert_eq!(blocks[1].1, ["paid=false", "paid=true", "paid=(missing)"]);
    let (blocks, _) = encode(
        json!({ "categorical": ["year", "x"], "numeric": ["paid"], "impute": "zero", "scale": "none" }),
        &train,
        &train,
    )
    .unwrap();
    assert_eq!(blocks[0].0, [[1.0], [0.0], [0.0]]);
    assert_eq!(blocks[1].1, ["year=9", "year=10", "x=0", "x=1", "x=2"]);
    let port = |with| built(with).unwrap().port(&[Port::Rows]).unwrap();
    assert_eq!(port(json!({})), Port::Features(Form::Mixed));
    assert_eq!(port(json!({ "numeric": ["x"] })), Port::Features(Form::Dense));
    assert_eq!(port(json!({ "categorical": ["x"] })), Port::Features(Form::Sparse));
}

#[test]
fn what_is_wrong_with_the_rows_is_said() {
    let train =
        table(vec![("age", real(&[Some(1.0), None, None])), ("city", words(&[Some("a"), Some("b"), Some("a")]))]);
    let wrong = |with| encode(with, &train, &train).unwrap_err();
    assert_eq!(
        wrong(json!({ "numeric": ["agee"] })),
        "the rows keep no column `agee`; they keep age, city | did you mean `age`? | numeric.0"
    );
    assert!(wrong(json!({ "categorical": ["row_id"] })).starts_with("the rows keep no column `row_id`"));
    assert_eq!(
        wrong(json!({ "numeric": ["age"] })),
        "the column `age` has no number in row `r1` and 1 more | say what stands in for it, for instance `impute: median` | numeric.0"
    );
    assert!(
        wrong(json!({ "numeric": ["city"] }))
            .starts_with("the column `city` holds text, not numbers | name it under `categorical`")
    );
    let none = table(vec![("age", real(&[None, None]))]);
    let error = encode(json!({ "impute": "mean" }), &none, &none).unwrap_err();
    assert!(error.starts_with("the column `age` has no number in any of 2 training rows"), "{error}");
    let endless = table(vec![("age", real(&[Some(1.0), Some(f64::INFINITY)]))]);
    let error = encode(json!({}), &endless, &endless).unwrap_err();
    assert!(error.starts_with("the column `age` is infinite in row `r1`"), "{error}");
    let large = table(vec![("age", real(&[Some(1.0), Some(1e300)]))]);
    assert!(encode(json!({}), &large, &large).unwrap_err().contains("too large"));
    let other = table(vec![("age", real(&[Some(1.0)])), ("city", words(&[Some("z")]))]);
    let error = encode(json!({ "categorical": ["city"], "handle_unknown": "error" }), &train, &other).unwrap_err();
    assert!(error.starts_with("the column `city` has `z` in row `r0`, which no training row has"), "{error}");
    assert!(encode(json!({}), &Parts::default(), &train).unwrap_err().starts_with("the rows have no columns besides"));
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let wrong = |with| built(with).err().unwrap();
    assert_eq!(wrong(json!({ "numeric": ["a", "b"], "categorical": ["a"] })), ["the column `a` is named twice"]);
    assert_eq!(wrong(json!({ "numeric": [] })), ["no column is named"]);
    assert_eq!(
        wrong(json!({ "categorical": ["a"], "scale": "none" })),
        ["`scale` is about `numeric` columns, but none is named"]
    );
    assert_eq!(
        wrong(json!({ "numeric": ["a"], "indicator": true })),
        ["`indicator` marks what is filled in, but nothing is"]
    );
    assert_eq!(wrong(json!({ "min_frequency": 0, "max_categories": 0 })).len(), 2);
    assert_eq!(wrong(json!({ "min_frequency": 1.5 })).len(), 1);
}
