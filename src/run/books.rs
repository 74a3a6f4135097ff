//! Which units may start, and which first? The scheduler's books: pure, each step as long as what it touches.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use petgraph::Direction;

use crate::plan::cost::Micros;
use crate::plan::{Plan, UnitId};

/// How many units behind the first may be taken before it, because they fit into memory and it does not yet.
const LOOK_AHEAD: usize = 16;

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing is to be done for it: it has ended, or nobody asked for it.
    Out,
    /// Something that it reads has not ended.
    Waiting,
    /// What it reads is there; the store has not been asked for it.
    Fresh,
    /// It must run.
    Missing,
    /// It must run, but not before a moment: another process has it, or it failed and is tried again.
    Aside,
    /// It is on a lane, or waits for one that is and has the same key.
    Running,
}

/// The books on all units of a plan.
pub(super) struct Books<'a> {
    plan: &'a Plan,
    places: Vec<Place>,
    /// Of the units that each unit reads, how many are not out.
    open: Vec<usize>,
    fresh: VecDeque<UnitId>,
    missing: BinaryHeap<(Micros, Reverse<UnitId>)>,
    aside: Vec<(Instant, UnitId)>,
    /// Seconds from a unit's start to the end of all that follows from it.
    lengths: Vec<f64>,
}

impl<'a> Books<'a> {
    /// Opens the books on `units`; those with the longest way ahead go first, equal ones in the plan's order.
    pub(super) fn open(plan: &'a Plan, units: &[UnitId], lengths: Vec<f64>) -> Self {
        let all = plan.order.len();
        let mut books = Books {
            plan,
            places: vec![Place::Out; all],
            open: vec![0; all],
            fresh: VecDeque::new(),
            missing: BinaryHeap::new(),
            aside: Vec::new(),
            lengths,
        };
        units.iter().for_each(|id| books.places[id.index()] = Place::Waiting);
        for &id in units {
            books.open[id.index()] = books.count_open(id);
            books.free(id);
        }
        books
    }

    /// Where a unit stands.
    pub(super) fn place(&self, id: UnitId) -> Place {
        self.places[id.index()]
    }

    /// The next units to ask the store for, at most so many.
    pub(super) fn take_fresh(&mut self, most: usize) -> Vec<UnitId> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(id) = self.fresh.pop_front()
        {
            if self.place(id) == Place::Fresh {
                taken.push(id);
            }
        }
        taken
    }

    /// A unit must run.
    pub(super) fn miss(&mut self, id: UnitId) {
        if self.waits_again(id) {
            return;
        }
        self.places[id.index()] = Place::Missing;
        self.missing.push((Micros::of(self.lengths[id.index()]), Reverse(id)));
    }

    /// The unit to start next for which `fits` is true; the one with the longest way ahead if it fits.
    pub(super) fn take_missing(&mut self, mut fits: impl FnMut(UnitId) -> bool) -> Option<UnitId> {
        let mut passed = Vec::new();
        let mut found = None;
        while passed.len() <= LOOK_AHEAD
            && let Some(entry) = self.missing.pop()
        {
            let (_, Reverse(id)) = entry;
            if self.place(id) != Place::Missing {
                continue;
            }
            if fits(id) {
                found = Some(id);
                break;
            }
            passed.push(entry);
        }
        self.missing.extend(passed);
        found
    }

    /// A unit is on a lane.
    pub(super) fn run(&mut self, id: UnitId) {
        self.places[id.index()] = Place::Running;
    }

    /// A unit must run, but not before `until`.
    pub(super) fn set_aside(&mut self, id: UnitId, until: Instant) {
        if self.waits_again(id) {
            return;
        }
        self.places[id.index()] = Place::Aside;
        self.aside.push((until, id));
    }

    /// What was set aside and may run by `now` is missing again.
    pub(super) fn recall(&mut self, now: Instant) {
        let due: Vec<UnitId> = self.aside.iter().filter(|(until, _)| *until <= now).map(|(_, id)| *id).collect();
        self.aside.retain(|(until, _)| *until > now);
        for id in due.into_iter().filter(|id| self.place(*id) == Place::Aside).collect::<Vec<_>>() {
            self.miss(id);
        }
    }

    /// When the next unit that was set aside may run.
    pub(super) fn next_recall(&self) -> Option<Instant> {
        self.aside.iter().map(|(until, _)| *until).min()
    }

    /// True if a unit could start now, or could be asked for.
    pub(super) fn any_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// A unit's artifact is there: what waited for it alone is fresh.
    pub(super) fn there(&mut self, id: UnitId) {
        self.places[id.index()] = Place::Out;
        for reader in self.readers(id) {
            if self.place(reader) != Place::Out {
                self.open[reader.index()] -= 1;
                self.free(reader);
            }
        }
    }

    /// A unit's artifact will not be there: all that follows from it is out. Returns what follows, in order.
    pub(super) fn lost(&mut self, id: UnitId) -> Vec<UnitId> {
        let mut lost = Vec::new();
        let mut stack = vec![id];
        self.places[id.index()] = Place::Out;
        while let Some(next) = stack.pop() {
            for reader in self.readers(next) {
                if !matches!(self.place(reader), Place::Out | Place::Running) {
                    self.places[reader.index()] = Place::Out;
                    lost.push(reader);
                    stack.push(reader);
                }
            }
        }
        lost.sort_unstable();
        lost
    }

    /// Units that were out, in order, must be looked up or made again, and then `id`.
    pub(super) fn again(&mut self, sources: &[UnitId], id: UnitId) {
        self.places[id.index()] = Place::Waiting;
        for &source in sources {
            self.places[source.index()] = Place::Waiting;
            self.open[source.index()] = self.count_open(source);
            for reader in self.readers(source) {
                match self.place(reader) {
                    Place::Out => {}
                    Place::Running => self.open[reader.index()] += 1,
                    _ => {
                        self.open[reader.index()] += 1;
                        self.places[reader.index()] = Place::Waiting;
                    }
                }
            }
        }
        self.open[id.index()] = self.count_open(id);
        sources.iter().chain([&id]).for_each(|&unit| self.free(unit));
    }

    /// True if something that a unit reads has been opened again: then it waits for that.
    fn waits_again(&mut self, id: UnitId) -> bool {
        let waits = self.open[id.index()] > 0;
        if waits {
            self.places[id.index()] = Place::Waiting;
        }
        waits
    }

    /// Fresh if it waits for nothing more.
    fn free(&mut self, id: UnitId) {
        if self.place(id) == Place::Waiting && self.open[id.index()] == 0 {
            self.places[id.index()] = Place::Fresh;
            self.fresh.push_back(id);
        }
    }

    fn readers(&self, id: UnitId) -> Vec<UnitId> {
        self.plan.graph.neighbors_directed(id, Direction::Outgoing).collect()
    }

    fn count_open(&self, id: UnitId) -> usize {
        let sources = self.plan.graph.neighbors_directed(id, Direction::Incoming);
        sources.filter(|source| self.place(*source) != Place::Out).count()
    }
}
