//! What do the blocks of an input hold together? One matrix: the rows that they are of, and their columns side by side.

use std::borrow::Borrow;

use arrow::array::{Array, RecordBatch, StringArray};

use super::{TableError, features, row_ids};
use crate::ml::Features;
use crate::ml::linear::FitError;

/// Blocks side by side, all of the same rows.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// The rows.
    pub row_ids: StringArray,
    /// What each block is called.
    pub names: Vec<String>,
    /// The features.
    pub x: Features,
}

impl Blocks {
    /// The blocks of some tables, left to right. Errors: malformed tables, other rows in one than in the first.
    pub fn of<T: Borrow<RecordBatch>>(tables: &[T]) -> Result<Blocks, TableError> {
        let mut blocks =
            Blocks { row_ids: StringArray::new_null(0), names: Vec::new(), x: Features { blocks: Vec::new() } };
        for table in tables {
            let ids = row_ids(table.borrow())?;
            if blocks.names.is_empty() {
                blocks.row_ids = ids.clone();
            } else if blocks.row_ids != *ids {
                return Err(TableError::OtherRows);
            }
            let (name, block) = features::from_table(table.borrow())?;
            blocks.names.push(name);
            blocks.x.blocks.push(block);
        }
        Ok(blocks)
    }

    /// The table of each block, in order.
    pub fn to_tables(&self) -> Result<Vec<RecordBatch>, TableError> {
        let both = self.names.iter().zip(&self.x.blocks);
        both.map(|(name, block)| features::to_table(&self.row_ids, name, block)).collect()
    }

    /// Says an error about these features with the row's id, and the column by its block.
    pub fn describe(&self, error: &FitError) -> String {
        match *error {
            FitError::NonFinite { row, column } => {
                format!("row {} has a value that is not a finite number in {}", self.row(row), self.column(column))
            }
            FitError::Negative { row, column, value } => {
                format!("row {} has {value} in {}, below 0", self.row(row), self.column(column))
            }
            _ => error.to_string(),
        }
    }

    fn row(&self, row: usize) -> String {
        if row < self.row_ids.len() { format!("`{}`", self.row_ids.value(row)) } else { row.to_string() }
    }

    fn column(&self, column: usize) -> String {
        let mut offset = 0;
        for (name, block) in self.names.iter().zip(&self.x.blocks) {
            if column < offset + block.cols() {
                return format!("column {} of `{name}`", column - offset);
            }
            offset += block.cols();
        }
        format!("column {column}")
    }
}
