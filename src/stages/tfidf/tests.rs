//! Do texts and tokens give the same columns, and is what does not go together refused?

use std::path::Path;
use std::sync::atomic::AtomicBool;

use arrow::array::StringArray;
use serde_json::json;

use super::*;
use crate::ml::AnalyzerParams;
use crate::stage::{Made, Part, Progress};
use crate::table::tokens;

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

const TEXTS: [&str; 5] = ["The film was good", "a bad film", "", "Good GOOD naïve film!", "x²"];

fn built(params: Value) -> Result<Weights, Vec<String>> {
    let at = Scope { stage: "weights", base: Path::new("."), locate: &|_| None };
    let params = serde_json::from_value(params).unwrap();
    Weights::of(&params, &at).map_err(|problems| problems.0.into_iter().map(|problem| problem.message).collect())
}

fn texts() -> Parts {
    let mut parts = Parts::default();
    parts.insert("text", Part::memory(text::table(["a", "b", "c", "d", "e"], TEXTS).unwrap()));
    parts
}

fn tokens() -> Parts {
    let analyzer = Analyzer::new(&AnalyzerParams::default()).unwrap();
    let ids = StringArray::from(vec!["a", "b", "c", "d", "e"]);
    let mut parts = Parts::default();
    parts.insert("tokens", Part::memory(tokens::table(&ids, TEXTS.map(|text| analyzer.tokens(text))).unwrap()));
    parts
}

fn table(output: &Output, name: &str) -> RecordBatch {
    match output.parts.iter().find(|(part, _)| part == name) {
        Some((_, Made::Table(table))) => table.clone(),
        other => panic!("no new table `{name}`: {other:?}"),
    }
}

/// What is fitted on rows and what they then come to.
fn run(params: Value, rows: &Parts, cancelled: bool) -> Result<(RecordBatch, RecordBatch, Output), StageError> {
    let stage = built(params).unwrap();
    let cancelled = AtomicBool::new(cancelled);
    let ctx = Ctx { seed: 0, cancelled: &cancelled, progress: &Quiet };
    let fitted = stage.learned(rows, &ctx)?;
    let vocabulary = table(&fitted, "vocabulary");
    let mut learned = Parts::default();
    learned.insert("vocabulary", Part::memory(vocabulary.clone()));
    let applied = stage.apply(&learned, rows, &ctx)?;
    Ok((vocabulary, table(&applied, "block.00"), applied))
}

#[test]
fn texts_come_to_what_their_tokens_come_to() {
    for params in [
        json!({ "ngram_range": [1, 2] }),
        json!({ "hashing": { "n_features": 64 } }),
        json!({ "hashing": {}, "use_idf": false, "ngram_range": [1, 3] }),
    ] {
        let (from_texts, from_tokens) = (run(params.clone(), &texts(), false), run(params, &tokens(), false));
        let ((words, block, _), (same_words, same_block, _)) = (from_texts.unwrap(), from_tokens.unwrap());
        assert_eq!((words, block), (same_words, same_block));
    }
    let (words, _, output) =
        run(json!({ "tokens": { "stop_words": ["film"], "lowercase": false } }), &texts(), false).unwrap();
    let terms: Vec<String> = vocabulary_of(&words).unwrap().terms.iter().map(str::to_owned).collect();
    assert_eq!(terms, ["GOOD", "Good", "The", "bad", "good", "naïve", "was", "x²"]);
    assert!(output.parts.iter().any(|(name, _)| name == "names.00"));
    assert_eq!(output.facts["rows_without_terms"], 1);
}

#[test]
fn hashed_columns_have_no_names_and_as_many_as_asked() {
    let (idf, block, output) = run(json!({ "hashing": { "n_features": 16 } }), &texts(), false).unwrap();
    assert_eq!(idf.num_rows(), 16);
    assert!(idf.column_by_name("name").is_none() && output.parts.iter().all(|(name, _)| name == "block.00"));
    let (_, block) = features::from_table(&block).unwrap();
    assert_eq!((block.rows(), block.cols()), (5, 16));
    let (idf, _, _) = run(json!({ "hashing": {}, "use_idf": false }), &texts(), false).unwrap();
    assert_eq!(idf.num_rows(), 0);
}

#[test]
fn what_was_cut_short_is_never_given() {
    let interrupted = run(json!({}), &texts(), true);
    assert!(matches!(interrupted, Err(StageError::Interrupted)));
}

#[test]
fn tokens_are_told_to_whoever_reads_texts_alone() {
    let port = |params, input| built(params).ok().and_then(|stage| stage.port(&[input]).ok());
    let told = json!({ "tokens": { "lowercase": false } });
    assert!(port(told.clone(), Port::Rows).is_some() && port(told, Port::Tokens).is_none());
    assert!(port(json!({ "tokens": {} }), Port::Tokens).is_some() && port(json!({}), Port::Model).is_none());
}

#[test]
fn what_does_not_fit_is_told_at_once() {
    let problems = |params| built(params).err().unwrap();
    assert_eq!(
        problems(json!({ "hashing": { "n_features": 0 }, "min_df": 2, "vocabulary": ["a"], "sublinear_tf": true })),
        [
            "`n_features` must be from 1 to 2147483647, but is 0",
            "`min_df` chooses from a vocabulary, and there is none with `hashing`",
            "`vocabulary` chooses from a vocabulary, and there is none with `hashing`",
            "`sublinear_tf` takes the logarithm of counts, which `alternate_sign` puts below zero",
        ]
    );
    assert_eq!(
        problems(json!({ "ngram_range": [0, 1], "tokens": { "tokenizer": { "pretrained": "all-minilm-l6-v2" } } })),
        [
            "`ngram_range` must be two numbers from 1 up, the smaller first, but is [0, 1]",
            "`tfidf` does not know pretrained tokenizers",
        ]
    );
    assert_eq!(problems(json!({ "tokens": { "tokenizer": "segment", "token_pattern": "a" } })).len(), 1);
    assert!(built(json!({ "hashing": { "alternate_sign": false }, "sublinear_tf": true })).is_ok());
}

#[test]
fn defaults_and_names_of_languages_do_not_enter_the_key() {
    let canonical = |params| Tfidf::canonical(&serde_json::from_value(params).unwrap());
    assert_eq!(canonical(json!({ "tokens": { "lowercase": true }, "min_df": 1 })), json!({}));
    assert_eq!(
        canonical(json!({ "tokens": { "stop_words": "EN" }, "hashing": {} })),
        json!({ "tokens": { "stop_words": "english" }, "hashing": { "n_features": 1 << 20, "alternate_sign": true } })
    );
}
