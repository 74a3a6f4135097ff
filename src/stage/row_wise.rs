//! What must a stage say that maps each row by itself, so that its rows may come in chunks, in any order, or from memory?
//!
//! A [`RowWise`] stage is opened once for a unit and then maps chunks of rows. What a row comes to may depend on nothing but
//! the row's own content, the parameters and the files; then the runner may cut, reorder and remember rows, and no bit of
//! the artifact changes. What is counted is counted for each row, so facts are the same wherever the rows came from.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::{Ctx, Files, Parts, Stage, StageError};

/// Maps each row by itself: may run on any rows in any order.
pub trait RowWise: Stage {
    /// Makes ready to map rows: reads what it needs of its files, once for a unit. Not called where every row is remembered.
    /// `device` is where transformers are computed, by name.
    fn open(&self, files: &Files, device: &str) -> Result<Box<dyn Mapper + '_>, StageError>;

    /// What is to be kept and told of a unit, from what was counted over all its rows.
    fn conclude(&self, totals: &Totals) -> Conclusion;

    /// A cheaper stage that reads the same rows and says what this one will do to them, and its canonical parameters: it gives the
    /// part `notes` (row_id, and a count for each row). It belongs to the stage's kind and version.
    fn survey(&self) -> Option<(Box<dyn RowWise>, Value)> {
        None
    }

    /// How many items of its input's lists are mapped at once, where what a row comes to grows with them (a vector for each token): a
    /// bound on memory. `None`: of all rows of a chunk.
    fn most_items(&self) -> Option<usize> {
        None
    }

    /// True if a row costs so much that it is worth remembering for other units, runs and pipelines.
    fn costly(&self) -> bool {
        false
    }
}

/// A row-wise stage at work.
pub trait Mapper: Send + Sync {
    /// Maps a chunk. Every table made has the chunk's rows, in order, beginning with `row_id`; a chunk may have no rows.
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError>;
}

/// What a chunk came to.
#[derive(Debug, Clone, Default)]
pub struct Mapped {
    /// The tables by part name: always the same parts with the same schemas.
    pub tables: Vec<(String, RecordBatch)>,
    /// What was counted, one number for each row of the chunk: always the same counts in the same order.
    pub counts: Vec<(&'static str, Vec<u64>)>,
}

impl Mapped {
    /// A table.
    pub fn table(name: impl Into<String>, table: RecordBatch) -> Self {
        Mapped { tables: vec![(name.into(), table)], counts: Vec::new() }
    }

    /// Adds a count of each row.
    #[must_use]
    pub fn count(mut self, name: &'static str, of_rows: Vec<u64>) -> Self {
        self.counts.push((name, of_rows));
        self
    }
}

/// What was counted over all rows of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows mapped.
    pub rows: u64,
    counts: BTreeMap<String, Count>,
}

/// One count over all rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// The sum.
    pub sum: u64,
    /// Rows that have any.
    pub rows: u64,
}

impl Totals {
    /// The count called `name`; nothing if there were no rows.
    pub fn of(&self, name: &str) -> Count {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Adds rows.
    pub(crate) fn add(&mut self, name: &str, of_rows: &[u64]) {
        if !self.counts.contains_key(name) {
            self.counts.insert(name.to_owned(), Count::default());
        }
        if let Some(count) = self.counts.get_mut(name) {
            count.sum += of_rows.iter().sum::<u64>();
            count.rows += of_rows.iter().filter(|&&value| value > 0).count() as u64;
        }
    }
}

/// What is to be kept and told of a unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conclusion {
    /// Counts and findings worth keeping with the artifact.
    pub facts: BTreeMap<String, Value>,
    /// What a person should be told.
    pub warnings: Vec<String>,
}

impl Conclusion {
    /// Keeps a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Keeps a warning.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}

/// For tests of stages: all rows in one chunk, as the runner would hand them on.
#[cfg(test)]
pub(crate) fn map_whole(stage: &dyn RowWise, rows: &Parts, ctx: &Ctx<'_>) -> Result<super::Output, StageError> {
    let Mapped { tables, counts } = stage.open(&Files::default(), "cpu")?.map(rows, ctx)?;
    let mut totals =
        Totals { rows: tables.first().map_or(0, |(_, table)| table.num_rows() as u64), ..Totals::default() };
    counts.iter().for_each(|(name, of_rows)| totals.add(name, of_rows));
    let Conclusion { facts, warnings } = stage.conclude(&totals);
    let output = tables.into_iter().fold(super::Output::new(), |output, (name, table)| output.table(name, table));
    Ok(super::Output { facts, warnings, ..output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_whatever_the_chunks() {
        let mut whole = Totals::default();
        whole.add("lost", &[0, 3, 0, 4]);
        let mut chunks = Totals::default();
        chunks.add("lost", &[0, 3]);
        chunks.add("lost", &[]);
        chunks.add("lost", &[0, 4]);
        assert_eq!(whole, chunks);
        assert_eq!((whole.of("lost"), whole.of("other")), (Count { sum: 7, rows: 2 }, Count::default()));
    }
}
