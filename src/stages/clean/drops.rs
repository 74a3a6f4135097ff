//! Which rows are not worth keeping?

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::params::{Conflicts, Duplicates, Measure, NearDuplicates, Params};
use crate::ml::near::{self, Exact, Sets, Signature};
use crate::stage::{Ctx, Output, StageError};
use crate::table::target::Target;

/// Which rows are kept, and what was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) keep: Vec<bool>,
    empty: u64,
    short: u64,
    long: u64,
    /// Rows dropped because a row that stays has the same text.
    repeated: u64,
    /// Rows dropped because a row that stays has nearly the same text.
    near: u64,
    /// Rows dropped because their text has different labels.
    disputed: u64,
    conflicting_texts: u64,
    conflicting_rows: u64,
    /// Rows whose text stands in another split or fold as well.
    across: u64,
}

/// Which split and fold a row is in, where the data says so.
type Side<'a> = (Option<&'a str>, Option<i64>);

/// What a row is labelled with: one class, or several.
type Label<'a> = (Option<&'a str>, Option<&'a [String]>);

/// Chooses the rows that stay. Repeats count within one split and fold: what is held out may not decide what is trained on.
pub(super) fn choose(params: &Params, texts: &[String], target: &Target, ctx: &Ctx<'_>) -> Result<Choice, StageError> {
    let mut choice = Choice { keep: vec![true; texts.len()], ..Choice::default() };
    let mut left = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        choice.keep[row] = choice.is_worth(params, text);
        if choice.keep[row] {
            left.push(row);
        }
    }
    let equal = params.duplicates == Duplicates::Drop;
    if !equal && params.near_duplicates.is_none() {
        return Ok(choice);
    }
    let side = |row: usize| -> Side<'_> {
        let split = target.split.as_ref().and_then(|splits| splits.get(row)).and_then(Option::as_deref);
        (split, target.fold.as_ref().and_then(|folds| folds.get(row)).copied().flatten())
    };
    let mut first_side: FxHashMap<&str, Side<'_>> = FxHashMap::default();
    let mut first: FxHashMap<(&str, Side<'_>), usize> = FxHashMap::default();
    let mut sets = Sets::new(texts.len());
    // the first row of each text
    let mut leaders: Vec<usize> = Vec::new();
    for &row in &left {
        let text = texts[row].as_str();
        choice.across += u64::from(*first_side.entry(text).or_insert(side(row)) != side(row));
        match *first.entry((text, side(row))).or_insert(row) {
            same if same == row => leaders.push(row),
            same => {
                sets.join(same, row);
            }
        }
    }
    if let Some(near) = params.near_duplicates {
        let mut by_side: Vec<(Side<'_>, Vec<usize>)> = Vec::new();
        let mut place: FxHashMap<Side<'_>, usize> = FxHashMap::default();
        for row in leaders {
            let at = *place.entry(side(row)).or_insert(by_side.len());
            if at == by_side.len() {
                by_side.push((side(row), Vec::new()));
            }
            by_side[at].1.push(row);
        }
        for (_, rows) in by_side {
            join_near(near, &rows, texts, &mut sets, ctx)?;
        }
    }
    let mut groups: FxHashMap<usize, usize> = FxHashMap::default();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for row in left {
        let at = *groups.entry(sets.first(row)).or_insert(members.len());
        if at == members.len() {
            members.push(Vec::new());
        }
        members[at].push(row);
    }
    for rows in members.iter().filter(|rows| rows.len() > 1) {
        choice.settle(params.conflicts, rows, texts, target)?;
    }
    Ok(choice)
}

/// The texts that would be dropped whatever the others are: 1 for each, by reason.
pub(super) fn dropped(params: &Params, texts: &[String]) -> Vec<(&'static str, Vec<u64>)> {
    let mut counts = ["dropped_empty", "dropped_short", "dropped_long"].map(|name| (name, vec![0; texts.len()]));
    for (row, text) in texts.iter().enumerate() {
        let mut choice = Choice::default();
        choice.is_worth(params, text);
        counts.iter_mut().zip([choice.empty, choice.short, choice.long]).for_each(|(count, of)| count.1[row] = of);
    }
    counts.into()
}

/// Joins rows whose texts are nearly the same.
fn join_near(
    near: NearDuplicates,
    rows: &[usize],
    texts: &[String],
    sets: &mut Sets,
    ctx: &Ctx<'_>,
) -> Result<(), StageError> {
    ctx.check()?;
    let folded: Vec<String> = rows.par_iter().map(|&row| near::fold(&texts[row])).collect();
    let signatures: Vec<Option<Signature>> = folded.par_iter().map(|text| near::signature(text)).collect();
    ctx.check()?;
    let signatures: Vec<Option<&Signature>> = signatures.iter().map(Option::as_ref).collect();
    let mut exact = Exact::new(&folded);
    let groups =
        near::groups(&signatures, near.threshold, &mut |a, b| !ctx.is_cancelled() && exact.alike(a, b, near.threshold));
    ctx.check()?;
    for (row, first) in rows.iter().zip(groups) {
        sets.join(rows[first], *row);
    }
    Ok(())
}

impl Choice {
    /// Is a text long enough, and not too long?
    fn is_worth(&mut self, params: &Params, text: &str) -> bool {
        if params.drop_empty && text.trim().is_empty() {
            self.empty += 1;
            return false;
        }
        let (min, max) = (params.length.min.unwrap_or(0), params.length.max.unwrap_or(usize::MAX));
        if min == 0 && max == usize::MAX {
            return true;
        }
        let length = match params.length.unit {
            Measure::Characters => text.chars().count(),
            Measure::Words => text.split_whitespace().count(),
        };
        self.short += u64::from(length < min);
        self.long += u64::from(length > max);
        (min..=max).contains(&length)
    }

    /// Of rows with one text (or nearly so) at most one stays.
    fn settle(
        &mut self,
        conflicts: Conflicts,
        rows: &[usize],
        texts: &[String],
        target: &Target,
    ) -> Result<(), StageError> {
        let label = |row: usize| -> Label<'_> {
            let one = target.label.as_ref().and_then(|labels| labels.get(row)).and_then(Option::as_deref);
            (one, target.label_set.as_ref().and_then(|sets| sets.get(row)).map(Vec::as_slice))
        };
        let mut stays = rows.first().copied();
        let conflict = rows.windows(2).find(|pair| label(pair[0]) != label(pair[1]));
        if let Some(pair) = conflict {
            self.conflicting_texts += 1;
            self.conflicting_rows += rows.len() as u64;
            match conflicts {
                Conflicts::KeepFirst => {}
                Conflicts::DropAll => stays = None,
                Conflicts::Majority => {
                    let mut common: FxHashMap<Label<'_>, u64> = FxHashMap::default();
                    rows.iter().for_each(|&row| *common.entry(label(row)).or_default() += 1);
                    // the last of equals, so the first row
                    stays = rows.iter().copied().rev().max_by_key(|&row| common.get(&label(row)).copied());
                }
                Conflicts::Fail => return Err(disputed(target, pair, &label)),
            }
        }
        for &row in rows.iter().filter(|&&row| Some(row) != stays) {
            self.keep[row] = false;
            match stays {
                None => self.disputed += 1,
                Some(kept) if texts[kept] == texts[row] => self.repeated += 1,
                Some(_) => self.near += 1,
            }
        }
        Ok(())
    }

    /// Says what was dropped, and why.
    pub(super) fn tell(&self, params: &Params, mut output: Output) -> Output {
        let (short, long) = (params.length.min.is_some(), params.length.max.is_some());
        let equal = params.duplicates == Duplicates::Drop || params.near_duplicates.is_some();
        let facts = [
            ("dropped_empty", params.drop_empty, self.empty),
            ("dropped_short", short, self.short),
            ("dropped_long", long, self.long),
            ("dropped_duplicates", equal, self.repeated),
            ("dropped_near_duplicates", params.near_duplicates.is_some(), self.near),
            ("dropped_conflicting", params.conflicts == Conflicts::DropAll, self.disputed),
            ("conflicting_texts", equal, self.conflicting_texts),
            ("conflicting_rows", equal, self.conflicting_rows),
            ("duplicates_across", self.across > 0, self.across),
        ];
        for (name, _, count) in facts.into_iter().filter(|(_, told, _)| *told) {
            output = output.fact(name, count);
        }
        if self.conflicting_texts > 0 {
            let done = match params.conflicts {
                Conflicts::DropAll => "all were dropped",
                Conflicts::Majority => "a row of the most common label was kept",
                Conflicts::KeepFirst | Conflicts::Fail => "the first row's label was kept",
            };
            output = output.warn(format!(
                "{} in {} rows with different labels; {done}",
                if self.conflicting_texts == 1 {
                    "1 text stands".to_owned()
                } else {
                    format!("{} texts stand", self.conflicting_texts)
                },
                self.conflicting_rows
            ));
        }
        if self.across > 0 {
            output = output.warn(format!(
                "{} rows repeat a text of another split or fold; they were kept, since dropping one side would let held-out rows decide what is trained on",
                self.across
            ));
        }
        output
    }
}

fn disputed<'a>(target: &'a Target, pair: &[usize], label: &dyn Fn(usize) -> Label<'a>) -> StageError {
    let told = |row: usize| {
        let label = match label(row) {
            (Some(one), _) => format!("`{one}`"),
            (None, Some(set)) => format!("`{}`", set.join(", ")),
            (None, None) => "no label".to_owned(),
        };
        format!("row `{}` has {label}", target.row_id[row])
    };
    let message = format!("one text has different labels: {}, {}", told(pair[0]), told(pair[1]));
    let error = StageError::failed(message).at_param(&["conflicts"]);
    error.help("correct the labels, or choose `conflicts: keep_first`, `majority` or `drop_all`")
}
