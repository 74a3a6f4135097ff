//! How does a stage get at the tables of an artifact, and how is it kept from rows that it may not see?

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};

use super::derived::{Derivations, Mask};
use super::{FoldId, Made, Output, StageError};
use crate::table::Digest;

/// Loads stored tables by digest, verified.
pub trait Load: Send + Sync {
    /// The table of a blob.
    fn load(&self, digest: &Digest) -> Result<Arc<RecordBatch>, StageError>;

    /// What has been worked out from its tables.
    fn derivations(&self) -> &Derivations;

    /// The table of a blob, some rows at a time.
    fn batches(&self, digest: &Digest) -> Result<Tables, StageError> {
        let whole = self.load(digest)?;
        Ok(Box::new(std::iter::once(Ok((*whole).clone()))))
    }
}

/// A table, some rows at a time.
pub type Tables = Box<dyn Iterator<Item = Result<RecordBatch, StageError>>>;

/// A table of an artifact: in memory, or in the store and loaded when first asked for.
#[derive(Clone)]
pub struct Part {
    pub(super) kind: PartKind,
    pub(super) rows: Option<Arc<Mask>>,
}

#[derive(Clone)]
pub(super) enum PartKind {
    Stored { digest: Digest, load: Arc<dyn Load> },
    Memory(Arc<RecordBatch>),
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("digest", &self.digest()).field("filtered", &self.rows.is_some()).finish()
    }
}

impl Part {
    /// A part in the store.
    pub fn stored(digest: Digest, load: Arc<dyn Load>) -> Self {
        Part { kind: PartKind::Stored { digest, load }, rows: None }
    }

    /// A part in memory.
    pub fn memory(table: RecordBatch) -> Self {
        Part { kind: PartKind::Memory(Arc::new(table)), rows: None }
    }

    /// The digest of the stored bytes, where this is a whole stored table.
    pub fn digest(&self) -> Option<Digest> {
        match &self.kind {
            PartKind::Stored { digest, .. } if self.rows.is_none() => Some(*digest),
            _ => None,
        }
    }

    /// The table.
    pub fn table(&self) -> Result<Arc<RecordBatch>, StageError> {
        let whole = match &self.kind {
            PartKind::Stored { digest, load } => load.load(digest)?,
            PartKind::Memory(table) => table.clone(),
        };
        match &self.rows {
            Some(mask) if is_row_level(&whole) => {
                if whole.num_rows() != mask.keep.len() {
                    return Err(divided(whole.num_rows(), mask.keep.len()));
                }
                let cut = arrow::compute::filter_record_batch(&whole, &mask.keep);
                Ok(Arc::new(cut.map_err(StageError::caused)?))
            }
            _ => Ok(whole),
        }
    }

    /// The table, some rows at a time where it is a whole stored one.
    pub fn batches(&self) -> Result<Tables, StageError> {
        match &self.kind {
            PartKind::Stored { digest, load } if self.rows.is_none() => load.batches(digest),
            _ => {
                let whole = self.table()?;
                Ok(Box::new(std::iter::once(Ok((*whole).clone()))))
            }
        }
    }
}

pub(super) fn divided(rows: usize, made_for: usize) -> StageError {
    StageError::failed(format!("a table of {rows} rows cannot be divided by folds made for {made_for} rows"))
}

/// True if a table has one row for each text: its first column is `row_id`.
pub fn is_row_level(table: &RecordBatch) -> bool {
    table.schema_ref().fields().first().is_some_and(|field| field.name() == "row_id")
}

/// The parts of an artifact, by name.
#[derive(Debug, Clone, Default)]
pub struct Parts(pub(super) BTreeMap<String, Part>);

impl Parts {
    /// Adds a part.
    pub fn insert(&mut self, name: impl Into<String>, part: Part) {
        self.0.insert(name.into(), part);
    }

    /// The part called `name`, if there.
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.0.get(name)
    }

    /// All parts in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.0.iter().map(|(name, part)| (name.as_str(), part))
    }

    /// Parts whose name begins with `prefix`, in order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Part)> {
        self.iter().filter(move |(name, _)| name.starts_with(prefix))
    }

    /// The table called `name`; an error where there is none.
    pub fn table(&self, name: &str) -> Result<Arc<RecordBatch>, StageError> {
        match self.0.get(name) {
            Some(part) => part.table(),
            None => Err(StageError::failed(format!("an input has no table `{name}`"))),
        }
    }

    /// The same parts, row-level tables cut down to the rows of `mask`.
    pub(super) fn filtered(&self, mask: &Arc<Mask>) -> Parts {
        let cut = |part: &Part| Part { kind: part.kind.clone(), rows: Some(mask.clone()) };
        Parts(self.0.iter().map(|(name, part)| (name.clone(), cut(part))).collect())
    }
}

/// The rows that a learner may learn from: training rows of one fold, or all rows where nothing is held out.
/// Made by the runner alone, from a fold of the splits; `fit` accepts nothing else.
#[derive(Debug)]
pub struct TrainRows {
    input: Parts,
    target: Option<Parts>,
}

impl TrainRows {
    /// Training rows of a fold: `fold` is a part `fold.RR.KK` of a splits artifact; without it, all rows.
    pub(crate) fn of_fold(fold: Option<&Part>, input: &Parts, target: Option<&Parts>) -> Result<Self, StageError> {
        let Some(fold) = fold else {
            return Ok(TrainRows { input: input.clone(), target: target.cloned() });
        };
        let mask = Arc::new(fold_mask(fold, "train")?);
        Ok(TrainRows { input: input.filtered(&mask), target: target.map(|t| t.filtered(&mask)) })
    }

    /// The input's parts, training rows only.
    pub fn input(&self) -> &Parts {
        &self.input
    }

    /// The target's parts (`target`: row_id, label, …), training rows only; an error for an unsupervised learner.
    pub fn target(&self) -> Result<&Parts, StageError> {
        self.target.as_ref().ok_or_else(|| StageError::failed("this learner did not ask for labels"))
    }
}

/// The held-out rows of a fold.
pub(crate) fn held_out(fold: &Part, input: &Parts) -> Result<Parts, StageError> {
    Ok(input.filtered(&Arc::new(fold_mask(fold, "test")?)))
}

/// Divides the training rows of a fold by `divide`, which sees them alone; rows that it did not see are neither trained on
/// nor held out in the folds that it makes.
pub(crate) fn divided_within(
    fold: &Part,
    target: &Parts,
    divide: impl FnOnce(&Parts) -> Result<Output, StageError>,
) -> Result<Output, StageError> {
    let mask = Arc::new(fold_mask(fold, "train")?);
    let mut output = divide(&target.filtered(&mask))?;
    let whole = fold.table()?;
    // what else it says is of those rows alone, and nobody reads it
    output.parts.retain(|(name, _)| FoldId::of_part(name).is_some());
    for (_, made) in &mut output.parts {
        if let Made::Table(table) = made {
            *table = widened(table, &mask.keep, &whole)?;
        }
    }
    Ok(output)
}

/// A fold made for the rows of `keep`, as one of all rows of `whole`.
fn widened(table: &RecordBatch, keep: &BooleanArray, whole: &RecordBatch) -> Result<RecordBatch, StageError> {
    let mut columns = vec![whole.column(0).clone()];
    for column in &table.columns()[1..] {
        let column = column.as_any().downcast_ref::<BooleanArray>();
        let column = column.ok_or_else(|| StageError::failed("a fold has a column that is not true or false"))?;
        let mut made = column.iter();
        let spread = |keep: Option<bool>| keep == Some(true) && made.next().flatten() == Some(true);
        columns.push(Arc::new(BooleanArray::from(keep.iter().map(spread).collect::<Vec<bool>>())));
    }
    RecordBatch::try_new(table.schema(), columns).map_err(StageError::caused)
}

fn fold_mask(fold: &Part, column: &str) -> Result<Mask, StageError> {
    let table = fold.table()?;
    let from = fold.digest().map(|digest| Digest::of(format!("{digest} {column}").as_bytes()));
    let keep = table.column_by_name(column).and_then(|c| c.as_any().downcast_ref::<BooleanArray>()).cloned();
    let keep = keep.ok_or_else(|| StageError::failed("a fold has no train and test columns"))?;
    Ok(Mask { keep, from })
}
