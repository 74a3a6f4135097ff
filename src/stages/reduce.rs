//! How do many features become few dense ones? Truncated SVD and PCA, learned from training rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::linear::FitError;
use crate::ml::reduce::{Components, Reduction, Whiten};
use crate::ml::{Block, Dense};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Ctx, Form, Learner, Output, Parts, Port, Refusal, Scope, Stage, StageError, StageKind, TrainRows, Work,
};
use crate::table::{Blocks, features};

/// The kind `reduce`.
pub(super) struct Reduce;

/// Turns features into few dense columns that keep most of what the training rows differ by. All blocks are one matrix; sparse rows
/// are never filled, not even to be centred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// How.
    method: Method,
    /// How many columns; fewer where the training rows span fewer dimensions. scikit-learn's defaults (2, and all) serve drawings;
    /// 100 is what its manual recommends for texts.
    #[schemars(range(min = 1))]
    n_components: usize,
    /// Power iterations; more come nearer to the exact components.
    n_iter: usize,
    /// How many more columns are carried along while iterating.
    n_oversamples: usize,
    /// `pca`: divide each component by its standard deviation in the training rows.
    whiten: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// Singular vectors of the rows as they are (scikit-learn's TruncatedSVD); on tf-idf, latent semantic analysis.
    #[default]
    TruncatedSvd,
    /// Singular vectors of the centred rows (PCA).
    Pca,
}

impl Default for Params {
    fn default() -> Self {
        Params { method: Method::TruncatedSvd, n_components: 100, n_iter: 5, n_oversamples: 10, whiten: false }
    }
}

impl StageKind for Reduce {
    const KIND: &'static str = "reduce";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "few dense features from many: truncated SVD or PCA, learned from training rows";
    const EXAMPLE: &'static str = "{ use: reduce, from: tfidf, with: { n_components: 100 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        if params.n_components == 0 {
            problems.push(at.problem("out-of-range", &["n_components"], "`n_components` must be above 0, but is 0"));
        }
        if params.whiten && params.method != Method::Pca {
            let problem = at.problem("invalid-param", &["whiten"], "`whiten` belongs to the method `pca`");
            problems.push(problem.help("choose `method: pca`, or remove `whiten`"));
        }
        if !problems.0.is_empty() {
            return Err(problems);
        }
        let reduction = Reduction {
            centre: params.method == Method::Pca,
            n_components: params.n_components,
            n_oversamples: params.n_oversamples,
            n_iter: params.n_iter,
        };
        let whiten = if params.whiten { Whiten::Yes } else { Whiten::No };
        Ok(Work::Learner(Box::new(Reducing { reduction, whiten })))
    }
}

struct Reducing {
    reduction: Reduction,
    whiten: Whiten,
}

impl Stage for Reducing {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Features(_)] => Ok(Port::Features(Form::Dense)),
            _ => {
                Err(Refusal { input: 0, wants: "features", fits: |port| matches!(port, Port::Features(_)), help: None })
            }
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["block."]
    }

    fn seeded(&self) -> bool {
        true
    }
}

impl Learner for Reducing {
    fn supervised(&self) -> bool {
        false
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::All
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let blocks = read(train.input())?;
        let stop = || ctx.is_cancelled();
        let found = self.reduction.fit(&blocks.x, ctx.seed, &stop).map_err(|error| failed(&error, &blocks))?;
        let (count, wanted) = (found.weights.cols, self.reduction.n_components);
        let names = (0..count).map(|at| format!("{}{at}", self.word()));
        let output = Output::new()
            .table("components", components_table(&found)?)
            .table("variance", variance_table(&found)?)
            .table(features::names_part(0), features::names_table(names).map_err(StageError::caused)?)
            .rows(blocks.x.rows())
            .fact("features", count)
            .fact("features_before", blocks.x.cols())
            .fact("explained_variance_ratio", found.explained_variance_ratio.iter().sum::<f64>())
            .fact("exact", found.exact);
        Ok(match count < wanted {
            true => output.warn(format!(
                "`n_components` is {wanted}, but the rank of the {} training rows is {count}: there are no more components",
                blocks.x.rows()
            )),
            false => output,
        })
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let blocks = read(rows)?;
        let components =
            components_of(&*learned.table("components")?, &*learned.table("variance")?, self.reduction.centre)?;
        let reduced = components.transform(&blocks.x, self.whiten).map_err(|error| failed(&error, &blocks))?;
        let table = features::to_table(&blocks.row_ids, self.word(), &Block::Dense(reduced));
        let mut output = Output::new().table(features::block_part(0), table.map_err(StageError::caused)?);
        if let Some(names) = learned.part(&features::names_part(0)) {
            output = output.same(features::names_part(0), names);
        }
        Ok(output)
    }
}

impl Reducing {
    /// What a component is called.
    fn word(&self) -> &'static str {
        if self.reduction.centre { "pca" } else { "svd" }
    }
}

fn read(input: &Parts) -> Result<Blocks, StageError> {
    let tables = input.with_prefix("block.").map(|(_, part)| part.table()).collect::<Result<Vec<_>, _>>()?;
    Blocks::of(&tables).map_err(StageError::caused)
}

fn failed(error: &FitError, blocks: &Blocks) -> StageError {
    match error {
        FitError::Interrupted => StageError::Interrupted,
        error => StageError::failed(blocks.describe(error)),
    }
}

/// One row for each feature. Columns: feature, weights (one for each component), mean (empty where nothing is centred).
fn components_table(found: &Components) -> Result<RecordBatch, StageError> {
    let weights = &found.weights;
    let width = i32::try_from(weights.cols).map_err(StageError::caused)?;
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let values = Arc::new(Float32Array::from(weights.values.clone()));
    let lists = FixedSizeListArray::try_new(item, width, values, None).map_err(StageError::caused)?;
    let means: Float64Array = match &found.means {
        Some(means) => means.clone().into(),
        None => Float64Array::new_null(weights.rows),
    };
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("feature", Arc::new(UInt32Array::from_iter_values(0..weights.rows as u32)), false),
        ("weights", Arc::new(lists), false),
        ("mean", Arc::new(means), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

/// One row for each component. Columns: component, singular_value, explained_variance, explained_variance_ratio.
fn variance_table(found: &Components) -> Result<RecordBatch, StageError> {
    let column = |values: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("component", Arc::new(UInt32Array::from_iter_values(0..found.singular_values.len() as u32)), false),
        ("singular_value", column(&found.singular_values), false),
        ("explained_variance", column(&found.explained_variance), false),
        ("explained_variance_ratio", column(&found.explained_variance_ratio), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

fn components_of(components: &RecordBatch, variance: &RecordBatch, centred: bool) -> Result<Components, StageError> {
    fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t T, StageError> {
        let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
        column.ok_or_else(|| StageError::failed(format!("what `reduce` learned has no column `{name}`")))
    }
    let lists: &FixedSizeListArray = column(components, "weights")?;
    let means: &Float64Array = column(components, "mean")?;
    let (rows, cols) = (lists.len(), lists.value_length().max(0) as usize);
    let values = lists.values().as_any().downcast_ref::<Float32Array>();
    let values = values.and_then(|values| values.values().get(..rows * cols));
    let values = values.ok_or_else(|| StageError::failed("what `reduce` learned has no weights"))?.to_vec();
    let numbers = |name: &str| Ok::<_, StageError>(column::<Float64Array>(variance, name)?.values().to_vec());
    Ok(Components {
        weights: Dense { rows, cols, values },
        means: centred.then(|| means.values().to_vec()),
        singular_values: numbers("singular_value")?,
        explained_variance: numbers("explained_variance")?,
        explained_variance_ratio: numbers("explained_variance_ratio")?,
        exact: false,
    })
}
