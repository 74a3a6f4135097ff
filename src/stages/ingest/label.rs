//! Which class has a row, by what stands in its label's cell?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use rustc_hash::{FxHashMap, FxHashSet};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::cells::{number, whole};
use super::params::Scalar;
use super::place::shown;
use crate::problem::suggest;

/// The label's column, and how its values become classes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, transform = or_a_column)]
pub(in crate::stages) struct Label {
    /// The column.
    pub column: String,
    /// Rising numbers that divide a numeric column into classes. A value on a cut belongs to the class above it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub cuts: Vec<f64>,
    /// What the values are called. With `cuts` the classes between them, lowest first: one more than there are cuts. Without, a map from
    /// values to names, or a list of names by number: 0 is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub names: Option<Names>,
    /// A file with the names, one on each line: 0 is the first line's. A source like those of `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub names_file: Option<String>,
    /// All classes that there may be; any other is an error of its row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub classes: Vec<String>,
    /// A cell holds several labels: `{ separator: "," }`, or `{}` for a JSON list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub multi: Option<Multi>,
    /// Values whose rows are left out; with cuts compared as numbers, otherwise as text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub drop: Vec<Scalar>,
    /// What becomes of a row whose label is empty: `fail` (an error of its row), `drop` (left out and counted) or `keep` (a row without a label).
    #[serde(skip_serializing_if = "is_fail")]
    #[schemars(default)]
    pub empty: Empty,
}

fn is_fail(empty: &Empty) -> bool {
    *empty == Empty::Fail
}

/// What becomes of a row whose label is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum Empty {
    /// An error of its row.
    #[default]
    Fail,
    /// It is left out and counted.
    Drop,
    /// It has no label.
    Keep,
}

/// How several labels stand in a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Multi {
    /// What stands between labels; left out, the cell is a JSON list.
    pub separator: Option<String>,
}

/// What values are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(in crate::stages) enum Names {
    /// By number.
    List(Vec<String>),
    /// By value.
    Map(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or a map from values to names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Names, A::Error> {
                Ok(Names::List(Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Names, A::Error> {
                Ok(Names::Map(BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map))?))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Names {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            { "type": "object", "additionalProperties": { "type": "string" }, "minProperties": 1 },
        ] })
    }
}

/// The schema of [`Label`] also takes the column alone.
fn or_a_column(schema: &mut Schema) {
    let fields = schema.clone();
    *schema = json_schema!({ "anyOf": [{ "type": "string" }, fields] });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelFields {
    column: String,
    #[serde(default)]
    cuts: Vec<f64>,
    names: Option<Names>,
    names_file: Option<String>,
    #[serde(default)]
    classes: Vec<String>,
    multi: Option<Multi>,
    #[serde(default)]
    drop: Vec<Scalar>,
    #[serde(default)]
    empty: Empty,
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column or `{ column, cuts, names, … }`")
            }

            fn visit_str<E: de::Error>(self, column: &str) -> Result<Label, E> {
                Ok(Label { column: column.to_owned(), ..Label::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Label, A::Error> {
                let fields = LabelFields::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let LabelFields { column, cuts, names, names_file, classes, multi, drop, empty } = fields;
                Ok(Label { column, cuts, names, names_file, classes, multi, drop, empty })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Label {
    /// What is wrong with it: the way to the field, a message and a help.
    pub(super) fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        if self.names.is_some() && self.names_file.is_some() {
            let message = "`names` and `names_file` are both given".to_owned();
            faults.push(("names_file", message, "leave one of them out"));
        }
        let is_empty = match &self.names {
            Some(Names::List(names)) => names.iter().any(String::is_empty),
            Some(Names::Map(names)) => names.values().any(String::is_empty),
            None => false,
        };
        if is_empty {
            let help = "name each class; rows of a value are left out with `drop`";
            faults.push(("names", "one of the `names` is empty".to_owned(), help));
        }
        if self.multi.as_ref().is_some_and(|multi| multi.separator.as_deref() == Some("")) {
            faults.push(("multi", "`separator` is empty".to_owned(), "leave it out for JSON lists"));
        }
        if self.cuts.is_empty() {
            return faults;
        }
        let rising = self.cuts.windows(2).all(|pair| pair.first() < pair.last());
        if !rising || !self.cuts.iter().all(|cut| cut.is_finite()) {
            let help = "write them from the lowest to the highest, each once";
            faults.push(("cuts", "`cuts` must rise".to_owned(), help));
        }
        if self.multi.is_some() {
            let message = "`cuts` divides numbers, and `multi` lists classes".to_owned();
            faults.push(("multi", message, "leave one of them out"));
        }
        let cuts = self.cuts.len();
        let names = match &self.names {
            Some(Names::List(names)) => names.len(),
            _ => 0,
        };
        if names != cuts + 1 {
            let message = format!("{cuts} `cuts` make {} classes, but `names` has {names}", cuts + 1);
            let help = "name the classes from the lowest to the highest, one more than there are cuts";
            faults.push(("names", message, help));
        }
        for value in self.drop.iter().filter(|value| value.text().trim().parse::<f64>().is_err()) {
            let message = format!("`drop` holds `{}`, which is no number, but `cuts` divides numbers", value.text());
            faults.push(("drop", message, "with `cuts`, drop numbers"));
        }
        faults
    }
}

/// A label's rule, ready for cells.
pub(super) struct Rule<'a> {
    label: &'a Label,
    names: Naming<'a>,
    classes: FxHashSet<&'a str>,
    dropped_texts: FxHashSet<String>,
    dropped_numbers: Vec<f64>,
}

enum Naming<'a> {
    AsTheyAre,
    Cuts(&'a [String]),
    Ids(&'a [String]),
    Map(FxHashMap<&'a str, &'a str>),
}

/// What a cell says.
#[derive(Debug, PartialEq)]
pub(super) enum Class<'c> {
    /// This class.
    One(Cow<'c, str>),
    /// These classes.
    Several(Vec<String>),
    /// Nothing, which is allowed.
    Missing,
    /// That its row is not wanted.
    Dropped,
}

impl<'a> Rule<'a> {
    /// The rule of a label; `names` are those of its file.
    pub(super) fn new(label: &'a Label, names: Option<&'a [String]>) -> Self {
        let naming = match (&label.names, names) {
            (Some(Names::List(names)), _) if !label.cuts.is_empty() => Naming::Cuts(names),
            (Some(Names::List(names)), _) => Naming::Ids(names),
            (Some(Names::Map(map)), _) => Naming::Map(map.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()),
            (None, Some(names)) => Naming::Ids(names),
            (None, None) => Naming::AsTheyAre,
        };
        Rule {
            label,
            names: naming,
            classes: label.classes.iter().map(String::as_str).collect(),
            dropped_texts: label.drop.iter().map(Scalar::text).collect(),
            dropped_numbers: label.drop.iter().filter_map(|value| number(&value.text())).collect(),
        }
    }

    /// True if a row has a set of classes.
    pub(super) fn is_multi(&self) -> bool {
        self.label.multi.is_some()
    }

    /// What a cell says; a message where it says nothing that could be.
    pub(super) fn read<'c>(&'c self, cell: Option<&'c str>) -> Result<Class<'c>, String> {
        let Some(value) = cell.filter(|value| !value.is_empty()) else { return self.empty() };
        if self.label.cuts.is_empty() && self.dropped_texts.contains(value) {
            return Ok(Class::Dropped);
        }
        let Some(multi) = &self.label.multi else { return self.class(value) };
        let values: Vec<Cow<'_, str>> = match &multi.separator {
            Some(separator) => value.split(separator.as_str()).map(|one| one.trim().into()).collect(),
            None => listed(value)?,
        };
        let mut set = Vec::with_capacity(values.len());
        for value in values {
            if value.is_empty() {
                return Err("one of its labels is empty".to_owned());
            }
            set.push(self.named(&value)?.to_owned());
        }
        set.sort_unstable();
        set.dedup();
        if set.is_empty() { self.empty() } else { Ok(Class::Several(set)) }
    }

    fn empty(&self) -> Result<Class<'static>, String> {
        match self.label.empty {
            _ if self.dropped_texts.contains("") => Ok(Class::Dropped),
            Empty::Drop => Ok(Class::Dropped),
            Empty::Keep if self.is_multi() => Ok(Class::Several(Vec::new())),
            Empty::Keep => Ok(Class::Missing),
            Empty::Fail => Err("the label is empty".to_owned()),
        }
    }

    fn class<'c>(&'c self, value: &'c str) -> Result<Class<'c>, String> {
        let Naming::Cuts(names) = self.names else { return Ok(Class::One(self.named(value)?.into())) };
        let number =
            number(value).ok_or_else(|| format!("`{}` is not a number, and `cuts` needs one", shown(value)))?;
        if self.dropped_numbers.contains(&number) {
            return Ok(Class::Dropped);
        }
        let above = self.label.cuts.iter().filter(|&&cut| number >= cut).count();
        Ok(names.get(above).map_or(Class::Missing, |name| Class::One(name.as_str().into())))
    }

    /// What a value is called, held against the classes that there may be.
    fn named<'c>(&'c self, value: &'c str) -> Result<&'c str, String> {
        let name = match &self.names {
            Naming::AsTheyAre | Naming::Cuts(_) => value,
            Naming::Map(names) => {
                names.get(value).copied().ok_or_else(|| unknown(value, names.keys().copied(), "`names`"))?
            }
            Naming::Ids(names) => {
                let name = whole(value).and_then(|id| names.get(usize::try_from(id).ok()?));
                let last = names.len().saturating_sub(1);
                name.map(String::as_str).ok_or_else(|| {
                    format!(
                        "the label `{}` is no number from 0 to {last}, and there are {} names",
                        shown(value),
                        last + 1
                    )
                })?
            }
        };
        match self.classes.is_empty() || self.classes.contains(name) {
            true => Ok(name),
            false => Err(unknown(name, self.label.classes.iter().map(String::as_str), "`classes`")),
        }
    }
}

fn unknown<'k>(value: &str, known: impl Iterator<Item = &'k str>, place: &str) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let near =
        suggest(value, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("the label `{}` is not among {place}{near}", shown(value))
}

/// The items of a JSON list.
fn listed(value: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let wrong = || format!("`{}` is not a JSON list of labels; name a `separator` if it is another", shown(value));
    let items: Vec<Scalar> = serde_json::from_str(value).map_err(|_| wrong())?;
    Ok(items.iter().map(|item| item.text().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(label: serde_json::Value, cell: &str) -> Result<Class<'static>, String> {
        let label: Label = serde_json::from_value(label).unwrap();
        let names = ["joy".to_owned(), "fear".to_owned()];
        let rule = Rule::new(&label, label.names_file.as_ref().map(|_| names.as_slice()));
        rule.read(Some(cell)).map(|class| match class {
            Class::One(name) => Class::One(name.into_owned().into()),
            Class::Several(set) => Class::Several(set),
            Class::Missing => Class::Missing,
            Class::Dropped => Class::Dropped,
        })
    }

    #[test]
    fn values_get_their_names() {
        let one = |name: &'static str| Ok(Class::One(name.into()));
        assert_eq!(read(json!("y"), "a"), one("a"));
        assert_eq!(read(json!({ "column": "y", "names": { "1": "good" } }), "1"), one("good"));
        assert_eq!(read(json!({ "column": "y", "names": ["bad", "good"] }), "1"), one("good"));
        assert_eq!(read(json!({ "column": "y", "names_file": "x" }), "0"), one("joy"));
        let error = read(json!({ "column": "y", "names_file": "x" }), "2").unwrap_err();
        assert_eq!(error, "the label `2` is no number from 0 to 1, and there are 2 names");
        let error = read(json!({ "column": "y", "names": { "pos": "good" } }), "poz").unwrap_err();
        assert_eq!(error, "the label `poz` is not among `names`; did you mean `pos`?");
        let error = read(json!({ "column": "y", "classes": ["spam", "ham"] }), "Spam").unwrap_err();
        assert!(error.starts_with("the label `Spam` is not among `classes`"), "{error}");
    }

    #[test]
    fn several_labels_are_a_set() {
        let set = |names: &[&str]| Ok(Class::Several(names.iter().map(|name| (*name).to_owned()).collect()));
        let by_comma = json!({ "column": "y", "multi": { "separator": "," }, "names_file": "x" });
        assert_eq!(read(by_comma.clone(), "0,1,0"), set(&["fear", "joy"]));
        assert_eq!(read(by_comma, "0,,1"), Err("one of its labels is empty".to_owned()));
        assert_eq!(read(json!({ "column": "y", "multi": {} }), r#"["b", 1]"#), set(&["1", "b"]));
        assert_eq!(read(json!({ "column": "y", "multi": {}, "empty": "keep" }), "[]"), set(&[]));
        assert!(read(json!({ "column": "y", "multi": {} }), "b").unwrap_err().contains("is not a JSON list"));
    }

    #[test]
    fn an_empty_label_is_what_it_is_told_to_be() {
        assert_eq!(read(json!("y"), ""), Err("the label is empty".to_owned()));
        assert_eq!(read(json!({ "column": "y", "empty": "keep" }), ""), Ok(Class::Missing));
        assert_eq!(read(json!({ "column": "y", "empty": "drop" }), ""), Ok(Class::Dropped));
        assert_eq!(read(json!({ "column": "y", "drop": [""] }), ""), Ok(Class::Dropped));
    }
}
