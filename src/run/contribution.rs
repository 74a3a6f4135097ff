//! What does each input of a stage add, and what do more training rows? Holds variants that differ in one thing alone against
//! each other.

use super::summary::Run;
use crate::pipeline::{Ablation, Variant};
use crate::record::{
    ClassGain, ClassSummary, Contribution, CurvePoint, Gain, LearningCurve, MetricSummary, UnitSummary, VariantSummary,
};

/// What was scored, as the variants' summaries have it.
struct Scored<'a> {
    variants: &'a [VariantSummary],
    units: &'a [UnitSummary],
}

impl<'a> Scored<'a> {
    /// The scores of a variant by one evaluation, if there are any.
    fn of(&self, variant: &Variant, evaluation: &str) -> Option<&'a VariantSummary> {
        let these = |summary: &&VariantSummary| summary.id == variant.id && summary.evaluation == evaluation;
        self.variants.iter().find(these).filter(|summary| !summary.metrics.is_empty())
    }
}

/// An entry for each input of each stage with `ablate`, for each setting of the other axes.
pub(super) fn contributions(run: &Run<'_>, variants: &[VariantSummary], units: &[UnitSummary]) -> Vec<Contribution> {
    let scored = Scored { variants, units };
    let mut found = Vec::new();
    for ablation in &run.pipeline.ablations {
        let whole = |variant: &&Variant| variant.params.get(&ablation.axis).is_some_and(|value| value == Ablation::ALL);
        // another axis may have left the stage out
        let has = |variant: &&Variant| variant.stages.iter().any(|node| node.id == ablation.stage);
        for variant in run.pipeline.variants.iter().filter(whole).filter(has) {
            let evaluations = variants.iter().filter(|summary| summary.id == variant.id);
            for evaluation in evaluations.filter(|summary| !summary.metrics.is_empty()) {
                let of = |block: &String| contribution(run, &scored, ablation, variant, evaluation, block);
                found.extend(ablation.inputs.iter().filter_map(of));
            }
        }
    }
    found
}

/// What one input adds; `None` if there is nothing to hold it against.
fn contribution(
    run: &Run<'_>,
    scored: &Scored<'_>,
    ablation: &Ablation,
    variant: &Variant,
    all: &VariantSummary,
    block: &str,
) -> Option<Contribution> {
    let sibling = |value: String| {
        let index = run.pipeline.sibling(variant, &ablation.axis, &value)?;
        scored.of(run.pipeline.variants.get(index)?, &all.evaluation)
    };
    let (without, alone) = (sibling(ablation.without(block)), sibling(Ablation::only(block)));
    if without.is_none() && alone.is_none() {
        return None;
    }
    let metric = |(name, all): (&String, &MetricSummary)| {
        let (without, alone) = (without.and_then(|w| w.metrics.get(name)), alone.and_then(|a| a.metrics.get(name)));
        (name.clone(), gain(all, without, alone))
    };
    let class = |all: &ClassSummary| {
        let of = |other: Option<&VariantSummary>| {
            other.and_then(|other| other.classes.iter().find(|class| class.class == all.class)).map(|class| class.f1)
        };
        let without = of(without);
        let gain = without.map(|without| all.f1 - without);
        ClassGain { class: all.class.clone(), all: all.f1, without, alone: of(alone), gain, ci95: None }
    };
    let id = |other: Option<&VariantSummary>| other.map(|other| other.id.clone());
    Some(Contribution {
        stage: ablation.stage.clone(),
        axis: ablation.axis.clone(),
        block: block.to_owned(),
        evaluation: all.evaluation.clone(),
        all: all.id.clone(),
        without: id(without),
        alone: id(alone),
        seconds: seconds(scored.units, variant, ablation, block),
        metrics: all.metrics.iter().map(metric).collect(),
        classes: all.classes.iter().map(class).collect(),
    })
}

/// Means over folds, and the differences of folds that both have.
fn gain(all: &MetricSummary, without: Option<&MetricSummary>, alone: Option<&MetricSummary>) -> Gain {
    let better = |with: f64, without: f64| if all.higher_is_better { with - without } else { without - with };
    let both = |with: Option<f64>, without: Option<f64>| Some(better(with?, without?));
    let folds = without.filter(|without| without.folds.len() == all.folds.len());
    Gain {
        all: all.mean,
        without: without.and_then(|metric| metric.mean),
        alone: alone.and_then(|metric| metric.mean),
        gain: both(all.mean, without.and_then(|metric| metric.mean)),
        folds: folds.iter().flat_map(|w| all.folds.iter().zip(&w.folds)).map(|(a, w)| both(*a, *w)).collect(),
        // intervals are told once the predictions have been looked at
        ..Gain::default()
    }
}

/// Seconds of the units that a variant needs for one input of a stage and for nothing else.
fn seconds(units: &[UnitSummary], variant: &Variant, ablation: &Ablation, block: &str) -> f64 {
    let own = own_stages(variant, ablation, block);
    let its = |unit: &&UnitSummary| own.contains(&unit.stage.as_str()) && unit.variants.contains(&variant.id);
    units.iter().filter(its).map(|unit| unit.seconds).filter(|seconds| seconds.is_finite()).sum()
}

/// The stages that nothing would need if a stage did not read `block`.
fn own_stages<'v>(variant: &'v Variant, ablation: &Ablation, block: &str) -> Vec<&'v str> {
    let stages = &variant.stages;
    let is_read = |index: usize| stages.iter().any(|node| node.inputs.contains(&index));
    let needed = |left_out: Option<&str>| {
        let mut needed: Vec<bool> = (0..stages.len()).map(|index| !is_read(index)).collect();
        // inputs stand before what reads them
        for (index, node) in stages.iter().enumerate().rev().filter(|(_, node)| !node.inputs.is_empty()) {
            let gone = |input: usize| node.id == ablation.stage && Some(stages[input].id.as_str()) == left_out;
            if needed[index] {
                node.inputs.iter().filter(|input| !gone(**input)).for_each(|input| needed[*input] = true);
            }
        }
        needed
    };
    let (with, without) = (needed(None), needed(Some(block)));
    let own = stages.iter().zip(with.into_iter().zip(without)).filter(|(_, (with, without))| *with && !without);
    own.map(|(node, _)| node.id.as_str()).collect()
}

/// A curve for each evaluation whose training rows an axis sets, for each setting of the other axes.
pub(super) fn learning_curves(run: &Run<'_>, variants: &[VariantSummary]) -> Vec<LearningCurve> {
    let scored = Scored { variants, units: &[] };
    let mut found: Vec<LearningCurve> = Vec::new();
    for (stage, axis) in &run.pipeline.curves {
        for planned in run.plan.evaluations.iter().filter(|planned| planned.stage == *stage) {
            let Some(variant) = run.pipeline.variants.get(planned.variant) else { continue };
            let facts = run.states.of(run.plan.unit(planned.split)).manifest().map(|manifest| &manifest.facts);
            let rows = facts.and_then(|facts| facts.get("train_rows")?.as_u64());
            let (Some(train_rows), Some(_)) = (rows, scored.of(variant, stage)) else { continue };
            let label = run.pipeline.label_without(variant, axis);
            let point = CurvePoint { variant: variant.id.clone(), train_rows };
            match found.iter_mut().find(|curve| curve.evaluation == *stage && curve.label == label) {
                Some(curve) => curve.points.push(point),
                None => {
                    let (evaluation, axis) = (stage.clone(), axis.clone());
                    found.push(LearningCurve { evaluation, axis, label, points: vec![point] });
                }
            }
        }
    }
    found.iter_mut().for_each(|curve| curve.points.sort_by_key(|point| point.train_rows));
    found
}
