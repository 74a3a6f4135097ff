//! What are Llama and Qwen? `LlamaModel`, `Qwen2Model`, `Qwen3Model`: decoders with rotary positions, gated feeds, and fewer
//! heads of keys than of queries.

use std::sync::Arc;

use serde_json::Value;

use super::rotary::{Rope, even};
use super::{Family, Model, activation, one_over_root, side_by_side};
use crate::model::architecture::{Activation, Architecture, Attention, Block, Embedding, FeedForward, Norm, Rotary};
use crate::model::json::Json;
use crate::model::weights::{Centred, Weights};
use crate::model::{ModelError, ModelFiles};

const WHOLE: &str = "full_attention";
const NEAR: &str = "sliding_attention";

/// Such a decoder as transformers' `LlamaConfig`, `Qwen2Config` and `Qwen3Config` write it.
#[derive(Debug)]
pub(in crate::model) struct Llama {
    vocabulary: usize,
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    key_heads: usize,
    head: usize,
    longest: usize,
    rope: Rope,
    windows: Windows,
    activation: Activation,
    epsilon: f32,
    /// Of queries, keys and values; of the way out; of the feed-forward part.
    biases: [bool; 3],
    /// Heads are normalised (Qwen3).
    head_norms: bool,
}

/// Which blocks see only the last tokens, and how many of them before a token.
#[derive(Debug)]
enum Windows {
    /// All see everything before.
    None,
    /// Those from one on.
    From(usize, usize),
    /// Those that are marked.
    Listed(Vec<bool>, usize),
}

impl Windows {
    fn of(&self, block: usize) -> Option<usize> {
        match self {
            Windows::From(first, before) if block >= *first => Some(*before),
            Windows::Listed(near, before) if near[block] => Some(*before),
            _ => None,
        }
    }
}

impl Llama {
    /// Reads `config.json` of such a family.
    pub(in crate::model) fn read(json: &Json<'_>, family: &str) -> Result<Self, ModelError> {
        // what some checkpoints with code of their own say: their attention looks both ways
        json.refuse("is_causal", |v| v != true, "only decoders that look back are built in")?;
        let width = json.size("hidden_size")?;
        let heads = json.size("num_attention_heads")?;
        let key_heads = json.optional_size("num_key_value_heads")?.unwrap_or(heads);
        if !heads.is_multiple_of(key_heads) {
            let wants = format!("it must divide the {heads} heads of queries");
            return Err(json.unsupported("num_key_value_heads", key_heads, wants));
        }
        let head = match json.optional_size("head_dim")? {
            Some(head) => even(json, "head_dim", head, head)?,
            None => even(json, "num_attention_heads", heads, width / json.heads("num_attention_heads", width)?)?,
        };
        let layers = json.size("num_hidden_layers")?;
        let bias = json.flag("attention_bias")?;
        Ok(Llama {
            vocabulary: json.size("vocab_size")?,
            width,
            inner: json.size("intermediate_size")?,
            layers,
            heads,
            key_heads,
            head,
            longest: json.size("max_position_embeddings")?,
            rope: Rope::read(json, None, "rope_theta")?,
            windows: if family == "llama" { Windows::None } else { windows(json, layers)? },
            activation: activation(json, "hidden_act")?,
            epsilon: json.number("rms_norm_eps")?.unwrap_or(1e-6) as f32,
            biases: match family {
                "qwen2" => [true, false, false],
                "qwen3" => [bias, bias, false],
                _ => [bias, bias, json.flag("mlp_bias")?],
            },
            head_norms: family == "qwen3",
        })
    }

    fn norm(&self, weights: &Weights<'_>, name: &str) -> Result<Norm, ModelError> {
        weights.scaling(name, self.width, self.epsilon, Centred::No)
    }

    fn block(&self, weights: &Weights<'_>, index: usize, rotary: &Arc<Rotary>) -> Result<Block, ModelError> {
        let name = |part: &str| format!("layers.{index}.{part}");
        let linear = |part: &str, input, output, biased| weights.linear_if(biased, &name(part), input, output);
        let [project, output, feed] = self.biases;
        let (queries, keys) = (self.heads * self.head, self.key_heads * self.head);
        let head_norm = |part: &str| weights.scaling(&name(part), self.head, self.epsilon, Centred::No);
        let head_norms =
            if self.head_norms { Some((head_norm("self_attn.q_norm")?, head_norm("self_attn.k_norm")?)) } else { None };
        Ok(Block {
            norm_first: true,
            attention_norm: Some(self.norm(weights, &name("input_layernorm"))?),
            attention: Attention {
                heads: self.heads,
                key_heads: self.key_heads,
                head: self.head,
                project: side_by_side([
                    linear("self_attn.q_proj", self.width, queries, project),
                    linear("self_attn.k_proj", self.width, keys, project),
                    linear("self_attn.v_proj", self.width, keys, project),
                ])?,
                head_norms,
                rotary: Some(Arc::clone(rotary)),
                scale: one_over_root(self.head),
                causal: true,
                window: self.windows.of(index),
                bias: None,
                output: linear("self_attn.o_proj", queries, self.width, output)?,
            },
            feed_norm: self.norm(weights, &name("post_attention_layernorm"))?,
            feed: FeedForward {
                up: side_by_side([
                    linear("mlp.gate_proj", self.width, self.inner, feed),
                    linear("mlp.up_proj", self.width, self.inner, feed),
                ])?,
                gated: true,
                activation: self.activation,
                down: linear("mlp.down_proj", self.inner, self.width, feed)?,
            },
        })
    }
}

impl Family for Llama {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        let weights = &Weights::read(files, "model")?;
        let words = weights.table("embed_tokens", self.vocabulary, self.width)?;
        let rotary = Arc::new(self.rope.rotary(self.head));
        Ok(Model::described(Architecture {
            width: self.width,
            longest: self.longest,
            embedding: Embedding { words, places: None, norm: None, projection: None },
            blocks: (0..self.layers).map(|i| self.block(weights, i, &rotary)).collect::<Result<_, _>>()?,
            last_norm: Some(self.norm(weights, "norm")?),
        }))
    }
}

/// A window of `n` is a token and the `n − 1` before it (`sliding_window_overlay` of transformers).
fn windows(json: &Json<'_>, layers: usize) -> Result<Windows, ModelError> {
    let window = if json.flag("use_sliding_window")? { json.optional_size("sliding_window")? } else { None };
    if let Some(kinds) = json.value.get("layer_types").and_then(Value::as_array) {
        let near = json.kinds(kinds, layers, [NEAR, WHOLE])?;
        return match window {
            Some(window) => Ok(Windows::Listed(near, window - 1)),
            None if near.contains(&true) => {
                Err(json.unsupported("layer_types", NEAR, "there is no `sliding_window` for it".to_owned()))
            }
            None => Ok(Windows::None),
        };
    }
    match window {
        Some(window) => Ok(Windows::From(json.whole("max_window_layers")?, window - 1)),
        None => Ok(Windows::None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refusals};
    use super::*;
    use crate::model::files::CONFIG as FILE;

    const CONFIG: &str = r#"{ "model_type": "qwen2", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
        "rope_theta": 10000.0, "use_sliding_window": true, "sliding_window": 5, "max_window_layers": 1,
        "hidden_act": "silu", "rms_norm_eps": 1e-06 }"#;

    fn model(text: &str) -> Llama {
        Llama::read(&Json { file: FILE, value: serde_json::from_str(text).unwrap() }, "qwen2").unwrap()
    }

    #[test]
    fn windows_are_said_in_either_way() {
        let listed = CONFIG.replace(
            "\"max_window_layers\": 1",
            r#""layer_types": ["full_attention", "sliding_attention", "sliding_attention"]"#,
        );
        let switched_off = CONFIG.replace("\"use_sliding_window\": true", "\"use_sliding_window\": false");
        for (text, windows) in
            [(CONFIG, [None, Some(4), Some(4)]), (&listed, [None, Some(4), Some(4)]), (&switched_off, [None; 3])]
        {
            let model = model(text);
            assert_eq!([0, 1, 2].map(|block| model.windows.of(block)), windows, "{text}");
        }
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        let with = |setting| format!("{{ {setting}, \"model");
        let listed = with(r#""layer_types": ["full_attention", "full_attention", "chunked_attention"]"#);
        let yarn = with(r#""rope_scaling": { "rope_type": "yarn", "factor": 4.0 }"#);
        let bare = with(r#""rope_scaling": { "type": "llama3", "factor": 4.0 }"#);
        refusals(
            CONFIG,
            &[
                ("{ \"model", &with("\"is_causal\": false"), "is_causal: false"),
                ("{ \"model", &with("\"partial_rotary_factor\": 0.5"), "partial_rotary_factor: 0.5"),
                ("{ \"model", &listed, "layer_types: \"chunked_attention\""),
                ("{ \"model", &yarn, "rope_type: \"yarn\""),
                ("{ \"model", &bare, "`low_freq_factor`"),
                ("{ \"model", &with("\"head_dim\": 3"), "head_dim: 3"),
                ("{ \"model", &with("\"head_dim\": 4000000000"), "head_dim: 4000000000"),
                ("\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3", "num_key_value_heads: 3"),
                ("\"rope_theta\": 10000.0", "\"rope_theta\": 0", "`rope_theta`"),
                ("\"max_window_layers\": 1", "\"max_window_layers\": -1", "`max_window_layers`"),
            ],
        );
        assert_eq!(read(CONFIG).unwrap().longest(), 64);
    }
}
