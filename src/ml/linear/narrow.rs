//! How are steps found quickly where dense columns hang together? With the inverse of what their Hessian is about.
//!
//! The Hessian over the dense columns and the intercept of one class is `1 + Σ_i c_i x_i x_iᵀ`. Where the curvatures `c_i` do not lean
//! far to some directions of `x`, it is about `1 + a·S`, `a` the sum of the curvatures and `S` the mean of `x xᵀ` over
//! all rows, of which some do for a guide. `S` is worked out once for all classes and steps; the inverses for `a` in powers of two.

use super::cholesky;
use super::design::Design;
use super::tiles;

/// Rows that `S` is taken from: this many, or this many times its width.
const ROWS: usize = 2048;
const TIMES_WIDTH: usize = 4;
/// Columns beyond which the inverse would cost too much.
const WIDEST: usize = 2048;
/// Products with all rows that it saves in a fit, about.
const SAVES: usize = 20;

pub(super) struct Narrow {
    /// First of the columns, and how many they are: the dense ones and the constant one.
    pub(super) from: usize,
    pub(super) width: usize,
    /// How many of them are penalised.
    penalised: usize,
    /// `S`, row-major.
    mean: Vec<f32>,
    /// By the power of two nearest to `a`: inverses of `1 + a·S`.
    inverses: Vec<(i32, Vec<f32>)>,
    /// The power of each class, and the classes of each power.
    groups: Vec<(usize, Vec<usize>)>,
}

impl Narrow {
    /// For `k` classes; none where it does not pay.
    pub(super) fn of(design: &Design<'_>, k: usize) -> Option<Narrow> {
        let (from, width) = (design.dense_from(), design.width() - design.dense_from());
        let penalised = design.cols() - from;
        let rows = ROWS.max(TIMES_WIDTH * width).min(design.rows);
        let pays = SAVES * design.rows * k >= (rows + width) * width;
        if penalised < 2 || width > WIDEST || !pays {
            return None;
        }
        Some(Narrow { from, width, penalised, mean: design.mean_square(rows), inverses: vec![], groups: vec![] })
    }

    /// Makes it that of classes with these sums of curvatures.
    pub(super) fn set(&mut self, sums: &[f64]) {
        let powers: Vec<i32> = sums.iter().map(|a| a.max(f64::MIN_POSITIVE).log2().round() as i32).collect();
        self.groups.clear();
        for (class, &power) in powers.iter().enumerate() {
            let known = self.inverses.iter().position(|(of, _)| *of == power);
            let at = known.or_else(|| {
                self.inverses.push((power, self.inverse(power)?));
                Some(self.inverses.len() - 1)
            });
            let Some(at) = at else { continue };
            match self.groups.iter_mut().find(|(inverse, _)| *inverse == at) {
                Some((_, classes)) => classes.push(class),
                None => self.groups.push((at, vec![class])),
            }
        }
    }

    fn inverse(&self, power: i32) -> Option<Vec<f32>> {
        let (n, a) = (self.width, f64::from(power).exp2());
        let mut matrix: Vec<f64> = self.mean.iter().map(|s| a * f64::from(*s)).collect();
        (0..self.penalised).for_each(|j| matrix[j * n + j] += 1.0);
        cholesky::factor(&mut matrix, n).then(|| cholesky::inverse(&matrix, n).iter().map(|x| *x as f32).collect())
    }

    /// `Z = inverse · R` class by class; both are `width × k`, row-major. Classes without an inverse keep their `Z`.
    pub(super) fn solve(&self, r: &[f32], k: usize, z: &mut [f32]) {
        let (mut taken, mut solved) = (Vec::new(), Vec::new());
        for (inverse, classes) in &self.groups {
            let inverse = &self.inverses[*inverse].1;
            taken.clear();
            taken.extend(r.chunks_exact(k).flat_map(|r| classes.iter().map(|&class| r[class])));
            solved.clear();
            solved.resize(taken.len(), 0.0);
            tiles::times(inverse, self.width, &taken, classes.len(), &mut solved);
            for (z, solved) in z.chunks_exact_mut(k).zip(solved.chunks_exact(classes.len())) {
                classes.iter().zip(solved).for_each(|(&class, solved)| z[class] = *solved);
            }
        }
    }
}
