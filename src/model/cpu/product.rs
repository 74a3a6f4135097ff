//! How are rows multiplied with weights at the speed of the processor? In tiles that stay in registers, over weights that were laid
//! out for them once.
//!
//! Every number of the result is one sum, begun with its bias and added up along the depth, term by term, product and sum fused where
//! the machine can: its bits depend on nothing but its row and its column. A machine without fused products rounds them
//! first.
//!
//! In bf16, weights and rows are rounded to bf16 and multiplied so; sums stay f32. Where the processor multiplies pairs of
//! bf16 it does so ([`super::bf16`]); elsewhere the rounded numbers go through the f32 tiles, to the same result but for the rounding
//! of the sums.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::bf16;
use super::rows::{Aligned, Rows, STEP, padded};
use crate::model::architecture::Linear;

/// Vectors side by side in a tile.
pub(super) const WIDE: usize = 2;
/// Lines of a panel that belong to one step, in vectors.
const STEP_VECTORS: usize = STEP * WIDE;
/// Rows of a tile where few are left.
pub(super) const LOW: usize = 4;

/// What numbers the products are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Products {
    /// f32.
    Single,
    /// bf16 in pairs, by vectors that multiply them.
    Pairs,
    /// bf16 in pairs, by tiles that multiply them.
    Tiles,
    /// Numbers rounded to bf16, multiplied as f32.
    Rounded,
}

/// How this machine computes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels {
    /// Its vectors.
    pub(super) arch: Arch,
    /// The products with weights; everything else is f32.
    pub(super) products: Products,
}

/// Numbers as products take them: as they are, rounded to bf16, or as pairs of bf16.
#[derive(Debug, Default)]
pub(super) struct Operand {
    single: Aligned,
    pairs: Aligned<u32>,
}

impl Operand {
    /// Place for so many numbers; what is written there counts from the next [`Operand::rows`] or [`Operand::lines`] on.
    pub(super) fn place(&mut self, length: usize) -> &mut [f32] {
        self.single.fit(length);
        &mut self.single
    }

    /// The place holds rows: neighbours make a pair.
    pub(super) fn rows(&mut self, kernels: Kernels) -> &mut Self {
        self.taken_as(kernels, |single, pairs| bf16::pairs(single, single.len(), single.len(), pairs))
    }

    /// Takes rows, `stride` apart, of which `depth` numbers count.
    fn take_rows(&mut self, kernels: Kernels, values: &[f32], stride: usize, depth: usize, count: usize) -> &mut Self {
        if matches!(kernels.products, Products::Pairs | Products::Tiles) {
            self.pairs.fit(count * depth / 2);
            bf16::pairs(values, stride, depth, &mut self.pairs);
            return self;
        }
        for (to, row) in self.place(count * depth).chunks_exact_mut(depth).zip(values.chunks(stride)) {
            to.copy_from_slice(&row[..depth]);
        }
        self.rows(kernels)
    }

    /// The place holds lines of panels that are `wide` numbers wide: lines make pairs.
    pub(super) fn lines(&mut self, kernels: Kernels, wide: usize) -> &mut Self {
        self.taken_as(kernels, |single, pairs| {
            for (pairs, lines) in pairs.chunks_exact_mut(wide).zip(single.chunks_exact(2 * wide)) {
                let (first, second) = lines.split_at(wide);
                bf16::pair_up(kernels.arch, first, second, pairs);
            }
        })
    }

    /// Makes of what stands in the place what products take.
    fn taken_as(&mut self, kernels: Kernels, pair: impl FnOnce(&[f32], &mut [u32])) -> &mut Self {
        let Operand { single, pairs } = self;
        match kernels.products {
            Products::Single => {}
            Products::Rounded => bf16::round(kernels.arch, single),
            Products::Pairs | Products::Tiles => {
                pairs.fit(single.len() / 2);
                pair(single, pairs);
            }
        }
        self
    }

    /// The numbers from one on.
    pub(super) fn from(&self, kernels: Kernels, number: usize) -> Numbers<'_> {
        match kernels.products {
            Products::Single | Products::Rounded => Numbers::Single(&self.single[number..]),
            Products::Pairs | Products::Tiles => Numbers::Pairs(&self.pairs[number / 2..]),
        }
    }

    /// Keeps what products take alone.
    fn settled(mut self, kernels: Kernels) -> Self {
        match kernels.products {
            Products::Single | Products::Rounded => self.pairs = Aligned::default(),
            Products::Pairs | Products::Tiles => self.single = Aligned::default(),
        }
        self
    }
}

/// Numbers as products take them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbers<'a> {
    /// One by one.
    Single(&'a [f32]),
    /// Two bf16 in one.
    Pairs(&'a [u32]),
}

/// `out = x·panels + bias`: `count` rows, `bias.len()` columns. All sizes count numbers, not pairs.
#[derive(Debug)]
pub(super) struct Product<'a> {
    /// The rows, `x_stride` apart.
    pub(super) x: Numbers<'a>,
    /// From row to row.
    pub(super) x_stride: usize,
    /// How many rows.
    pub(super) count: usize,
    /// Line by line, as many columns as a tile is wide.
    pub(super) panels: Numbers<'a>,
    /// From panel to panel.
    pub(super) panel_stride: usize,
    /// Terms of a sum: whole steps.
    pub(super) depth: usize,
    /// What each column begins with.
    pub(super) bias: &'a [f32],
    /// The result, rows `out_stride` apart.
    pub(super) out: &'a mut [f32],
    /// From row to row.
    pub(super) out_stride: usize,
}

impl Product<'_> {
    /// Multiplies.
    pub(super) fn run(self, kernels: Kernels) {
        match (self.x, self.panels) {
            (Numbers::Single(x), Numbers::Single(panels)) => kernels.arch.dispatch(Times { x, panels, product: self }),
            (Numbers::Pairs(x), Numbers::Pairs(panels)) => match kernels.products {
                Products::Tiles => bf16::times_in_tiles(x, panels, self),
                _ => bf16::times(x, panels, self),
            },
            _ => unreachable!("rows and panels are laid out alike"),
        }
    }
}

/// Weights in panels: for as many outputs as a tile is wide, their weights input by input.
#[derive(Debug)]
pub(super) struct Packed {
    panels: Operand,
    bias: Aligned,
    depth: usize,
}

impl Packed {
    /// Lays out `outputs` of a linear map.
    pub(super) fn new(kernels: Kernels, linear: &Linear, outputs: Range<usize>) -> Self {
        let (depth, columns) = (padded(linear.input), padded(outputs.len()));
        let wide = wide(kernels.arch);
        let (mut panels, mut bias) = (Operand::default(), Aligned::zeros(columns));
        for (panel, from) in
            panels.place(depth * columns).chunks_exact_mut(depth * wide).zip(outputs.clone().step_by(wide))
        {
            for column in 0..wide.min(outputs.end - from) {
                let weights = &linear.weight[(from + column) * linear.input..][..linear.input];
                for (line, weight) in panel.chunks_exact_mut(wide).zip(weights) {
                    line[column] = *weight;
                }
            }
        }
        if let Some(values) = &linear.bias {
            bias[..outputs.len()].copy_from_slice(&values[outputs]);
        }
        panels.lines(kernels, wide);
        Packed { panels: panels.settled(kernels), bias, depth }
    }

    /// `out = x·Wᵀ + b` for the rows `from` of `x`, which become the first of `out`; `out` has the shape for them.
    pub(super) fn times(&self, kernels: Kernels, x: &Rows, from: Range<usize>, out: &mut Rows, scratch: &mut Operand) {
        let (count, depth, out_stride) = (from.len(), self.depth, out.stride());
        let (x, x_stride) = match kernels.products {
            Products::Single => (Numbers::Single(x.rest(from.start)), x.stride()),
            _ => {
                let taken = scratch.take_rows(kernels, x.rest(from.start), x.stride(), depth, count);
                (taken.from(kernels, 0), depth)
            }
        };
        let panels = self.panels.from(kernels, 0);
        let (panel_stride, bias, out) = (depth * wide(kernels.arch), &*self.bias, out.rest_mut(0));
        Product { x, x_stride, count, panels, panel_stride, depth, bias, out, out_stride }.run(kernels);
    }
}

/// Columns of a panel.
pub(super) fn wide(arch: Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes) * WIDE
}

/// The most rows of a tile: as many as the machine has registers for.
pub(super) fn high(kernels: Kernels) -> usize {
    match kernels.products {
        Products::Tiles => 32,
        _ => height(wide(kernels.arch) / WIDE),
    }
}

const fn height(lanes: usize) -> usize {
    match lanes {
        16 => 14,
        8 => 6,
        _ => 4,
    }
}

struct Times<'a> {
    x: &'a [f32],
    panels: &'a [f32],
    product: Product<'a>,
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match height(S::F32_LANES) {
            14 => self.tiles::<S, 14>(simd),
            6 => self.tiles::<S, 6>(simd),
            _ => self.tiles::<S, 4>(simd),
        }
    }
}

impl Times<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const HIGH: usize>(self, simd: S) {
        let Times { x, panels, product } = self;
        let Product { x_stride, count, panel_stride, depth, bias, out, out_stride, .. } = product;
        let wide = WIDE * S::F32_LANES;
        for (at, bias) in bias.chunks_exact(wide).enumerate() {
            let panel = &panels[at * panel_stride..][..depth * wide];
            let bias = S::as_simd_f32s(bias).0;
            let first = [bias[0], bias[1]];
            let mut row = 0;
            while row < count {
                // a tile with rows too many computes the last one again
                let take = |r: usize| x[(row + r).min(count - 1) * x_stride..][..depth].as_chunks::<STEP>().0;
                let mut put = |r: usize, sums: &[S::f32s; WIDE]| {
                    if row + r < count {
                        let line = &mut out[(row + r) * out_stride + at * wide..][..wide];
                        S::as_mut_simd_f32s(line).0.copy_from_slice(sums);
                    }
                };
                if count - row > HIGH / 2 {
                    let sums = tile::<S, HIGH>(simd, std::array::from_fn(take), panel, first);
                    (0..HIGH).for_each(|r| put(r, &sums[r]));
                    row += HIGH;
                } else {
                    let sums = tile::<S, LOW>(simd, std::array::from_fn(take), panel, first);
                    (0..LOW).for_each(|r| put(r, &sums[r]));
                    row += LOW;
                }
            }
        }
    }
}

/// `first + Σ row_i · panel_i` for each row.
#[inline(always)]
fn tile<S: Simd, const HIGH: usize>(
    simd: S,
    rows: [&[[f32; STEP]]; HIGH],
    panel: &[f32],
    first: [S::f32s; WIDE],
) -> [[S::f32s; WIDE]; HIGH] {
    let mut sums = [first; HIGH];
    let (steps, _) = S::as_simd_f32s(panel).0.as_chunks::<STEP_VECTORS>();
    for (at, lines) in steps.iter().enumerate() {
        let rows: [&[f32; STEP]; HIGH] = std::array::from_fn(|r| &rows[r][at]);
        for i in 0..STEP {
            for r in 0..HIGH {
                let x = simd.splat_f32s(rows[r][i]);
                for v in 0..WIDE {
                    sums[r][v] = simd.mul_add_e_f32s(x, lines[i * WIDE + v], sums[r][v]);
                }
            }
        }
    }
    sums
}
