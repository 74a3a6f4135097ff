//! Which values of parameters are best? Tried on folds of the training rows alone.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{idle_metric, unknown_metric};
use super::ensemble::models;
use crate::ml::stats::{self, within_one_standard_error};
use crate::ml::{Metric, MetricNeeds, Rng};
use crate::problem::{Problem, Problems};
use crate::record::ChoiceRule;
use crate::stage::{
    CHOSEN, Candidate, Ctx, Outlook, Output, Parts, Port, Refusal, Says, Scope, Search, Stage, StageError, StageKind,
    Unfit, Work,
};
use crate::table::scores::{FoldMetric, metrics};

/// Most candidates of one search.
const MOST: usize = 1000;

/// The kind `tune`.
pub(in crate::stages) struct Tune;

/// Searches for the best values of parameters of the stages that it reads, inside each fold: the fold's training rows are divided
/// once more, every candidate is fitted and scored there, and the best is fitted on all of them (scikit-learn's GridSearchCV and
/// RandomizedSearchCV, nested). What does not depend on a tried parameter is computed once for all candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Params {
    /// Into how many folds the training rows are divided.
    #[schemars(range(min = 2, max = 100))]
    folds: u32,
    /// The metric that decides; the mean over the folds counts, of equals the first candidate wins.
    metric: String,
    /// `best` takes the best mean; `one_standard_error` the first candidate whose mean is within one standard error of the best, so
    /// list values from simple to complex. The standard error is that of the best candidate's mean over the folds (Breiman, Friedman,
    /// Olshen and Stone 1984; Hastie, Tibshirani and Friedman 2009, section 7.10).
    rule: ChoiceRule,
    /// Every combination of these values: a list for each path (a stage, then the way into its `with`, or `from`).
    grid: Option<Map<String, Value>>,
    /// Combinations drawn at random; for `one_standard_error` they are put in order: by the first path (of the alphabet), then by the
    /// next, lists as they are written and ranges from low to high.
    random: Option<Random>,
}

/// Candidates drawn at random; alike ones are drawn again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Random {
    /// How many candidates.
    #[schemars(range(min = 1, max = 1000))]
    n_iter: usize,
    /// What the draw depends on.
    seed: u64,
    /// What is drawn for each path: from a list of values, or `{ uniform: [LOW, HIGH] }`, `{ log_uniform: [LOW, HIGH] }`,
    /// `{ int_uniform: [LOW, HIGH] }` (both ends counted in).
    space: Map<String, Value>,
}

impl Default for Random {
    fn default() -> Self {
        Random { n_iter: 10, seed: 0, space: Map::new() }
    }
}

impl Default for Params {
    fn default() -> Self {
        Params { folds: 5, metric: "accuracy".to_owned(), rule: ChoiceRule::Best, grid: None, random: None }
    }
}

impl StageKind for Tune {
    const KIND: &'static str = "tune";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "the best of several ways to set parameters, chosen inside each fold";
    const EXAMPLE: &'static str =
        "{ use: tune, from: train, with: { folds: 3, grid: { train.estimator.linear_svc.c: [0.1, 1, 10] } } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        if !(2..=100).contains(&params.folds) {
            let message = format!("`folds` must be from 2 to 100, but is {}", params.folds);
            problems.push(at.problem("out-of-range", &["folds"], message));
        }
        if Metric::named(&params.metric).is_none() {
            problems.push(unknown_metric(&params.metric, &["metric"], at));
        }
        let candidates = match (&params.grid, &params.random) {
            (Some(grid), None) => combinations(grid, at),
            (None, Some(random)) => drawn(random, params.rule, at),
            (Some(_), Some(_)) => {
                let problem = at.problem("invalid-param", &["random"], "`grid` and `random` exclude each other");
                Err(problem.help("keep one of the two").into())
            }
            (None, None) => {
                let problem = at.problem("missing-param", &[], "`tune` needs a `grid`, or a `random` search");
                Err(problem.help("write, for example, `grid: { model.estimator.linear_svc.c: [0.1, 1, 10] }`").into())
            }
        };
        match candidates {
            Ok(candidates) if problems.0.is_empty() => {
                let (folds, metric, rule) = (params.folds, params.metric, params.rule);
                Ok(Work::Search(Box::new(Trying { folds, metric, rule, candidates })))
            }
            Ok(_) => Err(problems),
            Err(more) => {
                problems.0.extend(more.0);
                Err(problems)
            }
        }
    }
}

/// Every combination of a grid, the last path's values changing fastest.
fn combinations(grid: &Map<String, Value>, at: &Scope<'_>) -> Result<Vec<Candidate>, Problems> {
    let mut all: Vec<Candidate> = vec![Vec::new()];
    for (path, values) in grid {
        let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
            let problem = at.problem("wrong-type", &["grid", path], format!("`{path}` needs a list of values to try"));
            return Err(problem.help(format!("write `{path}: [ … ]`")).into());
        };
        if let Some(twice) = (1..values.len()).find(|&value| values[..value].contains(&values[value])) {
            let message = format!("`{path}` tries {} twice", values[twice]);
            return Err(at.problem("duplicate-value", &["grid", path, &twice.to_string()], message).into());
        }
        if all.len() * values.len() > MOST {
            let message = format!("`grid` has more than {MOST} combinations");
            let help = "try fewer values, or draw some of the combinations: `random: { n_iter: 20, space: { … } }`";
            return Err(at.problem("out-of-range", &["grid"], message).help(help).into());
        }
        let longer = |one: &Candidate| {
            let one = one.clone();
            values.iter().map(move |value| one.iter().cloned().chain([(path.clone(), value.clone())]).collect())
        };
        all = all.iter().flat_map(longer).collect();
    }
    match grid.is_empty() {
        true => Err(at.problem("out-of-range", &["grid"], "`grid` names no path").into()),
        false => Ok(all),
    }
}

/// What a value is drawn from.
enum From {
    List(Vec<Value>),
    Uniform(f64, f64),
    LogUniform(f64, f64),
    IntUniform(i64, i64),
}

impl From {
    fn read(path: &str, written: &Value, at: &Scope<'_>) -> Result<From, Box<Problem>> {
        let way = ["random", "space", path];
        let wrong = |message: String| {
            let problem = at.problem("invalid-param", &way, message);
            Box::new(problem.help("write a list of values, or `{ uniform: [LOW, HIGH] }`, `{ log_uniform: [LOW, HIGH] }`, `{ int_uniform: [LOW, HIGH] }`"))
        };
        if let Some(values) = written.as_array().filter(|values| !values.is_empty()) {
            return Ok(From::List(values.clone()));
        }
        let fields = written.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
        let Some((name, ends)) = fields else { return Err(wrong(format!("`{path}` says not what to draw from"))) };
        let ends = ends.as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<f64> = ends.iter().filter_map(Value::as_f64).collect();
        let [low, high] = numbers[..] else {
            return Err(wrong(format!("`{path}` needs two numbers to draw between")));
        };
        if low >= high {
            return Err(wrong(format!("`{path}` must be drawn from a lower to a higher number")));
        }
        match (name.as_str(), ends.iter().filter_map(Value::as_i64).collect::<Vec<_>>().as_slice()) {
            ("uniform", _) => Ok(From::Uniform(low, high)),
            ("log_uniform", _) if low > 0.0 => Ok(From::LogUniform(low, high)),
            ("log_uniform", _) => Err(wrong(format!("`{path}` must be drawn from numbers above 0"))),
            ("int_uniform", [low, high]) => Ok(From::IntUniform(*low, *high)),
            ("int_uniform", _) => Err(wrong(format!("`{path}` must be drawn between whole numbers"))),
            _ => Err(wrong(format!("`{path}` cannot be drawn from `{name}`"))),
        }
    }

    fn draw(&self, rng: &mut Rng) -> Value {
        match self {
            From::List(values) => values[rng.below(values.len() as u64) as usize].clone(),
            From::Uniform(low, high) => json!(low + (high - low) * rng.uniform()),
            From::LogUniform(low, high) => json!((low.ln() + (high.ln() - low.ln()) * rng.uniform()).exp()),
            From::IntUniform(low, high) => json!(low + rng.below(low.abs_diff(*high) + 1) as i64),
        }
    }

    /// Which of two values is listed first, or is the lower one.
    fn order(&self, one: &Value, other: &Value) -> Ordering {
        match self {
            From::List(values) => {
                let place = |value: &Value| values.iter().position(|listed| listed == value);
                place(one).cmp(&place(other))
            }
            _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
        }
    }
}

fn drawn(random: &Random, rule: ChoiceRule, at: &Scope<'_>) -> Result<Vec<Candidate>, Problems> {
    if !(1..=MOST).contains(&random.n_iter) {
        let message = format!("`n_iter` must be from 1 to {MOST}, but is {}", random.n_iter);
        return Err(at.problem("out-of-range", &["random", "n_iter"], message).into());
    }
    if random.space.is_empty() {
        return Err(at.problem("missing-param", &["random"], "`random` needs a `space` to draw from").into());
    }
    let mut space = Vec::new();
    for (path, written) in &random.space {
        space.push((path, From::read(path, written, at).map_err(|problem| *problem)?));
    }
    let mut rng = Rng::seeded(random.seed);
    let mut all: Vec<Candidate> = Vec::new();
    // In a small space there are fewer than are asked for.
    for _ in 0..20 * random.n_iter {
        let one: Candidate = space.iter().map(|(path, from)| ((*path).clone(), from.draw(&mut rng))).collect();
        if !all.contains(&one) {
            all.push(one);
        }
        if all.len() == random.n_iter {
            break;
        }
    }
    // which was drawn first says nothing of which is simpler
    if rule == ChoiceRule::OneStandardError {
        all.sort_by(|one, other| {
            let values = one.iter().zip(other).zip(&space);
            values.fold(Ordering::Equal, |so_far, (((_, a), (_, b)), (_, from))| so_far.then_with(|| from.order(a, b)))
        });
    }
    Ok(all)
}

struct Trying {
    folds: u32,
    metric: String,
    rule: ChoiceRule,
    candidates: Vec<Candidate>,
}

impl Stage for Trying {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        models(inputs)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["predictions"]
    }

    fn says(&self, of: &Outlook<'_>) -> Result<Option<Says>, Unfit> {
        // candidates may be other learners
        Ok(of.model().map(|says| Says { probabilities: None, ..says }))
    }
}

impl Search for Trying {
    fn inner_folds(&self) -> u32 {
        self.folds
    }

    fn metric(&self) -> &str {
        &self.metric
    }

    fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    fn measures(&self, says: &[Option<Says>]) -> Result<(), Unfit> {
        let Some(metric) = Metric::named(&self.metric) else { return Ok(()) };
        let idle = says.iter().flatten().find_map(|says| idle_metric(metric, says.task));
        if let Some((message, help)) = idle {
            return Err(Unfit::param(&["metric"], message).help(help));
        }
        let uncertain = |says: &Option<Says>| says.is_some_and(|says| says.probabilities == Some(false));
        if metric.needs() == MetricNeeds::Probabilities && says.iter().all(uncertain) {
            let message = format!("`{}` needs probabilities, which no candidate gives", self.metric);
            return Err(Unfit::param(&["metric"], message).help(SURE));
        }
        Ok(())
    }

    fn choose(&self, scores: &[Parts], _: &Ctx<'_>) -> Result<Output, StageError> {
        let mut found = Vec::with_capacity(scores.len());
        for parts in scores {
            let all = metrics(&*parts.table("metrics")?).map_err(StageError::caused)?;
            found.push(Score::of(&all, &self.metric));
        }
        let better = |one: &Score, than: &Score| match (one.mean, than.mean) {
            (Some(one_mean), Some(mean)) if one.higher => one_mean > mean,
            (Some(one_mean), Some(mean)) => one_mean < mean,
            (one, _) => one.is_some(),
        };
        let mut best = 0;
        for at in 1..found.len() {
            if better(&found[at], &found[best]) {
                best = at;
            }
        }
        let Some(mean) = found.get(best).and_then(|best| best.mean) else {
            let message = format!("`{}` is not defined for any candidate", self.metric);
            let help = "choose another `metric`; some need probabilities, which not every learner has";
            return Err(StageError::failed(message).at_param(&["metric"]).help(help));
        };
        let taken = match self.rule {
            ChoiceRule::Best => best,
            ChoiceRule::OneStandardError => first_as_good(&found, best),
        };
        let chosen: Map<String, Value> = self.candidates[taken].iter().cloned().collect();
        let output = Output::new()
            .table("candidates", self.table(&found)?)
            .rows(found.len())
            .fact(CHOSEN, taken)
            .fact("params", chosen)
            .fact("metric", self.metric.as_str())
            .fact("score", found[taken].mean);
        Ok(match self.rule {
            ChoiceRule::Best => output,
            rule => {
                output.fact("rule", json!(rule)).fact("best_score", mean).fact("std_error", found[best].std_error())
            }
        })
    }
}

/// The first candidate that is within one standard error of the best one.
fn first_as_good(found: &[Score], best: usize) -> usize {
    let means: Vec<f64> = found.iter().map(|score| score.mean.unwrap_or(f64::NAN)).collect();
    let near = within_one_standard_error(&means, found[best].std_error().unwrap_or(0.0), found[best].higher);
    near.iter().position(|near| *near).unwrap_or(best)
}

/// What to do where a metric needs probabilities.
const SURE: &str = "choose another `metric`, put `calibrate` between, or try learners with probabilities";

impl Trying {
    /// Columns: candidate, params (JSON), mean, std, folds.
    fn table(&self, found: &[Score]) -> Result<RecordBatch, StageError> {
        let params = self
            .candidates
            .iter()
            .map(|candidate| Value::Object(candidate.iter().cloned().collect::<Map<String, Value>>()).to_string());
        let field = Arc::new(Field::new("item", DataType::Float64, true));
        let offsets = OffsetBuffer::from_lengths(found.iter().map(|score| score.folds.len()));
        let folds: Float64Array = found.iter().flat_map(|score| score.folds.iter().copied()).collect();
        let folds = ListArray::try_new(field, offsets, Arc::new(folds), None).map_err(StageError::caused)?;
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("candidate", Arc::new(UInt32Array::from_iter_values(0..found.len() as u32)), false),
            ("params", Arc::new(StringArray::from_iter_values(params)), false),
            ("mean", Arc::new(found.iter().map(|score| score.mean).collect::<Float64Array>()), true),
            ("std", Arc::new(found.iter().map(|score| score.std).collect::<Float64Array>()), true),
            ("folds", Arc::new(folds), false),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
    }
}

/// How a candidate did.
struct Score {
    /// Over the folds in which the metric is defined.
    mean: Option<f64>,
    /// Sample standard deviation.
    std: Option<f64>,
    folds: Vec<Option<f64>>,
    higher: bool,
}

impl Score {
    fn of(all: &[FoldMetric], metric: &str) -> Score {
        let own: Vec<&FoldMetric> = all.iter().filter(|one| one.metric == metric).collect();
        let folds: Vec<Option<f64>> = own.iter().map(|one| one.value).collect();
        let defined: Vec<f64> = folds.iter().flatten().copied().collect();
        let mean = stats::mean(&defined);
        let std = stats::sample_std(&defined).filter(|_| defined.len() > 1);
        Score { mean, std, folds, higher: own.first().is_none_or(|one| one.higher_is_better) }
    }

    /// That of the mean, as if folds were independent; `None` for fewer than two.
    fn std_error(&self) -> Option<f64> {
        Some(self.std? / (self.folds.iter().flatten().count() as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::stage::{Part, Progress};
    use crate::table::scores::metrics_table;

    struct Quiet;

    impl Progress for Quiet {
        fn progress(&self, _: u64, _: u64, _: &'static str) {}
    }

    fn built(params: Value) -> Result<Vec<Candidate>, String> {
        let at = Scope { stage: "tuned", base: Path::new(""), locate: &|_| None };
        let params: Params = serde_json::from_value(params).unwrap();
        match Tune::build(params, &at) {
            Ok(Work::Search(search)) => Ok(search.candidates().to_vec()),
            Ok(_) => unreachable!("`tune` searches"),
            Err(problems) => Err(problems.0[0].message.clone()),
        }
    }

    #[test]
    fn a_grid_has_every_combination() {
        let all = built(json!({ "grid": { "a.c": [1, 2], "b.d": ["x", "y"] } })).unwrap();
        let of = |c: i32, d: &str| vec![("a.c".to_owned(), json!(c)), ("b.d".to_owned(), json!(d))];
        assert_eq!(all, [of(1, "x"), of(1, "y"), of(2, "x"), of(2, "y")]);
    }

    #[test]
    fn what_is_drawn_depends_on_the_seed_alone() {
        let draw = |seed: u64| {
            let space =
                json!({ "a.c": { "log_uniform": [0.01, 100] }, "a.n": { "int_uniform": [1, 3] }, "a.w": [true] });
            built(json!({ "random": { "n_iter": 8, "seed": seed, "space": space } })).unwrap()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for one in draw(3) {
            assert!((0.01..=100.0).contains(&one[0].1.as_f64().unwrap()));
            assert!((1..=3).contains(&one[1].1.as_i64().unwrap()));
        }
    }

    #[test]
    fn a_small_space_is_drawn_whole() {
        let all = built(json!({ "random": { "n_iter": 50, "space": { "a.c": [1, 2, 3] } } })).unwrap();
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn what_cannot_be_tried_is_said() {
        let said = |params| built(params).unwrap_err();
        assert_eq!(said(json!({})), "`tune` needs a `grid`, or a `random` search");
        assert_eq!(said(json!({ "grid": {} })), "`grid` names no path");
        assert_eq!(said(json!({ "grid": { "a.c": 1 } })), "`a.c` needs a list of values to try");
        assert_eq!(said(json!({ "grid": { "a.c": [1, 1] } })), "`a.c` tries 1 twice");
        let many: Vec<u32> = (0..100).collect();
        assert_eq!(said(json!({ "grid": { "a.c": many, "a.d": many } })), "`grid` has more than 1000 combinations");
        let drawn = |space| said(json!({ "random": { "space": space } }));
        assert_eq!(drawn(json!({ "a.c": { "log_uniform": [0, 1] } })), "`a.c` must be drawn from numbers above 0");
        assert_eq!(drawn(json!({ "a.c": { "normal": [0, 1] } })), "`a.c` cannot be drawn from `normal`");
        assert_eq!(said(json!({ "metric": "acc", "grid": { "a.c": [1] } })), "there is no metric `acc`");
    }

    /// Chooses among candidates by the scores of their folds; `None` where one is not defined.
    fn choice(rule: ChoiceRule, higher_is_better: bool, scores: &[&[Option<f64>]]) -> Output {
        let parts = |folds: &&[Option<f64>]| {
            let one = |(fold, value): (usize, &Option<f64>)| FoldMetric {
                repeat: 0,
                fold: fold as u32,
                metric: "f1".to_owned(),
                value: *value,
                higher_is_better,
            };
            let table = metrics_table(&folds.iter().enumerate().map(one).collect::<Vec<_>>()).unwrap();
            let mut parts = Parts::default();
            parts.insert("metrics", Part::memory(table));
            parts
        };
        let candidates = (0..scores.len()).map(|at| vec![("a.c".to_owned(), json!(at))]).collect();
        let trying = Trying { folds: 4, metric: "f1".to_owned(), rule, candidates };
        let flag = std::sync::atomic::AtomicBool::new(false);
        let ctx = Ctx { seed: 1, cancelled: &flag, progress: &Quiet };
        trying.choose(&scores.iter().map(parts).collect::<Vec<_>>(), &ctx).unwrap()
    }

    #[test]
    fn the_first_within_one_standard_error_is_taken_where_that_is_asked_for() {
        // the best is the third: mean 0.8, spread 0.0816, standard error 0.0408; so 0.7592 and above will do
        let best = [0.7, 0.8, 0.8, 0.9].map(Some);
        let [short, near, late] = [[0.759; 4], [0.76; 4], [0.79; 4]].map(|folds| folds.map(Some));
        let (rule, best_rule) = (ChoiceRule::OneStandardError, ChoiceRule::Best);
        let found = choice(rule, true, &[&short, &near, &best, &late]);
        assert_eq!(found.facts[CHOSEN], json!(1));
        assert_eq!(found.facts["params"], json!({ "a.c": 1 }));
        assert_eq!((&found.facts["score"], &found.facts["rule"]), (&json!(0.76), &json!("one_standard_error")));
        assert!((found.facts["best_score"].as_f64().unwrap() - 0.8).abs() < 1e-12);
        assert!((found.facts["std_error"].as_f64().unwrap() - 0.040_824_829_046_386_3).abs() < 1e-12);
        // what was never asked for is not told either
        let plain = choice(best_rule, true, &[&short, &near, &best, &late]);
        assert_eq!((&plain.facts[CHOSEN], plain.facts.contains_key("rule")), (&json!(2), false));
        // one that is listed after the best is never nearer to simple
        assert_eq!(choice(rule, true, &[&short, &best, &near]).facts[CHOSEN], json!(1));
        // of a loss less is better: the bound is 0.8408
        let [lost, close] = [[0.841; 4], [0.84; 4]].map(|folds| folds.map(Some));
        assert_eq!(choice(rule, false, &[&lost, &close, &best]).facts[CHOSEN], json!(1));
    }

    #[test]
    fn without_a_spread_the_best_is_taken() {
        let (one, two) = ([Some(0.7), None], [Some(0.8), None]);
        assert_eq!(choice(ChoiceRule::OneStandardError, true, &[&one, &two]).facts[CHOSEN], json!(1));
        // a candidate without a score is no choice, wherever it stands
        let none = [None, None];
        assert_eq!(choice(ChoiceRule::OneStandardError, true, &[&none, &two]).facts[CHOSEN], json!(1));
    }

    #[test]
    fn random_candidates_are_put_in_order_for_the_rule() {
        let drawn = |rule: &str| {
            let space = json!({ "a.c": { "int_uniform": [1, 3] }, "b.w": ["plain", "fancy", "baroque"] });
            built(json!({ "rule": rule, "random": { "n_iter": 7, "seed": 3, "space": space } })).unwrap()
        };
        let (plain, ordered) = (drawn("best"), drawn("one_standard_error"));
        let place = |one: &Candidate| {
            let word = ["plain", "fancy", "baroque"].iter().position(|word| one[1].1 == **word);
            (one[0].1.as_i64(), word)
        };
        assert!(!plain.is_sorted_by_key(place) && ordered.is_sorted_by_key(place), "{plain:?} {ordered:?}");
        assert!(plain.len() == ordered.len() && plain.iter().all(|one| ordered.contains(one)), "the same are tried");
    }

    #[test]
    fn folds_in_which_a_metric_is_not_defined_do_not_count() {
        let one =
            |fold, value| FoldMetric { repeat: 0, fold, metric: "roc_auc".to_owned(), value, higher_is_better: true };
        let score = Score::of(&[one(0, Some(0.5)), one(1, None), one(2, Some(1.0))], "roc_auc");
        assert_eq!((score.mean, score.std), (Some(0.75), Some(0.125_f64.sqrt())));
        assert_eq!(Score::of(&[one(0, None)], "roc_auc").mean, None);
    }
}
