//! What do several models say together? They vote, or another learner learns whom to believe.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::estimator::Estimator;
use super::learner::{Gives, Goal, Learner, Training, read_strings, strings};
use super::stacked::{Stacked, applied, out_of_fold};
use super::{classified, labels, truth, unfitted};
use crate::ml::linear::first_greatest;
use crate::ml::{Block, Dense, Features, Task};
use crate::problem::Problems;
use crate::stage::{
    Arity, Ctx, MetaLearner, Numeric, OutOfFold, Outlook, Output, Part, Parts, Port, Refusal, Says, Scope, Stage,
    StageError, StageKind, TrainRows, Unfit, Work, elided,
};
use crate::table::features;
use crate::table::predictions::Predictions;

/// The kind `ensemble`.
pub(in crate::stages) struct Ensemble;

/// Joins several trained models into one: they vote, or a further learner is trained on what they predict (stacking). For stacking
/// the training rows are divided once more: the learner sees only predictions for rows that a model had not seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// The models vote.
    vote: Option<Vote>,
    /// A learner learns from the models' predictions.
    stack: Option<Stack>,
}

/// scikit-learn's VotingClassifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Vote {
    /// What is counted. `soft` is the default here, since a pipeline's models mostly have probabilities; scikit-learn's is `hard`.
    voting: Voting,
    /// How much each model counts, in the order of `from`; all alike unless set.
    weights: Option<Vec<f64>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Voting {
    /// The mean of the models' probabilities; all models must have some.
    #[default]
    Soft,
    /// The share of the models that predict the class; of equals the first class wins.
    Hard,
}

/// scikit-learn's StackingClassifier. Each model gives its probabilities, or its decision values; of two classes the second's alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Stack {
    /// The learner of the models' predictions.
    estimator: Estimator,
    /// Into how many folds the training rows are divided.
    #[schemars(range(min = 2, max = 100))]
    folds: u32,
}

impl Default for Stack {
    fn default() -> Self {
        Stack { estimator: Estimator::LogisticRegression(Default::default()), folds: 5 }
    }
}

impl StageKind for Ensemble {
    const KIND: &'static str = "ensemble";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "several models as one: a vote, or a learner of their predictions";
    const EXAMPLE: &'static str = "{ use: ensemble, from: [train], with: { stack: { folds: 3 } } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        match (params.vote, params.stack) {
            (Some(vote), None) => {
                if let Some(wrong) = vote.weights.iter().flatten().position(|w| !(w.is_finite() && *w >= 0.0)) {
                    let message = "a weight must be a finite number of 0 or more";
                    return Err(at.problem("out-of-range", &["vote", "weights", &wrong.to_string()], message).into());
                }
                if vote.weights.as_ref().is_some_and(|weights| weights.iter().sum::<f64>() == 0.0) {
                    let problem = at.problem("out-of-range", &["vote", "weights"], "all weights are 0");
                    return Err(problem.help("let one model or more count").into());
                }
                Ok(Work::Meta(Box::new(Voters { vote })))
            }
            (None, Some(stack)) if !(2..=100).contains(&stack.folds) => {
                let message = format!("`folds` must be from 2 to 100, but is {}", stack.folds);
                Err(at.problem("out-of-range", &["stack", "folds"], message).into())
            }
            (None, Some(Stack { estimator, folds })) => {
                let (chosen, name) = (estimator.checked(&["stack", "estimator"], at)?, estimator.name());
                if chosen.gives() == Gives::Values {
                    let message = format!("`{name}` learns numbers, and a `stack` learns classes");
                    let problem = at.problem("invalid-param", &["stack", "estimator"], message);
                    return Err(problem.help("take a classifier, such as `logistic_regression`").into());
                }
                Ok(Work::Meta(Box::new(Stacking { chosen, name, folds })))
            }
            (Some(_), Some(_)) => {
                let problem = at.problem("invalid-param", &["stack"], "`vote` and `stack` exclude each other");
                Err(problem.help("keep one of the two").into())
            }
            (None, None) => {
                let problem = at.problem("missing-param", &[], "`ensemble` needs `vote` or `stack`");
                Err(problem.help("write, for example, `with: { vote: {} }` or `with: { stack: {} }`").into())
            }
        }
    }

    fn canonical(params: &Params) -> Value {
        match params {
            Params { vote: Some(vote), .. } => json!({ "vote": elided(vote, &Vote::default()) }),
            Params { stack: Some(stack), .. } => {
                let mut fields = elided(stack, &Stack::default());
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert("estimator".to_owned(), stack.estimator.canonical());
                }
                json!({ "stack": fields })
            }
            _ => json!({}),
        }
    }
}

/// A stage that reads models takes one or more.
pub(super) fn models(inputs: &[Port]) -> Result<Port, Refusal> {
    match inputs.iter().position(|port| *port != Port::Model) {
        None => Ok(Port::Model),
        Some(input) => Err(Refusal { input, wants: "a model", fits: |port| port == Port::Model, help: None }),
    }
}

struct Voters {
    vote: Vote,
}

impl Stage for Voters {
    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        models(inputs)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["predictions"]
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        if let Some(weights) = self.vote.weights.as_ref().filter(|weights| weights.len() != of.models.len()) {
            let message = format!("the number of weights is {}, that of models {}", weights.len(), of.models.len());
            return Err(Unfit::param(&["vote", "weights"], message).help("give one for each, in the order of `from`"));
        }
        one_class(of)?;
        match of.first(|says| says.probabilities == Some(false)) {
            Some((input, _)) if self.vote.voting == Voting::Soft => {
                Err(Unfit::model(input, "models with probabilities", "gives decision values").help(UNSURE))
            }
            _ => Ok(Some(Says { task: Task::Classes, probabilities: Some(true) })),
        }
    }
}

/// What to do about a model without probabilities in a soft vote.
const UNSURE: &str = "set `voting: hard`, put `calibrate` between, or `stack` the models";

/// An error if a model predicts anything but one class a row.
pub(super) fn one_class(of: &Outlook<'_>) -> Result<(), Unfit> {
    match of.first(|says| says.task != Task::Classes) {
        None => Ok(()),
        Some((input, says)) => {
            let gives = match says.task {
                Task::Sets => "predicts sets of classes",
                _ => "predicts numbers",
            };
            Err(Unfit::model(input, "a model that predicts one class for each row", gives))
        }
    }
}

impl MetaLearner for Voters {
    fn inner_folds(&self) -> Option<u32> {
        None
    }

    fn fit(&self, train: &TrainRows, _: &[OutOfFold], _: &Ctx<'_>) -> Result<Output, StageError> {
        let target = labels(train.target()?)?;
        let classes = strings("class", &target.labels.classes)?;
        Ok(Output::new().table("classes", classes).rows(target.row_id.len()))
    }

    fn apply(&self, learned: &Parts, models: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let classes = read_strings(&*learned.table("classes")?, "class")?;
        let (row_id, stacked) = applied(models, &classes)?;
        let one = vec![1.0; models.len()];
        let weights = self.vote.weights.as_ref().unwrap_or(&one);
        let whole: f64 = weights.iter().sum();
        let mut scores = vec![0.0; row_id.len() * classes.len()];
        for ((number, model), weight) in stacked.iter().enumerate().zip(weights) {
            self.count(model, number, weight / whole, classes.len(), &mut scores)?;
        }
        output(row_id, classes, scores, true)
    }
}

impl Voters {
    /// Adds what one model says.
    fn count(
        &self,
        model: &Stacked,
        number: usize,
        weight: f64,
        width: usize,
        sum: &mut [f64],
    ) -> Result<(), StageError> {
        match self.vote.voting {
            Voting::Soft if !model.probabilities => {
                let message = format!("model {} has decision values and no probabilities", number + 1);
                Err(StageError::failed(message).at_param(&["vote"]).help(UNSURE))
            }
            Voting::Soft => {
                sum.iter_mut().zip(&model.scores).for_each(|(sum, score)| *sum += weight * score);
                Ok(())
            }
            Voting::Hard => {
                let rows = sum.chunks_exact_mut(width).zip(model.scores.chunks_exact(width));
                rows.for_each(|(sum, scores)| sum[first_greatest(scores)] += weight);
                Ok(())
            }
        }
    }
}

/// Predictions by the greatest score, the first of equals.
pub(super) fn output(
    row_id: Vec<String>,
    classes: Vec<String>,
    scores: Vec<f64>,
    probabilities: bool,
) -> Result<Output, StageError> {
    let rows = scores.chunks_exact(classes.len().max(1));
    let predicted = rows.map(|row| classes[first_greatest(row)].clone()).collect();
    let predictions = Predictions { row_id, classes, predicted, scores, probabilities };
    Ok(Output::new().table("predictions", predictions.to_table().map_err(StageError::caused)?))
}

struct Stacking {
    chosen: Box<dyn Learner>,
    name: &'static str,
    folds: u32,
}

impl Stage for Stacking {
    fn numeric(&self) -> Numeric {
        self.chosen.numeric()
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        models(inputs)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["predictions"]
    }

    fn seeded(&self) -> bool {
        self.chosen.seeded()
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        one_class(of)?;
        if of.targets.is_some_and(|targets| targets.weight) && !self.chosen.weighs_rows() {
            let (message, help) = truth::unweighed(self.name);
            return Err(Unfit::param(&["stack", "estimator"], message).help(help));
        }
        Ok(Some(Says { task: Task::Classes, probabilities: Some(self.chosen.gives() == Gives::Probabilities) }))
    }
}

impl MetaLearner for Stacking {
    fn inner_folds(&self) -> Option<u32> {
        Some(self.folds)
    }

    fn fit(&self, train: &TrainRows, predicted: &[OutOfFold], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let target = labels(train.target()?)?;
        let (names, index) = (target.labels.classes.as_slice(), target.labels.index.as_slice());
        let models = predicted.iter().map(|one| one.model + 1).max().unwrap_or(0);
        let stacked = out_of_fold(predicted, models, &target.row_id, names)?;
        let input = blocks_of(&stacked, &target.row_id, names.len())?;
        let weight = target.weight.as_deref().filter(|_| self.chosen.weighs_rows());
        let on = Training::new(self.name, &input, Goal::Classes { index, names }, &target.row_id, weight, ctx);
        let way = ["stack", "estimator", self.name];
        let output = self.chosen.fit(&on).map_err(|trouble| unfitted(trouble, &way, names, &target.row_id))?;
        Ok(output.table("classes", strings("class", names)?).rows(index.len()).fact("training_rows", index.len()))
    }

    fn apply(&self, learned: &Parts, models: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let classes = read_strings(&*learned.table("classes")?, "class")?;
        let (row_id, stacked) = applied(models, &classes)?;
        let x = features_of(&stacked, row_id.len(), classes.len());
        classified(self.chosen.as_ref(), learned, &row_id, &x)
    }
}

/// The models' scores as features: all classes of each model side by side; of two classes the second's.
fn features_of(stacked: &[Stacked], rows: usize, classes: usize) -> Features {
    let from = usize::from(classes == 2);
    let mut values = Vec::with_capacity(rows * stacked.len() * classes);
    for row in 0..rows {
        for model in stacked {
            let scores = &model.scores[row * classes..(row + 1) * classes];
            values.extend(scores[from..].iter().map(|&score| score as f32));
        }
    }
    let cols = stacked.len() * (classes - from);
    Features { blocks: vec![Block::Dense(Dense { rows, cols, values })] }
}

fn blocks_of(stacked: &[Stacked], row_id: &[String], classes: usize) -> Result<Parts, StageError> {
    let mut parts = Parts::default();
    let ids = row_id.iter().map(Some).collect();
    for block in features_of(stacked, row_id.len(), classes).blocks {
        let table = features::to_table(&ids, "predictions", &block).map_err(StageError::caused)?;
        parts.insert(features::block_part(0), Part::memory(table));
    }
    Ok(parts)
}
