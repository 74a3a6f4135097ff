//! How are steps found quickly where columns hang together? With the inverse of what their Hessian is about.
//!
//! Dense columns hang together, and so do the most frequent sparse ones and the intercept. The Hessian over them of one class is
//! `1 + Σ_i c_i x_i x_iᵀ`. Where the curvatures `c_i` do not lean far to some directions of `x`, it is about `1 + a·S`, `a` the sum
//! of the curvatures and `S` the mean of `x xᵀ` over all rows, of which some do for a guide. `S` is worked out once for all classes and steps; the inverses for `a` in powers of two.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::cholesky;
use super::design::Design;
use super::tiles;

/// Sparse columns that belong to it, the most frequent ones.
const FREQUENT: usize = 32;
/// Rows that `S` is taken from: this many, or this many times its width, or as many as cost no more products than `CHEAP`.
const ROWS: usize = 1024;
const TIMES_WIDTH: usize = 2;
const CHEAP: usize = 1 << 21;
/// Columns beyond which the inverse would cost too much.
const WIDEST: usize = 2048;
/// Products with all rows that it saves in a fit, about.
const SAVES: usize = 60;

/// What all classes and steps share.
pub(super) struct Guide {
    /// First of the columns, and how many they are: the most frequent sparse ones, the dense ones and the constant one.
    from: usize,
    width: usize,
    /// How many of them are penalised.
    penalised: usize,
    /// `S`, row-major.
    mean: Vec<f32>,
    /// Inverses of `1 + a·S` by the power of two nearest to `a`; none where there is none.
    inverses: Mutex<BTreeMap<i32, Option<Arc<Vec<f32>>>>>,
}

impl Guide {
    /// For fits of `outputs` classes; none where it does not pay.
    pub(super) fn of(design: &Design<'_>, outputs: usize) -> Option<Guide> {
        let from = design.dense_from() - design.shared().min(FREQUENT);
        let (width, penalised) = (design.width() - from, design.cols() - from);
        let rows = ROWS.max(TIMES_WIDTH * width).max(CHEAP / (width * width).max(1)).min(design.rows);
        let pays = SAVES * design.rows * outputs >= (rows + width) * width;
        if penalised < 2 || width > WIDEST || !pays {
            return None;
        }
        Some(Guide { from, width, penalised, mean: design.mean_square(from, rows), inverses: Mutex::default() })
    }

    fn inverse(&self, power: i32) -> Option<Arc<Vec<f32>>> {
        // whoever asks first works it out, and the others wait: it is the same for all
        let mut known = self.inverses.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(power).or_insert_with(|| self.inverted(power).map(Arc::new)).clone()
    }

    fn inverted(&self, power: i32) -> Option<Vec<f32>> {
        let (n, a) = (self.width, f64::from(power).exp2());
        let mut matrix: Vec<f64> = self.mean.iter().map(|s| a * f64::from(*s)).collect();
        (0..self.penalised).for_each(|j| matrix[j * n + j] += 1.0);
        cholesky::factor(&mut matrix, n).then(|| cholesky::inverse(&matrix, n).iter().map(|x| *x as f32).collect())
    }
}

/// The guide to the classes of one fit.
pub(super) struct Narrow<'a> {
    guide: &'a Guide,
    /// Inverses, and the classes that each is for.
    groups: Vec<(Arc<Vec<f32>>, Vec<usize>)>,
}

impl<'a> Narrow<'a> {
    pub(super) fn new(guide: &'a Guide) -> Self {
        Narrow { guide, groups: Vec::new() }
    }

    /// Makes it that of classes with these sums of curvatures.
    pub(super) fn set(&mut self, sums: &[f64]) {
        let mut by_power: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (class, sum) in sums.iter().enumerate() {
            by_power.entry(sum.max(f64::MIN_POSITIVE).log2().round() as i32).or_default().push(class);
        }
        self.groups.clear();
        for (power, classes) in by_power {
            self.groups.extend(self.guide.inverse(power).map(|inverse| (inverse, classes)));
        }
    }

    /// The weights that it speaks of, of `k` classes; none if it knows less than the diagonal does.
    pub(super) fn span(&self, k: usize) -> Range<usize> {
        let Guide { from, width, .. } = *self.guide;
        let known: usize = self.groups.iter().map(|(_, classes)| classes.len()).sum();
        if known == k { from * k..(from + width) * k } else { 0..0 }
    }

    /// `Z = inverse · R` class by class; both are `width × k`, row-major.
    pub(super) fn solve(&self, r: &[f32], k: usize, z: &mut [f32]) {
        let (mut taken, mut solved) = (Vec::new(), Vec::new());
        for (inverse, classes) in &self.groups {
            taken.clear();
            taken.extend(r.chunks_exact(k).flat_map(|r| classes.iter().map(|&class| r[class])));
            solved.clear();
            solved.resize(taken.len(), 0.0);
            tiles::times(inverse, self.guide.width, &taken, classes.len(), &mut solved);
            for (z, solved) in z.chunks_exact_mut(k).zip(solved.chunks_exact(classes.len())) {
                classes.iter().zip(solved).for_each(|(&class, solved)| z[class] = *solved);
            }
        }
    }
}
