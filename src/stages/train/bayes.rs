//! Which naive Bayes learners are there? Multinomial, complement, Bernoulli and Gaussian.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{Gives, Learner, Model, Takes, Training, Trouble, Written};
use super::linear::{Probable, classifier_table, linear_model};
use crate::ml::Features;
use crate::ml::bayes::{BernoulliNb, ComplementNb, GaussianModel, GaussianNb, MultinomialNb, binarized};
use crate::ml::linear::{FitError, LinearModel};
use crate::stage::{Output, Parts, StageError};

/// scikit-learn's MultinomialNB: for counts and tf-idf; values of 0 or more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MultinomialParams {
    /// Added to every count.
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// A class is as likely as it is frequent among the training rows; else all are alike.
    fit_prior: bool,
}

/// scikit-learn's ComplementNB: multinomial naive Bayes learned from all rows that are not of a class, for classes of unequal size; values of 0 or more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ComplementParams {
    /// Added to every count.
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// Divide the weights of a class by their sum.
    norm: bool,
}

/// scikit-learn's BernoulliNB: each column is there or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BernoulliParams {
    /// Added to the number of rows that have a column, and to that of those that have not.
    #[schemars(extend("exclusiveMinimum" = 0))]
    alpha: f64,
    /// A value above this is there. Not below 0 (scikit-learn allows it), so that a zero is never there.
    #[schemars(range(min = 0.0))]
    binarize: f64,
    /// A class is as likely as it is frequent among the training rows; else all are alike.
    fit_prior: bool,
}

/// scikit-learn's GaussianNB: a mean and a variance for each class and column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GaussianParams {
    /// This share of the greatest variance of a column is added to every variance. Above 0 (scikit-learn allows 0).
    #[schemars(extend("exclusiveMinimum" = 0))]
    var_smoothing: f64,
}

impl Default for MultinomialParams {
    fn default() -> Self {
        let MultinomialNb { alpha, fit_prior } = MultinomialNb::default();
        MultinomialParams { alpha, fit_prior }
    }
}

impl Default for ComplementParams {
    fn default() -> Self {
        let ComplementNb { alpha, norm } = ComplementNb::default();
        ComplementParams { alpha, norm }
    }
}

impl Default for BernoulliParams {
    fn default() -> Self {
        let BernoulliNb { alpha, binarize, fit_prior } = BernoulliNb::default();
        BernoulliParams { alpha, binarize, fit_prior }
    }
}

impl Default for GaussianParams {
    fn default() -> Self {
        GaussianParams { var_smoothing: GaussianNb::default().var_smoothing }
    }
}

impl Written for MultinomialParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Counts::Multinomial(MultinomialNb { alpha: self.alpha, fit_prior: self.fit_prior }))
    }
}

impl Written for ComplementParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(Counts::Complement(ComplementNb { alpha: self.alpha, norm: self.norm }))
    }
}

impl Written for BernoulliParams {
    fn learner(&self) -> Box<dyn Learner> {
        let (alpha, binarize, fit_prior) = (self.alpha, self.binarize, self.fit_prior);
        Box::new(Counts::Bernoulli(BernoulliNb { alpha, binarize, fit_prior }))
    }
}

impl Written for GaussianParams {
    fn learner(&self) -> Box<dyn Learner> {
        Box::new(GaussianNb { var_smoothing: self.var_smoothing })
    }
}

/// Those whose model is linear.
enum Counts {
    Multinomial(MultinomialNb),
    Complement(ComplementNb),
    Bernoulli(BernoulliNb),
}

impl Learner for Counts {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Probabilities
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn linear(&self) -> bool {
        // Bernoulli's weighs whether a feature is above a bound, not the feature
        !matches!(self, Counts::Bernoulli(_))
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let (blocks, weights) = (on.blocks()?, on.weights(Default::default())?);
        let (x, weights) = (&blocks.x, weights.as_deref());
        let model = match self {
            Counts::Multinomial(nb) => nb.fit(x, y, classes, weights)?,
            Counts::Complement(nb) => nb.fit(x, y, classes, weights)?,
            Counts::Bernoulli(nb) => nb.fit(x, y, classes, weights)?,
        };
        Ok(Output::new().table("coefficients", classifier_table(&model, on.names())?))
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let model = linear_model(learned, classes)?;
        Ok(match self {
            Counts::Bernoulli(nb) => Box::new(OfThere { model, binarize: nb.binarize }),
            _ => Box::new(Probable(model)),
        })
    }
}

/// A linear model of whether columns are there.
struct OfThere {
    model: LinearModel,
    binarize: f64,
}

impl Model for OfThere {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.model.predict_proba(&self.there(x)?)
    }

    fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        self.model.predict(&self.there(x)?)
    }
}

impl OfThere {
    fn there(&self, x: &Features) -> Result<Features, FitError> {
        // NaN is not above anything: asked before it is gone
        crate::ml::bayes::check(x)?;
        Ok(binarized(x, self.binarize))
    }
}

impl Learner for GaussianNb {
    fn takes(&self) -> Takes {
        Takes::Any
    }

    fn gives(&self) -> Gives {
        Gives::Probabilities
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let (y, classes) = on.classes()?;
        let weights = on.weights(Default::default())?;
        let model = GaussianNb::fit(self, &on.blocks()?.x, y, classes, weights.as_deref())?;
        let (priors, normals) = tables(&model, on.names())?;
        Ok(Output::new().table("priors", priors).table("normals", normals))
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let (priors, normals) = (learned.table("priors")?, learned.table("normals")?);
        let present = column::<UInt32Array>(&priors, "index")?.values().to_vec();
        let log_prior = column::<Float64Array>(&priors, "log_prior")?.values().to_vec();
        let of_class = |name: &str| -> Result<Vec<Vec<f64>>, StageError> {
            let flat = column::<Float64Array>(&normals, name)?.values();
            match flat.len().checked_div(present.len()) {
                Some(cols) if cols > 0 && cols * present.len() == flat.len() => {
                    Ok(flat.chunks_exact(cols).map(<[f64]>::to_vec).collect())
                }
                _ => Err(StageError::failed("a model's tables do not fit together")),
            }
        };
        let (mean, variance) = (of_class("mean")?, of_class("variance")?);
        if log_prior.len() != present.len() || present.iter().any(|&class| class as usize >= classes) {
            return Err(StageError::failed("a model's tables do not fit together").into());
        }
        Ok(Box::new(GaussianModel { classes, present, log_prior, mean, variance }))
    }
}

impl Model for GaussianModel {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        self.predict_proba(x)
    }
}

/// One row a class (index, class, log_prior), and one a class and column (index, column, mean, variance).
fn tables(model: &GaussianModel, names: &[String]) -> Result<(RecordBatch, RecordBatch), StageError> {
    let class = model.present.iter().map(|&class| names[class as usize].as_str());
    let priors: [(&str, ArrayRef, bool); 3] = [
        ("index", Arc::new(UInt32Array::from(model.present.clone())), false),
        ("class", Arc::new(StringArray::from_iter_values(class)), false),
        ("log_prior", Arc::new(Float64Array::from(model.log_prior.clone())), false),
    ];
    let cols = model.mean.first().map_or(0, Vec::len);
    let index = model.present.iter().flat_map(|&class| std::iter::repeat_n(class, cols));
    let columns = model.present.iter().flat_map(|_| 0..cols as u32);
    let normals: [(&str, ArrayRef, bool); 4] = [
        ("index", Arc::new(UInt32Array::from_iter_values(index)), false),
        ("column", Arc::new(UInt32Array::from_iter_values(columns)), false),
        ("mean", Arc::new(Float64Array::from(model.mean.concat())), false),
        ("variance", Arc::new(Float64Array::from(model.variance.concat())), false),
    ];
    let priors = RecordBatch::try_from_iter_with_nullable(priors).map_err(StageError::caused)?;
    Ok((priors, RecordBatch::try_from_iter_with_nullable(normals).map_err(StageError::caused)?))
}

fn column<'t, T: Array + 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t T, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
    column.ok_or_else(|| StageError::failed(format!("a model's table lacks its column `{name}`")))
}
