//! How long will a plan take, and which unit should start first?
//!
//! A unit's cost is what its artifact says it took, if there is one; else what units of its *class* took on average (kind,
//! phase and parameters; failing that, kind and phase), scaled by the rows of its input; else a guess from its shape, which
//! is good enough to put units in an order and is never shown.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::Direction;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Phase, Plan, Role, Unit, UnitId};
use crate::stage::Work;
use crate::store::{Timing, Timings};
use crate::table::Digest;

/// What a cost rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// This very unit was measured.
    Measured,
    /// Units like it were.
    Average,
    /// Nothing: a guess.
    Guess,
}

/// What a unit costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Seconds on one lane.
    pub seconds: f64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Rows made.
    pub rows: u64,
    /// What this rests on.
    pub basis: Basis,
}

/// What is known of a unit that has been made before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Seconds it took.
    pub seconds: f64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Rows made.
    pub rows: u64,
}

/// The classes of a unit, the narrower one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Kind, phase and parameters.
    pub narrow: String,
    /// Kind and phase.
    pub wide: String,
}

impl Classes {
    /// The classes of a unit.
    pub fn of(unit: &Unit) -> Self {
        let wide = format!("{} {}", unit.kind.name, unit.phase.as_str());
        let params = Digest::of(unit.params.to_string().as_bytes()).to_string();
        let narrow = format!("{wide} {}", params.get(..12).unwrap_or_default());
        Classes { narrow, wide }
    }

    /// Counts a unit in both classes.
    pub fn count(&self, timing: &Timing, into: &mut Timings) {
        for class in [&self.narrow, &self.wide] {
            into.entry(class.clone()).or_default().add(timing);
        }
    }
}

/// The cost of each unit (by index). `known` gives what is known of a unit itself.
pub fn costs(plan: &Plan, history: &Timings, known: &dyn Fn(UnitId) -> Option<Known>) -> Vec<Cost> {
    // Units share parameters by the hundred: each class is spelled once for each stage, phase and set of parameters.
    let mut classes: FxHashMap<(*const Work, Phase), Classes> = FxHashMap::default();
    let mut costs: Vec<Cost> = Vec::with_capacity(plan.order.len());
    for &id in &plan.order {
        let unit = plan.unit(id);
        let rows = rows_in(unit, &costs);
        let cost = match known(id) {
            Some(Known { seconds, bytes, rows }) => Cost { seconds, bytes, rows, basis: Basis::Measured },
            None => {
                let class = classes
                    .entry((std::sync::Arc::as_ptr(&unit.work), unit.phase))
                    .or_insert_with(|| Classes::of(unit));
                let seen = history.get(&class.narrow).or_else(|| history.get(&class.wide));
                seen.map_or_else(|| guess(unit, rows), |timing| scaled(timing, rows))
            }
        };
        costs.push(cost);
    }
    costs
}

/// Rows of a unit's first input.
pub fn rows_in(unit: &Unit, costs: &[Cost]) -> u64 {
    let first = unit.inputs.iter().find(|input| matches!(input.role, Role::Input(_)) || unit.inputs.len() == 1);
    first.or(unit.inputs.first()).and_then(|input| costs.get(input.unit.index())).map_or(0, |cost| cost.rows)
}

/// An average, for so many rows.
fn scaled(timing: &Timing, rows: u64) -> Cost {
    let factor = if rows > 0 && timing.rows_in >= 1.0 { rows as f64 / timing.rows_in } else { 1.0 };
    Cost {
        seconds: timing.seconds * factor,
        bytes: (timing.bytes * factor) as u64,
        rows: (timing.rows_out * factor) as u64,
        basis: Basis::Average,
    }
}

/// Seconds and bytes a row of units that nothing is known of: their order of magnitude, by shape.
fn guess(unit: &Unit, rows: u64) -> Cost {
    let (fixed, each, bytes) = match (&*unit.work, unit.phase) {
        (Work::Source(_), _) => (0.2, 0.0, 0.0),
        // Files beside rows are weights: a model is at work.
        (Work::RowWise(stage), _) if !stage.files().is_empty() => (0.5, 5e-3, 1_600.0),
        (Work::RowWise(_), _) => (0.01, 10e-6, 100.0),
        (Work::WholeTable(_), _) => (0.01, 5e-6, 100.0),
        (Work::Learner(_), Phase::Fit) => (0.02, 50e-6, 50.0),
        (Work::Search(_), _) => (0.01, 0.0, 1.0),
        (Work::Meta(_), _) => (0.02, 5e-6, 20.0),
        (Work::Learner(_), _) => (0.01, 20e-6, 100.0),
        (Work::Evaluate(_), _) => (0.02, 2e-6, 20.0),
        (Work::Sink(_), _) => (0.1, 0.0, 0.0),
    };
    let rows = if rows == 0 { 10_000 } else { rows };
    let seconds = fixed + each * rows as f64;
    Cost { seconds, bytes: (bytes * rows as f64) as u64, rows, basis: Basis::Guess }
}

/// For each unit (by index): seconds from its start to the end of the longest way through what reads it. Units that need
/// not run (`runs` is false) cost nothing.
pub fn lengths(plan: &Plan, costs: &[Cost], runs: &dyn Fn(UnitId) -> bool) -> Vec<f64> {
    let mut lengths = vec![0.0; plan.order.len()];
    for &id in plan.order.iter().rev() {
        let readers = plan.graph.neighbors_directed(id, Direction::Outgoing);
        let after = readers.map(|reader| lengths[reader.index()]).fold(0.0, f64::max);
        let own = if runs(id) { costs[id.index()].seconds } else { 0.0 };
        lengths[id.index()] = own + after;
    }
    lengths
}

/// What the units that must run come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Units that must run.
    pub units: usize,
    /// Of these, units that nothing is known of; they count for nothing below.
    pub unknown: usize,
    /// Seconds of work.
    pub work: f64,
    /// Seconds on so many threads, one unit on each.
    pub wall: f64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What the units for which `runs` is true come to on `threads` threads: longest way first, as the runner does it.
pub fn estimate(plan: &Plan, costs: &[Cost], runs: &dyn Fn(UnitId) -> bool, threads: usize) -> Estimate {
    let mut shown = costs.to_vec();
    let mut sum = Estimate::default();
    for &id in plan.order.iter().filter(|id| runs(**id)) {
        sum.units += 1;
        let cost = &mut shown[id.index()];
        if cost.basis == Basis::Guess {
            sum.unknown += 1;
            cost.seconds = 0.0;
            cost.bytes = 0;
        }
        sum.work += cost.seconds;
        sum.bytes += cost.bytes;
    }
    sum.wall = makespan(plan, &shown, runs, threads.max(1));
    sum
}

/// Seconds until all is done when `threads` lanes always take the unit with the longest way ahead.
fn makespan(plan: &Plan, costs: &[Cost], runs: &dyn Fn(UnitId) -> bool, threads: usize) -> f64 {
    let lengths = lengths(plan, costs, runs);
    let mut open: Vec<usize> =
        plan.order.iter().map(|&id| plan.graph.neighbors_directed(id, Direction::Incoming).count()).collect();
    let mut ready: BinaryHeap<(Micros, Reverse<UnitId>)> = BinaryHeap::new();
    let mut running: BinaryHeap<Reverse<(Micros, UnitId)>> = BinaryHeap::new();
    let mut now = Micros(0);
    let mut ended: Vec<UnitId> = plan.order.iter().copied().filter(|id| open[id.index()] == 0).collect();
    ended.iter().for_each(|id| ready.push((Micros::of(lengths[id.index()]), Reverse(*id))));
    ended.clear();
    loop {
        while running.len() < threads
            && let Some((_, Reverse(id))) = ready.pop()
        {
            let seconds = if runs(id) { costs[id.index()].seconds } else { 0.0 };
            running.push(Reverse((Micros(now.0 + Micros::of(seconds).0), id)));
        }
        let Some(Reverse((at, id))) = running.pop() else { return now.0 as f64 / 1e6 };
        now = at;
        for reader in plan.graph.neighbors_directed(id, Direction::Outgoing) {
            open[reader.index()] -= 1;
            if open[reader.index()] == 0 {
                ready.push((Micros::of(lengths[reader.index()]), Reverse(reader)));
            }
        }
    }
}

/// Seconds as a number with a total order, so that the same costs always give the same order of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// Rounded to microseconds; nothing sensible is none at all.
    pub fn of(seconds: f64) -> Self {
        Micros(if seconds.is_finite() { (seconds.max(0.0) * 1e6) as u64 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;
    use crate::plan::plan;
    use crate::stages::STAGES;

    /// rows → words → tfidf fit, apply → model fit, apply in two folds → score; rows → split.
    fn example() -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yaml");
        let text = "name: p
stages:
  rows: { use: ingest, with: { source: data.csv, text: text, label: label } }
  words: { use: tokenize, from: rows }
  tfidf: { use: tfidf, from: words }
  model: { use: train, from: tfidf, with: { estimator: { linear_svc: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 2 } }
";
        std::fs::write(&file, text).unwrap();
        let pipeline = Pipeline::load(&file, &[], STAGES).unwrap_or_else(|problems| panic!("{problems}"));
        plan(&pipeline, &crate::plan::Known::default())
    }

    fn unit(plan: &Plan, title: &str) -> UnitId {
        plan.order.iter().copied().find(|&id| plan.unit(id).title() == title).unwrap()
    }

    #[test]
    fn what_was_measured_wins_over_averages_and_those_are_scaled_by_rows() {
        let plan = example();
        let (rows, words) = (unit(&plan, "rows"), unit(&plan, "words"));
        let mut history = Timings::new();
        Classes::of(plan.unit(words)).count(&Timing::once(2.0, 1_000, 100, 100), &mut history);
        let known = |id| (id == rows).then_some(Known { seconds: 0.5, bytes: 10, rows: 300 });
        let costs = costs(&plan, &history, &known);
        let of = |id: UnitId| costs[id.index()];
        assert_eq!(of(rows), Cost { seconds: 0.5, bytes: 10, rows: 300, basis: Basis::Measured });
        assert_eq!(of(words), Cost { seconds: 6.0, bytes: 3_000, rows: 300, basis: Basis::Average });
        assert_eq!(of(unit(&plan, "tfidf fit fold 1")).basis, Basis::Guess);
        // With other parameters the kind and phase alone are known.
        history.remove(&Classes::of(plan.unit(words)).narrow);
        assert_eq!(super::costs(&plan, &history, &known)[words.index()], of(words));
    }

    #[test]
    fn the_longest_way_ahead_comes_first_and_an_estimate_knows_what_it_does_not_know() {
        let plan = example();
        let known = |_| Some(Known { seconds: 1.0, bytes: 5, rows: 10 });
        let costs = costs(&plan, &Timings::new(), &known);
        let lengths = lengths(&plan, &costs, &|_| true);
        let of = |title: &str| lengths[unit(&plan, title).index()];
        assert_eq!((of("rows"), of("words"), of("scores split"), of("scores score")), (7.0, 6.0, 6.0, 1.0));
        let units = plan.order.len();
        let on = |threads| estimate(&plan, &costs, &|_| true, threads);
        let whole = Estimate { units, unknown: 0, work: units as f64, wall: units as f64, bytes: 5 * units as u64 };
        assert_eq!(on(1), whole);
        // rows; words, split and profile; tfidf fit ×2, apply ×2, model fit ×2, apply ×2; score; ledger; and of each of three
        // baselines fit ×2, apply ×2 and score.
        assert_eq!((units, on(2).wall, on(64).wall), (29, 15.0, 7.0));
        let nothing = super::costs(&plan, &Timings::new(), &|_| None);
        let unknown = estimate(&plan, &nothing, &|_| true, 2);
        assert_eq!((unknown.unknown, unknown.work, unknown.wall), (units, 0.0, 0.0));
        assert_eq!(estimate(&plan, &costs, &|_| false, 2), Estimate::default());
    }
}
