//! What is a unit called, by whoever shows it?

use std::fmt;

use serde_json::Value;

use crate::pipeline::Pipeline;
use crate::plan::Unit;

/// A unit's number, names and place. What costs time to say is said only when asked for.
#[derive(Clone, Copy)]
pub struct Tag<'a> {
    /// Its number: the same through the whole run, also if the run is planned again.
    pub id: usize,
    unit: &'a Unit,
    pipeline: &'a Pipeline,
    axes: &'a [Axis],
}

impl fmt::Debug for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tag").field(&self.id).field(&self.title()).finish()
    }
}

impl<'a> Tag<'a> {
    /// The tag of a unit; `axes` are the [`varying`] ones.
    pub(super) fn new(id: usize, unit: &'a Unit, pipeline: &'a Pipeline, axes: &'a [Axis]) -> Self {
        Tag { id, unit, pipeline, axes }
    }

    /// The stage's id.
    pub fn stage(&self) -> &'a str {
        &self.unit.stage
    }

    /// The stage's kind.
    pub fn kind(&self) -> &'static str {
        self.unit.kind.name
    }

    /// `run`, `split`, `fit`, `apply` or `score`.
    pub fn phase(&self) -> &'static str {
        self.unit.phase.as_str()
    }

    /// The fold, counted from 0 over all repeats.
    pub fn fold(&self) -> Option<u32> {
        self.unit.fold.as_ref().and_then(|fold| fold.number)
    }

    /// The folds of that fold's training rows that it stands in, the outermost first, from 0.
    pub fn inner(&self) -> &'a [u32] {
        self.unit.fold.as_ref().map(|fold| fold.inner.as_slice()).unwrap_or_default()
    }

    /// Ids of the variants that share it.
    pub fn variants(&self) -> impl Iterator<Item = &'a str> {
        let pipeline = self.pipeline;
        self.unit.variants.iter().map(|&variant| pipeline.variants[variant].id.as_str())
    }

    /// What its variants have in common and others have not: `min_df=2`; empty if all variants share it.
    pub fn label(&self) -> String {
        let all = &self.pipeline.variants;
        let Some(&first) = self.unit.variants.first() else { return String::new() };
        if self.unit.variants.len() == all.len() {
            return String::new();
        }
        let agreed = self.axes.iter().filter_map(|Axis { name, short }| {
            let value = all[first].params.get(name)?;
            let same = |&variant: &usize| all[variant].params.get(name) == Some(value);
            self.unit.variants.iter().all(same).then(|| format!("{short}={}", plain(value)))
        });
        let parts: Vec<String> = agreed.collect();
        if parts.is_empty() { all[first].label.clone() } else { parts.join(",") }
    }

    /// `tfidf fit fold 3 (min_df=2)`; of what a search tries, `model fit fold 3.1 (c=10)`.
    pub fn title(&self) -> String {
        let label = self.label();
        let tried = self.unit.tried.iter().map(|(path, value)| {
            let short = path.rsplit('.').next().unwrap_or(path);
            format!("{short}={}", plain(value))
        });
        let tried = tried.collect::<Vec<_>>().join(",");
        let said: Vec<&str> =
            [&label, &tried].into_iter().filter(|said| !said.is_empty()).map(String::as_str).collect();
        if said.is_empty() { self.unit.title() } else { format!("{} ({})", self.unit.title(), said.join("; ")) }
    }
}

/// An axis on which not all variants agree.
#[derive(Debug)]
pub(super) struct Axis {
    name: String,
    /// The end of its path, as far as no other axis has the same.
    short: String,
}

/// The axes on which not all variants agree.
pub(super) fn varying(pipeline: &Pipeline) -> Vec<Axis> {
    let Some((first, others)) = pipeline.variants.split_first() else { return Vec::new() };
    let mut names: Vec<&String> = pipeline.variants.iter().flat_map(|v| v.params.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| others.iter().any(|other| other.params.get(*name) != first.params.get(*name)));
    let end = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let axis = |name: &&String| {
        let alone = names.iter().filter(|other| end(other) == end(name)).count() == 1;
        Axis { name: (*name).clone(), short: if alone { end(name) } else { (*name).clone() } }
    };
    names.iter().map(axis).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
