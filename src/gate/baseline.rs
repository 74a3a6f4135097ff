//! What is a run held against? The baseline: scores, intervals, digests and outcomes, in a file that is fit for git.
//!
//! `NAME.baseline.json` stands beside `NAME.yaml`. Equal baselines have equal text: maps are sorted, and nothing in it depends on the
//! clock, the machine's paths or what was cached, unless a gate asks for costs. Scores have nine decimals, since the last bits may differ between machines.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::costs::Costs;
use super::outcomes::Outcomes;
use super::rows::Rows;
use crate::record::{MetricSummary, Summary, VariantSummary};
use crate::table::Digest;

/// The form of the file.
pub const BASELINE_FORMAT: u32 = 1;

/// A larger file is no baseline.
const LARGEST: u64 = 64 << 20;

/// The field that says whether the others are as they were written: a merge of two baselines, or a bit that fell over, is told.
const CHECK: &str = "check";

/// No line of the file is folded that has up to this many characters.
const WIDTH: usize = 160;

/// `NAME.baseline.json`: what later runs are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The form of the file.
    pub format: u32,
    /// The pipeline's name.
    pub name: String,
    /// The version of Fuseline that wrote it.
    pub fuseline_version: String,
    /// The pipeline's seed.
    pub seed: u64,
    /// The digest of each data file, as the pipeline names it.
    pub inputs: BTreeMap<String, String>,
    /// The digest of each model file: told where it changed, but another model is no other data.
    pub models: BTreeMap<String, String>,
    /// What the run cost, by the names that gates give costs: those that a `max_ratio` is about, and none where none is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, f64>,
    /// One entry for each variant and evaluation.
    pub variants: Vec<Scored>,
    /// In a file: the beginning of a digest of all else that is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// One variant's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scored {
    /// Hash of the resolved pipeline.
    pub id: String,
    /// For people: `c=1,features=both`; empty for the only variant of a pipeline.
    pub label: String,
    /// The stage that scored it.
    pub evaluation: String,
    /// Rows that were scored, over all folds of one repeat.
    pub n: u64,
    /// Which rows they were; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowDigests>,
    /// By metric name.
    pub metrics: BTreeMap<String, MetricStanding>,
    /// What was predicted for each row; absent where no single classes are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
}

/// The identities of an evaluation's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowDigests {
    /// Of the rows' ids, and what is true of them.
    #[schemars(with = "String")]
    pub labels: Digest,
    /// Of which fold held out which row.
    #[schemars(with = "String")]
    pub folds: Digest,
    /// Of all that was predicted, scores too.
    #[schemars(with = "String")]
    pub predictions: Digest,
}

/// One metric over the folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricStanding {
    /// Mean over folds.
    pub mean: Option<f64>,
    /// What is judged, as in the run's summary, where it is not the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
    /// 95% interval, as in the run's summary.
    pub ci95: Option<[f64; 2]>,
    /// The value in each fold.
    pub folds: Vec<Option<f64>>,
    /// True if more is better.
    pub higher_is_better: bool,
}

impl MetricStanding {
    /// What is judged.
    pub(super) fn score(&self) -> Option<f64> {
        self.estimate.or(self.mean)
    }
}

/// Why a baseline cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// There is none.
    #[error("there is no `{0}`")]
    Missing(String),
    /// It cannot be read.
    #[error("`{name}` cannot be read: {why}")]
    Unreadable {
        /// What was read.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A run, or a baseline, as far as it is compared.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its scores.
    pub baseline: Baseline,
    /// The rows of each variant, where they are at hand; what the baseline's file has of them is unpacked when it is needed.
    pub rows: Vec<Option<Rows>>,
}

impl Side {
    /// A run: its summary, and the rows of each entry of its `variants`.
    pub fn of(summary: &Summary, rows: Vec<Option<Rows>>) -> Side {
        let scored = |(variant, rows): (&VariantSummary, &Option<Rows>)| Scored {
            id: variant.id.clone(),
            label: variant.label.clone(),
            evaluation: variant.evaluation.clone(),
            n: variant.rows,
            rows: rows.as_ref().map(|rows| RowDigests {
                labels: rows.labels_digest(),
                folds: rows.folds_digest(),
                predictions: rows.predictions_digest(),
            }),
            metrics: variant.metrics.iter().map(|(name, metric)| (name.clone(), metric.into())).collect(),
            outcomes: rows.as_ref().and_then(Outcomes::pack),
        };
        let baseline = Baseline {
            format: BASELINE_FORMAT,
            name: summary.name.clone(),
            fuseline_version: summary.fuseline_version.clone(),
            seed: summary.seed,
            inputs: summary.inputs.iter().map(|input| (input.source.clone(), input.digest.clone())).collect(),
            models: summary.models.iter().map(|model| (model.id.clone(), model.digest.clone())).collect(),
            costs: Costs::of(summary).by_name(),
            variants: summary.variants.iter().zip(&rows).map(scored).collect(),
            check: None,
        };
        Side { baseline, rows }
    }

    /// The predicted classes of a variant's rows, which are those that `label` is true of.
    pub(super) fn predicted(&self, variant: usize, label: &[String]) -> Option<Vec<String>> {
        match self.rows.get(variant)? {
            Some(rows) => Some(rows.predicted.clone()),
            None => self.baseline.variants.get(variant)?.outcomes.as_ref()?.unpack(label),
        }
    }
}

impl From<Baseline> for Side {
    fn from(baseline: Baseline) -> Side {
        let rows = baseline.variants.iter().map(|_| None).collect();
        Side { baseline, rows }
    }
}

impl From<&MetricSummary> for MetricStanding {
    fn from(metric: &MetricSummary) -> Self {
        let (mean, estimate) = (metric.mean.map(nine), metric.score().map(nine));
        MetricStanding {
            mean,
            estimate: estimate.filter(|_| estimate != mean),
            ci95: metric.ci95.map(|interval| interval.map(nine)),
            folds: metric.folds.iter().map(|value| value.map(nine)).collect(),
            higher_is_better: metric.higher_is_better,
        }
    }
}

/// With nine decimals.
fn nine(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

impl Baseline {
    /// Where the baseline of a pipeline file is: `spam.baseline.json` beside `spam.yaml`.
    pub fn path_of(pipeline: &Path) -> PathBuf {
        pipeline.with_extension("baseline.json")
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Baseline, BaselineError> {
        let name = path.display().to_string();
        let unreadable = |error: io::Error| BaselineError::Unreadable { name: name.clone(), why: error.to_string() };
        let size = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BaselineError::Missing(name)),
            other => other.map_err(unreadable)?.len(),
        };
        if size > LARGEST {
            return Err(BaselineError::Unreadable { name, why: format!("it is larger than {} MiB", LARGEST >> 20) });
        }
        Baseline::parse(&name, &fs::read(path).map_err(unreadable)?)
    }

    /// Reads the text of a baseline that came from `name`.
    pub fn parse(name: &str, text: &[u8]) -> Result<Baseline, BaselineError> {
        let wrong = |why: String| BaselineError::Unreadable { name: name.to_owned(), why };
        let value: Value = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(BASELINE_FORMAT) => {}
            Some(format) => {
                return Err(wrong(format!("it is of form {format}, and this version knows form {BASELINE_FORMAT}")));
            }
            None => return Err(wrong("it is no baseline: it names no form".to_owned())),
        }
        let mut value = value;
        let check = value.as_object_mut().and_then(|fields| fields.remove(CHECK));
        let baseline: Baseline = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        match check {
            Some(check) if check != baseline.check() => {
                Err(wrong("it is not as it was written: `check` does not fit what stands in it".to_owned()))
            }
            _ => Ok(baseline),
        }
    }

    /// The beginning of a digest of all that is in it.
    fn check(&self) -> String {
        Digest::of(serde_json::json!(self).to_string().as_bytes()).to_string().chars().take(16).collect()
    }

    /// The file's text: the same for the same baseline.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut value = serde_json::json!(self);
        if let Some(fields) = value.as_object_mut() {
            fields.insert(CHECK.to_owned(), Value::from(self.check()));
        }
        laid_out(&value, 0, &mut text);
        text.push('\n');
        text
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        crate::whole::write_with_folder(path, self.text().as_bytes())
    }
}

/// JSON for people and for `git diff`: what fits on a line stands on one.
fn laid_out(value: &Value, depth: usize, into: &mut String) {
    let whole = value.to_string();
    let nested = |value: &Value| value.is_object() || value.is_array();
    let deep = match value {
        Value::Object(fields) => fields.values().any(|field| field.as_object().is_some_and(|inner| !inner.is_empty())),
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    };
    if !nested(value) || (!deep && depth > 0 && whole.len() + 2 * depth <= WIDTH) || whole.len() <= 2 {
        into.push_str(&whole);
        return;
    }
    let indent = "  ".repeat(depth + 1);
    let (open, close, lines): (_, _, Vec<(String, &Value)>) = match value {
        Value::Object(fields) => (
            '{',
            '}',
            fields.iter().map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value)).collect(),
        ),
        Value::Array(items) => ('[', ']', items.iter().map(|item| (String::new(), item)).collect()),
        _ => return,
    };
    into.push(open);
    for (at, (name, value)) in lines.into_iter().enumerate() {
        into.push_str(if at == 0 { "\n" } else { ",\n" });
        into.push_str(&indent);
        into.push_str(&name);
        laid_out(value, depth + 1, into);
    }
    into.push('\n');
    into.push_str(&"  ".repeat(depth));
    into.push(close);
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::rows::tests::rows;
    use super::*;

    /// A side with one variant, of which accuracy was scored.
    pub(crate) fn side(of: &Rows, folds: &[f64]) -> Side {
        let mean = folds.iter().sum::<f64>() / folds.len() as f64;
        let metric = MetricStanding {
            mean: Some(mean),
            estimate: None,
            ci95: Some([mean - 0.02, mean + 0.02]),
            folds: folds.iter().map(|value| Some(*value)).collect(),
            higher_is_better: true,
        };
        let scored = Scored {
            id: "0123456789ab".to_owned(),
            label: String::new(),
            evaluation: "scores".to_owned(),
            n: of.len() as u64,
            rows: Some(RowDigests {
                labels: of.labels_digest(),
                folds: of.folds_digest(),
                predictions: of.predictions_digest(),
            }),
            metrics: BTreeMap::from([("accuracy".to_owned(), metric)]),
            outcomes: Outcomes::pack(of),
        };
        let baseline = Baseline {
            format: BASELINE_FORMAT,
            name: "words".to_owned(),
            fuseline_version: "0.1.0".to_owned(),
            seed: 42,
            inputs: BTreeMap::from([("data.csv".to_owned(), format!("sha256:{}", "a".repeat(64)))]),
            models: BTreeMap::new(),
            costs: BTreeMap::new(),
            variants: vec![scored],
            check: None,
        };
        Side { baseline, rows: vec![Some(of.clone())] }
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written_and_reads_well() {
        let baseline = side(&rows(&[("x", "x"), ("y", "x"), ("x", "y")]), &[0.1 + 0.2, 0.5]).baseline;
        let folder = tempfile::tempdir().unwrap();
        let path = Baseline::path_of(&folder.path().join("words.yaml"));
        assert!(path.ends_with("words.baseline.json"));
        assert!(matches!(Baseline::read(&path), Err(BaselineError::Missing(_))));
        baseline.write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, baseline.text());
        let line = text.lines().find(|line| line.contains("\"accuracy\"")).unwrap();
        assert!(line.contains("\"folds\":[0.30000000000000004,0.5]"), "one metric, one line: {text}");
        assert!(text.lines().all(|line| line.len() < 200), "{text}");
    }

    #[test]
    fn what_is_no_baseline_is_refused_with_the_reason() {
        let why = |text: &str| Baseline::parse("b.json", text.as_bytes()).unwrap_err().to_string();
        let sound = side(&rows(&[("x", "x")]), &[1.0, 1.0]).baseline.text();
        assert!(why("{").contains("EOF"));
        assert!(why("{}").contains("names no form"));
        assert!(why(&sound.replace("\"format\": 1", "\"format\": 9")).contains("form 9"));
        assert!(why(&sound.replace("\"seed\"", "\"sede\"")).contains("sede"));
    }

    #[test]
    fn what_was_changed_since_it_was_written_is_told() {
        let all: Vec<(&str, &str)> = (0..60).map(|row| ("x", if row % 3 == 0 { "y" } else { "x" })).collect();
        let baseline = side(&rows(&all), &[0.6, 0.7]).baseline;
        let text = baseline.text();
        assert_eq!(Baseline::parse("b", text.as_bytes()).unwrap(), baseline);
        let told = |text: &str| Baseline::parse("b", text.as_bytes()).unwrap_err().to_string();
        let packed = &baseline.variants[0].outcomes.as_ref().unwrap().packed;
        let other: String = packed.chars().map(|c| if c == 'A' { 'B' } else { c }).collect();
        for (from, to) in [(packed.as_str(), other.as_str()), ("0.6,", "0.61,"), ("\"scores\"", "\"score\"")] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            assert!(told(&changed).contains("it is not as it was written"), "{}", told(&changed));
        }
        // written before there was a check
        let old = serde_json::json!(baseline).to_string();
        assert_eq!(Baseline::parse("b", old.as_bytes()).unwrap(), baseline);
    }
}
