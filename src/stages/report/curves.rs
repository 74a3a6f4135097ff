//! How are calibration, thresholds, scores, classes and predicted numbers shown? Small drawings, and tables for readers without pictures.

use crate::ml::stats::wilson_interval;
use crate::ml::{Bin, Threshold};
use crate::record::VariantSummary;

use super::data::has_confusion;
use super::html::bdi;
use super::mistakes::{Findings, Sides, Spread};
use super::svg::Scale;
use super::words::{count, counted, fixed, html, percent, score};

/// Size of a drawing in pixels, and the room for its figures: left, below, right and above.
const SIZE: (f64, f64) = (300.0, 250.0);
const MARGIN: [f64; 4] = [46.0, 38.0, 14.0, 10.0];

/// At most so many thresholds can be read off a drawing one by one.
const READ: usize = 20;

/// A drawing of numbers against numbers.
pub(super) struct Plot {
    x: Scale,
    y: Scale,
    body: String,
    /// Points that say what they are.
    parts: usize,
}

impl Plot {
    /// An empty drawing.
    pub(super) fn new(x: Scale, y: Scale) -> Plot {
        Plot { x, y, body: String::new(), parts: 0 }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, below, right, above] = MARGIN;
        let (wide, high) = (SIZE.0 - left - right, SIZE.1 - below - above);
        (left + wide * self.x.share(x), above + high * (1.0 - self.y.share(y)))
    }

    /// A line through points.
    pub(super) fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<String> = points
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| {
                let (x, y) = self.at(x, y);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        self.body.push_str(&format!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }

    /// A point.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64) {
        if x.is_finite() && y.is_finite() {
            let (x, y) = self.at(x, y);
            self.body.push_str(&format!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"));
        }
    }

    /// A point that says what it is, to a pointer and to the keyboard.
    fn part(&mut self, class: &str, (x, y): (f64, f64), radius: f64, title: &str) {
        if x.is_finite() && y.is_finite() {
            let (x, y) = self.at(x, y);
            self.body.push_str(&format!(
                "<circle class=\"part {class}\" role=\"img\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{}</title></circle>",
                html(title)
            ));
            self.parts += 1;
        }
    }

    /// A line that says what it is.
    fn part_line(&mut self, points: impl Iterator<Item = (f64, f64)>, title: &str) {
        let before = self.body.len();
        self.line("part", points);
        self.body.truncate(self.body.len().saturating_sub("/>".len()).max(before));
        self.body.push_str(&format!(" role=\"img\"><title>{}</title></polyline>", html(title)));
        self.parts += 1;
    }

    /// The area between a line of steps and the axis.
    fn area(&mut self, class: &str, steps: &[(f64, f64, f64)]) {
        let Some(((first, ..), (_, last, _))) = steps.first().copied().zip(steps.last().copied()) else { return };
        let tops = steps.iter().flat_map(|(low, high, y)| [(*low, *y), (*high, *y)]);
        let points = std::iter::once((first, 0.0)).chain(tops).chain(std::iter::once((last, 0.0)));
        let points: Vec<String> = points
            .map(|(x, y)| {
                let (x, y) = self.at(x, y);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        self.body.push_str(&format!("<polygon class=\"area {class}\" points=\"{}\"/>", points.join(" ")));
    }

    /// The drawing; `title` and the axes' names are our own words.
    pub(super) fn finish(self, title: &str, x_name: &str, y_name: &str) -> String {
        let ([left, below, right, above], (width, height)) = (MARGIN, SIZE);
        let (bottom, end) = (height - below, width - right);
        // a picture hides its parts from a reader, a group does not
        let kind = if self.parts > 0 { "class=\"plot read\" role=\"group\"" } else { "class=\"plot\" role=\"img\"" };
        let mut out = format!(
            "<svg {kind} width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             aria-label=\"{title}\"><title>{title}</title>"
        );
        for (value, words) in self.x.marks() {
            let x = self.at(value, 0.0).0;
            out.push_str(&format!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{above}\" y2=\"{bottom}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{words}</text>",
                bottom + 14.0
            ));
        }
        for (value, words) in self.y.marks() {
            let y = self.at(0.0, value).1;
            out.push_str(&format!(
                "<line class=\"grid\" x1=\"{left}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{y:.1}\" dy=\".35em\" text-anchor=\"end\">{words}</text>",
                left - 5.0
            ));
        }
        out.push_str(&format!(
            "<text class=\"side\" x=\"{end}\" y=\"{}\" text-anchor=\"end\">{x_name} →</text>\
             <text class=\"side\" transform=\"translate(10 {above}) rotate(-90)\" text-anchor=\"end\">{y_name} →</text>",
            height - 4.0
        ));
        out + &self.body + "</svg>"
    }
}

/// What the scores of classes are worth, as a section of a page; empty where nothing can be said.
pub(super) fn html_classes(findings: &Findings) -> String {
    let mut out = String::new();
    if findings.reliability.iter().any(|bin| bin.rows > 0) {
        out.push_str(&format!(
            "<h3>Calibration</h3>\n<figure>\n{}<figcaption>Predictions of like probability, all folds together: their mean \
             probability against the share that is right. On the dotted line they are alike; dots grow with the rows. \
             {}</figcaption>\n</figure>\n",
            reliability_plot(&findings.reliability),
            gap(&findings.reliability)
        ));
        out.push_str(
            "<details><summary>Reliability table</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
             aria-label=\"reliability\">\n<table>\n<thead><tr><th scope=\"col\">probability</th><th scope=\"col\" class=\"n\">rows\
             </th><th scope=\"col\" class=\"n\">mean</th><th scope=\"col\" class=\"n\">right</th></tr></thead>\n<tbody>\n",
        );
        for [bin, rows, confidence, accuracy] in reliability_rows(&findings.reliability) {
            out.push_str(&format!(
                "<tr><th scope=\"row\">{bin}</th><td class=\"n\">{rows}</td><td class=\"n\">{confidence}</td><td \
                 class=\"n\">{accuracy}</td></tr>\n"
            ));
        }
        out.push_str("</tbody>\n</table>\n</div>\n</details>\n");
    }
    if let Some(best) = best_threshold(&findings.thresholds) {
        out.push_str(&format!(
            "<h3>Other thresholds</h3>\n<figure class=\"pair\">\n{}{}{}<figcaption>What comes of calling rows the second class from \
             a score on, all folds together. First: precision (blue), recall (orange), F1 (dashed). Second: the ROC curve; on the \
             dotted line scores say nothing. Third: precision against recall; dotted: the share of rows that are of the second \
             class, which calling all rows so would give. {best} A threshold that is chosen here is chosen on the rows it is \
             scored on.</figcaption>\n</figure>\n",
            threshold_plot(&findings.thresholds),
            roc_plot(&findings.thresholds),
            precision_recall_plot(&findings.thresholds)
        ));
    }
    if !findings.against_rest.is_empty() {
        out.push_str(&against_rest_figure(&findings.against_rest));
    }
    if let Some(spread) = &findings.spread {
        out.push_str(&spread_figure(spread));
    }
    out
}

/// The same in Markdown.
pub(super) fn markdown_classes(findings: &Findings) -> String {
    let mut out = String::new();
    if findings.reliability.iter().any(|bin| bin.rows > 0) {
        out.push_str(&format!(
            "### Calibration\n\n{}\n\n| probability | rows | mean | right |\n| --- | ---: | ---: | ---: |\n",
            gap(&findings.reliability)
        ));
        for [bin, rows, confidence, accuracy] in reliability_rows(&findings.reliability) {
            out.push_str(&format!("| {bin} | {rows} | {confidence} | {accuracy} |\n"));
        }
        out.push('\n');
    }
    if let Some(best) = best_threshold(&findings.thresholds) {
        out.push_str(&format!("### Other thresholds\n\n{best}\n\n"));
    }
    out
}

/// Predicted against true numbers.
pub(super) fn html_values(findings: &Findings) -> String {
    if findings.points.is_empty() {
        return String::new();
    }
    let shown = match findings.scored as usize > findings.points.len() {
        true => format!("{} of {} predictions", count(findings.points.len() as u64), count(findings.scored)),
        false => counted(findings.scored, "prediction"),
    };
    format!(
        "<h3>Predicted against true</h3>\n<figure>\n{}<figcaption>{shown}, all folds together. On the dotted line the prediction \
         is the truth.</figcaption>\n</figure>\n",
        scatter(&findings.points)
    )
}

fn gap(bins: &[Bin]) -> String {
    let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
    let gaps: f64 = bins.iter().map(|bin| bin.rows as f64 * (bin.accuracy - bin.confidence).abs()).sum();
    format!("Expected calibration error over {} bins of equal width: {}.", bins.len(), score(gaps / rows.max(1) as f64))
}

/// The bins that have rows, as cells.
fn reliability_rows(bins: &[Bin]) -> impl Iterator<Item = [String; 4]> {
    bins.iter().filter(|bin| bin.rows > 0).map(|bin| {
        [
            format!("{} to {}", fixed(bin.low, 2), fixed(bin.high, 2)),
            count(bin.rows),
            score(bin.confidence),
            score(bin.accuracy),
        ]
    })
}

fn best_threshold(thresholds: &[Threshold]) -> Option<String> {
    let best = greatest_f1(thresholds)?;
    Some(format!(
        "F1 of the second class is greatest ({}) from the score {} on: precision {}, recall {}.",
        score(best.f1),
        score(best.threshold),
        score(best.precision),
        score(best.recall)
    ))
}

fn reliability_plot(bins: &[Bin]) -> String {
    let mut plot = Plot::new(Scale::shares(), Scale::shares());
    plot.line("even", [(0.0, 0.0), (1.0, 1.0)].into_iter());
    let filled = || bins.iter().filter(|bin| bin.rows > 0);
    plot.line("first", filled().map(|bin| (bin.confidence, bin.accuracy)));
    let most = filled().map(|bin| bin.rows).max().unwrap_or(1) as f64;
    for bin in filled() {
        let title = format!(
            "probability {} to {}: {}, mean {}, right {}",
            fixed(bin.low, 2),
            fixed(bin.high, 2),
            counted(bin.rows, "row"),
            score(bin.confidence),
            score(bin.accuracy)
        );
        plot.part("dot", (bin.confidence, bin.accuracy), 2.0 + 5.0 * (bin.rows as f64 / most).sqrt(), &title);
    }
    plot.finish("Calibration: probability against the share that is right", "mean probability", "share right")
}

fn threshold_plot(thresholds: &[Threshold]) -> String {
    let Some(x) = Scale::over(thresholds.iter().map(|t| t.threshold)) else { return String::new() };
    let mut plot = Plot::new(x, Scale::shares());
    plot.line("first", thresholds.iter().map(|t| (t.threshold, t.precision)));
    plot.line("second", thresholds.iter().map(|t| (t.threshold, t.recall)));
    plot.line("third", thresholds.iter().map(|t| (t.threshold, t.f1)));
    for one in read(thresholds) {
        plot.part("point", (one.threshold, one.f1), 3.0, &told(one));
    }
    plot.finish("Precision, recall and F1 by threshold", "threshold", "share")
}

fn roc_plot(thresholds: &[Threshold]) -> String {
    let mut plot = Plot::new(Scale::shares(), Scale::shares());
    plot.line("even", [(0.0, 0.0), (1.0, 1.0)].into_iter());
    let curve = thresholds.iter().map(|t| (t.false_positive_rate, t.recall));
    plot.line("first", std::iter::once((0.0, 0.0)).chain(curve));
    for one in read(thresholds) {
        plot.part("point", (one.false_positive_rate, one.recall), 3.0, &told(one));
    }
    plot.finish("ROC curve", "false positive rate", "true positive rate")
}

fn precision_recall_plot(thresholds: &[Threshold]) -> String {
    let mut plot = Plot::new(Scale::shares(), Scale::shares());
    // the lowest threshold calls every row the second class
    if let Some(all) = thresholds.last() {
        plot.line("even", [(0.0, all.precision), (1.0, all.precision)].into_iter());
    }
    plot.line("first", thresholds.iter().map(|t| (t.recall, t.precision)));
    for one in read(thresholds) {
        plot.part("point", (one.recall, one.precision), 3.0, &told(one));
    }
    plot.finish("Precision by recall", "recall", "precision")
}

/// Each class against the rest: a line for each.
fn against_rest_figure(curves: &[(String, Vec<Threshold>)]) -> String {
    let mut rates = Plot::new(Scale::shares(), Scale::shares());
    rates.line("even", [(0.0, 0.0), (1.0, 1.0)].into_iter());
    let mut precision = Plot::new(Scale::shares(), Scale::shares());
    for (class, thresholds) in curves {
        let Some(best) = greatest_f1(thresholds) else { continue };
        let title = format!(
            "{class}: F1 is greatest ({}) from the score {} on, with precision {} and recall {}",
            score(best.f1),
            score(best.threshold),
            score(best.precision),
            score(best.recall)
        );
        let curve = thresholds.iter().map(|t| (t.false_positive_rate, t.recall));
        rates.part_line(std::iter::once((0.0, 0.0)).chain(curve), &title);
        precision.part_line(thresholds.iter().map(|t| (t.recall, t.precision)), &title);
    }
    format!(
        "<h3>Each class against the rest</h3>\n<figure class=\"pair\">\n{}{}<figcaption>What comes of calling rows a class from a \
         score of that class on, all folds together: a line for each class, which says its name when pointed at or reached by \
         keyboard. First: the ROC curve; second: precision against recall.</figcaption>\n</figure>\n",
        rates.finish("ROC curve of each class against the rest", "false positive rate", "true positive rate"),
        precision.finish("Precision by recall of each class against the rest", "recall", "precision")
    )
}

fn greatest_f1(thresholds: &[Threshold]) -> Option<&Threshold> {
    thresholds.iter().reduce(|best, one| if one.f1 > best.f1 { one } else { best })
}

/// Some thresholds, at equal distances in rows.
fn read(thresholds: &[Threshold]) -> impl Iterator<Item = &Threshold> {
    thresholds.iter().step_by(thresholds.len().div_ceil(READ).max(1))
}

fn told(one: &Threshold) -> String {
    format!(
        "from the score {} on: precision {}, recall {}, F1 {}, false positive rate {}",
        score(one.threshold),
        score(one.precision),
        score(one.recall),
        score(one.f1),
        score(one.false_positive_rate)
    )
}

/// Where the scores of two groups of rows lie.
fn spread_figure(spread: &Spread) -> String {
    let totals = spread.groups.each_ref().map(|group| group.iter().sum::<u64>());
    let shares = |group: usize| spread.groups[group].iter().map(move |rows| *rows as f64 / totals[group].max(1) as f64);
    let (Some(x), Some(y)) = (
        Scale::over([spread.low, spread.high].into_iter()),
        Scale::over(shares(0).chain(shares(1)).chain(std::iter::once(0.0))),
    ) else {
        return String::new();
    };
    let mut plot = Plot::new(x, y);
    for (group, class) in [(0, "second"), (1, "first")] {
        let steps: Vec<(f64, f64, f64)> = shares(group)
            .enumerate()
            .map(|(at, share)| {
                let [low, high] = spread.ends(at);
                (low, high, share)
            })
            .collect();
        plot.area(class, &steps);
    }
    let names = match &spread.sides {
        Sides::Labels(names) => names.clone(),
        Sides::Right => ["wrong".to_owned(), "right".to_owned()],
    };
    for at in 0..spread.groups[0].len() {
        let rows = [spread.groups[0][at], spread.groups[1][at]];
        if rows == [0, 0] {
            continue;
        }
        let [low, high] = spread.ends(at);
        let title = format!(
            "{} to {}: {} {} ({}), {} {} ({})",
            score(low),
            score(high),
            count(rows[1]),
            names[1],
            percent(rows[1], totals[1]),
            count(rows[0]),
            names[0],
            percent(rows[0], totals[0])
        );
        let top = rows.iter().zip(totals).map(|(rows, total)| *rows as f64 / total.max(1) as f64).fold(0.0, f64::max);
        plot.part("point", ((low + high) / 2.0, top), 2.0, &title);
    }
    let words = match &spread.sides {
        Sides::Labels([first, second]) => format!(
            "The score of the second class. Blue: rows that are {}; orange, dashed: rows that are {}. The less the two overlap, \
             the better the scores tell them apart.",
            bdi(second),
            bdi(first)
        ),
        Sides::Right => {
            "The score of the class that was predicted. Blue: rows that are right; orange, dashed: rows that are \
             wrong. The less the two overlap, the better a score tells what to trust."
                .to_owned()
        }
    };
    format!(
        "<h3>Scores</h3>\n<figure>\n{}<figcaption>{words} Heights are shares of all rows of the same colour, all folds \
         together.</figcaption>\n</figure>\n",
        plot.finish("How the scores are spread", "score", "share of the rows")
    )
}

/// 95% intervals of a class's precision and recall.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ClassIntervals {
    /// Of precision: over the rows that were called so.
    pub(super) precision: Option<[f64; 2]>,
    /// Of recall: over the rows that are so.
    pub(super) recall: Option<[f64; 2]>,
}

/// The intervals of each class, in the order of the variant's classes (Wilson's, rows taken as independent); nothing where rows
/// were counted more than once, since those are not.
pub(super) fn class_intervals(variant: &VariantSummary) -> Vec<ClassIntervals> {
    let counted: u64 = variant.confusion.iter().flatten().sum();
    if !has_confusion(variant) || counted != variant.rows {
        return vec![ClassIntervals::default(); variant.classes.len()];
    }
    let wilson = |hits: u64, rows: u64| wilson_interval(hits as usize, rows as usize, 0.95);
    let class = |at: usize| {
        let hits = variant.confusion[at][at];
        ClassIntervals {
            precision: wilson(hits, variant.confusion.iter().map(|row| row[at]).sum()),
            recall: wilson(hits, variant.confusion[at].iter().sum()),
        }
    };
    (0..variant.classes.len()).map(class).collect()
}

/// A class's precision above and recall below, each with its interval, between 0 and 1.
pub(super) fn class_strip(precision: f64, recall: f64, intervals: ClassIntervals) -> String {
    let mut out = "<svg class=\"strip pr\" width=\"100%\" height=\"22\" aria-hidden=\"true\">".to_owned();
    let at = |share: f64| format!("{:.2}%", 3.0 + 94.0 * share.clamp(0.0, 1.0));
    for share in [0.0, 0.5, 1.0] {
        let x = at(share);
        out.push_str(&format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"22\"/>"));
    }
    for (class, y, value, interval) in
        [("first", 6, precision, intervals.precision), ("second", 16, recall, intervals.recall)]
    {
        if let Some([low, high]) = interval {
            out.push_str(&format!(
                "<line class=\"ci {class}\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>",
                at(low),
                at(high)
            ));
        }
        if value.is_finite() {
            out.push_str(&format!("<circle class=\"{class}\" cx=\"{}\" cy=\"{y}\" r=\"4\"/>", at(value)));
        }
    }
    out + "</svg>"
}

fn scatter(points: &[(f64, f64)]) -> String {
    let both = || points.iter().flat_map(|(truth, predicted)| [*truth, *predicted]);
    let (Some(x), Some(y)) = (Scale::over(both()), Scale::over(both())) else { return String::new() };
    let ends = x.ends();
    let mut plot = Plot::new(x, y);
    plot.line("even", ends.into_iter().map(|end| (end, end)));
    points.iter().for_each(|point| plot.dot(*point, 1.8));
    plot.finish("Predicted against true numbers", "true", "predicted")
}

#[cfg(test)]
mod tests {
    use super::super::example::variant;
    use super::*;
    use crate::ml::Task;

    fn findings() -> Findings {
        let bin = |low: f64, rows, accuracy| Bin { low, high: low + 0.1, rows, confidence: low + 0.05, accuracy };
        let threshold = |threshold, precision: f64, recall: f64| Threshold {
            threshold,
            precision,
            recall,
            f1: 2.0 * precision * recall / (precision + recall),
            false_positive_rate: 1.0 - precision,
        };
        let mut found = Findings::new(Task::Classes);
        found.reliability = vec![bin(0.5, 10, 0.5), bin(0.6, 0, 0.0), bin(0.9, 30, 0.85)];
        found.thresholds = vec![threshold(0.9, 1.0, 0.25), threshold(0.4, 0.8, 0.8), threshold(0.1, 0.5, 1.0)];
        found
    }

    #[test]
    fn calibration_and_thresholds_are_shown_and_told() {
        let (html, markdown) = (html_classes(&findings()), markdown_classes(&findings()));
        // (10 · |0.5 − 0.55| + 30 · |0.85 − 0.95|) / 40
        for words in
            ["over 3 bins of equal width: 0.0875", "0.50 to 0.60", "greatest (0.8000) from the score 0.4000 on"]
        {
            assert!(html.contains(words) && markdown.contains(words), "{words}\n{html}\n{markdown}");
        }
        assert!(!html.contains("0.60 to 0.70") && !markdown.contains("0.60 to 0.70"), "an empty bin says nothing");
        assert_eq!((html.matches("<svg").count(), html.matches("part dot\"").count()), (4, 2));
        // each of the three drawings of thresholds says what its points are
        assert_eq!(html.matches("<title>from the score 0.4000 on: precision 0.8000, recall 0.8000").count(), 3);
        assert!(html.contains("probability 0.90 to 1.00: 30 rows, mean 0.9500, right 0.8500"), "{html}");
        let bare = Findings::new(Task::Classes);
        assert!(html_classes(&bare).is_empty() && markdown_classes(&bare).is_empty());
    }

    #[test]
    fn scores_are_shown_for_both_sides() {
        let mut found = findings();
        let labels = Sides::Labels(["a<".into(), "b".into()]);
        found.spread = Some(Spread { low: 0.0, high: 1.0, groups: [vec![3, 1], vec![0, 2]], sides: labels });
        let html = html_classes(&found);
        assert!(html.contains("rows that are <bdi>b</bdi>; orange, dashed: rows that are <bdi>a&lt;</bdi>"), "{html}");
        assert!(html.contains("<title>0.5000 to 1.0000: 2 b (100.0%), 1 a&lt; (25.0%)</title>"), "{html}");
        assert_eq!(html.matches("<polygon").count(), 2);
    }

    #[test]
    fn each_class_has_a_line_in_both_drawings() {
        let mut found = findings();
        found.against_rest = vec![("a<".into(), found.thresholds.clone()), ("b".into(), found.thresholds.clone())];
        let html = html_classes(&found);
        assert_eq!(html.matches("<polyline class=\"part\" points=\"46.0,212.0 ").count(), 2, "{html}");
        let title = "<title>a&lt;: F1 is greatest (0.8000) from the score 0.4000 on, with precision 0.8000 and recall 0.8000</title></polyline>";
        assert_eq!(html.matches(title).count(), 2, "{html}");
    }

    #[test]
    fn intervals_of_classes_are_wilsons() {
        let mut one = variant("a", &[0.5]);
        one.confusion = vec![vec![8, 2], vec![3, 7]];
        one.rows = 20;
        let round = |interval: Option<[f64; 2]>| interval.map(|ends| ends.map(|end| (1e4 * end).round() / 1e4));
        let of = class_intervals(&one);
        // scipy 1.17.1: binomtest(8, 10) and binomtest(8, 11), proportion_ci(method="wilson")
        assert_eq!(round(of[0].recall), Some([0.4902, 0.9433]));
        assert_eq!(round(of[0].precision), Some([0.4344, 0.9025]));
        // rows that were held out twice are not twice as many
        one.rows = 10;
        assert_eq!(class_intervals(&one), [ClassIntervals::default(); 2]);
        let strip = class_strip(f64::NAN, 1.0, ClassIntervals::default());
        assert_eq!((strip.matches("<circle").count(), strip.matches("97.00%").count()), (1, 3), "{strip}");
    }

    #[test]
    fn numbers_are_drawn_whatever_they_are() {
        let mut found = Findings::new(Task::Values);
        assert!(html_values(&found).is_empty());
        for points in [vec![(1.0, 1.0)], vec![(-1e9, 3.0), (2.0, 1e-9)], vec![(f64::NAN, 1.0), (0.0, f64::INFINITY)]] {
            found.scored = 4000;
            found.points = points;
            let drawn = html_values(&found);
            assert!(
                drawn.contains("of 4,000 predictions") && !drawn.contains("NaN") && !drawn.contains("inf"),
                "{drawn}"
            );
        }
    }
}
