//! How long did units take in earlier runs? A small record of averages; losing it costs only estimates.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::disk::{self, Existing, Lasting};
use super::seal::{seal, unseal};
use super::{STORE_FORMAT, Store, StoreError};

/// How many classes of units are remembered; those seen longest ago go first.
const MOST: usize = 2_000;

/// How many units an average may stand for: later ones weigh as much as if there had been this many.
const WEIGHT: f64 = 20.0;

/// What units of one class cost on average.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// How many units the average stands for.
    pub units: f64,
    /// Seconds a unit.
    pub seconds: f64,
    /// Bytes on disk a unit.
    pub bytes: f64,
    /// Rows of a unit's first input.
    pub rows_in: f64,
    /// Rows made.
    pub rows_out: f64,
    /// When a unit was last counted, in seconds since 1970.
    pub at: u64,
}

impl Timing {
    /// What one unit cost.
    pub fn once(seconds: f64, bytes: u64, rows_in: u64, rows_out: u64) -> Self {
        let (bytes, rows_in, rows_out) = (bytes as f64, rows_in as f64, rows_out as f64);
        Timing { units: 1.0, seconds, bytes, rows_in, rows_out, at: 0 }
    }

    /// The average of both.
    pub fn add(&mut self, other: &Timing) {
        let mine = self.units.min(WEIGHT);
        let all = mine + other.units;
        if all <= 0.0 {
            return;
        }
        let mean = |a: f64, b: f64| (a * mine + b * other.units) / all;
        *self = Timing {
            units: self.units + other.units,
            seconds: mean(self.seconds, other.seconds),
            bytes: mean(self.bytes, other.bytes),
            rows_in: mean(self.rows_in, other.rows_in),
            rows_out: mean(self.rows_out, other.rows_out),
            at: self.at.max(other.at),
        };
    }

    fn is_sound(&self) -> bool {
        [self.units, self.seconds, self.bytes, self.rows_in, self.rows_out].iter().all(|n| n.is_finite() && *n >= 0.0)
    }
}

/// Averages by class: `plan::cost` says what a class is.
pub type Timings = BTreeMap<String, Timing>;

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    classes: Timings,
}

impl Store {
    /// The averages of earlier runs; empty if there are none, or if they cannot be read.
    pub fn timings(&self) -> Timings {
        let record = fs::read(self.timings_path()).ok().and_then(|bytes| unseal::<Record>(&bytes).ok());
        let mut classes = record.filter(|record| record.format == STORE_FORMAT).map(|r| r.classes).unwrap_or_default();
        classes.retain(|_, timing| timing.is_sound());
        classes
    }

    /// Adds what a run measured to what is there by now.
    pub fn remember_timings(&self, measured: &Timings) -> Result<(), StoreError> {
        if measured.is_empty() {
            return Ok(());
        }
        let mut classes = self.timings();
        let now = disk::now().as_secs();
        for (class, timing) in measured.iter().filter(|(_, timing)| timing.is_sound()) {
            classes.entry(class.clone()).or_default().add(&Timing { at: now, ..*timing });
        }
        if classes.len() > MOST {
            let mut ages: Vec<u64> = classes.values().map(|timing| timing.at).collect();
            ages.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = ages[MOST - 1];
            classes.retain(|_, timing| timing.at >= oldest);
            while classes.len() > MOST {
                classes.pop_last();
            }
        }
        let record = Record { format: STORE_FORMAT, classes };
        let (tmp, sealed) = (self.folder().join("tmp"), seal(&record)?);
        disk::write(&tmp, &self.timings_path(), &sealed, Existing::Replace, Lasting::Passing).map(|_| ())
    }

    fn timings_path(&self) -> PathBuf {
        self.folder().join("timings.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_merged_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let one = |seconds| Timings::from([("a".to_owned(), Timing::once(seconds, 10, 100, 100))]);
        store.remember_timings(&one(1.0)).unwrap();
        store.remember_timings(&one(3.0)).unwrap();
        let timing = store.timings()["a"];
        assert_eq!((timing.units, timing.seconds, timing.bytes), (2.0, 2.0, 10.0));
        let whole = fs::read(store.timings_path()).unwrap();
        fs::write(store.timings_path(), &whole[..whole.len() / 2]).unwrap();
        assert!(store.timings().is_empty());
        store.remember_timings(&one(5.0)).unwrap();
        assert_eq!(store.timings()["a"].seconds, 5.0);
    }

    #[test]
    fn the_record_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let many: Timings =
            (0..MOST + 50).map(|class| (format!("class {class:05}"), Timing::once(1.0, 1, 1, 1))).collect();
        store.remember_timings(&many).unwrap();
        assert_eq!(store.timings().len(), MOST);
    }
}
