//! How do stages get at stored tables?

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Store, StoreError};
use crate::stage::{Derivations, Failure, Load, StageError};
use crate::table::Digest;

impl Load for Store {
    fn load(&self, digest: &Digest) -> Result<Arc<RecordBatch>, StageError> {
        Ok(Store::load(self, digest)?)
    }

    fn derivations(&self) -> &Derivations {
        &self.derivations
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
