//! How is a stage lifted that learns from the predictions of models? Its training rows are divided once more, and the models are
//! lifted into those folds as into any others.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Inside, Lift, Lifting};
use crate::pipeline::Node;
use crate::plan::{Input, Phase, Reads, Role, UnitFold, UnitId};
use crate::stage::{FoldId, Port, Scope, Work};
use crate::stages;
use crate::table::Digest;

/// The kind that divides rows.
const DIVIDES: &str = "cross_validate";

impl<'a> Lift<'a> {
    /// Fits on what the models predict for inner folds, then applies to what they predict for the rows of `inside`.
    pub(super) fn meta(&mut self, of: &mut Lifting<'a>, at: usize, inside: Option<&Inside>) -> UnitId {
        let node = &of.variant.stages[at];
        let Work::Meta(meta) = &*node.work else { unreachable!("only stages over models are lifted here") };
        let fold = inside.map(|inside| &inside.fold);
        let frame = self.node(of, node.frame, None);
        let target = Input { unit: frame, role: Role::Target, reads: Reads::Patterns(&["target"]) };

        let mut inputs = Vec::new();
        if let Some(folds) = meta.inner_folds() {
            let split = self.divided(of, node, folds, inside, target.clone());
            for number in 0..folds {
                let id = FoldId { repeat: 0, fold: number };
                let within = Inside { split, fold: UnitFold::within(fold, id) };
                for (model, &from) in node.inputs.iter().enumerate() {
                    let unit = self.node(of, from, Some(&within));
                    inputs.push(Input { unit, role: Role::OutOfFold(model, id), reads: Reads::All });
                }
            }
        }
        inputs.push(target);
        inputs.extend(inside.map(Inside::rows));
        let fit = self.unit(of, node, Phase::Fit, fold, inputs);
        self.place(of, node, fit, Phase::Fit, fold);

        // Outside folds the models are fitted on all rows, and there is nothing to predict.
        let models: Vec<UnitId> = node.inputs.iter().map(|&from| self.node(of, from, inside)).collect();
        if inside.is_none() {
            return fit;
        }
        let role = |(number, unit)| Input { unit, role: Role::Input(number), reads: Reads::All };
        let mut inputs: Vec<Input> = models.into_iter().enumerate().map(role).collect();
        inputs.push(Input { unit: fit, role: Role::Learned, reads: Reads::All });
        let apply = self.unit(of, node, Phase::Apply, fold, inputs);
        self.place(of, node, apply, Phase::Apply, fold);
        apply
    }

    /// The unit that divides the training rows of `inside` (all rows, outside folds) once more. It depends on nothing else, so
    /// all stages that divide into as many folds share it, and what is fitted in them; it bears the name of the first.
    pub(super) fn divided(
        &mut self,
        of: &Lifting<'a>,
        node: &Node,
        folds: u32,
        inside: Option<&Inside>,
        target: Input,
    ) -> UnitId {
        let divides = dividing(&node.id, node.frame, &json!({ "folds": folds }));
        let inputs = std::iter::once(target).chain(inside.map(Inside::rows)).collect();
        self.unit(of, &divides, Phase::Split, inside.map(|inside| &inside.fold), inputs)
    }
}

/// A node that no file has: it divides rows, and scores, as its parameters say.
pub(super) fn dividing(stage: &str, frame: usize, params: &Value) -> Node {
    let kind = stages::kind(DIVIDES).unwrap_or_else(|| unreachable!("`{DIVIDES}` is a kind"));
    let scope = Scope { stage, base: Path::new(""), locate: &|_| None };
    let built = (kind.build)(params.clone(), &scope)
        .unwrap_or_else(|problems| unreachable!("folds were checked: {problems:?}"));
    let content = Digest::of(json!([kind.name, kind.version, built.params]).to_string().as_bytes());
    Node {
        id: stage.to_owned(),
        kind,
        inputs: Vec::new(),
        params: Arc::new(built.params),
        work: Arc::new(built.work),
        content,
        port: Port::Scores,
        says: None,
        frame,
    }
}
