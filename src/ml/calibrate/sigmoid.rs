//! Which sigmoid of a decision value is its probability? Platt scaling.

use super::{CalibrateError, finite, weights};

/// `1 / (1 + exp(a · decision + b))`: Platt's calibration with targets corrected by the priors, `(n₊ + 1) / (n₊ + 2)` and
/// `1 / (n₋ + 2)` (Platt, 1999, section 2.2; scikit-learn's `_SigmoidCalibration`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sigmoid {
    /// Slope; below 0 where greater decision values speak for the positive class.
    pub a: f64,
    /// Offset.
    pub b: f64,
}

const MOST_STEPS: usize = 200;

impl Sigmoid {
    /// Fits on one decision value a row. The convex problem of two variables is solved by Newton's method to rounding.
    /// Errors: lengths, no rows, values or weights that are not finite.
    pub fn fit(decisions: &[f64], positive: &[bool], weight: Option<&[f64]>) -> Result<Sigmoid, CalibrateError> {
        let weight = weights(decisions.len(), positive.len(), weight)?;
        finite(decisions)?;
        let (mut with, mut without) = (0.0, 0.0);
        for (positive, weight) in positive.iter().zip(&weight) {
            *(if *positive { &mut with } else { &mut without }) += weight;
        }
        let (high, low) = ((with + 1.0) / (with + 2.0), 1.0 / (without + 2.0));
        // values are brought to at most 1, so that one curvature fits both variables
        let size = decisions.iter().fold(0.0f64, |most, d| most.max(d.abs()));
        let size = if size > 0.0 { size } else { 1.0 };
        let rows: Vec<(f64, f64, f64)> = decisions
            .iter()
            .zip(positive)
            .zip(&weight)
            .map(|((d, positive), w)| (d / size, if *positive { high } else { low }, *w))
            .collect();
        let (a, b) = minimised(&rows, (0.0, ((without + 1.0) / (with + 1.0)).ln()));
        Ok(Sigmoid { a: a / size, b })
    }

    /// The probability of the positive class.
    pub fn apply(&self, decision: f64) -> f64 {
        1.0 / (1.0 + (self.a * decision + self.b).exp())
    }
}

/// Cross-entropy of the targets `t` with `p = 1 / (1 + exp(z))`, over rows of (decision, target, weight).
fn loss(rows: &[(f64, f64, f64)], (a, b): (f64, f64)) -> f64 {
    let of = |(f, t, w): &(f64, f64, f64)| {
        let z = a * f + b;
        w * (t * z + (-z).max(0.0) + (-z.abs()).exp().ln_1p())
    };
    rows.iter().map(of).sum()
}

fn minimised(rows: &[(f64, f64, f64)], start: (f64, f64)) -> (f64, f64) {
    let (mut at, mut value) = (start, loss(rows, start));
    for _ in 0..MOST_STEPS {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-12, 0.0, 1e-12);
        for (f, t, w) in rows {
            let p = 1.0 / (1.0 + (at.0 * f + at.1).exp());
            let (u, c) = (w * (t - p), w * p * (1.0 - p));
            ga += u * f;
            gb += u;
            haa += c * f * f;
            hab += c * f;
            hbb += c;
        }
        let determinant = haa * hbb - hab * hab;
        let (da, db) = match determinant > 1e-14 * haa * hbb {
            true => ((hab * gb - hbb * ga) / determinant, (hab * ga - haa * gb) / determinant),
            // all decisions alike: the offset alone decides
            false => (0.0, -gb / hbb),
        };
        let slope = ga * da + gb * db;
        let mut step = 1.0;
        let next = loop {
            let next = (at.0 + step * da, at.1 + step * db);
            let there = loss(rows, next);
            if there <= value + 1e-4 * step * slope {
                break Some((next, there));
            }
            step *= 0.5;
            if step < 1e-10 {
                break None;
            }
        };
        let Some((next, there)) = next else { break };
        let gained = value - there;
        (at, value) = (next, there);
        if gained <= 1e-15 * value.abs() && -slope <= 1e-20 * value.abs() {
            break;
        }
    }
    at
}
