//! What does an encoder of BERT's family compute? Embeddings, then layers of attention and feed-forward parts, each
//! followed by residual and normalisation; ported from transformers' `BertModel`, `DistilBertModel`, `RobertaModel`,
//! `ElectraModel`.
//!
//! The rows of all texts stand in one matrix, without padding; only attention looks at one text at a time.
//!
//! Why a text's bits do not depend on its neighbours: the operations of [`super::ops`] see one row at a time; attention
//! sees one text; and in a matrix product of at least [`Encoder::least_rows`] rows, `gemm` (0.19) adds up every element
//! of the result in one order that depends on the other two sizes alone (`kernel_params` chooses the depth of its
//! blocks by them). With a single row it takes another path, so fewer rows than that are never given to it. A test
//! holds this, size by size.

use candle_core::{Device, IndexOp, Tensor};

use super::config::{EncoderConfig, Positions};
use super::ops::{AddBias, AddNorm, BiasActivation, Softmax};
use super::weights::Weights;
use super::{Backbone, Batch, ModelError};

/// An encoder in memory.
pub(super) struct Encoder {
    config: EncoderConfig,
    words: Tensor,
    /// Position vectors, with the vector of token type 0 added.
    places: Tensor,
    norm: AddNorm,
    projection: Option<(Tensor, AddBias)>,
    layers: Vec<Layer>,
}

struct Layer {
    heads: usize,
    /// Query, key and value side by side.
    project: (Tensor, AddBias),
    softmax: Softmax,
    gather: (Tensor, AddNorm),
    widen: (Tensor, BiasActivation),
    narrow: (Tensor, AddNorm),
}

impl Encoder {
    /// Takes the tensors out of `weights`.
    pub(super) fn load(config: EncoderConfig, weights: &Weights<'_>) -> Result<Self, ModelError> {
        let table = |name: &str, rows| {
            weights.tensor(&format!("embeddings.{name}_embeddings.weight"), &[rows, config.embedding])
        };
        let mut places = table("position", config.table)?;
        if config.types > 0 {
            places = places.broadcast_add(&table("token_type", config.types)?.i(0)?)?;
        }
        let projection = if config.embedding == config.width {
            None
        } else {
            let matrix = weights.matrix("embeddings_project", config.embedding, config.width)?;
            Some((matrix, AddBias(weights.bias("embeddings_project", config.width)?)))
        };
        let no_bias = vec![0.0; config.embedding];
        Ok(Encoder {
            words: table("word", config.vocabulary)?,
            places,
            norm: add_norm(weights, "embeddings.LayerNorm", no_bias, config.epsilon)?,
            projection,
            layers: (0..config.layers).map(|i| Layer::load(&config, weights, i)).collect::<Result<_, _>>()?,
            config,
        })
    }

    /// The fewest rows that take `gemm`'s general path: two; or 65 where a matrix has at most 64 columns and more than
    /// 512 rows, since it then cuts the depth differently below that (`m <= 64 && n <= 64` in `gemm_basic_generic`).
    fn least_rows(&self) -> usize {
        if self.config.width <= 64 && self.config.inner > 512 { 65 } else { 2 }
    }

    fn forward(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        let count = batch.ids.len();
        let ids = Tensor::new(batch.ids, &Device::Cpu)?;
        let places = Tensor::new(self.places_of(batch).as_slice(), &Device::Cpu)?;
        let mut states = self.words.index_select(&ids, 0)?;
        states.inplace_op2(&self.places.index_select(&places, 0)?, &self.norm)?;
        if let Some((matrix, bias)) = &self.projection {
            states = states.matmul(matrix)?;
            states.inplace_op1(bias)?;
        }
        for layer in &self.layers {
            states = layer.forward(&states, batch.lengths)?;
        }
        Ok(states.reshape(count * self.config.width)?.to_vec1()?)
    }

    /// Which position each token has.
    fn places_of(&self, batch: Batch<'_>) -> Vec<u32> {
        let mut places = Vec::with_capacity(batch.ids.len());
        let mut ids = batch.ids;
        for length in batch.lengths {
            let (text, rest) = ids.split_at(*length);
            ids = rest;
            match self.config.positions {
                Positions::FromZero => places.extend((0u32..).take(text.len())),
                Positions::AfterPadding(padding) => {
                    let mut next = padding;
                    places.extend(text.iter().map(|id| {
                        if *id == padding {
                            return padding;
                        }
                        next += 1;
                        next
                    }));
                }
            }
        }
        places
    }
}

impl Backbone for Encoder {
    fn width(&self) -> usize {
        self.config.width
    }

    fn longest(&self) -> usize {
        self.config.longest()
    }

    fn hidden(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        if batch.ids.is_empty() {
            return Ok(Vec::new());
        }
        let copies = self.least_rows().div_ceil(batch.ids.len());
        if copies < 2 {
            return self.forward(batch);
        }
        let (ids, lengths) = (batch.ids.repeat(copies), batch.lengths.repeat(copies));
        let mut states = self.forward(Batch { ids: &ids, lengths: &lengths })?;
        states.truncate(batch.ids.len() * self.config.width);
        Ok(states)
    }
}

impl Layer {
    fn load(config: &EncoderConfig, weights: &Weights<'_>, index: usize) -> Result<Self, ModelError> {
        let (width, inner) = (config.width, config.inner);
        let names = if config.family == "distilbert" { &DISTILBERT } else { &BERT };
        let name = |part: &str| format!("{}.{index}.{part}", names.layers);
        let mut matrices = Vec::new();
        let mut biases = Vec::new();
        for part in names.query_key_value {
            matrices.push(weights.matrix(&name(part), width, width)?);
            biases.extend(weights.bias(&name(part), width)?);
        }
        let norm = |part, bias| add_norm(weights, &name(part), bias, config.epsilon);
        Ok(Layer {
            heads: config.heads,
            project: (Tensor::cat(&matrices, 1)?, AddBias(biases)),
            softmax: Softmax { factor: 1.0 / ((width / config.heads) as f32).sqrt() },
            gather: (
                weights.matrix(&name(names.gather), width, width)?,
                norm(names.gather_norm, weights.bias(&name(names.gather), width)?)?,
            ),
            widen: (
                weights.matrix(&name(names.widen), width, inner)?,
                BiasActivation { bias: weights.bias(&name(names.widen), inner)?, activation: config.activation },
            ),
            narrow: (
                weights.matrix(&name(names.narrow), inner, width)?,
                norm(names.narrow_norm, weights.bias(&name(names.narrow), width)?)?,
            ),
        })
    }

    /// One layer: `input` and the result are (tokens, width).
    fn forward(&self, input: &Tensor, lengths: &[usize]) -> candle_core::Result<Tensor> {
        let projected = input.matmul(&self.project.0)?;
        projected.inplace_op1(&self.project.1)?;
        let attended = self.attend(&projected, lengths)?.matmul(&self.gather.0)?;
        attended.inplace_op2(input, &self.gather.1)?;
        let wide = attended.matmul(&self.widen.0)?;
        wide.inplace_op1(&self.widen.1)?;
        let output = wide.matmul(&self.narrow.0)?;
        output.inplace_op2(&attended, &self.narrow.1)?;
        Ok(output)
    }

    /// Attention: `projected` is (tokens, 3·width), the result (tokens, width). Neighbours of equal length share one call,
    /// since each call of candle's product costs a look at the machine (`num_cpus::get_physical`); the product itself is
    /// one for each text and head.
    fn attend(&self, projected: &Tensor, lengths: &[usize]) -> candle_core::Result<Tensor> {
        let width = projected.dim(1)? / 3;
        let mut contexts = Vec::new();
        let mut start = 0;
        for texts in lengths.chunk_by(|a, b| a == b).filter(|texts| texts[0] > 0) {
            let (count, length) = (texts.len(), texts[0]);
            let rows = projected.narrow(0, start, count * length)?;
            start += count * length;
            let parts = rows.reshape((count, length, 3, self.heads, width / self.heads))?;
            let part = |which| parts.i((.., .., which))?.transpose(1, 2)?.contiguous();
            let scores = part(0)?.matmul(&part(1)?.t()?)?;
            scores.inplace_op1(&self.softmax)?;
            contexts.push(scores.matmul(&part(2)?)?.transpose(1, 2)?.reshape((count * length, width))?);
        }
        Tensor::cat(&contexts, 0)
    }
}

fn add_norm(weights: &Weights<'_>, name: &str, bias: Vec<f32>, epsilon: f32) -> Result<AddNorm, ModelError> {
    let (scale, shift) = weights.norm(name, bias.len())?;
    Ok(AddNorm { bias, scale, shift, epsilon })
}

/// What a family calls the parts of a layer.
struct Names {
    layers: &'static str,
    query_key_value: [&'static str; 3],
    gather: &'static str,
    gather_norm: &'static str,
    widen: &'static str,
    narrow: &'static str,
    narrow_norm: &'static str,
}

const BERT: Names = Names {
    layers: "encoder.layer",
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    gather: "attention.output.dense",
    gather_norm: "attention.output.LayerNorm",
    widen: "intermediate.dense",
    narrow: "output.dense",
    narrow_norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    layers: "transformer.layer",
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    gather: "attention.out_lin",
    gather_norm: "sa_layer_norm",
    widen: "ffn.lin1",
    narrow: "ffn.lin2",
    narrow_norm: "output_layer_norm",
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise of the module's doc about `gemm`, at the sizes of MiniLM and of the small BERTs.
    #[test]
    fn a_row_of_a_product_does_not_depend_on_the_number_of_rows() {
        gemm::set_threading_threshold(usize::MAX);
        let wave = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|i| ((i % 9973) as f32 * 0.7).sin()).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
        };
        let rows = 300;
        for (depth, columns) in [(384, 384), (384, 1152), (384, 1536), (1536, 384), (48, 96), (96, 48), (3072, 768)] {
            let (left, right) = (wave(rows, depth), wave(depth, columns));
            let all = left.matmul(&right).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let step = if depth * columns > 1_000_000 { 23 } else { 1 };
            for count in (2..66).chain((66..rows).step_by(step)) {
                let start = (count * 7) % (rows - count);
                let part = left.narrow(0, start, count).unwrap().matmul(&right).unwrap();
                let part = part.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let same = part.iter().zip(&all[start * columns..]).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{count} rows of {depth} by {columns}");
            }
        }
    }
}
