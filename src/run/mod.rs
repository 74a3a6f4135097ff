//! How does a plan become artifacts? Files are fetched, units scheduled, artifacts published, and the run recorded.
//!
//! The runner talks to nobody: it sends [`Event`]s, and whoever listens renders them. [`session`] is the way in; [`look`] says
//! what would run; [`executor`] schedules by its [`books`], [`lanes`] run whole units, [`make`] is what a lane does with one,
//! [`perform`] the one place where a stage meets its rows, in [`rows`] chunk by chunk; [`folder`] writes the run folder, and in it the [`predictions`].

mod books;
mod contribution;
mod executor;
mod failure;
mod files;
mod folder;
mod importance;
mod lanes;
mod ledger;
mod limits;
mod lock;
mod look;
mod make;
mod outlook;
mod perform;
mod predictions;
mod rows;
mod session;
mod shuffle;
mod source;
mod states;
mod statistics;
mod summary;
mod tag;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::plan::why::Miss;
use crate::problem::Problem;
use crate::record::Outcome;
use crate::store::{Key, Manifest};

pub use folder::{RESOLVED, ReportFiles, is_run_file, write_folder};
pub use limits::{Limit, Limits, Timeout};
pub use lock::{Missing, Standing};
pub use look::Look;
pub use session::{Done, Force, KeepGoing, Options, Session, Wanted};
pub use statistics::groups_of;
pub use tag::Tag;

/// What happens during a run, told as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// A file is being fetched.
    Fetching { what: &'a str, bytes: Option<u64> },
    /// More of it has come.
    Fetched { what: &'a str, more: u64 },
    /// It is here.
    FetchDone { what: &'a str },
    /// A place could not give it; the next is tried.
    FetchElsewhere { place: &'a str, why: &'a str },
    /// What is about to run, on so many lanes. Comes again if the number of folds was in the data.
    Planned { units: usize, lanes: usize },
    /// How long the rest may take; `None` while nothing is known.
    Outlook { seconds: Option<f64> },
    /// A unit has begun on a lane, at that moment: its first try, or another.
    Started { unit: &'a Tag<'a>, lane: usize, at: Instant, attempt: u32, key: &'a Key },
    /// A unit has come some way.
    Progress { id: usize, done: u64, total: u64, noun: &'static str },
    /// A unit has worked through so much more of each, first of what its progress counts.
    Worked { id: usize, more: &'a [(u64, &'static str)] },
    /// Another process is making a unit: its artifact is waited for.
    Waiting { unit: &'a Tag<'a>, holder: &'a str },
    /// A unit failed after so many seconds and is tried again after a pause; `attempt` is the one to come.
    Retrying { unit: &'a Tag<'a>, seconds: f64, attempt: u32, pause: Duration, why: &'a Problem },
    /// A unit ended.
    Finished { unit: &'a Tag<'a>, end: &'a End<'a> },
    /// A unit failed, or something else went wrong that does not end the run.
    Trouble { problem: &'a Problem },
    /// The run is being stopped.
    Stopping,
}

/// How a unit ended.
#[derive(Debug)]
pub struct End<'a> {
    /// What became of it.
    pub outcome: Outcome,
    /// Seconds it took, or took when it was made.
    pub seconds: f64,
    /// Rows made.
    pub rows: u64,
    /// Bytes of its tables on disk.
    pub bytes: u64,
    /// Its identity, if it got as far.
    pub key: Option<&'a Key>,
    /// The lane that it ran on.
    pub lane: Option<usize>,
    /// Numbers of the units that it reads.
    pub reads: &'a [usize],
}

impl End<'_> {
    /// The end of a unit that could not run.
    fn skipped() -> Self {
        End { outcome: Outcome::Skipped, seconds: 0.0, rows: 0, bytes: 0, key: None, lane: None, reads: &[] }
    }
}

/// Hears events. Called from several threads.
pub trait Listener: Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Several listeners as one.
pub struct Listeners<'a>(pub Vec<&'a dyn Listener>);

impl Listener for Listeners<'_> {
    fn event(&self, event: &Event<'_>) {
        self.0.iter().for_each(|listener| listener.event(event));
    }
}

/// What has become of a unit.
#[derive(Debug, Clone)]
pub enum State {
    /// Nothing yet.
    Pending,
    /// Its artifact was in the store.
    Reused(Arc<Manifest>),
    /// It ran.
    Ran(Arc<Manifest>),
    /// It failed.
    Failed(Box<Problem>),
    /// It could not run.
    Skipped,
}

impl State {
    /// As a summary has it.
    pub fn outcome(&self) -> Outcome {
        match self {
            State::Reused(_) => Outcome::Reused,
            State::Ran(_) => Outcome::Ran,
            State::Failed(_) => Outcome::Failed,
            State::Pending | State::Skipped => Outcome::Skipped,
        }
    }

    /// The artifact, if there is one.
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            State::Reused(manifest) | State::Ran(manifest) => Some(manifest),
            _ => None,
        }
    }
}

/// Whether a unit must run, before anything does.
#[derive(Debug, Clone)]
pub enum Status {
    /// Its artifact is in the store.
    Hit(Box<Manifest>),
    /// It must run, for these reasons.
    Miss(Vec<Miss>),
}

/// How a run as a whole can fail; a unit's failure is not one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problem.message)]
pub struct RunError {
    /// What to tell.
    pub problem: Box<Problem>,
    /// What kind of failure it is.
    pub kind: RunErrorKind,
}

/// Kinds of failure of a whole run; `cli` maps them to exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunErrorKind {
    /// A file that the pipeline names is not there or cannot be read.
    Input,
    /// Offline, or a remote cannot be reached.
    Offline,
    /// Damaged data, or bytes other than the pinned ones.
    Integrity,
    /// The store or the run folder cannot be written.
    Storage,
    /// Stopped by the user.
    Interrupted,
}
