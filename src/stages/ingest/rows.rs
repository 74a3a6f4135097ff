//! Which rows come out, and what is said of those that cannot?

use std::collections::hash_map::Entry;

use rustc_hash::{FxHashMap, FxHashSet};

use super::params::Label;
use crate::problem::suggest;
use crate::stage::{Ctx, StageError};
use crate::table::spans::{Span, Spans};
use crate::table::target::Target;

/// How many characters of a bad row are shown.
const SHOWN: usize = 160;

/// The columns that are read, and what each is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Each column once, with the way to the parameter that names it.
    pub(super) columns: Vec<(String, Vec<&'static str>)>,
    pub(super) id: Option<usize>,
    pub(super) text: Vec<usize>,
    pub(super) label: Option<usize>,
    pub(super) fold: Option<usize>,
    pub(super) split: Option<usize>,
}

impl Wanted {
    /// The position of a column among those that are read; it is added if need be.
    pub(super) fn want(&mut self, column: &str, param: &[&'static str]) -> usize {
        match self.columns.iter().position(|(name, _)| name == column) {
            Some(at) => at,
            None => {
                self.columns.push((column.to_owned(), param.to_vec()));
                self.columns.len() - 1
            }
        }
    }

    /// Where each wanted column stands among those that a file has.
    pub(super) fn find(&self, source: &str, has: &[String]) -> Result<Vec<usize>, StageError> {
        self.columns
            .iter()
            .map(|(name, param)| {
                let mut places = has.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at);
                match (places.next(), places.next()) {
                    (Some(at), None) => Ok(at),
                    (Some(_), Some(_)) => Err(StageError::failed(format!("`{source}` has two columns `{name}`"))
                        .help("name the columns anew with `columns`")
                        .at_param(param)),
                    (None, _) => Err(no_column(source, name, has, param)),
                }
            })
            .collect()
    }

    fn name(&self, at: usize) -> &str {
        self.columns.get(at).map_or("", |(name, _)| name.as_str())
    }
}

/// An error for a column that is not there.
pub(super) fn no_column(source: &str, name: &str, has: &[String], param: &[&'static str]) -> StageError {
    let error = StageError::failed(format!("`{source}` has no column `{name}`")).at_param(param);
    let error = match suggest(name, has.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    };
    let listed = has.iter().take(30).map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
    error.help(format!("its columns are {listed}"))
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Read,
    Stop,
}

/// Gathers rows from all files.
pub(super) struct Collector<'a> {
    pub(super) wanted: &'a Wanted,
    label: Option<&'a Label>,
    dropped_texts: FxHashSet<String>,
    dropped_numbers: Vec<f64>,
    limit: u64,
    ctx: &'a Ctx<'a>,
    /// The split of the file that is being read, where the source tells it.
    pub(super) split: Option<String>,
    ids: FxHashMap<String, u64>,
    pub(super) row_id: Vec<String>,
    pub(super) text: Vec<String>,
    labels: Vec<Option<String>>,
    folds: Vec<Option<i64>>,
    splits: Vec<Option<String>>,
    /// Tokens and spans of the rows that are sentences, by their place among the rows.
    sentences: Vec<(usize, Vec<String>, Vec<Span>)>,
    /// Bytes that could not be decoded and were replaced.
    pub(super) replaced: u64,
    /// Rows read, dropped ones too.
    pub(super) read: u64,
    /// Rows left out because of their label's value.
    pub(super) dropped: u64,
    /// Lines with nothing on them, which are no rows.
    pub(super) blank: u64,
}

impl<'a> Collector<'a> {
    pub(super) fn new(wanted: &'a Wanted, label: Option<&'a Label>, limit: Option<u64>, ctx: &'a Ctx<'a>) -> Self {
        let drop = label.map(|label| label.drop.as_slice()).unwrap_or_default();
        Collector {
            wanted,
            label,
            dropped_texts: drop.iter().map(super::params::Scalar::text).collect(),
            dropped_numbers: drop.iter().filter_map(|value| number(&value.text())).collect(),
            limit: limit.unwrap_or(u64::MAX),
            ctx,
            split: None,
            ids: FxHashMap::default(),
            row_id: Vec::new(),
            text: Vec::new(),
            labels: Vec::new(),
            folds: Vec::new(),
            splits: Vec::new(),
            sentences: Vec::new(),
            replaced: 0,
            read: 0,
            dropped: 0,
            blank: 0,
        }
    }

    /// True once no more rows are wanted.
    pub(super) fn full(&self) -> bool {
        self.row_id.len() as u64 >= self.limit
    }

    /// Takes a row: the cells of the wanted columns in their order, `None` for null. `show` gives the row for a message.
    pub(super) fn push(
        &mut self,
        at: At<'_>,
        cells: &[Option<&str>],
        show: &dyn Fn() -> String,
    ) -> Result<Next, StageError> {
        if self.read.is_multiple_of(4096) {
            self.ctx.check()?;
            self.ctx.progress.progress(self.read, 0, "rows");
        }
        let row = self.read;
        self.read += 1;
        let cell = |column: usize| cells.get(column).copied().flatten();
        let wrong = |column: usize, message: &str| at.error(Some(self.wanted.name(column)), message, &show());
        let label = match (self.wanted.label, self.label) {
            (Some(column), Some(rule)) => match cell(column).filter(|value| !value.is_empty()) {
                None if self.dropped_texts.contains("") => {
                    self.dropped += 1;
                    return Ok(Next::Read);
                }
                None => None,
                Some(value) => match self.class(rule, value).map_err(|message| wrong(column, &message))? {
                    Some(class) => Some(class),
                    None => {
                        self.dropped += 1;
                        return Ok(Next::Read);
                    }
                },
            },
            _ => None,
        };
        let mut text = String::new();
        for (number, &column) in self.wanted.text.iter().enumerate() {
            let value = cell(column).ok_or_else(|| wrong(column, "the text is null"))?;
            if number > 0 {
                text.push('\n');
            }
            text.push_str(value);
        }
        let fold = match self.wanted.fold.map(|column| (column, cell(column))) {
            Some((column, Some(value))) if !value.is_empty() => {
                let message = || format!("`{}` is not a whole number", shown(value));
                Some(whole(value).ok_or_else(|| wrong(column, &message()))?)
            }
            _ => None,
        };
        let row_id = match self.wanted.id {
            None => row.to_string(),
            Some(column) => match self.new_id(cell(column), row) {
                Ok(id) => id,
                Err(message) => {
                    let error = at.error(Some(self.wanted.name(column)), &message, &show());
                    return Err(error.help("an id must be unique over all files; leave `id` out to number the rows"));
                }
            },
        };
        let split = self.wanted.split.and_then(cell).filter(|split| !split.is_empty()).map(str::to_owned);
        self.row_id.push(row_id);
        self.text.push(text);
        self.labels.push(label);
        self.folds.push(fold);
        self.splits.push(split.or_else(|| self.split.clone()));
        Ok(if self.full() { Next::Stop } else { Next::Read })
    }

    /// Takes a row that is a sentence.
    pub(super) fn push_sentence(
        &mut self,
        at: At<'_>,
        cells: &[Option<&str>],
        show: &dyn Fn() -> String,
        (tokens, spans): (Vec<String>, Vec<Span>),
    ) -> Result<Next, StageError> {
        let place = self.row_id.len();
        let next = self.push(at, cells, show)?;
        if self.row_id.len() > place {
            self.sentences.push((place, tokens, spans));
        }
        Ok(next)
    }

    /// The sentences' tokens and spans, if any row is one.
    pub(super) fn spans(&mut self) -> Option<Spans> {
        if self.sentences.is_empty() {
            return None;
        }
        let rows = self.row_id.len();
        let mut spans =
            Spans { row_id: self.row_id.clone(), tokens: vec![Vec::new(); rows], spans: vec![Vec::new(); rows] };
        for (place, tokens, marked) in std::mem::take(&mut self.sentences) {
            if let (Some(of_row), Some(marks)) = (spans.tokens.get_mut(place), spans.spans.get_mut(place)) {
                *of_row = tokens;
                *marks = marked;
            }
        }
        Some(spans)
    }

    /// Takes a row that cannot be read: an error unless such rows are to be skipped. Readers give every row that a file holds
    /// either to [`Collector::push`] or here.
    pub(super) fn refuse(&mut self, error: StageError) -> Result<Next, StageError> {
        self.read += 1;
        Err(error)
    }

    /// An id that no row has had; `row` is this row's number from 0.
    fn new_id(&mut self, id: Option<&str>, row: u64) -> Result<String, String> {
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| "the id is missing".to_owned())?;
        match self.ids.entry(id.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(row);
                Ok(id.to_owned())
            }
            Entry::Occupied(taken) => {
                Err(format!("the id `{}` stands in row {} of all rows already", shown(id), taken.get() + 1))
            }
        }
    }

    /// The class of a label's value; `None` if its row is to be dropped.
    fn class(&self, rule: &Label, value: &str) -> Result<Option<String>, String> {
        if rule.cuts.is_empty() {
            return Ok((!self.dropped_texts.contains(value)).then(|| value.to_owned()));
        }
        let number =
            number(value).ok_or_else(|| format!("`{}` is not a number, and `cuts` needs one", shown(value)))?;
        if self.dropped_numbers.contains(&number) {
            return Ok(None);
        }
        let above = rule.cuts.iter().filter(|&&cut| number >= cut).count();
        Ok(rule.names.get(above).cloned())
    }

    /// What is known of each row besides its text.
    pub(super) fn target(&mut self) -> Target {
        let with_split = self.wanted.split.is_some() || self.splits.iter().any(Option::is_some);
        Target {
            row_id: self.row_id.clone(),
            label: self.wanted.label.map(|_| std::mem::take(&mut self.labels)),
            fold: self.wanted.fold.map(|_| std::mem::take(&mut self.folds)),
            split: with_split.then(|| std::mem::take(&mut self.splits)),
            ..Target::default()
        }
    }
}

/// A finite number.
fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A whole number, also as other programs write a column with gaps: `3.0`.
fn whole(value: &str) -> Option<i64> {
    let digits = value.trim();
    let digits =
        digits.split_once('.').filter(|(_, rest)| rest.chars().all(|c| c == '0')).map_or(digits, |(whole, _)| whole);
    digits.parse().ok()
}
