//! Do texts, and what stands beside them, become features from end to end?

use serde_json::Value;

use crate::support::{Project, shared};

/// Rows whose label depends on their columns alone, a city that one fold holds out, and a few empty ages.
fn people(rows: usize) -> String {
    let mut csv = "id,text,label,fold,age,city\n".to_owned();
    for row in 0..rows {
        let label = if row % 2 == 0 { "old" } else { "young" };
        let age = match row % 7 {
            0 => String::new(),
            _ if row % 2 == 0 => (60 + row % 9).to_string(),
            _ => (20 + row % 9).to_string(),
        };
        let fold = row / 2 % 3;
        let city = if fold == 1 && row % 5 == 0 { "Nowhere" } else { ["Seoul", "Paris"][row % 2] };
        csv.push_str(&format!("r{row},Word {row}.,{label},{fold},{age},{city}\n"));
    }
    csv
}

fn encoding(columns: &str, with: &str) -> String {
    format!(
        "name: people
stages:
  rows: {{ use: ingest, with: {{ source: people.csv, id: id, text: text, label: label, fold: fold{columns} }} }}
  clean: {{ use: clean, from: rows, with: {{ case: lower, whitespace: trim }} }}
  words: {{ use: tokenize, from: clean }}
  tfidf: {{ use: tfidf, from: words }}
  side: {{ use: encode, from: clean, with: {{ {with} }} }}
  both: {{ use: fuse, from: [tfidf, side] }}
  model: {{ use: train, from: both, with: {{ estimator: {{ logistic_regression: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: given }} }}
"
    )
}

fn accuracy(summary: &Value, variant: usize) -> f64 {
    summary["variants"][variant]["metrics"]["accuracy"]["mean"].as_f64().unwrap()
}

#[test]
fn columns_become_features_inside_the_folds() {
    let columns = ", columns: [age, city]";
    let project = Project::new()
        .file("people.csv", people(90))
        .file("p.yaml", encoding(columns, "numeric: [age], categorical: [city], impute: median, indicator: true"));
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    assert_eq!(accuracy(&summary, 0), 1.0);
    let units: Vec<&Value> =
        summary["units"].as_array().unwrap().iter().filter(|unit| unit["stage"] == "side").collect();
    assert_eq!(units.iter().filter(|unit| unit["phase"] == "fit").count(), 3, "one for each fold");
    // the second fold holds out every row of `Nowhere`, so nothing there has learned of it
    let names = |fold: &str| project.ok(["show", "p.yaml", "side", "--fold", fold, "--part", "names.01"]).stdout;
    assert!(names("1").contains("city=Nowhere") && names("2").contains("city=Seoul"));
    assert!(!names("2").contains("Nowhere"), "{}", names("2"));
    let again = project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(project.summary("again")["totals"]["ran"], 0, "{}", again.stderr);
}

#[test]
fn dropping_rows_keeps_their_columns_beside_them() {
    let pipeline = encoding(", columns: all", "numeric: [age], categorical: [city], impute: zero")
        .replace("whitespace: trim", "length: { min: 8 }, duplicates: drop");
    let project = Project::new().file("people.csv", people(90)).file("p.yaml", pipeline);
    let ran = project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    assert!(accuracy(&summary, 0) > 0.95, "{}", ran.stderr);
    let rows = |stage: &str| {
        let units = summary["units"].as_array().unwrap();
        units.iter().find(|unit| unit["stage"] == stage).and_then(|unit| unit["rows"].as_u64()).unwrap()
    };
    // `word 7.` has seven characters
    assert_eq!((rows("rows"), rows("clean")), (90, 80));
}

#[test]
fn columns_that_are_not_kept_are_asked_for() {
    let project = Project::new()
        .file("people.csv", people(30))
        .file("none.yaml", encoding("", "numeric: [age]"))
        .file("typo.yaml", encoding(", columns: [age]", "numeric: [agee]"))
        .file("empty.yaml", encoding(", columns: [age]", "numeric: [age]"));
    let ran = project.run(["run", "none.yaml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("keep some in `ingest`, for instance `columns: [age, city]`"), "{}", ran.stderr);
    let ran = project.run(["run", "typo.yaml"]);
    assert!(ran.code == 3 && ran.stderr.contains("did you mean `age`?"), "{}", ran.stderr);
    assert!(ran.stderr.contains("typo.yaml:7:"), "it points at the line: {}", ran.stderr);
    let ran = project.run(["run", "empty.yaml"]);
    assert!(ran.code == 3 && ran.stderr.contains("for instance `impute: median`"), "{}", ran.stderr);
}

const LEXICON: &str = "fine\t2.1\nbright\t1.5\nlovely\t2.8\ndull\t-1.7\nawful\t-2.9\ntedious\t-1.4\n:)\t2.0\n";

#[test]
fn a_lexicon_reads_texts_and_tokens() {
    let csv: String = (0..60)
        .map(|row| match row % 2 {
            0 => format!("a {} film {row},good\n", ["fine", "LOVELY", ":)"][row / 2 % 3]),
            _ => format!("a {} film {row},bad\n", ["dull!", "awful", "tedious"][row / 2 % 3]),
        })
        .collect();
    let pipeline = "name: lexicon
stages:
  rows: { use: ingest, with: { source: data.csv, text: text, label: label } }
  words: { use: tokenize, from: rows, with: { tokenizer: whitespace } }
  weights: { use: lexicon, from: words, with: { source: words.tsv } }
  model: { use: train, from: weights, with: { estimator: { logistic_regression: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 3 } }
matrix:
  reads: { set: weights.from, values: { tokens: words, texts: rows } }
";
    let project = Project::new()
        .file("data.csv", format!("text,label\n{csv}"))
        .file("words.tsv", LEXICON)
        .file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    // the token `dull!` is not the word `dull`, but a lack of hits tells those rows as well
    assert_eq!((accuracy(&summary, 0), accuracy(&summary, 1)), (1.0, 1.0));
    let vader = pipeline.replace("source: words.tsv", "source: words.tsv, features: vader");
    project.write("p.yaml", vader);
    let ran = project.run(["check", "p.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("VADER's rules read capitals and punctuation,"), "{}", ran.stderr);
    project.write("words.tsv", b"fine\t2\nna\xefve\t-1\n");
    project.write("p.yaml", pipeline);
    let ran = project.run(["run", "p.yaml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("line 2 of the lexicon is not UTF-8"), "{}", ran.stderr);
}

/// The published tweets by VADER's scores alone.
#[test]
fn vaders_scores_tell_tweets_apart() {
    let (Some(tweets), Some(lexicon)) = (
        shared("data/vader_icwsm2014/tweets_GroundTruth.txt"),
        shared("data/vader_icwsm2014/vader_sentiment_lexicon.txt"),
    ) else {
        return;
    };
    let pipeline = "name: tweets
stages:
  rows:
    use: ingest
    with:
      source: tweets.txt
      format: { tsv: { header: false, columns: [id, valence, text] } }
      id: id
      text: text
      label: { column: valence, cuts: [0.0], names: [negative, positive] }
  lexicon: { use: lexicon, from: rows, with: { source: lexicon.txt, encoding: windows-1252, features: vader } }
  model: { use: train, from: lexicon, with: { estimator: { logistic_regression: { c: 10.0 } } } }
  scores: { use: cross_validate, from: model, with: { folds: 5 } }
";
    let project = Project::new()
        .file("tweets.txt", std::fs::read(tweets).unwrap())
        .file("lexicon.txt", std::fs::read(lexicon).unwrap())
        .file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let found = accuracy(&project.summary("out"), 0);
    println!("tweets by VADER's scores alone: {found:.4}");
    assert!(found >= 0.95, "{found}");
}

/// Messages in which windows-1252 was read as Latin-1, and that have entities.
#[test]
fn real_messages_are_repaired() {
    let Some(messages) = shared("data/sms_spam/SMSSpamCollection") else { return };
    let pipeline = "name: sms
stages:
  rows: { use: ingest, with: { source: sms.txt, format: { tsv: { header: false, columns: [label, text] } }, text: text, label: label } }
  clean: { use: clean, from: rows, with: { mojibake: repair, entities: unescape } }
";
    let project = Project::new().file("sms.txt", std::fs::read(messages).unwrap()).file("p.yaml", pipeline);
    let texts = |stage: &str| {
        let shown = project.ok(["show", "p.yaml", stage, "--format", "jsonl", "--rows", "6000"]).stdout;
        let of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
        shown.lines().map(of).collect::<Vec<String>>()
    };
    let (before, after) = (texts("rows"), texts("clean"));
    let controls = |texts: &[String]| {
        texts.iter().flat_map(|text| text.chars()).filter(|c| ('\u{80}'..'\u{a0}').contains(c)).count()
    };
    assert_eq!((before.len(), controls(&before), controls(&after)), (5574, 50, 0));
    let entities =
        before.iter().zip(&after).filter(|(before, after)| before.matches('&').count() > after.matches('&').count());
    assert_eq!(entities.count(), 244);
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 344);
}

/// Tweets of which some stand twice with different labels.
#[test]
fn real_conflicts_are_found() {
    let Some(tweets) = shared("data/afrisenti/pcm.train.tsv.gz") else { return };
    let pipeline = "name: pcm
stages:
  rows: { use: ingest, with: { source: pcm.train.tsv.gz, text: tweet, label: label } }
  clean: { use: clean, from: rows, with: { duplicates: drop, conflicts: drop_all } }
";
    let project = Project::new().file("pcm.train.tsv.gz", std::fs::read(tweets).unwrap()).file("p.yaml", pipeline);
    let ran = project.ok(["run", "p.yaml", "--out", "out"]);
    assert!(ran.stderr.contains("31 texts stand in 83 rows with different labels; all were dropped"), "{}", ran.stderr);
    let summary = project.summary("out");
    let units = summary["units"].as_array().unwrap();
    let rows = units.iter().find(|unit| unit["stage"] == "clean").and_then(|unit| unit["rows"].as_u64());
    assert_eq!(rows, Some(5121 - 460 - 83));
}

/// scikit-learn's char analyser is `tokenize` and plain `tfidf`; other tokenizers change nothing but the tokens.
#[test]
fn every_tokenizer_runs_the_same_with_any_threads() {
    let csv: String = (0..40)
        .map(|row| format!("{},{}\n", ["我们学习自然语言", "Running runs; the ran!"][row % 2], ["zh", "en"][row % 2]))
        .collect();
    let pipeline = "name: tokens
stages:
  rows: { use: ingest, with: { source: data.csv, text: text, label: label } }
  words: { use: tokenize, from: rows }
  tfidf: { use: tfidf, from: words }
  model: { use: train, from: tfidf, with: { estimator: { linear_svc: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 2 } }
matrix:
  words.tokenizer: [whitespace, unicode_words, segment, { char: { ngram_range: [1, 2] } }, { char_wb: { ngram_range: [2, 3] } }]
";
    let project = Project::new().file("data.csv", format!("text,label\n{csv}")).file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "one", "--threads", "1"]);
    project.ok(["run", "p.yaml", "--out", "two", "--threads", "2", "--force"]);
    assert_eq!(project.read("one/predictions.parquet"), project.read("two/predictions.parquet"));
    let summary = project.summary("one");
    assert!((0..5).all(|variant| accuracy(&summary, variant) == 1.0));
}
