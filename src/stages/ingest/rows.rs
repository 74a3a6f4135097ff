//! Which rows come out, and what is said of those that cannot?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::Int64Builder;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use super::cells::{fold, new_id, value, weight};
use super::chunk::{Chunk, Sentence};
use super::encoding::{Encoding, EncodingErrors, Wrong};
use super::kept::Kept;
use super::label::{Class, Rule};
use super::lines::Lines;
use super::params::OnRowError;
use super::place::undecodable;
pub(super) use super::place::{At, Opened, shown};
use super::sample::Survey;
use super::wanted::Wanted;
use crate::fetch::Fetched;
use crate::stage::{Ctx, Emit, Failure, StageError};
use crate::table::spans::Spans;
use crate::table::target::TargetRow;

/// How many places of a kind are told.
const TOLD: usize = 10;

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
    /// Its tokens and spans, where it is a sentence.
    pub(super) sentence: Option<Sentence<'r>>,
}

/// How rows are judged.
pub(super) struct Rules<'a> {
    pub(super) rule: Option<Rule<'a>>,
    pub(super) limit: Option<u64>,
    pub(super) encoding: Encoding,
    pub(super) encoding_errors: EncodingErrors,
    pub(super) on_row_error: OnRowError,
    /// Whether some rows are sentences.
    pub(super) sentences: bool,
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
    /// True once a file has told that it has all columns, whatever is in them.
    found: bool,
    ids: FxHashMap<u128, u64>,
    chunk: Chunk,
    kept: Option<Kept>,
    pub(super) counts: Counts,
    pub(super) skipped: Vec<Value>,
    pub(super) replaced: Vec<Value>,
    /// The text files so far.
    pub(super) encodings: Vec<Opened>,
    /// What is being read.
    current: Option<Opened>,
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
            rules.sentences.then(Spans::default),
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
            found: false,
            ids: FxHashMap::default(),
            chunk,
            kept: None,
            counts: Counts::default(),
            skipped: Vec::new(),
            replaced: Vec::new(),
            encodings: Vec::new(),
            current: None,
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
        let opened = Opened { source: file.source.clone(), found: lines.found(), looks: None };
        self.encodings.push(opened.clone());
        self.current = Some(opened);
        Ok(lines)
    }

    /// How files are encoded that say nothing themselves.
    pub(super) fn encoding(&self) -> Encoding {
        self.rules.encoding
    }

    /// Says how the text was encoded that the next row is read from, where a file is one row; of these no list is kept.
    pub(super) fn reading(&mut self, opened: Opened) {
        self.current = Some(opened);
    }

    /// Says what the bytes of the current file that are no text look like.
    pub(super) fn looks_like(&mut self, looks: Option<&'static encoding_rs::Encoding>) {
        if let Some(file) = &mut self.current {
            file.looks = looks;
        }
    }

    /// An error if a row holds bytes that are no text, unless they are replaced; also of a header, which no row error is.
    pub(super) fn check_bytes(&self, at: At<'_>, wrong: &[Wrong], show: &dyn Fn() -> String) -> Result<(), StageError> {
        match wrong.first() {
            Some(wrong) if self.rules.encoding_errors != EncodingErrors::Replace => {
                Err(undecodable(at, wrong, &show(), self.current.as_ref()))
            }
            _ => Ok(()),
        }
    }

    /// True once no more rows of this split are wanted.
    pub(super) fn full(&self) -> bool {
        self.rules.limit.is_some_and(|limit| self.taken >= limit)
    }

    /// Where each wanted column stands among those that a file has.
    pub(super) fn find(&mut self, source: &str, has: &[String]) -> Result<Vec<usize>, StageError> {
        let first = self.wanted.settle(has);
        self.is_text.resize(self.wanted.columns.len(), false);
        let places = self.wanted.find(source, has)?;
        self.found = true;
        match self.wanted.new_column(has.iter()).filter(|_| !first) {
            None => Ok(places),
            Some(new) => {
                let message = format!("`{source}` has a column `{}`, which the first file has not", shown(new));
                let help = "name the columns to keep, for instance `columns: [a, b]`";
                Err(StageError::failed(message).help(help).at_param(&["columns"]))
            }
        }
    }

    /// Counts a line with nothing on it.
    pub(super) fn blank(&mut self) -> Result<(), StageError> {
        self.counts.blank += 1;
        self.ctx.check()
    }

    /// Counts a line that is a comment.
    pub(super) fn comment(&mut self) -> Result<(), StageError> {
        self.counts.comments += 1;
        self.ctx.check()
    }

    /// Set when the run is to end.
    pub(super) fn cancelled(&self) -> &'a AtomicBool {
        self.ctx.cancelled
    }

    /// Takes a row; see [`Row`].
    pub(super) fn push(
        &mut self,
        at: At<'_>,
        cells: &[Option<&str>],
        show: &dyn Fn() -> String,
    ) -> Result<Next, StageError> {
        self.take(&Row { at, cells, show, wrong: &[], sentence: None })
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
        self.check_bytes(row.at, row.wrong, row.show).map_err(Refused::Bytes)?;
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
        let value = self.value(row)?;
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
            value,
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

    /// The number to be predicted, which no row may lack.
    fn value(&self, row: &Row<'_>) -> Result<Option<f64>, Refused> {
        match (self.wanted.value, self.parsed(row, self.wanted.value, value)?) {
            (Some(column), None) => Err(self.wrong(row, column, "the value is empty").help(
                "every row needs a number to learn from or to be held against; leave the other rows out of the data",
            )),
            (_, value) => Ok(value),
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
        self.chunk.push(row_id, text, target, replaced as i64, row.sentence);
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
        let Some(kept) = self.kept.take() else { return Ok(()) };
        match kept.lacks().filter(|_| !self.found) {
            Some(column) => Err(StageError::failed(format!("no row has a value in the column `{column}`"))
                .help("see whether its name is right")
                .at_param(&["columns"])),
            None => kept.finish(self.out),
        }
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
