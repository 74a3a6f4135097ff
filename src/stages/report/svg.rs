//! How are scores, confusions and times drawn? Inline SVG that takes its colours from the page.
//!
//! Widths are per cent where a drawing has to fit any page: nothing is scaled, so letters and dots keep their size.

use unicode_width::UnicodeWidthStr;

use crate::record::MetricSummary;

use super::rank::{Ranked, range};
use super::words::{count, fixed, html, percent, score_or_dash, short};

/// A linear scale from values to per cent of a width.
pub(super) struct Scale {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    decimals: usize,
    /// What stands at the ticks instead of their figures; empty for the figures.
    words: Vec<String>,
}

impl Scale {
    /// A scale on which all values lie, with up to seven round ticks; `None` without finite values.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| v.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return None;
        }
        // one value alone, or values that are as good as equal, get a little room
        let least = (low.abs().max(high.abs()) * 1e-3).max(1e-4);
        if high - low < least {
            (low, high) = (low - least, high + least);
        }
        let rough = (high - low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|m| m * power).into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let (first, last) = ((low / step - 1e-6).ceil() as i64, (high / step + 1e-6).floor() as i64);
        let ticks = (first..=last.min(first.saturating_add(20))).map(|i| i as f64 * step).collect();
        Some(Scale { low, high, ticks, decimals, words: Vec::new() })
    }

    /// From 0 to 1.
    pub(super) fn shares() -> Self {
        Scale { low: 0.0, high: 1.0, ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0], decimals: 2, words: Vec::new() }
    }

    /// A scale with ticks at these values, in ascending order, each with its words; `None` for fewer than two.
    pub(super) fn with_marks(marks: Vec<(f64, String)>) -> Option<Self> {
        let (ticks, words): (Vec<f64>, Vec<String>) = marks.into_iter().unzip();
        match ticks.as_slice() {
            [low, .., high] if low < high => {
                // the words at the ends stand within the drawing
                let room = 0.08 * (high - low);
                Some(Scale { low: low - room, high: high + room, ticks, decimals: 0, words })
            }
            _ => None,
        }
    }

    /// Where a value lies: 0 at the lower end, 1 at the upper.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The ends.
    pub(super) fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// The ticks and their figures.
    pub(super) fn marks(&self) -> impl Iterator<Item = (f64, String)> {
        let words = |at: usize, tick: f64| self.words.get(at).cloned().unwrap_or_else(|| fixed(tick, self.decimals));
        self.ticks.iter().enumerate().map(move |(at, tick)| (*tick, words(at, *tick)))
    }

    /// Where a value lies, in per cent, with a margin on both sides.
    fn at(&self, value: f64) -> String {
        format!("{:.2}%", 3.0 + 94.0 * (value - self.low) / (self.high - self.low))
    }
}

/// The scale for the metric of these variants.
pub(super) fn scale(rows: &[Ranked<'_>]) -> Option<Scale> {
    let metrics = || rows.iter().filter_map(|row| row.metric);
    let folds = metrics().flat_map(|m| m.folds.iter().copied().flatten());
    let intervals = metrics().flat_map(|m| m.ci95).flatten();
    Scale::over(folds.chain(intervals).chain(metrics().filter_map(MetricSummary::score)))
}

/// One variant's strip: the interval with the score above, the folds as small dots below.
pub(super) fn strip(row: &Ranked<'_>, scale: &Scale, best: Option<f64>) -> String {
    let Some(metric) = row.metric else { return String::new() };
    let interval = metric.ci95.filter(|ci| ci.iter().all(|x| x.is_finite()));
    let mut words = format!("{}: {}", row.name, score_or_dash(row.score()));
    if let Some(ci) = interval {
        words.push_str(&format!(", 95% interval {}", range(ci)));
    }
    let folds: Vec<String> = metric.folds.iter().map(|f| score_or_dash(*f)).collect();
    words.push_str(&format!(", folds {}", folds.join(", ")));
    let mut out = format!(
        "<svg class=\"strip\" role=\"img\" width=\"100%\" height=\"40\" aria-label=\"{0}\"><title>{0}</title>",
        html(&words)
    );
    for tick in &scale.ticks {
        let x = scale.at(*tick);
        out.push_str(&format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"40\"/>"));
    }
    if let Some(x) = best.map(|best| scale.at(best)) {
        out.push_str(&format!("<line class=\"best\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"40\"/>"));
    }
    if let Some([low, high]) = interval {
        let (low, high) = (scale.at(low), scale.at(high));
        out.push_str(&format!("<line class=\"ci\" x1=\"{low}\" x2=\"{high}\" y1=\"14\" y2=\"14\"/>"));
        for x in [low, high] {
            out.push_str(&format!("<line class=\"ci\" x1=\"{x}\" x2=\"{x}\" y1=\"10\" y2=\"18\"/>"));
        }
    }
    for fold in metric.folds.iter().flatten().filter(|f| f.is_finite()) {
        out.push_str(&format!("<circle class=\"fold\" cx=\"{}\" cy=\"27\" r=\"3\"/>", scale.at(*fold)));
    }
    if let Some(score) = row.score() {
        out.push_str(&format!("<circle class=\"mean\" cx=\"{}\" cy=\"14\" r=\"5\"/>", scale.at(score)));
    }
    out.push_str("</svg>");
    out
}

/// The axis below the strips.
pub(super) fn axis(scale: &Scale) -> String {
    let mut out = "<svg class=\"strip axis\" width=\"100%\" height=\"20\" aria-hidden=\"true\">".to_owned();
    for tick in &scale.ticks {
        let x = scale.at(*tick);
        let label = fixed(*tick, scale.decimals);
        out.push_str(&format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"4\"/>"));
        out.push_str(&format!("<text x=\"{x}\" y=\"17\" text-anchor=\"middle\">{label}</text>"));
    }
    out.push_str("</svg>");
    out
}

/// A bar of time: worked in full, saved in outline, both as shares of `longest`.
pub(super) fn time_bar(worked: f64, saved: f64, longest: f64) -> String {
    let share = |seconds: f64| if longest > 0.0 { 100.0 * (seconds / longest).clamp(0.0, 1.0) } else { 0.0 };
    let (worked, saved) = (share(worked), share(saved));
    let mut out = "<svg class=\"bar\" width=\"100%\" height=\"10\" aria-hidden=\"true\">".to_owned();
    if worked > 0.0 {
        out.push_str(&format!("<rect class=\"fill\" width=\"{:.2}%\" height=\"10\"/>", worked.max(0.5)));
    }
    if saved > 0.0 {
        let width = saved.max(0.5);
        out.push_str(&format!("<rect class=\"saved\" x=\"{worked:.2}%\" width=\"{width:.2}%\" height=\"10\"/>"));
    }
    out.push_str("</svg>");
    out
}

/// At most so many characters of a class's name stand beside a heat map.
const NAME: usize = 22;

/// Sizes of a heat map, in pixels.
struct Sheet {
    cell: (usize, usize),
    /// Space for the class names: left of the rows, above the columns.
    margin: (usize, usize),
    letters: usize,
    upright: bool,
}

impl Sheet {
    fn of(classes: &[&str]) -> Self {
        let longest = classes.iter().map(|class| short(class, NAME).width()).max().unwrap_or(1).clamp(3, 2 * NAME);
        let (cell, letters) = match classes.len() {
            0..=2 => ((116, 60), 14),
            3 => ((96, 52), 14),
            4..=6 => ((64, 44), 13),
            7..=12 => ((46, 34), 12),
            13..=20 => ((34, 26), 11),
            _ => ((28, 22), 10),
        };
        let names = longest * letters * 6 / 10;
        let upright = names + 6 > cell.0;
        Sheet { cell, margin: (names + 36, if upright { names + 32 } else { 42 }), letters, upright }
    }
}

/// A confusion matrix: rows are what the texts are, columns what they were taken for.
pub(super) fn heat_map(classes: &[&str], counts: &[Vec<u64>]) -> String {
    let sheet = Sheet::of(classes);
    let ((w, h), (left, top)) = (sheet.cell, sheet.margin);
    let (width, height) = (left + w * classes.len() + 2, top + h * classes.len() + 2);
    let mut out = format!(
        "<svg class=\"heat read\" data-across=\"{}\" role=\"group\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         style=\"font-size:{}px\" aria-label=\"confusion matrix of {} classes\"><title>Confusion matrix: rows are labels, columns \
         predictions</title>",
        classes.len(),
        sheet.letters,
        classes.len()
    );
    out.push_str(&format!("<text class=\"side\" x=\"{left}\" y=\"12\">predicted →</text>"));
    out.push_str(&format!(
        "<text class=\"side\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"end\">← label</text>",
        top
    ));
    for (i, class) in classes.iter().enumerate() {
        let name = html(&short(class, NAME));
        let y = top + h * i + h / 2;
        out.push_str(&format!(
            "<text class=\"name\" x=\"{}\" y=\"{y}\" text-anchor=\"end\" dy=\".35em\">{name}</text>",
            left - 8
        ));
        let x = left + w * i + w / 2;
        out.push_str(&if sheet.upright {
            format!(
                "<text class=\"name\" transform=\"translate({x} {}) rotate(-90)\" dy=\".35em\">{name}</text>",
                top - 8
            )
        } else {
            format!("<text class=\"name\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", top - 8)
        });
    }
    for (i, row) in counts.iter().enumerate() {
        let support: u64 = row.iter().sum();
        for (j, n) in row.iter().enumerate() {
            let place = (left + w * j, top + h * i);
            let called = counts.iter().map(|row| row.get(j).copied().unwrap_or(0)).sum();
            out.push_str(&cell(&sheet, place, (classes[i], classes[j]), *n, [support, called], i == j));
        }
    }
    out.push_str("</svg>");
    out
}

/// Up to this opacity dark letters (on dark paper: light ones) can be read on a cell, from [`STRONG`] on the others; between the
/// two neither reaches a contrast of 4.5 in each of the page's colours.
const PALE: f64 = 0.52;
const STRONG: f64 = 0.86;

/// The opacity for a share of the row: by its square root, so that rare confusions show, and never between the two above.
fn shade(share: f64) -> f64 {
    const TURN: f64 = 0.75;
    let root = share.clamp(0.0, 1.0).sqrt();
    match root < TURN {
        true => 0.06 + (PALE - 0.06) * root / TURN,
        false => STRONG + (1.0 - STRONG) * (root - TURN) / (1.0 - TURN),
    }
}

/// One cell, shaded by its share of the row. `support` and `called` are the
/// sums of its row and its column.
fn cell(
    sheet: &Sheet,
    at: (usize, usize),
    names: (&str, &str),
    n: u64,
    [support, called]: [u64; 2],
    hit: bool,
) -> String {
    let ((x, y), (w, h)) = (at, sheet.cell);
    let share = if support == 0 { 0.0 } else { n as f64 / support as f64 };
    let shade = shade(share);
    let kind = if hit { "hit" } else { "miss" };
    let title = format!(
        "{} taken for {}: {} ({} of the label, {} of what was called so)",
        names.0,
        names.1,
        count(n),
        percent(n, support),
        percent(n, called)
    );
    let mut out = format!(
        "<g class=\"part\" role=\"img\"><title>{}</title><rect class=\"cell\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"/>",
        html(&title)
    );
    if n > 0 {
        out.push_str(&format!(
            "<rect class=\"{kind}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill-opacity=\"{shade:.3}\"/>"
        ));
    }
    let tone = match () {
        () if n == 0 => "none",
        () if shade > PALE => "on",
        () => "under",
    };
    let (cx, cy) = (x + w / 2, y + h / 2);
    let mut write = |class: &str, y: usize, words: &str| {
        out.push_str(&format!(
            "<text class=\"{class} {tone}\" x=\"{cx}\" y=\"{y}\" dy=\".35em\" text-anchor=\"middle\">{words}</text>"
        ));
    };
    let figures = count(n);
    let fits = figures.chars().count() * sheet.letters * 6 / 10 <= w;
    match () {
        () if n == 0 && w < 40 => {}
        () if h >= 50 => {
            write("count", cy - 8, &figures);
            write("share", cy + 12, &percent(n, support));
        }
        () if fits => write("count", cy, &figures),
        () => {}
    }
    out.push_str("</g>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        for (low, high) in [(0.77, 0.82), (0.0, 1.0), (0.5, 0.5), (-3.0, 1250.0), (0.813_51, 0.813_52), (1e-9, 2e-9)] {
            let scale = Scale::over([low, high].into_iter()).unwrap();
            assert!((2..=8).contains(&scale.ticks.len()), "{low} {high}: {:?}", scale.ticks);
            assert!(scale.ticks.iter().all(|t| *t >= scale.low - 1e-9 && *t <= scale.high + 1e-9));
        }
        assert!(Scale::over([f64::NAN].into_iter()).is_none());
        let scale = Scale::over([0.77, 0.82].into_iter()).unwrap();
        assert_eq!(
            scale.ticks.iter().map(|t| fixed(*t, scale.decimals)).collect::<Vec<_>>(),
            ["0.77", "0.78", "0.79", "0.80", "0.81", "0.82"]
        );
        assert_eq!((scale.at(0.77), scale.at(0.82)), ("3.00%".to_owned(), "97.00%".to_owned()));
    }

    #[test]
    fn a_heat_map_has_a_cell_for_each_pair() {
        let drawn = heat_map(&["a", "b<"], &[vec![3, 1], vec![0, 0]]);
        assert_eq!(drawn.matches("class=\"cell\"").count(), 4);
        assert_eq!((drawn.matches("class=\"hit\"").count(), drawn.matches("class=\"miss\"").count()), (1, 1));
        assert!(drawn.contains("a taken for b&lt;: 1 (25.0% of the label, 100.0% of what was called so)"), "{drawn}");
        assert!(!drawn.contains("b<"));
    }

    #[test]
    fn the_larger_the_share_the_darker_and_never_what_no_letter_suits() {
        let shades: Vec<f64> = (0..=1000).map(|share| shade(f64::from(share) / 1000.0)).collect();
        assert!(shades.is_sorted_by(|a, b| a < b));
        assert!(shades.iter().all(|shade| (0.06..=1.0).contains(shade) && !(PALE + 1e-9..STRONG).contains(shade)));
    }

    #[test]
    fn bars_stay_within_their_width() {
        assert!(
            time_bar(1.0, 3.0, 4.0).contains("width=\"25.00%\"")
                && time_bar(1.0, 3.0, 4.0).contains("x=\"25.00%\" width=\"75.00%\"")
        );
        assert!(!time_bar(0.0, 0.0, 0.0).contains("rect"));
    }
}
