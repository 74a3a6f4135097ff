//! What must hold of a pipeline's results? The gates of `gates:`, read and checked.

use serde_json::Value;

use super::overlay::Overlay;
use crate::problem::{Origin, Problem, Problems, suggest};

/// The keys of a gate.
const KEYS: [&str; 9] =
    ["metric", "min_delta", "min", "max", "confidence", "variant", "evaluation", "cost", "max_ratio"];

/// How sure a gate is that says nothing of it.
pub const CONFIDENCE: f64 = 0.95;

/// Something that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// As `gates` calls it.
    pub name: String,
    /// What must hold.
    pub rule: Rule,
    /// Label or id of the one variant that it is about; all, if none is named.
    pub variant: Option<String>,
    /// The evaluating stage that it is about; all, if none is named.
    pub evaluation: Option<String>,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// A metric changes by at least this much for the better since the baseline: below 0, so much worse is let through.
    Change {
        /// The metric.
        metric: String,
        /// The smallest change.
        min_delta: f64,
        /// How sure one must be, in (0, 1).
        confidence: f64,
    },
    /// A metric's value lies within bounds.
    Value {
        /// The metric.
        metric: String,
        /// The smallest value.
        min: Option<f64>,
        /// The largest value.
        max: Option<f64>,
        /// How sure one must be; `None` looks at the value alone.
        confidence: Option<f64>,
    },
    /// The run costs at most so much.
    Cost {
        /// What is counted.
        cost: Cost,
        /// The bound.
        max: f64,
    },
    /// The run costs at most so many times what the baseline's cost.
    CostRatio {
        /// What is counted.
        cost: Cost,
        /// The bound: 1 lets nothing more through, 1.2 a fifth.
        max_ratio: f64,
    },
}

impl Rule {
    /// Whether it takes a baseline to judge it.
    pub fn looks_back(&self) -> bool {
        matches!(self, Rule::Change { .. } | Rule::CostRatio { .. })
    }
}

/// What a run costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Seconds of this run, from its beginning to its end.
    Seconds,
    /// Seconds of all units, each as long as it took when it was made.
    UnitSeconds,
    /// Units of the plan.
    Units,
    /// Units that were not in the cache.
    UnitsRan,
    /// Bytes of memory that the process had at most.
    PeakMemory,
}

/// All costs, by name.
pub const COSTS: [(&str, Cost, &str); 5] = [
    ("seconds", Cost::Seconds, "seconds of this run"),
    ("unit_seconds", Cost::UnitSeconds, "seconds of all units, each as long as it took when it was made"),
    ("units", Cost::Units, "units of the plan"),
    ("units_ran", Cost::UnitsRan, "units that were not in the cache"),
    ("peak_memory", Cost::PeakMemory, "bytes of memory that the process had at most"),
];

impl Cost {
    /// As gates name it.
    pub fn name(self) -> &'static str {
        COSTS.iter().find(|(_, cost, _)| *cost == self).map_or("", |(name, ..)| name)
    }
}

/// Reads the gates of the merged document.
pub(super) fn read(overlay: &Overlay, problems: &mut Problems) -> Vec<Gate> {
    match overlay.at(&["gates"]) {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(_) => problems.push(
            Problem::error("wrong-type", "`gates` must be a map from names to gates")
                .at(overlay.origin(&["gates"]))
                .help(NAMED),
        ),
    }
    // A file that extends another takes a gate away with `null`.
    let there = |name: &String| overlay.at(&["gates", name]).is_some_and(|gate| !gate.is_null());
    let names = overlay.keys(&["gates"]).into_iter().filter(there);
    names.filter_map(|name| Reader { name, overlay, problems: &mut *problems }.gate()).collect()
}

struct Reader<'a> {
    name: String,
    overlay: &'a Overlay,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn gate(mut self) -> Option<Gate> {
        let before = self.problems.0.len();
        let at = self.overlay.key_origin(&["gates", &self.name]);
        if self.name.trim().is_empty() {
            self.wrong(Problem::error("bad-gate", "a gate needs a name").help(NAMED), &[]);
            return None;
        }
        if !self.overlay.at(&["gates", &self.name]).is_some_and(Value::is_object) {
            let message = format!("the gate `{}` must be a map", self.name);
            self.wrong(Problem::error("wrong-type", message), &[]);
            return None;
        }
        for key in self.overlay.keys(&["gates", &self.name]) {
            if !KEYS.contains(&key.as_str()) {
                let mut problem = Problem::error("unknown-key", format!("a gate has no key `{key}`"))
                    .note(format!("the keys are {}", KEYS.join(", ")));
                if let Some(near) = suggest(&key, KEYS) {
                    problem = problem.help(format!("did you mean `{near}`?"));
                }
                let at = self.overlay.key_origin(&["gates", &self.name, &key]);
                self.problems.push(problem.at(at));
            }
        }
        let (variant, evaluation) = (self.text("variant"), self.text("evaluation"));
        // What is misspelt may be what is missing.
        let rule = if self.problems.0.len() > before { None } else { self.rule() };
        if self.problems.0.len() > before {
            return None;
        }
        Some(Gate { rule: rule?, variant, evaluation, at, name: self.name })
    }

    fn rule(&mut self) -> Option<Rule> {
        let (metric, cost) = (self.text("metric"), self.text("cost"));
        let confidence = self.number("confidence");
        if confidence.is_some_and(|sure| !(sure > 0.0 && sure < 1.0)) {
            self.wrong(Problem::error("out-of-range", "`confidence` must lie between 0 and 1"), &["confidence"]);
        }
        match (metric, cost) {
            (Some(metric), None) => self.of_metric(metric, confidence),
            (None, Some(cost)) => self.of_cost(&cost),
            _ => {
                let message = format!("the gate `{}` must be about a `metric` or a `cost`", self.name);
                self.wrong(Problem::error("bad-gate", message).help(EXAMPLES), &[]);
                None
            }
        }
    }

    fn of_metric(&mut self, metric: String, confidence: Option<f64>) -> Option<Rule> {
        if self.value("max_ratio").is_some() {
            let problem = Problem::error("bad-gate", "`max_ratio` is about a `cost`, not about a metric");
            self.wrong(problem.help("`min_delta` holds a metric to the baseline's"), &["max_ratio"]);
            return None;
        }
        match (self.number("min_delta"), self.number("min"), self.number("max")) {
            (Some(min_delta), None, None) => {
                Some(Rule::Change { metric, min_delta, confidence: confidence.unwrap_or(CONFIDENCE) })
            }
            (None, Some(min), Some(max)) if min > max => {
                let message = format!("`min` is {min}, above `max`, which is {max}: nothing lies between");
                self.wrong(Problem::error("bad-gate", message), &["min"]);
                None
            }
            (None, min, max) if min.is_some() || max.is_some() => Some(Rule::Value { metric, min, max, confidence }),
            // A bound that is no number is one that was meant.
            (None, ..) if ["min_delta", "min", "max"].iter().any(|key| self.value(key).is_some()) => None,
            (None, ..) => {
                let message = format!("the gate `{}` has no bound", self.name);
                self.wrong(Problem::error("bad-gate", message).help(EXAMPLES), &[]);
                None
            }
            _ => {
                let message = "`min_delta` is about the change since a baseline, `min` and `max` about the value";
                self.wrong(Problem::error("bad-gate", message).help("make two gates of it"), &["min_delta"]);
                None
            }
        }
    }

    fn of_cost(&mut self, name: &str) -> Option<Rule> {
        for key in ["min_delta", "min", "confidence", "variant", "evaluation"] {
            if self.value(key).is_some() {
                let message = format!("`{key}` says nothing of a run's cost");
                self.wrong(
                    Problem::error("bad-gate", message).help("a cost has a `max` or a `max_ratio` alone"),
                    &[key],
                );
            }
        }
        let Some((_, cost, _)) = COSTS.iter().find(|(known, ..)| *known == name) else {
            let mut problem = Problem::error("unknown-choice", format!("no cost is called `{name}`"))
                .note(format!("the costs are {}", COSTS.map(|(known, ..)| known).join(", ")));
            if let Some(near) = suggest(name, COSTS.iter().map(|(known, ..)| *known)) {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            self.wrong(problem, &["cost"]);
            return None;
        };
        if self.value("max_ratio").is_some() {
            return self.of_ratio(*cost);
        }
        let max = self.value("max").cloned().unwrap_or_default();
        match amount(&max, *cost).filter(|max| *max >= 0.0) {
            Some(max) => Some(Rule::Cost { cost: *cost, max }),
            None => {
                let right = match cost {
                    Cost::PeakMemory => "write bytes, or a size: `max: 2GB`",
                    Cost::Seconds | Cost::UnitSeconds => "write seconds, or a time: `max: 10m`",
                    Cost::Units | Cost::UnitsRan => "write a number: `max: 40`",
                };
                let message = format!("`{name}` needs a `max` (or a `max_ratio`) that it can be held to");
                self.wrong(Problem::error("bad-gate", message).help(right), &["max"]);
                None
            }
        }
    }

    fn of_ratio(&mut self, cost: Cost) -> Option<Rule> {
        if self.value("max").is_some() {
            let message = "`max` is about the cost itself, `max_ratio` about the cost by that of the baseline";
            self.wrong(Problem::error("bad-gate", message).help("make two gates of it"), &["max_ratio"]);
            return None;
        }
        let max_ratio = self.number("max_ratio")?;
        if max_ratio <= 0.0 {
            let message = format!("`max_ratio` must be above 0, but is {max_ratio}");
            self.wrong(Problem::error("out-of-range", message).help("`1.2` lets a fifth more through"), &["max_ratio"]);
            return None;
        }
        Some(Rule::CostRatio { cost, max_ratio })
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.overlay.at(&["gates", &self.name, key]).filter(|value| !value.is_null())
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong(Problem::error("wrong-type", format!("`{key}` must be text")).help("quote it"), &[key]);
                None
            }
        }
    }

    fn number(&mut self, key: &str) -> Option<f64> {
        let value = self.value(key)?;
        if let Some(number) = value.as_f64().filter(|number| number.is_finite()) {
            return Some(number);
        }
        // `max` of a cost may be a size or a time, which is read there.
        if key != "max" || self.value("cost").is_none() {
            self.wrong(Problem::error("wrong-type", format!("`{key}` must be a number")), &[key]);
        }
        None
    }

    fn wrong(&mut self, problem: Problem, way: &[&str]) {
        let path: Vec<&str> = ["gates", self.name.as_str()].into_iter().chain(way.iter().copied()).collect();
        let at = if way.is_empty() { self.overlay.key_origin(&path) } else { self.overlay.origin(&path) };
        self.problems.push(problem.at(at));
    }
}

const NAMED: &str = "write `gates: { quality: { metric: f1_macro, min_delta: -0.005 } }`";

const EXAMPLES: &str = "write `{ metric: f1_macro, min_delta: -0.005 }`, `{ metric: accuracy, min: 0.9 }`, `{ cost: seconds, max: 600 }` or `{ cost: unit_seconds, max_ratio: 1.2 }`";

/// Units of sizes and times.
const SIZES: [(&str, f64); 8] = [
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];
const TIMES: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// A number, or text with a unit that goes with the cost.
fn amount(value: &Value, cost: Cost) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let units: &[(&str, f64)] = match cost {
        Cost::PeakMemory => &SIZES,
        Cost::Seconds | Cost::UnitSeconds => &TIMES,
        Cost::Units | Cost::UnitsRan => &[],
    };
    let (number, scale) = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))?;
    let plain = number.trim_end().chars().all(|c| c.is_ascii_digit() || c == '.');
    number.trim_end().parse::<f64>().ok().filter(|_| plain).map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(amount(&json!("2GB"), Cost::PeakMemory), Some(2e9));
        assert_eq!(amount(&json!("1.5 MiB"), Cost::PeakMemory), Some(1.5 * 1048576.0));
        assert_eq!(amount(&json!("10m"), Cost::Seconds), Some(600.0));
        assert_eq!(amount(&json!(7), Cost::Units), Some(7.0));
        for (wrong, cost) in [
            (json!("2GB"), Cost::Seconds),
            (json!("7"), Cost::Units),
            (json!("-1s"), Cost::Seconds),
            (json!([]), Cost::Units),
        ] {
            assert_eq!(amount(&wrong, cost), None, "{wrong}");
        }
    }
}
