//! Which answers that decide the rest of a plan are known already?

use rustc_hash::FxHashMap;

use super::Unit;
use crate::stage::{CHOSEN, FoldId};
use crate::store::Manifest;
use crate::table::Digest;

/// Answers of units by their [`Unit::ident`].
#[derive(Debug, Clone, Default)]
pub struct Known {
    folds: FxHashMap<Digest, Vec<FoldId>>,
    choices: FxHashMap<Digest, usize>,
    assumes: bool,
}

impl Known {
    /// Knows nothing, and takes it that there is one fold, and that the first candidate was chosen.
    pub fn assumed() -> Known {
        Known { assumes: true, ..Known::default() }
    }

    /// Takes in what a unit made. False if that answers nothing, or was known.
    pub fn learn(&mut self, unit: &Unit, made: &Manifest) -> bool {
        if let Some(chosen) = made.facts.get(CHOSEN).and_then(serde_json::Value::as_u64) {
            return self.choices.insert(unit.ident, chosen as usize).is_none();
        }
        let mut folds: Vec<FoldId> = made.parts.iter().filter_map(|part| FoldId::of_part(&part.name)).collect();
        // Part names are in the order of their letters: fold 100 would stand before fold 11.
        folds.sort_unstable();
        self.folds.insert(unit.ident, folds).is_none()
    }

    /// The folds that a unit divides the rows into.
    pub(super) fn folds(&self, ident: &Digest) -> Option<Vec<FoldId>> {
        let assumed = || self.assumes.then(|| vec![FoldId { repeat: 0, fold: 0 }]);
        self.folds.get(ident).cloned().or_else(assumed)
    }

    /// The candidate that a unit chose.
    pub(super) fn choice(&self, ident: &Digest) -> Option<usize> {
        self.choices.get(ident).copied().or(self.assumes.then_some(0))
    }
}
