//! Which columns are read, and what is each for?

use super::kept::{Keep, Type};
use super::params::{Params, Sources};
use super::place::{At, shown};
use crate::problem::suggest;
use crate::stage::StageError;
use crate::table::target::TargetColumns;

/// The columns that are read, and what each is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Each column once, with the way to the parameter that names it.
    pub(super) columns: Vec<(String, Vec<&'static str>)>,
    pub(super) id: Option<usize>,
    pub(super) text: Vec<usize>,
    pub(super) label: Option<usize>,
    pub(super) value: Option<usize>,
    pub(super) fold: Option<usize>,
    pub(super) split: Option<usize>,
    pub(super) group: Option<usize>,
    pub(super) weight: Option<usize>,
    /// Those that are kept as they are, and the types that they were declared to have.
    pub(super) kept: Vec<usize>,
    pub(super) types: Vec<Option<Type>>,
    /// True if all columns are kept, and while it is not yet known which these are.
    pub(super) every: bool,
    pub(super) all: bool,
    /// True if the sources name splits.
    pub(super) splits: bool,
    /// True if a label's cell may be a list.
    pub(super) multi: bool,
}

/// What a column's cells may be, in formats that know more than text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Text alone.
    Texts,
    /// Also numbers and truth values.
    Values,
    /// Also lists.
    Lists,
}

impl Wanted {
    /// What the parameters ask for.
    pub(super) fn new(params: &Params) -> Self {
        let every = params.columns == Keep::All;
        let mut wanted = Wanted { every, all: every, ..Wanted::default() };
        wanted.id = params.id.as_ref().map(|column| wanted.want(column, &["id"]));
        wanted.text = params.text.0.iter().map(|column| wanted.want(column, &["text"])).collect();
        wanted.label = params.label.as_ref().map(|label| wanted.want(&label.column, &["label"]));
        wanted.multi = params.label.as_ref().is_some_and(|label| label.multi.is_some());
        wanted.value = params.value.as_ref().map(|column| wanted.want(column, &["value"]));
        wanted.splits = matches!(params.source, Sources::Splits(_));
        wanted.fold = params.fold.as_ref().map(|column| wanted.want(column, &["fold"]));
        wanted.split = params.split.as_ref().map(|column| wanted.want(column, &["split"]));
        wanted.group = params.group.as_ref().map(|column| wanted.want(column, &["group"]));
        wanted.weight = params.weight.as_ref().map(|column| wanted.want(column, &["weight"]));
        if let Keep::Some(columns) = &params.columns {
            wanted.kept = columns.iter().map(|(column, _)| wanted.want(column, &["columns"])).collect();
            wanted.types = columns.iter().map(|(_, of)| *of).collect();
        }
        wanted
    }

    /// The position of a column among those that are read; it is added if need be.
    fn want(&mut self, column: &str, param: &[&'static str]) -> usize {
        match self.columns.iter().position(|(name, _)| name == column) {
            Some(at) => at,
            None => {
                self.columns.push((column.to_owned(), param.to_vec()));
                self.columns.len() - 1
            }
        }
    }

    /// Where all other columns are to be kept: they are those of the first file. False if that was known before.
    pub(super) fn settle(&mut self, has: &[String]) -> bool {
        let first = std::mem::take(&mut self.all);
        if first {
            let others: Vec<&String> =
                has.iter().filter(|column| !self.columns.iter().any(|(name, _)| name == *column)).collect();
            self.kept = others.into_iter().map(|column| self.want(column, &["columns"])).collect();
            self.types = vec![None; self.kept.len()];
        }
        first
    }

    /// Where each wanted column stands among those that a file has.
    pub(super) fn find(&self, source: &str, has: &[String]) -> Result<Vec<usize>, StageError> {
        self.columns
            .iter()
            .map(|(name, param)| {
                let mut places = has.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at);
                match (places.next(), places.next()) {
                    (Some(at), None) => Ok(at),
                    (Some(_), Some(_)) => Err(StageError::failed(format!("`{source}` has two columns `{name}`"))
                        .help("name the columns anew with `columns`")
                        .at_param(param)),
                    (None, _) => Err(no_column(source, name, has, param)),
                }
            })
            .collect()
    }

    /// True if rows of a format whose rows have their own columns may lack it.
    pub(super) fn may_lack(&self, column: usize) -> bool {
        let needed = [self.id, self.label, self.value, self.fold, self.split, self.group, self.weight];
        self.kept.contains(&column) && !self.text.contains(&column) && !needed.contains(&Some(column))
    }

    /// The first column that is to be kept, but that the first file or row did not have.
    pub(super) fn new_column<'c>(&self, mut has: impl Iterator<Item = &'c String>) -> Option<&'c String> {
        if !self.every {
            return None;
        }
        has.find(|column| !self.columns.iter().any(|(name, _)| name == *column))
    }

    /// What a column's cells may be.
    pub(super) fn takes(&self, column: usize) -> Takes {
        match () {
            () if self.text.contains(&column) => Takes::Texts,
            () if self.multi && self.label == Some(column) => Takes::Lists,
            () => Takes::Values,
        }
    }

    /// A column's name.
    pub(super) fn name(&self, at: usize) -> &str {
        self.columns.get(at).map_or("", |(name, _)| name.as_str())
    }

    /// The columns to keep.
    pub(super) fn kept_columns(&self) -> Vec<(String, Option<Type>)> {
        self.kept.iter().zip(&self.types).map(|(&at, of)| (self.name(at).to_owned(), *of)).collect()
    }

    /// The columns of the part `target`; `multi` where there is a label.
    pub(super) fn target(&self, multi: Option<bool>) -> TargetColumns {
        TargetColumns {
            label: multi == Some(false),
            value: self.value.is_some(),
            fold: self.fold.is_some(),
            split: self.split.is_some() || self.splits,
            group: self.group.is_some(),
            weight: self.weight.is_some(),
            label_set: multi == Some(true),
        }
    }
}

/// An error for a column that is not there.
pub(super) fn no_column(source: &str, name: &str, has: &[String], param: &[&'static str]) -> StageError {
    let error = StageError::failed(format!("`{source}` has no column `{name}`")).at_param(param);
    let error = match suggest(name, has.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    };
    let listed = has.iter().take(30).map(|column| format!("`{}`", shown(column))).collect::<Vec<_>>().join(", ");
    error.help(format!("its columns are {listed}"))
}

/// An error for a row with a column that the first row has not, where all columns are to be kept.
pub(super) fn late_column(at: At<'_>, name: &str, row: &str) -> StageError {
    let message = format!("the column `{}` is not in the first row, so it is not known to be kept", shown(name));
    at.error(None, &message, row).help("name the columns: `columns: [a, b]`").at_param(&["columns"])
}
