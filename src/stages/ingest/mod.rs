//! How do files become rows?
//!
//! Every row that a file holds comes out, or is counted as dropped, or is an error that names its place: nothing is skipped
//! or merged in silence. Lines with nothing on them are no rows and are counted too.

mod account;
mod arrow_ipc;
mod arrow_sound;
mod cells;
mod chunk;
mod columnar;
mod conll;
mod delimited;
mod encoding;
mod files;
mod format;
mod json;
mod jsonl;
mod kept;
mod label;
mod lines;
mod mail;
mod params;
mod parquet;
mod place;
mod pointer;
mod rows;
mod sample;
mod tags;
mod wanted;

use serde_json::{Value, json};

use crate::fetch::{Fetched, Spec};
use crate::problem::{Problem, Problems};
use crate::stage::{
    Account, Arity, Ctx, Emit, FileNeed, Files, Port, Refusal, Scope, Source, Stage, StageError, StageKind, Targets,
    Work, elided,
};

use account::Reading;
use encoding::{Encoding, EncodingErrors};
use format::Format;
use kept::Keep;
use label::{Label, Rule};
use lines::Lines;
use params::{OnRowError, OneOrMore, Params, Sources};
use rows::{Choice, Collector, Next, Rules, Seen};
use sample::{Sample, Survey};
use wanted::Wanted;

/// Reads rows from files of any [`Format`]; plain, compressed or in an archive.
pub(super) struct Ingest {
    sources: Vec<Input>,
    wanted: Wanted,
    label: Option<Label>,
    /// Where the label's names are.
    names: Option<Spec>,
    limit: Option<u64>,
    sample: Option<Sample>,
    encoding: Encoding,
    encoding_errors: EncodingErrors,
    on_row_error: OnRowError,
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
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "reads rows of text, labels, folds and splits from files";
    const EXAMPLE: &'static str = "{ use: ingest, with: { source: data/reviews.tsv, id: id, text: [title, body], label: { column: stars, cuts: [3.5], names: [poor, good] } } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        let sources = inputs(&params, at, &mut problems);
        let names = names_file(&params, at, &mut problems);
        check(&params, at, &mut problems);
        if problems.any_error() {
            return Err(problems);
        }
        Ok(Work::Source(Box::new(Ingest {
            sources,
            wanted: Wanted::new(&params),
            names,
            label: params.label,
            limit: params.limit,
            sample: params.sample,
            encoding: params.encoding,
            encoding_errors: params.encoding_errors,
            on_row_error: params.on_row_error,
        })))
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
            // so do the names of labels
            if let Some(file) = fields.get_mut("label").and_then(|label| label.get_mut("names_file")) {
                *file = Value::Bool(true);
            }
        }
        value
    }
}

/// Each source with its split and the way to it in the parameters.
fn written(sources: &Sources) -> Vec<(Option<String>, String, Vec<String>)> {
    let way = |last: &[String]| std::iter::once("source".to_owned()).chain(last.iter().cloned()).collect::<Vec<_>>();
    let listed = |split: Option<&String>, sources: &[String]| -> Vec<(Option<String>, String, Vec<String>)> {
        let last = |number: usize| split.cloned().into_iter().chain([number.to_string()]).collect::<Vec<_>>();
        sources.iter().enumerate().map(|(n, source)| (split.cloned(), source.clone(), way(&last(n)))).collect()
    };
    match sources {
        Sources::One(source) => vec![(None, source.clone(), way(&[]))],
        Sources::List(sources) => listed(None, sources),
        Sources::Splits(splits) => splits
            .iter()
            .flat_map(|(split, sources)| match sources {
                OneOrMore::One(source) => vec![(Some(split.clone()), source.clone(), way(std::slice::from_ref(split)))],
                OneOrMore::More(sources) => listed(Some(split), sources),
            })
            .collect(),
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
                problems.push(problem.help("set `format`: `csv`, `tsv`, `jsonl`, `json`, `parquet`, `arrow`, `conll`, `lines`, `files` or `mail`; in an archive, name a file with `archive!member`"));
            }
        }
    }
    all
}

fn names_file(params: &Params, at: &Scope<'_>, problems: &mut Problems) -> Option<Spec> {
    let file = params.label.as_ref()?.names_file.as_ref()?;
    match Spec::parse(file, at.base) {
        Ok(spec) => Some(spec),
        Err(error) => {
            let problem = at.problem("invalid-param", &["label", "names_file"], error.message);
            problems.push(error.help.into_iter().fold(problem, Problem::help));
            None
        }
    }
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
    if let Sources::Splits(splits) = &params.source
        && splits.iter().any(|(split, _)| split.is_empty())
    {
        wrong(&["source"], "a split of `source` has an empty name".to_owned(), "call it `train`, `test` or otherwise");
    }
    if let Keep::Some(columns) = &params.columns
        && let Some(twice) = columns
            .iter()
            .enumerate()
            .find_map(|(at, (name, _))| columns.iter().skip(at + 1).any(|(other, _)| other == name).then_some(name))
    {
        wrong(&["columns"], format!("`columns` names `{twice}` twice"), "name each column once");
    }
    if params.limit == Some(0) {
        wrong(&["limit"], "`limit` must be above 0, but is 0".to_owned(), "leave it out to read all rows");
    }
    if params.limit.is_some() && params.sample.is_some() {
        let message = "`limit` and `sample` are both given".to_owned();
        wrong(&["sample"], message, "leave one of them out");
    }
    if let Some((message, help)) = params.sample.as_ref().and_then(Sample::fault) {
        wrong(&["sample"], message.to_owned(), help);
    }
    if let Some((message, help)) = params.format.as_ref().and_then(Format::fault) {
        wrong(&["format"], message, help);
    }
    for (field, message, help) in params.label.iter().flat_map(Label::faults) {
        wrong(&["label", field], message, help);
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
        let names = self.names.iter().map(|spec| FileNeed {
            role: "names".to_owned(),
            spec: spec.clone(),
            param: ["label", "names_file"].map(str::to_owned).to_vec(),
        });
        self.sources.iter().enumerate().map(need).chain(names).collect()
    }

    fn seeded(&self) -> bool {
        self.sample.as_ref().is_some_and(|sample| sample.seed.is_none())
    }

    fn reads_names(&self) -> bool {
        self.sources.iter().any(|input| input.format.reads_names())
    }

    fn keeps_rows(&self) -> bool {
        false
    }

    fn targets(&self) -> Option<Targets> {
        let multi = self.label.as_ref().map(|label| label.multi.is_some());
        let Wanted { value, weight, .. } = &self.wanted;
        let (label, label_set) = (multi == Some(false), multi == Some(true));
        Some(Targets { label, label_set, value: value.is_some(), weight: weight.is_some() })
    }

    fn advice(&self) -> Vec<String> {
        self.sources.iter().filter_map(|input| input.spec.advice()).collect()
    }
}

impl Source for Ingest {
    fn read(&self, files: &Files, rows: &mut dyn Emit, ctx: &Ctx<'_>) -> Result<Account, StageError> {
        let names = self.names.as_ref().map(|_| read_names(files.one("names")?)).transpose()?;
        let rules = Rules {
            rule: self.label.as_ref().map(|label| Rule::new(label, names.as_deref())),
            limit: self.limit,
            encoding: self.encoding,
            encoding_errors: self.encoding_errors,
            on_row_error: self.on_row_error,
            sentences: self.sources.iter().any(|input| matches!(input.format, Format::Conll(_))),
        };
        let choice = match &self.sample {
            None => Choice::All,
            Some(sample) => {
                let survey = Choice::Survey(Box::new(Survey::new(sample, ctx.seed)));
                let mut looking = Collector::new(self.wanted.clone(), &rules, survey, rows, ctx);
                self.pass(files, &mut looking)?;
                match looking.choice {
                    Choice::Survey(survey) => Choice::Drawn(survey.draw(sample).into_iter()),
                    other => other,
                }
            }
        };
        let mut collector = Collector::new(self.wanted.clone(), &rules, choice, rows, ctx);
        let reading = self.pass(files, &mut collector)?;
        collector.finish()?;
        account::account(&collector, &reading)
    }
}

impl Ingest {
    /// Reads all files once.
    fn pass(&self, files: &Files, rows: &mut Collector<'_>) -> Result<Reading, StageError> {
        let mut reading = Reading::default();
        for (input, (_, fetched)) in self.sources.iter().zip(&files.0) {
            for file in fetched {
                rows.begin(input.split.as_deref());
                let full = rows.full();
                let seen = if full { Seen::default() } else { read_file(&input.format, file, rows)? };
                reading.stopped |= full || seen.next == Next::Stop;
                reading.files.push((file.source.clone(), seen));
            }
        }
        Ok(reading)
    }
}

fn read_file(format: &Format, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    match format {
        Format::Csv(csv) => delimited::read(&csv.style(), file, rows),
        Format::Tsv(tsv) => delimited::read(&tsv.style(), file, rows),
        Format::Jsonl(_) => jsonl::read(file, rows),
        Format::Json(options) => json::read(options, file, rows),
        Format::Parquet(_) => parquet::read(file, rows),
        Format::Arrow(_) => arrow_ipc::read(file, rows),
        Format::Conll(options) => conll::read(options, file, rows),
        Format::Lines(options) => files::read_lines(options, file, rows),
        Format::Files(options) => files::read(options, file, rows),
        Format::Mail(options) => mail::read(options, file, rows),
    }
}

/// The names in a file, one on each line.
fn read_names(file: &Fetched) -> Result<Vec<String>, StageError> {
    let mut lines = Lines::open(file, Encoding::Auto)?;
    let mut names: Vec<String> = Vec::new();
    while lines.next()? {
        names.push(lines.text().to_owned());
    }
    while names.last().is_some_and(|name| name.trim().is_empty()) {
        names.pop();
    }
    let param = ["label", "names_file"];
    match names.iter().position(|name| name.trim().is_empty()) {
        Some(at) => {
            let message = format!("`{}`, line {}: a name is wanted, but the line is empty", file.source, at + 1);
            Err(StageError::failed(message).at_param(&param))
        }
        None if names.is_empty() => {
            Err(StageError::failed(format!("`{}` holds no names", file.source)).at_param(&param))
        }
        None => Ok(names),
    }
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;
