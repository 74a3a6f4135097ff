//! Which rows come out, and what is said of those that cannot?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::Int64Builder;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::encoding::{Encoding, EncodingErrors, Found, Wrong, name};
use super::kept::Kept;
use super::label::{Class, Rule};
use super::lines::Lines;
use super::params::OnRowError;
use super::sample::Survey;
use super::wanted::Wanted;
use crate::fetch::Fetched;
use crate::stage::{Ctx, Emit, Failure, StageError};
use crate::table::target::TargetRow;

/// How many characters of a bad row are shown.
const SHOWN: usize = 160;
/// How many places of a kind are told.
const TOLD: usize = 10;

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// The file, as the pipeline names it.
    pub(super) source: &'a str,
    /// `line` or `row`.
    pub(super) unit: &'static str,
    /// From 1.
    pub(super) number: u64,
}

impl At<'_> {
    /// An error about a row, which it shows.
    pub(super) fn error(&self, column: Option<&str>, message: &str, row: &str) -> StageError {
        let At { source, unit, number } = self;
        let place = match column {
            Some(column) => format!("`{source}`, {unit} {number}, column `{column}`"),
            None => format!("`{source}`, {unit} {number}"),
        };
        StageError::failed(format!("{place}: {message}")).because(format!("the row is: {}", shown(row)))
    }
}

/// A row for a message: cut, its control characters visible.
pub(super) fn shown(row: &str) -> String {
    let mut text: String = row
        .chars()
        .take(SHOWN)
        .flat_map(|c| {
            let visible = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            visible.chars().collect::<Vec<_>>()
        })
        .collect();
    if row.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// Whether to read on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Next {
    #[default]
    Read,
    Stop,
}

/// What a reader has met in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Rows, as they stand in the file: each of them was given to the collector.
    pub(super) rows: u64,
    /// Whether there may be more.
    pub(super) next: Next,
}

/// A row that was read.
pub(super) struct Row<'r> {
    pub(super) at: At<'r>,
    /// The cells of the wanted columns in their order, `None` for null.
    pub(super) cells: &'r [Option<&'r str>],
    /// Gives the row for a message.
    pub(super) show: &'r dyn Fn() -> String,
    /// Its bytes that were no text.
    pub(super) wrong: &'r [Wrong],
}

/// A text file that is being read.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) source: String,
    pub(super) found: Found,
    /// What its bytes that are no text look like.
    pub(super) looks: Option<&'static encoding_rs::Encoding>,
}

/// How rows are judged.
pub(super) struct Rules<'a> {
    pub(super) rule: Option<Rule<'a>>,
    pub(super) limit: Option<u64>,
    pub(super) encoding: Encoding,
    pub(super) encoding_errors: EncodingErrors,
    pub(super) on_row_error: OnRowError,
}

/// Which of the rows that are right are handed on.
pub(super) enum Choice {
    /// All.
    All,
    /// None: they are looked at for a sample.
    Survey(Box<Survey>),
    /// Those for which it is true, in order.
    Drawn(std::vec::IntoIter<bool>),
}

/// How many rows met which fate.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Rows, left out or not.
    pub(super) read: u64,
    /// Rows handed on.
    pub(super) kept: u64,
    /// Rows left out because of their label's value.
    pub(super) dropped: u64,
    /// Rows left out because they cannot be read.
    pub(super) skipped: u64,
    /// Rows that are not in the sample.
    pub(super) undrawn: u64,
    /// Lines with nothing on them, and comments, which are no rows.
    pub(super) blank: u64,
    pub(super) comments: u64,
    pub(super) unlabelled: u64,
    pub(super) empty: u64,
    /// Bytes replaced.
    pub(super) replaced: u64,
}

/// Gathers rows from all files, judges them and hands them on.
pub(super) struct Collector<'a> {
    pub(super) wanted: Wanted,
    rules: &'a Rules<'a>,
    ctx: &'a Ctx<'a>,
    out: &'a mut dyn Emit,
    pub(super) choice: Choice,
    /// The split of the file that is being read, where the source tells it.
    split: Option<Arc<str>>,
    /// Rows handed on of this split, and of those before it.
    taken: u64,
    of_split: BTreeMap<Option<Arc<str>>, u64>,
    /// Which wanted columns hold text in the file itself, whatever their cells look like.
    pub(super) is_text: Vec<bool>,
    ids: FxHashMap<u128, u64>,
    chunk: Chunk,
    kept: Option<Kept>,
    pub(super) counts: Counts,
    pub(super) skipped: Vec<Value>,
    pub(super) replaced: Vec<Value>,
    /// The text files so far.
    pub(super) encodings: Vec<Opened>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        wanted: Wanted,
        rules: &'a Rules<'a>,
        choice: Choice,
        out: &'a mut dyn Emit,
        ctx: &'a Ctx<'a>,
    ) -> Self {
        let multi = rules.rule.as_ref().map(Rule::is_multi);
        let chunk = Chunk::new(
            wanted.target(multi),
            (rules.encoding_errors == EncodingErrors::Replace).then(Int64Builder::new),
        );
        let is_text = vec![false; wanted.columns.len()];
        Collector {
            wanted,
            rules,
            ctx,
            out,
            choice,
            split: None,
            taken: 0,
            of_split: BTreeMap::new(),
            is_text,
            ids: FxHashMap::default(),
            chunk,
            kept: None,
            counts: Counts::default(),
            skipped: Vec::new(),
            replaced: Vec::new(),
            encodings: Vec::new(),
        }
    }

    /// Begins a file, of a split if the source names one.
    pub(super) fn begin(&mut self, split: Option<&str>) {
        self.of_split.insert(self.split.take(), self.taken);
        self.split = split.map(Arc::from);
        self.taken = self.of_split.get(&self.split).copied().unwrap_or_default();
        self.is_text.fill(false);
    }

    /// Opens a text file with the encoding that the pipeline names.
    pub(super) fn open(&mut self, file: &Fetched) -> Result<Lines, StageError> {
        let lines = Lines::open(file, self.rules.encoding)?;
        self.encodings.push(Opened { source: file.source.clone(), found: lines.found(), looks: None });
        Ok(lines)
    }

    /// Says what the bytes of the current file that are no text look like.
    pub(super) fn looks_like(&mut self, looks: Option<&'static encoding_rs::Encoding>) {
        if let Some(file) = self.encodings.last_mut() {
            file.looks = looks;
        }
    }

    /// An error if what is no row, but says what rows are, holds bytes that are no text.
    pub(super) fn header(&self, at: At<'_>, wrong: &[Wrong], show: &dyn Fn() -> String) -> Result<(), StageError> {
        if wrong.is_empty() || self.rules.encoding_errors == EncodingErrors::Replace {
            return Ok(());
        }
        Err(undecodable(&Row { at, cells: &[], show, wrong }, self.encodings.last()))
    }

    /// True once no more rows of this split are wanted.
    pub(super) fn full(&self) -> bool {
        self.rules.limit.is_some_and(|limit| self.taken >= limit)
    }

    /// Where each wanted column stands among those that a file has.
    pub(super) fn find(&mut self, source: &str, has: &[String]) -> Result<Vec<usize>, StageError> {
        self.wanted.settle(has);
        self.is_text.resize(self.wanted.columns.len(), false);
        self.wanted.find(source, has)
    }

    /// Takes a row; see [`Row`].
    pub(super) fn push(
        &mut self,
        at: At<'_>,
        cells: &[Option<&str>],
        show: &dyn Fn() -> String,
    ) -> Result<Next, StageError> {
        self.take(&Row { at, cells, show, wrong: &[] })
    }

    /// Takes a row. Readers give every row that a file holds either here, once, or to [`Collector::refuse`].
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<Next, StageError> {
        self.tick()?;
        match self.judge(row) {
            Ok(()) => Ok(self.next()),
            Err(error) => self.leave_out(error),
        }
    }

    /// Takes a row that cannot be read: an error unless such rows are to be skipped.
    pub(super) fn refuse(&mut self, error: StageError) -> Result<Next, StageError> {
        self.tick()?;
        self.leave_out(Refused::Row(error))
    }

    fn next(&self) -> Next {
        if self.full() { Next::Stop } else { Next::Read }
    }

    fn tick(&mut self) -> Result<(), StageError> {
        if self.counts.read.is_multiple_of(4096) {
            self.ctx.check()?;
            self.ctx.progress.progress(self.counts.read, 0, "rows");
        }
        self.counts.read += 1;
        Ok(())
    }

    fn leave_out(&mut self, refused: Refused) -> Result<Next, StageError> {
        let failure = match refused {
            Refused::Row(StageError::Failed(failure)) if self.rules.on_row_error == OnRowError::Skip => failure,
            Refused::Bytes(StageError::Failed(failure)) if self.rules.encoding_errors == EncodingErrors::Skip => {
                failure
            }
            Refused::Row(error) => return Err(error.help("to leave such rows out, set `on_row_error: skip`")),
            Refused::Bytes(error) | Refused::Whole(error) => return Err(error),
        };
        self.counts.skipped += 1;
        if self.skipped.len() < TOLD {
            let Failure { message, causes, .. } = *failure;
            let row = causes.first().and_then(|cause| cause.strip_prefix("the row is: ").map(str::to_owned));
            self.skipped.push(json!({ "what": message, "row": row }));
        }
        Ok(self.next())
    }

    /// Looks at a row, and hands it on if it is wanted.
    fn judge(&mut self, row: &Row<'_>) -> Result<(), Refused> {
        let (rules, number) = (self.rules, self.counts.read - 1);
        if !row.wrong.is_empty() && rules.encoding_errors != EncodingErrors::Replace {
            return Err(Refused::Bytes(undecodable(row, self.encodings.last())));
        }
        let cell = |column: usize| row.cells.get(column).copied().flatten();
        let class = match (self.wanted.label, &rules.rule) {
            (Some(column), Some(rule)) => {
                rule.read(cell(column)).map_err(|message| self.wrong(row, column, &message))?
            }
            _ => Class::Missing,
        };
        if class == Class::Dropped {
            self.counts.dropped += 1;
            return Ok(());
        }
        let text = self.text(row)?;
        let (fold, weight) = (self.parsed(row, self.wanted.fold, fold)?, self.parsed(row, self.wanted.weight, weight)?);
        for (&column, of) in self.wanted.kept.iter().zip(&self.wanted.types) {
            if let (Some(cell), Some(of)) = (cell(column), of)
                && !of.fits(cell)
            {
                return Err(self.wrong(row, column, &format!("`{}` is not {}", shown(cell), of.noun())));
            }
        }
        let row_id = match self.wanted.id {
            None => Cow::Owned(number.to_string()),
            Some(column) => match new_id(&mut self.ids, cell(column), number) {
                Ok(id) => Cow::Borrowed(id),
                Err(message) => {
                    let help = "an id must be unique over all files; leave `id` out to number the rows";
                    return Err(self.wrong(row, column, &message).help(help));
                }
            },
        };
        let of_file = self.split.clone();
        let split = self.filled(row, self.wanted.split).or(of_file.as_deref());
        let target = TargetRow {
            label: match &class {
                Class::One(name) => Some(name),
                _ => None,
            },
            fold,
            split,
            group: self.filled(row, self.wanted.group),
            weight,
            label_set: match &class {
                Class::Several(set) => set.clone(),
                _ => Vec::new(),
            },
        };
        if !self.is_chosen(&row_id, &target) {
            self.counts.undrawn += 1;
            return Ok(());
        }
        self.hand_on(row, &row_id, &text, target).map_err(Refused::Whole)
    }

    /// A cell with something in it.
    fn filled<'r>(&self, row: &Row<'r>, column: Option<usize>) -> Option<&'r str> {
        row.cells.get(column?).copied().flatten().filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        row: &Row<'_>,
        column: Option<usize>,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Refused> {
        match (column, self.filled(row, column)) {
            (Some(column), Some(value)) => parse(value).map(Some).map_err(|message| self.wrong(row, column, &message)),
            _ => Ok(None),
        }
    }

    fn text<'r>(&self, row: &Row<'r>) -> Result<Cow<'r, str>, Refused> {
        let mut text = Cow::Borrowed("");
        for (at, &column) in self.wanted.text.iter().enumerate() {
            let cell = row.cells.get(column).copied().flatten();
            let value = cell.ok_or_else(|| self.wrong(row, column, "the text is null"))?;
            text = if at == 0 { Cow::Borrowed(value) } else { Cow::Owned(format!("{text}\n{value}")) };
        }
        Ok(text)
    }

    fn wrong(&self, row: &Row<'_>, column: usize, message: &str) -> Refused {
        Refused::Row(row.at.error(Some(self.wanted.name(column)), message, &(row.show)()))
    }

    /// Whether a row that is right is in the sample.
    fn is_chosen(&mut self, row_id: &str, target: &TargetRow<'_>) -> bool {
        match &mut self.choice {
            Choice::All => true,
            Choice::Survey(survey) => {
                let classes = target.label_set.iter().map(String::as_str).chain(target.label);
                let parts: Vec<&str> = target.split.into_iter().chain(["\0"]).chain(classes).collect();
                survey.add(row_id, &parts.join("\0"));
                false
            }
            Choice::Drawn(drawn) => drawn.next().unwrap_or(false),
        }
    }

    fn hand_on(&mut self, row: &Row<'_>, row_id: &str, text: &str, target: TargetRow<'_>) -> Result<(), StageError> {
        self.counts.kept += 1;
        self.taken += 1;
        self.counts.empty += u64::from(text.trim().is_empty());
        let lacks = target.label.is_none() && target.label_set.is_empty();
        self.counts.unlabelled += u64::from(self.wanted.label.is_some() && lacks);
        let replaced: u64 = row.wrong.iter().map(|wrong| u64::from(wrong.count)).sum();
        self.counts.replaced += replaced;
        for wrong in row.wrong.iter().take(TOLD.saturating_sub(self.replaced.len())) {
            let Wrong { line, column, .. } = wrong;
            let place = json!({ "source": row.at.source, "line": line, "byte": column, "bytes": wrong.to_string() });
            self.replaced.push(place);
        }
        if !self.wanted.kept.is_empty() {
            let kept = match &mut self.kept {
                Some(kept) => kept,
                none => none.insert(Kept::new(self.wanted.kept_columns())?),
            };
            let cell = |column: usize| row.cells.get(column).copied().flatten();
            let is_text = |column: usize| self.is_text.get(column).copied().unwrap_or_default();
            kept.push(row_id, self.wanted.kept.iter().map(|&column| (cell(column), is_text(column))));
        }
        self.chunk.push(row_id, text, target, replaced as i64);
        if self.chunk.is_full() { self.flush() } else { Ok(()) }
    }

    /// Hands on what has been gathered.
    fn flush(&mut self) -> Result<(), StageError> {
        self.chunk.flush(self.out)?;
        self.kept.as_mut().map_or(Ok(()), Kept::flush)
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self) -> Result<(), StageError> {
        if !self.chunk.is_empty() {
            self.flush()?;
        }
        self.kept.take().map_or(Ok(()), |kept| kept.finish(self.out))
    }
}

/// Why a row is not handed on.
enum Refused {
    /// It cannot be read.
    Row(StageError),
    /// Bytes of it are no text.
    Bytes(StageError),
    /// It is not the row's fault.
    Whole(StageError),
}

impl Refused {
    fn help(self, help: &str) -> Self {
        match self {
            Refused::Row(error) => Refused::Row(error.help(help)),
            other => other,
        }
    }
}

/// An error about bytes that are no text.
fn undecodable(row: &Row<'_>, file: Option<&Opened>) -> StageError {
    let Some(wrong) = row.wrong.first() else { return StageError::failed("no bytes are wrong") };
    let encoding = file.map_or("text".to_owned(), |file| name(file.found.encoding));
    let what = format!("{wrong} is not {encoding}");
    let at = At { number: wrong.line, ..row.at };
    let error = at.error(None, &format!("byte {}: {what}", wrong.column), &(row.show)());
    match file.and_then(|file| file.looks).filter(|looks| name(looks) != encoding) {
        Some(looks) => {
            let looks = name(looks);
            error.help(format!("the file looks like {looks}: set `encoding: {looks}`, or `encoding: auto`"))
        }
        None => error,
    }
    .help("to keep such rows, set `encoding_errors: replace`; to leave them out, `skip`")
}

/// An id that no row has had; `row` is this row's number from 0.
fn new_id<'c>(ids: &mut FxHashMap<u128, u64>, id: Option<&'c str>, row: u64) -> Result<&'c str, String> {
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| "the id is missing".to_owned())?;
    let mut first = [0; 16];
    first.iter_mut().zip(blake3::hash(id.as_bytes()).as_bytes()).for_each(|(to, from)| *to = *from);
    match ids.entry(u128::from_le_bytes(first)) {
        Entry::Vacant(free) => {
            free.insert(row);
            Ok(id)
        }
        Entry::Occupied(taken) => {
            Err(format!("the id `{}` stands in row {} of all rows already", shown(id), taken.get() + 1))
        }
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A whole number, also as other programs write a column with gaps: `3.0`.
pub(super) fn whole(value: &str) -> Option<i64> {
    let digits = value.trim();
    let digits =
        digits.split_once('.').filter(|(_, rest)| rest.chars().all(|c| c == '0')).map_or(digits, |(whole, _)| whole);
    digits.parse().ok()
}

fn fold(value: &str) -> Result<i64, String> {
    whole(value).ok_or_else(|| format!("`{}` is not a whole number", shown(value)))
}

fn weight(value: &str) -> Result<f64, String> {
    let weight = number(value).filter(|weight| *weight > 0.0);
    weight.ok_or_else(|| format!("`{}` is no weight: a number above 0 is wanted", shown(value)))
}
