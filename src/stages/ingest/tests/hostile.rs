//! Is nothing lost, and does nothing break, where files are made to harm?

use std::fs;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use serde_json::json;

use super::rules::part;
use super::{ingest, one_file, said};

/// The types of the kept columns, by name.
fn types(output: &crate::stage::Output) -> Vec<String> {
    let columns = part(output, "columns");
    let fields = columns.schema();
    fields.fields().iter().skip(1).map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}

#[test]
fn a_column_that_comes_late_is_never_lost() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "text,n\na,1\n").unwrap();
    fs::write(dir.path().join("b.csv"), "m,text,n\n5,b,2\n").unwrap();
    let with = json!({ "source": ["a.csv", "b.csv"], "columns": "all" });
    let error = ingest(dir.path(), with.clone()).unwrap_err();
    assert!(error.starts_with("`b.csv` has a column `m`, which the first file has not"), "{error}");
    let mut named = with;
    named["columns"] = json!(["n"]);
    assert_eq!(ingest(dir.path(), named).unwrap().1, ["a", "b"]);
    let late = br#"[{"text": "a", "n": 1}, {"text": "b", "n": 2, "m": 3}]"#;
    let error = said("x.json", late, json!({ "columns": "all" }));
    assert!(error.starts_with("`x.json`, row 2: the column `m` is not in the first row"), "{error}");
    let (read, ..) = one_file("x.json", late, json!({ "columns": "all", "on_row_error": "skip" })).unwrap();
    assert_eq!(read, ["0"]);
}

#[test]
fn a_column_with_nothing_in_it_is_kept() {
    let rows = RecordBatch::try_from_iter([
        ("text", Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef),
        ("none", Arc::new(StringArray::from(vec![None::<&str>, None]))),
        ("gaps", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.5)]))),
        ("wide", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
    ]);
    let rows = rows.unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let (.., output) = one_file("x.parquet", &bytes, json!({ "columns": "all" })).unwrap();
    // NaN is a gap among numbers, and a number with more digits than fit stays as it is
    assert_eq!(types(&output), ["none: Utf8", "gaps: Float64", "wide: Utf8"]);
    let columns = part(&output, "columns");
    assert_eq!(columns.column_by_name("gaps").unwrap().null_count(), 1);
    let mail = b"Subject: x\n\nbody";
    let (.., output) = one_file("x.eml", mail, json!({ "text": "body", "columns": ["html", "subject"] })).unwrap();
    assert_eq!(types(&output), ["html: Utf8", "subject: Utf8"]);
}

#[test]
fn options_that_would_be_ignored_are_told() {
    let told = |with: serde_json::Value| said("x.csv", b"text,y\na,1\n", with);
    assert!(told(json!({ "columns": ["y", "y"] })).contains("`columns` names `y` twice"));
    assert!(told(json!({ "label": { "column": "y", "names": ["a", ""] } })).contains("one of the `names` is empty"));
    assert!(told(json!({ "format": { "csv": { "quote": "," } } })).contains("are the same character"));
    let keys = json!({ "format": { "json": { "rows": "/a/*", "keys": ["a", "b"] } } });
    assert!(told(keys).contains("`keys` has 2 names, but `rows: /a/*` has 1 `*`"));
    let dir = tempfile::tempdir().unwrap();
    assert!(ingest(dir.path(), json!({ "source": { "": "x.csv" } })).unwrap_err().contains("has an empty name"));
}

#[test]
fn no_number_loses_digits() {
    let types = |cells: &str| types(&one_file("x.csv", cells.as_bytes(), json!({ "columns": ["n"] })).unwrap().3);
    assert_eq!(types("text,n\na,9007199254740993\nb,-5\n"), ["n: Int64"]);
    assert_eq!(types("text,n\na,9007199254740992\nb,0.5\n"), ["n: Float64"]);
    assert_eq!(types("text,n\na,9007199254740993\nb,0.5\n"), ["n: Utf8"]);
    assert_eq!(types("text,n\na,12345678901234567890\nb,1\n"), ["n: Utf8"]);
}

#[test]
fn what_does_not_end_is_told_before_it_fills_memory() {
    let long = format!("[{{\"text\": \"a\"}}, {{\"text\": \"{}\"}}]", "x".repeat(65 << 20));
    let error = said("x.json", long.as_bytes(), json!({}));
    assert!(error.contains("the row is longer than 64 MiB"), "{error}");
    let error = said("x.conll", "a O\n".repeat((1 << 20) + 1).as_bytes(), json!({}));
    assert!(error.starts_with("`x.conll`, line 1: the sentence has more than 1048576 tokens"), "{error}");
    let error = said("x.csv", b"\xff\xfe\0\0t\0\0\0", json!({ "encoding": "auto" }));
    assert!(error.contains("it is UTF-32"), "{error}");
}

#[test]
fn lengths_that_an_arrow_file_tells_are_held_against_it() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["the same again"; 100]));
    let rows = RecordBatch::try_from_iter([("text", text)]).unwrap();
    let options = || IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new_with_options(&mut file, &rows.schema(), options()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut stream, &rows.schema(), options()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    drop(writer);
    for (name, bytes) in [("x.arrow", &file), ("x.arrows", &stream)] {
        assert_eq!(one_file(name, bytes, json!({})).unwrap().0.len(), 100, "{name}");
        // the length before a packed buffer: 14 bytes of each of 100 texts
        let told = |length: u64| {
            let places = memchr::memmem::find_iter(bytes, &1400_u64.to_le_bytes()).collect::<Vec<_>>();
            places.into_iter().any(|at| {
                let mut wrong = bytes.clone();
                wrong[at..at + 8].copy_from_slice(&length.to_le_bytes());
                one_file(name, &wrong, json!({})).is_err_and(|error| error.contains("says that it unpacks to"))
            })
        };
        assert!(told(u64::MAX / 2) && told(1 << 40) && told(u64::MAX - 7), "{name}");
        // whatever byte is broken, nothing panics
        for at in (0..bytes.len()).step_by(3) {
            for byte in [0, 0xff] {
                let mut wrong = bytes.clone();
                wrong[at] = byte;
                let _ = one_file(name, &wrong, json!({}));
            }
        }
    }
}
