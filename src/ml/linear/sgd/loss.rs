//! What does a step of gradient descent want to lower? The losses of margins and of errors, with their derivatives.

/// A loss of `p`, the linear function's value, for a target `y`: ±1 for classes, a number for regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SgdLoss {
    /// `max(0, 1 - y·p)`: a linear SVM.
    Hinge,
    /// `max(0, 1 - y·p)²`.
    SquaredHinge,
    /// `log(1 + exp(-y·p))`: logistic regression.
    LogLoss,
    /// `max(0, 1 - y·p)²`, linear (`-4·y·p`) below `y·p = -1`.
    ModifiedHuber,
    /// `½ (p - y)²`.
    SquaredError,
    /// `½ (p - y)²`, linear beyond `epsilon`.
    Huber {
        /// Where it becomes linear.
        epsilon: f64,
    },
    /// `max(0, |p - y| - epsilon)`.
    EpsilonInsensitive {
        /// Errors up to this cost nothing.
        epsilon: f64,
    },
    /// `max(0, |p - y| - epsilon)²`.
    SquaredEpsilonInsensitive {
        /// Errors up to this cost nothing.
        epsilon: f64,
    },
}

impl SgdLoss {
    /// Whether it is a loss of classes.
    pub(super) fn of_classes(self) -> bool {
        matches!(self, SgdLoss::Hinge | SgdLoss::SquaredHinge | SgdLoss::LogLoss | SgdLoss::ModifiedHuber)
    }

    /// The loss and its derivative in `p`.
    #[inline(always)]
    pub(super) fn at(self, p: f64, y: f64) -> (f64, f64) {
        match self {
            SgdLoss::Hinge => {
                let z = p * y;
                if z <= 1.0 { (1.0 - z, -y) } else { (0.0, 0.0) }
            }
            SgdLoss::SquaredHinge => {
                let short = 1.0 - p * y;
                if short > 0.0 { (short * short, -2.0 * y * short) } else { (0.0, 0.0) }
            }
            SgdLoss::LogLoss => {
                let z = p * y;
                let e = (-z.abs()).exp();
                let wrong = if z > 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
                (e.ln_1p() + (-z).max(0.0), -y * wrong)
            }
            SgdLoss::ModifiedHuber => {
                let z = p * y;
                if z >= 1.0 {
                    (0.0, 0.0)
                } else if z >= -1.0 {
                    ((1.0 - z) * (1.0 - z), -2.0 * (1.0 - z) * y)
                } else {
                    (-4.0 * z, -4.0 * y)
                }
            }
            SgdLoss::SquaredError => (0.5 * (p - y) * (p - y), p - y),
            SgdLoss::Huber { epsilon } => {
                let e = p - y;
                if e.abs() <= epsilon {
                    (0.5 * e * e, e)
                } else {
                    (epsilon * e.abs() - 0.5 * epsilon * epsilon, epsilon * e.signum())
                }
            }
            SgdLoss::EpsilonInsensitive { epsilon } => {
                let e = p - y;
                if e.abs() > epsilon { (e.abs() - epsilon, e.signum()) } else { (0.0, 0.0) }
            }
            SgdLoss::SquaredEpsilonInsensitive { epsilon } => {
                let e = p - y;
                let beyond = (e.abs() - epsilon).max(0.0);
                (beyond * beyond, 2.0 * beyond * e.signum())
            }
        }
    }
}
