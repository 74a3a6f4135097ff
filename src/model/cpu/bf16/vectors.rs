//! How do vectors multiply pairs of bf16? AVX512-BF16 adds two products of bf16 to an f32 at once, twice as many as f32 ones.

use std::arch::x86_64::{__m512, __m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_set1_epi32};
use std::mem::transmute;

use crate::model::cpu::product::{LOW, Product, WIDE};
use crate::model::cpu::rows::STEP;

/// Rows of a tile.
const HIGH: usize = 14;
/// Numbers in a vector.
const LANES: usize = 16;
/// Pairs that are worked on at a stretch: two, so that the addresses of the rows, more than there are registers for, are
/// fetched half as often.
const PAIRS: usize = 2;
/// Such stretches of a step.
const STRETCHES: usize = STEP / 2 / PAIRS;
/// Two vectors side by side.
type Line<T> = [[T; LANES]; WIDE];

#[target_feature(enable = "avx512f,avx512bf16")]
#[expect(unsafe_code, reason = "vectors are arrays of the same size, and every pattern of bits is one")]
pub(super) fn pairs(values: &[f32], stride: usize, depth: usize, pairs: &mut [u32]) {
    for (row, pairs) in values.chunks(stride).zip(pairs.chunks_exact_mut(depth / 2)) {
        let row = row[..depth].as_chunks::<LANES>().0.as_chunks::<WIDE>().0;
        for (pairs, numbers) in pairs.as_chunks_mut::<LANES>().0.iter_mut().zip(row) {
            // SAFETY: twice 16 f32 are two vectors, and 16 pairs are one.
            *pairs = unsafe {
                let [first, second] = transmute::<Line<f32>, [__m512; WIDE]>(*numbers);
                transmute::<__m512bh, [u32; LANES]>(_mm512_cvtne2ps_pbh(second, first))
            };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn times(x: &[u32], panels: &[u32], product: Product<'_>) {
    let Product { x_stride, count, panel_stride, depth, bias, out, out_stride, .. } = product;
    let (x_stride, panel_stride, depth, wide) = (x_stride / 2, panel_stride / 2, depth / 2, WIDE * LANES);
    for (at, bias) in bias.as_chunks::<LANES>().0.as_chunks::<WIDE>().0.iter().enumerate() {
        let panel = &panels[at * panel_stride..][..depth * wide];
        let steps =
            panel.as_chunks::<LANES>().0.as_chunks::<WIDE>().0.as_chunks::<PAIRS>().0.as_chunks::<STRETCHES>().0;
        let mut row = 0;
        while row < count {
            let (left, out) = (count - row, &mut out[row * out_stride + at * wide..]);
            let x = &x[row * x_stride..];
            if left > HIGH / 2 {
                tile::<HIGH>(x, x_stride, depth, steps, bias, left, out, out_stride);
                row += HIGH;
            } else {
                tile::<LOW>(x, x_stride, depth, steps, bias, left, out, out_stride);
                row += LOW;
            }
        }
    }
}

/// `bias + Σ row_i · panel_i` for up to `HIGH` rows. Loops by index: closures here would not be compiled for the instruction.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
#[expect(unsafe_code, reason = "vectors are arrays of the same size, and every pattern of bits is one")]
#[expect(clippy::too_many_arguments, reason = "the innermost loop")]
fn tile<const HIGH: usize>(
    x: &[u32],
    x_stride: usize,
    depth: usize,
    steps: &[[[Line<u32>; PAIRS]; STRETCHES]],
    bias: &Line<f32>,
    left: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    let mut rows: [&[[[u32; PAIRS]; STRETCHES]]; HIGH] = [&[]; HIGH];
    for r in 0..HIGH {
        rows[r] = x[r.min(left - 1) * x_stride..][..depth].as_chunks::<PAIRS>().0.as_chunks::<STRETCHES>().0;
    }
    // SAFETY: twice 16 f32 are two vectors.
    let mut sums = [unsafe { transmute::<Line<f32>, [__m512; WIDE]>(*bias) }; HIGH];
    for (at, stretches) in steps.iter().enumerate() {
        let mut step: [&[[u32; PAIRS]; STRETCHES]; HIGH] = [&[[0; PAIRS]; STRETCHES]; HIGH];
        for r in 0..HIGH {
            step[r] = &rows[r][at];
        }
        for (at, lines) in stretches.iter().enumerate() {
            for i in 0..PAIRS {
                // SAFETY: twice 16 pairs are two vectors.
                let line = unsafe { transmute::<Line<u32>, [__m512bh; WIDE]>(lines[i]) };
                for r in 0..HIGH {
                    // SAFETY: 16 pairs are a vector.
                    let x: __m512bh = unsafe { transmute(_mm512_set1_epi32(step[r][at][i].cast_signed())) };
                    for v in 0..WIDE {
                        sums[r][v] = _mm512_dpbf16_ps(sums[r][v], x, line[v]);
                    }
                }
            }
        }
    }
    // not up to `left` alone: a loop whose length is known keeps the sums in registers
    for r in 0..HIGH {
        if r < left {
            // SAFETY: two vectors are twice 16 f32.
            let sums = unsafe { transmute::<[__m512; WIDE], Line<f32>>(sums[r]) };
            out[r * out_stride..][..WIDE * LANES].copy_from_slice(sums.as_flattened());
        }
    }
}
