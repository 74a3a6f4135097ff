//! Which learners beyond linear ones are there? Decision tree and random forest (grown by smartcore) and kernel
//! support vector machines, on dense rows, behind one model that reads and writes JSON.
//!
//! smartcore grows the trees; what it grew is read through its serde form into `tree`'s own nodes, because it shows
//! neither a forest's votes nor a leaf's class shares. Its SVC is not used: it cuts every training row to as many
//! columns as there are rows, stops after a fixed number of passes wherever it is, and cannot predict once stored;
//! `svc` solves the same problem to libsvm's stopping rule instead.
//!
//! This is the one place in `ml` that knows serde.

mod svc;
mod tree;

use serde::{Deserialize, Serialize};

pub use svc::{Gamma, Kernel, Svc};
pub use tree::{Criterion, DecisionTree, MaxFeatures, RandomForest};

use super::linear::{FitError, ShouldStop};
use super::{Block, Features};

/// A learner with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum SmartParams {
    /// One tree.
    DecisionTree(DecisionTree),
    /// Many trees on bootstrap samples.
    RandomForest(RandomForest),
    /// A support vector machine with a kernel.
    Svc(Svc),
}

/// A fitted learner. Equal params, rows and seed give an equal model, whatever the number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmartModel {
    classes: usize,
    present: Vec<u32>,
    cols: usize,
    learned: Learned,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Learned {
    Trees(Vec<tree::Tree>),
    Machines(svc::Machines),
}

/// Number of training rows (of some hundred columns) beyond which a fit takes more than about ten seconds on one
/// core: for a word at plan time.
pub fn slow_beyond(params: &SmartParams) -> usize {
    match params {
        SmartParams::DecisionTree(_) => 7_000,
        SmartParams::RandomForest(_) => 2_000,
        SmartParams::Svc(_) => 8_000,
    }
}

/// Fits on `y` in `0..classes`. Trees and pairs of classes run in parallel on rayon's current pool. Errors: sparse
/// blocks, no rows or columns, one class only, values that are not finite, params out of range, interrupted (asked
/// before each tree, and every thousand steps of a machine).
pub fn fit(
    params: &SmartParams,
    x: &Features,
    y: &[u32],
    classes: usize,
    seed: u64,
    should_stop: ShouldStop<'_>,
) -> Result<SmartModel, FitError> {
    let rows = Rows::of(x)?;
    super::linear::check_labels(rows.count, y, classes)?;
    if rows.cols == 0 {
        return Err(FitError::NoColumns);
    }
    let mut present = y.to_vec();
    present.sort_unstable();
    present.dedup();
    if let [class] = present.as_slice() {
        return Err(FitError::OneClass { class: *class });
    }
    let place: Vec<u32> = y.iter().map(|class| present.partition_point(|p| p < class) as u32).collect();
    let learned = match params {
        SmartParams::DecisionTree(tree) => {
            Learned::Trees(vec![tree.fit(&rows, &place, present.len(), seed, should_stop)?])
        }
        SmartParams::RandomForest(forest) => {
            Learned::Trees(forest.fit(&rows, &place, present.len(), seed, should_stop)?)
        }
        SmartParams::Svc(svc) => Learned::Machines(svc.fit(&rows, &place, present.len(), should_stop)?),
    };
    Ok(SmartModel { classes, present, cols: rows.cols, learned })
}

impl SmartModel {
    /// How many classes it knows.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Whether `scores` are probabilities (trees) or decision values (support vector machines).
    pub fn gives_probabilities(&self) -> bool {
        matches!(self.learned, Learned::Trees(_))
    }

    /// Scores, row-major. Tree: shares of the classes among the training rows of the leaf; forest: share of the
    /// trees that vote for the class; both `rows × classes`, 0 for a class without training rows. SVC: decision
    /// values, `rows × 1` where `classes` is 2 (above 0: class 1), else `rows × classes`: votes of the one-against-one
    /// machines, ties broken by their summed decision values (scikit-learn's `decision_function_shape="ovr"`), minus
    /// infinity for a class without training rows. Errors: sparse blocks, another number of columns, values that are
    /// not finite.
    pub fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let rows = self.checked(x)?;
        let k = self.present.len();
        let (narrow, absent) = match &self.learned {
            Learned::Trees(trees) => (tree::shares(trees, &rows, k), 0.0),
            Learned::Machines(machines) if self.classes == 2 => return Ok(machines.decisions(&rows)),
            Learned::Machines(machines) => (machines.votes(&rows, k), f64::NEG_INFINITY),
        };
        let mut wide = vec![absent; rows.count * self.classes];
        for (to, from) in wide.chunks_exact_mut(self.classes).zip(narrow.chunks_exact(k)) {
            for (&class, &value) in self.present.iter().zip(from) {
                to[class as usize] = value;
            }
        }
        Ok(wide)
    }

    /// The class of the greatest score of each row (the first of equals). Errors: as `scores`.
    pub fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        let scores = self.scores(x)?;
        if !self.gives_probabilities() && self.classes == 2 {
            return Ok(scores.iter().map(|&s| u32::from(s > 0.0)).collect());
        }
        let rows = scores.chunks_exact(self.classes);
        Ok(rows.map(|row| super::linear::first_greatest(row) as u32).collect())
    }

    /// The model as one JSON object. Errors: never for a model that was fitted or read.
    pub fn to_json(&self) -> Result<String, FitError> {
        serde_json::to_string(self).map_err(|e| FitError::Stored { message: e.to_string() })
    }

    /// Reads what `to_json` wrote, and checks that it can be applied to any row without fault. Equal bits: the model
    /// read gives the scores that the one written gave. Errors: not such a JSON object.
    pub fn from_json(json: &str) -> Result<SmartModel, FitError> {
        let model: SmartModel = serde_json::from_str(json).map_err(|e| FitError::Stored { message: e.to_string() })?;
        let ascending = model.present.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = model.present.last().is_some_and(|&class| (class as usize) < model.classes);
        let k = model.present.len();
        let sound = match &model.learned {
            Learned::Trees(trees) => !trees.is_empty() && trees.iter().all(|tree| tree.is_sound(model.cols, k)),
            Learned::Machines(machines) => machines.is_sound(model.cols, k),
        };
        if k >= 2 && ascending && in_range && sound {
            return Ok(model);
        }
        Err(FitError::Stored { message: "its parts do not fit together".to_owned() })
    }

    fn checked<'a>(&self, x: &'a Features) -> Result<Rows<'a>, FitError> {
        let rows = Rows::of(x)?;
        if rows.cols != self.cols {
            return Err(FitError::Width { expected: self.cols, found: rows.cols });
        }
        Ok(rows)
    }
}

/// Dense rows; those of several blocks are joined.
struct Rows<'a> {
    count: usize,
    cols: usize,
    values: std::borrow::Cow<'a, [f32]>,
}

impl<'a> Rows<'a> {
    fn of(x: &'a Features) -> Result<Rows<'a>, FitError> {
        if let Some(block) = x.blocks.iter().position(|block| matches!(block, Block::Sparse(_))) {
            return Err(FitError::NeedsDense { block });
        }
        super::linear::check_features(x)?;
        let (count, cols) = (x.rows(), x.cols());
        if let [Block::Dense(m)] = x.blocks.as_slice() {
            return Ok(Rows { count, cols, values: m.values.as_slice().into() });
        }
        let mut values = Vec::with_capacity(count * cols);
        for i in 0..count {
            for block in &x.blocks {
                if let Block::Dense(m) = block {
                    values.extend_from_slice(m.row(i));
                }
            }
        }
        Ok(Rows { count, cols, values: values.into() })
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.cols..(i + 1) * self.cols]
    }
}

#[cfg(test)]
mod tests;
