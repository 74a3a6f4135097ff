//! In which order do units run, and what becomes of each?
//!
//! One thread schedules; units run on a pool of the given size, which the stages' own parallel loops share. A unit whose
//! inputs are there gets its key; a key in the store is a hit and runs nothing. A failed unit stops what reads it and nothing
//! else. Stored bytes that turn out damaged when read are set aside by the store; the unit that made them runs again.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use petgraph::Direction;
use rayon::{Scope, ThreadPool};
use rustc_hash::{FxHashMap, FxHashSet};

use super::files::Gathered;
use super::perform::{Inputs, perform};
use super::{Event, Force, Listener, State};
use crate::pipeline::Pipeline;
use crate::plan::key::{Fields, Fingerprint};
use crate::plan::{Plan, Unit, UnitId};
use crate::problem::Problem;
use crate::record::Outcome;
use crate::stage::{Ctx, Failure, Files, Load, Made, Output, Part, Parts, Progress, StageError};
use crate::store::{Key, Lookup, Manifest, PartEntry, Published, Store};
use crate::table::Digest;

/// How often a unit may find an input damaged before it counts as failed.
const MOST_REPAIRS: u32 = 3;

/// How soon the scheduler notices that the run is to end.
const NOTICE: Duration = Duration::from_millis(100);

/// What units have come to, by [`Unit::ident`]: survives planning again once folds are known.
#[derive(Default)]
pub(super) struct States {
    states: FxHashMap<Digest, State>,
    fields: FxHashMap<Digest, (Key, Fields)>,
}

impl States {
    pub(super) fn of(&self, unit: &Unit) -> &State {
        self.states.get(&unit.ident).unwrap_or(&State::Pending)
    }

    pub(super) fn key_of(&self, unit: &Unit) -> Option<&(Key, Fields)> {
        self.fields.get(&unit.ident)
    }

    /// Forgets a unit's artifact, so that it is looked up, and if need be made, again.
    pub(super) fn forget(&mut self, unit: &Unit) {
        self.states.remove(&unit.ident);
    }
}

/// Everything a run of units needs.
pub(super) struct Executor<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) plan: &'a Plan,
    pub(super) store: &'a Arc<Store>,
    pub(super) files: &'a Gathered,
    pub(super) force: &'a Force,
    pub(super) pool: &'a ThreadPool,
    pub(super) listener: &'a dyn Listener,
    pub(super) cancelled: &'a AtomicBool,
}

/// A unit that has ended on the pool.
struct Ended {
    id: UnitId,
    key: Key,
    result: Result<Manifest, StageError>,
}

/// The scheduler's own books.
struct Books {
    needed: FxHashSet<UnitId>,
    waiting: FxHashSet<UnitId>,
    ready: BTreeSet<UnitId>,
    running: FxHashMap<Key, Vec<UnitId>>,
    repairs: FxHashMap<UnitId, u32>,
    told: FxHashSet<(String, String)>,
    /// Set once the store takes nothing more: what is running may end, nothing else begins.
    halted: bool,
}

impl Executor<'_> {
    /// Brings `units` (in order, with all they need) to an end.
    pub(super) fn execute(&self, units: &[UnitId], states: &mut States) {
        let mut books = self.open_books(units, states);
        self.pool.in_place_scope(|scope| {
            let (sender, receiver) = channel::<Ended>();
            let mut told = false;
            loop {
                while books.running.len() < self.pool.current_num_threads().max(1)
                    && let Some(id) = books.ready.pop_first()
                {
                    self.begin(id, &mut books, states, scope, &sender);
                }
                if books.running.is_empty() {
                    break;
                }
                match receiver.recv_timeout(NOTICE) {
                    Ok(ended) => self.end(ended, &mut books, states),
                    Err(RecvTimeoutError::Timeout) if !told && self.cancelled.load(Ordering::Relaxed) => {
                        told = true;
                        self.listener.event(&Event::Stopping);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        for &id in units {
            let unit = self.plan.unit(id);
            if matches!(states.of(unit), State::Pending) {
                self.settle(id, State::Skipped, states);
            }
        }
    }

    /// Opens the books on all units that have not come to an end yet; what failed in an earlier pass does not run again.
    fn open_books(&self, units: &[UnitId], states: &mut States) -> Books {
        let mut books = Books {
            needed: FxHashSet::default(),
            waiting: FxHashSet::default(),
            ready: BTreeSet::new(),
            running: FxHashMap::default(),
            repairs: FxHashMap::default(),
            told: FxHashSet::default(),
            halted: false,
        };
        for &id in units {
            let lost = |source| matches!(states.of(self.plan.unit(source)), State::Failed(_) | State::Skipped);
            match states.of(self.plan.unit(id)) {
                State::Pending if self.plan.graph.neighbors_directed(id, Direction::Incoming).any(lost) => {
                    self.settle(id, State::Skipped, states);
                }
                State::Pending => {
                    books.needed.insert(id);
                }
                _ => {}
            }
        }
        for &id in units.iter().filter(|id| matches!(states.of(self.plan.unit(**id)), State::Pending)) {
            self.enqueue(id, &mut books);
        }
        books
    }

    /// Ready if everything it reads is there, else waiting.
    fn enqueue(&self, id: UnitId, books: &mut Books) {
        if self.has_open_sources(id, books) {
            books.waiting.insert(id);
        } else {
            books.waiting.remove(&id);
            books.ready.insert(id);
        }
    }

    fn has_open_sources(&self, id: UnitId, books: &Books) -> bool {
        self.plan.graph.neighbors_directed(id, Direction::Incoming).any(|source| books.needed.contains(&source))
    }

    /// A unit whose inputs are there: a hit, or a start on the pool.
    fn begin<'s>(
        &'s self,
        id: UnitId,
        books: &mut Books,
        states: &mut States,
        scope: &Scope<'s>,
        sender: &Sender<Ended>,
    ) {
        let unit = self.plan.unit(id);
        if books.halted || self.cancelled.load(Ordering::Relaxed) {
            return self.done(id, State::Skipped, books, states);
        }
        // Something it reads may have been found damaged since it became ready.
        if self.has_open_sources(id, books) {
            books.waiting.insert(id);
            return;
        }
        let Some(work) = self.prepare(unit, states) else {
            let problem =
                Problem::error("stage-failed", format!("`{}` began before what it reads was there", unit.title()));
            let problem = problem.help("this is a bug in Fuseline: please report it");
            self.listener.event(&Event::Trouble { problem: &problem });
            return self.done(id, State::Failed(Box::new(problem)), books, states);
        };
        states.fields.insert(unit.ident, (work.key, work.fields.clone()));
        if let Some(others) = books.running.get_mut(&work.key) {
            others.push(id);
            return;
        }
        if !self.force.covers(unit) {
            match self.store.lookup(&work.key) {
                Lookup::Hit(manifest) => return self.done(id, State::Reused(Box::new(manifest)), books, states),
                Lookup::Damaged { what } => self.listener.event(&Event::Trouble {
                    problem: &Problem::warning("damaged", format!("{what}; `{}` runs again", unit.title())),
                }),
                Lookup::Absent => {}
            }
        }
        books.running.insert(work.key, Vec::new());
        self.listener.event(&Event::Started { id: id.index(), title: &unit.title() });
        let sender = sender.clone();
        scope.spawn(move |_| {
            let key = work.key;
            let result = catch_unwind(AssertUnwindSafe(|| self.make(id, unit, work))).unwrap_or_else(|panic| {
                let said = panic.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                Err(StageError::failed(format!("panicked: {said}")).help("this is a bug in Fuseline: please report it"))
            });
            // The scheduler outlives the scope's jobs; if it has gone, nobody waits for the answer.
            drop(sender.send(Ended { id, key, result }));
        });
    }

    fn end(&self, ended: Ended, books: &mut Books, states: &mut States) {
        let Ended { id, key, result } = ended;
        let twins = books.running.remove(&key).unwrap_or_default();
        match result {
            Ok(manifest) => {
                for twin in twins {
                    self.done(twin, State::Reused(Box::new(manifest.clone())), books, states);
                }
                self.done(id, State::Ran(Box::new(manifest)), books, states);
            }
            Err(StageError::Interrupted) => {
                for unit in std::iter::once(id).chain(twins) {
                    self.done(unit, State::Skipped, books, states);
                }
            }
            Err(StageError::Failed(failure)) if failure.damaged && self.repair(id, &failure, books, states) => {
                books.ready.extend(twins);
            }
            Err(StageError::Failed(failure)) => {
                let unit = self.plan.unit(id);
                let problem = self.problem(unit, &failure);
                books.halted |= failure.storage;
                // The other folds of a stage mostly fail for the same reason, which is told once.
                let about = failure.param.as_ref().map_or_else(|| failure.message.clone(), |param| param.join("."));
                if books.told.insert((unit.stage.clone(), about)) {
                    self.listener.event(&Event::Trouble { problem: &problem });
                }
                for unit in std::iter::once(id).chain(twins) {
                    self.done(unit, State::Failed(Box::new(problem.clone())), books, states);
                }
            }
        }
    }

    /// Some input's bytes were damaged: whatever made an input whose blobs are gone runs again, then this unit.
    fn repair(&self, id: UnitId, failure: &Failure, books: &mut Books, states: &mut States) -> bool {
        let tries = books.repairs.entry(id).or_default();
        *tries += 1;
        if *tries > MOST_REPAIRS {
            return false;
        }
        let title = self.plan.unit(id).title();
        let problem = Problem::warning("damaged", format!("{}; it is made again for `{title}`", failure.message));
        self.listener.event(&Event::Trouble { problem: &problem });
        let whole = |source: UnitId, states: &States| {
            states.of(self.plan.unit(source)).manifest().is_none_or(|manifest| self.store.verify(manifest))
        };
        // A blob may have been handed on, so every ancestor that names it must be made again.
        let mut again = self.plan.needed_for(&[id]);
        again.retain(|&source| source != id && !books.needed.contains(&source) && !whole(source, states));
        for &source in &again {
            states.forget(self.plan.unit(source));
            books.needed.insert(source);
        }
        again.iter().for_each(|&source| self.enqueue(source, books));
        self.enqueue(id, books);
        true
    }

    /// A unit has come to an end: whatever waits for it may be ready now.
    fn done(&self, id: UnitId, state: State, books: &mut Books, states: &mut States) {
        let there = state.manifest().is_some();
        self.settle(id, state, states);
        books.needed.remove(&id);
        let readers: Vec<UnitId> = self.plan.graph.neighbors_directed(id, Direction::Outgoing).collect();
        for reader in readers {
            if !books.waiting.contains(&reader) {
                continue;
            }
            if there {
                self.enqueue(reader, books);
            } else {
                books.waiting.remove(&reader);
                self.done(reader, State::Skipped, books, states);
            }
        }
    }

    fn settle(&self, id: UnitId, state: State, states: &mut States) {
        let unit = self.plan.unit(id);
        let (outcome, manifest) = match &state {
            State::Reused(manifest) => (Outcome::Reused, Some(manifest)),
            State::Ran(manifest) => (Outcome::Ran, Some(manifest)),
            State::Failed(_) => (Outcome::Failed, None),
            State::Pending | State::Skipped => (Outcome::Skipped, None),
        };
        self.listener.event(&Event::Finished {
            id: id.index(),
            title: &unit.title(),
            outcome,
            seconds: manifest.map_or(0.0, |m| m.seconds),
            rows: manifest.map_or(0, |m| m.rows),
            key: manifest.map(|m| &m.key),
        });
        states.states.insert(unit.ident, state);
    }

    /// A unit's key and inputs; `None` if an input is missing.
    fn prepare(&self, unit: &Unit, states: &States) -> Option<Prepared> {
        let of = |id: UnitId| states.of(self.plan.unit(id)).manifest();
        let files = self.files.of(unit)?;
        let fingerprint =
            Fingerprint::new(unit, |id| of(id).map(|m| m.parts.as_slice()), self.files.identities(unit)?)?;
        let load: Arc<dyn Load> = Arc::clone(self.store) as Arc<dyn Load>;
        let mut inputs = Inputs::default();
        let mut entries = Vec::new();
        for input in &unit.inputs {
            let mut parts = Parts::default();
            for entry in of(input.unit)?.parts.iter().filter(|part| input.reads.covers(&part.name)) {
                parts.insert(entry.name.clone(), Part::stored(entry.digest, Arc::clone(&load)));
                entries.push(entry.clone());
            }
            inputs.add(input, parts);
        }
        Some(Prepared { key: fingerprint.key(), fields: fingerprint.fields(), files, inputs, entries })
    }

    /// Runs a unit and publishes what it made.
    fn make(&self, id: UnitId, unit: &Unit, work: Prepared) -> Result<Manifest, StageError> {
        let started = Instant::now();
        let told = Told { id: id.index(), listener: self.listener };
        let ctx = Ctx { seed: unit.seed.unwrap_or_default(), cancelled: self.cancelled, progress: &told };
        ctx.check()?;
        let output = perform(unit, &work.inputs, &work.files, &ctx)?;
        let Output { parts, rows, facts, warnings } = output;
        let mut made = Vec::new();
        for (name, part) in parts {
            made.push(self.keep(name, part, &work.entries)?);
        }
        let rows = if rows > 0 { rows } else { made.first().map_or(0, |part| part.rows) };
        made.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = Manifest {
            format: crate::store::STORE_FORMAT,
            key: work.key,
            kind: unit.kind.name.to_owned(),
            version: unit.kind.version,
            phase: unit.phase.as_str().to_owned(),
            fields: work.fields,
            rows,
            parts: made,
            facts,
            warnings,
            seconds: started.elapsed().as_secs_f64(),
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(match self.store.publish(&manifest).map_err(StageError::from)? {
            Published::First | Published::Same(_) => manifest,
            Published::Differs { kept, .. } => *kept,
        })
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

    fn put(&self, name: String, table: &arrow::array::RecordBatch) -> Result<PartEntry, StageError> {
        let blob = self.store.put_table(table).map_err(StageError::from)?;
        self.store.hold(blob.digest, table);
        Ok(PartEntry { name, digest: blob.digest, rows: blob.rows, bytes: blob.bytes })
    }

    fn problem(&self, unit: &Unit, failure: &Failure) -> Problem {
        let doing = match unit.phase.as_str() {
            "fit" => " while fitting",
            "apply" => " while applying what it learned",
            "split" => " while dividing the rows",
            "score" => " while scoring",
            _ => "",
        };
        let fold = unit.fold.map_or_else(String::new, |(_, number)| format!(" in fold {}", number + 1));
        let param: Vec<&str> = failure.param.iter().flatten().map(String::as_str).collect();
        let mut problem = Problem::error("stage-failed", format!("`{}` failed{doing}{fold}", unit.stage))
            .because(failure.message.clone())
            .at(self.pipeline.origin(&unit.stage, &param));
        problem.causes.extend(failure.causes.iter().cloned());
        problem.help.extend(failure.help.iter().cloned());
        problem
    }
}

/// What a unit starts from.
struct Prepared {
    key: Key,
    fields: Fields,
    files: Files,
    inputs: Inputs,
    entries: Vec<PartEntry>,
}

struct Told<'a> {
    id: usize,
    listener: &'a dyn Listener,
}

impl Progress for Told<'_> {
    fn progress(&self, done: u64, total: u64, noun: &'static str) {
        self.listener.event(&Event::Progress { id: self.id, done, total, noun });
    }
}
