//! Where does text go? Data to standard output, words for people to standard error.

use std::io::{ErrorKind, Write, stderr, stdout};

use super::exit::Exit;

/// Writes data. A reader that has gone away is no error.
pub(super) fn out(data: &[u8]) -> Exit {
    let mut to = stdout().lock();
    match to.write_all(data).and_then(|()| to.flush()) {
        Ok(()) => Exit::Success,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            say(&format!("error: cannot write to standard output: {error}"));
            Exit::StageFailed
        }
    }
}

/// How many columns people see; `None` where words go to no terminal.
pub(super) fn width() -> Option<usize> {
    terminal_size::terminal_size_of(stderr()).map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

/// Says something to people.
pub(super) fn say(text: &str) {
    let mut to = stderr().lock();
    // Nobody can be told that nobody can be told.
    drop(writeln!(to, "{}", text.trim_end_matches('\n')).and_then(|()| to.flush()));
}
