//! What do the models look at? A table of blocks over all variants, and the terms that weigh most in each variant's detail.

use crate::record::{BlockWorth, ClassTerms, Importance, TermWorth, in_points};

use super::data::{Detail, Note};
use super::html::bdi;
use super::words::{fixed, html, markdown, markdown_code, score_or_dash};

/// At most so many variants have their blocks listed.
const MOST: usize = 12;
/// At most so many classes have their terms listed.
const MOST_CLASSES: usize = 30;

const ABOUT: &str = "Share: how much of the spread of the model’s decision values on held-out rows comes from the block. Falls: what the \
                     score loses when the block’s rows are shuffled among the held-out rows, so that the fitted model gets those of other \
                     rows (mean over folds ± standard deviation). Both are about this model as it is, not about what the others could make \
                     up for: blocks that know the same hide each other or share what they know.";

/// What is told of one variant.
struct Told<'a> {
    name: &'a str,
    metric: &'a str,
    of: &'a Importance,
}

impl<'a> Told<'a> {
    /// Share, score with the block shuffled, fall, in how many folds the model is worse.
    fn cells(&self, block: &'a BlockWorth) -> [String; 4] {
        let fall = block.metrics.get(self.metric);
        let dash = || "–".to_owned();
        let worse = fall.map(|fall| {
            let known: Vec<f64> = fall.folds.iter().copied().flatten().collect();
            format!("{} of {}", known.iter().filter(|fall| **fall > 0.0).count(), known.len())
        });
        let fell = fall.and_then(|fall| Some((fall.fall?, fall.std)));
        [
            block.share.map_or_else(dash, |share| format!("{}%", fixed(100.0 * share, 1))),
            score_or_dash(fall.and_then(|fall| fall.shuffled)),
            fell.map_or_else(dash, |(fall, std)| difference(self.metric, fall, std)),
            worse.unwrap_or_else(dash),
        ]
    }
}

/// `15.2 ± 0.8` (points) of a share, `0.1500 ± 0.0100` of anything else.
fn difference(metric: &str, value: f64, std: Option<f64>) -> String {
    let figure = |value: f64| match in_points(metric) {
        true => fixed(100.0 * value, 1),
        false => fixed(value, 4),
    };
    match std {
        Some(std) if value.is_finite() && std.is_finite() => format!("{} ± {}", figure(value), figure(std)),
        _ if value.is_finite() => figure(value),
        _ => "–".to_owned(),
    }
}

/// The heads of [`Told::cells`].
fn heads(metric: &str) -> [&'static str; 4] {
    let fall = if in_points(metric) { "falls by (points)" } else { "falls by" };
    ["share", "shuffled", fall, "worse in folds"]
}

/// The variants of which something was found, as they are ranked, and how many are left out.
fn told<'a>(note: &'a Note<'_>) -> (Vec<Told<'a>>, usize) {
    let mut all = Vec::new();
    for row in note.ranking.rows.iter().chain(note.apart.iter().flat_map(|other| &other.rows)) {
        let Some(of) = found(&note.summary.importances, &row.variant.id, &row.variant.evaluation) else { continue };
        let ranking = note.ranking.metric.as_str();
        let metrics = of.worth.blocks.first().map(|block| &block.metrics);
        let metric = metrics.and_then(|metrics| metrics.keys().find(|name| *name == ranking).or(metrics.keys().next()));
        all.push(Told { name: &row.name, metric: metric.map_or(ranking, String::as_str), of });
    }
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    (all, more)
}

/// What was found of a variant.
pub(super) fn found<'a>(all: &'a [Importance], variant: &str, evaluation: &str) -> Option<&'a Importance> {
    all.iter().find(|one| one.variant == variant && one.evaluation == evaluation)
}

/// For the HTML page.
pub(super) fn html_section(out: &mut String, note: &Note<'_>) {
    let (told, more) = told(note);
    let Some(first) = told.first() else { return };
    out.push_str(&format!(
        "<section>\n<h2>What the models look at</h2>\n<p>{}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"what the \
         models look at\">\n<table class=\"wide\">\n<caption><span>The blocks of each model’s features; what falls is {}.</span></caption>\n\
         <thead><tr><th scope=\"col\">variant</th><th scope=\"col\">block</th>",
        html(ABOUT),
        bdi(first.metric)
    ));
    heads(first.metric).iter().for_each(|head| out.push_str(&format!("<th scope=\"col\" class=\"n\">{head}</th>")));
    out.push_str("</tr></thead>\n<tbody>\n");
    for variant in &told {
        for block in &variant.of.worth.blocks {
            out.push_str(&format!("<tr><td>{}</td><th scope=\"row\">{}</th>", bdi(variant.name), bdi(&block.block)));
            variant.cells(block).iter().for_each(|cell| out.push_str(&format!("<td class=\"n\">{}</td>", html(cell))));
            out.push_str("</tr>\n");
        }
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    for (why, names) in unshuffled(&told) {
        let names: Vec<String> = names.iter().map(|name| bdi(name)).collect();
        out.push_str(&format!(
            "<p class=\"quiet\">Nothing was shuffled for {}: {}.</p>\n",
            names.join(", "),
            html(why)
        ));
    }
    if more > 0 {
        out.push_str(&format!("<p class=\"quiet\">{more} more in <code>summary.json</code>.</p>\n"));
    }
    out.push_str("</section>\n");
}

/// For the Markdown file.
pub(super) fn markdown_section(out: &mut String, note: &Note<'_>) {
    let (told, more) = told(note);
    let Some(first) = told.first() else { return };
    out.push_str(&format!(
        "## What the models look at\n\n{}\n\nWhat falls is {}.\n\n| variant | block |",
        markdown(ABOUT),
        markdown_code(first.metric)
    ));
    heads(first.metric).iter().for_each(|head| out.push_str(&format!(" {head} |")));
    out.push_str(&format!("\n| --- | --- |{}\n", " ---: |".repeat(heads(first.metric).len())));
    for variant in &told {
        for block in &variant.of.worth.blocks {
            let cells = variant.cells(block).join(" | ");
            out.push_str(&format!("| {} | {} | {cells} |\n", markdown(variant.name), markdown(&block.block)));
        }
    }
    out.push('\n');
    for (why, names) in unshuffled(&told) {
        let names: Vec<String> = names.iter().map(|name| markdown(name)).collect();
        out.push_str(&format!("Nothing was shuffled for {}: {}.\n\n", names.join(", "), markdown(why)));
    }
    if more > 0 {
        out.push_str(&format!("{more} more in `summary.json`.\n\n"));
    }
}

/// Why nothing was shuffled, each reason with the variants.
fn unshuffled<'a>(told: &[Told<'a>]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for variant in told {
        let Some(why) = variant.of.unshuffled.as_deref() else { continue };
        match all.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(variant.name),
            None => all.push((why, vec![variant.name])),
        }
    }
    all
}

/// The classes with their terms, and how many classes are left out.
fn classes<'a>(detail: &Detail<'a>) -> (&'a [ClassTerms], usize) {
    let all = detail.importance.map(|of| of.worth.terms.as_slice()).unwrap_or_default();
    let shown = all.len().min(MOST_CLASSES);
    (&all[..shown], all.len() - shown)
}

/// What a class is called; a number goes up or down.
fn heading(class: &ClassTerms) -> &str {
    if class.class.is_empty() { "a higher number" } else { &class.class }
}

/// A blank at an end of a term is part of it.
fn shown(term: &str) -> String {
    let core = term.trim_matches(' ');
    let blanks = |count: usize| "␣".repeat(count);
    match term.find(core).filter(|_| !core.is_empty()) {
        Some(at) => format!("{}{core}{}", blanks(at), blanks(term.len() - at - core.len())),
        None => blanks(term.len()),
    }
}

/// True if terms of several blocks are listed, so that they must be told apart.
fn several_blocks(classes: &[ClassTerms]) -> bool {
    let mut blocks = classes.iter().flat_map(|class| class.towards.iter().chain(&class.away)).map(|term| &term.block);
    let first = blocks.next();
    blocks.any(|block| Some(block) != first)
}

const TERMS: &str = "By weight times the standard deviation of the term’s values in held-out rows, mean over folds.";

/// The terms of a variant, for the HTML page.
pub(super) fn html_terms(out: &mut String, detail: &Detail<'_>) {
    let (classes, more) = classes(detail);
    if classes.is_empty() {
        return;
    }
    let (several, away) = (several_blocks(classes), classes.iter().any(|class| !class.away.is_empty()));
    out.push_str(&format!(
        "<h3>Terms that weigh most</h3>\n<p>{}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"terms that weigh most\">\n\
         <table class=\"wide\">\n<thead><tr><th scope=\"col\">class</th><th scope=\"col\">speak for it</th>{}</tr></thead>\n<tbody>\n",
        html(TERMS),
        if away { "<th scope=\"col\">speak against it</th>" } else { "" }
    ));
    let term = |term: &TermWorth| {
        let block = if several { format!(" {}", bdi(&term.block)) } else { String::new() };
        format!("{} <span class=\"quiet\">{}{block}</span>", bdi(&shown(&term.term)), fixed(term.impact, 3))
    };
    let list = |terms: &[TermWorth]| terms.iter().map(term).collect::<Vec<_>>().join(", ");
    for class in classes {
        out.push_str(&format!("<tr><th scope=\"row\">{}</th><td>{}</td>", bdi(heading(class)), list(&class.towards)));
        if away {
            out.push_str(&format!("<td>{}</td>", list(&class.away)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    if more > 0 {
        out.push_str(&format!("<p class=\"quiet\">{more} more classes in <code>summary.json</code>.</p>\n"));
    }
}

/// The terms of a variant, for the Markdown file.
pub(super) fn markdown_terms(out: &mut String, detail: &Detail<'_>) {
    let (classes, more) = classes(detail);
    if classes.is_empty() {
        return;
    }
    let (several, away) = (several_blocks(classes), classes.iter().any(|class| !class.away.is_empty()));
    out.push_str(&format!("### Terms that weigh most\n\n{}\n\n| class | speak for it |", markdown(TERMS)));
    out.push_str(if away { " speak against it |\n| --- | --- | --- |\n" } else { "\n| --- | --- |\n" });
    let term = |term: &TermWorth| {
        let block = if several { format!(", {}", markdown(&term.block)) } else { String::new() };
        format!("{} ({}{block})", markdown(&shown(&term.term)), fixed(term.impact, 3))
    };
    let list = |terms: &[TermWorth]| terms.iter().map(term).collect::<Vec<_>>().join(", ");
    for class in classes {
        out.push_str(&format!("| {} | {} |", markdown(heading(class)), list(&class.towards)));
        out.push_str(&if away { format!(" {} |\n", list(&class.away)) } else { "\n".to_owned() });
    }
    out.push('\n');
    if more > 0 {
        out.push_str(&format!("{more} more classes in `summary.json`.\n\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fall, Worth};
    use crate::stages::report::example::{results, summary, variant};

    fn term(block: &str, term: &str, impact: f64) -> TermWorth {
        TermWorth { block: block.into(), term: term.into(), weight: 2.0 * impact, impact, folds: 2 }
    }

    fn written(terms: Vec<ClassTerms>) -> (String, String) {
        let mut run = summary(vec![variant("bo|th", &[0.8, 0.9]), variant("only words", &[0.7, 0.8])]);
        let fall = |fall: f64| Fall {
            shuffled: Some(0.5),
            fall: Some(fall),
            std: Some(0.01),
            folds: vec![Some(fall), Some(-0.1)],
        };
        let block = |name: &str, share, falls: Option<f64>| BlockWorth {
            block: name.into(),
            share,
            shares: vec![share; 2],
            metrics: falls.map(|falls| ("accuracy".to_owned(), fall(falls))).into_iter().collect(),
        };
        let of = |at: usize, unshuffled: Option<&str>, blocks| Importance {
            variant: run.variants[at].id.clone(),
            evaluation: "scores".into(),
            unshuffled: unshuffled.map(str::to_owned),
            worth: Worth { permutations: 1, blocks, terms: terms.clone() },
        };
        run.importances = vec![
            of(1, Some("its model reads one block of features"), vec![block("words", Some(1.0), None)]),
            of(0, None, vec![block("<i>", Some(-0.125), Some(0.1525)), block("vectors", None, Some(-0.0004))]),
        ];
        assert_ne!(run.variants[0].id, run.variants[1].id);
        let results = results(&run, Vec::new());
        let note = Note::of(&results, None, None, 5).unwrap();
        let (mut html, mut markdown) = (String::new(), String::new());
        html_section(&mut html, &note);
        html_terms(&mut html, &note.details[0]);
        markdown_section(&mut markdown, &note);
        markdown_terms(&mut markdown, &note.details[0]);
        (html, markdown)
    }

    #[test]
    fn blocks_are_told_as_the_variants_are_ranked() {
        let (html, markdown) = written(Vec::new());
        let lines: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
        assert_eq!(
            lines,
            [
                "| bo\\|th | \\<i\\> | −12.5% | 0.5000 | 15.2 ± 1.0 | 1 of 2 |",
                "| bo\\|th | vectors | – | 0.5000 | 0.0 ± 1.0 | 0 of 2 |",
                "| only words | words | 100.0% | – | – | – |",
            ]
        );
        assert!(markdown.contains("Nothing was shuffled for only words: its model reads one block of features."));
        assert!(
            html.contains("<td class=\"n\">15.2 ± 1.0</td>") && html.contains("&lt;i&gt;") && !html.contains("<i>")
        );
        assert!(!html.contains("Terms that weigh most") && !markdown.contains("Terms that weigh most"));
    }

    #[test]
    fn terms_are_listed_and_escaped() {
        let class = |class: &str, away| ClassTerms {
            class: class.into(),
            towards: vec![term("words", "<b>|", 1.25), term("letters", " th ", 0.5)],
            away,
        };
        let (html, markdown) = written(vec![class("p|s", Vec::new())]);
        assert!(markdown.contains("| p\\|s | \\<b\\>\\| (1.250, words), ␣th␣ (0.500, letters) |"), "{markdown}");
        assert!(
            html.contains("&lt;b&gt;|</bdi> <span class=\"quiet\">1.250 <bdi>words</bdi></span>")
                && !html.contains("<b>"),
            "{html}"
        );
        assert!(!html.contains("speak against"));
        let (html, markdown) = written(vec![class("", vec![term("words", "no", -0.75)])]);
        assert!(markdown.contains("| a higher number |") && markdown.contains("| no (−0.750, words) |"), "{markdown}");
        assert!(html.contains("speak against it"));
        assert_eq!([shown("  "), shown("a b"), shown(" ü")], ["␣␣", "a b", "␣ü"]);
    }
}
