//! What does a classifier learn, and what does it predict? One kind for all learners; `estimator` says which.

mod estimator;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::estimator::{ClassWeight, Estimator, Learner as Chosen};
use crate::ml::ensemble::{self, SmartModel};
use crate::ml::linear::{Convergence, FitError, Laid, LinearModel, balanced_weights};
use crate::ml::{Block, Features};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Arity, Ctx, Derived, Form, Learner, Numeric, Output, Parts, Port, Refusal, Scope, Stage, StageError,
    StageKind, TrainRows, Work, elided,
};
use crate::table::predictions::Predictions;
use crate::table::target::{Labels, Target};
use crate::table::{features, row_ids};

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
    chosen: Chosen,
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
        let dense_only = matches!(self.chosen, Chosen::Smart(_));
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
        matches!(
            self.chosen,
            Chosen::Smart(ensemble::SmartParams::DecisionTree(_) | ensemble::SmartParams::RandomForest(_))
        )
    }

    fn advice(&self) -> Vec<String> {
        match &self.chosen {
            Chosen::Smart(params) => {
                let rows = ensemble::slow_beyond(params);
                vec![format!("`{}` is slow beyond about {rows} training rows of some hundred columns", self.name)]
            }
            _ => Vec::new(),
        }
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
        let (classes, index) = (&target.labels.classes, target.labels.index.as_slice());
        let count = classes.len();
        let stop = || ctx.is_cancelled();
        let rows = target.weight.as_deref();
        let failed = |error| failed(error, classes, &target.row_id);
        let (features, output) = match &self.chosen {
            Chosen::Logistic(learner, weight) => {
                let laid = laid(train.input())?;
                same_rows(&laid.row_id, &target.row_id)?;
                let weights = weights(*weight, index, rows);
                let (model, end) = learner.fit(&laid.x, index, count, weights.as_deref(), &stop).map_err(failed)?;
                (laid.x.cols(), self.linear(&model, end, classes)?)
            }
            Chosen::LinearSvc(learner, weight) => {
                let laid = laid(train.input())?;
                same_rows(&laid.row_id, &target.row_id)?;
                let weights = weights(*weight, index, rows);
                let (model, end) = learner.fit(&laid.x, index, count, weights.as_deref(), &stop).map_err(failed)?;
                (laid.x.cols(), self.linear(&model, end, classes)?)
            }
            Chosen::Smart(_) if rows.is_some() => {
                let message = format!("`{}` cannot weigh rows, and `ingest` reads a `weight`", self.name);
                let help = "leave `weight` out of `ingest`, or train `logistic_regression` or `linear_svc`";
                return Err(StageError::failed(message).help(help));
            }
            Chosen::Smart(params) => {
                let blocks = blocks(train.input())?;
                same_rows(&blocks.row_id, &target.row_id)?;
                let model = ensemble::fit(params, &blocks.x, index, count, ctx.seed, &stop).map_err(failed)?;
                let json = model.to_json().map_err(failed)?;
                (blocks.x.cols(), Output::new().table("estimator", strings("json", &[json])?))
            }
        };
        let output = output.table("classes", strings("class", classes)?);
        Ok(output
            .rows(index.len())
            .fact("training_rows", index.len())
            .fact("features", features)
            .fact("classes", count))
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let blocks = blocks(rows)?;
        let (row_id, x) = (&blocks.row_id, &blocks.x);
        let classes = read_strings(&*learned.table("classes")?, "class")?;
        let failed = |error| failed(error, &classes, row_id);
        let (predicted, scores, probabilities) = match &self.chosen {
            Chosen::Smart(_) => {
                let json = read_strings(&*learned.table("estimator")?, "json")?;
                let model = SmartModel::from_json(json.first().map_or("", String::as_str)).map_err(failed)?;
                (model.predict(x).map_err(failed)?, model.scores(x).map_err(failed)?, model.gives_probabilities())
            }
            chosen => {
                let model = linear_model(&*learned.table("coefficients")?, classes.len())?;
                let probabilities = matches!(chosen, Chosen::Logistic(..));
                let scores = if probabilities { model.predict_proba(x) } else { model.decision_function(x) };
                (model.predict(x).map_err(failed)?, scores.map_err(failed)?, probabilities)
            }
        };
        // One decision value stands for two classes: the second's, and the first's with its sign turned.
        let scores = match scores.len() == row_id.len() && classes.len() == 2 {
            true => scores.iter().flat_map(|&score| [-score, score]).collect(),
            false => scores,
        };
        let predicted = predicted.iter().map(|&class| classes[class as usize].clone()).collect();
        let predictions = Predictions { row_id: row_id.clone(), classes, predicted, scores, probabilities };
        Ok(Output::new().table("predictions", predictions.to_table().map_err(StageError::caused)?))
    }
}

impl Classifier {
    /// A linear model's table and how the fit ended.
    fn linear(&self, model: &LinearModel, end: Convergence, classes: &[String]) -> Result<Output, StageError> {
        let mut output = Output::new()
            .table("coefficients", coefficients(model, classes)?)
            .fact("objective", end.objective)
            .fact("gradient_norm", end.gradient_norm)
            .fact("iterations", end.iterations)
            .fact("converged", end.converged);
        if !end.converged {
            output = output.warn(format!(
                "`{}` stopped after {} iterations before it had converged; raise `max_iter`",
                self.name, end.iterations
            ));
        }
        Ok(output)
    }
}

/// Feature blocks and the rows that they are of.
struct Blocks {
    row_id: Vec<String>,
    x: Features,
}

impl Derived for Blocks {
    fn bytes(&self) -> usize {
        let block = |block: &Block| match block {
            Block::Sparse(m) => 8 * (m.indptr.len() + m.indices.len()),
            Block::Dense(m) => 4 * m.values.len(),
        };
        bytes_of(&self.row_id) + self.x.blocks.iter().map(block).sum::<usize>()
    }
}

/// Rows as the linear solvers take them.
struct LaidRows {
    row_id: Vec<String>,
    x: Laid,
}

impl Derived for LaidRows {
    fn bytes(&self) -> usize {
        bytes_of(&self.row_id) + self.x.bytes()
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

fn bytes_of(strings: &[String]) -> usize {
    strings.iter().map(|string| size_of::<String>() + string.len()).sum()
}

/// The row ids and feature blocks of an input; shared by all units that see the same rows.
fn blocks(input: &Parts) -> Result<Arc<Blocks>, StageError> {
    input.derived("block.", "blocks", read_blocks)
}

/// The rows of an input laid out; shared by all fits on them.
fn laid(input: &Parts) -> Result<Arc<LaidRows>, StageError> {
    input.derived("block.", "laid out", |input| {
        let Blocks { row_id, x } = read_blocks(input)?;
        let x = Laid::of(x).map_err(|error| failed(error, &[], &row_id))?;
        Ok(LaidRows { row_id, x })
    })
}

fn same_rows(features: &[String], target: &[String]) -> Result<(), StageError> {
    match features == target {
        true => Ok(()),
        false => Err(StageError::failed("the features and the labels are not of the same rows")),
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

/// What rows count: by their own weight, times that of their class. Rows of balanced classes are counted by their weight, as in
/// scikit-learn, so that a row of weight 2 is as good as two rows.
fn weights(of: ClassWeight, y: &[u32], own: Option<&[f64]>) -> Option<Vec<f64>> {
    if of != ClassWeight::Balanced {
        return own.map(<[f64]>::to_vec);
    }
    let mut weights = balanced_weights(y, own);
    weights.iter_mut().zip(own.unwrap_or_default()).for_each(|(weight, own)| *weight *= own);
    Some(weights)
}

fn read_blocks(input: &Parts) -> Result<Blocks, StageError> {
    let mut row_id: Option<Vec<String>> = None;
    let mut x = Features::default();
    for (_, part) in input.with_prefix("block.") {
        let table = part.table()?;
        let ids = row_ids(&table).map_err(StageError::caused)?;
        match &row_id {
            None => row_id = Some(ids.iter().flatten().map(str::to_owned).collect()),
            Some(known) if ids.iter().flatten().eq(known.iter().map(String::as_str)) => {}
            Some(_) => return Err(StageError::failed("the feature blocks are not of the same rows")),
        }
        x.blocks.push(features::from_table(&table).map_err(StageError::caused)?.1);
    }
    Ok(Blocks { row_id: row_id.unwrap_or_default(), x })
}

/// Says rows by their ids and classes by their names.
fn failed(error: FitError, classes: &[String], row_id: &[String]) -> StageError {
    let row = |row: usize| row_id.get(row).map_or_else(|| row.to_string(), |id| format!("`{id}`"));
    match error {
        FitError::Interrupted => StageError::Interrupted,
        FitError::OneClass { class } => {
            let name = classes.get(class as usize).map_or("?", String::as_str);
            StageError::failed(format!("all training rows have the one label `{name}`; a classifier needs two"))
        }
        FitError::NonFinite { row: at, column } => {
            StageError::failed(format!("row {} has a feature (column {column}) that is not a finite number", row(at)))
        }
        FitError::Parameter { name, .. } => StageError::failed(error.to_string()).at_param(&["estimator", name]),
        error => StageError::failed(error.to_string()),
    }
}

/// Columns: output, class (its positive side), intercept, coef. One row where two classes are told apart, else one a class.
fn coefficients(model: &LinearModel, classes: &[String]) -> Result<RecordBatch, StageError> {
    let positive = |output: usize| {
        let place = if model.coef.len() == 1 { model.present.len() - 1 } else { output };
        &classes[model.present[place] as usize]
    };
    let width = model.coef.first().map_or(0, Vec::len);
    let flat: Vec<f64> = model.coef.iter().flatten().copied().collect();
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, model.coef.len()));
    let field = Arc::new(Field::new("item", DataType::Float64, false));
    let coef =
        ListArray::try_new(field, offsets, Arc::new(Float64Array::from(flat)), None).map_err(StageError::caused)?;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("output", Arc::new(UInt32Array::from_iter_values(0..model.coef.len() as u32)), false),
        ("class", Arc::new(StringArray::from_iter_values((0..model.coef.len()).map(positive))), false),
        ("intercept", Arc::new(Float64Array::from(model.intercept.clone())), false),
        ("coef", Arc::new(coef), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

fn linear_model(table: &RecordBatch, classes: usize) -> Result<LinearModel, StageError> {
    let missing = || StageError::failed("a model's table lacks its coefficients");
    let column = |name: &str| table.column_by_name(name).ok_or_else(missing);
    let intercept = column("intercept")?.as_any().downcast_ref::<Float64Array>().ok_or_else(missing)?;
    let lists = column("coef")?.as_any().downcast_ref::<ListArray>().ok_or_else(missing)?;
    let mut coef = Vec::with_capacity(lists.len());
    for list in 0..lists.len() {
        let values = lists.value(list);
        coef.push(values.as_any().downcast_ref::<Float64Array>().ok_or_else(missing)?.values().to_vec());
    }
    Ok(LinearModel { classes, present: (0..classes as u32).collect(), coef, intercept: intercept.values().to_vec() })
}

fn strings(name: &str, values: &[String]) -> Result<RecordBatch, StageError> {
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    RecordBatch::try_from_iter_with_nullable([(name, column, false)]).map_err(StageError::caused)
}

fn read_strings(table: &RecordBatch, name: &str) -> Result<Vec<String>, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<StringArray>());
    let column = column.ok_or_else(|| StageError::failed(format!("a model's table lacks its column `{name}`")))?;
    Ok(column.iter().flatten().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_weight_two_is_as_good_as_two() {
        let twice = weights(ClassWeight::Balanced, &[0, 0, 1, 1], None);
        assert_eq!(twice, Some(vec![1.0; 4]));
        assert_eq!(weights(ClassWeight::Balanced, &[0, 1, 1], Some(&[2.0, 1.0, 1.0])), Some(vec![2.0, 1.0, 1.0]));
        assert_eq!(weights(ClassWeight::None, &[0, 1], Some(&[2.0, 1.0])), Some(vec![2.0, 1.0]));
        assert_eq!(weights(ClassWeight::None, &[0, 1], None), None);
    }
}
