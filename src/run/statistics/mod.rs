//! How sure are a run's scores, which variants differ, and what is the best of them worth? Adds intervals and comparisons to a summary.
//!
//! `docs/statistics.md` says which method is used where, and how well each holds.

mod contribution;
mod kept;
mod rows;

use std::sync::Arc;

use rayon::prelude::*;

use crate::ml::stats::{self, CorrectedT, Replicates, Scored};
use crate::ml::{Metric, Task};
use crate::record::{
    AgainstBaseline, BestOf, Comparison, ComparisonMethod, Evaluation, IntervalMethod, LEVEL, MetricSummary,
    NotCompared, Rival, Summary, VariantSummary, Verdict, WinShare,
};
use crate::stage::StageError;
use rows::{Rows, Seen, Told};

pub(super) use kept::add as add_kept;
pub use rows::groups_of;

/// Every interval is a 95% one.
const CONFIDENCE: f64 = 0.95;

/// Of so many pairs of variants at most all are tested; of more those of the best alone, in as large a family.
const PAIRS: usize = 20_000;

/// Resamples that tell what choosing the best has cost.
const CHOICES: usize = 200;

/// So many numbers of predictions are held at a time.
const HELD: usize = 30_000_000;

/// Variants that were scored on the same rows in the same folds.
struct Group<'a> {
    rows: Arc<Rows>,
    members: Vec<Member<'a>>,
    /// Guesses that were scored on the same rows in the same folds.
    guesses: Vec<Member<'a>>,
}

/// A variant's evaluation, or a guess's.
struct Member<'a> {
    evaluation: &'a Evaluation,
    /// Index into `summary.variants`; of a guess, into `summary.baselines`.
    variant: usize,
    /// False for one that trains on fewer rows than another point of its learning curve: it is neither the best nor a rival.
    candidate: bool,
    /// The group's rows, as they stand in its own table.
    rows: Arc<Rows>,
}

/// What drawing rows again has told of a variant.
struct Drawn {
    /// By metric.
    replicates: Vec<Replicates>,
    /// By metric, then by resample: the scores of rows drawn and not drawn.
    out_of_bag: Vec<Vec<[f64; 2]>>,
    errors: Vec<f32>,
}

/// Adds what can be said of chance. What cannot be read leaves the summary as it is.
fn add(summary: &mut Summary, evaluations: &[Evaluation], baselines: &[Evaluation]) -> Result<(), StageError> {
    let mut seen = Seen::default();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for evaluation in evaluations {
        let rows = seen.rows(evaluation)?;
        summary.variants[evaluation.variant].scored_on = Some(rows.print.clone());
        let alike = |group: &&mut Group<'_>| group.rows.print == rows.print && group.rows.task == rows.task;
        let candidate = !summary.has_fewer_rows(&summary.variants[evaluation.variant]);
        let member = Member { evaluation, variant: evaluation.variant, candidate, rows: Arc::clone(&rows) };
        match groups.iter_mut().find(alike) {
            Some(group) => group.members.push(member),
            None => groups.push(Group { rows, members: vec![member], guesses: Vec::new() }),
        }
    }
    for evaluation in baselines {
        let rows = seen.rows(evaluation)?;
        summary.baselines[evaluation.variant].scored_on = Some(rows.print.clone());
        let alike = |group: &&mut Group<'_>| group.rows.print == rows.print && group.rows.task == rows.task;
        let member = Member { evaluation, variant: evaluation.variant, candidate: false, rows: Arc::clone(&rows) };
        if let Some(group) = groups.iter_mut().find(alike) {
            group.guesses.push(member);
        }
    }
    for group in &groups {
        group.measure(summary)?;
    }
    if let Some((first, others)) = groups.split_first() {
        summary.not_compared = others.iter().map(|other| first.not_compared(other, summary)).collect();
    }
    Ok(())
}

impl Group<'_> {
    fn measure(&self, summary: &mut Summary) -> Result<(), StageError> {
        let mut names: Vec<String> =
            self.members.iter().flat_map(|m| summary.variants[m.variant].metrics.keys().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| Metric::named(name).is_some());
        let metrics: Vec<Metric> = names.iter().filter_map(|name| Metric::named(name)).collect();
        let Some(mut drawn) = self.draw(&metrics, summary.seed)? else { return Ok(()) };
        let guessed = drawn.split_off(self.members.len());
        for (at, name) in names.iter().enumerate() {
            let one = Measured { group: self, name, metric: metrics[at], at, drawn: &drawn, guessed: &guessed };
            for (member, drawn) in self.members.iter().zip(&drawn) {
                if let Some(metric) = summary.variants[member.variant].metrics.get_mut(name) {
                    one.interval(metric, drawn);
                }
            }
            for (guess, drawn) in self.guesses.iter().zip(&guessed) {
                if let Some(metric) = summary.baselines[guess.variant].metrics.get_mut(name) {
                    one.interval(metric, drawn);
                }
            }
            let (best, comparisons) = one.compare(summary);
            summary.comparisons.extend(comparisons);
            summary.best.extend(best);
            let against = one.against_guesses(summary);
            summary.against_baselines.extend(against);
            one.contributions(summary);
        }
        self.class_gains(summary)
    }

    /// Draws rows again, the same for all variants and then all guesses; `None` where it is not known what is true of some row.
    fn draw(&self, metrics: &[Metric], seed: u64) -> Result<Option<Vec<Drawn>>, StageError> {
        let Some(first) = self.members.first() else { return Ok(None) };
        let classes =
            first.evaluation.scores.part("classes").map(|part| part.table()).transpose()?.map_or(1, |t| t.num_rows());
        let predictions = self.rows.predictions();
        let members: Vec<&Member<'_>> = self.members.iter().chain(&self.guesses).collect();
        let resamples = self.resamples();
        let at_a_time = (HELD / (predictions.max(1) * (classes + 4))).max(1);
        let mut drawn = Vec::with_capacity(members.len());
        for some in members.chunks(at_a_time) {
            let told = some.par_iter().map(|member| member.rows.told(member.evaluation, metrics));
            let told = told.collect::<Result<Vec<_>, _>>()?;
            let Some(told) = told.into_iter().collect::<Option<Vec<Told>>>() else { return Ok(None) };
            let scored: Vec<&dyn Scored> = told.iter().map(|told| &told.weighed as &dyn Scored).collect();
            let replicates = stats::resample(&scored, &self.rows.units, resamples, seed);
            let choices = if self.members.len() > 1 { CHOICES } else { 0 };
            let out_of_bag = stats::out_of_bag(&scored, &self.rows.units, choices, seed);
            let each = replicates.into_iter().zip(out_of_bag).zip(told);
            drawn.extend(each.map(|((replicates, out_of_bag), told)| Drawn {
                replicates,
                out_of_bag,
                errors: told.errors,
            }));
        }
        Ok(Some(drawn))
    }

    /// What came of drawing rows, with the error that the draws of training rows add where the same rows are held out each time.
    fn with_draws(&self, replicates: &Replicates, values: &[f64]) -> Replicates {
        match stats::draw_error(values, self.rows.redrawn) {
            Some(error) => replicates.with_error(error, CONFIDENCE),
            None => replicates.clone(),
        }
    }

    /// How much larger the models' shared training rows make the standard error.
    fn shared_training(&self) -> f64 {
        stats::shared_training(self.rows.folds_per_repeat().unwrap_or(self.rows.folds()))
    }

    /// How often rows are drawn again.
    fn resamples(&self) -> usize {
        let all = self.rows.predictions().max(1) * (self.members.len() + self.guesses.len());
        stats::resamples(all)
    }

    fn not_compared(&self, other: &Group<'_>, summary: &Summary) -> NotCompared {
        let names = |group: &Group<'_>| group.members.iter().map(|m| rival(&summary.variants[m.variant])).collect();
        let why = match () {
            () if self.rows.task != other.rows.task => "they predict something else",
            () if self.rows.print.rows != other.rows.print.rows => {
                "they were scored on other rows, or rows with other labels"
            }
            () => "they were scored on the same rows in other folds",
        };
        NotCompared { these: names(self), those: names(other), why: why.to_owned() }
    }
}

fn rival(variant: &VariantSummary) -> Rival {
    Rival { variant: variant.id.clone(), evaluation: variant.evaluation.clone() }
}

/// A metric of the variants of a group.
struct Measured<'a> {
    group: &'a Group<'a>,
    name: &'a str,
    metric: Metric,
    /// Its place in what was drawn.
    at: usize,
    drawn: &'a [Drawn],
    /// The same of guesses.
    guessed: &'a [Drawn],
}

/// One of two that are compared.
struct Side<'s> {
    metric: &'s MetricSummary,
    drawn: &'s Drawn,
}

/// What is asked of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Everything.
    All,
    /// The p value; no interval.
    P,
}

/// How two differ, and how sure that is.
struct Paired {
    difference: f64,
    ci95: Option<[f64; 2]>,
    p: Option<f64>,
    method: ComparisonMethod,
    widened: f64,
    wins: Option<(u64, u64)>,
}

impl Measured<'_> {
    /// The corrected resampled t of a value for each fold, where folds were made anew in each repeat.
    fn over_folds(&self, values: &[f64]) -> Option<CorrectedT> {
        let rows = &self.group.rows;
        let folds = rows.folds_per_repeat().filter(|folds| *folds > 1 && rows.redrawn == 1)?;
        stats::corrected_t(values, 1.0 / (folds - 1) as f64)
    }

    /// True if each row gives one prediction that says nothing of another's.
    fn single_rows(&self) -> bool {
        !self.group.rows.grouped && !self.group.rows.repeated
    }

    /// True if rows that are drawn again tell how sure the metric is.
    fn draws_tell(&self) -> bool {
        self.group.rows.units.are_enough() && self.metric.can_be_resampled()
    }

    fn interval(&self, metric: &mut MetricSummary, drawn: &Drawn) {
        let values: Vec<f64> = metric.folds.iter().copied().flatten().collect();
        let over_folds = self.over_folds(&values);
        (metric.estimate, metric.ci95, metric.ci95_method) = match over_folds {
            Some(t) => (Some(t.mean), t.interval(CONFIDENCE), Some(IntervalMethod::CorrectedT)),
            None if self.metric == Metric::Accuracy && self.single_rows() => {
                let (rows, wrong) = (drawn.errors.len(), drawn.errors.iter().filter(|error| **error > 0.0).count());
                let share = (rows > 0).then(|| (rows - wrong) as f64 / rows as f64);
                (share, stats::wilson_interval(rows - wrong, rows, CONFIDENCE), Some(IntervalMethod::Wilson))
            }
            None => {
                let replicates = self.group.with_draws(&drawn.replicates[self.at], &values);
                let estimate = Some(replicates.estimate).filter(|estimate| estimate.is_finite());
                let method = match self.group.rows.redrawn {
                    1 => IntervalMethod::Bootstrap,
                    _ => IntervalMethod::BootstrapAndDraws,
                };
                (estimate, replicates.interval(CONFIDENCE), Some(method))
            }
        };
        let drawn_again =
            matches!(metric.ci95_method, Some(IntervalMethod::Bootstrap | IntervalMethod::BootstrapAndDraws));
        let one_point = metric.ci95.is_some_and(|[low, high]| low == high);
        if drawn_again && (!self.draws_tell() || one_point) {
            metric.ci95 = None;
        }
        let [least, most] = bounds(self.metric);
        metric.ci95 = metric.ci95.map(|interval| interval.map(|bound| bound.clamp(least, most)));
        if metric.ci95.is_none() {
            metric.ci95_method = None;
        }
    }

    /// The best against each other, and what being the best is worth.
    fn compare(&self, summary: &Summary) -> (Option<BestOf>, Vec<Comparison>) {
        let of = |member: usize| summary.variants[self.group.members[member].variant].metrics.get(self.name);
        let score = |member: usize| of(member).and_then(MetricSummary::score);
        let higher = self.metric.higher_is_better();
        let sign = if higher { 1.0 } else { -1.0 };
        let candidate = |member: &usize| self.group.members[*member].candidate && score(*member).is_some();
        let ranked: Vec<usize> = (0..self.drawn.len()).filter(candidate).collect();
        let value = |member: usize| score(member).map_or(f64::NEG_INFINITY, |score| sign * score);
        // the first of equals, as in a ranking
        let first = |a: usize, b: usize| if value(b) > value(a) { b } else { a };
        let Some(best) = ranked.iter().copied().reduce(first).filter(|_| ranked.len() > 1) else {
            return (None, Vec::new());
        };
        let variant = |member: usize| &summary.variants[self.group.members[member].variant];
        let others: Vec<usize> = ranked.iter().copied().filter(|member| *member != best).collect();
        let mut found: Vec<Comparison> =
            others.iter().filter_map(|other| self.pair(best, *other, variant(best), variant(*other))).collect();
        let family = ranked.len() * (ranked.len() - 1) / 2;
        let p: Vec<f64> = found.iter().map(|one| one.p.unwrap_or(f64::NAN)).collect();
        let among = self.p_of_others(&others, family, summary);
        let adjusted = stats::holm(&p.into_iter().chain(among).collect::<Vec<f64>>(), family);
        for (one, adjusted) in found.iter_mut().zip(adjusted) {
            one.family = family as u64;
            one.p_adjusted = Some(adjusted).filter(|p| p.is_finite());
            let real = one.p_adjusted.is_some_and(|p| p <= LEVEL) && sign * one.difference > 0.0;
            one.verdict = if real { Verdict::Better } else { Verdict::Level };
            let other = summary.variants.iter().find(|v| rival(v) == one.b);
            one.sentence = one.told(name(variant(best)), other.map_or("", name), higher);
        }
        let level = found.iter().filter(|one| one.verdict == Verdict::Level).count() + others.len() - found.len();
        (self.best(best, &ranked, level as u64, &variant), found)
    }

    /// The p values of all pairs that the best is not one of, where the pairs are not too many; without them Holm's correction errs on
    /// the safe side.
    fn p_of_others(&self, others: &[usize], family: usize, summary: &Summary) -> Vec<f64> {
        if family > PAIRS {
            return Vec::new();
        }
        let metric = |member: usize| summary.variants[self.group.members[member].variant].metrics.get(self.name);
        let pairs: Vec<(usize, usize)> =
            others.iter().enumerate().flat_map(|(at, a)| others[at + 1..].iter().map(|b| (*a, *b))).collect();
        let of_pair = |(a, b): (usize, usize)| {
            let (one, two) = (metric(a)?, metric(b)?);
            let side = |metric, member: usize| Side { metric, drawn: &self.drawn[member] };
            self.paired(&side(one, a), &side(two, b), Wanted::P)?.p
        };
        pairs.into_par_iter().map(|pair| of_pair(pair).unwrap_or(f64::NAN)).collect()
    }

    /// Two variants; what hangs on all pairs is filled in later.
    fn pair(&self, a: usize, b: usize, one: &VariantSummary, two: &VariantSummary) -> Option<Comparison> {
        let found = self.paired(
            &Side { metric: one.metrics.get(self.name)?, drawn: &self.drawn[a] },
            &Side { metric: two.metrics.get(self.name)?, drawn: &self.drawn[b] },
            Wanted::All,
        )?;
        let wins = found.wins.and_then(|(a, b)| stats::wins(a, b, CONFIDENCE));
        Some(Comparison {
            metric: self.name.to_owned(),
            a: rival(one),
            b: rival(two),
            rows: self.group.rows.count as u64,
            difference: found.difference,
            ci95: found.ci95,
            p: found.p,
            p_adjusted: None,
            family: 0,
            method: found.method,
            widened: found.widened,
            wins: wins.map(|wins| WinShare { a: wins.first, b: wins.second, share: wins.share, ci95: wins.interval }),
            verdict: Verdict::Level,
            sentence: String::new(),
        })
    }

    /// How two differ; `None` where that is no number.
    fn paired(&self, a: &Side<'_>, b: &Side<'_>, wanted: Wanted) -> Option<Paired> {
        let folds = a.metric.folds.iter().zip(&b.metric.folds).filter_map(|(a, b)| Some((*a)? - (*b)?));
        let folds: Vec<f64> = folds.collect();
        let wins = self.wins(a.drawn, b.drawn);
        let over_folds = self.over_folds(&folds);
        let widened = if over_folds.is_some() { 1.0 } else { self.group.shared_training() };
        let (difference, ci95, p, method) = match over_folds {
            Some(t) => {
                let five_by_two = self.five_by_two(&folds);
                let method = five_by_two.map_or(ComparisonMethod::CorrectedT, |_| ComparisonMethod::FiveByTwoF);
                (t.mean, t.interval(CONFIDENCE), Some(five_by_two.unwrap_or(t.p)), method)
            }
            None => {
                let rows = a.drawn.replicates[self.at].minus(&b.drawn.replicates[self.at]);
                let of_pair = self.group.with_draws(&rows.widened(widened), &folds);
                let told = self.draws_tell();
                let ci95 = if wanted == Wanted::All && told { of_pair.interval(CONFIDENCE) } else { None };
                match wins.filter(|_| self.metric == Metric::Accuracy) {
                    Some((won, lost)) => {
                        let p = stats::tempered(stats::mcnemar(won, lost).mid, widened);
                        (of_pair.estimate, ci95, Some(p), ComparisonMethod::McnemarMidP)
                    }
                    None => {
                        let method = match self.group.rows.redrawn {
                            1 => ComparisonMethod::PairedBootstrap,
                            _ => ComparisonMethod::PairedBootstrapAndDraws,
                        };
                        let p = if told { of_pair.p_value(0.0) } else { None };
                        (of_pair.estimate, ci95, p, method)
                    }
                }
            }
        };
        difference.is_finite().then_some(Paired { difference, ci95, p, method, widened, wins })
    }

    /// The best variant against the strongest of the guesses that ran beside it.
    fn against_guesses(&self, summary: &Summary) -> Option<AgainstBaseline> {
        let sign = if self.metric.higher_is_better() { 1.0 } else { -1.0 };
        let value = |metric: Option<&MetricSummary>| metric.and_then(MetricSummary::score).map(|score| sign * score);
        // the first of equals, as in a ranking
        let first = |a: (usize, f64), b: (usize, f64)| if b.1 > a.1 { b } else { a };
        let variant = |member: usize| &summary.variants[self.group.members[member].variant];
        let candidates = (0..self.drawn.len()).filter(|at| self.group.members[*at].candidate);
        let ranked = candidates.filter_map(|at| Some((at, value(variant(at).metrics.get(self.name))?)));
        let (best, _) = ranked.reduce(first)?;
        let guess = |at: usize| &summary.baselines[self.group.guesses[at].variant];
        let beside = (0..self.guessed.len()).filter(|at| guess(*at).is_beside(&rival(variant(best))));
        let (strongest, _) =
            beside.filter_map(|at| Some((at, value(guess(at).metrics.get(self.name))?))).reduce(first)?;
        let (one, two) = (variant(best).metrics.get(self.name)?, guess(strongest).metrics.get(self.name)?);
        let found = self.paired(
            &Side { metric: one, drawn: &self.drawn[best] },
            &Side { metric: two, drawn: &self.guessed[strongest] },
            Wanted::All,
        )?;
        let mut against = AgainstBaseline {
            metric: self.name.to_owned(),
            best: rival(variant(best)),
            baseline: guess(strongest).name.clone(),
            score: two.score()?,
            difference: found.difference,
            ci95: found.ci95,
            p: found.p,
            method: found.method,
            better: found.p.is_some_and(|p| p <= LEVEL) && sign * found.difference > 0.0,
            sentence: String::new(),
        };
        against.sentence = against.told(&variant(best).label, sign > 0.0);
        Some(against)
    }

    /// On how many rows each is less wrong.
    fn wins(&self, a: &Drawn, b: &Drawn) -> Option<(u64, u64)> {
        let pairs = || a.errors.iter().zip(&b.errors);
        let won = || pairs().filter(|(a, b)| a < b).count() as u64;
        self.single_rows().then(|| (won(), pairs().filter(|(a, b)| a > b).count() as u64))
    }

    /// The p value of five repeats of two folds.
    fn five_by_two(&self, differences: &[f64]) -> Option<f64> {
        let folds: &[f64; 10] =
            differences.try_into().ok().filter(|_| self.group.rows.folds_per_repeat() == Some(2))?;
        let by_repeat = std::array::from_fn(|repeat| [folds[2 * repeat], folds[2 * repeat + 1]]);
        stats::five_by_two(&by_repeat).map(|found| found.f_p)
    }

    fn best<'v>(
        &self,
        best: usize,
        ranked: &[usize],
        level: u64,
        variant: &impl Fn(usize) -> &'v VariantSummary,
    ) -> Option<BestOf> {
        let metric = |member: usize| variant(member).metrics.get(self.name);
        let score = |member: usize| metric(member).and_then(MetricSummary::score).unwrap_or(f64::NAN);
        let higher = self.metric.higher_is_better();
        let replicates = &self.drawn[best].replicates[self.at];
        let pairs: Vec<Vec<[f64; 2]>> = ranked.iter().map(|m| self.drawn[*m].out_of_bag[self.at].clone()).collect();
        let optimism = Some(replicates.estimate).filter(|estimate| estimate.is_finite());
        let place = ranked.iter().position(|member| *member == best)?;
        let optimism = optimism.and_then(|estimate| stats::optimism(&pairs, place, estimate, higher));
        let expected = optimism.as_ref().map(|optimism| optimism.expected);
        let values: Vec<f64> = metric(best)?.folds.iter().copied().flatten().collect();
        let std_error = match self.over_folds(&values) {
            Some(t) => Some(t.std_error),
            None => self.group.with_draws(replicates, &values).std_error(),
        };
        let scores: Vec<f64> = ranked.iter().map(|member| score(*member)).collect();
        let near = stats::within_one_standard_error(&scores, std_error.unwrap_or(0.0), higher);
        let near = ranked.iter().zip(near).filter(|(_, near)| *near).map(|(member, _)| rival(variant(*member)));
        let mut found = BestOf {
            metric: self.name.to_owned(),
            best: rival(variant(best)),
            of: ranked.len() as u64,
            score: score(best),
            optimism: expected,
            honest: expected.map(|expected| score(best) - if higher { expected } else { -expected }),
            chosen: optimism.and_then(|optimism| optimism.chosen.get(place).copied()),
            level,
            inside_noise: level > 0,
            within_one_standard_error: near.collect(),
            sentence: String::new(),
        };
        found.sentence = found.told().unwrap_or_default();
        found.score.is_finite().then_some(found)
    }
}

/// What a variant is called in a sentence.
fn name(variant: &VariantSummary) -> &str {
    if variant.label.is_empty() { &variant.id } else { &variant.label }
}

/// The least and the greatest value of a metric.
fn bounds(metric: Metric) -> [f64; 2] {
    use Metric as M;
    match metric {
        M::MatthewsCorrcoef | M::CohenKappa | M::Pearson | M::Spearman => [-1.0, 1.0],
        M::R2 => [f64::NEG_INFINITY, 1.0],
        M::LogLoss | M::BrierScoreLoss => [0.0, f64::INFINITY],
        _ if metric.measures(Task::Values) => [0.0, f64::INFINITY],
        _ => [0.0, 1.0],
    }
}

#[cfg(test)]
mod tests;
