//! Which guesses run beside an evaluation? Each is a model that no file names, lifted into the same folds and scored like any other.

use std::sync::Arc;

use serde_json::json;

use super::{Inside, Lift, Lifting};
use crate::pipeline::Node;
use crate::plan::{BaselineUnits, EvaluationUnits, Input, Phase, Reads, Role, UnitId};
use crate::stage::{Baseline, Port, Work};
use crate::stages::baseline;
use crate::table::Digest;

impl<'a> Lift<'a> {
    /// Lifts the baselines of the evaluation `at`, which divided and scored as `units` say; `target` is of its frame.
    pub(super) fn baselines(&mut self, of: &mut Lifting<'a>, at: usize, units: &EvaluationUnits, inside: &[Inside]) {
        let node = &of.variant.stages[at];
        let Work::Evaluate(evaluate) = &*node.work else { return };
        let model = &of.variant.stages[node.inputs[0]];
        let Some(says) = model.says else { return };
        let all = Baseline::of(says.task);
        let wanted: Vec<Baseline> = match evaluate.baselines() {
            Some(some) => all.filter(|one| some.contains(one)).collect(),
            None => all.collect(),
        };
        for one in wanted {
            let name = one.stage(&node.id);
            let params = json!({ "baseline": one.name(), "task": says.task.name() });
            let content = json!([baseline::KIND.name, baseline::KIND.version, params]).to_string();
            let guess = Node {
                id: name.clone(),
                kind: &baseline::KIND,
                inputs: Vec::new(),
                params: Arc::new(params),
                work: Arc::new(baseline::of(one, says.task)),
                content: Digest::of(content.as_bytes()),
                port: Port::Model,
                says: Some(says),
                frame: model.frame,
            };
            let scoring = Node { id: name, ..Node::clone(node) };
            let score = self.guessed(of, &guess, &scoring, units, inside);
            match self.guesses.iter_mut().find(|known| known.units.score == Some(score)) {
                Some(known) => known.variants.push(of.index),
                None => {
                    let units = EvaluationUnits { score: Some(score), ..units.clone() };
                    self.guesses.push(BaselineUnits { baseline: one, variants: vec![of.index], units });
                }
            }
        }
    }

    /// Fits and applies in each fold, then scores.
    fn guessed(
        &mut self,
        of: &mut Lifting<'a>,
        guess: &Node,
        scoring: &Node,
        units: &EvaluationUnits,
        inside: &[Inside],
    ) -> UnitId {
        let text = Input { unit: units.frame, role: Role::Input(0), reads: Reads::Patterns(&["text"]) };
        let target = Input { unit: units.frame, role: Role::Target, reads: Reads::Patterns(&["target"]) };
        let mut scored = vec![target.clone()];
        for inside in inside {
            let fold = Some(&inside.fold);
            let rows = vec![text.clone(), target.clone(), inside.rows()];
            let fit = self.unit(of, guess, Phase::Fit, fold, rows);
            self.place(of, guess, fit, Phase::Fit, fold);
            let learned = Input { unit: fit, role: Role::Learned, reads: Reads::All };
            let apply = self.unit(of, guess, Phase::Apply, fold, vec![text.clone(), learned, inside.rows()]);
            self.place(of, guess, apply, Phase::Apply, fold);
            scored.push(Input { unit: apply, role: Role::Predicted(inside.fold.id), reads: Reads::All });
        }
        let score = self.unit(of, scoring, Phase::Score, None, scored);
        self.place(of, scoring, score, Phase::Score, None);
        score
    }
}
