//! What would another sample of the rows have given? Rows are drawn again within strata, and scores taken of what was drawn.
//!
//! A resample is how often each unit counts, so that a score is taken from weighted counts and no row is copied. All scores of one
//! call see the same resamples; so do those of another call with the same units and seed. That makes differences paired.

use rayon::prelude::*;

use super::distributions::{normal_below, normal_beyond, normal_quantile, t_quantile};
use super::folds::DrawError;
use super::{mean, sample_std};
use crate::ml::Rng;

/// A stratum of fewer units is joined with other small ones: units drawn from few vary too little.
pub const LEAST_STRATUM: usize = 8;

/// So many groups of units are left out, one after the other, to see how skewed a score is.
const BLOCKS: usize = 100;

/// Fewer resamples beyond a value than that say nothing of how rare it is.
const FEW: f64 = 10.0;

/// From so many degrees of freedom on, Student's t is the normal distribution.
const MANY: f64 = 1e4;

/// The share of resamples in which a score must be defined.
const DEFINED: f64 = 0.9;

/// Scores that can be taken again while units count more or less.
pub trait Scored: Sync {
    /// How many scores there are.
    fn width(&self) -> usize;

    /// Writes each score into its place, unit `i` counting `weights[i]` times; NaN where it is not defined.
    fn score(&self, weights: &[u32], into: &mut [f64]);
}

/// What is drawn: rows, or groups of rows that belong together; each in a stratum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The units, stratum by stratum.
    order: Vec<u32>,
    /// Where each stratum ends.
    ends: Vec<usize>,
}

/// Resamples of rows, unless the rows are very many.
const RESAMPLES: usize = 2000;

/// Never fewer.
const LEAST_RESAMPLES: usize = 400;

/// So many predictions are looked at in all resamples together, about.
const LOOKS: usize = 1_200_000_000;

/// How often rows are drawn again where there are so many predictions in all.
pub fn resamples(predictions: usize) -> usize {
    (LOOKS / predictions.max(1)).clamp(LEAST_RESAMPLES, RESAMPLES)
}

impl Units {
    /// Of fewer units, resamples tell nothing of others.
    pub const LEAST: usize = 10;

    /// True if there are enough of them to be drawn again.
    pub fn are_enough(&self) -> bool {
        self.len() >= Units::LEAST
    }

    /// `count` units in one stratum.
    pub fn alike(count: usize) -> Self {
        Units { order: (0..count as u32).collect(), ends: if count == 0 { vec![] } else { vec![count] } }
    }

    /// A unit for each entry, which is its stratum. Strata of fewer than [`LEAST_STRATUM`] are joined.
    pub fn stratified(strata: &[u32]) -> Self {
        let count = strata.iter().max().map_or(0, |most| *most as usize + 1);
        let mut sizes = vec![0usize; count];
        strata.iter().for_each(|stratum| sizes[*stratum as usize] += 1);
        let place = |unit: &u32| {
            let stratum = strata[*unit as usize];
            if sizes[stratum as usize] < LEAST_STRATUM { u32::MAX } else { stratum }
        };
        let mut order: Vec<u32> = (0..strata.len() as u32).collect();
        order.sort_by_key(place);
        let mut ends = Vec::new();
        order.chunk_by(|a, b| place(a) == place(b)).for_each(|stratum| {
            ends.push(ends.last().copied().unwrap_or(0) + stratum.len());
        });
        Units { order, ends }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The resample of this number: each stratum gives as many units as it has, with replacement.
    fn draw(&self, seed: u64, resample: usize, weights: &mut [u32]) {
        let mut rng = Rng::seeded(seed.wrapping_add((resample as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        weights.fill(0);
        let mut start = 0;
        for &end in &self.ends {
            let stratum = &self.order[start..end];
            // two draws of 32 bits from each number; no unit is likelier than another by more than units / 2³²
            let pick = |bits: u64| ((bits * stratum.len() as u64) >> 32) as usize;
            let mut left = stratum.len();
            while left > 0 {
                let bits = rng.next_u64();
                weights[stratum[pick(bits & 0xFFFF_FFFF)] as usize] += 1;
                if left > 1 {
                    weights[stratum[pick(bits >> 32)] as usize] += 1;
                }
                left = left.saturating_sub(2);
            }
            start = end;
        }
    }

    /// For each unit the block that it is left out with; every block has its part of every stratum.
    fn blocks(&self, seed: u64) -> (Vec<u32>, usize) {
        let blocks = self.len().min(BLOCKS);
        let mut shuffled = self.order.clone();
        let mut rng = Rng::seeded(seed);
        let mut start = 0;
        for &end in &self.ends {
            rng.shuffle(&mut shuffled[start..end]);
            start = end;
        }
        let mut of = vec![0; self.len()];
        shuffled.iter().enumerate().for_each(|(at, unit)| of[*unit as usize] = (at % blocks.max(1)) as u32);
        (of, blocks)
    }
}

/// What came of a score, or of a difference of two, when rows were drawn again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicates {
    /// The score of the rows as they are; NaN where it is not defined.
    pub estimate: f64,
    /// The score of each resample.
    draws: Vec<f64>,
    /// The score without each block of units.
    left_out: Vec<f64>,
    /// Whether it is a difference of two scores.
    difference: bool,
}

/// Draws `resamples` times and takes all scores each time; by entry of `scored`, then by score. Works on rayon's current pool and
/// gives the same bits on any.
pub fn resample(scored: &[&dyn Scored], units: &Units, resamples: usize, seed: u64) -> Vec<Vec<Replicates>> {
    let all = |weights: &[u32]| -> Vec<f64> {
        let mut values = vec![f64::NAN; scored.iter().map(|one| one.width()).sum()];
        let mut rest = values.as_mut_slice();
        for one in scored {
            let (own, others) = rest.split_at_mut(one.width());
            one.score(weights, own);
            rest = others;
        }
        values
    };
    let (block, blocks) = units.blocks(seed);
    let none = || vec![0u32; units.len()];
    let estimates = all(&vec![1; units.len()]);
    let draws: Vec<Vec<f64>> = (0..resamples)
        .into_par_iter()
        .map_init(none, |weights, resample| {
            units.draw(seed, resample, weights);
            all(weights)
        })
        .collect();
    let left_out: Vec<Vec<f64>> = (0..blocks as u32)
        .into_par_iter()
        .map_init(none, |weights, out| {
            weights.iter_mut().zip(&block).for_each(|(weight, block)| *weight = u32::from(*block != out));
            all(weights)
        })
        .collect();
    let mut at = 0;
    let mut next = || {
        let column = |rows: &[Vec<f64>]| rows.iter().map(|row| row[at]).collect();
        let found = Replicates {
            estimate: estimates[at],
            draws: column(&draws),
            left_out: column(&left_out),
            difference: false,
        };
        at += 1;
        found
    };
    scored.iter().map(|one| (0..one.width()).map(|_| next()).collect()).collect()
}

/// For each entry of `scored`, each of its scores and each resample: the score of the rows that were drawn and that of those that were
/// not, each once. For [`super::optimism`].
pub fn out_of_bag(scored: &[&dyn Scored], units: &Units, resamples: usize, seed: u64) -> Vec<Vec<Vec<[f64; 2]>>> {
    let of = |scored: &&dyn Scored, weights: &[u32]| {
        let mut values = vec![f64::NAN; scored.width()];
        scored.score(weights, &mut values);
        values
    };
    let none = || (vec![0u32; units.len()], vec![0u32; units.len()]);
    let both: Vec<Vec<Vec<[f64; 2]>>> = (0..resamples)
        .into_par_iter()
        .map_init(none, |(drawn, others), resample| {
            units.draw(seed, resample, drawn);
            others.iter_mut().zip(drawn.iter()).for_each(|(other, drawn)| *other = u32::from(*drawn == 0));
            let pairs = |one: &&dyn Scored| {
                of(one, drawn).into_iter().zip(of(one, others)).map(|(drawn, other)| [drawn, other]).collect()
            };
            scored.iter().map(pairs).collect()
        })
        .collect();
    let score = |entry: usize, score: usize| both.iter().map(|resample| resample[entry][score]).collect();
    let entry = |(at, one): (usize, &&dyn Scored)| (0..one.width()).map(|number| score(at, number)).collect();
    scored.iter().enumerate().map(entry).collect()
}

impl Replicates {
    /// Those of the difference from `other`, resample by resample: both must come from the same units, resamples and seed.
    pub fn minus(&self, other: &Replicates) -> Replicates {
        let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Replicates {
            estimate: self.estimate - other.estimate,
            draws: difference(&self.draws, &other.draws),
            left_out: difference(&self.left_out, &other.left_out),
            difference: true,
        }
    }

    /// The same with resamples `factor` times as far from the score, which makes interval and p value those of so much larger a standard
    /// error.
    pub fn widened(&self, factor: f64) -> Replicates {
        let draws = self.draws.iter().map(|draw| self.estimate + factor * (draw - self.estimate)).collect();
        Replicates { draws, ..self.clone() }
    }

    /// The same with an error of its own added to that of rows, of which few draws tell: so much further from the score that the
    /// interval of `confidence` is that of Student's t with Satterthwaite's degrees of freedom (Welch 1947, *The generalization of
    /// "Student's" problem*).
    pub fn with_error(&self, error: DrawError, confidence: f64) -> Replicates {
        let (rows, draws) = (self.std_error().unwrap_or(0.0).powi(2), error.std_error.powi(2));
        let freedom = error.freedom as f64 * ((rows + draws) / draws).powi(2);
        let level = 0.5 + confidence / 2.0;
        let wider =
            t_quantile(freedom.min(MANY).floor() as usize, level).zip(normal_quantile(level)).map(|(t, z)| t / z);
        match wider {
            Some(wider) if rows > 0.0 && draws > 0.0 => self.widened(wider * ((rows + draws) / rows).sqrt()),
            _ => self.clone(),
        }
    }

    /// The standard deviation of the score over resamples; `None` where the score is not defined often enough.
    pub fn std_error(&self) -> Option<f64> {
        sample_std(&self.defined()?)
    }

    /// The interval of a score is bias-corrected and accelerated (BCa; Efron 1987, *Better Bootstrap Confidence Intervals*), the
    /// acceleration coming from leaving out blocks of units. That of a difference, which is hardly skewed, reaches on either side as far
    /// as the wider of the quantiles of the resamples and of a normal distribution with their spread: simulated, that holds where BCa
    /// is too narrow. `None` where the score is not defined in enough resamples, or a confidence outside (0, 1).
    pub fn interval(&self, confidence: f64) -> Option<[f64; 2]> {
        let z = normal_quantile(0.5 + confidence / 2.0).filter(|&z| z > 0.0)?;
        if self.difference {
            let (half, [low, high]) = (z * self.std_error()?, self.percentile_interval(confidence)?);
            return Some([low.min(self.estimate - half), high.max(self.estimate + half)]);
        }
        let mut draws = self.defined()?;
        draws.sort_unstable_by(f64::total_cmp);
        let (bias, skew) = self.shape(&draws);
        let level = |z: f64| match (bias + z) / (1.0 - skew * (bias + z)) {
            moved if moved.is_finite() => normal_below(bias + moved),
            _ => normal_below(z),
        };
        Some([quantile(&draws, level(-z))?, quantile(&draws, level(z))?])
    }

    /// The percentile interval: quantiles of the resamples as they are.
    pub fn percentile_interval(&self, confidence: f64) -> Option<[f64; 2]> {
        let tail = 0.5 - confidence / 2.0;
        let mut draws = self.defined()?;
        draws.sort_unstable_by(f64::total_cmp);
        Some([quantile(&draws, tail)?, quantile(&draws, 1.0 - tail)?])
    }

    /// The two-sided p value of a true score of `null`: one less the confidence at which [`Replicates::interval`] just reaches it.
    /// Beyond all but a few resamples it falls as a normal tail with the bootstrap's standard error does.
    pub fn p_value(&self, null: f64) -> Option<f64> {
        let mut draws = self.defined().filter(|_| null.is_finite())?;
        let spread = sample_std(&draws)?;
        if spread == 0.0 {
            return Some(if self.estimate == null { 1.0 } else { 0.0 });
        }
        let below = share_below(&draws, null);
        let least = (FEW / draws.len() as f64).min(0.5);
        let (bias, skew) = self.shape(&draws);
        let at = |share: f64| {
            let moved = normal_quantile(share)? - bias;
            let z = match moved / (1.0 + skew * moved) {
                stretched if stretched.is_finite() && 1.0 + skew * moved > 0.0 => stretched - bias,
                _ => moved - bias,
            };
            Some(normal_beyond(z))
        };
        let beyond = |bound: f64| normal_beyond((self.estimate - bound) / spread);
        let resampled = if (least..=1.0 - least).contains(&below) {
            at(below)?
        } else {
            let edge = if below < 0.5 { least } else { 1.0 - least };
            draws.sort_unstable_by(f64::total_cmp);
            let (bound, p) = (quantile(&draws, edge)?, at(edge)?);
            p * (beyond(null) / beyond(bound)).min(1.0)
        };
        Some(if self.difference { resampled.max(beyond(null)) } else { resampled })
    }

    /// The resamples in which the score is defined, if they are enough.
    fn defined(&self) -> Option<Vec<f64>> {
        let draws: Vec<f64> = self.draws.iter().copied().filter(|draw| draw.is_finite()).collect();
        let enough = draws.len() > 1 && draws.len() as f64 >= DEFINED * self.draws.len() as f64;
        (enough && self.estimate.is_finite()).then_some(draws)
    }

    /// How far the resamples' middle lies from the score, in normal deviations, and a sixth of the skewness of what the blocks add to
    /// it; 0 where they cannot be told, and for differences.
    fn shape(&self, draws: &[f64]) -> (f64, f64) {
        let centre = mean(&self.left_out).filter(|_| !self.difference);
        let Some(centre) = centre else { return (0.0, 0.0) };
        let bias = normal_quantile(share_below(draws, self.estimate)).unwrap_or(0.0);
        let power = |n: i32| self.left_out.iter().map(|value| (centre - value).powi(n)).sum::<f64>();
        let skew = power(3) / (6.0 * power(2).powf(1.5));
        (bias, if skew.is_finite() { skew } else { 0.0 })
    }
}

/// The share of values below `bound`, equal ones counted half.
fn share_below(values: &[f64], bound: f64) -> f64 {
    let halves: u64 = values.iter().map(|v| if *v < bound { 2 } else { u64::from(*v == bound) }).sum();
    halves as f64 / (2 * values.len()) as f64
}

/// The value below which a share of the sorted values lies, between two neighbours by proportion (numpy's `linear`).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
    Some(low + (high - low) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Mean;
    use super::*;

    /// 40 skewed numbers, by a formula that the reference script has too.
    fn skewed() -> Vec<f64> {
        (0..40).map(|i| (f64::from(i * 7 % 40) / 40.0 + 0.0125).powi(3) * 10.0).collect()
    }

    fn of(values: Vec<f64>, resamples: usize) -> Replicates {
        let mean = Mean(values);
        let units = Units::alike(mean.0.len());
        resample(&[&mean], &units, resamples, 7).remove(0).remove(0)
    }

    #[test]
    fn strata_keep_their_size_and_small_ones_are_joined() {
        let strata: Vec<u32> = (0..60).map(|i| if i < 40 { 2 } else { 100 + i % 5 }).collect();
        let units = Units::stratified(&strata);
        assert_eq!((units.len(), units.ends.as_slice()), (60, [40, 60].as_slice()));
        let mut weights = vec![0; 60];
        for resample in 0..20 {
            units.draw(3, resample, &mut weights);
            assert_eq!((weights[..40].iter().sum::<u32>(), weights[40..].iter().sum::<u32>()), (40, 20));
        }
        let (block, blocks) = units.blocks(1);
        assert_eq!(blocks, 60);
        let mut seen = block.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..60).collect::<Vec<u32>>());
        assert!(Units::stratified(&[]).is_empty() && Units::alike(0).ends.is_empty());
    }

    #[test]
    fn differences_are_paired_and_bits_do_not_hang_on_threads() {
        let (a, b) = (Mean(skewed()), Mean(skewed().iter().map(|v| v + 0.25).collect()));
        let units = Units::alike(40);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| resample(&[&a, &b], &units, 300, 11))
        };
        let both = run(1);
        assert_eq!(both, run(3));
        assert_eq!(resample(&[&b], &units, 300, 11)[0], both[1], "another call sees the same resamples");
        let difference = both[1][0].minus(&both[0][0]);
        assert!((difference.estimate - 0.25).abs() < 1e-12);
        // a constant gain is certain, whatever the spread of both
        assert!(difference.std_error().unwrap() < 1e-12 && both[0][0].std_error().unwrap() > 0.1);
        assert_ne!(resample(&[&b], &units, 300, 12)[0], both[1]);
    }

    #[test]
    fn p_values_agree_with_intervals() {
        let (found, none) = (of(skewed(), 4000), of(vec![0.0; 40], 4000));
        let difference = found.minus(&none);
        assert_eq!(difference.estimate, found.estimate);
        for (found, confidence) in [0.9, 0.95, 0.99].into_iter().flat_map(|c| [(&found, c), (&difference, c)]) {
            let [low, high] = found.interval(confidence).unwrap();
            for bound in [low, high] {
                let p = found.p_value(bound).unwrap();
                assert!((p - (1.0 - confidence)).abs() < 0.003, "{confidence}: {p}");
            }
        }
        let wide = difference.widened(1.5);
        assert!((wide.std_error().unwrap() / difference.std_error().unwrap() - 1.5).abs() < 1e-9);
        assert!((wide.p_value(wide.interval(0.95).unwrap()[0]).unwrap() - 0.05).abs() < 0.003);
        // beyond what resamples resolve
        let far = found.p_value(found.estimate - 8.0 * found.std_error().unwrap()).unwrap();
        assert!(far < 1e-14 && far > 0.0, "{far}");
        assert_eq!(found.p_value(f64::NAN), None);
        assert!(found.p_value(found.estimate).unwrap() > 0.9);
    }

    #[test]
    fn an_error_of_its_own_adds_to_that_of_rows() {
        let (found, none) = (of(skewed(), 4000), of(vec![0.0; 40], 4000));
        let rows = found.minus(&none);
        let own = rows.std_error().unwrap();
        // 3, 4 and 5; 4 · (25/16)² = 9.77 degrees of freedom, of which 9 count: t is 2.262157
        let error = DrawError { std_error: own * 4.0 / 3.0, freedom: 4 };
        let wide = rows.with_error(error, 0.95);
        let half = |of: &Replicates| of.interval(0.95).unwrap()[1] - of.estimate;
        assert!((wide.std_error().unwrap() / own - 5.0 / 3.0 * 2.262_157 / 1.959_964).abs() < 1e-5);
        assert!((half(&wide) / half(&rows) - 5.0 / 3.0 * 2.262_157 / 1.959_964).abs() < 1e-5);
        assert!((wide.p_value(wide.interval(0.95).unwrap()[0]).unwrap() - 0.05).abs() < 0.003);
        // none adds nothing, and a small one hardly anything
        assert_eq!(rows.with_error(DrawError { std_error: 0.0, freedom: 1 }, 0.95), rows);
        let small = rows.with_error(DrawError { std_error: own * 1e-3, freedom: 1 }, 0.95);
        assert!((small.std_error().unwrap() / own - 1.0).abs() < 2e-4);
    }

    #[test]
    fn what_is_not_defined_has_no_interval() {
        let undefined = Replicates { estimate: 0.5, draws: vec![f64::NAN; 10], left_out: vec![], difference: false };
        assert_eq!((undefined.interval(0.95), undefined.p_value(0.0), undefined.std_error()), (None, None, None));
        let none = of(vec![], 10);
        assert_eq!(none.interval(0.95), None);
        let constant = of(vec![0.5; 12], 50);
        assert_eq!(constant.interval(0.95), Some([0.5, 0.5]));
        assert_eq!((constant.p_value(0.5), constant.p_value(0.4)), (Some(1.0), Some(0.0)));
        assert_eq!(constant.interval(1.0), None);
    }
}
