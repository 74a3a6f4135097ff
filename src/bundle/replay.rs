//! What does a fitted pipeline give for new rows? A walk over its stages, each after those that it reads.
//!
//! Stages see new rows as `perform` shows them theirs: a row-wise stage maps them, a learner applies what it learned. A stage
//! that drops rows maps them all; rows that it would not keep are marked, and get no prediction in the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use rustc_hash::{FxHashMap, FxHashSet};

use super::rows::{Row, parts};
use super::seal::is_whole;
use super::{BUNDLE_FILE, BUNDLE_FORMAT, Bundle, BundleError, BundleStage};
use crate::fetch::Fetched;
use crate::stage::{
    Ctx, Derivations, FRAME_PARTS, Files, Load, Made, Mapper, Numeric, Part, Parts, Progress, Scope, StageError, Work,
};
use crate::stages;
use crate::table::{Digest, from_parquet};

/// Bytes of what stages work out of what was learned, kept between batches.
const DERIVED_BYTES: usize = 1 << 30;

/// A bundle, held against its digests and built.
pub struct Replay {
    /// What it says of itself.
    pub bundle: Bundle,
    nodes: Vec<Node>,
}

/// A stage, ready to be asked.
struct Node {
    /// `None` for the one that brings the rows in.
    work: Option<Work>,
    learned: Parts,
    files: Files,
}

/// The learned tables of a bundle.
struct Tables {
    tables: FxHashMap<Digest, Arc<RecordBatch>>,
    derivations: Derivations,
}

impl Load for Tables {
    fn load(&self, digest: &Digest) -> Result<Arc<RecordBatch>, StageError> {
        self.tables.get(digest).cloned().ok_or_else(|| StageError::failed(format!("there is no table {digest}")))
    }

    fn derivations(&self) -> &Derivations {
        &self.derivations
    }
}

impl Replay {
    /// Reads a bundle: every file of it is held against its digest.
    pub fn open(folder: &Path, cancelled: &AtomicBool) -> Result<Replay, BundleError> {
        let bundle = manifest(folder)?;
        let mut tables = Tables { tables: FxHashMap::default(), derivations: Derivations::new(DERIVED_BYTES) };
        for (of_stage, entry) in bundle.stages.iter().flat_map(|stage| stage.learned.values().map(move |e| (stage, e)))
        {
            let path = inside(folder, &entry.path)?;
            let bytes = fs::read(&path).map_err(|error| gone(&path, error))?;
            if Digest::of(&bytes) != entry.digest {
                return Err(BundleError::damaged(&path, format!("`{}` did not learn these bytes", of_stage.id)));
            }
            tables.tables.insert(entry.digest, Arc::new(from_parquet(bytes)?));
        }
        let tables: Arc<dyn Load> = Arc::new(tables);
        let mut nodes = Vec::new();
        for (place, stage) in bundle.stages.iter().enumerate() {
            if stage.from.iter().any(|&from| from >= place) || (place > 0) == stage.from.is_empty() {
                let why = format!("`{}` does not stand after what it reads", stage.id);
                return Err(BundleError::damaged(&folder.join(BUNDLE_FILE), why));
            }
            nodes.push(node(stage, folder, &tables, cancelled)?);
        }
        Ok(Replay { bundle, nodes })
    }

    /// Which parts of the machine decide bits of what it says.
    pub fn numeric(&self) -> impl Iterator<Item = Numeric> {
        self.nodes.iter().filter_map(|node| node.work.as_ref()).map(|work| work.stage().numeric())
    }

    /// Makes ready to be asked: models are read into memory; transformers are computed on `device`.
    pub fn begin(&self, device: &str) -> Result<Running<'_>, BundleError> {
        let mut mappers = Vec::new();
        for (node, stage) in self.nodes.iter().zip(&self.bundle.stages) {
            let row_wise = match &node.work {
                Some(Work::RowWise(row_wise)) => Some(row_wise.as_ref()),
                Some(Work::WholeTable(whole)) => whole.alone(),
                _ => None,
            };
            let opened = row_wise.map(|row_wise| row_wise.open(&node.files, device)).transpose();
            mappers.push(opened.map_err(|error| BundleError::stage(&stage.id, error))?);
        }
        Ok(Running { replay: self, mappers })
    }
}

/// Reads and checks `bundle.json`.
fn manifest(folder: &Path) -> Result<Bundle, BundleError> {
    let path = folder.join(BUNDLE_FILE);
    let not = |why: String| BundleError::NotABundle { folder: folder.to_owned(), why };
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => not(format!("there is no `{BUNDLE_FILE}`")),
        _ => BundleError::io(&path, error),
    })?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| BundleError::damaged(&path, error.to_string()))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(BUNDLE_FORMAT) => {}
        Some(format) => {
            return Err(not(format!("it is of form {format}, and this program reads form {BUNDLE_FORMAT}")));
        }
        None => return Err(not("it says no `format`".to_owned())),
    }
    if !is_whole(&text) {
        return Err(BundleError::damaged(&path, "these are not the bytes that were written"));
    }
    serde_json::from_value(value).map_err(|error| BundleError::damaged(&path, error.to_string()))
}

/// A file of the bundle: never one outside it.
fn inside(folder: &Path, path: &str) -> Result<PathBuf, BundleError> {
    let plain = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    match plain {
        true => Ok(folder.join(path)),
        false => Err(BundleError::damaged(&folder.join(BUNDLE_FILE), format!("`{path}` lies outside the folder"))),
    }
}

fn gone(path: &Path, error: std::io::Error) -> BundleError {
    match error.kind() {
        std::io::ErrorKind::NotFound => BundleError::damaged(path, "it is missing"),
        _ => BundleError::io(path, error),
    }
}

fn node(
    stage: &BundleStage,
    folder: &Path,
    tables: &Arc<dyn Load>,
    cancelled: &AtomicBool,
) -> Result<Node, BundleError> {
    if stage.from.is_empty() {
        return Ok(Node { work: None, learned: Parts::default(), files: Files::default() });
    }
    let version = |ours: String| BundleError::Version {
        stage: stage.id.clone(),
        kind: stage.kind.clone(),
        theirs: stage.version,
        ours,
    };
    let kind = stages::kind(&stage.kind).ok_or_else(|| version("which does not know it".to_owned()))?;
    if kind.version != stage.version {
        return Err(version(format!("with version {}", kind.version)));
    }
    let at = Scope { stage: &stage.id, base: folder, locate: &|_| None };
    let built = (kind.build)(stage.params.clone(), &at).map_err(|problems| {
        let why = problems.0.first().map_or_else(String::new, |problem| problem.message.clone());
        BundleError::Build { stage: stage.id.clone(), why }
    })?;
    let fits = match &built.work {
        Work::RowWise(_) | Work::Learner(_) | Work::Meta(_) => true,
        Work::WholeTable(whole) => whole.keeps_rows() || whole.alone().is_some(),
        Work::Source(_) | Work::Search(_) | Work::Evaluate(_) | Work::Sink(_) => false,
    };
    if !fits {
        return Err(BundleError::Together { stage: stage.id.clone() });
    }
    let mut learned = Parts::default();
    for (name, entry) in &stage.learned {
        learned.insert(name.clone(), Part::stored(entry.digest, Arc::clone(tables)));
    }
    let mut files = Files::default();
    for file in &stage.files {
        let path = inside(folder, &file.path)?;
        if !path.is_file() {
            return Err(BundleError::damaged(&path, "it is missing"));
        }
        let fetched = Fetched::of_file(&path, cancelled)?;
        if fetched.sha256 != file.sha256 {
            return Err(BundleError::damaged(&path, format!("its sha256 is not {}", file.sha256)));
        }
        match files.0.iter_mut().find(|(role, _)| *role == file.role) {
            Some((_, all)) => all.push(fetched),
            None => files.0.push((file.role.clone(), vec![fetched])),
        }
    }
    Ok(Node { work: Some(built.work), learned, files })
}

/// A bundle that can be asked.
pub struct Running<'r> {
    replay: &'r Replay,
    mappers: Vec<Option<Box<dyn Mapper + 'r>>>,
}

/// What came out for some rows.
pub struct Walked {
    /// The rows' ids.
    pub row_id: Vec<String>,
    /// What each stage gave.
    pub outputs: Vec<Parts>,
    /// For each row, why it would not have been kept.
    pub dropped: Vec<Option<&'static str>>,
}

impl Walked {
    /// What the model says.
    pub fn predictions(&self) -> Result<Arc<RecordBatch>, BundleError> {
        let last = self.outputs.last().ok_or_else(|| StageError::failed("there is no stage"));
        last.and_then(|last| last.table("predictions")).map_err(|error| BundleError::stage("model", error))
    }
}

impl<'r> Running<'r> {
    /// The bundle.
    pub fn bundle(&self) -> &'r Bundle {
        &self.replay.bundle
    }

    /// What the model learned.
    pub(super) fn learned(&self) -> &'r Parts {
        static NOTHING: std::sync::LazyLock<Parts> = std::sync::LazyLock::new(Parts::default);
        self.replay.nodes.last().map_or(&NOTHING, |node| &node.learned)
    }

    /// Asks for some rows.
    pub fn walk(&self, rows: &[Row], cancelled: &AtomicBool) -> Result<Walked, BundleError> {
        let row_id: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let mut walked = Walked { row_id, outputs: Vec::new(), dropped: vec![None; rows.len()] };
        let mut seen = FxHashSet::default();
        // Stages know rows by their ids; whoever asks may give two the same.
        let numbered: Vec<Row> = match rows.iter().all(|row| seen.insert(row.id.as_str())) {
            true => Vec::new(),
            false => (0..).zip(rows).map(|(at, row): (u64, _)| Row { id: at.to_string(), ..row.clone() }).collect(),
        };
        let rows = if numbered.is_empty() { rows } else { numbered.as_slice() };
        for (place, stage) in self.replay.bundle.stages.iter().enumerate() {
            let output = match stage.from.is_empty() {
                true => parts(rows, &self.replay.bundle.rows.columns)?,
                false => {
                    let inputs = self.inputs(place, &walked.outputs);
                    self.step(place, &inputs, Some(&mut walked.dropped), cancelled)?
                }
            };
            walked.outputs.push(output);
        }
        Ok(walked)
    }

    /// All that the stages gave which the model reads.
    pub(super) fn model_sources(&self, outputs: &[Parts]) -> Vec<Parts> {
        let from = self.bundle().stages.last().map_or(&[][..], |stage| &stage.from);
        from.iter().map(|&from| outputs[from].clone()).collect()
    }

    /// What the model is given, of what all stages gave.
    pub(super) fn model_inputs(&self, outputs: &[Parts]) -> Vec<Parts> {
        self.inputs(self.replay.nodes.len().saturating_sub(1), outputs)
    }

    /// What the model says of other inputs than those that came out.
    pub(super) fn ask(&self, inputs: &[Parts], cancelled: &AtomicBool) -> Result<Arc<RecordBatch>, BundleError> {
        let last = self.replay.nodes.len().saturating_sub(1);
        let said = self.step(last, inputs, None, cancelled)?;
        said.table("predictions").map_err(|error| BundleError::stage(&self.bundle().model, error))
    }

    /// A stage's inputs, the parts that it reads of each. [`FRAME_PARTS`] are those of the rows.
    fn inputs(&self, place: usize, outputs: &[Parts]) -> Vec<Parts> {
        let Some(work) = &self.replay.nodes[place].work else { return Vec::new() };
        let covers = |pattern: &str, name: &str| match pattern.ends_with('.') {
            true => name.starts_with(pattern),
            false => pattern == name,
        };
        let one = |(input, &from): (usize, &usize)| {
            // What reads models reads all that they say.
            if matches!(work, Work::Meta(_)) {
                return outputs[from].clone();
            }
            let reads = work.stage().reads(input);
            let mut parts = Parts::default();
            for (name, part) in outputs[from].iter().filter(|(name, _)| reads.iter().any(|p| covers(p, name))) {
                parts.insert(name, part.clone());
            }
            for name in FRAME_PARTS.iter().filter(|name| reads.contains(*name)) {
                if let Some(part) = outputs[0].part(name) {
                    parts.insert(*name, part.clone());
                }
            }
            parts
        };
        self.replay.bundle.stages[place].from.iter().enumerate().map(one).collect()
    }

    /// What one stage makes of its inputs.
    fn step(
        &self,
        place: usize,
        inputs: &[Parts],
        dropped: Option<&mut Vec<Option<&'static str>>>,
        cancelled: &AtomicBool,
    ) -> Result<Parts, BundleError> {
        let node = &self.replay.nodes[place];
        let stage = &self.replay.bundle.stages[place].id;
        let failed = |error| BundleError::stage(stage, error);
        let ctx = Ctx { seed: 0, cancelled, progress: &Nobody };
        let only = || inputs.first().ok_or_else(|| failed(StageError::failed("it has no input")));
        let mut parts = Parts::default();
        if let Some(mapper) = &self.mappers[place] {
            let mapped = mapper.map(only()?, &ctx).map_err(failed)?;
            for (name, table) in mapped.tables {
                parts.insert(name, Part::memory(table));
            }
            if let Some(dropped) = dropped {
                for (name, counts) in mapped.counts.iter().filter(|(name, _)| name.starts_with("dropped_")) {
                    let rows = dropped.iter_mut().zip(counts).filter(|(_, count)| **count > 0);
                    rows.for_each(|(dropped, _)| *dropped = dropped.or(Some(*name)));
                }
            }
            return Ok(parts);
        }
        let output = match &node.work {
            Some(Work::Learner(learner)) => learner.apply(&node.learned, only()?, &ctx),
            Some(Work::Meta(meta)) => meta.apply(&node.learned, inputs, &ctx),
            Some(Work::WholeTable(whole)) => whole.run(inputs, &ctx),
            _ => Err(StageError::failed("it is no stage of a fitted pipeline")),
        };
        for (name, made) in output.map_err(failed)?.parts {
            let part = match made {
                Made::Table(table) => Part::memory(table),
                Made::Same(part) => part,
            };
            parts.insert(name, part);
        }
        Ok(parts)
    }
}

struct Nobody;

impl Progress for Nobody {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
}
