//! What does a classifier or a regressor learn, and what does it predict? One kind for all learners; `estimator` says which.

pub mod baseline;
mod bayes;
mod boosting;
mod calibrate;
mod ensemble;
mod estimator;
mod kernel;
mod lasso;
mod learner;
mod linear;
mod mlp;
mod neighbors;
mod one_vs_rest;
mod ridge;
mod sgd;
mod stacked;
mod threshold;
mod tree_tables;
mod trees;
mod truth;
mod tune;
mod weigh;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::estimator::Estimator;
use self::learner::{Gives, Goal, Learner as Chosen, Takes, Training, Trouble, blocks, read_strings, said, strings};
use crate::ml::linear::FitError;
use crate::ml::{Features, Task};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Arity, Ctx, Form, Learner, Numeric, Outlook, Output, Parts, Port, Refusal, Says, Scope, Stage, StageError,
    StageKind, TrainRows, Unfit, Weighted, Work, elided,
};
use crate::table::predictions::Predictions;
use crate::table::predictions::values::PredictedValues;

use self::truth::labels;

pub(super) use calibrate::Calibrate;
pub(super) use ensemble::Ensemble;
pub(super) use threshold::Threshold;
pub(super) use tune::Tune;

/// The kind `train`.
pub(super) struct Train;

/// Trains a classifier on features and labels, or a regressor on features and the numbers that `ingest` reads as `value`. Under
/// `cross_validate` it is fitted once in each fold, on its training rows. Where rows have several labels each (`label: { multi: … }`),
/// each label is learned by itself, against the rest. Where `ingest` reads a `weight`, rows count by it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["estimator"]))]
pub(super) struct Params {
    /// The learner, with its parameters.
    estimator: Option<Estimator>,
}

impl StageKind for Train {
    const KIND: &'static str = "train";
    const VERSION: u32 = 5;
    const SUMMARY: &'static str = "a classifier, learned from training rows";
    const EXAMPLE: &'static str = "{ use: train, from: fuse, with: { estimator: { linear_svc: { c: 1.0 } } } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let Some(estimator) = params.estimator else {
            let problem = at.problem("missing-param", &[], "`train` needs an `estimator`");
            return Err(problem.help("write, for example, `with: { estimator: { linear_svc: { c: 1.0 } } }`").into());
        };
        let (chosen, name) = (estimator.checked(&["estimator"], at)?, estimator.name());
        Ok(Work::Learner(Box::new(Classifier { chosen, name })))
    }

    fn canonical(params: &Params) -> Value {
        let mut canonical = elided(params, &Params::default());
        if let (Some(estimator), Some(fields)) = (&params.estimator, canonical.as_object_mut()) {
            fields.insert("estimator".to_owned(), estimator.canonical());
        }
        canonical
    }
}

struct Classifier {
    chosen: Box<dyn Chosen>,
    name: &'static str,
}

impl Stage for Classifier {
    fn numeric(&self) -> Numeric {
        self.chosen.numeric()
    }

    fn arity(&self) -> Arity {
        Arity::One
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        let dense_only = self.chosen.takes() == Takes::Dense;
        match inputs {
            [Port::Features(form)] if !dense_only || *form == Form::Dense => Ok(Port::Model),
            [Port::Features(_)] => Err(Refusal {
                input: 0,
                wants: "dense features",
                fits: |port| port == Port::Features(Form::Dense),
                help: Some(format!(
                    "`{}` takes dense rows alone: put `reduce` between, which makes sparse features few and dense; `linear_svc` and `logistic_regression` take sparse ones as they are",
                    self.name
                )),
            }),
            _ => {
                Err(Refusal { input: 0, wants: "features", fits: |port| matches!(port, Port::Features(_)), help: None })
            }
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["block."]
    }

    fn seeded(&self) -> bool {
        self.chosen.seeded()
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        let gives = self.chosen.gives();
        let says = |task| Says { task, probabilities: Some(gives == Gives::Probabilities) };
        let Some(targets) = of.targets else { return Ok((gives == Gives::Values).then_some(says(Task::Values))) };
        if targets.weight && !self.chosen.weighs_rows() {
            let (message, help) = truth::unweighed(self.name);
            return Err(Unfit::param(&["estimator"], message).help(help));
        }
        match gives {
            Gives::Values if targets.value => Ok(Some(says(Task::Values))),
            Gives::Values => {
                let (message, help) = truth::no_values(self.name);
                Err(Unfit::param(&["estimator"], message).help(help))
            }
            _ if targets.label_set => Ok(Some(says(Task::Sets))),
            _ if targets.label => Ok(Some(says(Task::Classes))),
            _ => {
                let message = format!("`{}` learns classes, and the rows have no labels", self.name);
                Err(Unfit::param(&["estimator"], message).help(truth::no_labels(targets.value)))
            }
        }
    }

    fn advice(&self) -> Vec<String> {
        self.chosen.advice(self.name)
    }
}

impl Learner for Classifier {
    fn supervised(&self) -> bool {
        true
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::HeldOut
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        if self.chosen.gives() == Gives::Values {
            return self.fit_values(train, ctx);
        }
        if let Some(sets) = truth::sets(train.target()?)? {
            return self.fit_sets(train, &sets, ctx);
        }
        let target = labels(train.target()?)?;
        let (names, index) = (target.labels.classes.as_slice(), target.labels.index.as_slice());
        self.check_weight(target.weight.as_deref())?;
        let goal = Goal::Classes { index, names };
        let on = Training::new(self.name, train.input(), goal, &target.row_id, target.weight.as_deref(), ctx);
        let output = self.chosen.fit(&on).map_err(|trouble| unfitted(trouble, &self.way(), names, &target.row_id))?;
        let output = output.table("classes", strings("class", names)?);
        Ok(output
            .rows(index.len())
            .fact("training_rows", index.len())
            .fact("features", on.columns())
            .fact("classes", names.len()))
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let blocks = blocks(rows)?;
        let (row_id, x) = (&blocks.row_id, &blocks.x);
        if one_vs_rest::is_learned(learned) {
            let predictions = one_vs_rest::apply(self.chosen.as_ref(), learned, row_id, x);
            let predictions = predictions.map_err(|trouble| in_words(trouble, &[], row_id))?;
            return Ok(Output::new().table("predictions", predictions.to_table().map_err(StageError::caused)?));
        }
        if self.chosen.gives() == Gives::Values {
            let words = |trouble: Trouble| in_words(trouble, &[], row_id);
            let model = self.chosen.load(learned, 0).map_err(words)?;
            let value = model.scores(x).map_err(|error| words(error.into()))?;
            let predictions = PredictedValues { row_id: row_id.clone(), value };
            return Ok(Output::new().table("predictions", predictions.to_table().map_err(StageError::caused)?));
        }
        classified(self.chosen.as_ref(), learned, row_id, x)
    }

    fn weighted(&self) -> Option<&dyn Weighted> {
        self.chosen.linear().then_some(self)
    }
}

impl Weighted for Classifier {
    fn weigh(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        weigh::weigh(self.chosen.gives(), learned, rows, ctx)
    }
}

/// What a fitted classifier says of rows.
fn classified(chosen: &dyn Chosen, learned: &Parts, row_id: &[String], x: &Features) -> Result<Output, StageError> {
    let classes = read_strings(&*learned.table("classes")?, "class")?;
    let words = |trouble: Trouble| in_words(trouble, &classes, row_id);
    let model = chosen.load(learned, classes.len()).map_err(words)?;
    let (scores, predicted) = model.scores_and_classes(x).map_err(|error| words(error.into()))?;
    let predicted = predicted.iter().map(|&class| classes[class as usize].clone()).collect();
    let probabilities = chosen.gives() == Gives::Probabilities;
    let predictions = Predictions { row_id: row_id.to_vec(), classes, predicted, scores, probabilities };
    Ok(Output::new().table("predictions", predictions.to_table().map_err(StageError::caused)?))
}

impl Classifier {
    /// The way to the learner's parameters.
    fn way(&self) -> [&'static str; 2] {
        ["estimator", self.name]
    }

    /// An error if rows have a weight that the learner would pass over.
    fn check_weight(&self, weight: Option<&[f64]>) -> Result<(), StageError> {
        if weight.is_none() || self.chosen.weighs_rows() {
            return Ok(());
        }
        let (message, help) = truth::unweighed(self.name);
        Err(StageError::failed(message).help(help))
    }

    /// Learns the number of each row.
    fn fit_values(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let target = truth::values(train.target()?, self.name)?;
        self.check_weight(target.weight.as_deref())?;
        let goal = Goal::Values(&target.values);
        let on = Training::new(self.name, train.input(), goal, &target.row_id, target.weight.as_deref(), ctx);
        let output = self.chosen.fit(&on).map_err(|trouble| unfitted(trouble, &self.way(), &[], &target.row_id))?;
        let rows = target.values.len();
        Ok(output.rows(rows).fact("training_rows", rows).fact("features", on.columns()))
    }

    /// Learns each label by itself.
    fn fit_sets(&self, train: &TrainRows, of: &truth::Sets, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        self.check_weight(of.weight.as_deref())?;
        let goal = Goal::Classes { index: &[], names: &of.classes };
        let on = Training::new(self.name, train.input(), goal, &of.row_id, of.weight.as_deref(), ctx);
        let output = one_vs_rest::fit(self.chosen.as_ref(), of, &on);
        let output = output.map_err(|trouble| unfitted(trouble, &self.way(), &of.classes, &of.row_id))?;
        let rows = of.row_id.len();
        Ok(output.rows(rows).fact("training_rows", rows).fact("features", on.columns()))
    }
}

/// Says rows by their ids and classes by their names.
fn in_words(trouble: Trouble, classes: &[String], row_id: &[String]) -> StageError {
    match trouble {
        Trouble::Fit(error) => said(error, classes, row_id),
        Trouble::Stage(error) => error,
    }
}

/// The same of a fit, naming the parameter that is at fault, if one is: `way` leads to those of the learner.
fn unfitted(trouble: Trouble, way: &[&str], classes: &[String], row_id: &[String]) -> StageError {
    let param = match trouble {
        Trouble::Fit(FitError::Parameter { name, .. }) => Some(name),
        _ => None,
    };
    let error = in_words(trouble, classes, row_id);
    match param {
        Some(name) => error.at_param(&way.iter().copied().chain([name]).collect::<Vec<_>>()),
        None => error,
    }
}

#[cfg(test)]
mod every_learner_tests;
#[cfg(test)]
mod tests;
