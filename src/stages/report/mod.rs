//! How do the results look to a person? `report`: an HTML page and a Markdown file, made from nothing but the results.
//!
//! Equal results give equal bytes: there is no clock here, and nothing that the results do not hold. Whatever comes from data
//! is escaped in [`words`]; the page forbids itself the network and every script but its own, which it names by digest.

mod alike;
mod chosen;
mod contribution;
mod curves;
mod data;
#[cfg(test)]
mod example;
mod graph;
mod html;
mod importance;
mod ledger;
mod markdown;
mod mistakes;
mod provenance;
mod rank;
mod svg;
mod sweep;
mod trend;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unknown_metric;
use crate::ml::Metric;
use crate::problem::Problems;
use crate::record::Results;
use crate::stage::{Arity, Port, Refusal, Scope, Sink, Stage, StageError, StageKind, Work};

use data::Note;

pub use trend::{PastRun, Trend, trend_page};

/// More mistakes than that make a page no one reads.
const MOST_MISTAKES: u32 = 1000;

/// What a report shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// The heading; the pipeline's name where absent.
    pub title: Option<String>,
    /// The metric that ranks the variants, as `cross_validate` calls it; `accuracy` unless set, or the first that the scores have.
    /// Where classes are very unequal, `f1_macro` or `balanced_accuracy` tell more than `accuracy`.
    pub metric: Option<String>,
    /// How many of a variant's surest mistakes are shown with their text (at most 1000).
    pub mistakes: u32,
    /// The files to write: `html` (`report.html`), `markdown` (`report.md`).
    pub formats: Vec<Format>,
}

impl Default for Params {
    fn default() -> Self {
        Params { title: None, metric: None, mistakes: 20, formats: vec![Format::Html, Format::Markdown] }
    }
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// `report.html`: one file with its drawings, for a browser.
    Html,
    /// `report.md`: for a pull request or a terminal.
    Markdown,
}

/// The stage.
#[derive(Debug)]
pub(super) struct Report {
    title: Option<String>,
    metric: Option<String>,
    mistakes: usize,
    html: bool,
    markdown: bool,
}

impl StageKind for Report {
    const KIND: &'static str = "report";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "ranks the variants and shows where they err, as HTML and Markdown";
    const EXAMPLE: &'static str = "{ use: report, from: cross_validate, with: { metric: f1_macro, mistakes: 10 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        if let Some(name) = params.metric.as_deref().filter(|name| Metric::named(name).is_none()) {
            problems.push(unknown_metric(name, &["metric"], at));
        }
        if params.mistakes > MOST_MISTAKES {
            let message = format!("`mistakes` must be at most {MOST_MISTAKES}, but is {}", params.mistakes);
            problems.push(at.problem("out-of-range", &["mistakes"], message));
        }
        if params.formats.is_empty() {
            let problem = at.problem("invalid-param", &["formats"], "`formats` is empty, so nothing would be written");
            problems.push(problem.help("name `html`, `markdown` or both"));
        }
        if problems.any_error() {
            return Err(problems);
        }
        Ok(Work::Sink(Box::new(Report {
            title: params.title,
            metric: params.metric,
            mistakes: params.mistakes as usize,
            html: params.formats.contains(&Format::Html),
            markdown: params.formats.contains(&Format::Markdown),
        })))
    }
}

impl Stage for Report {
    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs.iter().position(|port| *port != Port::Scores) {
            None => Ok(Port::Report),
            Some(input) => Err(Refusal {
                input,
                wants: "scores",
                fits: |port| port == Port::Scores,
                help: (inputs[input] == Port::Model).then(|| "put a `cross_validate` stage between the two".to_owned()),
            }),
        }
    }

    fn reads(&self, _input: usize) -> &'static [&'static str] {
        &["metrics", "classes", "confusion", "reliability", "thresholds", "predictions"]
    }
}

impl Sink for Report {
    fn write(&self, results: &Results<'_>) -> Result<Vec<(String, Vec<u8>)>, StageError> {
        let note = Note::of(results, self.title.as_deref(), self.metric.as_deref(), self.mistakes)?;
        let mut files = Vec::new();
        if self.html {
            files.push(("report.html".to_owned(), html::page(&note).into_bytes()));
        }
        if self.markdown {
            files.push(("report.md".to_owned(), markdown::page(&note).into_bytes()));
        }
        Ok(files)
    }

    fn ranks_by(&self) -> Option<&str> {
        self.metric.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::example::{evaluation, hostile, metric, results, scored_rows, summary, variant};
    use super::*;
    use crate::record::{
        Across, ClassSummary, Copies, DataSummary, Evaluation, Example, Expectation, Ledger, Overlap, Side, SplitSide,
        Status, Summary, findings,
    };
    use crate::stage::Kind;
    use crate::table::predictions::values::{PredictedValues, ScoredValues};

    fn build(params: Value) -> Result<Work, Problems> {
        let scope = Scope { stage: "report", base: Path::new("."), locate: &|_| None };
        (Kind::of::<Report>().build)(params, &scope).map(|built| built.work)
    }

    fn written(run: &Summary, evaluations: Vec<Evaluation>, params: Value) -> Vec<(String, String)> {
        let Ok(Work::Sink(sink)) = build(params) else { panic!("not a sink") };
        let files = sink.write(&results(run, evaluations)).unwrap();
        files.into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
    }

    fn both(run: &Summary, evaluations: Vec<Evaluation>) -> (String, String) {
        let mut files = written(run, evaluations, json!({}));
        let markdown = files.pop().unwrap();
        let html = files.pop().unwrap();
        assert_eq!((html.0.as_str(), markdown.0.as_str()), ("report.html", "report.md"));
        (html.1, markdown.1)
    }

    /// Every element that is opened is closed, in order; a stray `<` from data would break it.
    pub(super) fn well_formed(page: &str) {
        let mut open: Vec<&str> = Vec::new();
        for piece in page.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("a tag without end: {piece}"));
            let name = tag.split([' ', '/', '\n']).find(|s| !s.is_empty()).unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "closing {tag}");
            } else if !tag.ends_with('/') && !["!doctype", "meta", "wbr"].contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
    }

    fn two() -> (Summary, Vec<Evaluation>) {
        let run = summary(vec![variant("words", &[0.79, 0.80]), variant("both", &[0.81, 0.82])]);
        let rows = [("r1", 0, "negative", "positive", [0.1, 0.9]), ("r2", 1, "negative", "negative", [0.8, 0.2])];
        let evaluations = (0..2).map(|v| evaluation(v, scored_rows(&["negative", "positive"], &rows, true)));
        let evaluations = evaluations.collect();
        (run, evaluations)
    }

    #[test]
    fn a_report_answers_every_question() {
        let (run, evaluations) = two();
        let (html, markdown) = both(&run, evaluations);
        well_formed(&html);
        for words in [
            "is best by",
            "2.0 points",
            "95% interval",
            "Whether the lead is real cannot be told",
            "to the best",
            "text of r1",
            "probability 0.9000 against 0.1000",
            "fold 1",
            "wrong in all 2 variants",
            "1 of 2 predictions wrong (50.0%)",
            "2 texts were cut at 256 tokens",
            "sha256:0123",
            "sha256:4567",
            "reuse saved 1.2 s",
            "name: film-sentiment",
        ] {
            assert!(html.contains(words), "html lacks {words}");
            assert!(markdown.contains(words), "markdown lacks {words}:\n{markdown}");
        }
        assert_eq!(html.matches("class=\"mean\"").count(), 2);
        assert_eq!(html.matches("class=\"fold\"").count(), 4);
        assert!(
            html.contains("class=\"heat read\"") && html.contains("<caption><span>") && html.contains("scope=\"row\"")
        );
        assert!(html.matches("<script").count() == 1 && !html.contains("http://") && !html.contains("https://"));
        assert!(!html.contains("partial") && !markdown.contains("partial"));
    }

    #[test]
    fn nothing_from_data_becomes_markup() {
        let (run, evaluations) = hostile();
        let (html, markdown) = both(&run, evaluations);
        well_formed(&html);
        assert_eq!(html.matches("<script").count(), 1, "its own alone");
        assert!(!html.contains("\"onload") && !html.contains('\u{202e}') && !html.contains('\0'));
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"));
        assert!(html.contains("characters cut"));
        assert!(html.contains("Nearest in words (") && markdown.contains("Nearest in words ("), "{markdown}");
        assert!(
            html.contains("</b> labelled alike · row <code>") && markdown.contains("** labelled alike · row `near`")
        );
        assert!(!markdown.contains('\u{202e}') && !markdown.contains('\0'));
        for line in markdown.lines().filter(|line| line.contains("script")) {
            let code = line.contains('`') || line.contains("<summary>");
            assert!(code || line.contains("\\<script\\>"), "{line}");
            assert!(!line.starts_with("# h"), "{line}");
        }
        // a pipe from data never makes a cell
        let ranked = markdown.lines().find(|line| line.starts_with("| 1 |")).unwrap();
        assert_eq!(ranked.replace("\\|", "").matches('|').count(), 6, "{ranked}");
    }

    #[test]
    fn the_data_section_escapes_what_data_says() {
        let evil = "<script>`|x";
        let side = Side { rows: 3, classes: vec![2, 1], ..Side::default() };
        let copies = Copies { exact: 1, folded: 1, near: Some(1) };
        let across = Across {
            rows_of: evil.into(),
            rows: 3,
            stand_in: "train".into(),
            overlap: Overlap { copies, only_here: vec![evil.into()], ..Overlap::default() },
        };
        let example = Example {
            row_id: evil.into(),
            label: Some(evil.into()),
            other: "2".into(),
            other_label: None,
            text: Some(format!("{evil}\u{202e}{}", "x".repeat(300))),
        };
        let ledger = Ledger {
            classes: vec![evil.into(), "b".into()],
            whole: side.clone(),
            splits: vec![SplitSide { split: evil.into(), side }],
            across_splits: vec![across],
            examples: [(format!("train/{evil}"), vec![example])].into(),
            ..Ledger::default()
        };
        let mut data = DataSummary { stage: "rows".into(), ledger, ..DataSummary::default() };
        data.findings = findings(&data);
        assert_eq!(data.findings.len(), 2);
        let mut run = summary(vec![variant("a", &[0.5, 0.6])]);
        run.data = vec![data];
        run.expectations = vec![Expectation {
            name: "duplicates_across_splits".into(),
            bound: "<= 0".into(),
            held: Some(false),
            broken: vec![format!("1 ({evil} in train)")],
            examples: Vec::new(),
        }];
        let (html, markdown) = both(&run, vec![]);
        well_formed(&html);
        assert!(html.contains("<h2>Data</h2>") && html.contains("stands in train (33.3%)"));
        assert!(html.matches("<script").count() == 1 && !html.contains('\u{202e}') && !markdown.contains('\u{202e}'));
        assert!(
            html.contains("Expected <code>duplicates_across_splits</code>") || html.contains("Expected `dup"),
            "{html}"
        );
        let table = markdown.lines().find(|line| line.contains("in train |")).unwrap();
        assert_eq!(table.replace("\\|", "").matches('|').count(), 9, "{table}");
    }

    #[test]
    fn equal_results_give_equal_bytes() {
        let (run, evaluations) = two();
        let (_, again) = two();
        assert_eq!(both(&run, evaluations), both(&run, again));
    }

    #[test]
    fn thin_and_broken_runs_render() {
        let (html, markdown) = both(&summary(vec![]), vec![]);
        well_formed(&html);
        assert!(html.contains("nothing to rank") && markdown.contains("nothing to rank"));

        let mut one = summary(vec![variant("", &[0.75])]);
        one.status = Status::Interrupted;
        one.variants[0].classes.truncate(1);
        one.variants[0].confusion = vec![vec![20]];
        one.variants[0].metrics.insert(
            "roc_auc".into(),
            crate::record::MetricSummary {
                mean: None,
                estimate: None,
                std: None,
                folds: vec![None],
                ..metric(&[0.5], true)
            },
        );
        let (html, markdown) = both(&one, vec![]);
        well_formed(&html);
        assert!(html.contains("report is partial") && markdown.contains("report is partial"));
        assert!(html.contains("not at hand") && html.contains("<td class=\"n\">–</td>"));
        assert!(!html.contains("NaN"));

        one.variants[0].confusion.clear();
        one.variants[0].classes.clear();
        well_formed(&both(&one, vec![]).0);
    }

    #[test]
    fn many_classes_give_pairs_and_the_hardest_first() {
        let mut run = summary(vec![variant("a", &[0.5, 0.6])]);
        let class = |i: u64| ClassSummary {
            class: format!("c{i:02}"),
            precision: 0.5,
            recall: 0.5,
            f1: (i * 37 % 77) as f64 / 77.0,
            support: 9,
        };
        run.variants[0].classes = (0..77).map(class).collect();
        run.variants[0].confusion = (0..77u64).map(|i| (0..77u64).map(|j| (i * j) % 5).collect()).collect();
        let (html, markdown) = both(&run, vec![]);
        well_formed(&html);
        assert!(!html.contains("class=\"heat read\"") && html.contains("most confused pairs of 77 classes"));
        assert!(html.contains("hardest first") && markdown.contains("rarer pairs not shown"));
        let at = |name: &str| html.rfind(&format!("<bdi>{name}</bdi>")).unwrap();
        // 37 × 25 % 77 = 1, 37 × 52 % 77 = 76
        assert!(at("c00") < at("c25") && at("c25") < at("c52"));
    }

    #[test]
    fn a_report_of_numbers_has_no_classes() {
        let mut run = summary(vec![variant("ridge", &[0.5, 0.6])]);
        let one = &mut run.variants[0];
        (one.classes, one.confusion) = (Vec::new(), Vec::new());
        one.metrics = [("r2".to_owned(), metric(&[0.5, 0.6], true))].into();
        let predictions = PredictedValues { row_id: vec!["r1".into(), "r2".into()], value: vec![1.25, -3.0] };
        let scored = ScoredValues { fold: vec![0, 1], truth: vec![1.0, 2.0], predictions };
        let evaluation = super::example::evaluation_of_table(0, scored.to_table().unwrap(), &["r1", "r2"]);
        let (html, markdown) = both(&run, vec![evaluation]);
        well_formed(&html);
        for words in ["Largest errors", "off by 5.0000", "off by 0.2500", "predicted as", "text of r2", "2 predictions"]
        {
            assert!(html.contains(words) && markdown.contains(words), "{words}\n{markdown}");
        }
        assert!(markdown.contains("reaches an `r2` of"), "{markdown}");
        for words in ["onfusion", "taken for", "have no metric", "Per class"] {
            assert!(!html.contains(words) && !markdown.contains(words), "{words}\n{markdown}");
        }
        assert_eq!(html.matches("class=\"dot\"").count(), 2);
    }

    #[test]
    fn formats_and_mistakes_are_as_asked_for() {
        let (run, evaluations) = two();
        let files =
            written(&run, evaluations, json!({ "formats": ["markdown", "markdown"], "mistakes": 0, "title": "A | B" }));
        assert_eq!(files.len(), 1);
        assert!(files[0].1.starts_with("# A \\| B\n") && !files[0].1.contains("text of r1"));
    }

    #[test]
    fn wrong_params_and_wires_are_told() {
        let told = |params: Value| match build(params) {
            Ok(_) => panic!("accepted"),
            Err(problems) => problems.0,
        };
        let metric = told(json!({ "metric": "acuracy" }));
        assert_eq!(metric[0].help, ["did you mean `accuracy`?"]);
        assert_eq!(told(json!({ "formats": [], "mistakes": 1001 })).len(), 2);
        assert_eq!(told(json!({ "format": "html" }))[0].code, "invalid-param");
        let Ok(work) = build(json!({})) else { panic!("refused") };
        assert_eq!(work.stage().port(&[Port::Scores, Port::Scores]).unwrap(), Port::Report);
        let refusal = work.stage().port(&[Port::Scores, Port::Model]).unwrap_err();
        assert_eq!((refusal.input, refusal.help.is_some()), (1, true));
    }

    #[test]
    fn defaults_leave_no_trace() {
        assert_eq!(Report::canonical(&Params::default()), json!({}));
    }
}
