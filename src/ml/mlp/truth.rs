//! What are rows to say, how wrong is an answer, and how good are many?

use super::super::linear::first_greatest;

/// What rows are to say.
#[derive(Clone, Copy)]
pub(super) enum Truth<'a> {
    /// The place of each row's class among `count` that are present.
    Classes { place: &'a [u32], count: usize },
    /// A value per row.
    Values(&'a [f64]),
}

impl Truth<'_> {
    /// Number of groups of which each has its share kept back.
    pub(super) fn groups(self) -> usize {
        match self {
            Truth::Classes { count, .. } => count,
            Truth::Values(_) => 1,
        }
    }

    /// The group of a row.
    pub(super) fn group(self, row: usize) -> usize {
        match self {
            Truth::Classes { place, .. } => place[row] as usize,
            Truth::Values(_) => 0,
        }
    }

    /// True if a score of `rows` says something.
    pub(super) fn can_score(self, rows: &[usize]) -> bool {
        match self {
            Truth::Classes { .. } => !rows.is_empty(),
            Truth::Values(y) => rows.iter().any(|&row| y[row] != y[rows[0]]),
        }
    }

    /// The loss of a row whose outputs are `sums`; they become its slopes. Classes: cross-entropy of the logistic function (one output) or of the
    /// softmax; values: half the squared error.
    pub(super) fn loss(self, row: usize, sums: &mut [f32]) -> f64 {
        match (self, sums) {
            (Truth::Values(y), sums) => {
                let error = f64::from(sums[0]) - y[row];
                sums[0] = error as f32;
                0.5 * error * error
            }
            (Truth::Classes { place, .. }, [sum]) => {
                let (z, second) = (f64::from(*sum), place[row] == 1);
                *sum = (1.0 / (1.0 + (-z).exp()) - f64::from(u8::from(second))) as f32;
                let against = if second { -z } else { z };
                against.max(0.0) + (-against.abs()).exp().ln_1p()
            }
            (Truth::Classes { place, .. }, sums) => {
                let own = place[row] as usize;
                let greatest = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let behind = f64::from(sums[own] - greatest);
                sums.iter_mut().for_each(|z| *z = (*z - greatest).exp());
                let total: f64 = sums.iter().map(|&z| f64::from(z)).sum();
                sums.iter_mut().for_each(|z| *z = (f64::from(*z) / total) as f32);
                sums[own] -= 1.0;
                total.ln() - behind
            }
        }
    }

    /// How good answers are: `sums` has the outputs of the rows `rows`, in their order. Classes: the share of rows, by weight, whose class is
    /// found; values: R².
    pub(super) fn score(self, rows: &[usize], weight: &[f64], sums: &[f32]) -> f64 {
        let total: f64 = rows.iter().map(|&row| weight[row]).sum();
        let weighed = |of: &dyn Fn(usize, usize) -> f64| -> f64 {
            rows.iter().enumerate().map(|(at, &row)| weight[row] / total * of(at, row)).sum()
        };
        let width = sums.len() / rows.len().max(1);
        match self {
            Truth::Classes { place, .. } => weighed(&|at, row| {
                let found = found(&sums[at * width..(at + 1) * width]);
                f64::from(u8::from(found == place[row] as usize))
            }),
            Truth::Values(y) => {
                let mean = weighed(&|_, row| y[row]);
                let left = weighed(&|at, row| (f64::from(sums[at]) - y[row]).powi(2));
                1.0 - left / weighed(&|_, row| (y[row] - mean).powi(2))
            }
        }
    }
}

/// The place of the class that outputs speak for.
fn found(sums: &[f32]) -> usize {
    match sums {
        [sum] => usize::from(*sum > 0.0),
        sums => first_greatest(&sums.iter().copied().map(f64::from).collect::<Vec<_>>()),
    }
}
