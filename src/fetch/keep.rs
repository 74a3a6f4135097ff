//! Which files are kept here already, and are they still what they were?
//!
//! Under the folder for files: `sha256/ab/<digest>/<name>` holds each fetched file once; `index/` remembers which digest a
//! source had, which members a glob led to, and the digests of files seen before, by path, size, time and inode; `partial/` holds
//! downloads that were broken off. All of `index/` and `partial/` may be lost at any time. Everything is written aside and renamed, so readers need no lock.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::FetchError;

/// A digest is believed only if it was written down this long after the file last changed: a file changed again within
/// the clock's grain looks unchanged.
const GRAIN: Duration = Duration::from_secs(2);

/// The folder for files.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    root: PathBuf,
}

/// What is remembered about a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The source, so that the index can be read by people and a clash of hashes shows.
    pub(super) source: String,
    /// The digest of its file; absent where the source is known to have none.
    pub(super) sha256: Option<String>,
    /// The file's name.
    pub(super) name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    path: String,
    size: u64,
    modified: Option<u128>,
    inode: u64,
    sha256: String,
}

/// How a file looked at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: Option<u128>,
    /// When its inode last changed; nobody can set that back.
    changed: i128,
    inode: u64,
    /// True if it had not changed for longer than the clock's grain.
    settled: bool,
}

impl Stamp {
    pub(super) fn of(stat: &fs::Metadata) -> Stamp {
        let (size, modified, changed, inode) = (stat.len(), modified(stat), changed(stat), inode(stat));
        Stamp { size, modified, changed, inode, settled: false }
    }

    pub(super) fn settled(self) -> Stamp {
        Stamp { settled: true, ..self }
    }

    /// True if a file that looks so now is surely the same as then.
    pub(super) fn surely(self, now: &fs::Metadata) -> bool {
        self.settled && Stamp::of(now).settled() == self
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Ways {
    sha256: String,
    members: Vec<String>,
    ways: Vec<Vec<String>>,
}

impl Keep {
    pub(super) fn new(root: PathBuf) -> Self {
        Keep { root }
    }

    /// A new folder to write into, on the same filesystem; removed when dropped.
    pub(super) fn aside(&self) -> Result<tempfile::TempDir, FetchError> {
        let folder = self.root.join("tmp");
        fs::create_dir_all(&folder).map_err(|error| FetchError::io(&folder, &error))?;
        tempfile::Builder::new().prefix("fetch-").tempdir_in(&folder).map_err(|error| FetchError::io(&folder, &error))
    }

    /// The folder for downloads that are not complete.
    pub(super) fn parts(&self) -> PathBuf {
        self.root.join("partial")
    }

    fn folder(&self, sha256: &str) -> PathBuf {
        self.root.join("sha256").join(sha256.get(..2).unwrap_or("00")).join(sha256)
    }

    /// The kept file with a digest, if it is whole. A damaged one is removed.
    pub(super) fn kept(&self, sha256: &str) -> Option<PathBuf> {
        let mut inside: Vec<PathBuf> =
            fs::read_dir(self.folder(sha256)).ok()?.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
        inside.sort();
        let never = AtomicBool::new(false);
        for path in inside {
            if path.is_file() && self.digest(&path, &never).is_ok_and(|found| found == sha256) {
                return Some(path);
            }
            // not what its name says: out of the way, so that it is fetched again
            let _ = fs::remove_file(&path);
        }
        None
    }

    /// Moves a file (on the same filesystem) to where its digest belongs.
    pub(super) fn take(&self, from: &Path, sha256: &str, name: &str) -> Result<PathBuf, FetchError> {
        if let Some(kept) = self.kept(sha256) {
            return Ok(kept);
        }
        let folder = self.folder(sha256);
        fs::create_dir_all(&folder).map_err(|error| FetchError::io(&folder, &error))?;
        let to = folder.join(safe_name(name));
        File::open(from).and_then(|file| file.sync_all()).map_err(|error| FetchError::io(from, &error))?;
        fs::rename(from, &to).map_err(|error| FetchError::io(&to, &error))?;
        self.note_seen(&to, sha256);
        Ok(to)
    }

    /// The sha256 of a file on disk, from the index where the file has not changed since.
    pub(super) fn digest(&self, path: &Path, cancelled: &AtomicBool) -> Result<String, FetchError> {
        self.stamped(path, cancelled).map(|(sha256, _)| sha256)
    }

    /// The same, and how the file looked before it was digested.
    pub(super) fn stamped(&self, path: &Path, cancelled: &AtomicBool) -> Result<(String, Stamp), FetchError> {
        let canonical = path.canonicalize().map_err(|error| FetchError::io(path, &error))?;
        let stat = fs::metadata(&canonical).map_err(|error| FetchError::io(path, &error))?;
        let at = self.seen_at(&canonical);
        if let Some((seen, written)) = read::<Seen>(&at) {
            let same = seen.path == canonical.to_string_lossy()
                && seen.size == stat.len()
                && seen.modified == modified(&stat)
                && seen.inode == inode(&stat);
            if same && stat.modified().is_ok_and(|modified| modified + GRAIN < written) {
                return Ok((seen.sha256, Stamp::of(&stat).settled()));
            }
        }
        let file = File::open(&canonical).map_err(|error| FetchError::io(path, &error))?;
        let (sha256, _) = hash(file, &mut io::sink(), cancelled, &mut |_| ()).map_err(|e| e.at(path))?;
        self.note(&at, &seen(&canonical, &stat, &sha256));
        Ok((sha256, Stamp::of(&stat)))
    }

    fn seen_at(&self, canonical: &Path) -> PathBuf {
        self.index("seen", &canonical.to_string_lossy())
    }

    fn note_seen(&self, path: &Path, sha256: &str) {
        if let Ok(canonical) = path.canonicalize()
            && let Ok(stat) = fs::metadata(&canonical)
        {
            self.note(&self.seen_at(&canonical), &seen(&canonical, &stat, sha256));
        }
    }

    /// What is remembered about a source.
    pub(super) fn remembered(&self, source: &str) -> Option<Remembered> {
        read::<Remembered>(&self.index("sources", source)).map(|(r, _)| r).filter(|r| r.source == source)
    }

    /// Remembers a source.
    pub(super) fn remember(&self, entry: &Remembered) {
        self.note(&self.index("sources", &entry.source), entry);
    }

    /// The ways that members lead to in the archive with a digest.
    pub(super) fn ways(&self, sha256: &str, members: &[String]) -> Option<Vec<Vec<String>>> {
        let (found, _) = read::<Ways>(&self.ways_at(sha256, members))?;
        (found.sha256 == sha256 && found.members == members).then_some(found.ways)
    }

    /// Remembers them.
    pub(super) fn remember_ways(&self, sha256: &str, members: &[String], ways: &[Vec<String>]) {
        let entry = Ways { sha256: sha256.to_owned(), members: members.to_vec(), ways: ways.to_vec() };
        self.note(&self.ways_at(sha256, members), &entry);
    }

    fn ways_at(&self, sha256: &str, members: &[String]) -> PathBuf {
        self.index("members", &format!("{sha256}\0{}", members.join("\0")))
    }

    fn index(&self, kind: &str, key: &str) -> PathBuf {
        self.root.join("index").join(kind).join(format!("{:x}.json", Sha256::digest(key.as_bytes())))
    }

    /// Writes an index entry. One that cannot be written is work done again later, no more.
    fn note(&self, at: &Path, entry: &impl Serialize) {
        let write = || -> io::Result<()> {
            let folder = at.parent().unwrap_or(&self.root);
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec(entry)?)?;
            file.persist(at)?;
            Ok(())
        };
        let _ = write();
    }
}

fn read<T: DeserializeOwned>(at: &Path) -> Option<(T, SystemTime)> {
    let written = fs::metadata(at).ok()?.modified().ok()?;
    Some((serde_json::from_slice(&fs::read(at).ok()?).ok()?, written))
}

fn seen(canonical: &Path, stat: &fs::Metadata, sha256: &str) -> Seen {
    Seen {
        path: canonical.to_string_lossy().into_owned(),
        size: stat.len(),
        modified: modified(stat),
        inode: inode(stat),
        sha256: sha256.to_owned(),
    }
}

fn modified(stat: &fs::Metadata) -> Option<u128> {
    Some(stat.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos())
}

#[cfg(unix)]
fn inode(stat: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(stat)
}

#[cfg(unix)]
fn changed(stat: &fs::Metadata) -> i128 {
    use std::os::unix::fs::MetadataExt;
    i128::from(stat.ctime()) * 1_000_000_000 + i128::from(stat.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &fs::Metadata) -> i128 {
    0
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

/// One harmless path component.
fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().map(|c| if c.is_control() || ":*?\"<>|".contains(c) { '_' } else { c }).collect();
    if plain.trim_matches('.').is_empty() { "file".to_owned() } else { plain }
}

/// Why a copy ended.
pub(super) enum CopyEnd {
    Interrupted,
    Io(io::Error),
}

impl CopyEnd {
    /// As an error at a path.
    pub(super) fn at(self, path: &Path) -> FetchError {
        match self {
            CopyEnd::Interrupted => FetchError::Interrupted,
            CopyEnd::Io(error) => FetchError::io(path, &error),
        }
    }
}

/// Copies while hashing; gives the sha256 in hexadecimal and the number of bytes. `more` hears how many bytes came.
pub(super) fn hash(
    mut from: impl Read,
    to: &mut impl Write,
    cancelled: &AtomicBool,
    more: &mut dyn FnMut(u64),
) -> Result<(String, u64), CopyEnd> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 18];
    let mut total = 0_u64;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(CopyEnd::Interrupted);
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyEnd::Io(error)),
        };
        let chunk = buffer.get(..count).unwrap_or_default();
        hasher.update(chunk);
        to.write_all(chunk).map_err(CopyEnd::Io)?;
        total += count as u64;
        more(count as u64);
    }
    Ok((format!("{:x}", hasher.finalize()), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn digest(keep: &Keep, path: &Path) -> String {
        keep.digest(path, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn a_kept_file_is_found_until_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path().join("files"));
        let aside = keep.aside().unwrap();
        fs::write(aside.path().join("x"), "hello").unwrap();
        let path = keep.take(&aside.path().join("x"), HELLO, "../a:b.txt").unwrap();
        assert_eq!(path.file_name().unwrap(), "a_b.txt");
        assert_eq!(keep.kept(HELLO), Some(path.clone()));
        fs::write(&path, "hellO").unwrap();
        assert_eq!(keep.kept(HELLO), None);
        assert!(!path.exists());
    }

    #[test]
    fn a_digest_is_believed_only_for_an_unchanged_and_settled_file() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path().join("files"));
        let path = dir.path().join("data.txt");
        fs::write(&path, "hello").unwrap();
        assert_eq!(digest(&keep, &path), HELLO);
        // written again at once, with the same size: the entry is younger than the grain, so it is not believed
        fs::write(&path, "jello").unwrap();
        assert_ne!(digest(&keep, &path), HELLO);
        // a settled file: its entry is believed, which a forged entry shows
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let honest = digest(&keep, &path);
        let at = keep.seen_at(&path.canonicalize().unwrap());
        fs::write(&at, fs::read_to_string(&at).unwrap().replace(&honest, HELLO)).unwrap();
        assert_eq!(digest(&keep, &path), HELLO);
        // and no longer once the time changes
        File::options().write(true).open(&path).unwrap().set_modified(old + Duration::from_nanos(1_000)).unwrap();
        assert_eq!(digest(&keep, &path), honest);
    }
}
