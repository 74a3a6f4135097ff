//! Are the numbers scikit-learn's? Out-of-fold predictions on given folds, held against reference files where they are there.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use arrow::array::{Float32Array, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use fuseline::table::from_parquet;

use crate::support::{Project, shared};

/// A pipeline like scikit-learn's make_pipeline(TfidfVectorizer(…), estimator) over `data.csv`.
fn pipeline(tfidf: &str, estimator: &str) -> String {
    format!(
        "name: reference
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label, fold: fold }} }}
  words: {{ use: tokenize, from: rows }}
  tfidf: {{ use: tfidf, from: words, with: {{ {tfidf} }} }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ {estimator} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: given }} }}
"
    )
}

fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> &'t T {
    table.column_by_name(name).unwrap().as_any().downcast_ref::<T>().unwrap()
}

/// Share of rows with the reference's label, and the greatest difference of a score.
fn agreement(ours: &RecordBatch, reference: &RecordBatch) -> (f64, f64) {
    let ids: &StringArray = column(reference, "id");
    let row_of: HashMap<&str, usize> = ids.iter().flatten().enumerate().map(|(row, id)| (id, row)).collect();
    let (row_id, predicted): (&StringArray, &StringArray) = (column(ours, "row_id"), column(ours, "predicted"));
    let expected: &StringArray = column(reference, "predicted");
    let rows: Vec<usize> = row_id.iter().map(|id| row_of[id.unwrap()]).collect();
    assert_eq!(rows.len(), reference.num_rows());
    let same = rows.iter().enumerate().filter(|(row, at)| predicted.value(*row) == expected.value(**at)).count();
    let mut worst: f64 = 0.0;
    for field in reference.schema().fields().iter().filter(|field| field.name().starts_with("score:")) {
        let (theirs, our): (&Float32Array, &Float64Array) =
            (column(reference, field.name()), column(ours, field.name()));
        for (row, &at) in rows.iter().enumerate() {
            worst = worst.max((our.value(row) - f64::from(theirs.value(at))).abs());
        }
    }
    (same as f64 / rows.len() as f64, worst)
}

fn check(set: &str, suffix: &str, pipeline: &str, tolerance: f64) {
    let (Some(data), Some(reference)) =
        (shared(&format!("reference/{set}.csv.gz")), shared(&format!("reference/{set}_{suffix}.parquet")))
    else {
        return;
    };
    let project = Project::new().file("data.csv", unpacked(&data)).file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let ours = from_parquet(project.read("out/predictions.parquet")).unwrap();
    let reference = with_plain_strings(&from_parquet(std::fs::read(reference).unwrap()).unwrap());
    let (same, worst) = agreement(&ours, &reference);
    println!("{set} {suffix}: {:.3}% of labels agree, greatest score difference {worst:.2e}", same * 100.0);
    assert!(same >= 0.995 && worst <= tolerance, "{set}: {same} of labels agree, scores differ by {worst}");
}

/// pandas writes strings with 64-bit offsets.
pub(crate) fn with_plain_strings(table: &RecordBatch) -> RecordBatch {
    let columns = table.schema_ref().fields().iter().zip(table.columns()).map(|(field, column)| {
        let column = match field.data_type() {
            DataType::LargeUtf8 | DataType::Utf8View => cast(column, &DataType::Utf8).unwrap(),
            _ => column.clone(),
        };
        (field.name().clone(), column)
    });
    RecordBatch::try_from_iter(columns).unwrap()
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn logistic_regression_on_tfidf_is_scikit_learns() {
    let pipeline = pipeline("", "logistic_regression: { c: 1.0 }");
    check("films", "tfidf_lr", &pipeline, 2e-3);
    check("banking77", "tfidf_lr", &pipeline, 2e-3);
}

#[test]
fn a_linear_svm_on_tfidf_is_scikit_learns() {
    let pipeline = pipeline("ngram_range: [1, 2], min_df: 2, sublinear_tf: true", "linear_svc: { c: 1.0 }");
    check("films", "tfidf12_svm", &pipeline, 2e-3);
    check("banking77", "tfidf12_svm", &pipeline, 2e-3);
}
