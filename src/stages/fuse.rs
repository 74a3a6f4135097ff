//! How do features of several kinds become one row? Side by side as blocks; a mixed row never becomes one dense row.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ml::Block;
use crate::problem::Problems;
use crate::stage::{
    Arity, BlockOrigin, Ctx, Form, Output, Parts, Port, Refusal, Scope, Stage, StageError, StageKind, WholeTable, Work,
};
use crate::table::{features, row_ids};

/// The kind `fuse`.
pub(super) struct Fuse;

/// Puts the features of its inputs side by side, in the order of `from`. Without `weights` and `normalize` nothing is copied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// Scale each row of each input to length 1 by this norm, before weighting. A row of zeros stays as it is.
    normalize: Norm,
    /// A factor for each input, in the order of `from`; all 1 if left out.
    weights: Option<Vec<f64>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Norm {
    /// Leave rows as they are.
    #[default]
    None,
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    L2,
}

impl StageKind for Fuse {
    const KIND: &'static str = "fuse";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "features of several stages side by side";
    const EXAMPLE: &'static str = "{ use: fuse, from: [tfidf, embed], with: { weights: [1.0, 0.5] } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        for (index, weight) in params.weights.iter().flatten().enumerate() {
            if !(weight.is_finite() && *weight > 0.0) {
                let message = format!("a weight must be a number above 0, but is {weight}");
                let problem = at.problem("out-of-range", &["weights", &index.to_string()], message);
                return Err(problem.help("to leave an input out, take it out of `from`").into());
            }
        }
        Ok(Work::WholeTable(Box::new(SideBySide { params })))
    }
}

struct SideBySide {
    params: Params,
}

impl Stage for SideBySide {
    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        let mut whole = None;
        for (input, port) in inputs.iter().enumerate() {
            let Port::Features(form) = port else {
                return Err(Refusal { input, wants: "features", fits: |p| matches!(p, Port::Features(_)), help: None });
            };
            whole = Some(match whole {
                None => *form,
                Some(whole) if whole == *form => whole,
                Some(_) => Form::Mixed,
            });
        }
        if let Some(weights) = self.params.weights.as_ref().filter(|weights| weights.len() != inputs.len()) {
            let help = format!("`weights` has {} numbers for {} inputs", weights.len(), inputs.len());
            let input = weights.len().min(inputs.len().saturating_sub(1));
            return Err(Refusal { input, wants: "one weight for each input", fits: |_| false, help: Some(help) });
        }
        Ok(Port::Features(whole.unwrap_or(Form::Sparse)))
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["block.", "names."]
    }

    fn blocks(&self) -> BlockOrigin {
        BlockOrigin::Inputs
    }
}

impl WholeTable for SideBySide {
    fn run(&self, inputs: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let mut output = Output::new();
        let mut next = 0;
        for (index, input) in inputs.iter().enumerate() {
            ctx.check()?;
            let weight = self.params.weights.as_ref().map_or(1.0, |weights| weights[index]);
            for (name, part) in input.with_prefix("block.") {
                let names = name.strip_prefix("block.").and_then(|at| input.part(&format!("names.{at}")));
                if weight == 1.0 && self.params.normalize == Norm::None {
                    output = output.same(features::block_part(next), part);
                } else {
                    let table = part.table()?;
                    let (name, mut block) = features::from_table(&table).map_err(StageError::caused)?;
                    rescale(&mut block, self.params.normalize, weight);
                    let table = features::to_table(row_ids(&table).map_err(StageError::caused)?, &name, &block)
                        .map_err(StageError::caused)?;
                    output = output.table(features::block_part(next), table);
                }
                if let Some(names) = names {
                    output = output.same(features::names_part(next), names);
                }
                next += 1;
            }
        }
        Ok(output.fact("blocks", next))
    }
}

/// Scales each row to length 1 by the norm, times `weight`; computed in f64.
fn rescale(block: &mut Block, norm: Norm, weight: f64) {
    let row = |values: &mut [f32]| {
        let length = match norm {
            Norm::None => 1.0,
            Norm::L1 => values.iter().map(|v| f64::from(v.abs())).sum::<f64>(),
            Norm::L2 => values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt(),
        };
        let factor = if length > 0.0 { weight / length } else { weight };
        values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    };
    match block {
        Block::Dense(dense) => dense.values.chunks_mut(dense.cols.max(1)).for_each(row),
        Block::Sparse(sparse) => {
            for span in sparse.indptr.windows(2) {
                row(&mut sparse.values[span[0]..span[1]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::{Csr, Dense};

    #[test]
    fn rows_get_length_one_times_the_weight() {
        let mut dense = Block::Dense(Dense { rows: 2, cols: 2, values: vec![3.0, 4.0, 0.0, 0.0] });
        rescale(&mut dense, Norm::L2, 2.0);
        assert_eq!(dense, Block::Dense(Dense { rows: 2, cols: 2, values: vec![1.2, 1.6, 0.0, 0.0] }));
        let csr = |values| Csr { cols: 3, indptr: vec![0, 2, 2], indices: vec![0, 2], values };
        let mut sparse = Block::Sparse(csr(vec![1.0, -3.0]));
        rescale(&mut sparse, Norm::L1, 1.0);
        assert_eq!(sparse, Block::Sparse(csr(vec![0.25, -0.75])));
    }
}
