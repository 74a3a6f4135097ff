//! `fuseline export`: a fitted pipeline as a folder that `fuseline predict` asks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::StringArray;
use serde_json::Value;

use super::args::{MessageFormat, PipelineArgs};
use super::console::{out, say};
use super::context::{Context, Display};
use super::exit::Exit;
use super::{limits, load_args, lock, run, usage};
use crate::bundle::{
    BUNDLE_FORMAT, Bundle, BundleColumn, BundleError, BundleRows, BundleStage, BundleVariant, Draft, Kind, Occupied,
    write,
};
use crate::fetch::{Fetcher, Silent};
use crate::pipeline::{Node, Pipeline, Variant};
use crate::plan::{Phase, SearchUnit, StageUnit};
use crate::problem::{Problem, Problems};
use crate::record::{MetricSummary, VariantSummary};
use crate::run::{Done, Listeners, Missing, Session, State, Status, Wanted as Units};
use crate::stage::{CHOSEN, FRAME_PARTS, Parts, Port, StageError, Work};
use crate::store::Manifest;
use crate::ui::{Verbosity, bytes, counted};

/// What is to be exported.
pub(super) struct Wanted {
    pub(super) stage: Option<String>,
    pub(super) best: Option<String>,
}

/// Runs the command.
pub(super) fn export(
    context: &Context,
    args: &PipelineArgs,
    wanted: &Wanted,
    folder: &Path,
    occupied: Occupied,
) -> Exit {
    match try_export(context, args, wanted, folder, occupied) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// Scores by metric.
type Scores = BTreeMap<String, MetricSummary>;

fn try_export(
    context: &Context,
    args: &PipelineArgs,
    wanted: &Wanted,
    folder: &Path,
    occupied: Occupied,
) -> Result<Exit, Exit> {
    let pipeline = load_args(context, args)?;
    if args.locked {
        lock::hold(context, &pipeline, Missing::Fetched)?;
    }
    // Before anything runs: it would be a pity to find out afterwards.
    if occupied == Occupied::Refused && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(failed(context, &BundleError::Occupied(folder.to_owned())));
    }
    let stage = stage(context, &pipeline, wanted.stage.as_deref())?;
    let display = context.display();
    let fetcher = context.fetcher();
    let session = Session {
        pipeline: &pipeline,
        store: context.store()?,
        fetcher: &fetcher,
        options: limits::plain(context),
        listener: &Listeners(display.listeners()),
        cancelled: &context.cancelled,
    };
    let asked = Asked { context, session: &session, display: &display };
    let index = asked.variant(&stage, wanted.best.as_deref())?;
    let variant = &pipeline.variants[index];
    let Some(at) = variant.stages.iter().position(|node| node.id == stage) else { return Err(Exit::Usage) };
    // Before anything runs, as far as that can be known.
    for place in path_to(variant, at) {
        fits(&variant.stages[place]).map_err(|error| failed(context, &error))?;
    }
    let scores = asked.scores(index, at)?;
    let done = asked.run(&Units::Fitted { variant: index, at })?;
    let fitted = Fitted { session: &session, fetcher: &fetcher, done: &done, variant, index };
    let draft = fitted.draft(at, scores).map_err(|error| failed(context, &error))?;
    let bundle = write(draft, folder, occupied).map_err(|error| failed(context, &error))?;
    tell(context, &bundle, folder);
    Ok(Exit::Success)
}

/// Tells what is wrong with a bundle, and how the command ends.
pub(super) fn failed(context: &Context, error: &BundleError) -> Exit {
    context.tell(&Problems::from(error.problem()));
    match error {
        BundleError::Damaged { .. } => Exit::Integrity,
        BundleError::Interrupted => Exit::Partial,
        BundleError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::Usage,
        BundleError::NotABundle { .. }
        | BundleError::Occupied(_)
        | BundleError::Version { .. }
        | BundleError::Together { .. }
        | BundleError::Class { .. } => Exit::Usage,
        _ => Exit::StageFailed,
    }
}

/// The stage that predicts: the one asked for, or the only one that nothing but evaluations and reports read.
fn stage(context: &Context, pipeline: &Pipeline, asked: Option<&str>) -> Result<String, Exit> {
    let models: Vec<String> = models(pipeline);
    let named = models.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    match asked {
        Some(stage) => {
            run::known_stage(context, pipeline, stage, &format!("--stage {stage}"))?;
            let nodes = || pipeline.variants.iter().flat_map(|variant| &variant.stages);
            if nodes().any(|node| node.id == stage && node.port == Port::Model) {
                return Ok(stage.to_owned());
            }
            let problem = Problem::error("usage", format!("`{stage}` does not predict"));
            Err(usage(context, problem.note(format!("stages that do: {named}")), &format!("--stage {stage}")))
        }
        None => match models.as_slice() {
            [only] => Ok(only.clone()),
            [] => {
                let problem = Problem::error("usage", "no stage of the pipeline predicts");
                context.tell(&problem.help("add one: `model: { use: train, … }`").into());
                Err(Exit::Usage)
            }
            _ => {
                let problem = Problem::error("usage", format!("several stages predict: {named}"));
                context.tell(&problem.help("choose one with `--stage ID`").into());
                Err(Exit::Usage)
            }
        },
    }
}

/// The models of all variants that no further stage reads.
fn models(pipeline: &Pipeline) -> Vec<String> {
    let mut models: Vec<String> = Vec::new();
    for variant in &pipeline.variants {
        for (at, node) in variant.stages.iter().enumerate().filter(|(_, node)| node.port == Port::Model) {
            let further = |other: &&Arc<Node>| {
                other.inputs.contains(&at) && !matches!(*other.work, Work::Evaluate(_) | Work::Sink(_))
            };
            if !variant.stages.iter().any(|other| further(&other)) && !models.contains(&node.id) {
                models.push(node.id.clone());
            }
        }
    }
    models
}

/// The stages (indices) that lead to one, itself the last.
fn path_to(variant: &Variant, at: usize) -> Vec<usize> {
    let mut needed = vec![false; variant.stages.len()];
    needed[at] = true;
    for place in (0..=at).rev() {
        if needed[place] {
            variant.stages[place].inputs.iter().for_each(|&input| needed[input] = true);
        }
    }
    (0..=at).filter(|&place| needed[place]).collect()
}

/// An error unless a stage can be applied to new rows, each by itself.
fn fits(node: &Node) -> Result<(), BundleError> {
    match &*node.work {
        Work::WholeTable(whole) if !whole.keeps_rows() && whole.alone().is_none() => {
            Err(BundleError::Together { stage: node.id.clone() })
        }
        _ => Ok(()),
    }
}

/// A session, and how what it does is shown.
struct Asked<'a> {
    context: &'a Context,
    session: &'a Session<'a>,
    display: &'a Display,
}

impl Asked<'_> {
    /// Runs what is wanted, to its end.
    fn run(&self, wanted: &Units) -> Result<Done, Exit> {
        let done = self.session.run(wanted);
        self.display.clear();
        let done = done.map_err(|error| self.context.run_failed(&error))?;
        match () {
            () if done.interrupted => Err(Exit::Partial),
            () if done.states.iter().any(|state| matches!(state, State::Failed(_))) => Err(Exit::StageFailed),
            () => Ok(done),
        }
    }

    /// Which variant (index): the only one that has the stage, or the best.
    fn variant(&self, stage: &str, best: Option<&str>) -> Result<usize, Exit> {
        let variants = &self.session.pipeline.variants;
        let with: Vec<usize> =
            (0..variants.len()).filter(|&at| variants[at].stages.iter().any(|node| node.id == stage)).collect();
        match (with.as_slice(), best) {
            ([], _) => {
                let problem = Problem::error("usage", format!("no variant that was chosen has the stage `{stage}`"));
                Err(usage(self.context, problem, &format!("--stage {stage}")))
            }
            ([only], None) => Ok(*only),
            (several, None) => {
                let few: Vec<String> = several.iter().take(8).map(|&at| format!("`{}`", variants[at].label)).collect();
                let more = if several.len() > few.len() { ", …" } else { "" };
                let problem = Problem::error("usage", format!("the pipeline has {} variants", several.len()));
                let problem = problem.note(format!("they are {}{more}", few.join(", ")));
                let problem = problem
                    .help("choose one with `--variant LABEL`, or the best with `--best METRIC`, as `--best f1_macro`");
                self.context.tell(&problem.into());
                Err(Exit::Usage)
            }
            (several, Some(metric)) => self.best(stage, several, metric),
        }
    }

    /// The variant with the best mean of a metric, at equal means the first; points of a learning curve with fewer training rows come
    /// after all others.
    fn best(&self, stage: &str, variants: &[usize], metric: &str) -> Result<usize, Exit> {
        let done = self.run(&Units::Everything)?;
        let all = &self.session.pipeline.variants;
        let mut best: Option<(usize, (bool, f64))> = None;
        let mut known: Vec<&str> = Vec::new();
        for &index in variants {
            let Some(at) = all[index].stages.iter().position(|node| node.id == stage) else { continue };
            let evaluations = evaluations(&all[index], at);
            for of in done.summary.variants.iter().filter(|of| of.id == all[index].id) {
                if !evaluations.contains(&of.evaluation) {
                    continue;
                }
                known.extend(of.metrics.keys().map(String::as_str));
                let value = of
                    .metrics
                    .get(metric)
                    .and_then(|one| one.score().map(|score| if one.higher_is_better { score } else { -score }));
                if let Some(value) = value
                    && let value = (!done.summary.has_fewer_rows(of), value)
                    && best.is_none_or(|(_, known)| value > known)
                {
                    best = Some((index, value));
                }
            }
        }
        known.sort_unstable();
        known.dedup();
        let Some((index, _)) = best else {
            let problem = match known.is_empty() {
                true => Problem::error("usage", format!("nothing evaluates `{stage}`, so no variant is the best"))
                    .help("add a `cross_validate` stage, or choose one with `--variant LABEL`"),
                false => Problem::error("usage", format!("no variant has a value for the metric `{metric}`"))
                    .note(format!("metrics that they have: {}", known.join(", "))),
            };
            return Err(usage(self.context, problem, &format!("--best {metric}")));
        };
        Ok(index)
    }

    /// The scores of a variant that are in the cache, by evaluating stage; nothing runs for them.
    fn scores(&self, index: usize, at: usize) -> Result<BTreeMap<String, Scores>, Exit> {
        let variant = &self.session.pipeline.variants[index];
        let evaluations = evaluations(variant, at);
        let mut scores = BTreeMap::new();
        if evaluations.is_empty() {
            return Ok(scores);
        }
        let look = self.session.look().map_err(|error| self.context.run_failed(&error))?;
        for evaluation in evaluations {
            let wanted: Vec<_> = look
                .plan
                .of_stage(&evaluation, index)
                .filter(|unit| unit.phase == Phase::Score)
                .map(|u| u.unit)
                .collect();
            let needed = look.plan.needed_for(&wanted);
            if wanted.is_empty() || !needed.iter().all(|id| matches!(look.status[id.index()], Status::Hit(_))) {
                continue;
            }
            let done = self.run(&Units::Stage { stage: evaluation.clone(), variant: index, fold: None })?;
            let of = |of: &&VariantSummary| of.id == variant.id && of.evaluation == evaluation;
            if let Some(found) = done.summary.variants.iter().find(of).filter(|found| !found.metrics.is_empty()) {
                scores.insert(evaluation, found.metrics.clone());
            }
        }
        Ok(scores)
    }
}

/// The stages that evaluate a stage.
fn evaluations(variant: &Variant, at: usize) -> Vec<String> {
    let evaluates = |node: &&Arc<Node>| matches!(*node.work, Work::Evaluate(_)) && node.inputs.contains(&at);
    variant.stages.iter().filter(evaluates).map(|node| node.id.clone()).collect()
}

/// A pipeline that has been fitted.
struct Fitted<'a> {
    session: &'a Session<'a>,
    fetcher: &'a Fetcher,
    done: &'a Done,
    variant: &'a Variant,
    index: usize,
}

/// A stage on the way to a model: its node, and the places of those that it reads.
type Step = (Arc<Node>, Vec<usize>);

impl Fitted<'_> {
    /// The stages that lead to one, each once and after those that it reads; a search is what it chose. Gives the place of the
    /// stage itself.
    fn path(&self, variant: &Variant, at: usize, steps: &mut Vec<Step>) -> Result<usize, BundleError> {
        let node = &variant.stages[at];
        if let Work::Search(_) = &*node.work {
            let chosen = self.made(node, Phase::Fit).and_then(|made| made.facts.get(CHOSEN)?.as_u64());
            let searches = variant.searches.iter().find(|(search, _)| *search == at).map(|(_, all)| all.as_slice());
            let candidate = chosen.and_then(|chosen| searches?.get(chosen as usize));
            let Some((candidate, model)) = candidate else {
                return Err(cannot(&node.id, StageError::failed("it chose nothing")));
            };
            return self.path(candidate, *model, steps);
        }
        let mut from = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            from.push(self.path(variant, input, steps)?);
        }
        let known = |(other, reads): &Step| Arc::ptr_eq(&other.work, &node.work) && *reads == from;
        Ok(steps.iter().position(known).unwrap_or_else(|| {
            steps.push((Arc::clone(node), from));
            steps.len() - 1
        }))
    }

    fn draft(&self, at: usize, scores: BTreeMap<String, Scores>) -> Result<Draft, BundleError> {
        let mut steps = Vec::new();
        self.path(self.variant, at, &mut steps)?;
        let (mut stages, mut contents) = (Vec::new(), Vec::new());
        for (node, from) in &steps {
            fits(node)?;
            let mut stage = BundleStage {
                id: node.id.clone(),
                kind: node.kind.name.to_owned(),
                version: node.kind.version,
                params: (*node.params).clone(),
                from: from.clone(),
                ..BundleStage::default()
            };
            let mut learned = Parts::default();
            if let Some(fit) = self.made(node, Phase::Fit) {
                learned = self.session.parts(fit);
                stage.facts.clone_from(&fit.facts);
                stage.warnings.clone_from(&fit.warnings);
            }
            let mut files = Vec::new();
            for need in node.work.stage().files().into_iter().filter(|_| !from.is_empty()) {
                let fetched = self.fetcher.fetch(&need.spec, &Silent)?;
                files.push((need, fetched));
            }
            stages.push(stage);
            contents.push((learned, files));
        }
        let single = self.variant.label.is_empty();
        let model = contents.last().map(|(learned, _)| learned);
        Ok(Draft {
            bundle: Bundle {
                format: BUNDLE_FORMAT,
                fuseline_version: env!("CARGO_PKG_VERSION").to_owned(),
                name: self.session.pipeline.name.clone(),
                seed: self.variant.seed,
                variant: (!single).then(|| BundleVariant {
                    id: self.variant.id.clone(),
                    label: self.variant.label.clone(),
                    params: self.variant.params.clone(),
                }),
                model: stages.last().map_or_else(String::new, |stage| stage.id.clone()),
                classes: model.map(classes).transpose()?.unwrap_or_default(),
                rows: self.rows(&steps)?,
                searches: self.searches(),
                inputs: self.done.summary.inputs.clone(),
                scores,
                numeric: self.done.summary.numeric.clone(),
                check: String::new(),
                stages,
            },
            contents,
        })
    }

    /// What searches said of what they chose.
    fn searches(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let searches = self.done.plan.searches.iter().filter(|search| search.fold.is_none());
        let said = |search: &SearchUnit| {
            let made = self.done.states[search.unit.index()].manifest()?;
            Some((search.stage.clone(), made.facts.clone()))
        };
        searches.filter_map(said).collect()
    }

    /// What a stage made outside all folds.
    fn made(&self, node: &Node, phase: Phase) -> Option<&Manifest> {
        let mut units = self.done.plan.of_stage(&node.id, self.index);
        // A search may have chosen other parameters than the stage has elsewhere.
        let same = |unit: &StageUnit| self.done.plan.unit(unit.unit).params == node.params;
        let unit = units.find(|unit| unit.phase == phase && unit.fold.is_none() && same(unit))?;
        self.done.states[unit.unit.index()].manifest()
    }

    /// What new rows must have.
    fn rows(&self, steps: &[Step]) -> Result<BundleRows, BundleError> {
        let nodes = || steps.iter().map(|(node, _)| node);
        let Some(source) = nodes().next() else { return Ok(BundleRows::default()) };
        let text = match source.params.get("text") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => vec!["text".to_owned()],
        };
        // A stage that begins rows hands columns on; it does not read them.
        let reads = |node: &&Arc<Node>| {
            let stage = node.work.stage();
            stage.keeps_rows() && (0..node.inputs.len()).any(|input| stage.reads(input).contains(&FRAME_PARTS[1]))
        };
        let readers: Vec<Option<Vec<String>>> = nodes().filter(reads).map(|node| node.work.stage().columns()).collect();
        let kept = self.made(source, Phase::Run).map(|made| self.session.parts(made));
        let kept = kept.as_ref().and_then(|parts| parts.part(FRAME_PARTS[1])).filter(|_| !readers.is_empty());
        let Some(kept) = kept else { return Ok(BundleRows { text, columns: Vec::new() }) };
        let table = kept.table().map_err(|error| cannot(&source.id, error))?;
        let wanted =
            |name: &str| readers.iter().any(|names| names.as_ref().is_none_or(|names| names.iter().any(|n| n == name)));
        let fields =
            table.schema_ref().fields().iter().filter(|field| field.name() != "row_id" && wanted(field.name()));
        let columns =
            fields.map(|field| BundleColumn { name: field.name().clone(), kind: Kind::of(field.data_type()) });
        Ok(BundleRows { text, columns: columns.collect() })
    }
}

/// The classes that a model learned; none where it tells no classes apart.
fn classes(learned: &Parts) -> Result<Vec<String>, BundleError> {
    let Some(part) = learned.part("classes") else { return Ok(Vec::new()) };
    let table = part.table().map_err(|error| cannot("model", error))?;
    let names = table.column_by_name("class").and_then(|column| column.as_any().downcast_ref::<StringArray>());
    Ok(names.into_iter().flatten().flatten().map(str::to_owned).collect())
}

fn cannot(stage: &str, error: StageError) -> BundleError {
    BundleError::Stage { stage: stage.to_owned(), error }
}

fn tell(context: &Context, bundle: &Bundle, folder: &Path) {
    if context.format == MessageFormat::Json {
        out(format!("{}\n", serde_json::json!({ "event": "exported", "folder": folder, "bundle": bundle })).as_bytes());
        return;
    }
    if context.look.verbosity == Verbosity::Quiet {
        return;
    }
    let label = bundle.variant.as_ref().map_or_else(String::new, |variant| format!(" ({})", variant.label));
    let rows = bundle.stages.last().and_then(|stage| stage.facts.get("training_rows")).and_then(|rows| rows.as_u64());
    let fitted = rows.map_or_else(String::new, |rows| format!(", fitted on {}", counted(rows, "row")));
    let size = counted(bundle.stages.len() as u64, "stage");
    say(&format!("{}: `{}`{label}, {size}{fitted}, {}", folder.display(), bundle.model, bytes(weight(folder))));
    let columns: Vec<String> = bundle.rows.columns.iter().map(|column| format!("`{}`", column.name)).collect();
    say(&match columns.is_empty() {
        true => format!("`fuseline predict {} < texts.txt` asks it", folder.display()),
        false => {
            format!("`fuseline predict {} rows.jsonl` asks it; rows need {}", folder.display(), columns.join(", "))
        }
    });
}

/// Bytes of all files in a folder.
fn weight(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(stat) if stat.is_dir() => weight(&entry.path()),
        Ok(stat) => stat.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
