//! What does a command ask of the runner? To look (what would run, and why), or to run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use rustc_hash::{FxHashMap, FxHashSet};

use super::executor::Executor;
use super::files::Gathered;
use super::lanes::Pool;
use super::limits::Limits;
use super::lock::{Standing, standing};
use super::states::States;
use super::summary::manifest;
use super::{Event, Listener, RunError, RunErrorKind, State};
use crate::fetch::{Fetched, Fetcher};
use crate::machine::Machine;
use crate::pipeline::Pipeline;
use crate::plan::{EvaluationUnits, Known, Plan, StageUnit, Unit, UnitId, fitted, plan};
use crate::problem::Problem;
use crate::record::{Evaluation, Results, RunManifest, Status, Summary};
use crate::stage::{Load, Part, Parts, StageError, TOGETHER};
use crate::store::{Key, Manifest, RunRecord, Store, StoreError};

/// Units that run although the store has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Force {
    /// None.
    #[default]
    Nothing,
    /// All.
    Everything,
    /// Those of these stages.
    Stages(Vec<String>),
}

impl Force {
    /// True if a unit must run whatever the store has.
    pub fn covers(&self, unit: &Unit) -> bool {
        match self {
            Force::Nothing => false,
            Force::Everything => true,
            Force::Stages(stages) => stages.contains(&unit.stage),
        }
    }
}

/// Whether a run goes on past a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeepGoing {
    /// Nothing new starts after the first one; what is running ends.
    #[default]
    No,
    /// Everything that does not depend on it runs.
    Yes,
}

/// How to run: nothing here changes a result.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads (at least 1).
    pub threads: usize,
    /// Where transformers are computed, by name.
    pub device: String,
    /// Bytes of memory that units on lanes may together be taken to need; one unit always may run.
    pub memory: u64,
    /// What to run again.
    pub force: Force,
    /// What a failure stops.
    pub keep_going: KeepGoing,
    /// How long units may take, and how often they are tried.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: 1,
            device: "cpu".to_owned(),
            memory: u64::MAX,
            force: Force::Nothing,
            keep_going: KeepGoing::No,
            limits: Limits::default(),
        }
    }
}

/// Which units a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    Everything,
    /// What the data ledgers count: no stage that makes features runs.
    Data,
    /// What a stage made: in one variant (index), and one fold if it is in folds.
    Stage { stage: String, variant: usize, fold: Option<u32> },
    /// A stage of one variant (indices), and all that it reads, fitted on all rows.
    Fitted { variant: usize, at: usize },
}

/// A pipeline, a store, and all that is needed to bring them together.
pub struct Session<'a> {
    /// What to run.
    pub pipeline: &'a Pipeline,
    /// Where artifacts are.
    pub store: Arc<Store>,
    /// Where files come from.
    pub fetcher: &'a Fetcher,
    /// How to run.
    pub options: Options,
    /// Hears what happens.
    pub listener: &'a dyn Listener,
    /// Set when the run is to end.
    pub cancelled: &'a AtomicBool,
}

/// What a run came to.
pub struct Done {
    /// The plan.
    pub plan: Plan,
    /// For each unit (by index): what became of it.
    pub states: Vec<State>,
    /// True if the user stopped it.
    pub interrupted: bool,
    /// Titles of units that gave other bytes than the store had for the same key.
    pub differing: Vec<String>,
    /// Its summary.
    pub summary: Summary,
    /// What a lock would say of it.
    pub standing: Standing,
    /// What each unit made.
    pub manifest: RunManifest,
    /// What reports are made from.
    evaluations: Vec<(usize, Parts, Parts)>,
    /// Where its statistics are kept.
    statistics: Option<Key>,
}

impl Done {
    /// The summary as a report sees it that reads the evaluating stages `evaluations`.
    pub fn seen_by(&self, evaluations: &[String]) -> Summary {
        let mut summary = self.summary.clone();
        summary.variants.retain(|variant| evaluations.contains(&variant.evaluation));
        summary.baselines.retain(|guess| evaluations.contains(&guess.evaluation));
        summary.against_baselines.retain(|against| evaluations.contains(&against.best.evaluation));
        summary.data.retain(|data| data.evaluation.as_ref().is_none_or(|of| evaluations.contains(of)));
        summary
    }

    /// What a report is made from: the scores of those variants that `summary` has.
    pub fn results<'d>(&'d self, summary: &'d Summary, pipeline: &'d str, file: &'d str) -> Results<'d> {
        let places = places(summary);
        let mut evaluations = Vec::new();
        for (variant, scores, rows) in &self.evaluations {
            let whole = &self.summary.variants[*variant];
            if let Some(&variant) = places.get(&(whole.id.as_str(), whole.evaluation.as_str())) {
                evaluations.push(Evaluation { variant, scores: scores.clone(), rows: rows.clone() });
            }
        }
        Results { summary, pipeline, file, evaluations }
    }
}

impl Session<'_> {
    /// Runs what `wanted` needs.
    pub fn run(&self, wanted: &Wanted) -> Result<Done, RunError> {
        let started = Instant::now();
        // Until the end of this function, no other process clears up what this run needs.
        let _active = self.store.begin_run().map_err(|error| storage(&error))?;
        let pool = self.pool()?;
        let machine = Machine::serving(self.pipeline, &self.options.device);
        let history = self.store.timings();
        let mut states = States::default();
        let mut files = Gathered::default();
        let mut known = Known::default();
        let mut options = self.options.clone();
        let mut repairs = 0;
        loop {
            let plan = match wanted {
                Wanted::Fitted { variant, at } => fitted(self.pipeline, &known, *variant, *at),
                _ => plan(self.pipeline, &known),
            };
            let units = self.units(&plan, wanted)?;
            files.fetch(self.pipeline, &plan, &units, self.fetcher, self.listener)?;
            self.listener.event(&Event::Planned { units: units.len(), lanes: pool.lanes() });
            let executor = Executor {
                pipeline: self.pipeline,
                plan: &plan,
                store: &self.store,
                files: &files,
                machine: &machine,
                options: &options,
                history: &history,
                pool: &pool,
                listener: self.listener,
                cancelled: self.cancelled,
            };
            executor.execute(&units, &mut states);
            let mut more = false;
            for &open in &plan.open {
                let unit = plan.unit(open);
                more |= states.of(unit).manifest().is_some_and(|made| known.learn(unit, made));
            }
            if more {
                continue;
            }
            self.remember(&plan, &states);
            match self.evaluations(&plan, &units, &states) {
                Ok(evaluations) => {
                    let read = Read { files, machine };
                    return Ok(pool.install(|| self.done(plan, &units, &states, &read, evaluations, started)));
                }
                Err(Reread::Damaged) if repairs < 3 => {
                    repairs += 1;
                    options.force = Force::Nothing;
                    for &id in &units {
                        let unit = plan.unit(id);
                        if states.of(unit).manifest().is_some_and(|manifest| !self.store.verify(manifest)) {
                            states.forget(unit);
                        }
                    }
                }
                Err(reread) => return Err(reread.into_error()),
            }
        }
    }

    /// Fetches whatever the pipeline reads, and runs nothing.
    pub fn fetch(&self) -> Result<Vec<Fetched>, RunError> {
        let plan = plan(self.pipeline, &Known::assumed());
        let mut files = Gathered::default();
        files.fetch(self.pipeline, &plan, &plan.order, self.fetcher, self.listener)?;
        let mut all: Vec<Fetched> = Vec::new();
        for file in plan.order.iter().filter_map(|&id| files.of(plan.unit(id))).flat_map(|files| files.0) {
            all.extend(
                file.1
                    .into_iter()
                    .filter(|file| !all.iter().any(|known| known.source == file.source))
                    .collect::<Vec<_>>(),
            );
        }
        Ok(all)
    }

    pub(super) fn pool(&self) -> Result<Pool, RunError> {
        Pool::new(self.options.threads).map_err(|error| RunError {
            problem: Box::new(Problem::error("io", "cannot start worker threads").because(error.to_string())),
            kind: RunErrorKind::Storage,
        })
    }

    fn units(&self, plan: &Plan, wanted: &Wanted) -> Result<Vec<UnitId>, RunError> {
        match wanted {
            Wanted::Everything | Wanted::Fitted { .. } => Ok(plan.ready(plan.order.clone())),
            Wanted::Data => Ok(plan.needed_for(&plan.ledgers.iter().map(|ledger| ledger.unit).collect::<Vec<_>>())),
            Wanted::Stage { stage, variant, fold } => {
                let targets: Vec<UnitId> =
                    units_of(plan, stage, *variant, *fold).iter().map(|unit| unit.unit).collect();
                // Until the folds are known there are no such units; dividing the rows comes first.
                let waits = targets.is_empty() || targets.iter().any(|target| plan.waits[target.index()]);
                Ok(plan.needed_for(if waits { &plan.open } else { &targets }))
            }
        }
    }

    /// What the summary, the predictions and the reports are made from. All of it is held against its digests here, where
    /// what is damaged can still be made again; only what every run reads is decoded.
    fn evaluations(&self, plan: &Plan, units: &[UnitId], states: &States) -> Result<Evaluated, Reread> {
        let mut whole: FxHashSet<Key> = FxHashSet::default();
        let mut wanted = vec![false; plan.graph.node_count()];
        units.iter().for_each(|id| wanted[id.index()] = true);
        let mut read = |evaluation: &EvaluationUnits| -> Result<Option<Scored>, Reread> {
            let of = |id: UnitId| states.of(plan.unit(id)).manifest();
            let Some(score) = evaluation.score.filter(|id| wanted[id.index()]) else { return Ok(None) };
            let (Some(scores), Some(frame), Some(text)) = (of(score), of(evaluation.frame), of(evaluation.text)) else {
                return Ok(None);
            };
            let Some(split) = of(evaluation.split) else { return Ok(None) };
            for made in [scores, frame, text, split] {
                if whole.insert(made.key) && !self.store.verify(made) {
                    return Err(Reread::Damaged);
                }
            }
            let mut rows = self.parts(frame);
            if let Some(part) = self.parts(text).part("text") {
                rows.insert("text", part.clone());
            }
            if let Some(part) = self.parts(split).part(TOGETHER) {
                rows.insert(TOGETHER, part.clone());
            }
            let scores_parts = self.parts(scores);
            for (_, part) in scores_parts.iter().filter(|(name, _)| *name != "predictions") {
                part.table().map_err(Reread::from)?;
            }
            Ok(Some((evaluation.clone(), scores.clone(), scores_parts, rows)))
        };
        let mut all = Evaluated::default();
        for evaluation in &plan.evaluations {
            all.variants.extend(read(evaluation)?);
        }
        for (number, baseline) in plan.baselines.iter().enumerate() {
            all.baselines.extend(read(&baseline.units)?.map(|scored| (number, scored)));
        }
        Ok(all)
    }

    /// The parts of an artifact.
    pub fn parts(&self, manifest: &Manifest) -> Parts {
        let load: Arc<dyn Load> = Arc::clone(&self.store) as Arc<dyn Load>;
        let mut parts = Parts::default();
        for entry in &manifest.parts {
            parts.insert(entry.name.clone(), Part::stored(entry.digest, Arc::clone(&load)));
        }
        parts
    }

    fn done(
        &self,
        plan: Plan,
        units: &[UnitId],
        states: &States,
        read: &Read,
        evaluations: Evaluated,
        started: Instant,
    ) -> Done {
        let interrupted = self.cancelled.load(Ordering::Relaxed)
            && units.iter().any(|&id| matches!(states.of(plan.unit(id)), State::Skipped));
        let mut summary = super::summary::summary(&super::summary::Run {
            pipeline: self.pipeline,
            plan: &plan,
            units,
            states,
            files: &read.files,
            machine: &read.machine,
            evaluations: &evaluations,
            interrupted,
            seconds: started.elapsed().as_secs_f64(),
        });
        let standing = standing(self.pipeline, &plan, &read.files, &read.machine);
        let manifest = manifest(self.pipeline, &plan, units, states);
        let all = plan.order.iter().map(|&id| states.of(plan.unit(id)).clone()).collect();
        let mut kept = Vec::new();
        let places = places(&summary);
        for (units, _, scores, rows) in evaluations.variants {
            let variant = &self.pipeline.variants[units.variant];
            let index = places.get(&(variant.id.as_str(), units.stage.as_str()));
            kept.extend(index.map(|&index| (index, scores, rows)));
        }
        let of = |(variant, scores, rows): &(usize, Parts, Parts)| Evaluation {
            variant: *variant,
            scores: scores.clone(),
            rows: rows.clone(),
        };
        let beside = |(at, (_, (_, _, scores, rows))): (usize, &(usize, Scored))| Evaluation {
            variant: at,
            scores: scores.clone(),
            rows: rows.clone(),
        };
        let baselines: Vec<Evaluation> = evaluations.baselines.iter().enumerate().map(beside).collect();
        let evaluations: Vec<Evaluation> = kept.iter().map(of).collect();
        let damaged = |what: String| {
            let problem = Problem::warning("damaged", format!("{what}; the run's statistics are worked out again"));
            self.listener.event(&Event::Trouble { problem: &problem });
        };
        let statistics = super::statistics::add_kept(&mut summary, &evaluations, &baselines, &self.store, &damaged);
        let statistics = statistics.unwrap_or_else(|error| {
            summary.warnings.push(format!("there are no intervals and comparisons: {error}"));
            None
        });
        summary.totals.seconds = started.elapsed().as_secs_f64();
        let differing = states.differing.clone();
        Done { plan, states: all, interrupted, differing, summary, standing, manifest, evaluations: kept, statistics }
    }

    /// Remembers that a run is in `folder`, so that `cache gc` keeps what it came to; the run does not fail for it.
    pub fn record(&self, done: &Done, folder: &Path) {
        let units = done.states.iter().filter_map(State::manifest).map(|manifest| manifest.key);
        let keys = units.chain(done.statistics).collect();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let ended = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64;
        match self.store.record_run(&RunRecord { pipeline: self.memory(), folder, ended, keys }) {
            // Where nothing can be written, nothing can be cleared up; of a run that failed more has been told.
            Err(error) if !error.is_read_only() && done.summary.status == Status::Complete => {
                let problem = Problem::warning("io", "`cache gc` will not know this run").because(error.to_string());
                self.listener.event(&Event::Trouble { problem: &problem });
            }
            _ => {}
        }
    }
}

/// The store cannot take what a run must write.
fn storage(error: &StoreError) -> RunError {
    let mut problem = Problem::error("io", "the cache cannot be used").because(error.to_string());
    problem.help.extend(error.help().map(str::to_owned));
    RunError { problem: Box::new(problem), kind: RunErrorKind::Storage }
}

/// Where each variant's evaluation stands in a summary: by the variant's id and the evaluating stage.
fn places(summary: &Summary) -> FxHashMap<(&str, &str), usize> {
    summary.variants.iter().enumerate().map(|(index, v)| ((v.id.as_str(), v.evaluation.as_str()), index)).collect()
}

/// The units of a stage in a variant: outside folds, or in one fold (the first, if none is named).
fn units_of<'p>(plan: &'p Plan, stage: &'p str, variant: usize, fold: Option<u32>) -> Vec<&'p StageUnit> {
    let in_fold = |unit: &&StageUnit| unit.fold.is_none_or(|number| number == fold.unwrap_or(0));
    plan.of_stage(stage, variant).filter(in_fold).collect()
}

impl Done {
    /// The units of a stage, in a variant and fold (the first, if none is named), the last phase first: what it gave, then
    /// what it learned.
    pub fn units_of(&self, stage: &str, variant: usize, fold: Option<u32>) -> Vec<UnitId> {
        let mut units = units_of(&self.plan, stage, variant, fold);
        units.sort_by_key(|unit| std::cmp::Reverse(unit.phase));
        units.into_iter().map(|unit| unit.unit).collect()
    }
}

/// An evaluation's units, its scores (what made them, and their parts), and the rows that were scored.
pub(super) type Scored = (EvaluationUnits, Manifest, Parts, Parts);

/// What was read back.
#[derive(Default)]
pub(super) struct Evaluated {
    /// Of variants.
    pub(super) variants: Vec<Scored>,
    /// Of baselines, by their place in the plan.
    pub(super) baselines: Vec<(usize, Scored)>,
}

/// What a run's units read from outside.
struct Read {
    files: Gathered,
    machine: Machine,
}

/// Why results could not be read back.
enum Reread {
    Damaged,
    Other(StageError),
}

impl From<StageError> for Reread {
    fn from(error: StageError) -> Self {
        match &error {
            StageError::Failed(failure) if failure.damaged => Reread::Damaged,
            _ => Reread::Other(error),
        }
    }
}

impl Reread {
    fn into_error(self) -> RunError {
        let cause = match self {
            Reread::Damaged => "stored tables were damaged again and again".to_owned(),
            Reread::Other(error) => error.to_string(),
        };
        let problem = Problem::error("damaged", "the results cannot be read back").because(cause);
        RunError { problem: Box::new(problem), kind: RunErrorKind::Integrity }
    }
}
