//! What stands between the products? Activation, normalisation, softmax, each over rows that are in the cache anyway.
//!
//! Every row is computed by itself, in one order of operations and never fused, so its bits depend on the row alone: not on its
//! neighbours, not on threads, not on the width of the machine's vectors. All is inlined into loops that are compiled for the
//! vectors at hand.

use pulp::{Arch, Simd, WithSimd};

use super::rows::{Rows, padded};
use crate::model::architecture::{Activation, Norm};

/// Sums and maxima run in this many lanes, so that compilers can use vectors without changing the order of additions.
const LANES: usize = 16;

/// Runs `work`, compiled for the vectors of `arch`; the closure must be marked `#[inline(always)]`. It is called by reference: the
/// step from calling by value to calling by reference would be a function of its own, compiled for no vectors.
#[inline(always)]
pub(super) fn wide<R>(arch: Arch, work: impl FnMut() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnMut() -> R> WithSimd for Work<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }
    arch.dispatch(Work(work))
}

/// Applies an activation to rows; where there are gates, multiplies each row with that of `by`.
pub(super) fn activate(arch: Arch, activation: Activation, rows: &mut Rows, by: Option<&Rows>, count: usize) {
    for at in 0..count {
        let row = rows.row_mut(at);
        match activation {
            Activation::Gelu => apply(arch, row, gelu),
            Activation::GeluTanh => apply(arch, row, gelu_tanh),
            Activation::Relu => apply(arch, row, relu),
            Activation::Silu => apply(arch, row, silu),
        }
        if let Some(by) = by {
            for (value, factor) in row.iter_mut().zip(by.row(at)) {
                *value *= factor;
            }
        }
    }
}

/// `values = function(values)`.
fn apply(arch: Arch, values: &mut [f32], function: impl Fn(f32) -> f32) {
    wide(
        arch,
        #[inline(always)]
        || {
            values.iter_mut().for_each(
                #[inline(always)]
                |value| *value = function(*value),
            )
        },
    );
}

/// A normalisation with its columns padded.
#[derive(Debug)]
pub(super) struct Normal {
    centred: bool,
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
    width: usize,
}

impl Normal {
    /// Pads the columns.
    pub(super) fn new(norm: &Norm) -> Self {
        let width = norm.scale.len();
        let mut columns = [norm.scale.clone(), norm.shift.clone().unwrap_or_default()];
        columns.iter_mut().for_each(|column| column.resize(padded(width), 0.0));
        let [scale, shift] = columns;
        Normal { centred: norm.centred, scale, shift, epsilon: norm.epsilon, width }
    }

    /// Length of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// `row = norm(row)`.
    pub(super) fn apply(&self, arch: Arch, row: &mut [f32]) {
        wide(
            arch,
            #[inline(always)]
            || self.normalize(row),
        );
    }

    /// `row = norm(row + other)`.
    pub(super) fn add(&self, arch: Arch, row: &mut [f32], other: &[f32]) {
        wide(
            arch,
            #[inline(always)]
            || {
                add(row, other);
                self.normalize(row);
            },
        );
    }

    #[inline(always)]
    fn normalize(&self, row: &mut [f32]) {
        let own = &mut row[..self.width];
        let count = self.width as f32;
        if self.centred {
            let mean = sum(own, |value| value) / count;
            own.iter_mut().for_each(|value| *value -= mean);
        }
        let square = sum(own, |value| value * value) / count;
        let factor = 1.0 / (square + self.epsilon).sqrt();
        for ((value, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *value = *value * factor * scale + shift;
        }
    }
}

/// `row += other`.
#[inline(always)]
pub(super) fn add(row: &mut [f32], other: &[f32]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
}

/// `row = exp(row − greatest)`, outside of `seen` 0; the sum of the row. Whole rows are worked on, so there is no tail.
pub(super) fn soften(arch: Arch, row: &mut [f32], seen: std::ops::Range<usize>) -> f32 {
    row[..seen.start].fill(f32::NEG_INFINITY);
    row[seen.end..].fill(f32::NEG_INFINITY);
    wide(
        arch,
        #[inline(always)]
        || {
            let most = greatest(row);
            row.iter_mut().for_each(|value| *value = exp(*value - most));
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
            sum(row, |value| value)
        },
    )
}

/// The sum of `term(value)` over a row.
#[inline(always)]
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
#[inline(always)]
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
#[inline(always)]
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
#[inline(always)]
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

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const ROOT_2_OVER_PI: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    let inner = ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x);
    let inner = if inner > 10.0 { 10.0 } else { inner };
    0.5 * x * (2.0 - 2.0 / (exp(2.0 * inner) + 1.0))
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    // beyond, e^-x has no number and x / (1 + e^-x) is 0 but for an invisible rest
    let least = if x < -87.0 { -87.0 } else { x };
    x / (1.0 + exp(-least))
}
