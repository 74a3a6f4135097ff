//! How does a plan look? As text for people, and as Graphviz, Mermaid or JSON for other programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::why::Miss;
use super::{Phase, Plan, Unit, UnitId};
use crate::pipeline::Pipeline;
use crate::problem::Origin;

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
    /// Stage by stage: units by phase, cached or to run, in how many variants; with `why`, the reasons below each.
    pub fn text(&self, why: Why) -> String {
        let cached = self.standing.iter().filter(|s| **s == Standing::Cached).count();
        let total = self.standing.len();
        let mut text = format!(
            "{}: {}, {total} units: {cached} cached, {} to run\n{}\n",
            self.pipeline.name,
            plural(self.pipeline.variants.len(), "variant"),
            total - cached,
            self.estimate
        );
        let rows = self.rows();
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
            if why == Why::Told && index > 0 {
                for reason in self.reasons(&rows[index - 1]) {
                    text.push_str(&format!("    {reason}\n"));
                }
            }
        }
        for &split in &self.plan.unknown_folds {
            let stage = &self.plan.unit(split).stage;
            text.push_str(&format!(
                "\nthe folds of `{stage}` are in the data: what stands inside them is planned once the rows are read\n"
            ));
        }
        if self.pipeline.variants.len() > 1 {
            text.push_str("\nvariants\n");
            let rows: Vec<[String; 2]> =
                self.pipeline.variants.iter().map(|v| [v.id.clone(), v.label.clone()]).collect();
            for line in aligned(&rows) {
                text.push_str(&format!("{line}\n"));
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
        let order = |stage: &str| self.pipeline.stage_order.iter().position(|known| known == stage);
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

    /// Each reason once, with the number of units that have it.
    fn reasons(&self, row: &StageRow<'_>) -> Vec<String> {
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for &id in &row.units {
            let Standing::MustRun(misses) = &self.standing[id.index()] else { continue };
            for miss in misses {
                let said = self.reason(self.plan.unit(id), miss);
                match reasons.iter_mut().find(|(known, _)| *known == said) {
                    Some((_, number)) => *number += 1,
                    None => reasons.push((said, 1)),
                }
            }
        }
        let said = |(reason, number): (String, usize)| match row.units.len() {
            1 => reason,
            _ => format!("{reason} ({})", plural(number, "unit")),
        };
        reasons.into_iter().map(said).collect()
    }

    /// A reason in words, with the line that brought it about.
    pub fn reason(&self, unit: &Unit, miss: &Miss) -> String {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "its default".to_owned(), Value::to_string);
        match miss {
            Miss::NeverRan => "never ran".to_owned(),
            Miss::Param { path, old, new } => {
                let way: Vec<&str> = path.iter().map(String::as_str).collect();
                let place = self.pipeline.origin(&unit.stage, &way).map(|origin| format!(" ({})", place(&origin)));
                format!("`{}` changed: {} → {}{}", path.join("."), value(old), value(new), place.unwrap_or_default())
            }
            Miss::Kind { old, new } => format!("its kind changed: `{old}` → `{new}`"),
            Miss::Version { old, new } => format!("`{}` now gives other rows: version {old} → {new}", unit.kind.name),
            Miss::Seed => "its seed changed".to_owned(),
            Miss::Format => "the cache has a new format".to_owned(),
            Miss::File { role } => format!("the file for `{role}` changed"),
            Miss::Input { name } => format!("its input {name} changed, from {}", self.through(unit, name)),
            Miss::Removed => "it ran before, but is no longer in the cache".to_owned(),
            Miss::Damaged { what } => format!("damaged in the cache: {what}"),
            Miss::Forced => "forced".to_owned(),
            Miss::Upstream { stages, ran_before } => {
                let stages: Vec<String> = stages.iter().map(|stage| format!("`{stage}`")).collect();
                match ran_before {
                    true => format!("waits for {}; runs only if that gives other bytes than before", stages.join(", ")),
                    false => format!("never ran; waits for {}", stages.join(", ")),
                }
            }
            Miss::NotFetched { source } => format!("`{source}` has not been fetched"),
        }
    }

    /// Which stage an input by its name in the key (`0/text`, `learned/…`) comes through.
    fn through(&self, unit: &Unit, name: &str) -> String {
        let role = name.split_once('/').map_or(name, |(role, _)| role);
        let matches = |input: &&super::Input| match input.role {
            super::Role::Input(index) => role == index.to_string(),
            super::Role::Target => role == "target",
            super::Role::Fold => role == "fold",
            super::Role::Learned => role == "learned",
            super::Role::Predicted(fold) => role == fold.part(),
        };
        let stage = unit.inputs.iter().find(matches).map(|input| self.plan.unit(input.unit).stage.clone());
        stage.map_or_else(|| "a stage that is gone".to_owned(), |stage| format!("`{stage}`"))
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
            .map(|v| json!({ "id": v.id, "label": v.label, "params": v.params }))
            .collect();
        let units = self.plan.order.iter().map(|&id| {
            let unit = self.plan.unit(id);
            let reasons: Vec<String> = match &self.standing[id.index()] {
                Standing::Cached => Vec::new(),
                Standing::MustRun(misses) => misses.iter().map(|miss| self.reason(unit, miss)).collect(),
            };
            json!({
                "unit": id.index(),
                "stage": unit.stage,
                "kind": unit.kind.name,
                "phase": unit.phase.as_str(),
                "fold": unit.fold.map(|(_, number)| number),
                "variants": unit.variants.iter().map(|&v| &self.pipeline.variants[v].id).collect::<Vec<_>>(),
                "reads": unit.inputs.iter().map(|input| input.unit.index()).collect::<Vec<_>>(),
                "cached": self.standing[id.index()] == Standing::Cached,
                "why": reasons,
            })
        });
        json!({ "name": self.pipeline.name, "variants": variants, "units": units.collect::<Vec<_>>() })
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

/// Whether reasons are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// They are.
    Told,
    /// They are not.
    Untold,
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
