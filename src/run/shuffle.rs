//! What would a fitted model say if a block of features told it nothing? The rows of that block are shuffled among the rows at hand, all
//! its columns together, and the model predicts again (Breiman, *Random Forests*, 2001, for one column).
//!
//! This is the one place that shuffles: the learner gets rows like any others.

use arrow::array::{RecordBatch, UInt32Array};
use serde_json::Value;

use super::perform::missing;
use crate::ml::Rng;
use crate::plan::Unit;
use crate::stage::{Ctx, Made, Output, Part, Parts, StageError, shuffled_part};

/// How often each block is to be shuffled.
pub(super) fn draws(unit: &Unit) -> Result<u32, StageError> {
    let draws = unit.params.get("permutations").and_then(Value::as_u64);
    draws.and_then(|draws| u32::try_from(draws).ok()).ok_or_else(|| missing("number of draws"))
}

/// What `apply` predicts for `rows` with each block shuffled, so often. A number of draws begins with those of a smaller one.
pub(super) fn predict(
    rows: &Parts,
    draws: u32,
    ctx: &Ctx<'_>,
    apply: impl Fn(&Parts) -> Result<Output, StageError>,
) -> Result<Output, StageError> {
    let mut rng = Rng::seeded(ctx.seed);
    let blocks: Vec<&str> = rows.with_prefix("block.").map(|(name, _)| name).collect();
    let tables = blocks.iter().map(|name| rows.table(name)).collect::<Result<Vec<_>, _>>()?;
    let mut output = Output::new();
    // without another block there is nothing left that could tell
    for draw in (0..draws).filter(|_| blocks.len() > 1) {
        for (at, (name, table)) in blocks.iter().zip(&tables).enumerate() {
            ctx.check()?;
            let mut with = rows.clone();
            with.insert(*name, Part::memory(shuffled(table, &mut rng)?));
            let made = predictions(apply(&with)?)?;
            output = output.table(shuffled_part(at, draw as usize), made);
        }
    }
    Ok(output)
}

/// What a stage over one model makes of what that one predicts, draw by draw.
pub(super) fn hand_on(
    shuffled: &Parts,
    apply: impl Fn(Parts) -> Result<Output, StageError>,
) -> Result<Output, StageError> {
    let mut output = Output::new();
    for (name, part) in shuffled.iter() {
        let mut model = Parts::default();
        model.insert("predictions", part.clone());
        output = output.table(name, predictions(apply(model)?)?);
    }
    Ok(output)
}

/// The same rows, each with the features of another.
fn shuffled(table: &RecordBatch, rng: &mut Rng) -> Result<RecordBatch, StageError> {
    let mut order: Vec<u32> = (0..table.num_rows() as u32).collect();
    rng.shuffle(&mut order);
    let order = UInt32Array::from(order);
    let mut columns = table.columns().to_vec();
    // the first column says which row it is
    for column in columns.iter_mut().skip(1) {
        *column = arrow::compute::take(column, &order, None).map_err(StageError::caused)?;
    }
    RecordBatch::try_new(table.schema(), columns).map_err(StageError::caused)
}

fn predictions(output: Output) -> Result<RecordBatch, StageError> {
    let part = output.parts.into_iter().find(|(name, _)| name == "predictions");
    match part {
        Some((_, Made::Table(table))) => Ok(table),
        Some((_, Made::Same(part))) => Ok((*part.table()?).clone()),
        None => Err(missing("predictions")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use arrow::array::{Array, ArrayRef, Float64Array, StringArray};

    use super::*;
    use crate::ml::{Block, Dense};
    use crate::stage::Progress;
    use crate::table::features;

    struct Quiet;

    impl Progress for Quiet {
        fn progress(&self, _: u64, _: u64, _: &'static str) {}
    }

    const FIRST: [f32; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];
    const SECOND: [f32; 10] = [100.0, 1.0, 200.0, 2.0, 300.0, 3.0, 400.0, 4.0, 500.0, 5.0];

    fn rows() -> Parts {
        let ids = StringArray::from(vec!["a", "b", "c", "d", "e"]);
        let mut parts = Parts::default();
        for (at, (cols, values)) in [(1, FIRST.to_vec()), (2, SECOND.to_vec())].into_iter().enumerate() {
            let block = Block::Dense(Dense { rows: 5, cols, values });
            parts.insert(features::block_part(at), Part::memory(features::to_table(&ids, "x", &block).unwrap()));
        }
        parts
    }

    fn block(parts: &Parts, at: usize) -> Dense {
        match features::from_table(&parts.table(&features::block_part(at)).unwrap()).unwrap().1 {
            Block::Dense(dense) => dense,
            other => panic!("{other:?}"),
        }
    }

    /// A fitted linear model: the first block, less twice the first column of the second and three times the other.
    fn apply(parts: &Parts) -> Result<Output, StageError> {
        let (first, second) = (block(parts, 0), block(parts, 1));
        let sum = |row: usize| {
            f64::from(first.row(row)[0]) - 2.0 * f64::from(second.row(row)[0]) - 3.0 * f64::from(second.row(row)[1])
        };
        let sums: ArrayRef = Arc::new((0..first.rows).map(sum).collect::<Float64Array>());
        Ok(Output::new().table("predictions", RecordBatch::try_from_iter([("value", sums)]).unwrap()))
    }

    fn made(draws: u32) -> Vec<(String, Vec<f64>)> {
        let flag = AtomicBool::new(false);
        let ctx = Ctx { seed: 7, cancelled: &flag, progress: &Quiet };
        let values = |made: Made| match made {
            Made::Table(table) => table.column(0).as_any().downcast_ref::<Float64Array>().unwrap().values().to_vec(),
            Made::Same(_) => panic!("nothing is handed on"),
        };
        let output = predict(&rows(), draws, &ctx, apply).unwrap();
        output.parts.into_iter().map(|(name, made)| (name, values(made))).collect()
    }

    #[test]
    fn a_linear_model_says_what_one_works_out_by_hand() {
        let mut rng = Rng::seeded(7);
        let mut order = || {
            let mut order = [0, 1, 2, 3, 4];
            rng.shuffle(&mut order);
            order
        };
        let first = |row: usize| f64::from(FIRST[row]);
        let second = |row: usize| 2.0 * f64::from(SECOND[2 * row]) + 3.0 * f64::from(SECOND[2 * row + 1]);
        let mut expected = Vec::new();
        for draw in 0..3 {
            let shuffled = order();
            expected.push((shuffled_part(0, draw), (0..5).map(|row| first(shuffled[row]) - second(row)).collect()));
            let shuffled = order();
            // both columns of a block come from the same row
            expected.push((shuffled_part(1, draw), (0..5).map(|row| first(row) - second(shuffled[row])).collect()));
        }
        assert_eq!(made(3), expected);
        assert_eq!(made(2), expected[..4], "fewer draws are the first of more");
        let usual: Vec<f64> = (0..5).map(|row| first(row) - second(row)).collect();
        assert!(expected.iter().all(|(_, values): &(String, Vec<f64>)| *values != usual), "all were shuffled");
    }

    #[test]
    fn one_block_is_not_shuffled() {
        let flag = AtomicBool::new(false);
        let ctx = Ctx { seed: 7, cancelled: &flag, progress: &Quiet };
        let mut one = Parts::default();
        one.insert("block.00", rows().part("block.00").unwrap().clone());
        assert!(predict(&one, 3, &ctx, |_| panic!("nothing is predicted")).unwrap().parts.is_empty());
    }

    #[test]
    fn what_stands_over_a_model_gets_each_draw() {
        let mut shuffled = Parts::default();
        for (name, value) in [("shuffled.00.000", 1.0), ("shuffled.01.000", 2.0)] {
            let column: ArrayRef = Arc::new(Float64Array::from(vec![value]));
            shuffled.insert(name, Part::memory(RecordBatch::try_from_iter([("value", column)]).unwrap()));
        }
        let output =
            hand_on(&shuffled, |model| Ok(Output::new().table("predictions", (*model.table("predictions")?).clone())));
        let parts = output.unwrap().parts;
        assert_eq!(
            parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["shuffled.00.000", "shuffled.01.000"]
        );
    }
}
