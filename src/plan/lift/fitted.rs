//! Which units does a fitted pipeline come to? One variant's model and all that it reads, every learner fitted on all rows.

use petgraph::graph::DiGraph;
use rustc_hash::FxHashMap;

use super::{Books, Done, Lift, Lifting};
use crate::pipeline::Pipeline;
use crate::plan::{Known, Plan};
use crate::stage::Work;

/// Plans the stage `at` (an index into the variant's stages) of the variant `index`, outside all folds, as far as what is known
/// allows.
pub fn fitted(pipeline: &Pipeline, known: &Known, index: usize, at: usize) -> Plan {
    let variant = &pipeline.variants[index];
    let mut learns = vec![false; variant.stages.len()];
    for (place, node) in variant.stages.iter().enumerate() {
        learns[place] =
            matches!(*node.work, Work::Learner(_) | Work::Meta(_)) || node.inputs.iter().any(|&input| learns[input]);
    }
    let mut lift = Lift {
        known,
        graph: DiGraph::new(),
        by_ident: FxHashMap::default(),
        evaluations: Vec::new(),
        open: Vec::new(),
        waits: Vec::new(),
        stages: Vec::new(),
        names: FxHashMap::default(),
        books: Books::default(),
    };
    lift.node(&mut Lifting { index, variant, learns, done: Done::default() }, at, None);
    let order = lift.graph.node_indices().collect();
    Plan {
        graph: lift.graph,
        order,
        evaluations: Vec::new(),
        ledgers: Vec::new(),
        open: lift.open.iter().copied().filter(|id| !lift.waits[id.index()]).collect(),
        waits: lift.waits,
        stages: lift.stages,
    }
}
