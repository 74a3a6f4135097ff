//! What becomes of each gate?

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::baseline::{Scored, Side};
use super::costs::{Costs, of_cost, of_ratio};
use super::paired::{Difference, NoDifference, SAME, Value, difference, value};
use super::rule::{Ruling, at_least, at_most, worst};
use crate::lock::Coverage;
use crate::pipeline::{Gate, Rule};

/// One gate, in one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// The gate's name.
    pub gate: String,
    /// The metric or the cost.
    pub subject: String,
    /// The variant's label; empty for the only one, and for costs.
    pub variant: String,
    /// The evaluating stage; empty for costs.
    pub evaluation: String,
    /// What becomes of it.
    pub verdict: Ruling,
    /// What must hold: `change >= -0.005`.
    pub expected: String,
    /// What was found, in a few words.
    pub actual: String,
    /// Why it is so, in a sentence.
    pub reason: String,
    /// The value before.
    pub old: Option<f64>,
    /// The value now.
    pub new: Option<f64>,
    /// The change, counted for the better.
    pub change: Option<f64>,
    /// The cost now by the cost before.
    #[serde(default)]
    pub ratio: Option<f64>,
    /// The interval of the change, or of the value.
    pub interval: Option<[f64; 2]>,
    /// How sure the interval is.
    pub confidence: Option<f64>,
    /// The probability of such a change where there is none.
    pub p: Option<f64>,
    /// How the interval was made.
    pub method: Option<String>,
    /// Rows of which another class is predicted than before.
    pub changed_rows: Option<u64>,
    /// True if it is the baseline that does not fit: one of this run would.
    #[serde(skip)]
    pub old_baseline: bool,
}

impl Judged {
    /// The gate with what it is about: `quality: f1_macro of c=1 (scores)`.
    pub fn title(&self) -> String {
        format!("{}: {}", self.gate, self.of())
    }

    /// What it is about: `f1_macro of c=1 (scores)`.
    pub fn of(&self) -> String {
        let variant = if self.variant.is_empty() { String::new() } else { format!(" of {}", self.variant) };
        let evaluation = if self.evaluation.is_empty() { String::new() } else { format!(" ({})", self.evaluation) };
        format!("{}{variant}{evaluation}", self.subject)
    }

    fn new(gate: &Gate, subject: &str, scored: Option<&Scored>, expected: String) -> Judged {
        Judged {
            gate: gate.name.clone(),
            subject: subject.to_owned(),
            variant: scored.map_or_else(String::new, |scored| scored.label.clone()),
            evaluation: scored.map_or_else(String::new, |scored| scored.evaluation.clone()),
            verdict: Ruling::Incomparable,
            expected,
            actual: String::new(),
            reason: String::new(),
            old: None,
            new: None,
            change: None,
            ratio: None,
            interval: None,
            confidence: None,
            p: None,
            method: None,
            changed_rows: None,
            old_baseline: false,
        }
    }

    pub(super) fn incomparable(mut self, reason: impl Into<String>) -> Judged {
        self.reason = reason.into();
        self.actual = "not comparable".to_owned();
        self
    }

    /// The same, where a baseline of this run would be comparable.
    pub(super) fn outdated(self, reason: impl Into<String>) -> Judged {
        Judged { old_baseline: true, ..self.incomparable(reason) }
    }
}

/// Judges all gates of a run `now`, against `before` where there is a baseline; variants of the baseline that the run has not
/// count as gone only if it was about the whole of its pipeline. Each verdict stands with its gate.
pub fn judge<'g>(
    gates: &'g [Gate],
    now: &Side,
    before: Option<&Side>,
    costs: &Costs,
    coverage: Coverage,
) -> Vec<(&'g Gate, Judged)> {
    let mut found = Vec::new();
    for gate in gates {
        let judged = match &gate.rule {
            Rule::Cost { cost, max } => vec![of_cost(of_rule(gate, None), *cost, *max, costs)],
            Rule::CostRatio { cost, max_ratio } => {
                let then = before.map(|side| &side.baseline.costs);
                vec![of_ratio(of_rule(gate, None), *cost, *max_ratio, costs, then)]
            }
            Rule::Value { metric, .. } => each(gate, now, metric, &|at| of_value(gate, now, at)),
            Rule::Change { metric, .. } => match before {
                Some(before) => changes(gate, now, before, coverage),
                None => each(gate, now, metric, &|at| {
                    of_rule(gate, now.baseline.variants.get(at)).outdated("there is no baseline to hold it against")
                }),
            },
        };
        found.extend(judged.into_iter().map(|judged| (gate, judged)));
    }
    found
}

/// A verdict for each variant that the gate is about; a gate about none is told to be so.
fn each(gate: &Gate, now: &Side, metric: &str, of: &dyn Fn(usize) -> Judged) -> Vec<Judged> {
    let variants = now.baseline.variants.iter().enumerate();
    let mut about: Vec<(usize, &Scored)> = variants.filter(|(_, scored)| is_about(gate, scored)).collect();
    // Of several evaluations some may compute other metrics; a gate that names none is about those that have its metric.
    if gate.evaluation.is_none() && about.iter().any(|(_, scored)| scored.metrics.contains_key(metric)) {
        about.retain(|(_, scored)| scored.metrics.contains_key(metric));
    }
    if about.is_empty() {
        let named = gate.variant.as_ref().or(gate.evaluation.as_ref());
        let reason = named.map_or_else(
            || "nothing is evaluated".to_owned(),
            |name| format!("there is no variant or evaluation called `{name}`"),
        );
        return vec![of_rule(gate, None).incomparable(reason)];
    }
    about.into_iter().map(|(at, _)| of(at)).collect()
}

fn is_about(gate: &Gate, scored: &Scored) -> bool {
    gate.variant.as_ref().is_none_or(|name| *name == scored.label || *name == scored.id)
        && gate.evaluation.as_ref().is_none_or(|name| *name == scored.evaluation)
}

/// A gate that is not judged yet, with what must hold.
pub(super) fn of_rule(gate: &Gate, scored: Option<&Scored>) -> Judged {
    let percent = |confidence: f64| format!("{}%", short(100.0 * confidence));
    match &gate.rule {
        Rule::Change { metric, min_delta, confidence } => {
            let expected = format!("change >= {} ({} sure)", short(*min_delta), percent(*confidence));
            Judged { confidence: Some(*confidence), ..Judged::new(gate, metric, scored, expected) }
        }
        Rule::Value { metric, min, max, confidence } => {
            let bound = |sign: &str, bound: &Option<f64>| bound.map(|bound| format!("{sign} {}", short(bound)));
            let bounds: Vec<String> = [bound(">=", min), bound("<=", max)].into_iter().flatten().collect();
            let sure = confidence.map(|sure| format!(" ({} sure)", percent(sure))).unwrap_or_default();
            let expected = format!("{}{sure}", bounds.join(" and "));
            Judged { confidence: *confidence, ..Judged::new(gate, metric, scored, expected) }
        }
        Rule::Cost { cost, max } => Judged::new(gate, cost.name(), scored, format!("<= {}", short(*max))),
        Rule::CostRatio { cost, max_ratio } => {
            Judged::new(gate, cost.name(), scored, format!("<= {} × the baseline's", short(*max_ratio)))
        }
    }
}

fn of_value(gate: &Gate, now: &Side, at: usize) -> Judged {
    let scored = now.baseline.variants.get(at);
    let judged = of_rule(gate, scored);
    let Rule::Value { metric, min, max, confidence } = &gate.rule else { return judged };
    let Some(standing) = scored.and_then(|scored| scored.metrics.get(metric)) else {
        return judged.incomparable(format!("`{metric}` is not computed: add it to the evaluation's `metrics`"));
    };
    let Some(score) = standing.score() else {
        return judged.incomparable(format!("`{metric}` is not defined for these rows"));
    };
    let found = confidence.and_then(|sure| value(metric, now, at, sure));
    if confidence.is_some() && found.is_none() {
        let reason = format!("`{metric}` has no interval here: leave `confidence` out to look at the value alone");
        return judged.incomparable(reason);
    }
    let looked_at = found.as_ref().map_or([score, score], |found| found.interval);
    let verdicts = [min.map(|min| at_least(looked_at, min)), max.map(|max| at_most(looked_at, max))];
    let verdict = worst(verdicts.into_iter().flatten());
    let what = if found.is_some() { "its interval" } else { "it" };
    let reason = match verdict {
        Ruling::Pass => format!("{what} lies within the bounds"),
        Ruling::Fail => format!("{what} lies outside the bounds"),
        _ => format!("{what} reaches over a bound: the rows are too few to tell"),
    };
    let actual = match &found {
        Some(Value { value, interval: [low, high], .. }) => {
            format!("{} [{}, {}]", four(*value), four(*low), four(*high))
        }
        None => four(score),
    };
    Judged {
        verdict,
        actual,
        reason,
        new: Some(found.as_ref().map_or(score, |found| found.value)),
        interval: found.as_ref().map(|found| found.interval),
        method: found.map(|found| found.method.to_owned()),
        ..judged
    }
}

/// A change gate, in each variant, and in those that are gone.
fn changes(gate: &Gate, now: &Side, before: &Side, coverage: Coverage) -> Vec<Judged> {
    let Rule::Change { metric, .. } = &gate.rule else { return Vec::new() };
    let pairs = matched(before, now);
    let mut found = each(gate, now, metric, &|at| {
        let judged = of_rule(gate, now.baseline.variants.get(at));
        match pairs.iter().find(|(_, new)| *new == at) {
            Some(&(then, _)) => of_change(gate, judged, (before, then), (now, at)),
            None => judged.outdated("the baseline has no such variant"),
        }
    });
    let gone = before.baseline.variants.iter().enumerate().filter(|(then, scored)| {
        coverage == Coverage::Whole
            && is_about(gate, scored)
            && scored.metrics.contains_key(metric)
            && !pairs.iter().any(|(old, _)| old == then)
    });
    found.extend(gone.map(|(_, scored)| {
        of_rule(gate, Some(scored)).outdated("the baseline has this variant, and the pipeline has it no more")
    }));
    found
}

/// Which entry of the baseline each variant is held against: the one with its label, since that is what people mean; where a label is
/// gone, the one with its id, which is the same variant under another name. The only evaluation of either side may be called otherwise.
fn matched(before: &Side, now: &Side) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let only = |side: &Side| side.baseline.variants.windows(2).all(|pair| pair[0].evaluation == pair[1].evaluation);
    let one_each = only(before) && only(now);
    let same: [fn(&Scored, &Scored) -> bool; 2] = [|a, b| a.label == b.label, |a, b| a.id == b.id];
    for is_same in same {
        for (at, new) in now.baseline.variants.iter().enumerate() {
            let free = |then: usize| !pairs.iter().any(|&(old, new)| old == then || new == at);
            let other =
                before.baseline.variants.iter().enumerate().find(|&(then, old)| {
                    (one_each || old.evaluation == new.evaluation) && is_same(old, new) && free(then)
                });
            pairs.extend(other.map(|(then, _)| (then, at)));
        }
    }
    pairs
}

fn of_change(gate: &Gate, judged: Judged, (before, then): (&Side, usize), (now, at): (&Side, usize)) -> Judged {
    let Rule::Change { metric, min_delta, confidence } = &gate.rule else { return judged };
    if let Some(reason) = other_data((before, then), (now, at)) {
        return judged.outdated(reason);
    }
    let found = match difference(metric, (before, then), (now, at), *confidence) {
        Ok(found) => found,
        Err(NoDifference { reason, old_baseline: true }) => return judged.outdated(reason),
        Err(NoDifference { reason, .. }) => return judged.incomparable(reason),
    };
    let verdict = at_least(found.interval, *min_delta);
    let [low, high] = found.interval;
    Judged {
        verdict,
        actual: format!("{} [{}, {}]", signed(found.gain), signed(low), signed(high)),
        reason: sentence(metric, verdict, &found) + &renamed(before, then, now, at),
        old: Some(found.old),
        new: Some(found.new),
        change: Some(found.gain),
        interval: Some(found.interval),
        p: found.p,
        method: Some(found.method.to_owned()),
        changed_rows: found.changed.map(|(changed, _)| changed),
        ..judged
    }
}

/// What a variant was called, where it has another label now.
fn renamed(before: &Side, then: usize, now: &Side, at: usize) -> String {
    match (before.baseline.variants.get(then), now.baseline.variants.get(at)) {
        (Some(old), Some(new)) if old.label != new.label && !old.label.is_empty() => {
            format!(" (held against `{}`, the same variant under another label)", old.label)
        }
        _ => String::new(),
    }
}

fn sentence(metric: &str, verdict: Ruling, found: &Difference) -> String {
    let went = format!("`{metric}` went from {} to {}", four(found.old), four(found.new));
    let rows =
        found.changed.map(|(changed, of)| format!(", {changed} of {of} predictions changed")).unwrap_or_default();
    match verdict {
        Ruling::Pass if found.method == SAME => SAME.to_owned(),
        Ruling::Pass => format!("{went}{rows}: as good as it must be"),
        Ruling::Fail => format!("{went}{rows}: worse than is let through"),
        _ => format!("{went}{rows}: the rows are too few to tell"),
    }
}

/// Why a variant of one run cannot be held against one of another (indices into their variants); `None` if it can.
pub fn other_data((before, then): (&Side, usize), (now, at): (&Side, usize)) -> Option<String> {
    let (old, new) = (&before.baseline, &now.baseline);
    let digests = |side: &super::Baseline| side.inputs.values().cloned().collect::<BTreeSet<String>>();
    if digests(old) != digests(new) {
        return Some(other_inputs(old, new));
    }
    let (one, two) = (old.variants.get(then)?, new.variants.get(at)?);
    if one.n != two.n {
        return Some(format!("other data: {} rows were scored, now it is {}", one.n, two.n));
    }
    match (&one.rows, &two.rows) {
        (Some(one), Some(two)) if one.labels != two.labels => {
            Some("other data: the scored rows, or what is true of them, are not the same".to_owned())
        }
        (Some(one), Some(two)) if one.folds != two.folds => {
            Some("other splits: the folds hold out other rows than in the baseline".to_owned())
        }
        // A summary alone does not say which rows the folds held out; the seed decides that, and little else does.
        (None, _) | (_, None) if old.seed != new.seed => {
            Some(format!("other splits: the seed was {} and is {}", old.seed, new.seed))
        }
        _ => None,
    }
}

fn other_inputs(old: &super::Baseline, new: &super::Baseline) -> String {
    let short = |digest: &str| digest.chars().take(19).collect::<String>();
    for (source, digest) in &new.inputs {
        match old.inputs.get(source) {
            Some(before) if before != digest => {
                return format!("other data: `{source}` changed, {}… → {}…", short(before), short(digest));
            }
            None if !old.inputs.values().any(|before| before == digest) => {
                return format!("other data: `{source}` is new ({}…)", short(digest));
            }
            _ => {}
        }
    }
    let gone = old.inputs.keys().find(|source| !new.inputs.contains_key(*source));
    gone.map_or_else(|| "other data".to_owned(), |source| format!("other data: `{source}` is not read any more"))
}

/// A number without needless digits.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn four(value: f64) -> String {
    format!("{value:.4}")
}

fn signed(value: f64) -> String {
    // Nothing is neither more nor less.
    if value == 0.0 { "0".to_owned() } else { format!("{value:+.4}") }
}

#[cfg(test)]
mod tests {
    use super::super::baseline::tests::side;
    use super::super::rows::tests::rows;
    use super::*;
    use crate::pipeline::Cost;

    const COSTS: Costs = Costs { seconds: 2.0, unit_seconds: 5.0, units: 9, units_ran: 3, peak_memory: Some(1000) };

    fn gate(rule: Rule) -> Gate {
        Gate { name: "g".to_owned(), rule, variant: None, evaluation: None, at: None }
    }

    fn change(min_delta: f64) -> Gate {
        gate(Rule::Change { metric: "accuracy".to_owned(), min_delta, confidence: 0.95 })
    }

    /// 1,000 rows of which these are not hit.
    fn missing(wrong: std::ops::Range<usize>) -> Side {
        let of = |row: usize| {
            let label = ["x", "y"][row / 2 % 2];
            let predicted = if wrong.contains(&row) { ["y", "x"][row / 2 % 2] } else { label };
            (label, predicted)
        };
        let all: Vec<(&str, &str)> = (0..1000).map(of).collect();
        let hit = 1.0 - wrong.len() as f64 / 1000.0;
        side(&rows(&all), &[hit + 0.01, hit - 0.01])
    }

    fn only(gates: &[Gate], now: &Side, before: &Side) -> Judged {
        let mut all = judge(gates, now, Some(before), &COSTS, Coverage::Whole);
        assert_eq!(all.len(), 1);
        all.remove(0).1
    }

    /// The baseline as it is read from its file: without rows, with their outcomes.
    fn from_file(side: &Side) -> Side {
        super::super::Baseline::parse("b", side.baseline.text().as_bytes()).unwrap().into()
    }

    #[test]
    fn the_same_predictions_pass_and_three_points_less_fail() {
        let before = missing(0..100);
        let same = only(&[change(0.0)], &missing(0..100), &before);
        assert_eq!((same.verdict, same.interval, same.changed_rows), (Ruling::Pass, Some([0.0, 0.0]), Some(0)));
        let worse = only(&[change(-0.005)], &missing(0..130), &before);
        assert_eq!((worse.verdict, worse.changed_rows), (Ruling::Fail, Some(30)));
        let [low, high] = worse.interval.unwrap();
        assert!((worse.change.unwrap() + 0.03).abs() < 1e-9 && low < -0.03 && high < -0.015, "{worse:?}");
        assert!(worse.p.unwrap() < 1e-6 && worse.method.as_ref().unwrap().contains("McNemar"), "{worse:?}");
        let better = only(&[change(0.01)], &missing(0..70), &before);
        assert_eq!(better.verdict, Ruling::Pass, "{better:?}");
        // one row less is not let through, but nobody can say that it is more than chance
        assert_eq!(only(&[change(0.0)], &missing(0..101), &before).verdict, Ruling::Inconclusive);
    }

    #[test]
    fn outcomes_in_a_file_decide_as_the_rows_would() {
        let before = missing(0..100);
        for wrong in [0..100, 0..101, 0..130, 50..150] {
            let now = missing(wrong);
            assert_eq!(only(&[change(0.0)], &now, &from_file(&before)), only(&[change(0.0)], &now, &before));
        }
    }

    #[test]
    fn four_rows_are_no_finding_whatever_is_measured() {
        let before = missing(0..100);
        for more in 1..5 {
            let judged = only(&[change(0.0)], &missing(0..100 + more), &before);
            assert_eq!(judged.verdict, Ruling::Inconclusive, "{more}: {judged:?}");
        }
        assert_eq!(only(&[change(0.0)], &missing(0..109), &before).verdict, Ruling::Fail);
    }

    #[test]
    fn without_rows_folds_decide_and_without_folds_intervals() {
        let (before, now) = (missing(0..100), missing(0..300));
        let bare = |side: &Side| {
            let mut side = from_file(side);
            side.baseline.variants[0].outcomes = None;
            side
        };
        let folds = only(&[change(0.0)], &now, &bare(&before));
        assert_eq!((folds.verdict, folds.method.as_deref()), (Ruling::Fail, Some("corrected resampled t over folds")));
        let mut summary = bare(&before);
        summary.baseline.variants[0].rows = None;
        let intervals = only(&[change(0.0)], &now, &summary);
        assert!(intervals.method.unwrap().contains("as if independent"));
        let [low, high] = intervals.interval.unwrap();
        assert!((low + 0.2 + 0.02f64.hypot(0.02)).abs() < 1e-9 && high < 0.0);
        let sure = gate(Rule::Change { metric: "accuracy".to_owned(), min_delta: 0.0, confidence: 0.99 });
        assert_eq!(only(&[sure], &now, &summary).verdict, Ruling::Incomparable, "a 99% interval is not at hand");
    }

    #[test]
    fn other_data_other_folds_and_other_variants_are_not_compared() {
        let before = missing(0..100);
        let told = |now: &Side| {
            let judged = only(&[change(-1.0)], now, &before);
            assert_eq!(judged.verdict, Ruling::Incomparable);
            judged.reason
        };
        let mut now = missing(0..100);
        now.baseline.inputs.insert("data.csv".to_owned(), format!("sha256:{}", "b".repeat(64)));
        assert!(told(&now).starts_with("other data: `data.csv` changed, sha256:aaaa"), "{}", told(&now));
        now.baseline.inputs =
            std::collections::BTreeMap::from([("new.csv".to_owned(), format!("sha256:{}", "a".repeat(64)))]);
        assert_eq!(only(&[change(-1.0)], &now, &before).verdict, Ruling::Pass, "another name is no other data");
        let changed = |of: fn(&mut Scored)| {
            let mut now = missing(0..100);
            of(&mut now.baseline.variants[0]);
            now
        };
        assert!(told(&changed(|scored| scored.n = 7)).contains("1000 rows were scored, now it is 7"));
        let folds = changed(|scored| scored.rows.as_mut().unwrap().folds = crate::table::Digest::of(b"other"));
        assert!(told(&folds).starts_with("other splits"));
        let labels = changed(|scored| scored.rows.as_mut().unwrap().labels = crate::table::Digest::of(b"other"));
        assert!(told(&labels).starts_with("other data"));
        let mut now = missing(0..100);
        (now.baseline.variants[0].id, now.baseline.variants[0].label) = ("ffff".to_owned(), "c=2".to_owned());
        let gates = [change(0.0)];
        let both = judge(&gates, &now, Some(&before), &COSTS, Coverage::Whole);
        let reasons: Vec<&str> = both.iter().map(|(_, judged)| judged.reason.as_str()).collect();
        assert!(reasons[0].contains("no such variant") && reasons[1].contains("has it no more"), "{reasons:?}");
        assert_eq!(judge(&gates, &now, Some(&before), &COSTS, Coverage::Part).len(), 1, "some variants were asked for");
    }

    #[test]
    fn values_and_costs_have_bounds() {
        let now = missing(0..100);
        let value = |min, max, confidence| {
            let rule = Rule::Value { metric: "accuracy".to_owned(), min, max, confidence };
            only(&[gate(rule)], &now, &now).verdict
        };
        assert_eq!(value(Some(0.9), None, None), Ruling::Pass);
        assert_eq!(value(Some(0.91), None, None), Ruling::Fail);
        assert_eq!(value(None, Some(0.8), None), Ruling::Fail);
        assert_eq!(value(Some(0.9), None, Some(0.95)), Ruling::Inconclusive);
        assert_eq!(value(Some(0.85), Some(0.95), Some(0.95)), Ruling::Pass);
        let cost = |cost, max| only(&[gate(Rule::Cost { cost, max })], &now, &now).verdict;
        assert_eq!((cost(Cost::Seconds, 2.0), cost(Cost::UnitsRan, 2.0)), (Ruling::Pass, Ruling::Fail));
        assert_eq!((cost(Cost::PeakMemory, 999.0), cost(Cost::Units, 9.0)), (Ruling::Fail, Ruling::Pass));
        let unknown = Rule::Value { metric: "f1_macro".to_owned(), min: Some(0.1), max: None, confidence: None };
        let unknown = only(&[gate(unknown)], &now, &now);
        assert!(unknown.verdict == Ruling::Incomparable && unknown.reason.contains("add it to the evaluation's"));
        let nobody = Gate { variant: Some("c=7".to_owned()), ..change(0.0) };
        assert!(only(&[nobody], &now, &now).reason.contains("called `c=7`"));
    }
}
