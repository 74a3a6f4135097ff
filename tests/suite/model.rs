//! Are the vectors of the real all-MiniLM-L6-v2 those of sentence-transformers, and the same bits in any company? Do tokens get theirs?

use std::path::Path;

use arrow::array::{
    Array, AsArray, BooleanArray, FixedSizeListArray, Float32Array, Int64Array, ListArray, RecordBatch,
};
use fuseline::ml::Dense;
use fuseline::model::{EncodeOptions, Encoded, Place, SentenceEncoder, Subtokens};
use fuseline::table::{tokens::Tokens, vectors::Vectors};
use serde_json::Value;

use crate::rows::with_model;
use crate::support::{Project, snippets, words_pipeline};

/// How far an element of a vector may be from sentence-transformers'.
const TOLERANCE: f32 = 1e-5;

/// 1,000 real texts with their vectors (`shared/reference/scripts/make_embeddings.py`: sentence-transformers 6.2.0,
/// fp32).
struct Reference {
    texts: Vec<String>,
    tokens: Vec<i64>,
    truncated: Vec<bool>,
    vectors: Vec<Vec<f32>>,
}

fn reference() -> Option<Reference> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/minilm.parquet"));
    let table = fuseline::table::from_parquet(std::fs::read(path).ok()?).unwrap();
    let table = crate::numbers::with_plain_strings(&table);
    let texts = strings(&table, "text");
    let tokens = column::<Int64Array>(&table, "tokens").values().to_vec();
    let truncated = column::<BooleanArray>(&table, "truncated").iter().map(|cut| cut.unwrap()).collect();
    Some(Reference { texts, tokens, truncated, vectors: lists(&table, "vector") })
}

fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> &'t T {
    table
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref())
        .unwrap_or_else(|| panic!("no `{name}`"))
}

fn strings(table: &RecordBatch, name: &str) -> Vec<String> {
    let column = table.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

fn lists(table: &RecordBatch, name: &str) -> Vec<Vec<f32>> {
    let list =
        |values: arrow::array::ArrayRef| values.as_any().downcast_ref::<Float32Array>().unwrap().values().to_vec();
    let column = table.column_by_name(name).unwrap();
    match column.as_any().downcast_ref::<FixedSizeListArray>() {
        Some(fixed) => fixed.iter().map(|values| list(values.unwrap())).collect(),
        None => {
            column.as_any().downcast_ref::<ListArray>().unwrap().iter().map(|values| list(values.unwrap())).collect()
        }
    }
}

impl Reference {
    fn keep(&mut self, kept: &[bool]) {
        let Reference { texts, tokens, truncated, vectors } = self;
        keep(texts, kept);
        keep(tokens, kept);
        keep(truncated, kept);
        keep(vectors, kept);
    }
}

fn keep<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().is_some_and(|kept| *kept));
}

fn encode(encoder: &SentenceEncoder, texts: &[&str], threads: usize) -> Encoded {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| encoder.encode(texts, &EncodeOptions::default(), &|_, _| {}, &|| false)).unwrap()
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn row_bits(a: &Dense, row: usize, b: &Dense, other: usize) -> bool {
    same_bits(a.row(row), b.row(other))
}

#[test]
fn vectors_are_those_of_sentence_transformers_and_the_same_bits_in_any_company() {
    let Some(files) = crate::support::minilm() else {
        return;
    };
    let encoder = SentenceEncoder::load(&files, &Place::default()).unwrap();
    let Some(mut reference) = reference() else {
        crate::support::skipped("no reference vectors beside this project");
        return;
    };
    if cfg!(debug_assertions) {
        // kernels without optimisation take minutes for all: every tenth, and the awkward ones at the end
        let kept: Vec<bool> = (0..reference.texts.len()).map(|row| row % 10 == 3 || row >= 950).collect();
        reference.keep(&kept);
    }
    let awkward = reference.texts.len() - 50;
    let texts: Vec<&str> = reference.texts.iter().map(String::as_str).collect();
    let all = encode(&encoder, &texts, 2);

    assert_eq!(all.tokens.iter().map(|&tokens| tokens as i64).collect::<Vec<_>>(), reference.tokens);
    assert_eq!(all.tokens_lost.iter().map(|&lost| lost > 0).collect::<Vec<_>>(), reference.truncated);
    let worst = (0..texts.len())
        .flat_map(|row| all.vectors.row(row).iter().zip(&reference.vectors[row]).map(|(a, b)| (a - b).abs()))
        .fold(0.0f32, |worst, difference| if difference > worst || difference.is_nan() { difference } else { worst });
    assert!(worst <= TOLERANCE, "an element differs by {worst}");

    // other neighbours, other places, one thread
    let some: Vec<usize> = (0..texts.len()).rev().filter(|row| row % 7 == 3 || *row >= awkward).collect();
    let chosen: Vec<&str> = some.iter().map(|row| texts[*row]).collect();
    let again = encode(&encoder, &chosen, 1);
    for (at, row) in some.iter().enumerate() {
        assert!(row_bits(&all.vectors, *row, &again.vectors, at), "row {row} beside other texts");
    }
    // alone
    for row in (0..awkward).step_by(41).chain(awkward..texts.len()) {
        let alone = encode(&encoder, &texts[row..=row], 1);
        assert!(row_bits(&all.vectors, row, &alone.vectors, 0), "row {row} alone");
    }
}

#[test]
fn a_pipeline_with_the_real_model_runs_and_embeds_once() {
    if crate::support::minilm().is_none() {
        return;
    }
    let pipeline = words_pipeline("", "folds: 3")
        .replace("from: tfidf, with: { estimator", "from: fused, with: { estimator")
        .replace("  model:", "  vectors: { use: embed, from: clean, with: { model: all-minilm-l6-v2 } }\n  fused: { use: fuse, from: [tfidf, vectors] }\n  model:")
        + "matrix: { fused.from: { words: [tfidf], both: [tfidf, vectors] } }\n";
    let project = Project::new().with_shared_files().file("data.csv", snippets(60)).file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    let units = |phase: &str| {
        let of = |unit: &&serde_json::Value| unit["stage"] == "vectors" && unit["phase"] == phase;
        summary["units"].as_array().unwrap().iter().filter(of).count()
    };
    // the survey is for the data ledger: what will be cut
    assert_eq!((units("run"), units("survey")), (1, 1));
    assert_eq!(summary["variants"].as_array().unwrap().len(), 2);
    assert!(
        summary["models"].as_array().unwrap().iter().any(|model| {
            model["digest"] == "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        })
    );
    let shown =
        project.ok(["show", "p.yaml", "vectors", "--variant", "fused.from=both", "--format", "jsonl", "--rows", "1"]);
    let row: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(row["values"].as_array().unwrap().len(), 384);
}

/// `tests/reference/make_tokens.py`: transformers 5.24.
const TOKENS: &str = include_str!("../reference/tokens.json");

#[test]
fn token_vectors_are_those_of_transformers_word_by_word() {
    let Some(files) = crate::support::minilm() else {
        return;
    };
    let encoder = SentenceEncoder::load(&files, &Place::default()).unwrap();
    let reference: Value = serde_json::from_str(TOKENS).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    let tokens = |case: &'_ Value| -> Vec<String> { serde_json::from_value(case["tokens"].clone()).unwrap() };
    let rows: Vec<Vec<String>> = cases.iter().map(tokens).collect();
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let mut compared = 0;
    for (length, longest) in [("whole", None), ("cut", Some(12))] {
        for (of, subtokens) in [("mean", Subtokens::Mean), ("first", Subtokens::First)] {
            let options =
                EncodeOptions { subtokens, max_length: longest, normalize: false, ..EncodeOptions::default() };
            let encoded = encoder.encode_tokens(&rows, &options, &|_, _| {}, &|| false).unwrap();
            let wanted: Vec<&Value> = cases.iter().flat_map(|case| case[length][of].as_array().unwrap()).collect();
            assert_eq!(encoded.vectors.rows, wanted.len());
            let without = wanted.iter().filter(|wanted| wanted.is_null()).count() as u64;
            assert_eq!(encoded.given_cut.iter().chain(&encoded.given_blank).sum::<u64>(), without);
            for (row, wanted) in wanted.into_iter().enumerate() {
                let vector = encoded.vectors.row(row);
                let Some(wanted) = wanted.as_array() else {
                    assert!(vector.iter().all(|value| *value == 0.0), "{length} {of} {row}");
                    continue;
                };
                for (value, wanted) in vector.iter().zip(wanted) {
                    let difference = (f64::from(*value) - wanted.as_f64().unwrap()).abs();
                    assert!(difference < 1e-5, "{length} {of} {row}: {difference}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

/// Sentences of so many words, of which the model knows those below w28.
fn sentences(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut csv = "text\n".to_owned();
    for row in numbers {
        let words: Vec<String> = (0..row % 7).map(|at| format!("w{}", (row * 5 + at * 3) % 30)).collect();
        csv.push_str(&format!("s{row} {}\n", words.join(" ")));
    }
    csv
}

const TOKENS_PIPELINE: &str = "name: tokens
stages:
  rows: { use: ingest, with: { source: data.csv, text: text } }
  words: { use: tokenize, from: rows, with: { tokenizer: whitespace, lowercase: false } }
  vectors: { use: embed, from: words, with: { model: ./tiny, level: token } }
";

/// A stage's table.
fn shown(project: &Project, stage: &str, more: &[&str]) -> RecordBatch {
    let mut command = project.command();
    command.args(["show", "p.yaml", stage, "--format", "parquet", "--out", "shown.parquet"]).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fuseline::table::from_parquet(project.read("shown.parquet")).unwrap()
}

/// The vectors of each row's tokens.
fn token_vectors(table: &RecordBatch) -> Vec<Vec<Vec<u32>>> {
    let vectors = Vectors::of(table).unwrap();
    let bits = |vector: &[f32]| vector.iter().map(|value| value.to_bits()).collect();
    (0..vectors.len()).map(|row| vectors.row(row).map(bits).collect()).collect()
}

#[test]
fn each_token_of_a_pipeline_has_a_vector_and_is_embedded_once() {
    let project = with_model(Project::new()).file("data.csv", sentences(0..60)).file("p.yaml", TOKENS_PIPELINE);
    project.ok(["check", "p.yaml"]);
    project.ok(["run", "p.yaml", "--out", "first"]);
    let unit = |folder: &str| {
        let summary = project.summary(folder);
        let ran = |unit: &&Value| unit["stage"] == "vectors" && unit["phase"] == "run";
        summary["units"].as_array().unwrap().iter().find(ran).unwrap().clone()
    };
    let words = shown(&project, "words", &[]);
    let lengths: Vec<usize> = Tokens::of(&words).unwrap().rows().map(Iterator::count).collect();
    let table = shown(&project, "vectors", &[]);
    let vectors = token_vectors(&table);
    assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    assert_eq!((Vectors::of(&table).unwrap().width, lengths.iter().max()), (8, Some(&7)));
    let facts = unit("first")["facts"].clone();
    let given: usize = lengths.iter().sum();
    assert_eq!((&facts["given_tokens"], &facts["given_tokens_cut"]), (&given.into(), &0.into()));

    // rows that are there, in another order and with others among them, and one word more
    project.write("data.csv", sentences((0..66).rev()));
    project.ok(["run", "p.yaml", "--threads", "1", "--out", "again"]);
    assert_eq!((&unit("again")["rows"], &unit("again")["remembered"]), (&66.into(), &60.into()));
    let again = token_vectors(&shown(&project, "vectors", &[]));
    assert!(again.iter().rev().zip(&vectors).all(|(again, first)| again == first));
    let cold = project.path("cold");
    let fresh = token_vectors(&shown(&project, "vectors", &["--cache-dir", cold.to_str().unwrap()]));
    assert_eq!(again, fresh);

    // room for three: what is cut is counted and told, for the ledger too
    let told = project.ok(["run", "p.yaml", "--set", "vectors.max_length=5", "--out", "cut"]).stderr;
    let cut: usize = (0..66).map(|row: usize| (row % 7 + 1).saturating_sub(3)).sum();
    assert_eq!(unit("cut")["facts"]["given_tokens_cut"], cut);
    assert!(
        told.contains(&format!("{cut} of {} given tokens", (0..66).map(|row| row % 7 + 1).sum::<usize>())),
        "{told}"
    );
    let looked = project.ok(["check", "p.yaml", "--data", "--set", "vectors.max_length=5"]).stdout;
    assert!(looked.lines().any(|line| line.starts_with("cut by vectors") && line.contains("tokens)")), "{looked}");

    for args in [["cache", "verify"], ["plan", "p.yaml"]] {
        project.ok(args);
    }
    let line = project.ok(["show", "p.yaml", "vectors", "--format", "jsonl", "--rows", "1"]).stdout;
    let row: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(row["vectors"][0].as_array().unwrap().len(), 8);
}
