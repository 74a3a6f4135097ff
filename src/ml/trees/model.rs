//! What is a fitted model of trees, and what does it say of a row?

use rayon::prelude::*;

use crate::ml::Features;
use crate::ml::linear::FitError;
use crate::ml::rows::Rows;

/// The `column` of a leaf.
pub const LEAF: u32 = u32::MAX;

/// A node of a tree. Rows whose value in `column` is at most `cut` go to node `below`, others to the one after it. A
/// leaf has column [`LEAF`]; its `below` is its place among the leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// The column that is asked, or [`LEAF`].
    pub column: u32,
    /// The greatest value that goes left.
    pub cut: f32,
    /// The left child (its right one follows), always behind this node; or the number of the leaf.
    pub below: u32,
}

/// Trees in one arena. What a row gets is, for each output, the sum over trees of what the row's leaf says of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trees {
    /// Feature columns.
    pub cols: usize,
    /// Numbers that a row gets.
    pub outputs: usize,
    /// The first node of each tree.
    pub roots: Vec<u32>,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// Where the entries of each leaf begin; one more at the end.
    pub leaf_start: Vec<u32>,
    /// The output that an entry is of.
    pub leaf_output: Vec<u32>,
    /// What the leaf says of it.
    pub leaf_value: Vec<f64>,
}

/// What the sums over trees mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Their mean over the trees: class shares, or values.
    Mean,
    /// They, beside the base, are values.
    Identity,
    /// They, beside the base, are the log odds of the second of two classes.
    Logistic,
    /// They, beside the base, are logarithms of the classes' shares.
    Softmax,
}

/// A fitted model of trees.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeModel {
    /// Number of classes; 0 for a model of values.
    pub classes: usize,
    /// The classes that had training rows, ascending; none for a model of values.
    pub present: Vec<u32>,
    /// What the sums mean.
    pub link: Link,
    /// What each output begins with.
    pub base: Vec<f64>,
    /// The trees.
    pub trees: Trees,
}

/// Rows that go through a tree together.
const CHUNK: usize = 64;

impl Trees {
    pub(super) fn new(cols: usize, outputs: usize) -> Trees {
        Trees { cols, outputs, leaf_start: vec![0], ..Trees::default() }
    }

    /// Adds a leaf's entries and gives its number.
    pub(super) fn leaf(&mut self, entries: impl IntoIterator<Item = (u32, f64)>) -> u32 {
        for (output, value) in entries {
            self.leaf_output.push(output);
            self.leaf_value.push(value);
        }
        self.leaf_start.push(self.leaf_output.len() as u32);
        self.leaf_start.len() as u32 - 2
    }

    /// Takes the trees of another arena behind its own. Errors: more nodes or entries than 32 bits count.
    pub(super) fn append(&mut self, other: Trees) -> Result<(), FitError> {
        let (nodes, leaves) = (self.nodes.len() as u64, self.leaf_start.len() as u64 - 1);
        let entries = self.leaf_output.len() as u64;
        if (nodes + other.nodes.len() as u64).max(entries + other.leaf_output.len() as u64) >= u64::from(LEAF) {
            return Err(FitError::Stored { message: "the trees have more than 2³² nodes".to_owned() });
        }
        let moved = |node: Node| {
            let by = if node.column == LEAF { leaves } else { nodes };
            Node { below: node.below + by as u32, ..node }
        };
        self.nodes.extend(other.nodes.into_iter().map(moved));
        self.roots.extend(other.roots.iter().map(|root| root + nodes as u32));
        self.leaf_start.extend(other.leaf_start.iter().skip(1).map(|start| start + entries as u32));
        self.leaf_output.extend(other.leaf_output);
        self.leaf_value.extend(other.leaf_value);
        Ok(())
    }

    /// The leaf that a row ends in.
    fn leaf_of(&self, root: u32, row: &[f32]) -> usize {
        let mut node = self.nodes[root as usize];
        while node.column != LEAF {
            let right = row[node.column as usize] > node.cut;
            node = self.nodes[node.below as usize + usize::from(right)];
        }
        node.below as usize
    }

    /// Adds what the tree says of a row to `to`, one number an output.
    pub(super) fn add(&self, root: u32, row: &[f32], to: &mut [f64]) {
        let leaf = self.leaf_of(root, row);
        let span = self.leaf_start[leaf] as usize..self.leaf_start[leaf + 1] as usize;
        for (&output, value) in self.leaf_output[span.clone()].iter().zip(&self.leaf_value[span]) {
            to[output as usize] += value;
        }
    }

    /// `rows × outputs`: `base` and the trees, summed in the order of the trees.
    fn sums(&self, rows: &Rows<'_>, base: &[f64]) -> Vec<f64> {
        let mut sums = base.repeat(rows.count);
        sums.par_chunks_mut(CHUNK * self.outputs).enumerate().for_each(|(chunk, sums)| {
            for &root in &self.roots {
                for (i, to) in sums.chunks_exact_mut(self.outputs).enumerate() {
                    self.add(root, rows.row(chunk * CHUNK + i), to);
                }
            }
        });
        sums
    }

    /// Whether every row ends in a leaf, and every leaf says something of outputs that there are.
    fn is_sound(&self) -> bool {
        let (nodes, leaves) = (self.nodes.len(), self.leaf_start.len().saturating_sub(1));
        let sound = |(place, node): (usize, &Node)| match node.column {
            LEAF => (node.below as usize) < leaves,
            column => {
                let below = node.below as usize;
                (column as usize) < self.cols && node.cut.is_finite() && below > place && below + 1 < nodes
            }
        };
        self.outputs > 0
            && !self.roots.is_empty()
            && self.roots.iter().all(|&root| (root as usize) < nodes)
            && self.nodes.iter().enumerate().all(sound)
            && self.leaf_start.first() == Some(&0)
            && self.leaf_start.is_sorted()
            && self.leaf_start.last().is_some_and(|&end| end as usize == self.leaf_output.len())
            && self.leaf_value.len() == self.leaf_output.len()
            && self.leaf_output.iter().all(|&output| (output as usize) < self.outputs)
            && self.leaf_value.iter().all(|value| value.is_finite())
    }
}

impl TreeModel {
    /// Checks that a model that was read can be applied to any row without fault. Errors: it cannot.
    pub fn checked(self) -> Result<TreeModel, FitError> {
        let outputs = self.trees.outputs;
        let kept = self.present.len();
        let fits = match self.link {
            Link::Mean if self.classes > 0 => outputs == kept,
            Link::Mean | Link::Identity => outputs == 1 && self.classes == 0 && kept == 0,
            Link::Logistic => outputs == 1 && kept == 2,
            Link::Softmax => outputs == kept && kept > 2,
        };
        let classes = self.classes == 0 || kept >= 2;
        let ascending = self.present.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = self.present.last().is_none_or(|&class| (class as usize) < self.classes);
        let base = self.base.len() == outputs && self.base.iter().all(|value| value.is_finite());
        match fits && classes && ascending && in_range && base && self.trees.is_sound() {
            true => Ok(self),
            false => Err(FitError::Stored { message: "its parts do not fit together".to_owned() }),
        }
    }

    /// Number of nodes and of trees.
    pub fn size(&self) -> (usize, usize) {
        (self.trees.nodes.len(), self.trees.roots.len())
    }

    /// Row-major: probabilities, `rows × classes`, 0 for a class without training rows; or values, one a row. Errors:
    /// sparse blocks, another number of columns, values that are not finite.
    pub fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        let rows = Rows::of_width(x, self.trees.cols)?;
        let mut sums = self.trees.sums(&rows, &self.base);
        if self.link == Link::Mean {
            let trees = self.trees.roots.len() as f64;
            sums.iter_mut().for_each(|sum| *sum /= trees);
        }
        if self.classes == 0 {
            return Ok(sums);
        }
        let mut wide = vec![0.0; rows.count * self.classes];
        for (to, from) in wide.chunks_exact_mut(self.classes).zip(sums.chunks_exact_mut(self.trees.outputs)) {
            match self.link {
                Link::Logistic => {
                    let second = 1.0 / (1.0 + (-from[0]).exp());
                    to[self.present[0] as usize] = 1.0 - second;
                    to[self.present[1] as usize] = second;
                    continue;
                }
                Link::Softmax => softmax(from),
                Link::Mean | Link::Identity => {}
            }
            for (&class, &share) in self.present.iter().zip(from.iter()) {
                to[class as usize] = share;
            }
        }
        Ok(wide)
    }

    /// The class of the greatest probability of each row (the first of equals). Errors: as `scores`; none for a model of
    /// values, which has no classes and gives no row one.
    pub fn predict(&self, x: &Features) -> Result<Vec<u32>, FitError> {
        let scores = self.scores(x)?;
        let rows = scores.chunks_exact(self.classes.max(1));
        Ok(rows.map(|row| crate::ml::linear::first_greatest(row) as u32).collect())
    }
}

/// Turns logarithms into shares, in place.
pub(super) fn softmax(row: &mut [f64]) {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = (*value - top).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}
