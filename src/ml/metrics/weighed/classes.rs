//! What is the F1 of each class when rows count more or less, or not at all?

use super::super::sets::Tally;
use super::super::{Outcome, SetOutcome};
use super::Runs;
use crate::ml::stats::Scored;

/// Predictions, ready to be scored class by class while units count more or less. A class that is neither true nor predicted of what
/// counts has no score.
#[derive(Debug)]
pub struct ClassF1 {
    classes: usize,
    /// By class, whether it is true, and whether it is predicted.
    cells: Runs,
}

impl ClassF1 {
    /// Predicted classes; `unit` has for each row the unit that is drawn or not.
    pub fn of_classes(outcome: &Outcome<'_>, unit: &[u32]) -> Self {
        let rows = outcome.y_true().iter().zip(outcome.y_pred()).zip(unit);
        let marks = rows.flat_map(|((&truth, &predicted), &unit)| {
            let missed = (truth != predicted).then_some((cell(predicted, false, true), unit));
            [(cell(truth, true, truth == predicted), unit)].into_iter().chain(missed)
        });
        ClassF1 { classes: outcome.classes(), cells: Runs::new(marks.collect()) }
    }

    /// Predicted sets of classes.
    pub fn of_sets(outcome: &SetOutcome<'_>, unit: &[u32]) -> Self {
        let marks =
            outcome.marks().map(|(row, class, truth, predicted)| (cell(class as u32, truth, predicted), unit[row]));
        ClassF1 { classes: outcome.classes(), cells: Runs::new(marks.collect()) }
    }
}

fn cell(class: u32, truth: bool, predicted: bool) -> u32 {
    4 * class + 2 * u32::from(truth) + u32::from(predicted)
}

impl Scored for ClassF1 {
    fn width(&self) -> usize {
        self.classes
    }

    fn score(&self, weights: &[u32], into: &mut [f64]) {
        let mut tallies = vec![(Tally::default(), 0); self.classes];
        for (cell, sum) in self.cells.sums(weights) {
            let (tally, any) = &mut tallies[cell / 4];
            tally.add(cell & 2 != 0, cell & 1 != 0, sum);
            *any += sum;
        }
        let score = |(tally, any): (Tally, u64)| if any > 0 { tally.scores().f1 } else { f64::NAN };
        into.iter_mut().zip(tallies).for_each(|(into, tally)| *into = score(tally));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_scored_with_what_counts() {
        // rows: right of 0, 1 for 0, right of 1, 0 for 1; class 2 never occurs
        let outcome = Outcome::new(&[0, 0, 1, 1], &[0, 1, 1, 0], 3, None).unwrap();
        let of_classes = ClassF1::of_classes(&outcome, &[0, 1, 2, 2]);
        let scored = |weights: &[u32]| {
            let mut into = vec![9.0; 3];
            of_classes.score(weights, &mut into);
            into
        };
        let all = scored(&[1, 1, 1]);
        assert_eq!((&all[..2], all[2].is_nan()), ([0.5, 0.5].as_slice(), true));
        // the first unit three times, the second not at all: 3 hits of 3 and a false one; a hit and a miss
        let drawn = scored(&[3, 0, 1]);
        assert!((drawn[0] - 6.0 / 7.0).abs() < 1e-12 && (drawn[1] - 2.0 / 3.0).abs() < 1e-12, "{drawn:?}");
        let one = scored(&[1, 0, 0]);
        assert_eq!((one[0], one[1].is_nan()), (1.0, true));
    }

    #[test]
    fn sets_of_one_class_are_classes() {
        let (y, p) = ([0, 0, 1, 2, 2], [0, 1, 1, 2, 0]);
        let marks =
            |of: &[u32]| -> Vec<bool> { of.iter().flat_map(|of| (0..3).map(move |class| *of == class)).collect() };
        let (truth, predicted) = (marks(&y), marks(&p));
        let of_sets = ClassF1::of_sets(&SetOutcome::new(&truth, &predicted, 3, None).unwrap(), &[0, 1, 2, 3, 4]);
        let of_classes = ClassF1::of_classes(&Outcome::new(&y, &p, 3, None).unwrap(), &[0, 1, 2, 3, 4]);
        let (mut one, mut other) = ([0.0; 3], [0.0; 3]);
        of_sets.score(&[1, 2, 1, 3, 1], &mut one);
        of_classes.score(&[1, 2, 1, 3, 1], &mut other);
        assert_eq!(one, other);
    }
}
