//! Do guesses run beside an evaluation, on the same rows and folds, and is the best variant held against them?

use serde_json::Value;

use crate::support::{Project, snippets};

fn pipeline(model: &str, scores: &str, rest: &str) -> String {
    format!(
        "name: beside
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label }} }}
  tfidf: {{ use: tfidf, from: rows }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {model} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ {scores} }} }}
  report: {{ use: report, from: scores }}
{rest}"
    )
}

/// Snippets of which every seventh has the other label.
fn noisy() -> String {
    let turned = |(row, line): (usize, &str)| match row % 7 {
        3 if line.contains(",positive,") => line.replace(",positive,", ",negative,"),
        3 => line.replace(",negative,", ",positive,"),
        _ => line.to_owned(),
    };
    snippets(90).lines().enumerate().map(turned).collect::<Vec<_>>().join("\n") + "\n"
}

fn project(model: &str, scores: &str, rest: &str) -> Project {
    Project::new().file("data.csv", noisy()).file("p.yaml", pipeline(model, scores, rest))
}

fn read(project: &Project, file: &str) -> String {
    String::from_utf8(project.read(file)).unwrap()
}

fn summary(project: &Project) -> Value {
    serde_json::from_str(&read(project, "runs/beside/summary.json")).unwrap()
}

fn all(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

const NEAREST: &str = "{ k_neighbors: { n_neighbors: 15, metric: cosine } }";

#[test]
fn guesses_run_beside_all_variants_once_and_the_best_is_held_against_them() {
    let two = "matrix:\n  c: { set: model.estimator.linear_svc.c, values: [0.01, 1] }\n";
    let project = project("{ linear_svc: {} }", "folds: 3", two);
    let out = project.ok(["run", "p.yaml"]).stderr;
    let ran = summary(&project);
    let names: Vec<&str> = all(&ran["baselines"]).iter().map(|guess| guess["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["majority", "stratified", "k_neighbors"]);
    for guess in all(&ran["baselines"]) {
        assert_eq!(all(&guess["variants"]).len(), 2, "{guess}");
        assert_eq!(guess["scored_on"], ran["variants"][0]["scored_on"]);
        assert_eq!(guess["rows"], 90);
        let [low, high] = [0, 1].map(|at| guess["metrics"]["accuracy"]["ci95"][at].as_f64().unwrap());
        let estimate = guess["metrics"]["accuracy"]["estimate"].as_f64().unwrap();
        assert!(low < estimate && estimate < high, "{guess}");
    }
    // as many rows of each class, but for what was turned
    let majority = ran["baselines"][0]["metrics"]["accuracy"]["mean"].as_f64().unwrap();
    assert!((0.4..0.6).contains(&majority), "{majority}");
    // candidates are the variants alone
    assert_eq!((all(&ran["variants"]).len(), &ran["best"][0]["of"]), (2, &Value::from(2)));
    let against: Vec<&Value> =
        all(&ran["against_baselines"]).iter().filter(|against| against["metric"] == "accuracy").collect();
    assert_eq!((against.len(), &against[0]["baseline"]), (1, &Value::from("k_neighbors")));
    assert!(out.contains("\nbaselines: k_neighbors ") && out.contains("majority 0."), "{out}");
    for form in ["report.html", "report.md"] {
        let report = read(&project, &format!("runs/beside/{form}"));
        assert!(report.contains("baseline: majority") && report.contains("the strongest baseline, k"), "{form}");
    }
    // nothing runs again, and the same is told
    let again = project.ok(["run", "p.yaml"]).stderr;
    assert!(again.contains("0 ran"), "{again}");
    let rerun = summary(&project);
    assert_eq!((&rerun["baselines"], &rerun["against_baselines"]), (&ran["baselines"], &ran["against_baselines"]));
    // without them everything else is reused
    let without = project.ok(["run", "p.yaml", "--set", "scores.baselines=[]"]).stderr;
    assert!(without.contains("0 ran") && !without.contains("baselines:"), "{without}");
    let without = summary(&project);
    assert_eq!((without.get("baselines"), without.get("against_baselines")), (None, None));
    assert_eq!((&without["comparisons"], &without["best"]), (&ran["comparisons"], &ran["best"]));
    // one of them, by name
    project.ok(["run", "p.yaml", "--set", "scores.baselines=[majority]"]);
    let one = summary(&project);
    assert_eq!((all(&one["baselines"]).len(), &one["baselines"][0]["name"]), (1, &Value::from("majority")));
}

#[test]
fn the_nearest_neighbours_are_those_that_a_pipeline_would_find() {
    let project = project(NEAREST, "folds: 3, repeats: 2", "");
    project.ok(["run", "p.yaml"]);
    let ran = summary(&project);
    let guess = all(&ran["baselines"]).iter().find(|guess| guess["name"] == "k_neighbors").unwrap();
    for (name, metric) in ran["variants"][0]["metrics"].as_object().unwrap() {
        assert_eq!(guess["metrics"][name]["folds"], metric["folds"], "{name}");
    }
    let against = all(&ran["against_baselines"]).iter().find(|against| against["metric"] == "accuracy").unwrap();
    assert_eq!((&against["difference"], &against["better"]), (&Value::from(0.0), &Value::from(false)));
    assert!(against["sentence"].as_str().unwrap().contains("is not told apart from the strongest baseline"));
}

#[test]
fn a_model_that_beats_no_guess_is_told_first() {
    let project = project("{ k_neighbors: { n_neighbors: 40, metric: cosine } }", "folds: 3", "");
    let out = project.ok(["run", "p.yaml"]).stderr;
    assert!(out.contains("note: the model is not told apart from the strongest baseline, k"), "{out}");
}

#[test]
fn folds_that_the_data_gives_and_fewer_training_rows_have_their_own() {
    let given = pipeline("{ linear_svc: {} }", "folds: given", "").replace("label: label", "label: label, fold: fold");
    let project = Project::new().file("data.csv", noisy()).file("p.yaml", given);
    project.ok(["run", "p.yaml"]);
    assert_eq!(all(&summary(&project)["baselines"]).len(), 3);
    let curve = pipeline("{ linear_svc: {} }", "folds: 3", "")
        .replace("with: { folds: 3 }", "curve: { train_rows: [10, all] }, with: { folds: 3 }");
    let project = project.file("p.yaml", curve);
    project.ok(["run", "p.yaml"]);
    let ran = summary(&project);
    assert_eq!(all(&ran["baselines"]).len(), 6);
    for (guess, variant) in [(0, 0), (3, 1)] {
        assert_eq!(all(&ran["baselines"][guess]["variants"]), &[ran["variants"][variant]["id"].clone()]);
    }
}

#[test]
fn numbers_and_sets_have_guesses_of_their_own() {
    let names = |project: &Project| {
        project.ok(["run", "p.yaml"]);
        let ran = summary(project);
        let of = |guess: &Value| guess["name"].as_str().unwrap().to_owned();
        all(&ran["baselines"]).iter().map(of).collect::<Vec<String>>()
    };
    let rows = (0..60).map(|row| format!("r{row},word{} of {},{},a;b{}\n", row % 7, row % 3, row % 5, row % 2));
    let csv = format!("id,text,stars,tags\n{}", rows.collect::<String>());
    let values = pipeline("{ ridge: {} }", "folds: 3", "").replace("label: label", "value: stars");
    let project = Project::new().file("data.csv", csv).file("p.yaml", values);
    assert_eq!(names(&project), ["mean", "k_neighbors"]);
    let sets = pipeline("{ logistic_regression: {} }", "folds: 3", "")
        .replace("label: label", "label: { column: tags, multi: { separator: ';' } }");
    let project = project.file("p.yaml", sets);
    assert_eq!(names(&project), ["majority", "stratified", "k_neighbors"]);
}
