//! What does a pipeline come to that a lock should hold it to?

use std::collections::BTreeMap;

use super::RunError;
use super::files::{Gathered, needs, one_archive};
use super::session::Session;
use crate::lock::Lock;
use crate::machine::Machine;
use crate::pipeline::Pipeline;
use crate::plan::{Known, Plan, plan};

/// A pipeline's lock as things stand, and where the pipeline names what is in it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The lock.
    pub lock: Lock,
    /// For each file: the stage that reads it, and the way to the parameter that names it.
    pub named: BTreeMap<String, (String, Vec<String>)>,
    /// Sources that are not here, so that nothing can be said of them.
    pub unknown: Vec<String>,
}

/// Whether files that are not here are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They are.
    Fetched,
    /// They are left out.
    LeftOut,
}

impl Session<'_> {
    /// What a lock would say now. Runs nothing.
    pub fn standing(&self, missing: Missing) -> Result<Standing, RunError> {
        let plan = plan(self.pipeline, &Known::assumed());
        let mut files = Gathered::default();
        match missing {
            Missing::Fetched => files.fetch(self.pipeline, &plan, &plan.order, self.fetcher, self.listener)?,
            Missing::LeftOut => files.take_known(&plan, &plan.order, self.fetcher),
        }
        Ok(standing(self.pipeline, &plan, &files, &Machine::serving(self.pipeline, &self.options.device)))
    }
}

/// What a lock would say of a plan and its files.
pub(super) fn standing(pipeline: &Pipeline, plan: &Plan, files: &Gathered, machine: &Machine) -> Standing {
    let mut lock = Lock::new(&pipeline.name, pipeline.seed);
    let mut named = BTreeMap::new();
    let mut unknown = Vec::new();
    for node in pipeline.variants.iter().flat_map(|variant| &variant.stages) {
        lock.kinds.insert(node.kind.name.to_owned(), node.kind.version);
    }
    for &id in &plan.order {
        let unit = plan.unit(id);
        for need in needs(unit) {
            let source = need.spec.to_string();
            let Some(found) = files.source(&source) else {
                unknown.push(source);
                continue;
            };
            let by = || (unit.stage.clone(), need.param.clone());
            if found.is_empty() {
                lock.add_file(&source, None);
                named.entry(source).or_insert_with(by);
            }
            if let (Some(source), Some(first)) = (one_archive(&need, found), found.first()) {
                lock.add_file(&source, Some(&first.sha256));
                named.entry(source).or_insert_with(by);
                continue;
            }
            for file in found {
                lock.add_file(&file.source, Some(&file.sha256));
                named.entry(file.source.clone()).or_insert_with(by);
            }
        }
    }
    lock.numeric = machine.classes();
    unknown.sort();
    unknown.dedup();
    Standing { lock, named, unknown }
}
