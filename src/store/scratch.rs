//! How can work be done again without touching what is there? In a store beside it, which is lent what need not be done.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::disk;
use super::{Manifest, Store, StoreError};

/// How the folders of stores beside a store begin.
const PREFIX: &str = "scratch-";

/// After how long one cannot belong to a living process.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A store for a while: it goes when dropped.
pub struct Scratch {
    /// The store.
    pub store: Arc<Store>,
    folder: TempDir,
}

impl Scratch {
    /// Lends it an artifact of `from`: its record is copied, and its tables are shared where the filesystem can.
    pub fn lend(&self, from: &Store, manifest: &Manifest) -> Result<(), StoreError> {
        for part in &manifest.parts {
            let to = self.store.blob_path(&part.digest);
            let lent = to.exists() || lend(&from.blob_path(&part.digest), &to).is_ok();
            if !lent {
                return Err(StoreError::Damaged { what: format!("the stored table {} is gone", part.digest) });
            }
        }
        self.store.publish(manifest, &from.fields(&manifest.key).unwrap_or_default()).map(drop)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Store {
    /// A store beside this one, on the same filesystem, that has nothing yet.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let tmp = self.folder().join("tmp");
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&tmp);
        let folder = folder.map_err(|error| StoreError::write(&tmp, error))?;
        Ok(Scratch { store: Arc::new(Store::open(folder.path())?), folder })
    }

    /// Removes the stores that dead processes left beside this one, as far as that is possible.
    pub(super) fn sweep_scratch(&self) {
        for folder in disk::entries(&self.folder().join("tmp")).unwrap_or_default() {
            if is_scratch(&folder) && disk::age(&folder) > STALE {
                drop(fs::remove_dir_all(folder));
            }
        }
    }
}

fn is_scratch(folder: &Path) -> bool {
    folder.is_dir() && folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

fn lend(from: &Path, to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

#[cfg(test)]
mod tests {
    use super::super::Lookup;
    use super::super::tests::{artifact, fields, key, opened, published, table};
    use super::*;

    #[test]
    fn what_is_done_beside_a_store_does_not_touch_it() {
        let (_folder, store) = opened();
        let lent = published(&store, key(1), "clean", &table(&["a"]));
        let scratch = store.scratch().unwrap();
        scratch.lend(&store, &lent).unwrap();
        assert_eq!(scratch.store.lookup(&key(1)), Lookup::Hit(lent.clone()));
        assert_eq!(*scratch.store.load(&lent.parts[0].digest).unwrap(), table(&["a"]));
        let made = artifact(&scratch.store, key(2), "clean", &table(&["b"]));
        scratch.store.publish(&made, &fields()).unwrap();
        assert_eq!(store.lookup(&key(2)), Lookup::Absent);
        let folder = scratch.folder().to_owned();
        drop(scratch);
        assert!(!folder.exists() && store.blob_path(&lent.parts[0].digest).exists());
        // One that a dead process left goes after a day.
        for (name, gone) in [("scratch-old", true), ("other-old", false)] {
            let left = store.folder().join("tmp").join(name);
            fs::create_dir(&left).unwrap();
            fs::File::open(&left).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            store.sweep_scratch();
            assert_eq!(left.exists(), !gone, "{name}");
        }
    }
}
