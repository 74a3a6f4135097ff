//! How do files become rows?
//!
//! Every row that a file holds comes out, or is counted as dropped, or is an error that names its place: nothing is skipped
//! or merged in silence. Lines with nothing on them are no rows and are counted too.

mod arrow_ipc;
mod columnar;
mod conll;
mod delimited;
mod files;
mod format;
mod json;
mod jsonl;
mod lines;
mod mail;
mod params;
mod parquet;
mod pointer;
mod rows;
mod tags;

use serde_json::{Value, json};

use crate::fetch::{Fetched, Spec};
use crate::problem::{Problem, Problems};
use crate::stage::{
    Arity, Ctx, FileNeed, Files, Output, Port, Refusal, Scope, Source, Stage, StageError, StageKind, Work, elided,
};
use crate::table;

use format::{Format, Quote};
use lines::Lines;
use params::{Label, Params, Sources};
use rows::{Collector, Next, Wanted};

/// Reads rows from files: CSV, TSV, JSON lines, Parquet; plain, `.gz` or in an archive.
pub(super) struct Ingest {
    sources: Vec<Input>,
    wanted: Wanted,
    label: Option<Label>,
    limit: Option<u64>,
}

/// One source.
struct Input {
    spec: Spec,
    split: Option<String>,
    format: Format,
    param: Vec<String>,
}

impl StageKind for Ingest {
    const KIND: &'static str = "ingest";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "reads rows of text, labels, folds and splits from files";
    const EXAMPLE: &'static str = "{ use: ingest, with: { source: data/reviews.tsv, id: id, text: [title, body], label: { column: stars, cuts: [3.5], names: [poor, good] } } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        let sources = inputs(&params, at, &mut problems);
        check(&params, at, &mut problems);
        if problems.any_error() {
            return Err(problems);
        }
        let mut wanted = Wanted::default();
        wanted.id = params.id.as_ref().map(|column| wanted.want(column, &["id"]));
        wanted.text = params.text.0.iter().map(|column| wanted.want(column, &["text"])).collect();
        wanted.label = params.label.as_ref().map(|label| wanted.want(&label.column, &["label"]));
        wanted.fold = params.fold.as_ref().map(|column| wanted.want(column, &["fold"]));
        wanted.split = params.split.as_ref().map(|column| wanted.want(column, &["split"]));
        Ok(Work::Source(Box::new(Ingest { sources, wanted, label: params.label, limit: params.limit })))
    }

    /// The sources count by the digests of their files, which the key holds besides; here stand their splits and formats,
    /// so that the same bytes under another path are the same work.
    fn canonical(params: &Params) -> Value {
        let mut value = elided(params, &Params::default());
        if let Some(fields) = value.as_object_mut() {
            fields.remove("source");
            fields.remove("format");
            let sources = written(&params.source).into_iter().map(|(split, source, _)| {
                let format = params.format.clone().or_else(|| format_of(&source));
                json!({ "split": split, "format": format.as_ref().map(Format::canonical) })
            });
            fields.insert("sources".to_owned(), sources.collect());
        }
        value
    }
}

/// Each source with its split and the way to it in the parameters.
fn written(sources: &Sources) -> Vec<(Option<String>, String, Vec<String>)> {
    let way = |last: Option<String>| std::iter::once("source".to_owned()).chain(last).collect();
    match sources {
        Sources::One(source) => vec![(None, source.clone(), way(None))],
        Sources::List(sources) => {
            sources.iter().enumerate().map(|(n, s)| (None, s.clone(), way(Some(n.to_string())))).collect()
        }
        Sources::Splits(splits) => {
            splits.iter().map(|(name, s)| (Some(name.clone()), s.clone(), way(Some(name.clone())))).collect()
        }
    }
}

fn format_of(source: &str) -> Option<Format> {
    let spec = Spec::parse(source, std::path::Path::new("")).ok()?;
    Format::of_name(spec.file_name())
}

fn inputs(params: &Params, at: &Scope<'_>, problems: &mut Problems) -> Vec<Input> {
    let mut all = Vec::new();
    let sources = written(&params.source);
    if sources.is_empty() {
        let problem = at.problem("missing-key", &[], format!("`{}` needs a `source`", at.stage));
        problems.push(problem.help("name a file: `source: data/train.csv`"));
    }
    for (split, source, param) in sources {
        let way: Vec<&str> = param.iter().map(String::as_str).collect();
        let spec = match Spec::parse(&source, at.base) {
            Ok(spec) => spec,
            Err(error) => {
                let problem = at.problem("invalid-param", &way, error.message);
                problems.push(error.help.into_iter().fold(problem, Problem::help));
                continue;
            }
        };
        match params.format.clone().or_else(|| Format::of_name(spec.file_name())) {
            Some(format) => all.push(Input { spec, split, format, param }),
            None => {
                let message = format!("the name `{}` does not tell how the file is written", spec.file_name());
                let problem = at.problem("invalid-param", &way, message);
                problems.push(problem.help("set `format`: `csv`, `tsv`, `jsonl`, `json`, `parquet`, `arrow`, `conll`, `files` or `mail`; in an archive, name a file with `archive!member`"));
            }
        }
    }
    all
}

fn check(params: &Params, at: &Scope<'_>, problems: &mut Problems) {
    let mut wrong = |param: &[&str], message: String, help: &str| {
        problems.push(at.problem("invalid-param", param, message).help(help));
    };
    if params.text.0.is_empty() {
        wrong(&["text"], "`text` names no column".to_owned(), "name a column or a list of columns");
    }
    if params.split.is_some() && matches!(params.source, Sources::Splits(_)) {
        let message = "`split` names a column, but `source` names the splits already".to_owned();
        wrong(&["split"], message, "leave one of them out");
    }
    if params.limit == Some(0) {
        wrong(&["limit"], "`limit` must be above 0, but is 0".to_owned(), "leave it out to read all rows");
    }
    let Some(label) = &params.label else { return };
    if label.cuts.is_empty() {
        if !label.names.is_empty() {
            wrong(
                &["label", "names"],
                "`names` without `cuts` names nothing".to_owned(),
                "add `cuts`, or leave `names` out",
            );
        }
        return;
    }
    if !label.cuts.iter().all(|cut| cut.is_finite()) || label.cuts.windows(2).any(|pair| pair.first() >= pair.last()) {
        wrong(
            &["label", "cuts"],
            "`cuts` must rise".to_owned(),
            "write them from the lowest to the highest, each once",
        );
    }
    if label.names.len() != label.cuts.len() + 1 {
        let (cuts, names) = (label.cuts.len(), label.names.len());
        let message = format!("{cuts} `cuts` make {} classes, but `names` has {names}", cuts + 1);
        wrong(
            &["label", "names"],
            message,
            "name the classes from the lowest to the highest, one more than there are cuts",
        );
    }
    for value in &label.drop {
        if value.text().trim().parse::<f64>().is_err() {
            let message = format!("`drop` holds `{}`, which is no number, but `cuts` divides numbers", value.text());
            wrong(&["label", "drop"], message, "with `cuts`, drop numbers");
        }
    }
}

impl Stage for Ingest {
    fn arity(&self) -> Arity {
        Arity::None
    }

    fn port(&self, _: &[Port]) -> Result<Port, Refusal> {
        Ok(Port::Rows)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &[]
    }

    fn files(&self) -> Vec<FileNeed> {
        let need = |(number, input): (usize, &Input)| FileNeed {
            role: format!("source.{number}"),
            spec: input.spec.clone(),
            param: input.param.clone(),
        };
        self.sources.iter().enumerate().map(need).collect()
    }

    fn reads_names(&self) -> bool {
        self.sources.iter().any(|input| input.format.reads_names())
    }

    fn keeps_rows(&self) -> bool {
        false
    }

    fn advice(&self) -> Vec<String> {
        self.sources.iter().filter_map(|input| input.spec.advice()).collect()
    }
}

impl Source for Ingest {
    fn read(&self, files: &Files, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let mut rows = Collector::new(&self.wanted, self.label.as_ref(), self.limit, ctx);
        let mut read: Vec<(String, u64)> = Vec::new();
        let mut next = Next::Read;
        for (input, (_, fetched)) in self.sources.iter().zip(&files.0) {
            rows.split.clone_from(&input.split);
            for file in fetched {
                let before = rows.read;
                if next == Next::Read {
                    next = read_file(&input.format, file, &mut rows)?;
                }
                read.push((file.source.clone(), rows.read - before));
            }
        }
        finish(&mut rows, &read, next == Next::Stop)
    }
}

fn read_file(format: &Format, file: &Fetched, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let style = |delimiter: u8, quote: Quote, header: bool, columns: &Option<Vec<String>>| delimited::Style {
        delimiter,
        quote: quote.0,
        header,
        columns: columns.clone(),
    };
    match format {
        Format::Csv(csv) => {
            let style = style(csv.delimiter.0, csv.quote, csv.header, &csv.columns);
            delimited::read(&style, Lines::open(file)?, rows)
        }
        Format::Tsv(tsv) => {
            let style = style(b'\t', tsv.quote, tsv.header, &tsv.columns);
            delimited::read(&style, Lines::open(file)?, rows)
        }
        Format::Jsonl(_) => jsonl::read(Lines::open(file)?, rows),
        Format::Json(options) => json::read(options, Lines::open(file)?, rows),
        Format::Parquet(_) => parquet::read(file, rows),
        Format::Arrow(_) => arrow_ipc::read(file, rows),
        Format::Conll(options) => conll::read(options, Lines::open(file)?, rows),
        Format::Files(options) => files::read(options, file, rows),
        Format::Mail(options) => mail::read(options, file, rows),
    }
}

fn finish(rows: &mut Collector<'_>, read: &[(String, u64)], stopped: bool) -> Result<Output, StageError> {
    if rows.row_id.is_empty() {
        let named = read.iter().map(|(source, _)| format!("`{source}`")).collect::<Vec<_>>().join(", ");
        return Err(match rows.dropped {
            0 => StageError::failed(format!("{named} has no rows"))
                .help("a file with a header alone has none; without a header, set `header: false`"),
            dropped => StageError::failed(format!("all {dropped} rows of {named} are dropped by `drop`")),
        });
    }
    let text = table::text::table(&rows.row_id, &rows.text).map_err(StageError::caused)?;
    let target = rows.target();
    let unlabelled = target.label.iter().flatten().filter(|label| label.is_none()).count();
    let empty = rows.text.iter().filter(|text| text.trim().is_empty()).count();
    let inputs: Vec<Value> = read.iter().map(|(source, rows)| json!({ "source": source, "rows": rows })).collect();
    let mut output = Output::new()
        .table("text", text)
        .table("target", target.to_table().map_err(StageError::caused)?)
        .fact("inputs", inputs)
        .fact("rows", rows.row_id.len())
        .fact("rows_read", rows.read)
        .fact("rows_dropped", rows.dropped)
        .fact("blank_lines", rows.blank)
        .fact("stopped_at_limit", stopped);
    if let Some(spans) = rows.spans() {
        output = output.table("spans", spans.to_table().map_err(StageError::caused)?);
    }
    for (source, _) in read.iter().filter(|(_, count)| *count == 0 && !stopped) {
        output = output.warn(format!("`{source}` has no rows"));
    }
    if unlabelled > 0 {
        output = output.fact("rows_without_label", unlabelled).warn(format!("{unlabelled} rows have no label"));
    }
    if empty > 0 {
        output = output.fact("empty_texts", empty).warn(format!("{empty} texts are empty"));
    }
    Ok(output)
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;
