//! Which units does a fitted pipeline come to? One variant's model and all that it reads, every learner fitted on all rows.

use petgraph::graph::DiGraph;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Books, Done, Lift, Lifting};
use crate::pipeline::Pipeline;
use crate::plan::{Known, Plan};

/// Plans the stage `at` (an index into the variant's stages) of the variant `index`, outside all folds, as far as what is known
/// allows.
pub fn fitted(pipeline: &Pipeline, known: &Known, index: usize, at: usize) -> Plan {
    let mut lift = Lift {
        known,
        graph: DiGraph::new(),
        by_ident: FxHashMap::default(),
        evaluations: Vec::new(),
        open: Vec::new(),
        searches: Vec::new(),
        waits: Vec::new(),
        stages: Vec::new(),
        names: FxHashMap::default(),
        placed: FxHashSet::default(),
        books: Books::default(),
    };
    lift.node(&mut Lifting::new(index, &pipeline.variants[index], Done::default()), at, None);
    let order = lift.graph.node_indices().collect();
    Plan {
        graph: lift.graph,
        order,
        evaluations: Vec::new(),
        ledgers: Vec::new(),
        open: lift.open.iter().copied().filter(|id| !lift.waits[id.index()]).collect(),
        waits: lift.waits,
        searches: lift.searches,
        stages: lift.stages,
    }
}
