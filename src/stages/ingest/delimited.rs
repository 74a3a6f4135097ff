//! How are rows read from lines of delimited fields?
//!
//! Lines end at LF or CRLF and nowhere else. The reader is strict where others guess: a quote that is never closed, text
//! after a closing quote and a row of the wrong width are errors, because each of them swallows or shifts rows in silence.

use super::encoding::Wrong;
use super::lines::{LONGEST, Lines, too_long};
use super::rows::{At, Collector, Next, Row, Seen};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// How the file is written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) header: bool,
    pub(super) columns: Option<Vec<String>>,
    /// What a line that is no row begins with.
    pub(super) comment: Option<String>,
    /// The last column holds what is left of the line.
    pub(super) rest: bool,
}

/// Reads a file's rows.
pub(super) fn read(style: &Style, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let mut lines = rows.open(file)?;
    let source = file.source.as_str();
    let mut record = Record::default();
    let mut header: Option<Header> = None;
    let mut seen = Seen { rows: 0, next: Next::Read };
    // the header itself has no rest
    let mut most = style.columns.as_ref().filter(|_| style.rest && !style.header).map_or(usize::MAX, Vec::len);
    loop {
        match record.read(style, most, &mut lines)? {
            Got::End => break,
            Got::Blank => {
                rows.blank()?;
                continue;
            }
            Got::Comment => {
                rows.comment()?;
                continue;
            }
            Got::Row => {}
        }
        if !record.wrong.is_empty() {
            rows.looks_like(lines.looks());
        }
        let at = At { source, unit: "line", number: record.line };
        let whole = record.whole(&lines);
        let show = || record.shown(whole, style);
        let (header, is_first) = match &header {
            Some(header) => (header, false),
            None => {
                if style.header {
                    rows.check_bytes(at, &record.wrong, &show)?;
                }
                let names = names(style, &record, whole, at)?;
                let places = rows.find(source, &names).map_err(|error| one_column(error, &names, style))?;
                most = if style.rest { names.len() } else { usize::MAX };
                let line = style.header.then(|| whole.to_owned());
                (&*header.insert(Header { names, places, line }), true)
            }
        };
        if is_first && style.header {
            continue;
        }
        seen.rows += 1;
        seen.next = if header.line.as_deref() == Some(whole) {
            let error = at.error(None, "the header stands here again", &show());
            rows.refuse(error.help("files that were put together keep their headers: take this line out"))?
        } else if record.fields.len() != header.names.len() {
            rows.refuse(ragged(style, header.names.len(), record.fields.len(), at, &show()))?
        } else {
            let cells: Vec<Option<&str>> = header.places.iter().map(|&place| record.field(whole, place)).collect();
            rows.take(&Row { at, cells: &cells, show: &show, wrong: &record.wrong, sentence: None })?
        };
        if seen.next == Next::Stop {
            return Ok(seen);
        }
    }
    if header.is_none() {
        return Err(StageError::failed(format!("`{source}` is empty")).help("take it out of `source`, or fill it"));
    }
    Ok(seen)
}

/// What the first record says.
struct Header {
    names: Vec<String>,
    /// Where the wanted columns stand.
    places: Vec<usize>,
    /// The record itself, if it is no row.
    line: Option<String>,
}

fn ragged(style: &Style, expected: usize, found: usize, at: At<'_>, row: &str) -> StageError {
    let message = format!("{} are expected, but there {}", fields(expected), is(found));
    let error = at.error(None, &message, row);
    if style.quote.is_some() {
        error.help("see whether `delimiter` and `quote` are right for this file")
    } else {
        error.help("fields are not quoted here; if they should be, set `quote: '\"'`")
    }
}

fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

fn is(count: usize) -> String {
    if count == 1 { "is 1".to_owned() } else { format!("are {count}") }
}

/// The columns' names, from the first record or the options.
fn names(style: &Style, record: &Record, whole: &str, at: At<'_>) -> Result<Vec<String>, StageError> {
    let first: Vec<String> =
        (0..record.fields.len()).filter_map(|place| record.field(whole, place)).map(str::to_owned).collect();
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

/// An error about a missing column says so where lines end or fields are divided in another way.
fn one_column(error: StageError, names: &[String], style: &Style) -> StageError {
    if names.iter().any(|name| name.trim_end().contains('\r')) {
        return error.help("the first line holds a CR: if lines end with CR alone, write the file anew with LF");
    }
    let [only] = names else { return error };
    let delimiter = char::from(style.delimiter);
    match ['\t', ',', ';', '|'].into_iter().find(|other| *other != delimiter && only.contains(*other)) {
        Some(other) => error.help(format!("the first line has no {delimiter:?}, but {other:?}: see `delimiter`")),
        None => error,
    }
}

/// One record: where its fields stand in the line, or unquoted in a text of its own.
#[derive(Default)]
struct Record {
    /// Whether a quote stands in it; then `text` holds its fields.
    quoted: bool,
    text: String,
    fields: Vec<(usize, usize)>,
    /// The line on which it begins.
    line: u64,
    wrong: Vec<Wrong>,
}

enum Got {
    Row,
    Blank,
    Comment,
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
    /// The text that the fields are parts of.
    fn whole<'a>(&'a self, lines: &'a Lines) -> &'a str {
        if self.quoted { &self.text } else { lines.text() }
    }

    fn field<'a>(&self, whole: &'a str, at: usize) -> Option<&'a str> {
        let (from, to) = *self.fields.get(at)?;
        whole.get(from..to)
    }

    /// For a message.
    fn shown(&self, whole: &str, style: &Style) -> String {
        if !self.quoted {
            return whole.to_owned();
        }
        let fields: Vec<&str> = (0..self.fields.len()).filter_map(|at| self.field(whole, at)).collect();
        fields.join(&char::from(style.delimiter).to_string())
    }

    /// Reads the next record. The last of `most` fields has what is left of it.
    fn read(&mut self, style: &Style, most: usize, lines: &mut Lines) -> Result<Got, StageError> {
        self.fields.clear();
        self.wrong.clear();
        self.quoted = false;
        if !lines.next()? {
            return Ok(Got::End);
        }
        self.line = lines.line;
        self.wrong.extend(&lines.wrong);
        let line = lines.text();
        if line.is_empty() {
            return Ok(Got::Blank);
        }
        if style.comment.as_ref().is_some_and(|prefix| line.starts_with(prefix.as_str())) {
            return Ok(Got::Comment);
        }
        if style.quote.is_some_and(|quote| memchr::memchr(quote, line.as_bytes()).is_some()) {
            return self.read_quoted(style, lines);
        }
        let mut from = 0;
        for at in memchr::memchr_iter(style.delimiter, line.as_bytes()).take(most.saturating_sub(1)) {
            self.fields.push((from, at));
            from = at + 1;
        }
        self.fields.push((from, line.len()));
        Ok(Got::Row)
    }

    /// Reads a record that has a quote in its first line.
    fn read_quoted(&mut self, style: &Style, lines: &mut Lines) -> Result<Got, StageError> {
        let mut unquoted = Unquoted { bytes: std::mem::take(&mut self.text).into_bytes(), ..Unquoted::default() };
        unquoted.bytes.clear();
        let mut state = State::Start;
        loop {
            for &byte in lines.whole().as_bytes() {
                match unquoted.take(style, state, byte) {
                    Ok(Some(next)) => state = next,
                    Ok(None) => return self.end(unquoted),
                    Err(message) => {
                        let at = At { source: &lines.source, unit: "line", number: lines.line };
                        let row = unquoted.shown(style);
                        return Err(at
                            .error(None, message, &row)
                            .help("if the fields are not quoted, set `quote: none`"));
                    }
                }
            }
            if unquoted.bytes.len() > LONGEST {
                return Err(too_long(&lines.source, self.line, &unquoted.shown(style))
                    .help("a quote opens in it; if the fields are not quoted, set `quote: none`"));
            }
            if !lines.next()? {
                break;
            }
            self.wrong.extend(&lines.wrong);
        }
        if state == State::Quoted {
            let at = At { source: &lines.source, unit: "line", number: self.line };
            let message = "a quote opens in this row and is never closed";
            let error = at.error(None, message, &unquoted.shown(style));
            return Err(error.help("if the fields are not quoted, set `quote: none`"));
        }
        unquoted.ends.push(unquoted.bytes.len());
        self.end(unquoted)
    }

    fn end(&mut self, unquoted: Unquoted) -> Result<Got, StageError> {
        let Unquoted { bytes, ends } = unquoted;
        self.text = String::from_utf8(bytes).map_err(StageError::caused)?;
        self.quoted = true;
        let mut from = 0;
        for end in ends {
            self.fields.push((from, end));
            from = end;
        }
        Ok(Got::Row)
    }
}

/// A record's fields without their quotes, one after the other.
#[derive(Default)]
struct Unquoted {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Unquoted {
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
                let start = self.ends.last().copied().unwrap_or(0);
                if state == State::Bare && self.bytes.len() > start && self.bytes.last() == Some(&b'\r') {
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
}
