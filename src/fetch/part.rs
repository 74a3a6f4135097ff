//! How far had a download come when it was broken off?
//!
//! What has come of a file lies in a folder of its own, under the address, until all of it is there: a download goes on
//! after a broken connection, and after the process was killed. One process at a time writes to it; another begins anew elsewhere.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::FetchError;

/// What nobody has gone on with for so long is given up.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A file that is being downloaded.
#[derive(Debug)]
pub(super) struct Part {
    folder: PathBuf,
    /// Held as long as the part is; `None` for a part that nobody else can know of.
    lock: Option<File>,
}

/// What the server said of the file, so that the rest can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// The address.
    pub(super) url: String,
    /// The file's `ETag` or `Last-Modified`: if another comes, it is another file.
    pub(super) validator: Option<String>,
}

impl Part {
    /// The part of an address under `root`, or one in `aside` while another process has that.
    pub(super) fn of(root: &Path, url: &str, aside: &Path) -> Result<Part, FetchError> {
        let folder = root.join(format!("{:x}", Sha256::digest(url.as_bytes())));
        fs::create_dir_all(&folder).map_err(|error| FetchError::io(&folder, &error))?;
        match locked(&folder) {
            Ok(Some(lock)) => {
                sweep(root, &lock);
                Ok(Part { folder, lock: Some(lock) })
            }
            Ok(None) | Err(_) => Ok(Part { folder: aside.to_owned(), lock: None }),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn about_path(&self) -> PathBuf {
        self.folder.join("about.json")
    }

    /// How many bytes have come, and what they are of, where the server can be asked for the rest: it named the state of
    /// the file, or the digest of the whole is known.
    pub(super) fn so_far(&self, url: &str, digest_known: bool) -> Option<(u64, About)> {
        let about: About = serde_json::from_slice(&fs::read(self.about_path()).ok()?).ok()?;
        let bytes = fs::metadata(self.path()).ok()?.len();
        let can = about.url == url && bytes > 0 && (about.validator.is_some() || digest_known);
        can.then_some((bytes, about))
    }

    /// The file, to be written from byte `from` on. What it is of is written down first.
    pub(super) fn file(&self, from: u64, about: &About) -> Result<File, FetchError> {
        let path = self.path();
        let open = || -> io::Result<File> {
            let mut file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.set_len(from)?;
            file.seek(SeekFrom::Start(from))?;
            fs::write(self.about_path(), serde_json::to_vec(about)?)?;
            Ok(file)
        };
        open().map_err(|error| FetchError::io(&path, &error))
    }

    /// Gives up what has come.
    pub(super) fn clear(&self) {
        let _ = fs::remove_file(self.about_path());
        let _ = fs::remove_file(self.path());
    }
}

impl Drop for Part {
    /// A part of which nothing has come, or whose file was taken away, leaves nothing behind.
    fn drop(&mut self) {
        if self.lock.is_some() && !self.path().exists() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The lock of a folder; `None` while another process has it.
fn locked(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path)?;
    if lock.try_lock().is_err() {
        return Ok(None);
    }
    // whoever had it may have finished and removed the folder: then this is no lock of anything
    Ok(same(&lock.metadata()?, &fs::metadata(&path)?).then_some(lock))
}

#[cfg(unix)]
fn same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// Removes parts that nobody has gone on with for long. The time is that of a file that was written just now.
fn sweep(root: &Path, fresh: &File) {
    let now = fresh.set_len(0).and_then(|()| fresh.metadata()).and_then(|stat| stat.modified());
    let Ok(now) = now else { return };
    for folder in fs::read_dir(root).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()) {
        let age = fs::metadata(folder.join("data"))
            .and_then(|stat| stat.modified())
            .ok()
            .map(|then| now.duration_since(then));
        if matches!(age, Some(Ok(age)) if age > STALE) && matches!(locked(&folder), Ok(Some(_))) {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_part_is_found_again_by_its_address_and_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (root, aside) = (dir.path().join("partial"), dir.path().join("aside"));
        fs::create_dir(&aside).unwrap();
        let about = |validator: Option<&str>| About { url: "u".to_owned(), validator: validator.map(str::to_owned) };
        let part = Part::of(&root, "u", &aside).unwrap();
        assert_eq!(part.so_far("u", true), None);
        part.file(0, &about(None)).unwrap().write_all(b"hello").unwrap();
        assert_eq!(part.so_far("u", false), None, "nothing says that the rest would be of the same file");
        assert_eq!(part.so_far("u", true), Some((5, about(None))));
        let other = Part::of(&root, "u", &aside).unwrap();
        assert!(other.path().starts_with(&aside), "another process has it");
        drop((part, other));
        let part = Part::of(&root, "u", &aside).unwrap();
        part.file(3, &about(Some("\"e\""))).unwrap().write_all(b"p").unwrap();
        assert_eq!(part.so_far("u", false), Some((4, about(Some("\"e\"")))));
        fs::remove_file(part.path()).unwrap();
        drop(part);
        assert!(!root.join(format!("{:x}", Sha256::digest(b"u"))).exists());
        assert_eq!(Part::of(&root, "u", &aside).unwrap().so_far("u", true), None);
    }

    #[test]
    fn what_is_stale_goes() {
        let dir = tempfile::tempdir().unwrap();
        let about = About { url: "u".to_owned(), validator: None };
        let part = Part::of(dir.path(), "u", dir.path()).unwrap();
        let file = part.file(0, &about).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        drop(part);
        drop(Part::of(dir.path(), "other", dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
