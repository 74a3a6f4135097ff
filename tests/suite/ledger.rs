//! Does the data ledger count what is there, and does `expect` hold it?

use std::collections::BTreeMap;

use serde_json::Value;

use super::support::{Project, Ran, shared};

/// The one entry of `data` that `check --data` prints.
fn data(project: &Project) -> Value {
    let ran = project.ok(["check", "--data", "pipeline.yaml", "--message-format", "json"]);
    told(&ran)["data"][0].clone()
}

/// The line that has the ledgers.
fn told(ran: &Ran) -> Value {
    let lines = ran.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find(|line| line["event"] == "data").unwrap_or_else(|| panic!("{}\n{}", ran.stdout, ran.stderr))
}

/// A project that reads files of a shared folder as splits; `None` where they are not there.
fn real(folder: &str, splits: &[(&str, &str)], with: &str) -> Option<Project> {
    let folder = shared(&format!("data/{folder}"))?;
    let sources: Vec<String> =
        splits.iter().map(|(split, file)| format!("{split}: '{}'", folder.join(file).display())).collect();
    let yaml = format!(
        "name: real\nstages:\n  rows: {{ use: ingest, with: {{ source: {{ {} }}, {with} }} }}\n",
        sources.join(", ")
    );
    Some(Project::new().file("pipeline.yaml", yaml))
}

fn across<'d>(data: &'d Value, rows_of: &str, stand_in: &str) -> &'d Value {
    let all = data["across_splits"].as_array().unwrap();
    all.iter().find(|one| one["rows_of"] == rows_of && one["stand_in"] == stand_in).unwrap()
}

fn split<'d>(data: &'d Value, name: &str) -> &'d Value {
    data["splits"].as_array().unwrap().iter().find(|one| one["split"] == name).unwrap()
}

fn messages(data: &Value) -> Vec<String> {
    data["findings"].as_array().unwrap().iter().map(|f| f["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_real_leak_is_found_by_itself() {
    let files = [("train", "pcm.train.tsv.gz"), ("dev", "pcm.dev.tsv.gz"), ("test", "pcm.test.tsv.gz")];
    let Some(project) = real("afrisenti", &files, "text: tweet, label: label") else { return };
    let data = data(&project);
    let test = across(&data, "test", "train");
    assert_eq!((&test["rows"], &test["copies"]["exact"]), (&4154.into(), &926.into()));
    assert_eq!((&test["copies"]["folded"], &test["relabelled"]["exact"]), (&926.into(), &113.into()));
    assert_eq!(across(&data, "dev", "train")["copies"]["exact"], 258);
    let train = split(&data, "train");
    assert_eq!((&train["rows"], &train["duplicates"]["exact"]), (&5121.into(), &512.into()));
    assert_eq!(train["conflicts"]["texts"], 31);
    assert_eq!(train["characters"]["median"], 102);
    assert!(messages(&data).contains(&"926 of 4,154 test texts stand in train (22.3%), 113 with another label".into()));
    let example = &data["examples"]["train/test"][0];
    assert!(example["label"] != example["other_label"] && example["text"].as_str().unwrap().len() > 10, "{example}");
}

#[test]
fn copies_of_korean_reviews_are_counted_folded_too() {
    let files = [("train", "ratings_train.tsv.gz"), ("test", "ratings_test.tsv.gz")];
    let with = "format: { tsv: { quote: none } }, id: id, text: document, label: label";
    let Some(project) = real("nsmc_ko", &files, with) else { return };
    let data = data(&project);
    let test = across(&data, "test", "train");
    assert_eq!((&test["copies"]["exact"], &test["copies"]["folded"]), (&255.into(), &362.into()));
    assert_eq!(test["relabelled"]["folded"], 44);
    let train = split(&data, "train");
    assert_eq!((&train["duplicates"]["exact"], &train["conflicts"]["texts"]), (&1180.into(), &55.into()));
}

#[test]
fn banking_questions_are_copied_but_for_case_alone() {
    let Some(project) =
        real("banking77", &[("train", "train.csv"), ("test", "test.csv")], "text: text, label: category")
    else {
        return;
    };
    let data = data(&project);
    let test = across(&data, "test", "train");
    assert_eq!((&test["copies"]["exact"], &test["copies"]["folded"]), (&0.into(), &25.into()));
    assert_eq!(data["classes"].as_array().unwrap().len(), 77);
    assert_eq!(split(&data, "train")["rows"], 10_003);
}

/// Ten rows in two splits in which everything goes wrong.
const WRONG: &str = "id,text,label,split
a,The cat sat on the mat and looked at the moon for a very long time,pos,train
b,the CAT sat on the mat; and looked at the moon for a very long time!,pos,train
c,The cat sat on the mat and looked at the moon for a very long time,neg,train
d,something else,neg,train
e,something else entirely,neg,train
f,,pos,train
g,something else,pos,test
h,The cat sat on the mat and looked at the moon for a very long day,pos,test
i,a dog,other,test
j,a dog,other,test
";

fn wrong(rest: &str) -> Project {
    let yaml = format!(
        "name: wrong\nstages:\n  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label, split: split }} }}\n{rest}"
    );
    Project::new().file("data.csv", WRONG).file("pipeline.yaml", yaml)
}

#[test]
fn everything_that_is_wrong_is_counted() {
    let project = wrong("");
    let data = data(&project);
    let (train, test) = (split(&data, "train"), split(&data, "test"));
    assert_eq!(train["duplicates"], serde_json::json!({ "exact": 1, "folded": 2, "near": 2 }));
    assert_eq!(test["duplicates"], serde_json::json!({ "exact": 1, "folded": 1, "near": 1 }));
    assert_eq!(train["conflicts"], serde_json::json!({ "texts": 1, "rows": 2 }));
    assert_eq!((&train["empty"], &test["empty"]), (&1.into(), &0.into()));
    assert_eq!(train["classes"], serde_json::json!([3, 0, 3]));
    let across = across(&data, "test", "train");
    assert_eq!(across["copies"], serde_json::json!({ "exact": 1, "folded": 1, "near": 2 }));
    assert_eq!(across["relabelled"]["exact"], 1);
    assert_eq!(across["only_here"], serde_json::json!(["other"]));
    assert_eq!((&test["characters"]["max"], &test["words"]["max"]), (&65.into(), &16.into()));
    let example = &data["examples"]["train/test"][0];
    assert_eq!(
        (&example["row_id"], &example["other"], &example["text"]),
        (&"g".into(), &"d".into(), &"something else".into())
    );
    let said = messages(&data).join("\n");
    for words in [
        "1 of 4 test texts stands in train (25.0%), 1 with another label; about 2 nearly",
        "1 class of test is not in train: `other`",
        "1 text of train carries two or more labels (2 rows)",
        "1 of 6 texts of train are empty",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let shown = project.ok(["check", "--data", "pipeline.yaml"]).stdout;
    assert!(shown.contains("test in train") && shown.contains("g (pos) = d (neg): something else"), "{shown}");
}

#[test]
fn a_broken_expectation_names_its_line_and_keeps_everything() {
    let project = wrong(
        "  words: { use: tokenize, from: rows }
  tfidf: { use: tfidf, from: words }
  model: { use: train, from: tfidf, with: { estimator: { linear_svc: {} } } }
  scores: { use: cross_validate, from: model, with: { holdout: test } }
  report: { use: report, from: scores }
expect:
  rows: 10
  duplicates_across_splits: \"< 10%\"
  test.rows: \">= 100\"
  train.classes: 2
",
    );
    let ran = project.run(["run", "pipeline.yaml", "--out", "out"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("`duplicates_across_splits` must be `< 10%`, but is 1 of 4, 25.0% (test in train)"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("pipeline.yaml:11:29")
            && ran.stderr.contains("`test.rows` must be `>= 100`, but is 4 (test)")
    );
    assert!(!ran.stderr.contains("`rows` must") && !ran.stderr.contains("`train.classes` must"));
    let summary = project.summary("out");
    assert_eq!(summary["status"], "complete");
    assert_eq!(summary["variants"].as_array().unwrap().len(), 1);
    let held: Vec<&Value> = summary["expectations"].as_array().unwrap().iter().map(|one| &one["held"]).collect();
    assert_eq!(held, [true, false, false, true]);
    assert_eq!(summary["data"][0]["evaluation"], "scores");
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("data: 1 of 4 test texts stands in train"), "{warnings}");
    for file in ["out/report.html", "out/report.md"] {
        let report = String::from_utf8(project.read(file)).unwrap();
        assert!(report.contains("Data") && report.contains("duplicates") && report.contains("not in train"), "{file}");
    }
    let flag = project.run([
        "check",
        "--data",
        "pipeline.yaml",
        "--set",
        "expect.test.rows=4",
        "--set",
        "expect.duplicates_across_splits=1",
    ]);
    assert_eq!(flag.code, 0, "{}", flag.stderr);
    let flag = project.run(["check", "--data", "pipeline.yaml", "--set", "expect.rows=11"]);
    assert!(flag.code == 1 && flag.stderr.contains("--set expect.rows=11"), "{}", flag.stderr);
    // the bounds are in no key
    let text = String::from_utf8(project.read("pipeline.yaml")).unwrap();
    project.write("pipeline.yaml", text.split("expect:").next().unwrap());
    let again = project.ok(["run", "pipeline.yaml", "--out", "again"]);
    assert!(again.stderr.contains("0 ran"), "{}", again.stderr);
}

#[test]
fn bounds_that_cannot_be_held_are_told_before_anything_runs() {
    let told = |expect: &str| {
        let ran = wrong(expect).run(["check", "pipeline.yaml"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        ran.stderr
    };
    let unknown = told("expect: { duplicates_accross_splits: 0 }\n");
    assert!(unknown.contains("did you mean `duplicates_across_splits`?") && unknown.contains(":4:11"), "{unknown}");
    let bound = told("expect: { rows: about 3 }\n");
    assert!(bound.contains("error[bad-bound]") && bound.contains("\"< 1%\""), "{bound}");
    assert!(told("expect: [rows]\n").contains("`expect` must be a map"));
    let scoped = told("expect: { test.duplicates_across_folds: 0 }\n");
    assert!(scoped.contains("it is not about one split"), "{scoped}");
    let ran = wrong("expect: { tset.rows: 1, duplicates_across_folds: 0 }\n").run(["check", "--data", "pipeline.yaml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("there is no split `tset`; the splits are train, test"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing is evaluated, so there are no folds"), "{}", ran.stderr);
}

const TOPICS: [&str; 15] = [
    "acting", "music", "plot", "camera", "lighting", "costume", "dialogue", "ending", "opening", "humour", "villain",
    "hero", "sound", "pacing", "script",
];

/// Texts of which every other is copied, in three folds or so.
fn copied(with: &str) -> Project {
    let mut csv = "id,text,label\n".to_owned();
    for row in 0..60 {
        let word = ["fine", "dull"][row % 2];
        let shout = if row % 4 < 2 { "" } else { "!" };
        let about = TOPICS[row / 4];
        csv.push_str(&format!("r{row},the {about} is {word} in this {about}{shout},{word}\n"));
    }
    let yaml = format!(
        "name: copies\nstages:\n  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label }} }}
  words: {{ use: tokenize, from: rows }}
  tfidf: {{ use: tfidf, from: words }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ linear_svc: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 3, {with} }} }}\n"
    );
    Project::new().file("data.csv", csv).file("pipeline.yaml", yaml)
}

fn folded_across(data: &Value) -> u64 {
    data["folds"].as_array().unwrap().iter().map(|fold| fold["across"]["copies"]["folded"].as_u64().unwrap()).sum()
}

#[test]
fn copies_stay_in_one_fold_where_that_is_asked_for() {
    let loose = data(&copied("repeats: 1"));
    assert!(folded_across(&loose) > 0);
    for with in [
        "group_duplicates: folded",
        "group_duplicates: folded, stratify: false",
        "group_duplicates: folded, repeats: 2",
    ] {
        let data = data(&copied(with));
        assert_eq!(folded_across(&data), 0, "{with}");
        let rows = |fold: &Value| fold["test"]["rows"].as_u64().unwrap();
        let sizes: Vec<u64> = data["folds"].as_array().unwrap().iter().map(rows).collect();
        assert!(sizes.iter().all(|rows| (18..=22).contains(rows)), "{sizes:?}");
    }
    let exact = data(&copied("group_duplicates: true"));
    assert!(folded_across(&exact) > 0);
    let near = data(&copied("group_duplicates: near"));
    assert_eq!(folded_across(&near), 0);
    let idle = copied("group_duplicates: true").replace_with("holdout: test, group_duplicates: true");
    assert!(idle.run(["check", "pipeline.yaml"]).stderr.contains("`group_duplicates` says nothing beside"));
}

#[test]
fn copies_that_stay_together_are_drawn_together() {
    let accuracy = |with: &str| {
        let project = copied(with);
        // some are wrong: of a perfect score no resample says anything
        let turned = |(row, line): (usize, &str)| match line.strip_suffix("fine") {
            Some(rest) if row % 7 == 1 => format!("{rest}dull\n"),
            _ => format!("{line}\n"),
        };
        let csv = String::from_utf8(project.read("data.csv")).unwrap();
        project.write("data.csv", csv.lines().enumerate().map(turned).collect::<String>());
        project.ok(["run", "pipeline.yaml", "--out", "out"]);
        project.summary("out")["variants"][0]["metrics"]["accuracy"].clone()
    };
    assert_eq!(accuracy("metrics: [accuracy]")["ci95_method"], "wilson");
    assert_eq!(accuracy("group_duplicates: folded, metrics: [accuracy]")["ci95_method"], "bootstrap");
}

trait Rewritten {
    fn replace_with(self, with: &str) -> Project;
}

impl Rewritten for Project {
    /// Other parameters of `cross_validate`.
    fn replace_with(self, with: &str) -> Project {
        let text = String::from_utf8(self.read("pipeline.yaml")).unwrap();
        let head = text.split("  scores:").next().unwrap();
        self.write(
            "pipeline.yaml",
            format!("{head}  scores: {{ use: cross_validate, from: model, with: {{ {with} }} }}\n"),
        );
        self
    }
}

#[test]
fn the_same_ledger_whatever_the_threads_and_the_cache() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for threads in ["1", "4"] {
        let project = copied("repeats: 2");
        for _ in 0..2 {
            let ran =
                project.ok(["check", "--data", "pipeline.yaml", "--message-format", "json", "--threads", threads]);
            *seen.entry(told(&ran)["data"].to_string()).or_default() += 1;
        }
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [4]);
}

#[test]
fn one_ledger_serves_a_whole_sweep() {
    let project = copied("repeats: 1");
    let text = String::from_utf8(project.read("pipeline.yaml")).unwrap();
    project.write(
        "pipeline.yaml",
        format!("{text}matrix:\n  model.estimator.linear_svc.c: [0.1, 1, 10]\n  tfidf.min_df: [1, 2]\n"),
    );
    project.ok(["run", "pipeline.yaml", "--out", "out"]);
    let summary = project.summary("out");
    let data = summary["data"].as_array().unwrap();
    assert_eq!((data.len(), data[0]["variants"].as_array().unwrap().len()), (1, 6));
    let of_phase =
        |phase: &str| summary["units"].as_array().unwrap().iter().filter(|unit| unit["phase"] == phase).count();
    assert_eq!((of_phase("profile"), of_phase("ledger")), (1, 1));
    let what = project.ok(["plan", "pipeline.yaml"]).stdout;
    assert!(what.contains("1 profile") && what.contains("1 ledger"), "{what}");
}

#[test]
fn the_manual_has_every_measure() {
    let page = include_str!("../../docs/data.md");
    for measure in fuseline::record::MEASURES {
        let row = format!("| `{}` | {} |", measure.name, measure.summary);
        let line =
            page.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("docs/data.md lacks {row}"));
        assert!(line.ends_with(&format!("| `{}` |", measure.bare.sign())), "{line}");
    }
    let explained = Project::new().ok(["explain", "expect"]).stdout;
    assert!(fuseline::record::MEASURES.iter().all(|measure| explained.contains(measure.name)), "{explained}");
}

/// One evaluation of rows that a test writes.
fn evaluated(csv: impl Into<String>, ingest: &str, rest: &str) -> Project {
    let yaml = format!(
        "name: rows\nstages:\n  rows: {{ use: ingest, with: {{ source: data.csv, text: text, label: label, {ingest} }} }}
  words: {{ use: tokenize, from: rows }}
  tfidf: {{ use: tfidf, from: words }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ linear_svc: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 2 }} }}\n{rest}"
    );
    Project::new().file("data.csv", csv.into()).file("pipeline.yaml", yaml)
}

#[test]
fn thousands_of_classes_are_counted_too() {
    let rows: String = (0..3600).map(|row| format!("text {row},c{}\n", row % 1200)).collect();
    let bounds = "expect: { classes: 1200, smallest_class: 3, largest_class: 3 }\n";
    evaluated(format!("text,label\n{rows}"), "encoding: utf-8", bounds).ok(["check", "--data", "pipeline.yaml"]);
    let bounds = "expect: { classes: 1201, smallest_class: 4, largest_class: 2 }\n";
    let ran =
        evaluated(format!("text,label\n{rows}"), "encoding: utf-8", bounds).run(["check", "--data", "pipeline.yaml"]);
    assert_eq!(ran.code, 1);
    for found in ["`== 1201`, but is 1,200", "`>= 4`, but is 3", "`<= 2`, but is 3"] {
        assert!(ran.stderr.contains(found), "{}", ran.stderr);
    }
}

#[test]
fn a_bound_on_groups_needs_groups() {
    let csv = "text,label,who\ngood film,a,x\nbad film,b,y\nfine film,a,z\ndull film,b,w\n";
    let bounds = "expect: { groups_across_folds: 0 }\n";
    let ran = evaluated(csv, "encoding: utf-8", bounds).run(["check", "--data", "pipeline.yaml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot be told: the rows have no groups"), "{}", ran.stderr);
    evaluated(csv, "group: who", bounds).ok(["check", "--data", "pipeline.yaml"]);
}

#[test]
fn what_two_evaluations_break_is_told_once() {
    let csv =
        "text,label,part\nfine film,a,train\nbad film,b,train\nfine film,a,train\ndull film,b,test\nsad film,a,test\n";
    let rest = "  held: { use: cross_validate, from: model, with: { holdout: test } }\nexpect: { duplicates: 0 }\n";
    let project = evaluated(csv, "split: part", rest);
    let ran = project.run(["run", "pipeline.yaml", "--out", "out"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(project.summary("out")["expectations"][0]["broken"], serde_json::json!(["1 (train)"]));
}

#[test]
fn a_terminal_obeys_nothing_of_the_data() {
    let rows: String = (0..12)
        .map(|row| format!("same {},\"l\u{1b}[31m\nx\u{202e}{}\",te\u{1b}]0;t\u{7}st\n", row % 3, row % 2))
        .collect();
    let csv = format!("text,label,part\n{rows}one more,\"only\u{1b}[5m\",other\n");
    let project = evaluated(csv, "split: part", "expect: { duplicates: 0 }\n");
    for ran in
        [project.run(["check", "--data", "pipeline.yaml"]), project.run(["run", "pipeline.yaml", "--out", "out"])]
    {
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        }
        assert!(ran.stderr.contains("te\\u{1b}]0;t\\u{7}st") && !ran.stderr.contains("\nx"), "{}", ran.stderr);
    }
}

#[test]
fn a_split_for_every_row_costs_no_walk_for_each() {
    let rows: String = (0..5000).map(|row| format!("text {row},{},s{row}\n", row % 2)).collect();
    let yaml = "name: many\nstages:\n  rows: { use: ingest, with: { source: data.csv, text: text, label: label, split: part } }
expect: { duplicates: 0, duplicates_across_splits: 0, s4000.rows: 1, s0.rows: 1, rows: 5000 }\n";
    let project = Project::new().file("data.csv", format!("text,label,part\n{rows}")).file("pipeline.yaml", yaml);
    let ran = project.run(["check", "--data", "pipeline.yaml"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stderr.matches("cannot be told: there are too many splits").count(), 3, "{}", ran.stderr);
    assert!(ran.stdout.contains("there are 5,000 splits, of which 100 are looked at"), "{}", ran.stdout);
}
