//! Is what the ranking says what the scores say?

use super::super::example::{comparison, metric, summary, variant};
use super::super::words::plain;
use super::*;
use crate::record::{CurvePoint, LearningCurve, ScoredOn};

fn print(byte: u8) -> Option<FoldPrint> {
    Some(FoldPrint { digest: [byte; 32], repeats: 1 })
}

fn ranking<'a>(summary: &'a Summary, wanted: Option<&str>) -> Ranking<'a> {
    Ranking::all(summary, wanted).remove(0)
}

fn verdict(summary: &Summary, wanted: &str, folds: &[Option<FoldPrint>]) -> Vec<String> {
    ranking(summary, Some(wanted)).verdict(folds).iter().map(plain).collect()
}

fn three() -> Summary {
    let mut run = summary(vec![
        variant("words", &[0.79, 0.80, 0.79]),
        variant("both", &[0.81, 0.82, 0.81]),
        variant("meaning", &[0.77, 0.78, 0.78]),
    ]);
    run.comparisons = vec![comparison(&run, 1, 0, 0.02, 0.21), comparison(&run, 1, 2, 0.037, 0.0004)];
    run
}

#[test]
fn the_best_is_named_with_its_lead_and_its_doubts() {
    let run = three();
    let ranking = ranking(&run, Some("accuracy"));
    let places: Vec<_> = ranking.rows.iter().map(|r| (r.place, r.name.as_str())).collect();
    assert_eq!(places, [(Some(1), "both"), (Some(2), "words"), (Some(3), "meaning")]);
    let words = verdict(&run, "accuracy", &[print(1), print(1), print(1)]);
    assert_eq!(
        words[0],
        "both is best by accuracy: 0.8133 (95% interval 0.8076 to 0.8191, bootstrap over rows; over the rows of 3 folds), 2.0 points \
         above the next, words (0.7933)."
    );
    assert_eq!(
        words[1],
        "The lead may be chance: 95% interval 1.0 to 3.0 points, p = 0.21 after Holm’s correction over 3 pairs, by McNemar’s \
         test (mid-p) and a paired bootstrap over rows. On the 40 rows where one of the two does better, it is the first on \
         75% (95% interval 60% to 86%). Interval and p allow for the training rows that folds share; repeated folds would \
         tell more."
    );
    assert_eq!(words[2], "Of 2 others it beats 1; not told apart from it: words.");
    let distances: Vec<String> = ranking.rows.iter().map(|row| ranking.distance(row)).collect();
    assert_eq!(
        distances,
        ["best", "2.0 points behind (1.0 to 3.0 points): level", "3.7 points behind (2.7 to 4.7 points): worse"]
    );
    let mut sure = run;
    sure.comparisons[0].verdict = Verdict::Better;
    assert!(verdict(&sure, "accuracy", &[])[1].starts_with("The lead is real: 95% interval"));
    sure.comparisons.clear();
    assert_eq!(verdict(&sure, "accuracy", &[])[1], "Whether the lead is real cannot be told.");
}

#[test]
fn what_choosing_has_cost_is_told() {
    let mut run = three();
    run.best = vec![BestOf {
        metric: "accuracy".into(),
        best: rival(&run.variants[1]),
        of: 3,
        score: 0.8133,
        optimism: Some(0.004),
        honest: Some(0.8093),
        chosen: Some(0.9),
        level: 1,
        inside_noise: true,
        within_one_standard_error: [0, 1].map(|at| rival(&run.variants[at])).to_vec(),
        sentence: String::new(),
    }];
    let words = verdict(&run, "accuracy", &[]);
    assert_eq!(
        words[4],
        "Within one standard error of the best: words; the simplest of them all is a fair choice too."
    );
    run.best[0].within_one_standard_error.remove(0);
    assert_eq!(verdict(&run, "accuracy", &[]).len(), 4, "the best alone is near itself");
    assert_eq!(
        words[3],
        "The best of 3 was chosen on the rows that it is scored on, which may be expected to flatter it by 0.4 points: 0.8093 \
         is left; the choice is inside the noise: 1 other is not told apart from it."
    );
}

#[test]
fn those_on_fewer_rows_stand_below_without_a_place() {
    let mut run = three();
    for (variant, rows) in run.variants.iter_mut().zip(["all", "100", "all"]) {
        variant.params.insert("train_rows".into(), rows.into());
    }
    let curve = |points: &[(usize, u64)]| LearningCurve {
        evaluation: "scores".into(),
        axis: "train_rows".into(),
        label: String::new(),
        points: points
            .iter()
            .map(|(at, train_rows)| CurvePoint { variant: run.variants[*at].id.clone(), train_rows: *train_rows })
            .collect(),
    };
    run.learning_curves = vec![curve(&[(1, 100), (0, 160)]), curve(&[(2, 160)])];
    run.comparisons = vec![comparison(&run, 0, 2, 0.0167, 0.2)];
    let ranking = ranking(&run, None);
    let places: Vec<_> = ranking.rows.iter().map(|r| (r.place, r.name.as_str())).collect();
    assert_eq!(places, [(Some(1), "words"), (Some(2), "meaning"), (None, "both")]);
    assert_eq!(ranking.distance(&ranking.rows[2]), "fewer training rows");
    assert!(ranking.best_of("accuracy").is_some_and(|best| (best - 0.7933).abs() < 1e-3));
    let words = verdict(&run, "accuracy", &[]);
    assert!(words[0].starts_with("words is best by accuracy") && words[0].contains("the next, meaning"), "{words:?}");
    assert_eq!(words.last().unwrap(), "1 variant on fewer rows is not ranked: see the learning curves.");
    // the only one with all rows is compared with nothing
    run.variants.remove(2);
    run.learning_curves.remove(1);
    run.comparisons.clear();
    let words = verdict(&run, "accuracy", &[]);
    assert!(words[0].starts_with("words reaches an accuracy of 0.7933"), "{words:?}");
    assert_eq!(words.len(), 2);
}

#[test]
fn what_was_scored_otherwise_is_never_ranked_together() {
    let mut run = three();
    run.variants[0].scored_on = Some(ScoredOn { rows: "0123".into(), folds: "ffff".into() });
    let all = Ranking::all(&run, None);
    let names: Vec<Vec<&str>> = all.iter().map(|r| r.rows.iter().map(|row| row.name.as_str()).collect()).collect();
    assert_eq!(names, [vec!["both", "meaning"], vec!["words"]]);
    assert!(all[0].apart.is_empty());
    assert_eq!(all[1].apart, "scored on the same rows in other folds, and so not ranked with the others");
    run.variants[0].scored_on = Some(ScoredOn { rows: "ffff".into(), folds: "ffff".into() });
    assert!(Ranking::all(&run, None)[1].apart.starts_with("scored on other rows"));
}

#[test]
fn what_ranks_is_told_where_nothing_was_asked_for() {
    let mut run = summary(vec![variant("ridge", &[0.5, 0.6]), variant("svr", &[0.4, 0.5])]);
    for one in &mut run.variants {
        let accuracy = one.metrics.remove("accuracy").unwrap();
        one.metrics.insert("r2".to_owned(), accuracy);
    }
    let ranking = ranking(&run, None);
    assert!(!ranking.fell_back && ranking.metric == "r2");
    let words: Vec<String> = ranking.verdict(&[]).iter().map(plain).collect();
    assert_eq!(words[2], "metric of the report was not set, and r2 is the first that the scores have.");
}

#[test]
fn ties_are_level() {
    let level = summary(vec![variant("a", &[0.5, 0.7]), variant("b", &[0.7, 0.5])]);
    let words = verdict(&level, "accuracy", &[print(1), print(1)]);
    assert!(words[0].starts_with("a and b are level at the top by accuracy"), "{}", words[0]);
    assert_eq!(ranking(&level, Some("accuracy")).rows.iter().map(|r| r.place).collect::<Vec<_>>(), [Some(1); 2]);
}

#[test]
fn less_may_be_better() {
    let mut run = summary(vec![variant("a", &[0.5]), variant("bb", &[0.5])]);
    run.variants[0].metrics.insert("log_loss".into(), metric(&[0.6, 0.7], false));
    run.variants[1].metrics.insert("log_loss".into(), metric(&[0.4, 0.5], false));
    run.comparisons = vec![Comparison {
        metric: "log_loss".into(),
        verdict: Verdict::Better,
        ci95: Some([-0.3, -0.1]),
        ..comparison(&run, 1, 0, -0.2, 0.001)
    }];
    let words = verdict(&run, "log_loss", &[]);
    assert!(words[0].starts_with("bb is best by log_loss: 0.4500"), "{}", words[0]);
    assert!(words[0].contains("0.2000 below the next, a"), "{}", words[0]);
    let ranking = ranking(&run, Some("log_loss"));
    assert_eq!(ranking.distance(&ranking.rows[1]), "0.2000 behind (0.1000 to 0.3000): worse");
}

#[test]
fn one_none_and_undefined_are_said_plainly() {
    assert_eq!(verdict(&summary(vec![]), "accuracy", &[])[0], "No variant was scored, so there is nothing to rank.");
    let one = summary(vec![variant("", &[0.75])]);
    let words = verdict(&one, "accuracy", &[print(1)]);
    assert_eq!(
        words,
        ["The pipeline reaches an accuracy of 0.7500 (on one fold). There is no other variant to compare with."]
    );
    let mut undefined = summary(vec![variant("a", &[0.5])]);
    undefined.variants[0]
        .metrics
        .insert("roc_auc".into(), MetricSummary { mean: None, estimate: None, ..metric(&[0.5], true) });
    assert!(verdict(&undefined, "roc_auc", &[])[0].contains("undefined for every variant"));
    assert!(ranking(&undefined, Some("f1_macro")).fell_back);
    assert_eq!(ranking(&undefined, Some("f1_macro")).metric, "accuracy");
    assert_eq!(ranking(&undefined, Some("roc_auc")).columns, ["roc_auc", "accuracy"]);
}

#[test]
fn unfinished_variants_are_not_ranked() {
    let mut run = summary(vec![variant("a", &[0.5]), variant("b", &[0.6])]);
    run.variants[1].metrics.clear();
    let ranking = ranking(&run, Some("accuracy"));
    assert_eq!((ranking.rows.len(), ranking.unfinished), (1, vec!["b".to_owned()]));
}
