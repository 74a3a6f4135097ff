//! How many variants may a pipeline have before that is a surprise?

use super::axes::Axis;
use super::overlay::Overlay;
use crate::problem::Problem;

/// The most variants that a pipeline may have unless told otherwise.
pub const MOST_VARIANTS: usize = 10_000;

/// The bound, and whether it holds for all variants or for those that a selection leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) most: u64,
    /// True if variants are selected afterwards: then only those count.
    pub(super) narrowed: bool,
}

impl Limit {
    /// `what` (a count and its noun) is more than `most`.
    pub(super) fn refused(&self, what: &str, count: u64, most: u64, overlay: &Overlay, axes: &[Axis]) -> Problem {
        let selected = if self.narrowed { "the selection has" } else { "the matrix has" };
        let mut problem = Problem::error("too-many-variants", format!("{selected} {what}, more than {most}"))
            .at(overlay.key_origin(&["matrix"]).filter(|_| overlay.at(&["matrix"]).is_some()))
            .note(sizes(axes));
        if most == self.most {
            problem = problem.help(format!("allow them with `--max-variants {count}`"));
        }
        problem.help(format!("or draw some of them with `--set 'matrix.sample={{size: {most}}}'`"))
    }
}

/// The axes with how many values each has.
pub(super) fn sizes(axes: &[Axis]) -> String {
    let size = |axis: &Axis| format!("`{}` ({})", axis.name, axis.choices.len());
    match axes.iter().map(size).collect::<Vec<_>>().as_slice() {
        [] => "all of them come from `include`".to_owned(),
        all => format!("the axes and how many values each has: {}", all.join(" × ")),
    }
}
