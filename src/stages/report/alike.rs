//! Which other row says most nearly what a mistake says? Where it has another label, one of the two may be wrong, or the words do not
//! tell the two apart.

use arrow::array::{Array, StringArray};
use rustc_hash::FxHashMap;

use crate::ml::Task;
use crate::ml::alike::nearest;
use crate::record::Evaluation;
use crate::stage::{Part, StageError};
use crate::table::target::Target;
use crate::table::text;

use super::mistakes::{Findings, Mistake, brief};

/// The row nearest to a mistake.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nearest {
    /// The row's id.
    pub(super) row_id: String,
    /// What it is, where that is known.
    pub(super) label: Option<String>,
    /// The cosine of the words of both, by TF-IDF.
    pub(super) cosine: f64,
    /// What it says.
    pub(super) text: String,
}

/// Looks among all rows for the one nearest to each mistake that is shown. Evaluations of the same texts are looked at together.
pub(super) fn add_nearest(shown: &mut [(&Evaluation, &mut Findings)]) -> Result<(), StageError> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, (evaluation, _)) in shown.iter().enumerate() {
        let digest = |of: &Evaluation| of.rows.part("text").and_then(Part::digest);
        let same = |group: &&mut Vec<usize>| {
            digest(evaluation).is_some() && group.iter().any(|first| digest(shown[*first].0) == digest(evaluation))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    for group in groups {
        of_group(shown, &group)?;
    }
    Ok(())
}

fn of_group(shown: &mut [(&Evaluation, &mut Findings)], group: &[usize]) -> Result<(), StageError> {
    let Some(part) = group.first().and_then(|first| shown[*first].0.rows.part("text")) else { return Ok(()) };
    let table = part.table()?;
    let (ids, texts) = (text::row_ids(&table).map_err(StageError::caused)?, text::texts(&table));
    let texts = texts.map_err(StageError::caused)?;
    let mut asked: Vec<usize> = Vec::new();
    let mut places: FxHashMap<String, usize> = FxHashMap::default();
    let wanted = group.iter().flat_map(|at| &shown[*at].1.mistakes).map(|mistake| mistake.row_id.clone());
    places.extend(wanted.map(|row| (row, usize::MAX)));
    for row in 0..ids.len() {
        if let Some(place) = places.get_mut(ids.value(row)) {
            *place = asked.len();
            asked.push(row);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let found = nearest(ids.len(), |row| texts.value(row), &asked);
    for at in group {
        let (evaluation, findings) = &mut shown[*at];
        let labels = Labels::of(evaluation, ids, findings.task)?;
        for mistake in &mut findings.mistakes {
            let alike = places.get(&mistake.row_id).and_then(|place| found.get(*place).copied().flatten());
            mistake.nearest = alike.map(|alike| Nearest {
                row_id: ids.value(alike.row).to_owned(),
                label: labels.label(alike.row),
                cosine: alike.cosine,
                text: texts.value(alike.row).to_owned(),
            });
        }
    }
    Ok(())
}

/// What the rows are, in the order of their texts.
struct Labels {
    target: Option<Target>,
    task: Task,
}

impl Labels {
    fn of(evaluation: &Evaluation, ids: &StringArray, task: Task) -> Result<Labels, StageError> {
        let table = evaluation.rows.part("target").map(Part::table).transpose()?;
        let target = table.map(|table| Target::from_table(&table)).transpose().map_err(StageError::caused)?;
        let same = |target: &Target| target.row_id.iter().map(String::as_str).eq(ids.iter().flatten());
        Ok(Labels { target: target.filter(same), task })
    }

    fn label(&self, row: usize) -> Option<String> {
        let target = self.target.as_ref()?;
        match self.task {
            Task::Classes => target.label.as_ref()?.get(row)?.clone(),
            Task::Sets => target.label_set.as_ref()?.get(row).map(|set| set.join(", ")),
            Task::Values => target.value.as_ref()?.get(row).map(|value| brief(&value.to_string())),
        }
    }
}

/// What is said of a nearest row beside its label, and true if that is another than the mistake's.
pub(super) fn standing(mistake: &Mistake, nearest: &Nearest, task: Task) -> (&'static str, bool) {
    match (&nearest.label, task) {
        (None, _) => ("without a label", false),
        (Some(_), Task::Values) => ("", false),
        (Some(label), _) if *label == mistake.label => ("labelled alike", false),
        (Some(label), _) if *label == mistake.predicted => ("labelled as it was taken for", true),
        (Some(_), _) => ("labelled otherwise", true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::example::{evaluation_of, scored_rows};
    use crate::stages::report::mistakes::{FoldPrints, findings};

    #[test]
    fn each_mistake_has_its_nearest_row_and_what_that_is() {
        let rows = [
            ("a", 0, "x", "y", [0.1, 0.9]),
            ("b", 0, "y", "y", [0.2, 0.8]),
            ("c", 0, "y", "x", [0.7, 0.3]),
            ("d", 0, "x", "y", [0.4, 0.6]),
        ];
        let texts = ["a fine film", "A fine film!", "an endless night", "quite dull"].map(str::to_owned).to_vec();
        let mut evaluation = evaluation_of(0, &scored_rows(&["x", "y"], &rows, true), texts);
        let target = Target {
            row_id: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            label: Some(["x", "y", "y", "x"].map(|label| Some(label.to_owned())).to_vec()),
            ..Target::default()
        };
        evaluation.rows.insert("target", Part::memory(target.to_table().unwrap()));
        let mut found = findings(&evaluation, 9, &mut FoldPrints::default()).unwrap();
        add_nearest(&mut [(&evaluation, &mut found)]).unwrap();
        let near: Vec<_> = found.mistakes.iter().map(|m| (m.row_id.as_str(), m.nearest.clone())).collect();
        assert_eq!([near[0].0, near[1].0, near[2].0], ["a", "c", "d"]);
        let first = near[0].1.as_ref().unwrap();
        assert_eq!(
            (first.row_id.as_str(), first.label.as_deref(), first.text.as_str()),
            ("b", Some("y"), "A fine film!")
        );
        assert!((first.cosine - 1.0).abs() < 1e-12);
        assert_eq!(standing(&found.mistakes[0], first, Task::Classes), ("labelled as it was taken for", true));
        assert_eq!((&near[1].1, &near[2].1), (&None, &None), "no word in common");
    }
}
