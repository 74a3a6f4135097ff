//! What can be said of rows without much of a model? Guesses that every model should beat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::Task;

/// A guess that runs beside an evaluation, on the same rows and folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The most common class of the training rows (each label that most of them have); the shares of the classes as probabilities.
    Majority,
    /// A class drawn by the shares of the training rows.
    Stratified,
    /// The mean of the training rows' numbers.
    Mean,
    /// The 15 training rows with the most similar words vote, or their mean.
    KNeighbors,
}

/// Between an evaluation and a guess beside it.
const BESIDE: char = ':';

impl Baseline {
    /// All of them.
    pub const ALL: [Baseline; 4] = [Baseline::Majority, Baseline::Stratified, Baseline::Mean, Baseline::KNeighbors];

    /// As pipelines name it.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::Majority => "majority",
            Baseline::Stratified => "stratified",
            Baseline::Mean => "mean",
            Baseline::KNeighbors => "k_neighbors",
        }
    }

    /// What its stage beside an evaluation is called: `scores:majority`. No stage of a file has a colon in its id.
    pub fn stage(self, evaluation: &str) -> String {
        format!("{evaluation}{BESIDE}{}", self.name())
    }

    /// True if a stage of this id is a guess beside an evaluation.
    pub fn is_stage(id: &str) -> bool {
        id.contains(BESIDE)
    }

    /// True if it says what a model of this task says.
    pub fn fits(self, task: Task) -> bool {
        match self {
            Baseline::Majority | Baseline::Stratified => task != Task::Values,
            Baseline::Mean => task == Task::Values,
            Baseline::KNeighbors => true,
        }
    }

    /// Those of a task.
    pub fn of(task: Task) -> impl Iterator<Item = Baseline> {
        Baseline::ALL.into_iter().filter(move |baseline| baseline.fits(task))
    }
}
