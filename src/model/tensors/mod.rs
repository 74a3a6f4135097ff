//! What does a transformer compute, on any device? Its description, step by step, on candle's tensors.
//!
//! The rows of all texts stand in one matrix, without padding; only attention looks at one text at a time (at a run of
//! texts of equal length: a product for each of them).
//!
//! Why a text's bits do not depend on its neighbours, on the CPU: what is no product sees one row at a time; attention
//! sees one text; and in a matrix product of at least [`Tensors::least_rows`] rows, `gemm` (0.19) adds up every element
//! of the result in one order that depends on the other two sizes alone (`kernel_params` chooses the depth of its
//! blocks by them). With a single row it takes another path, so fewer rows than that are never given to it. A test
//! holds this, size by size.
//!
//! On a GPU a launch costs more than a few idle rows, so attention takes neighbours of about equal length together, with
//! padding that is seen by none; and the libraries choose a product's kernel by all its sizes. So there the last bits of a text's
//! numbers may change with its company.

mod lay;
mod runs;

use candle_core::{DType, Device, Tensor};
use candle_nn::ops::{layer_norm, rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb::rope;

use super::architecture::{Activation, Architecture, Places};
use super::place::Place;
use super::{Backbone, Batch, ModelError, last_of};
use runs::{Rows, Run, Shared, Together};

/// Enough to keep a GPU busy; the states of a large model for so many take less than 1 GB.
const GPU_TOKENS: usize = 16 * 1024;

/// A transformer in the memory of a device.
pub(super) struct Tensors {
    width: usize,
    longest: usize,
    place: Place,
    embedding: TokenVectors,
    blocks: Vec<Layer>,
    last_norm: Option<Normalise>,
    shared: Shared,
    least_rows: usize,
    /// Which texts are one run.
    together: Together,
}

struct TokenVectors {
    words: Tensor,
    places: Option<(Tensor, Places)>,
    norm: Option<Normalise>,
    projection: Option<Map>,
}

struct Layer {
    norm_first: bool,
    attention_norm: Option<Normalise>,
    attention: Attend,
    feed_norm: Normalise,
    feed: Feed,
}

struct Attend {
    heads: usize,
    key_heads: usize,
    head: usize,
    project: Map,
    head_norms: Option<(Normalise, Normalise)>,
    rotary: Option<usize>,
    scale: f64,
    sight: usize,
    output: Map,
}

struct Feed {
    up: Map,
    gated: bool,
    activation: Activation,
    down: Map,
}

/// `x·W + b`.
struct Map {
    /// `input × output`.
    weight: Tensor,
    bias: Option<Tensor>,
}

struct Normalise {
    centred: bool,
    scale: Tensor,
    /// There for all that are centred.
    shift: Option<Tensor>,
    epsilon: f32,
}

impl Tensors {
    /// Lays the weights out on a device, as numbers of one kind.
    pub(super) fn load(architecture: Architecture, place: &Place) -> Result<Self, ModelError> {
        let least_rows = least_rows(&architecture);
        let Architecture { width, longest, embedding, blocks, last_norm } = architecture;
        let mut shared = Shared::default();
        Ok(Tensors {
            width,
            longest,
            place: place.clone(),
            embedding: place.token_vectors(embedding)?,
            blocks: blocks.into_iter().map(|block| place.layer(block, &mut shared)).collect::<Result<_, _>>()?,
            last_norm: last_norm.map(|norm| place.norm(norm)).transpose()?,
            shared,
            least_rows,
            together: if place.device.is_cpu() { Together::Equal } else { Together::Near },
        })
    }

    fn forward(&self, batch: Batch<'_>, layers: &[usize], last: usize) -> candle_core::Result<Vec<f32>> {
        let runs = self.shared.runs(&self.place, self.together, batch.lengths)?;
        let mut states = self.embedding.look_up(batch, &self.place.device)?;
        let mut sum: Option<Tensor> = None;
        for depth in 0..=last {
            if depth > 0 {
                states = self.blocks[depth - 1].forward(&states, &runs)?;
            }
            if layers.contains(&depth) {
                let seen = match &self.last_norm {
                    Some(norm) if depth == self.blocks.len() => norm.apply(&states)?,
                    _ => states.clone(),
                };
                let seen = seen.to_dtype(DType::F32)?;
                sum = Some(match sum {
                    Some(sum) => (sum + seen)?,
                    None => seen,
                });
            }
        }
        match sum {
            Some(sum) if layers.len() > 1 => (sum / layers.len() as f64)?.flatten_all()?.to_vec1(),
            Some(sum) => sum.flatten_all()?.to_vec1(),
            None => Ok(Vec::new()),
        }
    }
}

impl Backbone for Tensors {
    fn width(&self) -> usize {
        self.width
    }

    fn layers(&self) -> usize {
        self.blocks.len()
    }

    fn batch_tokens(&self) -> usize {
        if self.place.is_cpu() { 1024 } else { GPU_TOKENS }
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn hidden(&self, batch: Batch<'_>, layers: &[usize]) -> Result<Vec<f32>, ModelError> {
        let last = last_of(layers, self.blocks.len())?;
        if batch.ids.is_empty() {
            return Ok(Vec::new());
        }
        let copies = if self.place.device.is_cpu() { self.least_rows.div_ceil(batch.ids.len()) } else { 1 };
        if copies < 2 {
            return Ok(self.forward(batch, layers, last)?);
        }
        let (ids, lengths) = (batch.ids.repeat(copies), batch.lengths.repeat(copies));
        let mut states = self.forward(Batch { ids: &ids, lengths: &lengths }, layers, last)?;
        states.truncate(batch.ids.len() * self.width);
        Ok(states)
    }
}

impl TokenVectors {
    /// What goes into the first block: (tokens, width).
    fn look_up(&self, batch: Batch<'_>, device: &Device) -> candle_core::Result<Tensor> {
        let mut states = self.words.index_select(&Tensor::new(batch.ids, device)?, 0)?;
        if let Some((table, places)) = &self.places {
            let mut all = Vec::with_capacity(batch.ids.len());
            let mut ids = batch.ids;
            for length in batch.lengths {
                let (text, rest) = ids.split_at(*length);
                ids = rest;
                all.extend(places.of(text));
            }
            states = (states + table.index_select(&Tensor::new(all.as_slice(), device)?, 0)?)?;
        }
        if let Some(norm) = &self.norm {
            states = norm.apply(&states)?;
        }
        match &self.projection {
            Some(map) => map.apply(&states),
            None => Ok(states),
        }
    }
}

impl Layer {
    /// One block: `input` and the result are (tokens, width).
    fn forward(&self, input: &Tensor, runs: &[Run]) -> candle_core::Result<Tensor> {
        if !self.norm_first {
            let mut states = (input + self.attention.apply(input, runs)?)?;
            if let Some(norm) = &self.attention_norm {
                states = norm.apply(&states)?;
            }
            return self.feed_norm.apply(&(&states + self.feed.apply(&states)?)?);
        }
        let attended = match &self.attention_norm {
            Some(norm) => self.attention.apply(&norm.apply(input)?, runs)?,
            None => self.attention.apply(input, runs)?,
        };
        let states = (input + attended)?;
        &states + self.feed.apply(&self.feed_norm.apply(&states)?)?
    }
}

impl Attend {
    fn apply(&self, input: &Tensor, runs: &[Run]) -> candle_core::Result<Tensor> {
        let projected = self.project.apply(input)?;
        // Texts of one run share their calls, since each call of candle's product costs a look at the machine
        // (`num_cpus::get_physical`) or a launch.
        let contexts: Vec<Tensor> = runs.iter().map(|run| self.attend(&projected, run)).collect::<Result<_, _>>()?;
        self.output.apply(&Tensor::cat(&contexts, 0)?)
    }

    /// `projected` is (tokens, queries + keys + values), the result (tokens of the run, heads · head).
    fn attend(&self, projected: &Tensor, run: &Run) -> candle_core::Result<Tensor> {
        let rows = match &run.rows {
            Rows::From(start) => projected.narrow(0, *start, run.count * run.length)?,
            Rows::Padded { row, .. } => projected.index_select(row, 0)?,
        };
        let part = |first: usize, heads: usize| {
            let part = rows.narrow(1, first * self.head, heads * self.head)?;
            part.reshape((run.count, run.length, heads, self.head))
        };
        let mut queries = part(0, self.heads)?;
        let mut keys = part(self.heads, self.key_heads)?;
        let values = part(self.heads + self.key_heads, self.key_heads)?;
        if let Some((of_queries, of_keys)) = &self.head_norms {
            (queries, keys) = (of_queries.apply(&queries)?, of_keys.apply(&keys)?);
        }
        let by_head = |part: Tensor| part.transpose(1, 2)?.contiguous();
        (queries, keys) = (by_head(queries)?, by_head(keys)?);
        if let Some(rotary) = self.rotary {
            let (cos, sin) = &run.turns[rotary];
            (queries, keys) = (rope(&queries, cos, sin)?, rope(&keys, cos, sin)?);
        }
        let (keys, values) = (self.spread(keys, run)?, self.spread(by_head(values)?, run)?);
        let mut scores = (queries.matmul(&keys.t()?)? * self.scale)?;
        if let Some(mask) = &run.masks[self.sight] {
            scores = scores.broadcast_add(mask)?;
        }
        if let Rows::Padded { mask, .. } = &run.rows {
            scores = scores.broadcast_add(mask)?;
        }
        let context = softmax_last_dim(&scores)?.matmul(&values)?;
        let context = context.transpose(1, 2)?.reshape((run.count * run.length, self.heads * self.head))?;
        match &run.rows {
            Rows::From(_) => Ok(context),
            Rows::Padded { place, .. } => context.index_select(place, 0),
        }
    }

    /// Heads of keys or values, once for each head of queries.
    fn spread(&self, part: Tensor, run: &Run) -> candle_core::Result<Tensor> {
        let served = self.heads / self.key_heads;
        if served == 1 {
            return Ok(part);
        }
        let part = part.unsqueeze(2)?.expand((run.count, self.key_heads, served, run.length, self.head))?;
        part.contiguous()?.reshape((run.count, self.heads, run.length, self.head))
    }
}

impl Feed {
    fn apply(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let wide = self.up.apply(input)?;
        let inner = if self.gated {
            let half = wide.dim(1)? / 2;
            let (first, second) = (wide.narrow(1, 0, half)?, wide.narrow(1, half, half)?);
            (activate(&first.contiguous()?, self.activation)? * second)?
        } else {
            activate(&wide, self.activation)?
        };
        self.down.apply(&inner)
    }
}

fn activate(values: &Tensor, activation: Activation) -> candle_core::Result<Tensor> {
    match activation {
        Activation::Gelu => values.gelu_erf(),
        Activation::GeluTanh => values.gelu(),
        Activation::Relu => values.relu(),
        Activation::Silu => silu(values),
    }
}

impl Map {
    fn apply(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let product = rows.matmul(&self.weight)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

impl Normalise {
    /// Of the last dimension.
    fn apply(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let rows = rows.contiguous()?;
        match &self.shift {
            Some(shift) if self.centred => layer_norm(&rows, &self.scale, shift, self.epsilon),
            Some(shift) => rms_norm(&rows, &self.scale, self.epsilon)?.broadcast_add(shift),
            None => rms_norm(&rows, &self.scale, self.epsilon),
        }
    }
}

/// The fewest rows that take `gemm`'s general path: two; or 65 where a matrix has at most 64 columns and more than
/// 512 rows, since it then cuts the depth differently below that (`m <= 64 && n <= 64` in `gemm_basic_generic`).
fn least_rows(architecture: &Architecture) -> usize {
    let maps = architecture
        .blocks
        .iter()
        .flat_map(|block| [&block.attention.project, &block.attention.output, &block.feed.up, &block.feed.down]);
    let mut maps = maps.chain(&architecture.embedding.projection);
    if maps.any(|map| map.output <= 64 && map.input > 512) { 65 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::ModelConfig;
    use crate::model::families::{Model, made};

    #[test]
    fn padding_is_seen_by_none() {
        let lengths = [11, 7, 0, 3, 11, 1, 9];
        assert_eq!(Together::Near.runs(&[40, 30, 19, 90, 200]), [&[40, 30][..], &[19], &[90], &[200]]);
        assert_eq!(Together::Equal.runs(&[4, 4, 3]), [&[4, 4][..], &[3]]);
        for made in made::all() {
            let config = ModelConfig::read(&made.files).unwrap();
            let Model::Described(architecture) = config.model(&made.files).unwrap() else { continue };
            let mut tensors = Tensors::load(*architecture, &Place::default()).unwrap();
            let ids: Vec<u32> = lengths.iter().flat_map(|length| &made.ids[..*length]).copied().collect();
            let batch = Batch { ids: &ids, lengths: &lengths };
            let alone = tensors.hidden(batch, &[tensors.layers()]).unwrap();
            tensors.together = Together::Near;
            let padded = tensors.hidden(batch, &[tensors.layers()]).unwrap();
            for (padded, alone) in padded.iter().zip(&alone) {
                assert!((padded - alone).abs() < 2e-6, "{}: {padded} {alone}", made.name);
            }
        }
    }

    /// No graphics card, but the same steps with numbers of the same width.
    #[test]
    fn numbers_of_16_bits_go_through_every_step() {
        for made in made::all() {
            let config = ModelConfig::read(&made.files).unwrap();
            let Model::Described(architecture) = config.model(&made.files).unwrap() else { continue };
            let ids = [made.ids.as_slice(), &made.ids[..5]].concat();
            let batch = Batch { ids: &ids, lengths: &[11, 5] };
            let [whole, half] = [DType::F32, DType::F16].map(|kind| {
                let place = Place { kind, ..Place::default() };
                let mut tensors = Tensors::load((*architecture).clone(), &place).unwrap();
                tensors.together = Together::Near;
                tensors.hidden(batch, &[0, tensors.layers()]).unwrap()
            });
            let size = whole.iter().map(|value| value.abs()).fold(0.0, f32::max);
            let off = whole.iter().zip(&half).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off > 0.0 && off < 0.02 * size, "{}: {off} of {size}", made.name);
        }
    }

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
