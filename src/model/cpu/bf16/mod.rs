//! How are pairs of bf16 multiplied by the processor? In `tiles` (AMX) where it has them, else in `vectors` (AVX512-BF16).
//!
//! The only place of the engine with unsafe code: `pulp` knows neither. Their twin for all other machines is the f32 tile over
//! rounded numbers.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
#[cfg(target_arch = "x86_64")]
mod vectors;

use pulp::Arch;

use super::math::wide;
use super::product::Product;

/// The nearest bf16, ties to even; NaN stays NaN. As the high half of an f32.
#[inline(always)]
fn high_half(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
    if x.is_nan() { 0x7fc0_0000 } else { nearest }
}

/// Two numbers as bf16, the first in the low half.
#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    (high_half(first) >> 16) | high_half(second)
}

/// Rounds all numbers.
pub(super) fn round(arch: Arch, values: &mut [f32]) {
    wide(
        arch,
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = f32::from_bits(high_half(*value))),
    );
}

/// Neighbours become pairs: rows of `values`, `stride` apart, as many numbers of each as fill a row of pairs that is half as long
/// as `depth`.
///
/// # Panics
/// Where [`available`] is false.
#[expect(unsafe_code, reason = "the instruction is there: it was asked for")]
pub(super) fn pairs(values: &[f32], stride: usize, depth: usize, pairs: &mut [u32]) {
    assert!(available(), "products of bf16 on a machine without them");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `available` says that the processor has what the function is compiled for.
    unsafe {
        vectors::pairs(values, stride, depth, pairs);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, stride, depth, pairs);
}

/// Two lines become one of pairs.
pub(super) fn pair_up(arch: Arch, first: &[f32], second: &[f32], pairs: &mut [u32]) {
    wide(
        arch,
        #[inline(always)]
        || {
            for ((pair_of, first), second) in pairs.iter_mut().zip(first).zip(second) {
                *pair_of = pair(*first, *second);
            }
        },
    );
}

/// Whether this machine's vectors multiply pairs.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether this machine's tiles multiply pairs, and its vectors too.
pub(super) fn tiles_available() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return available() && tiles::available();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

/// `product` of pairs, by vectors.
///
/// # Panics
/// Where [`available`] is false.
#[expect(unsafe_code, reason = "the instruction is there: it was asked for")]
pub(super) fn times(x: &[u32], panels: &[u32], product: Product<'_>) {
    assert!(available(), "products of bf16 on a machine without them");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `available` says that the processor has what the function is compiled for.
    unsafe {
        vectors::times(x, panels, product);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, panels, product);
}

/// `product` of pairs, by tiles.
///
/// # Panics
/// Where [`tiles_available`] is false.
pub(super) fn times_in_tiles(x: &[u32], panels: &[u32], product: Product<'_>) {
    assert!(tiles_available(), "tiles of bf16 on a machine without them");
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    tiles::times(x, panels, product);
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    let _ = (x, panels, product);
}
