//! What is computed between an encoder's matrix products? Bias, activation, softmax, residual and layer normalisation,
//! each in one pass over rows that are in the cache anyway.
//!
//! Every row is computed by itself, in one fixed order of operations without fused multiply-add, so its bits depend on
//! the row alone: not on its neighbours, not on threads, not on the width of the machine's vectors.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, bail};

/// Sums and maxima run in this many lanes, so that compilers can use vectors without changing the order of additions.
const LANES: usize = 16;

/// The function between the two products of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x/2 · (1 + erf(x/√2))`.
    Gelu,
    /// Its approximation by tanh (GPT-2's `gelu_new`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

/// Adds a vector to every row.
pub(super) struct AddBias(pub(super) Vec<f32>);

/// Adds a bias to every row, then applies an activation.
pub(super) struct BiasActivation {
    /// The bias.
    pub(super) bias: Vec<f32>,
    /// The activation.
    pub(super) activation: Activation,
}

/// Adds a bias and the same row of another tensor to every row, then normalises the row: mean 0 and variance 1, then
/// scale and shift (`torch.nn.LayerNorm`: variance over `n`, epsilon inside the root).
pub(super) struct AddNorm {
    /// Added to every row first.
    pub(super) bias: Vec<f32>,
    /// Column by column, after normalising.
    pub(super) scale: Vec<f32>,
    /// Column by column, after scaling.
    pub(super) shift: Vec<f32>,
    /// Added to the variance.
    pub(super) epsilon: f32,
}

/// `softmax(factor · row)` for every row of the last dimension; `factor` must be above 0.
pub(super) struct Softmax {
    /// Multiplies the row first (attention: `1/√(head size)`).
    pub(super) factor: f32,
}

impl InplaceOp1 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for row in values_mut(storage, layout)?.chunks_exact_mut(self.0.len()) {
            for (value, bias) in row.iter_mut().zip(&self.0) {
                *value += bias;
            }
        }
        Ok(())
    }
}

impl InplaceOp1 for BiasActivation {
    fn name(&self) -> &'static str {
        "bias-activation"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let values = values_mut(storage, layout)?;
        match self.activation {
            Activation::Gelu => activate(values, &self.bias, gelu),
            Activation::GeluTanh => activate(values, &self.bias, gelu_tanh),
            Activation::Relu => activate(values, &self.bias, |x| if x < 0.0 { 0.0 } else { x }),
        }
        Ok(())
    }
}

impl InplaceOp2 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout, other: &CpuStorage, at: &Layout) -> Result<()> {
        let (rows, other) = (values_mut(storage, layout)?, values(other, at)?);
        if rows.len() != other.len() {
            bail!("add-norm: {} and {} values", rows.len(), other.len());
        }
        let width = self.bias.len();
        for (row, other) in rows.chunks_exact_mut(width).zip(other.chunks_exact(width)) {
            for ((value, bias), other) in row.iter_mut().zip(&self.bias).zip(other) {
                *value = (*value + bias) + other;
            }
            self.normalize(row);
        }
        Ok(())
    }
}

impl AddNorm {
    fn normalize(&self, row: &mut [f32]) {
        let count = row.len() as f32;
        let mean = sum(row, |value| value) / count;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
        let factor = 1.0 / (variance + self.epsilon).sqrt();
        for ((value, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *value = (*value - mean) * factor * scale + shift;
        }
    }
}

impl InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some(&width) = layout.dims().last().filter(|width| **width > 0) else {
            bail!("softmax: no last dimension");
        };
        for row in values_mut(storage, layout)?.chunks_exact_mut(width) {
            let most = greatest(row);
            for value in row.iter_mut() {
                *value = exp((*value - most) * self.factor);
            }
            let factor = 1.0 / sum(row, |value| value);
            for value in row {
                *value *= factor;
            }
        }
        Ok(())
    }
}

fn values<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("f32 values side by side are wanted"),
    }
}

fn values_mut<'s>(storage: &'s mut CpuStorage, layout: &Layout) -> Result<&'s mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("f32 values side by side are wanted"),
    }
}

fn activate(values: &mut [f32], bias: &[f32], function: impl Fn(f32) -> f32) {
    for row in values.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value = function(*value + bias);
        }
    }
}

/// The sum of `term(value)` over a row.
fn sum(row: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += term(*value);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The greatest value of a row.
fn greatest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, value| if *value > most { *value } else { most })
}

/// e^x within 2 units in the last place for -87 ≤ x ≤ 88; below that e^-87. Cephes' `expf`: x = n·ln 2 + r, a
/// polynomial of r.
#[expect(clippy::excessive_precision, reason = "the coefficients as published")]
fn exp(x: f32) -> f32 {
    // adding 1.5·2^23 rounds to a whole number and leaves that number in the low bits
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * 0.693_359_375) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_150_0e-4;
    p = p * r + 1.398_199_950_7e-3;
    p = p * r + 8.333_451_907_3e-3;
    p = p * r + 4.166_579_589_4e-2;
    p = p * r + 1.666_666_545_9e-1;
    p = p * r + 5.000_000_120_1e-1;
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    (p * (r * r) + r + 1.0) * power
}

/// The error function within 1e-6 (rounding; the quotient itself within 1e-7): Eigen's `generic_fast_erf_float`, a
/// quotient of polynomials on [-4, 4].
#[expect(clippy::excessive_precision, reason = "the coefficients as published")]
fn erf(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let s = x * x;
    let mut p = -2.726_142_258_013_06e-10;
    p = p * s + 2.770_681_424_959_02e-8;
    p = p * s + -2.101_024_020_825_08e-6;
    p = p * s + -5.692_506_394_623_46e-5;
    p = p * s + -7.349_906_303_268_55e-4;
    p = p * s + -2.954_599_808_540_25e-3;
    p = p * s + -1.609_603_332_624_15e-2;
    let mut q = -1.456_607_184_649_96e-5;
    q = q * s + -2.133_740_552_789_05e-4;
    q = q * s + -1.682_826_974_382_03e-3;
    q = q * s + -7.373_329_167_204_68e-3;
    q = q * s + -1.426_473_905_141_89e-2;
    x * p / q
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

fn gelu_tanh(x: f32) -> f32 {
    const ROOT_2_OVER_PI: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    let inner = ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x);
    let inner = if inner > 10.0 { 10.0 } else { inner };
    0.5 * x * (2.0 - 2.0 / (exp(2.0 * inner) + 1.0))
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Device, Tensor};

    use super::*;

    fn line(from: f32, to: f32, count: usize) -> Vec<f32> {
        (0..count).map(|i| from + (to - from) * i as f32 / (count - 1) as f32).collect()
    }

    fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn gelu_agrees_with_candles_exact_one() {
        let x = line(-12.0, 12.0, 200_001);
        let tensor = Tensor::new(x.as_slice(), &Device::Cpu).unwrap();
        let exact: Vec<f32> = tensor.gelu_erf().unwrap().to_vec1().unwrap();
        let tanh: Vec<f32> = tensor.gelu().unwrap().to_vec1().unwrap();
        for ((x, exact), tanh) in x.iter().zip(exact).zip(tanh) {
            let size = x.abs().max(1.0);
            assert!((gelu(*x) - exact).abs() < 6e-7 * size, "{x}: {} {exact}", gelu(*x));
            assert!((gelu_tanh(*x) - tanh).abs() < 6e-7 * size, "{x}: {} {tanh}", gelu_tanh(*x));
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for x in line(-87.0, 88.0, 350_003) {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.4e-7, "{x}: {error}");
        }
        assert!(exp(-1e30) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_and_norm_agree_with_candles() {
        let rows = Tensor::new(line(-3.0, 9.0, 7 * 37), &Device::Cpu).unwrap().sin().unwrap().reshape((7, 37)).unwrap();
        let exact = softmax_by_candle(&(&rows * 0.25).unwrap());
        let ours = rows.copy().unwrap();
        ours.inplace_op1(&Softmax { factor: 0.25 }).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(largest_difference(&flat(&ours), &flat(&exact)) < 1e-7);

        let norm =
            AddNorm { bias: line(0.0, 1.0, 37), scale: line(2.0, 3.0, 37), shift: line(-1.0, 1.0, 37), epsilon: 1e-5 };
        let other = rows.affine(2.0, 0.5).unwrap();
        let ours = rows.copy().unwrap();
        ours.inplace_op2(&other, &norm).unwrap();
        for (i, row) in ours.to_vec2::<f32>().unwrap().iter().enumerate() {
            let (x, y) = (rows.to_vec2::<f32>().unwrap(), other.to_vec2::<f32>().unwrap());
            let sums: Vec<f64> = (0..37).map(|j| f64::from(x[i][j] + norm.bias[j] + y[i][j])).collect();
            let mean = sums.iter().sum::<f64>() / 37.0;
            let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 37.0;
            for j in 0..37 {
                let exact =
                    (sums[j] - mean) / (variance + 1e-5).sqrt() * f64::from(norm.scale[j]) + f64::from(norm.shift[j]);
                assert!((f64::from(row[j]) - exact).abs() < 3e-6, "{} {exact}", row[j]);
            }
        }
    }

    fn softmax_by_candle(rows: &Tensor) -> Tensor {
        let e = rows.broadcast_sub(&rows.max_keepdim(D::Minus1).unwrap()).unwrap().exp().unwrap();
        e.broadcast_div(&e.sum_keepdim(D::Minus1).unwrap()).unwrap()
    }

    #[test]
    fn nan_goes_through_every_operation() {
        let rows = || Tensor::new(&[[1.0f32, f32::NAN, 2.0], [1.0, 0.0, 2.0]], &Device::Cpu).unwrap();
        let soft = rows();
        soft.inplace_op1(&Softmax { factor: 1.0 }).unwrap();
        let active = rows();
        active.inplace_op1(&BiasActivation { bias: vec![0.0; 3], activation: Activation::Gelu }).unwrap();
        for (t, columns) in [(soft, 0..3), (active, 1..2)] {
            let t = t.to_vec2::<f32>().unwrap();
            assert!(t[0][columns].iter().all(|v| v.is_nan()) && t[1].iter().all(|v| v.is_finite()), "{t:?}");
        }
    }
}
