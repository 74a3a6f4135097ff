//! What must a learner say and do, so that `train` may fit and apply it? And what do all learners share?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::linear::{Columns, FitError, Laid, balanced_weights};
use crate::ml::{Block, Features};
use crate::stage::{Ctx, Derived, Numeric, Output, Parts, StageError};
use crate::table::{features, row_ids};

/// The parameters of a learner, as written.
pub(super) trait Written: Serialize + Default {
    /// The learner that they ask for.
    fn learner(&self) -> Box<dyn Learner>;

    /// Why they cannot be had together, if they cannot. What one of them may be is said by its schema.
    fn clash(&self) -> Option<Clash> {
        None
    }
}

/// Why parameters of a learner do not go together.
pub(super) struct Clash {
    /// The parameter to change.
    pub(super) param: &'static str,
    /// What is wrong.
    pub(super) message: &'static str,
    /// What to do.
    pub(super) help: &'static str,
}

/// Which rows a learner takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Sparse, dense and mixed rows.
    Any,
    /// Dense rows alone.
    Dense,
}

/// What a fitted learner says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// A probability for each class.
    Probabilities,
    /// A decision value for each class.
    Decisions,
    /// A number: a regressor.
    Values,
}

/// A learner with its parameters.
pub(super) trait Learner: Send + Sync {
    /// Which rows it takes.
    fn takes(&self) -> Takes;

    /// What it says of a row once it is fitted.
    fn gives(&self) -> Gives;

    /// Which part of the machine decides the last bits of what it learns and says.
    fn numeric(&self) -> Numeric {
        Numeric::Libm
    }

    /// True if chance plays a part; then [`Training::seed`] is its seed.
    fn seeded(&self) -> bool {
        false
    }

    /// True if it can count some rows more than others: it asks [`Training::weights`].
    fn weighs_rows(&self) -> bool {
        false
    }

    /// True if its answers are sums of its features, each times a weight of the table `coefficients`.
    fn linear(&self) -> bool {
        false
    }

    /// Things worth saying before anything runs; `name` is the learner's in pipelines.
    fn advice(&self, name: &str) -> Vec<String> {
        let _ = name;
        Vec::new()
    }

    /// Learns. The tables of the output are what [`Learner::load`] reads.
    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble>;

    /// What was learned, ready to be applied. A classifier knows `classes` classes.
    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble>;
}

/// A fitted learner.
pub(super) trait Model: Send + Sync {
    /// Scores, row-major: rows × classes (two classes too), or one value a row for a regressor. Errors: another number of
    /// columns, values that are not finite.
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError>;

    /// The class of each row, where that is not simply the greatest score (the first of equals).
    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        let (scores, rows) = (self.scores(x)?, x.rows());
        let width = scores.len().checked_div(rows).unwrap_or_default().max(1);
        Ok(scores.chunks_exact(width).map(|row| crate::ml::linear::first_greatest(row) as u32).collect())
    }

    /// Both; for models that would work out the scores twice.
    fn scores_and_classes(&self, x: &Features) -> Result<(Vec<f64>, Vec<u32>), FitError> {
        Ok((self.scores(x)?, self.predict(x)?))
    }
}

/// Why a learner could not be fitted or applied.
pub(super) enum Trouble {
    /// Said in numbers of rows and classes.
    Fit(FitError),
    /// Said in words.
    Stage(StageError),
}

impl From<FitError> for Trouble {
    fn from(error: FitError) -> Self {
        Trouble::Fit(error)
    }
}

impl From<StageError> for Trouble {
    fn from(error: StageError) -> Self {
        Trouble::Stage(error)
    }
}

/// What is to be learned.
#[derive(Clone, Copy)]
pub(super) enum Goal<'a> {
    /// The class of each row: an index into `names`.
    Classes { index: &'a [u32], names: &'a [String] },
    /// A number for each row; what a learner learns that gives [`Gives::Values`].
    Values(&'a [f64]),
}

/// Training rows, and what a learner may ask of them.
pub(super) struct Training<'a> {
    learner: &'static str,
    input: &'a Parts,
    goal: Goal<'a>,
    /// The rows that the goal is of.
    row_id: &'a [String],
    /// How much each row counts, where the data says so.
    weight: Option<&'a [f64]>,
    ctx: &'a Ctx<'a>,
    columns: AtomicUsize,
}

impl<'a> Training<'a> {
    /// Rows of `input`, of which `goal`, `row_id` and `weight` speak in their order.
    pub(super) fn new(
        learner: &'static str,
        input: &'a Parts,
        goal: Goal<'a>,
        row_id: &'a [String],
        weight: Option<&'a [f64]>,
        ctx: &'a Ctx<'a>,
    ) -> Self {
        Training { learner, input, goal, row_id, weight, ctx, columns: AtomicUsize::new(0) }
    }

    /// How many columns the rows have, once a learner has asked for them.
    pub(super) fn columns(&self) -> usize {
        self.columns.load(Ordering::Relaxed)
    }

    /// Reads the rows, and counts their columns.
    pub(super) fn count_columns(&self) -> Result<(), Trouble> {
        self.blocks().map(|_| ())
    }

    /// The learner's name in pipelines.
    pub(super) fn learner(&self) -> &'static str {
        self.learner
    }

    /// The class of each row, and how many classes there are.
    pub(super) fn classes(&self) -> Result<(&'a [u32], usize), Trouble> {
        match self.goal {
            Goal::Classes { index, names } => Ok((index, names.len())),
            Goal::Values(_) => {
                Err(StageError::failed(format!("`{}` learns classes, not numbers", self.learner)).into())
            }
        }
    }

    /// The number of each row, for a regressor.
    pub(super) fn values(&self) -> Result<&'a [f64], Trouble> {
        match self.goal {
            Goal::Values(values) => Ok(values),
            Goal::Classes { .. } => {
                Err(StageError::failed(format!("`{}` learns numbers, not classes", self.learner)).into())
            }
        }
    }

    /// The names of the classes; numbers have none.
    pub(super) fn names(&self) -> &'a [String] {
        match self.goal {
            Goal::Classes { names, .. } => names,
            Goal::Values(_) => &[],
        }
    }

    /// The same rows with another goal of theirs.
    pub(super) fn with_goal<'b>(&'b self, goal: Goal<'b>) -> Training<'b> {
        Training::new(self.learner, self.input, goal, self.row_id, self.weight, self.ctx)
    }

    /// The feature blocks; shared by all units that see the same rows.
    pub(super) fn blocks(&self) -> Result<Arc<Blocks>, Trouble> {
        let blocks = blocks(self.input)?;
        self.same_rows(&blocks.row_id)?;
        self.columns.store(blocks.x.cols(), Ordering::Relaxed);
        Ok(blocks)
    }

    /// The rows laid out for linear solvers; shared by all fits on them.
    pub(super) fn laid(&self) -> Result<Arc<LaidRows>, Trouble> {
        let laid = self.input.derived("block.", "laid out", |input| {
            let Blocks { row_id, x } = read_blocks(input)?;
            let x = Laid::of(x).map_err(|error| said(error, &[], &row_id))?;
            Ok(LaidRows { row_id, x })
        })?;
        self.same_rows(&laid.row_id)?;
        self.columns.store(laid.x.cols(), Ordering::Relaxed);
        Ok(laid)
    }

    /// The rows by column, for solvers that move one weight at a time; shared by all fits on them.
    pub(super) fn by_column(&self) -> Result<Arc<ColumnRows>, Trouble> {
        let turned = self.input.derived("block.", "by column", |input| {
            let Blocks { row_id, x } = read_blocks(input)?;
            let x = Columns::of(&x).map_err(|error| said(error, &[], &row_id))?;
            Ok(ColumnRows { row_id, x })
        })?;
        self.same_rows(&turned.row_id)?;
        self.columns.store(turned.x.cols(), Ordering::Relaxed);
        Ok(turned)
    }

    /// What rows count: by their own weight, times that of their class (numbers have none); `None` if all count alike.
    pub(super) fn weights(&self, of: ClassWeight) -> Result<Option<Vec<f64>>, Trouble> {
        match self.goal {
            Goal::Classes { index, .. } => Ok(weights(of, index, self.weight)),
            Goal::Values(_) => Ok(self.weight.map(<[f64]>::to_vec)),
        }
    }

    /// The seed of a learner that needs one.
    pub(super) fn seed(&self) -> u64 {
        self.ctx.seed
    }

    /// Asks whether the fit is to end.
    pub(super) fn stop(&self) -> impl Fn() -> bool + Sync + '_ {
        || self.ctx.is_cancelled()
    }

    fn same_rows(&self, features: &[String]) -> Result<(), StageError> {
        match features == self.row_id {
            true => Ok(()),
            false => Err(StageError::failed("the features and the labels are not of the same rows")),
        }
    }
}

/// How much each class counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClassWeight {
    /// Every row counts alike.
    #[default]
    None,
    /// Every class counts alike: rows of rare classes count more.
    Balanced,
}

/// One decision value a row becomes two where there are two classes: the second's is the value, the first's has its sign turned.
pub(super) fn both_sides(scores: Vec<f64>, classes: usize) -> Vec<f64> {
    match classes {
        2 => scores.iter().flat_map(|&score| [-score, score]).collect(),
        _ => scores,
    }
}

/// Feature blocks and the rows that they are of.
pub(super) struct Blocks {
    pub(super) row_id: Vec<String>,
    pub(super) x: Features,
}

impl Derived for Blocks {
    fn bytes(&self) -> usize {
        let block = |block: &Block| match block {
            Block::Sparse(m) => 8 * (m.indptr.len() + m.indices.len()),
            Block::Dense(m) => 4 * m.values.len(),
        };
        bytes_of(&self.row_id) + self.x.blocks.iter().map(block).sum::<usize>()
    }
}

/// Rows as the linear solvers take them.
pub(super) struct LaidRows {
    pub(super) row_id: Vec<String>,
    pub(super) x: Laid,
}

impl Derived for LaidRows {
    fn bytes(&self) -> usize {
        bytes_of(&self.row_id) + self.x.bytes()
    }
}

/// Rows as coordinate descent takes them.
pub(super) struct ColumnRows {
    pub(super) row_id: Vec<String>,
    pub(super) x: Columns,
}

impl Derived for ColumnRows {
    fn bytes(&self) -> usize {
        bytes_of(&self.row_id) + self.x.bytes()
    }
}

pub(super) fn bytes_of(strings: &[String]) -> usize {
    strings.iter().map(|string| size_of::<String>() + string.len()).sum()
}

/// The row ids and feature blocks of an input; shared by all units that see the same rows.
pub(super) fn blocks(input: &Parts) -> Result<Arc<Blocks>, StageError> {
    input.derived("block.", "blocks", read_blocks)
}

/// What rows count: by their own weight, times that of their class. Rows of balanced classes are counted by their weight, as in
/// scikit-learn, so that a row of weight 2 is as good as two rows.
fn weights(of: ClassWeight, y: &[u32], own: Option<&[f64]>) -> Option<Vec<f64>> {
    if of != ClassWeight::Balanced {
        return own.map(<[f64]>::to_vec);
    }
    let mut weights = balanced_weights(y, own);
    weights.iter_mut().zip(own.unwrap_or_default()).for_each(|(weight, own)| *weight *= own);
    Some(weights)
}

fn read_blocks(input: &Parts) -> Result<Blocks, StageError> {
    let mut row_id: Option<Vec<String>> = None;
    let mut x = Features::default();
    for (_, part) in input.with_prefix("block.") {
        let table = part.table()?;
        let ids = row_ids(&table).map_err(StageError::caused)?;
        match &row_id {
            None => row_id = Some(ids.iter().flatten().map(str::to_owned).collect()),
            Some(known) if ids.iter().flatten().eq(known.iter().map(String::as_str)) => {}
            Some(_) => return Err(StageError::failed("the feature blocks are not of the same rows")),
        }
        x.blocks.push(features::from_table(&table).map_err(StageError::caused)?.1);
    }
    Ok(Blocks { row_id: row_id.unwrap_or_default(), x })
}

/// Says rows by their ids and classes by their names.
pub(super) fn said(error: FitError, classes: &[String], row_id: &[String]) -> StageError {
    let row = |row: usize| row_id.get(row).map_or_else(|| row.to_string(), |id| format!("`{id}`"));
    match error {
        FitError::Interrupted => StageError::Interrupted,
        FitError::OneClass { class } => {
            let name = classes.get(class as usize).map_or("?", String::as_str);
            StageError::failed(format!("all training rows have the one label `{name}`; a classifier needs two"))
        }
        FitError::Negative { row: at, column, value } => {
            let message = format!(
                "row {} has {value} in feature column {column}, and this learner takes counts or shares of 0 or more",
                row(at)
            );
            let help = "use `gaussian_nb`, `bernoulli_nb` or a linear estimator, or leave the block out of `fuse`";
            StageError::failed(message).help(help)
        }
        FitError::NonFinite { row: at, column } => {
            StageError::failed(format!("row {} has a feature (column {column}) that is not a finite number", row(at)))
        }
        error => StageError::failed(error.to_string()),
    }
}

pub(super) fn strings(name: &str, values: &[String]) -> Result<RecordBatch, StageError> {
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    RecordBatch::try_from_iter_with_nullable([(name, column, false)]).map_err(StageError::caused)
}

pub(super) fn read_strings(table: &RecordBatch, name: &str) -> Result<Vec<String>, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<StringArray>());
    let column = column.ok_or_else(|| StageError::failed(format!("a model's table lacks its column `{name}`")))?;
    Ok(column.iter().flatten().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_weight_two_is_as_good_as_two() {
        let twice = weights(ClassWeight::Balanced, &[0, 0, 1, 1], None);
        assert_eq!(twice, Some(vec![1.0; 4]));
        assert_eq!(weights(ClassWeight::Balanced, &[0, 1, 1], Some(&[2.0, 1.0, 1.0])), Some(vec![2.0, 1.0, 1.0]));
        assert_eq!(weights(ClassWeight::None, &[0, 1], Some(&[2.0, 1.0])), Some(vec![2.0, 1.0]));
        assert_eq!(weights(ClassWeight::None, &[0, 1], None), None);
    }
}
