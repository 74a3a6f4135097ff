//! How is a text file opened, and where do its lines end?

use std::io::{self, BufRead, BufReader, Read};

use super::rows::{At, shown};
use crate::fetch::Fetched;
use crate::stage::{Failure, StageError};

/// No row may be longer than this many bytes: beyond it a file is not what it is taken for.
pub(super) const LONGEST: usize = 64 << 20;

/// A text file, read forward.
pub(super) struct Lines {
    /// As the pipeline names it.
    pub(super) source: String,
    /// Its bytes after any byte order mark.
    pub(super) reader: BufReader<Box<dyn Read + Send>>,
    /// How many lines have ended so far.
    pub(super) line: u64,
}

impl Lines {
    /// Opens a file and looks at its first bytes.
    pub(super) fn open(file: &Fetched) -> Result<Lines, StageError> {
        if let Some(inside) = file.inside() {
            let some: Vec<String> = inside.iter().take(8).map(|name| format!("`{}!{name}`", file.source)).collect();
            return Err(StageError::failed(format!("`{}` is an archive", file.source))
                .help(format!("name a file in it: {}", some.join(", ")))
                .at_param(&["source"]));
        }
        let stream = file.open().map_err(fetch_failed)?;
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let first = reader.fill_buf().map_err(|error| unreadable(&file.source, 1, &error))?;
        if first.is_empty() {
            return Err(
                StageError::failed(format!("`{}` is empty", file.source)).help("take it out of `source`, or fill it")
            );
        }
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
            return Err(StageError::failed(format!("`{}` is UTF-16, and UTF-8 is wanted", file.source))
                .help("write the file anew as UTF-8, for instance with `iconv -f utf16 -t utf8`"));
        }
        if first.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        Ok(Lines { source: file.source.clone(), reader, line: 0 })
    }

    /// The next line without its end (LF or CRLF); false at the end of the file.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, StageError> {
        line.clear();
        let most = LONGEST as u64 + 2;
        let count = (&mut self.reader).take(most).read_until(b'\n', line);
        let count = count.map_err(|error| unreadable(&self.source, self.line + 1, &error))?;
        if count == 0 {
            return Ok(false);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if line.len() > LONGEST {
            return Err(self.too_long(self.line + 1, line));
        }
        self.line += 1;
        Ok(true)
    }

    /// An error about a row that does not end.
    pub(super) fn too_long(&self, number: u64, row: &[u8]) -> StageError {
        let at = At { source: &self.source, unit: "line", number };
        let start = String::from_utf8_lossy(row.get(..1000).unwrap_or(row)).into_owned();
        at.error(None, &format!("the row is longer than {} MiB", LONGEST >> 20), &shown(&start))
            .help("see whether the file is what `format` says")
    }
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
