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
    /// The predicted class.
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

/// Explains the answer to one row: towards the predicted class and against the next best, or towards `class` alone.
pub fn explain(
    running: &Running<'_>,
    row: &Row,
    class: Option<&str>,
    cancelled: &AtomicBool,
) -> Result<Explanation, BundleError> {
    let walked = running.walk(std::slice::from_ref(row), cancelled)?;
    let said = said(&*walked.predictions()?)?;
    let predicted = said.predicted.first().cloned().unwrap_or_default();
    if let Some(class) = class.filter(|class| !said.classes.iter().any(|known| known == class)) {
        let error = BundleError::row("--class", format!("there is no class `{class}`"));
        return Err(error.with_help(format!("the classes are {}", said.classes.join(", "))));
    }
    let chosen = class.map_or_else(|| predicted.clone(), str::to_owned);
    let against = match said.classes.len() {
        2 => said.classes.iter().find(|other| **other != chosen).cloned(),
        _ if class.is_some() => None,
        _ => runner_up(&said, &chosen),
    };
    let blocks = Named::of(&running.model_sources(&walked.outputs))
        .map_err(|error| BundleError::stage(&running.bundle().model, error))?;
    let mut explanation = Explanation {
        text: row.text.clone(),
        predicted,
        scores: said.classes.iter().cloned().zip(said.scores.iter().copied()).collect(),
        probabilities: said.probabilities,
        method: Method::Exact,
        class: chosen,
        against,
        total: 0.0,
        intercept: None,
        blocks: Vec::new(),
        terms: Vec::new(),
    };
    let linear = blocks.as_ref().zip(Linear::of(running.learned(), &said));
    match linear.filter(|(blocks, linear)| linear.agrees(&blocks.x, &said)) {
        Some((blocks, linear)) => exact(&mut explanation, blocks, &linear),
        None => occlusion(&mut explanation, running, row, blocks.as_ref(), cancelled)?,
    }
    // The greatest first; equal ones in the order of their names, so that two runs say the same.
    explanation.terms.sort_by(|a, b| {
        let by_size = b.contribution.abs().total_cmp(&a.contribution.abs());
        by_size.then_with(|| (&a.block, &a.term).cmp(&(&b.block, &b.term)))
    });
    Ok(explanation)
}

/// A predicted number stands as the score of this one class.
const NUMBER: &str = "value";

/// What a model says, as classes and scores. Errors: sets of classes.
fn said(table: &RecordBatch) -> Result<Predictions, BundleError> {
    match task(table) {
        Task::Classes => Ok(Predictions::from_table(table)?),
        Task::Values => {
            let PredictedValues { row_id, value } = PredictedValues::from_table(table)?;
            let (classes, predicted) = (vec![NUMBER.to_owned()], vec![NUMBER.to_owned(); value.len()]);
            Ok(Predictions { row_id, classes, predicted, scores: value, probabilities: false })
        }
        Task::Sets => Err(BundleError::row("the model", "it predicts sets of classes, which cannot be explained yet")
            .with_help("`fuseline predict` tells the score of each class")),
    }
}

/// The best class after `first`.
fn runner_up(said: &Predictions, first: &str) -> Option<String> {
    let others = said.classes.iter().zip(&said.scores).filter(|(class, _)| *class != first);
    // The first of equals.
    let best = others.fold(None, |best: Option<(&String, f64)>, (class, &score)| match best {
        Some((_, known)) if known >= score => best,
        _ => Some((class, score)),
    });
    best.map(|(class, _)| class.clone())
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
    let score = |said: &Predictions, row: usize| said.scores.get(row * said.classes.len() + place).copied();
    explanation.total = explanation.scores.get(place).map_or(0.0, |(_, score)| *score);
    let before = explanation.total;
    if let Some(named) = named {
        let walked = running.walk(std::slice::from_ref(row), cancelled)?;
        let inputs = running.model_inputs(&walked.outputs);
        for (at, block) in named.blocks.iter().enumerate() {
            let without = emptied(&inputs, at).map_err(|error| BundleError::stage(&running.bundle().model, error))?;
            let said = said(&*running.ask(&without, cancelled)?)?;
            let contribution = before - score(&said, 0).unwrap_or(before);
            explanation.blocks.push(BlockShare { block: block.clone(), contribution });
        }
    }
    let words = words(&row.text);
    let rows: Vec<Row> = words.iter().map(|word| Row { text: left_out(&row.text, word), ..row.clone() }).collect();
    for (words, rows) in words.chunks(256).zip(rows.chunks(256)) {
        let said = said(&*running.walk(rows, cancelled)?.predictions()?)?;
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
        let said = Predictions {
            classes: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            scores: vec![f64::NEG_INFINITY, 2.0, 2.0, 3.0],
            ..Predictions::default()
        };
        assert_eq!(runner_up(&said, "d").as_deref(), Some("b"));
    }
}
