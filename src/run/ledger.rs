//! What were the rows like? Brings the ledgers of a run into its summary, and holds them to what the pipeline expects.

use super::summary::Run;
use crate::pipeline::{Expected, Pipeline};
use crate::plan::{LedgerUnits, Phase, UnitId};
use crate::record::{DataSummary, Dropped, Expectation, Found, Ledger, Looks, Side, findings, number, share};

/// Findings that the stages which bring them about tell by themselves.
const TOLD_BY_STAGES: [&str; 3] = ["empty_rows", "truncated_rows", "replaced_bytes"];

/// Facts about rows that are left out, besides those that begin with `dropped`.
const LEFT_OUT: [&str; 3] = ["rows_dropped", "rows_skipped", "rows_not_in_sample"];

/// So many lines at the end of a run.
const LINES: usize = 5;

/// The ledgers of a run, as far as they were made.
pub(super) fn data(run: &Run<'_>) -> Vec<DataSummary> {
    let wanted = |ledger: &&LedgerUnits| run.units.contains(&ledger.unit);
    run.plan.ledgers.iter().filter(wanted).filter_map(|ledger| one(run, ledger)).collect()
}

fn one(run: &Run<'_>, units: &LedgerUnits) -> Option<DataSummary> {
    let manifest = run.states.of(run.plan.unit(units.unit)).manifest()?;
    let mut ledger: Ledger = serde_json::from_value(manifest.facts.get("ledger")?.clone()).ok()?;
    let name = |side: &mut Side| {
        side.truncated.iter_mut().zip(&units.surveyed).for_each(|(cut, stage)| cut.stage.clone_from(stage));
    };
    name(&mut ledger.whole);
    ledger.splits.iter_mut().for_each(|split| name(&mut split.side));
    for fold in &mut ledger.folds {
        name(&mut fold.train);
        name(&mut fold.test);
    }
    let mut data = DataSummary {
        stage: units.stage.clone(),
        evaluation: units.evaluation.clone(),
        variants: units.variants.iter().map(|&variant| run.pipeline.variants[variant].id.clone()).collect(),
        dropped: dropped(run, units.frame),
        ledger,
        findings: Vec::new(),
    };
    data.findings = findings(&data);
    Some(data)
}

/// What stages on the way to a frame say that they left out.
fn dropped(run: &Run<'_>, frame: UnitId) -> Vec<Dropped> {
    let mut all = Vec::new();
    for id in run.plan.needed_for(&[frame]) {
        let unit = run.plan.unit(id);
        let Some(manifest) = run.states.of(unit).manifest().filter(|_| unit.phase == Phase::Run) else { continue };
        for (what, rows) in &manifest.facts {
            let left_out = what.starts_with("dropped") || LEFT_OUT.contains(&what.as_str());
            if let Some(rows) = rows.as_u64().filter(|rows| left_out && *rows > 0) {
                all.push(Dropped { stage: unit.stage.clone(), what: what.clone(), rows });
            }
        }
    }
    all
}

/// The lines for a person at the end of a run.
pub(super) fn told(data: &[DataSummary]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (one, finding) in data.iter().flat_map(|one| one.findings.iter().map(move |finding| (one, finding))) {
        if !TOLD_BY_STAGES.contains(&finding.measure.as_str()) {
            let line = format!("{}: {}", head(one, data), finding.message);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("data: {more} more findings are in the report; `fuseline check --data` prints them"));
    }
    lines
}

/// `data`; where several stages began rows, `data of reviews`.
fn head(one: &DataSummary, all: &[DataSummary]) -> String {
    let several = all.iter().any(|other| other.stage != one.stage);
    if several { format!("data of {}", one.stage) } else { "data".to_owned() }
}

/// What the pipeline expects, held against what was counted.
pub(super) fn expectations(pipeline: &Pipeline, data: &[DataSummary]) -> Vec<Expectation> {
    let expected = pipeline.expect.iter().map(|expected| {
        let mut broken: Vec<(f64, String, Option<String>)> = Vec::new();
        for one in data {
            let of = whose(expected, one, data);
            match expected.measure.found(expected.split.as_deref(), one) {
                Err(why) => broken.push((f64::INFINITY, format!("cannot be told: {why}{of}"), None)),
                Ok(all) => broken.extend(all.into_iter().filter_map(|found| {
                    let (far, said) = wrong(expected, &found)?;
                    Some((far, format!("{said}{of}"), found.examples))
                })),
            }
        }
        broken.sort_by(|a, b| b.0.total_cmp(&a.0));
        // two evaluations of the same rows say the same of them
        let mut said: Vec<String> = Vec::new();
        broken.retain(|(_, what, _)| {
            !said.contains(what) && {
                said.push(what.clone());
                true
            }
        });
        let mut examples: Vec<String> = broken.iter().filter_map(|(_, _, examples)| examples.clone()).collect();
        examples.dedup();
        Expectation {
            name: expected.name.clone(),
            bound: expected.bound.to_string(),
            held: (!data.is_empty()).then_some(said.is_empty()),
            broken: said,
            examples,
        }
    });
    expected.collect()
}

/// Of which rows or folds something is said, where there are several.
fn whose(expected: &Expected, one: &DataSummary, all: &[DataSummary]) -> String {
    let of_folds = matches!(expected.measure.looks, Looks::AcrossFolds(_));
    match &one.evaluation {
        Some(evaluation) if of_folds && all.len() > 1 => format!(" (folds of `{evaluation}`)"),
        _ if all.iter().any(|other| other.stage != one.stage) => format!(" (rows of `{}`)", one.stage),
        _ => String::new(),
    }
}

/// How far a count is from its bound, and what to say of it; nothing if it is within.
fn wrong(expected: &Expected, found: &Found) -> Option<(f64, String)> {
    let place = if found.place.is_empty() { String::new() } else { format!(" ({})", found.place) };
    let count = match found.count {
        Ok(count) => count,
        Err(why) => return Some((f64::INFINITY, format!("cannot be told: {why}{place}"))),
    };
    if expected.bound.holds(count, found.of) {
        return None;
    }
    let said = if expected.bound.percent {
        format!("{} of {}, {}{place}", number(count), number(found.of), share(count, found.of))
    } else {
        format!("{}{place}", number(count))
    };
    let value = if expected.bound.percent { 100.0 * count as f64 / found.of.max(1) as f64 } else { count as f64 };
    Some(((value - expected.bound.value).abs(), said))
}
