//! What of the data is worth a line?

use super::{Across, Conflicts, Copies, DataSummary, Finding, Overlap, Side};

/// Names that are listed in a line.
const NAMED: usize = 5;

/// From which share of rows on copies are worth a line where they do not cross splits.
const NOTABLE: f64 = 0.005;

/// What is worth knowing, the worst first.
pub fn findings(data: &DataSummary) -> Vec<Finding> {
    let ledger = &data.ledger;
    let mut all = Vec::new();
    if ledger.splits_left_out > 0 {
        let splits = ledger.splits_left_out + ledger.splits.len() as u64;
        let message = format!(
            "there are {} splits, of which {} are looked at; does `split` name the right column?",
            number(splits),
            ledger.splits.len()
        );
        all.push(plain("splits", message, splits, ledger.whole.rows));
    }
    // What the later splits share with the first weighs most: it is learned from.
    let first = ledger.splits.first().map(|split| split.split.as_str());
    let mut pairs: Vec<_> = ledger.across_splits.iter().collect();
    let share_of = |of: &Across| of.overlap.copies.exact as f64 / of.rows.max(1) as f64;
    pairs.sort_by(|a, b| {
        let late = |of: &Across| Some(of.stand_in.as_str()) != first;
        late(a).cmp(&late(b)).then(share_of(b).total_cmp(&share_of(a)))
    });
    for across in pairs {
        let (here, there) = (across.rows_of.as_str(), across.stand_in.as_str());
        let examples = Some(format!("{there}/{here}"));
        if let Some((measure, count, message)) =
            copies(&across.overlap, across.rows, &format!("{here} texts"), &format!("in {there}"))
        {
            all.push(Finding { measure: measure.into(), message, count, of: across.rows, examples });
        }
        if let Some(grouped) = across.overlap.grouped.filter(|rows| *rows > 0) {
            let message = format!("{} of {here} belong to groups that stand in {there}", rows(grouped));
            all.push(plain("groups_across_splits", message, grouped, across.rows));
        }
        unseen(&across.overlap.only_here, here, there, across.rows, &mut all);
    }
    folds(data, &mut all);
    let sides: Vec<(&str, &Side)> = match ledger.splits.as_slice() {
        [] => vec![("", &ledger.whole)],
        splits => splits.iter().map(|split| (split.split.as_str(), &split.side)).collect(),
    };
    for (name, side) in sides {
        inside(name, side, &mut all);
    }
    cut(&ledger.whole, &mut all);
    all
}

/// What rows are in common by the strictest measure that finds any, and what the others find beyond.
fn copies(overlap: &Overlap, of: u64, texts: &str, place: &str) -> Option<(&'static str, u64, String)> {
    let Copies { exact, folded, near } = overlap.copies;
    let near = near.unwrap_or(0);
    let notable = |count: u64| count as f64 >= NOTABLE * of as f64 && count > 0;
    let relabelled = |count: u64| match count {
        0 => String::new(),
        count => format!(", {} with another label", number(count)),
    };
    let standing = |count: u64| if count == 1 { "stands" } else { "stand" };
    let beyond = match () {
        () if exact > 0 && folded > exact => format!("; {} but for case and punctuation", number(folded)),
        () => String::new(),
    };
    let nearly = match () {
        () if exact + folded > 0 && near > folded && notable(near - folded) => {
            format!("; about {} nearly", number(near))
        }
        () => String::new(),
    };
    let head = |count| format!("{} of {} {texts} {} {place}", number(count), number(of), standing(count));
    Some(match () {
        () if exact > 0 => (
            "duplicates_across_splits",
            exact,
            format!("{} ({}){}{beyond}{nearly}", head(exact), share(exact, of), relabelled(overlap.relabelled.exact)),
        ),
        () if folded > 0 => (
            "folded_duplicates_across_splits",
            folded,
            format!(
                "{} but for case and punctuation ({}){}{nearly}",
                head(folded),
                share(folded, of),
                relabelled(overlap.relabelled.folded)
            ),
        ),
        () if notable(near) => {
            ("near_duplicates_across_splits", near, format!("about {} nearly ({})", head(near), share(near, of)))
        }
        () => return None,
    })
}

/// Folds that share texts, groups, or lack classes; a single fold is a hold-out split, of which splits tell.
fn folds(data: &DataSummary, all: &mut Vec<Finding>) {
    let folds = &data.ledger.folds;
    if folds.len() < 2 {
        return;
    }
    let of: u64 = folds.iter().map(|fold| fold.test.rows).sum();
    let sum = |count: fn(&Overlap) -> u64| folds.iter().map(|fold| count(&fold.across)).sum::<u64>();
    let whole = Overlap {
        copies: Copies {
            exact: sum(|across| across.copies.exact),
            folded: sum(|across| across.copies.folded),
            near: Some(sum(|across| across.copies.near.unwrap_or(0))),
        },
        relabelled: Copies {
            exact: sum(|across| across.relabelled.exact),
            folded: sum(|across| across.relabelled.folded),
            near: None,
        },
        ..Overlap::default()
    };
    let most = whole.copies.exact.max(whole.copies.folded);
    if let Some((measure, count, message)) = copies(&whole, of, "tested texts", "in the training rows of their fold")
        .filter(|(_, count, _)| most.max(*count) as f64 >= NOTABLE * of as f64)
    {
        let measure = measure.replace("splits", "folds");
        let message = format!("{message}; `group_duplicates` keeps copies in one fold");
        all.push(Finding { measure, message, count, of, examples: Some("folds".to_owned()) });
    }
    let grouped = sum(|across| across.grouped.unwrap_or(0));
    if grouped > 0 {
        let message = format!("{} belong to groups that stand in the training rows of their fold", tested(grouped));
        all.push(plain("groups_across_folds", message, grouped, of));
    }
    let lacking: Vec<_> = folds.iter().filter(|fold| !fold.across.only_here.is_empty()).collect();
    if let Some(first) = lacking.first() {
        let message = format!(
            "{} of {} folds test classes that they do not train on, as fold {}: {}",
            lacking.len(),
            folds.len(),
            first.fold + 1,
            named(&first.across.only_here)
        );
        all.push(plain("classes_unseen", message, lacking.len() as u64, of));
    }
}

fn unseen(classes: &[String], here: &str, there: &str, of: u64, all: &mut Vec<Finding>) {
    if classes.is_empty() {
        return;
    }
    let message = match classes.len() {
        1 => format!("1 class of {here} is not in {there}: {}", named(classes)),
        some => format!("{some} classes of {here} are not in {there}: {}", named(classes)),
    };
    all.push(plain("classes_unseen", message, classes.len() as u64, of));
}

/// What is found inside one split, or in all rows.
fn inside(name: &str, side: &Side, all: &mut Vec<Finding>) {
    let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
    let Conflicts { texts, rows: conflicting } = side.conflicts;
    if texts > 0 {
        let carry = if texts == 1 { "1 text".to_owned() } else { format!("{} texts", number(texts)) };
        let verb = if texts == 1 { "carries" } else { "carry" };
        let message = format!("{carry}{of} {verb} two or more labels ({})", rows(conflicting));
        let examples = Some(if name.is_empty() { "conflict".to_owned() } else { format!("conflict/{name}") });
        all.push(Finding { measure: "conflicting_texts".into(), message, count: texts, of: side.rows, examples });
    }
    let repeated = side.duplicates.exact;
    if repeated as f64 >= NOTABLE * side.rows as f64 && repeated > 0 {
        let message = format!(
            "{} of {} rows{of} repeat an earlier text ({})",
            number(repeated),
            number(side.rows),
            share(repeated, side.rows)
        );
        all.push(plain("duplicates", message, repeated, side.rows));
    }
    if side.empty > 0 {
        let message = format!("{} of {} texts{of} are empty", number(side.empty), number(side.rows));
        all.push(plain("empty_rows", message, side.empty, side.rows));
    }
}

/// What was or will be lost of texts.
fn cut(whole: &Side, all: &mut Vec<Finding>) {
    for cut in whole.truncated.iter().filter(|cut| cut.rows > 0) {
        let message = format!(
            "`{}` cuts {} of {} texts ({}): {} tokens are lost",
            cut.stage,
            number(cut.rows),
            number(whole.rows),
            share(cut.rows, whole.rows),
            number(cut.tokens_lost)
        );
        all.push(plain("truncated_rows", message, cut.rows, whole.rows));
    }
    if let Some(replaced) = whole.notes.get("replaced").filter(|noted| noted.rows > 0) {
        let message = format!(
            "{} of {} texts held bytes that could not be decoded ({} replaced)",
            number(replaced.rows),
            number(whole.rows),
            number(replaced.total)
        );
        all.push(plain("replaced_bytes", message, replaced.total, whole.rows));
    }
}

fn plain(measure: &str, message: String, count: u64, of: u64) -> Finding {
    Finding { measure: measure.to_owned(), message, count, of, examples: None }
}

fn named(classes: &[String]) -> String {
    let mut names = classes.iter().take(NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if classes.len() > NAMED {
        names.push_str(&format!(" and {} more", classes.len() - NAMED));
    }
    names
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", number(count)) }
}

fn tested(count: u64) -> String {
    if count == 1 { "1 tested row".to_owned() } else { format!("{} tested rows", number(count)) }
}

/// `22.3%`.
pub(crate) fn share(count: u64, of: u64) -> String {
    format!("{:.1}%", 100.0 * count as f64 / of.max(1) as f64)
}

/// `4,154`.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let comma = |(at, digit): (usize, char)| {
        let sep = (at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(',');
        sep.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(comma).collect()
}
