//! How do trees grow and answer? smartcore grows them; here they are read, stored and walked.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use smartcore::ensemble::random_forest_classifier::{RandomForestClassifier, RandomForestClassifierParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::tree::decision_tree_classifier::{
    DecisionTreeClassifier, DecisionTreeClassifierParameters, SplitCriterion,
};

use super::Rows;
use crate::ml::Rng;
use crate::ml::linear::{FitError, ShouldStop, first_greatest};

/// What a split should lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Criterion {
    /// Gini impurity.
    #[default]
    Gini,
    /// Entropy in bits.
    Entropy,
}

/// How many columns each split of a forest's tree may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum MaxFeatures {
    /// The square root of their number, rounded down.
    #[default]
    Sqrt,
    /// The base-2 logarithm of their number, rounded down.
    Log2,
    /// All of them.
    All,
    /// So many.
    Count(usize),
    /// This share of them, in `(0, 1]`.
    Share(f64),
}

/// scikit-learn's `DecisionTreeClassifier`. smartcore tries a threshold only where the labels of neighbours in the
/// column's order differ, so where many rows share a value it can miss a split that scikit-learn finds.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionTree {
    /// What a split should lower.
    pub criterion: Criterion,
    /// Most levels of splits; none: until leaves are pure or too small.
    pub max_depth: Option<u16>,
    /// Fewest training rows of a leaf, at least 1.
    pub min_samples_leaf: usize,
    /// Fewest training rows of a node that is split, at least 2.
    pub min_samples_split: usize,
}

impl Default for DecisionTree {
    fn default() -> Self {
        DecisionTree { criterion: Criterion::Gini, max_depth: None, min_samples_leaf: 1, min_samples_split: 2 }
    }
}

/// scikit-learn's `RandomForestClassifier`, but a class's bootstrap sample is drawn from that class (smartcore's way),
/// and scores are shares of votes, not mean leaf shares.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomForest {
    /// Number of trees, at least 1.
    pub n_estimators: usize,
    /// Columns that each split may choose from.
    pub max_features: MaxFeatures,
    /// How each tree grows.
    pub tree: DecisionTree,
}

impl Default for RandomForest {
    fn default() -> Self {
        RandomForest { n_estimators: 100, max_features: MaxFeatures::Sqrt, tree: DecisionTree::default() }
    }
}

/// A grown tree: node 0 is the root, children come after their parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Node {
    /// Rows whose `column` is at most `threshold` go to `below`, the others to `above`.
    Split { column: usize, threshold: f64, below: usize, above: usize },
    /// The share of each class.
    Leaf { shares: Vec<f64> },
}

type SmartTree = DecisionTreeClassifier<f64, u32, DenseMatrix<f64>, Vec<u32>>;
type SmartForest = RandomForestClassifier<f64, u32, DenseMatrix<f64>, Vec<u32>>;

/// The parts of smartcore's stored trees that are read.
#[derive(Deserialize)]
struct StoredForest {
    trees: Vec<StoredTree>,
}

#[derive(Deserialize)]
struct StoredTree {
    nodes: Vec<StoredNode>,
}

#[derive(Deserialize)]
struct StoredNode {
    output: usize,
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

impl DecisionTree {
    pub(super) fn fit(
        &self,
        rows: &Rows<'_>,
        place: &[u32],
        k: usize,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<Tree, FitError> {
        self.check()?;
        if should_stop() {
            return Err(FitError::Interrupted);
        }
        let parameters = DecisionTreeClassifierParameters {
            criterion: self.split_criterion(),
            max_depth: self.levels(),
            min_samples_leaf: self.min_samples_leaf,
            min_samples_split: self.min_samples_split,
            seed: Some(seed),
        };
        let grown = SmartTree::fit(&matrix(rows)?, &place.to_vec(), parameters).map_err(refused)?;
        let stored: StoredTree = serde_json::to_value(&grown).and_then(serde_json::from_value).map_err(refused)?;
        let mut tree = Tree::read(&stored, rows.cols, k)?;
        tree.count_shares(rows, place, k);
        Ok(tree)
    }

    fn check(&self) -> Result<(), FitError> {
        let at_least = |name, value: usize, least: usize, rule| {
            let value = value as f64;
            if value < least as f64 { Err(FitError::Parameter { name, value, rule }) } else { Ok(()) }
        };
        at_least("min_samples_leaf", self.min_samples_leaf, 1, "at least 1")?;
        at_least("min_samples_split", self.min_samples_split, 2, "at least 2")?;
        at_least("max_depth", self.max_depth.map_or(1, usize::from), 1, "at least 1")
    }

    fn split_criterion(&self) -> SplitCriterion {
        match self.criterion {
            Criterion::Gini => SplitCriterion::Gini,
            Criterion::Entropy => SplitCriterion::Entropy,
        }
    }

    /// smartcore counts the root as a level.
    fn levels(&self) -> Option<u16> {
        self.max_depth.map(|depth| depth.saturating_add(1))
    }
}

impl RandomForest {
    /// Each tree is a smartcore forest of one, from a seed drawn from `seed`: trees grow in parallel, and a fit can be
    /// interrupted between them.
    pub(super) fn fit(
        &self,
        rows: &Rows<'_>,
        place: &[u32],
        k: usize,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<Vec<Tree>, FitError> {
        self.tree.check()?;
        let m = self.columns_per_split(rows.cols)?;
        if self.n_estimators == 0 {
            return Err(FitError::Parameter { name: "n_estimators", value: 0.0, rule: "at least 1" });
        }
        let mut rng = Rng::seeded(seed);
        let seeds: Vec<u64> = (0..self.n_estimators).map(|_| rng.next_u64()).collect();
        let (x, y) = (matrix(rows)?, place.to_vec());
        let grow = |&seed: &u64| {
            if should_stop() {
                return Err(FitError::Interrupted);
            }
            let parameters = RandomForestClassifierParameters {
                criterion: self.tree.split_criterion(),
                max_depth: self.tree.levels(),
                min_samples_leaf: self.tree.min_samples_leaf,
                min_samples_split: self.tree.min_samples_split,
                n_trees: 1,
                m: Some(m),
                keep_samples: false,
                seed,
            };
            let grown = SmartForest::fit(&x, &y, parameters).map_err(refused)?;
            let stored: StoredForest =
                serde_json::to_value(&grown).and_then(serde_json::from_value).map_err(refused)?;
            match stored.trees.as_slice() {
                [tree] => Tree::read(tree, rows.cols, k),
                _ => Err(refused("a forest of one has another number of trees")),
            }
        };
        seeds.par_iter().map(grow).collect()
    }

    fn columns_per_split(&self, cols: usize) -> Result<usize, FitError> {
        let wrong = |value, rule| Err(FitError::Parameter { name: "max_features", value, rule });
        let count = match self.max_features {
            MaxFeatures::Sqrt => cols.isqrt(),
            MaxFeatures::Log2 => cols.max(1).ilog2() as usize,
            MaxFeatures::All => cols,
            MaxFeatures::Count(0) => return wrong(0.0, "at least 1"),
            MaxFeatures::Count(count) => count,
            MaxFeatures::Share(share) if share > 0.0 && share <= 1.0 => (share * cols as f64) as usize,
            MaxFeatures::Share(share) => return wrong(share, "above 0 and at most 1"),
        };
        Ok(count.clamp(1, cols.max(1)))
    }
}

impl Tree {
    /// Leaves vote for their output alone.
    fn read(stored: &StoredTree, cols: usize, k: usize) -> Result<Tree, FitError> {
        let node = |stored: &StoredNode| match (stored.true_child, stored.false_child, stored.split_value) {
            (Some(below), Some(above), Some(threshold)) => {
                Node::Split { column: stored.split_feature, threshold, below, above }
            }
            _ => Node::Leaf { shares: (0..k).map(|class| f64::from(u8::from(class == stored.output))).collect() },
        };
        let tree = Tree { nodes: stored.nodes.iter().map(node).collect() };
        if tree.is_sound(cols, k) { Ok(tree) } else { Err(refused("its tree has nodes that lead nowhere")) }
    }

    /// Whether every walk ends at a leaf with `k` shares, for rows of `cols` columns.
    pub(super) fn is_sound(&self, cols: usize, k: usize) -> bool {
        let sound = |(at, node): (usize, &Node)| match node {
            Node::Split { column, below, above, threshold } => {
                let forward = |to: usize| to > at && to < self.nodes.len();
                *column < cols && forward(*below) && forward(*above) && threshold.is_finite()
            }
            Node::Leaf { shares } => shares.len() == k,
        };
        !self.nodes.is_empty() && self.nodes.iter().enumerate().all(sound)
    }

    fn leaf(&self, row: &[f32]) -> usize {
        let mut at = 0;
        while let Node::Split { column, threshold, below, above } = &self.nodes[at] {
            at = if f64::from(row[*column]) <= *threshold { *below } else { *above };
        }
        at
    }

    /// Gives each leaf the shares of the classes among the training rows that reach it.
    fn count_shares(&mut self, rows: &Rows<'_>, place: &[u32], k: usize) {
        let mut counts = vec![0.0; self.nodes.len() * k];
        for (i, &class) in place.iter().enumerate() {
            counts[self.leaf(rows.row(i)) * k + class as usize] += 1.0;
        }
        for (node, counts) in self.nodes.iter_mut().zip(counts.chunks_exact(k)) {
            let total: f64 = counts.iter().sum();
            if let (Node::Leaf { shares }, true) = (node, total > 0.0) {
                *shares = counts.iter().map(|count| count / total).collect();
            }
        }
    }
}

/// `rows × k`: of one tree the leaf's shares, of several the share of the trees that vote for the class.
pub(super) fn shares(trees: &[Tree], rows: &Rows<'_>, k: usize) -> Vec<f64> {
    let mut out = vec![0.0; rows.count * k];
    for (i, out) in out.chunks_exact_mut(k).enumerate() {
        for tree in trees {
            let Node::Leaf { shares } = &tree.nodes[tree.leaf(rows.row(i))] else { continue };
            if trees.len() == 1 {
                out.copy_from_slice(shares);
            } else {
                out[first_greatest(shares)] += 1.0;
            }
        }
        if trees.len() > 1 {
            out.iter_mut().for_each(|votes| *votes /= trees.len() as f64);
        }
    }
    out
}

fn matrix(rows: &Rows<'_>) -> Result<DenseMatrix<f64>, FitError> {
    let values = rows.values.iter().map(|&v| f64::from(v)).collect();
    DenseMatrix::new(rows.count, rows.cols, values, false).map_err(refused)
}

fn refused(why: impl std::fmt::Display) -> FitError {
    FitError::Smartcore { message: why.to_string() }
}
