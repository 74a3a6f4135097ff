//! What did searches choose, fold by fold? A table for each search of each variant.

use serde_json::Value;

use super::data::Detail;
use super::html::bdi;
use super::words::{html, markdown, markdown_code, score, score_or_dash};
use crate::record::{ChoiceRule, Chosen};

/// At most so many folds are listed of one search.
const MOST: usize = 50;

/// The searches of a variant: the stage, the paths that it set, and what it chose in each fold.
fn searches<'a>(detail: &Detail<'a>) -> Vec<(&'a str, Vec<&'a str>, Vec<&'a Chosen>)> {
    let mut all: Vec<(&str, Vec<&str>, Vec<&Chosen>)> = Vec::new();
    for chosen in &detail.variant.chosen {
        match all.last_mut().filter(|(stage, ..)| *stage == chosen.stage) {
            Some((_, _, folds)) => folds.push(chosen),
            None => all.push((&chosen.stage, chosen.params.keys().map(String::as_str).collect(), vec![chosen])),
        }
    }
    all
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        // what was drawn from a range has more digits than anybody reads
        Some(Value::Number(number)) if number.is_f64() => match number.as_f64() {
            Some(value) if value != 0.0 && (value.abs() < 1e-3 || value.abs() >= 1e6) => format!("{value:.3e}"),
            Some(value) => format!("{}", (value * 1e4).round() / 1e4),
            None => number.to_string(),
        },
        Some(value) => value.to_string(),
    }
}

/// What is said of a search whose rule is not to take the best.
const RULE: &str = "The rule is one standard error: of the candidates whose score is within one standard error of the best one’s, \
                    the first that is listed.";

/// The heads of [`best`].
const BEST: [&str; 2] = ["best", "standard error"];

/// The best candidate's score and its standard error, where another may have been taken.
fn best(chosen: &Chosen) -> Option<[String; 2]> {
    (chosen.rule != ChoiceRule::Best).then(|| [score_or_dash(chosen.best_score), score_or_dash(chosen.std_error)])
}

/// For the HTML page.
pub(super) fn html_section(out: &mut String, detail: &Detail<'_>) {
    for (stage, paths, folds) in searches(detail) {
        let metric = folds.first().map_or("", |first| first.metric.as_str());
        let ruled = folds.first().is_some_and(|first| best(first).is_some());
        let said = if ruled { format!("<p>{}</p>\n", html(RULE)) } else { String::new() };
        out.push_str(&format!(
            "<h3>Chosen by {} on the training rows of each fold</h3>\n{said}<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"what was chosen\">\n<table>\n\
             <thead><tr><th scope=\"col\" class=\"n\">fold</th>",
            bdi(stage)
        ));
        paths.iter().for_each(|path| out.push_str(&format!("<th scope=\"col\" class=\"n\">{}</th>", bdi(path))));
        out.push_str(&format!("<th scope=\"col\" class=\"n\">{}</th>", html(metric)));
        let heads = BEST.iter().filter(|_| ruled);
        heads.for_each(|head| out.push_str(&format!("<th scope=\"col\" class=\"n\">{head}</th>")));
        out.push_str("</tr></thead>\n<tbody>\n");
        for chosen in folds.iter().take(MOST) {
            out.push_str(&format!("<tr><td class=\"n\">{}</td>", chosen.fold + 1));
            let cell = |path: &&str| format!("<td class=\"n\">{}</td>", bdi(&shown(chosen.params.get(*path))));
            paths.iter().for_each(|path| out.push_str(&cell(path)));
            out.push_str(&format!("<td class=\"n\">{}</td>", score(chosen.score)));
            best(chosen).iter().flatten().for_each(|cell| out.push_str(&format!("<td class=\"n\">{cell}</td>")));
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        if folds.len() > MOST {
            out.push_str(&format!("<p>{} more folds are in <code>summary.json</code>.</p>\n", folds.len() - MOST));
        }
    }
}

/// For the Markdown file.
pub(super) fn markdown_section(out: &mut String, detail: &Detail<'_>) {
    for (stage, paths, folds) in searches(detail) {
        let metric = folds.first().map_or("", |first| first.metric.as_str());
        let ruled = folds.first().is_some_and(|first| best(first).is_some());
        let said = if ruled { format!(" {}", markdown(RULE)) } else { ":".to_owned() };
        let stop = if ruled { "." } else { "" };
        out.push_str(&format!(
            "Chosen by {} on the training rows of each fold{stop}{said}\n\n| fold |",
            markdown_code(stage)
        ));
        paths.iter().for_each(|path| out.push_str(&format!(" {} |", markdown(path))));
        out.push_str(&format!(" {} |", markdown(metric)));
        let heads: Vec<&str> = BEST.into_iter().filter(|_| ruled).collect();
        heads.iter().for_each(|head| out.push_str(&format!(" {head} |")));
        out.push_str(&format!("\n|{}\n", " ---: |".repeat(2 + paths.len() + heads.len())));
        for chosen in folds.iter().take(MOST) {
            out.push_str(&format!("| {} |", chosen.fold + 1));
            paths.iter().for_each(|path| out.push_str(&format!(" {} |", markdown(&shown(chosen.params.get(*path))))));
            out.push_str(&format!(" {} |", score(chosen.score)));
            best(chosen).iter().flatten().for_each(|cell| out.push_str(&format!(" {cell} |")));
            out.push('\n');
        }
        out.push('\n');
        if folds.len() > MOST {
            out.push_str(&format!("{} more folds are in `summary.json`.\n\n", folds.len() - MOST));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stages::report::example;

    #[test]
    fn what_was_chosen_is_listed_by_fold() {
        let chosen = |fold: u32, c: f64| Chosen {
            stage: "tuned".to_owned(),
            fold,
            params: [("model.c".to_owned(), json!(c)), ("fused.from".to_owned(), json!(["a", "<b>"]))].into(),
            metric: "accuracy".to_owned(),
            score: 0.75,
            rule: ChoiceRule::Best,
            best_score: None,
            std_error: None,
        };
        let mut summary = example::summary(vec![example::variant("", &[0.5, 0.7])]);
        summary.variants[0].chosen = vec![chosen(0, 0.123_456_789), chosen(1, 10.0)];
        let detail = Detail { name: String::new(), variant: &summary.variants[0], findings: None, importance: None };
        let mut page = String::new();
        markdown_section(&mut page, &detail);
        assert!(page.contains("| fold | fused.from | model.c | accuracy |"), "{page}");
        assert!(page.contains("| 0.1235 | 0.7500 |") && page.contains("| 10 | 0.7500 |"), "{page}");
        assert!(!page.contains("standard error"), "{page}");
        let mut page = String::new();
        html_section(&mut page, &detail);
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "{page}");
    }

    #[test]
    fn another_rule_is_told_with_the_best_score() {
        let chosen = Chosen {
            stage: "tuned".to_owned(),
            fold: 0,
            params: [("model.c".to_owned(), json!(1))].into(),
            metric: "accuracy".to_owned(),
            score: 0.75,
            rule: ChoiceRule::OneStandardError,
            best_score: Some(0.7625),
            std_error: Some(0.0125),
        };
        let mut summary = example::summary(vec![example::variant("", &[0.5, 0.7])]);
        summary.variants[0].chosen = vec![chosen];
        let detail = Detail { name: String::new(), variant: &summary.variants[0], findings: None, importance: None };
        let (mut text, mut page) = (String::new(), String::new());
        markdown_section(&mut text, &detail);
        html_section(&mut page, &detail);
        assert!(text.contains("of each fold. The rule is one standard error"), "{text}");
        assert!(text.contains("| fold | model.c | accuracy | best | standard error |\n| ---: | ---: | ---: | ---: | ---: |\n| 1 | 1 | 0.7500 | 0.7625 | 0.0125 |"), "{text}");
        assert!(page.contains("<p>The rule is one standard error"), "{page}");
        assert!(page.contains("<td class=\"n\">0.7625</td><td class=\"n\">0.0125</td></tr>"), "{page}");
    }
}
