//! How do the nearest training rows vote? k nearest neighbours by brute force, on sparse, dense and mixed rows.
//!
//! Names and defaults are scikit-learn's. Every distance is worked out from the two rows alone, in a fixed order of f64 (dense
//! rows: f32 differences in fixed lanes), so equal rows have the same distance from any query, to the bit; of equally distant rows the
//! first are taken. Of sparse blocks a query meets those rows alone that share a column with it; where all blocks are dense, most rows are
//! passed over by bounds of their distances (`bounds`). Queries run in parallel on rayon's current pool.

mod bounds;
mod distance;

use rayon::prelude::*;

use self::bounds::Bounds;
use self::distance::{Norms, Query, Shared};
use super::Features;
use super::linear::{FitError, check_features, check_labels};
use super::rows::Rows;

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
    shared: Shared,
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
        Neighborhood { params: self, x, norms: Norms::of(x, self.metric), shared: Shared::of(x) }
    }
}

/// Queries that one task answers.
const CHUNK: usize = 16;
/// Queries for which it pays to lay out the training rows.
const MANY: usize = 8;

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

    /// The same where each training row has a set of classes, `sets`: of each class the weighted share of neighbours that have it.
    pub fn shares_of_sets(&self, queries: &Features, sets: &[&[u32]], classes: usize) -> Result<Vec<f64>, FitError> {
        self.answers(queries, classes, |near, out| {
            let mut all = 0.0;
            for (row, weight) in near {
                sets[*row].iter().for_each(|&class| out[class as usize] += weight);
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
        let dense = (queries.rows() >= MANY).then(|| (Rows::of(self.x).ok(), Rows::of(queries).ok()));
        let bounded = match &dense {
            Some((Some(rows), Some(queries))) => Bounds::of(rows, self.params.metric).map(|bounds| (bounds, queries)),
            _ => None,
        };
        let mut out = vec![0.0; queries.rows() * width];
        out.par_chunks_mut(CHUNK * width.max(1)).enumerate().for_each(|(chunk, out)| {
            let mut query = Query::new(self.x, &self.shared, self.params.metric);
            let (first, count) = (chunk * CHUNK, out.len() / width.max(1));
            let candidates = match &bounded {
                Some((bounds, rows)) => {
                    bounds.candidates(&rows.values[first * rows.cols..(first + count) * rows.cols], self.k())
                }
                None => vec![None; count],
            };
            for ((row, candidates), out) in (first..).zip(candidates).zip(out.chunks_exact_mut(width.max(1))) {
                let near = match candidates {
                    Some(rows) => {
                        let far = |to: usize| (query.distance_to(queries, row, &self.norms, to), to);
                        self.nearest(rows.into_iter().map(far).collect())
                    }
                    None => {
                        let distances = query.distances(queries, row, &self.norms);
                        self.nearest(distances.iter().copied().zip(0..).collect())
                    }
                };
                answer(&self.weighed(&near), out);
            }
        });
        Ok(out)
    }

    /// How many neighbours there are.
    fn k(&self) -> usize {
        self.params.n_neighbors.min(self.x.rows())
    }

    /// Of distances and rows the nearest, nearest first; of equals the first rows.
    fn nearest(&self, mut rows: Vec<(f64, usize)>) -> Vec<(f64, usize)> {
        let nearer = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let k = self.k();
        if k < rows.len() {
            rows.select_nth_unstable_by(k, nearer);
            rows.truncate(k);
        }
        rows.sort_unstable_by(nearer);
        rows
    }

    /// How much each of the nearest rows counts.
    fn weighed(&self, near: &[(f64, usize)]) -> Vec<(usize, f64)> {
        let nearest = near.first().map_or(0.0, |(distance, _)| *distance);
        let weight = |distance: f64| match self.params.weights {
            NeighborWeights::Uniform => 1.0,
            NeighborWeights::Distance if nearest == 0.0 => f64::from(u8::from(distance == 0.0)),
            // against the nearest, so that no reciprocal is infinite
            NeighborWeights::Distance => nearest / distance,
        };
        near.iter().map(|&(distance, row)| (row, weight(distance))).collect()
    }
}

#[cfg(test)]
mod tests;
