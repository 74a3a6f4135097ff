//! How does a plan look? As text for people, and as Graphviz, Mermaid or JSON for other programs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::why::Miss;
use super::words::{self, Places, listed};
use super::{Phase, Plan, Unit, UnitId};
use crate::pipeline::{Pipeline, Variant};
use crate::problem::Origin;

/// So many reasons of one stage are told among those of all.
const REASONS: usize = 8;

/// So many variants are listed for people.
const VARIANTS: usize = 200;

/// Whether a unit's artifact is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It is.
    Cached,
    /// It must run, for these reasons.
    MustRun(Vec<Miss>),
}

/// A plan with each unit's standing (by index).
pub struct View<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its plan.
    pub plan: &'a Plan,
    /// Standing of each unit.
    pub standing: &'a [Standing],
    /// What the units that must run may come to, in words.
    pub estimate: String,
}

/// The units of one stage id and kind.
struct StageRow<'a> {
    stage: &'a str,
    kind: &'a str,
    units: Vec<UnitId>,
    variants: Vec<usize>,
}

impl View<'_> {
    /// Stage by stage: units by phase, cached or to run, in how many variants; with `why`, the reasons below each, and what
    /// need not run after all.
    pub fn text(&self, why: Why<'_>) -> String {
        let cached = self.standing.iter().filter(|s| **s == Standing::Cached).count();
        let total = self.standing.len();
        let mut text = format!(
            "{}: {}, {total} units: {cached} cached, {} to run\n{}\n",
            self.pipeline.name,
            plural(self.pipeline.variants.len(), "variant"),
            total - cached,
            self.estimate
        );
        let mut rows = self.rows();
        if let Why::Of(stage) = why {
            rows.retain(|row| row.stage == stage);
        }
        let mut table = vec![["stage", "kind", "to run", "cached", "variants"].map(str::to_owned)];
        for row in &rows {
            let (to_run, cached) = self.counts(&row.units);
            let all = row.variants.len() == self.pipeline.variants.len();
            let variants = if all { "all".to_owned() } else { row.variants.len().to_string() };
            table.push([row.stage.to_owned(), row.kind.to_owned(), to_run, cached, variants]);
        }
        let lines = aligned(&table);
        for (index, line) in lines.iter().enumerate() {
            text.push_str(line);
            text.push('\n');
            if index > 0 {
                for reason in self.reasons(&rows[index - 1], why) {
                    text.push_str(&format!("    {reason}\n"));
                }
            }
        }
        if why != Why::Untold {
            let hopes: Vec<String> = self.hopes().iter().filter(|hope| hope.about(why)).map(Hope::said).collect();
            if !hopes.is_empty() {
                text.push_str(&format!("\n{}\n", hopes.join("\n")));
            }
        }
        for &open in &self.plan.open {
            let unit = self.plan.unit(open);
            let stage = &unit.stage;
            if unit.phase == Phase::Split {
                text.push_str(&format!(
                    "\nthe folds of `{stage}` are in the data: what stands inside them is planned once the rows are read\n"
                ));
            }
        }
        let searching = self.plan.open.iter().map(|&open| self.plan.unit(open)).filter(|unit| unit.phase == Phase::Fit);
        let mut searching: Vec<&str> = searching.map(|unit| unit.stage.as_str()).collect();
        searching.sort_unstable();
        searching.dedup();
        for stage in searching {
            text.push_str(&format!("\nwhat `{stage}` chooses is fitted once its candidates are scored\n"));
        }
        let merged = |variant: &Variant| variant.aliases.len() > 1;
        if self.pipeline.variants.len() > 1 || self.pipeline.variants.iter().any(merged) {
            text.push_str("\nvariants\n");
            let shown = self.pipeline.variants.iter().take(VARIANTS);
            let rows: Vec<[String; 2]> = shown.map(|v| [v.id.clone(), called(v)]).collect();
            for line in aligned(&rows) {
                text.push_str(&format!("{line}\n"));
            }
            if self.pipeline.variants.len() > VARIANTS {
                let more = self.pipeline.variants.len() - VARIANTS;
                text.push_str(&format!("… and {more} more variants (`--format json` has all)\n"));
            }
        }
        text
    }

    fn rows(&self) -> Vec<StageRow<'_>> {
        let mut rows: Vec<StageRow<'_>> = Vec::new();
        for &id in &self.plan.order {
            let unit = self.plan.unit(id);
            let at = rows.iter().position(|row| row.stage == unit.stage && row.kind == unit.kind.name);
            let at = at.unwrap_or_else(|| {
                rows.push(StageRow {
                    stage: &unit.stage,
                    kind: unit.kind.name,
                    units: Vec::new(),
                    variants: Vec::new(),
                });
                rows.len() - 1
            });
            rows[at].units.push(id);
            rows[at].variants.extend(unit.variants.iter().copied());
        }
        for row in &mut rows {
            row.variants.sort_unstable();
            row.variants.dedup();
        }
        let order = |stage: &str| place_of(self.pipeline, stage);
        rows.sort_by_key(|row| order(row.stage));
        rows
    }

    /// `5 fit, 5 apply` to run and cached; `–` for none.
    fn counts(&self, units: &[UnitId]) -> (String, String) {
        let count = |cached: bool| {
            let mut phases: BTreeMap<Phase, usize> = BTreeMap::new();
            for id in units.iter().filter(|id| (self.standing[id.index()] == Standing::Cached) == cached) {
                *phases.entry(self.plan.unit(*id).phase).or_default() += 1;
            }
            let parts = phases.iter().map(|(phase, number)| match phase {
                Phase::Run => number.to_string(),
                phase => format!("{number} {}", phase.as_str()),
            });
            let parts: Vec<String> = parts.collect();
            if parts.is_empty() { "–".to_owned() } else { parts.join(", ") }
        };
        (count(false), count(true))
    }

    /// Each reason once, with the number of units that have it; for all stages at once, only the first few of each.
    fn reasons(&self, row: &StageRow<'_>, why: Why<'_>) -> Vec<String> {
        let most = match why {
            Why::Untold => return Vec::new(),
            Why::All => REASONS,
            Why::Of(_) => usize::MAX,
        };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for &id in &row.units {
            let Standing::MustRun(misses) = &self.standing[id.index()] else { continue };
            for miss in misses {
                let said = self.reason(self.plan.unit(id), miss);
                match places.get(&said) {
                    Some(&at) => reasons[at].1 += 1,
                    None => {
                        places.insert(said.clone(), reasons.len());
                        reasons.push((said, 1));
                    }
                }
            }
        }
        let more = reasons.len().saturating_sub(most);
        let said = |(reason, number): (String, usize)| match row.units.len() {
            1 => reason,
            _ => format!("{reason} ({})", plural(number, "unit")),
        };
        let mut lines: Vec<String> = reasons.into_iter().take(most).map(said).collect();
        if more > 0 {
            lines.push(format!("… and {more} more reasons (`--why={}` shows all)", row.stage));
        }
        lines
    }

    /// A reason in words, with the line that brought it about.
    pub fn reason(&self, unit: &Unit, miss: &Miss) -> String {
        words::said(&unit.stage, unit.kind.name, miss, self)
    }

    /// What an early cutoff may save: stages that need not run if others give the same bytes as before.
    pub fn hopes(&self) -> Vec<Hope> {
        let mut causes: Vec<Option<BTreeSet<&str>>> = Vec::with_capacity(self.standing.len());
        for &id in &self.plan.order {
            let unit = self.plan.unit(id);
            let saved = match &self.standing[id.index()] {
                Standing::Cached => None,
                Standing::MustRun(misses) if misses.iter().all(Miss::may_be_saved) => {
                    let mut all = BTreeSet::new();
                    for input in &unit.inputs {
                        match (&causes[input.unit.index()], &self.standing[input.unit.index()]) {
                            (Some(further), _) => all.extend(further.iter().copied()),
                            (None, Standing::MustRun(_)) => drop(all.insert(self.plan.unit(input.unit).stage.as_str())),
                            (None, Standing::Cached) => {}
                        }
                    }
                    Some(all)
                }
                Standing::MustRun(_) => None,
            };
            causes.push(saved);
        }
        let mut hopes: Vec<Hope> = Vec::new();
        for row in self.rows() {
            let may: Vec<&BTreeSet<&str>> = row.units.iter().filter_map(|id| causes[id.index()].as_ref()).collect();
            if may.is_empty() {
                continue;
            }
            let must = |id: &&UnitId| self.standing[id.index()] != Standing::Cached;
            let saved =
                Saved { stage: row.stage.to_owned(), units: may.len(), of: row.units.iter().filter(must).count() };
            let if_same: BTreeSet<&str> = may.into_iter().flatten().copied().collect();
            let order = |stage: &&str| place_of(self.pipeline, stage);
            let mut if_same: Vec<&str> = if_same.into_iter().collect();
            if_same.sort_by_key(order);
            let if_same: Vec<String> = if_same.into_iter().map(str::to_owned).collect();
            match hopes.iter_mut().find(|hope| hope.if_same == if_same) {
                Some(hope) => hope.saved.push(saved),
                None => hopes.push(Hope { saved: vec![saved], if_same }),
            }
        }
        hopes
    }

    /// Graphviz: one node a unit, dashed where cached.
    pub fn dot(&self) -> String {
        let mut text = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(&self.pipeline.name));
        for &id in &self.plan.order {
            let style = if self.standing[id.index()] == Standing::Cached { ", style=dashed" } else { "" };
            let title = quoted(&self.plan.unit(id).title());
            text.push_str(&format!("  u{} [label={title}{style}];\n", id.index()));
        }
        for (from, to) in self.edges() {
            text.push_str(&format!("  u{from} -> u{to};\n"));
        }
        text + "}\n"
    }

    /// Mermaid: one node a unit, rounded where cached.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for &id in &self.plan.order {
            let title = self.plan.unit(id).title().replace('"', "'");
            let node = match self.standing[id.index()] {
                Standing::Cached => format!("(\"{title}\")"),
                Standing::MustRun(_) => format!("[\"{title}\"]"),
            };
            text.push_str(&format!("  u{}{node}\n", id.index()));
        }
        for (from, to) in self.edges() {
            text.push_str(&format!("  u{from} --> u{to}\n"));
        }
        text
    }

    /// One object: variants, and units with their standing and what they read.
    pub fn json(&self) -> Value {
        let variants: Vec<Value> = self
            .pipeline
            .variants
            .iter()
            .map(|v| json!({ "id": v.id, "label": v.label, "aliases": v.aliases, "params": v.params }))
            .collect();
        let units = self.plan.order.iter().map(|&id| {
            let unit = self.plan.unit(id);
            let reasons: Vec<Value> = match &self.standing[id.index()] {
                Standing::Cached => Vec::new(),
                Standing::MustRun(misses) => misses.iter().map(|miss| self.typed(unit, miss)).collect(),
            };
            json!({
                "unit": id.index(),
                "stage": unit.stage,
                "kind": unit.kind.name,
                "phase": unit.phase.as_str(),
                "fold": unit.fold.as_ref().and_then(|fold| fold.number),
                "inner": unit.fold.as_ref().map(|fold| fold.inner.as_slice()).unwrap_or_default(),
                "variants": unit.variants.iter().map(|&v| &self.pipeline.variants[v].id).collect::<Vec<_>>(),
                "reads": unit.inputs.iter().map(|input| input.unit.index()).collect::<Vec<_>>(),
                "cached": self.standing[id.index()] == Standing::Cached,
                "why": reasons,
            })
        });
        let units: Vec<Value> = units.collect();
        json!({ "name": self.pipeline.name, "variants": variants, "units": units, "may_be_saved": self.hopes() })
    }

    /// A reason as an object, with the words for it.
    fn typed(&self, unit: &Unit, miss: &Miss) -> Value {
        let mut value = json!(miss);
        if let Value::Object(fields) = &mut value {
            fields.insert("text".to_owned(), Value::from(self.reason(unit, miss)));
        }
        value
    }

    fn edges(&self) -> Vec<(usize, usize)> {
        let mut edges: Vec<(usize, usize)> = self
            .plan
            .order
            .iter()
            .flat_map(|&id| self.plan.unit(id).inputs.iter().map(move |input| (input.unit.index(), id.index())))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

/// Whose reasons are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    /// Nobody's.
    Untold,
    /// All stages'.
    All,
    /// One stage's, and nothing of the others.
    Of(&'a str),
}

/// Stages that an early cutoff may save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hope {
    /// What need not run then.
    pub saved: Vec<Saved>,
    /// The stages that must give the same bytes as before.
    pub if_same: Vec<String>,
}

/// Units of a stage that need not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// The stage.
    pub stage: String,
    /// How many of its units.
    pub units: usize,
    /// Of how many that must run as things stand.
    pub of: usize,
}

impl Hope {
    fn about(&self, why: Why<'_>) -> bool {
        match why {
            Why::Of(stage) => self.saved.iter().any(|saved| saved.stage == stage),
            Why::All | Why::Untold => true,
        }
    }

    fn said(&self) -> String {
        let saved = self.saved.iter().map(|saved| match saved.units == saved.of {
            true => format!("`{}`", saved.stage),
            false => format!("`{}` ({} of {})", saved.stage, saved.units, plural(saved.of, "unit")),
        });
        let saved: Vec<String> = saved.collect();
        let verb = if self.if_same.len() == 1 { "gives" } else { "give" };
        format!("may be saved: {}, if {} {verb} the same bytes as before", saved.join(", "), listed(&self.if_same))
    }
}

impl Places for View<'_> {
    fn param(&self, stage: &str, path: &[String]) -> Option<String> {
        let way: Vec<&str> = path.iter().map(String::as_str).collect();
        self.pipeline.origin(stage, &way).map(|origin| place(&origin))
    }

    fn file(&self, stage: &str, role: &str) -> Option<String> {
        let nodes = self.pipeline.variants.iter().flat_map(|variant| &variant.stages);
        let mut needs = nodes.filter(|node| node.id == stage).flat_map(|node| node.work.stage().files());
        needs.find(|need| need.role == role).and_then(|need| self.param(stage, &need.param))
    }

    fn seed(&self) -> Option<String> {
        let origin = self.pipeline.seed_origin()?;
        (!matches!(origin, Origin::WholeFile { .. })).then(|| place(&origin))
    }
}

/// A variant's label, and the labels that were merged into it.
fn called(variant: &Variant) -> String {
    match variant.aliases.as_slice() {
        [] => variant.label.clone(),
        others => format!("{}   (the same: {})", variant.label, others.join("; ")),
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::File { file, line, column, .. } => format!("{file}:{line}:{column}"),
        Origin::WholeFile { file } => file.to_string(),
        Origin::Flag { text, .. } => text.to_string(),
        Origin::Env { name } => name.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn plural(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| {
            let room = width - cell.chars().count();
            format!("{cell}{}", " ".repeat(room))
        });
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A stage's place in the file; baselines stand below all others.
fn place_of(pipeline: &Pipeline, stage: &str) -> usize {
    pipeline.stage_order.iter().position(|known| known == stage).unwrap_or(usize::MAX)
}
