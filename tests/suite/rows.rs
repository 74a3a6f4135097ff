//! Does an embedded text cost anything twice: appended to, shuffled, edited, damaged, or met by another pipeline?

use std::path::PathBuf;

use serde_json::Value;

use crate::support::Project;

const VOCABULARY: usize = 32;
const WIDTH: usize = 8;

/// A BERT of one layer with weights that follow a rule.
pub(crate) fn with_model(project: Project) -> Project {
    let config = format!(
        r#"{{ "model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", "hidden_size": {WIDTH},
            "intermediate_size": 16, "layer_norm_eps": 1e-12, "max_position_embeddings": 64, "num_attention_heads": 2,
            "num_hidden_layers": 1, "pad_token_id": 0, "type_vocab_size": 2, "vocab_size": {VOCABULARY} }}"#
    );
    let words: Vec<String> = (4..VOCABULARY).map(|id| format!("\"w{}\": {id}", id - 4)).collect();
    let tokenizer = format!(
        r#"{{ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {{ "type": "Whitespace" }}, "decoder": null,
            "post_processor": {{ "type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1] }},
            "model": {{ "type": "WordLevel", "unk_token": "[UNK]",
                "vocab": {{ "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, {} }} }} }}"#,
        words.join(", ")
    );
    project
        .file("tiny/config.json", config)
        .file("tiny/tokenizer.json", tokenizer)
        .file("tiny/model.safetensors", weights())
}

/// Safetensors: the length of the header, the header, the numbers.
fn weights() -> Vec<u8> {
    let layer = "encoder.layer.0";
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![VOCABULARY, WIDTH]),
        ("embeddings.position_embeddings.weight".into(), vec![64, WIDTH]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, WIDTH]),
    ];
    let maps = [
        ("attention.self.query", WIDTH, WIDTH),
        ("attention.self.key", WIDTH, WIDTH),
        ("attention.self.value", WIDTH, WIDTH),
        ("attention.output.dense", WIDTH, WIDTH),
        ("intermediate.dense", 16, WIDTH),
        ("output.dense", WIDTH, 16),
    ];
    for (name, output, input) in maps {
        shapes.push((format!("{layer}.{name}.weight"), vec![output, input]));
        shapes.push((format!("{layer}.{name}.bias"), vec![output]));
    }
    for norm in [
        "embeddings.LayerNorm".into(),
        format!("{layer}.attention.output.LayerNorm"),
        format!("{layer}.output.LayerNorm"),
    ] {
        shapes.push((format!("{norm}.weight"), vec![WIDTH]));
        shapes.push((format!("{norm}.bias"), vec![WIDTH]));
    }
    let (mut header, mut numbers) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in shapes {
        let start = numbers.len();
        let count = shape.iter().product::<usize>();
        numbers.extend((0..count).flat_map(|at| (((at * 37 + start) % 101) as f32 / 50.0 - 1.0).to_le_bytes()));
        let offsets = [start, numbers.len()];
        header.insert(name, serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": offsets }));
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

/// Rows whose texts differ: row, then its words.
fn rows(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut csv = "text,label\n".to_owned();
    for row in numbers {
        let words: Vec<String> =
            (0..5).map(|digit| format!("w{}", row / 3usize.pow(digit) % 3 + 3 * digit as usize)).collect();
        let label = if row % 2 == 0 { "even w20" } else { "odd w21" };
        csv.push_str(&format!("{} {},{}\n", words.join(" "), label.split(' ').next_back().unwrap(), label));
    }
    csv
}

fn pipeline(name: &str, folds: u32) -> String {
    format!(
        "name: {name}
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, text: text, label: label }} }}
  vectors: {{ use: embed, from: rows, with: {{ model: ./tiny }} }}
  model: {{ use: train, from: vectors, with: {{ estimator: {{ linear_svc: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: {folds} }} }}
"
    )
}

fn project() -> Project {
    with_model(Project::new()).file("data.csv", rows(0..100)).file("p.yaml", pipeline("vectors", 3))
}

/// Rows of the embedding, and how many of them were remembered.
fn embedded(project: &Project, folder: &str) -> (u64, u64) {
    let summary = project.summary(folder);
    let unit = summary["units"].as_array().unwrap().iter().find(|unit| unit["stage"] == "vectors").unwrap().clone();
    assert_eq!(unit["outcome"], "ran");
    (unit["rows"].as_u64().unwrap(), unit["remembered"].as_u64().unwrap())
}

/// What a cache that remembers nothing comes to.
fn predictions_of_a_cold_run(project: &Project) -> Vec<u8> {
    let cold = tempfile::tempdir().unwrap();
    project.ok(["run", "p.yaml", "--cache-dir", cold.path().to_str().unwrap(), "--out", "cold"]);
    assert_eq!(embedded(project, "cold").1, 0);
    project.read("cold/predictions.parquet")
}

fn segments(project: &Project) -> Vec<PathBuf> {
    let cache = std::fs::read_dir(project.path("cache")).unwrap().map(|entry| entry.unwrap().path());
    let rows = cache.map(|folder| folder.join("rows")).find(|rows| rows.is_dir()).unwrap();
    let spaces = std::fs::read_dir(rows).unwrap();
    spaces
        .flat_map(|space| std::fs::read_dir(space.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

#[test]
fn appended_shuffled_and_edited_texts_pay_only_for_what_is_new() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    assert_eq!(embedded(&project, "first"), (100, 0));

    project.write("data.csv", rows(0..110));
    project.ok(["run", "p.yaml", "--out", "appended"]);
    assert_eq!(embedded(&project, "appended"), (110, 100));
    assert_eq!(project.read("appended/predictions.parquet"), predictions_of_a_cold_run(&project));

    project.write("data.csv", rows((0..110).map(|row| row * 37 % 110)));
    project.ok(["run", "p.yaml", "--threads", "1", "--out", "shuffled"]);
    assert_eq!(embedded(&project, "shuffled"), (110, 110));
    assert_eq!(project.read("shuffled/predictions.parquet"), predictions_of_a_cold_run(&project));

    project.write("data.csv", rows(0..110).replacen("w20,even", "w20 w21,even", 3));
    project.ok(["run", "p.yaml", "--out", "edited"]);
    assert_eq!(embedded(&project, "edited"), (110, 107));
    assert_eq!(project.read("edited/predictions.parquet"), predictions_of_a_cold_run(&project));
}

#[test]
fn another_pipeline_with_other_rows_pays_for_none_it_shares() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    project.write("other.yaml", pipeline("other", 5).replace("label: label", "label: label, limit: 40"));
    project.ok(["run", "other.yaml", "--out", "other"]);
    assert_eq!(embedded(&project, "other"), (40, 40));
    // Other options are other vectors.
    project.ok(["run", "p.yaml", "--set", "vectors.normalize=false", "--out", "long"]);
    assert_eq!(embedded(&project, "long"), (100, 0));
    // Forced means computed.
    project.ok(["run", "p.yaml", "--force=vectors", "--out", "forced"]);
    assert_eq!(embedded(&project, "forced"), (100, 0));
    assert_eq!(project.read("first/predictions.parquet"), project.read("forced/predictions.parquet"));
}

#[test]
fn damaged_rows_are_told_of_and_embedded_again() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    let [segment] = segments(&project).try_into().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 8;
    std::fs::write(&segment, bytes).unwrap();
    project.write("data.csv", rows(0..101));
    let again = project.ok(["run", "p.yaml", "--out", "again"]);
    assert!(again.stderr.contains("warning[damaged]: the remembered rows"), "{}", again.stderr);
    assert_eq!(embedded(&project, "again"), (101, 0));
    assert_eq!(project.read("again/predictions.parquet"), predictions_of_a_cold_run(&project));
    project.write("data.csv", rows(0..102));
    project.ok(["run", "p.yaml", "--out", "third"]);
    assert_eq!(embedded(&project, "third"), (102, 101));
}

#[test]
fn the_cache_counts_and_clears_what_it_remembers() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    let stats: Value =
        serde_json::from_str(&project.ok(["cache", "stats", "--message-format", "json"]).stdout).unwrap();
    let remembered = &stats["artifacts"]["remembered"];
    assert_eq!(
        (&remembered["spaces"], &remembered["segments"], &remembered["rows"]),
        (&1.into(), &1.into(), &100.into())
    );
    let shown = project.ok(["cache", "stats"]).stdout;
    assert!(shown.contains("100 rows"), "{shown}");
    project.ok(["cache", "clear"]);
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(embedded(&project, "again"), (100, 0));
}
