//! Can it always say why? Every reason of `plan --why`, followed to its root, and what may be saved.

use fuseline::table::Digest;
use serde_json::Value;

use crate::support::{Project, snippets, words_pipeline};

fn project() -> Project {
    let project = Project::new().file("data.csv", snippets(60));
    project.file("p.yaml", words_pipeline("ngram_range: [1, 1]", "folds: 3"))
}

fn why(project: &Project) -> String {
    project.ok(["plan", "p.yaml", "--why"]).stdout
}

/// The typed reasons of a stage's units, each once.
fn reasons(project: &Project, stage: &str) -> Vec<Value> {
    let plan: Value = serde_json::from_str(&project.ok(["plan", "p.yaml", "--format", "json"]).stdout).unwrap();
    let units = plan["units"].as_array().unwrap().iter().filter(|unit| unit["stage"] == stage);
    let mut all: Vec<Value> = Vec::new();
    for reason in units.flat_map(|unit| unit["why"].as_array().unwrap()) {
        if !all.contains(reason) {
            all.push(reason.clone());
        }
    }
    all
}

fn clean_with(params: &str) -> String {
    words_pipeline("ngram_range: [1, 1]", "folds: 3")
        .replace("use: clean, from: rows", &format!("use: clean, from: rows, with: {{ {params} }}"))
}

/// Every file of a folder of the cache that holds `text`.
fn records(project: &Project, folder: &str, text: &str) -> Vec<std::path::PathBuf> {
    let shards = std::fs::read_dir(project.path("cache/v2").join(folder)).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(text)).collect()
}

/// The file that says which keys the last run had.
fn memory(project: &Project) -> std::path::PathBuf {
    std::fs::read_dir(project.path("cache/v2/last")).unwrap().next().unwrap().unwrap().path()
}

/// A record that was edited, sealed anew.
fn sealed(text: &str) -> String {
    let (record, _) = text.split_once(",\"check\":\"").unwrap();
    format!("{record},\"check\":\"{}\"}}\n", Digest::of(record.as_bytes()))
}

#[test]
fn what_never_ran_says_so_and_what_is_there_says_nothing() {
    let project = project();
    assert!(why(&project).contains("\n    never ran\n"));
    assert_eq!(reasons(&project, "rows")[0]["reason"], "never-ran");
    project.ok(["run", "p.yaml"]);
    let plan = why(&project);
    assert!(plan.contains("0 to run") && !plan.contains("may be saved"), "{plan}");
}

#[test]
fn one_stage_alone_may_be_asked_about() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.write("p.yaml", clean_with("unicode: nfkc"));
    let plan = project.ok(["plan", "p.yaml", "--why=model"]).stdout;
    assert!(plan.contains("waits for `tfidf`") && !plan.contains("ingest"), "{plan}");
    assert!(plan.contains("may be saved: ") && plan.contains("`model`"), "{plan}");
    let unknown = project.run(["plan", "p.yaml", "--why=modle"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `model`?"), "{}", unknown.stderr);
}

#[test]
fn an_early_cutoff_may_save_what_waits() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.write("p.yaml", clean_with("unicode: nfkc"));
    let plan = why(&project);
    let hope =
        "may be saved: `words`, `tfidf`, `model`, `scores` (1 of 1 unit), if `clean` gives the same bytes as before";
    let hope = hope.replace(" (1 of 1 unit)", "");
    assert!(plan.contains(&hope), "{plan}");
    assert!(plan.contains("`unicode` changed: its default → \"nfkc\" (p.yaml:4:"), "{plan}");
}

#[test]
fn a_changed_file_is_named_with_both_digests() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.write("data.csv", snippets(62));
    let plan = why(&project);
    assert!(plan.contains("`data.csv` changed: ") && plan.contains("(p.yaml:3:"), "{plan}");
    let reason = &reasons(&project, "rows")[0];
    assert_eq!((&reason["reason"], &reason["sources"][0]), (&"file".into(), &"data.csv".into()));
    assert_ne!(reason["old"], reason["new"]);
    assert!(reason["old"][0].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn a_changed_input_is_followed_to_the_stage_that_changed_it() {
    let project = project();
    project.write("data.csv", snippets(60).replace("a fine", "a <i class='zzz'>fine</i>"));
    project.ok(["run", "p.yaml"]);
    project.write("p.yaml", clean_with("unicode: nfkc, html: strip"));
    // What stands above `tfidf` is made anew; a run of a stage alone does not change what is compared with.
    project.ok(["show", "p.yaml", "words"]);
    let plan = project.ok(["plan", "p.yaml", "--why=tfidf"]).stdout;
    let said =
        "its input 0/tokens changed, through `words`, because of `clean`: `html` changed: its default → \"strip\"";
    assert!(plan.contains(said) && plan.contains("`clean`: `unicode` changed"), "{plan}");
    let reason = &reasons(&project, "tfidf")[0];
    assert_eq!((&reason["reason"], &reason["through"]), (&"input".into(), &"words".into()));
    assert_eq!(
        (&reason["roots"][0]["stage"], &reason["roots"][0]["why"]["reason"]),
        (&"clean".into(), &"param".into())
    );
}

#[test]
fn a_changed_seed_says_so_at_its_line() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    project.write("p.yaml", format!("seed: 7\n{}", words_pipeline("ngram_range: [1, 1]", "folds: 3")));
    let plan = why(&project);
    assert!(plan.contains("its seed changed (p.yaml:1:"), "{plan}");
    assert!(reasons(&project, "scores").iter().any(|reason| reason["reason"] == "seed"));
}

#[test]
fn another_kind_version_or_machine_says_what_it_was() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    let class = project.summary("runs/words")["numeric"]["libm"].as_str().unwrap().to_owned();
    // As if an older version, on another machine, had run it.
    let mut last = std::fs::read_to_string(memory(&project)).unwrap();
    for record in
        records(&project, "keys", "\"phase\":\"fit\"").iter().chain(&records(&project, "keys", "\"phase\":\"score\""))
    {
        let key = record.file_stem().unwrap().to_str().unwrap();
        let other = format!("ff{}", key.get(2..).unwrap());
        let text = std::fs::read_to_string(record).unwrap().replace(key, &other);
        let text = text.replace(&class, "vax-vms/00000000").replace("\"kind\":\"tfidf\"", "\"kind\":\"tfidf2\"");
        project
            .write(&format!("cache/v2/keys/ff/{other}.json"), sealed(&text.replace("\"version\":", "\"version\":9")));
        std::fs::remove_file(record).unwrap();
        last = last.replace(key, &other);
    }
    std::fs::write(memory(&project), sealed(&last)).unwrap();
    let plan = why(&project);
    assert!(plan.contains("its kind changed: `tfidf2` → `tfidf`"), "{plan}");
    assert!(plan.contains(&format!("numeric class `vax-vms/00000000` → `{class}`")), "{plan}");
    assert!(plan.contains("now gives other rows: version 9"), "{plan}");
}

#[test]
fn what_was_removed_or_damaged_says_so() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    for record in records(&project, "keys", "\"kind\":\"clean\"") {
        std::fs::remove_file(record).unwrap();
    }
    assert!(why(&project).contains("it ran before, but is no longer in the cache"));
    assert_eq!(reasons(&project, "clean")[0]["reason"], "removed");
    for record in records(&project, "keys", "\"kind\":\"ingest\"") {
        std::fs::write(record, "{").unwrap();
    }
    let plan = why(&project);
    assert!(plan.contains("damaged in the cache: "), "{plan}");
}

#[test]
fn what_is_known_no_longer_is_not_made_up() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    // Cleared up: the record that would say what the key was made from is gone.
    for record in records(&project, "keys", "\"kind\":\"tfidf\"") {
        std::fs::remove_file(record).unwrap();
    }
    project.write("p.yaml", words_pipeline("ngram_range: [1, 2]", "folds: 3"));
    let plan = why(&project);
    assert!(plan.contains("it ran before, but what it was made from then is no longer in the cache"), "{plan}");
    assert_eq!(reasons(&project, "tfidf")[0]["reason"], "forgotten");
    // What waits for it could be made from the same bytes, and is there.
    assert!(plan.contains("runs only if that gives other bytes than before"), "{plan}");
}

#[test]
fn what_is_forced_says_so() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    let dry = project.ok(["run", "p.yaml", "-n", "--force=clean"]).stdout;
    assert!(dry.contains("    forced\n"), "{dry}");
    assert!(dry.contains("if `clean` gives the same bytes as before"), "{dry}");
}

#[test]
fn variants_are_compared_with_themselves() {
    let project = project();
    let with = |values: &str| {
        let matrix = format!("matrix: {{ c: {{ set: model.estimator.linear_svc.c, values: {values} }} }}\n");
        project.write("p.yaml", words_pipeline("", "folds: 3") + &matrix);
    };
    with("[1, 10]");
    project.ok(["run", "p.yaml"]);
    // A new value never ran; the others are there.
    with("[1, 10, 100]");
    let plan = why(&project);
    assert!(plan.contains("never ran (") && !plan.contains("changed:"), "{plan}");
    // A run with `--set` is about other variants and leaves what is remembered of these.
    project.ok(["run", "p.yaml", "--set", "matrix.c=[3]", "--out", "set"]);
    with("[1, 10]");
    project.ok(["run", "p.yaml", "--set", "tfidf.min_df=2", "--out", "set"]);
    project.write(
        "p.yaml",
        words_pipeline("min_df: 3", "folds: 3")
            + "matrix: { c: { set: model.estimator.linear_svc.c, values: [1, 10] } }\n",
    );
    let plan = why(&project);
    assert!(plan.contains("`min_df` changed: 2 → 3"), "{plan}");
}

#[test]
fn a_failed_run_leaves_what_was_remembered() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    assert_eq!(project.run(["run", "p.yaml", "--set", "tfidf.min_df=1000"]).code, 3);
    project.write("p.yaml", words_pipeline("ngram_range: [1, 2]", "folds: 3"));
    let plan = why(&project);
    assert!(plan.contains("`ngram_range` changed: its default → [1,2]") && !plan.contains("1000"), "{plan}");
}
