//! When are new files safe even if the machine stops? At the end of a run, all of them at once.
//!
//! A process that dies loses nothing that it has written; only a machine that stops does. Whoever reads a file sees whether it
//! is whole, so what such a machine loses is missing afterwards, never wrong, and no file must be synced before another.
//! Syncing each file by itself would cost more than computing it: hundreds of small files wait for one journal.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Files that wait at once: those that the same commit of the disk's journal can take.
const AT_ONCE: usize = 16;

/// New files that may still be in the machine's memory alone.
#[derive(Debug, Default)]
pub(super) struct Unsettled(Mutex<BTreeSet<PathBuf>>);

impl Unsettled {
    /// Notes a new file.
    pub(super) fn add(&self, file: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
    }

    /// Brings all of them, and their names, onto the disk, as far as they are still there.
    pub(super) fn settle(&self) {
        let files = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // A folder's own name is in the one above it.
        let folders: BTreeSet<PathBuf> =
            files.iter().flat_map(|file| file.ancestors().skip(1).take(2)).map(PathBuf::from).collect();
        for paths in [files, folders] {
            let left = Mutex::new(paths.into_iter());
            let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
            std::thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        while let Some(path) = next() {
                            // A file that has gone or cannot be opened needs no sync; a disk that fails shows when it is read.
                            drop(fs::File::open(path).and_then(|file| file.sync_all()));
                        }
                    });
                }
            });
        }
    }
}
