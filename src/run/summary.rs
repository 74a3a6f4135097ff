//! What did the run come to? Builds `summary.json`'s contents from the units' ends.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::files::{Gathered, needs, one_archive};
use super::session::{Evaluated, Scored};
use super::states::States;
use crate::machine::Machine;
use crate::ml::stats;
use crate::pipeline::{Pipeline, Variant};
use crate::plan::{EvaluationUnits, Phase, Plan, SearchUnit, Unit, UnitId};
use crate::record::{
    BaselineSummary, Chosen, ClassSummary, InputSummary, MetricSummary, ModelSummary, Outcome, RunManifest, RunUnit, Status, Summary,
    Totals, UnitSummary, VariantSummary,
};
use crate::stage::{Part, Parts, StageError, Work};
use crate::store::Manifest;
use crate::table::scores::{self, FoldMetric};

/// A run that has ended.
pub(super) struct Run<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) plan: &'a Plan,
    pub(super) units: &'a [UnitId],
    pub(super) states: &'a States,
    pub(super) files: &'a Gathered,
    pub(super) machine: &'a Machine,
    pub(super) evaluations: &'a Evaluated,
    pub(super) interrupted: bool,
    pub(super) seconds: f64,
}

/// Its summary.
pub(super) fn summary(run: &Run<'_>) -> Summary {
    let units: Vec<UnitSummary> = run.units.iter().map(|&id| unit(run, run.plan.unit(id))).collect();
    let count = |outcome| units.iter().filter(|unit| unit.outcome == outcome).count() as u64;
    let totals = Totals {
        ran: count(Outcome::Ran),
        reused: count(Outcome::Reused),
        failed: count(Outcome::Failed),
        skipped: count(Outcome::Skipped),
        seconds: run.seconds,
    };
    let data = super::ledger::data(run);
    let variants = variants(run);
    let mut warnings = warnings(run);
    warnings.extend(super::ledger::told(&data));
    let status = match () {
        () if run.interrupted => Status::Interrupted,
        () if totals.failed + totals.skipped > 0 => Status::Failed,
        () => Status::Complete,
    };
    Summary {
        name: run.pipeline.name.clone(),
        fuseline_version: env!("CARGO_PKG_VERSION").to_owned(),
        status,
        seed: run.pipeline.seed,
        selection: run.pipeline.selection.clone(),
        ranked_by: ranked_by(run.pipeline),
        numeric: run.machine.classes(),
        comparisons: Vec::new(),
        best: Vec::new(),
        baselines: baselines(run),
        against_baselines: Vec::new(),
        not_compared: Vec::new(),
        contributions: super::contribution::contributions(run, &variants, &units),
        learning_curves: super::contribution::learning_curves(run, &variants),
        variants,
        inputs: inputs(run),
        models: models(run),
        expectations: super::ledger::expectations(run.pipeline, &data),
        warnings,
        data,
        totals,
        units,
    }
}

/// The metric of the first report that names one; reports are the same in all variants.
fn ranked_by(pipeline: &Pipeline) -> Option<String> {
    let nodes = pipeline.variants.iter().flat_map(|variant| &variant.stages);
    nodes
        .filter_map(|node| if let Work::Sink(sink) = &*node.work { sink.ranks_by() } else { None })
        .next()
        .map(str::to_owned)
}

/// What each unit made, in an order in which each stands after what it reads.
pub(super) fn manifest(pipeline: &Pipeline, plan: &Plan, units: &[UnitId], states: &States) -> RunManifest {
    let base = pipeline.base.canonicalize().unwrap_or_else(|_| pipeline.base.clone());
    let of = |&id: &UnitId| {
        let unit = plan.unit(id);
        let made = states.of(unit).manifest()?;
        Some(RunUnit {
            stage: unit.stage.clone(),
            kind: unit.kind.name.to_owned(),
            phase: unit.phase.as_str().to_owned(),
            fold: unit.fold.as_ref().and_then(|fold| fold.number),
            inner: unit.fold.as_ref().map(|fold| fold.inner.clone()).unwrap_or_default(),
            variants: unit.variants.iter().map(|&v| pipeline.variants[v].id.clone()).collect(),
            key: made.key.to_string(),
            parts: made.parts.iter().map(|part| (part.name.clone(), part.digest.to_string())).collect(),
        })
    };
    RunManifest {
        format: crate::record::MANIFEST_FORMAT,
        file: pipeline.file.display().to_string(),
        base: Some(base),
        sets: pipeline.axis_flags.clone(),
        predictions: None,
        predictions_from: None,
        units: units.iter().filter_map(of).collect(),
    }
}

fn unit(run: &Run<'_>, unit: &Unit) -> UnitSummary {
    let state = run.states.of(unit);
    let manifest = state.manifest();
    UnitSummary {
        stage: unit.stage.clone(),
        kind: unit.kind.name.to_owned(),
        phase: unit.phase.as_str().to_owned(),
        fold: unit.fold.as_ref().and_then(|fold| fold.number),
        inner: unit.fold.as_ref().map(|fold| fold.inner.clone()).unwrap_or_default(),
        variants: unit.variants.iter().map(|&v| run.pipeline.variants[v].id.clone()).collect(),
        outcome: state.outcome(),
        seconds: manifest.map_or(0.0, |m| m.seconds),
        rows: manifest.map_or(0, |m| m.rows),
        remembered: run.states.remembered(unit),
        key: run.states.key_of(unit).map(ToString::to_string),
        facts: match unit.phase {
            // what it counts stands under `data`
            Phase::Ledger => BTreeMap::new(),
            _ => manifest.map(|m| m.facts.clone()).unwrap_or_default(),
        },
    }
}

fn variants(run: &Run<'_>) -> Vec<VariantSummary> {
    let mut planned: Vec<Vec<&EvaluationUnits>> = vec![Vec::new(); run.pipeline.variants.len()];
    for evaluation in &run.plan.evaluations {
        planned[evaluation.variant].push(evaluation);
    }
    let scored: FxHashMap<(usize, &str), (&Manifest, &Parts)> = run
        .evaluations
        .variants
        .iter()
        .map(|(units, manifest, parts, _)| ((units.variant, units.stage.as_str()), (manifest, parts)))
        .collect();
    let mut all = Vec::new();
    for (index, (variant, planned)) in run.pipeline.variants.iter().zip(planned).enumerate() {
        if planned.is_empty() {
            all.push(unscored(variant, ""));
        }
        for EvaluationUnits { stage, split, .. } in planned {
            let entry = scored
                .get(&(index, stage.as_str()))
                .and_then(|(manifest, parts)| scored_variant(variant, stage, manifest, parts).ok());
            let mut entry = entry.unwrap_or_else(|| unscored(variant, stage));
            entry.chosen = chosen(run, index, *split);
            all.push(entry);
        }
    }
    all
}

/// The guesses that were scored, each once.
fn baselines(run: &Run<'_>) -> Vec<BaselineSummary> {
    let one = |(number, (units, manifest, parts, _)): &(usize, Scored)| {
        let planned = run.plan.baselines.get(*number)?;
        let scored = scored_variant(&run.pipeline.variants[units.variant], &units.stage, manifest, parts).ok()?;
        Some(BaselineSummary {
            name: planned.baseline.name().to_owned(),
            evaluation: units.stage.clone(),
            variants: planned.variants.iter().map(|&index| run.pipeline.variants[index].id.clone()).collect(),
            rows: scored.rows,
            scored_on: None,
            metrics: scored.metrics,
        })
    };
    run.evaluations.baselines.iter().filter_map(one).collect()
}

/// What the searches of a variant chose in the folds that `split` made.
fn chosen(run: &Run<'_>, variant: usize, split: UnitId) -> Vec<Chosen> {
    let searches = run.plan.searches.iter().filter(|search| search.variant == variant);
    let one = |search: &SearchUnit| {
        let (_, fold) = search.fold.filter(|(of, _)| *of == split)?;
        let facts = &run.states.of(run.plan.unit(search.unit)).manifest()?.facts;
        Some(Chosen {
            stage: search.stage.clone(),
            fold,
            params: facts.get("params")?.as_object()?.clone().into_iter().collect(),
            metric: facts.get("metric")?.as_str()?.to_owned(),
            score: facts.get("score")?.as_f64()?,
        })
    };
    let mut all: Vec<Chosen> = searches.filter_map(one).collect();
    all.sort_by(|a, b| (&a.stage, a.fold).cmp(&(&b.stage, b.fold)));
    all
}

fn unscored(variant: &Variant, evaluation: &str) -> VariantSummary {
    VariantSummary {
        id: variant.id.clone(),
        label: variant.label.clone(),
        params: variant.params.clone(),
        evaluation: evaluation.to_owned(),
        rows: 0,
        scored_on: None,
        metrics: BTreeMap::new(),
        chosen: Vec::new(),
        classes: Vec::new(),
        confusion: Vec::new(),
    }
}

fn scored_variant(
    variant: &Variant,
    evaluation: &str,
    manifest: &Manifest,
    parts: &Parts,
) -> Result<VariantSummary, StageError> {
    let metrics = scores::metrics(&*parts.table("metrics")?).map_err(StageError::caused)?;
    // numbers have no classes, and sets of classes no confusion
    let table = |name| parts.part(name).map(Part::table).transpose();
    let classes = table("classes")?.map(|table| scores::classes(&table)).transpose().map_err(StageError::caused)?;
    let classes = classes.unwrap_or_default();
    let confusion = table("confusion")?.map(|table| scores::confusion(&table, classes.len())).transpose();
    let confusion = confusion.map_err(StageError::caused)?.unwrap_or_default();
    let mut by_name: BTreeMap<String, Vec<&FoldMetric>> = BTreeMap::new();
    for metric in &metrics {
        by_name.entry(metric.metric.clone()).or_default().push(metric);
    }
    Ok(VariantSummary {
        rows: manifest.rows,
        metrics: by_name.into_iter().map(|(name, folds)| (name, over_folds(&folds))).collect(),
        classes: classes
            .into_iter()
            .map(|c| ClassSummary {
                class: c.class,
                precision: c.precision,
                recall: c.recall,
                f1: c.f1,
                support: c.support,
            })
            .collect(),
        confusion,
        ..unscored(variant, evaluation)
    })
}

fn over_folds(folds: &[&FoldMetric]) -> MetricSummary {
    let values: Vec<f64> = folds.iter().filter_map(|fold| fold.value).collect();
    let several = values.len() > 1;
    MetricSummary {
        mean: stats::mean(&values),
        std: if several { stats::sample_std(&values) } else { None },
        folds: folds.iter().map(|fold| fold.value).collect(),
        // filled in once the predictions have been looked at
        estimate: None,
        ci95: None,
        ci95_method: None,
        higher_is_better: folds.first().is_none_or(|fold| fold.higher_is_better),
    }
}

fn sources<'a>(run: &'a Run<'_>) -> impl Iterator<Item = &'a Unit> {
    run.units.iter().map(|&id| run.plan.unit(id)).filter(|unit| unit.phase == Phase::Run)
}

fn inputs(run: &Run<'_>) -> Vec<InputSummary> {
    let mut all: Vec<InputSummary> = Vec::new();
    let mut known: FxHashSet<(String, String)> = FxHashSet::default();
    for unit in sources(run).filter(|unit| matches!(*unit.work, Work::Source(_))) {
        let facts = run.states.of(unit).manifest().and_then(|m| m.facts.get("inputs"));
        let counted: Vec<&Value> = facts.and_then(Value::as_array).map(|all| all.iter().collect()).unwrap_or_default();
        let files = run.files.of(unit).unwrap_or_default();
        let mut rows = counted.iter().map(|fact| fact.get("rows").and_then(Value::as_u64).unwrap_or(0));
        for (need, (_, files)) in needs(unit).iter().zip(&files.0) {
            let entry =
                |source: String, sha256: &str, rows| InputSummary { source, digest: format!("sha256:{sha256}"), rows };
            let counted: Vec<u64> = files.iter().map(|_| rows.next().unwrap_or(0)).collect();
            let entries: Vec<InputSummary> = match (one_archive(need, files), files.first()) {
                (Some(source), Some(first)) => vec![entry(source, &first.sha256, counted.iter().sum())],
                _ => files.iter().zip(counted).map(|(f, rows)| entry(f.source.clone(), &f.sha256, rows)).collect(),
            };
            let unknown = |entry: &InputSummary| known.insert((entry.source.clone(), entry.digest.clone()));
            all.extend(entries.into_iter().filter(unknown));
        }
    }
    all
}

fn models(run: &Run<'_>) -> Vec<ModelSummary> {
    let mut all: Vec<ModelSummary> = Vec::new();
    for unit in sources(run).filter(|unit| !matches!(*unit.work, Work::Source(_))) {
        let files = run.files.of(unit).unwrap_or_default();
        for file in files.0.iter().flat_map(|(_, files)| files) {
            let id = file.source.clone();
            if !all.iter().any(|known| known.id == id) {
                all.push(ModelSummary { id, digest: format!("sha256:{}", file.sha256) });
            }
        }
    }
    all
}

/// What the units had to say, each thing once with the stages that said it.
fn warnings(run: &Run<'_>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut seen: FxHashSet<String> = FxHashSet::default();
    for &id in run.units {
        let unit = run.plan.unit(id);
        let Some(manifest) = run.states.of(unit).manifest() else { continue };
        for warning in &manifest.warnings {
            let said = format!("{}: {warning}", unit.stage);
            if seen.insert(said.clone()) {
                all.push(said);
            }
        }
    }
    all
}
