//! Why can a learner not be fitted, or a fitted one not be applied?

/// What stops a fit or a prediction. Rows and columns count from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// There is nothing to learn from.
    #[error("there are no training rows (rows of weight 0 do not count)")]
    NoRows,
    /// There is no column to learn from.
    #[error("the training rows have no feature columns")]
    NoColumns,
    /// A classifier needs two classes.
    #[error("all training rows have one class (number {class}); a classifier needs rows of at least two")]
    OneClass {
        /// The class that all rows have.
        class: u32,
    },
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
    /// A feature is NaN or infinite.
    #[error("row {row} has a value that is not a finite number in feature column {column}")]
    NonFinite {
        /// Row of the value.
        row: usize,
        /// Feature column of the value, counted over all blocks.
        column: usize,
    },
    /// A feature is below 0 where none may be.
    #[error("row {row} has {value} in feature column {column}, and only counts or shares of 0 or more are taken")]
    Negative {
        /// Row of the value.
        row: usize,
        /// Feature column of the value, counted over all blocks.
        column: usize,
        /// The value.
        value: f32,
    },
    /// There is nothing to tell rows apart by.
    #[error("there is nothing to reduce: {what}")]
    Flat {
        /// In what way.
        what: &'static str,
    },
    /// Weights grew beyond all numbers.
    #[error("the weights overflowed in pass {pass} over the rows; scale the features, or lower `eta0`")]
    Overflow {
        /// Which pass, from 1.
        pass: usize,
    },
    /// A value to learn is NaN or infinite.
    #[error("row {row} has the value {value} to learn, which is not a finite number")]
    Value {
        /// Row of the value.
        row: usize,
        /// The value.
        value: f64,
    },
    /// A weight is negative, NaN or infinite.
    #[error("row {row} has sample weight {weight}; a weight must be a finite number of 0 or more")]
    Weight {
        /// Row of the weight.
        row: usize,
        /// The weight.
        weight: f64,
    },
    /// A parameter is out of range.
    #[error("`{name}` must be {rule}, but is {value}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        rule: &'static str,
    },
    /// Blocks side by side have different numbers of rows, or a sparse block points outside itself.
    #[error("feature block {block} is malformed: {rule}")]
    Block {
        /// Which block, from 0.
        block: usize,
        /// What does not hold.
        rule: &'static str,
    },
    /// The model was fitted on another number of columns.
    #[error("the model was fitted on {expected} feature columns, but the rows have {found}")]
    Width {
        /// Columns in training.
        expected: usize,
        /// Columns now.
        found: usize,
    },
    /// The learner takes dense rows alone.
    #[error(
        "this learner takes dense rows, but feature block {block} is sparse; use a linear estimator, or dense features"
    )]
    NeedsDense {
        /// The first sparse block.
        block: usize,
    },
    /// A learner that works for each class, or pair of them, by itself has too many.
    #[error("there are {classes} classes, and this learner takes {most} at most; use `linear_svc`")]
    ManyClasses {
        /// Classes that occur.
        classes: usize,
        /// The most.
        most: usize,
    },
    /// A product of matrices was refused.
    #[error("matrices cannot be multiplied: {message}")]
    Product {
        /// Why.
        message: String,
    },
    /// A stored model cannot be read.
    #[error("the stored model cannot be read: {message}")]
    Stored {
        /// Why.
        message: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}
