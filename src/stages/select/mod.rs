//! Which features are kept? Those that training rows show to tell most.

mod params;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use rustc_hash::FxHashSet;

use self::params::By;
pub(super) use self::params::Params;
use crate::ml::linear::{Columns, Convergence, FitError, Laid, ShouldStop};
use crate::ml::select::{Judge, Keep, KeepError, Score, cut, f_regression, importances, importances_of_values};
use crate::ml::{Block, Dense};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, BlockOrigin, Ctx, Learner, Numeric, Outlook, Output, Parts, Port, Refusal, Says, Scope, Stage, StageError,
    StageKind, TrainRows, Unfit, Work,
};
use crate::table::target::Target;
use crate::table::{Blocks, features};

/// The kind `select`.
pub(super) struct Select;

impl StageKind for Select {
    const KIND: &'static str = "select";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "the features that tell most, judged by training rows";
    const EXAMPLE: &'static str = "{ use: select, from: tfidf, with: { score_func: chi2, k: 1000 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let (by, keep) = params.checked(at)?;
        Ok(Work::Learner(Box::new(Selection { by, keep })))
    }
}

struct Selection {
    by: By,
    keep: Keep,
}

impl Stage for Selection {
    fn numeric(&self) -> Numeric {
        Numeric::Libm
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Features(form)] => Ok(Port::Features(*form)),
            _ => {
                Err(Refusal { input: 0, wants: "features", fits: |port| matches!(port, Port::Features(_)), help: None })
            }
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["block.", "names."]
    }

    fn blocks(&self) -> BlockOrigin {
        BlockOrigin::Inputs
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        let Some(targets) = of.targets.filter(|_| self.supervised()) else { return Ok(None) };
        let unfit = |message: &str, help: &str| Err(Unfit::param(&[], message).help(help));
        match self.by.asks_numbers() {
            true if targets.value => Ok(None),
            true => unfit(&self.unvalued(), UNVALUED),
            false if targets.label => Ok(None),
            false if targets.label_set => unfit(SEVERAL, UNJUDGED),
            false => unfit("columns are judged by labels, and the rows have none", unlabelled(targets.value)),
        }
    }
}

const SEVERAL: &str = "the rows have several labels each, and `select` judges columns by one label a row";
const UNJUDGED: &str = "choose `score_func: variance`, which needs none";
const UNVALUED: &str = "name its column in `ingest`: `value: COLUMN`";

/// What to do about rows without labels, which may have numbers.
fn unlabelled(values: bool) -> &'static str {
    match values {
        true => "choose `score_func: f_regression`, which judges by the rows' `value`",
        false => "name the label column in `ingest`, or choose `score_func: variance`, which needs none",
    }
}

impl Learner for Selection {
    fn supervised(&self) -> bool {
        self.by != By::Score(Judge::Variance)
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::All
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let blocks = read(train.input())?;
        let (scores, end) = self.scores(&blocks, train, ctx)?;
        let kept = self.keep.choose(&scores).map_err(|error| nothing(&error))?;
        let names = names(train.input(), &blocks)?;
        let count = kept.iter().filter(|&&kept| kept).count();
        let mut output = Output::new()
            .table("scores", scores_table(&scores, &kept, &blocks, &names)?)
            .rows(blocks.x.rows())
            .fact("features", count)
            .fact("features_before", kept.len());
        let mut rest = kept.as_slice();
        for (at, (block, names)) in blocks.x.blocks.iter().zip(&names).enumerate() {
            let (own, others) = rest.split_at(block.cols());
            rest = others;
            if let Some(names) = names {
                let left = names.iter().flatten().zip(own).filter_map(|(name, kept)| kept.then_some(name));
                output =
                    output.table(features::names_part(at), features::names_table(left).map_err(StageError::caused)?);
            }
        }
        if let Keep::Best(k) = self.keep
            && k > kept.len()
        {
            output = output.warn(format!("`k` is {k}, but there are {} feature columns: all are kept", kept.len()));
        }
        if let Some(end) = end.filter(|end| !end.converged) {
            let (name, steps) = (self.by.name(), end.iterations);
            output = output.warn(format!(
                "`{name}` stopped after {steps} iterations before it had converged; {}",
                self.by.easier()
            ));
        }
        Ok(match self.by {
            By::Score(Judge::MutualInfo) => warn_of_real_numbers(output, &blocks),
            _ => output,
        })
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let mut blocks = read(rows)?;
        let table = learned.table("scores")?;
        let kept = table.column_by_name("kept").and_then(|column| column.as_any().downcast_ref::<BooleanArray>());
        let kept = kept.ok_or_else(|| StageError::failed("what `select` learned has no column `kept`"))?;
        let kept: Vec<bool> = kept.iter().map(Option::unwrap_or_default).collect();
        blocks.x = cut(&blocks.x, &kept).map_err(|error| self.failed(&error, &blocks))?;
        let mut output = Output::new();
        for (at, table) in blocks.to_tables().map_err(StageError::caused)?.into_iter().enumerate() {
            output = output.table(features::block_part(at), table);
            if let Some(names) = learned.part(&features::names_part(at)) {
                output = output.same(features::names_part(at), names);
            }
        }
        Ok(output)
    }
}

/// Scores of the columns and, where a model gave them, how its fit ended.
type Scores = (Vec<Score>, Option<Convergence>);

impl Selection {
    fn scores(&self, blocks: &Blocks, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Scores, StageError> {
        if self.by == By::Score(Judge::Variance) {
            let scores = Judge::Variance.scores(&blocks.x, &[], 0).map_err(|error| self.failed(&error, blocks))?;
            return Ok((scores, None));
        }
        let target = Target::from_table(&*train.target()?.table("target")?).map_err(StageError::caused)?;
        if !target.row_id.iter().map(String::as_str).eq(blocks.row_ids.iter().flatten()) {
            return Err(StageError::failed("the features and the labels are not of the same rows"));
        }
        let stop = || ctx.is_cancelled();
        match self.by.asks_numbers() {
            true => self.by_values(blocks, &target, &stop),
            false => self.by_classes(blocks, &target, &stop),
        }
    }

    fn by_classes(&self, blocks: &Blocks, target: &Target, stop: ShouldStop<'_>) -> Result<Scores, StageError> {
        if target.label_set.is_some() {
            return Err(StageError::failed(SEVERAL).help(UNJUDGED));
        }
        let labels = target
            .labels()
            .map_err(|error| StageError::failed(error.to_string()).help(unlabelled(target.value.is_some())))?;
        let (y, classes, weight) = (labels.index.as_slice(), labels.classes.len(), target.weight.as_deref());
        if let [class] = labels.classes.as_slice() {
            let message = format!("all training rows have the one label `{class}`; columns are judged by two or more");
            return Err(StageError::failed(message));
        }
        let failed = |error| self.failed(&error, blocks);
        let (laid, columns) = (|| Laid::of(blocks.x.clone()), || Columns::of(&blocks.x));
        let (model, end) = match &self.by {
            By::Score(judge) => return Ok((judge.scores(&blocks.x, y, classes).map_err(failed)?, None)),
            By::Logistic(learner) => laid().and_then(|x| learner.fit(&x, y, classes, weight, stop)),
            By::LinearSvc(learner) => laid().and_then(|x| learner.fit(&x, y, classes, weight, stop)),
            By::SparseLogistic(learner) => columns().and_then(|x| learner.fit(&x, y, classes, weight, stop)),
            By::SparseSvc(learner) => columns().and_then(|x| learner.fit(&x, y, classes, weight, stop)),
            By::FRegression | By::Ridge(_) | By::Lasso(_) => return self.by_values(blocks, target, stop),
        }
        .map_err(failed)?;
        Ok((importances(&model), Some(end)))
    }

    fn unvalued(&self) -> String {
        format!("`{}` judges columns by the rows' `value`, and they have none", self.by.name())
    }

    fn by_values(&self, blocks: &Blocks, target: &Target, stop: ShouldStop<'_>) -> Result<Scores, StageError> {
        let Some(y) = &target.value else {
            return Err(StageError::failed(self.unvalued()).help(UNVALUED));
        };
        if let [first, rest @ ..] = y.as_slice()
            && rest.iter().all(|value| value == first)
        {
            let message = format!("all training rows have the one value {first}; columns are judged by two or more");
            return Err(StageError::failed(message));
        }
        let failed = |error| self.failed(&error, blocks);
        let weight = target.weight.as_deref();
        let (function, end) = match &self.by {
            By::Ridge(learner) => Laid::of(blocks.x.clone()).and_then(|x| learner.fit(&x, y, weight, stop)),
            By::Lasso(learner) => Columns::of(&blocks.x).and_then(|x| learner.fit(&x, y, weight, stop)),
            _ => return Ok((f_regression(&blocks.x, y).map_err(failed)?, None)),
        }
        .map_err(failed)?;
        Ok((importances_of_values(&function), Some(end)))
    }

    fn failed(&self, error: &FitError, blocks: &Blocks) -> StageError {
        let failure = StageError::failed(blocks.describe(error));
        match error {
            FitError::Interrupted => StageError::Interrupted,
            FitError::Negative { .. } => {
                failure.because("`chi2` takes counts and other values of 0 or more").help("choose `f_classif`")
            }
            FitError::Parameter { name, .. } => failure.at_param(&["estimator", self.by.name(), name]),
            _ => failure,
        }
    }
}

fn nothing(error: &KeepError) -> StageError {
    StageError::failed(error.to_string())
        .help("keep more: raise `fpr`, `fdr`, `fwe` or `percentile`, lower `threshold`, or say `k`")
}

/// Warns of dense columns in which almost no value occurs twice: their mutual information says nothing.
fn warn_of_real_numbers(output: Output, blocks: &Blocks) -> Output {
    let real = |m: &Dense| {
        let distinct = |column: usize| {
            (0..m.rows).map(|row| m.values[row * m.cols + column].to_bits()).collect::<FxHashSet<u32>>().len()
        };
        (0..m.cols).filter(|&column| 2 * distinct(column) > m.rows && m.rows > 2).count()
    };
    let count: usize = blocks
        .x
        .blocks
        .iter()
        .map(|block| match block {
            Block::Dense(m) => real(m),
            Block::Sparse(_) => 0,
        })
        .sum();
    if count == 0 {
        return output;
    }
    output.warn(format!(
        "`mutual_info_classif` counts equal values, and in {count} dense columns most values occur once: their scores say nothing; \
         choose `f_classif`"
    ))
}

fn read(input: &Parts) -> Result<Blocks, StageError> {
    let tables = input.with_prefix("block.").map(|(_, part)| part.table()).collect::<Result<Vec<_>, _>>()?;
    Blocks::of(&tables).map_err(StageError::caused)
}

/// The names of each block's columns, where it has names.
fn names(input: &Parts, blocks: &Blocks) -> Result<Vec<Option<StringArray>>, StageError> {
    let of = |(at, block): (usize, &Block)| {
        let Some(part) = input.part(&features::names_part(at)) else { return Ok(None) };
        let names = features::names(&*part.table()?).map_err(StageError::caused)?.clone();
        match names.len() == block.cols() {
            true => Ok(Some(names)),
            false => Err(StageError::failed(format!("{} names were given for {} columns", names.len(), block.cols()))),
        }
    };
    blocks.x.blocks.iter().enumerate().map(of).collect()
}

/// Columns: block, index (in it), name, score, p_value, kept.
fn scores_table(
    scores: &[Score],
    kept: &[bool],
    blocks: &Blocks,
    names: &[Option<StringArray>],
) -> Result<RecordBatch, StageError> {
    let places: Vec<(usize, usize)> =
        blocks.x.blocks.iter().enumerate().flat_map(|(at, block)| (0..block.cols()).map(move |j| (at, j))).collect();
    let number = |value: f64| (!value.is_nan()).then_some(value);
    let name = |&(at, j): &(usize, usize)| names[at].as_ref().map(|names| names.value(j));
    let columns: [(&str, ArrayRef, bool); 6] = [
        ("block", Arc::new(UInt32Array::from_iter_values(places.iter().map(|&(at, _)| at as u32))), false),
        ("index", Arc::new(UInt32Array::from_iter_values(places.iter().map(|&(_, j)| j as u32))), false),
        ("name", Arc::new(places.iter().map(name).collect::<StringArray>()), true),
        ("score", Arc::new(scores.iter().map(|score| number(score.score)).collect::<Float64Array>()), true),
        (
            "p_value",
            Arc::new(scores.iter().map(|score| score.p_value.and_then(number)).collect::<Float64Array>()),
            true,
        ),
        ("kept", Arc::new(BooleanArray::from(kept.to_vec())), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}
