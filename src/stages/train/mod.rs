//! What does a classifier learn, and what does it predict? One kind for all learners; `estimator` says which.

mod ensemble;
mod estimator;
mod kernel;
mod learner;
mod linear;
mod stacked;
mod tree_tables;
mod trees;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::estimator::Estimator;
use self::learner::{
    Gives, Goal, Learner as Chosen, Takes, Training, Trouble, blocks, bytes_of, read_strings, said, strings,
};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Arity, Ctx, Derived, Form, Learner, Numeric, Output, Parts, Port, Refusal, Scope, Stage, StageError,
    StageKind, TrainRows, Work, elided,
};
use crate::table::predictions::Predictions;
use crate::table::target::{Labels, Target};

pub(super) use ensemble::Ensemble;

/// The kind `train`.
pub(super) struct Train;

/// Trains a classifier on features and labels. Under `cross_validate` it is fitted once in each fold, on its training rows.
/// Where `ingest` reads a `weight`, rows count by it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["estimator"]))]
pub(super) struct Params {
    /// The learner, with its parameters.
    estimator: Option<Estimator>,
}

impl StageKind for Train {
    const KIND: &'static str = "train";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "a classifier, learned from training rows";
    const EXAMPLE: &'static str = "{ use: train, from: fuse, with: { estimator: { linear_svc: { c: 1.0 } } } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let Some(estimator) = params.estimator else {
            let problem = at.problem("missing-param", &[], "`train` needs an `estimator`");
            return Err(problem.help("write, for example, `with: { estimator: { linear_svc: { c: 1.0 } } }`").into());
        };
        Ok(Work::Learner(Box::new(Classifier { chosen: estimator.learner(), name: estimator.name() })))
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
        Numeric::Libm
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
                    "`{}` takes dense rows alone; `linear_svc` and `logistic_regression` take sparse ones too",
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
        let target = labels(train.target()?)?;
        let (names, index) = (target.labels.classes.as_slice(), target.labels.index.as_slice());
        if target.weight.is_some() && !self.chosen.weighs_rows() {
            let message = format!("`{}` cannot weigh rows, and `ingest` reads a `weight`", self.name);
            let help = "leave `weight` out of `ingest`, or train `logistic_regression` or `linear_svc`";
            return Err(StageError::failed(message).help(help));
        }
        let goal = Goal::Classes { index, names };
        let on = Training::new(self.name, train.input(), goal, &target.row_id, target.weight.as_deref(), ctx);
        let output = self.chosen.fit(&on).map_err(|trouble| in_words(trouble, names, &target.row_id))?;
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
        let classes = read_strings(&*learned.table("classes")?, "class")?;
        let words = |trouble: Trouble| in_words(trouble, &classes, row_id);
        let model = self.chosen.load(learned, classes.len()).map_err(words)?;
        let scores = model.scores(x).map_err(|error| words(error.into()))?;
        let predicted = model.predict(x).map_err(|error| words(error.into()))?;
        let predicted = predicted.iter().map(|&class| classes[class as usize].clone()).collect();
        let probabilities = self.chosen.gives() == Gives::Probabilities;
        let predictions = Predictions { row_id: row_id.clone(), classes, predicted, scores, probabilities };
        Ok(Output::new().table("predictions", predictions.to_table().map_err(StageError::caused)?))
    }
}

/// Says rows by their ids and classes by their names.
fn in_words(trouble: Trouble, classes: &[String], row_id: &[String]) -> StageError {
    match trouble {
        Trouble::Fit(error) => said(error, classes, row_id),
        Trouble::Stage(error) => error,
    }
}

/// Labels and the rows that they are of.
struct Labelled {
    row_id: Vec<String>,
    labels: Labels,
    /// How much each row counts, where the data says so.
    weight: Option<Vec<f64>>,
}

impl Derived for Labelled {
    fn bytes(&self) -> usize {
        bytes_of(&self.row_id) + 4 * self.labels.index.len() + 8 * self.weight.as_ref().map_or(0, Vec::len)
    }
}

fn labels(target: &Parts) -> Result<Arc<Labelled>, StageError> {
    target.derived("target", "labels", |target| {
        let target = Target::from_table(&*target.table("target")?).map_err(StageError::caused)?;
        if target.label_set.is_some() {
            return Err(StageError::failed("the rows have several labels each, and `train` learns one label a row"));
        }
        let labels = target.labels().map_err(|error| {
            StageError::failed(error.to_string())
                .help("name the label column in `ingest`, and leave out rows without a label: `label: { column: COLUMN, drop: [''] }`")
        })?;
        Ok(Labelled { row_id: target.row_id, labels, weight: target.weight })
    })
}
