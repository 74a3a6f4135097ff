//! Does the command do what it says, and say what is wrong?

use crate::support::{Project, snippets, words_pipeline};

fn project() -> Project {
    Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("", "folds: 3"))
}

#[test]
fn a_run_writes_its_folder_and_prints_its_scores() {
    let project = project();
    let ran = project.ok(["run", "p.yaml"]);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(ran.stderr.contains("accuracy") && ran.stderr.contains("report.html"), "{}", ran.stderr);
    for name in ["summary.json", "predictions.parquet", "events.jsonl", "pipeline.yaml", "report.html", "report.md"] {
        assert!(!project.read(&format!("runs/words/{name}")).is_empty(), "{name}");
    }
    let summary = project.summary("runs/words");
    let metrics = &summary["variants"][0]["metrics"];
    assert_eq!(metrics["accuracy"]["mean"], 1.0);
    assert_eq!(metrics["accuracy"]["folds"].as_array().unwrap().len(), 3);
    assert_eq!(summary["variants"][0]["label"], "");
    assert_eq!(summary["inputs"][0]["rows"], 60);
    assert!(metrics.get("log_loss").is_none(), "a linear SVM has no probabilities");
}

#[test]
fn the_metric_of_the_report_ranks_everywhere() {
    let project = project();
    let report = "report: { use: report, from: scores, with: { metric: f1_macro } }\n";
    let pipeline = words_pipeline("", "folds: 3").replace("report: { use: report, from: scores }\n", report);
    project.write("p.yaml", pipeline + "matrix: { tfidf.min_df: [1, 2] }\n");
    let ran = project.ok(["run", "p.yaml"]);
    assert_eq!(project.summary("runs/words")["ranked_by"], "f1_macro");
    for told in [ran.stderr, project.ok(["runs", "show", "runs/words"]).stdout] {
        let head = told.lines().find(|line| line.starts_with("variant ")).unwrap_or_else(|| panic!("{told}"));
        assert!(head.split_whitespace().nth(1) == Some("f1_macro"), "{told}");
    }
    assert!(project.ok(["runs", "ls"]).stdout.contains("f1_macro 1.0000"));
}

#[test]
fn words_of_the_file_have_pages() {
    let project = Project::new();
    for (word, says) in [("ablate", "without tfidf"), ("curve", "train_rows"), ("expect", "duplicates"), ("seed", "42")]
    {
        let page = project.ok(["explain", word]).stdout;
        assert!(page.starts_with(&format!("{word}: ")) && page.contains(says), "{page}");
    }
    assert!(project.ok(["explain"]).stdout.contains("words of the pipeline file\n  name"));
    let near = project.run(["explain", "ablat"]);
    assert!(near.code == 2 && near.stderr.contains("did you mean `ablate`?"), "{}", near.stderr);
}

#[test]
fn the_hold_out_trains_on_train_and_scores_on_test() {
    let project = project();
    project.write("p.yaml", words_pipeline("", "holdout: test"));
    project.ok(["run", "p.yaml", "--out", "out"]);
    assert_eq!(project.summary("out")["variants"][0]["rows"], 12);
    project.write("p.yaml", words_pipeline("", "holdout: dev"));
    let ran = project.run(["run", "p.yaml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("no row is in the split `dev`; the splits are test, train"), "{}", ran.stderr);
    assert!(ran.stderr.contains("p.yaml:8:"), "{}", ran.stderr);
}

#[test]
fn a_failed_stage_points_at_the_line_and_with_k_stops_nothing_else() {
    let project = project();
    project.write("p.yaml", words_pipeline("min_df: 50", "folds: 3") + "matrix: { tfidf.min_df: [1, 50] }\n");
    let ran = project.run(["run", "p.yaml", "-k", "--out", "out"]);
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("`min_df` asks for 50 rows, but there are 40 training rows"), "{}", ran.stderr);
    // whichever fold was first: the others fail for the same reason
    assert!(ran.stderr.contains("error[stage-failed]: `tfidf` failed while fitting in fold "), "{}", ran.stderr);
    let summary = project.summary("out");
    assert_eq!(summary["status"], "failed");
    assert_eq!(summary["variants"][0]["metrics"]["accuracy"]["mean"], 1.0);
    assert!(summary["variants"][1]["metrics"].as_object().unwrap().is_empty());
    assert!(summary["units"].as_array().unwrap().iter().any(|unit| unit["outcome"] == "skipped"));
}

#[test]
fn a_broken_pipeline_runs_nothing_and_leaves_nothing() {
    let project = project();
    project.write("p.yaml", words_pipeline("ngram: [1, 2]", "folds: 1"));
    let ran = project.run(["run", "p.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `ngram_range`?"), "{}", ran.stderr);
    assert!(ran.stderr.contains("p.yaml:8:"), "both problems are told at once: {}", ran.stderr);
    assert!(!project.path("runs").exists());
}

#[test]
fn a_missing_file_is_named_with_its_line() {
    let project = project();
    std::fs::remove_file(project.path("data.csv")).unwrap();
    let ran = project.run(["run", "p.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("data.csv") && ran.stderr.contains("p.yaml:3:"), "{}", ran.stderr);
}

#[test]
fn odd_data_gives_an_answer_or_a_clear_word() {
    let header = "id,text,label,fold,split\n";
    let cases = [("", "empty"), (header, "row"), ("id,text,label,fold,split\nr0,one film,positive,0,train\n", "fold")];
    for (data, word) in cases {
        let project = Project::new().file("data.csv", data).file("p.yaml", words_pipeline("", "folds: 3"));
        let ran = project.run(["run", "p.yaml"]);
        assert!(ran.code == 3 || ran.code == 2, "{data:?}: {}\n{}", ran.code, ran.stderr);
        assert!(ran.stderr.contains("error[") && ran.stderr.contains(word), "{data:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    let one_class = snippets(30).replace("negative", "positive");
    let project = Project::new().file("data.csv", one_class).file("p.yaml", words_pipeline("", "folds: 3"));
    let ran = project.run(["run", "p.yaml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("all training rows have the one label `positive`"), "{}", ran.stderr);
}

#[test]
fn texts_of_any_script_come_through() {
    let odd = snippets(30).replace("film", "映画 😀 👩‍👩‍👧 naïve e\u{301} مرحبا \u{200b}");
    let project = Project::new().file("data.csv", &odd).file("p.yaml", words_pipeline("", "folds: 3"));
    project.ok(["run", "p.yaml"]);
    let shown = project.ok(["show", "p.yaml", "rows", "--format", "jsonl", "--rows", "1"]).stdout;
    let row: serde_json::Value = serde_json::from_str(shown.trim()).unwrap();
    let line = odd.lines().nth(1).unwrap();
    assert_eq!(row["text"].as_str().unwrap(), line.split(',').nth(1).unwrap());
}

#[test]
fn show_prints_what_a_stage_made_in_every_format() {
    let project = project();
    let table = project.ok(["show", "p.yaml", "words"]).stdout;
    assert!(table.starts_with("row_id") && table.contains("… and 40 more rows"), "{table}");
    let csv = project.ok(["show", "p.yaml", "rows", "--format", "csv"]).stdout;
    assert_eq!(csv.lines().count(), 61);
    project.ok(["show", "p.yaml", "tfidf", "--fold", "3", "--format", "parquet", "--out", "t.parquet"]);
    assert!(project.read("t.parquet").starts_with(b"PAR1"));
    for (args, word) in [
        (["show", "p.yaml", "tfid", "--fold", "1"], "did you mean `tfidf`?"),
        (["show", "p.yaml", "tfidf", "--fold", "9"], "it is in 3 folds"),
        (["show", "p.yaml", "tfidf", "--part", "texts"], "its parts are"),
        (["show", "p.yaml", "report", "--rows", "1"], "writes files for people"),
    ] {
        let ran = project.run(args);
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn offline_with_nothing_fetched_says_what_to_do() {
    let pipeline = words_pipeline("", "folds: 3")
        .replace("source: data.csv", "source: dataset:vader-icwsm2014!tweets.txt, format: tsv");
    let project = project().file("p.yaml", pipeline);
    let ran = project.run(["run", "p.yaml", "--offline"]);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    assert!(ran.stderr.contains("fuseline fetch"), "{}", ran.stderr);
}

#[test]
fn plans_are_printed_for_people_and_programs() {
    let project = project();
    let text = project.ok(["plan", "p.yaml"]).stdout;
    assert!(text.starts_with("words: 1 variant, 19 units: 0 cached, 19 to run"), "{text}");
    let json = project.ok(["plan", "p.yaml", "--format", "json"]).stdout;
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(plan["units"].as_array().unwrap().len(), 19);
    assert!(project.ok(["plan", "p.yaml", "--format", "dot"]).stdout.starts_with("digraph"));
    assert!(project.ok(["plan", "p.yaml", "--format", "mermaid"]).stdout.starts_with("flowchart"));
    assert!(project.ok(["run", "p.yaml", "-n"]).stdout.contains("never ran"));
    assert!(!project.path("runs").exists());
}

#[test]
fn folds_that_are_in_the_data_are_planned_once_the_rows_are_read() {
    let project = project();
    project.write("p.yaml", words_pipeline("", "folds: given"));
    assert!(project.ok(["plan", "p.yaml"]).stdout.contains("the folds of `scores` are in the data"));
    project.ok(["run", "p.yaml", "--out", "out"]);
    assert_eq!(project.summary("out")["variants"][0]["metrics"]["accuracy"]["folds"].as_array().unwrap().len(), 3);
    assert!(project.ok(["plan", "p.yaml"]).stdout.starts_with("words: 1 variant, 19 units: 19 cached, 0 to run"));
}

#[test]
fn json_messages_are_json() {
    let project = project();
    let ran = project.ok(["run", "p.yaml", "--message-format", "json"]);
    let lines: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["event"], "summary");
    assert!(lines.iter().any(|line| line["event"] == "finished" && line["outcome"] == "ran"));
}

#[test]
fn the_cache_is_counted_listed_and_emptied() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    assert!(project.ok(["cache", "stats"]).stdout.contains("tfidf"));
    assert!(project.ok(["cache", "ls"]).stdout.lines().count() > 15);
    project.ok(["cache", "clear"]);
    assert!(project.ok(["plan", "p.yaml"]).stdout.contains("0 cached, 19 to run"));
}

#[test]
fn set_overrides_a_value_and_is_named_when_it_is_wrong() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.ok(["run", "p.yaml", "--set", "tfidf.min_df=2", "--out", "out"]);
    assert!(project.summary("out")["totals"]["ran"].as_u64().unwrap() > 0);
    let ran = project.run(["run", "p.yaml", "--set", "model.estimator.linear_svc.c=-1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--set model.estimator.linear_svc.c=-1"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_with_5_and_the_same_command_goes_on() {
    let project = project();
    // Slow enough to be interrupted: a forest of many trees on a hundred columns would need dense rows, so many words do.
    let rows: Vec<String> = (0..6000).map(|r| format!("r{r},{},{},{},train", words(r), r % 7, r % 3)).collect();
    project.write("data.csv", format!("id,text,label,fold,split\n{}", rows.join("\n")));
    project.write("p.yaml", words_pipeline("ngram_range: [1, 3]", "folds: 5"));
    let mut child = project.command().args(["run", "p.yaml", "--threads", "1", "--out", "out"]).spawn().unwrap();
    let log = project.path("out/events.jsonl");
    let begun = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("tfidf fit fold 2"));
    let mut waited = 0;
    while !begun() && waited < 1200 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        waited += 1;
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(5));
    let interrupted = project.summary("out");
    assert_eq!(interrupted["status"], "interrupted");
    project.ok(["run", "p.yaml", "--out", "out"]);
    let resumed = project.summary("out");
    assert!(resumed["totals"]["reused"].as_u64() >= interrupted["totals"]["ran"].as_u64());
    assert_eq!(resumed["status"], "complete");
}

/// Twelve words of a text, from a number.
fn words(row: u32) -> String {
    let word = |at: u32| format!("w{}", (row.wrapping_mul(2_654_435_761).wrapping_add(at * 40_503)) >> 18);
    (0..12).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn two_evaluations_of_one_model_give_what_each_gives_alone() {
    let data: Vec<String> =
        (0..90).map(|r| format!("r{r},{},{},{},train", words(r), (r * 7) % 3, (r * r) % 4)).collect();
    let data = format!("id,text,label,fold,split\n{}", data.join("\n"));
    let folds = |project: &Project, folder: &str, evaluation: &str| {
        let summary = project.summary(folder);
        let found =
            summary["variants"].as_array().unwrap().iter().find(|v| v["evaluation"] == evaluation).cloned().unwrap();
        (found["rows"].clone(), found["metrics"]["accuracy"]["folds"].clone())
    };
    let project = Project::new().file("data.csv", data).file("p.yaml", words_pipeline("", "folds: 3"));
    project.ok(["run", "p.yaml", "--out", "made"]);
    project.write("p.yaml", words_pipeline("", "folds: given"));
    project.ok(["run", "p.yaml", "--out", "given"]);
    let both = words_pipeline("", "folds: 3")
        + "  again: { use: cross_validate, from: model, with: { folds: given } }\n  second: { use: report, from: again }\n";
    project.write("p.yaml", both);
    project.ok(["run", "p.yaml", "--out", "both"]);
    assert_eq!(folds(&project, "both", "scores"), folds(&project, "made", "scores"));
    assert_eq!(folds(&project, "both", "again"), folds(&project, "given", "scores"));
    assert!(project.path("both/report-report.html").exists() && project.path("both/second-report.html").exists());
}
