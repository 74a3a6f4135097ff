//! How is a bundle written? Beside its place, whole, and then moved.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::seal::sealed;
use super::{BUNDLE_FILE, Bundle, BundleError, BundleFile, BundleTable};
use crate::fetch::Fetched;
use crate::stage::{FileNeed, Parts};
use crate::table::{Digest, to_parquet};

/// A bundle that has no folder yet.
pub struct Draft {
    /// What it says of itself; its stages have neither tables nor files yet.
    pub bundle: Bundle,
    /// What each stage learned, and the files that it reads.
    pub contents: Vec<Content>,
}

/// What a stage learned, and the files that it reads.
pub(crate) type Content = (Parts, Vec<(FileNeed, Vec<Fetched>)>);

/// What becomes of something that lies where a bundle is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupied {
    /// It stays, and nothing is written.
    Refused,
    /// A bundle, or an empty folder, is replaced; anything else stays.
    Replaced,
}

/// Writes a bundle to `folder` and gives what it says of itself.
pub fn write(draft: Draft, folder: &Path, occupied: Occupied) -> Result<Bundle, BundleError> {
    refuse(folder, occupied)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| BundleError::io(parent, error))?;
    let beside = |prefix| tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
    let new = beside(".fuseline-export-").map_err(|error| BundleError::io(parent, error))?;
    let Draft { mut bundle, contents } = draft;
    let mut homes: Vec<String> = Vec::new();
    for (stage, (learned, files)) in bundle.stages.iter_mut().zip(contents) {
        // What a search chose may stand beside the stage as it is elsewhere. No id has a point.
        let same = homes.iter().filter(|home| home.split('.').next() == Some(stage.id.as_str())).count();
        let home = if same == 0 { stage.id.clone() } else { format!("{}.{}", stage.id, same + 1) };
        stage.learned = tables(&learned, &home, new.path())?;
        for (need, fetched) in files {
            stage.files.extend(copied(&need, &fetched, &home, &mut stage.params, new.path())?);
        }
        homes.push(home);
    }
    let text = serde_json::to_string_pretty(&bundle).map_err(|error| BundleError::io(folder, error.into()))?;
    let text = sealed(&text).ok_or_else(|| BundleError::damaged(folder, "it cannot be sealed"))?;
    put(&new.path().join(BUNDLE_FILE), text.as_bytes())?;
    opened(new.path())?;
    let old = beside(".fuseline-replaced-").map_err(|error| BundleError::io(parent, error))?;
    if folder.exists() {
        fs::rename(folder, old.path().join("old")).map_err(|error| BundleError::io(folder, error))?;
    }
    if let Err(error) = fs::rename(new.path(), folder) {
        // What was there is better than nothing.
        drop(fs::rename(old.path().join("old"), folder));
        return Err(BundleError::io(folder, error));
    }
    drop(new.keep());
    Ok(bundle)
}

/// A folder that the system made for passing files is its owner's alone; a bundle is as readable as any folder.
fn opened(folder: &Path) -> Result<(), BundleError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .map_err(|error| BundleError::io(folder, error))?;
    }
    Ok(())
}

fn refuse(folder: &Path, occupied: Occupied) -> Result<(), BundleError> {
    if !folder.exists() {
        return Ok(());
    }
    let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    match occupied {
        _ if empty => Ok(()),
        Occupied::Replaced if folder.join(BUNDLE_FILE).is_file() => Ok(()),
        Occupied::Replaced => {
            let why = format!("it has no `{BUNDLE_FILE}`, so it is not replaced");
            Err(BundleError::NotABundle { folder: folder.to_owned(), why })
        }
        Occupied::Refused => Err(BundleError::Occupied(folder.to_owned())),
    }
}

/// Writes what a stage learned.
fn tables(learned: &Parts, stage: &str, folder: &Path) -> Result<BTreeMap<String, BundleTable>, BundleError> {
    let mut tables = BTreeMap::new();
    for (name, part) in learned.iter() {
        let table = part.table().map_err(|error| BundleError::stage(stage, error))?;
        let bytes = to_parquet(&table)?;
        let path = format!("learned/{stage}/{name}.parquet");
        put(&folder.join(&path), &bytes)?;
        let rows = table.num_rows() as u64;
        tables.insert(name.to_owned(), BundleTable { path, digest: Digest::of(&bytes), rows });
    }
    Ok(tables)
}

/// Copies the files of a role, and lets the parameter that named them name the copies. A role that is a file's name
/// (`tokenizer.json`) is a file of a model, whose parameter names the folder.
fn copied(
    need: &FileNeed,
    fetched: &[Fetched],
    stage: &str,
    params: &mut Value,
    folder: &Path,
) -> Result<Vec<BundleFile>, BundleError> {
    let of_model = need.role.contains('.');
    let home = format!("files/{stage}/{}", need.param.join("."));
    let mut files = Vec::new();
    for file in fetched {
        let plain = file.name.strip_suffix(".gz").or_else(|| file.name.strip_suffix(".zst"));
        let name = if of_model { &need.role } else { plain.filter(|_| file.is_packed()).unwrap_or(&file.name) };
        let path = format!("{home}/{name}");
        let sha256 = copy(file, &folder.join(&path))?;
        set(params, &need.param, if of_model { &home } else { &path });
        files.push(BundleFile { role: need.role.clone(), source: file.source.clone(), path, sha256 });
    }
    Ok(files)
}

/// Copies a file's content, unpacked, and gives its sha256.
fn copy(from: &Fetched, to: &Path) -> Result<String, BundleError> {
    let (mut reader, mut file) = (from.open()?, create(to)?);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 18];
    loop {
        let read = reader.read(&mut buffer).map_err(|error| BundleError::io(Path::new(&from.source), error))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        file.write_all(bytes).map_err(|error| BundleError::io(to, error))?;
    }
    file.sync_all().map_err(|error| BundleError::io(to, error))?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    let mut file = create(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| BundleError::io(path, error))
}

fn create(path: &Path) -> Result<File, BundleError> {
    let failed = |error| BundleError::io(path, error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    File::create(PathBuf::from(path)).map_err(failed)
}

/// Sets the parameter at `way`; what is no map on the way becomes one.
fn set(params: &mut Value, way: &[String], to: &str) {
    let Some((first, rest)) = way.split_first() else {
        *params = Value::from(to);
        return;
    };
    if !params.is_object() {
        *params = Value::Object(Map::new());
    }
    if let Some(fields) = params.as_object_mut() {
        set(fields.entry(first.clone()).or_insert(Value::Null), rest, to);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_set_whatever_stood_there() {
        let way = ["tokenizer", "pretrained"].map(str::to_owned);
        for mut params in
            [json!({}), json!({ "tokenizer": "pretrained" }), json!({ "tokenizer": { "pretrained": "m" } })]
        {
            set(&mut params, &way, "files/m");
            assert_eq!(params, json!({ "tokenizer": { "pretrained": "files/m" } }));
        }
    }
}
