//! Does a value fit what a kind says of its parameters, and if not, what exactly is wrong, and where?
//!
//! Checks the subset of JSON Schema that schemars writes. Where a schema offers alternatives, the complaint is about the
//! nearest one, never "none of them matched".

use schemars::SchemaGenerator;
use serde_json::Value;

use super::choice;
use crate::problem::suggest;
use crate::stage::Kind;

/// A list of names in a message is cut after this many.
const LISTED: usize = 12;

/// What a kind says of its parameters.
#[derive(Debug)]
pub(super) struct ParamSchema {
    kind: &'static str,
    root: Value,
    definitions: serde_json::Map<String, Value>,
}

/// A complaint about a place inside `with`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The way into `with`.
    pub(super) path: Vec<String>,
    /// True if the last key of the way is at fault, false if its value is.
    pub(super) at_key: bool,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) note: Option<String>,
}

impl Fault {
    pub(super) fn new(code: &'static str, path: &[String], message: String) -> Self {
        Fault { path: path.to_vec(), at_key: false, code, message, help: None, note: None }
    }

    pub(super) fn at_key(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self.at_key = true;
        self
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    pub(super) fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

impl ParamSchema {
    /// The schema of a kind's parameters.
    pub(super) fn of(kind: &Kind) -> Self {
        let mut generator = SchemaGenerator::default();
        let root = (kind.schema)(&mut generator).to_value();
        ParamSchema { kind: kind.name, root, definitions: generator.take_definitions(true) }
    }

    /// True if there is a parameter of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names(&[&self.root]).contains(&name)
    }

    /// Everything that is wrong with `with`.
    pub(super) fn check(&self, with: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_value(&self.root, with, &[], &mut faults);
        faults
    }

    /// Whether `path` leads to something that can be set; `current` is `with` as it stands.
    pub(super) fn way(&self, path: &[String], current: &Value) -> Result<(), Fault> {
        let mut at = vec![&self.root];
        let mut current = Some(current);
        for (depth, segment) in path.iter().enumerate() {
            let before: Vec<String> = path.iter().take(depth).cloned().collect();
            self.other_choice(&at, segment, current, &before)?;
            let next = self.step(&at, segment);
            if next.is_empty() {
                let known = self.names(&at);
                let code = "unknown-param";
                if known.is_empty() {
                    let message = format!("{} has nothing inside that could be set", self.subject(&before));
                    return Err(Fault::new(code, &before, message).at_key(segment));
                }
                return Err(self.unknown(segment, &known, &before));
            }
            if let Some(Value::Array(items)) = current
                && segment.parse::<usize>().is_ok_and(|index| index >= items.len())
            {
                let message =
                    format!("{} has {} items, so there is no item {segment}", self.subject(&before), items.len());
                return Err(Fault::new("unknown-param", &before, message)
                    .at_key(segment)
                    .help(Some("items count from 0".to_owned())));
            }
            current = current.and_then(|value| match value {
                Value::Object(fields) => fields.get(segment),
                Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
                _ => None,
            });
            at = next;
        }
        Ok(())
    }

    /// True if at `path` stands a choice between alternatives of which `one` and `other` are two.
    pub(super) fn excludes(&self, path: &[String], one: &str, other: &str) -> bool {
        let mut at = vec![&self.root];
        for segment in path {
            at = self.step(&at, segment);
        }
        let tags = self.tags(&at);
        one != other && tags.contains(&one) && tags.contains(&other)
    }

    fn other_choice(
        &self,
        at: &[&Value],
        segment: &str,
        current: Option<&Value>,
        path: &[String],
    ) -> Result<(), Fault> {
        let Some(Value::Object(fields)) = current else {
            return Ok(());
        };
        let tags = self.tags(at);
        match fields.keys().next() {
            Some(chosen)
                if fields.len() == 1
                    && chosen != segment
                    && tags.contains(&chosen.as_str())
                    && tags.contains(&segment) =>
            {
                let message =
                    format!("{} is `{chosen}` here, so nothing of `{segment}` can be set", self.subject(path));
                let whole = path.join(".");
                Err(Fault::new("invalid-param", path, message)
                    .at_key(segment)
                    .help(Some(format!("set the whole of `{whole}`, as in `{{ {segment}: {{ … }} }}`"))))
            }
            _ => Ok(()),
        }
    }

    fn tags<'a>(&'a self, at: &[&'a Value]) -> Vec<&'a str> {
        let alternatives = at.iter().flat_map(|schema| self.alternatives(schema));
        alternatives.filter_map(choice::tag).collect()
    }

    /// What may stand under `segment`; empty if nothing may.
    fn step<'a>(&'a self, at: &[&'a Value], segment: &str) -> Vec<&'a Value> {
        let mut next = Vec::new();
        for schema in at.iter().flat_map(|schema| self.alternatives(schema)) {
            let index = segment.parse::<usize>().ok();
            if let Some(inner) = schema.get("properties").and_then(|fields| fields.get(segment)) {
                next.push(inner);
            } else if let Some(item) = index.and_then(|index| schema.get("prefixItems")?.get(index)) {
                next.push(item);
            } else if let Some(items) = schema.get("items").filter(|_| index.is_some()) {
                next.push(items);
            } else if let Some(more) = schema.get("additionalProperties").filter(|more| **more != Value::Bool(false)) {
                next.push(more);
            } else if schema == &Value::Bool(true) || schema.get("type").is_none() && choice::words(schema).is_empty() {
                next.push(schema);
            }
        }
        next
    }

    fn names<'a>(&'a self, at: &[&'a Value]) -> Vec<&'a str> {
        let mut names: Vec<&str> = at
            .iter()
            .flat_map(|schema| self.alternatives(schema))
            .filter_map(|schema| schema.get("properties")?.as_object())
            .flat_map(|fields| fields.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The schema itself, or what it offers to choose from, references followed.
    pub(super) fn alternatives<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.followed(schema);
        match schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            Some(offers) => offers.iter().flat_map(|offer| self.alternatives(offer)).collect(),
            None => vec![schema],
        }
    }

    fn followed<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
        match target.and_then(|name| self.definitions.get(name)) {
            Some(target) if target != schema => self.followed(target),
            _ => schema,
        }
    }

    pub(super) fn check_value(&self, schema: &Value, value: &Value, path: &[String], faults: &mut Vec<Fault>) {
        let schema = self.followed(schema);
        let offers = self.alternatives(schema);
        if schema.get("oneOf").is_some() || schema.get("anyOf").is_some() {
            choice::check(self, &offers, value, path, faults);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check_value(part, value, path, faults);
        }
        if !choice::admits(schema, value) {
            let code = "wrong-type";
            let message = format!(
                "{} must be {}, but is {}",
                self.subject(path),
                choice::wanted(&[schema]),
                choice::described(value)
            );
            faults.push(Fault::new(code, path, message).help(choice::remedy(&[schema], value)));
            return;
        }
        let words = choice::words(schema);
        if !words.is_empty() && !words.contains(&value) {
            faults.push(choice::unknown(&self.subject(path), &words, value, path));
            return;
        }
        match value {
            Value::Number(_) => self.check_number(schema, value, path, faults),
            Value::Array(items) => self.check_list(schema, items, path, faults),
            Value::Object(fields) => self.check_map(schema, fields, path, faults),
            Value::String(text) => {
                let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
                if (text.chars().count() as u64) < least {
                    let message = format!("{} must not be empty", self.subject(path));
                    faults.push(Fault::new("out-of-range", path, message));
                }
            }
            _ => {}
        }
    }

    fn check_number(&self, schema: &Value, value: &Value, path: &[String], faults: &mut Vec<Fault>) {
        let Some(number) = value.as_f64() else { return };
        let widest = match schema.get("format").and_then(Value::as_str) {
            Some("uint8") => Some(f64::from(u8::MAX)),
            Some("uint16") => Some(f64::from(u16::MAX)),
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        };
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let broken = [
            (bound("minimum").filter(|least| number < *least), "at least"),
            (bound("exclusiveMinimum").filter(|least| number <= *least), "above"),
            (bound("maximum").or(widest).filter(|most| number > *most), "at most"),
            (bound("exclusiveMaximum").filter(|most| number >= *most), "below"),
        ];
        if let Some((Some(limit), words)) = broken.iter().find(|(limit, _)| limit.is_some()) {
            let message = format!("{} must be {words} {limit}, but is {value}", self.subject(path));
            faults.push(Fault::new("out-of-range", path, message));
        }
    }

    fn check_list(&self, schema: &Value, items: &[Value], path: &[String], faults: &mut Vec<Fault>) {
        let count = |name: &str| schema.get(name).and_then(Value::as_u64);
        let (least, most) = (count("minItems"), count("maxItems"));
        let length = items.len() as u64;
        if least.is_some_and(|least| length < least) || most.is_some_and(|most| length > most) {
            let wanted = match (least, most) {
                (Some(least), Some(most)) if least == most => format!("{least} items"),
                (Some(least), Some(most)) => format!("{least} to {most} items"),
                (Some(1), None) => "at least 1 item".to_owned(),
                (Some(least), None) => format!("at least {least} items"),
                (None, most) => format!("at most {} items", most.unwrap_or(0)),
            };
            let message = format!("{} must have {wanted}, but has {length}", self.subject(path));
            faults.push(Fault::new("out-of-range", path, message));
            return;
        }
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        for (index, item) in items.iter().enumerate() {
            let inner = prefix.and_then(|prefix| prefix.get(index)).or_else(|| schema.get("items"));
            if let Some(inner) = inner {
                self.check_value(inner, item, &joined(path, &index.to_string()), faults);
            }
        }
    }

    fn check_map(
        &self,
        schema: &Value,
        fields: &serde_json::Map<String, Value>,
        path: &[String],
        faults: &mut Vec<Fault>,
    ) {
        let known = schema.get("properties").and_then(Value::as_object);
        for (name, value) in fields {
            if let Some(inner) = known.and_then(|known| known.get(name)) {
                self.check_value(inner, value, &joined(path, name), faults);
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let names: Vec<&str> =
                        known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
                    faults.push(self.unknown(name, &names, path));
                }
                Some(inner) => self.check_value(inner, value, &joined(path, name), faults),
                None => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name)) {
            let inner = known.and_then(|known| known.get(name));
            let what = inner.and_then(|schema| schema.get("description")?.as_str()?.lines().next());
            let fault = Fault::new("missing-param", path, format!("`{}` needs `{name}`", self.holder(path)));
            let fault =
                fault.help(Some(format!("add `{name}: …`{}", if path.is_empty() { " under `with`" } else { "" })));
            faults.push(match what {
                Some(what) => fault.note(format!("`{name}`: {what}")),
                None => fault,
            });
        }
    }

    fn unknown(&self, name: &str, known: &[&str], path: &[String]) -> Fault {
        let holder = self.holder(path);
        let mut listed: Vec<&str> = known.to_vec();
        listed.sort_unstable();
        let takes = match listed.len() {
            0 => format!("`{holder}` takes no parameters"),
            n if n > LISTED => {
                listed.truncate(LISTED);
                format!("`{holder}` takes {}, …", listed.join(", "))
            }
            _ => format!("`{holder}` takes {}", listed.join(", ")),
        };
        Fault::new("unknown-param", path, format!("`{holder}` has no parameter `{name}`"))
            .at_key(name)
            .help(suggest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?")))
            .note(format!("{takes} (see `fuseline explain {}`)", self.kind))
    }

    /// What holds the parameters at `path`: the kind, or the parameter.
    fn holder(&self, path: &[String]) -> String {
        if path.is_empty() { self.kind.to_owned() } else { plain_subject(path) }
    }

    /// The value at `path`, for the beginning of a message.
    pub(super) fn subject(&self, path: &[String]) -> String {
        if path.is_empty() { format!("`with` of `{}`", self.kind) } else { format!("`{}`", plain_subject(path)) }
    }
}

fn plain_subject(path: &[String]) -> String {
    let indices = path.iter().rev().take_while(|segment| segment.parse::<usize>().is_ok()).count();
    let name = path.iter().rev().nth(indices).map_or("with", String::as_str);
    let indices: String = path.iter().skip(path.len() - indices).map(|index| format!("[{index}]")).collect();
    format!("{name}{indices}")
}

fn joined(path: &[String], segment: &str) -> Vec<String> {
    path.iter().cloned().chain([segment.to_owned()]).collect()
}
