//! What do guesses come to? Learners that no file names: the planner adds them beside each evaluation.
//!
//! `majority` and `stratified` are scikit-learn's DummyClassifier with the strategies `prior` and `stratified`, `mean` its
//! DummyRegressor. `k_neighbors` asks the 15 training rows whose words are nearest by cosine, weighed by TF-IDF with scikit-learn's defaults.
//! They learn from the training rows of a fold like any model. Rows count by their weight, where the data has one, but for neighbours.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::take_record_batch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{read_strings, strings};
use super::truth;
use crate::ml::neighbors::{KNeighbors, Metric, NeighborWeights};
use crate::ml::{
    Analyzed, Analyzer, AnalyzerParams, Block, Features, Rng, Task, TermCounts, TfidfError, TfidfParams, Vocabulary,
    nested,
};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Arity, Baseline, Ctx, Kind, Learner, Numeric, Output, Parts, Port, Refusal, Scope, Stage, StageError,
    StageKind, TrainRows, Work,
};
use crate::table::predictions::Predictions;
use crate::table::predictions::sets::PredictedSets;
use crate::table::predictions::values::PredictedValues;
use crate::table::target::Target;
use crate::table::{row_ids, text};

/// How many neighbours are asked.
const NEIGHBOURS: usize = 15;

/// Of more training rows so many are kept as neighbours: a guess must stay cheap beside millions of rows.
const MOST: usize = 10_000;

/// The kind. It is in no list: a pipeline file cannot name it.
pub static KIND: Kind = Kind::of::<Guesses>();

/// The learner.
pub fn of(baseline: Baseline, task: Task) -> Work {
    Work::Learner(Box::new(Guess { baseline, task }))
}

/// The kind.
pub(in crate::stages) struct Guesses;

/// Nothing can be chosen: the evaluation says which are wanted.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(in crate::stages) struct Params {}

impl StageKind for Guesses {
    const KIND: &'static str = "baseline";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "a guess that models should beat; beside every evaluation";
    const EXAMPLE: &'static str = "{ use: baseline, from: ingest }";
    type Params = Params;

    fn build(_: Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(of(Baseline::Majority, Task::Classes))
    }
}

struct Guess {
    baseline: Baseline,
    task: Task,
}

impl Stage for Guess {
    fn numeric(&self) -> Numeric {
        match self.baseline {
            Baseline::KNeighbors => Numeric::Libm,
            _ => Numeric::Exact,
        }
    }

    fn arity(&self) -> Arity {
        Arity::One
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Rows] => Ok(Port::Model),
            _ => Err(Refusal { input: 0, wants: "text", fits: |port| port == Port::Rows, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text"]
    }

    fn seeded(&self) -> bool {
        matches!(self.baseline, Baseline::Stratified | Baseline::KNeighbors)
    }
}

impl Learner for Guess {
    fn supervised(&self) -> bool {
        true
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::HeldOut
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let output = match self.baseline {
            Baseline::KNeighbors => self.neighbours(train, ctx)?,
            Baseline::Stratified => {
                let seed: ArrayRef = Arc::new(UInt64Array::from(vec![ctx.seed]));
                self.shares(train.target()?)?.table("seed", one("seed", seed)?)
            }
            Baseline::Majority | Baseline::Mean => self.shares(train.target()?)?,
        };
        Ok(output)
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let table = rows.table("text")?;
        let ids = owned(row_ids(&table).map_err(StageError::caused)?);
        let said = match self.baseline {
            Baseline::KNeighbors => self.vote(learned, texts(&table)?)?,
            Baseline::Stratified => {
                let seed = column::<UInt64Array>(&*learned.table("seed")?, "seed")?.values().first().copied();
                self.drawn(learned, &ids, seed.unwrap_or_default())?
            }
            Baseline::Majority | Baseline::Mean => {
                let (classes, shares) = known(learned)?;
                let scores = std::iter::repeat_n(&shares, ids.len()).flatten().copied().collect();
                Said { classes, scores, chosen: None }
            }
        };
        let table = said.table(self.task, ids)?;
        Ok(Output::new().table("predictions", table))
    }
}

impl Guess {
    /// The share of the training rows that has each class; of numbers, their mean.
    fn shares(&self, target: &Parts) -> Result<Output, StageError> {
        let (classes, shares, rows) = match self.task {
            Task::Values => {
                let values = truth::values(target, "mean")?;
                let weight = |row: usize| values.weight.as_ref().map_or(1.0, |weight| weight[row]);
                let sum: f64 = values.values.iter().enumerate().map(|(row, value)| weight(row) * value).sum();
                let all: f64 = (0..values.values.len()).map(weight).sum();
                (Vec::new(), vec![if all > 0.0 { sum / all } else { 0.0 }], values.values.len())
            }
            Task::Sets => {
                let Some(sets) = truth::sets(target)? else { return Err(StageError::failed("the rows have no sets")) };
                let of = sets.sets.iter().map(Vec::as_slice);
                (sets.classes.clone(), shares_of(of, sets.weight.as_deref(), sets.classes.len()), sets.sets.len())
            }
            Task::Classes => {
                let labelled = truth::labels(target)?;
                let (classes, index) = (&labelled.labels.classes, &labelled.labels.index);
                let of = index.iter().map(std::slice::from_ref);
                (classes.clone(), shares_of(of, labelled.weight.as_deref(), classes.len()), index.len())
            }
        };
        let share: ArrayRef = Arc::new(Float64Array::from(shares));
        let output = Output::new().table("classes", strings("class", &classes)?).table("shares", one("share", share)?);
        Ok(output.rows(rows).fact("training_rows", rows))
    }

    /// Keeps training rows with their texts, classes in their shares.
    fn neighbours(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let target = train.target()?.table("target")?;
        let known = Target::from_table(&target).map_err(StageError::caused)?;
        let classes: Option<Vec<Option<u32>>> = match self.task {
            Task::Classes => Some(truth::labels(train.target()?)?.labels.index.iter().map(|c| Some(*c)).collect()),
            Task::Sets | Task::Values => None,
        };
        let all: Vec<usize> = (0..known.row_id.len()).collect();
        let mut rows: Vec<usize> = match all.len() > MOST {
            true => nested(&all, None, classes.as_deref(), ctx.seed).into_iter().take(MOST).flatten().collect(),
            false => all,
        };
        rows.sort_unstable();
        let index = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        let texts = train.input().table("text")?;
        let taken = |table: &RecordBatch| take_record_batch(table, &index).map_err(StageError::caused);
        let output = Output::new().table("text", taken(&texts)?).table("target", taken(&target)?);
        Ok(output.rows(rows.len()).fact("training_rows", rows.len()))
    }

    /// What neighbours say of texts.
    fn vote(&self, learned: &Parts, texts: Vec<&str>) -> Result<Said, StageError> {
        let table = learned.table("text")?;
        let known = self::texts(&table)?;
        let (x, queries) = weighed(&known, &texts)?;
        if known.is_empty() {
            return Err(StageError::failed("there is no training row"));
        }
        let k = NEIGHBOURS.min(known.len());
        let params = KNeighbors { n_neighbors: k, weights: NeighborWeights::Uniform, metric: Metric::Cosine };
        let near = params.among(&x);
        let said = match self.task {
            Task::Values => {
                let values = truth::values(learned, "k_neighbors")?;
                near.means(&queries, &values.values).map(|scores| (Vec::new(), scores))
            }
            Task::Classes => {
                let labelled = truth::labels(learned)?;
                let (classes, index) = (&labelled.labels.classes, &labelled.labels.index);
                near.shares(&queries, index, classes.len()).map(|scores| (classes.clone(), scores))
            }
            Task::Sets => {
                let Some(sets) = truth::sets(learned)? else { return Err(StageError::failed("the rows have no sets")) };
                let has: Vec<&[u32]> = sets.sets.iter().map(Vec::as_slice).collect();
                near.shares_of_sets(&queries, &has, sets.classes.len()).map(|scores| (sets.classes.clone(), scores))
            }
        };
        let (classes, scores) = said.map_err(|error| StageError::failed(error.to_string()))?;
        Ok(Said { classes, scores, chosen: None })
    }

    /// Classes drawn by their shares, for each row by itself.
    fn drawn(&self, learned: &Parts, ids: &[String], seed: u64) -> Result<Said, StageError> {
        let (classes, shares) = known(learned)?;
        let mut scores = vec![0.0; ids.len() * classes.len()];
        let mut chosen = vec![Vec::new(); ids.len()];
        for (row, id) in ids.iter().enumerate() {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&seed.to_le_bytes()).update(id.as_bytes());
            let mut bytes = [0; 8];
            hasher.finalize_xof().fill(&mut bytes);
            let mut rng = Rng::seeded(u64::from_le_bytes(bytes));
            let of_row = &mut scores[row * classes.len()..(row + 1) * classes.len()];
            match self.task {
                Task::Sets => {
                    chosen[row] = (0..classes.len()).filter(|&class| rng.uniform() < shares[class]).collect();
                }
                Task::Classes | Task::Values => {
                    let mut left = rng.uniform() * shares.iter().sum::<f64>();
                    let stays = |share: &f64| {
                        left -= share;
                        left < 0.0
                    };
                    chosen[row].push(shares.iter().position(stays).unwrap_or(classes.len().saturating_sub(1)));
                }
            }
            chosen[row].iter().for_each(|&class| of_row[class] = 1.0);
        }
        Ok(Said { classes, scores, chosen: Some(chosen) })
    }
}

/// What is guessed of rows.
struct Said {
    classes: Vec<String>,
    /// Rows × classes, or a number a row.
    scores: Vec<f64>,
    /// The classes of each row, where they are not those of the greatest score.
    chosen: Option<Vec<Vec<usize>>>,
}

impl Said {
    fn table(self, task: Task, row_id: Vec<String>) -> Result<RecordBatch, StageError> {
        let Said { classes, scores, chosen } = self;
        let width = classes.len().max(1);
        let table = match task {
            Task::Values => PredictedValues { row_id, value: scores }.to_table(),
            Task::Classes => {
                let best = |row: &[f64]| crate::ml::linear::first_greatest(row);
                let predicted = match chosen {
                    Some(chosen) => chosen.iter().map(|row| classes[row[0]].clone()).collect(),
                    None => scores.chunks_exact(width).map(|row| classes[best(row)].clone()).collect(),
                };
                Predictions { row_id, classes, predicted, scores, probabilities: true }.to_table()
            }
            Task::Sets => {
                let likely = |row: &[f64]| (0..classes.len()).filter(|&class| row[class] > 0.5).collect::<Vec<_>>();
                let sets = chosen.unwrap_or_else(|| scores.chunks_exact(width).map(likely).collect());
                let named = |set: &Vec<usize>| set.iter().map(|&class| classes[class].clone()).collect();
                let sets = sets.iter().map(named).collect();
                PredictedSets { row_id, classes, sets, scores, probabilities: true }.to_table()
            }
        };
        table.map_err(StageError::caused)
    }
}

/// TF-IDF of the words of known texts, and of others by the same weights. Without any word all rows are alike.
fn weighed(known: &[&str], others: &[&str]) -> Result<(Features, Features), StageError> {
    let analyzer = Analyzer::new(&AnalyzerParams::default()).map_err(StageError::caused)?;
    let params = TfidfParams::default();
    let count = |texts: &[&str]| TermCounts::of(&Analyzed { analyzer: &analyzer, texts }, (1, 1), 1);
    let (known, others) = (count(known).map_err(StageError::caused)?, count(others).map_err(StageError::caused)?);
    let vocabulary = match Vocabulary::fit(&known, &params) {
        Ok(vocabulary) => vocabulary,
        Err(TfidfError::EmptyVocabulary { .. }) => {
            Vocabulary { terms: Arc::default(), document_frequency: Vec::new(), idf: None }
        }
        Err(error) => return Err(StageError::caused(error)),
    };
    let rows = |counted: &TermCounts| -> Result<Features, StageError> {
        let rows = vocabulary.transform(counted, &params).map_err(StageError::caused)?;
        Ok(Features { blocks: vec![Block::Sparse(rows)] })
    };
    Ok((rows(&known)?, rows(&others)?))
}

/// The share of rows that has each class, rows counted by their weight.
fn shares_of<'a>(rows: impl Iterator<Item = &'a [u32]>, weight: Option<&[f64]>, classes: usize) -> Vec<f64> {
    let (mut shares, mut all) = (vec![0.0; classes], 0.0);
    for (row, of_row) in rows.enumerate() {
        let weight = weight.map_or(1.0, |weight| weight[row]);
        of_row.iter().for_each(|&class| shares[class as usize] += weight);
        all += weight;
    }
    shares.iter_mut().for_each(|share| *share /= if all > 0.0 { all } else { 1.0 });
    shares
}

/// Classes and shares that were learned.
fn known(learned: &Parts) -> Result<(Vec<String>, Vec<f64>), StageError> {
    let classes = read_strings(&*learned.table("classes")?, "class")?;
    let shares = column::<Float64Array>(&*learned.table("shares")?, "share")?.values().to_vec();
    Ok((classes, shares))
}

fn one(name: &str, column: ArrayRef) -> Result<RecordBatch, StageError> {
    RecordBatch::try_from_iter_with_nullable([(name, column, false)]).map_err(StageError::caused)
}

fn column<'t, A: Array + 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t A, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<A>());
    column.ok_or_else(|| StageError::failed(format!("a model's table lacks its column `{name}`")))
}

fn owned(ids: &StringArray) -> Vec<String> {
    ids.iter().flatten().map(str::to_owned).collect()
}

fn texts(table: &RecordBatch) -> Result<Vec<&str>, StageError> {
    let texts = text::texts(table).map_err(StageError::caused)?;
    Ok((0..texts.len()).map(|row| texts.value(row)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::stage::{Made, Part, Progress};

    struct Quiet;

    impl Progress for Quiet {
        fn progress(&self, _: u64, _: u64, _: &'static str) {}
    }

    fn parts(tables: Vec<(&str, RecordBatch)>) -> Parts {
        let mut parts = Parts::default();
        for (name, table) in tables {
            parts.insert(name, Part::memory(table));
        }
        parts
    }

    fn ids(rows: usize) -> Vec<String> {
        (0..rows).map(|row| format!("r{row}")).collect()
    }

    /// Learns from `known`, then says something of `texts`.
    fn run(baseline: Baseline, task: Task, known: &[&str], target: Target, texts: &[&str]) -> Parts {
        let flag = AtomicBool::new(false);
        let ctx = Ctx { seed: 3, cancelled: &flag, progress: &Quiet };
        let guess = Guess { baseline, task };
        let rows = |texts: &[&str]| {
            let table = text::table(ids(texts.len()), texts.iter().copied()).unwrap();
            parts(vec![("text", table)])
        };
        let target = parts(vec![("target", target.to_table().unwrap())]);
        let kept = |output: Output| {
            let table = |(name, made)| match made {
                Made::Table(table) => (name, Part::memory(table)),
                other => panic!("{other:?}"),
            };
            let mut parts = Parts::default();
            output.parts.into_iter().map(table).for_each(|(name, part): (String, Part)| parts.insert(name, part));
            parts
        };
        let learned = guess.fit(&TrainRows::of_fold(None, &rows(known), Some(&target)).unwrap(), &ctx).unwrap();
        kept(guess.apply(&kept(learned), &rows(texts), &ctx).unwrap())
    }

    fn labelled(labels: &[&str], weight: Option<Vec<f64>>) -> Target {
        let label = labels.iter().map(|label| Some((*label).to_owned())).collect();
        Target { row_id: ids(labels.len()), label: Some(label), weight, ..Target::default() }
    }

    fn classes(parts: &Parts) -> Predictions {
        Predictions::from_table(&parts.table("predictions").unwrap()).unwrap()
    }

    #[test]
    fn the_majority_counts_by_weight_and_its_shares_are_probabilities() {
        let texts = ["a", "b", "c", "d"];
        let of = |weight| {
            let target = labelled(&["no", "yes", "yes", "yes"], weight);
            classes(&run(Baseline::Majority, Task::Classes, &texts, target, &["x", ""]))
        };
        let plain = of(None);
        assert_eq!((plain.predicted, plain.scores), (vec!["yes".to_owned(); 2], vec![0.25, 0.75, 0.25, 0.75]));
        let weighed = of(Some(vec![9.0, 1.0, 1.0, 1.0]));
        assert_eq!((weighed.predicted, weighed.scores), (vec!["no".to_owned(); 2], vec![0.75, 0.25, 0.75, 0.25]));
        // one class, and classes level: the first
        let one = classes(&run(Baseline::Majority, Task::Classes, &["a"], labelled(&["only"], None), &["x"]));
        assert_eq!((one.predicted, one.scores), (vec!["only".to_owned()], vec![1.0]));
        let level = run(Baseline::Majority, Task::Classes, &["a", "b"], labelled(&["z", "a"], None), &["x"]);
        assert_eq!(classes(&level).predicted, ["a"]);
    }

    #[test]
    fn stratified_draws_by_the_shares_whatever_the_order_of_rows() {
        let labels: Vec<&str> = (0..100).map(|row| if row < 20 { "no" } else { "yes" }).collect();
        let texts = vec!["word"; 2_000];
        let drawn =
            classes(&run(Baseline::Stratified, Task::Classes, &vec!["a"; 100], labelled(&labels, None), &texts));
        let no = drawn.predicted.iter().filter(|predicted| *predicted == "no").count();
        // 400 ± four standard errors
        assert!((328..=472).contains(&no), "{no}");
        let first = run(Baseline::Stratified, Task::Classes, &vec!["a"; 100], labelled(&labels, None), &texts[..10]);
        assert_eq!(classes(&first).predicted, drawn.predicted[..10]);
        let certain = drawn.scores.chunks_exact(2).all(|row| row.iter().sum::<f64>() == 1.0 && row.contains(&1.0));
        assert!(certain);
    }

    #[test]
    fn the_nearest_by_words_vote() {
        let known = ["good fine film", "good film", "bad film", "bad dull", "bad awful film"];
        let target = || labelled(&["pos", "pos", "neg", "neg", "neg"], None);
        // five rows are fewer than fifteen: all vote, and none of them is nearer than its vote
        let all = classes(&run(Baseline::KNeighbors, Task::Classes, &known, target(), &["good film"]));
        assert_eq!((all.predicted, all.scores), (vec!["neg".to_owned()], vec![0.6, 0.4]));
        // of forty the fifteen nearest vote: those that share a word
        let many: Vec<&str> = (0..40).map(|row| if row < 15 { "good day" } else { "bad night" }).collect();
        let labels: Vec<&str> = (0..40).map(|row| if row < 15 { "pos" } else { "neg" }).collect();
        let near =
            run(Baseline::KNeighbors, Task::Classes, &many, labelled(&labels, None), &["a good one", "night", ""]);
        let near = classes(&near);
        assert_eq!(near.predicted, ["pos", "neg", "pos"], "without a word all are alike, and the first vote");
        assert_eq!(near.scores[..4], [0.0, 1.0, 1.0, 0.0]);
        // texts without any word
        let blank = classes(&run(Baseline::KNeighbors, Task::Classes, &["", "!"], labelled(&["b", "a"], None), &["x"]));
        assert_eq!((blank.predicted, blank.scores), (vec!["a".to_owned()], vec![0.5, 0.5]));
    }

    #[test]
    fn sets_and_numbers_are_guessed_too() {
        let set = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        let sets = || Target {
            row_id: ids(4),
            label_set: Some(vec![set(&["a", "b"]), set(&["a"]), set(&["a", "c"]), set(&[])]),
            ..Target::default()
        };
        let known = ["one", "two", "three", "four"];
        for baseline in [Baseline::Majority, Baseline::KNeighbors] {
            let guessed = run(baseline, Task::Sets, &known, sets(), &["five"]);
            let guessed = PredictedSets::from_table(&guessed.table("predictions").unwrap()).unwrap();
            assert_eq!((guessed.sets, guessed.scores), (vec![set(&["a"])], vec![0.75, 0.25, 0.25]), "{baseline:?}");
        }
        let drawn = run(Baseline::Stratified, Task::Sets, &known, sets(), &vec!["x"; 1000]);
        let drawn = PredictedSets::from_table(&drawn.table("predictions").unwrap()).unwrap();
        let has = |label: &str| drawn.sets.iter().filter(|set| set.iter().any(|one| one == label)).count();
        assert!((695..=805).contains(&has("a")) && (195..=305).contains(&has("c")), "{} {}", has("a"), has("c"));

        let values = |weight| Target { row_id: ids(3), value: Some(vec![1.0, 2.0, 6.0]), weight, ..Target::default() };
        let mean = |baseline, weight| {
            let guessed = run(baseline, Task::Values, &["x y", "y", "z"], values(weight), &["x", "q"]);
            PredictedValues::from_table(&guessed.table("predictions").unwrap()).unwrap().value
        };
        assert_eq!(mean(Baseline::Mean, None), [3.0, 3.0]);
        assert_eq!(mean(Baseline::Mean, Some(vec![0.0, 1.0, 1.0])), [4.0, 4.0]);
        assert_eq!(mean(Baseline::KNeighbors, None), [3.0, 3.0]);
    }

    #[test]
    fn of_many_rows_some_are_kept_with_the_classes_in_their_shares() {
        let rows = MOST + 2_000;
        let labels: Vec<&str> = (0..rows).map(|row| if row % 4 == 0 { "few" } else { "most" }).collect();
        let flag = AtomicBool::new(false);
        let ctx = Ctx { seed: 3, cancelled: &flag, progress: &Quiet };
        let texts = parts(vec![("text", text::table(ids(rows), vec!["w"; rows]).unwrap())]);
        let target = parts(vec![("target", labelled(&labels, None).to_table().unwrap())]);
        let guess = Guess { baseline: Baseline::KNeighbors, task: Task::Classes };
        let learned = guess.fit(&TrainRows::of_fold(None, &texts, Some(&target)).unwrap(), &ctx).unwrap();
        let kept = learned.parts.iter().find_map(|(name, made)| match made {
            Made::Table(table) if name == "target" => Some(Target::from_table(table).unwrap().label.unwrap()),
            _ => None,
        });
        let kept = kept.unwrap();
        let few = kept.iter().filter(|label| label.as_deref() == Some("few")).count();
        assert_eq!((kept.len(), few), (MOST, MOST / 4));
    }
}
