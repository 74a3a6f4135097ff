//! Why can the store not do what it is asked?

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::table::TableError;

/// Why the store cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the quota is full.
    #[error("no room is left to write `{}`", path.display())]
    NoRoom {
        /// What was to be written.
        path: PathBuf,
    },
    /// The filesystem cannot be written.
    #[error("`{}` is on a filesystem that is read-only", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// The user may not do that.
    #[error("there is no permission to {doing} `{}`", path.display())]
    Denied {
        /// `read` or `write`.
        doing: &'static str,
        /// What was to be read or written.
        path: PathBuf,
    },
    /// A file is in the way.
    #[error("`{}` cannot be a folder: a file of that name, or above it, is in the way", path.display())]
    NotAFolder {
        /// What should be a folder.
        path: PathBuf,
    },
    /// Anything else that a filesystem says.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// `read`, `write` or `remove`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A damaged file cannot be moved out of the way.
    #[error("`{}` is damaged and cannot be replaced", path.display())]
    Stuck {
        /// The file.
        path: PathBuf,
    },
    /// Stored bytes are damaged or gone. They have been set aside: whatever made them must run again.
    #[error("{what}")]
    Damaged {
        /// What is damaged.
        what: String,
    },
    /// A record cannot be put in writing.
    #[error("a record cannot be written: {why}")]
    Record {
        /// What the writer said.
        why: String,
    },
    /// A table cannot be encoded or decoded.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl StoreError {
    /// What to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            StoreError::NoRoom { .. } => Some(
                "make room (`fuseline cache gc` removes what is no longer needed), or name another folder with `--cache-dir`",
            ),
            StoreError::ReadOnly { .. } | StoreError::Denied { .. } | StoreError::Stuck { .. } => {
                Some("name a folder that you may write to with `--cache-dir`")
            }
            StoreError::NotAFolder { .. } => Some("move the file away, or name another folder with `--cache-dir`"),
            _ => None,
        }
    }

    /// True if stored bytes are damaged or gone, so that making them again helps.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged { .. })
    }

    /// True if the store cannot be written at all, though it may be read.
    pub fn is_read_only(&self) -> bool {
        matches!(self, StoreError::ReadOnly { .. } | StoreError::Denied { doing: "write", .. })
    }

    pub(super) fn write(path: &Path, error: io::Error) -> Self {
        StoreError::of("write", path, error)
    }

    pub(super) fn read(path: &Path, error: io::Error) -> Self {
        StoreError::of("read", path, error)
    }

    pub(super) fn remove(path: &Path, error: io::Error) -> Self {
        StoreError::of("remove", path, error)
    }

    fn of(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoRoom { path },
            ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
            ErrorKind::PermissionDenied => StoreError::Denied { doing, path },
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => StoreError::NotAFolder { path },
            _ => StoreError::Io { doing, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_system_says_becomes_one_clear_message() {
        let said = |code| {
            let error = StoreError::write(Path::new("c/x"), io::Error::from_raw_os_error(code));
            (error.to_string(), error.help().map(|help| help.contains("--cache-dir")))
        };
        // ENOSPC, EDQUOT, EROFS, EACCES, EPERM, ENOTDIR, EIO
        assert_eq!(said(28), ("no room is left to write `c/x`".to_owned(), Some(true)));
        assert_eq!(said(122), said(28));
        assert_eq!(said(30), ("`c/x` is on a filesystem that is read-only".to_owned(), Some(true)));
        assert_eq!(said(13), ("there is no permission to write `c/x`".to_owned(), Some(true)));
        assert_eq!(said(1), said(13));
        assert!(said(20).0.starts_with("`c/x` cannot be a folder"));
        let (message, help) = said(5);
        assert!(message.starts_with("cannot write `c/x`: ") && help.is_none(), "{message}");
    }
}
