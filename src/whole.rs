//! How is a file for people written whole or not at all? Beside its place first, then moved there.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// A new file beside the place where it will be, readable for all; it goes again unless it is moved there. The folder must be there.
pub(crate) fn beside(path: &Path) -> io::Result<NamedTempFile> {
    within(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// The same, in a folder.
pub(crate) fn within(folder: &Path) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix(".fuseline-").tempfile_in(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

/// Puts a file in its place; its folder must be there. What was there before stays until then. A link stays one: what it leads
/// to is written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let linked = fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    let target = if linked { path.canonicalize().ok() } else { None };
    let path = target.as_deref().unwrap_or(path);
    let mut file = beside(path)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// The same, with its folder made if it is not there.
pub(crate) fn write_with_folder(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    write(path, bytes)
}
