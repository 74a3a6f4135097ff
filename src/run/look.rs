//! What would run, and why? Reads the store; runs nothing, fetches nothing.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::executor::known;
use super::files::Gathered;
use super::lanes::Pool;
use super::session::Session;
use super::states::States;
use super::{Event, RunError, Status};
use crate::machine::Machine;
use crate::plan::cost::{self, Estimate};
use crate::plan::key::{Fields, Fingerprint};
use crate::plan::why::{Miss, Root, compare, distance};
use crate::plan::{Known, Plan, Role, Unit, UnitId, plan};
use crate::problem::Problem;
use crate::store::{Key, LastRun, Lookup, Manifest, Store};

/// What would run.
pub struct Look {
    /// The plan.
    pub plan: Plan,
    /// For each unit (by index): is it there, or why must it run?
    pub status: Vec<Status>,
    /// What those that must run may come to.
    pub estimate: Estimate,
}

/// What the store says of a unit.
enum Found {
    /// Its artifact is there, and may be used.
    There(Box<Manifest>),
    /// It is not; what it would be is known.
    Absent(Key),
    /// It was damaged.
    Damaged { what: String },
    /// It is there, but is to be made again.
    Forced,
    /// A file that it reads has not been fetched.
    NotFetched { source: String },
    /// Something that it reads must run first.
    Waiting,
}

impl Found {
    fn manifest(&self) -> Option<&Manifest> {
        match self {
            Found::There(manifest) => Some(manifest),
            _ => None,
        }
    }
}

impl Session<'_> {
    /// What would run, and why. Reads the store; runs nothing, fetches nothing.
    pub fn look(&self) -> Result<Look, RunError> {
        let machine = Machine::serving(self.pipeline, &self.options.device);
        let pool = self.pool()?;
        let mut known = Known::default();
        loop {
            let plan = plan(self.pipeline, &known);
            let mut files = Gathered::default();
            files.take_known(&plan, &plan.order, self.fetcher);
            let found = self.found(&plan, &files, &machine, &pool);
            let mut more = false;
            for &open in &plan.open {
                more |= found[open.index()].manifest().is_some_and(|made| known.learn(plan.unit(open), made));
            }
            if !more {
                let estimate = self.estimate(&plan, &found);
                let status = self.statuses(&plan, &files, &machine, &pool, found);
                return Ok(Look { plan, status, estimate });
            }
        }
    }

    /// What the store says of each unit (by index). Units of one level do not read each other, so they are asked for at once.
    fn found(&self, plan: &Plan, files: &Gathered, machine: &Machine, pool: &Pool) -> Vec<Found> {
        let (store, force) = (&*self.store, &self.options.force);
        let mut found: Vec<Found> = plan.order.iter().map(|_| Found::Waiting).collect();
        for level in levels(plan) {
            let one = |&id: &UnitId| {
                let unit = plan.unit(id);
                let Some(identities) = files.identities(unit) else {
                    return Found::NotFetched { source: files.lacking(unit).unwrap_or_default() };
                };
                let parts_of = |id: UnitId| found[id.index()].manifest().map(|manifest| manifest.parts.as_slice());
                let Some(fingerprint) = Fingerprint::new(unit, parts_of, identities, machine) else {
                    return Found::Waiting;
                };
                let key = fingerprint.key();
                match store.lookup(&key) {
                    Lookup::Hit(_) if force.covers(unit) => Found::Forced,
                    Lookup::Hit(manifest) => Found::There(Box::new(manifest)),
                    Lookup::Damaged { what } => Found::Damaged { what },
                    Lookup::Absent => Found::Absent(key),
                }
            };
            let of_level: Vec<Found> = pool.install(|| level.par_iter().map(one).collect());
            for (id, one) in level.into_iter().zip(of_level) {
                found[id.index()] = one;
            }
        }
        found
    }

    /// What the units that must run may come to.
    fn estimate(&self, plan: &Plan, found: &[Found]) -> Estimate {
        let runs = |id: UnitId| found[id.index()].manifest().is_none();
        if !plan.order.iter().any(|&id| runs(id)) {
            return Estimate::default();
        }
        let costs = cost::costs(plan, &self.store.timings(), &|id| known(found[id.index()].manifest()));
        cost::estimate(plan, &costs, &runs, self.options.threads)
    }

    /// The same with reasons. What ran last is asked for only if there is something to give reasons for.
    fn statuses(
        &self,
        plan: &Plan,
        files: &Gathered,
        machine: &Machine,
        pool: &Pool,
        found: Vec<Found>,
    ) -> Vec<Status> {
        let missing: Vec<UnitId> =
            plan.order.iter().copied().filter(|id| found[id.index()].manifest().is_none()).collect();
        let mut reasons = vec![Vec::new(); found.len()];
        if !missing.is_empty() {
            let labels = self.pipeline.variants.iter().map(|variant| variant.label.as_str()).collect();
            let moved = found.iter().map(|_| OnceLock::new()).collect();
            let (last, store, found) = (self.last_run(), &*self.store, found.as_slice());
            let looking = Looking { plan, files, machine, store, found, last, labels, moved };
            let misses: Vec<Vec<Miss>> = pool.install(|| {
                let of = |&id: &UnitId| looking.misses(id, self.options.force.covers(plan.unit(id)));
                missing.par_iter().map(of).collect()
            });
            missing.iter().zip(misses).for_each(|(id, misses)| reasons[id.index()] = misses);
        }
        let status = |(found, misses)| match found {
            Found::There(manifest) => Status::Hit(manifest),
            _ => Status::Miss(misses),
        };
        found.into_iter().zip(reasons).map(status).collect()
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
        let mut last = self.last_run();
        let whole = plan.order.iter().all(|&id| states.made(plan.unit(id)).is_some());
        for &id in &plan.order {
            let unit = plan.unit(id);
            let Some(made) = states.made(unit) else { continue };
            let place = unit.place();
            for label in unit.variants.iter().map(|&variant| self.pipeline.variants[variant].label.as_str()) {
                if whole || last.of(&place, label).is_none() {
                    last.set(&place, label, made.key);
                }
            }
        }
        // Estimates are worth no word when they cannot be kept.
        drop(self.store.remember_timings(&states.measured));
        // A store that takes nothing more has been told of.
        if states.unwritable {
            return;
        }
        if let Err(error) = self.store.remember(&self.memory(), &last) {
            let problem =
                Problem::warning("io", "this run cannot be remembered for `plan --why`").because(error.to_string());
            self.listener.event(&Event::Trouble { problem: &problem });
        }
    }
}

/// What reasons are found with.
struct Looking<'a> {
    plan: &'a Plan,
    files: &'a Gathered,
    machine: &'a Machine,
    store: &'a Store,
    found: &'a [Found],
    last: LastRun,
    /// Labels of the variants.
    labels: Vec<&'a str>,
    /// For each unit whose artifact is there, once somebody asked: what makes it another one than in the last run.
    moved: Vec<OnceLock<Vec<Root>>>,
}

/// What a unit was when it last ran.
enum Before {
    /// It never ran.
    Never,
    /// It had this key, which was made from this; `None` if that is no longer in the store.
    Had(Key, Option<Fields>),
}

impl Looking<'_> {
    /// Why a unit must run.
    fn misses(&self, id: UnitId, forced: bool) -> Vec<Miss> {
        let unit = self.plan.unit(id);
        match &self.found[id.index()] {
            Found::There(_) => Vec::new(),
            Found::Forced => vec![Miss::Forced],
            Found::Damaged { what } => vec![Miss::Damaged { what: what.clone() }],
            Found::NotFetched { source } => vec![Miss::NotFetched { source: source.clone() }],
            Found::Waiting => self.waiting(unit, forced),
            Found::Absent(key) => {
                let new = self.fields(unit);
                self.explained(unit, &self.before(unit, &new), Some(key), &new)
            }
        }
    }

    /// Why a unit must run whose inputs are not all there: for them, and perhaps for reasons of its own.
    fn waiting(&self, unit: &Unit, forced: bool) -> Vec<Miss> {
        let missing = unit.inputs.iter().filter(|input| self.found[input.unit.index()].manifest().is_none());
        let mut stages: Vec<String> = missing.map(|input| self.plan.unit(input.unit).stage.clone()).collect();
        stages.sort();
        stages.dedup();
        let identities = self.files.identities(unit).unwrap_or_default();
        let own = Fingerprint::new(unit, |_| Some(&[]), identities, self.machine);
        let own = own.map(|own| own.fields()).unwrap_or_default();
        let before = self.before(unit, &own);
        let ran_before = matches!(before, Before::Had(..));
        let mut misses = if ran_before { self.explained(unit, &before, None, &own) } else { Vec::new() };
        misses.retain(|miss| !matches!(miss, Miss::Input { .. } | Miss::Removed));
        if forced {
            misses.push(Miss::Forced);
        }
        misses.push(Miss::Upstream { stages, ran_before });
        misses
    }

    /// What a unit is made from whose inputs are there.
    fn fields(&self, unit: &Unit) -> Fields {
        let parts_of = |id: UnitId| self.found[id.index()].manifest().map(|manifest| manifest.parts.as_slice());
        let identities = self.files.identities(unit).unwrap_or_default();
        Fingerprint::new(unit, parts_of, identities, self.machine).map(|made| made.fields()).unwrap_or_default()
    }

    /// What makes a unit another one than in the last run, if its artifact is there.
    fn moved(&self, id: UnitId) -> &[Root] {
        self.moved[id.index()].get_or_init(|| {
            let unit = self.plan.unit(id);
            let Some(manifest) = self.found[id.index()].manifest() else { return Vec::new() };
            if self.in_same_variant(unit) == Some(&manifest.key) {
                return Vec::new();
            }
            let new = self.fields(unit);
            match self.before(unit, &new) {
                Before::Had(key, old) if key != manifest.key => {
                    self.roots(unit, &Before::Had(key, old), &manifest.key, &new)
                }
                _ => Vec::new(),
            }
        })
    }

    fn in_same_variant(&self, unit: &Unit) -> Option<&Key> {
        let place = unit.place();
        unit.variants.iter().find_map(|&variant| self.last.of(&place, self.labels[variant]))
    }

    /// What the unit was when it last ran: in a variant of the same label. Where there was no matrix, or is none any more, in
    /// the variant that was most like it.
    fn before(&self, unit: &Unit, new: &Fields) -> Before {
        if let Some(key) = self.in_same_variant(unit) {
            return Before::Had(*key, self.store.fields(key));
        }
        let place = unit.place();
        if self.labels.len() > 1 && self.last.of(&place, "").is_none() {
            return Before::Never;
        }
        let all = self.last.everywhere(&place);
        let known = all.iter().filter_map(|key| Some((**key, self.store.fields(key)?)));
        match known.min_by_key(|(_, fields)| distance(fields, new)) {
            Some((key, fields)) => Before::Had(key, Some(fields)),
            None => all.first().map_or(Before::Never, |key| Before::Had(**key, None)),
        }
    }

    /// The reasons for which a unit is not what it was: sources named, changed inputs followed to what changed them. `key` is
    /// what it is now, as far as that is known.
    fn explained(&self, unit: &Unit, before: &Before, key: Option<&Key>, new: &Fields) -> Vec<Miss> {
        let mut misses = match before {
            Before::Never => compare(None, new),
            Before::Had(_, Some(old)) => compare(Some(old), new),
            Before::Had(old, None) if Some(old) == key => vec![Miss::Removed],
            Before::Had(_, None) => vec![Miss::Forgotten],
        };
        for miss in &mut misses {
            match miss {
                Miss::File { role, sources, .. } => {
                    let files = self.files.of(unit).unwrap_or_default();
                    let of_role = files.0.iter().filter(|(known, _)| known == role).flat_map(|(_, files)| files);
                    *sources = of_role.map(|file| file.source.clone()).collect();
                }
                Miss::Input { name, through, roots } => {
                    let source = through_unit(unit, name);
                    *through = source.map(|id| self.plan.unit(id).stage.clone());
                    *roots = source.map(|id| self.moved(id).to_vec()).unwrap_or_default();
                }
                _ => {}
            }
        }
        misses
    }

    /// The same, with every changed input replaced by what changed it.
    fn roots(&self, unit: &Unit, before: &Before, key: &Key, new: &Fields) -> Vec<Root> {
        let mut all: Vec<Root> = Vec::new();
        for miss in self.explained(unit, before, Some(key), new) {
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
}

/// The units by how many others stand between them and the first, each level in the plan's order.
fn levels(plan: &Plan) -> Vec<Vec<UnitId>> {
    let mut level_of = vec![0; plan.order.len()];
    let mut levels: Vec<Vec<UnitId>> = Vec::new();
    for &id in &plan.order {
        let above = plan.unit(id).inputs.iter().map(|input| level_of[input.unit.index()] + 1).max();
        let level = above.unwrap_or(0);
        level_of[id.index()] = level;
        levels.resize_with(levels.len().max(level + 1), Vec::new);
        levels[level].push(id);
    }
    levels
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
        Role::Candidate(number) => role == format!("candidate.{number}"),
        Role::OutOfFold(model, fold) => role == format!("model.{model:02}.{}", fold.part()),
        Role::Shuffled(fold) => role == format!("shuffled.{}", fold.part()),
        Role::Weighed(fold) => role == format!("weighed.{}", fold.part()),
    };
    unit.inputs.iter().find(matches).map(|input| input.unit)
}
