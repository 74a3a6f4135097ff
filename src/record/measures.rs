//! What can be expected of data, by what name, and when is it so?

use std::fmt;

use serde_json::Value;

use super::{Across, Copies, DataSummary, FoldSides, Side};

/// Something that is counted and may be bounded.
#[derive(Debug)]
pub struct Measure {
    /// Its name under `expect`.
    pub name: &'static str,
    /// What it counts, for the manual.
    pub summary: &'static str,
    /// What a bare number means.
    pub bare: Op,
    /// Where it is looked for.
    pub looks: Looks,
}

/// How many there are, or why that cannot be told.
pub type Count = Result<u64, &'static str>;

const TOO_MANY: &str = "there are too many rows";
const NO_GROUPS: &str = "the rows have no groups";

/// Where a measure is looked for.
#[derive(Debug, Clone, Copy)]
pub enum Looks {
    /// In all rows; or in those of a split, where the name says so (`test.rows`).
    Rows(fn(&Side) -> Count),
    /// In each split by itself; in all rows, where there are no splits.
    EachSplit(fn(&Side) -> Count),
    /// In each split against one before it.
    AcrossSplits(fn(&Across) -> Count),
    /// In the test rows of each fold against its training rows.
    AcrossFolds(fn(&FoldSides) -> Count),
}

/// All measures, in the order of the manual.
pub static MEASURES: &[Measure] = &[
    rows("rows", "rows", Op::Equal, |side| Ok(side.rows)),
    rows("classes", "classes that any row has", Op::Equal, |side| {
        Ok(side.classes.iter().filter(|count| **count > 0).count() as u64)
    }),
    rows("smallest_class", "rows of the rarest class", Op::Least, |side| {
        Ok(side.classes.iter().copied().filter(|count| *count > 0).min().unwrap_or(0))
    }),
    rows("largest_class", "rows of the commonest class", Op::Most, |side| {
        Ok(side.classes.iter().copied().max().unwrap_or(0))
    }),
    rows("empty_rows", "texts without a character but white space", Op::Most, |side| Ok(side.empty)),
    rows("unlabelled_rows", "rows without a label", Op::Most, |side| Ok(side.unlabelled)),
    rows("longest_text", "characters of the longest text", Op::Most, |side| Ok(side.characters.max)),
    rows("truncated_rows", "texts that some stage cuts, the worst stage", Op::Most, |side| {
        Ok(side.truncated.iter().map(|cut| cut.rows).max().unwrap_or(0))
    }),
    rows("tokens_lost", "tokens that are cut off, the worst stage", Op::Most, |side| {
        Ok(side.truncated.iter().map(|cut| cut.tokens_lost).max().unwrap_or(0))
    }),
    rows("replaced_rows", "texts with bytes that could not be decoded and were replaced", Op::Most, |side| {
        Ok(side.notes.get("replaced").map_or(0, |noted| noted.rows))
    }),
    rows("replaced_bytes", "bytes that could not be decoded and were replaced", Op::Most, |side| {
        Ok(side.notes.get("replaced").map_or(0, |noted| noted.total))
    }),
    each("duplicates", "rows whose text stands in an earlier row of the split", |side| Ok(side.duplicates.exact)),
    each("folded_duplicates", "the same, but for case and punctuation", |side| Ok(side.duplicates.folded)),
    each("near_duplicates", "the same, nearly", |side| side.duplicates.near.ok_or(TOO_MANY)),
    each("conflicting_texts", "texts that carry two or more labels", |side| Ok(side.conflicts.texts)),
    each("conflicting_rows", "their rows", |side| Ok(side.conflicts.rows)),
    across("duplicates_across_splits", "rows of a split whose text stands in one before it", |across| {
        Ok(across.overlap.copies.exact)
    }),
    across("folded_duplicates_across_splits", "the same, but for case and punctuation", |across| {
        Ok(across.overlap.copies.folded)
    }),
    across("near_duplicates_across_splits", "the same, nearly", |across| across.overlap.copies.near.ok_or(TOO_MANY)),
    across(
        "relabelled_across_splits",
        "rows whose text stands in a split before theirs with another label",
        |across| Ok(across.overlap.relabelled.exact),
    ),
    across("groups_across_splits", "rows of a split whose group stands in one before it", |across| {
        across.overlap.grouped.ok_or(NO_GROUPS)
    }),
    across("classes_unseen", "classes of a split that one before it lacks", |across| {
        Ok(across.overlap.only_here.len() as u64)
    }),
    folds("duplicates_across_folds", "test rows whose text stands in the fold's training rows", |fold| {
        Ok(fold.across.copies.exact)
    }),
    folds("folded_duplicates_across_folds", "the same, but for case and punctuation", |fold| {
        Ok(fold.across.copies.folded)
    }),
    folds("near_duplicates_across_folds", "the same, nearly", |fold| fold.across.copies.near.ok_or(TOO_MANY)),
    folds("groups_across_folds", "test rows whose group stands in the fold's training rows", |fold| {
        fold.across.grouped.ok_or(NO_GROUPS)
    }),
];

const fn rows(name: &'static str, summary: &'static str, bare: Op, of: fn(&Side) -> Count) -> Measure {
    Measure { name, summary, bare, looks: Looks::Rows(of) }
}

const fn each(name: &'static str, summary: &'static str, of: fn(&Side) -> Count) -> Measure {
    Measure { name, summary, bare: Op::Most, looks: Looks::EachSplit(of) }
}

const fn across(name: &'static str, summary: &'static str, of: fn(&Across) -> Count) -> Measure {
    Measure { name, summary, bare: Op::Most, looks: Looks::AcrossSplits(of) }
}

const fn folds(name: &'static str, summary: &'static str, of: fn(&FoldSides) -> Count) -> Measure {
    Measure { name, summary, bare: Op::Most, looks: Looks::AcrossFolds(of) }
}

/// What was counted somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where: `test in train`, `fold 3`, `train`; nothing for all rows.
    pub place: String,
    /// How many.
    pub count: Count,
    /// Rows that could have been.
    pub of: u64,
    /// The key of `examples` of rows to look at.
    pub examples: Option<String>,
}

impl Measure {
    /// The measure that `name` names, and the split that it is bounded in.
    pub fn named(name: &str) -> Option<(&'static Measure, Option<&str>)> {
        if let Some(measure) = MEASURES.iter().find(|measure| measure.name == name) {
            return Some((measure, None));
        }
        let (split, bare) = name.rsplit_once('.')?;
        let of_side = |looks: &Looks| matches!(looks, Looks::Rows(_) | Looks::EachSplit(_));
        MEASURES.iter().find(|measure| measure.name == bare && of_side(&measure.looks)).map(|m| (m, Some(split)))
    }

    /// What was counted, in every place where this is looked for; an error says why nothing was.
    pub fn found(&self, split: Option<&str>, data: &DataSummary) -> Result<Vec<Found>, String> {
        let ledger = &data.ledger;
        let in_split = |name: &str, side: &Side, of: fn(&Side) -> Count| Found {
            place: name.to_owned(),
            count: of(side),
            of: side.rows,
            examples: self.name.starts_with("conflicting").then(|| match name {
                "" => "conflict".to_owned(),
                split => format!("conflict/{split}"),
            }),
        };
        let too_many = || Err("there are too many splits".to_owned());
        match (self.looks, split) {
            (Looks::EachSplit(_), None) | (Looks::AcrossSplits(_), _) if ledger.splits_left_out > 0 => too_many(),
            (Looks::Rows(of) | Looks::EachSplit(of), Some(split)) => {
                let names: Vec<&str> = ledger.splits.iter().map(|side| side.split.as_str()).collect();
                match ledger.splits.iter().find(|side| side.split == split) {
                    Some(found) => Ok(vec![in_split(split, &found.side, of)]),
                    None if names.is_empty() => Err("the rows have no splits".to_owned()),
                    None if ledger.splits_left_out > 0 => too_many(),
                    None => Err(format!("there is no split `{split}`; the splits are {}", names.join(", "))),
                }
            }
            (Looks::EachSplit(of), None) if !ledger.splits.is_empty() => {
                Ok(ledger.splits.iter().map(|side| in_split(&side.split, &side.side, of)).collect())
            }
            (Looks::Rows(of) | Looks::EachSplit(of), None) => Ok(vec![in_split("", &ledger.whole, of)]),
            (Looks::AcrossSplits(_), _) if ledger.across_splits.is_empty() => {
                Err("the rows have no splits to compare".to_owned())
            }
            (Looks::AcrossSplits(of), _) => Ok(ledger
                .across_splits
                .iter()
                .map(|across| Found {
                    place: format!("{} in {}", across.rows_of, across.stand_in),
                    count: of(across),
                    of: across.rows,
                    examples: Some(format!("{}/{}", across.stand_in, across.rows_of)),
                })
                .collect()),
            (Looks::AcrossFolds(_), _) if ledger.folds.is_empty() => {
                Err("nothing is evaluated, so there are no folds".to_owned())
            }
            (Looks::AcrossFolds(of), _) => Ok(ledger
                .folds
                .iter()
                .map(|fold| Found {
                    place: format!("fold {}", fold.fold + 1),
                    count: of(fold),
                    of: fold.test.rows,
                    examples: (fold.fold == 0).then(|| "folds".to_owned()),
                })
                .collect()),
        }
    }
}

/// How a count is held against a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Below,
    /// `<=`
    Most,
    /// `>`
    Above,
    /// `>=`
    Least,
    /// `==`
    Equal,
}

const OPS: [(&str, Op); 6] =
    [("<=", Op::Most), (">=", Op::Least), ("==", Op::Equal), ("<", Op::Below), (">", Op::Above), ("=", Op::Equal)];

/// What a count is held against: a number, or a share of the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// How.
    pub op: Op,
    /// The number; of a share, in percent.
    pub value: f64,
    /// True if it is a share of the rows.
    pub percent: bool,
}

impl Bound {
    /// Reads `0`, `"< 1%"`, `">= 1000"`; `bare` is what a number alone means. An error says what would be right.
    pub fn read(value: &Value, bare: Op) -> Result<Bound, &'static str> {
        const WRONG: &str =
            "a bound is a number of 0 or more, or a comparison such as \"< 1%\", \"<= 5\", \">= 100\", \"== 3\"";
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => return Err(WRONG),
        };
        let (op, rest) = OPS
            .iter()
            .find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (*op, rest)))
            .unwrap_or((bare, text.as_str()));
        let (number, percent) = match rest.trim().strip_suffix('%') {
            Some(share) => (share.trim_end(), true),
            None => (rest.trim(), false),
        };
        let plain = number.starts_with(|c: char| c.is_ascii_digit());
        match number.parse::<f64>() {
            Ok(value) if plain && value.is_finite() => Ok(Bound { op, value, percent }),
            _ => Err(WRONG),
        }
    }

    /// True if so many of so many rows are within it. A share of no rows is 0.
    pub fn holds(&self, count: u64, of: u64) -> bool {
        let found = if self.percent { 100.0 * count as f64 / of.max(1) as f64 } else { count as f64 };
        match self.op {
            Op::Below => found < self.value,
            Op::Most => found <= self.value,
            Op::Above => found > self.value,
            Op::Least => found >= self.value,
            Op::Equal => found == self.value,
        }
    }

    /// True if more is better.
    pub fn asks_for_more(&self) -> bool {
        matches!(self.op, Op::Above | Op::Least)
    }
}

impl Op {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        OPS.iter().find(|(_, op)| *op == self).map_or("", |(sign, _)| sign)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.op.sign(), self.value, if self.percent { "%" } else { "" })
    }
}

impl Copies {
    /// True if there are none by any measure.
    pub fn is_none(&self) -> bool {
        self.exact == 0 && self.folded == 0 && self.near.unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_are_read_and_held() {
        let read = |value: Value| Bound::read(&value, Op::Most).unwrap();
        assert_eq!(read(json!(0)).to_string(), "<= 0");
        assert_eq!(read(json!("<1 %")).to_string(), "< 1%");
        assert_eq!(read(json!(" >= 100 ")).to_string(), ">= 100");
        assert_eq!(read(json!("= 3")).to_string(), "== 3");
        assert_eq!(read(json!("2.5%")).to_string(), "<= 2.5%");
        for wrong in
            [json!(-1), json!("< "), json!("about 3"), json!(true), json!(null), json!("< -1"), json!("nan"), json!([])]
        {
            assert!(Bound::read(&wrong, Op::Most).is_err(), "{wrong}");
        }
        assert!(read(json!("< 1%")).holds(9, 1000) && !read(json!("< 1%")).holds(10, 1000));
        assert!(read(json!(3)).holds(3, 0) && !read(json!(3)).holds(4, 0));
        assert!(read(json!("> 2")).holds(3, 0) && read(json!("== 3")).holds(3, 0) && !read(json!(">= 4")).holds(3, 9));
    }

    #[test]
    fn names_are_told_apart() {
        let (measure, split) = Measure::named("test.rows").unwrap();
        assert_eq!((measure.name, split), ("rows", Some("test")));
        assert!(Measure::named("test.duplicates_across_splits").is_none());
        assert!(Measure::named("row").is_none());
        for (at, measure) in MEASURES.iter().enumerate() {
            assert!(MEASURES.iter().skip(at + 1).all(|other| other.name != measure.name), "{}", measure.name);
        }
    }
}
