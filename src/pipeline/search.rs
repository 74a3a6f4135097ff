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
use crate::stage::{Candidate, Work};

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
                let model = *searching.inputs.first()?;
                candidates.push((variant, model));
            }
            all.push((at, candidates));
        }
        Some(all)
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
                    let origin = ["grid", "random"].iter().find_map(|how| {
                        let way: &[&str] = match *how {
                            "grid" => &["stages", search, "with", "grid", path],
                            _ => &["stages", search, "with", "random", "space", path],
                        };
                        self.overlay.at(way).and_then(|_| self.overlay.key_origin(way))
                    });
                    let origin = origin.or_else(|| self.overlay.key_origin(&["stages", search]));
                    self.complain(problem.at(origin));
                    return None;
                }
            }
        }
        Some(whole)
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
        let known = (path.to_owned(), value.to_string());
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
        let place = Place::file(&["stages", search, "with"]);
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
