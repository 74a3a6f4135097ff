//! How is the plan drawn? Stages as boxes in layers, each below what it reads, with what became of their units.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use crate::record::UnitSummary;
use crate::stage::Baseline;

use super::data::{Note, StageLine};
use super::words::{count, counted, html, seconds, short};

/// Sizes in pixels: a box, the room between boxes, the room between layers, the width of a wire that passes a layer.
const BOX: (f64, f64) = (158.0, 68.0);
const GAP: (f64, f64) = (16.0, 34.0);
const WIRE: f64 = 10.0;

/// How often the layers are put in order, down and up again.
const SWEEPS: usize = 6;

/// What stands in a layer: a stage, or a wire on its way to a lower one.
#[derive(Debug, Clone, Default)]
struct Node {
    stage: Option<usize>,
    layer: usize,
    /// Its middle.
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

impl Node {
    fn width(&self) -> f64 {
        if self.stage.is_some() { BOX.0 } else { WIRE }
    }
}

/// A plan, laid out.
#[derive(Debug, Default)]
struct Layout {
    nodes: Vec<Node>,
    /// Nodes from left to right, layer by layer.
    layers: Vec<Vec<usize>>,
}

/// The section; empty where there is nothing to draw.
pub(super) fn html_section(note: &Note<'_>) -> String {
    let wires = wires(note.pipeline);
    let stages = stages(note, &wires);
    // stages without wires between them are a list, and the table is a better one
    let at: BTreeMap<&str, usize> = stages.iter().enumerate().map(|(at, line)| (line.stage, at)).collect();
    let reads: Vec<Vec<usize>> = stages
        .iter()
        .map(|line| wires.get(line.stage).into_iter().flatten().filter_map(|id| at.get(id.as_str()).copied()).collect())
        .collect();
    if reads.iter().all(Vec::is_empty) {
        return String::new();
    }
    let layout = Layout::of(&reads);
    format!(
        "<h3>The plan</h3>\n<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"plan\">{}</div>\n<figcaption>\
         Each stage stands below what it reads, with the seconds that its units took, the rows of its largest unit and how many \
         units ran or were reused. Bar: its share of the seconds of the slowest stage; dashed: all reused; orange: some \
         failed.</figcaption>\n</figure>\n",
        layout.drawn(&stages, &reads, &note.summary.units)
    )
}

/// The stages that have units, and those of the pipeline that have none.
fn stages<'a>(note: &Note<'a>, wires: &'a BTreeMap<String, BTreeSet<String>>) -> Vec<StageLine<'a>> {
    // guesses stand beside the plan
    let mut stages: Vec<StageLine<'_>> =
        note.stages.iter().filter(|line| !Baseline::is_stage(line.stage)).cloned().collect();
    let known: BTreeSet<&str> = stages.iter().map(|line| line.stage).collect();
    let more = wires.keys().filter(|id| !known.contains(id.as_str()));
    stages.extend(more.map(|id| StageLine { stage: id, ..StageLine::default() }));
    stages
}

/// What each stage of a pipeline reads, in any of its variants.
fn wires(pipeline: &str) -> BTreeMap<String, BTreeSet<String>> {
    let Ok(file) = serde_yaml::from_str::<Value>(pipeline) else { return BTreeMap::new() };
    let entries = |value: Option<&Value>| -> Vec<(String, Value)> {
        let map = value.and_then(Value::as_mapping).into_iter().flatten();
        map.filter_map(|(id, value)| Some((id.as_str()?.to_owned(), value.clone()))).collect()
    };
    let mut wires: BTreeMap<String, BTreeSet<String>> =
        entries(file.get("stages")).into_iter().map(|(id, stage)| (id, names(stage.get("from")))).collect();
    for (axis, value) in entries(file.get("matrix")) {
        let path = value.get("set").and_then(Value::as_str).unwrap_or(&axis);
        let Some(reads) = path.strip_suffix(".from").and_then(|stage| wires.get_mut(stage)) else { continue };
        match value.get("values").unwrap_or(&value) {
            Value::Sequence(values) => values.iter().for_each(|one| reads.extend(names(Some(one)))),
            Value::Mapping(values) => values.values().for_each(|one| reads.extend(names(Some(one)))),
            _ => {}
        }
    }
    wires
}

/// A name, or a list of names.
fn names(value: Option<&Value>) -> BTreeSet<String> {
    match value {
        Some(Value::String(name)) => BTreeSet::from([name.clone()]),
        Some(Value::Sequence(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

impl Layout {
    /// Layers such that each stage stands below all it reads, with few crossings.
    fn of(reads: &[Vec<usize>]) -> Layout {
        let layer = layers(reads);
        let mut layout = Layout::default();
        layout.layers.resize(layer.iter().max().map_or(0, |most| most + 1), Vec::new());
        for (stage, layer) in layer.iter().enumerate() {
            layout.add(Node { stage: Some(stage), layer: *layer, ..Node::default() });
        }
        for (stage, inputs) in reads.iter().enumerate() {
            for &input in inputs {
                let mut from = input;
                for passed in layer[input] + 1..layer[stage] {
                    let node = layout.add(Node { layer: passed, ..Node::default() });
                    layout.wire(from, node);
                    from = node;
                }
                layout.wire(from, stage);
            }
        }
        layout.order();
        layout.place();
        layout
    }

    fn add(&mut self, node: Node) -> usize {
        self.layers[node.layer].push(self.nodes.len());
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn wire(&mut self, above: usize, below: usize) {
        self.nodes[above].below.push(below);
        self.nodes[below].above.push(above);
    }

    /// Puts each layer in the order of the mean place of its neighbours (Sugiyama's method).
    fn order(&mut self) {
        let mut place = vec![0.0; self.nodes.len()];
        let note = |layer: &[usize], place: &mut Vec<f64>| {
            layer.iter().enumerate().for_each(|(at, node)| place[*node] = at as f64 - layer.len() as f64 / 2.0);
        };
        self.layers.iter().for_each(|layer| note(layer, &mut place));
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            for step in 0..self.layers.len() {
                let at = if down { step } else { self.layers.len() - 1 - step };
                let mut layer = std::mem::take(&mut self.layers[at]);
                let wish = |node: &usize| {
                    let node = &self.nodes[*node];
                    mean(if down { &node.above } else { &node.below }, &place)
                };
                let wishes: BTreeMap<usize, f64> =
                    layer.iter().map(|node| (*node, wish(node).unwrap_or(place[*node]))).collect();
                layer.sort_by(|a, b| wishes[a].total_cmp(&wishes[b]));
                note(&layer, &mut place);
                self.layers[at] = layer;
            }
        }
    }

    /// Moves each node towards its neighbours, as far as those beside it allow.
    fn place(&mut self) {
        for layer in &self.layers {
            let mut end = 0.0;
            for node in layer {
                let node = &mut self.nodes[*node];
                node.x = end + node.width() / 2.0;
                end += node.width() + GAP.0;
            }
            layer.iter().for_each(|node| self.nodes[*node].x -= end / 2.0);
        }
        for sweep in 0..2 * SWEEPS {
            let down = sweep % 2 == 0;
            for step in 0..self.layers.len() {
                let layer = &self.layers[if down { step } else { self.layers.len() - 1 - step }];
                let place: Vec<f64> = self.nodes.iter().map(|node| node.x).collect();
                let wish = |node: &Node| mean(if down { &node.above } else { &node.below }, &place).unwrap_or(node.x);
                let wishes: Vec<f64> = layer.iter().map(|node| wish(&self.nodes[*node])).collect();
                let mut shift = 0.0;
                let mut end = f64::NEG_INFINITY;
                for (node, wish) in layer.iter().zip(&wishes) {
                    let node = &mut self.nodes[*node];
                    node.x = wish.max(end + GAP.0 + node.width() / 2.0);
                    end = node.x + node.width() / 2.0;
                    shift += (node.x - wish) / layer.len() as f64;
                }
                // all were pushed to the right only
                layer.iter().for_each(|node| self.nodes[*node].x -= shift);
            }
        }
        let left = self.nodes.iter().map(|node| node.x - node.width() / 2.0).fold(f64::INFINITY, f64::min);
        self.nodes.iter_mut().for_each(|node| node.x += 1.0 - left);
    }

    fn drawn(&self, stages: &[StageLine<'_>], reads: &[Vec<usize>], units: &[UnitSummary]) -> String {
        let width = self.nodes.iter().map(|node| node.x + node.width() / 2.0).fold(0.0, f64::max) + 1.0;
        let height = self.layers.len() as f64 * (BOX.1 + GAP.1) - GAP.1 + 2.0;
        let mut out = format!(
            "<svg class=\"plan read\" role=\"group\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             aria-label=\"the plan: {}\"><title>The plan</title><desc>{}</desc>",
            counted(stages.len() as u64, "stage"),
            html(&told(stages, reads))
        );
        for node in self.nodes.iter().filter(|node| node.stage.is_some()) {
            node.below.iter().for_each(|below| out.push_str(&self.path(node, *below)));
        }
        let longest = stages.iter().map(|line| line.worked + line.saved).fold(0.0, f64::max);
        let rows = largest(units);
        for node in self.layers.iter().flatten().map(|node| &self.nodes[*node]) {
            let Some(line) = node.stage.and_then(|stage| stages.get(stage)) else { continue };
            let at = (node.x - BOX.0 / 2.0, top(node.layer));
            let read: Vec<&str> =
                node.stage.map(|stage| reads[stage].iter().map(|at| stages[*at].stage).collect()).unwrap_or_default();
            out.push_str(&drawn_stage(line, at, &read, rows.get(line.stage).copied(), longest));
        }
        out + "</svg>"
    }

    /// A wire from a stage down to the next one, past the layers between.
    fn path(&self, from: &Node, mut below: usize) -> String {
        let (mut x, mut y) = (from.x, top(from.layer) + BOX.1);
        let mut path = format!("M{x:.1} {y:.1}");
        loop {
            let node = &self.nodes[below];
            let (to, middle) = (top(node.layer), y + GAP.1 / 2.0);
            path.push_str(&format!("C{x:.1} {middle:.1} {0:.1} {middle:.1} {0:.1} {to:.1}", node.x));
            match node.below.first().filter(|_| node.stage.is_none()) {
                None => return format!("<path class=\"wire\" d=\"{path}\"/>"),
                Some(next) => {
                    (x, y, below) = (node.x, to + BOX.1, *next);
                    path.push_str(&format!("V{y:.1}"));
                }
            }
        }
    }
}

/// The upper edge of a layer.
fn top(layer: usize) -> f64 {
    1.0 + layer as f64 * (BOX.1 + GAP.1)
}

fn mean(nodes: &[usize], place: &[f64]) -> Option<f64> {
    (!nodes.is_empty()).then(|| nodes.iter().map(|node| place[*node]).sum::<f64>() / nodes.len() as f64)
}

/// The layer of each stage: one below the lowest that it reads; a source stands right above its first reader.
fn layers(reads: &[Vec<usize>]) -> Vec<usize> {
    let mut layer = vec![0; reads.len()];
    // as many rounds as there are stages would do even for the longest chain, and end for a ring
    for _ in 0..reads.len() {
        let before = layer.clone();
        for (stage, inputs) in reads.iter().enumerate() {
            layer[stage] = inputs.iter().map(|input| layer[*input] + 1).max().unwrap_or(0).min(reads.len() - 1);
        }
        if layer == before {
            break;
        }
    }
    for stage in (0..reads.len()).filter(|stage| reads[*stage].is_empty()) {
        let readers = (0..reads.len()).filter(|reader| reads[*reader].contains(&stage));
        layer[stage] = readers.map(|reader| layer[reader]).min().unwrap_or(0).saturating_sub(1);
    }
    layer
}

/// The rows of each stage's largest unit.
fn largest(units: &[UnitSummary]) -> BTreeMap<&str, u64> {
    let mut rows = BTreeMap::new();
    for unit in units.iter().filter(|unit| unit.phase != "fit") {
        let most: &mut u64 = rows.entry(unit.stage.as_str()).or_default();
        *most = (*most).max(unit.rows);
    }
    rows
}

/// The wires in words.
fn told(stages: &[StageLine<'_>], reads: &[Vec<usize>]) -> String {
    let each = stages.iter().zip(reads).filter(|(_, inputs)| !inputs.is_empty());
    let each = each.map(|(line, inputs)| {
        let names: Vec<&str> = inputs.iter().map(|at| stages[*at].stage).collect();
        format!("{} reads {}.", line.stage, names.join(" and "))
    });
    each.collect::<Vec<_>>().join(" ")
}

/// How many units of a stage ended how.
fn outcomes(line: &StageLine<'_>) -> String {
    let all = [(line.ran, "ran"), (line.reused, "reused"), (line.failed, "failed"), (line.skipped, "not run")];
    let some = all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n)));
    some.collect::<Vec<_>>().join(" · ")
}

fn drawn_stage(line: &StageLine<'_>, (x, y): (f64, f64), reads: &[&str], rows: Option<u64>, longest: f64) -> String {
    let (spent, done) = (line.worked + line.saved, line.ran + line.reused + line.failed);
    let figures = match rows.filter(|rows| *rows > 0) {
        _ if done == 0 => String::new(),
        Some(rows) => format!("{} · {}", seconds(spent), counted(rows, "row")),
        None => seconds(spent),
    };
    let outcomes = outcomes(line);
    let mut title = line.stage.to_owned();
    if !line.kind.is_empty() && line.kind != line.stage {
        title.push_str(&format!(" ({})", line.kind));
    }
    if !reads.is_empty() {
        title.push_str(&format!(" reads {}", reads.join(" and ")));
    }
    for more in [&outcomes, &figures].into_iter().filter(|more| !more.is_empty()) {
        title.push_str(&format!(" · {more}"));
    }
    let tone = match () {
        () if line.failed > 0 => " failed",
        () if done == 0 => " idle",
        () if line.ran == 0 => " reused",
        () => "",
    };
    let (width, height) = BOX;
    let mut out = format!(
        "<g class=\"part stage{tone}\" role=\"img\" transform=\"translate({x:.1} {y:.1})\"><title>{}</title>\
         <rect class=\"box\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>",
        html(&title)
    );
    if longest > 0.0 && spent > 0.0 {
        let bar = (width - 2.0) * (spent / longest).clamp(0.0, 1.0);
        out.push_str(&format!(
            "<rect class=\"spent\" x=\"1\" y=\"{}\" width=\"{bar:.1}\" height=\"4\"/>",
            height - 5.0
        ));
    }
    out.push_str(&format!("<text class=\"name\" x=\"9\" y=\"17\">{}</text>", html(&short(line.stage, 20))));
    let kind = if line.kind == line.stage { "" } else { line.kind };
    for (at, words) in [kind, &figures, &outcomes].into_iter().filter(|words| !words.is_empty()).enumerate() {
        out.push_str(&format!("<text x=\"9\" y=\"{}\">{}</text>", 31 + 13 * at, html(&short(words, 27))));
    }
    out + "</g>"
}

#[cfg(test)]
mod tests {
    use super::super::example::{results, summary, unit};
    use super::*;
    use crate::record::{Outcome, Results};

    #[test]
    fn wires_are_those_of_any_variant() {
        let pipeline = "stages:\n  a: { use: ingest }\n  b: { use: tfidf, from: a }\n  c: { use: embed, from: a }\n  d: { use: fuse, from: [b] }\n\
            matrix:\n  parts: { set: d.from, values: { one: [b], both: [b, c] } }\n  c.from: [a, b]\n  d.with: [x]\n";
        let wires = wires(pipeline);
        let of = |id: &str| wires[id].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!((of("a"), of("b"), of("c"), of("d")), (vec![], vec!["a"], vec!["a", "b"], vec!["b", "c"]));
        assert!(super::wires("stages: [").is_empty() && super::wires("3").is_empty());
    }

    #[test]
    fn each_stage_stands_below_what_it_reads_and_beside_no_other() {
        // 0 → 1 → 2 → 3, 0 → 3, 4 → 3, 5 alone
        let reads = [vec![], vec![0], vec![1], vec![2, 0, 4], vec![], vec![]];
        assert_eq!(layers(&reads), [0, 1, 2, 3, 2, 0]);
        let layout = Layout::of(&reads);
        // a wire from 0 to 3 passes two layers
        assert_eq!(layout.nodes.len(), reads.len() + 2);
        for layer in &layout.layers {
            for pair in layer.windows(2) {
                let [left, right] = [&layout.nodes[pair[0]], &layout.nodes[pair[1]]];
                assert!(left.x + left.width() / 2.0 < right.x - right.width() / 2.0, "{left:?} {right:?}");
            }
        }
        assert!(layout.nodes.iter().all(|node| node.x - node.width() / 2.0 >= 1.0 - 1e-9));
        // what cannot be ends all the same
        assert_eq!(layers(&[vec![1], vec![0]]).len(), 2);
    }

    #[test]
    fn a_plan_says_what_became_of_each_stage() {
        let mut run = summary(vec![]);
        run.units = vec![
            unit("<a>", None, Outcome::Reused, 2.0),
            unit("b", Some(0), Outcome::Ran, 1.0),
            unit("b", Some(1), Outcome::Failed, 0.5),
        ];
        let named =
            "stages:\n  '<a>': { use: ingest }\n  b: { use: tfidf, from: '<a>' }\n  c: { use: report, from: b }\n";
        let of = |pipeline| {
            let results = Results { pipeline, ..results(&run, Vec::new()) };
            html_section(&Note::of(&results, None, None, 0).unwrap())
        };
        let drawn = of(named);
        assert!(drawn.contains("<title>b (tfidf) reads &lt;a&gt; · 1 ran · 1 failed · 1.5 s</title>"), "{drawn}");
        assert!(drawn.contains("<desc>b reads &lt;a&gt;. c reads b.</desc>") && !drawn.contains("<a>"), "{drawn}");
        for (class, boxes) in [("part stage reused", 1), ("part stage failed", 1), ("part stage idle", 1), ("wire", 2)]
        {
            assert_eq!(drawn.matches(&format!("class=\"{class}\"")).count(), boxes, "{class}");
        }
        assert_eq!(of("stages: { b: { use: tfidf } }"), "");
    }
}
