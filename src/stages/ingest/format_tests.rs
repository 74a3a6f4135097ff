//! Is each format read to the letter, and are its traps told?

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use serde_json::{Value, json};

use super::tests::{ingest, one_file, said, texts};
use crate::stage::{Made, Output};

/// The spans that came out: for each row its classes, joined.
fn classes(output: &Output) -> Vec<Vec<String>> {
    let table = output.parts.iter().find_map(|(name, made)| match made {
        Made::Table(table) if name == "spans" => Some(table),
        _ => None,
    });
    let spans = table.unwrap().column_by_name("spans").unwrap().as_any().downcast_ref::<ListArray>().unwrap().clone();
    spans
        .iter()
        .map(|row| {
            let row = row.unwrap();
            let row = row.as_any().downcast_ref::<StructArray>().unwrap();
            let labels = row.column_by_name("label").unwrap();
            labels.as_any().downcast_ref::<StringArray>().unwrap().iter().map(|l| l.unwrap().to_owned()).collect()
        })
        .collect()
}

#[test]
fn json_rows_are_found_by_a_pointer() {
    let list = r#"[{"text": "a", "y": 1}, {"text": "b", "y": true}]"#;
    let (_, read, target, _) = one_file("x.json", list.as_bytes(), json!({ "label": "y" })).unwrap();
    assert_eq!(
        (read, target.label.unwrap()),
        (vec!["a".to_owned(), "b".to_owned()], vec![Some("1".to_owned()), Some("true".to_owned())])
    );
    let deep = r#"{"info": {"items": 0}, "data": {"items": [{"text": "a"}], "more": []}}"#;
    assert_eq!(texts("x.json", deep, json!({ "format": { "json": { "rows": "/data/items/*" } } })), ["a"]);
    let splits = r#"{"val": [["v", "x"]], "train": [["t", "x"], ["u", "y"]]}"#;
    let format = json!({ "json": { "rows": "/*/*", "keys": ["split"], "columns": ["text", "intent"] } });
    let with = json!({ "format": format, "split": "split", "label": "intent" });
    let (_, read, target, _) = one_file("x.json", splits.as_bytes(), with).unwrap();
    assert_eq!(read, ["v", "t", "u"]);
    assert_eq!(target.split.unwrap().iter().flatten().collect::<Vec<_>>(), ["val", "train", "train"]);
    let snips = r#"{"Play": [{"data": [{"text": "play "}, {"text": "it", "entity": "song"}]}]}"#;
    let with = json!({ "format": { "json": { "rows": "/*/*", "keys": ["intent"] } }, "text": "/data/*/text", "label": "intent" });
    let (_, read, target, _) = one_file("x.json", snips.as_bytes(), with).unwrap();
    assert_eq!((read, target.label.unwrap()), (vec!["play it".to_owned()], vec![Some("Play".to_owned())]));
    assert_eq!(texts("x.json", "[\"a\", \"b\"]", json!({ "text": "0" })), ["a", "b"]);
}

#[test]
fn what_is_wrong_in_json_is_said() {
    let said = |content: &str| said("x.json", content.as_bytes(), json!({}));
    assert!(said("[{\"text\": \"a\"},\n]").contains("`x.json`, line 2, column 1: it is not JSON: trailing comma"));
    assert!(said("[{\"text\": \"a\"}").contains("it is not JSON: EOF"));
    assert!(said("[{\"text\": \"a\", \"text\": \"b\"}]").contains("`text` stands twice in one object"));
    assert!(said("[{\"text\": \"\\ud800\"}]").contains("hex escape"));
    assert!(said("[{\"text\": \"a\"}] x").contains("trailing characters"));
    assert!(said("7").contains("a list or an object, since `rows: /*` leads through it"));
    assert!(said(&format!("[{}", "[".repeat(10_000))).contains("recursion limit"));
    let nested = said("{\"train\": [{\"text\": \"a\"}]}");
    assert!(nested.contains("has no column `text`") && nested.contains("`{ json: { rows: /*/* } }`"), "{nested}");
    let error = one_file("x.json", b"{\"a\": {\"b\": []}}", json!({ "format": { "json": { "rows": "/a/c/*" } } }));
    assert!(error.unwrap_err().contains("`rows: /a/c/*` leads to nothing: there is no `c`; there are `b`"));
    let columns = json!({ "format": { "json": { "columns": ["text", "y"] } } });
    assert!(one_file("x.json", b"[[\"a\"]]", columns).unwrap_err().contains("`columns` names 2, but the row has 1"));
}

#[test]
fn arrow_files_and_streams_are_read() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from(vec![1, 2]))),
        ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("y", Arc::new(StringArray::from(vec![Some("p"), Some("q")]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    for (name, bytes, count) in [("x.arrow", &file, 4), ("x.feather", &file, 4), ("x.arrows", &stream, 2)] {
        let (_, read, target, _) = one_file(name, bytes, json!({ "label": "y" })).unwrap();
        assert_eq!((read.len(), target.label.unwrap()[1].as_deref()), (count, Some("q")), "{name}");
    }
    assert!(said("x.arrow", &file, json!({ "text": "n" })).contains("a text is wanted, but it holds Int64"));
    assert!(said("x.arrow", &file[..file.len() / 2], json!({})).contains("cannot be read as Arrow"));
    assert!(said("x.arrow", b"FEA1 and more", json!({})).contains("Feather of version 1"));
    assert!(said("x.arrow", b"text\nhello\n", json!({})).contains("cannot be read as Arrow"));
}

#[test]
fn a_file_is_a_row_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [("r/neg/1-a.txt", "bad\n"), ("r/pos/1-b.txt", "good"), ("r/pos/2-c.txt", "")] {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), content).unwrap();
    }
    let with = json!({ "source": "r/*/*.txt", "format": "files", "id": "path", "label": "folder" });
    let (ids, read, target, _) = ingest(dir.path(), with).unwrap();
    assert_eq!(ids, ["r/neg/1-a.txt", "r/pos/1-b.txt", "r/pos/2-c.txt"]);
    assert_eq!(read, ["bad\n", "good", ""]);
    assert_eq!(target.label.unwrap().iter().flatten().collect::<Vec<_>>(), ["neg", "pos", "pos"]);
    let format = json!({ "files": { "pattern": r"(?P<fold>\d)-(?P<kind>[ab])\.txt$" } });
    let with = json!({ "source": "r/**/1-*.txt", "format": format, "label": "kind", "fold": "fold" });
    let (_, _, target, _) = ingest(dir.path(), with).unwrap();
    assert_eq!(target.label.unwrap().iter().flatten().collect::<Vec<_>>(), ["a", "b"]);
    let with = json!({ "source": "r/*/*.txt", "format": format, "label": "kind" });
    assert!(ingest(dir.path(), with).unwrap_err().contains("`pattern` does not match its path `r/pos/2-c.txt`"));
    let with = json!({ "source": "r/*/*.txt", "format": "files", "label": "dir" });
    assert!(ingest(dir.path(), with).unwrap_err().contains("its columns are `text`, `path`, `name`, `folder`"));
    fs::write(dir.path().join("r/pos/2-c.txt"), b"fine\nb\xe9b\xe9").unwrap();
    let with = json!({ "source": "r/*/*.txt", "format": "files" });
    let error = ingest(dir.path(), with.clone()).unwrap_err();
    assert!(error.contains("`r/pos/2-c.txt`, line 2: byte 2: 0xE9 is not utf-8"), "{error}");
    let mut other = with;
    other["encoding"] = "latin1".into();
    assert_eq!(ingest(dir.path(), other).unwrap().1[2], "fine\nb\u{e9}b\u{e9}");
}

#[test]
fn a_line_is_a_row_with_the_name_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pos.txt"), "good\n\n also\tgood\r\n").unwrap();
    fs::write(dir.path().join("neg.txt"), "bad\u{85}still").unwrap();
    let format = json!({ "lines": { "pattern": "(?P<label>pos|neg)" } });
    let with = json!({ "source": "*.txt", "format": format, "label": "label" });
    let (_, read, target, output) = ingest(dir.path(), with).unwrap();
    assert_eq!(read, ["bad\u{85}still", "good", " also\tgood"]);
    assert_eq!(target.label.unwrap().iter().flatten().collect::<Vec<_>>(), ["neg", "pos", "pos"]);
    assert_eq!(output.facts["blank_lines"], 1);
}

#[test]
fn a_split_may_have_several_sources() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(format!("{name}.txt")), format!("{name}\n")).unwrap();
    }
    let source = json!({ "train": ["c.txt", "a.txt"], "test": "b.txt" });
    let (_, read, target, _) = ingest(dir.path(), json!({ "source": source, "format": "lines" })).unwrap();
    assert_eq!(read, ["b", "c", "a"]);
    assert_eq!(target.split.unwrap().iter().flatten().collect::<Vec<_>>(), ["test", "train", "train"]);
}

#[test]
fn lines_of_json_have_pointers_too() {
    let line = "{\"meta\": {\"y\": 7}, \"data\": [{\"text\": \"a\"}, {\"text\": \"b\"}]}\n";
    let with = json!({ "text": "/data/*/text", "label": "/meta/y" });
    let (_, read, target, _) = one_file("x.jsonl", line.as_bytes(), with).unwrap();
    assert_eq!((read, target.label.unwrap()), (vec!["ab".to_owned()], vec![Some("7".to_owned())]));
    let twice = said("x.jsonl", b"{\"text\": \"a\", \"text\": \"b\"}\n", json!({}));
    assert!(twice.contains("line 1") && twice.contains("`text` stands twice"), "{twice}");
    assert!(said("x.jsonl", line.as_bytes(), json!({ "text": "/data/*/txt" })).contains("has no column `/data/*/txt`"));
}

#[test]
fn bytes_of_a_document_are_told_with_their_row() {
    let latin = b"[{\"text\": \"a\"},\n {\"text\": \"caf\xe9\"}]";
    let error = said("x.json", latin, json!({}));
    assert!(error.contains("`x.json`, line 2: byte 15: 0xE9 is not utf-8"), "{error}");
    let (_, read, ..) = one_file("x.json", latin, json!({ "encoding": "latin1" })).unwrap();
    assert_eq!(read[1], "caf\u{e9}");
    let (_, read, _, output) = one_file("x.json", latin, json!({ "encoding_errors": "skip" })).unwrap();
    assert_eq!((read.len(), &output.facts["rows_skipped"]), (1, &json!(1)));
}

#[test]
fn a_mail_has_columns() {
    let mail = b"From me Mon Jan 1\r\nFrom: =?iso-8859-1?Q?Ren=E9?= <r@x.org>\r\nTo: a@b.c, d@e.f\r\nSubject: =?utf-8?B?w6lzIMOgIHZvdXM=?=\r\n\
        \x20 folded\r\nDate: Tue, 1 Jan 2002 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=q\r\n\r\n\
        --q\r\nContent-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n5 =A4 for=\r\n you\r\n\
        --q\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>5 &euro;</p>\r\n--q--\r\n";
    let column = |name: &str| texts_of(mail, name);
    assert_eq!(column("subject"), "\u{e9}s \u{e0} vous folded");
    assert_eq!(column("from"), "Ren\u{e9} <r@x.org>");
    assert_eq!(column("to"), "a@b.c, d@e.f");
    assert_eq!(column("body").trim(), "5 \u{20ac} for you");
    assert_eq!(column("html").trim(), "<p>5 &euro;</p>");
    assert_eq!(column("date"), "2002-01-01T10:00:00+01:00");
    assert!(column("headers").contains("To: a@b.c, d@e.f\n"));
    let bare = b"Subject: caf\xe9\n\nna\xefve \x93text\x94\n";
    let error = said("x.eml", bare, json!({ "text": "body" }));
    assert!(error.contains("`x.eml`, line 1: byte 13: 0xE9 is not utf-8"), "{error}");
    let with = json!({ "text": ["subject", "body"], "encoding": "windows-1252" });
    assert_eq!(one_file("x.eml", bare, with).unwrap().1, ["caf\u{e9}\nna\u{ef}ve \u{201c}text\u{201d}\n"]);
    let broken = b"Subject: x\nContent-Type: text/plain; charset=utf-8\n\none\nb\xff\xffd\n";
    let error = said("x.eml", broken, json!({ "text": "body" }));
    assert!(error.contains("`x.eml`, line 5: byte 2: 0xFF is not utf-8"), "{error}");
    let with = json!({ "text": "body", "encoding_errors": "replace" });
    assert_eq!(one_file("x.eml", broken, with).unwrap().3.facts["replaced_bytes"], 2);
    let only_html = b"Subject: x\nContent-Type: text/html\n\n<p>one</p><p>two &amp; three</p>";
    assert_eq!(texts_of(only_html, "body").trim(), "one\ntwo & three");
    assert!(said("x.eml", b"no header here\n\nbody", json!({ "text": "body" })).contains("no header"));
}

fn texts_of(mail: &[u8], column: &str) -> String {
    one_file("x.eml", mail, json!({ "text": column })).unwrap().1.remove(0)
}

#[test]
fn sentences_come_with_their_spans() {
    let iob2 = "-DOCSTART- O\n\nNew B-LOC\nYork I-LOC\nis O\n\t\nhot O\n \nAda B-PER\n";
    let (_, read, _, output) = one_file("x.conll", iob2.as_bytes(), json!({})).unwrap();
    assert_eq!(read, ["New York is", "hot", "Ada"]);
    assert_eq!(classes(&output), [vec!["LOC".to_owned()], vec![], vec!["PER".to_owned()]]);
    let iob1 = "1\ta b\tI-X\n2\t\tB-X\n# note\n3\tc\tO\n";
    let format = json!({ "conll": { "token": 1, "separator": "tab", "comment": "# ", "scheme": "iob1" } });
    let (_, read, _, output) = one_file("x.txt", iob1.as_bytes(), json!({ "format": format })).unwrap();
    assert_eq!((read, classes(&output)[0].len()), (vec!["a b  c".to_owned()], 2));
}

#[test]
fn what_is_wrong_in_conll_is_said() {
    let said = |content: &str| said("x.conll", content.as_bytes(), json!({}));
    let inside = said("a O\n\nb O\nc I-X\n");
    assert!(
        inside.contains("line 4: `I-X` goes on with no entity") && inside.contains("`scheme: iob1` would read it"),
        "{inside}"
    );
    assert!(said("a\nb\n").contains("but here is 1"));
    assert!(said("a O\nb c O\n").contains("line 2: 2 columns are expected, as on the lines before, but here are 3"));
    assert!(said("a NN\n").contains("`NN` is no tag"));
}

#[test]
fn real_files_of_each_format_give_all_their_rows() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    if !data.is_dir() {
        drop(std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no real data beside the repository\n"));
        return;
    }
    let count = |with: Value| ingest(data, with).map(|(ids, _, _, output)| (ids.len(), output)).unwrap();
    let conll = |source: &str, options: Value| {
        let (rows, output) = count(json!({ "source": source, "format": { "conll": options } }));
        (rows, classes(&output).iter().map(Vec::len).sum::<usize>())
    };
    let tab = json!({ "separator": "tab" });
    assert_eq!(conll("wnut17/wnut17train.conll", tab.clone()), (3_394, 1_975));
    assert_eq!(conll("wnut17/emerging.dev.conll", tab.clone()), (1_009, 836));
    assert_eq!(conll("wnut17/emerging.test.annotated", tab.clone()), (1_287, 1_079));
    assert_eq!(conll("ner_wikigold/wikigold.conll.txt", json!({ "scheme": "iob1" })), (1_696, 3_558));
    assert_eq!(conll("ner_sec/FIN5.txt.gz", json!({ "scheme": "iob1" })), (1_164, 1_168));
    assert_eq!(conll("ner_sec/FIN3.txt", json!({ "scheme": "iob1" })), (303, 318));
    assert_eq!(conll("ner_btc/[abefgh].conll", tab), (9_339, 14_885));
    let uner = json!({ "token": 1, "tag": 2, "comment": "# ", "separator": "tab" });
    assert_eq!(conll("uner_ewt/en_ewt-ud-dev.iob2", uner.clone()), (2_001, 966));
    assert_eq!(conll("uner_ewt/en_ewt-ud-test.iob2.gz", uner), (2_077, 1_088));
    let format = json!({ "json": { "rows": "/*/*", "keys": ["split"], "columns": ["text", "intent"] } });
    let clinc =
        json!({ "source": "clinc150/data_full.json.gz", "format": format, "split": "split", "label": "intent" });
    assert_eq!(count(clinc).0, 15_000 + 3_000 + 4_500 + 100 + 100 + 1_000);
    let films =
        json!({ "source": "long_reviews/sample_dir/*/*.txt", "format": "files", "label": "folder", "id": "path" });
    assert_eq!(count(films).0, 50);
    let mails = json!({ "source": "spamassassin/raw/*/*.txt", "format": "mail", "label": "folder", "text": ["subject", "body"],
        "encoding": "auto", "encoding_errors": "replace" });
    let (mails, output) = count(mails);
    assert_eq!((mails, &output.facts["rows_skipped"]), (280, &json!(0)));
}
