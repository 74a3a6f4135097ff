//! Which ledgers does a plan need, and what do they read? One for each frame of texts and evaluation of it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::json;

use super::{Lift, Lifting};
use crate::pipeline::Node;
use crate::plan::{Input, LedgerUnits, Phase, Reads, Role, UnitId};
use crate::stage::{Port, Work};
use crate::stages::{self, ledger};
use crate::table::Digest;

/// What is to be looked at, gathered variant by variant.
#[derive(Default)]
pub(super) struct Books {
    frames: Vec<Frame>,
    places: FxHashMap<(UnitId, Option<UnitId>), usize>,
    /// The surveys of built stages, by the stage.
    surveys: FxHashMap<Digest, Option<Arc<Node>>>,
}

/// A frame, and how it is divided.
struct Frame {
    node: Arc<Node>,
    unit: UnitId,
    profile: UnitId,
    evaluation: Option<(Arc<Node>, UnitId)>,
    surveys: Vec<UnitId>,
    variants: Vec<usize>,
}

impl<'a> Lift<'a> {
    /// Notes the frames of a variant: those that are evaluated, or else those that it ends with.
    pub(super) fn look_at(&mut self, of: &mut Lifting<'a>) {
        let nodes = &of.variant.stages;
        let first = self.evaluations.partition_point(|evaluation| evaluation.variant < of.index);
        let evaluated: Vec<(usize, usize, UnitId)> = self.evaluations[first..]
            .iter()
            .filter_map(|evaluation| {
                let at = nodes.iter().position(|node| node.id == evaluation.stage)?;
                Some((nodes[*nodes[at].inputs.first()?].frame, at, evaluation.split))
            })
            .collect();
        for &(frame, at, split) in &evaluated {
            self.look_at_frame(of, frame, Some((at, split)));
        }
        if evaluated.is_empty() {
            let mut frames: Vec<usize> = nodes.iter().map(|node| node.frame).collect();
            frames.sort_unstable();
            frames.dedup();
            // Rows that another stage begins anew are looked at there.
            let goes_on = |frame: usize| {
                nodes
                    .iter()
                    .any(|node| node.frame != frame && node.inputs.iter().any(|&from| nodes[from].frame == frame))
            };
            for frame in frames.into_iter().filter(|&frame| !goes_on(frame)) {
                self.look_at_frame(of, frame, None);
            }
        }
    }

    fn look_at_frame(&mut self, of: &mut Lifting<'a>, at: usize, evaluated: Option<(usize, UnitId)>) {
        let nodes = &of.variant.stages;
        // What the frames of other kinds hold is not known.
        if nodes[at].port != Port::Rows || stages::kind(nodes[at].kind.name).is_none() {
            return;
        }
        let unit = self.node(of, at, None);
        let surveys = self.surveys(of, at);
        let place = (unit, evaluated.map(|(_, split)| split));
        let number = match self.books.places.get(&place) {
            Some(&number) => number,
            None => {
                let profile = self.profile(of, at, unit);
                let evaluation = evaluated.map(|(at, split)| (Arc::clone(&nodes[at]), split));
                let node = Arc::clone(&nodes[at]);
                let frame = Frame { node, unit, profile, evaluation, surveys: Vec::new(), variants: Vec::new() };
                self.books.frames.push(frame);
                self.books.places.insert(place, self.books.frames.len() - 1);
                self.books.frames.len() - 1
            }
        };
        let frame = &mut self.books.frames[number];
        frame.surveys.extend(surveys);
        frame.variants.push(of.index);
        let variants = &mut self.graph[frame.profile].variants;
        if variants.last() != Some(&of.index) {
            variants.push(of.index);
        }
    }

    /// The unit that looks at each text of a frame.
    pub(super) fn profile(&mut self, of: &Lifting<'a>, at: usize, frame: UnitId) -> UnitId {
        let node = looking(&of.variant.stages[at].id, "profile", ledger::profile());
        let text = Input { unit: frame, role: Role::Input(0), reads: Reads::Patterns(&["text"]) };
        self.unit(of, &node, Phase::Profile, None, vec![text])
    }

    /// The surveys of a frame's stages in this variant.
    fn surveys(&mut self, of: &mut Lifting<'a>, frame: usize) -> Vec<UnitId> {
        let mut units = Vec::new();
        for (at, node) in of.variant.stages.iter().enumerate() {
            if node.frame != frame || of.learns[at] || !matches!(*node.work, Work::RowWise(_)) {
                continue;
            }
            let survey = self.books.surveys.entry(node.content).or_insert_with(|| surveying(node));
            if let Some(survey) = survey.clone() {
                let inputs = self.inputs(of, at, None);
                units.push(self.unit(of, &survey, Phase::Survey, None, inputs));
            }
        }
        units
    }

    /// Adds the units that count, once all variants are known.
    pub(super) fn ledgers(&mut self) -> Vec<LedgerUnits> {
        let frames = std::mem::take(&mut self.books.frames);
        frames.into_iter().map(|frame| self.ledger(frame)).collect()
    }

    fn ledger(&mut self, mut frame: Frame) -> LedgerUnits {
        frame.surveys.sort_unstable();
        frame.surveys.dedup();
        let evaluation = frame.evaluation.as_ref().map(|(node, _)| node.id.clone());
        let node = looking(evaluation.as_ref().unwrap_or(&frame.node.id), "ledger", ledger::ledger());
        let rows = |unit, reads| Input { unit, role: Role::Input(0), reads: Reads::Patterns(reads) };
        let mut inputs =
            vec![rows(frame.unit, &["text", "target", "notes"]), rows(frame.profile, &["profile", "near"])];
        inputs.extend(frame.evaluation.iter().map(|(_, split)| rows(*split, &["fold."])));
        for (number, &unit) in frame.surveys.iter().enumerate() {
            inputs.push(Input { unit, role: Role::Input(number + 1), reads: Reads::Patterns(&["notes"]) });
        }
        let unit = self.unit_like(&node, Phase::Ledger, None, None, inputs);
        self.graph[unit].variants.extend(&frame.variants);
        self.graph[unit].variants.sort_unstable();
        self.graph[unit].variants.dedup();
        LedgerUnits {
            stage: frame.node.id.clone(),
            evaluation,
            surveyed: frame.surveys.iter().map(|&survey| self.graph[survey].stage.clone()).collect(),
            variants: frame.variants,
            unit,
            frame: frame.unit,
        }
    }
}

/// A node that no file has.
fn looking(stage: &str, what: &str, work: Work) -> Node {
    Node {
        id: stage.to_owned(),
        kind: &ledger::KIND,
        inputs: Vec::new(),
        params: Arc::new(json!({})),
        work: Arc::new(work),
        content: Digest::of(format!("{} {} {what}", ledger::KIND.name, ledger::KIND.version).as_bytes()),
        port: Port::Rows,
        says: None,
        frame: 0,
    }
}

/// What a stage says of itself before it works, as a node.
fn surveying(node: &Node) -> Option<Arc<Node>> {
    let Work::RowWise(stage) = &*node.work else { return None };
    let (work, params) = stage.survey()?;
    let files: Vec<String> = work.files().iter().map(|need| need.spec.to_string()).collect();
    let content = json!(["survey", node.kind.name, node.kind.version, params, files]).to_string();
    Some(Arc::new(Node {
        work: Arc::new(Work::RowWise(work)),
        params: Arc::new(params),
        content: Digest::of(content.as_bytes()),
        ..node.clone()
    }))
}
