//! When does a gate pass? The rule, as an interval and a bound.
//!
//! A change is counted for the better: above 0 the run is better than the baseline, whatever the metric. Of an interval
//! `[low, high]` and a bound `m`:
//!
//! | interval | verdict |
//! |---|---|
//! | `low ≥ m` | pass |
//! | `high < m` | fail |
//! | else | inconclusive |
//!
//! The same predictions have the interval `[0, 0]`, so they pass unless `m` asks for more than nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a gate, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// The rows are too few to tell.
    Inconclusive,
    /// It cannot be told: other data, other folds, or nothing to hold it against.
    Incomparable,
    /// It does not hold.
    Fail,
}

impl Verdict {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Incomparable => "incomparable",
            Verdict::Fail => "fail",
        }
    }
}

/// The gravest of some verdicts; a run without gates passes.
pub fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.max().unwrap_or(Verdict::Pass)
}

/// Whether what lies in `[low, high]` is at least `bound`.
pub(super) fn at_least([low, high]: [f64; 2], bound: f64) -> Verdict {
    match () {
        () if low >= bound => Verdict::Pass,
        () if high < bound => Verdict::Fail,
        () => Verdict::Inconclusive,
    }
}

/// Whether what lies in `[low, high]` is at most `bound`.
pub(super) fn at_most([low, high]: [f64; 2], bound: f64) -> Verdict {
    at_least([-high, -low], -bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_the_whole_interval() {
        let cases = [
            ([0.0, 0.0], 0.0, Verdict::Pass),
            ([-0.004, 0.01], -0.005, Verdict::Pass),
            ([-0.005, 0.01], -0.005, Verdict::Pass),
            ([-0.006, 0.01], -0.005, Verdict::Inconclusive),
            ([-0.02, -0.005], -0.005, Verdict::Inconclusive),
            ([-0.02, -0.006], -0.005, Verdict::Fail),
            ([0.0, 0.0], 0.01, Verdict::Fail),
            ([f64::NAN, f64::NAN], 0.0, Verdict::Inconclusive),
        ];
        for (interval, bound, verdict) in cases {
            assert_eq!(at_least(interval, bound), verdict, "{interval:?} {bound}");
        }
        assert_eq!(at_most([0.1, 0.2], 0.2), Verdict::Pass);
        assert_eq!(at_most([0.3, 0.4], 0.2), Verdict::Fail);
        assert_eq!(at_most([0.1, 0.4], 0.2), Verdict::Inconclusive);
    }

    #[test]
    fn the_gravest_decides() {
        use Verdict::{Fail, Incomparable, Inconclusive, Pass};
        assert_eq!(worst([Pass, Inconclusive, Pass].into_iter()), Inconclusive);
        assert_eq!(worst([Inconclusive, Incomparable].into_iter()), Incomparable);
        assert_eq!(worst([Fail, Incomparable].into_iter()), Fail);
        assert_eq!(worst([].into_iter()), Pass);
    }
}
