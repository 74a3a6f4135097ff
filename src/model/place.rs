//! Where is a model computed, and with which numbers?

use std::fmt;

use candle_core::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelError;

/// A device, and the numbers that a model has there.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) device: Device,
    pub(super) kind: DType,
    pub(super) name: String,
    pub(super) precision: Precision,
}

/// What numbers products are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 5 of them exponent; on GPUs alone.
    F16,
    /// 16 bits, 8 of them exponent. On a CPU the sums, and all that is no product, stay 32 bits.
    Bf16,
}

impl Default for Place {
    fn default() -> Self {
        Place { device: Device::Cpu, kind: DType::F32, name: "cpu".to_owned(), precision: Precision::F32 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Place {
    /// Opens a device: `cpu`, `cuda:0` (or another number), `metal` (or `metal:0`); `auto`: the first that is there of `cuda:0`,
    /// `metal` and `cpu`.
    ///
    /// # Errors
    /// There is no such device; the program was built without it; it does not compute with such numbers.
    pub fn open(name: &str, precision: Precision) -> Result<Self, ModelError> {
        if name == "auto" {
            let gpus = [("cuda:0", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
            let mut there = gpus.iter().filter(|(_, built)| *built);
            let found = there.find_map(|(name, _)| Place::open(name, precision).ok());
            return found.map_or_else(|| Place::open("cpu", precision), Ok);
        }
        let refused = |message: String| ModelError::Device { name: name.to_owned(), message };
        let kind = match precision {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
        };
        let (library, number) = name.split_once(':').unwrap_or((name, "0"));
        let number: usize = number.parse().map_err(|_| refused(format!("`{number}` is not a number")))?;
        let built = |there: bool, feature: &str| {
            let message = format!("this program was built without the feature `{feature}`");
            if there { Ok(()) } else { Err(refused(message)) }
        };
        let device = match library {
            "cpu" if name != library => return Err(refused("there is one `cpu`".to_owned())),
            "cpu" if precision == Precision::F16 => {
                return Err(refused("it has no products of f16; take bf16, or f32".to_owned()));
            }
            "cpu" => Ok(Device::Cpu),
            "cuda" => built(cfg!(feature = "cuda"), "cuda").map(|()| Device::new_cuda(number))?,
            "metal" => built(cfg!(feature = "metal"), "metal").map(|()| Device::new_metal(number))?,
            _ => return Err(refused("cpu, cuda:0, metal and auto are known".to_owned())),
        };
        let device = device.map_err(|error| refused(error.to_string()))?;
        Ok(Place { device, kind, name: name.to_owned(), precision })
    }

    /// No GPU.
    pub fn is_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    /// What numbers products are made of there.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_named() {
        assert!(Place::open("cpu", Precision::Bf16).unwrap().is_cpu() && Place::open("auto", Precision::F32).is_ok());
        for (name, numbers, says) in [
            ("tpu", Precision::F32, "the device `tpu` cannot be used: cpu, cuda:0, metal and auto are known"),
            ("cuda:x", Precision::F32, "`x` is not a number"),
            ("cpu:1", Precision::F32, "there is one `cpu`"),
            ("cpu", Precision::F16, "no products of f16"),
        ] {
            let error = Place::open(name, numbers).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        if !cfg!(feature = "cuda") {
            let error = Place::open("cuda:0", Precision::Bf16).unwrap_err().to_string();
            assert!(error.ends_with("built without the feature `cuda`"), "{error}");
        }
    }
}
