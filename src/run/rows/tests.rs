//! Do rows come to the same bits, whichever way they came?

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{Array, StringArray};
use proptest::prelude::*;
use rayon::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ml::{Block, Dense};
use crate::stage::{Load, Part, Port, Refusal, Stage};
use crate::table::{features, text};

/// Gives each text a vector, as dear as the real one says it is.
struct Fake {
    costly: bool,
    width: usize,
    /// How many rows it has mapped, and where it gives up, if anywhere.
    mapped: AtomicU64,
    opened: AtomicU64,
    fails_at: Option<u64>,
    /// How it gives up.
    ends: fn() -> StageError,
}

impl Fake {
    fn new(costly: bool) -> Self {
        let (mapped, opened) = (AtomicU64::new(0), AtomicU64::new(0));
        Fake { costly, width: 3, mapped, opened, fails_at: None, ends: || StageError::Interrupted }
    }

    fn mapped(&self) -> u64 {
        self.mapped.load(Ordering::Relaxed)
    }
}

impl Stage for Fake {
    fn port(&self, _: &[Port]) -> Result<Port, Refusal> {
        Ok(Port::Rows)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text"]
    }
}

impl RowWise for Fake {
    fn open(&self, _: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        let letters = totals.of("letters");
        let conclusion = Conclusion::default().fact("rows", totals.rows).fact("letters", letters.sum);
        conclusion.warn(format!("{} rows have letters", letters.rows))
    }

    fn costly(&self) -> bool {
        self.costly
    }
}

impl Mapper for &Fake {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let table = rows.table("text")?;
        let texts: Vec<&str> = text::texts(&table).unwrap().iter().flatten().collect();
        let done = self.mapped.fetch_add(texts.len() as u64, Ordering::Relaxed) + texts.len() as u64;
        if self.fails_at.is_some_and(|at| done > at) {
            return Err((self.ends)());
        }
        ctx.progress.progress(texts.len() as u64, texts.len() as u64, "texts");
        let vector = |text: &&str| {
            let digest = blake3::hash(text.as_bytes());
            (0..self.width).map(|at| f32::from(digest.as_bytes()[at % 32]) - 0.5).collect::<Vec<f32>>()
        };
        let values = texts.par_iter().flat_map_iter(vector).collect();
        let block = Block::Dense(Dense { rows: texts.len(), cols: self.width, values });
        let block = features::to_table(text::row_ids(&table).unwrap(), "fake", &block).unwrap();
        let letters = texts.iter().map(|text| text.chars().filter(|c| c.is_alphabetic()).count() as u64).collect();
        Ok(Mapped::table("block.00", block).count("letters", letters))
    }
}

/// A store with what a unit needs.
struct Bench {
    _folder: TempDir,
    store: Arc<Store>,
    troubles: Mutex<Vec<String>>,
    heard: Heard,
    recall: Recall,
}

#[derive(Default)]
struct Heard(Mutex<Vec<(u64, u64)>>);

impl Progress for Heard {
    fn progress(&self, done: u64, total: u64, _: &'static str) {
        self.0.lock().unwrap().push((done, total));
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        Bench { _folder: folder, store, troubles: Mutex::default(), heard: Heard::default(), recall: Recall::All }
    }

    fn input(&self, texts: &[String]) -> (Digest, Parts) {
        let ids: Vec<String> = (0..texts.len()).map(|row| format!("r{row}")).collect();
        let digest = self.store.put_table(&text::table(&ids, texts).unwrap()).unwrap().digest;
        let mut parts = Parts::default();
        parts.insert("text", Part::stored(digest, Arc::clone(&self.store) as Arc<dyn Load>));
        (digest, parts)
    }

    fn run(&self, stage: &Fake, texts: &[String], pace: Pace) -> Result<Streamed, StageError> {
        let (unit, input) = self.input(texts);
        let trouble = |what: &str| self.troubles.lock().unwrap().push(what.to_owned());
        let job = Job {
            device: "cpu",
            stage,
            input: &input,
            files: &Files::default(),
            store: &self.store,
            circumstances: Digest::of(b"fake"),
            unchanged: &|| Ok(()),
            unit,
            trouble: &trouble,
            recall: self.recall,
            pace,
        };
        stream(&job, &Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &self.heard })
    }

    /// What a run came to, and how many rows it mapped.
    fn done(&self, texts: &[String]) -> (Streamed, u64) {
        let stage = Fake::new(true);
        let done = self.run(&stage, texts, Pace::default()).unwrap_or_else(|error| panic!("{error}"));
        (done, stage.mapped())
    }
}

fn texts(rows: std::ops::Range<usize>) -> Vec<String> {
    rows.map(|row| format!("text {row} {}", "é".repeat(row % 5))).collect()
}

/// What must be the same however rows came.
fn identity(done: &Streamed) -> String {
    let parts: Vec<_> = done.parts.iter().map(|part| (&part.name, part.digest, part.rows, part.bytes)).collect();
    format!("{parts:?} {} {:?} {:?}", done.rows, done.facts, done.warnings)
}

/// The same without the runner.
fn whole(texts: &[String]) -> String {
    let bench = Bench::new();
    let (_, input) = bench.input(texts);
    let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Heard::default() };
    let output = crate::stage::map_whole(&Fake::new(false), &input, &ctx).unwrap();
    let parts = output.parts.iter().map(|(name, made)| {
        let crate::stage::Made::Table(table) = made else { panic!("not made") };
        let blob = bench.store.put_table(table).unwrap();
        PartEntry { name: name.clone(), digest: blob.digest, rows: blob.rows, bytes: blob.bytes }
    });
    identity(&Streamed {
        parts: parts.collect(),
        rows: output.rows,
        facts: output.facts,
        warnings: output.warnings,
        remembered: 0,
        checkpoint: None,
    })
}

fn chunks_of(rows: usize) -> Pace {
    Pace { chunk_rows: Some(rows), ..Pace::default() }
}

#[test]
fn appended_edited_and_shuffled_rows_pay_for_what_is_new() {
    let bench = Bench::new();
    let mut rows = texts(0..1000);
    let (first, mapped) = bench.done(&rows);
    assert_eq!((mapped, first.remembered, first.rows), (1000, 0, 1000));
    assert_eq!(identity(&first), whole(&rows));

    rows.extend(texts(1000..1010));
    let (appended, mapped) = bench.done(&rows);
    assert_eq!((mapped, appended.remembered), (10, 1000));
    assert_eq!(identity(&appended), whole(&rows));

    rows.reverse();
    rows.swap(3, 700);
    let stage = Fake::new(true);
    let shuffled = bench.run(&stage, &rows, Pace::default()).unwrap();
    assert_eq!((stage.mapped(), stage.opened.load(Ordering::Relaxed), shuffled.remembered), (0, 0, 1010));
    assert_eq!(identity(&shuffled), whole(&rows));

    rows[17].push('!');
    rows[18].push('?');
    let (edited, mapped) = bench.done(&rows);
    assert_eq!((mapped, edited.remembered), (2, 1008));
    assert_eq!(identity(&edited), whole(&rows));

    // Some rows of it, as a pipeline with a limit would read them, and another process.
    let other = Store::open(bench.store.folder().parent().unwrap()).unwrap();
    let other = Bench { store: Arc::new(other), ..Bench::new() };
    let (fewer, mapped) = other.done(&rows[100..200]);
    assert_eq!((mapped, fewer.remembered), (0, 100));
    assert_eq!(identity(&fewer), whole(&rows[100..200]));
    assert!(bench.troubles.lock().unwrap().is_empty());
}

#[test]
fn a_forced_unit_maps_every_row_again() {
    let mut bench = Bench::new();
    let rows = texts(0..1000);
    let (first, _) = bench.done(&rows);
    bench.recall = Recall::Nothing;
    let (again, mapped) = bench.done(&rows);
    assert_eq!((mapped, again.remembered), (1000, 0));
    assert_eq!(identity(&again), identity(&first));
}

#[test]
fn equal_rows_are_mapped_once_even_in_other_chunks() {
    let rows: Vec<String> = (0..500).map(|row| format!("text {}", row % 20)).collect();
    let bench = Bench::new();
    let stage = Fake::new(true);
    let done = bench.run(&stage, &rows, chunks_of(70)).unwrap();
    assert_eq!((stage.mapped(), done.remembered), (20, 0), "what this unit mapped was not remembered before");
    assert_eq!(identity(&done), whole(&rows));
}

#[test]
fn progress_is_told_over_all_rows_and_never_goes_back() {
    for costly in [true, false] {
        let bench = Bench::new();
        bench.run(&Fake::new(costly), &texts(0..1000), chunks_of(300)).unwrap();
        let heard = bench.heard.0.lock().unwrap().clone();
        assert!(heard.len() >= 4 && heard.iter().all(|(_, total)| *total == 1000), "{heard:?}");
        assert!(heard.is_sorted() && heard.last() == Some(&(1000, 1000)), "{heard:?}");
    }
}

#[test]
fn no_rows_make_an_empty_table_of_the_right_form() {
    for costly in [true, false] {
        let done = Bench::new().run(&Fake::new(costly), &[], Pace::default()).unwrap();
        assert_eq!((done.rows, done.parts.len()), (0, 1));
        assert_eq!(identity(&done), whole(&[]));
    }
}

#[test]
fn an_ordinary_stage_that_is_soon_done_remembers_nothing() {
    let bench = Bench::new();
    let rows = texts(0..1000);
    let done = bench.run(&Fake::new(false), &rows, Pace::default()).unwrap();
    assert_eq!(identity(&done), whole(&rows));
    assert_eq!(bench.store.row_spaces().unwrap(), []);
}

#[test]
fn an_interrupted_unit_goes_on_where_it_was() {
    for costly in [true, false] {
        let bench = Bench::new();
        let rows = texts(0..1000);
        let pace = Pace { chunk_rows: Some(100), checkpoint_after: Duration::ZERO };
        let stage = Fake { fails_at: Some(450), ..Fake::new(costly) };
        assert!(matches!(bench.run(&stage, &rows, pace), Err(StageError::Interrupted)));
        let stage = Fake::new(costly);
        let done = bench.run(&stage, &rows, pace).unwrap();
        assert_eq!((stage.mapped(), done.remembered), (600, 400), "costly: {costly}");
        assert_eq!(identity(&done), whole(&rows));
        // The executor does so, once the artifact is published.
        bench.store.remove_rows(&done.checkpoint.unwrap()).unwrap();
        assert_eq!(bench.store.row_spaces().unwrap().len(), usize::from(costly));
    }
}

#[test]
fn a_process_that_is_killed_loses_what_it_has_not_written_and_no_more() {
    for costly in [true, false] {
        let bench = Bench::new();
        let rows = texts(0..6000);
        let pace = Pace { chunk_rows: Some(1000), checkpoint_after: Duration::ZERO };
        // A panic runs no flush, as a kill would not; 16 KB a row are written every 2,000 rows or so.
        let killed = Fake { width: 4096, fails_at: Some(4500), ends: || panic!("killed"), ..Fake::new(costly) };
        assert!(catch_unwind(AssertUnwindSafe(|| bench.run(&killed, &rows, pace))).is_err());
        let stage = Fake { width: 4096, ..Fake::new(costly) };
        let done = bench.run(&stage, &rows, pace).unwrap();
        assert!((2000..=4000).contains(&done.remembered), "{} of 6000", done.remembered);
        assert_eq!(stage.mapped() + done.remembered, 6000);
        let cold = Bench::new().run(&Fake { width: 4096, ..Fake::new(false) }, &rows, Pace::default()).unwrap();
        assert_eq!(identity(&done), identity(&cold));
        assert!(std::fs::read_dir(bench.store.folder().join("tmp")).unwrap().next().is_none());
    }
}

#[test]
fn damaged_rows_are_told_and_mapped_again() {
    let bench = Bench::new();
    let rows = texts(0..1000);
    let (first, _) = bench.done(&rows);
    let space = std::fs::read_dir(bench.store.folder().join("rows")).unwrap().next().unwrap().unwrap().path();
    let segment = std::fs::read_dir(space).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 16;
    std::fs::write(&segment, bytes).unwrap();
    let (again, mapped) = bench.done(&rows);
    assert_eq!((mapped, again.remembered), (1000, 0));
    assert_eq!(identity(&again), identity(&first));
    assert_eq!(bench.troubles.lock().unwrap().len(), 1);
    assert_eq!(bench.done(&rows).1, 0);
}

#[test]
fn a_damaged_input_is_damage_for_the_executor_to_repair() {
    let bench = Bench::new();
    let rows = texts(0..100);
    let (digest, _) = bench.input(&rows);
    let name = digest.to_string();
    let path = bench.store.folder().join("blobs").join(name.get(..2).unwrap()).join(format!("{name}.parquet"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    let size = bytes.len();
    let (_, input) = bench.input(&rows);
    std::fs::write(&path, bytes).unwrap();
    let Err(StageError::Failed(failure)) = Feed::open(&bench.store, &input, 10).map(|_| ()) else { panic!("{size}") };
    assert!(failure.damaged && !path.exists(), "{failure:?}");
}

#[test]
fn tables_of_other_lengths_are_refused() {
    let bench = Bench::new();
    let (_, mut input) = bench.input(&texts(0..10));
    let (_, other) = bench.input(&texts(0..9));
    input.insert("tokens", other.part("text").unwrap().clone());
    assert!(Feed::open(&bench.store, &input, 10).is_err());
}

#[test]
fn parts_are_read_side_by_side_whatever_their_widths() {
    let bench = Bench::new();
    let rows = texts(0..3000);
    let (_, mut input) = bench.input(&rows);
    let long: Vec<String> = rows.iter().map(|text| text.repeat(1000)).collect();
    let (_, other) = bench.input(&long);
    input.insert("wide", other.part("text").unwrap().clone());
    let mut feed = Feed::open(&bench.store, &input, 2000).unwrap();
    let (mut at, mut chunks) = (0, 0);
    while let Some(chunk) = feed.next().unwrap() {
        let parts = chunk.parts();
        let (a, b) = (parts.table("text").unwrap(), parts.table("wide").unwrap());
        for row in 0..chunk.rows() {
            assert_eq!(text::texts(&a).unwrap().value(row), rows[at]);
            assert_eq!(text::texts(&b).unwrap().value(row), long[at]);
            at += 1;
        }
        let ids: &StringArray = chunk.ids().unwrap();
        assert_eq!(ids.len(), chunk.rows());
        chunks += 1;
    }
    assert_eq!(at, 3000);
    assert!(chunks > 2, "{chunks}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn bits_depend_on_the_rows_alone(
        order in prop::collection::vec(0usize..60, 0..150),
        known in prop::collection::vec(0usize..60, 0..80),
        chunk in 1usize..80,
        threads in 1usize..4,
        costly in any::<bool>(),
    ) {
        let of = |rows: &[usize]| -> Vec<String> {
            rows.iter().map(|&row| format!("text {row} {}", "ab ".repeat(row % 7))).collect()
        };
        let bench = Bench::new();
        bench.run(&Fake::new(true), &of(&known), Pace::default()).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let pace = Pace { chunk_rows: Some(chunk), checkpoint_after: Duration::ZERO };
        let stage = Fake::new(costly);
        let done = pool.install(|| bench.run(&stage, &of(&order), pace)).unwrap();
        prop_assert_eq!(identity(&done), whole(&of(&order)));
        if costly {
            let new: std::collections::BTreeSet<usize> = order.iter().copied().filter(|row| !known.contains(row)).collect();
            prop_assert_eq!(stage.mapped(), new.len() as u64);
            prop_assert_eq!(done.remembered, order.iter().filter(|row| known.contains(row)).count() as u64);
        }
    }
}
