//! How does a table get into the store, and out of it, without ever being whole in memory?

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tempfile::NamedTempFile;

use super::disk::{self, Existing, Lasting};
use super::{Blob, Store, StoreError, short};
use crate::table::{Batches, Digest, Packing, ParquetWriter, TableError};

impl Store {
    /// The rows of a stored table, at most `most` and about `bytes` bytes at a time. The whole file is held against its
    /// digest first.
    pub fn rows_of(&self, digest: &Digest, most: usize, bytes: usize) -> Result<Batches, StoreError> {
        let path = self.blob_path(digest);
        let damaged = |why: &str| {
            self.set_aside(&path)?;
            Err(StoreError::Damaged { what: format!("the stored table {} {why}", short(digest)) })
        };
        match open_verified(&path, digest) {
            Ok(Some(file)) => Ok(Batches::new(file, most, bytes)?),
            Ok(None) => damaged("is damaged"),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(StoreError::Damaged { what: format!("the stored table {} is gone", short(digest)) })
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(StoreError::read(&path, error)),
            Err(error) => damaged(&format!("cannot be read ({error})")),
        }
    }

    /// Begins a table whose rows come bit by bit. Its bytes, and so its digest, are those of [`Store::put_table`].
    pub fn begin_table(&self, schema: &SchemaRef) -> Result<TableWriter, StoreError> {
        TableWriter::begin(&self.root.join("tmp"), schema, Packing::default())
    }

    /// Keeps a table that was begun here.
    pub fn keep_table(&self, table: TableWriter) -> Result<Blob, StoreError> {
        let written = table.end()?;
        let path = self.blob_path(&written.blob.digest);
        if !disk::is_there(&path, written.blob.bytes) {
            disk::end(written.file, &path, Existing::Replace, Lasting::Passing)?;
        }
        Ok(written.blob)
    }
}

/// A table that is being written into the store's `tmp`; dropped unfinished, it leaves nothing.
pub struct TableWriter {
    writer: ParquetWriter<Hashing>,
    path: PathBuf,
    failure: Arc<OnceLock<io::Error>>,
}

/// A table that has been written, but has no place yet.
pub(super) struct Written {
    pub(super) file: NamedTempFile,
    pub(super) blob: Blob,
}

impl TableWriter {
    pub(super) fn begin(tmp: &Path, schema: &SchemaRef, packing: Packing) -> Result<Self, StoreError> {
        let failure = Arc::new(OnceLock::new());
        let (file, hasher) = (disk::begin(tmp)?, blake3::Hasher::new());
        let path = file.path().to_owned();
        let out = Hashing { file, hasher, bytes: 0, failure: Arc::clone(&failure) };
        Ok(TableWriter { writer: ParquetWriter::new(out, schema, packing)?, path, failure })
    }

    /// Adds rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        self.writer.write(rows).map_err(|error| failed(&self.failure, &self.path, error))
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.writer.rows()
    }

    pub(super) fn end(self) -> Result<Written, StoreError> {
        let TableWriter { writer, path, failure } = self;
        let rows = writer.rows();
        let out = writer.finish().map_err(|error| failed(&failure, &path, error))?;
        let digest = Digest::new(*out.hasher.finalize().as_bytes());
        Ok(Written { file: out.file, blob: Blob { digest, rows, bytes: out.bytes } })
    }
}

/// What the system said, if it said anything; the Parquet writer makes a text of it.
fn failed(failure: &OnceLock<io::Error>, path: &Path, error: TableError) -> StoreError {
    match failure.get() {
        Some(said) => {
            let again = said.raw_os_error().map_or_else(|| said.kind().into(), io::Error::from_raw_os_error);
            StoreError::write(path, again)
        }
        None => error.into(),
    }
}

/// The file at `path`, opened, if its bytes have this digest.
pub(super) fn open_verified(path: &Path, digest: &Digest) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file)?;
    Ok((Digest::new(*hasher.finalize().as_bytes()) == *digest).then_some(file))
}

/// A file in `tmp` that knows the digest of its bytes.
struct Hashing {
    file: NamedTempFile,
    hasher: blake3::Hasher,
    bytes: u64,
    failure: Arc<OnceLock<io::Error>>,
}

impl Hashing {
    fn noted<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let kind = error.kind();
            // The first one is told.
            drop(self.failure.set(error));
            kind.into()
        })
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.file.write(bytes);
        let written = self.noted(done)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.file.flush();
        self.noted(done)
    }
}
