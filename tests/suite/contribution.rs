//! Does `ablate` leave each input out in turn, does `curve` train on fewer rows, and what do the results say of it?

use serde_json::Value;

use crate::support::{Project, snippets};

/// Words, letters and counts beside each other, over `data.csv`; `fused` and `scores` are what follows `use:` there.
fn pipeline(fused: &str, scores: &str, rest: &str) -> String {
    format!(
        "name: parts
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label }} }}
  words: {{ use: tokenize, from: rows }}
  tfidf: {{ use: tfidf, from: words }}
  pieces: {{ use: tokenize, from: rows, with: {{ tokenizer: {{ char: {{ ngram_range: [2, 3] }} }} }} }}
  letters: {{ use: tfidf, from: pieces }}
  counts: {{ use: tfidf, from: words, with: {{ use_idf: false, norm: none }} }}
  fused: {{ use: fuse, {fused} }}
  model: {{ use: train, from: fused, with: {{ estimator: {{ linear_svc: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, {scores} }}
  report: {{ use: report, from: scores }}
{rest}"
    )
}

const THREE: &str = "from: [tfidf, letters, counts], ablate: features";
const FOLDS: &str = "with: { folds: 3 }";

fn project(fused: &str, scores: &str, rest: &str) -> Project {
    Project::new().file("data.csv", snippets(90)).file("p.yaml", pipeline(fused, scores, rest))
}

fn labels(of: &Value) -> Vec<&str> {
    of["variants"].as_array().unwrap().iter().map(|variant| variant["label"].as_str().unwrap()).collect()
}

fn plan<const N: usize>(project: &Project, args: [&str; N]) -> Value {
    serde_json::from_str(&project.ok(args).stdout).unwrap()
}

const PLAN: [&str; 4] = ["plan", "p.yaml", "--format", "json"];

fn read(project: &Project, file: &str) -> String {
    String::from_utf8(project.read(file)).unwrap()
}

#[test]
fn each_input_is_left_out_and_alone() {
    let project = project(THREE, FOLDS, "");
    let planned = plan(&project, PLAN);
    assert_eq!(
        labels(&planned),
        [
            "features=all",
            "features=tfidf only",
            "features=letters only",
            "features=counts only",
            "features=without tfidf",
            "features=without letters",
            "features=without counts"
        ]
    );
    let units = planned["units"].as_array().unwrap();
    let fits = |stage: &str| units.iter().filter(|unit| unit["stage"] == stage && unit["phase"] == "fit").count();
    assert_eq!([fits("tfidf"), fits("letters"), fits("counts"), fits("model")], [3, 3, 3, 21]);
    let [p, file, format, json] = PLAN;
    let some = [p, file, format, json, "--variant", "features=tfidf only", "--variant", "features=all"];
    let some = plan(&project, some);
    assert_eq!(labels(&some), ["features=all", "features=tfidf only"]);
    let narrowed = plan(&project, [p, file, format, json, "--set", "matrix.features=[all, without counts]"]);
    assert_eq!(labels(&narrowed), ["features=all", "features=without counts"]);
    let rewired = plan(&project, [p, file, format, json, "--set", "fused.from=[tfidf, counts]"]);
    assert_eq!(labels(&rewired), ["features=all", "features=tfidf only", "features=counts only"]);
}

#[test]
fn an_ablation_is_the_matrix_that_one_would_write() {
    let by_hand = "matrix:
  features:
    set: fused.from
    values:
      all: [tfidf, letters, counts]
      tfidf only: [tfidf]
      letters only: [letters]
      counts only: [counts]
      without tfidf: [letters, counts]
      without letters: [tfidf, counts]
      without counts: [tfidf, letters]
";
    let short = plan(&project(THREE, FOLDS, ""), PLAN);
    let long = plan(&project("from: [tfidf, letters, counts]", FOLDS, by_hand), PLAN);
    assert_eq!(short["variants"], long["variants"]);
}

#[test]
fn an_extending_file_takes_the_axis_away() {
    let project = project(THREE, FOLDS, "");
    project.write("q.yaml", "extends: p.yaml\nname: q\nstages:\n  fused: { ablate: null }\n");
    let planned = plan(&project, ["plan", "q.yaml", "--format", "json"]);
    assert_eq!(labels(&planned), [""]);
}

#[test]
fn factors_go_with_their_inputs() {
    let project = project(&format!("{THREE}, with: {{ weights: [1, 0.5, 2] }}"), FOLDS, "");
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    assert_eq!(labels(&summary).len(), 7);
    assert_eq!(summary["contributions"].as_array().unwrap().len(), 3);
}

#[test]
fn what_each_block_adds_stands_in_the_summary_and_the_report() {
    let matrix = "matrix:\n  tfidf.min_df: [1, 2]\n";
    let project = project("from: [tfidf, letters], ablate: features", FOLDS, matrix);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    // letters alone are the same whatever `tfidf.min_df` is
    assert_eq!(labels(&summary).len(), 5);
    let found = summary["contributions"].as_array().unwrap();
    let of = |entry: &Value| [&entry["block"], &entry["stage"], &entry["axis"]].map(|v| v.as_str().unwrap().to_owned());
    assert_eq!(
        found.iter().map(|entry| of(entry)[0].clone()).collect::<Vec<_>>(),
        ["tfidf", "letters", "tfidf", "letters"]
    );
    assert_eq!(of(&found[0]), ["tfidf", "fused", "features"]);
    let score = |id: &Value| {
        let variants = summary["variants"].as_array().unwrap();
        let variant = variants.iter().find(|variant| variant["id"] == *id).unwrap();
        variant["metrics"]["f1_macro"]["estimate"].as_f64().unwrap()
    };
    for entry in found {
        let gain = &entry["metrics"]["f1_macro"];
        let expected = score(&entry["all"]) - score(&entry["without"]);
        assert!((gain["gain"].as_f64().unwrap() - expected).abs() < 1e-12);
        assert!((gain["alone"].as_f64().unwrap() - score(&entry["alone"])).abs() < 1e-12);
        assert_eq!(gain["folds"].as_array().unwrap().len(), 3);
        assert_eq!(entry["classes"].as_array().unwrap().len(), 2);
        let ran = |stage: &Value| {
            let units = summary["units"].as_array().unwrap().iter();
            let its = units
                .filter(|unit| unit["stage"] == *stage && unit["variants"].as_array().unwrap().contains(&entry["all"]));
            its.map(|unit| unit["seconds"].as_f64().unwrap()).sum::<f64>()
        };
        // nothing else needs the tokens
        let tokens = Value::from(if entry["block"] == "tfidf" { "words" } else { "pieces" });
        let cost = ran(&entry["block"]) + ran(&tokens);
        assert!((entry["seconds"].as_f64().unwrap() - cost).abs() < 1e-9, "{entry}");
    }
    // of two blocks, one left out is the other alone
    assert_eq!(found[0]["without"], found[1]["alone"]);
    for file in ["report.html", "report.md"] {
        let report = read(&project, &format!("out/{file}"));
        assert!(report.contains("What each part adds"), "{file}");
    }
}

#[test]
fn a_block_that_matters_is_told_from_one_that_does_not() {
    let mut rng = fuseline::ml::Rng::seeded(7);
    let mut csv = "id,text,label\n".to_owned();
    for row in 0..150 {
        let label = ["bad", "good"][row % 2];
        // the words are right in nine of ten rows, the digits say nothing
        let word = if rng.below(10) == 0 { ["fine", "dull"][row % 2] } else { ["dull", "fine"][row % 2] };
        csv.push_str(&format!("r{row},{word} film {},{label}\n", 10 + rng.below(5)));
    }
    let pipeline = "name: parts
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label } }
  letters: { use: tokenize, from: rows, with: { token_pattern: '[a-z]+' } }
  digits: { use: tokenize, from: rows, with: { token_pattern: '[0-9]+' } }
  words: { use: tfidf, from: letters }
  numbers: { use: tfidf, from: digits }
  fused: { use: fuse, from: [words, numbers], ablate: features }
  model: { use: train, from: fused, with: { estimator: { logistic_regression: {} } } }
  scores: { use: cross_validate, from: model }
  report: { use: report, from: scores }
";
    let project = Project::new().file("data.csv", csv).file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    for metric in ["accuracy", "f1_macro", "log_loss"] {
        let of = |block: usize| {
            let gain = &summary["contributions"][block]["metrics"][metric];
            let ci: Vec<f64> = gain["ci95"].as_array().unwrap().iter().map(|bound| bound.as_f64().unwrap()).collect();
            let number = |name: &str| gain[name].as_f64().unwrap();
            assert!(ci[0] <= number("gain") && number("gain") <= ci[1], "{metric}: {gain}");
            assert!(number("p") <= number("p_adjusted"), "{metric}: {gain}");
            (ci[0], number("p_adjusted"))
        };
        let ((words_least, words), (numbers_least, numbers)) = (of(0), of(1));
        assert!(words_least > 0.1 && words < 0.001, "{metric}: {}", summary["contributions"]);
        assert!(numbers_least <= 0.0 && numbers > 0.05, "{metric}: {}", summary["contributions"]);
    }
    for (block, matters) in [(0, true), (1, false)] {
        let classes = summary["contributions"][block]["classes"].as_array().unwrap();
        assert_eq!(classes.len(), 2);
        for class in classes {
            let bound = |at: usize| class["ci95"][at].as_f64().unwrap();
            let gain = class["gain"].as_f64().unwrap();
            assert!(bound(0) <= gain && gain <= bound(1), "{class}");
            // where a block changes no prediction, nothing is left to chance
            assert_eq!((bound(0) > 0.1, bound(0) < bound(1)), (matters, gain != 0.0), "{class}");
        }
    }
    assert!(read(&project, "out/report.md").contains("in points of F1, all folds together, with 95% intervals"));
}

#[test]
fn a_curve_scores_the_same_rows_with_fewer_to_learn_from() {
    let project = project("from: [tfidf]", "curve: { train_rows: [6, 20, all] }, with: { folds: 3 }", "");
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    assert_eq!(labels(&summary), ["train_rows=6", "train_rows=20", "train_rows=all"]);
    let curve = &summary["learning_curves"].as_array().unwrap()[0];
    let rows: Vec<u64> =
        curve["points"].as_array().unwrap().iter().map(|p| p["train_rows"].as_u64().unwrap()).collect();
    assert_eq!((rows, curve["label"].as_str()), (vec![6, 20, 60], Some("")));
    let (mut tested, mut trained) = (Vec::new(), Vec::new());
    for label in labels(&summary) {
        let masks =
            project.ok(["show", "p.yaml", "scores", "--variant", label, "--part", "fold.00.01", "--format", "jsonl"]);
        let lines: Vec<Value> = masks.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let on = |side: &str| -> Vec<bool> { lines.iter().map(|line| line[side].as_bool().unwrap()).collect() };
        tested.push(on("test"));
        trained.push(on("train"));
    }
    assert!(tested[0] == tested[1] && tested[1] == tested[2]);
    for pair in trained.windows(2) {
        assert!(pair[0].iter().zip(&pair[1]).all(|(small, large)| !small || *large));
    }
    assert!(read(&project, "out/report.html").contains("Learning curve"));
    let markdown = read(&project, "out/report.md");
    assert!(markdown.contains("## Learning curves"));
    // the rows are told once, and what the folds train on in one table
    assert_eq!(
        (markdown.matches("### Rows\n").count(), markdown.matches("### Tested texts").count()),
        (1, 1),
        "{markdown}"
    );
    assert!(markdown.contains("| train\\_rows=6 | 3 | 6 | 90 |"), "{markdown}");
}

#[test]
fn repeats_of_a_holdout_draw_other_training_rows() {
    let scores = "curve: { train_rows: [6, all] }, with: { holdout: test, repeats: 3, metrics: [accuracy, f1_macro] }";
    let project = project("from: [tfidf]", scores, "");
    let split = |pipeline: String| pipeline.replace("label: label }", "label: label, split: split }");
    project.write("p.yaml", split(pipeline("from: [tfidf]", scores, "")));
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    assert_eq!(summary["variants"][0]["scored_on"], summary["variants"][1]["scored_on"], "a curve of the same rows");
    let masks = |label: &str, repeat: u32| {
        let part = format!("fold.{repeat:02}.00");
        let args = ["show", "p.yaml", "scores", "--variant", label, "--part", &part, "--format", "jsonl"];
        let shown = project.ok(args).stdout;
        let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        ["train", "test"].map(|side| lines.iter().map(|line| line[side].as_bool().unwrap()).collect::<Vec<bool>>())
    };
    let [first, second] = [0, 1].map(|repeat| masks("train_rows=6", repeat));
    assert!(first[0] != second[0] && first[1] == second[1]);
    assert_eq!(masks("train_rows=all", 0), masks("train_rows=all", 2));
    for (variant, alike) in summary["variants"].as_array().unwrap().iter().zip([false, true]) {
        let metric = &variant["metrics"]["f1_macro"];
        assert_eq!(metric["folds"].as_array().unwrap().len(), 3);
        assert_eq!(metric["std"].as_f64().unwrap() == 0.0, alike, "{metric}");
        assert_eq!(metric["ci95_method"], "bootstrap_and_draws");
        assert!((metric["estimate"].as_f64().unwrap() - metric["mean"].as_f64().unwrap()).abs() < 1e-12, "{metric}");
    }
    // one that trains on all each time has fitted once
    let fits = |label: &str| {
        let id = summary["variants"].as_array().unwrap().iter().find(|v| v["label"] == label).unwrap()["id"].clone();
        let units = summary["units"].as_array().unwrap().iter();
        let own = units.filter(|unit| unit["stage"] == "model" && unit["phase"] == "fit");
        let own = own.filter(|unit| unit["variants"].as_array().unwrap().contains(&id));
        let mut keys: Vec<String> = own.map(|unit| unit["key"].to_string()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    assert_eq!((fits("train_rows=6"), fits("train_rows=all")), (3, 1));
    assert!(read(&project, "out/report.md").contains("mean over 3 draws of the training rows"));
    // without fewer rows there is nothing to draw
    let plain = "with: { holdout: test, repeats: 3 }";
    project.write("p.yaml", split(pipeline("from: [tfidf]", plain, "")));
    let refused = project.run(["check", "p.yaml"]);
    assert!(refused.stderr.contains("`repeats` says nothing beside `holdout`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("set `train_rows`"), "{}", refused.stderr);
    // given folds, three times over
    let given = "with: { folds: given, repeats: 2, train_rows: 10, metrics: [accuracy] }";
    let pipeline = pipeline("from: [tfidf]", given, "").replace("label: label }", "label: label, fold: fold }");
    project.write("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "given"]);
    let accuracy = project.summary("given")["variants"][0]["metrics"]["accuracy"].clone();
    let folds = accuracy["folds"].as_array().unwrap().len();
    assert!(folds > 2 && folds.is_multiple_of(2), "{accuracy}");
    assert_eq!(accuracy["ci95_method"], "bootstrap_and_draws");
}

#[test]
fn all_rows_are_the_evaluation_without_the_parameter() {
    let project = project("from: [tfidf]", FOLDS, "");
    project.ok(["run", "p.yaml", "--out", "out"]);
    project.write("p.yaml", pipeline("from: [tfidf]", "with: { folds: 3, train_rows: all }", ""));
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(project.summary("again")["totals"]["ran"], 0);
    project.write("p.yaml", pipeline("from: [tfidf]", "with: { folds: 3, train_rows: 60 }", ""));
    let ran = project.ok(["run", "p.yaml", "--out", "same"]);
    // rows are divided anew, into the same folds: nothing that learns runs
    let units = project.summary("same")["units"].as_array().unwrap().clone();
    let again: Vec<&Value> = units.iter().filter(|unit| unit["outcome"] == "ran").map(|unit| &unit["phase"]).collect();
    // the last three are those of guesses
    assert_eq!(again, ["split", "score", "score", "score", "score"], "{}", ran.stderr);
    project.write("p.yaml", pipeline("from: [tfidf]", "with: { folds: 3, train_rows: 61 }", ""));
    project.ok(["run", "p.yaml", "--out", "more"]);
    let warnings = project.summary("more")["warnings"].to_string();
    assert_eq!(
        warnings.matches("`train_rows` is 61, but a fold has 60 training rows: all of them are used").count(),
        1
    );
}
