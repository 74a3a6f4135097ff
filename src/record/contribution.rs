//! What does each part of a model add, and what do more training rows?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ComparisonMethod;

/// What one input of a stage adds: all inputs, held against all but this one, and against this one alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contribution {
    /// The stage whose inputs are left out in turn (`ablate`).
    pub stage: String,
    /// The axis that leaves them out.
    pub axis: String,
    /// The input.
    pub block: String,
    /// The stage that scored.
    pub evaluation: String,
    /// The id of the variant with all inputs; where other axes vary too, there is an entry for each.
    pub all: String,
    /// The id of the variant without this input; `null` if it was not run.
    pub without: Option<String>,
    /// The id of the variant with this input alone; `null` if it was not run.
    pub alone: Option<String>,
    /// Seconds of work, over all folds, in the stages that the variant with all inputs needs for this one alone; what was reused counts
    /// as it took when it was made.
    pub seconds: f64,
    /// By metric name.
    pub metrics: BTreeMap<String, Gain>,
    /// By class, where classes were scored.
    pub classes: Vec<ClassGain>,
}

/// What an input adds to a metric, and what it scores alone. Scores are the `estimate` of the variant's metric, means over folds where it
/// has none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gain {
    /// The score of all inputs.
    pub all: Option<f64>,
    /// The score without this input.
    pub without: Option<f64>,
    /// The score of this input alone.
    pub alone: Option<f64>,
    /// What this input adds to the others: above 0 where the metric is better with it, whichever way the metric goes.
    pub gain: Option<f64>,
    /// 95% interval of `gain`; `null` where none can be told.
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
    /// Two-sided p value of no gain, by itself.
    #[serde(default)]
    pub p: Option<f64>,
    /// The same after Holm's correction over the inputs of the stage.
    #[serde(default)]
    pub p_adjusted: Option<f64>,
    /// How the two variants were compared.
    #[serde(default)]
    pub method: Option<ComparisonMethod>,
    /// The gain in each fold.
    pub folds: Vec<Option<f64>>,
}

/// What an input adds for one class: F1 over the rows of all folds together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassGain {
    /// The class.
    pub class: String,
    /// F1 with all inputs.
    pub all: f64,
    /// F1 without this input.
    pub without: Option<f64>,
    /// F1 of this input alone.
    pub alone: Option<f64>,
    /// What this input adds to the others.
    pub gain: Option<f64>,
    /// 95% interval of `gain`, by itself: of many classes, some intervals leave out 0 by chance. `null` where none can be told.
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
}

/// Scores over numbers of training rows (`curve`); the scores stand with the variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LearningCurve {
    /// The stage that scored.
    pub evaluation: String,
    /// The axis that sets the rows.
    #[serde(default)]
    pub axis: String,
    /// What the other axes are set to: `features=both`; empty if there are none.
    pub label: String,
    /// In ascending order of rows.
    pub points: Vec<CurvePoint>,
}

/// A point of a learning curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// The id of the variant.
    pub variant: String,
    /// Rows that a fold trained on: the mean over folds, rounded down.
    pub train_rows: u64,
}
