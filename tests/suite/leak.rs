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
