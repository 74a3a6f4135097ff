//! Which stages does a variant have, checked and built, and what flows between them?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::identity::{self, DIGITS, Own};
use super::kinds::Kinds;
use super::labels;
use super::matrix::{Cell, Combination, Setting};
use super::outline::{Outline, Written, wires};
use super::overlay::{Overlay, put};
use super::paths::{Target, listed, problem};
use super::values::Place;
use super::wiring::{Wired, Wiring};
use super::{Node, Variant};
use crate::problem::{Origin, Problem, Problems, suggest};
use crate::stage::{Built, Port, Says, Scope, Work};
use crate::table::Digest;

/// Once so many problems are known, no further variant is looked at.
const ENOUGH: usize = 100;

/// A built stage, shared by all variants in which it is the same.
struct Ready {
    work: Arc<Work>,
    params: Arc<Value>,
    own: Own,
    content: Digest,
    /// Where the first combination that has it sets something of it.
    at: Option<Place>,
}

/// The inputs of a stage by their places in the file; `None` for one that does not exist.
type Inputs = Arc<[Option<usize>]>;

/// What all variants share.
pub(super) struct Resolver<'a> {
    pub(super) overlay: &'a Overlay,
    pub(super) kinds: &'a Kinds,
    pub(super) outline: &'a Outline,
    pub(super) base: &'a Path,
    /// False where the matrix is broken: then what a parameter lacks may be what an axis would give.
    pub(super) whole: bool,
    pub(super) problems: &'a mut Problems,
    pub(super) warnings: Problems,
    ready: Vec<Ready>,
    /// By stage and the cells that set something of it: which of `ready`, if it could be built.
    by_cells: FxHashMap<(usize, Vec<usize>), Option<usize>>,
    /// By stage and its parameters as written.
    by_params: FxHashMap<(usize, String), Option<usize>>,
    /// By stage and the cell that sets its `from`.
    inputs: FxHashMap<(usize, Option<usize>), Inputs>,
    /// By stage, which of `ready`, inputs and frame.
    nodes: FxHashMap<(usize, usize, Vec<usize>, usize), Arc<Node>>,
    used: BTreeSet<usize>,
    /// What candidates of searches set, by search, path and value.
    pub(super) tried: FxHashMap<[String; 3], Arc<Cell>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        overlay: &'a Overlay,
        kinds: &'a Kinds,
        outline: &'a Outline,
        base: &'a Path,
        whole: bool,
        problems: &'a mut Problems,
    ) -> Self {
        Resolver {
            overlay,
            kinds,
            outline,
            base,
            whole,
            problems,
            warnings: Problems::default(),
            ready: Vec::new(),
            by_cells: FxHashMap::default(),
            by_params: FxHashMap::default(),
            inputs: FxHashMap::default(),
            nodes: FxHashMap::default(),
            used: BTreeSet::new(),
            tried: FxHashMap::default(),
        }
    }

    /// The variants of the combinations; two that resolve alike are one, under the first label.
    pub(super) fn variants(&mut self, combinations: &[Combination]) -> Vec<Variant> {
        let read = self.ever_read(combinations);
        let mut variants: Vec<Variant> = Vec::new();
        let mut seen: FxHashMap<String, usize> = FxHashMap::default();
        let (mut ids, mut merged) = (FxHashSet::default(), FxHashSet::default());
        for combination in combinations {
            if self.problems.0.len() >= ENOUGH {
                break;
            }
            let Some((whole, mut variant)) = self.variant(combination, None, &read) else { continue };
            if let Some(same) = seen.get(&whole) {
                let same: &mut Variant = &mut variants[*same];
                if same.label != variant.label && merged.insert(variant.label.clone()) {
                    same.aliases.push(variant.label);
                }
                continue;
            }
            // Two variants whose first digits agree by chance: the second tells more of its hash.
            if !ids.insert(variant.id.clone()) {
                variant.id = whole.chars().take(2 * DIGITS).collect();
            }
            seen.insert(whole, variants.len());
            variants.push(variant);
        }
        if let [only] = variants.as_mut_slice() {
            let label = std::mem::take(&mut only.label);
            if !label.is_empty() {
                only.aliases.insert(0, label);
            }
        }
        self.look_at_sinks(&variants);
        for (index, stage) in self.outline.stages.iter().enumerate() {
            if !self.used.contains(&index) && !self.problems.any_error() {
                let unused =
                    Problem::warning("unused-stage", format!("nothing uses `{}`, so it is left out", stage.id));
                self.warnings.push(
                    unused
                        .at(self.overlay.key_origin(&["stages", &stage.id]))
                        .help("name it in the `from` of a stage, or take it out"),
                );
            }
        }
        variants
    }

    /// Complains about a sink whose parameters are not the same in all variants: it is written once, about all of them.
    fn look_at_sinks(&mut self, variants: &[Variant]) {
        let mut first: BTreeMap<&str, Digest> = BTreeMap::new();
        let mut found: BTreeSet<&str> = BTreeSet::new();
        for node in variants.iter().flat_map(|variant| &variant.stages) {
            if matches!(*node.work, Work::Sink(_)) && *first.entry(&node.id).or_insert(node.content) != node.content {
                found.insert(&node.id);
            }
        }
        for (index, stage) in self.outline.stages.iter().enumerate().filter(|(_, stage)| found.contains(&*stage.id)) {
            let by_axis = self.set_at(index);
            let message =
                format!("the matrix changes the parameters of `{}`, which is written once for all variants", stage.id);
            let problem = Problem::error("sink-axis", message).at(by_axis);
            self.problems.push(problem.help("write a stage of its own for each, with the parameters it is to have"));
        }
    }

    /// Where a value of the matrix sets something of a stage.
    fn set_at(&self, stage: usize) -> Option<Origin> {
        let mut all: Vec<(&Vec<usize>, usize)> = Vec::new();
        #[expect(clippy::iter_over_hash_type, reason = "sorted below")]
        for ((of, cells), ready) in &self.by_cells {
            if let (true, false, Some(ready)) = (*of == stage, cells.is_empty(), ready) {
                all.push((cells, *ready));
            }
        }
        all.sort();
        all.first().and_then(|(_, ready)| self.ready.get(*ready)?.at.as_ref()?.origin(&[], self.overlay))
    }

    /// The stages that some stage reads in some variant, or would read if no axis changed its inputs.
    fn ever_read(&self, combinations: &[Combination]) -> BTreeSet<String> {
        let mut read: BTreeSet<String> = self.outline.stages.iter().flat_map(|stage| stage.from.clone()).collect();
        let mut seen = BTreeSet::new();
        for cell in combinations.iter().flatten() {
            let wired = |setting: &Setting| matches!(setting.target, Target::From(_));
            if cell.settings.iter().any(wired) && seen.insert(cell.number) {
                let all = cell.settings.iter().filter(|setting| wired(setting));
                read.extend(all.flat_map(|setting| wires(&setting.value).unwrap_or_default()));
            }
        }
        read
    }

    /// A variant, and its whole id. Where it is a candidate of the search `below`, only searches above that are followed.
    pub(super) fn variant(
        &mut self,
        combination: &Combination,
        below: Option<&str>,
        read: &BTreeSet<String>,
    ) -> Option<(String, Variant)> {
        let outline = self.outline;
        let found = self.problems.0.len();
        let mut seed = outline.seed;
        for setting in settings(combination).filter(|setting| setting.target == Target::Seed) {
            seed = setting.value.as_u64().unwrap_or(seed);
        }
        let built: Vec<Option<usize>> =
            outline.stages.iter().enumerate().map(|(index, stage)| self.stage(index, stage, combination)).collect();
        let inputs: Vec<Inputs> =
            outline.stages.iter().enumerate().map(|(index, stage)| self.inputs(index, stage, combination)).collect();
        let known = |(built, stage): (&Option<usize>, &Written)| built.filter(|_| stage.wired);
        let works: Vec<Option<&Work>> = built
            .iter()
            .zip(&outline.stages)
            .map(|both| known(both).and_then(|ready| self.ready.get(ready)).map(|ready| ready.work.as_ref()))
            .collect();
        let at =
            |stage: usize, input: Option<usize>| self.origin_of_input(outline.stages.get(stage)?, input, combination);
        let with = |stage: usize, path: &[&str]| self.origin_of_param(outline.stages.get(stage)?, path, combination);
        let ids: Vec<&str> = outline.stages.iter().map(|stage| stage.id.as_str()).collect();
        let problems = Problems::default();
        let mut wiring = Wiring { ids: &ids, works: &works, inputs: &inputs, at: &at, with: &with, problems };
        let wired = wiring.resolve();
        for problem in wiring.problems.0 {
            self.complain(problem);
        }
        let wired = wired?;
        if self.problems.0.len() > found || self.problems.any_error() {
            return None;
        }
        let (stages, which) = self.kept(&wired, &built, read)?;
        let searches = self.searches(combination, &stages, below, read)?;
        let owns: Vec<(&Own, &[usize])> =
            stages.iter().zip(which).map(|(node, ready)| (&self.ready[ready].own, node.inputs.as_slice())).collect();
        let whole = identity::of(&owns, seed);
        let label: Vec<String> =
            combination.iter().map(|cell| labels::setting(&cell.axis, &cell.choice.text)).collect();
        let params = combination.iter().map(|cell| (cell.axis.clone(), cell.choice.shown())).collect();
        let id = whole.chars().take(DIGITS).collect();
        Some((whole, Variant { id, label: label.join(","), aliases: Vec::new(), seed, params, stages, searches }))
    }

    /// The stages that something for people, or an evaluation, depends on, in topological order, and which of `ready` each is.
    /// Where there is neither, all that leads to a stage which no stage ever reads.
    fn kept(
        &mut self,
        wired: &Wired,
        built: &[Option<usize>],
        read: &BTreeSet<String>,
    ) -> Option<(Vec<Arc<Node>>, Vec<usize>)> {
        let ready = |index: usize| built.get(index).copied().flatten();
        let ends = |index: usize| {
            let work = ready(index).and_then(|ready| self.ready.get(ready)).map(|ready| ready.work.as_ref());
            matches!(work, Some(Work::Sink(_) | Work::Evaluate(_)))
        };
        let last = |index: usize| self.outline.stages.get(index).is_some_and(|stage| !read.contains(&stage.id));
        let mut needed: Vec<bool> = (0..built.len()).map(ends).collect();
        if !needed.contains(&true) {
            needed = (0..built.len()).map(last).collect();
        }
        for index in wired.order.iter().rev() {
            if needed[*index] {
                wired.inputs.get(*index).into_iter().flatten().for_each(|input| needed[*input] = true);
            }
        }
        let order: Vec<usize> = wired.order.iter().copied().filter(|index| needed[*index]).collect();
        self.used.extend(&order);
        let mut place = vec![usize::MAX; built.len()];
        order.iter().enumerate().for_each(|(at, index)| place[*index] = at);
        let (mut stages, mut which) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        for index in &order {
            let ready = ready(*index)?;
            let inputs: Vec<usize> = wired.inputs.get(*index)?.iter().map(|input| place[*input]).collect();
            let frame = place[*wired.frames.get(*index)?];
            let gives = (*wired.ports.get(*index)?, wired.says.get(*index).copied().flatten());
            stages.push(self.node(*index, ready, inputs, frame, gives)?);
            which.push(ready);
        }
        Some((stages, which))
    }

    /// The node, shared with every variant that has the same one.
    fn node(
        &mut self,
        index: usize,
        ready: usize,
        inputs: Vec<usize>,
        frame: usize,
        (port, says): (Port, Option<Says>),
    ) -> Option<Arc<Node>> {
        let key = (index, ready, inputs, frame);
        if let Some(node) = self.nodes.get(&key).filter(|node| node.port == port && node.says == says) {
            return Some(Arc::clone(node));
        }
        let stage = self.outline.stages.get(index)?;
        let built = self.ready.get(ready)?;
        let node = Arc::new(Node {
            id: stage.id.clone(),
            kind: stage.kind?,
            inputs: key.2.clone(),
            params: Arc::clone(&built.params),
            work: Arc::clone(&built.work),
            content: built.content,
            port,
            says,
            frame,
        });
        self.nodes.insert(key, Arc::clone(&node));
        Some(node)
    }

    /// Checks the parameters of a stage and builds it, once for all variants in which it is the same.
    fn stage(&mut self, index: usize, stage: &Written, combination: &Combination) -> Option<usize> {
        let sets = |setting: &Setting| matches!(&setting.target, Target::With(id, _) if *id == stage.id);
        let cells = combination.iter().filter(|cell| cell.settings.iter().any(sets)).map(|cell| cell.number).collect();
        let key = (index, cells);
        if let Some(known) = self.by_cells.get(&key) {
            return *known;
        }
        let mut with = stage.with.clone();
        for setting in settings(combination) {
            if let Target::With(id, way) = &setting.target
                && *id == stage.id
            {
                put(&mut with, way, setting.value.clone());
            }
        }
        let params = (index, with.to_string());
        let known = match self.by_params.get(&params) {
            Some(known) => *known,
            None => {
                let built = self.build(stage, with, combination).zip(stage.kind).map(|(built, kind)| {
                    let own = Own::of(kind, &built.params, &built.work);
                    let at = combination.iter().find(|cell| cell.settings.iter().any(sets));
                    self.ready.push(Ready {
                        content: own.digest(kind),
                        own,
                        work: Arc::new(built.work),
                        params: Arc::new(built.params),
                        at: at.map(|cell| cell.choice.place.clone()),
                    });
                    self.ready.len() - 1
                });
                self.by_params.insert(params, built);
                built
            }
        };
        self.by_cells.insert(key, known);
        known
    }

    fn build(&mut self, stage: &Written, with: Value, combination: &Combination) -> Option<Built> {
        let kind = stage.kind?;
        let faults = self.kinds.schema(kind.name)?.check(&with);
        let clean = faults.is_empty();
        for fault in faults {
            let path: Vec<&str> = fault.path.iter().map(String::as_str).collect();
            let origin = self.locate(stage, &path, fault.at_key, combination);
            if self.whole || fault.code != "missing-param" {
                self.complain(problem(fault).at(origin));
            }
        }
        if !clean {
            return None;
        }
        let (overlay, id) = (self.overlay, stage.id.as_str());
        let locate = |path: &[&str]| located(overlay, id, path, combination);
        let scope = Scope { stage: &stage.id, base: self.base, locate: &locate };
        match (kind.build)(with, &scope) {
            Ok(built) => Some(built),
            Err(problems) => {
                for problem in problems.0 {
                    let origin = problem.origin.clone().or_else(|| locate(&[]));
                    self.complain(problem.at(origin));
                }
                None
            }
        }
    }

    fn locate(&self, stage: &Written, path: &[&str], at_key: bool, combination: &Combination) -> Option<Origin> {
        let by_axis = settings(combination).any(|setting| sets(&setting.target, &stage.id, path).is_some());
        if at_key && !by_axis {
            let way: Vec<&str> = ["stages", &stage.id, "with"].into_iter().chain(path.iter().copied()).collect();
            return self.overlay.key_origin(&way);
        }
        located(self.overlay, &stage.id, path, combination)
    }

    /// The places in the file of the stages that a stage reads; `None` for one that does not exist, which is said here.
    fn inputs(&mut self, index: usize, stage: &Written, combination: &Combination) -> Inputs {
        let sets = |setting: &Setting| matches!(&setting.target, Target::From(id) if *id == stage.id);
        let cell = combination.iter().rfind(|cell| cell.settings.iter().any(sets)).map(|cell| cell.number);
        if let Some(known) = self.inputs.get(&(index, cell)) {
            return Arc::clone(known);
        }
        let inputs: Inputs = self.find_inputs(stage, combination).into();
        self.inputs.insert((index, cell), Arc::clone(&inputs));
        inputs
    }

    fn find_inputs(&mut self, stage: &Written, combination: &Combination) -> Vec<Option<usize>> {
        let from = match wired_by(stage, combination) {
            Some(setting) => wires(&setting.value).unwrap_or_default(),
            None => stage.from.clone(),
        };
        let names: Vec<String> = self.outline.stages.iter().map(|stage| stage.id.clone()).collect();
        let mut inputs = Vec::new();
        for (number, name) in from.iter().enumerate() {
            let index = names.iter().position(|id| id == name);
            let origin = || self.origin_of_input(stage, Some(number), combination);
            if index.is_none() {
                let others: Vec<String> = names.iter().filter(|id| **id != stage.id).cloned().collect();
                let problem = Problem::error(
                    "unknown-stage",
                    format!("`{}` reads `{name}`, but no stage is called so", stage.id),
                )
                .at(origin());
                let help = match suggest(name, others.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the other stages are {}", listed(&others)),
                };
                self.complain(problem.help(help));
            } else if from.iter().take(number).any(|earlier| earlier == name) {
                let problem =
                    Problem::error("duplicate-input", format!("`{}` reads `{name}` twice", stage.id)).at(origin());
                self.complain(problem.help("keep one of the two"));
            }
            inputs.push(index);
        }
        inputs
    }

    /// The place that names an input; of the whole `from` without one.
    fn origin_of_input(&self, stage: &Written, input: Option<usize>, combination: &Combination) -> Option<Origin> {
        let by_axis = wired_by(stage, combination);
        let number = input.map(|number| number.to_string());
        let is_list = |value: Option<&Value>| value.is_some_and(Value::is_array);
        match by_axis {
            Some(setting) => {
                let inside: Vec<&str> =
                    number.iter().map(String::as_str).filter(|_| is_list(Some(&setting.value))).collect();
                setting.place.origin(&inside, self.overlay)
            }
            None => {
                let way = ["stages", stage.id.as_str(), "from"];
                let inside = number.iter().map(String::as_str).filter(|_| is_list(self.overlay.at(&way)));
                let way: Vec<&str> = way.into_iter().chain(inside).collect();
                self.overlay.origin(&way)
            }
        }
    }

    /// The place that sets a parameter, by the way into `with`, or what it stands in; of the stage itself if the way is empty.
    pub(super) fn origin_of_param(&self, stage: &Written, path: &[&str], combination: &Combination) -> Option<Origin> {
        match path {
            [] => self.overlay.key_origin(&["stages", &stage.id]),
            _ => located(self.overlay, &stage.id, path, combination),
        }
    }

    pub(super) fn complain(&mut self, problem: Problem) {
        if !self.problems.0.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// All settings of a combination, in order.
fn settings(combination: &Combination) -> impl Iterator<Item = &Setting> {
    combination.iter().flat_map(|cell| &cell.settings)
}

/// What sets the inputs of a stage, if the combination does.
fn wired_by<'c>(stage: &Written, combination: &'c Combination) -> Option<&'c Setting> {
    settings(combination).filter(|setting| matches!(&setting.target, Target::From(id) if *id == stage.id)).last()
}

/// What of `path` lies inside the place that `target` sets, if it lies there.
fn sets<'p>(target: &Target, stage: &str, path: &'p [&'p str]) -> Option<&'p [&'p str]> {
    match target {
        Target::With(id, way)
            if id == stage && way.len() <= path.len() && way.iter().zip(path).all(|(a, b)| a == b) =>
        {
            path.get(way.len()..)
        }
        _ => None,
    }
}

/// Who set the value at `path` of a stage's `with` in a combination.
fn located(overlay: &Overlay, stage: &str, path: &[&str], combination: &Combination) -> Option<Origin> {
    let all: Vec<&Setting> = settings(combination).collect();
    let by_axis =
        all.iter().rev().find_map(|setting| sets(&setting.target, stage, path).map(|inside| (setting, inside)));
    match by_axis {
        Some((setting, inside)) => setting.place.origin(inside, overlay),
        None => {
            let way: Vec<&str> = ["stages", stage, "with"].into_iter().chain(path.iter().copied()).collect();
            overlay.origin(&way)
        }
    }
}

/// True for what has one line for each row.
pub(super) fn has_rows(port: Port) -> bool {
    matches!(port, Port::Rows | Port::Tokens | Port::Sequence | Port::Features(_) | Port::Model)
}
