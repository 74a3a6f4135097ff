//! How are texts made alike, and which rows are not worth keeping?
//!
//! The operations run in one fixed order, whatever the order in the file: `mojibake`, `html`, `entities`, `unicode`, `control`,
//! `zero_width`, `case`, `mask` (url, email, user, number), `replace`, `whitespace`, then `drop_empty`, `length`, `duplicates` and
//! `near_duplicates`. What was read wrongly is repaired before anything looks at it; markup goes early, because entities hide
//! characters that the later steps must see; white space goes last, because others leave it behind. Without the last four every
//! row is kept and mapped by itself; with one of them the stage makes a new set of rows.

mod characters;
mod drops;
mod html;
mod operations;
mod params;
#[cfg(test)]
mod tests;

use arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use rayon::prelude::*;
use serde_json::json;

use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, FRAME_PARTS, Files, Mapped, Mapper, Output, Parts, Port, Refusal, RowWise, Scope, Stage,
    StageError, StageKind, Totals, WholeTable, Work,
};
use crate::table;
use crate::table::target::Target;
use drops::{choose, dropped};
use operations::{Operation, Touched, apply, operations};
use params::{Conflicts, Duplicates, Entities, Html, Length, Params};

/// Texts between two looks at whether the run is to end.
const AT_ONCE: usize = 1024;

/// Cleans texts; drops empty and repeated rows if asked to.
pub(super) struct Clean {
    params: Params,
    operations: Vec<Operation>,
}

impl StageKind for Clean {
    const KIND: &'static str = "clean";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "normalises texts and drops empty or repeated rows";
    const EXAMPLE: &'static str =
        "{ use: clean, from: ingest, with: { html: strip, unicode: nfkc, whitespace: collapse } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = check(&params, at);
        let operations = match operations(&params, at) {
            Ok(operations) => operations,
            Err(more) => {
                problems.0.extend(more.0);
                Vec::new()
            }
        };
        if !problems.0.is_empty() {
            return Err(problems);
        }
        let clean = Clean { params, operations };
        Ok(if clean.drops() { Work::WholeTable(Box::new(clean)) } else { Work::RowWise(Box::new(clean)) })
    }
}

/// Complains about parameters that do not go together.
fn check(params: &Params, at: &Scope<'_>) -> Problems {
    let mut problems = Problems::default();
    if params.html == Html::Strip && params.entities == Entities::Unescape {
        let problem = at.problem("invalid-param", &["entities"], "`html: strip` has unescaped entities already");
        problems.push(problem.help("remove `entities`, or entities would be unescaped twice"));
    }
    if let Length { min: Some(min), max: Some(max), .. } = params.length
        && min > max
    {
        let message = format!("`min` must not be above `max`, but is {min} above {max}");
        problems.push(at.problem("out-of-range", &["length", "min"], message));
    }
    if let Some(near) = params.near_duplicates
        && !(near.threshold > 0.0 && near.threshold <= 1.0)
    {
        let message = format!("`threshold` must be above 0 and at most 1, but is {}", near.threshold);
        problems.push(at.problem("out-of-range", &["near_duplicates", "threshold"], message));
    }
    let compares = params.duplicates == Duplicates::Drop || params.near_duplicates.is_some();
    if params.conflicts != Conflicts::KeepFirst && !compares {
        let problem = at.problem(
            "invalid-param",
            &["conflicts"],
            "`conflicts` is about rows of equal text, but none are looked for",
        );
        problems.push(problem.help("add `duplicates: drop` or `near_duplicates: {}`"));
    }
    problems
}

impl Clean {
    fn drops(&self) -> bool {
        let Params { drop_empty, length, duplicates, near_duplicates, .. } = &self.params;
        *drop_empty
            || length.min.is_some()
            || length.max.is_some()
            || *duplicates == Duplicates::Drop
            || near_duplicates.is_some()
    }

    /// Cleans all texts side by side; how far operations changed each.
    fn texts(&self, texts: &StringArray, ctx: &Ctx<'_>) -> Result<(Vec<String>, Vec<Vec<Touched>>), StageError> {
        let mut cleaned = Vec::with_capacity(texts.len());
        for start in (0..texts.len()).step_by(AT_ONCE) {
            ctx.check()?;
            let rows = start..texts.len().min(start + AT_ONCE);
            cleaned.par_extend(rows.into_par_iter().map(|row| apply(&self.operations, texts.value(row))));
            ctx.progress.progress(cleaned.len() as u64, texts.len() as u64, "texts");
        }
        Ok(cleaned.into_iter().unzip())
    }

    /// For each operation, how many characters of each text it touched.
    fn counts(&self, touched: &[Vec<Touched>]) -> Vec<(&'static str, Vec<u64>)> {
        let mut counts: Vec<_> =
            self.operations.iter().map(|operation| (operation.name, vec![0; touched.len()])).collect();
        for (row, touched) in touched.iter().enumerate() {
            touched.iter().for_each(|&(place, characters)| counts[place].1[row] = characters);
        }
        counts
    }

    /// What was touched, for the record.
    fn touched(&self, totals: &Totals) -> Conclusion {
        self.operations.iter().fold(Conclusion::default(), |conclusion, operation| {
            let count = totals.of(operation.name);
            conclusion.fact(operation.name, json!({ "rows": count.rows, "characters": count.sum }))
        })
    }
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
        if self.drops() { &["text", "target", "columns", "spans", "notes"] } else { &["text"] }
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
    fn open(&self, _: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        Ok(Box::new(self))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        self.touched(totals)
    }
}

impl Mapper for &Clean {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let input = rows.table("text")?;
        let (texts, touched) = self.texts(table::text::texts(&input).map_err(StageError::caused)?, ctx)?;
        let ids = table::row_ids(&input).map_err(StageError::caused)?;
        let text = table::text::table(ids.iter().flatten(), &texts).map_err(StageError::caused)?;
        let mut counts = self.counts(&touched);
        if self.drops() {
            counts.extend(dropped(&self.params, &texts));
        }
        Ok(counts.into_iter().fold(Mapped::table("text", text), |mapped, (name, counts)| mapped.count(name, counts)))
    }
}

impl WholeTable for Clean {
    fn run(&self, inputs: &[Parts], ctx: &Ctx<'_>) -> Result<Output, StageError> {
        let Some(rows) = inputs.first() else { return Err(StageError::failed("`clean` has no input")) };
        let (input, target) = (rows.table("text")?, rows.table("target")?);
        let (texts, touched) = self.texts(table::text::texts(&input).map_err(StageError::caused)?, ctx)?;
        let target = Target::from_table(&target).map_err(StageError::caused)?;
        if target.row_id.len() != texts.len() {
            return Err(StageError::failed("texts and targets are not equally many"));
        }
        let choice = choose(&self.params, &texts, &target, ctx)?;
        if !texts.is_empty() && !choice.keep.contains(&true) {
            return Err(StageError::failed(format!("no row is left: all {} were dropped", texts.len())));
        }
        let ids = table::row_ids(&input).map_err(StageError::caused)?;
        let kept = ids.iter().flatten().zip(&texts).zip(&choice.keep).filter(|(_, keep)| **keep);
        let (ids, kept): (Vec<&str>, Vec<&String>) = kept.map(|(row, _)| row).unzip();
        let mut output = Output::new().table("text", table::text::table(ids, kept).map_err(StageError::caused)?);
        let keep = BooleanArray::from(choice.keep.clone());
        for name in FRAME_PARTS {
            if let Some(part) = rows.part(name) {
                output = output.table(name, filtered(&*part.table()?, &keep)?);
            }
        }
        let mut totals = Totals::default();
        self.counts(&touched).iter().for_each(|(name, counts)| totals.add(name, counts));
        output.facts = self.touched(&totals).facts;
        Ok(choice.tell(&self.params, output))
    }

    fn alone(&self) -> Option<&dyn RowWise> {
        Some(self)
    }
}

fn filtered(table: &RecordBatch, keep: &BooleanArray) -> Result<RecordBatch, StageError> {
    if table.num_rows() != keep.len() {
        return Err(StageError::failed("the tables of the rows are not equally long"));
    }
    arrow::compute::filter_record_batch(table, keep).map_err(StageError::caused)
}
