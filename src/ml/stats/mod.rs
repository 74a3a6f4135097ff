//! How sure is a number, and is a difference real? Intervals, tests of pairs, families of tests, and what choosing the best costs.
//!
//! Nothing here knows where numbers come from. `docs/statistics.md` has the formulas, their sources, and how well they hold.

mod bootstrap;
mod distributions;
mod family;
mod folds;
mod intervals;
mod paired;
mod selection;

pub use bootstrap::{LEAST_STRATUM, Replicates, Scored, Units, out_of_bag, resample, resamples};
pub use family::holm;
pub use folds::{CorrectedT, DrawError, FiveByTwo, corrected_t, draw_error, five_by_two, shared_training, tempered};
pub use intervals::wilson_interval;
pub use paired::{McNemar, Wins, mcnemar, wins};
pub use selection::{Optimism, optimism, within_one_standard_error};

/// The mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (divisor `n − 1`); 0 for one value, `None` without values.
pub fn sample_std(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((squares / (values.len() - 1).max(1) as f64).sqrt())
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod simulation_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of some numbers, one for each unit.
    pub(super) struct Mean(pub(super) Vec<f64>);

    impl Scored for Mean {
        fn width(&self) -> usize {
            1
        }

        fn score(&self, weights: &[u32], into: &mut [f64]) {
            let all: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            into[0] = self.0.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum::<f64>() / all;
        }
    }

    /// `numpy.mean` and `numpy.std(ddof=1)`.
    #[test]
    fn means_and_spreads_are_numpys() {
        let folds = [0.7729, 0.7569, 0.7848, 0.7629, 0.77];
        assert!((mean(&folds).unwrap() - 0.7695).abs() < 1e-13);
        assert!((sample_std(&folds).unwrap() - 0.010585603431075636).abs() < 1e-13);
        assert_eq!((mean(&[]), sample_std(&[])), (None, None));
        assert_eq!((mean(&[0.5]), sample_std(&[0.5])), (Some(0.5), Some(0.0)));
    }
}
