//! What are the blocks of a model's features worth? The fall of each metric when a block is shuffled, and what the weights do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::score;
use crate::ml::{Metric, stats};
use crate::record::{BlockWorth, ClassTerms, Fall, TermWorth, Worth};
use crate::stage::{Ctx, FoldId, Made, Output, Parts, Probed, StageError, shuffled_part};
use crate::table::scores::{self, FoldMetric};
use crate::table::target::Target;
use crate::table::weights::{Speaks, outputs, shares, terms};

/// What is asked about a model. Nothing of it changes a score or what is computed for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Importance {
    /// How often the rows of each block of features are shuffled among a fold's held-out rows, to see by how much each metric falls;
    /// 0 for never. For models over one learner that reads two blocks or more.
    #[schemars(range(min = 0, max = 100))]
    permutations: u32,
    /// How many terms are listed for each class that speak most for it; 0 for none. For linear models over features with names.
    #[schemars(range(min = 0, max = 1000))]
    top_terms: u32,
}

impl Default for Importance {
    fn default() -> Self {
        Importance { permutations: 1, top_terms: 10 }
    }
}

impl Importance {
    pub(super) fn permutations(self) -> u32 {
        self.permutations
    }

    /// Counts, by the metrics that score.
    pub(super) fn worth(self, metrics: &[Metric], of: &Probed<'_>, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let weighed = Weighed::read(of.weighed)?;
        let shuffled: Vec<Vec<Vec<FoldMetric>>> = self.shuffled(metrics, of, ctx)?;
        let usual = scores::metrics(&*of.scores.table("metrics")?).map_err(StageError::caused)?;
        let blocks = (0..shuffled.len().max(weighed.blocks())).map(|at| {
            let metrics = shuffled.get(at).map(|draws| falls(&usual, draws)).unwrap_or_default();
            let shares = weighed.shares(at);
            let known: Vec<f64> = shares.iter().copied().flatten().collect();
            BlockWorth { block: (at + 1).to_string(), share: stats::mean(&known), shares, metrics }
        });
        let worth = Worth {
            permutations: if shuffled.is_empty() { 0 } else { self.permutations },
            blocks: blocks.collect(),
            terms: weighed.terms(self.top_terms as usize),
        };
        let fact = serde_json::to_value(&worth).map_err(StageError::caused)?;
        // a table as well: it is what a repeated run is held against
        let cell: ArrayRef = Arc::new(StringArray::from_iter_values([fact.to_string()]));
        let table = RecordBatch::try_from_iter([("importance", cell)]).map_err(StageError::caused)?;
        Ok(Output::new().table("importance", table).fact("importance", fact))
    }

    /// The metrics of each block and draw, as [`score::score`] gives them.
    fn shuffled(
        self,
        metrics: &[Metric],
        of: &Probed<'_>,
        ctx: &Ctx<'_>,
    ) -> Result<Vec<Vec<Vec<FoldMetric>>>, StageError> {
        let there = |block: usize| of.shuffled.iter().all(|(_, parts)| parts.part(&shuffled_part(block, 0)).is_some());
        if of.shuffled.is_empty() {
            return Ok(Vec::new());
        }
        let target = Target::from_table(&*of.target.table("target")?).map_err(StageError::caused)?;
        let one = |block: usize, draw: usize| -> Result<Vec<FoldMetric>, StageError> {
            let name = shuffled_part(block, draw);
            let predicted = |(fold, parts): &(FoldId, Parts)| {
                let part =
                    parts.part(&name).ok_or_else(|| StageError::failed(format!("no fold predicted `{name}`")))?;
                let mut predictions = Parts::default();
                predictions.insert("predictions", part.clone());
                Ok::<_, StageError>((*fold, predictions))
            };
            let folds = of.shuffled.iter().map(predicted).collect::<Result<Vec<_>, _>>()?;
            let output = score::score(metrics, &folds, &target, ctx)?;
            let table = output.parts.iter().find_map(|(name, made)| match made {
                Made::Table(table) if name == "metrics" => Some(table),
                _ => None,
            });
            let table = table.ok_or_else(|| StageError::failed("shuffled rows have no metrics"))?;
            scores::metrics(table).map_err(StageError::caused)
        };
        let draws = self.permutations as usize;
        (0..).take_while(|block| there(*block)).map(|block| (0..draws).map(|draw| one(block, draw)).collect()).collect()
    }
}

/// By how much each metric falls: in each fold the mean over draws.
fn falls(usual: &[FoldMetric], draws: &[Vec<FoldMetric>]) -> BTreeMap<String, Fall> {
    let mut found: BTreeMap<String, (Vec<f64>, Vec<Option<f64>>)> = BTreeMap::new();
    for score in usual {
        let same = |other: &&FoldMetric| {
            (other.repeat, other.fold, &other.metric) == (score.repeat, score.fold, &score.metric)
        };
        let shuffled: Option<Vec<f64>> = draws.iter().map(|draw| draw.iter().find(same)?.value).collect();
        let sign = if score.higher_is_better { 1.0 } else { -1.0 };
        // differences first: of a block that changes nothing they are 0 to the last bit
        let fall = score.value.zip(shuffled.as_deref()).and_then(|(score, shuffled)| {
            stats::mean(&shuffled.iter().map(|shuffled| sign * (score - shuffled)).collect::<Vec<_>>())
        });
        let (means, folds) = found.entry(score.metric.clone()).or_default();
        means.extend(shuffled.and_then(|shuffled| stats::mean(&shuffled)));
        folds.push(fall);
    }
    let fall = |(name, (shuffled, folds)): (String, (Vec<f64>, Vec<Option<f64>>))| {
        let known: Vec<f64> = folds.iter().copied().flatten().collect();
        let std = if known.len() > 1 { stats::sample_std(&known) } else { None };
        (name, Fall { shuffled: stats::mean(&shuffled), fall: stats::mean(&known), std, folds })
    };
    found.into_iter().map(fall).collect()
}

/// What the weights of each fold's model do.
struct Weighed(Vec<FoldWeights>);

struct FoldWeights {
    outputs: Vec<Speaks>,
    /// By block: the sums over outputs of covariance and variance.
    spreads: Vec<(f64, f64)>,
    terms: Vec<crate::table::weights::TermWeight>,
}

/// A term over the folds.
#[derive(Default)]
struct Sum {
    weight: f64,
    impact: f64,
    folds: u32,
}

impl Weighed {
    fn read(folds: &[(FoldId, Parts)]) -> Result<Weighed, StageError> {
        let one = |(_, parts): &(FoldId, Parts)| {
            let found = shares(&*parts.table("shares")?).map_err(StageError::caused)?;
            let mut spreads = vec![(0.0, 0.0); found.iter().map(|share| share.block as usize + 1).max().unwrap_or(0)];
            for share in found {
                let (covariance, variance) = &mut spreads[share.block as usize];
                *covariance += share.covariance;
                *variance += share.variance;
            }
            Ok(FoldWeights {
                outputs: outputs(&*parts.table("outputs")?).map_err(StageError::caused)?,
                spreads,
                terms: terms(&*parts.table("terms")?).map_err(StageError::caused)?,
            })
        };
        Ok(Weighed(folds.iter().map(one).collect::<Result<_, StageError>>()?))
    }

    fn blocks(&self) -> usize {
        self.0.iter().map(|fold| fold.spreads.len()).max().unwrap_or(0)
    }

    /// The share of a block in each fold; none where all decision values are alike.
    fn shares(&self, block: usize) -> Vec<Option<f64>> {
        let share = |fold: &FoldWeights| {
            let (covariance, variance) = fold.spreads.get(block).copied()?;
            (variance > 0.0).then(|| covariance / variance)
        };
        self.0.iter().map(share).collect()
    }

    /// The first terms of each class, by the mean of their impact over all folds.
    fn terms(&self, most: usize) -> Vec<ClassTerms> {
        let mut sums: BTreeMap<&Speaks, BTreeMap<(u32, &str), Sum>> = BTreeMap::new();
        for fold in &self.0 {
            for term in &fold.terms {
                let Some(output) = fold.outputs.get(term.output as usize) else { continue };
                let sum = sums.entry(output).or_default().entry((term.block, &term.term)).or_default();
                sum.weight += term.weight;
                sum.impact += term.impact / self.0.len() as f64;
                sum.folds += 1;
            }
        }
        let mut classes = Vec::new();
        for (speaks, sums) in sums {
            let side = |sign: f64| {
                let mut found: Vec<(&(u32, &str), &Sum)> =
                    sums.iter().filter(|(_, sum)| sign * sum.impact > 0.0).collect();
                // equal ones stay in the order of their blocks and names
                found.sort_by(|a, b| (sign * b.1.impact).total_cmp(&(sign * a.1.impact)));
                let term = |((block, term), sum): (&(u32, &str), &Sum)| TermWorth {
                    block: (block + 1).to_string(),
                    term: (*term).to_owned(),
                    weight: sum.weight / f64::from(sum.folds),
                    impact: sum.impact,
                    folds: sum.folds,
                };
                found.into_iter().take(most).map(term).collect::<Vec<_>>()
            };
            let (towards, away) = (side(1.0), side(-1.0));
            match &speaks.against {
                // what speaks against one of two classes speaks for the other
                Some(other) => {
                    let turned = |term: TermWorth| TermWorth { weight: -term.weight, impact: -term.impact, ..term };
                    let away = away.into_iter().map(turned).collect();
                    classes.push(ClassTerms { class: other.clone(), towards: away, away: Vec::new() });
                    classes.push(ClassTerms { class: speaks.class.clone(), towards, away: Vec::new() });
                }
                None => {
                    let away = if speaks.alone { away } else { Vec::new() };
                    classes.push(ClassTerms { class: speaks.class.clone(), towards, away });
                }
            }
        }
        classes.retain(|class| !class.towards.is_empty() || !class.away.is_empty());
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Part;
    use crate::table::weights::{BlockSpread, TermWeight, outputs_table, shares_table, terms_table};

    fn metric(fold: u32, name: &str, value: Option<f64>) -> FoldMetric {
        FoldMetric { repeat: 0, fold, metric: name.into(), value, higher_is_better: name != "log_loss" }
    }

    #[test]
    fn a_fall_is_above_nothing_where_the_model_gets_worse() {
        let usual =
            [metric(0, "accuracy", Some(0.75)), metric(0, "log_loss", Some(0.5)), metric(1, "accuracy", Some(0.5))];
        let draw = |accuracy: f64| {
            vec![metric(0, "accuracy", Some(accuracy)), metric(0, "log_loss", Some(0.75)), metric(1, "accuracy", None)]
        };
        let found = falls(&usual, &[draw(0.5), draw(0.25)]);
        let accuracy = &found["accuracy"];
        assert_eq!((accuracy.folds.as_slice(), accuracy.fall), ([Some(0.375), None].as_slice(), Some(0.375)));
        assert_eq!((accuracy.shuffled, accuracy.std), (Some(0.375), None));
        assert_eq!(found["log_loss"].fall, Some(0.25));
    }

    fn fold(speaks: Speaks, shares: &[(f64, f64)], terms: &[(u32, &str, f64, f64)]) -> (FoldId, Parts) {
        let share = |(block, share): (u32, &(f64, f64))| BlockSpread {
            output: 0,
            block,
            covariance: share.0,
            variance: share.1,
        };
        let shares: Vec<BlockSpread> = (0..).zip(shares).map(share).collect();
        let term = |&(block, term, weight, impact): &(u32, &str, f64, f64)| TermWeight {
            output: 0,
            block,
            term: term.into(),
            weight,
            impact,
        };
        let terms: Vec<TermWeight> = terms.iter().map(term).collect();
        let mut parts = Parts::default();
        parts.insert("outputs", Part::memory(outputs_table(&[speaks]).unwrap()));
        parts.insert("shares", Part::memory(shares_table(&shares).unwrap()));
        parts.insert("terms", Part::memory(terms_table(&terms).unwrap()));
        (FoldId { repeat: 0, fold: 0 }, parts)
    }

    #[test]
    fn terms_are_means_over_all_folds() {
        let pair = || Speaks { class: "b".into(), against: Some("a".into()), alone: false };
        let folds = [
            fold(pair(), &[(3.0, 4.0), (1.0, 4.0)], &[(0, "x", 4.0, 0.5), (1, "x", 1.0, 0.25), (0, "z", -2.0, -0.5)]),
            fold(pair(), &[(1.0, 4.0), (3.0, 4.0)], &[(0, "y", 8.0, 0.75), (0, "x", 2.0, 0.5)]),
        ];
        let weighed = Weighed::read(&folds).unwrap();
        assert_eq!(weighed.shares(0), [Some(0.75), Some(0.25)]);
        let found = weighed.terms(2);
        assert_eq!(found.iter().map(|class| class.class.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let shown = |terms: &[TermWorth]| -> Vec<(String, String, f64, f64, u32)> {
            terms.iter().map(|t| (t.block.clone(), t.term.clone(), t.weight, t.impact, t.folds)).collect()
        };
        assert_eq!(shown(&found[0].towards), [("1".into(), "z".into(), 2.0, 0.25, 1)]);
        assert_eq!(
            shown(&found[1].towards),
            [("1".into(), "x".into(), 3.0, 0.5, 2), ("1".into(), "y".into(), 8.0, 0.375, 1)]
        );
        assert!(weighed.terms(0).is_empty());
        // a label by itself has both sides
        let alone = Speaks { class: "joy".into(), against: None, alone: true };
        let folds = [fold(alone, &[(0.0, 0.0)], &[(0, "x", 4.0, 0.5), (0, "z", -2.0, -0.5)])];
        let weighed = Weighed::read(&folds).unwrap();
        assert_eq!(weighed.shares(0), [None]);
        assert_eq!((weighed.terms(9)[0].towards.len(), weighed.terms(9)[0].away[0].impact), (1, -0.5));
    }
}
