//! How are a decision tree, a random forest and extremely randomised trees learned?
//!
//! One code for the three, which differ in how many trees there are, which rows each sees, and whether cuts are the best
//! or drawn. Shares are means of the leaves' class shares, as in scikit-learn.

use rayon::prelude::*;

use super::columns::Columns;
use super::criterion::{Classes, Criterion, Entropy, Gini, Squared};
use super::grow::Grower;
use super::model::{Link, TreeModel, Trees};
use super::{Target, Training};
use crate::ml::linear::{FitError, ShouldStop};
use crate::ml::{Features, Rng};

/// What a split should lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Impurity {
    /// Gini impurity of the classes.
    #[default]
    Gini,
    /// Their entropy (scikit-learn's `entropy` and `log_loss`, which are one).
    Entropy,
}

/// How many columns each node looks at; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum MaxFeatures {
    /// The square root of their number, rounded down.
    #[default]
    Sqrt,
    /// The binary logarithm of their number, rounded down.
    Log2,
    /// All of them.
    All,
    /// So many; all where there are fewer.
    Count(usize),
    /// A share of them, rounded down.
    Share(f64),
}

/// How a tree grows. Trees of values lower the squared error; trees of classes lower `impurity`.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// For classes.
    pub impurity: Impurity,
    /// Most levels of splits.
    pub max_depth: Option<usize>,
    /// Fewest training rows of a node that is split, 2 or more.
    pub min_samples_split: usize,
    /// Fewest training rows of a leaf, 1 or more.
    pub min_samples_leaf: usize,
    /// How many columns each node looks at.
    pub max_features: MaxFeatures,
    /// Most leaves, 2 or more; then the nodes that lower the impurity most are split first.
    pub max_leaf_nodes: Option<usize>,
    /// Cuts are drawn, one a column, instead of searched (extremely randomised trees: Geurts, Ernst and Wehenkel 2006).
    pub random_cuts: bool,
}

impl Default for Growth {
    fn default() -> Self {
        Growth {
            impurity: Impurity::Gini,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_features: MaxFeatures::All,
            max_leaf_nodes: None,
            random_cuts: false,
        }
    }
}

/// Trees, each grown on all rows or on a bootstrap sample of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// Number of trees, 1 or more.
    pub n_estimators: usize,
    /// Each tree sees as many rows as there are, drawn with replacement, in proportion to their weights.
    pub bootstrap: bool,
    /// How each grows.
    pub growth: Growth,
}

impl MaxFeatures {
    fn of(self, columns: usize) -> usize {
        let number = match self {
            MaxFeatures::Sqrt => columns.isqrt(),
            MaxFeatures::Log2 => columns.ilog2() as usize,
            MaxFeatures::All => columns,
            MaxFeatures::Count(number) => number,
            MaxFeatures::Share(share) => (share * columns as f64) as usize,
        };
        number.clamp(1, columns)
    }
}

impl Forest {
    /// A single tree on all rows.
    pub fn tree(growth: Growth) -> Forest {
        Forest { n_estimators: 1, bootstrap: false, growth }
    }

    /// Whether the seed matters.
    pub fn is_random(&self) -> bool {
        self.bootstrap || self.growth.random_cuts || self.growth.max_features != MaxFeatures::All
    }

    /// Fits; trees grow in parallel on rayon's current pool, a single tree looks at its columns in parallel. Equal rows
    /// and seed give an equal model, whatever the number of threads. Errors: sparse blocks, no rows (of positive
    /// weight) or columns, one class only, values or weights that are not finite, params out of range, interrupted
    /// (asked every few nodes).
    pub fn fit(
        &self,
        x: &Features,
        target: Target<'_>,
        weight: Option<&[f64]>,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<TreeModel, FitError> {
        self.check()?;
        let training = Training::checked(x, target, weight)?;
        let columns = Columns::of(&training.rows);
        let mut seeds = Rng::seeded(seed);
        let seeds: Vec<u64> = (0..self.n_estimators).map(|_| seeds.next_u64()).collect();
        let grown = seeds.par_iter().map(|&seed| self.grow(&columns, &training, seed, should_stop));
        let mut trees = Trees::new(columns.count(), training.outputs());
        for tree in grown.collect::<Result<Vec<Trees>, FitError>>()? {
            trees.append(tree)?;
        }
        let base = vec![0.0; trees.outputs];
        Ok(TreeModel { classes: training.classes, present: training.present, link: Link::Mean, base, trees })
    }

    fn check(&self) -> Result<(), FitError> {
        let growth = &self.growth;
        let depth = growth.max_depth.unwrap_or(1);
        let counts = [
            ("n_estimators", self.n_estimators, 1, "1 or more"),
            ("max_depth", depth, 1, "1 or more"),
            ("min_samples_split", growth.min_samples_split, 2, "2 or more"),
            ("min_samples_leaf", growth.min_samples_leaf, 1, "1 or more"),
            ("max_leaf_nodes", growth.max_leaf_nodes.unwrap_or(2), 2, "2 or more"),
        ];
        if let Some(&(name, value, _, rule)) = counts.iter().find(|(_, value, least, _)| value < least) {
            return Err(FitError::Parameter { name, value: value as f64, rule });
        }
        match growth.max_features {
            MaxFeatures::Count(0) => Err(FitError::Parameter { name: "max_features", value: 0.0, rule: "1 or more" }),
            MaxFeatures::Share(value) if !(value > 0.0 && value <= 1.0) => {
                Err(FitError::Parameter { name: "max_features", value, rule: "a share above 0, up to 1" })
            }
            _ => Ok(()),
        }
    }

    fn grow(
        &self,
        columns: &Columns<'_>,
        training: &Training<'_>,
        seed: u64,
        should_stop: ShouldStop<'_>,
    ) -> Result<Trees, FitError> {
        let mut rng = Rng::seeded(seed);
        let drawn = self.bootstrap.then(|| drawn(&training.weight, &mut rng));
        let weights = drawn.as_deref().unwrap_or(&training.weight);
        let rows: Vec<u32> = (0..columns.rows as u32).filter(|&row| weights[row as usize] > 0.0).collect();
        let grower = Sown { growth: &self.growth, columns, weights, rng, outputs: training.outputs() };
        if training.classes == 0 {
            let offset = training.mean();
            return grower.with(Squared { y: &training.values, offset }).grow(rows, should_stop);
        }
        let classes = Classes::new(&training.place, training.present.len());
        match self.growth.impurity {
            Impurity::Gini => grower.with(Gini(classes)).grow(rows, should_stop),
            Impurity::Entropy => grower.with(Entropy(classes)).grow(rows, should_stop),
        }
    }
}

/// A grower without its criterion.
struct Sown<'a> {
    growth: &'a Growth,
    columns: &'a Columns<'a>,
    weights: &'a [f64],
    rng: Rng,
    outputs: usize,
}

impl<'a> Sown<'a> {
    fn with<C: Criterion>(self, criterion: C) -> Grower<'a, C> {
        let Sown { growth, columns, weights, rng, outputs } = self;
        let looks = growth.max_features.of(columns.count());
        Grower { columns, growth, criterion, weights, looks, rng, outputs }
    }
}

/// How often each row was drawn, in as many draws with replacement as there are rows, each row in proportion to its weight.
fn drawn(weight: &[f64], rng: &mut Rng) -> Vec<f64> {
    let mut counts = vec![0.0; weight.len()];
    if weight.iter().all(|&w| w == weight[0]) {
        for _ in 0..weight.len() {
            counts[rng.below(weight.len() as u64) as usize] += 1.0;
        }
        return counts;
    }
    let mut sum = 0.0;
    let running = weight.iter().map(|w| {
        sum += w;
        sum
    });
    let upto: Vec<f64> = running.collect();
    let last = weight.iter().rposition(|&w| w > 0.0).unwrap_or(0);
    for _ in 0..weight.len() {
        let at = rng.uniform() * sum;
        counts[upto.partition_point(|&bound| bound <= at).min(last)] += 1.0;
    }
    counts
}
