//! Which rows are kept of a sample?
//!
//! Rows are ordered by a hash of the seed and their id, so that neither their order nor other rows' fate matters. In a
//! stratified sample the row of rank r among the n of its class and split (both in that order) comes at (r + ½) / n, which gives
//! each class its share by the method of Webster and Sainte-Laguë: a smaller sample is always a part of a larger one.

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Sample {
    /// How many rows; all where there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Which share of them: above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Draws another sample; left out, the pipeline's seed decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Take each class's share of rows in each split.
    #[serde(skip_serializing_if = "is_true")]
    pub stratify: bool,
}

fn is_true(value: &bool) -> bool {
    *value
}

impl Default for Sample {
    fn default() -> Self {
        Sample { rows: None, fraction: None, seed: None, stratify: true }
    }
}

impl Sample {
    /// What is wrong with it, and what would be right.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match (self.rows, self.fraction) {
            (Some(0), None) => Some(("`rows` must be above 0, but is 0", "leave `sample` out to read all rows")),
            (Some(_), None) => None,
            (None, Some(share)) if share > 0.0 && share <= 1.0 => None,
            (None, Some(_)) => Some(("`fraction` must be above 0 and at most 1", "a tenth is `0.1`")),
            _ => Some(("a sample has either `rows` or a `fraction`", "write `{ rows: 1000 }` or `{ fraction: 0.1 }`")),
        }
    }

    fn wanted(&self, of: usize) -> usize {
        match (self.rows, self.fraction) {
            (Some(rows), _) => usize::try_from(rows).unwrap_or(of).min(of),
            (None, Some(share)) => ((of as f64 * share).round() as usize).clamp(1.min(of), of),
            (None, None) => of,
        }
    }
}

/// The rows that a sample is drawn from, in the order in which they are read.
pub(super) struct Survey {
    seed: u64,
    stratify: bool,
    strata: FxHashMap<String, u32>,
    rows: Vec<(u32, u64)>,
}

impl Survey {
    /// Before any row; `seed` is the one to use where the sample has none.
    pub(super) fn new(sample: &Sample, seed: u64) -> Self {
        let seed = sample.seed.unwrap_or(seed);
        Survey { seed, stratify: sample.stratify, strata: FxHashMap::default(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row_id: &str, stratum: &str) {
        let stratum = if self.stratify { stratum } else { "" };
        let number = match self.strata.get(stratum) {
            Some(number) => *number,
            None => {
                let number = self.strata.len() as u32;
                self.strata.insert(stratum.to_owned(), number);
                number
            }
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(row_id.as_bytes());
        let mut hash = [0; 8];
        hash.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
        self.rows.push((number, u64::from_le_bytes(hash)));
    }

    /// For each row, whether it is in the sample.
    pub(super) fn draw(self, sample: &Sample) -> Vec<bool> {
        let mut sizes = vec![0_u64; self.strata.len()];
        for (stratum, _) in &self.rows {
            if let Some(size) = sizes.get_mut(*stratum as usize) {
                *size += 1;
            }
        }
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let hash = |row: usize| self.rows.get(row).map_or(0, |(_, hash)| *hash);
        order.sort_unstable_by_key(|&row| (hash(row), row));
        let mut ranks = vec![0_u64; sizes.len()];
        // (2r + 1) / 2n, compared exactly
        let mut places: Vec<(u64, u64, usize)> = Vec::with_capacity(order.len());
        for row in order {
            let stratum = self.rows.get(row).map_or(0, |(stratum, _)| *stratum as usize);
            if let (Some(rank), Some(size)) = (ranks.get_mut(stratum), sizes.get(stratum)) {
                places.push((2 * *rank + 1, 2 * size, row));
                *rank += 1;
            }
        }
        // stable: rows at the same place stay in the order of their hashes
        places
            .sort_by(|(a, n, _), (b, m, _)| (u128::from(*a) * u128::from(*m)).cmp(&(u128::from(*b) * u128::from(*n))));
        let mut drawn = vec![false; self.rows.len()];
        for (_, _, row) in places.iter().take(sample.wanted(self.rows.len())) {
            if let Some(is_drawn) = drawn.get_mut(*row) {
                *is_drawn = true;
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[(String, &str)], sample: &Sample) -> Vec<String> {
        let mut survey = Survey::new(sample, 7);
        rows.iter().for_each(|(id, stratum)| survey.add(id, stratum));
        let mut ids: Vec<String> =
            survey.draw(sample).into_iter().zip(rows).filter(|(is, _)| *is).map(|(_, (id, _))| id.clone()).collect();
        ids.sort();
        ids
    }

    fn hundred() -> Vec<(String, &'static str)> {
        (0..100)
            .map(|row| {
                (
                    format!("r{row}"),
                    if row < 70 {
                        "a"
                    } else if row < 95 {
                        "b"
                    } else {
                        "c"
                    },
                )
            })
            .collect()
    }

    #[test]
    fn samples_are_nested_and_know_no_order() {
        let rows = hundred();
        let mut before = Vec::new();
        for count in 1..=100 {
            let now = drawn(&rows, &Sample { rows: Some(count), ..Sample::default() });
            assert_eq!(now.len() as u64, count);
            assert!(before.iter().all(|id| now.contains(id)), "{count}");
            before = now;
        }
        let some = Sample { fraction: Some(0.2), ..Sample::default() };
        let reversed: Vec<_> = rows.iter().rev().cloned().collect();
        assert_eq!(drawn(&rows, &some), drawn(&reversed, &some));
        assert_ne!(drawn(&rows, &some), drawn(&rows, &Sample { seed: Some(1), ..some }));
    }

    #[test]
    fn each_class_gets_its_share() {
        let rows = hundred();
        let classes = |sample: &Sample| {
            let ids = drawn(&rows, sample);
            ["a", "b", "c"].map(|class| rows.iter().filter(|(id, of)| *of == class && ids.contains(id)).count())
        };
        assert_eq!(classes(&Sample { rows: Some(20), ..Sample::default() }), [14, 5, 1]);
        assert_eq!(classes(&Sample { rows: Some(1000), ..Sample::default() }), [70, 25, 5]);
        assert!(Sample::default().fault().is_some());
    }
}
