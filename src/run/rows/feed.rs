//! How do the rows of a unit's input come, chunk by chunk?

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use crate::stage::{Part, Parts, StageError, is_row_level};
use crate::store::Store;
use crate::table::{Batches, RowKey, row_ids, row_keys};

/// About how many bytes of a table are read at once: far from what 32-bit offsets reach.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// The row-level parts of an input, read side by side; the others as they are.
pub(super) struct Feed {
    streams: Vec<Stream>,
    beside: Parts,
    /// What rows depend on besides their own content.
    head: Vec<u8>,
    rows: u64,
    most_items: Option<usize>,
}

struct Stream {
    name: String,
    batches: Batches,
    ready: RecordBatch,
}

/// Some rows of the input.
pub(super) struct Chunk<'f> {
    tables: Vec<(&'f str, RecordBatch)>,
    beside: &'f Parts,
    head: &'f [u8],
}

impl Feed {
    /// Opens the parts; each is held against its digest.
    pub(super) fn open(store: &Store, input: &Parts, chunk_rows: usize) -> Result<Self, StageError> {
        let (streams, beside, head) = (Vec::new(), Parts::default(), Vec::new());
        let mut feed = Feed { streams, beside, head, rows: 0, most_items: None };
        for (name, part) in input.iter() {
            let digest =
                part.digest().ok_or_else(|| StageError::failed("a row-wise stage reads stored tables only"))?;
            let batches = store.rows_of(&digest, chunk_rows, CHUNK_BYTES)?;
            let ready = RecordBatch::new_empty(batches.schema().clone());
            if is_row_level(&ready) {
                feed.rows = batches.rows();
                feed.streams.push(Stream { name: name.to_owned(), batches, ready });
            } else {
                feed.head.extend(name.bytes().chain(*digest.as_bytes()));
                feed.beside.insert(name, part.clone());
            }
        }
        match feed.streams.iter().any(|stream| stream.batches.rows() != feed.rows) {
            true => Err(StageError::failed("the tables of an input have not equally many rows")),
            false => Ok(feed),
        }
    }

    /// The same, with at most so many items of lists in a chunk, unless one row alone has more.
    pub(super) fn within(self, most_items: Option<usize>) -> Self {
        Feed { most_items, ..self }
    }

    /// All rows.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The next rows; `None` past the last.
    pub(super) fn next(&mut self) -> Result<Option<Chunk<'_>>, StageError> {
        for stream in self.streams.iter_mut().filter(|stream| stream.ready.num_rows() == 0) {
            if let Some(batch) = stream.batches.next() {
                stream.ready = batch.map_err(StageError::caused)?;
            }
        }
        let fit = |table: &RecordBatch| self.most_items.map_or(usize::MAX, |most| rows_within(table, most));
        let fit = |stream: &Stream| stream.ready.num_rows().min(fit(&stream.ready));
        let rows = self.streams.iter().map(fit).min().unwrap_or(0);
        Ok((rows > 0).then(|| self.chunk(rows)))
    }

    /// No rows: what a stage makes of them says what it would make of any.
    pub(super) fn nothing(&mut self) -> Chunk<'_> {
        self.chunk(0)
    }

    fn chunk(&mut self, rows: usize) -> Chunk<'_> {
        let cut = |stream: &mut Stream| {
            let taken = stream.ready.slice(0, rows);
            stream.ready = stream.ready.slice(rows, stream.ready.num_rows() - rows);
            taken
        };
        let tables = self.streams.iter_mut().map(|stream| {
            let taken = cut(stream);
            (stream.name.as_str(), taken)
        });
        Chunk { tables: tables.collect(), beside: &self.beside, head: &self.head }
    }
}

/// How many of the first rows have at most `most` items in any column of lists; one at least.
fn rows_within(table: &RecordBatch, most: usize) -> usize {
    let lists = table.columns().iter().filter_map(|column| column.as_list_opt::<i32>());
    let fit = lists.map(|lists| {
        let offsets = lists.value_offsets();
        let first = offsets.first().copied().unwrap_or_default();
        offsets.iter().skip(1).take_while(|end| (**end - first) as usize <= most).count()
    });
    fit.min().unwrap_or(usize::MAX).max(1)
}

impl Chunk<'_> {
    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.tables.first().map_or(0, |(_, table)| table.num_rows())
    }

    /// The row ids.
    pub(super) fn ids(&self) -> Result<&arrow::array::StringArray, StageError> {
        let (_, first) = self.tables.first().ok_or_else(|| StageError::failed("an input has no rows"))?;
        row_ids(first).map_err(StageError::caused)
    }

    /// As a stage takes it.
    pub(super) fn parts(&self) -> Parts {
        let mut parts = self.beside.clone();
        for (name, table) in &self.tables {
            parts.insert(*name, Part::memory(table.clone()));
        }
        parts
    }

    /// Some of the rows, as a stage takes them.
    pub(super) fn chosen(&self, rows: &[u32]) -> Result<Parts, StageError> {
        let rows = UInt32Array::from(rows.to_vec());
        let mut parts = self.beside.clone();
        for (name, table) in &self.tables {
            parts.insert(*name, Part::memory(take_record_batch(table, &rows).map_err(StageError::caused)?));
        }
        Ok(parts)
    }

    /// Each row's identity.
    pub(super) fn keys(&self) -> Result<Vec<RowKey>, StageError> {
        let tables: Vec<(&str, &RecordBatch)> = self.tables.iter().map(|(name, table)| (*name, table)).collect();
        row_keys(self.head, &tables).map_err(StageError::caused)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;
    use crate::table::{text, tokens};

    #[test]
    fn a_chunk_has_no_more_items_than_one_row_or_the_bound() {
        let ids = StringArray::from(vec!["a", "b", "c", "d"]);
        let table = tokens::table(&ids, [vec!["x"; 3], vec![], vec!["x"; 2], vec!["x"]]).unwrap();
        let within = |from: usize, most: usize| rows_within(&table.slice(from, 4 - from), most);
        assert_eq!([within(0, 2), within(0, 3), within(0, 5), within(0, 6), within(1, 2)], [1, 2, 3, 4, 2]);
        let plain = text::table(["a"], ["x y"]).unwrap();
        assert_eq!(rows_within(&plain, 1), usize::MAX);
    }
}
