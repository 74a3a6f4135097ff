//! Which learners ask their neighbours? The k nearest ones, for classes and for numbers.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{Gives, Learner, Model, Takes, Training, Trouble, Written};
use crate::ml::Features;
use crate::ml::linear::{FitError, first_greatest};
use crate::ml::neighbors::{KNeighbors, Metric, NeighborWeights};
use crate::stage::{Output, Parts, StageError};
use crate::table::features;

/// scikit-learn's KNeighborsClassifier, by brute force. Of equally near rows the first count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NeighborsParams {
    /// How many training rows vote.
    #[schemars(range(min = 1))]
    n_neighbors: usize,
    /// How much each of them counts.
    weights: WeightsParam,
    /// How far apart two rows are.
    metric: MetricParam,
}

/// scikit-learn's KNeighborsRegressor, by brute force: a mean of the nearest rows' numbers. Of equally near rows the first count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct NeighborsRegressorParams(NeighborsParams);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WeightsParam {
    /// All alike.
    Uniform,
    /// By 1 / distance; those at distance 0 alone, where there are any.
    Distance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MetricParam {
    /// √Σ (x − y)².
    Euclidean,
    /// 1 − the cosine of the angle; 1 for rows of zeros.
    Cosine,
    /// Σ |x − y|.
    Manhattan,
}

impl Default for NeighborsParams {
    fn default() -> Self {
        let n_neighbors = KNeighbors::default().n_neighbors;
        NeighborsParams { n_neighbors, weights: WeightsParam::Uniform, metric: MetricParam::Euclidean }
    }
}

impl NeighborsParams {
    fn checked(&self) -> KNeighbors {
        let weights = match self.weights {
            WeightsParam::Uniform => NeighborWeights::Uniform,
            WeightsParam::Distance => NeighborWeights::Distance,
        };
        let metric = match self.metric {
            MetricParam::Euclidean => Metric::Euclidean,
            MetricParam::Cosine => Metric::Cosine,
            MetricParam::Manhattan => Metric::Manhattan,
        };
        KNeighbors { n_neighbors: self.n_neighbors, weights, metric }
    }
}

impl Written for NeighborsParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Voters(self.checked()))
    }
}

impl Written for NeighborsRegressorParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Means(self.0.checked()))
    }
}

/// Neighbours that vote for a class.
struct Voters(KNeighbors);

/// Neighbours whose numbers are averaged.
struct Means(KNeighbors);

impl Learner for Voters {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Probabilities
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let blocks = on.blocks()?;
        self.0.check_classes(&blocks.x, y, classes)?;
        kept(&blocks.row_id, &blocks.x, "class", Arc::new(UInt32Array::from(y.to_vec())))
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let (x, goal) = rows(learned)?;
        let y = goal.column_by_name("class").and_then(|column| column.as_any().downcast_ref::<UInt32Array>());
        match y {
            Some(y) if y.len() == x.rows() && y.values().iter().all(|&class| (class as usize) < classes) => {
                Ok(Box::new(Voting { params: self.0.clone(), x, y: y.values().to_vec(), classes }))
            }
            _ => Err(StageError::failed("a model's tables do not fit together").into()),
        }
    }
}

impl Learner for Means {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Values
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let values = on.values()?;
        let blocks = on.blocks()?;
        self.0.check_rows(&blocks.x)?;
        kept(&blocks.row_id, &blocks.x, "value", Arc::new(Float64Array::from(values.to_vec())))
    }

    fn load(&self, learned: &Parts, _: usize) -> Result<Box<dyn Model>, Trouble> {
        let (x, goal) = rows(learned)?;
        let values = goal.column_by_name("value").and_then(|column| column.as_any().downcast_ref::<Float64Array>());
        match values {
            Some(values) if values.len() == x.rows() => {
                Ok(Box::new(Averaging { params: self.0.clone(), x, values: values.values().to_vec() }))
            }
            _ => Err(StageError::failed("a model's tables do not fit together").into()),
        }
    }
}

struct Voting {
    params: KNeighbors,
    x: Features,
    y: Vec<u32>,
    classes: usize,
}

impl Model for Voting {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.params.among(&self.x).shares(x, &self.y, self.classes)
    }

    fn scores_and_classes(&self, x: &Features) -> Result<(Vec<f64>, Vec<u32>), FitError> {
        let scores = self.scores(x)?;
        let classes = scores.chunks_exact(self.classes.max(1)).map(|row| first_greatest(row) as u32).collect();
        Ok((scores, classes))
    }
}

struct Averaging {
    params: KNeighbors,
    x: Features,
    values: Vec<f64>,
}

impl Model for Averaging {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.params.among(&self.x).means(x, &self.values)
    }
}

/// The rows are the model: `rows.NN` for each block, and `goal`.
fn kept(row_id: &[String], x: &Features, goal: &str, values: ArrayRef) -> Result<Output, Trouble> {
    let ids = StringArray::from_iter_values(row_id);
    let goal = RecordBatch::try_from_iter_with_nullable([(goal, values, false)]).map_err(StageError::caused)?;
    let mut output = Output::new().table("goal", goal);
    for (number, block) in x.blocks.iter().enumerate() {
        let table = features::to_table(&ids, "rows", block).map_err(StageError::caused)?;
        output = output.table(format!("rows.{number:02}"), table);
    }
    Ok(output)
}

fn rows(learned: &Parts) -> Result<(Features, Arc<RecordBatch>), StageError> {
    let mut x = Features::default();
    for (_, part) in learned.with_prefix("rows.") {
        x.blocks.push(features::from_table(&*part.table()?).map_err(StageError::caused)?.1);
    }
    Ok((x, learned.table("goal")?))
}
