//! Which training rows can be among the nearest at all? Bounds of the distances from products in f32, many at a time.
//!
//! A product of two rows of `p` columns, summed in f32, is wrong by at most about `p · 2⁻²⁴ · ‖x‖ ‖y‖`, so the distance that it gives lies
//! within a margin of the one that `distance` works out. Rows whose margin lies beyond that of the k nearest are passed over; for the few
//! others `distance` is asked, so the answers are its own, to the bit.

use std::collections::BinaryHeap;

use super::distance::Metric;
use crate::ml::panels::{Panels, centred, means, square};
use crate::ml::rows::Rows;

/// Dense training rows, laid out to be multiplied with queries.
pub(super) struct Bounds {
    metric: Metric,
    /// What rows are measured from.
    centre: Vec<f32>,
    panels: Panels,
    /// `‖x‖²` of each row, and `‖x‖`.
    sizes: Vec<(f64, f64)>,
    /// The margin, by the square of the summed lengths.
    share: f64,
    /// The least margin: what products lose of values near the least that f32 has.
    least: f64,
}

/// Squares beyond which a product could leave f32.
const GREAT: f64 = 1e30;

impl Bounds {
    /// None where products say too little: for the Manhattan distance, or values that are too great.
    pub(super) fn of(rows: &Rows<'_>, metric: Metric) -> Option<Bounds> {
        let cols = rows.cols;
        if metric == Metric::Manhattan || cols == 0 {
            return None;
        }
        let centre = if metric == Metric::Euclidean { means(&rows.values, cols) } else { vec![0.0; cols] };
        let values = centred(&rows.values, &centre);
        let size = |row: &[f32]| (square(row), square(row).sqrt());
        let sizes: Vec<(f64, f64)> = values.chunks_exact(cols).map(size).collect();
        if sizes.iter().any(|(square, _)| *square >= GREAT || square.is_nan()) {
            return None;
        }
        let panels = Panels::of(values.chunks_exact(cols), cols);
        // the product's rounding, that of centred values, and that of the distance itself; twice over, to be on the safe side
        let share = (cols as f64 + 32.0) * f64::from(f32::EPSILON);
        let least = cols as f64 * f64::from(f32::MIN_POSITIVE);
        Some(Bounds { metric, centre, panels, sizes, share, least })
    }

    /// For each query (row-major `values`), the rows that can be among the `k` nearest; none for a query that is too far out to tell.
    pub(super) fn candidates(&self, values: &[f32], k: usize) -> Vec<Option<Vec<usize>>> {
        let values = centred(values, &self.centre);
        let queries: Vec<&[f32]> = values.chunks_exact(self.centre.len()).collect();
        let sizes: Vec<f64> = queries.iter().map(|query| square(query)).collect();
        let roots: Vec<f64> = sizes.iter().map(|size| size.sqrt()).collect();
        let mut nearby: Vec<Nearby> = queries.iter().map(|_| Nearby::new(k)).collect();
        self.panels.products(&queries, |query, first, products| {
            let others = &self.sizes[first..first + products.len()];
            for (row, (&product, &(size, root))) in (first..).zip(products.iter().zip(others)) {
                let (far, margin) = match self.metric {
                    Metric::Cosine if roots[query] == 0.0 || root == 0.0 => (1.0, self.share),
                    Metric::Cosine => {
                        let lengths = roots[query] * root;
                        (1.0 - f64::from(product) / lengths, self.share + self.least / lengths)
                    }
                    _ => (
                        sizes[query] + size - 2.0 * f64::from(product),
                        self.share * (roots[query] + root) * (roots[query] + root) + self.least,
                    ),
                };
                nearby[query].offer(row, far - margin, far + margin);
            }
        });
        let told = |(nearby, size): (Nearby, &f64)| (*size < GREAT).then(|| nearby.rows());
        nearby.into_iter().zip(&sizes).map(told).collect()
    }
}

/// The rows of which none is surely beyond the k nearest.
struct Nearby {
    k: usize,
    /// The bits of the `k` least upper bounds, which are 0 or more.
    upper: BinaryHeap<u64>,
    /// The greatest of them, once there are `k`.
    beyond: f64,
    /// Lower bound and row.
    rows: Vec<(f64, usize)>,
    /// Number of rows at which those that have fallen behind are dropped.
    full: usize,
}

impl Nearby {
    fn new(k: usize) -> Nearby {
        Nearby { k, upper: BinaryHeap::with_capacity(k + 1), beyond: f64::INFINITY, rows: Vec::new(), full: 4 * k + 64 }
    }

    #[inline]
    fn offer(&mut self, row: usize, lower: f64, upper: f64) {
        if lower > self.beyond {
            return;
        }
        if upper < self.beyond {
            self.upper.push(upper.max(0.0).to_bits());
            if self.upper.len() > self.k {
                self.upper.pop();
            }
            if let (true, Some(&top)) = (self.upper.len() == self.k, self.upper.peek()) {
                self.beyond = f64::from_bits(top);
            }
        }
        self.rows.push((lower, row));
        if self.rows.len() >= self.full {
            self.drop_far();
            self.full = (2 * self.rows.len()).max(self.full);
        }
    }

    fn drop_far(&mut self) {
        let beyond = self.beyond;
        self.rows.retain(|(lower, _)| *lower <= beyond);
    }

    fn rows(mut self) -> Vec<usize> {
        self.drop_far();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}
