//! How is it found out what the parts of a model are worth? A stage says of which blocks its rows are, a learner what its weights
//! do, and an evaluation what is asked.

use serde_json::Value;

use super::{Ctx, FoldId, Output, Parts, StageError};

/// Where the blocks of a stage's features come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockOrigin {
    /// They are those of its inputs, side by side.
    Inputs,
    /// It makes so many itself.
    Own(usize),
}

/// A learner whose score of a row is a sum over columns, each times a weight.
pub trait Weighted {
    /// What the weights do on `rows`: see [`crate::table::weights`].
    fn weigh(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError>;
}

/// An evaluation that asks what the blocks of a model are worth.
pub trait Probe {
    /// How often each block is shuffled; 0: never.
    fn permutations(&self) -> u32;

    /// What was asked, as it enters the key of the answer.
    fn asked(&self) -> Value;

    /// Counts.
    fn worth(&self, of: &Probed<'_>, ctx: &Ctx<'_>) -> Result<Output, StageError>;
}

/// What was found out about a model, fold by fold.
pub struct Probed<'a> {
    /// The scores artifact of what the folds predicted.
    pub scores: &'a Parts,
    /// Predictions after a block was shuffled: a part [`shuffled_part`] for each block and draw. Empty if nothing was.
    pub shuffled: &'a [(FoldId, Parts)],
    /// What [`Weighted::weigh`] gave. Empty for models without weights.
    pub weighed: &'a [(FoldId, Parts)],
    /// The labels.
    pub target: &'a Parts,
}

/// The part that holds what is predicted once block `block` has been shuffled for the `draw`th time, both from 0:
/// `shuffled.00.000`.
pub fn shuffled_part(block: usize, draw: usize) -> String {
    format!("shuffled.{block:02}.{draw:03}")
}
