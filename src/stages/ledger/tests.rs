use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};

use super::*;
use crate::stage::{Made, Progress, map_whole};
use crate::table::target::Target;
use crate::table::text;

struct Quiet;

impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

fn with_ctx<T>(run: impl FnOnce(&Ctx<'_>) -> T) -> T {
    let cancelled = AtomicBool::new(false);
    run(&Ctx { seed: 0, cancelled: &cancelled, progress: &Quiet })
}

fn ids(rows: usize) -> Vec<String> {
    (0..rows).map(|row| format!("r{row}")).collect()
}

/// A frame with its profile.
fn frame(texts: &[&str], target: Target) -> Parts {
    let target = Target { row_id: ids(texts.len()), ..target };
    let table = text::table(ids(texts.len()), texts).unwrap();
    let mut parts = Parts::default();
    parts.insert("text", Part::memory(table));
    let made = with_ctx(|ctx| map_whole(&profile::Profile, &parts, ctx)).unwrap();
    for (name, made) in made.parts {
        let Made::Table(table) = made else { panic!("{name} is handed on") };
        parts.insert(name, Part::memory(table));
    }
    parts.insert("target", Part::memory(target.to_table().unwrap()));
    parts
}

fn counted(inputs: &[Parts]) -> Ledger {
    let output = with_ctx(|ctx| Books.run(inputs, ctx)).unwrap();
    serde_json::from_value(output.facts["ledger"].clone()).unwrap()
}

fn options(values: &[&str]) -> Option<Vec<Option<String>>> {
    Some(values.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect())
}

fn counts(name: &str, values: &[i64]) -> Part {
    let columns: [(&str, ArrayRef); 2] = [
        ("row_id", Arc::new(StringArray::from_iter_values(ids(values.len())))),
        (name, Arc::new(Int64Array::from(values.to_vec()))),
    ];
    Part::memory(RecordBatch::try_from_iter(columns).unwrap())
}

fn fold(train: &[bool], test: &[bool]) -> Part {
    let columns: [(&str, ArrayRef); 3] = [
        ("row_id", Arc::new(StringArray::from_iter_values(ids(train.len())))),
        ("train", Arc::new(BooleanArray::from(train.to_vec()))),
        ("test", Arc::new(BooleanArray::from(test.to_vec()))),
    ];
    Part::memory(RecordBatch::try_from_iter(columns).unwrap())
}

#[test]
fn rows_are_counted_without_labels_or_splits() {
    let ledger = counted(&[frame(&["a b", " \n", "A, B", "ééé"], Target::default())]);
    assert!(ledger.classes.is_empty() && ledger.splits.is_empty() && ledger.folds.is_empty());
    let whole = ledger.whole;
    assert_eq!((whole.rows, whole.empty, whole.unlabelled), (4, 1, 4));
    assert_eq!((whole.characters.min, whole.characters.median, whole.characters.max), (0, 3, 4));
    assert_eq!((whole.words.max, whole.words.mean), (2, 1.25));
    assert_eq!(whole.duplicates, crate::record::Copies { exact: 0, folded: 1, near: Some(1) });
}

#[test]
fn nothing_is_counted_of_no_rows() {
    let ledger = counted(&[frame(&[], Target { label: Some(Vec::new()), ..Target::default() })]);
    assert_eq!(ledger.whole, crate::record::Side { duplicates: ledger.whole.duplicates, ..Default::default() });
}

#[test]
fn sets_of_labels_are_classes_and_groups_cross_folds() {
    let sets = [&["b", "a"][..], &[], &["a"], &["a"]];
    // "b, a" is the set of both, and each of its classes is counted
    let target = Target {
        label_set: Some(sets.iter().map(|set| set.iter().map(|name| (*name).to_owned()).collect()).collect()),
        group: options(&["g", "h", "", "g"]),
        ..Target::default()
    };
    let mut parts = frame(&["one", "two", "one", "three"], target);
    parts.insert("fold.00.00", fold(&[true, true, false, false], &[false, false, true, true]));
    parts.insert("fold.00.01", fold(&[false, false, true, true], &[true, true, false, false]));
    parts.insert("notes", counts("replaced", &[0, 3, 0, 1]));
    let mut survey = Parts::default();
    survey.insert("notes", counts("tokens_lost", &[0, 0, 7, 5]));
    let ledger = counted(&[parts, survey]);
    assert_eq!(ledger.classes, ["a", "b"]);
    assert_eq!((ledger.whole.classes.as_slice(), ledger.whole.unlabelled), (&[3, 1][..], 1));
    assert_eq!((ledger.whole.notes["replaced"].rows, ledger.whole.notes["replaced"].total), (2, 4));
    let [first, second] = ledger.folds.as_slice() else { panic!("{:?}", ledger.folds) };
    assert_eq!((first.across.copies.exact, first.across.relabelled.exact, first.across.grouped), (1, 1, Some(1)));
    assert_eq!((first.across.only_here.len(), second.across.only_here.as_slice()), (0, &["b".to_owned()][..]));
    assert_eq!((first.test.truncated[0].rows, first.test.truncated[0].tokens_lost), (2, 12));
    assert_eq!(first.train.truncated[0].rows, 0);
    let shown = &ledger.examples["folds"][0];
    assert_eq!((shown.row_id.as_str(), shown.other.as_str(), shown.text.as_deref()), ("r2", "r0", Some("one")));
    assert_eq!(ledger.examples["conflict"][0].other_label.as_deref(), Some("a, b"));
}

#[test]
fn train_stands_first_and_others_as_they_come() {
    let target = Target { split: options(&["test", "dev", "train", "", "test"]), ..Target::default() };
    let ledger = counted(&[frame(&["a", "b", "a", "a", "b"], target)]);
    let names: Vec<&str> = ledger.splits.iter().map(|split| split.split.as_str()).collect();
    assert_eq!(names, ["train", "test", "dev"]);
    let pairs: Vec<(&str, &str, u64)> = ledger
        .across_splits
        .iter()
        .map(|pair| (pair.rows_of.as_str(), pair.stand_in.as_str(), pair.overlap.copies.exact))
        .collect();
    assert_eq!(pairs, [("test", "train", 1), ("dev", "train", 0), ("dev", "test", 1)]);
}
