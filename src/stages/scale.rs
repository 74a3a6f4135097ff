//! How are features brought to one scale? Column by column, learned from training rows; or each row by its length.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, UInt32Array};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::linear::FitError;
use crate::ml::{self, RowNorm, Scaler, normalise, rescale};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, BlockOrigin, Ctx, Form, Learner, Output, Parts, Port, Refusal, Scope, Stage, StageError, StageKind,
    TrainRows, WholeTable, Work,
};
use crate::table::{Blocks, features};

/// The kind `scale`.
pub(super) struct Scale;

/// Scales features. Centres and scales come from training rows alone; `normalize` learns nothing. Each block keeps its form: sparse
/// columns are divided but never centred, since that would fill them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// How.
    method: Method,
    /// `standard`: take the mean from dense columns.
    with_mean: bool,
    /// `standard`: divide by the standard deviation.
    with_std: bool,
    /// `robust`: take the median from dense columns.
    with_centering: bool,
    /// `robust`: divide by the distance of the quantiles.
    with_scaling: bool,
    /// `robust`: the two quantiles, in percent.
    quantile_range: [f64; 2],
    /// `normalize`: what the length of a row is.
    norm: Norm,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// Columns to mean 0 and variance 1 (scikit-learn's StandardScaler).
    #[default]
    Standard,
    /// Columns to a greatest absolute value of 1 (MaxAbsScaler).
    MaxAbs,
    /// Dense columns from their least to their greatest value: 0 to 1 (MinMaxScaler).
    MinMax,
    /// Columns to median 0 and a distance of 1 between two quantiles (RobustScaler).
    Robust,
    /// Each row to length 1, over all blocks (Normalizer). A row of zeros stays as it is.
    Normalize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Norm {
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    #[default]
    L2,
    /// Greatest absolute value.
    Max,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            method: Method::Standard,
            with_mean: true,
            with_std: true,
            with_centering: true,
            with_scaling: true,
            quantile_range: [25.0, 75.0],
            norm: Norm::L2,
        }
    }
}

impl StageKind for Scale {
    const KIND: &'static str = "scale";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "features on one scale, learned from training rows";
    const EXAMPLE: &'static str = "{ use: scale, from: fuse, with: { method: max_abs } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let default = Params::default();
        let strangers = [
            ("with_mean", Method::Standard, params.with_mean != default.with_mean),
            ("with_std", Method::Standard, params.with_std != default.with_std),
            ("with_centering", Method::Robust, params.with_centering != default.with_centering),
            ("with_scaling", Method::Robust, params.with_scaling != default.with_scaling),
            ("quantile_range", Method::Robust, params.quantile_range != default.quantile_range),
            ("norm", Method::Normalize, params.norm != default.norm),
        ];
        let mut problems = Problems::default();
        for (name, owner, _) in strangers.into_iter().filter(|(_, owner, set)| *set && *owner != params.method) {
            let message = format!("`{name}` belongs to the method `{}`", word(owner));
            let problem = at.problem("invalid-param", &[name], message);
            problems.push(problem.help(format!("choose `method: {}`, or remove `{name}`", word(owner))));
        }
        let [low, high] = params.quantile_range;
        if !(0.0 <= low && low < high && high <= 100.0) {
            let message =
                format!("`quantile_range` must be two ascending numbers from 0 to 100, but is [{low}, {high}]");
            problems.push(at.problem("out-of-range", &["quantile_range"], message));
        }
        if !problems.0.is_empty() {
            return Err(problems);
        }
        let scaler = match params.method {
            Method::Standard => Scaler::Standard { with_mean: params.with_mean, with_std: params.with_std },
            Method::MaxAbs => Scaler::MaxAbs,
            Method::MinMax => Scaler::MinMax,
            Method::Robust => Scaler::Robust {
                with_centering: params.with_centering,
                with_scaling: params.with_scaling,
                quantile_range: (low, high),
            },
            Method::Normalize => {
                let norm = match params.norm {
                    Norm::L1 => RowNorm::L1,
                    Norm::L2 => RowNorm::L2,
                    Norm::Max => RowNorm::Max,
                };
                return Ok(Work::WholeTable(Box::new(Rows { norm })));
            }
        };
        Ok(Work::Learner(Box::new(Columns { scaler })))
    }
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Standard => "standard",
        Method::MaxAbs => "max_abs",
        Method::MinMax => "min_max",
        Method::Robust => "robust",
        Method::Normalize => "normalize",
    }
}

/// Scales columns.
struct Columns {
    scaler: Scaler,
}

/// Scales rows.
struct Rows {
    norm: RowNorm,
}

fn form_of(inputs: &[Port]) -> Result<Form, Refusal> {
    match inputs {
        [Port::Features(form)] => Ok(*form),
        _ => Err(Refusal { input: 0, wants: "features", fits: |port| matches!(port, Port::Features(_)), help: None }),
    }
}

impl Stage for Columns {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match form_of(inputs)? {
            Form::Sparse | Form::Mixed if self.scaler == Scaler::MinMax => Err(Refusal {
                input: 0,
                wants: "dense features",
                fits: |port| port == Port::Features(Form::Dense),
                help: Some(
                    "`min_max` moves zeros, and sparse columns are mostly zeros: choose `method: max_abs`, or scale the dense stage \
                     before `fuse`"
                        .to_owned(),
                ),
            }),
            form => Ok(Port::Features(form)),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["block.", "names."]
    }

    fn blocks(&self) -> BlockOrigin {
        BlockOrigin::Inputs
    }
}

impl Learner for Columns {
    fn supervised(&self) -> bool {
        false
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::All
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let blocks = read(train.input())?;
        let scales = self.scaler.fit(&blocks.x).map_err(|error| failed(&error, &blocks))?;
        let table = scales_table(&scales, &blocks)?;
        Ok(Output::new().table("scales", table).rows(blocks.x.rows()).fact("features", scales.len()))
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let mut blocks = read(rows)?;
        let scales = scales_of(&*learned.table("scales")?)?;
        rescale(&mut blocks.x, &scales).map_err(|error| failed(&error, &blocks))?;
        handed_on(&blocks, rows)
    }
}

impl Stage for Rows {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        form_of(inputs).map(Port::Features)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["block.", "names."]
    }

    fn blocks(&self) -> BlockOrigin {
        BlockOrigin::Inputs
    }
}

impl WholeTable for Rows {
    fn run(&self, inputs: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let rows = inputs.first().ok_or_else(|| StageError::failed("`scale` has no input"))?;
        let mut blocks = read(rows)?;
        normalise(&mut blocks.x, self.norm).map_err(|error| failed(&error, &blocks))?;
        handed_on(&blocks, rows)
    }
}

fn read(input: &Parts) -> Result<Blocks, StageError> {
    let tables = input.with_prefix("block.").map(|(_, part)| part.table()).collect::<Result<Vec<_>, _>>()?;
    Blocks::of(&tables).map_err(StageError::caused)
}

fn failed(error: &FitError, blocks: &Blocks) -> StageError {
    StageError::failed(blocks.describe(error))
}

/// The blocks, with the names of their columns.
fn handed_on(blocks: &Blocks, rows: &Parts) -> Result<Output, StageError> {
    let mut output = Output::new();
    for (at, table) in blocks.to_tables().map_err(StageError::caused)?.into_iter().enumerate() {
        output = output.table(features::block_part(at), table);
        if let Some(names) = rows.part(&features::names_part(at)) {
            output = output.same(features::names_part(at), names);
        }
    }
    Ok(output)
}

/// Columns: block, index (in it), centre, scale.
fn scales_table(scales: &[ml::Scale], blocks: &Blocks) -> Result<RecordBatch, StageError> {
    let places =
        || (0u32..).zip(&blocks.x.blocks).flat_map(|(at, block)| (0..block.cols() as u32).map(move |j| (at, j)));
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("block", Arc::new(UInt32Array::from_iter_values(places().map(|(at, _)| at))), false),
        ("index", Arc::new(UInt32Array::from_iter_values(places().map(|(_, j)| j))), false),
        ("centre", Arc::new(Float64Array::from_iter_values(scales.iter().map(|scale| scale.centre))), false),
        ("scale", Arc::new(Float64Array::from_iter_values(scales.iter().map(|scale| scale.scale))), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

fn scales_of(table: &RecordBatch) -> Result<Vec<ml::Scale>, StageError> {
    let column = |name: &str| {
        let found = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<Float64Array>());
        found.ok_or_else(|| StageError::failed(format!("what `scale` learned has no column `{name}`")))
    };
    let (centre, scale) = (column("centre")?, column("scale")?);
    Ok((0..table.num_rows()).map(|at| ml::Scale { centre: centre.value(at), scale: scale.value(at) }).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn built(with: Value) -> Result<Work, Vec<String>> {
        let scope = Scope { stage: "scale", base: Path::new("."), locate: &|_| None };
        let built = Scale::build(serde_json::from_value(with).unwrap(), &scope);
        built.map_err(|problems| problems.0.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn sparse_columns_have_no_least_value_to_move_to_0() {
        let work = built(json!({ "method": "min_max" })).unwrap();
        assert!(work.stage().port(&[Port::Features(Form::Dense)]).is_ok());
        for form in [Form::Sparse, Form::Mixed] {
            let refusal = work.stage().port(&[Port::Features(form)]).unwrap_err();
            assert!(refusal.help.is_some_and(|help| help.contains("max_abs")));
            let work = built(json!({ "method": "robust" })).unwrap();
            assert_eq!(work.stage().port(&[Port::Features(form)]).unwrap(), Port::Features(form));
        }
    }

    #[test]
    fn what_learns_nothing_is_no_learner() {
        assert!(matches!(built(json!({ "method": "normalize", "norm": "max" })), Ok(Work::WholeTable(_))));
        assert!(matches!(built(json!({})), Ok(Work::Learner(_))));
    }

    #[test]
    fn parameters_of_another_method_are_refused() {
        let wrong = |with| built(with).err().unwrap();
        assert_eq!(wrong(json!({ "norm": "l1" })), ["`norm` belongs to the method `normalize`"]);
        assert_eq!(
            wrong(json!({ "method": "robust", "quantile_range": [75, 25] })),
            ["`quantile_range` must be two ascending numbers from 0 to 100, but is [75, 25]"]
        );
    }
}
