//! Which problems are there, and what does each mean?
//!
//! The pages of `fuseline explain CODE`. A code, once given, keeps its meaning.

/// A kind of problem, with its manual page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// What stands in the brackets of `error[…]`.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// What it means and what to do, with an example: 3 to 10 lines.
    pub page: &'static str,
}

/// All codes in the order of the alphabet.
pub const CODES: &[Code] = &[
    Code {
        code: "advice",
        title: "a stage has something to say before it runs",
        page: "A stage will do what you asked, but you may want something else: it is slow on so many rows, or an option
has no effect beside another. Nothing stops.

    warning[advice]: `model`: a random forest is slow on more than a few thousand rows

Follow the advice, or leave things as they are.",
    },
    Code {
        code: "arity",
        title: "a stage has too few or too many inputs",
        page: "Every kind of stage takes none, one, or one or more inputs, and `from` names another number of them.

    words: { use: tokenize }               # no input: add `from: clean`
    model: { use: train, from: [a, b] }    # takes one: put a `fuse` stage between

`fuseline explain KIND` shows an example of each kind.",
    },
    Code {
        code: "axis-clash",
        title: "one thing is set twice",
        page: "Two axes of the matrix, an axis and an entry of `include`, or an axis and a `--set` flag set the same place.

    matrix:
      tfidf.min_df: [1, 2]
      small: { set: tfidf.min_df, values: [1] }

Make one axis of two. Instead of setting what an axis sets, narrow the axis: `--set 'matrix.tfidf.min_df=[1]'`.",
    },
    Code {
        code: "bad-bound",
        title: "an expectation has no bound that can be held",
        page: "Under `expect`, each name has a bound: a number of 0 or more, or a comparison with a number or a share of the rows.

    expect:
      duplicates_across_splits: 0      # at most 0
      truncated_rows: \"< 1%\"
      test.rows: \">= 1000\"

A comparison is quoted, since YAML gives `>` a meaning of its own. `fuseline explain expect` lists the names.",
    },
    Code {
        code: "bad-gate",
        title: "a gate does not say what must hold",
        page: "Under `gates`, each name has a gate: a metric's change since the baseline, a metric's value, or what the run costs.

    gates:
      quality: { metric: f1_macro, min_delta: -0.005 }   # at most half a point worse than the baseline
      floor: { metric: accuracy, min: 0.9 }
      memory: { cost: peak_memory, max: 2GB }
      work: { cost: unit_seconds, max_ratio: 1.2 }       # at most a fifth more than the baseline's run cost

A gate is about one thing. `fuseline explain gates` lists the costs.",
    },
    Code {
        code: "bad-name",
        title: "a name cannot be used",
        page: "A pipeline's name becomes the name of a folder: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
A stage's name stands in paths such as `tfidf.min_df`: letters, digits, `_` and `-`, beginning with a letter or `_`.

    name: reviews 2024/final      # write reviews-2024-final",
    },
    Code {
        code: "bad-path",
        title: "a path leads nowhere",
        page: "A path, in a matrix axis or after `--set`, is a stage and then the way into its `with`, or `from`; or it is `seed`.

    tfidf.min_df            model.estimator.linear_svc.c
    fused.from              seed

An axis with a name of its own says what it sets: `c: { set: model.estimator.linear_svc.c, values: [1, 10] }`.",
    },
    Code {
        code: "bad-row",
        title: "a new row cannot be read",
        page: "`predict` was given a row that it cannot take: it lacks a column, a cell is not of the type that the pipeline
learned from, or a line is not UTF-8. The message names the place. The rows before it have been answered.

    fuseline predict model new.jsonl --text body       # the text is in `body`
    fuseline predict model --format jsonl < new.jsonl  # rows with columns, from a pipe",
    },
    Code {
        code: "bad-set",
        title: "a `--set` flag cannot be read",
        page: "`--set` takes PATH=VALUE; the value is read as YAML, so lists and maps are written as in the file.

    --set seed=7
    --set 'tfidf.ngram_range=[1, 2]'
    --set 'model.estimator={ linear_svc: { c: 0.5 } }'

Quote the whole for the shell when it holds spaces, brackets or braces.",
    },
    Code {
        code: "cycle",
        title: "stages wait for each other",
        page: "A stage reads, through others, what it makes itself, so none of them can begin.

    clean: { use: clean, from: lower }
    lower: { use: clean, from: clean }

Change the `from` of one of them so that the chain begins at a source such as `ingest`.",
    },
    Code {
        code: "damaged",
        title: "stored bytes are not what they were",
        page: "A file in the cache has other bytes than when it was written: a disk fault, a full disk, or a program that edited it.

    warning[damaged]: blob 3f0a…: set aside; `tfidf` runs again

What is damaged is set aside and made again; results are not affected. If it happens often, look at the disk.",
    },
    Code {
        code: "digest-mismatch",
        title: "a downloaded file is not the file that was asked for",
        page: "The sha256 of a file differs from the one that the pipeline or the catalog names. The file is not used.

    caused by: expected sha256 53aa5117…, but got 9c1e22b0…

Perhaps it changed at its place, or a proxy answered with a page of its own. If the new file is right, change the
digest in the pipeline; otherwise fetch again.",
    },
    Code {
        code: "duplicate-input",
        title: "a stage reads the same stage twice",
        page: "`from` names one stage two times, which would count its features double.

    fused: { use: fuse, from: [tfidf, tfidf] }

Keep one. To weigh a block, use the `weights` of `fuse`.",
    },
    Code {
        code: "duplicate-key",
        title: "a key is set twice in one map",
        page: "YAML readers keep one of two equal keys and say nothing; here it is an error, found at the second.

    with: { min_df: 2, ngram_range: [1, 2], min_df: 3 }

Keep one of the two.",
    },
    Code {
        code: "duplicate-value",
        title: "an axis has a value twice",
        page: "Two values of an axis have the same label, so their variants could not be told apart.

    matrix:
      tfidf.min_df: [1, 2, 1]

Keep one, or give labels: `values: { once: 1, twice: 2 }`.",
    },
    Code {
        code: "empty-axis",
        title: "an axis has no values",
        page: "With nothing to try on one axis there is no combination at all.

    matrix:
      tfidf.min_df: []

Give it values, or take the axis out.",
    },
    Code {
        code: "empty-file",
        title: "a pipeline file says nothing",
        page: "The file is empty or holds comments alone. The smallest pipeline that runs has a name and a stage:

    name: first
    stages:
      texts: { use: ingest, with: { source: texts.csv, text: text } }",
    },
    Code {
        code: "expectation-broken",
        title: "the data is not as the pipeline expects",
        page: "A bound under `expect` does not hold for the rows that were read. Everything was computed and kept all the same; the
command ends with exit code 1, so that CI notices.

    error[expectation-broken]: `duplicates_across_splits` must be `<= 0`, but is 926 (test in train)

The notes show rows to look at; `fuseline check --data FILE` prints all that was counted. Mend the data (`clean` drops
copies, `cross_validate` keeps them in one fold with `group_duplicates`), or move the bound.",
    },
    Code {
        code: "extends-cycle",
        title: "files extend each other",
        page: "`extends` leads from a file back to itself.

    # a.yaml                # b.yaml
    extends: b.yaml         extends: a.yaml

Put what both need into a third file that extends neither.",
    },
    Code {
        code: "frame",
        title: "two inputs do not have the same rows",
        page: "A stage joins its inputs row by row, but they do not go back to the same rows: one passed a stage that drops rows.

    clean:   { use: clean, from: reviews, with: { drop_empty: true } }
    vectors: { use: embed, from: reviews }          # all rows
    tfidf:   { use: tfidf, from: words }            # rows of `clean`
    fused:   { use: fuse, from: [tfidf, vectors] }

Wire both from the same stage: here `vectors` from `clean`.",
    },
    Code {
        code: "gate-failed",
        title: "a gate does not hold",
        page: "The whole interval of what was measured lies on the wrong side of the gate's bound: the run is worse than is let through.

    gates:
      quality: { metric: f1_macro, min_delta: -0.005 }

The command ends with 1. `fuseline diff` shows which predictions changed. If the change is meant, `fuseline gate FILE --update` writes
the baseline anew; commit it with the change.",
    },
    Code {
        code: "gate-incomparable",
        title: "a gate has nothing to be held against",
        page: "The baseline is about other data, other folds or other variants, so that a difference would mean nothing; or it does not say what a
cost was, or was made with more units cached. The message says which. The command ends with 1.

    error[gate-incomparable]: quality: accuracy has nothing to be held against

If the data or the folds were changed on purpose, write the baseline anew with `fuseline gate FILE --update`, in a change of its own.",
    },
    Code {
        code: "gate-inconclusive",
        title: "the rows are too few to tell whether a gate holds",
        page: "The interval of what was measured reaches over the gate's bound: the run may be good enough or not. The command ends with 10.

    fuseline gate p.yaml --inconclusive pass       # or fail

More rows, or a bound that lets more through (`min_delta: -0.01`), bring a verdict.",
    },
    Code {
        code: "gate-left-out",
        title: "a gate is about a variant that was not selected",
        page: "`--variant` and `--partition` run some of the variants. A gate whose `variant` is none of them is not judged.

    warning[gate-left-out]: the gate `big` is left out: its variant `c=10` is not selected

Run all variants to have all gates judged.",
    },
    Code {
        code: "input-changed",
        title: "a file changed while a run read it",
        page: "Files are digested before they are read, so that a result says truly what it was made from. A file that changes, or
vanishes, between the digest and the end of the reading makes that untrue, so the unit fails and nothing of it is kept.

    caused by: `data.csv` changed during the run: sha256 1f0c… → 9a3b…

Run again once nobody writes to the file any more. `fuseline verify` says the same of a file that is not what the run read.",
    },
    Code {
        code: "interrupted",
        title: "the run was stopped",
        page: "Ctrl-C, or the system, asked the run to end while it was fetching a file. Nothing that was finished is lost.

    fuseline run pipelines/quickstart.yaml      # the same command goes on where it stopped",
    },
    Code {
        code: "invalid-param",
        title: "a parameter's value makes no sense",
        page: "The value has the right type, but the kind of stage cannot use it, alone or together with another parameter.

    with: { estimator: { linear_svc: {}, logistic_regression: {} } }     # one of them only

The message says which; `fuseline explain KIND` lists the parameters with what they mean.",
    },
    Code {
        code: "io",
        title: "a file or folder cannot be read or written",
        page: "The operating system refused: there is no such file, permission is missing, the disk is full.

    error[io]: cannot read `pipelines/spam.yaml`
       caused by: there is no such file

Names in a pipeline file are relative to that file; names on the command line to the current folder.",
    },
    Code {
        code: "lock-drift",
        title: "something is not what the lock says",
        page: "`NAME.lock`, beside `NAME.yaml`, has the digests of all data and models, the versions of the kinds and the seed.
With `--locked` nothing runs unless all of it is still so.

    error[lock-drift]: `data.csv` changed: sha256 1f0c… → 9a3b…

If that is meant, run once without `--locked`, which writes the lock anew, and commit it.",
    },
    Code {
        code: "lock-missing",
        title: "there is no lock to hold the pipeline to",
        page: "`--locked` holds a pipeline to the lock beside it, and there is none that can be read.

    fuseline run pipelines/spam.yaml             # writes pipelines/spam.lock
    fuseline run pipelines/spam.yaml --locked    # holds to it

Commit the lock with the pipeline.",
    },
    Code {
        code: "missing-key",
        title: "the pipeline or a stage lacks a key",
        page: "A pipeline needs `name` and `stages`; every stage needs `use`.

    name: spam
    stages:
      mails: { use: ingest, with: { source: mails.csv } }

A file that others extend may leave out what they give, but cannot run by itself.",
    },
    Code {
        code: "missing-param",
        title: "a stage lacks a parameter",
        page: "Most parameters have a default; this one cannot, because only you know it.

    vectors: { use: embed, from: clean, with: { model: all-minilm-l6-v2 } }

`fuseline explain KIND` says what may stand there.",
    },
    Code {
        code: "no-baseline",
        title: "there is no baseline to hold a run against",
        page: "`gate` holds a run against a baseline: `NAME.baseline.json` beside `NAME.yaml`, or what `--baseline` names. It is not there, or
it cannot be read.

    fuseline gate spam.yaml --update               # writes spam.baseline.json
    fuseline gate spam.yaml --baseline origin/main # the one that a revision has

Commit the file beside the pipeline.",
    },
    Code {
        code: "no-variants",
        title: "`exclude` leaves nothing to run",
        page: "Every combination of the matrix agrees with some entry of `exclude`.

    matrix:
      c: { set: model.estimator.linear_svc.c, values: [1, 10] }
      exclude: [{ c: 1 }, { c: 10 }]

Take an entry out, or give it one more key.",
    },
    Code {
        code: "nondeterministic",
        title: "equal work gave other bytes than before",
        page: "A unit was made twice from the same parameters, inputs and seed, by two processes or because of `--force`, and the
second time its tables had other bytes. What was stored first is used, so results that build on it stay comparable.

    warning[nondeterministic]: `vectors` gave other bytes than before in `block.00`

That is a bug in the stage, or the machines differ in a way that the key does not tell apart: please report it. With
`--locked` the run ends with exit code 7.",
    },
    Code {
        code: "not-a-bundle",
        title: "a folder is no exported pipeline that can be asked",
        page: "`predict` and `explain-prediction` ask a folder that `export` wrote. This one has no `bundle.json`, or another
version of Fuseline wrote it, whose stages answer otherwise.

    fuseline export pipeline.yaml --out model
    fuseline predict model < texts.txt

Export it again with this version.",
    },
    Code {
        code: "not-a-run",
        title: "a folder or an archive does not hold a run",
        page: "`diff`, `verify` and `pack` read what `run` wrote: a run folder (`diff` takes its `summary.json` too, `verify` also an archive
that `pack` wrote). What was named is something else, is damaged, or was written by a version that wrote less.

    fuseline diff runs/spam runs/spam-2        # folders, as `run --out` names them

Run the pipeline again to have a whole folder; what did not change is not computed again.",
    },
    Code {
        code: "not-cached",
        title: "what is to be repeated is not in the cache",
        page: "`cache verify --recompute` runs units of a pipeline again and compares them with what is cached; so all of the
pipeline must be cached.

    error[not-cached]: 12 units of this pipeline are not cached

Run the pipeline first, with the same `--set` and `--cache-dir`.",
    },
    Code {
        code: "not-found",
        title: "a file is not where the pipeline says",
        page: "No file matches the name, pattern or archive member, or the server says that it has none of that name.

    source: data/*.tsv                   # nothing matches in the pipeline's folder
    source: reviews.zip!train.csv        # the archive has no such member

Names are relative to the pipeline file; `!` leads into an archive.",
    },
    Code {
        code: "not-repeated",
        title: "a repeated run gave something else",
        page: "`verify` computed a run again from the same files and compares every table, bit by bit, then the predictions and metrics.
The first unit that differs is where to look; what reads it mostly differs because of it.

    error[not-repeated]: `tfidf` fit fold 1 gave other bytes in `vocabulary`

A run folder that was edited, another version of Fuseline, or a stage that is not deterministic (a bug) can be behind it.",
    },
    Code {
        code: "offline",
        title: "a file is needed that is not here, and the network is off or away",
        page: "The run needs data or a model that was never fetched, and `--offline` forbids fetching or no place answers.

    fuseline fetch pipelines/quickstart.yaml       # once, with a network
    fuseline run pipelines/quickstart.yaml --offline

What is fetched once is kept, and needs no network again.",
    },
    Code {
        code: "out-of-range",
        title: "a number, or a list's length, is outside its limits",
        page: "The value has the right type, but no meaning there.

    error[out-of-range]: `c` must be above 0, but is -1

`fuseline explain KIND` gives each parameter's limits.",
    },
    Code {
        code: "port-type",
        title: "a wire carries the wrong thing",
        page: "What flows is typed: text, tokens, features, a model, scores. A stage is given something that it cannot read.

    error[port-type]: `model` needs features, but `clean` gives text
       = help: stages that give features: `tfidf`, `fused`

Change `from` to a stage that gives what is needed, or put one between: `clean` → `tokenize` → `tfidf` → `train`.",
    },
    Code {
        code: "settings",
        title: "the settings cannot be read",
        page: "Settings say how to run (threads, memory, cache folder, time limits) and never change a result. They come from defaults, the
user's file, the project's file, the environment, and flags, later ones first.

    error[settings]: there is no setting `thread`
       = help: did you mean `threads`?",
    },
    Code {
        code: "sink-axis",
        title: "the matrix changes what is written once",
        page: "A report is written once, about all variants; an axis that sets one of its parameters would want several.

    matrix:
      report.title: [short, long]      # which of the two?

Write a stage for each: `brief: { use: report, from: scores, with: { … } }` beside `report`.",
    },
    Code {
        code: "stage-failed",
        title: "a stage could not do its work",
        page: "The pipeline was sound, but the data was not what a stage needs, or a unit ran longer than its limit. After the
failure nothing new was started; what was running has been finished and kept. With `-k` everything that does not depend
on the failed unit runs as well, and the run ends with exit code 5.

    error[stage-failed]: `tfidf` failed while fitting fold 3 of 5
       caused by: no term occurs in 20 or more of the 412 training rows
       = help: lower `min_df` at pipelines/spam.yaml:16:17

Change the pipeline or the data and run again: only what is missing runs.",
    },
    Code {
        code: "too-many-variants",
        title: "a pipeline has more variants than are allowed",
        page: "Axes multiply: five axes of ten values are 100 000 variants. So that no run is a surprise, more than 10 000 are refused,
or more than `--max-variants N` (`max_variants` of the settings) allows; nothing has run, and the command ends with 9.

    error[too-many-variants]: the matrix has 36 variants, more than 20

Allow them with `--max-variants 36`, draw some of them (`sample: { size: 20 }` in the matrix), choose some with `--variant`,
or divide them over machines with `--partition hash:1/4`.",
    },
    Code {
        code: "unfit",
        title: "a stage cannot learn from what it reads, or cannot score it",
        page: "What is to be learned (one label a row, sets of labels, numbers) is told by `ingest`, and a learner, a stage over models
or a metric does not go with it.

    model: { use: train, from: f, with: { estimator: { ridge: {} } } }        # rows without a `value`
    scores: { use: cross_validate, from: model, with: { metrics: [r2] } }     # of a model that predicts classes
    voted: { use: ensemble, from: [svm], with: { vote: { voting: soft } } }   # of a model without probabilities

The message says what does not fit, and what would.",
    },
    Code {
        code: "unknown-axis",
        title: "there is no axis of this name",
        page: "`include`, `exclude` and `--set matrix.AXIS=…` speak of axes by the names that they have in `matrix`.

    matrix:
      c: { set: model.estimator.linear_svc.c, values: [1, 10] }
      exclude: [{ C: 10 }]         # the axis is called `c`

As in GitHub Actions, `exclude` comes before `include`: a path that only `include` sets is no axis.",
    },
    Code {
        code: "unknown-choice",
        title: "a value is none of those that are possible",
        page: "The parameter takes one of a few words, or one of a few maps with a single key.

    norm: l3                                  # l1, l2 or null
    estimator: { linear_svm: { c: 1 } }       # linear_svc

The message lists the choices.",
    },
    Code {
        code: "unknown-key",
        title: "a key has no meaning here",
        page: "A pipeline has the keys name, description, seed, extends, stages and matrix; a stage has use, from and with.

    tfidf: { use: tfidf, from: words, min_df: 2 }

Parameters stand inside `with`: `with: { min_df: 2 }`.",
    },
    Code {
        code: "unknown-kind",
        title: "there is no such kind of stage",
        page: "The word after `use` names none of the kinds that Fuseline has.

    words: { use: tokenise, from: clean }      # tokenize

`fuseline explain` lists them.",
    },
    Code {
        code: "unknown-metric",
        title: "there is no such metric",
        page: "`metrics` of `cross_validate` names something that Fuseline does not compute. Names are scikit-learn's.

    scores: { use: cross_validate, from: model, with: { metrics: [accuracy, f1_macro] } }

`fuseline explain cross_validate` lists them.",
    },
    Code {
        code: "unknown-param",
        title: "a kind has no such parameter",
        page: "`with`, a path or an axis names a parameter that the kind of stage does not have. Names are scikit-learn's.

    tfidf: { use: tfidf, from: words, with: { ngram: [1, 2] } }      # ngram_range

`fuseline explain tfidf` lists all parameters with their defaults.",
    },
    Code {
        code: "unknown-stage",
        title: "there is no stage of this name",
        page: "`from`, a path or an axis names a stage that the file does not have.

    words: { use: tokenize, from: claen }      # clean

Stages are the keys under `stages`.",
    },
    Code {
        code: "unknown-value",
        title: "an axis has no such value",
        page: "`exclude`, `include` or `--set matrix.AXIS=…` names a value that the axis does not have. A labelled value is named by its label.

    matrix:
      features: { set: fused.from, values: { words: [tfidf], both: [tfidf, vectors] } }
      exclude: [{ features: wrods }]",
    },
    Code {
        code: "unknown-variant",
        title: "there is no such variant",
        page: "A variant is named by its label, or by its id (or the beginning of it, if no other begins so). Values of some axes name all
variants that have them; a label that was merged into another names that one.

    fuseline show pipeline.yaml tfidf --variant features=both,c=1
    fuseline run pipeline.yaml --variant features=both --variant 3f9a

`fuseline plan FILE` lists the variants of a pipeline.",
    },
    Code {
        code: "unreachable",
        title: "a file could not be fetched",
        page: "The place of a file did not answer, or answered with an error; all the places that are known have been tried.

    caused by: connection timed out

Try again, or fetch the file by other means and name it by its path.",
    },
    Code {
        code: "unused-stage",
        title: "nothing uses a stage",
        page: "No evaluation and no report depends on the stage in any variant, so it does not run.

    vectors: { use: embed, from: clean }         # in no stage's `from`

Name it in the `from` of a stage, or take it out.",
    },
    Code {
        code: "usage",
        title: "the command line asks for something that is not there",
        page: "The command is right, but one of its arguments is not: a name, a fold, a part that does not exist.

    fuseline explain tfid            # tfidf
    fuseline show p.yaml tfidf --fold 9

`fuseline COMMAND --help` lists the arguments.",
    },
    Code {
        code: "would-overwrite",
        title: "a file would be lost that nothing here wrote",
        page: "A run, a report or a baseline would be written over a pipeline, what it reads, or a file of somebody else.

    error[would-overwrite]: a run in `.` would write over `pipeline.yaml`, which is the pipeline

Runs write over older runs in the same folder, and over nothing else. Name a folder for the run alone (`--out DIR`), another
file (`--emit`, `--baseline`, `--plot`), or move the file away.",
    },
    Code {
        code: "wrong-type",
        title: "a value has the wrong type",
        page: r#"A number was expected and text found, a list and a single value, or the like.

    min_df: two                # a number: 2
    ngram_range: 2             # a list: [1, 2]
    max_features: "1000"       # without the quotes"#,
    },
    Code {
        code: "yaml",
        title: "the file is not YAML, or uses what a pipeline has no use for",
        page: r#"Brackets or quotes are not closed, the indentation is not regular or has tabs, a value holds `: ` without quotes, the file
holds several documents, or a tag such as `!env`.

    note: this: that           # write "this: that"
    <tab>name: spam               # indent with spaces"#,
    },
    Code {
        code: "zip-length",
        title: "a value has not an entry for each path that its axis sets",
        page: "An axis with a list under `set` sets several paths together, so each of its values is a list too, with one entry for each
path, in the same order.

    size: { set: [tfidf.ngram_range, tfidf.min_df], values: { small: [[1, 1], 2], big: [[1, 2]] } }

Here `big` lacks its `min_df`.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::CODES;

    /// All code under a folder, tests aside.
    fn sources(folder: &Path, found: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
            }
        }
    }

    fn is_code(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    }

    /// The word in quotes that a text begins with.
    fn quoted(text: &str) -> Option<&str> {
        let (word, _) = text.trim_start().strip_prefix('"')?.split_once('"')?;
        is_code(word).then_some(word)
    }

    #[test]
    fn codes_are_sorted_and_their_pages_have_a_sensible_length() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for code in CODES {
            assert!(is_code(code.code), "{}", code.code);
            assert!((3..=10).contains(&code.page.lines().count()), "{}", code.code);
            assert!(code.page.lines().any(|line| line.starts_with("    ")), "{} has no example", code.code);
            assert!(!code.title.ends_with('.') && !code.title.contains('\n'), "{}", code.code);
        }
    }

    #[test]
    fn every_code_that_is_used_has_a_page() {
        let mut texts = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for text in &texts {
            for call in ["Problem::error(", "Problem::warning(", ".problem(", "Fault::new("] {
                used.extend(text.split(call).skip(1).filter_map(quoted));
            }
        }
        assert!(used.len() > 30, "only {} codes were found: {used:?}", used.len());
        let unlisted: Vec<&&str> = used.iter().filter(|word| !CODES.iter().any(|code| code.code == **word)).collect();
        assert!(unlisted.is_empty(), "no page for {unlisted:?}");
    }
}
