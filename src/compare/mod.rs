//! What differs between two runs? Configuration, identities, files, metrics and predictions.
//!
//! Variants are matched by label, else by id (another label for the same); units by stage, phase and fold within matched variants.

mod folder;
mod predictions;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

pub use folder::{RunFolder, RunFolderError, Whole};
pub use predictions::{Example, PredictionChanges, changes};

use crate::plan::key::Fields;
use crate::plan::why::{Miss, compare};
use crate::record::{MetricSummary, Summary, UnitSummary, VariantSummary};

/// All that differs between two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// True if nothing differs that decides a result, and no result does.
    pub same: bool,
    /// Places of the pipeline; the version and the machine's classes stand under `fuseline` and `numeric`.
    pub config: Vec<Change>,
    /// Units whose identity changed.
    pub units: UnitChanges,
    /// Data files, by source.
    pub inputs: Vec<Change>,
    /// Model files, by name.
    pub models: Vec<Change>,
    /// Variants, by label, that the other run does not have.
    pub variants: Vec<Change>,
    /// Metrics whose mean or folds changed.
    pub metrics: Vec<MetricChange>,
    /// Predictions, by variant; `None` where a run has none at hand.
    pub predictions: Option<Vec<PredictionChanges>>,
}

/// Something that has another value; `None` where it was not, or is no more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What.
    pub what: String,
    /// Before.
    pub old: Option<Value>,
    /// After.
    pub new: Option<Value>,
}

/// What became of the units.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct UnitChanges {
    /// How many have the same identity.
    pub same: u64,
    /// Those that have another.
    pub changed: Vec<UnitChange>,
    /// How many only the second run has.
    pub added: u64,
    /// How many only the first run has.
    pub removed: u64,
}

/// A unit that has another identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitChange {
    /// The stage.
    pub stage: String,
    /// Its kind, in the second run.
    pub kind: String,
    /// The phase.
    pub phase: String,
    /// The fold, counted from 0.
    pub fold: Option<u32>,
    /// The ids, in the second run, of the variants that it is in.
    pub variants: Vec<String>,
    /// The key before.
    pub old: Option<String>,
    /// The key after.
    pub new: Option<String>,
    /// Why, where the cache still knows what both were made from.
    pub why: Vec<Miss>,
}

/// One metric of one variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricChange {
    /// The variant's id, in the second run.
    pub variant: String,
    /// Its label.
    pub label: String,
    /// The stage that scored it.
    pub evaluation: String,
    /// The metric.
    pub metric: String,
    /// Mean before.
    pub old: Option<f64>,
    /// Mean after.
    pub new: Option<f64>,
    /// After − before.
    pub delta: Option<f64>,
    /// After − before in each fold, where both have as many.
    pub folds: Vec<Option<f64>>,
    /// True if more is better.
    pub higher_is_better: bool,
    /// How sure the change is, where both runs are about the same rows and folds.
    pub paired: Option<Paired>,
}

/// How sure a change is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// After − before on the same rows, or over the same folds.
    pub delta: f64,
    /// Its 95% interval.
    pub ci95: [f64; 2],
    /// The probability of such a change where there is none.
    pub p: Option<f64>,
    /// How both were found.
    pub method: String,
}

/// Compares two runs; `fields_of` gives what a key was made from, where that is still known. Predictions are compared apart.
pub fn diff(before: &RunFolder, after: &RunFolder, fields_of: &dyn Fn(&str) -> Option<Fields>) -> Diff {
    let renamed = matched(&before.summary, &after.summary);
    let (one, two) = (&before.summary, &after.summary);
    let inputs =
        |summary: &Summary| summary.inputs.iter().map(|i| (i.source.clone(), i.digest.clone().into())).collect();
    let models = |summary: &Summary| summary.models.iter().map(|m| (m.id.clone(), m.digest.clone().into())).collect();
    let mut diff = Diff {
        same: false,
        config: config(before, after),
        units: units(one, two, &renamed, fields_of),
        inputs: changed(&inputs(one), &inputs(two)),
        models: changed(&models(one), &models(two)),
        variants: variants(one, two, &renamed),
        metrics: metrics(one, two, &renamed),
        predictions: None,
    };
    diff.same = diff.is_same();
    diff
}

impl Diff {
    /// True if nothing differs. Another version of the program is told, but is no difference by itself.
    pub fn is_same(&self) -> bool {
        self.config.iter().all(|change| change.what == "fuseline")
            && self.units.changed.is_empty()
            && self.units.added + self.units.removed == 0
            && self.inputs.is_empty()
            && self.models.is_empty()
            && self.variants.is_empty()
            && self.metrics.is_empty()
            && self.predictions.iter().flatten().all(PredictionChanges::is_same)
    }
}

/// The id that each variant of the first run has in the second: that of the variant with its label, else, where nothing there has
/// the label, its own.
pub fn matched(before: &Summary, after: &Summary) -> BTreeMap<String, String> {
    let by_label: BTreeMap<&str, &str> = after.variants.iter().map(|v| (v.label.as_str(), v.id.as_str())).collect();
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    for variant in &before.variants {
        if let Some(id) = by_label.get(variant.label.as_str()) {
            pairs.insert(variant.id.clone(), (*id).to_owned());
        }
    }
    let mut taken: BTreeSet<String> = pairs.values().cloned().collect();
    let ids: BTreeSet<&str> = by_label.into_values().collect();
    for variant in &before.variants {
        if !pairs.contains_key(&variant.id) && ids.contains(variant.id.as_str()) && taken.insert(variant.id.clone()) {
            pairs.insert(variant.id.clone(), variant.id.clone());
        }
    }
    pairs
}

fn variants(before: &Summary, after: &Summary, renamed: &BTreeMap<String, String>) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    let mut add = |what: &str, old: Option<&str>, new: Option<&str>| {
        let change = Change { what: what.to_owned(), old: old.map(Value::from), new: new.map(Value::from) };
        if !all.contains(&change) {
            all.push(change);
        }
    };
    for gone in before.variants.iter().filter(|variant| !renamed.contains_key(&variant.id)) {
        add(&gone.label, Some(&gone.id), None);
    }
    for new in after.variants.iter().filter(|variant| !renamed.values().any(|id| *id == variant.id)) {
        add(&new.label, None, Some(&new.id));
    }
    all
}

/// The pipelines place by place, with what else decides a result and is no part of them.
fn config(before: &RunFolder, after: &RunFolder) -> Vec<Change> {
    let places = |run: &RunFolder| {
        let mut all = BTreeMap::new();
        if let Some(value) = run.pipeline.as_ref().and_then(|text| serde_yaml::from_str::<Value>(text).ok()) {
            flatten("", &value, &mut all);
        }
        all.insert("seed".to_owned(), run.summary.seed.into());
        all.insert("fuseline".to_owned(), run.summary.fuseline_version.clone().into());
        for (name, class) in &run.summary.numeric {
            all.insert(format!("numeric.{name}"), class.clone().into());
        }
        all
    };
    let (mut old, mut new) = (places(before), places(after));
    // A summary alone does not say what the pipeline was: nothing is known to differ.
    if before.pipeline.is_none() || after.pipeline.is_none() {
        let known = |what: &String, _: &mut Value| what == "seed" || what == "fuseline" || what.starts_with("numeric.");
        old.retain(known);
        new.retain(known);
    }
    let mut changes = changed(&old, &new);
    // `{}` that has become something, or the other way round: what is inside says it.
    let filled = |what: &str, places: &BTreeMap<String, Value>| {
        let prefix = format!("{what}.");
        places.range(prefix.clone()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
    };
    changes.retain(|change| {
        let shell = (change.old.is_none() && filled(&change.what, &old))
            || (change.new.is_none() && filled(&change.what, &new));
        !shell
    });
    changes
}

fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let way = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&way, value, into);
            }
        }
        other => drop(into.insert(prefix.to_owned(), other.clone())),
    }
}

fn changed(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = |name: &&String| old.get(*name) != new.get(*name);
    let change =
        |name: &String| Change { what: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() };
    names.into_iter().filter(differ).map(change).collect()
}

/// Stage, phase, fold; key before, key after.
type Pair<'s> = (&'s str, &'s str, Option<u32>, &'s Option<String>, &'s Option<String>);

/// Stage, phase, fold, variant.
type Place<'s> = (&'s str, &'s str, Option<u32>, &'s str);

fn units(
    before: &Summary,
    after: &Summary,
    renamed: &BTreeMap<String, String>,
    fields_of: &dyn Fn(&str) -> Option<Fields>,
) -> UnitChanges {
    fn places<'s>(
        summary: &'s Summary,
        id_of: &dyn Fn(&'s str) -> Option<&'s str>,
    ) -> BTreeMap<Place<'s>, &'s UnitSummary> {
        let units = summary.units.iter();
        let of = |unit: &'s UnitSummary| {
            let ids = unit.variants.iter().filter_map(|id| id_of(id));
            ids.map(|id| ((unit.stage.as_str(), unit.phase.as_str(), unit.fold, id), unit)).collect::<Vec<_>>()
        };
        units.flat_map(of).collect()
    }
    let old = places(before, &|id| renamed.get(id).map(String::as_str));
    let matched: BTreeSet<&str> = renamed.values().map(String::as_str).collect();
    let new = places(after, &|id| matched.get(id).copied());
    let mut same: BTreeSet<&Option<String>> = BTreeSet::new();
    let mut removed: BTreeSet<&Option<String>> = BTreeSet::new();
    let mut all = UnitChanges::default();
    let mut seen: BTreeMap<Pair<'_>, usize> = BTreeMap::new();
    for (place, unit) in &old {
        match new.get(place) {
            None => drop(removed.insert(&unit.key)),
            Some(other) if other.key == unit.key => drop(same.insert(&unit.key)),
            Some(other) => {
                let at = *seen.entry((place.0, place.1, place.2, &unit.key, &other.key)).or_insert_with(|| {
                    all.changed.push(unit_change(unit, other, fields_of));
                    all.changed.len() - 1
                });
                if let Some(change) = all.changed.get_mut(at) {
                    change.variants.push(place.3.to_owned());
                }
            }
        }
    }
    let added: BTreeSet<&Option<String>> =
        new.iter().filter(|(place, _)| !old.contains_key(*place)).map(|(_, unit)| &unit.key).collect();
    (all.same, all.added, all.removed) = (same.len() as u64, added.len() as u64, removed.len() as u64);
    // In the order in which the second run has them: each after what it reads.
    let order: BTreeMap<&Option<String>, usize> =
        after.units.iter().enumerate().map(|(at, unit)| (&unit.key, at)).collect();
    all.changed.sort_by_key(|change| order.get(&change.new).copied());
    all
}

fn unit_change(old: &UnitSummary, new: &UnitSummary, fields_of: &dyn Fn(&str) -> Option<Fields>) -> UnitChange {
    let fields = |unit: &UnitSummary| unit.key.as_deref().and_then(fields_of);
    let why = match (fields(old), fields(new)) {
        (Some(old), Some(new)) => compare(Some(&old), &new),
        _ => Vec::new(),
    };
    UnitChange {
        stage: new.stage.clone(),
        kind: new.kind.clone(),
        phase: new.phase.clone(),
        fold: new.fold,
        variants: Vec::new(),
        old: old.key.clone(),
        new: new.key.clone(),
        why,
    }
}

fn metrics(before: &Summary, after: &Summary, renamed: &BTreeMap<String, String>) -> Vec<MetricChange> {
    let mut all = Vec::new();
    for old in &before.variants {
        let Some(id) = renamed.get(&old.id) else { continue };
        let same_evaluation = |new: &&VariantSummary| new.id == *id && new.evaluation == old.evaluation;
        let Some(new) = after.variants.iter().find(same_evaluation) else { continue };
        let names: BTreeSet<&String> = old.metrics.keys().chain(new.metrics.keys()).collect();
        for name in names {
            let (one, two) = (old.metrics.get(name), new.metrics.get(name));
            if let Some(change) = metric(one, two) {
                all.push(MetricChange {
                    variant: new.id.clone(),
                    label: new.label.clone(),
                    evaluation: new.evaluation.clone(),
                    metric: name.clone(),
                    ..change
                });
            }
        }
    }
    all
}

/// A metric's change, its names left empty; `None` if it did not change.
fn metric(old: Option<&MetricSummary>, new: Option<&MetricSummary>) -> Option<MetricChange> {
    let score = |metric: Option<&MetricSummary>| metric.and_then(MetricSummary::score);
    let folds = |metric: Option<&MetricSummary>| metric.map(|metric| metric.folds.clone()).unwrap_or_default();
    let (one, two) = (folds(old), folds(new));
    let mean = |metric: Option<&MetricSummary>| metric.and_then(|metric| metric.mean);
    if score(old) == score(new) && mean(old) == mean(new) && one == two {
        return None;
    }
    let minus = |old: Option<f64>, new: Option<f64>| Some(new? - old?);
    Some(MetricChange {
        variant: String::new(),
        label: String::new(),
        evaluation: String::new(),
        metric: String::new(),
        old: score(old),
        new: score(new),
        delta: minus(score(old), score(new)),
        folds: match one.len() == two.len() {
            true => one.iter().zip(&two).map(|(old, new)| minus(*old, *new)).collect(),
            false => Vec::new(),
        },
        higher_is_better: new.or(old).is_none_or(|metric| metric.higher_is_better),
        paired: None,
    })
}
