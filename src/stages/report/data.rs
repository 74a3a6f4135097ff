//! What does a report say? Everything that both renderers need, put in order, none of it markup.

use std::collections::BTreeMap;

use crate::record::{ClassSummary, Importance, Outcome, Results, Status, Summary, UnitSummary, VariantSummary};
use crate::stage::StageError;

use super::alike::add_nearest;
use super::importance::found;
use super::mistakes::{Findings, FoldPrints, compare, findings};
use super::rank::Ranking;
use super::words::{Line, Span, counted, text};

/// At most so many variants are shown in detail.
pub(super) const DETAILED: usize = 12;

/// At most so many confused pairs are listed.
const PAIRS: usize = 25;

/// At most so many failed units are named.
const NAMED: usize = 8;

/// A whole report.
pub(super) struct Note<'a> {
    /// The heading.
    pub(super) title: String,
    /// What went into `summary.json`.
    pub(super) summary: &'a Summary,
    /// The pipeline as it was run.
    pub(super) pipeline: &'a str,
    /// Where it came from.
    pub(super) file: &'a str,
    /// One line: how much was measured.
    pub(super) scope: String,
    /// What a reader must know before the numbers: failures, an interruption, a metric that is missing.
    pub(super) notices: Vec<Line>,
    /// The result in plain words.
    pub(super) verdict: Vec<Line>,
    /// The variants in their places.
    pub(super) ranking: Ranking<'a>,
    /// Variants that were scored otherwise, and so have places of their own.
    pub(super) apart: Vec<Ranking<'a>>,
    /// The first variants in detail, best first.
    pub(super) details: Vec<Detail<'a>>,
    /// What ran and what was reused, in the order of the pipeline.
    pub(super) stages: Vec<StageLine<'a>>,
}

/// One variant in detail.
pub(super) struct Detail<'a> {
    /// For people.
    pub(super) name: String,
    /// Its scores.
    pub(super) variant: &'a VariantSummary,
    /// What its predictions say; `None` where they are not at hand.
    pub(super) findings: Option<Findings>,
    /// What its model looks at, where that was asked.
    pub(super) importance: Option<&'a Importance>,
}

/// Two classes of which one is taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    /// What the rows are.
    pub(super) label: &'a str,
    /// What they are taken for.
    pub(super) predicted: &'a str,
    /// How many.
    pub(super) count: u64,
    /// Rows of the class `label`.
    pub(super) support: u64,
}

/// What became of the units of a stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StageLine<'a> {
    /// The stage's id.
    pub(super) stage: &'a str,
    /// Its kind.
    pub(super) kind: &'a str,
    /// Units that ran.
    pub(super) ran: u64,
    /// Units found in the store.
    pub(super) reused: u64,
    /// Units that failed.
    pub(super) failed: u64,
    /// Units that could not run.
    pub(super) skipped: u64,
    /// Seconds of work in this run.
    pub(super) worked: f64,
    /// Seconds of work that reuse saved.
    pub(super) saved: f64,
}

impl<'a> Note<'a> {
    /// Puts a report together: variants ranked by `metric`, `mistakes` worst mistakes for each that is shown in detail.
    pub(super) fn of(
        results: &'a Results<'a>,
        title: Option<&str>,
        metric: Option<&str>,
        mistakes: usize,
    ) -> Result<Self, StageError> {
        let summary = results.summary;
        let mut apart = Ranking::all(summary, metric);
        let ranking = apart.remove(0);
        let mut details = Vec::new();
        let mut folds = vec![None; summary.variants.len()];
        let mut compared = Vec::new();
        let mut prints = FoldPrints::default();
        let rows = || ranking.rows.iter().chain(apart.iter().flat_map(|other| &other.rows));
        for row in rows().take(DETAILED) {
            let evaluation = results.evaluations.iter().find(|e| e.variant == row.index);
            let findings = evaluation.map(|e| findings(e, mistakes, &mut prints)).transpose()?;
            if let Some(slot) = folds.get_mut(row.index) {
                *slot = findings.as_ref().and_then(|f| f.folds);
            }
            compared.extend(evaluation);
            let importance = found(&summary.importances, &row.variant.id, &row.variant.evaluation);
            details.push(Detail { name: row.name.clone(), variant: row.variant, findings, importance });
        }
        let mut shown: Vec<&mut Findings> = details.iter_mut().filter_map(|d| d.findings.as_mut()).collect();
        compare(&compared, &mut shown)?;
        // those with findings are those that were compared
        add_nearest(&mut compared.into_iter().zip(shown).collect::<Vec<_>>())?;
        Ok(Note {
            title: title.filter(|t| !t.trim().is_empty()).unwrap_or(&summary.name).to_owned(),
            summary,
            pipeline: results.pipeline,
            file: results.file,
            scope: scope(summary, &ranking),
            notices: notices(summary, &ranking, metric),
            verdict: ranking.verdict(&folds),
            stages: stages(summary),
            ranking,
            apart,
            details,
        })
    }

    /// Seconds of work that reuse saved.
    pub(super) fn saved(&self) -> f64 {
        self.stages.iter().map(|s| s.saved).sum()
    }

    /// Seconds of work in this run, over all threads.
    pub(super) fn worked(&self) -> f64 {
        self.stages.iter().map(|s| s.worked).sum()
    }

    /// Ranked variants that are not shown in detail.
    pub(super) fn without_detail(&self) -> usize {
        let apart: usize = self.apart.iter().map(|other| other.rows.len()).sum();
        self.ranking.rows.len() + apart - self.details.len()
    }
}

/// How much was measured: `3 variants, 10 568 rows, 2 classes`.
fn scope(summary: &Summary, ranking: &Ranking<'_>) -> String {
    let mut parts = vec![counted(summary.variants.len() as u64, "variant")];
    if let Some(best) = ranking.rows.first() {
        parts.push(format!("{} scored", counted(best.variant.rows, "row")));
        match best.variant.classes.len() {
            0 => {}
            1 => parts.push("1 class".to_owned()),
            n => parts.push(format!("{n} classes")),
        }
        parts.extend(best.metric.map(|m| counted(m.folds.len() as u64, "fold")));
    }
    parts.join(" · ")
}

/// What must be said before the numbers.
fn notices(summary: &Summary, ranking: &Ranking<'_>, wanted: Option<&str>) -> Vec<Line> {
    let mut out = Vec::new();
    let totals = &summary.totals;
    match summary.status {
        Status::Complete => {}
        Status::Failed => out.push(vec![
            Span::Strong("This report is partial.".to_owned()),
            text(format!(
                " {} failed and {} could not run; it covers what was done.",
                counted(totals.failed, "unit"),
                counted(totals.skipped, "unit")
            )),
        ]),
        Status::Interrupted => out.push(vec![
            Span::Strong("This report is partial.".to_owned()),
            text(format!(
                " The run was stopped with {} still to do; the same command resumes it.",
                counted(totals.skipped, "unit")
            )),
        ]),
    }
    let failed: Vec<&UnitSummary> = summary.units.iter().filter(|u| u.outcome == Outcome::Failed).collect();
    for unit in failed.iter().take(NAMED) {
        let fold = unit.fold.map(|fold| format!(", fold {fold}")).unwrap_or_default();
        out.push(vec![text("Failed: "), Span::Name(unit.stage.clone()), text(format!(" ({}{fold}).", unit.phase))]);
    }
    if failed.len() > NAMED {
        out.push(vec![text(format!("… and {} more.", counted((failed.len() - NAMED) as u64, "failed unit")))]);
    }
    if !ranking.unfinished.is_empty() {
        let mut line = vec![text("Without scores: ")];
        for (i, name) in ranking.unfinished.iter().take(NAMED).enumerate() {
            line.extend([text(if i == 0 { "" } else { ", " }), Span::Name(name.clone())]);
        }
        let more = ranking.unfinished.len().saturating_sub(NAMED);
        line.push(text(if more > 0 { format!(" and {more} more.") } else { ".".to_owned() }));
        out.push(line);
    }
    if let Some(wanted) = wanted.filter(|_| ranking.fell_back) {
        out.push(vec![
            text("The scores have no metric "),
            Span::Code(wanted.to_owned()),
            text("; the variants are ranked by "),
            Span::Code(ranking.metric.clone()),
            text(" instead."),
        ]);
    }
    out
}

/// What became of each stage, in the order of the pipeline.
fn stages(summary: &Summary) -> Vec<StageLine<'_>> {
    let mut lines: Vec<StageLine<'_>> = Vec::new();
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for unit in &summary.units {
        let at = *place.entry(&unit.stage).or_insert_with(|| {
            lines.push(StageLine { stage: &unit.stage, kind: &unit.kind, ..StageLine::default() });
            lines.len() - 1
        });
        let line = &mut lines[at];
        let seconds = if unit.seconds.is_finite() { unit.seconds.max(0.0) } else { 0.0 };
        match unit.outcome {
            Outcome::Ran => (line.ran, line.worked) = (line.ran + 1, line.worked + seconds),
            Outcome::Failed => (line.failed, line.worked) = (line.failed + 1, line.worked + seconds),
            Outcome::Reused => (line.reused, line.saved) = (line.reused + 1, line.saved + seconds),
            Outcome::Skipped => line.skipped += 1,
        }
    }
    lines
}

/// The pairs of classes that are confused most, most confused first, and how many pairs more there are.
pub(super) fn pairs(variant: &VariantSummary) -> (Vec<Pair<'_>>, usize) {
    let class = |at: usize| variant.classes.get(at).map_or("?", |c: &ClassSummary| c.class.as_str());
    let mut out: Vec<Pair<'_>> = Vec::new();
    for (i, row) in variant.confusion.iter().enumerate() {
        let support = row.iter().sum();
        let wrong = row.iter().enumerate().filter(|(j, count)| *j != i && **count > 0);
        out.extend(wrong.map(|(j, count)| Pair { label: class(i), predicted: class(j), count: *count, support }));
    }
    // stable: equal counts stay in the order of the classes
    out.sort_by_key(|pair| std::cmp::Reverse(pair.count));
    let more = out.len().saturating_sub(PAIRS);
    out.truncate(PAIRS);
    (out, more)
}

/// The classes for a table: as they are where they are few, hardest first where they are many.
pub(super) fn classes(variant: &VariantSummary, few: usize) -> Vec<&ClassSummary> {
    let mut out: Vec<&ClassSummary> = variant.classes.iter().collect();
    if out.len() > few {
        out.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    }
    out
}

/// True if a variant's confusion matrix is square, as large as its list of classes and not empty.
pub(super) fn has_confusion(variant: &VariantSummary) -> bool {
    let n = variant.classes.len();
    n > 0 && variant.confusion.len() == n && variant.confusion.iter().all(|row| row.len() == n)
}

#[cfg(test)]
mod tests {
    use super::super::example::{results, summary, unit, variant};
    use super::super::words::plain;
    use super::*;

    #[test]
    fn a_partial_run_says_so_first() {
        let mut run = summary(vec![variant("a", &[0.5]), variant("b", &[0.6])]);
        run.status = Status::Failed;
        run.variants[1].metrics.clear();
        run.units = vec![unit("tfidf", Some(3), Outcome::Failed, 1.0), unit("model", Some(3), Outcome::Skipped, 0.0)];
        run.totals.failed = 1;
        run.totals.skipped = 1;
        let results = results(&run, Vec::new());
        let note = Note::of(&results, None, Some("f1_macro"), 5).unwrap();
        let notices: Vec<String> = note.notices.iter().map(plain).collect();
        assert_eq!(
            notices,
            [
                "This report is partial. 1 unit failed and 1 unit could not run; it covers what was done.",
                "Failed: tfidf (fit, fold 3).",
                "Without scores: b.",
                "The scores have no metric f1_macro; the variants are ranked by accuracy instead.",
            ]
        );
        assert_eq!(note.title, run.name);
    }

    #[test]
    fn stages_add_up_work_and_savings() {
        let mut run = summary(vec![]);
        run.units = vec![
            unit("a", None, Outcome::Reused, 2.5),
            unit("b", Some(0), Outcome::Ran, 1.0),
            unit("b", Some(1), Outcome::Ran, f64::NAN),
            unit("a", None, Outcome::Ran, 0.5),
        ];
        let lines = stages(&run);
        assert_eq!(lines.iter().map(|l| l.stage).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((lines[0].worked, lines[0].saved, lines[0].reused), (0.5, 2.5, 1));
        assert_eq!((lines[1].worked, lines[1].ran), (1.0, 2));
    }

    #[test]
    fn the_most_confused_pairs_come_first() {
        let mut one = variant("a", &[0.5]);
        one.confusion = vec![vec![5, 2], vec![3, 4]];
        let (found, more) = pairs(&one);
        assert_eq!(found[0], Pair { label: "positive", predicted: "negative", count: 3, support: 7 });
        assert_eq!((found.len(), more), (2, 0));
        assert!(has_confusion(&one));
        one.confusion.pop();
        assert!(!has_confusion(&one));
    }
}
