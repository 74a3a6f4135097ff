//! What did a model say about rows whose class is known? Checked once, so that metrics need not.

/// True and predicted classes of the same rows, as indices below a number of classes, and maybe a score per row and class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome<'a> {
    y_true: &'a [u32],
    y_pred: &'a [u32],
    classes: usize,
    scores: Option<Scores<'a>>,
}

/// One score per row and class: `rows × classes` values, row-major. For two classes the second column is read where a
/// metric asks for the positive class, so decision values of a binary model are given as `[−d, d]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scores<'a> {
    /// Probabilities, from 0 to 1.
    Probabilities(&'a [f64]),
    /// Decision values: the higher, the likelier.
    Decisions(&'a [f64]),
}

/// Why predictions cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeError {
    /// Not one prediction per row.
    #[error("there are {predicted} predictions for {rows} rows")]
    Predictions {
        /// How many rows.
        rows: usize,
        /// How many predictions.
        predicted: usize,
    },
    /// Not one score per row and class.
    #[error("there are {scores} scores for {rows} rows of {classes} classes")]
    Scores {
        /// How many rows.
        rows: usize,
        /// How many classes.
        classes: usize,
        /// How many scores.
        scores: usize,
    },
    /// A class beyond the number of classes.
    #[error("row {row} has class {class}, but there are {classes} classes")]
    Class {
        /// The first such row, from 0.
        row: usize,
        /// Its class, true or predicted, from 0.
        class: u32,
        /// How many classes there are.
        classes: usize,
    },
}

impl<'a> Outcome<'a> {
    /// Puts truth and prediction side by side.
    ///
    /// # Errors
    /// Lengths that do not fit together, a class that is not below `classes`.
    pub fn new(
        y_true: &'a [u32],
        y_pred: &'a [u32],
        classes: usize,
        scores: Option<Scores<'a>>,
    ) -> Result<Self, OutcomeError> {
        let rows = y_true.len();
        if y_pred.len() != rows {
            return Err(OutcomeError::Predictions { rows, predicted: y_pred.len() });
        }
        for (row, (&truth, &predicted)) in y_true.iter().zip(y_pred).enumerate() {
            let class = truth.max(predicted);
            if class as usize >= classes {
                return Err(OutcomeError::Class { row, class, classes });
            }
        }
        if let Some(Scores::Probabilities(values) | Scores::Decisions(values)) = scores
            && Some(values.len()) != rows.checked_mul(classes)
        {
            return Err(OutcomeError::Scores { rows, classes, scores: values.len() });
        }
        Ok(Outcome { y_true, y_pred, classes, scores })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.y_true.len()
    }

    /// Number of classes, whether they occur or not.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// True class of each row.
    pub fn y_true(&self) -> &'a [u32] {
        self.y_true
    }

    /// Predicted class of each row.
    pub fn y_pred(&self) -> &'a [u32] {
        self.y_pred
    }

    /// Scores of either kind, row-major; `None` too where one of them is NaN.
    pub(super) fn scores(&self) -> Option<&'a [f64]> {
        match self.scores? {
            Scores::Probabilities(values) | Scores::Decisions(values) => without_nan(values),
        }
    }

    /// Probabilities, row-major; `None` too where one of them is outside 0 to 1.
    pub(super) fn probabilities(&self) -> Option<&'a [f64]> {
        match self.scores? {
            Scores::Probabilities(values) => values.iter().all(|p| (0.0..=1.0).contains(p)).then_some(values),
            Scores::Decisions(_) => None,
        }
    }
}

pub(super) fn without_nan(values: &[f64]) -> Option<&[f64]> {
    values.iter().all(|value| !value.is_nan()).then_some(values)
}
