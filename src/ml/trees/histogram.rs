//! How is a boosted tree grown? Leaf by leaf, the one that gains most first, from histograms of gradients.
//!
//! scikit-learn's `TreeGrower` (after LightGBM). Gradients and hessians are summed as whole numbers on a scale chosen for
//! each tree, with the count of rows in the low bits of the hessian: sums are exact in any order, so a sibling's
//! histogram is the parent's less the other's without error, and the number of threads changes nothing.

use rayon::prelude::*;

use super::bins::Bins;
use super::model::{LEAF, Node, Trees};

/// How boosted trees grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_leaves: usize,
    pub(super) max_depth: usize,
    pub(super) min_samples_leaf: usize,
    pub(super) l2: f64,
    pub(super) learning_rate: f64,
}

/// A summed gradient; a summed hessian above a count.
type Sums = [i64; 2];

/// The scale of one tree's sums.
#[derive(Clone, Copy)]
struct Scale {
    gradient: f64,
    hessian: f64,
    /// Bits of the count.
    bits: u32,
}

/// A cut behind a bin, and what it lowers the loss by, on the tree's scale.
#[derive(Debug, Clone, Copy)]
struct Cut {
    column: usize,
    bin: usize,
    gain: f64,
}

struct Leaf {
    node: usize,
    start: usize,
    end: usize,
    depth: usize,
    sums: Sums,
    histogram: Vec<Sums>,
    cut: Option<Cut>,
}

/// Least summed hessian of a leaf (scikit-learn's `min_hessian_to_split`).
const LEAST_HESSIAN: f64 = 1e-3;
/// Values in a leaf from which on its columns are summed in parallel.
const PARALLEL: usize = 1 << 14;

/// What a tree learns from.
pub(super) struct Boosted<'a> {
    bins: &'a Bins,
    limits: Limits,
    /// Where the histogram of each column begins; one more at the end.
    starts: Vec<usize>,
}

impl<'a> Boosted<'a> {
    pub(super) fn new(bins: &'a Bins, limits: Limits) -> Boosted<'a> {
        let mut starts = vec![0];
        for column in 0..bins.columns() {
            starts.push(starts[column] + bins.count(column));
        }
        Boosted { bins, limits, starts }
    }

    /// Grows a tree of `output` on `rows`, whose `slopes` (gradient and hessian) go by row, and adds what its leaves say
    /// to `raw`.
    pub(super) fn grow(
        &self,
        rows: &[u32],
        slopes: &[[f64; 2]],
        output: u32,
        outputs: usize,
        raw: &mut [f64],
    ) -> Trees {
        let (scale, scaled) = Scale::of(rows, slopes);
        let mut growth = Growth { boosted: self, scale, scaled: &scaled, order: rows.to_vec(), aside: Vec::new() };
        let mut trees = Trees::new(self.bins.columns(), outputs);
        trees.roots.push(0);
        trees.nodes.push(Node { column: LEAF, cut: 0.0, below: 0 });
        let mut leaves = vec![growth.root()];
        while leaves.len() < self.limits.max_leaves {
            let Some(at) = most_gaining(&leaves) else { break };
            let last = leaves.len() + 1 == self.limits.max_leaves;
            let leaf = leaves.swap_remove(at);
            let below = trees.nodes.len();
            let Some(cut) = leaf.cut else { break };
            trees.nodes[leaf.node] =
                Node { column: cut.column as u32, cut: self.bins.cut(cut.column, cut.bin), below: below as u32 };
            trees.nodes.extend([Node { column: LEAF, cut: 0.0, below: 0 }; 2]);
            leaves.extend(growth.split(leaf, cut, below, last));
        }
        leaves.sort_unstable_by_key(|leaf| leaf.node);
        for leaf in &leaves {
            let value = -self.limits.learning_rate * scale.step(leaf.sums, self.limits.l2);
            trees.nodes[leaf.node].below = trees.leaf([(output, value)]);
            for &row in &growth.order[leaf.start..leaf.end] {
                raw[row as usize] += value;
            }
        }
        trees
    }
}

/// The leaf with the greatest gain; of equal ones the first in the tree.
fn most_gaining(leaves: &[Leaf]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, leaf) in leaves.iter().enumerate() {
        let Some(cut) = leaf.cut else { continue };
        let wins =
            |(other, gain): (usize, f64)| cut.gain > gain || (cut.gain == gain && leaf.node < leaves[other].node);
        if best.is_none_or(wins) {
            best = Some((at, cut.gain));
        }
    }
    best.map(|(at, _)| at)
}

impl Scale {
    /// The finest scale on which no sum leaves its bits, and the slopes on it, by row.
    fn of(rows: &[u32], slopes: &[[f64; 2]]) -> (Scale, Vec<Sums>) {
        let greatest = |which: usize| rows.iter().map(|&row| slopes[row as usize][which].abs()).fold(0.0, f64::max);
        let bits = usize::BITS - rows.len().leading_zeros();
        let fine = |most: f64, room: u32| {
            let most = most * rows.len() as f64;
            if most > 0.0 { (f64::from(room) - 1.0 - most.log2().ceil()).exp2() } else { 1.0 }
        };
        let (gradient, hessian) = (fine(greatest(0), 62), fine(greatest(1), 62 - bits));
        let mut scaled = vec![[0; 2]; slopes.len()];
        for &row in rows {
            let [g, h] = slopes[row as usize];
            scaled[row as usize] = [(g * gradient).round() as i64, ((h * hessian).round() as i64) << bits | 1];
        }
        (Scale { gradient, hessian, bits }, scaled)
    }

    fn count(self, sums: Sums) -> usize {
        (sums[1] & ((1 << self.bits) - 1)) as usize
    }

    fn hessian(self, sums: Sums) -> f64 {
        (sums[1] >> self.bits) as f64
    }

    /// `G / (H + l2)`: Newton's step, its sign turned.
    fn step(self, sums: Sums, l2: f64) -> f64 {
        (sums[0] as f64 / self.gradient) / (self.hessian(sums) / self.hessian + l2 + 1e-15)
    }
}

/// The growth of one tree.
struct Growth<'a> {
    boosted: &'a Boosted<'a>,
    scale: Scale,
    scaled: &'a [Sums],
    /// Rows; those of a leaf stand together.
    order: Vec<u32>,
    aside: Vec<u32>,
}

impl Growth<'_> {
    fn root(&mut self) -> Leaf {
        let mut sums = [0; 2];
        self.order.iter().for_each(|&row| sums = plus(sums, self.scaled[row as usize]));
        let mut leaf =
            Leaf { node: 0, start: 0, end: self.order.len(), depth: 0, sums, histogram: Vec::new(), cut: None };
        if self.boosted.limits.max_leaves > 1 && self.may_split(&leaf) {
            leaf.histogram = self.histogram(&self.order);
            leaf.cut = self.best_cut(&leaf);
        }
        leaf
    }

    fn may_split(&self, leaf: &Leaf) -> bool {
        let Limits { max_depth, min_samples_leaf, .. } = self.boosted.limits;
        leaf.depth < max_depth && leaf.end - leaf.start >= 2 * min_samples_leaf.max(1)
    }

    /// The two halves of a leaf; without what a further split would need, where this is the `last`.
    fn split(&mut self, leaf: Leaf, cut: Cut, below: usize, last: bool) -> [Leaf; 2] {
        let bins = self.boosted.bins.column(cut.column);
        let (mut left, mut sums) = (leaf.start, [0; 2]);
        self.aside.clear();
        for at in leaf.start..leaf.end {
            let row = self.order[at];
            if usize::from(bins[row as usize]) <= cut.bin {
                self.order[left] = row;
                left += 1;
                sums = plus(sums, self.scaled[row as usize]);
            } else {
                self.aside.push(row);
            }
        }
        self.order[left..leaf.end].copy_from_slice(&self.aside);
        let half = |node, start, end, sums| Leaf {
            node,
            start,
            end,
            depth: leaf.depth + 1,
            sums,
            histogram: Vec::new(),
            cut: None,
        };
        let rest = [leaf.sums[0] - sums[0], leaf.sums[1] - sums[1]];
        let mut halves = [half(below, leaf.start, left, sums), half(below + 1, left, leaf.end, rest)];
        if last || !halves.iter().any(|half| self.may_split(half)) {
            return halves;
        }
        let small = usize::from(left - leaf.start > leaf.end - left);
        let few = self.histogram(&self.order[halves[small].start..halves[small].end]);
        let mut many = leaf.histogram;
        for (from, less) in many.iter_mut().zip(&few) {
            *from = [from[0] - less[0], from[1] - less[1]];
        }
        halves[small].histogram = few;
        halves[1 - small].histogram = many;
        for half in &mut halves {
            half.cut = if self.may_split(half) { self.best_cut(half) } else { None };
            if half.cut.is_none() {
                half.histogram = Vec::new();
            }
        }
        halves
    }

    /// The sums of each bin of each column.
    fn histogram(&self, rows: &[u32]) -> Vec<Sums> {
        let Boosted { bins, starts, .. } = self.boosted;
        let slopes: Vec<Sums> = rows.iter().map(|&row| self.scaled[row as usize]).collect();
        let mut histogram = vec![[0; 2]; starts[bins.columns()]];
        let mut columns = Vec::with_capacity(bins.columns());
        let mut rest = histogram.as_mut_slice();
        for column in 0..bins.columns() {
            let (own, others) = rest.split_at_mut(bins.count(column));
            columns.push((column, own));
            rest = others;
        }
        let sum = |(column, own): &mut (usize, &mut [Sums])| {
            let bins = bins.column(*column);
            for (&row, slope) in rows.iter().zip(&slopes) {
                let to = &mut own[usize::from(bins[row as usize])];
                *to = plus(*to, *slope);
            }
        };
        match rows.len() * columns.len() < PARALLEL {
            true => columns.iter_mut().for_each(sum),
            false => columns.par_iter_mut().with_min_len(8).for_each(sum),
        }
        histogram
    }

    /// The cut that gains most; of equal ones the first.
    fn best_cut(&self, leaf: &Leaf) -> Option<Cut> {
        let starts = &self.boosted.starts;
        let look = |column: usize| self.column_cut(leaf, column, &leaf.histogram[starts[column]..starts[column + 1]]);
        let first_best = |a: Option<Cut>, b: Option<Cut>| match (a, b) {
            (Some(a), Some(b)) => Some(if b.gain > a.gain { b } else { a }),
            (a, b) => a.or(b),
        };
        match leaf.histogram.len() < PARALLEL {
            true => (0..starts.len() - 1).map(look).fold(None, first_best),
            false => (0..starts.len() - 1).into_par_iter().with_min_len(8).map(look).reduce(|| None, first_best),
        }
    }

    /// `G²/(H + l2)` of both sides, less that of both together; compared as fractions, since divisions are slow.
    fn column_cut(&self, leaf: &Leaf, column: usize, histogram: &[Sums]) -> Option<Cut> {
        let Limits { l2, min_samples_leaf, .. } = self.boosted.limits;
        let (scale, least) = (self.scale, min_samples_leaf.max(1));
        let (l2, least_hessian) = (l2 * scale.hessian, LEAST_HESSIAN * scale.hessian);
        let (all, all_g, all_h) = (scale.count(leaf.sums), leaf.sums[0] as f64, scale.hessian(leaf.sums));
        let now = all_g * all_g / (all_h + l2);
        let (mut best, mut top, mut left) = (None, now, [0; 2]);
        for (bin, sums) in histogram[..histogram.len() - 1].iter().enumerate() {
            left = plus(left, *sums);
            let count = scale.count(left);
            if count < least || scale.count(*sums) == 0 {
                continue;
            }
            let h = scale.hessian(left);
            if count + least > all || all_h - h < least_hessian {
                break;
            }
            let (g, other) = (left[0] as f64, all_g - left[0] as f64);
            let (l, r) = (h + l2, all_h - h + l2);
            if g * g * r + other * other * l > top * (l * r) && h >= least_hessian {
                top = g * g / l + other * other / r;
                best = Some(bin);
            }
        }
        best.filter(|_| top > now).map(|bin| Cut { column, bin, gain: top - now })
    }
}

#[inline]
fn plus(a: Sums, b: Sums) -> Sums {
    [a[0] + b[0], a[1] + b[1]]
}
