//! What do the words of a pipeline file mean that are no kinds of stages? The pages of `fuseline explain WORD`.

/// A key of a pipeline file, with its manual page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// The key.
    pub(super) word: &'static str,
    /// One line.
    pub(super) title: &'static str,
    /// What it does, with an example.
    pub(super) page: &'static str,
}

/// All keys whose pages are text, in the order of a file: those of the file itself, of a stage, of the matrix. `expect` and `gates`
/// have lists in their pages, which [`super::explain`] makes.
pub(super) const WORDS: &[Word] = &[
    Word {
        word: "name",
        title: "what the pipeline is called",
        page: "    name: movie-sentiment

Letters, digits, `-`, `_` and `.`. It names the run folder (`runs/movie-sentiment`) and enters no result.",
    },
    Word {
        word: "description",
        title: "what the pipeline is for",
        page: "    description: words, meaning, or both

For people; nothing depends on it.",
    },
    Word {
        word: "seed",
        title: "what every random choice derives from",
        page: "    seed: 42

A whole number; 42 if left out. Folds, samples and learners that depend on chance draw from it, each in its own way, so equal work in
two variants stays equal. It may be an axis of the matrix (`seed: [1, 2, 3]`) and be set from outside (`--set seed=7`). In
`sample` it is that choice's own.",
    },
    Word {
        word: "extends",
        title: "the files that this one builds on",
        page: "    extends: base.yaml
    name: other
    stages:
      model: { with: { estimator: { linear_svc: { c: 0.5 } } } }

A file, or a list of files; later ones win over earlier ones, and this one over all. Maps are merged key by key, everything else
is replaced; `null` takes a key away. Paths to data are relative to the file that is run.",
    },
    Word {
        word: "stages",
        title: "the stages, by name",
        page: "    stages:
      reviews: { use: ingest, with: { source: reviews.csv, text: text, label: label } }
      tfidf:   { use: tfidf, from: reviews, with: { min_df: 2 } }

A name is made of letters, digits, `_` and `-`; neither it nor the order of stages enters a result. A stage has `use`, `from` and
`with`; some have `ablate` or `curve`. `fuseline explain` lists the kinds.",
    },
    Word {
        word: "matrix",
        title: "the values to try",
        page: "    matrix:
      tfidf.min_df: [1, 2]                                           # an axis named by its path
      c: { set: model.estimator.linear_svc.c, values: [0.1, 1, 10] } # with a name of its own
      exclude: [{ c: 10, tfidf.min_df: 1 }]

Every combination is a variant; what variants share is computed once. `set` and `values` make an axis with a name, `exclude`,
`include` and `sample` choose among combinations, `ablate` and `curve` on a stage make axes of their own.
`fuseline plan` lists the variants.",
    },
    Word {
        word: "use",
        title: "the kind of a stage",
        page: "    tfidf: { use: tfidf, from: words }

`fuseline explain KIND` says what a kind does and takes. It cannot be an axis: write a stage of each kind, and set the `from` of
what reads them.",
    },
    Word {
        word: "from",
        title: "what a stage reads",
        page: "    fused: { use: fuse, from: [tfidf, vectors] }

A stage, or a list of stages. What flows along a wire is typed (text, tokens, features, a model, scores), and a wire that does not fit
is told before anything runs. It may be an axis:

    matrix:
      features: { set: fused.from, values: { words: [tfidf], both: [tfidf, vectors] } }",
    },
    Word {
        word: "with",
        title: "the parameters of a stage",
        page: "    tfidf: { use: tfidf, from: words, with: { ngram_range: [1, 2], min_df: 2 } }

`fuseline explain KIND` lists those of a kind. Each may be an axis of the matrix (`tfidf.min_df: [1, 2]`) or be set from outside
(`--set tfidf.min_df=3`). A parameter at its default changes no identity: adding it runs nothing again.",
    },
    Word {
        word: "ablate",
        title: "leaves the inputs of a stage out in turn",
        page: "    fused: { use: fuse, from: [tfidf, letters, vectors], ablate: features }

On a stage with two inputs or more (`fuse`, `ensemble`), it makes an axis of the name given, which sets `from`: `all` inputs, each
alone (`tfidf only`), and all but each (`without tfidf`). The report then shows what each input adds, to each class too, with
intervals, and what it costs. The axis is like any other: `exclude`, `include`, `--variant 'features=tfidf only'`, and
`--set 'matrix.features=[all, without tfidf]'` runs some of it. `ablate: null` in a file that extends another takes it away.",
    },
    Word {
        word: "curve",
        title: "trains an evaluation on fewer rows",
        page: "    scores: { use: cross_validate, from: model, curve: { train_rows: [100, 300, 1000, all] }, with: { folds: 5 } }

On `cross_validate`, it makes an axis `train_rows`, which sets the parameter of that name: in each fold so many of its training
rows are used, with the classes in their shares, and the smaller numbers are among the larger ones. What is held out is the same
everywhere, so the scores can be compared; the report draws the learning curve.",
    },
    Word {
        word: "set",
        title: "what an axis of the matrix sets",
        page: "    matrix:
      c: { set: model.estimator.linear_svc.c, values: [0.1, 1, 10] }
      size: { set: [tfidf.ngram_range, tfidf.min_df], values: { small: [[1, 1], 2], large: [[1, 3], 5] } }

A path: a stage and the way into its `with` (`tfidf.min_df`), its inputs (`fused.from`), or `seed`. With several paths, each
value is a list with an entry for each. The flag `--set PATH=VALUE` sets one value for all variants.",
    },
    Word {
        word: "values",
        title: "the values of an axis of the matrix",
        page: "    matrix:
      c: { set: model.estimator.linear_svc.c, values: [0.1, 1, 10] }
      features: { set: fused.from, values: { words: [tfidf], both: [tfidf, vectors] } }

A list, or a map from labels to values; labelled values are named by their labels in entries, in flags and in results.",
    },
    Word {
        word: "include",
        title: "settings that are added to combinations of the matrix",
        page: "    matrix:
      features: { set: fused.from, values: { words: [tfidf], both: [tfidf, vectors] } }
      include: [{ features: both, tfidf.sublinear_tf: true }]

After `exclude`, each entry is added to every combination of which it overwrites no axis value, as in GitHub Actions; an entry
that fits none becomes a variant of its own. Keys are axes, or paths.",
    },
    Word {
        word: "exclude",
        title: "combinations of the matrix that are left out",
        page: "    matrix:
      c: { set: model.estimator.linear_svc.c, values: [0.1, 1, 10] }
      tfidf.min_df: [1, 2]
      exclude: [{ c: 10, tfidf.min_df: 1 }]

Every combination goes that agrees with an entry on all of its keys, each of which is an axis.",
    },
    Word {
        word: "sample",
        title: "a random subset of the matrix",
        page: "    matrix:
      c: { set: model.estimator.linear_svc.c, values: [0.01, 0.1, 1, 10, 100] }
      tfidf.min_df: [1, 2, 3, 4, 5]
      sample: { size: 10 }

So many of the combinations that `exclude` and `include` leave (`size`), or a share of them (`share: 0.2`), drawn by its `seed`, or the
pipeline's without one. A larger sample holds the smaller one.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::pipeline;
    use crate::stages::{STAGES, kind};

    #[test]
    fn every_key_of_a_file_and_of_a_stage_has_a_page() {
        let schema = pipeline::schema(STAGES);
        let keys =
            |schema: &Value| -> Vec<String> { schema["properties"].as_object().unwrap().keys().cloned().collect() };
        let stages = STAGES.iter().flat_map(|kind| keys(&schema["$defs"][format!("{}_stage", kind.name)]));
        let matrix = keys(&schema["properties"]["matrix"]);
        let axis = keys(&schema["$defs"]["axis"]["anyOf"][1]);
        let wanted: BTreeSet<String> = keys(&schema).into_iter().chain(stages).chain(matrix).chain(axis).collect();
        let pages = WORDS.iter().map(|word| word.word).chain(["expect", "gates"]);
        assert_eq!(wanted, pages.map(str::to_owned).collect());
        assert!(wanted.iter().all(|word| kind(word).is_none()), "a kind of stage hides a page");
    }

    #[test]
    fn examples_are_yaml_with_the_word_in_them() {
        for word in WORDS {
            let example: String =
                word.page.lines().take_while(|line| line.starts_with("    ")).map(|line| format!("{line}\n")).collect();
            let read: Value = serde_yaml::from_str(&example).unwrap_or_else(|error| panic!("{}: {error}", word.word));
            let said = read.to_string();
            assert!(said.contains(&format!("\"{}\":", word.word)), "{said}");
            assert!(word.page.lines().all(|line| line.chars().count() <= 135), "{}", word.word);
        }
    }
}
