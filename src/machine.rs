//! Which last bits of an answer does this machine decide?
//!
//! | a stage says | its answer depends on | so its key has |
//! |---|---|---|
//! | [`Numeric::Exact`] | nothing: whole numbers, texts, and IEEE sums, products and roots in a fixed order | no class |
//! | [`Numeric::Libm`] | the platform's `exp`, `ln`, `pow` … (glibc alone has several of each and takes one by the processor) | the class of its libm |
//! | [`Numeric::Simd`] | kernels that are chosen when the program runs (`gemm`, for matrix products), and libm | the class of both |
//! | [`Numeric::Model`] and its like | those and the engine that computes transformers with such numbers, on a CPU or a GPU | the class of all |
//!
//! A class is a name for people and a digest of what the machine answers to fixed questions: `x86_64-linux-gnu/1f0c…` for
//! libm, `x86_64-linux-gnu/avx512/9a3b…` for both. Two machines of one class gave the same bits wherever they were asked, and
//! a name that does not tell all (the version of glibc, the sizes of caches) cannot make two classes one. What is asked is
//! a sample: `fuseline verify` is the proof.
//!
//! Our own loops are compiled for the target's base features and nothing in them is chosen at run time: the same program
//! gives the same bits everywhere, and LLVM never fuses or reorders sums by itself.

use std::collections::BTreeMap;
use std::env;
use std::hint::black_box;

use crate::model::{Place, Precision, probe};
use crate::pipeline::Pipeline;
use crate::stage::Numeric;

/// How many arguments each function of libm is asked.
const ASKED: u32 = 512;

/// The classes of this machine, as far as they were asked for, by what they are the class of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine(BTreeMap<&'static str, String>);

impl Machine {
    /// The classes that the stages of a pipeline depend on, with transformers computed on `device`; finding them takes a few
    /// milliseconds.
    pub fn serving(pipeline: &Pipeline, device: &str) -> Self {
        let stages = pipeline.variants.iter().flat_map(|variant| &variant.stages);
        Machine::asked(stages.map(|node| node.work.stage().numeric()), device)
    }

    /// The classes that such answers depend on.
    pub fn asked(numerics: impl Iterator<Item = Numeric>, device: &str) -> Self {
        let mut machine = Machine::default();
        for numeric in numerics {
            let Some(name) = name(numeric) else { continue };
            machine.0.entry(name).or_insert_with(|| match numeric {
                Numeric::Exact | Numeric::Libm => libm(),
                Numeric::Simd => simd(),
                Numeric::Model => model(device, Precision::F32),
                Numeric::ModelBf16 => model(device, Precision::Bf16),
                Numeric::ModelF16 => model(device, Precision::F16),
            });
        }
        machine
    }

    /// The class that a stage's answers depend on.
    pub fn class(&self, numeric: Numeric) -> Option<&str> {
        self.0.get(name(numeric)?).map(String::as_str)
    }

    /// All classes, by what they are the class of: `libm`, `simd`, `model` …
    pub fn classes(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, class)| ((*name).to_owned(), class.clone())).collect()
    }
}

fn name(numeric: Numeric) -> Option<&'static str> {
    match numeric {
        Numeric::Exact => None,
        Numeric::Libm => Some("libm"),
        Numeric::Simd => Some("simd"),
        Numeric::Model => Some("model"),
        Numeric::ModelBf16 => Some("model_bf16"),
        Numeric::ModelF16 => Some("model_f16"),
    }
}

fn libm() -> String {
    format!("{}/{}", target(), short(&answers()))
}

fn simd() -> String {
    format!("{}/{}/{}", target(), kernels(), short(&with(answers(), products())))
}

fn model(device: &str, precision: Precision) -> String {
    let states = probe::states(device, precision).unwrap_or_default();
    let place = Place::open(device, precision).map_or_else(|_| device.to_owned(), |place| place.to_string());
    if place == "cpu" {
        return format!("{}/{}/{}", target(), kernels(), short(&with(with(answers(), products()), states)));
    }
    format!("{}/{place}/{}", target(), short(&with(Vec::new(), states)))
}

/// What cannot be had here cannot be had by a stage either, which then says so.
fn products() -> Vec<f32> {
    probe::products().unwrap_or_default()
}

fn with(mut answers: Vec<u8>, numbers: Vec<f32>) -> Vec<u8> {
    answers.extend(numbers.into_iter().flat_map(f32::to_le_bytes));
    answers
}

/// `x86_64-linux-gnu`.
fn target() -> String {
    let flavour = match () {
        () if cfg!(target_env = "gnu") => "-gnu",
        () if cfg!(target_env = "musl") => "-musl",
        () if cfg!(target_env = "msvc") => "-msvc",
        () => "",
    };
    format!("{}-{}{flavour}", env::consts::ARCH, env::consts::OS)
}

/// The kernels that `gemm` takes on this processor.
#[cfg(target_arch = "x86_64")]
fn kernels() -> &'static str {
    match () {
        () if is_x86_feature_detected!("avx512f") => "avx512",
        () if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => "avx2+fma",
        () => "scalar",
    }
}

/// The kernels that `gemm` takes on this processor.
#[cfg(target_arch = "aarch64")]
fn kernels() -> &'static str {
    "neon"
}

/// The kernels that `gemm` takes on this processor.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn kernels() -> &'static str {
    "scalar"
}

/// What libm answers to fixed questions, bit by bit.
fn answers() -> Vec<u8> {
    let wide: [fn(f64) -> f64; 8] = [
        f64::exp,
        |x| x.abs().ln(),
        |x| x.abs().ln_1p(),
        f64::exp_m1,
        f64::tanh,
        f64::sin,
        |x| x.abs().powf(1.7),
        |x| x.abs().log10(),
    ];
    let narrow: [fn(f32) -> f32; 4] = [f32::exp, |x| x.abs().ln(), f32::tanh, |x| x.abs().powf(1.7)];
    let mut bytes = Vec::new();
    for asked in 1..=ASKED {
        // Between -32 and 32, with a fraction that never comes again. The compiler must not answer in libm's place.
        let x = (f64::from(asked) * 0.618_033_988_749_895).fract() * 64.0 - 32.0;
        wide.iter().for_each(|function| bytes.extend(black_box(function)(black_box(x)).to_le_bytes()));
        narrow.iter().for_each(|function| bytes.extend(black_box(function)(black_box(x as f32)).to_le_bytes()));
    }
    bytes
}

fn short(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_asked_only_where_a_stage_needs_it() {
        assert_eq!(Machine::asked([Numeric::Exact].into_iter(), "cpu"), Machine::default());
        let machine = Machine::asked([Numeric::Libm, Numeric::Simd].into_iter(), "cpu");
        assert_eq!(machine, Machine::asked([Numeric::Simd, Numeric::Libm].into_iter(), "cpu"));
        assert_eq!(machine.class(Numeric::Exact), None);
        assert_eq!(machine.classes().len(), 2);
        assert!(machine.class(Numeric::Libm).unwrap().starts_with(&target()), "{machine:?}");
        assert!(machine.class(Numeric::Simd).unwrap().contains(kernels()), "{machine:?}");
    }

    #[test]
    fn other_answers_make_another_class() {
        let mut other = answers();
        assert_eq!(short(&other), short(&answers()));
        other[7] ^= 1;
        assert_ne!(short(&other), short(&answers()));
    }
}
