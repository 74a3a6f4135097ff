//! How do the predicted classes of ten thousand rows fit into a line of a file in git?
//!
//! What is true of each row is known to whoever compares, since the rows must be the same. So there is one bit for each row
//! (was its class predicted?) and, where there are more than two classes, the class that was predicted for each row that was
//! not hit; both compressed, as base64. 10 000 rows of two classes, nine in ten of them hit, take 864 characters, of twenty classes 2,112.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rows::Rows;
use crate::ml::Task;

/// More classes than this are not packed.
const MOST_CLASSES: usize = 1 << 16;

/// How hard the bits are compressed: they are few.
const LEVEL: i32 = 19;

/// What was predicted for each row, packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// The classes that are true or predicted, in order.
    pub classes: Vec<String>,
    /// Base64 of zstd of: one bit for each row, in the order of fold and id (1 where its class was predicted, the lowest bit
    /// first); then, with more than two classes, for each row that was not hit the place of its predicted class in `classes`,
    /// in two bytes, the lower first.
    pub packed: String,
}

impl Outcomes {
    /// The outcomes of rows of classes; `None` for others.
    pub fn pack(rows: &Rows) -> Option<Outcomes> {
        let classes = rows.classes();
        if rows.task != Task::Classes || classes.len() > MOST_CLASSES {
            return None;
        }
        let mut bytes = vec![0u8; rows.len().div_ceil(8)];
        let mut missed = Vec::new();
        for (at, (label, predicted)) in rows.label.iter().zip(&rows.predicted).enumerate() {
            if label == predicted {
                bytes[at / 8] |= 1 << (at % 8);
            } else if classes.len() > 2 {
                let place = classes.binary_search(&predicted.as_str()).ok()?;
                missed.extend_from_slice(&u16::try_from(place).ok()?.to_le_bytes());
            }
        }
        bytes.extend(missed);
        let packed = STANDARD.encode(zstd::bulk::compress(&bytes, LEVEL).ok()?);
        Some(Outcomes { classes: classes.into_iter().map(str::to_owned).collect(), packed })
    }

    /// The predicted classes of rows of which `label` is true; `None` if these are not the outcomes of such rows.
    pub fn unpack(&self, label: &[String]) -> Option<Vec<String>> {
        let most = label.len().div_ceil(8) + 2 * label.len();
        let bytes = zstd::bulk::decompress(&STANDARD.decode(&self.packed).ok()?, most).ok()?;
        let (bits, missed) = bytes.split_at_checked(label.len().div_ceil(8))?;
        // no bit speaks of a row that there is not
        let spare = (8 - label.len() % 8) % 8;
        if bits.last().is_some_and(|last| spare > 0 && last >> (8 - spare) != 0) {
            return None;
        }
        let mut missed = missed.chunks_exact(2);
        let mut predicted = Vec::with_capacity(label.len());
        for (at, label) in label.iter().enumerate() {
            let hit = bits[at / 8] >> (at % 8) & 1 == 1;
            predicted.push(match (hit, self.classes.as_slice()) {
                (true, _) => label.clone(),
                (false, [one, other]) if other == label => one.clone(),
                (false, [one, other]) if one == label => other.clone(),
                (false, classes) => {
                    let &[low, high] = missed.next()? else { return None };
                    classes.get(usize::from(u16::from_le_bytes([low, high]))).filter(|class| *class != label)?.clone()
                }
            });
        }
        (missed.next().is_none() && missed.remainder().is_empty()).then_some(predicted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::rows;
    use super::*;
    use crate::ml::Rng;

    fn some(classes: &[&'static str], rows_wanted: usize, hits: f64) -> Rows {
        let mut chance = Rng::seeded(7);
        let mut all = Vec::new();
        for row in 0..rows_wanted {
            let label = classes[row % classes.len()];
            let hit = chance.uniform() < hits;
            let other = classes[(row + 1 + chance.below(classes.len() as u64 - 1) as usize) % classes.len()];
            all.push((label, if hit { label } else { other }));
        }
        rows(&all)
    }

    #[test]
    fn outcomes_come_back() {
        for classes in [vec!["x", "y"], vec!["a", "b", "c", "d", "e"]] {
            for count in [1, 7, 8, 9, 1000] {
                let rows = some(&classes, count, 0.8);
                let packed = Outcomes::pack(&rows).unwrap();
                assert_eq!(packed.unpack(&rows.label).as_ref(), Some(&rows.predicted), "{classes:?} {count}");
            }
        }
    }

    #[test]
    fn ten_thousand_rows_take_a_kilobyte_or_three() {
        let two = Outcomes::pack(&some(&["x", "y"], 10_000, 0.9)).unwrap().packed.len();
        let twenty: Vec<&'static str> =
            vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"];
        let many = Outcomes::pack(&some(&twenty, 10_000, 0.9)).unwrap().packed.len();
        println!("two classes: {two} characters, twenty: {many}");
        assert!(two < 1200 && many < 3000, "{two} {many}");
    }

    #[test]
    fn bits_that_no_packing_sets_are_refused() {
        let rows = some(&["a", "b", "c"], 9, 0.5);
        let plain =
            zstd::bulk::decompress(&STANDARD.decode(Outcomes::pack(&rows).unwrap().packed).unwrap(), 99).unwrap();
        let unpacked = |bytes: &[u8]| {
            let packed = STANDARD.encode(zstd::bulk::compress(bytes, LEVEL).unwrap());
            Outcomes { packed, ..Outcomes::pack(&rows).unwrap() }.unpack(&rows.label)
        };
        assert_eq!(unpacked(&plain).as_ref(), Some(&rows.predicted));
        // a tenth row
        let mut more = plain.clone();
        more[1] |= 2;
        assert_eq!(unpacked(&more), None);
        // a row that was missed, and yet is of the class that was predicted
        let missed = rows.label.iter().zip(&rows.predicted).find(|(label, predicted)| label != predicted).unwrap().0;
        let mut own = plain;
        own[2] = ["a", "b", "c"].iter().position(|class| class == missed).unwrap() as u8;
        assert_eq!(unpacked(&own), None);
    }

    #[test]
    fn what_was_packed_for_other_rows_is_refused() {
        let rows = some(&["a", "b", "c"], 100, 0.5);
        let packed = Outcomes::pack(&rows).unwrap();
        assert_eq!(packed.unpack(&rows.label[..50]), None);
        let broken = |packed: &str| Outcomes { packed: packed.to_owned(), ..Outcomes::pack(&rows).unwrap() };
        for text in ["", "not base64!", "AAAA"] {
            assert_eq!(broken(text).unpack(&rows.label), None, "{text}");
        }
    }
}
