//! `fuseline explain`: what a kind of stage does and takes, what a word of the pipeline file means, or a message's code.

use super::console::out;
use super::context::Context;
use super::exit::Exit;
use super::schema::kind_page;
use super::usage;
use super::words::WORDS;
use crate::pipeline::COSTS;
use crate::problem::{CODES, Problem, suggest};
use crate::record::{Looks, MEASURES};
use crate::stages::{STAGES, kind};
use crate::ui::table::align;

/// Runs the command.
pub(super) fn explain(context: &Context, name: Option<&str>) -> Exit {
    let Some(name) = name else { return out(overview().as_bytes()) };
    if let Some(kind) = kind(name) {
        return out(kind_page(kind).as_bytes());
    }
    if name == "expect" {
        return out(expect_page().as_bytes());
    }
    if name == "gates" {
        return out(gates_page().as_bytes());
    }
    if let Some(code) = CODES.iter().find(|code| code.code == name) {
        return out(format!("{}: {}\n\n{}\n", code.code, code.title, code.page.trim()).as_bytes());
    }
    if let Some(word) = WORDS.iter().find(|word| word.word == name) {
        return out(format!("{}: {}\n\n{}\n", word.word, word.title, word.page).as_bytes());
    }
    let words = WORDS.iter().map(|word| word.word).chain(["expect", "gates"]);
    let known = words.chain(STAGES.iter().map(|kind| kind.name)).chain(CODES.iter().map(|code| code.code));
    let mut problem = Problem::error(
        "usage",
        format!("there is no kind of stage, no word of the pipeline file and no message code `{name}`"),
    );
    if let Some(near) = suggest(name, known) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    usage(context, problem.help("`fuseline explain` lists them all"), &format!("explain {name}"))
}

/// What a pipeline may expect of its data.
fn expect_page() -> String {
    let rows: Vec<Vec<String>> = MEASURES
        .iter()
        .map(|measure| {
            let split = match measure.looks {
                Looks::Rows(_) | Looks::EachSplit(_) => "",
                Looks::AcrossSplits(_) | Looks::AcrossFolds(_) => " (not of one split)",
            };
            vec![
                measure.name.to_owned(),
                format!("{}; a bare number means `{}`{split}", measure.summary, measure.bare.sign()),
            ]
        })
        .collect();
    format!(
        "expect: what the data must be like\n\n    expect: {{ duplicates_across_splits: 0, truncated_rows: \"< 1%\", test.rows: \">= 1000\" }}\n\n{}\n\
         A bound is a number, or `<`, `<=`, `>`, `>=` or `==` and a number or a share of the rows (`1%`). A name may begin with a\n\
         split: `test.rows`. A run or `check --data` that breaks one ends with exit code 1.\n",
        left(&rows)
    )
}

/// What may be held of a pipeline's results.
fn gates_page() -> String {
    let rows: Vec<Vec<String>> =
        COSTS.iter().map(|(name, _, summary)| vec![(*name).to_owned(), (*summary).to_owned()]).collect();
    format!(
        "gates: what must hold of the results\n\n    gates:\n      quality: {{ metric: f1_macro, min_delta: -0.005 }}\n      \
         floor: {{ metric: accuracy, min: 0.9, variant: features=both }}\n      memory: {{ cost: peak_memory, max: 2GB }}\n      \
         work: {{ cost: unit_seconds, max_ratio: 1.2 }}\n\n\
         A gate on a change passes if the whole interval of the change since the baseline (for the better, at `confidence`) lies at or\n\
         above `min_delta`, fails if it lies below, and is inconclusive else. A gate on a value looks at the value, or with `confidence`\n\
         at its interval. A gate on a cost has a `max`, or a `max_ratio`: so many times what the baseline's run cost. `variant` and\n\
         `evaluation` say which ones it is about. `fuseline gate FILE` judges them.\n\ncosts\n{}",
        left(&rows)
    )
}

fn overview() -> String {
    let kinds: Vec<Vec<String>> =
        STAGES.iter().map(|kind| vec![kind.name.to_owned(), kind.summary.to_owned()]).collect();
    let mut words: Vec<Vec<String>> =
        WORDS.iter().map(|word| vec![word.word.to_owned(), word.title.to_owned()]).collect();
    words.push(vec!["expect".to_owned(), "what the data must be like".to_owned()]);
    words.push(vec!["gates".to_owned(), "what must hold of the results".to_owned()]);
    let codes: Vec<Vec<String>> = CODES.iter().map(|code| vec![code.code.to_owned(), code.title.to_owned()]).collect();
    format!(
        "kinds of stage\n{}\nwords of the pipeline file\n{}\nmessage codes\n{}",
        left(&kinds),
        left(&words),
        left(&codes)
    )
}

/// Two columns, both to the left.
fn left(rows: &[Vec<String>]) -> String {
    let names: Vec<Vec<String>> = rows.iter().map(|row| vec![row[0].clone(), String::from("|")]).collect();
    let padded = align(&names);
    padded.lines().zip(rows).map(|(name, row)| format!("  {}{}\n", name.trim_end_matches('|'), row[1])).collect()
}
