//! Are the variants of a matrix planned as one, and can some of them be chosen, counted and divided over machines?

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Project, snippets};

/// A pipeline over `data.csv` with this matrix.
fn pipeline(matrix: &str) -> String {
    format!(
        "name: sweep
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label }} }}
  clean: {{ use: clean, from: rows }}
  words: {{ use: tokenize, from: clean }}
  tfidf: {{ use: tfidf, from: words }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ logistic_regression: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 3 }} }}
  report: {{ use: report, from: scores }}
matrix:
{matrix}"
    )
}

const TWELVE: &str = "  ngrams: { set: [tfidf.ngram_range, tfidf.min_df], values: { single: [[1, 1], 1], pairs: [[1, 2], 2] } }\n  \
                      c: { set: model.estimator.logistic_regression.c, values: [0.5, 1, 2] }\n  seed: [1, 2]\n";

fn project(matrix: &str) -> Project {
    Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline(matrix))
}

fn labels(summary: &Value) -> Vec<String> {
    let variants = summary["variants"].as_array().unwrap();
    variants.iter().map(|variant| variant["label"].as_str().unwrap().to_owned()).collect()
}

/// How many units a plan has of each stage and phase.
fn counts(plan: &Value) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for unit in plan["units"].as_array().unwrap() {
        let word = |name: &str| unit[name].as_str().unwrap().to_owned();
        *counts.entry((word("stage"), word("phase"))).or_default() += 1;
    }
    counts
}

#[test]
fn thirty_six_variants_share_what_they_have_in_common() {
    let text = "name: sweep
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label } }
  clean: { use: clean, from: rows }
  words: { use: tokenize, from: clean }
  tfidf: { use: tfidf, from: words }
  vectors: { use: embed, from: clean, with: { model: all-minilm-l6-v2 } }
  fused: { use: fuse, from: [tfidf, vectors] }
  model: { use: train, from: fused, with: { estimator: { logistic_regression: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 5 } }
matrix:
  tfidf.ngram_range: [[1, 1], [1, 2], [1, 3]]
  tfidf.min_df: [1, 2]
  model.estimator.logistic_regression.c: [0.1, 0.3, 1, 3, 10, 30]
";
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", text);
    let plan: Value = serde_json::from_str(&project.ok(["plan", "p.yaml", "--format", "json"]).stdout).unwrap();
    assert_eq!(plan["variants"].as_array().unwrap().len(), 36);
    let counts = counts(&plan);
    let of = |stage: &str, phase: &str| counts.get(&(stage.to_owned(), phase.to_owned())).copied().unwrap_or(0);
    assert_eq!((of("tfidf", "fit"), of("tfidf", "apply")), (30, 30));
    assert_eq!((of("vectors", "run"), of("words", "run"), of("scores", "split")), (1, 1, 1));
    assert_eq!((of("fused", "run"), of("model", "fit"), of("scores", "score")), (30, 180, 36));
}

#[test]
fn shards_merge_through_the_cache() {
    let project = project(TWELVE);
    let mut seen = Vec::new();
    for shard in 1..=3 {
        let (partition, out) = (format!("hash:{shard}/3"), format!("shard{shard}"));
        let said = project.ok(["run", "p.yaml", "--partition", &partition, "--out", &out]).stderr;
        let summary = project.summary(&out);
        let mine = labels(&summary);
        assert!(said.contains(&format!("{} of 12 variants are selected", mine.len())), "{said}");
        assert_eq!(summary["selection"]["partition"], partition.as_str());
        assert_eq!(
            (summary["selection"]["selected"].as_u64(), summary["selection"]["of"].as_u64()),
            (Some(mine.len() as u64), Some(12))
        );
        seen.extend(mine);
    }
    project.ok(["run", "p.yaml", "--out", "whole"]);
    let whole = project.summary("whole");
    assert_eq!(whole["totals"]["ran"], 0);
    assert!(whole.get("selection").is_none());
    let mut all = labels(&whole);
    assert_eq!(all.len(), 12);
    all.sort();
    seen.sort();
    assert_eq!(all, seen);
    // A variant more moves no other to another shard.
    project.write("p.yaml", pipeline(&TWELVE.replace("values: [0.5, 1, 2]", "values: [0.5, 1, 2, 4]")));
    for shard in 1..=3 {
        let plan = project.ok(["plan", "p.yaml", "--partition", &format!("hash:{shard}/3"), "--format", "json"]).stdout;
        let now = labels(&serde_json::from_str(&plan).unwrap());
        let before = labels(&project.summary(&format!("shard{shard}")));
        let kept: Vec<&String> = now.iter().filter(|label| !label.contains("c=4")).collect();
        assert_eq!(kept, before.iter().collect::<Vec<_>>());
    }
}

#[test]
fn an_empty_shard_succeeds_and_says_so() {
    let project = project("  seed: [1]\n");
    let empty: Vec<u32> = (1..=2)
        .filter(|shard| {
            let ran = project.ok(["run", "p.yaml", "--partition", &format!("hash:{shard}/2"), "--out", "out"]);
            ran.stderr.contains("none of the 1 variants is in the shard")
        })
        .collect();
    assert_eq!(empty.len(), 1);
    let shard = format!("hash:{}/2", empty[0]);
    project.ok(["run", "p.yaml", "--partition", &shard, "--out", "empty"]);
    let summary = project.summary("empty");
    assert_eq!((summary["status"].as_str(), summary["variants"].as_array().map(Vec::len)), (Some("complete"), Some(0)));
    assert_eq!(summary["selection"]["selected"], 0);
    project.ok(["plan", "p.yaml", "--partition", &shard]);
    project.ok(["fetch", "p.yaml", "--partition", &shard]);
    let shown = project.run(["show", "p.yaml", "tfidf", "--partition", &shard]);
    assert!(shown.code == 2 && shown.stderr.contains("none of the selected variants uses `tfidf`"), "{}", shown.stderr);
    for wrong in ["hash:0/2", "hash:3/2", "1/2"] {
        let ran = project.run(["run", "p.yaml", "--partition", wrong]);
        assert!(ran.code == 2 && ran.stderr.contains("write `--partition hash:I/N`"), "{}", ran.stderr);
    }
}

#[test]
fn variants_are_chosen_by_label_id_or_axis() {
    let project = project(TWELVE);
    let plan = |variants: &[&str]| {
        let mut command = project.command();
        command.args(["plan", "p.yaml", "--format", "json"]);
        variants.iter().for_each(|variant| {
            command.args(["--variant", variant]);
        });
        let output = command.output().unwrap();
        assert!(output.status.success(), "{variants:?}: {}", String::from_utf8_lossy(&output.stderr));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        plan
    };
    let all = plan(&[]);
    let id = all["variants"][3]["id"].as_str().unwrap().to_owned();
    assert_eq!(labels(&plan(&[&id])), ["ngrams=single,c=1,seed=2"]);
    assert_eq!(labels(&plan(&[id.get(..8).unwrap()])), ["ngrams=single,c=1,seed=2"]);
    assert_eq!(labels(&plan(&["ngrams=single,c=1,seed=2"])), ["ngrams=single,c=1,seed=2"]);
    assert_eq!(labels(&plan(&["ngrams=pairs"])).len(), 6);
    assert_eq!(labels(&plan(&["seed=1,ngrams=pairs", &id])).len(), 4);
    let wrong = project.run(["run", "p.yaml", "--variant", "ngrams=pair"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("did you mean `ngrams=pairs`?"), "{}", wrong.stderr);
    project.ok(["run", "p.yaml", "--variant", "c=1,seed=1", "--out", "some"]);
    let some = project.summary("some");
    assert_eq!(labels(&some), ["ngrams=single,c=1,seed=1", "ngrams=pairs,c=1,seed=1"]);
    assert_eq!(some["selection"]["variants"], serde_json::json!(["c=1,seed=1"]));
    let shown =
        project.ok(["show", "p.yaml", "tfidf", "--variant", "ngrams=pairs", "--part", "names.00", "--rows", "200"]);
    assert!(shown.stdout.contains("film seen"), "{}", shown.stdout);
}

#[test]
fn more_variants_than_allowed_end_with_9_before_anything_runs() {
    let project = project(TWELVE);
    for command in ["run", "plan", "check", "fetch"] {
        let ran = project.run([command, "p.yaml", "--max-variants", "11"]);
        assert_eq!(ran.code, 9, "{command}: {}", ran.stderr);
        assert!(ran.stderr.contains("the matrix has 12 variants, more than 11"), "{}", ran.stderr);
        assert!(ran.stderr.contains("`ngrams` (2) × `c` (3) × `seed` (2)"), "{}", ran.stderr);
    }
    assert!(!project.path("runs").exists());
    project.ok(["check", "p.yaml", "--max-variants", "12"]);
    project.ok(["plan", "p.yaml", "--max-variants", "1", "--variant", "ngrams=pairs,c=1,seed=2"]);
    project.write("fuseline.yaml", "max_variants: 3\n");
    assert_eq!(project.run(["check", "p.yaml"]).code, 9);
    project.ok(["check", "p.yaml", "--max-variants", "0"]);
    project.ok(["check", "p.yaml", "--max-variants", "12"]);
    let sampled =
        project.ok(["plan", "p.yaml", "--set", "matrix.sample={size: 3, seed: 1}", "--format", "json"]).stdout;
    assert_eq!(labels(&serde_json::from_str(&sampled).unwrap()).len(), 3);
}

#[test]
fn a_hundred_thousand_variants_are_possible_when_asked() {
    let numbers = |most: u32| (1..=most).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let matrix =
        format!("  seed: [{}]\n  model.estimator.logistic_regression.max_iter: [{}]\n", numbers(400), numbers(250));
    let project = project(&matrix);
    let refused = project.run(["check", "p.yaml"]);
    assert!(refused.code == 9 && refused.stderr.contains("100000 combinations, more than 10000"), "{}", refused.stderr);
    let checked = project.ok(["check", "p.yaml", "--max-variants", "100000"]).stderr;
    assert!(
        checked.contains("100 000 variants")
            || checked.contains("100,000 variants")
            || checked.contains("100000 variants"),
        "{checked}"
    );
}

#[test]
fn merged_labels_are_told() {
    let project = project("  c: { set: model.estimator.logistic_regression.c, values: [1, 1.0, 2] }\n");
    let plan = project.ok(["plan", "p.yaml"]).stdout;
    assert!(plan.contains("c=1   (the same: c=1.0)"), "{plan}");
    project.ok(["plan", "p.yaml", "--variant", "c=1.0"]);
    // Of terms, 1 is a number of rows and 1.0 a share: those are two.
    project.write(
        "p.yaml",
        pipeline("  tfidf.min_df: [1, 1.0]\n  seed: [1, 2]\n  exclude: [ { tfidf.min_df: 1, seed: 2 } ]\n"),
    );
    let plan = project.ok(["plan", "p.yaml", "--variant", "tfidf.min_df=1", "--format", "json"]).stdout;
    assert_eq!(labels(&serde_json::from_str(&plan).unwrap()), ["tfidf.min_df=1,seed=1"]);
}
