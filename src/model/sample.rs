//! Which transformers is an engine tried on? Two small ones, made up, that have between them all that a description can say.

use std::sync::Arc;

use super::architecture::{
    Activation, Architecture, Attention, Block, Embedding, FeedForward, Linear, Norm, Places, RelativeBias, Rotary,
    Table,
};

/// Numbers between -1 and 1 without a pattern.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32) / (1u32 << 23) as f32 - 1.0
    }

    fn many(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }

    fn linear(&mut self, input: usize, output: usize, bias: bool) -> Linear {
        let scale = (3.0 / input as f32).sqrt();
        let weight = self.many(input * output).into_iter().map(|weight| weight * scale).collect();
        Linear { input, output, weight, bias: bias.then(|| self.many(output)) }
    }

    fn norm(&mut self, width: usize, centred: bool) -> Norm {
        let scale = self.many(width).into_iter().map(|scale| 1.0 + 0.3 * scale).collect();
        Norm { centred, scale, shift: centred.then(|| self.many(width)), epsilon: 1e-5 }
    }

    fn table(&mut self, rows: usize, width: usize) -> Table {
        Table { width, values: self.many(rows * width) }
    }
}

/// Like MPNet, but with projected tokens: normalised after each part, biases by distance, positions after padding.
pub(super) fn encoder() -> Architecture {
    let mut numbers = Numbers(1);
    let bias = Arc::new(RelativeBias { table: numbers.table(8, 4), farthest: 16 });
    let block = |numbers: &mut Numbers, activation| Block {
        norm_first: false,
        attention_norm: Some(numbers.norm(40, true)),
        attention: Attention {
            heads: 4,
            key_heads: 4,
            head: 10,
            project: numbers.linear(40, 120, true),
            head_norms: None,
            rotary: None,
            scale: 1.0 / 10f32.sqrt(),
            causal: false,
            window: None,
            bias: Some(Arc::clone(&bias)),
            output: numbers.linear(40, 40, true),
        },
        feed_norm: numbers.norm(40, true),
        feed: FeedForward {
            up: numbers.linear(40, 100, true),
            gated: false,
            activation,
            down: numbers.linear(100, 40, true),
        },
    };
    Architecture {
        width: 40,
        longest: 100,
        embedding: Embedding {
            words: numbers.table(50, 24),
            places: Some((numbers.table(104, 24), Places::AfterPadding(1))),
            norm: Some(numbers.norm(24, true)),
            projection: Some(numbers.linear(24, 40, true)),
        },
        blocks: [Activation::Gelu, Activation::Relu].map(|activation| block(&mut numbers, activation)).into(),
        last_norm: None,
    }
}

/// Like Qwen3 and ModernBERT at once: normalised before each part, rotations, shared keys, gates, windows.
pub(super) fn decoder() -> Architecture {
    let mut numbers = Numbers(2);
    let rotary = Arc::new(Rotary { frequencies: vec![1.0, 0.3, 0.07, 0.01, 0.002, 0.0005] });
    let block = |numbers: &mut Numbers, activation, causal: bool, window, first: bool| Block {
        norm_first: true,
        attention_norm: (!first).then(|| numbers.norm(36, false)),
        attention: Attention {
            heads: 6,
            key_heads: 2,
            head: 12,
            project: numbers.linear(36, 120, false),
            head_norms: causal.then(|| (numbers.norm(12, false), numbers.norm(12, false))),
            rotary: Some(Arc::clone(&rotary)),
            scale: 1.0 / 12f32.sqrt(),
            causal,
            window,
            bias: None,
            output: numbers.linear(72, 36, false),
        },
        feed_norm: numbers.norm(36, false),
        feed: FeedForward {
            up: numbers.linear(36, 140, false),
            gated: true,
            activation,
            down: numbers.linear(70, 36, false),
        },
    };
    let blocks = vec![
        block(&mut numbers, Activation::Silu, true, None, true),
        block(&mut numbers, Activation::GeluTanh, false, Some(5), false),
        block(&mut numbers, Activation::Silu, true, Some(40), false),
    ];
    Architecture {
        width: 36,
        longest: 100,
        embedding: Embedding { words: numbers.table(50, 36), places: None, norm: None, projection: None },
        blocks,
        last_norm: Some(numbers.norm(36, false)),
    }
}
