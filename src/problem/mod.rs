//! What went wrong, and where did it come from?
//!
//! One diagnostic type for everything that is known before data flows: a stable code, a message, the place that set the
//! offending value, notes and a fix. [`render`] is the only renderer.

mod codes;
mod render;
mod suggest;

use std::fmt;
use std::sync::Arc;

pub use codes::{CODES, Code};
pub use render::{Style, render, to_json, visible};
pub use suggest::suggest;

/// How grave a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing runs.
    Error,
    /// Worth a word; the run goes on.
    Warning,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A place in a file, with the line's own text for the snippet.
    File {
        /// The file's name as a person would type it.
        file: Arc<str>,
        /// 1-based.
        line: usize,
        /// 1-based, in characters.
        column: usize,
        /// How many characters to underline (at least 1).
        length: usize,
        /// The whole line, without its end.
        text: Arc<str>,
    },
    /// A whole file (missing, unreadable, empty).
    WholeFile {
        /// The file's name as a person would type it.
        file: Arc<str>,
    },
    /// A command-line flag; `overrides` is the place it took precedence over.
    Flag {
        /// The flag as typed: `--set model.c=-1`.
        text: Arc<str>,
        /// The value's place in a file, if a file sets it too.
        overrides: Option<Box<Origin>>,
    },
    /// An environment variable.
    Env {
        /// The variable's name.
        name: Arc<str>,
    },
}

/// One diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// A stable code that `fuseline explain CODE` knows; one of [`CODES`].
    pub code: &'static str,
    /// Lowercase, names in backticks, no full stop.
    pub message: String,
    /// The place that set the offending value.
    pub origin: Option<Origin>,
    /// What led to it, outermost first.
    pub causes: Vec<String>,
    /// Context.
    pub notes: Vec<String>,
    /// The fix.
    pub help: Vec<String>,
}

impl Problem {
    /// An error with a code and a message.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            origin: None,
            causes: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning with a code and a message.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(code, message) }
    }

    /// Names the place.
    #[must_use]
    pub fn at(mut self, origin: impl Into<Option<Origin>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Adds a `caused by:` line.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds a `= note:` line.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a `= help:` line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// Several problems at once; never empty when used as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// True if any is an error (warnings alone do not stop a run).
    pub fn any_error(&self) -> bool {
        self.0.iter().any(|p| p.severity == Severity::Error)
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self, Style::Plain))
    }
}

impl std::error::Error for Problems {}
