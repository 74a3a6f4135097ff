//! Is it found out what a model looks at, without a score changing? And is it right?

use serde_json::Value;

use crate::support::{Project, snippets};

/// Words and letters over `data.csv`; `model` is what stands between `fused` and `scores`.
fn pipeline(model: &str, scores: &str) -> String {
    format!(
        "name: looks
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label }} }}
  words: {{ use: tfidf, from: rows, with: {{ tokens: {{}} }} }}
  letters: {{ use: tfidf, from: rows, with: {{ tokens: {{ tokenizer: {{ char: {{ ngram_range: [2, 3] }} }} }} }} }}
  fused: {{ use: fuse, from: [words, letters] }}
{model}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 3{scores} }} }}
  report: {{ use: report, from: scores }}
"
    )
}

const SVC: &str = "  model: { use: train, from: fused, with: { estimator: { linear_svc: {} } } }";
const ASKED: &str = ", importance: { permutations: 2, top_terms: 3 }";

fn project(model: &str, scores: &str) -> Project {
    Project::new().file("data.csv", snippets(90)).file("p.yaml", pipeline(model, scores))
}

fn run(project: &Project) -> Value {
    project.ok(["run", "p.yaml", "--out", "out"]);
    project.summary("out")
}

fn count(summary: &Value, phase: &str, outcome: &str) -> usize {
    let units = summary["units"].as_array().unwrap().iter();
    units.filter(|unit| unit["phase"] == phase && unit["outcome"] == outcome).count()
}

fn blocks(summary: &Value) -> Vec<&str> {
    let blocks = summary["importances"][0]["blocks"].as_array().unwrap();
    blocks.iter().map(|block| block["block"].as_str().unwrap()).collect()
}

fn fall(block: &Value, metric: &str) -> f64 {
    block["metrics"][metric]["fall"].as_f64().unwrap()
}

#[test]
fn asking_computes_no_score_again() {
    let project = project(SVC, "");
    let before = run(&project);
    assert_eq!((before.get("importances"), count(&before, "shuffle", "ran")), (None, 0));
    project.write("p.yaml", pipeline(SVC, ASKED));
    let after = run(&project);
    assert_eq!(after["variants"], before["variants"]);
    let ran: u64 = after["totals"]["ran"].as_u64().unwrap();
    assert_eq!(["shuffle", "weigh", "importance"].map(|phase| count(&after, phase, "ran")), [3, 3, 1]);
    assert_eq!(ran, 7, "nothing else");
    assert_eq!(blocks(&after), ["words", "letters"]);
    let shares = after["importances"][0]["blocks"].as_array().unwrap();
    let sum: f64 = shares.iter().map(|block| block["share"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    let terms = after["importances"][0]["terms"].as_array().unwrap();
    assert_eq!(terms.iter().map(|class| class["towards"].as_array().unwrap().len()).collect::<Vec<_>>(), [3, 3]);
    let again = run(&project);
    assert_eq!(again["totals"]["ran"], 0);
    assert_eq!(again["importances"], after["importances"]);
    // other terms are asked of the same weights
    project.write("p.yaml", pipeline(SVC, ", importance: { permutations: 2, top_terms: 1 }"));
    assert_eq!(run(&project)["totals"]["ran"], 1);
    let report = String::from_utf8(project.read("out/report.md")).unwrap();
    assert!(report.contains("## What the models look at") && report.contains("### Terms that weigh most"), "{report}");
}

#[test]
fn models_over_one_learner_are_looked_into() {
    let under = "  base: { use: train, from: fused, with: { estimator: { logistic_regression: {} } } }\n";
    let calibrated = format!("{under}  model: {{ use: calibrate, from: base }}");
    let summary = run(&project(&calibrated, ASKED));
    assert_eq!(blocks(&summary), ["words", "letters"]);
    // the learner predicts and what stands over it turns that into its own
    assert_eq!((count(&summary, "shuffle", "ran"), count(&summary, "weigh", "ran")), (6, 3));
    assert!(summary["importances"][0]["blocks"][1]["metrics"]["log_loss"]["fall"].is_f64());

    let tuned = format!(
        "{under}  model: {{ use: tune, from: base, with: {{ folds: 2, metric: accuracy, grid: {{ base.estimator.logistic_regression.c: [0.1, 10] }} }} }}"
    );
    let summary = run(&project(&tuned, ASKED));
    assert_eq!((blocks(&summary), count(&summary, "shuffle", "ran")), (vec!["words", "letters"], 3));

    let near = "  model: { use: train, from: fused, with: { estimator: { k_neighbors: {} } } }";
    let summary = run(&project(near, ASKED));
    assert_eq!((blocks(&summary), count(&summary, "weigh", "ran")), (vec!["words", "letters"], 0));
    assert!(summary["importances"][0]["blocks"][0]["share"].is_null());
}

#[test]
fn what_cannot_be_shuffled_is_said() {
    let one = "  model: { use: train, from: words, with: { estimator: { k_neighbors: {} } } }";
    let summary = run(&project(one, ASKED));
    assert_eq!(summary["importances"][0]["unshuffled"], "its model reads one block of features");
    assert_eq!((count(&summary, "shuffle", "ran"), count(&summary, "importance", "ran")), (0, 0));

    let several = "  a: { use: train, from: words, with: { estimator: { linear_svc: {} } } }
  b: { use: train, from: letters, with: { estimator: { linear_svc: {} } } }
  model: { use: ensemble, from: [a, b], with: { vote: { voting: hard } } }";
    let project = project(several, ASKED);
    let summary = run(&project);
    assert_eq!(summary["importances"][0]["unshuffled"], "its answers do not come from one learner that reads features");
    let report = String::from_utf8(project.read("out/report.md")).unwrap();
    assert!(report.contains("Nothing was shuffled for"), "{report}");
}

/// Rows with two numbers: `signal` says the class, `noise` is always the same.
fn columns(rows: usize) -> String {
    let mut text = "id,text,label,signal,noise\n".to_owned();
    for row in 0..rows {
        let (label, signal) = if row % 2 == 0 { ("no", -1.0) } else { ("yes", 1.0) };
        text.push_str(&format!("{row},t,{label},{},5\n", signal + 0.3 * (row as f64 * 0.7).sin()));
    }
    text
}

#[test]
fn a_block_that_knows_nothing_is_worth_nothing_and_the_only_one_that_knows_is_worth_all() {
    let pipeline = "name: looks
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label, columns: [signal, noise] } }
  signal: { use: encode, from: rows, with: { numeric: [signal] } }
  noise: { use: encode, from: rows, with: { numeric: [noise] } }
  fused: { use: fuse, from: [signal, noise] }
  model: { use: train, from: fused, with: { estimator: { logistic_regression: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 2, metrics: [accuracy, log_loss], importance: { permutations: 100 } } }
";
    let project = Project::new().file("data.csv", columns(400)).file("p.yaml", pipeline);
    let summary = run(&project);
    assert_eq!(blocks(&summary), ["signal", "noise"]);
    let [signal, noise] = [0, 1].map(|at| &summary["importances"][0]["blocks"][at]);
    assert_eq!(summary["variants"][0]["metrics"]["accuracy"]["mean"], 1.0);
    assert_eq!([fall(noise, "accuracy"), fall(noise, "log_loss")], [0.0, 0.0]);
    assert_eq!((signal["share"].as_f64(), noise["share"].as_f64()), (Some(1.0), Some(0.0)));
    // 200 shuffles of 200 rows of two classes, half each: the standard error of the mean is 0.0025
    let to_chance = fall(signal, "accuracy");
    assert!((to_chance - 0.5).abs() < 0.01, "{to_chance}");
    assert!(fall(signal, "log_loss") > 0.5);
}

#[test]
fn blocks_of_one_stage_are_numbered() {
    let pipeline = "name: looks
stages:
  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label, columns: [signal, noise] } }
  both: { use: encode, from: rows, with: { numeric: [signal], categorical: [noise] } }
  scaled: { use: scale, from: both, with: { method: max_abs } }
  model: { use: train, from: scaled, with: { estimator: { linear_svc: {} } } }
  scores: { use: cross_validate, from: model, with: { folds: 2, importance: {} } }
";
    let project = Project::new().file("data.csv", columns(60)).file("p.yaml", pipeline);
    let summary = run(&project);
    assert_eq!(blocks(&summary), ["both 1", "both 2"]);
    assert_eq!(count(&summary, "shuffle", "ran"), 2);
    let terms = &summary["importances"][0]["terms"][0];
    assert_eq!((terms["class"].as_str(), terms["towards"][0]["block"].as_str()), (Some("yes"), Some("both 1")));
}

/// Two informative numbers and what they add up to, with noise; every third row is held out.
fn sums() -> String {
    let mut text = "id,text,a,b,value,label,part\n".to_owned();
    for row in 0..300 {
        let at = f64::from(row);
        let a = (at * 1.3).sin() + 0.5 * (at * 0.37).cos();
        let b = (at * 2.1).cos();
        let value = 2.0 * a + b + 0.5 * (at * at * 0.71).sin();
        let label = if value > 0.0 { "yes" } else { "no" };
        let part = if row % 3 == 0 { "test" } else { "train" };
        text.push_str(&format!("{row},t,{a},{b},{value},{label},{part}\n"));
    }
    text
}

/// scikit-learn 1.9's `permutation_importance` on the same rows (2000 repeats): for each metric and block the mean, and the standard
/// deviation of one repeat.
type Reference = [(&'static str, [(f64, f64); 2]); 2];

const VALUES: Reference = [
    ("r2", [(1.84257568, 0.18859024), (0.10593175, 0.01432685)]),
    ("mean_absolute_error", [(1.4591326, 0.10916444), (0.19240066, 0.02762047)]),
];
const CLASSES: Reference = [
    ("accuracy", [(0.412795, 0.04753249), (0.042835, 0.01792799)]),
    ("log_loss", [(1.52218359, 0.18650067), (0.07533273, 0.01948149)]),
];

#[test]
fn falls_are_those_of_scikit_learn_but_for_chance() {
    let of = |target: &str, estimator: &str, reference: Reference| {
        let pipeline = format!(
            "name: looks
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, {target}, split: part, columns: [a, b] }} }}
  a: {{ use: encode, from: rows, with: {{ numeric: [a] }} }}
  b: {{ use: encode, from: rows, with: {{ numeric: [b] }} }}
  fused: {{ use: fuse, from: [a, b] }}
  model: {{ use: train, from: fused, with: {{ estimator: {{ {estimator} }} }} }}
  scores:
    use: cross_validate
    from: model
    with: {{ holdout: test, metrics: [{}, {}], importance: {{ permutations: 100 }} }}
",
            reference[0].0, reference[1].0
        );
        let project = Project::new().file("data.csv", sums()).file("p.yaml", pipeline);
        let summary = run(&project);
        assert_eq!(blocks(&summary), ["a", "b"]);
        for (metric, blocks) in reference {
            for (at, (mean, deviation)) in blocks.into_iter().enumerate() {
                let found = fall(&summary["importances"][0]["blocks"][at], metric);
                // four standard errors of a mean over 100 draws
                assert!((found - mean).abs() < 0.4 * deviation, "{metric} of block {at}: {found}, not {mean}");
            }
        }
        summary
    };
    let numbers = of("value: value", "ridge: { alpha: 1.0 }", VALUES);
    let terms = &numbers["importances"][0]["terms"][0];
    assert_eq!((terms["class"].as_str(), terms["towards"][0]["term"].as_str()), (Some(""), Some("a")));
    of("label: label", "logistic_regression: { c: 1.0 }", CLASSES);
}
