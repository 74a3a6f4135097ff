//! How does a decision value become a probability? Platt's sigmoid, isotonic regression, temperature.
//!
//! Each is fitted on decision values of rows that the learner did not see, and is scikit-learn's calibrator of that name
//! (`CalibratedClassifierCV(method=…)`). [`normalised`] joins the calibrated classes of a row, one against the rest.

mod isotonic;
mod sigmoid;
mod temperature;

pub use isotonic::Isotonic;
pub use sigmoid::Sigmoid;
pub use temperature::Temperature;

/// Why nothing can be calibrated. Rows count from 0.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum CalibrateError {
    /// There is nothing to learn from.
    #[error("there are no rows to calibrate on (rows of weight 0 do not count)")]
    NoRows,
    /// Two inputs that belong together have different lengths.
    #[error("{found} {what} were given for {rows} rows")]
    Length {
        /// What was given.
        what: &'static str,
        /// How many of it.
        found: usize,
        /// How many there should be.
        rows: usize,
    },
    /// A decision value is NaN or infinite.
    #[error("row {row} has a decision value that is not a finite number")]
    NonFinite {
        /// Row of the value.
        row: usize,
    },
    /// A weight is negative, NaN or infinite.
    #[error("row {row} has weight {weight}; a weight must be a finite number of 0 or more")]
    Weight {
        /// Row of the weight.
        row: usize,
        /// The weight.
        weight: f64,
    },
    /// A label is not one of the classes.
    #[error("row {row} has class {class}, but there are {classes} classes")]
    ClassRange {
        /// Row of the label.
        row: usize,
        /// The label.
        class: u32,
        /// Number of classes.
        classes: usize,
    },
}

/// Scales each row of `classes` calibrated values to sum to 1; a row of zeros becomes uniform (scikit-learn's
/// one-against-rest normalisation). `probabilities` is row-major; absent classes have 0 and take no part in a uniform row
/// where `present` says so.
pub fn normalised(probabilities: &mut [f64], present: &[bool]) {
    let classes = present.len().max(1);
    let share = 1.0 / present.iter().filter(|present| **present).count().max(1) as f64;
    for row in probabilities.chunks_exact_mut(classes) {
        let sum: f64 = row.iter().sum();
        if sum > 0.0 {
            row.iter_mut().for_each(|p| *p = (*p / sum).min(1.0));
        } else {
            row.iter_mut().zip(present).for_each(|(p, present)| *p = if *present { share } else { 0.0 });
        }
    }
}

/// The weights of `rows` rows, checked together with the other inputs' lengths.
fn weights(rows: usize, labels: usize, weight: Option<&[f64]>) -> Result<Vec<f64>, CalibrateError> {
    if labels != rows {
        return Err(CalibrateError::Length { what: "labels", found: labels, rows });
    }
    let weight = match weight {
        Some(weight) if weight.len() != rows => {
            return Err(CalibrateError::Length { what: "weights", found: weight.len(), rows });
        }
        Some(weight) => weight.to_vec(),
        None => vec![1.0; rows],
    };
    if let Some(row) = weight.iter().position(|w| !w.is_finite() || *w < 0.0) {
        return Err(CalibrateError::Weight { row, weight: weight[row] });
    }
    match weight.iter().any(|w| *w > 0.0) {
        true => Ok(weight),
        false => Err(CalibrateError::NoRows),
    }
}

fn finite(decisions: &[f64]) -> Result<(), CalibrateError> {
    match decisions.iter().position(|d| !d.is_finite()) {
        Some(row) => Err(CalibrateError::NonFinite { row }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
