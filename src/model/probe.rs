//! Which bits does this machine give?
//!
//! Our own engine gives the same wherever products and sums are fused, but for the platform's sines and logarithms. Every product of
//! candle's tensors on a CPU goes through `gemm` (0.19). It chooses its kernel when the program runs (`avx512f`, else
//! `avx2` with `fma`, else scalar code; `neon` on ARM), and cuts the depth of a product by the sizes of the processor's
//! caches (`gemm_common::cache::kernel_params`). Both decide in which order, and with how many roundings, the terms of a sum are added.
//! So the kernel's name alone does not tell the bits; the answer to a few fixed products does.

use candle_core::{Device, Tensor};

use super::place::{Place, Precision};
use super::sentence::engine;
use super::{Batch, ModelError, sample};

/// Depths at which products are tried: those of small and large encoders, on both sides of where `gemm` begins to cut.
const DEPTHS: [usize; 3] = [384, 1536, 3072];
/// Rows and columns: more than 64, so that `gemm` takes its general path.
const SIDE: usize = 72;

/// The products of fixed matrices, in the bits of this machine.
pub fn products() -> Result<Vec<f32>, ModelError> {
    gemm::set_threading_threshold(usize::MAX);
    let mut all = Vec::new();
    for depth in DEPTHS {
        let left = Tensor::from_vec(numbers(SIDE * depth, 1), (SIDE, depth), &Device::Cpu)?;
        let right = Tensor::from_vec(numbers(depth * SIDE, 2), (depth, SIDE), &Device::Cpu)?;
        all.extend(left.matmul(&right)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(all)
}

/// What two small transformers say there to a few fixed texts, in the bits of this machine.
///
/// # Errors
/// There is no such device, or it does not compute with such numbers.
pub fn states(device: &str, precision: Precision) -> Result<Vec<f32>, ModelError> {
    let place = Place::open(device, precision)?;
    let lengths = [33, 2, 70];
    let ids: Vec<u32> = (0..lengths.iter().sum::<usize>() as u32).map(|i| (i * i * 7 + 3) % 50).collect();
    let mut all = Vec::new();
    for architecture in [sample::encoder(), sample::decoder()] {
        let engine = engine(architecture, &place)?;
        all.extend(engine.hidden(Batch { ids: &ids, lengths: &lengths }, &[engine.layers()])?);
    }
    Ok(all)
}

/// Numbers between -1 and 1 without a pattern.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_machine_gives_the_same_bits() {
        let bits = || products().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let first = bits();
        assert_eq!(first.len(), DEPTHS.len() * SIDE * SIDE);
        assert_eq!(first, bits());
        let states = |precision| {
            let states = states("cpu", precision).unwrap();
            states.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(states(Precision::F32), states(Precision::F32));
        assert_ne!(states(Precision::F32), states(Precision::Bf16));
        assert!(super::states("tpu", Precision::F32).is_err());
    }
}
