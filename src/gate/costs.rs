//! Does a run cost too much, by itself or by what the baseline's run cost?

use std::collections::BTreeMap;

use super::judge::{Judged, short};
use super::rule::{Ruling, at_most};
use crate::pipeline::{COSTS, Cost, Gate, Rule};
use crate::record::{Outcome, Summary};

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Seconds from its beginning to its end.
    pub seconds: f64,
    /// Seconds of all units, each as long as it took when it was made.
    pub unit_seconds: f64,
    /// Units.
    pub units: u64,
    /// Units that were not in the cache.
    pub units_ran: u64,
    /// Bytes of memory at most; `None` where the system does not say.
    pub peak_memory: Option<u64>,
}

impl Costs {
    /// What a summary says of a run's cost, which is all but its memory.
    pub fn of(summary: &Summary) -> Costs {
        Costs {
            seconds: summary.totals.seconds,
            unit_seconds: summary.units.iter().map(|unit| unit.seconds).filter(|seconds| seconds.is_finite()).sum(),
            units: summary.units.len() as u64,
            units_ran: summary.units.iter().filter(|unit| unit.outcome == Outcome::Ran).count() as u64,
            peak_memory: None,
        }
    }

    /// One of them; `None` where it is not known.
    fn amount(&self, cost: Cost) -> Option<f64> {
        match cost {
            Cost::Seconds => Some(self.seconds),
            Cost::UnitSeconds => Some(self.unit_seconds),
            Cost::Units => Some(self.units as f64),
            Cost::UnitsRan => Some(self.units_ran as f64),
            Cost::PeakMemory => self.peak_memory.map(|bytes| bytes as f64),
        }
    }

    /// All that is known, by name.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let known = |(name, cost, _): (&str, Cost, &str)| Some((name.to_owned(), self.amount(cost)?));
        COSTS.into_iter().filter_map(known).collect()
    }

    /// What a baseline keeps: the costs that gates hold against it, and how many units ran where a cost depends on that. A
    /// baseline that nobody holds a cost against has nothing of the clock.
    pub fn kept(&self, gates: &[Gate]) -> BTreeMap<String, f64> {
        let held: Vec<Cost> = gates
            .iter()
            .filter_map(|gate| match &gate.rule {
                Rule::CostRatio { cost, .. } => Some(*cost),
                _ => None,
            })
            .collect();
        let mut kept = self.by_name();
        kept.retain(|name, _| {
            held.iter().any(|cost| cost.name() == name || (of_the_cache(*cost) && name == Cost::UnitsRan.name()))
        });
        kept.values_mut().for_each(|amount| *amount = (*amount * 1e3).round() / 1e3);
        kept
    }
}

/// Whether a run whose units were all in the cache would cost less of it.
fn of_the_cache(cost: Cost) -> bool {
    matches!(cost, Cost::Seconds | Cost::PeakMemory)
}

const NO_MEMORY: &str = "this system does not say how much memory was taken";

/// A cost against a bound.
pub(super) fn of_cost(judged: Judged, cost: Cost, max: f64, costs: &Costs) -> Judged {
    let Some(found) = costs.amount(cost) else { return judged.incomparable(NO_MEMORY) };
    let verdict = at_most([found, found], max);
    let reason = if verdict == Ruling::Pass { "it is within its bound" } else { "it is above its bound" };
    Judged { verdict, actual: short(found), new: Some(found), reason: reason.to_owned(), ..judged }
}

/// A cost against that of the baseline's run, as far as the baseline knows it.
pub(super) fn of_ratio(
    judged: Judged,
    cost: Cost,
    max_ratio: f64,
    costs: &Costs,
    before: Option<&BTreeMap<String, f64>>,
) -> Judged {
    let name = cost.name();
    let Some(before) = before else { return judged.outdated("there is no baseline to hold it against") };
    let Some(new) = costs.amount(cost) else { return judged.incomparable(NO_MEMORY) };
    let Some(&old) = before.get(name) else {
        return judged.outdated(format!("the baseline does not say what `{name}` was"));
    };
    if old <= 0.0 {
        return judged.incomparable(format!("`{name}` was 0 in the baseline: nothing is a multiple of that"));
    }
    let ratio = new / old;
    let verdict = at_most([ratio, ratio], max_ratio);
    let judged = Judged {
        actual: format!("{ratio:.2} × ({} after {})", short(new), short(old)),
        old: Some(old),
        new: Some(new),
        ratio: Some(ratio),
        ..judged
    };
    let went = format!("`{name}` went from {} to {}", short(old), short(new));
    let ran = before.get(Cost::UnitsRan.name()).copied();
    match ran {
        // More that was not cached is more work, and says nothing of the pipeline.
        Some(ran) if verdict != Ruling::Pass && of_the_cache(cost) && (costs.units_ran as f64) > ran => Judged {
            reason: format!(
                "{went}, but {} units ran, and {} when the baseline was made: the others were cached",
                costs.units_ran,
                short(ran)
            ),
            ..judged
        },
        _ if verdict == Ruling::Pass => Judged { verdict, reason: format!("{went}: within its bound"), ..judged },
        _ => Judged { verdict, reason: format!("{went}: more than is let through"), ..judged },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs { seconds: 3.0, unit_seconds: 6.0, units: 9, units_ran: 9, peak_memory: Some(1500) };

    fn gate(cost: Cost, max_ratio: f64) -> Gate {
        Gate {
            name: "g".to_owned(),
            rule: Rule::CostRatio { cost, max_ratio },
            variant: None,
            evaluation: None,
            at: None,
        }
    }

    fn of(cost: Cost, max_ratio: f64, costs: &Costs, before: &[(&str, f64)]) -> Judged {
        let before = before.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect();
        let judged = super::super::judge::of_rule(&gate(cost, max_ratio), None);
        of_ratio(judged, cost, max_ratio, costs, Some(&before))
    }

    #[test]
    fn a_cost_is_held_to_that_of_the_baseline() {
        let before =
            [("seconds", 2.0), ("unit_seconds", 5.0), ("units", 9.0), ("units_ran", 9.0), ("peak_memory", 0.0)];
        for (cost, max_ratio, verdict) in [
            (Cost::Seconds, 1.5, Ruling::Pass),
            (Cost::Seconds, 1.49, Ruling::Fail),
            (Cost::UnitSeconds, 1.2, Ruling::Pass),
            (Cost::UnitSeconds, 1.1, Ruling::Fail),
            (Cost::Units, 1.0, Ruling::Pass),
            (Cost::PeakMemory, 2.0, Ruling::Incomparable),
        ] {
            assert_eq!(of(cost, max_ratio, &COSTS, &before).verdict, verdict, "{cost:?} {max_ratio}");
        }
        let judged = of(Cost::Seconds, 1.2, &COSTS, &before);
        assert_eq!((judged.ratio, judged.old, judged.new), (Some(1.5), Some(2.0), Some(3.0)));
        assert_eq!(
            (judged.expected.as_str(), judged.actual.as_str()),
            ("<= 1.2 × the baseline's", "1.50 × (3 after 2)")
        );
        assert_eq!(judged.reason, "`seconds` went from 2 to 3: more than is let through");
    }

    #[test]
    fn a_cold_cache_does_not_fail_a_run() {
        let warm = [("seconds", 0.1), ("peak_memory", 100.0), ("units_ran", 0.0), ("unit_seconds", 6.0)];
        for cost in [Cost::Seconds, Cost::PeakMemory] {
            let judged = of(cost, 1.2, &COSTS, &warm);
            assert_eq!(judged.verdict, Ruling::Incomparable, "{judged:?}");
            assert!(judged.reason.contains("9 units ran, and 0 when"), "{}", judged.reason);
        }
        assert_eq!(of(Cost::UnitSeconds, 1.2, &COSTS, &warm).verdict, Ruling::Pass);
        assert!(of(Cost::Units, 1.2, &COSTS, &warm).reason.contains("does not say what `units` was"));
    }

    #[test]
    fn a_baseline_keeps_what_is_held_against_it() {
        assert!(COSTS.kept(&[]).is_empty());
        let names = |cost| COSTS.kept(&[gate(cost, 1.2)]).into_keys().collect::<Vec<_>>();
        assert_eq!(names(Cost::Units), ["units"]);
        assert_eq!(names(Cost::PeakMemory), ["peak_memory", "units_ran"]);
    }
}
