//! How are the counts of a ledger laid out for people? As tables of words, for the terminal and the report alike.

use super::{Copies, DataSummary, Overlap, Side, Spread, number, share};

/// A table of words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataTable {
    /// What it is about.
    pub title: String,
    /// The heads of the columns; the first column names the rows.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// Splits that stand side by side; the others are in `summary.json`.
const SIDES: usize = 8;

/// Languages that are named.
const LANGUAGES: usize = 3;

/// Folds and pairs of splits that are listed.
const LISTED: usize = 20;

/// The tables of a ledger: rows by split, splits against each other, folds.
pub fn tables(data: &DataSummary) -> Vec<DataTable> {
    let mut all = vec![sides(data)];
    all.extend(across(data));
    all.extend(folds(data));
    all
}

/// One line on what the tables are of: `10,605 rows of reviews, 2 classes`.
pub fn caption(data: &DataSummary) -> String {
    let ledger = &data.ledger;
    let mut text = format!("{} rows of `{}`", number(ledger.whole.rows), data.stage);
    match ledger.classes.len() {
        0 => text.push_str(", without labels"),
        1 => text.push_str(", 1 class"),
        some => text.push_str(&format!(", {} classes", number(some as u64))),
    }
    if let Some(evaluation) = &data.evaluation {
        let plural = if ledger.folds.len() == 1 { "" } else { "s" };
        text.push_str(&format!("; {} fold{plural} of `{evaluation}`", ledger.folds.len()));
    }
    for dropped in &data.dropped {
        text.push_str(&format!("; `{}` left out {} ({})", dropped.stage, number(dropped.rows), dropped.what));
    }
    text
}

/// A way to fill the cells of a row.
type Cell<'a> = Box<dyn Fn(&Side) -> String + 'a>;

fn sides(data: &DataSummary) -> DataTable {
    let ledger = &data.ledger;
    let splits = ledger.splits.iter().take(SIDES);
    let mut head = vec![String::new(), "all".to_owned()];
    head.extend(splits.clone().map(|split| split.split.clone()));
    let mut lines: Vec<(String, Cell<'_>)> = Vec::new();
    let mut line = |name: &str, cell: Cell<'static>| lines.push((name.to_owned(), cell));
    line("rows", Box::new(|side| number(side.rows)));
    if ledger.whole.unlabelled > 0 && !ledger.classes.is_empty() {
        line("without a label", Box::new(|side| number(side.unlabelled)));
    }
    line("empty texts", Box::new(|side| number(side.empty)));
    line("characters: median", Box::new(|side| number(side.characters.median)));
    line("characters: 95%, most", Box::new(|side| upper(&side.characters)));
    line("words: median", Box::new(|side| number(side.words.median)));
    line("words: 95%, most", Box::new(|side| upper(&side.words)));
    line("repeated texts", Box::new(|side| number(side.duplicates.exact)));
    line("… but for case and punctuation", Box::new(|side| number(side.duplicates.folded)));
    line("… nearly", Box::new(|side| counted(side.duplicates.near)));
    line("texts with two labels", Box::new(|side| number(side.conflicts.texts)));
    line("languages (guessed)", Box::new(languages));
    let classes: Vec<(String, Cell<'_>)> = [("largest class", true), ("smallest class", false)]
        .into_iter()
        .filter(|_| !ledger.whole.classes.is_empty())
        .map(|(name, largest)| {
            let of = move |side: &Side| class(&ledger.classes, side, largest);
            (name.to_owned(), Box::new(of) as Cell<'_>)
        })
        .collect();
    lines.extend(classes);
    for (at, cut) in ledger.whole.truncated.iter().enumerate() {
        let cell = move |side: &Side| {
            side.truncated
                .get(at)
                .map_or_else(String::new, |cut| format!("{} ({} tokens)", number(cut.rows), number(cut.tokens_lost)))
        };
        lines.push((format!("cut by {}", cut.stage), Box::new(cell)));
    }
    for name in ledger.whole.notes.keys() {
        let cell = move |side: &Side| {
            side.notes
                .get(name)
                .map_or_else(String::new, |noted| format!("{} (in {} rows)", number(noted.total), number(noted.rows)))
        };
        lines.push((name.clone(), Box::new(cell)));
    }
    let all = || std::iter::once(&ledger.whole).chain(splits.clone().map(|split| &split.side));
    let rows = lines.iter().map(|(name, cell)| std::iter::once(name.clone()).chain(all().map(cell)).collect());
    DataTable { title: "Rows".to_owned(), head, rows: rows.collect() }
}

fn across(data: &DataSummary) -> Option<DataTable> {
    let pairs = &data.ledger.across_splits;
    if pairs.is_empty() {
        return None;
    }
    let mut table = overlaps("Texts of one split that stand in another", &["split", "rows"]);
    for pair in pairs.iter().take(LISTED) {
        let first = vec![format!("{} in {}", pair.rows_of, pair.stand_in), number(pair.rows)];
        table.rows.push(shared(first, &pair.overlap, pair.rows));
    }
    Some(table)
}

fn folds(data: &DataSummary) -> Option<DataTable> {
    let folds = &data.ledger.folds;
    if folds.is_empty() {
        return None;
    }
    let mut table = overlaps("Tested texts that stand in their fold's training rows", &["fold", "trains on", "tests"]);
    for fold in folds.iter().take(LISTED) {
        let first = vec![(fold.fold + 1).to_string(), number(fold.train.rows), number(fold.test.rows)];
        table.rows.push(shared(first, &fold.across, fold.test.rows));
    }
    if folds.len() > LISTED {
        let mut row = vec![format!("… {} more", folds.len() - LISTED)];
        row.resize(table.head.len(), String::new());
        table.rows.push(row);
    }
    Some(table)
}

fn overlaps(title: &str, first: &[&str]) -> DataTable {
    let rest =
        ["exactly", "with another label", "but for case and punctuation", "nearly", "by group", "classes unseen"];
    let head = first.iter().chain(&rest).map(|name| (*name).to_owned()).collect();
    DataTable { title: title.to_owned(), head, rows: Vec::new() }
}

fn shared(mut row: Vec<String>, overlap: &Overlap, of: u64) -> Vec<String> {
    let Copies { exact, folded, near } = overlap.copies;
    row.push(if exact == 0 { "0".to_owned() } else { format!("{} ({})", number(exact), share(exact, of)) });
    row.push(number(overlap.relabelled.exact));
    row.push(number(folded));
    row.push(counted(near));
    row.push(counted(overlap.grouped));
    row.push(overlap.only_here.len().to_string());
    row
}

fn counted(count: Option<u64>) -> String {
    count.map_or_else(|| "–".to_owned(), number)
}

fn upper(spread: &Spread) -> String {
    format!("{}, {}", number(spread.p95), number(spread.max))
}

fn class(classes: &[String], side: &Side, largest: bool) -> String {
    let counted = || classes.iter().zip(&side.classes).filter(|(_, count)| **count > 0);
    // of several the first in the order of their names
    let found = if largest {
        counted().rev().max_by_key(|(_, count)| **count)
    } else {
        counted().min_by_key(|(_, count)| **count)
    };
    found.map_or_else(
        || "–".to_owned(),
        |(name, count)| format!("{} ({}, {})", short(name), number(*count), share(*count, side.rows)),
    )
}

fn short(name: &str) -> String {
    match name.char_indices().nth(24) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn languages(side: &Side) -> String {
    let guessed: u64 = side.languages.values().sum();
    let mut all: Vec<(&String, &u64)> = side.languages.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let some = |count: &u64| 100 * count >= guessed;
    let named = all.iter().filter(|(_, count)| some(count)).take(LANGUAGES).map(|(name, count)| {
        let name = if name.as_str() == "und" { "unsure" } else { name.as_str() };
        format!("{name} {:.0}%", 100.0 * **count as f64 / guessed.max(1) as f64)
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { "–".to_owned() } else { named.join(", ") }
}
