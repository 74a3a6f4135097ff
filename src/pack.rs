//! How does a run travel? As one archive, and out of it again without harm.
//!
//! ```text
//! run/<file>                              the run folder's files
//! files/sha256/ab/<digest>/<name>         the data and models that it read, if they were asked for
//! ```
//!
//! Equal contents give equal bytes: names in order, no times, no owners. Only plain files with harmless names are unpacked, no
//! more bytes than an honest archive of this size could hold, and never over something that is there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// An archive may always give this many bytes.
const ALWAYS_BYTES: u64 = 1 << 30;
/// Beyond that, this many times its own size.
const MOST_RATIO: u64 = 200;
/// And never more than this.
const MOST_BYTES: u64 = 1 << 40;
/// Nor more files than this.
const MOST_FILES: usize = 100_000;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `.tar.gz`, `.tgz`.
    Gz,
    /// `.tar.zst`.
    Zst,
}

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Its name does not say what it is.
    #[error("`{}` must end in `.tar.zst` or `.tar.gz`", .0.display())]
    Name(PathBuf),
    /// A file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could do harm.
    #[error("`{}` is refused: {why}", path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// The danger.
        why: String,
    },
}

/// What an archive says under a name.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file's bytes.
    File(PathBuf),
}

impl Form {
    /// What a name says.
    pub fn of(path: &Path) -> Option<Form> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        match () {
            () if name.ends_with(".tar.gz") || name.ends_with(".tgz") => Some(Form::Gz),
            () if name.ends_with(".tar.zst") => Some(Form::Zst),
            () => None,
        }
    }
}

/// Writes an archive, whole or not at all; gives its size.
pub fn pack(mut entries: Vec<(String, Content)>, to: &Path) -> Result<u64, PackError> {
    let form = Form::of(to).ok_or_else(|| PackError::Name(to.to_owned()))?;
    let at = |source: io::Error| PackError::Io { path: to.to_owned(), source };
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(at)?;
    let mut file = crate::whole::within(folder).map_err(at)?;
    match form {
        Form::Gz => {
            let mut packed = GzEncoder::new(BufWriter::new(file.as_file_mut()), Compression::default());
            write(&entries, &mut packed, to)?;
            packed.finish().and_then(|mut buffered| buffered.flush()).map_err(at)?;
        }
        Form::Zst => {
            let mut packed = zstd::Encoder::new(BufWriter::new(file.as_file_mut()), 3).map_err(at)?;
            write(&entries, &mut packed, to)?;
            packed.finish().and_then(|mut buffered| buffered.flush()).map_err(at)?;
        }
    }
    let bytes = file.as_file().metadata().map_err(at)?.len();
    file.persist(to).map_err(|error| at(error.error))?;
    Ok(bytes)
}

fn write(entries: &[(String, Content)], packed: &mut impl Write, to: &Path) -> Result<(), PackError> {
    let at = |source: io::Error| PackError::Io { path: to.to_owned(), source };
    let mut archive = tar::Builder::new(packed);
    archive.mode(tar::HeaderMode::Deterministic);
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        match content {
            Content::Bytes(bytes) => {
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, name, bytes.as_slice()).map_err(at)?;
            }
            Content::File(path) => {
                let read = |source: io::Error| PackError::Io { path: path.clone(), source };
                let file = File::open(path).map_err(read)?;
                header.set_size(file.metadata().map_err(read)?.len());
                archive.append_data(&mut header, name, BufReader::new(file)).map_err(at)?;
            }
        }
    }
    archive.into_inner().map(|_| ()).map_err(at)
}

/// Unpacks an archive into a folder that is empty.
pub fn unpack(from: &Path, into: &Path) -> Result<(), PackError> {
    let form = Form::of(from).ok_or_else(|| PackError::Name(from.to_owned()))?;
    let at = |source: io::Error| PackError::Io { path: from.to_owned(), source };
    let file = File::open(from).map_err(at)?;
    let limit = file.metadata().map_err(at)?.len().saturating_mul(MOST_RATIO).clamp(ALWAYS_BYTES, MOST_BYTES);
    let packed = BufReader::new(file);
    match form {
        Form::Gz => read(MultiGzDecoder::new(packed), limit, from, into),
        Form::Zst => read(zstd::Decoder::with_buffer(packed).map_err(at)?, limit, from, into),
    }
}

fn read(unpacked: impl Read, limit: u64, from: &Path, into: &Path) -> Result<(), PackError> {
    let at = |source: io::Error| PackError::Io { path: from.to_owned(), source };
    let refused = |why: String| PackError::Refused { path: from.to_owned(), why };
    let mut left = limit;
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    // The tar reader must not run on for ever either, where there are only headers.
    let mut archive = tar::Archive::new(unpacked.take(limit.saturating_add(limit / 8)));
    for entry in archive.entries().map_err(at)? {
        let mut entry = entry.map_err(at)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(refused(format!(
                "`{name}` in it is a link, a folder or another thing that is not a plain file"
            )));
        }
        let path = harmless(&name).ok_or_else(|| refused(format!("`{name}` in it leads somewhere else")))?;
        left = left
            .checked_sub(entry.size())
            .ok_or_else(|| refused(format!("it gives more than {limit} bytes, as an archive made to do harm would")))?;
        if seen.len() >= MOST_FILES || !seen.insert(path.clone()) {
            return Err(refused(format!("`{name}` in it comes twice, or it has more than {MOST_FILES} files")));
        }
        let target = into.join(&path);
        let written = |source: io::Error| PackError::Io { path: target.clone(), source };
        fs::create_dir_all(target.parent().unwrap_or(into)).map_err(written)?;
        let mut file = File::create_new(&target).map_err(written)?;
        io::copy(&mut entry, &mut file).map_err(at)?;
    }
    Ok(())
}

/// A name in one of the folders that an archive has, going down only.
fn harmless(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let ours = path.starts_with("run") || path.starts_with("files");
    let strange = name.contains(['\\', '\0', ':']) || path.components().count() < 2;
    (ours && !strange && path.components().all(plain)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<(String, Content)> {
        vec![
            ("run/summary.json".to_owned(), Content::Bytes(b"{}".to_vec())),
            ("files/sha256/ab/abc/x.csv".to_owned(), Content::Bytes(vec![7; 5000])),
        ]
    }

    #[test]
    fn equal_contents_give_equal_bytes_and_come_out_again() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.tar.gz", "a.tar.zst"] {
            let (one, two) = (folder.path().join(name), folder.path().join(format!("other-{name}")));
            pack(entries(), &one).unwrap();
            pack(entries().into_iter().rev().collect(), &two).unwrap();
            assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
            let into = folder.path().join(format!("out-{name}"));
            unpack(&one, &into).unwrap();
            assert_eq!(fs::read(into.join("run/summary.json")).unwrap(), b"{}");
            assert_eq!(fs::read(into.join("files/sha256/ab/abc/x.csv")).unwrap().len(), 5000);
        }
        assert!(matches!(pack(entries(), &folder.path().join("a.zip")), Err(PackError::Name(_))));
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        for name in ["../x", "/etc/x", "run/../../x", "run", "other/x", "run/a\\..\\b", "C:/x"] {
            assert_eq!(harmless(name), None, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("links.tar.gz");
        let mut archive = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "run/x", "/etc/passwd").unwrap();
        archive.into_inner().unwrap().finish().unwrap();
        let error = unpack(&path, &folder.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("not a plain file"), "{error}");
        assert!(!folder.path().join("out/run/x").exists());
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.tar.gz");
        let mut archive = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(ALWAYS_BYTES * 4);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_path("run/x").unwrap();
        header.set_cksum();
        archive.get_mut().write_all(header.as_bytes()).unwrap();
        archive.into_inner().unwrap().finish().unwrap();
        let error = unpack(&path, &folder.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("made to do harm"), "{error}");
    }
}
