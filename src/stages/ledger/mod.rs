//! What are the rows like? Two stages that no file names: the planner adds them for each frame of texts.
//!
//! The *profile* looks at each text once, row by row; the *ledger* counts over profiles, labels, splits and folds. What it
//! counts is the fact `ledger`, and the one cell of the part `ledger`, in the words of [`crate::record::Ledger`].

mod columns;
mod count;
mod profile;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Problems;
use crate::record::{Across, Example, FoldSides, Ledger, SplitSide};
use crate::stage::{
    Arity, Ctx, FoldId, Kind, Output, Part, Parts, Port, Refusal, Scope, Stage, StageError, StageKind, WholeTable, Work,
};

use columns::{Columns, Lookup};
use count::{Overlapping, overlap, side};

/// Rows of which examples are shown, for each finding.
const EXAMPLES: usize = 5;

/// Beyond so many classes their counts are left out in folds.
const CLASSES: usize = 1000;

/// Beyond so many splits the others are not looked at: each costs a walk over all rows, and they are no splits.
const SPLITS: usize = 100;

/// Beyond so many splits each is held against the first alone.
const PAIRED_SPLITS: usize = 8;

/// The kind of both stages. It is in no list: a pipeline file cannot name it.
pub static KIND: Kind = Kind::of::<Books>();

/// The stage that looks at each text.
pub fn profile() -> Work {
    Work::RowWise(Box::new(profile::Profile))
}

/// The stage that counts. Input 0 has the frame's parts, its profile and folds; each further input is the survey of a stage.
pub fn ledger() -> Work {
    Work::WholeTable(Box::new(Books))
}

/// The kind.
pub(super) struct Books;

/// Nothing can be chosen.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Params {}

impl StageKind for Books {
    const KIND: &'static str = "ledger";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "counts what the rows are like; in every run";
    const EXAMPLE: &'static str = "{ use: ledger, from: ingest }";
    type Params = Params;

    fn build(_: Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(ledger())
    }
}

impl Stage for Books {
    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn port(&self, _: &[Port]) -> Result<Port, Refusal> {
        Ok(Port::Report)
    }

    fn reads(&self, input: usize) -> &'static [&'static str] {
        if input == 0 { &["text", "target", "notes", "profile", "near", "fold."] } else { &["notes"] }
    }
}

impl WholeTable for Books {
    fn run(&self, inputs: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let Some((rows, surveys)) = inputs.split_first() else {
            return Err(StageError::failed("the ledger has no rows"));
        };
        let columns = Columns::read(rows, surveys, ctx)?;
        let mut work = Counting { columns: &columns, examples: BTreeMap::new() };
        let all = vec![true; columns.rows()];
        let mut ledger = Ledger { classes: columns.classes.clone(), whole: side(&columns, &all), ..Ledger::default() };
        if columns.splits.is_empty() {
            work.conflicts("conflict", &all);
        }
        work.splits(&mut ledger, ctx)?;
        for (number, (id, part)) in folds(rows).into_iter().enumerate() {
            ctx.check()?;
            let (train, test) = columns.fold(id, part)?;
            let across = overlap(&columns, &train, &test);
            if number == 0 {
                work.keep("folds", &across);
            }
            let [train, test] = [train, test].map(|rows| {
                let mut side = side(&columns, &rows);
                if side.classes.len() > CLASSES {
                    side.classes.clear();
                }
                side
            });
            ledger.folds.push(FoldSides { fold: number as u32, train, test, across: across.overlap });
        }
        ledger.examples = looked_up(rows, work.examples, &columns)?;
        let facts = serde_json::to_value(&ledger).map_err(StageError::caused)?;
        // A table as well: it is what a repeated run is held against.
        let table = StringArray::from_iter_values([facts.to_string()]);
        let table =
            RecordBatch::try_from_iter([("ledger", Arc::new(table) as ArrayRef)]).map_err(StageError::caused)?;
        Ok(Output::new().table("ledger", table).rows(columns.rows()).fact("ledger", facts))
    }
}

/// Pairs of rows to show: a row and the one that it is like.
type Shown = Vec<(u32, u32)>;

struct Counting<'a> {
    columns: &'a Columns,
    examples: BTreeMap<String, Shown>,
}

impl Counting<'_> {
    /// Each split by itself, and against those before it.
    fn splits(&mut self, ledger: &mut Ledger, ctx: &Ctx<'_>) -> Result<(), StageError> {
        let columns = self.columns;
        let looked_at = columns.splits.len().min(SPLITS);
        ledger.splits_left_out = (columns.splits.len() - looked_at) as u64;
        let masks: Vec<Vec<bool>> =
            (0..looked_at).map(|split| columns.split.iter().map(|of| *of == split as u32).collect()).collect();
        for (split, mask) in columns.splits.iter().zip(&masks) {
            ledger.splits.push(SplitSide { split: split.clone(), side: side(columns, mask) });
            self.conflicts(&format!("conflict/{split}"), mask);
        }
        for there in 0..masks.len() {
            for here in there + 1..masks.len() {
                if there > 0 && masks.len() > PAIRED_SPLITS {
                    continue;
                }
                ctx.check()?;
                let (rows_of, stand_in) = (columns.splits[here].clone(), columns.splits[there].clone());
                let found = overlap(columns, &masks[there], &masks[here]);
                self.keep(&format!("{stand_in}/{rows_of}"), &found);
                let rows = masks[here].iter().filter(|of| **of).count() as u64;
                ledger.across_splits.push(Across { rows_of, rows, stand_in, overlap: found.overlap });
            }
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, found: &Overlapping) {
        if !found.shown.is_empty() {
            self.examples.insert(name.to_owned(), found.shown.clone());
        }
    }

    /// Rows whose text carries another label elsewhere.
    fn conflicts(&mut self, name: &str, keep: &[bool]) {
        let shown = count::conflicting(self.columns, keep);
        if !shown.is_empty() {
            self.examples.insert(name.to_owned(), shown);
        }
    }
}

/// The rows to show with their ids, labels and texts.
fn looked_up(
    rows: &Parts,
    shown: BTreeMap<String, Shown>,
    columns: &Columns,
) -> Result<BTreeMap<String, Vec<Example>>, StageError> {
    let mut wanted: Vec<u32> = shown.values().flatten().flat_map(|(row, other)| [*row, *other]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let found = Lookup::of(rows, &wanted)?;
    let example = |(row, other): (u32, u32)| Example {
        row_id: found.id(row),
        label: columns.label_of(row),
        other: found.id(other),
        other_label: columns.label_of(other),
        text: found.text(row),
    };
    Ok(shown.into_iter().map(|(name, pairs)| (name, pairs.into_iter().map(example).collect())).collect())
}

/// The folds among the parts, in order.
fn folds(rows: &Parts) -> Vec<(FoldId, &Part)> {
    let named = rows.with_prefix("fold.");
    let mut folds: Vec<_> = named.filter_map(|(name, part)| Some((FoldId::of_part(name)?, part))).collect();
    folds.sort_unstable_by_key(|(id, _)| *id);
    folds
}

#[cfg(test)]
mod tests;
