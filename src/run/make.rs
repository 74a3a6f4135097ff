//! What does a lane do with a unit? It asks for the right to make it, makes it, and publishes what it made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;

use super::executor::Executor;
use super::files::still_the_same;
use super::perform::{Inputs, perform};
use super::rows::{self, Pace, Streamed};
use super::source;
use super::{Event, Listener, Tag};
use crate::plan::{Unit, UnitId};
use crate::problem::Problem;
use crate::stage::{Ctx, Files, Made, Output, Progress, RowWise, StageError, Work};
use crate::store::{Claim, Fields, Key, Lookup, Manifest, PartEntry, Published, Recall, STORE_FORMAT};
use crate::table::Digest;

/// A unit on its way to a lane.
pub(super) struct Job<'a> {
    pub(super) id: UnitId,
    pub(super) unit: &'a Unit,
    pub(super) tag: Tag<'a>,
    /// From 1.
    pub(super) attempt: u32,
    pub(super) forced: bool,
    pub(super) work: Prepared,
    pub(super) stop: Arc<Stop>,
}

/// What a unit starts from.
pub(super) struct Prepared {
    pub(super) key: Key,
    pub(super) circumstances: Digest,
    pub(super) fields: Fields,
    pub(super) files: Files,
    pub(super) inputs: Inputs,
    pub(super) entries: Vec<PartEntry>,
}

/// How the scheduler tells a unit to end.
#[derive(Default)]
pub(super) struct Stop {
    /// Set when the unit is to end.
    asked: AtomicBool,
    /// How long it may take, if there is a limit.
    limit: Option<Duration>,
    began: OnceLock<Instant>,
}

impl Stop {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Stop { limit, ..Stop::default() }
    }

    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// When the unit will have taken longer than it may; `None` without a limit, or before it began.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(*self.began.get()? + self.limit?)
    }

    fn is_over(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn begin(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    /// Seconds on the lane so far.
    pub(super) fn seconds(&self) -> f64 {
        self.began.get().map_or(0.0, |began| began.elapsed().as_secs_f64())
    }
}

/// A unit that a lane is done with.
pub(super) struct Ended {
    pub(super) id: UnitId,
    pub(super) key: Key,
    pub(super) lane: usize,
    /// Seconds on the lane.
    pub(super) seconds: f64,
    pub(super) result: Result<Got, Trouble>,
}

/// What a lane has for a unit.
pub(super) enum Got {
    /// Its artifact, made now. If another was first and has other bytes, that one, and the parts that differ.
    /// `remembered` rows of it were known.
    Made { manifest: Box<Manifest>, differs: Vec<String>, remembered: u64 },
    /// Its artifact, which another process has just published.
    Found(Box<Manifest>),
    /// Another process is making it.
    Elsewhere { holder: String },
}

/// Why a lane has nothing.
pub(super) enum Trouble {
    /// The stage said so, or the store.
    Stage(StageError),
    /// It took longer than it may.
    Late,
    /// A bug.
    Panic(String),
}

impl From<StageError> for Trouble {
    fn from(error: StageError) -> Self {
        Trouble::Stage(error)
    }
}

impl Executor<'_> {
    /// Does a job on a lane; never panics.
    pub(super) fn work(&self, job: Job<'_>, lane: usize) -> Ended {
        let (id, key, stop) = (job.id, job.work.key, Arc::clone(&job.stop));
        let result = catch_unwind(AssertUnwindSafe(|| self.get(job, lane))).unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Trouble::Panic(said.to_owned()))
        });
        let result = match result {
            // A stage that was told to end says that it was interrupted, whatever the reason.
            Err(Trouble::Stage(StageError::Interrupted)) if stop.is_over() => Err(Trouble::Late),
            result => result,
        };
        Ended { id, key, lane, seconds: stop.seconds(), result }
    }

    fn get(&self, job: Job<'_>, lane: usize) -> Result<Got, Trouble> {
        let lease = match self.store.claim(&job.work.key).map_err(StageError::from)? {
            Claim::Mine(lease) => lease,
            Claim::Theirs(holder) => return Ok(Got::Elsewhere { holder: holder.to_string() }),
        };
        // Whoever had the lease before may just have published.
        if !job.forced
            && let Lookup::Hit(manifest) = self.store.lookup(&job.work.key)
        {
            return Ok(Got::Found(Box::new(manifest)));
        }
        let (at, attempt, key) = (job.stop.begin(), job.attempt, &job.work.key);
        self.listener.event(&Event::Started { unit: &job.tag, lane, at, attempt, key });
        let got = self.make(job);
        drop(lease);
        got
    }

    /// Runs a unit and publishes what it made.
    fn make(&self, job: Job<'_>) -> Result<Got, Trouble> {
        let Job { unit, tag, work, stop, .. } = &job;
        let told = Told { id: tag.id, listener: self.listener };
        let ctx = Ctx { seed: unit.seed.unwrap_or_default(), cancelled: &stop.asked, progress: &told };
        ctx.check()?;
        let done = match &*unit.work {
            Work::RowWise(stage) => self.stream(stage.as_ref(), &job, &ctx),
            Work::Source(stage) => source::read(stage.as_ref(), &work.files, self.store, &ctx),
            _ => self.whole(unit, work, &ctx),
        };
        // First of all: what a file that changed meanwhile led to, an error or a table, is about something else.
        still_the_same(unit, &work.files, self.cancelled)?;
        let done = done?;
        if stop.is_over() {
            return Err(Trouble::Late);
        }
        let Streamed { parts: mut made, rows, facts, warnings, remembered, checkpoint } = done;
        made.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = Manifest {
            format: STORE_FORMAT,
            key: work.key,
            kind: unit.kind.name.to_owned(),
            version: unit.kind.version,
            phase: unit.phase.as_str().to_owned(),
            rows,
            parts: made,
            facts,
            warnings,
            seconds: stop.seconds(),
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (manifest, differs) = match self.store.publish(&manifest, &work.fields).map_err(StageError::from)? {
            Published::First => (Box::new(manifest), Vec::new()),
            Published::Same(kept) => (kept, Vec::new()),
            Published::Differs { parts, kept } => (kept, parts),
        };
        if let Some(space) = checkpoint {
            // What stays is found by nobody, and goes with `cache gc`.
            drop(self.store.remove_rows(&space));
        }
        Ok(Got::Made { manifest, differs, remembered })
    }

    /// Runs a unit that needs its rows at once, and keeps the tables it makes.
    fn whole(&self, unit: &Unit, work: &Prepared, ctx: &Ctx<'_>) -> Result<Streamed, StageError> {
        let Output { parts, rows, facts, warnings } = perform(unit, &work.inputs, ctx)?;
        let mut made = Vec::new();
        for (name, part) in parts {
            made.push(self.keep(name, part, &work.entries)?);
        }
        let rows = if rows > 0 { rows } else { made.first().map_or(0, |part| part.rows) };
        Ok(Streamed { parts: made, rows, facts, warnings, remembered: 0, checkpoint: None })
    }

    /// Runs a unit whose rows stream through it.
    fn stream(&self, stage: &dyn RowWise, job: &Job<'_>, ctx: &Ctx<'_>) -> Result<Streamed, StageError> {
        let trouble = |what: &str| {
            let problem = Problem::warning("damaged", format!("{what}; `{}` computes them again", job.unit.title()));
            self.listener.event(&Event::Trouble { problem: &problem });
        };
        let unchanged = || still_the_same(job.unit, &job.work.files, self.cancelled);
        let rows = rows::Job {
            stage,
            input: job.work.inputs.only()?,
            files: &job.work.files,
            device: &self.options.device,
            store: self.store,
            circumstances: job.work.circumstances,
            unchanged: &unchanged,
            unit: job.work.key.digest(),
            trouble: &trouble,
            recall: if job.forced { Recall::Nothing } else { Recall::All },
            pace: Pace::default(),
        };
        rows::stream(&rows, ctx)
    }

    fn keep(&self, name: String, made: Made, inputs: &[PartEntry]) -> Result<PartEntry, StageError> {
        match made {
            Made::Same(part) if let Some(digest) = part.digest() => {
                let entry = inputs.iter().find(|entry| entry.digest == digest);
                let entry =
                    entry.ok_or_else(|| StageError::failed("a stage handed on a table that it was not given"))?;
                Ok(PartEntry { name, ..entry.clone() })
            }
            Made::Same(part) => self.put(name, &*part.table()?),
            Made::Table(table) => self.put(name, &table),
        }
    }

    fn put(&self, name: String, table: &RecordBatch) -> Result<PartEntry, StageError> {
        let blob = self.store.put_table(table).map_err(StageError::from)?;
        self.store.hold(blob.digest, table);
        Ok(PartEntry { name, digest: blob.digest, rows: blob.rows, bytes: blob.bytes })
    }
}

struct Told<'a> {
    id: usize,
    listener: &'a dyn Listener,
}

impl Progress for Told<'_> {
    fn progress(&self, done: u64, total: u64, noun: &'static str) {
        self.listener.event(&Event::Progress { id: self.id, done, total, noun });
    }

    fn worked(&self, more: &[(u64, &'static str)]) {
        self.listener.event(&Event::Worked { id: self.id, more });
    }
}
