//! Which rows have been mapped before? What a row came to, by a digest of the row's content.
//!
//! A *space* is everything that has been remembered under one set of circumstances: a kind, its version, its parameters, its
//! files. It is a folder of *segments*: Parquet files that are written once, named by the digest of their bytes, and never
//! changed. The first column of a segment, `key`, is the row's key; the others are what the row came to.
//!
//! Several processes may read and write a space at once without any lock. A writer only ever adds a file. A segment that is
//! merged into another is removed after the other is there; who had it open reads on, who finds it gone looks again. A row
//! that stands in two segments is the same bits in both. What is damaged is set aside, and its rows are simply not remembered.

mod memory;
mod segment;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::census::Cleared;
use super::stream::open_verified;
use super::{Store, StoreError, disk};
use crate::table::{Digest, Groups};

pub use memory::{Recall, Remembering, RowMemory};

/// What a checkpoint's folder begins with.
const UNIT: &str = "unit-";

/// Where rows are remembered that were made under the same circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Space {
    /// What for.
    pub kind: SpaceKind,
    /// The digest of the circumstances.
    pub id: Digest,
}

/// What rows are remembered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceKind {
    /// For any unit that may meet them again.
    Memory,
    /// For one unit, so that it can go on where it was stopped; removed once it is done.
    Checkpoint,
}

/// How much is remembered row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RowStats {
    /// Spaces.
    pub spaces: u64,
    /// Files.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A space as it lies in the store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowSpace {
    /// Which.
    pub space: Space,
    /// Its files.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Since it was last read or written.
    pub unused: Duration,
}

/// What a look at all segments found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RowsChecked {
    /// Segments read.
    pub checked: u64,
    /// Those that were damaged; they have been set aside.
    pub damaged: u64,
}

impl Space {
    fn folder_name(&self) -> String {
        match self.kind {
            SpaceKind::Memory => self.id.to_string(),
            SpaceKind::Checkpoint => format!("{UNIT}{}", self.id),
        }
    }

    fn of_folder(folder: &Path) -> Option<Space> {
        let name = folder.file_name()?.to_str()?;
        let (kind, id) = match name.strip_prefix(UNIT) {
            Some(id) => (SpaceKind::Checkpoint, id),
            None => (SpaceKind::Memory, name),
        };
        Some(Space { kind, id: id.parse().ok().filter(|_| folder.is_dir())? })
    }
}

impl Store {
    /// The rows remembered in a space.
    pub fn row_memory(&self, space: Space, recall: Recall) -> Result<RowMemory<'_>, StoreError> {
        RowMemory::open(self, space, recall)
    }

    /// How much is remembered row by row. Segments that cannot be read are passed over.
    pub fn row_memory_stats(&self) -> Result<RowStats, StoreError> {
        let mut stats = RowStats::default();
        for space in self.row_spaces()? {
            stats.spaces += 1;
            stats.segments += space.segments;
            stats.bytes += space.bytes;
            for (path, _) in segments(&self.space_folder(&space.space))? {
                let groups = fs::File::open(path).ok().and_then(|file| Groups::new(file).ok());
                stats.rows += groups.map_or(0, |groups| groups.rows().sum());
            }
        }
        Ok(stats)
    }

    /// All spaces, the one unused for longest first.
    pub fn row_spaces(&self) -> Result<Vec<RowSpace>, StoreError> {
        let mut spaces = Vec::new();
        for folder in disk::entries(&self.rows_folder())? {
            let Some(space) = Space::of_folder(&folder) else { continue };
            let files = segments(&folder)?;
            let bytes = files.iter().map(|(path, _)| disk::size(path).unwrap_or_default()).sum();
            spaces.push(RowSpace { space, segments: files.len() as u64, bytes, unused: disk::age(&folder) });
        }
        spaces.sort_by(|a, b| b.unused.cmp(&a.unused).then(a.space.cmp(&b.space)));
        Ok(spaces)
    }

    /// Forgets the rows of a space. Whoever is reading them has them open and reads on.
    pub fn remove_rows(&self, space: &Space) -> Result<Cleared, StoreError> {
        let folder = self.space_folder(space);
        let mut cleared = Cleared::default();
        for (path, _) in segments(&folder)? {
            let bytes = disk::size(&path).unwrap_or_default();
            if remove(&path)? {
                cleared = Cleared { files: cleared.files + 1, bytes: cleared.bytes + bytes };
            }
        }
        // A folder that is not empty holds something that is not ours, or is being written.
        drop(fs::remove_dir(folder));
        Ok(cleared)
    }

    /// Reads every segment and holds it against its digest; damaged ones are set aside.
    pub fn verify_rows(&self) -> Result<RowsChecked, StoreError> {
        let mut checked = RowsChecked::default();
        for space in self.row_spaces()? {
            for (path, digest) in segments(&self.space_folder(&space.space))? {
                match open_verified(&path, &digest) {
                    Ok(Some(_)) => checked.checked += 1,
                    // merged into another since it was listed
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                        return Err(StoreError::read(&path, error));
                    }
                    Ok(None) | Err(_) => {
                        checked.checked += 1;
                        checked.damaged += 1;
                        self.set_aside(&path)?;
                    }
                }
            }
        }
        Ok(checked)
    }

    /// Forgets all rows.
    pub(super) fn clear_rows(&self) -> Result<Cleared, StoreError> {
        let mut cleared = Cleared::default();
        for space in self.row_spaces()? {
            let removed = self.remove_rows(&space.space)?;
            cleared = Cleared { files: cleared.files + removed.files, bytes: cleared.bytes + removed.bytes };
        }
        Ok(cleared)
    }

    fn rows_folder(&self) -> PathBuf {
        self.root.join("rows")
    }

    pub(super) fn space_folder(&self, space: &Space) -> PathBuf {
        self.rows_folder().join(space.folder_name())
    }
}

/// The segments in a space's folder, by name.
fn segments(folder: &Path) -> Result<Vec<(PathBuf, Digest)>, StoreError> {
    let mut found = Vec::new();
    for path in disk::entries(folder)? {
        let digest = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        found.extend(digest.filter(|_| disk::is_ours(&path, "parquet")).map(|digest| (path, digest)));
    }
    Ok(found)
}

/// Removes a file; false if it was gone already.
fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::remove(path, error)),
    }
}

#[cfg(test)]
mod tests;
