//! How do files get onto the disk whole, or not at all?

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::StoreError;

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

/// Writes a file so that it is there with all its bytes or not at all, even if the machine stops.
pub(super) fn write(tmp: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = begin(tmp)?;
    file.write_all(bytes).map_err(|error| StoreError::write(path, error))?;
    end(file, path, Durable::Synced)
}

/// Whether a file must be there even if the machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// It must.
    Synced,
    /// It need not: it can be made again, and is held against its digest before it is used.
    Unsynced,
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

/// Puts a file that was begun in its place.
pub(super) fn end(file: NamedTempFile, path: &Path, durable: Durable) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    make_folder(folder)?;
    let publish = || -> io::Result<()> {
        if durable == Durable::Unsynced {
            file.persist(path)?;
            return Ok(());
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_folder(folder)
    };
    publish().map_err(|error| StoreError::write(path, error))
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|error| StoreError::write(folder, error))?;
    let above = folder.parent().unwrap_or(folder);
    sync_folder(above).map_err(|error| StoreError::write(above, error))
}

/// Makes a renaming last.
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
