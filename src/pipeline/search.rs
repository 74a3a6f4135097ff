//! Which ways to resolve the pipeline do the candidates of a search come to?

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::axes;
use super::matrix::{Cell, Combination};
use super::paths::{Target, listed};
use super::resolve::Resolver;
use super::values::{Place, Targets};
use super::{Node, Variant};
use crate::problem::Problem;
use crate::stage::{Candidate, Fault, Says, Unfit, Work};

/// Candidates' cells are numbered from here up: no matrix has so many.
const FIRST: usize = usize::MAX / 2;

/// The candidates of searches, by the searching node.
type Searches = Vec<(usize, Vec<(Variant, usize)>)>;

impl Resolver<'_> {
    /// The candidates of all searches among `stages`; of those above the stage `below` alone, if one is named.
    pub(super) fn searches(
        &mut self,
        combination: &Combination,
        stages: &[Arc<Node>],
        below: Option<&str>,
        read: &BTreeSet<String>,
    ) -> Option<Searches> {
        let mut all = Searches::new();
        let inside = below.map(|id| above(stages, id));
        for (at, node) in stages.iter().enumerate() {
            let Work::Search(search) = &*node.work else { continue };
            if inside.as_ref().is_some_and(|inside| !inside[at]) {
                continue;
            }
            let reachable = above(stages, &node.id);
            let named = |id: &str| stages.iter().zip(&reachable).any(|(stage, above)| *above && stage.id == id);
            let mut candidates = Vec::with_capacity(search.candidates().len());
            for candidate in search.candidates() {
                let found = self.candidate(combination, &node.id, candidate, &named)?;
                let (_, variant) = self.variant(&found, Some(&node.id), read)?;
                let searching = variant.stages.iter().find(|stage| stage.id == node.id)?;
                let frames = [(stages, node.frame), (variant.stages.as_slice(), searching.frame)];
                if !alike(frames[0], frames[1]) {
                    self.other_rows(&node.id, candidate, frames);
                    return None;
                }
                let model = *searching.inputs.first()?;
                candidates.push((variant, model));
            }
            let says: Vec<Option<Says>> =
                candidates.iter().map(|(variant, model)| variant.stages.get(*model)?.says).collect();
            if let Err(unfit) = search.measures(&says) {
                self.idle(&node.id, unfit, combination);
                return None;
            }
            all.push((at, candidates));
        }
        Some(all)
    }

    /// Says that a search cannot score what it tries.
    fn idle(&mut self, search: &str, unfit: Unfit, combination: &Combination) {
        let way: Vec<&str> = match &unfit.at {
            Fault::Param(path) => path.iter().map(String::as_str).collect(),
            Fault::Input(..) => Vec::new(),
        };
        let written = self.outline.stages.iter().find(|stage| stage.id == search);
        let origin = written.and_then(|stage| self.origin_of_param(stage, &way, combination));
        let problem = Problem::error("unfit", format!("`{search}`: {}", unfit.message)).at(origin);
        self.complain(unfit.help.into_iter().fold(problem, Problem::help));
    }

    /// The combination that a candidate is; `None` if it cannot be, which is said here.
    fn candidate(
        &mut self,
        combination: &Combination,
        search: &str,
        candidate: &Candidate,
        above: &dyn Fn(&str) -> bool,
    ) -> Option<Combination> {
        let mut whole = combination.clone();
        for (path, value) in candidate {
            match self.cell(combination, search, path, value, above) {
                Ok(cell) => whole.push(cell),
                Err(problem) => {
                    let origin = problem.origin.clone().or_else(|| self.overlay.key_origin(&self.way(search, path)));
                    self.complain(problem.at(origin));
                    return None;
                }
            }
        }
        Some(whole)
    }

    /// The way to what a search tries for `path`.
    fn way<'p>(&self, search: &'p str, path: &'p str) -> Vec<&'p str> {
        let grid = vec!["stages", search, "with", "grid", path];
        match self.overlay.at(&grid) {
            Some(_) => grid,
            None => vec!["stages", search, "with", "random", "space", path],
        }
    }

    /// Says that a candidate has other rows than the search: each has those of a stage that began them.
    fn other_rows(&mut self, search: &str, candidate: &Candidate, frames: [(&[Arc<Node>], usize); 2]) {
        let decides = |path: &str| {
            let stage = path.split('.').next().unwrap_or_default();
            let of = |&(stages, frame): &(&[Arc<Node>], usize)| {
                let begins = &stages[frame].id;
                let above = above(stages, begins);
                let reads = stages.iter().zip(&above).any(|(node, above)| *above && node.id == stage);
                (reads || begins == stage).then(|| begins.clone())
            };
            frames.iter().find_map(of)
        };
        let found = candidate.iter().find_map(|(path, _)| Some((path.as_str(), decides(path)?)));
        let (path, begins) = found.unwrap_or_else(|| (candidate[0].0.as_str(), frames[0].0[frames[0].1].id.clone()));
        let message = format!("`{search}` tries values of `{path}`, which changes the rows that `{begins}` gives");
        let problem = Problem::error("bad-path", message).at(self.overlay.key_origin(&self.way(search, path)));
        self.complain(problem.help("a search compares candidates on the same rows; make it an axis of the `matrix`"));
    }

    /// What sets `path` to a candidate's value. The problem has no place yet.
    fn cell(
        &mut self,
        combination: &Combination,
        search: &str,
        path: &str,
        value: &Value,
        above: &dyn Fn(&str) -> bool,
    ) -> Result<Arc<Cell>, Box<Problem>> {
        let known = [search.to_owned(), path.to_owned(), value.to_string()];
        if let Some(cell) = self.tried.get(&known) {
            return Ok(Arc::clone(cell));
        }
        let target = axes::target(path, self.overlay, self.kinds)?;
        let stage = match &target {
            Target::From(stage) | Target::With(stage, _) => stage.as_str(),
            Target::Name | Target::Seed => "",
        };
        if !above(stage) {
            let message = format!("`{search}` tries values of `{path}`, but does not read what that sets");
            let stages: Vec<String> =
                self.outline.stages.iter().map(|stage| stage.id.clone()).filter(|id| above(id)).collect();
            let help = format!("it reads {}, directly or not", listed(&stages));
            return Err(Box::new(Problem::error("bad-path", message).help(help)));
        }
        let by_axis = combination.iter().find(|cell| cell.settings.iter().any(|one| one.target.overlaps(&target)));
        if let Some(axis) = by_axis {
            let message = format!("`{search}` tries values of `{path}`, which the axis `{}` sets", axis.axis);
            return Err(Box::new(Problem::error("axis-clash", message).help("leave it to one of the two")));
        }
        let targets = Targets::One(target);
        let way = self.way(search, path);
        let among = self.overlay.at(&way).and_then(Value::as_array);
        let item = among.and_then(|values| values.iter().position(|one| one == value));
        let place = Place::file(&way);
        let place = item.map_or(place.clone(), |item| place.item(item));
        let choice = targets.choice(path, value, place)?;
        axes::fits(path, &targets, &choice, self.overlay)?;
        let cell = Cell::new(FIRST + self.tried.len(), path, &targets, choice);
        self.tried.insert(known, Arc::clone(&cell));
        Ok(cell)
    }
}

/// For each stage: does the stage called `id` read it, directly or not?
fn above(stages: &[Arc<Node>], id: &str) -> Vec<bool> {
    let mut above = vec![false; stages.len()];
    for (at, node) in stages.iter().enumerate().rev() {
        if above[at] || node.id == id {
            node.inputs.iter().for_each(|&input| above[input] = true);
        }
    }
    above
}

/// True if two stages, each named by its place among those of a variant, do the same to the same.
fn alike(one: (&[Arc<Node>], usize), other: (&[Arc<Node>], usize)) -> bool {
    let (a, b) = (&one.0[one.1], &other.0[other.1]);
    let mut inputs = a.inputs.iter().zip(&b.inputs);
    a.content == b.content
        && a.inputs.len() == b.inputs.len()
        && inputs.all(|(&from, &of)| alike((one.0, from), (other.0, of)))
}
