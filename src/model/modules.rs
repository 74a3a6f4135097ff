//! What do sentence-transformers' modules make of a pooled vector? Dense layers, and normalisation on the way to them.

use candle_core::safetensors::{Load, SliceSafetensors};
use candle_core::{DType, Device};

use super::json::Json;
use super::pooling::normalize;
use super::{ModelError, ModelFiles};

/// A module that comes after pooling, as `modules.json` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// A dense layer, by its folder.
    Dense(String),
    /// Scaling to length 1 before another module.
    Normalize,
}

/// Such a module in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Module {
    /// A dense layer.
    Dense(Dense),
    /// Scaling to length 1.
    Normalize,
}

impl Module {
    /// Reads a module's files.
    pub(super) fn load(named: &Named, files: &ModelFiles) -> Result<Self, ModelError> {
        match named {
            Named::Dense(folder) => Dense::load(folder, files).map(Module::Dense),
            Named::Normalize => Ok(Module::Normalize),
        }
    }

    /// How many numbers it gives for so many; an error if it does not take them.
    pub(super) fn width(&self, takes: usize) -> Result<usize, ModelError> {
        match self {
            Module::Normalize => Ok(takes),
            Module::Dense(dense) if dense.takes == takes => Ok(dense.bias.len()),
            Module::Dense(dense) => Err(ModelError::Unsupported {
                file: dense.file.clone(),
                key: "in_features".to_owned(),
                value: dense.takes.to_string(),
                wants: format!("pooling gives {takes} numbers"),
            }),
        }
    }

    /// What it makes of a vector.
    pub(super) fn apply(&self, mut vector: Vec<f32>) -> Vec<f32> {
        match self {
            Module::Normalize => {
                normalize(&mut vector);
                vector
            }
            Module::Dense(dense) => dense.apply(&vector),
        }
    }
}

/// A linear map and what comes after it (`sentence_transformers.models.Dense`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    file: String,
    takes: usize,
    /// A row of `takes` numbers for each number that it gives.
    weight: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Identity,
    Tanh,
    Relu,
    Sigmoid,
}

impl Dense {
    fn load(folder: &str, files: &ModelFiles) -> Result<Self, ModelError> {
        let file = format!("{folder}/config.json");
        let json = Json { file: &file, value: files.json(&file)? };
        let (takes, gives) = (json.size("in_features")?, json.size("out_features")?);
        json.refuse("use_residual", |value| value != false, "no residual is built in")?;
        for key in ["module_input_name", "module_output_name"] {
            json.refuse(key, |value| value != "sentence_embedding", "only layers over the text's vector are built in")?;
        }
        let name = json.text("activation_function")?;
        let activation = match name.rsplit('.').next().unwrap_or_default() {
            "Identity" => Activation::Identity,
            "Tanh" => Activation::Tanh,
            "ReLU" => Activation::Relu,
            "Sigmoid" => Activation::Sigmoid,
            _ => {
                let wants = "Identity, Tanh, ReLU and Sigmoid are built in".to_owned();
                return Err(json.unsupported("activation_function", name, wants));
            }
        };
        let weights = format!("{folder}/model.safetensors");
        let unreadable =
            |error: candle_core::Error| ModelError::Unreadable { file: weights.clone(), message: error.to_string() };
        let tensors = SliceSafetensors::new(files.bytes(&weights)?).map_err(unreadable)?;
        let tensor = |name: &str, shape: &[usize]| {
            let view =
                tensors.get(name).map_err(|_| ModelError::MissingTensor { tensor: format!("{folder}/{name}") })?;
            if view.shape() != shape {
                let tensor = format!("{folder}/{name}");
                return Err(ModelError::Shape { tensor, expected: shape.to_vec(), found: view.shape().to_vec() });
            }
            let loaded =
                view.load(&Device::Cpu).and_then(|tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1());
            loaded.map_err(unreadable)
        };
        let weight = tensor("linear.weight", &[gives, takes])?;
        let bias = match json.value.get("bias").and_then(serde_json::Value::as_bool) {
            Some(false) => vec![0.0; gives],
            _ => tensor("linear.bias", &[gives])?,
        };
        Ok(Dense { takes, weight, bias, activation, file })
    }

    /// Sums run over the inputs in their order, in f64.
    fn apply(&self, vector: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(self.takes).zip(&self.bias);
        let outcome = rows.map(|(row, bias)| {
            let products = row.iter().zip(vector).map(|(weight, value)| f64::from(*weight) * f64::from(*value));
            let sum = products.sum::<f64>() + f64::from(*bias);
            let value = match self.activation {
                Activation::Identity => sum,
                Activation::Tanh => sum.tanh(),
                // not f64::max, which would hide a NaN
                Activation::Relu => {
                    if sum < 0.0 {
                        0.0
                    } else {
                        sum
                    }
                }
                Activation::Sigmoid => 1.0 / (1.0 + (-sum).exp()),
            };
            value as f32
        });
        outcome.collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A safetensors file of f32 tensors.
    pub(in super::super) fn safetensors(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, shape, values) in tensors {
            let begin = data.len();
            values.iter().for_each(|value| data.extend(value.to_le_bytes()));
            let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()] });
            header.insert((*name).to_owned(), entry);
        }
        let mut header = serde_json::to_vec(&header).unwrap();
        header.resize(header.len().next_multiple_of(8), b' ');
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    fn files(config: &str) -> ModelFiles {
        let weights = safetensors(&[
            ("linear.weight", &[2, 3], &[1.0, 2.0, 3.0, -1.0, 0.5, 0.0]),
            ("linear.bias", &[2], &[0.5, -1.0]),
        ]);
        let named = [("2_Dense/config.json", config.as_bytes().to_vec()), ("2_Dense/model.safetensors", weights)];
        named.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
    }

    const CONFIG: &str = r#"{ "in_features": 3, "out_features": 2, "bias": true,
        "activation_function": "torch.nn.modules.activation.Tanh" }"#;

    #[test]
    fn a_dense_layer_by_hand() {
        let load = |config: &str| Module::load(&Named::Dense("2_Dense".to_owned()), &files(config)).unwrap();
        let tanh = load(CONFIG);
        // 1·1 + 2·0 + 3·-1 + 0.5 = -1.5, -1·1 + 0.5·0 - 1 = -2
        assert_eq!(tanh.apply(vec![1.0, 0.0, -1.0]), [(-1.5f64).tanh() as f32, (-2.0f64).tanh() as f32]);
        assert_eq!(tanh.width(3), Ok(2));
        let refused = tanh.width(4).unwrap_err().to_string();
        assert!(refused.contains("`in_features: 3`") && refused.contains("4 numbers"), "{refused}");
        let of = |name: &str| load(&CONFIG.replace("activation.Tanh", name)).apply(vec![1.0, 0.0, -1.0]);
        assert_eq!(of("linear.Identity"), [-1.5, -2.0]);
        assert_eq!(of("activation.ReLU"), [0.0, 0.0]);
        let bare =
            load(&CONFIG.replace("\"bias\": true", "\"bias\": false").replace("activation.Tanh", "linear.Identity"));
        assert_eq!(bare.apply(vec![1.0, 0.0, -1.0]), [-2.0, -1.0]);
        assert_eq!(Module::Normalize.apply(vec![3.0, 4.0]), [0.6, 0.8]);
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        for (from, to, says) in [
            ("activation.Tanh", "activation.Mish", "Mish"),
            ("\"bias\": true", "\"use_residual\": true", "use_residual"),
            ("\"bias\": true", "\"module_input_name\": \"token_embeddings\"", "token_embeddings"),
            ("\"in_features\": 3", "\"in_features\": 4", "linear.weight"),
        ] {
            let config = CONFIG.replace(from, to);
            assert_ne!(config, CONFIG);
            let refused = Module::load(&Named::Dense("2_Dense".to_owned()), &files(&config)).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
        let lacking = Module::load(&Named::Dense("2_Dense".to_owned()), &ModelFiles::default()).unwrap_err();
        assert_eq!(lacking.to_string(), "the model has no file `2_Dense/config.json`");
    }
}
