//! Does every backbone compute what transformers does, and the same bits in any company and on any number of threads?
//!
//! The models are tiny, with random weights (`shared/reference/scripts/make_tiny_models.py`).

use std::path::Path;

use serde_json::Value;

use super::config::ModelConfig;
use super::cpu::Cpu;
use super::families::Model;
use super::tensors::Tensors;
use super::{Backbone, Batch, EncodeOptions, ModelFiles, Place, Precision, PretrainedTokenizer, SentenceEncoder};

/// How far a number may be from transformers'.
const TOLERANCE: f64 = 1e-5;

const FAMILIES: [&str; 10] =
    ["bert", "distilbert", "electra", "gpt2", "llama", "modernbert", "mpnet", "qwen3", "roberta", "xlm-roberta"];

/// The files of a tiny model, and what transformers makes of some texts, if the reference data is here.
pub(super) fn tiny(family: &str) -> Option<(ModelFiles, Vec<Case>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/tiny_models")).join(family);
    if !folder.is_dir() {
        // straight to the stream: what tests print through macros is shown for failed ones alone
        drop(std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no reference models beside this project\n"));
        return None;
    }
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut files = ModelFiles::default();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        files.insert(name, read(name));
    }
    let expected: Value = serde_json::from_slice(&read("expected.json")).unwrap();
    let numbers = |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
    let case = |case: &Value| Case {
        text: case["text"].as_str().unwrap().to_owned(),
        ids: numbers(&case["ids"]).into_iter().map(|id| id as u32).collect(),
        states: numbers(&case["last_hidden_state"]),
    };
    Some((files, expected["cases"].as_array().unwrap().iter().map(case).collect()))
}

pub(super) struct Case {
    text: String,
    ids: Vec<u32>,
    states: Vec<f64>,
}

/// What can compute the model, by name.
pub(super) fn engines(files: &ModelFiles) -> Vec<(&'static str, Box<dyn Backbone>)> {
    match ModelConfig::read(files).unwrap().model(files).unwrap() {
        Model::Described(architecture) => vec![
            ("cpu", Box::new(Cpu::new((*architecture).clone(), Precision::F32))),
            ("tensors", Box::new(Tensors::load(*architecture, &Place::default()).unwrap())),
        ],
        Model::Deberta(deberta) => vec![("transformers", deberta)],
    }
}

fn of_all_families(test: impl Fn(&str, &dyn Backbone, &ModelFiles, &[Case])) {
    for family in FAMILIES {
        let Some((files, cases)) = tiny(family) else { return };
        for (engine, backbone) in engines(&files) {
            test(&format!("{family} on {engine}"), backbone.as_ref(), &files, &cases);
        }
    }
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn ids_and_hidden_states_are_those_of_transformers() {
    of_all_families(|family, backbone, files, cases| {
        let tokenizer = PretrainedTokenizer::load(files).unwrap();
        let mut worst = 0.0f64;
        for Case { text, ids, states: wanted } in cases {
            // the script keeps 128 ids, and runs an empty text as id 0
            let ours = tokenizer.ids(text, usize::MAX, 0).unwrap().ids;
            assert!(ours.starts_with(ids) && (ours == *ids || ids.len() == 128) || *ids == [0], "{family}: {text}");
            let states = backbone.hidden(Batch { ids, lengths: &[ids.len()] }, &[backbone.layers()]).unwrap();
            assert_eq!(states.len(), wanted.len());
            for (state, wanted) in states.iter().zip(wanted) {
                let difference = (f64::from(*state) - wanted).abs();
                assert!(difference < TOLERANCE, "{family}: {text}: {difference}");
                worst = worst.max(difference);
            }
        }
        println!("{family}: at most {worst:.1e} from transformers");
    });
}

#[test]
fn a_text_has_the_same_bits_alone_and_beside_others() {
    of_all_families(|family, backbone, _, cases| {
        let texts = cases.iter().map(|case| case.ids.clone()).chain([vec![0], vec![5, 1, 7]]);
        // runs of equal lengths, which attention may take together
        let texts: Vec<Vec<u32>> = texts.flat_map(|text| [text.clone(), text.into_iter().rev().collect()]).collect();
        let states = |texts: &[&Vec<u32>]| {
            let ids: Vec<u32> = texts.iter().copied().flatten().copied().collect();
            let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
            bits(&backbone.hidden(Batch { ids: &ids, lengths: &lengths }, &[backbone.layers()]).unwrap())
        };
        let alone: Vec<u32> = texts.iter().flat_map(|text| states(&[text])).collect();
        let all: Vec<&Vec<u32>> = texts.iter().collect();
        assert_eq!(states(&all), alone, "{family}");
        let backwards: Vec<u32> = texts.iter().rev().flat_map(|text| states(&[text])).collect();
        let reversed: Vec<&Vec<u32>> = texts.iter().rev().collect();
        assert_eq!(states(&reversed), backwards, "{family}");
        // an empty text between two has no state
        let empty = Vec::new();
        assert_eq!(states(&[&texts[0], &empty, &texts[1]]), states(&[&texts[0], &texts[1]]), "{family}");
        assert_eq!(states(&[]), [0u32; 0], "{family}");
        for threads in [1, 4] {
            assert_eq!(in_pool(threads, || states(&all)), alone, "{family} on {threads} threads");
        }
    });
}

#[test]
fn vectors_are_the_same_bits_in_any_company_and_on_any_number_of_threads() {
    for family in FAMILIES {
        let Some((files, cases)) = tiny(family) else { return };
        let encoder = SentenceEncoder::load(&files, &Place::default()).unwrap();
        let texts: Vec<String> = (0..60).map(|i| format!("{} {i} {}", cases[i % 12].text, cases[i % 7].text)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let options = EncodeOptions { max_length: Some(128), ..EncodeOptions::default() };
        let encode = |texts: &[&str], threads| {
            in_pool(threads, || encoder.encode(texts, &options, &|_, _| {}, &|| false)).unwrap().vectors
        };
        let (one, four) = (encode(&texts, 1), encode(&texts, 4));
        assert_eq!(bits(&one.values), bits(&four.values), "{family}");
        for (row, text) in texts.iter().enumerate().step_by(3) {
            assert_eq!(bits(one.row(row)), bits(encode(&[text], 2).row(0)), "{family}: {text}");
        }
    }
}
