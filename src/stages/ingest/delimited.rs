//! How are rows read from lines of delimited fields?
//!
//! Lines end at LF or CRLF and nowhere else. The reader is strict where others guess: a quote that is never closed, text
//! after a closing quote and a row of the wrong width are errors, because each of them swallows or shifts rows in silence.

use std::io::BufRead;

use super::lines::{LONGEST, Lines, unreadable};
use super::rows::{At, Collector, Next};
use crate::stage::StageError;

/// How the file is written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) header: bool,
    pub(super) columns: Option<Vec<String>>,
}

/// Reads a file's rows.
pub(super) fn read(style: &Style, mut lines: Lines, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let source = lines.source.clone();
    let mut record = Record::default();
    let mut columns: Option<(Vec<String>, Vec<usize>)> = None;
    let mut in_header = style.header;
    loop {
        match record.read(style, &mut lines)? {
            Got::End => break,
            Got::Blank => {
                rows.blank += 1;
                continue;
            }
            Got::Row => {}
        }
        let at = At { source: &source, unit: "line", number: record.line };
        let whole = std::str::from_utf8(&record.bytes).map_err(|error| not_utf8(&record, style, at, &error))?;
        let count = record.ends.len();
        let (names, places) = match &mut columns {
            Some(found) => found,
            none => {
                let has = names(style, &record, whole, at)?;
                let places = rows.wanted.find(&source, &has)?;
                none.insert((has, places))
            }
        };
        if std::mem::take(&mut in_header) {
            continue;
        }
        let show = || record.shown(style);
        if count != names.len() {
            let message = format!("{} are expected, but there {}", fields(names.len()), is(count));
            let error = at.error(None, &message, &show());
            return Err(if style.quote.is_some() {
                error.help("see whether `delimiter` and `quote` are right for this file")
            } else {
                error.help("fields are not quoted here; if they should be, set `quote: '\"'`")
            });
        }
        let cells: Vec<Option<&str>> = places.iter().map(|&place| record.field(whole, place)).collect();
        if rows.push(at, &cells, &show)? == Next::Stop {
            return Ok(Next::Stop);
        }
    }
    if columns.is_none() {
        return Err(StageError::failed(format!("`{source}` is empty")).help("take it out of `source`, or fill it"));
    }
    Ok(Next::Read)
}

fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

fn is(count: usize) -> String {
    if count == 1 { "is 1".to_owned() } else { format!("are {count}") }
}

/// The columns' names, from the first record or the options.
fn names(style: &Style, record: &Record, whole: &str, at: At<'_>) -> Result<Vec<String>, StageError> {
    let first: Vec<String> = record.fields(whole).map(str::to_owned).collect();
    match &style.columns {
        Some(columns) if style.header && columns.len() != first.len() => {
            let message = format!("`columns` names {}, but the header has {}", fields(columns.len()), first.len());
            Err(at.error(None, &message, whole).at_param(&["format"]))
        }
        Some(columns) => Ok(columns.clone()),
        None if style.header => Ok(first),
        None => Ok((0..first.len()).map(|number| number.to_string()).collect()),
    }
}

/// An error about bytes that are no text.
fn not_utf8(record: &Record, style: &Style, at: At<'_>, error: &std::str::Utf8Error) -> StageError {
    let field = record.ends.iter().filter(|&&end| end <= error.valid_up_to()).count() + 1;
    let message = format!("field {field} is not UTF-8");
    at.error(None, &message, &record.shown(style))
        .help("write the file anew as UTF-8, for instance with `iconv -f latin1 -t utf8`")
}

/// One record: its fields' bytes one after the other.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line on which it begins.
    line: u64,
}

enum Got {
    Row,
    Blank,
    End,
}

/// Where in a field the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    Quoted,
    Closing,
    ClosingCr,
}

impl Record {
    fn field<'a>(&self, whole: &'a str, at: usize) -> Option<&'a str> {
        let from = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        whole.get(from..*self.ends.get(at)?)
    }

    fn fields<'a>(&self, whole: &'a str) -> impl Iterator<Item = &'a str> {
        (0..self.ends.len()).filter_map(move |at| self.field(whole, at))
    }

    /// As far as it was read, for a message.
    fn shown(&self, style: &Style) -> String {
        let bounds: Vec<usize> =
            std::iter::once(0).chain(self.ends.iter().copied()).chain([self.bytes.len()]).collect();
        let part = |pair: &[usize]| match pair {
            [from, to] => String::from_utf8_lossy(self.bytes.get(*from..*to).unwrap_or_default()).into_owned(),
            _ => String::new(),
        };
        let mut parts: Vec<String> = bounds.windows(2).map(part).collect();
        // a record that was read to its end has nothing after its last field
        if self.ends.last() == Some(&self.bytes.len()) {
            parts.pop();
        }
        parts.join(&char::from(style.delimiter).to_string())
    }

    fn field_start(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Reads the next record.
    fn read(&mut self, style: &Style, lines: &mut Lines) -> Result<Got, StageError> {
        self.bytes.clear();
        self.ends.clear();
        self.line = lines.line + 1;
        let mut state = State::Start;
        let mut any = false;
        loop {
            let source = &lines.source;
            let chunk = lines.reader.fill_buf().map_err(|error| unreadable(source, lines.line + 1, &error))?;
            if chunk.is_empty() {
                return self.at_end(style, state, any, lines);
            }
            any = true;
            let mut used = 0;
            let mut done = false;
            for &byte in chunk {
                used += 1;
                if byte == b'\n' {
                    lines.line += 1;
                }
                state = match self.take(style, state, byte) {
                    Ok(Some(state)) => state,
                    Ok(None) => {
                        done = true;
                        break;
                    }
                    Err(message) => {
                        let at = At { source: &lines.source, unit: "line", number: lines.line + 1 };
                        return Err(at
                            .error(None, message, &self.shown(style))
                            .help("if the fields are not quoted, set `quote: none`"));
                    }
                };
            }
            lines.reader.consume(used);
            if self.bytes.len() > LONGEST {
                return Err(lines.too_long(self.line, &self.bytes));
            }
            if done {
                let blank = self.ends.len() == 1 && self.bytes.is_empty() && state == State::Start;
                let bare_cr = self.ends.len() == 1 && self.bytes.is_empty() && state == State::Bare;
                return Ok(if blank || bare_cr { Got::Blank } else { Got::Row });
            }
        }
    }

    /// Takes a byte; `None` at the end of the record.
    fn take(&mut self, style: &Style, state: State, byte: u8) -> Result<Option<State>, &'static str> {
        let quote = Some(byte) == style.quote;
        match (state, byte) {
            (State::Quoted, _) if quote => Ok(Some(State::Closing)),
            (State::Quoted, _) => {
                self.bytes.push(byte);
                Ok(Some(State::Quoted))
            }
            (State::Closing, _) if quote => {
                self.bytes.push(byte);
                Ok(Some(State::Quoted))
            }
            (State::Start, _) if quote => Ok(Some(State::Quoted)),
            (State::Closing | State::ClosingCr, b'\n') => {
                self.ends.push(self.bytes.len());
                Ok(None)
            }
            (_, b'\n') => {
                if state == State::Bare && self.bytes.len() > self.field_start() && self.bytes.last() == Some(&b'\r') {
                    self.bytes.pop();
                }
                self.ends.push(self.bytes.len());
                Ok(None)
            }
            (State::Closing, b'\r') => Ok(Some(State::ClosingCr)),
            (State::Start | State::Bare | State::Closing, _) if byte == style.delimiter => {
                self.ends.push(self.bytes.len());
                Ok(Some(State::Start))
            }
            (State::Closing | State::ClosingCr, _) => Err("there is text after a closing quote"),
            (State::Start | State::Bare, _) => {
                self.bytes.push(byte);
                Ok(Some(State::Bare))
            }
        }
    }

    fn at_end(&mut self, style: &Style, state: State, any: bool, lines: &Lines) -> Result<Got, StageError> {
        match state {
            State::Quoted => {
                let at = At { source: &lines.source, unit: "line", number: self.line };
                Err(at
                    .error(None, "a quote opens in this row and is never closed", &self.shown(style))
                    .help("if the fields are not quoted, set `quote: none`"))
            }
            State::Start if !any => Ok(Got::End),
            _ => {
                self.ends.push(self.bytes.len());
                Ok(Got::Row)
            }
        }
    }
}
