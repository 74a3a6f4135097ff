//! How do the hidden states of a text become one vector?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a text's hidden states become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all tokens, special ones included.
    Mean,
    /// The state of the first token.
    Cls,
    /// The largest value over all tokens, column by column.
    Max,
    /// The state of the last token: in a model that reads from left to right, the only one that has seen the whole text.
    Last,
    /// The mean over all tokens, the first with weight 1, the second with 2 and so on.
    WeightedMean,
    /// The sum over all tokens, divided by the square root of their number.
    MeanSqrtLen,
}

impl Pooling {
    /// Pools `states` (rows of `vector.len()` numbers, more than `skip`) into `vector`; the first `skip` are left out, but count as
    /// places. Sums run over the tokens in their order, in f64. The formulas are those of sentence-transformers' `Pooling`.
    pub(super) fn pool(self, states: &[f32], skip: usize, vector: &mut [f32]) {
        let width = vector.len();
        let mut rows = states.chunks_exact(width).skip(skip);
        match self {
            Pooling::Cls => rows.next().into_iter().for_each(|first| vector.copy_from_slice(first)),
            Pooling::Last => rows.last().into_iter().for_each(|last| vector.copy_from_slice(last)),
            Pooling::Max => {
                vector.fill(f32::NEG_INFINITY);
                for row in rows {
                    for (most, value) in vector.iter_mut().zip(row) {
                        // not f32::max, which would hide a NaN
                        *most = if most.is_nan() || *value <= *most { *most } else { *value };
                    }
                }
            }
            Pooling::Mean | Pooling::MeanSqrtLen => {
                let count = rows.len() as f64;
                let divisor = if self == Pooling::Mean { count } else { count.sqrt() };
                let mut sums = vec![0.0f64; width];
                for row in &mut rows {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*value);
                    }
                }
                for (mean, sum) in vector.iter_mut().zip(&sums) {
                    *mean = (sum / divisor) as f32;
                }
            }
            Pooling::WeightedMean => {
                let (mut sums, mut weights) = (vec![0.0f64; width], 0.0);
                for (place, row) in (skip + 1..).zip(rows) {
                    weights += place as f64;
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += place as f64 * f64::from(*value);
                    }
                }
                for (mean, sum) in vector.iter_mut().zip(&sums) {
                    *mean = (sum / weights) as f32;
                }
            }
        }
    }
}

/// Scales a vector to length 1; a vector shorter than 1e-12 is divided by that (`torch.nn.functional.normalize`).
pub(super) fn normalize(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let length = square.sqrt().max(1e-12);
    for value in vector {
        *value = (f64::from(*value) / length) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_by_hand() {
        let states = [1.0, -4.0, 3.0, -2.0, 5.0, -9.0];
        let pooled = |how: Pooling| {
            let mut vector = [0.0; 2];
            how.pool(&states, 0, &mut vector);
            vector
        };
        assert_eq!(pooled(Pooling::Mean), [3.0, -5.0]);
        assert_eq!(pooled(Pooling::Cls), [1.0, -4.0]);
        assert_eq!(pooled(Pooling::Max), [5.0, -2.0]);
        assert_eq!(pooled(Pooling::Last), [5.0, -9.0]);
        // (1 + 2·3 + 3·5) / 6, (-4 + 2·-2 + 3·-9) / 6
        assert_eq!(pooled(Pooling::WeightedMean), [22.0 / 6.0, -35.0 / 6.0]);
        assert_eq!(pooled(Pooling::MeanSqrtLen), [(9.0 / 3f64.sqrt()) as f32, (-15.0 / 3f64.sqrt()) as f32]);
    }

    #[test]
    fn tokens_that_are_left_out_still_have_their_places() {
        let states = [1.0, 3.0, 5.0];
        let pooled = |how: Pooling| {
            let mut vector = [0.0];
            how.pool(&states, 1, &mut vector);
            vector[0]
        };
        assert_eq!([Pooling::Mean, Pooling::Cls, Pooling::Max, Pooling::Last].map(pooled), [4.0, 3.0, 5.0, 5.0]);
        assert_eq!(pooled(Pooling::WeightedMean), (2.0 * 3.0 + 3.0 * 5.0) / 5.0);
    }

    #[test]
    fn nan_is_not_hidden_by_any_pooling() {
        for (how, states) in
            [(Pooling::Max, [f32::NAN, 1.0]), (Pooling::Max, [1.0, f32::NAN]), (Pooling::WeightedMean, [1.0, f32::NAN])]
        {
            let mut vector = [0.0];
            how.pool(&states, 0, &mut vector);
            assert!(vector[0].is_nan(), "{how:?} {states:?}");
        }
    }

    #[test]
    fn a_normalised_vector_has_length_one_and_zero_stays_zero() {
        let mut vector = [3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zero = [0.0, 0.0];
        normalize(&mut zero);
        assert_eq!(zero, [0.0, 0.0]);
    }
}
