//! Does an exported pipeline say of new texts what a run would say, bit for bit, alone and as they come?

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use arrow::array::{Array, Float64Array, StringArray};
use fuseline::stages::{STAGES, kind};
use fuseline::table::from_parquet;
use serde_json::Value;

use crate::support::{Project, Ran, snippets, words_pipeline};

/// Runs a command with rows on its standard input.
fn asked(project: &Project, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
    let mut command = project.command();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_ref()));
    Ran::from(child.wait_with_output().unwrap())
}

fn answers(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows of data whose label hangs on words, on a number and on a category; every fifth row is a test row.
fn table(rows: usize, classes: &[&str]) -> Vec<String> {
    let words = ["fine", "bright", "dull", "grey", "lovely", "odd", "<b>awful</b>", "plain"];
    let row = |row: usize| {
        let (first, second) = (words[row % 8], words[(row * 3 + row / 7) % 8]);
        let (age, city) = (20 + (row * 7) % 40, ["Bonn", "Ulm", "Kiel"][row % 3]);
        let label = classes[(row + row / 4 + usize::from(age > 40)) % classes.len()];
        format!("r{row},a {first} and {second} film number{},{age},{city},{label}", row % 9)
    };
    (0..rows).map(row).collect()
}

const FUSED: &str = "name: fused
stages:
  rows: { use: ingest, with: { source: SOURCE, id: id, text: text, label: label, SPLIT columns: { age: number, city: text } } }
  clean: { use: clean, from: rows, with: { html: strip, case: lower } }
  words: { use: tokenize, from: clean }
  tfidf: { use: tfidf, from: words, with: { ngram_range: [1, 2] } }
  mood: { use: lexicon, from: clean, with: { source: mood.tsv } }
  side: { use: encode, from: rows, with: { numeric: [age], categorical: [city] } }
  fused: { use: fuse, from: [tfidf, mood, side] }
  model: { use: train, from: fused, with: { estimator: { ESTIMATOR: {} } } }
";

/// For each test row, what a run says that trains on the others, and what `predict` says that was exported from those.
fn both(estimator: &str, classes: &[&str]) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let rows = table(80, classes);
    let split = |row: usize| if row % 5 == 4 { "test" } else { "train" };
    let whole: String = rows.iter().enumerate().map(|(at, row)| format!("{row},{}\n", split(at))).collect();
    let some = |side: &str| -> String {
        rows.iter().enumerate().filter(|(at, _)| split(*at) == side).map(|(_, row)| format!("{row}\n")).collect()
    };
    let pipeline = match estimator {
        "vote" => {
            let models = FUSED.replace("  model:", "  left:").replace("ESTIMATOR", "logistic_regression");
            models
                + "  right: { use: train, from: mood, with: { estimator: { logistic_regression: { c: 0.1 } } } }\n"
                + "  model: { use: ensemble, from: [left, right], with: { vote: {} } }\n"
        }
        _ => FUSED.replace("ESTIMATOR", estimator),
    };
    let scored = pipeline.replace("SOURCE", "whole.csv").replace("SPLIT", "split: split,")
        + "  scores: { use: cross_validate, from: model, with: { holdout: test } }\n";
    let head = "id,text,age,city,label";
    let project = Project::new()
        .file("whole.csv", format!("{head},split\n{whole}"))
        .file("train.csv", format!("{head}\n{}", some("train")))
        .file("test.csv", format!("{head}\n{}", some("test")))
        .file("mood.tsv", "fine\t2\nbright\t1.5\ndull\t-1\nawful\t-3\n")
        .file("scored.yaml", scored)
        .file("p.yaml", pipeline.replace("SOURCE", "train.csv").replace("SPLIT", ""));
    project.ok(["run", "scored.yaml", "--out", "out"]);
    let table = from_parquet(project.read("out/predictions.parquet")).unwrap();
    let text = |name: &str| table.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap().clone();
    let (ids, predicted) = (text("row_id"), text("predicted"));
    let mut run = BTreeMap::new();
    for row in 0..table.num_rows() {
        let score = |class: &str| {
            let column = table.column_by_name(&format!("score:{class}")).unwrap();
            (class.to_owned(), Value::from(column.as_any().downcast_ref::<Float64Array>().unwrap().value(row)))
        };
        let scores: serde_json::Map<String, Value> = classes.iter().map(|class| score(class)).collect();
        run.insert(ids.value(row).to_owned(), serde_json::json!([predicted.value(row), scores]));
    }
    project.ok(["export", "p.yaml", "--out", "model"]);
    let said = answers(&project.ok(["predict", "model", "test.csv", "--id", "id", "--scores"]));
    let said = said.into_iter().map(|mut answer| {
        let id = answer["row_id"].as_str().unwrap().to_owned();
        (id, serde_json::json!([answer["predicted"].take(), answer["scores"].take()]))
    });
    (run, said.collect())
}

#[test]
fn predictions_are_those_of_a_run_bit_for_bit() {
    for (estimator, classes) in [
        ("logistic_regression", &["bad", "good"][..]),
        ("linear_svc", &["bad", "good"]),
        ("logistic_regression", &["a", "b", "c"]),
        ("linear_svc", &["a", "b", "c"]),
        ("vote", &["a", "b", "c"]),
    ] {
        let (run, said) = both(estimator, classes);
        assert_eq!(run.len(), 16);
        // Numbers are written with as many digits as it takes to read the same bits.
        assert_eq!(run, said, "{estimator}, {classes:?}");
    }
}

#[test]
fn a_network_answers_a_row_alone_as_among_others() {
    let rows = table(40, &["a", "b", "c"]);
    let lines = |rows: &[String]| format!("id,text,age,city,label\n{}\n", rows.join("\n"));
    let project = Project::new().file("train.csv", lines(&rows)).file("mood.tsv", "fine\t2\ndull\t-1\n").file(
        "p.yaml",
        FUSED.replace("SOURCE", "train.csv").replace("SPLIT", "").replace("ESTIMATOR", "mlp_classifier"),
    );
    project.ok(["export", "p.yaml", "--out", "model"]);
    let said = |file: &str, threads: &str| {
        answers(&project.ok(["predict", "model", file, "--id", "id", "--scores", "--threads", threads]))
    };
    let all = said("train.csv", "1");
    assert_eq!((all.len(), &all), (40, &said("train.csv", "4")));
    for row in [0, 17, 39] {
        project.write("one.csv", lines(&rows[row..=row]));
        assert_eq!(said("one.csv", "4"), all[row..=row]);
    }
    let own = rows.iter().zip(&all).filter(|(row, answer)| row.ends_with(answer["predicted"].as_str().unwrap()));
    assert!(own.count() > 36, "{all:?}");
}

/// A project with an exported pipeline of words.
fn exported() -> Project {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("", "folds: 3"));
    project.ok(["export", "p.yaml", "--out", "model"]);
    project
}

/// A `bundle.json` that somebody changed on purpose, with the digest that it would have.
fn resealed(text: &str) -> String {
    let (said, _) = text.rsplit_once(",\n  \"check\"").unwrap();
    format!("{said},\n  \"check\": \"{}\"\n}}\n", fuseline::table::Digest::of(said.as_bytes()))
}

const TEXTS: &str = "a fine and bright film\n\na dull and grey film\nnothing known\na fine film\n";

#[test]
fn answers_do_not_hang_on_batches_threads_or_how_rows_come() {
    let project = exported();
    let lines = answers(&asked(&project, &["predict", "model", "--scores"], TEXTS));
    assert_eq!(lines.len(), 5);
    assert_eq!((&lines[0]["predicted"], &lines[2]["predicted"]), (&"positive".into(), &"negative".into()));
    assert_eq!(lines[4]["row_id"], "4");
    for threads in ["1", "4"] {
        let again = asked(&project, &["predict", "model", "--scores", "--threads", threads], TEXTS);
        assert_eq!(answers(&again), lines);
    }
    for (row, text) in TEXTS.lines().enumerate() {
        let mut alone = answers(&asked(&project, &["predict", "model", "--scores"], format!("{text}\n")));
        alone[0]["row_id"] = row.to_string().into();
        assert_eq!(alone[0], lines[row]);
    }
    let objects: String = TEXTS.lines().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
    project.write("rows.jsonl", &objects);
    assert_eq!(answers(&project.ok(["predict", "model", "rows.jsonl", "--scores"])), lines);
    project.write("two.txt", TEXTS);
    let twice = answers(&project.ok(["predict", "model", "two.txt", "rows.jsonl", "--scores"]));
    let ids: Vec<&Value> = twice.iter().map(|answer| &answer["row_id"]).collect();
    assert_eq!((twice.len(), ids[5]), (10, &Value::from("5")));
    project.ok(["predict", "model", "two.txt", "--scores", "--output", "parquet", "--out", "answers.parquet"]);
    let table = from_parquet(project.read("answers.parquet")).unwrap();
    let scores = table.column_by_name("score:positive").unwrap();
    let scores = scores.as_any().downcast_ref::<Float64Array>().unwrap();
    let of_lines: Vec<f64> = lines.iter().map(|line| line["scores"]["positive"].as_f64().unwrap()).collect();
    assert_eq!(scores.values().to_vec(), of_lines);
    let csv = asked(&project, &["predict", "model", "--output", "csv"], "").stdout;
    assert_eq!(csv, "row_id,predicted,score,note\n");
    assert_eq!(asked(&project, &["predict", "model"], "").stdout, "");
}

#[test]
fn an_answer_comes_while_the_pipe_is_open() {
    let project = exported();
    let mut command = project.command();
    let mut child = command.args(["predict", "model"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for text in ["a fine film\n", "a dull film\n"] {
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line.contains("positive"), text.contains("fine"), "{line}");
    }
    // Nobody reads any more: that is no failure.
    drop(output);
    drop(input.write_all(&TEXTS.repeat(2000).into_bytes()));
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_export_computes_nothing_and_a_bundle_stands_alone() {
    let project = Project::new()
        .file("train.csv", format!("id,text,age,city,label\n{}\n", table(60, &["bad", "good"]).join("\n")))
        .file("mood.tsv", "fine\t2\ndull\t-1\n")
        .file("p.yaml", FUSED.replace("SOURCE", "train.csv").replace("SPLIT", "").replace("ESTIMATOR", "linear_svc"));
    let first = project.ok(["export", "p.yaml", "--out", "a/model", "--message-format", "json"]);
    assert!(first.stdout.contains("\"outcome\":\"ran\""), "{}", first.stdout);
    let again = project.run(["export", "p.yaml", "--out", "a/model"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("`a/model` is there already"), "{}", again.stderr);
    let bundle = project.read("a/model/bundle.json");
    let forced = project.ok(["export", "p.yaml", "--out", "a/model", "--force", "--message-format", "json"]);
    assert!(!forced.stdout.contains("\"outcome\":\"ran\""), "{}", forced.stdout);
    assert_eq!(project.read("a/model/bundle.json"), bundle);
    let row = "{\"text\": \"a fine film\", \"age\": 33, \"city\": \"Ulm\"}\n";
    let told = asked(&project, &["predict", "a/model", "--format", "jsonl", "--scores"], row).stdout;
    for gone in ["cache", "a", "train.csv", "mood.tsv", "p.yaml"] {
        match gone {
            "a" => std::fs::rename(project.path("a/model"), project.path("elsewhere")).unwrap(),
            "cache" => std::fs::remove_dir_all(project.path("cache")).unwrap(),
            file => std::fs::remove_file(project.path(file)).unwrap(),
        }
    }
    let moved = asked(&project, &["predict", "elsewhere", "--format", "jsonl", "--scores"], row);
    assert_eq!((moved.stdout, moved.code), (told, 0));
    assert!(!project.path("cache").exists());
}

#[test]
fn a_folder_that_is_no_bundle_is_not_replaced() {
    let project = exported().file("precious/notes.txt", "mine");
    let ran = project.run(["export", "p.yaml", "--out", "precious", "--force"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(project.read("precious/notes.txt"), b"mine");
}

#[test]
fn one_of_several_variants_is_chosen() {
    let pipeline = words_pipeline("", "folds: 3") + "matrix:\n  model.estimator.linear_svc.c: [0.000001, 1]\n";
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
    let none = project.run(["export", "p.yaml", "--out", "model"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("the pipeline has 2 variants") && none.stderr.contains("--best"), "{}", none.stderr);
    let wrong = project.run(["export", "p.yaml", "--out", "model", "--best", "f2"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("no variant has a value for the metric `f2`"), "{}", wrong.stderr);
    project.ok(["export", "p.yaml", "--out", "best", "--best", "f1_macro"]);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    let mean = |variant: &Value| variant["metrics"]["f1_macro"]["mean"].as_f64().unwrap();
    let variants = summary["variants"].as_array().unwrap();
    let best = if mean(&variants[1]) > mean(&variants[0]) { &variants[1] } else { &variants[0] };
    let bundle: Value = serde_json::from_slice(&project.read("best/bundle.json")).unwrap();
    assert_eq!(bundle["variant"]["id"], best["id"]);
    assert_eq!(bundle["scores"]["scores"]["f1_macro"], best["metrics"]["f1_macro"]);
    let other = variants.iter().find(|variant| variant["id"] != best["id"]).unwrap();
    project.ok(["export", "p.yaml", "--out", "other", "--variant", other["label"].as_str().unwrap()]);
    let bundle: Value = serde_json::from_slice(&project.read("other/bundle.json")).unwrap();
    assert_eq!(bundle["variant"]["id"], other["id"]);
}

#[test]
fn damage_and_other_versions_are_told() {
    let project = exported();
    let vocabulary = "model/learned/tfidf/vocabulary.parquet";
    let whole = project.read(vocabulary);
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    project.write(vocabulary, &bytes);
    let damaged = asked(&project, &["predict", "model"], TEXTS);
    assert_eq!((damaged.code, damaged.stdout.as_str()), (7, ""), "{}", damaged.stderr);
    std::fs::remove_file(project.path(vocabulary)).unwrap();
    assert_eq!(asked(&project, &["predict", "model"], TEXTS).code, 7);
    project.write(vocabulary, &whole);
    let text = String::from_utf8(project.read("model/bundle.json")).unwrap();
    for (from, to, code, word) in [
        (
            "\"kind\": \"tfidf\",\n      \"version\": ",
            "\"kind\": \"tfidf\",\n      \"version\": 9",
            2,
            "export it again",
        ),
        ("learned/tfidf/vocabulary.parquet", "../model/learned/tfidf/vocabulary.parquet", 7, "outside"),
        ("\"format\": 2", "\"format\": 3", 2, "form 3"),
        ("{", "", 7, "damaged"),
    ] {
        project.write("model/bundle.json", resealed(&text.replacen(from, to, 1)));
        let ran = asked(&project, &["predict", "model"], TEXTS);
        assert_eq!(ran.code, code, "{to}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{to}: {}", ran.stderr);
    }
    project.write("model/bundle.json", text.replacen("\"seed\": 42", "\"seed\": 43", 1));
    let changed = asked(&project, &["predict", "model"], TEXTS);
    assert!(changed.code == 7 && changed.stderr.contains("not the bytes that were written"), "{}", changed.stderr);
    project.write("model/bundle.json", &text);
    assert_eq!(asked(&project, &["predict", "model"], TEXTS).code, 0);
    let none = asked(&project, &["predict", "nowhere"], TEXTS);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("not-a-bundle"), "{}", none.stderr);
}

#[test]
fn rows_that_cannot_be_read_are_told_after_those_before_them() {
    let project = exported();
    let ran = asked(&project, &["predict", "model"], b"a fine film\n\xff\xfe\na dull film\n");
    assert_eq!((ran.code, ran.stdout.lines().count()), (3, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("standard input, line 2: the line is not UTF-8"), "{}", ran.stderr);
    let ran = asked(&project, &["predict", "model", "--format", "csv"], "body,id\nx,1\n");
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("there is no column `text`") && ran.stderr.contains("--text"), "{}", ran.stderr);
    let ran = asked(&project, &["predict", "model", "--format", "csv"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("is the file empty?"), "{}", ran.stderr);
    let nowhere = asked(&project, &["predict", "model", "--out", "nowhere/answers.jsonl"], "a fine film\n");
    assert!(nowhere.code == 2 && nowhere.stderr.contains("`nowhere`: there is no such folder"), "{}", nowhere.stderr);
    let ran =
        asked(&project, &["predict", "model", "--format", "csv", "--text", "body", "--id", "id"], "body,id\nx,7\n");
    assert_eq!(answers(&ran)[0]["row_id"], "7");
}

#[test]
fn a_text_that_the_pipeline_would_drop_gets_no_prediction_and_a_reason() {
    let pipeline = words_pipeline("", "folds: 3").replace(
        "use: clean, from: rows",
        "use: clean, from: rows, with: { whitespace: collapse, drop_empty: true, duplicates: drop, length: { min: 4 } }",
    );
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
    project.ok(["export", "p.yaml", "--out", "model"]);
    let said = answers(&asked(&project, &["predict", "model"], "a fine film\n   \nab\na fine film\n"));
    let predicted: Vec<&Value> = said.iter().map(|answer| &answer["predicted"]).collect();
    // A repeated text is a text like any other: what is new is not compared with anything.
    assert_eq!(predicted, [&"positive".into(), &Value::Null, &Value::Null, &"positive".into()]);
    assert_eq!((&said[1]["note"], &said[2]["note"]), (&"dropped_empty".into(), &"dropped_short".into()));
    assert!(said[0].get("note").is_none());
}

/// What `explain-prediction` says of one text.
fn explained(project: &Project, args: &[&str], input: &str) -> Value {
    let all: Vec<&str> =
        ["explain-prediction", "model", "--json", "--terms", "0"].iter().chain(args).copied().collect();
    answers(&asked(project, &all, input)).remove(0)
}

#[test]
fn contributions_of_a_linear_model_add_up_to_its_decision() {
    for (estimator, classes) in [
        ("linear_svc", &["bad", "good"][..]),
        ("linear_svc", &["a", "b", "c"]),
        ("logistic_regression", &["a", "b", "c"]),
    ] {
        let data = format!("id,text,age,city,label\n{}\n", table(60, classes).join("\n"));
        let pipeline = FUSED.replace("SOURCE", "train.csv").replace("SPLIT", "").replace("ESTIMATOR", estimator);
        let project =
            Project::new().file("train.csv", data).file("mood.tsv", "fine\t2\ndull\t-1\n").file("p.yaml", pipeline);
        project.ok(["export", "p.yaml", "--out", "model"]);
        let row = "{\"text\": \"a fine and grey film\", \"age\": 33, \"city\": \"Ulm\"}\n";
        let found = explained(&project, &["--format", "jsonl"], row);
        assert_eq!(found["method"], "exact");
        let number = |value: &Value| value.as_f64().unwrap();
        let sum = |list: &Value| list.as_array().unwrap().iter().map(|one| number(&one["contribution"])).sum::<f64>();
        let total = number(&found["total"]);
        assert!((sum(&found["blocks"]) + number(&found["intercept"]) - total).abs() < 1e-12);
        // All columns have names but those of the lexicon.
        let unnamed = &found["blocks"][1];
        assert_eq!(unnamed["block"], "lexicon");
        let terms = sum(&found["terms"]) + number(&unnamed["contribution"]);
        assert!((terms + number(&found["intercept"]) - total).abs() < 1e-12, "{found}");
        let said = answers(&asked(&project, &["predict", "model", "--format", "jsonl", "--scores"], row)).remove(0);
        let score = |class: &Value| number(&said["scores"][class.as_str().unwrap()]);
        let (class, against) = (&found["class"], &found["against"]);
        assert_eq!(class, &said["predicted"]);
        let expected = match (estimator, classes.len()) {
            ("linear_svc", 2) => score(class),
            ("linear_svc", _) => score(class) - score(against),
            _ => (score(class) / score(against)).ln(),
        };
        assert!((total - expected).abs() < 1e-9 && total > 0.0, "{estimator}: {total}, {expected}");
        let term = found["terms"].as_array().unwrap().iter().find(|term| term["term"] == "fine").unwrap();
        assert_eq!((&term["at"], &term["block"]), (&2.into(), &"tfidf".into()));
        // Another class is explained by its own decision value, or, of two, by the other sign.
        let other = explained(&project, &["--format", "jsonl", "--class", against.as_str().unwrap()], row);
        assert_eq!(&other["class"], against);
        if classes.len() == 2 {
            assert!((number(&other["total"]) + total).abs() < 1e-12);
        } else if estimator == "linear_svc" {
            assert!((number(&other["total"]) - score(against)).abs() < 1e-9);
        }
    }
}

#[test]
fn other_models_are_explained_by_what_is_taken_away() {
    let pipeline = "name: tree
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label } }
  mood: { use: lexicon, from: rows, with: { source: mood.tsv } }
  model: { use: train, from: mood, with: { estimator: { decision_tree: {} } } }
";
    let project = Project::new()
        .file("data.csv", snippets(60))
        .file("mood.tsv", "fine\t2\nbright\t1\nlovely\t2\nmoving\t1\nclever\t1\ndull\t-1\ngrey\t-1\n")
        .file("p.yaml", pipeline);
    project.ok(["export", "p.yaml", "--out", "model"]);
    let found = explained(&project, &["a fine film"], "");
    assert_eq!((&found["method"], &found["predicted"]), (&"occlusion".into(), &"positive".into()));
    let first = &found["terms"][0];
    assert_eq!((&first["term"], &first["at"]), (&"fine".into(), &2.into()));
    // Without its one good word the text is one without a hit, and all such were negative.
    assert_eq!(first["contribution"], found["total"]);
    assert_eq!(found["blocks"][0]["contribution"], found["total"]);
    let others = found["terms"].as_array().unwrap().iter().skip(1);
    others.for_each(|other| assert_eq!(other["contribution"], 0.0, "{found}"));
    let page = project.ok(["explain-prediction", "model", "a fine film"]).stdout;
    assert!(page.contains("by occlusion") && page.contains("fine"), "{page}");
    let wrong = project.run(["explain-prediction", "model", "a fine film", "--class", "odd"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("the classes are negative, positive"), "{}", wrong.stderr);
}

#[test]
fn each_label_of_a_set_is_explained_by_its_own_coefficients() {
    let row = |row: usize| {
        let labels = match row % 4 {
            0 => &["fine", "odd"][..],
            1 => &["odd"],
            2 => &["fine"],
            _ => &[],
        };
        let text = format!(
            "a {} film number{}",
            if labels.is_empty() { "plain".to_owned() } else { labels.join(" ") },
            row % 5
        );
        serde_json::json!({ "id": format!("r{row}"), "text": text, "labels": labels }).to_string()
    };
    let pipeline = "name: sets
stages:
  rows: { use: ingest, with: { source: data.jsonl, id: id, text: text, label: { column: labels, multi: {}, empty: keep } } }
  tfidf: { use: tfidf, from: rows, with: { tokens: {} } }
  model: { use: train, from: tfidf, with: { estimator: { ESTIMATOR: {} } } }
";
    for (estimator, probable) in [("logistic_regression", true), ("linear_svc", false)] {
        let project = Project::new()
            .file("data.jsonl", (0..40).map(row).collect::<Vec<_>>().join("\n"))
            .file("p.yaml", pipeline.replace("ESTIMATOR", estimator));
        project.ok(["export", "p.yaml", "--out", "model"]);
        let all = |text: &str| answers(&asked(&project, &["explain-prediction", "model", "--json", text], ""));
        let found = all("a fine odd film");
        let classes: Vec<&Value> = found.iter().map(|one| &one["class"]).collect();
        assert_eq!(classes, ["fine", "odd"]);
        for one in &found {
            assert_eq!((&one["method"], &one["predicted"]), (&"exact".into(), &"fine, odd".into()));
            let (total, score) = (one["total"].as_f64().unwrap(), &one["scores"][one["class"].as_str().unwrap()]);
            let expected = if probable { 1.0 / (1.0 + (-total).exp()) } else { total };
            assert!((score.as_f64().unwrap() - expected).abs() < 1e-9, "{one}");
            assert_eq!(one["terms"][0]["term"], one["class"]);
        }
        // of a row without a label the likeliest is explained, and whatever is asked for
        assert_eq!(all("a plain film").len(), 1);
        let asked_for = explained(&project, &["--class", "odd", "a fine film"], "");
        assert_eq!((&asked_for["class"], &asked_for["against"]), (&"odd".into(), &Value::Null));
        let page = project.ok(["explain-prediction", "model", "a fine odd film"]).stdout;
        assert!(page.contains("predicted `fine, odd`; `odd`, "), "{page}");
    }
}

#[test]
fn a_number_is_told_as_a_number() {
    let data =
        (0..20).map(|row| format!("r{row},a {} film,{}\n", ["fine", "dull"][row % 2], row % 2)).collect::<String>();
    let pipeline = "name: numbers
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, value: value } }
  tfidf: { use: tfidf, from: rows, with: { tokens: {} } }
  model: { use: train, from: tfidf, with: { estimator: { ridge: {} } } }
";
    let project = Project::new().file("data.csv", format!("id,text,value\n{data}")).file("p.yaml", pipeline);
    project.ok(["export", "p.yaml", "--out", "model"]);
    let said = answers(&asked(&project, &["predict", "model"], "a dull film\n")).remove(0);
    let found = explained(&project, &["a dull film"], "");
    assert_eq!((&found["predicted"], &found["method"]), (&said["predicted"], &"exact".into()));
    let page = project.ok(["explain-prediction", "model", "a dull film"]).stdout;
    assert!(page.starts_with(&format!("row 0: predicted {}\n", said["predicted"].as_str().unwrap())), "{page}");
}

#[test]
fn a_stage_over_models_is_exported_with_its_models() {
    let pipeline = "name: stacked
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label } }
  words: { use: tokenize, from: rows }
  tfidf: { use: tfidf, from: words }
  left: { use: train, from: tfidf, with: { estimator: { logistic_regression: {} } } }
  right: { use: train, from: tfidf, with: { estimator: { linear_svc: {} } } }
  model: { use: ensemble, from: [left, right], with: { stack: { folds: 3 } } }
";
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
    project.ok(["export", "p.yaml", "--out", "model"]);
    let bundle: Value = serde_json::from_slice(&project.read("model/bundle.json")).unwrap();
    let ids: Vec<&str> = bundle["stages"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[0], ids[5]), (6, "rows", "model"));
    let said = answers(&asked(&project, &["predict", "model"], TEXTS));
    assert_eq!((&said[0]["predicted"], &said[2]["predicted"]), (&"positive".into(), &"negative".into()));
    let found = explained(&project, &["a fine and bright film"], "");
    assert_eq!((&found["method"], &found["predicted"]), (&"occlusion".into(), &said[0]["predicted"]));
    assert_eq!(found["terms"].as_array().unwrap().len(), 5);
}

#[test]
fn of_a_search_what_it_chose_is_exported() {
    let pipeline = words_pipeline("", "folds: 3")
        .replace("from: model, with: { folds: 3", "from: best, with: { folds: 3")
        + "  best: { use: tune, from: model, with: { folds: 3, grid: { tfidf.min_df: [1, 9], model.estimator.linear_svc.c: [0.01, 1] } } }\n";
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
    project.ok(["export", "p.yaml", "--out", "model"]);
    let bundle: Value = serde_json::from_slice(&project.read("model/bundle.json")).unwrap();
    let stages = bundle["stages"].as_array().unwrap();
    assert_eq!(
        stages.iter().map(|s| s["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["rows", "clean", "words", "tfidf", "model"]
    );
    let chosen = bundle["searches"]["best"]["chosen"].as_u64().unwrap() as usize;
    let (min_df, c) = [(1, 0.01), (1, 1.0), (9, 0.01), (9, 1.0)][chosen];
    assert_eq!(stages[3]["params"]["min_df"].as_u64().unwrap_or(1), min_df);
    assert_eq!(stages[4]["params"]["estimator"]["linear_svc"]["c"].as_f64().unwrap_or(1.0), c);
    let said = answers(&asked(&project, &["predict", "model", "--scores"], TEXTS));
    // The same pipeline with these very values, and no search.
    let plain = words_pipeline(&format!("min_df: {min_df}"), "folds: 3")
        .replace("linear_svc: {}", &format!("linear_svc: {{ c: {c} }}"));
    project.write("plain.yaml", plain);
    project.ok(["export", "plain.yaml", "--out", "plain"]);
    assert_eq!(answers(&asked(&project, &["predict", "plain", "--scores"], TEXTS)), said);
}

#[test]
fn columns_that_stages_read_are_asked_for() {
    let data = format!("id,text,age,city,label\n{}\n", table(60, &["bad", "good"]).join("\n"));
    let pipeline = FUSED.replace("SOURCE", "train.csv").replace("SPLIT", "").replace("ESTIMATOR", "linear_svc");
    let project =
        Project::new().file("train.csv", data).file("mood.tsv", "fine\t2\ndull\t-1\n").file("p.yaml", pipeline);
    project.ok(["export", "p.yaml", "--out", "model"]);
    let lines = asked(&project, &["predict", "model"], "a fine film\n");
    assert!(lines.code != 0 && lines.stderr.contains("the columns `age`, `city` as well"), "{}", lines.stderr);
    let missing = asked(&project, &["predict", "model", "--format", "jsonl"], "{\"text\": \"x\", \"age\": 3}\n");
    assert!(missing.code != 0 && missing.stderr.contains("there is no column `city`"), "{}", missing.stderr);
    let row = "{\"text\": \"x\", \"age\": \"old\", \"city\": \"Ulm\"}\n";
    let wrong = asked(&project, &["predict", "model", "--format", "jsonl"], row);
    assert!(wrong.stderr.contains("`age` holds `old`, and a number is wanted"), "{}", wrong.stderr);
    let row = "{\"text\": \"x\", \"age\": 3, \"city\": \"Oslo\"}\n";
    assert_eq!(answers(&asked(&project, &["predict", "model", "--format", "jsonl"], row)).len(), 1);
}

#[test]
fn canonical_parameters_build_the_same_stage_again() {
    // A bundle holds canonical parameters, and files in the place of those that they leave out.
    for kind_of in STAGES.iter().filter(|kind| !["ingest", "tune", "cross_validate", "report"].contains(&kind.name)) {
        let example: Value = serde_yaml::from_str(kind_of.example).unwrap();
        let at = fuseline::stage::Scope { stage: "s", base: std::path::Path::new("."), locate: &|_| None };
        let build = |params: Value| (kind(kind_of.name).unwrap().build)(params, &at).unwrap_or_else(|p| panic!("{p}"));
        let first =
            build(example["with"].as_object().map_or_else(|| serde_json::json!({}), |with| with.clone().into()));
        let mut params = first.params.clone();
        for need in first.work.stage().files() {
            params[&need.param[0]] = example["with"][&need.param[0]].clone();
        }
        assert_eq!(build(params).params, first.params, "{}", kind_of.name);
    }
}
