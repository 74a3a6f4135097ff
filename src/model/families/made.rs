//! What does transformers make of models whose weights come from a formula? `tests/reference/make_tiny.py` says which.

use serde_json::Value;

use crate::model::Batch;
use crate::model::ModelFiles;
use crate::model::files::CONFIG;
use crate::model::tests::engines;

const REFERENCE: &str = include_str!("../../../tests/reference/tiny.json");

/// A model, and numbers of transformers for one text.
pub(in crate::model) struct Made {
    pub(in crate::model) name: String,
    pub(in crate::model) files: ModelFiles,
    pub(in crate::model) ids: Vec<u32>,
    /// Numbers of blocks, with the first numbers of the first and of the last token after them.
    pub(in crate::model) layers: Vec<(usize, Vec<f64>)>,
    /// What its head says.
    pub(in crate::model) scores: Option<Vec<f64>>,
}

/// All of them.
pub(in crate::model) fn all() -> Vec<Made> {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let ids: Vec<u32> = serde_json::from_value(reference["ids"].clone()).unwrap();
    let models = reference["models"].as_object().unwrap();
    let made = |(name, model): (&String, &Value)| Made {
        name: name.clone(),
        files: ModelFiles::from_iter([
            (CONFIG.to_owned(), serde_json::to_vec(&model["config"]).unwrap()),
            ("model.safetensors".to_owned(), weights(&model["tensors"])),
        ]),
        ids: ids.clone(),
        layers: model["layers"].as_object().unwrap().iter().map(|(d, n)| (d.parse().unwrap(), numbers(n))).collect(),
        scores: model.get("scores").map(numbers),
    };
    models.iter().map(made).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The formula's numbers, tensor after tensor.
fn weights(tensors: &Value) -> Vec<u8> {
    let mut state = 1u64;
    let tensor = |(name, shape): (&String, &Value)| {
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
        let more = if shape.len() == 1 && name.ends_with(".weight") { 1.0 } else { 0.0 };
        let mut bytes = Vec::new();
        for _ in 0..shape.iter().product() {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            let number = (state as f64 / f64::from(1u32 << 31) - 0.5) as f32 + more;
            bytes.extend(number.to_le_bytes());
        }
        (name.clone(), "F32", shape, bytes)
    };
    // in the order of their names
    let sorted: std::collections::BTreeMap<&String, &Value> = tensors.as_object().unwrap().iter().collect();
    safetensors(sorted.into_iter().map(tensor))
}

/// A safetensors file: names, kinds of numbers, shapes and bytes.
pub(in crate::model) fn safetensors(
    tensors: impl IntoIterator<Item = (String, &'static str, Vec<usize>, Vec<u8>)>,
) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, kind, shape, bytes) in tensors {
        let ends = [data.len(), data.len() + bytes.len()];
        data.extend(bytes);
        header.insert(name, serde_json::json!({ "dtype": kind, "shape": shape, "data_offsets": ends }));
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

#[test]
fn states_after_any_number_of_blocks_are_those_of_transformers() {
    for (made, (engine, backbone)) in
        all().iter().flat_map(|made| engines(&made.files).into_iter().map(move |with| (made, with)))
    {
        let batch = Batch { ids: &made.ids, lengths: &[made.ids.len()] };
        let width = backbone.width();
        let mut sums = vec![0.0; made.ids.len() * width];
        for (depth, wanted) in &made.layers {
            let states = backbone.hidden(batch, &[*depth]).unwrap();
            let last = &states[states.len() - width..];
            for (ours, wanted) in states[..6].iter().chain(&last[..6]).zip(wanted) {
                let difference = (f64::from(*ours) - wanted).abs();
                assert!(difference < 1e-5, "{} on {engine} after {depth}: {ours} {wanted}", made.name);
            }
            for (sum, state) in sums.iter_mut().zip(&states) {
                *sum += f64::from(*state) / 3.0;
            }
        }
        let depths: Vec<usize> = made.layers.iter().map(|(depth, _)| *depth).collect();
        assert_eq!((depths.len(), depths[2]), (3, backbone.layers()), "{}", made.name);
        let mean = backbone.hidden(batch, &depths).unwrap();
        assert!(mean.iter().zip(&sums).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{}", made.name);
        assert!(backbone.hidden(batch, &[backbone.layers() + 1]).is_err() && backbone.hidden(batch, &[]).is_err());
    }
}
