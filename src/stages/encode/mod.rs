//! How do columns beside the text become features? Numbers scaled, categories one-hot, both learned from training rows.

mod columns;
mod learned;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::{Block, Csr, Dense, Filling, LeastRows, Scaling};
use crate::problem::{Problem, Problems};
use crate::stage::{
    ApplyTo, BlockOrigin, Ctx, Form, Learner, Output, Parts, Port, Refusal, Scope, Stage, StageError, StageKind,
    TrainRows, Work,
};
use crate::table::{features, row_ids};
use columns::{CATEGORICAL, Chosen, NUMERIC, categories, chosen, numbers};
use learned::{Categories, Numbers};

/// The kind `encode`.
pub(super) struct Encode;

/// Turns columns that `ingest` keeps (`columns`) into features: numbers, scaled, as a dense block; categories, one column for
/// each (one-hot), as a sparse block. Means, scales and categories come from training rows alone. Without `numeric` and
/// `categorical` all kept columns are taken, numbers as numbers, text and truth values as categories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// Columns of numbers (truth values count 0 and 1).
    numeric: Option<Vec<String>>,
    /// Columns of categories; numbers may be categories too. A missing value is a category of its own.
    categorical: Option<Vec<String>>,
    /// How numbers are scaled, once missing ones are filled in.
    scale: Scale,
    /// What stands in for a missing number (an empty cell, or NaN).
    impute: Impute,
    /// Add a column for each column of numbers that lacks some in the training rows: 1 where the number is missing.
    indicator: bool,
    /// A category in fewer training rows shares one column, `infrequent`, with all such: a whole number of rows, or a share of
    /// them (0.0 to 1.0).
    min_frequency: Option<Frequency>,
    /// At most so many columns for each column of categories, that of the infrequent ones counted: those that occur least join it.
    #[schemars(range(min = 1))]
    max_categories: Option<usize>,
    /// What becomes of a category that no training row has. scikit-learn's default is `error`; here a fold may hold out every row
    /// of a rare category, so it is `ignore`, and such values are counted.
    handle_unknown: Unknown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Scale {
    /// To mean 0 and variance 1 (scikit-learn's StandardScaler).
    #[default]
    Standard,
    /// From the least to the greatest: 0 to 1 (MinMaxScaler).
    Minmax,
    /// To median 0 and a distance of 1 between the quartiles (RobustScaler).
    Robust,
    /// Not at all.
    None,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Impute {
    /// Nothing: a missing number is an error.
    #[default]
    Fail,
    /// The mean of the training rows.
    Mean,
    /// The median of the training rows.
    Median,
    /// Zero.
    Zero,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unknown {
    /// No column of that row is 1.
    #[default]
    Ignore,
    /// It counts as infrequent, where there is such a column; else as `ignore`.
    InfrequentIfExist,
    /// An error.
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Frequency {
    /// So many rows.
    Rows(u64),
    /// A share of them.
    Share(f64),
}

impl StageKind for Encode {
    const KIND: &'static str = "encode";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "features from kept columns: numbers scaled, categories one-hot, learned from training rows";
    const EXAMPLE: &'static str =
        "{ use: encode, from: ingest, with: { numeric: [age], categorical: [city], impute: median } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        params.check_columns(at, &mut problems);
        match params.min_frequency {
            Some(Frequency::Rows(0)) => {
                problems.push(at.problem(
                    "out-of-range",
                    &["min_frequency"],
                    "`min_frequency` must be above 0, but is 0",
                ));
            }
            Some(Frequency::Share(share)) if !(share > 0.0 && share < 1.0) => {
                let message = format!(
                    "`min_frequency` must be a whole number of rows or a share between 0 and 1, but is {share:?}"
                );
                problems.push(at.problem("out-of-range", &["min_frequency"], message));
            }
            _ => {}
        }
        if params.max_categories == Some(0) {
            problems.push(at.problem(
                "out-of-range",
                &["max_categories"],
                "`max_categories` must be above 0, but is 0",
            ));
        }
        match problems.0.is_empty() {
            true => Ok(Work::Learner(Box::new(Columns { params }))),
            false => Err(problems),
        }
    }
}

impl Params {
    /// The columns that are named: under which parameter, at which place.
    fn named(&self) -> impl Iterator<Item = (&'static str, usize, &str)> {
        let both = [(NUMERIC, &self.numeric), (CATEGORICAL, &self.categorical)];
        both.into_iter().flat_map(|(param, names)| {
            names.iter().flatten().enumerate().map(move |(place, name)| (param, place, name.as_str()))
        })
    }

    /// Are there columns of numbers, and of categories? Where none is named there may be both.
    fn kinds(&self) -> (bool, bool) {
        let some = |names: &Option<Vec<String>>| names.as_ref().is_some_and(|names| !names.is_empty());
        let open = self.numeric.is_none() && self.categorical.is_none();
        (open || some(&self.numeric), open || some(&self.categorical))
    }

    fn check_columns(&self, at: &Scope<'_>, problems: &mut Problems) {
        let mut seen: Vec<&str> = Vec::new();
        for (param, place, name) in self.named() {
            if seen.contains(&name) {
                let problem: Problem = at.problem(
                    "invalid-param",
                    &[param, &place.to_string()],
                    format!("the column `{name}` is named twice"),
                );
                problems.push(problem.help("name it once"));
            }
            seen.push(name);
        }
        if self.kinds() == (false, false) {
            let problem = at.problem("invalid-param", &[], "no column is named");
            problems.push(problem.help("leave `numeric` and `categorical` out to take all columns, or name some"));
            return;
        }
        let (numeric, categorical) = self.kinds();
        let default = Params::default();
        let strangers = [
            ("scale", NUMERIC, numeric, self.scale != default.scale),
            ("impute", NUMERIC, numeric, self.impute != default.impute),
            ("indicator", NUMERIC, numeric, self.indicator),
            ("min_frequency", CATEGORICAL, categorical, self.min_frequency.is_some()),
            ("max_categories", CATEGORICAL, categorical, self.max_categories.is_some()),
            ("handle_unknown", CATEGORICAL, categorical, self.handle_unknown != default.handle_unknown),
        ];
        for (name, owner, _, _) in strangers.into_iter().filter(|(_, _, fits, set)| *set && !fits) {
            let message = format!("`{name}` is about `{owner}` columns, but none is named");
            problems.push(
                at.problem("invalid-param", &[name], message)
                    .help(format!("name some under `{owner}`, or remove `{name}`")),
            );
        }
        if self.indicator && self.impute == Impute::Fail {
            let problem =
                at.problem("invalid-param", &["indicator"], "`indicator` marks what is filled in, but nothing is");
            problems.push(problem.help("add for instance `impute: median`"));
        }
    }

    fn scaling(&self) -> Scaling {
        match self.scale {
            Scale::Standard => Scaling::Standard,
            Scale::Minmax => Scaling::MinMax,
            Scale::Robust => Scaling::Robust,
            Scale::None => Scaling::None,
        }
    }

    fn filling(&self) -> Option<Filling> {
        match self.impute {
            Impute::Fail => None,
            Impute::Mean => Some(Filling::Mean),
            Impute::Median => Some(Filling::Median),
            Impute::Zero => Some(Filling::Zero),
        }
    }

    fn least(&self) -> Option<LeastRows> {
        self.min_frequency.map(|least| match least {
            Frequency::Rows(rows) => LeastRows::Rows(rows),
            Frequency::Share(share) => LeastRows::Share(share),
        })
    }
}

struct Columns {
    params: Params,
}

impl Stage for Columns {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Rows] => Ok(Port::Features(match self.params.kinds() {
                (true, false) => Form::Dense,
                (false, true) => Form::Sparse,
                _ => Form::Mixed,
            })),
            _ => Err(Refusal {
                input: 0,
                wants: "text",
                fits: |port| port == Port::Rows,
                help: Some("wire it from the rows whose columns it encodes".to_owned()),
            }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["columns"]
    }

    fn blocks(&self) -> BlockOrigin {
        match self.params.kinds() {
            (true, true) => BlockOrigin::Own(2),
            _ => BlockOrigin::Own(1),
        }
    }

    fn columns(&self) -> Option<Vec<String>> {
        let open = self.params.numeric.is_none() && self.params.categorical.is_none();
        (!open).then(|| self.params.named().map(|(_, _, name)| name.to_owned()).collect())
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
        let (table, chosen) = self.columns(train.input())?;
        if table.num_rows() == 0 {
            return Err(StageError::failed("there are no training rows to learn from"));
        }
        let mut output = Output::new().rows(table.num_rows());
        if !chosen.numeric.is_empty() {
            ctx.check()?;
            let all = chosen.numeric.iter().map(|column| numbers(&table, column)).collect::<Result<Vec<_>, _>>()?;
            let learned = Numbers::fit(&chosen.numeric, &all, &self.params, &table)?;
            let names = features::names_table(learned.names()).map_err(StageError::caused)?;
            output = output.table("numbers", learned.to_table()?).table("names.numbers", names);
            output = output.fact("numbers", learned.width());
        }
        if !chosen.categorical.is_empty() {
            ctx.check()?;
            let all =
                chosen.categorical.iter().map(|column| categories(&table, column)).collect::<Result<Vec<_>, _>>()?;
            let learned = Categories::fit(&chosen.categorical, &all, &self.params);
            let names = features::names_table(learned.names()).map_err(StageError::caused)?;
            output = output.table("categories", learned.to_table()?).table("names.categories", names);
            output = output.fact("categories", learned.width());
        }
        Ok(output)
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let (table, chosen) = self.columns(rows)?;
        let ids = row_ids(&table).map_err(StageError::caused)?;
        let mut output = Output::new();
        let mut next = 0;
        let mut add = |output: Output, name: &str, block: Block| {
            let block = features::to_table(ids, name, &block).map_err(StageError::caused)?;
            let mut output = output.table(features::block_part(next), block);
            if let Some(names) = learned.part(&format!("names.{name}")) {
                output = output.same(features::names_part(next), names);
            }
            next += 1;
            Ok::<Output, StageError>(output)
        };
        if !chosen.numeric.is_empty() {
            ctx.check()?;
            let fitted = Numbers::from_table(&*learned.table("numbers")?)?;
            let all = chosen.numeric.iter().map(|column| numbers(&table, column)).collect::<Result<Vec<_>, _>>()?;
            let (dense, filled) = self.dense(&fitted, &chosen, &all, &table)?;
            output = add(output, "numbers", Block::Dense(dense))?.fact("filled", filled);
        }
        if !chosen.categorical.is_empty() {
            ctx.check()?;
            let fitted = Categories::from_table(&*learned.table("categories")?)?;
            let all =
                chosen.categorical.iter().map(|column| categories(&table, column)).collect::<Result<Vec<_>, _>>()?;
            let (sparse, unknown) = self.sparse(&fitted, &chosen, &all, &table)?;
            output = add(output, "categories", Block::Sparse(sparse))?.fact("unknown", unknown);
        }
        Ok(output)
    }
}

impl Columns {
    /// The kept columns, and which of them are what.
    fn columns(&self, rows: &Parts) -> Result<(Arc<RecordBatch>, Chosen), StageError> {
        let Some(part) = rows.part("columns") else {
            let error = StageError::failed("the rows have no columns besides their texts and labels");
            return Err(error.help("keep some in `ingest`, for instance `columns: [age, city]`"));
        };
        let table = part.table()?;
        let chosen = chosen(&table, self.params.numeric.as_deref(), self.params.categorical.as_deref())?;
        Ok((table, chosen))
    }

    /// All numbers, scaled, and then the indicators; and how many numbers were filled in.
    fn dense(
        &self,
        fitted: &Numbers,
        chosen: &Chosen,
        all: &[Vec<Option<f64>>],
        table: &RecordBatch,
    ) -> Result<(Dense, u64), StageError> {
        let (rows, cols) = (table.num_rows(), fitted.width());
        let mut values = Vec::with_capacity(rows * cols);
        let mut filled = 0;
        for row in 0..rows {
            for ((learned, column), numbers) in fitted.columns.iter().zip(&chosen.numeric).zip(all) {
                let number = match (numbers[row], learned.fill) {
                    (Some(number), _) => number,
                    (None, Some(fill)) => {
                        filled += 1;
                        fill
                    }
                    (None, None) => return Err(column.missing(numbers, table)),
                };
                let value = learned.scale.apply(number) as f32;
                if !value.is_finite() {
                    return Err(column.too_large(number, row, table));
                }
                values.push(value);
            }
            let lacking = fitted.columns.iter().zip(all).filter(|(learned, _)| learned.indicator);
            values.extend(lacking.map(|(_, numbers)| f32::from(u8::from(numbers[row].is_none()))));
        }
        Ok((Dense { rows, cols, values }, filled))
    }

    /// A 1 for the category of each column; and how many values no training row had.
    fn sparse(
        &self,
        fitted: &Categories,
        chosen: &Chosen,
        all: &[Vec<Option<columns::Category>>],
        table: &RecordBatch,
    ) -> Result<(Csr, u64), StageError> {
        let mut csr = Csr { cols: fitted.width(), indptr: vec![0], ..Csr::default() };
        let mut unknown = 0;
        let places = fitted.places();
        for row in 0..table.num_rows() {
            for ((places, column), values) in places.iter().zip(&chosen.categorical).zip(all) {
                let value = values[row].as_ref().map(|category| category.text.as_str());
                let place = match (places.of(value), self.params.handle_unknown) {
                    (Some(place), _) => Some(place),
                    (None, Unknown::Error) => return Err(column.unknown(value, row, table)),
                    (None, Unknown::InfrequentIfExist) => {
                        unknown += 1;
                        places.rare
                    }
                    (None, Unknown::Ignore) => {
                        unknown += 1;
                        None
                    }
                };
                csr.indices.extend(place);
            }
            csr.indptr.push(csr.indices.len());
        }
        csr.values = vec![1.0; csr.indices.len()];
        Ok((csr, unknown))
    }
}
