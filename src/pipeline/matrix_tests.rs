//! Do matrices have the combinations that they should, and the ones that are asked for?

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use serde_json::json;

use super::testing::KINDS;
use super::{Choosing, Pipeline};
use crate::problem::{Problems, Style, render};

const STAGES: &str = "
stages:
  reviews: { use: ingest, with: { source: r.csv } }
  clean: { use: clean, from: reviews }
  words: { use: tokenize, from: clean }
  tfidf: { use: tfidf, from: words, with: { min_df: 2 } }
  vectors: { use: embed, from: clean, with: { model: m } }
  fused: { use: fuse, from: [tfidf, vectors] }
  model: { use: train, from: fused, with: { estimator: { linear_svc: { c: 1 } } } }
  scores: { use: cross_validate, from: model }
  report: { use: report, from: scores }
";

fn load_some(matrix: &str, sets: &[&str], choosing: &Choosing<'_>) -> Result<Pipeline, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    fs::write(&file, format!("name: p{STAGES}matrix:\n{matrix}")).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Pipeline::load_some(&file, &sets, KINDS, choosing)
}

fn load(matrix: &str, sets: &[&str]) -> Pipeline {
    load_some(matrix, sets, &Choosing::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(matrix: &str, sets: &[&str], choosing: &Choosing<'_>) -> String {
    render(&load_some(matrix, sets, choosing).unwrap_err(), Style::Plain)
}

fn labels(pipeline: &Pipeline) -> Vec<&str> {
    pipeline.variants.iter().map(|variant| variant.label.as_str()).collect()
}

fn choose<'a>(variants: &'a [String], partition: Option<&'a str>) -> Choosing<'a> {
    Choosing { variants, partition, ..Choosing::default() }
}

// The cases of "Running variations of jobs in a workflow" in GitHub's documentation, with paths for its keys.

#[test]
fn github_each_combination_in_the_order_of_the_axes() {
    let pipeline = load(
        "  version: { set: tfidf.max_features, values: [10, 12, 14] }\n  os: { set: reviews.source, values: [ubuntu-latest, windows-latest] }\n",
        &[],
    );
    assert_eq!(
        labels(&pipeline),
        [
            "version=10,os=ubuntu-latest",
            "version=10,os=windows-latest",
            "version=12,os=ubuntu-latest",
            "version=12,os=windows-latest",
            "version=14,os=ubuntu-latest",
            "version=14,os=windows-latest"
        ]
    );
}

#[test]
fn github_include_the_six_results_of_fruit_and_animal() {
    let pipeline = load(
        "  fruit: { set: reviews.source, values: [apple, pear] }\n  animal: { set: reviews.id, values: [cat, dog] }\n  include:\n  \
         - { reviews.text: green }\n  - { reviews.text: pink, animal: cat }\n  - { fruit: apple, clean.html: circle }\n  \
         - { fruit: banana }\n  - { fruit: banana, animal: cat }\n",
        &[],
    );
    assert_eq!(
        labels(&pipeline),
        [
            "fruit=apple,animal=cat,reviews.text=pink,clean.html=circle",
            "fruit=apple,animal=dog,reviews.text=green,clean.html=circle",
            "fruit=pear,animal=cat,reviews.text=pink",
            "fruit=pear,animal=dog,reviews.text=green",
            "fruit=banana",
            "fruit=banana,animal=cat"
        ]
    );
}

#[test]
fn github_expanding_configurations() {
    let pipeline = load(
        "  os: { set: reviews.source, values: [windows-latest, ubuntu-latest] }\n  node: { set: tfidf.max_features, values: [14, 16] }\n  \
         include: [ { os: windows-latest, node: 16, clean.html: npm6 } ]\n",
        &[],
    );
    assert_eq!(
        labels(&pipeline),
        [
            "os=windows-latest,node=14",
            "os=windows-latest,node=16,clean.html=npm6",
            "os=ubuntu-latest,node=14",
            "os=ubuntu-latest,node=16"
        ]
    );
}

#[test]
fn github_adding_configurations() {
    let pipeline = load(
        "  os: { set: reviews.source, values: [macos-latest, windows-latest, ubuntu-latest] }\n  \
         version: { set: tfidf.max_features, values: [12, 14, 16] }\n  include: [ { os: windows-latest, version: 17 } ]\n",
        &[],
    );
    assert_eq!((pipeline.variants.len(), labels(&pipeline)[9]), (10, "os=windows-latest,version=17"));
    let alone = load(
        "  include:\n  - { reviews.source: production, clean.html: site-a }\n  - { reviews.source: staging, clean.html: site-b }\n",
        &[],
    );
    assert_eq!(
        labels(&alone),
        ["reviews.source=production,clean.html=site-a", "reviews.source=staging,clean.html=site-b"]
    );
}

#[test]
fn github_excluding_configurations() {
    let axes = "  os: { set: reviews.source, values: [macos-latest, windows-latest] }\n  \
                version: { set: tfidf.max_features, values: [12, 14, 16] }\n  \
                environment: { set: reviews.id, values: [staging, production] }\n  exclude:\n  \
                - { os: macos-latest, version: 12, environment: production }\n  - { os: windows-latest, version: 16 }\n";
    let pipeline = load(axes, &[]);
    assert_eq!(pipeline.variants.len(), 9);
    assert!(!labels(&pipeline).iter().any(|label| label.starts_with("os=windows-latest,version=16")));
    // `include` comes after `exclude`, so that it can add back what was taken away.
    let back =
        load(&format!("{axes}  include: [ {{ os: windows-latest, version: 16, environment: staging }} ]\n"), &[]);
    assert_eq!((back.variants.len(), labels(&back)[9]), (10, "os=windows-latest,version=16,environment=staging"));
}

#[test]
fn github_excluding_by_a_key_of_include_is_refused() {
    let matrix = "  include:\n  - { reviews.source: a, clean.html: b }\n  - { reviews.source: c }\n  exclude:\n  - { clean.html: b }\n";
    let shown = refused(matrix, &[], &Choosing::default());
    assert!(
        shown.starts_with("error[unknown-axis]: `exclude` cannot look at `clean.html`, which is in `include` alone"),
        "{shown}"
    );
    assert!(shown.contains("p.yaml:17:7"), "{shown}");
}

#[test]
fn a_map_of_an_entry_agrees_with_what_has_all_its_keys() {
    let pipeline = load(
        "  e: { set: model.estimator, values: [ { linear_svc: { c: 1, max_iter: 5 } }, { linear_svc: { c: 2, max_iter: 5 } } ] }\n  \
         exclude: [ { e: { linear_svc: { c: 2 } } } ]\n",
        &[],
    );
    assert_eq!(pipeline.variants[0].params["e"], json!({ "linear_svc": { "c": 1, "max_iter": 5 } }));
    assert_eq!(pipeline.variants.len(), 1);
}

const ZIP: &str = "  size: { set: [tfidf.ngram_range, tfidf.min_df, fused.from], values: { small: [[1, 1], 2, [tfidf]], big: [[1, 2], 5, [tfidf, vectors]] } }\n";

#[test]
fn a_zip_axis_sets_its_paths_together() {
    let pipeline = load(&format!("{ZIP}  seed: [1, 2]\n"), &[]);
    assert_eq!(labels(&pipeline), ["size=small,seed=1", "size=small,seed=2", "size=big,seed=1", "size=big,seed=2"]);
    let of = |variant: usize, stage: &str| {
        pipeline.variants[variant].stages.iter().find(|node| node.id == stage).map(|node| node.params.as_ref().clone())
    };
    assert_eq!(of(0, "tfidf"), Some(json!({ "min_df": 2.0 })));
    assert_eq!(of(3, "tfidf"), Some(json!({ "min_df": 5.0, "ngram_range": [1, 2] })));
    assert_eq!((of(0, "vectors"), of(2, "vectors")), (None, Some(json!({ "model": "m" }))));
    assert_eq!(pipeline.variants[0].params["size"], "small");
    let unlabelled =
        load("  size: { set: [tfidf.ngram_range, tfidf.min_df], values: [[[1, 1], 2], [[1, 2], 5]] }\n", &[]);
    assert_eq!(labels(&unlabelled), ["size=(ngram_range=[1,1],min_df=2)", "size=(ngram_range=[1,2],min_df=5)"]);
    assert_eq!(unlabelled.variants[0].params["size"], json!([[1, 1], 2]));
}

#[test]
fn flags_narrow_a_zip_axis_by_label_or_with_new_values() {
    assert_eq!(load(ZIP, &["matrix.size=big"]).variants[0].params["size"], "big");
    let new = load(ZIP, &["matrix.size=[small, [[1, 3], 1, [tfidf]]]"]);
    assert_eq!(labels(&new), ["size=small", "size=(ngram_range=[1,3],min_df=1,from=[tfidf])"]);
    assert_eq!(load(ZIP, &["matrix.size=[[1, 1], 2, [tfidf]]"]).variants[0].params["size"], "small");
    for (set, words) in [
        ("matrix.size=[[1, 3], 1, [tfidf]]", "this value has 2 entries"),
        ("matrix.size=[[[1, 3], 1]]", "axis `size` sets 3 paths, but this value has 2 entries"),
        ("matrix.size=[bog]", "did you mean `big`?"),
        ("matrix.size=7", "this value is the number 7"),
        ("tfidf.min_df=3", "narrow the axis instead: `--set 'matrix.size=[VALUE]'`"),
        ("matrix.size=[[[1, 3], 1, [nobody]]]", "`fused` reads `nobody`"),
    ] {
        let shown = refused(ZIP, &[set], &Choosing::default());
        assert!(shown.contains(words) && shown.contains("= set by: --set "), "{set}:\n{shown}");
    }
    // Both paths of the axis know who set them.
    let pipeline = load(ZIP, &[]);
    assert!(pipeline.origin("tfidf", &["min_df"]).is_some_and(|origin| format!("{origin:?}").contains("size")));
}

#[test]
fn labels_are_unique_and_unambiguous() {
    let pipeline = load(
        "  source: { set: reviews.source, values: [\"a,b=c\", a, \"1\", x y] }\n  id: { set: reviews.id, values: [d, \"c,d\"] }\n",
        &[],
    );
    let all = labels(&pipeline);
    assert_eq!(all[0], "source=\"a,b=c\",id=d");
    assert_eq!(all[5], "source=\"1\",id=\"c,d\"");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn merged_variants_keep_their_other_labels() {
    let matrix =
        "  features: { set: fused.from, values: { words: tfidf, both: [tfidf, vectors] } }\n  vectors.model: [a, b]\n";
    let pipeline = load(matrix, &[]);
    assert_eq!(pipeline.variants[0].aliases, ["features=words,vectors.model=b"]);
    let by = |text: &str| {
        let wanted = [text.to_owned()];
        let some = load_some(matrix, &[], &choose(&wanted, None));
        some.map(|some| labels(&some).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let first = "features=words,vectors.model=a".to_owned();
    assert_eq!(by("features=words,vectors.model=b").unwrap(), std::slice::from_ref(&first));
    assert_eq!(by("vectors.model=b").unwrap(), [first.clone(), "features=both,vectors.model=b".to_owned()]);
    assert_eq!(by(&pipeline.variants[0].id).unwrap(), std::slice::from_ref(&first));
    let digits: String = pipeline.variants[0].id.chars().take(6).collect();
    assert_eq!(by(&digits).unwrap(), [first]);
    for (text, words) in [
        ("features=bath", "did you mean `features=both`?"),
        ("feature=both", "did you mean `features=both`?"),
        ("both", "or `features=both`?"),
        ("zzz", "the variants are `features=words,vectors.model=a`"),
        ("", "there is no variant ``"),
    ] {
        let shown = render(&by(text).unwrap_err(), Style::Plain);
        assert!(shown.starts_with("error[unknown-variant]") && shown.contains(words), "{text}:\n{shown}");
        assert!(shown.contains(&format!("= set by: --variant {text}")), "{shown}");
    }
}

#[test]
fn a_selection_is_recorded_and_keeps_the_order_of_the_matrix() {
    let matrix = "  c: { set: model.estimator.linear_svc.c, values: [1, 2, 3] }\n  seed: [1, 2]\n";
    let wanted = ["seed=2".to_owned(), "c=1,seed=1".to_owned(), "c=2.0".to_owned()];
    let some = load_some(matrix, &[], &choose(&wanted, None)).unwrap();
    assert_eq!(labels(&some), ["c=1,seed=1", "c=1,seed=2", "c=2,seed=1", "c=2,seed=2", "c=3,seed=2"]);
    let selection = some.selection.unwrap();
    assert_eq!((selection.selected, selection.of, selection.variants.len()), (5, 6, 3));
    let all = load(matrix, &[]);
    assert!(all.selection.is_none());
    let mut shards: Vec<String> = Vec::new();
    for shard in ["hash:1/3", "hash:2/3", "hash:3/3"] {
        let some = load_some(matrix, &[], &choose(&[], Some(shard))).unwrap();
        shards.extend(some.variants.iter().map(|variant| variant.id.clone()));
    }
    let mut ids: Vec<String> = all.variants.iter().map(|variant| variant.id.clone()).collect();
    ids.sort();
    shards.sort();
    assert_eq!(shards, ids);
    let wrong = refused(matrix, &[], &choose(&[], Some("hash:4/3")));
    assert!(wrong.contains("there is no shard 4 of 3") && wrong.contains("--partition hash:4/3"), "{wrong}");
}

#[test]
fn more_variants_than_allowed_are_refused_with_the_axes_and_their_sizes() {
    let matrix = "  c: { set: model.estimator.linear_svc.c, values: [1, 2, 3] }\n  tfidf.min_df: [1, 1.0, 2]\n";
    let at_most = |most: usize| Choosing { most, ..Choosing::default() };
    // Nine combinations, of which three resolve as others.
    assert_eq!(load_some(matrix, &[], &at_most(6)).unwrap().variants.len(), 6);
    let shown = refused(matrix, &[], &at_most(5));
    assert!(shown.starts_with("error[too-many-variants]: the matrix has 6 variants, more than 5"), "{shown}");
    assert!(shown.contains("`c` (3) × `tfidf.min_df` (3)") && shown.contains("--max-variants 6"), "{shown}");
    let wanted = ["c=1".to_owned()];
    let some = Choosing { variants: &wanted, ..at_most(2) };
    assert_eq!(load_some(matrix, &[], &some).unwrap().variants.len(), 2);
    assert!(refused(matrix, &[], &Choosing { most: 1, ..some }).contains("the selection has 2 variants, more than 1"));
    let large = (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let large = format!("  seed: [{large}]\n  tfidf.max_features: [{}]\n", large.replacen("0, ", "", 1));
    let shown = refused(&large, &[], &Choosing::default());
    assert!(shown.contains("the matrix has 89700 combinations, more than 10000"), "{shown}");
    let huge = format!(
        "{large}  model.estimator.linear_svc.max_iter: [{}]\n",
        (1..200).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
    );
    let shown = refused(&huge, &[], &at_most(usize::MAX));
    assert!(shown.contains("the matrix has 17850300 combinations, more than 10000000"), "{shown}");
}

#[test]
fn a_sample_is_stable_nested_and_by_content() {
    let axes = |c: &str| {
        format!("  c: {{ set: model.estimator.linear_svc.c, values: [{c}] }}\n  seed: [1, 2, 3, 4, 5, 6, 7, 8]\n")
    };
    let drawn = |matrix: &str| -> BTreeSet<String> {
        load(matrix, &[]).variants.into_iter().map(|variant| variant.id).collect()
    };
    let sample = |c: &str, sample: &str| drawn(&format!("{}  sample: {{ {sample} }}\n", axes(c)));
    let ten = sample("1, 2, 3, 4, 5", "size: 10, seed: 7");
    assert_eq!(ten.len(), 10);
    assert_eq!(ten, sample("1, 2, 3, 4, 5", "size: 10, seed: 7"));
    assert_eq!(ten, sample("1, 2, 3, 4, 5", "share: 0.25, seed: 7"));
    assert!(ten.is_subset(&sample("1, 2, 3, 4, 5", "size: 20, seed: 7")));
    assert_ne!(ten, sample("1, 2, 3, 4, 5", "size: 10, seed: 8"));
    // The order of axes and values, and the names of axes, do not matter.
    let other = "  seed: [8, 7, 6, 5, 4, 3, 2, 1]\n  model.estimator.linear_svc.c: [5, 4, 3, 2, 1]\n  sample: { size: 10, seed: 7 }\n";
    assert_eq!(ten, drawn(other));
    // One value more leaves most of the choice.
    assert!(sample("1, 2, 3, 4, 5, 6", "size: 10, seed: 7").intersection(&ten).count() >= 6);
    // After `exclude` and `include`; in the order of the matrix; and the seed is the pipeline's unless told.
    let whole = load(
        &format!(
            "{}  exclude: [{{ c: 1 }}]\n  include: [{{ c: 9, seed: 9 }}]\n  sample: {{ size: 99 }}\n",
            axes("1, 2")
        ),
        &[],
    );
    assert_eq!((whole.variants.len(), labels(&whole)[8]), (9, "c=9,seed=9"));
    let by_flag = load(&axes("1, 2"), &["matrix.sample={size: 3}"]);
    assert_eq!(by_flag.variants.len(), 3);
    let again = load(&axes("1, 2"), &["matrix.sample.size=3", "matrix.sample.seed=42"]);
    assert_eq!(labels(&by_flag), labels(&again));
}

#[test]
fn a_few_are_drawn_from_many_more_than_are_kept() {
    let numbers = |n: u32| (1..=n).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let matrix = format!(
        "  seed: [{}]\n  tfidf.max_features: [{}]\n  scores.folds: [{}]\n  sample: {{ size: 20, seed: 7 }}\n",
        numbers(100),
        numbers(50),
        (2..=41).map(|n| n.to_string()).collect::<Vec<_>>().join(", "),
    );
    let pipeline = load(&matrix, &[]);
    assert_eq!(pipeline.variants.len(), 20);
    let seeds: BTreeSet<u64> = pipeline.variants.iter().map(|variant| variant.seed).collect();
    assert!(seeds.len() > 10, "{seeds:?}");
}

#[test]
fn samples_that_say_nothing_are_refused() {
    for (sample, code, words) in [
        ("3", "wrong-type", "`sample` must be a map, but is the number 3"),
        ("{}", "missing-key", "does not say how many"),
        ("{ seed: 1 }", "missing-key", "add `size: 20`"),
        ("{ size: 0 }", "out-of-range", "a whole number above 0, but is 0"),
        ("{ share: 1.5 }", "out-of-range", "at most 1, but is 1.5"),
        ("{ size: 1, share: 0.5 }", "invalid-param", "not both"),
        ("{ size: 1, seed: -1 }", "out-of-range", "`seed`"),
        ("{ size: 1, sed: 1 }", "unknown-key", "its keys are size, share, seed"),
        ("{ set: seed, values: [1] }", "unknown-key", "call the axis otherwise"),
    ] {
        let shown = refused(&format!("  seed: [1, 2]\n  sample: {sample}\n"), &[], &Choosing::default());
        assert!(shown.starts_with(&format!("error[{code}]")) && shown.contains(words), "{sample}:\n{shown}");
        assert!(shown.contains("p.yaml:14"), "{sample}:\n{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn labels_of_any_text_are_unique_and_select_what_they_name(
        values in proptest::collection::btree_set("[ab1,=.:\\[\\]{}()\"'\\\\ ~-]{1,4}", 2..5),
    ) {
        let listed: Vec<String> = values.iter().map(|value| json!(value).to_string()).collect();
        let matrix = format!("  source: {{ set: reviews.source, values: [{}] }}\n  seed: [1, 2]\n", listed.join(", "));
        let all = load(&matrix, &[]);
        let unique: BTreeSet<&str> = labels(&all).into_iter().collect();
        prop_assert_eq!(unique.len(), values.len() * 2);
        for variant in &all.variants {
            let wanted = [variant.label.clone()];
            let some = load_some(&matrix, &[], &choose(&wanted, None)).unwrap();
            prop_assert_eq!(some.variants.len(), 1);
            prop_assert_eq!(&some.variants[0].id, &variant.id);
        }
    }
}
