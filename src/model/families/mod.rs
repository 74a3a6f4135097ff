//! How does a checkpoint become a description? One file for each kin: what its `config.json` may say, and how its tensors
//! are called.
//!
//! Ported from transformers 5 (`src/transformers/models/*/modeling_*.py`). What a configuration says and is not built in
//! is refused by name; settings that only training reads are passed over.

pub(super) mod bert;
pub(super) mod deberta;
pub(super) mod gpt2;
pub(super) mod head;
pub(super) mod llama;
#[cfg(test)]
pub(super) mod made;
pub(super) mod modernbert;
mod rotary;
pub(super) mod tokens;

use super::architecture::{Activation, Architecture, Linear};
use super::json::Json;
use super::transformers::Deberta;
use super::{ModelError, ModelFiles};

/// A model of one kin, as its files describe it.
pub(super) trait Family: std::fmt::Debug {
    /// Number of tokens.
    fn vocabulary(&self) -> usize;

    /// The longest text in tokens.
    fn longest(&self) -> usize;

    /// The whole transformer.
    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError>;
}

/// A model with its weights.
pub(super) enum Model {
    /// For an engine to compute.
    Described(Box<Architecture>),
    /// What [`Architecture`] has no words for.
    Deberta(Box<Deberta>),
}

impl Model {
    fn described(architecture: Architecture) -> Self {
        Model::Described(Box::new(architecture))
    }
}

/// Maps of the same input as one: their outputs side by side.
fn side_by_side(maps: impl IntoIterator<Item = Result<Linear, ModelError>>) -> Result<Linear, ModelError> {
    maps.into_iter()
        .reduce(|all, next| {
            let (mut all, next) = (all?, next?);
            all.output += next.output;
            all.weight.extend(next.weight);
            all.bias = all.bias.zip(next.bias).map(|(mut all, next)| {
                all.extend(next);
                all
            });
            Ok(all)
        })
        // no map at all has no output
        .unwrap_or_else(|| Ok(Linear { input: 0, output: 0, weight: Vec::new(), bias: None }))
}

/// The function between the two products of a feed-forward part.
fn activation(json: &Json<'_>, key: &str) -> Result<Activation, ModelError> {
    match json.text(key)?.as_str() {
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        other => Err(json.unsupported(key, other, "gelu, gelu_new, relu and silu are built in".to_owned())),
    }
}

/// What queries times keys are multiplied by.
fn one_over_root(head: usize) -> f32 {
    (1.0 / (head as f64).sqrt()) as f32
}

#[cfg(test)]
mod tests {
    use super::super::config::ModelConfig;
    use super::super::files::CONFIG;
    use super::*;

    /// Reads a `config.json`.
    pub(super) fn read(text: &str) -> Result<ModelConfig, ModelError> {
        ModelConfig::read(&ModelFiles::from_iter([(CONFIG.to_owned(), text.as_bytes().to_vec())]))
    }

    /// Each change to `config` makes a refusal that says `says`.
    pub(super) fn refusals(config: &str, changes: &[(&str, &str, &str)]) {
        for (from, to, says) in changes {
            let text = config.replace(from, to);
            assert_ne!(text, config);
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
