//! How is one tree grown on exact values? Depth first (best first where leaves are limited), each node by the best (or best random) cut of
//! the columns it draws.
//!
//! What scikit-learn's depth-first builder does (`sklearn/tree/_tree.pyx`, `_splitter.pyx`): columns are drawn without
//! replacement until `max_features` were looked at and one of them was not constant; columns that are constant in a node
//! are not looked at again below it. Differences: values that differ are different, however little (scikit-learn takes
//! 1e-7 for nothing), and where every column is looked at, equal cuts go to the first column instead of a random one.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::Growth;
use super::columns::{Buffers, Columns, between};
use super::criterion::{Criterion, NodeRows, Sides};
use super::model::{LEAF, Node, Trees};
use crate::ml::Rng;
use crate::ml::linear::{FitError, ShouldStop};

/// A cut of a column: the greatest value that goes left, and what it is worth.
#[derive(Debug, Clone, Copy)]
struct Cut {
    column: u32,
    value: f32,
    merit: f64,
}

/// What a column has to offer in a node.
enum Look {
    Constant,
    Barred,
    Cut(Cut),
}

/// Buffers of one search.
#[derive(Default)]
struct Scratch {
    buffers: Buffers,
    values: Vec<f32>,
    sides: Sides,
}

/// A part of the rows that waits to become a node.
struct Pending {
    node: u32,
    start: usize,
    end: usize,
    depth: usize,
    /// How many of the first `features` are known to be constant here.
    constants: usize,
}

/// A node that may be split.
struct Open {
    /// By how much that lowers the impurity.
    gain: f64,
    at: Pending,
    cut: Cut,
    /// What it says if it is not.
    leaf: Vec<(u32, f64)>,
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then(other.at.node.cmp(&self.at.node))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

/// A tree that grows, and the buffers for that.
struct Sprout<L> {
    trees: Trees,
    /// The rows of each node lie together.
    rows: Vec<u32>,
    features: Vec<u32>,
    scratch: Scratch,
    in_node: NodeRows<L>,
    aside: Vec<u32>,
}

const UNGROWN: Node = Node { column: LEAF, cut: 0.0, below: 0 };

impl<L: Default> Sprout<L> {
    fn new(mut trees: Trees, rows: Vec<u32>) -> Self {
        trees.roots.push(0);
        trees.nodes.push(UNGROWN);
        let features = (0..trees.cols as u32).collect();
        let (scratch, in_node, aside) = (Scratch::default(), NodeRows::default(), Vec::new());
        Sprout { trees, rows, features, scratch, in_node, aside }
    }

    /// Makes a leaf of a node.
    fn close(&mut self, node: u32, entries: Vec<(u32, f64)>) {
        self.trees.nodes[node as usize].below = self.trees.leaf(entries);
    }

    /// Asks now and then whether to go on.
    fn check(&self, should_stop: ShouldStop<'_>) -> Result<(), FitError> {
        match self.trees.nodes.len() % 64 == 1 && should_stop() {
            true => Err(FitError::Interrupted),
            false => Ok(()),
        }
    }
}

pub(super) struct Grower<'a, C: Criterion> {
    pub(super) columns: &'a Columns<'a>,
    pub(super) growth: &'a Growth,
    pub(super) criterion: C,
    /// Weight of each row; rows of weight 0 are not among `rows`.
    pub(super) weights: &'a [f64],
    /// Number of columns to look at in each node.
    pub(super) looks: usize,
    pub(super) rng: Rng,
    /// Numbers that a row gets.
    pub(super) outputs: usize,
}

/// Values in a node from which on its columns are searched in parallel.
const PARALLEL: usize = 1 << 15;

impl<C: Criterion> Grower<'_, C> {
    /// Grows a tree on `rows`, which must not be empty.
    pub(super) fn grow(mut self, rows: Vec<u32>, should_stop: ShouldStop<'_>) -> Result<Trees, FitError> {
        let root = Pending { node: 0, start: 0, end: rows.len(), depth: 0, constants: 0 };
        let mut tree = Sprout::new(Trees::new(self.columns.count(), self.outputs), rows);
        match self.growth.max_leaf_nodes {
            None => self.depth_first(&mut tree, root, should_stop)?,
            Some(most) => self.best_first(&mut tree, root, most, should_stop)?,
        }
        Ok(tree.trees)
    }

    fn depth_first(
        &mut self,
        tree: &mut Sprout<C::Label>,
        root: Pending,
        should_stop: ShouldStop<'_>,
    ) -> Result<(), FitError> {
        let mut waiting = vec![root];
        while let Some(mut at) = waiting.pop() {
            tree.check(should_stop)?;
            match self.look(tree, &mut at) {
                Some(cut) => {
                    let [left, right] = self.split(tree, &at, &cut);
                    waiting.extend([right, left]);
                }
                None => tree.close(at.node, self.criterion.leaf(&tree.in_node)),
            }
        }
        Ok(())
    }

    /// Of all nodes that may be split, always splits the one that lowers the impurity most (scikit-learn's best-first builder; of
    /// equals the first), until there are `most` leaves.
    fn best_first(
        &mut self,
        tree: &mut Sprout<C::Label>,
        root: Pending,
        most: usize,
        should_stop: ShouldStop<'_>,
    ) -> Result<(), FitError> {
        let (mut open, mut fresh) = (BinaryHeap::new(), vec![root]);
        let mut leaves = 1;
        loop {
            for mut at in fresh.drain(..) {
                tree.check(should_stop)?;
                // which columns are constant is known along one path alone
                at.constants = 0;
                let cut = self.look(tree, &mut at);
                let leaf = self.criterion.leaf(&tree.in_node);
                match cut {
                    Some(cut) => {
                        open.push(Open { gain: cut.merit - self.criterion.whole(&tree.in_node), at, cut, leaf })
                    }
                    None => tree.close(at.node, leaf),
                }
            }
            match open.pop() {
                Some(best) if leaves < most => fresh.extend(self.split(tree, &best.at, &best.cut)),
                Some(best) => tree.close(best.at.node, best.leaf),
                None => return Ok(()),
            }
            leaves += usize::from(!fresh.is_empty());
        }
    }

    /// Takes in a node's rows, and searches for its cut.
    fn look(&mut self, tree: &mut Sprout<C::Label>, at: &mut Pending) -> Option<Cut> {
        let Sprout { rows, features, scratch, in_node, .. } = tree;
        let span = &rows[at.start..at.end];
        self.criterion.enter(span, self.weights, in_node);
        match self.may_split(at, in_node) {
            true => self.search(span, in_node, features, &mut at.constants, scratch),
            false => None,
        }
    }

    /// Divides a node's rows among two new nodes.
    fn split(&self, tree: &mut Sprout<C::Label>, at: &Pending, cut: &Cut) -> [Pending; 2] {
        let goes_left = |row: u32| self.columns.value(cut.column, row) <= cut.value;
        let middle = at.start + divide(&mut tree.rows[at.start..at.end], goes_left, &mut tree.aside);
        let below = tree.trees.nodes.len() as u32;
        tree.trees.nodes[at.node as usize] = Node { column: cut.column, cut: cut.value, below };
        tree.trees.nodes.extend([UNGROWN; 2]);
        let (depth, constants) = (at.depth + 1, at.constants);
        [
            Pending { node: below, start: at.start, end: middle, depth, constants },
            Pending { node: below + 1, start: middle, end: at.end, depth, constants },
        ]
    }

    fn may_split(&self, at: &Pending, node: &NodeRows<C::Label>) -> bool {
        let (rows, growth) = (at.end - at.start, self.growth);
        !node.pure
            && growth.max_depth.is_none_or(|most| at.depth < most)
            && rows >= growth.min_samples_split.max(2)
            && rows >= 2 * growth.min_samples_leaf
    }

    fn search(
        &mut self,
        rows: &[u32],
        node: &NodeRows<C::Label>,
        features: &mut [u32],
        constants: &mut usize,
        scratch: &mut Scratch,
    ) -> Option<Cut> {
        match self.looks >= features.len() && !self.growth.random_cuts {
            true => self.search_all(rows, node, features, constants, scratch),
            false => self.search_some(rows, node, features, constants, scratch),
        }
    }

    /// Looks at every column that may vary.
    fn search_all(
        &self,
        rows: &[u32],
        node: &NodeRows<C::Label>,
        features: &mut [u32],
        constants: &mut usize,
        scratch: &mut Scratch,
    ) -> Option<Cut> {
        let open = &features[*constants..];
        let looks: Vec<Look> = if rows.len() * open.len() < PARALLEL {
            open.iter().map(|&column| self.best_cut(column, rows, node, scratch)).collect()
        } else {
            let look = |scratch: &mut Scratch, &column: &u32| self.best_cut(column, rows, node, scratch);
            open.par_iter().with_min_len(8).map_init(Scratch::default, look).collect()
        };
        let mut best: Option<Cut> = None;
        let start = *constants;
        for (place, look) in (start..).zip(looks) {
            match look {
                Look::Constant => {
                    features.swap(place, *constants);
                    *constants += 1;
                }
                Look::Cut(cut) => best = best.filter(|best| !better(&cut, best, true)).or(Some(cut)),
                Look::Barred => {}
            }
        }
        best
    }

    /// Draws columns.
    fn search_some(
        &mut self,
        rows: &[u32],
        node: &NodeRows<C::Label>,
        features: &mut [u32],
        constants: &mut usize,
        scratch: &mut Scratch,
    ) -> Option<Cut> {
        // `features` here: constants not drawn, constants drawn, constants found now | varying columns drawn | not drawn
        let known = *constants;
        let (mut found, mut undrawn_constants, mut end, mut looked, mut varying) = (0, known, known, 0, 0);
        let mut best: Option<Cut> = None;
        while end < features.len() && (looked < self.looks || varying == 0) {
            looked += 1;
            let draw = self.rng.below((undrawn_constants + features.len() - end) as u64) as usize;
            if draw < undrawn_constants {
                undrawn_constants -= 1;
                continue;
            }
            features.swap(end, end + draw - undrawn_constants);
            let look = match self.growth.random_cuts {
                true => self.random_cut(features[end], rows, node, scratch),
                false => self.best_cut(features[end], rows, node, scratch),
            };
            match look {
                Look::Constant => {
                    features.swap(end, known + found);
                    found += 1;
                }
                Look::Cut(cut) => {
                    varying += 1;
                    best = best.filter(|best| !better(&cut, best, false)).or(Some(cut));
                }
                Look::Barred => varying += 1,
            }
            end += 1;
        }
        *constants += found;
        best
    }

    /// The best cut of a column.
    fn best_cut(&self, column: u32, rows: &[u32], node: &NodeRows<C::Label>, scratch: &mut Scratch) -> Look {
        if self.columns.is_constant(column) {
            return Look::Constant;
        }
        let Scratch { buffers, sides, .. } = scratch;
        let (n, sorted) = (rows.len(), self.columns.sort(column, rows, buffers));
        let upper = |key: u64| (key >> 32) as u32;
        let first = upper(sorted.keys[0]);
        if first == upper(sorted.keys[n - 1]) {
            return Look::Constant;
        }
        self.criterion.begin(node, sides);
        let least = self.growth.min_samples_leaf.max(1);
        let (mut best, mut top, mut before) = (None, f64::NEG_INFINITY, first);
        for (moved, &key) in sorted.keys.iter().enumerate() {
            let (now, place) = (upper(key), key as u32 as usize);
            if now != before && moved >= least {
                if moved + least > n {
                    break;
                }
                let merit = self.criterion.merit(sides);
                if merit > top && merit < f64::INFINITY {
                    (best, top) = (Some((before, now)), merit);
                }
            }
            before = now;
            self.criterion.shift(sides, node.labels[place], node.weights[place]);
        }
        let Some((low, high)) = best else { return Look::Barred };
        let value = between(sorted.value(low), sorted.value(high));
        Look::Cut(Cut { column, value, merit: top })
    }

    /// A cut of a column at a value drawn evenly between its least and its greatest.
    fn random_cut(&mut self, column: u32, rows: &[u32], node: &NodeRows<C::Label>, scratch: &mut Scratch) -> Look {
        let Scratch { values, sides, .. } = scratch;
        values.clear();
        values.extend(rows.iter().map(|&row| self.columns.value(column, row)));
        let (mut low, mut high) = (values[0], values[0]);
        for &value in values.iter() {
            low = if value < low { value } else { low };
            high = if value > high { value } else { high };
        }
        if low == high {
            return Look::Constant;
        }
        let drawn = f64::from(low) + self.rng.uniform() * (f64::from(high) - f64::from(low));
        let drawn = drawn as f32;
        let value = if drawn < high { drawn.max(low) } else { low };
        let moved = values.iter().filter(|&&of_row| of_row <= value).count();
        self.criterion.split(node, sides, |place| values[place] <= value);
        let least = self.growth.min_samples_leaf.max(1);
        let merit = self.criterion.merit(sides);
        match moved >= least && rows.len() - moved >= least && merit.is_finite() {
            true => Look::Cut(Cut { column, value, merit }),
            false => Look::Barred,
        }
    }
}

/// Whether a cut beats the best so far; of equal ones the first column does, where all were looked at, else the first drawn.
fn better(cut: &Cut, best: &Cut, all: bool) -> bool {
    cut.merit > best.merit || (all && cut.merit == best.merit && cut.column < best.column)
}

/// Puts the rows that go left first, keeping the order on both sides; says how many they are.
fn divide(rows: &mut [u32], goes_left: impl Fn(u32) -> bool, aside: &mut Vec<u32>) -> usize {
    aside.clear();
    let mut left = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        if goes_left(row) {
            rows[left] = row;
            left += 1;
        } else {
            aside.push(row);
        }
    }
    rows[left..].copy_from_slice(aside);
    left
}
