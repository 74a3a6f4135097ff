//! How do rows stream through a row-wise stage? Chunk by chunk from stored tables to stored tables, with bounded memory.
//!
//! Rows of a costly stage are looked up in the row memory first: only what nobody has mapped before is mapped, equal rows
//! once, and what they came to is remembered every few seconds. Rows of another stage are remembered only while a unit takes
//! long, and only until it is done, so that it can go on after a crash. Neither how rows are cut into chunks nor where they
//! came from changes a bit of the artifact, its facts or its warnings.

mod feed;
mod packed;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use serde_json::Value;

use crate::stage::{Conclusion, Ctx, Files, Mapped, Mapper, Parts, Progress, RowWise, StageError, Totals};
use crate::store::{PartEntry, Recall, Remembering, RowMemory, Space, SpaceKind, Store, TableWriter};
use crate::table::{Digest, RowKey};
use feed::{Chunk, Feed};
use packed::{Unpacked, pack, unpack};

/// Rows of a chunk. Of a costly stage more at once: remembered rows may lie anywhere, and each look at all of them pays for
/// more rows.
const CHUNK_ROWS: usize = 8 * 1024;
const COSTLY_CHUNK_ROWS: usize = 32 * 1024;

/// Costly rows are mapped some at a time, so many that it takes about so long.
const BITE: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_secs(4));
const BITE_ROWS: std::ops::RangeInclusive<usize> = 16..=8 * 1024;
const FIRST_BITE: usize = 256;

/// A unit that has taken so long is worth going on with after a crash.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(2);

/// How often remembered rows may turn out damaged within one chunk.
const MOST_REPAIRS: u32 = 16;

/// A row-wise unit.
pub(super) struct Job<'a> {
    pub(super) stage: &'a dyn RowWise,
    pub(super) input: &'a Parts,
    pub(super) files: &'a Files,
    /// Where transformers are computed, by name.
    pub(super) device: &'a str,
    pub(super) store: &'a Store,
    /// What rows depend on besides their content.
    pub(super) circumstances: Digest,
    /// An error if the files are not what their digests say any more.
    pub(super) unchanged: &'a dyn Fn() -> Result<(), StageError>,
    /// The unit itself.
    pub(super) unit: Digest,
    /// Hears what was found damaged; rows that were remembered there are mapped again.
    pub(super) trouble: &'a (dyn Fn(&str) + Sync),
    pub(super) recall: Recall,
    pub(super) pace: Pace,
}

/// In what steps a unit goes; no result depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Rows of a chunk, if not as many as usual.
    pub(super) chunk_rows: Option<usize>,
    /// After how long an ordinary stage is worth a checkpoint.
    pub(super) checkpoint_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { chunk_rows: None, checkpoint_after: CHECKPOINT_AFTER }
    }
}

/// What a unit came to.
pub(super) struct Streamed {
    pub(super) parts: Vec<PartEntry>,
    pub(super) rows: u64,
    pub(super) facts: BTreeMap<String, Value>,
    pub(super) warnings: Vec<String>,
    /// Rows that did not have to be mapped.
    pub(super) remembered: u64,
    /// What is of no more use once the artifact is published.
    pub(super) checkpoint: Option<Space>,
}

/// Runs a row-wise unit.
pub(super) fn stream(job: &Job<'_>, ctx: &Ctx<'_>) -> Result<Streamed, StageError> {
    let costly = job.stage.costly();
    let usual = if costly { COSTLY_CHUNK_ROWS } else { CHUNK_ROWS };
    let feed = Feed::open(job.store, job.input, job.pace.chunk_rows.unwrap_or(usual))?;
    let mut feed = feed.within(job.stage.most_items());
    let checkpoint = Space { kind: SpaceKind::Checkpoint, id: job.unit };
    let space = if costly { Space { kind: SpaceKind::Memory, id: job.circumstances } } else { checkpoint };
    let mut work = Work {
        job,
        mapper: None,
        memory: job.store.row_memory(space, job.recall)?,
        tables: Vec::new(),
        totals: Totals::default(),
        remembered: 0,
        all: feed.rows(),
        bite: FIRST_BITE,
        started: Instant::now(),
    };
    let done = work.run(&mut feed, costly, ctx);
    if costly || done.is_err() {
        // Also what an interrupted or failed unit has done is kept.
        let kept = work.memory.flush();
        done?;
        kept?;
    }
    work.tell();
    let Conclusion { facts, warnings } = job.stage.conclude(&work.totals);
    let mut parts = Vec::new();
    for (name, table) in work.tables {
        let blob = job.store.keep_table(table)?;
        parts.push(PartEntry { name, digest: blob.digest, rows: blob.rows, bytes: blob.bytes });
    }
    Ok(Streamed {
        parts,
        rows: work.totals.rows,
        facts,
        warnings,
        remembered: work.remembered,
        checkpoint: Some(checkpoint),
    })
}

/// A unit under way.
struct Work<'a> {
    job: &'a Job<'a>,
    mapper: Option<Box<dyn Mapper + 'a>>,
    memory: RowMemory<'a>,
    tables: Vec<(String, TableWriter)>,
    totals: Totals,
    remembered: u64,
    all: u64,
    bite: usize,
    started: Instant,
}

impl Work<'_> {
    fn run(&mut self, feed: &mut Feed, costly: bool, ctx: &Ctx<'_>) -> Result<(), StageError> {
        self.tell();
        while let Some(chunk) = feed.next()? {
            ctx.check()?;
            if costly {
                self.recall(&chunk, ctx)?
            } else {
                self.pass(&chunk, ctx)?
            }
            ctx.progress.progress(self.totals.rows, self.all, "rows");
        }
        if self.tables.is_empty() {
            let nothing = self.map(&feed.nothing().parts(), 0, 0, ctx)?;
            self.write(Unpacked::fresh(nothing), 0)?;
        }
        Ok(())
    }

    /// Maps a chunk, unless an earlier run of this very unit came so far.
    fn pass(&mut self, chunk: &Chunk<'_>, ctx: &Ctx<'_>) -> Result<(), StageError> {
        let rows = chunk.rows();
        // Within a unit a row is known by its place.
        let first = u128::from(self.totals.rows);
        let keys: Vec<RowKey> = (first..first + rows as u128).map(u128::to_be_bytes).collect();
        if keys.iter().all(|key| self.memory.find(key) == Some(Remembering::Before))
            && let Some(packed) = self.memory.fetch(&keys)?
        {
            self.remembered += rows as u64;
            return self.write(unpack(&packed, chunk.ids()?)?, rows);
        }
        self.tell();
        let mapped = self.map(&chunk.parts(), self.totals.rows, rows, ctx)?;
        if self.started.elapsed() >= self.job.pace.checkpoint_after {
            self.memory.add(&keys, pack(&mapped, rows)?)?;
        }
        self.write(Unpacked::fresh(mapped), rows)
    }

    /// Maps those rows of a chunk that nobody has mapped before.
    fn recall(&mut self, chunk: &Chunk<'_>, ctx: &Ctx<'_>) -> Result<(), StageError> {
        self.memory.refresh()?;
        let keys = chunk.keys()?;
        let before = keys.iter().filter(|key| self.memory.find(key) == Some(Remembering::Before)).count();
        for _ in 0..MOST_REPAIRS {
            self.map_unknown(chunk, &keys, ctx)?;
            if let Some(packed) = self.memory.fetch(&keys)? {
                self.remembered += before as u64;
                return self.write(unpack(&packed, chunk.ids()?)?, keys.len());
            }
            self.tell();
        }
        Err(StageError::failed("remembered rows were damaged again and again")
            .help("`fuseline cache verify` finds them"))
    }

    fn map_unknown(&mut self, chunk: &Chunk<'_>, keys: &[RowKey], ctx: &Ctx<'_>) -> Result<(), StageError> {
        let mut seen: FxHashSet<&RowKey> = FxHashSet::default();
        let unknown: Vec<u32> = (0u32..)
            .zip(keys)
            .filter(|(_, key)| self.memory.find(key).is_none() && seen.insert(key))
            .map(|(row, _)| row)
            .collect();
        let mut done = (keys.len() - unknown.len()) as u64;
        let mut left = unknown.as_slice();
        while !left.is_empty() {
            ctx.check()?;
            let (rows, rest) = left.split_at(self.bite.min(left.len()));
            left = rest;
            let started = Instant::now();
            let mapped = self.map(&chunk.chosen(rows)?, self.totals.rows + done, rows.len(), ctx)?;
            let keys: Vec<RowKey> = rows.iter().filter_map(|&row| keys.get(row as usize)).copied().collect();
            self.memory.add(&keys, pack(&mapped, rows.len())?)?;
            done += rows.len() as u64;
            self.pace(started.elapsed());
        }
        Ok(())
    }

    /// More rows at once if they were done soon, fewer if they took long.
    fn pace(&mut self, took: Duration) {
        let (soon, late) = BITE;
        let bite = match () {
            () if took < soon => self.bite * 2,
            () if took > late => self.bite / 2,
            () => self.bite,
        };
        self.bite = bite.clamp(*BITE_ROWS.start(), *BITE_ROWS.end());
    }

    /// Maps rows, of which `base` come before them in the unit.
    fn map(&mut self, parts: &Parts, base: u64, rows: usize, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let mapper = match self.mapper.take() {
            Some(mapper) => mapper,
            None => {
                let mapper = self.job.stage.open(self.job.files, self.job.device)?;
                // What other bytes would give must not be remembered under the digests of these.
                (self.job.unchanged)()?;
                mapper
            }
        };
        let within = Within { outer: ctx.progress, base, share: rows as u64, all: self.all };
        let mapped = mapper.map(parts, &Ctx { seed: ctx.seed, cancelled: ctx.cancelled, progress: &within })?;
        self.mapper = Some(mapper);
        let fits = mapped.tables.iter().all(|(_, table)| table.num_rows() == rows)
            && mapped.counts.iter().all(|(_, of_rows)| of_rows.len() == rows);
        match fits {
            true => Ok(mapped),
            false => Err(StageError::failed("a row-wise stage dropped or made rows").help("this is a bug in Fuseline")),
        }
    }

    fn write(&mut self, made: Unpacked, rows: usize) -> Result<(), StageError> {
        self.totals.rows += rows as u64;
        made.counts.iter().for_each(|(name, of_rows)| self.totals.add(name, of_rows));
        if self.tables.is_empty() {
            for (name, table) in &made.tables {
                self.tables.push((name.clone(), self.job.store.begin_table(&table.schema())?));
            }
        }
        for ((name, table), (begun, writer)) in made.tables.iter().zip(&mut self.tables) {
            if name != begun {
                return Err(StageError::failed("a row-wise stage made other tables of some rows than of others"));
            }
            writer.write(table)?;
        }
        Ok(())
    }

    fn tell(&mut self) {
        self.memory.troubles().iter().for_each(|what| (self.job.trouble)(what));
    }
}

/// How far a unit has come while some of its rows are being mapped.
struct Within<'a> {
    outer: &'a dyn Progress,
    base: u64,
    share: u64,
    all: u64,
}

impl Progress for Within<'_> {
    fn progress(&self, done: u64, total: u64, _: &'static str) {
        let part = if total == 0 { 0 } else { (u128::from(self.share) * u128::from(done) / u128::from(total)) as u64 };
        self.outer.progress(self.base + part.min(self.share), self.all, "rows");
    }

    fn worked(&self, more: &[(u64, &'static str)]) {
        self.outer.worked(more);
    }
}

#[cfg(test)]
mod tests;
