//! What do the families compute that [`super::architecture`] has no words for? DeBERTa, by the architecture of
//! candle-transformers, one text at a time.
//!
//! A text is a forward pass of its own, without padding and with a mask that hides nothing: its bits cannot depend on
//! its neighbours. Memory grows with the square of a text's tokens, since the library holds all scores of a layer at
//! once.
//!
//! The library (0.11) gives the states after its last layer alone. So each layer is an encoder of its own here, of one
//! layer; [`Tensors`] gives it the right one's.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use candle_transformers::models::debertav2::{Config, DebertaV2Embeddings, DebertaV2Encoder};

use super::weights::Weights;
use super::{Backbone, Batch, ModelError, last_of};

/// DeBERTa in memory.
pub(super) struct Deberta {
    embeddings: DebertaV2Embeddings,
    layers: Vec<DebertaV2Encoder>,
    width: usize,
    longest: usize,
}

impl Deberta {
    /// Takes the tensors out of `weights`.
    pub(super) fn load(config: &Config, weights: &Weights<'_>) -> Result<Self, ModelError> {
        let one = Config { num_hidden_layers: 1, ..config.clone() };
        Ok(Deberta {
            embeddings: reading(weights, 0, |tensors| DebertaV2Embeddings::load(tensors.pp("embeddings"), &one))?,
            layers: (0..config.num_hidden_layers)
                .map(|layer| reading(weights, layer, |tensors| DebertaV2Encoder::load(tensors.pp("encoder"), &one)))
                .collect::<Result<_, _>>()?,
            width: config.hidden_size,
            longest: config.max_position_embeddings,
        })
    }

    /// One text: the mean of its states after each of so many layers.
    fn text(&self, ids: &[u32], layers: &[usize]) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let all = ids.ones_like()?;
        let mut states = self.embeddings.forward(Some(&ids), None, None, Some(&all), None)?;
        let mut sum = None;
        let last = layers.iter().copied().max().unwrap_or(0);
        for depth in 0..=last {
            if depth > 0 {
                states = self.layers[depth - 1].forward(&states, &all, None, None)?;
            }
            if layers.contains(&depth) {
                sum = Some(match sum {
                    Some(sum) => (sum + &states)?,
                    None => states.clone(),
                });
            }
        }
        match sum {
            Some(sum) => (sum / layers.len() as f64)?.flatten_all()?.to_vec1(),
            None => Ok(Vec::new()),
        }
    }
}

impl Backbone for Deberta {
    fn width(&self) -> usize {
        self.width
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn hidden(&self, batch: Batch<'_>, layers: &[usize]) -> Result<Vec<f32>, ModelError> {
        last_of(layers, self.layers.len())?;
        let mut states = Vec::with_capacity(batch.ids.len() * self.width);
        let mut ids = batch.ids;
        for length in batch.lengths.iter().filter(|length| **length > 0) {
            let (text, rest) = ids.split_at(*length);
            ids = rest;
            states.extend(self.text(text, layers)?);
        }
        Ok(states)
    }
}

/// Has the library read a part of the model, whose first layer is the one with this number.
fn reading<T>(
    weights: &Weights<'_>,
    layer: usize,
    load: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<T>,
) -> Result<T, ModelError> {
    let failure = Mutex::new(None);
    let tensors: Box<dyn SimpleBackend + '_> = Box::new(Tensors { weights, layer, failure: &failure });
    let loaded = load(VarBuilder::from_backend(tensors, DType::F32, Device::Cpu));
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(loaded?),
    }
}

/// Weights under the names that candle-transformers asks for.
struct Tensors<'a> {
    weights: &'a Weights<'a>,
    /// What it takes for its first layer.
    layer: usize,
    /// The first tensor that could not be had: kept here, since the library's own errors lose its kind.
    failure: &'a Mutex<Option<ModelError>>,
}

impl SimpleBackend for Tensors<'_> {
    fn get(&self, shape: Shape, name: &str, _: Init, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let name = match name.strip_prefix("encoder.layer.0.") {
            Some(part) => format!("encoder.layer.{}.{part}", self.layer),
            None => name.to_owned(),
        };
        self.weights.tensor(&name, shape.dims()).map_err(|error| {
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
    use super::*;
    use crate::model::config::ModelConfig;
    use crate::model::families::made::{self, Made};
    use crate::model::sentence::backbone;

    fn models() -> impl Iterator<Item = Made> {
        made::all().into_iter().filter(|made| made.name.starts_with("deberta"))
    }

    #[test]
    fn a_text_has_the_same_bits_alone_and_beside_others() {
        for made in models() {
            let model =
                backbone(&ModelConfig::read(&made.files).unwrap(), &made.files, &super::super::Place::default())
                    .unwrap();
            let (long, short) = (made.ids.as_slice(), &made.ids[2..5]);
            let hidden = |ids: &[u32], lengths: &[usize]| model.hidden(Batch { ids, lengths }, &[1, 2]).unwrap();
            let both = hidden(&[short, long].concat(), &[short.len(), 0, long.len()]);
            let alone = [hidden(short, &[short.len()]), hidden(long, &[long.len()])].concat();
            assert_eq!(alone.len(), 14 * model.width());
            assert!(both.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", made.name);
        }
    }

    #[test]
    fn a_tensor_that_is_missing_is_named() {
        for made in models() {
            let mut files = made.files;
            let mut config = files.json("config.json").unwrap();
            config["num_hidden_layers"] = 3.into();
            files.insert("config.json", config.to_string().into_bytes());
            let tensor = "encoder.layer.2.attention.self.query_proj.weight".to_owned();
            let loaded = ModelConfig::read(&files).unwrap().model(&files);
            assert_eq!(loaded.err(), Some(ModelError::MissingTensor { tensor }));
        }
    }
}
