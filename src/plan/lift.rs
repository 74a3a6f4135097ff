//! How is a pipeline lifted into its folds?
//!
//! Each node of each variant becomes one unit, or (a learner) one unit for each fold and phase. Whether a node stands inside
//! the folds is not the author's choice: it does as soon as it, or anything it reads, learns. Units of equal identity are one,
//! across folds and variants.

mod baselines;
mod books;
mod fitted;
mod importance;
mod meta;
mod search;

use std::sync::Arc;

use petgraph::graph::DiGraph;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;

use books::Books;
pub use fitted::fitted;
use importance::Scored;

use super::{
    BaselineUnits, EvaluationUnits, Input, Known, LedgerUnits, Phase, Plan, Reads, Role, SearchUnit, StageUnit, Unit,
    UnitFold, UnitId,
};
use crate::pipeline::{Node, Pipeline, Variant};
use crate::stage::{ApplyTo, Candidate, FRAME_PARTS, FoldId, Port, Work};
use crate::table::Digest;

/// Plans all variants of a pipeline, as far as what is known allows.
pub fn plan(pipeline: &Pipeline, known: &Known) -> Plan {
    let mut lift = Lift::new(known);
    let mut done = FxHashMap::default();
    for (index, variant) in pipeline.variants.iter().enumerate() {
        done = lift.variant(index, variant, done);
    }
    let ledgers = lift.ledgers();
    lift.plan(ledgers)
}

struct Lift<'a> {
    known: &'a Known,
    graph: DiGraph<Unit, ()>,
    by_ident: FxHashMap<Digest, UnitId>,
    evaluations: Vec<EvaluationUnits>,
    guesses: Vec<BaselineUnits>,
    open: Vec<UnitId>,
    searches: Vec<SearchUnit>,
    waits: Vec<bool>,
    stages: Vec<StageUnit>,
    /// The ids of stages, each kept once.
    names: FxHashMap<String, Arc<str>>,
    placed: FxHashSet<StageUnit>,
    books: Books,
}

/// Units of nodes, by node and the fold of a split that it stands in.
type Done = FxHashMap<(usize, Option<(UnitId, FoldId)>), UnitId>;

/// Inside which fold a node is being lifted.
#[derive(Clone)]
struct Inside {
    split: UnitId,
    fold: UnitFold,
}

impl Inside {
    /// Which rows of the fold a unit may see.
    fn rows(&self) -> Input {
        Input { unit: self.split, role: Role::Fold, reads: Reads::Named(self.fold.id.part()) }
    }
}

/// One variant while it is being lifted.
struct Lifting<'a> {
    index: usize,
    variant: &'a Variant,
    /// For each node: does it, or anything it reads, learn?
    learns: Vec<bool>,
    done: Done,
    /// The candidates of searches, by node.
    candidates: FxHashMap<usize, Vec<Lifting<'a>>>,
    /// What it sets, where it is a candidate itself.
    trying: Candidate,
}

impl<'a> Lifting<'a> {
    fn new(index: usize, variant: &'a Variant, done: Done) -> Self {
        let nodes = &variant.stages;
        let mut learns = vec![false; nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            learns[at] = matches!(*node.work, Work::Learner(_) | Work::Meta(_) | Work::Search(_))
                || node.inputs.iter().any(|&i| learns[i]);
        }
        Lifting { index, variant, learns, done, candidates: FxHashMap::default(), trying: Vec::new() }
    }
}

impl<'a> Lift<'a> {
    fn new(known: &'a Known) -> Self {
        Lift {
            known,
            graph: DiGraph::new(),
            by_ident: FxHashMap::default(),
            evaluations: Vec::new(),
            guesses: Vec::new(),
            open: Vec::new(),
            searches: Vec::new(),
            waits: Vec::new(),
            stages: Vec::new(),
            names: FxHashMap::default(),
            placed: FxHashSet::default(),
            books: Books::default(),
        }
    }

    fn plan(self, ledgers: Vec<LedgerUnits>) -> Plan {
        // Units are added after what they read, so the order of addition is a topological one.
        let order = self.graph.node_indices().collect();
        Plan {
            graph: self.graph,
            order,
            evaluations: self.evaluations,
            baselines: self.guesses,
            ledgers,
            open: self.open.iter().copied().filter(|id| !self.waits[id.index()]).collect(),
            waits: self.waits,
            searches: self.searches,
            stages: self.stages,
        }
    }

    /// Lifts one variant; `done` is room to use again, which is given back empty.
    fn variant(&mut self, index: usize, variant: &'a Variant, done: Done) -> Done {
        let nodes = &variant.stages;
        let mut read = vec![false; nodes.len()];
        for node in nodes {
            if !matches!(*node.work, Work::Sink(_)) {
                node.inputs.iter().for_each(|&i| read[i] = true);
            }
        }
        let mut lifting = Lifting::new(index, variant, done);
        for (at, node) in nodes.iter().enumerate() {
            match *node.work {
                Work::Evaluate(_) => self.evaluation(&mut lifting, at),
                Work::Sink(_) => {}
                _ if !read[at] => {
                    self.node(&mut lifting, at, None);
                }
                _ => {}
            }
        }
        self.look_at(&mut lifting);
        lifting.done.clear();
        lifting.done
    }

    /// Divides, lifts the model into every fold, scores.
    fn evaluation(&mut self, of: &mut Lifting<'a>, at: usize) {
        let node = &of.variant.stages[at];
        let Work::Evaluate(evaluate) = &*node.work else { return };
        let model = node.inputs[0];
        let frame = self.node(of, of.variant.stages[model].frame, None);
        let target = |role| Input { unit: frame, role, reads: Reads::Patterns(&["target"]) };
        let mut inputs = vec![target(Role::Target)];
        if !evaluate.looks_at().is_empty() {
            let unit = self.profile(of, of.variant.stages[model].frame, frame);
            inputs.push(Input { unit, role: Role::Target, reads: Reads::Patterns(evaluate.looks_at()) });
        }
        let split = self.unit(of, node, Phase::Split, None, inputs);
        self.place(of, node, split, Phase::Split, None);
        let text = self.text_of(of, model);
        let mut units = EvaluationUnits {
            variant: of.index,
            stage: node.id.clone(),
            score: None,
            split,
            frame,
            text,
            importance: None,
        };
        let folds = evaluate.folds().or_else(|| self.known.folds(&self.graph[split].ident));
        match folds {
            None => {
                if !self.open.contains(&split) {
                    self.open.push(split);
                }
            }
            Some(folds) => {
                let inside =
                    |(number, id)| Inside { split, fold: UnitFold { id, number: Some(number), inner: Vec::new() } };
                let inside: Vec<Inside> = (0u32..).zip(folds).map(inside).collect();
                let mut inputs = vec![target(Role::Target)];
                let mut models = Vec::with_capacity(inside.len());
                for inside in &inside {
                    let unit = self.node(of, model, Some(inside));
                    inputs.push(Input { unit, role: Role::Predicted(inside.fold.id), reads: Reads::All });
                    models.push((inside.fold.id, unit));
                }
                let score = self.unit(of, node, Phase::Score, None, inputs);
                self.place(of, node, score, Phase::Score, None);
                units.score = Some(score);
                self.baselines(of, at, &units, &inside);
                if let Some(probe) = evaluate.probe() {
                    units.importance =
                        self.importance(of, node, probe, &Scored { score, models, target: target(Role::Target) });
                }
            }
        }
        self.evaluations.push(units);
    }

    /// The unit that makes a node's artifact, inside a fold if the node learns.
    fn node(&mut self, of: &mut Lifting<'a>, at: usize, inside: Option<&Inside>) -> UnitId {
        let inside = inside.filter(|_| of.learns[at]);
        let slot = (at, inside.map(|i| (i.split, i.fold.id)));
        if let Some(&unit) = of.done.get(&slot) {
            return unit;
        }
        let node = &of.variant.stages[at];
        let unit = match &*node.work {
            Work::Learner(_) => self.learner(of, at, inside),
            Work::Meta(_) => self.meta(of, at, inside),
            Work::Search(_) => self.search(of, at, inside),
            _ => {
                let inputs = self.inputs(of, at, inside);
                let fold = inside.map(|i| &i.fold);
                let unit = self.unit(of, node, Phase::Run, fold, inputs);
                self.place(of, node, unit, Phase::Run, fold);
                unit
            }
        };
        of.done.insert(slot, unit);
        unit
    }

    /// Fits on the fold's training rows (all rows outside folds), then applies.
    fn learner(&mut self, of: &mut Lifting<'a>, at: usize, inside: Option<&Inside>) -> UnitId {
        let node = &of.variant.stages[at];
        let Work::Learner(learner) = &*node.work else { unreachable!("only learners are lifted here") };
        let fold = inside.map(|i| &i.fold);
        let rows = self.inputs(of, at, inside);

        let mut inputs = rows.clone();
        if learner.supervised() {
            let unit = self.node(of, node.frame, None);
            inputs.push(Input { unit, role: Role::Target, reads: Reads::Patterns(&["target"]) });
        }
        inputs.extend(inside.map(Inside::rows));
        let fit = self.unit(of, node, Phase::Fit, fold, inputs);
        self.place(of, node, fit, Phase::Fit, fold);
        if inside.is_none() && learner.applies_to() == ApplyTo::HeldOut {
            return fit;
        }

        let mut inputs = rows;
        inputs.push(Input { unit: fit, role: Role::Learned, reads: Reads::All });
        if learner.applies_to() == ApplyTo::HeldOut {
            inputs.extend(inside.map(Inside::rows));
        }
        let apply = self.unit(of, node, Phase::Apply, fold, inputs);
        self.place(of, node, apply, Phase::Apply, fold);
        apply
    }

    /// A node's inputs. The parts [`FRAME_PARTS`] always come from the stage that began the frame.
    fn inputs(&mut self, of: &mut Lifting<'a>, at: usize, inside: Option<&Inside>) -> Vec<Input> {
        let node = &of.variant.stages[at];
        let mut inputs = Vec::new();
        for (index, &from) in node.inputs.iter().enumerate() {
            let reads = node.work.stage().reads(index);
            let unit = self.node(of, from, inside);
            inputs.push(Input { unit, role: Role::Input(index), reads: Reads::Patterns(reads) });
            let frame = of.variant.stages[from].frame;
            if frame != from && reads.iter().any(|part| FRAME_PARTS.contains(part)) {
                let unit = self.node(of, frame, None);
                inputs.push(Input { unit, role: Role::Input(index), reads: Reads::OfFrame(reads) });
            }
        }
        inputs
    }

    /// The nearest ancestor that gives texts.
    fn text_of(&mut self, of: &mut Lifting<'a>, at: usize) -> UnitId {
        let mut at = at;
        while of.variant.stages[at].port != Port::Rows {
            match of.variant.stages[at].inputs.first() {
                Some(&from) => at = from,
                None => break,
            }
        }
        self.node(of, at, None)
    }

    /// The unit with this identity: a new one, or the one that another fold or variant already needs.
    fn unit(
        &mut self,
        of: &Lifting<'a>,
        node: &Node,
        phase: Phase,
        fold: Option<&UnitFold>,
        inputs: Vec<Input>,
    ) -> UnitId {
        let seeded = match phase {
            Phase::Run | Phase::Split | Phase::Fit => node.work.stage().seeded(),
            Phase::Shuffle => matches!(*node.work, Work::Learner(_)),
            _ => false,
        };
        let seed = seeded.then(|| derive_seed(of.variant.seed, node.kind.name, phase, fold));
        let id = self.unit_like(node, phase, fold, seed, inputs);
        let unit = &mut self.graph[id];
        match unit.variants.is_empty() {
            true => unit.tried = of.trying.clone(),
            false => unit.tried.retain(|one| of.trying.contains(one)),
        }
        if unit.variants.last() != Some(&of.index) {
            unit.variants.push(of.index);
        }
        id
    }

    /// The same, of no variant yet.
    fn unit_like(
        &mut self,
        node: &Node,
        phase: Phase,
        fold: Option<&UnitFold>,
        seed: Option<u64>,
        inputs: Vec<Input>,
    ) -> UnitId {
        let ident = self.ident(node, phase, seed, &inputs);
        match self.by_ident.get(&ident) {
            Some(&id) => id,
            None => {
                let mut sources: Vec<UnitId> = inputs.iter().map(|input| input.unit).collect();
                sources.sort_unstable();
                sources.dedup();
                self.waits.push(sources.iter().any(|source| self.waits[source.index()]));
                let id = self.graph.add_node(Unit {
                    stage: node.id.clone(),
                    kind: node.kind,
                    work: Arc::clone(&node.work),
                    phase,
                    fold: fold.cloned(),
                    params: Arc::clone(&node.params),
                    seed,
                    inputs,
                    variants: Vec::new(),
                    tried: Vec::new(),
                    ident,
                });
                // Never `update_edge`: it looks through all edges of a unit that thousands may read.
                for source in sources {
                    self.graph.add_edge(source, id, ());
                }
                self.by_ident.insert(ident, id);
                id
            }
        }
    }

    /// What the unit is, without names: what its stage is, what it does, and what it reads as what.
    fn ident(&self, node: &Node, phase: Phase, seed: Option<u64>, inputs: &[Input]) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(node.content.as_bytes());
        hasher.update(&[phase as u8, u8::from(seed.is_some())]);
        hasher.update(&seed.unwrap_or_default().to_le_bytes());
        for input in inputs {
            let (role, first, second) = match input.role {
                Role::Input(index) => (0_u8, index as u64, 0),
                Role::Target => (1, 0, 0),
                Role::Fold => (2, 0, 0),
                Role::Learned => (3, 0, 0),
                Role::Predicted(fold) => (4, u64::from(fold.repeat), u64::from(fold.fold)),
                Role::Candidate(number) => (6, number as u64, 0),
                Role::Shuffled(fold) => (7, u64::from(fold.repeat), u64::from(fold.fold)),
                Role::Weighed(fold) => (8, u64::from(fold.repeat), u64::from(fold.fold)),
                Role::OutOfFold(model, fold) => (5, model as u64, u64::from(fold.fold)),
            };
            hasher.update(&[role]).update(&first.to_le_bytes()).update(&second.to_le_bytes());
            let mut names = |kind: u8, names: &[&str]| {
                hasher.update(&[kind]).update(&(names.len() as u64).to_le_bytes());
                for name in names {
                    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
                }
            };
            match &input.reads {
                Reads::Patterns(patterns) => names(0, patterns),
                Reads::Named(name) => names(1, &[name]),
                Reads::All => names(2, &[]),
                Reads::OfFrame(patterns) => names(3, patterns),
            }
            hasher.update(self.graph[input.unit].ident.as_bytes());
        }
        Digest::new(*hasher.finalize().as_bytes())
    }

    fn place(&mut self, of: &Lifting<'a>, node: &Node, unit: UnitId, phase: Phase, fold: Option<&UnitFold>) {
        // What stands in inner folds is no artifact of the stage that one would ask for.
        if fold.is_some_and(|fold| !fold.inner.is_empty()) {
            return;
        }
        let fold = fold.and_then(|fold| fold.number);
        let stage = match self.names.get(&node.id) {
            Some(name) => Arc::clone(name),
            None => {
                let name: Arc<str> = node.id.as_str().into();
                self.names.insert(node.id.clone(), Arc::clone(&name));
                name
            }
        };
        let unit = StageUnit { variant: of.index, stage, fold, phase, unit };
        // The candidates of a search share stages with each other.
        if self.placed.insert(unit.clone()) {
            self.stages.push(unit);
        }
    }
}

/// A unit's own seed. It comes from the pipeline's seed, the kind and the fold, not from the stage's name or the variant:
/// names never enter a key, and equal work in two variants is the same work.
fn derive_seed(seed: u64, kind: &str, phase: Phase, fold: Option<&UnitFold>) -> u64 {
    let place = fold.map(|fold| match fold.inner.is_empty() {
        true => vec![fold.id.repeat, fold.id.fold],
        false => [u32::MAX, fold.number.unwrap_or(u32::MAX)].into_iter().chain(fold.inner.iter().copied()).collect(),
    });
    let whole = json!([seed, kind, phase.as_str(), place]).to_string();
    let digest = blake3::hash(whole.as_bytes());
    let mut first = [0u8; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(first)
}
