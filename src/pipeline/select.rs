//! Which variants of a pipeline are asked for?
//!
//! By label, by id or its first digits, or by the values of some axes (`features=both`); and one shard of several
//! (`hash:2/4`), by a hash of the variant's id, so that another variant more moves no other to another shard.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::labels::{self, alike};
use super::limit::MOST_VARIANTS;
use super::{Variant, identity};
use crate::problem::{Origin, Problem, Problems, suggest};
use crate::record::Selection;

/// So many labels are listed in a message.
const LISTED: usize = 8;

/// Which variants are asked for, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Choosing<'a> {
    /// Labels, ids, the first digits of ids, or settings of axes; all variants if there is none.
    pub variants: &'a [String],
    /// One shard of several: `hash:2/4`.
    pub partition: Option<&'a str>,
    /// More variants than this are refused.
    pub most: usize,
}

impl Default for Choosing<'_> {
    fn default() -> Self {
        Choosing { variants: &[], partition: None, most: MOST_VARIANTS }
    }
}

impl Choosing<'_> {
    /// True if not all variants are asked for.
    pub(super) fn narrows(&self) -> bool {
        !self.variants.is_empty() || self.partition.is_some()
    }
}

/// The variants that are asked for, in their order; and what restricted them, if anything did.
pub(super) fn select(
    all: Vec<Variant>,
    choosing: &Choosing<'_>,
) -> Result<(Vec<Variant>, Option<Selection>), Problems> {
    if !choosing.narrows() {
        return Ok((all, None));
    }
    let of = all.len() as u64;
    let mut problems = Problems::default();
    let mut wanted: BTreeSet<usize> = BTreeSet::new();
    for text in choosing.variants {
        match meant(text, &all) {
            Ok(found) => wanted.extend(found),
            Err(problem) => problems.push(problem.at(flag(format!("--variant {text}")))),
        }
    }
    let shard = choosing.partition.map(|text| {
        Shard::read(text).map_err(|problem| problems.push(problem.at(flag(format!("--partition {text}")))))
    });
    if !problems.0.is_empty() {
        return Err(problems);
    }
    let shard = shard.and_then(Result::ok);
    let chosen = |index: &usize| choosing.variants.is_empty() || wanted.contains(index);
    let mut selected: Vec<Variant> = Vec::new();
    for (index, variant) in all.into_iter().enumerate() {
        if chosen(&index) && shard.is_none_or(|shard| shard.holds(&variant.id)) {
            selected.push(variant);
        }
    }
    let selection = Selection {
        variants: choosing.variants.to_vec(),
        partition: choosing.partition.map(str::to_owned),
        selected: selected.len() as u64,
        of,
    };
    Ok((selected, Some(selection)))
}

fn flag(text: String) -> Origin {
    Origin::Flag { text: text.into(), overrides: None }
}

fn names(variant: &Variant) -> impl Iterator<Item = &str> {
    std::iter::once(variant.label.as_str()).chain(variant.aliases.iter().map(String::as_str))
}

/// The variants that a text means.
fn meant(text: &str, all: &[Variant]) -> Result<Vec<usize>, Box<Problem>> {
    let whole = |variant: &Variant| variant.id == text || names(variant).any(|name| name == text);
    if let Some(index) = all.iter().position(whole) {
        return Ok(vec![index]);
    }
    if let Some(settings) = labels::settings(text) {
        return with(text, &settings, all);
    }
    let begins = |index: &usize| !text.is_empty() && all[*index].id.starts_with(text);
    let found: Vec<usize> = (0..all.len()).filter(begins).collect();
    match found.as_slice() {
        [_] => Ok(found),
        [] => Err(Box::new(unknown(text, all))),
        several => {
            let ids = several.iter().take(LISTED).map(|index| format!("{} ({})", all[*index].id, all[*index].label));
            let message = format!("the ids of {} variants begin with `{text}`", several.len());
            let ids = format!("they are {}{}", ids.collect::<Vec<_>>().join("; "), more(several.len()));
            Err(Box::new(Problem::error("unknown-variant", message).note(ids).help("give more digits")))
        }
    }
}

/// The variants that have all of these settings.
fn with(text: &str, settings: &[(&str, &str)], all: &[Variant]) -> Result<Vec<usize>, Box<Problem>> {
    let has = |name: &str, (axis, value): &(&str, &str), same: fn(&str, &str) -> bool| {
        let own = labels::settings(name).unwrap_or_default();
        own.iter().any(|(other, given)| alike(axis, other) && same(value, given))
    };
    // What is exactly that comes first: `1` may be a number of rows and `1.0` a share of them.
    for same in [|one: &str, other: &str| one == other, alike] {
        let named = |name: &str| settings.iter().all(|setting| has(name, setting, same));
        let found: Vec<usize> = (0..all.len()).filter(|index| names(&all[*index]).any(named)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    for setting @ (axis, value) in settings {
        let known: Vec<&str> =
            in_order(all.iter().flat_map(names).flat_map(labels::settings).flatten().map(|own| own.0));
        if !known.iter().any(|other| alike(axis, other)) {
            let problem = Problem::error("unknown-variant", format!("no variant has the axis `{axis}`"));
            let problem = match suggest(axis, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}={value}`?")),
                None => problem,
            };
            let known =
                if known.is_empty() { "there are none".to_owned() } else { format!("the axes are {}", listed(&known)) };
            return Err(Box::new(problem.note(known)));
        }
        if !all.iter().any(|variant| names(variant).any(|name| has(name, setting, alike))) {
            let own = all.iter().flat_map(names).flat_map(labels::settings).flatten();
            let values: Vec<&str> = in_order(own.filter(|own| alike(axis, own.0)).map(|own| own.1));
            let problem = Problem::error("unknown-variant", format!("no variant has `{axis}={value}`"));
            let problem = match suggest(value, values.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{axis}={near}`?")),
                None => problem,
            };
            return Err(Box::new(problem.note(format!("its values are {}", listed(&values)))));
        }
    }
    let message = format!("no variant has all of `{text}`");
    Err(Box::new(Problem::error("unknown-variant", message).help("`fuseline plan FILE` lists the variants")))
}

/// Each once, in the order of the first.
fn in_order<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = FxHashSet::default();
    all.filter(|one| seen.insert(*one)).collect()
}

fn unknown(text: &str, all: &[Variant]) -> Problem {
    let problem = Problem::error("unknown-variant", format!("there is no variant `{text}`"));
    let labels: Vec<&str> = all.iter().flat_map(names).filter(|label| !label.is_empty()).collect();
    let near = suggest(text, labels.iter().copied().chain(all.iter().map(|variant| variant.id.as_str())));
    let problem = match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("name a label, an id (its first digits are enough), or an axis: `features=both`"),
    };
    let of_an_axis = labels.iter().flat_map(|label| labels::settings(label)).flatten().find(|own| alike(own.1, text));
    let problem = match of_an_axis {
        Some((axis, value)) => problem.help(format!("or `{axis}={value}`?")),
        None => problem,
    };
    if labels.is_empty() {
        return problem.note("the pipeline has one variant, without a label");
    }
    problem.note(format!("the variants are {}", listed(&labels)))
}

fn listed(names: &[&str]) -> String {
    let few: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    format!("{}{}", few.join(", "), more(names.len()))
}

fn more(count: usize) -> String {
    if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() }
}

/// One of several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    /// From 1.
    number: u64,
    of: u64,
}

impl Shard {
    fn read(text: &str) -> Result<Shard, Box<Problem>> {
        let wrong = |why: String| {
            let help = "write `--partition hash:I/N`: shard I of N, from `hash:1/N` to `hash:N/N`";
            Box::new(Problem::error("usage", why).help(help))
        };
        let numbers = text.strip_prefix("hash:").and_then(|rest| rest.split_once('/'));
        let Some((number, of)) = numbers.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?))) else {
            return Err(wrong(format!("`{text}` is not a partition")));
        };
        match (number, of) {
            (_, 0) => Err(wrong("there cannot be 0 shards".to_owned())),
            (0, _) => Err(wrong("shards count from 1".to_owned())),
            (number, of) if number > of => Err(wrong(format!("there is no shard {number} of {of}"))),
            (number, of) => Ok(Shard { number, of }),
        }
    }

    /// True if a variant is in this shard.
    fn holds(self, id: &str) -> bool {
        identity::spread(id) % self.of + 1 == self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_count_from_one_and_are_all_of_the_ids() {
        assert_eq!(Shard::read("hash:2/4").unwrap(), Shard { number: 2, of: 4 });
        for wrong in ["2/4", "hash:0/4", "hash:5/4", "hash:1/0", "hash:1", "hash:a/b", "", "slice:1/2"] {
            assert!(Shard::read(wrong).is_err(), "{wrong}");
        }
        let ids: Vec<String> = (0..1000_u32).map(|n| format!("{n:012x}")).collect();
        let held = |number: u64| ids.iter().filter(|id| Shard { number, of: 4 }.holds(id)).count();
        let counts = [held(1), held(2), held(3), held(4)];
        assert_eq!(counts.iter().sum::<usize>(), 1000);
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
    }
}
