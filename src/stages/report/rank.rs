//! Which variant is best, by how much, and how sure may one be?

use std::cmp::Ordering;

use crate::ml::{METRICS, Metric};
use crate::record::{MetricSummary, Summary, VariantSummary};

use super::words::{Line, Span, counted, fixed, score, score_or_dash, text};

/// Metrics whose names hold one of these are shares, so a difference may be told in points (hundredths).
const SHARES: [&str; 5] = ["accuracy", "precision", "recall", "f1", "roc_auc"];

/// At most so many metrics have a column.
const COLUMNS: usize = 12;

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
    /// From 1; equal means share a place. `None` where the metric is undefined.
    pub(super) place: Option<usize>,
    /// For people.
    pub(super) name: String,
    /// The variant.
    pub(super) variant: &'a VariantSummary,
    /// The metric that ranks.
    pub(super) metric: Option<&'a MetricSummary>,
}

impl Ranked<'_> {
    /// The mean of the metric that ranks.
    pub(super) fn mean(&self) -> Option<f64> {
        self.metric.and_then(|m| m.mean).filter(|m| m.is_finite())
    }
}

/// All variants with scores, best first.
pub(super) struct Ranking<'a> {
    /// The metric that ranks; empty if nothing has scores.
    pub(super) metric: String,
    /// True if more of it is better.
    pub(super) higher_is_better: bool,
    /// Best first; those with an undefined metric last, in the file's order.
    pub(super) rows: Vec<Ranked<'a>>,
    /// Names of the variants that have no scores.
    pub(super) unfinished: Vec<String>,
    /// The metrics that have a column, the one that ranks first.
    pub(super) columns: Vec<String>,
    /// Metrics that found no room.
    pub(super) more_metrics: usize,
    /// True if the metric that was asked for is not among the scores.
    pub(super) fell_back: bool,
    /// True if none was asked for, and it is not accuracy.
    unasked: bool,
}

impl<'a> Ranking<'a> {
    /// Ranks the variants by `wanted` (accuracy where that is none), or by the first metric there is.
    pub(super) fn of(summary: &'a Summary, wanted: Option<&str>) -> Self {
        let scored = || summary.variants.iter().enumerate().filter(|(_, v)| !v.metrics.is_empty());
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
        let evaluations = summary.variants.windows(2).any(|pair| pair[0].evaluation != pair[1].evaluation);
        let mut rows: Vec<Ranked<'a>> = scored()
            .map(|(index, variant)| Ranked {
                index,
                place: None,
                name: name(variant, summary, evaluations),
                variant,
                metric: variant.metrics.get(&metric),
            })
            .collect();
        rows.sort_by(|a, b| better(a.mean(), b.mean(), higher_is_better));
        let means: Vec<Option<f64>> = rows.iter().map(Ranked::mean).collect();
        for row in &mut rows {
            row.place = row.mean().and_then(|mean| means.iter().position(|m| *m == Some(mean))).map(|at| at + 1);
        }
        let unfinished = summary.variants.iter().filter(|v| v.metrics.is_empty());
        let others = names.iter().filter(|name| **name != &metric).map(|name| (*name).clone());
        let mut columns: Vec<String> =
            std::iter::once(metric.clone()).filter(|m| !m.is_empty()).chain(others).collect();
        let more_metrics = columns.len().saturating_sub(COLUMNS);
        columns.truncate(COLUMNS);
        Ranking {
            fell_back: !metric.is_empty() && wanted.is_some_and(|wanted| metric != wanted),
            unasked: wanted.is_none() && metric != asked,
            metric,
            higher_is_better,
            rows,
            unfinished: unfinished.map(|v| name(v, summary, evaluations)).collect(),
            columns,
            more_metrics,
        }
    }

    /// The best value of a column, to be set off; `None` where fewer than two variants have one.
    pub(super) fn best_of(&self, column: &str) -> Option<f64> {
        let mut values: Vec<(Option<f64>, bool)> = self
            .rows
            .iter()
            .filter_map(|row| row.variant.metrics.get(column))
            .map(|m| (m.mean.filter(|x| x.is_finite()), m.higher_is_better))
            .collect();
        values.sort_by(|a, b| better(a.0, b.0, a.1));
        values.get(1)?.0?;
        values.first()?.0
    }

    /// The plain words at the top: what is best, by how much; then how sure one may be.
    pub(super) fn verdict(&self, folds: &[Option<FoldPrint>]) -> Vec<Line> {
        let (Some(best), next) = (self.rows.first(), self.rows.get(1)) else {
            return vec![vec![text("No variant was scored, so there is nothing to rank.")]];
        };
        let Some(mean) = best.mean() else {
            return vec![vec![
                text("The metric "),
                Span::Code(self.metric.clone()),
                text(" is undefined for every variant, so nothing can be ranked by it."),
            ]];
        };
        let print = folds.get(best.index).copied().flatten();
        let figure = Span::Strong(with_spread(mean, best.metric.and_then(|m| m.std)));
        let how = format!(" ({})", over_folds(best.metric, print));
        match next.and_then(|next| next.mean().map(|m| (next, m))) {
            None => {
                let who = match best.variant.label.is_empty() {
                    true => text("The pipeline"),
                    false => Span::Name(best.name.clone()),
                };
                // as they are spoken: "an F1", "an R2"
                let vowel = self.metric.starts_with(['a', 'e', 'i', 'o', 'u']) || ["f1", "r2"].contains(&self.spoken());
                let reaches = text(if vowel { " reaches an " } else { " reaches a " });
                let mut line = vec![who, reaches, Span::Code(self.metric.clone())];
                line.extend([text(" of "), figure, text(format!("{how}."))]);
                vec![line, sureness_of_one(best)]
            }
            Some((next, next_mean)) => {
                let level = mean == next_mean;
                let mut line = vec![Span::Name(best.name.clone())];
                if level {
                    line.extend([text(" and "), Span::Name(next.name.clone()), text(" are level at the top by ")]);
                } else {
                    line.push(text(" is best by "));
                }
                line.extend([Span::Code(self.metric.clone()), text(": "), figure, text(how)]);
                if !level {
                    let gap = self.gap((mean - next_mean).abs());
                    let side = if self.higher_is_better { "above" } else { "below" };
                    line.extend([text(", "), Span::Strong(gap), text(format!(" {side} the next, "))]);
                    line.push(Span::Name(next.name.clone()));
                    line.push(text(format!(" ({})", with_spread(next_mean, next.metric.and_then(|m| m.std)))));
                }
                line.push(text("."));
                let mut lines = vec![line, self.sureness(best, next, folds)];
                if self.unasked {
                    let metric = Span::Code(self.metric.clone());
                    let how = [Span::Code("metric".to_owned()), text(" of the report was not set, and ")];
                    lines.push(how.into_iter().chain([metric, text(" is the first that the scores have.")]).collect());
                }
                lines
            }
        }
    }

    /// How the metric's name begins.
    fn spoken(&self) -> &str {
        self.metric.split('_').next().unwrap_or_default()
    }

    /// A difference between two means in words.
    pub(super) fn gap(&self, difference: f64) -> String {
        let share = SHARES.iter().any(|share| self.metric.contains(share));
        match share {
            true if difference < 0.0005 => "less than 0.1 points".to_owned(),
            true => format!("{} points", fixed(100.0 * difference, 1)),
            false => score(difference),
        }
    }

    /// How sure one may be that the best is better than the next.
    fn sureness(&self, best: &Ranked<'_>, next: &Ranked<'_>, folds: &[Option<FoldPrint>]) -> Line {
        let mut words = String::new();
        let print = |row: &Ranked<'_>| folds.get(row.index).copied().flatten().map(|f| f.digest);
        match (print(best), print(next)) {
            (Some(a), Some(b)) if a == b => words.push_str(&self.wins(best, next)),
            (Some(_), Some(_)) => words.push_str(
                "The two were not scored on the same rows in the same folds, so the difference is only a hint. ",
            ),
            _ => {}
        }
        let interval = |row: &Ranked<'_>| row.metric.and_then(|m| m.ci95);
        match (interval(best), interval(next)) {
            (Some(a), Some(b)) => words.push_str(&format!(
                "The 95% intervals of the two means, {} and {}, {}. They are naive (Student’s t over folds that share \
                 training rows) and so too narrow.",
                range(a),
                range(b),
                if a[0] <= b[1] && b[0] <= a[1] { "overlap" } else { "do not overlap" }
            )),
            _ => words.push_str("With a single fold nothing can be said about the spread."),
        }
        words.push_str(&format!(
            " The best of {} was chosen on the folds it is scored on, which flatters it a little.",
            self.rows.len()
        ));
        vec![text(words)]
    }

    /// In how many folds the best is ahead of the next.
    fn wins(&self, best: &Ranked<'_>, next: &Ranked<'_>) -> String {
        let (Some(a), Some(b)) = (best.metric, next.metric) else { return String::new() };
        let pairs: Vec<(f64, f64)> = a.folds.iter().zip(&b.folds).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
        let ahead = pairs.iter().filter(|(a, b)| if self.higher_is_better { a > b } else { a < b }).count();
        let equal = pairs.iter().filter(|(a, b)| a == b).count();
        match (pairs.len(), equal) {
            (0, _) => String::new(),
            (n, 0) => format!("It is ahead in {ahead} of {}. ", counted(n as u64, "fold")),
            (n, equal) => format!("It is ahead in {ahead} of {}, level in {equal}. ", counted(n as u64, "fold")),
        }
    }
}

/// What may be said of a single variant's spread.
fn sureness_of_one(best: &Ranked<'_>) -> Line {
    vec![text(match best.metric.and_then(|m| m.ci95) {
        Some(interval) => format!(
            "The 95% interval of the mean is {}; it is naive (Student’s t over folds that share training rows) and so too \
             narrow. There is no other variant to compare with.",
            range(interval)
        ),
        None => "With a single fold nothing can be said about the spread. There is no other variant to compare with."
            .to_owned(),
    })]
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

/// `0.8135 ± 0.0062`, or the mean alone where there is no spread.
pub(super) fn with_spread(mean: f64, std: Option<f64>) -> String {
    match std {
        Some(std) => format!("{} ± {}", score(mean), score(std)),
        None => score(mean),
    }
}

/// An interval as numbers.
pub(super) fn range(interval: [f64; 2]) -> String {
    format!("{} to {}", score_or_dash(Some(interval[0])), score_or_dash(Some(interval[1])))
}

/// What a mean was taken over.
pub(super) fn over_folds(metric: Option<&MetricSummary>, print: Option<FoldPrint>) -> String {
    let folds = metric.map_or(0, |m| m.folds.len() as u64);
    let undefined = metric.map_or(0, |m| m.folds.iter().filter(|f| f.is_none()).count());
    let repeats = print.map_or(1, |p| p.repeats).max(1);
    let mut words = match folds {
        0 | 1 => "on one fold".to_owned(),
        n if repeats > 1 && n % repeats == 0 => {
            format!("mean ± standard deviation over {n} folds, {} in each of {repeats} repeats", n / repeats)
        }
        n => format!("mean ± standard deviation over {n} folds"),
    };
    if undefined > 0 {
        words.push_str(&format!(", undefined in {undefined} of them"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::example::{metric, summary, variant};
    use super::super::words::plain;
    use super::*;

    fn print(byte: u8) -> Option<FoldPrint> {
        Some(FoldPrint { digest: [byte; 32], repeats: 1 })
    }

    fn verdict(summary: &Summary, wanted: &str, folds: &[Option<FoldPrint>]) -> Vec<String> {
        Ranking::of(summary, Some(wanted)).verdict(folds).iter().map(plain).collect()
    }

    #[test]
    fn the_best_is_named_with_its_lead_and_its_doubts() {
        let run = summary(vec![
            variant("words", &[0.79, 0.80, 0.79]),
            variant("both", &[0.81, 0.82, 0.81]),
            variant("meaning", &[0.77, 0.78, 0.78]),
        ]);
        let ranking = Ranking::of(&run, Some("accuracy"));
        let places: Vec<_> = ranking.rows.iter().map(|r| (r.place, r.name.as_str())).collect();
        assert_eq!(places, [(Some(1), "both"), (Some(2), "words"), (Some(3), "meaning")]);
        let words = verdict(&run, "accuracy", &[print(1), print(1), print(1)]);
        assert_eq!(
            words[0],
            "both is best by accuracy: 0.8133 ± 0.0058 (mean ± standard deviation over 3 folds), 2.0 points above the next, \
             words (0.7933 ± 0.0058)."
        );
        assert!(words[1].starts_with("It is ahead in 3 of 3 folds. The 95% intervals"), "{}", words[1]);
        assert!(words[1].contains("overlap") && words[1].contains("naive"), "{}", words[1]);
        let other_folds = verdict(&run, "accuracy", &[print(1), print(2), print(1)]);
        assert!(other_folds[1].contains("not scored on the same rows"), "{}", other_folds[1]);
        assert_eq!(
            Ranking::of(&run, None).verdict(&[]).len(),
            2,
            "accuracy is what is ranked by unless something is said"
        );
    }

    #[test]
    fn what_ranks_is_told_where_nothing_was_asked_for() {
        let mut run = summary(vec![variant("ridge", &[0.5, 0.6]), variant("svr", &[0.4, 0.5])]);
        for one in &mut run.variants {
            let accuracy = one.metrics.remove("accuracy").unwrap();
            one.metrics.insert("r2".to_owned(), accuracy);
        }
        let ranking = Ranking::of(&run, None);
        assert!(!ranking.fell_back && ranking.metric == "r2");
        let words: Vec<String> = ranking.verdict(&[]).iter().map(plain).collect();
        assert_eq!(words[2], "metric of the report was not set, and r2 is the first that the scores have.");
    }

    #[test]
    fn intervals_apart_do_not_overlap_and_ties_are_level() {
        let apart = summary(vec![variant("a", &[0.9, 0.901, 0.899]), variant("b", &[0.5, 0.501, 0.499])]);
        assert!(verdict(&apart, "accuracy", &[print(1), print(1)])[1].contains("do not overlap"));
        let level = summary(vec![variant("a", &[0.5, 0.7]), variant("b", &[0.7, 0.5])]);
        let words = verdict(&level, "accuracy", &[print(1), print(1)]);
        assert!(words[0].starts_with("a and b are level at the top by accuracy"), "{}", words[0]);
        assert!(words[1].starts_with("It is ahead in 1 of 2 folds."), "{}", words[1]);
        assert_eq!(
            Ranking::of(&level, Some("accuracy")).rows.iter().map(|r| r.place).collect::<Vec<_>>(),
            [Some(1); 2]
        );
    }

    #[test]
    fn less_may_be_better() {
        let mut run = summary(vec![variant("a", &[0.5]), variant("b", &[0.5])]);
        run.variants[0].metrics.insert("log_loss".into(), metric(&[0.6, 0.7], false));
        run.variants[1].metrics.insert("log_loss".into(), metric(&[0.4, 0.5], false));
        let words = verdict(&run, "log_loss", &[]);
        assert!(words[0].starts_with("b is best by log_loss: 0.4500"), "{}", words[0]);
        assert!(words[0].contains("0.2000 below the next, a"), "{}", words[0]);
    }

    #[test]
    fn one_none_and_undefined_are_said_plainly() {
        assert_eq!(
            verdict(&summary(vec![]), "accuracy", &[])[0],
            "No variant was scored, so there is nothing to rank."
        );
        let one = summary(vec![variant("", &[0.75])]);
        let words = verdict(&one, "accuracy", &[print(1)]);
        assert_eq!(words[0], "The pipeline reaches an accuracy of 0.7500 (on one fold).");
        assert!(words[1].contains("single fold"), "{}", words[1]);
        let mut undefined = summary(vec![variant("a", &[0.5])]);
        undefined.variants[0].metrics.insert("roc_auc".into(), MetricSummary { mean: None, ..metric(&[0.5], true) });
        assert!(verdict(&undefined, "roc_auc", &[])[0].contains("undefined for every variant"));
        assert!(Ranking::of(&undefined, Some("f1_macro")).fell_back);
        assert_eq!(Ranking::of(&undefined, Some("f1_macro")).metric, "accuracy");
        assert_eq!(Ranking::of(&undefined, Some("roc_auc")).columns, ["roc_auc", "accuracy"]);
    }

    #[test]
    fn unfinished_variants_are_not_ranked() {
        let mut run = summary(vec![variant("a", &[0.5]), variant("b", &[0.6])]);
        run.variants[1].metrics.clear();
        let ranking = Ranking::of(&run, Some("accuracy"));
        assert_eq!((ranking.rows.len(), ranking.unfinished), (1, vec!["b".to_owned()]));
    }
}
