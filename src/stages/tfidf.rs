//! How much weight has each term? Learns a vocabulary and its inverse document frequencies from training rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ml::{
    Block, CountedRow, CountedRows, DocumentFrequency, TermCounts, TfidfError, TfidfNorm, TfidfParams, TokenRows,
    Vocabulary,
};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Arity, ByRow, Ctx, Derived, Form, Learner, OpenRows, Output, Parts, Port, Refusal, Scope, Stage,
    StageError, StageKind, TrainRows, Work,
};
use crate::table::tokens::Tokens;
use crate::table::{features, row_ids};

/// The kind `tfidf`.
pub(super) struct Tfidf;

/// Weighs the terms of each text as scikit-learn's TfidfVectorizer does. The vocabulary and the inverse document frequencies
/// come from training rows alone. Lower-casing, the token pattern and stop words belong to `tokenize`. Plain counts
/// (CountVectorizer) are `use_idf: false, norm: none`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// Smallest and largest number of tokens in a term: [1, 2] takes single words and pairs.
    ngram_range: (usize, usize),
    /// In how many training rows a term must occur: a whole number of rows, or a share of them (0.0 to 1.0).
    min_df: Frequency,
    /// In how many training rows a term may occur: a whole number of rows, or a share of them (0.0 to 1.0).
    max_df: Frequency,
    /// Keep only this many terms, those that occur most often in all training rows; of equals, the first in code-point order.
    #[schemars(range(min = 1))]
    max_features: Option<usize>,
    /// Count a term once per text, however often it occurs there.
    binary: bool,
    /// Multiply by the inverse document frequency.
    use_idf: bool,
    /// Add one to every document frequency, as if one more text held every term.
    smooth_idf: bool,
    /// Replace a count n by 1 + ln(n).
    sublinear_tf: bool,
    /// Scale each row to length 1 by this norm.
    norm: Norm,
    /// Use these terms, in this order, instead of learning them.
    vocabulary: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Norm {
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    L2,
    /// None.
    None,
}

/// Rows (a whole number) or a share of them (a number with a point).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frequency(DocumentFrequency);

impl Serialize for Frequency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            DocumentFrequency::Count(rows) => to.serialize_u64(rows as u64),
            DocumentFrequency::Share(share) => to.serialize_f64(share),
        }
    }
}

impl<'de> Deserialize<'de> for Frequency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(from)?;
        match (number.as_u64(), number.as_f64()) {
            (Some(rows), _) => Ok(Frequency(DocumentFrequency::Count(rows as usize))),
            (None, Some(share)) if share >= 0.0 => Ok(Frequency(DocumentFrequency::Share(share))),
            _ => Err(de::Error::custom("must be a whole number of rows, or a share between 0.0 and 1.0")),
        }
    }
}

impl JsonSchema for Frequency {
    fn schema_name() -> Cow<'static, str> {
        "DocumentFrequency".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

impl Default for Params {
    fn default() -> Self {
        let defaults = TfidfParams::default();
        Params {
            ngram_range: defaults.ngram_range,
            min_df: Frequency(defaults.min_df),
            max_df: Frequency(defaults.max_df),
            max_features: None,
            binary: false,
            use_idf: true,
            smooth_idf: true,
            sublinear_tf: false,
            norm: Norm::L2,
            vocabulary: None,
        }
    }
}

impl StageKind for Tfidf {
    const KIND: &'static str = "tfidf";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "term weights (TF-IDF or counts), learned from training rows";
    const EXAMPLE: &'static str = "{ use: tfidf, from: tokenize, with: { ngram_range: [1, 2], min_df: 2 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let params = TfidfParams {
            ngram_range: params.ngram_range,
            min_df: params.min_df.0,
            max_df: params.max_df.0,
            max_features: params.max_features,
            binary: params.binary,
            use_idf: params.use_idf,
            smooth_idf: params.smooth_idf,
            sublinear_tf: params.sublinear_tf,
            norm: match params.norm {
                Norm::L1 => Some(TfidfNorm::L1),
                Norm::L2 => Some(TfidfNorm::L2),
                Norm::None => None,
            },
            vocabulary: params.vocabulary,
        };
        params.check().map_err(|error| at.problem("out-of-range", &param_of(&error), error.to_string()))?;
        Ok(Work::Learner(Box::new(Weights { params })))
    }
}

/// The parameter at fault.
fn param_of(error: &TfidfError) -> Vec<&'static str> {
    match error {
        TfidfError::NgramRange { .. } | TfidfError::EmptyVocabulary { .. } => vec!["ngram_range"],
        TfidfError::DocumentFrequency { name, .. } => vec![name],
        TfidfError::MaxFeatures => vec!["max_features"],
        TfidfError::MinAboveMax { .. } | TfidfError::NothingLeft { .. } => vec!["min_df"],
        _ => vec!["vocabulary"],
    }
}

struct Weights {
    params: TfidfParams,
}

impl Stage for Weights {
    fn arity(&self) -> Arity {
        Arity::One
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Tokens] => Ok(Port::Features(Form::Sparse)),
            _ => Err(Refusal { input: 0, wants: "tokens", fits: |port| port == Port::Tokens, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["tokens"]
    }
}

impl Learner for Weights {
    fn supervised(&self) -> bool {
        false
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::All
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let rows = self.counted(train.input())?;
        let vocabulary = Vocabulary::fit(&rows, &self.params).map_err(failed)?;
        let terms = vocabulary.terms.len();
        Ok(Output::new().table("vocabulary", vocabulary_table(&vocabulary)?).rows(rows.rows()).fact("terms", terms))
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let vocabulary = vocabulary_of(&*learned.table("vocabulary")?)?;
        let table = rows.table("tokens")?;
        let weights = vocabulary.transform(&self.counted(rows)?, &self.params).map_err(failed)?;
        let empty = (0..weights.rows()).filter(|&row| weights.row(row).0.is_empty()).count();
        let block = features::to_table(row_ids(&table).map_err(StageError::caused)?, "tfidf", &Block::Sparse(weights))
            .map_err(StageError::caused)?;
        let mut output = Output::new().table(features::block_part(0), block).fact("rows_without_terms", empty);
        if let Some(names) = learned.part("vocabulary") {
            output = output.same(features::names_part(0), names);
        }
        Ok(output)
    }
}

impl Weights {
    /// The rows with their terms counted. Terms are counted once for all folds, row by row.
    fn counted(&self, rows: &Parts) -> Result<Counted, StageError> {
        let range = self.params.ngram_range;
        let count = |table: &RecordBatch| Ok(TermCounts::of(&Rows::of(table)?, range));
        rows.by_row("tokens", &format!("{range:?}"), count).map(Counted)
    }
}

/// Counted rows that the stage may see.
struct Counted(OpenRows<TermCounts>);

impl CountedRows for Counted {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        self.0.row(row)
    }
}

impl Derived for TermCounts {
    fn bytes(&self) -> usize {
        TermCounts::bytes(self)
    }
}

impl ByRow for TermCounts {
    type Row<'a> = CountedRow<'a>;

    fn rows(&self) -> usize {
        CountedRows::rows(self)
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        CountedRows::row(self, row)
    }
}

fn failed(error: TfidfError) -> StageError {
    if let TfidfError::MinAboveMax { min, max, rows } = error
        && max >= rows as f64
    {
        let failure = StageError::failed(format!("`min_df` asks for {min} rows, but there are {rows} training rows"));
        return failure.at_param(&["min_df"]).help("lower `min_df`");
    }
    let failure = StageError::failed(error.to_string()).at_param(&param_of(&error));
    match error {
        TfidfError::NothingLeft { .. } => failure.help("lower `min_df` or raise `max_df`"),
        TfidfError::EmptyVocabulary { .. } => failure.help("look at the tokens with `fuseline show`"),
        _ => failure,
    }
}

/// Columns: index, name, document_frequency, idf. The first two make it a names table as well.
fn vocabulary_table(vocabulary: &Vocabulary) -> Result<RecordBatch, StageError> {
    let terms = &vocabulary.terms;
    let idf: Float64Array = match &vocabulary.idf {
        Some(idf) => Float64Array::from(idf.clone()),
        None => Float64Array::new_null(terms.len()),
    };
    let frequency = vocabulary.document_frequency.iter().map(|&rows| rows as u64);
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("index", Arc::new(UInt32Array::from_iter_values(0..terms.len() as u32)), false),
        ("name", Arc::new(StringArray::from_iter_values(terms.iter())), false),
        ("document_frequency", Arc::new(UInt64Array::from_iter_values(frequency)), false),
        ("idf", Arc::new(idf), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
}

fn vocabulary_of(table: &RecordBatch) -> Result<Vocabulary, StageError> {
    fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t T, StageError> {
        let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
        column.ok_or_else(|| StageError::failed(format!("a vocabulary has no column `{name}`")))
    }
    let names: &StringArray = column(table, "name")?;
    let frequency: &UInt64Array = column(table, "document_frequency")?;
    let idf: &Float64Array = column(table, "idf")?;
    Ok(Vocabulary {
        terms: names.iter().flatten().collect(),
        document_frequency: frequency.values().iter().map(|&rows| rows as usize).collect(),
        idf: (idf.null_count() == 0).then(|| idf.values().to_vec()),
    })
}

/// The rows of a tokens table.
struct Rows<'t>(Tokens<'t>);

impl<'t> Rows<'t> {
    fn of(table: &'t RecordBatch) -> Result<Self, StageError> {
        Tokens::of(table).map(Rows).map_err(StageError::caused)
    }
}

impl TokenRows for Rows<'_> {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        self.0.row(row)
    }
}
