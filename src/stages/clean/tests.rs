//! Is each operation done, in its order, and counted?

use std::path::Path;
use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::operations::changed;
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
    assert_eq!(
        (changed("aa", "aaa"), changed("ab ab", "aa"), changed("abcab", "xbcax"), changed("abcd", "axyzd")),
        (1, 3, 2, 2)
    );
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
    assert_eq!(output.warnings, ["1 text stands in 3 rows with different labels; the first row's label was kept"]);
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

/// Rows with labels, and their columns.
fn labelled(with: Value, rows: &[(&str, &str)]) -> Output {
    let (texts, labels): (Vec<&str>, Vec<&str>) = rows.iter().copied().unzip();
    clean(with, &texts, &labels)
}

fn ids(output: &Output) -> Vec<String> {
    Target::from_table(&table_of(output, "target").unwrap()).unwrap().row_id
}

fn problems(with: Value) -> Vec<(String, Vec<String>)> {
    let scope = Scope { stage: "clean", base: Path::new(""), locate: &|_| None };
    let problems = Clean::build(serde_json::from_value(with).unwrap(), &scope).err().unwrap();
    problems.0.into_iter().map(|problem| (problem.message, problem.causes)).collect()
}

#[test]
fn entities_are_unescaped_once_and_nothing_else() {
    let unescape = |text: &str| one(json!({ "entities": "unescape" }), text);
    assert_eq!(
        unescape("a &lt;b&gt; <i>&amp;amp;</i>\r\n&pound;5 &#8217; &#x92; AT&T &"),
        "a <b> <i>&amp;</i>\r\n£5 ’ ’ AT&T &"
    );
    assert_eq!(unescape("&&lt&notit;&copy"), "&<¬it;©");
    assert_eq!(problems(json!({ "entities": "unescape", "html": "strip" })).len(), 1);
}

#[test]
fn masks_stand_for_what_they_name() {
    let all = json!({ "mask": { "url": true, "email": "EMAIL", "user": true, "number": "0" } });
    let masked = |text: &str| one(all.clone(), text);
    assert_eq!(masked("see http://t.co/a_b?c=1), www.x.org."), "see <url>), <url>.");
    assert_eq!(masked("Ann.B@mail.example.org, @bob @bob2@c and a@b"), "EMAIL, <user> <user>@c and a@b");
    assert_eq!(masked("3.5% on 24/12/2025 at 10:30, 3rd b2b -7"), "0% on 0 at 0, 3rd b2b -0");
    let output = clean(all, &["@a", "b", "@c x"], &[]);
    assert_eq!(output.facts["mask_user"], json!({ "rows": 2, "characters": 4 }));
    assert_eq!(one(json!({ "mask": { "url": false } }), "http://a.b"), "http://a.b");
}

#[test]
fn replacements_go_one_after_the_other() {
    let with = json!({ "replace": [{ "pattern": "(?i)colou?r", "with": "hue" }, { "pattern": "(\\w+)ue\\b", "with": "${1}$$" }] });
    assert_eq!(one(with, "Color colour blue"), "h$ h$ bl$");
    let wrong = problems(
        json!({ "replace": [{ "pattern": "(a", "with": "" }, { "pattern": "a", "with": "$1" }, { "pattern": "(?P<n>a)", "with": "$n $$m ${n}" }] }),
    );
    assert_eq!(
        wrong,
        [
            ("`(a` is no regular expression".to_owned(), vec!["unclosed group".to_owned()]),
            ("`a` has no group `1`".to_owned(), Vec::new()),
        ]
    );
}

#[test]
fn every_operation_has_its_place() {
    let with = json!({
        "mojibake": "repair", "entities": "unescape", "unicode": "nfkc", "control": "space", "zero_width": "remove", "case": "fold",
        "mask": { "user": "@user" }, "replace": [{ "pattern": "’", "with": "'" }], "whitespace": "collapse",
    });
    let output = clean(with, &["It\u{92}s &#x200b;STRA\u{df}E\u{0}@Bob\u{a0}"], &[]);
    assert_eq!(texts(&output), ["it's strasse @user"]);
    let facts: Vec<&str> = output.facts.keys().map(String::as_str).collect();
    assert_eq!(
        facts,
        ["case", "control", "entities", "mask_user", "mojibake", "replace", "unicode", "whitespace", "zero_width"]
    );
}

#[test]
fn lengths_are_bounded() {
    let rows = [("a b c", "x"), ("a", "x"), ("abcdefgh", "y"), ("", "x")];
    let output = labelled(json!({ "length": { "min": 2, "max": 6 } }), &rows);
    assert_eq!(ids(&output), ["0"]);
    assert_eq!((&output.facts["dropped_short"], &output.facts["dropped_long"]), (&json!(2), &json!(1)));
    assert_eq!(ids(&labelled(json!({ "length": { "max": 1, "unit": "words" } }), &rows)), ["1", "2", "3"]);
    assert_eq!(
        problems(json!({ "length": { "min": 3, "max": 2 } }))[0].0,
        "`min` must not be above `max`, but is 3 above 2"
    );
}

#[test]
fn conflicts_are_settled_as_asked() {
    let rows = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "y"), ("c", "z"), ("c", "w")];
    let of = |rule: &str| labelled(json!({ "duplicates": "drop", "conflicts": rule }), &rows);
    assert_eq!(ids(&of("keep_first")), ["0", "2", "4"]);
    assert_eq!(ids(&of("majority")), ["1", "2", "4"]);
    let output = of("drop_all");
    assert_eq!(ids(&output), ["2"]);
    assert_eq!(output.facts["dropped_conflicting"], 5);
    assert_eq!(output.warnings, ["2 texts stand in 5 rows with different labels; all were dropped"]);
    assert_eq!(problems(json!({ "conflicts": "fail" })).len(), 1);
}

#[test]
fn conflicts_may_end_the_stage() {
    let params: Params = serde_json::from_value(json!({ "duplicates": "drop", "conflicts": "fail" })).unwrap();
    let target = Target {
        row_id: ["p", "q"].map(str::to_owned).to_vec(),
        label: Some(vec![Some("x".to_owned()), None]),
        ..Target::default()
    };
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    let error = choose(&params, &["a".to_owned(), "a".to_owned()], &target, &ctx).unwrap_err();
    assert_eq!(error.to_string(), "one text has different labels: row `p` has `x`, row `q` has no label");
}

#[test]
fn nearly_equal_texts_are_found_within_a_side() {
    let long = "the quick brown fox jumps over the lazy dog near the old river bank every single morning";
    let other = format!("{}!!", long.replace("lazy", "Lazy"));
    let close = long.replace("every single", "on a single");
    let rows = [
        (long, "x"),
        ("something else entirely", "x"),
        (&other, "y"),
        (&close, "x"),
        (long, "x"),
        ("???", "x"),
        ("!!!", "x"),
    ];
    let output = labelled(json!({ "near_duplicates": { "threshold": 0.7 }, "conflicts": "majority" }), &rows);
    assert_eq!(ids(&output), ["0", "1", "5", "6"]);
    assert_eq!((&output.facts["dropped_near_duplicates"], &output.facts["dropped_duplicates"]), (&json!(2), &json!(1)));
    assert_eq!(ids(&labelled(json!({ "near_duplicates": { "threshold": 1.0 } }), &rows)), ["0", "1", "3", "5", "6"]);
    assert_eq!(problems(json!({ "near_duplicates": { "threshold": 0.0 } })).len(), 1);
    let texts: Vec<String> = [long, &close].map(str::to_owned).to_vec();
    let split = Some(vec![Some("train".to_owned()), Some("test".to_owned())]);
    let target = Target { row_id: vec!["a".to_owned(), "b".to_owned()], split, ..Target::default() };
    let params: Params = serde_json::from_value(json!({ "near_duplicates": { "threshold": 0.7 } })).unwrap();
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    assert_eq!(choose(&params, &texts, &target, &ctx).unwrap().keep, [true, true]);
}

#[test]
fn dropping_rows_drops_them_everywhere() {
    let clean = serde_json::from_value(json!({ "drop_empty": true })).unwrap();
    let scope = Scope { stage: "clean", base: Path::new(""), locate: &|_| None };
    let Ok(Work::WholeTable(stage)) = Clean::build(clean, &scope) else { panic!("it drops rows") };
    let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
    let mut parts = Parts::default();
    parts.insert("text", Part::memory(table::text::table(&ids, ["x", "", "z"]).unwrap()));
    parts.insert("target", Part::memory(Target { row_id: ids.clone(), ..Target::default() }.to_table().unwrap()));
    let ages = arrow::array::Int64Array::from(vec![1, 2, 3]);
    let columns: [(&str, arrow::array::ArrayRef); 2] =
        [("row_id", std::sync::Arc::new(StringArray::from(ids))), ("age", std::sync::Arc::new(ages))];
    parts.insert("columns", Part::memory(RecordBatch::try_from_iter(columns).unwrap()));
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    let output = stage.run(&[parts], &ctx).unwrap();
    let columns = table_of(&output, "columns").unwrap();
    assert_eq!(table::row_ids(&columns).unwrap(), &StringArray::from(vec!["a", "c"]));
    assert!(table_of(&output, "spans").is_none());
}
