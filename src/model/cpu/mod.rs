//! How does the CPU compute a transformer at its limit? Rows without padding tokens, weights laid out once, a few rows at a time
//! through a whole feed-forward part, and places that are used again.
//!
//! [`Cpu`] is the engine; `product` multiplies in register tiles, `attention` does what tokens do with each other, `math` all that
//! stands between, `rows` says where numbers lie. Vectors are chosen when the program runs (AVX-512, AVX2 with FMA, NEON, or
//! none); every sum has one order, so all machines with fused products give the same bits.

mod attention;
mod bf16;
mod math;
mod product;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use self::attention::{HeadSpace, Heads};
use self::math::{Normal, activate};
use self::product::{Kernels, Operand, Packed, Products};
use self::rows::Rows;
use super::architecture::{Activation, Architecture, Block, Embedding, Linear, Places, Table};
use super::place::Precision;
use super::{Backbone, Batch, ModelError, last_of};

/// About so many rows go through a feed-forward part together: their inner states stay in the cache.
const FEED_ROWS: usize = 84;

/// Enough rows that few are left over from whole tiles, few enough that they stay near.
const BATCH_TOKENS: usize = 512;

/// A transformer laid out for the CPU.
pub(super) struct Cpu {
    kernels: Kernels,
    width: usize,
    longest: usize,
    words: Table,
    places: Option<(Table, Places)>,
    norm: Option<Normal>,
    projection: Option<Packed>,
    blocks: Vec<Layer>,
    last_norm: Option<Normal>,
    /// Places to compute in, one for each call that ran at the same time.
    spaces: Mutex<Vec<Space>>,
}

#[derive(Debug)]
struct Layer {
    norm_first: bool,
    attention_norm: Option<Normal>,
    project: Packed,
    heads: Heads,
    output: Packed,
    feed_norm: Normal,
    up: Packed,
    gate: Option<Packed>,
    activation: Activation,
    down: Packed,
    /// Numbers after `project`, of the heads side by side, and inside of the feed-forward part.
    widths: (usize, usize, usize),
}

#[derive(Debug, Default)]
struct Space {
    states: Rows,
    normal: Rows,
    projected: Rows,
    context: Rows,
    part: Rows,
    inner: Rows,
    gates: Rows,
    head: HeadSpace,
    scratch: Operand,
}

impl Cpu {
    /// Lays out the weights for this machine.
    pub(super) fn new(architecture: Architecture, precision: Precision) -> Self {
        let products = match precision {
            // no CPU multiplies f16; `Place` refuses it
            Precision::F32 | Precision::F16 => Products::Single,
            Precision::Bf16 if bf16::tiles_available() => Products::Tiles,
            Precision::Bf16 if bf16::available() => Products::Pairs,
            Precision::Bf16 => Products::Rounded,
        };
        Cpu::with(architecture, Kernels { arch: Arch::new(), products })
    }

    fn with(architecture: Architecture, kernels: Kernels) -> Self {
        let Architecture { width, longest, embedding, blocks, last_norm } = architecture;
        let Embedding { words, places, norm, projection } = embedding;
        Cpu {
            kernels,
            width,
            longest,
            words,
            places,
            norm: norm.as_ref().map(Normal::new),
            projection: projection.map(|linear| Packed::new(kernels, &linear, 0..linear.output)),
            blocks: blocks.into_iter().map(|block| Layer::new(block, kernels)).collect(),
            last_norm: last_norm.as_ref().map(Normal::new),
            spaces: Mutex::default(),
        }
    }

    /// Word and position vectors, as they go into the first block.
    fn embed(&self, batch: Batch<'_>, space: &mut Space) {
        let count = batch.ids.len();
        let raw = if self.projection.is_some() { &mut space.normal } else { &mut space.states };
        raw.shape(count, self.words.width);
        let width = self.words.width;
        let mut at = 0;
        let mut ids = batch.ids;
        for length in batch.lengths {
            let (text, rest) = ids.split_at(*length);
            ids = rest;
            let places = self.places.as_ref().map(|(table, places)| (table, places.of(text)));
            for (within, id) in text.iter().enumerate() {
                let row = raw.row_mut(at);
                row[..width].copy_from_slice(&self.words.values[*id as usize * width..][..width]);
                if let Some((table, places)) = &places {
                    math::add(row, &table.values[places[within] as usize * width..][..width]);
                }
                if let Some(norm) = &self.norm {
                    norm.apply(self.kernels.arch, row);
                }
                at += 1;
            }
        }
        if let Some(projection) = &self.projection {
            space.states.shape(count, self.width);
            let Space { states, normal, scratch, .. } = space;
            projection.times(self.kernels, normal, 0..count, states, scratch);
        }
    }

    /// Adds the states to `sums`; a last normalisation changes copies alone.
    fn take(&self, layer: usize, count: usize, space: &mut Space, sums: &mut [f32]) {
        let last = self.last_norm.as_ref().filter(|_| layer == self.blocks.len());
        for (at, sum) in sums.chunks_exact_mut(self.width).enumerate().take(count) {
            let row = space.states.row_mut(at);
            if let Some(norm) = last {
                norm.apply(self.kernels.arch, row);
            }
            math::add(sum, &row[..self.width]);
        }
    }
}

impl Backbone for Cpu {
    fn width(&self) -> usize {
        self.width
    }

    fn layers(&self) -> usize {
        self.blocks.len()
    }

    fn batch_tokens(&self) -> usize {
        BATCH_TOKENS
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn hidden(&self, batch: Batch<'_>, layers: &[usize]) -> Result<Vec<f32>, ModelError> {
        let most = last_of(layers, self.blocks.len())?;
        let count = batch.ids.len();
        let spaces = || self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut space = spaces().pop().unwrap_or_default();
        let mut sums = vec![0.0; count * self.width];
        self.embed(batch, &mut space);
        for layer in 0..=most {
            if let Some(block) = layer.checked_sub(1).and_then(|at| self.blocks.get(at)) {
                block.forward(self.kernels, batch.lengths, count, &mut space);
            }
            if layers.contains(&layer) {
                self.take(layer, count, &mut space, &mut sums);
            }
        }
        if layers.len() > 1 {
            let factor = 1.0 / layers.len() as f32;
            sums.iter_mut().for_each(|sum| *sum *= factor);
        }
        spaces().push(space);
        Ok(sums)
    }
}

impl Layer {
    fn new(block: Block, kernels: Kernels) -> Self {
        let Block { norm_first, attention_norm, attention, feed_norm, feed } = block;
        let all = |linear: &Linear| Packed::new(kernels, linear, 0..linear.output);
        let inner = feed.down.input;
        Layer {
            norm_first,
            attention_norm: attention_norm.as_ref().map(Normal::new),
            project: all(&attention.project),
            heads: Heads::new(&attention),
            output: all(&attention.output),
            feed_norm: Normal::new(&feed_norm),
            up: Packed::new(kernels, &feed.up, 0..inner),
            gate: feed.gated.then(|| Packed::new(kernels, &feed.up, inner..2 * inner)),
            activation: feed.activation,
            down: all(&feed.down),
            widths: (attention.project.output, attention.output.input, inner),
        }
    }

    /// One block: the states of `space` become the next.
    fn forward(&self, kernels: Kernels, lengths: &[usize], count: usize, space: &mut Space) {
        let Space { states, normal, projected, context, part, inner, gates, head, scratch } = space;
        let (arch, width) = (kernels.arch, self.feed_norm.width());
        projected.shape(count, self.widths.0);
        context.shape(count, self.widths.1);
        let before = self.norm_first.then_some(self.attention_norm.as_ref()).flatten();
        match before {
            Some(norm) => {
                normal.shape(count, width);
                for at in 0..count {
                    normal.row_mut(at).copy_from_slice(states.row(at));
                    norm.apply(arch, normal.row_mut(at));
                }
                self.project.times(kernels, normal, 0..count, projected, scratch);
            }
            None => self.project.times(kernels, states, 0..count, projected, scratch),
        }
        let mut from = 0;
        for length in lengths {
            self.heads.attend(kernels, projected, from, *length, context, head);
            from += length;
        }
        let feed_rows = FEED_ROWS.next_multiple_of(product::high(kernels));
        part.shape(feed_rows, width);
        inner.shape(feed_rows, self.widths.2);
        gates.shape(if self.gate.is_some() { feed_rows } else { 0 }, self.widths.2);
        normal.shape(count.max(feed_rows), width);
        let add = |states: &mut Rows, part: &Rows, from: usize, rows: usize, norm: Option<&Normal>| {
            for at in 0..rows {
                match norm.filter(|_| !self.norm_first) {
                    Some(norm) => norm.add(arch, states.row_mut(from + at), part.row(at)),
                    None => math::add(states.row_mut(from + at), part.row(at)),
                }
            }
        };
        for from in (0..count).step_by(feed_rows) {
            let rows = feed_rows.min(count - from);
            self.output.times(kernels, context, from..from + rows, part, scratch);
            add(states, part, from, rows, self.attention_norm.as_ref());
            let (input, at) = if self.norm_first {
                for at in 0..rows {
                    normal.row_mut(at).copy_from_slice(states.row(from + at));
                    self.feed_norm.apply(arch, normal.row_mut(at));
                }
                (&*normal, 0)
            } else {
                (&*states, from)
            };
            self.up.times(kernels, input, at..at + rows, inner, scratch);
            if let Some(gate) = &self.gate {
                gate.times(kernels, input, at..at + rows, gates, scratch);
            }
            activate(arch, self.activation, inner, self.gate.is_some().then_some(&*gates), rows);
            self.down.times(kernels, inner, 0..rows, part, scratch);
            add(states, part, from, rows, Some(&self.feed_norm));
        }
    }
}
