//! A project in a folder of its own, and the command run in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with files, a cache of its own, and the command.
pub(crate) struct Project {
    folder: TempDir,
    files_dir: Option<PathBuf>,
}

/// What a command printed, and how it ended.
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Project {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Project { folder: tempfile::tempdir().unwrap(), files_dir: None }
    }

    /// Fetched files go to a folder that all tests share, so that a model is fetched once.
    pub(crate) fn with_shared_files(mut self) -> Self {
        self.files_dir = Some(shared_files());
        self
    }

    /// Writes a file.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(name, text);
        self
    }

    /// Writes a file anew.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A path in the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, ready to be given arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuseline"));
        command.current_dir(self.folder.path()).env("FUSELINE_CACHE_DIR", self.path("cache"));
        command.env("XDG_CONFIG_HOME", self.path("config")).env("NO_COLOR", "1").env_remove("HF_HUB_OFFLINE");
        if let Some(files) = &self.files_dir {
            command.env("FUSELINE_FILES_DIR", files);
        }
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run<const N: usize>(&self, args: [&str; N]) -> Ran {
        Ran::from(self.command().args(args).output().unwrap())
    }

    /// Runs it, and fails the test if it fails.
    pub(crate) fn ok<const N: usize>(&self, args: [&str; N]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// A run folder's summary.
    pub(crate) fn summary(&self, folder: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(folder).join("summary.json")).unwrap()).unwrap()
    }

    /// A file's bytes.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Rows of CSV (id, text, label, fold, split): two classes told apart by words, with a word of its own in each fold.
pub(crate) fn snippets(rows: usize) -> String {
    let good = ["fine", "bright", "lovely", "moving", "clever"];
    let bad = ["dull", "grey", "awful", "tedious", "clumsy"];
    let mut csv = "id,text,label,fold,split\n".to_owned();
    for row in 0..rows {
        let (words, label) = if row % 2 == 0 { (good, "positive") } else { (bad, "negative") };
        let fold = row / 2 % 3;
        let (first, second) = (words[row / 2 % 5], words[(row / 2 * 3 + 1) % 5]);
        let split = if row % 5 == 4 { "test" } else { "train" };
        csv.push_str(&format!("r{row},a {first} and {second} film seen{fold} by many,{label},{fold},{split}\n"));
    }
    csv
}

/// A pipeline over `data.csv`: words alone, tf-idf, a linear SVM; no guesses beside it, unless `scores` asks for some.
pub(crate) fn words_pipeline(tfidf: &str, scores: &str) -> String {
    let scores = match scores.contains("baselines") {
        true => scores.to_owned(),
        false => format!("{scores}, baselines: []"),
    };
    format!(
        "name: words
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label, fold: fold, split: split }} }}
  clean: {{ use: clean, from: rows }}
  words: {{ use: tokenize, from: clean }}
  tfidf: {{ use: tfidf, from: words, with: {{ {tfidf} }} }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ linear_svc: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ {scores} }} }}
  report: {{ use: report, from: scores }}
"
    )
}

/// Says aloud that a test was skipped: straight to the stream, since what tests print through macros is shown for failed ones
/// alone.
pub(crate) fn skipped(why: &str) {
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

/// Real texts and reference numbers beside the checkout, where there are any.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no {name} beside the checkout"));
    None
}

/// The files of all-MiniLM-L6-v2, fetched through the product's own resolver; `None`, said aloud, where no place can be reached.
pub(crate) fn minilm() -> Option<fuseline::model::ModelFiles> {
    use fuseline::fetch::{FetchOptions, Fetcher, Silent, model};
    let fetcher = Fetcher::new(shared_files(), FetchOptions::default());
    let mut files = fuseline::model::ModelFiles::default();
    for (name, spec) in model("all-minilm-l6-v2", Path::new(".")).unwrap().files {
        let fetched = match fetcher.fetch(&spec, &Silent) {
            Ok(fetched) => fetched,
            Err(error) if error.is_offline() => {
                skipped(&format!("the model cannot be fetched here: {error}"));
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        if let Some(file) = fetched.first() {
            files.read(&name, file.open().unwrap()).unwrap();
        }
    }
    Some(files)
}

/// Where all tests keep what they fetch.
fn shared_files() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("files")
}
