//! How sure is what an input of a stage adds? Holds the variant with all inputs against the one without it, row by row.

use super::Measured;
use crate::ml::stats;
use crate::record::{Contribution, Gain, Summary, VariantSummary};

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
        let member = |id: &str| {
            let these = |variant: &VariantSummary| variant.id == id && variant.evaluation == of.evaluation;
            self.group.members.iter().position(|member| these(&summary.variants[member.variant]))
        };
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
