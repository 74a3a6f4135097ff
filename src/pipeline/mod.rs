//! What is to be computed: which variants does a pipeline file describe, and which stages has each?
//!
//! [`Pipeline::load`] goes from YAML to resolved variants in five steps, each a module: `document` and `spans` read one file
//! and remember every place; `overlay` puts files and flags on top of each other; `outline` finds the parts; `axes` and
//! `matrix` give the combinations; `resolve` checks and builds the stages of each. `select` chooses among the variants.

mod axes;
mod choice;
mod document;
mod editor;
mod expect;
mod gates;
mod identity;
mod kinds;
mod labels;
mod limit;
mod matrix;
#[cfg(test)]
mod matrix_tests;
mod outline;
mod overlay;
mod paths;
mod resolve;
mod rules;
mod sample;
mod schema;
mod search;
mod select;
mod sets;
mod spans;
mod stage_axes;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod values;
mod wiring;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::problem::{Origin, Problem, Problems};
use crate::record::Selection;
use crate::stage::{Kind, Port, Says, Work};
use crate::table::Digest;
pub use editor::schema;
pub use expect::Expected;
pub use gates::{CONFIDENCE, COSTS, Cost, Gate, Rule};
use kinds::Kinds;
use limit::Limit;
pub use limit::MOST_VARIANTS;
use matrix::Given;
use overlay::Overlay;
use paths::Target;
use resolve::Resolver;
pub use select::Choosing;
pub use stage_axes::Ablation;

/// A pipeline file, checked and resolved.
#[derive(Debug)]
pub struct Pipeline {
    /// What it is called; safe as the name of a folder.
    pub name: String,
    /// The seed of all variants whose axes set no other.
    pub seed: u64,
    /// The file as typed.
    pub file: PathBuf,
    /// The file's folder: where relative paths start, also those in files that it extends.
    pub base: PathBuf,
    /// In the order of the matrix, at least one unless a selection left none; no two resolve alike.
    pub variants: Vec<Variant>,
    /// Whose inputs are left out in turn (`ablate`).
    pub ablations: Vec<Ablation>,
    /// Stages whose number of training rows an axis sets, and the axis.
    pub curves: Vec<(String, String)>,
    /// What its data must be like.
    pub expect: Vec<Expected>,
    /// What must hold of its results.
    pub gates: Vec<Gate>,
    /// What restricted `variants`, if anything did.
    pub selection: Option<Selection>,
    /// Worth a word; nothing here stops a run.
    pub warnings: Problems,
    /// The merged document (files and flags, matrix unexpanded), for the run folder.
    pub resolved_yaml: String,
    /// The flags that gave axes of the matrix other values: the merged document does not show them.
    pub axis_flags: Vec<String>,
    /// All stages of the file in its order, whether or not a variant has them.
    pub stage_order: Vec<String>,
    overlay: Overlay,
    axes: Vec<(Target, Option<Origin>)>,
}

/// One way through the matrix.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The first 12 hexadecimal digits of a hash over kinds, canonical parameters, wiring and seed.
    pub id: String,
    /// For people: `c=1,features=both`; empty for the only variant of a pipeline. No two variants have the same.
    pub label: String,
    /// The labels of combinations that resolve to the same, and so are this variant.
    pub aliases: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// Axis → label of its value, or the value where it has no label.
    pub params: BTreeMap<String, Value>,
    /// Inputs before what reads them, ties in the order of the file; without stages that this variant does not need. A node
    /// is shared by all variants that have the same one.
    pub stages: Vec<Arc<Node>>,
    /// For each search among `stages` (by index): its candidates in order, each a way to resolve the pipeline, and the index of
    /// the model in the candidate's own stages.
    pub searches: Vec<(usize, Vec<(Variant, usize)>)>,
}

/// A stage of a variant.
#[derive(Clone)]
pub struct Node {
    /// The stage's id in the file.
    pub id: String,
    /// Its kind.
    pub kind: &'static Kind,
    /// Indices into [`Variant::stages`], in the order of `from`.
    pub inputs: Vec<usize>,
    /// Canonical parameters, as they enter the key.
    pub params: Arc<Value>,
    /// The built stage; shared with every variant in which it is the same.
    pub work: Arc<Work>,
    /// The digest of kind, version, canonical parameters and sources: all that decides what it makes of its inputs.
    pub content: Digest,
    /// What it gives.
    pub port: Port,
    /// What it says of a row, where it is a model and that is known before it runs.
    pub says: Option<Says>,
    /// Index of the stage that last began rows: stages of one frame have the same rows in the same order.
    pub frame: usize,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("kind", &self.kind.name)
            .field("inputs", &self.inputs)
            .field("params", &self.params)
            .field("port", &self.port)
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Reads, checks and resolves a file, what it extends, and the values of the `--set` flags (each `PATH=VALUE`).
    ///
    /// All problems are reported at once, in the order of the file.
    pub fn load(file: &Path, sets: &[String], kinds: &'static [Kind]) -> Result<Pipeline, Problems> {
        Pipeline::load_some(file, sets, kinds, &Choosing::default())
    }

    /// The same, with those variants alone that are asked for, of which there may be a bounded number.
    pub fn load_some(
        file: &Path,
        sets: &[String],
        kinds: &'static [Kind],
        choosing: &Choosing<'_>,
    ) -> Result<Pipeline, Problems> {
        let base = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Pipeline::load_at(file, base, sets, kinds, choosing)
    }

    /// The same for a file whose relative paths start at `base`: a pipeline as it was run, in a run folder.
    pub fn load_at(
        file: &Path,
        base: &Path,
        sets: &[String],
        kinds: &'static [Kind],
        choosing: &Choosing<'_>,
    ) -> Result<Pipeline, Problems> {
        let kinds = Kinds::of(kinds);
        let mut overlay = Overlay::load(file, &kinds)?;
        let mut problems = Problems::default();
        let axis_flags = sets.iter().filter(|set| set.trim_start().starts_with("matrix.")).cloned().collect();
        let sets = sets::apply(&mut overlay, sets, &kinds, &mut problems);
        let outline = outline::read(&overlay, &kinds, &mut problems);
        let expect = expect::read(&overlay, &mut problems);
        let gates = gates::read(&overlay, &mut problems);
        let before = problems.0.len();
        let (axes, ablations) = axes::read(&overlay, &kinds, &sets, &mut problems);
        let limit = Limit { most: choosing.most as u64, narrowed: choosing.narrows() };
        let given = Given { axes: &axes, overlay: &overlay, kinds: &kinds, sets: &sets, seed: outline.seed };
        let mut combinations = matrix::read(&given, &limit, &mut problems);
        let whole = problems.0.len() == before;
        if !whole {
            combinations = vec![Vec::new()];
        }
        let mut resolver = Resolver::new(&overlay, &kinds, &outline, base, whole, &mut problems);
        let variants = resolver.variants(&combinations);
        let warnings = resolver.warnings;
        if problems.any_error() {
            return Err(in_order(problems));
        }
        let (variants, selection) = select::select(variants, choosing)?;
        let count = variants.len() as u64;
        if count > limit.most {
            return Err(limit.refused(&format!("{count} variants"), count, limit.most, &overlay, &axes).into());
        }
        let targets =
            axes.iter().flat_map(|axis| axis.targets.all().iter().map(|target| (target.clone(), axis.at.clone())));
        Ok(Pipeline {
            name: outline.name,
            seed: outline.seed,
            file: file.to_owned(),
            base: base.to_owned(),
            variants,
            ablations,
            curves: axes.iter().flat_map(stage_axes::curves).collect(),
            expect,
            gates,
            selection,
            warnings: in_order(warnings),
            resolved_yaml: overlay.to_yaml(),
            axis_flags,
            stage_order: outline.stages.into_iter().map(|stage| stage.id).collect(),
            axes: targets.collect(),
            overlay,
        })
    }

    /// The variant that differs from another in the value of one axis alone; `None` where there is none, or it is not among
    /// [`Pipeline::variants`].
    pub fn sibling(&self, variant: &Variant, axis: &str, value: &str) -> Option<usize> {
        let (axis, value) = (labels::name(axis), labels::name(value));
        let settings = labels::settings(&variant.label)?;
        let other: Vec<String> = settings
            .iter()
            .map(|(name, own)| format!("{name}={}", if *name == axis { value.as_str() } else { own }))
            .collect();
        let label = other.join(",");
        self.variants.iter().position(|variant| variant.label == label || variant.aliases.contains(&label))
    }

    /// The label of a variant without the setting of one axis.
    pub fn label_without(&self, variant: &Variant, axis: &str) -> String {
        let axis = labels::name(axis);
        let settings = labels::settings(&variant.label).unwrap_or_default();
        let others: Vec<String> =
            settings.iter().filter(|(name, _)| *name != axis).map(|(name, own)| format!("{name}={own}")).collect();
        others.join(",")
    }

    /// The files that it is written in: itself, and all that it extends.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.overlay.files()
    }

    /// Who set the seed; where nobody did, the file.
    pub fn seed_origin(&self) -> Option<Origin> {
        let by_axis = self.axes.iter().find(|(target, _)| *target == Target::Seed);
        by_axis.map_or_else(|| self.overlay.origin(&["seed"]), |(_, at)| at.clone())
    }

    /// Who set the value at `param` (the way into `with`; empty for the stage itself): a place in a file, a flag, or the axis
    /// of the matrix. Where nobody set it, the nearest enclosing place. `None` for a stage that the file does not have.
    pub fn origin(&self, stage: &str, param: &[&str]) -> Option<Origin> {
        self.overlay.at(&["stages", stage])?;
        if param.is_empty() {
            return self.overlay.key_origin(&["stages", stage]);
        }
        let wanted = Target::With(stage.to_owned(), param.iter().map(|part| (*part).to_owned()).collect());
        let by_axis =
            self.axes.iter().find(|(target, _)| target.overlaps(&wanted) && target.path().len() <= wanted.path().len());
        if let Some((_, at)) = by_axis {
            return at.clone();
        }
        let way: Vec<&str> = ["stages", stage, "with"].into_iter().chain(param.iter().copied()).collect();
        self.overlay.origin(&way)
    }
}

/// Problems in the order of the file; those without a place first.
fn in_order(mut problems: Problems) -> Problems {
    let place = |problem: &Problem| match &problem.origin {
        Some(Origin::File { file, line, column, .. }) => (1, Some(file.clone()), *line, *column),
        Some(Origin::Flag { .. } | Origin::Env { .. }) => (2, None, 0, 0),
        Some(Origin::WholeFile { .. }) | None => (0, None, 0, 0),
    };
    problems.0.sort_by_key(place);
    problems
}
