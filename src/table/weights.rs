//! What do the weights of a model do on some rows? Three tables: `outputs`, what each of its sums speaks for; `shares`, what each block
//! does to a sum; `terms`, what the columns do that have a name.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};

use super::TableError;
use super::columns::{column, full};

/// What a sum of a model speaks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speaks {
    /// The class, or label; empty where a number is predicted.
    pub class: String,
    /// The other class, where there are two.
    pub against: Option<String>,
    /// True where the sum stands by itself (a label's, a number), so that what lowers it says something too.
    pub alone: bool,
}

/// What a block does to a sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockSpread {
    /// Which output.
    pub output: u32,
    /// Which block, from 0.
    pub block: u32,
    /// The covariance, over rows, of the block's part of the sum with the whole sum.
    pub covariance: f64,
    /// The variance of the whole sum.
    pub variance: f64,
}

/// What a named column does to a sum.
#[derive(Debug, Clone, PartialEq)]
pub struct TermWeight {
    /// Which output.
    pub output: u32,
    /// Which block, from 0.
    pub block: u32,
    /// The column's name.
    pub term: String,
    /// Its weight.
    pub weight: f64,
    /// Its weight times the standard deviation of its values.
    pub impact: f64,
}

/// The table of `outputs`: class, against, alone.
pub fn outputs_table(outputs: &[Speaks]) -> Result<RecordBatch, TableError> {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("class", Arc::new(StringArray::from_iter_values(outputs.iter().map(|o| &o.class))), false),
        ("against", Arc::new(outputs.iter().map(|o| o.against.as_deref()).collect::<StringArray>()), true),
        ("alone", Arc::new(BooleanArray::from_iter(outputs.iter().map(|o| Some(o.alone)))), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The outputs of a table.
pub fn outputs(table: &RecordBatch) -> Result<Vec<Speaks>, TableError> {
    let class: &StringArray = full(table, "class")?;
    let against: &StringArray = column(table, "against")?;
    let alone: &BooleanArray = full(table, "alone")?;
    let rows = (0..table.num_rows()).map(|i| Speaks {
        class: class.value(i).to_owned(),
        against: against.is_valid(i).then(|| against.value(i).to_owned()),
        alone: alone.value(i),
    });
    Ok(rows.collect())
}

/// The table of `shares`: output, block, covariance, variance.
pub fn shares_table(shares: &[BlockSpread]) -> Result<RecordBatch, TableError> {
    let place =
        |of: fn(&BlockSpread) -> u32| Arc::new(UInt32Array::from_iter_values(shares.iter().map(of))) as ArrayRef;
    let number =
        |of: fn(&BlockSpread) -> f64| Arc::new(Float64Array::from_iter_values(shares.iter().map(of))) as ArrayRef;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("output", place(|s| s.output), false),
        ("block", place(|s| s.block), false),
        ("covariance", number(|s| s.covariance), false),
        ("variance", number(|s| s.variance), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The shares of a table.
pub fn shares(table: &RecordBatch) -> Result<Vec<BlockSpread>, TableError> {
    let (output, block): (&UInt32Array, &UInt32Array) = (full(table, "output")?, full(table, "block")?);
    let (covariance, variance): (&Float64Array, &Float64Array) = (full(table, "covariance")?, full(table, "variance")?);
    let rows = (0..table.num_rows()).map(|i| BlockSpread {
        output: output.value(i),
        block: block.value(i),
        covariance: covariance.value(i),
        variance: variance.value(i),
    });
    Ok(rows.collect())
}

/// The table of `terms`: output, block, term, weight, impact.
pub fn terms_table(terms: &[TermWeight]) -> Result<RecordBatch, TableError> {
    let place = |of: fn(&TermWeight) -> u32| Arc::new(UInt32Array::from_iter_values(terms.iter().map(of))) as ArrayRef;
    let number =
        |of: fn(&TermWeight) -> f64| Arc::new(Float64Array::from_iter_values(terms.iter().map(of))) as ArrayRef;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("output", place(|t| t.output), false),
        ("block", place(|t| t.block), false),
        ("term", Arc::new(StringArray::from_iter_values(terms.iter().map(|t| &t.term))), false),
        ("weight", number(|t| t.weight), false),
        ("impact", number(|t| t.impact), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The terms of a table.
pub fn terms(table: &RecordBatch) -> Result<Vec<TermWeight>, TableError> {
    let (output, block): (&UInt32Array, &UInt32Array) = (full(table, "output")?, full(table, "block")?);
    let term: &StringArray = full(table, "term")?;
    let (weight, impact): (&Float64Array, &Float64Array) = (full(table, "weight")?, full(table, "impact")?);
    let rows = (0..table.num_rows()).map(|i| TermWeight {
        output: output.value(i),
        block: block.value(i),
        term: term.value(i).to_owned(),
        weight: weight.value(i),
        impact: impact.value(i),
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all = vec![
            Speaks { class: "b".into(), against: Some("a".into()), alone: false },
            Speaks { class: String::new(), against: None, alone: true },
        ];
        assert_eq!(outputs(&outputs_table(&all).unwrap()).unwrap(), all);
        let all = vec![BlockSpread { output: 1, block: 2, covariance: -0.5, variance: 3.0 }];
        assert_eq!(shares(&shares_table(&all).unwrap()).unwrap(), all);
        let all = vec![TermWeight { output: 0, block: 1, term: "ü|".into(), weight: 2.0, impact: -0.25 }];
        assert_eq!(terms(&terms_table(&all).unwrap()).unwrap(), all);
        assert!(terms(&shares_table(&[]).unwrap()).is_err());
    }
}
