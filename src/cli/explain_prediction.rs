//! `fuseline explain-prediction`: what moved an exported pipeline's answer.

use std::path::Path;

use super::args::{MessageFormat, RowsArgs};
use super::console::out;
use super::context::Context;
use super::exit::Exit;
use super::export::failed;
use super::predict::{each, open, pool};
use crate::bundle::explain::{Explanation, Method, explain as look_into};
use crate::ml::Task;
use crate::problem::visible;
use crate::ui::table::align;

/// What is shown.
pub(super) struct Shown {
    pub(super) class: Option<String>,
    /// How many terms; 0: all.
    pub(super) terms: usize,
    pub(super) json: bool,
}

/// Runs the command.
pub(super) fn explain(context: &Context, folder: &Path, text: Option<String>, rows: &RowsArgs, shown: &Shown) -> Exit {
    match try_explain(context, folder, text, rows, shown) {
        Ok(()) => Exit::Success,
        Err(exit) => exit,
    }
}

fn try_explain(
    context: &Context,
    folder: &Path,
    text: Option<String>,
    rows: &RowsArgs,
    shown: &Shown,
) -> Result<(), Exit> {
    let replay = open(context, folder)?;
    let pool = pool(context)?;
    let running = pool.install(|| replay.begin(&context.settings.device)).map_err(|error| failed(context, &error))?;
    let json = shown.json || context.format == MessageFormat::Json;
    each(context, &running, text, rows, &mut |row| {
        let found = pool.install(|| look_into(&running, row, shown.class.as_deref(), &context.cancelled));
        let mut text = String::new();
        for mut found in found.map_err(|error| failed(context, &error))? {
            let all = found.terms.len();
            if shown.terms > 0 {
                found.terms.truncate(shown.terms);
            }
            text.push_str(&if json { line(&row.id, &found) } else { page(&row.id, &found, all) });
        }
        match out(text.as_bytes()) {
            Exit::Success => Ok(()),
            exit => Err(exit),
        }
    })
}

fn line(id: &str, found: &Explanation) -> String {
    let mut value = serde_json::to_value(found).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("row_id".to_owned(), id.into());
        let scores = found.scores.iter().map(|(class, score)| (class.clone(), serde_json::Value::from(*score)));
        fields.insert("scores".to_owned(), serde_json::Value::Object(scores.collect()));
    }
    format!("{value}\n")
}

/// The explanation for a person. `all` is how many terms there are.
fn page(id: &str, found: &Explanation, all: usize) -> String {
    let kind = if found.probabilities { "probability" } else { "decision value" };
    let score = |class: &str| {
        let score = found.scores.iter().find(|(known, _)| known == class).map(|(_, score)| *score);
        score.map_or_else(String::new, |score| format!(", {kind} {}", number(score)))
    };
    let against = found.against.as_ref().map_or_else(String::new, |against| format!(" against `{against}`"));
    let predicted = match found.task {
        Task::Classes => format!("`{}`{}", visible(&found.predicted), score(&found.predicted)),
        Task::Values => found.predicted.clone(),
        Task::Sets if found.predicted.is_empty() => format!("no class; `{}`{}", found.class, score(&found.class)),
        Task::Sets => format!("`{}`; `{}`{}", visible(&found.predicted), found.class, score(&found.class)),
    };
    let mut text = format!("row {}: predicted {predicted}\n", visible(id));
    text.push_str(&match found.method {
        Method::Exact => format!(
            "for `{}`{against}, exactly: the intercept and all contributions add up to {}\n\n",
            found.class,
            number(found.total)
        ),
        Method::Occlusion => format!(
            "for `{}`, by occlusion: how much its score of {} falls when a block of features is 0, or a word is left out; such \
             changes do not add up\n\n",
            found.class,
            number(found.total)
        ),
    });
    let signed = |value: f64| format!("{value:+.4}");
    let mut blocks = vec![["block", "contribution"].map(str::to_owned).to_vec()];
    blocks.extend(found.intercept.map(|intercept| vec!["(intercept)".to_owned(), signed(intercept)]));
    blocks.extend(found.blocks.iter().map(|share| vec![visible(&share.block).to_string(), signed(share.contribution)]));
    if found.method == Method::Exact {
        blocks.push(vec!["(total)".to_owned(), signed(found.total)]);
    }
    if blocks.len() > 1 {
        text.push_str(&align(&blocks));
        text.push('\n');
    }
    let exact = found.method == Method::Exact;
    let heads: &[&str] = match exact {
        true => &["term", "block", "value", "coefficient", "contribution", "at"],
        false => &["word", "contribution", "at"],
    };
    let mut terms = vec![heads.iter().map(|&head| head.to_owned()).collect::<Vec<_>>()];
    for share in &found.terms {
        let mut row = vec![visible(&share.term).to_string()];
        if exact {
            row.push(share.block.as_deref().map(|block| visible(block).to_string()).unwrap_or_default());
            row.extend([share.value, share.weight].map(|value| value.map(number).unwrap_or_default()));
        }
        row.push(signed(share.contribution));
        row.push(share.at.map_or_else(|| "–".to_owned(), |at| at.to_string()));
        terms.push(row);
    }
    if terms.len() > 1 {
        text.push_str(&align(&terms));
    }
    if all > found.terms.len() {
        text.push_str(&format!("… and {} more (`--terms 0` shows all)\n", all - found.terms.len()));
    }
    text.push('\n');
    text
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}
