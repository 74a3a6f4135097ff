//! What is the best of several worth, when it was chosen on the rows that it is scored on?

use super::mean;

/// How much choosing flatters the chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimism {
    /// How much better the best looks than it may be expected to do, in the score's own unit; not below 0.
    pub expected: f64,
    /// What the best may be expected to reach.
    pub honest: f64,
    /// How often each would have been chosen, as a share of the resamples.
    pub chosen: Vec<f64>,
}

/// The expected optimism of the best score, which is that of variant `best`. In each resample the variant that is best on the rows drawn is
/// chosen and scored on the rows that were not drawn; how far it stays behind the best variant of all on those same rows is what the
/// choice has cost (Tsamardinos, Greasidou and Borboudakis 2018, *Bootstrapping the out-of-sample predictions for efficient and accurate
/// cross-validation*; there the mean of its scores is held against the score on all rows, which comes to the same for a mean over rows, but
/// not for metrics that change with the number of rows, as where a rare class is missing). `pairs` has for each variant and resample the
/// scores of [`super::out_of_bag`], `score` is the best score. `None` where no choice can be made.
pub fn optimism(pairs: &[Vec<[f64; 2]>], best: usize, score: f64, higher_is_better: bool) -> Option<Optimism> {
    let (resamples, of_best) = (pairs.first()?.len(), pairs.get(best)?);
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let (mut chosen, mut behind) = (vec![0usize; pairs.len()], Vec::with_capacity(resamples));
    for resample in 0..resamples {
        let drawn = pairs.iter().enumerate().filter(|(_, of)| of[resample].iter().all(|score| score.is_finite()));
        // the first of equals, as in a ranking
        let winner = drawn.reduce(|a, b| if sign * b.1[resample][0] > sign * a.1[resample][0] { b } else { a });
        let beside = of_best[resample][1];
        if let Some((variant, of)) = winner.filter(|_| beside.is_finite()) {
            chosen[variant] += 1;
            behind.push(sign * (beside - of[resample][1]));
        }
    }
    let expected = mean(&behind)?.max(0.0);
    let chosen = chosen.into_iter().map(|times| times as f64 / behind.len() as f64).collect();
    Some(Optimism { expected, honest: score - sign * expected, chosen })
}

/// Which scores are within one standard error of the best; the simplest of them is a choice that noise decides less (Breiman, Friedman,
/// Olshen and Stone 1984, *Classification and Regression Trees*, section 3.4.3). Scores that are NaN are not.
pub fn within_one_standard_error(scores: &[f64], std_error: f64, higher_is_better: bool) -> Vec<bool> {
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let best = scores.iter().map(|score| sign * score).fold(f64::NEG_INFINITY, f64::max);
    scores.iter().map(|score| sign * score >= best - std_error.max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Mean;
    use super::super::{Scored, Units, out_of_bag};
    use super::*;
    use crate::ml::Rng;

    fn tried(rights: &[f64]) -> (Vec<Mean>, f64) {
        let mut rng = Rng::seeded(5);
        let of = |p: &f64| Mean((0..200).map(|_| f64::from(u8::from(rng.uniform() < *p))).collect());
        let all: Vec<Mean> = rights.iter().map(of).collect();
        let best = all.iter().map(|one| one.0.iter().sum::<f64>() / 200.0).fold(0.0, f64::max);
        (all, best)
    }

    fn found(rights: &[f64]) -> (Optimism, f64) {
        let (all, best) = tried(rights);
        let scored: Vec<&dyn Scored> = all.iter().map(|one| one as &dyn Scored).collect();
        let pairs: Vec<Vec<[f64; 2]>> = out_of_bag(&scored, &Units::alike(200), 400, 1).into_iter().flatten().collect();
        let place = all.iter().position(|one| one.0.iter().sum::<f64>() / 200.0 == best).unwrap();
        (optimism(&pairs, place, best, true).unwrap(), best)
    }

    #[test]
    fn the_best_of_many_coins_is_a_coin() {
        let (coins, best) = found(&[0.5; 36]);
        assert!(best > 0.55, "{best}");
        assert!((coins.honest - 0.5).abs() < 0.025, "{coins:?}");
        assert!((coins.honest + coins.expected - best).abs() < 1e-12);
        assert!((coins.chosen.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_that_is_clearly_best_is_hardly_flattered() {
        let (clear, best) = found(&[0.9, 0.5, 0.5]);
        assert!(clear.expected < 0.01 && clear.chosen[0] == 1.0 && (clear.honest - best).abs() < 0.01, "{clear:?}");
    }

    #[test]
    fn less_may_be_better_and_nothing_may_be_there() {
        let pairs = [vec![[0.2, 0.4], [0.3, 0.5]], vec![[0.6, 0.1], [0.1, 0.3]]];
        // 0.4 beside 0.1 where the first was chosen, then the best itself
        let losses = optimism(&pairs, 1, 0.25, false).unwrap();
        assert!((losses.honest - 0.4).abs() < 1e-12 && (losses.expected - 0.15).abs() < 1e-12);
        assert_eq!(losses.chosen, [0.5, 0.5]);
        assert_eq!(optimism(&[], 0, 0.5, true), None);
        assert_eq!(optimism(&[vec![[f64::NAN, 0.5]]], 0, 0.5, true), None);
        // equals that score less on few rows, as where a class is missing, flatter nobody
        let alike = [vec![[1.0, 0.7], [1.0, 1.0]], vec![[1.0, 0.7], [1.0, 1.0]]];
        assert_eq!(optimism(&alike, 0, 1.0, true).unwrap().expected, 0.0);
        assert_eq!(within_one_standard_error(&[0.5, 0.58, 0.6, f64::NAN], 0.02, true), [false, true, true, false]);
        assert_eq!(within_one_standard_error(&[0.5, 0.58], 0.02, false), [true, false]);
    }
}
