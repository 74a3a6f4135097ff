//! Which files does a plan read, and are they here?

use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicBool;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Event, Listener, RunError, RunErrorKind};
use crate::fetch::{FetchError, FetchListener, Fetched, Fetcher};
use crate::pipeline::Pipeline;
use crate::plan::{Plan, Unit, UnitId};
use crate::problem::Problem;
use crate::stage::{Failure, FileNeed, Files, Stage, StageError};

/// Fetched files by source as written.
#[derive(Debug, Default)]
pub(super) struct Gathered(FxHashMap<String, Vec<Fetched>>);

impl Gathered {
    /// The files of a unit; `None` if one of them is not here.
    pub(super) fn of(&self, unit: &Unit) -> Option<Files> {
        let mut files = Files::default();
        for need in needs(unit) {
            files.0.push((need.role.clone(), self.0.get(&need.spec.to_string())?.clone()));
        }
        Some(files)
    }

    /// The files of a source as written; `None` if they are not here.
    pub(super) fn source(&self, written: &str) -> Option<&[Fetched]> {
        self.0.get(written).map(Vec::as_slice)
    }

    /// The first source of a unit that is not here.
    pub(super) fn lacking(&self, unit: &Unit) -> Option<String> {
        needs(unit).into_iter().map(|need| need.spec.to_string()).find(|source| !self.0.contains_key(source))
    }

    /// Role and identity of a unit's files, for its key.
    pub(super) fn identities(&self, unit: &Unit) -> Option<Vec<(String, String)>> {
        let files = self.of(unit)?;
        let named = stage(unit).reads_names();
        let identity = |file: &Fetched| match named {
            true => format!("{} as {}", file.identity(), file.place),
            false => file.identity(),
        };
        Some(files.0.iter().flat_map(|(role, all)| all.iter().map(|f| (role.clone(), identity(f)))).collect())
    }

    /// Takes what is here already; never asks the network.
    pub(super) fn take_known(&mut self, plan: &Plan, units: &[UnitId], fetcher: &Fetcher) {
        for need in units.iter().flat_map(|&id| needs(plan.unit(id))) {
            let source = need.spec.to_string();
            if !self.0.contains_key(&source)
                && let Some(files) = fetcher.known(&need.spec)
            {
                self.0.insert(source, files);
            }
        }
    }

    /// Fetches whatever the units read.
    pub(super) fn fetch(
        &mut self,
        pipeline: &Pipeline,
        plan: &Plan,
        units: &[UnitId],
        fetcher: &Fetcher,
        listener: &dyn Listener,
    ) -> Result<(), RunError> {
        for &id in units {
            let unit = plan.unit(id);
            for need in needs(unit) {
                let source = need.spec.to_string();
                if let Entry::Vacant(place) = self.0.entry(source) {
                    let files = fetcher
                        .fetch(&need.spec, &Told { listener, what: std::sync::Mutex::default() })
                        .map_err(|error| failed(pipeline, unit, &need, &error))?;
                    place.insert(files);
                }
            }
        }
        Ok(())
    }
}

/// The files that a unit itself reads: only phases that run the stage on rows read any.
pub(super) fn needs(unit: &Unit) -> Vec<FileNeed> {
    match unit.phase {
        crate::plan::Phase::Run | crate::plan::Phase::Survey => stage(unit).files(),
        _ => Vec::new(),
    }
}

/// How several members of one archive are named together: they are in one file. Nothing for other files.
pub(super) fn one_archive(need: &FileNeed, files: &[Fetched]) -> Option<String> {
    let [first, more @ ..] = files else { return None };
    let members = need.spec.to_string().split_once('!')?.1.to_owned();
    let archive = first.source.split('!').next()?;
    let together = !more.is_empty() && more.iter().all(|file| file.on_disk() == first.on_disk());
    together.then(|| format!("{archive}!{members}"))
}

/// An error if a file that a unit has read is no longer the one that its key speaks of.
pub(super) fn still_the_same(unit: &Unit, files: &Files, cancelled: &AtomicBool) -> Result<(), StageError> {
    for (role, of_role) in &files.0 {
        // members of one archive lie in one file
        let mut looked: FxHashSet<&std::path::Path> = FxHashSet::default();
        for file in of_role.iter().filter(|file| looked.insert(file.on_disk())) {
            let changed = |error: FetchError| {
                if matches!(error, FetchError::Interrupted) {
                    return StageError::Interrupted;
                }
                let need = needs(unit).into_iter().find(|need| need.role == *role);
                StageError::Failed(Box::new(Failure {
                    message: error.to_string(),
                    help: error.help(),
                    param: need.map(|need| need.param),
                    code: Some("input-changed"),
                    ..Failure::default()
                }))
            };
            file.unchanged(cancelled).map_err(changed)?;
        }
    }
    Ok(())
}

fn stage(unit: &Unit) -> &dyn Stage {
    unit.work.stage()
}

fn failed(pipeline: &Pipeline, unit: &Unit, need: &FileNeed, error: &FetchError) -> RunError {
    let (code, kind) = match error {
        FetchError::Interrupted => ("interrupted", RunErrorKind::Interrupted),
        FetchError::Digest { .. } => ("digest-mismatch", RunErrorKind::Integrity),
        error if error.is_offline() => ("offline", RunErrorKind::Offline),
        FetchError::NotFound { .. } => ("not-found", RunErrorKind::Input),
        FetchError::Io { .. } => ("io", RunErrorKind::Input),
        _ => ("unreachable", RunErrorKind::Input),
    };
    let param: Vec<&str> = need.param.iter().map(String::as_str).collect();
    let mut problem = Problem::error(code, format!("`{}` cannot get `{}`", unit.stage, need.spec))
        .because(error.to_string())
        .at(pipeline.origin(&unit.stage, &param));
    for help in error.help() {
        problem = problem.help(help);
    }
    RunError { problem: Box::new(problem), kind }
}

struct Told<'a> {
    listener: &'a dyn Listener,
    what: std::sync::Mutex<String>,
}

impl Told<'_> {
    fn what(&self) -> String {
        self.what.lock().map(|what| what.clone()).unwrap_or_default()
    }
}

impl FetchListener for Told<'_> {
    fn started(&self, what: &str, bytes: Option<u64>) {
        if let Ok(mut current) = self.what.lock() {
            what.clone_into(&mut current);
        }
        self.listener.event(&Event::Fetching { what, bytes });
    }

    fn advanced(&self, bytes: u64) {
        self.listener.event(&Event::Fetched { what: &self.what(), more: bytes });
    }

    fn finished(&self, what: &str) {
        self.listener.event(&Event::FetchDone { what });
    }

    fn trying_next(&self, place: &str, why: &str) {
        self.listener.event(&Event::FetchElsewhere { place, why });
    }
}
