//! How do the columns that are counted come into memory? Batch by batch, as numbers: never all texts, labels or row ids.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{
    Array, BooleanArray, FixedSizeBinaryArray, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
    UInt64Array,
};
use rustc_hash::FxHashMap;

use crate::ml::near::{self, Signature};
use crate::stage::{Ctx, FoldId, Part, Parts, StageError};

/// No class, split, group.
pub(super) const NONE: u32 = u32::MAX;

/// Beyond so many rows nearly equal texts are not looked for, and beyond so many no text is looked up.
const NEAR_ROWS: usize = 4_000_000;
const TEXT_ROWS: usize = 2_000_000;

/// Characters of an example's text.
const SHOWN: usize = 200;

/// What is counted, one entry for each row.
pub(super) struct Columns {
    pub(super) characters: Ranked,
    pub(super) words: Ranked,
    /// The first row with the same text; with the same words; with nearly the same.
    pub(super) exact: Vec<u32>,
    pub(super) folded: Vec<u32>,
    pub(super) near: Option<Vec<u32>>,
    pub(super) language: Vec<u32>,
    pub(super) languages: Vec<String>,
    /// What each row is labelled with: one class, or a set of them.
    pub(super) label: Vec<u32>,
    /// What these are called, and which classes each has.
    labels: Vec<String>,
    members: Vec<Vec<u32>>,
    pub(super) classes: Vec<String>,
    pub(super) split: Vec<u32>,
    pub(super) splits: Vec<String>,
    pub(super) group: Option<Vec<u32>>,
    /// Rows with a count, by what was counted.
    pub(super) notes: BTreeMap<String, Vec<(u32, u64)>>,
    /// Rows that lost tokens, by survey.
    pub(super) truncated: Vec<Vec<(u32, u64)>>,
}

/// Values, and the rows from the least value to the most.
#[derive(Default)]
pub(super) struct Ranked {
    pub(super) values: Vec<u32>,
    pub(super) order: Vec<u32>,
}

impl Ranked {
    fn of(values: Vec<u32>) -> Self {
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_unstable_by_key(|&row| (values[row as usize], row));
        Ranked { values, order }
    }
}

/// Text as numbers, in order of first appearance.
#[derive(Default)]
struct Names {
    of: FxHashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return NONE };
        if let Some(&number) = self.of.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.of.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    /// The names in the order of `key`, and the column in their numbers.
    fn sorted<K: Ord>(self, column: &mut [u32], key: impl Fn(&str, u32) -> K) -> Vec<String> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_by_key(|&number| key(&self.names[number as usize], number));
        let mut place = vec![0; order.len()];
        (0..).zip(&order).for_each(|(at, &number)| place[number as usize] = at);
        column.iter_mut().filter(|number| **number != NONE).for_each(|number| *number = place[*number as usize]);
        order.into_iter().map(|number| self.names[number as usize].clone()).collect()
    }
}

impl Columns {
    /// Reads them.
    pub(super) fn read(rows: &Parts, surveys: &[Parts], ctx: &Ctx<'_>) -> Result<Self, StageError> {
        let mut columns = Columns::of_profile(rows)?;
        ctx.check()?;
        columns.near = columns.near(rows)?;
        ctx.check()?;
        columns.add_target(rows)?;
        let count = columns.rows();
        if [columns.label.len(), columns.split.len()].iter().any(|found| *found != count) {
            return Err(StageError::failed("the ledger's tables have not equally many rows"));
        }
        if let Some(notes) = rows.part("notes") {
            columns.notes = noted(notes)?;
        }
        for survey in surveys {
            let notes = survey.part("notes").map(noted).transpose()?;
            columns.truncated.push(notes.and_then(|mut notes| notes.remove("tokens_lost")).unwrap_or_default());
        }
        Ok(columns)
    }

    pub(super) fn rows(&self) -> usize {
        self.exact.len()
    }

    pub(super) fn label_of(&self, row: u32) -> Option<String> {
        let label = *self.label.get(row as usize)?;
        self.labels.get(label as usize).cloned()
    }

    /// The classes of a row.
    pub(super) fn classes_of(&self, row: usize) -> &[u32] {
        self.label.get(row).and_then(|&label| self.members.get(label as usize)).map_or(&[], Vec::as_slice)
    }

    /// The rows that a fold trains on, and those that it tests.
    pub(super) fn fold(&self, id: FoldId, part: &Part) -> Result<(Vec<bool>, Vec<bool>), StageError> {
        let (mut train, mut test) = (Vec::with_capacity(self.rows()), Vec::with_capacity(self.rows()));
        for batch in part.batches()? {
            let batch = batch?;
            for (name, into) in [("train", &mut train), ("test", &mut test)] {
                let column: &BooleanArray = column(&batch, name)?;
                into.extend(column.iter().map(Option::unwrap_or_default));
            }
        }
        match train.len() == self.rows() {
            true => Ok((train, test)),
            false => Err(StageError::failed(format!("`{}` has not as many rows as the ledger", id.part()))),
        }
    }

    fn of_profile(rows: &Parts) -> Result<Self, StageError> {
        let (mut characters, mut words, mut language) = (Vec::new(), Vec::new(), Vec::new());
        let (mut exact, mut folded) = (Vec::new(), Vec::new());
        let mut languages = Names::default();
        for batch in part(rows, "profile")?.batches()? {
            let batch = batch?;
            characters.extend(column::<UInt32Array>(&batch, "characters")?.values());
            words.extend(column::<UInt32Array>(&batch, "words")?.values());
            exact.extend_from_slice(column::<UInt64Array>(&batch, "exact")?.values());
            folded.extend_from_slice(column::<UInt64Array>(&batch, "folded")?.values());
            language.extend(column::<StringArray>(&batch, "language")?.iter().map(|code| languages.number(code)));
        }
        Ok(Columns {
            characters: Ranked::of(characters),
            words: Ranked::of(words),
            exact: firsts(exact),
            folded: firsts(folded),
            near: None,
            language,
            languages: languages.names,
            label: Vec::new(),
            labels: Vec::new(),
            members: Vec::new(),
            classes: Vec::new(),
            split: Vec::new(),
            splits: Vec::new(),
            group: None,
            notes: BTreeMap::new(),
            truncated: Vec::new(),
        })
    }

    /// Groups of nearly equal texts, among the first rows of each folded text.
    fn near(&self, rows: &Parts) -> Result<Option<Vec<u32>>, StageError> {
        if self.rows() > NEAR_ROWS {
            return Ok(None);
        }
        let mut signatures: Vec<Option<Signature>> = Vec::new();
        let mut of: Vec<u32> = Vec::new();
        let mut row = 0;
        for batch in part(rows, "near")?.batches()? {
            let batch = batch?;
            let column: &FixedSizeBinaryArray = column(&batch, "signature")?;
            for signature in column.iter() {
                if self.folded.get(row) == Some(&(row as u32)) {
                    signatures.push(signature.and_then(|bytes| bytes.try_into().ok()));
                    of.push(row as u32);
                }
                row += 1;
            }
        }
        let borrowed: Vec<Option<&Signature>> = signatures.iter().map(Option::as_ref).collect();
        let groups = near::estimated_groups(&borrowed, near::THRESHOLD);
        let mut first = vec![0; self.rows()];
        of.iter().zip(groups).for_each(|(&row, group)| first[row as usize] = of[group]);
        Ok(Some(self.folded.iter().map(|&row| first[row as usize]).collect()))
    }

    fn add_target(&mut self, rows: &Parts) -> Result<(), StageError> {
        let (mut labels, mut splits, mut groups) = (Names::default(), Names::default(), Names::default());
        let mut group: Option<Vec<u32>> = None;
        // the classes of each set of them, in the order of `labels`
        let mut sets: Option<Vec<Vec<String>>> = None;
        for batch in part(rows, "target")?.batches()? {
            let batch = batch?;
            match batch.column_by_name("label_set") {
                Some(_) => {
                    let known = sets.get_or_insert_default();
                    for set in column::<ListArray>(&batch, "label_set")?.iter() {
                        let set = set.as_ref().and_then(|set| set.as_any().downcast_ref::<StringArray>());
                        let names: BTreeSet<&str> = set.into_iter().flatten().flatten().collect();
                        let names: Vec<&str> = names.into_iter().collect();
                        let label = labels.number((!names.is_empty()).then(|| names.join(", ")).as_deref());
                        if label as usize == known.len() {
                            known.push(names.into_iter().map(str::to_owned).collect());
                        }
                        self.label.push(label);
                    }
                }
                None => number(&batch, "label", &mut labels, &mut self.label)?,
            }
            number(&batch, "split", &mut splits, &mut self.split)?;
            if batch.column_by_name("group").is_some() {
                number(&batch, "group", &mut groups, group.get_or_insert_default())?;
            }
        }
        self.group = group;
        match sets {
            None => {
                self.classes = labels.sorted(&mut self.label, |name, _| name.to_owned());
                self.labels.clone_from(&self.classes);
                self.members = (0..self.classes.len() as u32).map(|class| vec![class]).collect();
            }
            Some(sets) => {
                self.labels = labels.names;
                self.classes = sets.iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect();
                let place = |class: &String| self.classes.binary_search(class).ok().map(|at| at as u32);
                self.members = sets.iter().map(|set| set.iter().filter_map(place).collect()).collect();
            }
        }
        self.splits = splits.sorted(&mut self.split, |name, number| (name != "train", number));
        Ok(())
    }
}

/// Adds a column of names as numbers; none where the table has no such column.
fn number(batch: &RecordBatch, name: &str, names: &mut Names, into: &mut Vec<u32>) -> Result<(), StageError> {
    match batch.column_by_name(name) {
        None => into.resize(into.len() + batch.num_rows(), NONE),
        Some(_) => into.extend(column::<StringArray>(batch, name)?.iter().map(|value| names.number(value))),
    }
    Ok(())
}

/// For each row the first with the same value. Sorts, since a map of millions of texts takes several times the memory.
fn firsts(values: Vec<u64>) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by_key(|&row| (values[row as usize], row));
    let mut first = vec![0; values.len()];
    for equal in order.chunk_by(|&a, &b| values[a as usize] == values[b as usize]) {
        equal.iter().for_each(|&row| first[row as usize] = equal[0]);
    }
    first
}

/// The rows that have any of what was counted.
fn noted(part: &Part) -> Result<BTreeMap<String, Vec<(u32, u64)>>, StageError> {
    let mut all: BTreeMap<String, Vec<(u32, u64)>> = BTreeMap::new();
    let mut base = 0;
    for batch in part.batches()? {
        let batch = batch?;
        for field in batch.schema_ref().fields().iter().skip(1) {
            let column: &Int64Array = column(&batch, field.name())?;
            let counted = (base..).zip(column.iter()).filter_map(|(row, count)| match count {
                Some(count) if count > 0 => Some((row, count as u64)),
                _ => None,
            });
            all.entry(field.name().clone()).or_default().extend(counted);
        }
        base += batch.num_rows() as u32;
    }
    Ok(all)
}

fn part<'p>(parts: &'p Parts, name: &str) -> Result<&'p Part, StageError> {
    parts.part(name).ok_or_else(|| StageError::failed(format!("the ledger has no table `{name}`")))
}

fn column<'t, T: Array + 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t T, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
    column.ok_or_else(|| StageError::failed(format!("the ledger cannot read the column `{name}`")))
}

/// Ids and texts of a few rows.
#[derive(Default)]
pub(super) struct Lookup(BTreeMap<u32, (String, Option<String>)>);

impl Lookup {
    /// Looks rows up; `wanted` ascends.
    pub(super) fn of(rows: &Parts, wanted: &[u32]) -> Result<Self, StageError> {
        let mut found = Lookup::default();
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut all = 0;
        for_each_wanted(part(rows, "profile")?, "row_id", wanted, &mut |row, id| {
            found.0.insert(row, (id.to_owned(), None));
            all = row;
        })?;
        if let Some(texts) = rows.part("text").filter(|_| all < TEXT_ROWS as u32) {
            for_each_wanted(texts, "text", wanted, &mut |row, text| {
                if let Some((_, kept)) = found.0.get_mut(&row) {
                    let cut = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
                    *kept = text
                        .get(..cut)
                        .map(|start| if cut < text.len() { format!("{start}…") } else { start.to_owned() });
                }
            })?;
        }
        Ok(found)
    }

    pub(super) fn id(&self, row: u32) -> String {
        self.0.get(&row).map(|(id, _)| id.clone()).unwrap_or_default()
    }

    pub(super) fn text(&self, row: u32) -> Option<String> {
        self.0.get(&row).and_then(|(_, text)| text.clone())
    }
}

fn for_each_wanted(part: &Part, name: &str, wanted: &[u32], each: &mut dyn FnMut(u32, &str)) -> Result<(), StageError> {
    let mut left = wanted.iter().copied().peekable();
    let mut base = 0;
    for batch in part.batches()? {
        if left.peek().is_none() {
            break;
        }
        let batch = batch?;
        let values: &StringArray = column(&batch, name)?;
        let end = base + values.len() as u32;
        while let Some(row) = left.next_if(|row| *row < end) {
            each(row, values.value((row - base) as usize));
        }
        base = end;
    }
    Ok(())
}
