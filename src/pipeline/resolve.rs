//! Which stages does a variant have, checked and built, and what flows between them?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::kinds::Kinds;
use super::matrix::Combination;
use super::outline::{Outline, Written, wires};
use super::overlay::{Overlay, put};
use super::paths::{Target, listed, problem};
use super::wiring::{Wired, Wiring};
use super::{Node, Variant, identity};
use crate::problem::{Origin, Problem, Problems, suggest};
use crate::stage::{Built, Port, Scope, Work};

/// Once so many problems are known, no further variant is looked at.
const ENOUGH: usize = 100;

/// A built stage and its canonical parameters.
type Ready = (Arc<Work>, Value);

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
    built: BTreeMap<(usize, String), Option<Ready>>,
    used: BTreeSet<usize>,
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
        let (warnings, built, used) = (Problems::default(), BTreeMap::new(), BTreeSet::new());
        Resolver { overlay, kinds, outline, base, whole, problems, warnings, built, used }
    }

    /// The variants of the combinations; two that resolve alike are one, under the first label.
    pub(super) fn variants(&mut self, combinations: &[Combination]) -> Vec<Variant> {
        let read = self.ever_read(combinations);
        let mut variants: Vec<Variant> = Vec::new();
        let mut seen = BTreeSet::new();
        for combination in combinations {
            if self.problems.0.len() >= ENOUGH {
                break;
            }
            if let Some(variant) = self.variant(combination, &read)
                && seen.insert(variant.id.clone())
            {
                variants.push(variant);
            }
        }
        if let [only] = variants.as_mut_slice() {
            only.label = String::new();
        }
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

    /// The stages that some stage reads in some variant, or would read if no axis changed its inputs.
    fn ever_read(&self, combinations: &[Combination]) -> BTreeSet<String> {
        let by_axes = combinations.iter().flatten().filter(|cell| matches!(cell.target, Target::From(_)));
        let by_axes = by_axes.flat_map(|cell| wires(&cell.choice.value).unwrap_or_default());
        self.outline.stages.iter().flat_map(|stage| stage.from.clone()).chain(by_axes).collect()
    }

    fn variant(&mut self, combination: &Combination, read: &BTreeSet<String>) -> Option<Variant> {
        let outline = self.outline;
        let found = self.problems.0.len();
        let mut seed = outline.seed;
        for cell in combination.iter().filter(|cell| cell.target == Target::Seed) {
            seed = cell.choice.value.as_u64().unwrap_or(seed);
        }
        let built: Vec<Option<Ready>> =
            outline.stages.iter().enumerate().map(|(index, stage)| self.stage(index, stage, combination)).collect();
        let inputs: Vec<Vec<Option<usize>>> =
            outline.stages.iter().map(|stage| self.inputs(stage, combination)).collect();
        let known = |(built, stage): (&'_ Option<Ready>, &Written)| stage.wired.then(|| built.clone()).flatten();
        let wired: Vec<_> = built.iter().zip(&outline.stages).map(known).collect();
        let works: Vec<Option<&Work>> =
            wired.iter().map(|built| built.as_ref().map(|(work, _)| work.as_ref())).collect();
        let at =
            |stage: usize, input: Option<usize>| self.origin_of_input(outline.stages.get(stage)?, input, combination);
        let ids: Vec<&str> = outline.stages.iter().map(|stage| stage.id.as_str()).collect();
        let mut wiring = Wiring { ids: &ids, works: &works, inputs: &inputs, at: &at, problems: Problems::default() };
        let wired = wiring.resolve();
        for problem in wiring.problems.0 {
            self.complain(problem);
        }
        let wired = wired?;
        if self.problems.0.len() > found || self.problems.any_error() {
            return None;
        }
        let stages = self.kept(&wired, &built, read)?;
        let label = combination.iter().map(|cell| format!("{}={}", cell.axis, cell.choice.label)).collect::<Vec<_>>();
        let params = combination.iter().map(|cell| (cell.axis.clone(), cell.choice.shown())).collect();
        Some(Variant { id: identity::of(&stages, seed), label: label.join(","), seed, params, stages })
    }

    /// The stages that something for people, or an evaluation, depends on, in topological order. Where there is neither, all
    /// that leads to a stage which no stage ever reads.
    fn kept(&mut self, wired: &Wired, built: &[Option<Ready>], read: &BTreeSet<String>) -> Option<Vec<Node>> {
        let ends = |index: &usize| {
            let work = built.get(*index).and_then(Option::as_ref).map(|(work, _)| work.as_ref());
            matches!(work, Some(Work::Sink(_) | Work::Evaluate(_)))
        };
        let last = |index: &usize| self.outline.stages.get(*index).is_some_and(|stage| !read.contains(&stage.id));
        let mut needed: BTreeSet<usize> = wired.order.iter().copied().filter(ends).collect();
        if needed.is_empty() {
            needed = wired.order.iter().copied().filter(last).collect();
        }
        for index in wired.order.iter().rev() {
            if needed.contains(index) {
                needed.extend(wired.inputs.get(*index).into_iter().flatten().copied());
            }
        }
        self.used.extend(&needed);
        let order: Vec<usize> = wired.order.iter().copied().filter(|index| needed.contains(index)).collect();
        let place: BTreeMap<usize, usize> = order.iter().enumerate().map(|(place, index)| (*index, place)).collect();
        let node = |index: &usize| {
            let stage = self.outline.stages.get(*index)?;
            let (work, params) = built.get(*index)?.clone()?;
            let inputs =
                wired.inputs.get(*index)?.iter().map(|input| place.get(input).copied()).collect::<Option<Vec<_>>>()?;
            Some(Node {
                id: stage.id.clone(),
                kind: stage.kind?,
                inputs,
                params,
                work,
                port: *wired.ports.get(*index)?,
                frame: *place.get(wired.frames.get(*index)?)?,
            })
        };
        order.iter().map(node).collect()
    }

    /// Checks the parameters of a stage and builds it, once for all variants in which it is the same.
    fn stage(&mut self, index: usize, stage: &Written, combination: &Combination) -> Option<Ready> {
        let mut with = stage.with.clone();
        for cell in combination {
            if let Target::With(id, way) = &cell.target
                && *id == stage.id
            {
                put(&mut with, way, cell.choice.value.clone());
            }
        }
        let key = (index, with.to_string());
        if let Some(known) = self.built.get(&key) {
            return known.clone();
        }
        let built = self.build(stage, with, combination).map(|built| (Arc::new(built.work), built.params));
        self.built.insert(key, built.clone());
        built
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
        let by_axis = combination.iter().any(|cell| sets(&cell.target, &stage.id, path).is_some());
        if at_key && !by_axis {
            let way: Vec<&str> = ["stages", &stage.id, "with"].into_iter().chain(path.iter().copied()).collect();
            return self.overlay.key_origin(&way);
        }
        located(self.overlay, &stage.id, path, combination)
    }

    /// The places in the file of the stages that a stage reads; `None` for one that does not exist, which is said here.
    fn inputs(&mut self, stage: &Written, combination: &Combination) -> Vec<Option<usize>> {
        let by_axis = combination.iter().rfind(|cell| cell.target == Target::From(stage.id.clone()));
        let from = match by_axis {
            Some(cell) => wires(&cell.choice.value).unwrap_or_default(),
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
        let by_axis = combination.iter().rfind(|cell| cell.target == Target::From(stage.id.clone()));
        let number = input.map(|number| number.to_string());
        let is_list = |value: Option<&Value>| value.is_some_and(Value::is_array);
        match by_axis {
            Some(cell) => {
                let inside: Vec<&str> =
                    number.iter().map(String::as_str).filter(|_| is_list(Some(&cell.choice.value))).collect();
                cell.choice.place.origin(&inside, self.overlay)
            }
            None => {
                let way = ["stages", stage.id.as_str(), "from"];
                let inside = number.iter().map(String::as_str).filter(|_| is_list(self.overlay.at(&way)));
                let way: Vec<&str> = way.into_iter().chain(inside).collect();
                self.overlay.origin(&way)
            }
        }
    }

    fn complain(&mut self, problem: Problem) {
        if !self.problems.0.contains(&problem) {
            self.problems.push(problem);
        }
    }
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
    let by_axis =
        combination.iter().rev().find_map(|cell| sets(&cell.target, stage, path).map(|inside| (cell, inside)));
    match by_axis {
        Some((cell, inside)) => cell.choice.place.origin(inside, overlay),
        None => {
            let way: Vec<&str> = ["stages", stage, "with"].into_iter().chain(path.iter().copied()).collect();
            overlay.origin(&way)
        }
    }
}

/// True for what has one line for each row.
pub(super) fn has_rows(port: Port) -> bool {
    matches!(port, Port::Rows | Port::Tokens | Port::Features(_) | Port::Model)
}
