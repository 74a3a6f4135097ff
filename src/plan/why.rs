//! Why must a unit run? Two identities are compared field by field.

use serde::Serialize;
use serde_json::Value;

use super::key::Fields;

/// One reason why a unit must run. As JSON: `reason`, and its particulars.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
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
    /// The machine decides the last bits, and is of another class than the one that it ran on.
    Numeric { old: Option<String>, new: Option<String> },
    /// The store's format changed.
    Format,
    /// A file has other bytes: its role, the sources that are read now, and what the files were known by.
    File { role: String, sources: Vec<String>, old: Vec<String>, new: Vec<String> },
    /// An input has other bytes: its name in the key (`0/text`), the stage that makes it, and what brought that about.
    Input { name: String, through: Option<String>, roots: Vec<Root> },
    /// It was made before with the same identity, but is in the store no longer.
    Removed,
    /// It was made before, with another identity: what that was made from is in the store no longer.
    Forgotten,
    /// What the store holds is damaged.
    Damaged { what: String },
    /// `--force`.
    Forced,
    /// Something it reads must run first; if it ran before and that gives the same bytes, this need not run.
    Upstream { stages: Vec<String>, ran_before: bool },
    /// A file that it reads has not been fetched.
    NotFetched { source: String },
}

/// What changed further up: a reason that is not itself a changed input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Root {
    /// The stage that it is about.
    pub stage: String,
    /// Its kind.
    pub kind: &'static str,
    /// The reason.
    pub why: Miss,
}

impl Miss {
    /// True if the unit need not run should what it waits for give the same bytes as before.
    pub fn may_be_saved(&self) -> bool {
        matches!(self, Miss::Upstream { ran_before: true, .. })
    }
}

/// The reasons for which `new` is not `old`; [`Miss::NeverRan`] without an `old`, [`Miss::Removed`] if they are equal.
pub fn compare(old: Option<&Fields>, new: &Fields) -> Vec<Miss> {
    let Some(old) = old else { return vec![Miss::NeverRan] };
    let mut misses: Vec<Miss> =
        differing(old, new).into_iter().map(|name| difference(name, old.get(name), new.get(name))).collect();
    if misses.is_empty() {
        misses.push(Miss::Removed);
    }
    if misses.iter().any(|m| matches!(m, Miss::Kind { .. })) {
        misses.retain(|m| matches!(m, Miss::Kind { .. }));
    }
    misses
}

/// How far two identities are apart, inputs aside: the number of fields that differ.
pub fn distance(old: &Fields, new: &Fields) -> usize {
    differing(old, new).into_iter().filter(|name| !name.starts_with("input:")).count()
}

fn differing<'f>(old: &'f Fields, new: &'f Fields) -> Vec<&'f String> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| {
        let (before, now) = (old.get(*name), new.get(*name));
        // `{}` that has become something, or the other way round: what is inside says it.
        let inside = |fields: &Fields| {
            let prefix = format!("{name}.");
            fields.range(prefix.clone()..).next().is_some_and(|(other, _)| other.starts_with(&prefix))
        };
        before != now && !((before.is_none() && inside(old)) || (now.is_none() && inside(new)))
    });
    names
}

fn difference(name: &str, old: Option<&Value>, new: Option<&Value>) -> Miss {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let class = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
    match name.split_once([':', '.']) {
        Some(("with", path)) => {
            Miss::Param { path: path.split('.').map(str::to_owned).collect(), old: old.cloned(), new: new.cloned() }
        }
        Some(("file", role)) => {
            Miss::File { role: role.to_owned(), sources: Vec::new(), old: files(old), new: files(new) }
        }
        Some(("input", input)) => Miss::Input { name: input.to_owned(), through: None, roots: Vec::new() },
        _ => match name {
            "kind" => Miss::Kind { old: text(old), new: text(new) },
            "version" => Miss::Version { old: number(old), new: number(new) },
            "seed" => Miss::Seed,
            "numeric" => Miss::Numeric { old: class(old), new: class(new) },
            _ => Miss::Format,
        },
    }
}

/// What the files of a role are known by: one, or a list.
fn files(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
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
    fn files_and_classes_say_what_they_were() {
        let old =
            fields(&[("file:data", json!("sha256:aa")), ("numeric", json!("x/1")), ("input:0/text", json!("11"))]);
        let new = fields(&[("file:data", json!(["sha256:aa", "sha256:bb"])), ("input:0/text", json!("22"))]);
        assert_eq!(
            compare(Some(&old), &new),
            [
                Miss::File {
                    role: "data".into(),
                    sources: Vec::new(),
                    old: vec!["sha256:aa".into()],
                    new: vec!["sha256:aa".into(), "sha256:bb".into()]
                },
                Miss::Input { name: "0/text".into(), through: None, roots: Vec::new() },
                Miss::Numeric { old: Some("x/1".into()), new: None },
            ]
        );
        assert_eq!(distance(&old, &new), 2);
    }

    #[test]
    fn nothing_before_and_nothing_changed() {
        let new = fields(&[("kind", json!("tfidf"))]);
        assert_eq!(compare(None, &new), [Miss::NeverRan]);
        assert_eq!(compare(Some(&new), &new), [Miss::Removed]);
    }
}
