//! How long may a unit take, and how often is it tried? By stage, with limits for all others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::problem::Origin;

/// How long a unit may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeout {
    /// Time on its lane.
    pub after: Duration,
    /// Who said so.
    pub set_by: Option<Origin>,
}

/// Limits of a stage; what is `None` is left to the limits for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    /// How long each of its units may take.
    pub timeout: Option<Timeout>,
    /// How often a unit that failed is tried again.
    pub retries: Option<u32>,
}

/// Limits for all stages, and for some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// For stages that are not named.
    pub all: Limit,
    /// By stage.
    pub stages: BTreeMap<String, Limit>,
}

impl Limits {
    /// How long a unit of this stage may take.
    pub(super) fn timeout(&self, stage: &str) -> Option<&Timeout> {
        self.stages.get(stage).and_then(|limit| limit.timeout.as_ref()).or(self.all.timeout.as_ref())
    }

    /// How often a unit of this stage is tried again.
    pub(super) fn retries(&self, stage: &str) -> u32 {
        self.stages.get(stage).and_then(|limit| limit.retries).or(self.all.retries).unwrap_or(0)
    }
}

/// The first pause before another try; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause before try number `attempt` (the first that is tried again is 2).
pub(super) fn pause(attempt: u32) -> Duration {
    PAUSE.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(2))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stages_own_limits_win() {
        let timeout = |seconds| Some(Timeout { after: Duration::from_secs(seconds), set_by: None });
        let mut limits = Limits { all: Limit { timeout: timeout(60), retries: Some(1) }, stages: BTreeMap::new() };
        limits.stages.insert("vectors".to_owned(), Limit { timeout: timeout(600), retries: None });
        let of = |stage| (limits.timeout(stage).map(|t| t.after.as_secs()), limits.retries(stage));
        assert_eq!(of("vectors"), (Some(600), 1));
        assert_eq!(of("tfidf"), (Some(60), 1));
    }

    #[test]
    fn pauses_grow_and_end() {
        let millis: Vec<u128> = (2..5).map(|attempt| pause(attempt).as_millis()).collect();
        assert_eq!(millis, [500, 1000, 2000]);
        assert_eq!(pause(40), LONGEST_PAUSE);
    }
}
