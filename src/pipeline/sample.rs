//! Which combinations does a random subset take?
//!
//! Every combination has a rank: a hash of the sample's seed and of what the combination sets. The least ranks are drawn.
//! So a sample does not depend on the order of axes, values or threads; a larger one with the same seed contains a
//! smaller one; and a value more on an axis leaves most of the earlier choice in place.

use serde_json::Value;

use super::choice::described;
use super::outline::seed_of;
use super::overlay::Overlay;
use crate::problem::{Problem, Problems, suggest};

/// The keys of `sample`.
const KEYS: [&str; 3] = ["size", "share", "seed"];

/// A random subset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    amount: Amount,
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Size(u64),
    Share(f64),
}

impl Sample {
    /// What the matrix says, if it says anything; the seed is the pipeline's unless told otherwise.
    pub(super) fn read(overlay: &Overlay, seed: u64, problems: &mut Problems) -> Option<Sample> {
        let way = ["matrix", "sample"];
        let written = overlay.at(&way).filter(|value| !value.is_null())?;
        let Value::Object(fields) = written else {
            let message = format!("`sample` must be a map, but is {}", described(written));
            let help = "write `sample: { size: 20 }`, or `sample: { share: 0.1, seed: 7 }`";
            problems.push(Problem::error("wrong-type", message).at(overlay.origin(&way)).help(help));
            return None;
        };
        let before = problems.0.len();
        for key in overlay.keys(&way).iter().filter(|key| !KEYS.contains(&key.as_str())) {
            let problem = Problem::error("unknown-key", format!("`sample` has no key `{key}`"));
            let problem = problem.at(overlay.key_origin(&["matrix", "sample", key]));
            let problem = problem.note(format!("`sample` draws a random subset; its keys are {}", KEYS.join(", ")));
            problems.push(match suggest(key, KEYS) {
                _ if matches!(key.as_str(), "set" | "values") => problem.help("call the axis otherwise"),
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        if problems.0.len() > before {
            return None;
        }
        let given = |key: &str| fields.get(key).filter(|value| !value.is_null());
        let at = |key: &str| overlay.origin(&["matrix", "sample", key]);
        let seed = match given("seed").map(seed_of) {
            None => seed,
            Some(Ok(seed)) => seed,
            Some(Err(problem)) => {
                problems.push(problem.at(at("seed")));
                seed
            }
        };
        let amount = match (given("size"), given("share")) {
            (Some(size), None) => size.as_u64().filter(|size| *size > 0).map(Amount::Size).ok_or_else(|| {
                Problem::error("out-of-range", format!("`size` must be a whole number above 0, but is {size}"))
                    .at(at("size"))
            }),
            (None, Some(share)) => {
                share.as_f64().filter(|share| *share > 0.0 && *share <= 1.0).map(Amount::Share).ok_or_else(|| {
                    Problem::error("out-of-range", format!("`share` must be above 0 and at most 1, but is {share}"))
                        .at(at("share"))
                })
            }
            (Some(_), Some(_)) => Err(Problem::error("invalid-param", "`sample` takes `size` or `share`, not both")
                .at(overlay.key_origin(&["matrix", "sample", "share"]))
                .help("keep one of the two")),
            (None, None) => Err(Problem::error("missing-key", "`sample` does not say how many")
                .at(overlay.key_origin(&way))
                .help("add `size: 20`, or `share: 0.1`")),
        };
        match amount {
            Ok(amount) if problems.0.len() == before => Some(Sample { amount, seed }),
            Ok(_) => None,
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    }

    /// How many of `all` are drawn; at least one where there is any.
    pub(super) fn size(&self, all: u64) -> u64 {
        match self.amount {
            Amount::Size(size) => size.min(all),
            Amount::Share(share) => ((all as f64 * share - 1e-9).ceil() as u64).clamp(all.min(1), all),
        }
    }

    /// The rank of a combination that sets this.
    pub(super) fn rank(&self, content: u128) -> u64 {
        let mut bytes = [0_u8; 24];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..].copy_from_slice(&content.to_le_bytes());
        let hash = blake3::hash(&bytes);
        u64::from_le_bytes(*hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]))
    }
}
