//! Stages over models: is what they learn from training rows alone, shared where it is equal, and the same on any number of threads?

use serde_json::Value;

use crate::support::{Project, snippets, words_pipeline};

/// [`words_pipeline`] on given folds, with a logistic regression.
fn plain() -> String {
    words_pipeline("", "folds: given").replace("linear_svc", "logistic_regression")
}

/// The same, with `stages` between the model and the scores of `last`.
fn with(stages: &str, last: &str) -> String {
    plain().replace("from: model", &format!("from: {last}")).replace("  scores:", &format!("{stages}  scores:"))
}

const TUNED: &str = "  tuned: { use: tune, from: model, with: { folds: 2, metric: accuracy, grid: { \
     model.estimator.logistic_regression.c: [0.01, 1, 100], tfidf.min_df: [1, 2] } } }\n";

const STACKED: &str = "  other: { use: train, from: tfidf, with: { estimator: { linear_svc: {} } } }\n  \
     sure: { use: calibrate, from: other, with: { folds: 2 } }\n  \
     voted: { use: ensemble, from: [model, sure], with: { vote: {} } }\n  \
     stacked: { use: ensemble, from: [model, other], with: { stack: { folds: 2 } } }\n  \
     both: { use: ensemble, from: [voted, stacked], with: { vote: { voting: hard } } }\n  \
     cut: { use: threshold, from: stacked, with: { folds: 2 } }\n  \
     cuts: { use: cross_validate, from: cut, with: { folds: given } }\n";

fn predictions(project: &Project, out: &str) -> Vec<u8> {
    std::fs::read(project.path(out).join("predictions.parquet")).unwrap()
}

#[test]
fn what_is_chosen_changes_with_no_text_that_is_held_out() {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", with(TUNED, "tuned"));
    let tried = |fold: &str| {
        project.ok(["show", "p.yaml", "tuned", "--fold", fold, "--part", "candidates", "--format", "jsonl"]).stdout
    };
    let before = (tried("2"), tried("1"));
    let held_out = |line: &str| line.contains(",1,train") || line.contains(",1,test");
    let changed = |line: &str| match held_out(line) {
        true => line.replace("a ", "altogether other words dull fine "),
        false => line.to_owned(),
    };
    project.write("data.csv", snippets(60).lines().map(changed).collect::<Vec<_>>().join("\n"));
    assert_eq!(tried("2"), before.0, "fold 2 holds out the rows that changed");
    assert_ne!(tried("1"), before.1, "fold 1 learns from them");
}

#[test]
fn a_stack_learns_nothing_of_the_texts_that_are_held_out() {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", with(STACKED, "both"));
    let learned = |fold: &str| {
        ["stacked", "sure", "cut"].map(|stage| {
            let part = match stage {
                "stacked" => "coefficients",
                "sure" => "curves",
                _ => "thresholds",
            };
            project.ok(["show", "p.yaml", stage, "--fold", fold, "--part", part, "--format", "jsonl"]).stdout
        })
    };
    let before = (learned("2"), learned("3"));
    let changed = |line: &str| match line.contains(",1,train") || line.contains(",1,test") {
        true => line.replace("a ", "altogether other words dull fine "),
        false => line.to_owned(),
    };
    project.write("data.csv", snippets(60).lines().map(changed).collect::<Vec<_>>().join("\n"));
    assert_eq!(learned("2"), before.0);
    assert_ne!(learned("3"), before.1);
}

#[test]
fn a_search_and_a_matrix_share_what_they_fit() {
    let matrix = "matrix:\n  model.estimator.logistic_regression.c: [0.01, 1, 100]\n  tfidf.min_df: [1, 2]\n";
    let project = Project::new()
        .file("data.csv", snippets(60))
        .file("matrix.yaml", format!("{}{matrix}", plain()))
        .file("tune.yaml", with(TUNED, "tuned"));
    project.ok(["run", "matrix.yaml", "--out", "matrix"]);
    project.ok(["run", "tune.yaml", "--out", "tune"]);
    let summary = project.summary("tune");
    let chosen = summary["variants"][0]["chosen"].as_array().unwrap();
    assert_eq!(chosen.len(), 3);
    let keys = ["model.estimator.logistic_regression.c", "tfidf.min_df"];
    assert!(chosen.iter().all(|one| keys.iter().all(|key| one["params"][key].is_number())), "{chosen:?}");
    let units = summary["units"].as_array().unwrap();
    let outer = |unit: &&Value| unit["stage"] == "model" && unit["fold"].is_u64() && unit["inner"].is_null();
    let outer: Vec<&Value> = units.iter().filter(outer).collect();
    assert_eq!(outer.len(), 6, "what was chosen, in each fold: fit and apply");
    assert!(outer.iter().all(|unit| unit["outcome"] == "reused"), "the matrix had fitted it");
    assert_eq!(project.run(["run", "tune.yaml", "--out", "again"]).code, 0);
    assert_eq!(project.summary("again")["totals"]["ran"], 0);
}

#[test]
fn a_simpler_candidate_is_taken_where_that_is_asked_for() {
    let ruled = TUNED.replace("metric: accuracy", "metric: accuracy, rule: one_standard_error");
    let project = Project::new()
        .file("data.csv", snippets(60))
        .file("best.yaml", with(TUNED, "tuned"))
        .file("usual.yaml", with(&ruled.replace("one_standard_error", "best"), "tuned"))
        .file("ruled.yaml", with(&ruled, "tuned"));
    for name in ["best", "usual", "ruled"] {
        project.ok(["run", &format!("{name}.yaml"), "--out", name]);
    }
    assert_eq!(project.summary("usual")["totals"]["ran"], 0, "the default is no other work");
    let chosen = |name: &str| project.summary(name)["variants"][0]["chosen"].as_array().unwrap().clone();
    for (best, ruled) in chosen("best").iter().zip(&chosen("ruled")) {
        assert_eq!((&best["rule"], &best["best_score"]), (&"best".into(), &Value::Null));
        assert_eq!((&ruled["rule"], &ruled["best_score"]), (&"one_standard_error".into(), &best["score"]));
        let bound = best["score"].as_f64().unwrap() - ruled["std_error"].as_f64().unwrap();
        assert!(ruled["score"].as_f64().unwrap() >= bound, "{ruled}");
    }
}

#[test]
fn stages_over_models_give_the_same_bits_on_any_number_of_threads() {
    for pipeline in [with(STACKED, "both"), with(TUNED, "tuned")] {
        let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
        project.ok(["run", "p.yaml", "--threads", "1", "--cache-dir", "one", "--out", "one-out"]);
        project.ok(["run", "p.yaml", "--threads", "4", "--cache-dir", "four", "--out", "four-out"]);
        assert!(predictions(&project, "one-out") == predictions(&project, "four-out"));
    }
}

#[test]
fn a_search_of_one_candidate_is_that_candidate() {
    let tuned = "  tuned: { use: tune, from: model, with: { folds: 2, grid: { \
         model.estimator.logistic_regression.c: [7] } } }\n";
    let project = Project::new()
        .file("data.csv", snippets(60))
        .file("tune.yaml", with(tuned, "tuned"))
        .file("plain.yaml", plain());
    project.ok(["run", "tune.yaml", "--out", "tune"]);
    project.ok(["run", "plain.yaml", "--out", "plain", "--set", "model.estimator.logistic_regression.c=7"]);
    let metrics = |out: &str| project.summary(out)["variants"][0]["metrics"].clone();
    assert_eq!(metrics("tune"), metrics("plain"));
}

#[test]
fn what_cannot_be_tried_is_told_with_its_line() {
    let said = |tuned: &str, matrix: &str| {
        let pipeline = format!("{}{matrix}", with(tuned, "tuned"));
        let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
        let run = project.run(["check", "p.yaml"]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        run.stderr
    };
    let grid = |path: &str| {
        format!("  tuned: {{ use: tune, from: model, with: {{ folds: 2, grid: {{ {path}: [1, 2] }} }} }}\n")
    };
    let strange = said(&grid("model.estimator.logistic_regression.d"), "");
    assert!(strange.contains("has no parameter `d`") && strange.contains("p.yaml:"), "{strange}");
    let elsewhere = said(&grid("scores.repeats"), "");
    assert!(elsewhere.contains("does not read what that sets"), "{elsewhere}");
    let both = said(&grid("tfidf.min_df"), "matrix:\n  tfidf.min_df: [1, 2]\n");
    assert!(both.contains("which the axis `tfidf.min_df` sets"), "{both}");
    let wrong = said(&grid("model.estimator.logistic_regression.c").replace("[1, 2]", "[1, -2]"), "");
    assert!(wrong.contains("`c`") && wrong.contains("-2"), "{wrong}");
    let column = wrong.lines().find(|line| line.contains("grid")).and_then(|line| line.find("-2")).unwrap();
    let below = wrong.lines().skip_while(|line| !line.contains("grid")).nth(1).unwrap();
    assert_eq!(below.find('^'), Some(column), "the value itself is marked\n{wrong}");
    let rows = said(&grid("rows.limit"), "");
    assert!(rows.contains("changes the rows that `rows` gives") && rows.contains("the `matrix`"), "{rows}");
    let dropped = said(&grid("clean.drop_empty").replace("[1, 2]", "[true, false]"), "");
    assert!(dropped.contains("values of `clean.drop_empty`, which changes the rows that `clean` gives"), "{dropped}");
    let unfit = said(&grid("tfidf.min_df").replace("folds: 2", "folds: 2, metric: r2"), "");
    assert!(unfit.contains("the model predicts classes, which `r2` does not measure"), "{unfit}");
}

#[test]
fn a_search_needs_one_candidate_with_probabilities_for_a_metric_of_them() {
    let tuned = "  tuned: { use: tune, from: model, with: { folds: 2, metric: log_loss, grid: { model.estimator: [LIST] } } }\n";
    let check = |list: &str| {
        let project =
            Project::new().file("data.csv", snippets(60)).file("p.yaml", with(&tuned.replace("LIST", list), "tuned"));
        project.run(["check", "p.yaml"])
    };
    let none = check("{ linear_svc: {} }, { ridge_classifier: {} }");
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("`log_loss` needs probabilities, which no candidate gives"), "{}", none.stderr);
    assert_eq!(check("{ linear_svc: {} }, { logistic_regression: {} }").code, 0);
}

#[test]
fn a_failure_names_the_candidate() {
    let tuned = "  tuned: { use: tune, from: model, with: { folds: 2, grid: { tfidf.min_df: [1, 1000] } } }\n";
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", with(tuned, "tuned"));
    let run = project.run(["run", "p.yaml", "--out", "out"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("a search sets `tfidf.min_df: 1000`"), "{}", run.stderr);
}
