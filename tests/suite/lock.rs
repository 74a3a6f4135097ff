//! Does the lock hold a pipeline to what it was, and does a run say truly what it read?

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Project, Ran, snippets, words_pipeline};

fn project() -> Project {
    let project = Project::new().file("data.csv", snippets(60));
    project.file("p.yaml", words_pipeline("ngram_range: [1, 1]", "folds: 3"))
}

fn drifted(ran: &Ran, said: &str) {
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("error[lock-drift]") && ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn a_run_writes_the_lock_and_is_held_to_it() {
    let project = project();
    let none = project.run(["run", "p.yaml", "--locked"]);
    assert_eq!(none.code, 6);
    assert!(none.stderr.contains("error[lock-missing]") && !project.path("runs").exists(), "{}", none.stderr);
    project.ok(["run", "p.yaml"]);
    let lock = String::from_utf8(project.read("p.lock")).unwrap();
    assert!(lock.contains("data.csv: sha256:") && lock.contains("seed: 42") && lock.contains("  tfidf: 1"), "{lock}");
    assert_eq!(
        lock.replace("# ", ""),
        String::from_utf8(project.read("runs/words/pipeline.lock")).unwrap().replace("# ", "")
    );
    project.ok(["run", "p.yaml", "--locked"]);
    project.ok(["check", "p.yaml", "--locked"]);
    project.ok(["plan", "p.yaml", "--locked"]);
    project.ok(["fetch", "p.yaml", "--locked"]);
}

#[test]
fn other_data_drift_at_the_line_that_names_them_and_nothing_runs() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    let lock = project.read("p.lock");
    project.write("data.csv", snippets(62));
    for command in ["run", "plan", "fetch", "check"] {
        let ran = project.run([command, "p.yaml", "--locked"]);
        drifted(&ran, "`data.csv` changed: sha256 ");
        assert!(ran.stderr.contains("--> p.yaml:3:"), "{}", ran.stderr);
    }
    assert_eq!(project.read("p.lock"), lock);
    project.ok(["run", "p.yaml"]);
    assert_ne!(project.read("p.lock"), lock);
    project.ok(["run", "p.yaml", "--locked"]);
}

#[test]
fn seed_and_kinds_drift_but_parameters_do_not() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    let lock = project.read("p.lock");
    project.write("p.yaml", words_pipeline("ngram_range: [1, 2], min_df: 2", "folds: 4"));
    project.ok(["run", "p.yaml", "--locked"]);
    drifted(&project.run(["run", "p.yaml", "--locked", "--set", "seed=7"]), "the seed changed: 42 → 7");
    assert_eq!(project.read("p.lock"), lock);
    let older = String::from_utf8(lock).unwrap().replace("tfidf: 1", "tfidf: 0");
    project.write("p.lock", &older);
    drifted(&project.run(["run", "p.yaml", "--locked"]), "`tfidf` now gives other rows: version 0 → 1");
}

#[test]
fn what_is_set_from_outside_does_not_change_the_lock() {
    let project = project().file("other.csv", snippets(30));
    project.ok(["run", "p.yaml"]);
    let lock = project.read("p.lock");
    project.ok(["run", "p.yaml", "--set", "rows.source=other.csv", "--out", "other"]);
    assert_eq!(project.read("p.lock"), lock);
    drifted(
        &project.run(["run", "p.yaml", "--locked", "--set", "rows.source=other.csv"]),
        "`other.csv` is not in the lock",
    );
}

#[test]
fn another_machine_is_told_but_is_no_drift() {
    let project = project();
    project.ok(["run", "p.yaml"]);
    let class = project.summary("runs/words")["numeric"]["libm"].as_str().unwrap().to_owned();
    let lock = String::from_utf8(project.read("p.lock")).unwrap().replace(&class, "vax-vms/00000000");
    project.write("p.lock", &lock);
    let ran = project.ok(["run", "p.yaml", "--locked"]);
    assert!(ran.stderr.contains("warning[lock-drift]") && ran.stderr.contains("vax-vms"), "{}", ran.stderr);
    project.ok(["run", "p.yaml"]);
    assert_eq!(project.read("p.lock"), lock.as_bytes(), "a machine alone is no reason to write the lock anew");
}

#[test]
fn two_runs_on_one_machine_write_equal_locks() {
    let (one, two) = (project(), project());
    one.ok(["run", "p.yaml"]);
    two.ok(["run", "p.yaml", "--threads", "1"]);
    assert_eq!(one.read("p.lock"), two.read("p.lock"));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_and_nothing_is_kept() {
    let project = project();
    // Large enough that reading takes a while; another writer keeps appending all the time.
    project.write("data.csv", snippets(60_000));
    let stop = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut row = 1_000_000;
            while !stop.load(Ordering::Relaxed) {
                let mut file = std::fs::File::options().append(true).open(project.path("data.csv")).unwrap();
                writeln!(file, "r{row},a fine film,positive,0,train").unwrap();
                row += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ran = project.run(["show", "p.yaml", "rows"]);
        stop.store(true, Ordering::Relaxed);
        ran
    });
    assert_eq!(ran.code, 3, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("error[input-changed]"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("`data.csv` changed during the run") && ran.stderr.contains("--> p.yaml:3:"),
        "{}",
        ran.stderr
    );
    assert!(project.ok(["plan", "p.yaml"]).stdout.contains("0 cached"));
    project.ok(["show", "p.yaml", "rows", "--rows", "1"]);
}

#[test]
fn what_cannot_be_digested_is_an_error() {
    let project = project().file("folder.csv/x.csv", snippets(6));
    let folder = project.run(["run", "p.yaml", "--set", "rows.source=folder.csv"]);
    assert_eq!(folder.code, 2);
    assert!(folder.stderr.contains("it is a folder"), "{}", folder.stderr);
    if std::process::Command::new("mkfifo").arg(project.path("pipe.csv")).status().is_ok_and(|made| made.success()) {
        let pipe = project.run(["run", "p.yaml", "--set", "rows.source=pipe.csv"]);
        assert_eq!(pipe.code, 2);
        assert!(pipe.stderr.contains("neither a file nor a folder"), "{}", pipe.stderr);
    }
}

/// The keys of a run's units of a kind, from its summary.
fn keys_of(project: &Project, folder: &str, kind: &str) -> Vec<String> {
    let summary = project.summary(folder);
    let units = summary["units"].as_array().unwrap().iter().filter(|unit| unit["kind"] == kind);
    units.map(|unit| unit["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_repeat_with_other_bytes_breaks_a_locked_run() {
    use fuseline::store::{Key, Lookup, Store};

    let project = project();
    project.ok(["run", "p.yaml"]);
    project.write(
        "other.yaml",
        words_pipeline("ngram_range: [1, 1]", "folds: 3")
            .replace("from: clean }", "from: clean, with: { stop_words: [film] } }"),
    );
    project.ok(["run", "other.yaml", "--out", "other"]);
    let store = Store::open(&project.path("cache")).unwrap();
    let key_of = |folder: &str| -> Key {
        let [key] = keys_of(&project, folder, "tokenize").try_into().unwrap();
        serde_json::from_value(key.into()).unwrap()
    };
    let (ours, others) = (key_of("runs/words"), key_of("other"));
    let manifest = |key: &Key| match store.lookup(key) {
        Lookup::Hit(manifest) => manifest,
        other => panic!("{other:?}"),
    };
    // As a machine would leave it that does not compute as this one: under our key, other tokens.
    let fields = store.fields(&ours).unwrap();
    let foreign = fuseline::store::Manifest { parts: manifest(&others).parts, ..manifest(&ours) };
    let name = ours.to_string();
    std::fs::remove_file(store.folder().join("keys").join(name.get(..2).unwrap()).join(format!("{name}.json")))
        .unwrap();
    store.publish(&foreign, &fields).unwrap();
    project.ok(["run", "p.yaml", "--locked"]);
    let told = project.ok(["run", "p.yaml", "--force=words"]);
    assert!(told.stderr.contains("warning[nondeterministic]") && told.stderr.contains("`tokens`"), "{}", told.stderr);
    let held = project.run(["run", "p.yaml", "--force=words", "--locked"]);
    assert_eq!(held.code, 7, "{}", held.stderr);
    assert!(held.stderr.contains("[nondeterministic]"), "{}", held.stderr);
}
