//! What does a unit do with its inputs? The one place where a stage meets its rows.

use std::collections::BTreeMap;

use super::shuffle;
use crate::plan::{Input, Phase, Role, Unit};
use crate::stage::{
    Ctx, FoldId, OutOfFold, Output, Parts, Probed, StageError, TrainRows, Work, divided_within, held_out,
};

/// The inputs of a unit by what they are to it.
#[derive(Default)]
pub(super) struct Inputs {
    rows: BTreeMap<usize, Parts>,
    target: Option<Parts>,
    fold: Option<Parts>,
    learned: Option<Parts>,
    predicted: Vec<(FoldId, Parts)>,
    out_of_fold: Vec<OutOfFold>,
    candidates: Vec<Parts>,
    shuffled: Vec<(FoldId, Parts)>,
    weighed: Vec<(FoldId, Parts)>,
}

impl Inputs {
    /// Adds the parts of one input; those of an input of the same role are joined.
    pub(super) fn add(&mut self, input: &Input, parts: Parts) {
        match input.role {
            Role::Input(index) => {
                let whole = self.rows.entry(index).or_default();
                for (name, part) in parts.iter() {
                    whole.insert(name, part.clone());
                }
            }
            Role::Target => {
                let whole = self.target.get_or_insert_default();
                for (name, part) in parts.iter() {
                    whole.insert(name, part.clone());
                }
            }
            Role::Fold => self.fold = Some(parts),
            Role::Learned => self.learned = Some(parts),
            Role::Predicted(fold) => self.predicted.push((fold, parts)),
            Role::Candidate(_) => self.candidates.push(parts),
            Role::Shuffled(fold) => self.shuffled.push((fold, parts)),
            Role::Weighed(fold) => self.weighed.push((fold, parts)),
            Role::OutOfFold(model, fold) => self.out_of_fold.push(OutOfFold { model, fold, parts }),
        }
    }

    /// The input of a stage that has one.
    pub(super) fn only(&self) -> Result<&Parts, StageError> {
        self.rows.get(&0).ok_or_else(|| missing("an input"))
    }

    fn target(&self) -> Result<&Parts, StageError> {
        self.target.as_ref().ok_or_else(|| missing("labels"))
    }
}

pub(super) fn missing(what: &str) -> StageError {
    StageError::failed(format!("the planner gave a unit no {what}; this is a bug in Fuseline"))
}

/// Runs one unit, except of a stage whose rows stream: [`super::rows::stream`], [`super::source::read`].
pub(super) fn perform(unit: &Unit, inputs: &Inputs, ctx: &Ctx<'_>) -> Result<Output, StageError> {
    let fold = match (&inputs.fold, &unit.fold) {
        (Some(parts), Some(fold)) => Some(parts.part(&fold.id.part()).ok_or_else(|| missing("fold"))?),
        _ => None,
    };
    match (&*unit.work, unit.phase) {
        (Work::WholeTable(stage), Phase::Run | Phase::Ledger) => {
            let all: Vec<Parts> = inputs.rows.values().cloned().collect();
            stage.run(&all, ctx)
        }
        (Work::Learner(learner), Phase::Fit) => {
            learner.fit(&TrainRows::of_fold(fold, inputs.only()?, inputs.target.as_ref())?, ctx)
        }
        (Work::Learner(learner), Phase::Apply) => {
            let learned = inputs.learned.as_ref().ok_or_else(|| missing("fitted learner"))?;
            match fold {
                Some(fold) => learner.apply(learned, &held_out(fold, inputs.only()?)?, ctx),
                None => learner.apply(learned, inputs.only()?, ctx),
            }
        }
        (Work::Learner(learner), Phase::Shuffle) => {
            let learned = inputs.learned.as_ref().ok_or_else(|| missing("fitted learner"))?;
            let rows = held_out(fold.ok_or_else(|| missing("fold"))?, inputs.only()?)?;
            shuffle::predict(&rows, shuffle::draws(unit)?, ctx, |rows| learner.apply(learned, rows, ctx))
        }
        (Work::Learner(learner), Phase::Weigh) => {
            let learned = inputs.learned.as_ref().ok_or_else(|| missing("fitted learner"))?;
            let rows = held_out(fold.ok_or_else(|| missing("fold"))?, inputs.only()?)?;
            learner.weighted().ok_or_else(|| missing("learner with weights"))?.weigh(learned, &rows, ctx)
        }
        (Work::Meta(meta), Phase::Shuffle) => {
            let learned = inputs.learned.as_ref().ok_or_else(|| missing("fitted learner"))?;
            shuffle::hand_on(inputs.only()?, |model| meta.apply(learned, &[model], ctx))
        }
        (Work::Meta(meta), Phase::Fit) => {
            let train = TrainRows::of_fold(fold, &Parts::default(), Some(inputs.target()?))?;
            meta.fit(&train, &inputs.out_of_fold, ctx)
        }
        (Work::Meta(meta), Phase::Apply) => {
            let learned = inputs.learned.as_ref().ok_or_else(|| missing("fitted learner"))?;
            let models: Vec<Parts> = inputs.rows.values().cloned().collect();
            meta.apply(learned, &models, ctx)
        }
        (Work::Search(search), Phase::Fit) => search.choose(&inputs.candidates, ctx),
        (Work::Search(_), Phase::Apply) => {
            let chosen = inputs.only()?;
            Ok(chosen.iter().fold(Output::new(), |output, (name, part)| output.same(name, part)))
        }
        (Work::Evaluate(evaluate), Phase::Split) => match fold {
            Some(fold) => divided_within(fold, inputs.target()?, |train| evaluate.split(train, ctx)),
            None => evaluate.split(inputs.target()?, ctx),
        },
        (Work::Evaluate(evaluate), Phase::Score) => evaluate.score(&inputs.predicted, inputs.target()?, ctx),
        (Work::Evaluate(evaluate), Phase::Importance) => {
            let probe = evaluate.probe().ok_or_else(|| missing("question"))?;
            let (scores, target) = (inputs.only()?, inputs.target()?);
            probe.worth(&Probed { scores, shuffled: &inputs.shuffled, weighed: &inputs.weighed, target }, ctx)
        }
        _ => Err(missing("phase that fits its stage")),
    }
}
