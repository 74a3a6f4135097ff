//! Which variant is best, by how much, and is it real?

use std::cmp::Ordering;

use crate::ml::{METRICS, Metric};
use crate::record::{
    AgainstBaseline, BaselineSummary, BestOf, Comparison, ComparisonMethod, IntervalMethod, MetricSummary, Rival,
    Summary, VariantSummary, Verdict, gap, gap_interval,
};

use super::words::{Line, Span, count, counted, fixed, score, score_or_dash, text};

/// At most so many metrics have a column.
const COLUMNS: usize = 12;

/// So many variants that are not told apart from the best are named.
const NAMED: usize = 4;

/// What tells whether two variants were scored alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoldPrint {
    /// Digest of which row was held out in which fold.
    pub(super) digest: [u8; 32],
    /// How often each row was held out.
    pub(super) repeats: u64,
}

/// A variant in its place.
pub(super) struct Ranked<'a> {
    /// Index into `summary.variants`.
    pub(super) index: usize,
    /// From 1; equal means share a place. `None` where the metric is undefined, and for those with fewer training rows.
    pub(super) place: Option<usize>,
    /// True if it trains on fewer rows than another point of its learning curve, and so is not ranked.
    pub(super) fewer_rows: bool,
    /// For people.
    pub(super) name: String,
    /// The variant.
    pub(super) variant: &'a VariantSummary,
    /// The metric that ranks.
    pub(super) metric: Option<&'a MetricSummary>,
    /// The best by that metric, against this one.
    pub(super) against: Option<&'a Comparison>,
}

impl Ranked<'_> {
    /// The score by the metric that ranks.
    pub(super) fn score(&self) -> Option<f64> {
        self.metric.and_then(MetricSummary::score)
    }
}

/// Variants with scores that were scored alike, best first.
pub(super) struct Ranking<'a> {
    /// The metric that ranks; empty if nothing has scores.
    pub(super) metric: String,
    /// True if more of it is better.
    pub(super) higher_is_better: bool,
    /// Best first; those with an undefined metric after them, in the file's order; then those that train on fewer rows, alike.
    pub(super) rows: Vec<Ranked<'a>>,
    /// Names of the variants that have no scores.
    pub(super) unfinished: Vec<String>,
    /// The metrics that have a column, the one that ranks first.
    pub(super) columns: Vec<String>,
    /// Metrics that found no room.
    pub(super) more_metrics: usize,
    /// True if the metric that was asked for is not among the scores.
    pub(super) fell_back: bool,
    /// What the best of them is worth.
    best: Option<&'a BestOf>,
    /// Guesses that ran beside the best of them, the strongest first.
    pub(super) guesses: Vec<&'a BaselineSummary>,
    /// The best of them against the strongest guess.
    guess: Option<&'a AgainstBaseline>,
    /// True if none was asked for, and it is not accuracy.
    unasked: bool,
    /// Why these are not ranked with the first ones; empty for the first.
    pub(super) apart: String,
}

impl<'a> Ranking<'a> {
    /// Ranks the variants by `wanted` (accuracy where that is none), or by the first metric there is: those that were scored alike
    /// together, the most first.
    pub(super) fn all(summary: &'a Summary, wanted: Option<&str>) -> Vec<Self> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, variant) in summary.variants.iter().enumerate().filter(|(_, v)| !v.metrics.is_empty()) {
            let alike = |group: &&mut Vec<usize>| summary.variants[group[0]].scored_on == variant.scored_on;
            match groups.iter_mut().find(alike) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        if groups.is_empty() {
            groups.push(Vec::new());
        }
        let mut all: Vec<Self> = groups.iter().map(|group| Ranking::of(summary, group, wanted)).collect();
        if let Some((first, others)) = all.split_first_mut() {
            let unfinished = summary.variants.iter().filter(|v| v.metrics.is_empty());
            first.unfinished = unfinished.map(|v| name(v, summary, several_evaluations(summary))).collect();
            for other in others {
                other.apart = why_apart(first, other);
            }
        }
        all
    }

    fn of(summary: &'a Summary, group: &[usize], wanted: Option<&str>) -> Self {
        let scored = || group.iter().map(|&index| (index, &summary.variants[index]));
        let mut names: Vec<&String> = scored().flat_map(|(_, v)| v.metrics.keys()).collect();
        let listed = |name: &str| METRICS.iter().position(|(known, ..)| *known == name).unwrap_or(METRICS.len());
        names.sort_by_key(|name| (listed(name), *name));
        names.dedup();
        let usual = Metric::Accuracy.name();
        let asked = wanted.unwrap_or(&usual);
        let metric = match names.iter().find(|name| name.as_str() == asked) {
            Some(name) => (*name).clone(),
            None => names.first().map(|name| (*name).clone()).unwrap_or_default(),
        };
        let higher_is_better = scored().find_map(|(_, v)| v.metrics.get(&metric)).is_none_or(|m| m.higher_is_better);
        let evaluations = several_evaluations(summary);
        let mut rows: Vec<Ranked<'a>> = scored()
            .map(|(index, variant)| Ranked {
                index,
                place: None,
                fewer_rows: summary.has_fewer_rows(variant),
                name: name(variant, summary, evaluations),
                variant,
                metric: variant.metrics.get(&metric),
                against: None,
            })
            .collect();
        let order = |row: &Ranked<'_>| (row.fewer_rows, row.score());
        rows.sort_by(|a, b| {
            let ((a_fewer, a), (b_fewer, b)) = (order(a), order(b));
            a_fewer.cmp(&b_fewer).then_with(|| better(a, b, higher_is_better))
        });
        let scores: Vec<Option<f64>> = rows.iter().filter(|row| !row.fewer_rows).map(Ranked::score).collect();
        let best = rows.first().map(|row| rival(row.variant));
        for row in rows.iter_mut().filter(|row| !row.fewer_rows) {
            row.place = row.score().and_then(|own| scores.iter().position(|s| *s == Some(own))).map(|at| at + 1);
            let this = rival(row.variant);
            let of_pair = |c: &&Comparison| c.metric == metric && Some(&c.a) == best.as_ref() && c.b == this;
            row.against = summary.comparisons.iter().find(of_pair);
        }
        let of_guess = |guess: &BaselineSummary| guess.metrics.get(&metric).and_then(MetricSummary::score);
        let mut guesses: Vec<&BaselineSummary> =
            summary.baselines.iter().filter(|guess| best.as_ref().is_some_and(|best| guess.is_beside(best))).collect();
        guesses.sort_by(|a, b| better(of_guess(a), of_guess(b), higher_is_better));
        let others = names.iter().filter(|name| **name != &metric).map(|name| (*name).clone());
        let mut columns: Vec<String> =
            std::iter::once(metric.clone()).filter(|m| !m.is_empty()).chain(others).collect();
        let more_metrics = columns.len().saturating_sub(COLUMNS);
        columns.truncate(COLUMNS);
        Ranking {
            fell_back: !metric.is_empty() && wanted.is_some_and(|wanted| metric != wanted),
            unasked: wanted.is_none() && metric != asked,
            best: summary.best.iter().find(|of| of.metric == metric && Some(&of.best) == best.as_ref()),
            guesses,
            guess: summary.against_baselines.iter().find(|of| of.metric == metric && Some(&of.best) == best.as_ref()),
            metric,
            higher_is_better,
            rows,
            unfinished: Vec::new(),
            columns,
            more_metrics,
            apart: String::new(),
        }
    }

    /// The best value of a column, to be set off; `None` where fewer than two variants that are ranked have one.
    pub(super) fn best_of(&self, column: &str) -> Option<f64> {
        let mut values: Vec<(Option<f64>, bool)> = self
            .rows
            .iter()
            .filter(|row| !row.fewer_rows)
            .filter_map(|row| row.variant.metrics.get(column))
            .map(|m| (m.score(), m.higher_is_better))
            .collect();
        values.sort_by(|a, b| better(a.0, b.0, a.1));
        values.get(1)?.0?;
        values.first()?.0
    }

    /// The plain words at the top: what is best, by how much; whether that is real; and what choosing has cost.
    pub(super) fn verdict(&self, folds: &[Option<FoldPrint>]) -> Vec<Line> {
        let next = self.rows.get(1).filter(|next| !next.fewer_rows);
        let Some(best) = self.rows.first() else {
            return vec![vec![text("No variant was scored, so there is nothing to rank.")]];
        };
        let Some(top) = best.score() else {
            return vec![vec![
                text("The metric "),
                Span::Code(self.metric.clone()),
                text(" is undefined for every variant, so nothing can be ranked by it."),
            ]];
        };
        let print = folds.get(best.index).copied().flatten();
        let figure = Span::Strong(score(top));
        let how = format!(" ({})", measured(&self.metric, best.metric, print));
        let mut lines = match next.and_then(|next| next.score().map(|s| (next, s))) {
            None => {
                let who = match best.variant.label.is_empty() {
                    true => text("The pipeline"),
                    false => Span::Name(best.name.clone()),
                };
                // as they are spoken: "an F1", "an R2"
                let vowel = self.metric.starts_with(['a', 'e', 'i', 'o', 'u']) || ["f1", "r2"].contains(&self.spoken());
                let reaches = text(if vowel { " reaches an " } else { " reaches a " });
                let mut line = vec![who, reaches, Span::Code(self.metric.clone())];
                line.extend([text(" of "), figure, text(format!("{how}. There is no other variant to compare with."))]);
                std::iter::once(line).chain(self.smaller()).collect()
            }
            Some((next, behind)) => {
                let level = top == behind;
                let mut line = vec![Span::Name(best.name.clone())];
                if level {
                    line.extend([text(" and "), Span::Name(next.name.clone()), text(" are level at the top by ")]);
                } else {
                    line.push(text(" is best by "));
                }
                line.extend([Span::Code(self.metric.clone()), text(": "), figure, text(how)]);
                if !level {
                    let difference = next.against.map_or(top - behind, |against| against.difference);
                    let side = if self.higher_is_better { "above" } else { "below" };
                    let gap = Span::Strong(gap(&self.metric, difference));
                    line.extend([text(", "), gap, text(format!(" {side} the next, "))]);
                    line.push(Span::Name(next.name.clone()));
                    line.push(text(format!(" ({})", score(behind))));
                }
                line.push(text("."));
                let mut lines = vec![line, self.reality(next)];
                lines.extend(self.field());
                lines.extend(self.price());
                lines.extend(self.near());
                lines.extend(self.smaller());
                lines
            }
        };
        if let Some(guess) = self.guess {
            let mut words = guess.told("it", self.higher_is_better);
            // one more sentence, so it begins with a capital
            words.replace_range(..1, &words.chars().take(1).collect::<String>().to_uppercase());
            lines.push(vec![text(words + ".")]);
        }
        if self.unasked {
            let metric = Span::Code(self.metric.clone());
            let how = [Span::Code("metric".to_owned()), text(" of the report was not set, and ")];
            lines.push(how.into_iter().chain([metric, text(" is the first that the scores have.")]).collect());
        }
        lines
    }

    /// What the intervals of distances do not know, where several pairs were looked at.
    pub(super) fn family(&self) -> String {
        match self.rows.iter().find_map(|row| row.against).map_or(0, |against| against.family) {
            0 | 1 => String::new(),
            family => {
                let pairs = count(family);
                format!(
                    " A distance has the interval of its own pair; the verdict is corrected (Holm) for all {pairs} pairs."
                )
            }
        }
    }

    /// How the metric's name begins.
    fn spoken(&self) -> &str {
        self.metric.split('_').next().unwrap_or_default()
    }

    /// Is the lead over the next real?
    fn reality(&self, next: &Ranked<'_>) -> Line {
        let Some(against) = next.against else {
            return vec![text("Whether the lead is real cannot be told.")];
        };
        let answer = match against.verdict {
            Verdict::Better => "The lead is real",
            Verdict::Level if against.difference == 0.0 => "There is no lead",
            Verdict::Level => "The lead may be chance",
        };
        let evidence = against.evidence(self.higher_is_better);
        let mut words = format!(": {evidence}, by {}.", method(against.method));
        if let Some(wins) = against.wins {
            words.push_str(&format!(
                " On the {} where one of the two does better, it is the first on {}% (95% interval {}% to {}%).",
                counted(wins.a + wins.b, "row"),
                fixed(100.0 * wins.share, 0),
                fixed(100.0 * wins.ci95[0], 0),
                fixed(100.0 * wins.ci95[1], 0)
            ));
        }
        words.push_str(match against.widened > 1.0 {
            true => " Interval and p allow for the training rows that folds share; repeated folds would tell more.",
            false if against.method == ComparisonMethod::CorrectedT => "",
            false if against.method == ComparisonMethod::FiveByTwoF => "",
            false if against.method == ComparisonMethod::PairedBootstrapAndDraws => {
                " That is about the mean over draws of the training rows, on new rows."
            }
            false => " That is about the models as they were fitted, on new rows.",
        });
        vec![Span::Strong(answer.to_owned()), text(words)]
    }

    /// How the best stands against all others, where there are several.
    fn field(&self) -> Option<Line> {
        let against: Vec<&Ranked<'_>> = self.rows.iter().filter(|row| row.against.is_some()).collect();
        if against.len() < 2 {
            return None;
        }
        let level = |row: &&&Ranked<'_>| row.against.is_some_and(|against| against.verdict == Verdict::Level);
        let level: Vec<&&Ranked<'_>> = against.iter().filter(level).collect();
        let beaten = against.len() - level.len();
        let beaten = match beaten {
            0 => "none".to_owned(),
            all if all == against.len() => "all".to_owned(),
            some => count(some as u64),
        };
        let mut line = vec![text(format!("Of {} others it beats {beaten}", count(against.len() as u64)))];
        for (at, row) in level.iter().take(NAMED).enumerate() {
            line.extend([
                text(if at == 0 { "; not told apart from it: " } else { ", " }),
                Span::Name(row.name.clone()),
            ]);
        }
        let more = level.len().saturating_sub(NAMED);
        line.push(text(if more > 0 { format!(" and {more} more.") } else { ".".to_owned() }));
        Some(line)
    }

    /// What choosing the best has cost.
    fn price(&self) -> Option<Line> {
        let mut words = self.best?.told()?;
        // one more sentence, so it begins with a capital
        words.replace_range(..1, &words.chars().take(1).collect::<String>().to_uppercase());
        Some(vec![text(words + ".")])
    }

    /// Which others are within one standard error of the best.
    fn near(&self) -> Option<Line> {
        let best = self.best?;
        let near = |row: &&Ranked<'_>| {
            let this = rival(row.variant);
            this != best.best && best.within_one_standard_error.contains(&this)
        };
        let near: Vec<&Ranked<'_>> = self.rows.iter().filter(near).collect();
        let mut line = Vec::new();
        for (at, row) in near.iter().take(NAMED).enumerate() {
            let before = if at == 0 { "Within one standard error of the best: " } else { ", " };
            line.extend([text(before), Span::Name(row.name.clone())]);
        }
        let more = near.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        line.push(text(more + "; the simplest of them all is a fair choice too."));
        (!near.is_empty()).then_some(line)
    }

    /// How many are not ranked, because they train on fewer rows.
    fn smaller(&self) -> Option<Line> {
        let smaller = self.rows.iter().filter(|row| row.fewer_rows).count() as u64;
        let are = if smaller == 1 { "is" } else { "are" };
        let words = format!("{} on fewer rows {are} not ranked: see the learning curves.", counted(smaller, "variant"));
        (smaller > 0).then(|| vec![text(words)])
    }

    /// A variant's distance from the best, with the verdict: `−2.0 points (−3.0 to −1.1), worse`.
    pub(super) fn distance(&self, row: &Ranked<'_>) -> String {
        if row.fewer_rows {
            return "fewer training rows".to_owned();
        }
        let Some(against) = row.against else {
            return if row.place == Some(1) { "best".to_owned() } else { "–".to_owned() };
        };
        let verdict = match against.verdict {
            Verdict::Better => "worse",
            Verdict::Level => "level",
        };
        // the first less the other is how far the other is behind
        let ahead = if self.higher_is_better { against.difference } else { -against.difference };
        let gap = gap(&self.metric, against.difference);
        let gap = if ahead > 0.0 { format!("{gap} behind") } else { gap };
        let interval = against.ci95.map(|ci| format!(" ({})", gap_interval(&self.metric, ci, self.higher_is_better)));
        format!("{gap}{}: {verdict}", interval.unwrap_or_default())
    }
}

fn several_evaluations(summary: &Summary) -> bool {
    summary.variants.windows(2).any(|pair| pair[0].evaluation != pair[1].evaluation)
}

fn rival(variant: &VariantSummary) -> Rival {
    Rival { variant: variant.id.clone(), evaluation: variant.evaluation.clone() }
}

/// What keeps two groups apart.
fn why_apart(first: &Ranking<'_>, other: &Ranking<'_>) -> String {
    let rows = |ranking: &Ranking<'_>| {
        ranking.rows.first().and_then(|row| row.variant.scored_on.as_ref()).map(|on| on.rows.clone())
    };
    match rows(first) == rows(other) {
        true => "scored on the same rows in other folds, and so not ranked with the others".to_owned(),
        false => "scored on other rows, or rows with other labels, and so not ranked with the others".to_owned(),
    }
}

/// How two variants were compared, in words.
fn method(method: ComparisonMethod) -> &'static str {
    match method {
        ComparisonMethod::McnemarMidP => "McNemar’s test (mid-p) and a paired bootstrap over rows",
        ComparisonMethod::PairedBootstrap => "a paired bootstrap over rows",
        ComparisonMethod::PairedBootstrapAndDraws => {
            "a paired bootstrap over rows and the spread between draws of training rows"
        }
        ComparisonMethod::CorrectedT => "the corrected resampled t over repeated folds",
        ComparisonMethod::FiveByTwoF => "the combined 5×2 F test",
    }
}

/// How an interval was made, in words.
pub(super) fn interval_method(method: IntervalMethod) -> &'static str {
    match method {
        IntervalMethod::Wilson => "Wilson’s",
        IntervalMethod::Bootstrap => "bootstrap over rows",
        IntervalMethod::BootstrapAndDraws => "bootstrap over rows and draws of training rows",
        IntervalMethod::CorrectedT => "corrected resampled t",
    }
}

/// A variant's name for people.
pub(super) fn name(variant: &VariantSummary, summary: &Summary, evaluations: bool) -> String {
    match (variant.label.as_str(), evaluations) {
        ("", true) => variant.evaluation.clone(),
        ("", false) if summary.variants.len() == 1 => summary.name.clone(),
        ("", false) => variant.id.clone(),
        (label, true) => format!("{label} · {}", variant.evaluation),
        (label, false) => label.to_owned(),
    }
}

/// The better first; undefined ones last.
fn better(a: Option<f64>, b: Option<f64>, higher_is_better: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if higher_is_better => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// `0.8135 (0.8060 to 0.8205)`, or the score alone where there is no interval.
pub(super) fn with_interval(metric: &MetricSummary) -> String {
    match (metric.score(), metric.ci95) {
        (Some(value), Some(interval)) => format!("{} ({})", score(value), range(interval)),
        (value, _) => score_or_dash(value),
    }
}

/// An interval as numbers.
pub(super) fn range(interval: [f64; 2]) -> String {
    format!("{} to {}", score_or_dash(Some(interval[0])), score_or_dash(Some(interval[1])))
}

/// The interval of a score, and what the score was taken over.
fn measured(name: &str, metric: Option<&MetricSummary>, print: Option<FoldPrint>) -> String {
    let folds = over_folds(name, metric, print);
    let interval = metric.and_then(|m| Some((m.ci95?, m.ci95_method)));
    match interval {
        Some((interval, method)) => {
            let method = method.map(|method| format!(", {}", interval_method(method))).unwrap_or_default();
            format!("95% interval {}{method}; {folds}", range(interval))
        }
        None => folds,
    }
}

/// What a score was taken over.
fn over_folds(name: &str, metric: Option<&MetricSummary>, print: Option<FoldPrint>) -> String {
    let folds = metric.map_or(0, |m| m.folds.len() as u64);
    let undefined = metric.map_or(0, |m| m.folds.iter().filter(|f| f.is_none()).count());
    let repeats = print.map_or(1, |p| p.repeats).max(1);
    let pooled = Metric::named(name).is_some_and(Metric::pooled) && metric.is_some_and(|m| m.estimate.is_some());
    let mut words = match folds {
        0 | 1 => "on one fold".to_owned(),
        n if repeats == n => format!("mean over {n} draws of the training rows"),
        n if repeats > 1 && n % repeats == 0 => {
            format!("mean over {n} folds, {} in each of {repeats} repeats", n / repeats)
        }
        n if pooled => format!("over the rows of {n} folds"),
        n => format!("mean over {n} folds"),
    };
    if undefined > 0 && folds > 1 {
        let which = if undefined as u64 == folds { "all".to_owned() } else { undefined.to_string() };
        words.push_str(&format!(", undefined in {which} of them"));
    }
    words
}

/// What the scores of a table were taken over.
pub(super) fn over_all(ranking: &Ranking<'_>) -> String {
    let metric = ranking.rows.first().and_then(|row| row.metric);
    let method = metric.and_then(|m| m.ci95_method);
    match metric.map_or(0, |m| m.folds.len()) {
        0 | 1 => "on one fold".to_owned(),
        n if method == Some(IntervalMethod::CorrectedT) => format!("means over {n} folds"),
        n => format!(
            "over the held-out rows of all {n} folds (areas under curves and correlations: the mean of the folds)"
        ),
    }
}

#[cfg(test)]
mod tests;
