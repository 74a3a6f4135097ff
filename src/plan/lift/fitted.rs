//! Which units does a fitted pipeline come to? One variant's model and all that it reads, every learner fitted on all rows.

use super::{Done, Lift, Lifting};
use crate::pipeline::Pipeline;
use crate::plan::{Known, Plan};

/// Plans the stage `at` (an index into the variant's stages) of the variant `index`, outside all folds, as far as what is known
/// allows.
pub fn fitted(pipeline: &Pipeline, known: &Known, index: usize, at: usize) -> Plan {
    let variant = &pipeline.variants[index];
    let mut lift = Lift::new(known);
    lift.node(&mut Lifting::new(index, variant, Done::default()), at, None);
    lift.plan(Vec::new())
}
