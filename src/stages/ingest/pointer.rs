//! What does a JSON value hold where a pointer leads?
//!
//! Pointers are those of RFC 6901 (`/meta/label`, `~1` for a slash in a name), and `*` stands for each item of a list or each value of an object.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::wanted::Takes;

/// The way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) struct Pointer {
    written: String,
    pub(super) steps: Vec<Step>,
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) enum Step {
    /// To the value of a name, or to an item by its number from 0.
    Name(String),
    /// To each item or value.
    Each,
}

impl Pointer {
    /// Understands a pointer as written; nothing if it is none.
    pub(super) fn parse(written: &str) -> Option<Pointer> {
        let mut parts = written.split('/');
        if parts.next() != Some("") {
            return None;
        }
        let step = |part: &str| match part {
            "*" => Step::Each,
            name => Step::Name(name.replace("~1", "/").replace("~0", "~")),
        };
        Some(Pointer { written: written.to_owned(), steps: parts.map(step).collect() })
    }

    /// The values that it leads to.
    fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| match (step, value) {
                    (Step::Name(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
                    (Step::Name(name), Value::Array(items)) => {
                        name.parse().ok().and_then(|at: usize| items.get(at)).into_iter().collect()
                    }
                    (Step::Each, Value::Object(fields)) => fields.values().collect(),
                    (Step::Each, Value::Array(items)) => items.iter().collect::<Vec<_>>(),
                    _ => Vec::new(),
                })
                .collect();
        }
        found
    }

    /// What it leads to, as a cell: the texts one after the other where it has a `*`. Nothing if it leads to nothing.
    fn cell(&self, value: &Value, takes: Takes) -> Option<Result<Cell, String>> {
        let found = self.find(value);
        let first = found.first()?;
        if !self.steps.contains(&Step::Each) {
            return Some(cell(first, takes));
        }
        let join = || {
            let mut joined = String::new();
            for value in &found {
                let part = cell(value, takes)?.value;
                joined.push_str(&part.ok_or("one of the values that it leads to is null")?);
            }
            Ok(Cell { value: Some(joined), is_text: true })
        };
        Some(join())
    }
}

/// A cell, and whether it is text in the file itself, whatever it looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) value: Option<String>,
    pub(super) is_text: bool,
}

/// What an object holds under a name, or where a pointer leads in it; nothing if there is no such thing. Inside, why it
/// cannot be a cell.
pub(super) fn column_of(row: &Value, name: &str, takes: Takes) -> Option<Result<Cell, String>> {
    match row.get(name) {
        Some(value) => Some(cell(value, takes)),
        None => Pointer::parse(name).filter(|pointer| !pointer.steps.is_empty())?.cell(row, takes),
    }
}

/// A value as a cell, where its column takes it.
pub(super) fn cell(value: &Value, takes: Takes) -> Result<Cell, String> {
    let some = |text: String, is_text| Ok(Cell { value: Some(text), is_text });
    let what = match (value, takes) {
        (Value::Null, _) => return Ok(Cell::default()),
        (Value::String(text), _) => return some(text.clone(), true),
        (Value::Number(number), Takes::Values | Takes::Lists) if beyond(number) => {
            return Err(format!(
                "the number {number} is too large to be kept to the digit: write it as a text, in quotes"
            ));
        }
        (Value::Number(_) | Value::Bool(_), Takes::Values | Takes::Lists) => return some(value.to_string(), false),
        (Value::Array(_), Takes::Lists) => return some(value.to_string(), false),
        (Value::Number(_), _) => "a number",
        (Value::Bool(_), _) => "true or false",
        (Value::Array(_), _) => "a list",
        (Value::Object(_), _) => "an object",
    };
    Err(format!("a text is wanted, but it holds {what}"))
}

/// True for a whole number beyond 64 bits, of which JSON's reader keeps the first digits alone.
fn beyond(number: &Number) -> bool {
    !number.is_i64() && !number.is_u64() && number.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() >= 9.2e18)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Pointer::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("a pointer begins with `/`, as in `/data/*`, but here is {text:?}"))
        })
    }
}

impl JsonSchema for Pointer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pointer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(/.*)?$" })
    }
}

/// A JSON value in which no object has a name twice: of two values, others silently keep one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strict(pub(super) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            if fields.contains_key(&name) {
                return Err(de::Error::custom(format!("the name `{name}` stands twice in one object")));
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_lead_to_values_and_stars_join() {
        let row = json!({ "meta": { "la/bel": "x", "n": 3 }, "data": [{ "text": "a " }, { "text": "b", "slot": "s" }], "none": null });
        let at = |pointer: &str, takes| column_of(&row, pointer, takes).map(|found| found.map(|cell| cell.value));
        let some = |text: &str| Some(Ok(Some(text.to_owned())));
        assert_eq!(at("/meta/la~1bel", Takes::Texts), some("x"));
        assert_eq!(at("/data/*/text", Takes::Texts), some("a b"));
        assert_eq!(at("/data/1/slot", Takes::Texts), some("s"));
        assert_eq!(at("/meta/n", Takes::Values), some("3"));
        assert_eq!(at("none", Takes::Texts), Some(Ok(None)));
        assert!(at("/meta/n", Takes::Texts).unwrap().unwrap_err().contains("a number"));
        assert_eq!(at("/meta/m", Takes::Texts), None);
        assert!(Pointer::parse("data/x").is_none());
        assert_eq!(Pointer::parse("").unwrap().steps, []);
    }

    #[test]
    fn names_are_never_lost() {
        let error = serde_json::from_str::<Strict>("{\"a\": 1,\n \"b\": {\"c\": 1, \"c\": 2}}").unwrap_err();
        assert!(error.to_string().contains("`c` stands twice") && error.line() == 2, "{error}");
        let value: Strict = serde_json::from_str("{\"a\": [1, -2, 0.5, null, true, \"x\"]}").unwrap();
        assert_eq!(value.0, json!({ "a": [1, -2, 0.5, null, true, "x"] }));
        let large = serde_json::from_str::<Strict>("123456789012345678901234567890").unwrap().0;
        assert!(cell(&large, Takes::Values).unwrap_err().contains("too large"));
        assert_eq!(cell(&json!(u64::MAX), Takes::Values).unwrap().value, Some(u64::MAX.to_string()));
    }
}
