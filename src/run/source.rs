//! How do a source's rows get into the store? As they come, written by a thread of their own, and counted.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::RecordBatch;

use super::rows::Streamed;
use crate::stage::{Account, Conclusion, Ctx, Emit, Files, Source, StageError};
use crate::store::{PartEntry, Store, TableWriter};

/// Tables that may wait to be written.
const WAITING: usize = 4;

/// Runs a source.
pub(super) fn read(source: &dyn Source, files: &Files, store: &Store, ctx: &Ctx<'_>) -> Result<Streamed, StageError> {
    let (give, take) = sync_channel(WAITING);
    let (account, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || write(&take, store));
        let account = source.read(files, &mut Given(give), ctx);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (account, written)
    });
    // Where the writing failed, the reading failed because of it.
    let parts = written?;
    let account = account?;
    let rows = parts.first().map_or(0, |(_, table)| table.rows());
    if parts.iter().any(|(_, table)| table.rows() != rows) {
        return Err(StageError::failed("the tables of a source differ in their rows").help("this is a bug in Fuseline"));
    }
    account.settle(rows)?;
    let Account { conclusion: Conclusion { facts, warnings }, .. } = account;
    let mut kept = Vec::new();
    for (name, table) in parts {
        let blob = store.keep_table(table)?;
        kept.push(PartEntry { name: name.to_owned(), digest: blob.digest, rows: blob.rows, bytes: blob.bytes });
    }
    Ok(Streamed { parts: kept, rows, facts, warnings, remembered: 0, checkpoint: None })
}

type Rows = (&'static str, RecordBatch);

struct Given(SyncSender<Rows>);

impl Emit for Given {
    fn emit(&mut self, part: &'static str, rows: RecordBatch) -> Result<(), StageError> {
        self.0.send((part, rows)).map_err(|_| StageError::failed("rows cannot be written any more"))
    }
}

fn write(rows: &Receiver<Rows>, store: &Store) -> Result<Vec<(&'static str, TableWriter)>, StageError> {
    let mut parts: Vec<(&'static str, TableWriter)> = Vec::new();
    for (part, rows) in rows {
        if !parts.iter().any(|(name, _)| *name == part) {
            parts.push((part, store.begin_table(&rows.schema())?));
        }
        if let Some((_, table)) = parts.iter_mut().find(|(name, _)| *name == part) {
            table.write(&rows)?;
        }
    }
    Ok(parts)
}
