//! Which units of work does a pipeline come to, and what must run before what?
//!
//! A [`Plan`] is a graph of [`Unit`]s (petgraph). [`lift`] makes it: it puts every learner between the source and the model
//! into its folds and shares whatever does not depend on one. [`key`] says what a unit's identity is made of, [`why`]
//! compares two identities and [`words`] tells the difference, [`cost`] says what units may cost, [`view`] draws the plan.
//! Pure: no clock, no disk.

pub mod cost;
pub mod key;
mod known;
mod lift;
pub mod view;
pub mod why;
pub mod words;

use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value;

use crate::stage::{Baseline, Candidate, FRAME_PARTS, FoldId, Kind, Numeric, Work};
use crate::table::Digest;

pub use known::Known;
pub use lift::{fitted, plan};

/// Which unit of a plan.
pub type UnitId = NodeIndex<u32>;

/// What a unit does with its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// A source, row-wise or whole-table stage runs.
    Run,
    /// A row-wise stage says what it will do to rows, without the work.
    Survey,
    /// Each text is looked at for the data ledger.
    Profile,
    /// An evaluation divides the rows.
    Split,
    /// A learner learns from training rows.
    Fit,
    /// A learner applies what it learned.
    Apply,
    /// An evaluation scores what the folds predicted.
    Score,
    /// The data ledger counts.
    Ledger,
    /// A learner applies what it learned to rows of which a block of features has been shuffled.
    Shuffle,
    /// A learner says what its weights do.
    Weigh,
    /// An evaluation counts what the blocks of features are worth.
    Importance,
}

impl Phase {
    /// As written in keys, summaries and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Run => "run",
            Phase::Survey => "survey",
            Phase::Profile => "profile",
            Phase::Split => "split",
            Phase::Fit => "fit",
            Phase::Apply => "apply",
            Phase::Score => "score",
            Phase::Ledger => "ledger",
            Phase::Shuffle => "shuffle",
            Phase::Weigh => "weigh",
            Phase::Importance => "importance",
        }
    }
}

/// What an input is to the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Input number *n* of the stage.
    Input(usize),
    /// The labels of the frame.
    Target,
    /// One fold of the splits.
    Fold,
    /// What the learner learned.
    Learned,
    /// What one fold predicted.
    Predicted(FoldId),
    /// What a model, by its number, predicted for one inner fold.
    OutOfFold(usize, FoldId),
    /// The scores of a candidate, by its number.
    Candidate(usize),
    /// What one fold predicted after blocks were shuffled.
    Shuffled(FoldId),
    /// What the weights of one fold's model do.
    Weighed(FoldId),
}

/// Which parts of an artifact a unit reads; only these enter its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// Whole names, or prefixes that end in `.`.
    Patterns(&'static [&'static str]),
    /// One part.
    Named(String),
    /// All parts.
    All,
    /// Of these, what only the stage has that began the frame: [`FRAME_PARTS`].
    OfFrame(&'static [&'static str]),
}

impl Reads {
    /// True if the part called `name` is read.
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Reads::All => true,
            Reads::Named(one) => one == name,
            Reads::OfFrame(parts) => FRAME_PARTS.contains(&name) && parts.contains(&name),
            Reads::Patterns(patterns) => {
                patterns.iter().any(|p| if p.ends_with('.') { name.starts_with(p) } else { *p == name })
            }
        }
    }
}

/// An input of a unit.
#[derive(Debug, Clone)]
pub struct Input {
    /// The unit that makes it.
    pub unit: UnitId,
    /// What it is to this unit.
    pub role: Role,
    /// The parts read.
    pub reads: Reads,
}

/// The fold that a unit stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFold {
    /// The fold's name among those that its rows are divided into.
    pub id: FoldId,
    /// The fold of the evaluation, counted over all repeats; `None` where nothing is evaluated.
    pub number: Option<u32>,
    /// The folds of its training rows, the outermost first, where these are divided once more.
    pub inner: Vec<u32>,
}

impl UnitFold {
    /// Fold `id` of the training rows of `outer` (`None`: of all rows).
    fn within(outer: Option<&UnitFold>, id: FoldId) -> UnitFold {
        let mut inner = outer.map(|outer| outer.inner.clone()).unwrap_or_default();
        inner.push(id.fold);
        UnitFold { id, number: outer.and_then(|outer| outer.number), inner }
    }

    /// From 1, as people count: `3`; `3.2` is the second fold of the third's training rows.
    pub fn shown(&self) -> String {
        let number = self.number.map(|number| (number + 1).to_string());
        let inner = self.inner.iter().map(|inner| (inner + 1).to_string());
        match (number, self.inner.is_empty()) {
            (None, false) => format!("0.{}", inner.collect::<Vec<_>>().join(".")),
            (number, _) => number.into_iter().chain(inner).collect::<Vec<_>>().join("."),
        }
    }
}

/// Stage × variant × fold × phase: what is scheduled, keyed and cached.
pub struct Unit {
    /// The stage's id, in the first variant that needs the unit.
    pub stage: String,
    /// The stage's kind.
    pub kind: &'static Kind,
    /// The built stage.
    pub work: Arc<Work>,
    /// What the unit does with it.
    pub phase: Phase,
    /// The fold.
    pub fold: Option<UnitFold>,
    /// Canonical parameters.
    pub params: Arc<Value>,
    /// The unit's own seed, if its answer depends on chance.
    pub seed: Option<u64>,
    /// Inputs in a fixed order.
    pub inputs: Vec<Input>,
    /// The variants (indices into the pipeline's) that share the unit.
    pub variants: Vec<usize>,
    /// What the candidates of searches that share it set, each a path and its value; empty if it is needed without them too.
    pub tried: Candidate,
    /// The unit's place in the plan's structure: equal work has one.
    pub ident: Digest,
}

impl Unit {
    /// For messages: `tfidf` · fit · fold 3.
    pub fn title(&self) -> String {
        let mut title = self.stage.clone();
        if self.phase != Phase::Run {
            title.push(' ');
            title.push_str(self.phase.as_str());
        }
        if let Some(fold) = &self.fold {
            title.push_str(&format!(" fold {}", fold.shown()));
        }
        title
    }

    /// Which part of the machine decides the last bits of what it makes; dividing rows is the same everywhere.
    pub fn numeric(&self) -> Numeric {
        match self.phase {
            Phase::Split => Numeric::Exact,
            _ => self.work.stage().numeric(),
        }
    }

    /// The unit's name within any variant of any run of the same file, for [`why`].
    pub fn place(&self) -> String {
        let fold = self.fold.as_ref().map_or_else(String::new, UnitFold::shown);
        serde_json::json!([self.stage, self.phase.as_str(), fold]).to_string()
    }
}

/// One variant's evaluation: where its scores and rows are.
#[derive(Debug, Clone)]
pub struct EvaluationUnits {
    /// Index of the variant.
    pub variant: usize,
    /// The evaluating stage's id.
    pub stage: String,
    /// The unit that scores; `None` while the folds are not known.
    pub score: Option<UnitId>,
    /// The unit that divides.
    pub split: UnitId,
    /// The unit that holds the frame's texts and targets.
    pub frame: UnitId,
    /// The unit that holds the texts as the frame's last row-wise stage left them.
    pub text: UnitId,
    /// What the blocks of its model are worth, where that is asked and the folds are known.
    pub importance: Option<ImportanceUnits>,
}

/// Where it is counted what the blocks of a model are worth.
#[derive(Debug, Clone, Default)]
pub struct ImportanceUnits {
    /// The unit that counts; `None` if there is nothing to count.
    pub unit: Option<UnitId>,
    /// What the blocks are called, in their order: the stages that make them.
    pub blocks: Vec<String>,
    /// Why none of them is shuffled, if none is.
    pub unshuffled: Option<&'static str>,
}

/// A guess that runs beside evaluations, on the same rows and folds.
#[derive(Debug, Clone)]
pub struct BaselineUnits {
    /// The guess.
    pub baseline: Baseline,
    /// Indices of the variants that it stands beside.
    pub variants: Vec<usize>,
    /// Where its scores and rows are; the variant is the first of them.
    pub units: EvaluationUnits,
}

/// The data ledger of a frame, and of an evaluation of it.
#[derive(Debug, Clone)]
pub struct LedgerUnits {
    /// The stage that began the frame.
    pub stage: String,
    /// The evaluating stage's id, if there is one.
    pub evaluation: Option<String>,
    /// Indices of the variants whose rows these are.
    pub variants: Vec<usize>,
    /// The unit that counts.
    pub unit: UnitId,
    /// The unit that holds the frame's texts and targets.
    pub frame: UnitId,
    /// The stages that were asked what they cut off, in the order of the ledger's inputs.
    pub surveyed: Vec<String>,
}

/// Where a search chose.
#[derive(Debug, Clone)]
pub struct SearchUnit {
    /// Index of the variant.
    pub variant: usize,
    /// The searching stage's id.
    pub stage: String,
    /// The unit that divided the rows, and the fold's number; `None` where it searched on all rows.
    pub fold: Option<(UnitId, u32)>,
    /// The unit that chooses.
    pub unit: UnitId,
}

/// What a pipeline comes to.
pub struct Plan {
    /// The units; edges run from a unit to those that read it.
    pub graph: DiGraph<Unit, ()>,
    /// An order in which every unit stands after what it reads.
    pub order: Vec<UnitId>,
    /// Every variant's evaluations.
    pub evaluations: Vec<EvaluationUnits>,
    /// What runs beside them.
    pub baselines: Vec<BaselineUnits>,
    /// The data ledgers.
    pub ledgers: Vec<LedgerUnits>,
    /// Units whose answers decide what else there is to do, and which are not known yet: divisions whose folds are in the data,
    /// and choices among candidates. Once they have run, plan again.
    pub open: Vec<UnitId>,
    /// By unit: does it, or anything it reads, wait for such an answer? It cannot run in this plan.
    pub waits: Vec<bool>,
    /// Where searches chose, outside inner folds.
    pub searches: Vec<SearchUnit>,
    /// Where each stage's artifacts are, variant by variant.
    pub stages: Vec<StageUnit>,
}

/// Where a stage's artifact is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StageUnit {
    /// Index of the variant.
    pub variant: usize,
    /// The stage's id.
    pub stage: Arc<str>,
    /// The fold's number, if the stage is in folds.
    pub fold: Option<u32>,
    /// What the unit does.
    pub phase: Phase,
    /// The unit.
    pub unit: UnitId,
}

impl Plan {
    /// The unit.
    pub fn unit(&self, id: UnitId) -> &Unit {
        &self.graph[id]
    }

    /// Where the artifacts of a stage of a variant are, in any fold and phase.
    pub fn of_stage<'p>(&'p self, stage: &'p str, variant: usize) -> impl Iterator<Item = &'p StageUnit> {
        let first = self.stages.partition_point(|unit| unit.variant < variant);
        let of_variant = self.stages.iter().skip(first).take_while(move |unit| unit.variant == variant);
        of_variant.filter(move |unit| *unit.stage == *stage)
    }

    /// Those of `units` that can run in this plan.
    pub fn ready(&self, mut units: Vec<UnitId>) -> Vec<UnitId> {
        units.retain(|id| !self.waits[id.index()]);
        units
    }

    /// The units that `wanted` need, themselves included, in order.
    pub fn needed_for(&self, wanted: &[UnitId]) -> Vec<UnitId> {
        let mut needed = vec![false; self.graph.node_count()];
        let mut stack = wanted.to_vec();
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.index()], true) {
                stack.extend(self.graph[id].inputs.iter().map(|input| input.unit));
            }
        }
        self.order.iter().copied().filter(|id| needed[id.index()]).collect()
    }
}
