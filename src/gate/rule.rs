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
pub enum Ruling {
    /// It holds.
    Pass,
    /// The rows are too few to tell.
    Inconclusive,
    /// It cannot be told: other data, other folds, or nothing to hold it against.
    Incomparable,
    /// It does not hold.
    Fail,
}

impl Ruling {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Ruling::Pass => "pass",
            Ruling::Inconclusive => "inconclusive",
            Ruling::Incomparable => "incomparable",
            Ruling::Fail => "fail",
        }
    }
}

/// The gravest of some verdicts; a run without gates passes.
pub fn worst(verdicts: impl Iterator<Item = Ruling>) -> Ruling {
    verdicts.max().unwrap_or(Ruling::Pass)
}

/// Whether what lies in `[low, high]` is at least `bound`.
pub(super) fn at_least([low, high]: [f64; 2], bound: f64) -> Ruling {
    match () {
        () if low >= bound => Ruling::Pass,
        () if high < bound => Ruling::Fail,
        () => Ruling::Inconclusive,
    }
}

/// Whether what lies in `[low, high]` is at most `bound`.
pub(super) fn at_most([low, high]: [f64; 2], bound: f64) -> Ruling {
    at_least([-high, -low], -bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_the_whole_interval() {
        let cases = [
            ([0.0, 0.0], 0.0, Ruling::Pass),
            ([-0.004, 0.01], -0.005, Ruling::Pass),
            ([-0.005, 0.01], -0.005, Ruling::Pass),
            ([-0.006, 0.01], -0.005, Ruling::Inconclusive),
            ([-0.02, -0.005], -0.005, Ruling::Inconclusive),
            ([-0.02, -0.006], -0.005, Ruling::Fail),
            ([0.0, 0.0], 0.01, Ruling::Fail),
            ([f64::NAN, f64::NAN], 0.0, Ruling::Inconclusive),
        ];
        for (interval, bound, verdict) in cases {
            assert_eq!(at_least(interval, bound), verdict, "{interval:?} {bound}");
        }
        assert_eq!(at_most([0.1, 0.2], 0.2), Ruling::Pass);
        assert_eq!(at_most([0.3, 0.4], 0.2), Ruling::Fail);
        assert_eq!(at_most([0.1, 0.4], 0.2), Ruling::Inconclusive);
    }

    #[test]
    fn the_gravest_decides() {
        use Ruling::{Fail, Incomparable, Inconclusive, Pass};
        assert_eq!(worst([Pass, Inconclusive, Pass].into_iter()), Inconclusive);
        assert_eq!(worst([Inconclusive, Incomparable].into_iter()), Incomparable);
        assert_eq!(worst([Fail, Incomparable].into_iter()), Fail);
        assert_eq!(worst([].into_iter()), Pass);
    }
}
