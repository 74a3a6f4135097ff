//! Does the house keep its rules? Who uses whom, what is generated, what is registered.

use std::fs;
use std::path::{Path, PathBuf};

use fuseline::cli::{schemas, stages_page};
use fuseline::stages::STAGES;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Rooms and the rooms they must not name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "ml",
        &[
            "table", "problem", "pipeline", "stage", "stages", "model", "fetch", "plan", "store", "run", "ui", "cli",
            "settings", "record",
        ],
    ),
    (
        "problem",
        &[
            "table", "ml", "pipeline", "stage", "stages", "model", "fetch", "plan", "store", "run", "ui", "cli",
            "settings", "record",
        ],
    ),
    (
        "table",
        &[
            "problem", "pipeline", "stage", "stages", "model", "fetch", "plan", "store", "run", "ui", "cli",
            "settings", "record",
        ],
    ),
    (
        "fetch",
        &[
            "pipeline", "stage", "stages", "model", "plan", "store", "run", "ui", "cli", "settings", "record", "table",
            "ml",
        ],
    ),
    ("model", &["pipeline", "stages", "plan", "store", "run", "ui", "cli", "settings", "record"]),
    ("stages", &["pipeline", "plan", "store", "run", "ui", "cli", "settings"]),
    ("pipeline", &["plan", "store", "run", "ui", "cli", "settings", "fetch", "model", "ml"]),
    ("compare", &["run", "ui", "cli", "settings", "stages", "pipeline", "fetch", "model", "ml"]),
    ("gate", &["run", "ui", "cli", "settings", "stages", "plan", "store", "fetch", "model", "compare", "emit"]),
    (
        "emit",
        &["run", "ui", "cli", "settings", "stages", "plan", "store", "fetch", "model", "ml", "pipeline", "compare"],
    ),
    ("plan", &["run", "ui", "cli", "settings"]),
    ("store", &["plan", "run", "ui", "cli", "settings", "pipeline"]),
    ("run", &["ui", "cli", "settings", "stages"]),
    ("bundle", &["pipeline", "plan", "store", "run", "ui", "cli", "settings"]),
    ("ui", &["plan", "store", "cli", "settings", "stages", "pipeline", "fetch"]),
];

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    rust_files(&Path::new(ROOT).join(folder), &mut paths);
    let is_test = |path: &Path| {
        path.strip_prefix(ROOT).unwrap().iter().any(|name| name == "tests")
            || path.to_string_lossy().ends_with("tests.rs")
    };
    paths.retain(|path| !is_test(path));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Lines of code, without comments and without the tests below.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let whole = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    whole.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, line)| (at + 1, line))
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut wrong = Vec::new();
    for (room, forbidden) in FORBIDDEN {
        for (path, text) in files(&format!("src/{room}")) {
            for (line, code) in code(&text) {
                for other in *forbidden {
                    if code.contains(&format!("crate::{other}::")) || code.contains(&format!("crate::{other};")) {
                        wrong.push(format!("{}:{line}: `{room}` must not use `{other}`", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn stages_do_not_use_each_other() {
    let mut wrong = Vec::new();
    for (path, text) in files("src/stages") {
        for (line, code) in code(&text) {
            if code.contains("crate::stages::") {
                wrong.push(format!("{}:{line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_cli_prints_exits_or_reads_the_environment() {
    let marks = ["println!", "eprintln!", "print!(", "process::exit", "std::env::", "stdout()", "stderr()"];
    let mut wrong = Vec::new();
    for (path, text) in files("src").into_iter().filter(|(path, _)| !path.starts_with(Path::new(ROOT).join("src/cli")))
    {
        for (line, code) in code(&text) {
            if marks.iter().any(|mark| code.contains(mark)) {
                wrong.push(format!("{}:{line}: {}", path.display(), code.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn training_rows_are_made_in_one_place() {
    let makers: Vec<PathBuf> = files("src")
        .into_iter()
        .filter(|(path, text)| {
            !path.ends_with("stage/parts.rs") && code(text).any(|(_, line)| line.contains("TrainRows::of_fold"))
        })
        .map(|(path, _)| path)
        .collect();
    assert_eq!(makers, [Path::new(ROOT).join("src/run/perform.rs")]);
}

#[test]
fn every_module_says_what_it_answers() {
    let silent: Vec<PathBuf> =
        files("src").into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn every_stage_file_is_registered() {
    let mut found: Vec<String> = fs::read_dir(Path::new(ROOT).join("src/stages"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        // the planner adds the ledger; no file names it. `analysis` is what two kinds may be told.
        .filter(|name| name != "mod" && name != "ledger" && name != "analysis")
        .collect();
    found.sort();
    // Stages over models are in the room of the learners, `classify` in that of `embed`.
    let shares_a_room = |name: &String| {
        ["train", "embed"].iter().any(|room| Path::new(ROOT).join(format!("src/stages/{room}/{name}.rs")).exists())
    };
    let mut registered: Vec<String> = STAGES.iter().map(|kind| kind.name.to_owned()).collect();
    registered.retain(|name| !shares_a_room(name));
    registered.sort();
    assert_eq!(found, registered);
}

#[test]
fn schemas_and_the_manual_are_current() {
    let hint = "run with BLESS=1 to write it anew";
    let mut generated: Vec<(PathBuf, String)> =
        schemas().into_iter().map(|(name, text)| (Path::new("schemas").join(name), text)).collect();
    generated.push((PathBuf::from("docs/stages.md"), stages_page()));
    for (name, text) in generated {
        let path = Path::new(ROOT).join(&name);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{} is stale: {hint}", name.display());
    }
}

#[test]
fn every_example_pipeline_loads() {
    let entries = fs::read_dir(Path::new(ROOT).join("pipelines")).unwrap().map(|entry| entry.unwrap().path());
    // Locks lie beside them.
    for path in entries.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")) {
        fuseline::pipeline::Pipeline::load(&path, &[], STAGES).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn every_kinds_example_loads_in_a_pipeline() {
    let before = |kind: &str| match kind {
        "ingest" => vec![],
        "clean" | "lexicon" | "encode" => vec!["ingest"],
        "tokenize" | "embed" => vec!["ingest", "clean"],
        "tfidf" => vec!["ingest", "clean", "tokenize"],
        "fuse" => vec!["ingest", "clean", "tokenize", "tfidf", "embed"],
        "scale" | "select" | "reduce" => vec!["ingest", "clean", "tokenize", "tfidf", "embed", "fuse"],
        "train" => vec!["ingest", "clean", "tokenize", "tfidf", "embed", "fuse"],
        "cross_validate" => vec!["ingest", "clean", "tokenize", "tfidf", "embed", "fuse", "train"],
        _ => vec!["ingest", "clean", "tokenize", "tfidf", "embed", "fuse", "train", "cross_validate"],
    };
    for kind in STAGES {
        let ids = before(kind.name).into_iter().chain([kind.name]);
        let nodes: String = ids
            .map(|id| format!("  {id}: {}\n", STAGES.iter().find(|other| other.name == id).unwrap().example))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("example.yaml");
        fs::write(&path, format!("name: example\nstages:\n{nodes}")).unwrap();
        fuseline::pipeline::Pipeline::load(&path, &[], STAGES).unwrap_or_else(|problems| panic!("{problems}"));
    }
}
