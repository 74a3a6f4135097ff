//! How do the nearest training rows vote? k nearest neighbours by brute force, on sparse, dense and mixed rows.
//!
//! Names and defaults are scikit-learn's. Every distance is worked out from the two rows alone, in a fixed order of f64 (dense
//! rows: f32 differences in fixed lanes), so equal rows have the same distance from any query, to the bit; of equally distant rows the
//! first are taken. Queries run in parallel on rayon's current pool.

mod distance;

use rayon::prelude::*;

use self::distance::{Norms, Query};
use super::Features;
use super::linear::{FitError, check_features, check_labels};

pub use distance::Metric;

/// How much a neighbour counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighborWeights {
    /// All alike.
    Uniform,
    /// By 1 / distance; where some are at distance 0, they alone, alike.
    Distance,
}

/// The k nearest neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct KNeighbors {
    /// How many of them.
    pub n_neighbors: usize,
    /// How much each counts.
    pub weights: NeighborWeights,
    /// How far apart two rows are.
    pub metric: Metric,
}

/// The rows that a query is compared with.
pub struct Neighborhood<'a> {
    params: &'a KNeighbors,
    x: &'a Features,
    norms: Norms,
}

impl Default for KNeighbors {
    fn default() -> Self {
        KNeighbors { n_neighbors: 5, weights: NeighborWeights::Uniform, metric: Metric::Euclidean }
    }
}

impl KNeighbors {
    /// Checks that rows of classes `y` in `0..classes` can be learned. Errors: values that are not finite, malformed rows or
    /// labels, no columns, fewer rows than `n_neighbors`, fewer than two classes.
    pub fn check_classes(&self, x: &Features, y: &[u32], classes: usize) -> Result<(), FitError> {
        check_labels(x.rows(), y, classes)?;
        match y {
            [first, rest @ ..] if rest.iter().all(|class| class == first) => Err(FitError::OneClass { class: *first }),
            _ => self.check_rows(x),
        }
    }

    /// Checks that rows with numbers can be learned. Errors: as above.
    pub fn check_rows(&self, x: &Features) -> Result<(), FitError> {
        check_features(x)?;
        let rule = match (x.rows(), x.cols()) {
            (0, _) => return Err(FitError::NoRows),
            (_, 0) => return Err(FitError::NoColumns),
            _ if self.n_neighbors == 0 => "at least 1",
            (rows, _) if self.n_neighbors > rows => "at most the number of training rows",
            _ => return Ok(()),
        };
        Err(FitError::Parameter { name: "n_neighbors", value: self.n_neighbors as f64, rule })
    }

    /// Makes ready to compare with the rows `x`, which were checked.
    pub fn among<'a>(&'a self, x: &'a Features) -> Neighborhood<'a> {
        Neighborhood { params: self, x, norms: Norms::of(x, self.metric) }
    }
}

/// Queries that one task answers.
const CHUNK: usize = 16;

impl Neighborhood<'_> {
    /// Weighted shares of the classes among the neighbours, rows × classes, row-major; `y` is of the training rows. Errors: another
    /// number of columns, blocks of another form, values that are not finite.
    pub fn shares(&self, queries: &Features, y: &[u32], classes: usize) -> Result<Vec<f64>, FitError> {
        self.answers(queries, classes, |near, out| {
            let mut all = 0.0;
            for (row, weight) in near {
                out[y[*row] as usize] += weight;
                all += weight;
            }
            out.iter_mut().for_each(|share| *share /= all);
        })
    }

    /// Weighted mean of the neighbours' values; `values` is of the training rows. Errors: as `shares`.
    pub fn means(&self, queries: &Features, values: &[f64]) -> Result<Vec<f64>, FitError> {
        self.answers(queries, 1, |near, out| {
            let (mut sum, mut all) = (0.0, 0.0);
            for (row, weight) in near {
                sum += weight * values[*row];
                all += weight;
            }
            out[0] = sum / all;
        })
    }

    /// Lets `answer` fill `width` zeros for each query from its neighbours (row, weight), nearest first.
    fn answers(
        &self,
        queries: &Features,
        width: usize,
        answer: impl Fn(&[(usize, f64)], &mut [f64]) + Sync,
    ) -> Result<Vec<f64>, FitError> {
        check_features(queries)?;
        if queries.cols() != self.x.cols() {
            return Err(FitError::Width { expected: self.x.cols(), found: queries.cols() });
        }
        if let Some(block) = distance::other_form(self.x, queries) {
            return Err(FitError::Block { block, rule: "it is not of the form or width of the block in training" });
        }
        let mut out = vec![0.0; queries.rows() * width];
        out.par_chunks_mut(CHUNK * width.max(1)).enumerate().for_each(|(chunk, out)| {
            let mut query = Query::new(self.x, self.params.metric);
            for (at, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
                let distances = query.distances(queries, chunk * CHUNK + at, &self.norms);
                answer(&self.weighed(distances), out);
            }
        });
        Ok(out)
    }

    /// The nearest rows, nearest first, and how much each counts.
    fn weighed(&self, distances: &[f64]) -> Vec<(usize, f64)> {
        let k = self.params.n_neighbors.min(distances.len());
        let nearer = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b));
        let mut rows: Vec<usize> = (0..distances.len()).collect();
        if k < rows.len() {
            rows.select_nth_unstable_by(k, nearer);
            rows.truncate(k);
        }
        rows.sort_unstable_by(nearer);
        let at_zero = rows.first().is_some_and(|&row| distances[row] == 0.0);
        let weight = |row: &usize| match self.params.weights {
            NeighborWeights::Uniform => 1.0,
            NeighborWeights::Distance if at_zero => f64::from(u8::from(distances[*row] == 0.0)),
            // against the nearest, so that no reciprocal is infinite
            NeighborWeights::Distance => distances[rows[0]] / distances[*row],
        };
        rows.iter().map(|row| (*row, weight(row))).collect()
    }
}

#[cfg(test)]
mod tests;
