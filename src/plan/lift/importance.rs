//! Which units find out what the blocks of a model's features are worth? Beside the unit that applies a fold's model: one that applies
//! it to shuffled rows, and one that says what its weights do. They read what that one reads, so nothing that scores changes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Lift, Lifting};
use crate::pipeline::Node;
use crate::plan::{ImportanceUnits, Input, Phase, Reads, Role, UnitId};
use crate::stage::{BlockOrigin, FoldId, Kind, Port, Probe, Work};
use crate::table::Digest;

/// The parts that say what columns are called, beside the columns.
const NAMED: &[&str] = &["block.", "names."];

/// Why nothing is shuffled.
const SEVERAL: &str = "its answers do not come from one learner that reads features";
const ONE_BLOCK: &str = "its model reads one block of features";
const UNLIKE: &str = "searches chose other blocks of features in other folds";

/// An evaluation whose folds are lifted.
pub(super) struct Scored {
    /// The unit that scores.
    pub(super) score: UnitId,
    /// The unit that gives the predictions of each fold.
    pub(super) models: Vec<(FoldId, UnitId)>,
    /// The labels.
    pub(super) target: Input,
}

/// Under the model of a fold: the learner's unit that reads features, and what stands between.
struct Base {
    learner: UnitId,
    /// Stages over one model, the outermost first.
    over: Vec<UnitId>,
}

impl<'a> Lift<'a> {
    /// The unit that counts, and those that it reads; `None` while it is not known which models there are.
    pub(super) fn importance(
        &mut self,
        of: &Lifting<'a>,
        node: &Node,
        probe: &dyn Probe,
        scored: &Scored,
    ) -> Option<ImportanceUnits> {
        if scored.models.iter().any(|(_, model)| self.waits[model.index()]) {
            return None;
        }
        let found: Option<Vec<Base>> = scored.models.iter().map(|(_, model)| self.base(*model)).collect();
        let Some(bases) = found else {
            return Some(ImportanceUnits { unshuffled: Some(SEVERAL), ..ImportanceUnits::default() });
        };
        let mut blocks: Vec<Vec<String>> = bases.iter().map(|base| self.blocks(base.learner)).collect();
        blocks.dedup();
        let (1, Some(blocks)) = (blocks.len(), blocks.pop()) else {
            return Some(ImportanceUnits { unshuffled: Some(UNLIKE), ..ImportanceUnits::default() });
        };
        let unshuffled = (blocks.len() < 2).then_some(ONE_BLOCK);
        let mut inputs = vec![scored.target.clone()];
        let (score, reads) = (scored.score, Reads::Patterns(&["metrics"]));
        inputs.push(Input { unit: score, role: Role::Input(0), reads });
        for ((fold, _), base) in scored.models.iter().zip(&bases) {
            if unshuffled.is_none() && probe.permutations() > 0 {
                let unit = self.shuffled(of, base, probe.permutations());
                inputs.push(Input { unit, role: Role::Shuffled(*fold), reads: Reads::All });
            }
            if let Some(unit) = self.weighed(of, base) {
                inputs.push(Input { unit, role: Role::Weighed(*fold), reads: Reads::All });
            }
        }
        let unit = (inputs.len() > 2).then(|| {
            let params = json!({ "evaluation": &*node.params, "importance": probe.asked() });
            let node = derived(&node.id, node.kind, params, &node.work);
            self.unit(of, &node, Phase::Importance, None, inputs)
        });
        Some(ImportanceUnits { unit, blocks, unshuffled })
    }

    /// The learner under a model; `None` where there are several, or none.
    fn base(&self, model: UnitId) -> Option<Base> {
        let (mut at, mut over) = (model, Vec::new());
        loop {
            let unit = &self.graph[at];
            let mut below = unit.inputs.iter().filter(|input| matches!(input.role, Role::Input(_)));
            match (&*unit.work, below.next(), below.next()) {
                (Work::Learner(_), ..) if unit.phase == Phase::Apply => return Some(Base { learner: at, over }),
                (Work::Meta(_), Some(only), None) => {
                    over.push(at);
                    at = only.unit;
                }
                (Work::Search(_), Some(chosen), None) => at = chosen.unit,
                _ => return None,
            }
        }
    }

    /// What the blocks are called that a unit reads: by the stages that make them, those of one stage and equal ones by number.
    fn blocks(&self, learner: UnitId) -> Vec<String> {
        let mut found = Vec::new();
        self.gather(learner, &mut found);
        let twice = |name: &String| found.iter().filter(|other| *other == name).count() > 1;
        let number = |at: usize| found[..=at].iter().filter(|other| **other == found[at]).count();
        let name = |(at, name): (usize, &String)| match twice(name) {
            true => format!("{name} {}", number(at)),
            false => name.clone(),
        };
        found.iter().enumerate().map(name).collect()
    }

    fn gather(&self, reader: UnitId, into: &mut Vec<String>) {
        for input in &self.graph[reader].inputs {
            // the labels and texts of a frame hold no features
            if !matches!(input.role, Role::Input(_)) || matches!(input.reads, Reads::OfFrame(_)) {
                continue;
            }
            let unit = &self.graph[input.unit];
            match unit.work.stage().blocks() {
                BlockOrigin::Inputs => self.gather(input.unit, into),
                BlockOrigin::Own(blocks) => into.extend(std::iter::repeat_n(unit.stage.clone(), blocks)),
            }
        }
    }

    /// The unit that predicts from shuffled rows what the fold's model would say.
    fn shuffled(&mut self, of: &Lifting<'a>, base: &Base, draws: u32) -> UnitId {
        let unit = &self.graph[base.learner];
        let (inputs, fold) = (unit.inputs.clone(), unit.fold.clone());
        let node = self.like(base.learner, |params| json!({ "learner": params, "permutations": draws }));
        let mut below = self.unit(of, &node, Phase::Shuffle, fold.as_ref(), inputs);
        for &over in base.over.iter().rev() {
            let mut inputs = self.graph[over].inputs.clone();
            let model = inputs.iter_mut().filter(|input| matches!(input.role, Role::Input(_)));
            model.for_each(|input| input.unit = below);
            let node = self.like(over, Value::clone);
            below = self.unit(of, &node, Phase::Shuffle, fold.as_ref(), inputs);
        }
        below
    }

    /// The unit that says what the weights of the fold's model do, if it has any.
    fn weighed(&mut self, of: &Lifting<'a>, base: &Base) -> Option<UnitId> {
        let unit = &self.graph[base.learner];
        let Work::Learner(learner) = &*unit.work else { return None };
        learner.weighted()?;
        let (mut inputs, fold) = (unit.inputs.clone(), unit.fold.clone());
        for input in inputs.iter_mut().filter(|input| matches!(input.role, Role::Input(_))) {
            input.reads = Reads::Patterns(NAMED);
        }
        let node = self.like(base.learner, Value::clone);
        Some(self.unit(of, &node, Phase::Weigh, fold.as_ref(), inputs))
    }

    /// A node that does something else with the stage of a unit.
    fn like(&self, unit: UnitId, params: impl FnOnce(&Value) -> Value) -> Node {
        let unit = &self.graph[unit];
        derived(&unit.stage, unit.kind, params(&unit.params), &unit.work)
    }
}

/// A node that no file has.
fn derived(stage: &str, kind: &'static Kind, params: Value, work: &Arc<Work>) -> Node {
    Node {
        id: stage.to_owned(),
        kind,
        inputs: Vec::new(),
        content: Digest::of(json!([kind.name, kind.version, params]).to_string().as_bytes()),
        params: Arc::new(params),
        work: Arc::clone(work),
        port: Port::Model,
        says: None,
        frame: 0,
    }
}
