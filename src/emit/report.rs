//! What is told? Gates, expectations, scores and units, each with its place in the pipeline.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::{Judged, Ruling};
use crate::problem::{Origin, Problem};
use crate::record::{Outcome, Status, Summary, Totals};

/// The form of the report.
pub const REPORT_FORMAT: u32 = 1;

/// What a run, and the gates on it, came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The form of the report.
    pub format: u32,
    /// The pipeline's name.
    pub name: String,
    /// The pipeline file, as typed.
    pub file: String,
    /// The version of Fuseline.
    pub fuseline_version: String,
    /// How the run ended.
    pub status: Status,
    /// The gravest verdict; `null` where no gates were asked for.
    pub verdict: Option<Ruling>,
    /// What the run was held against; `null` if nothing.
    pub baseline: Option<String>,
    /// One entry for each gate and variant.
    pub gates: Vec<GateCase>,
    /// What the pipeline expects of its data.
    pub expectations: Vec<ExpectCase>,
    /// One entry for each variant and evaluation.
    pub variants: Vec<VariantCase>,
    /// Every unit of the plan.
    pub units: Vec<UnitCase>,
    /// Counts over `units`.
    pub totals: Totals,
    /// What a person should know about the numbers.
    pub warnings: Vec<String>,
}

/// A gate in a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateCase {
    /// The verdict, with what it rests on.
    #[serde(flatten)]
    pub judged: Judged,
    /// True if the command does not end well for it.
    pub blocks: bool,
    /// Where the gate is written.
    pub place: Option<Place>,
}

/// Something that the pipeline expects of its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectCase {
    /// What is counted.
    pub name: String,
    /// The bound.
    pub bound: String,
    /// True if it is so; `null` where the rows were not counted.
    pub held: Option<bool>,
    /// What is not so, the worst first.
    pub broken: Vec<String>,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A variant's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantCase {
    /// For people; empty for the only variant of a pipeline.
    pub label: String,
    /// Its id.
    pub id: String,
    /// The stage that scored it.
    pub evaluation: String,
    /// Rows that were scored.
    pub rows: u64,
    /// By metric name; empty if the variant did not finish.
    pub metrics: BTreeMap<String, MetricCase>,
}

/// A metric's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricCase {
    /// Mean over folds.
    pub mean: Option<f64>,
    /// What `ci95` is about: the mean, or the value of all folds together.
    pub estimate: Option<f64>,
    /// 95% interval of `estimate`.
    pub ci95: Option<[f64; 2]>,
}

/// A unit of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnitCase {
    /// The stage, the phase and the fold: `tfidf fit fold 3`.
    pub title: String,
    /// The stage's kind.
    pub kind: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Seconds it took in this run: 0 if it was reused.
    pub seconds: f64,
    /// Why it failed.
    pub problem: Option<String>,
    /// Where its stage, or what made it fail, is written.
    pub place: Option<Place>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file, from the root of the checkout where that is known, else as typed.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Place {
    /// The place in a file that an origin names, or that a flag overrides; `named` says how others call the file.
    pub fn of(origin: &Origin, named: &dyn Fn(&str) -> String) -> Option<Place> {
        let (file, line, column) = match origin {
            Origin::File { file, line, column, .. } => (file, *line, *column),
            Origin::WholeFile { file } => (file, 1, 1),
            Origin::Flag { overrides, .. } => return Place::of(overrides.as_deref()?, named),
            Origin::Env { .. } => return None,
        };
        Some(Place { file: named(file), line, column })
    }
}

/// Why a unit failed.
pub struct FailedUnit {
    /// Its stage.
    pub stage: String,
    /// Its phase.
    pub phase: String,
    /// Its fold, counted from 0 over all repeats.
    pub fold: Option<u32>,
    /// What went wrong.
    pub problem: Problem,
}

/// Where units of several variants are called alike, the first variant that each is in tells them apart, or else their number.
fn name_apart(units: &mut [UnitCase], summary: &Summary) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for unit in units.iter() {
        *count.entry(unit.title.clone()).or_default() += 1;
    }
    let labels: BTreeMap<&str, &str> = summary.variants.iter().map(|v| (v.id.as_str(), v.label.as_str())).collect();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (unit, of) in units.iter_mut().zip(&summary.units) {
        let alike = count.get(&unit.title).is_some_and(|count| *count > 1);
        let label =
            of.variants.first().and_then(|id| labels.get(id.as_str())).filter(|label| alike && !label.is_empty());
        let title = label.map_or_else(|| unit.title.clone(), |label| format!("{} ({label})", unit.title));
        let numbered = (2..).map(|number| format!("{title} #{number}"));
        let free = std::iter::once(title.clone()).chain(numbered).find(|title| !taken.contains(title));
        unit.title = free.unwrap_or(title);
        taken.insert(unit.title.clone());
    }
}

impl Report {
    /// The report on a run without gates, with the units that `failed`; `place` is where a stage is written, `named` how others call a file.
    pub fn of(
        summary: &Summary,
        file: &str,
        failed: &[FailedUnit],
        place: &dyn Fn(&str) -> Option<Place>,
        named: &dyn Fn(&str) -> String,
    ) -> Report {
        let mut units = Vec::new();
        for unit in &summary.units {
            let phase = if unit.phase == "run" { String::new() } else { format!(" {}", unit.phase) };
            let fold = unit.fold.map_or_else(String::new, |fold| format!(" fold {}", fold + 1));
            let inner: String = unit.inner.iter().map(|inner| format!(".{}", inner + 1)).collect();
            let is_it = |of: &&FailedUnit| (&of.stage, &of.phase, of.fold) == (&unit.stage, &unit.phase, unit.fold);
            let problem = failed.iter().find(is_it).map(|of| &of.problem);
            let problem = problem.filter(|_| unit.outcome == Outcome::Failed);
            let told = |problem: &Problem| {
                std::iter::once(&problem.message).chain(&problem.causes).cloned().collect::<Vec<_>>().join(": ")
            };
            let of_problem = problem.and_then(|problem| Place::of(problem.origin.as_ref()?, named));
            units.push(UnitCase {
                title: format!("{}{phase}{fold}{inner}", unit.stage),
                kind: unit.kind.clone(),
                outcome: unit.outcome,
                seconds: if unit.outcome == Outcome::Ran { unit.seconds } else { 0.0 },
                problem: problem.map(told),
                place: of_problem.or_else(|| place(&unit.stage)),
            });
        }
        name_apart(&mut units, summary);
        let variants = summary.variants.iter().map(|variant| VariantCase {
            label: variant.label.clone(),
            id: variant.id.clone(),
            evaluation: variant.evaluation.clone(),
            rows: variant.rows,
            metrics: variant
                .metrics
                .iter()
                .map(|(name, metric)| {
                    (
                        name.clone(),
                        MetricCase { mean: metric.mean, estimate: metric.estimate.or(metric.mean), ci95: metric.ci95 },
                    )
                })
                .collect(),
        });
        Report {
            format: REPORT_FORMAT,
            name: summary.name.clone(),
            file: file.to_owned(),
            fuseline_version: summary.fuseline_version.clone(),
            status: summary.status,
            verdict: None,
            baseline: None,
            gates: Vec::new(),
            expectations: summary
                .expectations
                .iter()
                .map(|expected| ExpectCase {
                    name: expected.name.clone(),
                    bound: expected.bound.clone(),
                    held: expected.held,
                    broken: expected.broken.clone(),
                    place: None,
                })
                .collect(),
            variants: variants.collect(),
            units,
            totals: summary.totals,
            warnings: summary.warnings.clone(),
        }
    }
}

impl VariantCase {
    /// Its label, or what stands for it where there is one variant alone; with the evaluation.
    pub fn title(&self) -> String {
        match self.label.as_str() {
            "" => self.evaluation.clone(),
            label => format!("{label} ({})", self.evaluation),
        }
    }
}
