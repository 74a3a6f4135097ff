//! How is a search lifted? Each candidate into inner folds of the training rows; the chosen one, once it is known, into the
//! fold itself.

use serde_json::json;

use super::meta::dividing;
use super::{Inside, Lift, Lifting};
use crate::pipeline::Variant;
use crate::plan::{Input, Phase, Reads, Role, SearchUnit, UnitFold, UnitId};
use crate::stage::{Candidate, FoldId, Work};

impl<'a> Lift<'a> {
    /// Scores the candidates on inner folds, chooses, and lifts the chosen one.
    pub(super) fn search(&mut self, of: &mut Lifting<'a>, at: usize, inside: Option<&Inside>) -> UnitId {
        let fold = inside.map(|inside| &inside.fold);
        let chooses = self.choice(of, at, inside);
        let node = &of.variant.stages[at];
        self.place(of, node, chooses, Phase::Fit, fold);
        if fold.is_none_or(|fold| fold.inner.is_empty()) {
            let stage = node.id.clone();
            let fold = inside.and_then(|inside| Some((inside.split, inside.fold.number?)));
            self.searches.push(SearchUnit { variant: of.index, stage, fold, unit: chooses });
        }
        let chosen = self.known.choice(&self.graph[chooses].ident);
        let mut inputs = vec![Input { unit: chooses, role: Role::Learned, reads: Reads::Patterns(&[]) }];
        match chosen {
            Some(chosen) => {
                let unit = self.of_candidate(of, at, chosen, inside);
                if inside.is_none() {
                    return unit;
                }
                inputs.push(Input { unit, role: Role::Input(0), reads: Reads::All });
            }
            None => self.open.push(chooses),
        }
        let apply = self.unit(of, node, Phase::Apply, fold, inputs);
        self.waits[apply.index()] |= chosen.is_none();
        self.place(of, node, apply, Phase::Apply, fold);
        apply
    }

    /// The unit that chooses, which reads what each candidate scored on the folds of the training rows.
    fn choice(&mut self, of: &mut Lifting<'a>, at: usize, inside: Option<&Inside>) -> UnitId {
        let node = &of.variant.stages[at];
        let Work::Search(search) = &*node.work else { unreachable!("only searches are lifted here") };
        let fold = inside.map(|inside| &inside.fold);
        let frame = self.node(of, node.frame, None);
        let target = Input { unit: frame, role: Role::Target, reads: Reads::Patterns(&["target"]) };
        let split = self.divided(of, node, search.inner_folds(), inside, target.clone());
        let scoring = json!({ "folds": search.inner_folds(), "metrics": [search.metric()] });
        let scoring = dividing(&node.id, node.frame, &scoring);
        let mut inputs = Vec::new();
        for number in 0..search.candidates().len() {
            let mut scored = vec![target.clone()];
            for inner in 0..search.inner_folds() {
                let id = FoldId { repeat: 0, fold: inner };
                let within = Inside { split, fold: UnitFold::within(fold, id) };
                let unit = self.of_candidate(of, at, number, Some(&within));
                scored.push(Input { unit, role: Role::Predicted(id), reads: Reads::All });
            }
            let unit = self.unit(of, &scoring, Phase::Score, fold, scored);
            inputs.push(Input { unit, role: Role::Candidate(number), reads: Reads::Patterns(&["metrics"]) });
        }
        self.unit(of, node, Phase::Fit, fold, inputs)
    }

    /// The unit of a candidate's model.
    fn of_candidate(&mut self, of: &mut Lifting<'a>, at: usize, number: usize, inside: Option<&Inside>) -> UnitId {
        let (index, variant) = (of.index, of.variant);
        let all = variant.searches.iter().find(|(node, _)| *node == at).map(|(_, all)| all.as_slice());
        let all = all.unwrap_or_default();
        let Work::Search(search) = &*variant.stages[at].work else { unreachable!("only searches are lifted here") };
        let outer = &of.trying;
        let liftings = of.candidates.entry(at).or_insert_with(|| {
            let one = |((candidate, _), sets): (&'a (Variant, usize), &Candidate)| {
                let mut lifting = Lifting::new(index, candidate, super::Done::default());
                lifting.trying = outer.iter().chain(sets).cloned().collect();
                lifting
            };
            all.iter().zip(search.candidates()).map(one).collect()
        });
        let model = all[number].1;
        self.node(&mut liftings[number], model, inside)
    }
}
