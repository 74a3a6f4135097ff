//! What does a model look at? What each block of its features is worth, and the terms that weigh most.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found out about the model of a variant (`importance` of `cross_validate`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Importance {
    /// The id of the variant.
    pub variant: String,
    /// The stage that scored.
    pub evaluation: String,
    /// Why no block was shuffled; `null` if each was, or if nobody asked (`permutations: 0`).
    pub unshuffled: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub worth: Worth,
}

/// What blocks and terms are worth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worth {
    /// How often each block was shuffled in each fold.
    pub permutations: u32,
    /// The blocks of features, in the order of the model's rows.
    pub blocks: Vec<BlockWorth>,
    /// The terms that weigh most, for models whose answers are weighed sums.
    pub terms: Vec<ClassTerms>,
}

/// What a block of features is worth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockWorth {
    /// The stage that made it; with a number where several have one name.
    pub block: String,
    /// Its share of the variance of the decision values on held-out rows: the mean over folds. All shares sum to 1; a block that works
    /// against the others has less than 0. `null` for models without weights.
    pub share: Option<f64>,
    /// The share in each fold.
    pub shares: Vec<Option<f64>>,
    /// What shuffling it does, by metric name; empty where nothing was shuffled.
    pub metrics: BTreeMap<String, Fall>,
}

/// By how much a metric falls when a block is shuffled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fall {
    /// The score with the block shuffled: the mean over folds.
    pub shuffled: Option<f64>,
    /// The score as it is less the score with the block shuffled, the other way round for metrics of which less is better: above 0 where
    /// the model is worse without what the block says. The mean over folds.
    pub fall: Option<f64>,
    /// Sample standard deviation of `folds` (ddof = 1); `null` for fewer than two.
    pub std: Option<f64>,
    /// The fall in each fold: the mean over draws.
    pub folds: Vec<Option<f64>>,
}

/// The terms that weigh most for a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassTerms {
    /// The class or label; empty where numbers are predicted.
    pub class: String,
    /// Terms that speak for the class (for a higher number), the greatest impact first.
    pub towards: Vec<TermWorth>,
    /// Terms that speak against the label (for a lower number), the greatest impact first; empty for classes.
    pub away: Vec<TermWorth>,
}

/// What a term is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TermWorth {
    /// The block that it is of.
    pub block: String,
    /// The term.
    pub term: String,
    /// Its weight: the mean over the folds whose model knows it.
    pub weight: f64,
    /// Its weight times the standard deviation of its values in held-out rows: the mean over all folds.
    pub impact: f64,
    /// In how many folds it is among the 500 terms of greatest impact.
    pub folds: u32,
}
