//! How does a description become tensors on a device?

use candle_core::Tensor;

use super::runs::{Shared, Sight};
use super::{Attend, Feed, Layer, Map, Normalise, TokenVectors};
use crate::model::architecture::{Attention, Block, Embedding, FeedForward, Linear, Norm, Table};
use crate::model::place::Place;

impl Place {
    /// Numbers of a shape.
    pub(super) fn tensor(&self, values: Vec<f32>, shape: &[usize]) -> candle_core::Result<Tensor> {
        Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.kind)
    }

    fn vector(&self, values: Vec<f32>) -> candle_core::Result<Tensor> {
        let length = values.len();
        self.tensor(values, &[length])
    }

    fn map(&self, map: Linear) -> candle_core::Result<Map> {
        let weight = self.tensor(map.weight, &[map.output, map.input])?.t()?.contiguous()?;
        Ok(Map { weight, bias: map.bias.map(|bias| self.vector(bias)).transpose()? })
    }

    /// A normalisation.
    pub(super) fn norm(&self, norm: Norm) -> candle_core::Result<Normalise> {
        let zeros = norm.centred.then(|| vec![0.0; norm.scale.len()]);
        Ok(Normalise {
            centred: norm.centred,
            scale: self.vector(norm.scale)?,
            shift: norm.shift.or(zeros).map(|shift| self.vector(shift)).transpose()?,
            epsilon: norm.epsilon,
        })
    }

    /// What stands before the blocks.
    pub(super) fn token_vectors(&self, embedding: Embedding) -> candle_core::Result<TokenVectors> {
        let table = |table: Table| {
            let rows = table.values.len() / table.width;
            self.tensor(table.values, &[rows, table.width])
        };
        let places = match embedding.places {
            Some((positions, places)) => Some((table(positions)?, places)),
            None => None,
        };
        Ok(TokenVectors {
            words: table(embedding.words)?,
            places,
            norm: embedding.norm.map(|norm| self.norm(norm)).transpose()?,
            projection: embedding.projection.map(|map| self.map(map)).transpose()?,
        })
    }

    /// A block; what it has in common with others goes to `shared`.
    pub(super) fn layer(&self, block: Block, shared: &mut Shared) -> candle_core::Result<Layer> {
        let FeedForward { up, gated, activation, down } = block.feed;
        Ok(Layer {
            norm_first: block.norm_first,
            attention_norm: block.attention_norm.map(|norm| self.norm(norm)).transpose()?,
            attention: self.attention(block.attention, shared)?,
            feed_norm: self.norm(block.feed_norm)?,
            feed: Feed { up: self.map(up)?, gated, activation, down: self.map(down)? },
        })
    }

    fn attention(&self, attention: Attention, shared: &mut Shared) -> candle_core::Result<Attend> {
        let head_norms = match attention.head_norms {
            Some((queries, keys)) => Some((self.norm(queries)?, self.norm(keys)?)),
            None => None,
        };
        Ok(Attend {
            heads: attention.heads,
            key_heads: attention.key_heads,
            head: attention.head,
            project: self.map(attention.project)?,
            head_norms,
            rotary: attention.rotary.map(|rotary| shared.rotary(rotary)),
            scale: f64::from(attention.scale),
            sight: shared.sight(Sight { causal: attention.causal, window: attention.window, bias: attention.bias }),
            output: self.map(attention.output)?,
        })
    }
}
