//! Does every row come out, or an error that names its place?

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use super::*;
use crate::fetch::{FetchOptions, Fetcher, Silent};
use crate::stage::{Made, Output, Progress, read_whole};
use crate::table;
use crate::table::target::Target;

mod hostile;
mod rules;

struct Quiet;
impl Progress for Quiet {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}

fn build(base: &Path, with: Value) -> Result<Box<dyn Source>, String> {
    let params: Params = serde_json::from_value(with).map_err(|error| error.to_string())?;
    let scope = Scope { stage: "data", base, locate: &|_| None };
    match Ingest::build(params, &scope) {
        Ok(Work::Source(source)) => Ok(source),
        Ok(_) => Err("another shape".to_owned()),
        Err(problems) => Err(problems.0.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")),
    }
}

/// Ids, texts and targets that come out, and the facts; or the message, causes and help.
pub(super) fn ingest(base: &Path, with: Value) -> Result<(Vec<String>, Vec<String>, Target, Output), String> {
    let source = build(base, with)?;
    let dir = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(dir.path().to_owned(), FetchOptions { offline: true, ..FetchOptions::default() });
    let mut files = Files::default();
    for need in source.files() {
        files.0.push((need.role.clone(), fetcher.fetch(&need.spec, &Silent).map_err(|error| error.to_string())?));
    }
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
    let output = read_whole(source.as_ref(), &files, &ctx).map_err(|error| match error {
        StageError::Failed(failure) => {
            format!("{} | {} | {}", failure.message, failure.causes.join(", "), failure.help.join(", "))
        }
        StageError::Interrupted => "interrupted".to_owned(),
    })?;
    let part = |name: &str| {
        let made = output.parts.iter().find(|(part, _)| part == name).map(|(_, made)| made);
        match made {
            Some(Made::Table(table)) => table.clone(),
            other => panic!("{other:?}"),
        }
    };
    let list = |column: &StringArray| column.iter().map(|v| v.unwrap().to_owned()).collect::<Vec<_>>();
    let text = part("text");
    let ids = list(table::row_ids(&text).unwrap());
    let texts = list(table::text::texts(&text).unwrap());
    Ok((ids, texts, Target::from_table(&part("target")).unwrap(), output))
}

pub(super) fn one_file(
    name: &str,
    content: &[u8],
    with: Value,
) -> Result<(Vec<String>, Vec<String>, Target, Output), String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    let mut with = with;
    with["source"] = name.into();
    ingest(dir.path(), with)
}

pub(super) fn texts(name: &str, content: &str, with: Value) -> Vec<String> {
    one_file(name, content.as_bytes(), with).unwrap().1
}

pub(super) fn said(name: &str, content: &[u8], with: Value) -> String {
    one_file(name, content, with).unwrap_err()
}

#[test]
fn csv_is_read_to_the_letter() {
    let csv = "\u{feff}id,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n2,d \"e\"\u{85}\r f\r\n3,";
    let (ids, texts, _, output) = one_file("x.csv", csv.as_bytes(), json!({ "id": "id" })).unwrap();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(texts, ["a, \"b\"\nc", "d \"e\"\u{85}\r f", ""]);
    assert_eq!(output.facts["blank_lines"], 1);
    assert_eq!(output.facts["inputs"], json!([{ "source": "x.csv", "rows": 3 }]));
}

#[test]
fn tsv_knows_no_quotes_unless_told() {
    let tsv = "label\ttext\nspam\t\"win\nham\tok\" then\n";
    assert_eq!(texts("x.tsv", tsv, json!({})), ["\"win", "ok\" then"]);
    let with = json!({ "format": { "tsv": { "quote": "\"", "header": false } }, "text": "1" });
    assert_eq!(texts("x.txt", "a\t\"b\tc\"\n", with), ["b\tc"]);
    let with = json!({ "format": { "csv": { "delimiter": ";", "columns": ["a", "text"] } } });
    assert_eq!(texts("x.txt", "x;y\n1;2\n", with), ["2"]);
}

#[test]
fn cuts_make_classes_and_values_can_be_dropped() {
    let tsv = "1\t-0.5\tbad\n2\t0\tso\n3\t0.0\tso\n4\t1e0\tgood\n5\t\tnone\n";
    let format = json!({ "tsv": { "header": false, "columns": ["id", "valence", "text"] } });
    let with = |drop: Value| {
        json!({ "format": format, "id": "id",
                "label": { "column": "valence", "cuts": [0.0], "names": ["negative", "positive"], "drop": drop, "empty": "keep" } })
    };
    let (ids, _, target, output) = one_file("x.txt", tsv.as_bytes(), with(json!([0]))).unwrap();
    assert_eq!(ids, ["1", "4", "5"]);
    assert_eq!(target.label.unwrap(), [Some("negative".to_owned()), Some("positive".to_owned()), None]);
    assert_eq!((&output.facts["rows_dropped"], &output.facts["rows_read"]), (&json!(2), &json!(5)));
    assert_eq!(output.warnings, ["1 rows have no label"]);
    // a value on a cut belongs to the class above it
    let (_, _, target, _) = one_file("x.txt", tsv.as_bytes(), with(json!([]))).unwrap();
    assert_eq!(target.label.unwrap()[1].as_deref(), Some("positive"));
    let message = said("x.txt", b"1\thigh\tx\n", with(json!([])));
    assert!(message.starts_with("`x.txt`, line 1, column `valence`: `high` is not a number"), "{message}");
    assert!(message.contains("the row is: 1\\thigh\\tx"), "{message}");
}

#[test]
fn rows_are_numbered_over_all_files_and_splits_have_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "text,y,f\none,p,0\ntwo,q,1\n").unwrap();
    fs::write(
        dir.path().join("b.jsonl"),
        "{\"text\":\"three\",\"y\":1,\"f\":-1}\n\n{\"text\":\"four\",\"y\":true,\"f\":null}\n",
    )
    .unwrap();
    let with =
        json!({ "source": { "a": "a.csv", "b": "b.jsonl" }, "label": { "column": "y", "drop": ["q"] }, "fold": "f" });
    let (ids, texts, target, _) = ingest(dir.path(), with.clone()).unwrap();
    assert_eq!(ids, ["0", "2", "3"]);
    assert_eq!(texts, ["one", "three", "four"]);
    let text = |s: &str| Some(s.to_owned());
    assert_eq!(target.label.unwrap(), [text("p"), text("1"), text("true")]);
    assert_eq!(target.fold.unwrap(), [Some(0), Some(-1), None]);
    assert_eq!(target.split.unwrap(), [text("a"), text("b"), text("b")]);
    let mut limited = with;
    limited["limit"] = 1.into();
    let (ids, _, _, output) = ingest(dir.path(), limited).unwrap();
    assert_eq!(ids, ["0", "1"], "a limit is for each split");
    assert_eq!(output.facts["stopped_at_limit"], true);
}

#[test]
fn several_columns_make_one_text() {
    assert_eq!(texts("x.csv", "a,b\n1,2\n", json!({ "text": ["b", "a"] })), ["2\n1"]);
}

#[test]
fn parquet_is_read_by_column() {
    let dir = tempfile::tempdir().unwrap();
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new(Int64Array::from(vec![7, 8]))),
        ("text", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("v", Arc::new(Float64Array::from(vec![1.5, -2.0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let write = |batch: &RecordBatch| {
        let file = fs::File::create(dir.path().join("x.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    };
    write(&batch.slice(0, 1));
    let (ids, texts, target, _) =
        ingest(dir.path(), json!({ "source": "x.parquet", "id": "n", "label": "v", "fold": "n" })).unwrap();
    assert_eq!((ids, texts), (vec!["7".to_owned()], vec!["a".to_owned()]));
    assert_eq!((target.label.unwrap()[0].as_deref(), target.fold.unwrap()[0]), (Some("1.5"), Some(7)));
    write(&batch);
    let message = ingest(dir.path(), json!({ "source": "x.parquet" })).unwrap_err();
    assert!(message.starts_with("`x.parquet`, row 2, column `text`: the text is null"), "{message}");
    let message = ingest(dir.path(), json!({ "source": "x.parquet", "text": "n" })).unwrap_err();
    assert!(message.contains("column `n`: a text is wanted"), "{message}");
    fs::write(dir.path().join("x.parquet"), "no").unwrap();
    assert!(ingest(dir.path(), json!({ "source": "x.parquet" })).unwrap_err().contains("as Parquet"));
}

#[test]
fn bad_rows_are_errors_that_name_their_place() {
    let none = || json!({});
    let ragged = said("x.csv", b"id,text\n1,a\n2,b,c\n", none());
    assert!(
        ragged.starts_with("`x.csv`, line 3: 2 fields are expected, but there are 3 | the row is: 2,b,c"),
        "{ragged}"
    );
    let column = said("x.csv", b"id,txt\n1,a\n", none());
    assert!(column.contains("has no column `text`") && column.contains("did you mean `txt`?"), "{column}");
    let open = said("x.csv", b"id,text\n1,a\n2,\"b\n3,c\n", none());
    assert!(open.starts_with("`x.csv`, line 3: a quote opens in this row and is never closed"), "{open}");
    let after = said("x.csv", b"id,text\n1,\"b\"c\n", none());
    assert!(after.contains("line 2: there is text after a closing quote | the row is: 1,b"), "{after}");
    let latin = said("x.csv", b"id,text\n1,caf\xe9\n", none());
    assert!(
        latin.starts_with("`x.csv`, line 2: byte 6: 0xE9 is not utf-8") && latin.contains("1,caf\u{fffd}"),
        "{latin}"
    );
    assert!(latin.contains("the file looks like windows-1252: set `encoding: windows-1252`"), "{latin}");
    let twice = said("x.csv", b"id,text\n1,a\n1,b\n", json!({ "id": "id" }));
    assert!(
        twice.starts_with("`x.csv`, line 3, column `id`: the id `1` stands in row 1 of all rows already"),
        "{twice}"
    );
    let header = said("x.csv", b"text,text\n1,a\n", none());
    assert!(header.contains("two columns `text`"), "{header}");
    let fold = said("x.csv", b"text,f\na,1.5\n", json!({ "fold": "f" }));
    assert!(fold.contains("line 2, column `f`: `1.5` is not a whole number"), "{fold}");
    let json = said("x.jsonl", b"{\"text\": \"a\"}\n{\"text\": \"b\"\n", none());
    assert!(json.starts_with("`x.jsonl`, line 2: it is not a JSON object"), "{json}");
    let null = said("x.jsonl", b"{\"text\": null}\n", none());
    assert!(null.starts_with("`x.jsonl`, line 1, column `text`: the text is null"), "{null}");
    let number = said("x.jsonl", b"{\"text\": 3}\n", none());
    assert!(number.contains("a text is wanted, but it holds a number"), "{number}");
    let absent = said("x.jsonl", b"{\"texts\": \"\"}\n", none());
    assert!(absent.contains("line `1` has no column `text`") && absent.contains("did you mean `texts`?"), "{absent}");
}

#[test]
fn files_that_hold_nothing_right_are_refused_with_a_word() {
    assert!(said("x.csv", b"", json!({})).contains("`x.csv` is empty"));
    assert!(said("x.csv", b"id,text\n", json!({})).contains("`x.csv` has no rows"));
    assert!(said("x.csv", b"i\0d\0\n\0", json!({})).contains("the file looks like utf-16le"));
    assert!(said("x.csv.gz", b"not gzip, but long enough to be", json!({})).contains("cannot be read"));
    assert!(said("x.zip", b"PK", json!({})).contains("does not tell how the file is written"));
}

#[test]
fn parameters_are_checked_before_anything_is_read() {
    let dir = Path::new("/nowhere");
    let said = |with: Value| build(dir, with).err().unwrap_or_default();
    assert!(said(json!({})).contains("needs a `source`"));
    assert!(
        said(json!({ "source": "a.csv", "format": "csw" })).contains("unknown variant `csw`, expected one of `csv`")
    );
    assert!(said(json!({ "source": "a.csv", "format": { "csv": { "head": true } } })).contains("unknown field `head`"));
    assert!(said(json!({ "source": "a.csv", "format": { "csv": {}, "tsv": {} } })).contains("`csv` and `tsv`"));
    assert!(said(json!({ "source": 3 })).contains("expected a source, a list of sources"));
    assert!(
        said(json!({ "source": "a.csv", "label": { "column": "x", "cuts": [1, 0], "names": ["a"] } }))
            .contains("`cuts` must rise; 2 `cuts` make 3 classes, but `names` has 1")
    );
    assert!(said(json!({ "source": { "train": "a.csv" }, "split": "s" })).contains("names the splits already"));
    assert!(
        said(json!({ "source": "a.csv", "format": { "csv": { "delimiter": "||" } } })).contains("one ASCII character")
    );
    assert!(said(json!({ "source": "a.csv", "limit": 0 })).contains("above 0"));
}

#[test]
fn the_key_ignores_paths_and_spellings_but_no_meaning() {
    let canonical = |with: Value| Ingest::canonical(&serde_json::from_value(with).unwrap());
    let plain = canonical(json!({ "source": "a.csv", "label": "y" }));
    assert_eq!(
        plain,
        canonical(
            json!({ "source": ["/elsewhere/b.csv"], "format": "csv", "text": ["text"], "label": { "column": "y" } })
        )
    );
    assert_ne!(plain, canonical(json!({ "source": "a.tsv", "label": "y" })));
    assert_ne!(plain, canonical(json!({ "source": { "train": "a.csv" }, "label": "y" })));
    assert_ne!(plain, canonical(json!({ "source": "a.csv", "label": "y", "limit": 5 })));
    assert_ne!(plain, canonical(json!({ "source": "a.csv", "label": { "column": "y", "drop": ["z"] } })));
}

#[test]
fn real_files_give_all_their_rows() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    if !data.is_dir() {
        // straight to the stream: what tests print through macros is shown for failed ones alone
        drop(std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no real data beside the repository\n"));
        return;
    }
    let count = |with: Value| ingest(data, with).map(|(ids, ..)| ids.len()).unwrap();
    let tsv = |columns: Value| json!({ "tsv": { "header": false, "columns": columns } });
    let vader = json!({ "source": "vader_icwsm2014/movieReviewSnippets_GroundTruth.txt.gz", "id": "id",
        "format": tsv(json!(["id", "valence", "text"])) });
    assert_eq!(count(vader.clone()), 10_605);
    let mut signs = vader;
    signs["label"] = json!({ "column": "valence", "cuts": [0.0], "names": ["negative", "positive"], "drop": [0] });
    let (ids, _, target, _) = ingest(data, signs).unwrap();
    let positive = target.label.unwrap().into_iter().filter(|label| label.as_deref() == Some("positive")).count();
    assert_eq!((ids.len(), positive), (10_568, 5_242));
    assert_eq!(
        count(json!({ "source": "sms_spam/SMSSpamCollection", "format": tsv(json!(["label", "text"])) })),
        5_574
    );
    let banking =
        json!({ "source": { "train": "banking77/train.csv", "test": "banking77/test.csv" }, "label": "category" });
    assert_eq!(count(banking), 13_083);
    assert_eq!(
        count(json!({ "source": "nsmc_ko/ratings_train.tsv.gz", "text": "document", "label": "label", "id": "id" })),
        60_000
    );
}
