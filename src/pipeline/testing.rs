//! Which stages do the tests of this room use? Kinds with the names and ports of the real ones that compute nothing.

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::Problems;
use crate::record::Results;
use crate::stage::{
    Account, ApplyTo, Arity, Conclusion, Ctx, Emit, Evaluate, Files, FoldId, Form, Kind, Learner, Mapper, Output,
    Parts, Port, Refusal, RowWise, Scope, Sink, Source, Stage, StageError, StageKind, Totals, TrainRows, WholeTable,
    Work,
};

/// The kinds.
pub(super) static KINDS: &[Kind] = &[
    Kind::of::<Ingest>(),
    Kind::of::<Clean>(),
    Kind::of::<Tokenize>(),
    Kind::of::<Tfidf>(),
    Kind::of::<Embed>(),
    Kind::of::<Fuse>(),
    Kind::of::<Train>(),
    Kind::of::<CrossValidate>(),
    Kind::of::<Report>(),
];

/// A stage that only knows its ports.
struct Fake {
    arity: Arity,
    wants: &'static str,
    fits: fn(Port) -> bool,
    gives: fn(&[Port]) -> Port,
    keeps_rows: bool,
}

impl Stage for Fake {
    fn arity(&self) -> Arity {
        self.arity
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs.iter().position(|port| !(self.fits)(*port)) {
            Some(input) => Err(Refusal { input, wants: self.wants, fits: self.fits, help: None }),
            None => Ok((self.gives)(inputs)),
        }
    }

    fn reads(&self, _input: usize) -> &'static [&'static str] {
        &[]
    }

    fn keeps_rows(&self) -> bool {
        self.keeps_rows
    }
}

fn nothing() -> Result<Output, StageError> {
    Ok(Output::new().table("text", RecordBatch::new_empty(arrow::datatypes::Schema::empty().into())))
}

impl Source for Fake {
    fn read(&self, _: &Files, _: &mut dyn Emit, _: &Ctx<'_>) -> Result<Account, StageError> {
        Ok(Account::default())
    }
}

impl RowWise for Fake {
    fn open(&self, _: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        Err(StageError::failed("a fake computes nothing"))
    }

    fn conclude(&self, _: &Totals) -> Conclusion {
        Conclusion::default()
    }
}

impl WholeTable for Fake {
    fn run(&self, _: &[Parts], _: &Ctx<'_>) -> Result<Output, StageError> {
        nothing()
    }
}

impl Learner for Fake {
    fn supervised(&self) -> bool {
        false
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::All
    }

    fn fit(&self, _: &TrainRows, _: &Ctx<'_>) -> Result<Output, StageError> {
        nothing()
    }

    fn apply(&self, _: &Parts, _: &Parts, _: &Ctx<'_>) -> Result<Output, StageError> {
        nothing()
    }
}

impl Evaluate for Fake {
    fn folds(&self) -> Option<Vec<FoldId>> {
        None
    }

    fn split(&self, _: &Parts, _: &Ctx<'_>) -> Result<Output, StageError> {
        nothing()
    }

    fn score(&self, _: &[(FoldId, Parts)], _: &Parts, _: &Ctx<'_>) -> Result<Output, StageError> {
        nothing()
    }
}

impl Sink for Fake {
    fn write(&self, _: &Results<'_>) -> Result<Vec<(String, Vec<u8>)>, StageError> {
        Ok(Vec::new())
    }
}

fn fake(wants: &'static str, fits: fn(Port) -> bool, gives: fn(&[Port]) -> Port) -> Fake {
    Fake { arity: Arity::One, wants, fits, gives, keeps_rows: true }
}

fn is_features(port: Port) -> bool {
    matches!(port, Port::Features(_))
}

/// Reads files.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct IngestParams {
    /// The file.
    source: String,
    /// How it is written.
    format: Option<Format>,
    /// The column of texts.
    text: Option<String>,
    /// The column of ids.
    id: Option<String>,
    /// The column of labels, or how to make them.
    label: Value,
    /// At most so many rows.
    limit: Option<u32>,
}

/// A format, with or without options.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Commas.
    Csv,
    /// Tabs.
    #[serde(untagged)]
    Options(FormatOptions),
}

/// Options of a format.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FormatOptions {
    /// Tabs.
    Tsv(TsvOptions),
}

/// Options of tsv.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TsvOptions {
    /// Is the first line a header?
    header: bool,
    /// The names of the columns.
    columns: Option<Vec<String>>,
}

struct Ingest;
impl StageKind for Ingest {
    const KIND: &'static str = "ingest";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "reads texts";
    const EXAMPLE: &'static str = "{ use: ingest, with: { source: texts.csv } }";
    type Params = IngestParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        let stage = Fake { arity: Arity::None, ..fake("nothing", |_| false, |_| Port::Rows) };
        Ok(Work::Source(Box::new(stage)))
    }
}

/// Cleans texts.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CleanParams {
    /// The Unicode form.
    unicode: UnicodeForm,
    /// What becomes of HTML.
    html: Option<String>,
    /// Drops texts that are empty.
    drop_empty: bool,
}

/// A Unicode form.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum UnicodeForm {
    /// As it is.
    #[default]
    Keep,
    /// NFC.
    Nfc,
    /// NFKC.
    Nfkc,
}

struct Clean;
impl StageKind for Clean {
    const KIND: &'static str = "clean";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "cleans texts";
    const EXAMPLE: &'static str = "{ use: clean, from: ingest }";
    type Params = CleanParams;

    fn build(params: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        let stage = Fake { keeps_rows: !params.drop_empty, ..fake("text", |port| port == Port::Rows, |_| Port::Rows) };
        Ok(Work::RowWise(Box::new(stage)))
    }
}

/// No parameters.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NoParams {}

struct Tokenize;
impl StageKind for Tokenize {
    const KIND: &'static str = "tokenize";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "divides texts into tokens";
    const EXAMPLE: &'static str = "{ use: tokenize, from: clean }";
    type Params = NoParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::RowWise(Box::new(fake("text", |port| port == Port::Rows, |_| Port::Tokens))))
    }
}

/// Weighs terms.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TfidfParams {
    /// The lengths of n-grams.
    ngram_range: (u32, u32),
    /// The least number, or share, of rows.
    #[schemars(range(min = 0))]
    min_df: f64,
    /// The greatest number, or share, of rows.
    max_df: f64,
    /// The greatest number of terms.
    #[schemars(range(min = 1))]
    max_features: Option<u32>,
    /// The norm of rows.
    norm: Option<Norm>,
}

/// A norm.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Norm {
    /// Absolute values.
    L1,
    /// Squares.
    L2,
}

impl Default for TfidfParams {
    fn default() -> Self {
        TfidfParams { ngram_range: (1, 1), min_df: 1.0, max_df: 1.0, max_features: None, norm: Some(Norm::L2) }
    }
}

struct Tfidf;
impl StageKind for Tfidf {
    const KIND: &'static str = "tfidf";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "weighs terms";
    const EXAMPLE: &'static str = "{ use: tfidf, from: tokenize, with: { min_df: 2 } }";
    type Params = TfidfParams;

    fn build(params: Self::Params, at: &Scope<'_>) -> Result<Work, Problems> {
        if params.ngram_range.0 > params.ngram_range.1 {
            return Err(at.problem("out-of-range", &["ngram_range"], "`ngram_range` must rise").into());
        }
        Ok(Work::Learner(Box::new(fake("tokens", |port| port == Port::Tokens, |_| Port::Features(Form::Sparse)))))
    }
}

/// Embeds texts.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EmbedParams {
    /// The model: an alias, a folder, or `hf:org/name@revision`.
    model: String,
}

struct Embed;
impl StageKind for Embed {
    const KIND: &'static str = "embed";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "turns texts into vectors";
    const EXAMPLE: &'static str = "{ use: embed, from: clean, with: { model: all-minilm-l6-v2 } }";
    type Params = EmbedParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::RowWise(Box::new(fake("text", |port| port == Port::Rows, |_| Port::Features(Form::Dense)))))
    }
}

struct Fuse;
impl StageKind for Fuse {
    const KIND: &'static str = "fuse";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "puts features side by side";
    const EXAMPLE: &'static str = "{ use: fuse, from: [tfidf, embed] }";
    type Params = NoParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        let gives = |inputs: &[Port]| match inputs {
            [one] => *one,
            _ => Port::Features(Form::Mixed),
        };
        Ok(Work::WholeTable(Box::new(Fake { arity: Arity::Many, ..fake("features", is_features, gives) })))
    }
}

/// Fits an estimator.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TrainParams {
    /// What learns.
    estimator: Estimator,
}

/// An estimator.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Estimator {
    /// Logistic regression.
    LogisticRegression(Linear),
    /// A linear support vector machine.
    LinearSvc(Linear),
}

impl Default for Estimator {
    fn default() -> Self {
        Estimator::LogisticRegression(Linear::default())
    }
}

/// Parameters of linear models.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Linear {
    /// The inverse of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// The greatest number of iterations.
    #[schemars(range(min = 1))]
    max_iter: u32,
}

impl Default for Linear {
    fn default() -> Self {
        Linear { c: 1.0, max_iter: 100 }
    }
}

struct Train;
impl StageKind for Train {
    const KIND: &'static str = "train";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "fits an estimator";
    const EXAMPLE: &'static str = "{ use: train, from: fuse }";
    type Params = TrainParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::Learner(Box::new(fake("features", is_features, |_| Port::Model))))
    }
}

/// Folds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CrossValidateParams {
    /// How many.
    #[schemars(range(min = 2))]
    folds: u32,
    /// Keeps the shares of the classes.
    stratify: bool,
}

impl Default for CrossValidateParams {
    fn default() -> Self {
        CrossValidateParams { folds: 5, stratify: true }
    }
}

struct CrossValidate;
impl StageKind for CrossValidate {
    const KIND: &'static str = "cross_validate";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "scores a model on held-out rows";
    const EXAMPLE: &'static str = "{ use: cross_validate, from: train, with: { folds: 5 } }";
    type Params = CrossValidateParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::Evaluate(Box::new(fake("a model", |port| port == Port::Model, |_| Port::Scores))))
    }
}

struct Report;
impl StageKind for Report {
    const KIND: &'static str = "report";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "writes for people";
    const EXAMPLE: &'static str = "{ use: report, from: cross_validate }";
    type Params = NoParams;

    fn build(_: Self::Params, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::Sink(Box::new(Fake {
            arity: Arity::Many,
            ..fake("scores", |port| port == Port::Scores, |_| Port::Report)
        })))
    }

    fn canonical(_: &Self::Params) -> Value {
        Value::Object(serde_json::Map::new())
    }
}
