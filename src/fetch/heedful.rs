//! How is a server waited for that says nothing, where the run may be told to end? On a thread of its own.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::FetchError;

/// How often it is asked whether the run is to end.
const LOOK: Duration = Duration::from_millis(50);
/// So many blocks, each of at most such a size, wait to be taken.
const BLOCKS: usize = 4;
const BLOCK: usize = 64 << 10;

/// What `ask` gives, unless the run is to end before.
pub(super) fn call<T: Send + 'static>(
    ask: impl FnOnce() -> T + Send + 'static,
    cancelled: &AtomicBool,
) -> Result<T, FetchError> {
    let (give, answer) = sync_channel(1);
    let thread = std::thread::Builder::new().name("ask".to_owned()).spawn(move || drop(give.send(ask())));
    let ended = |why: String| FetchError::Io { path: "the network".to_owned(), why };
    thread.map_err(|error| ended(error.to_string()))?;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(FetchError::Interrupted);
        }
        match answer.recv_timeout(LOOK) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ended("the thread that asks has ended".to_owned())),
        }
    }
}

/// Bytes as they come.
pub(super) struct Coming<'a> {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: io::Cursor<Vec<u8>>,
    cancelled: &'a AtomicBool,
}

impl<'a> Coming<'a> {
    /// Of a reader that may wait for long.
    pub(super) fn new(mut from: impl Read + Send + 'static, cancelled: &'a AtomicBool) -> io::Result<Self> {
        let (give, blocks) = sync_channel(BLOCKS);
        let read = move || {
            loop {
                let mut block = vec![0; BLOCK];
                let come = from.read(&mut block).map(|count| {
                    block.truncate(count);
                    block
                });
                // nothing more is the end
                let goes_on = come.as_ref().is_ok_and(|block| !block.is_empty());
                if give.send(come).is_err() || !goes_on {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("download".to_owned()).spawn(read)?;
        Ok(Coming { blocks, block: io::Cursor::default(), cancelled })
    }
}

impl Read for Coming<'_> {
    /// Interrupted, if the run is to end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match self.blocks.recv_timeout(LOOK) {
                Ok(Ok(block)) if block.is_empty() => return Ok(0),
                Ok(block) => self.block = io::Cursor::new(block?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that downloads has ended"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_silent_server_does_not_keep_a_run_from_ending() {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (began, stop) = (Instant::now(), Arc::clone(&cancelled));
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            stop.store(true, Ordering::Relaxed);
        });
        let silent = || std::thread::sleep(Duration::from_secs(20));
        assert!(matches!(call(silent, &cancelled), Err(FetchError::Interrupted)));
        struct Silent;
        impl Read for Silent {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                std::thread::sleep(Duration::from_secs(20));
                Ok(0)
            }
        }
        let error = Coming::new(Silent, &cancelled).unwrap().read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn bytes_come_as_they_are() {
        let never = AtomicBool::new(false);
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let mut read = Vec::new();
        Coming::new(io::Cursor::new(bytes.clone()), &never).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes && call(|| 7, &never).unwrap() == 7);
    }
}
