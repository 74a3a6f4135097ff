//! How are calibration, thresholds and predicted numbers shown? Small drawings, and tables for readers without pictures.

use crate::ml::{Bin, Threshold};

use super::mistakes::Findings;
use super::svg::Scale;
use super::words::{count, counted, fixed, score};

/// Size of a drawing in pixels, and the room for its figures: left, below, right and above.
const SIZE: (f64, f64) = (300.0, 250.0);
const MARGIN: [f64; 4] = [46.0, 38.0, 10.0, 10.0];

/// A drawing of numbers against numbers.
pub(super) struct Plot {
    x: Scale,
    y: Scale,
    body: String,
}

impl Plot {
    /// An empty drawing.
    pub(super) fn new(x: Scale, y: Scale) -> Plot {
        Plot { x, y, body: String::new() }
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

    /// The drawing; `title` and the axes' names are our own words.
    pub(super) fn finish(self, title: &str, x_name: &str, y_name: &str) -> String {
        let ([left, below, right, above], (width, height)) = (MARGIN, SIZE);
        let (bottom, end) = (height - below, width - right);
        let mut out = format!(
            "<svg class=\"plot\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
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
            "<h3>Other thresholds</h3>\n<figure class=\"pair\">\n{}{}<figcaption>What comes of calling rows the second class from \
             a score on, all folds together. Left: precision (blue), recall (orange), F1 (dashed). Right: the ROC curve. \
             {best} A threshold that is chosen here is chosen on the rows it is scored on.</figcaption>\n</figure>\n",
            threshold_plot(&findings.thresholds),
            roc_plot(&findings.thresholds)
        ));
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
    let best = thresholds.iter().reduce(|best, one| if one.f1 > best.f1 { one } else { best })?;
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
        plot.dot((bin.confidence, bin.accuracy), 2.0 + 5.0 * (bin.rows as f64 / most).sqrt());
    }
    plot.finish("Calibration: probability against the share that is right", "mean probability", "share right")
}

fn threshold_plot(thresholds: &[Threshold]) -> String {
    let Some(x) = Scale::over(thresholds.iter().map(|t| t.threshold)) else { return String::new() };
    let mut plot = Plot::new(x, Scale::shares());
    plot.line("first", thresholds.iter().map(|t| (t.threshold, t.precision)));
    plot.line("second", thresholds.iter().map(|t| (t.threshold, t.recall)));
    plot.line("third", thresholds.iter().map(|t| (t.threshold, t.f1)));
    plot.finish("Precision, recall and F1 by threshold", "threshold", "share")
}

fn roc_plot(thresholds: &[Threshold]) -> String {
    let mut plot = Plot::new(Scale::shares(), Scale::shares());
    plot.line("even", [(0.0, 0.0), (1.0, 1.0)].into_iter());
    let curve = thresholds.iter().map(|t| (t.false_positive_rate, t.recall));
    plot.line("first", std::iter::once((0.0, 0.0)).chain(curve));
    plot.finish("ROC curve", "false positive rate", "true positive rate")
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
        assert_eq!((html.matches("<svg").count(), html.matches("class=\"dot\"").count()), (3, 2));
        let bare = Findings::new(Task::Classes);
        assert!(html_classes(&bare).is_empty() && markdown_classes(&bare).is_empty());
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
                drawn.contains("of 4000 predictions") && !drawn.contains("NaN") && !drawn.contains("inf"),
                "{drawn}"
            );
        }
    }
}
