//! How do the hidden states of a text become one vector?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a text's hidden states become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over all tokens, special ones included.
    Mean,
    /// The state of the first token.
    Cls,
    /// The largest value over all tokens, column by column.
    Max,
}

impl Pooling {
    /// Pools `states` (one or more rows of `vector.len()` numbers) into `vector`. Sums run over the tokens in their
    /// order, in f64.
    pub(super) fn pool(self, states: &[f32], vector: &mut [f32]) {
        let width = vector.len();
        let mut rows = states.chunks_exact(width);
        match self {
            Pooling::Cls => vector.copy_from_slice(&states[..width]),
            Pooling::Max => {
                vector.fill(f32::NEG_INFINITY);
                for row in rows {
                    for (most, value) in vector.iter_mut().zip(row) {
                        // not f32::max, which would hide a NaN
                        *most = if most.is_nan() || *value <= *most { *most } else { *value };
                    }
                }
            }
            Pooling::Mean => {
                let count = rows.len() as f64;
                let mut sums = vec![0.0f64; width];
                for row in &mut rows {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*value);
                    }
                }
                for (mean, sum) in vector.iter_mut().zip(&sums) {
                    *mean = (sum / count) as f32;
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
            how.pool(&states, &mut vector);
            vector
        };
        assert_eq!(pooled(Pooling::Mean), [3.0, -5.0]);
        assert_eq!(pooled(Pooling::Cls), [1.0, -4.0]);
        assert_eq!(pooled(Pooling::Max), [5.0, -2.0]);
    }

    #[test]
    fn nan_is_not_hidden_by_any_pooling() {
        for (how, states) in
            [(Pooling::Max, [f32::NAN, 1.0]), (Pooling::Max, [1.0, f32::NAN]), (Pooling::Mean, [1.0, f32::NAN])]
        {
            let mut vector = [0.0];
            how.pool(&states, &mut vector);
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
