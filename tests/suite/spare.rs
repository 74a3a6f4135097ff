//! Is a file of the user's ever lost? Pipelines, data, baselines and whatever else lies where a run, a report or a plot would go.

use serde_json::Value;

use crate::support::{Project, snippets};

const GATES: &str = "gates:\n  floor: { metric: accuracy, min: 0.1 }\n";

fn pipeline() -> String {
    format!(
        "# my own words
name: words
stages:
  rows: {{ use: ingest, with: {{ source: predictions.parquet.csv, id: id, text: text, label: label }} }}
  tfidf: {{ use: tfidf, from: rows }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ linear_svc: {{ c: 1 }} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 2, metrics: [accuracy, f1_macro], baselines: [] }} }}
{GATES}"
    )
}

fn project(name: &str) -> Project {
    Project::new().file("predictions.parquet.csv", snippets(60)).file(name, pipeline())
}

#[test]
fn a_run_goes_where_it_takes_nothing_away() {
    let project = project("pipeline.yaml");
    let refused = project.run(["run", "pipeline.yaml", "--out", "."]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("would write over `pipeline.yaml`, which is the pipeline"), "{}", refused.stderr);
    assert_eq!(project.read("pipeline.yaml"), pipeline().as_bytes());
    assert!(!project.path("events.jsonl").exists() && !project.path("cache").exists(), "nothing ran");

    let foreign = ["report.md", "report.html", "events.jsonl", "trace.json", "predictions.parquet", "scores-report.md"];
    for name in foreign {
        let file = format!("mine/{name}");
        project.write(&file, "mine");
        let refused = project.run(["run", "pipeline.yaml", "--out", "mine"]);
        assert_eq!(refused.code, 2, "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("`{name}`, which no run wrote")), "{}", refused.stderr);
        assert_eq!(project.read(&file), b"mine");
        std::fs::remove_file(project.path(&file)).unwrap();
    }
    project.write("mine/notes.txt", "mine");
    project.ok(["run", "pipeline.yaml", "--out", "mine"]);
    project.ok(["run", "pipeline.yaml", "--out", "mine"]);
    // what a run that was killed leaves is no obstacle, and neither is damage
    project.write("killed/events.jsonl", "{\"t\":0.1,\"event\":\"planned\",\"units\":4,\"lanes\":2}\n");
    project.ok(["run", "pipeline.yaml", "--out", "killed"]);
    project.write("killed/summary.json", "{");
    project.ok(["run", "pipeline.yaml", "--out", "killed"]);
    assert_eq!(project.read("mine/notes.txt"), b"mine");
}

#[test]
fn a_run_that_is_removed_takes_no_pipeline_with_it() {
    let project = project("pipeline.yaml");
    project.ok(["run", "pipeline.yaml", "--out", "one"]);
    project.write("one/pipeline.yaml", pipeline());
    let refused = project.run(["runs", "rm", "one"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("a pipeline that no run wrote"), "{}", refused.stderr);
    assert_eq!(project.read("one/pipeline.yaml"), pipeline().as_bytes());
    assert!(project.path("one/summary.json").exists(), "nothing went");
    assert_eq!(project.run(["run", "one/pipeline.yaml", "--out", "one"]).code, 2);

    project.ok(["run", "pipeline.yaml", "--out", "two"]);
    project.write("two/summary.json", "{\"name\":");
    let listed = project.run(["runs", "ls", "."]);
    assert!(listed.code == 0 && listed.stderr.contains("two/summary.json` cannot be read"), "{}", listed.stderr);
    project.ok(["runs", "rm", "two"]);
    assert!(!project.path("two").exists());
}

#[test]
fn reports_and_plots_are_not_written_over_what_is_read() {
    let project = project("p.yaml");
    project.ok(["gate", "p.yaml", "--update"]);
    for (file, what) in [
        ("p.yaml", "the pipeline"),
        ("p.baseline.json", "the baseline"),
        ("p.lock", "the pipeline's lock"),
        ("predictions.parquet.csv", "a file that the pipeline reads"),
        ("runs/words/summary.json", "a file of the run itself"),
    ] {
        let before = project.read(file);
        let refused = project.run(["gate", "p.yaml", &format!("--emit=json={file}")]);
        assert_eq!(refused.code, 2, "{file}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("which is {what}")), "{}", refused.stderr);
        assert_eq!(project.read(file), before, "{file}");
        if !file.starts_with("runs") {
            assert_eq!(project.run(["runs", "ls", "--plot", file]).code, 2, "{file}");
            assert_eq!(project.read(file), before, "{file}");
        }
    }
    let twice = project.run(["run", "p.yaml", "--emit", "json=a", "--emit", "junit=./a"]);
    assert!(twice.code == 2 && twice.stderr.contains("where another report goes"), "{}", twice.stderr);
    assert!(!project.path("a").exists());
    project.ok(["runs", "ls", "--plot", "t.html"]);
    project.ok(["runs", "ls", "--plot", "t.html"]);

    // one that cannot be written keeps none of the others back
    let half = project.run(["gate", "p.yaml", "--emit", "json=p.yaml/x", "--emit", "junit=j.xml"]);
    assert_eq!(half.code, 3, "{}", half.stderr);
    assert!(project.path("j.xml").exists());
    let mut command = project.command();
    command.args(["gate", "p.yaml", "--emit", "github"]).env("GITHUB_STEP_SUMMARY", project.path("p.yaml/x"));
    let told = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(told.contains("`GITHUB_STEP_SUMMARY` names that file"), "{told}");
}

#[test]
fn an_unreadable_baseline_is_replaced_and_nothing_else_is() {
    let project = project("p.yaml");
    project.ok(["gate", "p.yaml", "--update"]);
    let sound = project.read("p.baseline.json");
    let text = String::from_utf8(sound.clone()).unwrap();
    let marked = format!("<<<<<<< HEAD\n{text}");
    for broken in
        ["", &text.chars().take(200).collect::<String>(), &marked, &text.replace("\"format\": 1", "\"format\": 2")]
    {
        project.write("p.baseline.json", broken);
        assert_eq!(project.run(["gate", "p.yaml", "--metric", "accuracy"]).code, 2);
        let written = project.ok(["gate", "p.yaml", "--update"]);
        assert!(written.stderr.contains("it is written anew from this run"), "{}", written.stderr);
        assert_eq!(project.read("p.baseline.json"), sound);
    }
    for (file, what) in [("mine.json", "no baseline"), ("p.lock.json", "no baseline")] {
        project.write(file, "{\"mine\": 1}");
        let refused = project.run(["gate", "p.yaml", "--update", "--baseline", file]);
        assert!(refused.code == 2 && refused.stderr.contains(what), "{}", refused.stderr);
        assert_eq!(project.read(file), b"{\"mine\": 1}");
    }
    // a file that is named is looked for, whatever the gates are about
    let missing = project.run(["gate", "p.yaml", "--baseline", "nope.json"]);
    assert!(missing.code == 2 && missing.stderr.contains("there is no baseline `nope.json`"), "{}", missing.stderr);
    project.write("p.yaml", format!("{}expect: {{ rows: 1000 }}\n", pipeline()));
    let broken = project.run(["gate", "p.yaml", "--update"]);
    assert!(broken.code == 1 && broken.stderr.contains("the baseline is not written"), "{}", broken.stderr);
}

#[cfg(unix)]
#[test]
fn a_baseline_behind_a_link_is_written_there() {
    let project = project("p.yaml").file("kept/b.json", "");
    std::os::unix::fs::symlink("kept/b.json", project.path("p.baseline.json")).unwrap();
    project.ok(["gate", "p.yaml", "--update"]);
    assert!(project.path("p.baseline.json").is_symlink());
    assert!(project.read("kept/b.json").starts_with(b"{"));
}

#[test]
fn gates_name_what_there_is() {
    let project = project("p.yaml");
    let refused = |gate: &str, why: &str| {
        project.write("p.yaml", pipeline().replace(GATES, &format!("gates:\n  g: {gate}\n")));
        let told = project.run(["check", "p.yaml"]);
        assert!(told.code == 2 && told.stderr.contains(why), "{gate}: {}", told.stderr);
        assert_eq!(told.stderr.matches("error[").count(), 1, "{}", told.stderr);
    };
    refused("{ metric: accuracy, min: 0, variant: c=7 }", "a variant `c=7`, and there is none");
    refused("{ metric: accuracy, min: 0, evaluation: score }", "an evaluation `score`, and there is none");
    refused("{ metric: spearman, min: 0 }", "does not measure what is predicted");
    refused("{ metric: log_loss, max: 1 }", "which is not computed");
    refused("{ metric: accuracy, min: \"0.9\" }", "`min` must be a number");
    refused("{ metric: accuracy, min: 0.99, max: 0.5 }", "nothing lies between");
    project.write("p.yaml", pipeline().replace("  floor:", "  \"\":"));
    let nameless = project.run(["check", "p.yaml"]);
    assert!(nameless.code == 2 && nameless.stderr.contains("a gate needs a name"), "{}", nameless.stderr);
    project.write("p.yaml", pipeline());
    project.ok(["gate", "p.yaml", "--update"]);
    assert_eq!(project.run(["gate", "p.yaml", "--metric", "r2"]).code, 2);
}

#[test]
fn gates_on_variants_that_are_not_selected_are_left_out() {
    let matrix = "matrix:\n  c: { set: model.estimator.linear_svc.c, values: [1, 10] }\n";
    let gates = "gates:\n  one: { metric: accuracy, min: 0.1, variant: c=1 }\n  two: { metric: accuracy, min: 0.1, variant: c=10 }\n";
    let project = project("p.yaml");
    project.write("p.yaml", pipeline().replace(GATES, &format!("{matrix}{gates}")));
    let some = project.run(["gate", "p.yaml", "--variant", "c=10", "--emit", "json=r.json"]);
    assert_eq!(some.code, 0, "{}", some.stderr);
    assert!(some.stderr.contains("`one` is left out: its variant `c=1` is not selected"), "{}", some.stderr);
    let report: Value = serde_json::from_slice(&project.read("r.json")).unwrap();
    assert_eq!(report["gates"].as_array().unwrap().len(), 1);
    // a baseline of some is refused before anything runs
    std::fs::remove_dir_all(project.path("runs")).unwrap();
    assert_eq!(project.run(["gate", "p.yaml", "--update", "--variant", "c=10"]).code, 2);
    assert!(!project.path("runs").exists(), "nothing ran");

    let all = project.ok(["gate", "p.yaml", "--emit", "junit=j.xml"]);
    let cases = String::from_utf8(project.read("j.xml")).unwrap();
    let names: Vec<&str> =
        cases.lines().filter_map(|line| line.trim().strip_prefix("<testcase ")?.split(" time=").next()).collect();
    let apart: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(apart.len(), names.len(), "{names:?} {}", all.stderr);
}

#[test]
fn variants_are_compared_by_label() {
    let matrix = |small: &str, large: &str| {
        format!(
            "matrix:\n  size: {{ set: model.estimator.linear_svc.c, values: {{ small: {small}, large: {large} }} }}\n"
        )
    };
    let project = project("p.yaml");
    project.write("p.yaml", pipeline().replace(GATES, &matrix("0.0001", "100")));
    project.ok(["run", "p.yaml", "--out", "a"]);
    project.write("p.yaml", pipeline().replace(GATES, &matrix("100", "0.0001")));
    project.ok(["run", "p.yaml", "--out", "b"]);
    let told = project.ok(["diff", "a", "b", "--message-format", "json"]);
    let diff: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(diff["variants"], serde_json::json!([]));
    assert!(!diff["units"]["changed"].as_array().unwrap().is_empty(), "the two sizes have changed places");
    // a summary alone says nothing of the pipeline
    let half = project.ok(["diff", "a/summary.json", "a", "--message-format", "json"]);
    let half: Value = serde_json::from_str(&half.stdout).unwrap();
    assert_eq!(half["config"], serde_json::json!([]));
}
