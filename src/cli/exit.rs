//! How does a command end? All exit codes, in one place.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All went well.
    Success = 0,
    /// What was looked for is not so: runs differ, under `diff --exit-code`, data is not as the pipeline expects, or a gate does not
    /// hold or has nothing comparable to be held against.
    Differs = 1,
    /// Usage, pipeline or settings wrong; nothing ran.
    Usage = 2,
    /// A stage failed.
    StageFailed = 3,
    /// Interrupted: what is finished is kept.
    Partial = 5,
    /// `--locked`, and something is not what the lock says, or there is none.
    Locked = 6,
    /// Damaged data, or other bytes than the pinned ones.
    Integrity = 7,
    /// Offline, or a remote cannot be reached.
    Offline = 8,
    /// More variants than the limit allows; nothing ran.
    Budget = 9,
    /// The rows are too few to tell whether a gate holds.
    Inconclusive = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
