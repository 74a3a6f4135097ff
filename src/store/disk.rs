//! How do files get onto the disk whole, or not at all?

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::{StoreError, USED_AFTER};

/// How the files in `tmp` begin; nothing else there is ours.
pub(super) const TMP_PREFIX: &str = "put-";

/// `folder/ab/abcd….extension`: no folder grows too long.
pub(super) fn sharded(folder: &Path, name: &str, extension: &str) -> PathBuf {
    folder.join(name.get(..2).unwrap_or(name)).join(format!("{name}.{extension}"))
}

/// The size of a file, if it is there.
pub(super) fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// True if a file of that size is there; that it is needed now is noted.
pub(super) fn is_there(path: &Path, bytes: u64) -> bool {
    let Some(metadata) = fs::metadata(path).ok().filter(|found| found.is_file() && found.len() == bytes) else {
        return false;
    };
    if modified_before(&metadata, USED_AFTER)
        && let Ok(file) = fs::File::open(path)
    {
        note_use(&file, &metadata);
    }
    true
}

/// Notes that a file was used now, unless that was noted a short while ago. A file of another user stays as it is.
pub(super) fn note_use(file: &fs::File, metadata: &fs::Metadata) {
    if modified_before(metadata, USED_AFTER) {
        drop(file.set_modified(SystemTime::UNIX_EPOCH + now()));
    }
}

fn modified_before(metadata: &fs::Metadata, ago: Duration) -> bool {
    metadata.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ago)
}

/// Whether a file must be there even if the machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// It must.
    Synced,
    /// It need not: it can be made again, and whoever reads it sees whether it is whole.
    Passing,
}

/// What to do with a file of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is replaced.
    Replace,
    /// It stays, and nothing is written.
    Keep,
}

/// Writes a file so that it is there with all its bytes or not at all; false if another stays in its place.
pub(super) fn write(
    tmp: &Path,
    path: &Path,
    bytes: &[u8],
    existing: Existing,
    lasting: Lasting,
) -> Result<bool, StoreError> {
    let mut file = begin(tmp)?;
    file.write_all(bytes).map_err(|error| StoreError::write(path, error))?;
    end(file, path, existing, lasting)
}

/// Begins a file that has no place yet.
pub(super) fn begin(tmp: &Path) -> Result<NamedTempFile, StoreError> {
    make_folder(tmp)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TMP_PREFIX);
    #[cfg(unix)]
    let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    // A shared cache is read by others, as far as the umask lets them.
    #[cfg(unix)]
    builder.permissions(open_to_all);
    builder.tempfile_in(tmp).map_err(|error| StoreError::write(tmp, error))
}

/// Puts a file that was begun in its place; false if another stays there.
pub(super) fn end(file: NamedTempFile, path: &Path, existing: Existing, lasting: Lasting) -> Result<bool, StoreError> {
    make_folder(path.parent().unwrap_or(path))?;
    put(file, path, existing, lasting).map_err(|error| StoreError::write(path, error))
}

fn put(file: NamedTempFile, path: &Path, existing: Existing, lasting: Lasting) -> io::Result<bool> {
    if lasting == Lasting::Synced {
        file.as_file().sync_all()?;
    }
    match existing {
        Existing::Replace => drop(file.persist(path)?),
        // A link where the filesystem can do no better: whole and without a race on network disks as well.
        Existing::Keep => match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error.error),
        },
    }
    if lasting == Lasting::Synced {
        sync_name(path.parent().unwrap_or(path))?;
    }
    Ok(true)
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|error| StoreError::write(folder, error))
}

/// Makes files last that were written unsynced, by whomever, with their names. Those that are gone are passed over.
pub(super) fn sync(files: &[PathBuf]) -> Result<(), StoreError> {
    for path in files {
        match fs::File::open(path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::write(path, error)),
            _ => {}
        }
    }
    let folders: BTreeSet<&Path> = files.iter().filter_map(|path| path.parent()).collect();
    folders.into_iter().try_for_each(|folder| match sync_name(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::write(folder, error)),
        _ => Ok(()),
    })
}

/// Makes a renaming into a folder last, and the folder, which may be new.
fn sync_name(folder: &Path) -> io::Result<()> {
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// What is in a folder, by name; nothing in one that is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let read = |error| StoreError::read(folder, error);
    let mut found = match fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(read)?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(read(error)),
    };
    found.sort();
    Ok(found)
}

/// The files of a sharded folder that [`sharded`] could have named, by name.
pub(super) fn sharded_files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for shard in entries(folder)?.into_iter().filter(|shard| is_shard(shard)) {
        files.extend(entries(&shard)?.into_iter().filter(|file| is_ours(file, extension)));
    }
    Ok(files)
}

/// True for a folder that [`sharded`] could have named.
pub(super) fn is_shard(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.len() == 2 && is_hex(name) && folder.is_dir()
}

/// True for a file called by a digest.
pub(super) fn is_ours(file: &Path, extension: &str) -> bool {
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    file.extension().is_some_and(|found| found == extension) && name.len() == 64 && is_hex(name) && file.is_file()
}

fn is_hex(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// How long ago a file was written; nothing if the clock went back since.
pub(super) fn age(file: &Path) -> Duration {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
}

/// The time since 1970.
pub(super) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// Now, by the clock that files in `folder` are given their times by; by one's own if nothing can be written there.
pub(super) fn time(folder: &Path) -> SystemTime {
    let probe = tempfile::Builder::new().prefix(TMP_PREFIX).tempfile_in(folder);
    let written = probe.and_then(|probe| probe.as_file().metadata()?.modified());
    written.unwrap_or_else(|_| SystemTime::UNIX_EPOCH + now())
}

/// Bytes of all files in a folder and below.
pub(super) fn folder_size(folder: &Path) -> u64 {
    files_below(folder).iter().filter_map(|file| size(file)).sum()
}

/// All files in a folder and below, as far as they can be listed.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}
