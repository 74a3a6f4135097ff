//! How sure is what an input of a stage adds? Holds the variant with all inputs against the one without it, row by row.

use super::{CONFIDENCE, Group, Measured};
use crate::ml::stats::{self, Replicates, Scored};
use crate::record::{Contribution, Gain, Summary};
use crate::stage::StageError;

/// What drawing rows again has told of a member's classes.
struct Classes {
    names: Vec<String>,
    /// By class.
    replicates: Vec<Replicates>,
    /// By repeat, then by class: as the rows are.
    repeats: Vec<Vec<f64>>,
}

impl Group<'_> {
    /// Fills in the intervals of what an input adds to each class: F1 of the same resamples with and without it.
    pub(super) fn class_gains(&self, summary: &mut Summary) -> Result<(), StageError> {
        let pair = |of: &Contribution| {
            let pair = (self.member(&of.all, of, summary)?, self.member(of.without.as_deref()?, of, summary)?);
            (!of.classes.is_empty()).then_some(pair)
        };
        let pairs = summary.contributions.iter().enumerate();
        let pairs: Vec<(usize, usize, usize)> =
            pairs.filter_map(|(at, of)| pair(of).map(|(all, without)| (at, all, without))).collect();
        for table in pairs.chunk_by(|one, other| one.1 == other.1) {
            let members: Vec<usize> = table.iter().take(1).map(|of| of.1).chain(table.iter().map(|of| of.2)).collect();
            let Some(classes) = self.classes(&members, summary.seed)? else { continue };
            let Some((all, others)) = classes.split_first() else { continue };
            for ((at, ..), without) in table.iter().zip(others) {
                for class in &mut summary.contributions[*at].classes {
                    class.ci95 = self.class_gain(&class.class, all, without);
                }
            }
        }
        Ok(())
    }

    /// What is drawn of the classes of some members; `None` where some have no classes.
    fn classes(&self, members: &[usize], seed: u64) -> Result<Option<Vec<Classes>>, StageError> {
        let told = members.iter().map(|&at| self.members[at].rows.class_scores(self.members[at].evaluation));
        let told = told.collect::<Result<Option<Vec<_>>, _>>()?;
        Ok(told.map(|told| {
            let scored: Vec<&dyn Scored> = told.iter().map(|told| &told.scores as &dyn Scored).collect();
            let replicates = stats::resample(&scored, &self.rows.units, self.resamples(), seed);
            let repeats: Vec<_> = told.iter().map(|told| told.scores.each(&self.rows.units)).collect();
            let classes = told.into_iter().zip(replicates).zip(repeats);
            classes.map(|((told, replicates), repeats)| Classes { names: told.names, replicates, repeats }).collect()
        }))
    }

    fn class_gain(&self, class: &str, all: &Classes, without: &Classes) -> Option<[f64; 2]> {
        let place = |of: &Classes| of.names.binary_search_by(|name| name.as_str().cmp(class)).ok();
        let (one, other) = (place(all)?, place(without)?);
        let repeats = all.repeats.iter().zip(&without.repeats).map(|(all, without)| all[one] - without[other]);
        let gain = all.replicates[one].minus(&without.replicates[other]).widened(self.shared_training());
        let [low, high] = self.with_draws(&gain, &repeats.collect::<Vec<f64>>()).interval(CONFIDENCE)?;
        Some([low.max(-1.0), high.min(1.0)])
    }

    /// The place of a variant that a contribution names.
    fn member(&self, id: &str, of: &Contribution, summary: &Summary) -> Option<usize> {
        self.members.iter().position(|member| {
            let variant = &summary.variants[member.variant];
            variant.id == id && variant.evaluation == of.evaluation
        })
    }
}

impl Measured<'_> {
    /// Fills in intervals and p values where all variants of a contribution were scored alike.
    pub(super) fn contributions(&self, summary: &mut Summary) {
        let mut found: Vec<(usize, Gain)> = Vec::new();
        for (index, of) in summary.contributions.iter().enumerate() {
            found.extend(self.gain(of, summary).map(|gain| (index, gain)));
        }
        for family in families(&found, &summary.contributions) {
            let p: Vec<f64> = family.iter().map(|&at| found[at].1.p.unwrap_or(f64::NAN)).collect();
            for (at, adjusted) in family.iter().zip(stats::holm(&p, p.len())) {
                found[*at].1.p_adjusted = Some(adjusted).filter(|p| p.is_finite());
            }
        }
        for (index, gain) in found {
            summary.contributions[index].metrics.insert(self.name.to_owned(), gain);
        }
    }

    fn gain(&self, of: &Contribution, summary: &Summary) -> Option<Gain> {
        let member = |id: &str| self.group.member(id, of, summary);
        let variant = |member: usize| &summary.variants[self.group.members[member].variant];
        let score = |member: Option<usize>| {
            let metric = variant(member?).metrics.get(self.name)?;
            metric.estimate.or(metric.mean)
        };
        let all = member(&of.all)?;
        let without = of.without.as_deref().and_then(member);
        let pair = without.and_then(|without| self.pair(all, without, variant(all), variant(without)));
        let told = of.metrics.get(self.name)?;
        let better = |value: f64| if self.metric.higher_is_better() { value } else { -value };
        Some(Gain {
            all: score(Some(all)),
            without: score(without),
            alone: score(of.alone.as_deref().and_then(member)),
            gain: pair.as_ref().map(|pair| better(pair.difference)),
            ci95: pair.as_ref().and_then(|pair| pair.ci95).map(|[low, high]| match better(1.0) < 0.0 {
                true => [-high, -low],
                false => [low, high],
            }),
            p: pair.as_ref().and_then(|pair| pair.p),
            p_adjusted: None,
            method: pair.map(|pair| pair.method),
            folds: told.folds.clone(),
        })
    }
}

/// The inputs of one stage of one variant, as places in `found`.
fn families(found: &[(usize, Gain)], all: &[Contribution]) -> Vec<Vec<usize>> {
    let mut families: Vec<Vec<usize>> = Vec::new();
    let of = |at: usize| {
        let of = &all[found[at].0];
        (&of.stage, &of.all, &of.evaluation)
    };
    for at in 0..found.len() {
        match families.iter_mut().find(|family| of(family[0]) == of(at)) {
            Some(family) => family.push(at),
            None => families.push(vec![at]),
        }
    }
    families
}
