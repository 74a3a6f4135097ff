//! How are the counts of a ledger laid out for people? As tables of words, for the terminal and the report alike.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Copies, DataSummary, FoldSides, Overlap, Side, Spread, VariantSummary, number, share};

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

/// Ledgers of the same rows, which differ in what their folds train on: `train_rows` of a curve makes such.
#[derive(Debug)]
pub struct SameRows<'a> {
    /// The first, whose rows are those of all.
    pub first: &'a DataSummary,
    /// All of them, each with what sets its variants apart.
    pub all: Vec<(String, &'a DataSummary)>,
}

/// Ledgers put together by their rows, in their order.
pub fn same_rows<'a>(data: &'a [DataSummary], variants: &[VariantSummary]) -> Vec<SameRows<'a>> {
    let mut groups: Vec<Vec<&DataSummary>> = Vec::new();
    for one in data {
        match groups.iter_mut().find(|group| are_same(group[0], one)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.into_iter().map(|group| SameRows { first: group[0], all: named(&group, variants) }).collect()
}

fn are_same(one: &DataSummary, two: &DataSummary) -> bool {
    let (a, b) = (&one.ledger, &two.ledger);
    (&one.stage, &one.evaluation, &one.dropped) == (&two.stage, &two.evaluation, &two.dropped)
        && (&a.classes, &a.whole, &a.splits) == (&b.classes, &b.whole, &b.splits)
        && (&a.across_splits, a.splits_left_out) == (&b.across_splits, b.splits_left_out)
}

/// Each ledger with the axes whose value is its own: `train_rows=100`; without such an axis, with its variants.
fn named<'a>(group: &[&'a DataSummary], variants: &[VariantSummary]) -> Vec<(String, &'a DataSummary)> {
    let own: Vec<Vec<&VariantSummary>> = group
        .iter()
        .map(|data| variants.iter().filter(|variant| data.variants.contains(&variant.id)).collect())
        .collect();
    // The one value of an axis in all variants of a ledger.
    let value = |of: &[&VariantSummary], axis: &str| -> Option<Value> {
        let first = of.first()?.params.get(axis)?;
        of.iter().all(|variant| variant.params.get(axis) == Some(first)).then(|| first.clone())
    };
    let axes: BTreeSet<&String> = own.iter().flatten().flat_map(|variant| variant.params.keys()).collect();
    let apart: Vec<&String> = axes
        .into_iter()
        .filter(|axis| {
            let values: Vec<Option<Value>> = own.iter().map(|of| value(of, axis)).collect();
            values.iter().all(Option::is_some) && values.iter().any(|other| *other != values[0])
        })
        .collect();
    let name = |of: &[&VariantSummary]| -> String {
        let said = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let settings: Vec<String> =
            apart.iter().filter_map(|axis| Some(format!("{axis}={}", said(value(of, axis)?)))).collect();
        match settings.is_empty() {
            true => of.iter().map(|variant| variant.label.as_str()).collect::<Vec<_>>().join("; "),
            false => settings.join(","),
        }
    };
    own.iter().zip(group).map(|(of, data)| (name(of), *data)).collect()
}

impl SameRows<'_> {
    /// The tables: those of the rows once, and what the folds train on and share, a line for each ledger where there are several.
    pub fn tables(&self) -> Vec<DataTable> {
        if self.all.len() < 2 {
            return tables(self.first);
        }
        let mut all = vec![sides(self.first)];
        all.extend(across(self.first));
        let first = ["", "folds", "trains on", "tests"];
        let mut table = overlaps("Tested texts that stand in their fold's training rows, all folds together", &first);
        for (name, data) in self.all.iter().filter(|(_, data)| !data.ledger.folds.is_empty()) {
            table.rows.push(together(name, &data.ledger.folds));
        }
        all.extend((!table.rows.is_empty()).then_some(table));
        all
    }

    /// What is worth knowing, each once: the names of those that it is true of, unless it is true of all, and where its examples are.
    pub fn findings(&self) -> Vec<(Vec<&str>, &DataSummary, &super::Finding)> {
        let mut said: BTreeMap<&str, usize> = BTreeMap::new();
        let mut found: Vec<(Vec<&str>, &DataSummary, &super::Finding)> = Vec::new();
        for (name, data) in &self.all {
            for finding in &data.findings {
                let at = *said.entry(&finding.message).or_insert_with(|| {
                    found.push((Vec::new(), data, finding));
                    found.len() - 1
                });
                found[at].0.push(name);
            }
        }
        found.iter_mut().filter(|(names, ..)| names.len() == self.all.len()).for_each(|(names, ..)| names.clear());
        found
    }
}

/// The folds of an evaluation on one line: the rows that each trains on, and what all of them share.
fn together(name: &str, folds: &[FoldSides]) -> Vec<String> {
    let trained = || folds.iter().map(|fold| fold.train.rows);
    let (least, most) = (trained().min().unwrap_or(0), trained().max().unwrap_or(0));
    let rows = if least == most { number(least) } else { format!("{} to {}", number(least), number(most)) };
    let tested: u64 = folds.iter().map(|fold| fold.test.rows).sum();
    let mut sum = Overlap::default();
    let add = |sum: Option<u64>, one: Option<u64>| Some(sum? + one?);
    (sum.copies.near, sum.grouped) = (Some(0), Some(0));
    for Overlap { copies, relabelled, grouped, only_here, .. } in folds.iter().map(|fold| &fold.across) {
        sum.copies.exact += copies.exact;
        sum.copies.folded += copies.folded;
        sum.copies.near = add(sum.copies.near, copies.near);
        sum.relabelled.exact += relabelled.exact;
        sum.grouped = add(sum.grouped, *grouped);
        let unseen: BTreeSet<&String> = only_here.iter().chain(&sum.only_here).collect();
        sum.only_here = unseen.into_iter().cloned().collect();
    }
    shared(vec![name.to_owned(), folds.len().to_string(), rows, number(tested)], &sum, tested)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Finding, Ledger};

    fn variant(id: &str, rows: u64, c: u64) -> VariantSummary {
        VariantSummary {
            id: id.into(),
            label: format!("c={c},train_rows={rows}"),
            params: [("train_rows".to_owned(), json!(rows)), ("c".to_owned(), json!(c))].into(),
            evaluation: "scores".into(),
            rows: 100,
            scored_on: None,
            metrics: [].into(),
            chosen: vec![],
            classes: vec![],
            confusion: vec![],
        }
    }

    fn ledger(variants: &[&str], trained: u64, exact: u64, rows: u64) -> DataSummary {
        let fold = |fold| FoldSides {
            fold,
            train: Side { rows: trained, ..Side::default() },
            test: Side { rows: 50, ..Side::default() },
            across: Overlap {
                copies: Copies { exact, folded: exact, near: Some(exact) },
                only_here: vec!["rare".into()],
                ..Overlap::default()
            },
        };
        let finding = |message: String| Finding { message, ..Finding::default() };
        DataSummary {
            stage: "rows".into(),
            evaluation: Some("scores".into()),
            variants: variants.iter().map(|id| (*id).to_owned()).collect(),
            ledger: Ledger {
                whole: Side { rows, ..Side::default() },
                folds: vec![fold(0), fold(1)],
                ..Ledger::default()
            },
            findings: vec![finding("3 empty texts".into()), finding(format!("{exact} of 100 stand in train"))],
            ..DataSummary::default()
        }
    }

    #[test]
    fn what_differs_in_training_rows_alone_stands_in_one_table() {
        let variants = [variant("a", 10, 1), variant("b", 10, 2), variant("c", 20, 1), variant("d", 20, 2)];
        let data = [ledger(&["a", "b"], 10, 1, 100), ledger(&["c", "d"], 20, 2, 100), ledger(&["a"], 10, 1, 99)];
        let groups = same_rows(&data, &variants);
        assert_eq!(groups.iter().map(|group| group.all.len()).collect::<Vec<_>>(), [2, 1]);
        let tables = groups[0].tables();
        assert_eq!(tables.len(), 2, "the rows once");
        assert_eq!(tables[1].head[..4], ["", "folds", "trains on", "tests"]);
        assert_eq!(tables[1].rows[0][..7], ["train_rows=10", "2", "10", "100", "2 (2.0%)", "0", "2"]);
        assert_eq!(tables[1].rows[1][..5], ["train_rows=20", "2", "20", "100", "4 (4.0%)"]);
        assert_eq!(tables[1].rows[0].last().unwrap(), "1", "a class that no fold has seen counts once");
        assert_eq!(groups[1].tables(), super::tables(&data[2]));
        let findings = groups[0].findings();
        let said: Vec<(&str, &[&str])> = findings.iter().map(|(of, _, one)| (one.message.as_str(), &of[..])).collect();
        assert_eq!(
            said,
            [
                ("3 empty texts", &[][..]),
                ("1 of 100 stand in train", &["train_rows=10"]),
                ("2 of 100 stand in train", &["train_rows=20"])
            ]
        );
    }

    #[test]
    fn without_an_axis_of_their_own_ledgers_have_the_names_of_their_variants() {
        let data = [ledger(&["a", "d"], 10, 1, 100), ledger(&["b", "c"], 20, 2, 100)];
        let variants = [variant("a", 10, 1), variant("b", 10, 2), variant("c", 20, 1), variant("d", 20, 2)];
        let groups = same_rows(&data, &variants);
        assert_eq!(groups[0].all[0].0, "c=1,train_rows=10; c=2,train_rows=20");
    }
}
