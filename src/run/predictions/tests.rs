//! Are streamed predictions those of the whole table, and does a file stay only where it is the right one?

use std::path::PathBuf;

use arrow::array::{Array, Float64Array, UInt32Array};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::record::{Summary, VariantSummary};
use crate::stage::{Load, Parts};
use crate::store::Store;
use crate::table::predictions::{Predictions as Told, Scored};
use crate::table::to_parquet;

/// A run's results in a folder with a store.
struct Case {
    folder: TempDir,
    store: Arc<Store>,
    summary: Summary,
    scored: Vec<(usize, Scored)>,
}

fn variant(id: &str, evaluation: &str) -> VariantSummary {
    let value = json!({ "id": id, "label": "", "params": {}, "evaluation": evaluation, "rows": 1, "metrics": {}, "classes": [], "confusion": [] });
    serde_json::from_value(value).unwrap()
}

/// Rows that differ with the seed; every third has no label.
fn scored(seed: usize, rows: usize, classes: &[&str]) -> Scored {
    let class = |at: usize| classes.get(at % classes.len().max(1)).copied().unwrap_or("none").to_owned();
    Scored {
        fold: (0..rows).map(|row| (row % 5) as u32).collect(),
        label: (0..rows).map(|row| (row % 3 > 0).then(|| class(row))).collect(),
        predictions: Told {
            row_id: (0..rows).map(|row| format!("row {row}")).collect(),
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
            predicted: (0..rows).map(|row| class(row * seed)).collect(),
            scores: (0..rows * classes.len()).map(|at| (at * 31 + seed) as f64 / 7.0).collect(),
            probabilities: false,
        },
    }
}

impl Case {
    fn new(variants: Vec<VariantSummary>, scored: Vec<(usize, Scored)>) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("cache")).unwrap());
        let totals = json!({ "ran": 0, "reused": 0, "failed": 0, "skipped": 0, "seconds": 0.0 });
        let summary = json!({
            "name": "n", "fuseline_version": "1.2.3", "status": "complete", "seed": 1, "variants": variants, "units": [],
            "totals": totals, "inputs": [], "models": [], "warnings": [],
        });
        std::fs::create_dir(folder.path().join("out")).unwrap();
        Case { folder, store, summary: serde_json::from_value(summary).unwrap(), scored }
    }

    fn two() -> Case {
        let scored = vec![(0, scored(1, 10, &["a", "b"])), (1, scored(2, 10, &["a", "b"]))];
        Case::new(vec![variant("v0", "cv"), variant("v1", "cv")], scored)
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn results(&self) -> Results<'_> {
        let of = |(variant, scored): &(usize, Scored)| {
            let blob = self.store.put_table(&scored.to_table().unwrap()).unwrap();
            let mut scores = Parts::default();
            scores.insert("predictions", Part::stored(blob.digest, Arc::clone(&self.store) as Arc<dyn Load>));
            Evaluation { variant: *variant, scores, rows: Parts::default() }
        };
        let evaluations = self.scored.iter().map(of).collect();
        Results { summary: &self.summary, pipeline: "", file: "", evaluations }
    }

    /// Makes the predictions and puts them where they belong. True if the file there stayed.
    fn run(&self) -> bool {
        let made =
            Predictions::of(&self.results(), &self.out(), || NamedTempFile::new_in(self.out())).unwrap().unwrap();
        let manifest = json!({
            "format": MANIFEST_FORMAT,
            "predictions": made.digest,
            "predictions_from": made.source.unwrap(),
            "units": [{ "stage": "clean" }],
        });
        let stayed = made.file.is_none();
        made.file.map(|file| file.persist(self.out().join(NAME)).unwrap());
        self.manifest(&manifest.to_string());
        let bytes = std::fs::read(self.out().join(NAME)).unwrap();
        assert_eq!(Digest::of(&bytes), made.digest);
        assert!(bytes == to_parquet(&self.whole()).unwrap());
        stayed
    }

    fn manifest(&self, text: &str) {
        std::fs::write(self.out().join("manifest.json"), text).unwrap();
    }

    /// The table as one piece, put together value by value.
    fn whole(&self) -> RecordBatch {
        let rows = || {
            self.scored.iter().flat_map(|(v, s)| (0..s.fold.len()).map(move |row| (&self.summary.variants[*v], s, row)))
        };
        let mut columns: Vec<(String, ArrayRef, bool)> = vec![
            (
                "row_id".into(),
                Arc::new(rows().map(|(_, s, row)| Some(s.predictions.row_id[row].as_str())).collect::<StringArray>()),
                false,
            ),
            ("variant".into(), Arc::new(rows().map(|(v, ..)| Some(v.id.as_str())).collect::<StringArray>()), false),
            ("fold".into(), Arc::new(UInt32Array::from_iter_values(rows().map(|(_, s, row)| s.fold[row]))), false),
            (
                "label".into(),
                Arc::new(rows().map(|(_, s, row)| s.label[row].as_deref()).collect::<StringArray>()),
                true,
            ),
            (
                "predicted".into(),
                Arc::new(
                    rows().map(|(_, s, row)| Some(s.predictions.predicted[row].as_str())).collect::<StringArray>(),
                ),
                false,
            ),
        ];
        if self.summary.variants.iter().any(|v| v.evaluation != self.summary.variants[0].evaluation) {
            let names: StringArray = rows().map(|(v, ..)| Some(v.evaluation.as_str())).collect();
            columns.insert(2, ("evaluation".into(), Arc::new(names), false));
        }
        let mut classes: Vec<&String> = self.scored.iter().flat_map(|(_, s)| &s.predictions.classes).collect();
        classes.sort();
        classes.dedup();
        for class in classes {
            let score = |s: &Scored, row: usize| {
                let at = s.predictions.classes.iter().position(|known| known == class)?;
                s.predictions.scores.get(row * s.predictions.classes.len() + at).copied()
            };
            let values: Float64Array = rows().map(|(_, s, row)| score(s, row)).collect();
            columns.push((format!("score:{class}"), Arc::new(values), true));
        }
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }
}

#[test]
fn streamed_predictions_are_those_of_the_whole_table() {
    let names = || vec![variant("v0", "cv"), variant("v1", "cv"), variant("v2", "cv")];
    let alike =
        vec![(0, scored(1, 1500, &["a", "b"])), (1, scored(2, 1500, &["a", "b"])), (2, scored(3, 1500, &["a", "b"]))];
    assert!(!Case::new(names(), alike).run());
    // Other classes, in another order, of other lengths; a variant without rows, one without scores, and one without classes.
    let other =
        vec![(0, scored(1, 700, &["b", "a.b", "ö"])), (1, scored(2, 0, &["c", "b"])), (2, scored(3, 1025, &[]))];
    assert!(!Case::new(names(), other).run());
    let several = vec![variant("v0", "cv"), variant("v0", "holdout"), variant("v1", "cv"), variant("v1", "holdout")];
    let scored = [0, 1, 3].map(|v| (v, scored(v, 900 + v, if v == 1 { &["b"] } else { &["a", "b"] })));
    assert!(!Case::new(several, scored.to_vec()).run());
    assert!(
        Predictions::of(&Case::new(names(), Vec::new()).results(), Path::new("."), || unreachable!())
            .unwrap()
            .is_none()
    );
}

#[test]
fn predictions_stay_where_they_are_the_right_ones() {
    let mut case = Case::two();
    assert!(!case.run());
    assert!(case.run() && case.run());
    let swapped = vec![case.scored[1].clone(), case.scored[0].clone()];
    let before = std::mem::replace(&mut case.scored, swapped);
    assert!(!case.run(), "variants in another order");
    case.scored = before;
    case.scored[1].1.predictions.scores[3] = 0.5;
    assert!(!case.run() && case.run(), "another score");
    case.summary.variants[0].id = "v3".into();
    assert!(!case.run() && case.run(), "another id");
    case.summary.variants.push(variant("v4", "other"));
    assert!(!case.run() && case.run(), "a column more");
    case.summary.fuseline_version = "1.2.4".into();
    assert!(!case.run() && case.run(), "another version");
    case.scored.pop();
    assert!(!case.run() && case.run(), "a variant less");
}

#[test]
fn what_was_touched_is_made_anew() {
    let case = Case::two();
    case.run();
    let (path, manifest) = (case.out().join(NAME), case.out().join("manifest.json"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(!case.run() && case.run(), "other bytes");
    std::fs::remove_file(&path).unwrap();
    assert!(!case.run() && case.run(), "none");
    let said = std::fs::read_to_string(&manifest).unwrap();
    for other in ["", "{}", "[1]", &said.replace("\"format\":1", "\"format\":9"), &said.replace("_from\"", "_of\"")] {
        case.manifest(other);
        assert!(!case.run() && case.run(), "{other}");
    }
    std::fs::remove_file(&manifest).unwrap();
    assert!(!case.run() && case.run(), "no manifest");
    #[cfg(unix)]
    {
        std::fs::rename(&path, case.out().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(!case.run() && case.run(), "a link");
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    }
}

#[test]
fn numbers_and_sets_have_columns_of_their_own() {
    let case = Case::two();
    let text = |set: &[&str]| set.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let numbers = values::ScoredValues {
        fold: vec![0, 1],
        truth: vec![1.0, 2.0],
        predictions: values::PredictedValues { row_id: text(&["a", "b"]), value: vec![1.5, 2.5] },
    };
    let of_sets = sets::ScoredSets {
        fold: vec![0],
        truth: vec![text(&["x", "y"])],
        predictions: sets::PredictedSets {
            row_id: text(&["c"]),
            classes: text(&["x"]),
            sets: vec![text(&["x"])],
            scores: vec![0.75],
            probabilities: true,
        },
    };
    let of = |(variant, table): (usize, RecordBatch)| {
        let mut scores = Parts::default();
        scores.insert("predictions", Part::memory(table));
        Evaluation { variant, scores, rows: Parts::default() }
    };
    let tables = vec![numbers.to_table().unwrap(), of_sets.to_table().unwrap()];
    let evaluations = tables.into_iter().enumerate().map(of).collect();
    let results = Results { summary: &case.summary, pipeline: "", file: "", evaluations };
    let whole = crate::table::from_parquet(write(&results, Vec::new()).unwrap()).unwrap();
    let names: Vec<&str> = whole.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    let own = ["value", "predicted_value", "label_set", "predicted_set"];
    assert_eq!(names, [&["row_id", "variant", "fold", "label", "predicted"], own.as_slice(), &["score:x"]].concat());
    let column = |name: &str| whole.column_by_name(name).unwrap();
    let filled = |name: &str| (0..3).map(|row| column(name).is_valid(row)).collect::<Vec<_>>();
    assert_eq!((filled("value"), filled("predicted_set")), (vec![true, true, false], vec![false, false, true]));
    assert_eq!(filled("score:x"), [false, false, true]);
    let predicted = column("predicted").as_any().downcast_ref::<StringArray>().unwrap();
    assert_eq!(predicted.iter().flatten().collect::<Vec<_>>(), ["1.5", "2.5", "x"]);
}
