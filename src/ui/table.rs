//! What came out, in a few lines? The variants ranked, what is known of them, and what ran.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{count, duration};
use crate::ml::METRICS;
use crate::problem::visible;
use crate::record::{Comparison, MetricSummary, Outcome, Rival, Summary, UnitSummary, VariantSummary, Verdict, gap};

/// A name is not cut below so many columns.
const NAME: usize = 16;

/// The table of variants, best first by the metric that the report ranks by, else by the first, as wide as the terminal at most; what a reader should know of it; and a line
/// on what ran.
pub fn summary(summary: &Summary, width: Option<usize>) -> String {
    let mut text = String::new();
    let metrics = metric_names(summary);
    if let Some(metric) = metrics.first() {
        for (at, group) in groups(summary).into_iter().enumerate() {
            if at > 0 {
                text.push_str("\nscored on other rows or in other folds, and so not ranked with the others:\n");
            }
            text.push_str(&variants(summary, group, &metrics, width.unwrap_or(usize::MAX)));
        }
        text.push_str(&legend(summary, metric));
        text.push_str(&baselines(summary, metric));
        text.push('\n');
    }
    let totals = &summary.totals;
    let mut parts = vec![format!("{} ran", count(totals.ran)), format!("{} reused", count(totals.reused))];
    for (number, what) in [(totals.failed, "failed"), (totals.skipped, "not run")] {
        if number > 0 {
            parts.push(format!("{} {what}", count(number)));
        }
    }
    text.push_str(&format!("{} in {}", parts.join(", "), duration(totals.seconds)));
    if let Some(longest) = longest(summary) {
        text.push_str(&format!(" ({longest})"));
    }
    text.push('\n');
    if let Some(known) = metrics.first().and_then(|metric| worth_knowing(summary, metric)) {
        text.push_str(&format!("note: {}\n", visible(&known)));
    }
    text
}

/// The stage that took most of the time, if it was most.
fn longest(summary: &Summary) -> Option<String> {
    let ran = |unit: &&UnitSummary| unit.outcome == Outcome::Ran;
    let unit = summary.units.iter().filter(ran).max_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    (unit.seconds > 1.0).then(|| format!("longest: {}, {}", unit.stage, duration(unit.seconds)))
}

/// All metrics, in the order in which they are listed; the first ranks.
fn metric_names(summary: &Summary) -> Vec<String> {
    let listed = |name: &str| METRICS.iter().position(|(known, ..)| *known == name).unwrap_or(METRICS.len());
    let mut names: Vec<String> = summary.variants.iter().flat_map(|v| v.metrics.keys().cloned()).collect();
    let asked = |name: &String| summary.ranked_by.as_ref() == Some(name);
    names.sort_by_key(|name| (!asked(name), listed(name), name.clone()));
    names.dedup();
    names
}

/// Variants that were scored alike, the most first; those without scores stand with the first.
fn groups(summary: &Summary) -> Vec<Vec<&VariantSummary>> {
    let mut all: Vec<Vec<&VariantSummary>> = Vec::new();
    for variant in summary.variants.iter().filter(|variant| !variant.metrics.is_empty()) {
        match all.iter_mut().find(|group| group[0].scored_on == variant.scored_on) {
            Some(group) => group.push(variant),
            None => all.push(vec![variant]),
        }
    }
    all.sort_by_key(|group| std::cmp::Reverse(group.len()));
    if let Some(first) = all.first_mut() {
        first.extend(summary.variants.iter().filter(|variant| variant.metrics.is_empty()));
    }
    all
}

/// A column, and whether it may go where there is no room.
struct Column {
    cells: Vec<String>,
    /// The higher, the sooner it goes.
    spare: usize,
}

fn variants(summary: &Summary, mut ranked: Vec<&VariantSummary>, metrics: &[String], width: usize) -> String {
    let metric = &metrics[0];
    let value = |variant: &&VariantSummary| {
        let found = variant.metrics.get(metric);
        let value = found.and_then(|m| m.score().map(|score| if m.higher_is_better { score } else { -score }));
        value.unwrap_or(f64::NEG_INFINITY)
    };
    ranked.sort_by(|a, b| {
        let fewer_rows = summary.has_fewer_rows(a).cmp(&summary.has_fewer_rows(b));
        fewer_rows.then_with(|| value(b).total_cmp(&value(a)))
    });
    let column = |title: &str, spare, cell: &dyn Fn(&VariantSummary) -> String| {
        let cells = ranked.iter().map(|variant| cell(variant));
        Column { cells: std::iter::once(title.to_owned()).chain(cells).collect(), spare }
    };
    let mut columns = vec![
        column("variant", 0, &|variant| name(summary, variant)),
        column(metric, 0, &|variant| variant.metrics.get(metric).map_or_else(|| "–".to_owned(), cell)),
    ];
    if ranked.len() > 1 {
        let best = ranked.first().map(|variant| rival(variant));
        columns.push(column("to the best", 0, &|variant| distance(summary, variant, metric, best.as_ref())));
    }
    for (at, other) in metrics.iter().enumerate().skip(1) {
        let score = |variant: &VariantSummary| variant.metrics.get(other).and_then(MetricSummary::score);
        columns.push(column(other, at + 2, &|variant| score(variant).map_or_else(|| "–".to_owned(), figure)));
    }
    columns.push(column("work", 1, &|variant| work(summary, variant)));
    columns.push(column("reused", 2, &|variant| reused(summary, variant)));
    let left_out = fit(&mut columns, width);
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let rows: Vec<Vec<String>> =
        (0..rows).map(|row| columns.iter().map(|column| column.cells[row].clone()).collect()).collect();
    let mut text = align(&rows);
    if left_out > 0 {
        text.push_str(&format!("({left_out} more in summary.json)\n"));
    }
    text
}

/// Leaves out spare columns, then cuts names, until the table is no wider; how many metrics were left out.
fn fit(columns: &mut Vec<Column>, width: usize) -> usize {
    let wide = |column: &Column| column.cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
    let all = |columns: &[Column]| columns.iter().map(|column| wide(column) + 3).sum::<usize>().saturating_sub(3);
    let mut left_out = 0;
    while all(columns) > width {
        let last = columns.iter().enumerate().filter(|(_, column)| column.spare > 0).max_by_key(|(_, c)| c.spare);
        let Some((at, spare)) = last.map(|(at, column)| (at, column.spare)) else { break };
        left_out += usize::from(spare > 2);
        columns.remove(at);
    }
    let over = all(columns).saturating_sub(width);
    if let Some(names) = columns.first_mut().filter(|_| over > 0) {
        let room = wide(names).saturating_sub(over).max(NAME);
        names.cells.iter_mut().for_each(|cell| *cell = cut(cell, room));
    }
    left_out
}

/// The beginning of a name, with an ellipsis where something is missing.
fn cut(name: &str, room: usize) -> String {
    if name.width() <= room {
        return name.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for letter in name.chars() {
        used += letter.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(letter);
    }
    kept.push('…');
    kept
}

fn rival(variant: &VariantSummary) -> Rival {
    Rival { variant: variant.id.clone(), evaluation: variant.evaluation.clone() }
}

fn name(summary: &Summary, variant: &VariantSummary) -> String {
    let several = summary.variants.iter().any(|v| v.evaluation != summary.variants[0].evaluation);
    let label = if variant.label.is_empty() { &summary.name } else { &variant.label };
    let name = if several { format!("{label} ({})", variant.evaluation) } else { label.clone() };
    visible(&name).replace(['\n', '\t'], " ")
}

/// The score, and half the width of its interval; all of it where the score does not lie in the middle third.
fn cell(metric: &MetricSummary) -> String {
    match (metric.score(), metric.ci95) {
        (Some(score), Some([low, high])) => match (3.0 * (score - low) / (high - low)).clamp(0.0, 3.0) {
            place if (1.0..=2.0).contains(&place) => format!("{} ± {:.4}", figure(score), (high - low) / 2.0),
            _ => format!("{} ({} to {})", figure(score), figure(low), figure(high)),
        },
        (Some(score), None) => figure(score),
        (None, _) => "–".to_owned(),
    }
}

/// A number with four decimals and a minus sign of its width.
fn figure(value: f64) -> String {
    format!("{value:.4}").replace('-', "−")
}

/// How far a variant is behind the best, and whether that is real.
fn distance(summary: &Summary, variant: &VariantSummary, metric: &str, best: Option<&Rival>) -> String {
    let this = rival(variant);
    if best == Some(&this) {
        return if variant.metrics.contains_key(metric) { "best".to_owned() } else { "–".to_owned() };
    }
    if summary.has_fewer_rows(variant) {
        return "fewer rows".to_owned();
    }
    let of_pair = |c: &&Comparison| c.metric == metric && Some(&c.a) == best && c.b == this;
    let Some(against) = summary.comparisons.iter().find(of_pair) else { return "–".to_owned() };
    let verdict = match against.verdict {
        Verdict::Better => "worse",
        Verdict::Level => "level",
    };
    let higher = variant.metrics.get(metric).is_none_or(|metric| metric.higher_is_better);
    let behind = (against.difference > 0.0) == higher;
    let gap = gap(metric, against.difference);
    let gap = match behind {
        _ if gap.starts_with("less") || against.difference == 0.0 => gap,
        true => format!("−{gap}"),
        false => format!("+{gap}"),
    };
    format!("{gap}, {verdict}")
}

fn units_of<'a>(summary: &'a Summary, variant: &'a VariantSummary) -> impl Iterator<Item = &'a UnitSummary> {
    summary.units.iter().filter(|unit| !unit.of_baseline() && unit.variants.contains(&variant.id))
}

/// Seconds of work behind a variant, whenever it was done; what variants share counts for each.
fn work(summary: &Summary, variant: &VariantSummary) -> String {
    duration(units_of(summary, variant).map(|unit| unit.seconds).filter(|seconds| seconds.is_finite()).sum())
}

/// How many of its units were found in the store.
fn reused(summary: &Summary, variant: &VariantSummary) -> String {
    let reused = units_of(summary, variant).filter(|unit| unit.outcome == Outcome::Reused).count();
    format!("{reused} of {}", units_of(summary, variant).count())
}

/// What the signs of the table mean.
fn legend(summary: &Summary, metric: &str) -> String {
    let interval = summary.variants.iter().any(|v| v.metrics.get(metric).is_some_and(|m| m.ci95.is_some()));
    if interval { "±: half of the 95% interval\n".to_owned() } else { String::new() }
}

/// What the guesses beside the best variant score, the strongest first.
fn baselines(summary: &Summary, metric: &str) -> String {
    let Some(against) = summary.against_baselines.iter().find(|against| against.metric == metric) else {
        return String::new();
    };
    let mut beside: Vec<(f64, &str)> = summary
        .baselines_of(&against.best)
        .filter_map(|guess| Some((guess.metrics.get(metric)?.score()?, guess.name.as_str())))
        .collect();
    let higher = summary.variants.iter().find_map(|v| v.metrics.get(metric)).is_none_or(|m| m.higher_is_better);
    beside.sort_by(|a, b| if higher { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
    let told: Vec<String> = beside.iter().map(|(score, name)| format!("{name} {}", figure(*score))).collect();
    format!("baselines: {}\n", told.join(", "))
}

/// The one thing that a reader should know of the ranking.
fn worth_knowing(summary: &Summary, metric: &str) -> Option<String> {
    let guess = summary.against_baselines.iter().find(|against| {
        let doubtful = !against.better && against.p.is_some();
        against.metric == metric && doubtful
    });
    if let Some(against) = guess {
        return Some(against.sentence.clone());
    }
    if let Some(apart) = summary.not_compared.first() {
        let variants = if apart.those.len() == 1 { "1 variant is" } else { "some variants are" };
        return Some(format!("{variants} not compared with the others: {}", apart.why));
    }
    let best = summary.best.iter().find(|best| best.metric == metric)?;
    let named = |of: &Rival| summary.variants.iter().find(|v| rival(v) == *of).map(|v| name(summary, v));
    let leader = named(&best.best)?;
    let against = || summary.comparisons.iter().filter(|one| one.metric == metric && one.a == best.best);
    if best.inside_noise {
        let others = match best.level {
            1 => "1 other is".to_owned(),
            level => format!("{} others are", count(level)),
        };
        let (equal, tested) = against().fold((0, false), |(equal, tested), one| {
            (equal + u64::from(one.difference == 0.0), tested || one.p.is_some())
        });
        let chance = if tested { " (p > 0.05)" } else { "" };
        return Some(match equal {
            0 => format!("{leader} leads by {metric}, but {others} not told apart from it{chance}"),
            1 => format!("{leader} and 1 other score the same by {metric}"),
            equal => format!("{leader} and {} others score the same by {metric}", count(equal)),
        });
    }
    let closest = against().min_by(|a, b| a.difference.abs().total_cmp(&b.difference.abs()))?;
    let higher = summary.variants.iter().find_map(|v| v.metrics.get(metric)).is_none_or(|m| m.higher_is_better);
    Some(closest.told(&leader, &named(&closest.b)?, higher))
}

/// Columns side by side, the first to the left, the others to the right; the first row is the heading.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let room = " ".repeat(widths[column].saturating_sub(cell.width()));
            match column {
                0 => line.push_str(&format!("{cell}{room}")),
                _ => line.push_str(&format!("   {room}{cell}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BestOf, ComparisonMethod, CurvePoint, LearningCurve, NotCompared, ScoredOn, Status, Totals};

    fn variant(id: &str, label: &str, accuracy: f64) -> VariantSummary {
        let metric = |mean: f64| MetricSummary {
            mean: Some(mean),
            std: None,
            folds: vec![Some(mean)],
            estimate: Some(mean),
            ci95: Some([mean - 0.01, mean + 0.01]),
            ci95_method: None,
            higher_is_better: true,
        };
        VariantSummary {
            id: id.into(),
            label: label.into(),
            params: [].into(),
            evaluation: "scores".into(),
            rows: 100,
            scored_on: Some(ScoredOn { rows: "r".into(), folds: "f".into() }),
            metrics: [("accuracy".to_owned(), metric(accuracy)), ("f1_macro".to_owned(), metric(accuracy - 0.1))]
                .into(),
            chosen: vec![],
            classes: vec![],
            confusion: vec![],
        }
    }

    fn unit(variants: &[&str], outcome: Outcome, seconds: f64) -> UnitSummary {
        UnitSummary {
            stage: "model".into(),
            kind: "train".into(),
            phase: "fit".into(),
            fold: Some(0),
            inner: vec![],
            variants: variants.iter().map(|v| (*v).to_owned()).collect(),
            outcome,
            seconds,
            rows: 0,
            remembered: 0,
            key: None,
            facts: [].into(),
        }
    }

    fn run() -> Summary {
        let variants = vec![variant("v1", "words", 0.79), variant("v2", "both\u{1b}[31m", 0.81)];
        let against = Comparison {
            metric: "accuracy".into(),
            a: rival(&variants[1]),
            b: rival(&variants[0]),
            rows: 100,
            difference: 0.02,
            ci95: Some([0.011, 0.029]),
            p: Some(0.001),
            p_adjusted: Some(0.001),
            family: 1,
            method: ComparisonMethod::McnemarMidP,
            widened: 1.5,
            wins: None,
            verdict: Verdict::Better,
            sentence: String::new(),
        };
        let best = BestOf {
            metric: "accuracy".into(),
            best: rival(&variants[1]),
            of: 2,
            score: 0.81,
            optimism: None,
            honest: None,
            chosen: None,
            level: 0,
            inside_noise: false,
            within_one_standard_error: vec![],
            sentence: String::new(),
        };
        Summary {
            name: "films".into(),
            fuseline_version: "0".into(),
            status: Status::Complete,
            seed: 0,
            selection: None,
            ranked_by: None,
            numeric: [].into(),
            variants,
            comparisons: vec![against],
            best: vec![best],
            baselines: vec![],
            against_baselines: vec![],
            not_compared: vec![],
            contributions: vec![],
            learning_curves: vec![],
            importances: vec![],
            units: vec![unit(&["v1", "v2"], Outcome::Reused, 0.5), unit(&["v2"], Outcome::Ran, 0.25)],
            totals: Totals { ran: 1, reused: 1, failed: 0, skipped: 0, seconds: 0.3 },
            inputs: vec![],
            models: vec![],
            data: vec![],
            expectations: vec![],
            warnings: vec![],
        }
    }

    #[test]
    fn a_run_ends_with_ranks_intervals_and_the_one_thing() {
        assert_eq!(
            summary(&run(), None),
            "\
variant                 accuracy          to the best   f1_macro    work   reused
both\\u{1b}[31m   0.8100 ± 0.0100                 best     0.7100   0.8 s   1 of 2
words            0.7900 ± 0.0100   −2.0 points, worse     0.6900   0.5 s   1 of 1
±: half of the 95% interval

1 ran, 1 reused in 0.3 s
note: both\\u{1b}[31m beats words by 2.0 points of accuracy (95% interval 1.1 to 2.9 points, p = 0.001)
"
        );
    }

    #[test]
    fn the_metric_of_the_report_ranks() {
        let mut run = run();
        run.ranked_by = Some("f1_macro".into());
        if let Some(f1) = run.variants[0].metrics.get_mut("f1_macro") {
            (f1.mean, f1.estimate) = (Some(0.9), Some(0.9));
        }
        let text = summary(&run, None);
        let lines: Vec<&str> = text.lines().collect();
        let head: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(head[..5], ["variant", "f1_macro", "to", "the", "best"], "{text}");
        assert!(lines[1].starts_with("words") && lines[2].starts_with("both"), "{text}");
        run.ranked_by = Some("roc_auc".into());
        assert!(summary(&run, None).contains("\nboth"), "a metric that was not computed ranks nothing");
    }

    #[test]
    fn the_table_fits_the_terminal() {
        let mut run = run();
        run.variants[0].label = "c=1,features=words,min_df=2,ngram_range=[1, 2]".into();
        for width in [200, 120, 80, 62] {
            let text = summary(&run, Some(width));
            let table = text.split("±:").next().unwrap();
            assert!(table.lines().all(|line| line.width() <= width), "{width}:\n{table}");
            assert!(table.contains("0.8100 ± 0.0100") && table.contains("−2.0 points, worse"), "{table}");
            assert_eq!(table.contains("f1_macro"), width >= 120, "{table}");
            assert_eq!(table.contains("1 more in summary.json"), width < 120, "{table}");
        }
        assert!(summary(&run, Some(62)).contains('…'));
    }

    #[test]
    fn points_of_a_curve_with_fewer_rows_stand_below() {
        let mut run = run();
        for (variant, rows) in run.variants.iter_mut().zip(["all", "100"]) {
            variant.params.insert("train_rows".into(), rows.into());
        }
        let point = |at: usize, train_rows| CurvePoint { variant: run.variants[at].id.clone(), train_rows };
        run.learning_curves = vec![LearningCurve {
            evaluation: "scores".into(),
            axis: "train_rows".into(),
            label: String::new(),
            points: vec![point(1, 100), point(0, 160)],
        }];
        (run.comparisons, run.best) = (vec![], vec![]);
        let text = summary(&run, None);
        let lines: Vec<&str> = text.lines().take(3).collect();
        assert!(lines[1].starts_with("words") && lines[1].contains(" best "), "{text}");
        assert!(lines[2].starts_with("both") && lines[2].contains(" fewer rows "), "{text}");
    }

    #[test]
    fn doubts_come_first() {
        let mut doubtful = run();
        doubtful.comparisons[0].verdict = Verdict::Level;
        (doubtful.best[0].inside_noise, doubtful.best[0].level) = (true, 1);
        let text = summary(&doubtful, None);
        assert!(text.contains("−2.0 points, level"), "{text}");
        assert!(text.ends_with("leads by accuracy, but 1 other is not told apart from it (p > 0.05)\n"), "{text}");
        let mut apart = run();
        apart.variants[0].scored_on = None;
        apart.comparisons.clear();
        let rivals = apart.variants.iter().map(rival).collect::<Vec<_>>();
        apart.not_compared = vec![NotCompared {
            these: rivals[1..].to_vec(),
            those: rivals[..1].to_vec(),
            why: "they were scored on other rows".into(),
        }];
        let text = summary(&apart, None);
        assert!(text.contains("not ranked with the others:\nvariant") && !text.contains("to the best"), "{text}");
        assert!(text.ends_with("note: 1 variant is not compared with the others: they were scored on other rows\n"));
    }
}
