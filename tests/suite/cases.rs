//! Do broken pipeline files get the message they should, and do sound ones load?
//!
//! `tests/cases/invalid/<what_is_wrong>.yaml` stands beside `.stderr`, the message as a person sees it; `BLESS=1` writes it
//! anew, for a look at the diff. Every file of `tests/cases/valid` must load.

use std::fs;
use std::path::{Path, PathBuf};

use fuseline::pipeline::Pipeline;
use fuseline::problem::{CODES, Style, render};
use fuseline::stages::STAGES;

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(kind);
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    assert!(files.len() > 3, "{} has hardly any cases", folder.display());
    files
}

/// What is said of a file, with the folder of the cases left out of its name.
fn said(file: &Path) -> Option<String> {
    let problems = Pipeline::load(file, &[], STAGES).err()?;
    let folder = format!("{}/", file.parent().unwrap().display());
    for problem in &problems.0 {
        assert!(CODES.iter().any(|code| code.code == problem.code), "`{}` has no page", problem.code);
    }
    Some(render(&problems, Style::Plain).replace(&folder, ""))
}

#[test]
fn invalid_pipelines_are_refused_as_recorded() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in cases("invalid") {
        let record = file.with_extension("stderr");
        let shown = said(&file).unwrap_or_else(|| panic!("{} loads", file.display()));
        if bless {
            fs::write(&record, &shown).unwrap();
        }
        let expected = fs::read_to_string(&record).unwrap_or_default();
        if shown != expected {
            wrong.push(format!("{}\n--- expected\n{expected}\n--- said\n{shown}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ; run with BLESS=1 if the new text is better\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_invalid_case_names_a_place() {
    for file in cases("invalid") {
        let problems = Pipeline::load(&file, &[], STAGES).unwrap_err();
        for problem in &problems.0 {
            assert!(problem.origin.is_some(), "{}: {}", file.display(), problem.message);
        }
    }
}

#[test]
fn valid_pipelines_load() {
    for file in cases("valid") {
        match Pipeline::load(&file, &[], STAGES) {
            Ok(pipeline) => assert!(!pipeline.variants.is_empty(), "{} has no variants", file.display()),
            Err(problems) => panic!("{} is refused:\n{}", file.display(), render(&problems, Style::Plain)),
        }
    }
}

#[test]
fn the_command_refuses_invalid_pipelines_with_2_and_never_panics() {
    let project = crate::support::Project::new();
    for file in cases("invalid") {
        let ran = project.run(["check", file.to_str().unwrap()]);
        assert_eq!(ran.code, 2, "{}: {}", file.display(), ran.stderr);
        assert!(ran.stderr.starts_with("error[") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}
