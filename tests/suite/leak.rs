//! Can anything that is learned in a fold see the rows that the fold holds out?

use crate::support::{Project, snippets, words_pipeline};

fn vocabulary(project: &Project, fold: &str) -> String {
    project.ok(["show", "p.yaml", "tfidf", "--fold", fold, "--part", "vocabulary", "--format", "jsonl"]).stdout
}

#[test]
fn a_token_of_validation_rows_alone_is_in_no_vocabulary_of_its_fold() {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("", "folds: given"));
    project.ok(["run", "p.yaml"]);
    for fold in 0..3 {
        let learned = vocabulary(&project, &(fold + 1).to_string());
        for word in 0..3 {
            assert_eq!(learned.contains(&format!("\"seen{word}\"")), word != fold, "fold {fold}: {learned}");
        }
    }
}

#[test]
fn nothing_learned_changes_with_the_texts_that_are_held_out() {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("", "folds: given"));
    let learned = |project: &Project| {
        let model =
            project.ok(["show", "p.yaml", "model", "--fold", "2", "--part", "coefficients", "--format", "jsonl"]);
        (vocabulary(project, "2"), model.stdout)
    };
    let before = learned(&project);
    let held_out = |line: &str| line.contains(",1,train") || line.contains(",1,test");
    let other: Vec<String> = snippets(60)
        .lines()
        .map(
            |line| {
                if held_out(line) { line.replace("a ", "altogether other words dull fine ") } else { line.to_owned() }
            },
        )
        .collect();
    project.write("data.csv", other.join("\n"));
    let after = learned(&project);
    assert_eq!(before, after);
    assert!(before.0.contains("seen0") && !before.0.contains("altogether"));
    let elsewhere = vocabulary(&project, "1");
    assert!(elsewhere.contains("altogether"), "the texts that changed are trained on in the other folds");
}

#[test]
fn a_learner_far_from_the_model_is_lifted_all_the_same() {
    // tf-idf stands before `fuse`, which learns nothing itself: both must be inside the folds.
    let pipeline = words_pipeline("", "folds: given")
        .replace("from: tfidf, with: { estimator", "from: fused, with: { estimator")
        .replace("  model:", "  fused: { use: fuse, from: [tfidf] }\n  model:");
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    let units = summary["units"].as_array().unwrap();
    let fused: Vec<_> = units.iter().filter(|unit| unit["stage"] == "fused").collect();
    assert_eq!(fused.len(), 3);
    assert!(fused.iter().all(|unit| unit["fold"].is_u64()));
}

#[test]
fn dropping_duplicates_lets_no_held_out_text_decide_what_is_trained_on() {
    let pipeline = words_pipeline("", "holdout: test")
        .replace("use: clean, from: rows", "use: clean, from: rows, with: { duplicates: drop }");
    let learned = |held_out: &str| {
        let train =
            "a,one fine film,positive,0,train\nb,one dull film,negative,0,train\nc,one fine film,positive,0,train\n";
        let data = format!("id,text,label,fold,split\nt,{held_out},positive,0,test\n{train}");
        let project = Project::new().file("data.csv", data).file("p.yaml", &pipeline);
        project.ok(["show", "p.yaml", "tfidf", "--part", "vocabulary", "--format", "jsonl"]).stdout
    };
    assert_eq!(learned("one dull film"), learned("something else"));
}

/// The words of [`snippets`], scaled, selected and reduced before the model.
fn transformed() -> String {
    words_pipeline("", "folds: given")
        .replace("from: tfidf, with: { estimator", "from: reduced, with: { estimator")
        .replace(
            "  model:",
            "  scaled: { use: scale, from: tfidf, with: { method: max_abs } }
  chosen: { use: select, from: scaled, with: { score_func: chi2, percentile: 80 } }
  reduced: { use: reduce, from: chosen, with: { n_components: 3 } }
  model:",
        )
}

#[test]
fn transforms_learn_nothing_of_the_texts_that_are_held_out() {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", transformed());
    project.ok(["run", "p.yaml"]);
    let learned = |fold: &str| {
        let part = |stage: &str, part: &str| {
            project.ok(["show", "p.yaml", stage, "--fold", fold, "--part", part, "--format", "jsonl"]).stdout
        };
        [part("scaled", "scales"), part("chosen", "scores"), part("reduced", "components"), part("reduced", "variance")]
    };
    for fold in 0..3 {
        let scores = learned(&(fold + 1).to_string())[1].clone();
        for word in 0..3 {
            assert_eq!(scores.contains(&format!("\"seen{word}\"")), word != fold, "fold {fold}: {scores}");
        }
    }
    let (before, elsewhere) = (learned("2"), learned("1"));
    let held_out = |line: &str| line.contains(",1,train") || line.contains(",1,test");
    let change =
        |line: &str| if held_out(line) { line.replace(" film", " other film fine dull") } else { line.to_owned() };
    project.write("data.csv", snippets(60).lines().map(change).collect::<Vec<_>>().join("\n"));
    assert_eq!(before, learned("2"));
    let after = learned("1");
    assert!((0..4).all(|at| after[at] != elsewhere[at]), "the texts that changed are trained on in the other folds");
}

/// 200 rows of random labels, each with every word of 20,000 with a chance of 1 in 50; which words, by row.
fn noise() -> (String, Vec<Vec<u32>>, Vec<u32>) {
    let mut rng = fuseline::ml::Rng::seeded(20);
    let mut csv = "id,text,label,fold,split\n".to_owned();
    let mut labels: Vec<u32> = (0..200).map(|row| row % 2).collect();
    rng.shuffle(&mut labels);
    let mut rows = Vec::new();
    for (row, label) in labels.iter().enumerate() {
        let words: Vec<u32> = (0..20_000).filter(|_| rng.below(50) == 0).collect();
        let text: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
        csv.push_str(&format!("r{row},{},c{label},{},train\n", text.join(" "), row % 5));
        rows.push(words);
    }
    (csv, rows, labels)
}

fn accuracy(data: &str, pipeline: String) -> f64 {
    let project = Project::new().file("data.csv", data).file("p.yaml", pipeline);
    project.ok(["run", "p.yaml", "--out", "out"]);
    project.summary("out")["variants"][0]["metrics"]["accuracy"]["mean"].as_f64().unwrap()
}

#[test]
fn selection_among_noise_gives_chance_inside_the_folds_and_a_fine_score_outside() {
    use fuseline::ml::select::{Judge, Keep};
    use fuseline::ml::{Block, Csr, Features};
    let (data, rows, labels) = noise();
    let counts = "use_idf: false, norm: none";
    let inside = words_pipeline(counts, "folds: given")
        .replace("from: tfidf, with: { estimator", "from: chosen, with: { estimator")
        .replace("  model:", "  chosen: { use: select, from: tfidf, with: { k: 20 } }\n  model:");
    let honest = accuracy(&data, inside);
    // the leak, made by hand: the planner offers no way to it
    let mut csr = Csr { cols: 20_000, indptr: vec![0], ..Csr::default() };
    for words in &rows {
        csr.indices.extend(words);
        csr.values.resize(csr.indices.len(), 1.0);
        csr.indptr.push(csr.indices.len());
    }
    let scores = Judge::FClassif.scores(&Features { blocks: vec![Block::Sparse(csr)] }, &labels, 2).unwrap();
    let kept = Keep::Best(20).choose(&scores).unwrap();
    let words: Vec<String> = (0..20_000).filter(|&at| kept[at]).map(|at| format!("w{at}")).collect();
    let leaked =
        accuracy(&data, words_pipeline(&format!("{counts}, vocabulary: [{}]", words.join(", ")), "folds: given"));
    assert!((honest - 0.5).abs() < 0.12, "selected inside the folds: {honest}");
    assert!(leaked > 0.8, "selected on all rows: {leaked}");
}

/// [`snippets`] with a word in each row that no other has.
fn own_words(rows: usize) -> String {
    let row = |(row, line): (usize, &str)| line.replace(" by many", &format!(" by own{row}own"));
    let mut lines = snippets(rows).lines().skip(1).enumerate().map(row).collect::<Vec<_>>();
    lines.insert(0, "id,text,label,fold,split".to_owned());
    lines.join("\n")
}

/// Which rows a fold trains on, and which it tests.
fn sides(project: &Project, fold: &str) -> Vec<(bool, bool)> {
    let part = format!("fold.{fold}");
    let table = project.ok(["show", "p.yaml", "scores", "--part", &part, "--format", "jsonl"]).stdout;
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let rows = table.lines().map(line);
    rows.map(|row| (row["train"].as_bool().unwrap(), row["test"].as_bool().unwrap())).collect()
}

#[test]
fn rows_beyond_train_rows_are_in_nothing_that_a_fold_learns() {
    for scores in ["folds: 3, train_rows: 10", "folds: given, train_rows: 10", "holdout: test, train_rows: 10"] {
        let project = Project::new().file("data.csv", own_words(60)).file("p.yaml", words_pipeline("", scores));
        project.ok(["run", "p.yaml"]);
        let learned = vocabulary(&project, "1");
        let sides = sides(&project, "00.00");
        assert_eq!(sides.iter().filter(|(train, _)| *train).count(), 10, "{scores}");
        for (row, (train, _)) in sides.iter().enumerate() {
            assert_eq!(learned.contains(&format!("\"own{row}own\"")), *train, "{scores}, row {row}: {learned}");
        }
    }
}

#[test]
fn what_is_chosen_and_stacked_inside_a_fold_sees_no_row_beyond_train_rows() {
    let stages =
        "  tuned: { use: tune, from: model, with: { folds: 2, metric: accuracy, grid: { tfidf.min_df: [1, 2] } } }
  sure: { use: calibrate, from: model, with: { folds: 2 } }
  stacked: { use: ensemble, from: [tuned, sure], with: { stack: { folds: 2 } } }
";
    let pipeline = words_pipeline("", "folds: 3, train_rows: 16")
        .replace("from: model", "from: stacked")
        .replace("linear_svc", "logistic_regression")
        .replace("  scores:", &format!("{stages}  scores:"));
    let project = Project::new().file("data.csv", own_words(60)).file("p.yaml", pipeline);
    let learned = |project: &Project| {
        [("tuned", "candidates"), ("sure", "curves"), ("stacked", "coefficients")].map(|(stage, part)| {
            project.ok(["show", "p.yaml", stage, "--fold", "2", "--part", part, "--format", "jsonl"]).stdout
        })
    };
    let (before, sides) = (learned(&project), sides(&project, "00.01"));
    let changed = |used: bool| {
        let row = |(row, line): (usize, &str)| {
            let (train, test) = sides[row];
            if !test && train == used {
                line.replace("a ", "altogether other words dull fine ")
            } else {
                line.to_owned()
            }
        };
        let text = own_words(60);
        let mut lines: Vec<String> = text.lines().skip(1).enumerate().map(row).collect();
        lines.insert(0, "id,text,label,fold,split".to_owned());
        lines.join("\n")
    };
    project.write("data.csv", changed(false));
    assert_eq!(learned(&project), before, "only texts that are neither trained on nor tested have changed");
    project.write("data.csv", changed(true));
    assert_ne!(learned(&project), before, "those that are trained on decide");
}
