//! What does a run folder hold? Read back whole, or refused with the reason.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::lock::Lock;
use crate::record::{MANIFEST_FORMAT, RunManifest, Summary};

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// As a person named it.
    pub name: String,
    /// The folder; `None` where a summary alone was named.
    pub folder: Option<PathBuf>,
    /// `summary.json`.
    pub summary: Summary,
    /// `manifest.json`.
    pub manifest: Option<RunManifest>,
    /// `pipeline.lock`.
    pub lock: Option<Lock>,
    /// `pipeline.yaml`, as text.
    pub pipeline: Option<String>,
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// There is nothing of that name.
    #[error("there is no `{}`", .0.display())]
    Missing(PathBuf),
    /// It is something else.
    #[error("`{}` is no run folder: it has no `summary.json`", .0.display())]
    Foreign(PathBuf),
    /// A file of it is damaged, or of another form.
    #[error("`{}` cannot be read: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It lacks a file that is needed.
    #[error("`{}` has no `{file}`", folder.display())]
    Lacks {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: &'static str,
    },
}

impl RunFolder {
    /// Reads a run folder, or a summary alone.
    pub fn read(path: &Path) -> Result<RunFolder, RunFolderError> {
        let name = path.display().to_string();
        if path.is_dir() {
            let summary =
                optional(&path.join("summary.json"))?.ok_or_else(|| RunFolderError::Foreign(path.to_owned()))?;
            let summary = parsed(&path.join("summary.json"), &summary)?;
            return Ok(RunFolder {
                name,
                folder: Some(path.to_owned()),
                summary,
                manifest: manifest(&path.join("manifest.json"))?,
                lock: lock(&path.join("pipeline.lock"))?,
                pipeline: optional(&path.join("pipeline.yaml"))?,
            });
        }
        let text = optional(path)?.ok_or_else(|| RunFolderError::Missing(path.to_owned()))?;
        let summary = parsed(path, &text)?;
        Ok(RunFolder { name, folder: None, summary, manifest: None, lock: None, pipeline: None })
    }

    /// The folder, with everything that repeating the run takes.
    pub fn whole(&self) -> Result<Whole<'_>, RunFolderError> {
        let folder = self.folder.as_deref().ok_or_else(|| RunFolderError::Foreign(PathBuf::from(&self.name)))?;
        let lacks = |file| RunFolderError::Lacks { folder: folder.to_owned(), file };
        Ok(Whole {
            folder,
            manifest: self.manifest.as_ref().ok_or_else(|| lacks("manifest.json"))?,
            lock: self.lock.as_ref().ok_or_else(|| lacks("pipeline.lock"))?,
            pipeline: self.pipeline.as_deref().ok_or_else(|| lacks("pipeline.yaml"))?,
        })
    }
}

/// The parts of a run folder that are not always there.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// What each unit made.
    pub manifest: &'a RunManifest,
    /// What the run read.
    pub lock: &'a Lock,
    /// The pipeline as it was run.
    pub pipeline: &'a str,
}

fn optional(path: &Path) -> Result<Option<String>, RunFolderError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RunFolderError::Damaged { path: path.to_owned(), why: error.to_string() }),
    }
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, RunFolderError> {
    serde_json::from_str(text)
        .map_err(|error| RunFolderError::Damaged { path: path.to_owned(), why: error.to_string() })
}

fn manifest(path: &Path) -> Result<Option<RunManifest>, RunFolderError> {
    let Some(text) = optional(path)? else { return Ok(None) };
    let manifest: RunManifest = parsed(path, &text)?;
    if manifest.format != MANIFEST_FORMAT {
        let why = format!("it is of form {}, and this version knows form {MANIFEST_FORMAT}", manifest.format);
        return Err(RunFolderError::Damaged { path: path.to_owned(), why });
    }
    Ok(Some(manifest))
}

fn lock(path: &Path) -> Result<Option<Lock>, RunFolderError> {
    match Lock::read(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(crate::lock::LockError::Missing(_)) => Ok(None),
        Err(crate::lock::LockError::Unreadable { path, why }) => Err(RunFolderError::Damaged { path, why }),
    }
}
