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

use super::FetchError;
use super::error::nearest;
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
        match packing(&name) {
            Packing::Gz | Packing::Zst => {
                self.unpacked(bytes.stream(), packing(&name)).map_err(|error| self.damaged(members, &error))
            }
            _ => Ok(bytes.stream()),
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

    fn failed(&self, way: &[String], member: &str, failure: Failure) -> FetchError {
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
        found.dedup();
        Ok(found)
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
enum Failure {
    Missing,
    Irregular,
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

fn zip_names(bytes: Bytes) -> Result<Vec<Name>, Failure> {
    let archive = zip::ZipArchive::new(BufReader::new(bytes.file()?))?;
    let mut names = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        let regular = !entry.is_dir() && !entry.is_symlink();
        names.push(Name { name: plain(&entry.name()?).to_owned(), regular });
    }
    Ok(names)
}

fn zip_member(bytes: Bytes, member: &str, limit: u64) -> Result<Box<dyn Read + Send>, Failure> {
    let mut archive = zip::ZipArchive::new(BufReader::new(bytes.file()?))?;
    let mut found = None;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        if plain(&entry.name()?) == member {
            found = Some(index);
            break;
        }
    }
    let index = found.ok_or(Failure::Missing)?;
    let (start, packed, method, crc, size) = {
        let entry = archive.by_index_raw(index)?;
        if entry.is_dir() || entry.is_symlink() {
            return Err(Failure::Irregular);
        }
        if entry.encrypted() {
            return Err(Failure::Packed("it is encrypted".to_owned()));
        }
        let start = entry.data_start().ok_or(Failure::Missing)?;
        (start, entry.compressed_size(), entry.compression(), entry.crc32(), entry.size())
    };
    let mut file = archive.into_inner().into_inner();
    file.seek(SeekFrom::Start(start))?;
    let packed = BufReader::with_capacity(1 << 16, file.take(packed));
    let limit = limit.min(size);
    match method {
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
        let regular = matches!(entry.header().entry_type(), tar::EntryType::Regular | tar::EntryType::Continuous);
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
            if !matches!(entry.header().entry_type(), tar::EntryType::Regular | tar::EntryType::Continuous) {
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
