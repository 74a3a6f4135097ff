//! What is a transformer made of? One description for all families, with their weights: `families` writes it, engines compute it.
//!
//! All weights are f32, row-major. An engine takes the description apart and lays the weights out as it likes.

use std::sync::Arc;

/// A transformer and its weights.
#[derive(Debug, Clone)]
pub(super) struct Architecture {
    /// Length of a hidden state.
    pub(super) width: usize,
    /// The longest text in tokens.
    pub(super) longest: usize,
    /// What stands before the first block.
    pub(super) embedding: Embedding,
    /// One after the other.
    pub(super) blocks: Vec<Block>,
    /// After the last block, where blocks normalise before their parts.
    pub(super) last_norm: Option<Norm>,
}

/// Tokens become vectors: word plus position, normalised, projected.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    /// A row for each token of the vocabulary.
    pub(super) words: Table,
    /// Where positions have vectors; a vector that all tokens get (token type 0) is added to these.
    pub(super) places: Option<(Table, Places)>,
    /// After the sum.
    pub(super) norm: Option<Norm>,
    /// To [`Architecture::width`], where token vectors are of another length (ELECTRA).
    pub(super) projection: Option<Linear>,
}

/// Rows to look up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// Length of a row.
    pub(super) width: usize,
    /// Row after row.
    pub(super) values: Vec<f32>,
}

/// How positions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// From 0.
    FromZero,
    /// From the padding token's id plus 1; padding tokens stand at that id and are not counted (RoBERTa).
    AfterPadding(u32),
}

impl Places {
    /// The positions of one text's tokens.
    pub(super) fn of(self, ids: &[u32]) -> Vec<u32> {
        match self {
            Places::FromZero => (0u32..).take(ids.len()).collect(),
            Places::AfterPadding(padding) => {
                let mut next = padding;
                let place = |id: &u32| {
                    if *id == padding {
                        return padding;
                    }
                    next += 1;
                    next
                };
                ids.iter().map(place).collect()
            }
        }
    }
}

/// `x·Wᵀ + b`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    /// Numbers that go in.
    pub(super) input: usize,
    /// Numbers that come out.
    pub(super) output: usize,
    /// `output × input`, as checkpoints hold it.
    pub(super) weight: Vec<f32>,
    /// A number for each output.
    pub(super) bias: Option<Vec<f32>>,
}

/// Rows are normalised, then scaled and shifted column by column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Norm {
    /// Subtract the row's mean first and divide by its standard deviation (`torch.nn.LayerNorm`); else divide by the root of its
    /// mean square (`RMSNorm`).
    pub(super) centred: bool,
    /// Column by column.
    pub(super) scale: Vec<f32>,
    /// Column by column, after scaling.
    pub(super) shift: Option<Vec<f32>>,
    /// Added to the variance, or mean square, inside the root.
    pub(super) epsilon: f32,
}

/// Attention, then a feed-forward part; to each, what went in is added.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// `x + f(norm(x))` (pre-norm: GPT-2, Llama, ModernBERT) instead of `norm(x + f(x))` (BERT).
    pub(super) norm_first: bool,
    /// Of attention; the first block of ModernBERT has none.
    pub(super) attention_norm: Option<Norm>,
    /// Tokens look at each other.
    pub(super) attention: Attention,
    /// Of the feed-forward part.
    pub(super) feed_norm: Norm,
    /// Each token by itself.
    pub(super) feed: FeedForward,
}

/// `softmax(scale · Q·Kᵀ + bias)·V` for each head, inside a text.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// Heads of the queries.
    pub(super) heads: usize,
    /// Heads of keys and values; each serves `heads / key_heads` neighbouring heads of the queries.
    pub(super) key_heads: usize,
    /// Length of a head.
    pub(super) head: usize,
    /// Queries (`heads · head` numbers), keys and values (`key_heads · head` each), side by side.
    pub(super) project: Linear,
    /// Of each head of queries and of keys, before rotation (Qwen3).
    pub(super) head_norms: Option<(Norm, Norm)>,
    /// Positions as rotations of queries and keys; blocks may share one.
    pub(super) rotary: Option<Arc<Rotary>>,
    /// Multiplies the products.
    pub(super) scale: f32,
    /// A token sees itself and those before it alone.
    pub(super) causal: bool,
    /// A token sees those at most so many places away alone.
    pub(super) window: Option<usize>,
    /// Added to the scaled products; blocks may share one.
    pub(super) bias: Option<Arc<RelativeBias>>,
    /// From the heads side by side back to the width.
    pub(super) output: Linear,
}

/// Rotary positions: with the halves `a`, `b` of a head, `a_i, b_i` become `a_i cos φ − b_i sin φ, b_i cos φ + a_i sin φ` for
/// `φ = position · frequencies_i` (transformers' `rotate_half`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rotary {
    /// Half as many as a head has numbers.
    pub(super) frequencies: Vec<f32>,
}

/// A number for each head and distance `key − query`, by buckets (T5's two-sided ones; MPNet).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RelativeBias {
    /// `buckets × heads`.
    pub(super) table: Table,
    /// Distances from here on share the last bucket of their side.
    pub(super) farthest: usize,
}

impl RelativeBias {
    /// The bucket of a distance `key − query`: half of them for keys after the query, of each side half for distances one by one and
    /// half for logarithmically growing ones (`MPNetEncoder.relative_position_bucket`).
    pub(super) fn bucket(&self, distance: isize) -> usize {
        let side = self.table.values.len() / self.table.width / 2;
        let (after, far) = (if distance > 0 { side } else { 0 }, distance.unsigned_abs());
        let exact = side / 2;
        if far < exact {
            return after + far;
        }
        let grown =
            (far as f32 / exact as f32).ln() / (self.farthest as f32 / exact as f32).ln() * (side - exact) as f32;
        after + (exact + grown as usize).min(side - 1)
    }
}

/// Up, activation, down.
#[derive(Debug, Clone)]
pub(super) struct FeedForward {
    /// To the inner width; where gated, to twice that: what is activated, then what it is multiplied by.
    pub(super) up: Linear,
    /// Two halves of `up` are multiplied, the first of them activated.
    pub(super) gated: bool,
    /// Between the products.
    pub(super) activation: Activation,
    /// Back to the width.
    pub(super) down: Linear,
}

/// The function between the two products of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x/2 · (1 + erf(x/√2))`.
    Gelu,
    /// Its approximation by tanh (GPT-2's `gelu_new`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + e⁻ˣ)`.
    Silu,
}
