//! What differs between two runs, and is it told truly?

use serde_json::Value;

use crate::support::{Project, snippets, words_pipeline};

fn runs() -> Project {
    let project = Project::new().file("data.csv", snippets(60));
    project.write("p.yaml", words_pipeline("ngram_range: [1, 1]", "folds: 3"));
    project.ok(["run", "p.yaml", "--out", "one"]);
    project
}

#[test]
fn a_run_and_its_repetition_do_not_differ() {
    let project = runs();
    project.ok(["run", "p.yaml", "--out", "two"]);
    let same = project.ok(["diff", "one", "two", "--exit-code"]).stdout;
    assert!(same.contains("nothing that decides a result differs"), "{same}");
    project.ok(["diff", "one/summary.json", "two/summary.json", "--exit-code"]);
}

#[test]
fn configuration_identities_metrics_and_predictions_are_told() {
    let project = runs();
    project.write("data.csv", snippets(60).replace("r1,a dull", "r1,a fine"));
    project.ok([
        "run",
        "p.yaml",
        "--set",
        "tfidf.min_df=2",
        "--set",
        "model.estimator.linear_svc.c=0.0001",
        "--out",
        "two",
    ]);
    assert_eq!(project.run(["diff", "one", "two", "--exit-code"]).code, 1);
    let text = project.ok(["diff", "one", "two"]).stdout;
    assert!(text.contains("stages.tfidf.with.min_df: – → 2"), "{text}");
    assert!(text.contains("data.csv: sha256:"), "{text}");
    assert!(text.contains("tfidf fit (3): its input 0/tokens changed; `min_df` changed: its default → 2"), "{text}");
    let diff: Value =
        serde_json::from_str(&project.ok(["diff", "one", "two", "--message-format", "json"]).stdout).unwrap();
    assert_eq!(diff["same"], false);
    assert_eq!(diff["inputs"][0]["what"], "data.csv");
    let changed = diff["units"]["changed"].as_array().unwrap();
    assert_eq!(changed.iter().filter(|unit| unit["stage"] == "tfidf" && unit["phase"] == "fit").count(), 3);
    assert_eq!(diff["predictions"][0]["rows"], 60);
    let of = |summary: &Value| summary["variants"][0]["metrics"]["accuracy"]["mean"].as_f64().unwrap();
    let delta = of(&project.summary("two")) - of(&project.summary("one"));
    let metrics = diff["metrics"].as_array().unwrap();
    match metrics.iter().find(|metric| metric["metric"] == "accuracy") {
        Some(metric) => assert!((metric["delta"].as_f64().unwrap() - delta).abs() < 1e-12, "{metric}"),
        None => assert_eq!(delta, 0.0),
    }
}

#[test]
fn predictions_that_changed_are_shown_with_their_texts() {
    let project = runs();
    let flipped =
        snippets(60).replace(",positive,", ",x,").replace(",negative,", ",positive,").replace(",x,", ",negative,");
    project.write("data.csv", flipped);
    project.ok(["run", "p.yaml", "--out", "two"]);
    let text = project.ok(["diff", "one", "two"]).stdout;
    assert!(text.contains("predictions: 60 of 60 changed (100.00%)"), "{text}");
    assert!(text.contains("positive): positive → negative   a "), "{text}");
    let diff: Value =
        serde_json::from_str(&project.ok(["diff", "one", "two", "--message-format", "json"]).stdout).unwrap();
    assert_eq!(diff["predictions"][0]["examples"].as_array().unwrap().len(), 10);
}

#[test]
fn variants_are_matched_by_id_and_then_by_label() {
    let project = runs();
    let matrix = |values: &str| format!("matrix: {{ c: {{ set: model.estimator.linear_svc.c, values: {values} }} }}\n");
    project.write("p.yaml", words_pipeline("", "folds: 3") + &matrix("[1, 10]"));
    project.ok(["run", "p.yaml", "--out", "two"]);
    project.write("p.yaml", words_pipeline("min_df: 2", "folds: 3") + &matrix("[10, 100]"));
    project.ok(["run", "p.yaml", "--out", "three"]);
    let diff: Value =
        serde_json::from_str(&project.ok(["diff", "two", "three", "--message-format", "json"]).stdout).unwrap();
    let labels: Vec<&str> = diff["variants"].as_array().unwrap().iter().map(|v| v["what"].as_str().unwrap()).collect();
    assert_eq!(labels, ["c=1", "c=100"]);
    assert_eq!(diff["predictions"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_run_is_refused() {
    let project = runs().file("other/x.txt", "x").file("broken/summary.json", "{");
    for (run, said) in [("nowhere", "there is no `nowhere`"), ("other", "no run folder"), ("broken", "cannot be read")]
    {
        let refused = project.run(["diff", "one", run]);
        assert_eq!(refused.code, 2, "{run}");
        assert!(refused.stderr.contains("error[not-a-run]") && refused.stderr.contains(said), "{}", refused.stderr);
    }
    std::fs::write(project.path("one/predictions.parquet"), "PAR1 no").unwrap();
    assert_eq!(project.run(["diff", "one", "one"]).code, 2);
}
