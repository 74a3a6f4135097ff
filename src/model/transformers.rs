//! What do the families compute that `encoder` lacks? The architectures of candle-transformers, one text at a time.
//!
//! A text is a forward pass of its own, without padding and with a mask that hides nothing: its bits cannot depend on
//! its neighbours. Memory grows with the square of a text's tokens, since the library holds all scores of a layer at
//! once.
//!
//! ModernBERT (0.11) computes what transformers' `ModernBertModel` does, but reads its tensors in two other ways, which
//! [`Tensors`] mends: it looks for all of them under `model.`, as only a checkpoint with a head has them; and it takes
//! `attn_norm` where it finds one, while the first layer never has it and every other one must.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use candle_transformers::models::modernbert::{Config, ModernBert};

use super::weights::Weights;
use super::{Backbone, Batch, ModelError};

/// A model of candle-transformers in memory.
pub(super) struct Transformers {
    model: ModernBert,
    width: usize,
    longest: usize,
}

impl Transformers {
    /// Takes the tensors out of `weights`.
    pub(super) fn load(config: &Config, weights: &Weights<'_>) -> Result<Self, ModelError> {
        let failure = Mutex::new(None);
        let tensors: Box<dyn SimpleBackend + '_> = Box::new(Tensors { weights, failure: &failure });
        let loaded = ModernBert::load(VarBuilder::from_backend(tensors, DType::F32, Device::Cpu), config);
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => {
                Ok(Transformers { model: loaded?, width: config.hidden_size, longest: config.max_position_embeddings })
            }
        }
    }
}

impl Backbone for Transformers {
    fn width(&self) -> usize {
        self.width
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn hidden(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        let mut states = Vec::with_capacity(batch.ids.len() * self.width);
        let mut ids = batch.ids;
        for length in batch.lengths.iter().filter(|length| **length > 0) {
            let (text, rest) = ids.split_at(*length);
            ids = rest;
            let text = Tensor::new(text, &Device::Cpu)?.unsqueeze(0)?;
            let hidden = self.model.forward(&text, &text.ones_like()?)?;
            states.extend(hidden.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(states)
    }
}

/// Weights under the names that candle-transformers asks for.
struct Tensors<'a> {
    weights: &'a Weights<'a>,
    /// The first tensor that could not be had: kept here, since the library's own errors lose its kind and the library
    /// does without some tensors that must be there.
    failure: &'a Mutex<Option<ModelError>>,
}

impl SimpleBackend for Tensors<'_> {
    fn get(&self, shape: Shape, name: &str, _: Init, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let name = name.strip_prefix("model.").unwrap_or(name);
        if name == "layers.0.attn_norm.weight" {
            return Err(candle_core::Error::Msg("the first layer has no `attn_norm`".to_owned()));
        }
        self.weights.tensor(name, shape.dims()).map_err(|error| {
            let message = error.to_string();
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            candle_core::Error::Msg(message)
        })
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        Err(candle_core::Error::Msg(format!("`{name}` is asked for without a shape")))
    }

    fn contains_tensor(&self, _: &str) -> bool {
        // asked by other architectures before they take an optional tensor
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::ModelFiles;
    use crate::model::config::ModelConfig;
    use crate::model::sentence::backbone;
    use crate::model::tests::tiny;

    const WEIGHTS: &str = "model.safetensors";

    /// `files` with another header before its weights and with 48 zeros behind them.
    fn with_header(files: &ModelFiles, change: impl FnOnce(&mut serde_json::Map<String, Value>, usize)) -> ModelFiles {
        let (length, rest) = files.bytes(WEIGHTS).unwrap().split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let mut header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
        change(&mut header, data.len());
        let zeros = json!({ "dtype": "F32", "shape": [48], "data_offsets": [data.len(), data.len() + 192] });
        header.entry("zeros").or_insert(zeros);
        let header = serde_json::to_vec(&header).unwrap();
        let mut changed = files.clone();
        let parts = [&(header.len() as u64).to_le_bytes()[..], &header, data, &[0; 192]];
        changed.insert(WEIGHTS, parts.concat());
        changed
    }

    fn load(files: &ModelFiles) -> Result<Box<dyn Backbone>, ModelError> {
        backbone(ModelConfig::read(files).unwrap(), files)
    }

    fn states(files: &ModelFiles) -> Vec<f32> {
        load(files).unwrap().hidden(Batch { ids: &[2, 34, 589, 210, 3], lengths: &[5] }).unwrap()
    }

    #[test]
    fn tensors_have_the_names_of_the_checkpoint() {
        let Some((files, _)) = tiny("modernbert") else { return };
        let plain = states(&files);
        let with_head = with_header(&files, |header, _| {
            *header = std::mem::take(header)
                .into_iter()
                .map(
                    |(name, tensor)| {
                        if name.starts_with("__") { (name, tensor) } else { (format!("model.{name}"), tensor) }
                    },
                )
                .collect();
        });
        assert_eq!(states(&with_head), plain);
        // zeros for scale: it would show
        let first_norm = with_header(&files, |header, end| {
            let zeros = json!({ "dtype": "F32", "shape": [48], "data_offsets": [end, end + 192] });
            header.insert("layers.0.attn_norm.weight".to_owned(), zeros);
            header.insert(
                "zeros".to_owned(),
                json!({ "dtype": "F32", "shape": [0], "data_offsets": [end + 192, end + 192] }),
            );
        });
        assert_eq!(states(&first_norm), plain);
    }

    #[test]
    fn a_tensor_that_is_missing_or_misshapen_is_named() {
        let Some((files, _)) = tiny("modernbert") else { return };
        let without = with_header(&files, |header, _| {
            let norm = header.remove("layers.2.attn_norm.weight").unwrap();
            header.insert("elsewhere".to_owned(), norm);
        });
        let tensor = "layers.2.attn_norm.weight".to_owned();
        assert_eq!(load(&without).err(), Some(ModelError::MissingTensor { tensor }));
        let other = with_header(&files, |header, _| header["layers.1.mlp.Wo.weight"]["shape"] = json!([96, 48]));
        let (tensor, expected, found) = ("layers.1.mlp.Wo.weight".to_owned(), vec![48, 96], vec![96, 48]);
        assert_eq!(load(&other).err(), Some(ModelError::Shape { tensor, expected, found }));
    }
}
