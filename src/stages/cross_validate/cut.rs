//! Which training rows are left where a fold is to have fewer? Those of a smaller number are among those of a larger one.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Mask;
use crate::ml::{Rng, nested};
use crate::stage::StageError;

/// How many training rows a fold has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TrainRows {
    /// As many as there are.
    #[default]
    All,
    /// At most so many.
    Most(u32),
}

const COUNT: &str = "must be a whole number of rows, 1 or more, or `all`";

impl Serialize for TrainRows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            TrainRows::All => to.serialize_str("all"),
            TrainRows::Most(rows) => to.serialize_u32(*rows),
        }
    }
}

impl<'de> Deserialize<'de> for TrainRows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        match value.as_u64().map(u32::try_from) {
            Some(Ok(rows @ 1..)) => Ok(TrainRows::Most(rows)),
            None if value == "all" => Ok(TrainRows::All),
            _ => Err(de::Error::custom(format!("{COUNT}, but is {value}"))),
        }
    }
}

impl JsonSchema for TrainRows {
    fn schema_name() -> Cow<'static, str> {
        "TrainRows".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "integer", "minimum": 1, "maximum": u32::MAX }, { "const": "all" }] })
    }
}

/// What rows are chosen by: an entry for each row there is.
pub(super) struct Like<'a> {
    /// Rows of a group stay together.
    pub(super) groups: Option<&'a [usize]>,
    /// Classes keep their shares.
    pub(super) classes: Option<&'a [Option<u32>]>,
}

/// Leaves at most `most` training rows in each fold; what it says is worth a warning.
pub(super) fn cut(masks: &mut [Mask], most: u32, like: &Like<'_>, seed: u64) -> Result<Vec<String>, StageError> {
    // a seed for each fold, whatever the number of rows, so that smaller sets lie in larger ones
    let mut seeds = Rng::seeded(seed ^ SALT);
    let most = most as usize;
    let (mut short, mut lacking) = (None::<usize>, None::<(usize, usize, usize)>);
    for (number, mask) in masks.iter_mut().enumerate() {
        let seed = seeds.next_u64();
        let rows: Vec<usize> = (0..mask.train.len()).filter(|&row| mask.train[row]).collect();
        if rows.len() < most {
            short = short.max(Some(rows.len()));
        }
        if rows.len() <= most {
            continue;
        }
        let before = classes(&rows, like);
        let mut left = Vec::with_capacity(most);
        // stopping at the first that is too large, and not passing it over, keeps the sets nested
        for set in nested(&rows, like.groups, like.classes, seed) {
            if left.len() + set.len() > most {
                break;
            }
            left.extend(set);
        }
        if left.is_empty() {
            let message = format!("`train_rows` is {most}, and the first group of fold {} is larger", number + 1);
            let failed = StageError::failed(message).at_param(&["train_rows"]);
            return Err(failed.help("groups are trained on as a whole: allow more rows"));
        }
        let after = classes(&left, like);
        if after < before {
            lacking = lacking.max(Some((before - after, number, left.len())));
        }
        mask.train.fill(false);
        left.into_iter().for_each(|row| mask.train[row] = true);
    }
    let mut said = Vec::new();
    if let Some(rows) = short {
        said.push(format!("`train_rows` is {most}, but a fold has {rows} training rows: all of them are used"));
    }
    if let Some((classes, number, rows)) = lacking {
        let many = if classes == 1 { "1 class has".to_owned() } else { format!("{classes} classes have") };
        said.push(format!("{many} no row among the {rows} training rows of fold {}", number + 1));
    }
    Ok(said)
}

/// What parts the seeds of the cut from those of the folds.
const SALT: u64 = 0x7472_6169_6e72_6f77;

fn classes(rows: &[usize], like: &Like<'_>) -> usize {
    let mut found: Vec<u32> = like.classes.iter().flat_map(|all| rows.iter().filter_map(|&row| all[row])).collect();
    found.sort_unstable();
    found.dedup();
    found.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks() -> Vec<Mask> {
        let fold = |fold: usize| Mask::of_test((0..60).map(|row| row % 3 == fold).collect());
        (0..3).map(fold).collect()
    }

    const CLASSES: [Option<u32>; 60] = {
        let mut classes = [Some(0); 60];
        let mut row = 0;
        while row < 60 {
            classes[row] = Some((row % 4 == 0) as u32);
            row += 1;
        }
        classes
    };

    fn trained(most: u32, like: &Like<'_>) -> (Vec<Vec<bool>>, Vec<String>) {
        let mut masks = masks();
        let said = cut(&mut masks, most, like, 5).unwrap();
        assert!(masks.iter().zip(self::masks()).all(|(cut, whole)| cut.test == whole.test), "what is held out stays");
        (masks.into_iter().map(|mask| mask.train).collect(), said)
    }

    #[test]
    fn smaller_sets_lie_in_larger_ones_and_in_the_training_rows() {
        let like = Like { groups: None, classes: Some(&CLASSES) };
        let all: Vec<Vec<bool>> = masks().into_iter().map(|mask| mask.train).collect();
        let sizes = [4, 8, 20, 39, 40, 41];
        let found: Vec<Vec<Vec<bool>>> = sizes.iter().map(|most| trained(*most, &like).0).chain([all]).collect();
        for (smaller, larger) in found.iter().zip(&found[1..]) {
            for (smaller, larger) in smaller.iter().zip(larger) {
                assert!(smaller.iter().zip(larger).all(|(small, large)| !small || *large));
            }
        }
        let count =
            |train: &[bool], class: u32| (0..60).filter(|&row| train[row] && CLASSES[row] == Some(class)).count();
        for train in &found[2] {
            assert_eq!((count(train, 0), count(train, 1)), (15, 5));
        }
        assert_ne!(found[0][0], found[0][1], "each fold draws anew");
        assert_eq!(found[5], found[6], "all that there are");
    }

    #[test]
    fn too_many_rows_and_too_few_are_told_once() {
        let like = Like { groups: None, classes: Some(&CLASSES) };
        assert_eq!(trained(20, &like).1, Vec::<String>::new());
        assert_eq!(trained(40, &like).1, Vec::<String>::new());
        let said = trained(41, &like).1;
        assert_eq!(said, ["`train_rows` is 41, but a fold has 40 training rows: all of them are used"]);
        assert_eq!(trained(1, &like).1, ["1 class has no row among the 1 training rows of fold 3"]);
    }

    #[test]
    fn groups_are_kept_whole_or_refused() {
        let groups: Vec<usize> = (0..60).map(|row| row / 6).collect();
        let like = Like { groups: Some(&groups), classes: Some(&CLASSES) };
        for train in trained(15, &like).0 {
            assert_eq!(train.iter().filter(|on| **on).count(), 12);
            let of_group = |group: usize| (0..60).filter(|&row| groups[row] == group && train[row]).count();
            assert!((0..10).all(|group| [0, 4].contains(&of_group(group))));
        }
        let error = cut(&mut masks(), 3, &like, 5).unwrap_err();
        assert!(error.to_string().contains("first group of fold 1 is larger"), "{error}");
    }
}
