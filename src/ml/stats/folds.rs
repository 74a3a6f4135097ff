//! What do scores of folds say, which share training rows? The corrected resampled t, and 5×2 cross-validation.

use super::distributions::{f_beyond, normal_beyond, normal_quantile, t_beyond, t_quantile};
use super::{mean, sample_std};

/// The corrected resampled t of one value for each fold: a score, or a difference of two scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CorrectedT {
    /// The mean over folds.
    pub mean: f64,
    /// The corrected standard error of the mean.
    pub std_error: f64,
    /// Folds less 1.
    pub freedom: usize,
    /// Two-sided, of a mean of 0.
    pub p: f64,
}

/// Nadeau and Bengio 2003, *Inference for the Generalization Error*, section 4.2: the variance over J folds is weighed by
/// `1/J + test / train` in place of `1/J`, because training rows are shared. `test_per_train` is the number of a fold's test rows
/// over that of its training rows: `1 / (k − 1)` for k folds. `None` for fewer than two values.
pub fn corrected_t(values: &[f64], test_per_train: f64) -> Option<CorrectedT> {
    if values.len() < 2 || test_per_train.is_nan() || test_per_train < 0.0 {
        return None;
    }
    let (mean, spread) = (mean(values)?, sample_std(values)?);
    let std_error = spread * (1.0 / values.len() as f64 + test_per_train).sqrt();
    let freedom = values.len() - 1;
    let p = match (mean == 0.0, std_error == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => t_beyond(mean / std_error, freedom),
    };
    Some(CorrectedT { mean, std_error, freedom, p })
}

impl CorrectedT {
    /// `mean ± t · std_error`; `None` for a confidence outside (0, 1).
    pub fn interval(&self, confidence: f64) -> Option<[f64; 2]> {
        let half = t_quantile(self.freedom, 0.5 + confidence / 2.0)? * self.std_error;
        Some([self.mean - half, self.mean + half])
    }

    /// The two-sided p value of a mean of `null`.
    pub fn p_value(&self, null: f64) -> f64 {
        match (self.mean == null, self.std_error == 0.0) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => t_beyond((self.mean - null) / self.std_error, self.freedom),
        }
    }
}

/// How much larger the standard error of a difference is than rows alone tell, where the models of `folds` folds share training rows:
/// Nadeau and Bengio's correction of [`corrected_t`], `√((1/k + 1/(k − 1)) / (1/k))`, for the variance over rows in place of that over
/// so few folds. 1 for a single fold, whose model has seen none of the rows that it is scored on.
pub fn shared_training(folds: usize) -> f64 {
    match folds {
        0 | 1 => 1.0,
        folds => (1.0 + folds as f64 / (folds - 1) as f64).sqrt(),
    }
}

/// What the drawing of training rows adds to the error of a mean over draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawError {
    /// The standard error of the mean over draws.
    pub std_error: f64,
    /// Draws less 1.
    pub freedom: usize,
}

/// How far the mean over `draws` repeats of the same folds, each with other training rows, is from that over all draws: the spread of
/// the repeats' means over the root of their number. `values` has a score, or a difference of two, for each fold, repeat after
/// repeat. `None` for fewer than two repeats, or where they are not equally long.
pub fn draw_error(values: &[f64], draws: usize) -> Option<DrawError> {
    if draws < 2 || values.is_empty() || !values.len().is_multiple_of(draws) {
        return None;
    }
    let means: Vec<f64> = values.chunks(values.len() / draws).filter_map(mean).collect();
    Some(DrawError { std_error: sample_std(&means)? / (draws as f64).sqrt(), freedom: draws - 1 })
}

/// A two-sided p value where the standard error is `factor` times as large: the same on the scale of the normal distribution.
pub fn tempered(p: f64, factor: f64) -> f64 {
    match normal_quantile(p / 2.0) {
        Some(z) if factor > 0.0 => normal_beyond(z / factor),
        _ => p,
    }
}

/// The two tests of five repeats of two folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FiveByTwo {
    /// Dietterich's t, 5 degrees of freedom.
    pub t: f64,
    /// Its two-sided p value.
    pub t_p: f64,
    /// Alpaydın's combined F, 10 and 5 degrees of freedom.
    pub f: f64,
    /// Its p value.
    pub f_p: f64,
}

/// The differences of two learners in five repeats of two folds: Dietterich 1998, *Approximate Statistical Tests for Comparing
/// Supervised Classification Learning Algorithms*; Alpaydın 1999, *Combined 5×2 cv F Test*. The second does not hang on which
/// difference comes first. `None` where no difference varies within a repeat.
pub fn five_by_two(differences: &[[f64; 2]; 5]) -> Option<FiveByTwo> {
    let variance = |[a, b]: &[f64; 2]| {
        let middle = (a + b) / 2.0;
        (a - middle).powi(2) + (b - middle).powi(2)
    };
    let variances: f64 = differences.iter().map(variance).sum();
    if variances.is_nan() || variances <= 0.0 {
        return None;
    }
    let squares: f64 = differences.iter().flatten().map(|difference| difference * difference).sum();
    let t = differences[0][0] / (variances / 5.0).sqrt();
    let f = squares / (2.0 * variances);
    Some(FiveByTwo { t, t_p: t_beyond(t, 5), f, f_p: f_beyond(f, 10.0, 5.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_held_against_each_other_repeat_by_repeat() {
        // repeats of two folds: 0.6, 0.8 and 0.7 on average, spread 0.1
        let error = draw_error(&[0.5, 0.7, 0.8, 0.8, 0.6, 0.8], 3).unwrap();
        assert!((error.std_error - 0.1 / 3f64.sqrt()).abs() < 1e-12 && error.freedom == 2);
        assert_eq!(draw_error(&[0.5, 0.7, 0.8], 2), None);
        assert_eq!((draw_error(&[0.5, 0.7], 1), draw_error(&[], 2)), (None, None));
    }

    #[test]
    fn what_does_not_vary_is_certain_or_nothing() {
        assert_eq!(corrected_t(&[0.5], 0.25), None);
        assert_eq!(corrected_t(&[0.5, 0.6], f64::NAN), None);
        assert_eq!(corrected_t(&[0.0, 0.0], 0.25).unwrap().p, 1.0);
        assert_eq!(corrected_t(&[0.5, 0.5], 0.25).unwrap().p, 0.0);
        assert_eq!(five_by_two(&[[0.25; 2]; 5]), None);
        // the same correction on rows, and on the normal scale
        assert!((shared_training(5) - 1.5).abs() < 1e-15 && shared_training(1) == 1.0);
        assert!((tempered(normal_beyond(3.0), 1.5) - normal_beyond(2.0)).abs() < 1e-12);
        assert!((tempered(0.03, 1.0) - 0.03).abs() < 1e-12);
        assert_eq!((tempered(0.0, 2.0), tempered(1.0, 1.5)), (0.0, 1.0));
        // with the correction, five folds give 1.5 times the naive interval, whose half width is t · s / √5
        let folds = [0.7729, 0.7569, 0.7848, 0.7629, 0.77];
        let [low, high] = corrected_t(&folds, 0.25).unwrap().interval(0.95).unwrap();
        let naive = 2.7764451051977934 * sample_std(&folds).unwrap() / 5f64.sqrt();
        assert!(((high - low) / (2.0 * naive) - 1.5).abs() < 1e-9);
    }
}
