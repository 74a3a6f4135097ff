//! Which variant is better, is it real, and what is the best of several worth? What `summary.json` says of it, in words too.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MetricSummary, Summary};

/// Metrics whose names hold one of these are shares, so a difference may be told in points (hundredths).
const SHARES: [&str; 6] = ["accuracy", "precision", "recall", "f1", "roc_auc", "jaccard"];

/// A p value above this leaves two variants level.
pub const LEVEL: f64 = 0.05;

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Wilson's interval for a share of rows.
    Wilson,
    /// Held-out rows (or groups of rows) drawn again; bias-corrected and accelerated quantiles.
    Bootstrap,
    /// The same of the mean over repeats that hold out the same rows, with the error that their draws of training rows add.
    BootstrapAndDraws,
    /// Corrected resampled t over repeated folds.
    CorrectedT,
}

/// How two variants were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonMethod {
    /// McNemar's test, mid-p; the interval is that of the bootstrap.
    McnemarMidP,
    /// Held-out rows drawn again, the same for both.
    PairedBootstrap,
    /// The same of the mean over repeats that hold out the same rows, with the error that their draws of training rows add.
    PairedBootstrapAndDraws,
    /// Corrected resampled t over the differences in repeated folds.
    CorrectedT,
    /// Alpaydın's combined F test of five repeats of two folds; the interval is that of the corrected t.
    FiveByTwoF,
}

/// What a variant was scored on. Variants that differ in either are neither ranked together nor compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ScoredOn {
    /// Digest of the rows and what is true of them.
    pub rows: String,
    /// Digest of which row was held out in which fold.
    pub folds: String,
}

/// One of two or more that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rival {
    /// The variant's id.
    pub variant: String,
    /// The stage that scored it.
    pub evaluation: String,
}

/// What came of comparing two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first is better: `p_adjusted` is at most 0.05.
    Better,
    /// The two are not told apart.
    Level,
}

/// On how many rows each does better than the other: an effect that can be pictured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WinShare {
    /// Rows on which the first does better.
    pub a: u64,
    /// Rows on which the second does better.
    pub b: u64,
    /// The share of the first.
    pub share: f64,
    /// Its 95% interval (Wilson).
    pub ci95: [f64; 2],
}

/// The best variant by a metric, against another on the same rows and folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The metric.
    pub metric: String,
    /// The best by it.
    pub a: Rival,
    /// The other.
    pub b: Rival,
    /// Rows that both were scored on.
    pub rows: u64,
    /// The score of `a` less that of `b`.
    pub difference: f64,
    /// 95% interval of the difference; `null` where none can be told.
    pub ci95: Option<[f64; 2]>,
    /// Two-sided p value of no difference, by itself.
    pub p: Option<f64>,
    /// The same after Holm's correction over `family` tests.
    pub p_adjusted: Option<f64>,
    /// All pairs of the variants that were scored alike: the best is known only after looking at all of them.
    pub family: u64,
    /// How it was compared.
    pub method: ComparisonMethod,
    /// The standard error that rows tell was multiplied by this, because the models of the folds share training rows (Nadeau and Bengio);
    /// 1 for a single fold, and where the method allows for it by itself.
    pub widened: f64,
    /// On how many rows each does better; `null` where rows were held out several times or belong to groups.
    pub wins: Option<WinShare>,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same for a person.
    pub sentence: String,
}

/// The best of several by a metric, and how far that may be trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BestOf {
    /// The metric.
    pub metric: String,
    /// The best by it.
    pub best: Rival,
    /// Of so many variants that were scored alike.
    pub of: u64,
    /// Its score, as `estimate` of the variant's metric.
    pub score: f64,
    /// How much better it looks than it may be expected to do, because it was chosen on the rows that it is scored on; not below 0.
    pub optimism: Option<f64>,
    /// The score less the optimism.
    pub honest: Option<f64>,
    /// The share of resamples in which it would have been chosen.
    pub chosen: Option<f64>,
    /// How many others are not told apart from it.
    pub level: u64,
    /// True if the choice is inside the noise: another is not told apart from it.
    pub inside_noise: bool,
    /// The variants within one standard error of it, itself among them, in the file's order: the simplest is a fair choice too.
    pub within_one_standard_error: Vec<Rival>,
    /// The same for a person.
    pub sentence: String,
}

/// A guess that ran beside variants.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BaselineSummary {
    /// `majority`, `stratified`, `mean` or `k_neighbors`.
    pub name: String,
    /// The stage that scored it.
    pub evaluation: String,
    /// The ids of the variants that it ran beside.
    pub variants: Vec<String>,
    /// Rows that were scored (over all folds of one repeat).
    pub rows: u64,
    /// What they were.
    #[serde(default)]
    pub scored_on: Option<ScoredOn>,
    /// By metric name.
    pub metrics: BTreeMap<String, MetricSummary>,
}

/// The best variant by a metric, against the guess beside it that scores best. It stands in no family of tests: guesses are no candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgainstBaseline {
    /// The metric.
    pub metric: String,
    /// The best variant by it.
    pub best: Rival,
    /// The name of the guess.
    pub baseline: String,
    /// Its score, as `estimate` of its metric.
    pub score: f64,
    /// The score of the variant less that of the guess.
    pub difference: f64,
    /// 95% interval of the difference; `null` where none can be told.
    pub ci95: Option<[f64; 2]>,
    /// Two-sided p value of no difference.
    pub p: Option<f64>,
    /// How the two were compared.
    pub method: ComparisonMethod,
    /// True if the variant is better: the difference is for the better and `p` at most 0.05.
    pub better: bool,
    /// The same for a person.
    pub sentence: String,
}

impl Summary {
    /// The guesses that ran beside an evaluated variant.
    pub fn baselines_of<'s>(&'s self, variant: &'s Rival) -> impl Iterator<Item = &'s BaselineSummary> {
        self.baselines.iter().filter(|guess| guess.is_beside(variant))
    }
}

impl BaselineSummary {
    /// True if it ran beside this evaluated variant.
    pub fn is_beside(&self, variant: &Rival) -> bool {
        self.evaluation == variant.evaluation && self.variants.contains(&variant.variant)
    }
}

impl AgainstBaseline {
    /// The verdict in a sentence; `best` is what the variant is called, if it has a name.
    pub fn told(&self, best: &str, higher_is_better: bool) -> String {
        let gap = gap(&self.metric, self.difference);
        let best = if best.is_empty() { "the model" } else { best };
        let guess = format!("the strongest baseline, {}", self.baseline);
        let Some(p) = self.p else {
            return format!("whether {best} beats {guess}, cannot be told: {gap} of {} between them", self.metric);
        };
        let interval = |ci| format!("95% interval {}, ", gap_interval(&self.metric, ci, higher_is_better));
        let evidence = self.ci95.map(interval).unwrap_or_default() + &p_words(p);
        let worse = p <= LEVEL && self.difference != 0.0 && (self.difference < 0.0) == higher_is_better;
        match (self.better, worse) {
            (true, _) => format!("{best} beats {guess}, by {gap} of {} ({evidence})", self.metric),
            (false, true) => {
                format!("{best} is worse than {guess}, by {gap} of {} ({evidence})", self.metric)
            }
            (false, false) => {
                format!("{best} is not told apart from {guess}, by {}: {gap} between them ({evidence})", self.metric)
            }
        }
    }
}

/// Two groups of variants that are not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotCompared {
    /// Variants that were scored alike.
    pub these: Vec<Rival>,
    /// Others, scored alike among themselves.
    pub those: Vec<Rival>,
    /// What differs.
    pub why: String,
}

/// True if a difference of the metric is told in points (hundredths).
pub fn in_points(metric: &str) -> bool {
    SHARES.iter().any(|share| metric.contains(share))
}

/// A difference of a metric in words, without its sign: `2.0 points`, `0.1500`, `no difference`.
pub fn gap(metric: &str, difference: f64) -> String {
    let size = difference.abs();
    match in_points(metric) {
        _ if size == 0.0 => "no difference".to_owned(),
        true if size < 0.0005 => "less than 0.1 points".to_owned(),
        true => format!("{:.1} points", 100.0 * size),
        false => plain(size),
    }
}

/// The interval of a difference, bounds in the unit of [`gap`], with the better side counted up: `0.4 to 1.9 points`.
pub fn gap_interval(metric: &str, [low, high]: [f64; 2], higher_is_better: bool) -> String {
    let (low, high) = if higher_is_better { (low, high) } else { (-high, -low) };
    match in_points(metric) {
        true => format!("{} to {} points", signed(100.0 * low, 1), signed(100.0 * high, 1)),
        false => format!("{} to {}", signed_plain(low), signed_plain(high)),
    }
}

/// A p value in words: `p = 0.03`, `p < 0.001`.
pub fn p_words(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p if p < 0.0995 => format!("p = {p:.3}"),
        p => format!("p = {:.2}", p.min(1.0)),
    }
}

fn signed(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let zero = !digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if value < 0.0 && !zero { format!("\u{2212}{digits}") } else { digits }
}

fn plain(size: f64) -> String {
    let decimals = match size {
        size if size < 10.0 => 4,
        size if size < 1000.0 => 2,
        _ => 1,
    };
    format!("{size:.decimals$}")
}

fn signed_plain(value: f64) -> String {
    let digits = plain(value.abs());
    let zero = !digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if value < 0.0 && !zero { format!("\u{2212}{digits}") } else { digits }
}

impl Comparison {
    /// What is behind the verdict: `95% interval 0.4 to 1.9 points, p = 0.003 after Holm’s correction over 6 pairs`.
    pub fn evidence(&self, higher_is_better: bool) -> String {
        let mut parts = Vec::new();
        parts.extend(self.ci95.map(|ci| format!("95% interval {}", gap_interval(&self.metric, ci, higher_is_better))));
        let corrected = match self.family {
            0 | 1 => String::new(),
            family => format!(" after Holm’s correction over {family} pairs"),
        };
        parts.extend(self.p_adjusted.map(|p| format!("{}{corrected}", p_words(p))));
        if parts.is_empty() { "nothing can be said about chance".to_owned() } else { parts.join(", ") }
    }

    /// The verdict in a sentence, with the names of both.
    pub fn told(&self, a: &str, b: &str, higher_is_better: bool) -> String {
        let (gap, evidence) = (gap(&self.metric, self.difference), self.evidence(higher_is_better));
        match self.verdict {
            Verdict::Better => format!("{a} beats {b} by {gap} of {} ({evidence})", self.metric),
            Verdict::Level => {
                format!("{a} and {b} are not told apart by {}: {gap} between them ({evidence})", self.metric)
            }
        }
    }
}

impl BestOf {
    /// What choosing has cost, in a sentence; `None` where there was no choice.
    pub fn told(&self) -> Option<String> {
        if self.of < 2 {
            return None;
        }
        let mut words = format!("the best of {} was chosen on the rows that it is scored on", self.of);
        if let (Some(optimism), Some(honest)) = (self.optimism, self.honest) {
            let cost = gap(&self.metric, optimism);
            let none = ["less", "no"].iter().any(|none| cost.starts_with(none))
                || plain(optimism).trim_matches(['0', '.']).is_empty();
            words.push_str(&match none {
                true => ", which hardly flatters it".to_owned(),
                false => format!(", which may be expected to flatter it by {cost}: {} is left", signed_plain(honest)),
            });
        }
        if self.inside_noise {
            let others = if self.level == 1 { "1 other is".to_owned() } else { format!("{} others are", self.level) };
            words.push_str(&format!("; the choice is inside the noise: {others} not told apart from it"));
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(difference: f64, ci95: [f64; 2], p: f64) -> Comparison {
        let rival = |variant: &str| Rival { variant: variant.into(), evaluation: "scores".into() };
        Comparison {
            metric: "f1_macro".into(),
            a: rival("a"),
            b: rival("b"),
            rows: 100,
            difference,
            ci95: Some(ci95),
            p: Some(p),
            p_adjusted: Some(p),
            family: 3,
            method: ComparisonMethod::PairedBootstrap,
            widened: 1.5,
            wins: None,
            verdict: if p <= LEVEL { Verdict::Better } else { Verdict::Level },
            sentence: String::new(),
        }
    }

    #[test]
    fn verdicts_read_well() {
        assert_eq!(
            comparison(0.0204, [0.011, 0.0304], 0.0002).told("both", "words", true),
            "both beats words by 2.0 points of f1_macro (95% interval 1.1 to 3.0 points, p < 0.001 after Holm’s correction \
             over 3 pairs)"
        );
        assert_eq!(
            comparison(0.0002, [-0.004, 0.0044], 0.85).told("a", "b", true),
            "a and b are not told apart by f1_macro: less than 0.1 points between them (95% interval −0.4 to 0.4 points, \
             p = 0.85 after Holm’s correction over 3 pairs)"
        );
        // less may be better: the interval counts what the first is better by
        let loss = Comparison { metric: "log_loss".into(), family: 1, ..comparison(-0.15, [-0.2, -0.1], 0.04) };
        assert_eq!(
            loss.told("a", "b", false),
            "a beats b by 0.1500 of log_loss (95% interval 0.1000 to 0.2000, p = 0.040)"
        );
        let bare = Comparison { ci95: None, p_adjusted: None, ..comparison(0.1, [0.0, 0.0], 0.5) };
        assert_eq!(bare.evidence(true), "nothing can be said about chance");
    }

    #[test]
    fn a_choice_tells_its_price() {
        let rival = Rival { variant: "a".into(), evaluation: "scores".into() };
        let best = BestOf {
            metric: "accuracy".into(),
            best: rival,
            of: 36,
            score: 0.58,
            optimism: Some(0.07),
            honest: Some(0.51),
            chosen: Some(0.2),
            level: 35,
            inside_noise: true,
            within_one_standard_error: vec![],
            sentence: String::new(),
        };
        assert_eq!(
            best.told().unwrap(),
            "the best of 36 was chosen on the rows that it is scored on, which may be expected to flatter it by 7.0 points: \
             0.5100 is left; the choice is inside the noise: 35 others are not told apart from it"
        );
        assert_eq!(BestOf { of: 1, ..best }.told(), None);
    }
}
