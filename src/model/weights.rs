//! Where is a tensor? Safetensors files, looked up by name and checked against the shape that the configuration asks
//! for.

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};

use super::architecture::{Linear, Norm, Table};
use super::{ModelError, ModelFiles};

/// Numbers are converted so many at a time: a bound on what is held twice.
const AT_ONCE: usize = 1 << 20;

/// The weights of a model; all numbers come out as f32.
pub(super) struct Weights<'a> {
    files: Vec<(&'a str, SliceSafetensors<'a>)>,
    prefix: String,
}

impl<'a> Weights<'a> {
    /// Reads the headers. A checkpoint saved with a head has its transformer under `stem` (`bert.encoder.…`); whether it
    /// has is found here.
    pub(super) fn read(files: &'a ModelFiles, stem: &str) -> Result<Self, ModelError> {
        let files = files.weights()?.into_iter().map(|(name, bytes)| headers(name, bytes)).collect::<Result<_, _>>()?;
        let mut weights = Weights { files, prefix: String::new() };
        let prefix = format!("{stem}.");
        if weights.files.iter().any(|(_, file)| file.tensors().iter().any(|(name, _)| name.starts_with(&prefix))) {
            weights.prefix = prefix;
        }
        Ok(weights)
    }

    /// Reads the header of one file.
    pub(super) fn of_file(files: &'a ModelFiles, name: &'a str) -> Result<Self, ModelError> {
        Ok(Weights { files: vec![headers(name, files.bytes(name)?)?], prefix: String::new() })
    }

    /// The shape of the transformer's tensor called `name`, if it is there.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.outside_shape(&format!("{}{name}", self.prefix))
    }

    /// The same for a tensor that need not belong to the transformer, by its full name.
    pub(super) fn outside_shape(&self, tensor: &str) -> Option<Vec<usize>> {
        self.files.iter().find_map(|(_, file)| Some(file.get(tensor).ok()?.shape().to_vec()))
    }

    /// The transformer's tensor called `name`, of exactly this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        Ok(Tensor::from_vec(self.values(name, shape)?, shape, &Device::Cpu)?)
    }

    /// The numbers of the transformer's tensor called `name`, row-major.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.outside(format!("{}{name}", self.prefix), shape)
    }

    /// The same for a tensor that need not belong to the transformer, by its full name.
    pub(super) fn outside(&self, tensor: String, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        for (file, tensors) in &self.files {
            let Ok(view) = tensors.get(&tensor) else { continue };
            if view.shape() != shape {
                return Err(ModelError::Shape { tensor, expected: shape.to_vec(), found: view.shape().to_vec() });
            }
            let numbers = DType::try_from(view.dtype()).and_then(|kind| numbers(view.data(), kind));
            return numbers.map_err(|error| ModelError::Unreadable {
                file: (*file).to_owned(),
                message: format!("tensor `{tensor}`: {error}"),
            });
        }
        Err(ModelError::MissingTensor { tensor })
    }

    /// Rows to look up.
    pub(super) fn table(&self, name: &str, rows: usize, width: usize) -> Result<Table, ModelError> {
        Ok(Table { width, values: self.values(&format!("{name}.weight"), &[rows, width])? })
    }

    /// A linear map with a bias.
    pub(super) fn linear(&self, name: &str, input: usize, output: usize) -> Result<Linear, ModelError> {
        let bias = self.values(&format!("{name}.bias"), &[output])?;
        Ok(Linear { bias: Some(bias), ..self.matrix(name, input, output)? })
    }

    /// A linear map without one.
    pub(super) fn matrix(&self, name: &str, input: usize, output: usize) -> Result<Linear, ModelError> {
        let weight = self.values(&format!("{name}.weight"), &[output, input])?;
        Ok(Linear { input, output, weight, bias: None })
    }

    /// A linear map, with a bias where the checkpoint's configuration says so.
    pub(super) fn linear_if(
        &self,
        biased: bool,
        name: &str,
        input: usize,
        output: usize,
    ) -> Result<Linear, ModelError> {
        if biased { self.linear(name, input, output) } else { self.matrix(name, input, output) }
    }

    /// `torch.nn.LayerNorm`; old checkpoints call scale and shift `gamma` and `beta`.
    pub(super) fn layer_norm(&self, name: &str, length: usize, epsilon: f32) -> Result<Norm, ModelError> {
        let old = self.shape(&format!("{name}.weight")).is_none() && self.shape(&format!("{name}.gamma")).is_some();
        let (scale, shift) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        let vector = |part: &str| self.values(&format!("{name}.{part}"), &[length]);
        Ok(Norm { centred: true, scale: vector(scale)?, shift: Some(vector(shift)?), epsilon })
    }

    /// A normalisation that only scales.
    pub(super) fn scaling(
        &self,
        name: &str,
        length: usize,
        epsilon: f32,
        centred: Centred,
    ) -> Result<Norm, ModelError> {
        let scale = self.values(&format!("{name}.weight"), &[length])?;
        Ok(Norm { centred: centred == Centred::Yes, scale, shift: None, epsilon })
    }
}

fn headers<'a>(name: &'a str, bytes: &'a [u8]) -> Result<(&'a str, SliceSafetensors<'a>), ModelError> {
    let parsed = SliceSafetensors::new(bytes);
    let parsed =
        parsed.map_err(|error| ModelError::Unreadable { file: name.to_owned(), message: error.to_string() })?;
    Ok((name, parsed))
}

/// Whether a normalisation subtracts the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Centred {
    /// It does.
    Yes,
    /// It does not (`RMSNorm`).
    No,
}

/// The numbers in a tensor's bytes as f32.
fn numbers(bytes: &[u8], kind: DType) -> candle_core::Result<Vec<f32>> {
    if !matches!(kind, DType::F32 | DType::F16 | DType::BF16 | DType::F64 | DType::I64 | DType::I32) {
        candle_core::bail!("numbers of the kind {kind:?} are not built in");
    }
    let size = kind.size_in_bytes();
    let mut all = Vec::with_capacity(bytes.len() / size);
    for part in bytes.chunks(AT_ONCE * size) {
        let part = Tensor::from_raw_buffer(part, kind, &[part.len() / size], &Device::Cpu)?;
        all.extend(part.to_dtype(DType::F32)?.to_vec1::<f32>()?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::families::made::safetensors;

    fn files(tensors: Vec<(&str, &'static str, &[usize], Vec<u8>)>) -> ModelFiles {
        let tensors =
            tensors.into_iter().map(|(name, kind, shape, bytes)| (name.to_owned(), kind, shape.to_vec(), bytes));
        ModelFiles::from_iter([("model.safetensors".to_owned(), safetensors(tensors))])
    }

    fn f32s(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn numbers_of_every_width_come_out_as_f32() {
        let halves = |bits: [u16; 2]| bits.into_iter().flat_map(u16::to_le_bytes).collect();
        let files = files(vec![
            ("whole", "F32", &[2], f32s(&[1.0, -2.5])),
            ("half", "F16", &[2], halves([0x3c00, 0xc100])),
            ("brain", "BF16", &[2], halves([0x3f80, 0xc020])),
            ("odd", "U8", &[2], vec![1, 2]),
        ]);
        let weights = Weights::read(&files, "bert").unwrap();
        for name in ["whole", "half", "brain"] {
            assert_eq!(weights.values(name, &[2]), Ok(vec![1.0, -2.5]), "{name}");
        }
        let error = weights.values("odd", &[2]).unwrap_err().to_string();
        assert!(error.contains("tensor `odd`: numbers of the kind U8"), "{error}");
    }

    #[test]
    fn a_tensor_that_is_missing_or_misshapen_is_named() {
        let files = files(vec![
            ("bert.norm.gamma", "F32", &[2], f32s(&[1.0, 2.0])),
            ("bert.norm.beta", "F32", &[2], f32s(&[3.0, 4.0])),
            ("map.weight", "F32", &[2, 1], f32s(&[5.0, 6.0])),
        ]);
        let weights = Weights::read(&files, "bert").unwrap();
        let norm = weights.layer_norm("norm", 2, 1e-5).unwrap();
        assert_eq!((norm.scale, norm.shift), (vec![1.0, 2.0], Some(vec![3.0, 4.0])));
        let tensor = "bert.other.weight".to_owned();
        assert_eq!(weights.layer_norm("other", 2, 1e-5), Err(ModelError::MissingTensor { tensor }));
        let (tensor, expected, found) = ("map.weight".to_owned(), vec![1, 2], vec![2, 1]);
        assert_eq!(weights.outside(tensor.clone(), &[1, 2]), Err(ModelError::Shape { tensor, expected, found }));
    }
}
