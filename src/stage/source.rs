//! What must a stage say that reads files, so that its rows may come bit by bit and none is lost?
//!
//! A [`Source`] hands rows on as it reads them; how they are cut changes no bit of the artifact. In the end it gives account
//! of every row that its files hold: the runner counts what it was given itself, and the two must agree.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::{Conclusion, Ctx, Files, Stage, StageError};

/// Reads files; has no input.
pub trait Source: Stage {
    /// Reads the files (one list per [`super::FileNeed`], in order) and hands on their rows.
    fn read(&self, files: &Files, rows: &mut dyn Emit, ctx: &Ctx<'_>) -> Result<Account, StageError>;
}

/// Takes a source's tables as they grow.
pub trait Emit {
    /// Adds rows to a part, always with the same schema. In the end all parts have the same rows in the same order.
    fn emit(&mut self, part: &'static str, rows: RecordBatch) -> Result<(), StageError>;
}

/// What became of the rows that a source's files hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// Rows that the readers met.
    pub read: u64,
    /// Rows of these that were not handed on, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// What is to be kept and told.
    pub conclusion: Conclusion,
}

impl Account {
    /// An error unless every row that was read was handed on or left out for a reason.
    pub(crate) fn settle(&self, handed_on: u64) -> Result<(), StageError> {
        let left_out: u64 = self.left_out.values().sum();
        if self.read == handed_on + left_out {
            return Ok(());
        }
        let reasons = self.left_out.iter().map(|(why, rows)| format!(", {rows} {why}")).collect::<String>();
        let read = self.read;
        Err(StageError::failed(format!("{read} rows were read, but {handed_on} came out{reasons}: rows were lost"))
            .help("this is a bug in Fuseline; nothing was kept"))
    }
}

/// For tests of stages: all rows at once, as if they had come through the runner.
#[cfg(test)]
pub(crate) fn read_whole(source: &dyn Source, files: &Files, ctx: &Ctx<'_>) -> Result<super::Output, StageError> {
    #[derive(Default)]
    struct Gathered(Vec<(&'static str, Vec<RecordBatch>)>);
    impl Emit for Gathered {
        fn emit(&mut self, part: &'static str, rows: RecordBatch) -> Result<(), StageError> {
            match self.0.iter_mut().find(|(name, _)| *name == part) {
                Some((_, batches)) => batches.push(rows),
                None => self.0.push((part, vec![rows])),
            }
            Ok(())
        }
    }
    let mut gathered = Gathered::default();
    let account = source.read(files, &mut gathered, ctx)?;
    let mut output = super::Output::new();
    for (name, batches) in gathered.0 {
        let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| StageError::failed("no rows"))?;
        let table = arrow::compute::concat_batches(&schema, &batches).map_err(StageError::caused)?;
        output = output.table(name, table);
    }
    account.settle(output.rows)?;
    let Conclusion { facts, warnings } = account.conclusion;
    Ok(super::Output { facts, warnings, ..output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_vanish_are_told() {
        let account = Account { read: 5, left_out: [("skipped", 2)].into(), ..Account::default() };
        assert!(account.settle(3).is_ok());
        let error = account.settle(2).unwrap_err().to_string();
        assert_eq!(error, "5 rows were read, but 2 came out, 2 skipped: rows were lost");
    }
}
