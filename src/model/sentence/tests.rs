//! Does each text get its own vectors, whatever stands beside it, and are they what can be worked out by hand?

use std::sync::atomic::AtomicUsize;

use super::*;

const QUIET: &(dyn Fn(usize, usize) + Sync) = &|_, _| {};
const ON: &(dyn Fn() -> bool + Sync) = &|| false;

/// The state of a token is (id times the number of layers asked for, position, tokens in the text).
struct Counting;

impl Backbone for Counting {
    fn width(&self) -> usize {
        3
    }

    fn layers(&self) -> usize {
        1
    }

    fn longest(&self) -> usize {
        2000
    }

    fn hidden(&self, batch: Batch<'_>, layers: &[usize]) -> Result<Vec<f32>, ModelError> {
        let times = layers.len() as f32;
        let mut ids = batch.ids.iter();
        let mut states = Vec::new();
        for length in batch.lengths {
            for (at, id) in ids.by_ref().take(*length).enumerate() {
                let id = if *id == 9 { f32::NAN } else { *id as f32 };
                states.extend([id * times, at as f32, *length as f32]);
            }
        }
        Ok(states)
    }
}

/// `[CLS]` is 1, `[SEP]` 2, an unknown word 3, the letters a to e are 4 to 8, `x` is 9.
fn encoder() -> SentenceEncoder {
    let json = r###"{ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" }, "decoder": null,
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1] },
        "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": { "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3,
            "a": 4, "b": 5, "c": 6, "d": 7, "e": 8, "x": 9 } } }"###;
    let files = ModelFiles::from_iter([("tokenizer.json".to_owned(), json.as_bytes().to_vec())]);
    SentenceEncoder {
        backbone: Box::new(Counting),
        vocabulary: 10,
        tokenizer: PretrainedTokenizer::load(&files).unwrap(),
        wishes: SentenceConfig { max_length: Some(1000), poolings: vec![Pooling::Mean], ..SentenceConfig::default() },
        modules: Vec::new(),
        head: None,
    }
}

fn raw(max_length: Option<usize>) -> EncodeOptions {
    EncodeOptions { pooling: Some(Pooling::Max), normalize: false, max_length, ..EncodeOptions::default() }
}

#[test]
fn each_text_gets_its_own_vector_whatever_the_batches_and_windows() {
    let texts: Vec<String> = (0..2 * WINDOW_TEXTS + 400).map(|i| "a b c d e".repeat(1 + i % 37)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (done, tokens) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let heard = |more: usize, read: usize| {
        done.fetch_add(more, Ordering::Relaxed);
        tokens.fetch_add(read, Ordering::Relaxed);
    };
    for options in [raw(None), EncodeOptions { truncation: Truncation::Chunk, stride: 3, ..raw(Some(20)) }] {
        done.store(0, Ordering::Relaxed);
        tokens.store(0, Ordering::Relaxed);
        let encoded = encoder().encode(&texts, &options, &heard, ON).unwrap();
        let alone: Vec<Encoded> =
            texts[..37].iter().map(|text| encoder().encode(&[text], &options, QUIET, ON).unwrap()).collect();
        for row in 0..texts.len() {
            assert_eq!(encoded.vectors.row(row), alone[row % 37].vectors.row(0));
            assert_eq!(encoded.windows[row], alone[row % 37].windows[0]);
        }
        assert_eq!(done.load(Ordering::Relaxed), texts.len());
        // in each of the three windows equal texts are computed once
        let distinct: u64 = alone.iter().map(|alone| alone.tokens[0]).sum();
        assert_eq!(tokens.load(Ordering::Relaxed) as u64, 3 * distinct);
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| encoder().encode(&texts, &options, QUIET, ON)).unwrap(), encoded);
        }
    }
}

#[test]
fn a_window_is_bounded_by_texts_and_by_bytes() {
    let (long, most) = ("x".repeat(WINDOW_BYTES + 1), "x".repeat(WINDOW_BYTES));
    let texts: Vec<&str> = [vec!["a"; WINDOW_TEXTS + 1], vec![&long, "b", &most, "c"]].concat();
    let texts: Vec<Text<'_>> = texts.into_iter().map(Text::Whole).collect();
    let mut encoded = Encoded::of(&texts, 3);
    let sizes: Vec<(usize, usize)> =
        windows(&texts, &mut encoded).iter().map(|window| (window.first, window.texts.len())).collect();
    assert_eq!(sizes, [(0, 1024), (1024, 1), (1025, 1), (1026, 1), (1027, 1), (1028, 1)]);
}

#[test]
fn a_text_in_windows_is_the_plain_mean_of_their_vectors() {
    // windows a b c and d e: the largest ids are 6 and 8, the last places 4 and 3, the lengths 5 and 4
    let options = EncodeOptions { truncation: Truncation::Chunk, ..raw(Some(5)) };
    let encoded = encoder().encode(&["a b c d e", "a"], &options, QUIET, ON).unwrap();
    assert_eq!(encoded.vectors.row(0), [7.0, 3.5, 4.5]);
    assert_eq!((encoded.tokens, encoded.tokens_lost, encoded.windows), (vec![9, 3], vec![0, 0], vec![2, 1]));
    let options = EncodeOptions { normalize: true, ..options };
    let unit = encoder().encode(&["a b c d e"], &options, QUIET, ON).unwrap();
    let length = (7.0f64 * 7.0 + 3.5 * 3.5 + 4.5 * 4.5).sqrt();
    assert_eq!(unit.vectors.row(0), [7.0, 3.5, 4.5].map(|value| (value / length) as f32));
}

#[test]
fn layers_are_counted_as_hidden_states_are() {
    assert_eq!(layers(&[], 6), Ok(vec![6]));
    assert_eq!(layers(&[-1], 6), Ok(vec![6]));
    assert_eq!(layers(&[-2, 0, -7 + 3], 6), Ok(vec![0, 3, 5]));
    assert_eq!(layers(&[7], 6), Err(ModelError::Layer { asked: 7, layers: 6 }));
    let message = layers(&[-8], 6).unwrap_err().to_string();
    assert_eq!(message, "`layers` counts from 0 to 6, or from -1 back to -7, for this model, but -8 is asked for");
    assert_eq!(layers(&[6, -1], 6), Err(ModelError::LayerTwice { layer: 6 }));
    let options = EncodeOptions { layers: vec![0, 1], ..raw(None) };
    let encoded = encoder().encode(&["a"], &options, QUIET, ON).unwrap();
    // a has id 4, two layers were asked for
    assert_eq!(encoded.vectors.row(0), [8.0, 2.0, 3.0]);
}

#[test]
fn poolings_side_by_side_and_what_comes_after_them() {
    let wishes = SentenceConfig { poolings: vec![Pooling::Cls, Pooling::Max], ..encoder().wishes };
    let options = EncodeOptions { pooling: None, ..raw(None) };
    let both = SentenceEncoder { wishes: wishes.clone(), ..encoder() };
    let encoded = both.encode(&["e"], &options, QUIET, ON).unwrap();
    assert_eq!(encoded.vectors.row(0), [1.0, 0.0, 3.0, 8.0, 2.0, 3.0]);
    let after = SentenceEncoder { wishes, modules: vec![Module::Normalize], ..encoder() };
    let encoded = after.encode(&["e"], &options, QUIET, ON).unwrap();
    let length = (1.0f64 + 9.0 + 64.0 + 4.0 + 9.0).sqrt();
    assert_eq!(encoded.vectors.row(0), [1.0, 0.0, 3.0, 8.0, 2.0, 3.0].map(|value| (value / length) as f32));
}

#[test]
fn a_prefix_is_read_with_each_text_and_pooled_unless_the_model_says_no() {
    let options = EncodeOptions { prefix: Some("e ".to_owned()), ..raw(None) };
    let encoded = encoder().encode(&["a", ""], &options, QUIET, ON).unwrap();
    assert_eq!(encoded.vectors.values, [8.0, 3.0, 4.0, 8.0, 2.0, 3.0]);
    let wishes = SentenceConfig { without_prompt: true, ..encoder().wishes };
    let without = SentenceEncoder { wishes, ..encoder() };
    let encoded = without.encode(&["a"], &options, QUIET, ON).unwrap();
    assert_eq!(encoded.vectors.row(0), [4.0, 3.0, 4.0]);
}

#[test]
fn a_text_that_is_too_long_may_be_an_error() {
    let options = EncodeOptions { truncation: Truncation::Error, ..raw(Some(4)) };
    let refused = encoder().encode(&["a b", "a b c", "a b c d"], &options, QUIET, ON);
    assert_eq!(refused, Err(ModelError::TooLong { row: 1, tokens: 5, longest: 4, count: 2, of: 3 }));
    assert!(encoder().encode(&["a b"], &options, QUIET, ON).is_ok());
}

#[test]
fn cut_texts_and_lost_tokens_are_counted() {
    let encoded = encoder().encode(&["a b c d", "a b", "a b c"], &raw(Some(4)), QUIET, ON).unwrap();
    assert_eq!((encoded.tokens, encoded.tokens_lost), (vec![4; 3], vec![2, 0, 1]));
    assert_eq!(encoded.vectors.values, [5.0, 3.0, 4.0].repeat(3));
}

#[test]
fn what_will_be_cut_is_known_without_weights() {
    let SentenceEncoder { vocabulary, tokenizer, wishes, .. } = encoder();
    let cutter = TextCutter { longest: 2000, vocabulary, tokenizer, wishes };
    let texts = ["a b c d", "a b", "", "a b c"];
    for truncation in [Truncation::Head, Truncation::Tail, Truncation::HeadTail, Truncation::Chunk] {
        for (max_length, prefix) in [(Some(4), ""), (Some(3), ""), (None, ""), (Some(4), "e "), (None, "e ")] {
            let options = EncodeOptions { truncation, prefix: Some(prefix.to_owned()), ..raw(max_length) };
            let encoded = encoder().encode(&texts, &options, QUIET, ON).unwrap();
            assert_eq!(cutter.tokens_lost(&texts, &options, ON).unwrap(), encoded.tokens_lost);
        }
    }
    let long = EncodeOptions { truncation: Truncation::Error, ..raw(Some(4)) };
    assert_eq!(cutter.tokens_lost(&texts, &long, ON).unwrap(), [2, 0, 0, 1]);
    let refused = cutter.tokens_lost(&texts, &raw(Some(2001)), ON);
    assert!(matches!(refused, Err(ModelError::MaxLength { asked: 2001, least: 3, most: 2000 })));
}

#[test]
fn a_length_that_does_not_fit_is_refused() {
    for asked in [2, 2001] {
        let refused = encoder().encode(&["a"], &raw(Some(asked)), QUIET, ON);
        assert_eq!(refused, Err(ModelError::MaxLength { asked, least: 3, most: 2000 }));
    }
}

#[test]
fn a_vector_that_is_not_finite_names_its_row() {
    let refused = encoder().encode(&["a", "b", "x"], &raw(None), QUIET, ON);
    assert_eq!(refused, Err(ModelError::NotFinite { row: 2 }));
}

#[test]
fn a_tokenizer_of_another_model_is_found_out() {
    let foreign = SentenceEncoder { vocabulary: 6, ..encoder() };
    let refused = foreign.encode(&["a b", "a c"], &raw(None), QUIET, ON);
    assert_eq!(refused, Err(ModelError::ForeignToken { row: 1, id: 6, vocabulary: 6 }));
}

#[test]
fn stopping_and_no_texts_at_all() {
    assert_eq!(encoder().encode(&["a"], &raw(None), QUIET, &|| true), Err(ModelError::Interrupted));
    let nothing = encoder().encode(&[], &raw(None), QUIET, ON).unwrap();
    assert_eq!((nothing.vectors.rows, nothing.vectors.cols, nothing.tokens), (0, 3, Vec::new()));
}

mod tokens;
