//! Where is a tensor? Safetensors files, looked up by name and checked against the shape that the configuration asks
//! for.

use candle_core::safetensors::{Load, SliceSafetensors};
use candle_core::{DType, Device, Tensor};

use super::{ModelError, ModelFiles};

/// The weights of a model; all tensors come out as f32.
pub(super) struct Weights<'a> {
    files: Vec<(&'a str, SliceSafetensors<'a>)>,
    prefix: String,
}

impl<'a> Weights<'a> {
    /// Reads the headers. A checkpoint saved with a head has its encoder under a name that depends on the family
    /// (`bert.encoder.…`); that prefix is found here.
    pub(super) fn read(files: &'a ModelFiles, family: &str) -> Result<Self, ModelError> {
        let mut read = Vec::new();
        for (name, bytes) in files.weights()? {
            let parsed = SliceSafetensors::new(bytes)
                .map_err(|error| ModelError::Unreadable { file: name.to_owned(), message: error.to_string() })?;
            read.push((name, parsed));
        }
        let mut weights = Weights { files: read, prefix: String::new() };
        let stem = match family {
            "camembert" | "xlm-roberta" => "roberta",
            "modernbert" => "model",
            own => own,
        };
        let prefixed = format!("{stem}.");
        if weights.files.iter().any(|(_, file)| file.tensors().iter().any(|(name, _)| name.starts_with(&prefixed))) {
            weights.prefix = prefixed;
        }
        Ok(weights)
    }

    /// The tensor called `name`, of exactly this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let tensor = format!("{}{name}", self.prefix);
        for (file, tensors) in &self.files {
            let Ok(view) = tensors.get(&tensor) else { continue };
            if view.shape() != shape {
                return Err(ModelError::Shape { tensor, expected: shape.to_vec(), found: view.shape().to_vec() });
            }
            let loaded = view.load(&Device::Cpu).and_then(|t| t.to_dtype(DType::F32));
            return loaded.map_err(|error| ModelError::Unreadable {
                file: (*file).to_owned(),
                message: format!("tensor `{tensor}`: {error}"),
            });
        }
        Err(ModelError::MissingTensor { tensor })
    }

    /// A vector.
    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        Ok(self.tensor(name, &[length])?.to_vec1()?)
    }

    /// The bias of a linear map.
    pub(super) fn bias(&self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        self.vector(&format!("{name}.bias"), length)
    }

    /// Scale and shift of a normalisation; old checkpoints call them `gamma` and `beta`.
    pub(super) fn norm(&self, name: &str, length: usize) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        match self.vector(&format!("{name}.weight"), length) {
            Err(missing @ ModelError::MissingTensor { .. }) => {
                let scale = self.vector(&format!("{name}.gamma"), length).map_err(|_| missing)?;
                Ok((scale, self.vector(&format!("{name}.beta"), length)?))
            }
            scale => Ok((scale?, self.bias(name, length)?)),
        }
    }

    /// A linear map as the matrix `input × output` that rows are multiplied by (checkpoints hold `output × input`).
    pub(super) fn matrix(&self, name: &str, input: usize, output: usize) -> Result<Tensor, ModelError> {
        Ok(self.tensor(&format!("{name}.weight"), &[output, input])?.t()?.contiguous()?)
    }
}
