//! What does each part add, and what would more training rows? Tables of blocks, and learning curves.

use crate::record::{
    ClassGain, Contribution, CurvePoint, Gain, LearningCurve, MetricSummary, VariantSummary, gap_interval, in_points,
    p_words,
};

use super::curves::Plot;
use super::data::Note;
use super::html::bdi;
use super::rank::with_interval;
use super::svg::Scale;
use super::words::{count, counted, fixed, html, markdown, markdown_code, score_or_dash, seconds};

/// At most so many classes are listed of one table, those for which the blocks matter most.
const MOST_CLASSES: usize = 30;
/// At most so many tables, and curves, are shown.
const MOST: usize = 12;
/// How lines of one drawing are told apart.
const LINES: [(&str, &str); 3] = [("first", "blue"), ("second", "orange"), ("third", "dashed")];

/// The blocks of one stage of one variant.
struct Blocks<'a> {
    stage: &'a str,
    /// What the variant is called; empty for the only one with all blocks.
    name: &'a str,
    metric: &'a str,
    all: Option<f64>,
    of: Vec<&'a Contribution>,
}

impl<'a> Blocks<'a> {
    fn gain(&self, of: &'a Contribution) -> Option<&'a Gain> {
        of.metrics.get(self.metric)
    }

    /// One line for each block: what it scores alone, the others without it, what it adds, in how many folds, its cost.
    fn rows(&self) -> Vec<(&'a str, [String; 7])> {
        let row = |of: &&'a Contribution| {
            let gain = self.gain(of);
            let better = gain.map_or(0, |gain| gain.folds.iter().flatten().filter(|fold| **fold > 0.0).count());
            let folds = gain.map_or(0, |gain| gain.folds.len());
            let cells = [
                score_or_dash(gain.and_then(|gain| gain.alone)),
                score_or_dash(gain.and_then(|gain| gain.without)),
                gain.and_then(|gain| gain.gain).map_or_else(|| "–".to_owned(), |gain| difference(self.metric, gain)),
                gain.and_then(|gain| gain.ci95)
                    .map_or_else(|| "–".to_owned(), |ci| gap_interval(self.metric, ci, true)),
                gain.and_then(|gain| gain.p_adjusted).map_or_else(|| "–".to_owned(), p_words),
                if folds > 0 { format!("{better} of {folds}") } else { "–".to_owned() },
                seconds(of.seconds),
            ];
            (of.block.as_str(), cells)
        };
        self.of.iter().map(row).collect()
    }

    /// Each class with what each block adds to its F1, in points; the classes for which blocks matter most first where they are many.
    fn classes(&self) -> Vec<(&'a str, Vec<String>)> {
        let first = self.of.first().map(|of| of.classes.as_slice()).unwrap_or_default();
        let classes = |at: usize| self.of.iter().map(move |of| of.classes.get(at));
        let gains = |at: usize| classes(at).map(|class| class.and_then(|class| class.gain));
        let mut order: Vec<usize> = (0..first.len()).filter(|at| gains(*at).any(|gain| gain.is_some())).collect();
        if order.len() > MOST_CLASSES {
            let most = |at: usize| gains(at).flatten().map(f64::abs).fold(0.0, f64::max);
            order.sort_by(|a, b| most(*b).total_cmp(&most(*a)));
            order.truncate(MOST_CLASSES);
        }
        let told = |class: Option<&ClassGain>| {
            let Some((class, gain)) = class.and_then(|class| Some((class, class.gain?))) else {
                return "–".to_owned();
            };
            let interval =
                |[low, high]: [f64; 2]| format!(" ({} to {})", fixed(100.0 * low, 1), fixed(100.0 * high, 1));
            format!("{}{}", difference("f1", gain), class.ci95.map(interval).unwrap_or_default())
        };
        order.into_iter().map(|at| (first[at].class.as_str(), classes(at).map(told).collect())).collect()
    }
}

/// A signed difference: `+2.0` (points) of a share, `−0.1500` of anything else.
fn difference(metric: &str, value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = if in_points(metric) { fixed(100.0 * value, 1) } else { fixed(value, 4) };
    let none = !digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    if value > 0.0 && !none { format!("+{digits}") } else { digits }
}

/// The heads of [`Blocks::rows`].
fn heads(metric: &str) -> [&'static str; 7] {
    let gain = if in_points(metric) { "adds (points)" } else { "adds" };
    ["alone", "the others", gain, "95% interval", "p", "better in folds", "costs"]
}

const ABOUT: &str = "What each block adds: the score of all blocks less that of the others without it, on the same rows. The p values are \
                     corrected over the blocks of a table (Holm). A block may score well alone and add little, because the others know the \
                     same. Costs are seconds of work in the stages that this block alone needs.";

/// The blocks by stage and variant, in the order of the summary.
fn blocks<'a>(note: &'a Note<'_>) -> Vec<Blocks<'a>> {
    let mut all: Vec<Blocks<'a>> = Vec::new();
    let same = |one: &Contribution, other: &Contribution| {
        (&one.stage, &one.all, &one.evaluation) == (&other.stage, &other.all, &other.evaluation)
    };
    for of in &note.summary.contributions {
        match all.last_mut().filter(|blocks| blocks.of.iter().all(|first| same(first, of))) {
            Some(blocks) => blocks.of.push(of),
            None => {
                // a metric of numbers ranks nothing among classes, and the other way about
                let ranking = note.ranking.metric.as_str();
                let metric = of.metrics.keys().find(|name| *name == ranking).or_else(|| of.metrics.keys().next());
                let metric = metric.map_or("", String::as_str);
                let all_blocks = of.metrics.get(metric).and_then(|gain| gain.all);
                let name = scored(note, &of.all, &of.evaluation).map_or("", |variant| variant.label.as_str());
                all.push(Blocks { stage: &of.stage, name, metric, all: all_blocks, of: vec![of] });
            }
        }
    }
    all
}

/// A variant's scores.
fn scored<'a>(note: &'a Note<'_>, id: &str, evaluation: &str) -> Option<&'a VariantSummary> {
    note.summary.variants.iter().find(|variant| variant.id == id && variant.evaluation == evaluation)
}

/// A learning curve with its scores.
struct Curve<'a> {
    name: String,
    points: Vec<(u64, &'a MetricSummary)>,
}

/// The curves that have the metric that ranks at two numbers of rows or more.
fn curves<'a>(note: &'a Note<'_>) -> Vec<Curve<'a>> {
    let several =
        |curve: &LearningCurve| note.summary.learning_curves.iter().any(|other| other.evaluation != curve.evaluation);
    let curve = |curve: &'a LearningCurve| {
        let metric = |point: &CurvePoint| {
            let variant = scored(note, &point.variant, &curve.evaluation)?;
            Some((point.train_rows, variant.metrics.get(&note.ranking.metric)?))
        };
        let name = match (curve.label.is_empty(), several(curve)) {
            (true, _) => curve.evaluation.clone(),
            (false, false) => curve.label.clone(),
            (false, true) => format!("{}, {}", curve.label, curve.evaluation),
        };
        Curve { name, points: curve.points.iter().filter_map(metric).collect() }
    };
    note.summary.learning_curves.iter().map(curve).filter(|curve| curve.points.len() > 1).collect()
}

/// For the HTML page.
pub(super) fn html_section(out: &mut String, note: &Note<'_>) {
    let (blocks, curves) = (blocks(note), curves(note));
    if !blocks.is_empty() {
        out.push_str(&format!("<section>\n<h2>What each part adds</h2>\n<p>{}</p>\n", html(ABOUT)));
        blocks.iter().take(MOST).for_each(|blocks| html_blocks(out, blocks));
        if blocks.len() > MOST {
            out.push_str(&format!("<p>{} more in <code>summary.json</code>.</p>\n", blocks.len() - MOST));
        }
        out.push_str("</section>\n");
    }
    if !curves.is_empty() {
        out.push_str(&format!(
            "<section>\n<h2>Learning curves</h2>\n<p><code>{}</code> over the rows that each fold trains on, on a logarithmic scale. What is \
             held out is the same everywhere, and the rows of a smaller number are among those of a larger one.</p>\n",
            html(&note.ranking.metric)
        ));
        curves.chunks(LINES.len()).take(MOST).for_each(|some| drawn(out, some, &curves));
        html_points(out, &curves, &note.ranking.metric);
        out.push_str("</section>\n");
    }
}

fn html_blocks(out: &mut String, blocks: &Blocks<'_>) {
    let of = if blocks.name.is_empty() { String::new() } else { format!(" in {}", bdi(blocks.name)) };
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"what each part adds\">\n<table class=\"wide\">\n<caption><span>The \
         blocks of {}{of}: {} {} with all of them.</span></caption>\n<thead><tr><th scope=\"col\">block</th>",
        bdi(blocks.stage),
        bdi(blocks.metric),
        score_or_dash(blocks.all)
    ));
    for head in heads(blocks.metric) {
        out.push_str(&format!("<th scope=\"col\" class=\"n\">{head}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (block, cells) in blocks.rows() {
        out.push_str(&format!("<tr><th scope=\"row\">{}</th>", bdi(block)));
        cells.iter().for_each(|cell| out.push_str(&format!("<td class=\"n\">{}</td>", html(cell))));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    let classes = blocks.classes();
    if classes.is_empty() {
        return;
    }
    out.push_str(
        "<details><summary>What each block adds to each class</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"what each part adds to each class\">\n<table>\n<caption><span>Points of F1, all folds together, with 95% intervals; each stands for itself, so of many some leave out 0 by \
         chance.</span></caption>\n<thead><tr>\
         <th scope=\"col\">class</th>",
    );
    for of in &blocks.of {
        out.push_str(&format!("<th scope=\"col\" class=\"n\">{}</th>", bdi(&of.block)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (class, cells) in classes {
        out.push_str(&format!("<tr><th scope=\"row\">{}</th>", bdi(class)));
        cells.iter().for_each(|cell| out.push_str(&format!("<td class=\"n\">{}</td>", html(cell))));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n</details>\n");
}

/// Up to three curves in one drawing, over the logarithm of the rows; `all` are on the same scales.
fn drawn(out: &mut String, curves: &[Curve<'_>], all: &[Curve<'_>]) {
    let points = || all.iter().flat_map(|curve| &curve.points);
    let mut rows: Vec<u64> = points().map(|(rows, _)| (*rows).max(1)).collect();
    rows.sort_unstable();
    rows.dedup();
    let marks = rows.iter().map(|rows| ((*rows as f64).log10(), count(*rows))).collect();
    let folds = points().flat_map(|(_, metric)| metric.folds.iter().copied().flatten());
    let (Some(x), Some(y)) = (Scale::with_marks(marks), Scale::over(folds)) else { return };
    let mut plot = Plot::new(x, y);
    let at = |rows: u64| (rows.max(1) as f64).log10();
    if let [one] = curves {
        for (rows, metric) in &one.points {
            metric.folds.iter().flatten().for_each(|fold| plot.dot((at(*rows), *fold), 1.6));
        }
    }
    for (curve, (class, _)) in curves.iter().zip(LINES) {
        plot.line(class, curve.points.iter().filter_map(|(rows, metric)| Some((at(*rows), metric.score()?))));
    }
    let named: Vec<String> = match curves {
        [one] => vec![format!("{} (dots are folds)", bdi(&one.name))],
        _ => curves.iter().zip(LINES).map(|(curve, (_, words))| format!("{} ({words})", bdi(&curve.name))).collect(),
    };
    out.push_str(&format!(
        "<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n",
        plot.finish("Learning curve", "rows", "score"),
        named.join(", ")
    ));
}

fn html_points(out: &mut String, curves: &[Curve<'_>], metric: &str) {
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"learning curves\">\n<table>\n<caption><span>{}, with 95% intervals.</span></caption>\n<thead><tr><th scope=\"col\">curve</th><th scope=\"col\" class=\"n\">rows</th><th scope=\"col\" \
         class=\"n\">score</th></tr></thead>\n<tbody>\n",
        bdi(metric)
    ));
    for (name, rows, score) in lines(curves) {
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{rows}</td><td class=\"n\">{score}</td></tr>\n",
            bdi(name)
        ));
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// Each point of each curve: its curve, its rows and its score.
fn lines<'c>(curves: &'c [Curve<'_>]) -> impl Iterator<Item = (&'c str, String, String)> {
    curves.iter().take(MOST).flat_map(|curve| {
        curve.points.iter().map(|(rows, metric)| {
            let score = with_interval(metric);
            (curve.name.as_str(), count(*rows), score)
        })
    })
}

/// For the Markdown file.
pub(super) fn markdown_section(out: &mut String, note: &Note<'_>) {
    let (blocks, curves) = (blocks(note), curves(note));
    if !blocks.is_empty() {
        out.push_str(&format!("## What each part adds\n\n{}\n\n", markdown(ABOUT)));
        blocks.iter().take(MOST).for_each(|blocks| markdown_blocks(out, blocks));
        if blocks.len() > MOST {
            out.push_str(&format!("{} more in `summary.json`.\n\n", blocks.len() - MOST));
        }
    }
    if !curves.is_empty() {
        out.push_str(&format!(
            "## Learning curves\n\n{}, with 95% intervals, {} in all.\n\n| curve | rows | score |\n| --- | ---: | ---: |\n",
            markdown_code(&note.ranking.metric),
            counted(curves.len() as u64, "curve")
        ));
        for (name, rows, score) in lines(&curves) {
            out.push_str(&format!("| {} | {rows} | {score} |\n", markdown(name)));
        }
        out.push('\n');
    }
}

fn markdown_blocks(out: &mut String, blocks: &Blocks<'_>) {
    let of = if blocks.name.is_empty() { String::new() } else { format!(" in {}", markdown(blocks.name)) };
    out.push_str(&format!(
        "The blocks of {}{of}: {} {} with all of them.\n\n| block |",
        markdown_code(blocks.stage),
        markdown_code(blocks.metric),
        score_or_dash(blocks.all)
    ));
    heads(blocks.metric).iter().for_each(|head| out.push_str(&format!(" {head} |")));
    out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(heads(blocks.metric).len())));
    for (block, cells) in blocks.rows() {
        out.push_str(&format!("| {} | {} |\n", markdown(block), cells.join(" | ")));
    }
    out.push('\n');
    let classes = blocks.classes();
    if classes.is_empty() {
        return;
    }
    out.push_str("What each block adds to each class, in points of F1, all folds together, with 95% intervals (each stands for itself, so of many some \
         leave out 0 by chance):\n\n| class |");
    blocks.of.iter().for_each(|of| out.push_str(&format!(" {} |", markdown(&of.block))));
    out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(blocks.of.len())));
    for (class, cells) in classes {
        out.push_str(&format!("| {} | {} |\n", markdown(class), cells.join(" | ")));
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::stages::report::example::{results, summary, variant};

    fn written() -> (String, String) {
        let mut run = summary(vec![variant("features=all", &[0.8, 0.9]), variant("b", &[0.7, 0.8])]);
        run.variants[1].id = "bbbbbbbbbbbb".to_owned();
        let gain = Gain {
            all: Some(0.85),
            without: Some(0.8275),
            alone: Some(0.5),
            gain: Some(0.0225),
            ci95: Some([-0.001, 0.046]),
            p: Some(0.03),
            p_adjusted: Some(0.06),
            method: None,
            folds: vec![Some(0.05), Some(-0.005)],
        };
        let class = |name: &str, gain, ci95| {
            let class = name.to_owned();
            ClassGain { class, all: 0.8, without: None, alone: None, gain, ci95 }
        };
        let of = |block: &str, gain: Gain| Contribution {
            stage: "fused".to_owned(),
            axis: "features".to_owned(),
            block: block.to_owned(),
            evaluation: "scores".to_owned(),
            all: run.variants[0].id.clone(),
            without: None,
            alone: None,
            seconds: 1.5,
            metrics: BTreeMap::from([("accuracy".to_owned(), gain)]),
            classes: vec![class("<i>", Some(-0.031), Some([-0.07, 0.008])), class("b|b", None, None)],
        };
        run.contributions =
            vec![of("tf<idf", gain.clone()), of("vectors", Gain { gain: None, ci95: None, p_adjusted: None, ..gain })];
        let point = |variant: usize, train_rows| CurvePoint { variant: run.variants[variant].id.clone(), train_rows };
        run.learning_curves = vec![LearningCurve {
            evaluation: "scores".to_owned(),
            axis: "train_rows".to_owned(),
            label: "x<y".to_owned(),
            points: vec![point(1, 100), point(0, 12_000)],
        }];
        let results = results(&run, Vec::new());
        let note = Note::of(&results, None, None, 5).unwrap();
        let (mut html, mut markdown) = (String::new(), String::new());
        html_section(&mut html, &note);
        markdown_section(&mut markdown, &note);
        (html, markdown)
    }

    #[test]
    fn blocks_are_told_in_points_with_their_cost() {
        let (html, markdown) = written();
        assert!(
            markdown
                .contains("| tf\\<idf | 0.5000 | 0.8275 | +2.2 | −0.1 to 4.6 points | p = 0.060 | 1 of 2 | 1.5 s |"),
            "{markdown}"
        );
        assert!(markdown.contains("| vectors | 0.5000 | 0.8275 | – | – | – | 1 of 2 | 1.5 s |"), "{markdown}");
        assert!(markdown.contains("| \\<i\\> | −3.1 (−7.0 to 0.8) | −3.1 (−7.0 to 0.8) |"), "{markdown}");
        assert!(!markdown.contains("b\\|b"), "a class of which nothing is known has no line");
        for words in ["tf&lt;idf", "<td class=\"n\">+2.2</td>", "</bdi> 0.8500 with all of them", "&lt;i&gt;"] {
            assert!(html.contains(words), "{words}\n{html}");
        }
        assert!(!html.contains("tf<idf") && !html.contains("<i>"));
    }

    #[test]
    fn curves_are_drawn_and_told() {
        let (html, markdown) = written();
        assert!(markdown.contains("| x\\<y | 100 | 0.7500 (0.6793 to 0.8207) |"), "{markdown}");
        assert!(markdown.contains("| x\\<y | 12,000 | 0.8500 (0.7793 to 0.9207) |"), "{markdown}");
        assert_eq!((html.matches("<svg").count(), html.matches("class=\"dot\"").count()), (1, 4));
        assert!(html.contains("x&lt;y") && !html.contains("x<y") && !html.contains("NaN"), "{html}");
        assert!(html.contains(">100</text>") && html.contains(">12,000</text>"), "{html}");
    }

    #[test]
    fn differences_have_signs_and_units() {
        assert_eq!(difference("f1_macro", 0.0123), "+1.2");
        assert_eq!([difference("accuracy", -0.0004), difference("accuracy", 0.0004)], ["0.0", "0.0"]);
        assert_eq!(difference("log_loss", -0.25), "\u{2212}0.2500");
        assert_eq!(difference("log_loss", f64::NAN), "–");
    }
}
