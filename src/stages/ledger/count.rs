//! What is counted over some rows, and between two sides?

use std::collections::BTreeSet;

use super::columns::{Columns, NONE, Ranked};
use super::{EXAMPLES, Shown};
use crate::record::{Conflicts, Copies, Noted, Overlap, Side, Spread, Truncated};

/// Counts over the rows for which `keep` is true.
pub(super) fn side(columns: &Columns, keep: &[bool]) -> Side {
    let kept = || (0..columns.rows()).filter(|&row| keep[row]);
    let rows = kept().count() as u64;
    let mut classes = vec![0_u64; columns.classes.len()];
    let mut unlabelled = 0;
    for row in kept() {
        unlabelled += u64::from(columns.label[row] == NONE);
        columns.classes_of(row).iter().for_each(|&class| classes[class as usize] += 1);
    }
    let mut languages = vec![0_u64; columns.languages.len()];
    for row in kept() {
        if let Some(count) = languages.get_mut(columns.language[row] as usize) {
            *count += 1;
        }
    }
    let languages = columns.languages.iter().cloned().zip(languages).filter(|(_, count)| *count > 0);
    Side {
        rows,
        empty: kept().filter(|&row| columns.characters.values[row] == 0).count() as u64,
        unlabelled,
        classes,
        characters: spread(&columns.characters, keep, rows),
        words: spread(&columns.words, keep, rows),
        languages: languages.collect(),
        duplicates: Copies {
            exact: rows - distinct(&columns.exact, keep),
            folded: rows - distinct(&columns.folded, keep),
            near: columns.near.as_ref().map(|near| rows - distinct(near, keep)),
        },
        conflicts: conflicts(columns, keep),
        notes: columns.notes.iter().map(|(name, counts)| (name.clone(), noted(counts, keep))).collect(),
        truncated: columns.truncated.iter().map(|lost| truncated(noted(lost, keep))).collect(),
    }
}

fn noted(counts: &[(u32, u64)], keep: &[bool]) -> Noted {
    let kept = || counts.iter().filter(|(row, _)| keep[*row as usize]);
    Noted { rows: kept().count() as u64, total: kept().map(|(_, count)| count).sum() }
}

/// The planner knows which stage it is.
fn truncated(Noted { rows, total }: Noted) -> Truncated {
    Truncated { stage: String::new(), rows, tokens_lost: total }
}

/// Quantiles by nearest rank.
fn spread(of: &Ranked, keep: &[bool], rows: u64) -> Spread {
    if rows == 0 {
        return Spread::default();
    }
    let rank = |share: f64| ((share * rows as f64).ceil() as u64).clamp(1, rows);
    let ranks = [1, rank(0.25), rank(0.5), rank(0.75), rank(0.95), rows];
    let mut found = [0_u64; 6];
    let (mut seen, mut sum) = (0, 0_u64);
    for &row in of.order.iter().filter(|&&row| keep[row as usize]) {
        let value = u64::from(of.values[row as usize]);
        seen += 1;
        sum += value;
        found.iter_mut().zip(ranks).filter(|(_, rank)| *rank == seen).for_each(|(found, _)| *found = value);
    }
    let [min, q1, median, q3, p95, max] = found;
    Spread { min, q1, median, q3, p95, max, mean: sum as f64 / rows as f64 }
}

/// How many different values there are.
fn distinct(first: &[u32], keep: &[bool]) -> u64 {
    let mut seen = vec![false; first.len()];
    (0..first.len()).filter(|&row| keep[row] && !std::mem::replace(&mut seen[first[row] as usize], true)).count() as u64
}

/// For each text the first row of `keep` that has it.
fn first_of(first: &[u32], keep: &[bool]) -> Vec<u32> {
    let mut of = vec![NONE; first.len()];
    for row in (0..first.len()).filter(|&row| keep[row]) {
        let place = &mut of[first[row] as usize];
        if *place == NONE {
            *place = row as u32;
        }
    }
    of
}

fn conflicts(columns: &Columns, keep: &[bool]) -> Conflicts {
    let first = first_of(&columns.exact, keep);
    let mut conflicting = vec![false; columns.rows()];
    for row in (0..columns.rows()).filter(|&row| keep[row]) {
        let text = columns.exact[row] as usize;
        conflicting[text] |= differ(columns, row, first[text] as usize);
    }
    let rows = (0..columns.rows()).filter(|&row| keep[row] && conflicting[columns.exact[row] as usize]).count();
    Conflicts { texts: conflicting.iter().filter(|of| **of).count() as u64, rows: rows as u64 }
}

/// The first few rows whose text carries another label before.
pub(super) fn conflicting(columns: &Columns, keep: &[bool]) -> Shown {
    let first = first_of(&columns.exact, keep);
    let pair = |row: usize| (row, first[columns.exact[row] as usize] as usize);
    let kept = (0..columns.rows()).filter(|&row| keep[row]);
    let conflicting = kept.map(pair).filter(|&(row, other)| differ(columns, row, other));
    conflicting.take(EXAMPLES).map(|(row, other)| (row as u32, other as u32)).collect()
}

/// True if both rows have labels, and not the same.
fn differ(columns: &Columns, row: usize, other: usize) -> bool {
    let (a, b) = (columns.label[row], columns.label[other]);
    a != b && a != NONE && b != NONE
}

/// What two sides share, and rows that show it: relabelled ones first.
pub(super) struct Overlapping {
    pub(super) overlap: Overlap,
    pub(super) shown: Shown,
}

/// What the rows of `here` share with those of `there`.
pub(super) fn overlap(columns: &Columns, there: &[bool], here: &[bool]) -> Overlapping {
    let mut shown = Shown::new();
    let mut count = |first: &[u32]| {
        let of = first_of(first, there);
        let (mut rows, mut relabelled) = (0, 0);
        let (mut other_label, mut same_label) = (Shown::new(), Shown::new());
        for row in (0..columns.rows()).filter(|&row| here[row]) {
            let other = of[first[row] as usize];
            if other == NONE {
                continue;
            }
            rows += 1;
            let differs = differ(columns, row, other as usize);
            relabelled += u64::from(differs);
            let examples = if differs { &mut other_label } else { &mut same_label };
            if examples.len() < EXAMPLES {
                examples.push((row as u32, other));
            }
        }
        if shown.is_empty() {
            shown = other_label.into_iter().chain(same_label).take(EXAMPLES).collect();
        }
        (rows, relabelled)
    };
    let (exact, folded) = (count(&columns.exact), count(&columns.folded));
    let near = columns.near.as_deref().map(count);
    let classes = |keep: &[bool]| {
        let mut has = vec![false; columns.classes.len()];
        for row in (0..columns.rows()).filter(|&row| keep[row]) {
            columns.classes_of(row).iter().for_each(|&class| has[class as usize] = true);
        }
        has
    };
    let (has_there, has_here) = (classes(there), classes(here));
    let only = |has: &[bool], lacks: &[bool]| -> Vec<String> {
        let named = columns.classes.iter().zip(has.iter().zip(lacks));
        named.filter(|(_, (has, lacks))| **has && !**lacks).map(|(name, _)| name.clone()).collect()
    };
    let overlap = Overlap {
        copies: Copies { exact: exact.0, folded: folded.0, near: near.map(|near| near.0) },
        relabelled: Copies { exact: exact.1, folded: folded.1, near: near.map(|near| near.1) },
        grouped: columns.group.as_ref().map(|group| grouped(group, there, here)),
        only_here: only(&has_here, &has_there),
        only_there: only(&has_there, &has_here),
    };
    Overlapping { overlap, shown }
}

/// Rows of `here` whose group stands in `there`.
fn grouped(group: &[u32], there: &[bool], here: &[bool]) -> u64 {
    let of = |group: &&u32| **group != NONE;
    let stands: BTreeSet<u32> =
        group.iter().zip(there).filter(|(g, there)| **there && of(g)).map(|(g, _)| *g).collect();
    group.iter().zip(here).filter(|(g, here)| **here && stands.contains(g)).count() as u64
}
