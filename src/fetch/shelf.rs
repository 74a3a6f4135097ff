//! Where in an archive do its members lie, so that many of them are read without passing through it once for each?

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::FetchError;
use super::archive::{Failure, Lies, Outer, tar_places, zip_places};

/// What the files of one archive share: the archive laid open while they are read one after the other.
#[derive(Debug)]
pub(super) struct Shared {
    /// How many files share it.
    files: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    opened: usize,
    shelf: Option<Shelf>,
}

/// An archive on disk (decompressed, if it was compressed as a whole) and where its members lie.
#[derive(Debug, Clone)]
struct Shelf {
    file: Arc<Mutex<File>>,
    members: Arc<FxHashMap<String, Lies>>,
}

impl Shared {
    pub(super) fn new(files: usize) -> Self {
        Shared { files, state: Mutex::default() }
    }

    /// Reads a member. The archive is laid open for the first and let go after the last.
    pub(super) fn open(&self, outer: &Outer<'_>, way: &[String]) -> Result<Box<dyn Read + Send>, FetchError> {
        let Some((member, archive)) = way.split_last() else { return outer.open(way) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = match state.shelf.take() {
            Some(shelf) => shelf,
            None => Shelf::open(outer, archive)?,
        };
        state.opened += 1;
        if !state.opened.is_multiple_of(self.files) {
            state.shelf = Some(shelf.clone());
        }
        drop(state);
        let lies = shelf.members.get(member).copied().ok_or(Failure::Missing);
        let slice = |(at, left)| Slice { file: Arc::clone(&shelf.file), at, left };
        lies.and_then(|lies| outer.member(lies, |from, size| Box::new(slice((from, size)))))
            .map_err(|failure| outer.failed(archive, member, failure))
            .and_then(|stream| outer.unpacked_member(way, stream))
    }
}

impl Shelf {
    fn open(outer: &Outer<'_>, way: &[String]) -> Result<Self, FetchError> {
        let (file, is_zip) = outer.laid_open(way)?;
        let places = match is_zip {
            true => zip_places(&file),
            false => tar_places(&file),
        };
        let places = places.map_err(|failure| outer.failed(way, "", failure))?;
        Ok(Shelf { file: Arc::new(Mutex::new(file)), members: Arc::new(places) })
    }
}

/// A stretch of a file that others read too.
struct Slice {
    file: Arc<Mutex<File>>,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left.try_into().unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let count = file.read(buffer)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends too early"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A reader of a file for those who only look into it.
pub(super) fn looking(file: &File) -> io::Result<BufReader<File>> {
    let mut clone = file.try_clone()?;
    clone.seek(SeekFrom::Start(0))?;
    Ok(BufReader::new(clone))
}
