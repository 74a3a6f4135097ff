//! What do the `--set PATH=VALUE` flags change?

use std::sync::Arc;

use serde_json::Value;

use super::axes;
use super::kinds::Kinds;
use super::overlay::Overlay;
use super::paths::Target;
use crate::problem::{Origin, Problem, Problems, suggest};

/// What the flags set, beyond what went into the overlay.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// What each flag set, and the flag.
    pub(super) targets: Vec<(Target, Arc<str>)>,
    /// Axes that are to take other values: `--set matrix.AXIS=[…]`.
    pub(super) axes: Vec<(String, Value, Origin)>,
}

/// Puts the flags above the files.
pub(super) fn apply(overlay: &mut Overlay, sets: &[String], kinds: &Kinds, problems: &mut Problems) -> Sets {
    let mut done = Sets::default();
    for set in sets {
        let text: Arc<str> = format!("--set {set}").into();
        let flag = Origin::Flag { text: text.clone(), overrides: None };
        if let Err(problem) = one(overlay, set, text, kinds, &mut done) {
            problems.push(problem.at(flag));
        }
    }
    done
}

fn one(overlay: &mut Overlay, set: &str, text: Arc<str>, kinds: &Kinds, done: &mut Sets) -> Result<(), Box<Problem>> {
    let Some((path, value)) = set.split_once('=') else {
        return Err(Box::new(
            Problem::error("bad-set", format!("`{set}` sets nothing"))
                .help("write `--set PATH=VALUE`, as in `--set seed=7`"),
        ));
    };
    let path = path.trim();
    let value: serde_yaml::Value = serde_yaml::from_str(value).map_err(|error| {
        Problem::error("bad-set", format!("the value of `{path}` is not YAML: {error}"))
            .help("quote text that holds `: `, `[` or `{`")
    })?;
    let as_json = serde_json::to_value(&value).map_err(|_| {
        Box::new(Problem::error("bad-set", format!("the value of `{path}` has keys that are not text")))
    })?;
    if let Some(axis) = path.strip_prefix("matrix.") {
        if axis == "sample" || axis.starts_with("sample.") {
            overlay.set(text, path.split('.').map(str::to_owned).collect(), &value);
            return Ok(());
        }
        let axes = axes::ways(overlay);
        let Some((_, way)) = axes.iter().find(|(name, _)| name == axis) else {
            let problem = Problem::error("unknown-axis", format!("the matrix has no axis `{axis}`"));
            return Err(Box::new(match suggest(axis, axes.iter().map(|(name, _)| name.as_str())) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            }));
        };
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        let overrides = overlay.origin(&way).map(Box::new);
        done.axes.push((axis.to_owned(), as_json, Origin::Flag { text, overrides }));
        return Ok(());
    }
    if let Some(name) = path.strip_prefix("expect.") {
        overlay.set(text, vec!["expect".to_owned(), name.to_owned()], &value);
        return Ok(());
    }
    if let Some(way) = path.strip_prefix("gates.") {
        let (name, key) = way.rsplit_once('.').map_or((way, None), |(name, key)| (name, Some(key)));
        let path = ["gates", name].into_iter().chain(key).map(str::to_owned).collect();
        overlay.set(text, path, &value);
        return Ok(());
    }
    let target = Target::read(path, overlay, kinds)?;
    overlay.set(text.clone(), target.path(), &value);
    done.targets.push((target, text));
    Ok(())
}
