//! How is it avoided to draw rows again when nothing changed? What came of it is kept in the store, as an artifact without tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::record::{AgainstBaseline, BestOf, Comparison, Evaluation, Gain, MetricSummary, NotCompared, ScoredOn, Summary};
use crate::stage::StageError;
use crate::store::{Fields, Key, Lookup, Manifest, STORE_FORMAT, Store};
use crate::table::Digest;

/// Of what is told from equal predictions: another number, other words.
const VERSION: u32 = 2;

/// What the artifact calls itself, and the fact that holds everything.
const KIND: &str = "statistics";

/// What statistics add to a summary.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// In the summary's order.
    variants: Vec<(Option<ScoredOn>, BTreeMap<String, MetricSummary>)>,
    comparisons: Vec<Comparison>,
    best: Vec<BestOf>,
    /// In the summary's order.
    baselines: Vec<(Option<ScoredOn>, BTreeMap<String, MetricSummary>)>,
    against_baselines: Vec<AgainstBaseline>,
    not_compared: Vec<NotCompared>,
    /// In the order of the summary's contributions.
    gains: Vec<BTreeMap<String, Gain>>,
}

/// Adds what can be said of chance, as it was found before or by finding it; gives the key under which it is kept. `damaged` hears what
/// was kept and cannot be read.
pub(in crate::run) fn add(
    summary: &mut Summary,
    evaluations: &[Evaluation],
    baselines: &[Evaluation],
    store: &Store,
    damaged: &dyn Fn(String),
) -> Result<Option<Key>, StageError> {
    let Some(key) = key(summary, evaluations, baselines) else {
        return super::add(summary, evaluations, baselines).map(|()| None);
    };
    match store.lookup(&key) {
        Lookup::Hit(manifest) => {
            let kept = manifest.facts.get(KIND).and_then(|kept| Kept::deserialize(kept).ok());
            if kept.is_some_and(|kept| kept.put_into(summary)) {
                return Ok(Some(key));
            }
        }
        Lookup::Damaged { what } => damaged(what),
        Lookup::Absent => {}
    }
    let began = std::time::Instant::now();
    super::add(summary, evaluations, baselines)?;
    let Ok(kept) = serde_json::to_value(Kept::of(summary)) else { return Ok(None) };
    let manifest = Manifest {
        format: STORE_FORMAT,
        key,
        kind: KIND.to_owned(),
        version: VERSION,
        phase: "score".to_owned(),
        parts: Vec::new(),
        rows: 0,
        facts: [(KIND.to_owned(), kept)].into(),
        warnings: Vec::new(),
        seconds: began.elapsed().as_secs_f64(),
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let fields: Fields = [("kind".to_owned(), json!(KIND)), ("version".to_owned(), json!(VERSION))].into();
    // a store that takes nothing only means that it is found again
    Ok(store.publish(&manifest, &fields).ok().map(|_| key))
}

/// The identity of all that decides what is said; `None` where some predictions are in no store.
fn key(summary: &Summary, evaluations: &[Evaluation], baselines: &[Evaluation]) -> Option<Key> {
    let variants: Vec<_> = summary.variants.iter().map(|v| (&v.id, &v.label, &v.evaluation, &v.metrics)).collect();
    let contributions: Vec<_> = summary
        .contributions
        .iter()
        .map(|c| ((&c.stage, &c.axis, &c.block), (&c.evaluation, &c.all, &c.without, &c.alone), &c.metrics))
        .collect();
    let mut parts = Vec::new();
    for evaluation in evaluations.iter().chain(baselines) {
        let digest = |part: Option<&crate::stage::Part>| part.map_or(Some(None), |part| part.digest().map(Some));
        let of = |parts: &crate::stage::Parts, name| digest(parts.part(name));
        let scores = (of(&evaluation.scores, "predictions")?, of(&evaluation.scores, "classes")?);
        parts.push((evaluation.variant, scores, of(&evaluation.rows, "target")?));
    }
    let beside: Vec<_> = summary.baselines.iter().map(|b| (&b.name, &b.evaluation, &b.variants, &b.metrics)).collect();
    let said = json!([STORE_FORMAT, KIND, VERSION, summary.seed, variants, contributions, beside, parts]);
    Some(Key::new(*Digest::of(said.to_string().as_bytes()).as_bytes()))
}

impl Kept {
    fn of(summary: &Summary) -> Kept {
        Kept {
            variants: summary.variants.iter().map(|v| (v.scored_on.clone(), v.metrics.clone())).collect(),
            comparisons: summary.comparisons.clone(),
            best: summary.best.clone(),
            baselines: summary.baselines.iter().map(|b| (b.scored_on.clone(), b.metrics.clone())).collect(),
            against_baselines: summary.against_baselines.clone(),
            not_compared: summary.not_compared.clone(),
            gains: summary.contributions.iter().map(|c| c.metrics.clone()).collect(),
        }
    }

    /// False, and nothing is changed, where it is of another summary.
    fn put_into(self, summary: &mut Summary) -> bool {
        let kept = [self.variants.len(), self.gains.len(), self.baselines.len()];
        if kept != [summary.variants.len(), summary.contributions.len(), summary.baselines.len()] {
            return false;
        }
        for (baseline, (scored_on, metrics)) in summary.baselines.iter_mut().zip(self.baselines) {
            (baseline.scored_on, baseline.metrics) = (scored_on, metrics);
        }
        summary.against_baselines = self.against_baselines;
        for (variant, (scored_on, metrics)) in summary.variants.iter_mut().zip(self.variants) {
            (variant.scored_on, variant.metrics) = (scored_on, metrics);
        }
        for (contribution, metrics) in summary.contributions.iter_mut().zip(self.gains) {
            contribution.metrics = metrics;
        }
        (summary.comparisons, summary.best, summary.not_compared) = (self.comparisons, self.best, self.not_compared);
        true
    }
}
