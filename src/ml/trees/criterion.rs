//! What should a split lower? Gini impurity, entropy or squared error, summed while rows move from right to left.
//!
//! Each is kept as a *merit*: the part of the impurity's decrease that depends on the split (scikit-learn's
//! `proxy_impurity_improvement`), in a constant number of steps for each row that moves.

/// Rows of a node as a criterion sees them: labels and weights in the order of the node's rows.
#[derive(Debug, Default)]
pub(super) struct NodeRows<L> {
    pub(super) labels: Vec<L>,
    pub(super) weights: Vec<f64>,
    /// Summed weight.
    pub(super) weight: f64,
    /// Summed weight of each label (classes), or the one sum of weighted values.
    pub(super) totals: Vec<f64>,
    /// The class at each place of `totals`.
    pub(super) classes: Vec<u32>,
    pub(super) pure: bool,
    /// The right side's sum before any row has moved.
    start: f64,
}

/// Running sums on both sides of a split.
#[derive(Debug, Default)]
pub(super) struct Sides {
    left: Vec<f64>,
    right: Vec<f64>,
    left_sum: f64,
    right_sum: f64,
    left_weight: f64,
    right_weight: f64,
}

/// A criterion over labels of one kind.
pub(super) trait Criterion: Sync {
    type Label: Copy + Default + Send + Sync;

    /// Takes in the rows of a node.
    fn enter(&mut self, rows: &[u32], weights: &[f64], node: &mut NodeRows<Self::Label>);

    /// All rows on the right.
    fn begin(&self, node: &NodeRows<Self::Label>, sides: &mut Sides) {
        sides.left.clear();
        sides.left.resize(node.totals.len(), 0.0);
        sides.right.clear();
        sides.right.extend_from_slice(&node.totals);
        (sides.left_sum, sides.right_sum) = (0.0, node.start);
        (sides.left_weight, sides.right_weight) = (0.0, node.weight);
    }

    /// Moves one row to the left.
    fn shift(&self, sides: &mut Sides, label: Self::Label, weight: f64);

    /// Puts the rows at the places that `is_left` says on the left.
    fn split(&self, node: &NodeRows<Self::Label>, sides: &mut Sides, is_left: impl Fn(usize) -> bool);

    /// The greater, the better. Both sides must have rows.
    fn merit(&self, sides: &Sides) -> f64;

    /// The merit of not splitting a node.
    fn whole(&self, node: &NodeRows<Self::Label>) -> f64;

    /// What a leaf says.
    fn leaf(&self, node: &NodeRows<Self::Label>) -> Vec<(u32, f64)>;
}

/// Classes, numbered within each node by their first row, so that a node costs as many steps as it has rows, however
/// many classes there are.
pub(super) struct Classes<'a> {
    y: &'a [u32],
    /// Place of each class within the node, while it is being entered.
    place: Vec<u32>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(y: &'a [u32], classes: usize) -> Classes<'a> {
        Classes { y, place: vec![u32::MAX; classes] }
    }

    fn enter(&mut self, rows: &[u32], weights: &[f64], node: &mut NodeRows<u32>, part: impl Fn(f64) -> f64) {
        node.labels.clear();
        node.weights.clear();
        node.totals.clear();
        node.classes.clear();
        node.weight = 0.0;
        for &row in rows {
            let (class, weight) = (self.y[row as usize], weights[row as usize]);
            let place = &mut self.place[class as usize];
            if *place == u32::MAX {
                *place = node.classes.len() as u32;
                node.classes.push(class);
                node.totals.push(0.0);
            }
            node.labels.push(*place);
            node.weights.push(weight);
            node.totals[*place as usize] += weight;
            node.weight += weight;
        }
        node.classes.iter().for_each(|&class| self.place[class as usize] = u32::MAX);
        node.pure = node.classes.len() < 2;
        node.start = node.totals.iter().map(|&total| part(total)).sum();
    }
}

impl Sides {
    /// Sums classes' weights by side.
    fn of_classes(&mut self, node: &NodeRows<u32>, is_left: impl Fn(usize) -> bool, part: impl Fn(f64) -> f64) {
        self.left.clear();
        self.left.resize(node.totals.len(), 0.0);
        for (place, (&label, &weight)) in node.labels.iter().zip(&node.weights).enumerate() {
            self.left[label as usize] += if is_left(place) { weight } else { 0.0 };
        }
        self.left_weight = self.left.iter().sum();
        self.right_weight = node.weight - self.left_weight;
        self.left_sum = self.left.iter().map(|&left| part(left)).sum();
        self.right_sum = self.left.iter().zip(&node.totals).map(|(left, total)| part(total - left)).sum();
    }
}

fn class_shares(node: &NodeRows<u32>) -> Vec<(u32, f64)> {
    let shares = node.classes.iter().zip(&node.totals).map(|(&class, total)| (class, total / node.weight));
    let mut shares: Vec<(u32, f64)> = shares.collect();
    shares.sort_unstable_by_key(|&(class, _)| class);
    shares
}

/// `1 - Σ p²`.
pub(super) struct Gini<'a>(pub(super) Classes<'a>);

impl Criterion for Gini<'_> {
    type Label = u32;

    fn enter(&mut self, rows: &[u32], weights: &[f64], node: &mut NodeRows<u32>) {
        self.0.enter(rows, weights, node, |total| total * total);
    }

    #[inline]
    fn shift(&self, sides: &mut Sides, label: u32, weight: f64) {
        let (left, right) = (&mut sides.left[label as usize], &mut sides.right[label as usize]);
        sides.left_sum += weight * (2.0 * *left + weight);
        sides.right_sum -= weight * (2.0 * *right - weight);
        *left += weight;
        *right -= weight;
        sides.left_weight += weight;
        sides.right_weight -= weight;
    }

    fn split(&self, node: &NodeRows<u32>, sides: &mut Sides, is_left: impl Fn(usize) -> bool) {
        sides.of_classes(node, is_left, |total| total * total);
    }

    #[inline]
    fn merit(&self, sides: &Sides) -> f64 {
        sides.left_sum / sides.left_weight + sides.right_sum / sides.right_weight
    }

    fn whole(&self, node: &NodeRows<u32>) -> f64 {
        node.start / node.weight
    }

    fn leaf(&self, node: &NodeRows<u32>) -> Vec<(u32, f64)> {
        class_shares(node)
    }
}

/// `-Σ p ln p`.
pub(super) struct Entropy<'a>(pub(super) Classes<'a>);

/// `x ln x`; 0 below the smallest number that rounding leaves of a side without rows of a class.
fn x_ln_x(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}

impl Criterion for Entropy<'_> {
    type Label = u32;

    fn enter(&mut self, rows: &[u32], weights: &[f64], node: &mut NodeRows<u32>) {
        self.0.enter(rows, weights, node, x_ln_x);
    }

    #[inline]
    fn shift(&self, sides: &mut Sides, label: u32, weight: f64) {
        let (left, right) = (&mut sides.left[label as usize], &mut sides.right[label as usize]);
        sides.left_sum += x_ln_x(*left + weight) - x_ln_x(*left);
        sides.right_sum += x_ln_x(*right - weight) - x_ln_x(*right);
        *left += weight;
        *right -= weight;
        sides.left_weight += weight;
        sides.right_weight -= weight;
    }

    fn split(&self, node: &NodeRows<u32>, sides: &mut Sides, is_left: impl Fn(usize) -> bool) {
        sides.of_classes(node, is_left, x_ln_x);
    }

    #[inline]
    fn merit(&self, sides: &Sides) -> f64 {
        sides.left_sum - x_ln_x(sides.left_weight) + sides.right_sum - x_ln_x(sides.right_weight)
    }

    fn whole(&self, node: &NodeRows<u32>) -> f64 {
        node.start - x_ln_x(node.weight)
    }

    fn leaf(&self, node: &NodeRows<u32>) -> Vec<(u32, f64)> {
        class_shares(node)
    }
}

/// Mean squared distance from the mean. `y` is measured from `offset`, the mean of all rows, so that no precision is
/// lost where the mean is large.
pub(super) struct Squared<'a> {
    pub(super) y: &'a [f64],
    pub(super) offset: f64,
}

impl Criterion for Squared<'_> {
    type Label = f64;

    fn enter(&mut self, rows: &[u32], weights: &[f64], node: &mut NodeRows<f64>) {
        node.labels.clear();
        node.weights.clear();
        (node.weight, node.pure) = (0.0, true);
        let mut sum = 0.0;
        for &row in rows {
            let (value, weight) = (self.y[row as usize] - self.offset, weights[row as usize]);
            node.pure &= node.labels.first().is_none_or(|&first| first == value);
            node.labels.push(value);
            node.weights.push(weight);
            node.weight += weight;
            sum += weight * value;
        }
        node.totals.clear();
        node.totals.push(sum);
        node.start = sum;
    }

    #[inline]
    fn shift(&self, sides: &mut Sides, label: f64, weight: f64) {
        sides.left_sum += weight * label;
        sides.right_sum -= weight * label;
        sides.left_weight += weight;
        sides.right_weight -= weight;
    }

    fn split(&self, node: &NodeRows<f64>, sides: &mut Sides, is_left: impl Fn(usize) -> bool) {
        self.begin(node, sides);
        for (place, (&label, &weight)) in node.labels.iter().zip(&node.weights).enumerate() {
            if is_left(place) {
                self.shift(sides, label, weight);
            }
        }
    }

    #[inline]
    fn merit(&self, sides: &Sides) -> f64 {
        sides.left_sum * sides.left_sum / sides.left_weight + sides.right_sum * sides.right_sum / sides.right_weight
    }

    fn whole(&self, node: &NodeRows<f64>) -> f64 {
        node.start * node.start / node.weight
    }

    fn leaf(&self, node: &NodeRows<f64>) -> Vec<(u32, f64)> {
        vec![(0, self.offset + node.start / node.weight)]
    }
}
