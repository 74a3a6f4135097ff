//! Does every broken input end in a message that names the place, soon, and never in a panic or in rows that are gone?

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use zip::unstable::write::FileOptionsExt;
use zip::write::SimpleFileOptions;

use crate::support::{Project, Ran, skipped};

/// No broken input may take longer to be told.
const SOON: Duration = Duration::from_secs(20);

/// An input that is not what it should be.
struct Broken {
    /// What is wrong with it, for a message.
    name: &'static str,
    /// The file, and what is in it.
    file: (&'static str, Vec<u8>),
    /// The parameters of `ingest`.
    with: &'static str,
    /// How the run must end.
    code: i32,
    /// What must be said.
    says: &'static [&'static str],
}

fn broken(
    name: &'static str,
    file: &'static str,
    content: impl AsRef<[u8]>,
    with: &'static str,
    says: &'static [&'static str],
) -> Broken {
    Broken { name, file: (file, content.as_ref().to_vec()), with, code: 3, says }
}

impl Broken {
    /// It is told before anything runs.
    fn early(self) -> Self {
        Broken { code: 2, ..self }
    }

    fn check(&self) {
        let project = Project::new().file(self.file.0, &self.file.1);
        told(&project, self.name, self.with, self.code, self.says);
    }
}

/// Runs a pipeline that reads, and holds what is said against what must be.
fn told(project: &Project, name: &str, with: &str, code: i32, says: &[&str]) {
    project.write(
        "p.yaml",
        format!("name: x\nstages:\n  rows: {{ use: ingest, with: {with} }}\n  clean: {{ use: clean, from: rows }}\n"),
    );
    let ran = soon(project, name);
    assert_eq!(ran.code, code, "{name}\n{}{}", ran.stdout, ran.stderr);
    for words in says {
        assert!(ran.stderr.contains(words), "{name}: `{words}` is not said\n{}", ran.stderr);
    }
    assert!(ran.stderr.contains("p.yaml:3") || code == 8, "{name}: no place in the pipeline\n{}", ran.stderr);
}

fn soon(project: &Project, name: &str) -> Ran {
    let began = Instant::now();
    let mut command = project.command();
    command.args(["run", "p.yaml", "--progress", "none"]).env("FUSELINE_FETCH_TIMEOUT", "1s");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > SOON {
            child.kill().unwrap();
            panic!("{name}: nothing is told after {SOON:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert!(!ran.stderr.contains("panicked"), "{name}\n{}", ran.stderr);
    ran
}

fn check(all: Vec<Broken>) {
    all.iter().for_each(Broken::check);
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn half(bytes: Vec<u8>) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar whose names are written as they are given, and a link.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.as_old_mut().name.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "link.csv", "/etc/passwd").unwrap();
    builder.into_inner().unwrap()
}

/// A gzip file of one line of 1 GiB.
fn endless() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let block = vec![b'x'; 1 << 20];
    (0..1024).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

/// A header, and so many rows of a mebibyte each.
fn swollen(mebibytes: usize) -> Vec<u8> {
    let mut block = vec![b'x'; 1 << 20];
    block[(1 << 20) - 1] = b'\n';
    [b"text\n".to_vec(), block.repeat(mebibytes)].concat()
}

const CSV: &str = "{ source: x.csv, label: y }";
const JSONL: &str = "{ source: x.jsonl, label: y }";
const JSON: &str = "{ source: x.json, label: y }";
const CONLL: &str = "{ source: x.conll }";

#[test]
fn delimited_files() {
    let many = "text,y\n".to_owned() + &"a,b\n".repeat(100);
    check(vec![
        broken("an empty file", "x.csv", "", CSV, &["`x.csv` is empty"]),
        broken("a header alone", "x.csv", "text,y\n", CSV, &["`x.csv` has no rows", "header: false"]),
        broken("a byte order mark alone", "x.csv", "\u{feff}", CSV, &["`x.csv` is empty"]),
        broken("blank lines alone", "x.csv", "\n\r\n\n", CSV, &["`x.csv`"]),
        broken("another delimiter", "x.csv", "text;y\na;b\n", CSV, &["`x.csv` has no column `text`", "`text;y`"]),
        broken("a header with a name twice", "x.csv", "text,y,text\na,b,c\n", CSV, &["two columns `text`", "columns"]),
        broken("no such column", "x.csv", "text,z\na,b\n", CSV, &["no column `y`", "`z`"]),
        broken("a field too many", "x.csv", "text,y\na,b\nc,d,e\n", CSV, &["`x.csv`, line 3", "2 fields", "c,d,e"]),
        broken("a field too few", "x.csv", "text,y\na,b\nc\n", CSV, &["`x.csv`, line 3", "2 fields"]),
        broken(
            "a quote that never closes",
            "x.csv",
            "text,y\n\"a,b\nc,d\n",
            CSV,
            &["line 2", "never closed", "quote: none"],
        ),
        broken("text after a quote", "x.csv", "text,y\n\"a\"b,c\n", CSV, &["line 2", "after a closing quote"]),
        broken("bytes of another encoding", "x.csv", b"text,y\na,b\ncaf\xe9,d\n", CSV, &["line 3", "0xE9", "encoding"]),
        broken("two encodings", "x.csv", b"text,y\ncaf\xc3\xa9,b\ncaf\xe9,d\n", CSV, &["line 3", "0xE9"]),
        broken("a NUL", "x.csv", b"text,y\na\0c,b\n", CSV, &["`x.csv`, line 2", "0x00"]),
        broken("UTF-16 without a mark", "x.csv", b"t\0e\0x\0t\0,\0y\0\n\0a\0,\0b\0\n\0", CSV, &["`x.csv`", "0x00"]),
        broken("an id twice", "x.csv", "text,y\na,b\na,c\n", "{ source: x.csv, id: text }", &["line 3", "unique"]),
        broken(
            "an empty id",
            "x.csv",
            "text,y\na,b\n,c\n",
            "{ source: x.csv, id: text, text: y }",
            &["line 3", "the id is missing"],
        ),
        broken("an empty label", "x.csv", "text,y\na,\n", CSV, &["line 2", "column `y`", "empty"]),
        broken(
            "a fold that is no number",
            "x.csv",
            "text,y\na,b\n",
            "{ source: x.csv, fold: y }",
            &["line 2", "`b` is not a whole number"],
        ),
        broken(
            "a weight below 0",
            "x.csv",
            "text,y\na,-1\n",
            "{ source: x.csv, weight: y }",
            &["line 2", "`-1`", "above 0"],
        ),
        broken(
            "an unknown label",
            "x.csv",
            "text,y\na,spm\n",
            "{ source: x.csv, label: { column: y, classes: [spam, ham] } }",
            &["line 2", "spm", "spam"],
        ),
        broken(
            "names that do not reach",
            "x.csv",
            "text,y\na,0\nb,7\n",
            "{ source: x.csv, label: { column: y, names: [bad, good] } }",
            &["line 3", "7"],
        ),
        broken(
            "a label to be cut that is no number",
            "x.csv",
            "text,y\na,high\n",
            "{ source: x.csv, label: { column: y, cuts: [0], names: [a, b] } }",
            &["line 2", "`high` is not a number"],
        ),
        broken(
            "a file that looks like no format",
            "x.dat",
            many,
            "{ source: x.dat }",
            &["`x.dat` does not tell", "set `format`"],
        )
        .early(),
        broken(
            "an encoding that nobody knows",
            "x.csv",
            "text,y\na,b\n",
            "{ source: x.csv, encoding: utf-9 }",
            &["`utf-9`", "utf-8"],
        )
        .early(),
    ]);
}

#[test]
fn json_files() {
    let deep = format!("{{\"text\": {}1{}, \"y\": \"b\"}}\n", "[".repeat(10_000), "]".repeat(10_000));
    check(vec![
        broken(
            "a line that is cut",
            "x.jsonl",
            "{\"text\": \"a\", \"y\": \"b\"}\n{\"text\": \"a\"",
            JSONL,
            &["`x.jsonl`, line 2", "JSON"],
        ),
        broken("a line that is a list", "x.jsonl", "[\"a\", \"b\"]\n", JSONL, &["line 1", "not a JSON object"]),
        broken(
            "an array as lines",
            "x.jsonl",
            "[\n{\"text\": \"a\", \"y\": \"b\"}\n]\n",
            JSONL,
            &["line 1", "not a JSON object"],
        ),
        broken(
            "a null text",
            "x.jsonl",
            "{\"text\": null, \"y\": \"b\"}\n",
            JSONL,
            &["line 1", "column `text`", "null"],
        ),
        broken(
            "a text that is a number",
            "x.jsonl",
            "{\"text\": 7, \"y\": \"b\"}\n",
            JSONL,
            &["line 1", "holds a number"],
        ),
        broken(
            "a row without the column",
            "x.jsonl",
            "{\"text\": \"a\", \"y\": \"b\"}\n{\"text\": \"a\"}\n",
            JSONL,
            &["line `2", "no column `y`"],
        ),
        broken(
            "a name twice",
            "x.jsonl",
            "{\"text\": \"a\", \"text\": \"b\", \"y\": \"c\"}\n",
            JSONL,
            &["line 1", "stands twice"],
        ),
        broken(
            "half a surrogate",
            "x.jsonl",
            "{\"text\": \"\\ud83d\", \"y\": \"b\"}\n",
            JSONL,
            &["line 1", "hex escape"],
        ),
        broken("10,000 levels", "x.jsonl", &deep, JSONL, &["line 1", "recursion limit"]),
        broken(
            "a label of 30 digits",
            "x.jsonl",
            "{\"text\": \"a\", \"y\": 123456789012345678901234567890}\n",
            JSONL,
            &["line 1", "too large"],
        ),
        broken(
            "a number beyond all",
            "x.json",
            "[{\"text\": \"a\", \"y\": 1e999}]",
            JSON,
            &["`x.json`, line 1", "number out of range"],
        ),
        broken(
            "a comma too many",
            "x.json",
            "[{\"text\": \"a\", \"y\": \"b\"},\n]",
            JSON,
            &["`x.json`, line 2", "trailing comma"],
        ),
        broken("a document that is cut", "x.json", "[{\"text\": \"a\", \"y\": \"b\"}", JSON, &["`x.json`", "EOF"]),
        broken(
            "two documents",
            "x.json",
            "[{\"text\": \"a\", \"y\": \"b\"}]\n[]",
            JSON,
            &["line 2", "trailing characters", "jsonl"],
        ),
        broken("a document that is a number", "x.json", "7", JSON, &["`x.json`, line 1", "rows: /*"]),
        broken("an empty list", "x.json", "[]", JSON, &["`x.json` has no rows"]),
        broken(
            "a pointer to nothing",
            "x.json",
            "{\"data\": []}",
            "{ source: x.json, format: { json: { rows: /date/* } } }",
            &["leads to nothing", "`data`"],
        ),
        broken(
            "a pointer that is none",
            "x.json",
            "[]",
            "{ source: x.json, format: { json: { rows: data } } }",
            &["begins with `/`"],
        )
        .early(),
        broken(
            "rows that are deeper",
            "x.json",
            "{\"train\": [{\"text\": \"a\", \"y\": \"b\"}]}",
            JSON,
            &["row `1", "rows: /*/*"],
        ),
        broken(
            "lists of another length",
            "x.json",
            "[[\"a\", \"b\"], [\"c\"]]",
            "{ source: x.json, format: { json: { columns: [text, y] } } }",
            &["row 2", "names 2", "has 1"],
        ),
    ]);
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn texts() -> ArrayRef {
    Arc::new(StringArray::from((0..1000).map(|n| format!("text {n}")).collect::<Vec<_>>()))
}

fn arrow_file() -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([("text", texts())]).unwrap();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn files_of_columns() {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let nested: ArrayRef =
        Arc::new(StructArray::from(vec![(Arc::new(Field::new("n", DataType::Int64, false)), inner)]));
    let mut flipped = arrow_file();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0xff);
    check(vec![
        broken(
            "CSV called Parquet",
            "x.parquet",
            "text,y\na,b\n",
            "{ source: x.parquet }",
            &["`x.parquet`", "Parquet"],
        ),
        broken(
            "half a Parquet file",
            "x.parquet",
            half(parquet(vec![("text", texts())])),
            "{ source: x.parquet }",
            &["`x.parquet`"],
        ),
        broken(
            "a text of structs",
            "x.parquet",
            parquet(vec![("text", nested)]),
            "{ source: x.parquet }",
            &["column `text`", "Struct"],
        ),
        broken(
            "a text of numbers",
            "x.parquet",
            parquet(vec![("text", Arc::new(Int64Array::from(vec![1])))]),
            "{ source: x.parquet }",
            &["column `text`", "Int64"],
        ),
        broken("half an Arrow file", "x.arrow", half(arrow_file()), "{ source: x.arrow }", &["`x.arrow`", "Arrow"]),
        broken("text called Arrow", "x.arrow", "text\na\n", "{ source: x.arrow }", &["`x.arrow`", "Arrow"]),
        broken("an Arrow file with false bytes", "x.arrow", flipped, "{ source: x.arrow }", &["x.arrow"]),
        broken("an empty Arrow file", "x.arrow", "", "{ source: x.arrow }", &["`x.arrow`"]),
    ]);
}

#[test]
fn sentences_and_mails() {
    check(vec![
        broken(
            "I- that goes on with nothing",
            "x.conll",
            "a O\nb I-X\n",
            CONLL,
            &["`x.conll`, line 2", "`I-X`", "scheme: iob1"],
        ),
        broken("no tags", "x.conll", "a\nb\n", CONLL, &["`x.conll`, line 1", "tag"]),
        broken("a column too many", "x.conll", "a O\nb c O\n", CONLL, &["`x.conll`, line 2", "2 columns"]),
        broken("tags that are none", "x.conll", "a NN\n", CONLL, &["line 1", "`NN` is no tag"]),
        broken("separators alone", "x.conll", "\n\n\t\n", CONLL, &["`x.conll` has no rows"]),
        broken(
            "a mail without a header",
            "x.eml",
            "hello\n\nworld\n",
            "{ source: x.eml, text: body }",
            &["`x.eml`", "no header", "Subject"],
        ),
        broken("an empty mail", "x.eml", "", "{ source: x.eml, text: body }", &["`x.eml`", "no header"]),
        broken(
            "a mail with false bytes",
            "x.eml",
            b"Subject: x\n\ncaf\xe9\n",
            "{ source: x.eml, text: body }",
            &["`x.eml`, line 3", "0xE9", "windows-1252"],
        ),
        broken(
            "a name without the pattern",
            "x.txt",
            "a",
            "{ source: x.txt, format: { files: { pattern: '(?P<y>spam|ham)' } }, label: y }",
            &["`x.txt`", "does not match"],
        ),
        broken(
            "a pattern that is none",
            "x.txt",
            "a",
            "{ source: x.txt, format: { files: { pattern: '(' } } }",
            &["no regular expression"],
        )
        .early(),
        broken(
            "a false byte in a file that is a row",
            "x.txt",
            b"a\nb\xff",
            "{ source: x.txt, format: files }",
            &["`x.txt`, line 2", "0xFF"],
        ),
    ]);
}

#[test]
fn compressed_files() {
    let rows = b"text,y\n".iter().chain(b"some text of a row,b\n".repeat(5000).iter()).copied().collect::<Vec<u8>>();
    let zst = zstd::encode_all(rows.as_slice(), 3).unwrap();
    let at = |source: &'static str| source;
    check(vec![
        broken(
            "half a gzip file",
            "x.csv.gz",
            half(gz(&rows)),
            at("{ source: x.csv.gz }"),
            &["`x.csv.gz`", "ends too early"],
        ),
        broken("half a zstd file", "x.csv.zst", half(zst), at("{ source: x.csv.zst }"), &["`x.csv.zst`"]),
        broken("text called gzip", "x.csv.gz", &rows, at("{ source: x.csv.gz }"), &["`x.csv.gz`", "gzip"]),
        broken("gzip called text", "x.csv", gz(&rows), at("{ source: x.csv }"), &["`x.csv`", "gzip", "`.gz`"]),
        broken("a zip called text", "x.csv", zip(&[("a.csv", &rows)]), at("{ source: x.csv }"), &["`x.csv`", "zip"]),
        broken("a line of 1 GiB", "x.csv.gz", endless(), at("{ source: x.csv.gz }"), &["`x.csv.gz`", "64 MiB"]),
        broken(
            "a gzip bomb",
            "x.csv.gz",
            gz(&swollen(300)),
            at("{ source: x.csv.gz }"),
            &["`x.csv.gz`", "made to do harm"],
        ),
        broken(
            "an archive without a member",
            "x.zip",
            zip(&[("a.csv", &rows)]),
            at("{ source: x.zip, format: csv }"),
            &["is an archive", "`x.zip!a.csv`"],
        ),
    ]);
}

#[test]
fn archives() {
    let rows: &[u8] = b"text,y\na,b\n";
    let mut encrypted = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    encrypted.start_file("a.csv", SimpleFileOptions::default().with_deprecated_encryption(b"pw").unwrap()).unwrap();
    encrypted.write_all(rows).unwrap();
    let encrypted = encrypted.finish().unwrap().into_inner();
    let mut overlapping = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    overlapping.start_file("a.csv", SimpleFileOptions::default()).unwrap();
    overlapping.write_all(&rows.repeat(50)).unwrap();
    overlapping.shallow_copy_file("a.csv", "b.csv").unwrap();
    let overlapping = overlapping.finish().unwrap().into_inner();
    // its method's number, in the local header and in the directory
    let mut unknown = zip(&[("a.csv", rows)]);
    let directory = unknown.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    unknown[8] = 99;
    unknown[directory + 10] = 99;
    let zeros = zip(&[("a.csv", &swollen(300))]);
    let nested = zip(&[("in.zip", &zeros)]);
    let huge = {
        let mut header = tar::Header::new_gnu();
        header.set_path("a.csv").unwrap();
        header.set_size(1 << 40);
        header.set_cksum();
        [header.as_bytes().as_slice(), rows].concat()
    };
    let evil = gz(&tar(&[("../evil.csv", rows), ("/abs.csv", rows), ("a.csv", rows), ("a.csv", rows)]));
    check(vec![
        broken(
            "a member that leads out, by a glob",
            "x.tgz",
            &evil,
            "{ source: x.tgz!**/*.csv, format: csv }",
            &["leads out of the archive"],
        )
        .early(),
        broken(
            "a member that leads out, by name",
            "x.tgz",
            &evil,
            "{ source: x.tgz!../evil.csv }",
            &["leads out of its archive"],
        )
        .early(),
        broken("an absolute name", "x.tgz", &evil, "{ source: x.tgz!/abs.csv }", &["leads out of its archive"]).early(),
        broken("a link", "x.tgz", &evil, "{ source: x.tgz!link.csv }", &["`x.tgz!link.csv`", "link"]).early(),
        broken(
            "two members of a name",
            "x.tgz",
            &evil,
            "{ source: x.tgz!a.csv }",
            &["`x.tgz!a.csv`", "two files of this name"],
        )
        .early(),
        broken(
            "no such member",
            "x.tgz",
            &evil,
            "{ source: x.tgz!aa.csv }",
            &["`aa.csv` was not found in `x.tgz`", "`a.csv`"],
        )
        .early(),
        broken(
            "a glob of members that matches none",
            "x.zip",
            zip(&[("a.csv", rows)]),
            "{ source: x.zip!*.tsv }",
            &["`*.tsv` was not found"],
        )
        .early(),
        broken("an encrypted zip", "x.zip", encrypted, "{ source: x.zip!a.csv }", &["`x.zip!a.csv`", "encrypted"]),
        broken("members that overlap", "x.zip", overlapping, "{ source: x.zip!a.csv }", &["`x.zip`", "overlap"])
            .early(),
        broken("an unknown compression", "x.zip", unknown, "{ source: x.zip!a.csv }", &["`x.zip", "not"]),
        broken(
            "half a zip",
            "x.zip",
            half(zip(&[("a.csv", &rows.repeat(100))])),
            "{ source: x.zip!a.csv }",
            &["`x.zip`"],
        )
        .early(),
        broken("text called zip", "x.zip", rows, "{ source: x.zip!a.csv }", &["`x.zip`"]).early(),
        broken("a zip bomb", "x.zip", zeros, "{ source: x.zip!a.csv }", &["`x.zip!a.csv`", "made to do harm"]),
        broken(
            "a bomb in a zip",
            "x.zip",
            nested,
            "{ source: x.zip!in.zip!a.csv }",
            &["`x.zip!in.zip!a.csv`", "made to do harm"],
        ),
        broken("a member larger than its archive", "x.tar", huge, "{ source: x.tar!a.csv }", &["x.tar"]).early(),
        broken(
            "half a tar.gz",
            "x.tar.gz",
            half(gz(&tar(&[("a.csv", &rows.repeat(1000))]))),
            "{ source: x.tar.gz!a.csv }",
            &["x.tar.gz"],
        )
        .early(),
    ]);
}

#[test]
fn what_is_no_file() {
    let rows = "text,y\na,b\n";
    let project = || Project::new().file("d/a.csv", rows);
    let wrong = |name: &str, with: &str, says: &[&str]| told(&project(), name, with, 2, says);
    wrong("a folder", "{ source: d, format: csv }", &["`d`", "it is a folder", "`folder/*.csv`"]);
    wrong("no such file", "{ source: d/b.csv }", &["`d/b.csv` was not found", "`d/a.csv`"]);
    wrong("no such folder", "{ source: e/a.csv }", &["no such folder"]);
    wrong("a glob that matches none", "{ source: d/*.tsv }", &["`d/*.tsv` was not found"]);
    wrong("a glob that is none", "{ source: 'd/[.csv' }", &["d/[.csv"]);
    let long = format!("{{ source: {}.csv }}", "n".repeat(300));
    wrong("a name that is too long", &long, &["nnn"]);
    wrong("a false digest", &format!("{{ source: d/a.csv#sha256={} }}", "0".repeat(63)), &["is not a sha256"]);
    told(
        &project(),
        "another digest",
        &format!("{{ source: d/a.csv#sha256={} }}", "0".repeat(64)),
        7,
        &["`d/a.csv` has the wrong content"],
    );
    wrong("a scheme that nobody knows", "{ source: 'ftp://host/a.csv' }", &["`ftp:`"]);
    wrong("a password in an address", "{ source: 'https://me:pw@host/a.csv' }", &["must not hold"]);
}

#[cfg(unix)]
#[test]
fn what_a_unix_disk_may_hold() {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    let project = Project::new().file("d/a.csv", "text,y\na,b\n");
    let wrong = |name: &str, with: &str, says: &[&str]| told(&project, name, with, 2, says);
    assert!(std::process::Command::new("mkfifo").arg(project.path("d/pipe.csv")).status().unwrap().success());
    wrong("a pipe", "{ source: d/pipe.csv }", &["`d/pipe.csv`", "neither a file nor a folder"]);
    wrong("a pipe that a glob means", "{ source: d/*.csv }", &["`d/pipe.csv`", "neither a file nor a folder"]);
    std::fs::remove_file(project.path("d/pipe.csv")).unwrap();
    wrong("a device", "{ source: /dev/zero, format: csv }", &["`/dev/zero`", "neither a file nor a folder"]);
    symlink("nowhere", project.path("d/link.csv")).unwrap();
    wrong("a link to nothing", "{ source: d/link.csv }", &["d/link.csv"]);
    wrong("a link to nothing that a glob means", "{ source: d/*.csv }", &["`d/link.csv`", "leads nowhere"]);
    std::fs::remove_file(project.path("d/link.csv")).unwrap();
    symlink("round.csv", project.path("d/round.csv")).unwrap();
    wrong("a link to itself", "{ source: d/round.csv }", &["d/round.csv"]);
    std::fs::remove_file(project.path("d/round.csv")).unwrap();
    let odd = std::ffi::OsString::from_vec(b"odd\xff.csv".to_vec());
    std::fs::write(project.path("d").join(&odd), "text,y\n\"a,b\n").unwrap();
    told(&project, "a name that is no text", "{ source: d/o*.csv }", 3, &["odd\u{fffd}.csv`, line 2"]);
    std::fs::remove_file(project.path("d").join(&odd)).unwrap();
    symlink(".", project.path("d/loop")).unwrap();
    project.write("p.yaml", "name: x\nstages:\n  rows: { use: ingest, with: { source: 'd/**/*.csv' } }\n  clean: { use: clean, from: rows }\n");
    assert_eq!(soon(&project, "folders in a circle").code, 0);
    std::fs::set_permissions(project.path("d/a.csv"), std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(project.path("d/a.csv")).is_ok() {
        skipped("this user may read everything");
        return;
    }
    wrong("a file that may not be read", "{ source: d/a.csv }", &["d/a.csv", "ermission"]);
}

#[test]
fn a_file_that_grows_while_it_is_read() {
    let project = Project::new().file("x.csv", "text,y\n".to_owned() + &"some text of a row,b\n".repeat(200_000));
    project.write(
        "p.yaml",
        "name: x\nstages:\n  rows: { use: ingest, with: { source: x.csv } }\n  clean: { use: clean, from: rows }\n",
    );
    let done = std::sync::atomic::AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::options().append(true).open(project.path("x.csv")).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"another row,b\n").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ran = soon(&project, "a file that grows");
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        ran
    });
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("`x.csv` changed during the run"), "{}", ran.stderr);
}

#[test]
fn labels_of_one_class() {
    let project = Project::new().file("x.csv", "text,y\n".to_owned() + &"a row,b\n".repeat(10));
    project.write(
        "p.yaml",
        "name: x\nstages:\n  rows: { use: ingest, with: { source: x.csv, label: y } }\n  words: { use: tokenize, from: rows }\n  \
         tfidf: { use: tfidf, from: words }\n  model: { use: train, from: tfidf, with: { estimator: { linear_svc: {} } } }\n  \
         scores: { use: cross_validate, from: model, with: { folds: 3 } }\n",
    );
    let ran = soon(&project, "one class");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("class") && ran.stderr.contains("`b`"), "{}", ran.stderr);
}

/// A server that answers each request so; nothing at all for an empty answer.
fn server(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 2048];
            let count = stream.read(&mut asked).unwrap_or(0);
            let answer = answer(&String::from_utf8_lossy(&asked[..count]));
            if answer.is_empty() {
                held.push(stream);
            } else {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    address
}

#[test]
fn servers() {
    let empty =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n{more}\r\n");
    let body =
        |text: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
    let gone = server(move |_| empty("404 Not Found", ""));
    let circle = server(move |_| empty("302 Found", "location: /x.csv\r\n"));
    let closed = server(move |_| empty("403 Forbidden", ""));
    let silent = server(|_| String::new());
    let other = server(move |_| body("text,y\nc,d\n"));
    let torn =
        server(move |_| "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\ntext,y\n".to_owned());
    let project = Project::new();
    let wrong = |name: &str, address: &str, code: i32, says: &[&str]| {
        told(&project, name, &format!("{{ source: '{address}' }}"), code, says);
    };
    wrong("a file that a server does not have", &format!("{gone}/x.csv"), 2, &["was not found in `127.0.0.1:"]);
    wrong("a circle of addresses", &format!("{circle}/x.csv"), 2, &["leads from one address to the next"]);
    wrong("a file that is not for all", &format!("{closed}/x.csv?key=sekret"), 2, &["status 403", "netrc"]);
    wrong("a server that says nothing", &format!("{silent}/x.csv"), 8, &["cannot be reached", "timeout"]);
    wrong("a download that breaks off", &format!("{torn}/x.csv"), 8, &["broke off"]);
    wrong(
        "a file with another digest",
        &format!("{other}/x.csv#sha256={}", "0".repeat(64)),
        7,
        &["wrong content", "nothing was kept"],
    );
}
