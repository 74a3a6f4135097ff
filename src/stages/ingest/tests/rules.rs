//! Are rows judged by their rules, and all of them accounted for?

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::*;

pub(super) fn part(output: &Output, name: &str) -> RecordBatch {
    match output.parts.iter().find(|(part, _)| part == name) {
        Some((_, Made::Table(table))) => table.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_that_cannot_be_read_are_left_out_where_that_is_asked_for() {
    let csv = b"id,text,y,w\n1,a,p,1\n2,b\n1,again,p,1\n3,c,,1\n4,d,x,1\n5,e,p,-1\n6,f,q,0.5\n,g,p,1\n";
    let with = json!({ "id": "id", "label": { "column": "y", "classes": ["p", "q"] }, "weight": "w" });
    let message = said("x.csv", csv, with.clone());
    assert!(message.starts_with("`x.csv`, line 3: 4 fields are expected, but there are 2 | the row is: 2,b"));
    assert!(message.contains("set `on_row_error: skip`"), "{message}");
    let mut skipping = with;
    skipping["on_row_error"] = "skip".into();
    let (ids, _, target, output) = one_file("x.csv", csv, skipping).unwrap();
    assert_eq!(ids, ["1", "6"]);
    assert_eq!(target.weight.unwrap(), [1.0, 0.5]);
    assert_eq!((&output.facts["rows_read"], &output.facts["rows_skipped"]), (&json!(8), &json!(6)));
    let skipped: Vec<&str> =
        output.facts["skipped_first"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(
        skipped,
        [
            "`x.csv`, line 3: 4 fields are expected, but there are 2",
            "`x.csv`, line 4, column `id`: the id `1` stands in row 1 of all rows already",
            "`x.csv`, line 5, column `y`: the label is empty",
            "`x.csv`, line 6, column `y`: the label `x` is not among `classes`",
            "`x.csv`, line 7, column `w`: `-1` is no weight: a number above 0 is wanted",
            "`x.csv`, line 9, column `id`: the id is missing",
        ]
    );
    assert_eq!(output.facts["skipped_first"][0]["row"], "2,b");
    assert!(output.warnings[0].starts_with("6 rows cannot be read and were left out; the first: `x.csv`, line 3"));
}

#[test]
fn what_is_wrong_with_a_whole_file_is_never_skipped() {
    let skip = || json!({ "on_row_error": "skip" });
    assert!(said("x.csv", b"id,text\n1,\"a\n", skip()).contains("is never closed"));
    assert!(said("x.csv", b"id,txt\n1,a\n", skip()).contains("has no column `text`"));
    assert!(said("x.jsonl", b"[]\n{}\n", skip()).contains("all 2 rows of `x.jsonl` are left out: 2 cannot be read"));
    // nor are bytes, unless it is said of them
    assert!(said("x.csv", b"text\na\xe9\n", skip()).contains("0xE9 is not utf-8"));
}

#[test]
fn json_lines_may_lack_what_is_only_kept() {
    let lines =
        "{\"text\":\"a\",\"n\":1,\"s\":\"1\"}\n{\"text\":\"b\",\"b\":true}\n{\"text\":\"c\",\"n\":2.5,\"o\":null}\n";
    let with = json!({ "columns": ["n", "s", "b"] });
    let (_, _, _, output) = one_file("x.jsonl", lines.as_bytes(), with).unwrap();
    let columns = part(&output, "columns");
    let types: Vec<String> = columns.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Float64", "Utf8", "Boolean"]);
    let missing = said("x.jsonl", lines.as_bytes(), json!({ "columns": ["nn"] }));
    assert!(missing.contains("no row has a value in the column `nn`"), "{missing}");
    let new = said("x.jsonl", lines.as_bytes(), json!({ "columns": "all" }));
    assert!(new.starts_with("`x.jsonl`, line 2: the column `b` is not in the first row"), "{new}");
    let missing = said("x.jsonl", b"{\"text\":\"a\"}\n", json!({ "label": "y" }));
    assert!(missing.contains("line `1` has no column `y`"), "{missing}");
}

#[test]
fn further_columns_get_the_narrowest_type_that_fits() {
    let csv = b"text,n,x,code,flag,gap,none\na,1,1.5,007,true,,\nb,-2,2,1,FALSE,3,\n";
    let (_, _, _, output) = one_file("x.csv", csv, json!({ "columns": "all" })).unwrap();
    let columns = part(&output, "columns");
    let named: Vec<String> =
        columns.schema().fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect();
    assert_eq!(
        named,
        ["row_id: Utf8", "n: Int64", "x: Float64", "code: Utf8", "flag: Boolean", "gap: Int64", "none: Utf8"]
    );
    let gap = columns.column_by_name("gap").unwrap().as_primitive::<Int64Type>();
    assert_eq!(gap.iter().collect::<Vec<_>>(), [None, Some(3)]);
    let (_, _, _, output) = one_file("x.csv", csv, json!({ "columns": { "n": "number", "code": "integer" } })).unwrap();
    let columns = part(&output, "columns");
    assert_eq!(columns.schema().field_with_name("n").unwrap().data_type().to_string(), "Float64");
    let wrong = said("x.csv", csv, json!({ "columns": { "x": "integer" } }));
    assert!(wrong.contains("line 2, column `x`: `1.5` is not a whole number"), "{wrong}");
    assert!(said("x.csv", csv, json!({ "columns": ["nn"] })).contains("has no column `nn`"));
}

#[test]
fn comments_repeated_headers_and_the_rest_of_a_line() {
    let csv = b"# made by hand\ntext,y\na,p\n#b,q\ntext,y\nc,p\n";
    let with = json!({ "format": { "csv": { "comment": "#" } } });
    let message = said("x.csv", csv, with.clone());
    assert!(message.starts_with("`x.csv`, line 5: the header stands here again"), "{message}");
    let mut with = with;
    with["on_row_error"] = "skip".into();
    let (ids, texts, _, output) = one_file("x.csv", csv, with).unwrap();
    assert_eq!((ids, texts), (vec!["0".to_owned(), "2".to_owned()], vec!["a".to_owned(), "c".to_owned()]));
    assert_eq!(output.facts["comment_lines"], 2);
    let rest = json!({ "format": { "csv": {
        "delimiter": " ", "quote": "none", "header": false, "columns": ["y", "text"], "rest": true } }, "label": "y" });
    assert_eq!(texts_of("1 a b  \"c\n0 \n", &rest), ["a b  \"c", ""]);
    assert!(said("x.txt", b"1\n", rest).contains("2 fields are expected, but there is 1"));
    let quoted = json!({ "source": "x.csv", "format": { "csv": { "rest": true } } });
    assert!(build(Path::new("/nowhere"), quoted).err().unwrap().contains("`rest` takes a line as it stands"));
    let other = said("x.csv", b"id;text\n1;a\n", json!({}));
    assert!(other.contains("the first line has no ',', but ';': see `delimiter`"), "{other}");
}

#[test]
fn messages_show_the_part_that_matters() {
    let long = [b"text\n".as_slice(), "é".repeat(300).as_bytes(), b" here \xe9 and on\n"].concat();
    let message = said("x.csv", &long, json!({}));
    assert!(message.starts_with("`x.csv`, line 2: byte 607: 0xE9 is not utf-8 | the row is: …é"), "{message}");
    assert!(message.contains("é here \u{fffd} and on |"), "{message}");
    let mac = said("x.csv", b"id,text\r1,a\r2,b", json!({ "id": "id" }));
    assert!(mac.contains("if lines end with CR alone") && mac.contains("`text\\r1`"), "{mac}");
}

fn texts_of(content: &str, with: &Value) -> Vec<String> {
    one_file("x.txt", content.as_bytes(), with.clone()).unwrap().1
}

#[test]
fn lines_end_at_line_feeds_alone_and_are_counted_right() {
    let csv = "text,f\r\n\"a\r\nb\rc\u{85}\",1\r\nd\re\u{85}f,1\r\n\r\ng,x\r\n";
    let message = said("x.csv", csv.as_bytes(), json!({ "fold": "f" }));
    assert!(message.starts_with("`x.csv`, line 6, column `f`: `x` is not a whole number"), "{message}");
    let (_, texts, _, output) = one_file("x.csv", csv.as_bytes(), json!({})).unwrap();
    assert_eq!(texts, ["a\r\nb\rc\u{85}", "d\re\u{85}f", "g"]);
    assert_eq!(output.facts["blank_lines"], 1);
}

#[test]
fn replaced_bytes_are_counted_row_by_row() {
    let csv = b"text\nok\ncaf\xe9 \xff\n\"two\n\xfe\"\n";
    let (_, texts, _, output) = one_file("x.csv", csv, json!({ "encoding_errors": "replace" })).unwrap();
    assert_eq!(texts, ["ok", "caf\u{fffd} \u{fffd}", "two\n\u{fffd}"]);
    let notes = part(&output, "notes");
    assert_eq!(notes.column_by_name("replaced").unwrap().as_primitive::<Int64Type>().values(), &[0, 2, 1]);
    assert_eq!(output.facts["replaced_bytes"], 3);
    assert_eq!(output.facts["replaced_first"][2], json!({ "source": "x.csv", "line": 5, "byte": 1, "bytes": "0xFE" }));
    let (ids, _, _, output) = one_file("x.csv", csv, json!({ "encoding_errors": "skip" })).unwrap();
    assert_eq!((ids, &output.facts["rows_skipped"]), (vec!["0".to_owned()], &json!(2)));
}

#[test]
fn samples_keep_shares_and_say_what_they_left() {
    let rows: String =
        (0..1000).map(|row| format!("t{row},{}\n", if row % 10 == 0 { "rare" } else { "often" })).collect();
    let csv = format!("text,y\n{rows}");
    let with = json!({ "label": "y", "sample": { "rows": 50, "seed": 3 } });
    let (ids, _, target, output) = one_file("x.csv", csv.as_bytes(), with).unwrap();
    let rare = target.label.unwrap().iter().filter(|label| label.as_deref() == Some("rare")).count();
    assert_eq!((ids.len(), rare), (50, 5));
    assert_eq!((&output.facts["rows_read"], &output.facts["rows_not_in_sample"]), (&json!(1000), &json!(950)));
    let with = json!({ "label": "y", "sample": { "fraction": 0.1, "seed": 3 } });
    let (more, ..) = one_file("x.csv", csv.as_bytes(), with).unwrap();
    assert!(more.len() == 100 && ids.iter().all(|id| more.contains(id)));
    let both = json!({ "source": "x.csv", "limit": 1, "sample": { "rows": 1 } });
    assert!(build(Path::new("/nowhere"), both).err().unwrap().contains("both given"));
}

#[test]
fn names_of_labels_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.csv"), "text,y\na,1\nb,0\n").unwrap();
    fs::write(dir.path().join("names.txt"), "bad\r\ngood\r\n\r\n").unwrap();
    let with = json!({ "source": "x.csv", "label": { "column": "y", "names_file": "names.txt" }, "group": "text" });
    let (_, _, target, _) = ingest(dir.path(), with.clone()).unwrap();
    assert_eq!(target.label.unwrap(), [Some("good".to_owned()), Some("bad".to_owned())]);
    assert_eq!(target.group.unwrap()[1].as_deref(), Some("b"));
    fs::write(dir.path().join("names.txt"), "bad\n\ngood\n").unwrap();
    let message = ingest(dir.path(), with).unwrap_err();
    assert!(message.starts_with("`names.txt`, line 2: a name is wanted"), "{message}");
}

#[test]
fn chunks_lose_and_change_nothing() {
    let rows: String = (0..20_000).map(|row| format!("{row},\"t {row}\"\n")).collect();
    let (ids, texts, target, output) =
        one_file("x.csv", format!("id,text\n{rows}").as_bytes(), json!({ "id": "id", "columns": "all" })).unwrap();
    assert_eq!((ids.len(), texts.len(), target.row_id.len()), (20_000, 20_000, 20_000));
    assert!(texts.iter().zip(&ids).all(|(text, id)| *text == format!("t {id}")));
    assert!(output.parts.iter().all(|(name, _)| name != "notes"));
}

#[test]
fn a_value_is_a_finite_number_in_every_row() {
    let csv = b"y,text\n-0.5,a\n2,b\n 1e-3 ,c\n";
    let with = json!({ "value": "y", "label": { "column": "y", "cuts": [0.0], "names": ["neg", "pos"] } });
    let (_, _, target, _) = one_file("x.csv", csv, with).unwrap();
    assert_eq!(target.value.unwrap(), [-0.5, 2.0, 1e-3]);
    assert_eq!(target.label.unwrap()[2].as_deref(), Some("pos"));
    for (cell, what) in [
        ("inf", "`inf` is not a finite number"),
        ("NaN", "`NaN` is not"),
        ("1,5", "`1,5` is not"),
        ("", "the value is empty"),
    ] {
        let csv = format!("y,text\n1,a\n\"{cell}\",b\n");
        let message = said("x.csv", csv.as_bytes(), json!({ "value": "y" }));
        assert!(message.starts_with(&format!("`x.csv`, line 3, column `y`: {what}")), "{message}");
        let (ids, ..) = one_file("x.csv", csv.as_bytes(), json!({ "value": "y", "on_row_error": "skip" })).unwrap();
        assert_eq!(ids, ["0"]);
    }
    let (_, _, target, _) = one_file("x.jsonl", b"{\"text\": \"a\", \"y\": 0.25}\n", json!({ "value": "y" })).unwrap();
    assert_eq!(target.value.unwrap(), [0.25]);
    let message = said("x.jsonl", b"{\"text\": \"a\", \"y\": null}\n", json!({ "value": "y" }));
    assert!(message.contains("the value is empty") && message.contains("every row needs a number"), "{message}");
}
