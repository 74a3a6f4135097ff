//! Which decoded tables are at hand? Those that somebody still uses, and the last ones used up to a bound.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;

use crate::table::Digest;

/// So many tables are listed before those that nobody uses any more are struck off; later, twice as many as were left.
const DEAD: usize = 64;

/// Decoded tables by digest.
#[derive(Debug)]
pub(super) struct Decoded {
    most: usize,
    held: usize,
    clock: u64,
    tables: BTreeMap<Digest, Remembered>,
    /// The tables that are kept alive, by when they were last used: no two were at the same tick of the clock.
    kept: BTreeMap<u64, Digest>,
    /// When as many tables are listed, the dead are struck off.
    sweep_at: usize,
}

#[derive(Debug)]
struct Remembered {
    shared: Weak<RecordBatch>,
    /// Keeps the table alive though nobody uses it.
    kept: Option<Arc<RecordBatch>>,
    bytes: usize,
    used: u64,
}

impl Decoded {
    /// Holds at most `most` bytes of tables that nobody uses.
    pub(super) fn new(most: usize) -> Self {
        Decoded { most, held: 0, clock: 0, tables: BTreeMap::new(), kept: BTreeMap::new(), sweep_at: DEAD }
    }

    /// The table, if it is at hand.
    pub(super) fn find(&mut self, digest: &Digest) -> Option<Arc<RecordBatch>> {
        self.clock += 1;
        let table = self.tables.get_mut(digest)?;
        let before = std::mem::replace(&mut table.used, self.clock);
        if let Some(digest) = self.kept.remove(&before) {
            self.kept.insert(self.clock, digest);
        }
        table.shared.upgrade()
    }

    /// Keeps a table at hand.
    pub(super) fn keep(&mut self, digest: Digest, table: &Arc<RecordBatch>) {
        self.clock += 1;
        let bytes = table.get_array_memory_size();
        let kept = (bytes <= self.most).then(|| Arc::clone(table));
        if kept.is_some() {
            self.held += bytes;
            self.kept.insert(self.clock, digest);
        }
        let new = Remembered { shared: Arc::downgrade(table), kept, bytes, used: self.clock };
        if let Some(before) = self.tables.insert(digest, new)
            && self.kept.remove(&before.used).is_some()
        {
            self.held -= before.bytes;
        }
        while self.held > self.most && self.let_go() {}
        if self.tables.len() >= self.sweep_at {
            self.tables.retain(|_, table| table.shared.strong_count() > 0);
            self.sweep_at = self.tables.len() * 2 + DEAD;
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Decoded::new(self.most);
    }

    /// Lets go of the table that was used longest ago; false if none is held.
    fn let_go(&mut self) -> bool {
        let Some((_, digest)) = self.kept.pop_first() else { return false };
        let Some(oldest) = self.tables.get_mut(&digest) else { return false };
        oldest.kept = None;
        self.held -= oldest.bytes;
        if oldest.shared.strong_count() == 0 {
            self.tables.remove(&digest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, UInt32Array};

    use super::*;

    fn table(first: u32) -> (Digest, Arc<RecordBatch>) {
        let column: ArrayRef = Arc::new(UInt32Array::from_iter_values(first..first + 100));
        let table = RecordBatch::try_from_iter([("index", column)]).unwrap();
        (Digest::of(&first.to_le_bytes()), Arc::new(table))
    }

    #[test]
    fn the_table_used_longest_ago_goes_first() {
        let tables = [table(1), table(2), table(3)];
        let bytes = tables[0].1.get_array_memory_size();
        let mut decoded = Decoded::new(2 * bytes);
        let [a, b, c] = tables.map(|(digest, table)| {
            decoded.keep(digest, &table);
            if digest == Digest::of(&2u32.to_le_bytes()) {
                assert!(decoded.find(&Digest::of(&1u32.to_le_bytes())).is_some());
            }
            digest
        });
        assert_eq!([a, b, c].map(|digest| decoded.find(&digest).is_some()), [true, false, true]);
        assert_eq!((decoded.held, decoded.tables.len()), (2 * bytes, 2));
        decoded.clear();
        assert!(decoded.find(&a).is_none());
    }

    #[test]
    fn a_table_in_use_is_found_whatever_its_size() {
        let (digest, used) = table(1);
        let mut decoded = Decoded::new(0);
        decoded.keep(digest, &used);
        assert!(decoded.find(&digest).is_some_and(|found| Arc::ptr_eq(&found, &used)));
        drop(used);
        assert!(decoded.find(&digest).is_none());
        assert_eq!(decoded.held, 0);
    }

    #[test]
    fn tables_that_nobody_uses_are_not_listed_for_ever() {
        let mut decoded = Decoded::new(0);
        for first in 0..1_000 {
            let (digest, table) = table(first);
            decoded.keep(digest, &table);
        }
        assert!(decoded.tables.len() <= DEAD && decoded.kept.is_empty(), "{}", decoded.tables.len());
        // What is kept again under the same digest counts once.
        let (digest, again) = table(1);
        let bytes = again.get_array_memory_size();
        let mut decoded = Decoded::new(10 * bytes);
        (0..5).for_each(|_| decoded.keep(digest, &again));
        assert_eq!((decoded.held, decoded.kept.len(), decoded.tables.len()), (bytes, 1, 1));
    }
}
