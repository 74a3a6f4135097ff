//! Who cuts, what is refused, and what is kept of it?

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::*;
use crate::ml::DEFAULT_TOKEN_PATTERN;
use crate::stage::{Made, Output, Part, Progress};

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

/// Code, message and causes of a problem.
type Told = (&'static str, String, Vec<String>);

fn built(params: Value) -> Result<Work, Vec<Told>> {
    let at = Scope { stage: "words", base: Path::new("."), locate: &|_| None };
    let params = serde_json::from_value(params).unwrap();
    let told = |problems: Problems| problems.0.into_iter().map(|p| (p.code, p.message, p.causes)).collect();
    Tokenize::build(params, &at).map_err(told)
}

fn run(params: Value, texts: &[&str]) -> Output {
    let Ok(Work::RowWise(stage)) = built(params) else { panic!("it is row-wise") };
    let ids: Vec<String> = (0..texts.len()).map(|row| row.to_string()).collect();
    let mut rows = Parts::default();
    rows.insert("text", Part::memory(text::table(&ids, texts).unwrap()));
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    crate::stage::map_whole(&*stage, &rows, &ctx).unwrap()
}

#[test]
fn words_are_scikit_learns() {
    let output = run(json!({}), &["The Films, a 2nd naïve one", "a", ""]);
    assert_eq!((output.facts["tokens"].as_u64(), output.facts["rows_without_tokens"].as_u64()), (Some(5), Some(2)));
    let output = run(json!({ "stop_words": ["films"], "strip_accents": "ascii" }), &["The Films, a 2nd naïve one"]);
    assert_eq!(output.facts["tokens"], 4);
    let output = run(json!({ "stop_words": "english" }), &["the films are over"]);
    assert_eq!(output.facts["tokens"], 1);
    assert_eq!(output.rows, 1);
}

#[test]
fn a_pattern_that_cannot_be_read_says_why() {
    let problems = built(json!({ "token_pattern": "(a" })).err().unwrap();
    let [(code, message, causes)] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(*code, "invalid-param");
    assert!(message.starts_with("`token_pattern` `(a` cannot be read"), "{message}");
    assert_eq!(causes, &["unclosed group"]);
}

#[test]
fn word_parameters_do_not_go_with_a_pretrained_tokenizer() {
    let problems =
        built(json!({ "tokenizer": { "pretrained": "all-minilm-l6-v2" }, "lowercase": false })).err().unwrap();
    let messages: Vec<&str> = problems.iter().map(|(_, message, _)| message.as_str()).collect();
    assert_eq!(messages, ["`lowercase` does not go with `tokenizer: pretrained`"]);
}

#[test]
fn a_pretrained_tokenizer_needs_one_file() {
    let Ok(work) = built(json!({ "tokenizer": { "pretrained": "all-minilm-l6-v2" } })) else { panic!("it is known") };
    let roles: Vec<String> = work.stage().files().into_iter().map(|need| need.role).collect();
    assert_eq!(roles, ["tokenizer.json"]);
    assert_eq!(work.stage().port(&[Port::Rows]).ok(), Some(Port::Tokens));
}

#[test]
fn defaults_are_left_out_of_the_key() {
    let params = |value| serde_json::from_value::<Params>(value).unwrap();
    let spelled = params(json!({ "tokenizer": "words", "lowercase": true, "token_pattern": DEFAULT_TOKEN_PATTERN }));
    assert_eq!(Tokenize::canonical(&spelled), json!({}));
    assert_eq!(Tokenize::canonical(&params(json!({ "stop_words": "english" }))), json!({ "stop_words": "english" }));
}

#[test]
fn other_tokenizers_cut_otherwise() {
    let first = |params: Value, text: &str| {
        let output = run(params, &[text]);
        let Made::Table(table) = &output.parts[0].1 else { panic!("a new table") };
        tokens::Tokens::of(table).unwrap().row(0).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(first(json!({ "tokenizer": "whitespace" }), "A b-c"), ["a", "b-c"]);
    assert_eq!(first(json!({ "tokenizer": "unicode_words", "stem": "en" }), "Ties, connected!"), ["tie", "connect"]);
    assert_eq!(first(json!({ "tokenizer": "segment" }), "自然语言"), ["自然", "语言"]);
    assert_eq!(first(json!({ "tokenizer": { "char": { "ngram_range": [2, 3] } } }), "abc"), ["ab", "bc", "abc"]);
    assert_eq!(first(json!({ "tokenizer": { "char_wb": { "ngram_range": [3, 3] } } }), "ab c"), [" ab", "ab ", " c "]);
}

#[test]
fn what_does_not_fit_is_told_at_once() {
    let problems = |params: Value| {
        let problems = built(params).err().unwrap();
        problems.into_iter().map(|(code, message, _)| format!("{code}: {message}")).collect::<Vec<_>>()
    };
    assert_eq!(
        problems(json!({ "stop_words": "germen", "stem": "zh", "min_length": 3, "max_length": 2 })),
        [
            "unknown-choice: `stop_words` knows no language `germen`",
            "unknown-choice: there is no algorithm for stems for `chinese`",
            "out-of-range: `min_length` must not be above `max_length`, but is 3 above 2",
        ]
    );
    assert_eq!(
        problems(json!({ "tokenizer": { "char": { "ngram_range": [0, 2] } }, "stem": "en" })),
        [
            "invalid-param: `stem` does not go with `tokenizer: char`",
            "out-of-range: `ngram_range` must be two numbers from 1 up, the smaller first, but is [0, 2]",
        ]
    );
    assert_eq!(
        problems(json!({ "tokenizer": "segment", "token_pattern": "a" })),
        ["invalid-param: `token_pattern` does not go with `tokenizer: segment`",]
    );
    assert_eq!(problems(json!({ "lowercase": false, "stem": "en" })).len(), 1);
}

#[test]
fn a_language_has_one_name() {
    let params = |value| serde_json::from_value::<Params>(value).unwrap();
    let short = params(json!({ "stop_words": "EN", "stem": "de" }));
    assert_eq!(Tokenize::canonical(&short), json!({ "stop_words": "english", "stem": "german" }));
}
