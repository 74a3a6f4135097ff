//! What moved an answer? For a linear model exactly, for others by what changes when something is taken away.
//!
//! *Exact*: a decision value is the intercept and the sum over all columns of value × coefficient; each product is a
//! contribution, and they add up. *Occlusion*: the score of the class, less its score when a block of features is all 0, or
//! when a word is left out of the text; such changes do not add up.

use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use rustc_hash::FxHashSet;
use serde::Serialize;

use super::linear::{Linear, values};
use super::{BundleError, Row, Running};
use crate::ml::{Block, Csr, Dense, Features, Task};
use crate::stage::{Part, Parts, StageError};
use crate::table::predictions::sets::PredictedSets;
use crate::table::predictions::values::PredictedValues;
use crate::table::predictions::{Predictions, task};
use crate::table::{features, row_ids};

/// How an explanation came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// From a linear model's coefficients: contributions add up to `total`.
    Exact,
    /// From what changes when something is taken away: changes do not add up.
    Occlusion,
}

/// What moved an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The text.
    pub text: String,
    /// What is predicted.
    #[serde(skip)]
    pub task: Task,
    /// The predicted class, or number; of a set its classes, with a comma and a space between them.
    pub predicted: String,
    /// The scores of all classes: probabilities, or decision values.
    pub scores: Vec<(String, f64)>,
    /// True if they are probabilities.
    pub probabilities: bool,
    /// How this came about.
    pub method: Method,
    /// The class that is explained.
    pub class: String,
    /// The class that it is held against; for one class alone, none.
    pub against: Option<String>,
    /// Exact: the decision value in favour of the class. Occlusion: its score.
    pub total: f64,
    /// Exact: what stands there before anything is read.
    pub intercept: Option<f64>,
    /// What each block of features did.
    pub blocks: Vec<BlockShare>,
    /// What each term or word did, the greatest first.
    pub terms: Vec<TermShare>,
}

/// What a block did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockShare {
    /// The block's name, and its place where several have one name.
    pub block: String,
    /// Its contribution.
    pub contribution: f64,
}

/// What a term or word did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermShare {
    /// The block; nothing for a word of the text.
    pub block: Option<String>,
    /// The term.
    pub term: String,
    /// Exact: its value in this row.
    pub value: Option<f64>,
    /// Exact: what one unit of it counts.
    pub weight: Option<f64>,
    /// Its contribution.
    pub contribution: f64,
    /// Where it first stands in the text as given, in characters from 0, if it stands there.
    pub at: Option<usize>,
}

/// Words beyond these are not left out one by one.
const MOST_WORDS: usize = 2000;

/// Explains the answer to one row: towards the predicted class and against the next best, or towards `class` alone. Of a set of
/// classes each is explained by itself; where it is empty, the one of the greatest score.
pub fn explain(
    running: &Running<'_>,
    row: &Row,
    class: Option<&str>,
    cancelled: &AtomicBool,
) -> Result<Vec<Explanation>, BundleError> {
    let walked = running.walk(std::slice::from_ref(row), cancelled)?;
    let said = Said::of(&*walked.predictions()?)?;
    if let Some(class) = class.filter(|class| !said.classes.iter().any(|known| known == class)) {
        return Err(BundleError::Class { class: class.to_owned(), classes: said.classes });
    }
    let chosen = match class {
        Some(class) => vec![class.to_owned()],
        None => said.explained(),
    };
    let blocks = Named::of(&running.model_sources(&walked.outputs))
        .map_err(|error| BundleError::stage(&running.bundle().model, error))?;
    let about = About { running, row, said: &said, blocks: blocks.as_ref() };
    chosen.into_iter().map(|chosen| about.class(chosen, class.is_some(), cancelled)).collect()
}

/// What is known of the row whose answer is explained.
struct About<'a> {
    running: &'a Running<'a>,
    row: &'a Row,
    said: &'a Said,
    blocks: Option<&'a Named>,
}

impl About<'_> {
    /// What speaks for `class`; against the next best, unless it was `asked` for or stands by itself.
    fn class(&self, class: String, asked: bool, cancelled: &AtomicBool) -> Result<Explanation, BundleError> {
        let said = self.said;
        let against = match (said.task, said.classes.len()) {
            (Task::Classes, 2) => said.classes.iter().find(|other| **other != class).cloned(),
            (Task::Classes, _) if !asked => said.runner_up(&class),
            _ => None,
        };
        let mut explanation = Explanation {
            text: self.row.text.clone(),
            task: said.task,
            predicted: said.predicted.clone(),
            scores: said.classes.iter().cloned().zip(said.scores.iter().copied()).collect(),
            probabilities: said.probabilities,
            method: Method::Exact,
            class,
            against,
            total: 0.0,
            intercept: None,
            blocks: Vec::new(),
            terms: Vec::new(),
        };
        let learned = self.running.learned();
        let (linear, scores) = match said.task {
            Task::Sets => (Linear::of_label(learned, &explanation.class), said.alone(&explanation.class)),
            _ => (Linear::of(learned, said.classes.as_slice()), explanation.scores.clone()),
        };
        let linear = self.blocks.zip(linear);
        match linear.filter(|(blocks, linear)| linear.agrees(&blocks.x, &scores, said.probabilities)) {
            Some((blocks, linear)) => exact(&mut explanation, blocks, &linear),
            None => occlusion(&mut explanation, self.running, self.row, self.blocks, cancelled)?,
        }
        // The greatest first; equal ones in the order of their names, so that two runs say the same.
        explanation.terms.sort_by(|a, b| {
            let by_size = b.contribution.abs().total_cmp(&a.contribution.abs());
            by_size.then_with(|| (&a.block, &a.term).cmp(&(&b.block, &b.term)))
        });
        Ok(explanation)
    }
}

/// A predicted number stands as the score of this one class.
const NUMBER: &str = "value";

/// What a model says of rows, whatever it predicts: a score for each class, row by row.
struct Said {
    task: Task,
    classes: Vec<String>,
    scores: Vec<f64>,
    probabilities: bool,
    /// What is predicted for the first row, as text, and as classes.
    predicted: String,
    set: Vec<String>,
}

impl Said {
    fn of(table: &RecordBatch) -> Result<Said, BundleError> {
        Ok(match task(table) {
            Task::Classes => {
                let Predictions { classes, predicted, scores, probabilities, .. } = Predictions::from_table(table)?;
                let set: Vec<String> = predicted.into_iter().take(1).collect();
                let predicted = set.first().cloned().unwrap_or_default();
                Said { task: Task::Classes, classes, scores, probabilities, predicted, set }
            }
            Task::Values => {
                let scores = PredictedValues::from_table(table)?.value;
                let predicted = scores.first().map(f64::to_string).unwrap_or_default();
                let (classes, set) = (vec![NUMBER.to_owned()], vec![NUMBER.to_owned()]);
                Said { task: Task::Values, classes, scores, probabilities: false, predicted, set }
            }
            Task::Sets => {
                let PredictedSets { classes, sets, scores, probabilities, .. } = PredictedSets::from_table(table)?;
                let set = sets.into_iter().next().unwrap_or_default();
                Said { task: Task::Sets, classes, scores, probabilities, predicted: set.join(", "), set }
            }
        })
    }

    /// The classes that are explained where none is asked for.
    fn explained(&self) -> Vec<String> {
        match self.set.is_empty() {
            true => self.runner_up("").into_iter().collect(),
            false => self.set.clone(),
        }
    }

    /// The score of one class of the first row.
    fn alone(&self, class: &str) -> Vec<(String, f64)> {
        let all = self.classes.iter().cloned().zip(self.scores.iter().copied());
        all.filter(|(known, _)| known == class).collect()
    }

    /// The best class after `first`.
    fn runner_up(&self, first: &str) -> Option<String> {
        let others = self.classes.iter().zip(&self.scores).filter(|(class, _)| *class != first);
        // The first of equals.
        let best = others.fold(None, |best: Option<(&String, f64)>, (class, &score)| match best {
            Some((_, known)) if known >= score => best,
            _ => Some((class, score)),
        });
        best.map(|(class, _)| class.clone())
    }
}

/// A model's feature blocks, of one row, with their names.
struct Named {
    x: Features,
    blocks: Vec<String>,
    names: Vec<Option<Vec<String>>>,
}

impl Named {
    /// `None` where the model reads no features.
    fn of(inputs: &[Parts]) -> Result<Option<Named>, StageError> {
        let Some(input) = inputs.first() else { return Ok(None) };
        let mut named = Named { x: Features::default(), blocks: Vec::new(), names: Vec::new() };
        for (part, table) in input.with_prefix("block.") {
            let (name, block) = features::from_table(&*table.table()?).map_err(StageError::caused)?;
            let names = part.strip_prefix("block.").and_then(|at| input.part(&format!("names.{at}")));
            let names = names.map(|part| part.table()).transpose()?;
            let names = names.map(|table| {
                let names = features::names(&table).map_err(StageError::caused)?;
                Ok::<_, StageError>(names.iter().flatten().map(str::to_owned).collect())
            });
            named.names.push(names.transpose()?);
            let twice = named.blocks.iter().filter(|known| known.split(' ').next() == Some(&name)).count();
            named.blocks.push(if twice == 0 { name } else { format!("{name} {}", twice + 1) });
            named.x.blocks.push(block);
        }
        Ok((!named.blocks.is_empty()).then_some(named))
    }

    /// The block of a column, and its place in it.
    fn place(&self, column: usize) -> (usize, usize) {
        let mut offset = 0;
        for (at, block) in self.x.blocks.iter().enumerate() {
            if column < offset + block.cols() {
                return (at, column - offset);
            }
            offset += block.cols();
        }
        (0, column)
    }
}

fn exact(explanation: &mut Explanation, named: &Named, linear: &Linear) {
    let Some(direction) = linear.towards(&explanation.class, explanation.against.as_deref()) else { return };
    let intercept = linear.intercept(&direction);
    let mut sums = vec![0.0; named.blocks.len()];
    for (column, value) in values(&named.x) {
        let weight = linear.weight(&direction, column);
        let (block, at) = named.place(column);
        sums[block] += value * weight;
        if let Some(term) = named.names[block].as_ref().and_then(|names| names.get(at)) {
            explanation.terms.push(TermShare {
                block: Some(named.blocks[block].clone()),
                term: term.clone(),
                value: Some(value),
                weight: Some(weight),
                contribution: value * weight,
                at: place_of(&explanation.text, term),
            });
        }
    }
    explanation.total = intercept + sums.iter().sum::<f64>();
    explanation.intercept = Some(intercept);
    let share = |(block, contribution): (&String, f64)| BlockShare { block: block.clone(), contribution };
    explanation.blocks = named.blocks.iter().zip(sums).map(share).collect();
}

fn occlusion(
    explanation: &mut Explanation,
    running: &Running<'_>,
    row: &Row,
    named: Option<&Named>,
    cancelled: &AtomicBool,
) -> Result<(), BundleError> {
    explanation.method = Method::Occlusion;
    explanation.against = None;
    let place = explanation.scores.iter().position(|(class, _)| *class == explanation.class).unwrap_or_default();
    let score = |said: &Said, row: usize| said.scores.get(row * said.classes.len() + place).copied();
    explanation.total = explanation.scores.get(place).map_or(0.0, |(_, score)| *score);
    let before = explanation.total;
    if let Some(named) = named {
        let walked = running.walk(std::slice::from_ref(row), cancelled)?;
        let inputs = running.model_inputs(&walked.outputs);
        for (at, block) in named.blocks.iter().enumerate() {
            let without = emptied(&inputs, at).map_err(|error| BundleError::stage(&running.bundle().model, error))?;
            let said = Said::of(&*running.ask(&without, cancelled)?)?;
            let contribution = before - score(&said, 0).unwrap_or(before);
            explanation.blocks.push(BlockShare { block: block.clone(), contribution });
        }
    }
    let words = words(&row.text);
    let rows: Vec<Row> = words.iter().map(|word| Row { text: left_out(&row.text, word), ..row.clone() }).collect();
    for (words, rows) in words.chunks(256).zip(rows.chunks(256)) {
        let said = Said::of(&*running.walk(rows, cancelled)?.predictions()?)?;
        for (at, word) in words.iter().enumerate() {
            explanation.terms.push(TermShare {
                block: None,
                term: (*word).to_owned(),
                value: None,
                weight: None,
                contribution: before - score(&said, at).unwrap_or(before),
                at: place_of(&explanation.text, word),
            });
        }
    }
    Ok(())
}

/// The model's inputs with the block at `at` all 0.
fn emptied(inputs: &[Parts], at: usize) -> Result<Vec<Parts>, StageError> {
    let mut inputs = inputs.to_vec();
    let Some(first) = inputs.first_mut() else { return Ok(inputs) };
    let Some((part, table)) = first.with_prefix("block.").nth(at).map(|(name, part)| (name.to_owned(), part.clone()))
    else {
        return Ok(inputs);
    };
    let table = table.table()?;
    let (name, block) = features::from_table(&table).map_err(StageError::caused)?;
    let nothing = match block {
        Block::Sparse(sparse) => {
            let indptr = vec![0; sparse.indptr.len()];
            Block::Sparse(Csr { cols: sparse.cols, indptr, indices: Vec::new(), values: Vec::new() })
        }
        Block::Dense(dense) => Block::Dense(Dense { values: vec![0.0; dense.values.len()], ..dense }),
    };
    let ids = row_ids(&table).map_err(StageError::caused)?;
    let table = features::to_table(ids, &name, &nothing).map_err(StageError::caused)?;
    first.insert(part, Part::memory(table));
    Ok(inputs)
}

/// The words of a text, each once, in the order in which they come: what white space divides, without punctuation around it.
fn words(text: &str) -> Vec<&str> {
    let mut seen = FxHashSet::default();
    let bare = |word: &'_ str| -> Option<(usize, usize)> {
        let start = word.find(char::is_alphanumeric)?;
        let last = word.rfind(char::is_alphanumeric)?;
        Some((start, last + word.get(last..)?.chars().next()?.len_utf8()))
    };
    let words = text.split_whitespace().filter_map(|word| bare(word).and_then(|(from, to)| word.get(from..to)));
    words.filter(|word| seen.insert(*word)).take(MOST_WORDS).collect()
}

/// The text without a word, wherever it stands as a word of its own.
fn left_out(text: &str, word: &str) -> String {
    let pieces = text.split_inclusive(char::is_whitespace);
    let without = pieces.map(|piece| {
        let core = piece.trim_matches(|letter: char| !letter.is_alphanumeric());
        if core == word { piece.replacen(word, "", 1) } else { piece.to_owned() }
    });
    without.collect()
}

/// Where a term first stands in a text, in characters, whatever the case of its letters; only as a whole word.
fn place_of(text: &str, term: &str) -> Option<usize> {
    let fold = |letter: char| letter.to_lowercase().next().unwrap_or(letter);
    let (text, term): (Vec<char>, Vec<char>) = (text.chars().map(fold).collect(), term.chars().map(fold).collect());
    if term.is_empty() || term.len() > text.len() {
        return None;
    }
    let inner = |at: Option<&char>| at.is_some_and(|letter| letter.is_alphanumeric());
    (0..=text.len() - term.len()).find(|&at| {
        let end = at + term.len();
        let whole = !inner(at.checked_sub(1).and_then(|before| text.get(before))) && !inner(text.get(end));
        whole && text.get(at..end) == Some(term.as_slice())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_without_what_is_around_them_and_are_left_out_everywhere() {
        let text = "Fine, \"fine\" film – a fine 2nd one!";
        assert_eq!(words(text), ["Fine", "fine", "film", "a", "2nd", "one"]);
        assert_eq!(left_out(text, "fine"), "Fine, \"\" film – a  2nd one!");
        assert_eq!(words(" … "), Vec::<&str>::new());
    }

    #[test]
    fn a_term_is_found_as_a_whole_word() {
        assert_eq!(place_of("Unfine Über fine", "fine"), Some(12));
        assert_eq!(place_of("Unfine Über fine", "über"), Some(7));
        assert_eq!(place_of("Unfine", "fine"), None);
        assert_eq!(place_of("a", ""), None);
    }

    #[test]
    fn the_runner_up_is_the_first_of_equals() {
        let said = Said {
            classes: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            scores: vec![f64::NEG_INFINITY, 2.0, 2.0, 3.0],
            task: Task::Sets,
            probabilities: false,
            predicted: String::new(),
            set: Vec::new(),
        };
        assert_eq!(said.runner_up("d").as_deref(), Some("b"));
        assert_eq!(said.explained(), ["d"], "of an empty set the likeliest");
    }
}
