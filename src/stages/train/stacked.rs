//! What did several models predict for the same rows? Their scores side by side, in the rows' and the classes' own order.

use rustc_hash::FxHashMap;

use crate::stage::{OutOfFold, Parts, StageError};
use crate::table::predictions::Predictions;

/// Scores of one model, laid out for rows and classes that are given.
pub(super) struct Stacked {
    /// Row-major, rows × classes. A class that the model does not know has probability 0, or the row's least decision value.
    pub(super) scores: Vec<f64>,
    /// True if the scores are probabilities.
    pub(super) probabilities: bool,
}

impl Stacked {
    /// Lays out predictions; `folds` together predict each row of `row_id` once. Errors: a row that is predicted twice, or not
    /// at all.
    fn of(folds: &[Predictions], row_id: &[String], classes: &[String]) -> Result<Stacked, StageError> {
        let place: FxHashMap<&str, usize> = row_id.iter().map(String::as_str).zip(0..).collect();
        let mut scores = vec![f64::NAN; row_id.len() * classes.len()];
        let mut seen = vec![false; row_id.len()];
        for fold in folds {
            let width = fold.classes.len();
            let columns: Vec<Option<usize>> =
                classes.iter().map(|class| fold.classes.iter().position(|known| known == class)).collect();
            for (row, id) in fold.row_id.iter().enumerate() {
                let at = place.get(id.as_str()).copied().filter(|&at| !std::mem::replace(&mut seen[at], true));
                let at = at.ok_or_else(|| {
                    StageError::failed(format!(
                        "the model's predictions for row `{id}` are not asked for, or come twice"
                    ))
                })?;
                let own = &fold.scores[row * width..(row + 1) * width];
                let absent = match fold.probabilities {
                    true => 0.0,
                    false => own.iter().copied().fold(f64::INFINITY, f64::min),
                };
                for (to, column) in scores[at * classes.len()..].iter_mut().zip(&columns) {
                    *to = column.map_or(absent, |column| own[column]);
                }
            }
        }
        match seen.iter().position(|seen| !seen) {
            Some(row) => Err(StageError::failed(format!("the model predicted nothing for row `{}`", row_id[row]))),
            None => Ok(Stacked { scores, probabilities: folds.iter().all(|fold| fold.probabilities) }),
        }
    }
}

/// What each of `models` models predicted for the training rows `row_id` while it had not seen them.
pub(super) fn out_of_fold(
    predicted: &[OutOfFold],
    models: usize,
    row_id: &[String],
    classes: &[String],
) -> Result<Vec<Stacked>, StageError> {
    let mut folds: Vec<Vec<Predictions>> = (0..models).map(|_| Vec::new()).collect();
    for one in predicted {
        let of = folds.get_mut(one.model).ok_or_else(|| StageError::failed("a model too many"))?;
        of.push(predictions(&one.parts)?);
    }
    folds.iter().map(|folds| Stacked::of(folds, row_id, classes)).collect()
}

/// What each of the models predicts for the rows of the first one's predictions, and these rows.
pub(super) fn applied(models: &[Parts], classes: &[String]) -> Result<(Vec<String>, Vec<Stacked>), StageError> {
    let all: Vec<Predictions> = models.iter().map(predictions).collect::<Result<_, _>>()?;
    let row_id = all.first().map(|first| first.row_id.clone()).unwrap_or_default();
    let stacked = all.iter().map(|one| Stacked::of(std::slice::from_ref(one), &row_id, classes));
    let stacked = stacked.collect::<Result<_, _>>()?;
    Ok((row_id, stacked))
}

fn predictions(parts: &Parts) -> Result<Predictions, StageError> {
    Predictions::from_table(&*parts.table("predictions")?).map_err(StageError::caused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn predicted(rows: &[&str], classes: &[&str], scores: &[f64], probabilities: bool) -> Predictions {
        let predicted = vec![classes[0].to_owned(); rows.len()];
        let (row_id, classes) = (strings(rows), strings(classes));
        Predictions { row_id, classes, predicted, scores: scores.to_vec(), probabilities }
    }

    #[test]
    fn folds_come_together_in_the_order_of_the_rows() {
        let folds =
            [predicted(&["c", "a"], &["x", "y"], &[0.1, 0.9, 0.2, 0.8], true), predicted(&["b"], &["y"], &[1.0], true)];
        let stacked = Stacked::of(&folds, &strings(&["a", "b", "c"]), &strings(&["x", "y"])).unwrap();
        assert_eq!((stacked.scores, stacked.probabilities), (vec![0.2, 0.8, 0.0, 1.0, 0.1, 0.9], true));
    }

    #[test]
    fn a_class_that_a_margin_model_never_saw_is_the_least_likely() {
        let fold = predicted(&["a"], &["x", "z"], &[-2.0, 3.0], false);
        let stacked = Stacked::of(&[fold], &strings(&["a"]), &strings(&["x", "y", "z"])).unwrap();
        assert_eq!(stacked.scores, [-2.0, -2.0, 3.0]);
    }

    #[test]
    fn every_row_is_predicted_once() {
        let fold = || predicted(&["a"], &["x"], &[1.0], true);
        let classes = strings(&["x"]);
        assert!(Stacked::of(&[fold(), fold()], &strings(&["a"]), &classes).is_err());
        assert!(Stacked::of(&[fold()], &strings(&["a", "b"]), &classes).is_err());
        assert!(Stacked::of(&[fold()], &strings(&["b"]), &classes).is_err());
    }
}
