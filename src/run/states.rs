//! What have units come to so far? By [`Unit::ident`]: survives planning again once folds are known.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::State;
use crate::plan::{Plan, Unit};
use crate::store::{Key, Manifest, Timings};
use crate::table::Digest;

/// What units have come to.
#[derive(Default)]
pub(super) struct States {
    states: FxHashMap<Digest, State>,
    keys: FxHashMap<Digest, Key>,
    numbers: FxHashMap<Digest, usize>,
    remembered: FxHashMap<Digest, u64>,
    /// What units of this run took.
    pub(super) measured: Timings,
    /// Titles of units that gave other bytes than the store had for the same key.
    pub(super) differing: Vec<String>,
    /// True once the store could not take what a unit made.
    pub(super) unwritable: bool,
    /// True once a unit has failed for good.
    pub(super) failed: bool,
}

impl States {
    pub(super) fn of(&self, unit: &Unit) -> &State {
        self.states.get(&unit.ident).unwrap_or(&State::Pending)
    }

    /// A unit's artifact, if it is there.
    pub(super) fn made(&self, unit: &Unit) -> Option<&Arc<Manifest>> {
        match self.of(unit) {
            State::Reused(manifest) | State::Ran(manifest) => Some(manifest),
            _ => None,
        }
    }

    pub(super) fn is_pending(&self, unit: &Unit) -> bool {
        matches!(self.of(unit), State::Pending)
    }

    pub(super) fn key_of(&self, unit: &Unit) -> Option<&Key> {
        self.keys.get(&unit.ident)
    }

    pub(super) fn settle(&mut self, unit: &Unit, state: State) {
        self.failed |= matches!(state, State::Failed(_));
        self.states.insert(unit.ident, state);
    }

    pub(super) fn keep_key(&mut self, unit: &Unit, key: Key) {
        self.keys.insert(unit.ident, key);
    }

    /// Keeps how many rows of a unit did not have to be mapped.
    pub(super) fn keep_remembered(&mut self, unit: &Unit, rows: u64) {
        self.remembered.insert(unit.ident, rows);
    }

    /// How many rows of a unit that ran did not have to be mapped.
    pub(super) fn remembered(&self, unit: &Unit) -> u64 {
        self.remembered.get(&unit.ident).copied().unwrap_or_default()
    }

    /// Forgets a unit's artifact, so that it is looked up, and if need be made, again.
    pub(super) fn forget(&mut self, unit: &Unit) {
        self.states.remove(&unit.ident);
    }

    /// Gives every unit of a plan a number; those that have one keep it.
    pub(super) fn number(&mut self, plan: &Plan) {
        for &id in &plan.order {
            let next = self.numbers.len();
            self.numbers.entry(plan.unit(id).ident).or_insert(next);
        }
    }

    /// A unit's number in the run.
    pub(super) fn number_of(&self, unit: &Unit) -> usize {
        self.numbers.get(&unit.ident).copied().unwrap_or(usize::MAX)
    }
}
