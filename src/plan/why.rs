//! Why must a unit run? Two identities are compared field by field.

use serde_json::Value;

use super::key::Fields;

/// One reason why a unit must run.
#[derive(Debug, Clone, PartialEq)]
pub enum Miss {
    /// No run of this file has made it, and nobody else has.
    NeverRan,
    /// A parameter changed: its way into `with`, the old value, the new one (`None`: the default).
    Param { path: Vec<String>, old: Option<Value>, new: Option<Value> },
    /// The stage is of another kind.
    Kind { old: String, new: String },
    /// The kind gives other rows than it used to.
    Version { old: u64, new: u64 },
    /// The seed changed.
    Seed,
    /// The store's format changed.
    Format,
    /// A file has other bytes.
    File { role: String },
    /// An input has other bytes: its name in the key (`0/text`).
    Input { name: String },
    /// It was made before with the same identity, but is in the store no longer.
    Removed,
    /// What the store holds is damaged.
    Damaged { what: String },
    /// `--force`.
    Forced,
    /// Something it reads must run first; if it ran before and that gives the same bytes, this need not run.
    Upstream { stages: Vec<String>, ran_before: bool },
    /// A file that it reads has not been fetched.
    NotFetched { source: String },
}

/// The reasons for which `new` is not `old`; [`Miss::NeverRan`] without an `old`, [`Miss::Removed`] if they are equal.
pub fn compare(old: Option<&Fields>, new: &Fields) -> Vec<Miss> {
    let Some(old) = old else { return vec![Miss::NeverRan] };
    let mut misses = Vec::new();
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (before, now) = (old.get(name), new.get(name));
        // `{}` that has become something, or the other way round: what is inside says it.
        let inside = |fields: &Fields| fields.keys().any(|other| other.starts_with(&format!("{name}.")));
        let only_a_shell = (before.is_none() && inside(old)) || (now.is_none() && inside(new));
        if before != now && !only_a_shell {
            misses.push(difference(name, before, now));
        }
    }
    if misses.is_empty() {
        misses.push(Miss::Removed);
    }
    if misses.iter().any(|m| matches!(m, Miss::Kind { .. })) {
        misses.retain(|m| matches!(m, Miss::Kind { .. }));
    }
    misses
}

fn difference(name: &str, old: Option<&Value>, new: Option<&Value>) -> Miss {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
    match name.split_once([':', '.']) {
        Some(("with", path)) => {
            Miss::Param { path: path.split('.').map(str::to_owned).collect(), old: old.cloned(), new: new.cloned() }
        }
        Some(("file", role)) => Miss::File { role: role.to_owned() },
        Some(("input", input)) => Miss::Input { name: input.to_owned() },
        _ => match name {
            "kind" => Miss::Kind { old: text(old), new: text(new) },
            "version" => Miss::Version { old: number(old), new: number(new) },
            "seed" => Miss::Seed,
            _ => Miss::Format,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(entries: &[(&str, Value)]) -> Fields {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_changed_parameter_is_named_with_both_values() {
        let old = fields(&[("kind", json!("tfidf")), ("with.min_df", json!(2))]);
        let new = fields(&[("kind", json!("tfidf")), ("with.min_df", json!(3)), ("with.norm", json!("l1"))]);
        assert_eq!(
            compare(Some(&old), &new),
            [
                Miss::Param { path: vec!["min_df".into()], old: Some(json!(2)), new: Some(json!(3)) },
                Miss::Param { path: vec!["norm".into()], old: None, new: Some(json!("l1")) },
            ]
        );
    }

    #[test]
    fn another_kind_says_all() {
        let old = fields(&[("kind", json!("embed")), ("with.model", json!("a"))]);
        let new = fields(&[("kind", json!("tfidf"))]);
        assert_eq!(compare(Some(&old), &new), [Miss::Kind { old: "embed".into(), new: "tfidf".into() }]);
    }

    #[test]
    fn nothing_before_and_nothing_changed() {
        let new = fields(&[("kind", json!("tfidf"))]);
        assert_eq!(compare(None, &new), [Miss::NeverRan]);
        assert_eq!(compare(Some(&new), &new), [Miss::Removed]);
    }
}
