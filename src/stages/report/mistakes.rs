//! Which rows did a variant get wrong, most surely of itself or by the most, and what do they say?

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, Float64Array, RecordBatch};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ml::{Bin, Outcome, Scores, Task, Threshold, thresholds};
use crate::record::Evaluation;
use crate::stage::{Part, StageError};
use crate::table::predictions::sets::ScoredSets;
use crate::table::predictions::values::ScoredValues;
use crate::table::predictions::{ScoredColumns, task};
use crate::table::{scores, text};

use super::alike::Nearest;
use super::rank::FoldPrint;
use super::words::score;

/// A row that was predicted wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mistake {
    /// The row's id.
    pub(super) row_id: String,
    /// The fold in which it was held out, from 0 over all repeats.
    pub(super) fold: u32,
    /// What it is.
    pub(super) label: String,
    /// What it was taken for.
    pub(super) predicted: String,
    /// The score of what it was taken for; of numbers, how far off the prediction is; of sets, how many labels are wrong.
    pub(super) score: f64,
    /// The score of what it is.
    pub(super) label_score: Option<f64>,
    /// How often it was held out and predicted wrong, if more than once.
    pub(super) times: u32,
    /// Its text, where the rows still have it.
    pub(super) text: Option<String>,
    /// How many of the compared variants get it wrong too, this one included.
    pub(super) wrong_in: usize,
    /// How many variants scored it.
    pub(super) scored_in: usize,
    /// The other row whose words are most like its own.
    pub(super) nearest: Option<Nearest>,
}

/// What the predictions of one variant say.
#[derive(Debug)]
pub(super) struct Findings {
    /// What is predicted.
    pub(super) task: Task,
    /// Predictions with a label.
    pub(super) scored: u64,
    /// Those that are wrong; numbers are none of them.
    pub(super) wrong: u64,
    /// True if the scores are probabilities, else decision values.
    pub(super) probabilities: bool,
    /// The surest mistakes, surest first.
    pub(super) mistakes: Vec<Mistake>,
    /// What tells whether another variant was scored alike.
    pub(super) folds: Option<FoldPrint>,
    /// How far probabilities may be trusted; empty where there are none.
    pub(super) reliability: Vec<Bin>,
    /// What other thresholds would give; empty but for two classes.
    pub(super) thresholds: Vec<Threshold>,
    /// Each class against the rest, where there are more than two and not too many.
    pub(super) against_rest: Vec<(String, Vec<Threshold>)>,
    /// True and predicted numbers, at most [`POINTS`] of them.
    pub(super) points: Vec<(f64, f64)>,
    /// Where the scores of classes lie; `None` where there are none, or all are alike.
    pub(super) spread: Option<Spread>,
}

/// How many rows have which score, in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    /// The lower end of the first bin.
    pub(super) low: f64,
    /// The upper end of the last.
    pub(super) high: f64,
    /// The rows of each bin, for two groups of rows.
    pub(super) groups: [Vec<u64>; 2],
    /// What the groups, and the scores, are.
    pub(super) sides: Sides,
}

/// Which two groups of rows are held against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sides {
    /// Of two classes: rows of the first and of the second, by the score of the second.
    Labels([String; 2]),
    /// Wrong rows and right ones, by the score of what was predicted.
    Right,
}

impl Spread {
    /// The ends of a bin.
    pub(super) fn ends(&self, bin: usize) -> [f64; 2] {
        let width = (self.high - self.low) / self.groups[0].len() as f64;
        [bin, bin + 1].map(|edge| self.low + width * edge as f64)
    }

    /// Of pairs of group and score.
    fn of(scores: impl Iterator<Item = (usize, f64)> + Clone, probabilities: bool, sides: Sides) -> Option<Spread> {
        let finite = scores.filter(|(_, score)| score.is_finite());
        let (low, high) = match probabilities {
            true => (0.0, 1.0),
            false => finite
                .clone()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, score)| (score.min(low), score.max(high))),
        };
        let mut groups = [vec![0; BINS], vec![0; BINS]];
        let scale = BINS as f64 / (high - low);
        if high <= low || !scale.is_finite() {
            return None;
        }
        for (group, score) in finite {
            // the upper end belongs to the last bin; probabilities may be a hair beyond 1
            groups[group][(((score - low) * scale).max(0.0) as usize).min(BINS - 1)] += 1;
        }
        groups.iter().flatten().any(|rows| *rows > 0).then_some(Spread { low, high, groups, sides })
    }
}

/// Most classes whose curves one drawing holds, and most points of each.
const CURVES: usize = 10;
const CURVE: usize = 60;

/// Bins of scores.
const BINS: usize = 25;

/// Most points of a drawing.
const POINTS: usize = 1000;

impl Findings {
    /// Before any prediction.
    pub(super) fn new(task: Task) -> Self {
        Findings {
            task,
            scored: 0,
            wrong: 0,
            probabilities: false,
            mistakes: Vec::new(),
            folds: None,
            reliability: Vec::new(),
            thresholds: Vec::new(),
            against_rest: Vec::new(),
            points: Vec::new(),
            spread: None,
        }
    }
}

/// The predictions of a variant.
fn scored(evaluation: &Evaluation) -> Result<Arc<RecordBatch>, StageError> {
    evaluation.scores.table("predictions")
}

/// The predictions that were last asked which rows their folds held out: most variants are scored alike, row by row.
#[derive(Default)]
pub(super) struct FoldPrints(Option<(Arc<RecordBatch>, FoldPrint)>);

/// What the predictions of a variant say, with its `limit` surest mistakes.
pub(super) fn findings(evaluation: &Evaluation, limit: usize, prints: &mut FoldPrints) -> Result<Findings, StageError> {
    let table = scored(evaluation)?;
    let scored = ScoredColumns::of(&table).map_err(StageError::caused)?;
    let mut found = match task(&table) {
        Task::Classes => pick(&scored, limit),
        Task::Sets => farthest_sets(&ScoredSets::from_table(&table).map_err(StageError::caused)?, &scored, limit),
        Task::Values => farthest(&ScoredValues::from_table(&table).map_err(StageError::caused)?, &scored, limit),
    };
    let part = |name| evaluation.scores.part(name).map(Part::table).transpose();
    if let Some(table) = part("reliability")? {
        found.reliability = scores::reliability(&table).map_err(StageError::caused)?;
    }
    if let Some(table) = part("thresholds")? {
        found.thresholds = scores::thresholds(&table).map_err(StageError::caused)?;
    }
    found.folds = Some(prints.of(&table)?);
    if !found.mistakes.is_empty() {
        add_texts(evaluation, &mut found.mistakes)?;
    }
    Ok(found)
}

/// Counts, and the surest mistakes: by probability, or by how far the decision value leads that of the label.
fn pick(scored: &ScoredColumns<'_>, limit: usize) -> Findings {
    let place: FxHashMap<&str, usize> = scored.classes.iter().enumerate().map(|(at, class)| (*class, at)).collect();
    let value = |row: usize, class: &str| place.get(class).map(|&at| scored.scores[at].value(row));
    let mut found = Findings { probabilities: scored.probabilities, ..Findings::new(Task::Classes) };
    let mut times: FxHashMap<&str, u32> = FxHashMap::default();
    let mut wrong: Vec<(f64, usize)> = Vec::new();
    for (row, (label, predicted)) in scored.label.iter().zip(scored.predicted).enumerate() {
        let (Some(label), Some(predicted)) = (label, predicted) else { continue };
        found.scored += 1;
        if label != predicted {
            found.wrong += 1;
            *times.entry(scored.row_id.value(row)).or_default() += 1;
            let own = value(row, predicted).filter(|x| !x.is_nan()).unwrap_or(f64::NEG_INFINITY);
            let lead = if found.probabilities { own } else { own - value(row, label).unwrap_or(0.0) };
            wrong.push((if lead.is_nan() { f64::NEG_INFINITY } else { lead }, row));
        }
    }
    found.spread = spread(scored, &place);
    found.against_rest = against_rest(scored);
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut seen = BTreeSet::new();
    for (_, row) in wrong {
        if found.mistakes.len() >= limit {
            break;
        }
        let (row_id, label, predicted) =
            (scored.row_id.value(row), scored.label.value(row), scored.predicted.value(row));
        if seen.insert(row_id) {
            found.mistakes.push(Mistake {
                row_id: row_id.to_owned(),
                fold: scored.fold.value(row),
                label: label.to_owned(),
                predicted: predicted.to_owned(),
                score: value(row, predicted).unwrap_or(f64::NAN),
                label_score: value(row, label),
                times: times.get(row_id).copied().unwrap_or(1),
                text: None,
                wrong_in: 1,
                scored_in: 1,
                nearest: None,
            });
        }
    }
    found
}

/// Where the scores lie.
fn spread(scored: &ScoredColumns<'_>, place: &FxHashMap<&str, usize>) -> Option<Spread> {
    let rows = || (0..scored.label.len()).filter(|row| scored.label.is_valid(*row));
    if let [first, second] = scored.classes[..] {
        let group = |row: usize| usize::from(scored.label.value(row) == second);
        let scores = rows().map(|row| (group(row), scored.scores[1].value(row)));
        return Spread::of(scores, scored.probabilities, Sides::Labels([first.to_owned(), second.to_owned()]));
    }
    let right = |row: usize| usize::from(scored.label.value(row) == scored.predicted.value(row));
    let own = |row: usize| place.get(scored.predicted.value(row)).map(|at| scored.scores[*at].value(row));
    let scores = rows().filter_map(|row| Some((right(row), own(row)?)));
    Spread::of(scores, scored.probabilities, Sides::Right)
}

/// What thresholds on the score of each class give. Of two classes the scores hold them already.
fn against_rest(scored: &ScoredColumns<'_>) -> Vec<(String, Vec<Threshold>)> {
    if !(3..=CURVES).contains(&scored.classes.len()) {
        return Vec::new();
    }
    let rows: Vec<usize> = (0..scored.label.len()).filter(|row| scored.label.is_valid(*row)).collect();
    let curve = |(class, column): (&&str, &&Float64Array)| {
        let truth: Vec<u32> = rows.iter().map(|row| u32::from(scored.label.value(*row) == *class)).collect();
        let scores: Vec<f64> = rows.iter().flat_map(|row| [-column.value(*row), column.value(*row)]).collect();
        let outcome = Outcome::new(&truth, &truth, 2, Some(Scores::Decisions(&scores))).ok()?;
        Some(((*class).to_owned(), thresholds(&outcome, CURVE)?))
    };
    scored.classes.iter().zip(&scored.scores).filter_map(curve).collect()
}

/// Beyond so many characters a number is rounded.
const LONG: usize = 8;

/// A number as people want it: without digits that say nothing.
pub(super) fn brief(number: &str) -> String {
    match number.parse::<f64>() {
        Ok(value) if number.len() > LONG => score(value),
        _ => number.to_owned(),
    }
}

/// The rows with the largest errors, each once.
fn largest(mut errors: Vec<(f64, usize)>, scored: &ScoredColumns<'_>, limit: usize) -> Vec<Mistake> {
    errors.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut times: FxHashMap<&str, u32> = FxHashMap::default();
    errors.iter().for_each(|(_, row)| *times.entry(scored.row_id.value(*row)).or_default() += 1);
    let mut seen = BTreeSet::new();
    let rows = errors.into_iter().filter(|(_, row)| seen.insert(scored.row_id.value(*row)));
    let mistake = |(error, row): (f64, usize)| Mistake {
        row_id: scored.row_id.value(row).to_owned(),
        fold: scored.fold.value(row),
        label: scored.label.value(row).to_owned(),
        predicted: scored.predicted.value(row).to_owned(),
        score: error,
        label_score: None,
        times: times.get(scored.row_id.value(row)).copied().unwrap_or(1),
        text: None,
        wrong_in: 1,
        scored_in: 1,
        nearest: None,
    };
    rows.take(limit).map(mistake).collect()
}

/// Counts, and the sets of labels with the most wrong ones.
fn farthest_sets(sets: &ScoredSets, scored: &ScoredColumns<'_>, limit: usize) -> Findings {
    let pairs = sets.truth.iter().zip(&sets.predictions.sets);
    let wrong = pairs.map(|(truth, predicted)| {
        let missed = truth.iter().filter(|label| !predicted.contains(label)).count();
        missed + predicted.iter().filter(|label| !truth.contains(label)).count()
    });
    let errors: Vec<(f64, usize)> =
        wrong.enumerate().filter(|(_, wrong)| *wrong > 0).map(|(row, wrong)| (wrong as f64, row)).collect();
    let mut found = Findings::new(Task::Sets);
    (found.scored, found.wrong) = (sets.truth.len() as u64, errors.len() as u64);
    found.probabilities = sets.predictions.probabilities;
    found.mistakes = largest(errors, scored, limit);
    found
}

/// The numbers that are farthest off, and some points to draw.
fn farthest(values: &ScoredValues, scored: &ScoredColumns<'_>, limit: usize) -> Findings {
    let pairs = || values.truth.iter().copied().zip(values.predictions.value.iter().copied());
    let errors = pairs().enumerate().map(|(row, (truth, predicted))| ((predicted - truth).abs(), row)).collect();
    let mut found = Findings::new(Task::Values);
    found.scored = values.truth.len() as u64;
    found.mistakes = largest(errors, scored, limit);
    for mistake in &mut found.mistakes {
        mistake.predicted = brief(&mistake.predicted);
        // a row that is held out several times is a little wrong each time
        mistake.times = 1;
    }
    found.points = pairs().step_by(values.truth.len().div_ceil(POINTS).max(1)).collect();
    found
}

impl FoldPrints {
    /// What tells which row was held out in which fold.
    fn of(&mut self, table: &Arc<RecordBatch>) -> Result<FoldPrint, StageError> {
        let scored = ScoredColumns::of(table).map_err(StageError::caused)?;
        if let Some((last, print)) = &self.0 {
            let last = ScoredColumns::of(last).map_err(StageError::caused)?;
            if last.fold == scored.fold && last.row_id == scored.row_id {
                return Ok(*print);
            }
        }
        let print = fold_print(&scored);
        self.0 = Some((Arc::clone(table), print));
        Ok(print)
    }
}

/// A digest of which row was held out in which fold, whatever the order of the rows.
fn fold_print(scored: &ScoredColumns<'_>) -> FoldPrint {
    let ids = scored.row_id.iter().flatten();
    let mut pairs: Vec<(u32, &str)> = scored.fold.values().iter().copied().zip(ids).collect();
    pairs.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for (fold, row_id) in &pairs {
        hasher.update(&fold.to_le_bytes());
        hasher.update(&(row_id.len() as u64).to_le_bytes());
        hasher.update(row_id.as_bytes());
    }
    let rows = pairs.iter().map(|(_, row_id)| row_id).collect::<FxHashSet<_>>().len().max(1);
    FoldPrint { digest: hasher.finalize().into(), repeats: (pairs.len() / rows) as u64 }
}

/// Fills in what the rows say.
fn add_texts(evaluation: &Evaluation, mistakes: &mut [Mistake]) -> Result<(), StageError> {
    let Some(part) = evaluation.rows.part("text") else { return Ok(()) };
    let table = part.table()?;
    let row_ids = text::row_ids(&table).map_err(StageError::caused)?;
    let texts = text::texts(&table).map_err(StageError::caused)?;
    let wanted: FxHashMap<String, usize> =
        mistakes.iter().enumerate().map(|(at, mistake)| (mistake.row_id.clone(), at)).collect();
    for row in 0..row_ids.len().min(texts.len()) {
        let found = wanted.get(row_ids.value(row)).and_then(|at| mistakes.get_mut(*at));
        if let Some(mistake) = found.filter(|_| texts.is_valid(row)) {
            mistake.text = Some(texts.value(row).to_owned());
        }
    }
    Ok(())
}

/// Counts, for every mistake shown, how many of the variants make it too.
pub(super) fn compare(evaluations: &[&Evaluation], shown: &mut [&mut Findings]) -> Result<(), StageError> {
    let mut place: FxHashMap<String, usize> = FxHashMap::default();
    // a number is always a little wrong
    let classed = |found: &&&mut Findings| found.task != Task::Values;
    for mistake in shown.iter().filter(classed).flat_map(|found| &found.mistakes) {
        let next = place.len();
        place.entry(mistake.row_id.clone()).or_insert(next);
    }
    if place.is_empty() || evaluations.len() < 2 {
        return Ok(());
    }
    let mut tally = vec![(0, 0); place.len()];
    for evaluation in evaluations {
        let table = scored(evaluation)?;
        let scored = ScoredColumns::of(&table).map_err(StageError::caused)?;
        let mut here: Vec<Option<bool>> = vec![None; place.len()];
        for (row, row_id) in scored.row_id.iter().flatten().enumerate() {
            if let Some(&at) = place.get(row_id)
                && scored.label.is_valid(row)
            {
                *here[at].get_or_insert_default() |= scored.label.value(row) != scored.predicted.value(row);
            }
        }
        for ((wrong_in, scored_in), here) in tally.iter_mut().zip(here) {
            *wrong_in += usize::from(here == Some(true));
            *scored_in += usize::from(here.is_some());
        }
    }
    for mistake in shown.iter_mut().filter(|f| f.task != Task::Values).flat_map(|f| &mut f.mistakes) {
        if let Some(&at) = place.get(&mistake.row_id) {
            (mistake.wrong_in, mistake.scored_in) = tally[at];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::example::{evaluation, evaluation_of_table, scored_rows};
    use super::*;
    use crate::table::predictions::Scored;
    use crate::table::predictions::sets::PredictedSets;
    use crate::table::predictions::values::PredictedValues;

    fn looked(evaluation: &Evaluation, limit: usize) -> Result<Findings, StageError> {
        findings(evaluation, limit, &mut FoldPrints::default())
    }

    fn picked(scored: &Scored) -> Findings {
        pick(&ScoredColumns::of(&scored.to_table().unwrap()).unwrap(), 9)
    }

    fn print(scored: &Scored) -> FoldPrint {
        fold_print(&ScoredColumns::of(&scored.to_table().unwrap()).unwrap())
    }

    #[test]
    fn the_surest_mistakes_come_first_and_carry_their_text() {
        let rows = [("a", 0, "x", "y", [0.4, 0.6]), ("b", 0, "x", "x", [0.9, 0.1]), ("c", 1, "y", "x", [0.99, 0.01])];
        let evaluation = evaluation(0, scored_rows(&["x", "y"], &rows, true));
        let found = looked(&evaluation, 10).unwrap();
        assert_eq!((found.scored, found.wrong, found.probabilities), (3, 2, true));
        let ids: Vec<_> = found.mistakes.iter().map(|m| (m.row_id.as_str(), m.fold, m.score, m.label_score)).collect();
        assert_eq!(ids, [("c", 1, 0.99, Some(0.01)), ("a", 0, 0.6, Some(0.4))]);
        assert_eq!(found.mistakes[0].text.as_deref(), Some("text of c"));
        assert_eq!(looked(&evaluation, 1).unwrap().mistakes.len(), 1);
        assert!(looked(&evaluation, 0).unwrap().mistakes.is_empty());
    }

    #[test]
    fn numbers_farthest_off_come_first() {
        let predictions = PredictedValues {
            row_id: ["a", "b", "c", "b"].map(str::to_owned).to_vec(),
            value: vec![1.5, -1.0, 2.0, 0.0],
        };
        let scored = ScoredValues { fold: vec![0, 0, 1, 1], truth: vec![1.0, 1.0, 2.0, 1.0], predictions };
        let evaluation = evaluation_of_table(0, scored.to_table().unwrap(), &["a", "b", "c", "b"]);
        let found = looked(&evaluation, 2).unwrap();
        assert_eq!((found.task, found.scored, found.wrong, found.points.len()), (Task::Values, 4, 0, 4));
        let shown: Vec<_> = found.mistakes.iter().map(|m| (m.row_id.as_str(), m.score, m.label.as_str())).collect();
        assert_eq!(shown, [("b", 2.0, "1"), ("a", 0.5, "1")]);
        assert_eq!(found.mistakes[0].predicted, "-1");
        assert_eq!((brief("-0.7650081184038116").as_str(), brief("0.25").as_str()), ("\u{2212}0.7650", "0.25"));
    }

    #[test]
    fn sets_with_most_wrong_labels_come_first() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let predictions = PredictedSets {
            row_id: set(&["a", "b", "c"]),
            classes: set(&["x", "y"]),
            sets: vec![set(&["x"]), set(&["x", "y"]), set(&["y"])],
            scores: vec![0.6; 6],
            probabilities: true,
        };
        let scored = ScoredSets { fold: vec![0; 3], truth: vec![set(&["x", "y"]), set(&[]), set(&["y"])], predictions };
        let evaluation = evaluation_of_table(0, scored.to_table().unwrap(), &["a", "b", "c"]);
        let found = looked(&evaluation, 9).unwrap();
        assert_eq!((found.task, found.scored, found.wrong), (Task::Sets, 3, 2));
        let shown: Vec<_> = found.mistakes.iter().map(|m| (m.row_id.as_str(), m.score, m.predicted.as_str())).collect();
        assert_eq!(shown, [("b", 2.0, "x, y"), ("a", 1.0, "x")]);
    }

    #[test]
    fn decision_values_are_compared_by_their_lead() {
        let rows = [("a", 0, "x", "y", [1.9, 2.0]), ("b", 0, "x", "y", [-1.0, 1.0])];
        let found = picked(&scored_rows(&["x", "y"], &rows, false));
        assert_eq!(found.mistakes.iter().map(|m| m.row_id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn a_row_wrong_in_several_repeats_is_shown_once() {
        let rows = [("a", 0, "x", "y", [0.4, 0.6]), ("a", 1, "x", "y", [0.2, 0.8])];
        let scored = scored_rows(&["x", "y"], &rows, true);
        let found = picked(&scored);
        assert_eq!((found.mistakes.len(), found.mistakes[0].times, found.mistakes[0].fold), (1, 2, 1));
        assert_eq!(print(&scored).repeats, 2);
    }

    #[test]
    fn scores_fall_into_bins_by_class_or_by_being_right() {
        let rows =
            [("a", 0, "x", "y", [0.0, 1.0]), ("b", 0, "y", "x", [0.99, 0.01]), ("c", 0, "y", "y", [0.5, f64::NAN])];
        let found = picked(&scored_rows(&["x", "y"], &rows, true)).spread.unwrap();
        assert_eq!(found.sides, Sides::Labels(["x".into(), "y".into()]));
        assert_eq!((found.groups[0][24], found.groups[1][0], found.groups.iter().flatten().sum::<u64>()), (1, 1, 2));
        assert_eq!(found.ends(24).map(|end| (end * 100.0).round()), [96.0, 100.0]);
        // decision values reach from the least to the greatest; more classes than two are right or wrong
        let mut three = scored_rows(&["x", "y"], &rows[..2], false);
        three.predictions.classes.push("z".into());
        three.predictions.scores = vec![0.0, 3.0, 1.0, -2.0, 1.0, 0.0];
        let found = picked(&three).spread.unwrap();
        let curves = picked(&three).against_rest;
        // `z` occurs nowhere, so nothing can be said of it
        assert_eq!(curves.iter().map(|(class, _)| class.as_str()).collect::<Vec<_>>(), ["x", "y"]);
        // row `b`, which is y, has the higher score of y
        let rates: Vec<_> = curves[1].1.iter().map(|t| (t.threshold, t.recall, t.false_positive_rate)).collect();
        assert_eq!(rates, [(3.0, 0.0, 1.0), (1.0, 1.0, 1.0)]);
        assert_eq!((found.low, found.high, found.sides.clone()), (-2.0, 3.0, Sides::Right));
        assert_eq!((found.groups[0][0], found.groups[0][24], found.groups[1].iter().sum::<u64>()), (1, 1, 0));
        let alike = scored_rows(&["x", "y"], &[("a", 0, "x", "x", [0.0, 0.5])], false);
        assert_eq!(picked(&alike).spread, None);
    }

    #[test]
    fn unlabelled_rows_and_strange_scores_are_no_matter() {
        let rows = [("a", 0, "x", "z", [f64::NAN, 0.6]), ("b", 0, "x", "y", [f64::NAN, f64::NAN])];
        let mut scored = scored_rows(&["x", "y"], &rows, true);
        let found = picked(&scored);
        assert_eq!((found.wrong, found.mistakes.len()), (2, 2));
        assert!(found.mistakes[0].score.is_nan());
        scored.label = vec![None, None];
        assert_eq!(picked(&scored).scored, 0);
    }

    #[test]
    fn folds_are_alike_whatever_the_order_of_rows() {
        let rows = [("a", 0, "x", "y", [0.4, 0.6]), ("b", 1, "x", "x", [0.9, 0.1])];
        let forth = scored_rows(&["x", "y"], &rows, true);
        let back = scored_rows(&["x", "y"], &[rows[1], rows[0]], true);
        let other = scored_rows(&["x", "y"], &[("a", 1, "x", "y", [0.4, 0.6]), rows[1]], true);
        assert_eq!(print(&forth), print(&back));
        assert_ne!(print(&forth), print(&other));
        let mut prints = FoldPrints::default();
        for scored in [&forth, &forth, &other, &back] {
            assert_eq!(prints.of(&Arc::new(scored.to_table().unwrap())).unwrap(), print(scored));
        }
    }

    #[test]
    fn a_mistake_that_all_make_is_known_as_such() {
        let first = [("a", 0, "x", "y", [0.4, 0.6]), ("b", 0, "x", "y", [0.3, 0.7])];
        let second = [("a", 0, "x", "y", [0.4, 0.6]), ("b", 0, "x", "x", [0.8, 0.2])];
        let runs = [first, second].map(|rows| evaluation(0, scored_rows(&["x", "y"], &rows, true)));
        let mut found = looked(&runs[0], 9).unwrap();
        compare(&runs.iter().collect::<Vec<_>>(), &mut [&mut found]).unwrap();
        let tally: Vec<_> = found.mistakes.iter().map(|m| (m.row_id.as_str(), m.wrong_in, m.scored_in)).collect();
        assert_eq!(tally, [("b", 1, 2), ("a", 2, 2)]);
    }
}
