//! What do the weights of a linear model do on some rows? What each block does to its answers, and the columns that do most.

use rayon::prelude::*;

use super::learner::{Gives, read_strings};
use super::linear::stored;
use super::one_vs_rest;
use crate::ml::linear::{deviations, spread};
use crate::stage::{Ctx, Output, Parts, StageError};
use crate::table::predictions::sets::{LABELS, label_prefix};
use crate::table::weights::{BlockSpread, Speaks, TermWeight, outputs_table, shares_table, terms_table};
use crate::table::{Blocks, features};

/// Of each output, so many terms are kept that raise it, and so many that lower it: more than anybody reads of one model, and enough
/// that the first few of a mean over folds are in all of them.
const MOST_TERMS: usize = 500;

/// An output and its weights, one a column.
type Weights = (Speaks, Vec<f64>);

/// The tables `outputs`, `shares` and `terms` of [`crate::table::weights`].
pub(super) fn weigh(gives: Gives, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
    let tables = rows.with_prefix("block.").map(|(_, part)| part.table()).collect::<Result<Vec<_>, _>>()?;
    let blocks = Blocks::of(&tables).map_err(StageError::caused)?;
    drop(tables);
    let names = (0..blocks.x.blocks.len()).map(|at| named(rows, at)).collect::<Result<Vec<_>, _>>()?;
    let outputs = outputs(gives, learned)?;
    let width = blocks.x.cols();
    if outputs.iter().any(|(_, coef)| coef.len() != width) {
        return Err(StageError::failed("a model's weights are not of these features"));
    }
    let deviations: Vec<Vec<f64>> = blocks.x.blocks.iter().map(deviations).collect();
    let one = |(output, (_, coef)): (usize, &Weights)| {
        ctx.check()?;
        let found = spread(&blocks.x, coef);
        let share = |(block, covariance): (u32, &f64)| BlockSpread {
            output: output as u32,
            block,
            covariance: *covariance,
            variance: found.variance,
        };
        let shares: Vec<BlockSpread> = (0..).zip(&found.covariances).map(share).collect();
        Ok((shares, terms(output as u32, coef, &deviations, &names)))
    };
    let each: Result<Vec<_>, StageError> = outputs.par_iter().enumerate().map(one).collect();
    let (shares, terms): (Vec<_>, Vec<_>) = each?.into_iter().unzip();
    let (shares, terms): (Vec<_>, Vec<_>) = (shares.concat(), terms.concat());
    let outputs: Vec<Speaks> = outputs.into_iter().map(|(speaks, _)| speaks).collect();
    Ok(Output::new()
        .table("outputs", outputs_table(&outputs).map_err(StageError::caused)?)
        .table("shares", shares_table(&shares).map_err(StageError::caused)?)
        .table("terms", terms_table(&terms).map_err(StageError::caused)?)
        .rows(blocks.x.rows()))
}

/// The names of a block's columns, if it has any.
fn named(rows: &Parts, block: usize) -> Result<Option<Vec<String>>, StageError> {
    let Some(part) = rows.part(&features::names_part(block)) else { return Ok(None) };
    let table = part.table()?;
    let names = features::names(&table).map_err(StageError::caused)?;
    Ok(Some(names.iter().flatten().map(str::to_owned).collect()))
}

/// The named columns that do most, either way.
fn terms(output: u32, coef: &[f64], deviations: &[Vec<f64>], names: &[Option<Vec<String>>]) -> Vec<TermWeight> {
    let (mut found, mut offset) = (Vec::new(), 0);
    for (block, (deviations, names)) in deviations.iter().zip(names).enumerate() {
        for (at, (deviation, name)) in deviations.iter().zip(names.iter().flatten()).enumerate() {
            let weight = coef[offset + at];
            let impact = weight * deviation;
            if impact != 0.0 {
                found.push((impact, weight, block as u32, name));
            }
        }
        offset += deviations.len();
    }
    // the greatest first, equal ones in the order of their columns
    found.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let mut left = [MOST_TERMS; 2];
    found.retain(|(impact, ..)| {
        let side = &mut left[usize::from(*impact > 0.0)];
        let kept = *side > 0;
        *side = side.saturating_sub(1);
        kept
    });
    let term = |(impact, weight, block, name): (f64, f64, u32, &String)| TermWeight {
        output,
        block,
        term: name.clone(),
        weight,
        impact,
    };
    found.into_iter().map(term).collect()
}

/// What a model weighs. Of several classes each is held against the mean of all: what is added to the sums of all of them decides
/// nothing.
fn outputs(gives: Gives, learned: &Parts) -> Result<Vec<Weights>, StageError> {
    let alone = |class: String| Speaks { class, against: None, alone: true };
    if one_vs_rest::is_learned(learned) {
        let labels = read_strings(&*learned.table(LABELS)?, "class")?;
        let mut all = Vec::new();
        for (at, label) in labels.into_iter().enumerate() {
            let part = learned.part(&format!("{}coefficients", label_prefix(at)));
            // a label that all training rows have, or none, has no model
            let Some(part) = part else { continue };
            let mut own = Parts::default();
            own.insert("coefficients", part.clone());
            all.extend(stored(&own)?.0.into_iter().take(1).map(|coef| (alone(label.clone()), coef)));
        }
        return Ok(all);
    }
    let (mut coef, _) = stored(learned)?;
    if gives == Gives::Values {
        return Ok(coef.into_iter().map(|coef| (alone(String::new()), coef)).collect());
    }
    let speak_for = read_strings(&*learned.table("coefficients")?, "class")?;
    let classes = read_strings(&*learned.table("classes")?, "class")?;
    if coef.len() == 1 {
        let against = |class: &String| classes.iter().find(|other| *other != class).cloned();
        let speaks = |class: String| Speaks { against: against(&class), class, alone: false };
        return Ok(speak_for.into_iter().map(speaks).zip(coef).collect());
    }
    for column in 0..coef.first().map_or(0, Vec::len) {
        let mean = coef.iter().map(|weights| weights[column]).sum::<f64>() / coef.len() as f64;
        coef.iter_mut().for_each(|weights| weights[column] -= mean);
    }
    let speaks = |class: String| Speaks { class, against: None, alone: false };
    Ok(speak_for.into_iter().map(speaks).zip(coef).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terms_that_do_most_either_way_are_kept() {
        let names = |from: usize, to: usize| Some((from..to).map(|at| format!("t{at}")).collect::<Vec<_>>());
        let mut coef: Vec<f64> = (0..1200).map(|at| if at % 2 == 0 { 1.0 } else { -1.0 } * f64::from(at)).collect();
        coef.push(1e6);
        let deviations = vec![vec![1.0; 600], vec![0.5; 600], vec![1.0]];
        let found = terms(3, &coef, &deviations, &[names(0, 600), names(600, 1200), None]);
        assert_eq!(found.len(), 2 * MOST_TERMS, "the column without a name is not among them");
        let first = &found[0];
        assert_eq!(
            (first.term.as_str(), first.block, first.weight, first.impact, first.output),
            ("t1199", 1, -1199.0, -599.5, 3)
        );
        // t599 is as strong as t1198
        assert_eq!((found[1].term.as_str(), found[2].term.as_str()), ("t599", "t1198"));
        assert!(!found.iter().any(|term| term.term == "t0"), "what does nothing is left out");
    }
}
