//! Which of two is right more often on the same rows? Tests of the rows on which they differ.

use super::distributions::fair_tosses;
use super::wilson_interval;

/// McNemar's test of two classifiers on the same rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Rows that the first alone gets right.
    pub only_first: u64,
    /// Rows that the second alone gets right.
    pub only_second: u64,
    /// The exact two-sided p value (binomial); it errs on the safe side.
    pub exact: f64,
    /// The mid-p value: half of the probability of what was seen is left out of each tail, which brings it close to its level
    /// (Fagerland, Lydersen and Laake 2013, *The McNemar test for binary matched-pairs data*).
    pub mid: f64,
}

/// McNemar's test: were both equally good, the rows on which one alone is right would be so many fair tosses (McNemar 1947).
pub fn mcnemar(only_first: u64, only_second: u64) -> McNemar {
    let (tosses, fewer) = (only_first + only_second, only_first.min(only_second));
    let (at_most, exactly) = if tosses == 0 { (1.0, 0.0) } else { fair_tosses(fewer, tosses) };
    let exact = (2.0 * at_most).min(1.0);
    McNemar { only_first, only_second, exact, mid: (2.0 * at_most - exactly).clamp(0.0, 1.0) }
}

/// How often the first of two does better, where they do not do equally well: an effect that a person can picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wins {
    /// Rows on which the first does better.
    pub first: u64,
    /// Rows on which the second does better.
    pub second: u64,
    /// The share of the first among both; one half where neither does better on more rows.
    pub share: f64,
    /// Wilson's interval of the share.
    pub interval: [f64; 2],
}

/// The share of wins of the first with its interval; `None` without a row on which one does better.
pub fn wins(first: u64, second: u64, confidence: f64) -> Option<Wins> {
    let rows = first + second;
    let interval = wilson_interval(first as usize, rows as usize, confidence)?;
    Some(Wins { first, second, share: first as f64 / rows as f64, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `statsmodels.stats.contingency_tables.mcnemar(exact=True)` of statsmodels 0.14.6; mid-p by scipy 1.17.1 as
    #[test]
    fn no_difference_is_no_finding_and_the_order_does_not_matter() {
        assert_eq!((mcnemar(0, 0).exact, mcnemar(0, 0).mid), (1.0, 1.0));
        assert_eq!((mcnemar(7, 7).exact, mcnemar(7, 7).mid), (1.0, 1.0));
        assert_eq!(mcnemar(3, 12).mid, mcnemar(12, 3).mid);
        assert_eq!(wins(0, 0, 0.95), None);
        let won = wins(30, 10, 0.95).unwrap();
        assert!(won.share == 0.75 && won.interval[0] > 0.5);
    }
}
