//! Which files on this disk does a path or a glob name?

use std::fs;
use std::path::{Path, PathBuf};

use super::FetchError;
use super::error::nearest;
use super::spec::is_glob;

/// How deep a `**` goes.
const DEEPEST: usize = 32;

/// Each file with the source that names it; in the order of the paths.
pub(super) fn find(path: &str, base: &Path) -> Result<Vec<(String, PathBuf)>, FetchError> {
    let whole = base.join(path);
    match fs::metadata(&whole) {
        Ok(stat) if stat.is_file() => return Ok(vec![(path.to_owned(), whole)]),
        Ok(stat) if stat.is_dir() => {
            let why = "it is a folder; name a file in it, or a glob such as `folder/*.csv`";
            return Err(FetchError::Io { path: path.to_owned(), why: why.to_owned() });
        }
        Ok(_) => {
            let why = "it is neither a file nor a folder, and only files can be read twice";
            return Err(FetchError::Io { path: path.to_owned(), why: why.to_owned() });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound || is_glob(path) => {}
        Err(error) => return Err(FetchError::Io { path: path.to_owned(), why: error.to_string() }),
    }
    if is_glob(path) { glob(path, base) } else { Err(not_found(path, &whole)) }
}

/// Those of some names that a path or a glob means, in order, each once.
pub(super) fn matching<'n>(path: &str, names: impl Iterator<Item = &'n str>) -> Option<Vec<String>> {
    let matcher = match is_glob(path) {
        true => Some(globset::GlobBuilder::new(path).literal_separator(true).build().ok()?.compile_matcher()),
        false => None,
    };
    let meant = |name: &&str| *name == path || matcher.as_ref().is_some_and(|matcher| matcher.is_match(name));
    let mut all: Vec<String> = names.filter(meant).map(str::to_owned).collect();
    all.sort();
    all.dedup();
    Some(all)
}

/// An error for something that should be there.
pub(super) fn missing(what: &str) -> FetchError {
    FetchError::NotFound { what: what.to_owned(), within: String::new(), near: Vec::new() }
}

fn not_found(path: &str, whole: &Path) -> FetchError {
    let Some(folder) = whole.parent().filter(|folder| folder.is_dir()) else {
        let folder = path.rsplit_once(['/', '\\']).map(|(folder, _)| folder).unwrap_or_default();
        return FetchError::NotFound {
            what: path.to_owned(),
            within: format!("`{folder}`, for there is no such folder"),
            near: Vec::new(),
        };
    };
    let name = whole.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let prefix = path.strip_suffix(&name).unwrap_or_default();
    let names = names(folder).into_iter().map(|(name, _)| format!("{prefix}{name}"));
    FetchError::NotFound { what: path.to_owned(), within: String::new(), near: nearest(&name, names) }
}

fn names(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut all: Vec<(String, PathBuf)> =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    all.sort();
    all
}

fn glob(path: &str, base: &Path) -> Result<Vec<(String, PathBuf)>, FetchError> {
    let first = path.find(['*', '?', '[', '{']).unwrap_or(path.len());
    let (literal, _) = path.split_at(first);
    let root = literal.rsplit_once('/').map(|(root, _)| format!("{root}/")).unwrap_or_default();
    let pattern = path.strip_prefix(&root).unwrap_or(path);
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| FetchError::Refused { what: path.to_owned(), why: error.to_string() })?;
    let matcher = glob.compile_matcher();
    let depth = if pattern.contains("**") { DEEPEST } else { pattern.matches('/').count() };
    let mut files = Vec::new();
    walk(&base.join(&root), "", depth, &mut |relative, file| {
        if matcher.is_match(relative) {
            files.push((format!("{root}{relative}"), file.to_owned()));
        }
    });
    files.sort();
    if files.is_empty() {
        let names = names(&base.join(&root)).into_iter().map(|(name, _)| format!("{root}{name}"));
        return Err(FetchError::NotFound {
            what: path.to_owned(),
            within: String::new(),
            near: nearest(pattern, names),
        });
    }
    Ok(files)
}

/// Every file below a folder; folders that are links are not entered.
fn walk(folder: &Path, relative: &str, depth: usize, found: &mut dyn FnMut(&str, &Path)) {
    for (name, path) in names(folder) {
        let relative = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        if path.is_file() {
            found(&relative, &path);
        } else if depth > 0 && path.is_dir() && !path.is_symlink() {
            walk(&path, &relative, depth - 1, found);
        }
    }
}
