//! What do the models look at? Reads what the evaluations counted, and calls blocks by the stages that make them.

use super::summary::Run;
use crate::plan::ImportanceUnits;
use crate::record::{Importance, Worth};

/// An entry for each variant whose evaluation asked, in the order of the plan.
pub(super) fn importances(run: &Run<'_>) -> Vec<Importance> {
    let mut found = Vec::new();
    for planned in &run.plan.evaluations {
        let Some(units) = &planned.importance else { continue };
        let Some(variant) = run.pipeline.variants.get(planned.variant) else { continue };
        let worth = worth(run, units);
        // what could have been counted, and was not, is no finding
        if worth.is_none() && units.unit.is_some() {
            continue;
        }
        found.push(Importance {
            variant: variant.id.clone(),
            evaluation: planned.stage.clone(),
            unshuffled: units.unshuffled.map(str::to_owned),
            worth: worth.unwrap_or_default(),
        });
    }
    found
}

fn worth(run: &Run<'_>, units: &ImportanceUnits) -> Option<Worth> {
    let manifest = run.states.of(run.plan.unit(units.unit?)).manifest()?;
    let mut worth: Worth = serde_json::from_value(manifest.facts.get("importance")?.clone()).ok()?;
    // columns that hold nothing make no block
    if worth.blocks.len() == units.blocks.len() {
        let called = |place: &mut String| {
            let at = place.parse::<usize>().ok().and_then(|place| place.checked_sub(1));
            if let Some(name) = at.and_then(|at| units.blocks.get(at)) {
                place.clone_from(name);
            }
        };
        worth.blocks.iter_mut().for_each(|block| called(&mut block.block));
        let terms = worth.terms.iter_mut().flat_map(|class| class.towards.iter_mut().chain(&mut class.away));
        terms.for_each(|term| called(&mut term.block));
    }
    Some(worth)
}
