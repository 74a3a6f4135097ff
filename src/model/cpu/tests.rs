//! Does the engine compute what the description says, on every kind of vectors, and the same bits on all that fuse?

use super::product::{Kernels, Products};
use super::*;
use crate::model::architecture::{Attention, FeedForward, Linear, Norm};
use crate::model::sample::{decoder, encoder};

/// Texts of several lengths, one of them empty, one with padding tokens inside.
fn texts() -> Vec<Vec<u32>> {
    let text = |length: u32| (0..length).map(|i| (i * i * 7 + length * 3) % 50).collect();
    let mut texts: Vec<Vec<u32>> = [3, 1, 0, 27, 33, 64, 90].map(text).into();
    texts.push(vec![4, 1, 1, 5, 1]);
    texts
}

fn states(engine: &Cpu, texts: &[Vec<u32>], layers: &[usize]) -> Vec<f32> {
    let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
    engine.hidden(Batch { ids: &texts.concat(), lengths: &lengths }, layers).unwrap()
}

/// All kinds of vectors that this machine has.
fn machines() -> Vec<Arch> {
    let mut all = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    #[cfg(target_arch = "aarch64")]
    all.extend(pulp::aarch64::Neon::try_new().map(Arch::Neon));
    all
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_states_are_those_of_the_formulas() {
    for architecture in [encoder(), decoder()] {
        let engine = Cpu::new(architecture.clone(), Precision::F32);
        for layers in [vec![0], vec![1], vec![architecture.blocks.len()], (0..=architecture.blocks.len()).collect()] {
            let ours = states(&engine, &texts(), &layers);
            let wanted: Vec<f32> =
                texts().iter().flat_map(|text| formula::states(&architecture, text, &layers)).collect();
            let difference = largest_difference(&ours, &wanted);
            assert!(difference < 1e-5, "layers {layers:?}: {difference}");
        }
    }
}

#[test]
fn all_vectors_that_fuse_give_the_same_bits_and_none_is_far() {
    for architecture in [encoder(), decoder()] {
        let engine = |arch| Cpu::with(architecture.clone(), Kernels { arch, products: Products::Single });
        let all: Vec<(Arch, Vec<f32>)> = machines()
            .into_iter()
            .map(|arch| (arch, states(&engine(arch), &texts(), &[architecture.blocks.len()])))
            .collect();
        let (last, others) = all.split_last().unwrap();
        for (arch, other) in others {
            let difference = largest_difference(other, &last.1);
            assert!(difference < 1e-5, "{arch:?} and {:?}: {difference}", last.0);
            if !matches!(arch, Arch::Scalar) {
                assert_eq!(bits(other), bits(&last.1), "{arch:?} and {:?}", last.0);
            }
        }
    }
}

#[test]
fn a_text_has_the_same_bits_in_any_company() {
    for (architecture, precision) in [
        (encoder(), Precision::F32),
        (decoder(), Precision::F32),
        (encoder(), Precision::Bf16),
        (decoder(), Precision::Bf16),
    ] {
        let engine = Cpu::new(architecture, precision);
        let layers = [engine.layers()];
        let alone: Vec<u32> =
            texts().iter().flat_map(|text| bits(&states(&engine, std::slice::from_ref(text), &layers))).collect();
        assert_eq!(bits(&states(&engine, &texts(), &layers)), alone);
        let reversed: Vec<Vec<u32>> = texts().into_iter().rev().collect();
        let backwards: Vec<u32> =
            reversed.iter().flat_map(|text| bits(&states(&engine, std::slice::from_ref(text), &layers))).collect();
        assert_eq!(bits(&states(&engine, &reversed, &layers)), backwards);
    }
}

#[test]
fn bf16_by_the_processor_is_bf16_by_rounding() {
    for architecture in [encoder(), decoder()] {
        let layers = [architecture.blocks.len()];
        let exact = states(&Cpu::new(architecture.clone(), Precision::F32), &texts(), &layers);
        for arch in machines() {
            let rounded = Cpu::with(architecture.clone(), Kernels { arch, products: Products::Rounded });
            let rounded = states(&rounded, &texts(), &layers);
            let difference = largest_difference(&rounded, &exact);
            assert!((1e-4..0.2).contains(&difference), "{arch:?}: bf16 is {difference} from f32");
            // pairs are as wide as the widest vectors
            let wide = product::wide(arch) == 32;
            let processors = [(bf16::available(), Products::Pairs), (bf16::tiles_available(), Products::Tiles)];
            for (_, products) in processors.into_iter().filter(|(there, _)| *there && wide) {
                let pairs = Cpu::with(architecture.clone(), Kernels { arch, products });
                // sums in another order now and then round to another bf16
                let near = largest_difference(&states(&pairs, &texts(), &layers), &rounded);
                assert!(near < difference / 2.0, "{products:?}: {near} against {difference}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let mut architecture = encoder();
    architecture.embedding.words.values[7 * 24 + 3] = f32::NAN;
    let engine = Cpu::new(architecture, Precision::F32);
    let states = states(&engine, &[vec![3, 7, 4], vec![3, 5]], &[2]);
    let (with, without) = states.split_at(3 * 40);
    assert!(with.iter().all(|value| value.is_nan()) && without.iter().all(|value| value.is_finite()));
}

/// The same in f64, one number at a time.
mod formula {
    use super::*;

    type Rows = Vec<Vec<f64>>;

    fn linear(map: &Linear, rows: &Rows) -> Rows {
        let number = |row: &Vec<f64>, out: usize| {
            let weights = &map.weight[out * map.input..][..map.input];
            let sum: f64 = row.iter().zip(weights).map(|(x, w)| x * f64::from(*w)).sum();
            sum + map.bias.as_ref().map_or(0.0, |bias| f64::from(bias[out]))
        };
        rows.iter().map(|row| (0..map.output).map(|out| number(row, out)).collect()).collect()
    }

    fn norm(norm: &Norm, row: &[f64]) -> Vec<f64> {
        let count = row.len() as f64;
        let mean = if norm.centred { row.iter().sum::<f64>() / count } else { 0.0 };
        let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let scaled = |i: usize| (row[i] - mean) / (square + f64::from(norm.epsilon)).sqrt() * f64::from(norm.scale[i]);
        let shift = |i: usize| norm.shift.as_ref().map_or(0.0, |shift| f64::from(shift[i]));
        (0..row.len()).map(|i| scaled(i) + shift(i)).collect()
    }

    fn all(with: Option<&Norm>, rows: &Rows) -> Rows {
        rows.iter().map(|row| with.map_or_else(|| row.clone(), |with| norm(with, row))).collect()
    }

    fn sum(a: &Rows, b: &Rows) -> Rows {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
    }

    /// By a series: `erf` is not in the standard library.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        if x.abs() > 5.0 { x.signum() } else { sum * std::f64::consts::FRAC_2_SQRT_PI }
    }

    fn activated(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Gelu => x / 2.0 * (1.0 + erf(x / 2f64.sqrt())),
            Activation::GeluTanh => {
                x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
        }
    }

    fn attend(how: &Attention, rows: &Rows) -> Rows {
        let projected = linear(&how.project, rows);
        let head = |row: &[f64], number: usize| row[number * how.head..][..how.head].to_vec();
        let turned = |mut x: Vec<f64>, place: usize| {
            if let Some(rotary) = &how.rotary {
                let half = how.head / 2;
                for (i, frequency) in rotary.frequencies.iter().enumerate() {
                    let (sine, cosine) = (place as f64 * f64::from(*frequency)).sin_cos();
                    (x[i], x[half + i]) = (x[i] * cosine - x[half + i] * sine, x[half + i] * cosine + x[i] * sine);
                }
            }
            x
        };
        let normal = |with: Option<&Norm>, x: Vec<f64>| with.map_or_else(|| x.clone(), |with| norm(with, &x));
        let norms = how.head_norms.as_ref();
        let mut contexts = vec![Vec::new(); rows.len()];
        for number in 0..how.heads {
            let key_head = how.heads + number / (how.heads / how.key_heads);
            for (i, context) in contexts.iter_mut().enumerate() {
                let query = turned(normal(norms.map(|n| &n.0), head(&projected[i], number)), i);
                let seen = |j: usize| (!how.causal || j <= i) && how.window.is_none_or(|far| i.abs_diff(j) <= far);
                let score = |j: usize| {
                    let key = turned(normal(norms.map(|n| &n.1), head(&projected[j], key_head)), j);
                    let product: f64 = query.iter().zip(&key).map(|(a, b)| a * b).sum();
                    let bias = how.bias.as_ref().map_or(0.0, |bias| {
                        f64::from(bias.table.values[bias.bucket(j as isize - i as isize) * bias.table.width + number])
                    });
                    if seen(j) { (product * f64::from(how.scale) + bias).exp() } else { 0.0 }
                };
                let weights: Vec<f64> = (0..rows.len()).map(score).collect();
                let total: f64 = weights.iter().sum();
                let values = |d: usize| {
                    (0..rows.len()).map(|j| weights[j] * head(&projected[j], key_head + how.key_heads)[d]).sum::<f64>()
                        / total
                };
                context.extend((0..how.head).map(values));
            }
        }
        linear(&how.output, &contexts)
    }

    fn feed(how: &FeedForward, rows: &Rows) -> Rows {
        let wide = linear(&how.up, rows);
        let inner = how.down.input;
        let number =
            |row: &Vec<f64>, i: usize| activated(how.activation, row[i]) * if how.gated { row[inner + i] } else { 1.0 };
        linear(&how.down, &wide.iter().map(|row| (0..inner).map(|i| number(row, i)).collect()).collect())
    }

    pub(super) fn states(architecture: &Architecture, text: &[u32], layers: &[usize]) -> Vec<f32> {
        let Embedding { words, places, norm: embedding_norm, projection } = &architecture.embedding;
        let row = |table: &Table, at: u32| {
            table.values[at as usize * table.width..][..table.width].iter().map(|x| f64::from(*x)).collect::<Vec<f64>>()
        };
        let mut rows: Rows = text.iter().map(|id| row(words, *id)).collect();
        if let Some((table, places)) = places {
            rows = sum(&rows, &places.of(text).into_iter().map(|place| row(table, place)).collect());
        }
        rows = all(embedding_norm.as_ref(), &rows);
        if let Some(projection) = projection {
            rows = linear(projection, &rows);
        }
        let mut taken = vec![vec![0.0; architecture.width]; text.len()];
        for layer in 0..=architecture.blocks.len() {
            if let Some(block) = layer.checked_sub(1).map(|at| &architecture.blocks[at]) {
                let before = |with: Option<&Norm>, rows: &Rows| all(with.filter(|_| block.norm_first), rows);
                let after = |with: Option<&Norm>, rows: &Rows| all(with.filter(|_| !block.norm_first), rows);
                let attention_norm = block.attention_norm.as_ref();
                rows = after(attention_norm, &sum(&rows, &attend(&block.attention, &before(attention_norm, &rows))));
                rows = after(
                    Some(&block.feed_norm),
                    &sum(&rows, &feed(&block.feed, &before(Some(&block.feed_norm), &rows))),
                );
            }
            if layers.contains(&layer) {
                let last = architecture.last_norm.as_ref().filter(|_| layer == architecture.blocks.len());
                taken = sum(&taken, &all(last, &rows));
            }
        }
        taken.into_iter().flatten().map(|x| (x / layers.len() as f64) as f32).collect()
    }
}
