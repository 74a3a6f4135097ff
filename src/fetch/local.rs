//! Which files on this disk does a path or a glob name?

use std::fs;
use std::path::{Path, PathBuf};

use super::FetchError;
use super::error::nearest;
use super::spec::is_glob;

/// How deep a `**` goes.
const DEEPEST: usize = 32;
/// Why a pipe, a socket or a device is no source.
const NO_FILE: &str = "it is neither a file nor a folder, and only files can be read twice";

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
            return Err(FetchError::Io { path: path.to_owned(), why: NO_FILE.to_owned() });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound || is_glob(path) => {}
        Err(error) => return Err(FetchError::Io { path: path.to_owned(), why: error.to_string() }),
    }
    if is_glob(path) { glob(path, base) } else { Err(not_found(path, &whole)) }
}

/// The part of a path that holds no glob and ends in a slash; empty if there is none.
fn root(path: &str) -> &str {
    let first = path.find(['*', '?', '[', '{']).unwrap_or(path.len());
    let (literal, _) = path.split_at(first);
    let end = literal.rfind(['/', '\\']).map_or(0, |at| at + 1);
    literal.split_at(end).0
}

/// What rows may know of the path of a file that `path` names: from the last folder of it that is no glob. Where on this
/// machine that folder is stays out.
pub(super) fn place(path: &str, source: &str) -> String {
    let root = root(path);
    let relative = source.strip_prefix(root).unwrap_or(source);
    let last = root.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(last, "" | "." | "..") { relative.to_owned() } else { format!("{last}/{relative}") }
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
    let root = root(path);
    let pattern = path.strip_prefix(root).unwrap_or(path);
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| FetchError::Refused { what: path.to_owned(), why: error.to_string() })?;
    let deep = pattern.contains("**");
    let mut walk = Walk {
        root,
        matcher: glob.compile_matcher(),
        depth: if deep { DEEPEST } else { pattern.matches('/').count() },
        through_links: !deep,
        files: Vec::new(),
    };
    let top = base.join(root);
    if top.is_dir() {
        walk.folder(&top, "", 0)?;
    }
    walk.files.sort();
    if walk.files.is_empty() {
        let names = names(&top).into_iter().map(|(name, _)| format!("{root}{name}"));
        return Err(FetchError::NotFound {
            what: path.to_owned(),
            within: String::new(),
            near: nearest(pattern, names),
        });
    }
    Ok(walk.files)
}

/// A search for the files that a glob means. What it means and cannot be read is an error: else it would be lost in silence.
struct Walk<'a> {
    root: &'a str,
    matcher: globset::GlobMatcher,
    depth: usize,
    /// Whether folders that are links are entered; with `**` they could lead round in a circle.
    through_links: bool,
    files: Vec<(String, PathBuf)>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, relative: &str, depth: usize) -> Result<(), FetchError> {
        let failed = |path: &str, why: String| FetchError::Io { path: format!("{}{path}", self.root), why };
        let entries = fs::read_dir(folder).map_err(|error| failed(relative, error.to_string()))?;
        let mut inside: Vec<(String, PathBuf)> = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(relative, error.to_string()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            inside.push((if relative.is_empty() { name } else { format!("{relative}/{name}") }, entry.path()));
        }
        for (relative, path) in inside {
            let meant = self.matcher.is_match(&relative);
            let failed =
                |why: &str| Err(FetchError::Io { path: format!("{}{relative}", self.root), why: why.to_owned() });
            match fs::metadata(&path) {
                Ok(stat) if stat.is_file() && meant => {
                    self.files.push((format!("{}{relative}", self.root), path));
                }
                Ok(stat) if stat.is_dir() => {
                    if depth < self.depth && (self.through_links || !path.is_symlink()) {
                        self.folder(&path, &relative, depth + 1)?;
                    }
                }
                Ok(stat) if !stat.is_file() && meant => return failed(NO_FILE),
                Err(error) if meant => {
                    let why = if path.is_symlink() {
                        format!("it is a link that leads nowhere ({error})")
                    } else {
                        error.to_string()
                    };
                    return failed(&why);
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}
