//! What can be wrong with a bundle, or with rows that are brought to it?

use std::path::{Path, PathBuf};

use crate::problem::Problem;
use crate::stage::StageError;
use crate::table::TableError;

/// Why a bundle cannot be written, read or asked.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder is no bundle.
    #[error("`{}` is no exported pipeline: {why}", .folder.display())]
    NotABundle {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        why: String,
    },
    /// There is something already where a bundle is to be written.
    #[error("`{}` is there already", .0.display())]
    Occupied(PathBuf),
    /// A file has not the bytes that were written.
    #[error("`{}` is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        why: String,
    },
    /// This program cannot answer as the one did that wrote it.
    #[error("`{stage}` was fitted with version {theirs} of `{kind}`, and this is Fuseline {} {ours}", env!("CARGO_PKG_VERSION"))]
    Version {
        /// The stage.
        stage: String,
        /// Its kind.
        kind: String,
        /// The version that was fitted.
        theirs: u32,
        /// What this program has.
        ours: String,
    },
    /// A stage looks at all rows together.
    #[error("`{stage}` looks at all rows together, so it cannot be applied to new ones")]
    Together {
        /// The stage.
        stage: String,
    },
    /// A stage cannot be built.
    #[error("`{stage}` cannot be built: {why}")]
    Build {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// A stage cannot answer.
    #[error("`{stage}` failed: {error}")]
    Stage {
        /// The stage.
        stage: String,
        /// Why.
        error: StageError,
    },
    /// A row cannot be read.
    #[error("{place}: {why}")]
    Row {
        /// Where it stands.
        place: String,
        /// What is wrong.
        why: String,
        /// What to do.
        help: Option<String>,
    },
    /// A class is asked for that the model does not know.
    #[error("there is no class `{class}`")]
    Class {
        /// The class.
        class: String,
        /// Those that there are.
        classes: Vec<String>,
    },
    /// A table cannot be made.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file that a stage reads cannot be had.
    #[error(transparent)]
    Fetch(#[from] crate::fetch::FetchError),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl BundleError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        BundleError::Io { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        BundleError::Damaged { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn stage(stage: &str, error: StageError) -> Self {
        match error {
            StageError::Interrupted => BundleError::Interrupted,
            error => BundleError::Stage { stage: stage.to_owned(), error },
        }
    }

    pub(super) fn row(place: impl Into<String>, why: impl Into<String>) -> Self {
        BundleError::Row { place: place.into(), why: why.into(), help: None }
    }

    pub(super) fn with_help(mut self, text: impl Into<String>) -> Self {
        if let BundleError::Row { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    /// What to tell of it.
    pub fn problem(&self) -> Problem {
        let code = match self {
            BundleError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "not-found",
            BundleError::Io { .. } | BundleError::Table(_) | BundleError::Fetch(_) => "io",
            BundleError::Occupied(_) | BundleError::Together { .. } | BundleError::Class { .. } => "usage",
            BundleError::NotABundle { .. } | BundleError::Version { .. } => "not-a-bundle",
            BundleError::Damaged { .. } => "damaged",
            BundleError::Build { .. } | BundleError::Stage { .. } => "stage-failed",
            BundleError::Row { .. } => "bad-row",
            BundleError::Interrupted => "interrupted",
        };
        let mut problem = Problem::error(code, self.to_string());
        match self {
            BundleError::NotABundle { .. } => {
                problem.help.push("`fuseline export FILE --out DIR` writes one".to_owned())
            }
            BundleError::Occupied(_) => {
                problem.help.push("name another folder, or replace it with `--force`".to_owned())
            }
            BundleError::Damaged { .. } | BundleError::Version { .. } => {
                problem.help.push("export it again".to_owned());
            }
            BundleError::Class { classes, .. } => {
                problem.help.push(format!("the classes are {}", classes.join(", ")));
            }
            BundleError::Row { help, .. } => problem.help.extend(help.clone()),
            BundleError::Stage { error: StageError::Failed(failure), .. } => {
                problem.causes.extend(failure.causes.clone());
                problem.help.extend(failure.help.clone());
            }
            _ => {}
        }
        problem
    }
}
