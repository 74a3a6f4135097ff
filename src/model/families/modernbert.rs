//! What is ModernBERT? `ModernBertModel`: normalisation before each part, rotary positions, gated feeds, and blocks that see
//! all of a text or only the neighbourhood.

use std::sync::Arc;

use serde_json::Value;

use super::rotary::{Rope, even};
use super::{Family, Model, activation, one_over_root};
use crate::model::architecture::{Activation, Architecture, Attention, Block, Embedding, FeedForward, Norm, Rotary};
use crate::model::json::Json;
use crate::model::weights::{Centred, Weights};
use crate::model::{ModelError, ModelFiles};

const WHOLE: &str = "full_attention";
const NEAR: &str = "sliding_attention";

/// ModernBERT as transformers' `ModernBertConfig` writes it.
#[derive(Debug)]
pub(in crate::model) struct ModernBert {
    vocabulary: usize,
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    longest: usize,
    window: usize,
    rope: [Rope; 2],
    looks: Looks,
    activation: Activation,
    epsilon: f32,
    /// Of attention, feed-forward part and normalisation.
    biases: [bool; 3],
}

/// Which blocks see all of a text.
#[derive(Debug, Clone)]
enum Looks {
    /// One out of so many, the first with it.
    Every(usize),
    /// As listed.
    Listed(Vec<bool>),
}

impl Looks {
    fn whole(&self, block: usize) -> bool {
        match self {
            Looks::Every(every) => block.is_multiple_of(*every),
            Looks::Listed(whole) => whole[block],
        }
    }
}

impl ModernBert {
    /// Reads `config.json`.
    pub(in crate::model) fn read(json: &Json<'_>) -> Result<Self, ModelError> {
        let width = json.size("hidden_size")?;
        let heads = json.heads("num_attention_heads", width)?;
        even(json, "num_attention_heads", heads, width / heads)?;
        let layers = json.size("num_hidden_layers")?;
        Ok(ModernBert {
            vocabulary: json.size("vocab_size")?,
            width,
            inner: json.size("intermediate_size")?,
            layers,
            heads,
            longest: json.size("max_position_embeddings")?,
            window: json.size("local_attention")? / 2,
            rope: [
                Rope::read(json, Some(WHOLE), "global_rope_theta")?,
                Rope::read(json, Some(NEAR), "local_rope_theta")?,
            ],
            looks: looks(json, layers)?,
            activation: activation(json, "hidden_activation")?,
            epsilon: json.number("norm_eps")?.unwrap_or(1e-5) as f32,
            biases: [json.flag("attention_bias")?, json.flag("mlp_bias")?, json.flag("norm_bias")?],
        })
    }

    fn norm(&self, weights: &Weights<'_>, name: &str) -> Result<Norm, ModelError> {
        if self.biases[2] {
            weights.layer_norm(name, self.width, self.epsilon)
        } else {
            weights.scaling(name, self.width, self.epsilon, Centred::Yes)
        }
    }

    fn block(&self, weights: &Weights<'_>, index: usize, rotaries: &[Arc<Rotary>; 2]) -> Result<Block, ModelError> {
        let name = |part: &str| format!("layers.{index}.{part}");
        let linear = |part: &str, input, output, biased| weights.linear_if(biased, &name(part), input, output);
        let whole = self.looks.whole(index);
        let [attention, feed, _] = self.biases;
        let head = self.width / self.heads;
        Ok(Block {
            norm_first: true,
            attention_norm: if index == 0 { None } else { Some(self.norm(weights, &name("attn_norm"))?) },
            attention: Attention {
                heads: self.heads,
                key_heads: self.heads,
                head,
                project: linear("attn.Wqkv", self.width, 3 * self.width, attention)?,
                head_norms: None,
                rotary: Some(Arc::clone(&rotaries[usize::from(!whole)])),
                scale: one_over_root(head),
                causal: false,
                window: (!whole).then_some(self.window),
                bias: None,
                output: linear("attn.Wo", self.width, self.width, attention)?,
            },
            feed_norm: self.norm(weights, &name("mlp_norm"))?,
            feed: FeedForward {
                up: linear("mlp.Wi", self.width, 2 * self.inner, feed)?,
                gated: true,
                activation: self.activation,
                down: linear("mlp.Wo", self.inner, self.width, feed)?,
            },
        })
    }
}

impl Family for ModernBert {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        let weights = &Weights::read(files, "model")?;
        let embedding = Embedding {
            words: weights.table("embeddings.tok_embeddings", self.vocabulary, self.width)?,
            places: None,
            norm: Some(self.norm(weights, "embeddings.norm")?),
            projection: None,
        };
        let rotaries = self.rope.each_ref().map(|rope| Arc::new(rope.rotary(self.width / self.heads)));
        Ok(Model::described(Architecture {
            width: self.width,
            longest: self.longest,
            embedding,
            blocks: (0..self.layers).map(|i| self.block(weights, i, &rotaries)).collect::<Result<_, _>>()?,
            last_norm: Some(self.norm(weights, "final_norm")?),
        }))
    }
}

fn looks(json: &Json<'_>, layers: usize) -> Result<Looks, ModelError> {
    let Some(kinds) = json.value.get("layer_types").and_then(Value::as_array) else {
        return Ok(Looks::Every(json.size("global_attn_every_n_layers")?));
    };
    let whole = json.kinds(kinds, layers, [WHOLE, NEAR])?;
    Ok(Looks::Listed(whole))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refusals};
    use super::*;
    use crate::model::files::CONFIG as FILE;

    /// As transformers 4 wrote it.
    const CONFIG: &str = r#"{ "model_type": "modernbert", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 4, "num_attention_heads": 2, "max_position_embeddings": 64, "local_attention": 8,
        "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0,
        "hidden_activation": "gelu", "norm_bias": false, "norm_eps": 1e-05 }"#;

    #[test]
    fn rotary_positions_and_sights_are_said_in_either_way() {
        let text = CONFIG
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
        let model =
            |text: &str| ModernBert::read(&Json { file: FILE, value: serde_json::from_str(text).unwrap() }).unwrap();
        let (old, new) = (model(CONFIG), model(&text));
        assert_eq!(old.rope, new.rope);
        assert_ne!(old.rope[0], old.rope[1]);
        for (block, whole) in [true, false, false, true].into_iter().enumerate() {
            assert_eq!((old.looks.whole(block), new.looks.whole(block)), (whole, whole), "{block}");
        }
        assert_eq!((read(CONFIG).unwrap().vocabulary(), read(CONFIG).unwrap().longest()), (9, 64));
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        refusals(
            CONFIG,
            &[
                ("\"norm_bias\": false", "\"norm_bias\": 1", "`norm_bias`"),
                ("\"gelu\"", "\"mish\"", "hidden_activation: mish"),
                ("\"hidden_size\": 8", "\"hidden_size\": 6", "num_attention_heads: 2"),
                ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "num_attention_heads: 3"),
                (
                    "\"global_attn_every_n_layers\": 3",
                    "\"global_attn_every_n_layers\": 0",
                    "`global_attn_every_n_layers`",
                ),
                ("\"local_rope_theta\": 10000.0", "\"local_rope_theta\": null", "`local_rope_theta`"),
                (
                    "{ \"model",
                    r#"{ "layer_types": ["full_attention", "full_attention"], "model"#,
                    "layer_types: (2 of them)",
                ),
                (
                    "{ \"model",
                    r#"{ "rope_parameters": { "full_attention": { "rope_theta": 1.0, "rope_type": "yarn" } }, "model"#,
                    "yarn",
                ),
            ],
        );
    }
}
