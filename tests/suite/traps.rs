//! Do real files come out right? Each trap that is counted in the list of real data, where that lies beside the repository.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use fuseline::table::from_parquet;
use serde_json::Value;

use crate::support::{Project, Ran, shared};

/// What a single `ingest` made.
struct Rows {
    facts: Value,
    warnings: Vec<String>,
    text: RecordBatch,
    target: RecordBatch,
    notes: Option<RecordBatch>,
    columns: Option<RecordBatch>,
}

fn pipeline(with: &str) -> Project {
    Project::new().file("p.yaml", format!("name: trap\nstages:\n  rows: {{ use: ingest, with: {{ {with} }} }}\n"))
}

fn read(with: &str) -> Rows {
    let project = pipeline(with);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let json = |name: &str| serde_json::from_slice::<Value>(&project.read(name)).unwrap();
    let run = json("out/manifest.json");
    let unit = &run["units"][0];
    let key = unit["key"].as_str().unwrap();
    let made = json(&format!("cache/v2/keys/{}/{key}.json", key.get(..2).unwrap()));
    let part = |name: &str| {
        let digest = unit["parts"][name].as_str()?;
        let bytes = project.read(&format!("cache/v2/blobs/{}/{digest}.parquet", digest.get(..2).unwrap()));
        Some(from_parquet(bytes).unwrap())
    };
    let told = made["warnings"].as_array().cloned().unwrap_or_default();
    Rows {
        facts: made["facts"].clone(),
        warnings: told.iter().map(|warning| warning.as_str().unwrap().to_owned()).collect(),
        text: part("text").unwrap(),
        target: part("target").unwrap(),
        notes: part("notes"),
        columns: part("columns"),
    }
}

fn refused(with: &str) -> Ran {
    let ran = pipeline(with).run(["run", "p.yaml", "--out", "out"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    ran
}

fn strings(table: &RecordBatch, name: &str) -> Vec<String> {
    let column = table.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|value| value.unwrap_or_default().to_owned()).collect()
}

impl Rows {
    fn count(&self) -> usize {
        assert_eq!(self.text.num_rows(), self.target.num_rows());
        assert_eq!(self.facts["rows"], self.text.num_rows());
        self.text.num_rows()
    }

    fn texts(&self) -> Vec<String> {
        strings(&self.text, "text")
    }

    fn texts_with(&self, what: &str) -> usize {
        self.texts().iter().filter(|text| text.contains(what)).count()
    }

    fn occurrences(&self, what: &str) -> usize {
        self.texts().iter().map(|text| text.matches(what).count()).sum()
    }

    fn inputs(&self) -> Vec<u64> {
        self.facts["inputs"].as_array().unwrap().iter().map(|input| input["rows"].as_u64().unwrap()).collect()
    }
}

fn path(name: &str) -> Option<String> {
    shared(&format!("data/{name}")).as_deref().map(Path::display).map(|path| format!("'{path}'"))
}

fn splits(train: &str, test: &str) -> Option<String> {
    Some(format!("source: {{ train: {}, test: {} }}", path(train)?, path(test)?))
}

#[test]
fn tab_separated_rows_are_not_swallowed_by_quotes() {
    let lid = splits("lid_commonvoice/train.tsv.gz", "lid_commonvoice/test.tsv.gz");
    let nsmc = splits("nsmc_ko/ratings_train.tsv.gz", "nsmc_ko/ratings_test.tsv.gz");
    let (Some(lid), Some(nsmc), Some(sms)) = (lid, nsmc, path("sms_spam/SMSSpamCollection")) else { return };
    let rows = read(&format!("{lid}, label: lang"));
    assert_eq!((rows.count(), rows.inputs()), (521_000, vec![20_000, 501_000]));
    // a lone CR is part of its text
    assert_eq!(rows.texts_with("\r"), 1);
    assert_eq!(rows.occurrences("\u{200b}"), 79);
    let rows = read(&format!("{nsmc}, id: id, text: document, label: label"));
    assert_eq!((rows.count(), rows.inputs()), (70_000, vec![10_000, 60_000]));
    assert_eq!(rows.facts["empty_texts"], 2);
    assert_eq!(rows.warnings, ["2 texts are empty"]);
    let format = "format: { tsv: { header: false, columns: [label, text] } }";
    let rows = read(&format!("source: {sms}, {format}, label: {{ column: label, classes: [ham, spam] }}"));
    assert_eq!(rows.count(), 5_574);
    // with quotes it is an error at the line, and no row less
    let quoted = format!("source: {sms}, format: {{ tsv: {{ quote: '\"', header: false, columns: [label, text] }} }}");
    let ran = refused(&quoted);
    assert!(ran.stderr.contains("line") && ran.stderr.contains("set `quote: none`"), "{}", ran.stderr);
}

#[test]
fn quoted_fields_keep_their_line_ends() {
    let Some(banking) = splits("banking77/train.csv", "banking77/test.csv") else { return };
    let rows = read(&format!("{banking}, label: category"));
    assert_eq!((rows.count(), rows.inputs()), (13_083, vec![3_080, 10_003]));
    assert_eq!(rows.texts_with("\n"), 13);
    let Some(foods) = splits("small_fine_foods/train.csv.gz", "small_fine_foods/test.csv") else { return };
    let rows = read(&format!("{foods}, text: review, label: score"));
    assert_eq!(rows.inputs(), [1_000, 4_000]);
    assert_eq!(rows.texts_with("\u{fffd}"), 12);
    let ran = refused(&format!("{foods}, text: review, label: score, format: {{ csv: {{ quote: none }} }}"));
    assert!(ran.stderr.contains("3 fields are expected"), "{}", ran.stderr);
}

#[test]
fn bytes_that_are_not_utf8_are_told_and_decoded() {
    let Some(mr) = path("mr_polarity/rt-polarity.all") else { return };
    let format = "format: { csv: { delimiter: ' ', quote: none, header: false, columns: [label, text], rest: true } }";
    let ran = refused(&format!("source: {mr}, {format}, label: label"));
    assert!(ran.stderr.contains("line 32: byte 19: 0xE9 is not utf-8"), "{}", ran.stderr);
    assert!(ran.stderr.contains("set `encoding: windows-1252`"), "{}", ran.stderr);
    let rows = read(&format!("source: {mr}, {format}, label: label, encoding: auto"));
    assert_eq!((rows.count(), rows.occurrences("…")), (10_662, 23));
    assert_eq!(rows.facts["encodings"][0]["encoding"], "windows-1252");
    assert!(rows.warnings.iter().any(|told| told.contains("is read as windows-1252")), "{:?}", rows.warnings);
    assert!(rows.notes.is_none());
    let rows = read(&format!("source: {mr}, {format}, label: label, encoding_errors: replace"));
    assert_eq!((rows.count(), &rows.facts["replaced_bytes"]), (10_662, &Value::from(316)));
    assert_eq!(rows.facts["replaced_first"].as_array().unwrap().len(), 10);
    let notes = rows.notes.unwrap();
    let replaced = notes.column_by_name("replaced").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(arrow::compute::sum(replaced), Some(316));
    let left = read(&format!("source: {mr}, {format}, label: label, encoding_errors: skip"));
    let skipped = replaced.values().iter().filter(|count| **count > 0).count();
    assert_eq!((left.count(), &left.facts["rows_skipped"]), (10_662 - skipped, &Value::from(skipped)));
    assert_eq!(left.facts["rows_read"], 10_662);
    assert_eq!(left.texts_with("\u{fffd}"), 0);
}

#[test]
fn files_may_end_without_a_line_end() {
    let Some(lexicon) = path("vader_icwsm2014/vader_sentiment_lexicon.txt") else { return };
    let format = "format: { tsv: { header: false, columns: [token, mean, sd, ratings] } }";
    let rows =
        read(&format!("source: {lexicon}, {format}, text: token, columns: [mean, sd, ratings], encoding: latin1"));
    assert_eq!((rows.count(), rows.texts_with("Þ")), (7_517, 2));
    let columns = rows.columns.unwrap();
    let types: Vec<String> = columns.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Float64", "Float64", "Utf8"]);
    assert!(strings(&columns, "ratings").iter().all(|ratings| ratings.ends_with(']')));
    let format = "format: { tsv: { header: false, columns: [id, valence, text] } }";
    for (name, count) in [("tweets_GroundTruth.txt", 4_200), ("amazonReviewSnippets_GroundTruth.txt", 3_708)] {
        let rows = read(&format!(
            "source: {}, {format}, id: id, columns: {{ valence: number }}",
            path(&format!("vader_icwsm2014/{name}")).unwrap()
        ));
        assert_eq!(rows.count(), count);
        assert!(rows.texts().iter().all(|text| !text.ends_with('\r')));
    }
}

#[test]
fn invisible_characters_stay_and_white_space_is_no_delimiter() {
    let Some(ary) = path("afrisenti/ary.train.tsv.gz") else { return };
    let rows = read(&format!("source: {ary}, text: tweet, label: label"));
    assert_eq!((rows.count(), rows.occurrences("\u{feff}")), (5_583, 42));
    let sentences = ["amazon_cells", "imdb", "yelp"].map(|name| path(&format!("uci_sentences/{name}_labelled.txt")));
    let sentences = sentences.map(Option::unwrap).join(", ");
    let format = "format: { tsv: { header: false, columns: [text, label] } }";
    let rows = read(&format!("source: [{sentences}], {format}, label: {{ column: label, names: [bad, good] }}"));
    assert_eq!(rows.count(), 3_000);
    let labels = strings(&rows.target, "label");
    assert_eq!(labels.iter().filter(|label| *label == "good").count(), 1_500);
    assert!(rows.texts_with("  ") > 900);
}

#[test]
fn lists_of_ids_become_sets_of_names() {
    let Some(names) = path("goemotions/labels.txt") else { return };
    let source: Vec<String> = ["train", "dev", "test"]
        .map(|split| format!("{split}: {}", path(&format!("goemotions/{split}.tsv.gz")).unwrap()))
        .to_vec();
    let with = format!(
        "source: {{ {} }}, id: id, text: text, format: {{ tsv: {{ header: false, columns: [text, labels, id] }} }},
         label: {{ column: labels, names_file: {names}, multi: {{ separator: ',' }} }}",
        source.join(", ")
    );
    let rows = read(&with);
    assert_eq!(rows.inputs()[..3], [5_426, 5_427, 43_410]);
    let (sets, split) = (rows.target.column_by_name("label_set").unwrap(), strings(&rows.target, "split"));
    let sets = sets.as_list::<i32>();
    let train = |row: &usize| split[*row] == "train";
    let several = (0..rows.count()).filter(train).filter(|row| sets.value(*row).len() > 1).count();
    let of = |name: &str| {
        let has = |row: &usize| sets.value(*row).as_string::<i32>().iter().flatten().any(|label| label == name);
        (0..rows.count()).filter(train).filter(has).count()
    };
    assert_eq!((several, of("grief"), of("neutral")), (7_102, 77, 14_219));
}
