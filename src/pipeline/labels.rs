//! How does a variant's label name a value, and what does such a name mean?
//!
//! A label is `AXIS=VALUE`, with commas between: `c=1,features=both`. Text that could be read otherwise (it holds one of
//! `, = ( ) [ ] { } " ' \`, begins or ends with a space, or YAML would take it for a number or the like) stands in quotes, so
//! that two settings never have one label.

use serde_json::Value;

/// What text without quotes does not hold.
const MARKS: [char; 13] = [',', '=', '(', ')', '[', ']', '{', '}', '"', '\'', '\\', '\n', '\t'];

/// A name that the file gives, in a label: an axis or a label of a value.
pub(super) fn name(text: &str) -> String {
    let plain = !text.is_empty() && text.trim() == text && !text.contains(MARKS);
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// A value in one line: flow YAML without spaces.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.parse::<f64>().is_err() && is_text(text) => name(text),
        Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}:{}", key(name), self::value(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}

/// The values of several paths: `(ngram_range=[1,2],min_df=2)`.
pub(super) fn together(paths: &[String], values: &[Value]) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let alone = |path: &String| paths.iter().filter(|other| last(other) == last(path)).count() == 1;
    let said = |path: &String| if alone(path) { last(path) } else { path.clone() };
    let parts: Vec<String> = paths.iter().zip(values).map(|(path, one)| setting(&said(path), &value(one))).collect();
    format!("({})", parts.join(","))
}

/// One setting: the axis, and its value as a label has it.
pub(super) fn setting(axis: &str, text: &str) -> String {
    format!("{}={text}", name(axis))
}

/// A key of a map.
fn key(text: &str) -> String {
    if text.contains(':') { Value::from(text).to_string() } else { name(text) }
}

/// Text that YAML takes for the same text.
fn is_text(text: &str) -> bool {
    matches!(serde_yaml::from_str::<Value>(text), Ok(Value::String(read)) if read == text)
}

/// The settings of a label, axis and value apart and both as written; `None` if it is not of that form.
pub(super) fn settings(label: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    for part in cut(label, ',')? {
        let (axis, value) = match cut(part, '=')?.as_slice() {
            [axis, value] => (*axis, *value),
            [axis, _, ..] => (*axis, part.get(axis.len() + 1..)?),
            _ => return None,
        };
        if axis.trim().is_empty() {
            return None;
        }
        found.push((axis.trim(), value.trim()));
    }
    Some(found)
}

/// Cuts at a mark that stands outside quotes and brackets; `None` if those are not closed.
fn cut(text: &str, mark: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ if letter == mark && depth == 0 => {
                parts.push(text.get(start..at)?);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (depth == 0 && !quoted).then_some(parts)
}

/// True if two names or values of labels mean the same: `1` and `1.0`, `both` and `"both"`.
pub(super) fn alike(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_yaml::from_str::<Value>(text).ok();
    one == other || matches!((read(one), read(other)), (Some(one), Some(other)) if same(&one, &other))
}

/// Equality that does not tell `1` from `1.0`.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_so_that_they_read_back() {
        for (given, expected) in [
            (json!("both"), "both"),
            (json!("a b"), "a b"),
            (json!("a,b"), "\"a,b\""),
            (json!("a=b"), "\"a=b\""),
            (json!("hf:org/name"), "hf:org/name"),
            (json!("a: b"), "\"a: b\""),
            (json!({ "a:b": 1 }), "{\"a:b\":1}"),
            (json!("1"), "\"1\""),
            (json!(1), "1"),
            (json!(0.5), "0.5"),
            (json!(null), "null"),
            (json!("null"), "\"null\""),
            (json!([1, 2]), "[1,2]"),
            (json!({ "linear_svc": { "c": 1 } }), "{linear_svc:{c:1}}"),
            (json!(["a", "b,c"]), "[a,\"b,c\"]"),
        ] {
            assert_eq!(value(&given), expected);
        }
    }

    #[test]
    fn the_values_of_several_paths_are_named_by_their_last_part_where_that_is_enough() {
        let paths = ["tfidf.ngram_range", "tfidf.min_df"].map(str::to_owned);
        assert_eq!(together(&paths, &[json!([1, 2]), json!(2)]), "(ngram_range=[1,2],min_df=2)");
        let paths = ["a.min_df", "b.min_df"].map(str::to_owned);
        assert_eq!(together(&paths, &[json!(1), json!(2)]), "(a.min_df=1,b.min_df=2)");
    }

    #[test]
    fn labels_are_taken_apart_outside_quotes_and_brackets() {
        assert_eq!(settings("c=1, features=both"), Some(vec![("c", "1"), ("features", "both")]));
        assert_eq!(
            settings("n=[1,2],\"a,b\"=\"x=\\\"y\",z=(a=1,b=2)"),
            Some(vec![("n", "[1,2]"), ("\"a,b\"", "\"x=\\\"y\""), ("z", "(a=1,b=2)")])
        );
        assert_eq!(settings("both"), None);
        assert_eq!(settings("n=[1,2"), None);
        assert_eq!(settings("=1"), None);
        assert!(alike("1", "1.0") && alike("both", "\"both\"") && !alike("1", "2"));
    }

    proptest! {
        #[test]
        fn two_texts_never_have_one_label(one in "[a,=:\\[\\]\"\\\\ 1.]{0,4}", other in "[a,=:\\[\\]\"\\\\ 1.]{0,4}") {
            let label = |axis: &str, text: &str| setting(axis, &value(&json!(text)));
            prop_assert_eq!(label(&one, &other) == label(&other, &one), one == other);
            let label = label(&one, &other);
            let parts = settings(&label).unwrap();
            prop_assert_eq!(parts.len(), 1);
            prop_assert!(alike(parts[0].1, &Value::from(other.as_str()).to_string()));
        }
    }
}
