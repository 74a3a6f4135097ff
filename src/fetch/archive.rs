//! What is in an archive, and how is a member read?
//!
//! Members are read as streams and nothing is unpacked to a path that an archive names. A zip file inside another archive
//! is spooled to a nameless temporary file, because zip files are read from their end.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use zip::CompressionMethod;

use rustc_hash::FxHashMap;

use super::FetchError;
use super::error::nearest;
use super::shelf::looking;
use super::spec::{is_glob, unsafe_name};

/// No file in an archive, and no compressed file, may give more bytes than this.
const MOST_BYTES: u64 = 8 << 30;
/// A small archive may always give this many bytes.
const ALWAYS_BYTES: u64 = 256 << 20;
/// Beyond that it may give this many times its own size: text does not shrink so far, bombs do.
const MOST_RATIO: u64 = 200;

/// How a file is packed, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Zip,
    Tar,
    TarGz,
    TarZst,
    Gz,
    Zst,
    Plain,
}

/// How a file with this name is packed.
pub(super) fn packing(name: &str) -> Packing {
    let name = name.to_ascii_lowercase();
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        Packing::TarGz
    } else if name.ends_with(".tar.zst") || name.ends_with(".tzst") {
        Packing::TarZst
    } else if name.ends_with(".zip") || name.ends_with(".whl") {
        Packing::Zip
    } else if name.ends_with(".tar") {
        Packing::Tar
    } else if name.ends_with(".gz") {
        Packing::Gz
    } else if name.ends_with(".zst") {
        Packing::Zst
    } else {
        Packing::Plain
    }
}

/// A file on disk that may be an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer<'a> {
    /// Where it is.
    pub(super) path: &'a Path,
    /// Its name, which tells how it is packed.
    pub(super) name: &'a str,
    /// For messages.
    pub(super) source: &'a str,
    /// Its size.
    pub(super) bytes: u64,
}

enum Bytes {
    File(File),
    Stream(Box<dyn Read + Send>),
}

impl Bytes {
    fn stream(self) -> Box<dyn Read + Send> {
        match self {
            Bytes::File(file) => Box::new(file),
            Bytes::Stream(stream) => stream,
        }
    }

    /// As a file, spooled if need be.
    fn file(self) -> io::Result<File> {
        match self {
            Bytes::File(file) => Ok(file),
            Bytes::Stream(mut stream) => {
                let mut file = tempfile::tempfile()?;
                io::copy(&mut stream, &mut file)?;
                file.seek(SeekFrom::Start(0))?;
                Ok(file)
            }
        }
    }
}

/// One name in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    name: String,
    regular: bool,
}

impl Outer<'_> {
    /// Reads the file, or the member that `members` lead to; a `.gz` at the end of the way is decompressed.
    pub(super) fn open(&self, members: &[String]) -> Result<Box<dyn Read + Send>, FetchError> {
        let (bytes, name) = self.walk(members)?;
        self.decompressed(members, bytes.stream(), &name)
    }

    /// A member's bytes, decompressed where its own name says that they are compressed.
    pub(super) fn unpacked_member(
        &self,
        way: &[String],
        stream: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, FetchError> {
        self.decompressed(way, stream, way.last().map_or("", String::as_str))
    }

    fn decompressed(
        &self,
        way: &[String],
        stream: Box<dyn Read + Send>,
        name: &str,
    ) -> Result<Box<dyn Read + Send>, FetchError> {
        match packing(name) {
            packed @ (Packing::Gz | Packing::Zst) => {
                self.unpacked(stream, packed).map_err(|error| self.damaged(way, &error))
            }
            _ => Ok(stream),
        }
    }

    /// The archive that `way` leads to as a file in which members can be sought, and whether it is a zip.
    pub(super) fn laid_open(&self, way: &[String]) -> Result<(File, bool), FetchError> {
        let (bytes, name) = self.walk(way)?;
        let failed = |error: io::Error| self.damaged(way, &error);
        match packing(&name) {
            Packing::Zip => bytes.file().map_err(failed).map(|file| (file, true)),
            Packing::Tar => bytes.file().map_err(failed).map(|file| (file, false)),
            tar @ (Packing::TarGz | Packing::TarZst) => {
                let stream = self.unpacked(bytes.stream(), tar).map_err(failed)?;
                Bytes::Stream(stream).file().map_err(failed).map(|file| (file, false))
            }
            Packing::Gz | Packing::Zst | Packing::Plain => Err(self.no_archive(way)),
        }
    }

    /// The bytes of a member whose place in the archive is known; `slice` reads a stretch of it.
    pub(super) fn member(
        &self,
        lies: Lies,
        slice: impl FnOnce(u64, u64) -> Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, Failure> {
        match lies {
            Lies::Irregular => Err(Failure::Irregular),
            Lies::Stored { start, size } => Ok(Box::new(Whole { inner: slice(start, size).take(size) })),
            Lies::Zipped(place) => zip_stream(place, slice(place.start, place.packed), self.limit()),
        }
    }

    /// Every way into the archive that `members` (names or globs) lead to, in the order of the names.
    pub(super) fn expand(&self, members: &[String]) -> Result<Vec<Vec<String>>, FetchError> {
        let mut ways: Vec<Vec<String>> = vec![Vec::new()];
        for member in members {
            let mut further = Vec::new();
            for way in ways {
                for name in self.matching(&way, member)? {
                    let mut longer = way.clone();
                    longer.push(name);
                    further.push(longer);
                }
            }
            ways = further;
        }
        Ok(ways)
    }

    /// The regular files in the archive that `members` lead to.
    pub(super) fn files(&self, members: &[String]) -> Result<Vec<String>, FetchError> {
        Ok(self.names(members)?.into_iter().filter(|n| n.regular).map(|n| n.name).collect())
    }

    fn what(&self, members: &[String]) -> String {
        let head = self.source.split('!').next().unwrap_or(self.source);
        std::iter::once(head).chain(members.iter().map(String::as_str)).collect::<Vec<_>>().join("!")
    }

    fn limit(&self) -> u64 {
        self.bytes.saturating_mul(MOST_RATIO).clamp(ALWAYS_BYTES, MOST_BYTES)
    }

    /// A stream decompressed, if it is compressed.
    fn unpacked(&self, stream: Box<dyn Read + Send>, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
        let buffered = |stream| BufReader::with_capacity(1 << 16, stream);
        Ok(match packing {
            Packing::Gz | Packing::TarGz => Box::new(Capped::new(MultiGzDecoder::new(buffered(stream)), self.limit())),
            Packing::Zst | Packing::TarZst => {
                Box::new(Capped::new(zstd::Decoder::with_buffer(buffered(stream))?, self.limit()))
            }
            Packing::Zip | Packing::Tar | Packing::Plain => stream,
        })
    }

    fn damaged(&self, way: &[String], error: &io::Error) -> FetchError {
        FetchError::Archive { what: self.what(way), why: error.to_string() }
    }

    fn walk(&self, members: &[String]) -> Result<(Bytes, String), FetchError> {
        let file = File::open(self.path).map_err(|error| FetchError::io(self.path, &error))?;
        let mut at = (Bytes::File(file), self.name.to_owned());
        for (depth, member) in members.iter().enumerate() {
            let here = members.get(..depth).unwrap_or_default();
            let stream = match packing(&at.1) {
                Packing::Zip => zip_member(at.0, member, self.limit()),
                tar @ (Packing::Tar | Packing::TarGz | Packing::TarZst) => {
                    self.unpacked(at.0.stream(), tar).map_err(Failure::Io).and_then(|stream| tar_member(stream, member))
                }
                Packing::Gz | Packing::Zst | Packing::Plain => return Err(self.no_archive(here)),
            };
            let stream = stream.map_err(|failure| self.failed(here, member, failure))?;
            at = (Bytes::Stream(stream), member.clone());
        }
        Ok(at)
    }

    fn no_archive(&self, way: &[String]) -> FetchError {
        FetchError::Archive {
            what: self.what(way),
            why: "only .zip, .whl, .tar, .tar.gz, .tgz, .tar.zst and .tzst files have members".to_owned(),
        }
    }

    pub(super) fn failed(&self, way: &[String], member: &str, failure: Failure) -> FetchError {
        let mut whole = way.to_vec();
        whole.push(member.to_owned());
        match failure {
            Failure::Missing => {
                let near = self.files(way).map(|names| nearest(member, names)).unwrap_or_default();
                FetchError::NotFound { what: member.to_owned(), within: format!("`{}`", self.what(way)), near }
            }
            Failure::Irregular => FetchError::Refused {
                what: self.what(&whole),
                why: "it is a link, a folder or another thing that is not a plain file".to_owned(),
            },
            Failure::Io(error) => FetchError::Archive { what: self.what(way), why: error.to_string() },
            Failure::Zip(error) => FetchError::Archive { what: self.what(way), why: error.to_string() },
            Failure::Harmful(why) => FetchError::Refused { what: self.what(way), why: why.to_owned() },
            Failure::Packed(why) => FetchError::Archive { what: self.what(&whole), why },
        }
    }

    fn matching(&self, way: &[String], member: &str) -> Result<Vec<String>, FetchError> {
        let names = self.names(way)?;
        let mut found: Vec<&Name> = names.iter().filter(|n| n.name == member).collect();
        if found.is_empty() && is_glob(member) {
            let glob = globset::GlobBuilder::new(member).literal_separator(true).build();
            let glob = glob.map_err(|error| FetchError::Refused { what: member.to_owned(), why: error.to_string() })?;
            let matcher = glob.compile_matcher();
            found = names.iter().filter(|n| n.regular && matcher.is_match(&n.name)).collect();
        }
        let Some(first) = found.first() else {
            let files = names.iter().filter(|n| n.regular).map(|n| n.name.clone());
            return Err(FetchError::NotFound {
                what: member.to_owned(),
                within: format!("`{}`", self.what(way)),
                near: nearest(member, files),
            });
        };
        if !first.regular {
            return Err(self.failed(way, member, Failure::Irregular));
        }
        if let Some(bad) = found.iter().find(|n| unsafe_name(&n.name)) {
            let mut whole = way.to_vec();
            whole.push(bad.name.clone());
            return Err(FetchError::Refused {
                what: self.what(&whole),
                why: "its name leads out of the archive".to_owned(),
            });
        }
        let mut found: Vec<String> = found.into_iter().map(|n| n.name.clone()).collect();
        found.sort();
        match found.windows(2).find(|pair| pair.first() == pair.last()) {
            None => Ok(found),
            Some(twice) => {
                let mut whole = way.to_vec();
                whole.extend(twice.first().cloned());
                let why = "the archive has two files of this name".to_owned();
                Err(FetchError::Refused { what: self.what(&whole), why })
            }
        }
    }

    fn names(&self, way: &[String]) -> Result<Vec<Name>, FetchError> {
        let (bytes, name) = self.walk(way)?;
        let names = match packing(&name) {
            Packing::Zip => zip_names(bytes),
            tar @ (Packing::Tar | Packing::TarGz | Packing::TarZst) => {
                self.unpacked(bytes.stream(), tar).map_err(Failure::Io).and_then(tar_names)
            }
            Packing::Gz | Packing::Zst | Packing::Plain => return Err(self.no_archive(way)),
        };
        names.map_err(|failure| self.failed(way, "", failure))
    }
}

/// Why a member cannot be reached.
pub(super) enum Failure {
    Missing,
    Irregular,
    /// The archive is made so that it would do harm, or does not say clearly what it holds.
    Harmful(&'static str),
    Io(io::Error),
    Zip(zip::result::ZipError),
    Packed(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<zip::result::ZipError> for Failure {
    fn from(error: zip::result::ZipError) -> Self {
        Failure::Zip(error)
    }
}

fn plain(name: &str) -> &str {
    name.trim_start_matches("./")
}

/// A zip's directory, if it says clearly where its files are.
fn zip_archive(file: File) -> Result<zip::ZipArchive<BufReader<File>>, Failure> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
    if archive.has_duplicate_names() {
        return Err(Failure::Harmful("it has two files of the same name"));
    }
    if archive.has_overlapping_files()? {
        return Err(Failure::Harmful("its files overlap, as in an archive made to do harm"));
    }
    Ok(archive)
}

fn zip_names(bytes: Bytes) -> Result<Vec<Name>, Failure> {
    let archive = zip_archive(bytes.file()?)?;
    let mut names = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        let regular = !entry.is_dir() && !entry.is_symlink();
        names.push(Name { name: plain(&entry.name()?).to_owned(), regular });
    }
    Ok(names)
}

/// Where a member's bytes lie in its archive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lies {
    /// It is no plain file.
    Irregular,
    /// As they are.
    Stored { start: u64, size: u64 },
    /// As a zip holds them.
    Zipped(Zipped),
}

/// A file in a zip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zipped {
    start: u64,
    packed: u64,
    method: CompressionMethod,
    crc: u32,
    size: u64,
    encrypted: bool,
}

fn zip_place(archive: &mut zip::ZipArchive<BufReader<File>>, index: usize) -> Result<(String, Lies), Failure> {
    let entry = archive.by_index_raw(index)?;
    let name = plain(&entry.name()?).to_owned();
    if entry.is_dir() || entry.is_symlink() {
        return Ok((name, Lies::Irregular));
    }
    let start = entry.data_start().ok_or(Failure::Missing)?;
    let (packed, method, crc, size) = (entry.compressed_size(), entry.compression(), entry.crc32(), entry.size());
    Ok((name, Lies::Zipped(Zipped { start, packed, method, crc, size, encrypted: entry.encrypted() })))
}

/// All members of a zip.
pub(super) fn zip_places(file: &File) -> Result<FxHashMap<String, Lies>, Failure> {
    let mut archive = zip_archive(file.try_clone()?)?;
    (0..archive.len()).map(|index| zip_place(&mut archive, index)).collect()
}

/// All members of a tar.
pub(super) fn tar_places(file: &File) -> Result<FxHashMap<String, Lies>, Failure> {
    let mut archive = tar::Archive::new(looking(file)?);
    let mut places = FxHashMap::default();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = plain(&String::from_utf8_lossy(&entry.path_bytes())).to_owned();
        let lies = match is_plain_file(&entry) {
            true => Lies::Stored { start: entry.raw_file_position(), size: entry.size() },
            false => Lies::Irregular,
        };
        places.insert(name, lies);
    }
    Ok(places)
}

fn is_plain_file<R: Read>(entry: &tar::Entry<'_, R>) -> bool {
    matches!(entry.header().entry_type(), tar::EntryType::Regular | tar::EntryType::Continuous)
}

fn zip_member(bytes: Bytes, member: &str, limit: u64) -> Result<Box<dyn Read + Send>, Failure> {
    let mut archive = zip_archive(bytes.file()?)?;
    let mut found = None;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        if plain(&entry.name()?) == member {
            found = Some(index);
            break;
        }
    }
    let index = found.ok_or(Failure::Missing)?;
    match zip_place(&mut archive, index)?.1 {
        Lies::Zipped(place) => {
            let mut file = archive.into_inner().into_inner();
            file.seek(SeekFrom::Start(place.start))?;
            zip_stream(place, Box::new(file.take(place.packed)), limit)
        }
        Lies::Irregular | Lies::Stored { .. } => Err(Failure::Irregular),
    }
}

fn zip_stream(place: Zipped, packed: Box<dyn Read + Send>, limit: u64) -> Result<Box<dyn Read + Send>, Failure> {
    if place.encrypted {
        return Err(Failure::Packed("it is encrypted".to_owned()));
    }
    let packed = BufReader::with_capacity(1 << 16, packed);
    let (limit, crc) = (limit.min(place.size), place.crc);
    match place.method {
        CompressionMethod::Stored => Ok(Box::new(Checked::new(Capped::new(packed, limit), crc))),
        CompressionMethod::Deflated => Ok(Box::new(Checked::new(Capped::new(DeflateDecoder::new(packed), limit), crc))),
        other => Err(Failure::Packed(format!("it is compressed by a method that is not known here ({other})"))),
    }
}

fn tar_names(stream: Box<dyn Read + Send>) -> Result<Vec<Name>, Failure> {
    let mut archive = tar::Archive::new(stream);
    let mut names = Vec::new();
    for entry in archive.entries()? {
        let entry = entry?;
        let regular = is_plain_file(&entry);
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        names.push(Name { name: plain(&name).to_owned(), regular });
    }
    Ok(names)
}

/// Reads on to the member's header; the tar reader reads no further than that, so its data comes next.
fn tar_member(mut stream: Box<dyn Read + Send>, member: &str) -> Result<Box<dyn Read + Send>, Failure> {
    let size = {
        let mut archive = tar::Archive::new(&mut stream);
        let mut found = None;
        for entry in archive.entries()? {
            let entry = entry?;
            if plain(&String::from_utf8_lossy(&entry.path_bytes())) != member {
                continue;
            }
            if !is_plain_file(&entry) {
                return Err(Failure::Irregular);
            }
            found = Some(entry.size());
            break;
        }
        found.ok_or(Failure::Missing)?
    };
    Ok(Box::new(Whole { inner: stream.take(size) }))
}

/// Fails where more bytes come than may.
struct Capped<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R: Read> Capped<R> {
    fn new(inner: R, limit: u64) -> Self {
        Capped { inner, limit, left: limit }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(format!("it gives more than {} bytes, as an archive made to do harm would", self.limit))
        })?;
        Ok(count)
    }
}

/// Fails at the end where the bytes are not those that were packed.
struct Checked<R> {
    inner: R,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Checked<R> {
    fn new(inner: R, expected: u32) -> Self {
        Checked { inner, crc: Crc::new(), expected }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            self.crc.update(buffer.get(..count).unwrap_or_default());
        } else if !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong: the archive is damaged"));
        }
        Ok(count)
    }
}

/// Fails where the bytes end before they should.
struct Whole<R> {
    inner: io::Take<R>,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() && self.inner.limit() > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends too early"));
        }
        Ok(count)
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
