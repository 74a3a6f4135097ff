//! Is nothing computed twice, and is the answer always the same bits?

use crate::support::{Project, snippets, words_pipeline};

fn project() -> Project {
    Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("ngram_range: [1, 1]", "folds: 3"))
}

fn ran(project: &Project, folder: &str) -> Vec<String> {
    let summary = project.summary(folder);
    let units = summary["units"].as_array().unwrap().iter().filter(|unit| unit["outcome"] == "ran");
    let mut stages: Vec<String> = units.map(|unit| unit["stage"].as_str().unwrap().to_owned()).collect();
    stages.sort();
    stages.dedup();
    stages
}

#[test]
fn a_second_run_runs_nothing_and_says_the_same() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    project.ok(["run", "p.yaml", "--out", "second"]);
    assert_eq!(ran(&project, "first"), ["clean", "model", "rows", "scores", "tfidf", "words"]);
    assert_eq!(project.summary("second")["totals"]["ran"], 0);
    assert_eq!(project.read("first/predictions.parquet"), project.read("second/predictions.parquet"));
    assert_eq!(project.summary("first")["variants"], project.summary("second")["variants"]);
}

#[test]
fn a_changed_parameter_runs_its_stage_and_what_follows_and_why_says_so() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.write("p.yaml", words_pipeline("ngram_range: [1, 2]", "folds: 3"));
    let why = project.ok(["plan", "p.yaml", "--why"]).stdout;
    assert!(why.contains("`ngram_range` changed: its default → [1,2] (p.yaml:6:"), "{why}");
    assert!(why.contains("waits for `tfidf`"), "{why}");
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(ran(&project, "again"), ["model", "scores", "tfidf"]);
}

#[test]
fn names_comments_and_spelled_out_defaults_change_nothing() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    let renamed = words_pipeline("min_df: 1, norm: l2, ngram_range: [1, 1]", "folds: 3, stratify: true, shuffle: true");
    let renamed = renamed.replace("tfidf:", "weights:").replace("from: tfidf", "from: weights");
    project.write("p.yaml", format!("# the same, told otherwise\n{renamed}"));
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(project.summary("again")["totals"]["ran"], 0);
}

#[test]
fn an_upstream_change_that_makes_the_same_bytes_runs_nothing_below() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    // The texts hold nothing that NFKC would change, so `clean` runs again and nothing after it.
    let other = words_pipeline("ngram_range: [1, 1]", "folds: 3")
        .replace("use: clean, from: rows", "use: clean, from: rows, with: { unicode: nfkc }");
    project.write("p.yaml", other);
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(ran(&project, "again"), ["clean"]);
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let bytes = |threads: &str| {
        let project = project();
        project.ok(["run", "p.yaml", "--threads", threads, "--out", "out"]);
        project.read("out/predictions.parquet")
    };
    assert_eq!(bytes("1"), bytes("2"));
}

#[test]
fn a_damaged_table_is_found_set_aside_and_made_again() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    let mut damaged = 0;
    for folder in std::fs::read_dir(project.path("cache/v2/blobs")).unwrap() {
        for blob in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = blob.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 10);
    let again = project.ok(["run", "p.yaml", "--out", "again"]);
    assert!(project.summary("again")["totals"]["ran"].as_u64().unwrap() > 0, "{}", again.stderr);
    assert_eq!(project.read("first/predictions.parquet"), project.read("again/predictions.parquet"));
}

#[test]
fn predictions_stay_until_they_are_others_or_touched() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "out"]);
    let first = project.read("out/predictions.parquet");
    let written = || std::fs::metadata(project.path("out/predictions.parquet")).unwrap().modified().unwrap();
    let before = written();
    project.ok(["run", "p.yaml", "--out", "out"]);
    assert_eq!(written(), before);
    assert!(project.read("out/predictions.parquet") == first);
    project.ok(["verify", "out"]);
    let mut touched = first.clone();
    touched[40] ^= 1;
    project.write("out/predictions.parquet", touched);
    project.ok(["run", "p.yaml", "--out", "out"]);
    assert!(project.read("out/predictions.parquet") == first);
    project.ok(["run", "p.yaml", "--set", "model.estimator.linear_svc.c=0.00001", "--out", "out"]);
    project.ok(["run", "p.yaml", "--set", "model.estimator.linear_svc.c=0.00001", "--out", "other"]);
    assert!(project.read("out/predictions.parquet") != first);
    assert!(project.read("out/predictions.parquet") == project.read("other/predictions.parquet"));
}

#[test]
fn damaged_scores_are_made_again_though_the_predictions_stay() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "out"]);
    let predictions = project.read("out/predictions.parquet");
    let manifest: serde_json::Value = serde_json::from_slice(&project.read("out/manifest.json")).unwrap();
    let score = manifest["units"].as_array().unwrap().iter().find(|unit| unit["phase"] == "score").unwrap();
    for part in ["predictions", "metrics"] {
        let digest = score["parts"][part].as_str().unwrap();
        let blob = format!("cache/v2/blobs/{}/{digest}.parquet", digest.split_at(2).0);
        let whole = project.read(&blob);
        let mut bytes = whole.clone();
        bytes[whole.len() / 2] ^= 1;
        project.write(&blob, bytes);
        let again = project.ok(["run", "p.yaml", "--out", "out"]);
        assert_eq!(ran(&project, "out"), ["scores"], "{part}: {}", again.stderr);
        assert!(project.read(&blob) == whole, "{part}");
        assert!(project.read("out/predictions.parquet") == predictions, "{part}");
    }
}

#[test]
fn force_runs_a_stage_again_and_nothing_else() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.ok(["run", "p.yaml", "--force=tfidf", "--out", "again"]);
    assert_eq!(ran(&project, "again"), ["tfidf"]);
    let unknown = project.run(["run", "p.yaml", "--force=tfid"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `tfidf`?"), "{}", unknown.stderr);
}

#[test]
fn variants_share_what_does_not_differ() {
    let matrix = "matrix:\n  model.estimator.linear_svc.c: [0.1, 1, 10]\n";
    let project = project();
    project.write("p.yaml", words_pipeline("", "folds: 3") + matrix);
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    let of = |stage: &str, phase: &str| {
        let units = summary["units"].as_array().unwrap().iter();
        units.filter(|unit| unit["stage"] == stage && unit["phase"] == phase).count()
    };
    assert_eq!(summary["variants"].as_array().unwrap().len(), 3);
    assert_eq!((of("rows", "run"), of("tfidf", "fit"), of("tfidf", "apply"), of("scores", "split")), (1, 3, 3, 1));
    assert_eq!((of("model", "fit"), of("scores", "score")), (9, 3));
}

#[test]
fn any_one_damaged_table_is_made_again_when_something_new_reads_it() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "first"]);
    project.ok(["run", "p.yaml", "--set", "tfidf.norm=l1", "--cache-dir", "other", "--out", "expected"]);
    let mut blobs: Vec<_> = std::fs::read_dir(project.path("cache/v2/blobs"))
        .unwrap()
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|blob| blob.unwrap().path())
        .collect();
    blobs.sort();
    let copy = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").args(["-r", from, to]).current_dir(project.path(".")).status();
        assert!(done.unwrap().success());
    };
    for (at, blob) in blobs.iter().enumerate() {
        let (cache, out) = (format!("cache{at}"), format!("out{at}"));
        copy("cache", &cache);
        let damaged = project.path(&cache).join(blob.strip_prefix(project.path("cache")).unwrap());
        let mut bytes = std::fs::read(&damaged).unwrap();
        bytes[20] ^= 4;
        std::fs::write(&damaged, bytes).unwrap();
        project.ok(["run", "p.yaml", "--set", "tfidf.norm=l1", "--cache-dir", &cache, "--out", &out]);
        let summary = project.summary(&out);
        assert_eq!((&summary["status"], &summary["totals"]["skipped"]), (&"complete".into(), &0.into()), "{damaged:?}");
        let (ours, expected) = (format!("{out}/predictions.parquet"), "expected/predictions.parquet");
        assert_eq!(project.read(&ours), project.read(expected), "{damaged:?}");
    }
}

#[test]
fn variants_that_read_other_files_are_other_variants() {
    let project = project().file("other.csv", snippets(30));
    project.write("p.yaml", words_pipeline("", "folds: 3") + "matrix: { rows.source: [data.csv, other.csv] }\n");
    project.ok(["run", "p.yaml", "--out", "out"]);
    let summary = project.summary("out");
    let rows: Vec<_> = summary["variants"].as_array().unwrap().iter().map(|v| v["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [60, 30]);
}

#[test]
fn a_run_that_scores_nothing_leaves_no_older_scores() {
    let project = project();
    project.ok(["run", "p.yaml", "--out", "out"]);
    assert_eq!(project.run(["run", "p.yaml", "--out", "out", "--set", "tfidf.min_df=1000"]).code, 3);
    assert!(!project.path("out/predictions.parquet").exists());
    assert_eq!(project.summary("out")["status"], "failed");
}
