//! How does a plan become artifacts? Files are fetched, units scheduled, artifacts published, and the run recorded.
//!
//! The runner talks to nobody: it sends [`Event`]s, and whoever listens renders them. [`session`] is the way in;
//! [`executor`] schedules; [`perform`] is the one place where a stage meets its rows, in [`rows`] chunk by chunk; [`folder`] writes the run folder.

mod executor;
mod files;
mod folder;
mod perform;
mod rows;
mod session;
mod summary;

use crate::plan::why::Miss;
use crate::problem::Problem;
use crate::record::Outcome;
use crate::store::{Key, Manifest};

pub use folder::{ReportFiles, write_folder};
pub use session::{Done, Force, Look, Options, Session, Wanted};

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
    /// What is about to run. Comes again if the number of folds was in the data.
    Planned { units: usize },
    /// A unit begins.
    Started { id: usize, title: &'a str },
    /// A unit has come some way.
    Progress { id: usize, done: u64, total: u64, noun: &'static str },
    /// A unit ended.
    Finished { id: usize, title: &'a str, outcome: Outcome, seconds: f64, rows: u64, key: Option<&'a Key> },
    /// A unit failed, or something else went wrong that does not end the run.
    Trouble { problem: &'a Problem },
    /// The run is being stopped.
    Stopping,
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
    Reused(Box<Manifest>),
    /// It ran.
    Ran(Box<Manifest>),
    /// It failed.
    Failed(Box<Problem>),
    /// It could not run.
    Skipped,
}

impl State {
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
