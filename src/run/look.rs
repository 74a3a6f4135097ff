//! What would run, and why? Reads the store; runs nothing, fetches nothing.

use rustc_hash::FxHashMap;

use super::executor::known;
use super::files::Gathered;
use super::session::{Session, folds_of};
use super::states::States;
use super::{Event, RunError, Status};
use crate::machine::Machine;
use crate::plan::cost::{self, Estimate};
use crate::plan::key::{Fields, Fingerprint};
use crate::plan::why::{Miss, Root, compare, distance};
use crate::plan::{Plan, Role, Unit, UnitId, plan};
use crate::problem::Problem;
use crate::stage::FoldId;
use crate::store::{Key, LastRun, Lookup};
use crate::table::Digest;

/// What would run.
pub struct Look {
    /// The plan.
    pub plan: Plan,
    /// For each unit (by index): is it there, or why must it run?
    pub status: Vec<Status>,
    /// What those that must run may come to.
    pub estimate: Estimate,
}

/// What is known of a plan's units while they are looked at one after the other.
struct Looking<'a> {
    plan: &'a Plan,
    files: &'a Gathered,
    last: &'a LastRun,
    machine: &'a Machine,
    status: Vec<Status>,
    /// For each unit whose artifact is there: what makes it another one than in the last run.
    moved: Vec<Vec<Root>>,
}

impl Session<'_> {
    /// What would run, and why. Reads the store; runs nothing, fetches nothing.
    pub fn look(&self) -> Result<Look, RunError> {
        let last = self.last_run();
        let machine = Machine::serving(self.pipeline);
        let mut known: FxHashMap<Digest, Vec<FoldId>> = FxHashMap::default();
        loop {
            let plan = plan(self.pipeline, &|ident| known.get(ident).cloned());
            let mut files = Gathered::default();
            files.take_known(&plan, &plan.order, self.fetcher);
            let status = self.statuses(&plan, &files, &last, &machine);
            let before = known.len();
            for &split in &plan.unknown_folds {
                if let Status::Hit(manifest) = &status[split.index()] {
                    known.insert(plan.unit(split).ident, folds_of(manifest));
                }
            }
            if known.len() == before {
                let estimate = self.estimate(&plan, &status);
                return Ok(Look { plan, status, estimate });
            }
        }
    }

    /// What the units that must run may come to.
    fn estimate(&self, plan: &Plan, status: &[Status]) -> Estimate {
        let known = |id: UnitId| match &status[id.index()] {
            Status::Hit(manifest) => known(Some(manifest)),
            Status::Miss(_) => None,
        };
        let costs = cost::costs(plan, &self.store.timings(), &known);
        let runs = |id: UnitId| matches!(status[id.index()], Status::Miss(_));
        cost::estimate(plan, &costs, &runs, self.options.threads)
    }

    fn statuses(&self, plan: &Plan, files: &Gathered, last: &LastRun, machine: &Machine) -> Vec<Status> {
        let mut looking = Looking { plan, files, last, machine, status: Vec::new(), moved: Vec::new() };
        for &id in &plan.order {
            let (status, moved) = self.status(&looking, plan.unit(id));
            looking.status.push(status);
            looking.moved.push(moved);
        }
        looking.status
    }

    fn status(&self, at: &Looking<'_>, unit: &Unit) -> (Status, Vec<Root>) {
        let miss = |misses: Vec<Miss>| (Status::Miss(misses), Vec::new());
        let manifest_of = |id: UnitId| match &at.status[id.index()] {
            Status::Hit(manifest) => Some(manifest.parts.as_slice()),
            Status::Miss(_) => None,
        };
        let Some(identities) = at.files.identities(unit) else {
            return miss(vec![Miss::NotFetched { source: at.files.lacking(unit).unwrap_or_default() }]);
        };
        let Some(fingerprint) = Fingerprint::new(unit, manifest_of, identities, at.machine) else {
            return miss(self.waiting(at, unit));
        };
        let key = fingerprint.key();
        match self.store.lookup(&key) {
            Lookup::Hit(_) if self.options.force.covers(unit) => miss(vec![Miss::Forced]),
            Lookup::Hit(manifest) => {
                // Taking identities apart costs more than all the rest, and most are what they were.
                let same = self.in_same_variant(at, unit).is_some_and(|(before, _)| *before == key);
                let moved = if same { Vec::new() } else { self.moved(at, unit, &key, &fingerprint.fields()) };
                (Status::Hit(Box::new(manifest)), moved)
            }
            Lookup::Damaged { what } => miss(vec![Miss::Damaged { what }]),
            Lookup::Absent => {
                let fields = fingerprint.fields();
                let old = self.old(at, unit, &fields).map(|(_, old)| old);
                miss(explained(at, unit, old, &fields))
            }
        }
    }

    /// Why a unit must run whose inputs are not all there: for them, and perhaps for reasons of its own.
    fn waiting(&self, at: &Looking<'_>, unit: &Unit) -> Vec<Miss> {
        let missing = unit.inputs.iter().filter(|input| matches!(at.status[input.unit.index()], Status::Miss(_)));
        let mut stages: Vec<String> = missing.map(|input| at.plan.unit(input.unit).stage.clone()).collect();
        stages.sort();
        stages.dedup();
        let own = Fingerprint::new(unit, |_| Some(&[]), at.files.identities(unit).unwrap_or_default(), at.machine);
        let own = own.map(|own| own.fields()).unwrap_or_default();
        let old = self.old(at, unit, &own);
        let mut misses = match old {
            Some((_, old)) => explained(at, unit, Some(old), &own),
            None => Vec::new(),
        };
        misses.retain(|miss| !matches!(miss, Miss::Input { .. } | Miss::Removed));
        if self.options.force.covers(unit) {
            misses.push(Miss::Forced);
        }
        misses.push(Miss::Upstream { stages, ran_before: old.is_some() });
        misses
    }

    /// What makes a unit that is there another one than in the last run.
    fn moved(&self, at: &Looking<'_>, unit: &Unit, key: &Key, fields: &Fields) -> Vec<Root> {
        match self.old(at, unit, fields) {
            Some((before, old)) if before != key => roots(at, unit, Some(old), fields),
            _ => Vec::new(),
        }
    }

    fn in_same_variant<'l>(&self, at: &Looking<'l>, unit: &Unit) -> Option<(&'l Key, &'l Fields)> {
        let place = unit.place();
        unit.variants.iter().find_map(|&variant| at.last.of(&place, &self.pipeline.variants[variant].label))
    }

    /// The unit's identity when it last ran: in a variant of the same label. Where there was no matrix, or is none any more,
    /// in the variant that was most like it.
    fn old<'l>(&self, at: &Looking<'l>, unit: &Unit, new: &Fields) -> Option<(&'l Key, &'l Fields)> {
        let same = self.in_same_variant(at, unit);
        if same.is_some() {
            return same;
        }
        let place = unit.place();
        let alone = self.pipeline.variants.len() == 1 || at.last.of(&place, "").is_some();
        let all = at.last.everywhere(&place).filter(|_| alone);
        all.min_by_key(|(_, _, fields)| distance(fields, new)).map(|(_, key, fields)| (key, fields))
    }

    /// What the last run of this file remembered.
    fn last_run(&self) -> LastRun {
        self.store.last(&self.memory()).unwrap_or_default()
    }

    pub(super) fn memory(&self) -> String {
        let file = self.pipeline.file.canonicalize().unwrap_or_else(|_| self.pipeline.file.clone());
        serde_json::json!([file.to_string_lossy(), self.pipeline.name]).to_string()
    }

    /// Keeps what `plan --why` compares with: a whole run. What is not whole (something failed, or a stage alone was asked for)
    /// only adds what was not known, so that a change is still told from what was there before it. A run does not fail for it.
    pub(super) fn remember(&self, plan: &Plan, states: &States) {
        let before = self.last_run();
        let mut last = before.clone();
        let there = |unit: &Unit| states.of(unit).manifest().is_some();
        let whole = plan.order.iter().all(|&id| there(plan.unit(id)));
        for &id in &plan.order {
            let unit = plan.unit(id);
            let Some((key, fields)) = states.fields_of(unit) else { continue };
            let place = unit.place();
            for label in unit.variants.iter().map(|&variant| self.pipeline.variants[variant].label.as_str()) {
                if whole || before.of(&place, label).is_none() {
                    last.set(place.clone(), label, key, fields);
                }
            }
        }
        // Estimates are worth no word when they cannot be kept.
        drop(self.store.remember_timings(&states.measured));
        // A store that takes nothing more has been told of.
        if last == before || states.unwritable {
            return;
        }
        if let Err(error) = self.store.remember(&self.memory(), last) {
            let problem =
                Problem::warning("io", "this run cannot be remembered for `plan --why`").because(error.to_string());
            self.listener.event(&Event::Trouble { problem: &problem });
        }
    }
}

/// The reasons for which `new` is not `old`: sources named, changed inputs followed to what changed them.
fn explained(at: &Looking<'_>, unit: &Unit, old: Option<&Fields>, new: &Fields) -> Vec<Miss> {
    let mut misses = compare(old, new);
    for miss in &mut misses {
        match miss {
            Miss::File { role, sources, .. } => {
                let files = at.files.of(unit).unwrap_or_default();
                let of_role = files.0.iter().filter(|(known, _)| known == role).flat_map(|(_, files)| files);
                *sources = of_role.map(|file| file.source.clone()).collect();
            }
            Miss::Input { name, through, roots } => {
                let source = through_unit(unit, name);
                *through = source.map(|id| at.plan.unit(id).stage.clone());
                *roots = source.map(|id| at.moved[id.index()].clone()).unwrap_or_default();
            }
            _ => {}
        }
    }
    misses
}

/// The same, with every changed input replaced by what changed it.
fn roots(at: &Looking<'_>, unit: &Unit, old: Option<&Fields>, new: &Fields) -> Vec<Root> {
    let mut all: Vec<Root> = Vec::new();
    for miss in explained(at, unit, old, new) {
        let found = match miss {
            Miss::Input { roots, .. } if !roots.is_empty() => roots,
            Miss::Removed => continue,
            why => vec![Root { stage: unit.stage.clone(), kind: unit.kind.name, why }],
        };
        for root in found {
            if !all.contains(&root) {
                all.push(root);
            }
        }
    }
    all
}

/// Which unit an input by its name in the key (`0/text`, `learned/…`) comes from.
fn through_unit(unit: &Unit, name: &str) -> Option<UnitId> {
    let (role, part) = name.split_once('/').unwrap_or((name, ""));
    let matches = |input: &&crate::plan::Input| match input.role {
        Role::Input(index) => role == index.to_string() && input.reads.covers(part),
        Role::Target => role == "target",
        Role::Fold => role == "fold",
        Role::Learned => role == "learned",
        Role::Predicted(fold) => role == fold.part(),
    };
    unit.inputs.iter().find(matches).map(|input| input.unit)
}
