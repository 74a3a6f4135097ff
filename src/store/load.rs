//! How do stages get at stored tables?

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Store, StoreError};
use crate::stage::{Derivations, Failure, Load, StageError, Tables};
use crate::table::Digest;

/// How much of a table is read at once where all of it is not wanted.
const BATCH_ROWS: usize = 64 * 1024;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

impl Load for Store {
    fn load(&self, digest: &Digest) -> Result<Arc<RecordBatch>, StageError> {
        Ok(Store::load(self, digest)?)
    }

    fn derivations(&self) -> &Derivations {
        &self.derivations
    }

    fn batches(&self, digest: &Digest) -> Result<Tables, StageError> {
        let batches = self.rows_of(digest, BATCH_ROWS, BATCH_BYTES)?;
        Ok(Box::new(batches.map(|batch| batch.map_err(StageError::caused))))
    }
}

impl From<StoreError> for StageError {
    fn from(error: StoreError) -> Self {
        let damaged = error.is_damage();
        let storage = !damaged && !matches!(error, StoreError::Table(_) | StoreError::Record { .. });
        let (message, causes) = match storage {
            true => ("the cache cannot be used".to_owned(), vec![error.to_string()]),
            false => (error.to_string(), Vec::new()),
        };
        let help = error.help().map(str::to_owned).into_iter().collect();
        StageError::Failed(Box::new(Failure { message, causes, help, damaged, storage, ..Failure::default() }))
    }
}
