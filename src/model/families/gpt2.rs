//! What is GPT-2? `GPT2Model`: a decoder with normalisation before each part, and maps that are stored turned.

use super::{Family, Model, activation, one_over_root};
use crate::model::architecture::{Activation, Architecture, Attention, Block, Embedding, FeedForward, Linear, Places};
use crate::model::json::Json;
use crate::model::weights::Weights;
use crate::model::{ModelError, ModelFiles};

/// GPT-2 as transformers' `GPT2Config` writes it.
#[derive(Debug)]
pub(in crate::model) struct Gpt2 {
    vocabulary: usize,
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    longest: usize,
    /// Products are multiplied by one over the root of a head's width.
    scaled: bool,
    /// And divided by the number of the block, from 1.
    by_depth: bool,
    activation: Activation,
    epsilon: f32,
}

impl Gpt2 {
    /// Reads `config.json`.
    pub(in crate::model) fn read(json: &Json<'_>) -> Result<Self, ModelError> {
        json.refuse("add_cross_attention", |v| v != false, "only texts by themselves are built in")?;
        let width = json.size("n_embd")?;
        Ok(Gpt2 {
            vocabulary: json.size("vocab_size")?,
            width,
            inner: json.optional_size("n_inner")?.unwrap_or(4 * width),
            layers: json.size("n_layer")?,
            heads: json.heads("n_head", width)?,
            longest: json.size("n_positions")?,
            scaled: json.value.get("scale_attn_weights").is_none() || json.flag("scale_attn_weights")?,
            by_depth: json.flag("scale_attn_by_inverse_layer_idx")?,
            activation: activation(json, "activation_function")?,
            epsilon: json.number("layer_norm_epsilon")?.unwrap_or(1e-5) as f32,
        })
    }

    fn block(&self, weights: &Weights<'_>, index: usize) -> Result<Block, ModelError> {
        let name = |part: &str| format!("h.{index}.{part}");
        let turned = |part: &str, input, output| turned(weights, &name(part), input, output);
        let norm = |part: &str| weights.layer_norm(&name(part), self.width, self.epsilon);
        let head = self.width / self.heads;
        let scale = if self.scaled { one_over_root(head) } else { 1.0 };
        Ok(Block {
            norm_first: true,
            attention_norm: Some(norm("ln_1")?),
            attention: Attention {
                heads: self.heads,
                key_heads: self.heads,
                head,
                project: turned("attn.c_attn", self.width, 3 * self.width)?,
                head_norms: None,
                rotary: None,
                scale: if self.by_depth { scale / (index + 1) as f32 } else { scale },
                causal: true,
                window: None,
                bias: None,
                output: turned("attn.c_proj", self.width, self.width)?,
            },
            feed_norm: norm("ln_2")?,
            feed: FeedForward {
                up: turned("mlp.c_fc", self.width, self.inner)?,
                gated: false,
                activation: self.activation,
                down: turned("mlp.c_proj", self.inner, self.width)?,
            },
        })
    }
}

impl Family for Gpt2 {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        let weights = &Weights::read(files, "transformer")?;
        let words = weights.table("wte", self.vocabulary, self.width)?;
        let places = weights.table("wpe", self.longest, self.width)?;
        Ok(Model::described(Architecture {
            width: self.width,
            longest: self.longest,
            embedding: Embedding { words, places: Some((places, Places::FromZero)), norm: None, projection: None },
            blocks: (0..self.layers).map(|i| self.block(weights, i)).collect::<Result<_, _>>()?,
            last_norm: Some(weights.layer_norm("ln_f", self.width, self.epsilon)?),
        }))
    }
}

/// A `Conv1D` of transformers: its matrix is `input × output`.
fn turned(weights: &Weights<'_>, name: &str, input: usize, output: usize) -> Result<Linear, ModelError> {
    let stored = weights.values(&format!("{name}.weight"), &[input, output])?;
    let bias = weights.values(&format!("{name}.bias"), &[output])?;
    let mut weight = Vec::with_capacity(stored.len());
    for column in 0..output {
        weight.extend(stored.iter().skip(column).step_by(output));
    }
    Ok(Linear { input, output, weight, bias: Some(bias) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refusals};

    const CONFIG: &str = r#"{ "model_type": "gpt2", "vocab_size": 9, "n_embd": 8, "n_layer": 3, "n_head": 2,
        "n_positions": 7, "n_inner": null, "activation_function": "gelu_new" }"#;

    #[test]
    fn its_own_names_are_read() {
        let config = read(CONFIG).unwrap();
        assert_eq!((config.vocabulary(), config.longest()), (9, 7));
        refusals(
            CONFIG,
            &[
                ("gelu_new", "tanh", "activation_function: tanh"),
                ("null", "\"wide\"", "`n_inner`"),
                ("{ \"model", "{ \"add_cross_attention\": true, \"model", "add_cross_attention: true"),
                ("\"n_head\": 2", "\"n_head\": 3", "n_head: 3"),
            ],
        );
    }
}
