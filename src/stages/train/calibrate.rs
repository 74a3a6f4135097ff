//! How likely is each class, where a model only says how far a row is from its boundary? Learned from predictions for training
//! rows that the model had not seen.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, ListArray, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ensemble::{models, one_class, output};
use super::learner::{read_strings, strings};
use super::stacked::{Stacked, applied, out_of_fold};
use super::truth::labels;
use crate::ml::Task;
use crate::ml::calibrate::{Isotonic, Sigmoid, Temperature, normalised};
use crate::problem::Problems;
use crate::stage::{
    Ctx, MetaLearner, Numeric, OutOfFold, Outlook, Output, Parts, Port, Refusal, Says, Scope, Stage, StageError,
    StageKind, TrainRows, Unfit, Work,
};

/// The kind `calibrate`.
pub(in crate::stages) struct Calibrate;

/// Turns a model's scores into calibrated probabilities, as scikit-learn's CalibratedClassifierCV with `ensemble=False`: the
/// calibration is learned from predictions for folds of the training rows, the model itself from all of them. More than two classes
/// are calibrated one against the rest, and then made to sum to 1. Where a model has probabilities p, they are calibrated as ln(p / (1 − p)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// How scores become probabilities.
    method: Method,
    /// Into how many folds the training rows are divided.
    #[schemars(range(min = 2, max = 100))]
    folds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// 1 / (1 + exp(a·score + b)) for each class (Platt). Good for few rows.
    Sigmoid,
    /// A step function that never falls, for each class. Needs about a thousand rows or more.
    Isotonic,
    /// softmax(score / T) for all classes together: one number is learned, and no predicted class changes.
    Temperature,
}

impl Default for Params {
    fn default() -> Self {
        Params { method: Method::Sigmoid, folds: 5 }
    }
}

impl StageKind for Calibrate {
    const KIND: &'static str = "calibrate";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "a model with calibrated probabilities";
    const EXAMPLE: &'static str = "{ use: calibrate, from: train, with: { method: isotonic } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        match params.folds {
            2..=100 => Ok(Work::Meta(Box::new(Calibration { params }))),
            folds => {
                let message = format!("`folds` must be from 2 to 100, but is {folds}");
                Err(at.problem("out-of-range", &["folds"], message).into())
            }
        }
    }
}

struct Calibration {
    params: Params,
}

impl Stage for Calibration {
    fn numeric(&self) -> Numeric {
        Numeric::Libm
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        models(inputs)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["predictions"]
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        one_class(of)?;
        Ok(Some(Says { task: Task::Classes, probabilities: Some(true) }))
    }
}

impl MetaLearner for Calibration {
    fn inner_folds(&self) -> Option<u32> {
        Some(self.params.folds)
    }

    fn fit(&self, train: &TrainRows, predicted: &[OutOfFold], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let target = labels(train.target()?)?;
        let (names, index) = (target.labels.classes.as_slice(), target.labels.index.as_slice());
        if names.len() < 2 {
            return Err(StageError::failed("the training rows have one class; there is nothing to calibrate"));
        }
        let stacked = out_of_fold(predicted, 1, &target.row_id, names)?;
        let scores = margins(&stacked[0]);
        let weight = target.weight.as_deref();
        let mut curves = Vec::new();
        if self.params.method == Method::Temperature {
            let temperature = Temperature::fit(&scores, names.len(), index, weight).map_err(StageError::caused)?;
            curves.push((vec![temperature.beta], Vec::new()));
        } else {
            // of two classes the second's curve says all
            for class in usize::from(names.len() == 2)..names.len() {
                ctx.check()?;
                let own: Vec<f64> = scores.chunks_exact(names.len()).map(|row| row[class]).collect();
                let positive: Vec<bool> = index.iter().map(|&label| label as usize == class).collect();
                curves.push(match self.params.method {
                    Method::Isotonic => {
                        let isotonic = Isotonic::fit(&own, &positive, weight).map_err(StageError::caused)?;
                        (isotonic.thresholds, isotonic.values)
                    }
                    _ => {
                        let sigmoid = Sigmoid::fit(&own, &positive, weight).map_err(StageError::caused)?;
                        (vec![sigmoid.a], vec![sigmoid.b])
                    }
                });
            }
        }
        let output = Output::new().table("classes", strings("class", names)?).table("curves", curves_table(&curves)?);
        Ok(output.rows(index.len()).fact("training_rows", index.len()))
    }

    fn apply(&self, learned: &Parts, models: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let classes = read_strings(&*learned.table("classes")?, "class")?;
        let curves = read_curves(&*learned.table("curves")?)?;
        let (row_id, stacked) = applied(models, &classes)?;
        let Some(model) = stacked.first() else { return Err(StageError::failed("there is no model to calibrate")) };
        let mut scores = margins(model);
        let lacks = || StageError::failed("a calibration lacks its curves");
        if self.params.method == Method::Temperature {
            let beta = curves.first().and_then(|(x, _)| x.first()).copied().ok_or_else(lacks)?;
            let temperature = Temperature { beta };
            scores.chunks_exact_mut(classes.len()).for_each(|row| temperature.apply(row));
            return output(row_id, classes, scores, true);
        }
        let mut probable: Vec<Box<dyn Fn(f64) -> f64>> = Vec::with_capacity(curves.len());
        for (x, y) in curves {
            probable.push(match self.params.method {
                Method::Isotonic => {
                    let isotonic = Isotonic { thresholds: x, values: y };
                    Box::new(move |score| isotonic.apply(score))
                }
                _ => {
                    let (a, b) = x.first().copied().zip(y.first().copied()).ok_or_else(lacks)?;
                    Box::new(move |score| Sigmoid { a, b }.apply(score))
                }
            });
        }
        match (classes.len(), probable.as_slice()) {
            (2, [second]) => scores.chunks_exact_mut(2).for_each(|row| {
                let p = second(row[1]);
                (row[0], row[1]) = (1.0 - p, p);
            }),
            (count, each) if count == each.len() => {
                let rows = scores.chunks_exact_mut(count);
                rows.for_each(|row| row.iter_mut().zip(each).for_each(|(score, curve)| *score = curve(*score)));
                normalised(&mut scores, &vec![true; count]);
            }
            _ => return Err(lacks()),
        }
        output(row_id, classes, scores, true)
    }
}

/// Decision values as they are; probabilities as their log odds, kept finite.
fn margins(model: &Stacked) -> Vec<f64> {
    match model.probabilities {
        false => model.scores.clone(),
        true => {
            let odds = |p: &f64| {
                let p = p.clamp(1e-15, 1.0 - 1e-15);
                (p / (1.0 - p)).ln()
            };
            model.scores.iter().map(odds).collect()
        }
    }
}

type Curve = (Vec<f64>, Vec<f64>);

/// Columns: x, y (lists): of a sigmoid a and b, of a step function its scores and probabilities, of a temperature one over it.
fn curves_table(curves: &[Curve]) -> Result<RecordBatch, StageError> {
    let lists = |of: fn(&Curve) -> &Vec<f64>| {
        let field = Arc::new(Field::new("item", DataType::Float64, false));
        let offsets = OffsetBuffer::from_lengths(curves.iter().map(|curve| of(curve).len()));
        let values: Vec<f64> = curves.iter().flat_map(|curve| of(curve).iter().copied()).collect();
        ListArray::try_new(field, offsets, Arc::new(Float64Array::from(values)), None).map_err(StageError::caused)
    };
    let columns: Vec<(&str, ArrayRef, bool)> =
        vec![("x", Arc::new(lists(|curve| &curve.0)?), false), ("y", Arc::new(lists(|curve| &curve.1)?), false)];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

fn read_curves(table: &RecordBatch) -> Result<Vec<Curve>, StageError> {
    let lacks = || StageError::failed("a calibration's table lacks its curves");
    let column = |name: &str| -> Result<Vec<Vec<f64>>, StageError> {
        let lists = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<ListArray>());
        let lists = lists.ok_or_else(lacks)?;
        let one = |list: usize| {
            let values = lists.value(list);
            values.as_any().downcast_ref::<Float64Array>().map(|values| values.values().to_vec()).ok_or_else(lacks)
        };
        (0..lists.len()).map(one).collect()
    };
    Ok(column("x")?.into_iter().zip(column("y")?).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_come_back() {
        let curves = vec![(vec![1.0, 2.0], vec![0.5, 0.75]), (vec![-1.0], Vec::new())];
        assert_eq!(read_curves(&curves_table(&curves).unwrap()).unwrap(), curves);
        assert!(read_curves(&strings("x", &["a".to_owned()]).unwrap()).is_err());
    }

    #[test]
    fn probabilities_are_calibrated_by_their_odds() {
        let model = |scores: &[f64], probabilities| Stacked { scores: scores.to_vec(), probabilities };
        assert_eq!(margins(&model(&[-2.0, 2.0], false)), [-2.0, 2.0]);
        let odds = margins(&model(&[0.5, 0.0, 1.0], true));
        assert_eq!(odds[0], 0.0);
        assert!(odds[1] < -30.0 && odds[2] > 30.0 && odds.iter().all(|odds| odds.is_finite()));
    }
}
