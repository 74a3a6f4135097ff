//! What do stages hand on? Tables: typed columns, their Parquet bytes, and digests of those bytes.
//!
//! One module for each part of an artifact ([`text`], [`target`], [`tokens`], [`vectors`], [`features`], [`predictions`], [`scores`]) says
//! which columns it has and turns it into plain vectors and back. [`to_parquet`] gives equal tables equal bytes, so the
//! [`Digest`] of the bytes is the identity of the table.

mod blocks;
mod columns;
mod content;
mod digest;
mod parquet;

pub mod features;
pub mod predictions;
pub mod scores;
pub mod spans;
pub mod target;
pub mod text;
pub mod tokens;
pub mod vectors;
pub mod weights;

pub use blocks::Blocks;
pub use content::{RowKey, row_keys};
pub use digest::{Digest, DigestError};
pub use parquet::{Batches, Groups, Packing, ParquetWriter, from_parquet, to_parquet};
pub use text::row_ids;

/// Why a table cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column is missing, or of another type.
    #[error("a table has no column `{name}` of the type that is wanted")]
    Column {
        /// The column.
        name: &'static str,
    },
    /// A column has empty cells where there may be none.
    #[error("the column `{name}` of a table has empty cells")]
    Nulls {
        /// The column.
        name: &'static str,
    },
    /// Two lengths that must agree do not.
    #[error("`{what}` has {found} values where {expected} are wanted")]
    Shape {
        /// What is too long or too short.
        what: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A column holds more than 32-bit offsets reach.
    #[error("`{what}` holds more than 2 GiB or 2³¹ values: divide the data")]
    TooLarge {
        /// The column.
        what: &'static str,
    },
    /// Tables that belong together are of different rows.
    #[error("the feature blocks are not of the same rows")]
    OtherRows,
    /// Rows of features break the rules of their form.
    #[error("sparse features are malformed at row {row}: {why}")]
    Sparse {
        /// The row, from 0.
        row: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The words that a table carries about itself are missing or unreadable.
    #[error("a table does not say what it holds: {why}")]
    Head {
        /// What is wrong.
        why: String,
    },
    /// Labels are wanted, and there is no label column.
    #[error("the data has no labels: name a label column")]
    NoLabels,
    /// Labels are wanted, and a row has none.
    #[error("row `{row_id}` has no label")]
    NoLabel {
        /// The row.
        row_id: String,
    },
    /// Rows to be joined have not the same columns.
    #[error("rows that make one table have other columns than the first of them")]
    Schema,
    /// A column of a kind that no part has.
    #[error("rows cannot be told apart by a column of type {kind}")]
    Content {
        /// The column's type.
        kind: String,
    },
    /// The columns do not make a table.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet bytes cannot be made or read.
    #[error("Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The Parquet reader gave up on malformed bytes.
    #[error("the bytes are not a whole Parquet file: {why}")]
    Malformed {
        /// What the reader said.
        why: String,
    },
}
