//! Do files become the variants that they should?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::KINDS;
use super::{Pipeline, schema};
use crate::problem::{Origin, Problems, Style, render};

const STAGES: &str = "
stages:
  reviews: { use: ingest, with: { source: r.csv } }
  clean: { use: clean, from: reviews }
  words: { use: tokenize, from: clean }
  tfidf: { use: tfidf, from: words, with: { min_df: 2 } }
  vectors: { use: embed, from: clean, with: { model: m } }
  fused: { use: fuse, from: [tfidf, vectors] }
  model: { use: train, from: fused, with: { estimator: { linear_svc: { c: 1 } } } }
  scores: { use: cross_validate, from: model }
  report: { use: report, from: scores }
";

fn load_files(files: &[(&str, &str)], sets: &[&str]) -> Result<Pipeline, Problems> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Pipeline::load(&folder.path().join(files[0].0), &sets, KINDS)
}

fn load(text: &str, sets: &[&str]) -> Pipeline {
    load_files(&[("p.yaml", text)], sets).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str, sets: &[&str]) -> String {
    render(&load_files(&[("p.yaml", text)], sets).unwrap_err(), Style::Plain)
}

fn with_matrix(matrix: &str) -> String {
    format!("name: p{STAGES}matrix:\n{matrix}")
}

fn labels(pipeline: &Pipeline) -> Vec<&str> {
    pipeline.variants.iter().map(|variant| variant.label.as_str()).collect()
}

fn ids(pipeline: &Pipeline, variant: usize) -> Vec<&str> {
    pipeline.variants[variant].stages.iter().map(|node| node.id.as_str()).collect()
}

fn params<'a>(pipeline: &'a Pipeline, variant: usize, stage: &str) -> &'a Value {
    &pipeline.variants[variant].stages.iter().find(|node| node.id == stage).unwrap().params
}

fn line(origin: Option<Origin>) -> (usize, usize) {
    match origin {
        Some(Origin::File { line, column, .. }) => (line, column),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_variant_without_a_matrix() {
    let pipeline = load(&format!("name: p{STAGES}"), &[]);
    assert_eq!((labels(&pipeline), pipeline.seed), (vec![""], 42));
    assert_eq!(ids(&pipeline, 0), pipeline.stage_order);
    let fused = &pipeline.variants[0].stages[5];
    assert_eq!((fused.inputs.as_slice(), fused.frame), ([3, 4].as_slice(), 0));
    assert_eq!(params(&pipeline, 0, "tfidf"), &json!({ "min_df": 2.0 }));
    assert!(pipeline.warnings.0.is_empty());
}

#[test]
fn stages_are_in_topological_order_with_ties_as_in_the_file() {
    let pipeline = load(
        "name: p\nstages:\n  words: { use: tokenize, from: clean }\n  clean: { use: clean, from: reviews }\n  \
         other: { use: clean, from: reviews }\n  reviews: { use: ingest, with: { source: a } }\n",
        &[],
    );
    assert_eq!(ids(&pipeline, 0), ["reviews", "clean", "words", "other"]);
    assert_eq!(pipeline.stage_order, ["words", "clean", "other", "reviews"]);
}

#[test]
fn axes_multiply_and_unused_stages_are_left_out() {
    let pipeline = load(
        &with_matrix(
            "  features: { set: fused.from, values: { words: [tfidf], meaning: [vectors], both: [tfidf, vectors] } }\n  \
             c: { set: model.estimator.linear_svc.c, values: [1, 10] }\n",
        ),
        &[],
    );
    assert_eq!(
        labels(&pipeline),
        [
            "features=words,c=1",
            "features=words,c=10",
            "features=meaning,c=1",
            "features=meaning,c=10",
            "features=both,c=1",
            "features=both,c=10"
        ]
    );
    assert!(!ids(&pipeline, 0).contains(&"vectors"));
    assert!(!ids(&pipeline, 2).contains(&"tfidf") && !ids(&pipeline, 2).contains(&"words"));
    assert_eq!(ids(&pipeline, 4).len(), 9);
    assert_eq!(
        pipeline.variants[1].params,
        BTreeMap::from([("c".to_owned(), json!(10)), ("features".to_owned(), json!("words"))])
    );
    let work = |variant: usize, stage: &str| {
        pipeline.variants[variant].stages.iter().find(|node| node.id == stage).unwrap().work.clone()
    };
    assert!(Arc::ptr_eq(&work(0, "clean"), &work(5, "clean")));
    assert!(Arc::ptr_eq(&work(0, "model"), &work(4, "model")));
    assert!(!Arc::ptr_eq(&work(0, "model"), &work(1, "model")));
}

#[test]
fn variants_that_resolve_alike_are_one() {
    let pipeline = load(
        &with_matrix(
            "  features: { set: fused.from, values: { words: tfidf, both: [tfidf, vectors] } }\n  vectors.model: [a, b]\n",
        ),
        &[],
    );
    assert_eq!(
        labels(&pipeline),
        ["features=words,vectors.model=a", "features=both,vectors.model=a", "features=both,vectors.model=b"]
    );
    let same = load(&with_matrix("  tfidf.min_df: [2, 2.0e0]\n"), &[]);
    assert_eq!(labels(&same), [""]);
}

#[test]
fn an_id_ignores_names_order_and_spelling_but_no_value() {
    let id = |text: &str| load(text, &[]).variants[0].id.clone();
    let text = format!("name: p{STAGES}");
    let first = id(&text);
    assert_eq!(first.len(), 12);
    assert_eq!(first, id(&format!("# a comment\n{}", text.replace("words", "tokens").replace("name: p", "name: q"))));
    assert_eq!(first, id(&text.replace("{ min_df: 2 }", "{ norm: l2, min_df: 2.0 }")));
    assert_eq!(
        first,
        id(&text
            .replace("  vectors: { use: embed, from: clean, with: { model: m } }\n", "")
            .replace("  clean:", "  vectors: { use: embed, from: clean, with: { model: m } }\n  clean:"))
    );
    for (from, to) in [
        ("min_df: 2", "min_df: 3"),
        ("model: m", "model: n"),
        ("[tfidf, vectors]", "[vectors, tfidf]"),
        ("name: p", "name: p\nseed: 1"),
    ] {
        assert_ne!(first, id(&text.replace(from, to)), "{to}");
    }
}

#[test]
fn exclude_takes_away_what_agrees_on_all_its_keys() {
    let axes =
        "  min: { set: tfidf.min_df, values: [1, 2] }\n  folds: { set: scores.folds, values: { few: 2, many: 5 } }\n";
    let pipeline =
        load(&with_matrix(&format!("{axes}  exclude: [ {{ min: 1, folds: many }}, {{ folds: 2 }} ]\n")), &[]);
    assert_eq!(labels(&pipeline), [""]);
    assert_eq!(pipeline.variants[0].params["folds"], "many");
    let nothing = refused(&with_matrix(&format!("{axes}  exclude: [ {{ min: 1 }}, {{ min: 2 }} ]\n")), &[]);
    assert!(nothing.starts_with("error[no-variants]"), "{nothing}");
}

#[test]
fn include_extends_what_it_does_not_overwrite_and_else_adds() {
    let pipeline = load(
        &with_matrix(
            "  min: { set: tfidf.min_df, values: [1, 2] }\n  seed: [1, 2]\n  include:\n  - { min: 2, tfidf.max_features: 9 }\n  \
             - { scores.folds: 3 }\n  - { scores.folds: 4, seed: 1 }\n  - { min: 7 }\n",
        ),
        &[],
    );
    assert_eq!(
        labels(&pipeline),
        [
            "min=1,seed=1,scores.folds=4",
            "min=1,seed=2,scores.folds=3",
            "min=2,seed=1,tfidf.max_features=9,scores.folds=4",
            "min=2,seed=2,tfidf.max_features=9,scores.folds=3",
            "min=7"
        ]
    );
    assert_eq!(pipeline.variants[1].seed, 2);
    assert_eq!(params(&pipeline, 2, "tfidf"), &json!({ "max_features": 9, "min_df": 2.0 }));
    let alone = load(&with_matrix("  include: [ { tfidf.min_df: 1 }, { tfidf.min_df: 3 } ]\n"), &[]);
    assert_eq!(labels(&alone), ["tfidf.min_df=1", "tfidf.min_df=3"]);
}

#[test]
fn flags_set_what_axes_set() {
    let text = format!("name: p{STAGES}");
    let pipeline = load(
        &text,
        &[
            "tfidf.min_df=5",
            "tfidf.ngram_range=[1, 2]",
            "tfidf.ngram_range.1=3",
            "fused.from=tfidf",
            "seed=7",
            "name=q",
        ],
    );
    assert_eq!(params(&pipeline, 0, "tfidf"), &json!({ "min_df": 5.0, "ngram_range": [1, 3] }));
    assert_eq!((pipeline.seed, pipeline.name.as_str()), (7, "q"));
    assert!(!ids(&pipeline, 0).contains(&"vectors"));
    match pipeline.origin("tfidf", &["min_df"]) {
        Some(Origin::Flag { text, overrides: Some(place) }) => {
            assert_eq!((text.as_ref(), line(Some(*place))), ("--set tfidf.min_df=5", (6, 53)));
        }
        other => panic!("{other:?}"),
    }
    let replaced = load(&text, &["model.estimator={logistic_regression: {c: 3}}"]);
    assert_eq!(params(&replaced, 0, "model"), &json!({ "estimator": { "logistic_regression": { "c": 3.0 } } }));
    assert!(replaced.resolved_yaml.contains("logistic_regression") && !replaced.resolved_yaml.contains("linear_svc"));
}

#[test]
fn flags_that_cannot_be_are_refused() {
    let text = format!("name: p{STAGES}");
    for (set, code, words) in [
        ("tfidf.mindf=1", "unknown-param", "did you mean `min_df`?\n   = note: `tfidf` takes max_df"),
        ("tfid.min_df=1", "unknown-stage", "did you mean `tfidf`?"),
        ("tfidf.min_df", "bad-set", "write `--set PATH=VALUE`"),
        ("tfidf=1", "bad-path", "name a parameter too"),
        ("tfidf..min_df=1", "bad-path", "is not a path"),
        ("tfidf.use=clean", "bad-path", "cannot be set"),
        ("tfidf.min_df=[", "bad-set", "not YAML"),
        ("tfidf.min_df=-1", "out-of-range", "= set by: --set tfidf.min_df=-1 (overrides "),
        ("model.estimator.logistic_regression.c=1", "invalid-param", "is `linear_svc` here"),
        ("model.estimator.linear_svc.c.d=1", "unknown-param", "nothing inside"),
        ("fused.from=[tfdf]", "unknown-stage", "did you mean `tfidf`?"),
        ("seed=x", "wrong-type", "= set by: --set seed=x"),
        ("matrix.c=[1]", "unknown-axis", "no axis `c`"),
    ] {
        let shown = refused(&text, &[set]);
        assert!(shown.starts_with(&format!("error[{code}]")) && shown.contains(words), "{set}:\n{shown}");
        assert!(shown.contains("= set by: --set "), "{set}:\n{shown}");
        assert_eq!(shown.matches("error[").count(), 1, "{set}:\n{shown}");
    }
}

#[test]
fn axes_can_be_narrowed_but_not_overridden() {
    let text = with_matrix(
        "  tfidf.min_df: [1, 2]\n  features: { set: fused.from, values: { words: tfidf, both: [tfidf, vectors] } }\n",
    );
    let clash = refused(&text, &["tfidf.min_df=3"]);
    assert!(clash.contains("help: narrow the axis instead: `--set 'matrix.tfidf.min_df=[3]'`"), "{clash}");
    let narrowed = load(&text, &["matrix.tfidf.min_df=[3]", "matrix.features=both"]);
    assert_eq!((labels(&narrowed), params(&narrowed, 0, "tfidf")), (vec![""], &json!({ "min_df": 3.0 })));
    let more = format!(
        "{text}  exclude: [{{ tfidf.min_df: 2, features: both }}]\n  include: [{{ tfidf.min_df: 2, features: words, seed: 9 }}]\n"
    );
    assert_eq!(
        labels(&load(&more, &["matrix.tfidf.min_df=[1]"])),
        ["tfidf.min_df=1,features=words", "tfidf.min_df=1,features=both"]
    );
    assert_eq!(labels(&load(&more, &["matrix.tfidf.min_df=2"])), [""]);
    let typo = refused(&text, &["matrix.features=[bath]"]);
    assert!(typo.contains("did you mean `both`?"), "{typo}");
    let value = refused(&text, &["matrix.tfidf.min_df=[two]"]);
    assert!(value.contains("= set by: --set matrix.tfidf.min_df=[two] (overrides "), "{value}");
}

#[test]
fn a_file_changes_what_it_extends() {
    let base = with_matrix("  c: { set: model.estimator.linear_svc.c, values: [1, 2] }\n  tfidf.min_df: [1, 2]\n");
    let child = "extends: base.yaml\nname: child\nstages:\n  model: { with: { estimator: { logistic_regression: { max_iter: 7 } } } }\n  \
                 tfidf: { with: { ngram_range: [1, 2] } }\n  vectors: { use: tfidf, from: words }\n\
                 matrix:\n  c: { set: model.estimator.logistic_regression.c, values: [3] }\n  tfidf.min_df: null\n";
    let pipeline =
        load_files(&[("child.yaml", child), ("base.yaml", &base)], &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(params(&pipeline, 0, "tfidf"), &json!({ "min_df": 2.0, "ngram_range": [1, 2] }));
    assert_eq!(params(&pipeline, 0, "vectors"), &json!({}));
    assert_eq!(
        params(&pipeline, 0, "model"),
        &json!({ "estimator": { "logistic_regression": { "c": 3.0, "max_iter": 7 } } })
    );
    assert_eq!(pipeline.stage_order.first().map(String::as_str), Some("reviews"));
    assert_eq!(line(pipeline.origin("tfidf", &["ngram_range"])), (5, 33));
    assert_eq!(line(pipeline.origin("tfidf", &["min_df"])), (6, 53));
    let Some(Origin::File { file, .. }) = pipeline.origin("tfidf", &["min_df"]) else { panic!() };
    assert!(file.ends_with("base.yaml"));
    let again = load(&pipeline.resolved_yaml, &[]);
    assert_eq!(again.variants[0].id, pipeline.variants[0].id);
    assert_eq!(again.stage_order, pipeline.stage_order);
}

#[test]
fn files_that_extend_each_other_are_refused() {
    let problems = load_files(&[("a.yaml", "extends: b.yaml\n"), ("b.yaml", "extends: [a.yaml]\n")], &[]).unwrap_err();
    let shown = render(&problems, Style::Plain);
    assert!(shown.starts_with("error[extends-cycle]") && shown.contains("b.yaml:1:11"), "{shown}");
}

#[test]
fn places_of_values_are_known() {
    let pipeline = load(&with_matrix("  c: { set: model.estimator.linear_svc.c, values: [3] }\n"), &[]);
    assert_eq!(line(pipeline.origin("tfidf", &["min_df"])), (6, 53));
    assert_eq!(line(pipeline.origin("tfidf", &["norm"])), (6, 37));
    assert_eq!(line(pipeline.origin("tfidf", &[])), (6, 3));
    assert_eq!(line(pipeline.origin("clean", &["unicode"])), (4, 3));
    assert_eq!(line(pipeline.origin("model", &["estimator", "linear_svc", "c"])), (13, 3));
    assert_eq!(pipeline.origin("nobody", &["min_df"]), None);
}

#[test]
fn stages_that_nothing_uses_are_left_out_with_a_word() {
    let pipeline = load(&format!("name: p{STAGES}  extra: {{ use: clean, from: clean }}\n"), &[]);
    assert!(!ids(&pipeline, 0).contains(&"extra"));
    let shown = render(&pipeline.warnings, Style::Plain);
    assert!(shown.starts_with("warning[unused-stage]: nothing uses `extra`") && shown.contains("12:3"), "{shown}");
}

#[test]
fn parameters_are_checked_against_the_nearest_alternative() {
    let text = format!("name: p{STAGES}");
    for (from, to, expected) in [
        ("linear_svc: { c: 1 }", "linear_svc: { C: 1 }", "`linear_svc` has no parameter `C`"),
        ("linear_svc: { c: 1 }", "linear_svc: { c: '1' }", "`c` must be a number, but is the string \"1\""),
        ("linear_svc: { c: 1 }", "linear_svc: { c: 0 }", "`c` must be above 0, but is 0"),
        (
            "linear_svc: { c: 1 }",
            "linear_svc: { max_iter: 1.5 }",
            "`max_iter` must be a whole number, but is the number 1.5",
        ),
        ("linear_svc: { c: 1 }", "linear_svm: { c: 1 }", "`estimator` has no choice `linear_svm`"),
        ("linear_svc: { c: 1 }", "linear_svc: { c: 1 }, logistic_regression: {}", "`estimator` takes one choice"),
        ("{ linear_svc: { c: 1 } }", "linear_svc", "`linear_svc` stands here without its parameters"),
        ("{ linear_svc: { c: 1 } }", "svc", "`estimator` has no choice `svc`"),
        ("{ linear_svc: { c: 1 } }", "[1]", "`estimator` must be a map, but is a list"),
        ("min_df: 2", "max_features: 0", "`max_features` must be at least 1, but is 0"),
        ("min_df: 2", "max_features: 99999999999", "`max_features` must be at most 4294967295"),
        ("min_df: 2", "ngram_range: 2", "`ngram_range` must be a list, but is the number 2"),
        ("min_df: 2", "ngram_range: [1]", "`ngram_range` must have 2 items, but has 1"),
        ("min_df: 2", "ngram_range: [1, x]", "`ngram_range[1]` must be a whole number, but is the string \"x\""),
        ("min_df: 2", "ngram_range: [3, 2]", "`ngram_range` must rise"),
        ("min_df: 2", "norm: l3", "`norm` has no choice `l3`"),
        ("min_df: 2", "norm: 3", "`norm` must be "),
        ("model: m", "", "`embed` needs `model`"),
        ("source: r.csv", "source: r, format: { tsv: { headr: true } }", "`tsv` has no parameter `headr`"),
        ("source: r.csv", "source: r, format: { csv: {} }", "`csv` takes no parameters"),
    ] {
        let shown = refused(&text.replace(from, to), &[]);
        assert!(shown.contains(&format!("]: {expected}")), "{to}:\n{shown}");
        assert_eq!(shown.matches("error[").count(), 1, "{to}:\n{shown}");
        assert!(shown.contains("p.yaml:"), "{to}:\n{shown}");
    }
    load(&text.replace("min_df: 2", "norm: null, max_features: null"), &[]);
}

#[test]
fn more_than_one_problem_is_reported_in_the_order_of_the_file() {
    let text = format!("name: p{STAGES}")
        .replace("from: words", "from: word")
        .replace("min_df", "mindf")
        .replace("linear_svc", "svc");
    let shown = refused(&text.replace("name: p", "nam: p"), &[]);
    let codes: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("error[")?.split(']').next()).collect();
    assert_eq!(codes, ["missing-key", "unknown-key", "unknown-stage", "unknown-param", "unknown-choice"], "{shown}");
}

#[test]
fn the_schema_has_every_kind() {
    let schema = schema(KINDS);
    let kinds = schema["properties"]["stages"]["additionalProperties"]["oneOf"].as_array().unwrap();
    assert_eq!(kinds.len(), KINDS.len());
    let stage = &schema["$defs"]["train_stage"];
    assert_eq!(stage["properties"]["use"]["const"], "train");
    assert_eq!(stage["properties"]["with"]["$ref"], "#/$defs/train_params");
    assert_eq!(stage["examples"], json!([{ "use": "train", "from": "fuse" }]));
    let text = schema.to_string();
    for reference in text.split("\"#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(schema["$defs"].get(reference).is_some(), "{reference}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c{}\\[\\]:,&*<\\-#'\" \n\t]{0,80}") {
        let document = super::document::Document::parse(Path::new("p.yaml"), &text);
        if let Err(problems) = document {
            prop_assert!(!problems.0.is_empty());
        }
    }

    #[test]
    fn no_line_taken_out_or_cut_makes_it_panic(line in 0_usize..14, cut in 0_usize..60) {
        let text = with_matrix("  tfidf.min_df: [1, 2]\n  exclude: [ { tfidf.min_df: 1 } ]\n");
        let broken: Vec<String> = text
            .lines()
            .enumerate()
            .map(|(index, row)| if index == line { row.chars().take(cut).collect() } else { row.to_owned() })
            .collect();
        if let Err(problems) = load_files(&[("p.yaml", &broken.join("\n"))], &[]) {
            prop_assert!(problems.any_error());
            prop_assert!(problems.0.iter().all(|problem| problem.origin.is_some()));
        }
    }
}
