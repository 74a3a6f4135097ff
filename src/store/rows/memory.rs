//! How are rows found, fetched and added, and how do the segments of a space stay few?

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use rustc_hash::{FxHashMap, FxHashSet};

use super::segment::{Segment, SegmentWriter};
use super::{Space, SpaceKind, remove, segments};
use crate::store::disk::{self, Existing, Lasting};
use crate::store::stream::{Written, open_verified};
use crate::store::{Store, StoreError, short};
use crate::table::{Digest, RowKey, TableError};

/// More segments than this, and the smallest are merged into one.
const MOST_SEGMENTS: usize = 8;

/// How many bytes of decoded rows are kept at hand.
const DECODED_BYTES: usize = 192 * 1024 * 1024;

/// Rows that have waited so long, or are so many bytes, are written.
const FLUSH_AFTER: Duration = Duration::from_secs(4);
const FLUSH_BYTES: usize = 32 * 1024 * 1024;

/// How soon other writers' segments are noticed.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// How often a listing is begun again when a segment goes while it is read.
const MOST_LOOKS: usize = 5;

/// Where a row is.
#[derive(Debug, Clone, Copy)]
struct Place {
    source: u32,
    row: u32,
    /// True if the row was added here, wherever it is now.
    here: bool,
}

/// Where rows come from.
enum Source {
    /// A file.
    Segment(Box<Segment>),
    /// Rows that are not written yet, with their keys.
    Held { keys: Vec<RowKey>, rows: RecordBatch },
    /// A segment that was merged into another, or rows that were written.
    Gone,
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembering {
    /// It was remembered by somebody else, or before.
    Before,
    /// It was added here.
    Here,
}

/// The rows remembered in one space, for one unit.
pub struct RowMemory<'s> {
    store: &'s Store,
    space: Space,
    sources: Vec<Source>,
    index: FxHashMap<RowKey, Place>,
    known: BTreeSet<Digest>,
    schema: Option<SchemaRef>,
    decoded: Vec<Decoded>,
    turn: u64,
    held_bytes: usize,
    held_since: Instant,
    looked: Instant,
    troubles: Vec<String>,
    recall: Recall,
}

/// Whether what was remembered before is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recall {
    /// It is.
    #[default]
    All,
    /// It is not: every row is to be mapped again. What is added is remembered all the same.
    Nothing,
}

/// A group of a segment's rows.
struct Decoded {
    of: (u32, usize),
    rows: Arc<RecordBatch>,
    bytes: usize,
    used: u64,
}

impl<'s> RowMemory<'s> {
    pub(super) fn open(store: &'s Store, space: Space, recall: Recall) -> Result<Self, StoreError> {
        let now = Instant::now();
        let mut memory = RowMemory {
            store,
            space,
            sources: Vec::new(),
            index: FxHashMap::default(),
            known: BTreeSet::new(),
            schema: None,
            decoded: Vec::new(),
            turn: 0,
            held_bytes: 0,
            held_since: now,
            looked: now,
            troubles: Vec::new(),
            recall,
        };
        memory.look()?;
        memory.touch();
        Ok(memory)
    }

    /// What is known of the row with this key.
    pub fn find(&self, key: &RowKey) -> Option<Remembering> {
        self.index.get(key).map(|place| if place.here { Remembering::Here } else { Remembering::Before })
    }

    /// True if no row is remembered.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The rows with these keys, in this order. `None` if one of them is not, or no longer, there: then ask again what is.
    pub fn fetch(&mut self, keys: &[RowKey]) -> Result<Option<RecordBatch>, StoreError> {
        let Some(schema) = self.schema.clone() else { return Ok(None) };
        let mut wanted: Vec<(u32, usize, u32, usize)> = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let Some(place) = self.index.get(key) else { return Ok(None) };
            let (group, row) = match self.sources.get(place.source as usize) {
                Some(Source::Segment(segment)) => segment.place(place.row),
                _ => (0, place.row),
            };
            wanted.push((place.source, group, row, at));
        }
        wanted.sort_unstable();
        let mut pieces: Vec<RecordBatch> = Vec::new();
        let mut order = vec![(0, 0); keys.len()];
        let mut groups: Vec<&[(u32, usize, u32, usize)]> = wanted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        // There and back, so that what was read last is found again, however little is kept at hand.
        self.turn += 1;
        if self.turn.is_multiple_of(2) {
            groups.reverse();
        }
        for group in groups {
            let Some(&(source, index, ..)) = group.first() else { continue };
            let Some(rows) = self.group(source, index)? else { return Ok(None) };
            let chosen: UInt32Array = group.iter().map(|(_, _, row, _)| *row).collect();
            for (row, (.., at)) in group.iter().enumerate() {
                order[*at] = (pieces.len(), row);
            }
            pieces.push(take_record_batch(&rows, &chosen).map_err(TableError::from)?);
        }
        if pieces.is_empty() {
            return Ok(Some(RecordBatch::new_empty(schema)));
        }
        let pieces: Vec<&RecordBatch> = pieces.iter().collect();
        Ok(Some(interleave_record_batch(&pieces, &order).map_err(TableError::from)?))
    }

    /// Remembers rows; they are written once they have waited for a while, or with [`RowMemory::flush`].
    pub fn add(&mut self, keys: &[RowKey], rows: RecordBatch) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        if self.schema.as_ref().is_some_and(|schema| *schema != rows.schema()) {
            // Somebody's rows look otherwise: they are of no use here.
            self.forget_all();
        }
        self.schema = Some(rows.schema());
        if self.held_bytes == 0 {
            self.held_since = Instant::now();
        }
        self.held_bytes += rows.get_array_memory_size().max(1);
        let source = self.sources.len() as u32;
        self.index.extend(keys.iter().zip(0..).map(|(key, row)| (*key, Place { source, row, here: true })));
        self.sources.push(Source::Held { keys: keys.to_vec(), rows });
        if self.held_since.elapsed() >= FLUSH_AFTER || self.held_bytes >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is not written yet.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        let Some(schema) = self.schema.clone() else { return Ok(()) };
        let mut writer = SegmentWriter::begin(&self.store.root.join("tmp"), &schema, self.space.kind)?;
        for source in &self.sources {
            if let Source::Held { keys, rows } = source {
                writer.write(keys, rows)?;
            }
        }
        let segment = self.place(writer.end()?)?;
        self.held_bytes = 0;
        for source in self.sources.iter_mut().filter(|source| matches!(source, Source::Held { .. })) {
            *source = Source::Gone;
        }
        self.admit(segment)?;
        // Who recalls nothing knows only what it added itself.
        if (self.space.kind, self.recall) == (SpaceKind::Memory, Recall::All) { self.merge() } else { Ok(()) }
    }

    /// Notices what others have added, if the last look was some time ago.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        if self.looked.elapsed() < LOOK_AFTER { Ok(()) } else { self.look() }
    }

    /// What was found damaged since this was last asked.
    pub fn troubles(&mut self) -> Vec<String> {
        std::mem::take(&mut self.troubles)
    }

    /// Reads what segments there are, as far as they are not known.
    pub(super) fn look(&mut self) -> Result<(), StoreError> {
        if self.recall == Recall::Nothing {
            return Ok(());
        }
        for _ in 0..MOST_LOOKS {
            let mut gone = false;
            for (path, digest) in segments(&self.store.space_folder(&self.space))? {
                if self.known.contains(&digest) {
                    continue;
                }
                match open_verified(&path, &digest) {
                    Ok(Some(file)) => {
                        if let Err(error) = self.open_segment(file, digest) {
                            self.set_aside(digest, &error.to_string())?;
                        }
                    }
                    Ok(None) => self.set_aside(digest, "its bytes are others than were written")?,
                    // merged into another since it was listed
                    Err(error) if error.kind() == ErrorKind::NotFound => gone = true,
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                        return Err(StoreError::read(&path, error));
                    }
                    Err(error) => self.set_aside(digest, &error.to_string())?,
                }
            }
            if !gone {
                break;
            }
        }
        self.looked = Instant::now();
        Ok(())
    }

    fn open_segment(&mut self, file: File, digest: Digest) -> Result<(), StoreError> {
        let segment = Segment::open(file, digest)?;
        self.admit(segment)
    }

    /// Takes a segment in. One whose rows look otherwise than those already there is left where it is, and alone.
    fn admit(&mut self, segment: Segment) -> Result<(), StoreError> {
        self.known.insert(segment.digest);
        if self.schema.get_or_insert_with(|| Arc::clone(segment.payload())) != segment.payload() {
            return Ok(());
        }
        let source = self.sources.len() as u32;
        let keys = segment.keys()?;
        self.index.reserve(keys.len());
        for (key, row) in keys.into_iter().zip(0..) {
            let place = self.index.entry(key).or_insert(Place { source, row, here: false });
            (place.source, place.row) = (source, row);
        }
        self.sources.push(Source::Segment(Box::new(segment)));
        Ok(())
    }

    /// Gives a written segment its name.
    fn place(&self, written: Written) -> Result<Segment, StoreError> {
        let Written { file, blob } = written;
        let opened = file.as_file().try_clone().map_err(|error| StoreError::read(file.path(), error))?;
        let path = self.segment_path(&blob.digest);
        let durable = match self.space.kind {
            SpaceKind::Memory => Lasting::Synced,
            SpaceKind::Checkpoint => Lasting::Passing,
        };
        disk::end(file, &path, Existing::Replace, durable)?;
        Ok(Segment::open(opened, blob.digest)?)
    }

    /// Merges the smallest segments into one, if there are many. Each row is so written again only a few times, however
    /// many there come to be.
    fn merge(&mut self) -> Result<(), StoreError> {
        self.look()?;
        let there: BTreeSet<Digest> =
            segments(&self.store.space_folder(&self.space))?.into_iter().map(|(_, digest)| digest).collect();
        let mut files: Vec<(u64, Digest, u32)> = Vec::new();
        for (at, source) in self.sources.iter().enumerate() {
            if let Source::Segment(segment) = source
                && there.contains(&segment.digest)
            {
                files.push((segment.bytes, segment.digest, at as u32));
            }
        }
        if files.len() <= MOST_SEGMENTS {
            return Ok(());
        }
        files.sort_unstable();
        files.truncate(MOST_SEGMENTS);
        files.sort_unstable_by_key(|(_, digest, _)| *digest);
        let Some(schema) = self.schema.clone() else { return Ok(()) };
        let mut writer = SegmentWriter::begin(&self.store.root.join("tmp"), &schema, self.space.kind)?;
        for (source, keys, rows) in self.unique(&files)? {
            let Some(all) = self.read(source, rows.0)? else { return Ok(()) };
            writer.write(&keys, &take_record_batch(&all, &rows.1).map_err(TableError::from)?)?;
        }
        let merged = self.place(writer.end()?)?;
        for (_, digest, source) in files {
            if digest != merged.digest {
                remove(&self.segment_path(&digest))?;
            }
            // All its rows are in the other now, to which `admit` points.
            if let Some(place) = self.sources.get_mut(source as usize) {
                *place = Source::Gone;
            }
            self.decoded.retain(|decoded| decoded.of.0 != source);
        }
        self.admit(merged)
    }

    /// The rows of some segments, each key once, group by group.
    fn unique(&self, files: &[(u64, Digest, u32)]) -> Result<Vec<Unique>, StoreError> {
        let mut seen: FxHashSet<RowKey> = FxHashSet::default();
        let mut all = Vec::new();
        for &(_, _, source) in files {
            let Some(Source::Segment(segment)) = self.sources.get(source as usize) else { continue };
            let mut groups: Vec<(Vec<RowKey>, Vec<u32>)> = vec![Default::default(); segment.len()];
            for (key, row) in segment.keys()?.into_iter().zip(0..) {
                let (group, at) = segment.place(row);
                if let Some((keys, rows)) = groups.get_mut(group)
                    && seen.insert(key)
                {
                    keys.push(key);
                    rows.push(at);
                }
            }
            let groups = groups.into_iter().enumerate().filter(|(_, (keys, _))| !keys.is_empty());
            all.extend(groups.map(|(group, (keys, rows))| (source, keys, (group, UInt32Array::from(rows)))));
        }
        Ok(all)
    }

    /// A group of rows: at hand, or decoded now.
    fn group(&mut self, source: u32, index: usize) -> Result<Option<Arc<RecordBatch>>, StoreError> {
        let turn = self.turn;
        if let Some(found) = self.decoded.iter_mut().find(|decoded| decoded.of == (source, index)) {
            found.used = turn;
            return Ok(Some(Arc::clone(&found.rows)));
        }
        let Some(rows) = self.read(source, index)? else { return Ok(None) };
        if matches!(self.sources.get(source as usize), Some(Source::Held { .. })) {
            return Ok(Some(rows));
        }
        let bytes = rows.get_array_memory_size();
        self.decoded.push(Decoded { of: (source, index), rows: Arc::clone(&rows), bytes, used: turn });
        while self.decoded.iter().map(|decoded| decoded.bytes).sum::<usize>() > DECODED_BYTES {
            let oldest = self.decoded.iter().enumerate().min_by_key(|(_, decoded)| decoded.used).map(|(at, _)| at);
            oldest.map(|at| self.decoded.swap_remove(at));
        }
        Ok(Some(rows))
    }

    /// Decodes a group of rows; `None` if it cannot be read, after which its source is gone.
    fn read(&mut self, source: u32, index: usize) -> Result<Option<Arc<RecordBatch>>, StoreError> {
        let (digest, error) = match self.sources.get(source as usize) {
            Some(Source::Held { rows, .. }) => return Ok(Some(Arc::new(rows.clone()))),
            Some(Source::Segment(segment)) => match segment.group(index) {
                Ok(rows) => return Ok(Some(Arc::new(rows))),
                Err(error) => (segment.digest, error),
            },
            _ => return Ok(None),
        };
        self.drop_source(source);
        self.set_aside(digest, &error.to_string())?;
        Ok(None)
    }

    fn drop_source(&mut self, source: u32) {
        if let Some(place) = self.sources.get_mut(source as usize) {
            *place = Source::Gone;
        }
        self.index.retain(|_, place| place.source != source);
        self.decoded.retain(|decoded| decoded.of.0 != source);
    }

    fn forget_all(&mut self) {
        self.sources.iter_mut().for_each(|source| *source = Source::Gone);
        self.index.clear();
        self.decoded.clear();
        self.held_bytes = 0;
    }

    fn set_aside(&mut self, digest: Digest, why: &str) -> Result<(), StoreError> {
        self.known.insert(digest);
        self.troubles.push(format!("the remembered rows {} are damaged ({why})", short(&digest)));
        self.store.set_aside(&self.segment_path(&digest))
    }

    fn segment_path(&self, digest: &Digest) -> std::path::PathBuf {
        self.store.space_folder(&self.space).join(format!("{digest}.parquet"))
    }

    /// Says that the space is in use, as far as that is possible.
    fn touch(&self) {
        #[expect(clippy::disallowed_methods, reason = "when a space was last used decides no result")]
        let now = SystemTime::now();
        let folder = File::open(self.store.space_folder(&self.space));
        drop(folder.and_then(|folder| folder.set_modified(now)));
    }
}

/// Rows of a group that stand nowhere before: source, their keys, and the group with their places in it.
type Unique = (u32, Vec<RowKey>, (usize, UInt32Array));
