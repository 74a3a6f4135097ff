//! How is a reason for running told to people?

use serde_json::Value;

use super::why::{Miss, Root};

/// Knows who set what.
pub trait Places {
    /// Who set a parameter of a stage.
    fn param(&self, stage: &str, path: &[String]) -> Option<String>;
    /// Who named the file of a role.
    fn file(&self, stage: &str, role: &str) -> Option<String>;
    /// Who set the seed.
    fn seed(&self) -> Option<String>;
}

/// Knows nothing: for runs whose pipeline file is not at hand.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Places for Nowhere {
    fn param(&self, _: &str, _: &[String]) -> Option<String> {
        None
    }

    fn file(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn seed(&self) -> Option<String> {
        None
    }
}

/// A reason of a stage of some kind in words, with the line that brought it about.
pub fn said(stage: &str, kind: &str, miss: &Miss, places: &dyn Places) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "its default".to_owned(), Value::to_string);
    let class = |class: &Option<String>| class.as_ref().map_or_else(|| "none".to_owned(), |class| format!("`{class}`"));
    let at = |place: Option<String>| place.map(|place| format!(" ({place})")).unwrap_or_default();
    match miss {
        Miss::NeverRan => "never ran".to_owned(),
        Miss::Param { path, old, new } => {
            let place = at(places.param(stage, path));
            format!("`{}` changed: {} → {}{place}", path.join("."), value(old), value(new))
        }
        Miss::Kind { old, new } => format!("its kind changed: `{old}` → `{new}`"),
        Miss::Version { old, new } => format!("`{kind}` now gives other rows: version {old} → {new}"),
        Miss::Seed => format!("its seed changed{}", at(places.seed())),
        Miss::Numeric { old, new } => {
            format!("the machine's last bits are others: numeric class {} → {}", class(old), class(new))
        }
        Miss::Format => "the cache has a new format".to_owned(),
        Miss::File { role, sources, old, new } => {
            format!("{}{}", file_changed(role, sources, old, new), at(places.file(stage, role)))
        }
        Miss::Input { name, through, roots } => {
            let through = through.as_ref().map_or_else(|| "a stage that is gone".to_owned(), |s| format!("`{s}`"));
            let root = |root: &Root| format!("`{}`: {}", root.stage, said(&root.stage, root.kind, &root.why, places));
            let roots: Vec<String> = roots.iter().map(root).collect();
            let because = if roots.is_empty() { String::new() } else { format!(", because of {}", roots.join("; ")) };
            format!("its input {name} changed, through {through}{because}")
        }
        Miss::Removed => "it ran before, but is no longer in the cache".to_owned(),
        Miss::Forgotten => "it ran before, but what it was made from then is no longer in the cache".to_owned(),
        Miss::Damaged { what } => format!("damaged in the cache: {what}"),
        Miss::Forced => "forced".to_owned(),
        Miss::Upstream { stages, ran_before } => match ran_before {
            true => format!("waits for {}; runs only if that gives other bytes than before", listed(stages)),
            false => format!("never ran; waits for {}", listed(stages)),
        },
        Miss::NotFetched { source } => format!("`{source}` has not been fetched"),
    }
}

/// `data.csv` changed: 1f0c → 9a3b.
fn file_changed(role: &str, sources: &[String], old: &[String], new: &[String]) -> String {
    if old.len() != new.len() {
        let files = |number: usize| format!("{number} file{}", if number == 1 { "" } else { "s" });
        return format!("what is read as `{role}` changed: {} → {}", files(old.len()), files(new.len()));
    }
    let changed: Vec<usize> = (0..new.len()).filter(|&at| old[at] != new[at]).collect();
    let one = |&at: &usize| {
        let source = sources.get(at).map_or(role, String::as_str);
        format!("`{source}` changed: {} → {}", short(&old[at]), short(&new[at]))
    };
    let mut all: Vec<String> = changed.iter().take(3).map(one).collect();
    if changed.len() > 3 {
        all.push(format!("and {} more files", changed.len() - 3));
    }
    all.join(", ")
}

/// The first digits of a file's identity, and the way into it.
fn short(identity: &str) -> String {
    let hex = identity.strip_prefix("sha256:").unwrap_or(identity);
    let (digest, way) = hex.split_at_checked(64).unwrap_or((hex, ""));
    format!("{}{way}", digest.chars().take(12).collect::<String>())
}

/// Names in backticks with commas between them.
pub(super) fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_what_changed() {
        let of = |digits: [&str; 2]| digits.map(|d| format!("sha256:{}!x.csv", d.repeat(64))).to_vec();
        let sources = ["a.zip!x.csv", "b.zip!x.csv"].map(str::to_owned);
        let miss =
            Miss::File { role: "data".into(), sources: sources.into(), old: of(["1", "2"]), new: of(["1", "3"]) };
        assert_eq!(
            said("rows", "ingest", &miss, &Nowhere),
            "`b.zip!x.csv` changed: 222222222222!x.csv → 333333333333!x.csv"
        );
        let fewer = Miss::File { role: "data".into(), sources: Vec::new(), old: of(["1", "2"]), new: Vec::new() };
        assert_eq!(said("rows", "ingest", &fewer, &Nowhere), "what is read as `data` changed: 2 files → 0 files");
    }

    #[test]
    fn a_changed_input_names_the_stage_and_what_changed_it() {
        let why = Miss::Param { path: vec!["unicode".into()], old: None, new: Some("nfc".into()) };
        let roots = vec![Root { stage: "clean".into(), kind: "clean", why }];
        let miss = Miss::Input { name: "0/text".into(), through: Some("words".into()), roots };
        assert_eq!(
            said("tfidf", "tfidf", &miss, &Nowhere),
            "its input 0/text changed, through `words`, because of `clean`: `unicode` changed: its default → \"nfc\""
        );
    }
}
