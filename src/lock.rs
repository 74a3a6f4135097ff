//! What must stay as it is for a pipeline to give the same results again?
//!
//! `NAME.lock` lies beside `NAME.yaml` (several pipelines share a folder, so each has its own) and is meant for git. It has the
//! digest of every file that is read, as the pipeline names it, the semantic version of every kind, and the seed. `run`
//! and `fetch` write it; `--locked` refuses to go on where anything would change.
//!
//! | in the lock | counts as drift |
//! |---|---|
//! | `seed`, `kinds`, `files` | yes |
//! | `numeric` (the machine's classes), `fuseline` (the version) | no: told, but other machines and versions may well give the same |
//!
//! What does not count does not make the file be written anew either: it names the machine that last wrote something that does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The form of the file.
const FORMAT: u32 = 1;

const HEAD: &str = "# Written by `fuseline run` and `fuseline fetch`; commit it beside the pipeline. With `--locked` nothing runs unless all of\n# this still holds.\n";

/// A source that may be missing, and is.
const ABSENT: &str = "absent";

/// The contents of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The form of the file.
    pub lock: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's seed.
    pub seed: u64,
    /// The semantic version of each kind in use.
    pub kinds: BTreeMap<String, u32>,
    /// Each file by the source that names it: `sha256:…`, or `absent`.
    pub files: BTreeMap<String, String>,
    /// The classes of the machine, where bits depend on it.
    pub numeric: BTreeMap<String, String>,
    /// The version that wrote the lock.
    pub fuseline: String,
}

/// Why a lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is none.
    #[error("there is no `{}`", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("`{}` cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What is not as the lock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// The seed.
    Seed {
        /// In the lock.
        old: u64,
        /// Now.
        new: u64,
    },
    /// A kind's version; `None` where it is not in use.
    Kind {
        /// The kind.
        kind: String,
        /// In the lock.
        old: Option<u32>,
        /// Now.
        new: Option<u32>,
    },
    /// A file; `None` where nothing reads it.
    File {
        /// The source that names it.
        source: String,
        /// In the lock.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
}

/// How much of what a lock names must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of it: the whole pipeline is looked at.
    Whole,
    /// What is looked at: some variants, or files that happen to be here.
    Part,
}

impl Lock {
    /// A lock that names nothing yet.
    pub fn new(pipeline: &str, seed: u64) -> Self {
        Lock {
            lock: FORMAT,
            pipeline: pipeline.to_owned(),
            seed,
            kinds: BTreeMap::new(),
            files: BTreeMap::new(),
            numeric: BTreeMap::new(),
            fuseline: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Where the lock of a pipeline file is: `spam.lock` beside `spam.yaml`.
    pub fn path_of(pipeline: &Path) -> PathBuf {
        pipeline.with_extension("lock")
    }

    /// Adds a file by the digest of its bytes; one that may be missing and is, without.
    pub fn add_file(&mut self, source: &str, sha256: Option<&str>) {
        let known_by = sha256.map_or_else(|| ABSENT.to_owned(), |sha256| format!("sha256:{sha256}"));
        self.files.insert(source.to_owned(), known_by);
    }

    /// The sha256 of each file that is there, by source.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let digest = |(source, by): (&String, &String)| Some((source.clone(), by.strip_prefix("sha256:")?.to_owned()));
        self.files.iter().filter_map(digest).collect()
    }

    /// Reads a lock.
    pub fn read(path: &Path) -> Result<Lock, LockError> {
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LockError::Missing(path.to_owned()),
            _ => LockError::Unreadable { path: path.to_owned(), why: error.to_string() },
        })?;
        let lock: Lock = serde_yaml::from_str(&text)
            .map_err(|error| LockError::Unreadable { path: path.to_owned(), why: error.to_string() })?;
        match lock.lock {
            FORMAT => Ok(lock),
            other => {
                let why = format!("it is of form {other}, and this version knows form {FORMAT}");
                Err(LockError::Unreadable { path: path.to_owned(), why })
            }
        }
    }

    /// The file's text: the same for the same lock.
    pub fn text(&self) -> String {
        HEAD.to_owned() + &serde_yaml::to_string(self).unwrap_or_default()
    }

    /// Writes the lock, whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        crate::whole::write(path, self.text().as_bytes())
    }

    /// What of `self` is not so in `now`.
    pub fn drift(&self, now: &Lock, coverage: Coverage) -> Vec<Drift> {
        let mut all = Vec::new();
        if self.seed != now.seed {
            all.push(Drift::Seed { old: self.seed, new: now.seed });
        }
        for (kind, old, new) in both(&self.kinds, &now.kinds, coverage) {
            all.push(Drift::Kind { kind, old, new });
        }
        for (source, old, new) in both(&self.files, &now.files, coverage) {
            all.push(Drift::File { source, old, new });
        }
        all
    }
}

/// The entries that differ.
fn both<V: Clone + PartialEq>(
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    coverage: Coverage,
) -> Vec<(String, Option<V>, Option<V>)> {
    let mut names: Vec<&String> = new.keys().collect();
    if coverage == Coverage::Whole {
        names.extend(old.keys());
    }
    names.sort();
    names.dedup();
    let differ = |name: &&String| old.get(*name) != new.get(*name);
    let entry = |name: &String| (name.clone(), old.get(name).cloned(), new.get(name).cloned());
    names.into_iter().filter(differ).map(entry).collect()
}

impl Drift {
    /// In words: what it was, what it is.
    pub fn said(&self) -> String {
        let short = |by: &str| match by.strip_prefix("sha256:") {
            Some(hex) => format!("sha256 {}…", hex.chars().take(12).collect::<String>()),
            None => by.to_owned(),
        };
        match self {
            Drift::Seed { old, new } => format!("the seed changed: {old} → {new}"),
            Drift::Kind { kind, old: Some(old), new: Some(new) } => {
                format!("`{kind}` now gives other rows: version {old} → {new}")
            }
            Drift::Kind { kind, old: None, .. } => format!("`{kind}` is not in the lock"),
            Drift::Kind { kind, .. } => format!("`{kind}` is in the lock, but no stage is of that kind any more"),
            Drift::File { source, old: Some(old), new: Some(new) } => {
                format!("`{source}` changed: {} → {}", short(old), short(new))
            }
            Drift::File { source, old: None, .. } => format!("`{source}` is not in the lock"),
            Drift::File { source, .. } => format!("`{source}` is in the lock, but nothing reads it any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let mut lock = Lock::new("spam", 42);
        lock.kinds.insert("ingest".to_owned(), 1);
        lock.add_file("b.csv", Some(&"b".repeat(64)));
        lock.add_file("a.csv", Some(&"a".repeat(64)));
        lock.add_file("org/model/extra.json", None);
        lock
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = Lock::path_of(&folder.path().join("spam.yaml"));
        assert!(path.ends_with("spam.lock"));
        assert!(matches!(Lock::read(&path), Err(LockError::Missing(_))));
        lock().write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.find("a.csv").unwrap() < text.find("b.csv").unwrap(), "{text}");
        assert_eq!(lock().digests().len(), 2);
        fs::write(&path, text.replace("lock: 1", "lock: 9")).unwrap();
        assert!(Lock::read(&path).unwrap_err().to_string().contains("form 9"));
    }

    #[test]
    fn drift_is_what_decides_results_and_nothing_else() {
        let mut now = lock();
        now.fuseline = "9.9.9".to_owned();
        now.numeric.insert("libm".to_owned(), "x".to_owned());
        assert_eq!(lock().drift(&now, Coverage::Whole), []);
        now.seed = 7;
        now.kinds.insert("ingest".to_owned(), 2);
        now.add_file("a.csv", Some(&"c".repeat(64)));
        now.files.remove("b.csv");
        let said = |coverage| lock().drift(&now, coverage).iter().map(Drift::said).collect::<Vec<_>>();
        assert_eq!(
            said(Coverage::Whole),
            [
                "the seed changed: 42 → 7",
                "`ingest` now gives other rows: version 1 → 2",
                "`a.csv` changed: sha256 aaaaaaaaaaaa… → sha256 cccccccccccc…",
                "`b.csv` is in the lock, but nothing reads it any more",
            ]
        );
        assert_eq!(said(Coverage::Part).len(), 3);
    }
}
