//! Do given tokens get their own vectors, aligned to them?

use super::*;
use crate::model::words::Subtokens;

/// Pieces of words: `[CLS]` is 1, `[SEP]` 2, an unknown word 3, `a`, `##b`, `##c`, `d` are 4 to 7, `e` is 8, `x` 9, `日` 10. The
/// normaliser deletes control characters and accents, lower-cases, and lets Chinese characters stand alone.
fn encoder() -> SentenceEncoder {
    let json = r###"{ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" }, "decoder": null,
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1] },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": { "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "##b": 5,
            "##c": 6, "d": 7, "e": 8, "x": 9, "日": 10 } } }"###;
    let files = ModelFiles::from_iter([("tokenizer.json".to_owned(), json.as_bytes().to_vec())]);
    SentenceEncoder { vocabulary: 11, tokenizer: PretrainedTokenizer::load(&files).unwrap(), ..super::encoder() }
}

fn raw(max_length: Option<usize>, truncation: Truncation) -> EncodeOptions {
    EncodeOptions { normalize: false, max_length, truncation, ..EncodeOptions::default() }
}

fn encode(rows: &[Vec<&str>], options: &EncodeOptions) -> Encoded {
    encoder().encode_tokens(rows, options, QUIET, ON).unwrap()
}

fn vectors(rows: &[Vec<&str>], options: &EncodeOptions) -> Vec<Vec<f32>> {
    encode(rows, options).vectors.values.chunks(3).map(<[f32]>::to_vec).collect()
}

/// One, two and three sub-tokens, none at all, an unknown word, one that the normaliser deletes, two words in one.
const ALL: [&str; 8] = ["a", "ab", "", "ABC", "zz", "\u{200b}", "E\u{301}", "日a"];

#[test]
fn a_tokens_vector_is_the_mean_of_its_sub_tokens_states() {
    // [CLS] a a##b a##b##c [UNK] e 日 a [SEP], at places 0 to 11
    let encoded = encode(&[ALL.to_vec()], &raw(None, Truncation::Head));
    let wanted = [
        [4.0, 1.0, 12.0],
        [4.5, 2.5, 12.0],
        [0.0; 3],
        [5.0, 5.0, 12.0],
        [3.0, 7.0, 12.0],
        [0.0; 3],
        [8.0, 8.0, 12.0],
        [7.0, 9.5, 12.0],
    ];
    assert_eq!(encoded.vectors.values, wanted.concat());
    assert_eq!((encoded.tokens, encoded.tokens_lost, encoded.windows), (vec![12], vec![0], vec![1]));
    assert_eq!((encoded.given_cut, encoded.given_blank), (vec![0], vec![2]));
}

#[test]
fn or_the_state_of_the_first_of_them() {
    let options = EncodeOptions { subtokens: Subtokens::First, ..raw(None, Truncation::Head) };
    let wanted = [[4.0, 1.0, 8.0], [0.0; 3], [4.0, 2.0, 8.0], [10.0, 5.0, 8.0]];
    assert_eq!(vectors(&[vec!["a", "", "abc", "日a"]], &options), wanted);
}

#[test]
fn each_vector_is_scaled_and_zeros_stay() {
    let options = EncodeOptions { normalize: true, ..raw(None, Truncation::Head) };
    let length = (4.0f64 * 4.0 + 1.0 + 3.0 * 3.0).sqrt();
    let wanted = [vec![0.0; 3], [4.0, 1.0, 3.0].map(|value| (value / length) as f32).to_vec()];
    assert_eq!(vectors(&[vec!["", "a"]], &options), wanted);
}

#[test]
fn what_is_cut_off_has_zeros_and_is_counted() {
    let rows = [vec!["a", "abc", "", "d"], vec!["a", "d"], vec![]];
    // room for three: a a##b
    let head = encode(&rows, &raw(Some(5), Truncation::Head));
    let first = [[4.0, 1.0, 5.0], [4.5, 2.5, 5.0], [0.0; 3], [0.0; 3]];
    let second = [[4.0, 1.0, 4.0], [7.0, 2.0, 4.0]];
    assert_eq!(head.vectors.values, [first.concat(), second.concat()].concat());
    assert_eq!((head.tokens, head.tokens_lost), (vec![5, 4, 2], vec![2, 0, 0]));
    assert_eq!((head.given_cut, head.given_blank), (vec![1, 0, 0], vec![1, 0, 0]));
    // ##b##c d
    let tail = encode(&rows, &raw(Some(5), Truncation::Tail));
    assert_eq!(tail.vectors.values[..12], [[0.0; 3], [5.5, 1.5, 5.0], [0.0; 3], [7.0, 3.0, 5.0]].concat());
    assert_eq!(tail.given_cut, [1, 0, 0]);
    // a a d: the word on both sides of the gap has a state of one alone
    let both = encode(&rows, &raw(Some(5), Truncation::HeadTail));
    assert_eq!(both.vectors.values[..12], [[4.0, 1.0, 5.0], [4.0, 2.0, 5.0], [0.0; 3], [7.0, 3.0, 5.0]].concat());
    assert_eq!((both.given_cut, both.tokens_lost), (vec![0; 3], vec![2, 0, 0]));
    let refused = encoder().encode_tokens(&rows, &raw(Some(5), Truncation::Error), QUIET, ON);
    assert_eq!(refused, Err(ModelError::TooLong { row: 0, tokens: 7, longest: 5, count: 1, of: 3 }));
}

#[test]
fn in_windows_a_vector_is_the_mean_of_what_it_is_in_each() {
    // a a##b d | d d: the first d stands in both, at 4 of 6 and at 1 of 4
    let options = EncodeOptions { stride: 2, ..raw(Some(6), Truncation::Chunk) };
    let encoded = encode(&[vec!["a", "ab", "d", "d"], vec!["d"]], &options);
    let wanted = [[4.0, 1.0, 6.0], [4.5, 2.5, 6.0], [7.0, 2.5, 5.0], [7.0, 2.0, 4.0], [7.0, 1.0, 3.0]];
    assert_eq!(encoded.vectors.values, wanted.concat());
    assert_eq!((encoded.tokens, encoded.windows), (vec![10, 3], vec![2, 1]));
    assert_eq!((encoded.given_cut, encoded.tokens_lost), (vec![0; 2], vec![0; 2]));
    // a word longer than a window: 日日日日日 as 日日日日 and 日
    let long = vectors(&[vec!["日日日日日"]], &options);
    assert_eq!(long, [[10.0, (2.5 + 1.0) / 2.0, (6.0 + 3.0) / 2.0]]);
}

#[test]
fn prefixes_prompts_and_poolings_are_for_whole_texts() {
    let options = EncodeOptions {
        prefix: Some("d ".to_owned()),
        prompt: Some("query".to_owned()),
        pooling: Some(Pooling::Max),
        ..raw(None, Truncation::Head)
    };
    let modules = SentenceEncoder { modules: vec![Module::Normalize], ..encoder() };
    let encoded = modules.encode_tokens(&[vec!["ab"]], &options, QUIET, ON).unwrap();
    assert_eq!(encoded.vectors.values, [4.5, 1.5, 4.0]);
}

#[test]
fn each_row_has_its_own_bits_whatever_the_batches_and_windows() {
    let row = |i: usize| (0..i % 31).map(|at| ALL[(i % 217 + at) % ALL.len()]).collect::<Vec<&str>>();
    let rows: Vec<Vec<&str>> = (0..WINDOW_TEXTS + 600).map(row).collect();
    let chunk = EncodeOptions { stride: 3, ..raw(Some(12), Truncation::Chunk) };
    for options in [raw(None, Truncation::Head), raw(Some(12), Truncation::HeadTail), chunk] {
        let done = AtomicUsize::new(0);
        let heard = |more: usize, _: usize| {
            done.fetch_add(more, Ordering::Relaxed);
        };
        let encoded = encoder().encode_tokens(&rows, &options, &heard, ON).unwrap();
        assert_eq!(done.load(Ordering::Relaxed), rows.len());
        assert_eq!(encoded.vectors.rows, rows.iter().map(Vec::len).sum::<usize>());
        let mut begin = 0;
        for (at, row) in rows.iter().enumerate() {
            let end = begin + row.len() * 3;
            if at % 7 == 3 {
                let alone = encode(std::slice::from_ref(row), &options);
                assert_eq!(encoded.vectors.values[begin..end], alone.vectors.values, "{at}: {row:?}");
                let counts = |of: &Encoded, at: usize| {
                    [of.tokens[at], of.tokens_lost[at], of.windows[at], of.given_cut[at], of.given_blank[at]]
                };
                assert_eq!(counts(&encoded, at), counts(&alone, 0));
            }
            begin = end;
        }
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| encoder().encode_tokens(&rows, &options, QUIET, ON));
            assert_eq!(again.unwrap(), encoded);
        }
        let SentenceEncoder { vocabulary, tokenizer, wishes, .. } = encoder();
        let cutter = TextCutter { longest: 2000, vocabulary, tokenizer, wishes };
        assert_eq!(cutter.tokens_lost_of_tokens(&rows, &options, ON).unwrap(), encoded.tokens_lost);
    }
}

#[test]
fn errors_name_their_row_and_nothing_is_a_result_too() {
    let refused =
        encoder().encode_tokens(&[vec!["a"], vec![], vec!["d", "x"]], &raw(None, Truncation::Head), QUIET, ON);
    assert_eq!(refused, Err(ModelError::NotFinite { row: 2 }));
    let foreign = SentenceEncoder { vocabulary: 6, ..encoder() };
    let refused = foreign.encode_tokens(&[vec!["ab"], vec!["a", "d"]], &raw(None, Truncation::Head), QUIET, ON);
    assert_eq!(refused, Err(ModelError::ForeignToken { row: 1, id: 7, vocabulary: 6 }));
    let nothing = encode(&[], &raw(None, Truncation::Head));
    assert_eq!((nothing.vectors.rows, nothing.vectors.cols), (0, 3));
    let refused = encoder().encode_tokens(&[vec!["a"]], &raw(None, Truncation::Head), QUIET, &|| true);
    assert_eq!(refused, Err(ModelError::Interrupted));
}
