//! In which order do units run, and what becomes of each?
//!
//! One thread schedules. A unit whose inputs are there gets its key and the store is asked for it: a hit runs nothing. What
//! is missing goes to the lanes, the unit with the longest way ahead first, as many at once as there are lanes and as fit
//! into memory. A unit that another process is making waits aside. After a failure nothing new starts, unless the run keeps
//! going; then a failed unit stops what reads it and nothing else. Stored bytes that turn out damaged when read are set
//! aside by the store; the unit that made them runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use petgraph::Direction;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::books::Books;
use super::failure;
use super::files::Gathered;
use super::lanes::{Pool, Queue};
use super::limits::pause;
use super::make::{Ended, Got, Job, Prepared, Stop, Trouble};
use super::outlook::Outlook;
use super::perform::Inputs;
use super::states::States;
use super::tag::{Axis, varying};
use super::{End, Event, KeepGoing, Listener, Options, State, Tag};
use crate::machine::Machine;
use crate::pipeline::Pipeline;
use crate::plan::cost::{self, Cost, Known};
use crate::plan::key::Fingerprint;
use crate::plan::{Plan, Unit, UnitId};
use crate::problem::Problem;
use crate::stage::{Failure, Load, Part, Parts, StageError};
use crate::store::{Key, Lookup, Manifest, Store, Timing, Timings};

/// How often a unit may find an input damaged before it counts as failed.
const MOST_REPAIRS: u32 = 3;

/// How soon the scheduler notices that the run, or a unit, is to end.
const NOTICE: Duration = Duration::from_millis(100);

/// How soon a unit that another process is making is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(75);

/// How many units the store is asked for before lanes that became free are looked after.
const BATCH: usize = 256;

/// Memory that a unit is taken to need, for each byte that it reads and makes on disk: stored tables are compressed, and a
/// stage holds its input, what it makes of it, and its output.
const MEMORY_FACTOR: u64 = 4;

/// Memory that any unit is taken to need.
const MEMORY_BASE: u64 = 16 << 20;

/// Everything a run of units needs.
pub(super) struct Executor<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) plan: &'a Plan,
    pub(super) store: &'a Arc<Store>,
    pub(super) files: &'a Gathered,
    pub(super) machine: &'a Machine,
    pub(super) options: &'a Options,
    pub(super) history: &'a Timings,
    pub(super) pool: &'a Pool,
    pub(super) listener: &'a dyn Listener,
    pub(super) cancelled: &'a AtomicBool,
}

/// A run of units while it goes on.
struct Going<'e> {
    books: Books<'e>,
    states: &'e mut States,
    costs: Vec<Cost>,
    axes: &'e [Axis],
    /// The units on lanes.
    flights: FxHashMap<UnitId, Flight>,
    /// Units that wait for one on a lane, by its key.
    twins: FxHashMap<Key, Vec<UnitId>>,
    /// Memory taken to be needed by the units on lanes.
    memory: u64,
    repairs: FxHashMap<UnitId, u32>,
    /// Failures so far of units that are tried again.
    failures: FxHashMap<UnitId, (u32, Problem)>,
    told: FxHashSet<(String, String)>,
    waiting: FxHashSet<(UnitId, String)>,
    /// Set once nothing new may start: what is running may end.
    closing: bool,
    outlook: Outlook,
}

/// A unit on a lane.
struct Flight {
    stop: Arc<Stop>,
    memory: u64,
}

/// What the store said of a unit.
struct Asked {
    id: UnitId,
    key: Option<Key>,
    found: Lookup,
}

impl<'a> Executor<'a> {
    /// Brings `units` (in order, with all they need) to an end.
    pub(super) fn execute(&self, units: &[UnitId], states: &mut States) {
        states.number(self.plan);
        let axes = varying(self.pipeline);
        let pending = self.pending(units, states, &axes);
        let costs = cost::costs(self.plan, self.history, &|id| known(states.of(self.plan.unit(id)).manifest()));
        let open: FxHashSet<UnitId> = pending.iter().copied().collect();
        let lengths = cost::lengths(self.plan, &costs, &|id| open.contains(&id));
        let mut going = Going {
            books: Books::open(self.plan, &pending, lengths),
            closing: states.failed && self.options.keep_going == KeepGoing::No,
            states,
            costs,
            axes: &axes,
            flights: FxHashMap::default(),
            twins: FxHashMap::default(),
            memory: 0,
            repairs: FxHashMap::default(),
            failures: FxHashMap::default(),
            told: FxHashSet::default(),
            waiting: FxHashSet::default(),
            outlook: Outlook::new(),
        };
        let (sender, receiver) = channel::<Ended>();
        // The scheduler outlives the lanes' jobs; if it has gone, nobody waits for the answer.
        let work = move |job: Job<'_>, lane: usize| drop(sender.send(self.work(job, lane)));
        self.pool.open(work, |queue| self.schedule(&mut going, queue, &receiver));
        for id in pending.into_iter().filter(|id| going.states.is_pending(self.plan.unit(*id))).collect::<Vec<_>>() {
            let state = match going.failures.remove(&id) {
                // It was to be tried again, but nothing new starts any more.
                Some((_, problem)) => {
                    self.listener.event(&Event::Trouble { problem: &problem });
                    State::Failed(Box::new(problem))
                }
                None => State::Skipped,
            };
            self.settle(id, state, None, &mut going);
        }
    }

    /// The units that have not come to an end yet; what failed in an earlier pass does not run again.
    fn pending(&self, units: &[UnitId], states: &mut States, axes: &[Axis]) -> Vec<UnitId> {
        let mut pending = Vec::new();
        for &id in units.iter().filter(|id| states.is_pending(self.plan.unit(**id))).collect::<Vec<_>>() {
            let unit = self.plan.unit(id);
            let lost = |source| matches!(states.of(self.plan.unit(source)), State::Failed(_) | State::Skipped);
            if self.plan.graph.neighbors_directed(id, Direction::Incoming).any(lost) {
                states.settle(unit, State::Skipped);
                let tag = Tag::new(states.number_of(unit), unit, self.pipeline, axes);
                self.listener.event(&Event::Finished { unit: &tag, end: &End::skipped() });
            } else {
                pending.push(id);
            }
        }
        pending
    }

    fn schedule<'e>(&'e self, going: &mut Going<'e>, queue: &Queue<Job<'e>>, receiver: &Receiver<Ended>) {
        let mut told = false;
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                if !std::mem::replace(&mut told, true) {
                    self.listener.event(&Event::Stopping);
                }
                going.flights.values().for_each(|flight| flight.stop.ask());
            } else {
                self.ask(going);
                self.start(going, queue);
            }
            let at_work = !going.flights.is_empty();
            let any_aside = !told && !going.closing && going.books.next_recall().is_some();
            if !at_work && !any_aside && (told || !going.books.any_fresh()) {
                return;
            }
            if at_work {
                going.tell_outlook(self);
            }
            let soon = !told && going.books.any_fresh();
            match receiver.recv_timeout(if soon { Duration::ZERO } else { going.patience(self.pool.lanes()) }) {
                Ok(ended) => self.end(ended, going),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            going.stop_the_late();
            while let Ok(ended) = receiver.try_recv() {
                self.end(ended, going);
            }
        }
    }

    /// Asks the store for units whose inputs are there. While no lane is at work, all lanes ask.
    fn ask(&self, going: &mut Going<'_>) {
        loop {
            let batch = going.books.take_fresh(BATCH);
            let states = &*going.states;
            let one = |&id: &UnitId| self.look_up(id, states);
            let asked: Vec<Asked> = match going.flights.is_empty() && batch.len() > 8 {
                true => self.pool.install(|| batch.par_iter().map(one).collect()),
                false => batch.iter().map(one).collect(),
            };
            for asked in asked {
                self.answer(asked, going);
            }
            if batch.is_empty() || !going.flights.is_empty() || self.cancelled.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn look_up(&self, id: UnitId, states: &States) -> Asked {
        let unit = self.plan.unit(id);
        let key = self.fingerprint(unit, states).map(|fingerprint| fingerprint.key());
        let found = match key {
            Some(key) if !self.options.force.covers(unit) => self.store.lookup(&key),
            _ => Lookup::Absent,
        };
        Asked { id, key, found }
    }

    fn answer(&self, asked: Asked, going: &mut Going<'_>) {
        let Asked { id, key, found } = asked;
        let unit = self.plan.unit(id);
        let Some(key) = key else { return self.unready(id, going) };
        going.states.keep_key(unit, key);
        match found {
            Lookup::Hit(manifest) => return self.there(id, State::Reused(Arc::new(manifest)), None, going),
            Lookup::Damaged { what } => self.listener.event(&Event::Trouble {
                problem: &Problem::warning("damaged", format!("{what}; `{}` runs again", unit.title())),
            }),
            Lookup::Absent => {}
        }
        going.books.miss(id);
    }

    /// Hands units to free lanes.
    fn start<'e>(&'e self, going: &mut Going<'e>, queue: &Queue<Job<'e>>) {
        if going.closing {
            return;
        }
        going.books.recall(Instant::now());
        while going.flights.len() < self.pool.lanes() {
            let (used, none) = (going.memory, going.flights.is_empty());
            let (costs, states) = (&going.costs, &*going.states);
            let fits = |id| none || used + self.memory(id, costs, states) <= self.options.memory;
            let Some(id) = going.books.take_missing(fits) else { return };
            let unit = self.plan.unit(id);
            let Some(work) = self.prepare(unit, going.states) else {
                self.unready(id, going);
                continue;
            };
            if let Some(twins) = going.twins.get_mut(&work.key) {
                going.books.run(id);
                twins.push(id);
                continue;
            }
            let memory = self.memory(id, &going.costs, going.states);
            let limit = self.options.limits.timeout(&unit.stage).map(|timeout| timeout.after);
            let stop = Arc::new(Stop::new(limit));
            going.books.run(id);
            going.memory += memory;
            going.twins.insert(work.key, Vec::new());
            going.flights.insert(id, Flight { stop: Arc::clone(&stop), memory });
            let attempt = 1 + going.failures.get(&id).map_or(0, |(failures, _)| *failures);
            let tag = Tag::new(going.states.number_of(unit), unit, self.pipeline, going.axes);
            queue.push(Job { id, unit, tag, attempt, forced: self.options.force.covers(unit), work, stop });
        }
    }

    /// Memory that a unit is taken to need.
    fn memory(&self, id: UnitId, costs: &[Cost], states: &States) -> u64 {
        let unit = self.plan.unit(id);
        let read = unit.inputs.iter().filter_map(|input| Some((input, states.made(self.plan.unit(input.unit))?)));
        let read = read.flat_map(|(input, made)| made.parts.iter().filter(|part| input.reads.covers(&part.name)));
        let tables: u64 = read.map(|part| part.bytes).sum::<u64>() + costs[id.index()].bytes;
        let files = self.files.of(unit).map_or(0, |files| files.0.iter().flat_map(|(_, f)| f).map(|f| f.bytes).sum());
        MEMORY_BASE + tables.saturating_mul(MEMORY_FACTOR) + files
    }

    fn end(&self, ended: Ended, going: &mut Going<'_>) {
        let Ended { id, key, lane, seconds, result } = ended;
        let twins = going.twins.remove(&key).unwrap_or_default();
        if let Some(flight) = going.flights.remove(&id) {
            going.memory -= flight.memory;
        }
        let unit = self.plan.unit(id);
        match result {
            Ok(Got::Made { manifest, differs, remembered }) => {
                going.states.keep_remembered(unit, remembered);
                self.measure(id, seconds, &manifest, going);
                if !differs.is_empty() {
                    self.differs(unit, &differs, going);
                }
                let manifest = Arc::new(*manifest);
                for twin in twins {
                    self.there(twin, State::Reused(Arc::clone(&manifest)), None, going);
                }
                self.there(id, State::Ran(manifest), Some((lane, seconds)), going);
            }
            Ok(Got::Found(manifest)) => {
                let manifest = Arc::new(*manifest);
                for unit in std::iter::once(id).chain(twins) {
                    self.there(unit, State::Reused(Arc::clone(&manifest)), None, going);
                }
            }
            Ok(Got::Elsewhere { holder }) => {
                if going.waiting.insert((id, holder.clone())) {
                    let tag = Tag::new(going.states.number_of(unit), unit, self.pipeline, going.axes);
                    self.listener.event(&Event::Waiting { unit: &tag, holder: &holder });
                }
                let until = Instant::now() + ASK_AGAIN;
                std::iter::once(id).chain(twins).for_each(|unit| going.books.set_aside(unit, until));
            }
            Err(Trouble::Stage(StageError::Interrupted)) => {
                twins.into_iter().for_each(|twin| self.lost(twin, State::Skipped, None, going));
                self.lost(id, State::Skipped, Some((lane, seconds)), going);
            }
            Err(Trouble::Stage(StageError::Failed(failure))) if failure.damaged && self.repair(id, &failure, going) => {
                twins.into_iter().for_each(|twin| going.books.miss(twin));
            }
            Err(trouble) => self.failed(id, twins, trouble, (lane, seconds), going),
        }
    }

    /// A unit failed: it is tried again, or it and what reads it are lost.
    fn failed(&self, id: UnitId, twins: Vec<UnitId>, trouble: Trouble, on: (usize, f64), going: &mut Going<'_>) {
        let unit = self.plan.unit(id);
        let (failure, again) = match trouble {
            Trouble::Stage(StageError::Failed(failure)) => {
                let again = !failure.damaged && !failure.storage;
                (*failure, again)
            }
            Trouble::Stage(StageError::Interrupted) => (Failure::default(), false),
            Trouble::Late => (failure::late(&self.options.limits, unit), true),
            Trouble::Panic(said) => (failure::panicked(&said), false),
        };
        let problem = failure::problem(self.pipeline, unit, &failure);
        let failures = 1 + going.failures.get(&id).map_or(0, |(failures, _)| *failures);
        let stopping = going.closing || self.cancelled.load(Ordering::Relaxed);
        if again && !stopping && failures <= self.options.limits.retries(&unit.stage) {
            let (attempt, pause) = (failures + 1, pause(failures + 1));
            let tag = Tag::new(going.states.number_of(unit), unit, self.pipeline, going.axes);
            self.listener.event(&Event::Retrying { unit: &tag, seconds: on.1, attempt, pause, why: &problem });
            going.failures.insert(id, (failures, problem));
            for unit in std::iter::once(id).chain(twins) {
                going.books.set_aside(unit, Instant::now() + pause);
            }
            return;
        }
        going.failures.remove(&id);
        going.closing |= failure.storage || self.options.keep_going == KeepGoing::No;
        // The other folds of a stage mostly fail for the same reason, which is told once; a store that takes nothing more, once
        // whoever finds it so.
        let about = failure.param.as_ref().map_or_else(|| failure.message.clone(), |param| param.join("."));
        let whose = if failure.storage { String::new() } else { unit.stage.clone() };
        going.states.unwritable |= failure.storage;
        if going.told.insert((whose, about)) {
            self.listener.event(&Event::Trouble { problem: &problem });
        }
        self.lost(id, State::Failed(Box::new(problem.clone())), Some(on), going);
        for twin in twins {
            self.lost(twin, State::Failed(Box::new(problem.clone())), None, going);
        }
    }

    /// Some input's bytes were damaged: whatever made an input whose blobs are gone runs again, then this unit.
    fn repair(&self, id: UnitId, failure: &Failure, going: &mut Going<'_>) -> bool {
        let tries = going.repairs.entry(id).or_default();
        *tries += 1;
        if *tries > MOST_REPAIRS {
            return false;
        }
        let title = self.plan.unit(id).title();
        let problem = Problem::warning("damaged", format!("{}; it is made again for `{title}`", failure.message));
        self.listener.event(&Event::Trouble { problem: &problem });
        // A blob may have been handed on, so every ancestor that names it must be made again.
        let mut again = self.plan.needed_for(&[id]);
        again.retain(|&source| {
            let made = going.states.made(self.plan.unit(source));
            source != id && made.is_some_and(|manifest| !self.store.verify(manifest))
        });
        again.iter().for_each(|&source| going.states.forget(self.plan.unit(source)));
        going.books.again(&again, id);
        true
    }

    /// Equal work gave other bytes than what is stored.
    fn differs(&self, unit: &Unit, parts: &[String], going: &mut Going<'_>) {
        let parts: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
        let said = format!("`{}` gave other bytes than before in {}", unit.title(), parts.join(", "));
        let problem = Problem::warning("nondeterministic", said).help("what was stored first is used");
        self.listener.event(&Event::Trouble { problem: &problem });
        going.states.differing.push(unit.title());
    }

    /// Remembers what a unit took.
    fn measure(&self, id: UnitId, seconds: f64, manifest: &Manifest, going: &mut Going<'_>) {
        let unit = self.plan.unit(id);
        let bytes = manifest.parts.iter().map(|part| part.bytes).sum();
        let timing = Timing::once(seconds, bytes, cost::rows_in(unit, &going.costs), manifest.rows);
        cost::Classes::of(unit).count(&timing, &mut going.states.measured);
    }

    /// A unit's artifact is there.
    fn there(&self, id: UnitId, state: State, on: Option<(usize, f64)>, going: &mut Going<'_>) {
        if let Some(Known { seconds, bytes, rows }) = known(state.manifest()) {
            going.costs[id.index()] = Cost { seconds, bytes, rows, basis: cost::Basis::Measured };
        }
        self.settle(id, state, on, going);
        going.books.there(id);
    }

    /// A unit's artifact will not be there.
    fn lost(&self, id: UnitId, state: State, on: Option<(usize, f64)>, going: &mut Going<'_>) {
        self.settle(id, state, on, going);
        for reader in going.books.lost(id) {
            self.settle(reader, State::Skipped, None, going);
        }
    }

    /// Something that a unit reads is not there, although it was said to be.
    fn unready(&self, id: UnitId, going: &mut Going<'_>) {
        let title = self.plan.unit(id).title();
        let problem = Problem::error("stage-failed", format!("`{title}` began before what it reads was there"));
        let problem = problem.help("this is a bug in Fuseline: please report it");
        self.listener.event(&Event::Trouble { problem: &problem });
        self.lost(id, State::Failed(Box::new(problem)), None, going);
    }

    fn settle(&self, id: UnitId, state: State, on: Option<(usize, f64)>, going: &mut Going<'_>) {
        let unit = self.plan.unit(id);
        let manifest = state.manifest();
        let mut reads: Vec<usize> =
            unit.inputs.iter().map(|input| going.states.number_of(self.plan.unit(input.unit))).collect();
        reads.sort_unstable();
        reads.dedup();
        let end = End {
            outcome: state.outcome(),
            seconds: on.map_or(manifest.map_or(0.0, |m| m.seconds), |(_, seconds)| seconds),
            rows: manifest.map_or(0, |m| m.rows),
            bytes: manifest.map_or(0, |m| m.parts.iter().map(|part| part.bytes).sum()),
            key: going.states.key_of(unit),
            lane: on.map(|(lane, _)| lane),
            reads: &reads,
        };
        let tag = Tag::new(going.states.number_of(unit), unit, self.pipeline, going.axes);
        self.listener.event(&Event::Finished { unit: &tag, end: &end });
        going.states.settle(unit, state);
    }

    fn fingerprint(&self, unit: &'a Unit, states: &States) -> Option<Fingerprint<'a>> {
        let of = |id: UnitId| states.of(self.plan.unit(id)).manifest().map(|manifest| manifest.parts.as_slice());
        Fingerprint::new(unit, of, self.files.identities(unit)?, self.machine)
    }

    /// A unit's key and inputs; `None` if an input is missing.
    fn prepare(&self, unit: &Unit, states: &States) -> Option<Prepared> {
        let files = self.files.of(unit)?;
        let fingerprint = self.fingerprint(unit, states)?;
        let load: Arc<dyn Load> = Arc::clone(self.store) as Arc<dyn Load>;
        let mut inputs = Inputs::default();
        let mut entries = Vec::new();
        for input in &unit.inputs {
            let mut parts = Parts::default();
            let made = states.made(self.plan.unit(input.unit))?;
            for entry in made.parts.iter().filter(|part| input.reads.covers(&part.name)) {
                parts.insert(entry.name.clone(), Part::stored(entry.digest, Arc::clone(&load)));
                entries.push(entry.clone());
            }
            inputs.add(input, parts);
        }
        let (key, circumstances) = (fingerprint.key(), fingerprint.circumstances());
        Some(Prepared { key, circumstances, fields: fingerprint.fields(), files, inputs, entries })
    }
}

impl Going<'_> {
    /// How long to wait for a lane before looking around.
    fn patience(&self, lanes: usize) -> Duration {
        let running = self.flights.values().filter(|flight| !flight.stop.is_asked());
        let deadlines = running.filter_map(|flight| flight.stop.deadline());
        // What was set aside is of no interest while all lanes are at work.
        let recall = self.books.next_recall().filter(|_| self.flights.len() < lanes);
        let next = deadlines.chain(recall).min();
        let until = next.map_or(NOTICE, |next| next.saturating_duration_since(Instant::now()));
        until.clamp(Duration::from_millis(1), NOTICE)
    }

    /// Tells units that took longer than they may to end.
    fn stop_the_late(&self) {
        let now = Instant::now();
        let late = |flight: &&Flight| flight.stop.deadline().is_some_and(|deadline| deadline <= now);
        self.flights.values().filter(late).for_each(|flight| flight.stop.ask());
    }

    fn tell_outlook(&mut self, executor: &Executor<'_>) {
        let flights = &self.flights;
        let spent = |id| flights.get(&id).map_or(0.0, |flight| flight.stop.seconds());
        self.outlook.tell(executor, &self.books, &self.costs, &self.states.measured, &spent);
    }
}

/// What an artifact says of its unit's cost.
pub(super) fn known(manifest: Option<&Manifest>) -> Option<Known> {
    manifest.map(|manifest| Known {
        seconds: manifest.seconds,
        bytes: manifest.parts.iter().map(|part| part.bytes).sum(),
        rows: manifest.rows,
    })
}
