//! Is each operation done, in its order, and counted?

use std::path::Path;
use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::*;
use crate::stage::{Made, Part, Progress};

struct Quiet;
impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

fn clean(with: Value, texts: &[&str], labels: &[&str]) -> Output {
    let params: Params = serde_json::from_value(with).unwrap();
    let scope = Scope { stage: "clean", base: Path::new(""), locate: &|_| None };
    let ids: Vec<String> = (0..texts.len()).map(|n| n.to_string()).collect();
    let mut parts = Parts::default();
    parts.insert("text", Part::memory(table::text::table(&ids, texts).unwrap()));
    let label = Some(labels.iter().map(|label| Some((*label).to_owned())).collect());
    let target = Target { row_id: ids, label, ..Target::default() };
    if !labels.is_empty() {
        parts.insert("target", Part::memory(target.to_table().unwrap()));
    }
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    match Clean::build(params, &scope).unwrap() {
        Work::RowWise(stage) => crate::stage::map_whole(&*stage, &parts, &ctx).unwrap(),
        Work::WholeTable(stage) => stage.run(&[parts], &ctx).unwrap(),
        _ => panic!("another shape"),
    }
}

fn table_of(output: &Output, name: &str) -> Option<RecordBatch> {
    output.parts.iter().find(|(part, _)| part == name).map(|(_, made)| match made {
        Made::Table(table) => table.clone(),
        Made::Same(_) => panic!("not a new table"),
    })
}

fn texts(output: &Output) -> Vec<String> {
    let table = table_of(output, "text").unwrap();
    table::text::texts(&table).unwrap().iter().map(|text| text.unwrap().to_owned()).collect()
}

fn one(with: Value, text: &str) -> String {
    texts(&clean(with, &[text], &[])).remove(0)
}

#[test]
fn html_leaves_the_text() {
    let strip = |text: &str| one(json!({ "html": "strip" }), text);
    assert_eq!(strip("a<br />b &amp;amp; <b>c</b>d<!-- x -->"), "a b &amp; cd");
    assert_eq!(strip("<p>one</p><script>if (a < b) { x('</p>') }</script>two<style>p {}</style>"), " one two");
    assert_eq!(strip("i <3 you & 1 < 2 &eacute; 안녕"), "i <3 you & 1 < 2 é 안녕");
    assert_eq!(strip("no end: <b>x</b> a <love this & that"), "no end: x a <love this & that");
    assert_eq!(strip("é <i>ü</i> x <a href='y"), "é ü x <a href='y");
    assert_eq!(strip("plain"), "plain");
}

#[test]
fn the_order_is_fixed() {
    let all = json!({ "whitespace": "collapse", "case": "lower", "unicode": "nfkc", "html": "strip" });
    // the entity becomes a no-break space, that becomes a space, and the run becomes one
    assert_eq!(one(all, " \u{fb01}RST&nbsp;&nbsp;\u{3000}<br>LINE\n"), "first line");
    assert_eq!(one(json!({ "whitespace": "trim" }), "\u{a0} a  b\n"), "a  b");
    assert_eq!(one(json!({ "unicode": "nfd" }), "\u{e9}"), "e\u{301}");
    assert_eq!(one(json!({ "unicode": "nfc" }), "e\u{301}"), "\u{e9}");
}

#[test]
fn what_is_touched_is_counted() {
    let output = clean(json!({ "case": "lower", "whitespace": "trim" }), &["ABc", "abc ", "x"], &[]);
    assert_eq!(output.facts["case"], json!({ "rows": 1, "characters": 2 }));
    assert_eq!(output.facts["whitespace"], json!({ "rows": 1, "characters": 1 }));
    assert!(table_of(&output, "target").is_none(), "a row-wise clean hands on no target");
    assert_eq!(changed("aa", "aaa"), 1);
}

#[test]
fn rows_are_dropped_only_when_asked() {
    let rows = ["a", " ", "A", "b", "a"];
    let labels = ["x", "x", "y", "x", "x"];
    assert_eq!(clean(json!({ "case": "lower" }), &rows, &[]).rows, 5);
    let output = clean(json!({ "case": "lower", "drop_empty": true, "duplicates": "drop" }), &rows, &labels);
    assert_eq!(texts(&output), ["a", "b"]);
    let target = Target::from_table(&table_of(&output, "target").unwrap()).unwrap();
    assert_eq!(target.row_id, ["0", "3"]);
    assert_eq!(output.facts["dropped_empty"], 1);
    assert_eq!(output.facts["dropped_duplicates"], 2);
    assert_eq!(output.facts["conflicting_rows"], 3);
    assert_eq!(output.warnings, ["1 texts stand in 3 rows with different labels; the first row's label was kept"]);
    assert_eq!(texts(&clean(json!({ "drop_empty": true }), &rows, &labels)), ["a", "A", "b", "a"]);
}

#[test]
fn all_text_survives_any_markup() {
    for text in
        ["<", "<<", "</", "<!", "<!-", "<a", "</a", "a<b<c", "<a <b", "&", "&#", "&#x", "<br", "<?", "<![CDATA["]
    {
        let _ = one(json!({ "html": "strip" }), text);
    }
    assert_eq!(one(json!({ "html": "strip" }), "a<b<c"), "a<b<c");
}
