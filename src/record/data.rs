//! What rows did a run learn from and score? The data ledger: counts over splits and folds, and what is worth knowing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows of one frame, looked at: one entry of `summary.json`'s `data`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataSummary {
    /// The stage that began the rows.
    pub stage: String,
    /// The stage whose folds were looked at; `null` where nothing is evaluated.
    pub evaluation: Option<String>,
    /// Ids of the variants that these rows are of.
    pub variants: Vec<String>,
    /// Rows that were dropped or skipped on the way to these.
    pub dropped: Vec<Dropped>,
    /// The counts.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// What is worth knowing, the worst first.
    pub findings: Vec<Finding>,
}

/// Rows that a stage left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// The stage.
    pub stage: String,
    /// What it calls them: `rows_dropped`, `dropped_duplicates`, …
    pub what: String,
    /// How many.
    pub rows: u64,
}

/// The counts over the rows of a frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// All classes in code-point order; counts by class are in this order.
    pub classes: Vec<String>,
    /// All rows.
    pub whole: Side,
    /// Each split of the data, `train` first, the others as they come.
    pub splits: Vec<SplitSide>,
    /// Further splits, which are not looked at: there are more than 100.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub splits_left_out: u64,
    /// Each split against one before it.
    pub across_splits: Vec<Across>,
    /// Each fold of the evaluation.
    pub folds: Vec<FoldSides>,
    /// Rows to look at, by what was found: `train/test` for texts of `test` that stand in `train`,
    /// `folds` for the first fold, `conflict/train` for texts of `train` with two labels (`conflict` where there are no splits).
    pub examples: BTreeMap<String, Vec<Example>>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counts over some rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Rows.
    pub rows: u64,
    /// Rows whose text has no character but white space.
    pub empty: u64,
    /// Rows without a label.
    pub unlabelled: u64,
    /// Rows of each class, in the order of `classes`; in folds left out beyond 1,000 classes.
    pub classes: Vec<u64>,
    /// Characters (Unicode scalar values) of a text.
    pub characters: Spread,
    /// Words of a text: runs of letters, digits, marks and `_`.
    pub words: Spread,
    /// Texts by guessed language (ISO 639-3; `und` where the guess is unsure), of those that were looked at: one in eight, chosen by
    /// a hash of the text.
    pub languages: BTreeMap<String, u64>,
    /// Rows whose text stands in an earlier of these rows.
    pub duplicates: Copies,
    /// Texts that carry two or more labels.
    pub conflicts: Conflicts,
    /// What was done to rows as they were read: `replaced` (bytes that could not be decoded), …
    pub notes: BTreeMap<String, Noted>,
    /// What stages cut off, where a stage cuts.
    pub truncated: Vec<Truncated>,
}

/// Rows of a split.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SplitSide {
    /// The split.
    pub split: String,
    /// Its rows.
    #[serde(flatten)]
    pub side: Side,
}

/// How a number is spread over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The least.
    pub min: u64,
    /// A quarter are at most this.
    pub q1: u64,
    /// Half are at most this.
    pub median: u64,
    /// Three quarters are at most this.
    pub q3: u64,
    /// 95% are at most this.
    pub p95: u64,
    /// The most.
    pub max: u64,
    /// Their mean.
    pub mean: f64,
}

/// Rows whose text stands elsewhere too, by three measures, each of which counts all that the one before does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Copies {
    /// Byte for byte.
    pub exact: u64,
    /// After lower-casing and dropping everything but words.
    pub folded: u64,
    /// Nearly: about 80% of their four-character shingles in common, estimated; `null` where too many rows are compared.
    pub near: Option<u64>,
}

/// Texts with more than one label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conflicts {
    /// Distinct texts.
    pub texts: u64,
    /// Their rows.
    pub rows: u64,
}

/// Something that was done to rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// Rows to which it was done.
    pub rows: u64,
    /// How often in all.
    pub total: u64,
}

/// What a stage cuts off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Truncated {
    /// The stage.
    pub stage: String,
    /// Texts that are cut.
    pub rows: u64,
    /// Tokens lost.
    pub tokens_lost: u64,
}

/// What rows of one side share with those of another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// Rows whose text stands on the other side.
    pub copies: Copies,
    /// Of these, rows whose label is not that of the first such row of the other side.
    pub relabelled: Copies,
    /// Rows whose group stands on the other side; `null` where rows have no groups.
    pub grouped: Option<u64>,
    /// Classes that the other side lacks.
    pub only_here: Vec<String>,
    /// Classes that this side lacks.
    pub only_there: Vec<String>,
}

/// A split against one before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Across {
    /// The split whose rows are counted.
    pub rows_of: String,
    /// How many it has.
    pub rows: u64,
    /// The split that they may stand in.
    pub stand_in: String,
    /// What they share.
    #[serde(flatten)]
    pub overlap: Overlap,
}

/// A fold of the evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoldSides {
    /// The fold, counted from 0 over all repeats.
    pub fold: u32,
    /// The rows that it trains on.
    pub train: Side,
    /// The rows that it tests.
    pub test: Side,
    /// What rows of `test` share with those of `train`.
    pub across: Overlap,
}

/// A row to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The row.
    pub row_id: String,
    /// Its label.
    pub label: Option<String>,
    /// The row that has its text.
    pub other: String,
    /// The label of that one.
    pub other_label: Option<String>,
    /// The text, cut after 200 characters; `null` where the rows are too many to look them up.
    pub text: Option<String>,
}

/// Something worth knowing about the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What it is: the name of a bound that `expect` takes.
    pub measure: String,
    /// In words.
    pub message: String,
    /// How many.
    pub count: u64,
    /// Of how many rows.
    pub of: u64,
    /// The key of `examples` where rows to look at are.
    pub examples: Option<String>,
}
