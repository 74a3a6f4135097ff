//! What must a stage say and do, so that the planner may place it and the runner may run it?
//!
//! A stage never calls another stage, never knows its fold, and never touches the store: it gets [`Parts`] and gives an
//! [`Output`]. Its *shape* ([`Work`]) decides which rows it may see.
//!
//! An artifact is a set of named tables, its *parts*. A unit's key holds the digests of the parts that it reads and of no
//! others, so a changed label re-embeds nothing. The parts by port:
//!
//! | port | parts |
//! |---|---|
//! | rows | `text` (row_id, text) · `target` (row_id, label?, value?, fold?, split?, group?, weight?, label_set?) · where the data has them `columns` (row_id, and a typed column for each that is kept), `spans` (row_id, tokens, spans) and `notes` (row_id, and a count for each thing that was done to a row) |
//! | tokens | `tokens` (row_id, tokens: list of strings) |
//! | token vectors | `vectors` (row_id, vectors: list of vectors of one width, one for each token; see [`crate::table::vectors`]) |
//! | features | `block.00`, `block.01`, … (see [`crate::table::features`]) · `names.00`, … (index, name) for sparse blocks |
//! | predictions | `predictions` (row_id, predicted, `score:<class>` …) |
//! | splits | `fold.RR.KK` (row_id, train, test), one for each repeat and fold |
//! | scores | `metrics` (repeat, fold, metric, value) · `classes` · `confusion` · `predictions` |
//!
//! Every row-level table starts with the column `row_id`; all tables of one frame have the same rows in the same order.

mod baseline;
mod derived;
mod error;
mod outlook;
mod parts;
mod port;
mod probe;
mod row_wise;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fetch::{Fetched, Spec};
use crate::problem::{Origin, Problem, Problems};
use crate::record::Results;

pub use baseline::Baseline;
pub use derived::{ByRow, Derivations, Derived, OpenRows};
pub use error::{Failure, StageError};
pub use outlook::{Fault, Outlook, Says, Targets, Unfit};
pub use parts::{Load, Part, Parts, Tables, TrainRows, is_row_level};
pub(crate) use parts::{divided_within, held_out};
pub use port::{Arity, Form, Port, Refusal};
pub use probe::{BlockOrigin, Probe, Probed, Weighted, shuffled_part};
#[cfg(test)]
pub(crate) use row_wise::map_whole;
pub use row_wise::{Conclusion, Count, Mapped, Mapper, RowWise, Totals};
#[cfg(test)]
pub(crate) use source::read_whole;
pub use source::{Account, Emit, Source};

/// The parts of rows that only the stage has that began their frame; stages that map texts hand on `text` alone.
pub const FRAME_PARTS: [&str; 4] = ["target", "columns", "spans", "notes"];

/// A file that a stage reads: data, weights, a tokenizer.
#[derive(Debug, Clone)]
pub struct FileNeed {
    /// What the stage calls it: `weights`, `train`, …
    pub role: String,
    /// Where it comes from.
    pub spec: Spec,
    /// The way into `with` to the parameter that names it.
    pub param: Vec<String>,
}

/// Which part of the machine decides the last bits of a stage's answer; see [`crate::machine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Numeric {
    /// None: the same bits on every machine.
    Exact,
    /// The platform's mathematical functions: `exp`, `ln`, `pow` …
    Libm,
    /// Those, and kernels chosen at run time by what the processor has: `gemm` and whatever multiplies through it.
    Simd,
    /// A transformer's in f32: those, and the device that it is computed on.
    Model,
    /// A transformer's in bf16.
    ModelBf16,
    /// A transformer's in f16.
    ModelF16,
}

/// What every stage says about itself. All answers are fixed once the stage is built.
pub trait Stage: Send + Sync {
    /// How many inputs it takes.
    fn arity(&self) -> Arity {
        Arity::One
    }

    /// What it gives, for what it is given.
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal>;

    /// The parts that it reads of input `input`: whole names, or a prefix that ends in `.`.
    fn reads(&self, input: usize) -> &'static [&'static str];

    /// The files it reads. Their digests enter the key.
    fn files(&self) -> Vec<FileNeed> {
        Vec::new()
    }

    /// True if the names of its files are in its answer; then they enter the key too.
    fn reads_names(&self) -> bool {
        false
    }

    /// True if its answer depends on chance; then a seed enters the key.
    fn seeded(&self) -> bool {
        false
    }

    /// Which part of the machine decides the last bits of its answer; the machine's class then enters the key.
    fn numeric(&self) -> Numeric {
        Numeric::Exact
    }

    /// True if it keeps every row of its input, in order; a stage that drops or makes rows begins a new frame.
    fn keeps_rows(&self) -> bool {
        true
    }

    /// The kept columns that it reads of the part `columns`, where it names them; `None`: all there are.
    fn columns(&self) -> Option<Vec<String>> {
        None
    }

    /// Where the blocks of its features come from, where it gives features.
    fn blocks(&self) -> BlockOrigin {
        BlockOrigin::Own(1)
    }

    /// What its rows have to learn from, where it is a source and its parameters tell.
    fn targets(&self) -> Option<Targets> {
        None
    }

    /// What it says of a row, where it is a model; an error if it can be told before anything runs that it cannot learn from what
    /// it reads, or cannot score it. `None`: it is no model, or that is not known yet.
    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        let _ = of;
        Ok(None)
    }

    /// Things worth saying before anything runs.
    fn advice(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Needs all rows at once but learns nothing from them.
pub trait WholeTable: Stage {
    /// Computes from whole inputs.
    fn run(&self, inputs: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError>;

    /// What it does to new rows, each by itself, if it drops rows: it maps every row, and counts `dropped_…` for those that it
    /// would not keep. What it does to rows because of others (repeats) is left out.
    fn alone(&self) -> Option<&dyn RowWise> {
        None
    }
}

/// Which rows a fitted learner is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyTo {
    /// All rows: a transformer, whose training rows the next learner needs.
    All,
    /// The fold's held-out rows: a predictor.
    HeldOut,
}

/// Learns from training rows, then applies what it learned.
pub trait Learner: Stage {
    /// True if it reads labels; then `train.target()` is there.
    fn supervised(&self) -> bool;

    /// Which rows [`Learner::apply`] gets.
    fn applies_to(&self) -> ApplyTo;

    /// Learns.
    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError>;

    /// Applies what was learned to rows.
    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError>;

    /// Itself, if its scores are sums of weighed columns.
    fn weighted(&self) -> Option<&dyn Weighted> {
        None
    }
}

/// What one of its models predicted for training rows that it was not fitted on.
pub struct OutOfFold {
    /// Which of the models, in the order of the stage's inputs (of the candidates, where it chooses).
    pub model: usize,
    /// The fold of the training rows that was held out.
    pub fold: FoldId,
    /// The predictions.
    pub parts: Parts,
}

/// Learns from what models predict for training rows that they have not seen; then turns the models' predictions for new
/// rows into its own. The planner divides the training rows once more, and lifts all that learns below the models into those
/// inner folds; the models whose predictions [`MetaLearner::apply`] gets are fitted on all training rows.
pub trait MetaLearner: Stage {
    /// Into how many folds the training rows are divided; `None` if nothing is learned from predictions.
    fn inner_folds(&self) -> Option<u32>;

    /// Learns. `train` has the target alone; all of `predicted` together has one prediction of each model for each training row.
    fn fit(&self, train: &TrainRows, predicted: &[OutOfFold], ctx: &Ctx<'_>) -> Result<Output, StageError>;

    /// Turns predictions into predictions: `models` are those of each model for the same rows.
    fn apply(&self, learned: &Parts, models: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError>;
}

/// Values for paths of the pipeline (a stage, then the way into its `with`): what a candidate of a search is.
pub type Candidate = Vec<(String, Value)>;

/// Chooses among candidates: ways to set what stands above it. The planner divides the training rows once more, lifts each
/// candidate into those folds, scores what it predicted there, and fits the chosen one on all training rows.
pub trait Search: Stage {
    /// Into how many folds the training rows are divided.
    fn inner_folds(&self) -> u32;

    /// The metric that decides, by its name.
    fn metric(&self) -> &str;

    /// What is tried; at least one, no two alike.
    fn candidates(&self) -> &[Candidate];

    /// An error if its metric can be computed for none of the candidates, of which `says` tells what they say of a row.
    fn measures(&self, says: &[Option<Says>]) -> Result<(), Unfit> {
        let _ = says;
        Ok(())
    }

    /// Chooses. `scores` has a scores artifact for each candidate. The output's fact [`CHOSEN`] is the candidate's number.
    fn choose(&self, scores: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError>;
}

/// The fact that says which candidate a search chose, from 0.
pub const CHOSEN: &str = "chosen";

/// One fold of one repeat, both from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FoldId {
    /// Which repeat.
    pub repeat: u32,
    /// Which fold of it.
    pub fold: u32,
}

impl FoldId {
    /// The part of a splits artifact that holds this fold: `fold.00.03`.
    pub fn part(self) -> String {
        format!("fold.{:02}.{:02}", self.repeat, self.fold)
    }

    /// The fold that a part name of [`FoldId::part`] speaks of.
    pub fn of_part(part: &str) -> Option<FoldId> {
        let (repeat, fold) = part.strip_prefix("fold.")?.split_once('.')?;
        Some(FoldId { repeat: repeat.parse().ok()?, fold: fold.parse().ok()? })
    }
}

/// The part of a splits artifact that names the rows which every fold keeps together, and the group of each.
pub const TOGETHER: &str = "together";

/// Asks the planner for folds, and scores what the folds predicted. Calls no stage itself.
pub trait Evaluate: Stage {
    /// The folds, where the parameters alone decide; `None` where the data does (`folds: given`).
    fn folds(&self) -> Option<Vec<FoldId>>;

    /// Which parts of the frame's profile (see [`crate::stages::ledger`]) it divides the rows by.
    fn looks_at(&self) -> &'static [&'static str] {
        &[]
    }

    /// The guesses that are to run beside it; `None`: all that say what its model says.
    fn baselines(&self) -> Option<&[Baseline]> {
        Some(&[])
    }

    /// Divides the rows: one part `fold.RR.KK` (row_id, train, test) for each fold. `target` has the part `target`, and those
    /// of [`Evaluate::looks_at`].
    fn split(&self, target: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError>;

    /// Scores the held-out predictions of all folds.
    fn score(&self, folds: &[(FoldId, Parts)], target: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError>;

    /// Itself, if it asks what the blocks of the model are worth.
    fn probe(&self) -> Option<&dyn Probe> {
        None
    }
}

/// Writes for people. Never cached: it runs at the end of every run.
pub trait Sink: Stage {
    /// The files to write: name and contents.
    fn write(&self, results: &Results<'_>) -> Result<Vec<(String, Vec<u8>)>, StageError>;

    /// The metric by which it ranks variants, if it was told one: others who rank them do the same.
    fn ranks_by(&self) -> Option<&str> {
        None
    }
}

/// A built stage; the shape decides which rows it may see.
pub enum Work {
    /// Reads files.
    Source(Box<dyn Source>),
    /// Each row by itself.
    RowWise(Box<dyn RowWise>),
    /// All rows, nothing learned.
    WholeTable(Box<dyn WholeTable>),
    /// Learns from training rows alone.
    Learner(Box<dyn Learner>),
    /// Learns from what models predict for rows that they have not seen.
    Meta(Box<dyn MetaLearner>),
    /// Chooses among candidates.
    Search(Box<dyn Search>),
    /// Folds and scores.
    Evaluate(Box<dyn Evaluate>),
    /// For people.
    Sink(Box<dyn Sink>),
}

impl Work {
    /// What the stage says about itself.
    pub fn stage(&self) -> &dyn Stage {
        match self {
            Work::Source(s) => s.as_ref(),
            Work::RowWise(s) => s.as_ref(),
            Work::WholeTable(s) => s.as_ref(),
            Work::Learner(s) => s.as_ref(),
            Work::Meta(s) => s.as_ref(),
            Work::Search(s) => s.as_ref(),
            Work::Evaluate(s) => s.as_ref(),
            Work::Sink(s) => s.as_ref(),
        }
    }
}

/// A kind of stage: one file, one line in [`crate::stages::STAGES`].
pub trait StageKind: 'static {
    /// The word after `use:`.
    const KIND: &'static str;
    /// Bump when equal params and inputs give new rows.
    const VERSION: u32;
    /// One line for `explain` and the manual.
    const SUMMARY: &'static str;
    /// A YAML node (`{ use: …, from: …, with: … }`) whose inputs are named after kinds; a test parses and plans it.
    const EXAMPLE: &'static str;
    /// The parameters as written: `#[serde(default, deny_unknown_fields)]`; its doc comments are the manual.
    type Params: DeserializeOwned + Serialize + JsonSchema + Default;

    /// Checks the parameters and builds the stage.
    fn build(params: Self::Params, at: &Scope<'_>) -> Result<Work, Problems>;

    /// The parameters as the key sees them: defaults elided, so that a new option at its default changes no key.
    fn canonical(params: &Self::Params) -> Value {
        elided(params, &Self::Params::default())
    }
}

/// A row of the registry: a kind with its types erased.
pub struct Kind {
    /// The word after `use:`.
    pub name: &'static str,
    /// Semantic version.
    pub version: u32,
    /// One line.
    pub summary: &'static str,
    /// A YAML node.
    pub example: &'static str,
    /// The schema of its parameters.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Parses, checks and builds.
    pub build: fn(Value, &Scope<'_>) -> Result<Built, Problems>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).field("version", &self.version).finish()
    }
}

/// A built stage and its canonical parameters.
pub struct Built {
    /// The stage.
    pub work: Work,
    /// What enters the key.
    pub params: Value,
}

impl Kind {
    /// The registry row of `K`.
    pub const fn of<K: StageKind>() -> Kind {
        Kind {
            name: K::KIND,
            version: K::VERSION,
            summary: K::SUMMARY,
            example: K::EXAMPLE,
            schema: |generator| K::Params::json_schema(generator),
            build: build::<K>,
        }
    }
}

fn build<K: StageKind>(params: Value, at: &Scope<'_>) -> Result<Built, Problems> {
    let params: K::Params = serde_path_to_error::deserialize(params).map_err(|error| {
        let path: Vec<String> = error.path().iter().map(|segment| segment.to_string()).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        at.problem("invalid-param", &path, error.inner().to_string())
    })?;
    let canonical = K::canonical(&params);
    Ok(Built { work: K::build(params, at)?, params: canonical })
}

/// `value` as JSON without the fields that equal `default`'s; objects are compared field by field.
pub fn elided<T: Serialize>(value: &T, default: &T) -> Value {
    fn strip(value: Value, default: &Value) -> Option<Value> {
        match (value, default) {
            (value, default) if value == *default => None,
            (Value::Object(fields), Value::Object(defaults)) => Some(Value::Object(
                fields
                    .into_iter()
                    .filter_map(|(name, value)| {
                        let kept = match defaults.get(&name) {
                            Some(default) => strip(value, default),
                            None => Some(value),
                        };
                        kept.map(|value| (name, value))
                    })
                    .collect(),
            )),
            (value, _) => Some(value),
        }
    }
    let json = |of: &T| serde_json::to_value(of).unwrap_or(Value::Null);
    strip(json(value), &json(default)).unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

/// Where a stage is being built, so that its complaints point at the line.
pub struct Scope<'a> {
    /// The stage's id.
    pub stage: &'a str,
    /// Where relative paths start: the pipeline file's folder.
    pub base: &'a Path,
    /// The origin of a value inside `with`.
    pub locate: &'a dyn Fn(&[&str]) -> Option<Origin>,
}

impl Scope<'_> {
    /// An error about the parameter at `param` (the way into `with`; empty for the whole of it).
    pub fn problem(&self, code: &'static str, param: &[&str], message: impl Into<String>) -> Problem {
        Problem::error(code, message).at((self.locate)(param))
    }
}

/// The fetched files of a stage, one list per [`FileNeed`] in order.
#[derive(Debug, Clone, Default)]
pub struct Files(pub Vec<(FileRole, Vec<Fetched>)>);

/// What the stage calls a file.
pub type FileRole = String;

impl Files {
    /// The only file of a role.
    pub fn one(&self, role: &str) -> Result<&Fetched, StageError> {
        self.0
            .iter()
            .find(|(name, _)| name == role)
            .and_then(|(_, files)| files.first())
            .ok_or_else(|| StageError::failed(format!("no file was fetched for `{role}`")))
    }
}

/// A table that a stage made, or one of its inputs handed on as it is.
#[derive(Debug)]
pub enum Made {
    /// New rows.
    Table(RecordBatch),
    /// The same bytes as an input's part: nothing is written again.
    Same(Part),
}

/// What a stage made.
#[derive(Debug, Default)]
pub struct Output {
    /// The tables by part name.
    pub parts: Vec<(String, Made)>,
    /// Rows made, for the record.
    pub rows: u64,
    /// Counts and findings worth keeping with the artifact: rows dropped, tokens cut, iterations, …
    pub facts: BTreeMap<String, Value>,
    /// What a person should be told, now and whenever the artifact is reused.
    pub warnings: Vec<String>,
}

impl Output {
    /// Nothing yet.
    pub fn new() -> Self {
        Output::default()
    }

    /// Adds a table; `rows` becomes the number of its rows if it is row-level.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>, table: RecordBatch) -> Self {
        if is_row_level(&table) {
            self.rows = table.num_rows() as u64;
        }
        self.parts.push((name.into(), Made::Table(table)));
        self
    }

    /// Hands an input's part on.
    #[must_use]
    pub fn same(mut self, name: impl Into<String>, part: &Part) -> Self {
        self.parts.push((name.into(), Made::Same(part.clone())));
        self
    }

    /// Says how many rows were worked on, where the tables do not tell (a learner's training rows).
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows as u64;
        self
    }

    /// Keeps a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Keeps a warning.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}

/// Hears how far a unit has come.
pub trait Progress: Sync {
    /// `done` of `total` (0: unknown), counted in `noun` (`texts`, `rows`, `bytes`).
    fn progress(&self, done: u64, total: u64, noun: &'static str);

    /// So much more was worked through, in each noun: what a speed is told of. Nothing that was remembered counts; the first noun
    /// is what `progress` counts, maybe under another name.
    fn worked(&self, _more: &[(u64, &'static str)]) {}
}

/// What a running stage may ask of the runner.
pub struct Ctx<'a> {
    /// The unit's own seed, derived from the pipeline's seed, the kind and the fold.
    pub seed: u64,
    /// Set when the run is to end.
    pub cancelled: &'a AtomicBool,
    /// Hears how far the unit has come.
    pub progress: &'a dyn Progress,
}

impl Ctx<'_> {
    /// An error once the run is to end; long loops ask now and then.
    pub fn check(&self) -> Result<(), StageError> {
        if self.is_cancelled() { Err(StageError::Interrupted) } else { Ok(()) }
    }

    /// True once the run is to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
