//! What are the coefficients of a linear model, and do they say what it says?

use arrow::array::{Array, Float64Array, ListArray, RecordBatch, StringArray};

use crate::ml::{Block, Features};
use crate::stage::Parts;
use crate::table::predictions::sets::{LABELS, label_prefix};

/// How far sums in another order may be from those of the model, relative to the greatest term.
const NEAR: f64 = 1e-9;

/// A linear model: one output for two classes (its positive side is the class), else one a class.
pub(super) struct Linear {
    classes: Vec<String>,
    intercept: Vec<f64>,
    coef: Vec<Vec<f64>>,
}

/// A direction in which a model's answer is looked at: the sum of some outputs, each times a sign.
pub(super) struct Direction {
    outputs: Vec<(usize, f64)>,
}

impl Linear {
    /// The model that a learner learned, if it has the part `coefficients` (output, class, intercept, coef).
    /// Where one number is predicted, that is its one class.
    pub(super) fn of(learned: &Parts, classes: &[String]) -> Option<Linear> {
        let table = learned.part("coefficients")?.table().ok()?;
        let classes = match classes.len() {
            1 => classes.to_vec(),
            _ => column::<StringArray>(&table, "class")?.iter().flatten().map(str::to_owned).collect(),
        };
        Linear::read(&table, classes)
    }

    /// The model of one label, where each was learned by itself.
    pub(super) fn of_label(learned: &Parts, label: &str) -> Option<Linear> {
        let table = learned.part(LABELS)?.table().ok()?;
        let place = column::<StringArray>(&table, "class")?.iter().position(|known| known == Some(label))?;
        let table = learned.part(&format!("{}coefficients", label_prefix(place)))?.table().ok()?;
        Linear::read(&table, vec![label.to_owned()])
    }

    fn read(table: &RecordBatch, classes: Vec<String>) -> Option<Linear> {
        let intercept = column::<Float64Array>(table, "intercept")?.values().to_vec();
        let lists = column::<ListArray>(table, "coef")?;
        let row = |row: usize| Some(lists.value(row).as_any().downcast_ref::<Float64Array>()?.values().to_vec());
        let coef = (0..lists.len()).map(row).collect::<Option<Vec<_>>>()?;
        Some(Linear { classes, intercept, coef })
    }

    /// Towards `class`; where there are more than two, away from `against` if there is one.
    pub(super) fn towards(&self, class: &str, against: Option<&str>) -> Option<Direction> {
        if self.coef.len() == 1 {
            let sign = if self.classes.first().is_some_and(|positive| positive == class) { 1.0 } else { -1.0 };
            return Some(Direction { outputs: vec![(0, sign)] });
        }
        let place = |class: &str| self.classes.iter().position(|known| known == class);
        let mut outputs = vec![(place(class)?, 1.0)];
        if let Some(against) = against {
            outputs.push((place(against)?, -1.0));
        }
        Some(Direction { outputs })
    }

    /// What stands at the beginning of the sum.
    pub(super) fn intercept(&self, direction: &Direction) -> f64 {
        direction.outputs.iter().map(|(output, sign)| sign * self.intercept[*output]).sum()
    }

    /// What one unit of a column counts.
    pub(super) fn weight(&self, direction: &Direction, column: usize) -> f64 {
        let one = |(output, sign): &(usize, f64)| sign * self.coef[*output].get(column).copied().unwrap_or(0.0);
        direction.outputs.iter().map(one).sum()
    }

    /// True if the coefficients say what the model said of the row `x`: else they are of something else, and explain nothing.
    /// `said` is the score of each class.
    pub(super) fn agrees(&self, x: &Features, said: &[(String, f64)], probabilities: bool) -> bool {
        let width = self.coef.first().map_or(0, Vec::len);
        if x.cols() != width
            || self.coef.iter().any(|coef| coef.len() != width)
            || self.classes.len() != self.coef.len()
        {
            return false;
        }
        let mut totals = self.intercept.clone();
        for (column, value) in values(x) {
            totals.iter_mut().zip(&self.coef).for_each(|(total, coef)| *total += coef[column] * value);
        }
        let score = |class: &String| said.iter().find(|(known, _)| known == class).map(|(_, score)| *score);
        let near = |a: f64, b: f64| (a - b).abs() <= NEAR * a.abs().max(b.abs()).max(1.0);
        let Some(scores) = self.classes.iter().map(score).collect::<Option<Vec<f64>>>() else { return false };
        let expected: Vec<f64> = match (probabilities, totals.as_slice()) {
            (false, totals) => totals.to_vec(),
            (true, [one]) => vec![1.0 / (1.0 + (-one).exp())],
            (true, many) => {
                let greatest = many.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = many.iter().map(|total| (total - greatest).exp()).sum();
                many.iter().map(|total| (total - greatest).exp() / sum).collect()
            }
        };
        expected.iter().zip(&scores).all(|(expected, score)| near(*expected, *score))
    }
}

/// The values of the only row of `x` that are not 0, by column over all blocks.
pub(super) fn values(x: &Features) -> Vec<(usize, f64)> {
    let (mut all, mut offset) = (Vec::new(), 0);
    for block in &x.blocks {
        match block {
            Block::Sparse(sparse) => {
                let (columns, values) = sparse.row(0);
                all.extend(columns.iter().zip(values).map(|(&at, &value)| (offset + at as usize, f64::from(value))));
            }
            Block::Dense(dense) => {
                let row = dense.row(0).iter().enumerate().filter(|(_, value)| **value != 0.0);
                all.extend(row.map(|(at, &value)| (offset + at, f64::from(value))));
            }
        }
        offset += block.cols();
    }
    all
}

fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> Option<&'t T> {
    table.column_by_name(name)?.as_any().downcast_ref()
}
