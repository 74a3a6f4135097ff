//! How good are predicted classes? Held against labels, and pooled over all folds.

use super::score::{Predicted, unknown, with_metrics};
use crate::ml::{BINS, ConfusionMatrix, Metric, MetricNeeds, Outcome, Scores, compute, reliability, thresholds};
use crate::stage::{Ctx, Output, StageError};
use crate::table::predictions::{Predictions, Scored};
use crate::table::scores::{ClassScore, classes_table, confusion_table, reliability_table, thresholds_table};
use crate::table::target::Target;

/// Most thresholds that are kept.
const THRESHOLDS: usize = 200;

/// Scores all folds.
pub(super) fn score(
    metrics: &[Metric],
    folds: &[Predicted],
    target: &Target,
    ctx: &Ctx<'_>,
) -> Result<Output, StageError> {
    let labels = labels_by_row(target)?;
    let mut predicted = Vec::with_capacity(folds.len());
    for fold in folds {
        predicted.push(Predictions::from_table(&fold.table).map_err(StageError::caused)?);
    }
    let classes = all_classes(target, &predicted);
    let (mut computed, mut pooled) = (Vec::new(), Pooled::default());
    for (fold, predictions) in folds.iter().zip(predicted) {
        ctx.check()?;
        let one = OneFold::new(predictions, &labels, &classes)?;
        let outcome = one.outcome(classes.len())?;
        let possible = |m: &&Metric| one.predictions.probabilities || m.needs() != MetricNeeds::Probabilities;
        let possible = metrics.iter().filter(possible);
        computed.extend(possible.map(|metric| fold.metric(*metric, compute(*metric, &outcome))));
        pooled.add(fold.number, one, &classes);
    }
    with_metrics(pooled.output(classes)?, &computed)
}

/// Every class that occurs, was learned or was predicted, in code-point order.
fn all_classes(target: &Target, predicted: &[Predictions]) -> Vec<String> {
    let labels = target.label.iter().flatten().flatten();
    let mut all: Vec<String> = labels.chain(predicted.iter().flat_map(|p| &p.classes)).cloned().collect();
    all.sort_unstable();
    all.dedup();
    all
}

type LabelOf<'t> = rustc_hash::FxHashMap<&'t str, Option<&'t str>>;

fn labels_by_row(target: &Target) -> Result<LabelOf<'_>, StageError> {
    let Some(labels) = &target.label else {
        return Err(
            StageError::failed("the rows have no labels").help("name the label column in `ingest` (`label: COLUMN`)")
        );
    };
    Ok(target.row_id.iter().map(String::as_str).zip(labels.iter().map(Option::as_deref)).collect())
}

/// A fold's predictions beside the truth, over all classes.
struct OneFold {
    predictions: Predictions,
    labels: Vec<Option<String>>,
    y_true: Vec<u32>,
    y_pred: Vec<u32>,
    scores: Vec<f64>,
}

impl OneFold {
    fn new(predictions: Predictions, labels: &LabelOf<'_>, classes: &[String]) -> Result<Self, StageError> {
        let index = |class: &str| classes.binary_search_by(|known| known.as_str().cmp(class)).ok().map(|at| at as u32);
        let lost = |row: &String| unknown(row, "label");
        let of_row = |row: &String| labels.get(row.as_str()).copied().flatten();
        let truth: Vec<Option<String>> = predictions.row_id.iter().map(|row| of_row(row).map(str::to_owned)).collect();
        let y_true = predictions.row_id.iter().map(|row| of_row(row).and_then(index).ok_or_else(|| lost(row)));
        let y_pred = predictions.predicted.iter().map(|class| index(class).ok_or_else(|| lost(class)));
        let (y_true, y_pred) = (y_true.collect::<Result<Vec<u32>, _>>()?, y_pred.collect::<Result<Vec<u32>, _>>()?);
        let absent = if predictions.probabilities { 0.0 } else { f64::NEG_INFINITY };
        let mut scores = vec![absent; y_true.len() * classes.len()];
        let columns: Vec<usize> = predictions.classes.iter().filter_map(|c| index(c)).map(|at| at as usize).collect();
        let width = predictions.classes.len().max(1);
        for (row, values) in predictions.scores.chunks(width).enumerate() {
            columns.iter().zip(values).for_each(|(column, value)| scores[row * classes.len() + column] = *value);
        }
        Ok(OneFold { predictions, labels: truth, y_true, y_pred, scores })
    }

    fn outcome(&self, classes: usize) -> Result<Outcome<'_>, StageError> {
        let scores = match self.predictions.probabilities {
            true => Scores::Probabilities(&self.scores),
            false => Scores::Decisions(&self.scores),
        };
        Outcome::new(&self.y_true, &self.y_pred, classes, Some(scores)).map_err(StageError::caused)
    }
}

/// The predictions of all folds, one after the other.
#[derive(Default)]
struct Pooled {
    fold: Vec<u32>,
    labels: Vec<Option<String>>,
    y_true: Vec<u32>,
    y_pred: Vec<u32>,
    row_id: Vec<String>,
    predicted: Vec<String>,
    scores: Vec<f64>,
    decisions: bool,
}

impl Pooled {
    fn add(&mut self, number: u32, fold: OneFold, classes: &[String]) {
        debug_assert_eq!(fold.scores.len(), fold.y_true.len() * classes.len());
        self.fold.extend(std::iter::repeat_n(number, fold.y_true.len()));
        self.labels.extend(fold.labels);
        self.y_true.extend(fold.y_true);
        self.y_pred.extend(fold.y_pred);
        self.row_id.extend(fold.predictions.row_id);
        self.predicted.extend(fold.predictions.predicted);
        self.scores.extend(fold.scores);
        self.decisions |= !fold.predictions.probabilities;
    }

    fn output(self, classes: Vec<String>) -> Result<Output, StageError> {
        let scores = match self.decisions {
            true => Scores::Decisions(&self.scores),
            false => Scores::Probabilities(&self.scores),
        };
        let outcome =
            Outcome::new(&self.y_true, &self.y_pred, classes.len(), Some(scores)).map_err(StageError::caused)?;
        let matrix = ConfusionMatrix::of(&outcome);
        let scores = matrix.per_class().into_iter().zip(&classes).map(|(of, class)| ClassScore {
            class: class.clone(),
            precision: of.precision,
            recall: of.recall,
            f1: of.f1,
            support: of.support,
        });
        let scores: Vec<ClassScore> = scores.collect();
        let counts: Vec<Vec<u64>> = matrix.rows().map(<[u64]>::to_vec).collect();
        let mut output = Output::new()
            .table("classes", classes_table(&scores).map_err(StageError::caused)?)
            .table("confusion", confusion_table(&classes, &counts).map_err(StageError::caused)?);
        if let Some(bins) = reliability(&outcome, BINS) {
            output = output.table("reliability", reliability_table(&bins).map_err(StageError::caused)?);
        }
        if let Some(thresholds) = thresholds(&outcome, THRESHOLDS) {
            output = output.table("thresholds", thresholds_table(&thresholds).map_err(StageError::caused)?);
        }
        let scored = Scored {
            fold: self.fold,
            label: self.labels,
            predictions: Predictions {
                row_id: self.row_id,
                classes,
                predicted: self.predicted,
                scores: self.scores,
                probabilities: !self.decisions,
            },
        };
        Ok(output.table("predictions", scored.to_table().map_err(StageError::caused)?))
    }
}
