//! From what, and with what, was it made? The last section, in both forms.

use super::data::Note;
use super::html::bdi;
use super::words::{count, counted, fence, html, markdown, markdown_code, seconds};

/// What ran and what was reused, in a sentence or two.
pub(super) fn work_sentence(note: &Note<'_>) -> String {
    let totals = &note.summary.totals;
    let all = totals.ran + totals.reused + totals.failed + totals.skipped;
    let mut out =
        format!("Of {}, {} ran and {} were reused", counted(all, "unit"), count(totals.ran), count(totals.reused));
    if totals.failed > 0 {
        out.push_str(&format!(", {} failed", count(totals.failed)));
    }
    if totals.skipped > 0 {
        out.push_str(&format!(", {} did not run", count(totals.skipped)));
    }
    out.push_str(&format!(
        ". The run took {}; its units worked for {} over all threads",
        seconds(totals.seconds),
        seconds(note.worked())
    ));
    match note.saved() {
        saved if saved > 0.0 => out.push_str(&format!(", and reuse saved {}.", seconds(saved))),
        _ => out.push('.'),
    }
    out
}

/// The parameters of a variant: `c = 1, features = "both"`.
fn params(variant: &crate::record::VariantSummary) -> String {
    let each = variant.params.iter().map(|(axis, value)| match value.as_str() {
        Some(words) => format!("{axis} = {words}"),
        None => format!("{axis} = {value}"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The command that runs it again. Its file is where it was typed; values that flags set stand in the pipeline alone.
fn command(note: &Note<'_>) -> String {
    let mut words = vec!["fuseline".to_owned(), "run".to_owned(), quoted(note.file)];
    if let Some(selection) = &note.summary.selection {
        selection.variants.iter().for_each(|one| words.extend(["--variant".to_owned(), quoted(one)]));
        selection.partition.iter().for_each(|one| words.extend(["--partition".to_owned(), quoted(one)]));
    }
    words.join(" ")
}

/// A word for a shell, in quotes where it needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The section as HTML.
pub(super) fn html_section(out: &mut String, note: &Note<'_>) {
    let summary = note.summary;
    out.push_str("<section>\n<h2>Provenance</h2>\n<dl>\n");
    let mut entry = |name: &str, value: String| out.push_str(&format!("<dt>{name}</dt><dd>{value}</dd>\n"));
    entry("pipeline", format!("{} <span class=\"quiet\">({})</span>", bdi(&summary.name), bdi(note.file)));
    entry("fuseline", html(&summary.fuseline_version));
    entry("seed", summary.seed.to_string());
    entry("to repeat", format!("<code data-copy>{}</code>", html(&command(note))));
    out.push_str("</dl>\n");
    let mut table = |caption: &str, heads: &[&str], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return;
        }
        out.push_str(&format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table class=\"wide\">\n<caption><span>{caption}</span></caption>\n\
             <thead><tr>"
        ));
        for head in heads {
            let class = if *head == "rows" { " class=\"n\"" } else { "" };
            out.push_str(&format!("<th scope=\"col\"{class}>{head}</th>"));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            out.push_str("<tr>");
            for (i, (cell, head)) in row.iter().zip(heads).enumerate() {
                out.push_str(&match (i, *head) {
                    (0, _) => format!("<th scope=\"row\">{cell}</th>"),
                    (_, "rows") => format!("<td class=\"n\">{cell}</td>"),
                    (_, "digest") => format!("<td class=\"digest\">{cell}</td>"),
                    _ => format!("<td>{cell}</td>"),
                });
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n</div>\n");
    };
    let code = |text: &str| format!("<code>{}</code>", html(text));
    let inputs = summary.inputs.iter().map(|i| vec![bdi(&i.source), count(i.rows), code(&i.digest)]);
    table("Data", &["source", "rows", "digest"], inputs.collect());
    let models = summary.models.iter().map(|m| vec![bdi(&m.id), code(&m.digest)]);
    table("Models", &["file", "digest"], models.collect());
    let variants = summary.variants.iter().map(|v| {
        let label = if v.label.is_empty() { "–".to_owned() } else { bdi(&v.label) };
        vec![label, code(&v.id), bdi(&v.evaluation), bdi(&params(v))]
    });
    table("Variants", &["variant", "id", "scored by", "values"], variants.collect());
    if !note.pipeline.trim().is_empty() {
        out.push_str(&format!(
            "<details><summary>The pipeline as it was run</summary>\n<pre tabindex=\"0\">{}</pre>\n</details>\n",
            html(note.pipeline)
        ));
    }
    out.push_str("</section>\n");
}

/// The section as Markdown.
pub(super) fn markdown_section(out: &mut String, note: &Note<'_>) {
    let summary = note.summary;
    out.push_str(&format!(
        "## Provenance\n\n- pipeline: {} ({})\n- fuseline {}\n- seed {}\n- to repeat: {}\n",
        markdown(&summary.name),
        markdown_code(note.file),
        markdown(&summary.fuseline_version),
        summary.seed,
        markdown_code(&command(note))
    ));
    if !summary.inputs.is_empty() {
        out.push_str("\n| data | rows | digest |\n| --- | ---: | --- |\n");
        for input in &summary.inputs {
            out.push_str(&format!(
                "| {} | {} | {} |\n",
                markdown(&input.source),
                count(input.rows),
                markdown(&input.digest)
            ));
        }
    }
    if !summary.models.is_empty() {
        out.push_str("\n| model file | digest |\n| --- | --- |\n");
        for model in &summary.models {
            out.push_str(&format!("| {} | {} |\n", markdown(&model.id), markdown(&model.digest)));
        }
    }
    if !summary.variants.is_empty() {
        out.push_str("\n| variant | id | scored by | values |\n| --- | --- | --- | --- |\n");
        for variant in &summary.variants {
            let label = if variant.label.is_empty() { "–".to_owned() } else { markdown(&variant.label) };
            out.push_str(&format!(
                "| {label} | {} | {} | {} |\n",
                markdown(&variant.id),
                markdown(&variant.evaluation),
                markdown(&params(variant))
            ));
        }
    }
    if !note.pipeline.trim().is_empty() {
        let fence = fence(note.pipeline, 3);
        out.push_str(&format!(
            "\n<details><summary>The pipeline as it was run</summary>\n\n{fence}yaml\n{}\n{fence}\n\n</details>\n",
            note.pipeline.trim_end()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{results, summary, variant};
    use super::*;
    use crate::record::Selection;

    #[test]
    fn the_command_is_safe_to_paste() {
        let mut run = summary(vec![variant("a", &[0.5])]);
        let selection = |variants: &[&str]| Selection {
            variants: variants.iter().map(|one| (*one).to_owned()).collect(),
            partition: Some("hash:2/4".into()),
            selected: 1,
            of: 2,
        };
        run.selection = Some(selection(&["c=1,features=both", "$(rm it's)", "-x"]));
        let results = results(&run, Vec::new());
        let note = Note::of(&results, None, None, 0).unwrap();
        assert_eq!(
            command(&note),
            r"fuseline run films.yaml --variant c=1,features=both --variant '$(rm it'\''s)' --variant '-x' --partition hash:2/4"
        );
    }
}
