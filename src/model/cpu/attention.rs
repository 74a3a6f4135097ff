//! What does each token take from the others? Head by head inside a text: scores, softmax, weighted values.
//!
//! Keys and values of a head are laid out as the panels of a product, so scores and sums run in the same tiles as all else.
//! A few queries at a time: the scores held at once grow with a text's length, not with its square.

use std::ops::Range;

use pulp::Arch;

use super::math::{self, Normal};
use super::product::{self, Kernels, Operand, Product};
use super::rows::{Aligned, Rows, STEP, padded};
use crate::model::architecture::{Attention, RelativeBias, Rotary};

/// What attention needs besides its products.
#[derive(Debug)]
pub(super) struct Heads {
    heads: usize,
    key_heads: usize,
    head: usize,
    scale: f32,
    causal: bool,
    window: Option<usize>,
    head_norms: Option<(Normal, Normal)>,
    rotary: Option<std::sync::Arc<Rotary>>,
    bias: Option<std::sync::Arc<RelativeBias>>,
}

/// Place for one head of one text, and for the rotations and biases of its positions.
#[derive(Debug, Default)]
pub(super) struct HeadSpace {
    queries: Operand,
    keys: Operand,
    values: Operand,
    /// Scores of a few queries, then the weights that they become.
    weights: Operand,
    mixed: Aligned,
    zeros: Aligned,
    line: Vec<f32>,
    /// Cosines, then sines, for each position.
    turns: Vec<f32>,
    turned: (usize, Vec<f32>),
    biases: Vec<f32>,
}

impl Heads {
    /// Takes what is not a product out of a description.
    pub(super) fn new(attention: &Attention) -> Self {
        let norms = attention.head_norms.as_ref();
        Heads {
            heads: attention.heads,
            key_heads: attention.key_heads,
            head: attention.head,
            scale: attention.scale,
            causal: attention.causal,
            window: attention.window,
            head_norms: norms.map(|(queries, keys)| (Normal::new(queries), Normal::new(keys))),
            rotary: attention.rotary.clone(),
            bias: attention.bias.clone(),
        }
    }

    /// Attention inside one text: its `length` rows of queries, keys and values stand in `projected` from row `from` on; the heads
    /// side by side become the same rows of `context`.
    pub(super) fn attend(
        &self,
        kernels: Kernels,
        projected: &Rows,
        from: usize,
        length: usize,
        context: &mut Rows,
        space: &mut HeadSpace,
    ) {
        if length == 0 {
            return;
        }
        self.turn(length, space);
        let group = self.heads / self.key_heads;
        for key_head in 0..self.key_heads {
            self.lay_keys(kernels, projected, from, length, key_head, space);
            for head in key_head * group..(key_head + 1) * group {
                self.lay_queries(kernels, projected, from, length, head, space);
                self.lay_biases(length, head, space);
                for query in (0..length).step_by(product::high(kernels)) {
                    self.mix(kernels, length, query, space);
                    let mixed = space.mixed.chunks_exact(padded(self.head));
                    for (at, mixed) in (from + query..from + length).zip(mixed) {
                        context.row_mut(at)[head * self.head..][..self.head].copy_from_slice(&mixed[..self.head]);
                    }
                }
            }
        }
    }

    /// The values that a tile of queries, from one on, takes together.
    fn mix(&self, kernels: Kernels, length: usize, from: usize, space: &mut HeadSpace) {
        let HeadSpace { queries, keys, values, weights, mixed, zeros, biases, .. } = space;
        let (arch, wide, depth) = (kernels.arch, product::wide(kernels.arch), padded(self.head));
        let count = product::high(kernels).min(length - from);
        // whole steps around all keys that any of the queries sees
        let first = self.seen(from, length).start / STEP * STEP;
        let last = padded(self.seen(from + count - 1, length).end);
        let line = last - first;
        zeros.fit(line.max(depth));
        mixed.fit(count * depth);
        Product {
            x: queries.from(kernels, from * depth),
            x_stride: depth,
            count,
            panels: keys.from(kernels, first * depth),
            panel_stride: wide * depth,
            depth,
            bias: &zeros[..line],
            out: weights.place(count * line),
            out_stride: line,
        }
        .run(kernels);
        let mut totals = Vec::with_capacity(count);
        for (at, row) in (from..).zip(weights.place(count * line).chunks_exact_mut(line)) {
            if !biases.is_empty() {
                // the distance of key 0 is `−query`; biases begin with `1 − length`
                let own = length.min(last) - first;
                math::add(&mut row[..own], &biases[length - 1 + first - at..][..own]);
            }
            let seen = self.seen(at, length);
            totals.push(math::soften(arch, row, seen.start - first..seen.end - first));
        }
        Product {
            x: weights.rows(kernels).from(kernels, 0),
            x_stride: line,
            count,
            panels: values.from(kernels, first * wide),
            panel_stride: padded(length) * wide,
            depth: line,
            bias: &zeros[..depth],
            out: mixed,
            out_stride: depth,
        }
        .run(kernels);
        for (row, total) in mixed.chunks_exact_mut(depth).zip(totals) {
            let factor = 1.0 / total;
            row.iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// The keys that a token at `at` sees.
    fn seen(&self, at: usize, length: usize) -> Range<usize> {
        let end = if self.causal { at + 1 } else { length };
        match self.window {
            Some(far) => at.saturating_sub(far)..end.min(at + far + 1),
            None => 0..end,
        }
    }

    /// Cosines and sines of positions up to `length`.
    fn turn(&self, length: usize, space: &mut HeadSpace) {
        let Some(rotary) = &self.rotary else { return };
        let half = rotary.frequencies.len();
        let known = if space.turned.1 == rotary.frequencies { space.turned.0 } else { 0 };
        if known == 0 {
            space.turns.clear();
            space.turned.1.clone_from(&rotary.frequencies);
        }
        for position in known..length {
            // in f64: an angle of thousands keeps its fraction
            let angles = rotary.frequencies.iter().map(|frequency| position as f64 * f64::from(*frequency));
            let (cosines, sines): (Vec<f32>, Vec<f32>) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
            space.turns.extend(cosines.iter().chain(&sines));
        }
        space.turned.0 = known.max(length);
        debug_assert_eq!(space.turns.len(), space.turned.0 * 2 * half);
    }

    /// Normalises and turns one head of one token.
    fn place(&self, arch: Arch, numbers: &mut [f32], norm: Option<&Normal>, position: usize, turns: &[f32]) {
        if let Some(norm) = norm {
            norm.apply(arch, numbers);
        }
        if let Some(rotary) = &self.rotary {
            let half = rotary.frequencies.len();
            let (cosines, sines) = turns[position * 2 * half..][..2 * half].split_at(half);
            let (a, b) = numbers[..2 * half].split_at_mut(half);
            for (((a, b), cosine), sine) in a.iter_mut().zip(b).zip(cosines).zip(sines) {
                (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
            }
        }
    }

    fn lay_queries(
        &self,
        kernels: Kernels,
        projected: &Rows,
        from: usize,
        length: usize,
        head: usize,
        space: &mut HeadSpace,
    ) {
        let HeadSpace { queries, turns, .. } = space;
        let depth = padded(self.head);
        for (at, row) in queries.place(length * depth).chunks_exact_mut(depth).enumerate() {
            let (own, rest) = row.split_at_mut(self.head);
            own.copy_from_slice(&projected.row(from + at)[head * self.head..][..self.head]);
            rest.fill(0.0);
            self.place(kernels.arch, row, self.head_norms.as_ref().map(|norms| &norms.0), at, turns);
            row.iter_mut().for_each(|value| *value *= self.scale);
        }
        queries.rows(kernels);
    }

    /// Keys as panels of columns, values as panels of lines.
    fn lay_keys(
        &self,
        kernels: Kernels,
        projected: &Rows,
        from: usize,
        length: usize,
        key_head: usize,
        space: &mut HeadSpace,
    ) {
        let HeadSpace { keys, values, line, turns, .. } = space;
        let (depth, lines, wide) = (padded(self.head), padded(length), product::wide(kernels.arch));
        let key_column = (self.heads + key_head) * self.head;
        let value_column = (self.heads + self.key_heads + key_head) * self.head;
        line.resize(depth, 0.0);
        let place = keys.place(lines * depth);
        for at in 0..lines {
            let panel = &mut place[at / wide * wide * depth..][..wide * depth];
            line.fill(0.0);
            if at < length {
                line[..self.head].copy_from_slice(&projected.row(from + at)[key_column..][..self.head]);
                self.place(kernels.arch, line, self.head_norms.as_ref().map(|norms| &norms.1), at, turns);
            }
            for (key, value) in panel[at % wide..].iter_mut().step_by(wide).zip(line.iter()) {
                *key = *value;
            }
        }
        keys.lines(kernels, wide);
        for (number, panel) in values.place(lines * depth).chunks_exact_mut(lines * wide).enumerate() {
            let column = number * wide;
            let own = self.head.saturating_sub(column).min(wide);
            panel.fill(0.0);
            if own > 0 {
                for (at, line) in panel.chunks_exact_mut(wide).enumerate().take(length) {
                    line[..own].copy_from_slice(&projected.row(from + at)[value_column + column..][..own]);
                }
            }
        }
        values.lines(kernels, wide);
    }

    /// Biases of all distances, from the last query to the first key on.
    fn lay_biases(&self, length: usize, head: usize, space: &mut HeadSpace) {
        space.biases.clear();
        let Some(bias) = &self.bias else { return };
        let distances = 1 - length as isize..length as isize;
        space
            .biases
            .extend(distances.map(|distance| bias.table.values[bias.bucket(distance) * bias.table.width + head]));
    }
}
