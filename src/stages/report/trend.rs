//! How did a metric go over runs? A page like a report's: a line for each variant from run to run, and all figures in a table.
//!
//! Runs stand at equal distances in the order of time. A line joins a run with the one before it only where both were about the same
//! files, rows and folds: elsewhere a step would show other data, not another result.

use std::collections::{BTreeMap, BTreeSet};

use super::html::{Frame, bdi};
use super::rank::range;
use super::svg::Scale;
use super::words::{counted, html, score, short};
use crate::record::{MetricSummary, ScoredOn, Status, Summary, VariantSummary};

const STYLE: &str = include_str!("trend.css");

/// More runs than this are not drawn: the latest are.
const MOST_RUNS: usize = 100;

/// Lines in one drawing, each with a colour and a mark of its own.
const LINES: usize = 6;

/// Drawings of one pipeline.
const MOST: usize = 4;

/// Sizes in pixels: the height of a drawing within its margins; the margins above, below, left and right; the least width of a
/// drawing; the least and the largest distance between runs.
const HIGH: f64 = 240.0;
const MARGIN: [f64; 4] = [22.0, 44.0, 56.0, 24.0];
const WIDE: f64 = 880.0;
const STEPS: (f64, f64) = (9.0, 140.0);

/// Dates nearer than this would run into each other.
const NEAR: f64 = 72.0;

/// A run, as far as its scores go.
#[derive(Debug, Clone, Copy)]
pub struct PastRun<'a> {
    /// Where it lies.
    pub name: &'a str,
    /// When it ended, in milliseconds since 1970.
    pub ended: u64,
    /// What it came to.
    pub summary: &'a Summary,
}

/// A metric over the runs of one pipeline.
#[derive(Debug, Clone)]
pub struct Trend<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// The runs, the oldest first.
    pub runs: Vec<PastRun<'a>>,
}

impl Trend<'_> {
    /// The runs from which on some variant was scored on other data or in other splits than before.
    pub fn breaks(&self) -> BTreeSet<usize> {
        let points = lines(self).0.into_iter().flat_map(|line| line.points);
        points.filter(|point| point.apart.is_some()).map(|point| point.run).collect()
    }
}

/// The page on some trends. Equal trends give equal bytes.
pub fn trend_page(trends: &[Trend<'_>]) -> String {
    let frame = Frame { title: "Scores over runs", version: env!("CARGO_PKG_VERSION"), more_style: STYLE };
    let mut out = frame.head();
    let names: BTreeSet<&str> = trends.iter().flat_map(|trend| trend.runs.iter().map(|run| run.name)).collect();
    let ends = trends.iter().flat_map(|trend| trend.runs.iter().map(|run| run.ended));
    let (first, last) = (ends.clone().min().unwrap_or(0), ends.max().unwrap_or(0));
    out.push_str(&format!(
        "<header>\n<h1>Scores over runs</h1>\n<p class=\"scope\">{} · {} to {} (UTC)</p>\n</header>\n",
        counted(names.len() as u64, "run"),
        date(first),
        date(last)
    ));
    trends.iter().for_each(|trend| section(&mut out, trend));
    out + &Frame::foot()
}

/// What a variant was scored on in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Basis<'a> {
    files: BTreeSet<&'a str>,
    rows: u64,
    scored_on: Option<&'a ScoredOn>,
    seed: u64,
}

impl<'a> Basis<'a> {
    fn of(summary: &'a Summary, variant: &'a VariantSummary) -> Basis<'a> {
        Basis {
            files: summary.inputs.iter().map(|input| input.digest.as_str()).collect(),
            rows: variant.rows,
            scored_on: variant.scored_on.as_ref(),
            seed: summary.seed,
        }
    }

    /// What is not as it was before; `None` where both may be joined.
    fn differs(&self, before: &Basis<'_>) -> Option<&'static str> {
        let other_rows = match (self.scored_on, before.scored_on) {
            (Some(now), Some(then)) => now.rows != then.rows,
            _ => self.rows != before.rows,
        };
        // Without digests the seed says which rows the folds held out, as far as anything does.
        let other_folds = match (self.scored_on, before.scored_on) {
            (Some(now), Some(then)) => now.folds != then.folds,
            _ => self.seed != before.seed,
        };
        match () {
            () if self.files != before.files || other_rows => Some("other data"),
            () if other_folds => Some("other splits"),
            () => None,
        }
    }
}

/// A variant's score in one run.
struct Point<'a> {
    /// Index into the runs.
    run: usize,
    value: f64,
    ci95: Option<[f64; 2]>,
    rows: u64,
    /// Why it is not joined with the point before it.
    apart: Option<&'static str>,
    basis: Basis<'a>,
}

/// A variant over the runs.
struct Line<'a> {
    name: String,
    points: Vec<Point<'a>>,
}

/// A line for each variant, the one that is best now first; and whether more is better.
fn lines<'a>(trend: &Trend<'a>) -> (Vec<Line<'a>>, bool) {
    let mut all: BTreeMap<(&str, &str), Vec<Point<'a>>> = BTreeMap::new();
    let mut higher_is_better = true;
    for (run, past) in trend.runs.iter().enumerate() {
        for variant in &past.summary.variants {
            let Some(metric) = variant.metrics.get(trend.metric) else { continue };
            let Some(value) = metric.score() else { continue };
            higher_is_better = metric.higher_is_better;
            let points = all.entry((&variant.label, &variant.evaluation)).or_default();
            let basis = Basis::of(past.summary, variant);
            let apart = points.last().and_then(|before| basis.differs(&before.basis));
            points.push(Point { run, value, ci95: interval(metric), rows: variant.rows, apart, basis });
        }
    }
    let evaluations: BTreeSet<&str> = all.keys().map(|(_, evaluation)| *evaluation).collect();
    let named = |(label, evaluation): (&str, &str)| {
        let label = if label.is_empty() { trend.pipeline } else { label };
        if evaluations.len() > 1 { format!("{label} ({evaluation})") } else { label.to_owned() }
    };
    let mut lines: Vec<Line<'a>> = all.into_iter().map(|(of, points)| Line { name: named(of), points }).collect();
    let now = |line: &Line<'_>| {
        let last = line.points.last().map_or(f64::NEG_INFINITY, |point| point.value);
        if higher_is_better { last } else { -last }
    };
    lines.sort_by(|a, b| now(b).total_cmp(&now(a)));
    (lines, higher_is_better)
}

fn interval(metric: &MetricSummary) -> Option<[f64; 2]> {
    metric.ci95.filter(|ci| ci.iter().all(|end| end.is_finite()))
}

fn section(out: &mut String, trend: &Trend<'_>) {
    let shown = trend.runs.len().min(MOST_RUNS);
    let latest = Trend { runs: trend.runs[trend.runs.len() - shown..].to_vec(), ..trend.clone() };
    let (lines, higher_is_better) = lines(&latest);
    let better = if higher_is_better { "more" } else { "less" };
    out.push_str(&format!(
        "<section>\n<h2>{}: <code>{}</code></h2>\n<p>{} of {}; {better} is better.",
        bdi(trend.pipeline),
        html(trend.metric),
        counted(shown as u64, "run"),
        counted(lines.len() as u64, "variant"),
    ));
    if shown < trend.runs.len() {
        out.push_str(&format!(" Of {} runs these are the latest.", trend.runs.len()));
    }
    if lines.len() > LINES * MOST {
        let more = (lines.len() - LINES * MOST) as u64;
        out.push_str(&format!(" {} with lower scores are not drawn.", counted(more, "variant")));
    }
    out.push_str("</p>\n");
    let reach = lines.iter().flat_map(|line| &line.points);
    let ends = reach.clone().filter_map(|point| point.ci95).flatten();
    if let Some(scale) = Scale::over(reach.clone().map(|point| point.value).chain(ends)) {
        for some in lines.chunks(LINES).take(MOST) {
            figure(out, &latest, some, &scale);
            table(out, &latest, some);
        }
    }
    out.push_str("</section>\n");
}

/// The colour and the mark of the nth line of a drawing: a shape around (0, 0).
fn mark(at: usize) -> (String, &'static str) {
    let shapes = [
        "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
        "M-4 -4h8v8h-8z",
        "M0 -5.5L5.5 0L0 5.5L-5.5 0z",
        "M0 -5L5 4H-5z",
        "M0 5L5 -4H-5z",
        "M-5 -2h3v-3h4v3h3v4h-3v3h-4v-3h-3z",
    ];
    (format!("l{}", at % LINES), shapes[at % LINES])
}

fn figure(out: &mut String, trend: &Trend<'_>, lines: &[Line<'_>], scale: &Scale) {
    out.push_str("<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"scores over runs\">");
    out.push_str(&drawn(trend, lines, scale));
    out.push_str("</div>\n<figcaption>");
    for (at, line) in lines.iter().enumerate() {
        let (class, shape) = mark(at);
        out.push_str(&format!(
            "<span class=\"key\"><svg class=\"trend\" width=\"14\" height=\"12\" aria-hidden=\"true\"><path class=\"spot {class}\" \
             transform=\"translate(7 6)\" d=\"{shape}\"/></svg> {}</span> ",
            bdi(&line.name)
        ));
    }
    out.push_str("<br/>Upright bars: 95% intervals.");
    if lines.iter().flat_map(|line| &line.points).any(|point| point.apart.is_some()) {
        out.push_str(" Dotted: data or splits changed there, so what stands on both sides of it is not joined.");
    }
    out.push_str("</figcaption>\n</figure>\n");
}

/// Where things stand in a drawing.
struct Sheet<'s> {
    width: f64,
    first: f64,
    step: f64,
    scale: &'s Scale,
}

impl<'s> Sheet<'s> {
    fn of(runs: usize, scale: &'s Scale) -> Sheet<'s> {
        let [_, _, left, right] = MARGIN;
        let room = 40.0;
        let gaps = runs.saturating_sub(1).max(1) as f64;
        let step = ((WIDE - left - right - 2.0 * room) / gaps).clamp(STEPS.0, STEPS.1);
        let width = (left + right + 2.0 * room + step * gaps).max(WIDE / 2.0);
        Sheet { width, first: left + room, step, scale }
    }

    fn x(&self, run: usize) -> f64 {
        self.first + self.step * run as f64
    }

    fn y(&self, value: f64) -> f64 {
        MARGIN[0] + HIGH * (1.0 - self.scale.share(value))
    }
}

fn drawn(trend: &Trend<'_>, lines: &[Line<'_>], scale: &Scale) -> String {
    let sheet = Sheet::of(trend.runs.len(), scale);
    let (width, height) = (sheet.width, MARGIN[0] + HIGH + MARGIN[1]);
    // Up and down go to the next variant where all of them have a point in each run.
    let full = lines.iter().all(|line| line.points.len() == trend.runs.len());
    let mut out = format!(
        "<svg class=\"plot trend read\" data-across=\"{}\" role=\"group\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" aria-label=\"{1} over {2}\"><title>{1} over {2}</title>",
        if full { trend.runs.len() } else { 1 },
        html(trend.metric),
        counted(trend.runs.len() as u64, "run")
    );
    axes(&mut out, trend, &sheet);
    breaks(&mut out, lines, &sheet);
    let apart = (sheet.step / (lines.len() + 1) as f64).min(9.0);
    for (at, line) in lines.iter().enumerate() {
        // Intervals of several variants stand beside each other, not on each other.
        let beside = (at as f64 - (lines.len() - 1) as f64 / 2.0) * apart;
        strokes(&mut out, line, &mark(at).0, beside, &sheet);
    }
    for (at, line) in lines.iter().enumerate() {
        let beside = (at as f64 - (lines.len() - 1) as f64 / 2.0) * apart;
        let (class, shape) = mark(at);
        for point in &line.points {
            out.push_str(&format!(
                "<path class=\"part spot {class}\" role=\"img\" transform=\"translate({:.1} {:.1})\" d=\"{shape}\"><title>{}</title></path>",
                sheet.x(point.run) + beside,
                sheet.y(point.value),
                html(&told(trend, line, point))
            ));
        }
    }
    out + "</svg>"
}

/// Figures at the left, dates below: the latest run always has its own.
fn axes(out: &mut String, trend: &Trend<'_>, sheet: &Sheet<'_>) {
    let bottom = MARGIN[0] + HIGH;
    let (left, right) = (MARGIN[2], sheet.width - MARGIN[3]);
    for (value, words) in sheet.scale.marks() {
        let y = sheet.y(value);
        out.push_str(&format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{y:.1}\" dy=\".35em\" text-anchor=\"end\">{words}</text>",
            left - 6.0
        ));
    }
    let mut last = f64::INFINITY;
    for (run, past) in trend.runs.iter().enumerate().rev() {
        let x = sheet.x(run);
        out.push_str(&format!(
            "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/>",
            bottom + 5.0
        ));
        if last - x >= NEAR {
            last = x;
            for (text, below) in [(date(past.ended), 18.0), (time(past.ended), 32.0)] {
                out.push_str(&format!(
                    "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                    bottom + below
                ));
            }
        }
    }
}

/// A dotted line before each run from which on data or splits are others.
fn breaks(out: &mut String, lines: &[Line<'_>], sheet: &Sheet<'_>) {
    let points = lines.iter().flat_map(|line| &line.points);
    let all: BTreeMap<usize, &str> = points.filter_map(|point| Some((point.run, point.apart?))).collect();
    let mut last = f64::NEG_INFINITY;
    for (run, why) in all {
        let x = sheet.x(run) - sheet.step / 2.0;
        out.push_str(&format!(
            "<line class=\"break\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>",
            MARGIN[0] - 4.0,
            MARGIN[0] + HIGH
        ));
        if x - last >= NEAR {
            last = x;
            out.push_str(&format!(
                "<text class=\"why\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{why}</text>",
                MARGIN[0] - 9.0
            ));
        }
    }
}

/// A line through the points that may be joined, and the interval of each.
fn strokes(out: &mut String, line: &Line<'_>, class: &str, beside: f64, sheet: &Sheet<'_>) {
    let at = |point: &Point<'_>| (sheet.x(point.run) + beside, sheet.y(point.value));
    for joined in line.points.chunk_by(|_, after| after.apart.is_none()).filter(|joined| joined.len() > 1) {
        let points: Vec<String> = joined.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        out.push_str(&format!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }
    for point in &line.points {
        let Some([low, high]) = point.ci95 else { continue };
        let (x, low, high) = (at(point).0, sheet.y(low), sheet.y(high));
        out.push_str(&format!(
            "<path class=\"bars {class}\" d=\"M{x:.1} {low:.1}V{high:.1}M{0:.1} {low:.1}h6M{0:.1} {high:.1}h6\"/>",
            x - 3.0
        ));
    }
}

/// What a point is, in words.
fn told(trend: &Trend<'_>, line: &Line<'_>, point: &Point<'_>) -> String {
    let Some(run) = trend.runs.get(point.run) else { return String::new() };
    let mut words = format!(
        "{} in {}, {} {} UTC: {} {}",
        line.name,
        run.name,
        date(run.ended),
        time(run.ended),
        trend.metric,
        score(point.value)
    );
    if let Some(ci) = point.ci95 {
        words.push_str(&format!(", 95% interval {}", range(ci)));
    }
    words.push_str(&format!(", {}", counted(point.rows, "row")));
    match run.summary.status {
        Status::Complete => {}
        Status::Failed => words.push_str("; the run failed"),
        Status::Interrupted => words.push_str("; the run was interrupted"),
    }
    if let Some(why) = point.apart {
        words.push_str(&format!("; {why} than before, so not joined"));
    }
    words
}

/// The same in figures, the latest run first.
fn table(out: &mut String, trend: &Trend<'_>, lines: &[Line<'_>]) {
    out.push_str(&format!(
        "<details><summary>The figures</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"figures\">\n\
         <table class=\"wide\">\n<caption><span><code>{}</code> in each run, with 95% intervals; the latest run first.</span></caption>\n\
         <thead><tr><th scope=\"col\">run</th><th scope=\"col\">ended (UTC)</th>",
        html(trend.metric)
    ));
    for line in lines {
        out.push_str(&format!("<th scope=\"col\" class=\"n\">{}</th>", bdi(&line.name)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (run, past) in trend.runs.iter().enumerate().rev() {
        let points: Vec<Option<&Point<'_>>> =
            lines.iter().map(|line| line.points.iter().find(|point| point.run == run)).collect();
        let apart = points.iter().flatten().find_map(|point| point.apart);
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"when\">{} {}{}</td>",
            bdi(&short(past.name, 60)),
            date(past.ended),
            time(past.ended),
            apart.map(|why| format!("<small>{why} than before</small>")).unwrap_or_default()
        ));
        for point in points {
            let ci = point.and_then(|point| point.ci95);
            let ci = ci.map(|ci| format!("<small>{}</small>", range(ci))).unwrap_or_default();
            let mean = point.map_or_else(|| "–".to_owned(), |point| score(point.value));
            out.push_str(&format!("<td class=\"n\">{mean}{ci}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n</details>\n");
}

/// The day of a time in milliseconds since 1970, in UTC: `2026-11-28`.
fn date(milliseconds: u64) -> String {
    // Days from 0000-03-01 on, in eras of 400 years; the year begins in March, so that leap days stand at its end
    // (H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
    let days = milliseconds / 86_400_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", if month <= 2 { year + 1 } else { year })
}

/// The time of that day: `18:26`.
fn time(milliseconds: u64) -> String {
    let minutes = milliseconds / 60_000 % 1440;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::super::example::{summary, variant};
    use super::super::tests::well_formed;
    use super::*;
    use crate::record::InputSummary;

    const DAY: u64 = 86_400_000;

    fn run(scores: &[(&str, f64)], file: &str, folds: &str) -> Summary {
        let mut run =
            summary(scores.iter().map(|(label, score)| variant(label, &[score - 0.01, score + 0.01])).collect());
        run.inputs = vec![InputSummary { source: "data.csv".into(), digest: file.into(), rows: 20 }];
        for variant in &mut run.variants {
            variant.scored_on = Some(ScoredOn { rows: format!("rows of {file}"), folds: folds.into() });
        }
        run
    }

    fn page_of(runs: &[Summary]) -> String {
        let names: Vec<String> = (0..runs.len()).map(|at| format!("runs/{at}")).collect();
        let runs = runs.iter().zip(&names).enumerate();
        let runs = runs.map(|(at, (summary, name))| PastRun { name, ended: at as u64 * DAY, summary }).collect();
        trend_page(&[Trend { pipeline: "words", metric: "accuracy", runs }])
    }

    fn lines_through(page: &str) -> Vec<usize> {
        page.split("<polyline").skip(1).map(|one| one.split("/>").next().unwrap().matches(',').count()).collect()
    }

    #[test]
    fn each_variant_is_a_line_with_its_intervals_and_words() {
        let runs = [("d", "f"); 3].map(|(file, folds)| run(&[("a", 0.7), ("bb", 0.8)], file, folds));
        let page = page_of(&runs);
        well_formed(&page);
        assert_eq!(lines_through(&page), [3, 3]);
        assert_eq!(page.matches("class=\"bars").count(), 6);
        assert_eq!(page.matches("class=\"part spot").count(), 6);
        assert!(
            page.contains("<title>bb in runs/1, 1970-01-02 00:00 UTC: accuracy 0.8000, 95% interval 0.7859 to 0.8141, 20 rows</title>"),
            "{page}"
        );
        assert!(page.find("<bdi>bb</bdi>") < page.find("<bdi>a</bdi>"), "the best now comes first");
        assert!(!page.contains("class=\"break\"") && !page.contains("http:") && !page.contains("https:"));
    }

    #[test]
    fn other_data_and_other_splits_are_not_joined() {
        let runs = [("d", "f"), ("d", "f"), ("e", "f"), ("e", "f"), ("e", "g")]
            .map(|(file, folds)| run(&[("a", 0.7)], file, folds));
        let page = page_of(&runs);
        well_formed(&page);
        assert_eq!(lines_through(&page), [2, 2], "the last run stands alone");
        assert_eq!(page.matches("class=\"break\"").count(), 2);
        assert!(page.contains("other data than before, so not joined"));
        assert!(page.contains("other splits than before, so not joined"));
    }

    #[test]
    fn what_has_no_score_leaves_a_gap_and_no_more() {
        let mut runs = [0.7, 0.8, 0.75].map(|score| run(&[("a", score)], "d", "f"));
        runs[1].variants[0].metrics.clear();
        let page = page_of(&runs);
        assert_eq!((lines_through(&page), page.matches("class=\"part spot").count()), (vec![2], 2));
        let alone = page_of(&runs[1..2]);
        well_formed(&alone);
        assert!(!alone.contains("<figure>") && !alone.contains("NaN"));
    }

    #[test]
    fn names_are_never_markup() {
        let evil = "<script>\"'&\u{202e}";
        let mut runs = [run(&[(evil, 0.7)], "d", "f"), run(&[(evil, 0.8)], "d", "f")];
        runs[0].status = Status::Failed;
        let past = runs.iter().map(|summary| PastRun { name: evil, ended: 0, summary }).collect();
        let page = trend_page(&[Trend { pipeline: evil, metric: "accuracy", runs: past }]);
        well_formed(&page);
        assert!(page.matches("<script").count() == 1 && !page.contains('\u{202e}'), "{page}");
        assert!(page.contains("the run failed"));
    }

    #[test]
    fn many_runs_and_variants_stay_within_bounds() {
        let labels: Vec<String> = (0..30).map(|at| "x".repeat(at + 1)).collect();
        let scores: Vec<(&str, f64)> = labels.iter().map(|label| (label.as_str(), 0.5)).collect();
        let runs: Vec<Summary> = (0..130).map(|_| run(&scores, "d", "f")).collect();
        let page = page_of(&runs);
        assert_eq!(page.matches("<figure>").count(), MOST);
        assert!(page.contains("Of 130 runs these are the latest") && page.contains("6 variants with lower scores"));
        assert!(!page.contains(">runs/29<") || page.contains("runs/129"));
        assert_eq!(page.matches("class=\"part spot").count(), MOST * LINES * MOST_RUNS);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, name) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_454, "2026-01-01"),
            (20_785, "2026-11-28"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(days * DAY + DAY - 1), name, "{days}");
        }
        assert_eq!(time(DAY + 66_360_000), "18:26");
    }
}
