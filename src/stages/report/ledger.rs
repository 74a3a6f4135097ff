//! How does a report show what the rows are like? The findings of the data ledger first, then its tables.

use crate::record::{DataTable, Example, Expectation, Summary, caption, same_rows};

use super::html::bdi;
use super::words::{clip, html, html_rich, markdown, markdown_code, message};

/// Rows shown of each finding, and characters of their texts.
const EXAMPLES: usize = 3;
const CLIP: usize = 160;

/// The section as HTML.
pub(super) fn html_section(out: &mut String, summary: &Summary) {
    if summary.data.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Data</h2>\n");
    let broken: Vec<String> = summary.expectations.iter().filter_map(broken).collect();
    if !broken.is_empty() {
        let items: String =
            broken.iter().map(|line| format!("<p>{}</p>\n", super::html::line(&message(line)))).collect();
        out.push_str(&format!("<div class=\"notice\" role=\"note\">\n{items}</div>\n"));
    }
    for same in same_rows(&summary.data, &summary.variants) {
        out.push_str(&format!("<p>{}</p>\n", sentence(&caption(same.first))));
        let findings = same.findings();
        if !findings.is_empty() {
            out.push_str("<ul class=\"warnings\">\n");
            for (of, one, finding) in findings {
                let of: Vec<String> = of.into_iter().map(bdi).collect();
                let of = if of.is_empty() { String::new() } else { format!(" ({})", of.join(", ")) };
                out.push_str(&format!("<li>{}{of}", sentence(&finding.message)));
                let examples = finding.examples.as_ref().and_then(|key| one.ledger.examples.get(key));
                for example in examples.into_iter().flatten().take(EXAMPLES) {
                    out.push_str(&format!("<div class=\"quiet\">{}</div>", html_example(example)));
                }
                out.push_str("</li>\n");
            }
            out.push_str("</ul>\n");
        }
        same.tables().iter().for_each(|table| html_table(out, table));
    }
    out.push_str("</section>\n");
}

/// What is not as expected: ``expected `rows` `>= 1000`, found 12``.
fn broken(expectation: &Expectation) -> Option<String> {
    let first = expectation.broken.first()?;
    Some(format!("Expected `{}` to be `{}`; it is not: {first}.", expectation.name, expectation.bound))
}

/// A message, whose names are set apart from what stands around them.
fn sentence(words: &str) -> String {
    super::html::line(&message(words))
}

fn html_example(example: &Example) -> String {
    let row = |id: &str, label: &Option<String>| match label {
        Some(label) => format!("<code>{}</code> ({})", html(id), bdi(label)),
        None => format!("<code>{}</code>", html(id)),
    };
    let rows = format!("{} = {}", row(&example.row_id, &example.label), row(&example.other, &example.other_label));
    let text = example.text.as_deref().map(|text| format!(": <bdi>{}</bdi>", html_rich(&cut(text))));
    rows + &text.unwrap_or_default()
}

fn cut(text: &str) -> String {
    let clipped = clip(text.trim(), CLIP);
    if clipped.cut > 0 { clipped.text + "…" } else { clipped.text }
}

fn html_table(out: &mut String, table: &DataTable) {
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n<table class=\"wide\">\n<caption><span>{0}</span></caption>\n<thead><tr>",
        html(&table.title)
    ));
    for (at, head) in table.head.iter().enumerate() {
        let class = if at == 0 { "" } else { " class=\"n\"" };
        out.push_str(&format!("<th scope=\"col\"{class}>{}</th>", bdi(head)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            out.push_str(&match at {
                0 => format!("<th scope=\"row\">{}</th>", bdi(cell)),
                _ => format!("<td class=\"n\">{}</td>", bdi(cell)),
            });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// The section as Markdown.
pub(super) fn markdown_section(out: &mut String, summary: &Summary) {
    if summary.data.is_empty() {
        return;
    }
    out.push_str("## Data\n\n");
    let broken: Vec<String> = summary.expectations.iter().filter_map(broken).collect();
    for (at, line) in broken.iter().enumerate() {
        let first = if at == 0 { "> [!WARNING]\n" } else { "" };
        out.push_str(&format!("{first}> - {}\n", super::markdown::line(&message(line))));
    }
    if !broken.is_empty() {
        out.push('\n');
    }
    for same in same_rows(&summary.data, &summary.variants) {
        out.push_str(&format!("{}.\n\n", super::markdown::line(&message(&caption(same.first)))));
        let findings = same.findings();
        for (of, one, finding) in &findings {
            let of: Vec<String> = of.iter().map(|name| markdown(name)).collect();
            let of = if of.is_empty() { String::new() } else { format!(" ({})", of.join(", ")) };
            out.push_str(&format!("- {}{of}\n", super::markdown::line(&message(&finding.message))));
            let examples = finding.examples.as_ref().and_then(|key| one.ledger.examples.get(key));
            for example in examples.into_iter().flatten().take(EXAMPLES) {
                out.push_str(&format!("  - {}\n", markdown_example(example)));
            }
        }
        if !findings.is_empty() {
            out.push('\n');
        }
        for table in same.tables() {
            out.push_str(&format!("### {}\n\n|", markdown(&table.title)));
            table.head.iter().for_each(|head| out.push_str(&format!(" {} |", markdown(head))));
            out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(table.head.len().saturating_sub(1))));
            for row in &table.rows {
                out.push('|');
                row.iter().for_each(|cell| out.push_str(&format!(" {} |", markdown(cell))));
                out.push('\n');
            }
            out.push('\n');
        }
    }
}

fn markdown_example(example: &Example) -> String {
    let row = |id: &str, label: &Option<String>| match label {
        Some(label) => format!("{} ({})", markdown_code(id), markdown(label)),
        None => markdown_code(id),
    };
    let rows = format!("{} = {}", row(&example.row_id, &example.label), row(&example.other, &example.other_label));
    let text = example.text.as_deref().map(|text| format!(": {}", markdown(&cut(text))));
    rows + &text.unwrap_or_default()
}
