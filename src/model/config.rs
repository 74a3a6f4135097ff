//! What do a model's files say about it? Family, sizes, and sentence-transformers' wishes about pooling and length.

use candle_transformers::models::modernbert;
use serde_json::Value;

use super::files::CONFIG;
use super::ops::Activation;
use super::{ModelError, ModelFiles, Pooling};

/// The values of `model_type` that are built in.
pub(super) const FAMILIES: [&str; 7] =
    ["bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"];

const MODULES: &str = "modules.json";
const SENTENCE: &str = "sentence_bert_config.json";

/// More layers than any model has: a bound on what is set aside before a tensor is read.
const MOST_LAYERS: usize = 1 << 10;
/// More positions than any encoder has; for the same reason.
const MOST_POSITIONS: usize = 1 << 20;

/// An architecture and its sizes, as `config.json` describes them. The variant decides the backbone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ModelConfig {
    /// For `encoder`.
    Encoder(EncoderConfig),
    /// For `transformers`.
    ModernBert(modernbert::Config),
}

impl ModelConfig {
    /// Reads `config.json`.
    pub(super) fn read(files: &ModelFiles) -> Result<Self, ModelError> {
        let json = Json { file: CONFIG, value: files.json(CONFIG)? };
        let family = json.text("model_type")?;
        match family.as_str() {
            "modernbert" => Ok(ModelConfig::ModernBert(modern_bert(&json)?)),
            known if FAMILIES.contains(&known) => Ok(ModelConfig::Encoder(EncoderConfig::read(&json, family)?)),
            _ => Err(ModelError::Family { found: family }),
        }
    }

    /// `model_type`.
    pub(super) fn family(&self) -> &str {
        match self {
            ModelConfig::Encoder(config) => &config.family,
            ModelConfig::ModernBert(_) => "modernbert",
        }
    }

    /// The longest text in tokens.
    pub(super) fn longest(&self) -> usize {
        match self {
            ModelConfig::Encoder(config) => config.longest(),
            ModelConfig::ModernBert(config) => config.max_position_embeddings,
        }
    }

    /// Number of tokens.
    pub(super) fn vocabulary(&self) -> usize {
        match self {
            ModelConfig::Encoder(config) => config.vocabulary,
            ModelConfig::ModernBert(config) => config.vocab_size,
        }
    }
}

/// How positions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Positions {
    /// From 0.
    FromZero,
    /// From the padding token's id plus 1; padding tokens stand at that id and are not counted (RoBERTa).
    AfterPadding(u32),
}

/// An encoder with normalisation after each part (BERT and its kin), as `config.json` describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EncoderConfig {
    /// `model_type`: decides the names of the tensors.
    pub(super) family: String,
    /// Number of tokens.
    pub(super) vocabulary: usize,
    /// Length of a token's vector before the first layer (ELECTRA's differs from `width`).
    pub(super) embedding: usize,
    /// Length of a hidden state.
    pub(super) width: usize,
    /// Length of a hidden state inside the feed-forward part.
    pub(super) inner: usize,
    /// Number of layers.
    pub(super) layers: usize,
    /// Number of attention heads.
    pub(super) heads: usize,
    /// Number of position vectors.
    pub(super) table: usize,
    /// Number of token types; 0 without them (DistilBERT).
    pub(super) types: usize,
    /// How positions are counted.
    pub(super) positions: Positions,
    /// Between the two products of the feed-forward part.
    pub(super) activation: Activation,
    /// Added to the variance by layer normalisation.
    pub(super) epsilon: f32,
}

impl EncoderConfig {
    fn read(json: &Json<'_>, family: String) -> Result<Self, ModelError> {
        json.refuse("position_embedding_type", |v| v != "absolute", "only absolute positions are built in")?;
        json.refuse("is_decoder", |v| v != false, "only encoders are built in")?;
        let distil = family == "distilbert";
        let name = |bert: &'static str, distilbert: &'static str| if distil { distilbert } else { bert };
        let width = json.size(name("hidden_size", "dim"))?;
        let config = EncoderConfig {
            vocabulary: json.size("vocab_size")?,
            embedding: if family == "electra" { json.size("embedding_size")? } else { width },
            width,
            inner: json.size(name("intermediate_size", "hidden_dim"))?,
            layers: json.size(name("num_hidden_layers", "n_layers"))?,
            heads: json.heads(name("num_attention_heads", "n_heads"), width)?,
            table: json.size("max_position_embeddings")?,
            types: if distil { 0 } else { json.size("type_vocab_size")? },
            positions: json.positions(&family)?,
            activation: json.activation(name("hidden_act", "activation"))?,
            epsilon: json.value.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12) as f32,
            family,
        };
        if config.longest() == 0 {
            return Err(json.unsupported(
                "max_position_embeddings",
                config.table,
                "a text needs a position".to_owned(),
            ));
        }
        Ok(config)
    }

    /// The longest text in tokens.
    pub(super) fn longest(&self) -> usize {
        match self.positions {
            Positions::FromZero => self.table,
            Positions::AfterPadding(padding) => self.table.saturating_sub(padding as usize + 1),
        }
    }
}

/// ModernBERT, as transformers' `ModernBertConfig` writes it, refusing what candle-transformers leaves out.
fn modern_bert(json: &Json<'_>) -> Result<modernbert::Config, ModelError> {
    for key in ["attention_bias", "mlp_bias", "norm_bias"] {
        json.refuse(key, |v| v != false, "only layers without it are built in")?;
    }
    json.refuse("hidden_activation", |v| v != "gelu", "only gelu is built in")?;
    let width = json.size("hidden_size")?;
    let heads = json.heads("num_attention_heads", width)?;
    if !(width / heads).is_multiple_of(2) {
        let wants = format!("rotary positions need an even width of a head, not {}", width / heads);
        return Err(json.unsupported("num_attention_heads", heads, wants));
    }
    let every = json.size("global_attn_every_n_layers")?;
    let types = json.value.get("layer_types").and_then(Value::as_array);
    for (layer, kind) in types.into_iter().flatten().enumerate() {
        if (kind == "full_attention") != layer.is_multiple_of(every) {
            let wants = format!("`global_attn_every_n_layers: {every}` says otherwise for layer {layer}");
            return Err(json.unsupported("layer_types", kind, wants));
        }
    }
    Ok(modernbert::Config {
        vocab_size: json.size("vocab_size")?,
        hidden_size: width,
        num_hidden_layers: json.size_up_to("num_hidden_layers", MOST_LAYERS)?,
        num_attention_heads: heads,
        intermediate_size: json.size("intermediate_size")?,
        max_position_embeddings: json.size_up_to("max_position_embeddings", MOST_POSITIONS)?,
        layer_norm_eps: json.value.get("norm_eps").and_then(Value::as_f64).unwrap_or(1e-5),
        // never read by candle-transformers
        pad_token_id: 0,
        global_attn_every_n_layers: every,
        global_rope_theta: json.rope_theta("full_attention", "global_rope_theta")?,
        local_attention: json.size("local_attention")?,
        local_rope_theta: json.rope_theta("sliding_attention", "local_rope_theta")?,
        classifier_config: None,
    })
}

/// What a folder made by sentence-transformers asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SentenceConfig {
    /// How to pool.
    pub(super) pooling: Option<Pooling>,
    /// Where to cut, in tokens.
    pub(super) max_length: Option<usize>,
    /// Lower-case every text before the tokenizer sees it.
    pub(super) lowercase: bool,
}

impl SentenceConfig {
    /// Reads `modules.json`, `sentence_bert_config.json` and the pooling module's `config.json`, where they are.
    pub(super) fn read(files: &ModelFiles) -> Result<Self, ModelError> {
        let mut pooling_file = "1_Pooling/config.json".to_owned();
        if let Some(modules) = files.optional_json(MODULES)? {
            for module in modules.as_array().into_iter().flatten() {
                let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
                match text("type").rsplit('.').next().unwrap_or_default() {
                    "Transformer" | "Normalize" => {}
                    "Pooling" => pooling_file = format!("{}/config.json", text("path")),
                    other => {
                        return Err(ModelError::Unsupported {
                            file: MODULES.to_owned(),
                            key: "type".to_owned(),
                            value: other.to_owned(),
                            wants: "only Transformer, Pooling and Normalize are built in".to_owned(),
                        });
                    }
                }
            }
        }
        let sentence = files.optional_json(SENTENCE)?.unwrap_or(Value::Null);
        Ok(SentenceConfig {
            pooling: match files.optional_json(&pooling_file)? {
                Some(value) => Some(pooling(Json { file: &pooling_file, value })?),
                None => None,
            },
            max_length: sentence.get("max_seq_length").and_then(Value::as_u64).map(|n| n as usize),
            lowercase: sentence.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// The one pooling that a pooling module asks for.
fn pooling(json: Json<'_>) -> Result<Pooling, ModelError> {
    let mut asked: Vec<String> = Vec::new();
    if let Some(mode) = json.value.get("pooling_mode").and_then(Value::as_str) {
        asked.push(mode.to_owned());
    }
    for (key, value) in json.value.as_object().into_iter().flatten() {
        if let (Some(mode), Some(true)) = (key.strip_prefix("pooling_mode_"), value.as_bool()) {
            asked.push(mode.trim_end_matches("_tokens").trim_end_matches("_token").to_owned());
        }
    }
    asked.dedup();
    match asked.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mean"] | [] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::Cls),
        ["max"] => Ok(Pooling::Max),
        other => Err(json.unsupported("pooling_mode", other.join(" + "), "mean, cls or max are built in".to_owned())),
    }
}

/// A JSON object and the name of its file, for messages.
struct Json<'a> {
    file: &'a str,
    value: Value,
}

impl Json<'_> {
    fn unsupported(&self, key: &str, value: impl ToString, wants: String) -> ModelError {
        ModelError::Unsupported { file: self.file.to_owned(), key: key.to_owned(), value: value.to_string(), wants }
    }

    fn unreadable(&self, message: String) -> ModelError {
        ModelError::Unreadable { file: self.file.to_owned(), message }
    }

    fn text(&self, key: &str) -> Result<String, ModelError> {
        let text = self.value.get(key).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.unreadable(format!("it has no text `{key}`")))
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        // 32 bits leave room for the sums and products of sizes
        let size = self.value.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let size = size.filter(|n| *n > 0).map(|n| n as usize);
        size.ok_or_else(|| self.unreadable(format!("it has no whole number above 0 `{key}`")))
    }

    fn size_up_to(&self, key: &str, most: usize) -> Result<usize, ModelError> {
        let size = self.size(key)?;
        if size > most { Err(self.unsupported(key, size, format!("at most {most} is built in"))) } else { Ok(size) }
    }

    /// The number of attention heads.
    fn heads(&self, key: &str, width: usize) -> Result<usize, ModelError> {
        let heads = self.size(key)?;
        if width.is_multiple_of(heads) {
            return Ok(heads);
        }
        Err(self.unsupported(key, heads, format!("the number of heads must divide the width {width}")))
    }

    /// The base of the rotary positions of one kind of layer: under `rope_parameters`, or, in configurations written
    /// before transformers 5, under `old`.
    fn rope_theta(&self, kind: &str, old: &str) -> Result<f64, ModelError> {
        let rope = self.value.get("rope_parameters").and_then(|kinds| kinds.get(kind));
        match rope.and_then(|rope| rope.get("rope_type")) {
            Some(scaled) if scaled != "default" => {
                let wants = "only rotary positions of type default are built in".to_owned();
                return Err(self.unsupported("rope_type", scaled, wants));
            }
            _ => {}
        }
        let theta = rope.and_then(|rope| rope.get("rope_theta")).or_else(|| self.value.get(old));
        let theta = theta.and_then(Value::as_f64).filter(|theta| *theta > 0.0);
        theta.ok_or_else(|| self.unreadable(format!("it has no number above 0 `{old}`, nor `rope_parameters`")))
    }

    fn refuse(&self, key: &str, bad: impl Fn(&Value) -> bool, wants: &str) -> Result<(), ModelError> {
        match self.value.get(key) {
            Some(value) if !value.is_null() && bad(value) => Err(self.unsupported(key, value, wants.to_owned())),
            _ => Ok(()),
        }
    }

    fn positions(&self, family: &str) -> Result<Positions, ModelError> {
        if !matches!(family, "roberta" | "xlm-roberta" | "camembert") {
            return Ok(Positions::FromZero);
        }
        let padding = self.value.get("pad_token_id").map_or(Some(1), Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let padding = padding.ok_or_else(|| self.unreadable("`pad_token_id` is not a token id".to_owned()))?;
        Ok(Positions::AfterPadding(padding))
    }

    fn activation(&self, key: &str) -> Result<Activation, ModelError> {
        match self.text(key)?.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => Err(self.unsupported(key, other, "gelu, gelu_new and relu are built in".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERT: &str = r#"{ "model_type": "bert", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 5, "type_vocab_size": 2,
        "hidden_act": "gelu" }"#;

    fn files(named: &[(&str, &str)]) -> ModelFiles {
        named.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn an_unknown_family_is_named_beside_the_known_ones() {
        let error = ModelConfig::read(&files(&[(CONFIG, &BERT.replace("\"bert\"", "\"mamba\""))])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`config.json` says `model_type: mamba`, but `embed` knows bert, camembert, distilbert, electra, modernbert, roberta, xlm-roberta"
        );
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        for (from, to, says) in [
            ("\"gelu\"", "\"swish\"", "hidden_act: swish"),
            ("\"vocab_size\": 9", "\"vocab_size\": 0", "`vocab_size`"),
            ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "num_attention_heads: 3"),
            ("{ \"model", "{ \"is_decoder\": true, \"model", "is_decoder: true"),
            ("{ \"model", "{ \"position_embedding_type\": \"relative_key\", \"model", "relative_key"),
        ] {
            let text = BERT.replace(from, to);
            assert_ne!(text, BERT);
            let error = ModelConfig::read(&files(&[(CONFIG, &text)])).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn roberta_counts_positions_after_its_padding() {
        let text = BERT.replace("\"bert\"", "\"roberta\", \"pad_token_id\": 1");
        let Ok(ModelConfig::Encoder(config)) = ModelConfig::read(&files(&[(CONFIG, &text)])) else {
            panic!("not for the encoder");
        };
        assert_eq!((config.positions, config.longest()), (Positions::AfterPadding(1), 3));
    }

    /// As transformers 4 wrote it.
    const MODERN: &str = r#"{ "model_type": "modernbert", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 4, "num_attention_heads": 2, "max_position_embeddings": 64, "local_attention": 8,
        "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0,
        "hidden_activation": "gelu", "norm_bias": false, "norm_eps": 1e-05 }"#;

    #[test]
    fn modernbert_says_its_rotary_positions_in_either_way() {
        let old = ModelConfig::read(&files(&[(CONFIG, MODERN)])).unwrap();
        let text = MODERN
            .replace(
                "\"global_rope_theta\": 160000.0",
                r#""rope_parameters": { "full_attention": { "rope_theta": 160000.0,
                "rope_type": "default" }, "sliding_attention": { "rope_theta": 10000.0, "rope_type": "default" } }"#,
            )
            .replace(
                "\"local_rope_theta\": 10000.0",
                r#""layer_types": ["full_attention", "sliding_attention",
                "sliding_attention", "full_attention"]"#,
            );
        assert_eq!(ModelConfig::read(&files(&[(CONFIG, &text)])), Ok(old.clone()));
        assert_eq!((old.family(), old.vocabulary()), ("modernbert", 9));
        let ModelConfig::ModernBert(old) = old else { panic!("not ModernBERT") };
        assert_eq!((old.global_rope_theta, old.local_rope_theta, old.layer_norm_eps), (160_000.0, 10_000.0, 1e-5));
    }

    #[test]
    fn what_candle_leaves_out_of_modernbert_is_refused_by_name() {
        for (from, to, says) in [
            ("\"norm_bias\": false", "\"norm_bias\": true", "norm_bias: true"),
            ("\"gelu\"", "\"silu\"", "hidden_activation: \"silu\""),
            ("\"hidden_size\": 8", "\"hidden_size\": 6", "num_attention_heads: 2"),
            ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "num_attention_heads: 3"),
            ("\"global_attn_every_n_layers\": 3", "\"global_attn_every_n_layers\": 0", "`global_attn_every_n_layers`"),
            ("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 4000000000", "num_hidden_layers: 4000000000"),
            ("_embeddings\": 64", "_embeddings\": 4000000000", "max_position_embeddings: 4000000000"),
            ("\"local_rope_theta\": 10000.0", "\"local_rope_theta\": null", "`local_rope_theta`"),
            ("{ \"model", r#"{ "layer_types": ["full_attention", "full_attention"], "model"#, "for layer 1"),
            ("{ \"model", r#"{ "rope_parameters": { "full_attention": { "rope_type": "yarn" } }, "model"#, "yarn"),
        ] {
            let text = MODERN.replace(from, to);
            assert_ne!(text, MODERN);
            let error = ModelConfig::read(&files(&[(CONFIG, &text)])).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn sentence_transformers_wishes_are_read() {
        let modules = r#"[ { "path": "", "type": "sentence_transformers.models.Transformer" },
            { "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" } ]"#;
        let pooling =
            r#"{ "word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false }"#;
        let sentence = r#"{ "max_seq_length": 256, "do_lower_case": true }"#;
        let read = |named: &[(&str, &str)]| SentenceConfig::read(&files(named));
        let all = [(MODULES, modules), (SENTENCE, sentence), ("1_Pooling/config.json", pooling)];
        let wishes = SentenceConfig { pooling: Some(Pooling::Cls), max_length: Some(256), lowercase: true };
        assert_eq!(read(&all), Ok(wishes));
        assert_eq!(read(&[]), Ok(SentenceConfig::default()));
        let dense = modules.replace("models.Pooling", "models.Dense");
        assert!(read(&[(MODULES, &dense)]).unwrap_err().to_string().contains("`type: Dense`"));
        let last = pooling.replace("cls_token", "lasttoken");
        assert!(read(&[("1_Pooling/config.json", &last)]).unwrap_err().to_string().contains("lasttoken"));
    }
}
