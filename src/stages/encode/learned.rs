//! What is learned of columns, and how is it kept?

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use rustc_hash::FxHashMap;

use super::Params;
use super::columns::{Category, Column};
use crate::ml::{self, Scale};
use crate::stage::StageError;

/// What is learned of all columns of numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) columns: Vec<NumberColumn>,
}

/// What is learned of a column of numbers.
#[derive(Debug, PartialEq)]
pub(super) struct NumberColumn {
    name: String,
    /// What stands in for a missing number.
    pub(super) fill: Option<f64>,
    pub(super) scale: Scale,
    /// It has a column that says where numbers are missing.
    pub(super) indicator: bool,
}

impl Numbers {
    /// Learns from the numbers of some columns.
    pub(super) fn fit(
        columns: &[Column],
        all: &[Vec<Option<f64>>],
        params: &Params,
        table: &RecordBatch,
    ) -> Result<Self, StageError> {
        let learn = |(column, numbers): (&Column, &Vec<Option<f64>>)| {
            let there: Vec<f64> = numbers.iter().flatten().copied().collect();
            let lacks = there.len() < numbers.len();
            let fill = match params.filling() {
                None if lacks => return Err(column.missing(numbers, table)),
                None => None,
                Some(filling) => Some(filling.fit(&there).ok_or_else(|| {
                    let message =
                        format!("the column `{}` has no number in any of {} training rows", column.name, numbers.len());
                    column.error(message).help("leave it out, or choose `impute: zero`")
                })?),
            };
            let whole: Vec<f64> = numbers.iter().filter_map(|number| number.or(fill)).collect();
            let scale = params.scaling().fit(&whole);
            if !(scale.centre.is_finite() && scale.scale.is_finite()) {
                return Err(
                    column.error(format!("the numbers of the column `{}` are too large to be scaled", column.name))
                );
            }
            Ok(NumberColumn { name: column.name.clone(), fill, scale, indicator: params.indicator && lacks })
        };
        Ok(Numbers { columns: columns.iter().zip(all).map(learn).collect::<Result<_, _>>()? })
    }

    /// How many features.
    pub(super) fn width(&self) -> usize {
        self.columns.len() + self.columns.iter().filter(|column| column.indicator).count()
    }

    /// The names of the features.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let lacking = self.columns.iter().filter(|column| column.indicator);
        let lacking = lacking.map(|column| format!("{}=(missing)", column.name));
        self.columns.iter().map(|column| column.name.clone()).chain(lacking)
    }

    pub(super) fn to_table(&self) -> Result<RecordBatch, StageError> {
        let of = |value: fn(&NumberColumn) -> f64| Float64Array::from_iter_values(self.columns.iter().map(value));
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("column", Arc::new(StringArray::from_iter_values(self.columns.iter().map(|column| &column.name))), false),
            ("fill", Arc::new(Float64Array::from_iter(self.columns.iter().map(|column| column.fill))), true),
            ("centre", Arc::new(of(|column| column.scale.centre)), false),
            ("scale", Arc::new(of(|column| column.scale.scale)), false),
            ("indicator", Arc::new(BooleanArray::from_iter(self.columns.iter().map(|c| Some(c.indicator)))), false),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
    }

    pub(super) fn from_table(table: &RecordBatch) -> Result<Self, StageError> {
        let (names, fill): (&StringArray, &Float64Array) = (column(table, "column")?, column(table, "fill")?);
        let (centre, scale): (&Float64Array, &Float64Array) = (column(table, "centre")?, column(table, "scale")?);
        let indicator: &BooleanArray = column(table, "indicator")?;
        let of = |at: usize| NumberColumn {
            name: names.value(at).to_owned(),
            fill: fill.is_valid(at).then(|| fill.value(at)),
            scale: Scale { centre: centre.value(at), scale: scale.value(at) },
            indicator: indicator.value(at),
        };
        Ok(Numbers { columns: (0..table.num_rows()).map(of).collect() })
    }
}

/// What is learned of all columns of categories: their categories in order, column after column.
#[derive(Debug, PartialEq)]
pub(super) struct Categories {
    categories: Vec<Known>,
}

/// A category that a training row has.
#[derive(Debug, PartialEq)]
struct Known {
    column: String,
    /// Which of the columns.
    number: u32,
    /// `None`: the value is missing.
    value: Option<String>,
    rows: u64,
    /// The feature that says so.
    feature: u32,
    /// It shares that feature with the other rare ones of its column.
    rare: bool,
}

/// Where the categories of one column are.
#[derive(Debug, Default)]
pub(super) struct Places<'a> {
    known: FxHashMap<Option<&'a str>, u32>,
    /// The feature of the rare ones, if there is one.
    pub(super) rare: Option<u32>,
}

impl Places<'_> {
    /// The feature of a value that a training row has.
    pub(super) fn of(&self, value: Option<&str>) -> Option<u32> {
        self.known.get(&value).copied()
    }
}

impl Categories {
    /// Learns which categories some columns have: text in code-point order, numbers by size, the missing one last.
    pub(super) fn fit(columns: &[Column], all: &[Vec<Option<Category>>], params: &Params) -> Self {
        let mut categories = Vec::new();
        let mut feature = 0;
        for (number, (column, values)) in (0_u32..).zip(columns.iter().zip(all)) {
            let mut counts: FxHashMap<Option<&str>, (Option<&Category>, u64)> = FxHashMap::default();
            for value in values {
                let value = value.as_ref();
                counts.entry(value.map(|category| category.text.as_str())).or_insert((value, 0)).1 += 1;
            }
            let mut found: Vec<(Option<&Category>, u64)> = counts.into_values().collect();
            found.sort_unstable_by(|(a, _), (b, _)| order(*a, *b));
            let rows: Vec<u64> = found.iter().map(|(_, rows)| *rows).collect();
            let rare = ml::rare(&rows, values.len() as u64, params.least(), params.max_categories);
            let shared = feature + rare.iter().filter(|&&rare| !rare).count() as u32;
            for ((category, rows), &rare) in found.iter().zip(&rare) {
                let own = feature;
                feature += u32::from(!rare);
                categories.push(Known {
                    column: column.name.clone(),
                    number,
                    value: category.map(|category| category.text.clone()),
                    rows: *rows,
                    feature: if rare { shared } else { own },
                    rare,
                });
            }
            feature = shared + u32::from(rare.contains(&true));
        }
        Categories { categories }
    }

    /// How many features.
    pub(super) fn width(&self) -> usize {
        self.categories.iter().map(|known| known.feature as usize + 1).max().unwrap_or(0)
    }

    /// The names of the features.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.width()];
        for known in &self.categories {
            let value = if known.rare { "(infrequent)" } else { known.value.as_deref().unwrap_or("(missing)") };
            names[known.feature as usize] = format!("{}={value}", known.column);
        }
        names
    }

    /// Where the categories of each column are.
    pub(super) fn places(&self) -> Vec<Places<'_>> {
        let mut places: Vec<Places<'_>> = Vec::new();
        for known in &self.categories {
            places.resize_with(places.len().max(known.number as usize + 1), Places::default);
            let of = &mut places[known.number as usize];
            of.known.insert(known.value.as_deref(), known.feature);
            if known.rare {
                of.rare = Some(known.feature);
            }
        }
        places
    }

    pub(super) fn to_table(&self) -> Result<RecordBatch, StageError> {
        let all = &self.categories;
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("column", Arc::new(StringArray::from_iter_values(all.iter().map(|known| &known.column))), false),
            ("number", Arc::new(UInt32Array::from_iter_values(all.iter().map(|known| known.number))), false),
            ("value", Arc::new(StringArray::from_iter(all.iter().map(|known| known.value.as_ref()))), true),
            ("rows", Arc::new(UInt64Array::from_iter_values(all.iter().map(|known| known.rows))), false),
            ("feature", Arc::new(UInt32Array::from_iter_values(all.iter().map(|known| known.feature))), false),
            ("rare", Arc::new(BooleanArray::from_iter(all.iter().map(|known| Some(known.rare)))), false),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)
    }

    pub(super) fn from_table(table: &RecordBatch) -> Result<Self, StageError> {
        let (names, values): (&StringArray, &StringArray) = (column(table, "column")?, column(table, "value")?);
        let (number, feature): (&UInt32Array, &UInt32Array) = (column(table, "number")?, column(table, "feature")?);
        let (rows, rare): (&UInt64Array, &BooleanArray) = (column(table, "rows")?, column(table, "rare")?);
        let of = |at: usize| Known {
            column: names.value(at).to_owned(),
            number: number.value(at),
            value: values.is_valid(at).then(|| values.value(at).to_owned()),
            rows: rows.value(at),
            feature: feature.value(at),
            rare: rare.value(at),
        };
        Ok(Categories { categories: (0..table.num_rows()).map(of).collect() })
    }
}

fn order(a: Option<&Category>, b: Option<&Category>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) => {
            let by_number = a.number.unwrap_or_default().total_cmp(&b.number.unwrap_or_default());
            by_number.then_with(|| a.text.cmp(&b.text))
        }
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

fn column<'t, T: 'static>(table: &'t RecordBatch, name: &str) -> Result<&'t T, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<T>());
    column.ok_or_else(|| StageError::failed(format!("what was learned of columns has no column `{name}`")))
}
