//! How do stages get at stored tables?

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Store, StoreError};
use crate::stage::{Failure, Load, StageError};
use crate::table::Digest;

impl Load for Store {
    fn load(&self, digest: &Digest) -> Result<Arc<RecordBatch>, StageError> {
        Ok(Store::load(self, digest)?)
    }
}

impl From<StoreError> for StageError {
    fn from(error: StoreError) -> Self {
        StageError::Failed(Box::new(Failure {
            message: error.to_string(),
            help: error.help().map(str::to_owned).into_iter().collect(),
            damaged: error.is_damage(),
            ..Failure::default()
        }))
    }
}
