//! How are texts made alike, and which rows are not worth keeping?
//!
//! The operations run in one fixed order, whatever the order in the file: `html`, `unicode`, `case`, `whitespace`, then
//! `drop_empty`, then `duplicates`. Markup goes first, because entities hide characters that the later steps must see.
//! Without the last two every row is kept and mapped by itself; with one of them the stage makes a new set of rows.

mod html;

use std::borrow::Cow;

use arrow::array::{Array, BooleanArray, StringArray};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use unicode_normalization::UnicodeNormalization;

use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, Files, Mapped, Mapper, Output, Parts, Port, Refusal, RowWise, Scope, Stage, StageError, StageKind,
    Totals, WholeTable, Work,
};
use crate::table;
use crate::table::target::Target;

/// What to do with texts. All operations are off unless asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// `strip` drops tags, comments and the contents of `script` and `style`, decodes entities once, and leaves a space where a
    /// block tag or a line break stood. A `<` that opens no tag stays.
    pub html: Html,
    /// The Unicode normal form to bring texts to.
    pub unicode: Unicode,
    /// `lower` lower-cases, by Unicode's rules without a language.
    pub case: Case,
    /// `trim` cuts white space at both ends; `collapse` also makes each run of white space one space.
    pub whitespace: Whitespace,
    /// Drop rows whose text has nothing but white space after cleaning.
    pub drop_empty: bool,
    /// `drop` keeps only the first of the rows whose cleaned texts are equal, within each split and fold that the data
    /// gives, so that no held-out row decides what is trained on. Texts that had different labels are counted and warned of.
    pub duplicates: Duplicates,
}

/// What to do with markup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Html {
    /// Leave it.
    #[default]
    Keep,
    /// Keep the text alone.
    Strip,
}

/// A Unicode normal form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unicode {
    /// As it is.
    #[default]
    None,
    /// Composed.
    Nfc,
    /// Composed, with compatibility characters replaced.
    Nfkc,
    /// Decomposed.
    Nfd,
    /// Decomposed, with compatibility characters replaced.
    Nfkd,
}

/// What to do with letter case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Case {
    /// Leave it.
    #[default]
    Keep,
    /// Lower-case.
    Lower,
}

/// What to do with white space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Whitespace {
    /// Leave it.
    #[default]
    Keep,
    /// One space for each run, none at the ends.
    Collapse,
    /// None at the ends.
    Trim,
}

/// What to do with rows of equal text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Duplicates {
    /// Leave them.
    #[default]
    Keep,
    /// Keep the first.
    Drop,
}

/// Cleans texts; drops empty and repeated rows if asked to.
pub(super) struct Clean {
    params: Params,
}

impl StageKind for Clean {
    const KIND: &'static str = "clean";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "normalises texts and drops empty or repeated rows";
    const EXAMPLE: &'static str =
        "{ use: clean, from: ingest, with: { html: strip, unicode: nfkc, whitespace: collapse } }";
    type Params = Params;

    fn build(params: Params, _: &Scope<'_>) -> Result<Work, Problems> {
        let clean = Clean { params };
        Ok(if clean.drops() { Work::WholeTable(Box::new(clean)) } else { Work::RowWise(Box::new(clean)) })
    }
}

impl Clean {
    fn drops(&self) -> bool {
        self.params.drop_empty || self.params.duplicates == Duplicates::Drop
    }

    /// Cleans all texts side by side; how far each operation, by its place, changed each text.
    fn texts(&self, texts: &StringArray, ctx: &Ctx<'_>) -> Result<Vec<(String, Touched)>, StageError> {
        let operations = self.operations();
        let mut cleaned = Vec::with_capacity(texts.len());
        for start in (0..texts.len()).step_by(AT_ONCE) {
            ctx.check()?;
            let rows = start..texts.len().min(start + AT_ONCE);
            cleaned.par_extend(rows.into_par_iter().map(|row| one(&operations, texts.value(row))));
            ctx.progress.progress(cleaned.len() as u64, texts.len() as u64, "texts");
        }
        Ok(cleaned)
    }

    /// What was touched, for the record.
    fn touched(&self, totals: &Totals) -> Conclusion {
        self.operations().iter().fold(Conclusion::default(), |conclusion, (name, _)| {
            let count = totals.of(name);
            conclusion.fact(name, json!({ "rows": count.rows, "characters": count.sum }))
        })
    }

    /// The operations that are on, in their order.
    fn operations(&self) -> Vec<(&'static str, Operation)> {
        let mut all: Vec<(&'static str, Operation)> = Vec::new();
        if self.params.html == Html::Strip {
            all.push(("html", html::strip));
        }
        match self.params.unicode {
            Unicode::None => {}
            Unicode::Nfc => all.push(("unicode", |text| normal(text, text.nfc()))),
            Unicode::Nfkc => all.push(("unicode", |text| normal(text, text.nfkc()))),
            Unicode::Nfd => all.push(("unicode", |text| normal(text, text.nfd()))),
            Unicode::Nfkd => all.push(("unicode", |text| normal(text, text.nfkd()))),
        }
        if self.params.case == Case::Lower {
            all.push(("case", |text| Cow::Owned(text.to_lowercase())));
        }
        match self.params.whitespace {
            Whitespace::Keep => {}
            Whitespace::Trim => all.push(("whitespace", |text| Cow::Owned(text.trim().to_owned()))),
            Whitespace::Collapse => {
                all.push(("whitespace", |text| Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "))));
            }
        }
        all
    }
}

type Operation = fn(&str) -> Cow<'_, str>;

/// At most so many operations are on.
const OPERATIONS: usize = 4;

/// Characters from the first to the last that an operation changed in a text, by the operation's place.
type Touched = [u64; OPERATIONS];

/// Texts between two looks at whether the run is to end.
const AT_ONCE: usize = 1024;

fn one(operations: &[(&'static str, Operation)], text: &str) -> (String, Touched) {
    let mut text = text.to_owned();
    let mut touched = Touched::default();
    for ((_, operation), touched) in operations.iter().zip(&mut touched) {
        if let Cow::Owned(new) = operation(&text)
            && new != text
        {
            *touched = changed(&text, &new);
            text = new;
        }
    }
    (text, touched)
}

/// The characters of `before` from the first to the last that is not as it was; at least one.
fn changed(before: &str, after: &str) -> u64 {
    let front = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let back = before.chars().rev().zip(after.chars().rev()).take_while(|(a, b)| a == b).count();
    let (long, other) = (before.chars().count(), after.chars().count());
    let same = (front + back).min(long).min(other);
    ((long - same) as u64).max(1)
}

fn normal(text: &str, form: impl Iterator<Item = char>) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(form.collect()) }
}

impl Stage for Clean {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Rows] => Ok(Port::Rows),
            _ => Err(Refusal {
                input: 0,
                wants: "text",
                fits: |port| port == Port::Rows,
                help: Some("clean texts before they are cut into tokens".to_owned()),
            }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        if self.drops() { &["text", "target"] } else { &["text"] }
    }

    fn keeps_rows(&self) -> bool {
        !self.drops()
    }

    fn advice(&self) -> Vec<String> {
        if self.params == Params::default() {
            vec!["it does nothing: every operation is off unless asked for".to_owned()]
        } else {
            Vec::new()
        }
    }
}

impl RowWise for Clean {
    fn open(&self, _: &Files) -> Result<Box<dyn Mapper + '_>, StageError> {
        Ok(Box::new(self))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        self.touched(totals)
    }
}

impl Mapper for &Clean {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let input = rows.table("text")?;
        let cleaned = self.texts(table::text::texts(&input).map_err(StageError::caused)?, ctx)?;
        let ids = table::row_ids(&input).map_err(StageError::caused)?;
        let texts = cleaned.iter().map(|(text, _)| text);
        let text = table::text::table(ids.iter().flatten(), texts).map_err(StageError::caused)?;
        let of = |place: usize| cleaned.iter().map(|(_, touched)| touched[place]).collect();
        let names = self.operations().into_iter().enumerate();
        Ok(names.fold(Mapped::table("text", text), |mapped, (place, (name, _))| mapped.count(name, of(place))))
    }
}

impl WholeTable for Clean {
    fn run(&self, inputs: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let Some(rows) = inputs.first() else { return Err(StageError::failed("`clean` has no input")) };
        let (input, target) = (rows.table("text")?, rows.table("target")?);
        let cleaned = self.texts(table::text::texts(&input).map_err(StageError::caused)?, ctx)?;
        let (cleaned, touched): (Vec<String>, Vec<Touched>) = cleaned.into_iter().unzip();
        if target.num_rows() != cleaned.len() {
            return Err(StageError::failed("texts and targets are not equally many"));
        }
        let rows_of = Target::from_table(&target).map_err(StageError::caused)?;
        let choice = self.choose(&cleaned, &rows_of);
        let keep = BooleanArray::from(choice.keep.clone());
        let ids = table::row_ids(&input).map_err(StageError::caused)?;
        let chosen =
            ids.iter().flatten().zip(&cleaned).zip(&choice.keep).filter(|(_, keep)| **keep).map(|(row, _)| row);
        let (ids, texts): (Vec<&str>, Vec<&String>) = chosen.unzip();
        if ids.is_empty() && !cleaned.is_empty() {
            return Err(StageError::failed("no row is left: every text is empty after cleaning"));
        }
        let text = table::text::table(ids, texts).map_err(StageError::caused)?;
        let target = arrow::compute::filter_record_batch(&target, &keep).map_err(StageError::caused)?;
        let mut totals = Totals::default();
        for (place, (name, _)) in self.operations().into_iter().enumerate() {
            totals.add(name, &touched.iter().map(|touched| touched[place]).collect::<Vec<u64>>());
        }
        let mut output = Output::new().table("text", text).table("target", target);
        output.facts = self.touched(&totals).facts;
        if self.params.drop_empty {
            output = output.fact("dropped_empty", choice.empty);
        }
        if self.params.duplicates == Duplicates::Drop {
            output = output
                .fact("dropped_duplicates", choice.repeated)
                .fact("conflicting_texts", choice.conflicting_texts)
                .fact("conflicting_rows", choice.conflicting_rows);
            if choice.conflicting_texts > 0 {
                output = output.warn(format!(
                    "{} texts stand in {} rows with different labels; the first row's label was kept",
                    choice.conflicting_texts, choice.conflicting_rows
                ));
            }
            if choice.across > 0 {
                output = output.fact("duplicates_across", choice.across).warn(format!(
                    "{} rows repeat a text of another split or fold; they were kept, since dropping one side would let held-out rows decide what is trained on",
                    choice.across
                ));
            }
        }
        Ok(output)
    }
}

/// Which rows are kept, and what was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    keep: Vec<bool>,
    empty: u64,
    repeated: u64,
    conflicting_texts: u64,
    conflicting_rows: u64,
    /// Rows whose text stands in another split or fold as well.
    across: u64,
}

/// Which split and fold a row is in, where the data says so.
type Side<'a> = (Option<&'a str>, Option<i64>);

/// The rows of one text.
struct Group<'a> {
    label: Option<&'a str>,
    rows: u64,
    conflict: bool,
}

impl Clean {
    /// Repeats count within one split and fold: what is held out may not decide what is trained on.
    fn choose(&self, texts: &[String], target: &Target) -> Choice {
        let mut choice = Choice { keep: Vec::with_capacity(texts.len()), ..Choice::default() };
        let mut place: FxHashMap<(&str, Side<'_>), usize> = FxHashMap::default();
        let mut first_side: FxHashMap<&str, Side<'_>> = FxHashMap::default();
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (row, text) in texts.iter().enumerate() {
            if self.params.drop_empty && text.trim().is_empty() {
                choice.empty += 1;
                choice.keep.push(false);
                continue;
            }
            if self.params.duplicates == Duplicates::Keep {
                choice.keep.push(true);
                continue;
            }
            let label = target.label.as_ref().and_then(|labels| labels.get(row)).and_then(Option::as_deref);
            let split = target.split.as_ref().and_then(|splits| splits.get(row)).and_then(Option::as_deref);
            let fold = target.fold.as_ref().and_then(|folds| folds.get(row)).copied().flatten();
            let side = (split, fold);
            if *first_side.entry(text).or_insert(side) != side {
                choice.across += 1;
            }
            let at = *place.entry((text, side)).or_insert(groups.len());
            match groups.get_mut(at) {
                None => {
                    groups.push(Group { label, rows: 1, conflict: false });
                    choice.keep.push(true);
                }
                Some(group) => {
                    group.rows += 1;
                    group.conflict |= group.label != label;
                    choice.repeated += 1;
                    choice.keep.push(false);
                }
            }
        }
        for group in groups.iter().filter(|group| group.conflict) {
            choice.conflicting_texts += 1;
            choice.conflicting_rows += group.rows;
        }
        choice
    }
}

#[cfg(test)]
mod tests;
