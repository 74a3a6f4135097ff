//! Which of a schema's alternatives was meant?

use serde_json::Value;

use super::schema::{Fault, ParamSchema};
use crate::problem::suggest;

/// Complains about a value that fits none of `offers`, from the view of the nearest one.
pub(super) fn check(schema: &ParamSchema, offers: &[&Value], value: &Value, path: &[String], faults: &mut Vec<Fault>) {
    let tries: Vec<Vec<Fault>> = offers
        .iter()
        .map(|offer| {
            let mut found = Vec::new();
            schema.check_value(offer, value, path, &mut found);
            found
        })
        .collect();
    if tries.iter().any(Vec::is_empty) {
        return;
    }
    let subject = schema.subject(path);
    let spelled: Vec<&Value> = offers.iter().flat_map(|offer| words(offer)).collect();
    let tags: Vec<&str> = offers.iter().filter_map(|offer| tag(offer)).collect();
    let free_text = offers.iter().any(|offer| words(offer).is_empty() && type_names(offer).contains(&"string"));
    let free_map = offers.iter().any(|offer| tag(offer).is_none() && type_names(offer).contains(&"object"));
    match value {
        Value::String(text) if !free_text && tags.contains(&text.as_str()) => {
            let message = format!("`{text}` stands here without its parameters");
            let help = format!("write `{{ {text}: {{}} }}`, with its parameters inside the inner braces");
            faults.push(Fault::new("wrong-type", path, message).help(Some(help)));
        }
        Value::String(_) if !(free_text || spelled.is_empty() && tags.is_empty()) => {
            let tags: Vec<Value> = tags.iter().map(|tag| Value::from(*tag)).collect();
            let all: Vec<&Value> = spelled.into_iter().chain(&tags).collect();
            faults.push(unknown(&subject, &all, value, path));
        }
        Value::Object(fields) if !free_map && !tags.is_empty() => {
            let keys: Vec<&String> = fields.keys().collect();
            match keys.as_slice() {
                [key] => match offers.iter().position(|offer| tag(offer) == Some(key)) {
                    Some(chosen) => faults.extend(tries.into_iter().nth(chosen).unwrap_or_default()),
                    None => faults.push(unknown_tag(&subject, key, &tags, &spelled, path)),
                },
                [] => {
                    faults.push(Fault::new("wrong-type", path, format!("{subject} must name one of {}", listed(&tags))))
                }
                many => {
                    let given = many.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
                    let message = format!("{subject} takes one choice, but is given {given}");
                    faults.push(Fault::new("invalid-param", path, message).help(Some("keep one of them".to_owned())));
                }
            }
        }
        _ => nearest(&subject, offers, tries, value, path, faults),
    }
}

fn nearest(
    subject: &str,
    offers: &[&Value],
    tries: Vec<Vec<Fault>>,
    value: &Value,
    path: &[String],
    faults: &mut Vec<Fault>,
) {
    let fits = offers.iter().zip(tries).filter(|(offer, _)| admits(offer, value)).map(|(_, found)| found);
    match fits.min_by_key(Vec::len) {
        Some(found) => faults.extend(found),
        None => {
            let message = format!("{subject} must be {}, but is {}", wanted(offers), described(value));
            faults.push(Fault::new("wrong-type", path, message).help(remedy(offers, value)));
        }
    }
}

fn unknown_tag(subject: &str, key: &str, tags: &[&str], spelled: &[&Value], path: &[String]) -> Fault {
    if spelled.iter().any(|word| word.as_str() == Some(key)) {
        let message = format!("`{key}` takes no parameters");
        return Fault::new("wrong-type", path, message).help(Some(format!("write `{key}` alone")));
    }
    let known: Vec<&str> = tags.iter().copied().chain(spelled.iter().filter_map(|word| word.as_str())).collect();
    Fault::new("unknown-choice", path, format!("{subject} has no choice `{key}`"))
        .at_key(key)
        .help(suggest(key, known.iter().copied()).map(|near| format!("did you mean `{near}`?")))
        .note(format!("the choices are {}", listed(&known)))
}

/// A complaint about a word that is none of `words`.
pub(super) fn unknown(subject: &str, words: &[&Value], value: &Value, path: &[String]) -> Fault {
    let known: Vec<String> = words.iter().filter(|word| !word.is_null()).map(|word| spoken(word)).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Fault::new("unknown-choice", path, format!("{subject} has no choice {}", value_text(value)))
        .help(suggest(&spoken(value), known.iter().copied()).map(|near| format!("did you mean `{near}`?")))
        .note(format!("the choices are {}", listed(&known)))
}

/// The only key of an alternative that is a map with one key which says what is chosen.
pub(super) fn tag(schema: &Value) -> Option<&str> {
    let fields = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    let (name, inner) = fields.iter().next()?;
    let alone =
        fields.len() == 1 && required.len() == 1 && schema.get("additionalProperties") == Some(&Value::Bool(false));
    (alone && required.first()?.as_str() == Some(name) && inner.get("const").is_none()).then_some(name.as_str())
}

/// The values that a schema spells out with `const` or `enum`.
pub(super) fn words(schema: &Value) -> Vec<&Value> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    schema.get("const").into_iter().chain(listed).collect()
}

fn type_names(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether the value is of a type that the schema names.
pub(super) fn admits(schema: &Value, value: &Value) -> bool {
    let names = type_names(schema);
    if schema == &Value::Bool(false) {
        return false;
    }
    names.is_empty()
        || names.iter().any(|name| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        })
}

/// What the schemas ask for, in words: `a number`, `a string or a list`.
pub(super) fn wanted(schemas: &[&Value]) -> String {
    let mut names: Vec<String> = Vec::new();
    for schema in schemas {
        let spelled = words(schema);
        let found: Vec<String> = if spelled.is_empty() {
            type_names(schema).into_iter().map(|name| type_words(name).to_owned()).collect()
        } else {
            spelled.into_iter().map(value_text).collect()
        };
        names.extend(found);
    }
    names.sort_by_key(|name| name == "null");
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    match unique.split_last() {
        None => "absent".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

fn type_words(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

/// The value in words: `the number -1`, `the string "two"`, `a list`.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => format!("the string {value}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// A way out where the value only has the wrong dress.
pub(super) fn remedy(schemas: &[&Value], value: &Value) -> Option<String> {
    let takes = |name: &str| schemas.iter().any(|schema| type_names(schema).contains(&name));
    match value {
        Value::String(text) if takes("number") || takes("integer") => {
            text.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(|_| "leave the quotes out".to_owned())
        }
        Value::String(text) if takes("boolean") => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" => Some("write `true`".to_owned()),
            "no" | "off" | "false" => Some("write `false`".to_owned()),
            _ => None,
        },
        Value::Number(number) if takes("integer") && number.as_f64().is_some_and(|n| n.fract() == 0.0) => {
            Some(format!("write `{:.0}`", number.as_f64().unwrap_or(0.0)))
        }
        Value::Number(_) | Value::Bool(_) if takes("string") => Some(format!("quote it: \"{value}\"")),
        Value::String(_) | Value::Number(_) | Value::Bool(_) if takes("array") => {
            Some(format!("write `[{}]`", spoken(value)))
        }
        Value::Null if takes("object") => Some("write `{}` for its defaults".to_owned()),
        _ => None,
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => format!("`{}`", spoken(other)),
    }
}

fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
