//! How is a text file opened, and where do its lines end? At LF or CRLF and nowhere else.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};

use super::encoding::{Decoder, Encoding, Found, Wrong};
use super::rows::{At, shown};
use crate::fetch::Fetched;
use crate::stage::{Failure, StageError};

/// No row may be longer than this many bytes: beyond it a file is not what it is taken for.
pub(super) const LONGEST: usize = 64 << 20;
/// Bytes are unpacked ahead of whoever reads them: so many blocks of such a size.
const AHEAD_BLOCKS: usize = 8;
const AHEAD_BYTES: usize = 128 << 10;

/// A text file, read forward line by line.
pub(super) struct Lines {
    /// As the pipeline names it.
    pub(super) source: String,
    decoder: Decoder,
    /// Text that is decoded but not yet taken; the current line is `start..end` of it.
    text: String,
    start: usize,
    end: usize,
    /// Decoded text before `text`.
    before: u64,
    /// The number of the current line, from 1; 0 before the first.
    pub(super) line: u64,
    /// Bytes of the current line that are no text.
    pub(super) wrong: Vec<Wrong>,
}

impl Lines {
    /// Opens a file and looks at its first bytes.
    pub(super) fn open(file: &Fetched, encoding: Encoding) -> Result<Lines, StageError> {
        let stream = open(file)?;
        let unread = |error: io::Error| unreadable(&file.source, 1, &error);
        let mut decoder = Decoder::new(Box::new(Ahead::new(stream).map_err(unread)?), encoding).map_err(unread)?;
        let mut text = String::new();
        if !decoder.more(&mut text).map_err(unread)? {
            return Err(
                StageError::failed(format!("`{}` is empty", file.source)).help("take it out of `source`, or fill it")
            );
        }
        let source = file.source.clone();
        Ok(Lines { source, decoder, text, start: 0, end: 0, before: 0, line: 0, wrong: Vec::new() })
    }

    /// Goes to the next line; false at the end of the file.
    pub(super) fn next(&mut self) -> Result<bool, StageError> {
        self.wrong.clear();
        self.start = self.end;
        let mut searched = self.start;
        loop {
            let rest = self.text.as_bytes().get(searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', rest) {
                self.end = searched + found + 1;
                break;
            }
            if self.start > 0 {
                self.text.drain(..self.start);
                self.before += self.start as u64;
                (self.start, self.end) = (0, 0);
            }
            searched = self.text.len();
            if searched > LONGEST {
                return Err(too_long(&self.source, self.line + 1, &self.text));
            }
            let (source, line) = (&self.source, self.line + 1);
            if !self.decoder.more(&mut self.text).map_err(|error| unreadable(source, line, &error))? {
                self.end = self.text.len();
                break;
            }
        }
        if self.end == self.start {
            return Ok(false);
        }
        self.line += 1;
        let until = self.before + self.end as u64;
        while let Some(wrong) = self.decoder.wrong.front().copied().filter(|wrong| wrong.at < until) {
            self.decoder.wrong.pop_front();
            self.wrong.push(wrong);
        }
        Ok(true)
    }

    /// The current line with its end.
    pub(super) fn whole(&self) -> &str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// The current line without its end.
    pub(super) fn text(&self) -> &str {
        let whole = self.whole();
        match whole.strip_suffix('\n') {
            Some(text) => text.strip_suffix('\r').unwrap_or(text),
            None => whole,
        }
    }

    /// What decodes the file and what is decoded of it, for a reader that knows no lines.
    pub(super) fn into_text(self) -> (Decoder, String) {
        (self.decoder, self.text)
    }

    /// The file's encoding, and how it is known.
    pub(super) fn found(&self) -> Found {
        self.decoder.found
    }

    /// What the bytes that are no text look like.
    pub(super) fn looks(&self) -> Option<&'static encoding_rs::Encoding> {
        self.decoder.looks
    }
}

/// Opens a file that is no archive.
pub(super) fn open(file: &Fetched) -> Result<Box<dyn Read + Send>, StageError> {
    if let Some(inside) = file.inside() {
        let some: Vec<String> = inside.iter().take(8).map(|name| format!("`{}!{name}`", file.source)).collect();
        return Err(StageError::failed(format!("`{}` is an archive", file.source))
            .help(format!("name a file in it: {}", some.join(", ")))
            .at_param(&["source"]));
    }
    let mut stream = file.open().map_err(fetch_failed)?;
    let mut first = Vec::new();
    stream.by_ref().take(4).read_to_end(&mut first).map_err(|error| unreadable(&file.source, 1, &error))?;
    match PACKED.iter().find(|(magic, ..)| first.starts_with(magic)) {
        None => Ok(Box::new(io::Cursor::new(first).chain(stream))),
        Some((_, what, ending)) => Err(StageError::failed(format!("`{}` is {what} and no text", file.source))
            .help(format!("give it a name that ends in `{ending}`"))),
    }
}

/// What packed files begin with, what they are, and how their names end.
const PACKED: [(&[u8], &str, &str); 4] = [
    (b"\x1f\x8b", "a gzip file", ".gz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", ".zst"),
    (b"PK\x03\x04", "a zip archive", ".zip"),
    (b"PAR1", "a Parquet file", ".parquet"),
];

/// An error about a row that does not end.
pub(super) fn too_long(source: &str, number: u64, row: &str) -> StageError {
    let at = At { source, unit: "line", number };
    at.error(None, &format!("the row is longer than {} MiB", LONGEST >> 20), &shown(row))
        .help("see whether the file is what `format` says")
}

/// An error about bytes that do not come.
pub(super) fn unreadable(source: &str, line: u64, error: &io::Error) -> StageError {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early: the file was cut off",
        _ => "it cannot be read",
    };
    StageError::failed(format!("`{source}`, line {line}: {what}")).because(error.to_string())
}

/// A failure to fetch as a failure of the stage.
pub(super) fn fetch_failed(error: crate::fetch::FetchError) -> StageError {
    if matches!(error, crate::fetch::FetchError::Interrupted) {
        return StageError::Interrupted;
    }
    StageError::Failed(Box::new(Failure { message: error.to_string(), help: error.help(), ..Failure::default() }))
}

/// Bytes that another thread unpacks, so that they are there when they are wanted.
struct Ahead {
    /// An empty block is the end.
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Ahead {
    fn new(mut stream: Box<dyn Read + Send>) -> io::Result<Self> {
        let (give, blocks) = sync_channel(AHEAD_BLOCKS);
        let read = move || {
            loop {
                let mut block = Vec::with_capacity(AHEAD_BYTES);
                let done = (&mut stream).take(AHEAD_BYTES as u64).read_to_end(&mut block);
                // what came before an error is whole
                let some = !block.is_empty();
                if some && give.send(Ok(block)).is_err() {
                    return;
                }
                let end = match done {
                    Ok(AHEAD_BYTES) => continue,
                    Ok(_) => Ok(Vec::new()),
                    Err(error) => Err(error),
                };
                return drop(give.send(end));
            }
        };
        std::thread::Builder::new().name("unpack".to_owned()).spawn(read)?;
        Ok(Ahead { blocks, block: io::Cursor::default(), ended: false })
    }
}

impl Read for Ahead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(into)?;
            if count > 0 || into.is_empty() || self.ended {
                return Ok(count);
            }
            let block = self.blocks.recv().map_err(|_| io::Error::other("the thread that reads it has ended"))??;
            self.ended = block.is_empty();
            self.block = io::Cursor::new(block);
        }
    }
}
